"""Where randomness starts: one seed sequence for the process, from which every generator is drawn."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.validation import shown

_root = np.random.default_rng()


@checked(seed=None)
def set_random_seed(seed: int) -> None:
    """Make everything random in pyrnn repeatable from here on (weights, shuffling, dropout).

    Args:
        seed: an integer, 0 to 2**32 - 1.

    Raises:
        TypeError: if ``seed`` is no integer.
        ValueError: if it is out of range.
    """
    global _root
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer, got {shown(seed)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be between 0 and 2**32 - 1, got {seed}")
    _root = np.random.default_rng(int(seed))


def next_seed() -> int:
    """A fresh seed drawn from the process's seed sequence."""
    return int(_root.integers(2**31))


def generator(seed: int | None = None) -> np.random.Generator:
    """A generator for one consumer: from ``seed``, or from the process's sequence when it is None."""
    return np.random.default_rng(next_seed() if seed is None else seed)


# Going on where a run was: what a generator will draw next, as plain values and arrays.


def streams() -> dict[str, Any]:
    """The process's streams: pyrnn's own seed sequence, NumPy's global stream and Python's `random`."""
    version, numbers, gauss = random.getstate()
    return {
        "pyrnn": _root.bit_generator.state,
        "numpy": np.random.get_state(legacy=False),
        "python": [version, np.asarray(numbers, np.uint32), gauss],
    }


def set_streams(state: dict[str, Any]) -> None:
    """Let the process's streams go on from what `streams` gave."""
    global _root
    version, numbers, gauss = state["python"]
    root = np.random.default_rng(0)
    root.bit_generator.state = state["pyrnn"]
    np.random.set_state(state["numpy"])
    random.setstate((version, tuple(np.asarray(numbers).tolist()), gauss))
    _root = root


def own_streams(owner: Any) -> dict[str, Any]:
    """The states of the NumPy generators that are attributes of an object, by name."""
    return {name: _bits(value).state for name, value in _attributes(owner) if _bits(value) is not None}


def set_own_streams(owner: Any, states: dict[str, Any]) -> None:
    """Let an object's generators go on from what `own_streams` gave.

    Raises:
        ValueError: if it has others.
    """
    found = {name: _bits(value) for name, value in _attributes(owner) if _bits(value) is not None}
    if found.keys() != states.keys():
        raise ValueError(f"{type(owner).__name__} has the generators {sorted(found)}, kept were {sorted(states)}")
    for name, bits in found.items():
        bits.state = states[name]


def _attributes(owner: Any) -> list[tuple[str, Any]]:
    return list(getattr(owner, "__dict__", {}).items())


def _bits(value: Any) -> Any:
    """What a generator of either of NumPy's two kinds draws from; None for anything else."""
    if isinstance(value, np.random.Generator):
        return value.bit_generator
    return value._bit_generator if isinstance(value, np.random.RandomState) else None
