"""Shapes along a stack of layers: which inputs a built stack accepts, and what is wrong with one that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyrnn.layers.base import Layer, Shape


def agree(first: Shape, second: Shape) -> bool:
    """Whether two shapes are the same wherever both sizes are known."""
    same_rank = len(first) == len(second)
    return same_rank and all(None in pair or pair[0] == pair[1] for pair in zip(first, second, strict=True))


def with_rank(first: Layer, built: Shape, shape: Shape) -> Shape:
    """The shape of x with as many axes as `built`, if only a last axis of length 1 is missing or extra, as in Keras.

    Raises:
        ValueError: If that does not help, or x could also be a single sample without a batch axis.
    """
    if len(shape) == len(built) + 1 and shape[-1] == 1:
        return shape[:-1]
    fix = ""
    if len(shape) == len(built) - 1:
        is_sample = len(shape) > 0 and (first.reads_ids or agree(shape[-1:], built[-1:]))
        if built[-1] == 1 and (not is_sample or len(built) == 2 or built[1] == 1):
            return (*shape, 1)
        if built[-1] == 1:
            fix = "; for samples of one step write x[..., None], for a single sample x[None]"
        elif is_sample:
            fix = "; for a single sample write x[None]"
    elif len(shape) == 1 and len(built) == 3 and built[-1] == 1:
        fix = "; for a single sample write x[None, :, None]"
    axes = _axes(first, built)
    raise ValueError(
        f"{type(first).__name__} expects x of shape {axes + ' = ' if axes else ''}{built}, got {tuple(shape)}{fix}"
    )


def _axes(first: Layer, built: Shape) -> str:
    """The names of the axes of x, if the first layer has names for that number of axes."""
    return f"({', '.join(first.axes)})" if first.axes is not None and len(first.axes) == len(built) else ""


def check_input(layers: Sequence[Layer], built: Shape, shape: Shape) -> None:
    """Reject an x that the layers do not accept; each layer decides about sequence lengths other than those of `built`.

    Args:
        layers: The layers, built.
        built: The input shape they were built for, batch axis first.
        shape: The shape of x.

    Raises:
        ValueError: If x has an empty axis, or a layer does not accept it.
    """
    first = layers[0]
    axes = _axes(first, built)
    if 0 in shape[1:]:
        name = f"x {axes}".strip()
        raise ValueError(f"{name} must have at least one value along every axis, got shape {tuple(shape)}")
    first.check_input(shape)
    current: Any = (None, *shape[1:])
    for layer in layers:
        try:
            layer.check_input(current)
            current = layer.compute_output_shape(current)
        except ValueError as error:
            raise ValueError(
                f"x of shape {tuple(shape)} does not fit the model, which was built for {built}: {error}"
            ) from None


def explained(error: ValueError, layer: Layer, below: Sequence[Layer], shape: Shape) -> str:
    """The message of an error from building a layer, with what is missing if it needs series and got a table.

    That is return_sequences in the last recurrent layer `below`, or the axis of features if no layer is below.
    """
    rank = layer.min_rank if layer.axes is None else len(layer.axes)
    if len(shape) != 2 or rank <= len(shape):
        return str(error)
    if not below:
        return f"{error}; series of one feature need a last axis of length 1, which x[..., None] adds"
    for each in reversed(below):
        if getattr(each, "return_sequences", None) is False:
            kind = type(each).__name__
            inner = getattr(each, "forward_layer", None)
            fix = "give it" if inner is None else f"give the {type(inner).__name__} in it"
            return f"{error}; layer {each.name!r} ({kind}) returns its last output only: {fix} return_sequences=True"
    return str(error)
