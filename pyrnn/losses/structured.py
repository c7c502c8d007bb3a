"""`StructuredLoss`: a user's loss of several outputs at once, which receives them in the structure that they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.losses.alignment import Array, weights_of_values
from pyrnn.losses.base import Loss
from pyrnn.losses.custom import FunctionLoss
from pyrnn.losses.differentiation import traceable
from pyrnn.ops.differentiation import differentiate, untraced
from pyrnn.structures import packed
from pyrnn.validation import WrongType, shown

__all__: list[str] = []


class StructuredLoss:
    """A function, or the `call` of a custom loss, of (y_true, y_pred) that are lists, tuples or dicts of arrays.

    autograd differentiates it by each array of y_pred. Masks do not reach it, as in Keras.

    Args:
        loss: the loss.
        structure: any values in the structure of the outputs.

    Raises:
        TypeError: if it is a loss of one output.
    """

    def __init__(self, loss: Loss, structure: Any) -> None:
        function = loss.fn if isinstance(loss, FunctionLoss) else getattr(loss, "call", None)
        if function is None:
            raise WrongType(
                f"loss {loss.name!r} is of one output, got it for {shown(structure)}: pass one for each of them, or a "
                "function of (y_true, y_pred) that takes them all"
            )
        self.name, self.reduction = loss.name, loss.reduction
        self._loss, self._function, self._structure = loss, function, structure

    def value(self, y_true: Sequence[Any], y_pred: Sequence[Array], sample_weight: Any) -> float:
        """Return the reduced loss.

        Args:
            y_true: targets (B, ...) of each output.
            y_pred: the outputs (B, ...).
            sample_weight: weights (B,) of the samples, or None.

        Returns:
            The loss.
        """
        values = np.asarray(untraced(self._called(self._function, y_true, y_pred)))
        return float((values * self._factors(values, sample_weight)).sum())

    def value_and_gradient(
        self, y_true: Sequence[Any], y_pred: Sequence[Array], sample_weight: Any
    ) -> tuple[float, list[Array | None]]:
        """Return the reduced loss and its gradient by each output.

        Args:
            y_true: targets (B, ...) of each output.
            y_pred: the outputs (B, ...).
            sample_weight: weights (B,) of the samples, or None.

        Returns:
            The loss, and a gradient in the shape of each output, None for outputs that it does not depend on.

        Raises:
            ImportError: without the package autograd.
            ValueError: if the loss does what autograd cannot differentiate.
        """
        import autograd.numpy as traced

        function = traceable(self._function, traced)
        label = f"the loss {self.name!r}"
        result = differentiate(lambda *boxes: self._called(function, y_true, boxes), list(y_pred), label)
        (values,) = result.outputs
        factors = self._factors(values, sample_weight)
        return float((values * factors).sum()), result.backward([factors])

    def _called(self, function: Any, y_true: Sequence[Any], y_pred: Sequence[Any]) -> Any:
        values = function(packed(self._structure, list(y_true)), packed(self._structure, list(y_pred)))
        if isinstance(values, list | tuple) or np.asarray(untraced(values)).dtype.kind not in "biuf":
            raise WrongType(f"the loss {self.name!r} of several outputs must return one array, got {shown(values)}")
        return values

    def _factors(self, values: Array, sample_weight: Any) -> Array:
        """Return the factor of each value in the loss."""
        weights = weights_of_values(values, sample_weight, None, self.reduction)
        scale = self._loss._scale(values, weights)
        if weights is None:
            return np.full(values.shape, scale, values.dtype)
        if values.ndim == 0:
            return np.asarray(weights.sum() * scale, values.dtype)
        return np.broadcast_to(weights * scale, values.shape).astype(values.dtype)
