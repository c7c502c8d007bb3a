"""Layers under Keras's names.

A layer is public once the module of its family names it in `__all__`; a new family's module gets its line here.
"""

# ruff: noqa: F403, F405
from __future__ import annotations

from typing import TYPE_CHECKING

from pyrnn.explaining import explain
from pyrnn.kinds import KINDS, Kind
from pyrnn.layers.activations import *
from pyrnn.layers.attention.multi_head import *
from pyrnn.layers.attention.single_head import *
from pyrnn.layers.base import *
from pyrnn.layers.convolution.adaptive import *
from pyrnn.layers.convolution.convolution import *
from pyrnn.layers.convolution.depthwise import *
from pyrnn.layers.convolution.pooling import *
from pyrnn.layers.convolution.transposed import *
from pyrnn.layers.core.dense import *
from pyrnn.layers.core.einsum_dense import *
from pyrnn.layers.core.embedding import *
from pyrnn.layers.core.input import *
from pyrnn.layers.core.lambda_layer import *
from pyrnn.layers.core.masking import *
from pyrnn.layers.core.operation import *
from pyrnn.layers.core.wrapper import *
from pyrnn.layers.input_spec import *
from pyrnn.layers.merging.elementwise import *
from pyrnn.layers.merging.joining import *
from pyrnn.layers.normalization.batch import *
from pyrnn.layers.normalization.layer import *
from pyrnn.layers.normalization.length import *
from pyrnn.layers.normalization.preprocessing import *
from pyrnn.layers.recurrent.base import *
from pyrnn.layers.recurrent.bidirectional import *
from pyrnn.layers.recurrent.cells import *
from pyrnn.layers.recurrent.conv_lstm import *
from pyrnn.layers.recurrent.layers import *
from pyrnn.layers.recurrent.rnn import *
from pyrnn.layers.recurrent.time_distributed import *
from pyrnn.layers.regularization.dropout import *
from pyrnn.layers.regularization.noise import *
from pyrnn.layers.reshaping import *
from pyrnn.layers.serialization import *

# Keras's second names; files always hold the first.
AvgPool1D, MaxPool1D = AveragePooling1D, MaxPooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
Convolution1D, Convolution1DTranspose, SeparableConvolution1D = Conv1D, Conv1DTranspose, SeparableConv1D

# The layers that a file can hold, by class name: all but the bases.
REGISTRY.update(
    (name, kind)
    for name, kind in sorted(globals().items())
    if isinstance(kind, type)
    and issubclass(kind, Layer)
    and kind.__name__ == name
    and kind not in (Layer, Recurrent, Wrapper)
)

KINDS["layers"] = Kind(deserialize)

if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = sorted(
        name for name, value in globals().items() if getattr(value, "__module__", "").startswith("pyrnn.layers")
    )
    __all__.append("REGISTRY")

explain(__name__)
