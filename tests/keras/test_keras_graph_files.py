"""Files of functional and nested models, written by Keras and read here, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 10, 3)).astype("float32")
IDS = RNG.integers(0, 5, size=(4, 10)).astype("float32")
TERMS = 400


def chain(k: Any) -> Any:
    x = k.Input((10, 3))
    return k.Model(x, k.layers.Dense(1)(k.layers.LSTM(4)(x)))


def shared(k: Any) -> Any:
    x, dense = k.Input((10, 3)), k.layers.Dense(3, activation="tanh")
    gru = k.layers.GRU(3, return_sequences=True)
    return k.Model(x, k.layers.Dense(1)(k.layers.Flatten()(gru(dense(gru(dense(x)))))))


def states(k: Any) -> Any:
    x = k.Input((10, 3))
    _, *state = k.layers.LSTM(4, return_state=True)(x)
    y = k.layers.LSTM(4, return_sequences=True)(x, initial_state=state)
    return k.Model(x, k.layers.TimeDistributed(k.layers.Dense(1))(y))


def branches(k: Any) -> Any:
    x = k.Input((10, 3))
    features = k.layers.Dense(4)(x)
    state = k.layers.GRU(5)(features)
    return k.Model(x, k.layers.Dense(1)(k.layers.GRU(5)(k.layers.Dense(2)(features), initial_state=state)))


def nested(k: Any) -> Any:
    x, first = k.Input((10, 3)), k.Input((10, 3))
    inner = k.Model(first, k.layers.BatchNormalization()(k.layers.Dense(3)(first)))
    tail = k.Sequential([k.layers.SimpleRNN(4), k.layers.Dense(1)])
    return k.Model(x, tail(inner(inner(x))))


def nested_at_the_end(k: Any) -> Any:
    x, first = k.Input((10, 3)), k.Input((10, 3))
    inner = k.Model(first, k.layers.Bidirectional(k.layers.GRU(3))(first))
    return k.Model(x, inner(k.layers.Dense(3)(x)))


def deep(k: Any) -> Any:
    x = k.Input((10, 3))
    stack = k.Sequential([k.layers.Dense(4), k.Sequential([k.layers.GRU(3, return_sequences=True), k.layers.Dense(2)])])
    step = k.Sequential([k.Input((2,)), k.layers.Dense(2)])
    return k.Model(x, k.layers.TimeDistributed(step)(stack(x)))


def residual(k: Any) -> Any:
    x = k.Input((10, 3))
    y = k.layers.Dense(4)(x)
    for _ in range(2):
        y = k.layers.Add()([y, k.layers.Conv1D(4, 3, padding="same", activation="relu")(y)])
    return k.Model(x, k.layers.Dense(1)(k.layers.GlobalAveragePooling1D()(y)))


def merged(k: Any) -> Any:
    x = k.Input((10, 3))
    left, right = k.layers.GRU(4)(x), k.layers.LSTM(4)(x)
    joined = k.layers.Concatenate()([k.layers.Multiply()([left, right]), left])
    return k.Model(x, k.layers.Dense(1)(k.layers.Average()([joined, joined])))


def masked(k: Any) -> Any:
    x = k.Input((10,))
    y = k.layers.Embedding(5, 4, mask_zero=True)(x)
    y = k.layers.LSTM(3, return_sequences=True)(y)
    return k.Model(x, k.layers.Dense(1)(k.layers.Bidirectional(k.layers.GRU(3))(y)))


def padded(k: Any) -> Any:
    x = k.Input((10, 3))
    y = k.layers.Masking(0.5)(x)
    # With a name, as Keras may give the operation that joins the masks the automatic name of the layer.
    y = k.layers.Concatenate(name="joined")([y, k.layers.Dense(2)(y)])
    return k.Model([x], [k.layers.Dense(1)(k.layers.GRU(3)(y))])


def translator(k: Any) -> Any:
    """Two inputs, two outputs; the decoder starts from the states of the encoder."""
    x, previous = k.Input((10, 3)), k.Input((5, 2))
    _, *state = k.layers.LSTM(4, return_state=True)(x)
    y = k.layers.LSTM(4, return_sequences=True)(previous, initial_state=state)
    return k.Model([x, previous], [k.layers.Dense(1)(y), state[0]])


def named(k: Any) -> Any:
    """Dicts of inputs and outputs."""
    series, static = k.Input((10, 3), name="series"), k.Input((4,), name="static")
    y = k.layers.Concatenate()([k.layers.GRU(4)(series), k.layers.Dense(2)(static)])
    outputs = {"one": k.layers.Dense(1)(y), "two": k.layers.Dense(2)(y)}
    return k.Model({"series": series, "static": static}, outputs)


def attention(k: Any) -> Any:
    x = k.Input((10, 3))
    y = k.layers.GRU(4, return_sequences=True)(x)
    return k.Model(x, k.layers.Attention()([k.layers.MultiHeadAttention(2, 3)(y, y, use_causal_mask=True), y]))


MAKERS: dict[str, Callable[[Any], Any]] = {
    make.__name__: make
    for make in (
        chain, shared, states, branches, nested, nested_at_the_end, deep, residual, merged, masked, padded, translator,
        named, attention,
    )
}  # fmt: skip
INPUTS: dict[str, Any] = {
    "masked": IDS,
    "translator": [X, X[:, :5, :2]],
    "named": {"series": X, "static": X[:, :4, 0]},
}


def outputs(model: Any, name: str) -> list[Any]:
    values = model.predict(INPUTS.get(name, X), verbose=0)
    return list(values.values()) if isinstance(values, dict) else values if isinstance(values, list) else [values]


def assert_same_outputs(theirs: Any, ours: Any, name: str) -> None:
    for mine, value in zip(outputs(ours, name), outputs(theirs, name), strict=True):
        assert_close(mine, value, TERMS, "output")


def pair(name: str) -> tuple[Any, Any]:
    return MAKERS[name](keras), MAKERS[name](pyrnn)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MAKERS)
def test_models_both_ways(name: str, ending: str, tmp_path: Path) -> None:
    theirs, ours = pair(name)
    theirs.save(tmp_path / f"theirs.{ending}")
    ours.save(tmp_path / f"ours.{ending}")
    assert_same_outputs(theirs, pyrnn.load_model(tmp_path / f"theirs.{ending}"), name)
    assert_same_outputs(keras.models.load_model(tmp_path / f"ours.{ending}"), ours, name)


@pytest.mark.parametrize("name", MAKERS)
def test_weights_both_ways(name: str, tmp_path: Path) -> None:
    theirs, ours = pair(name)
    fresh_theirs, fresh_ours = pair(name)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.save_weights(tmp_path / "ours.weights.h5")
    fresh_ours.load_weights(tmp_path / "theirs.weights.h5")
    fresh_theirs.load_weights(tmp_path / "ours.weights.h5")
    assert_same_outputs(theirs, fresh_ours, name)
    assert_same_outputs(fresh_theirs, ours, name)


@pytest.mark.parametrize("name", MAKERS)
def test_weights_are_in_the_order_of_keras(name: str) -> None:
    theirs, ours = pair(name)
    ours.set_weights(theirs.get_weights())
    assert_same_outputs(theirs, ours, name)


@pytest.mark.parametrize("name", MAKERS)
def test_json_both_ways(name: str) -> None:
    theirs, ours = pair(name)
    by_us = pyrnn.models.model_from_json(theirs.to_json())
    by_us.set_weights(theirs.get_weights())
    by_keras = keras.models.model_from_json(ours.to_json())
    by_keras.set_weights(ours.get_weights())
    assert_same_outputs(theirs, by_us, name)
    assert_same_outputs(by_keras, ours, name)


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("masked", "padded")])
def test_configs_are_those_of_keras(name: str) -> None:
    """All but `None` and False in calls, and what describes single layers, which other tests compare."""

    def graph(config: Any) -> Any:
        entries = [
            (
                entry["name"], entry["class_name"], entry["module"], entry["registered_name"],
                [
                    (node["args"], {key: each for key, each in node["kwargs"].items() if each})
                    for node in entry["inbound_nodes"]
                ],
                graph(entry["config"]) if entry["class_name"] == "Functional" else None,
            )
            for entry in config["layers"]
        ]  # fmt: skip
        return [entries, config["input_layers"], config["output_layers"], config["name"], config["trainable"]]

    theirs = MAKERS[name](keras)
    config = json.loads(json.dumps(theirs.get_config()))
    ours = pyrnn.models.model_from_json(theirs.to_json())
    assert graph(json.loads(json.dumps(ours.get_config()))) == graph(config)


def test_optimizers_continue(tmp_path: Path) -> None:
    theirs, _ = pair("nested")
    theirs.compile("adam", "mse")
    y = np.ones((4, 1), "float32")
    theirs.fit(X, y, verbose=0)
    theirs.save(tmp_path / "m.keras")
    ours = pyrnn.load_model(tmp_path / "m.keras")
    losses = [[float(np.asarray(model.train_on_batch(X, y))) for _ in range(3)] for model in (theirs, ours)]
    assert_close(np.float32(losses[1]), np.float32(losses[0]), TERMS, "loss")
    ours.save(tmp_path / "back.keras")
    back = keras.models.load_model(tmp_path / "back.keras")
    losses = [[float(np.asarray(model.train_on_batch(X, y))) for _ in range(3)] for model in (back, ours)]
    assert_close(np.float32(losses[1]), np.float32(losses[0]), TERMS, "loss")


@pytest.mark.parametrize(
    "options", [{}, {"expand_nested": True}, {"expand_nested": True, "show_trainable": True, "line_length": 100}]
)
@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("masked", "padded")])
def test_summaries_are_those_of_keras(name: str, options: dict[str, Any]) -> None:
    theirs = MAKERS[name](keras)
    ours = pyrnn.models.model_from_json(theirs.to_json())
    texts: list[str] = []
    theirs.summary(print_fn=lambda text, **_: texts.append(text), **options)
    ours.summary(print_fn=texts.append, **options)
    assert texts[0] == texts[1]
