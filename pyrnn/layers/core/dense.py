"""Dense, Activation, Rescaling and Identity."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pyrnn import activations, backend, rules
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.attributes import ActivationAttribute
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.custom_activation import layers_of
from pyrnn.layers.settings import unknown_size
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.typing import Flag, Numbers, Omitted, Units
from pyrnn.validation import positive_int

__all__ = ["Activation", "Dense", "Identity", "Rescaling"]


class Affine(Layer):
    """What Dense and the convolutions share: a kernel, a bias and an activation."""

    kernel: Weight
    bias: Weight | None
    activation = ActivationAttribute()
    _activation: str
    _activation_function: Any

    kernel_spec: ClassVar[WeightSpec] = WeightSpec("kernel")
    bias_spec: ClassVar[WeightSpec] = WeightSpec("bias")

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(activity_regularizer=arguments["activity_regularizer"], **kwargs)
        self.activation = arguments["activation"]
        self.use_bias = bool(arguments["use_bias"])
        self.kernel_spec.read(self, arguments)
        self.bias_spec.read(self, arguments)
        self._workspace = backend.Workspace()
        self.bias = None

    def _add_bias(self, size: int) -> None:
        """Create the bias, if there is one."""
        if self.use_bias:
            self.bias = self.bias_spec.add(self, (size,))

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned(layers_of(self._activation_function))

    def _build_activation(self, input_shape: Shape) -> None:
        """Build the activation, if it is a layer."""
        function = self._activation_function
        if function is not None and function.layer is not None and not function.layer.built:
            function.layer.build(self.compute_output_shape(input_shape))
            for weight in function.layer.weights:
                weight.path = f"{self.name}/{weight.path}"

    def _activated(self, z: Array, training: bool) -> Array:
        """The output, where the activation is a function or a layer; its entry on the tape is above that of forward."""
        y: Array = self._activation_function.forward(z, training)
        if training:
            self._tape.append((y, z))
        return y

    def _by_z(self, dy: Array) -> Array:
        """The gradient by what such an activation was called with."""
        function = self._activation_function
        saved = self._take_saved()
        if function.layer is not None:
            dz: Array = function.layer.backward(np.ascontiguousarray(dy))
            return dz
        return np.ascontiguousarray(function.backward(dy, *saved))

    def _version(self) -> int:
        version = self.kernel.version
        return version if self.bias is None else max(version, self.bias.version)

    def _affine_config(self) -> dict[str, Any]:
        return {
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **specs_config(self, self.kernel_spec, self.bias_spec),
        }


class Dense(Affine):
    """Fully connected layer: y = activation(x kernel + bias) along the last axis.

    x (..., F) becomes (..., units); kernel (F, units), bias (units,).

    Args:
        units: size of the output's last axis, at least 1.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        use_bias: whether to add a bias.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        lora_rank: must be None: low-rank adaptation is not implemented.
        lora_alpha: must be None.
        quantization_config: must be None: weights are not quantized.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or the size of x's last axis is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Dense(3, activation="relu")(np.zeros((2, 5, 4))).shape
        (2, 5, 3)
    """

    supports_masking = True
    per_step = True
    min_rank = 2
    link_settings = operator.attrgetter("_activation", "_activation_function", "activity_regularizer")

    @checked
    def __init__(
        self,
        units: Units,
        activation: ActivationLike = None,
        use_bias: Flag = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: Omitted = None,
        lora_alpha: Omitted = None,
        quantization_config: Omitted = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()), **kwargs)
        self.units = positive_int("units", units)

    def stream_into(self, stream: Any) -> None:
        if len(stream.shape) != 1 or self._activation_function is not None:
            stream.add_step(self)
            return
        stream.add_dense(self.kernel.array, None if self.bias is None else self.bias.array, self._activation)

    def link_into(self, chain: Any) -> bool:
        if self._activation_function is not None or self.activity_regularizer is not None:
            return False
        bias, d_bias = (None, None) if self.bias is None else (self.bias.array, self.bias.gradient)
        chain.add_dense(self.kernel.array, bias, self._activation, self.kernel.gradient, d_bias, self._workspace)
        return True

    def check_input(self, shape: Shape) -> None:
        if self.build_shape is not None and shape and shape[-1] != self.build_shape[-1]:  # the other axes are free
            raise ValueError(f"Dense expects x of {self.build_shape[-1]} features along its last axis, got {shape}")
        super().check_input(shape)

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] is None:
            raise unknown_size("Dense", "features", input_shape)
        self.kernel = self.kernel_spec.add(self, (input_shape[-1], self.units))
        self._add_bias(self.units)
        self._parts = (self.kernel, self.bias)
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        kernel, bias = self._parts
        version = kernel.version if bias is None else max(kernel.version, bias.version)
        y, saved = backend.dense_forward(
            x,
            kernel.array,
            None if bias is None else bias.array,
            self._activation,
            training,
            self._workspace,
            version,
        )
        if training:
            self._tape.append((x, saved, version))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        x, saved, version = self._take_saved()
        kernel, bias = self._parts
        return backend.dense_backward(
            x,
            kernel.array,
            saved,
            dy,
            self._activation,
            kernel.gradient,
            None if bias is None else bias.gradient,
            need_dx,
            self._workspace,
            version,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, **self._affine_config(), "quantization_config": None}


class Activation(Layer):
    """Apply an activation function. The output has the shape of x.

    Args:
        activation: name of an activation, a function of an array, or a layer.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if the activation is not known.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Activation("relu")(np.array([[-1.0, 1.0]]))
        array([[0., 1.]], dtype=float32)
    """

    supports_masking = True
    per_step = True
    activation = ActivationAttribute(halves=True)
    _activation: str
    _activation_function: Any

    @checked
    def __init__(self, activation: ActivationLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.built = type(self).build is Activation.build and not self.children()  # nothing to make

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned(layers_of(self._activation_function))

    def build(self, input_shape: Shape) -> None:
        function = self._activation_function
        if function is not None and function.layer is not None and not function.layer.built:
            function.layer.build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self._activation == "glu" and input_shape[-1] is not None:
            return (*input_shape[:-1], input_shape[-1] // 2)
        return tuple(input_shape)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        function = self._activation_function
        y = backend.activation_forward(x, self._activation) if function is None else function.forward(x, training)
        if training:
            self._tape.append((x, y))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x, y = self._take_saved()
        function = self._activation_function
        if function is not None and function.layer is not None:
            dx: Array | None = function.layer.backward(dy, need_dx=need_dx)
            return dx
        if not need_dx:
            return None
        if function is not None:
            dz: Array = function.backward(dy, y, x)
            return dz
        return backend.activation_backward(x, y, dy, self._activation)

    def stream_into(self, stream: Any) -> None:
        if self._activation == "glu" or len(stream.shape) != 1 or self._activation_function is not None:
            stream.add_step(self)
        else:
            stream.add_activation(self._activation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


def plain_numbers(value: Any) -> Any:
    """A number or nested list, from Keras's serialized array too."""
    if isinstance(value, dict):
        value = value.get("config", {}).get("value", value)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


