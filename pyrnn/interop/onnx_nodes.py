"""How nodes of ONNX become layers and operations of pyrnn; the table is `NODES`. Cells are in `onnx_cells`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.interop.onnx_axes import AXES, squeezed
from pyrnn.interop.onnx_file import Node
from pyrnn.interop.onnx_inputs import Array, Converter, Inputs, array, axis_of, constant
from pyrnn.interop.onnx_values import CannotImport, Filled, View, arranged, constant_for, ops, shown_sizes, whole


def _layer(make: Callable[[Node], Any]) -> Converter:
    """A layer that keeps the shape, whatever the order of the axes."""

    def convert(node: Node, values: Inputs) -> View:
        view = array(node, values, 0)
        return view._replace(symbol=make(node)(view.symbol))

    return convert


def _activation(name: str) -> Converter:
    return _layer(lambda node: layers.Activation(name))


def _operation(function: Callable[[Any], Any]) -> Converter:
    def convert(node: Node, values: Inputs) -> View:
        view = array(node, values, 0)
        return view._replace(symbol=function(view.symbol))

    return convert


def _same(node: Node, values: Inputs) -> Any:
    return values[0]


def _leaky_relu(node: Node) -> Any:
    return layers.LeakyReLU(float(node.attributes.get("alpha", 0.01)))


def _elu(node: Node) -> Any:
    return layers.ELU(float(node.attributes.get("alpha", 1.0)))


def _numbers(node: Node, **expected: float) -> None:
    """Check attributes that must have one value."""
    for name, value in expected.items():
        if abs(float(node.attributes.get(name, value)) - value) > 1e-5:
            raise CannotImport(f"{name} must be {value}, got {node.attributes[name]}")


def _selu(node: Node) -> Any:
    _numbers(node, alpha=1.6732632, gamma=1.0507009)
    return layers.Activation("selu")


def _celu(node: Node) -> Any:
    _numbers(node, alpha=1.0)
    return layers.Activation("celu")


def _hard_sigmoid(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    alpha, beta = (float(node.attributes.get(name, value)) for name, value in (("alpha", 0.2), ("beta", 0.5)))
    for name, slope in (("hard_sigmoid", 1 / 6), ("sparse_sigmoid", 0.5)):
        if abs(alpha - slope) < 1e-6 and beta == 0.5:
            return view._replace(symbol=layers.Activation(name)(view.symbol))
    scaled = layers.Rescaling(alpha, beta)(view.symbol)
    return view._replace(symbol=ops.clip(scaled, 0.0, 1.0))


def _gelu(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    kind = node.attributes.get("approximate", "none")
    return view._replace(
        symbol=ops.gelu(view.symbol, kind == "tanh") if kind == "tanh" else layers.Activation("gelu")(view.symbol)
    )


def _clip(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    limits = []
    for place, name in ((1, "min"), (2, "max")):
        value = node.attributes.get(name)
        if place < len(values) and values[place] is not None:
            value = constant(node, values, place).reshape(-1)[0]
        limits.append(float(value) if value is not None else (-np.inf, np.inf)[place - 1])
    if limits[0] == -np.inf:
        return view._replace(symbol=ops.minimum(view.symbol, limits[1]))
    if limits[1] == np.inf:
        return view._replace(symbol=ops.maximum(view.symbol, limits[0]))
    return view._replace(symbol=ops.clip(view.symbol, *limits))


def _softmax(function: Any) -> Converter:
    def convert(node: Node, values: Inputs) -> View:
        view = array(node, values, 0)
        return view._replace(symbol=function(view.symbol, axis=axis_of(view, int(node.attributes.get("axis", -1)))))

    return convert


def _prelu(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    slope = constant_for(view, constant(node, values, 1))
    x = view.symbol
    return view._replace(symbol=ops.maximum(x, 0.0) + ops.minimum(x, 0.0) * slope)


# Products.


def dense(view: View, kernel: Array, bias: Array | None) -> View:
    """Return a Dense layer on an array.

    Args:
        view: The array (..., F).
        kernel: The kernel (F, units).
        bias: The bias (units,), or None.

    Returns:
        The view of its output.

    Raises:
        CannotImport: If the shapes do not fit.
    """
    axis = axis_of(view, -1)
    if axis != view.symbol.ndim - 1:
        order = [place for place in view.axes if place is not None]
        if axis == 0 or order[0] != 0:
            raise CannotImport("it multiplies along the batch axis")
        view = View(arranged(view, tuple(range(len(view.axes)))), tuple(range(len(view.axes))))
    if view.symbol.shape[-1] != kernel.shape[0] or view.symbol.ndim < 2 or not kernel.shape[1]:
        raise CannotImport(f"a kernel of shape {kernel.shape} does not fit an array of shape {shown_sizes(view)}")
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None)
    symbol = layer(view.symbol)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return view._replace(symbol=symbol)


def _matmul(node: Node, values: Inputs) -> View | Filled:
    if isinstance(values[0], Filled) and isinstance(values[1], np.ndarray) and values[1].ndim == 2:
        if values[0].value != 0:
            raise CannotImport("it multiplies constants of sizes that are not known")
        return Filled(0.0, [*values[0].sizes[:-1], values[1].shape[1]])  # the first state
    if isinstance(values[1], np.ndarray) and values[1].ndim == 2:
        return dense(array(node, values, 0), values[1], None)
    pair = [values[n] if isinstance(values[n], np.ndarray) else _in_order(array(node, values, n)) for n in range(2)]
    return whole(ops.matmul(*pair))


def _gemm(node: Node, values: Inputs) -> View:
    _numbers(node, alpha=1.0, beta=1.0, transA=0)
    kernel = constant(node, values, 1, 2)
    kernel = kernel.T if node.attributes.get("transB", 0) else kernel
    bias = None
    if len(values) > 2 and values[2] is not None:
        bias = np.broadcast_to(constant(node, values, 2), (kernel.shape[1],))
    return dense(array(node, values, 0), kernel, bias)


def _einsum(node: Node, values: Inputs) -> View:
    view, kernel = array(node, values, 0), constant(node, values, 1)
    x = _in_order(view)
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    letters = equation.partition("->")[2]
    first, _, second = equation.partition("->")[0].partition(",")
    sizes = {**dict(zip(first, x.shape, strict=False)), **dict(zip(second, kernel.shape, strict=False))}
    layer = layers.EinsumDense(equation, [sizes.get(letter) for letter in letters[1:]])
    symbol = layer(x)
    layer.set_weights([kernel])
    return whole(symbol)


def _in_order(view: View) -> Any:
    """The symbol with ONNX's order of axes."""
    return arranged(view, tuple(range(len(view.axes))))


