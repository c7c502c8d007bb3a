"""Masking: which steps count."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import ops
from pyrnn.arguments import checked
from pyrnn.layers.base import Array, Layer
from pyrnn.symbols import Symbol
from pyrnn.typing import Finite

__all__ = ["Masking"]


def differs_somewhere(x: Array, value: float) -> Array:
    """Return any(x != value) along the last axis; eight comparisons at a time if they fill 64-bit words."""
    differs = x != value
    if x.shape[-1] % 8 == 0 and x.size:
        differs = differs.view(np.uint64) != 0
    result: Array = differs.any(axis=-1)
    return result


class Masking(Layer):
    """Mask the time steps whose features all equal `mask_value`.

    x (B, T, F) is returned unchanged, with a mask (B, T) that is False for these steps. The layers after this one skip
    them.

    Args:
        mask_value: value that marks a missing step, any number.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `mask_value` is not a number.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Masking(-1.0).compute_mask(np.array([[[-1.0], [2.0]]]))
        array([[False,  True]])
    """

    supports_masking = True
    makes_mask = True
    min_rank = 2

    @checked
    def __init__(self, mask_value: Finite = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        # The x of the last training forward and its mask, for the compute_mask that follows; later x may hold new data.
        self._fresh: tuple[Array, Array] | None = None

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        assert x is not None
        if isinstance(x, Symbol):
            return ops.any(ops.not_equal(x, self.mask_value), axis=-1)
        fresh, self._fresh = self._fresh, None
        return fresh[1] if fresh is not None and fresh[0] is x else differs_somewhere(x, self.mask_value)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        if self.mask_value == 0 and not training:
            return x  # masked steps are 0 already
        keep = differs_somewhere(x, self.mask_value)
        if training:
            self._tape.append(keep)
            self._fresh = (x, keep)
        return x if self.mask_value == 0 else np.where(keep[..., None], x, x.dtype.type(0))

    def stream_into(self, stream: Any) -> None:
        if len(stream.shape) != 1:
            raise self._not_streamed(f"it takes steps of one axis, of features, got {stream.shape}")
        stream.add_mask(self.mask_value)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        keep = self._take_saved()
        return dy * keep[..., None] if need_dx else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
