"""Weight penalties by Keras's names, with their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import overriding, registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.explaining import explain
from pyrnn.function_rules import Registered
from pyrnn.kinds import KINDS, Kind
from pyrnn.naming import snake_case
from pyrnn.rules import Configurable
from pyrnn.typing import NonNegative, Text
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
EPSILON = 1e-7


class Regularizer(registry.Configurable):
    """Base class of regularizers: `regularizer(w)` returns the penalty, `regularizer.gradient(w)` its gradient.

    Example:
        >>> class Cubes(pyrnn.regularizers.Regularizer):
        ...     def __call__(self, w):
        ...         return float((abs(w) ** 3).sum())
        ...
        ...     def gradient(self, w):
        ...         return 3 * w * abs(w)
        >>> pyrnn.layers.Dense(2, kernel_regularizer=Cubes()).kernel_regularizer(np.array([1.0, -2.0]))
        9.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reject a penalty without its gradient."""
        super().__init_subclass__(**kwargs)
        overriding.require_defined(cls, "__call__", "gradient", Regularizer)
        overriding.require_partner(cls, "__call__", "gradient", Regularizer)

    def __call__(self, w: Array) -> float:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w) and gradient(w)")

    def gradient(self, w: Array) -> Array:
        """Return the derivative of the penalty.

        Args:
            w: The weight, an array of any shape.

        Returns:
            Array in the shape of w.
        """
        raise NotImplementedError(f"{type(self).__name__} must define gradient(w)")


def _factor(value: float | None, default: float) -> float:
    """A penalty's factor as a float; None stands for the default."""
    return default if value is None else float(value)


