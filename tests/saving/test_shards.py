"""Weights in several files: what goes where, round trips, failed writes, damaged and missing files."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pyrnn
from pyrnn import layers
from pyrnn.saving import load_weights, save_weights

GIGABYTE = 1024**3
MOST = 600 / GIGABYTE  # the largest array, the kernel of the first layer, takes 576 bytes
X, Y = np.ones((4, 5, 4), "float32"), np.ones((4, 1), "float32")


def trained(seed: int = 0) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(seed)
    model = pyrnn.Sequential(
        [pyrnn.Input((5, 4)), layers.SimpleRNN(12), layers.Dense(7), layers.Dense(5), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    return model


def bits(model: pyrnn.Sequential) -> list[bytes]:
    assert model.optimizer is not None
    values = [*model.get_weights(), *(value for _, value in model.optimizer.named_variables())]
    return [np.asarray(value).tobytes() for value in values]


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def shards_of(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("m_*"))


def saved(folder: Path, seed: int = 0) -> pyrnn.Sequential:
    model = trained(seed)
    model.save_weights(folder / "m.weights.json", max_shard_size=MOST)
    return model


@pytest.mark.parametrize("save", [lambda model, path, **options: model.save_weights(path, **options), save_weights])
@pytest.mark.parametrize("load", [lambda model, path: model.load_weights(path), load_weights])
def test_weights_come_back(save: Callable[..., None], load: Callable[..., None], tmp_path: Path) -> None:
    model, other = trained(), trained(1)
    save(model, tmp_path / "m.weights.json", max_shard_size=MOST)
    names = sorted(contents(tmp_path))
    count = len(names) - 1
    assert count > 4
    assert names == ["m.weights.json", *(f"m_{i:05}.weights.h5" for i in range(count))]
    load(other, tmp_path / "m.weights.json")
    for mine, value in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, value)


@pytest.mark.parametrize("most", [576, 600, 1000, 1e9])
def test_what_is_in_the_files(most: float, tmp_path: Path) -> None:
    """Each file keeps within the size and has all that fits: the first array of the next one would be too much."""
    model = trained()
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=most / GIGABYTE)
    config = json.loads((tmp_path / "m.weights.json").read_text())
    sizes = []
    for name in shards_of(tmp_path):
        with h5py.File(tmp_path / name) as file:
            arrays = arrays_of(file)
            assert all(name in np.atleast_1d(config["weight_map"][array.parent.name]) for array in arrays)
            sizes.append([array.nbytes for array in arrays])
    total = sum(map(sum, sizes))
    assert config["metadata"]["total_size"] == total
    model.save_weights(tmp_path / "whole.weights.h5")
    with h5py.File(tmp_path / "whole.weights.h5") as file:
        assert total == sum(array.nbytes for array in arrays_of(file))
    assert all(0 < sum(each) <= most for each in sizes)
    assert all(sum(each) + max(later) > most for each, later in itertools.pairwise(sizes))
    assert (len(sizes) == 1) == (most > total)


def arrays_of(group: Any) -> list[Any]:
    nodes = [group[name] for name in group]
    return [array for node in nodes for array in (arrays_of(node) if isinstance(node, h5py.Group) else [node])]


class Table(layers.Layer):
    """Writes its variables under names of its own."""

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((12,), "zeros", name="table")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table

    def save_own_variables(self, store: Any) -> None:
        store["left"], store["right"] = np.split(np.asarray(self.table), 2)

    def load_own_variables(self, store: Any) -> None:
        self.table.assign(np.concatenate([store["left"], store["right"]]))


class Tables(pyrnn.Model):
    def __init__(self) -> None:
        super().__init__()
        self.tables = [Table(), Table()]

    def call(self, inputs: Any) -> Any:
        return self.tables[1](self.tables[0](inputs))


def nested() -> pyrnn.Model:
    inner = pyrnn.Sequential([pyrnn.Input((12,)), Table(), layers.Dense(12)])
    x = pyrnn.Input((12,))
    return pyrnn.Model(x, layers.Add()([inner(x), inner(Table()(x))]))


def subclassed() -> pyrnn.Model:
    model = Tables()
    model(np.zeros((1, 12), "float32"))
    return model


def frozen() -> pyrnn.Model:
    model = pyrnn.Sequential([pyrnn.Input((12,)), layers.Dense(20), layers.Dense(3)])
    model.trainable = False
    return model


def empty() -> pyrnn.Model:
    return pyrnn.Sequential([pyrnn.Input((12,)), layers.ReLU()])


@pytest.mark.parametrize("make", [nested, subclassed, frozen, empty])
def test_every_model_comes_back(make: Callable[[], pyrnn.Model], tmp_path: Path) -> None:
    model, other = make(), make()
    rng = np.random.default_rng(0)
    model.set_weights([rng.random(each.shape) for each in model.get_weights()])
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=1000 / GIGABYTE)
    other.load_weights(tmp_path / "m.weights.json")
    for mine, value in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, value)


@pytest.mark.parametrize("flushes", range(10))
def test_a_failed_write_changes_nothing(flushes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the files fails: those from before are all there, and nothing else."""
    old, new = saved(tmp_path), trained(1)
    before, left, flush = contents(tmp_path), [flushes], os.fsync
    assert len(before) == 10

    def fail_late(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail_late)
    with pytest.raises(OSError, match=r"cannot write '.*m.*' \(No space left on device\)") as caught:
        new.save_weights(tmp_path / "m.weights.json", max_shard_size=MOST)
    assert caught.value.errno == errno.ENOSPC
    assert contents(tmp_path) == before
    monkeypatch.undo()
    new.load_weights(tmp_path / "m.weights.json")
    np.testing.assert_array_equal(new.get_weights()[0], old.get_weights()[0])


