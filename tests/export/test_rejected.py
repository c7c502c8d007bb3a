"""What cannot be exported is rejected by name, before a file is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyrnn import Input, Model, Sequential, layers, ops
from pyrnn.export import to_c


def chain(*parts: Any) -> Sequential:
    """Return a model of sequences (5, 3)."""
    return Sequential([Input(shape=(5, 3)), *parts])


class Doubled(layers.Layer):
    """A custom layer."""

    per_step = True

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return 2 * x


class Custom(Sequential):
    """A model of a user's class."""


def with_initial_state() -> Model:
    x = Input(shape=(5, 3))
    _, h = layers.GRU(4, return_state=True)(x)
    return Model(x, layers.GRU(4)(x, initial_state=h))


def of_operations() -> Model:
    x = Input(shape=(5, 3))
    return Model(x, ops.sin(layers.LSTM(2)(x)))


def trained_dropout() -> Model:
    x = Input(shape=(5, 3))
    return Model(x, layers.Dropout(0.5)(layers.LSTM(2)(x), training=True))


def steps_and_a_sequence() -> Model:
    x = Input(shape=(5, 3))
    repeated = layers.RepeatVector(1)(layers.LSTM(3)(x))
    return Model(x, layers.Add()([x, repeated]))


# Each with a part of the message.
STREAMS: dict[str, tuple[Callable[[], Any], str]] = {
    "bidirectional": (lambda: chain(layers.Bidirectional(layers.LSTM(2), name="bi")), "layer 'bi'"),
    "backwards": (lambda: chain(layers.LSTM(2, go_backwards=True, name="rnn")), "layer 'rnn'.*backwards"),
    "pooling": (lambda: chain(layers.MaxPooling1D(2, name="pool")), "layer 'pool'.*pass stream=False"),
    "convolution": (lambda: chain(layers.Conv1D(2, 3, name="conv")), "layer 'conv'.*causal"),
    "flatten": (lambda: chain(layers.Flatten(name="flat")), "layer 'flat'"),
    "no time": (lambda: Sequential([Input(shape=(3,)), layers.Dense(2)]), "time axis.*pass stream=False"),
    "initial state": (with_initial_state, "initial_state, and a stream keeps its states"),
    "steps and a sequence": (steps_and_a_sequence, "merges steps with a whole sequence"),
    "along time": (
        lambda: chain(layers.Masking(), layers.Softmax(axis=1, name="soft"), layers.LSTM(2)),
        "layer 'soft'",
    ),
}
SEQUENCES: dict[str, tuple[Callable[[], Any], str]] = {
    "attention": (
        lambda: Model(x := Input(shape=(5, 3)), layers.Attention(name="att")([x, x])),
        r"layer 'att' \(Attention\) cannot be exported to C",
    ),
    "lambda": (lambda: chain(layers.Lambda(lambda x: x + 1, name="plus")), r"layer 'plus' \(Lambda\)"),
    "custom layer": (lambda: chain(Doubled(name="twice")), r"layer 'twice' \(Doubled\)"),
    "custom model": (lambda: Custom([Input(shape=(5, 3)), layers.LSTM(2)]), "class Custom is custom"),
    "function": (lambda: chain(layers.Dense(2, lambda x: x * x, name="square")), "layer 'square'.*function of Python"),
    "function in a cell": (lambda: chain(layers.LSTM(2, lambda x: x, name="rnn")), "layer 'rnn'.*function of Python"),
    "operations": (of_operations, "cannot be exported to C"),
    "training": (trained_dropout, "called with training=True"),
    "stateful": (
        lambda: Sequential([Input(batch_shape=(1, 5, 3)), layers.LSTM(2, stateful=True, name="rnn")]),
        "layer 'rnn'.*stateful.*pass stream=True",
    ),
    "open steps": (lambda: Sequential([Input(shape=(None, 3)), layers.LSTM(2)]), "pass steps"),
    "masked maximum": (
        lambda: Model(
            x := Input(shape=(5, 3)),
            layers.Maximum(name="most")([layers.Masking()(x), layers.Masking(1.0)(x)]),
        ),
        "layer 'most'.*a mask reaches it",
    ),
    "not built": (lambda: Sequential([layers.LSTM(2)]), "must be built"),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str, tmp_path: Path) -> None:
    make, message = STREAMS[name]
    with pytest.raises(ValueError, match=message):
        to_c(make(), tmp_path / "folder", name="m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, tmp_path: Path) -> None:
    make, message = SEQUENCES[name]
    with pytest.raises(ValueError, match=message):
        to_c(make(), tmp_path / "folder", name="m", stream=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["int", "1st", "a b", "_x", "über"])
def test_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name must begin a function of C"):
        to_c(chain(layers.LSTM(2)), tmp_path, name=name)


def test_arguments_that_do_not_go_together(tmp_path: Path) -> None:
    model = chain(layers.LSTM(2))
    with pytest.raises(ValueError, match="name must be that of the file, 'a'"):
        to_c(model, tmp_path / "a.c", name="b")
    with pytest.raises(ValueError, match="steps is for whole sequences"):
        to_c(model, tmp_path, steps=5)
    with pytest.raises(ValueError, match="steps must be that of the model, 5"):
        to_c(model, tmp_path, stream=False, steps=6)
    assert not list(tmp_path.iterdir())
