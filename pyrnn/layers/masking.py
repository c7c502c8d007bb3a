"""Masking: which steps count."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.layers.base import Array, Layer


class Masking(Layer):
    """Steps whose features all equal `mask_value` do not count in the layers behind."""

    supports_masking = True
    makes_mask = True
    min_rank = 2

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self._keep: Array | None = None

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        assert x is not None
        kept: Array = np.any(x != self.mask_value, axis=-1)
        return kept

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        keep = np.any(x != self.mask_value, axis=-1, keepdims=True)
        if training:
            self._keep = keep
        return np.where(keep, x, x.dtype.type(0))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        assert self._keep is not None, "backward() follows forward(training=True)"
        dx: Array = dy * self._keep
        return dx

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
