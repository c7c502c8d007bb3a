"""Convolutions and pooling over time in ONNX's operators, which have the channels before the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.export.onnx_activations import activated
from pyrnn.export.onnx_graph import Array, CannotExport, Graph, NeedsSize, Value


def _is_first(layer: Any) -> bool:
    return bool(layer.data_format == "channels_first")


def _channels_first(graph: Graph, layer: Any, x: Value) -> str:
    return x.name if _is_first(layer) else graph.transpose(x.name, (0, 2, 1))


def _back(graph: Graph, layer: Any, y: str) -> str:
    return y if _is_first(layer) else graph.transpose(y, (0, 2, 1))


def _time(layer: Any, x: Value) -> Any:
    return x.shape[2 if _is_first(layer) else 1]


def _padding(layer: Any, x: Value, reach: int, stride: int) -> dict[str, Any]:
    """Attributes for a window that reaches over `reach` steps after its first; "same" as TensorFlow has it."""
    if layer.padding == "valid":
        return {}
    if layer.padding == "causal":
        return {"pads": [reach, 0]}
    if stride == 1:
        return {"pads": [reach // 2, reach - reach // 2]}
    # How much is padded depends on the number of steps.
    steps = _time(layer, x)
    if steps is None:
        raise NeedsSize(
            f"padding='same' with strides={stride} pads by the number of steps: set it in Input(shape), got {x.shape}"
        )
    total = max(0, (-(-steps // stride) - 1) * stride + reach + 1 - steps)
    return {"pads": [total // 2, total - total // 2]}


def _activate(graph: Graph, layer: Any, y: str) -> str:
    """Add the activation, with the channels last."""
    if layer._activation_function is not None:
        raise CannotExport(
            "its activation is a function or a layer, which is not supported: a layer may come after it instead"
        )
    if not _is_first(layer):
        return activated(graph, y, layer._activation)
    return graph.transpose(activated(graph, graph.transpose(y, (0, 2, 1)), layer._activation), (0, 2, 1))


def _convolved(graph: Graph, layer: Any, x: Value, kernel: Array, groups: int, bias: Any, pads: dict[str, Any]) -> str:
    """A convolution with a kernel (K, C / groups, filters)."""
    if x.shape[1 if _is_first(layer) else 2] is None:
        raise NeedsSize(f"the number of channels must be known, got shape {x.shape}")
    inputs = [_channels_first(graph, layer, x), graph.constant(np.ascontiguousarray(kernel.transpose(2, 1, 0)))]
    if bias is not None:
        inputs.append(graph.constant(bias.array))
    y = graph.add(
        "Conv",
        *inputs,
        kernel_shape=[len(kernel)],
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        group=groups,
        **pads,
    )
    return _back(graph, layer, y)


def _reach(layer: Any) -> int:
    return int((layer.kernel_size[0] - 1) * layer.dilation_rate[0])


def convolution(graph: Graph, layer: Any, x: Value) -> str:
    """Conv1D."""
    pads = _padding(layer, x, _reach(layer), layer.strides[0])
    y = _convolved(graph, layer, x, layer.kernel.array, layer.groups, layer.bias, pads)
    return _activate(graph, layer, y)


def after_past(graph: Graph, layer: Any, x: Value, past: str) -> tuple[str, str]:
    """Add a causal Conv1D that continues an earlier sequence.

    Args:
        graph: The graph.
        layer: The layer, with strides of 1 and channels last.
        x: The input (B, T, C).
        past: Name of the last steps before it, (B, reach, C).

    Returns:
        The names of the output and of the last steps of the joined input.
    """
    whole = graph.add("Concat", past, x.name, axis=1)
    y = _convolved(graph, layer, x._replace(name=whole), layer.kernel.array, layer.groups, layer.bias, {})
    return _activate(graph, layer, y), graph.cut(whole, 1, -_reach(layer), 2**62)


def past_steps(layer: Any) -> int:
    """Return the number of earlier steps that a layer reads, if it can continue a sequence.

    Args:
        layer: Any layer.

    Returns:
        The number of steps, 0 if it reads none.

    Raises:
        CannotExport: If it is a convolution that also reads later steps or skips some.
    """
    if not isinstance(layer, layers.Conv1D | layers.DepthwiseConv1D | layers.SeparableConv1D):
        return 0
    if layer.strides == (1,) and not _reach(layer):
        return 0
    # Depthwise convolutions have no causal padding.
    if layer.padding != "causal" or layer.strides != (1,) or _is_first(layer):
        raise CannotExport(
            "with stateful=True a convolution must have padding='causal', strides=1 and channels last, got "
            f"padding={layer.padding!r}, strides={layer.strides[0]}, data_format={layer.data_format!r}"
        )
    return _reach(layer)


def depthwise(graph: Graph, layer: Any, x: Value) -> str:
    """DepthwiseConv1D: a convolution with one group a channel."""
    y = _depthwise(graph, layer, x, layer.bias)
    return _activate(graph, layer, y)


def _depthwise(graph: Graph, layer: Any, x: Value, bias: Any) -> str:
    size, channels, multiplier = layer.kernel.shape
    pads = _padding(layer, x, _reach(layer), layer.strides[0])
    kernel = layer.kernel.array.reshape(size, 1, channels * multiplier)
    return _convolved(graph, layer, x, kernel, channels, bias, pads)


def separable(graph: Graph, layer: Any, x: Value) -> str:
    """SeparableConv1D: a depthwise convolution and a product with the pointwise kernel."""
    y = _depthwise(graph, layer, x, None)
    if _is_first(layer):
        y = graph.transpose(y, (0, 2, 1))
    y = graph.add("MatMul", y, graph.constant(layer.pointwise_kernel.array[0]))
    if layer.bias is not None:
        y = graph.add("Add", y, graph.constant(layer.bias.array))
    return _activate(graph, layer, graph.transpose(y, (0, 2, 1)) if _is_first(layer) else y)


def pooling(graph: Graph, layer: Any, x: Value) -> str:
    """MaxPooling1D and AveragePooling1D; padding does not count."""
    size, stride = layer.pool_size[0], layer.strides[0]
    attributes: dict[str, Any] = {"kernel_shape": [size], "strides": [stride]}
    attributes |= _padding(layer, x, size - 1, stride)
    first = _channels_first(graph, layer, x)
    if layer.mode == "max":
        return _back(graph, layer, graph.add("MaxPool", first, **attributes))
    return _back(graph, layer, graph.add("AveragePool", first, count_include_pad=0, **attributes))


CONVOLUTIONS: dict[type, Callable[[Graph, Any, Value], str]] = {
    layers.AveragePooling1D: pooling,
    layers.Conv1D: convolution,
    layers.DepthwiseConv1D: depthwise,
    layers.MaxPooling1D: pooling,
    layers.SeparableConv1D: separable,
}
