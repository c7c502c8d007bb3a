"""Fuzz targets of the file readers: good files with bytes and structures changed.

A reader returns a model or raises a TypeError, ValueError or OSError of one sentence; a model whose weights cannot be
loaded is as it was, and no file makes a reader take much more memory than the file is large.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import strategies as st

import pyrnn
from fuzz.profiles import fuzz
from pyrnn import layers
from pyrnn.datasets import flights

REFUSALS = (TypeError, ValueError, OSError)
MOST_MEMORY = 1 << 26
BAD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 2**31, 2**70, float("nan"), "", "../../etc/passwd", "Lambda", [], [[]], {},
    [2**40, 2**40], "x" * 9000,
)  # fmt: skip


@functools.cache
def good(ending: str) -> bytes:
    """A file of a trained model."""
    model = fresh()
    x = np.ones((4, 5, 3), np.float32)
    model.fit(x, np.ones((4, 1), np.float32), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        if ending == ".safetensors":
            pyrnn.export.to_safetensors(model, path)
        else:
            (model.save_weights if ending == ".weights.h5" else model.save)(path)
        return path.read_bytes()


def fresh() -> pyrnn.Sequential:
    model = pyrnn.Sequential(
        [
            layers.LSTM(4, input_shape=(5, 3), return_sequences=True),
            layers.BatchNormalization(),
            layers.GRU(3),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def read(content: bytes, ending: str) -> None:
    """Call both readers of a file on it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"file{ending}"
        path.write_bytes(content)
        model = fresh()
        before = [weight.tobytes() for weight in model.get_weights()]
        tracemalloc.start()
        try:
            if ending != ".weights.h5":
                refused(lambda: pyrnn.load_model(path))
            if refused(lambda: model.load_weights(path)):
                assert [weight.tobytes() for weight in model.get_weights()] == before
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        finally:
            tracemalloc.stop()
        assert [each.name for each in Path(folder).iterdir()] == [path.name]


def refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except REFUSALS as error:
        assert len(str(error).splitlines()) == 1, str(error)
        return True
    return False


def mutated(draw: Any, content: bytes) -> bytes:
    """Return content with bytes flipped, removed, repeated or overwritten."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        if not changed:
            break
        at, kind = draw(st.integers(0, len(changed) - 1)), draw(st.integers(0, 4))
        if kind == 0:
            changed[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at : at + 8] = draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little")]))
        elif kind == 3:
            del changed[at : at + draw(st.integers(1, 64))]
        else:
            changed[at:at] = bytes(changed[at : at + 64])
    return bytes(changed)


def changed_json(draw: Any, value: Any) -> Any:
    """Return JSON with one value replaced, removed or renamed."""
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            collect(node[key])

    value = json.loads(json.dumps(value))
    collect(value)
    for _ in range(draw(st.integers(1, 2))):
        node, key = places[draw(st.integers(0, len(places) - 1))]
        if key not in node and not isinstance(node, list):
            continue
        kind = draw(st.integers(0, 5))
        if kind == 0 and isinstance(node, dict):
            del node[key]
        elif kind == 1 and isinstance(node, dict):
            node[f"{key}_"] = node.pop(key)
        elif not isinstance(node, list) or key < len(node):
            node[key] = draw(st.sampled_from(BAD_VALUES))
    return value


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def is_hard(file: h5py.File, name: str) -> bool:
    """Return whether the links to a node, some of which may have been replaced, all stay in the file."""
    node: Any = file
    for part in name.split("/"):
        if not isinstance(node, h5py.Group) or not isinstance(node.get(part, getlink=True), h5py.HardLink):
            return False
        node = node[part]
    return True


def changed_h5(draw: Any, content: bytes) -> bytes:
    """Replace one or two arrays, groups or attributes of an HDF5 file."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(draw(st.integers(1, 2))):
            name = draw(st.sampled_from(names))
            if not is_hard(file, name):
                continue
            node, kind = file[name], draw(st.integers(0, 11))
            shape = node.shape if isinstance(node, h5py.Dataset) else (2,)
            if kind == 11:
                for key in list(node.attrs):
                    node.attrs[key] = draw(st.sampled_from([b"x", 3, [1.5], [b"../a"], "", np.zeros(0), [[b"a"]]]))
                continue
            del file[name]
            if kind == 0:
                file[name] = h5py.ExternalLink("/etc/passwd", "/")
            elif kind == 1:
                file[name] = h5py.SoftLink(f"/{name}")
            elif kind == 2:
                file[name] = h5py.SoftLink("/")
            elif kind == 3:
                file.create_dataset(name, shape, h5py.string_dtype())
            elif kind == 4:
                file.create_dataset(name, (2**20, 2**20, 2**10), "f4", chunks=(1, 64, 64))
            elif kind == 5:
                file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
            elif kind == 6:
                file.create_dataset(name, shape, np.dtype([("a", "f4"), ("b", "i4")]))
            elif kind == 7:
                file.create_dataset(name, shape, draw(st.sampled_from(["i1", "u8", "c8", "f2", ">f4", "?"])))
            elif kind == 8:
                file.create_group(name)
            elif kind == 9:
                file.create_dataset(name, data=h5py.Empty("f4"))
            elif kind == 10:
                file[name] = file["/"]
    return buffer.getvalue()


