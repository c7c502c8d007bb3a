"""A training that is interrupted and resumed ends with the bits of one that was never stopped."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, layers, seeds, utils
from pyrnn.callbacks import BackupAndRestore, Callback
from resume.cases import (
    ARRAYS,
    BATCH,
    CASES,
    EPOCHS,
    NONE,
    ROWS,
    STEPS,
    Case,
    Interrupt,
    X,
    Y,
    assert_same_bits,
    model,
    noisy,
    own_layers,
    resumed,
    stateful,
    train,
)


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
@pytest.mark.usefixtures("no_waiting_for_the_disk")
@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits(name: str, save_freq: Any, tmp_path: Path) -> None:
    case = CASES[name]
    undisturbed = train(case, tmp_path / "whole", [])
    # Stops in the second epoch, again soon after, and right at an epoch's end.
    stops = [6, 2, 0, 3] if save_freq != "epoch" else [8, 4]
    if "stop" in name:
        stops = [6]  # it ends after 8 batches
    assert_same_bits(resumed(case, tmp_path / "broken", save_freq, stops), undisturbed)


class Killed(Callback):
    """Interrupts when training is over and the backup still exists, as a kill may."""

    def on_train_end(self, logs: Any = None) -> None:
        raise InterruptedError


@pytest.mark.parametrize("name", ["data-validation", "model-ema", "callback-early-stopping", "callback-stop"])
@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_a_training_interrupted_at_its_very_end(name: str, save_freq: Any, tmp_path: Path) -> None:
    case = CASES[name]
    undisturbed = train(case, tmp_path / "whole", [])
    with pytest.raises(InterruptedError):
        train(case, tmp_path / "broken", [BackupAndRestore(tmp_path / "b", save_freq), Killed()])
    assert_same_bits(train(case, tmp_path / "broken", [BackupAndRestore(tmp_path / "b", save_freq)], 5), undisturbed)


def test_an_epoch_of_which_only_the_end_is_missing_trains_no_batch(tmp_path: Path) -> None:
    class BreakOff(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise InterruptedError

    case = CASES["data-validation"]
    with pytest.raises(InterruptedError):
        train(case, tmp_path, [BackupAndRestore(tmp_path / "b", save_freq=1), BreakOff()])
    seen: list[int] = []
    note = pyrnn.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    train(case, tmp_path, [BackupAndRestore(tmp_path / "b", save_freq=1), note])
    assert seen == [*range(STEPS)] * (EPOCHS - 1)


# What raises an error.


def broken_off(folder: Path, case: str = "data-arrays", **options: Any) -> Path:
    with pytest.raises(InterruptedError):
        train(CASES[case], folder, [BackupAndRestore(folder / "b", save_freq=2, **options), Interrupt(7)])
    return folder / "b" / "latest.weights.h5"


@pytest.mark.parametrize(
    "case, message",
    [
        ("data-generator", r"made with other training data \(arrays, now a generator\)"),
        (
            "data-arrays-last-batch-smaller",
            r"made with other training data \(batches per epoch: 5, now 4; batch_size=4, now 6\)",
        ),
        ("data-arrays-in-order", r"made with other training data \(shuffle=True, now False\)"),
        ("data-validation", "made without validation data, fit has some"),
        ("model-layers", "is not a weights file|weights|shape"),
    ],
)
def test_a_backup_of_something_else(case: str, message: str, tmp_path: Path) -> None:
    path = broken_off(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        train(CASES[case], tmp_path, [BackupAndRestore(tmp_path / "b")])
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(f"; to start over, delete the folder '{tmp_path / 'b'}'")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:19], "y": Y[:19]}, r"training data \(samples 20, now 19\)"),  # of as many batches
        ({"sample_weight": np.ones(ROWS)}, r"now x \(5, 3\), y \(1,\), sample_weight \(\)\)"),
        ({"steps_per_epoch": 2}, r"training data \(arrays, now arrays with steps_per_epoch\)"),
        ({"batch_size": ROWS}, r"training data \(batches per epoch: 5, now 1; batch_size=4, now 20\)"),
    ],
)
def test_other_data_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    broken_off(tmp_path)
    case: Case = (model, lambda: {**ARRAYS(), **change}, NONE)
    with pytest.raises(ValueError, match=message):
        train(case, tmp_path, [BackupAndRestore(tmp_path / "b")])


def test_validation_data_that_are_gone_are_named(tmp_path: Path) -> None:
    broken_off(tmp_path, "data-validation")
    with pytest.raises(ValueError, match="made with validation data, fit has none"):
        train(CASES["data-arrays"], tmp_path, [BackupAndRestore(tmp_path / "b")])


@pytest.mark.parametrize(
    ("save_freq", "verbose", "message"),
    [(2, 1, "Resumed at epoch 2, batch 1, from '{}'\n"), ("epoch", 2, "Resumed at epoch 2, from '{}'\n"), (2, 0, "")],
)
def test_one_line_says_where_training_resumes(
    save_freq: Any, verbose: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*stop: Callback) -> str:
        backup = BackupAndRestore(tmp_path / "b", save_freq=save_freq)
        model().fit(**ARRAYS(), epochs=3, verbose=verbose, callbacks=[backup, *stop])
        return capsys.readouterr().out

    with pytest.raises(InterruptedError):
        run(Interrupt(7))
    assert "Resumed" not in capsys.readouterr().out
    printed = run()
    assert printed.startswith(message.format(tmp_path / "b")) and printed.count("Resumed") == bool(verbose)


# States that are wrong under a right checksum: place in the file's JSON, value, message.
WRONG: dict[str, tuple[list[Any], Any, str]] = {
    "no epoch": (["run", "epoch"], None, r"run\['epoch'\] must be an integer from 0"),
    "half an epoch": (["run", "epoch"], 1.5, r"run\['epoch'\] must be an integer"),
    "batches that are not there": (["run", "batch"], 6, "batch must be at most 5, got 6"),
    "a position behind the end": (
        ["run", "data", 0, "position", "taken"],
        6,
        r"\['taken'\] must be an integer from 0 to 5",
    ),
    "an order from nowhere": (["run", "data", 0, "position", "random"], None, r"\['random'\] must be a dict"),
    "another stopping": (["run", "stop_training"], "no", "must be true or false"),
    "metrics of others": (["run", "compiled", "metrics"], [], "the model has 1 metrics, it holds the state of 0"),
    "metrics of text": (["run", "compiled", "loss", "fields", "total"], "x", "metric 'loss' cannot resume from"),
    "weights of others": (
        ["run", "callbacks", 1, "state", "best_weights"],
        [],
        r"\['best_weights'\] must be a list of",
    ),
    "a wait of None": (["run", "callbacks", 1, "state", "wait"], None, r"EarlyStopping\['wait'\] must be an integer"),
    "no callbacks": (["run", "callbacks"], {}, r"run\['callbacks'\] must be a list"),
    "foreign layers": (["random", "layers", 0, "class"], "Dense", "random streams of layers .*, the model has"),
    "streams that are none": (["random", "layers", 0, "streams"], {}, "must have the keys"),
    "states of none": (["random", "layers", 1, "states"], [1], "must be a list of 0 entries"),
    "memory of others": (
        ["random", "streams", "numpy", "state", "pos"],
        10**9,
        r"\['pos'\] must be the state of a RandomState",
    ),
    "a negative place": (["random", "streams", "numpy", "state", "pos"], -5, "must be the state of a RandomState"),
    "a draw of NaN": (["random", "streams", "numpy", "gauss"], float("nan"), r"\['gauss'\] must be the state"),
    "another generator": (["random", "streams", "pyrnn", "bit_generator"], "MT19937", "must be the state of a PCG64"),
    "no Python": (["random", "streams", "python"], [3], r"\['python'\] must be a list of 3 entries"),
    "text for numbers": (["random", "streams", "python", 1], "x", "must be an array"),
    "arrays that are not there": (["random", "streams", "python", 1], {"array": 999}, "names array 999 of"),
    "nothing": (["run"], None, "run must be a dict"),
    "more": (["more"], 1, "its state must have the keys random, run, got more, random, run"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_backup_that_was_written_wrong(case: str, tmp_path: Path) -> None:
    import h5py

    from pyrnn.files.state import sealed

    path = broken_off(tmp_path, "callback-early-stopping")
    places, value, message = WRONG[case]
    buffer = io.BytesIO(path.read_bytes())
    with h5py.File(buffer, "r+") as file:
        state = node = json.loads(file["pyrnn/text"][()].tobytes())
        for place in places[:-1]:
            node = node[place]
        node[places[-1]] = value
        del file["pyrnn/text"]
        file["pyrnn/text"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    path.write_bytes(sealed(buffer.getvalue()))
    (tmp_path / "log.csv").write_text("epochs of before")
    made = model()
    before, draws = made.get_weights(), repr(seeds.streams()["numpy"])
    with pytest.raises(ValueError, match=message) as caught:
        stopping = callbacks.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True, min_delta=1e9)
        log = callbacks.CSVLogger(tmp_path / "log.csv")
        made.fit(X, Y, batch_size=BATCH, verbose=0, callbacks=[log, stopping, BackupAndRestore(tmp_path / "b")])
    assert str(path) in str(caught.value) and "to start over, delete the folder" in str(caught.value)
    assert_same_bits(made.get_weights(), before)
    assert len(made.optimizer.named_variables()) == 2 and not made.optimizer.built
    assert (tmp_path / "log.csv").read_text() == "epochs of before"
    assert repr(seeds.streams()["numpy"]) == draws


class Unforeseen(Callback):
    """A callback whose `set_state` fails."""

    def get_state(self) -> dict[str, Any]:
        return {"a": 1}

    def set_state(self, state: dict[str, Any]) -> None:
        raise RuntimeError("unforeseen")


def test_all_is_as_it_was_when_a_custom_callback_fails(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        train(
            CASES["data-arrays"], tmp_path, [Unforeseen(), BackupAndRestore(tmp_path / "b", save_freq=2), Interrupt(7)]
        )
    made = model()
    before = made.get_weights()
    np.random.seed(3)
    expected = np.random.RandomState(3).random()
    with pytest.raises(
        ValueError, match=r"latest.weights.h5' does not fit this training: RuntimeError\('unforeseen'\)"
    ):
        made.fit(**ARRAYS(), verbose=0, callbacks=[Unforeseen(), BackupAndRestore(tmp_path / "b")])
    assert_same_bits(made.get_weights(), before)
    assert not made.optimizer.built and made.optimizer.iterations == 0 and np.random.random() == expected


def test_a_generator_that_ends_too_early(tmp_path: Path) -> None:
    broken_off(tmp_path, "data-generator")
    short: Case = (model, lambda: {"x": noisy(4), "steps_per_epoch": STEPS}, NONE)
    with pytest.raises(ValueError, match="ended after 4 of the 6 batches that the interrupted training had drawn"):
        train(short, tmp_path, [BackupAndRestore(tmp_path / "b")])


def damaged(content: bytes) -> Iterator[bytes]:
    """Return files truncated at many places, and with single bits changed everywhere, also in the seal."""
    yield b""
    for share in np.linspace(0.001, 0.999, 25):
        yield content[: int(len(content) * share)]
    for at in [0, 6, 14, *range(100, len(content), len(content) // 50)]:
        yield content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]
    yield content[512:]  # a file of HDF5, but without its seal


def test_damaged_backups_are_refused_and_the_model_stays(tmp_path: Path) -> None:
    path = broken_off(tmp_path, "callback-early-stopping")
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        made = model()
        before = made.get_weights()
        with pytest.raises(ValueError, match=r"latest\.weights\.h5' is damaged"):
            made.fit(X, Y, batch_size=BATCH, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
        assert_same_bits(made.get_weights(), before)


def test_arrays_larger_than_the_file_are_not_read(tmp_path: Path) -> None:
    import h5py

    from pyrnn.files.state import read_state, sealed

    path = tmp_path / "large.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("pyrnn/text", shape=(1 << 40,), dtype=np.uint8, chunks=(1 << 20,))
    with pytest.raises(ValueError, match=r"claims shape \(1099511627776,\), more than the file can hold"):
        read_state(sealed(path.read_bytes()), repr(str(path)))


def test_a_backup_of_keras_resumes_at_its_epoch(tmp_path: Path) -> None:
    """It holds weights, the optimizer's variables and a number of epochs."""
    options: dict[str, Any] = {"batch_size": BATCH, "shuffle": False, "verbose": 0}

    def made() -> pyrnn.Sequential:
        built = pyrnn.Sequential([layers.Flatten(input_shape=X.shape[1:]), layers.Dense(1)])
        built.compile("adam", "mse")
        return built

    first = made()
    first.fit(X, Y, epochs=2, **options)
    folder = tmp_path / "b"
    folder.mkdir()
    first.save_weights(folder / "latest.weights.h5")
    metadata = folder / "training_metadata.json"
    metadata.write_text('{"epoch": -1}')
    again = made()
    before = again.get_weights()
    with pytest.raises(ValueError, match="is damaged: it must hold the number of finished epochs"):
        again.fit(X, Y, epochs=3, callbacks=[BackupAndRestore(folder)], **options)
    assert_same_bits(again.get_weights(), before)
    metadata.write_text('{"epoch": 2}')
    history = again.fit(X, Y, epochs=3, callbacks=[BackupAndRestore(folder)], **options)
    first.fit(X, Y, epochs=3, initial_epoch=2, **options)
    assert history.epoch == [2]
    assert_same_bits(again.get_weights(), first.get_weights())