class L1L2(Regularizer):
    """l1 * sum(|w|) + l2 * sum(w**2).

    Args:
        l1: At least 0.
        l2: At least 0.

    Raises:
        TypeError: If a factor is not a number.
        ValueError: If a factor is not finite or below 0.

    Example:
        >>> pyrnn.regularizers.L1L2(l1=1.0, l2=0.5)(np.array([1.0, -2.0]))
        5.5
    """

    @checked
    def __init__(self, l1: NonNegative | None = 0.0, l2: NonNegative | None = 0.0) -> None:
        self.l1, self.l2 = _factor(l1, 0.0), _factor(l2, 0.0)

    def __call__(self, w: Array) -> float:
        w = as_array("w", w)
        penalty = self.l1 * float(np.abs(w).sum()) if self.l1 else 0.0
        return penalty + self.l2 * float(np.square(w).sum()) if self.l2 else penalty

    def gradient(self, w: Array) -> Array:
        w = as_array("w", w)
        if not self.l1:
            return np.asarray(2 * self.l2 * w, w.dtype)
        return np.asarray(self.l1 * np.sign(w) + 2 * self.l2 * w, w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum(|w|).

    Args:
        l1: At least 0; None for 0.01.

    Raises:
        TypeError: If `l1` is not a number.
        ValueError: If `l1` is not finite or below 0.

    Example:
        >>> pyrnn.regularizers.L1(1.0)(np.array([1.0, -2.0]))
        3.0
    """

    @checked
    def __init__(self, l1: NonNegative | None = 0.01) -> None:
        super().__init__(l1=_factor(l1, 0.01))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum(w**2).

    Args:
        l2: At least 0; None for 0.01.

    Raises:
        TypeError: If `l2` is not a number.
        ValueError: If `l2` is not finite or below 0.

    Example:
        >>> pyrnn.regularizers.L2(0.5)(np.array([1.0, -2.0]))
        2.5
    """

    @checked
    def __init__(self, l2: NonNegative | None = 0.01) -> None:
        super().__init__(l2=_factor(l2, 0.01))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |n_i . n_j| over all pairs of rows (or columns) of w (n, m), where n_i = w_i / |w_i|.

    A matrix with a single row has no pairs: its penalty is 0 (Keras returns NaN).

    Args:
        factor: At least 0.
        mode: "rows" or "columns".

    Raises:
        TypeError: If `factor` is not a number.
        ValueError: If `factor` is not finite or below 0, or `mode` is unknown.

    Example:
        >>> round(pyrnn.regularizers.OrthogonalRegularizer(1.0)(np.array([[1.0, 0.0], [1.0, 1.0]])), 4)
        0.7071
    """

    MODES = ("rows", "columns")

    @checked
    def __init__(self, factor: NonNegative = 0.01, mode: Text = "rows") -> None:
        if mode not in self.MODES:
            raise ValueError(f"mode must be 'rows' or 'columns', got {shown(mode)}")
        self.factor, self.mode = float(factor), mode

    def __call__(self, w: Array) -> float:
        w = as_array("w", w)
        rows, _ = self._normalized(w)
        return self._per_pair(len(rows)) * float(np.abs(self._products(rows)).sum()) / 2

    def gradient(self, w: Array) -> Array:
        w = as_array("w", w)
        rows, inverse = self._normalized(w)
        by_rows = self._per_pair(len(rows)) * (np.sign(self._products(rows)) @ rows)
        # The length of a row does not matter, so only the part perpendicular to it counts, unless the row is shorter
        # than EPSILON and thus not scaled to length 1.
        across = by_rows - rows * ((by_rows * rows).sum(axis=1, keepdims=True) * (inverse < 1 / EPSILON))
        gradient = across * inverse
        return np.ascontiguousarray(gradient if self.mode == "rows" else gradient.T, w.dtype)

    def _normalized(self, w: Array) -> tuple[Array, Array]:
        """(rows of length 1, what each was multiplied by)."""
        if w.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer needs a matrix, got shape {w.shape}")
        rows = w if self.mode == "rows" else w.T
        norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        inverse = 1 / np.maximum(norms, norms.dtype.type(EPSILON))
        return rows * inverse, inverse

    def _products(self, rows: Array) -> Array:
        products = rows @ rows.T
        np.fill_diagonal(products, 0)
        return products

    def _per_pair(self, size: int) -> float:
        return self.factor / max(1.0, size * (size - 1) / 2)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


# Keras's names in lower case, to be called like the classes.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_CLASSES = registry.classes_in(globals(), Regularizer)
_NAMES: dict[str, type[Regularizer]] = registry.by_name(_CLASSES, lambda cls: snake_case(cls.__name__)) | {
    "l1_l2": L1L2
}


def get(identifier: object) -> Regularizer | None:
    """Return the regularizer for a name, a description, a class or an object.

    Args:
        identifier: The name ("l2"), a dictionary that `serialize` returned, a `Regularizer` or its class, or None.

    Returns:
        The regularizer; None for None.

    Raises:
        TypeError: If the identifier is something else, such as a function, which has no gradient.
        ValueError: If the name is unknown; close matches are suggested.

    Example:
        >>> pyrnn.regularizers.get("l2").l2
        0.01
    """
    if callable(identifier) and not isinstance(identifier, type | Regularizer):
        raise WrongType(
            f"regularizer must have a gradient, got {shown(identifier)}: make it a subclass of "
            "pyrnn.regularizers.Regularizer with __call__(w) and gradient(w)"
        )
    if isinstance(identifier, int | float):
        raise WrongType(f"regularizer must be a name or an object of class Regularizer, got {identifier}: write L2(l2)")
    return registry.get("regularizer", identifier, _NAMES, Regularizer)


RegularizerLike = Annotated[str | Regularizer | type[Regularizer] | Mapping[str, Any] | None, Registered(get)]
deserialize = get


@checked
def serialize(regularizer: Annotated[Regularizer, Configurable()] | None) -> dict[str, Any] | None:
    """Return Keras's description of a regularizer.

    Args:
        regularizer: The regularizer, or None.

    Returns:
        A dictionary that `deserialize` accepts; None for None.

    Raises:
        TypeError: If `regularizer` is not a regularizer.

    Example:
        >>> pyrnn.regularizers.serialize(pyrnn.regularizers.L2(0.5))["config"]
        {'l2': 0.5}
    """
    return registry.serialize(regularizer, "keras.regularizers")


KINDS["regularizers"] = Kind(deserialize)
explain(__name__)
