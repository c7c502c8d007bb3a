"""What every optimizer shares: rates, clipping, decay, gathering of gradients, averages, the order of its variables."""

from __future__ import annotations

import contextlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import overriding, registry, signals
from pyrnn.arguments import checked, translators
from pyrnn.explaining import OptimizerNames
from pyrnn.function_rules import takes
from pyrnn.naming import auto_name
from pyrnn.optimizers import schedules
from pyrnn.optimizers.rates import Iterations, LearningRate
from pyrnn.optimizers.schedules import LearningRateSchedule
from pyrnn.optimizers.variables import Slot
from pyrnn.parameters import ParameterVector, Weight, assign_all, shaped, values_for
from pyrnn.rules import Unchecked, Whole
from pyrnn.typing import Count, Flag, Name, NonNegative, Positive, Rate
from pyrnn.validation import WrongType, shown, unexpected_arguments, warn

__all__ = ["Optimizer"]

Array = NDArray[Any]
LearningRateLike = Annotated[
    float | LearningRateSchedule | Callable[[], Any], Unchecked(allowed="zero fraction huge function")
]
State = list[tuple[Weight | None, str, Array]]
T = TypeVar("T", bound="Optimizer")
# Arguments of older versions of Keras, and what replaces them.
OLD_ARGUMENTS = {
    "lr": "use learning_rate",
    "decay": "use learning_rate with a schedule of pyrnn.optimizers.schedules, such as InverseTimeDecay",
}


class Optimizer(registry.Configurable, OptimizerNames):
    """Base class of optimizers, which update a model's flat vector of weights in place.

    A custom optimizer defines `update`, and `slot_groups` if it keeps vectors between steps.

    Args:
        learning_rate: Step size: a number of at least 0, a schedule, or a function without arguments.
        weight_decay: Share by which weights shrink, times the learning rate, before each step; at least 0, or None.
        clipnorm: Largest norm of each weight's gradient, above 0, or None. At most one of the three clips may be set.
        clipvalue: Largest absolute value of a gradient's elements, above 0, or None.
        global_clipnorm: Largest norm of all gradients together, above 0, or None.
        use_ema: Whether to keep a moving average of the weights, which replaces them at the end of `fit`.
        ema_momentum: Momentum of that average, from 0 to 1.
        ema_overwrite_frequency: Steps after which the average replaces the weights each time, or None.
        loss_scale_factor: Stored in files for Keras; nothing is scaled here, since gradients are float32 or float64.
        gradient_accumulation_steps: Steps whose mean gradient makes one update, at least 2, or None.
        name: Name of the optimizer; by default its class in snake case, numbered from the second one on.

    Raises:
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument is out of its range, or several clips are set.

    Example:
        >>> class Signs(pyrnn.optimizers.Optimizer):
        ...     def update(self, values, gradients, learning_rate):
        ...         values -= learning_rate * np.sign(gradients)
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
        >>> model.compile(Signs(0.25), "mse")
        >>> loss = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
        >>> model.get_weights()
        [array([[0.75]], dtype=float32)]
    """

    default_name = ""  # that of the class
    # Whether `update` is one call of the core, by the method `_in_core`.
    _updates_in_core: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reject methods that are never called."""
        super().__init_subclass__(**kwargs)
        overriding.reject(cls, overriding.OPTIMIZER)
        if "update" in vars(cls):
            cls._updates_in_core = "_in_core" in vars(cls)

    def __new__(cls: type[T], *args: Any, **arguments: Any) -> T:
        if not translators:
            _check_arguments(cls, arguments)
        return super().__new__(cls, *args, **arguments)

    @checked
    def __init__(
        self,
        learning_rate: LearningRateLike,
        weight_decay: NonNegative | None = None,
        clipnorm: Positive | None = None,
        clipvalue: Positive | None = None,
        global_clipnorm: Positive | None = None,
        use_ema: Flag = False,
        ema_momentum: Rate = 0.99,
        ema_overwrite_frequency: Count | None = None,
        loss_scale_factor: Positive | None = None,
        gradient_accumulation_steps: Annotated[int, Whole(2)] | None = None,
        name: Name | None = None,
    ) -> None:
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm can be set, "
                f"got {clipnorm}, {clipvalue} and {global_clipnorm}"
            )
        self.name = name or auto_name(self.default_name or type(self).__name__)
        self._learning_rate: LearningRateLike = 0.0
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._iterations = 0
        self._undecayed: frozenset[Weight] = frozenset()
        self._undecayed_names: re.Pattern[str] | None = None
        self.parameters: ParameterVector | None = None
        self.slots: dict[str, Array] = {}
        self._scratch: list[Array] = []

    @property
    def iterations(self) -> Iterations:
        """Number of times the weights have changed (calls of `step`, unless gradients are accumulated)."""
        return Iterations(self._updates, self)

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self.iterations.assign(value)

    @property
    def _iterations(self) -> int:
        """The calls of `step`. A number that is set is a new array: attributes kept before have the old one."""
        return int(self._count[0])

    @_iterations.setter
    def _iterations(self, value: int) -> None:
        self._count: Array = np.array([value], np.int64)

    @property
    def _updates(self) -> int:
        return self._iterations // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> Any:
        """The present step size, a `LearningRate`; `lr` is the same. Set it to a number, a schedule or a function.

        Raises:
            TypeError: if it is set to a number while a schedule rules it, or to something else.
        """
        return LearningRate(self._present_rate(), self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        """Current step size, a `LearningRate`; `lr` is the same. Set it to a number, a schedule or a function.

        Raises:
            TypeError: If it is set to a number while a schedule determines it, or to something else.
        """
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, type)):
            if not isinstance(value, LearningRateSchedule) and not takes(value, 0):
                raise WrongType(f"learning_rate must be a function without arguments, got {shown(value)}")
            self._learning_rate = value
            return
        if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray):
            raise WrongType(f"learning_rate must be a number, a schedule or a function, got {shown(value)}")
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"learning_rate cannot be set to {shown(value)}, since {type(self._learning_rate).__name__} sets it: "
                "make the optimizer with a number to set it later"
            )
        if np.ndim(value) or not 0 <= value < math.inf:
            raise ValueError(f"learning_rate must be a finite number of at least 0, got {shown(value)}")
        # A float32 variable in Keras: files keep it to the bit.
        self._learning_rate = float(np.float32(value))

    lr = learning_rate

    def _present_rate(self) -> float:
        """Return the present step size, rounded to float32."""
        rate = self._learning_rate
        if isinstance(rate, float):
            return rate  # rounded when it was set
        now = rate(self._iterations) if isinstance(rate, LearningRateSchedule) else rate()
        try:
            return float(np.float32(now))
        except (TypeError, ValueError):
            raise WrongType(f"learning_rate must be a function that returns a number, got {shown(now)}") from None

    # State.

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the vectors kept between steps, in Keras's order of creation.

        Returns:
            Groups of slot names; in files the names of one group alternate, weight by weight.
        """
        return ()

    def initial_value(self, slot: str) -> float:
        """Return the initial value of a slot.

        Args:
            slot: Name of the slot.

        Returns:
            The value of all its elements.
        """
        return 0.0

    def make_state(self, parameters: ParameterVector) -> None:
        """Create state in addition to the slots; `state` lists it.

        Args:
            parameters: The model's weights.
        """

    def state(self) -> State:
        """Return everything kept between steps, in Keras's order.

        Returns:
            (weight, slot, array) for each; the weight is None for scalars.
        """
        parameters = self.parameters
        if parameters is None:
            return []
        return [
            (weight, slot, parameters.view(self.slots[slot], weight))
            for group in self._groups()
            for weight in parameters.weights
            for slot in group
        ]

    def variable_name(self, weight: Weight | None, slot: str) -> str:
        """Return Keras's name of a variable.

        Args:
            weight: Its weight, or None.
            slot: Name of its slot.

        Returns:
            The name.
        """
        return slot if weight is None else f"{weight.path.replace('/', '_')}_{slot}"

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        average = (("average",),) if self.use_ema else ()
        gathered = (("gradient_accumulator",),) if self.gradient_accumulation_steps else ()
        return (*average, *gathered, *self.slot_groups())

    @property
    def built(self) -> bool:
        """Whether the optimizer has weights to work on."""
        return self.parameters is not None

    def build(self, parameters: ParameterVector | Sequence[Weight]) -> None:
        """Create slots for a model's weights; state of weights that it already had is kept.

        Args:
            parameters: `model.parameters()`, or a list of weights, such as `model.trainable_variables`.

        Raises:
            TypeError: If `parameters` is something else.
        """
        if parameters is not self.parameters:
            if isinstance(parameters, list | tuple):
                if self.parameters is not None and list(map(id, parameters)) == list(map(id, self.parameters.weights)):
                    return
                parameters = ParameterVector(self._weights_in("parameters", parameters))
            with signals.deferred():
                self._build(parameters)

    @staticmethod
    def _weights_in(name: str, weights: Iterable[Any]) -> list[Weight]:
        listed = list(weights)
        for weight in listed:
            if not isinstance(weight, Weight):
                raise WrongType(f"{name} must hold weights of a model, got {shown(weight)}")
        return listed

    def _build(self, parameters: Any) -> None:
        if not isinstance(parameters, ParameterVector):
            raise WrongType(f"parameters must be those of a model, model.parameters(), got {shown(parameters)}")
        before = {(id(weight), slot): array for weight, slot, array in self.state()}
        self.parameters, self.slots, self._scratch = parameters, {}, []
        for group in self._groups():
            for slot in group:
                self.slots[slot] = parameters.slot()
                self.slots[slot].fill(self.initial_value(slot))
        self.make_state(parameters)
        for weight, slot, array in self.state():
            if (previous := before.get((id(weight), slot))) is not None:
                array[...] = previous

    def scratch(self, index: int = 0) -> Array:
        """Return a vector for intermediate values, the same at each call; its content is arbitrary.

        Args:
            index: Number of the vector, from 0.

        Returns:
            Array of shape (weights,).
        """
        assert self.parameters is not None
        while len(self._scratch) <= index:
            self._scratch.append(self.parameters.slot())
        return self._scratch[index]

    # Steps.

    def step(self) -> None:
        """Update the weights once from the gradients in the parameter vector. Signals are handled after the step.

        Raises:
            ValueError: If `build` has not been called.
        """
        parameters = self.parameters
        if parameters is None:
            raise ValueError("the optimizer has no weights yet: call build(parameters) first")
        if self._updates_in_core and self._only_updates(parameters):
            # No handler runs within the one call of the core that changes anything. A second `touch` comes after it for
            # those that have packed weights since the first.
            parameters.touch()
            self._in_core(parameters.values, parameters.gradients, self._present_rate(), self._count)
            parameters.touch()
            return
        with signals.deferred():
            try:
                self._step(parameters)
            finally:
                parameters.touch()

    def _only_updates(self, parameters: ParameterVector) -> bool:
        """Return whether a step is `update` and nothing else."""
        if self.clipnorm is not None or self.clipvalue is not None or self.global_clipnorm is not None:
            return False
        if self.weight_decay is not None or self.use_ema or self.gradient_accumulation_steps is not None:
            return False
        for weight in parameters.weights:  # noqa: SIM110  # faster than a generator
            if weight.constraint is not None:
                return False
        return True

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Weight]]) -> None:
        """Update weights once from gradients that the caller computed.

        Args:
            grads_and_vars: Pairs of a gradient, in the shape of the weight, and a weight.

        Raises:
            TypeError, ValueError: As `apply`.

        Example:
            >>> layer = pyrnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
            >>> layer.build((None, 2))
            >>> optimizer = pyrnn.optimizers.SGD(0.5)
            >>> optimizer.apply_gradients([(np.array([[1.0], [-1.0]]), layer.kernel)])
            >>> layer.kernel.numpy().tolist()
            [[0.5], [1.5]]
        """
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Weight] | None = None) -> None:
        """Update weights once from gradients that the caller computed.

        Args:
            grads: A gradient for each weight, in its shape; None leaves the weight as it is.
            trainable_variables: The weights; by default those that `build` was called with, which they must be among.

        Raises:
            TypeError: If something else than weights or numbers is passed.
            ValueError: If number or shapes differ, no gradient is there, or a weight is none of the optimizer's.
        """
        gradients = list(grads)
        if trainable_variables is not None:
            weights = self._weights_in("trainable_variables", trainable_variables)
            if self.parameters is None:
                self.build(weights)
        elif self.parameters is None:
            raise ValueError("the optimizer has no weights yet: pass trainable_variables, or call build() first")
        else:
            weights = self.parameters.weights
        parameters = self.parameters
        assert parameters is not None
        if len(gradients) != len(weights):
            raise ValueError(f"grads must hold a gradient for each of the {len(weights)} weights, got {len(gradients)}")
        pairs = [(weight, each) for weight, each in zip(weights, gradients, strict=True) if each is not None]
        if not pairs:
            raise ValueError("grads must hold a gradient, got None for each weight")
        if len(pairs) < len(weights):
            still = ", ".join(w.path for w, each in zip(weights, gradients, strict=True) if each is None)
            warn(f"grads holds None for {still}: these weights stay as they are")
        owned = set(map(id, parameters.weights))
        unknown = [weight.path for weight in weights if id(weight) not in owned]
        if unknown:
            raise ValueError(
                f"weight {unknown[0]!r} is none of those that the optimizer was built for: make another optimizer"
            )
        arrays = values_for("grads", [weight for weight, _ in pairs], [each for _, each in pairs])
        with self._changing_only(parameters, arrays):
            self.step()

    def update_step(self, gradient: Any, variable: Weight, learning_rate: Any) -> None:
        """Apply the rule to one weight, without clipping, decay, averages, or counting the step.

        Args:
            gradient: its gradient, in its shape.
            variable: a weight that the optimizer was built for.
            learning_rate: the step size.

        Raises:
            TypeError: if it is no weight, or a gradient does not hold numbers.
            ValueError: if the weight is none of the optimizer's, or the shape differs.

        Example:
            >>> layer = pyrnn.layers.Dense(2, use_bias=False, kernel_initializer="ones")
            >>> layer.build((None, 1))
            >>> optimizer = pyrnn.optimizers.SGD()
            >>> optimizer.build(layer.weights)
            >>> optimizer.update_step(np.ones((1, 2)), layer.kernel, 0.25)
            >>> layer.kernel.numpy().tolist()
            [[0.75, 0.75]]
        """
        (weight,) = self._weights_in("variable", [variable])
        parameters = self.parameters
        if parameters is None or all(each is not weight for each in parameters.weights):
            raise ValueError(
                f"weight {weight.path!r} is none of those that the optimizer was built for: call build() with it"
            )
        arrays = values_for("gradient", [weight], [gradient])
        with self._changing_only(parameters, arrays):
            self.update(parameters.values, parameters.gradients, float(learning_rate))
            parameters.touch()

    @contextlib.contextmanager
    def _changing_only(self, parameters: ParameterVector, gradients: Sequence[tuple[Weight, Array]]) -> Iterator[None]:
        """Set the gradients of some weights; the others and their state are afterwards what they were."""
        parameters.reclaim()
        changed = {id(weight) for weight, _ in gradients}
        resting = [weight.array for weight in parameters.weights if id(weight) not in changed]
        if resting:
            resting += [array for weight, _, array in self.state() if weight is not None and id(weight) not in changed]
        with signals.deferred():
            before = [(array, array.copy()) for array in resting]
            parameters.gradients.fill(0)
            for weight, array in gradients:
                weight.gradient[...] = array
            yield
            for array, values in before:
                array[...] = values

    def _step(self, parameters: ParameterVector) -> None:
        if self._gather(parameters.gradients):
            learning_rate = self._present_rate()
            self._clip(parameters)
            self._decay(parameters, learning_rate)
            self.update(parameters.values, parameters.gradients, learning_rate)
        if self.use_ema:
            self._average(parameters)
        for weight in parameters.weights:
            if weight.constraint is not None:
                weight.array[...] = shaped("constraint", weight, weight.constraint(weight.array))
        self._iterations += 1

    def update(self, values: Array, gradients: Array, learning_rate: float) -> None:
        """Apply the rule in place; the number of this step is `iterations + 1`.

        Args:
            values: Flat vector of all weights, shape (weights,).
            gradients: Their gradients, shape (weights,); may be overwritten.
            learning_rate: Step size of this step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update(values, gradients, learning_rate)")

    def _in_core(self, values: Array, gradients: Array, learning_rate: float, count: Array | None = None) -> None:
        """Apply the rule by one call of the core, which also counts the step in `count` (1,) if that is given."""
        raise NotImplementedError

    def _gather(self, gradients: Array) -> bool:
        """Whether it is time to change the weights; `gradients` holds the mean of those gathered then."""
        steps = self.gradient_accumulation_steps
        if not steps:
            return True
        gathered = self.slots["gradient_accumulator"]
        if (self._iterations + 1) % steps:
            gathered += gradients
            return False
        gradients += gathered
        gradients /= steps
        gathered.fill(0)
        return True

    def _clip(self, parameters: ParameterVector) -> None:
        gradients = parameters.gradients
        if self.clipnorm is not None:
            for weight in parameters.weights:
                _clip_norm(weight.gradient, self.clipnorm)
        elif self.global_clipnorm is not None:
            if not math.isfinite(_clip_norm(gradients, self.global_clipnorm)):
                gradients.fill(np.nan)  # Keras too lets one infinite gradient spoil all, so that it is seen
        elif self.clipvalue is not None:
            np.clip(gradients, -self.clipvalue, self.clipvalue, out=gradients)

    # Decay.

    def exclude_from_weight_decay(
        self, var_list: Iterable[Weight] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude weights from the decay. A second call replaces the first.

        Args:
            var_list: Weights to exclude.
            var_names: Regular expressions; weights whose `name` contains a match are excluded.

        Raises:
            TypeError: If these are not lists of weights and strings.
        """
        if not isinstance(var_list, list | tuple | None):
            raise WrongType(f"var_list must be a list of weights, got {shown(var_list)}")
        weights = list(var_list or ())
        for weight in weights:
            if not isinstance(weight, Weight):
                raise WrongType(f"var_list must hold weights of a model, got {shown(weight)}")
        if var_names is not None and not (
            isinstance(var_names, list | tuple) and all(isinstance(each, str) for each in var_names)
        ):
            raise WrongType(f"var_names must be a list of strings, got {shown(var_names)}")
        self._undecayed = frozenset(weights)
        self._undecayed_names = re.compile("|".join(var_names)) if var_names else None

    def decay_of(self, weight: Weight) -> float | None:
        """Return the decay of a weight, before exclusions.

        Args:
            weight: The weight.

        Returns:
            Its share, or None.
        """
        return self.weight_decay

    def decays(self) -> bool:
        """Return whether any weight may decay.

        Returns:
            True or False.
        """
        return self.weight_decay is not None

    def _share(self, weight: Weight) -> float:
        names = self._undecayed_names
        if weight in self._undecayed or (names is not None and names.search(weight.name)):
            return 0.0
        return self.decay_of(weight) or 0.0

    def _decay(self, parameters: ParameterVector, learning_rate: float) -> None:
        if not self.decays():
            return
        shares = [self._share(weight) for weight in parameters.weights]
        parts = [(weight.array, share) for weight, share in zip(parameters.weights, shares, strict=True)]
        for array, share in [(parameters.values, shares[0])] if len(set(shares)) == 1 else parts:
            if share:
                array -= array * (share * learning_rate)

    # Averages.

    def _average(self, parameters: ParameterVector) -> None:
        momentum = self.ema_momentum if self._updates else 0.0
        average, values, scratch = self.slots["average"], parameters.values, self.scratch()
        average *= momentum
        np.multiply(values, 1 - momentum, out=scratch)
        average += scratch
        if self.ema_overwrite_frequency and (self._updates + 1) % self.ema_overwrite_frequency == 0:
            values[...] = average

    def ema_weights(self) -> list[Array]:
        """Return the moving averages of the weights.

        Returns:
            One array per weight, in their order: views, not copies.
        """
        if not self.use_ema or self.parameters is None:
            return []
        return [self.parameters.view(self.slots["average"], weight) for weight in self.parameters.weights]

    def finalize_variable_values(self, var_list: Sequence[Weight] | None = None) -> None:
        """Replace the weights by their averages if `use_ema`; `fit` calls it at its end.

        Args:
            var_list: The weights to assign to, by default those of the optimizer.

        Raises:
            ValueError: If their number differs.
        """
        if not self.use_ema or self.parameters is None:
            return
        model_weights = self.parameters.weights
        weights = model_weights if var_list is None else list(var_list)
        if len(weights) != len(model_weights):
            raise ValueError(f"var_list must hold the optimizer's {len(model_weights)} weights, got {len(weights)}")
        averages = [self.parameters.view(self.slots["average"], weight) for weight in model_weights]
        assign_all(list(zip(weights, averages, strict=True)))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or copy holds: everything except scratch memory."""
        return {**vars(self), "_scratch": [], "_count": self._count.copy()}

    # Files.

    @property
    def variables(self) -> list[Any]:
        """The number of steps, the learning rate if it is a number, averages and slots, in Keras's order.

        Each has `name`, `path`, `shape`, `dtype`, `numpy()`, `value` and `assign(value)`.
        """
        numbers: list[Any] = [self.iterations]
        if isinstance(self._learning_rate, float):
            numbers.append(self.learning_rate)
        named = self.named_variables()[len(numbers) :]
        return [*numbers, *(Slot(name, f"{self.name}/{name}", array) for name, array in named)]

    def get_weights(self) -> list[Array]:
        """Return copies of the values of all variables, as Keras 2 does.

        Returns:
            A list that `set_weights` accepts.
        """
        return [np.array(value) for _, value in self.named_variables()]

    def named_variables(self) -> list[tuple[str, Array]]:
        """Return name and value of each variable, in Keras's order.

        Returns:
            (name, value) of the iteration, the learning rate if it is a number, averages and slots.
        """
        variables: list[tuple[str, Array]] = [("iteration", np.asarray(self._iterations, np.int64))]
        if isinstance(self._learning_rate, float):
            variables.append(("learning_rate", np.asarray(self._learning_rate, np.float32)))
        return variables + [(self.variable_name(weight, slot), array) for weight, slot, array in self.state()]

    def set_variables(self, values: list[Array]) -> None:
        """Overwrite the variables; nothing has changed if an error is raised.

        Args:
            values: One value for each of `variables`, of the same shape.

        Raises:
            TypeError: If a value does not hold numbers.
            ValueError: If their number or shapes differ.
        """
        variables = self.named_variables()
        if len(values) != len(variables):
            raise ValueError(f"the optimizer has {len(variables)} variables, got {len(values)} values")
        for (name, array), value in zip(variables, values, strict=True):
            if np.shape(value) != array.shape:
                raise ValueError(f"optimizer variable {name!r} has shape {array.shape}, got {np.shape(value)}")
            if np.asarray(value).dtype.kind not in "fiub":
                raise WrongType(f"optimizer variable {name!r} must hold numbers, got dtype {np.asarray(value).dtype}")
        if not 0 <= values[0] < 2**63:
            raise ValueError(f"optimizer variable 'iteration' must be a number of steps, got {values[0]}")
        state = self.state()
        with signals.deferred():
            if isinstance(self._learning_rate, float):
                self.learning_rate = float(values[1])
            self._iterations = int(values[0])
            for (_, _, array), value in zip(state, values[len(variables) - len(state) :], strict=True):
                array[...] = value

    set_weights = set_variables

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Returns:
            A dictionary that `from_config` accepts.
        """
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            described: Any = schedules.serialize(rate)
        else:
            described = float(rate) if isinstance(rate, float) else registry.describe_function(rate)
        return {
            "name": self.name,
            "learning_rate": described,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> T:
        """Return the optimizer that `get_config` described.

        Args:
            config: The dictionary.
            custom_objects: Custom schedules and functions by name.

        Returns:
            The optimizer.
        """
        rate = config.get("learning_rate")
        with registry.custom_object_scope(custom_objects):
            if registry.is_function(rate):
                config = {**config, "learning_rate": registry.described_function("learning_rate", rate)}
            elif isinstance(rate, dict):
                config = {**config, "learning_rate": schedules.deserialize(rate)}
        return cls(**config)


def _check_arguments(cls: type[Optimizer], arguments: Mapping[str, Any]) -> None:
    """Reject keyword arguments that the class does not have."""
    parameters = inspect.signature(cls.__init__).parameters
    unknown = {name: value for name, value in arguments.items() if name not in parameters}
    if not unknown or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name, instead in OLD_ARGUMENTS.items():
        if name in unknown:
            raise TypeError(f"{cls.__name__} got {name!r}, an argument of older Keras versions: {instead} instead")
    raise WrongType(unexpected_arguments(cls.__name__, unknown, (name for name in parameters if name != "self")))


_SHARED = list(inspect.signature(Optimizer.__init__).parameters)[1:]


def shared(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that all optimizers have.

    Args:
        variables: `locals()` of a subclass's constructor.

    Returns:
        The arguments of `Optimizer` by name.
    """
    return {name: variables[name] for name in _SHARED}


def _clip_norm(gradient: Array, largest: float) -> float:
    """Scale in place so that the norm is at most `largest`; return what it was."""
    norm = math.sqrt(np.vdot(gradient, gradient))
    if norm > largest:
        gradient *= gradient.dtype.type(largest / norm)
    return norm
