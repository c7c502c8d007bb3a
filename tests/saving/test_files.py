"""Files: round trips, training resumed from a file, damaged files, nothing changed on failure."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pyrnn
from pyrnn.layers import Conv1D, Dense, Dropout, Flatten, MaxPooling1D, Rescaling, SimpleRNN, TimeDistributed


def make_model(units: int = 4) -> Any:
    model = pyrnn.Sequential(
        [
            pyrnn.Input((10, 3)),
            Rescaling(2.0),
            SimpleRNN(units, return_sequences=True),
            SimpleRNN(4, return_sequences=True),
            Dropout(0.0),
            TimeDistributed(Dense(3)),
            Conv1D(2, 3),
            MaxPooling1D(2),
            Flatten(),
            Dense(1),
        ]
    )
    model.compile("adam", "mae", metrics=["mse"])
    return model


@pytest.fixture
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((8, 10, 3)).astype("float32"), rng.standard_normal((8, 1)).astype("float32")


def test_training_resumes_from_a_file_with_the_same_bits(tmp_path: Path, data: tuple[Any, Any]) -> None:
    model = make_model()
    for _ in range(3):
        model.train_on_batch(*data)
    model.save(tmp_path / "m.keras")
    loaded = pyrnn.load_model(tmp_path / "m.keras")
    assert loaded.optimizer.iterations == 3
    for _ in range(2):
        assert model.train_on_batch(*data) == loaded.train_on_batch(*data)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_weights_round_trip(tmp_path: Path, data: tuple[Any, Any]) -> None:
    model, other = make_model(), make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert np.array_equal(model.predict(data[0], verbose=0), other.predict(data[0], verbose=0))


@pytest.mark.parametrize("keep", [0, 10, 1000, -5])
def test_truncated_files_are_refused_and_change_nothing(tmp_path: Path, keep: int) -> None:
    model = make_model()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    before = model.get_weights()
    for name in ("m.keras", "m.weights.h5"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"m\.keras"):
        pyrnn.load_model(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m\.weights\.h5"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_wrong_shapes_are_refused_and_change_nothing(tmp_path: Path) -> None:
    make_model(units=5).save_weights(tmp_path / "m.weights.h5")
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match="has shape"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_names_and_weights_of_unbuilt_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '\.keras'"):
        make_model().save(tmp_path / "m.txt")
    with pytest.raises(ValueError, match="built before"):
        pyrnn.Sequential([Dense(1)]).save_weights(tmp_path / "m.weights.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_model_is_saved_before_it_is_built(name: str, is_compiled: bool, tmp_path: Path) -> None:
    model = pyrnn.Sequential([pyrnn.layers.LSTM(3), Dense(1)])
    if is_compiled:
        model.compile("adam", "mse")
    model.save(tmp_path / name)
    read = pyrnn.load_model(tmp_path / name)
    assert not read.built and read.compiled == is_compiled
    assert [layer.units for layer in read.layers] == [3, 1]
    if is_compiled:
        read.fit(np.ones((4, 2, 1)), np.ones((4, 1)), verbose=0)


def test_weights_in_a_file_need_a_built_model(tmp_path: Path) -> None:
    model = pyrnn.Sequential([Dense(1)])
    model.build((None, 2))
    content = io.BytesIO()
    model.save(content)
    entries = {}
    with zipfile.ZipFile(content) as file:
        entries = {each: file.read(each) for each in file.namelist()}
    config = json.loads(entries["config.json"])
    del config["config"]["build_input_shape"]
    config["build_config"]["input_shape"] = None
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as file:
        for each, entry in {**entries, "config.json": json.dumps(config)}.items():
            file.writestr(each, entry)
    with pytest.raises(ValueError, match="must be built before weights of"):
        pyrnn.load_model(path)


def test_open_files(tmp_path: Path) -> None:
    model = make_model()
    memory = io.BytesIO()
    model.save(memory)
    memory.seek(0)
    with open(tmp_path / "file", "w+b") as file:
        pyrnn.models.save_model(model, file)
        file.seek(0)
        for source in (memory, file):
            read = pyrnn.load_model(source)
            for first, other in zip(read.get_weights(), model.get_weights(), strict=True):
                assert np.array_equal(first, other)
    with pytest.raises(ValueError, match=r"the open file is damaged or not a \.keras file"):
        pyrnn.load_model(io.BytesIO(b"nothing"))
    with pytest.raises(ValueError, match="zipped must be left out for an open file"):
        model.save(io.BytesIO(), zipped=False)
    with pytest.raises(TypeError, match="filepath must be a path, got 3"):
        model.save(3)


def test_the_folder_of_an_h5_file_is_made(tmp_path: Path) -> None:
    make_model().save(tmp_path / "a" / "b" / "m.h5")
    assert pyrnn.load_model(tmp_path / "a" / "b" / "m.h5").built


def test_objects_to_skip(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    model, other = (pyrnn.Sequential([Dense(2, input_shape=(3,)), Dense(2)]) for _ in range(2))
    before = [each.copy() for each in other.layers[0].get_weights()]
    for skipped in (None, [model.layers[0]]):  # the file holds the weights of the first layer, or does not
        model.save_weights(path, objects_to_skip=skipped)
        other.load_weights(path, objects_to_skip=[other.layers[0]])
        assert all(map(np.array_equal, other.layers[0].get_weights(), before))
        assert all(map(np.array_equal, other.layers[1].get_weights(), model.layers[1].get_weights()))
    with pytest.raises(ValueError, match="layer 'dense"):
        other.load_weights(path)
    with pytest.raises(ValueError, match="objects_to_skip must be left out for files that do not end in"):
        model.save_weights(tmp_path / "m.h5", objects_to_skip=[])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="objects_to_skip must be left out for files that do not end in"):
        model.load_weights(tmp_path / "m.keras", objects_to_skip=[])
    with pytest.raises(TypeError, match="must be a layer or a model, got 'dense'"):
        model.save_weights(path, objects_to_skip=["dense"])


@pyrnn.saving.register_keras_serializable(package="tests")
class Compiling(pyrnn.Sequential):
    def compile(self, rate: float = 0.1) -> None:
        super().compile(pyrnn.optimizers.SGD(rate), "mse")


def test_a_custom_compile_is_not_called_when_a_model_is_read(tmp_path: Path) -> None:
    model = Compiling([Dense(1, input_shape=(2,))])
    model.compile(0.5)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="was not called as part of model loading because"):
        read = pyrnn.load_model(tmp_path / "m.keras")
    assert type(read) is Compiling and not read.compiled
    assert all(map(np.array_equal, read.get_weights(), model.get_weights()))


HUGE = (1 << 20, 1 << 20, 1 << 10)


def replaced(group: Any, name: str, **options: Any) -> None:
    del group[name]
    group.create_dataset(name, **options)


def link_to(link: Any) -> Callable[[Any, str], None]:
    def change(group: Any, name: str) -> None:
        del group[name]
        group[name] = link

    return change


def virtual(group: Any, name: str) -> None:
    shape = group[name].shape
    layout = h5py.VirtualLayout(shape, "float32")
    layout[...] = h5py.VirtualSource("other.h5", "x", shape)
    del group[name]
    group.create_virtual_dataset(name, layout)


def outside(group: Any, name: str) -> None:
    shape = group[name].shape
    replaced(group, name, shape=shape, dtype="f4", external=[("other.raw", 0, h5py.h5f.UNLIMITED)])


def removed(group: Any, name: str) -> None:
    del group[name]


# A change to one array of a file -> the error message.
CHANGES: dict[str, tuple[Callable[[Any, str], None], str]] = {
    "huge": (lambda g, n: replaced(g, n, shape=HUGE, chunks=(64, 64, 8), dtype="f4"), rf"claims shape \({HUGE[0]}, "),
    "long strings": (lambda g, n: replaced(g, n, shape=g[n].shape, dtype="S999999999"), r"has dtype \|S999999999"),
    "words": (lambda g, n: replaced(g, n, shape=g[n].shape, dtype=h5py.string_dtype()), "has dtype object"),
    "complex": (lambda g, n: replaced(g, n, shape=g[n].shape, dtype="c8"), "has dtype complex64"),
    "other shape": (lambda g, n: replaced(g, n, data=np.ones((2, 2), "f4")), r"holds \(2, 2\)"),
    "nothing": (lambda g, n: replaced(g, n, data=h5py.Empty("f4")), "numbers, .* has none"),
    "link to a file": (link_to(h5py.ExternalLink("other.h5", "/x")), "missing or not an array"),
    "soft link": (link_to(h5py.SoftLink("/x")), "missing or not an array"),
    "virtual": (virtual, "refers to other files"),
    "outside": (outside, "refers to other files"),
    "removed": (removed, "missing or not an array|variables, .* holds"),
}


def change_file(path: Path, change: Callable[[Any], None]) -> None:
    """Change the HDF5 file at `path`, or the one inside a `.keras` file."""
    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    entries["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def third(group: Any) -> tuple[Any, str]:
    """Return the path of the third array in a legacy file's group; h5py returns names as bytes or strings."""
    name = group.attrs["weight_names"][2]
    return group, name.decode() if isinstance(name, bytes) else name


