"""The source of randomness: one seed sequence per process or seeded thread, which gives every generator its seed."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.rules import Unchecked
from pyrnn.states import Rule, anything, array, mapping_of, number, optional, record, require, tuple_of
from pyrnn.validation import WrongType, shown


class Stream:
    """What makes a generator for each use and keeps its place itself: the base class of `random.SeedGenerator`."""

    def generator(self) -> np.random.Generator:
        """Make the generator for one use.

        Returns:
            A generator of NumPy.
        """
        raise NotImplementedError

    def place(self) -> dict[str, Any]:
        """Describe the place.

        Returns:
            A dict of plain values.
        """
        raise NotImplementedError

    def set_place(self, place: dict[str, Any]) -> None:
        """Continue from a place.

        Args:
            place: what `place` returned.
        """
        raise NotImplementedError

    def place_rule(self) -> Rule:
        """State what `set_place` may be passed.

        Returns:
            The rule.
        """
        raise NotImplementedError


Generator = np.random.Generator | np.random.RandomState | Stream  # both of NumPy's kinds, and ours

_root = np.random.default_rng()  # of the process
_own = threading.local()  # `root`, in threads other than the main one that have set a seed


def root() -> np.random.Generator:
    """Return the generator from which this thread draws seeds, until the next `set_random_seed`."""
    present: np.random.Generator = getattr(_own, "root", _root)
    return present


def _set_root(root: np.random.Generator) -> None:
    """Set the seed sequence of the process or, in a thread other than the main one, that of the thread."""
    global _root
    if threading.current_thread() is threading.main_thread():
        _root = root
    else:
        _own.root = root


@checked
def set_random_seed(seed: Annotated[int, Unchecked(allowed="zero huge")]) -> None:
    """Make the random numbers of pyrnn repeatable from here on: initial weights, shuffling, dropout.

    The seed is that of the process. In a thread other than the main one it is that of the thread alone, so that threads
    that train models of their own do not disturb each other.

    Args:
        seed: An integer, 0 to 2**32 - 1.

    Raises:
        TypeError: If `seed` is not an integer.
        ValueError: If it is out of range.

    Example:
        >>> import pyrnn
        >>> from pyrnn import seeds
        >>> seeds.set_random_seed(1)
        >>> first = pyrnn.initializers.GlorotUniform()((2, 2))
        >>> seeds.set_random_seed(1)
        >>> bool((pyrnn.initializers.GlorotUniform()((2, 2)) == first).all())
        True
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise WrongType(f"seed must be an integer, got {shown(seed)}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be between 0 and 2**32 - 1, got {seed}")
    _set_root(np.random.default_rng(int(seed)))


def next_seed() -> int:
    """Draw a new seed from the seed sequence of the process or thread."""
    return int(root().integers(2**31))


def generator(seed: int | np.random.Generator | Stream | None = None) -> np.random.Generator:
    """Create a generator from `seed`, or from the seed sequence of the process or thread if it is None."""
    if isinstance(seed, Stream):
        return seed.generator()
    return np.random.default_rng(next_seed() if seed is None else seed)  # which returns a generator as it is


# Resuming: the states of generators as plain values and arrays.


def streams() -> dict[str, Any]:
    """Return the states of the streams of the process: pyrnn's seeds, NumPy's global stream and Python's `random`."""
    version, numbers, gauss = random.getstate()
    return {
        "pyrnn": root().bit_generator.state,
        "numpy": np.random.get_state(legacy=False),
        "python": [version, np.asarray(numbers, np.uint32), gauss],
    }


def set_streams(state: dict[str, Any]) -> None:
    """Continue the streams of the process from what `streams` returned."""
    version, numbers, gauss = state["python"]
    root = np.random.default_rng(0)
    root.bit_generator.state = state["pyrnn"]
    np.random.set_state(state["numpy"])
    random.setstate((version, tuple(np.asarray(numbers).tolist()), gauss))
    _set_root(root)


