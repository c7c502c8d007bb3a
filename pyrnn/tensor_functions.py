"""Functions of `keras.backend` and `tensorflow` under their names and arguments, made of `pyrnn.ops`.

They take arrays, weights and whatever NumPy reads, and give `Tensor`s: arrays with the method `numpy`. In a loss they
take what autograd traces, and in the `call` of a layer and on the results of `Input` symbols, as the operations do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import activations, config, seeds, utils
from pyrnn import ops as operations
from pyrnn.parameters import Weight
from pyrnn.results import Tensor
from pyrnn.symbols import Drawn, tracing

Array = NDArray[Any]
Function = Callable[..., Any]
ops: Any = operations  # which makes its names


def tensor(value: Any) -> Any:
    """Return a result of NumPy as a `Tensor`; symbols and what autograd traces are returned as they are.

    Args:
        value: An array of any shape, a number, or a list of them.

    Returns:
        The same values.
    """
    if isinstance(value, list | tuple):
        return type(value)(tensor(each) for each in value)
    if isinstance(value, np.ndarray | np.generic | int | float):
        return np.asarray(value).view(Tensor)
    return value


def _of(operation: Function, **renamed: str) -> Function:
    """An operation with other names for its arguments, and an argument `name` that says nothing about numbers."""

    def function(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        return tensor(operation(*args, **{renamed.get(key, key): value for key, value in kwargs.items()}))

    return function


def _named(*names: str, **renamed: str) -> dict[str, Function]:
    """Operations under their own names."""
    return {name: _of(getattr(ops, name), **renamed) for name in names}


def _reduction(operation: Function) -> Function:
    def function(x: Any, axis: Any = None, keepdims: bool = False, keep_dims: bool = False) -> Any:
        return operation(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims or keep_dims)

    return function


def _index_of(operation: Function, default: int) -> Function:
    def function(x: Any, axis: int | None = None, dimension: int | None = None, output_type: Any = None) -> Any:
        return operation(x, axis=default if axis is None and dimension is None else axis or dimension or 0)

    return function


def _sizes(shape: Any) -> tuple[Any, ...]:
    """A shape as sizes: scripts compute it with `tf.shape` and pass arrays."""
    return tuple(None if size is None else int(size) for size in (shape if np.ndim(shape) else [shape]))


def _dtype(dtype: Any) -> str:
    return config.floatx() if dtype is None else np.dtype(dtype).name


def _filled(operation: Function) -> Function:
    return lambda shape, dtype=None: operation(_sizes(shape), dtype=_dtype(dtype))


def _constant(value: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
    if not isinstance(value, np.ndarray | list | tuple | int | float | np.generic | Weight):
        return value if dtype is None else ops.cast(value, _dtype(dtype))
    array = np.asarray(value, dtype=dtype)
    if dtype is None and array.dtype == np.float64 and not isinstance(value, np.ndarray):
        array = array.astype(config.floatx())
    if shape is not None:
        array = np.broadcast_to(array, shape) if array.size == 1 else array.reshape(shape)
    return array.copy()


def random_array(draw: Callable[..., Array], **renamed: str) -> Function:
    """Return a function that draws arrays from the seeds of the process.

    Args:
        draw: A method of NumPy's `Generator` of (low, high, shape), or (mean, stddev, shape).
        **renamed: Other names of `low` and `high`.

    Returns:
        A function of (shape, low, high, dtype, seed).
    """

    def function(shape: Any, low: float = 0.0, high: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        sizes = _sizes(shape)

        def numbers() -> Array:
            generator = seeds.generator(seed if isinstance(seed, int) else None)
            return np.asarray(draw(generator, low, high, sizes)).astype(_dtype(dtype))

        return numbers() if tracing.symbol_of is None else tracing.symbol_of(Drawn(sizes, _dtype(dtype), numbers))

    return _of(function, **renamed)


# What `tensorflow.random` has.
RANDOM: Mapping[str, Function] = {
    "normal": random_array(np.random.Generator.normal, mean="low", stddev="high"),
    "uniform": random_array(np.random.Generator.uniform, minval="low", maxval="high"),
}


def _sqrt(x: Any) -> Any:
    """Keras's K.sqrt is 0 for numbers below 0."""
    return ops.sqrt(ops.maximum(x, 0))


def _clip(x: Any, min_value: Any = None, max_value: Any = None) -> Any:
    low = -math.inf if min_value is None else min_value
    return ops.clip(x, low, math.inf if max_value is None else max_value)


def _relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    return activations.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    return np.argwhere(np.asarray(condition)) if x is None and y is None else ops.where(condition, x, y)


def _switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    values = (each() if callable(each) else each for each in (then_expression, else_expression))
    return ops.where(condition, *values)


