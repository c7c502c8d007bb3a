"""`Trainer`: compile, fit, evaluate, predict and their one-batch forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import optimizers, overriding, ranks
from pyrnn.arguments import checked
from pyrnn.callbacks import CallbackList, History
from pyrnn.callbacks.base import KeptHistory
from pyrnn.callbacks.container import CallbacksLike
from pyrnn.compiled import UNKNOWN, Compiled
from pyrnn.data import Batches, as_batches
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import ArrayBatches, Batch, RepeatedBatches, make_batch
from pyrnn.data.class_weight import ClassWeight, ClassWeights
from pyrnn.data.packing import pack_x_y_sample_weight
from pyrnn.data.splitting import hold_back
from pyrnn.fitting import check_class_weight, check_fit, validation_batches
from pyrnn.loops import custom_step, evaluate, reset, result, test_step_on, train, train_step
from pyrnn.losses import LossLike
from pyrnn.metrics import MetricsLike
from pyrnn.optimizers import OptimizerLike
from pyrnn.resume import Run
from pyrnn.rules import LARGEST_COUNT, Either, ListOf, OneOf, Unchecked, Whole
from pyrnn.steps import Steps
from pyrnn.structures import leaves, mapped, packed, with_tuples
from pyrnn.typing import ArrayLike, Count, Decay, Flag, Index, Inputs, Size, Verbosity
from pyrnn.validation import positive_int, shown, warn

Array = NDArray[Any]
VERBOSITIES = ("auto", 0, 1, 2)


class Trainer(Steps):
    """Methods that train and evaluate a model, which brings `forward_pass`, and `passes` for the rest of a step."""

    stop_predicting: bool

    def __init__(self) -> None:
        self._compiled: Compiled | None = None
        self._optimizer_before: optimizers.Optimizer | None = None  # set before `compile`, which replaces it
        self._history: Any = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._run: Run | None = None  # the `fit` under way

    @property
    def history(self) -> Any:
        """The `History` of the last `fit`, None before the first."""
        return self._history.get() if isinstance(self._history, KeptHistory) else self._history

    @history.setter
    def history(self, history: Any) -> None:
        belongs = isinstance(history, History) and history.model is self
        self._history = KeptHistory(history, self) if belongs else history

    def _outputs_are_known(self) -> bool:
        """Return whether the number of outputs is known before the first data."""
        return True

    def _output_names(self) -> Any:
        """Return the names of the outputs in their structure, None if there is none yet."""
        raise NotImplementedError

    def _in_structure(self, outputs: Any) -> Any:
        """Return outputs in the structure that the model has."""
        return outputs

    # Compiling.

    @checked
    def compile(
        self,
        optimizer: OptimizerLike | None = "rmsprop",
        loss: LossLike = None,
        loss_weights: Annotated[
            float | Sequence[float] | Mapping[str, float], Unchecked(allowed="list negative zero fraction huge")
        ]
        | None = None,
        metrics: MetricsLike = None,
        weighted_metrics: MetricsLike = None,
        run_eagerly: Flag = False,
        steps_per_execution: Count = 1,
        jit_compile: Annotated[str | bool, OneOf("auto", True, False)] = "auto",
        auto_scale_loss: Flag = True,
    ) -> None:
        """Choose optimizer, loss and metrics.

        `loss`, `loss_weights`, `metrics` and `weighted_metrics` may also be a list with one entry per output, a dict
        by the names of the outputs, or have the structure of the outputs. The name of an output is that of the layer
        that makes it, or its key if the outputs are a dict. The loss of several outputs is the weighted sum of their
        losses; an output whose entry is None has no loss. Logs name losses and metrics as Keras does. Steps that the
        mask of the output leaves out do not count in metrics.

        Args:
            optimizer: name, class, object or description; None for a model that is only evaluated.
            loss: name, class, object, description, or a function of (y_true, y_pred); one of these is for all outputs.
            loss_weights: the factor of the loss, which is not in the logged losses of several outputs.
            metrics: a list of names, classes, objects or functions of (y_true, y_pred); with several outputs a list or
                dict with such a list, or one of these, for each output.
            weighted_metrics: the same, for metrics that sample weights reach.
            run_eagerly: has no effect, since training always runs the compiled kernel.
            steps_per_execution: has no effect, since training runs batch by batch.
            jit_compile: has no effect, like `run_eagerly`.
            auto_scale_loss: has no effect, since training runs in full precision.

        Raises:
            TypeError, ValueError: for unknown names and wrong kinds; the model stays as it was.
        """
        execution = {
            "run_eagerly": bool(run_eagerly),
            "steps_per_execution": positive_int("steps_per_execution", steps_per_execution),
            "jit_compile": False if jit_compile == "auto" else bool(jit_compile),
        }
        self._compiled = Compiled(
            optimizer,
            loss,
            metrics,
            weighted_metrics,
            loss_weights,
            execution,
            self._output_names() if self._outputs_are_known() else UNKNOWN,
        )
        self._optimizer_before = None

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile the model as a description says. Without an optimizer in it the model stays as it is.

        A class with a `compile` of its own is not compiled, with a warning: its arguments are not known.

        Args:
            config: what `get_compile_config` returned.

        Raises:
            TypeError, ValueError: for unknown names and wrong kinds; the model stays as it was.
        """
        if "optimizer" not in config:
            return
        if overriding.new_in(type(self), "compile", Trainer) is not None:
            warn(
                "`compile()` was not called as part of model loading because the model's `compile()` method is custom. "
                "Call it yourself, or define get_compile_config() and compile_from_config(config)"
            )
            return
        names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly",
                 "steps_per_execution", "jit_compile")  # fmt: skip
        options = {name: with_tuples(config[name]) for name in names if config.get(name) is not None}
        self.compile(options.pop("optimizer", None), **options)

    def _ready(self, what: str, trains: bool = False) -> Compiled:
        compiled = self._compiled
        if compiled is None or not (compiled.has_loss or self._may_have_loss()):
            missing = "compile(optimizer=..., loss=...)" if compiled is None else "compile with a loss"
            raise ValueError(f"the model must be compiled before {what}: call {missing} first")
        if trains and compiled.optimizer is None:
            raise ValueError(f"the model must be compiled with an optimizer before {what}, got None")
        if self.is_custom:
            compiled.tracked = self._tracked()
        return compiled

    def _may_have_loss(self) -> bool:
        """Return whether a model that is compiled without a loss may have one."""
        return not self.hooks.isdisjoint(("train_step", "test_step", "compute_loss"))

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """The optimizer of `compile`; before that what was assigned, or None."""
        return self._optimizer_before if self._compiled is None else self._compiled.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        """The optimizer: an object or a name, which replaces that of `compile`, and which `compile` replaces.

        Raises:
            TypeError, ValueError: If `value` is no optimizer or unknown.
        """
        if self._compiled is None:
            self._optimizer_before = self._checked_optimizer(value)
        else:
            self._compiled.optimizer = optimizers.as_optimizer(value)

    def _checked_optimizer(self, value: Any) -> Any:
        """Return what is assigned to `optimizer` before `compile`, as an optimizer."""
        return optimizers.as_optimizer(value)

    @property
    def loss(self) -> Any:
        """The loss, None before `compile`; a list for several outputs."""
        return None if self._compiled is None else self._compiled.head.loss

    @property
    def metrics_names(self) -> list[str]:
        """Names of the loss and the metrics in the order in which `evaluate` returns them.

        A metric whose result is a dict returns the entries of the dict instead.
        """
        tracked = [metric.name for metric in self._tracked()]
        return tracked if self._compiled is None else ["loss", *self._compiled.head.names, *tracked]

    def get_compile_config(self) -> dict[str, Any] | None:
        """Describe what `compile` was passed, in Keras 3's form.

        Returns:
            A dict that `compile_from_config` accepts; None before `compile`.
        """
        return None if self._compiled is None else self._compiled.describe()

    # One batch.

    def _results(self, compiled: Compiled, return_dict: bool, last: Mapping[str, Any] | None = None) -> Any:
        """Return the loss and metrics; those of a custom model as Keras orders them."""
        if self.is_custom:
            logs = result(self, compiled, last)
            if return_dict:
                return logs
            if logs.keys() != compiled.logs().keys() or "metrics" in self.hooks:
                names = list(dict.fromkeys(metric.name for metric in self.metrics))
                ordered = [name for name in names if name in logs]
                results = [logs[name] for name in (*ordered, *sorted(logs.keys() - set(ordered)))]
                return results[0] if len(results) == 1 else results
            return compiled.results() if len(logs) > 1 else compiled.mean_loss._plain_result()
        if return_dict:
            return compiled.logs()
        return compiled.results() if compiled.lists_results else compiled.mean_loss._plain_result()

    @checked
    def train_on_batch(
        self,
        x: Inputs,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeights | None = None,
        return_dict: Flag = False,
    ) -> Any:
        """Train on one batch.

        Args:
            x: inputs, shape (batch, ...); a list, tuple or dict of several inputs.
            y: targets, in the shape (batch, ...) of the output; a last axis of 1 may be missing. Of several outputs: a
                list, tuple or dict.
            sample_weight: weights (batch,), or (batch, time) for outputs at each time step; of several outputs also a
                list, tuple or dict like `y`.
            class_weight: {class number: weight}; each row or time step weighs as its class, others weigh 1.
            return_dict: return a dict by name.

        Returns:
            The loss; with metrics a list of the loss and the metrics, in the order of `metrics_names`.

        Raises:
            TypeError, ValueError: for data that do not fit, before any weight has changed.
        """
        compiled = self._ready("training", trains="train_step" not in self.hooks)
        batch = make_batch((x, y, sample_weight), self.dtype, self.signature())
        by_class = None
        if class_weight is not None:
            by_class = ClassWeight(class_weight)
            check_fit(self, compiled, batch, by_class)
        if not self.is_custom:
            compiled.reset()
            train_step(self, compiled, batch, by_class)
            return self._results(compiled, return_dict)
        self.reset_metrics()
        step = custom_step if "train_step" in self.hooks else train_step
        return self._results(compiled, return_dict, step(self, compiled, batch, by_class))

    @checked
    def test_on_batch(
        self, x: Inputs, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, return_dict: Flag = False
    ) -> Any:
        """Compute loss and metrics of one batch, without training.

        Args:
            x: inputs, shape (batch, ...); a list, tuple or dict of several inputs.
            y: targets, in the shape (batch, ...) of the output; a last axis of 1 may be missing. Of several outputs: a
                list, tuple or dict.
            sample_weight: weights (batch,), or (batch, time) for outputs at each time step; of several outputs also a
                list, tuple or dict like `y`.
            return_dict: return a dict by name.

        Returns:
            The loss; with metrics a list of the loss and the metrics, in the order of `metrics_names`.

        Raises:
            TypeError, ValueError: for data that do not fit.
        """
        compiled = self._ready("evaluating")
        batch = make_batch((x, y, sample_weight), self.dtype, self.signature())
        reset(self, compiled)
        return self._results(compiled, return_dict, test_step_on(self, compiled, batch))

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs for one batch.

        Args:
            x: inputs, shape (batch, ...); a list, tuple or dict of several inputs.

        Returns:
            The outputs, shape (batch, ...), in the structure of the model's outputs.
        """
        return self._predicted(make_batch((x,), self.dtype, self.signature()))

    def _predicted(self, batch: Batch) -> Any:
        """Return the outputs for a batch in their structure, by the `predict_step` of a subclass if it has one."""
        if "predict_step" in self.hooks:
            x, _, _ = self._structured(batch)
            return mapped(np.asarray, self.predict_step(pack_x_y_sample_weight(x)))
        runner = self if ranks.distribution is None else ranks.distribution.runner(self)
        return self._in_structure(self._output(batch.x, runner))

    def _output(self, x: Any, runner: Any, *, training: bool = False) -> Any:
        """Return the outputs for x in memory of their own: layers such as Dropout and Flatten return x or a view of it.

        Several outputs are `Arrays`.
        """
        y: Any
        y, _ = runner.forward_pass(x, training=training)
        if isinstance(x, np.ndarray) and type(y) is not Arrays:
            return y.copy() if np.may_share_memory(y, x) else y
        others = [each for each in leaves(x) if isinstance(each, np.ndarray)]
        results = []
        for array in y if type(y) is Arrays else (y,):
            results.append(array.copy() if any(np.may_share_memory(array, each) for each in others) else array)
            others.append(results[-1])
        return Arrays(results) if type(y) is Arrays else results[0]

    # Loops.

    @checked
    def fit(
        self,
        x: Inputs | None = None,
        y: ArrayLike | None = None,
        batch_size: Size | None = None,
        epochs: Count = 1,
        verbose: Verbosity = "auto",
        callbacks: CallbacksLike = None,
        validation_split: Decay = 0.0,
        validation_data: ArrayLike | None = None,
        shuffle: Flag = True,
        class_weight: ClassWeights | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: Index = 0,
        steps_per_epoch: Count | None = None,
        validation_steps: Count | None = None,
        validation_batch_size: Count | None = None,
        validation_freq: Annotated[int | Iterable[int], Either(ListOf(Whole(1)), Whole(1, LARGEST_COUNT))] = 1,
    ) -> History:
        """Train on arrays, a generator, a loader or a PyDataset.

        Args:
            x: inputs, shape (N, ...), or a list, tuple or dict of several inputs; or a generator, loader or PyDataset
                of batches (x, y) or (x, y, sample_weight).
            y: targets, in the shape (N, ...) of the output; a last axis of 1 may be missing. Of several outputs: a list
                or tuple, or a dict by the names of the outputs.
            batch_size: rows in a batch of arrays; by default N / `steps_per_epoch`, rounded up, or 32.
            epochs: number of the last epoch; with `initial_epoch` the first ones are left out.
            verbose: 0 for silence, 1 for a line that grows with each batch, 2 for a line per epoch, "auto" for 1.
            callbacks: a list of callbacks.
            validation_split: the fraction of the samples, at the end of the arrays, that validate and do not train.
            validation_data: (x, y), (x, y, sample_weight), or batches as for `x`. A generator that ends is drawn once.
            shuffle: draw the rows of arrays, or the batches of a PyDataset, in another order in each pass.
            class_weight: {class number: weight}; each row or time step weighs as its class, others weigh 1.
            sample_weight: weights (N,), or (N, T) for outputs at each time step; of several outputs also a list, tuple
                or dict like `y`.
            initial_epoch: number of epochs that are already done.
            steps_per_epoch: batches in an epoch. If that is not all of them, the next epoch begins where this one
                ended. An epoch ends with the last batch of the data, with a warning if it has fewer batches; then the
                data start again. A generator that ends within an epoch ends the training.
            validation_steps: batches in each validation: the first ones of arrays, loaders and PyDatasets, the next
                ones of a generator.
            validation_batch_size: rows in a batch of validation arrays; by default `batch_size`.
            validation_freq: validate every `validation_freq` epochs, or after the epochs in a list (from 1 on).

        Returns:
            A `History`, whose `history` holds the loss and metrics of each epoch, and with `val_` before the name
            those of the validations.

        Raises:
            TypeError, ValueError: for data and arguments that do not fit, before any weight has changed.
        """
        compiled, signature = self._ready("fit", trains="train_step" not in self.hooks), self.signature()
        check_class_weight(compiled, class_weight)
        epochs = positive_int("epochs", epochs)
        verbose = _verbosity(verbose)
        if not 0 <= validation_split < 1:
            raise ValueError(f"validation_split must lie in [0, 1), got {validation_split}")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = hold_back(
                x, y, sample_weight, validation_split, self.dtype, signature
            )
        batches = as_batches(
            x, y, sample_weight, dtype=self.dtype, batch_size=batch_size, steps=steps_per_epoch,
            shuffle=bool(shuffle), repeat=True, signature=signature,
        )  # fmt: skip
        by_class = None if class_weight is None else ClassWeight(class_weight)
        if isinstance(batches, ArrayBatches | RepeatedBatches) and "train_step" not in self.hooks:
            check_fit(self, compiled, batches.data, by_class)
            if ranks.distribution is not None and not self.is_custom:
                batches.read_only(ranks.distribution.rows)
        validation = None
        if validation_data is not None:
            size = validation_batch_size or batch_size
            validation = validation_batches(self, compiled, validation_data, size, validation_steps)
        hooks = self._hooks(callbacks, batches, verbose, epochs, add_history=True)
        self.stop_training = False
        compiled.has_warned = False
        self._run = Run(batches, validation, compiled, hooks, initial_epoch, by_class)
        try:
            with hooks:
                train(self, self._run, epochs, validation_freq)
        finally:
            self._run = None
        assert hooks.history is not None
        return hooks.history

    @checked
    def evaluate(
        self,
        x: Inputs | None = None,
        y: ArrayLike | None = None,
        batch_size: Size | None = None,
        verbose: Verbosity = "auto",
        sample_weight: ArrayLike | None = None,
        steps: Count | None = None,
        callbacks: CallbacksLike = None,
        return_dict: Flag = False,
    ) -> Any:
        """Compute loss and metrics over arrays, a generator, a loader or a PyDataset.

        Args:
            x: inputs, shape (N, ...), or a list, tuple or dict of several inputs; or a generator, loader or PyDataset
                of batches (x, y) or (x, y, sample_weight).
            y: targets, in the shape (N, ...) of the output; a last axis of 1 may be missing. Of several outputs: a list
                or tuple, or a dict by the names of the outputs.
            batch_size: rows in a batch of arrays; by default N / `steps`, rounded up, or 32.
            verbose: 0 for silence, 1 for a line that grows with each batch, 2 for one line, "auto" for 1.
            sample_weight: weights (N,), or (N, T) for outputs at each time step; of several outputs also a list, tuple
                or dict like `y`.
            steps: number of batches; by default all.
            callbacks: a list of callbacks.
            return_dict: return a dict by name.

        Returns:
            The loss; with metrics a list of the loss and the metrics, in the order of `metrics_names`.

        Raises:
            TypeError, ValueError: for data and arguments that do not fit.
        """
        compiled = self._ready("evaluate")
        verbose = _verbosity(verbose)
        batches = as_batches(
            x, y, sample_weight, dtype=self.dtype, batch_size=batch_size, steps=steps, signature=self.signature()
        )
        hooks = self._hooks(callbacks, batches, verbose)
        compiled.has_warned = False
        with hooks:
            logs = evaluate(self, compiled, batches, hooks)
        return logs if return_dict else self._results(compiled, False, logs)

    @checked
    def predict(
        self,
        x: Inputs,
        batch_size: Size | None = None,
        verbose: Verbosity = "auto",
        steps: Count | None = None,
        callbacks: CallbacksLike = None,
    ) -> Any:
        """Compute the outputs for arrays, a generator, a loader or a PyDataset.

        Args:
            x: inputs, shape (N, ...), or a list, tuple or dict of several inputs; or a generator, loader or PyDataset
                of batches x, or of tuples that begin with x.
            batch_size: rows in a batch of arrays; by default N / `steps`, rounded up, or 32.
            verbose: 0 for silence, 1 for a line that grows with each batch, 2 for one line, "auto" for 1.
            steps: number of batches; by default all.
            callbacks: a list of callbacks.

        Returns:
            The outputs of all batches, one row per sample, in the structure of the model's outputs.

        Raises:
            TypeError, ValueError: for data and arguments that do not fit, or if there is no batch.
        """
        verbose = _verbosity(verbose)
        batches = as_batches(x, dtype=self.dtype, batch_size=batch_size, steps=steps, signature=self.signature())
        hooks = self._hooks(callbacks, batches, verbose)
        self.stop_predicting = False
        outputs: list[Any] = []
        with hooks:
            hooks("on_predict_begin", {})
            for step, batch in enumerate(batches.epoch()):
                hooks("on_predict_batch_begin", step, {})
                outputs.append(self._predicted(batch))
                hooks("on_predict_batch_end", step, {"outputs": outputs[-1]})
                if self.stop_predicting:
                    break
            hooks("on_predict_end", {})
        if not outputs:
            raise ValueError("x must yield at least one batch, got none")
        if len(outputs) == 1:
            return outputs[0]
        if isinstance(outputs[0], np.ndarray):
            return np.concatenate(outputs)
        parts = zip(*map(leaves, outputs), strict=True)
        return packed(outputs[0], [np.concatenate(arrays) for arrays in parts])

    def _hooks(
        self, callbacks: Any, batches: Batches, verbose: int, epochs: int = 1, *, add_history: bool = False
    ) -> CallbackList:
        params = {"verbose": verbose, "epochs": epochs, "steps": batches.steps}
        return CallbackList(callbacks, add_history=add_history, add_progbar=verbose != 0, model=self, **params)


def _verbosity(verbose: Any) -> int:
    if verbose is True or verbose is False:
        verbose = int(verbose)
    if verbose not in VERBOSITIES:
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {shown(verbose)}")
    if not ranks.is_first():
        return 0
    return 1 if verbose == "auto" else int(verbose)
