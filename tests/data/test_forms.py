"""Data in every form; windows, padding, texts, splits."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, utils
from pyrnn.data import as_batches
from pyrnn.data.arrays import as_float
from pyrnn.preprocessing import sequence, text

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3, 2)).astype(np.float32)
Y = RNG.normal(size=(12, 1)).astype(np.float32)
WEIGHT = np.linspace(0.5, 2, 12, dtype=np.float32)


class ArrayLike:
    """An array like TensorFlow's and JAX's tensors."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.array, dtype)


class Tensor(ArrayLike):
    """A tensor like PyTorch's, which must be detached and moved to the CPU first."""

    ready = False

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        made = Tensor(self.array)
        made.ready = True
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if not self.ready:
            raise RuntimeError("call detach first")
        return np.asarray(self.array, dtype)


class Loader:
    """Batches of 4 at every pass, like a DataLoader, without shape and dtype."""

    def __init__(self, passes: list[int] | None = None, wrap: Any = np.asarray) -> None:
        self.passes, self.wrap = [] if passes is None else passes, wrap

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        self.passes.append(1)
        for start in (0, 4, 8):
            yield [self.wrap(X[start : start + 4]), self.wrap(Y[start : start + 4])]


class Plain:
    """An iterable without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter(Loader())


def model() -> pyrnn.Sequential:
    utils.set_random_seed(1)
    made = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1)])
    made.compile("adam", "mse")
    return made


def fitted(x: Any, y: Any = None, **options: Any) -> list[Any]:
    made = model()
    made.fit(x, y, epochs=2, shuffle=False, verbose=0, **options)
    return made.get_weights()


def same(first: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


FORMS: dict[str, Any] = {
    "array-like": lambda: (ArrayLike(X), ArrayLike(Y)),
    "tensor": lambda: (Tensor(X), Tensor(Y)),
    "loader": lambda: (Loader(), None),
    "loader-of-tensors": lambda: (Loader(wrap=Tensor), None),
    "iterable": lambda: (Plain(), None),
    "dataset": lambda: (Dataset(), None),
}


X_OTHER = RNG.normal(size=(12, 3)).astype(np.float32)
ONE_INPUT, ONE_OUTPUT = (f"must be one array, since the model has one {name}, got a " for name in ("input", "output"))
SINGLE: dict[str, tuple[Callable[[], tuple[Any, Any]], str]] = {
    "list": (
        lambda: ([X, X_OTHER], Y),
        f"x {ONE_INPUT}list of 2 arrays of shapes \\(12, 3, 2\\), \\(12, 3\\); join them along the last axis",
    ),
    "list of one shape": (lambda: ([X, X], Y), "for each of the 2 samples .*; x must be one array, not a list of 2"),
    "list of one sample": (lambda: ([X[0]], Y), "y must have one row for each of the 1 samples of x"),
    "tuple": (lambda: ((X, Y), None), f"x {ONE_INPUT}tuple of 2 arrays of shapes .*; pass y as a second argument"),
    "dict": (lambda: ({"series": X, "ids": X_OTHER}, Y), f"x {ONE_INPUT}dict of 'series', 'ids'; join arrays"),
    "dict of one": (lambda: ({"series": X}, Y), f"x {ONE_INPUT}dict of 'series'; pass x\\['series'\\]"),
    "empty dict": (lambda: ({}, Y), "got a dict of nothing$"),
    "outputs": (lambda: (X, [Y, Y]), "y must be one array, not a list of 2"),
    "outputs of two shapes": (lambda: (X, [Y, Y[:, 0]]), f"y {ONE_OUTPUT}list"),
    "dict of outputs": (lambda: (X, {"up": Y}), f"y {ONE_OUTPUT}dict of 'up'; pass y\\['up'\\]"),
    "batches of lists": (lambda: (iter([([X, X_OTHER], Y)]), None), f"x {ONE_INPUT}list of 2"),
    "batches of dicts": (lambda: (iter([{"x": X, "y": Y}]), None), r"a batch must be .*, got a dict of 'x', 'y'"),
    "nothing": (lambda: (None, Y), "x is missing: pass arrays x and y, or as x a generator, loader or PyDataset"),
    "neither": (lambda: (None, None), "x is missing"),
}


@pytest.mark.parametrize("case", SINGLE)
def test_a_model_has_one_input_and_one_output(case: str) -> None:
    make, message = SINGLE[case]
    for method in ("fit", "evaluate"):
        x, y = make()
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            getattr(model(), method)(x, y, verbose=0)
        assert len(str(caught.value).splitlines()) == 1
    x, y = make()
    if y is not None:
        with pytest.raises((TypeError, ValueError), match=message):
            model().train_on_batch(x, y)
        with pytest.raises((TypeError, ValueError), match="validation_data: "):
            model().fit(X, Y, validation_data=(x, y), verbose=0)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_one_array_may_be_in_a_list_or_dict() -> None:
    expected = fitted(X, Y, sample_weight=WEIGHT)
    assert same(fitted([X], [Y], sample_weight=[WEIGHT]), expected)
    assert same(fitted((X,), (Y,), sample_weight=(WEIGHT,)), expected)
    made = model()
    series, target = made.signature().inputs.names[0], made.signature().outputs.names[0]
    made.fit({series: X, "other": X}, {target: Y}, epochs=2, shuffle=False, verbose=0, sample_weight={target: WEIGHT})
    assert same(made.get_weights(), expected)
    assert np.array_equal(made.predict([X], verbose=0), made.predict(X, verbose=0))
    assert np.array_equal(made.predict({series: X}, verbose=0), made.predict(X, verbose=0))


def test_a_list_of_one_sample_is_an_array() -> None:
    made = model()
    assert np.array_equal(made.predict([X[0]], verbose=0), made.predict(X[:1], verbose=0))
    assert made.evaluate([X[0]], [Y[0]], verbose=0) == made.evaluate(X[:1], Y[:1], verbose=0)
    assert made.evaluate([X[:1]], [Y[:1]], verbose=0) == made.evaluate(X[:1], Y[:1], verbose=0)
    unbuilt = pyrnn.Sequential([layers.SimpleRNN(2), layers.Dense(1)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(ValueError, match="x must be one array, not a list of 1"):
        unbuilt.fit([X], Y, verbose=0)


def test_lists_of_samples_are_one_array() -> None:
    assert same(fitted(list(X), list(Y)), fitted(X, Y))


class Dataset(utils.PyDataset):
    """The same batches by index."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_trains_as_arrays_do(form: str) -> None:
    x, y = FORMS[form]()
    assert same(fitted(x, y, batch_size=4), fitted(X, Y, batch_size=4))
    made = model()
    assert np.array_equal(made.predict(x, batch_size=4, verbose=0), made.predict(X, batch_size=4, verbose=0))
    assert made.evaluate(x, y, batch_size=4, verbose=0) == made.evaluate(X, Y, batch_size=4, verbose=0)


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
def test_a_loader_starts_anew_each_epoch_and_validates_each_time() -> None:
    passes: list[int] = []
    history = model().fit(Loader(passes), validation_data=Loader(), epochs=3, verbose=0).history
    assert len(passes) == 3 and len(history["val_loss"]) == 3
    assert same(fitted(Plain(), steps_per_epoch=2), fitted(X, Y, batch_size=4, steps_per_epoch=2))


