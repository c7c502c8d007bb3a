"""`SeedGenerator`: a seed and a count, from which each call of a random function makes a generator of its own."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import descriptions, rules, seeds
from pyrnn.arguments import checked
from pyrnn.kinds import KINDS, Kind
from pyrnn.naming import auto_name
from pyrnn.parameters import Weight
from pyrnn.states import Rule, count, record
from pyrnn.typing import Flag, Name
from pyrnn.validation import WrongType, shown

__all__ = ["SeedGenerator"]

_LARGEST = 2**32 - 1
# As in Keras: the next state of a generator whose numbers need not be in order.
_FACTOR, _MODULUS = 5387, 933199


class SeedGenerator(seeds.Stream):
    """A source of seeds for the functions of this module and for initializers, as their argument `seed`.

    Each use takes the present seed and moves on, so the numbers differ from use to use. In an attribute of a custom
    layer, or in a list or dict there, it belongs to the layer: its state is one of `layer.variables` but none of
    `layer.weights`, and a resumed training continues it.

    Args:
        seed: an integer from 0 to 2**32 - 1, or None to derive one from `pyrnn.utils.set_random_seed`.
        name: name of the generator, or None for a generated one.

    Raises:
        TypeError, ValueError: if `seed` is not such an integer.

    Example:
        >>> from pyrnn import random
        >>> seed = random.SeedGenerator(1)
        >>> random.normal((2, 3), seed=seed).shape
        (2, 3)
        >>> seed.state.numpy().tolist()
        [1, 1]
    """

    @checked
    def __init__(self, seed: Annotated[int, rules.Whole(0, _LARGEST)] | None = None, name: Name | None = None) -> None:
        self.name = auto_name(type(self).__name__) if name is None else name
        self._initial_seed = seed
        # The seed and the number of uses.
        self.state = Weight((2,), "seed_generator_state", "uint32", trainable=False)
        self.state.path = f"{self.name}/seed_generator_state"
        self.state.assign([seeds.next_seed() if seed is None else seed, 0])

    @checked
    def next(self, ordered: Flag = True) -> NDArray[Any]:
        """Return the present seed and move on.

        Args:
            ordered: whether the second number counts the uses; False for numbers that hardly repeat below a million.

        Returns:
            An array of two integers.

        Raises:
            TypeError: if `ordered` is not True or False.

        Example:
            >>> from pyrnn import random
            >>> seed = random.SeedGenerator(5)
            >>> seed.next().tolist(), seed.next().tolist()
            ([5, 0], [5, 1])
        """
        present = self.state.numpy()
        first, second = present.tolist()
        if ordered:
            second = (second + 1) % (_LARGEST + 1)
        else:
            first, second = ((each + 1) * _FACTOR % _MODULUS for each in (first, second))
        self.state.assign([first, second])
        return present

    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self.next().tolist())

    def place(self) -> dict[str, Any]:
        first, second = self.state.numpy().tolist()
        return {"first": first, "second": second}

    def set_place(self, place: dict[str, Any]) -> None:
        self.state.assign([place["first"], place["second"]])

    def place_rule(self) -> Rule:
        return record({"first": count(_LARGEST), "second": count(_LARGEST)})

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Returns:
            A dict of plain values.
        """
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make a generator from what `get_config` returned, which starts anew.

        Args:
            config: the arguments of the constructor by name.

        Returns:
            The generator.
        """
        return cls(**config)


class IsSeed(rules.Rule):
    """An integer, a `SeedGenerator` or a generator of NumPy."""

    allowed = "zero huge"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, np.random.Generator | seeds.Stream):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise WrongType(f"{argument} must be an integer, a SeedGenerator or None, got {shown(value)}")
            if value < 0:
                raise ValueError(f"{argument} must be at least 0, got {value}")


SeedLike = Annotated[Any, IsSeed()]


def _deserialize(description: Any) -> Any:
    cls = descriptions.described_class("seed generator", description, {SeedGenerator.__name__: SeedGenerator})
    return descriptions.from_description(cls, description["config"])


KINDS["random"] = Kind(_deserialize)
