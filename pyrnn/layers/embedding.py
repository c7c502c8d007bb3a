"""Embedding: a vector for each word number."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import constraints, initializers, regularizers
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.parameters import Weight
from pyrnn.validation import positive_int


class Embedding(Layer):
    """Row x of a trained table: x (batch, time) of whole numbers from 0 to input_dim - 1 -> (batch, time, output_dim).

    With `mask_zero` the number 0 is padding: such steps do not count in the layers behind. x may come as integers or
    as floats that are whole. Arguments and defaults are Keras's.
    """

    reads_ids = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ) -> None:
        self.input_dim = positive_int("input_dim", input_dim)
        self.output_dim = positive_int("output_dim", output_dim)
        for argument, value in (("lora_rank", lora_rank), ("lora_alpha", lora_alpha)):
            if value is not None:
                raise ValueError(f"Embedding has no {argument}: only None is supported, got {value!r}")
        if quantization_config is not None:
            raise ValueError(f"Embedding has no quantization_config: only None is supported, got {quantization_config}")
        length = kwargs.pop("input_length", None)  # Keras 1 and 2: the time of x
        if length is not None and not {"input_shape", "batch_input_shape", "batch_shape"} & kwargs.keys():
            kwargs["input_shape"] = (length,)
        super().__init__(**kwargs)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = self.makes_mask = bool(mask_zero)
        self.embeddings: Weight
        self._ids: Array | None = None
        if weights is not None:
            self.build((None, None))
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def check_input(self, shape: Shape) -> None:
        if not shape:
            raise ValueError(f"Embedding expects x of shape (batch, ...), got {shape}")

    def _build(self, input_shape: Shape) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            "embeddings",
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        return np.asarray(x) != 0 if self.mask_zero else super().compute_mask(x, mask)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        ids = x.astype(np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.input_dim:
            bad = ids.min() if ids.min() < 0 else ids.max()
            raise ValueError(f"Embedding expects numbers from 0 to input_dim - 1 = {self.input_dim - 1}, got {bad}")
        if training:
            self._ids = ids
        return self.embeddings.array[ids]

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._ids is not None, "backward() follows forward(training=True)"
        ids = self._ids.reshape(-1)
        order = np.argsort(ids, kind="stable")
        found, starts = np.unique(ids[order], return_index=True)
        gradient = self.embeddings.gradient
        gradient[...] = 0
        if found.size:
            gradient[found] = np.add.reduceat(dy.reshape(-1, self.output_dim)[order], starts, axis=0)
        return np.zeros(self._ids.shape, dy.dtype) if need_dx else None  # whole numbers have no direction to move in

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }
