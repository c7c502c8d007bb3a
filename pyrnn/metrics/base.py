"""What every metric is: state over batches."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import overriding, registry
from pyrnn.arguments import checked
from pyrnn.explaining import MetricNames
from pyrnn.jsonable import dtype_name
from pyrnn.losses.alignment import fitted, match_ranks
from pyrnn.metrics.variables import FieldVariable, Variable
from pyrnn.naming import auto_name
from pyrnn.ops.differentiation import measured
from pyrnn.parameters import Weight
from pyrnn.results import returning
from pyrnn.rules import Numbers, Optional, Rule, Whole
from pyrnn.states import array
from pyrnn.typing import DtypeLike, Name
from pyrnn.validation import WrongType, shown

__all__ = ["Metric"]

Array = NDArray[Any]
EPSILON = 1e-7


class _Thresholds(Numbers):
    """A number from 0 to 1, or a list of them."""

    allowed = "zero"

    def check(self, argument: str, value: Any) -> None:
        super().check(argument, value)
        if np.ndim(value) > 1 or not np.size(value):
            raise ValueError(f"{argument} must be a number or a list of numbers, got {shown(value)}")
        if not (np.min(value) >= 0 and np.max(value) <= 1):
            raise ValueError(f"{argument} must lie in [0, 1], got {shown(value)}")


class _Labels(Rule):
    """Class numbers: a list, tuple or array of at least one integer of at least 0."""

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, list | tuple | range | np.ndarray) or np.ndim(value) != 1 or not len(value):
            raise WrongType(f"{argument} must be a list of class numbers, got {shown(value)}")
        for label in value:
            Whole(0).check(argument, label)


ThresholdsLike = Annotated[float | Sequence[float] | None, Optional(_Thresholds())]
ClassIds = Annotated[Sequence[int], _Labels()]


class Metric(registry.Configurable, MetricNames):
    """Base class of metrics: `update_state` for each batch, `result` at any time, `reset_state` between epochs.

    A custom metric creates its state with `add_variable` and defines `update_state` and `result`. A variable is written
    by `assign`, by in-place operators and by assignment to its attribute. `reset_state` restores the initial values of
    variables; override it if there is other state. Metrics that are attributes of a metric, or in its lists and
    dictionaries, are reset and saved with it.

    Args:
        dtype: Accepted as in Keras; sums are kept in float64.
        name: Name in logs and reports; by default the snake-case name of the class.

    Raises:
        TypeError: If `name` or `dtype` has the wrong type.

    Example:
        >>> class Largest(pyrnn.metrics.Metric):
        ...     def __init__(self, name="largest"):
        ...         super().__init__(name=name)
        ...         self.error = self.add_variable((), "zeros", name="error")
        ...
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.error = np.maximum(self.error, np.abs(y_true - y_pred).max())
        ...
        ...     def result(self):
        ...         return self.error
        >>> metric = Largest()
        >>> metric.update_state(np.zeros(3), np.array([1.0, -4.0, 2.0]))
        >>> float(metric.result())
        4.0
    """

    default_name: str | None = None
    # Further names by which `get` finds the class.
    aliases: ClassVar[tuple[str, ...]] = ()
    # Whether a step that the model's mask leaves out gets the weight 0. A custom `update_state` does not receive such
    # weights, as in Keras, whatever it derives from: it may reduce the steps first, or take the argument `mask`.
    masked = False
    # Whether the metric compares each y_true with one forecast, `Loss.point` of the output. A custom metric receives
    # the whole output.
    of_points = False
    # Fields that are state in addition to variables from `add_variable`.
    state: tuple[str, ...] = ()
    # Fields that belong to the state and are no variables: Keras keeps them in another form.
    hidden: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let either name of `reset_state` count; a custom `update_state` receives no weights of a mask."""
        super().__init_subclass__(**kwargs)
        overriding.join(cls, "reset_state", "reset_states")
        if (method := vars(cls).get("result")) is not None:
            cls._plain_result, cls.result = method, returning(method)  # type: ignore[method-assign]
        if overriding.new_in(cls, "update_state", Metric) is not None and "masked" not in vars(cls):
            cls.masked = False

    @checked
    def __init__(self, dtype: DtypeLike = None, name: Name | None = None) -> None:
        self.name = name or self.default_name or auto_name(type(self).__name__)
        self.dtype = dtype_name(dtype, "float32")
        self._variables: list[Variable] = []
        self._starts: list[Array] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Write an attribute; a number or array for one that is a variable becomes the variable's value."""
        variable = self.__dict__.get(name)
        if isinstance(variable, Variable | Weight) and not isinstance(value, Variable | Weight):
            variable.assign(value)
        else:
            super().__setattr__(name, value)

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Create a part of the state.

        Args:
            shape: Shape of the variable.
            initializer: Its initial value: "zeros", "ones", a function of the shape, or an array of that shape.
            dtype: Its dtype, float64 by default; "int" is int64.
            name: Its name; by default numbered.

        Returns:
            The variable.

        Raises:
            RuntimeError: If the constructor has not called `super().__init__()` yet.
            ValueError: If `initializer` is something else, or an array of another shape.
        """
        if "_variables" not in vars(self):
            raise RuntimeError(f"{type(self).__name__} must call super().__init__() before add_variable()")
        if callable(initializer):
            start = np.asarray(initializer(tuple(shape)))
        elif isinstance(initializer, str) and initializer in ("zeros", "ones"):
            start = np.full(tuple(shape), float(initializer == "ones"))
        elif np.shape(initializer) == tuple(shape) and np.asarray(initializer).dtype.kind in "biuf":
            start = np.array(initializer)
        else:
            raise ValueError(
                f"initializer must be 'zeros', 'ones', a function of the shape or an array of shape {tuple(shape)}, "
                f"got {shown(initializer)}"
            )
        kind = np.dtype("int64" if dtype == "int" else dtype or np.float64)
        self._starts.append(start.astype(kind))
        self._variables.append(Variable(start.astype(kind), name or f"variable_{len(self._variables)}", self))
        return self._variables[-1]

    add_weight = add_variable

    @property
    def variables(self) -> list[Any]:
        """Variables from `add_variable`, fields named in `state`, and variables in attributes and of metrics there."""
        fields = (FieldVariable(self, name) for name in self.state)
        held = (each.variables if isinstance(each, Metric) else [each] for each in self._held(Metric, Weight))
        return [*self._variables, *fields, *(variable for variables in held for variable in variables)]

    def _held(self, *kinds: type) -> list[Any]:
        """The objects of these kinds in attributes and in lists, tuples and dicts that are attributes, each once."""
        return list({id(each): each for each in held_in(vars(self).values(), kinds)}.values())

    def reset_state(self) -> None:
        """Restore the initial state, as before the first batch; a `pyrnn.Variable` becomes 0, as in Keras."""
        for variable, start in zip(self._variables, self._starts, strict=True):
            variable.assign(start)
        for each in self._held(Metric, Weight):
            if isinstance(each, Metric):
                each.reset_state()
            else:
                each.assign(np.zeros(each.shape))

    reset_states = reset_state

    def get_state(self) -> dict[str, Any]:
        """Return the state, to continue from with `set_state`.

        Returns:
            A dictionary of arrays, numbers, and the states of metrics in attributes.
        """
        fields = {name: getattr(self, name) for name in (*self.state, *self.hidden)}
        variables = [variable.numpy() for variable in (*self._variables, *self._held(Weight))]
        return {"variables": variables, "fields": fields, "metrics": [each.get_state() for each in self._held(Metric)]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that `get_state` returned.

        Args:
            state: The dictionary.
        """
        for variable, value in zip((*self._variables, *self._held(Weight)), state["variables"], strict=True):
            array(variable.shape)(variable.name, value)
            variable.assign(value)
        for name in (*self.state, *self.hidden):
            setattr(self, name, state["fields"][name])
        for metric, saved in zip(self._held(Metric), state.get("metrics", ()), strict=True):
            metric.set_state(saved)

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Array]:
        """Return the state after a batch, without changing this metric.

        Args:
            metric_variables: The state: an array or number for each of `variables`, in their order.
            *args: Positional arguments of `update_state`.
            **kwargs: Keyword arguments of `update_state`.

        Returns:
            The new state, an array for each of `variables`.

        Raises:
            TypeError, ValueError: If the arguments do not fit, or the state has another number of entries.

        Example:
            >>> metric = pyrnn.metrics.Sum()
            >>> state = metric.stateless_update_state(metric.stateless_reset_state(), np.array([2.0, 3.0]))
            >>> metric.stateless_result(state), metric.result()
            (5.0, 0.0)
        """
        metric = self._with_variables(metric_variables)
        metric.update_state(*args, **kwargs)
        return [np.array(variable) for variable in metric.variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Return the result of a state.

        Args:
            metric_variables: The state: an array or number for each of `variables`, in their order.

        Returns:
            What `result` returns.

        Raises:
            TypeError, ValueError: If the state does not fit, or has another number of entries.
        """
        return self._with_variables(metric_variables).result()

    def stateless_reset_state(self) -> list[Array]:
        """Return the state before the first batch, without changing this metric.

        Returns:
            An array for each of `variables`.
        """
        metric = copy.deepcopy(self)
        metric.reset_state()
        return [np.array(variable) for variable in metric.variables]

    def _with_variables(self, values: Sequence[Any]) -> Metric:
        """A copy of this metric in another state."""
        metric = copy.deepcopy(self)
        variables = metric.variables
        if len(values) != len(variables):
            raise ValueError(f"metric_variables must have {len(variables)} entries, got {len(values)}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return metric

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Targets, shape (batch, ...).
            y_pred: Outputs of the model, shape (batch, ...).
            sample_weight: Weights that broadcast to the samples, usually (batch,) or (batch, time), or None.

        Raises:
            TypeError: If the arguments do not hold numbers.
            ValueError: If their shapes do not match.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_state(y_true, y_pred, sample_weight)")

    def check_mask(self, mask: Array, y_pred: Array) -> None:
        """Raise a ValueError if masked steps of y_pred cannot get the weight 0.

        Args:
            mask: Booleans, False where a step is masked, shape (batch, time).
            y_pred: Outputs of the model, shape (batch, time, ...).
        """

    def result(self) -> Any:
        """Return the metric over all batches since the last reset.

        Returns:
            A float, or an array for metrics with several values.
        """
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    _plain_result = result  # without the method `numpy`, for the logs of each batch

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Returns:
            A dictionary that `from_config` accepts.
        """
        return {"name": self.name, "dtype": self.dtype}


def held_in(values: Iterable[Any], kinds: tuple[type, ...] = (Metric,)) -> Iterator[Any]:
    """Yield the objects of some kinds among values, and in lists, tuples and dicts among them, nested or not.

    Args:
        values: values of attributes.
        kinds: their classes.
    """
    pending, visited = list(values)[::-1], set[int]()
    while pending:
        value = pending.pop()
        if isinstance(value, kinds):
            yield value
        elif isinstance(value, list | tuple | dict) and id(value) not in visited:
            visited.add(id(value))  # a container may hold itself
            pending += [*(value.values() if isinstance(value, dict) else value)][::-1]


def weights_of(sample_weight: Any, values: Array) -> Array:
    """Weights (batch, ...) of leading axes in the shape of `values`, in float64; ones for None.

    Raises:
        TypeError, ValueError: if they hold no numbers or do not broadcast.
    """
    if sample_weight is None:
        return np.broadcast_to(np.float64(1), values.shape)
    weight = fitted(measured("sample_weight", sample_weight).astype(np.float64), values, "sample_weight")
    if weight.ndim > values.ndim:
        raise ValueError(f"sample_weight must be a number for one value, got shape {weight.shape}")
    return np.broadcast_to(weight, values.shape)


def check_masked_axis(name: str, axis: Any, mask: Array, y_pred: Array) -> None:
    """Raise a ValueError if `axis`, along which a metric has one value, is one of those of `mask`."""
    for each in axis if isinstance(axis, tuple) else (axis,):
        if each is None or each % y_pred.ndim < mask.ndim:
            raise ValueError(
                f"{name} has one value along axis {axis} of y_pred, of shape {y_pred.shape}, which cannot leave out "
                f"single steps of a mask of shape {mask.shape}: use axis=-1"
            )


def matched(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Both in float64 and in the shape of y_pred.

    Raises:
        TypeError, ValueError: if they hold no numbers or their shapes do not fit.
    """
    pred = measured("y_pred", y_pred).astype(np.float64, copy=False)
    return match_ranks(measured("y_true", y_true), pred).astype(np.float64, copy=False), pred


def masked_weights(sample_weight: Any, mask: Array) -> Array:
    """Sample weights (B, ...), ones for None, that are 0 where `mask` (B, T) leaves a step out."""
    if sample_weight is None:
        return mask.astype(np.float64)
    weight, rank = np.asarray(sample_weight), max(np.ndim(sample_weight), mask.ndim)
    weight, steps = (each.reshape(each.shape + (1,) * (rank - each.ndim)) for each in (weight, mask))
    return np.asarray(weight * steps)
