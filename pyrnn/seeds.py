"""Where randomness starts: one seed sequence for the process, from which every generator is drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.rules import Unchecked
from pyrnn.states import Rule, anything, array, mapping_of, number, optional, record, require, tuple_of
from pyrnn.validation import shown

Generator = np.random.Generator | np.random.RandomState  # both of NumPy's kinds

_root = np.random.default_rng()


@checked
def set_random_seed(seed: Annotated[int, Unchecked(allowed="zero huge")]) -> None:
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


def streams_rule() -> Rule:
    """What `set_streams` may be passed."""
    kind = type(vars(np.random)["get_bit_generator"]())  # of which NumPy's stubs know nothing
    global_stream = np.random.RandomState(kind(0))
    return record({
        "pyrnn": stream_rule(_root.bit_generator),
        "numpy": _stream_rule(global_stream, lambda: global_stream.get_state(legacy=False), global_stream.set_state),
        "python": _python_rule,
    })  # fmt: skip


def own_streams_rule(generators: Mapping[str, Generator]) -> Rule:
    """Return the rule for what `set_own_streams` may be passed for these generators."""
    return record({name: stream_rule(_bits(value)) for name, value in generators.items()})


# What NumPy's generators do not check. The first two are places in a buffer: others lead into foreign memory.
_RANGES = {"pos": (0, 624), "buffer_pos": (0, 4), "has_uint32": (0, 1), "has_gauss": (0, 1)}


def stream_rule(bits: Any) -> Rule:
    """The state of a generator of the same kind as `bits`, which is not changed."""
    trial = _fresh(bits)
    return _stream_rule(trial, lambda: trial.state, lambda state: setattr(trial, "state", state))


def _fresh(bits: Any) -> Any:
    return type(bits)(0)


def _stream_rule(trial: Any, get: Callable[[], Any], assign: Callable[[Any], None]) -> Rule:
    """A state that `trial` takes and says of itself then."""

    def rule(where: str, value: Any) -> None:
        words = f"be the state of a {type(trial).__name__}"
        mapping_of(anything)(where, value)
        inner = value.get("state")
        for part in (value, inner if isinstance(inner, dict) else {}):
            for name, (least, most) in _RANGES.items():
                if name in part:
                    require(
                        type(part[name]) is int and least <= part[name] <= most, f"{where}[{name!r}]", words, part[name]
                    )
        gauss = value.get("gauss", 0.0)
        require(type(gauss) in (int, float) and math.isfinite(gauss), f"{where}['gauss']", words, gauss)
        try:
            assign(value)
            taken = _alike(get(), value)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError):
            taken = False
        require(taken, where, words, value)

    return rule


def _python_rule(where: str, value: Any) -> None:
    """The state of Python's `random`."""
    words = "be the state of random.Random"
    tuple_of(anything, array(kinds="u"), optional(number))(where, value)
    version, numbers, gauss = value
    require(gauss is None or math.isfinite(gauss), f"{where}[2]", words, gauss)
    state: Any = (version, tuple(numbers.tolist()), gauss)
    trial = random.Random(0)
    try:
        trial.setstate(state)
    except (TypeError, ValueError, OverflowError):
        state = None
    require(trial.getstate() == state, where, words, value)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
        )
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and bool(one == other)


def generators_of(owner: Any) -> dict[str, Generator]:
    """Return the NumPy generators in the attributes of a user's data set, by attribute."""
    return {name: value for name, value in getattr(owner, "__dict__", {}).items() if isinstance(value, Generator)}


def own_streams(generators: Mapping[str, Generator]) -> dict[str, Any]:
    """Return the states of generators, by attribute."""
    return {name: _bits(value).state for name, value in generators.items()}


def set_own_streams(generators: Mapping[str, Generator], states: Mapping[str, Any]) -> None:
    """Continue the streams of generators from what `own_streams` returned.

    Raises:
        ValueError: if `states` is of other generators.
    """
    if generators.keys() != states.keys():
        raise ValueError(f"the state must be of the generators {sorted(generators)}, got {sorted(states)}")
    for name, value in generators.items():
        _bits(value).state = states[name]


def _bits(value: Generator) -> Any:
    """Return what a generator of either kind draws from."""
    return value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
