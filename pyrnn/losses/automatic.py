"""`loss="crossentropy"`: the cross entropy that fits the shapes of targets and outputs."""

from __future__ import annotations

from typing import Any

from pyrnn.losses.alignment import Array
from pyrnn.losses.base import Lazy, Loss
from pyrnn.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy

__all__: list[str] = []  # `compile` makes it
# What `compile` takes, in any case of the letters.
NAMES = ("crossentropy", "ce")


class AutomaticCrossentropy(Loss):
    """A binary, categorical or sparse categorical cross entropy, as the shapes ask for it.

    Binary for outputs of one number, sparse for class numbers, else categorical.

    Args:
        name: what `compile` was passed.

    Source: `get_loss` of Keras 3, keras/src/trainers/compile_utils.py.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self._binary, self._sparse = BinaryCrossentropy(), SparseCategoricalCrossentropy()
        self._categorical = CategoricalCrossentropy()

    def _fitting(self, y_true: Array, pred_shape: tuple[int, ...]) -> Loss:
        if pred_shape[-1] == 1:
            return self._binary
        is_sparse = y_true.ndim < len(pred_shape) or y_true.shape[-1] == 1
        return self._sparse if is_sparse else self._categorical

    def target(self, y_true: Array, pred_shape: Any) -> Array:
        return self._fitting(y_true, pred_shape).target(y_true, pred_shape)

    def lazy_elements(self, y_true: Array, y_pred: Array) -> Lazy:
        return self._fitting(y_true, y_pred.shape).lazy_elements(y_true, y_pred)