def streams_rule() -> Rule:
    """Return the rule for what `set_streams` may be passed."""
    kind = type(vars(np.random)["get_bit_generator"]())  # which NumPy's stubs lack
    global_stream = np.random.RandomState(kind(0))
    return record({
        "pyrnn": stream_rule(_root.bit_generator),
        "numpy": _stream_rule(global_stream, lambda: global_stream.get_state(legacy=False), global_stream.set_state),
        "python": _python_rule,
    })  # fmt: skip


def own_streams_rule(generators: Mapping[str, Generator]) -> Rule:
    """Return the rule for what `set_own_streams` may be passed for these generators."""
    return record({
        name: value.place_rule() if isinstance(value, Stream) else stream_rule(bits(value))
        for name, value in generators.items()
    })  # fmt: skip


# What NumPy's generators do not check. The first two are positions in a buffer: others would read foreign memory.
_RANGES = {"pos": (0, 624), "buffer_pos": (0, 4), "has_uint32": (0, 1), "has_gauss": (0, 1)}


def stream_rule(bits: Any) -> Rule:
    """Return the rule for the state of a generator of the same kind as `bits`, which is not changed."""
    trial = _fresh(bits)
    return _stream_rule(trial, lambda: trial.state, lambda state: setattr(trial, "state", state))


def _fresh(bits: Any) -> Any:
    return type(bits)(0)


def _stream_rule(trial: Any, get: Callable[[], Any], assign: Callable[[Any], None]) -> Rule:
    """Return the rule for a state that `trial` accepts and then reports as its own."""

    def rule(where: str, value: Any) -> None:
        requirement = f"be the state of a {type(trial).__name__}"
        mapping_of(anything)(where, value)
        inner = value.get("state")
        for part in (value, inner if isinstance(inner, dict) else {}):
            for name, (least, most) in _RANGES.items():
                if name in part:
                    require(
                        type(part[name]) is int and least <= part[name] <= most,
                        f"{where}[{name!r}]",
                        requirement,
                        part[name],
                    )
        gauss = value.get("gauss", 0.0)
        require(type(gauss) in (int, float) and math.isfinite(gauss), f"{where}['gauss']", requirement, gauss)
        try:
            assign(value)
            accepted = _alike(get(), value)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError):
            accepted = False
        require(accepted, where, requirement, value)

    return rule


def _python_rule(where: str, value: Any) -> None:
    """Check the state of Python's `random`."""
    requirement = "be the state of random.Random"
    tuple_of(anything, array(kinds="u"), optional(number))(where, value)
    version, numbers, gauss = value
    require(gauss is None or math.isfinite(gauss), f"{where}[2]", requirement, gauss)
    state: Any = (version, tuple(numbers.tolist()), gauss)
    trial = random.Random(0)
    try:
        trial.setstate(state)
    except (TypeError, ValueError, OverflowError):
        state = None
    require(trial.getstate() == state, where, requirement, value)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def generators_of(owner: Any) -> dict[str, Generator]:
    """Return the NumPy generators in the attributes of a user's data set, by attribute."""
    return {name: value for name, value in getattr(owner, "__dict__", {}).items() if isinstance(value, Generator)}


def own_streams(generators: Mapping[str, Generator]) -> dict[str, Any]:
    """Return the states of generators, by attribute."""
    return {
        name: value.place() if isinstance(value, Stream) else bits(value).state for name, value in generators.items()
    }


def set_own_streams(generators: Mapping[str, Generator], states: Mapping[str, Any]) -> None:
    """Continue the streams of generators from what `own_streams` returned.

    Raises:
        ValueError: if `states` is of other generators.
    """
    if generators.keys() != states.keys():
        raise ValueError(f"the state must be of the generators {sorted(generators)}, got {sorted(states)}")
    for name, value in generators.items():
        if isinstance(value, Stream):
            value.set_place(states[name])
        else:
            bits(value).state = states[name]


def bits(value: np.random.Generator | np.random.RandomState) -> Any:
    """Return what a generator of either kind of NumPy's draws from."""
    return value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
