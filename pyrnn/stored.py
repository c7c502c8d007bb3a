"""`Stored`: how a model describes itself, and the files it writes and reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pyrnn import overriding, registry, sharing
from pyrnn.arguments import checked
from pyrnn.files import model_file, weights_file
from pyrnn.files.atomic import refuse_existing
from pyrnn.rules import ListOf
from pyrnn.state_tree import StateTree
from pyrnn.typing import FilePath, FileToWrite, Flag, Positive, Text


class Stored(StateTree):
    """Methods of models for descriptions and files."""

    # Of the model.
    built: bool
    input_shape: Any
    build: Any
    from_config: Any

    @classmethod
    def revive(cls, config: Any) -> Any:
        """Make a new model from the config in a file.

        Args:
            config: what `get_config` returned.

        Returns:
            What `from_config` returns.

        Raises:
            TypeError, ValueError: if it describes no model, or what pyrnn does not have.
        """
        return cls.from_config(config)  # each kind of model has its own

    def describe(self) -> dict[str, Any]:
        """Describe this model in Keras 3's form, as a `.keras` file holds it.

        Returns:
            A dict of plain values.
        """
        raise NotImplementedError

    def _description(self, base: type[Any], module: str, registered_name: str | None) -> dict[str, Any]:
        """Describe this model as one of class `base`, unless its own class computes something else."""
        return sharing.write(lambda: self._entry(base, module, registered_name))

    def _entry(self, base: type[Any], module: str, registered_name: str | None) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "module": module,
            "class_name": base.__name__,
            "config": self.get_config(),
            "registered_name": registered_name,
        }
        if self._needs_its_class(base):
            entry = registry.describe(self)
        return self._with_state(entry)

    def _needs_its_class(self, base: type[Any]) -> bool:
        """Return whether only its own class can make this model again."""
        return any(overriding.new_in(type(self), method, base) for method in ("forward_pass", "from_config"))

    def _with_state(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Add to a description how the model was built and compiled."""
        if self.built:
            entry["build_config"] = self.get_build_config()
        if (compiled := self.get_compile_config()) is not None:
            entry["compile_config"] = compiled
        return entry

    def get_config(self) -> dict[str, Any]:
        """Describe the layers and how they are connected, in Keras 3's form.

        Returns:
            A dict that `from_config` accepts.
        """
        raise NotImplementedError

    def get_build_config(self) -> dict[str, Any] | None:
        """Return what `build` was called with.

        Returns:
            A dict with `input_shape`; None before `build`.
        """
        return {"input_shape": self.input_shape} if self.built else None

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Build the model as another one was built; a model that is built stays as it is.

        Args:
            config: what `get_build_config` returned.

        Raises:
            ValueError: if a layer does not accept the shape.

        Example:
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.Dense(2)])
            >>> model.build_from_config({"input_shape": (None, 3)})
            >>> model.count_params()
            8
        """
        if not self.built and config and config.get("input_shape"):
            self.build(config["input_shape"])

    def to_json(self, **options: Any) -> str:
        """Write the architecture and what `compile` was passed as JSON.

        Args:
            **options: arguments of `json.dumps`, such as `indent`.

        Returns:
            A text that `model_from_json` reads.
        """
        return json.dumps(self.describe(), **options)

    @checked
    def save(
        self: Any,  # a model
        filepath: FileToWrite,
        overwrite: Flag = True,
        include_optimizer: Flag = True,
        include_rng: Flag = False,
        save_format: Text | None = None,
        zipped: Flag | None = None,
    ) -> None:
        """Write architecture, weights and training state to a file.

        The file has the permissions that the umask allows, or those of the file it replaces. It is written under
        another name and renamed, so that nothing is lost if that fails.

        Args:
            filepath: ends in `.keras`, or in `.h5` or `.hdf5` for Keras 2's format, whose folder is made; or an open
                binary file, which gets a `.keras` file.
            overwrite: False raises an error if the file exists.
            include_optimizer: also write what `compile` was passed and the optimizer's variables.
            include_rng: also write every random stream (pyrnn's, the layers', `np.random`, `random`) and the states
                of stateful layers. `load_model` sets them, so that the same numbers are drawn as here. Keras reads
                the file like any other.
            save_format: "keras" or "h5", as older scripts write; the ending of `filepath` must be of that format.
            zipped: False writes a folder with the files of a `.keras` file; `filepath` has no ending then.

        Raises:
            TypeError, ValueError: if an object in the model cannot be written, or the ending is another one.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.

        Example:
            >>> import tempfile, pyrnn
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(f"{folder}/model.keras")
            ...     pyrnn.load_model(f"{folder}/model.keras").count_params()
            8
        """
        if not hasattr(filepath, "write"):
            refuse_existing(filepath, overwrite)
        model_file.save_model(self, filepath, include_optimizer, include_rng, save_format, zipped)

    @checked
    def save_weights(
        self: Any,  # a model
        filepath: FilePath,
        overwrite: Flag = True,
        max_shard_size: Positive | None = None,
        save_format: Text | None = None,
        objects_to_skip: Annotated[Sequence[Any], ListOf(weights_file.HasWeights())] | None = None,
    ) -> None:
        """Write the weights and the optimizer's variables to a file, or to several.

        Args:
            filepath: ends in `.weights.h5`, or in `.h5` or `.hdf5` for Keras 2's format; with `max_shard_size` in
                `.weights.json`.
            overwrite: False raises an error if the file exists.
            max_shard_size: the most GB of arrays in one file. They are written to `NAME_00000.weights.h5`,
                `NAME_00001.weights.h5`, ..., next to `NAME.weights.json`, which says what is where.
            save_format: None or "h5", as older scripts write.
            objects_to_skip: layers whose weights are left out, for `.weights.h5` and `.weights.json` files.

        Raises:
            ValueError: if the model is not built, the ending is another one, or an array is larger than
                `max_shard_size`.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.

        Example:
            >>> import tempfile, pyrnn
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save_weights(f"{folder}/model.weights.json", max_shard_size=0.25)
            ...     model.load_weights(f"{folder}/model.weights.json")
        """
        weights_file.save_weights(self, filepath, overwrite, max_shard_size, save_format, objects_to_skip)

    @checked
    def load_weights(
        self: Any,  # a model
        filepath: FilePath,
        skip_mismatch: Flag = False,
        by_name: Flag = False,
        objects_to_skip: Annotated[Sequence[Any], ListOf(weights_file.HasWeights())] | None = None,
    ) -> None:
        """Read weights that `save_weights`, `save` or Keras wrote. Nothing changes unless all of them fit.

        Args:
            filepath: a `.weights.h5` or `.keras` file, a `.weights.json` with its other files next to it, or `.h5` or
                `.hdf5` in Keras 2's format.
            skip_mismatch: leave layers as they are, with a warning, if their weights do not fit.
            by_name: match layers by their names instead of their order, for Keras 2's format.
            objects_to_skip: layers that keep their weights, for `.weights.h5` and `.weights.json` files.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is damaged or does not fit, or the model is not built.
        """
        weights_file.load_weights(self, filepath, skip_mismatch, by_name, objects_to_skip)
