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
from pyrnn.layers import custom
from pyrnn.layers.base import Layer, Shape
from pyrnn.loops import Passes
from pyrnn.parameters import ParameterVector, Weight, assign_all, values_for
from pyrnn.plan import Plan
from pyrnn.rules import Function, ListOf, OneOf, Whole
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
        self._shapes: list[Any] = []  # of the layers' outputs, once they are built
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
        """The layer of that name or index."""
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
        """Copies of all weights, layer by layer."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all weights, given in the order of `get_weights`; nothing is written unless all shapes fit."""
        assign_all(values_for(f"model {self.name!r}", self.weights, weights))

    def count_params(self) -> int:
        """Number of values in all weights."""
        if not self.built:
            raise ValueError(f"model {self.name!r} has no weights yet: build it or call it on data first")
        return sum(weight.size for weight in self.weights)

    def parameters(self) -> ParameterVector:
        """All trainable weights as one flat vector; a new one if `trainable` has changed since."""
        return self.plan().parameters()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or copy holds: all but a `fit` under way and what is derived from the layers."""
        return {**vars(self), "_run": None, "_plan": Plan(self._layers)}

    # Numbers.

    def plan(self) -> Plan:
        """Return the plan of this model, compiled for the layers and weights as they are now."""
        plan = self._plan
        if plan.stale:
            plan.compile(self.weights, self.trainable_weights, self.dtype)
        return plan

    def passes(self) -> Passes:
        return self if self._overrides_passes else self.plan()

    def backward_pass(self, dy: Array) -> None:
        """Write the gradients of all trainable weights, after `forward_pass(training=True)`."""
        self.plan().backward_pass(dy)

    def regularization_loss(self) -> float:
        """Sum of all weight regularizers and, over the last forward pass, of the layers' activity regularizers.

        An activity's penalty is divided by the batch size, as in Keras.
        """
        return self.plan().regularization_loss()

    def add_regularization_gradients(self) -> None:
        """Add the regularizers' gradients to the weights' gradients."""
        self.plan().add_regularization_gradients()

    def reset_states(self, states: Any = None) -> None:
        """Set the states of stateful layers, to zeros unless `states` is given.

        Args:
            states: those of the one stateful layer, as its `reset_state` takes them, or a list with an entry for each
                stateful layer where there are several.

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
            for layer, kept in zip(stateful, before, strict=True):
                layer.reset_state(kept)
            raise

    reset_state = reset_states

    @checked
    def stream(self, batch_size: Size = 1, on_nan: Annotated[str, OneOf("pass", "raise", "hold")] = "pass") -> Stream:
        """This model one time step at a time, with the weights it has now; see `pyrnn.streaming.Stream`.

        `on_nan` says what happens to readings that are NaN or infinite: "pass" does not check, "raise" rejects them,
        "hold" puts the last finite reading in their place.
        """
        if not self.built:
            raise ValueError(not_built("it can be streamed"))
        return Stream(self._layers, self.input_shape, batch_size, self.dtype, on_nan)

    @checked
    def __call__(self, x: Inputs, training: Flag = False) -> Array:
        """Output for an array."""
        return self._output(x, training=bool(training))

    # Configs and files.

    def describe(self) -> dict[str, Any]:
        """Keras 3's description of this model, as a `.keras` file holds it."""
        raise NotImplementedError

    def to_json(self, **options: Any) -> str:
        """The architecture and what `compile` was given, as JSON; `options` go to `json.dumps`."""
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
            overwrite: False raises an error where the file exists.
            include_optimizer: write what `compile` was passed and the optimizer's variables, too.
            include_rng: write every random stream (pyrnn's, the layers', `np.random`, `random`) and the states of
                stateful layers, too. `load_model` sets them, and draws what would have been drawn here. Keras reads
                the file as any other.
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
            overwrite: False raises an error where the file exists.
            save_format: None or "h5", as older scripts write.

        Raises:
            ValueError: if the model is not built, or the ending is another one.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.
        """
        _refuse_existing(filepath, overwrite)
        weights_file.save_weights(self, filepath, save_format)

    @checked
    def load_weights(self, filepath: FilePath, skip_mismatch: Flag = False, by_name: Flag = False) -> None:
        """Read weights that `save_weights` (or Keras) wrote: `.weights.h5`, `.keras`, or legacy `.h5`.

        `skip_mismatch` passes over layers that do not fit; `by_name` (legacy files) matches layers by their names.
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
        """Print the layers, their output shapes and their numbers of weights, as Keras does.

        `layer_range` holds the names (or patterns) of the first and last layer to print; `expand_nested` changes
        nothing, since models do not nest here.
        """
        print_summary(self, line_length, positions, print_fn, show_trainable, layer_range)

    def __repr__(self) -> str:
        return f"<Sequential name={self.name}, built={self.built}>"


def _refuse_existing(filepath: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)!r} exists and overwrite is False")
