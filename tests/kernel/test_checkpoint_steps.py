"""checkpoint_steps: the same bits as training that saves every step, in a fraction of the memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from kernel.checks import DTYPES, assert_same_bits, compare
from kernel.test_recurrent import LARGE, OPTIONS, make_rnn, run_rnn
from pyrnn import _core, layers, reference
from pyrnn.models import Sequential
from pyrnn.reference.recurrent import CELLS
from pyrnn.utils import set_random_seed

# Small layers sum their weight gradients by segments of 128 steps: with k = 3 there are three windows, with k = 130
# two, the first of two segments.
STEPS = 260
EVERY = [3, 130]
# (B, T, F, H): a full block of rows and a short one; few rows, for which x W is made ahead; one, with segments of 256.
SHAPES = [(17, STEPS, 2, 5), (2, STEPS, 5, 17), (1, 520, 2, 3)]
TWO_WINDOWS = (17, 130, 2, 5)
LARGE_SHAPES = {cell: (9, 34, *widths) for cell, (_, _, *widths) in LARGE.items()}  # by 32 steps
ACTIVATIONS = [("silu", "sigmoid"), ("tanh", "hard_silu"), ("relu", "hard_sigmoid"), ("softmax", "softmax")]


def same_with_checkpoints(problem: dict[str, Any], dtype: str, every: list[int]) -> None:
    expected = run_rnn(_core, problem, dtype)
    for steps in every:
        assert_same_bits(expected, run_rnn(_core, {**problem, "checkpoint_steps": steps}, dtype))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits(cell: str, option: str) -> None:
    same_with_checkpoints(make_rnn(cell, TWO_WINDOWS, OPTIONS[option]), "float32", [1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", ["initial", "all"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "B{}T{}F{}H{}".format(*s))
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_in_windows_of_segments(cell: str, shape: tuple[int, ...], option: str, dtype: str) -> None:
    same_with_checkpoints(make_rnn(cell, shape, OPTIONS[option]), dtype, EVERY)


@pytest.mark.parametrize("option", ["last", "mask-zero", "scales", "all", "gate-scales-all"])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_large_layers(cell: str, option: str) -> None:
    same_with_checkpoints(make_rnn(cell, LARGE_SHAPES[cell], OPTIONS[option]), "float32", [3])


@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_large_layers_in_windows_of_segments(cell: str) -> None:
    b, _, f, h = LARGE_SHAPES[cell]
    same_with_checkpoints(make_rnn(cell, (b, 66, f, h), OPTIONS["all"]), "float32", [33])


@pytest.mark.parametrize("batch,steps", [(1, 260), (2, 130)])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_large_layers_of_few_rows(cell: str, batch: int, steps: int) -> None:
    """Segments are long enough for 256 rows to be summed at once."""
    same_with_checkpoints(make_rnn(cell, (batch, steps, *LARGE[cell][2:]), OPTIONS["all"]), "float32", [1])


@pytest.mark.parametrize("activations", ACTIVATIONS, ids="-".join)
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_with_other_activations(cell: str, activations: tuple[str, str]) -> None:
    same_with_checkpoints(make_rnn(cell, TWO_WINDOWS, {"mask": True}, *activations), "float32", [1])


@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_large_layers_that_keep_preactivations(cell: str) -> None:
    same_with_checkpoints(make_rnn(cell, LARGE_SHAPES[cell], {"mask": True}, *ACTIVATIONS[0]), "float32", [1])


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("shape", [(70, STEPS, 3, 19), "large"], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_at_any_thread_count(cell: str, shape: Any) -> None:
    problem = make_rnn(cell, LARGE_SHAPES[cell] if shape == "large" else shape, OPTIONS["gate-scales-all"])
    _core.set_num_threads(1)
    expected = run_rnn(_core, problem, "float32")
    for count in (1, 2, 3):
        _core.set_num_threads(count)
        assert_same_bits(expected, run_rnn(_core, problem, "float32"))
        assert_same_bits(expected, run_rnn(_core, {**problem, "checkpoint_steps": 1}, "float32"))


@pytest.mark.parametrize("need_dx", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_sums_over_several_segments(cell: str, need_dx: bool) -> None:
    b, t, f, h = SHAPES[0]
    problem = {**make_rnn(cell, SHAPES[0], OPTIONS["all"]), "checkpoint_steps": 1}
    ours = run_rnn(_core, problem, "float64", need_dx)
    compare(ours, run_rnn(reference, problem, "float64", need_dx), (f + h) * t * b)


def test_what_training_saves() -> None:
    problem = make_rnn("lstm", (3, STEPS, 2, 5), {"return_sequences": False})
    del problem["d_output"], problem["d_final"]
    for every, states in ((None, STEPS), (1, 3), (128, 3), (129, 2), (256, 2), (257, STEPS), (STEPS + 1, STEPS)):
        call = {**problem, "checkpoint_steps": every}
        *_, saved = _core.rnn_forward(**call, training=True, workspace=_core.Workspace(), version=1)
        assert saved[0].shape == (3, states, 5), every
        assert len(saved) == (4 if states == STEPS else 2)


@pytest.mark.parametrize(
    "value,error", [(0, ValueError), (-3, ValueError), (2**31, ValueError), (1.5, TypeError), ("3", TypeError)]
)
def test_the_core_refuses(value: Any, error: type[Exception]) -> None:
    problem = make_rnn("simple_rnn", (2, 3, 4, 6), {})
    del problem["d_output"], problem["d_final"]
    with pytest.raises(error, match="checkpoint_steps must"):
        _core.rnn_forward(
            **{**problem, "checkpoint_steps": value}, training=True, workspace=_core.Workspace(), version=1
        )


def test_the_core_rejects_states_saved_with_other_options() -> None:
    problem = make_rnn("gru", (2, STEPS, 4, 6), {})
    d_output = problem.pop("d_output")
    del problem["d_final"]
    options = {"workspace": _core.Workspace(), "version": 1}
    *_, saved = _core.rnn_forward(**problem, training=True, **options)
    gradients = {f"d_{name}": np.zeros_like(problem[name]) for name in ("kernel", "recurrent_kernel", "bias")}
    with pytest.raises(ValueError, match="saved must be what"):
        _core.rnn_backward(
            **{**problem, "checkpoint_steps": 1}, saved=saved, d_output=d_output, d_final_state=None, need_dx=True,
            **gradients, **options,
        )  # fmt: skip


def recurrent_stack(kind: str, k: int | None, **options: Any) -> list[layers.Layer]:
    if kind == "RNN":
        cells = [layers.LSTMCell(7, recurrent_dropout=0.2, seed=1), layers.GRUCell(5, dropout=0.3, seed=2)]
        return [layers.RNN(cells, checkpoint_steps=k, **options)]
    if kind == "Bidirectional":
        return [layers.Bidirectional(layers.GRU(6, checkpoint_steps=k, dropout=0.2, seed=4, **options))]
    arguments = {"dropout": 0.2, "recurrent_dropout": 0.3, "seed": 3, "checkpoint_steps": k}
    if kind == "GRU-before":
        return [layers.GRU(9, reset_after=False, **arguments, **options)]
    return [getattr(layers, kind)(9, **arguments, **options)]


KINDS = ["SimpleRNN", "LSTM", "GRU", "GRU-before", "Bidirectional", "RNN"]


@pytest.mark.parametrize("option", ["plain", "sequences", "stateful", "backwards"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_has_the_same_bits(kind: str, option: str) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 130, 2)).astype(np.float32)
    x[1:, 100:] = 0  # masked
    y = rng.normal(size=(4, 1)).astype(np.float32)
    options: dict[str, Any] = {
        "plain": {}, "sequences": {"return_sequences": True}, "stateful": {"stateful": True},
        "backwards": {"go_backwards": True},
    }[option]  # fmt: skip
    if kind == "Bidirectional" and option == "backwards":
        options = {"return_sequences": True}
    results = []
    for k in (None, 1):
        set_random_seed(11)
        below = recurrent_stack(kind, k, **{**options, "return_sequences": True})
        top = recurrent_stack(kind, k, **options)
        pool = [layers.GlobalAveragePooling1D()] if options.get("return_sequences") else []
        start = layers.Input(batch_shape=(4, 130, 2))
        model = Sequential([start, layers.Masking(), *below, *top, *pool, layers.Dense(1)])
        model.compile("adam", "mse")
        losses = [model.train_on_batch(x, y) for _ in range(3)]
        results.append([np.array(losses), *model.get_weights(), model.predict(x, verbose=0)])
    for first, second in zip(*results, strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_config(kind: str) -> None:
    (with_it,), (without,) = recurrent_stack(kind, 12), recurrent_stack(kind, None)
    assert '"checkpoint_steps": 12' in json.dumps(with_it.get_config())
    assert "checkpoint_steps" not in json.dumps(without.get_config())
    again = type(with_it).from_config(with_it.get_config())
    assert again.get_config() == with_it.get_config()


CHILD = """
import sys
import numpy as np
from pyrnn import layers
from pyrnn.models import Sequential
kind, steps, k, sequences = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) or None, sys.argv[4] == "1"
rng = np.random.default_rng(0)
x = rng.normal(size=(8, steps, 1)).astype(np.float32)
y = rng.normal(size=(8, steps, 1) if sequences else (8, 1)).astype(np.float32)
layer = getattr(layers, kind)(64, checkpoint_steps=k, return_sequences=sequences)
model = Sequential([layers.Input((None, 1)), layer, layers.Dense(1)])
model.compile("adam", "mse")
model.train_on_batch(x[:, :2], y[:, :2] if sequences else y)  # what is made once
def most():  # bytes; not ru_maxrss, which begins with what the parent had
    return 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = most()
for _ in range(2):
    model.train_on_batch(x, y)
print(most() - before)
"""


def bytes_above_the_data(kind: str, steps: int, k: int, sequences: bool = False) -> int:
    """Return the growth of peak memory when LSTM(64) or another layer trains on (8, steps, 1), in bytes."""
    command = [sys.executable, "-c", CHILD, kind, str(steps), str(k), str(int(sequences))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", timeout=1200).stdout)


def test_memory_does_not_grow_with_time() -> None:
    """An LSTM that saves all of 3,000 steps needs 43 MB."""
    assert bytes_above_the_data("LSTM", 3_000, 55) < 20e6 < 35e6 < bytes_above_the_data("LSTM", 3_000, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU"])
def test_memory_of_other_layers(kind: str) -> None:
    """If every step is saved, SimpleRNN needs 41 MB for 20,000 steps and GRU 205 MB."""
    assert bytes_above_the_data(kind, 20_000, 141) < 20e6 < 30e6 < bytes_above_the_data(kind, 20_000, 0)


@pytest.mark.slow
def test_memory_of_100000_steps() -> None:
    assert bytes_above_the_data("LSTM", 100_000, 316) < 300e6
