"""Keras 3's files, read and written: `.keras` (architecture, weights, training state) and `.weights.h5`."""

from __future__ import annotations

from pyrnn.saving.model_file import load_model, save_model
from pyrnn.saving.weights_file import load_weights, save_weights

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
