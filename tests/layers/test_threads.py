"""Every layer computes the same bits at any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from layers.test_contract import ALL, Shapes, make, shapes_in, unknown_batch
from pyrnn import _core, backend, layers

COUNTS = (1, 2, 3, 8, 16, 64)
pytestmark = pytest.mark.usefixtures("any_thread_count")

# Layers whose work is shared by many threads, in addition to the small ones of the contract.
LARGE: list[tuple[str, dict[str, Any], Shapes]] = [
    ("Activation", {"activation": "softmax"}, (400, 300)),
    ("AveragePooling1D", {"pool_size": 3}, (50, 40, 33)),
    ("BatchNormalization", {}, (100, 20, 33)),
    ("Bidirectional", {"layer": "lstm"}, (70, 30, 9)),
    ("Conv1D", {"filters": 40, "kernel_size": 5, "activation": "tanh"}, (9, 150, 33)),
    ("Conv1D", {"filters": 70, "kernel_size": 3, "dilation_rate": 2, "padding": "causal"}, (3, 100, 40)),
    ("ConvLSTM1D", {"filters": 20, "kernel_size": 3, "return_sequences": True}, (17, 6, 30, 9)),
    ("Dense", {"units": 300, "activation": "tanh"}, (130, 200)),
    ("Dense", {"units": 33}, (20, 50, 100)),
    ("Dense", {"units": 1}, (70, 50, 256)),
    ("Embedding", {"input_dim": 50, "output_dim": 100}, (40, 30)),
    ("GRU", {"units": 40}, (60, 20, 30)),
    ("LSTM", {"units": 33, "return_sequences": True}, (200, 20, 9)),
    ("LayerNormalization", {}, (30, 50, 70)),
    ("MaxPooling1D", {"pool_size": 2}, (50, 40, 33)),
    ("MultiHeadAttention", {"num_heads": 4, "key_dim": 16}, [(20, 30, 24), (20, 40, 24)]),
    ("SimpleRNN", {"units": 130, "return_sequences": True}, (100, 10, 40)),
]


def of_many(shape: Shapes) -> Shapes:
    """The shapes of a case of the contract, with 36 times the rows."""
    shapes = [(36 * each[0], *each[1:]) for each in shapes_in(shape)]
    return shapes if isinstance(shape, list) else shapes[0]


CASES = LARGE + [(name, arguments, of_many(shape)) for name, arguments, shape in ALL]


@pytest.mark.parametrize(("name", "arguments", "shapes"), CASES)
def test_same_bits(name: str, arguments: dict[str, Any], shapes: Shapes) -> None:
    rng = np.random.default_rng(0)
    ids = name == "Embedding"
    xs = [
        rng.integers(0, arguments["input_dim"], each) if ids else rng.normal(size=each).astype("float32")
        for each in shapes_in(shapes)
    ]

    def run(count: int) -> list[bytes]:
        backend.set_num_threads(count)
        pyrnn.utils.set_random_seed(0)
        layer = make(name, arguments, "float32")
        layer.build(unknown_batch(shapes))
        rng = np.random.default_rng(1)
        for weight in layer.weights:
            weight.assign(0.5 * rng.random(weight.shape))
        y = layer.forward(*xs, training=True)
        dy = rng.normal(size=y.shape).astype("float32")
        dxs = layer.backward(dy)
        arrays = [y, *(dxs if isinstance(dxs, (list, tuple)) else [dxs])]
        gradients = [weight.gradient for weight in layer.weights if weight.trainable]
        return [np.asarray(array).tobytes() for array in arrays + gradients]

    expected = run(1)
    for count in COUNTS[1:]:
        assert run(count) == expected, count


OPTIMIZERS: dict[str, Any] = {
    "sgd_step": lambda w, g, a, b: _core.sgd_step(w, g, a, 0.1, 0.9, True),
    "rmsprop_step": lambda w, g, a, b: _core.rmsprop_step(w, g, a, b, None, 0.01, 0.9, 0.5, 1e-7),
    "adam_step": lambda w, g, a, b: _core.adam_step(w, g, a, b, None, 0.01, 0.9, 0.999, 1e-7, 3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_same_bits_of_optimizers(name: str) -> None:
    def run(count: int) -> list[bytes]:
        backend.set_num_threads(count)
        w, g, a, b = np.random.default_rng(0).random((4, 50_001), dtype=np.float32)
        OPTIMIZERS[name](w, g, a, b)
        return [array.tobytes() for array in (w, a, b)]

    assert all(run(count) == run(1) for count in COUNTS)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "categorical_crossentropy"])
def test_same_bits_of_a_training(loss: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((96, 30, 20), dtype=np.float32), rng.random((96, 40), dtype=np.float32)

    def run(count: int) -> list[bytes]:
        backend.set_num_threads(count)
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([layers.Input((30, 20)), layers.LSTM(32), layers.Dense(40, activation="softmax")])
        model.compile("adam", loss)
        for _ in range(3):
            model.train_on_batch(x, y)
        return [weight.tobytes() for weight in model.get_weights()]

    assert all(run(count) == run(1) for count in COUNTS)
