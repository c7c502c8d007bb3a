"""Shapes, slices, joins, and arrays of constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import config
from pyrnn.ops.dispatch import OPERATIONS, array, limited, operation


def _list(xs: Any) -> list[Any]:
    """Arrays of one dtype."""
    if not isinstance(xs, list | tuple):
        xs = list(array(xs))
    arrays = [array(x) for x in xs]
    if not arrays:
        raise ValueError("xs must hold at least one array, got none")
    dtype = np.result_type(*([each.dtype for each in arrays if each.dtype.kind == "f"] or [arrays[0].dtype]))
    return [each if each.dtype == dtype or dtype.kind != "f" else each.astype(dtype) for each in arrays]


def _place(x: Any, axis: int) -> int:
    """The axis counted from the first one."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {x.ndim}")
    return axis % int(x.ndim)


@operation("Give x another shape with the same entries.", "ops.reshape(x, (3, -1)).shape", "(3, 2)")
def reshape(numpy: Any, x: Any, newshape: Any) -> Any:
    sizes = [newshape] if isinstance(newshape, int | np.integer) else list(newshape)
    sizes = [-1 if size is None else int(size) for size in sizes]
    if any(size < -1 for size in sizes) or sizes.count(-1) > 1:
        raise ValueError(f"newshape must hold sizes of at least 0, and -1 at most once, got {newshape}")
    return numpy.reshape(array(x), tuple(sizes))


@operation("Exchange the axes, by default in reverse order.", "ops.transpose(x).shape", "(3, 2)")
def transpose(numpy: Any, x: Any, axes: Any = None) -> Any:
    return numpy.transpose(array(x), axes)


@operation("Exchange two axes.", "ops.swapaxes(x, 0, 1).shape", "(3, 2)")
def swapaxes(numpy: Any, x: Any, axis1: int, axis2: int) -> Any:
    return numpy.swapaxes(array(x), axis1, axis2)


@operation("Move axes to other places.", "ops.moveaxis(x, 0, 1).shape", "(3, 2)")
def moveaxis(numpy: Any, x: Any, source: Any, destination: Any) -> Any:
    return numpy.moveaxis(array(x), source, destination)


@operation("Insert axes of size 1.", "ops.expand_dims(x, -1).shape", "(2, 3, 1)")
def expand_dims(numpy: Any, x: Any, axis: Any) -> Any:
    x = array(x)
    places = [axis] if isinstance(axis, int) else list(axis)
    rank = x.ndim + len(places)
    if any(not -rank <= place < rank for place in places):
        raise ValueError(f"axis must be from {-rank} to {rank - 1}, got {axis}")
    sizes = iter(x.shape)
    wanted = {place % rank for place in places}
    return numpy.reshape(x, tuple(1 if place in wanted else next(sizes) for place in range(rank)))


@operation("Remove axes of size 1.", "ops.squeeze(x[:, :1], axis=1).shape", "(2,)", finds_sizes=False)
def squeeze(numpy: Any, x: Any, axis: Any = None) -> Any:
    return numpy.squeeze(array(x), axis=tuple(axis) if isinstance(axis, list) else axis)


@operation("Make x one-dimensional.", "ops.ravel(x).shape", "(6,)")
def ravel(numpy: Any, x: Any) -> Any:
    return numpy.reshape(array(x), (-1,))


@operation("Repeat x along axes until it has the shape.", "ops.broadcast_to(x, (4, 2, 3)).shape", "(4, 2, 3)")
def broadcast_to(numpy: Any, x: Any, shape: Any) -> Any:
    x = array(x)
    limited(*shape)
    return numpy.broadcast_to(numpy.reshape(x, (1,) * (len(shape) - x.ndim) + tuple(x.shape)), tuple(shape))


@operation("Join arrays along an axis.", "ops.concatenate([x, x], axis=0).shape", "(4, 3)")
def concatenate(numpy: Any, xs: Any, axis: int = 0) -> Any:
    if axis is None:
        raise ValueError("axis must be an integer, got None: join what ops.ravel returns for each array")
    return numpy.concatenate(_list(xs), axis=axis)


