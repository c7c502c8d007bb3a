"""Shards and the tree of their sums: independent of the number of processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrnn.distributed import tree


@given(rows=st.integers(1, 300), shards=st.integers(1, 40))
def test_every_row_is_in_one_shard_and_sizes_differ_by_one_at_most(rows: int, shards: int) -> None:
    bounds = tree.rows_of_shards(rows, shards)
    assert [row for start, stop in bounds for row in range(start, stop)] == list(range(rows))
    sizes = {stop - start for start, stop in bounds}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("stop", "middle"), [(2, 1), (3, 2), (5, 4), (8, 4), (9, 8)])
def test_the_first_half_of_a_node_is_a_power_of_two(stop: int, middle: int) -> None:
    assert tree.middle((0, stop)) == middle
    assert tree.middle((10, 10 + stop)) == 10 + middle


@given(rows=st.integers(1, 40), shards=st.integers(1, 20), data=st.data())
def test_any_number_of_processes_sums_to_the_same_bits(rows: int, shards: int, data: st.DataObject) -> None:
    ranks = data.draw(st.integers(1, shards))
    bounds = tree.rows_of_shards(rows, shards)
    of_shards = np.random.default_rng(rows).normal(size=(shards, 5)).astype(np.float32)
    gradients = np.empty(5, np.float32)
    ran = []

    def run(shard: int) -> None:
        ran.append(shard)
        gradients[...] = of_shards[shard]

    whole = tree.Adder().sum_of((0, shards), bounds, run, gradients)
    assert whole is not None
    assert ran == [shard for shard in reversed(range(shards)) if bounds[shard][0] < bounds[shard][1]]
    parts = {}
    covered = []
    for rank in range(ranks):
        nodes = tree.whole_nodes(*tree.shards_of_rank(rank, ranks, shards), shards)
        covered += [shard for node in nodes for shard in range(*node)]
        for node in nodes:
            part = tree.Adder().sum_of(node, bounds, run, gradients)
            if part is not None:
                parts[node] = part
    assert covered == list(range(shards))
    total = tree.total((0, shards), parts)
    assert total is not None
    assert total.tobytes() == whole.tobytes()


def test_vectors_are_used_again() -> None:
    adder = tree.Adder()
    vector = adder.take(4, np.float32)
    adder.give(vector)
    assert adder.take(4, np.float32) is vector
    assert adder.take(4, np.float32) is not vector
    adder.give(vector)
    assert adder.take(4, np.float64).dtype == np.float64
    assert adder.take(5, np.float32).size == 5
    assert adder.take(4, np.float32) is vector
