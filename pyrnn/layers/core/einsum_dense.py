"""EinsumDense: a product with a kernel in Einstein's notation."""

from __future__ import annotations

import re
import string
from typing import Annotated, Any, NamedTuple

import numpy as np

from pyrnn import backend, regularizers
from pyrnn.activations import ActivationLike
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.core.dense import Affine
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import Unchecked
from pyrnn.typing import Omitted, Text
from pyrnn.validation import WrongType, shown

__all__ = ["EinsumDense"]

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class _Parts(NamedTuple):
    """The letters of the axes of x, kernel and y, and the shapes of kernel, bias and y."""

    x: str
    kernel: str
    y: str
    kernel_shape: Shape
    bias_shape: Shape | None
    output_shape: Shape


class EinsumDense(Affine):
    """Dense layer over any axes: y = activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: the axes of x, of the kernel and of y, such as "abc,cd->abd"; "..." on the same side of x and y is any
            number of axes.
        output_shape: sizes of the axes of y without the batch axis and "...", None where that of x is taken; a single
            size for one axis.
        activation: name of an activation, a function of an array, a layer, or None for the identity.
        bias_axes: letters of the axes of y that the bias has, or None for no bias.
        kernel_initializer: name or object of `pyrnn.initializers`, for the kernel.
        bias_initializer: name or object of `pyrnn.initializers`, for the bias.
        kernel_regularizer: name or object of `pyrnn.regularizers`, for the kernel, or None.
        bias_regularizer: name or object of `pyrnn.regularizers`, for the bias, or None.
        kernel_constraint: name or object of `pyrnn.constraints`, applied to the kernel after each step, or None.
        bias_constraint: name or object of `pyrnn.constraints`, applied to the bias after each step, or None.
        lora_rank: must be None: low-rank adaptation is not implemented.
        lora_alpha: must be None.
        gptq_unpacked_column_size: must be None: weights are not quantized.
        quantization_config: must be None.
        activity_regularizer: name or object of `pyrnn.regularizers`, for the output, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if the equation is not of this form, or the shapes do not fit it.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")(np.zeros((2, 5, 4))).shape
        (2, 5, 8)
    """

    not_streamed = "its equation may mix the steps"

    @checked
    def __init__(
        self,
        equation: Text,
        output_shape: Annotated[Any, Unchecked(allowed="list none huge")],
        activation: ActivationLike = None,
        bias_axes: Text | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: Omitted = None,
        lora_alpha: Omitted = None,
        gptq_unpacked_column_size: Omitted = None,
        quantization_config: Omitted = None,
        activity_regularizer: RegularizerLike = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        match = _EQUATION.fullmatch(equation.replace(" ", ""))
        if match is None:
            raise ValueError(f"equation must have the form 'abc,cd->abd', got {equation!r}")
        before, x, after, kernel, y_before, y, y_after = match.groups()
        if (before, after) != (y_before, y_after) or (before and after):
            raise ValueError(f"equation must have '...' on the same side of x and y, or nowhere, got {equation!r}")
        for letters in (x, kernel, y):
            if len(set(letters)) < len(letters):
                raise ValueError(f"equation must have each letter once in x, in the kernel and in y, got {equation!r}")
        if not set(y) <= set(x + kernel) or not set(kernel) <= set(x + y):
            raise ValueError(
                f"equation must take the axes of y from x or the kernel, and those of the kernel from x or y, "
                f"got {equation!r}"
            )
        if bias_axes and not set(bias_axes) <= set(y):
            raise ValueError(f"bias_axes must be letters of y, {y!r}, got {bias_axes!r}")
        self.equation, self.bias_axes = equation, bias_axes
        self._letters, self._is_left, self._is_right = (x, kernel, y), bool(before), bool(after)
        sizes = list(output_shape) if isinstance(output_shape, list | tuple) else [output_shape]
        if not all(size is None or (isinstance(size, int) and not isinstance(size, bool)) for size in sizes):
            raise WrongType(f"output_shape must be a size or a tuple of sizes and None, got {shown(output_shape)}")
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(f"output_shape must hold sizes of at least 1, got {shown(output_shape)}")
        self.partial_output_shape = tuple(sizes)
        super().__init__({**arguments, "use_bias": bool(bias_axes)}, **kwargs)

    def _parts_for(self, input_shape: Shape) -> _Parts:
        """What the equation means for x of a shape."""
        x, kernel, y = self._letters
        count = len(input_shape) - len(x)
        if count < 0 or (count and not (self._is_left or self._is_right)):
            raise ValueError(f"EinsumDense expects x with the axes of {self.equation!r}, got shape {input_shape}")
        free = "".join(each for each in string.ascii_letters if each not in x + kernel + y)[:count]
        whole_x, whole_y = (free + x, free + y) if self._is_left else (x + free, y + free)
        of_x = dict(zip(whole_x, input_shape, strict=True))
        stated: list[Any] = [input_shape[0], *self.partial_output_shape]
        if self._is_left and count > 1:
            stated[1:1] = input_shape[1:count]
        elif self._is_right and count:
            stated += input_shape[len(x) :]
        if len(stated) != len(whole_y):
            raise ValueError(
                f"output_shape of EinsumDense must have a size for each axis of y in {self.equation!r} without the "
                f"batch axis and '...', got {self.partial_output_shape}"
            )
        of_y = {}
        for letter, size in zip(whole_y, stated, strict=True):
            of_input = of_x.get(letter)
            if None not in (size, of_input) and size != of_input:
                raise ValueError(
                    f"output_shape of EinsumDense must have the size {of_input} of x for axis {letter!r}, got {size}"
                )
            of_y[letter] = of_input if size is None else size
        sizes = {**of_y, **of_x}
        kernel_shape = tuple(sizes[letter] for letter in kernel)
        bias_shape = None
        if self.bias_axes:
            first = min(whole_y.index(letter) for letter in self.bias_axes)
            bias_shape = tuple(of_y[letter] if letter in self.bias_axes else 1 for letter in whole_y[first:])
        if None in kernel_shape or (bias_shape is not None and None in bias_shape):
            raise ValueError(
                f"EinsumDense must know the sizes of the axes of its weights, got x of shape {input_shape}: set them "
                "in Input(shape)"
            )
        output_shape = tuple(of_y[letter] for letter in whole_y)
        return _Parts(whole_x, kernel, whole_y, kernel_shape, bias_shape, output_shape)

    def check_input(self, shape: Shape) -> None:
        parts = self._parts_for(tuple(shape))
        if self.built and parts.kernel_shape != self.kernel.shape:
            raise ValueError(
                f"EinsumDense expects x for a kernel of shape {self.kernel.shape}, got x of shape {tuple(shape)}"
            )

    def build(self, input_shape: Shape) -> None:
        parts = self._parts_for(input_shape)
        self.kernel = self.kernel_spec.add(self, parts.kernel_shape)
        if parts.bias_shape is not None:
            self.bias = self.bias_spec.add(self, parts.bias_shape)
        self._build_activation(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._parts_for(tuple(input_shape)).output_shape

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        parts = self._parts_for(x.shape)
        z = np.einsum(f"{parts.x},{parts.kernel}->{parts.y}", x, self.kernel.array, optimize=True)
        if self.bias is not None:
            z = z + self.bias.array
        z = np.ascontiguousarray(z)
        y = backend.activation_forward(z, self._activation)
        if training:
            self._tape.append((x, parts, z, y))
        return y if self._activation_function is None else self._activated(y, training)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._activation_function is not None:
            dy = self._by_z(dy)
        x, parts, z, y = self._take_saved()
        dz = backend.activation_backward(z, y, np.ascontiguousarray(dy), self._activation)
        self.kernel.gradient[...] = np.einsum(f"{parts.x},{parts.y}->{parts.kernel}", x, dz, optimize=True)
        if self.bias is not None:
            shape = (1,) * (dz.ndim - len(self.bias.shape)) + self.bias.shape
            over = tuple(axis for axis, size in enumerate(shape) if size == 1)
            self.bias.gradient[...] = dz.sum(axis=over, keepdims=True).reshape(self.bias.shape)
        if not need_dx:
            return None
        # Axes of x that are in neither y nor the kernel are summed over: the gradient is the same along them.
        reached = [letter for letter in parts.x if letter in parts.y or letter in parts.kernel]
        dx = np.einsum(f"{parts.y},{parts.kernel}->{''.join(reached)}", dz, self.kernel.array, optimize=True)
        for axis, letter in enumerate(parts.x):
            if letter not in reached:
                dx = np.expand_dims(dx, axis)
        return np.ascontiguousarray(np.broadcast_to(dx, x.shape))

    def get_config(self) -> dict[str, Any]:
        config = self._affine_config()
        del config["use_bias"]
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "bias_axes": self.bias_axes,
            **config,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "quantization_config": None,
        }