def _batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Sum over an axis of each, row by row of the batch; axes may be one number for both."""
    dims = len(x.shape), len(y.shape)
    default = [dims[0] - 1, dims[1] - 2 if dims[1] > 2 else 1]
    of_x, of_y = [axes, axes] if isinstance(axes, int) else default if axes is None else list(axes)
    of_x, of_y = of_x % dims[0], of_y % dims[1]
    letters = "abcdefghijklmnopqrstuvw"
    left = ["z", *letters[: dims[0] - 1]]
    right = ["z", *letters[dims[0] : dims[0] + dims[1] - 1]]
    right[of_y] = left[of_x]
    rest = [each for each in (*left, *right[1:]) if each != left[of_x]]
    result = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(rest)}", x, y)
    return ops.expand_dims(result, -1) if len(rest) == 1 else result


def _repeat(x: Any, n: int) -> Any:
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def _batch_flatten(x: Any) -> Any:
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), epsilon))


def _temporal_padding(x: Any, padding: tuple[int, int] = (1, 1)) -> Any:
    return ops.pad(x, [[0, 0], list(padding), [0, 0]])


def _binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """One value per element, as in Keras's backend; the loss of this name is their mean."""
    return ops.binary_crossentropy(target, output, from_logits=from_logits)


def _get_value(x: Any) -> Any:
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def _set_value(x: Any, value: Any) -> None:
    x.assign(value)


def _shape(x: Any) -> Any:
    shape = ops.shape(x)
    return shape if None in shape else np.array(shape, np.int32)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    turned = (ops.swapaxes(x, -1, -2) if turns else x for x, turns in ((a, transpose_a), (b, transpose_b)))
    return ops.matmul(*turned)


def _squared_difference(x: Any, y: Any) -> Any:
    return ops.square(ops.subtract(x, y))


def _slice(x: Any, begin: Sequence[int], size: Sequence[int]) -> Any:
    sizes = [
        x.shape[i] - start if each == -1 else each for i, (start, each) in enumerate(zip(begin, size, strict=True))
    ]
    return ops.slice(x, list(begin), sizes)


