"""Functions of `keras.backend` and `tensorflow` as NumPy has them, for scripts written for Keras.

They take arrays, weights and whatever NumPy reads. In a custom loss they take what autograd traces, so that the loss
has a gradient. Results are `Tensor`s: arrays with the method `numpy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import activations, config, seeds, utils
from pyrnn.results import Tensor
from pyrnn.symbols import Drawn, tracing

Array = NDArray[Any]
Axis = int | tuple[int, ...] | None


def _traced(values: Any) -> bool:
    """Whether autograd traces a value or one of those in a list."""
    if isinstance(values, list | tuple):
        return any(_traced(value) for value in values)
    return type(values).__module__.startswith("autograd")


def _numpy(*values: Any) -> Any:
    """NumPy, or autograd's NumPy if it traces one of the values."""
    if not _traced(values):
        return np
    import autograd.numpy as traced

    return traced


def tensor(value: Any) -> Any:
    """Return a result of NumPy as a `Tensor`; what autograd traces is returned as it is.

    Args:
        value: An array of any shape, or a number.

    Returns:
        The same values.
    """
    return value if _traced(value) else np.asarray(value).view(Tensor)


def _array(x: Any) -> Any:
    return x if _traced(x) else np.asarray(x)


def _unary(name: str) -> Callable[..., Any]:
    def function(x: Any, name: str | None = None) -> Any:
        return tensor(getattr(_numpy(x), of)(_array(x)))

    of = name
    return function


def _binary(name: str) -> Callable[..., Any]:
    def function(x: Any, y: Any, name: str | None = None) -> Any:
        return tensor(getattr(_numpy(x, y), of)(_array(x), _array(y)))

    of = name
    return function


def _reduction(name: str) -> Callable[..., Any]:
    def function(x: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None) -> Any:
        axes = tuple(axis) if isinstance(axis, list) else axis
        return tensor(getattr(_numpy(x), of)(_array(x), axis=axes, keepdims=keepdims))

    of = name
    return function


