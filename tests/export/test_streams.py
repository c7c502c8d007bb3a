"""A stream in C over a long time: it equals the whole sequence and Python's stream, and states are independent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tolerance import assert_close

from export.compiled import Exported, library, needs_compiler
from pyrnn import Input, Model, Sequential, layers
from pyrnn.export import to_c

pytestmark = needs_compiler

STEPS = 4000


def test_thousands_of_steps(tmp_path: Path) -> None:
    """The last outputs of a stream, of its steps in parts, and after a reset."""
    model = Sequential(
        [
            Input(shape=(None, 3)),
            layers.Masking(9.0),
            layers.LSTM(20, return_sequences=True),
            layers.GRU(17, return_sequences=True),
            layers.SimpleRNN(5, return_sequences=True),
            layers.Dense(2),
        ]
    )
    to_c(model, tmp_path, name="m")
    exported = Exported(tmp_path, "m", library(tmp_path))
    x = np.random.default_rng(0).standard_normal((STEPS, 3)).astype(np.float32)
    x[::7] = 9.0
    expected = model.predict(x[None], verbose=0)[0]
    exported.init()
    (y,) = exported.run(x, sizes=[2 * STEPS], steps=STEPS)
    assert_close(y.reshape(STEPS, 2), expected, 40 * 64, "a run")
    exported.reset()
    pieces = [exported.run(part, sizes=[2 * len(part)], steps=len(part))[0] for part in np.array_split(x, 7)]
    assert (np.concatenate(pieces) == y).all()
    stream = model.stream()
    exported.reset()
    for row in x[:200]:
        (y,) = exported.step(np.ascontiguousarray(row), sizes=[2])
        assert_close(y, stream.step(row)[0], 40 * 64, "a step")


def test_states_are_independent(tmp_path: Path) -> None:
    model = Sequential([Input(shape=(None, 2)), layers.Conv1D(4, 3, padding="causal"), layers.GRU(6), layers.Dense(1)])
    to_c(model, tmp_path, name="m")
    shared = library(tmp_path)
    streams = [Exported(tmp_path, "m", shared) for _ in range(2)]
    x = np.random.default_rng(1).standard_normal((2, 25, 2)).astype(np.float32)
    for stream in streams:
        stream.init()
    for t in range(25):
        steps = [stream.step(x[number, t], sizes=[1])[0] for number, stream in enumerate(streams)]
    assert_close(np.array(steps), model.predict(x, verbose=0), 8 * 25)


def test_stateful_layers_stream_as_in_python(tmp_path: Path) -> None:
    model = Sequential([Input(batch_shape=(1, 5, 2)), layers.LSTM(4, stateful=True), layers.Dense(1)])
    paths = to_c(model, tmp_path, name="m")
    exported, stream = Exported(tmp_path, "m", library(tmp_path)), model.stream()
    exported.init()
    for row in np.random.default_rng(2).standard_normal((30, 2)).astype(np.float32):
        (y,) = exported.step(row, sizes=[1])
        assert_close(y, stream.step(row)[0], 30 * 6)
    assert "expected_y[1]" in Path(paths[2]).read_text()


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """A sequence of ids, a sequence of numbers and numbers that do not change; outputs of each step and of the last."""
    ids, numbers, fixed = Input(shape=(6,), dtype="int32"), Input(shape=(6, 2)), Input(shape=(3,))
    joined = layers.Concatenate()([layers.Embedding(9, 4)(ids), numbers])
    each = layers.GRU(5, return_sequences=True)(layers.Add()([layers.Dense(3)(joined), fixed]))
    last = layers.Multiply()([layers.LSTM(3)(each), fixed])
    model = Model([ids, numbers, fixed], [each, last])
    generator = np.random.default_rng(3)
    x = [
        generator.integers(0, 9, 6).astype(np.intc),
        generator.standard_normal((6, 2)).astype(np.float32),
        generator.standard_normal(3).astype(np.float32),
    ]
    expected = [each[0] for each in model.predict([each[None] for each in x], verbose=0)]
    to_c(model, tmp_path, name="steps")
    to_c(model, tmp_path, name="whole", stream=False)
    shared = library(tmp_path)
    steps, whole = Exported(tmp_path, "steps", shared), Exported(tmp_path, "whole", shared)
    steps.init()
    results = steps.run(*x, sizes=[30, 3], steps=6)
    for result, also, y in zip(results, whole.run(*x, sizes=[30, 3]), expected, strict=True):
        assert_close(result.reshape(y.shape), y, 6 * 12)
        assert_close(also.reshape(y.shape), y, 6 * 12)


def test_encoder_and_decoder(tmp_path: Path) -> None:
    """States as outputs and inputs, in whole sequences."""
    x, z = Input(shape=(7, 2)), Input(shape=(4, 3))
    _, h, c = layers.LSTM(5, return_state=True)(x)
    y = layers.Dense(2)(layers.LSTM(5, return_sequences=True)(z, initial_state=[h, c]))
    model = Model([x, z], y)
    generator = np.random.default_rng(4)
    inputs = [generator.standard_normal(shape).astype(np.float32) for shape in ((7, 2), (4, 3))]
    to_c(model, tmp_path, name="m", stream=False)
    (result,) = Exported(tmp_path, "m", library(tmp_path)).run(*inputs, sizes=[8])
    assert_close(result.reshape(4, 2), model.predict([each[None] for each in inputs], verbose=0)[0], 11 * 8)


def test_an_id_out_of_range_counts_as_zero(tmp_path: Path) -> None:
    model = Sequential([Input(shape=(None,), dtype="int32"), layers.Embedding(5, 3), layers.GRU(2)])
    to_c(model, tmp_path, name="m")
    exported = Exported(tmp_path, "m", library(tmp_path))
    results = []
    for number in (0, -1, 5, 2**31 - 1):
        exported.init()
        results.append(exported.step(np.array([number], np.intc), sizes=[2])[0].tolist())
    assert results == [results[0]] * 4
