"""Files that cannot be read or written: one sentence that names the file; model and files stay as they were."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import pyrnn
from pyrnn import layers

X, Y = np.ones((6, 5, 3), np.float32), np.ones((6, 1), np.float32)


def trained() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.LSTM(4, input_shape=(5, 3)), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    return model


def test_broken_and_absent_files(tmp_path: Path) -> None:
    model = trained()
    path = tmp_path / "m.keras"
    model.save(path)
    good = path.read_bytes()
    weights = model.get_weights()
    for content in (b"", b"no zip at all", good[: len(good) // 2], good[:-30]):
        broken = tmp_path / "broken.keras"
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.keras"):
            pyrnn.load_model(broken)
    with pytest.raises((ValueError, OSError), match=r"absent\.keras"):
        pyrnn.load_model(tmp_path / "absent.keras")
    with pytest.raises((ValueError, OSError)):
        model.save(tmp_path / "no" / "such" / "folder" / "m.keras")
    assert path.read_bytes() == good
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.keras", "m.keras"]
    other = pyrnn.Sequential([layers.LSTM(5, input_shape=(5, 3)), layers.Dense(1)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match=r"shape \(3, 16\), .*holds \(3, 20\)"):
        model.load_weights(tmp_path / "other.weights.h5")
    for before, after in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(before, after)


def old_file(path: Path, **attributes: str) -> Path:
    with h5py.File(path, "w") as file:
        for name, text in attributes.items():
            file.attrs[name] = text
    return path


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "holds weights only: build the model"),
        ({"model_config": "{"}, "is damaged"),
        (
            {"model_config": json.dumps({"class_name": "Functional"})},
            "must hold a Sequential or a functional model, got 'Functional'",
        ),
        (
            {"model_config": json.dumps({"class_name": "Sequential", "config": 3})},
            "must hold a Sequential or a functional model",
        ),
        (
            {
                "model_config": json.dumps(
                    {
                        "class_name": "Sequential",
                        "config": {"layers": [{"class_name": "Dense", "config": {"units": 2}}]},
                    }
                )
            },
            "it has no model_weights",
        ),
    ],
    ids=["no-config", "no-json", "functional", "no-layers", "no-shape"],
)
def test_old_files_without_a_model(tmp_path: Path, attributes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyrnn.load_model(old_file(tmp_path / "old.h5", **attributes))


def test_weights_need_a_built_model(tmp_path: Path) -> None:
    path = tmp_path / "some.weights.h5"
    trained().save_weights(path)
    with pytest.raises(ValueError, match=r"must be built before weights of .* can be loaded"):
        pyrnn.Sequential([layers.LSTM(4), layers.Dense(1)]).load_weights(path)
