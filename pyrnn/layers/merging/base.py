"""`Merging`: base of the layers that read several arrays, called on a list of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array, as_float
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.inner_calls import as_symbols
from pyrnn.results import as_result
from pyrnn.symbols import connect, is_symbolic, tracing
from pyrnn.typing import ArrayLike, Flag, Inputs
from pyrnn.validation import WrongType, shown

Masks = Sequence[Array | None]


class Merging(Layer):
    """Base of layers whose `forward` reads several arrays.

    Shapes and masks are lists with an entry for each input. `forward` takes the inputs as positional arguments and
    `mask` as a list, or None if no input has a mask. `backward` returns a tuple of one gradient per input. Options of
    a call, such as `use_causal_mask`, are keyword arguments of `forward` and of `compute_output_shape`.

    Args:
        **kwargs: `name`, `trainable` and `dtype`; see `Layer`.
    """

    merges = True
    not_streamed = "it reads several inputs"
    # How many inputs there may be; None is any number.
    least_inputs: ClassVar[int] = 1
    most_inputs: ClassVar[int | None] = None
    # What the inputs are called in messages.
    inputs_named: ClassVar[str] = "[x, y, ...]"

    def check_input(self, shape: Any) -> None:
        """Check the shapes of the inputs.

        Args:
            shape: a shape for each input, batch axis first; None where any size is allowed.

        Raises:
            ValueError: if their number is wrong, or they do not fit each other.
        """
        least, most = self.least_inputs, self.most_inputs
        if len(shape) < least or (most is not None and len(shape) > most):
            count = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(
                f"{type(self).__name__} must be called on a list of {count} inputs, {self.inputs_named}, "
                f"got {len(shape)}"
            )
        if any(not each for each in shape):
            raise ValueError(f"{type(self).__name__} expects inputs with a batch axis, got shapes {list(shape)}")
        batches = {each[0] for each in shape} - {None}
        if len(batches) > 1:
            raise ValueError(f"inputs of {type(self).__name__} must have one batch size, got shapes {list(shape)}")

    @checked
    def __call__(  # type: ignore[override]  # no initial_state
        self, x: Inputs, *, training: Flag | None = None, mask: ArrayLike | None = None
    ) -> Any:
        """Convert and check the inputs, build the layer at first use, and run it.

        Args:
            x: a list of arrays (B, ...), or of symbols.
            training: whether to save what `backward` needs.
            mask: a list with a mask (B, T) for each input, or None in its place; None if no input has one.

        Returns:
            The output.

        Raises:
            TypeError, ValueError: if an input does not fit.
        """
        return self._call_on((x,), {}, self._listed(x), mask, training)

    def _listed(self, x: Any) -> list[Any]:
        """Return the inputs as a list."""
        if not isinstance(x, list | tuple) or not x:
            raise (ValueError if isinstance(x, list | tuple) else WrongType)(
                f"{type(self).__name__} must be called on a list of inputs, {self.inputs_named}, got {shown(x)}"
            )
        return list(x)

    def _call_on(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        inputs: list[Any],
        mask: Any,
        training: bool | None,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the layer on arrays, or record the call if the inputs are symbols.

        Args:
            args: positional arguments of the call, as it was written.
            kwargs: its keyword arguments, those with another value than the default.
            inputs: the inputs of `forward`.
            mask: a list of their masks, or None.
            training: whether a backward pass follows; see `Layer`.
            options: further keyword arguments of `forward`.

        Returns:
            The output of `forward`, or symbols.
        """
        options = {} if options is None else options
        if tracing.symbol_of is not None:
            inputs, mask = as_symbols(inputs, self.dtype), as_symbols(mask, self.dtype)
        if is_symbolic(inputs):
            symbols = [] if mask is None else [*mask, *[None] * (len(inputs) - len(mask))]
            return connect(self, args, kwargs, inputs, options, masks=symbols, training=training)
        arrays = [as_float(f"inputs[{i}]", each, self.dtype) for i, each in enumerate(inputs)]
        shapes = [array.shape for array in arrays]
        self.fit_shape(shapes)
        masks = None if mask is None else self._checked_masks(mask, arrays)
        is_outer = not custom.is_in_pass()
        if is_outer:
            self._start_call(training)
        y = self.forward(*arrays, training=bool(training), mask=masks, **options)
        return as_result(y) if is_outer else y

    def _checked_masks(self, mask: Any, arrays: list[Array]) -> list[Array | None] | None:
        """Convert and check a list of masks, which may leave out those of the last inputs."""
        if not isinstance(mask, list | tuple) or not 0 < len(mask) <= len(arrays):
            raise (ValueError if isinstance(mask, list | tuple) else WrongType)(
                f"mask of {type(self).__name__} must be a list with a mask for each of the {len(arrays)} inputs, "
                f"got {shown(mask)}"
            )
        masks: list[Array | None] = [None] * len(arrays)
        for number, each in enumerate(mask):
            if each is not None:
                masks[number] = self.checked_mask(each, arrays[number])
        return masks if any(each is not None for each in masks) else None

    def _listed_masks(self, inputs: Any, mask: Any) -> list[Any] | None:
        """Return the masks for `compute_mask`, a list with an entry for each input, or None."""
        if mask is None:
            return None
        for argument, value in (("inputs", inputs), ("mask", mask)):
            if not isinstance(value, list | tuple):
                raise WrongType(f"{argument} of {type(self).__name__} must be a list, got {shown(value)}")
        if len(mask) != len(inputs):
            raise ValueError(
                f"mask of {type(self).__name__} must have one entry for each of the {len(inputs)} inputs, "
                f"got {len(mask)}"
            )
        return list(mask)

    def checked_mask(self, mask: Any, x: Array) -> Array:
        """Convert and check the mask of one input.

        Args:
            mask: array of booleans or numbers, with the leading axes of x, such as (B, T).
            x: the input (B, ...) that it belongs to.

        Returns:
            The mask as a C-contiguous boolean array.

        Raises:
            TypeError, ValueError: if it is not such an array.
        """
        array = as_array("mask", mask)
        if not array.ndim or array.shape != x.shape[: array.ndim]:
            raise ValueError(f"mask must have the leading axes of its input, {x.shape}, got shape {array.shape}")
        return np.ascontiguousarray(array, dtype=bool)

    def forward(self, *xs: Array, training: bool = False, mask: Masks | None = None, **options: Any) -> Any:
        """Compute the output. With `training`, save what `backward` needs.

        Args:
            *xs: the inputs (B, ...), C-contiguous arrays of the layer's dtype.
            training: whether the pass is part of a training step.
            mask: a list with a mask (B, T) for each input, or None in its place; None if no input has one.
            **options: options of the call.

        Returns:
            The output (B, ...), or a tuple of arrays.

        Raises:
            ValueError: if the shapes of the inputs do not fit each other.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(*xs, training, mask)")

    def backward(self, dy: Array, *, need_dx: bool = True) -> Any:
        """Write the gradients of the weights into `weight.gradient` and return those of the inputs.

        It belongs to the last `forward(training=True)` whose `backward` has not run yet.

        Args:
            dy: gradient of the loss with respect to the output, in the shape of the output.
            need_dx: whether gradients with respect to the inputs are needed.

        Returns:
            A tuple with the gradient with respect to each input, in its shape; None in place of each that is not
            needed or does not exist.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, need_dx) before it can be trained")


def aligned_shape(shape: Shape, rank: int) -> Shape:
    """Return a shape with as many axes as `rank`: axes of size 1 come after the batch axis.

    Args:
        shape: the shape, batch axis first.
        rank: a number of axes, at least that of `shape`.

    Returns:
        The longer shape.
    """
    return (*shape[:1], *[1] * (rank - len(shape)), *shape[1:])
