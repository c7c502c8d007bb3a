"""Inputs that may be None: values, gradients, every form of data, files, and the layers that cannot read None."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers

RNG = np.random.default_rng(8)
X, Z = (RNG.normal(size=(6, 3)).astype("float32") for _ in range(2))
Y = RNG.normal(size=(6, 2)).astype("float32")


@pyrnn.saving.register_keras_serializable(package="tests")
class MaybeAdd(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, x: Any, more: Any = None) -> Any:
        return self.dense(x if more is None else x + more)


def model_of() -> Any:
    more, x = pyrnn.Input((3,), name="a_more", optional=True), pyrnn.Input((3,), name="x")
    model = pyrnn.Model({"x": x, "a_more": more}, MaybeAdd(name="layer")(layers.Rescaling(1.0)(x), more))
    model.compile(pyrnn.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("is_there", [False, True])
def test_training_with_and_without_the_input(is_there: bool) -> None:
    model = model_of()
    dense = model.get_layer("layer").dense
    kernel, bias = (each.numpy().astype(float) for each in dense.weights)
    inputs: Any = {"x": X, "a_more": Z if is_there else None}
    read = X + Z if is_there else X
    predicted = read @ kernel + bias
    assert_close(model.predict(inputs, verbose=0), predicted, terms=16)
    assert_close(np.float32(model.evaluate(inputs, Y, verbose=0)), np.mean((predicted - Y) ** 2), terms=16)
    model.train_on_batch(inputs, Y)
    slope = 2 * (predicted - Y) / Y.size
    assert_close(dense.kernel.numpy(), kernel - 0.1 * read.T @ slope, terms=64)


def batches() -> Iterator[Any]:
    for number in range(4):
        part = slice(number, number + 2)
        yield {"x": X[part], "a_more": Z[part] if number % 2 else None}, Y[part]


class Dataset(pyrnn.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return list(batches())[index]


def test_every_form_of_data() -> None:
    pyrnn.utils.set_random_seed(1)
    first, other, by_hand = model_of(), model_of(), model_of()
    other.set_weights(first.get_weights())
    by_hand.set_weights(first.get_weights())
    first.fit(batches(), verbose=0)
    other.fit(Dataset(), shuffle=False, verbose=0)
    for x, y in batches():
        by_hand.train_on_batch(x, y)
    for model in (first, other):
        assert all(map(np.array_equal, model.get_weights(), by_hand.get_weights()))
    history = first.fit({"x": X, "a_more": None}, Y, batch_size=4, validation_split=0.5, verbose=0).history
    assert set(history) == {"loss", "val_loss"}
    assert first.predict({"x": X, "a_more": None}, verbose=0).shape == (6, 2)


def test_files_and_configs_keep_it(tmp_path: Path) -> None:
    model = model_of()
    model.save(tmp_path / "m.keras")
    read = pyrnn.load_model(tmp_path / "m.keras")
    assert read.get_layer("a_more").optional and not read.get_layer("x").optional
    inputs: Any = {"x": X, "a_more": None}
    assert np.array_equal(read.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


def test_what_cannot_be_none() -> None:
    model = model_of()
    with pytest.raises(ValueError, match=r"x\['x'\] must be an array, got None: the input is not optional"):
        model({"x": None, "a_more": Z})
    first, second = pyrnn.Input((3,), name="first"), pyrnn.Input((3,), name="second", optional=True)
    added = pyrnn.Model([first, second], layers.Add(name="sum")([first, second]))
    assert added.predict([X, Z], verbose=0).shape == (6, 3)
    with pytest.raises(ValueError, match=r"input 'second' is None, which layer 'sum' \(Add\) cannot read"):
        added.predict([X, None], verbose=0)
    both = [pyrnn.Input((3,), optional=True), pyrnn.Input((3,), optional=True)]
    with pytest.raises(ValueError, match="all of them are None"):
        pyrnn.Model(both, MaybeAdd()(*both)).predict([None, None], verbose=0)
