"""What every layer is: names, shapes, weights, masks and configs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyrnn import constraints, initializers, overriding, registry, regularizers, rules
from pyrnn.arguments import checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.batches import as_array, as_float
from pyrnn.explaining import LayerNames
from pyrnn.initializers import InitializerLike
from pyrnn.layers import attributes, custom
from pyrnn.layers.composite import Holder
from pyrnn.layers.settings import dtype_config, dtype_name, standard_shape
from pyrnn.naming import auto_name
from pyrnn.parameters import Weight, assign_all, values_for
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Boolean, DtypeLike, Flag, Name, Size
from pyrnn.validation import RENAMED, shown, unexpected_arguments, warn

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


def _of_right_rank(own: Callable[..., Any]) -> Callable[..., Any]:
    """`compute_output_shape` of a layer, for shapes that have the axes it needs."""

    @functools.wraps(own)
    def compute_output_shape(self: Layer, input_shape: Shape) -> Any:
        shape = standard_shape("input_shape", input_shape)
        if len(shape) < self.min_rank or (self.axes is not None and len(shape) != len(self.axes)):
            axes = f"({', '.join(self.axes)})" if self.axes is not None else f"with at least {self.min_rank} axes"
            raise ValueError(f"{type(self).__name__} expects x of shape {axes}, got {shape}")
        return own(self, shape)

    return compute_output_shape


def _once(build: Callable[..., None]) -> Callable[..., None]:
    """The `build` of a class, which checks the shape, is run once and leaves the layer built, as in Keras.

    It may call `super().build(input_shape)`, or not.
    """

    @functools.wraps(build)
    def build_once(self: Layer, input_shape: Shape) -> None:
        shape = standard_shape("input_shape", input_shape)
        if self.built or overriding.is_builtin(type(self)):
            self.check_input(shape)
        is_whole = type(self).build is build_once  # else a subclass has called it
        if not self.built:
            try:
                build(self, shape)
            except BaseException:
                self.built = False
                raise
        self.build_shape, self.built = shape, True
        if is_whole and not overriding.is_builtin(type(self)):
            custom.finish(self, shape)

    return build_once


class Layer(Holder, LayerNames):
    """Base of all layers, a user's own too.

    A custom layer defines `build(input_shape)` (its weights, by `add_weight`), `forward` and `backward`, in NumPy;
    `compute_output_shape` where the shape changes, and `get_config` where it has arguments. `forward` and `backward`
    may return views, lists and arrays of any dtype, and must not change their argument in place. Layers that it holds
    in its attributes are part of it: it calls `self.dense(x, training=training)` in `forward` and
    `self.dense.backward(dy)` in `backward`. A subclass that defines a method that Keras calls and pyrnn does not, such
    as `call`, is rejected when it is created.

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

    # Words for the axes of x, where a fixed rank is needed.
    axes: ClassVar[tuple[str, ...] | None] = None
    min_rank: ClassVar[int] = 1
    # Whether x must have the features that the layer was built for because of the weights of the layers in it.
    fixes_features: ClassVar[bool] = False
    supports_masking: bool = False
    makes_mask: bool = False
    # Whether x is word numbers (batch, time), without a features axis.
    reads_ids: ClassVar[bool] = False
    # Whether forward treats each step of x (batch, time, ...) by itself, so that a stream may call it step by step.
    per_step: ClassVar[bool] = False
    # Why a layer that is not per_step cannot be streamed.
    not_streamed: ClassVar[str] = "set per_step = True in its class if forward treats each step by itself"
    # What a subclass may not define, with what to write instead.
    never_called: ClassVar[Mapping[str, str]] = custom.NEVER_CALLED

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Keras's older names are refused before a missing new one could be."""
        if not RENAMED.keys().isdisjoint(kwargs):
            known = cls._known_arguments()
            old = {name: value for name, value in kwargs.items() if name in RENAMED and name not in known}
            if old:
                raise TypeError(unexpected_arguments(cls.__name__, old, known))
        return registry.remember_arguments(super().__new__(cls), args, kwargs)

    @checked
    def __init__(
        self,
        *,
        name: Name | None = None,
        trainable: Boolean = True,
        dtype: DtypeLike = None,
        input_shape: Any = None,
        batch_input_shape: Any = None,
        batch_shape: Any = None,
        input_dim: Size | None = None,
        input_length: Size | None = None,
        batch_size: Size | None = None,
        activity_regularizer: RegularizerLike = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(unexpected_arguments(type(self).__name__, unknown, self._known_arguments()))
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"name must be a non-empty string without '/', got {shown(name)}")
        self.name = name if name is not None else auto_name(type(self).__name__)
        self.dtype = dtype_name(dtype)
        self.built = False
        self.build_shape: Shape | None = None
        self._weights: list[Weight] = []
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
        """Prepare the methods that a class defines: what they are passed and return is checked around them."""
        super().__init_subclass__(**kwargs)
        attributes.guard_weights(cls)
        if "compute_output_shape" in vars(cls) and overriding.is_builtin(cls):
            cls.compute_output_shape = _of_right_rank(cls.compute_output_shape)  # type: ignore[method-assign]
        if not overriding.is_builtin(cls):
            custom.prepare(cls, Layer)
        build = vars(cls).get("build") if overriding.is_builtin(cls) else overriding.new_in(cls, "build", Layer)
        if build is not None:
            cls.build = _once(build)  # type: ignore[method-assign]  # the same signature

    # Weights.

    @checked
    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        name: Name | None = None,
        *,
        initializer: InitializerLike = "glorot_uniform",
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
        trainable: Boolean = True,
        dtype: DtypeLike = None,
    ) -> Weight:
        """Create a weight of this layer; shape None is one number. Its gradient goes to `weight.gradient`."""
        shape = () if shape is None else shape
        name = f"variable_{len(self._weights)}" if name is None else name
        if isinstance(shape, str) or not isinstance(name, str):
            raise TypeError(
                f"add_weight() takes a shape and a name, got {shown(shape)} and {shown(name)}: "
                "write add_weight(shape=..., name=...)"
            )
        weight = Weight(
            standard_shape("shape", shape),
            name,
            self.dtype if dtype is None else dtype_name(dtype),
            initializers.get(initializer),
            regularizers.get(regularizer),
            constraints.get(constraint),
            trainable,
        )
        weight.path = f"{self.name}/{name}"
        self._weights.append(weight)
        self.changed()
        return weight

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer's weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        rules.Flag().check("trainable", value)
        self._trainable = bool(value)
        self.changed()

    def get_weights(self) -> list[Array]:
        """Copies of all weights."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all weights, given in the order of `get_weights`; nothing is written unless all shapes fit."""
        assign_all(values_for(f"layer {self.name!r}", self.weights, weights))

    def count_params(self) -> int:
        """Number of values in all weights."""
        if not self.built:
            raise ValueError(f"layer {self.name!r} has no weights yet: build it or call it on data first")
        return sum(weight.size for weight in self.weights)

    # Shapes.

    def check_input(self, shape: Shape) -> None:
        """Refuse an x of the wrong rank or size in one sentence."""
        fits = len(shape) == len(self.axes) if self.axes is not None else len(shape) >= self.min_rank
        if fits and self.build_shape is not None and len(shape) == len(self.build_shape):
            is_fixed = self._weights or (self.fixes_features and self.weights)
            fits = not is_fixed or shape[-1] == self.build_shape[-1]
        if fits:
            return
        words = f" ({', '.join(self.axes)})" if self.axes is not None else f" with at least {self.min_rank} axes"
        known = self.declared_shape or self.build_shape
        if known is not None and (self.axes is None or len(known) == len(self.axes)):
            words += f" = {known}" if self.axes is not None else f", {known}"
        raise ValueError(f"{type(self).__name__} expects x of shape{words}, got {tuple(shape)}")

    @_once
    def build(self, input_shape: Shape) -> None:
        """Create the weights for inputs of `input_shape` (batch axis first, may be None)."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Shape of the output for inputs of `input_shape`."""
        return tuple(input_shape)

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        """Mask handed on to the next layer."""
        if self.supports_masking or mask is None:
            return mask
        warn(f"layer {self.name!r} ({type(self).__name__}) does not support masking: the layers after it get no mask")
        return None

    # Numbers.

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Any:
        """Output for x; keeps what `backward` needs only when `training`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define forward(x, training, mask) and backward(dy, need_dx): "
            "there is no automatic differentiation here, so call() is not enough"
        )

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        """Gradients: writes `weight.gradient`, returns dx unless `need_dx` is False."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, need_dx) before it can be trained")

    def stream_into(self, stream: Any) -> None:
        """Add what this layer does at one time step to a stream (`pyrnn.stages.Builder`).

        Raises:
            ValueError: if it needs more than the steps so far.
        """
        if not self.per_step:
            raise self._not_streamed(self.not_streamed)
        stream.add_step(self)

    def _not_streamed(self, why: str) -> ValueError:
        return ValueError(f"layer {self.name!r} ({type(self).__name__}) cannot run one time step at a time: {why}")

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """A mask for x, of its leading axes."""
        array = as_array("mask", mask)
        if self.axes is not None and len(self.axes) == 3 and array.shape != x.shape[:2]:
            raise ValueError(f"mask must have shape (batch, time) = {x.shape[:2]}, got {array.shape}")
        if not array.ndim or array.shape != x.shape[: array.ndim]:
            raise ValueError(f"mask must have the leading axes of x, {x.shape}, got shape {array.shape}")
        return np.ascontiguousarray(array, dtype=bool)

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        """Initial states for x; only recurrent layers take any."""
        raise TypeError(f"{type(self).__name__} takes no {argument}, got {shown(states)}")

    def _converted(self, x: Any) -> Array:
        """x as an array that `forward` takes."""
        return as_float("x", x, self.dtype)

    def _accept(self, x: Any) -> Array:
        """x converted and checked; builds the layer at first use."""
        array = self._converted(x)
        if self.built:
            self.check_input(array.shape)
        else:
            self.build(array.shape)
        return array

    @checked
    def __call__(self, x: Any, *, initial_state: Any = None, training: Flag = False, mask: Any = None) -> Any:
        """Convert and check the inputs, build the layer at first use, and run it.

        Args:
            x: an array, batch axis first.
            initial_state: of recurrent layers, one array (batch, units) per state, as `return_state` returns them.
            training: whether to save what `backward` needs, and to use dropout and the like.
            mask: booleans of the shape of the leading axes of x; steps that are False do not count.

        Returns:
            The output, or a tuple of the outputs.
        """
        array = self._accept(x)
        mask = None if mask is None else self.checked_mask(mask, array)
        states = {} if initial_state is None else {"initial_state": self.checked_states(initial_state, array)}
        if training and not custom.is_in_pass():
            self._discard_saved()
        return self.forward(array, training=bool(training), mask=mask, **states)

    # Configs and files.

    def get_config(self) -> dict[str, Any]:
        """Keras 3's config of this layer."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": dtype_config(self.dtype)}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """A new layer from `get_config`'s answer."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