def variable(file: Any) -> tuple[Any, str]:
    """Return the path of the optimizer's first slot."""
    if "optimizer" in file:
        return file["optimizer/vars"], "2"
    return third(file["optimizer_weights"])


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("case", CHANGES)
def test_hostile_optimizer_variables_are_refused_unread(
    case: str, ending: str, tmp_path: Path, data: tuple[Any, Any]
) -> None:
    change, message = CHANGES[case]
    model = make_model()
    model.train_on_batch(*data)
    path = tmp_path / f"m.{ending}"
    model.save(path)
    change_file(path, lambda file: change(*variable(file)))
    with pytest.raises(ValueError, match=message) as caught:
        pyrnn.load_model(path)
    assert path.name in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_step_number_is_whole(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    make_model().save(path)
    change_file(path, lambda file: replaced(file["optimizer/vars"], "0", data=np.array(np.nan, kind)))
    with pytest.raises(ValueError, match=r"'iteration' holds int64 numbers, .* holds float"):
        pyrnn.load_model(path)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m.h5"])
@pytest.mark.parametrize("case", CHANGES)
def test_hostile_weights_are_refused_unread(case: str, name: str, tmp_path: Path, data: tuple[Any, Any]) -> None:
    change, message = CHANGES[case]
    model = make_model()
    model.train_on_batch(*data)
    path = tmp_path / name
    model.save(path) if name == "m.keras" else model.save_weights(path)
    layer = model.layers[2].name

    def change_weight(file: Any) -> None:
        if "layers" in file:
            change(file["layers/simple_rnn_1/cell/vars"], "2")
        else:
            change(*third(file[layer]))

    change_file(path, change_weight)
    weights, variables = model.get_weights(), [value.copy() for _, value in model.optimizer.named_variables()]
    with pytest.raises(ValueError, match=f"{message}|has 3 weights, .* holds 2") as caught:
        model.load_weights(path)
    assert path.name in str(caught.value) and len(str(caught.value).splitlines()) == 1
    for before, after in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(before, after)
    for value, (_, after) in zip(variables, model.optimizer.named_variables(), strict=True):
        assert np.array_equal(value, after)


@pytest.mark.parametrize("name", ["m.weights.h5", "m.h5"])
def test_groups_that_are_links_are_not_followed(name: str, tmp_path: Path) -> None:
    model = make_model()
    model.save_weights(tmp_path / name)
    model.save_weights(tmp_path / f"other.{name}")
    group = "layers/simple_rnn" if name == "m.weights.h5" else model.layers[1].name

    def change(file: Any) -> None:
        del file[group]
        file[group] = h5py.ExternalLink(str(tmp_path / f"other.{name}"), f"/{group}")

    change_file(tmp_path / name, change)
    with pytest.raises(ValueError, match=f"{re.escape(name)}' holds [04]"):
        model.load_weights(tmp_path / name)


SAVERS: dict[str, Callable[..., Any]] = {
    "method": lambda model, path, **options: model.save(path, **options),
    "function": lambda model, path, **options: pyrnn.models.save_model(model, path, **options),
    "saving": lambda model, path, **options: pyrnn.saving.save_model(model, path, **options),
    "weights": lambda model, path, **options: model.save_weights(path, **options),
}


@pytest.mark.parametrize(
    ("name", "save_format"), [("m.keras", "keras"), ("m.h5", "h5"), ("m.hdf5", "h5"), ("m.h5", None)]
)
@pytest.mark.parametrize("saver", SAVERS)
def test_save_format_says_what_the_ending_says(saver: str, name: str, save_format: Any, tmp_path: Path) -> None:
    if saver == "weights" and save_format == "keras":
        name, save_format = "m.weights.h5", "h5"
    SAVERS[saver](make_model(), tmp_path / name, save_format=save_format)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if saver != "weights":
        assert pyrnn.load_model(tmp_path / name).compiled


@pytest.mark.parametrize(
    ("name", "save_format", "message"),
    [
        ("m.keras", "h5", r"must end in '\.h5' for save_format='h5', got '.*m\.keras': remove .* or write '.*m\.h5'"),
        ("m.h5", "keras", r"must end in '\.keras' for save_format='keras'|must be 'h5', got 'keras'"),
        ("m", "h5", r"must end in '\.h5' .*write '.*/m\.h5'"),
        ("m.keras", "tf", "must be '.*', TensorFlow's SavedModel is not written"),
        ("m.keras", "json", "must be '.*', got 'json'"),
    ],
)
@pytest.mark.parametrize("saver", SAVERS)
def test_save_format_must_fit(saver: str, name: str, save_format: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        SAVERS[saver](make_model(), tmp_path / name, save_format=save_format)
    assert not list(tmp_path.iterdir())


def test_save_format_is_text(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="save_format must be a string"):
        make_model().save(tmp_path / "m.keras", save_format=3)


def test_a_model_is_written_as_a_folder(tmp_path: Path, data: tuple[Any, Any]) -> None:
    model = make_model()
    model.train_on_batch(*data)
    for _ in range(2):  # the second one replaces the first
        pyrnn.saving.save_model(model, tmp_path / "m", zipped=False)
        loaded = pyrnn.load_model(tmp_path / "m")
        assert sorted(each.name for each in (tmp_path / "m").iterdir()) == [
            "config.json", "metadata.json", "model.weights.h5",
        ]  # fmt: skip
        assert [each.name for each in tmp_path.iterdir()] == ["m"]
        np.testing.assert_array_equal(loaded.predict(data[0], verbose=0), model.predict(data[0], verbose=0))
        assert loaded.optimizer.iterations == 1
        model.set_weights([2 * weight for weight in model.get_weights()])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    for path in ("other", "other/thesis.txt"):
        with pytest.raises(FileExistsError, match=r"must be a new folder or one that holds config\.json"):
            model.save(tmp_path / path, zipped=False)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    with pytest.raises(ValueError, match=r"filepath must not end in '\.keras' with zipped=False"):
        model.save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(ValueError, match=r"is not a saved model: it holds no config\.json"):
        pyrnn.load_model(tmp_path / "other")
    with pytest.raises(FileExistsError, match="exists and overwrite is False"):
        model.save(tmp_path / "m", overwrite=False, zipped=False)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.pkl"])
def test_a_file_that_is_missing(name: str, tmp_path: Path) -> None:
    model = pyrnn.Sequential([Dense(2, input_shape=(3,))])
    for read in (pyrnn.load_model, model.load_weights):
        with pytest.raises(FileNotFoundError, match=name) as caught:
            read(tmp_path / name)
        assert isinstance(caught.value, ValueError)  # as Keras raises
