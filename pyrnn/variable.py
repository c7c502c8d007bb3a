"""`Variable`: a weight that a user makes, and that the layer or metric to whose attribute it is assigned tracks."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn import config, initializers
from pyrnn.arguments import checked
from pyrnn.data.arrays import as_array
from pyrnn.initializers import Shape
from pyrnn.naming import auto_name
from pyrnn.parameters import Weight
from pyrnn.rules import Unchecked
from pyrnn.typing import Boolean, Name
from pyrnn.validation import WrongType

__all__ = ["Variable"]


class _IsWeight(ABCMeta):
    """Makes every weight an instance of `Variable`, as in Keras."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Weight)


class Variable(Weight, metaclass=_IsWeight):
    """A named array that `assign` changes.

    The layer or metric to whose attribute it is assigned tracks it, also in a list or dict: as one of `layer.weights`
    or `metric.variables`. Every weight of a layer is an instance of this class.

    Args:
        initializer: its values, an array or number; or a name or object of `pyrnn.initializers`, with `shape`.
        shape: its shape, if an initializer makes the values; else None.
        dtype: dtype of the values; None is that of `pyrnn.config` for fractions, and that of the values otherwise.
        trainable: whether training changes it, where it is the weight of a layer; never if it holds whole numbers.
        name: its name, or None for a generated one.

    Raises:
        TypeError, ValueError: if `initializer` is none of these, or an argument does not fit it.

    Example:
        >>> import pyrnn
        >>> class Offset(pyrnn.layers.Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.offset = pyrnn.Variable([1.0, 2.0], name="offset")
        ...     def call(self, x):
        ...         return x + self.offset
        >>> Offset().weights
        [<Weight path=offset, shape=(2,), dtype=float32>]
    """

    __slots__ = ()

    @checked
    def __init__(
        self,
        initializer: Annotated[
            Any, Unchecked(allowed="list text empty nan infinite negative zero fraction huge true array")
        ],
        shape: Shape | None = None,
        dtype: Annotated[Any, Unchecked()] = None,
        trainable: Boolean = True,
        *,
        name: Name | None = None,
    ) -> None:
        name = auto_name(type(self).__name__) if name is None else name
        kind = np.dtype(config.floatx() if dtype is None else dtype)
        if kind.kind not in "biuf":
            raise WrongType(f"dtype must be that of numbers, got {kind}")
        if isinstance(initializer, str | Mapping) or callable(initializer):
            if shape is None:
                raise ValueError(
                    "shape must be a tuple of sizes where initializer is one of pyrnn.initializers, got None"
                )
            make = initializers.get(initializer)
            assert make is not None
            values = np.asarray(make(shape, dtype=str(kind)))
        else:
            values = as_array("initializer", initializer)
            if dtype is None and values.dtype.kind != "f":
                kind = np.dtype("int32") if values.dtype == np.int64 else values.dtype
        if shape is not None and tuple(shape) != values.shape:
            raise ValueError(f"shape must be that of the values of initializer, {values.shape}, got {tuple(shape)}")
        super().__init__(values.shape, name, str(kind), trainable=trainable and kind.kind == "f")
        self.assign(values)