def test_validation_split_of_tensors_and_not_of_loaders() -> None:
    options: dict[str, Any] = {"validation_split": 0.25, "batch_size": 3}
    assert same(fitted(Tensor(X), Tensor(Y), **options), fitted(X, Y, **options))
    with pytest.raises(ValueError, match="validation_split needs arrays"):
        fitted(Loader(), **options)


def test_tables() -> None:
    pandas = pytest.importorskip("pandas", reason="reads tables of an optional package")
    flat = X.reshape(12, 6)
    frame = pandas.DataFrame(flat, columns=list("abcdef"))

    def train(x: Any, y: Any) -> list[Any]:
        utils.set_random_seed(1)
        made = pyrnn.Sequential([layers.Dense(2, input_shape=(6,)), layers.Dense(1)])
        made.compile("adam", "mse")
        made.fit(x, y, epochs=2, shuffle=False, verbose=0)
        return made.get_weights()

    assert same(train(frame, pandas.Series(Y[:, 0])), train(flat, Y))
    mixed = frame.assign(a=frame["a"] > 0, b=pandas.array([1, None, *range(10)], dtype="Int64"))
    array = as_float("x", mixed, "float32")
    assert array.dtype == np.float32 and np.isnan(array[1, 1]) and set(array[:, 0]) <= {0, 1}
    with pytest.raises(TypeError, match="x must hold numbers"):
        as_float("x", frame.assign(a="text"), "float32")


