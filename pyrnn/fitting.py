"""Checks that data fit a model and its loss, before the model runs; if they do not, nothing has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import losses
from pyrnn.compiled import Compiled
from pyrnn.data import Batch, Batches, as_batches
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import ArrayBatches, RepeatedBatches
from pyrnn.data.class_weight import ClassWeight
from pyrnn.data.sources import DEFAULT_BATCH_SIZE, IteratorBatches, StoredBatches
from pyrnn.heads import Head
from pyrnn.inner_layers import all_layers
from pyrnn.several_heads import Heads, of_each

Array = NDArray[Any]


def check_fit(model: Any, compiled: Compiled, batch: Batch, class_weight: ClassWeight | None = None) -> None:
    """Check that x, y and weights fit the model and its loss; builds the model.

    Args:
        model: The model.
        compiled: Its loss and metrics.
        batch: The data.
        class_weight: The weights of the classes, or None.

    Raises:
        ValueError: If they do not fit. Outputs of custom layers are not checked: they are known only after the model
            ran.
    """
    head, y = compiled.head, batch.y
    if y is None and (compiled.has_loss or class_weight is not None) and "compute_loss" not in model.hooks:
        raise ValueError("y is missing: the data must give (x, y)")
    is_several = isinstance(head, Heads)
    if is_several and y is not None:
        _check_targets(head, y)
        check_class_weight(compiled, class_weight)
    if not model.built:
        model.build((None, *batch.x.shape[1:]))
    x_shape = model.check_input(batch.x.shape)
    if y is None or "compute_loss" in model.hooks:
        return  # what they must fit is the user's to say
    if any(not type(layer).__module__.startswith("pyrnn.") for layer in all_layers(model.layers)):
        return
    shape = model.compute_output_shape(x_shape)
    if not is_several:
        _check_output(head, y, batch.sample_weight, shape, model.dtype, class_weight)
        return
    weights = of_each(batch.sample_weight, len(head.heads))
    for name, part, target, weight, each in zip(head.outputs.keys, head.heads, y, weights, shape, strict=True):
        if target is not None:
            try:
                _check_output(part, target, weight, each, model.dtype)
            except (TypeError, ValueError) as error:
                raise type(error)(f"output {name!r}: {error}") from None


def _check_output(
    head: Head,
    y: Array,
    sample_weight: Array | None,
    shape: tuple[int, ...],
    dtype: str,
    class_weight: ClassWeight | None = None,
) -> None:
    """Check that targets and weights fit an output of this shape, unless parts of the shape are unknown."""
    loss = head.loss
    if None in shape:
        return
    if loss is not None:
        loss.target(y, shape)
    if class_weight is not None:
        class_weight.weigh(y, sample_weight, shape, dtype)
    weighs = sample_weight is not None and type(loss) in losses.CLASSES
    if weighs or head.entries:
        rows = slice(DEFAULT_BATCH_SIZE)
        y_pred = np.full((len(y[rows]), *shape[1:]), 0.5, dtype)
        weight = None if sample_weight is None else sample_weight[rows]
        with np.errstate(all="ignore"):
            if loss is not None and weighs:
                loss.value(y[rows], y_pred, weight)
            head.check(y[rows], np.ones_like(y_pred), weight)


def _check_targets(heads: Heads, y: Any) -> None:
    """Check that each output with a loss or metrics has targets."""
    keys = heads.outputs.keys
    if not isinstance(y, Arrays) or len(y) != len(keys):
        got = f"{len(y)} arrays" if isinstance(y, Arrays) else f"one of shape {y.shape}"
        names = ", ".join(map(repr, keys))
        raise ValueError(f"y must hold {len(keys)} arrays, one for each output ({names}), got {got}")
    trained = heads.trained
    for number, (key, head, target) in enumerate(zip(keys, heads.heads, y, strict=True)):
        if target is None and (number in trained or head.entries):
            raise ValueError(f"y must hold targets for output {key!r}, which has a loss or metrics, got None")


def check_class_weight(compiled: Compiled, class_weight: Any) -> None:
    """Check that a model with class weights has one output.

    Args:
        compiled: What `compile` fixed.
        class_weight: The weights of the classes, or None.

    Raises:
        ValueError: If it has several.
    """
    if class_weight is not None and isinstance(compiled.head, Heads):
        raise ValueError(
            "class_weight works only with models with one output, this one has "
            f"{len(compiled.head.heads)}: pass sample_weight with an array for each output"
        )


def check_has_loss(model: Any) -> None:
    """Check that layers add to the loss of a model that is compiled without one.

    Args:
        model: The model, after its forward pass.

    Raises:
        ValueError: If none does.
    """
    if not model.losses:
        raise ValueError(
            "there is no loss to compute: pass loss to compile(), or call add_loss() in the call of a layer"
        )


def check_shapes(model: Any, compiled: Compiled, batch: Batch) -> None:
    """Check a batch of other shapes than the last one. Each shape is checked once, in any batch size.

    Args:
        model: a model that is compiled; it is built if it was not.
        compiled: what `compile` fixed.
        batch: x (B, ...), y and sample weights.

    Raises:
        ValueError: if the batch does not fit.
    """
    x, y = batch.x, batch.y
    shapes = _without_rows(x), _without_rows(y)
    if y is None or shapes not in compiled.fitting:
        check_fit(model, compiled, batch)
    compiled.last_shapes = (x.shape, None if y is None else y.shape)
    compiled.fitting.add(shapes)


def _without_rows(data: Any) -> Any:
    """Return the shape of one sample, or of one sample of each array."""
    if isinstance(data, Arrays):
        return tuple(map(_without_rows, data))
    return None if data is None else data.shape[1:]


def validation_batches(model: Any, compiled: Compiled, data: Any, batch_size: int | None, steps: int | None) -> Batches:
    """Return the batches of validation; arrays are checked here, since they are used only after an epoch of training.

    Args:
        model: The model.
        compiled: Its loss and metrics.
        data: The argument `validation_data`.
        batch_size: Samples in a batch, or None.
        steps: Batches of a validation, or None.

    Returns:
        The batches.

    Raises:
        TypeError, ValueError: If the data do not fit; the message begins with validation_data.
    """
    parts = data if isinstance(data, tuple | list) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"validation_data must be (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    try:
        batches = as_batches(*parts, dtype=model.dtype, batch_size=batch_size, steps=steps, signature=model.signature())
        if isinstance(batches, IteratorBatches):
            if steps is None:
                return StoredBatches(batches)
            batches.name, batches.is_strict = "the generator of validation_data", True
            batches.advice = "leave validation_steps out: then its batches are drawn once and used in each epoch"
        if isinstance(batches, ArrayBatches | RepeatedBatches):
            check_fit(model, compiled, batches.data)
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"validation_data: {error}") from None
    return batches
