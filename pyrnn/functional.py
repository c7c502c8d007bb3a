"""`Functional`: a model made of symbols, `Model(inputs, outputs)`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import graph_config, one_dtype, overriding, registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import Arrays, as_float, is_float
from pyrnn.data.batches import read_arrays
from pyrnn.data.signature import Ports, Signature
from pyrnn.graph import Graph
from pyrnn.keras2 import Keras2Methods
from pyrnn.layers import call_methods
from pyrnn.layers.base import Shape
from pyrnn.layers.core.add_loss import AddLoss
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.serialization import MODELS, deserialize
from pyrnn.model import Model
from pyrnn.naming import auto_name
from pyrnn.plan import Plan
from pyrnn.rules import Unchecked
from pyrnn.structures import described_structure, leaves, mapped, packed, with_tuples
from pyrnn.symbols import Symbol
from pyrnn.typing import Boolean, Name
from pyrnn.validation import WrongType, shown, unexpected_arguments

Array = NDArray[Any]
Symbols = Annotated[Any, Unchecked(allowed="list dict")]


_STRUCTURE = "output_structure"  # in the config of `build`
_OF_GRAPHS = ("name", "trainable", "layers", "input_layers", "output_layers")


class Functional(Keras2Methods, Model):
    """A directed acyclic graph of layers, from symbolic inputs to outputs.

    `Model(inputs, outputs)` makes one. Layers may be shared within the graph and with other models; all of them train
    the same weights.

    Args:
        inputs: a symbol from `Input`, or lists, tuples and dicts of them. Symbols inside another model's graph are
            allowed too: the new model starts there.
        outputs: symbols that depend on the inputs, in the same forms. `predict` returns this structure.
        name: name of the model, or None for a generated one.
        trainable: False freezes all layers.
        **unknown: any other argument is rejected.

    Raises:
        TypeError: if `inputs` or `outputs` holds anything but symbols.
        ValueError: if an input occurs twice, the outputs depend on other inputs, or two layers have the same name.

    Example:
        >>> import pyrnn
        >>> from pyrnn import layers
        >>> x = pyrnn.Input((10, 3))
        >>> y = layers.Dense(1)(layers.LSTM(4)(x))
        >>> pyrnn.Model(x, y).output_shape
        (None, 1)
    """

    # Whether a class of a user derives from `Model`, so that its models may lack inputs and outputs.
    may_lack_graph: ClassVar[bool] = False
    # Files number the calls of a functional model from 1 where they name the outputs of the model that it is in.
    counts_from_one: ClassVar[bool] = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Store the arguments, which files hold if the class has no `get_config` and its models have no graph."""
        return registry.remember_arguments(super().__new__(cls), args, kwargs)

    @checked
    def __init__(
        self,
        inputs: Symbols | None = None,
        outputs: Symbols | None = None,
        name: Name | None = None,
        trainable: Boolean = True,
        **unknown: Any,
    ) -> None:
        if inputs is None and outputs is None and self.may_lack_graph:
            type(self).adopt(type(self))
            self.subclassed.__init__(self, name=name, trainable=trainable, **unknown)
            return
        if unknown:
            accepted = ("inputs", "outputs", "name", "trainable")
            raise WrongType(unexpected_arguments(type(self).__name__, unknown, accepted))
        if inputs is None or outputs is None:
            raise TypeError(
                f"{type(self).__name__}() must get inputs and outputs, symbols of a graph; a class that derives from "
                "Model may define call(x) instead"
            )
        self._begin(name if name is not None else auto_name(type(self).__name__))
        overriding.mark_graphs(type(self))
        vars(self).pop("_made_with", None)
        for argument, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in leaves(structure):
                if not isinstance(leaf, Symbol):
                    raise WrongType(f"{argument} must hold symbols, from Input and from layers, got {shown(leaf)}")
            if not leaves(structure):
                raise ValueError(f"{argument} must hold at least one symbol, got {shown(structure)}")
        flat = leaves(inputs)
        for symbol in flat:
            if sum(other is symbol for other in flat) > 1:
                raise ValueError(f"inputs must be different symbols, got {symbol!r} twice")
        # Copies of the structures: a script may add to a list afterwards.
        self._inputs, self._outputs = (mapped(lambda symbol: symbol, each) for each in (inputs, outputs))
        graph = Graph(flat, leaves(outputs))
        graph.check_names()
        self._set_signature()
        self._added: list[Symbol] = []  # results that are added to the loss
        self._input_layers = [symbol.node.layer for symbol in graph.inputs]
        # In place of the layers whose outputs the model starts from, for `layers`.
        self._starts = [
            InputLayer(batch_shape=symbol.shape, dtype=symbol.dtype, name=f"{symbol.name}_input")
            for symbol in graph.inputs
            if symbol.node.inputs
        ]
        self._layers[:] = [layer for layer in graph.layers if not isinstance(layer, InputLayer)]
        self._ordered = graph.layers  # with the input layers, as Keras lists them
        dtypes = one_dtype.agree(self._layers, graph.nodes)
        if len(dtypes) > 1:
            raise ValueError(f"layers of a model must have one dtype, got {' and '.join(dtypes)}")
        self._plan = Plan(self._layers, graph)
        self.built = True
        if not trainable:
            self.trainable = False

    def _set_signature(self) -> None:
        names = mapped(lambda symbol: symbol.name, self._inputs)
        outputs = mapped(lambda symbol: symbol.node.layer.name, self._outputs)
        self._signature = Signature(
            Ports("input", names, [symbol.ndim for symbol in self.inputs], self._optional_names()),
            Ports("output", outputs, [symbol.ndim for symbol in self.outputs]),
        )

    def _optional_names(self) -> list[str]:
        return [symbol.name for symbol in self.inputs if getattr(symbol.node.layer, "optional", False)]

    def _require_readers(self, arrays: Sequence[Any]) -> None:
        """Reject None for an input that a layer reads which cannot do without."""
        graph = self._plan.graph
        assert graph is not None
        missing = {id(symbol): symbol for symbol, array in zip(graph.inputs, arrays, strict=True) if array is None}
        for node in graph.nodes:
            for symbol in node.inputs:
                if id(symbol) in missing and type(node.layer).run is not call_methods.run:
                    raise ValueError(
                        f"input {symbol.name!r} is None, which layer {node.layer.name!r} ({type(node.layer).__name__}) "
                        "cannot read: let a custom layer read it, whose call() takes None"
                    )

    def add_loss(self, loss: Any) -> None:
        """Add a result inside the model to its loss, as Keras 2 does. Files do not hold it: add it after loading.

        Args:
            loss: a symbol made of those of the model, whose sum counts, or a list of them. What is no symbol counts
                until the next pass, as for a layer.

        Raises:
            ValueError: if the symbol does not depend on the inputs of the model alone.

        Example:
            >>> import numpy as np, pyrnn
            >>> x = pyrnn.Input((3,))
            >>> model = pyrnn.Model(x, pyrnn.layers.Dense(2)(x))
            >>> model.add_loss(pyrnn.ops.mean(pyrnn.ops.square(model.output)))
            >>> model.compile("sgd")
            >>> model.fit(np.ones((4, 3)), epochs=2, verbose=0).history["loss"][0] > 0
            True
        """
        for leaf in leaves(loss):
            if not isinstance(leaf, Symbol):
                super().add_loss(leaf)
                continue
            plain = Graph(self.inputs, [*self.outputs, *self._added, leaf])  # raises before a layer is made
            assert plain.nodes
            self._added.append(AddLoss(name=auto_name("AddLoss"), dtype=self.dtype)(leaf))
        graph = Graph(self.inputs, [*self.outputs, *self._added])
        graph.outputs = tuple(self.outputs)
        met = set(map(id, self._ordered))
        more = [layer for layer in graph.layers if id(layer) not in met]
        self._ordered = [*self._ordered, *more]
        self._layers += more
        self._plan = Plan(self._layers, graph)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or copy; the layers get their calls on symbols back."""
        vars(self).update(state)
        graph = self._plan.graph
        if graph is None:
            return
        for layer in self._ordered:
            layer.nodes = [node for node in graph.nodes if node.layer is layer]

    # Structure.

    def _listed_layers(self) -> list[Any]:
        """The layers, with the input layers, in Keras's order."""
        return [*self._starts, *(layer for layer in self._ordered if not layer.is_operation)]

    @property
    def operations(self) -> list[Any]:
        """The layers, and the operations of `pyrnn.ops` between them, in Keras's order."""
        return [*self._starts, *self._ordered]

    @property
    def input(self) -> Any:
        return self._inputs

    @property
    def output(self) -> Any:
        return self._outputs

    @property
    def input_shape(self) -> Any:
        """Shape of the input, batch axis first; a structure of shapes if there are several."""
        return mapped(lambda symbol: symbol.shape, self._inputs)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, batch axis first; a structure of shapes if there are several."""
        return mapped(lambda symbol: symbol.shape, self._outputs)

    def _output_names(self) -> Any:
        return packed(self._outputs, self.output_names)

    def signature(self) -> Signature:
        """Return how the model reads its inputs, targets and weights.

        Returns:
            The names, structure and ranks of inputs and outputs, and which outputs have a loss.
        """
        inputs, outputs = self._signature.inputs, self._signature.outputs
        if self._compiled is None or outputs.count == 1:
            return self._signature
        return Signature(inputs, outputs.trained_at(self._compiled.head.trained))

    # Numbers.

    def read(self, x: Any) -> Array | Arrays:
        """Convert the inputs to arrays in the order of `inputs`.

        Args:
            x: an array (B, ...), or a list, tuple or dict of them, in the structure of the model's inputs; a dict may
                have the names of the inputs as keys.

        Returns:
            An array of the model's dtype; `Arrays` if the model has several inputs.

        Raises:
            TypeError, ValueError: if the structure does not fit.
        """
        ports = self._signature.inputs
        if ports.count == 1:
            return as_float("x", x if type(x) is np.ndarray else ports.single(x), self.dtype)
        if type(x) is Arrays and len(x) == ports.count and all(is_float(array, self.dtype) for array in x):
            return x
        return read_arrays("x", x, self.dtype, ports)

    def check_input(self, shape: Any) -> Any:
        """Check the shape of the inputs.

        Args:
            shape: the shape of x, batch axis first; a sequence of shapes if there are several inputs.

        Returns:
            The shape in which the model reads them: with a last axis of 1 if only that is missing.

        Raises:
            ValueError: if it does not fit the model.
        """
        if len(self._input_layers) == 1:
            return self._fitted(self.inputs[0], tuple(shape))
        optional = self._signature.inputs.optional
        is_known = [
            isinstance(each, list | tuple) or (each is None and symbol.name in optional)
            for each, symbol in zip(shape, self.inputs, strict=False)
        ]
        if len(shape) != len(self._input_layers) or not all(is_known):
            raise ValueError(
                f"model {self.name!r} reads {len(self._input_layers)} inputs, it needs a shape for each, got {shape}"
            )
        return tuple(
            None if each is None else self._fitted(symbol, each)
            for symbol, each in zip(self.inputs, shape, strict=True)
        )

    def _fitted(self, symbol: Symbol, shape: Shape) -> Shape:
        declared = symbol.shape
        for candidate in (shape, (*shape, 1), shape[:-1] if shape and shape[-1] == 1 else shape):
            if len(candidate) == len(declared) and all(
                size is None or have is None or size == have
                for size, have in zip(declared[1:], candidate[1:], strict=True)
            ):
                return candidate
        several = f" {symbol.name!r}" if len(self._input_layers) > 1 else ""
        raise ValueError(f"model {self.name!r} expects input{several} of shape {declared}, got {tuple(shape)}")

    def forward_pass(self, x: Any, *, training: bool = False) -> tuple[Any, Any]:
        """Compute the outputs and their masks.

        Args:
            x: the inputs, (B, ...) each, in the forms that `read` takes.
            training: whether a step follows.

        Returns:
            The output (B, ...) and its mask, or `Arrays` of outputs and a list of masks if there are several.
        """
        plan = self._plan
        assert plan.graph is not None
        symbols = plan.graph.inputs
        if plan.chain is not None:  # which costs a step less than the loop below
            array: Any = x if is_float(x, self.dtype) else self.read(x)
            return plan.run_chain(self._reshaped(array, symbols[0]), training)
        arrays = x if len(symbols) == 1 and is_float(x, self.dtype) else self.read(x)
        inputs = arrays if isinstance(arrays, Arrays) else (arrays,)
        fitted: list[Any] = []
        for symbol, array in zip(symbols, inputs, strict=True):
            if array is None:
                self._require_readers(inputs)
                fitted.append(None)
                continue
            shape = array.shape
            wanted = shape if shape[1:] == symbol.shape[1:] else self._fitted(symbol, shape)
            fitted.append(array if wanted is shape else array.reshape(wanted))
        outputs, masks = plan.forward_pass(fitted, training)
        if len(outputs) == 1:
            return outputs[0], masks[0]
        return Arrays(outputs), masks

    def squared_error_step(self, x: Array, y: Array) -> tuple[float, Array] | None:
        plan = self._plan
        if plan.stale or not plan.can_link:
            return None
        assert plan.graph is not None
        return plan.squared_error_step(self._reshaped(x, plan.graph.inputs[0]), y)

    def _reshaped(self, array: Array, symbol: Symbol) -> Array:
        """Return an input in the shape in which the model reads it."""
        shape = array.shape
        return array if shape[1:] == symbol.shape[1:] else array.reshape(self._fitted(symbol, shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs.

        Args:
            input_shape: shape of the input, batch axis first, or a list of shapes if there are several.

        Returns:
            The shape of the output, or a list of shapes if there are several.
        """
        graph = self._plan.graph
        assert graph is not None
        fitted = self.check_input(input_shape)
        if fitted == (self.inputs[0].shape if len(self.inputs) == 1 else tuple(each.shape for each in self.inputs)):
            declared = [symbol.shape for symbol in self.outputs]  # so that models within models cost no more than one
            return declared[0] if len(declared) == 1 else declared
        shapes = dict(zip(map(id, graph.inputs), [fitted] if len(graph.inputs) == 1 else fitted, strict=True))
        for node in graph.nodes:
            if all(id(symbol) in shapes for symbol in node.outputs):
                continue
            read = [shapes[id(symbol)] for symbol in node.inputs]
            shapes.update(zip(map(id, node.outputs), node.layer.output_shapes(read, **node.options), strict=True))
        results = [tuple(shapes[id(symbol)]) for symbol in graph.outputs]
        return results[0] if len(results) == 1 else results

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: a functional model is built when it is made.

        Args:
            input_shape: checked, if it is not None.

        Raises:
            ValueError: if it does not fit the model.
        """
        if input_shape is not None:
            self.check_input(input_shape)

    # Configs.

    def get_config(self) -> dict[str, Any]:
        graph = Graph(self.inputs, self.outputs) if self._added else self._plan.graph
        assert graph is not None
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        return config | graph_config.write(graph, self._inputs, self._outputs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Functional:
        """Make a new model, with fresh weights, from a config.

        Args:
            config: what `get_config` of pyrnn or Keras (2 or 3) returned.
            custom_objects: custom classes and functions by name, where they are not registered.

        Returns:
            The model.

        Raises:
            TypeError, ValueError: if the config is damaged: a layer is missing, a number is out of range, the graph has
                a cycle; or if it describes what pyrnn does not have.

        Example:
            >>> import pyrnn
            >>> x = pyrnn.Input((3,))
            >>> model = pyrnn.Model(x, pyrnn.layers.Dense(2)(x))
            >>> pyrnn.models.Functional.from_config(model.get_config()).count_params()
            8
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"config of a functional model must be a dict, got {shown(config)}")
        with registry.custom_object_scope(custom_objects):
            lacks_graph = cls.may_lack_graph and "layers" not in config
            if not overriding.is_builtin(cls) and (lacks_graph or not overriding.takes_graph(cls)):
                return cls._made_by_constructor(config)
            inputs, outputs = graph_config.read(config, deserialize)
            # What the `get_config` of a custom class adds.
            more = {} if overriding.is_builtin(cls) else {key: config[key] for key in config if key not in _OF_GRAPHS}
            model = cls(inputs, outputs, name=config.get("name"), **registry.with_objects(more))
        model._trainable = bool(config.get("trainable", True))
        return model

    @classmethod
    def _made_by_constructor(cls, config: Mapping[str, Any]) -> Functional:
        """Make a model of a class whose constructor makes the graph itself."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        names = {each.name for each in parameters}
        more = {key: value for key, value in config.items() if key not in _OF_GRAPHS or key in ("name", "trainable")}
        left = {
            key: more.pop(key) for key in ("name", "trainable") if key in more and not takes_all and key not in names
        }
        model = cls(**registry.with_objects(more))
        for key, value in left.items():
            setattr(model, key, value)
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """Return that the model is built when it is made, and the structure of outputs in tuples, which JSON lacks.

        Returns:
            A dict with `input_shape`, which is None, and for outputs in tuples with `output_structure`.
        """
        config: dict[str, Any] = {"input_shape": None}
        structure = described_structure(lambda _: None, self._outputs)
        return config if structure == mapped(lambda _: None, self._outputs) else {**config, _STRUCTURE: structure}

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        structure = with_tuples((config or {}).get(_STRUCTURE))
        if structure is None:
            return
        outputs = self.outputs
        if len(leaves(structure)) != len(outputs):
            raise ValueError(
                f"{_STRUCTURE} must have one entry for each of the {len(outputs)} outputs, got {shown(structure)}"
            )
        self._outputs = packed(structure, outputs)
        self._set_signature()

    def _needs_its_class(self, base: type[Model]) -> bool:
        kind = type(self)
        is_like_base = kind.__init__ is Functional.__init__ and not overriding.is_builtin(kind)
        return is_like_base or bool(overriding.new_in(kind, "get_config", base)) or super()._needs_its_class(base)

    def name_of_class(self) -> str:
        return (type(self) if self._needs_its_class(Functional) else Functional).__name__

    def describe(self) -> dict[str, Any]:
        return self._description(Functional, "keras.src.models.functional", "Functional")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def _in_structure(self, outputs: Any) -> Any:
        if isinstance(outputs, Arrays):
            return packed(self._outputs, list(outputs))
        structure = self._outputs
        while isinstance(structure, list | tuple):  # Keras returns an array for a list of one
            structure = structure[0]
        return packed(structure, [outputs])


Model.functional = Functional
MODELS.update(Functional=Functional, Model=Model)  # the second is also its name in early versions of Keras 2
