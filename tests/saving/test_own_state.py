"""Layers that write variables and assets into files themselves."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

X = np.ones((2, 3), "float32")


class Table(layers.Layer):
    """Adds a number that no weight holds, and has a word in a file of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = layers.Dense(3, name="inner")
        self.table, self.word = np.zeros(2), ""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(), name="scale", initializer="ones")
        self.inner.build(input_shape)

    def call(self, x: Any) -> Any:
        return self.inner(x) * self.scale + float(self.table[0])

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["table"] = self.table

    def load_own_variables(self, store: Any) -> None:
        self.table = np.array(store.pop("table"))
        super().load_own_variables(store)

    def save_assets(self, inner_path: str) -> None:
        os.mkdir(os.path.join(inner_path, "below"))
        Path(inner_path, "below", "word.txt").write_text(self.word)

    def load_assets(self, inner_path: str) -> None:
        self.word = Path(inner_path, "below", "word.txt").read_text()


def model_of(place: str) -> tuple[Any, Any]:
    table = Table(name="table")
    x = pyrnn.Input((3,))
    if place == "top":
        return pyrnn.Sequential([pyrnn.Input((3,)), table]), table
    return pyrnn.Model(x, pyrnn.Sequential([pyrnn.Input((3,)), layers.Dense(3), table])(x)), table


def table_in(model: Any) -> Any:
    inner = model.layers[-1]
    return inner if isinstance(inner, Table) else inner.layers[-1]


@pytest.mark.parametrize("place", ["top", "nested"])
def test_files(place: str, tmp_path: Path) -> None:
    model, table = model_of(place)
    table.table, table.word = np.array([3.0, 4.0]), "flights"
    table.scale.assign(2.0)
    model.save(tmp_path / "m.keras")
    loaded = pyrnn.load_model(tmp_path / "m.keras", custom_objects={"Table": Table})
    again = table_in(loaded)
    assert again.word == "flights" and again.table.tolist() == [3.0, 4.0] and float(again.scale) == 2.0
    np.testing.assert_array_equal(loaded(X), model(X))

    model.save_weights(tmp_path / "m.weights.h5")
    other, its_table = model_of(place)
    other.load_weights(tmp_path / "m.weights.h5")
    assert its_table.word == "" and its_table.table.tolist() == [3.0, 4.0]
    np.testing.assert_array_equal(other(X), model(X))


def test_assets_stay_inside(tmp_path: Path) -> None:
    model, _ = model_of("top")
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        names = [name for name in archive.namelist() if name.startswith("assets/")]
        for name in ("../evil.txt", "/evil.txt", "C:\\evil.txt", "..\\evil.txt"):
            archive.writestr(f"assets/layers/table/{name}", "evil")
    assert names == ["assets/layers/table/below/word.txt"]
    before = sorted(tmp_path.iterdir())
    assert table_in(pyrnn.load_model(path, custom_objects={"Table": Table})).word == ""
    assert sorted(tmp_path.iterdir()) == before and not list(tmp_path.parent.glob("evil*"))


def test_what_is_stored_is_checked(tmp_path: Path) -> None:
    model, table = model_of("top")
    table.table = "no array"
    with pytest.raises(
        TypeError, match=r"save_own_variables\(\) of 'table' must store arrays of numbers, got 'no array'"
    ):
        model.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"layer 'dense.*' has 2 weights of its own, the file holds \['0'\]"):
        layer = layers.Dense(2)
        layer.build((None, 3))
        layer.load_own_variables({"0": np.ones((3, 2))})
