"""Nodes of ONNX that move, cut, join and repeat axes; the table is `AXES`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn import layers
from pyrnn.interop.onnx_file import Node
from pyrnn.interop.onnx_inputs import Converter, Inputs, array, axis_of, constant
from pyrnn.interop.onnx_values import CannotImport, View, arranged, dropped, reshaped, shown_sizes, whole
from pyrnn.layers.core.operation import Operation


def squeezed(view: View, places: Sequence[int]) -> View:
    """Drop axes of size 1.

    Args:
        view: The array.
        places: The axes in ONNX.

    Returns:
        The view without them.

    Raises:
        CannotImport: If one has another size.
    """
    sizes = view.sizes
    if any(not 0 <= place < len(sizes) or sizes[place] != 1 for place in places):
        raise CannotImport(f"axes {list(places)} of an array of shape {shown_sizes(view)} do not have size 1")
    return dropped(view, places)


def _transpose(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    order = node.attributes.get("perm", list(range(len(view.axes)))[::-1])
    if sorted(order) != list(range(len(view.axes))):
        raise CannotImport(f"perm must hold each of {len(view.axes)} axes once, got {order}")
    return view._replace(axes=tuple(view.axes[axis] for axis in order))


def _concat(node: Node, values: Inputs) -> View:
    views = [array(node, values, place) for place in range(len(values))]
    axis, first = int(node.attributes.get("axis", 0)), views[0]
    if any(len(view.axes) != len(first.axes) for view in views):
        raise CannotImport("it must join arrays of the same number of axes")
    if -len(first.axes) <= axis < len(first.axes) and first.axes[axis] is None:
        # States of several layers (1, B, H): the new axis is the one after the batch axis.
        places = [place for place in first.axes if place is not None]
        rank = first.symbol.ndim + 1
        axes = iter([0, *range(2, rank)])
        target = tuple(1 if place == axis % len(first.axes) else next(axes) for place in range(len(first.axes)))
        if places != list(range(len(places))) or first.axes.count(None) > 1:
            raise CannotImport(f"it joins arrays of shape {shown_sizes(first)} along a new axis")
        return View(layers.Concatenate(axis=1)([arranged(view, target) for view in views]), target)
    place = axis_of(first, axis)
    if place == 0:
        raise CannotImport("it joins along the batch axis")
    return first._replace(symbol=layers.Concatenate(axis=place)([arranged(view, first.axes) for view in views]))


def _split(node: Node, values: Inputs) -> list[Any]:
    view = array(node, values, 0)
    axis = int(node.attributes.get("axis", 0))
    size, count = view.sizes[axis], len(node.outputs)
    sizes = node.attributes.get("split")
    if len(values) > 1 and values[1] is not None:
        sizes = [int(each) for each in constant(node, values, 1, 1)]
    if sizes is None and isinstance(size, int):
        part = -(-size // count)
        sizes = [part] * (count - 1) + [size - part * (count - 1)]
    if sizes is None or not isinstance(size, int) or len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise CannotImport(f"parts {sizes} do not fit an array of shape {shown_sizes(view)}")
    ends = np.cumsum(sizes)
    return [cut(view, axis, int(end) - part, int(end)) for part, end in zip(sizes, ends, strict=True)]


def cut(view: View, axis: int, start: int | None, end: int | None, step: int = 1) -> View:
    """Slice along an axis.

    Args:
        view: The array.
        axis: The axis in ONNX.
        start: The first place, or None.
        end: The place after the last one, or None.
        step: The distance of places.

    Returns:
        The view of the part.

    Raises:
        CannotImport: If it is the batch axis.
    """
    if not -len(view.axes) <= axis < len(view.axes):
        raise CannotImport(f"there is no axis {axis} in an array of shape {shown_sizes(view)}")
    if view.axes[axis] is None and (start or 0) in (0, -1) and (end is None or end >= 1):
        return view
    place = axis_of(view, axis)
    if (start, end, step) in ((None, None, 1), (0, None, 1), (0, view.symbol.shape[place], 1)):
        return view
    if place == 0:
        raise CannotImport("it slices the batch axis")
    key = [slice(None)] * place + [slice(start, end, step)]
    return view._replace(symbol=view.symbol[tuple(key)])


_FAR = 2**31 - 1


def _slice(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    lists = []
    for place, name in enumerate(("starts", "ends", "axes", "steps"), start=1):
        value = node.attributes.get(name)
        if place < len(values) and values[place] is not None:
            value = [int(each) for each in constant(node, values, place, 1)]
        lists.append(value)
    starts, ends, axes, steps = lists
    if starts is None or ends is None:
        raise CannotImport("its starts and ends must be constants")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise CannotImport("its starts, ends, axes and steps do not fit each other")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        first = None if step < 0 and start in (-1, _FAR) else start
        view = cut(view, axis, first, None if end >= _FAR or end <= -_FAR else end, step)
    return view


def _gather(node: Node, values: Inputs) -> View:
    axis = int(node.attributes.get("axis", 0))
    if isinstance(values[0], np.ndarray):
        table, ids = constant(node, values, 0, 2), array(node, values, 1)
        if axis != 0 or not table.size:
            raise CannotImport(f"rows of a constant of shape {table.shape} along axis {axis} are not supported")
        layer = layers.Embedding(*table.shape)
        symbol = layer(_whole_ids(ids.symbol))
        layer.set_weights([table])
        return View(symbol, (*ids.axes, symbol.ndim - 1))
    view, number = array(node, values, 0), constant(node, values, 1)
    if number.size != 1:
        raise CannotImport(f"it must take one place, got {number.size}")
    start = int(number.reshape(-1)[0])
    part = cut(view, axis, start, None if start == -1 else start + 1)
    return part if number.ndim else squeezed(part, [axis % len(view.axes)])


def _whole_ids(symbol: Any) -> Any:
    """An input that was converted to integers, before that: an Embedding reads whole numbers of any dtype."""
    node = symbol.node
    is_truncated = isinstance(node.layer, Operation) and node.layer.function.__name__ == "trunc"
    return node.inputs[0] if is_truncated and isinstance(node.inputs[0].node.layer, layers.InputLayer) else symbol


def _flatten(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    if node.attributes.get("axis", 1) != 1:
        raise CannotImport("it must keep the first axis")
    return reshaped(view, [0, -1])


def _pad(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    pads = node.attributes.get("pads")
    if len(values) > 1 and values[1] is not None:
        pads = [int(each) for each in constant(node, values, 1, 1)]
    axes = list(range(len(view.axes)))
    if len(values) > 3 and values[3] is not None:
        axes = [int(each) % len(view.axes) for each in constant(node, values, 3, 1)]
    fill = 0.0 if len(values) < 3 or values[2] is None else float(constant(node, values, 2).reshape(-1)[0])
    if node.attributes.get("mode", "constant") != "constant" or fill or pads is None or len(pads) != 2 * len(axes):
        raise CannotImport("it must pad with zeros, by constants")
    widths = {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes) if pads[n] or pads[n + len(axes)]}
    if len(widths) > 1 or any(not 0 <= each <= 2**20 for pair in widths.values() for each in pair):
        raise CannotImport(f"it must pad one axis by 0 to {2**20}, got {widths}")
    for axis, pair in widths.items():
        place = axis_of(view, axis)
        if view.symbol.ndim != 3 or place != 1:
            raise CannotImport(f"it must pad the axis of time, got axis {axis} of shape {shown_sizes(view)}")
        view = view._replace(symbol=layers.ZeroPadding1D(pair, data_format="channels_last")(view.symbol))
    return view


def _tile(node: Node, values: Inputs) -> View:
    view = array(node, values, 0)
    counts = [int(each) for each in constant(node, values, 1, 1)]
    if len(counts) != len(view.axes) or min(counts) < 1 or max(counts) > 2**20:
        raise CannotImport(f"it must repeat each axis 1 to {2**20} times, got {counts}")
    repeated = [place for place, count in enumerate(counts) if count > 1]
    if not repeated:
        return view
    if len(repeated) > 1 or view.axes != (0, None, 1) or repeated != [1]:
        raise CannotImport(f"it repeats axes {repeated} of an array of shape {shown_sizes(view)}")
    return whole(layers.RepeatVector(counts[1])(view.symbol))


AXES: dict[str, Converter] = {
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "Transpose": _transpose,
}
