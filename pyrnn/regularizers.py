"""Weight penalties by Keras's names, each with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry

Array = NDArray[Any]


class Regularizer(registry.Configurable):
    """Base of all: `regularizer(w) -> float`, `regularizer.gradient(w)` of the shape of w."""

    def __call__(self, w: Array) -> float:
        raise NotImplementedError

    def gradient(self, w: Array) -> Array:
        """Derivative of the penalty by w."""
        raise NotImplementedError


class L1L2(Regularizer):
    """l1 * sum(|w|) + l2 * sum(w**2)."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1 or 0.0), float(l2 or 0.0)
        if not np.isfinite([self.l1, self.l2]).all() or min(self.l1, self.l2) < 0:
            raise ValueError(f"l1 and l2 must be finite and at least 0, got {l1} and {l2}")

    def __call__(self, w: Array) -> float:
        return float(self.l1 * np.abs(w).sum() + self.l2 * np.square(w).sum())

    def gradient(self, w: Array) -> Array:
        return np.asarray(self.l1 * np.sign(w) + 2 * self.l2 * w, w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum(|w|)."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum(w**2)."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


_NAMES: dict[str, type[Regularizer]] = {
    "L1": L1,
    "L2": L2,
    "L1L2": L1L2,
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "l1l2": L1L2,
}


def get(identifier: object) -> Regularizer | None:
    """The regularizer for a name, a description, a class or an object; None stays None."""
    return registry.get("regularizer", identifier, _NAMES, Regularizer)


deserialize = get


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """Keras 3's description of a regularizer."""
    return registry.serialize(regularizer, "keras.regularizers")
