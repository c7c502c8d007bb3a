"""What walks the layers of a graph: summaries, plots, streams, states and `get_layer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Input, Model, Sequential, layers, utils

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")


def branches() -> Any:
    x = Input((6, 3), name="x")
    inner = Sequential([layers.Dense(4, name="wide"), layers.Dense(3, name="narrow")], name="inner")
    y = layers.Add(name="sum")([x, inner(x)])
    return Model(x, layers.GRU(2, name="end")(y), name="whole")


def lines(model: Any, **options: Any) -> list[str]:
    texts: list[str] = []
    model.summary(print_fn=texts.append, line_length=76, **options)
    return texts[0].splitlines()


def test_summary_shows_connections() -> None:
    text = "\n".join(lines(branches()))
    assert "Connected to" in text and "x[0][0]," in text and "inner[0][0]" in text and "wide" not in text
    expanded = lines(branches(), expand_nested=True)
    assert any("└ wide (Dense)" in line and "(None, 6, 4)" in line for line in expanded)
    part = "\n".join(lines(branches(), layer_range=["inner", "sum"]))
    assert "inner" in part and "end (GRU)" not in part
    x = Input((6, 3))
    assert "Connected to" not in "\n".join(lines(Model(x, layers.Dense(2)(layers.Dense(3)(x)))))


def test_a_model_that_starts_at_an_inner_symbol_shows_an_input_layer() -> None:
    from pyrnn.summary import _levels

    hidden = layers.Dense(4, name="hidden")(Input((3,)))
    model = Model(hidden, layers.Add(name="sum")([layers.Dense(4, name="next")(hidden), hidden]))
    names = [layer.name for layer in model.operations]
    assert names == ["hidden_input", "next", "sum"] == [layer.name for layer in model.layers]
    text = "\n".join(lines(model))
    assert "hidden_input[0]" in text and "hidden[0]" not in text
    levels, arrows = _levels(model)
    assert levels == [0, 1, 2] and sorted(arrows) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_plot(rankdir: str, tmp_path: Path) -> None:
    path = tmp_path / "model.svg"
    utils.plot_model(
        branches(), path, rankdir=rankdir, show_shapes=True, show_layer_names=True, expand_nested=True, show_dtype=True
    )
    assert path.stat().st_size > 1000


def test_plot_has_an_arrow_for_each_connection() -> None:
    from pyrnn.summary import _levels

    model = branches()
    names = [layer.name for layer in model.layers]
    levels, arrows = _levels(model)
    assert sorted((names[start], names[end]) for start, end in arrows) == [
        ("inner", "sum"), ("sum", "end"), ("x", "inner"), ("x", "sum"),
    ]  # fmt: skip
    assert dict(zip(names, levels, strict=True)) == {"x": 0, "inner": 1, "sum": 2, "end": 3}


def test_chains_can_be_streamed() -> None:
    x = Input((6, 3))
    inner = Sequential([layers.Dense(4), layers.GRU(3, return_sequences=True)])
    model = Model(x, layers.Dense(1)(layers.LSTM(2)(inner(x))))
    stream = model.stream(batch_size=2)
    outputs = [stream.step(X[:, step]) for step in range(6)]
    np.testing.assert_allclose(outputs[-1], model(X), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="'whole' cannot run one time step at a time: its layers are not a chain"):
        branches().stream()
    states = Model(x, layers.LSTM(2, return_state=True)(x)[1])
    with pytest.raises(ValueError, match="its layers are not a chain"):
        states.stream()


def test_states_of_nested_models() -> None:
    x = Input(batch_shape=(2, 6, 3))
    inner = Sequential([layers.GRU(3, stateful=True, return_sequences=True)])
    model = Model(x, layers.LSTM(2, stateful=True)(inner(x)))
    first = model(X)
    assert not np.array_equal(model(X), first)
    model.reset_states()
    np.testing.assert_array_equal(model(X), first)
    model.reset_states([np.ones((2, 3)), [np.ones((2, 2)), np.zeros((2, 2))]])
    np.testing.assert_array_equal(inner.layers[0].states[0], np.ones((2, 3)))
    with pytest.raises(ValueError, match="states must be a list of 2"):
        model.reset_states([np.ones((2, 3))])


def test_layers_by_name_and_index() -> None:
    model = branches()
    assert model.get_layer("x") is model.layers[0] is model.get_layer(index=0)
    assert model.get_layer(index=-1).name == "end"
    with pytest.raises(ValueError, match="index must be from -4 to 3"):
        model.get_layer(index=4)
