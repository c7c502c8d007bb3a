"""Data, labels, padding, windows and texts compared with Keras's."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.legacy.preprocessing import sequence as keras_sequence
from keras.src.legacy.preprocessing import text as keras_text
from tolerance import assert_close

import pyrnn
from pyrnn import utils
from pyrnn.preprocessing import sequence, text

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(50, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])

CATEGORICAL: dict[str, Any] = {
    "list": {"x": [0, 1, 3]},
    "more-classes": {"x": LABELS, "num_classes": 5},
    "column": {"x": LABELS[:, None]},
    "matrix": {"x": LABELS.reshape(2, 2)},
    "column-of-matrix": {"x": LABELS.reshape(2, 2, 1), "num_classes": 3},
    "number": {"x": 2, "num_classes": 4},
    "floats": {"x": [1.0, 0.0]},
}
NORMS: dict[str, Any] = {
    "default": {},
    "order-1": {"order": 1},
    "order-inf": {"order": np.inf},
    "axis-1": {"axis": 1},
    "axis-last-order-3": {"axis": -1, "order": 3},
}
PADDING: dict[str, Any] = {
    "default": {},
    "post": {"padding": "post"},
    "short": {"maxlen": 2},
    "short-post": {"maxlen": 2, "truncating": "post"},
    "long": {"maxlen": 6, "value": -1},
    "float": {"dtype": "float32", "value": 0.5, "padding": "post", "truncating": "post", "maxlen": 3},
    "text": {"dtype": object, "value": "pad"},
}
RAGGED: dict[str, Any] = {
    "numbers": [[1], [2, 3], [], [4, 5, 6, 7]],
    "vectors": [np.arange(4).reshape(2, 2), np.arange(2).reshape(1, 2), np.arange(8).reshape(4, 2)],
    "tuples": ((1, 2), (3,)),
}
WINDOWS: dict[str, Any] = {
    "plain": {"sequence_length": 5},
    "stride": {"sequence_length": 4, "sequence_stride": 3, "batch_size": 4},
    "rate": {"sequence_length": 4, "sampling_rate": 3, "batch_size": 7},
    "part": {"sequence_length": 3, "start_index": 10, "end_index": 40, "batch_size": 8},
    "all": {
        "sequence_length": 3, "sequence_stride": 2, "sampling_rate": 2, "start_index": 5, "end_index": 45,
        "batch_size": 6,
    },
    "single": {"sequence_length": 45, "batch_size": None},
    "too-long": {"sequence_length": 60},
    "whole": {"sequence_length": 50, "batch_size": 2},
}  # fmt: skip
GENERATORS: dict[str, Any] = {
    "plain": {"length": 5},
    "rate": {"length": 6, "sampling_rate": 2, "batch_size": 4},
    "odd-rate": {"length": 5, "sampling_rate": 2, "batch_size": 4},
    "stride": {"length": 3, "stride": 3, "batch_size": 5},
    "part": {"length": 4, "start_index": 7, "end_index": 31, "batch_size": 6, "reverse": True},
}
SPLITS: dict[str, Any] = {
    "left": {"left_size": 0.8},
    "right": {"right_size": 5},
    "both": {"left_size": 10, "right_size": 0.2},
    "shuffled": {"left_size": 7, "shuffle": True, "seed": 11},
}
TEXTS = ["The cat sat on the mat.", "A dog & the cat: friends, friends!", "", "Café\tmat mat\nmat"]
TOKENIZERS: dict[str, Any] = {
    "plain": {},
    "few": {"num_words": 4},
    "unknown": {"oov_token": "<oov>"},
    "few-unknown": {"num_words": 5, "oov_token": "<oov>"},
    "characters": {"char_level": True},
    "case": {"lower": False, "filters": ".", "split": " "},
    "analyzer": {"analyzer": lambda text: text.split("a")},
}
MODES = ("binary", "count", "tfidf", "freq")


@pytest.mark.parametrize("case", CATEGORICAL)
def test_to_categorical(case: str) -> None:
    expected, actual = (library.utils.to_categorical(**CATEGORICAL[case]) for library in (keras, pyrnn))
    assert actual.dtype == expected.dtype and np.array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", NORMS)
def test_normalize(case: str, dtype: str) -> None:
    x = SERIES.reshape(5, 10, 3).astype(dtype)
    x[1, 2] = 0
    expected, actual = (library.utils.normalize(x, **NORMS[case]) for library in (keras, pyrnn))
    assert actual.dtype == expected.dtype
    assert_close(actual, expected, 10, case)


def test_normalize_along_the_first_axis_as_keras_does_for_tensors() -> None:
    expected = keras.utils.normalize(torch.from_numpy(SERIES), axis=0).numpy()  # its NumPy form takes the wrong axis
    assert_close(utils.normalize(SERIES, axis=0), expected, 50)


@pytest.mark.parametrize("data", RAGGED)
@pytest.mark.parametrize("case", PADDING)
def test_pad_sequences(case: str, data: str) -> None:
    expected, actual = (library.utils.pad_sequences(RAGGED[data], **PADDING[case]) for library in (keras, pyrnn))
    assert actual.dtype == expected.dtype and np.array_equal(actual, expected)
    assert sequence.pad_sequences is utils.pad_sequences


def _arrays(item: Any) -> list[Any]:
    return [np.asarray(part) for part in (item if isinstance(item, tuple) else (item,))]


@pytest.mark.parametrize("with_targets", [False, True])
@pytest.mark.parametrize("case", WINDOWS)
def test_windows(case: str, with_targets: bool) -> None:
    pytest.importorskip("tensorflow", reason="Keras cuts its windows with TensorFlow")
    targets = np.arange(46) if with_targets else None
    made = [library.utils.timeseries_dataset_from_array(SERIES, targets, **WINDOWS[case]) for library in (keras, pyrnn)]
    expected, actual = ([_arrays(item) for item in dataset] for dataset in made)
    assert len(actual) == len(expected) == len(made[1])
    for first, other in zip(actual, expected, strict=True):
        for a, b in zip(first, other, strict=True):
            assert a.shape == b.shape and np.array_equal(a, b)


@pytest.mark.parametrize("case", GENERATORS)
def test_timeseries_generator(case: str) -> None:
    expected = keras_sequence.TimeseriesGenerator(SERIES, SERIES[:, 0], **GENERATORS[case])
    actual = sequence.TimeseriesGenerator(SERIES, SERIES[:, 0], **GENERATORS[case])
    assert len(actual) == len(expected)
    for i in range(len(expected)):
        for a, b in zip(actual[i], expected[i], strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)
    config = json.loads(actual.to_json())["config"]
    value = {name: np.array(json.loads(config.pop(name)), "float32") for name in ("data", "targets")}
    read = keras_sequence.TimeseriesGenerator(**value, **config)
    assert np.array_equal(read[0][0], actual[0][0])


@pytest.mark.parametrize("case", SPLITS)
@pytest.mark.parametrize("form", ["array", "tuple"])
def test_split_dataset(form: str, case: str) -> None:
    pytest.importorskip("tensorflow", reason="Keras splits through TensorFlow")
    data = SERIES if form == "array" else (SERIES, np.arange(50))
    theirs = keras.utils.split_dataset(data, preferred_backend="tensorflow", **SPLITS[case])
    for expected, actual in zip(theirs, utils.split_dataset(data, **SPLITS[case]), strict=True):
        rows = [_arrays(item) for item in expected]
        for a, parts in zip(_arrays(actual), zip(*rows, strict=True), strict=True):
            assert np.array_equal(a, np.stack(parts))


@pytest.mark.parametrize("case", TOKENIZERS)
def test_tokenizer(case: str) -> None:
    theirs, ours = (module.Tokenizer(**TOKENIZERS[case]) for module in (keras_text, text))
    for each in (theirs, ours):
        each.fit_on_texts(TEXTS[:2])
        each.fit_on_texts([*TEXTS[2:], ["listed", "Words", "cat"]])
        each.fit_on_sequences([[1, 2, 2], [3]])
    for name in ("word_index", "index_word", "word_counts", "word_docs", "index_docs", "document_count"):
        assert getattr(ours, name) == getattr(theirs, name), name
    new = ["a new cat", "mat", ["cat", "Mat", "zebra"]]
    numbers = theirs.texts_to_sequences(new)
    assert ours.texts_to_sequences(new) == numbers
    assert ours.sequences_to_texts([*numbers, [1, 99]]) == theirs.sequences_to_texts([*numbers, [1, 99]])
    for mode in MODES:
        assert_close(ours.texts_to_matrix(new, mode), theirs.texts_to_matrix(new, mode), 1, mode)
    described, expected = ours.get_config(), theirs.get_config()
    assert described.keys() == expected.keys()
    for written, read in ((theirs, text), (ours, keras_text)):
        assert read.tokenizer_from_json(written.to_json()).texts_to_sequences([[*"cat"]]) == ours.texts_to_sequences(
            [[*"cat"]]
        )


@pytest.mark.parametrize("value", TEXTS)
def test_words_and_hashes(value: str) -> None:
    assert text.text_to_word_sequence(value) == keras_text.text_to_word_sequence(value)
    options: dict[str, Any] = {"filters": "a", "lower": False, "split": "-"}
    assert text.text_to_word_sequence(value, **options) == keras_text.text_to_word_sequence(value, **options)
    assert text.one_hot(value, 10) == keras_text.one_hot(value, 10)
    for function in (None, "md5", len):
        assert text.hashing_trick(value, 7, function) == keras_text.hashing_trick(value, 7, function)


def test_the_seed_is_also_numpys() -> None:
    drawn = []
    for library in (keras, pyrnn):
        library.utils.set_random_seed(9)
        drawn.append(np.random.rand(3))
    assert np.array_equal(*drawn)


def _pair() -> list[Any]:
    made = []
    for library in (keras, pyrnn):
        model = library.Sequential([library.Input((3, 2)), library.layers.SimpleRNN(4), library.layers.Dense(1)])
        model.compile(library.optimizers.SGD(0.05), "mse")
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    return made


def _loader(batches: int) -> Any:
    generator = np.random.default_rng(1)
    x = torch.from_numpy(generator.normal(size=(4 * batches, 3, 2)).astype("float32"))
    data = torch.utils.data.TensorDataset(x, x.sum(dim=(1, 2))[:, None])
    return torch.utils.data.DataLoader(data, batch_size=4)


LOADERS: dict[str, tuple[int, dict[str, Any]]] = {
    "passes": (3, {}),
    "steps": (4, {"steps_per_epoch": 2}),
    "steps that do not divide": (5, {"steps_per_epoch": 3}),
    "more steps than batches": (2, {"steps_per_epoch": 3}),
    "validation": (3, {"validation_data": _loader(3), "validation_steps": 2}),
}


@pytest.mark.filterwarnings("ignore:.*ran out of data", "ignore:.* ended after .* the epoch ends there")
@pytest.mark.parametrize("case", LOADERS)
def test_loaders(case: str) -> None:
    batches, options = LOADERS[case]
    theirs, ours = _pair()
    expected, actual = (
        model.fit(_loader(batches), epochs=2, shuffle=False, verbose=0, **options).history for model in (theirs, ours)
    )
    assert list(actual) == list(expected)
    for name in expected:
        assert_close(np.float32(actual[name]), np.float32(expected[name]), 4 * batches * 24, name)
    assert_close(
        np.float32(ours.evaluate(_loader(batches), verbose=0)),
        np.float32(theirs.evaluate(_loader(batches), verbose=0)),
        4 * batches * 24,
    )
    assert_close(ours.predict(_loader(batches), verbose=0), theirs.predict(_loader(batches), verbose=0), 24)


LABELLED: dict[str, tuple[str, int, Any]] = {
    "numbers": ("sparse_categorical_crossentropy", 3, LABELS),
    "column": ("sparse_categorical_crossentropy", 3, LABELS[:, None]),
    "one-hot": ("categorical_crossentropy", 3, np.eye(3)[LABELS]),
    "binary": ("binary_crossentropy", 1, LABELS % 2),
}


@pytest.mark.parametrize("case", LABELLED)
def test_class_weight(case: str) -> None:
    loss, units, y = LABELLED[case]
    made = []
    for library in (keras, pyrnn):
        activation = "sigmoid" if units == 1 else "softmax"
        model = library.Sequential([library.Input((3,)), library.layers.Dense(units, activation=activation)])
        model.compile(library.optimizers.SGD(0.1), loss)
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    options: dict[str, Any] = {"class_weight": {0: 0.25, 1: 3.0}, "epochs": 3, "shuffle": False, "verbose": 0}
    expected, actual = (model.fit(SERIES[:4], y, **options).history["loss"] for model in made)
    assert_close(np.float32(actual), np.float32(expected), 100)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 4, 1, 1)])
def test_a_last_axis_of_1(shape: tuple[int, ...]) -> None:
    x, made = SERIES.reshape(-1)[:24].reshape(shape), []
    for library in (keras, pyrnn):
        model = library.Sequential([library.Input((4, 1)), library.layers.GRU(3), library.layers.Dense(1)])
        model.compile(library.optimizers.SGD(0.1), "mse")
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    y = np.ones(6)
    expected, actual = (model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"] for model in made)
    assert_close(np.float32(actual), np.float32(expected), 100)
    assert_close(made[1].predict(x, verbose=0), made[0].predict(x, verbose=0), 100)


STEPS = [
    {"steps_per_epoch": 3},
    {"steps_per_epoch": 5},
    {"steps_per_epoch": 3, "batch_size": 5},
    {"validation_steps": 2},
]


@pytest.mark.filterwarnings("ignore:.*ran out of data", "ignore:.* ended after .* the epoch ends there")
@pytest.mark.parametrize("options", STEPS, ids=str)
def test_steps_of_arrays(options: dict[str, Any]) -> None:
    """Batch sizes follow from the steps. Where they do not divide the data an epoch ends with the data."""
    theirs, ours = _pair()
    x = SERIES[:48].reshape(24, 3, 2)
    y = x.sum(axis=(1, 2))[:, None]
    options = {**options, "validation_data": (x, y), "epochs": 2, "shuffle": False, "verbose": 0}
    expected, actual = (model.fit(x, y, **options).history for model in (theirs, ours))
    for name in expected:
        assert_close(np.float32(actual[name]), np.float32(expected[name]), 24 * 24, name)
    assert_close(
        np.float32(ours.evaluate(x, y, steps=5, verbose=0)), np.float32(theirs.evaluate(x, y, steps=5, verbose=0)), 576
    )
    assert_close(ours.predict(x, steps=5, verbose=0), theirs.predict(x, steps=5, verbose=0), 24)


def test_tensors() -> None:
    theirs, ours = _pair()
    x = torch.from_numpy(SERIES[:48].reshape(24, 3, 2).copy()).requires_grad_()
    y = torch.ones(24, 1)
    expected = theirs.fit(x.detach(), y, shuffle=False, verbose=0).history["loss"]
    assert_close(np.float32(ours.fit(x, y, shuffle=False, verbose=0).history["loss"]), np.float32(expected), 24 * 24)
    assert_close(ours.predict_on_batch(x), theirs.predict(x.detach(), verbose=0), 24)


def test_tensorflows_datasets_and_tensors() -> None:
    tf = pytest.importorskip("tensorflow", reason="reads its datasets and tensors")
    theirs, ours = _pair()
    x = SERIES[:48].reshape(24, 3, 2)
    y = x.sum(axis=(1, 2))[:, None]
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)
    options: dict[str, Any] = {"epochs": 2, "shuffle": False, "verbose": 0}
    expected = theirs.fit(data, validation_data=data, **options).history
    actual = ours.fit(data, validation_data=data, **options).history
    for name in expected:
        assert_close(np.float32(actual[name]), np.float32(expected[name]), 24 * 24, name)
    endless = data.repeat()
    assert_close(
        np.float32(ours.fit(endless, steps_per_epoch=5, **options).history["loss"]),
        np.float32(theirs.fit(endless, steps_per_epoch=5, **options).history["loss"]),
        24 * 24,
    )
    assert np.array_equal(ours.predict(tf.constant(x), verbose=0), ours.predict(x, verbose=0))
