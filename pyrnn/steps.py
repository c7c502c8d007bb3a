"""The methods of a model that make up a step, which a subclass may override as in Keras: `train_step` and the like."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import loops
from pyrnn.compiled import Compiled
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import Batch, make_batch
from pyrnn.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from pyrnn.data.signature import Signature
from pyrnn.metrics.base import Metric, held_in
from pyrnn.ops.differentiation import differentiate, is_traced, untraced, with_gradient
from pyrnn.structures import leaves, packed
from pyrnn.validation import shown

Array = NDArray[Any]

HOOKS = (
    "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "get_metrics_result",
    "reset_metrics", "metrics",
)  # fmt: skip
# Names in the code of a `train_step` that computes gradients with another library.
_OF_OTHERS = ("GradientTape", "zero_grad", "value_and_grad", "stateless_call")


class Steps(loops.Trainable):
    """What a step computes. `train_step` is called for each batch, and calls `compute_loss` and `compute_metrics`.

    The gradients are those of the layers. A subclass changes what is minimized with `compute_loss`, which autograd
    differentiates, and what happens around a step with `train_step(data)`, which calls `super().train_step(data)`.
    """

    _compiled: Compiled | None
    _overrides_passes: ClassVar[bool]
    _takes_training: ClassVar[bool] = True  # whether `compute_loss` has the argument `training`
    # While `compute_loss` runs: the masks of the outputs, and the losses that autograd traces.
    _masks: Any = None
    _step_losses: list[Any] | None = None

    @classmethod
    def _find_hooks(cls, base: type) -> None:
        """Record what the class overrides.

        Raises:
            TypeError: if its `train_step` uses the gradients of another library.
        """
        cls.hooks = frozenset(name for name in HOOKS if getattr(cls, name) is not getattr(base, name))
        cls.is_custom = True
        cls._takes_training = "training" in inspect.signature(cls.compute_loss).parameters
        code = getattr(cls.train_step, "__code__", None)
        used = [name for name in _OF_OTHERS if code is not None and name in code.co_names]
        if used:
            raise TypeError(
                f"train_step of {cls.__name__} uses {used[0]}, which cannot see what layers compute: define "
                "compute_loss(x, y, y_pred, sample_weight) with pyrnn.ops, and call super().train_step(data)"
            )

    def signature(self) -> Signature | None:
        """Return how the model reads its inputs, targets and weights.

        Returns:
            The names, structure and ranks of inputs and outputs; None if the model has one of each, of unknown rank.
        """
        return None

    def _ready(self, what: str, trains: bool = False) -> Compiled:
        raise NotImplementedError

    def _in_structure(self, outputs: Any) -> Any:
        raise NotImplementedError

    # The hooks.

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch. `fit` and `train_on_batch` call it if a subclass overrides it.

        Args:
            data: x, (x, y) or (x, y, sample_weight), arrays (B, ...) or structures of them.

        Returns:
            The running loss and metrics by name, which become the logs.

        Raises:
            TypeError, ValueError: if the data do not fit, before any weight has changed.

        Example:
            >>> import numpy as np, pyrnn
            >>> class Noisy(pyrnn.Sequential):
            ...     def train_step(self, data):
            ...         x, y = data
            ...         return super().train_step((x + np.random.default_rng(0).normal(size=x.shape), y))
            >>> model = Noisy([pyrnn.layers.Dense(1, input_shape=(2,))])
            >>> model.compile("sgd", "mse")
            >>> sorted(model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0).history)
            ['loss']
        """
        return self._base_step(loops.train_step, "training", data)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch. `evaluate` and `test_on_batch` call it if a subclass overrides it.

        Args:
            data: x, (x, y) or (x, y, sample_weight), arrays (B, ...) or structures of them.

        Returns:
            The running loss and metrics by name.

        Raises:
            TypeError, ValueError: if the data do not fit.
        """
        return self._base_step(loops.test_step, "evaluating", data)

    def _base_step(self, step: Callable[..., Any], what: str, data: Any) -> dict[str, Any]:
        compiled = self._ready(what, trains=step is loops.train_step)
        logs = step(self, compiled, make_batch(unpack_x_y_sample_weight(data), self.dtype, self.signature()))
        return dict(self.get_metrics_result() if logs is None else logs)

    def predict_step(self, data: Any) -> Any:
        """Compute the outputs for one batch. `predict` and `predict_on_batch` call it if a subclass overrides it.

        Args:
            data: x, or a tuple that begins with x: arrays (B, ...) or structures of them.

        Returns:
            The outputs (B, ...), in the structure of the model's outputs.
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x)  # type: ignore[operator]  # models can be called

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch: that of `compile`, plus `losses`.

        A subclass may return another one, made of y_pred with `pyrnn.ops` or NumPy. Within a training step y_pred is
        what autograd traces.

        Args:
            x: inputs (B, ...).
            y: targets (B, ...).
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) of the samples or (B, T) of the steps, or None.
            training: whether the model is being trained.

        Returns:
            One number.

        Raises:
            ValueError: if there is no loss.

        Example:
            >>> import numpy as np, pyrnn
            >>> class Fourth(pyrnn.Sequential):
            ...     def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            ...         return pyrnn.ops.mean((y_pred - y) ** 4)
            >>> model = Fourth([pyrnn.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
            >>> model.compile("sgd")
            >>> model.train_on_batch(np.ones((4, 2)), np.zeros((4, 1)))
            16.0
        """
        compiled, terms = self._compiled, list(self.losses)
        if compiled is not None and compiled.has_loss:
            terms.insert(0, self._loss_of_outputs(compiled, y, y_pred, sample_weight))
        if not terms:
            raise ValueError("there is no loss to compute: pass loss to compile(), or call add_loss() in a layer")
        return sum(terms[1:], start=terms[0])

    def _loss_of_outputs(self, compiled: Compiled, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Return the loss of `compile`, traced where y_pred is."""
        outputs, signature = leaves(y_pred), self.signature()
        masks = self._masks if len(outputs) == 1 or self._masks is not None else [None] * len(outputs)
        # Read by make_batch, which checks targets against the rows of the outputs.
        plain = [np.asarray(untraced(each)) for each in outputs]
        batch = make_batch((plain[0], None, None), self.dtype)
        if len(outputs) == 1:
            batch = make_batch((plain[0], y, sample_weight), self.dtype)
        else:
            assert signature is not None
            only_outputs = Signature(signature.outputs, signature.outputs)
            batch = make_batch((list(plain), y, sample_weight), self.dtype, only_outputs)
        if not any(map(is_traced, outputs)):
            arrays: Any = plain[0] if len(plain) == 1 else Arrays(plain)
            return compiled.head.value(batch.y, arrays, batch.sample_weight, masks)
        if len(outputs) == 1:

            def run(array: Array) -> tuple[float, Callable[[Any], Array]]:
                value, slope = compiled.head.value_and_gradient(batch.y, array, batch.sample_weight, masks)
                return value, _slope(slope, array)[1]

            return with_gradient(run, outputs[0])
        return self._loss_of_several(compiled, batch, outputs, plain, masks)

    def _loss_of_several(
        self, compiled: Compiled, batch: Batch, outputs: Sequence[Any], plain: Sequence[Array], masks: Any
    ) -> Any:
        """Return the loss of several outputs of which autograd traces some: their value, with a term for each slope."""
        value, slopes = compiled.head.value_and_gradient(batch.y, Arrays(plain), batch.sample_weight, masks)
        total: Any = value
        for output, slope in zip(outputs, slopes, strict=True):
            if slope is not None and is_traced(output):
                total = total + with_gradient(functools.partial(_slope, slope), output)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Add a batch to the metrics of `compile`. A subclass may add it to others too.

        Args:
            x: inputs (B, ...).
            y: targets (B, ...).
            y_pred: outputs of the model (B, ...).
            sample_weight: weights (B,) of the samples or (B, T) of the steps, or None.

        Returns:
            The running loss and metrics by name, as `get_metrics_result` returns them.
        """
        compiled = self._ready("compute_metrics")
        if y is not None and compiled.head.is_watched:
            signature = self.signature()
            outputs = leaves(y_pred)
            if len(outputs) == 1:
                batch = make_batch((outputs[0], y, sample_weight), self.dtype)
                arrays, masks = batch.x, self._masks
            else:
                assert signature is not None
                only_outputs = Signature(signature.outputs, signature.outputs)
                batch = make_batch((outputs, y, sample_weight), self.dtype, only_outputs)
                arrays, masks = batch.x, self._masks or [None] * len(outputs)
            compiled.head.update(batch.y, arrays, batch.sample_weight, masks)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        if self._compiled is None:
            return _results(self.metrics)
        logs = self._compiled.logs()
        if "metrics" not in self.hooks:
            return logs
        named = {id(metric): name for name, metric in self._compiled.named_metrics()}
        return _results(self.metrics, named)

    @property
    def metrics(self) -> list[Metric]:
        """The running loss, the metrics of `compile`, and those in the attributes of a subclass."""
        if self._compiled is None:
            return self._tracked()
        self._compiled.tracked = self._tracked()
        return [self._compiled.mean_loss, *self._compiled.head.metrics, *self._compiled.tracked]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    @property
    def losses(self) -> list[Any]:
        """What is added to the loss: what layers passed to `add_loss`, penalties on outputs and on weights."""
        return self._penalties() if self._step_losses is None else self._step_losses

    def _penalties(self) -> list[float]:
        raise NotImplementedError

    def _tracked(self) -> list[Metric]:
        """The metrics in attributes of a custom class, each once."""
        return list(dict.fromkeys(held_in(vars(self).values()))) if self.is_custom else []

    # What the loop calls.

    def call_step(self, name: str, batch: Batch) -> Mapping[str, Any]:
        logs = getattr(self, name)(pack_x_y_sample_weight(*self._structured(batch)))
        if not isinstance(logs, Mapping):
            raise TypeError(f"{name} of {type(self).__name__} must return a dict of logs, got {shown(logs)}")
        return {key: _number(untraced(value)) for key, value in logs.items()}

    def metrics_of(self, batch: Batch, y_pred: Any, masks: Any) -> Mapping[str, Any]:
        self._masks = masks
        try:
            return self.compute_metrics(*self._arguments(batch, y_pred))
        finally:
            self._masks = None

    def _structured(self, batch: Batch) -> tuple[Any, Any, Any]:
        """Return the parts of a batch in the structures of the model's inputs and outputs."""
        signature = self.signature()
        if signature is None:
            return tuple(batch)
        structures = signature.inputs.structure, signature.outputs.structure, signature.outputs.structure
        x, y, weight = (
            packed(structure, list(part)) if type(part) is Arrays else part
            for structure, part in zip(structures, batch, strict=True)
        )
        return x, y, weight

    def _arguments(self, batch: Batch, y_pred: Any) -> tuple[Any, Any, Any, Any]:
        x, y, weight = self._structured(batch)
        return x, y, self._in_structure(y_pred), weight

    def _call_compute_loss(self, arguments: Sequence[Any], training: bool) -> Any:
        loss = self.compute_loss(*arguments, **({"training": training} if self._takes_training else {}))
        value = untraced(loss)
        if np.size(value) != 1 or np.asarray(value).dtype.kind not in "biuf":
            raise ValueError(f"compute_loss of {type(self).__name__} must return one number, got {shown(value)}")
        return loss

    def custom_loss(self, batch: Batch, y_pred: Any, masks: Any) -> float:
        self._masks = masks
        try:
            return float(self._call_compute_loss(self._arguments(batch, y_pred), False))
        finally:
            self._masks = None

    def differentiated_loss(self, batch: Batch, y_pred: Any, masks: Any) -> tuple[float, Any, float]:
        outputs = list(y_pred) if type(y_pred) is Arrays else [y_pred]
        penalties = self._penalties()
        arrays = [*outputs, np.array(penalties, np.float64)]

        def run(*traced: Any) -> Any:
            *predictions, values = traced
            self._step_losses = [values[index] for index in range(len(penalties))]
            structured: Any = Arrays(predictions) if type(y_pred) is Arrays else predictions[0]
            return self._call_compute_loss(self._arguments(batch, structured), True)

        self._masks = masks
        try:
            result = differentiate(run, arrays, f"compute_loss of {type(self).__name__}")
        finally:
            self._masks = self._step_losses = None
        (value,) = result.outputs
        *gradients, shares = result.backward([np.ones_like(value)])
        shares = np.zeros(len(penalties)) if shares is None else shares
        share = float(shares[0]) if len(shares) else 1.0
        if np.any(shares != share):
            raise ValueError(
                f"compute_loss of {type(self).__name__} must add all of self.losses with the same factor, got "
                f"{', '.join(f'{each:g}' for each in shares)}"
            )
        gradients = [np.zeros_like(y) if dy is None else dy for y, dy in zip(outputs, gradients, strict=True)]
        return float(value.reshape(())), gradients if type(y_pred) is Arrays else gradients[0], share


def _results(listed: Sequence[Metric], names: Mapping[int, str] | None = None) -> dict[str, Any]:
    logs: dict[str, Any] = {}
    for metric in listed:
        result = metric._plain_result()
        logs |= result if isinstance(result, Mapping) else {(names or {}).get(id(metric), metric.name): result}
    return {name: _number(value) for name, value in logs.items()}


def _slope(slope: Array, array: Array) -> tuple[float, Callable[[Any], Array]]:
    """Return 0 with this slope."""
    return 0.0, lambda factor: slope * slope.dtype.type(factor)


def _number(value: Any) -> Any:
    """Return a number as a float; anything else as it is."""
    return float(np.asarray(value)) if np.ndim(value) == 0 and not isinstance(value, str) else value
