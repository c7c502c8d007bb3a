"""`Subclassed`: a model of a user's class, whose `call` says how its layers run; without `call` it only holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import config, registry
from pyrnn.arguments import checked
from pyrnn.data.arrays import Arrays, as_array
from pyrnn.data.signature import OpenSignature, Ports
from pyrnn.functional import Functional
from pyrnn.graph import Graph
from pyrnn.inner_layers import placed_in
from pyrnn.layers import call_methods
from pyrnn.layers.base import Shape
from pyrnn.layers.call_arguments import ONE, Arguments, read, read_shapes, shapes_for, signature_of
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.holder import Holder
from pyrnn.layers.settings import dtype_config, dtype_name
from pyrnn.model import Model
from pyrnn.naming import auto_name
from pyrnn.plan import Plan
from pyrnn.structures import leaves, mapped, packed
from pyrnn.symbols import Node, Symbol, flat_shapes
from pyrnn.typing import Boolean, DtypeLike, Name
from pyrnn.validation import shown

Array = NDArray[Any]


class Subclassed(Functional):
    """Base of a user's subclass of `Model` that defines `call(x)`, and the class of `Model()`.

    `call` runs on symbols, once for each shape of the inputs, like that of a layer. The model is built by `build` or by
    the first data, which fix the structure of inputs and outputs. Its graph is one call: of itself.

    A class without `call` whose constructor passes no inputs and outputs gets this base with its first model, which
    holds layers but cannot be called.

    Args:
        *args: none.
        name: name of the model, or None for a generated one.
        trainable: False freezes all layers.
        dtype: "float32", "float64" or None for that of the layers.

    Raises:
        TypeError: for other arguments.

    Example:
        >>> import numpy as np, pyrnn
        >>> from pyrnn import layers
        >>> class Forecaster(pyrnn.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lstm, self.dense = layers.LSTM(4), layers.Dense(1)
        ...     def call(self, x):
        ...         return self.dense(self.lstm(x))
        >>> model = Forecaster()
        >>> model(np.zeros((2, 5, 3))).shape
        (2, 1)
    """

    runs = ("call",)

    @checked
    def __init__(
        self, *args: Any, name: Name | None = None, trainable: Boolean = True, dtype: DtypeLike = None, **unknown: Any
    ) -> None:
        if args or unknown:
            passed = shown(args[0]) if args else next(iter(unknown))
            raise TypeError(
                f"Model.__init__() of {_name_of(type(self))}, {_why(type(self))}, takes name, trainable and dtype, got "
                f"{passed}"
            )
        self._begin(name if name is not None else auto_name(_name_of(type(self))))
        self._dtype = None if dtype is None else dtype_name(dtype)
        self._signature: OpenSignature = OpenSignature(self._build_for)
        # What the first data fixed: the structure of the inputs, their dtypes, and the structure of the outputs, which
        # holds their names as far as they have some.
        self._call_arguments: Arguments = ONE
        self._dtypes: list[str] = []
        self._structure: Any = None
        # Arguments and shapes of the call that the model is being built for.
        self._pending: tuple[Arguments, Sequence[Shape]] | None = None
        self._in_build = False  # whether a user's build is running
        self._build_shape: Any = None  # in the structure of the first argument of `call`
        self._trainable = trainable
        self._declared.clear()  # of lists that are no layers of the user

    add_weight = Holder.add_weight
    add_loss = Holder.add_loss

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; a subclass defines it.

        Args:
            *args: arrays (B, ...) or symbols, in lists, tuples and dicts if there are several.
            **kwargs: the same by name.

        Returns:
            The outputs (B, ...).

        Raises:
            NotImplementedError: if the class does not define it.
        """
        raise NotImplementedError(
            f"{_name_of(type(self))} must define call(x), with layers and pyrnn.ops, to be called or trained"
        )

    def _require_call(self) -> None:
        """Raise the error of `call` before anything is built, if the class does not define it."""
        if not _has_call(type(self)):
            self.call()

    # Classes without `call`.

    def _checked_optimizer(self, value: Any) -> Any:
        return super()._checked_optimizer(value) if _has_call(type(self)) else value  # only a method of theirs reads it

    def __reduce__(self) -> Any:
        """Pickle the model so that another process gives its class this base before it fills it."""
        return _unfilled, (type(self),), self.__getstate__()

    # Structure.

    def children(self) -> list[tuple[str, Any]]:
        return self._with_assigned([])

    def file_children(self) -> list[tuple[str, Any]]:
        # In Keras by the names of the attributes, one of which is the list `layers`; each layer where it comes first.
        children: dict[int, tuple[str, Any]] = {}
        for name in sorted([*self._declared, "layers"], key=lambda name: (name.startswith("_"), name)):
            value = self.layers if name == "layers" else vars(self).get(name)
            for path, layer in placed_in(name, value):
                children.setdefault(id(layer), (path, layer))
        return list(children.values())

    def _listed_layers(self) -> list[Any]:
        # Those in the attributes of the model, in the order of assignment.
        return [layer for _, layer in self.children()]

    @property
    def operations(self) -> list[Any]:
        """The layers."""
        return self.layers

    @property
    def dtype(self) -> str:  # type: ignore[override]  # that of its layers
        """'float32' or 'float64', of all layers."""
        if self._dtype is not None:
            return self._dtype
        return next((layer.dtype for _, layer in self.children()), config.floatx())

    @property
    def makes_mask(self) -> bool:
        return False

    def _not_known(self) -> Any:
        """Not known: `call` may run on inputs of any shape."""
        raise AttributeError(
            f"model {self.name!r} has neither symbols nor a fixed shape: its call() may run on inputs of any shape; "
            "make a Model(inputs, outputs) to get some"
        )

    input = output = input_shape = output_shape = property(_not_known)

    @property
    def input_spec(self) -> Any:
        """None, or what was set: `call` may run on inputs of any shape."""
        return vars(self).get("_input_spec")

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        vars(self)["_input_spec"] = value

    @property
    def declared_shape(self) -> None:
        """None: the layers before it in another model declare its input."""

    def _output_names(self) -> Any:
        return self._structure

    def _outputs_are_known(self) -> bool:
        return self.built

    def signature(self) -> OpenSignature:
        return self._signature

    @property
    def graph(self) -> None:
        """None: there is one for each shape of the inputs."""

    # Building.

    @property
    def _is_connected(self) -> bool:
        """Whether `call` has been traced; a user's `build` may set `built` before that."""
        return self._plan.graph is not None

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by running `call` on symbols of this shape; without `call` there are none to create.

        Args:
            input_shape: shape of the first argument of `call`, batch axis first; a list, tuple or dict of shapes if it
                has several arrays.

        Raises:
            ValueError: if the shape does not fit the layers, or is missing.
        """
        if self._is_connected:
            return
        if not _has_call(type(self)):  # what a user's build made is all there is
            self._build_shape, self.built = input_shape, True
            return
        if self._pending is not None:
            self._connect(*self._pending)
            return
        if input_shape is None:
            raise ValueError(f"model {self.name!r} does not know its input shape: pass input_shape to build()")
        arguments, shapes = read_shapes(self, type(self).call, (input_shape,), {})
        self._connect(arguments or ONE, shapes)

    def build_call(self, arguments: Arguments, shapes: Sequence[Shape]) -> None:
        """Build the model for a call.

        Args:
            arguments: the arguments of the call.
            shapes: a shape for each input, batch axis first.

        Raises:
            ValueError: if a shape does not fit the layers.
        """
        self._require_call()
        shapes = [(None, *shape[1:]) for shape in shapes]
        args, kwargs = shapes_for(self, type(self).build, arguments, shapes)
        vars(self)["_pending"] = arguments, shapes
        try:
            self.build(*args, **kwargs)
        finally:
            self._pending = None

    def _build_for(self, x: Any) -> None:
        """Build the model for the inputs of a batch, unless it is built."""
        if self._is_connected:
            return
        self._require_call()
        arguments, arrays = read(self, type(self).call, (x,), {})
        arrays = [as_array("x", array) for array in arrays]
        self._dtypes = [str(array.dtype) if array.dtype.kind in "iu" else self.dtype for array in arrays]
        call_methods.prepare(self, arguments, [array.shape for array in arrays])

    def _connect(self, arguments: Arguments, shapes: Sequence[Shape]) -> None:
        """Trace `call`, and make the graph in which it is the only call."""
        dtypes = self._dtypes if len(self._dtypes) == len(shapes) else [self.dtype] * len(shapes)
        structure, specs = call_methods.specs(self, arguments, shapes, dtypes)
        traces = list(vars(self)["_traces"].values())
        inputs = [
            InputLayer(batch_shape=[None] * len(shape), dtype=dtype, name=f"{self.name}_input_{number}")
            for number, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]
        symbols = tuple(layer.nodes[0].outputs[0] for layer in inputs)
        outputs = tuple(Symbol(shape, dtype, self.name) for shape, dtype in specs)
        Node(self, (), {}, symbols, outputs, {"arguments": arguments})
        self._call_arguments, self._dtypes, self._structure = arguments, list(dtypes), _named(structure)
        graph = Graph(symbols, outputs)
        # Without `__setattr__`, which would make the model a layer of itself.
        vars(self).update(_inputs=list(symbols), _outputs=packed(structure, list(outputs)))
        vars(self).update(_ordered=graph.layers, _input_layers=inputs, _starts=[])
        places = next(iter(arguments.arrays(signature_of(type(self).call)).values()))
        self._build_shape = mapped(lambda place: list(shapes[place.number]), places)
        self._signature.close(
            Ports("input", mapped(lambda place: inputs[place.number].name, places), [len(shape) for shape in shapes]),
            Ports("output", self._structure, [len(shape) for shape, _ in specs]),
        )
        for layer in self.layers:
            for weight in layer.weights:
                if weight.path.startswith(f"{layer.name}/"):
                    weight.path = f"{self.name}/{weight.path}"
        self._plan = Plan([self], graph)
        self._shapes = [_shape_of(layer, traces) for layer in self.layers]
        if not self._trainable:
            self.trainable = False
        self.built = True
        if self._compiled is not None:
            self._compiled.name_outputs(self._structure)

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._build_shape is None else {"input_shape": self._build_shape}

    build_from_config = Model.build_from_config

    # Numbers.

    def read(self, x: Any) -> Array | Arrays:
        self._build_for(x)
        return super().read(x)

    def forward_pass(self, x: Any, *, training: bool = False) -> tuple[Any, Any]:
        return super().forward_pass(x if self._is_connected else self.read(x), training=training)

    def check_input(self, shape: Any) -> Any:
        """Return the shape of the inputs, which the layers in `call` check.

        Args:
            shape: the shape of x, batch axis first; a sequence of shapes if there are several inputs.

        Returns:
            The same shape.
        """
        return shape

    def _fitted(self, symbol: Symbol, shape: Shape) -> Shape:
        return shape

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `call` on arrays, or record the call if they are symbols.

        Args:
            *args: positional arguments of `call`, with arrays in lists, tuples and dicts if there are several.
            **kwargs: its keyword arguments; also `training` and `mask`.

        Returns:
            What `call` returns, in memory of its own.

        Raises:
            TypeError, ValueError: if the arguments do not fit.
        """
        outputs = call_methods.__call__(self, *args, **kwargs)
        arrays = [leaf for leaf in leaves([args, kwargs]) if isinstance(leaf, np.ndarray)]
        return mapped(lambda y: _apart(y, arrays), outputs)

    def run(
        self, inputs: Sequence[Array], masks: Sequence[Array | None], training: bool, arguments: Arguments = ONE
    ) -> tuple[list[Array], list[Array | None]]:
        read_as = zip(inputs, self._dtypes, strict=False)
        arrays = [x.astype(dtype) if x.dtype.kind == "f" and dtype[:3] in ("int", "uin") else x for x, dtype in read_as]
        trace, outputs, output_masks = call_methods.run_trace(self, arguments, arrays, masks, training)
        if _named(trace.structure) != self._structure:
            raise ValueError(
                f"call of model {self.name!r} must return arrays in the same structure each time, got another one"
            )
        return outputs, output_masks

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not self._is_connected:
            self._require_call()
            return call_methods.compute_output_shape(self, input_shape)
        several = len(self._input_layers) > 1
        flat = flat_shapes(input_shape) if several else [tuple(input_shape)]
        shapes = call_methods.output_shapes(self, flat, self._call_arguments)
        return shapes[0] if len(shapes) == 1 else shapes

    forward = call_methods.forward
    backward = call_methods.backward
    output_shapes = call_methods.output_shapes  # type: ignore[assignment]  # with the arguments of the call
    plans = call_methods.plans
    _discard_saved = call_methods._discard_saved
    _skip_saved = call_methods._skip_saved

    def _in_structure(self, outputs: Any) -> Any:
        return packed(self._structure, list(outputs) if isinstance(outputs, Arrays) else [outputs])

    def _chain(self) -> list[Any]:
        raise ValueError(f"model {self.name!r} cannot run one time step at a time: its call() is not a chain of layers")

    # Configs.

    def get_config(self) -> dict[str, Any]:
        """Describe the model; a subclass adds the arguments of its constructor.

        Returns:
            A dict with its name, whether it is trained, and its dtype.
        """
        return {"name": self.name, "trainable": self.trainable, "dtype": dtype_config(self.dtype)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a new model, which is not built yet, from a config.

        Args:
            config: the arguments of the constructor by name.
            custom_objects: not needed, since the config holds no descriptions.

        Returns:
            The model.

        Raises:
            TypeError: if the constructor does not accept them.
        """
        return cls(**config)

    @classmethod
    def revive(cls, config: Any) -> Any:
        return registry.from_description(cls, config)

    def describe(self) -> dict[str, Any]:
        if type(self) is Subclassed:  # the class is internal
            return self._description(Model, "keras", None)
        return self._with_state(registry.describe(self))

    def name_of_class(self) -> str:
        return _name_of(type(self))

    def __repr__(self) -> str:
        return f"<{_name_of(type(self))} name={self.name}, built={self.built}>"


def _shape_of(layer: Any, traces: Sequence[Any]) -> Any:
    """The shapes of a layer's outputs, None where sizes differ between the traces; None if it is not called."""
    nodes = [node for trace in traces for node in trace.plan.graph.nodes if node.layer is layer]
    if not nodes:
        return None
    return [
        tuple(small if small == large else None for small, large in zip(first.shape, last.shape, strict=False))
        for first, last in zip(nodes[0].outputs, nodes[-1].outputs, strict=False)
    ]


def _apart(y: Any, arrays: Sequence[Array]) -> Any:
    """An output in memory of its own."""
    is_view = isinstance(y, np.ndarray) and any(np.may_share_memory(y, array) for array in arrays)
    return y.copy() if is_view else y


def _named(structure: Any) -> Any:
    """A structure with names in place of its leaves: the keys of dicts, None elsewhere, as Keras names outputs."""
    if isinstance(structure, Mapping):
        return {
            key: each if isinstance(each, list | tuple | dict) else key
            for key, each in ((key, _named(each)) for key, each in structure.items())
        }
    if isinstance(structure, list | tuple):
        return type(structure)(_named(each) for each in structure)
    return None


def _unfilled(cls: Any) -> Any:
    """A model of the class before a pickle fills it."""
    cls.adopt(cls)
    return cls.__new__(cls)


def _has_call(cls: Any) -> bool:
    return cls.call is not Subclassed.call


def _name_of(cls: type) -> str:
    """What a user calls the class."""
    return "Model" if cls is Subclassed else cls.__name__


def _why(cls: type) -> str:
    """Why a class has this base."""
    return "which defines call" if _has_call(cls) else "which has models without inputs and outputs"


Model.subclassed = Subclassed