def _of_shape(name: str) -> Callable[..., Any]:
    def function(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
        return tensor(getattr(np, of)(shape, dtype=dtype or config.floatx()))

    of = name
    return function


def _like(name: str) -> Callable[..., Any]:
    def function(x: Any, dtype: Any = None, name: str | None = None) -> Any:
        return tensor(getattr(np, of)(np.asarray(x), dtype=dtype))

    of = name
    return function


def _index_of(name: str, default: int) -> Callable[..., Any]:
    def function(x: Any, axis: int = default, name: str | None = None) -> Any:
        return tensor(getattr(np, of)(np.asarray(x), axis=axis))

    of = name
    return function


def _clip(x: Any, min_value: Any = None, max_value: Any = None, name: str | None = None) -> Any:
    low = -np.inf if min_value is None else min_value
    return tensor(_numpy(x).clip(_array(x), low, np.inf if max_value is None else max_value))


def _sqrt(x: Any) -> Any:
    """Keras's K.sqrt is 0 for numbers below 0."""
    return tensor(_numpy(x).sqrt(_numpy(x).maximum(_array(x), 0)))


def _cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    return tensor(_array(x).astype(dtype))


def _constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    if _traced(value):
        return value
    array = np.asarray(value, dtype=dtype)
    if dtype is None and array.dtype == np.float64 and not isinstance(value, np.ndarray):
        array = array.astype(config.floatx())
    if shape is not None:
        array = np.broadcast_to(array, shape) if array.size == 1 else array.reshape(shape)
    return tensor(array.copy())


def _reshape(x: Any, shape: Any, name: str | None = None) -> Any:
    return tensor(_numpy(x).reshape(_array(x), tuple(shape) if np.ndim(shape) else shape))


def _transpose(x: Any, perm: Any = None, name: str | None = None) -> Any:
    return tensor(_numpy(x).transpose(_array(x), perm))


def _expand_dims(x: Any, axis: int = -1, name: str | None = None) -> Any:
    return tensor(_numpy(x).expand_dims(_array(x), axis))


def _squeeze(x: Any, axis: Any = None, name: str | None = None) -> Any:
    return tensor(_numpy(x).squeeze(_array(x), axis=tuple(axis) if isinstance(axis, list) else axis))


def _concatenate(tensors: Any, axis: int = -1, name: str | None = None) -> Any:
    return tensor(_numpy(tensors).concatenate([_array(each) for each in tensors], axis=axis))


def _stack(x: Any, axis: int = 0, name: str | None = None) -> Any:
    return tensor(_numpy(x).stack([_array(each) for each in x], axis=axis))


def _tile(x: Any, n: Any, name: str | None = None) -> Any:
    return tensor(_numpy(x).tile(_array(x), n))


def _repeat_elements(x: Any, rep: int, axis: int) -> Any:
    return tensor(_numpy(x).repeat(_array(x), rep, axis=axis))


def _batch_flatten(x: Any) -> Any:
    return _reshape(x, (len(x), -1))


def _flatten(x: Any) -> Any:
    return _reshape(x, (-1,))


def _where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    if x is None and y is None:
        return tensor(np.argwhere(np.asarray(condition)))
    return tensor(_numpy(condition, x, y).where(_array(condition), _array(x), _array(y)))


def _cumsum(x: Any, axis: int = 0, name: str | None = None) -> Any:
    return tensor(_numpy(x).cumsum(_array(x), axis=axis))


def _gather(x: Any, indices: Any, axis: int = 0) -> Any:
    return tensor(np.take(np.asarray(x), np.asarray(indices), axis=axis))


def _logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    numpy, array = _numpy(x), _array(x)
    largest = numpy.max(array, axis=axis, keepdims=True)
    result = numpy.log(numpy.sum(numpy.exp(array - largest), axis=axis, keepdims=True)) + largest
    return tensor(result if keepdims else numpy.squeeze(result, axis=axis))


def _l2_normalize(x: Any, axis: Axis = None) -> Any:
    numpy, array = _numpy(x), _array(x)
    return tensor(array / numpy.sqrt(numpy.maximum(numpy.sum(array**2, axis=axis, keepdims=True), 1e-12)))


def _sigmoid(x: Any, name: str | None = None) -> Any:
    return tensor(0.5 * (_numpy(x).tanh(0.5 * _array(x)) + 1)) if _traced(x) else tensor(activations.get("sigmoid")(x))


def _softplus(x: Any, name: str | None = None) -> Any:
    return tensor(_numpy(x).logaddexp(_array(x), 0)) if _traced(x) else tensor(activations.get("softplus")(x))


def _softmax(x: Any, axis: int = -1, name: str | None = None) -> Any:
    exponentials = _numpy(x).exp(_array(x) - _numpy(x).max(_array(x), axis=axis, keepdims=True))
    return tensor(exponentials / _numpy(x).sum(exponentials, axis=axis, keepdims=True))


def _activation(name: str) -> Callable[..., Any]:
    return lambda x: tensor(activations.get(name)(x))


def _relu(x: Any, name: str | None = None) -> Any:
    return tensor(_numpy(x).maximum(_array(x), 0))


def _probabilities(output: Any, from_logits: bool, function: Callable[..., Any]) -> Any:
    output = function(output) if from_logits else _array(output)
    return _numpy(output).clip(output, config.epsilon(), 1 - config.epsilon())


def _binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """One value per element, as in Keras's backend; the loss of this name is their mean."""
    p, y, log = _probabilities(output, from_logits, _sigmoid), _array(target), _numpy(output).log
    return tensor(-(y * log(p) + (1 - y) * log(1 - p)))


def _categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    p = _softmax(output, axis) if from_logits else _array(output)
    p = _probabilities(p / _numpy(p).sum(p, axis=axis, keepdims=True), False, _softmax)
    return tensor(-_numpy(output).sum(_array(target) * _numpy(output).log(p), axis=axis))


def _one_hot(indices: Any, depth: int, name: str | None = None) -> Any:
    return tensor(utils.to_categorical(np.asarray(indices), depth))


def _get_value(x: Any) -> Any:
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def _set_value(x: Any, value: Any) -> None:
    x.assign(value)


def random_array(draw: Callable[..., Array]) -> Callable[..., Any]:
    """Return a function that draws arrays from the seeds of the process.

    Args:
        draw: A method of NumPy's `Generator` of (low, high, shape), or (mean, stddev, shape).

    Returns:
        A function of (shape, low, high, dtype, seed).
    """

    def function(shape: Any, low: float = 0.0, high: float = 1.0, dtype: Any = None, seed: Any = None, **_: Any) -> Any:
        def numbers() -> Array:
            generator = seeds.generator(seed if isinstance(seed, int) else None)
            return draw(generator, low, high, tuple(shape)).astype(dtype or config.floatx())

        if tracing.symbol_of is not None:
            return tracing.symbol_of(Drawn(tuple(shape), str(np.dtype(dtype or config.floatx())), numbers))
        return tensor(numbers())

    return function


def _renamed(function: Callable[..., Any], **names: str) -> Callable[..., Any]:
    """The same function with other names for its arguments: a keyword `input_tensor` is `x`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **{names.get(name, name): value for name, value in kwargs.items()})

    return call


_UNARY = {name: _unary(name) for name in ("abs", "exp", "log", "sign", "square", "sin", "cos", "tan", "tanh", "floor")}
_BINARY = {
    name: _binary(name)
    for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum")
}
_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all")
_SHARED: Mapping[str, Callable[..., Any]] = {
    **_UNARY,
    **_BINARY,
    **{name: _of_shape(name) for name in ("ones", "zeros", "eye")},
    **{name: _like(f"{name}") for name in ("ones_like", "zeros_like")},
    "cast": _cast, "constant": _constant, "cumsum": _cumsum, "expand_dims": _expand_dims, "gather": _gather,
    "one_hot": _one_hot, "pow": _binary("power"), "reshape": _reshape, "round": _unary("round"),
    "squeeze": _squeeze, "stack": _stack, "tile": _tile, "transpose": _transpose,
    "stop_gradient": lambda x: x,
    "shape": lambda x, name=None: tensor(np.shape(x)),
}  # fmt: skip
# What `keras.backend` has, under Keras 2's names and with its arguments.
BACKEND: Mapping[str, Callable[..., Any]] = {
    **_SHARED,
    **{name: _reduction(name) for name in (*_REDUCTIONS, "std", "var")},
    **{name: getattr(config, name) for name in ("backend", "epsilon", "floatx", "image_data_format", "set_floatx")},
    **{name: _activation(name) for name in ("elu", "hard_sigmoid", "softsign")},
    "binary_crossentropy": _binary_crossentropy, "categorical_crossentropy": _categorical_crossentropy,
    "argmax": _index_of("argmax", -1), "argmin": _index_of("argmin", -1), "batch_flatten": _batch_flatten,
    "cast_to_floatx": lambda x: _cast(x, config.floatx()), "clear_session": utils.clear_session, "clip": _clip,
    "concatenate": _concatenate, "dot": _binary("dot"), "dtype": lambda x: str(x.dtype), "eval": _get_value,
    "flatten": _flatten, "get_value": _get_value, "int_shape": lambda x: tuple(x.shape),
    "l2_normalize": _l2_normalize, "logsumexp": _logsumexp, "ndim": lambda x: len(x.shape),
    "permute_dimensions": _transpose, "relu": _relu, "repeat_elements": _repeat_elements, "set_value": _set_value,
    "sigmoid": _sigmoid, "softmax": _softmax, "softplus": _softplus, "sqrt": _sqrt, "switch": _where,
    "random_normal": random_array(np.random.Generator.normal), "variable": _constant,
    "random_uniform": random_array(np.random.Generator.uniform),
}  # fmt: skip


def _squared_difference(x: Any, y: Any, name: str | None = None) -> Any:
    return _UNARY["square"](_array(x) - _array(y))


_LIST = {"values": "tensors"}
# What `tensorflow` has at its top and in `tensorflow.math`.
TENSORFLOW: Mapping[str, Callable[..., Any]] = {
    **_SHARED,
    **{f"reduce_{name}": _renamed(_reduction(name), input_tensor="x") for name in _REDUCTIONS},
    **{name: _binary(name) for name in ("add", "subtract", "multiply", "divide", "matmul", "logical_and",
                                        "logical_or")},
    "squared_difference": _squared_difference,
    "logical_not": _unary("logical_not"), "sqrt": _unary("sqrt"), "sigmoid": _sigmoid, "where": _where,
    "argmax": _index_of("argmax", 0), "argmin": _index_of("argmin", 0), "identity": _constant,
    "clip_by_value": _renamed(_clip, t="x", clip_value_min="min_value", clip_value_max="max_value"),
    "concat": _renamed(_concatenate, **_LIST), "convert_to_tensor": _constant, "is_tensor": lambda x: isinstance(
        x, Tensor), "range": lambda *limits: tensor(np.arange(*limits)),
}  # fmt: skip
# What `tensorflow.nn` has: the activations that layers take.
NN: Mapping[str, Callable[..., Any]] = {
    **{name: activations.get(name) for name in (*activations.NAMES, *activations.ALIASES)},
    "l2_normalize": _l2_normalize,
}
