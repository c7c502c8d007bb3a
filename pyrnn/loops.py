"""The training loop: epochs, batches and steps of a model. It knows no layer type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from pyrnn import not_finite, ranks
from pyrnn.callbacks import CallbackList
from pyrnn.compiled import Compiled, LazyLogs
from pyrnn.data import Batch, Batches
from pyrnn.data.class_weight import ClassWeight
from pyrnn.explaining import ModelNames
from pyrnn.fitting import check_fit, check_has_loss, check_shapes
from pyrnn.parameters import ParameterVector
from pyrnn.resume import Run
from pyrnn.validation import warn

Array = NDArray[Any]


class Passes(Protocol):
    """What follows the forward pass in a training step."""

    def backward_pass(self, dy: Any) -> None:
        """Write the gradients of the weights.

        Args:
            dy: the gradient of the loss by the output of the last training `forward_pass`, in its shape; with several
                outputs a list of them, None for outputs without a loss.
        """

    def regularization_loss(self) -> float:
        """Return what the layers' regularizers add to the loss."""

    def add_regularization_gradients(self) -> None:
        """Add the gradients of `regularization_loss` to the gradients of the weights."""

    def scale_penalties(self, factor: float) -> None:
        """Multiply the gradients of `regularization_loss` of this step.

        Args:
            factor: how much of it the loss holds.
        """

    def parameters(self) -> ParameterVector:
        """Return the flat vectors of weights and gradients."""


class Trainable(ModelNames):
    """What the loop needs of a model."""

    stop_training: bool
    stop_evaluating: bool
    built: bool
    # Of a class of a user: the methods of a step that it overrides (see `steps.Steps`).
    is_custom: ClassVar[bool] = False
    hooks: ClassVar[frozenset[str]] = frozenset()

    @property
    def dtype(self) -> str:
        """The dtype of the model's arrays, "float32" or "float64"."""
        raise NotImplementedError

    def forward_pass(self, x: Any, *, training: bool = False) -> tuple[Array, Array | None]:
        """Compute the outputs for a batch.

        Args:
            x: inputs, shape (B, ...).
            training: whether a step follows, for which layers save what they need, and whether they draw noise.

        Returns:
            The outputs (B, ...) and their mask, None if the model has none.
        """
        raise NotImplementedError

    def squared_error_step(self, x: Array, y: Array) -> tuple[float, Array] | None:
        """Run forward, the mean squared error and backward in one call of the core, if it can run all layers.

        Args:
            x: inputs, shape (B, ...).
            y: targets, shape (B, ...).

        Returns:
            The loss without penalties and the outputs. None, without having computed anything, if that is not possible.
        """
        return None

    def passes(self) -> Passes:
        """Return what runs the rest of a step.

        Returns:
            The plan, or the model itself if its class overrides one of these methods.
        """
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs.

        Args:
            input_shape: shape of the inputs, batch axis first; a list of shapes if there are several.

        Returns:
            The shape of the output, or a list of shapes if there are several.
        """
        raise NotImplementedError

    # What `steps.Steps` defines.

    def call_step(self, name: str, batch: Batch) -> Mapping[str, Any]:
        """Call the `train_step` or `test_step` of a subclass.

        Args:
            name: "train_step" or "test_step".
            batch: the batch.

        Returns:
            The logs of the step.

        Raises:
            TypeError: if it returns no dict.
        """
        raise NotImplementedError

    def metrics_of(self, batch: Batch, y_pred: Any, masks: Any) -> Mapping[str, Any]:
        """Call the `compute_metrics` of a subclass.

        Args:
            batch: the batch.
            y_pred: the outputs of the model (B, ...).
            masks: their masks.

        Returns:
            The logs of the step.
        """
        raise NotImplementedError

    def custom_loss(self, batch: Batch, y_pred: Any, masks: Any) -> float:
        """Call the `compute_loss` of a subclass for evaluation.

        Args:
            batch: the batch.
            y_pred: the outputs of the model (B, ...).
            masks: their masks.

        Returns:
            The loss.

        Raises:
            ValueError: if it returns anything but a number.
        """
        raise NotImplementedError

    def differentiated_loss(self, batch: Batch, y_pred: Any, masks: Any) -> tuple[float, Any, float]:
        """Call the `compute_loss` of a subclass and differentiate it.

        Args:
            batch: the batch.
            y_pred: the outputs of the model (B, ...).
            masks: their masks.

        Returns:
            The loss, its gradient by the outputs, and that by each of `losses`, which must be the same for all.

        Raises:
            ValueError: if it returns anything but a number, or uses some of `losses` more than others.
        """
        raise NotImplementedError

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results of the metrics by name.

        Returns:
            A dict; a metric whose result is a dict adds its entries.
        """
        raise NotImplementedError

    def reset_metrics(self) -> None:
        """Set the running loss and the metrics to their initial state."""
        raise NotImplementedError


