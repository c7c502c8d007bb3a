"""`Sequential`: a stack of layers that trains."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers as layers_module
from pyrnn import overriding, registry, shapes
from pyrnn.arguments import a_function, a_model, checked, flag, optional, whole
from pyrnn.data.batches import as_float, is_float
from pyrnn.explaining import explain
from pyrnn.layers.base import Layer, Shape
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.settings import dtype_config, standard_shape
from pyrnn.naming import auto_name
from pyrnn.older_names import OlderNames
from pyrnn.parameters import ParameterVector, Structure, Weight, assign_all, shaped, values_for
from pyrnn.streaming import Stream
from pyrnn.trainer import Trainer
from pyrnn.validation import LARGEST_SIZE, not_built, parsed, shown, unknown_name

Array = NDArray[Any]
_MOST_SHAPES = 1000  # that `check_input` remembers

__all__ = ["Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


class _Plan(NamedTuple):
    """What a training step needs to know of the layers; good for as long as `Structure.changes` stays."""

    changes: int
    weights: list[Weight]
    first: int  # the lowest layer with trainable weights
    penalised: list[Weight]
    penalised_trainable: list[Weight]


class Sequential(OlderNames):
    """Layers run one after the other.

    The model is built as soon as the input shape is known: from an `Input`, from `input_shape=` of the first layer,
    or at the first `fit`, `predict` or call.

    Args:
        layers: layers to add, in order.
        trainable: False freezes all layers.
        name: 'sequential', 'sequential_1', ... unless given.

    A subclass may override `forward_pass` together with `backward_pass`, `get_config`, `reset_states` and the methods
    that users call. One that defines `call`, `train_step` or another method that Keras calls and pyrnn does not is
    rejected when it is created.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reject methods that are never called."""
        super().__init_subclass__(**kwargs)
        overriding.reject(cls, overriding.MODEL)
        overriding.require_partner(cls, "forward_pass", "backward_pass", Trainer)
        overriding.require_partner(cls, "regularization_loss", "add_regularization_gradients", Trainer)
        overriding.join(cls, "reset_states", "reset_state")

    @checked()
    def __init__(self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__()
        self.name = name if name is not None else auto_name("Sequential")
        self.built = False
        self.stop_training = False
        self._trainable = bool(trainable)
        self._input: InputLayer | None = None
        self._layers: list[Layer] = []
        self._activities: dict[Layer, Array] = {}  # outputs of the last forward pass that are penalised
        self._shape: Shape | None = None
        self._shapes: list[Any] = []
        self._fitting: set[Shape] = set()  # other shapes of a sample that all layers take
        self._deferred = False
        self._plan: _Plan | None = None
        self._vector: ParameterVector | None = None
        if layers is not None:
            if isinstance(layers, (Layer, str)) or not isinstance(layers, Iterable):
                fix = "; write [layer]" if isinstance(layers, Layer) else ""
                raise TypeError(f"layers must be a list of layers, got {shown(layers)}{fix}")
            for layer in layers:
                self.add(layer)
        if not trainable:
            self.trainable = False

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
        flag("trainable", value)
        self._trainable = bool(value)
        for layer in self._layers:
            layer.trainable = bool(value)

    def add(self, layer: Any) -> None:
        """Put one more layer on top; it is built at once when the input shape is known."""
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"add() takes a layer, got the class {layer.__name__}; write {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise TypeError(f"add() takes a layer of pyrnn.layers, got {shown(layer)}")
        if "_weights" not in vars(layer):
            raise TypeError(f"{type(layer).__name__} does not call super().__init__() in its __init__")
        if any(layer.name == other.name for other in (*self._layers, *([self._input] if self._input else []))):
            raise ValueError(
                f"layers of a model must have different names, got {layer.name!r} twice: pass another name="
            )
        if isinstance(layer, InputLayer):
            if self._input is not None or self._layers:
                raise ValueError("an Input can only be the first layer of a Sequential")
            self._input = layer
            self._shape = layer.batch_shape
            return
        if getattr(layer, "return_state", False):
            raise ValueError(
                f"layer {layer.name!r} has return_state=True: a Sequential passes on one array, call the layer itself"
            )
        if getattr(layer, "merge_mode", "concat") is None:
            raise ValueError(
                f"layer {layer.name!r} has merge_mode=None and returns two arrays: a Sequential passes on one, choose "
                "'concat', 'sum', 'ave' or 'mul', or call the layer itself"
            )
        if self._layers and layer.dtype != self.dtype:
            raise ValueError(f"layer {layer.name!r} has dtype {layer.dtype}, the layers before it {self.dtype}")
        shape, declared = self._shapes[-1] if self._shapes else self._shape, None
        if not self._layers and shape is None and layer.declared_shape is not None:
            declared = InputLayer(batch_shape=layer.declared_shape)
            shape = declared.batch_shape
        if shape is not None:
            if type(self).build is not Sequential.build and not self._deferred:
                raise TypeError(
                    f"{type(self).__name__} defines build(), which is called where no layer and no Input declares the "
                    f"input shape, got {shape}: leave the shape out or add the layers in __init__()"
                )
            self._build_layer(layer, shape)
        if declared is not None:
            self._input, self._shape = declared, shape
        self._layers.append(layer)
        self._plan = None
        self._fitting.clear()
        self.built = self._shape is not None

    def pop(self) -> Layer | None:
        """Take the last layer off and return it."""
        if not self._layers:
            return None
        layer = self._layers.pop()
        self._plan = None
        self._fitting.clear()
        if self._shapes:
            self._shapes.pop()
        if not self._layers:
            self.built = False
            if self._deferred:
                self._shape, self._deferred = None, False
        return layer

    def _output_name(self) -> str | None:
        return self._layers[-1].name if self._layers else None

    def _build_layer(self, layer: Layer, shape: Shape) -> None:
        try:
            layer.build(shape)
        except ValueError as error:
            below = itertools.takewhile(lambda each: each is not layer, self._layers)
            raise ValueError(shapes.explained(error, layer, list(below), shape)) from None
        for weight in layer.weights:
            if weight.path.startswith(f"{layer.name}/"):  # else it has the name of the model that it was built in
                weight.path = f"{self.name}/{weight.path}"
        self._shapes.append(layer.compute_output_shape(shape))

    def build(self, input_shape: Any = None) -> None:
        """Create all weights for inputs of `input_shape` (batch axis first, None where any size goes).

        Raises:
            ValueError: if the model is built already, for another shape.
        """
        if self.built:
            if input_shape is not None and not shapes.agree(
                standard_shape("input_shape", input_shape), self.input_shape
            ):
                raise ValueError(
                    f"model {self.name!r} is already built for inputs of shape {self.input_shape}, "
                    f"got input_shape {tuple(input_shape)}"
                )
            return
        if not self._layers:
            raise ValueError(f"model {self.name!r} has no layers yet: add some first")
        if input_shape is None:
            raise ValueError(f"model {self.name!r} does not know its input shape: pass input_shape to build()")
        shape = standard_shape("input_shape", input_shape)
        if 0 in shape:
            raise ValueError(f"input_shape must hold positive sizes or None, got {shape}")
        self._shapes = []
        try:
            current: Any = shape
            for layer in self._layers:
                self._build_layer(layer, current)
                current = self._shapes[-1]
        except BaseException:
            self._shapes = []
            raise
        self._shape = shape
        self._deferred = True
        self.built = True

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, batch axis first."""
        if self._shape is None:
            raise AttributeError(f"model {self.name!r} is not built yet: its input shape is not known")
        return self._shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the output, batch axis first."""
        shape: Shape = self._shapes[-1] if self._shapes else self.input_shape
        return shape

    @checked(index=whole(-LARGEST_SIZE))
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
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
        vector, weights = self._vector, self._training_plan().weights
        if vector is None or vector.weights is not weights:
            if vector is None or list(map(id, vector.weights)) != list(map(id, weights)):
                vector = self._vector = ParameterVector(weights, self.dtype)
            vector.weights = weights  # equal, and found the same at the next step
        vector.reclaim()
        return vector

    def _training_plan(self) -> _Plan:
        plan = self._plan
        if plan is None or plan.changes != Structure.changes:
            layers, trainable = self._layers, self.trainable_weights
            plan = self._plan = _Plan(
                Structure.changes,
                trainable,
                next((i for i, layer in enumerate(layers) if layer.trainable_weights), len(layers)),
                [weight for weight in self.weights if weight.regularizer is not None],
                [weight for weight in trainable if weight.regularizer is not None],
            )
        return plan

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle or copy holds: all but a `fit` under way and what is derived from the layers."""
        return {**vars(self), "_run": None, "_plan": None, "_vector": None, "_activities": {}}

    # Numbers.

    def check_input(self, shape: Shape) -> Shape:
        """The shape in which the model reads an x of this shape: with a last axis of 1 where only that differs.

        Raises:
            ValueError: if x does not fit the model.
        """
        declared, sample = self._shape, shape[1:]
        if declared is None or (shape and (sample == declared[1:] or sample in self._fitting)):
            return shape
        if len(shape) != len(declared):
            return self.check_input(shapes.with_rank(self._layers[0], declared, shape))
        shapes.check_input(self._layers, declared, shape)
        if len(self._fitting) == _MOST_SHAPES:
            self._fitting.clear()
        self._fitting.add(sample)
        return shape

    def forward_pass(self, x: Any, *, training: bool = False) -> tuple[Array, Array | None]:
        """Output and its mask; builds the model if its input shape was not known before."""
        dtype = self._layers[0].dtype if self._layers else "float32"
        if not is_float(x, dtype):
            x = as_float("x", x, dtype)
        if not self.built:
            self.build((None, *x.shape[1:]))
        shape: Shape = x.shape
        fitted = self.check_input(shape)
        if fitted is not shape:
            x = x.reshape(fitted)
        mask: Array | None = None
        self._activities.clear()
        for layer in self._layers:
            y = layer.forward(x, training=training, mask=mask)
            if layer.activity_regularizer is not None:
                self._activities[layer] = y
            if mask is not None or layer.makes_mask:
                mask = layer.compute_mask(x, mask)
            x = y
        return x, mask

    def backward_pass(self, dy: Array) -> None:
        """Write the gradients of all trainable weights, after `forward_pass(training=True)`."""
        first = self._training_plan().first
        for index in range(len(self._layers) - 1, first - 1, -1):
            layer = self._layers[index]
            if layer.activity_regularizer is not None:
                activity = self._activities[layer]
                slope = np.asarray(layer.activity_regularizer.gradient(activity) / len(activity), dy.dtype)
                if slope.shape != dy.shape:
                    raise ValueError(
                        f"the gradient of the activity_regularizer of layer {layer.name!r} must have the shape of its "
                        f"output, {dy.shape}, got {slope.shape}"
                    )
                dy = dy + slope
            gradient = layer.backward(dy, need_dx=index > first)
            if index > first:
                assert gradient is not None
                dy = gradient

    def regularization_loss(self) -> float:
        """Sum of all weight regularizers and, over the last forward pass, of the layers' activity regularizers.

        An activity's penalty is divided by the batch size, as in Keras.
        """
        penalty = 0.0
        for weight in self._training_plan().penalised:
            penalty += _penalty(weight.path, weight.regularizer(weight.array))
        for layer, y in self._activities.items():
            assert layer.activity_regularizer is not None
            penalty += _penalty(layer.name, layer.activity_regularizer(y)) / len(y)
        return penalty

    def add_regularization_gradients(self) -> None:
        """Add the regularizers' gradients to the weights' gradients."""
        for weight in self._training_plan().penalised_trainable:
            weight.gradient += shaped(
                "the gradient of the regularizer", weight, weight.regularizer.gradient(weight.array)
            )

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

    @checked()
    def stream(self, batch_size: int = 1, on_nan: str = "pass") -> Stream:
        """This model one time step at a time, with the weights it has now; see `pyrnn.streaming.Stream`.

        `on_nan` says what happens to readings that are NaN or infinite: "pass" does not check, "raise" rejects them,
        "hold" puts the last finite reading in their place.
        """
        if not self.built:
            raise ValueError(not_built("it can be streamed"))
        return Stream(self._layers, self.input_shape, batch_size, self.dtype, on_nan)

    @checked()
    def __call__(self, x: Any, training: bool = False) -> Array:
        """Output for an array."""
        return self._output(x, training=bool(training))

    # Configs and files.

    def get_config(self) -> dict[str, Any]:
        """Keras 3's config of this model."""
        stack = [*([self._input] if self._input is not None else []), *self._layers]
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_config(self.dtype),
            "layers": [layers_module.serialize(layer) for layer in stack],
        }
        if self._shape is not None:
            config["build_input_shape"] = self._shape
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Sequential:
        """A new model, with fresh weights, from `get_config`'s answer."""
        entries = config.get("layers") if isinstance(config, Mapping) else config  # Keras 2.0 wrote a bare list
        if not isinstance(entries, list | tuple):
            raise ValueError(f"config of a Sequential must hold a list of layers, got {shown(config)}")
        config = config if isinstance(config, Mapping) else {}
        stack = [layers_module.deserialize(entry, custom_objects) for entry in entries]
        trainables = [layer.trainable for layer in stack]
        model = cls(stack, name=config.get("name"))
        model._trainable = bool(config.get("trainable", True))
        for layer, trainable in zip(stack, trainables, strict=True):
            layer.trainable = trainable
        shape = config.get("build_input_shape")
        if not model.built and model._layers and shape:
            model.build(shape)
        return model

    def get_build_config(self) -> dict[str, Any]:
        """The input shape this model was built for."""
        return {"input_shape": self.input_shape}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for inputs of `input_shape`, batch axis first."""
        shape: Any = standard_shape("input_shape", input_shape)
        if self._shape is not None and len(shape) != len(self._shape):
            raise ValueError(f"input_shape must have {len(self._shape)} axes like {self._shape}, got {shape}")
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def to_json(self, **options: Any) -> str:
        """The architecture and what `compile` was given, as JSON; `options` go to `json.dumps`."""
        return json.dumps(self.describe(), **options)

    def describe(self) -> dict[str, Any]:
        """Keras 3's description of this model, as it stands in a `.keras` file."""
        entry: dict[str, Any] = {
            "module": "keras",
            "class_name": "Sequential",
            "config": self.get_config(),
            "registered_name": None,
        }
        if any(overriding.new_in(type(self), method, Sequential) for method in ("forward_pass", "from_config")):
            entry = registry.describe(self)  # a plain Sequential would compute something else
        if self.built:
            entry["build_config"] = self.get_build_config()
        if (compiled := self.get_compile_config()) is not None:
            entry["compile_config"] = compiled
        return entry

    @checked()
    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        include_optimizer: bool = True,
        include_rng: bool = False,
        save_format: str | None = None,
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
        from pyrnn import saving

        _refuse_existing(filepath, overwrite)
        saving.save_model(self, filepath, include_optimizer, include_rng, save_format)

    @checked()
    def save_weights(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, save_format: str | None = None
    ) -> None:
        """Write the weights to a file.

        Args:
            filepath: ends in `.weights.h5`, or in `.h5` or `.hdf5` for Keras 2's format.
            overwrite: False raises an error where the file exists.
            save_format: None or "h5", as older scripts write.

        Raises:
            ValueError: if the model is not built, or the ending is another one.
            OSError: if the file exists and `overwrite` is False, or it cannot be written.
        """
        from pyrnn import saving

        _refuse_existing(filepath, overwrite)
        saving.save_weights(self, filepath, save_format)

    @checked()
    def load_weights(
        self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Read weights that `save_weights` (or Keras) wrote: `.weights.h5`, `.keras`, or legacy `.h5`.

        `skip_mismatch` passes over layers that do not fit; `by_name` (legacy files) matches layers by their names.
        """
        from pyrnn import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, by_name=by_name)

    @checked()
    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print the layers, their output shapes and their numbers of weights, as Keras does.

        `layer_range` holds the names (or patterns) of the first and last layer to print; `expand_nested` changes
        nothing, since models do not nest here.
        """
        from pyrnn.summary import print_summary

        print_summary(self, line_length, positions, print_fn, show_trainable, layer_range)

    def __repr__(self) -> str:
        return f"<Sequential name={self.name}, built={self.built}>"


def _penalty(owner: str, value: Any) -> float:
    """A regularizer's value, which must be one number."""
    if type(value) is float:
        return value
    if np.size(value) != 1:
        raise ValueError(
            f"the regularizer of {owner!r} must return one number, got an array of shape {np.shape(value)}"
        )
    return float(value)


@checked()
def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Sequential:
    """Read a model that `save` (or Keras) wrote, `.keras` or legacy `.h5`.

    Code in a file never runs, so `safe_mode` has nothing to switch off.
    """
    from pyrnn import saving

    model: Sequential = saving.load_model(filepath, custom_objects=custom_objects, compile=compile)
    return model


@checked(model=a_model)
def save_model(
    model: Sequential,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    include_optimizer: bool = True,
    include_rng: bool = False,
    save_format: str | None = None,
) -> None:
    """`model.save(filepath, ...)`."""
    model.save(filepath, overwrite, include_optimizer, include_rng, save_format)


@checked()
def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """A new model, with fresh weights, from `to_json`'s answer (Keras's too, versions 2 and 3)."""
    description = parsed("json_string", json_string)
    with registry.custom_object_scope(custom_objects):
        return model_from_description("json_string", description)


def model_from_description(source: str, description: Any, compile: bool = True) -> Sequential:
    """A new model, with fresh weights, from `describe`'s answer.

    Raises:
        TypeError, ValueError: if `source` holds no description of a Sequential, or names what pyrnn lacks.
    """
    config = description.get("config") if isinstance(description, dict) else None
    name = description.get("class_name") if isinstance(description, dict) else description
    if not isinstance(config, dict | list) or (name != "Sequential" and not registry.is_custom(description)):
        raise ValueError(f"{source} must hold a Sequential model, got {shown(name)}")
    cls = Sequential if name == "Sequential" else registry.described_class("model", description, {})
    model = cls.from_config(config)  # type: ignore[arg-type]  # Keras 2.0 wrote a bare list
    if not isinstance(model, Sequential):
        raise TypeError(f"{cls.__name__} must derive from pyrnn.Sequential, its from_config returned {shown(model)}")
    if not model.built and description.get("build_config"):
        model.build(description["build_config"]["input_shape"])
    if compile and description.get("compile_config"):
        try:
            model.compile_from_config(description["compile_config"])
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{error} (compile=False loads the model without optimizer, loss and metrics)") from None
    return model


@checked(model=a_model, clone_function=optional(a_function(1, 1)))
def clone_model(model: Sequential, clone_function: Callable[[Layer], Layer] | None = None) -> Sequential:
    """Make a model of the same architecture with fresh weights, and compile it if `model` is compiled.

    Custom layers, losses and other objects need not be registered, and functions may be lambdas.

    Args:
        model: a Sequential, built or not.
        clone_function: is called with each layer and returns the layer to use in its place. By default a layer is made
            again from its config.

    Returns:
        The new model. Nothing of it is shared with `model`, except functions.

    Raises:
        TypeError: if an object of a custom class cannot be made again from its `get_config()`.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> pyrnn.models.clone_model(model).count_params()
        8
    """
    with registry.living_objects() as objects:
        description = model.describe()
    with registry.custom_object_scope(objects):
        if clone_function is None:
            return model_from_description("model", description)
        layers = [clone_function(layer) for layer in model.layers]
        start = [] if model._input is None else [InputLayer.from_config(model._input.get_config())]
        clone = Sequential([*start, *layers], name=model.name, trainable=model.trainable)
        if "compile_config" in description:
            clone.compile_from_config(description["compile_config"])
        return clone


def _refuse_existing(filepath: str | os.PathLike[str], overwrite: bool) -> None:
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)!r} exists and overwrite is False")


explain(__name__)
