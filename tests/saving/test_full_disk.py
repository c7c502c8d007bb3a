"""Files that cannot be written: one OSError with the file's name; the old file and the model stay usable.

A limit on the size of a file simulates a full disk; tests/resume/test_same_bits.py has a real one under
BackupAndRestore.
"""

from __future__ import annotations

import contextlib
import errno
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.callbacks import CSVLogger, ModelCheckpoint

X, Y = np.ones((8, 5, 3), np.float32), np.ones((8, 1), np.float32)
LARGEST_FILE = 4096  # less than any file of the model, more than nothing


@contextlib.contextmanager
def small_files(size: int = LARGEST_FILE) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def trained() -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.LSTM(24, input_shape=(5, 3)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    return model


def bits(model: pyrnn.Sequential) -> list[bytes]:
    assert model.optimizer is not None
    values = [*model.get_weights(), *(value for _, value in model.optimizer.named_variables())]
    return [np.asarray(value).tobytes() for value in values]


def save(model: pyrnn.Sequential, path: Path) -> None:
    model.save(path)


WRITERS: dict[str, Callable[[pyrnn.Sequential, Path], Any]] = {
    "model.keras": save,
    "model.h5": save,
    "random.keras": lambda model, path: model.save(path, include_rng=True),
    "model.weights.h5": lambda model, path: model.save_weights(path),
    "function.keras": lambda model, path: pyrnn.models.save_model(model, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_too_large(name: str, tmp_path: Path) -> None:
    model, path = trained(), tmp_path / name
    WRITERS[name](model, path)
    before, content = bits(model), path.read_bytes()
    with small_files(), pytest.raises(OSError, match=rf"cannot write '.*{name}' \(File too large\)") as caught:
        WRITERS[name](model, path)
    assert caught.value.errno == errno.EFBIG and len(str(caught.value).splitlines()) == 1
    assert "what was there before is unchanged" in str(caught.value)
    assert path.read_bytes() == content and [each.name for each in tmp_path.iterdir()] == [name]
    assert bits(model) == before
    model.fit(X, Y, verbose=0)
    WRITERS[name](model, path)
    assert path.read_bytes() != content


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_none(name: str, tmp_path: Path) -> None:
    """Neither a missing folder, which is made for a model in Keras 2's format only, nor a file in its place."""
    (tmp_path / "file").write_text("")
    model = trained()
    before = bits(model)
    for folder in ("missing", "file") if name != "model.h5" else ("file",):
        with pytest.raises(OSError, match=f"{folder}/{name}"):
            WRITERS[name](model, tmp_path / folder / name)
    assert [each.name for each in tmp_path.iterdir()] == ["file"] and bits(model) == before


def test_a_checkpoint_that_is_too_large_ends_the_training_after_its_step(tmp_path: Path) -> None:
    model = trained()
    path = tmp_path / "best.keras"
    model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(path)])
    content, expected = path.read_bytes(), pyrnn.load_model(path)
    with small_files(), pytest.raises(OSError, match=r"best\.keras"):
        model.fit(X, Y, epochs=3, shuffle=False, verbose=0, callbacks=[ModelCheckpoint(path)])
    assert path.read_bytes() == content and [each.name for each in tmp_path.iterdir()] == ["best.keras"]
    expected.fit(X, Y, shuffle=False, verbose=0)  # the one epoch that was trained
    assert [w.tobytes() for w in model.get_weights()] == [w.tobytes() for w in expected.get_weights()]
    model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(path)])
    assert pyrnn.load_model(path).predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()


def test_a_log_that_is_too_large(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "log.csv"
    with small_files(64), pytest.raises(OSError, match=r"cannot write '.*log\.csv' \(File too large\)"):
        model.fit(X, Y, epochs=20, verbose=0, callbacks=[CSVLogger(path)])
    assert path.read_text().startswith("epoch")  # what fitted is there
    model.fit(X, Y, verbose=0, callbacks=[CSVLogger(path, append=True)])