def train(model: Trainable, run: Run, epochs: int, validation_freq: int | Iterable[int]) -> None:
    """Train until the last epoch, or until `model.stop_training` is set.

    Args:
        model: a model that is compiled.
        run: data, callbacks and position, which a `BackupAndRestore` moves to where an interrupted training was.
        epochs: number of the last epoch, at least 1.
        validation_freq: validate every `validation_freq` epochs, or after the epochs that it holds (from 1 on).

    Raises:
        ValueError: if the data end before the first batch of an epoch.
    """
    for callback in run.hooks.callbacks:
        callback._before_training()
    run.hooks("on_train_begin", {})
    over = run.stopped and not run.batch
    for epoch in range(run.epoch, run.epoch if over else epochs):
        reset(model, run.compiled)
        run.hooks("on_epoch_begin", epoch, {})
        if not (run.stopped and run.batch):
            _train_batches(model, run)
        if not run.batch:
            raise ValueError(_ended("x"))
        if run.batches.has_ended and epoch + 1 < epochs:
            if run.batches.steps is None:
                warn(f"the generator ended in epoch {epoch + 1} of {epochs}: training stops there")
            model.stop_training = True
        run.batches.epoch_ended()
        logs = result(model, run.compiled, run.last)
        if run.batches.steps is None:
            run.hooks.params["steps"] = run.batch
        if run.validation is not None and _due(epoch, validation_freq):
            validated = evaluate(model, run.compiled, run.validation, run.hooks, "validation_data")
            logs = {**logs, **{f"val_{name}": value for name, value in validated.items()}}
        run.epoch, run.batch, run.logs = epoch + 1, 0, logs
        run.hooks("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    if run.compiled.optimizer is not None:
        run.compiled.optimizer.finalize_variable_values()
    run.hooks("on_train_end", run.logs)


def _train_batches(model: Trainable, run: Run) -> None:
    """Train on the batches of an epoch that are still to come."""
    train_on = custom_step if "train_step" in model.hooks else train_step
    for batch in run.batches.epoch():
        step = run.batch
        run.hooks("on_train_batch_begin", step, {})
        run.last = train_on(model, run.compiled, batch, run.class_weight, run.batches)
        run.batch += 1
        run.hooks("on_train_batch_end", step, LazyLogs(run.compiled) if run.last is None else run.last)
        if model.stop_training:
            return


def reset(model: Trainable, compiled: Compiled) -> None:
    """Set the running loss and the metrics to their initial state.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
    """
    if model.is_custom:
        model.reset_metrics()
    else:
        compiled.reset()


def result(model: Trainable, compiled: Compiled, last: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the logs of an epoch or evaluation, as Keras does.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        last: the logs of the last step, if methods of a subclass made them.

    Returns:
        The running loss and metrics; the last logs if these have other names.
    """
    if not model.is_custom:
        return compiled.logs()
    logs = model.get_metrics_result()
    return dict(last) if last is not None and last.keys() != logs.keys() else logs


def custom_step(
    model: Trainable,
    compiled: Compiled,
    batch: Batch,
    class_weight: ClassWeight | None = None,
    source: Batches | None = None,
) -> Mapping[str, Any] | None:
    """Train on one batch by the `train_step` of a subclass.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        batch: x (B, ...), y and sample weights.
        class_weight: multiplies the weights of samples by those of their classes.
        source: where the batch comes from, which does not matter.

    Returns:
        The logs of the step.
    """
    if class_weight is not None:
        check_fit(model, compiled, batch, class_weight)
        shape = model.compute_output_shape(batch.x.shape)
        weight = class_weight.weigh(batch.y, batch.sample_weight, shape, model.dtype)
        batch = batch._replace(sample_weight=weight)
    return model.call_step("train_step", batch)


def train_step(
    model: Trainable,
    compiled: Compiled,
    batch: Batch,
    class_weight: ClassWeight | None = None,
    source: Batches | None = None,
) -> Mapping[str, Any] | None:
    """Train on one batch.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        batch: x (B, ...), y and sample weights.
        class_weight: multiplies the weights of samples by those of their classes.
        source: where the batch comes from, for a warning; None for a batch that the user passed.

    Returns:
        The logs of the step if the `compute_metrics` of a subclass made them, else None.

    Raises:
        TypeError, ValueError: if the batch does not fit the model; no weight has changed.
    """
    x, y = batch.x, batch.y
    if y is None or (x.shape, y.shape) != compiled.last_shapes:
        check_shapes(model, compiled, batch)
    hooks, mask, gradient = model.hooks, None, None
    done = _in_one_call(model, compiled, batch) if class_weight is None else None
    if done is not None:
        (loss, y_pred), passes = done, model.passes()
        loss += passes.regularization_loss()
    else:
        runner = model if ranks.distribution is None else ranks.distribution.runner(model, batch)
        y_pred, mask = runner.forward_pass(x, training=True)
        if class_weight is not None:
            weight = class_weight.weigh(y, batch.sample_weight, y_pred.shape, model.dtype)
            batch = batch._replace(sample_weight=weight)
        passes = runner.passes()
        if "compute_loss" in hooks:
            loss, gradient, share = model.differentiated_loss(batch, y_pred, mask)
            if share != 1:
                passes.scale_penalties(share)
        else:
            loss, gradient = compiled.head.value_and_gradient(y, y_pred, batch.sample_weight, mask)
            penalty = passes.regularization_loss()
            if penalty:
                loss += penalty
            elif not compiled.has_loss:
                check_has_loss(model)
    compiled.optimizer.build(passes.parameters())
    if gradient is not None:
        passes.backward_pass(gradient)
    if not (math.isfinite(loss) or compiled.has_warned):
        compiled.has_warned = True
        warn(not_finite.explanation(model, loss, y_pred, batch, source, training=True))
    passes.add_regularization_gradients()
    if "compute_loss" in hooks and share != 1:
        passes.scale_penalties(1.0)
    logs = None
    compiled.update_loss(batch, loss)
    if "compute_metrics" in hooks:
        logs = model.metrics_of(batch, y_pred, mask)
    elif compiled.head.is_watched and y is not None:
        compiled.head.update(y, y_pred, batch.sample_weight, mask)
    compiled.optimizer.step()
    return logs


def _in_one_call(model: Trainable, compiled: Compiled, batch: Batch) -> tuple[float, Array] | None:
    """Return the loss without penalties and the outputs, or None if nothing has been computed."""
    x, y, weight = batch
    if y is None or weight is not None or model.is_custom or ranks.distribution is not None:
        return None
    return model.squared_error_step(x, y) if compiled.head.is_squared_error() else None


def evaluate(
    model: Trainable, compiled: Compiled, batches: Batches, hooks: CallbackList, name: str = "x"
) -> dict[str, Any]:
    """Compute loss and metrics over data, or until `model.stop_evaluating` is set; `compiled.logs()` has them.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        batches: the data.
        hooks: the callbacks.
        name: what an error calls the data.

    Returns:
        The loss and the metrics by name.

    Raises:
        ValueError: if there is no batch.
    """
    reset(model, compiled)
    batches.restart()
    model.stop_evaluating = False
    hooks("on_test_begin", {})
    step, last = -1, None
    for step, batch in enumerate(batches.epoch()):
        hooks("on_test_batch_begin", step, {})
        last = test_step_on(model, compiled, batch, batches)
        hooks("on_test_batch_end", step, LazyLogs(compiled) if last is None else last)
        if model.stop_evaluating:
            break
    if step < 0:
        raise ValueError(_ended(name))
    batches.epoch_ended()
    logs = result(model, compiled, last)
    hooks("on_test_end", logs)
    return logs


def test_step_on(
    model: Trainable, compiled: Compiled, batch: Batch, source: Batches | None = None
) -> Mapping[str, Any] | None:
    """Evaluate one batch, by the `test_step` of a subclass if it has one.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        batch: x (B, ...), y and sample weights.
        source: where the batch comes from, for a warning; None for a batch that the user passed.

    Returns:
        The logs of the step if methods of a subclass made them, else None.
    """
    if "test_step" in model.hooks:
        return model.call_step("test_step", batch)
    return test_step(model, compiled, batch, source)


def test_step(
    model: Trainable, compiled: Compiled, batch: Batch, source: Batches | None = None
) -> Mapping[str, Any] | None:
    """Add one batch to the running loss and metrics, without training.

    Args:
        model: a model that is compiled.
        compiled: what `compile` fixed.
        batch: x (B, ...), y and sample weights.
        source: where the batch comes from, for a warning; None for a batch that the user passed.

    Returns:
        The logs of the step if the `compute_metrics` of a subclass made them, else None.

    Raises:
        TypeError, ValueError: if the batch does not fit the model.
    """
    x, y = batch.x, batch.y
    if y is None or (x.shape, y.shape) != compiled.last_shapes:
        check_shapes(model, compiled, batch)
    runner = model if ranks.distribution is None else ranks.distribution.runner(model)
    y_pred, mask = runner.forward_pass(x, training=False)
    if "compute_loss" in model.hooks:
        loss = model.custom_loss(batch, y_pred, mask)
    else:
        loss = compiled.head.value(y, y_pred, batch.sample_weight, mask) + runner.passes().regularization_loss()
        if not (loss or compiled.has_loss):
            check_has_loss(model)
    if not (math.isfinite(loss) or compiled.has_warned):
        compiled.has_warned = True
        warn(not_finite.explanation(model, loss, y_pred, batch, source, training=False))
    compiled.update_loss(batch, loss)
    if "compute_metrics" in model.hooks:
        return model.metrics_of(batch, y_pred, mask)
    if compiled.head.is_watched and y is not None:
        compiled.head.update(y, y_pred, batch.sample_weight, mask)
    return None


def _ended(name: str) -> str:
    """Return an error for data without a batch."""
    return f"{name} must yield at least one batch, got none: a generator that has ended cannot be read again"


def _due(epoch: int, frequency: int | Iterable[int]) -> bool:
    """Return whether an epoch (from 0 on) is followed by a validation."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency
