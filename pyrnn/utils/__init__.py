"""Small helpers under Keras's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyrnn.data import PyDataset, split_dataset, timeseries_dataset_from_array
from pyrnn.explaining import explain, missing
from pyrnn.naming import clear_session
from pyrnn.preprocessing.sequence import pad_sequences
from pyrnn.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from pyrnn.utils.gradients import check_gradients
from pyrnn.utils.numerical import normalize, to_categorical
from pyrnn.utils.randomness import set_random_seed

if TYPE_CHECKING:
    from pyrnn.summary import plot_model

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


def __getattr__(name: str) -> Any:
    """`plot_model` lives above the models, so it is imported at first use."""
    if name == "plot_model":
        return importlib.import_module("pyrnn.summary").plot_model
    raise missing(__name__, name)


explain(__name__, attributes=False)