@fuzz
def test_keras_files(draw: Any) -> None:
    content = good(".keras")
    parts, kind = entries(content), draw(st.integers(0, 5))
    if kind == 0:
        content = mutated(draw, content)
    elif kind == 1:
        parts["config.json"] = json.dumps(changed_json(draw, json.loads(parts["config.json"]))).encode()
        content = zipped(parts)
    elif kind == 2:
        parts["model.weights.h5"] = changed_h5(draw, parts["model.weights.h5"])
        content = zipped(parts, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])))
    elif kind == 3:
        name = draw(st.sampled_from(sorted(parts)))
        parts[name] = mutated(draw, parts[name])
        content = zipped(parts)
    elif kind == 4:
        name = draw(st.sampled_from(sorted(parts)))
        parts[draw(st.sampled_from(["../outside", "/tmp/outside", name.upper(), "/"]))] = parts.pop(name)
        content = zipped(parts)
    else:
        name = draw(st.sampled_from(sorted(parts)))
        parts[name] = b"[" * 100_000 if draw(st.booleans()) else b" " * (1 << 25)
        content = zipped(parts, zipfile.ZIP_DEFLATED)
    read(content, ".keras")


@fuzz
def test_weights_files(draw: Any) -> None:
    read((mutated if draw(st.booleans()) else changed_h5)(draw, good(".weights.h5")), ".weights.h5")


@fuzz
def test_legacy_files(draw: Any) -> None:
    content, kind = good(".h5"), draw(st.integers(0, 2))
    if kind == 0:
        content = mutated(draw, content)
    elif kind == 1:
        content = changed_h5(draw, content)
    else:
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            name = draw(st.sampled_from(["model_config", "training_config"]))
            file.attrs[name] = json.dumps(changed_json(draw, json.loads(file.attrs[name])))
        content = buffer.getvalue()
    read(content, ".h5")


def changed_header(draw: Any, content: bytes) -> bytes:
    """Replace values in the header of a safetensors file, or bytes after it."""
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    text = json.dumps(changed_json(draw, header)).encode()
    claimed = draw(st.sampled_from([len(text), len(text), len(text), 0, 1 << 40, (1 << 64) - 1]))
    return claimed.to_bytes(8, "little") + text + (mutated(draw, data) if draw(st.booleans()) else data)


@fuzz
def test_safetensors_files(draw: Any) -> None:
    content = (mutated if draw(st.booleans()) else changed_header)(draw, good(".safetensors"))
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "file.safetensors", fresh()
        path.write_bytes(content)
        before = [weight.tobytes() for weight in model.get_weights()]

        def load() -> None:
            refused(lambda: pyrnn.interop.read_safetensors(path))
            if refused(lambda: pyrnn.interop.load_safetensors(model, path)):
                assert [weight.tobytes() for weight in model.get_weights()] == before

        assert peak(load) < MOST_MEMORY


@fuzz
def test_flights(draw: Any) -> None:
    packed = (files("pyrnn.datasets") / "flights.csv.gz").read_bytes()
    if draw(st.booleans()):
        content = mutated(draw, packed)
    else:
        lines = gzip.decompress(packed).decode().splitlines()[:50]
        content = gzip.compress(mutated(draw, "\n".join(lines).encode()), 1)
    try:
        result = flights._parsed(content)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert len(result.time) == len(result.departures) == len(result.weather)


# Single attacks.


def peak(call: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, method: int) -> None:
    parts = entries(good(".keras"))
    parts["model.weights.h5"] = bytes(1 << 27)
    path = tmp_path / "bomb.keras"
    path.write_bytes(zipped(parts, method))
    del parts

    def load() -> None:
        with pytest.raises(ValueError, match=r"bomb\.keras.*claims 134217728 bytes, more than"):
            pyrnn.load_model(path)

    assert peak(load) < 1 << 24  # of which LZMA takes half


