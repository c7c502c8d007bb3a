"""Inputs of other shapes than a model was built for, stacks that do not fit together, and the errors they raise."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.layers import Bidirectional, Conv1D, Dense, Embedding, Flatten, Input, TimeDistributed

RNG = np.random.default_rng(0)

# Stacks that accept sequences of any length, whatever length they were built for.
ANY_LENGTH: dict[str, Callable[[], list[Any]]] = {
    "lstm": lambda: [layers.LSTM(3)],
    "sequences": lambda: [layers.GRU(3, return_sequences=True), Dense(2)],
    "bidirectional": lambda: [Bidirectional(layers.SimpleRNN(3))],
    "convolution": lambda: [Conv1D(3, 2), layers.LSTM(2)],
    "pooling": lambda: [layers.MaxPooling1D(2), layers.GlobalAveragePooling1D()],
    "normalization": lambda: [layers.BatchNormalization(), layers.LayerNormalization(), layers.LSTM(2)],
    "prelu": lambda: [layers.PReLU(shared_axes=[1]), layers.LSTM(2)],
    "time distributed": lambda: [TimeDistributed(Dense(2)), layers.Masking(), layers.GRU(2)],
    "flat": lambda: [layers.LSTM(3, return_sequences=True), Flatten()],
    "reshaping": lambda: [layers.ZeroPadding1D(2), layers.Cropping1D((1, 2)), layers.UpSampling1D(2), layers.GRU(3)],
}


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("name", ANY_LENGTH)
def test_sequences_of_another_length(name: str, deferred: bool) -> None:
    model = pyrnn.Sequential([*([] if deferred else [Input((4, 2))]), *ANY_LENGTH[name]()])
    model.predict(RNG.normal(size=(3, 4, 2)), verbose=0)
    for steps in (6, 3, 6):
        x = RNG.normal(size=(3, steps, 2))
        free = pyrnn.Sequential([Input((steps, 2)), *ANY_LENGTH[name]()])
        free.set_weights(model.get_weights())
        np.testing.assert_array_equal(model.predict(x, verbose=0), free.predict(x, verbose=0))
    model.compile("sgd", "mse")
    y = model.predict(x, verbose=0) + 1
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, verbose=0, validation_data=(x, y))
    assert not model.weights or model.evaluate(x, y, verbose=0) < before


def test_word_ids_of_another_length() -> None:
    model = pyrnn.Sequential([Input((3,)), Embedding(5, 2), layers.LSTM(2)])
    assert model.predict(np.ones((2, 7)), verbose=0).shape == (2, 2)


def test_lengths_are_not_remembered_indefinitely() -> None:
    model = pyrnn.Sequential([Input((3, 1)), layers.SimpleRNN(1)])
    for steps in range(1, 1200):
        model.check_input((2, steps, 1))
    assert len(model._fitting) <= 1000
    model.add(Dense(2))
    assert not model._fitting


FLAT = [layers.LSTM(3, return_sequences=True), Flatten(), Dense(1)]
UNFIT: dict[str, tuple[list[Any], tuple[int, ...], tuple[int, ...], str]] = {
    "features": ([layers.LSTM(3)], (3, 2), (2, 3, 4), "(batch, time, features) = (None, 3, 2), got (2, 3, 4)"),
    "axes": ([layers.LSTM(3)], (3, 2), (3, 2), "(batch, time, features) = (None, 3, 2), got (3, 2)"),
    "no step": ([layers.LSTM(3)], (3, 2), (2, 0, 2), "at least one value along every axis, got shape (2, 0, 2)"),
    "no step to pool": ([layers.GlobalMaxPooling1D()], (None, 2), (2, 0, 2), "at least one value along every axis"),
    "flat": (
        FLAT, (3, 2), (2, 5, 2),
        "x of shape (2, 5, 2) does not fit the model, which was built for (None, 3, 2): "
        "Dense expects x of 9 features along its last axis, got (None, 15)",
    ),
    "short": ([Conv1D(3, 3)], (4, 2), (2, 2, 2), "for (None, 4, 2): Conv1D with padding='valid' needs at least 3"),
    "pooled": ([layers.MaxPooling1D(3)], (4, 2), (2, 2, 2), "padding='valid' needs at least 3 steps, got 2"),
    "weights of a step": ([layers.PReLU()], (3, 2), (2, 5, 2), "PReLU expects x of a shape like (None, 3, 2), got"),
    "reshaped": ([layers.Reshape((2, 3))], (3, 2), (2, 4, 2), "target_shape must hold the 8 values"),
    "ids": ([Embedding(5, 3)], (None,), (2,), "Embedding expects x of shape (None, None), got (2,)"),
    "no id": ([Embedding(5, 3)], (None,), (2, 0), "at least one value along every axis, got shape (2, 0)"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_is_refused_in_one_sentence(name: str) -> None:
    stack, built, shape, message = UNFIT[name]
    model = pyrnn.Sequential([Input(built), *[type(each).from_config(each.get_config()) for each in stack]])
    model.compile("sgd", "mse")
    x, y = np.ones(shape), np.ones((shape[0], 1))
    for call in (model.predict, model, lambda x, **_: model.fit(x, y), lambda x, **_: model.evaluate(x, y)):
        with pytest.raises(ValueError, match=re.escape(message)):
            call(x, **({} if call is model else {"verbose": 0}))


# Stacks that cannot be made.

SHORT_OF_SEQUENCES: dict[str, tuple[list[Any], str]] = {
    "lstm": ([layers.LSTM(3, name="one"), layers.LSTM(2)], "layer 'one' (LSTM) returns its last output only: give it"),
    "dropout between": (
        [layers.GRU(3, name="one"), layers.Dropout(0.5), layers.SimpleRNN(2)],
        "layer 'one' (GRU) returns its last output only: give it return_sequences=True",
    ),
    "bidirectional": (
        [Bidirectional(layers.LSTM(3), name="one"), layers.LSTM(2)],
        "layer 'one' (Bidirectional) returns its last output only: give the LSTM in it return_sequences=True",
    ),
    "into bidirectional": (
        [layers.LSTM(3, name="one"), Bidirectional(layers.LSTM(2))],
        "give it return_sequences=True",
    ),
    "cell": ([layers.RNN(layers.LSTMCell(3), name="one"), layers.LSTM(2)], "layer 'one' (RNN) returns its last"),
    "convolution": ([layers.LSTM(3, name="one"), Conv1D(2, 2)], "give it return_sequences=True"),
    "time distributed": ([layers.LSTM(3, name="one"), TimeDistributed(Dense(2))], "give it return_sequences=True"),
    "pooling": ([layers.LSTM(3, name="one"), layers.GlobalMaxPooling1D()], "give it return_sequences=True"),
}


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("name", SHORT_OF_SEQUENCES)
def test_a_stack_that_lacks_return_sequences(name: str, deferred: bool) -> None:
    stack, message = SHORT_OF_SEQUENCES[name]
    fresh = [type(each).from_config(each.get_config()) for each in stack]
    with pytest.raises(ValueError, match=rf"expects x of shape.*, got \(None, \d\); .*{re.escape(message)}"):
        pyrnn.Sequential(fresh if deferred else [Input((4, 2)), *fresh]).predict(np.ones((1, 4, 2)), verbose=0)


class Even(layers.Layer):
    """A custom layer that rejects its input for its own reason."""

    def build(self, input_shape: Any) -> None:
        raise ValueError("the number of features must be even")


WRONG_OTHERWISE: dict[str, tuple[Any, str]] = {
    "initializer": (lambda: Dense(2, kernel_initializer=lambda shape, dtype: np.zeros(7)), r"must return .*\(7,\)"),
    "array": (lambda: Dense(2, kernel_initializer=np.zeros(7)), r"\(7,\)"),
    "custom": (Even, "the number of features must be even"),
    "groups": (lambda: layers.GroupNormalization(4), "multiple of groups = 4, got 3"),
}


@pytest.mark.parametrize(
    "below",
    [[layers.InputLayer((3,))], [layers.InputLayer((4, 2)), layers.LSTM(3)]],
    ids=["first", "after a layer"],
)
@pytest.mark.parametrize("name", WRONG_OTHERWISE)
def test_other_errors_of_a_layer_do_not_advise_another_shape(name: str, below: list[Any]) -> None:
    made, message = WRONG_OTHERWISE[name]
    with pytest.raises(ValueError, match=message) as caught:
        pyrnn.Sequential([*(type(each).from_config(each.get_config()) for each in below), made()])
    assert "return_sequences" not in str(caught.value) and "x[..., None]" not in str(caught.value)


@pytest.mark.parametrize("first", [True, False])
def test_two_outputs_cannot_be_stacked(first: bool) -> None:
    both = Bidirectional(layers.LSTM(3), merge_mode=None, name="both")
    with pytest.raises(ValueError, match=r"layer 'both' has merge_mode=None and returns two arrays.*choose 'concat'"):
        pyrnn.Sequential([Input((4, 2)), *([] if first else [layers.LSTM(2, return_sequences=True)]), both])
    with pytest.raises(ValueError, match=r"layer of TimeDistributed must not have .*merge_mode=None"):
        TimeDistributed(both)


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was() -> None:
    model = pyrnn.Sequential()
    with pytest.raises(ValueError, match="expects x of shape"):
        model.add(layers.LSTM(3, input_shape=(2,)))
    assert not model.layers and not model.built
    model.add(Dense(3, input_shape=(2,)))
    with pytest.raises(ValueError, match="expects x of shape"):
        model.add(layers.LSTM(3))
    assert model.output_shape == (None, 3)


def test_building_again() -> None:
    model = pyrnn.Sequential([Input((2,)), Dense(3)])
    weights = model.get_weights()
    for shape in ((None, 2), (5, 2), [None, None]):
        model.build(shape)
    model.build()
    message = "is already built for inputs of shape (None, 2), got input_shape (3, 4)"
    with pytest.raises(ValueError, match=re.escape(message)):
        model.build((3, 4))
    with pytest.raises(ValueError, match=re.escape("got input_shape (None, 2, 2)")):
        model.build((None, 2, 2))
    deferred = pyrnn.Sequential([Dense(3)])
    deferred.build((None, 2))
    with pytest.raises(ValueError, match="is already built"):
        deferred.build((None, 3))
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])


def test_arguments_of_a_model_have_keras_order() -> None:
    model = pyrnn.Sequential([Dense(2)], False, "mine")
    assert (model.name, model.trainable, model.layers[0].trainable) == ("mine", False, False)
    with pytest.raises(TypeError, match="trainable must be True or False, got 'mine'"):
        pyrnn.Sequential([Dense(2)], "mine")


@pytest.mark.parametrize("value", [1, 0, 1.0, "False", None, [True]])
def test_trainable_is_a_flag(value: Any) -> None:
    """Keras rejects 1 too, which may be meant for the argument next to it."""
    for kind in (Dense, lambda units, **options: Bidirectional(layers.LSTM(units), **options)):
        with pytest.raises(TypeError, match="trainable must be True or False, got"):
            kind(3, trainable=value)
    with pytest.raises(TypeError, match="trainable must be True or False, got"):
        layers.Layer().add_weight((2,), name="w", trainable=value)
    model = pyrnn.Sequential([Input((3, 2)), Bidirectional(layers.LSTM(2)), layers.RNN(layers.GRUCell(2)) and Dense(1)])
    for owner in (model, *model.layers, TimeDistributed(Dense(2)), layers.RNN(layers.GRUCell(2))):
        if value in (0, 1) and isinstance(value, int):
            owner.trainable = value
            assert owner.trainable is bool(value)
        else:
            with pytest.raises(TypeError, match="trainable must be True or False, got"):
                owner.trainable = value


@pytest.mark.parametrize("kind", [layers.Dropout, layers.AlphaDropout])
def test_the_shape_of_noise(kind: Any) -> None:
    x = np.ones((4, 3), "float32")
    for shape in ((None, 1), (4, 1), (4, 3), (None, None), (1, 3)):
        y = kind(0.5, noise_shape=shape, seed=0)(x, training=True)
        assert y.shape == x.shape
        assert shape[1] != 1 or (y == y[:, :1]).all()
    for shape in ((0, 1), (None, 0)):
        with pytest.raises(ValueError, match=rf"noise_shape must hold positive sizes or None, got \({shape[0]}, "):
            kind(0.5, noise_shape=shape)
    for shape in ((2, 1), (4, 6)):
        message = rf"each size of noise_shape must be 1, None or that of x, \(4, 3\), got \({shape[0]}, {shape[1]}\)"
        with pytest.raises(ValueError, match=message):
            kind(0.5, noise_shape=shape)(x, training=True)


# States of stateful layers.

STATEFUL: dict[str, Callable[[], Any]] = {
    "simple_rnn": lambda: layers.SimpleRNN(3, stateful=True, return_state=True),
    "lstm": lambda: layers.LSTM(3, stateful=True, return_state=True),
    "rnn": lambda: layers.RNN(layers.GRUCell(3), stateful=True, return_state=True),
    "stack": lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], stateful=True, return_state=True),
    "bidirectional": lambda: Bidirectional(layers.LSTM(3, stateful=True, return_state=True)),
}


@pytest.mark.parametrize("method", ["reset_state", "reset_states"])
@pytest.mark.parametrize("name", STATEFUL)
def test_states_are_set(name: str, method: str) -> None:
    layer = STATEFUL[name]()
    x = RNG.normal(size=(2, 4, 3)).astype("float32")
    with pytest.raises(ValueError, match="keeps no states: it must have stateful=True and be built"):
        getattr(layer, method)([np.zeros((2, 3))])
    _, *states = layer(x)
    expected = layer(x)[0]
    getattr(layer, method)()
    assert all((state == 0).all() for state in layer.states)
    getattr(layer, method)(states)
    np.testing.assert_array_equal(layer(x)[0], expected)
    before = layer.states
    for bad in (np.zeros((3, 3)), [], [np.zeros((2, 4))] * len(before), [*states[:-1], np.zeros((1, 1))], "zeros"):
        with pytest.raises((TypeError, ValueError), match="states must"):
            getattr(layer, method)(bad)
    for first, other in zip(layer.states, before, strict=True):
        np.testing.assert_array_equal(first, other)


def test_states_of_a_model() -> None:
    model = pyrnn.Sequential(
        [
            Input(batch_shape=(2, 4, 3)),
            layers.LSTM(3, stateful=True, return_sequences=True),
            Dense(3),
            layers.GRU(2, stateful=True),
        ]
    )
    x = RNG.normal(size=(2, 4, 3)).astype("float32")
    model.predict(x, verbose=0)
    states = [list(model.layers[0].states), model.layers[2].states[0]]
    expected = model.predict(x, verbose=0)
    model.reset_state(states)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    before = [model.layers[0].states, model.layers[2].states]
    with pytest.raises(ValueError, match=r"states must be 1 array\(s\) of shape"):
        model.reset_states([states[0], np.zeros((2, 5))])
    assert all((first == other).all() for first, other in zip(before[0], model.layers[0].states, strict=True))
    with pytest.raises(ValueError, match="states must be a list of 2, one per stateful layer, got"):
        model.reset_states(states[:1])
    model.reset_states()
    assert not model.layers[0].states[0].any()


# Freezing one of several layers in another.


def test_one_direction_or_cell_is_frozen() -> None:
    both = Bidirectional(layers.LSTM(2))
    stack = layers.RNN([layers.GRUCell(2), layers.LSTMCell(2)])
    x, y = RNG.normal(size=(3, 4, 2)), RNG.normal(size=(3, 4))
    for layer, frozen in ((both, lambda: both.backward_layer), (stack, lambda: stack.cell.cells[0])):
        model = pyrnn.Sequential([Input((4, 2)), layer, Dense(4)])
        frozen().trainable = False
        saved = [weight.numpy() for weight in frozen().weights]
        assert len(model.trainable_weights) + len(saved) == len(model.weights) == 8
        assert len(layer.non_trainable_weights) == len(saved) == 3
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        for weight, value in zip(frozen().weights, saved, strict=True):
            np.testing.assert_array_equal(weight, value)
        frozen().trainable = True
        model.fit(x, y, verbose=0)
        assert not np.array_equal(frozen().weights[0], saved[0])


def test_an_activity_penalty_of_another_dtype() -> None:
    class Wide(pyrnn.regularizers.L2):
        def __call__(self, w: Any) -> float:
            return super().__call__(w.astype("float64"))

        def gradient(self, w: Any) -> Any:
            return super().gradient(w.astype("float64"))

    x = RNG.normal(size=(3, 4, 2)).astype("float32")
    model = pyrnn.Sequential([Input((4, 2)), layers.LSTM(2), Dense(1, activity_regularizer=Wide(0.1))])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((3, 1)), verbose=0)


def test_a_layer_that_skips_its_base_constructor() -> None:
    class Bare(layers.Layer):
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Bare does not call super\(\).__init__\(\) in its __init__"):
        pyrnn.Sequential([Bare()])


# Axes of length 1.

SERIES = RNG.normal(size=(6, 4)).astype(np.float32)
# name -> (layers, input shape, x as declared, the same with an axis of 1 less or more)
RANKS: dict[str, tuple[Callable[[], list[Any]], tuple[int | None, ...], Any, Any]] = {
    "series": (lambda: [layers.LSTM(3), Dense(1)], (4, 1), SERIES[..., None], SERIES),
    "series of any length": (lambda: [layers.GRU(3), Dense(1)], (None, 1), SERIES[..., None], SERIES),
    "another length": (lambda: [layers.GRU(3), Dense(1)], (9, 1), SERIES[..., None], SERIES),
    "single steps": (lambda: [layers.GRU(3), Dense(1)], (1, 1), SERIES[:, :1, None], SERIES[:, :1]),
    "convolution": (lambda: [Conv1D(2, 2), Flatten(), Dense(1)], (4, 1), SERIES[..., None], SERIES),
    "numbers": (lambda: [Dense(1)], (1,), SERIES[:, :1], SERIES[:, 0]),
    "one too many": (lambda: [layers.LSTM(3), Dense(1)], (2, 2), SERIES.reshape(6, 2, 2), SERIES.reshape(6, 2, 2, 1)),
    "ids": (
        lambda: [Embedding(9, 2), layers.LSTM(3), Dense(1)],
        (4,),
        np.abs(SERIES).astype(int),
        np.abs(SERIES).astype(int)[..., None],
    ),
    "table": (lambda: [Dense(1)], (4,), SERIES, SERIES[..., None]),
}


def _numbers(model: Any, x: Any) -> list[Any]:
    """Return the results of every method for x."""
    y = np.ones((6, 1), np.float32)
    half = [(x[:3], y[:3]), (x[3:], y[3:])]
    options: dict[str, Any] = {"shuffle": False, "verbose": 0}
    return [
        model(x).tolist(),
        model.predict(x, verbose=0).tolist(),
        model.predict_on_batch(x).tolist(),
        model.evaluate(x, y, verbose=0),
        model.test_on_batch(x, y),
        model.train_on_batch(x, y),
        model.fit(x, y, validation_data=(x, y), **options).history,
        model.fit(iter(half), validation_data=iter(half), **options).history,
        model.fit(x, y, validation_split=0.5, batch_size=2, **options).history,
    ]


@pytest.mark.parametrize("case", RANKS)
def test_a_last_axis_of_1_is_added_or_removed(case: str) -> None:
    stack, shape, declared, other = RANKS[case]
    results = []
    for x in (declared, other):
        pyrnn.utils.set_random_seed(0)
        model = pyrnn.Sequential([Input(shape), *stack()])
        model.compile("sgd", "mse")
        results.append(_numbers(model, x))
    assert results[0] == results[1]


# (layers, input shape, shape of x, what the error advises)
UNCLEAR: dict[str, tuple[Callable[[], list[Any]], tuple[int | None, ...], tuple[int, ...], str]] = {
    "a window": (lambda: [layers.LSTM(3)], (4, 2), (4, 2), r"; for a single sample write x\[None\]"),
    "a longer window": (lambda: [layers.LSTM(3)], (4, 2), (9, 2), r"; for a single sample write x\[None\]"),
    "a window of ids": (lambda: [Embedding(9, 2)], (4,), (4,), r"; for a single sample write x\[None\]"),
    "a row of a table": (lambda: [Dense(1)], (4,), (4,), r"; for a single sample write x\[None\]"),
    "a window of one feature": (
        lambda: [layers.LSTM(3)],
        (4, 1),
        (4, 1),
        r"for samples of one step write x\[..., None\], for a single sample x\[None\]",
    ),
    "single steps or one window": (lambda: [layers.LSTM(3)], (None, 1), (4, 1), r"for a single sample x\[None\]"),
    "one series": (lambda: [layers.LSTM(3)], (4, 1), (4,), r"for a single sample write x\[None, :, None\]"),
    "other features": (lambda: [layers.LSTM(3)], (4, 2), (6, 4), r"got \(6, 4\)$"),
    "another row": (lambda: [Dense(1)], (4,), (6,), r"got \(6,\)$"),
    "two axes too many": (lambda: [Dense(1)], (4,), (6, 4, 1, 1), r"got \(6, 4, 1, 1\)$"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_may_be_one_sample_or_many_is_not_guessed(case: str) -> None:
    stack, shape, advice, message = UNCLEAR[case]
    model = pyrnn.Sequential([Input(shape), *stack()])
    for call in (lambda x: model.predict(x, verbose=0), model.predict_on_batch, model):
        with pytest.raises(ValueError, match=message) as caught:
            call(np.ones(advice))
        assert str(advice) in str(caught.value)


def test_series_of_one_feature_without_an_input() -> None:
    model = pyrnn.Sequential([layers.LSTM(3)])
    with pytest.raises(ValueError, match=r"last axis of length 1, which x\[..., None\] adds"):
        model.predict(SERIES, verbose=0)
    assert model.predict(SERIES[..., None], verbose=0).shape == (6, 3)


@pytest.mark.parametrize("stack", [[layers.Dropout(0.5)], [Flatten()], [layers.Masking()], [layers.Reshape((2, 4))]])
def test_outputs_never_share_memory_with_inputs(stack: list[Any]) -> None:
    model = pyrnn.Sequential([Input((4, 2)), *[type(each).from_config(each.get_config()) for each in stack]])
    x = RNG.normal(size=(3, 4, 2)).astype("float32")
    before = x.copy()
    for y in (
        model.predict(x, verbose=0),
        model.predict(x, verbose=0, batch_size=2),
        model.predict_on_batch(x),
        model(x),
    ):
        y += 1
    np.testing.assert_array_equal(x, before)
