"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from pyrnn.ops.dispatch import array, limited, operation, pair


@operation("Compute the product of matrices.", "ops.matmul(x, x.T).shape", "(2, 2)")
def matmul(numpy: Any, x1: Any, x2: Any) -> Any:
    return numpy.matmul(*pair(x1, x2))


@operation("Compute the product along the last axis of x1.", "ops.dot(x, x.T).shape", "(2, 2)")
def dot(numpy: Any, x1: Any, x2: Any) -> Any:
    return numpy.dot(*pair(x1, x2))


@operation("Compute the product along several axes.", "ops.tensordot(x, x, axes=[[1], [1]]).shape", "(2, 2)")
def tensordot(numpy: Any, x1: Any, x2: Any, axes: Any = 2) -> Any:
    return numpy.tensordot(*pair(x1, x2), axes=axes)


@operation("Compute the product of all pairs of entries.", "ops.outer(x[0], x[1]).shape", "(3, 3)")
def outer(numpy: Any, x1: Any, x2: Any) -> Any:
    left, right = pair(x1, x2)
    limited(*left.shape, *right.shape)
    return numpy.reshape(left, (-1, 1)) * numpy.reshape(right, (1, -1))


@operation("Compute the product along the last axes.", "ops.inner(x, x).shape", "(2, 2)")
def inner(numpy: Any, x1: Any, x2: Any) -> Any:
    return numpy.inner(*pair(x1, x2))


@operation("Compute a sum of products in Einstein's notation.", "ops.einsum('ij,kj->ik', x, x).shape", "(2, 2)")
def einsum(numpy: Any, subscripts: str, *operands: Any) -> Any:
    return numpy.einsum(subscripts, *(array(each) for each in operands))
