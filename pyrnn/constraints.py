"""Projections that are applied to a weight after each step, by Keras's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.explaining import explain
from pyrnn.function_rules import Function, Registered
from pyrnn.kinds import KINDS, Kind
from pyrnn.naming import snake_case
from pyrnn.rules import Configurable, Either
from pyrnn.typing import Axes, NonNegative, Rate

Array = NDArray[Any]
EPSILON = 1e-7


class Constraint(registry.Configurable):
    """Base class of constraints: `constraint(w)` returns the projected weight. This one returns w itself.

    Example:
        >>> class Rounded(pyrnn.constraints.Constraint):
        ...     def __call__(self, w):
        ...         return np.round(w)
        >>> pyrnn.layers.Dense(2, kernel_constraint=Rounded()).kernel_constraint(np.array([0.4, 0.6]))
        array([0., 1.])
    """

    def __call__(self, w: Array) -> Array:
        w = as_array("w", w)
        return w


def _norms(w: Array, axis: Any) -> Array:
    axes = tuple(axis) if isinstance(axis, list) else axis
    return np.asarray(np.sqrt(np.square(w).sum(axis=axes, keepdims=True)))


class MaxNorm(Constraint):
    """Norm along `axis` of at most `max_value`.

    Args:
        max_value: At least 0.
        axis: Axis, or list of axes, of the vectors.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `max_value` is below 0.

    Example:
        >>> pyrnn.constraints.MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
        array([[0.6, 0.3],
               [0.8, 0.4]])
    """

    @checked
    def __init__(self, max_value: NonNegative = 2, axis: Axes = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Array) -> Array:
        w = as_array("w", w)
        norms = _norms(w, self.axis)
        return np.asarray(w * (np.clip(norms, 0, self.max_value) / (EPSILON + norms)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Norm along `axis` between `min_value` and `max_value`.

    Args:
        min_value: At least 0.
        max_value: At least `min_value`.
        rate: Share of the way to these bounds that a step takes, from 0 to 1.
        axis: Axis, or list of axes, of the vectors.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> pyrnn.constraints.MinMaxNorm(1.0, 2.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
        array([[1.2, 0.6],
               [1.6, 0.8]])
    """

    @checked
    def __init__(
        self, min_value: NonNegative = 0.0, max_value: NonNegative = 1.0, rate: Rate = 1.0, axis: Axes = 0
    ) -> None:
        if min_value > max_value:
            raise ValueError(f"min_value must be at most max_value = {max_value}, got {min_value}")
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Array) -> Array:
        w = as_array("w", w)
        norms = _norms(w, self.axis)
        desired = self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return np.asarray(w * (desired / (EPSILON + norms)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class NonNeg(Constraint):
    """Negative values become 0.

    Example:
        >>> pyrnn.constraints.NonNeg()(np.array([-1.0, 2.0]))
        array([0., 2.])
    """

    def __call__(self, w: Array) -> Array:
        w = as_array("w", w)
        return np.asarray(np.maximum(w, 0), w.dtype)


class UnitNorm(Constraint):
    """Norm of 1 along `axis`.

    Args:
        axis: Axis, or list of axes, of the vectors.

    Raises:
        TypeError: If `axis` is not an integer or a list of them.

    Example:
        >>> pyrnn.constraints.UnitNorm()(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
        array([[0.6, 0.6],
               [0.8, 0.8]])
    """

    @checked
    def __init__(self, axis: Axes = 0) -> None:
        self.axis = axis

    def __call__(self, w: Array) -> Array:
        w = as_array("w", w)
        return np.asarray(w / (EPSILON + _norms(w, self.axis)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


_CLASSES = registry.classes_in(globals(), Constraint)
# Keras's names in snake case, to be called like the classes.
globals().update({snake_case(cls.__name__): cls for cls in _CLASSES})

_NAMES: dict[str, type[Constraint]] = registry.by_name((Constraint, *_CLASSES), lambda cls: snake_case(cls.__name__))


def get(identifier: object) -> Callable[[Array], Array] | None:
    """Return the constraint for a name, a description, a class, an object or a function.

    Args:
        identifier: The name ("non_neg"), a dictionary that `serialize` returned, a `Constraint` or its class, a
            function of a weight, or None.

    Returns:
        The constraint; None for None.

    Raises:
        TypeError: If the identifier is something else.
        ValueError: If the name is unknown (close matches are suggested) or that of a function that is not registered.

    Example:
        >>> pyrnn.constraints.get("max_norm").max_value
        2
    """
    if isinstance(identifier, str) and callable(function := registry.registered_as(identifier)):
        identifier = function
    if callable(identifier) and not isinstance(identifier, type):
        if not isinstance(identifier, Constraint):
            registry.require_kind("constraint", identifier)
        return identifier
    if isinstance(identifier, dict) and registry.is_function(identifier):
        described: Callable[..., Any] = registry.described_function("constraint", identifier)
        return described
    return registry.get("constraint", identifier, _NAMES, Constraint)


ConstraintLike = Annotated[str | Callable[[Array], Array] | Mapping[str, Any] | None, Registered(get, "weight")]
deserialize = get


@checked
def serialize(
    constraint: Annotated[Callable[[Array], Array], Either(Configurable(), Function(0, 9))] | None,
) -> dict[str, Any] | None:
    """Return Keras's description of a constraint; of a function, it holds only the name.

    Args:
        constraint: The constraint, a function, or None.

    Returns:
        A dictionary that `deserialize` accepts; None for None.

    Raises:
        TypeError: If `constraint` is none of these.

    Example:
        >>> pyrnn.constraints.serialize(pyrnn.constraints.MaxNorm(3))["config"]
        {'max_value': 3, 'axis': 0}
    """
    if constraint is None or hasattr(constraint, "get_config"):
        return registry.serialize(constraint, "keras.constraints")
    return registry.describe_function(constraint, "constraint")


KINDS["constraints"] = Kind(deserialize)
explain(__name__)
