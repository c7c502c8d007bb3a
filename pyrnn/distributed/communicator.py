"""`Communicator`: how processes exchange the results of shards. The one here connects a process with itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from pyrnn.distributed import tree
from pyrnn.distributed.packing import Layout

Array = NDArray[Any]


class GradientSum:
    """The sum of the gradients of all shards, where one process has them.

    Args:
        node: all shards.
        gradients: receives the sum (N,).
    """

    def __init__(self, node: tree.Node, gradients: Array) -> None:
        self._node, self._gradients = node, gradients

    def send(self, block: slice, sums: Mapping[tree.Node, Array]) -> None:
        """Add a block of the sums that this process has; every process sends the same blocks in the same order.

        Args:
            block: where in the vectors.
            sums: the sums (N,) of nodes, which are final in this block and may be overwritten in `finish`.
        """
        self._gradients[block] = sums[self._node][block]

    def finish(self) -> None:
        """Write the sum of all blocks."""


class Communicator:
    """A single process, which has all shards.

    Args:
        shards: number of shards.
    """

    rank, size = 0, 1

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def gather_shards(
        self,
        layout: Layout | None,
        results: Mapping[int, list[Array]],
        bounds: Sequence[tuple[int, int]],
        training: bool,
    ) -> tuple[Layout, list[list[Array]]]:
        """Exchange what the shards yielded.

        Args:
            layout: what the arrays are; None if no shard of this process has rows.
            results: the arrays of the shards of this process that have rows.
            bounds: the rows of each shard.
            training: whether a step follows.

        Returns:
            The layout, and the arrays of all shards that have rows, in order.
        """
        assert layout is not None
        return layout, list(results.values())

    def begin_sum(self, bounds: Sequence[tuple[int, int]], gradients: Array, adder: tree.Adder) -> GradientSum:
        """Begin to sum the gradients of all shards.

        Args:
            bounds: the rows of each shard.
            gradients: receives the sum (N,).
            adder: has the memory for what comes from other processes.

        Returns:
            The sum, to which blocks can be sent.
        """
        return GradientSum((0, self._shards), gradients)

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
