"""How the rows of a batch are split into shards, and the tree in which the gradients of the shards are summed.

Both depend on the number of rows and of shards alone, never on the number of processes. A node of the tree is a range
of shards (first, stop); its sum is that of its two halves, and a shard without rows adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Node = tuple[int, int]


def rows_of_shards(rows: int, shards: int) -> list[tuple[int, int]]:
    """Return the rows of each shard.

    Args:
        rows: number of rows of the batch.
        shards: number of shards.

    Returns:
        (start, stop) of each; they are equal for a shard without rows.
    """
    return [(rows * number // shards, rows * (number + 1) // shards) for number in range(shards)]


def shards_of_rank(rank: int, ranks: int, shards: int) -> tuple[int, int]:
    """Return the shards of a process, (first, stop).

    Args:
        rank: number of the process.
        ranks: how many there are.
        shards: number of shards.
    """
    return shards * rank // ranks, shards * (rank + 1) // ranks


def middle(node: Node) -> int:
    """Return where the halves of a node meet: the first one has the largest power of two below its length.

    Args:
        node: at least two shards.
    """
    first, stop = node
    return first + (1 << (stop - first - 1).bit_length() - 1)


def whole_nodes(first: int, stop: int, shards: int) -> list[Node]:
    """Return the largest nodes of the tree that lie within a range of shards, in order.

    Args:
        first: the first shard of the range.
        stop: the shard after the last one.
        shards: number of shards of the tree.
    """

    def within(node: Node) -> list[Node]:
        if node[0] >= stop or node[1] <= first:
            return []
        if first <= node[0] and node[1] <= stop:
            return [node]
        at = middle(node)
        return [*within((node[0], at)), *within((at, node[1]))]

    return within((0, shards))


def total(node: Node, parts: dict[Node, Array]) -> Array | None:
    """Return the sum of a node from those of nodes below it, which may be overwritten.

    Args:
        node: the node.
        parts: sums (N,) of nodes; those without rows are missing.

    Returns:
        The sum, None if no shard of the node has rows.
    """
    if node in parts:
        return parts[node]
    if node[1] - node[0] == 1:
        return None
    at = middle(node)
    left, right = total((node[0], at), parts), total((at, node[1]), parts)
    if left is None or right is None:
        return right if left is None else left
    left += right
    return left


class Adder:
    """Sums the gradients of shards in the order of the tree, in memory that is used again in the next step."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, str], list[Array]] = {}

    def take(self, size: int, dtype: Any) -> Array:
        """Return a vector for a sum.

        Args:
            size: number of its elements.
            dtype: their dtype.
        """
        free = self._free.get((size, np.dtype(dtype).str))
        return free.pop() if free else np.empty(size, dtype)

    def give(self, vector: Array) -> None:
        """Take back a vector that nothing reads any more.

        Args:
            vector: what `take` returned.
        """
        self._free.setdefault((vector.size, vector.dtype.str), []).append(vector)

    def sum_of(
        self, node: Node, bounds: Sequence[tuple[int, int]], run: Callable[[int], None], gradients: Array
    ) -> Array | None:
        """Run the shards of a node, the last one first, and sum their gradients.

        Args:
            node: the node.
            bounds: the rows of each shard.
            run: writes the gradients of the shard with a number to `gradients`.
            gradients: the vector (N,) that `run` writes.

        Returns:
            The sum, in a vector of `take`; None if no shard of the node has rows.
        """
        if bounds[node[0]][0] == bounds[node[1] - 1][1]:
            return None
        if node[1] - node[0] == 1:
            run(node[0])
            result = self.take(gradients.size, gradients.dtype)
            result[...] = gradients
            return result
        at = middle(node)
        right = self.sum_of((at, node[1]), bounds, run, gradients)
        if at - node[0] == 1 and right is not None and bounds[node[0]][0] < bounds[node[0]][1]:
            run(node[0])
            right += gradients
            return right
        left = self.sum_of((node[0], at), bounds, run, gradients)
        if left is None or right is None:
            return right if left is None else left
        right += left
        self.give(left)
        return right

    def all_but_last(
        self, node: Node, bounds: Sequence[tuple[int, int]], run: Callable[[int], None], gradients: Array
    ) -> LastShard:
        """Run all shards of a node but the last one to run.

        Args:
            node: the node, of which a shard has rows.
            bounds: the rows of each shard.
            run: writes the gradients of the shard with a number to `gradients`.
            gradients: the vector (N,) that `run` writes.

        Returns:
            The last shard, with what its gradients are to be added to.
        """
        path = []
        while node[1] - node[0] > 1:
            at = middle(node)
            left, right = (node[0], at), (at, node[1])
            if bounds[node[0]][0] == bounds[at][0]:
                node = right
                continue
            part = self.sum_of(right, bounds, run, gradients)
            if part is not None:
                path.append(part)
            node = left
        return LastShard(node[0], path, gradients)


class LastShard:
    """The shard of a node that runs last, whose sum is made block by block, as soon as the gradients are there.

    Args:
        shard: its number.
        path: the sums (N,) of the right halves on the way to it, the largest half first.
        gradients: the vector (N,) of its gradients.
    """

    def __init__(self, shard: int, path: list[Array], gradients: Array) -> None:
        self.shard, self._path, self._gradients = shard, path, gradients

    @property
    def total(self) -> Array:
        """The vector (N,) of the sum of the node, where blocks were added."""
        return self._path[0] if self._path else self._gradients

    def add(self, block: slice) -> None:
        """Add a block of the gradients, which are final there.

        Args:
            block: where in the vectors.
        """
        part = self._gradients[block]
        for vector in reversed(self._path):
            vector[block] += part
            part = vector[block]

    def give(self, adder: Adder) -> None:
        """Give the vectors back.

        Args:
            adder: where they come from.
        """
        for vector in self._path:
            adder.give(vector)