class Rescaling(Layer):
    """Scale and shift: y = x * scale + offset.

    Args:
        scale: number or nested list of numbers that broadcasts with x.
        offset: number or nested list of numbers that broadcasts with x.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `scale` or `offset` does not hold finite numbers.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Rescaling(0.5, offset=-1.0)(np.array([[0.0, 4.0]]))
        array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True
    per_step = True

    @checked
    def __init__(self, scale: Numbers, offset: Numbers = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    @property
    def scale(self) -> Any:
        """The factor: a number or a nested list of them, to broadcast with x."""
        return self._plain_scale

    @scale.setter
    def scale(self, value: Any) -> None:
        rules.Numbers().check("scale", plain_numbers(value))
        self._plain_scale = plain_numbers(value)
        self._scale = np.asarray(self._plain_scale, self.dtype)

    @property
    def offset(self) -> Any:
        """What is added: a number or a nested list of them, to broadcast with x."""
        return self._plain_offset

    @offset.setter
    def offset(self, value: Any) -> None:
        rules.Numbers().check("offset", plain_numbers(value))
        self._plain_offset = plain_numbers(value)
        self._offset = np.asarray(self._plain_offset, self.dtype)

    def take_dtype(self, dtype: str) -> None:
        super().take_dtype(dtype)
        self.scale, self.offset = self._plain_scale, self._plain_offset

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        y: Array = x * self._scale + self._offset
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy * self._scale if need_dx else None

    def stream_into(self, stream: Any) -> None:
        time = -1 - len(stream.shape)  # the axis of time, counted from the last one
        terms = []
        for each in (self._scale, self._offset):
            if stream.time_axis and each.ndim >= -time:
                if each.shape[time] != 1:
                    raise self._not_streamed("its scale or offset differs from step to step")
                each = each.squeeze(axis=time)
            terms.append(each)
        stream.add_affine(None, *terms)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Identity(Layer):
    """Return x unchanged.

    Args:
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Identity()(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
    """

    supports_masking = True
    per_step = True

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return x

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy if need_dx else None

    def stream_into(self, stream: Any) -> None:
        """Nothing to do."""
