"""Data utilities beside Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pyrnn import utils

RAGGED = [[1, 2, 3], [4], [], [5, 6, 7, 8, 9]]
VECTORS = [np.arange(6.0).reshape(3, 2), np.ones((1, 2))]
PADDING: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (RAGGED, {}),
    "post": (RAGGED, {"padding": "post"}),
    "short": (RAGGED, {"maxlen": 2}),
    "short-post": (RAGGED, {"maxlen": 2, "truncating": "post", "padding": "post"}),
    "long": (RAGGED, {"maxlen": 7, "value": -1}),
    "float": (RAGGED, {"dtype": "float32", "value": 0.5}),
    "vectors": (VECTORS, {"dtype": "float32"}),
}


@pytest.mark.parametrize("case", PADDING)
def test_pad_sequences(case: str) -> None:
    sequences, options = PADDING[case]
    expected = keras.utils.pad_sequences(sequences, **options)
    actual = utils.pad_sequences(sequences, **options)
    np.testing.assert_array_equal(actual, expected)
    assert actual.dtype == expected.dtype


WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"sequence_length": 4, "batch_size": 3},
    "stride": {"sequence_length": 4, "sequence_stride": 3, "batch_size": 2},
    "rate": {"sequence_length": 4, "sampling_rate": 2, "batch_size": 5},
    "part": {"sequence_length": 3, "start_index": 2, "end_index": 15, "batch_size": 4},
    "all": {"sequence_length": 3, "sequence_stride": 2, "sampling_rate": 3, "start_index": 1, "batch_size": 2},
    "single": {"sequence_length": 3, "batch_size": None},
}


@pytest.mark.parametrize("targets", [False, True])
@pytest.mark.parametrize("case", WINDOWS)
def test_windows(case: str, targets: bool) -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="Keras makes windows with tf.data only")
    assert tensorflow
    data = np.arange(40.0).reshape(20, 2)
    labels = np.arange(20.0) * 10 if targets else None
    expected = list(keras.utils.timeseries_dataset_from_array(data, labels, **WINDOWS[case]))
    actual = list(utils.timeseries_dataset_from_array(data, labels, **WINDOWS[case]))
    assert len(actual) == len(expected)
    for mine, theirs in zip(actual, expected, strict=True):
        for one, other in zip(mine if targets else [mine], theirs if targets else [theirs], strict=True):
            np.testing.assert_array_equal(one, other.numpy())


# Keras's own fails along other axes than the last.
@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (-1, 1), (-1, np.inf)])
def test_normalize(axis: int, order: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    x[1] = 0
    np.testing.assert_allclose(utils.normalize(x, axis, order), keras.utils.normalize(x, axis, order), rtol=1e-6)


@pytest.mark.parametrize("labels", [[0, 2, 1], [[0], [3]], np.arange(6).reshape(2, 3)])
def test_to_categorical(labels: Any) -> None:
    np.testing.assert_array_equal(utils.to_categorical(labels), keras.utils.to_categorical(labels))
    np.testing.assert_array_equal(utils.to_categorical(labels, 7), keras.utils.to_categorical(labels, 7))
