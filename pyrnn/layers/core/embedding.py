"""Embedding: whole numbers to rows of a table."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from pyrnn import backend, ops, rules
from pyrnn.arguments import arguments_of, checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.arrays import as_array
from pyrnn.initializers import InitializerLike
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.specs import WeightSpec, specs_config
from pyrnn.parameters import Weight
from pyrnn.regularizers import RegularizerLike
from pyrnn.rules import Either, ListOf
from pyrnn.symbols import Symbol
from pyrnn.typing import Flag, Omitted, Size, Units
from pyrnn.validation import WrongType, positive_int

__all__ = ["Embedding"]

_EMBEDDINGS = WeightSpec("embeddings")


class Embedding(Layer):
    """Look up rows of a trained table: ids (B, ...) become (B, ..., output_dim).

    Ids may be integers or whole floating-point numbers from 0 to input_dim - 1; any other id is rejected.

    Args:
        input_dim: number of rows of the table, at least 1.
        output_dim: size of a row, at least 1.
        embeddings_initializer: name or object of `pyrnn.initializers`, for the table.
        embeddings_regularizer: name or object of `pyrnn.regularizers`, for the table, or None.
        embeddings_constraint: name or object of `pyrnn.constraints`, applied to the table after each step, or None.
        mask_zero: whether id 0 is padding, which the layers after this one mask.
        weights: initial table (input_dim, output_dim), or a list that holds it, or None.
        lora_rank: must be None: low-rank adaptation is not implemented.
        lora_alpha: must be None.
        quantization_config: must be None: weights are not quantized.
        input_length: declares the input shape (batch, input_length). Keras 3 only warns about it.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or x holds an id outside the table.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Embedding(10, 4)(np.array([[1, 2, 9]])).shape
        (1, 3, 4)
    """

    reads_ids = True
    makes_mask = True  # if mask_zero
    embeddings: Weight

    @checked
    def __init__(
        self,
        input_dim: Size,
        output_dim: Units,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike = None,
        embeddings_constraint: ConstraintLike = None,
        mask_zero: Flag = False,
        weights: Annotated[Any, Either(ListOf(rules.Numbers()), rules.Numbers())] | None = None,
        lora_rank: Omitted = None,
        lora_alpha: Omitted = None,
        quantization_config: Omitted = None,
        input_length: Size | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = arguments_of(locals())
        self.input_dim = positive_int("input_dim", input_dim)
        self.output_dim = positive_int("output_dim", output_dim)
        if input_length is not None:
            kwargs.setdefault("input_shape", (positive_int("input_length", input_length),))
        super().__init__(**kwargs)
        _EMBEDDINGS.read(self, arguments)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        if weights is not None:
            table = weights[0] if isinstance(weights, list) and len(weights) == 1 else weights
            shape = (self.input_dim, self.output_dim)
            if np.shape(table) != shape:
                raise ValueError(
                    f"weights must hold one array of shape (input_dim, output_dim) = {shape}, got {np.shape(table)}"
                )
            self._add_table()
            self.set_weights([table])
            self.built = True

    def check_input(self, shape: Shape) -> None:
        if not shape:
            raise ValueError("Embedding expects x with a batch axis, got a single number")

    def build(self, input_shape: Shape) -> None:
        self._add_table()

    def _add_table(self) -> None:
        self.embeddings = _EMBEDDINGS.add(self, (self.input_dim, self.output_dim))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        if not self.mask_zero or x is None:
            return None
        return ops.not_equal(x, 0) if isinstance(x, Symbol) else np.not_equal(x, 0)

    def _checked_ids(self, x: Array) -> Array:
        """x as integers that are rows of the table."""
        if x.size == 0:
            return x.astype(np.intp)
        smallest, largest = x.min(), x.max()
        if not (smallest >= 0 and largest < self.input_dim):  # also where there is a NaN
            wrong = smallest if not smallest >= 0 else largest
            raise ValueError(
                f"x of Embedding must hold ids from 0 to {self.input_dim - 1} (input_dim - 1), got {wrong}"
            )
        if x.dtype.kind != "f":
            return x.astype(np.intp, copy=False)
        if largest >= 2 ** (np.finfo(x.dtype).nmant + 1):
            raise ValueError(f"{x.dtype} cannot tell ids as large as {largest} apart: call the layer on integers")
        ids = x.astype(np.intp)
        if (ids != x).any():
            raise ValueError(f"x of Embedding must hold whole numbers, got {x[ids != x].flat[0]}")
        return ids

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        ids = self._checked_ids(x)
        if training:
            self._tape.append(ids)
        y: Array = np.take(self.embeddings.array, ids, axis=0)
        return y

    def stream_into(self, stream: Any) -> None:
        if self.mask_zero and stream.shape:
            raise self._not_streamed("with mask_zero it takes one id per step")
        stream.add_ids(self)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        """Adds each row of dy to its row of the table's gradient; dx is 0, since ids jump from one to the next."""
        ids = self._take_saved()
        rows = np.ascontiguousarray(dy, self.dtype).reshape(ids.size, self.output_dim)
        backend.scatter_rows(self.embeddings.gradient, ids.ravel().astype(np.int64, copy=False), rows)
        return np.zeros(ids.shape, dy.dtype) if need_dx else None

    def _converted(self, x: Any) -> Array:
        """x as an array of ids, which stay integers if they are."""
        ids = as_array("x of Embedding", x)
        if ids.dtype.kind == "b":
            raise WrongType(f"x of Embedding must hold whole numbers, got dtype {ids.dtype}")
        return ids

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **specs_config(self, _EMBEDDINGS, activity=True),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }
