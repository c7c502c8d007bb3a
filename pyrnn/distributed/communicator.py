"""`Communicator`: how processes exchange the results of shards. The one here connects a process with itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from pyrnn.distributed import tree
from pyrnn.distributed.packing import Layout

Array = NDArray[Any]


class Communicator:
    """A single process, which has all shards.

    Args:
        shards: number of shards.
    """

    rank, size = 0, 1

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def gather_shards(
        self, results: Mapping[int, tuple[Layout, list[Array]]], bounds: Sequence[tuple[int, int]], training: bool
    ) -> tuple[Layout, list[list[Array]]]:
        """Exchange what the shards yielded.

        Args:
            results: layout and arrays of the shards of this process that have rows.
            bounds: the rows of each shard.
            training: whether a step follows.

        Returns:
            The layout, and the arrays of all shards that have rows, in order.
        """
        layout = next(iter(results.values()))[0]
        return layout, [arrays for _, arrays in results.values()]

    def sum_gradients(self, sums: dict[tree.Node, Array], bounds: Sequence[tuple[int, int]], gradients: Array) -> None:
        """Sum the gradients of all shards.

        Args:
            sums: those of the nodes of the tree that this process has (N,).
            bounds: the rows of each shard.
            gradients: receives the sum (N,).
        """
        gradients[...] = tree.total((0, self._shards), sums)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, in their order.

        Args:
            value: that of this process; it can be pickled.
        """
        return [value]

    def abort_on_errors(self) -> None:
        """Let an error that ends this process end the whole job."""

    def end(self) -> None:
        """Tell the other processes that this one ends."""

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        self.gather(None)
