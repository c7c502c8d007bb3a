"""Fuzz targets of what our files hold next to weights, under a checksum that is right: streams, states, positions.

A file raises one ValueError that names it, before anything has changed, or training continues from what it holds.
"""

from __future__ import annotations

import functools
import io
import json
import random
import tempfile
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import strategies as st

import pyrnn
from fuzz.profiles import fuzz
from fuzz.test_readers import BAD_VALUES, changed_json, entries, zipped
from pyrnn import callbacks, layers, seeds, utils
from pyrnn.files.state import sealed

ROWS, BATCH = 12, 4
X = np.random.default_rng(1).normal(size=(ROWS, 5, 3)).astype(np.float32)
Y = (X.sum(axis=(1, 2)) > 0).astype(np.float32)[:, None]
EPOCHS = 3
ARRAYS = (
    np.zeros(0), np.zeros(3, np.uint32), np.float32(1), np.full((4, 3), 2, np.float32), np.array(2**62),
    -np.ones(1, int), np.array([True]), np.zeros((2, 2, 2)),
)  # fmt: skip


def model() -> pyrnn.Sequential:
    made = pyrnn.Sequential(
        [
            layers.GaussianNoise(0.1, batch_input_shape=(BATCH, 5, 3)),
            layers.GRU(3, stateful=True, dropout=0.2, return_sequences=True),
            layers.Bidirectional(layers.LSTM(2, stateful=True, recurrent_dropout=0.1)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    made.compile(
        "adam", "binary_crossentropy", metrics=["accuracy", "auc", pyrnn.metrics.R2Score(), pyrnn.metrics.F1Score()]
    )
    return made


class Rows(utils.PyDataset):
    """A dataset with its own random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = np.random.Generator(np.random.Philox(3))

    def __len__(self) -> int:
        return ROWS // BATCH

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return X[rows] + self.draw.normal(size=(BATCH, 5, 3)).astype(np.float32), Y[rows]


class Stop(callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations == 5:
            raise InterruptedError


class Own(callbacks.Callback):
    """A custom callback that does not check its state."""

    def get_state(self) -> dict[str, Any]:
        return {"seen": {"batches": [3, 4]}}

    def set_state(self, state: dict[str, Any]) -> None:
        self.total = sum(state["seen"]["batches"])


class Loader:
    """An iterable that may be iterated several times."""

    def __iter__(self) -> Any:
        return iter([(X[:BATCH], Y[:BATCH])] * 3)


DATA: dict[str, Any] = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": BATCH, "validation_data": (X, Y)},
    "steps": lambda: {"x": X, "y": Y, "batch_size": BATCH, "steps_per_epoch": 2},
    "dataset": lambda: {"x": Rows(), "validation_data": Rows()},
    "generator": lambda: {"x": iter([(X[:BATCH], Y[:BATCH])] * 40), "steps_per_epoch": 3},
    "loader": lambda: {"x": Loader()},
}


def train(made: pyrnn.Sequential, data: str, folder: Path, *extra: callbacks.Callback) -> None:
    listed = [
        callbacks.CSVLogger(folder / "log.csv"), callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss"), callbacks.ModelCheckpoint(folder / "m.keras", "loss", save_best_only=True),
        Own(), callbacks.BackupAndRestore(folder / "b", save_freq=1), *extra,
    ]  # fmt: skip
    try:
        made.fit(**DATA[data](), epochs=EPOCHS, verbose=0, callbacks=listed)
    finally:
        listed[0].csv_file and listed[0].csv_file.close()  # type: ignore[attr-defined]  # which a killed process does


@functools.cache
def backup(data: str) -> tuple[bytes, bytes]:
    """Return the backup of an interrupted training, and its log."""
    with tempfile.TemporaryDirectory() as name:
        utils.set_random_seed(3)
        with pytest.raises(InterruptedError):
            train(model(), data, Path(name), Stop())
        return (Path(name) / "b" / "latest.weights.h5").read_bytes(), (Path(name) / "log.csv").read_bytes()


@functools.cache
def saved(ending: str) -> bytes:
    utils.set_random_seed(4)
    made = model()
    made.fit(X, Y, batch_size=BATCH, verbose=0)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"m{ending}"
        made.save(path, include_rng=True)
        return path.read_bytes()


def changed_state(draw: Any, content: bytes) -> bytes:
    """Another state in an HDF5 file, under a checksum that is right."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        group = file["pyrnn"]
        text, kind = json.loads(group["text"][()].tobytes()), draw(st.integers(0, 9))
        if kind < 6:
            text = changed_json(draw, text)
        elif kind == 6:
            number = draw(st.sampled_from(sorted(group["arrays"])))
            old = group["arrays"][number][()]
            new = draw(
                st.sampled_from(
                    [
                        *ARRAYS,
                        old.ravel(),
                        old.astype(np.float64),
                        old[..., None],
                        ~old if old.dtype.kind in "iu" else -old,
                    ]
                )
            )
            del group["arrays"][number]
            group["arrays"][number] = new
        elif kind == 7:
            text = draw(st.sampled_from([*BAD_VALUES, {"array": 0}, {"array": -1}, {"array": True}]))
        elif kind == 8:
            names = sorted(group["arrays"])
            first, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
            del group["arrays"][first]
            if first != other:
                group["arrays"][first] = group["arrays"][other]  # twice the same
        del group["text"]
        written = (
            json.dumps(text).encode() if kind != 9 else draw(st.sampled_from([b"", b"[" * 10_000, b"\xff", b"{}x"]))
        )
        group["text"] = np.frombuffer(written, np.uint8)
    return sealed(buffer.getvalue())


def streams() -> str:
    state = seeds.streams()
    return repr([state["numpy"], state["python"]])


def check_draws() -> None:
    values = [
        seeds.next_seed(),
        *np.random.random(700),
        *np.random.normal(size=3),
        *(random.random() for _ in range(700)),
        random.gauss(),
    ]
    assert np.isfinite(values).all()


def refused(error: ValueError, path: Path) -> None:
    assert str(path) in str(error) and len(str(error).splitlines()) == 1 and len(str(error)) < 1000


@fuzz
def test_random_streams(draw: Any) -> None:
    ending = draw(st.sampled_from([".keras", ".h5"]))
    content = saved(ending)
    if ending == ".keras":
        parts = entries(content)
        content = zipped({**parts, "model.weights.h5": changed_state(draw, parts["model.weights.h5"])})
    else:
        content = changed_state(draw, content)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"file{ending}"
        path.write_bytes(content)
        utils.set_random_seed(5)
        before = streams()
        try:
            made = pyrnn.load_model(path)
        except ValueError as error:
            refused(error, path)
            assert streams() == before
        else:
            check_draws()
            made.fit(X, Y, batch_size=BATCH, verbose=0)
            assert np.isfinite(made.predict(X[:BATCH], verbose=0)).all()


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
@fuzz
def test_backups(draw: Any) -> None:
    data = draw(st.sampled_from(sorted(DATA)))
    content, log = backup(data)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        path = folder / "b" / "latest.weights.h5"
        path.parent.mkdir()
        path.write_bytes(changed_state(draw, content))
        (folder / "log.csv").write_bytes(log)
        utils.set_random_seed(5)
        made = model()
        before = [
            made.get_weights(),
            [v.copy() for _, v in made.optimizer.named_variables()],
            seeds.own_streams(made.layers[0].generators()),
        ]
        state = streams()
        try:
            train(made, data, folder)
        except ValueError as error:
            refused(error, path)
            after = [
                made.get_weights(),
                [v for _, v in made.optimizer.named_variables()],
                seeds.own_streams(made.layers[0].generators()),
            ]
            assert repr(after) == repr(before) and streams() == state
            assert made.optimizer.iterations == 0 and not made.stop_training
            assert path.exists() and (error.__cause__ is not None or (folder / "log.csv").read_bytes() == log)
        else:
            check_draws()


@fuzz
def test_numbers_of_epochs(draw: Any) -> None:
    """The file in which Keras counts the epochs."""
    text = json.dumps(changed_json(draw, {"epoch": 1, "batch": 0})).encode()
    if draw(st.booleans()):
        text = draw(st.sampled_from([b"", b"[" * 100_000, b"\xff\xfe", b"1", b"null", b'{"epoch": 1e9}', text[:-1]]))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        made = pyrnn.Sequential([layers.Dense(1, input_shape=(3,))])
        made.compile("sgd", "mse")
        made.save_weights(folder / "latest.weights.h5")
        path = folder / "training_metadata.json"
        path.write_bytes(text)
        before = made.get_weights()
        try:
            made.fit(
                np.ones((4, 3)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[callbacks.BackupAndRestore(folder)]
            )
        except ValueError as error:
            refused(error, path)
            assert repr(made.get_weights()) == repr(before) and path.read_bytes() == text
