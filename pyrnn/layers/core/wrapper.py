"""`Wrapper`: base class of layers that hold another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrnn.layers.base import Layer
from pyrnn.layers.holder import Holder
from pyrnn.layers.serialization import layer_of, serialize_inner
from pyrnn.registry import custom_object_scope
from pyrnn.validation import shown

__all__ = ["Wrapper"]


class Wrapper(Layer):
    """Base class of layers that hold another one, `self.layer`, which they build and save.

    A subclass defines `call`, which calls `self.layer`.

    Args:
        layer: the layer or model.
        **kwargs: `name`, `trainable`, `dtype`, that of the layer by default, and others; see `Layer`.

    Raises:
        TypeError, ValueError: if `layer` is not a layer, or has another dtype.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> class Residual(layers.Wrapper):
        ...     def call(self, x):
        ...         return x + self.layer(x)
        >>> Residual(layers.Dense(3))(np.zeros((4, 3))).shape
        (4, 3)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        kind = type(self).__name__
        if not isinstance(layer, Holder):
            raise ValueError(f"layer of {kind} must be a layer, got {shown(layer)}")
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype
        super().__init__(**kwargs)
        if self.dtype != layer.dtype:
            raise ValueError(f"dtype of {kind} must be that of its layer, {layer.dtype}, got {self.dtype}")
        self.layer: Any = layer

    def children(self) -> list[tuple[str, Any]]:
        return self._with_assigned([("layer", self.layer)])

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_inner(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Wrapper:
        """Create a layer from the result of `get_config()`.

        Args:
            config: the dict; keys are arguments of the constructor.
            custom_objects: custom classes and functions by name, where they are not registered.

        Returns:
            A new layer with fresh weights.
        """
        with custom_object_scope(custom_objects):
            return cls(**{**config, "layer": layer_of(config["layer"])})
