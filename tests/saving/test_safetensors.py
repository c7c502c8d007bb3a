"""Weights in safetensors files: names, bits, damaged files, and files that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import pyrnn
from pyrnn import layers
from pyrnn.export import to_safetensors
from pyrnn.interop import load_safetensors, read_safetensors


def build(units: int = 3, **options: Any) -> pyrnn.Sequential:
    return pyrnn.Sequential(
        [
            layers.Input((5, 2)),
            layers.Bidirectional(layers.LSTM(units, return_sequences=True)),
            layers.BatchNormalization(),
            layers.TimeDistributed(layers.Dense(4)),
            layers.GRU(4, return_sequences=True),
            layers.GRU(4, name="last"),
            layers.Dense(1),
        ],
        **options,
    )


def bits(model: Any) -> list[bytes]:
    return [weight.tobytes() for weight in model.get_weights()]


def test_weights_come_back_by_their_names(tmp_path: Path) -> None:
    """Into a second model too, whose automatic names differ."""
    path = tmp_path / "model.safetensors"
    first, second = build(), build()
    assert first.layers[0].name != second.layers[0].name
    to_safetensors(first, path)
    assert bits(first) != bits(second)
    load_safetensors(second, path)
    assert bits(first) == bits(second)
    assert list(read_safetensors(path)) == sorted(
        [
            *(f"bidirectional/{way}_lstm/lstm_cell/{each}" for way in ("forward", "backward") for each in
              ("kernel", "recurrent_kernel", "bias")),
            *(f"batch_normalization/{each}" for each in ("gamma", "beta", "moving_mean", "moving_variance")),
            "time_distributed/dense/kernel", "time_distributed/dense/bias",
            *(f"{name}/gru_cell/{each}" for name in ("gru", "last") for each in ("kernel", "recurrent_kernel", "bias")),
            "dense/kernel", "dense/bias",
        ]
    )  # fmt: skip


def test_automatic_names_count_within_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    stack = [layers.Dense(2, input_shape=(2,), name="dense_7"), layers.Dense(2, name="head_9"), layers.Dense(2)]
    model = pyrnn.Sequential(stack)
    to_safetensors(model, path)
    assert sorted({name.split("/")[0] for name in read_safetensors(path)}) == ["dense", "dense_1", "head_9"]


class Scaled(pyrnn.Model):
    """A model whose two own weights have the same path."""

    def __init__(self) -> None:
        super().__init__()
        self.weights_of_it = [self.add_weight((2,), initializer="ones", name="scale") for _ in range(2)]

    def call(self, x: Any) -> Any:
        return x * self.weights_of_it[0] + self.weights_of_it[1]


def test_weights_of_one_path_are_numbered(tmp_path: Path) -> None:
    model = Scaled()
    model(np.ones((1, 2), np.float32))
    to_safetensors(model, tmp_path / "model.safetensors")
    assert list(read_safetensors(tmp_path / "model.safetensors")) == ["scale", "scale_1"]


def test_float64_and_graphs_keep_their_bits(tmp_path: Path) -> None:
    def make() -> Any:
        x = layers.Input((4, 2), dtype="float64")
        options = {"dtype": "float64"}
        both = layers.Concatenate(**options)([layers.LSTM(2, **options)(x), layers.GRU(2, **options)(x)])
        return pyrnn.Model(x, layers.Dense(1, **options)(both))

    first, second = make(), make()
    to_safetensors(first, tmp_path / "model.safetensors")
    load_safetensors(second, tmp_path / "model.safetensors")
    assert bits(first) == bits(second) and second.get_weights()[0].dtype == np.float64


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint16", "int32", "int64", "bool"])
def test_arrays_of_others_are_read(dtype: str, tmp_path: Path) -> None:
    arrays = {"b": np.arange(6).reshape(2, 3).astype(dtype), "a": np.array(1).astype(dtype), "none": np.zeros(0, dtype)}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    read = read_safetensors(tmp_path / "a.safetensors")
    assert list(read) == ["a", "b", "none"]
    for name, array in read.items():
        assert array.dtype == dtype and array.shape == arrays[name].shape
        np.testing.assert_array_equal(array, arrays[name])


def written(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], start: int, stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    data = (np.array([1.5, -2.0, 0.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    (tmp_path / "b.safetensors").write_bytes(written({"x": entry("BF16", [3], 0, 6)}, data))
    read = read_safetensors(tmp_path / "b.safetensors")["x"]
    assert read.dtype == np.float32 and read.tolist() == [1.5, -2.0, 0.0]


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "no header": b"\xff" * 8 + b"{}",
    "header longer than the file": (1 << 20).to_bytes(8, "little") + b"{}",
    "no JSON": written(b"{", b""),
    "a list": written([1], b""),
    "overlapping": written({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, bytes(12)),
    "a gap": written({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, bytes(12)),
    "backwards": written({"a": entry("F32", [1], 4, 0)}, bytes(4)),
    "past the end": written({"a": entry("F32", [4], 0, 16)}, bytes(4)),
    "rest": written({"a": entry("F32", [1], 0, 4)}, bytes(9)),
    "huge": written({"a": entry("F32", [1 << 40, 1 << 10], 0, 1 << 52)}, b""),
    "a product beyond 64 bits": written({"a": entry("F32", [1 << 40, 1 << 40], 0, 4)}, bytes(4)),
    "shape of another size": written({"a": entry("F32", [3], 0, 4)}, bytes(4)),
    "a negative size": written({"a": entry("F32", [-1], 0, 4)}, bytes(4)),
    "a dtype that is none": written({"a": entry("F99", [1], 0, 4)}, bytes(4)),
    "a dtype that NumPy lacks": written({"a": entry("F8_E4M3", [4], 0, 4)}, bytes(4)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(DAMAGED[damage])
    model = build()
    before = bits(model)
    for call in (lambda: read_safetensors(path), lambda: load_safetensors(model, path)):
        with pytest.raises(ValueError, match=r"bad\.safetensors") as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1
    assert bits(model) == before


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda arrays: arrays.pop("dense/bias"),
            "lacks 1 of the .* weights of model .* as 'dense/bias': layers",
        ),
        (lambda arrays: arrays.update(other=np.ones(1)), "holds 'other', which is no weight of model"),
        (lambda arrays: arrays.update({"new/bias": arrays.pop("dense/bias")}), r"'dense/bias', it has \['new/bias'\]"),
        (lambda arrays: arrays.update({"dense/bias": np.ones(2)}), r"'dense/bias' must have shape \(1,\), got \(2,\)"),
        (lambda arrays: arrays.update({"dense/bias": np.ones(1, int)}), "'dense/bias' must hold floating-point.*I64"),
    ],
)
def test_files_that_do_not_fit_change_nothing(change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    path, model, other = tmp_path / "model.safetensors", build(), build()
    to_safetensors(model, path)
    arrays = dict(read_safetensors(path))
    change(arrays)
    safetensors.numpy.save_file(arrays, path)
    before = bits(other)
    with pytest.raises(ValueError, match=message):
        load_safetensors(other, path)
    assert bits(other) == before


def test_the_layout_of_pytorch(tmp_path: Path) -> None:
    model = pyrnn.Sequential([layers.Input((5, 2)), layers.GRU(3, name="gru"), layers.Dense(1, name="fc")])
    to_safetensors(model, tmp_path / "model.safetensors", layout="torch")
    expected = pyrnn.interop.to_torch_state_dict(model)
    read = read_safetensors(tmp_path / "model.safetensors")
    assert {name: array.tobytes() for name, array in read.items()} == {n: a.tobytes() for n, a in expected.items()}


def test_what_cannot_be_written_or_read(tmp_path: Path) -> None:
    unbuilt = pyrnn.Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match="must be built before its weights can be written"):
        to_safetensors(unbuilt, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="must be built before weights can be loaded"):
        load_safetensors(unbuilt, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"path must end in '\.safetensors'"):
        to_safetensors(build(), tmp_path / "m.keras")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*m\.safetensors"):
        load_safetensors(build(), tmp_path / "m.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_safetensors(tmp_path / "folder.safetensors")
    with pytest.raises(OSError, match="what was there before is unchanged"):
        to_safetensors(build(), tmp_path / "nowhere" / "m.safetensors")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'pyrnn-core\[safetensors\]'"):
        to_safetensors(build(), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
