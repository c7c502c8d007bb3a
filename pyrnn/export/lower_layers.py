"""What layers without recurrence become: dense, convolution, pooling, normalization, activations, shapes and merges."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.export.lowering import Lowering, Tensor, register
from pyrnn.export.program import (
    ROW_ACTIVATIONS,
    Activation,
    Affine,
    Combine,
    Convolution,
    JoinMasks,
    Lookup,
    MakeMask,
    Matrix,
    Move,
    Normalize,
    Pool,
    PoolAll,
    RowActivation,
    Select,
    Slope,
    Value,
    Window,
    vector_of,
)
from pyrnn.layers.convolution.convolution import window
from pyrnn.layers.normalization.layer import axis_list, positions
from pyrnn.layers.normalization.length import SMALLEST_NORM

_COMBINED = {
    layers.Add: "add",
    layers.Average: "add",
    layers.Subtract: "subtract",
    layers.Multiply: "multiply",
    layers.Maximum: "maximum",
    layers.Minimum: "minimum",
}


def activated(lowering: Lowering, tensor: Tensor, name: str, arguments: tuple[float, ...] = ()) -> Tensor:
    """Return an activation of x, by the name of the core or of `c_activations`."""
    if name == "linear":
        return tensor
    if name in ROW_ACTIVATIONS:
        width = tensor.shape[-1]
        shape = (*tensor.shape[:-1], width // 2 if name == "glu" else width)
        y = lowering.buffer(shape)
        lowering.add(RowActivation(tensor.value, y, name, width))
        return tensor._replace(value=y, shape=shape)
    y = lowering.buffer(tensor.shape)
    lowering.add(Activation(tensor.value, y, name, arguments))
    return tensor._replace(value=y)


def _activation_of(lowering: Lowering, layer: Any) -> str:
    """The name of a layer's activation; rejects functions."""
    if layer._activation_function is not None:
        lowering.reject(layer, "its activation is a function of Python")
    return str(layer._activation)


