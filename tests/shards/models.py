"""Models and data of the tests of distributed training, one for each kind of layer and option."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

import pyrnn
from pyrnn import layers as L

SHAPE = (6, 3)
ROWS = 22


class Attributes(L.Layer):
    """Keeps what backward needs in an attribute, as custom layers may."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def forward(self, x, *, training=False, mask=None):
        self.x = x
        return x * self.scale.array

    def backward(self, dy, *, need_dx=True):
        self.scale.gradient[...] = (dy * self.x).sum(axis=(0, 1))
        return dy * self.scale.array


class Called(L.Layer):
    """A custom layer with `call`, random numbers and an added loss."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = L.Dense(4)
        self.random = pyrnn.random.SeedGenerator(7)

    def call(self, x, training=False):
        y = self.dense(x)
        self.add_loss(0.01 * pyrnn.ops.mean(y * y))
        return pyrnn.random.dropout(y, 0.2, seed=self.random) if training else y


class Subclassed(pyrnn.Model):
    def __init__(self):
        super().__init__()
        self.lstm = L.LSTM(4, dropout=0.2)
        self.dense = L.Dense(1)

    def call(self, x):
        return self.dense(self.lstm(x))


class OwnLoss(pyrnn.Sequential):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return pyrnn.ops.max((y_pred - y) ** 2) + sum(self.losses)


class OwnStep(pyrnn.Sequential):
    def train_step(self, data):
        x, y = data
        return super().train_step((x * (1 + abs(x).max()), y))


class OwnPasses(pyrnn.Sequential):
    def forward_pass(self, x, *, training=False):
        self.factor = x.mean()
        y, mask = super().forward_pass(x, training=training)
        return y * self.factor, mask

    def backward_pass(self, dy):
        super().backward_pass(dy * self.factor)


def chain(*layers: Any, cls: Any = pyrnn.Sequential) -> Any:
    return cls([L.Input(SHAPE), *layers, L.Dense(1)])


def graph() -> Any:
    inputs = L.Input(SHAPE)
    shared = L.LSTM(4)
    short = inputs[:, 2:]
    y = L.Concatenate()([shared(inputs), shared(short)])
    heads = L.Dense(1, name="a")(y), L.Dense(1, name="b")(L.Dropout(0.2)(y))
    return pyrnn.Model(inputs, list(heads))


MODELS: dict[str, Callable[[], Any]] = {
    "simple_rnn": lambda: chain(L.SimpleRNN(4)),
    "lstm": lambda: chain(L.LSTM(4)),
    "gru": lambda: chain(L.GRU(4, reset_after=False)),
    "recurrent_dropout": lambda: chain(L.GRU(4, dropout=0.3, recurrent_dropout=0.3)),
    "masking": lambda: chain(L.Masking(), L.LSTM(4, return_sequences=True), L.LSTM(4)),
    "bidirectional": lambda: chain(L.Bidirectional(L.LSTM(4))),
    "stacked_cells": lambda: chain(L.RNN([L.LSTMCell(4), L.GRUCell(3)])),
    "time_distributed": lambda: chain(L.TimeDistributed(L.Dense(4)), L.Flatten()),
    "embedding": lambda: chain(L.Lambda(lambda x: x[:, :, 0] > 0), L.Embedding(3, 4), L.GRU(4)),
    "convolution": lambda: chain(L.Conv1D(4, 3, padding="causal"), L.MaxPooling1D(2), L.Flatten()),
    "separable": lambda: chain(L.SeparableConv1D(4, 3), L.GlobalAveragePooling1D()),
    "batch_norm": lambda: chain(L.BatchNormalization(), L.LSTM(4)),
    "layer_norm": lambda: chain(L.LayerNormalization(), L.Flatten()),
    "noise": lambda: chain(L.GaussianNoise(0.1), L.SpatialDropout1D(0.2), L.AlphaDropout(0.1), L.Flatten()),
    "attention": lambda: attention(),
    "wide": lambda: wide(),
    "drawing": lambda: chain(L.Lambda(lambda x: x + pyrnn.random.normal((1, 1, 3))), L.LSTM(4)),
    "stateful": lambda: pyrnn.Sequential(
        [L.Input(batch_shape=(11, *SHAPE)), L.LSTM(4, stateful=True, dropout=0.2), L.Dense(1)]
    ),
    "float64": lambda: float64(),
    "own_step": lambda: chain(L.LSTM(4), cls=OwnStep),
    "penalties": lambda: chain(L.LSTM(4, activity_regularizer="l2", kernel_regularizer="l1")),
    "attributes": lambda: chain(Attributes(), L.LSTM(4)),
    "called": lambda: chain(Called(), L.Flatten()),
    "own_loss": lambda: chain(L.LSTM(4, activity_regularizer="l2"), cls=OwnLoss),
    "own_passes": lambda: chain(L.LSTM(4), cls=OwnPasses),
    "subclassed": Subclassed,
    "graph": graph,
    "nested": lambda: chain(pyrnn.Sequential([L.Input(SHAPE), L.Dropout(0.2), L.GRU(4)])),
}


def float64() -> Any:
    return pyrnn.Sequential([L.Input(SHAPE), L.LSTM(4, dtype="float64"), L.Dense(1, dtype="float64")])


def wide() -> Any:
    """A model whose gradients are sent in several blocks and ranges."""
    model = chain(L.LSTM(64, return_sequences=True), L.GRU(64, return_sequences=True), L.Dropout(0.1), L.LSTM(64))
    model.layers[0].trainable = False
    return model


def attention() -> Any:
    inputs = L.Input(SHAPE)
    y = L.MultiHeadAttention(2, 3, dropout=0.2)(inputs, inputs)
    return pyrnn.Model(inputs, L.Dense(1)(L.GlobalMaxPooling1D()(y)))


OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Adafactor", "Ftrl", "Lion",
              "Lamb", "Muon", "ScheduleFreeAdamW")  # fmt: skip


def data(rows: int = ROWS) -> tuple[Any, Any]:
    random = np.random.default_rng(5)
    x = random.normal(size=(rows, *SHAPE)).astype(np.float32)
    x[: rows // 2, 4:] = 0
    return x, x.sum((1, 2))[:, None]


def trained(name: str, optimizer: Any = "adam", *, epochs: int = 2, batch_size: int = 9, **options: Any) -> Any:
    """Train a model, and return it with its history."""
    pyrnn.utils.set_random_seed(3)
    model = MODELS[name]()
    x, y = data()
    metrics = ["mae"]
    if name == "graph":
        y, metrics = [y, -y], [["mae"], ["mse"]]
    if name == "stateful":
        batch_size = 11
    model.compile(optimizer, "mse", metrics=metrics)
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, validation_data=(x, y), **options)
    return model, history.history


def digest(model: Any, history: Any) -> int:
    """Return a number that changes with every bit of the weights, the optimizer and the logs."""
    content = [array.tobytes() for array in model.get_weights()]
    content += [np.asarray(value).tobytes() for _, value in model.optimizer.named_variables()]
    return zlib.crc32(b"".join([*content, repr(sorted(history.items())).encode()]))
