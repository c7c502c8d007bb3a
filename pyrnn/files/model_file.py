"""Keras 3's `.keras` file: a zip of metadata.json, config.json and model.weights.h5."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from pyrnn import registry
from pyrnn.arguments import checked
from pyrnn.files import archive, legacy_h5, own_state
from pyrnn.files.atomic import make_folder, replace_file, replace_folder
from pyrnn.files.hdf5 import M, MakeModel, claimed_bytes, reading
from pyrnn.files.state import read_random_state
from pyrnn.files.weights_file import read_weights, weights_bytes
from pyrnn.parameters import at_most
from pyrnn.resume import random_state, set_random_state
from pyrnn.typing import IS_MODEL, FileToWrite, Flag, Text
from pyrnn.validation import shown, warn

if TYPE_CHECKING:
    from pyrnn.model import Model

ENDING = ".keras"
# The version of Keras whose format is written.
FORMAT_VERSION = "3.15.1"


@checked
def save_model(
    model: Annotated[Model, IS_MODEL],
    filepath: FileToWrite,
    include_optimizer: Flag = True,
    include_rng: Flag = False,
    save_format: Text | None = None,
    zipped: Flag | None = None,
) -> None:
    """Write architecture, weights, `compile` arguments and optimizer state to a `.keras` file, or a legacy `.h5` file.

    Args:
        model: The model, built or not.
        filepath: The file, which ends in ".keras", ".h5" or ".hdf5"; an open binary file gets a `.keras` file.
        include_optimizer: Whether to write the `compile` arguments and the optimizer's state.
        include_rng: Whether to write the random streams and the states of stateful layers, which `load_model` restores.
        save_format: "keras" or "h5", of older scripts; it must agree with the suffix.
        zipped: False writes a folder with the files of a `.keras` file; `filepath` has no suffix then.

    Raises:
        ValueError: For another suffix or format.
        OSError: If the file cannot be written; what was there before is unchanged.

    Example:
        >>> import tempfile
        >>> from pyrnn.saving import load_model, save_model
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, f"{folder}/model.keras")
        ...     loaded = load_model(f"{folder}/model.keras")
        >>> loaded.count_params()
        8
    """
    if hasattr(filepath, "write"):
        if zipped is not None and not zipped:
            raise ValueError("zipped must be left out for an open file, got False: a folder needs a path")
        filepath.write(archive.packed(_entries(model, include_optimizer, include_rng)))
        return
    path = os.fspath(filepath)
    if not archive.is_bare(path):
        archive.require_format(path, save_format, {"keras": (ENDING,), "h5": legacy_h5.ENDINGS})
    if path.endswith(legacy_h5.ENDINGS):
        content = legacy_h5.model_bytes(model, include_optimizer, _random_state(model, include_rng))
        with contextlib.suppress(OSError):  # which replace_file explains
            make_folder(os.path.dirname(path) or ".")
        replace_file(path, content)
        return
    is_folder = zipped is not None and not zipped
    if archive.is_bare(path) and zipped is None:
        warn(f"the model is written to the folder {path!r} in Keras 3's format, since the path has no ending")
        is_folder = True
    if is_folder and path.endswith(ENDING):
        raise ValueError(f"filepath must not end in {ENDING!r} with zipped=False, which writes a folder, got {path!r}")
    if not path.endswith(ENDING) and not is_folder:
        raise ValueError(f"filepath must end in {ENDING!r} (or '.h5', '.hdf5': Keras 2's format), got {shown(path)}")
    entries = _entries(model, include_optimizer, include_rng)
    if is_folder:
        encoded = {name: each.encode() if isinstance(each, str) else each for name, each in entries.items()}
        replace_folder(path, encoded, archive.CONFIG)
    else:
        replace_file(path, archive.packed(entries))


def _random_state(model: Model, include_rng: bool) -> dict[str, Any] | None:
    return {"random": random_state(model)} if include_rng else None


def _entries(model: Model, include_optimizer: bool, include_rng: bool) -> dict[str, str | bytes]:
    """The files in a `.keras` file."""
    config = model.describe()
    if not include_optimizer:
        config.pop("compile_config", None)
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    state = _random_state(model, include_rng)
    return {
        "metadata.json": json.dumps({"keras_version": FORMAT_VERSION, "date_saved": saved}),
        archive.CONFIG: json.dumps(config),
        archive.WEIGHTS: weights_bytes(model, with_optimizer=include_optimizer and model.built, state=state),
        **own_state.assets(model),
    }


def read_model(
    filepath: str | os.PathLike[str] | BinaryIO,
    make: MakeModel[M],
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
) -> M:
    """Read a `.keras` or legacy `.h5` file that `save_model` or Keras wrote. Code in it never runs.

    Args:
        filepath: The file, the folder of a model that was saved with `zipped=False`, or an open binary file.
        make: Creates a model from a description, see `MakeModel`.
        custom_objects: Custom classes and functions by name.
        compile: Whether to compile the model as the file describes, with the state of its optimizer.

    Raises:
        ValueError: If the file is damaged or describes what pyrnn does not have.
    """
    path: archive.Source = (
        os.fspath(filepath) if isinstance(filepath, str | os.PathLike) else io.BytesIO(filepath.read())
    )
    source = archive.shown_source(path)
    if isinstance(path, str) and path.endswith(legacy_h5.ENDINGS):
        with registry.custom_object_scope(custom_objects):
            return legacy_h5.read_model(path, make, compile)
    text, weights = archive.read_entries(path, archive.CONFIG, archive.WEIGHTS)
    budget = 2 * claimed_bytes(weights, source) + archive.SMALL
    with reading(source), at_most(budget), registry.custom_object_scope(custom_objects):
        model, is_built, compiled = _described(text, source, make, compile)
    state = read_random_state(model, weights, source)
    if model.built or is_built or model.weights:  # else it was saved before anything in it was built
        read_weights(model, weights, source, with_optimizer=compiled, partly=not is_built)
    own_state.load_assets(model, archive.read_below(path, own_state.ASSETS))
    if state is not None:
        set_random_state(model, state)
    return model


def _described(text: bytes, source: str, make: MakeModel[M], compile: bool) -> tuple[M, bool, bool]:
    """The model that a config describes, whether that was built, and whether the model is compiled as it was."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged or not a .keras file: {error}") from None
    model = make(source, config, compile)
    return model, bool(config.get("build_config")), compile and bool(config.get("compile_config")) and model.compiled