@register(
    layers.InputLayer, layers.Dropout, layers.SpatialDropout1D, layers.AlphaDropout, layers.GaussianDropout,
    layers.GaussianNoise, layers.Identity, layers.ActivityRegularization,
)  # fmt: skip
def nothing(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Layers that do nothing outside of training."""
    return lowering.result(layer, tensors[0], tensors[0].value)


@register(layers.Dense)
def dense(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """activation(x kernel + bias) along the last axis."""
    (x,) = tensors
    name, units = _activation_of(lowering, layer), layer.units
    shape = (*x.shape[:-1], units)
    y = lowering.buffer(shape)
    rows = math.prod(x.shape[:-1])
    lowering.add(Matrix(x.value, y, rows, layer.kernel.array, None if layer.bias is None else layer.bias.array))
    result = activated(lowering, x._replace(value=y, shape=shape), name)
    return lowering.result(layer, x, result.value, shape)


def _channels_last(lowering: Lowering, layer: Any, x: Tensor) -> Tensor:
    return lowering.permute(x, (1, 0)) if layer.data_format == "channels_first" else x


def _as_before(lowering: Lowering, layer: Any, y: Tensor) -> Tensor:
    return lowering.permute(y, (1, 0)) if layer.data_format == "channels_first" else y


@register(layers.Conv1D)
def convolution(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """A convolution without padding over x with zeros around it; in a stream over the last steps."""
    (x,) = tensors
    name = _activation_of(lowering, layer)
    size, stride, dilation = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    reach = (size - 1) * dilation
    inner = _channels_last(lowering, layer, x)
    if x.is_step:
        if reach:
            past = lowering.buffer(reach * x.shape[-1], role="state")
            wide = lowering.buffer((reach + 1, x.shape[-1]))
            lowering.add(Window(x.value, past, wide))
            inner = Tensor(wide, (reach + 1, x.shape[-1]))
    else:
        before, after, _ = window("Conv1D", inner.shape[0], size, stride, dilation, layer.padding)
        inner = lowering.padded(inner, before, after)
    steps = (inner.shape[0] - reach - 1) // stride + 1
    y = Tensor(lowering.buffer((steps, layer.filters)), (steps, layer.filters))
    bias = None if layer.bias is None else layer.bias.array
    lowering.add(
        Convolution(inner.value, y.value, inner.shape[0], layer.kernel.array, bias, stride, dilation, layer.groups)
    )
    y = _as_before(lowering, layer, activated(lowering, y, name))
    return lowering.result(layer, x, y.value, y.shape)


@register(layers.MaxPooling1D, layers.AveragePooling1D)
def pooling(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Windows over the steps; those of "same" padding end at the ends of x."""
    (x,) = tensors
    inner = _channels_last(lowering, layer, x)
    size, stride = layer.pool_size[0], layer.strides[0]
    before, _, steps = window(type(layer).__name__, inner.shape[0], size, stride, 1, layer.padding)
    y = Tensor(lowering.buffer((steps, inner.shape[1])), (steps, inner.shape[1]))
    lowering.add(Pool(inner.value, y.value, inner.shape[0], inner.shape[1], layer.mode, size, stride, before))
    y = _as_before(lowering, layer, y)
    return lowering.result(layer, x, y.value, y.shape)


@register(layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
def global_pooling(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """All steps; the mean is of those that the mask counts."""
    (x,) = tensors
    is_mean = isinstance(layer, layers.GlobalAveragePooling1D)
    inner = _channels_last(lowering, layer, x)
    mask = x.mask if is_mean else None
    y = lowering.buffer(inner.shape[1])
    lowering.add(PoolAll(inner.value, mask, y, inner.shape[1], "average" if is_mean else "max"))
    return [Tensor(y, lowering.output_shape(layer, x))]


@register(layers.Embedding)
def embedding(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Rows of a table."""
    (x,) = tensors
    if x.value.kind != "ids":
        lowering.reject(layer, "it must read an input of the model, which then holds integers")
    y = lowering.buffer((*x.shape, layer.output_dim))
    lowering.add(Lookup(x.value, y, layer.embeddings.array))
    mask = None
    if layer.mask_zero:
        if len(x.shape) != 1:
            lowering.reject(layer, "with mask_zero it takes one id per step")
        mask = lowering.buffer(x.shape, "mask")
        lowering.add(MakeMask(x.value, mask, 1, 0.0))
    return [Tensor(y, (*x.shape, layer.output_dim), mask, x.is_step)]


@register(layers.Masking)
def masking(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """A mask, and zeros where it does not count a step."""
    (x,) = tensors
    if len(x.shape) != 2:
        lowering.reject(layer, f"it must get steps of features, (time, features), got {x.shape}")
    mask = lowering.buffer(x.shape[0], "mask")
    lowering.add(MakeMask(x.value, mask, x.shape[1], layer.mask_value))
    y = x.value
    if layer.mask_value:
        y = lowering.buffer(x.shape)
        lowering.add(Select(x.value, mask, None, y, x.shape[1]))
    return [Tensor(y, x.shape, mask, x.is_step)]


# Activations.


@register(layers.Activation)
def activation(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """An activation by its name."""
    y = activated(lowering, tensors[0], _activation_of(lowering, layer))
    return lowering.result(layer, tensors[0], y.value, y.shape)


@register(layers.ReLU, layers.LeakyReLU, layers.ELU)
def rectifier(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """One of the core, or with numbers of its own."""
    (x,) = tensors
    if layer._core is not None:
        return lowering.result(layer, x, activated(lowering, x, layer._core).value)
    if isinstance(layer, layers.ELU):
        name, arguments = "elu_layer", [layer.alpha]
    elif isinstance(layer, layers.LeakyReLU):
        name, arguments = "leaky_relu_layer", [layer.negative_slope]
    else:
        name, arguments = "relu_layer", [layer.threshold, layer.negative_slope]
        if layer.max_value is not None:
            name, arguments = "capped_relu_layer", [*arguments, layer.max_value]
    return lowering.result(layer, x, activated(lowering, x, name, tuple(map(float, arguments))).value)


@register(layers.PReLU)
def slopes(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Trained slopes."""
    (x,) = tensors
    y = lowering.buffer(x.shape)
    lowering.add(Slope(x.value, y, vector_of(layer.alpha.array, x.shape)))
    return lowering.result(layer, x, y)


@register(layers.Softmax)
def softmax(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Softmax along some axes, as rows once they are the last ones."""
    (x,) = tensors
    if x.mask is not None:
        lowering.reject(layer, "a mask reaches it")
    axes = [axis - 1 for axis in positions(axis_list(layer.axis), (1, *x.shape))]
    moved, order = _axes_last(lowering, x, axes)
    width = math.prod(x.shape[axis] for axis in axes)
    y = lowering.buffer(x.shape)
    lowering.add(RowActivation(moved.value, y, "softmax", width))
    back = lowering.permute(moved._replace(value=y), np.argsort(order).tolist())
    return lowering.result(layer, x, back.value)


def _axes_last(lowering: Lowering, x: Tensor, axes: list[int]) -> tuple[Tensor, list[int]]:
    """x with some axes as its last ones, and the order of the axes."""
    order = [axis for axis in range(len(x.shape)) if axis not in axes] + list(axes)
    return lowering.permute(x, order), order


# Normalization.


@register(layers.BatchNormalization)
def batch_normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """The moving moments, then gamma and beta."""
    (x,) = tensors
    rank = len(x.shape) + 1

    variance = np.asarray(layer.moving_variance.array)
    factor = 1 / np.sqrt(variance + variance.dtype.type(layer.epsilon))
    shaped = [
        None if each is None else np.squeeze(np.broadcast_to(layer._wide(each, rank), (1, *x.shape)), 0)
        for each in (
            layer.moving_mean.array,
            factor if layer.gamma is None else factor * layer.gamma.array,
            None if layer.beta is None else layer.beta.array,
        )
    ]
    return lowering.result(layer, x, lowering.affine(x, *shaped).value)


def _normalized(lowering: Lowering, x: Tensor, axes: list[int], kind: str, epsilon: float) -> Tensor:
    moved, order = _axes_last(lowering, x, axes)
    y = lowering.buffer(x.shape)
    lowering.add(Normalize(moved.value, y, math.prod(x.shape[axis] for axis in axes), kind, epsilon))
    return lowering.permute(moved._replace(value=y), np.argsort(order).tolist())


def _spread(layer: Any, weight: Any) -> Any:
    """A weight of an AxisLayer, shaped to go with one sample; None if there is none."""
    if weight is None:
        return None
    array = layer._spread(weight.array)
    return array if layer._is_last else array[0]


@register(layers.LayerNormalization)
def layer_normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Mean 0 and variance 1 along some axes, then gamma and beta."""
    (x,) = tensors
    axes = [axis - 1 for axis in layer._positions_in(len(x.shape) + 1)]
    kind = "centred rms" if layer.rms_scaling else "variance"
    y = _normalized(lowering, x, axes, kind, float(layer.epsilon))
    y = lowering.affine(y, None, _spread(layer, layer.gamma), _spread(layer, layer.beta))
    return lowering.result(layer, x, y.value)


@register(layers.RMSNormalization)
def rms_normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Mean square 1 along some axes, then a scale."""
    (x,) = tensors
    axes = [axis - 1 for axis in layer._positions_in(len(x.shape) + 1)]
    y = _normalized(lowering, x, axes, "rms", float(layer.epsilon))
    return lowering.result(layer, x, lowering.affine(y, None, _spread(layer, layer.scale)).value)


@register(layers.UnitNormalization)
def unit_normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Length 1 along some axes."""
    (x,) = tensors
    axes = [axis - 1 for axis in positions(axis_list(layer.axis), (1, *x.shape))]
    y = _normalized(lowering, x, axes, "norm", float(SMALLEST_NORM))
    return lowering.result(layer, x, y.value)


@register(layers.GroupNormalization)
def group_normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Mean 0 and variance 1 over groups of channels, then gamma and beta by channel."""
    (x,) = tensors
    axis = layer._positions[0] - 1
    order = [axis, *(each for each in range(len(x.shape)) if each != axis)]
    moved = lowering.permute(x, order)
    y = lowering.buffer(x.shape)
    lowering.add(Normalize(moved.value, y, x.value.size // layer.groups, "variance", float(layer.epsilon)))
    back = lowering.permute(moved._replace(value=y), np.argsort(order).tolist())
    wide = [1] * len(x.shape)
    wide[axis] = -1
    gamma, beta = (None if each is None else each.array.reshape(wide) for each in (layer.gamma, layer.beta))
    if gamma is not None or beta is not None:
        back = lowering.affine(back, None, gamma, beta)
    return lowering.result(layer, x, back.value)


@register(layers.Normalization)
def normalization(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Fixed moments."""
    (x,) = tensors
    mean, stddev = layer._moments_along()
    mean, stddev = (each if layer._is_last else np.asarray(each)[0] for each in (mean, stddev))
    terms = (None, stddev, mean) if layer.invert else (mean, 1 / stddev, None)
    return lowering.result(layer, x, lowering.affine(x, *terms).value)


@register(layers.Rescaling)
def rescaling(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """x * scale + offset."""
    y = lowering.affine(tensors[0], None, np.asarray(layer.scale), np.asarray(layer.offset))
    return lowering.result(layer, tensors[0], y.value)


# Shapes.


@register(layers.Reshape)
def reshape(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """The same numbers in the same order."""
    return [Tensor(tensors[0].value, lowering.output_shape(layer, tensors[0]))]


@register(layers.Flatten)
def flatten(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """One axis."""
    (x,) = tensors
    if layer.data_format == "channels_first" and len(x.shape) > 1:
        x = lowering.permute(x, [*range(1, len(x.shape)), 0])
    return [Tensor(x.value, (x.value.size,))]


@register(layers.RepeatVector)
def repeat(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """The same step n times."""
    (x,) = tensors
    y = lowering.broadcast(x._replace(shape=(1, *x.shape)), (layer.n, *x.shape))
    return [Tensor(y, (layer.n, *x.shape))]


@register(layers.Permute)
def permute(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Axes in another order."""
    y = lowering.permute(tensors[0], [axis - 1 for axis in layer.dims])
    return [Tensor(y.value, y.shape)]


@register(layers.ZeroPadding1D)
def zero_padding(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Steps of zeros."""
    x = _channels_last(lowering, layer, tensors[0])
    y = _as_before(lowering, layer, lowering.padded(x, *layer.padding))
    return [Tensor(y.value, y.shape)]


@register(layers.Cropping1D)
def cropping(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Without some steps."""
    (x,) = tensors
    shape = lowering.output_shape(layer, x)
    y = lowering.buffer(shape)
    lowering.add(Move(x.value, y, (y.size,), (1,), (1,), start=layer.cropping[0] * x.shape[1]))
    return [Tensor(y, shape)]


@register(layers.UpSampling1D)
def up_sampling(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """Each step several times."""
    (x,) = tensors
    steps, channels = x.shape
    wide = x._replace(shape=(steps, 1, channels))
    return [Tensor(lowering.broadcast(wide, (steps, layer.size, channels)), (steps * layer.size, channels))]


# Merges.


def _same_time(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> bool:
    """Whether the inputs are steps of a stream; rejects steps next to other sequences."""
    if len({each.is_step for each in tensors if len(each.shape) > 1}) > 1:
        lowering.reject(layer, "in a stream it merges steps with a whole sequence: pass stream=False")
    return any(each.is_step for each in tensors)


@register(*_COMBINED)
def combine(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """One number from each input, broadcast; masked steps as in `Merging`."""
    is_step = _same_time(lowering, layer, tensors)
    rank = max(len(each.shape) for each in tensors)
    masks = [each.mask for each in tensors]
    same_rank = all(len(each.shape) == rank for each in tensors)
    tensors = [each._replace(shape=(*[1] * (rank - len(each.shape)), *each.shape)) for each in tensors]
    shape = tuple(np.broadcast_shapes(*(each.shape for each in tensors)))
    values = [lowering.broadcast(each, shape) for each in tensors]
    joined = _joined(lowering, [mask for mask in masks if mask is not None]) if None not in masks else None
    kind = _COMBINED[type(layer)]
    if kind not in ("add", "subtract") and same_rank and any(mask is not None for mask in masks):
        values = _counted_only(lowering, layer, values, masks, kind)
    y = functools.reduce(functools.partial(_combined, lowering, kind), values)
    if isinstance(layer, layers.Average):
        mean = lowering.buffer(shape)
        lowering.add(Affine(y, mean, None, np.full(1, 1 / len(values), np.float32), None))
        y = mean
    if kind == "multiply" and same_rank and joined is not None:
        result = lowering.buffer(shape)
        lowering.add(Select(y, joined, None, result, y.size // joined.size))
        y = result
    return [Tensor(y, shape, joined, is_step)]


def _combined(lowering: Lowering, kind: str, x: Value, other: Value) -> Value:
    y = lowering.buffer(x.size)
    lowering.add(Combine(x, other, y, kind))
    return y


def _counted_only(
    lowering: Lowering, layer: Any, values: list[Value], masks: list[Value | None], kind: str
) -> list[Value]:
    """The inputs with what takes the place of steps that do not count."""
    if kind != "multiply":
        lowering.reject(layer, "a mask reaches it")
    results = []
    for value, mask in zip(values, masks, strict=True):
        if mask is not None:
            y = lowering.buffer(value.size)
            lowering.add(Select(value, mask, None, y, value.size // mask.size, 1.0))
            value = y
        results.append(value)
    return results


def _joined(lowering: Lowering, masks: list[Value]) -> Value | None:
    """The steps that one of the masks counts."""
    distinct = list(dict.fromkeys(masks))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    y = lowering.buffer(distinct[0].size, "mask")
    lowering.add(JoinMasks(distinct, y))
    return y


@register(layers.Concatenate)
def concatenate(lowering: Lowering, layer: Any, tensors: list[Tensor]) -> list[Tensor]:
    """One input after the other along an axis."""
    is_step = _same_time(lowering, layer, tensors)
    rank = len(tensors[0].shape)
    axis = layer.axis - 1 if layer.axis > 0 else layer.axis + rank
    masks = [each.mask for each in tensors]
    if is_step and axis == 0:
        lowering.reject(layer, "it joins along time, and a stream has one step: pass stream=False")
    if axis == 0 and any(mask is not None for mask in masks):
        lowering.reject(layer, "it joins sequences with masks along time")
    shape = list(tensors[0].shape)
    shape[axis] = sum(each.shape[axis] for each in tensors)
    y = lowering.buffer(tuple(shape))
    inner = math.prod(shape[axis + 1 :])
    to = 0
    for each in tensors:
        width = each.shape[axis] * inner
        outer = math.prod(shape[:axis])
        lowering.add(Move(each.value, y, (outer, width), (width, 1), (shape[axis] * inner, 1), to=to))
        to += width
    # An input without a mask counts all of its steps, and so does the result.
    mask = _joined(lowering, [each for each in masks if each is not None]) if None not in masks else None
    return [Tensor(y, tuple(shape), mask, is_step)]
