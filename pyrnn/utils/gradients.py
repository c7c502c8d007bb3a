"""Gradients of custom losses and layers, compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses
from pyrnn.arguments import checked
from pyrnn.data.arrays import Data, as_array, as_float
from pyrnn.layers import Layer
from pyrnn.resume import random_state, set_random_state
from pyrnn.rules import Number, Unchecked
from pyrnn.typing import Size
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
# dtype -> (step of the finite differences, tolerance)
PRECISION = {"float32": (1e-2, 2e-2), "float64": (1e-5, 1e-4)}
# Smaller values move as if they had this size.
SMALLEST = 0.1
# How many roundings each term of a value may have gone through.
ROUNDINGS = 4
# A gradient counts as 0 below this share of the largest one.
NEGLIGIBLE = 1e-3


@checked
def check_gradients(
    tested: Annotated[Any, Unchecked()],
    x: Data,
    y_pred: Data | None = None,
    *,
    sample_weight: Data | None = None,
    mask: Data | None = None,
    tolerance: Annotated[float, Number(0, 1, open_ends="(")] | None = None,
    count: Size = 200,
) -> dict[str, float]:
    """Compare the gradients of a loss or a layer with finite differences.

    A wrong gradient raises no error in training: the model learns badly or not at all. Call this once for a loss or
    layer that computes its own gradients, on data as in training. At a kink, such as |x| at 0, any slope between those
    of the two sides is right.

    Args:
        tested: A loss (a name, a function of (y_true, y_pred) or a `Loss`), or a layer. A layer that is not built yet
            is built for x; its weights, states and random streams are unchanged afterwards.
        x: y_true (N, ...) for a loss; the input (N, ...) for a layer.
        y_pred: The predictions (N, ...), for a loss only; the check runs in float64.
        sample_weight: Weights (N,) of the samples, for a loss only.
        mask: The mask (N, T) of x, for a layer only.
        tolerance: Largest relative error, by default 1e-4 in float64 and 2e-2 in float32. A layer is checked in its own
            dtype; `dtype="float64"` makes the check stricter.
        count: Number of values of each array that are checked, at most; they are chosen at random, always the same.

    Returns:
        The largest relative error beyond rounding, by name: of "y_pred", or of "x" and each trainable weight.

    Raises:
        ValueError: If a gradient is wrong; the message names the worst value.
        TypeError: If `tested` is neither, or an argument belongs to the other kind.

    Example:
        >>> import numpy as np
        >>> from pyrnn.utils import check_gradients
        >>> def squared(y_true, y_pred):
        ...     return np.square(y_pred - y_true).mean(axis=-1), 2 * (y_pred - y_true)
        >>> y_true, y_pred = np.zeros((4, 1)), np.linspace(1, 2, 4)[:, None]
        >>> check_gradients(squared, y_true, y_pred)["y_pred"] < 1e-4
        True
        >>> check_gradients(lambda t, p: (np.square(p - t).mean(axis=-1), p - t), y_true, y_pred)
        Traceback (most recent call last):
        ValueError: the gradient of <lambda> by y_pred is wrong: 0.5 at [3, 0], finite differences give 1
    """
    if isinstance(tested, Layer):
        if y_pred is not None or sample_weight is not None:
            raise WrongType("y_pred and sample_weight must be left out for a layer, they belong to a loss")
        return _Check(tested.name, tested.dtype, tolerance, count).layer(tested, x, mask)
    try:
        is_loss = isinstance(tested, str) or (callable(tested) and not hasattr(tested, "layers"))
        loss = losses.as_loss(tested) if is_loss else None
    except (TypeError, ValueError) as error:
        raise type(error)(f"tested: {error}") from None
    if loss is None:
        raise WrongType(f"tested must be a loss or a layer, got {shown(tested)}")
    if y_pred is None or mask is not None:
        raise TypeError("a loss needs y_true and y_pred, and no mask")
    return _Check(loss.name, "float64", tolerance, count).loss(loss, x, y_pred, sample_weight)


class _Check:
    """Comparisons of one loss or layer."""

    def __init__(self, name: str, dtype: str, tolerance: float | None, count: int) -> None:
        self.name, self.dtype, self.count = name, dtype, count
        self.step, default = PRECISION[dtype]
        self.tolerance = default if tolerance is None else tolerance

    def loss(self, loss: losses.Loss, y_true: Any, y_pred: Any, sample_weight: Any) -> dict[str, float]:
        y_true = as_array("x", y_true)
        pred = np.array(as_float("y_pred", y_pred, self.dtype))

        def run() -> tuple[float, Array]:
            return loss.value_and_gradient(y_true, pred, sample_weight)

        return {"y_pred": self.compare("y_pred", pred, run()[1], lambda: np.asarray([run()[0]]))}

    def layer(self, layer: Layer, x: Any, mask: Any) -> dict[str, float]:
        array = np.array(as_float("x", x, self.dtype, allow_integers=layer.reads_ids))
        layer.fit_shape(array.shape)
        mask = None if mask is None else layer.checked_mask(mask, array)
        owner = SimpleNamespace(layers=[layer])
        streams, weights = random_state(owner), [weight.numpy() for weight in layer.weights]

        def run() -> Array:
            set_random_state(owner, streams)
            layer._discard_saved()
            y = layer.forward(array, training=True, mask=mask)
            if not isinstance(y, np.ndarray):
                raise WrongType(f"tested must return one array, got {type(y).__name__}: remove return_state")
            return y

        try:
            trainable = layer.trainable_weights
            for weight in trainable:
                weight.gradient[...] = 0
            y = run()
            dy = np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
            is_smooth = array.dtype.kind == "f" and not layer.reads_ids
            dx = layer.backward(dy.astype(self.dtype), need_dx=is_smooth)
            gradients = [weight.gradient.copy() for weight in trainable]

            def terms() -> Array:
                return np.asarray(run() * dy)

            errors = {"x": self.compare("x", array, np.asarray(dx), terms)} if is_smooth else {}
            names = [weight.name for weight in trainable]
            for weight, gradient in zip(trainable, gradients, strict=True):
                name = weight.name if names.count(weight.name) == 1 else weight.path
                errors[name] = self.compare(name, weight.array, gradient, terms, weight.touch)
        finally:
            set_random_state(owner, streams)
            for weight, before in zip(layer.weights, weights, strict=True):
                weight.assign(before)
            layer._discard_saved()
        return errors

    def compare(
        self,
        name: str,
        array: Array,
        gradient: Array,
        terms: Callable[[], Array],
        changed: Callable[[], None] = lambda: None,
    ) -> float:
        """The largest relative error of the gradient by `array`, on which the value, the sum of `terms`, depends.

        `changed` is called after each write to the array.

        Raises:
            ValueError: If it exceeds the tolerance.
        """
        chosen = np.arange(array.size)
        if array.size > self.count:
            chosen = np.sort(np.random.default_rng(0).choice(array.size, self.count, replace=False))
        start = terms()
        slopes, unsure = np.zeros((2, len(chosen))), np.zeros(len(chosen))  # upward and downward; they differ at a kink
        for i, place in enumerate(chosen):
            index = np.unravel_index(place, array.shape)
            before = array[index]
            for direction, sign in enumerate((1, -1)):
                array[index] = before + sign * self.step * max(SMALLEST, abs(before))
                changed()
                distance, difference = float(array[index]) - float(before), terms() - start
                slopes[direction, i] = difference.sum() / distance
                roundings = np.abs(start[difference != 0]).sum() * np.finfo(self.dtype).eps
                unsure[i] = max(unsure[i], ROUNDINGS * roundings / abs(distance))
            array[index] = before
            changed()
        analytic, numeric = gradient.reshape(-1)[chosen].astype(np.float64), slopes.mean(axis=0)
        beyond = np.maximum(slopes.min(axis=0) - analytic, analytic - slopes.max(axis=0))
        size = np.maximum(np.abs(numeric), np.abs(analytic))
        floor = max(NEGLIGIBLE * float(size.max(initial=0)), np.finfo(np.float64).tiny)
        errors = np.maximum(beyond - unsure, 0) / np.maximum(size, floor)
        errors[np.isnan(errors)] = np.inf
        worst = int(errors.argmax()) if len(errors) else 0
        largest = float(errors.max(initial=0))
        if largest > self.tolerance:
            at = [int(each) for each in np.unravel_index(chosen[worst], array.shape)]
            raise ValueError(
                f"the gradient of {self.name} by {name} is wrong: {analytic[worst]:.6g} at {at}, "
                f"finite differences give {numeric[worst]:.6g}"
            )
        return largest