def test_integers_stay_where_they_may() -> None:
    whole = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert as_float("x", whole[:, ::-1], "float32", allow_integers=True).dtype == np.int32
    assert as_float("x", whole, "float32").dtype == np.float32
    assert as_float("x", whole > 2, "float32", allow_integers=True).dtype == np.float32


def test_the_queue_of_a_dataset_is_bounded() -> None:
    lock, open_batches, most = threading.Lock(), [0], [0]

    class Counted(Dataset):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Any:
            with lock:
                open_batches[0] += 1
                most[0] = max(most[0], open_batches[0])
            return X, Y

    for _ in as_batches(Counted(workers=4, max_queue_size=3), dtype="float32").epoch():
        time.sleep(0.002)
        with lock:
            open_batches[0] -= 1
    assert 1 < most[0] <= 4  # three in the queue and the one in the consumer's hands


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_dataset_without_end(workers: int) -> None:
    class Endless(utils.PyDataset):  # it has no __len__
        def __getitem__(self, index: int) -> Any:
            return Dataset()[index % 3]

    twice: Any = (np.concatenate([X, X]), np.concatenate([Y, Y]))
    assert same(fitted(Endless(workers=workers), steps_per_epoch=2), fitted(*twice, batch_size=4, steps_per_epoch=2))
    with pytest.raises(ValueError, match="steps_per_epoch"):
        fitted(Endless())
    assert len(list(Dataset())) == 3


PADDED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "floats": ([[1, 2], [3, 0.56]], {}, "0.56 of sequences became 0 in dtype int32; pass dtype='float32'"),
    "arrays": ([np.array([1.5, 2]), np.array([3.0])], {"dtype": "int64"}, "1.5 of sequences became 1 in dtype int64"),
    "negative": ([[-0.5]], {"dtype": "int8"}, "-0.5 of sequences became 0"),
    "value": ([[1]], {"value": 0.5, "maxlen": 2}, "0.5 of value became 0 in dtype int32"),
}


@pytest.mark.parametrize("case", PADDED)
def test_padding_that_loses_fractions_warns(case: str) -> None:
    sequences, options, message = PADDED[case]
    with pytest.warns(UserWarning, match=message):
        sequence.pad_sequences(sequences, **options)


def test_padding_that_keeps_every_number_is_silent() -> None:
    assert sequence.pad_sequences([[1.0, 2.0], [3]]).tolist() == [[1, 2], [0, 3]]
    assert sequence.pad_sequences([[0.56]], dtype="float32").dtype == np.float32
    assert sequence.pad_sequences([[0.56, 1], [2]], maxlen=1).tolist() == [
        [1],
        [2],
    ]  # the steps beyond maxlen are dropped, not rounded
    assert sequence.pad_sequences([["1", "2"]]).tolist() == [[1, 2]]
    assert sequence.pad_sequences([[0.5, 0]], dtype=bool).tolist() == [[True, False]]


def test_windows_train() -> None:
    series = np.arange(40, dtype=np.float32)[:, None] * [1, 2]
    windows = utils.timeseries_dataset_from_array(series[:-3], series[3:, :1], 3, batch_size=8)
    assert len(windows) == 5 and [len(x) for x, _ in windows] == [8, 8, 8, 8, 3]
    x, y = (np.concatenate(parts) for parts in zip(*windows, strict=True))
    assert np.array_equal(x[4], series[4:7]) and y[4] == series[7, 0]
    assert same(fitted(windows, validation_data=windows), fitted(x, y, batch_size=8))
    alone = utils.timeseries_dataset_from_array(series, None, 3)
    assert model().predict(alone, verbose=0).shape == (38, 1)


def test_windows_in_another_order_at_each_pass() -> None:
    made = [utils.timeseries_dataset_from_array(np.arange(30), None, 2, shuffle=True, seed=3) for _ in "ab"]
    first, second = np.concatenate(list(made[0])), np.concatenate(list(made[0]))
    assert not np.array_equal(first, second) and np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
    assert np.array_equal(first, np.concatenate(list(made[1])))