@operation("Join arrays along a new axis.", "ops.stack([x, x]).shape", "(2, 2, 3)")
def stack(numpy: Any, x: Any, axis: int = 0) -> Any:
    return numpy.stack(_list(x), axis=axis)


@operation("Join arrays along the second axis.", "ops.hstack([x, x]).shape", "(2, 6)")
def hstack(numpy: Any, xs: Any) -> Any:
    arrays = _list(xs)
    return numpy.concatenate(arrays, axis=min(1, arrays[0].ndim - 1))


@operation("Join arrays along the first axis.", "ops.vstack([x, x]).shape", "(4, 3)")
def vstack(numpy: Any, xs: Any) -> Any:
    return numpy.concatenate([each if each.ndim > 1 else each.reshape(1, -1) for each in _list(xs)], axis=0)


@operation("Split x along an axis.", "len(ops.split(x, 3, axis=1))", "3")
def split(numpy: Any, x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    x = array(x)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or size % indices_or_sections:
            raise ValueError(f"axis {axis} of size {size} has no {indices_or_sections} equal sections")
        step = size // indices_or_sections
        edges = [step * section for section in range(1, indices_or_sections)]
    else:
        edges = [int(index) for index in indices_or_sections]
    key = [slice(None)] * x.ndim
    sections = []
    for start, stop in zip([0, *edges], [*edges, size], strict=True):
        key[axis] = slice(start, stop)
        sections.append(x[tuple(key)])
    return sections


@operation("Return the entries of an axis as a list.", "len(ops.unstack(x))", "2")
def unstack(numpy: Any, x: Any, num: int | None = None, axis: int = 0) -> Any:
    x = array(x)
    size = x.shape[axis]
    if num is not None and num != size:
        raise ValueError(f"num must be the size of axis {axis}, {size}, got {num}")
    return [x[tuple([slice(None)] * (axis % x.ndim) + [index])] for index in range(size)]


@operation("Repeat each entry along an axis.", "ops.repeat(x, 2, axis=1).shape", "(2, 6)")
def repeat(numpy: Any, x: Any, repeats: Any, axis: int | None = None) -> Any:
    x = array(x)
    if axis is None:
        x, axis = numpy.reshape(x, (-1,)), 0
    count = np.asarray(repeats)
    limited(*x.shape, int(count.sum()))
    places = np.repeat(np.arange(x.shape[axis]), repeats)
    return x[tuple([slice(None)] * (axis % x.ndim) + [places])]


@operation("Repeat the whole array along its axes.", "ops.tile(x, (2, 1)).shape", "(4, 3)")
def tile(numpy: Any, x: Any, repeats: Any) -> Any:
    x = array(x)
    counts = [repeats] if isinstance(repeats, int) else list(repeats)
    limited(*x.shape, *counts)
    x = numpy.reshape(x, (1,) * (len(counts) - x.ndim) + tuple(x.shape))
    for axis, count in enumerate(counts, x.ndim - len(counts)):
        if count != 1:
            x = x[tuple([slice(None)] * axis + [np.tile(np.arange(x.shape[axis]), count)])]
    return x


@operation("Shift the entries along axes; those that leave come in again.", "ops.roll(x, 1).shape")
def roll(numpy: Any, x: Any, shift: Any, axis: Any = None) -> Any:
    return numpy.roll(array(x), shift, axis=axis)


@operation("Reverse the order of the entries along axes.", "ops.flip(x).shape")
def flip(numpy: Any, x: Any, axis: Any = None) -> Any:
    x = array(x)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    key = [slice(None)] * x.ndim
    for place in axes:
        key[place] = slice(None, None, -1)
    return x[tuple(key)]


@operation("Add entries before and after those of each axis.", "ops.pad(x, ((1, 0), (0, 0))).shape", "(3, 3)")
def pad(numpy: Any, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    if mode != "constant" and constant_values is not None:
        raise ValueError(f"constant_values must be left out with mode={mode!r}, got {constant_values!r}")
    x = array(x)
    width = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    limited(*(size + sum(counts) for size, counts in zip(x.shape, width, strict=True)))
    if mode == "constant":
        for axis, (before, after) in enumerate(width):
            entries = [x]
            for count, place in ((before, 0), (after, len(entries))):
                if count:
                    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
                    filled = np.full(shape, 0 if constant_values is None else constant_values, x.dtype)
                    entries.insert(0 if place == 0 else len(entries), filled)
            x = numpy.concatenate(entries, axis=axis) if len(entries) > 1 else x
        return x
    for axis, size in enumerate(x.shape):
        places = np.pad(np.arange(size), width[axis], mode=mode)  # type: ignore[call-overload]  # any of NumPy's
        x = x[tuple([slice(None)] * axis + [places])]
    return x


@operation("Take entries by their indices along an axis.", "ops.take(x, [0, 2], axis=1).shape", "(2, 2)")
def take(numpy: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    x, indices = array(x), np.asarray(array(indices))
    if indices.dtype.kind not in "iu":
        indices = indices.astype(np.int32)
    if axis is None:
        x, axis = numpy.reshape(x, (-1,)), 0
    return x[tuple([slice(None)] * _place(x, axis) + [indices])]


@operation("Take entries along an axis, one index for each.", "ops.take_along_axis(x, x.astype(int), 1).shape")
def take_along_axis(numpy: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    x, indices = array(x), np.asarray(array(indices))
    if indices.dtype.kind not in "iu":
        indices = indices.astype(np.int32)
    if axis is None:
        return numpy.reshape(x, (-1,))[indices.reshape(-1)]
    axis = _place(x, axis)
    others = [[*sizes[:axis], 1, *sizes[axis + 1 :]] for sizes in (x.shape, indices.shape)]
    shape = list(np.broadcast_shapes(*others))
    shape[axis] = indices.shape[axis]
    places: list[Any] = [
        0 if size == 1 and place != axis else each
        for place, (each, size) in enumerate(zip(np.indices(shape), x.shape, strict=True))
    ]
    places[axis] = np.broadcast_to(indices, shape)
    return x[tuple(places)]


@operation("Index x as in x[key].", "ops.get_item(x, 0).shape", "(3,)")
def get_item(numpy: Any, x: Any, key: Any) -> Any:
    return array(x)[key]


@operation("Take a block of a shape.", "ops.slice(x, (0, 1), (2, 2)).shape", "(2, 2)", name="slice")
def slice_(numpy: Any, x: Any, start_indices: Any, shape: Any) -> Any:
    x = array(x)
    key = tuple(slice(int(i), None if n == -1 else int(i) + int(n)) for i, n in zip(start_indices, shape, strict=True))
    return x[key]


@operation("Return x with a block replaced.", "ops.slice_update(x, (0, 1), x[:, :1]).shape")
def slice_update(numpy: Any, x: Any, start_indices: Any, updates: Any) -> Any:
    x, updates = array(x), array(updates)
    rows = [np.arange(int(i), int(i) + n) for i, n in zip(start_indices, updates.shape, strict=True)]
    inside = np.zeros(x.shape, bool)
    inside[np.ix_(*rows)] = True
    width = [(int(i), size - int(i) - n) for i, n, size in zip(start_indices, updates.shape, x.shape, strict=True)]
    return numpy.where(inside, OPERATIONS["pad"](updates, width), x)


@operation("Convert to a dtype.", "ops.cast(x, 'int32').shape")
def cast(numpy: Any, x: Any, dtype: Any) -> Any:
    return array(x).astype(np.dtype(dtype))


@operation("Return x as an array.", "ops.convert_to_tensor([1, 2]).shape", "(2,)")
def convert_to_tensor(numpy: Any, x: Any, dtype: Any = None) -> Any:
    return array(x) if dtype is None else array(x).astype(np.dtype(dtype))


OPERATIONS["array"] = convert_to_tensor


@operation("Return x as a plain array of NumPy.")
def convert_to_numpy(numpy: Any, x: Any) -> Any:
    return np.array(array(x))


@operation("Return x as a constant, through which no gradient passes.")
def stop_gradient(numpy: Any, x: Any) -> Any:
    x = array(x)
    while hasattr(x, "_value"):
        x = x._value
    return x


@operation("Return zeros in the shape and dtype of x.")
def zeros_like(numpy: Any, x: Any, dtype: Any = None) -> Any:
    x = array(x)
    return np.zeros(x.shape, dtype or x.dtype)


@operation("Return ones in the shape and dtype of x.")
def ones_like(numpy: Any, x: Any, dtype: Any = None) -> Any:
    x = array(x)
    return np.ones(x.shape, dtype or x.dtype)


@operation("Return an array in the shape of x, filled with a value.", "ops.full_like(x, 2.0).shape")
def full_like(numpy: Any, x: Any, fill_value: Any, dtype: Any = None) -> Any:
    x = array(x)
    return np.full(x.shape, fill_value, dtype or x.dtype)


@operation("Return zeros.", "ops.zeros((2, 3)).shape")
def zeros(numpy: Any, shape: Any, dtype: Any = None) -> Any:
    return np.zeros(shape, dtype or config.floatx())


@operation("Return ones.", "ops.ones((2, 3)).shape")
def ones(numpy: Any, shape: Any, dtype: Any = None) -> Any:
    return np.ones(shape, dtype or config.floatx())


@operation("Return an array filled with a value.", "ops.full((2, 3), 7.0).shape")
def full(numpy: Any, shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    return np.full(shape, fill_value, dtype or config.floatx())


@operation("Return the identity matrix.", "ops.eye(3).shape", "(3, 3)")
def eye(numpy: Any, n: int, m: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    return np.eye(n, m, k=k).astype(dtype or config.floatx())


@operation("Return evenly spaced values of a range.", "ops.arange(4).shape", "(4,)")
def arange(numpy: Any, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    if dtype is None:
        is_float = any(isinstance(each, float | np.floating) for each in (start, stop, step))
        dtype = config.floatx() if is_float else np.int32
    return np.arange(start, step=step, dtype=dtype) if stop is None else np.arange(start, stop, step, dtype=dtype)


@operation("Return evenly spaced values between two ends.", "ops.linspace(0.0, 1.0, num=5).shape", "(5,)")
def linspace(
    numpy: Any,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    values, step = np.linspace(array(start), array(stop), num, endpoint, retstep=True, axis=axis)
    values = values.astype(dtype or config.floatx())
    return (values, np.asarray(step, config.floatx())) if retstep else values


@operation("Keep the entries on and below a diagonal.", "ops.tril(x).shape")
def tril(numpy: Any, x: Any, k: int = 0) -> Any:
    return numpy.tril(array(x), k)


@operation("Keep the entries on and above a diagonal.", "ops.triu(x).shape")
def triu(numpy: Any, x: Any, k: int = 0) -> Any:
    return numpy.triu(array(x), k)


@operation("Return the entries of a diagonal of two axes.", "ops.diagonal(x).shape", "(2,)")
def diagonal(numpy: Any, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    x = numpy.moveaxis(array(x), (axis1, axis2), (-2, -1))
    rows, columns = np.nonzero(np.eye(x.shape[-2], x.shape[-1], k=offset))
    return x[..., rows, columns]


@operation("Return the shape, None where a symbol may have any size.", "ops.shape(x)")
def shape(numpy: Any, x: Any) -> Any:
    return tuple(array(x).shape)


@operation("Return the number of axes.", "ops.ndim(x)", "2")
def ndim(numpy: Any, x: Any) -> Any:
    return array(x).ndim


@operation("Return the number of entries.", "ops.size(x)", "6")
def size(numpy: Any, x: Any) -> Any:
    return int(np.prod(array(x).shape))
