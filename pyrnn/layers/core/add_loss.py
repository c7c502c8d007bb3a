"""`AddLoss`: a result inside a functional model that is added to its loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.layers.base import Array, Layer

__all__: list[str] = []  # made by add_loss of models alone


class AddLoss(Layer):
    """Adds the sum of its input to the loss of the model, and returns the input."""

    min_rank = 0

    def forward(self, x: Array, /, *, training: bool = False, mask: Any = None) -> Array:
        self.add_loss(x)
        if training:
            self._tape.append(x.shape)
        return x

    def backward(self, dy: Array | None, *, need_dx: bool = True) -> Any:
        slope = np.full(self._take_saved(), self.loss_factor, self.dtype)
        if not need_dx:
            return None
        return slope if dy is None else dy + slope

    def may_add_loss(self) -> bool:
        return True
