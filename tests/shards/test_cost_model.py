"""The model of the cost of training on several processes, in `benchmarks/cluster.py`, on parts that are made up."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from cluster import MODELS, Network, Parts, measured, on_paper, simulated

NOTHING = Network(0.0, math.inf)
SLOW = Network(0.25, 16.0)


def parts(forward: Any = (1.0,), backward: Any = (2.0,), gradients: Any = (64,), outputs: int = 32) -> Parts:
    return Parts(8, 26.0, list(forward), list(backward), 0.5, 0.125, list(gradients), outputs)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_without_a_network_only_the_shards_are_divided(ranks: int) -> None:
    owned = 8 // ranks
    alone = 0.5 + 3 * owned + 0.125 * (owned - 1)
    joined = 0.0 if ranks == 1 else 0.125 * (1 if ranks == 2 else (ranks - 1) / ranks)
    assert on_paper(parts(), NOTHING, ranks) == alone + joined
    assert simulated(parts(), NOTHING, ranks) == alone + (0.0 if ranks == 1 else 0.125)


def test_messages_cost_what_the_formula_says() -> None:
    without = on_paper(parts(), NOTHING, 2)
    assert on_paper(parts(), SLOW, 2) == without + (0.25 + 32 / 2 / 16) + (0.25 + 64 / 16)
    without = on_paper(parts(), NOTHING, 4)
    assert on_paper(parts(), SLOW, 4) == without + (3 * 0.25 + 32 * 3 / 4 / 16) + 2 * (3 * 0.25 + 64 * 3 / 4 / 16)


def test_processes_wait_for_the_slowest() -> None:
    assert simulated(parts(forward=[1.0, 3.0]), NOTHING, 8) > simulated(parts(forward=[2.0]), NOTHING, 8)


def test_upper_layers_are_sent_while_lower_ones_run() -> None:
    network = Network(0.0, 32.0)  # two seconds for all gradients
    assert simulated(parts(gradients=[32, 32]), network, 2) < simulated(parts(gradients=[64]), network, 2)


def test_the_parts_of_a_step_add_up() -> None:
    result = measured(MODELS["stack"], 8, 0.1)
    assert min(result.forward) > 0 and min(result.backward) > 0 and result.add > 0
    weights = (29 + 16 + 1) * 16 + (16 + 32 + 1) * 32 + (32 + 64 + 1) * 64 + 65
    assert sum(result.gradients) == 4 * weights
    assert result.outputs == 4 * 128
