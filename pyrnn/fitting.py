"""Checks that data fit a model and its loss, before the model runs; if they do not, nothing has changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import losses
from pyrnn.compiled import Compiled
from pyrnn.data import Batch, Batches, as_batches
from pyrnn.data.batches import ArrayBatches, RepeatedBatches
from pyrnn.data.class_weight import ClassWeight
from pyrnn.data.sources import DEFAULT_BATCH_SIZE, IteratorBatches, StoredBatches
from pyrnn.layers.holder import all_layers


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
    if y is None:
        raise ValueError("y is missing: the data must give (x, y)")
    loss = head.loss
    assert loss is not None
    if not model.built:
        model.build((None, *batch.x.shape[1:]))
    x_shape = model.check_input(batch.x.shape)
    if any(not type(layer).__module__.startswith("pyrnn.") for layer in all_layers(model.layers)):
        return
    shape = model.compute_output_shape(x_shape)
    if None in shape:
        return
    loss.target(y, shape)
    if class_weight is not None:
        class_weight.weigh(y, batch.sample_weight, shape, model.dtype)
    weighs = batch.sample_weight is not None and type(loss) in losses.CLASSES
    if weighs or head.entries:
        rows = slice(DEFAULT_BATCH_SIZE)
        y_pred = np.full((len(y[rows]), *shape[1:]), 0.5, model.dtype)
        weight = None if batch.sample_weight is None else batch.sample_weight[rows]
        with np.errstate(all="ignore"):
            if weighs:
                loss.value(y[rows], y_pred, weight)
            head.check(y[rows], np.ones_like(y_pred), weight)


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
    if y is None or (x.shape[1:], y.shape[1:]) not in compiled.fitting:
        check_fit(model, compiled, batch)
    assert y is not None
    compiled.last_shapes = (x.shape, y.shape)
    compiled.fitting.add((x.shape[1:], y.shape[1:]))


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
        batches = as_batches(*parts, dtype=model.dtype, batch_size=batch_size, steps=steps)
        if isinstance(batches, IteratorBatches):
            if steps is None:
                return StoredBatches(batches)
            batches.name = "the generator of validation_data"
            batches.advice = "leave validation_steps out: then its batches are drawn once and used in each epoch"
        if isinstance(batches, ArrayBatches | RepeatedBatches):
            check_fit(model, compiled, batches.data)
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"validation_data: {error}") from None
    return batches
