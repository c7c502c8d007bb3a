"""What data may be, and the tools that prepare it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import utils
from pyrnn.preprocessing import sequence, text

X = np.random.default_rng(0).normal(size=(12, 5, 3)).astype("float32")
Y = X[:, 0, :1]


def make_model() -> pyrnn.Sequential:
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), pyrnn.layers.SimpleRNN(4), pyrnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Again:
    """Batches that can be walked again, as a DataLoader's."""

    def __init__(self, counted: bool) -> None:
        if counted:
            self.__class__ = type("Counted", (Again,), {"__len__": lambda self: 3})

    def __iter__(self) -> Any:
        return iter([(X[i : i + 4], Y[i : i + 4]) for i in range(0, 12, 4)])


@pytest.mark.parametrize("counted", [True, False])
def test_what_can_be_walked_again_starts_anew(counted: bool) -> None:
    start = make_model().get_weights()
    models = [make_model(), make_model()]
    for model in models:
        model.set_weights(start)
    histories = [
        models[0].fit(Again(counted), epochs=3, verbose=0).history,
        models[1].fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0).history,
    ]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)
    assert len(models[0].fit(Again(counted), steps_per_epoch=2, epochs=4, verbose=0).epoch) == 4
    assert models[0].predict(Again(counted), verbose=0).shape == (12, 1)


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, 0], columns=["a", "b", "c"])
    model = pyrnn.Sequential([pyrnn.Input((3,)), pyrnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(frame, frame["a"], verbose=0, epochs=2).history
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_allclose(model.predict(frame, verbose=0), model.predict(X[:, 0], verbose=0))


def test_torch_loaders() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    model = make_model()
    assert len(model.fit(loader, epochs=3, verbose=0).epoch) == 3
    assert model.evaluate(loader, verbose=0) == pytest.approx(model.evaluate(X, Y, batch_size=4, verbose=0), rel=1e-5)
    assert model.predict(torch.tensor(X), verbose=0).shape == (12, 1)


def test_windows_train() -> None:
    series = np.sin(np.arange(200) / 5)[:, None]
    windows = utils.timeseries_dataset_from_array(series[:-10], series[10:], 10, batch_size=16, shuffle=True, seed=1)
    model = pyrnn.Sequential([pyrnn.Input((10, 1)), pyrnn.layers.LSTM(8), pyrnn.layers.Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(windows, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    first, again = (next(iter(windows))[0] for _ in range(2))
    assert not np.array_equal(first, again)
    with pytest.raises(ValueError, match="no window of 300 steps"):
        utils.timeseries_dataset_from_array(series, None, 300)


def test_timeseries_generator() -> None:
    data, targets = np.arange(20), np.arange(20) * 10
    generator = sequence.TimeseriesGenerator(data, targets, length=5, sampling_rate=2, batch_size=4)
    assert len(generator) == 4
    x, y = generator[0]
    np.testing.assert_array_equal(x, [[0, 2, 4], [1, 3, 5], [2, 4, 6], [3, 5, 7]])
    np.testing.assert_array_equal(y, [50, 60, 70, 80])
    assert [len(generator[i][0]) for i in range(4)] == [4, 4, 4, 3]
    backwards = sequence.TimeseriesGenerator(data, targets, 5, stride=3, start_index=2, end_index=15, reverse=True)
    np.testing.assert_array_equal(backwards[0][1], [70, 100, 130])
    np.testing.assert_array_equal(backwards[0][0][0], [6, 5, 4, 3, 2])
    with pytest.raises(ValueError, match="too short for one window"):
        sequence.TimeseriesGenerator(data, targets, length=20)
    series = np.sin(np.arange(60) / 5)[:, None]
    model = pyrnn.Sequential([pyrnn.Input((5, 1)), pyrnn.layers.SimpleRNN(4), pyrnn.layers.Dense(1)])
    model.compile("adam", "mse")
    assert model.fit_generator(sequence.TimeseriesGenerator(series, series, 5, batch_size=8), epochs=2, verbose=0)


def test_tokenizer() -> None:
    texts = ["The cat sat on the mat.", "The dog, the cat!", "A bird"]
    tokenizer = text.Tokenizer(num_words=4, oov_token="?")
    tokenizer.fit_on_texts(texts)
    assert list(tokenizer.word_index)[:3] == ["?", "the", "cat"]
    assert tokenizer.texts_to_sequences(["the cat flew"]) == [[2, 3, 1]]
    assert tokenizer.sequences_to_texts([[2, 3]]) == ["the cat"]
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(["the the cat"], "count"), [[0, 0, 2, 1]])
    again = text.tokenizer_from_json(tokenizer.to_json())
    assert again.texts_to_sequences(texts) == tokenizer.texts_to_sequences(texts)
    assert text.text_to_word_sequence("Hello, World") == ["hello", "world"]
    assert all(1 <= number < 10 for number in text.hashing_trick("a b c d", 10, "md5"))


def test_split() -> None:
    left, right = utils.split_dataset(np.arange(10), left_size=0.7)
    np.testing.assert_array_equal(left, np.arange(7))
    np.testing.assert_array_equal(right, [7, 8, 9])
    (x, y), _ = utils.split_dataset((X, Y), right_size=4, shuffle=True, seed=3)
    assert len(x) == len(y) == 8 and np.array_equal(x[:, 0, :1], y)
    with pytest.raises(ValueError, match="ask for 8 and 5 of 10 samples"):
        utils.split_dataset(np.arange(10), left_size=8, right_size=5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sequence.pad_sequences([[1]], padding="left"), "padding must be 'pre' or 'post', got 'left'"),
        (lambda: sequence.pad_sequences([[[1, 2]], [[1]]]), r"steps of shape \(2,\), got \(1,\)"),
        (lambda: sequence.pad_sequences([[1], [2]], value="x"), "cannot hold the value 'x'"),
    ],
)
def test_bad_padding(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
