"""Projections applied to a weight after each step, by Keras's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry

Array = NDArray[Any]
EPSILON = 1e-7


class Constraint(registry.Configurable):
    """Base of all: `constraint(w)` returns the projected weight."""

    def __call__(self, w: Array) -> Array:
        raise NotImplementedError


def _norms(w: Array, axis: Any) -> Array:
    return np.asarray(np.sqrt(np.square(w).sum(axis=axis, keepdims=True)))


class MaxNorm(Constraint):
    """Norm along `axis` at most `max_value`."""

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Array) -> Array:
        norms = _norms(w, self.axis)
        return np.asarray(w * (np.clip(norms, 0, self.max_value) / (EPSILON + norms)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Norm along `axis` drawn into [min_value, max_value] at the given rate (1: wholly)."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Array) -> Array:
        norms = _norms(w, self.axis)
        desired = self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return np.asarray(w * (desired / (EPSILON + norms)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class NonNeg(Constraint):
    """Negative values become 0."""

    def __call__(self, w: Array) -> Array:
        return np.asarray(w * (w >= 0), w.dtype)


class UnitNorm(Constraint):
    """Norm 1 along `axis`."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        return np.asarray(w / (EPSILON + _norms(w, self.axis)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


_NAMES: dict[str, type[Constraint]] = {
    "MaxNorm": MaxNorm, "MinMaxNorm": MinMaxNorm, "NonNeg": NonNeg, "UnitNorm": UnitNorm,
    "max_norm": MaxNorm, "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm,
}  # fmt: skip


def get(identifier: object) -> Constraint | None:
    """The constraint for a name, a description, a class or an object; None stays None."""
    return registry.get("constraint", identifier, _NAMES, Constraint)


deserialize = get


def serialize(constraint: Constraint | None) -> dict[str, Any] | None:
    """Keras 3's description of a constraint."""
    return registry.serialize(constraint, "keras.constraints")
