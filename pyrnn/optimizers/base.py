"""What every optimizer shares: clipping, decoupled weight decay, constraints, the order of its variables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import registry
from pyrnn.parameters import ParameterVector

Array = NDArray[Any]


class Optimizer(registry.Configurable):
    """Base of all optimizers: works in place on a model's flat vector of weights.

    Args:
        learning_rate: step size, a number.
        weight_decay: weights shrink by this share times the learning rate before each step.
        clipnorm: largest norm of each weight's gradient; clipvalue: largest size of each element; global_clipnorm:
            largest norm of all gradients together. At most one of the three.
        use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps: Keras's
            defaults only; anything else is refused.
    """

    default_name = "optimizer"
    # Groups of slots in Keras's order: names in one group alternate weight by weight.
    SLOTS: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm can be set, "
                f"got {clipnorm}, {clipvalue} and {global_clipnorm}"
            )
        for argument, value in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm)):
            if value is not None and value <= 0:
                raise ValueError(f"{argument} must be positive, got {value}")
        unsupported = {
            "use_ema": use_ema,
            "ema_overwrite_frequency": ema_overwrite_frequency,
            "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": gradient_accumulation_steps,
        }
        for argument, value in unsupported.items():
            if value:
                raise ValueError(f"{argument} is not supported yet: leave it out, got {value!r}")
        if ema_momentum != 0.99:
            raise ValueError(f"ema_momentum needs use_ema, which is not supported yet, got {ema_momentum!r}")
        self.name = name or self.default_name
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.iterations = 0
        self.slots: dict[str, Array] = {}
        self.parameters: ParameterVector | None = None

    @property
    def learning_rate(self) -> float:
        """The step size; `lr` is the same."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray):
            raise TypeError(f"learning_rate must be a number, got {value!r}")
        self._learning_rate = float(np.float32(value))  # a float32 variable in Keras: files keep it to the bit

    lr = learning_rate

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """The slots this optimizer keeps, in Keras's order of creation."""
        return self.SLOTS

    def build(self, parameters: ParameterVector) -> None:
        """Make zeroed slots for these weights; slots of the same weights are kept."""
        if parameters is self.parameters:
            return
        self.slots = {name: parameters.slot() for group in self.slot_groups() for name in group}
        self.parameters = parameters

    def step(self) -> None:
        """Take one step from the gradients in the parameter vector."""
        parameters = self.parameters
        if parameters is None:
            raise ValueError("the optimizer has no weights yet: call build(parameters) first")
        gradients = parameters.gradients
        if self.clipnorm is not None:
            for weight in parameters.weights:
                _clip_norm(weight.gradient, self.clipnorm)
        elif self.global_clipnorm is not None:
            _clip_norm(gradients, self.global_clipnorm)
        elif self.clipvalue is not None:
            np.clip(gradients, -self.clipvalue, self.clipvalue, out=gradients)
        if self.weight_decay:
            values = parameters.values
            values -= values * values.dtype.type(self.weight_decay * self._learning_rate)
        self.iterations += 1
        self.update(parameters.values, gradients)
        for weight in parameters.weights:
            if weight.constraint is not None:
                weight.array[...] = weight.constraint(weight.array)
        parameters.touch()

    def update(self, values: Array, gradients: Array) -> None:
        """The rule itself, in place on flat vectors (N,)."""
        raise NotImplementedError

    def variables(self) -> list[tuple[str, Array]]:
        """(name, value) in Keras's order: iteration, learning rate, then the slots."""
        found: list[tuple[str, Array]] = [
            ("iteration", np.asarray(self.iterations, np.int64)),
            ("learning_rate", np.asarray(self._learning_rate, np.float32)),
        ]
        if self.parameters is not None:
            for group in self.slot_groups():
                for weight in self.parameters.weights:
                    found += [
                        (f"{weight.path}_{slot}", self.parameters.view(self.slots[slot], weight)) for slot in group
                    ]
        return found

    def set_variables(self, values: list[Array]) -> None:
        """Overwrite what `variables` lists.

        Raises:
            ValueError: if number or shapes differ; nothing has changed then.
        """
        own = self.variables()
        if len(values) != len(own):
            raise ValueError(f"the optimizer has {len(own)} variables, got {len(values)}")
        for (name, array), value in zip(own, values, strict=True):
            if np.shape(value) != array.shape:
                raise ValueError(f"optimizer variable {name!r} has shape {array.shape}, got {np.shape(value)}")
        self.iterations = int(values[0])
        self.learning_rate = float(values[1])
        for (_, array), value in zip(own[2:], values[2:], strict=True):
            array[...] = value

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "learning_rate": self._learning_rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
        }


def _clip_norm(gradient: Array, largest: float) -> None:
    """Scale in place so that the norm is at most `largest`."""
    norm = float(np.sqrt(np.vdot(gradient, gradient)))
    if norm > largest:
        gradient *= gradient.dtype.type(largest / norm)
