"""Several outputs: losses, weights and metrics of each, in lists, dicts and nested structures."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphs.architecture import (
    FEATURES,
    IDS,
    RNG,
    ROWS,
    STATIC,
    STEPS,
    WEIGHT,
    WORDS,
    Graph,
    X,
    architecture,
)

LEVEL = RNG.normal(size=(ROWS, 1)).astype("float32")
KIND = np.eye(3, dtype="float32")[RNG.integers(0, 3, ROWS)]
SERIES = RNG.normal(size=(ROWS, STEPS, 1)).astype("float32")


def heads(k: Any) -> tuple[Any, Any, Any, Any]:
    """An input, and a level, the shares of three kinds, and a series."""
    x = k.Input((STEPS, FEATURES), name="x")
    sequence = k.layers.GRU(4, return_sequences=True)(x)
    last = k.layers.LSTM(3)(sequence)
    level, kind = k.layers.Dense(1, name="level")(last), k.layers.Dense(3, activation="softmax", name="kind")(last)
    return x, level, kind, k.layers.TimeDistributed(k.layers.Dense(1), name="series")(sequence)


@architecture
def losses_in_a_list(k: Any) -> Graph:
    x, *outputs = heads(k)
    return Graph(k.Model(x, outputs), X, [LEVEL, KIND, SERIES], {"loss": ["mse", "categorical_crossentropy", "mae"]})


@architecture
def losses_by_name(k: Any) -> Graph:
    x, *outputs = heads(k)
    options = {
        "loss": {"series": "mae", "level": "mse", "kind": k.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        "loss_weights": {"level": 0.3, "kind": 2.0, "series": 1.0},
        "metrics": {"kind": ["accuracy", "mse"], "series": "mae"},
    }
    return Graph(k.Model(x, outputs), X, {"kind": KIND, "level": LEVEL, "series": SERIES}, options)


@architecture
def metrics_of_each_output(k: Any) -> Graph:
    x, level, kind, series = heads(k)
    options = {
        "loss": ["mse", "categorical_crossentropy", "huber"],
        "loss_weights": [1.0, 0.5, 2.0],
        "metrics": [["mae", k.metrics.RootMeanSquaredError()], ["accuracy", "accuracy"], []],
    }
    return Graph(k.Model(x, [level, kind, series]), X, [LEVEL, KIND, SERIES], options)


@architecture
def output_without_a_loss(k: Any) -> Graph:
    x, level, kind, series = heads(k)
    options = {"loss": ["mse", None, "mae"], "metrics": ["mae", "mae", None]}
    return Graph(k.Model(x, [level, kind, series]), X, [LEVEL, KIND, SERIES], options)


@architecture
def weights_of_each_output(k: Any) -> Graph:
    x, level, kind, _ = heads(k)
    options = {"loss": ["mse", "categorical_crossentropy"], "weighted_metrics": [["mae"], ["accuracy"]]}
    weights = [WEIGHT, WEIGHT[::-1].copy()]
    return Graph(k.Model(x, [level, kind]), X, [LEVEL, KIND], options, {"sample_weight": weights})


@architecture
def weights_of_classes(k: Any) -> Graph:
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    y = k.layers.Concatenate()([k.layers.GRU(3)(x), static])
    model = k.Model([x, static], k.layers.Dense(3, activation="softmax")(y))
    options = {"loss": "sparse_categorical_crossentropy", "weighted_metrics": ["accuracy"]}
    return Graph(model, [X, STATIC], KIND.argmax(-1), options, {"class_weight": {0: 1.0, 1: 0.5, 2: 3.0}})


@architecture
def dicts(k: Any) -> Graph:
    series, static = k.Input((STEPS, FEATURES), name="series"), k.Input((4,), name="static")
    y = k.layers.Concatenate()([k.layers.GRU(4)(series), k.layers.Dense(2)(static)])
    outputs = {"one": k.layers.Dense(1)(y), "two": k.layers.Dense(3, activation="softmax")(y)}
    options = {"loss": {"one": "mse", "two": "categorical_crossentropy"}, "metrics": {"two": ["accuracy"]}}
    model = k.Model({"series": series, "static": static}, outputs)
    return Graph(model, {"static": STATIC, "series": X}, {"two": KIND, "one": LEVEL}, options)


@architecture
def nested_structures(k: Any) -> Graph:
    a, b = k.Input((STEPS, FEATURES), name="a"), k.Input((4,), name="b")
    y = k.layers.Concatenate()([k.layers.GRU(3)(a), b])
    level, kind, code = k.layers.Dense(1)(y), k.layers.Dense(3)(y), k.layers.Dense(2, activation="tanh")(y)
    return Graph(k.Model([a, {"b": b}], [level, {"kind": kind, "code": code}]), [X, {"b": STATIC}])


@architecture
def masked_series(k: Any) -> Graph:
    """The mask of the series reaches the loss of one output and not that of the other."""
    x = k.Input((STEPS, FEATURES))
    y = k.layers.GRU(3, return_sequences=True)(k.layers.Masking()(x))
    outputs = [k.layers.TimeDistributed(k.layers.Dense(1), name="steps")(y), k.layers.LSTM(1, name="last")(y)]
    return Graph(k.Model(x, outputs), X, [SERIES, LEVEL])


@architecture
def language_model(k: Any) -> Graph:
    x = k.Input((STEPS,))
    y = k.layers.LSTM(4, return_sequences=True)(k.layers.Embedding(WORDS, 3)(x))
    options = {"loss": k.losses.SparseCategoricalCrossentropy(from_logits=True), "metrics": ["accuracy"]}
    return Graph(k.Model(x, k.layers.Dense(WORDS)(y)), IDS, np.roll(IDS, -1, axis=1), options)


@architecture
def penalties(k: Any) -> Graph:
    """Regularizers of weights and activities, in a shared layer and in a model."""
    x, first = k.Input((STEPS, FEATURES)), k.Input((STEPS, FEATURES))
    dense = k.layers.Dense(FEATURES, kernel_regularizer="l2", activity_regularizer=k.regularizers.L1(0.01))
    inner = k.Model(first, k.layers.GRU(3, recurrent_regularizer="l1", activity_regularizer="l2")(first))
    return Graph(k.Model(x, inner(dense(dense(x)))), X)


@architecture
def deep_supervision(k: Any) -> Graph:
    """One head on the output of each layer."""
    x, head = k.Input((STEPS, FEATURES)), k.layers.Dense(1, name="head")
    y, outputs = x, []
    for _ in range(3):
        y = k.layers.GRU(3, return_sequences=True)(y)
        outputs.append(head(y))
    return Graph(k.Model(x, outputs), X, [SERIES] * 3, {"loss": ["mse"] * 3, "loss_weights": [0.2, 0.3, 0.5]})


@architecture
def one_loss_for_all(k: Any) -> Graph:
    x, level, kind, series = heads(k)
    return Graph(k.Model(x, (level, kind, series)), X, (LEVEL, KIND, SERIES), {"loss": "mae", "metrics": None})


@architecture
def binary_and_regression(k: Any) -> Graph:
    x, static = k.Input((STEPS, FEATURES), name="x"), k.Input((4,), name="static")
    y = k.layers.Dense(3, activation="relu")(k.layers.Concatenate()([k.layers.GRU(3)(x), static]))
    up, size = k.layers.Dense(1, activation="sigmoid", name="up")(y), k.layers.Dense(1, name="size")(y)
    options = {
        "loss": {"up": "binary_crossentropy", "size": k.losses.LogCosh()},
        "metrics": {"up": [k.metrics.AUC(name="auc"), "accuracy"], "size": ["mse"]},
        "loss_weights": {"up": 2.0, "size": 0.1},
    }
    y = {"up": (LEVEL > 0).astype("float32"), "size": LEVEL}
    return Graph(k.Model([x, static], [up, size]), {"static": STATIC, "x": X}, y, options)