def test_timeseries_generator_round_trip_and_training() -> None:
    series = np.arange(40.0).reshape(20, 2)
    made = sequence.TimeseriesGenerator(series, series[:, :1], 3, start_index=2, stride=2, batch_size=4, reverse=True)
    again = sequence.timeseries_generator_from_json(made.to_json(indent=1))
    for first, other in zip(made, again, strict=True):
        assert np.array_equal(first[0], other[0]) and np.array_equal(first[1], other[1])
    assert len(fitted(made)) == 5
    shuffled = sequence.TimeseriesGenerator(series, series[:, :1], 3, shuffle=True, batch_size=4)
    x, y = shuffled[0]
    assert x.shape == (4, 3, 2) and np.array_equal(x[:, -1, 0] + 2, y[:, 0])


def test_tokenizer_round_trip() -> None:
    made = text.Tokenizer(num_words=4, oov_token="?")
    made.fit_on_texts(["the cat sat", "the dog, the cat"])
    again = text.tokenizer_from_json(made.to_json())
    assert made.texts_to_sequences(["a cat sat"]) == again.texts_to_sequences(["a cat sat"]) == [[1, 3, 1]]
    assert json.loads(again.to_json()) == json.loads(made.to_json())
    assert again.sequences_to_texts([[1, 2, 3, 4]]) == ["? the cat ?"]


@pytest.mark.parametrize("mode", text.MODES)
def test_tokenizer_matrices(mode: str) -> None:
    made = text.Tokenizer(num_words=4)  # numbers by frequency: the, cat, sat; dog is number 4, which is left out
    made.fit_on_texts(["the cat sat", "the dog, the cat", "the sat"])
    matrix = made.texts_to_matrix(["the the sat", "dog"], mode)
    first, two = {
        "binary": (1.0, 1.0),
        "count": (1, 2),
        "freq": (1 / 3, 2 / 3),
        # "sat" is in two of three texts, "the" in all.
        "tfidf": (np.log(1 + 3 / (1 + 2)), (1 + np.log(2)) * np.log(1 + 3 / (1 + 3))),
    }[mode]
    np.testing.assert_allclose(matrix, [[0, two, 0, first], [0, 0, 0, 0]])


def test_words_of_lists_letters_and_functions() -> None:
    assert list(text.Tokenizer(char_level=True)._words("aB")) == ["a", "b"]
    made = text.Tokenizer(char_level=True, lower=False)
    made.fit_on_texts(["abA", "a"])
    assert made.texts_to_sequences(["aAb"]) == [[1, 3, 2]]
    made = text.Tokenizer()
    made.fit_on_texts([["One", "two"], "ONE"])
    assert made.word_index == {"one": 1, "two": 2}
    made = text.Tokenizer(analyzer=lambda line: line.split("-"))
    made.fit_on_texts(["a-b", "b"])
    assert made.texts_to_sequences(["a-b-c"]) == [[2, 1]]


def test_hashes_of_words() -> None:
    assert text.hashing_trick("The cat, the dog", 50, "md5") == text.hashing_trick("the cat the dog", 50, "md5")
    first, _, again, _ = text.hashing_trick("the cat the dog", 50, "md5")
    assert first == again == int(hashlib.md5(b"the").hexdigest(), 16) % 49 + 1
    assert text.hashing_trick("a bb", 10, len) == [2, 3]
    assert text.hashing_trick("a-bb", 10, len, analyzer=lambda line: line.split("-")) == [2, 3]
    assert text.one_hot("a b", 7) == [hash("a") % 6 + 1, hash("b") % 6 + 1]


def test_split_of_datasets_and_arrays() -> None:
    left, right = utils.split_dataset(Dataset(), left_size=2)
    assert len(left) == 2 and len(right) == 1 and np.array_equal(right[0][0], X[8:])
    (x, y), (rest, _) = utils.split_dataset((X, Y), right_size=0.25, shuffle=True, seed=0)
    assert x.shape == (9, 3, 2) and y.shape == (9, 1) and len(rest) == 3
    assert np.array_equal(np.sort(np.concatenate([x, rest]), axis=0), np.sort(X, axis=0))


