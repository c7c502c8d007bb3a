"""Subclasses of Model with `call`, next to the same classes derived from Keras's Model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import pyrnn

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(8, 5, 3)).astype(np.float32)
STATIC = RANDOM.normal(size=(8, 2)).astype(np.float32)
IDS = RANDOM.integers(0, 6, (8, 5)).astype(np.int32)
ONE, TWO = RANDOM.normal(size=(8, 1)).astype(np.float32), RANDOM.normal(size=(8, 2)).astype(np.float32)
STEPS = RANDOM.normal(size=(8, 5, 2)).astype(np.float32)

Data = tuple[Any, Any, dict[str, Any]]


def plain(k: Any) -> Any:
    class Plain(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = k.layers.LSTM(4)
            self.dense = k.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(self.lstm(inputs))

    return Plain()


def training_and_mask(k: Any) -> Any:
    class Tagger(k.Model):  # type: ignore[misc]
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.embedding = k.layers.Embedding(6, 3, mask_zero=True)
            self.rnn = k.layers.GRU(units, return_sequences=True)
            self.dropout = k.layers.Dropout(0.0)
            self.out = k.layers.Dense(2)

        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            x = self.embedding(inputs)
            x = self.rnn(x, mask=self.embedding.compute_mask(inputs))
            return self.out(self.dropout(x, training=training))

    return Tagger(4, name="tagger")


def two_inputs(k: Any) -> Any:
    class TwoInputs(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = k.layers.SimpleRNN(4)
            self.blocks = [k.layers.Dense(3, activation="relu") for _ in range(2)]
            self.join = k.layers.Concatenate()
            self.out = k.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            series, static = inputs
            for block in self.blocks:
                static = block(static) if block is self.blocks[0] else block(static) + static
            return self.out(self.join([self.rnn(series), static]))

    return TwoInputs()


def dict_of_inputs_and_outputs(k: Any) -> Any:
    class Dicts(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = k.layers.LSTM(3)
            self.p = k.layers.Dense(1)
            self.q = k.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            h = self.rnn(inputs["series"]) * k.ops.sum(inputs["static"], axis=-1, keepdims=True)
            return {"p": self.p(h), "q": self.q(h)}

    return Dicts()


def list_of_outputs(k: Any) -> Any:
    class Lists(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = k.layers.LSTM(3, return_sequences=True, return_state=True)
            self.p = k.layers.Dense(1)
            self.q = k.layers.Dense(2)

        def call(self, x: Any) -> Any:
            y, h, c = self.rnn(x)
            return [self.p(h + c), self.q(k.ops.mean(y, axis=1))]

    return Lists()


def own_weights(k: Any) -> Any:
    class Own(k.Model):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.shift = self.add_weight(shape=(1,), initializer="zeros", name="shift", trainable=False)
            self.rnn = k.layers.GRU(2)
            self.dense = k.layers.Dense(1)
            self.built = True

        def call(self, x: Any) -> Any:
            return self.dense(self.rnn(x * self.scale + self.shift))

    return Own()


def nested(k: Any) -> Any:
    class Encoder(k.layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.rnn = k.layers.LSTM(units, return_state=True)

        def call(self, x: Any) -> Any:
            _, h, c = self.rnn(x)
            return h, c

    class Decoder(k.Model):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.rnn = k.layers.LSTM(units, return_sequences=True)
            self.head = k.Sequential([k.layers.Dense(3, activation="tanh"), k.layers.Dense(2)])

        def call(self, x: Any, states: Any) -> Any:
            return self.head(self.rnn(x, initial_state=list(states)))

    class Translator(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = Encoder(3)
            self.decoder = Decoder(3)

        def call(self, inputs: Any) -> Any:
            source, target = inputs
            return self.decoder(target, self.encoder(source))

    return Translator()


def feedback(k: Any) -> Any:
    """A forecaster that feeds its output back, as in TensorFlow's tutorial on time series."""

    class FeedBack(k.Model):  # type: ignore[misc]
        def __init__(self, units: int, out_steps: int) -> None:
            super().__init__()
            self.out_steps = out_steps
            self.cell = k.layers.LSTMCell(units)
            self.rnn = k.layers.RNN(self.cell, return_state=True)
            self.dense = k.layers.Dense(3)

        def warmup(self, inputs: Any) -> Any:
            x, *state = self.rnn(inputs)
            return self.dense(x), state

        def call(self, inputs: Any, training: Any = None) -> Any:
            predictions = []
            prediction, state = self.warmup(inputs)
            predictions.append(prediction)
            for _ in range(1, self.out_steps):
                x, state = self.cell(prediction, state, training=training)
                prediction = self.dense(x)
                predictions.append(prediction)
            return k.ops.transpose(k.ops.stack(predictions), [1, 0, 2])

    return FeedBack(4, 3)


