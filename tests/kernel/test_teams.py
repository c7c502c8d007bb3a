"""Rows whose units several threads compute side by side: bits, interrupts, forks and nested calls."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from lasting import SIGNAL_AT, steps_that_last

from kernel.checks import assert_same_bits, compare
from kernel.test_recurrent import OPTIONS, make_rnn, run_rnn
from pyrnn import _core, layers, reference
from pyrnn.reference.recurrent import CELLS

pytestmark = pytest.mark.usefixtures("any_thread_count")

THREADS = (2, 3, 64)
# Units that are an odd number of unit blocks on every ISA. A large layer's weights do not stay in L2 and feed a team of
# up to 11 threads; those of a small layer feed 3 or 4; the last feed 16, the most that a team may have.
LARGE = {"simple_rnn": 513, "lstm": 257, "gru": 289, "gru_reset_before": 289}
SMALL = {"simple_rnn": 321, "lstm": 161, "gru": 161, "gru_reset_before": 161}
LARGEST = {"simple_rnn": 641, "lstm": 321, "gru": 385, "gru_reset_before": 385}
# (B, T, F) and H: more steps than share a product x W. Three rows of a small layer are no team's; large layers form
# teams of any number of rows, forward and backward, where there are more threads than rows to feed them well.
SHAPES = {
    "B1": ((1, 40, 11), LARGE),
    "B2": ((2, 35, 5), SMALL),
    "B3": ((3, 33, 5), {**SMALL, "lstm": LARGE["lstm"]}),
    "B5": ((5, 12, 11), LARGE),
    "B20": ((20, 35, 11), LARGE),
    "B1-most": ((1, 12, 5), LARGEST),
}


def shape_of(cell: str, name: str) -> tuple[int, ...]:
    shape, units = SHAPES[name]
    return *shape, units[cell]


def make_team(cell: str, shape: str, option: dict[str, Any], *activations: str) -> dict[str, Any]:
    """A problem whose mask, if any, differs from step to step in every row."""
    problem = make_rnn(cell, shape_of(cell, shape), option, *activations)
    if problem["mask"] is not None:
        problem["mask"] = np.random.default_rng(3).random(problem["mask"].shape) < 0.6
    return problem


def assert_same_at_any_thread_count(
    problem: dict[str, Any], dtype: str = "float32", counts: tuple[int, ...] = THREADS
) -> None:
    _core.set_num_threads(1)
    expected = run_rnn(_core, problem, dtype)
    for count in counts:
        _core.set_num_threads(count)
        assert_same_bits(expected, run_rnn(_core, problem, dtype))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shape", ["B1", "B2", "B3", "B5", "B20"])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_at_any_thread_count(cell: str, shape: str, option: str) -> None:
    assert_same_at_any_thread_count(make_team(cell, shape, OPTIONS[option]))


@pytest.mark.parametrize("shape", ["B1-most", "B20"])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_the_largest_team(cell: str, shape: str) -> None:
    assert_same_at_any_thread_count(make_team(cell, shape, OPTIONS["all"]), counts=(8, 16, 64))


@pytest.mark.parametrize("shape", ["B2", "B5"])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_in_float64(cell: str, shape: str) -> None:
    assert_same_at_any_thread_count(make_team(cell, shape, OPTIONS["mask-zero"]), "float64")


@pytest.mark.parametrize("activation", ["relu", "gelu", "exponential", "softmax", "sparsemax"])
@pytest.mark.parametrize("shape", ["B2", "B5"])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_other_activations(cell: str, shape: str, activation: str) -> None:
    """Some are computed over rows in memory, and some span the row."""
    assert_same_at_any_thread_count(make_team(cell, shape, {"mask": True}, activation, "hard_sigmoid"))
    if CELLS[cell].gates > 1:
        assert_same_at_any_thread_count(make_team(cell, shape, {}, "tanh", activation))


@pytest.mark.parametrize(("batch", "units"), [(2, SMALL), (8, LARGE)])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_with_checkpoints(cell: str, batch: int, units: dict[str, int]) -> None:
    """Windows of two rows have 128 steps, since their weight gradients are summed over that many; of eight rows 32."""
    problem = make_rnn(cell, (batch, 150 if batch == 2 else 70, 11, units[cell]), {"initial_state": True})
    assert_same_at_any_thread_count({**problem, "checkpoint_steps": 32})


@pytest.mark.parametrize("shape", ["B1", "B20"])
@pytest.mark.parametrize("cell", CELLS)
def test_against_the_reference(cell: str, shape: str) -> None:
    problem = make_team(cell, shape, OPTIONS["all"])
    b, t, f, h = shape_of(cell, shape)
    _core.set_num_threads(3)
    compare(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float64"), (f + h) * t * b)


UNITS = 512
X = np.random.default_rng(0).normal(size=(1, 60000, 1)).astype(np.float32)


def take_a_while(layer: layers.Layer) -> np.ndarray:
    return X[:, : steps_that_last(lambda steps: layer(X[:, :steps]), X.shape[1])]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_interrupt_ends_it_early(threads: int) -> None:
    """And the layer computes the same as before."""
    layer = layers.LSTM(UNITS)
    expected = layer(X[:, :60]).tobytes()
    _core.set_num_threads(threads)
    x = take_a_while(layer)
    steps: list[int] = []

    def handler(*_: Any) -> None:
        steps.append(len(steps))
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, SIGNAL_AT)
        with pytest.raises(KeyboardInterrupt):
            layer(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert steps == [0]
    assert layer(X[:, :60]).tobytes() == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_handler_uses_the_layer_that_it_interrupts(threads: int) -> None:
    layer = layers.SimpleRNN(UNITS)
    _core.set_num_threads(threads)
    x = take_a_while(layer)
    short, expected = layer(X[:, :60]).tobytes(), layer(x).tobytes()
    calls: list[bool] = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(layer(X[:, :60]).tobytes() == short))
    try:
        signal.setitimer(signal.ITIMER_REAL, SIGNAL_AT)
        assert layer(x).tobytes() == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls == [True]


def test_a_team_is_rehearsed() -> None:
    """Its members' parts are timed one after the other, and count as side by side."""
    layer, x = layers.LSTM(UNITS), np.repeat(X[:, :100], 8, axis=0)
    expected = layer(x).tobytes()
    _core.set_num_threads(4)
    _core.rehearse(True)
    layer(x)
    calls, _, alone, together = _core.rehearse(False)
    assert calls == 1
    assert alone / 4 < together < alone
    assert layer(x).tobytes() == expected


@pytest.mark.threads
def test_python_threads_at_once() -> None:
    """One call gets the workers; the others compute alone. Short, since ThreadSanitizer runs it, too."""
    layer, x = layers.GRU(257), X[:, :12]
    expected = layer(x).tobytes()
    _core.set_num_threads(3)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: layer(x).tobytes(), range(12))) == {expected}


def test_a_forked_process_has_a_team_of_its_own() -> None:
    layer = layers.SimpleRNN(UNITS)
    _core.set_num_threads(2)
    expected = layer(X[:, :60]).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if all(layer(X[:, :60]).tobytes() == expected for _ in range(5)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
