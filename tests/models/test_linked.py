"""A training step in one call of the core gives the bits of one layer after another, and is used only where it may."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import Model, Sequential, backend, layers, regularizers
from pyrnn.linked import Linked

T, F = 6, 3


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each attempt at a step in one call was one."""
    taken: list[bool] = []
    run = Linked.squared_error

    def counted(linked: Linked, x: Any, y: Any) -> Any:
        result = run(linked, x, y)
        taken.append(result is not None)
        return result

    monkeypatch.setattr(Linked, "squared_error", counted)
    return taken


def both(run: Callable[[], list[Any]], steps: list[bool]) -> int:
    """Run with and without the one call; the bits must be the same. Returns how often it was used."""
    pyrnn.utils.set_random_seed(1)
    fast = run()
    count = sum(steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Linked, "squared_error", lambda *_: None)
        pyrnn.utils.set_random_seed(1)
        slow = run()
    assert len(fast) == len(slow)
    for first, second in zip(fast, slow, strict=True):
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes()
    return count


def data(outputs: tuple[int, ...] = (1,), rows: int = 20, dtype: str = "float32") -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, T, F)).astype(dtype), rng.normal(size=(rows, *outputs)).astype(dtype)


def trained(model: Any, *batches: Any, count: int = 4, optimizer: Any = "adam", metrics: Any = None) -> list[Any]:
    """Losses, weights and variables of the optimizer after some steps."""
    if not model.compiled:
        model.compile(optimizer, "mse", metrics=metrics)
    losses = [model.train_on_batch(*batch) for _ in range(count) for batch in batches]
    return [*losses, *model.get_weights(), *model.optimizer.variables]


