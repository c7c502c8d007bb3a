"""`Sequential`: layers that run one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn import layers as layers_module
from pyrnn import one_dtype, registry, shapes
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_float, is_float
from pyrnn.data.signature import Ports, Signature
from pyrnn.keras2 import Keras2Methods
from pyrnn.layers.base import Layer, Shape
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.holder import Holder
from pyrnn.layers.serialization import MODELS
from pyrnn.layers.settings import dtype_config, standard_shape
from pyrnn.model import Model
from pyrnn.naming import auto_name
from pyrnn.rules import Unchecked
from pyrnn.symbols import Symbol
from pyrnn.typing import Boolean, Name
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
_MOST_SHAPES = 1000  # that `check_input` remembers


class Sequential(Keras2Methods, Model):
    """A model whose layers run one after the other.

    The model is built as soon as the input shape is known: from an `Input`, from `input_shape=` of the first layer,
    or at the first `fit`, `predict` or call.

    A subclass may override `forward_pass` together with `backward_pass`, `get_config`, `reset_states` and the methods
    that users call; also `train_step`, `test_step`, `predict_step`, `compute_loss` and `compute_metrics`, as in Keras.
    A class that defines another method that Keras calls and pyrnn does not is rejected when it is created.

    Args:
        layers: a list of layers, in the order in which they run.
        trainable: False freezes all layers.
        name: name of the model; by default 'sequential', 'sequential_1', ...

    Raises:
        TypeError: if `layers` holds something else than layers.
        ValueError: if two layers have the same name, or a layer does not fit the one before it.

    Example:
        >>> import numpy as np
        >>> from pyrnn import Input, Sequential, layers
        >>> model = Sequential([Input((None, 3)), layers.LSTM(8), layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> history = model.fit(np.zeros((32, 10, 3)), np.ones((32, 1)), epochs=2, verbose=0)
        >>> model.predict(np.zeros((5, 20, 3)), verbose=0).shape
        (5, 1)
    """

    @checked
    def __init__(
        self,
        layers: Annotated[Iterable[Any], Unchecked(allowed="list dict")] | None = None,
        trainable: Boolean = True,
        name: Name | None = None,
    ) -> None:
        self._begin(name if name is not None else auto_name(type(self).__name__))
        self._input: InputLayer | None = None
        self._shape: Shape | None = None
        self._fitting: set[Shape] = set()  # other shapes of a sample that all layers take
        self._deferred = False
        self._connected: list[Symbol] = []  # the input, and the output of each layer
        self._signature: Signature | None = None
        if layers is not None:
            if isinstance(layers, (Layer, str)) or not isinstance(layers, Iterable):
                fix = "; write [layer]" if isinstance(layers, Layer) else ""
                raise WrongType(f"layers must be a list of layers, got {shown(layers)}{fix}")
            for layer in layers:
                self.add(layer)
        if not trainable:
            self.trainable = False

    # Structure.

    def add(self, layer: Any) -> None:
        """Add a layer after the last one. It is built at once if the input shape is known.

        Args:
            layer: a layer; an `Input` can only come first.

        Raises:
            TypeError: if it is not a layer.
            ValueError: if its name, dtype, outputs or shape do not fit the layers before it.
        """
        if isinstance(layer, Symbol):
            if not isinstance(layer.node.layer, InputLayer):
                raise WrongType(f"add() takes a layer or an Input, got the output of layer {layer.node.layer.name!r}")
            layer = layer.node.layer
        if isinstance(layer, type) and issubclass(layer, Holder):
            raise WrongType(f"add() takes a layer, got the class {layer.__name__}; write {layer.__name__}(...)")
        if not issubclass(type(layer), Holder):
            raise WrongType(f"add() takes a layer of pyrnn.layers, got {shown(layer)}")
        if "_trainable" not in vars(layer):
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
        if self._layers and len(one_dtype.agree([*self._layers, layer])) > 1:
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
        layer.added_to(self)
        self._signature = None
        self._plan.route()
        self._fitting.clear()
        self.built = self._shape is not None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_connected": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or copy; its layers are connected again at first use."""
        vars(self).update(state)
        for layer in self._layers:
            layer.added_to(self)

    def pop(self) -> Any:
        """Remove the last layer.

        Returns:
            The layer, None if there is none.
        """
        if not self._layers:
            return None
        layer = self._layers.pop()
        if len(self._connected) > len(self._layers) + 1:
            layer.nodes.remove(self._connected.pop().node)
        self._signature = None
        self._plan.route()
        self._fitting.clear()
        if self._shapes:
            self._shapes.pop()
        if not self._layers:
            self.built = False
            if self._deferred:
                self._shape, self._deferred = None, False
        return layer

    def signature(self) -> Signature | None:
        """Return how the model reads its input, targets and weights.

        Returns:
            Names and ranks of input and output; None before the model is built.
        """
        if self._signature is None and self.built:
            name = None if self._input is None else self._input.name
            inputs = Ports("input", name, (len(self.input_shape),))
            self._signature = Signature(inputs, Ports("output", self._output_names(), (len(self.output_shape),)))
        return self._signature

    def _output_names(self) -> Any:
        return self._layers[-1].name if self._layers else None

    def _build_layer(self, layer: Any, shape: Shape) -> None:
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
        """Create all weights.

        Args:
            input_shape: shape of the inputs, batch axis first, None for axes of any size.

        Raises:
            ValueError: if the shape does not fit the layers, or the model is already built for another one.
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

    def _symbols(self) -> tuple[Symbol, Symbol]:
        """Return the symbols of the input and the output; connects the layers at first use."""
        if self._shape is None or not self._layers:
            raise AttributeError(f"model {self.name!r} has no symbols yet: its input shape is not known")
        self.connect_layers()
        return self._connected[0], self._connected[-1]

    def connect_layers(self) -> None:
        """Call the layers on symbols that were not yet, so that they have `input` and `output`."""
        if self._shape is None:
            return
        if not self._connected:
            if self._input is None:
                self._input = InputLayer(batch_shape=self._shape)
            self._connected.append(self._input.nodes[0].outputs[0])
        for layer in self._layers[len(self._connected) - 1 :]:
            self._connected.append(layer(self._connected[-1]))

    @property
    def input(self) -> Symbol:
        return self._symbols()[0]

    @property
    def output(self) -> Symbol:
        return self._symbols()[1]

    # Numbers.

    def check_input(self, shape: Shape) -> Shape:
        """Check that an x of this shape fits the model.

        Args:
            shape: shape of x, batch axis first.

        Returns:
            The shape in which the model reads x: the same, but for a last axis of 1 that is missing or too many.

        Raises:
            ValueError: if it does not fit.
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
        """Run all layers. Builds the model if its input shape was not known before.

        Args:
            x: inputs, shape (batch, ...).
            training: whether layers save what `backward_pass` needs, and draw dropout and noise.

        Returns:
            The output (batch, ...) and its mask, None if there is none.

        Raises:
            TypeError, ValueError: if x does not fit the model.
        """
        dtype = self._layers[0].dtype if self._layers else "float32"
        if not is_float(x, dtype):
            x = as_float("x", x, dtype)
        if not self.built:
            self.build((None, *x.shape[1:]))
        x, plan = self._fitted(x), self._plan
        if plan.chain is not None:
            return plan.run_chain(x, training)
        (y,), (mask,) = plan.forward_pass((x,), training)
        return y, mask

    def squared_error_step(self, x: Array, y: Array) -> tuple[float, Array] | None:
        plan = self._plan
        return plan.squared_error_step(self._fitted(x), y) if plan.can_link and not plan.stale else None

    def _fitted(self, x: Array) -> Array:
        """Return x in the shape in which the model reads it."""
        shape: Shape = x.shape
        fitted = self.check_input(shape)
        return x if fitted is shape else x.reshape(fitted)

    # Configs.

    def get_config(self) -> dict[str, Any]:
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
        """Make a new model, with fresh weights, from a config.

        Args:
            config: what `get_config` of pyrnn or Keras returned, or the list of layers that Keras 2.0 wrote.
            custom_objects: custom classes and functions by name, where they are not registered.

        Returns:
            The model.

        Raises:
            TypeError, ValueError: if the config holds no layers, or describes what pyrnn does not have.
        """
        entries = config.get("layers") if isinstance(config, Mapping) else config  # Keras 2.0 wrote a bare list
        if not isinstance(entries, list | tuple):
            raise ValueError(f"config of a Sequential must hold a list of layers, got {shown(config)}")
        config = config if isinstance(config, Mapping) else {}
        stack = [layers_module.deserialize(entry, custom_objects) for entry in entries]
        trainables = [layer.trainable for layer in stack]
        model = cls(stack, name=config.get("name"))
        model._trainable = bool(config.get("trainable", True))
        for layer, trainable in zip(stack, trainables, strict=True):
            if layer.trainable != trainable:
                layer.trainable = trainable
        shape = config.get("build_input_shape")
        if not model.built and model._layers and shape:
            model.build(shape)
        return model

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Compute the shape of the output.

        Args:
            input_shape: shape of the inputs, batch axis first, None for axes of any size.

        Returns:
            The shape, batch axis first.

        Raises:
            ValueError: if the shape does not fit the layers.
        """
        shape: Any = standard_shape("input_shape", input_shape)
        if self._shape is not None and len(shape) != len(self._shape):
            raise ValueError(f"input_shape must have {len(self._shape)} axes like {self._shape}, got {shape}")
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def _needs_its_class(self, base: type[Model]) -> bool:
        kind = type(self)
        is_found = registry.get_registered_name(kind) != kind.__name__ and kind.__init__ is Sequential.__init__
        return is_found or super()._needs_its_class(base)

    def name_of_class(self) -> str:
        return (type(self) if self._needs_its_class(Sequential) else Sequential).__name__

    def describe(self) -> dict[str, Any]:
        return self._description(Sequential, "keras", None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


MODELS["Sequential"] = Sequential
