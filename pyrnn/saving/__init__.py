"""Keras 3's files, read and written: `.keras` (architecture, weights, training state) and `.weights.h5`."""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.files.model_file import save_model
from pyrnn.files.weights_file import load_weights, save_weights
from pyrnn.keras_objects import deserialize_keras_object, serialize_keras_object
from pyrnn.models import load_model
from pyrnn.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]


explain(__name__)
