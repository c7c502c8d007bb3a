"""Layers under Keras's names.

A layer is public once the module of its family names it in `__all__`; a new family's module gets its line here.
"""

# ruff: noqa: F403, F405
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyrnn import registry
from pyrnn.arguments import checked, configurable
from pyrnn.explaining import explain
from pyrnn.layers.activations import *
from pyrnn.layers.base import *
from pyrnn.layers.convolution.convolution import *
from pyrnn.layers.convolution.depthwise import *
from pyrnn.layers.convolution.pooling import *
from pyrnn.layers.convolution.transposed import *
from pyrnn.layers.core.dense import *
from pyrnn.layers.core.embedding import *
from pyrnn.layers.core.input import *
from pyrnn.layers.core.lambda_layer import *
from pyrnn.layers.core.masking import *
from pyrnn.layers.normalization.batch import *
from pyrnn.layers.normalization.layer import *
from pyrnn.layers.normalization.length import *
from pyrnn.layers.normalization.preprocessing import *
from pyrnn.layers.recurrent.base import *
from pyrnn.layers.recurrent.bidirectional import *
from pyrnn.layers.recurrent.cells import *
from pyrnn.layers.recurrent.layers import *
from pyrnn.layers.recurrent.rnn import *
from pyrnn.layers.recurrent.time_distributed import *
from pyrnn.layers.regularization.dropout import *
from pyrnn.layers.regularization.noise import *
from pyrnn.layers.reshaping import *
from pyrnn.validation import shown

# Keras's second names; files always hold the first.
AvgPool1D, MaxPool1D = AveragePooling1D, MaxPooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
Convolution1D, Convolution1DTranspose, SeparableConvolution1D = Conv1D, Conv1DTranspose, SeparableConv1D

# The layers that a file can hold, by class name: all but the bases.
REGISTRY: dict[str, type[Layer]] = {
    name: kind
    for name, kind in sorted(globals().items())
    if isinstance(kind, type) and issubclass(kind, Layer) and kind.__name__ == name and kind not in (Layer, Recurrent)
}


@checked(layer=configurable)
def serialize(layer: Layer) -> dict[str, Any]:
    """Keras 3's serialized form of a layer."""
    entry = registry.describe(layer, "keras.layers")
    if layer.build_shape is not None and not isinstance(layer, InputLayer):
        entry["build_config"] = {"input_shape": layer.build_shape}
    return entry


@checked()
def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """A new layer from `serialize`'s answer; `custom_objects` holds classes of your own by name."""
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ValueError(f"a layer's config must be a dict with 'class_name' and 'config', got {shown(config)}")
    with registry.custom_object_scope(custom_objects):
        kind = registry.described_class("layer", config, REGISTRY)
        known = kind._known_arguments() if issubclass(kind, Layer) else None
        layer = registry.from_description(kind, config.get("config", {}), known)
    if not isinstance(layer, Layer):
        raise TypeError(f"{kind.__name__} must be a layer of pyrnn.layers or derived from one, got {shown(layer)}")
    return layer


if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = sorted(
        name for name, value in globals().items() if getattr(value, "__module__", "").startswith("pyrnn.layers")
    )
    __all__.append("REGISTRY")

explain(__name__)
