"""Layers under Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrnn import registry
from pyrnn.arguments import checked, configurable
from pyrnn.explaining import explain
from pyrnn.layers.activations import ELU, LeakyReLU, PReLU, ReLU, Softmax
from pyrnn.layers.base import Layer
from pyrnn.layers.convolution.convolution import Conv1D
from pyrnn.layers.convolution.depthwise import DepthwiseConv1D, SeparableConv1D
from pyrnn.layers.convolution.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from pyrnn.layers.convolution.transposed import Conv1DTranspose
from pyrnn.layers.core.dense import Activation, Dense, Identity, Rescaling
from pyrnn.layers.core.embedding import Embedding
from pyrnn.layers.core.input import Input, InputLayer
from pyrnn.layers.core.lambda_layer import Lambda
from pyrnn.layers.core.masking import Masking
from pyrnn.layers.normalization.batch import BatchNormalization
from pyrnn.layers.normalization.layer import GroupNormalization, LayerNormalization
from pyrnn.layers.normalization.length import RMSNormalization, UnitNormalization
from pyrnn.layers.normalization.preprocessing import Normalization
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.layers.recurrent.bidirectional import Bidirectional
from pyrnn.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from pyrnn.layers.recurrent.layers import GRU, LSTM, SimpleRNN
from pyrnn.layers.recurrent.rnn import RNN
from pyrnn.layers.recurrent.time_distributed import TimeDistributed
from pyrnn.layers.regularization.dropout import ActivityRegularization, Dropout, SpatialDropout1D
from pyrnn.layers.regularization.noise import AlphaDropout, GaussianDropout, GaussianNoise
from pyrnn.layers.reshaping import Cropping1D, Flatten, Permute, RepeatVector, Reshape, UpSampling1D, ZeroPadding1D
from pyrnn.validation import shown

REGISTRY: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        Activation,
        ActivityRegularization,
        AlphaDropout,
        AveragePooling1D,
        BatchNormalization,
        Bidirectional,
        Conv1D,
        Conv1DTranspose,
        Cropping1D,
        Dense,
        DepthwiseConv1D,
        Dropout,
        ELU,
        Embedding,
        Flatten,
        GRU,
        GRUCell,
        GaussianDropout,
        GaussianNoise,
        GlobalAveragePooling1D,
        GlobalMaxPooling1D,
        GroupNormalization,
        Identity,
        InputLayer,
        LSTM,
        LSTMCell,
        Lambda,
        LayerNormalization,
        LeakyReLU,
        Masking,
        MaxPooling1D,
        Normalization,
        PReLU,
        Permute,
        RMSNormalization,
        RNN,
        ReLU,
        RepeatVector,
        Rescaling,
        Reshape,
        SeparableConv1D,
        SimpleRNN,
        SimpleRNNCell,
        Softmax,
        SpatialDropout1D,
        StackedRNNCells,
        TimeDistributed,
        UnitNormalization,
        UpSampling1D,
        ZeroPadding1D,
    )
}

# Keras's second names; files always hold the first.
AvgPool1D, MaxPool1D = AveragePooling1D, MaxPooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
Convolution1D, Convolution1DTranspose, SeparableConvolution1D = Conv1D, Conv1DTranspose, SeparableConv1D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "REGISTRY",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "Bidirectional",
    "Conv1D",
    "Conv1DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Cropping1D",
    "Dense",
    "DepthwiseConv1D",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPooling1D",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "Recurrent",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConvolution1D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "ZeroPadding1D",
    "deserialize",
    "serialize",
]


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


explain(__name__)