STACKS: dict[str, Callable[[], list[Any]]] = {
    "simple_rnn": lambda: [layers.SimpleRNN(4), layers.Dense(1)],
    "lstm": lambda: [layers.LSTM(17, recurrent_activation="hard_sigmoid", use_bias=False), layers.Dense(1)],
    "gru": lambda: [layers.GRU(5, reset_after=False, go_backwards=True), layers.Dense(4, "gelu"), layers.Dense(1)],
    "stack": lambda: [
        layers.LSTM(4, return_sequences=True), layers.Dense(8, "relu", use_bias=False),
        layers.GRU(8, return_sequences=True), layers.SimpleRNN(5), layers.Dense(1),
    ],
    "penalties": lambda: [
        layers.GRU(4, kernel_regularizer="l2", recurrent_regularizer=regularizers.L1(0.1)),
        layers.Dense(1, kernel_constraint="non_neg", bias_regularizer="l1"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adamw", "nadam"])
@pytest.mark.parametrize("name", STACKS)
def test_same_bits(name: str, optimizer: str, steps: list[bool]) -> None:
    def run() -> list[Any]:
        model = Sequential([layers.Input((T, F)), *STACKS[name]()])
        return trained(model, data(), optimizer=optimizer, metrics=["mae"])

    assert both(run, steps) == 3, "all but the first, which resolves the metrics"


@pytest.mark.parametrize("name", STACKS)
def test_same_bits_of_fit(name: str, steps: list[bool]) -> None:
    def run() -> list[Any]:
        inputs = symbol = layers.Input((T, F))
        for layer in STACKS[name]():
            symbol = layer(symbol)
        model = Model(inputs, symbol)
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(*data(rows=50), batch_size=16, epochs=2, validation_split=0.2, verbose=0)
        return [*history.history.values(), *model.get_weights()]

    assert both(run, steps) == 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_and_sequences(dtype: str, steps: list[bool]) -> None:
    def run() -> list[Any]:
        stack = [layers.LSTM(4, return_sequences=True, dtype=dtype), layers.Dense(2, dtype=dtype)]
        return trained(Sequential([layers.Input((T, F)), *stack]), data((T, 2), dtype=dtype))

    assert both(run, steps) == 3


class Custom(layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


class Subclass(layers.Dense):
    """A subclass may define `forward` or `call` at any time."""


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.Masking(0.0), layers.LSTM(4), layers.Dense(1)],
        lambda: [layers.LSTM(4, dropout=0.5, seed=1), layers.Dense(1)],
        lambda: [layers.LSTM(4, recurrent_dropout=0.5, seed=1), layers.Dense(1)],
        lambda: [layers.LSTM(4, activity_regularizer="l2"), layers.Dense(1)],
        lambda: [layers.LSTM(4), layers.Dense(1, activity_regularizer="l2")],
        lambda: [layers.LSTM(4, activation=lambda x: x / 2), layers.Dense(1)],
        lambda: [layers.LSTM(4), layers.Dense(1, activation=lambda x: x / 2)],
        lambda: [layers.LSTM(4, checkpoint_steps=2), layers.Dense(1)],
        lambda: [layers.LSTM(4), layers.Dropout(0.5, seed=1), layers.Dense(1)],
        lambda: [layers.Bidirectional(layers.LSTM(4)), layers.Dense(1)],
        lambda: [layers.LSTM(4), Custom(), layers.Dense(1)],
        lambda: [layers.LSTM(4), Subclass(1)],
        lambda: [layers.LSTM(4, trainable=False), layers.Dense(1)],
        lambda: [layers.RNN(layers.LSTMCell(4)), layers.Dense(1)],
    ],
)
def test_layers_that_need_python(stack: Callable[[], list[Any]], steps: list[bool]) -> None:
    assert both(lambda: trained(Sequential([layers.Input((T, F)), *stack()]), data()), steps) == 0


def test_a_stateful_layer(steps: list[bool]) -> None:
    def run() -> list[Any]:
        stack = [layers.LSTM(4, stateful=True), layers.Dense(1)]
        return trained(Sequential([layers.Input(batch_shape=(20, T, F)), *stack]), data())

    assert both(run, steps) == 0


@pytest.mark.parametrize("change", ["loss", "reduction", "weight", "sample_weight", "class_weight", "targets", "hook"])
def test_steps_that_need_python(change: str, steps: list[bool]) -> None:
    class Hooked(Sequential):
        def compute_loss(self, *arguments: Any, **options: Any) -> Any:
            return super().compute_loss(*arguments, **options)

    def run() -> list[Any]:
        kind = Hooked if change == "hook" else Sequential
        model = kind([layers.Input((T, F)), layers.LSTM(4), layers.Dense(1)])
        loss: Any = (
            "mae" if change == "loss" else pyrnn.losses.MeanSquaredError("sum" if change == "reduction" else "mean")
        )
        model.compile("adam", loss, loss_weights=0.5 if change == "weight" else None)
        x, y = data()
        options: dict[str, Any] = {}
        if change == "sample_weight":
            options = {"sample_weight": np.arange(20.0)}
        if change == "class_weight":
            y, options = (y > 0).astype("float32"), {"class_weight": {0: 1.0, 1: 3.0}}
        if change == "targets":
            y = y[:, 0]
        losses = [model.train_on_batch(x, y, **options) for _ in range(3)]
        return [*losses, *model.get_weights()]

    assert both(run, steps) == 0


CHANGES: dict[str, Callable[[Any], None]] = {
    "activation": lambda model: setattr(model.layers[0], "activation", "relu"),
    "recurrent_activation": lambda model: setattr(model.layers[0], "recurrent_activation", "hard_sigmoid"),
    "function": lambda model: setattr(model.layers[1], "activation", lambda x: x / 2),
    "go_backwards": lambda model: setattr(model.layers[0], "go_backwards", True),
    "dropout": lambda model: setattr(model.layers[0], "dropout", 0.5),
    "trainable": lambda model: setattr(model.layers[0], "trainable", False),
    "regularizer": lambda model: setattr(model.layers[0].kernel, "regularizer", regularizers.L2(0.5)),
    "activity": lambda model: setattr(model.layers[1], "activity_regularizer", regularizers.L2(0.5)),
    "weights": lambda model: model.set_weights([-each for each in model.get_weights()]),
    "kernel": lambda model: setattr(model.layers[0], "kernel", 0.1 * np.ones((F, 16))),
    "optimizer": lambda model: setattr(model, "optimizer", pyrnn.optimizers.SGD(0.1)),
    "compile": lambda model: model.compile("sgd", "mae"),
    "layer": lambda model: model.add(layers.Dense(1)),
    "pass": lambda model: model.forward_pass(data()[0], training=True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_between_steps(name: str, steps: list[bool]) -> None:
    """Each change takes effect at the next step, and back again."""

    def run() -> list[Any]:
        model = Sequential([layers.Input((T, F)), layers.LSTM(4, seed=3), layers.Dense(1)])
        before = trained(model, data())
        settings = model.layers[0].activation, model.layers[0].dropout, model.layers[1].activity_regularizer
        CHANGES[name](model)
        between = trained(model, data(), data(rows=7))
        model.layers[0].activation, model.layers[0].dropout, model.layers[1].activity_regularizer = settings
        return [*before, *between, *trained(model, data())]

    assert both(run, steps) >= 3


def test_weights_that_another_model_takes(steps: list[bool]) -> None:
    def run() -> list[Any]:
        shared = layers.LSTM(4)
        first = Sequential([layers.Input((T, F)), shared, layers.Dense(1)])
        second = Sequential([layers.Input((T, F)), shared, layers.Dense(1)])
        results = []
        for _ in range(3):
            results += [*trained(first, data(), count=2), *trained(second, data(), count=2)]
        return results

    assert both(run, steps) == 10


def test_another_backend(steps: list[bool]) -> None:
    model = Sequential([layers.Input((T, F)), layers.LSTM(4), layers.Dense(1)])
    trained(model, data())
    weights, before = model.get_weights(), backend.current_backend()
    model.compile("sgd", "mse")
    expected = trained(model, data())
    model.set_weights(weights)
    model.compile("sgd", "mse")
    try:
        backend.use_backend("reference")
        actual = trained(model, data())
    finally:
        backend.use_backend(before)
    assert sum(steps) == 9
    losses, count = 4, len(weights)
    for first, second in zip(actual[losses : losses + count], expected[losses : losses + count], strict=True):
        assert_close(first, second, losses * 20 * T * (F + 4))
    assert actual[losses + count :] == expected[losses + count :], "the number of steps and the rate"


def test_models_of_other_data(steps: list[bool]) -> None:
    """x that lacks its last axis of 1, a list, and integers."""

    def run() -> list[Any]:
        model = Sequential([layers.Input((T, 1)), layers.LSTM(4), layers.Dense(1)])
        x, y = data()
        return trained(
            model, (x[:, :, :1], y), (x[:, :, 0], y), (x[:, :, :1].tolist(), y), (np.arange(6)[None, :, None], y[:1])
        )

    assert both(run, steps) == 15


def test_what_forward_saved_is_discarded() -> None:
    model = Sequential([layers.Input((T, F)), layers.LSTM(4), layers.Dense(1)])
    trained(model, data())
    model.forward_pass(data()[0], training=True)
    trained(model, data())
    assert not any(layer._tape for layer in model.layers)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_signal_leaves_whole_steps(optimizer: str) -> None:
    """Wherever a handler raises, the number of steps is that of the weights."""
    x, y = data(rows=2)

    def fresh() -> Any:
        pyrnn.utils.set_random_seed(1)
        model = Sequential([layers.Input((T, F)), layers.SimpleRNN(2), layers.Dense(1)])
        model.compile(optimizer, "mse")
        return model

    def bits_of(model: Any) -> bytes:
        return b"".join(each.tobytes() for each in model.get_weights())

    model = fresh()
    bits, begin = [bits_of(model)], time.perf_counter()
    for _ in range(2000):
        model.train_on_batch(x, y)
        bits.append(bits_of(model))
    seconds = (time.perf_counter() - begin) / 2000
    model = fresh()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupts = 0
    try:
        while int(model.optimizer.iterations) < 2000:
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds * (4 + interrupts % 17 / 5))
                while int(model.optimizer.iterations) < 2000:
                    model.train_on_batch(x, y)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
            count = int(model.optimizer.iterations)
            assert bits_of(model) == bits[count], count
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 10
