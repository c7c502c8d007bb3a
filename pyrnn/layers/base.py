"""`Layer`, the base class of all layers: names, shapes, weights, masks and configs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import arguments, registry, regularizers
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array, as_float
from pyrnn.explaining import LayerNames
from pyrnn.layers import custom, methods
from pyrnn.layers.holder import Holder
from pyrnn.layers.inherited import as_builtin
from pyrnn.layers.inner_calls import as_symbols
from pyrnn.layers.input_spec import InputSpec, check_inputs
from pyrnn.layers.settings import dtype_config, dtype_name, standard_shape
from pyrnn.layers.tracing import Source
from pyrnn.naming import auto_name
from pyrnn.regularizers import RegularizerLike
from pyrnn.results import as_result
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import OnlyCall, Symbol, connect, flat_shapes, is_symbolic, leaves_of, tracing
from pyrnn.typing import ArrayLike, Boolean, DtypeLike, Flag, Inputs, Name, ShapeLike, Size
from pyrnn.validation import RENAMED, WrongType, shown, unexpected_arguments, warn

__all__ = ["Layer"]

Array = NDArray[Any]
Shape = tuple[Any, ...]

_BASE_ARGUMENTS = (
    "name",
    "trainable",
    "dtype",
    "input_shape",
    "batch_input_shape",
    "batch_shape",
    "input_dim",
    "input_length",
    "batch_size",
    "activity_regularizer",
)


class _InnerLayers:
    """`layer._layers`: the layers in a layer, for scripts that read this attribute of Keras's; it may be assigned."""

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        return self if layer is None else [inner for _, inner in layer.children()]


