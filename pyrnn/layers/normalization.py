"""LayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import backend, constraints, initializers, regularizers
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.parameters import Weight


class LayerNormalization(Layer):
    """Each sample and step apart to mean 0 and variance 1 over its features, then gamma times it plus beta.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis of x (batch, ..., features). Arguments
    and defaults are Keras's. Source: Ba, Kiros and Hinton 2016.
    """

    supports_masking = True
    min_rank = 2

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if rms_scaling:
            raise ValueError("LayerNormalization has no rms_scaling here, which Keras deprecates: leave it out")
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Weight | None = None
        self.beta: Weight | None = None
        self._saved: tuple[Array, ...] | None = None

    def _build(self, input_shape: Shape) -> None:
        last = len(input_shape) - 1
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        if [axis % len(input_shape) if isinstance(axis, int) else axis for axis in axes] != [last]:
            raise ValueError(f"axis must be -1, the last axis of x of shape {input_shape}, got {self.axis}")
        self.axis = axes
        if input_shape[-1] is None:
            raise ValueError(f"LayerNormalization must know the number of features, got x of shape {input_shape}")
        shape = (input_shape[-1],)
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                "gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                "beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        y, saved = backend.layer_norm_forward(x, *self._arrays("array"), epsilon=self.epsilon, training=training)
        if training:
            self._saved = saved
        return y

    def _arrays(self, name: str) -> tuple[Array | None, Array | None]:
        """`array` or `gradient` of gamma and beta, None where there is none."""
        gamma, beta = (None if weight is None else getattr(weight, name) for weight in (self.gamma, self.beta))
        return gamma, beta

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        assert self._saved is not None, "backward() follows forward(training=True)"
        d_gamma, d_beta = self._arrays("gradient")
        return backend.layer_norm_backward(
            np.ascontiguousarray(dy), self._saved, self._arrays("array")[0], d_gamma=d_gamma, d_beta=d_beta,
            need_dx=need_dx,
        )  # fmt: skip

    def stream_into(self, stream: Any) -> None:
        gamma, beta = (None if weight is None else weight.array for weight in (self.gamma, self.beta))
        stream.add_layer_norm(gamma, beta, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": False,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