def test_one_seed_for_the_script() -> None:
    draws = []
    for _ in range(2):
        utils.set_random_seed(5)
        draws.append((random.random(), np.random.rand(), model().get_weights()[0][0, 0]))
    assert draws[0] == draws[1]


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "workers": (lambda: Dataset(workers=-1), ValueError, "workers must be at least 0, got -1"),
    "loader-and-y": (lambda: fitted(Loader(), Y), ValueError, "y must be left out when x is a generator, loader"),
    "empty-loader": (lambda: fitted(iter([])), ValueError, "must yield at least one batch"),
    "mapping": (lambda: fitted({"a": X}, Y), TypeError, "x must be one array"),
    "pad-numbers": (lambda: sequence.pad_sequences([1, 2]), TypeError, "sequences must hold sequences, got 1"),
    "pad-side": (lambda: sequence.pad_sequences([[1]], padding="left"), ValueError, "padding must be 'pre' or 'post'"),
    "pad-shapes": (lambda: sequence.pad_sequences([[[1, 2]], [[1]]]), ValueError, "items of one shape"),
    "pad-text": (lambda: sequence.pad_sequences([[1]], value="a"), ValueError, "needs dtype=object"),
    "pad-range": (lambda: sequence.pad_sequences([[1], [2**40]]), ValueError, f"must fit dtype int32, got {2**40}"),
    "pad-array-range": (lambda: sequence.pad_sequences(np.full((1, 2), 2**40)), ValueError, "must fit dtype int32"),
    "pad-nan": (lambda: sequence.pad_sequences([[1.0, np.nan]]), ValueError, "sequences must fit dtype int32, got nan"),
    "pad-sign": (lambda: sequence.pad_sequences([[-1]], dtype="uint8"), ValueError, "must fit dtype uint8, got -1"),
    "pad-huge": (lambda: sequence.pad_sequences([[10**30]]), ValueError, r"fit dtype int32, got \[1000.* at 0"),
    "pad-texts": (lambda: sequence.pad_sequences([[1], ["a"]]), ValueError, r"fit dtype int32, got \['a'\] at 1"),
    "pad-ragged": (
        lambda: sequence.pad_sequences([[[1, 2], [3]]]),
        ValueError,
        "items of one shape that fit dtype int32",
    ),
    "windows-end": (
        lambda: utils.timeseries_dataset_from_array(X, None, 2, end_index=12),
        ValueError,
        "end_index must lie in 1..11",
    ),
    "windows-start": (
        lambda: utils.timeseries_dataset_from_array(X, None, 2, start_index=-1),
        ValueError,
        "start_index must lie in 0..11",
    ),
    "windows-format": (
        lambda: utils.timeseries_dataset_from_array(X, None, 2, format="np"),
        ValueError,
        "format must be one of tf, grain",
    ),
    "generator-short": (lambda: sequence.TimeseriesGenerator(X, Y, 12), ValueError, "no window fits"),
    "generator-lengths": (lambda: sequence.TimeseriesGenerator(X, Y[1:], 2), ValueError, "one length, got 12 and 11"),
    "no-window": (
        lambda: utils.timeseries_dataset_from_array(np.ones((12, 1)), None, 7, sampling_rate=2),
        ValueError,
        "data must hold at least one window, which spans 13 steps, got 12 rows",
    ),
    "split-nothing": (lambda: utils.split_dataset(X), ValueError, "left_size or right_size must be set"),
    "split-share": (lambda: utils.split_dataset(X, 1.5), ValueError, "left_size must lie between 0 and 1"),
    "split-sum": (lambda: utils.split_dataset(X, 8, 8), ValueError, "must not be more than all 12 samples"),
    "split-kind": (lambda: utils.split_dataset("data", 1), TypeError, "dataset must be an array"),
    "split-backend": (
        lambda: utils.split_dataset(X, 1, preferred_backend="torch"),
        ValueError,
        "preferred_backend must be None",
    ),
    "matrix-mode": (lambda: text.Tokenizer(5).sequences_to_matrix([[1]], "sum"), ValueError, "mode must be one of"),
    "matrix-unfit": (lambda: text.Tokenizer().sequences_to_matrix([[1]]), ValueError, "needs num_words or texts"),
    "matrix-tfidf": (
        lambda: text.Tokenizer(5).sequences_to_matrix([[1]], "tfidf"),
        ValueError,
        "must learn from texts .* before mode",
    ),
    "hash": (lambda: text.hashing_trick("a", 9, "sha1"), ValueError, "hash_function must be None, 'md5'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        ([-1], None, "class numbers of at least 0"),
        ([0.5], None, "whole class numbers"),
        ([2.0**40], None, "class numbers below"),
        ([3], 3, "class numbers between 0 and 2, got 3"),
    ],
)
def test_wrong_class_numbers(x: list[float], classes: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(x, classes)