class Layer(Holder, LayerNames):
    """Base class of all layers, built-in and custom.

    A custom layer defines `build(input_shape)`, which creates weights with `add_weight`, and `forward` and `backward`
    in NumPy; also `compute_output_shape` if the shape changes, and `get_config` if the constructor has arguments.
    `forward` and `backward` may return views, lists and arrays of any dtype, but must not change their argument in
    place. Layers assigned to attributes belong to the layer: it calls `self.dense(x, training=training)` in `forward`
    and `self.dense.backward(dy)` in `backward`. A subclass that defines a method that Keras calls and pyrnn does not is
    rejected when the class is created.

    Instead of `forward` and `backward` it may define `call`, with layers and `pyrnn.ops`, and with the arguments
    `training` and `mask` if it needs them. `call` takes arrays by position or name, in lists, tuples and dicts, and
    returns such structures; `build` gets the shapes in the structure of the first argument, or by name, as in
    `build(self, query_shape, value_shape)`. It runs on symbols, once for each shape of the inputs, and makes a graph in
    which layers keep their kernels and autograd differentiates the operations. It has no values to decide on: use
    `ops.where` in place of `if`.

    Args:
        name: name of the layer, without "/", or None for a generated one.
        trainable: whether training changes the weights.
        dtype: "float32", "float64" or None for the default of `pyrnn.config`.
        input_shape: shape of one sample, which declares the input shape of a model's first layer, or None.
        batch_input_shape: shape with the batch axis, in place of `input_shape`.
        batch_shape: the same under Keras 3's name.
        input_dim: size of the last axis, in place of `input_shape`.
        input_length: number of time steps, together with `input_dim`.
        batch_size: fixed number of rows of a batch, together with `input_shape`.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        **unknown: any other argument is rejected.

    Raises:
        TypeError: if an argument is unknown or has the wrong type.
        ValueError: if an argument is out of range, or `input_length` is passed without `input_dim`.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> class Scale(layers.Layer):
        ...     def build(self, input_shape):
        ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        ...     def forward(self, x, *, training=False, mask=None):
        ...         if training:
        ...             self.x = x
        ...         return x * self.scale.array
        ...     def backward(self, dy, *, need_dx=True):
        ...         self.scale.gradient[...] = (dy * self.x).sum(axis=tuple(range(dy.ndim - 1)))
        ...         return dy * self.scale.array if need_dx else None
        >>> Scale()(np.ones((2, 3))).shape
        (2, 3)
    """

    # Names of the axes of x, if its rank is fixed.
    axes: tuple[str, ...] | None = None
    # The names of the arrays next to x that a call takes by position, in Keras's order.
    call_order: ClassVar[tuple[str, ...]] = ()
    # Which axis holds the features.
    feature_axis: int = -1
    min_rank: ClassVar[int] = 1
    # Whether x must have the features that the layer was built for because of the weights of the layers in it.
    fixes_features: ClassVar[bool] = False
    supports_masking: bool = False
    makes_mask: bool = False
    # Whether forward reads several arrays, forward(*xs): masks and shapes are lists then. See `merging.base.Merging`.
    merges: bool = False
    # Whether x holds ids (batch, time), without an axis of features.
    reads_ids: ClassVar[bool] = False
    # Whether forward computes each step of x (batch, time, ...) independently, so that a stream may call it per step.
    per_step: ClassVar[bool] = False
    # Why a layer that is not per_step cannot be streamed.
    not_streamed: ClassVar[str] = "set per_step = True in its class if forward treats each step by itself"
    # Reads the attributes on which `link_into` depends; None for layers that the core never runs in a chain.
    link_settings: ClassVar[Any] = None
    # Methods that a subclass must not define, with what to write instead.
    never_called: ClassVar[Mapping[str, str]] = custom.NEVER_CALLED

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Reject Keras's older names before Python can complain about missing new ones."""
        if not RENAMED.keys().isdisjoint(kwargs) and not arguments.translators:
            accepted = cls._known_arguments()
            renamed = {name: value for name, value in kwargs.items() if name in RENAMED and name not in accepted}
            if renamed:
                raise WrongType(unexpected_arguments(cls.__name__, renamed, accepted))
        return registry.remember_arguments(super().__new__(cls), args, kwargs)

    @checked
    def __init__(
        self,
        *,
        name: Name | None = None,
        trainable: Boolean = True,
        dtype: DtypeLike = None,
        input_shape: ShapeLike | None = None,
        batch_input_shape: ShapeLike | None = None,
        batch_shape: ShapeLike | None = None,
        input_dim: Size | None = None,
        input_length: Size | None = None,
        batch_size: Size | None = None,
        activity_regularizer: RegularizerLike = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise WrongType(unexpected_arguments(type(self).__name__, unknown, self._known_arguments()))
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"name must be a non-empty string without '/', got {shown(name)}")
        self.name = name if name is not None else auto_name(type(self).__name__)
        self.dtype = dtype_name(dtype)
        self._built = False
        self.build_shape: Shape | None = None
        self._trainable = bool(trainable)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        declared = batch_shape if batch_shape is not None else batch_input_shape
        if declared is not None:
            declared = standard_shape("batch_shape", declared)
        elif input_shape is not None:
            declared = (batch_size, *standard_shape("input_shape", input_shape))
        elif input_dim is not None:
            sizes = (input_dim,) if self.axes is None or len(self.axes) < 3 else (input_length, input_dim)
            if input_length is not None:
                sizes = (input_length, input_dim)
            declared = (batch_size, *standard_shape("input_dim", sizes))
        elif input_length is not None:
            raise ValueError(f"{type(self).__name__} got input_length without input_dim: pass both, or input_shape")
        self.declared_shape: Shape | None = declared

    @classmethod
    def _known_arguments(cls) -> list[str]:
        names = [
            parameter.name
            for parameter in inspect.signature(cls).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        return list(dict.fromkeys([*names, *_BASE_ARGUMENTS]))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the methods that the class defines."""
        super().__init_subclass__(**kwargs)
        methods.prepare(cls, Layer)

    # Shapes.

    def check_input(self, shape: Shape) -> None:
        """Check the shape of an input.

        Args:
            shape: shape of x with the batch axis first; None where any size is allowed.

        Raises:
            ValueError: if the number of axes or the size of the last axis does not fit the layer.
        """
        fits = len(shape) == len(self.axes) if self.axes is not None else len(shape) >= self.min_rank
        if fits and self.build_shape is not None and len(shape) == len(self.build_shape):
            is_fixed = self._weights or (self.fixes_features and self.weights)
            fits = not is_fixed or shape[self.feature_axis] == self.build_shape[self.feature_axis]
        if fits:
            return
        rule = f" ({', '.join(self.axes)})" if self.axes is not None else f" with at least {self.min_rank} axes"
        expected = self.declared_shape or self.build_shape
        if expected is not None and (self.axes is None or len(expected) == len(self.axes)):
            rule += f" = {expected}" if self.axes is not None else f", {expected}"
        raise ValueError(f"{type(self).__name__} expects x of shape{rule}, got {tuple(shape)}")

    @property
    def built(self) -> bool:
        """Whether the layer has its weights; a layer that makes none is built from the start."""
        return self._built or (type(self).build is Layer.build and not self.children())

    @built.setter
    def built(self, value: bool) -> None:
        self._built = bool(value)

    @property
    def input_spec(self) -> Any:
        """The `InputSpec` of x, or a list with one for each input; a custom layer may set it. None is any input."""
        if (spec := vars(self).get("_input_spec")) is not None or self.is_traced or self.merges:
            return spec
        if type(self).forward is Layer.forward:
            return None
        fixed = self.build_shape is not None and (self._weights or (self.fixes_features and self.weights))
        axes = {self.feature_axis: self.build_shape[self.feature_axis]} if self.build_shape and fixed else None
        if self.axes is not None:
            return InputSpec(ndim=len(self.axes), axes=axes)
        return InputSpec(min_ndim=self.min_rank, axes=axes)

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        vars(self)["_input_spec"] = value

    def check_spec(self, shapes: Sequence[Any], dtypes: Sequence[str] | None = None) -> None:
        """Check the shapes of inputs against the `input_spec` that was set.

        Args:
            shapes: a shape for each input, batch axis first; None where any size is allowed.
            dtypes: a dtype for each, or None if they are not known.

        Raises:
            ValueError: if they do not fit.
        """
        if (spec := vars(self).get("_input_spec")) is not None:
            check_inputs(spec, custom.named(self), shapes, dtypes)

    @methods.build_once
    def build(self, input_shape: Shape) -> None:
        """Create the weights. Called once, before the first `forward`.

        Args:
            input_shape: shape of x with the batch axis first; None where any size is allowed.

        Raises:
            ValueError: if the layer cannot read inputs of this shape.
        """

    def fit_shape(self, shape: Any) -> None:
        """Build for inputs of this shape at first, and check it from then on.

        Args:
            shape: shape of x with the batch axis first; a list of shapes for a layer of several inputs.

        Raises:
            ValueError: if the layer cannot read inputs of this shape.
        """
        self.check_spec(shapes := shape if self.merges else [shape], [self.dtype] * len(shapes))
        if self.build_shape is None or not self.built:
            self.build(shape)
        else:
            self.check_input(shape)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the output.

        Args:
            input_shape: shape of x with the batch axis first; None where any size is allowed.

        Returns:
            The shape of the output in the same form; a list of shapes if the layer returns several arrays.

        Raises:
            ValueError: if the layer cannot read inputs of this shape.
        """
        if type(self).forward is Layer.forward:
            raise NotImplementedError(f"{type(self).__name__} must define call(x), which also determines the shape")
        return tuple(input_shape)

    def compute_output_spec(self, x: Any, **options: Any) -> Any:
        """Return symbols of the shapes and dtypes of the outputs, which belong to no model.

        Args:
            x: a symbol (B, ...), or a list of them for a layer of several inputs.
            **options: other arguments of the call, which do not change the shapes.

        Returns:
            A symbol for each output.

        Raises:
            ValueError: if the layer cannot read inputs of these shapes.
        """
        shapes = self.compute_output_shape(self.shape_of_inputs([symbol.shape for symbol in leaves_of(x)]))
        outputs = [Symbol(shape, self.dtype, self.name) for shape in flat_shapes(shapes)]
        Source(self.name, *outputs)
        return outputs[0] if isinstance(shapes, tuple) and len(outputs) == 1 else outputs

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        """Return the mask for the next layer.

        Args:
            x: input (B, T, ...), or None if only the mask matters.
            mask: mask of x (B, T), True for the steps that count, or None.

        Returns:
            The mask of the output, or None.
        """
        if self.supports_masking or mask is None:
            return mask
        warn(f"layer {self.name!r} ({type(self).__name__}) does not support masking: the layers after it get no mask")
        return None

    # Numbers.

    def forward(self, x: Array, /, *, training: bool = False, mask: Any = None) -> Any:
        """Compute the output. With `training`, save what `backward` needs.

        Args:
            x: input (B, ...), a C-contiguous array of the layer's dtype.
            training: whether the pass is part of a training step.
            mask: mask of x (B, T), True for the steps that count, or None.

        Returns:
            The output (B, ...), or a tuple of arrays.

        Raises:
            ValueError: if x does not fit what the layer keeps from earlier calls.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define call(x) with pyrnn.ops and layers, or forward(x, training, mask) and "
            "backward(dy, need_dx) with NumPy"
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output, for `super().call(x)` in a subclass that overrides `call`.

        Args:
            *args: positional arguments of a call of the layer: arrays (B, ...) or symbols.
            **kwargs: its keyword arguments.

        Returns:
            What the layer returns, apart from what the subclass does.

        Raises:
            NotImplementedError: if the layer computes nothing.
        """
        layer = as_builtin(self)
        if type(layer).forward is Layer.forward:
            raise NotImplementedError(f"{type(self).__name__} must define call(x) with pyrnn.ops and layers")
        return layer(*args, **kwargs)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Any:
        """Write the gradients of the weights into `weight.gradient` and return that of x.

        It belongs to the last `forward(training=True)` whose `backward` has not run yet.

        Args:
            dy: gradient of the loss with respect to the output, in the shape of the output.
            need_dx: whether the gradient with respect to x is needed.

        Returns:
            The gradient with respect to x, in the shape of x, or None if `need_dx` is False.

        Raises:
            ValueError: if a gradient does not have the shape it must have.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, need_dx) before it can be trained")

    def stream_into(self, stream: Any) -> None:
        """Add what the layer does at one time step to a stream.

        Args:
            stream: the `pyrnn.stages.Builder` that collects the steps of all layers.

        Raises:
            ValueError: if the layer needs later time steps.
        """
        if not self.per_step:
            raise self._not_streamed(self.not_streamed)
        stream.add_step(self)

    def link_into(self, chain: Any) -> bool:
        """Add the layer to a chain of the core, which then runs it forward and backward without Python.

        A layer that defines this has `link_settings` too: what reads the attributes on which the chain depends.

        Args:
            chain: `backend.Chain32` or `Chain64`.

        Returns:
            False if the layer needs Python as it is set now, so that it was not added.
        """
        return False

    def _not_streamed(self, why: str) -> ValueError:
        return ValueError(f"layer {self.name!r} ({type(self).__name__}) cannot run one time step at a time: {why}")

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """Convert and check a mask.

        Args:
            mask: array of booleans or numbers, with the leading axes of x, such as (B, T).
            x: the input (B, ...) that it belongs to.

        Returns:
            The mask as a C-contiguous boolean array.

        Raises:
            TypeError, ValueError: if it is not such an array.
        """
        array = as_array("mask", mask)
        if self.axes is not None and len(self.axes) > 2 and array.shape != x.shape[:2]:
            raise ValueError(f"mask must have shape (batch, time) = {x.shape[:2]}, got {array.shape}")
        if not array.ndim or array.shape != x.shape[: array.ndim]:
            raise ValueError(f"mask must have the leading axes of x, {x.shape}, got shape {array.shape}")
        return np.ascontiguousarray(array, dtype=bool)

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        """Convert and check initial states.

        Args:
            states: an array (B, units) per state, or a list of them in the order of `return_state`.
            x: the input (B, ...) that they belong to.
            argument: name of the argument, for error messages.

        Returns:
            A list of arrays (B, units).

        Raises:
            TypeError, ValueError: if number, shape or dtype does not fit, or the layer has no states.
        """
        raise TypeError(f"{type(self).__name__} takes no {argument}, got {shown(states)}")

    def _converted(self, x: Any) -> Array:
        """x as an array that `forward` takes."""
        return as_float("x", x, self.dtype)

    def _accept(self, x: Any) -> Array:
        """x converted and checked; builds the layer at first use."""
        array = self._converted(x)
        self.fit_shape(array.shape)
        return array

    @checked
    def __call__(
        self,
        x: Inputs,
        *more: Any,
        initial_state: ArrayLike | None = None,
        training: Flag | None = None,
        mask: ArrayLike | None = None,
    ) -> Any:
        """Convert and check the inputs, build the layer at first use, and run it.

        Args:
            x: an array, batch axis first.
            *more: the arguments in `call_order` by position, as in Keras.
            initial_state: of recurrent layers, one array (batch, units) per state, as `return_state` returns them.
            training: whether to save what `backward` needs, and to use dropout and the like; None is False. For a call
                on symbols: whether the layer acts as in training whenever the model runs; None leaves it to the run.
            mask: booleans of the shape of the leading axes of x; steps that are False do not count.

        Returns:
            The output, or a tuple of the outputs.
        """
        if more:
            by_name = self._by_name(more, initial_state=initial_state, mask=mask)
            return self(x, training=training, **by_name)
        if tracing.symbol_of is not None:
            x, initial_state, mask = (as_symbols(each, self.dtype) for each in (x, initial_state, mask))
        if (type(x) is not np.ndarray or initial_state is not None or mask is not None) and is_symbolic(
            x, initial_state, mask
        ):
            return self._connect(x, initial_state, mask, training)
        array = self._accept(x)
        mask = None if mask is None else self.checked_mask(mask, array)
        states = {} if initial_state is None else {"initial_state": self.checked_states(initial_state, array)}
        is_outer = not custom.is_in_pass()
        if is_outer:
            self._start_call(training)
        y = self.forward(array, training=bool(training), mask=mask, **states)
        if is_outer and self.activity_regularizer is not None:
            self._add_activity(y[0] if isinstance(y, tuple) else y)
        return as_result(y) if is_outer else y

    def _by_name(self, more: Sequence[Any], **named: Any) -> dict[str, Any]:
        """The arguments of a call by name; of arrays only, since `layer(x, True)` does not say what is True."""
        order = self.call_order[: len(more)]
        is_twice = any(named[name] is not None for name in order)
        if len(order) < len(more) or is_twice or any(isinstance(each, bool) for each in more):
            takes = ", ".join(("x", *self.call_order))
            raise WrongType(
                f"{type(self).__name__} must be called with {takes} by position, each once, and with training= by "
                f"name, got x and {shown(more)}"
            )
        return named | dict(zip(order, more, strict=True))

    def _add_activity(self, activity: Array) -> None:
        """Add the penalty on an output (B, ...) to the losses of this call, as the mean over the batch."""
        assert self.activity_regularizer is not None
        self.add_loss(self.activity_regularizer(activity) / max(len(activity), 1))

    def may_add_loss(self) -> bool:
        return self.activity_regularizer is not None or super().may_add_loss()

    def _connect(self, x: Any, initial_state: Any, mask: Any, training: bool | None) -> Any:
        """Record a call on symbols."""
        states = [] if initial_state is None else leaves_of(initial_state)
        inputs = leaves_of(x)
        if len(inputs) > 1 and not self.merges:
            raise ValueError(f"layer {self.name!r} ({type(self).__name__}) reads one input, got {len(inputs)}")
        if states and not any(None in state.shape[1:] for state in states):
            # Arrays of one row stand for the symbols.
            self.checked_states(
                mapped(lambda state: np.zeros((1, *state.shape[1:]), self.dtype), initial_state), np.zeros((1, 1, 1))
            )
        kwargs = {} if initial_state is None else {"initial_state": initial_state}
        masks = () if mask is None else (mask, *[None] * (len(inputs) + len(states) - 1))
        if mask is not None:
            kwargs["mask"] = mask
        return connect(self, (x,), kwargs, (*inputs, *states), masks=masks, training=training)

    def shape_of_inputs(self, shapes: list[Shape]) -> Any:
        """Return the argument of `build` and `compute_output_shape` for inputs of these shapes.

        Args:
            shapes: a shape for each input of `forward`, batch axis first.

        Returns:
            The list of shapes, or the first one for a layer that reads one array (and initial states).
        """
        return list(shapes) if self.merges else shapes[0]

    def run(
        self, inputs: Sequence[Array], masks: Sequence[Array | None], training: bool, **options: Any
    ) -> tuple[list[Array], list[Array | None]]:
        """Call `forward` and `compute_mask` with lists.

        Args:
            inputs: the inputs (B, ...); initial states follow the input of a recurrent layer.
            masks: a mask (B, T) for each of them, or None.
            training: whether a backward pass follows.
            **options: further keyword arguments of `forward`, which the call on symbols was made with.

        Returns:
            A list of outputs and a list of their masks.
        """
        if self.merges:
            mask: Any = list(masks) if any(each is not None for each in masks) else None
            x: Any = list(inputs)
            outputs = self.forward(*inputs, training=training, mask=mask, **options)
        else:
            mask, x = masks[0], inputs[0]
            states = {"initial_state": list(inputs[1:])} if len(inputs) > 1 else {}
            outputs = self.forward(x, training=training, mask=mask, **states)
        outputs = leaves(outputs) if isinstance(outputs, list | tuple) else [outputs]
        output_mask = self.compute_mask(x, mask) if mask is not None or self.makes_mask else None
        masks = list(output_mask) if isinstance(output_mask, list | tuple) else [output_mask]
        return outputs, masks + [None] * (len(outputs) - len(masks))

    # Symbols; an attribute of a custom layer may have these names.

    _layers = _InnerLayers()
    input = OnlyCall("inputs")
    output = OnlyCall("outputs")

    # Configs and files.

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild the layer, as Keras 3 writes them.

        Returns:
            A dict of JSON-serializable values by argument.
        """
        config = {"name": self.name, "trainable": self.trainable, "dtype": dtype_config(self.dtype)}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """Create a layer from the result of `get_config()`.

        Args:
            config: the dict; keys are arguments of the constructor.

        Returns:
            A new layer with fresh weights.
        """
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