def test_a_damaged_backup_gives_way_to_the_one_before(tmp_path: Path) -> None:
    undisturbed = train(CASES["data-arrays"], tmp_path / "whole", [])
    path = broken_off(tmp_path, double_checkpoint=True)
    path.write_bytes(path.read_bytes()[:-100])
    done = train(CASES["data-arrays"], tmp_path, [BackupAndRestore(tmp_path / "b", save_freq=2)], seed=8)
    assert_same_bits(done, undisturbed)


def test_a_state_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    class Odd(Callback):
        remembers = ("odd",)
        odd = object()

    with pytest.raises(TypeError, match=r"callbacks.*'odd'.* cannot be saved: it must hold"):
        train(CASES["data-arrays"], tmp_path, [BackupAndRestore(tmp_path / "b"), Odd()])


def test_a_backup_needs_a_running_fit(tmp_path: Path) -> None:
    callback = BackupAndRestore(tmp_path / "b")
    callback.set_model(model())
    with pytest.raises(ValueError, match="works in fit; in a custom loop use"):
        callback.on_train_begin()


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("broken", ["os.fsync", "os.replace", "os.open"])
def test_a_full_disk_leaves_model_and_backup(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = train(CASES["data-arrays"], tmp_path / "whole", [])

    class Fill(Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.model.optimizer.iterations == 7:
                monkeypatch.setattr(os, broken.removeprefix("os."), full)

    utils.set_random_seed(3)
    made = model()
    with pytest.raises(OSError, match=r"cannot write '.*latest.weights.h5' \(No space left on device\)") as caught:
        backup = BackupAndRestore(tmp_path / "b", save_freq=2)
        made.fit(**ARRAYS(), epochs=EPOCHS, verbose=0, callbacks=[backup, Fill()])
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC and made.optimizer.iterations == 8
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["latest.weights.h5", "training_metadata.json"]
    made.save(tmp_path / "elsewhere.keras")
    made.fit(X, Y, verbose=0)
    done = train(CASES["data-arrays"], tmp_path, [BackupAndRestore(tmp_path / "b", save_freq=2)], seed=8)
    assert_same_bits(done, undisturbed)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).returncode:
        pytest.skip("a disk of its own needs Linux and the right to mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (disk / "filler").write_bytes(bytes(1 << 21))


def forbid(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@pytest.mark.parametrize("spoil, reason", [(fill, "No space left on device"), (forbid, "Read-only file system")])
def test_a_disk_that_takes_no_more(spoil: Any, reason: str, disk: Path, tmp_path: Path) -> None:
    undisturbed = train(CASES["data-arrays"], tmp_path / "whole", [])

    class Spoil(Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.model.optimizer.iterations == 7:
                spoil(disk)

    with pytest.raises(OSError, match=f"cannot write '.*' \\({reason}\\): what was there before is unchanged"):
        train(CASES["data-arrays"], tmp_path, [BackupAndRestore(disk / "b", save_freq=2), Spoil()])
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    (disk / "filler").unlink(missing_ok=True)
    assert sorted(path.name for path in (disk / "b").iterdir()) == ["latest.weights.h5", "training_metadata.json"]
    done = train(CASES["data-arrays"], tmp_path, [BackupAndRestore(disk / "b", save_freq=2)], seed=8)
    assert_same_bits(done, undisturbed)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = model()
    with pytest.raises(OSError, match="file"):
        made.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path / "file" / "b")])
    made.fit(X, Y, verbose=0)


# Files of whole models.


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("stack", [None, own_layers, stateful])
def test_a_saved_model_continues_its_random_streams(ending: str, stack: Any, tmp_path: Path) -> None:
    utils.set_random_seed(5)
    made = model(stack and stack())
    fit: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "verbose": 0}
    made.fit(X, Y, **fit)
    path = tmp_path / f"m{ending}"
    made.save(path, include_rng=True)
    results = []
    for again in (made, None):
        if again is None:
            utils.set_random_seed(6)
            again = pyrnn.models.load_model(path)
        history = again.fit(X, Y, **fit).history
        variables = [value for _, value in again.optimizer.named_variables()]
        results.append(
            [again.get_weights(), variables, history, seeds.next_seed(), np.random.random(), random.random()]
        )
    assert_same_bits(results[1], results[0])


def test_a_model_saved_without_streams_sets_none(tmp_path: Path) -> None:
    model().save(tmp_path / "m.keras")
    utils.set_random_seed(6)
    drawn = np.random.random()
    utils.set_random_seed(6)
    pyrnn.models.load_model(tmp_path / "m.keras")
    assert np.random.random() == drawn
