"""Small helpers under Keras's names."""

from __future__ import annotations

from pyrnn.data import PyDataset, split_dataset, timeseries_dataset_from_array
from pyrnn.explaining import explain
from pyrnn.keras_objects import deserialize_keras_object, serialize_keras_object
from pyrnn.naming import clear_session
from pyrnn.preprocessing.sequence import pad_sequences
from pyrnn.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from pyrnn.summary import plot_model
from pyrnn.utils.gradients import check_gradients
from pyrnn.utils.numerical import normalize, to_categorical
from pyrnn.utils.randomness import set_random_seed

Sequence = PyDataset  # its name in Keras 2

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "check_gradients",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
]


explain(__name__)
