"""The compiled core's twin in plain NumPy: same names, same signatures, slow and readable. Shapes: `_core.pyi`."""

from __future__ import annotations

from pyrnn.reference.activations import activation_backward, activation_forward
from pyrnn.reference.convolution import conv1d_backward, conv1d_forward, dense_backward, dense_forward
from pyrnn.reference.losses import squared_error
from pyrnn.reference.normalization import layer_norm_backward, layer_norm_forward
from pyrnn.reference.optimizers import adam_step, rmsprop_step, sgd_step
from pyrnn.reference.pooling import pool1d_backward, pool1d_forward
from pyrnn.reference.recurrent import rnn_backward, rnn_forward
from pyrnn.reference.rows import gather_rows, scatter_rows
from pyrnn.reference.streaming import Stream32, Stream64


class Workspace:
    """Stands where the core keeps scratch memory; NumPy needs none."""


__all__ = [
    "Stream32",
    "Stream64",
    "Workspace",
    "activation_backward",
    "activation_forward",
    "adam_step",
    "conv1d_backward",
    "conv1d_forward",
    "dense_backward",
    "dense_forward",
    "gather_rows",
    "layer_norm_backward",
    "layer_norm_forward",
    "pool1d_backward",
    "pool1d_forward",
    "rmsprop_step",
    "rnn_backward",
    "rnn_forward",
    "scatter_rows",
    "sgd_step",
    "squared_error",
]