def attention(k: Any) -> Any:
    class Attend(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = k.layers.GRU(4, return_sequences=True)
            self.attention = k.layers.MultiHeadAttention(2, 3)
            self.norm = k.layers.LayerNormalization()
            self.pool = k.layers.GlobalAveragePooling1D()
            self.out = k.layers.Dense(1)

        def call(self, x: Any) -> Any:
            h = self.rnn(x)
            return self.out(self.pool(self.norm(h + self.attention(h, h))))

    return Attend()


def penalties(k: Any) -> Any:
    class Penalised(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = k.layers.GRU(3, activity_regularizer=k.regularizers.L2(0.1))
            self.dense = k.layers.Dense(1, kernel_regularizer=k.regularizers.L1(0.01))

        def call(self, x: Any) -> Any:
            h = self.rnn(x)
            self.add_loss(0.7 * k.ops.mean(h * h))
            return self.dense(h)

    return Penalised()


def containers(k: Any) -> Any:
    class Containers(k.Model):  # type: ignore[misc]
        """Layers in nested lists, tuples and dicts, and a loss of `call`."""

        def __init__(self) -> None:
            super().__init__()
            self.blocks = [[k.layers.Dense(3), k.layers.Dense(3)], {"a": k.layers.Dense(3)}]
            self.tail = (k.layers.GRU(3), [k.layers.Dense(1)])

        def call(self, x: Any) -> Any:
            for layer in (*self.blocks[0], self.blocks[1]["a"], self.tail[0], *self.tail[1]):
                x = layer(x)
            self.add_loss(0.5 * k.ops.mean(x * x))
            return x

    return Containers()


def named(values: Any) -> list[Any]:
    return list(values.values()) if isinstance(values, dict) else list(values) if isinstance(values, list) else [values]


CASES: dict[str, tuple[Callable[[Any], Any], Any, Any, dict[str, Any]]] = {
    "plain": (plain, X, ONE, {"loss": "mse", "metrics": ["mae"]}),
    "training and mask": (training_and_mask, IDS, STEPS, {"loss": "mse", "metrics": ["mae"]}),
    "two inputs": (two_inputs, [X, STATIC], ONE, {"loss": "mae"}),
    "dicts": (
        dict_of_inputs_and_outputs, {"series": X, "static": STATIC}, {"p": ONE, "q": TWO},
        {"loss": {"p": "mse", "q": "mae"}, "metrics": {"p": ["mae"], "q": ["mse"]}, "loss_weights": {"p": 2, "q": 1}},
    ),
    "lists": (list_of_outputs, X, [ONE, TWO], {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}),
    "lists with one loss": (list_of_outputs, X, [ONE, TWO], {"loss": "mse"}),
    "own weights": (own_weights, X, ONE, {"loss": "mse"}),
    "nested": (nested, [X, X[:, ::-1].copy()], STEPS, {"loss": "mse"}),
    "feedback": (feedback, X, X[:, :3], {"loss": "mse"}),
    "attention": (attention, X, ONE, {"loss": "mse"}),
    "penalties": (penalties, X, ONE, {"loss": "mse"}),
    "containers": (containers, X, ONE, {}),
}  # fmt: skip


def pair(name: str) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    make, x, y, compiled = CASES[name]
    theirs, ours = make(keras), make(pyrnn)
    theirs(x), ours(x)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    return theirs, ours, x, y, compiled


def close(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs) or not isinstance(theirs, dict | list)
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
    for mine, other in zip(named(ours), named(theirs), strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_outputs_histories_and_weights_are_those_of_keras(name: str) -> None:
    theirs, ours, x, y, compiled = pair(name)
    close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0))
    histories = []
    for k, model in ((keras, theirs), (pyrnn, ours)):
        model.compile(k.optimizers.SGD(0.05), **compiled)
        histories.append(model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history)
    # Of two losses with the same name Keras logs the last one only.
    assert [key for key in histories[1] if "_1_" not in key] == list(histories[0])
    for key, values in histories[0].items():
        if f"{key[:3]}_1_loss" in histories[1]:
            continue
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-4, atol=1e-5, err_msg=key)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    evaluated = ours.evaluate(x, y, verbose=0, return_dict=True)
    expected = theirs.evaluate(x, y, verbose=0, return_dict=True)
    assert {key for key in evaluated if "_1_" not in key} == expected.keys()
    for key, value in expected.items():
        if f"{key[:3]}_1_loss" in evaluated:
            continue
        np.testing.assert_allclose(evaluated[key], value, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_weights_files_are_exchanged(name: str, tmp_path: Any) -> None:
    theirs, ours, x, _, _ = pair(name)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    expected = ours.predict(x, verbose=0)
    ours.set_weights([weight * 0 for weight in ours.get_weights()])
    ours.load_weights(tmp_path / "theirs.weights.h5")
    close(ours.predict(x, verbose=0), expected)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    close(expected, theirs.predict(x, verbose=0))


@pytest.mark.parametrize("name", CASES)
def test_names_and_layers_are_those_of_keras(name: str) -> None:
    theirs, ours, *_ = pair(name)
    assert [type(layer).__name__ for layer in ours.layers] == [type(layer).__name__ for layer in theirs.layers]
    assert ours.count_params() == theirs.count_params()
    assert [w.name for w in ours.trainable_weights] == [w.name for w in theirs.trainable_weights]


def holding(k: Any) -> Any:
    class Holding(k.Model):  # type: ignore[misc]
        def __init__(self, units: int = 3) -> None:
            super().__init__()
            self.dense = k.layers.Dense(units)
            self.tail = k.layers.Dense(2)

        def build(self, input_shape: Any) -> None:
            self.dense.build(input_shape)
            self.tail.build((None, self.dense.units))
            super().build(input_shape)

    return Holding


def test_a_class_without_call(tmp_path: Any) -> None:
    theirs, ours = holding(keras)(), holding(pyrnn)()
    assert ours.name == theirs.name == "holding"
    assert [layer.built for layer in ours.layers] == [layer.built for layer in theirs.layers] == [False, False]
    for model in (theirs, ours):
        model.build((None, 2))
        assert model.built and model.count_params() == 17
        with pytest.raises(NotImplementedError):
            model(STATIC)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    before = ours.get_weights()
    ours.set_weights([weight + 1 for weight in before])
    ours.load_weights(tmp_path / "theirs.weights.h5")
    for mine, other, value in zip(ours.get_weights(), theirs.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, value)
        np.testing.assert_array_equal(np.asarray(other), value)


def test_a_bare_model_in_a_file(tmp_path: Any) -> None:
    keras.Model(name="bare").save(tmp_path / "theirs.keras")
    pyrnn.Model(name="bare").save(tmp_path / "ours.keras")
    for k, path in ((keras, "ours.keras"), (pyrnn, "theirs.keras")):
        assert k.models.load_model(tmp_path / path).name == "bare"
    ours, theirs = pyrnn.Model(name="bare").get_config(), keras.Model(name="bare").get_config()
    assert ours == theirs
