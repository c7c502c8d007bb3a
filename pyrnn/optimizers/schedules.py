"""Learning rates that depend on the number of steps, by Keras's names; computed in float32, as Keras does.

A schedule is called with a step (or an array of steps) and returns the rate. Pass one as `learning_rate`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import Data
from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.rules import Configurable, Dict
from pyrnn.typing import CustomObjects, Flag, Name, NonNegative, Positive, Vector

Float = np.float32
ONE, HALF, PI = Float(1), Float(0.5), Float(math.pi)
MODULE = "keras.optimizers.schedules"


class LearningRateSchedule(registry.Configurable):
    """Base class of schedules: a subclass defines `__call__(step)`.

    Example:
        >>> class Halved(pyrnn.optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 / 2 ** (step // 100)
        >>> Halved()(250)
        0.025
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must have a method __call__(self, step)")


def _float(value: Any) -> Any:
    """A float32 scalar, or an array for an array of steps."""
    return np.asarray(value, Float)[()]


class _Decay(LearningRateSchedule):
    """Shared by the two rules with a rate and a staircase."""

    @checked
    def __init__(
        self,
        initial_learning_rate: NonNegative,
        decay_steps: Positive,
        decay_rate: NonNegative,
        staircase: Flag = False,
        name: Name | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name or type(self).__name__

    def progress(self, step: Any) -> Any:
        """Return step / decay_steps, rounded down if `staircase`.

        Args:
            step: A step, or an array of steps.

        Returns:
            float32 of the same shape.
        """
        progress = _float(step) / Float(self.decay_steps)
        return np.floor(progress) if self.staircase else progress

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class ExponentialDecay(_Decay):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Steps after which the rate has been multiplied by `decay_rate`, above 0.
        decay_rate: At least 0.
        staircase: Whether to round the quotient down, so that the rate changes every `decay_steps` only.
        name: Name of the schedule.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
        >>> round(float(schedule(200)), 4)
        0.025
    """

    @checked
    def __call__(self, step: Data) -> Any:
        return Float(self.initial_learning_rate) * np.power(Float(self.decay_rate), self.progress(step))


class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Unit of the step, above 0.
        decay_rate: At least 0.
        staircase: Whether to round the quotient down, so that the rate changes every `decay_steps` only.
        name: Name of the schedule.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.InverseTimeDecay(1.0, decay_steps=100, decay_rate=0.5)
        >>> float(schedule(200))
        0.5
    """

    @checked
    def __call__(self, step: Data) -> Any:
        return Float(self.initial_learning_rate) / (ONE + Float(self.decay_rate) * self.progress(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i], where i is the number of boundaries below the step.

    A step on a boundary still has the value before it.

    Args:
        boundaries: Steps in increasing order.
        values: Rates, one more than `boundaries`.
        name: Name of the schedule.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there is not one value more than boundaries, or the boundaries do not increase.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.25])
        >>> [float(rate) for rate in schedule([100, 101, 500])]
        [1.0, 0.5, 0.25]
    """

    @checked
    def __init__(self, boundaries: Vector, values: Vector, name: Name = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "values must have one element more than boundaries, "
                f"got {len(values)} values and {len(boundaries)} boundaries"
            )
        if any(low >= high for low, high in itertools.pairwise(boundaries)):
            raise ValueError(f"boundaries must grow strictly, got {list(boundaries)}")
        self.boundaries, self.values, self.name = boundaries, values, name

    @checked
    def __call__(self, step: Data) -> Any:
        return np.asarray(self.values, Float)[np.searchsorted(np.asarray(self.boundaries), np.asarray(step))]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": list(self.boundaries), "values": list(self.values), "name": self.name}


class PolynomialDecay(LearningRateSchedule):
    """(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate.

    The rate stays at the end value after `decay_steps`.

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Steps to the end value, above 0.
        end_learning_rate: End value, at least 0.
        power: Exponent, at least 0; 1 is a straight line.
        cycle: Whether to continue towards the next multiple of `decay_steps` instead of staying at the end value.
        name: Name of the schedule.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.PolynomialDecay(1.0, decay_steps=100, end_learning_rate=0.0)
        >>> float(schedule(25))
        0.75
    """

    @checked
    def __init__(
        self,
        initial_learning_rate: NonNegative,
        decay_steps: Positive,
        end_learning_rate: NonNegative = 0.0001,
        power: NonNegative = 1.0,
        cycle: Flag = False,
        name: Name = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    @checked
    def __call__(self, step: Data) -> Any:
        step, steps, end = _float(step), Float(self.decay_steps), Float(self.end_learning_rate)
        if self.cycle:
            steps = steps * np.maximum(np.ceil(step / steps), ONE)
        else:
            step = np.minimum(step, steps)
        return (Float(self.initial_learning_rate) - end) * np.power(ONE - step / steps, Float(self.power)) + end

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from the initial rate down to `alpha` times it.

    With `warmup_target` the rate first grows linearly from the initial one to the target, where the wave starts.

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Length of the wave in steps, above 0.
        alpha: Final rate as a share of the highest, at least 0.
        name: Name of the schedule.
        warmup_target: Rate at the end of the warm-up, at least 0; None for no warm-up.
        warmup_steps: Steps of the warm-up, at least 0.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.CosineDecay(1.0, decay_steps=100)
        >>> round(float(schedule(50)), 4)
        0.5

    Source: Loshchilov and Hutter 2017 (SGDR); warm-up: Goyal et al. 2017.
    """

    @checked
    def __init__(
        self,
        initial_learning_rate: NonNegative,
        decay_steps: Positive,
        alpha: NonNegative = 0.0,
        name: Name = "CosineDecay",
        warmup_target: NonNegative | None = None,
        warmup_steps: NonNegative = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = (
            initial_learning_rate, decay_steps, alpha, name,
        )  # fmt: skip
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    @checked
    def __call__(self, step: Data) -> Any:
        step, initial = _float(step), Float(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._wave(step, initial)
        target, warmup = Float(self.warmup_target), Float(self.warmup_steps)
        rising = (target - initial) * (step / (warmup or ONE)) + initial
        return np.where(step < warmup, rising, self._wave(step - warmup, target))[()]

    def _wave(self, step: Any, start: Any) -> Any:
        steps = Float(self.decay_steps)
        wave = HALF * (ONE + np.cos(PI * (np.minimum(step, steps) / steps)))
        return start * (Float(1 - self.alpha) * wave + Float(self.alpha))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosine waves in succession.

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        first_decay_steps: Length of the first wave in steps, above 0.
        t_mul: Length of each wave relative to the one before, above 0.
        m_mul: Height of each wave relative to the one before, at least 0.
        alpha: Lowest rate as a share of the initial one, at least 0.
        name: Name of the schedule.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> schedule = pyrnn.optimizers.schedules.CosineDecayRestarts(1.0, first_decay_steps=100)
        >>> float(schedule(100)), round(float(schedule(200)), 4)
        (1.0, 0.5)

    Source: Loshchilov and Hutter 2017 (SGDR).
    """

    @checked
    def __init__(
        self,
        initial_learning_rate: NonNegative,
        first_decay_steps: Positive,
        t_mul: Positive = 2.0,
        m_mul: NonNegative = 1.0,
        alpha: NonNegative = 0.0,
        name: Name = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    @checked
    def __call__(self, step: Data) -> Any:
        progress, longer, alpha = _float(step) / Float(self.first_decay_steps), Float(self.t_mul), Float(self.alpha)
        if longer == ONE:
            restarts = np.floor(progress)
            part = progress - restarts
        else:
            # A geometric series: after i waves (1 - longer**i) / (1 - longer) first waves have passed.
            restarts = np.floor(np.log(ONE - progress * (ONE - longer)) / np.log(longer))
            length = np.power(longer, restarts)
            part = (progress - (ONE - length) / (ONE - longer)) / length
        wave = HALF * np.power(Float(self.m_mul), restarts) * (ONE + np.cos(PI * part))
        return Float(self.initial_learning_rate) * ((ONE - alpha) * wave + alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


NAMES: dict[str, type[LearningRateSchedule]] = registry.by_name(registry.classes_in(globals(), LearningRateSchedule))


@checked
def serialize(learning_rate_schedule: Annotated[LearningRateSchedule, Configurable()]) -> dict[str, Any]:
    """Return Keras's description of a schedule.

    Args:
        learning_rate_schedule: The schedule.

    Returns:
        A dictionary that `deserialize` accepts.

    Raises:
        TypeError: If `learning_rate_schedule` is not a schedule.

    Example:
        >>> schedules = pyrnn.optimizers.schedules
        >>> schedules.serialize(schedules.ExponentialDecay(0.1, 100, 0.5))["class_name"]
        'ExponentialDecay'
    """
    return registry.describe(learning_rate_schedule, MODULE)


@checked
def deserialize(
    config: Annotated[Mapping[str, Any], Dict()], custom_objects: CustomObjects | None = None
) -> LearningRateSchedule:
    """Return the schedule that `serialize` described.

    Args:
        config: The dictionary.
        custom_objects: Custom classes by name.

    Returns:
        The schedule.

    Raises:
        TypeError: If `config` is not a dictionary.
        ValueError: If the name is unknown; close matches are suggested.

    Example:
        >>> schedules = pyrnn.optimizers.schedules
        >>> schedules.deserialize(schedules.serialize(schedules.ExponentialDecay(0.1, 100, 0.5))).decay_steps
        100
    """
    with registry.custom_object_scope(custom_objects):
        schedule = registry.get("learning rate schedule", dict(config), NAMES, LearningRateSchedule)
    assert schedule is not None
    return schedule


KINDS["optimizers.schedules"] = Kind(deserialize)
explain(__name__)