def test_an_absurd_model_is_not_made(tmp_path: Path) -> None:
    parts = entries(good(".keras"))
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1]["config"]["units"] = 1 << 26
    path = tmp_path / "absurd.keras"
    path.write_bytes(zipped({**parts, "config.json": json.dumps(config).encode()}))

    def load() -> None:
        with pytest.raises(ValueError, match=r"absurd\.keras.*more than the arrays of the file hold"):
            pyrnn.load_model(path)

    assert peak(load) < 1 << 23


def damaged(change: Callable[[h5py.File], Any]) -> bytes:
    buffer = io.BytesIO(good(".weights.h5"))
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def _replace(name: str, value: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if options:
            file.create_dataset(name, **options)
        else:
            file[name] = value

    return change


KERNEL = "layers/lstm/cell/vars/0"
DANGERS = {
    "external link": (_replace("layers/lstm/cell/vars", h5py.ExternalLink("other.h5", "/")), "weights"),
    "external link to an array": (_replace(KERNEL, h5py.ExternalLink("other.h5", "/x")), "missing or not an array"),
    "soft link": (_replace(KERNEL, h5py.SoftLink("/layers/gru/cell/vars/0")), "missing or not an array"),
    "loop": (_replace(KERNEL, h5py.SoftLink(f"/{KERNEL}")), "missing or not an array"),
    "external storage": (
        _replace(KERNEL, None, shape=(3, 16), dtype="f4", external=[("/etc/passwd", 0, 192)]),
        "must hold its arrays itself",
    ),
    "huge": (_replace(KERNEL, None, shape=(2**30, 2**30), dtype="f4", chunks=(64, 64)), "claims shape|has shape"),
    "strings": (_replace(KERNEL, None, shape=(3, 16), dtype=h5py.string_dtype()), "arrays of numbers"),
    "pairs": (_replace(KERNEL, None, shape=(3, 16), dtype=np.dtype([("a", "f4")])), "arrays of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("danger", DANGERS)
def test_arrays_that_are_not_in_the_file(tmp_path: Path, danger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, message = DANGERS[danger]
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as other:
        other["x"], other["0"] = np.ones((3, 16), "f4"), np.ones((3, 16), "f4")
    Path("bad.weights.h5").write_bytes(damaged(change))
    model = fresh()
    before = [weight.tobytes() for weight in model.get_weights()]
    with pytest.raises(ValueError, match=message) as caught:
        model.load_weights("bad.weights.h5")
    assert "bad.weights.h5" in str(caught.value)
    assert [weight.tobytes() for weight in model.get_weights()] == before


def seconds(call: Callable[[], Any]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def nested(file: h5py.File, levels: int) -> None:
    group = file.create_group("nested")
    for _ in range(levels):
        group = group.create_group("g")
    group["x"] = np.ones(2)


def aliased(file: h5py.File, count: int) -> None:
    """One layer with many weights under many names."""
    group = file.get("model_weights", file)
    name = next(iter(group))
    group[name].attrs["weight_names"] = [b"a"] * count
    for number in range(count):
        group[str(number)] = group[name]
    group.attrs["layer_names"] = [str(number).encode() for number in range(count)]


def tangled(file: h5py.File, levels: int) -> None:
    """Groups that hold the next one twice: 2 ** levels paths."""
    group = file.create_group("tangled")
    for _ in range(levels):
        below = group.create_group("a")
        group["b"] = below
        group = below


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("change, count", [(nested, 4000), (aliased, 4000), (tangled, 60)])
def test_many_groups_in_a_small_file_are_read_fast(change: Any, count: int, ending: str, tmp_path: Path) -> None:
    """4,000 nested groups took 23 seconds."""
    content = entries(good(ending))["model.weights.h5"] if ending == ".keras" else good(ending)
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+", libver="latest") as file:
        change(file, count)
    content = buffer.getvalue()
    if ending == ".keras":
        content = zipped({**entries(good(ending)), "model.weights.h5": content})
    (path := tmp_path / f"small{ending}").write_bytes(content)
    model = fresh()

    def load() -> None:
        for call in (lambda: pyrnn.load_model(path), lambda: model.load_weights(path)):
            try:
                call()
            except ValueError as error:
                assert path.name in str(error)

    assert seconds(load) < 3


def test_a_bomb_of_flights() -> None:
    bomb = gzip.compress(bytes(1 << 26))

    def load() -> None:
        with pytest.raises(ValueError, match="unpacks to more than"):
            flights._parsed(bomb)

    assert peak(load) < 1 << 26
