"""`Projection`: the products with a kernel of several axes before and after multi-head attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pyrnn import backend
from pyrnn.initializers import VarianceScaling
from pyrnn.layers.base import Array, Shape
from pyrnn.layers.core.dense import Affine
from pyrnn.layers.settings import unknown_size


class Projection(Affine):
    """y = activation(x kernel + bias), summed over the last axes of x.

    x (..., *inner) becomes (..., *sizes); kernel (*inner, *sizes), bias (*sizes).

    Args:
        arguments: the options of kernel and bias by name, `use_bias` and `activation`.
        inner: how many axes of x are summed over.
        sizes: the axes that take their place.
        **kwargs: `name` and `dtype`; see `Layer`.
    """

    def __init__(self, arguments: Mapping[str, Any], inner: int, sizes: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(arguments, **kwargs)
        self.inner, self.sizes = inner, sizes

    def build(self, input_shape: Shape) -> None:
        inner = input_shape[-self.inner :]
        if None in inner:
            raise unknown_size("MultiHeadAttention", "features", input_shape)
        option = self.kernel_spec.options["initializer"]
        initializer = getattr(self, option)
        if isinstance(initializer, VarianceScaling):
            axes = range(self.inner + len(self.sizes))
            setattr(self, option, initializer.for_axes(axes[: self.inner], axes[self.inner :]))
        self.kernel = self.kernel_spec.add(self, (*inner, *self.sizes))
        setattr(self, option, initializer)
        if self.use_bias:
            self.bias = self.bias_spec.add(self, self.sizes)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[: -self.inner], *self.sizes)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        version, rows = self._version(), x.reshape(*x.shape[: -self.inner], -1)
        y, saved = backend.dense_forward(
            rows,
            self._flat(self.kernel.array),
            None if self.bias is None else self.bias.array.reshape(-1),
            self._activation,
            training,
            self._workspace,
            version,
        )
        if training:
            self._tape.append((rows, saved, version, x.shape))
        return y.reshape(self.compute_output_shape(x.shape))

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        rows, saved, version, shape = self._take_saved()
        dx = backend.dense_backward(
            rows,
            self._flat(self.kernel.array),
            saved,
            dy.reshape(*rows.shape[:-1], -1),
            self._activation,
            self._flat(self.kernel.gradient),
            None if self.bias is None else self.bias.gradient.reshape(-1),
            need_dx,
            self._workspace,
            version,
        )
        return None if dx is None else dx.reshape(shape)

    def _flat(self, kernel: Array) -> Array:
        """A view of the kernel, or of its gradient, as a matrix."""
        return kernel.reshape(-1, math.prod(self.sizes))
