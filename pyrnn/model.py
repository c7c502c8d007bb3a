"""`Model`: what every model has, whatever the order in which its layers run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import overriding, ranks, rules
from pyrnn.arguments import checked
from pyrnn.data import Arrays
from pyrnn.function_rules import Function
from pyrnn.graph import Graph
from pyrnn.layers import custom
from pyrnn.layers.base import Layer, Shape
from pyrnn.layers.holder import Holder, numbered
from pyrnn.layers.input_spec import InputSpec, check_inputs
from pyrnn.loops import Passes
from pyrnn.parameters import ParameterVector, assign_all, values_for
from pyrnn.plan import Plan
from pyrnn.results import as_result
from pyrnn.rules import ListOf, OneOf, Whole
from pyrnn.stored import Stored
from pyrnn.streaming import Stream
from pyrnn.structures import leaves
from pyrnn.summary import print_summary
from pyrnn.symbols import Symbol, connect, is_symbolic, leaves_of
from pyrnn.trainer import Trainer
from pyrnn.typing import Flag, Inputs, Name, Size, Vector
from pyrnn.validation import LARGEST_SIZE, not_built, shown, unknown_name

Array = NDArray[Any]
_PASSES = [name for name in vars(Passes) if not name.startswith("_")]


class Model(Stored, Holder):
    """Base class of models: weights, training, files and reports. A subclass says how its layers run.

    `Model(inputs, outputs)` makes a `Functional`, with its arguments. A subclass may pass these to
    `super().__init__(inputs, outputs)`, or define `call(x)`. A model with neither can be made, saved and hold layers,
    but calling or training it is an error.

    Args:
        *args: symbols, `inputs` and `outputs`; none for a model with `call`.
        **kwargs: other arguments of the class that runs the model, such as `name`, `trainable` and `dtype`.

    Raises:
        TypeError: if that class does not accept them.

    Example:
        >>> import pyrnn
        >>> x = pyrnn.Input((3,))
        >>> model = pyrnn.Model(x, pyrnn.layers.Dense(2)(x))
        >>> type(model).__name__
        'Functional'
    """

    # The classes of `Model(inputs, outputs)` and of `Model()`, which functional.py and subclassed.py set.
    functional: ClassVar[Any] = None
    subclassed: ClassVar[Any] = None
    # Give a subclass the base that runs it, with and without `call`. model_bases.py sets them.
    prepare: ClassVar[Any] = None
    adopt: ClassVar[Any] = None
    # Methods of Keras's models that subclasses of this one may define, though Sequential never calls them.
    runs: ClassVar[tuple[str, ...]] = ()
    is_model: ClassVar[bool] = True
    merges: ClassVar[bool] = False
    activity_regularizer: ClassVar[None] = None
    # For checks of what the first layer of a `Sequential` reads.
    axes: ClassVar[None] = None
    min_rank: ClassVar[int] = 1
    # Whether a subclass defines one of the methods of `Passes`.
    _overrides_passes: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Reject methods that are never called."""
        super().__init_subclass__(**kwargs)
        if not overriding.is_builtin(cls):
            cls.prepare(cls)
        overriding.reject(cls, overriding.hooks_rejected(cls))
        overriding.require_partner(cls, "forward_pass", "backward_pass", Trainer)
        overriding.require_partner(cls, "regularization_loss", "add_regularization_gradients", Trainer)
        overriding.join(cls, "reset_states", "reset_state")
        if (method := overriding.new_in(cls, "forward_pass", Trainer)) is not None:
            cls.forward_pass = custom.passing(method)  # type: ignore[method-assign]  # on purpose
        if not overriding.is_builtin(cls):
            cls._find_hooks(Model)
        cls._overrides_passes = any(getattr(cls, name) is not getattr(Model, name) for name in _PASSES)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """`Model(inputs, outputs)` makes a functional model, `Model()` one without layers."""
        has_graph = bool(args) or not kwargs.keys().isdisjoint(("inputs", "outputs"))
        base = cls.functional if has_graph else cls.subclassed
        return super().__new__(base if cls is Model else cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Of a subclass that names `Model` where others call `super().__init__()`.
        overriding.base_of(type(self), Model).__init__(self, *args, **kwargs)

    def _begin(self, name: str) -> None:
        """Create what every model has."""
        super().__init__()
        self.name = name
        self.built = False
        self._trainable = True
        self._layers: list[Any] = []
        self._shapes: list[Any] = []  # of the outputs of the layers that are built
        self._plan = Plan(self._layers)

    # Structure.

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input layer. It cannot be assigned to.

        Raises:
            AttributeError: If it is assigned to.
        """
        return self._listed_layers()

    @layers.setter
    def layers(self, value: Any) -> None:
        change = "use add() and pop()" if hasattr(self, "pop") else "make a new Model(inputs, outputs)"
        raise AttributeError(f"layers of {type(self).__name__} cannot be assigned to: {change}")

    def _listed_layers(self) -> list[Layer]:
        return list(self._layers)

    @property
    def graph(self) -> Graph | None:
        """The calls of the layers; None for a chain, and for a model whose `call` is that of a user."""
        return self._plan.graph

    @property
    def dtype(self) -> str:  # type: ignore[override]  # that of its layers
        """'float32' or 'float64', of all layers."""
        return self._layers[0].dtype if self._layers else "float32"

    @property
    def trainable(self) -> bool:
        """Whether training changes this model's weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)
        self._plan.stale = True

    @property
    def input_spec(self) -> Any:
        """An `InputSpec` for each input, or what was set; calls of the model check what was set."""
        if (spec := vars(self).get("_input_spec")) is not None:
            return spec
        return [
            InputSpec(shape=(None, *symbol.shape[1:]), allow_last_axis_squeeze=True, name=symbol.name)
            for symbol in self.inputs
        ]

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        vars(self)["_input_spec"] = value

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols that the model reads."""
        return leaves(self.input)

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols that the model returns."""
        return leaves(self.output)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [symbol.name for symbol in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: those of the layers that make them."""
        return [symbol.node.layer.name for symbol in self.outputs]

    @property
    def input(self) -> Any:
        """The symbols that the model reads, one or a structure of several."""
        raise NotImplementedError

    @property
    def output(self) -> Any:
        """The symbols that the model returns, one or a structure of several."""
        raise NotImplementedError

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, batch axis first."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """Make a new model from a config of a functional model, or of `Model()`.

        Args:
            config: what the `get_config` of the model returned.
            custom_objects: custom classes and functions by name, where they are not registered.

        Returns:
            The model.
        """
        base = cls.functional if not isinstance(config, Mapping) or "layers" in config else cls.subclassed
        return base.from_config(config, custom_objects)

    def build(self, input_shape: Any = None) -> None:
        """Create all weights.

        Args:
            input_shape: shape of the inputs, batch axis first, None for axes of any size.

        Raises:
            ValueError: if the shape does not fit the layers.
        """
        raise NotImplementedError

    def check_input(self, shape: Any) -> Any:
        """Check the shape of the inputs.

        Args:
            shape: the shape of x, batch axis first; a sequence of shapes if there are several inputs.

        Returns:
            The shape in which the model reads them.

        Raises:
            ValueError: if it does not fit the model.
        """
        raise NotImplementedError

    def plans(self) -> list[Plan]:
        return [self._plan]

    def fit_shape(self, shape: Any) -> None:
        """Build for inputs of this shape at first, and check it from then on.

        Args:
            shape: the shape of x, batch axis first; a sequence of shapes if there are several inputs.

        Raises:
            ValueError: if it does not fit the model.
        """
        if self.built:
            self.check_input(shape)
        else:
            self.build(shape)

    @checked
    def get_layer(self, name: Name | None = None, index: Annotated[int, Whole(-LARGEST_SIZE)] | None = None) -> Any:
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
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"index must be from {-len(layers)} to {len(layers) - 1}, got {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(unknown_name("layer", name, [layer.name for layer in layers]))

    # What a model as a layer in another model is: see `Layer`.

    def children(self) -> list[tuple[str, Any]]:
        return numbered("layers", self._layers)

    @property
    def declared_shape(self) -> Shape | None:
        """The shape that this model declares as the first layer of another one: that of its input, if it is built."""
        return self.input_shape if self.built else None

    def shape_of_inputs(self, shapes: list[Shape]) -> Any:
        """Return the argument of `build` and `compute_output_shape` for inputs of these shapes.

        Args:
            shapes: a shape for each input, batch axis first.

        Returns:
            The only shape, or the list of them.
        """
        return shapes[0] if len(shapes) == 1 else list(shapes)

    @property
    def makes_mask(self) -> bool:
        """Whether a layer of the model makes a mask."""
        return any(layer.makes_mask for layer in self._layers)

    def run(
        self, inputs: Sequence[Array], masks: Sequence[Array | None], training: bool
    ) -> tuple[list[Array], list[Array | None]]:
        """Run the model as a layer of another one.

        Args:
            inputs: the inputs (B, ...).
            masks: a mask (B, T) for each of them, or None.
            training: whether a backward pass follows.

        Returns:
            A list of outputs and a list of their masks.
        """
        return self._plan.forward(inputs, training, masks)

    def forward(self, *inputs: Array, training: bool = False, mask: Any = None) -> Any:
        """Compute the outputs for arrays that are converted and checked, as a layer does.

        Args:
            *inputs: the inputs (B, ...).
            training: whether a backward pass follows.
            mask: the mask (B, T) of the input, a list of masks if there are several inputs, or None.

        Returns:
            The output (B, ...), or a tuple of outputs.
        """
        masks = list(mask) if isinstance(mask, list | tuple) else [mask] * len(inputs)
        outputs, _ = self.run(inputs, masks, training)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def backward(self, *d_outputs: Array | None, need_dx: bool = True) -> Any:
        """Write the gradients of the weights, after `forward` with `training`.

        Args:
            *d_outputs: the gradient by each output, in its shape; None is 0.
            need_dx: whether the gradients by the inputs are needed.

        Returns:
            The gradient by the input, or a tuple of them.
        """
        plan = self.plan()
        gradients = plan.backward(d_outputs, need_dx)
        return gradients[0] if len(gradients) == 1 else tuple(gradients)

    def _discard_saved(self) -> None:
        self._plan.discard_saved()

    def _may_have_loss(self) -> bool:
        return super()._may_have_loss() or bool(self._plan.adders)

    def _skip_saved(self) -> None:
        self._plan.skip()

    # Weights.

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
        return {**super().__getstate__(), "_run": None, "_plan": Plan(self._layers, self._plan.graph)}

    # Numbers.

    def plan(self) -> Plan:
        """Compile the plan of this model, unless no layer and no weight has changed since.

        Returns:
            The plan.
        """
        plan = self._plan
        if plan.stale or (plan.containers and plan.has_grown()):
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

    def scale_penalties(self, factor: float) -> None:
        """Multiply the gradients of penalties and added losses of this step.

        Args:
            factor: how much of each the loss holds.
        """
        self.plan().scale_penalties(factor)

    def _penalties(self) -> list[float]:
        return self.plan().losses() if ranks.distribution is None else ranks.distribution.runner(self).penalties()

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
            for layer in self.layers:
                layer.reset_state()
            return
        stateful: list[Any] = [
            layer for layer in _without_models(self.layers) if getattr(layer, "states", None) is not None
        ]
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
        return Stream(self._chain(), self.input_shape, batch_size, self.dtype, on_nan)

    def _chain(self) -> list[Any]:
        """The layers in the order in which they run, with those of nested models in their place; raises for others."""
        graph = self._plan.graph
        read = () if graph is None else [*graph.outputs, *(symbol for node in graph.nodes for symbol in node.inputs)]
        if graph is not None and (not graph.is_chain() or len(graph.outputs) > 1 or any(each.index for each in read)):
            raise ValueError(f"model {self.name!r} cannot run one time step at a time: its layers are not a chain")
        return [each for layer in self._layers for each in (layer._chain() if layer.is_model else (layer,))]

    @checked
    def __call__(self, x: Inputs, training: Flag | None = None) -> Any:
        """Compute the output for an array.

        Args:
            x: inputs, shape (batch, ...); a list, tuple or dict of several inputs. Symbols instead of arrays make the
                model a layer of another one.
            training: whether dropout and noise are drawn and batch normalization uses the batch; None is False. For a
                call on symbols: whether the layers act so whenever the outer model runs; None leaves it to the run.

        Returns:
            The output, shape (batch, ...), in memory of its own; several outputs in the structure of the model.

        Raises:
            TypeError, ValueError: if x does not fit the model.
        """
        if (spec := vars(self).get("_input_spec")) is not None:
            flat = leaves(x) if isinstance(x, list | tuple | Mapping) else [x]
            check_inputs(spec, f"model {self.name!r}", [np.shape(each) for each in flat])
        if type(x) is not np.ndarray and is_symbolic(x):
            signature = self.signature()
            several = signature is not None and signature.inputs.count > 1
            if signature is not None and not several and isinstance(x, Mapping):
                x = x if (entry := signature.inputs.entry(x)) is None else entry
            inputs = signature.inputs.flat("x", x) if signature is not None and several else leaves_of(x)
            outputs = connect(self, (x,), {}, tuple(inputs), training=training)
            return self._in_structure(Arrays(outputs) if isinstance(outputs, list) else outputs)
        return as_result(self._in_structure(self._output(x, self, training=bool(training))))

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
            expand_nested: list the layers of nested models below them.
            show_trainable: add a column that says which layers train.
            layer_range: names, or patterns of names, of the first and the last layer to print.

        Raises:
            ValueError: if the columns are too narrow, or `layer_range` matches no layer.
        """
        print_summary(self, line_length, positions, print_fn, show_trainable, layer_range, expand_nested)


def _without_models(layers: Sequence[Any]) -> list[Any]:
    """Layers, with those of nested models in the place of the models."""
    return [each for layer in layers for each in (_without_models(layer.layers) if layer.is_model else (layer,))]
