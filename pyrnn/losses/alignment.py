"""Targets, weights and masks in the shape of what they are compared with or multiplied by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.data.arrays import as_array

Array = NDArray[Any]
Shape = tuple[int, ...]
EPSILON = 1e-7


def match_ranks(y_true: Array, y_pred: Array) -> Array:
    """Return y_true in the shape of y_pred, where one of them may lack a last axis of length 1.

    Nothing else broadcasts.

    Args:
        y_true: Targets, shape (batch, ...).
        y_pred: Outputs of the model, shape (batch, ...).

    Returns:
        y_true in the shape of y_pred, a view.

    Raises:
        ValueError: If the shapes differ otherwise.

    Example:
        >>> pyrnn.losses.match_ranks(np.array([1.0, 2.0]), np.zeros((2, 1))).shape
        (2, 1)
    """
    return aligned(y_true, y_pred.shape)


def aligned(
    y_true: Array,
    shape: Shape,
    pred_shape: Shape | None = None,
    rule: str = "have the shape of y_pred,",
    fix: str = "",
) -> Array:
    """y_true in this shape, which is that of y_pred unless `pred_shape` says otherwise.

    `rule` introduces the shape in the error, and `fix` is its advice, by default what the shapes suggest.

    Raises:
        ValueError: if more than a last axis of length 1 is missing or too many.
    """
    true = y_true.shape
    if true == shape:
        return y_true
    if (*true, 1) == shape:
        return y_true[..., None]
    if true == (*shape, 1):
        return y_true[..., 0]
    fix = fix or _likely_fix(true, shape, shape if pred_shape is None else pred_shape)
    raise ValueError(f"y_true must {rule} {shape}, got {true}{fix and '; ' + fix}")


def _likely_fix(true: Shape, wanted: Shape, pred: Shape) -> str:
    """What a user who got this error probably has to change in the model."""
    if true[:1] != wanted[:1]:
        return ""
    if len(pred) > 2 and pred[1] > 1 and true[1:] in ((), (1,), (1, 1), (1, *wanted[2:]), wanted[2:]):
        return "did you mean return_sequences=False in the last recurrent layer?"
    if len(pred) == 2 and len(true) > max(1, len(wanted)) and true[1] > 1:
        return "did you mean return_sequences=True in the last recurrent layer?"
    if wanted == pred and true[: len(wanted) - 1] == wanted[:-1] and len(true) <= len(wanted):
        units = true[-1] if len(true) == len(wanted) else 1
        return f"did you mean a last layer of {units} unit{'s' if units > 1 else ''}?"
    return ""


def same_rank(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Both with as many axes, by Keras's rule: a last axis of 1 that the other lacks goes; a single axis gets one."""
    if y_pred.ndim + 1 == y_true.ndim and y_true.shape[-1] == 1:
        return (y_true, y_pred[:, None]) if y_pred.ndim == 1 else (y_true[..., 0], y_pred)
    if y_true.ndim + 1 == y_pred.ndim and y_pred.shape[-1] == 1:
        return (y_true[:, None], y_pred) if y_true.ndim == 1 else (y_true, y_pred[..., 0])
    return y_true, y_pred


def with_classes(values: Array, name: str = "y_pred") -> Array:
    """The same, which must have something along its last axis.

    Raises:
        ValueError: if it has no axis or an empty last one.
    """
    if not values.ndim or not values.shape[-1]:
        raise ValueError(f"{name} must hold classes along its last axis, got shape {values.shape}")
    return values


def both(mask: Array | None, counted: Array | None) -> Array | None:
    """Return where a mask and what a loss counts are both True, None where all counts."""
    if mask is None or counted is None:
        return counted if mask is None else mask
    return np.logical_and(mask.reshape(mask.shape + (1,) * (counted.ndim - mask.ndim)), counted)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return all(length in (1, wanted) for length, wanted in zip(shape, to, strict=True))


def fitted(weight: Array, values: Array, what: str) -> Array:
    """Return a weight or mask of leading axes in the rank of `values`, unchanged if all samples have one value."""
    if values.ndim == 0:
        return weight
    fitted = weight[..., 0] if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1 else weight
    fitted = fitted.reshape(fitted.shape + (1,) * (values.ndim - fitted.ndim))
    if fitted.ndim > values.ndim or not _broadcasts(fitted.shape, values.shape):
        raise ValueError(f"{what} must broadcast to the samples, shape {values.shape}, got {weight.shape}")
    return fitted


def weights_of_values(values: Array, sample_weight: Any, mask: Array | None, reduction: str | None) -> Array | None:
    """Return weights that broadcast to `values`, or None. Masked values weigh 0 and do not count in a mean."""
    weights: Array | None = None
    if sample_weight is not None:
        weights = fitted(
            as_array("sample_weight", sample_weight).astype(values.dtype, copy=False), values, "sample_weight"
        )
    if mask is not None:
        mask_weight = fitted(mask, values, "mask").astype(values.dtype)
        if reduction in ("sum_over_batch_size", "mean"):
            mask_weight = mask_weight * np.asarray(
                mask_weight.size / max(float(mask_weight.sum()), EPSILON), values.dtype
            )
        if weights is None:
            return mask_weight
        rank = max(weights.ndim, mask_weight.ndim)
        weights, mask_weight = (each.reshape(each.shape + (1,) * (rank - each.ndim)) for each in (weights, mask_weight))
        weights = weights * mask_weight
    return weights