def test_the_config_is_renamed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, rename = [], os.replace

    def listed(source: str, target: str) -> None:
        names.append(os.path.basename(target))
        rename(source, target)

    monkeypatch.setattr(os, "replace", listed)
    saved(tmp_path)
    assert names == [*shards_of(tmp_path), "m.weights.json"]


def test_files_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    """A process that is killed while it renames the files leaves some of the old and some of the new."""
    (tmp_path / "new").mkdir()
    saved(tmp_path)
    saved(tmp_path / "new", seed=1)
    model = trained(2)
    before = bits(model)
    for name in shards_of(tmp_path)[:-1]:
        os.replace(tmp_path / "new" / name, tmp_path / name)
        with pytest.raises(ValueError, match=r"was not written together with '.*m\.weights\.json'"):
            model.load_weights(tmp_path / "m.weights.json")
    assert bits(model) == before


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "m_00003.weights.h5").mkdir()
    with pytest.raises(OSError, match=r"cannot write '.*m_00003\.weights\.h5'"):
        saved(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["m_00003.weights.h5"]


def with_config(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change the config, without its checksums."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / "m.weights.json").read_text())
        del config["metadata"]["crc32"]
        changed = change(config)
        (folder / "m.weights.json").write_text(json.dumps(config if changed is None else changed))

    return damage


def with_array(change: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    """Change the file that holds the first layer's bias, without the checksums."""

    def damage(folder: Path) -> None:
        with_config(lambda config: None)(folder)
        for name in shards_of(folder):
            with h5py.File(folder / name, "a") as file:
                if "layers/dense/vars" in file:
                    change(file)

    return damage


def flipped(folder: Path) -> None:
    path = folder / "m_00002.weights.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def replaced(file: h5py.File, path: str, value: Any) -> None:
    del file[path]
    file[path] = value


def linked(file: h5py.File) -> None:
    """Many names of one array."""
    group = file["layers/dense/vars"]
    for i in range(2000):
        group[f"again_{i}"] = group["0"]


def repeated(config: Any) -> None:
    config["weight_map"]["layers/simple_rnn/cell/vars"] = config["weight_map"]["/layers/simple_rnn/cell/vars"]


def renamed(name: Any) -> Callable[[Path], None]:
    return with_config(lambda config: config["weight_map"].update({"/layers/dense/vars": name}))


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda folder: (folder / "m.weights.json").unlink(), "m.weights.json"),
    "missing": (lambda folder: (folder / "m_00002.weights.h5").unlink(), r"m_00002\.weights\.h5"),
    "a folder": (
        lambda folder: ((folder / "m_00002.weights.h5").unlink(), (folder / "m_00002.weights.h5").mkdir()),
        r"m_00002\.weights\.h5",
    ),
    "one bit": (flipped, r"m_00002\.weights\.h5' is damaged or was not written together"),
    "short": (lambda folder: os.truncate(folder / "m_00001.weights.h5", 3000), "is damaged"),
    "no HDF5": (
        lambda folder: (with_config(lambda config: None)(folder), (folder / "m_00001.weights.h5").write_text("x")),
        r"m_00001\.weights\.h5' is damaged or not an HDF5 file",
    ),
    "no JSON": (lambda folder: (folder / "m.weights.json").write_text("{"), "m.weights.json': Expecting"),
    "no UTF-8": (lambda folder: (folder / "m.weights.json").write_bytes(b"\xff"), "m.weights.json': .*decode"),
    "deep JSON": (lambda folder: (folder / "m.weights.json").write_text("[" * 100_000), "m.weights.json': damaged"),
    "a list": (with_config(lambda config: [config]), "must hold a dict with a 'weight_map'"),
    "no map": (with_config(lambda config: {"metadata": {}}), "must hold a dict with a 'weight_map'"),
    "a list for a map": (with_config(lambda config: {"weight_map": []}), "must hold a dict with a 'weight_map'"),
    "no checksums": (
        with_config(lambda config: config["metadata"].update(crc32=[1])), "must hold a dict of checksums",
    ),
    "another folder": (renamed("../m_00000.weights.h5"), "must name files of its own folder"),
    "a path": (renamed("/etc/x.weights.h5"), "must name files of its own folder"),
    "Windows's path": (renamed("c:x.weights.h5"), "must name files of its own folder"),
    "another ending": (renamed("passwd"), "must name files of its own folder"),
    "a number": (renamed(3), "must name files of its own folder"),
    "the wrong file": (renamed("m_00008.weights.h5"), "holds no group 'layers/dense/vars'"),
    "a group left out": (
        with_config(lambda config: config["weight_map"].pop("/layers/dense/vars") and None),
        "has 2 weights, .* holds 0",
    ),
    "twice": (with_config(repeated), "is in another file too"),
    "no group": (with_array(lambda file: file.move("layers/dense/vars", "x")), "holds no group 'layers/dense/vars'"),
    "no array": (with_array(lambda file: file["layers/dense/vars"].pop("1") and None), "has 2 weights, .* holds 1"),
    "another shape": (with_array(lambda file: replaced(file, "layers/dense/vars/1", np.zeros(3))), r"holds \(3,\)"),
    "text": (with_array(lambda file: replaced(file, "layers/dense/vars/1", "x")), "must hold arrays of numbers"),
    "a link out": (
        with_array(lambda file: replaced(file, "layers/dense/vars/1", h5py.ExternalLink("m_00001.weights.h5", "/x"))),
        "missing or not an array",
    ),
    "a bomb": (with_array(linked), "its arrays claim more than the file can hold"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage: str, tmp_path: Path) -> None:
    """One clear error; nothing changes."""
    saved(tmp_path)
    model = trained(1)
    before = bits(model)
    change, message = DAMAGES[damage]
    change(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        model.load_weights(tmp_path / "m.weights.json")
    assert bits(model) == before


def test_a_large_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(tmp_path)
    monkeypatch.setattr("pyrnn.files.shards._LARGEST_CONFIG", 100)
    with pytest.raises(ValueError, match="has more than the 100 bytes allowed"):
        model.load_weights(tmp_path / "m.weights.json")


def test_files_without_checksums(tmp_path: Path) -> None:
    """As Keras writes them."""
    model, other = saved(tmp_path), trained(1)
    with_config(lambda config: None)(tmp_path)
    other.load_weights(tmp_path / "m.weights.json")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_other_layers(tmp_path: Path) -> None:
    saved(tmp_path)
    model = pyrnn.Sequential([pyrnn.Input((5, 4)), layers.SimpleRNN(12), layers.Dense(8), layers.Dense(5)])
    before = model.get_weights()
    with pytest.raises(ValueError, match="has shape"):
        model.load_weights(tmp_path / "m.weights.json")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.warns(UserWarning, match="the layer keeps its weights"):
        model.load_weights(tmp_path / "m.weights.json", skip_mismatch=True)
    assert not np.array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("m.weights.h5", {"max_shard_size": 1}, ValueError, r"must end in '\.weights\.json' with max_shard_size"),
        ("m.json", {"max_shard_size": 1}, ValueError, r"must end in '\.weights\.json' with max_shard_size"),
        ("m.weights.json", {}, ValueError, r"max_shard_size must be given"),
        ("m.weights.json", {"max_shard_size": 0}, ValueError, "max_shard_size must"),
        ("m.weights.json", {"max_shard_size": float("nan")}, ValueError, "max_shard_size must"),
        ("m.weights.json", {"max_shard_size": "1GB"}, TypeError, "max_shard_size must"),
        ("m.weights.json", {"max_shard_size": 1, "save_format": "h5"}, ValueError, "save_format must be left out"),
    ],
)
def test_wrong_arguments(
    name: str, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    for save in (pyrnn.Model.save_weights, save_weights):
        with pytest.raises(error, match=message):
            save(trained(), tmp_path / name, **options)
    assert not contents(tmp_path)


def test_the_size_that_a_message_names_is_enough(tmp_path: Path) -> None:
    model = trained()
    with pytest.raises(ValueError, match=r"max_shard_size must hold every array, .* pass max_shard_size=") as caught:
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=575 / GIGABYTE)
    assert not contents(tmp_path)
    enough = float(re.findall(r"max_shard_size=(\S+)", str(caught.value))[0])
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=enough)


def test_what_else_is_refused(tmp_path: Path) -> None:
    model = saved(tmp_path)
    before = contents(tmp_path)
    for save in (pyrnn.Model.save_weights, save_weights):
        with pytest.raises(FileExistsError, match="exists and overwrite is False"):
            save(model, tmp_path / "m.weights.json", overwrite=False, max_shard_size=1)
        with pytest.raises(ValueError, match="its weights can be saved"):
            save(pyrnn.Sequential([layers.Dense(2)]), tmp_path / "m.weights.json", max_shard_size=1)
    with pytest.raises(ValueError, match="can be loaded"):
        pyrnn.Sequential([layers.Dense(2)]).load_weights(tmp_path / "m.weights.json")
    with pytest.raises(ValueError, match="by_name must be left out"):
        model.load_weights(tmp_path / "m.weights.json", by_name=True)
    with pytest.raises(ValueError, match=r"has 3 weights, .* holds 0"):
        model.load_weights(tmp_path / "m_00000.weights.h5")
    assert contents(tmp_path) == before
