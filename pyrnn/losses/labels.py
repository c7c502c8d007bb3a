"""What the losses of classes share: targets that are class numbers, and targets that are one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.losses.alignment import Array, Shape, aligned
from pyrnn.losses.base import Loss, Paired


def whole_numbers(y_true: Array) -> Array:
    """Class numbers as int64.

    Raises:
        ValueError: if one is no whole number.
    """
    with np.errstate(invalid="ignore"):
        labels = y_true.astype(np.int64, copy=False)
    if y_true.dtype.kind == "f" and not np.array_equal(labels, y_true):
        raise ValueError(f"y_true must hold whole class numbers, got {y_true[labels != y_true].flat[0]:g}")
    return labels


def without(axis: int, shape: Shape) -> Shape:
    """The shape without that axis."""
    place = axis % len(shape)
    return (*shape[:place], *shape[place + 1 :])


def classes_along(axis: int, pred_shape: Shape) -> int:
    """The number of classes in y_pred, along that axis.

    Raises:
        ValueError: if there is no such axis, or nothing along it.
    """
    if not -len(pred_shape) <= axis < len(pred_shape) or not pred_shape[axis]:
        raise ValueError(f"y_pred must hold classes along axis {axis}, got shape {pred_shape}")
    return pred_shape[axis]


class ClassNumbers(Loss):
    """A loss whose y_true holds one class number for each row of classes in y_pred."""

    target_rule = "hold one class number for each row of y_pred, shape"
    axis = -1
    ignore_class: int | None = None

    def target_shape(self, pred_shape: Shape) -> Shape | None:
        return without(self.axis, pred_shape)

    def target(self, y_true: Array, pred_shape: Shape) -> Array:
        """Return y_true as int64 in the shape of y_pred without its classes; the ignored class number stays."""
        classes = classes_along(self.axis, pred_shape)
        if y_true.ndim == len(pred_shape) and y_true.shape[self.axis] == 1:
            y_true = y_true.squeeze(axis=self.axis)
        if y_true.shape == pred_shape:
            shape = without(self.axis, pred_shape)
            fix = "one-hot rows need CategoricalCrossentropy ('categorical_crossentropy')"
            return aligned(y_true, shape, pred_shape, self.target_rule, fix)
        labels = whole_numbers(super().target(y_true, pred_shape))
        checked = labels if self.ignore_class is None else labels[labels != self.ignore_class]
        if checked.size and checked.view(np.uint64).max() >= classes:  # a negative one is large there
            raise ValueError(f"y_true must lie in 0..{classes - 1}, got {checked.min()}..{checked.max()}")
        return labels


class OneHot(Paired):
    """A loss whose y_true holds a row of classes for each row of y_pred, 1 at the true class and 0 at the others."""

    axis: Any = -1

    def target(self, y_true: Array, pred_shape: Shape) -> Array:
        classes, numbers = classes_along(self.axis, pred_shape), without(self.axis, pred_shape)
        if classes > 1 and y_true.shape in (numbers, (*numbers, 1)):
            fix = (
                "class numbers need SparseCategoricalCrossentropy ('sparse_categorical_crossentropy'), "
                f"or one-hot rows: pyrnn.utils.to_categorical(y, {classes})"
            )
            return aligned(y_true, pred_shape, fix=fix)
        return super().target(y_true, pred_shape)
