"""Random streams keyed by the shard: whichever process runs a shard, it draws the same numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pyrnn import seeds

# How far apart the shards of a step are in a stream that can be advanced; no shard draws that many numbers.
DISTANCE = 1 << 48


class ShardStreams:
    """The random generators of a model for one pass over the shards of a batch.

    Each shard has a stream of its own, which follows from the state of the generator before the pass and the number of
    the shard. After the pass the generators have a state that follows from the one before it alone.

    Args:
        generators: the generators, each once.
        shards: number of shards.
    """

    def __init__(self, generators: Iterable[seeds.Generator], shards: int) -> None:
        self._places = [_StreamPlace(g) if isinstance(g, seeds.Stream) else _place(seeds.bits(g)) for g in generators]
        self._shards = shards

    def enter(self, shard: int) -> None:
        """Begin a shard.

        Args:
            shard: its number.
        """
        for place in self._places:
            place.move(shard + 1)

    def leave(self) -> None:
        """End the pass."""
        for place in self._places:
            place.move(self._shards + 1)

    def restore(self) -> None:
        """Take the pass back."""
        for place in self._places:
            place.move(0)


def _place(bits: Any) -> _AdvancedPlace | _SeededPlace:
    return _AdvancedPlace(bits) if hasattr(bits, "advance") else _SeededPlace(bits)


class _AdvancedPlace:
    """The place in a stream that can be advanced, as NumPy's default."""

    def __init__(self, bits: Any) -> None:
        self._bits, self._state = bits, bits.state

    def move(self, number: int) -> None:
        self._bits.state = self._state
        if number:
            self._bits.advance(number * DISTANCE)


class _SeededPlace:
    """The place in any other stream of NumPy's: each number makes a seed of what it would draw next."""

    def __init__(self, bits: Any) -> None:
        self._bits, self._state = bits, bits.state
        self._seed = [int(word) for word in bits.random_raw(4)]
        bits.state = self._state

    def move(self, number: int) -> None:
        fresh = type(self._bits)(np.random.SeedSequence([*self._seed, number])) if number else None
        self._bits.state = self._state if fresh is None else fresh.state


class _StreamPlace:
    """The place of a `SeedGenerator`."""

    def __init__(self, stream: seeds.Stream) -> None:
        self._stream, self._before = stream, stream.place()

    def move(self, number: int) -> None:
        if number:
            drawn = np.random.SeedSequence([*self._before.values(), number]).generate_state(len(self._before))
            self._stream.set_place(dict(zip(self._before, map(int, drawn), strict=True)))
        else:
            self._stream.set_place(self._before)
