"""Nodes of ONNX on constants and sizes, which are computed while a model is made; the table is `OF_SIZES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.interop.onnx_axes import squeezed
from pyrnn.interop.onnx_file import MOST_AXES, Node
from pyrnn.interop.onnx_values import CannotImport, Filled, Size, Sizes, View, ops, reshaped, shown_target

Array = NDArray[Any]

_MOST_NUMBERS = 2**24  # of a constant that is computed


def _limited(count: Any) -> None:
    if count > _MOST_NUMBERS:
        raise CannotImport(f"it makes {count} numbers, more than {_MOST_NUMBERS}")


def _constant(node: Node, inputs: Sequence[Any]) -> Any:
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
                        ("value_ints", np.int64)):  # fmt: skip
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    if not isinstance(node.attributes.get("value"), np.ndarray):
        raise CannotImport("it must hold numbers")
    return node.attributes["value"]


def _shape(node: Node, inputs: Sequence[Any]) -> Any:
    if isinstance(inputs[0], np.ndarray):
        sizes: list[Any] = list(inputs[0].shape)
    elif isinstance(inputs[0], View):
        sizes = inputs[0].sizes
    else:
        return None
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(sizes))
    return _sizes(sizes[start:end])


def _sizes(values: list[Any], is_scalar: bool = False) -> Any:
    """Sizes as a constant if all are known."""
    if any(isinstance(each, Size) for each in values):
        return Sizes(values, is_scalar)
    return np.asarray(values[0] if is_scalar else values, np.int64)


def _listed(value: Any) -> list[Any] | None:
    """Integers and sizes as a list."""
    if isinstance(value, Sizes):
        return value.values
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim < 2:
        return [int(each) for each in value.reshape(-1)]
    return None


def _cast(node: Node, inputs: Sequence[Any]) -> Any:
    value = inputs[0]
    kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
    to = node.attributes.get("to")
    if isinstance(value, Sizes) and to in (6, 7):
        return value
    if isinstance(value, Filled) and to in kinds:
        return Filled(np.float64(value.value).astype(kinds[to]).item(), value.sizes)
    if isinstance(value, np.ndarray) and to in kinds:
        return value.astype(kinds[to])
    if isinstance(value, View) and (to == 1 or (to in (6, 7) and value.symbol.dtype in ("int32", "int64"))):
        return value
    if isinstance(value, View) and to in (6, 7):
        return View(ops.trunc(value.symbol), value.axes)
    raise CannotImport(f"a conversion to the element type {to} is not supported")


def _constant_of_shape(node: Node, inputs: Sequence[Any]) -> Any:
    sizes = _listed(inputs[0])
    fill = node.attributes.get("value", np.zeros(1, np.float32))
    if sizes is None or not isinstance(fill, np.ndarray) or fill.size != 1:
        raise CannotImport("it must read a shape")
    if any(isinstance(each, Size) for each in sizes):
        return Filled(float(fill.reshape(-1)[0]), sizes)
    return _full(sizes, fill)


def _full(sizes: Sequence[int], fill: Array) -> Array:
    count = 1
    for size in sizes:
        if size < 0:
            raise CannotImport(f"sizes must be at least 0, got {list(sizes)}")
        count *= size
    _limited(count)
    return np.full(tuple(sizes), fill.reshape(-1)[0], fill.dtype)


def _expand(node: Node, inputs: Sequence[Any]) -> Any:
    sizes = _listed(inputs[1])
    value = inputs[0]
    if sizes is None:
        raise CannotImport("it must read a shape")
    if isinstance(value, View):
        if len(sizes) <= len(value.axes) and all(
            each == 1 or each == size for each, size in zip(reversed(sizes), reversed(value.sizes), strict=False)
        ):
            return value
        raise CannotImport("it widens an array of the model")
    if isinstance(value, Filled) or (isinstance(value, np.ndarray) and value.size and (value == value.flat[0]).all()):
        number = value.value if isinstance(value, Filled) else float(value.flat[0])
        if any(isinstance(each, Size) for each in sizes):
            return Filled(number, sizes)
    if isinstance(value, np.ndarray):
        shape = np.broadcast_shapes(value.shape, tuple(int(each) for each in sizes))
        _limited(int(np.prod(shape, dtype=object)))
        return np.array(np.broadcast_to(value, shape))
    raise CannotImport("it widens a constant by sizes that are not known")


def _reshape(node: Node, inputs: Sequence[Any]) -> Any:
    target = _listed(inputs[1]) if len(inputs) > 1 else node.attributes.get("shape")
    value = inputs[0]
    if target is None:
        raise CannotImport("its shape must be a constant or made of sizes")
    if node.attributes.get("allowzero", 0) and any(size == 0 for size in target):
        raise CannotImport(f"it makes an array without numbers: shape {shown_target(target)} with allowzero")
    if isinstance(value, View):
        return reshaped(value, target)
    if isinstance(value, Sizes) and target == [-1]:
        return Sizes(value.values)
    if isinstance(value, np.ndarray):
        return value.reshape([value.shape[n] if size == 0 else size for n, size in enumerate(target)])
    raise CannotImport("it reads values of a kind that is not supported")


def _axes(node: Node, inputs: Sequence[Any], rank: int) -> list[int]:
    axes = node.attributes.get("axes")
    if len(inputs) > 1 and inputs[1] is not None:
        axes = _listed(inputs[1])
    if axes is None or any(not isinstance(axis, int) or not -rank <= axis < rank for axis in axes):
        raise CannotImport(f"its axes must be constants of {rank} axes, got {axes}")
    if len({axis % rank for axis in axes}) < len(axes):
        raise CannotImport(f"its axes must be different, got {axes}")
    return [axis % rank for axis in axes]


def _squeeze(node: Node, inputs: Sequence[Any]) -> Any:
    value = inputs[0]
    if isinstance(value, View):
        if len(inputs) < 2 and "axes" not in node.attributes:
            raise CannotImport("it must name its axes")
        return squeezed(value, _axes(node, inputs, len(value.axes)))
    if isinstance(value, Sizes):
        return Sizes(value.values, True)
    if isinstance(value, np.ndarray):
        if len(inputs) < 2 and "axes" not in node.attributes:
            return np.squeeze(value)
        return np.squeeze(value, tuple(_axes(node, inputs, value.ndim)))
    return None


def _unsqueeze(node: Node, inputs: Sequence[Any]) -> Any:
    value = inputs[0]
    count = len(_listed(inputs[1]) or []) if len(inputs) > 1 else len(node.attributes.get("axes", []))
    if isinstance(value, View):
        rank = len(value.axes) + count
        if rank > MOST_AXES:
            raise CannotImport(f"it makes {rank} axes, more than {MOST_AXES}")
        places = _axes(node, inputs, rank)
        remaining = iter(value.axes)
        return value._replace(axes=tuple(None if place in places else next(remaining) for place in range(rank)))
    if isinstance(value, Sizes) and value.is_scalar and count == 1:
        return Sizes(value.values)
    if isinstance(value, Filled):
        places = _axes(node, inputs, len(value.sizes) + count)
        sizes = iter(value.sizes)
        return Filled(value.value, [1 if n in places else next(sizes) for n in range(len(value.sizes) + count)])
    if isinstance(value, np.ndarray):
        return np.expand_dims(value, tuple(_axes(node, inputs, value.ndim + count)))
    return None


def _gather_sizes(node: Node, inputs: Sequence[Any]) -> Any:
    value, number = inputs[0], inputs[1]
    if isinstance(value, Sizes) and isinstance(number, np.ndarray):
        if number.ndim == 0:
            return _sizes([value.values[int(number)]], True)
        return _sizes([value.values[int(each)] for each in number.reshape(-1)])
    if isinstance(value, np.ndarray) and isinstance(number, np.ndarray):
        _limited(number.size * max(1, value[:1].size))
        return np.take(value, number.astype(np.int64), int(node.attributes.get("axis", 0)))
    return None


def _slice_sizes(node: Node, inputs: Sequence[Any]) -> Any:
    value = inputs[0]
    if not isinstance(value, Sizes | Filled | np.ndarray):
        return None
    lists = [_listed(each) for each in inputs[1:5]]
    if "starts" in node.attributes:
        lists = [node.attributes.get(name) for name in ("starts", "ends", "axes")]
    starts, ends, axes, steps = [*lists, None, None, None, None][:4]
    if starts is None or ends is None:
        raise CannotImport("its starts and ends must be constants")
    if isinstance(value, Filled):
        sizes = list(value.sizes)
        for n, (start, end) in enumerate(zip(starts, ends, strict=True)):
            axis = n if axes is None else axes[n]
            if not isinstance(sizes[axis], int):
                raise CannotImport("it slices a constant along an axis whose size is not known")
            sizes[axis] = len(range(sizes[axis])[start:end])
        return Filled(value.value, sizes)
    if isinstance(value, Sizes):
        return _sizes(value.values[starts[0] : ends[0] : 1 if steps is None else steps[0]])
    for n, start in enumerate(starts):
        axis = n if axes is None else axes[n]
        key = [slice(None)] * value.ndim
        key[axis] = slice(start, ends[n], 1 if steps is None else steps[n])
        value = value[tuple(key)]
    return value


def _concat_sizes(node: Node, inputs: Sequence[Any]) -> Any:
    if all(isinstance(each, np.ndarray) for each in inputs):
        return np.concatenate(inputs, int(node.attributes.get("axis", 0)))
    if any(isinstance(each, Sizes) for each in inputs):
        lists = [_listed(each) for each in inputs]
        if any(each is None for each in lists):
            raise CannotImport("it joins sizes and other values")
        return _sizes([size for each in lists if each is not None for size in each])
    if all(isinstance(each, Filled) or (isinstance(each, np.ndarray) and not each.any()) for each in inputs):
        first = next(each for each in inputs if isinstance(each, Filled))
        return first if first.value == 0 else None
    return None


def _transpose_constant(node: Node, inputs: Sequence[Any]) -> Any:
    return np.transpose(inputs[0], node.attributes.get("perm")) if isinstance(inputs[0], np.ndarray) else None


def _range(node: Node, inputs: Sequence[Any]) -> Any:
    if not all(isinstance(each, np.ndarray) and each.size == 1 for each in inputs) or len(inputs) != 3:
        raise CannotImport("it must count between constants")
    start, end, step = (each.reshape(-1)[0].item() for each in inputs)
    if not step:
        raise CannotImport("its step must not be 0")
    _limited(abs((end - start) / step))
    return np.arange(start, end, step, dtype=inputs[0].dtype)


def _same_constants(function: Any) -> Any:
    def convert(node: Node, inputs: Sequence[Any]) -> Any:
        if not all(isinstance(each, np.ndarray) for each in inputs):
            return None
        _limited(int(np.prod(np.broadcast_shapes(*(each.shape for each in inputs)), dtype=object)))
        result = inputs[0]
        with np.errstate(all="ignore"):
            for each in inputs[1:]:
                result = function(result, each)
        return np.asarray(result, inputs[0].dtype)

    return convert


def _quotient(a: Array, b: Array) -> Array:
    """Divide; the quotients of integers are rounded towards 0."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not np.all(b):
        raise CannotImport("it divides integers by 0")
    quotient = a // b
    return np.asarray(quotient + ((quotient < 0) & (quotient * b != a)), a.dtype)


# Operators on constants and sizes; None where an array of the model is read.
OF_SIZES: dict[str, Callable[[Node, Sequence[Any]], Any]] = {
    "Add": _same_constants(np.add),
    "Cast": _cast,
    "Concat": _concat_sizes,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _same_constants(_quotient),
    "Expand": _expand,
    "Gather": _gather_sizes,
    "Mul": _same_constants(np.multiply),
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice_sizes,
    "Squeeze": _squeeze,
    "Sub": _same_constants(np.subtract),
    "Transpose": _transpose_constant,
    "Unsqueeze": _unsqueeze,
}
