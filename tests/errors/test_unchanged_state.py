"""Models after bad input: one sentence names the argument; model and optimizer stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

X, Y = np.ones((6, 5, 3), np.float32), np.ones((6, 1), np.float32)
Model = pyrnn.Sequential


@pytest.fixture
def model() -> Model:
    made = Model([layers.LSTM(4, input_shape=(5, 3)), layers.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    made.fit(X, Y, verbose=0)
    return made


def ending() -> Any:
    yield X, Y


def wrong_things() -> Any:
    while True:
        yield {"x": X, "y": Y}


def with_nan() -> np.ndarray:
    y = Y.copy()
    y[2] = np.nan
    return y


ON_DATA: dict[str, tuple[Callable[[Model], Any], type[Exception], str]] = {
    "wrong-rank": (lambda m: m.fit(X[0], Y[:5], verbose=0), ValueError, r"LSTM expects x of shape .*got \(5, 3\)"),
    "wrong-features": (lambda m: m.predict(X[..., :2], verbose=0), ValueError, r"x of shape .*got \(6, 5, 2\)"),
    "strings": (lambda m: m.fit(X.astype(str), Y, verbose=0), TypeError, "x must hold numbers"),
    "objects": (
        lambda m: m.predict(np.full(X.shape, "a", object), verbose=0),
        TypeError,
        "x must hold numbers, but column 0 holds 'a'",
    ),
    "complex": (lambda m: m.predict(X + 1j, verbose=0), TypeError, "x must hold numbers"),
    "ragged": (lambda m: m.predict([[[1.0]], [[1.0], [2.0]]], verbose=0), ValueError, "x must be one array"),
    "empty-batch": (lambda m: m.fit(X[:0], Y[:0], verbose=0), ValueError, "x must hold at least one sample"),
    "no-steps": (lambda m: m.predict(X[:, :0], verbose=0), ValueError, "time"),
    "lengths": (lambda m: m.fit(X, Y[:5], verbose=0), ValueError, "y must have one row for each of the 6 samples"),
    "weight-lengths": (lambda m: m.fit(X, Y, sample_weight=np.ones(5), verbose=0), ValueError, "sample_weight"),
    "y-shape": (lambda m: m.fit(X, np.ones((6, 2)), verbose=0), ValueError, "y_true must have the shape of y_pred"),
    "y-missing": (lambda m: m.fit(X, verbose=0), ValueError, "y is missing"),
    "nan-labels": (lambda m: m.fit(X, with_nan(), verbose=0), ValueError, "y holds NaN"),
    "generator-ends": (
        lambda m: m.fit(ending(), steps_per_epoch=1, epochs=2, verbose=0),
        ValueError,
        "the generator ended after 0 of the 1 batches of an epoch",
    ),
    "generator-yields-dict": (
        lambda m: m.fit(wrong_things(), steps_per_epoch=1, verbose=0),
        TypeError,
        "a batch must be",
    ),
    "generator-with-y": (lambda m: m.fit(ending(), Y, verbose=0), ValueError, "y must be left out when x is"),
    "four-parts": (lambda m: m.fit(iter([(X, Y, Y, Y)]), verbose=0), ValueError, "a batch must be x"),
    "batch-size": (lambda m: m.fit(X, Y, batch_size=0, verbose=0), ValueError, "batch_size must be a positive integer"),
    "epochs": (lambda m: m.fit(X, Y, epochs=1.5, verbose=0), TypeError, "epochs must be a positive integer"),
    "split": (lambda m: m.fit(X, Y, validation_split=1.0, verbose=0), ValueError, "validation_split must lie in"),
    "verbose": (lambda m: m.fit(X, Y, verbose=3), ValueError, "verbose must be"),
    "unknown-fit-argument": (lambda m: m.fit(X, Y, epoch=3), TypeError, "epoch"),
    "set-weights": (lambda m: m.set_weights([np.ones(3)] * 5), ValueError, "shape"),
    "set-too-few": (lambda m: m.set_weights([np.ones(3)]), ValueError, "got a list of 1"),
    "compile-loss": (lambda m: m.compile("adam", "mean_square"), ValueError, "did you mean 'mean_squared"),
    "compile-optimizer": (lambda m: m.compile("addam", "mse"), ValueError, "did you mean 'adam'"),
    "compile-metric": (lambda m: m.compile("adam", "mse", metrics=["acuracy"]), ValueError, "did you mean 'accuracy'"),
    "compile-metric-alone": (lambda m: m.compile("adam", "mse", metrics="mae"), TypeError, "metrics must be a list"),
    "compile-unknown-argument": (lambda m: m.compile("adam", "mse", metric=["mae"]), TypeError, "metric"),
    "initial-state": (lambda m: m.layers[0](X, initial_state=X), ValueError, "initial_state must be 2 array"),
    "mask": (lambda m: m.layers[0](X, mask=np.ones((6, 4))), ValueError, r"mask must have shape \(batch, time\)"),
}


@pytest.mark.parametrize("case", ON_DATA)
def test_nothing_is_lost(case: str, model: Model) -> None:
    call, error, message = ON_DATA[case]
    assert model.optimizer is not None
    weights, variables = model.get_weights(), [value.copy() for _, value in model.optimizer.named_variables()]
    generator_steps = 1 if case == "generator-ends" else 0
    with pytest.raises(error, match=message) as caught:
        call(model)
    assert len(str(caught.value).splitlines()) == 1
    if generator_steps:  # the batches that came were trained on; the model stays usable
        assert model.optimizer.iterations == 2
    else:
        for before, after in zip(weights, model.get_weights(), strict=True):
            assert np.array_equal(before, after)
        for before, (_, after) in zip(variables, model.optimizer.named_variables(), strict=True):
            assert np.array_equal(before, after)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])


ON_BUILDING: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "units-zero": (lambda: layers.LSTM(0), ValueError, "units must be a positive integer, got 0"),
    "units-float": (lambda: layers.GRU(2.5), TypeError, "units must be a positive integer, got 2.5"),
    "units-negative": (lambda: layers.SimpleRNN(-3), ValueError, "units must be a positive integer, got -3"),
    "activation": (lambda: layers.LSTM(3, activation="tahn"), ValueError, "did you mean 'tanh'"),
    "recurrent-activation": (lambda: layers.GRU(3, recurrent_activation="sigmod"), ValueError, "'sigmoid'"),
    "glu": (
        lambda: layers.LSTM(3, recurrent_activation="glu"),
        ValueError,
        "of LSTM must not be 'glu'",
    ),
    "initializer": (lambda: layers.LSTM(3, kernel_initializer="glorot"), ValueError, "glorot"),
    "regularizer": (lambda: layers.LSTM(3, kernel_regularizer="l3"), ValueError, "l3"),
    "unknown-layer-argument": (lambda: layers.LSTM(3, return_sequence=True), TypeError, "did you mean 'return_sequenc"),
    "dropout": (lambda: layers.LSTM(3, dropout=1.5), ValueError, "dropout must be a number from 0 to 1"),
    "use-cudnn": (lambda: layers.GRU(3, use_cudnn=True), ValueError, "use_cudnn must be 'auto' or False"),
    "implementation": (lambda: layers.GRU(3, implementation=3), ValueError, "implementation must be one of 0, 1 or 2"),
    "dtype": (lambda: layers.LSTM(3, dtype="float16"), ValueError, "dtype must be 'float32' or 'float64'"),
    "merge-mode": (
        lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="cat"),
        ValueError,
        "unknown merge_mode 'cat'",
    ),
    "bidirectional-dense": (lambda: layers.Bidirectional(layers.Dense(3)), ValueError, "must be a recurrent layer"),
    "bidirectional-same-way": (
        lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
        ValueError,
        "must differ in go_backwards",
    ),
    "sequential-of-numbers": (lambda: Model([3]), TypeError, "3"),
    "not-compiled": (
        lambda: Model([layers.Dense(1, input_shape=(3,))]).fit(X[:, 0], Y, verbose=0),
        ValueError,
        r"must be compiled before fit: call compile\(",
    ),
    "not-built": (lambda: Model([layers.Dense(1)]).save_weights("never.weights.h5"), ValueError, "must be built"),
}


@pytest.mark.parametrize("case", ON_BUILDING)
def test_arguments(case: str) -> None:
    call, error, message = ON_BUILDING[case]
    with pytest.raises(error, match=message) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
