"""`InputSpec`: which inputs a layer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.layers.settings import standard_shape
from pyrnn.rules import Dict, Unchecked
from pyrnn.structures import leaves
from pyrnn.typing import Boolean, DtypeLike, Name, Natural
from pyrnn.validation import WrongType, shown

__all__ = ["InputSpec"]


class InputSpec:
    """The rank, shape and dtype that an input must have; a layer checks its input against `layer.input_spec`.

    Args:
        dtype: dtype of the input, or None for any.
        shape: its shape with the batch axis; None where any size is allowed. None leaves the shape open.
        ndim: its number of axes, or None.
        max_ndim: its largest number of axes, or None.
        min_ndim: its smallest number of axes, or None.
        axes: dict of sizes by axis, or None.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing, or be there in addition to the shape.
        name: key of the input in a dict, or None.
        optional: whether the input may be None.

    Raises:
        TypeError, ValueError: if an argument has the wrong type, or an axis is out of range.

    Example:
        >>> import pyrnn
        >>> class Last(pyrnn.layers.Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.input_spec = pyrnn.layers.InputSpec(ndim=3)
        ...     def call(self, x):
        ...         return x[:, -1]
        >>> Last()(pyrnn.Input((5, 2))).shape
        (None, 2)
    """

    @checked
    def __init__(
        self,
        dtype: DtypeLike = None,
        shape: Annotated[Sequence[int | None], Unchecked(allowed="list")] | None = None,
        ndim: Natural | None = None,
        max_ndim: Natural | None = None,
        min_ndim: Natural | None = None,
        axes: Annotated[Mapping[int, int | None], Dict()] | None = None,
        allow_last_axis_squeeze: Boolean = False,
        name: Name | None = None,
        optional: Boolean = False,
    ) -> None:
        if isinstance(dtype, Mapping):
            raise WrongType(f"dtype must be a dtype such as 'float32', got {shown(dtype)}")
        self.dtype = None if dtype is None else str(np.dtype(dtype))
        self.shape = None if shape is None else standard_shape("shape", shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.name, self.optional, self.allow_last_axis_squeeze = name, optional, allow_last_axis_squeeze
        try:
            self.axes = {int(axis): size for axis, size in dict(axes or {}).items()}
        except (TypeError, ValueError):
            raise WrongType(f"axes must be a dict with integers as keys, got {shown(axes)}") from None
        rank = self.ndim if self.ndim is not None else max_ndim
        if rank is not None and any(axis >= rank for axis in self.axes):
            raise ValueError(f"axes must be below the number of axes, {rank}, got {shown(axes)}")

    def __repr__(self) -> str:
        parts = {name: getattr(self, name) for name in ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")}
        return f"InputSpec({', '.join(f'{name}={value}' for name, value in parts.items() if value)})"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, apart from `name` and `allow_last_axis_squeeze`, as in Keras.

        Returns:
            A dict of plain values.
        """
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InputSpec:
        """Make a specification from what `get_config` returned.

        Args:
            config: the arguments of the constructor by name.

        Returns:
            The specification.
        """
        return cls(**config)

    def misfit(self, shape: Sequence[int | None], dtype: str | None) -> str:
        """Return what is wrong with an input.

        Args:
            shape: its shape; None where the size is unknown.
            dtype: its dtype, or None if it is not known.

        Returns:
            The rule that it does not follow, or "" if it fits.
        """
        shape, rank = tuple(shape), len(shape)
        wanted = self.shape
        if wanted is not None and self.allow_last_axis_squeeze:
            shape = shape[:-1] if shape[-1:] == (1,) else shape
            wanted = wanted[:-1] if wanted[-1:] == (1,) else wanted
        elif self.ndim is not None and rank != self.ndim:
            return f"have {self.ndim} axes"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"have at most {self.max_ndim} axes"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"have at least {self.min_ndim} axes"
        if self.dtype is not None and dtype not in (None, self.dtype):
            return f"have dtype {self.dtype}, not {dtype}"
        for axis, size in self.axes.items():
            if not -rank <= axis < rank or (size is not None and shape[axis] not in (size, None)):
                return f"have size {size} along axis {axis}"
        if wanted is None:
            return ""
        fits = len(wanted) == len(shape) and all(
            size is None or other in (size, None) for size, other in zip(wanted, shape, strict=True)
        )
        return "" if fits else f"have shape {self.shape}"


def check_inputs(
    specs: Any, owner: str, shapes: Sequence[Sequence[int | None] | None], dtypes: Sequence[str] | None = None
) -> None:
    """Check the inputs of a layer.

    Args:
        specs: an `InputSpec`, or a list, tuple or dict of them, one for each input; None is any input.
        owner: the layer, for messages.
        shapes: a shape for each input, None for one that is not there.
        dtypes: a dtype for each, or None if they are not known.

    Raises:
        TypeError, ValueError: if an input does not fit.
    """
    each_spec = leaves(specs)
    for spec in each_spec:
        if spec is not None and not isinstance(spec, InputSpec):
            raise WrongType(f"input_spec of {owner} must hold InputSpecs, got {shown(spec)}")
    if len(each_spec) != len(shapes):
        raise ValueError(f"{owner} reads {len(each_spec)} inputs, as its input_spec says, got {len(shapes)}")
    for number, (spec, shape) in enumerate(zip(each_spec, shapes, strict=True)):
        if spec is None or (shape is None and spec.optional):
            continue
        rule = "be there" if shape is None else spec.misfit(shape, None if dtypes is None else dtypes[number])
        if rule:
            name = spec.name or (f"input {number}" if len(shapes) > 1 else "the input")
            raise ValueError(f"{name} of {owner} must {rule}, as its input_spec says, got shape {shape}")
