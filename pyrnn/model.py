"""`Model`: what every model has, whatever the order in which its layers run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

from numpy.typing import NDArray

from pyrnn import overriding, rules
from pyrnn.arguments import checked
from pyrnn.files import model_file, weights_file
from pyrnn.function_rules import Function
from pyrnn.layers import custom
from pyrnn.layers.base import Layer, Shape
from pyrnn.loops import Passes
from pyrnn.parameters import ParameterVector, Weight, assign_all, values_for
from pyrnn.plan import Plan
from pyrnn.rules import ListOf, OneOf, Whole
from pyrnn.streaming import Stream
from pyrnn.summary import print_summary
from pyrnn.trainer import Trainer
from pyrnn.typing import FilePath, Flag, Inputs, Name, Size, Text, Vector
from pyrnn.validation import LARGEST_SIZE, not_built, shown, unknown_name

Array = NDArray[Any]
_PASSES = [name for name in vars(Passes) if not name.startswith("_")]


class Model(Trainer):
    """Weights, training, files and reports of a model; a class that derives from it says how its layers run."""

    # Whether a subclass defines one of the methods of `Passes`.
    _overrides_passes: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reject methods that are never called."""
        super().__init_subclass__(**kwargs)
        overriding.reject(cls, overriding.MODEL)
        overriding.require_partner(cls, "forward_pass", "backward_pass", Trainer)
        overriding.require_partner(cls, "regularization_loss", "add_regularization_gradients", Trainer)
        overriding.join(cls, "reset_states", "reset_state")
        if (method := overriding.new_in(cls, "forward_pass", Trainer)) is not None:
            cls.forward_pass = custom.passing(method)  # type: ignore[method-assign]
        cls._overrides_passes = any(getattr(cls, name) is not getattr(Model, name) for name in _PASSES)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.built = False
        self._trainable = True
        self._layers: list[Layer] = []
        self._shapes: list[Any] = []  # of the outputs of the layers that are built
        self._plan = Plan(self._layers)

    # Structure.

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input layer."""
        return list(self._layers)

    @property
    def dtype(self) -> str:
        """'float32' or 'float64', of all layers."""
        return self._layers[0].dtype if self._layers else "float32"

    @property
    def trainable(self) -> bool:
        """Whether training changes this model's weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        rules.Flag().check("trainable", value)
        self._trainable = bool(value)
        self._plan.stale = True
        for layer in self._layers:
            layer.trainable = bool(value)

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, batch axis first."""
        raise NotImplementedError

    @checked
    def get_layer(self, name: Name | None = None, index: Annotated[int, Whole(-LARGEST_SIZE)] | None = None) -> Layer:
        """Return a layer by its name or its index.

        Args:
            name: name of the layer.
            index: place of the layer, from 0; negative ones count from the end.

        Returns:
            The layer.

        Raises:
            ValueError: if there is no such layer, or not exactly one of the arguments is passed.
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer() takes either name or index, got {shown(name)} and {shown(index)}")
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(f"index must be from {-len(self._layers)} to {len(self._layers) - 1}, got {index}")
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ValueError(unknown_name("layer", name, [layer.name for layer in self._layers]))

    # Weights.

    @property
    def weights(self) -> list[Weight]:
        """All weights, layer by layer."""
        return [weight for layer in self._layers for weight in layer.weights]

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes."""
        if not self._trainable:
            return []
        return [weight for layer in self._layers for weight in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training leaves alone."""
        if not self._trainable:
            return self.weights
        return [weight for layer in self._layers for weight in layer.non_trainable_weights]

    def get_weights(self) -> list[Array]:
        """Copy all weights.

        Returns:
            A list of arrays, layer by layer, as `set_weights` takes it.
        """
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all weights. Nothing is written unless all shapes fit.

        Args:
            weights: a list of arrays in the order and shapes of those of `get_weights`, (rows, columns) for a kernel.

        Raises:
            TypeError: if it is not a list of arrays of numbers.
            ValueError: if the number of arrays or a shape is another one.
        """
        assign_all(values_for(f"model {self.name!r}", self.weights, weights))

    def count_params(self) -> int:
        """Count the numbers in all weights.

        Returns:
            How many there are.

        Raises:
            ValueError: if the model is not built yet.
        """
        if not self.built:
            raise ValueError(f"model {self.name!r} has no weights yet: build it or call it on data first")
        return sum(weight.size for weight in self.weights)

    def parameters(self) -> ParameterVector:
        """Return all trainable weights as one flat vector, as optimizers take them.

        Returns:
            The same vector each time, until other weights are trainable.
        """
        return self.plan().parameters()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or copy holds: all but a `fit` under way and what is derived from the layers."""
        return {**vars(self), "_run": None, "_plan": Plan(self._layers)}

    # Numbers.

    def plan(self) -> Plan:
        """Compile the plan of this model, unless no layer and no weight has changed since.

        Returns:
            The plan.
        """
        plan = self._plan
        if plan.stale:
            plan.compile(self.weights, self.trainable_weights, self.dtype)
        return plan

    def passes(self) -> Passes:
        return self if self._overrides_passes else self.plan()

    def backward_pass(self, dy: Array) -> None:
        """Write the gradients of all trainable weights, after `forward_pass(x, training=True)`.

        Args:
            dy: gradient of the loss by the output, in the shape (batch, ...) of the output.
        """
        self.plan().backward_pass(dy)

    def regularization_loss(self) -> float:
        """Add up all weight regularizers and, over the last forward pass, the activity regularizers of the layers.

        Returns:
            The sum; an activity's penalty is divided by the batch size, as in Keras.
        """
        return self.plan().regularization_loss()

    def add_regularization_gradients(self) -> None:
        """Add the gradients of the regularizers to those of the weights."""
        self.plan().add_regularization_gradients()

    def reset_states(self, states: Any = None) -> None:
        """Set the states of stateful layers, to zeros unless `states` is given.

        Args:
            states: those of the only stateful layer, as its `reset_state` takes them, or a list with an entry for
                each stateful layer if there are several.

        Raises:
            ValueError: if the states do not fit; all stay as they were.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Input, Sequential, layers
            >>> model = Sequential([Input(batch_shape=(1, 5, 2)), layers.LSTM(3, stateful=True)])
            >>> model.reset_states([np.ones((1, 3)), np.zeros((1, 3))])
            >>> model.layers[0].states[0]
            array([[1., 1., 1.]], dtype=float32)
        """
        if states is None:
            for layer in self._layers:
                layer.reset_state()
            return
        stateful: list[Any] = [layer for layer in self._layers if getattr(layer, "states", None) is not None]
        entries = [states] if len(stateful) == 1 else states
        if not isinstance(entries, list | tuple) or len(entries) != len(stateful):
            raise ValueError(f"states must be a list of {len(stateful)}, one per stateful layer, got {shown(states)}")
        before = [layer.states for layer in stateful]
        try:
            for layer, entry in zip(stateful, entries, strict=True):
                layer.reset_state(entry)
        except BaseException:
            for layer, entry in zip(stateful, before, strict=True):
                layer.reset_state(entry)
            raise

    reset_state = reset_states

    @checked
    def stream(self, batch_size: Size = 1, on_nan: Annotated[str, OneOf("pass", "raise", "hold")] = "pass") -> Stream:
        """Compile the model, with the weights it has now, to run one time step at a time in microseconds.

        Args:
            batch_size: number of series that are streamed side by side.
            on_nan: what happens to readings that are NaN or infinite: "pass" does not check, "raise" rejects them,
                "hold" replaces them by the last finite reading.

        Returns:
            A `pyrnn.streaming.Stream`, whose `step` takes one reading (features,) or (batch_size, features).

        Raises:
            ValueError: if the model is not built, or a layer needs more than the steps so far.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.GRU(4, input_shape=(None, 2)), layers.Dense(1)])
            >>> stream = model.stream()
            >>> outputs = [stream.step(reading) for reading in np.ones((5, 2), np.float32)]
            >>> bool(np.allclose(outputs[-1], model(np.ones((1, 5, 2)))[0], atol=1e-6))
            True
        """
        if not self.built:
            raise ValueError(not_built("it can be streamed"))
        return Stream(self._layers, self.input_shape, batch_size, self.dtype, on_nan)

    @checked
    def __call__(self, x: Inputs, training: Flag = False) -> Array:
        """Compute the output for an array.

        Args:
            x: inputs, shape (batch, ...).
            training: whether dropout and noise are drawn and batch normalization uses the batch.

        Returns:
            The output, shape (batch, ...), in memory of its own.

        Raises:
            TypeError, ValueError: if x does not fit the model.
        """
        return self._output(x, training=bool(training))

    # Configs and files.

    def describe(self) -> dict[str, Any]:
        """Describe this model in Keras 3's form, as a `.keras` file holds it.

        Returns:
            A dict of plain values.
        """
        raise NotImplementedError

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
        self,
        filepath: FilePath,
        overwrite: Flag = True,
        include_optimizer: Flag = True,
        include_rng: Flag = False,
        save_format: Text | None = None,
    ) -> None:
        """Write architecture, weights and training state to a file.

        The file has the permissions that the umask allows, or those of the file it replaces. It is written under
        another name and renamed, so that nothing is lost if that fails.

        Args:
            filepath: ends in `.keras`, or in `.h5` or `.hdf5` for Keras 2's format.
            overwrite: False raises an error if the file exists.
            include_optimizer: also write what `compile` was passed and the optimizer's variables.
            include_rng: also write every random stream (pyrnn's, the layers', `np.random`, `random`) and the states
                of stateful layers. `load_model` sets them, so that the same numbers are drawn as here. Keras reads
                the file like any other.
            save_format: "keras" or "h5", as older scripts write; the ending of `filepath` must be of that format.

        Raises:
            TypeError, ValueError: if the model is not built, an object in it cannot be written, or the ending is
                another one.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.

        Example:
            >>> import tempfile, pyrnn
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(f"{folder}/model.keras")
            ...     pyrnn.load_model(f"{folder}/model.keras").count_params()
            8
        """
        _refuse_existing(filepath, overwrite)
        model_file.save_model(self, filepath, include_optimizer, include_rng, save_format)

    @checked
    def save_weights(self, filepath: FilePath, overwrite: Flag = True, save_format: Text | None = None) -> None:
        """Write the weights to a file.

        Args:
            filepath: ends in `.weights.h5`, or in `.h5` or `.hdf5` for Keras 2's format.
            overwrite: False raises an error if the file exists.
            save_format: None or "h5", as older scripts write.

        Raises:
            ValueError: if the model is not built, or the ending is another one.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.
        """
        _refuse_existing(filepath, overwrite)
        weights_file.save_weights(self, filepath, save_format)

    @checked
    def load_weights(self, filepath: FilePath, skip_mismatch: Flag = False, by_name: Flag = False) -> None:
        """Read weights that `save_weights`, `save` or Keras wrote. Nothing changes unless all of them fit.

        Args:
            filepath: a `.weights.h5` or `.keras` file, or `.h5` or `.hdf5` in Keras 2's format.
            skip_mismatch: leave layers as they are, with a warning, if their weights do not fit.
            by_name: match layers by their names instead of their order, for Keras 2's format.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is damaged or does not fit, or the model is not built.
        """
        weights_file.load_weights(self, filepath, skip_mismatch=skip_mismatch, by_name=by_name)

    @checked
    def summary(
        self,
        line_length: Size | None = None,
        positions: Vector | None = None,
        print_fn: Annotated[Callable[[str], Any], Function(1, 1)] | None = None,
        expand_nested: Flag = False,
        show_trainable: Flag = False,
        layer_range: Annotated[Sequence[str], ListOf(rules.Text())] | None = None,
    ) -> None:
        """Print the layers, their output shapes and how many weights they have, as Keras does.

        Args:
            line_length: width in characters; by default that of the terminal, at most Keras's.
            positions: where the columns end, as parts of the width, from 0 to 1.
            print_fn: receives the whole text instead of the terminal.
            expand_nested: has no effect, since models do not nest here.
            show_trainable: add a column that says which layers train.
            layer_range: names, or patterns of names, of the first and the last layer to print.

        Raises:
            ValueError: if the columns are too narrow, or `layer_range` matches no layer.
        """
        print_summary(self, line_length, positions, print_fn, show_trainable, layer_range)


def _refuse_existing(filepath: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)!r} exists and overwrite is False")
