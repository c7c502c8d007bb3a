"""Keras 3's files, read and written: `.keras` (architecture, weights, training state) and `.weights.h5`."""

# ruff: noqa: F403
from __future__ import annotations

from pyrnn import custom_objects, keras_objects
from pyrnn.custom_objects import *
from pyrnn.explaining import explain
from pyrnn.files.model_file import save_model
from pyrnn.files.weights_file import load_weights, save_weights
from pyrnn.keras_objects import *
from pyrnn.models import load_model

__all__ = [
    *custom_objects.__all__,
    *keras_objects.__all__,
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
]
explain(__name__)
