"""`CustomActivation`: a function or a layer as the activation of a layer, which the kernel does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.data.arrays import Array
from pyrnn.layers import custom
from pyrnn.layers.holder import Holder
from pyrnn.losses.differentiation import traceable
from pyrnn.ops.differentiation import differentiate
from pyrnn.ops.dispatch import traced_numpy
from pyrnn.validation import shown


def layers_of(activation: CustomActivation | None) -> list[tuple[str, Any]]:
    """Return the children of a layer that are its activation.

    Args:
        activation: the activation, None for one of the kernel.

    Returns:
        The layer that it is, with its place in a file; none for a function.
    """
    return [] if activation is None or activation.layer is None else [(activation.argument, activation.layer)]


class CustomActivation:
    """Runs and differentiates an activation.

    Args:
        function: a function of an array (...), made of `pyrnn.ops` or NumPy's functions, or a layer.
        owner: the layer that has it, for messages.
        argument: its name there.
    """

    def __init__(self, function: Callable[..., Any], owner: Any, argument: str) -> None:
        self.function, self.owner, self.argument = function, owner, argument

    @property
    def layer(self) -> Any:
        """The layer that it is, or None."""
        return self.function if isinstance(self.function, Holder) else None

    def forward(self, z: Array, training: bool = False) -> Array:
        """Compute y.

        Args:
            z: the array (...).
            training: whether a layer saves what its `backward` needs.

        Returns:
            An array of the shape and dtype of z.

        Raises:
            TypeError, ValueError: if the function returns anything else.
        """
        if self.layer is not None:
            if not self.layer.built:
                self.layer.build(z.shape)
            y = self.layer.forward(z, training=training)
        else:
            y = custom.run(self.owner, self.function, z)
        if np.shape(y) != z.shape or np.asarray(y).dtype.kind not in "biuf":
            raise ValueError(
                f"{self.argument} of {custom.named(self.owner)} must return numbers in the shape of its argument, "
                f"{z.shape}, got {shown(y)}"
            )
        return np.ascontiguousarray(y, z.dtype).reshape(z.shape)

    def backward(self, dy: Array, y: Array, z: Array) -> Array:
        """Compute dz. A layer without weights runs again.

        Args:
            dy: the gradient by y (...).
            y: what `forward` returned.
            z: what it was called with.

        Returns:
            The gradient by z, in its shape.

        Raises:
            ImportError: without the package autograd.
            ValueError: if autograd cannot differentiate the function.
        """
        if self.layer is not None:
            self.layer.forward(z, training=True)
            slope: Any = self.layer.backward(np.ascontiguousarray(dy))
        else:
            numpy = traced_numpy()
            function: Any = self.function
            is_ufunc = isinstance(function, np.ufunc)
            run = getattr(numpy, function.__name__, function) if is_ufunc else traceable(function, numpy)
            owner = f"{self.argument} of {custom.named(self.owner)}"
            slope = differentiate(lambda traced: run(traced), [z], owner).backward([dy])[0]
        return np.zeros_like(z) if slope is None else slope
