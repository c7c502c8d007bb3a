"""Sums, means, extremes and other reductions along axes; cumulative sums, sorting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyrnn.ops.dispatch import OPERATIONS, Function, array, operation

_SUMS = {"sum": "the sum", "prod": "the product"}
_FLOAT = {"mean": "the mean", "var": "the variance", "std": "the standard deviation"}
_EXTREMES = {"max": "the largest value", "min": "the smallest value"}
_TRUTHS = {"all": "whether all entries are true", "any": "whether any entry is true"}
_PLACES = {"argmax": "the index of the largest value", "argmin": "the index of the smallest value"}


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _whole(x: Any) -> Any:
    """x with booleans as int32, which sums count."""
    return x.astype(np.int32) if x.dtype.kind == "b" else x


def _of_same_dtype(numpy: Any, name: str, x: Any, **options: Any) -> Any:
    x = _whole(array(x))
    result = getattr(numpy, name)(x, **options)
    return result.astype(x.dtype) if result.dtype != x.dtype else result


def _sum(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return _of_same_dtype(numpy, name, x, axis=_axes(axis), keepdims=keepdims)

    return function


def _float(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x, axis = array(x, True), _axes(axis)
        if numpy is np:
            return getattr(np, name)(x, axis=axis, keepdims=keepdims)
        return _traced(numpy, name, x, axis, keepdims)

    return function


def _traced(numpy: Any, name: str, x: Any, axis: Any, keepdims: bool) -> Any:
    """The mean, var or std of x, made of sums: the gradients of those of autograd are float64."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    count = math.prod(x.shape[each] for each in axes)
    if name == "mean":
        return numpy.sum(x, axis=axis, keepdims=keepdims) / count
    deviation = x - numpy.sum(x, axis=axis, keepdims=True) / count
    variance = numpy.sum(deviation * deviation, axis=axis, keepdims=keepdims) / count
    return variance if name == "var" else numpy.sqrt(variance)