def _split(x: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    if isinstance(num_or_size_splits, int):
        return ops.split(x, num_or_size_splits, axis=axis)
    return ops.split(x, np.cumsum(num_or_size_splits)[:-1].tolist(), axis=axis)


def _tensordot(a: Any, b: Any, axes: Any) -> Any:
    return ops.tensordot(a, b, axes=axes)


_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all", "std", "var")
_SHARED: Mapping[str, Function] = {
    **_named("abs", "exp", "log", "sign", "square", "sin", "cos", "tan", "floor", "round", "equal", "not_equal",
             "greater", "greater_equal", "less", "less_equal", "maximum", "minimum"),
    **{name: _of(_filled(getattr(ops, name))) for name in ("ones", "zeros")},
    **{name: _of(getattr(ops, name), input="x", tensor="x") for name in ("ones_like", "zeros_like", "sigmoid")},
    "eye": _of(lambda size, dtype=None: ops.eye(size, dtype=_dtype(dtype)), num_rows="size"),
    "cast": _of(lambda x, dtype: ops.cast(x, _dtype(dtype))), "constant": _of(_constant),
    "cumsum": _of(lambda x, axis=0: ops.cumsum(x, axis=axis)),
    "expand_dims": _of(lambda x, axis=-1: ops.expand_dims(x, axis), input="x"),
    "gather": _of(lambda x, indices, axis=0: ops.take(x, indices, axis=axis), params="x", reference="x"),
    "one_hot": _of(lambda indices, depth: ops.one_hot(indices, depth), num_classes="depth"),
    "pow": _of(lambda x, a: ops.power(x, a), y="a"), "reshape": _of(lambda x, shape: ops.reshape(x, _sizes(shape)),
                                                                 tensor="x"),
    "squeeze": _of(lambda x, axis=None: ops.squeeze(x, tuple(axis) if isinstance(axis, list) else axis), input="x"),
    "stack": _of(lambda x, axis=0: ops.stack(x, axis=axis), values="x"),
    "tile": _of(lambda x, n: ops.tile(x, _sizes(n)), multiples="n", input="x"),
    "transpose": _of(lambda x, perm=None: ops.transpose(x, perm), a="x"), "tanh": _of(ops.tanh),
    "stop_gradient": _of(ops.stop_gradient, input="variable"), "shape": _of(_shape, input="x"),
}  # fmt: skip
# What `keras.backend` has, under Keras 2's names and with its arguments.
BACKEND: Mapping[str, Function] = {
    **_SHARED,
    **{name: _of(_reduction(getattr(ops, name))) for name in (*_REDUCTIONS, "logsumexp")},
    **{name: getattr(config, name) for name in ("backend", "epsilon", "floatx", "set_floatx")},
    **{name: getattr(config, name) for name in ("image_data_format", "set_image_data_format")},
    **_named("softplus", "softsign", "elu", "hard_sigmoid"),
    "softmax": _of(lambda x, axis=-1: ops.softmax(x, axis=axis)),
    "binary_crossentropy": _of(_binary_crossentropy), "categorical_crossentropy": _of(ops.categorical_crossentropy),
    "sparse_categorical_crossentropy": _of(ops.sparse_categorical_crossentropy),
    "arange": _of(np.arange), "argmax": _of(_index_of(ops.argmax, -1)), "argmin": _of(_index_of(ops.argmin, -1)),
    "batch_dot": _of(_batch_dot), "batch_flatten": _of(_batch_flatten), "bias_add": _of(lambda x, bias: x + bias),
    "cast_to_floatx": _of(lambda x: ops.cast(x, config.floatx())), "clear_session": utils.clear_session,
    "clip": _of(_clip), "concatenate": _of(lambda tensors, axis=-1: ops.concatenate(tensors, axis=axis)),
    "count_params": lambda x: math.prod(x.shape), "cumprod": _of(lambda x, axis=0: ops.cumprod(x, axis=axis)),
    "dot": _of(ops.dot), "dtype": lambda x: str(x.dtype), "eval": _get_value,
    "flatten": _of(lambda x: ops.reshape(x, (-1,))), "get_value": _get_value, "int_shape": lambda x: tuple(x.shape),
    "l2_normalize": _of(_l2_normalize), "ndim": lambda x: len(x.shape),
    "permute_dimensions": _of(lambda x, pattern: ops.transpose(x, tuple(pattern))),
    "print_tensor": lambda x, *_, **__: x,
    "random_normal": RANDOM["normal"], "random_uniform": RANDOM["uniform"], "relu": _of(_relu), "repeat": _of(_repeat),
    "repeat_elements": _of(lambda x, rep, axis: ops.repeat(x, rep, axis=axis)),
    "reverse": _of(lambda x, axes: ops.flip(x, tuple(axes) if isinstance(axes, list) else axes)),
    **dict.fromkeys(("set_session", "get_session", "manual_variable_initialization"), lambda *_: None),
    "set_value": _set_value, "sqrt": _of(_sqrt), "switch": _of(_switch), "temporal_padding": _of(_temporal_padding),
    "variable": _of(_constant),
}  # fmt: skip
# What `tensorflow` has at its top and in `tensorflow.math`.
TENSORFLOW: Mapping[str, Function] = {
    **_SHARED,
    **{f"reduce_{name}": _of(_reduction(getattr(ops, name)), input_tensor="x") for name in _REDUCTIONS},
    "reduce_variance": _of(_reduction(ops.var), input_tensor="x"), "reduce_logsumexp": _of(_reduction(ops.logsumexp)),
    **_named("add", "subtract", "multiply", "divide", "logical_and", "logical_or", "sqrt", "norm", "size", "einsum",
             "log1p", "expm1", "cosh", "sinh", "rsqrt", "floor", "sort", "repeat", "isnan", "divide_no_nan",
             x="x1", y="x2", tensor="x", values="x", input="x"),
    **{f"is_{name}": _of(getattr(ops, f"is{name}")) for name in ("nan", "inf", "finite")},
    "squared_difference": _of(_squared_difference), "matmul": _of(_matmul), "tensordot": _of(_tensordot),
    "logical_not": _of(ops.logical_not), "where": _of(_where), "negative": _of(ops.negative),
    "argmax": _of(_index_of(ops.argmax, 0), input="x"), "argmin": _of(_index_of(ops.argmin, 0), input="x"),
    "identity": _of(_constant), "Variable": _of(_constant, initial_value="value"),
    "clip_by_value": _of(_clip, t="x", clip_value_min="min_value", clip_value_max="max_value"),
    "concat": _of(lambda values, axis: ops.concatenate(values, axis=axis)), "convert_to_tensor": _of(_constant),
    "fill": _of(lambda dims, value: ops.full(_sizes(dims), value)), "is_tensor": lambda x: isinstance(x, Tensor),
    "linspace": _of(lambda start, stop, num: np.linspace(start, stop, num, dtype=config.floatx())),
    "meshgrid": _of(np.meshgrid), "pad": _of(lambda x, paddings: ops.pad(x, np.asarray(paddings).tolist()), tensor="x"),
    "range": _of(lambda *limits: np.arange(*limits)), "rank": _of(lambda x: len(x.shape), input="x"),
    "reverse": _of(lambda x, axis: ops.flip(x, tuple(axis)), tensor="x"), "slice": _of(_slice, input_="x"),
    "split": _of(_split, value="x"), "unstack": _of(lambda x, num=None, axis=0: ops.unstack(x, num, axis), value="x"),
}  # fmt: skip
# What `tensorflow.nn` has: the activations that layers take.
NN: Mapping[str, Function] = {
    **{
        name: _of(activations.get(name), features="x", logits="x", alpha="negative_slope")
        for name in (*activations.NAMES, *activations.ALIASES)
    },
    "l2_normalize": _of(_l2_normalize), "bias_add": _of(lambda value, bias: value + bias),
}  # fmt: skip
# As the activation of a layer they are that of pyrnn, which the kernel runs.
activations.EQUIVALENT.update({function: name for name, function in NN.items() if name in activations.NAMES})
activations.EQUIVALENT.update({BACKEND[name]: name for name in activations.NAMES if name in BACKEND})
activations.EQUIVALENT.update({NN[name]: other for name, other in activations.ALIASES.items()})