# Numbers with numbers.

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": ops.add, "Sub": ops.subtract, "Mul": ops.multiply, "Div": ops.divide, "Pow": ops.power, "Max": ops.maximum,
    "Min": ops.minimum,
}  # fmt: skip


def _binary(node: Node, values: Inputs) -> Any:
    function = _BINARY[node.operator]
    result = values[0]
    for other in values[1:]:
        result = _pair(function, result, other)
    return result


def _pair(function: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    pair = [first, second]
    if {type(each) for each in pair} == {Filled, np.ndarray}:  # such as a bias and a state of zeros
        numbers = [np.full((1,) * len(v.sizes), v.value, np.float32) if isinstance(v, Filled) else v for v in pair]
        return np.asarray(function(*numbers), np.float32)
    if isinstance(first, View) and isinstance(second, View):
        if len(first.axes) < len(second.axes):
            return _pair(lambda a, b: function(b, a), second, first)
        missing = len(first.axes) - len(second.axes)
        wide = View(second.symbol, (*[None] * missing, *second.axes))
        if None in first.axes or None in wide.axes:
            rank = tuple(range(len(first.axes)))
            return whole(function(arranged(first, rank), arranged(wide, rank)))
        return first._replace(symbol=function(first.symbol, arranged(wide, first.axes)))
    view, number, is_first = (first, second, True) if isinstance(first, View) else (second, first, False)
    if isinstance(number, Filled) and isinstance(view, View) and len(number.sizes) <= len(view.axes):
        number = np.full((1,) * len(number.sizes), number.value, np.float32)
    if not isinstance(view, View) or not isinstance(number, np.ndarray):
        raise CannotImport("it must read arrays of the model and constants")
    if number.ndim > len(view.axes):
        raise CannotImport(f"a constant of shape {number.shape} widens an array of shape {shown_sizes(view)}")
    fit = constant_for(view, number.astype(np.float32))
    plain: Any = float(fit.reshape(-1)[0]) if fit.size == 1 else fit
    return view._replace(symbol=function(view.symbol, plain) if is_first else function(plain, view.symbol))


def _is_absent(view: View, axis: int) -> bool:
    """Whether the symbol lacks an axis, which has size 1."""
    return -len(view.axes) <= axis < len(view.axes) and view.axes[axis] is None


def _reduced(function: Callable[..., Any]) -> Converter:
    def convert(node: Node, values: Inputs) -> View:
        view = array(node, values, 0)
        axes = node.attributes.get("axes")
        if len(values) > 1 and values[1] is not None:
            axes = [int(axis) for axis in constant(node, values, 1).reshape(-1)]
        if not axes:
            raise CannotImport("it must name the axes that it reduces")
        places = [axis_of(view, axis) for axis in axes if not _is_absent(view, axis)]
        if 0 in places:
            raise CannotImport("it reduces the batch axis")
        symbol = function(view.symbol, axis=tuple(places), keepdims=True) if places else view.symbol
        result = view._replace(symbol=symbol)
        if node.attributes.get("keepdims", 1):
            return result
        return squeezed(result, [axis % len(view.axes) for axis in axes])

    return convert


# Convolutions and pooling: (B, C, T).


def _channels(node: Node, values: Inputs) -> Any:
    view = array(node, values, 0)
    if len(view.axes) != 3:
        raise CannotImport(f"it must run over one axis, of time, got an array of shape {shown_sizes(view)}")
    return arranged(view, (0, 2, 1))


def _window(node: Node, name: str) -> int:
    """An attribute with one number for the axis of time, 1 if it is absent."""
    values = node.attributes.get(name, [1])
    if len(values) != 1 or values[0] < 1:
        raise CannotImport(f"{name} must hold one number of at least 1, got {values}")
    return int(values[0])


def _pads(node: Node) -> tuple[int, int] | None:
    """The padding before and after; None for "same"."""
    kind = node.attributes.get("auto_pad", "NOTSET")
    if kind == "SAME_UPPER":
        return None
    if kind not in ("NOTSET", "VALID"):
        raise CannotImport(f"auto_pad={kind} is not supported")
    before, after = node.attributes.get("pads", [0, 0])
    if min(before, after) < 0 or max(before, after) > 2**20:
        raise CannotImport(f"pads must be from 0 to {2**20}, got {[before, after]}")
    return int(before), int(after)


def _conv(node: Node, values: Inputs) -> View:
    x, kernel, pads = _channels(node, values), constant(node, values, 1, 3), _pads(node)
    filters, channels, size = kernel.shape
    groups = int(node.attributes.get("group", 1))
    if not kernel.size or groups < 1 or x.shape[-1] != channels * groups or filters % groups:
        raise CannotImport(f"a kernel of shape {kernel.shape} in {groups} group(s) does not fit {x.shape}")
    if node.attributes.get("kernel_shape", [size]) != [size]:
        raise CannotImport(f"kernel_shape must be [{size}], got {node.attributes['kernel_shape']}")
    strides, dilation = (_window(node, name) for name in ("strides", "dilations"))
    reach = (size - 1) * dilation
    padding = "same" if pads is None else "valid"
    if pads == (reach, 0) and reach:
        padding = "causal"
    elif pads is not None and any(pads):
        x = layers.ZeroPadding1D(pads)(x)
    bias = constant(node, values, 2, 1) if len(values) > 2 and values[2] is not None else None
    layer = layers.Conv1D(
        filters,
        size,
        strides,
        padding,
        data_format="channels_last",
        dilation_rate=dilation,
        groups=groups,
        use_bias=bias is not None,
    )
    y = layer(x)
    layer.set_weights([kernel.transpose(2, 1, 0), *([] if bias is None else [bias])])
    return View(y, (0, 2, 1))


def _pool(kind: Any) -> Converter:
    def convert(node: Node, values: Inputs) -> View:
        x, pads = _channels(node, values), _pads(node)
        size, strides = _window(node, "kernel_shape"), _window(node, "strides")
        if node.attributes.get("ceil_mode", 0) or _window(node, "dilations") != 1 or node.output(1):
            raise CannotImport("ceil_mode, dilations and indices are not supported")
        steps = x.shape[1]
        total = size - 1
        if strides > 1:  # then what "same" pads depends on the number of steps
            total = -1 if steps is None else max(0, (-(-steps // strides) - 1) * strides + size - steps)
        is_same = pads is None or (pads == (total // 2, total - total // 2) and any(pads))
        counts = node.attributes.get("count_include_pad", 0) and kind is layers.AveragePooling1D
        if pads is not None and any(pads) and (not is_same or counts):
            raise CannotImport(f"pads={list(pads)} are not supported")
        padding = "same" if is_same else "valid"
        return View(kind(size, strides, padding, data_format="channels_last")(x), (0, 2, 1))

    return convert


def _global_pool(kind: Any) -> Converter:
    def convert(node: Node, values: Inputs) -> View:
        return View(kind(data_format="channels_last", keepdims=True)(_channels(node, values)), (0, 2, 1))

    return convert


# Normalizations.


def _batch_normalization(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    axis = axis_of(view, 1)
    gamma, beta, mean, variance = (constant(node, values, place, 1) for place in range(1, 5))
    if any(each.shape != (view.symbol.shape[axis],) for each in (gamma, beta, mean, variance)):
        raise CannotImport(f"its weights do not fit an array of shape {shown_sizes(view)}")
    layer = layers.BatchNormalization(axis=axis, epsilon=float(node.attributes.get("epsilon", 1e-5)))
    symbol = layer(view.symbol)
    layer.set_weights([gamma, beta, mean, variance])
    return view._replace(symbol=symbol)


def _layer_normalization(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    if node.attributes.get("axis", -1) not in (-1, len(view.axes) - 1) or node.output(1):
        raise CannotImport("it must normalize the last axis and make one output")
    axis = axis_of(view, -1)
    scale = constant(node, values, 1, 1)
    bias = constant(node, values, 2, 1) if len(values) > 2 and values[2] is not None else None
    if scale.shape != (view.symbol.shape[axis],) or (bias is not None and bias.shape != scale.shape):
        raise CannotImport(f"its weights do not fit an array of shape {shown_sizes(view)}")
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    layer = layers.LayerNormalization(axis=axis, epsilon=epsilon, center=bias is not None)
    symbol = layer(view.symbol)
    layer.set_weights([scale] if bias is None else [scale, bias])
    return view._replace(symbol=symbol)


NODES: dict[str, Converter] = {
    **AXES,
    **{name: _binary for name in _BINARY},
    "Abs": _operation(ops.absolute),
    "AveragePool": _pool(layers.AveragePooling1D),
    "BatchNormalization": _batch_normalization,
    "Celu": _layer(_celu),
    "Clip": _clip,
    "Conv": _conv,
    "Dropout": _same,
    "Einsum": _einsum,
    "Elu": _layer(_elu),
    "Erf": _operation(ops.erf),
    "Exp": _activation("exponential"),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool(layers.GlobalAveragePooling1D),
    "GlobalMaxPool": _global_pool(layers.GlobalMaxPooling1D),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard_silu"),
    "Identity": _same,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _layer(_leaky_relu),
    "Log": _operation(ops.log),
    "LogSoftmax": _softmax(ops.log_softmax),
    "MatMul": _matmul,
    "MaxPool": _pool(layers.MaxPooling1D),
    "Mish": _activation("mish"),
    "Neg": _operation(ops.negative),
    "PRelu": _prelu,
    "ReduceMax": _reduced(ops.max),
    "ReduceMean": _reduced(ops.mean),
    "ReduceMin": _reduced(ops.min),
    "ReduceSum": _reduced(ops.sum),
    "Relu": _activation("relu"),
    "Selu": _layer(_selu),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax(ops.softmax),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Sqrt": _operation(ops.sqrt),
    "Tanh": _activation("tanh"),
}