def _truth(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(np, name)(array(x), axis=_axes(axis), keepdims=keepdims)

    return function


def _place(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = getattr(array(x), "_value", x)  # indices have no gradient
        return np.asarray(getattr(np, name)(array(x), axis=axis, keepdims=keepdims)).astype(np.int32)

    return function


def _cumulative(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
        x = array(x) if dtype is None else array(x).astype(dtype)
        return _of_same_dtype(numpy, name, x, axis=axis)

    return function


def _extreme(name: str) -> Function:
    def function(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        x, axis = _whole(array(x)), _axes(axis)
        if initial is None:
            return _of_same_dtype(numpy, name, x, axis=axis, keepdims=keepdims)
        places = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        reduced = {place % x.ndim for place in places}
        if all(x.shape[place] for place in reduced):
            result = _of_same_dtype(numpy, name, x, axis=axis, keepdims=keepdims)
        else:  # nothing to compare
            sizes = [
                1 if place in reduced else size
                for place, size in enumerate(x.shape)
                if keepdims or place not in reduced
            ]
            return np.full(sizes, initial, x.dtype)
        return numpy.where(result > initial if name == "max" else result < initial, result, x.dtype.type(initial))

    return function


for _names, _make in ((_SUMS, _sum), (_FLOAT, _float), (_EXTREMES, _extreme), (_TRUTHS, _truth), (_PLACES, _place)):
    for _name, _what in _names.items():
        operation(f"Compute {_what} along axes.", f"ops.{_name}(x, axis=-1).shape", "(2,)", _name)(_make(_name))
operation("Compute the running sum along an axis.", "ops.cumsum(x, axis=1).shape", name="cumsum")(_cumulative("cumsum"))
OPERATIONS["amax"], OPERATIONS["amin"] = OPERATIONS["max"], OPERATIONS["min"]


@operation("Compute the running product along an axis.", "ops.cumprod(x, axis=1).shape")
def cumprod(numpy: Any, x: Any, axis: Any = None, dtype: Any = None) -> Any:
    x = array(x) if dtype is None else array(x).astype(dtype)
    if axis is None:
        x, axis = x.reshape(-1), 0
    if numpy is np:
        return np.cumprod(x, axis, dtype=x.dtype if x.dtype.kind != "b" else np.int32)
    products: list[Any] = []
    for index in range(x.shape[axis]):
        entry = x[tuple([slice(None)] * (axis % x.ndim) + [index])]
        products.append(products[-1] * entry if products else entry)
    return numpy.stack(products, axis=axis)


@operation("Compute log(sum(exp(x))) along axes, without overflow.", "ops.logsumexp(x, axis=-1).shape", "(2,)")
def logsumexp(numpy: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    x, axis = array(x, True), _axes(axis)
    largest = np.max(getattr(x, "_value", x), axis=axis, keepdims=True)
    largest = np.where(np.isfinite(getattr(largest, "_value", largest)), getattr(largest, "_value", largest), 0)
    result = numpy.log(numpy.sum(numpy.exp(x - largest), axis=axis, keepdims=True)) + largest
    if keepdims:
        return result
    return numpy.squeeze(result, axis=axis) if axis is not None else result.reshape(())


@operation("Compute the norm along axes.", "ops.norm(x, axis=-1).shape", "(2,)")
def norm(numpy: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = array(x, True)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return numpy.sqrt(numpy.sum(x * x, axis=axes, keepdims=keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(numpy, x, ord, axes[0], keepdims)
    if len(axes) == 2 and ord in (1, -1, 2, -2, np.inf, -np.inf, "nuc"):
        rows, columns = (each % x.ndim for each in axes)
        moved = numpy.moveaxis(x, (rows, columns), (-2, -1))
        result = _matrix_norm(numpy, moved, ord)
        shape = tuple(1 if place in (rows, columns) else size for place, size in enumerate(x.shape))
        return numpy.reshape(result, shape) if keepdims else result
    raise ValueError(
        "ord must be None, a number for the norm of vectors, or 'fro', 'nuc', 1, 2, infinity or the negative of one of "
        f"these numbers for that of matrices, got {ord!r} for {len(axes)} axes"
    )


def _vector_norm(numpy: Any, x: Any, ord: float, axis: int, keepdims: bool) -> Any:
    size = numpy.abs(x)
    if ord == 2:
        return numpy.sqrt(numpy.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == np.inf:
        return numpy.max(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return numpy.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return numpy.sum(0 * size + (size != 0), axis=axis, keepdims=keepdims)
    return numpy.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _matrix_norm(numpy: Any, x: Any, ord: Any) -> Any:
    """The norm of the matrices in the last two axes."""
    if ord in (1, -1, np.inf, -np.inf):
        sums = numpy.sum(numpy.abs(x), axis=-2 if abs(ord) == 1 else -1)
        return numpy.max(sums, axis=-1) if ord > 0 else numpy.min(sums, axis=-1)
    values = numpy.linalg.svd(x, compute_uv=False)
    if ord == "nuc":
        return numpy.sum(values, axis=-1)
    return numpy.max(values, axis=-1) if ord > 0 else numpy.min(values, axis=-1)


@operation("Scale x so that its norm along an axis is 1.", "ops.normalize(x).shape")
def normalize(numpy: Any, x: Any, axis: Any = -1, order: Any = 2, epsilon: float | None = None) -> Any:
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be an integer of at least 1, got {order!r}")
    x = array(x, True)
    if axis is None or not isinstance(axis, int):  # as one vector
        axes = range(x.ndim) if axis is None else axis
        size = numpy.sum(numpy.abs(x) ** order, axis=tuple(axes), keepdims=True) ** (1 / order)
    else:
        size = OPERATIONS["norm"](x, ord=order, axis=axis, keepdims=True)
    return x / numpy.maximum(size, np.asarray(1e-7 if epsilon is None else epsilon, x.dtype))


@operation("Sort the entries along an axis.", "ops.sort(x).shape")
def sort(numpy: Any, x: Any, axis: int | None = -1) -> Any:
    x = array(x)
    if axis is None:
        x, axis = numpy.reshape(x, (-1,)), 0
    order = np.argsort(getattr(x, "_value", x), axis=axis, kind="stable")
    if x.ndim < 2:
        return x[order]
    places: list[Any] = list(np.indices(x.shape))
    places[axis] = order
    return x[tuple(places)]


@operation("Compute the indices that sort the entries along an axis.", "ops.argsort(x).shape")
def argsort(numpy: Any, x: Any, axis: int | None = -1) -> Any:
    x = array(x)
    return np.argsort(getattr(x, "_value", x), axis=axis, kind="stable").astype(np.int32)


@operation("Return the k largest values of the last axis and their indices.", "ops.top_k(x, k=2)[0].shape", "(2, 2)")
def top_k(numpy: Any, x: Any, k: int, sorted: bool = True) -> Any:
    x = array(x)
    order = np.argsort(-np.asarray(getattr(x, "_value", x)), axis=-1, kind="stable")[..., :k]
    places: list[Any] = list(np.indices(order.shape))
    places[-1] = order
    return x[tuple(places)], order.astype(np.int32)


@operation("Compute the differences of neighbors along an axis.", "ops.diff(x).shape", "(2, 2)")
def diff(numpy: Any, x: Any, n: int = 1, axis: int = -1) -> Any:
    x = array(x)
    before = [slice(None)] * x.ndim
    after = list(before)
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    if n < 0:
        raise ValueError(f"n must be 0 or more, got {n}")
    for _ in range(min(n, x.shape[axis])):
        x = x[tuple(after)] - x[tuple(before)]
    return x
