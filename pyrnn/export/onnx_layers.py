"""How each layer that reads one array is written in ONNX's operators; the table is `LAYERS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.export.onnx_activations import activated
from pyrnn.export.onnx_convolutions import CONVOLUTIONS
from pyrnn.export.onnx_graph import Array, CannotExport, Graph, NeedsSize, Shape, Value
from pyrnn.layers.core.add_loss import AddLoss

_LOWEST = -1e9  # Softmax's value where its mask is False


def rank_of(x: Value) -> int:
    """The number of axes."""
    return len(x.shape)


def required_size(x: Value, axis: int) -> int:
    """Return the size of an axis, which a weight or an attribute depends on.

    Args:
        x: The array.
        axis: Number of the axis.

    Returns:
        The size.

    Raises:
        NeedsSize: If any size is allowed there.
    """
    size = x.shape[axis]
    if size is None:
        raise NeedsSize(f"the size of its input must be known along axis {axis % rank_of(x)}, got shape {x.shape}")
    return int(size)


def _axes(layer: Any, x: Value) -> list[int]:
    """The argument `axis` as a list of axes from 0."""
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return [axis % rank_of(x) for axis in axes]


def fit_constant(x: Value, constant: Any) -> Array:
    """Return a constant to go with x, whose sizes must be known where the constant has more than one value."""
    array = np.asarray(constant, np.float32)
    for axis, size in enumerate(reversed(array.shape), start=1):
        if size != 1 and axis <= rank_of(x):
            required_size(x, -axis)
    return array


def activate(graph: Graph, layer: Any, name: str, x: Value) -> str:
    """Add the activation of a layer, which may be another layer."""
    function = layer._activation_function
    if function is None:
        return activated(graph, name, layer._activation)
    inner = function.layer
    if inner is None or type(inner) not in LAYERS:
        what = "a function" if inner is None else f"the layer {inner.name!r} ({type(inner).__name__})"
        raise CannotExport(f"its activation is {what}, which is not supported")
    return LAYERS[type(inner)](graph, inner, x._replace(name=name))


def dense(graph: Graph, layer: Any, x: Value) -> str:
    """Dense: a product with the kernel along the last axis."""
    required_size(x, -1)
    y = graph.add("MatMul", x.name, graph.constant(layer.kernel.array))
    if layer.bias is not None:
        y = graph.add("Add", y, graph.constant(layer.bias.array))
    return activate(graph, layer, y, x._replace(shape=(*x.shape[:-1], layer.units)))


def einsum_dense(graph: Graph, layer: Any, x: Value) -> str:
    """EinsumDense."""
    parts = layer._parts_for(x.shape)
    for axis, letter in enumerate(parts.x):
        if letter in parts.kernel:
            required_size(x, axis)
    equation = f"{parts.x},{parts.kernel}->{parts.y}"
    y = graph.add("Einsum", x.name, graph.constant(layer.kernel.array), equation=equation)
    after = x._replace(shape=parts.output_shape)
    if layer.bias is not None:
        y = graph.add("Add", y, graph.constant(fit_constant(after, layer.bias.array)))
    return activate(graph, layer, y, after)


def embedding(graph: Graph, layer: Any, x: Value) -> str:
    """Embedding: rows of the table; ids that are floats are converted."""
    ids = x.name if x.dtype in ("int32", "int64") else graph.cast(x.name, "int64")
    return str(graph.add("Gather", graph.constant(layer.embeddings.array), ids, axis=0))


def activation(graph: Graph, layer: Any, x: Value) -> str:
    """Activation."""
    return activate(graph, layer, x.name, x)


def rescaling(graph: Graph, layer: Any, x: Value) -> str:
    """Rescaling."""
    scale, offset = (graph.constant(fit_constant(x, each)) for each in (layer._scale, layer._offset))
    return str(graph.add("Add", graph.add("Mul", x.name, scale), offset))


def identity(graph: Graph, layer: Any, x: Value) -> str:
    """A layer that does nothing in inference."""
    return x.name


def masking(graph: Graph, layer: Any, x: Value) -> str:
    """Masking: 0 in the steps that do not count."""
    if layer.mask_value == 0:
        return x.name
    return graph.where(
        graph.unsqueeze(differing(graph, x, layer.mask_value), rank_of(x) - 1), x.name, graph.constant(0.0)
    )


def differing(graph: Graph, x: Value, value: float) -> str:
    """Whether any value along the last axis differs from `value`."""
    equal = graph.cast(graph.add("Equal", x.name, graph.constant(value)), "float32")
    least = graph.add("ReduceMin", equal, graph.integers([rank_of(x) - 1]), keepdims=0)
    return str(graph.add("Less", least, graph.constant(0.5)))


# Shapes.


def flatten(graph: Graph, layer: Any, x: Value) -> str:
    """Flatten."""
    name = x.name
    if layer.data_format == "channels_first" and rank_of(x) > 2:
        name = graph.transpose(name, (0, *range(2, rank_of(x)), 1))
    if rank_of(x) == 1:
        return graph.unsqueeze(name, 1)
    return graph.reshape(name, (0, -1))


def reshape(graph: Graph, layer: Any, x: Value) -> str:
    """Reshape."""
    target = list(layer.target_shape)
    if None in x.shape[1:] and -1 not in target:
        raise NeedsSize(f"target_shape {layer.target_shape} fits one size of its input, got shape {x.shape}")
    if 0 in target:
        raise CannotExport(f"a size of 0 has another meaning in ONNX's Reshape, got target_shape {layer.target_shape}")
    return graph.reshape(x.name, [0, *target])


def permute(graph: Graph, layer: Any, x: Value) -> str:
    """Permute."""
    return graph.transpose(x.name, (0, *layer.dims))


def repeat_vector(graph: Graph, layer: Any, x: Value) -> str:
    """RepeatVector."""
    return str(graph.add("Tile", graph.unsqueeze(x.name, 1), graph.integers([1, layer.n, 1])))


def zero_padding(graph: Graph, layer: Any, x: Value) -> str:
    """ZeroPadding1D."""
    axis = 1 if layer.data_format == "channels_last" else 2
    return str(graph.add("Pad", x.name, graph.integers(layer.padding), "", graph.integers([axis])))


def cropping(graph: Graph, layer: Any, x: Value) -> str:
    """Cropping1D."""
    first, last = layer.cropping
    return graph.cut(x.name, 1, first, -last if last else 2**62)


def up_sampling(graph: Graph, layer: Any, x: Value) -> str:
    """UpSampling1D."""
    wide = graph.add("Tile", graph.unsqueeze(x.name, 2), graph.integers([1, 1, layer.size, 1]))
    return graph.reshape(wide, (0, -1, required_size(x, 2)))


# Activation layers.


def relu(graph: Graph, layer: Any, x: Value) -> str:
    """ReLU with its three numbers."""
    plain = layer.threshold == 0 and not layer.negative_slope
    if plain and layer.max_value is None:
        return str(graph.add("Relu", x.name))
    zero, threshold = graph.constant(0.0), graph.constant(layer.threshold)
    y = graph.where(graph.add("Greater", x.name, threshold), x.name, zero)
    if layer.max_value is not None:
        y = graph.add("Min", y, graph.constant(layer.max_value))
    if layer.negative_slope:
        below = graph.add("Min", graph.add("Sub", x.name, threshold), zero)
        y = graph.add("Add", y, graph.add("Mul", below, graph.constant(layer.negative_slope)))
    return y


def leaky_relu(graph: Graph, layer: Any, x: Value) -> str:
    """LeakyReLU."""
    return str(graph.add("LeakyRelu", x.name, alpha=float(layer.negative_slope)))


def elu(graph: Graph, layer: Any, x: Value) -> str:
    """ELU."""
    return str(graph.add("Elu", x.name, alpha=float(layer.alpha)))


def prelu(graph: Graph, layer: Any, x: Value) -> str:
    """PReLU."""
    return str(graph.add("PRelu", x.name, graph.constant(fit_constant(x, layer.alpha.array))))


def softmax(graph: Graph, layer: Any, x: Value) -> str:
    """Softmax along one axis."""
    rank, axes = rank_of(x), _axes(layer, x)
    if len(axes) > 1:
        raise CannotExport(f"ONNX's Softmax runs along one axis, got axis={layer.axis}")
    if x.mask is None:
        return str(graph.add("Softmax", x.name, axis=axes[0]))
    if rank != 2:
        raise CannotExport(f"a mask (B, T) reaches it, which broadcasts with x of two axes only, got shape {x.shape}")
    low = graph.where(x.mask, x.name, graph.constant(_LOWEST))
    return graph.where(x.mask, graph.add("Softmax", low, axis=axes[0]), graph.constant(0.0))


# Normalizations.


def _scaled(graph: Graph, layer: Any, y: str, x: Value, shape: Shape) -> str:
    """gamma * y + beta."""
    for operator, weight in (("Mul", layer.gamma), ("Add", layer.beta)):
        if weight is not None:
            y = graph.add(operator, y, graph.constant(fit_constant(x, weight.array.reshape(shape))))
    return y


def batch_normalization(graph: Graph, layer: Any, x: Value) -> str:
    """BatchNormalization with the moving statistics."""
    shape = [1] * rank_of(x)
    axis = layer._positions[0]
    shape[axis] = required_size(x, axis)
    mean, variance = (each.array.reshape(shape) for each in (layer.moving_mean, layer.moving_variance))
    factor = (1 / np.sqrt(variance + np.float32(layer.epsilon))).astype(np.float32)
    y = graph.add("Mul", graph.add("Sub", x.name, graph.constant(mean)), graph.constant(factor))
    return _scaled(graph, layer, y, x, tuple(shape))


def _moments(graph: Graph, x: str, axes: Sequence[int], epsilon: float) -> tuple[str, str]:
    """x without its mean along axes, and the root of its variance plus epsilon."""
    centred = str(graph.add("Sub", x, graph.add("ReduceMean", x, graph.integers(list(axes)))))
    return centred, _root_mean_square(graph, centred, axes, epsilon)


def _root_mean_square(graph: Graph, x: str, axes: Sequence[int], epsilon: float) -> str:
    square = graph.add("ReduceMean", graph.add("Mul", x, x), graph.integers(list(axes)))
    return str(graph.add("Sqrt", graph.add("Add", square, graph.constant(epsilon))))


def layer_normalization(graph: Graph, layer: Any, x: Value) -> str:
    """LayerNormalization along any axes."""
    axes = layer._positions_in(rank_of(x))
    for axis in axes:
        required_size(x, axis)
    centred, root = _moments(graph, x.name, axes, layer.epsilon)
    y = graph.add("Div", x.name if layer.rms_scaling else centred, root)
    shape = tuple(required_size(x, axis) if axis in axes else 1 for axis in range(1, rank_of(x)))
    return _scaled(graph, layer, y, x, shape if 0 not in axes else (required_size(x, 0), *shape))


def group_normalization(graph: Graph, layer: Any, x: Value) -> str:
    """GroupNormalization: the channels come first, in groups."""
    rank, axis = rank_of(x), layer._positions[0]
    order = (0, axis, *(each for each in range(1, rank) if each != axis))
    channels = required_size(x, axis)
    first = graph.transpose(x.name, order)
    grouped = graph.reshape(first, (0, layer.groups, -1))
    centred, root = _moments(graph, grouped, [2], layer.epsilon)
    normal = graph.add("Reshape", graph.add("Div", centred, root), graph.sizes_of(first, 0, rank))
    y = _scaled(
        graph, layer, normal, x._replace(shape=tuple(x.shape[each] for each in order)), (channels, *[1] * (rank - 2))
    )
    return graph.transpose(y, [int(each) for each in np.argsort(order)])


def rms_normalization(graph: Graph, layer: Any, x: Value) -> str:
    """RMSNormalization."""
    axes = layer._positions_in(rank_of(x))
    shape = tuple(required_size(x, axis) if axis in axes else 1 for axis in range(1, rank_of(x)))
    y = graph.add("Div", x.name, _root_mean_square(graph, x.name, axes, layer.epsilon))
    return str(graph.add("Mul", y, graph.constant(fit_constant(x, layer.scale.array.reshape(shape)))))


def unit_normalization(graph: Graph, layer: Any, x: Value) -> str:
    """UnitNormalization."""
    square = graph.add("ReduceSum", graph.add("Mul", x.name, x.name), graph.integers(_axes(layer, x)))
    length = graph.add("Sqrt", square)
    return str(graph.add("Div", x.name, graph.add("Max", length, graph.constant(1e-6))))


def normalization(graph: Graph, layer: Any, x: Value) -> str:
    """Normalization with its mean and standard deviation."""
    mean, stddev = (graph.constant(fit_constant(x, each)) for each in layer._moments_along())
    if layer.invert:
        return str(graph.add("Add", mean, graph.add("Mul", x.name, stddev)))
    return str(graph.add("Div", graph.add("Sub", x.name, mean), stddev))


def global_average(graph: Graph, layer: Any, x: Value) -> str:
    """GlobalAveragePooling1D, over the steps that count."""
    axis, keep = 1 if layer.data_format == "channels_last" else 2, int(layer.keepdims)
    if x.mask is None:
        return str(graph.add("ReduceMean", x.name, graph.integers([axis]), keepdims=keep))
    if axis != 1:
        raise CannotExport("a mask reaches it with data_format='channels_first'")
    counts = graph.unsqueeze(x.mask, 2)
    total = graph.add("ReduceSum", graph.cast(counts, "float32"), graph.integers([1]), keepdims=keep)
    sums = graph.add("ReduceSum", graph.where(counts, x.name, graph.constant(0.0)), graph.integers([1]), keepdims=keep)
    return str(graph.add("Div", sums, total))


def global_max(graph: Graph, layer: Any, x: Value) -> str:
    """GlobalMaxPooling1D."""
    axis = 1 if layer.data_format == "channels_last" else 2
    return str(graph.add("ReduceMax", x.name, graph.integers([axis]), keepdims=int(layer.keepdims)))


def time_distributed(graph: Graph, layer: Any, x: Value) -> str:
    """TimeDistributed: all steps as rows of one batch."""
    inner = layer.layer
    if type(inner) not in LAYERS:
        raise CannotExport(f"its layer {inner.name!r} ({type(inner).__name__}) is not supported in TimeDistributed")
    if type(inner) is layers.Dense:
        return dense(graph, inner, x)
    rest = [required_size(x, axis) for axis in range(2, rank_of(x))]
    after = inner.compute_output_shape((None, *rest))[1:]
    if None in after:
        raise CannotExport(f"its layer {inner.name!r} makes an output of unknown size {after}")
    rows = x._replace(name=graph.reshape(x.name, (-1, *rest)), shape=(None, *rest), mask=None)
    y = LAYERS[type(inner)](graph, inner, rows)
    sizes = graph.add("Concat", graph.sizes_of(x.name, 0, 2), graph.integers(list(after)), axis=0)
    return str(graph.add("Reshape", y, sizes))


Exporter = Callable[[Graph, Any, Value], str]

LAYERS: dict[type, Exporter] = {
    **{
        kind: identity
        for kind in (
            layers.ActivityRegularization, AddLoss, layers.AlphaDropout, layers.Dropout, layers.GaussianDropout,
            layers.GaussianNoise, layers.Identity, layers.SpatialDropout1D,
        )
    },
    **CONVOLUTIONS,
    layers.Activation: activation,
    layers.BatchNormalization: batch_normalization,
    layers.Cropping1D: cropping,
    layers.Dense: dense,
    layers.ELU: elu,
    layers.EinsumDense: einsum_dense,
    layers.Embedding: embedding,
    layers.Flatten: flatten,
    layers.GlobalAveragePooling1D: global_average,
    layers.GlobalMaxPooling1D: global_max,
    layers.GroupNormalization: group_normalization,
    layers.LayerNormalization: layer_normalization,
    layers.LeakyReLU: leaky_relu,
    layers.Masking: masking,
    layers.Normalization: normalization,
    layers.PReLU: prelu,
    layers.Permute: permute,
    layers.RMSNormalization: rms_normalization,
    layers.ReLU: relu,
    layers.RepeatVector: repeat_vector,
    layers.Rescaling: rescaling,
    layers.Reshape: reshape,
    layers.Softmax: softmax,
    layers.TimeDistributed: time_distributed,
    layers.UnitNormalization: unit_normalization,
    layers.UpSampling1D: up_sampling,
    layers.ZeroPadding1D: zero_padding,
}  # fmt: skip
