"""Small helpers under Keras's names."""

# ruff: noqa: F403
from __future__ import annotations

from pyrnn import custom_objects, keras_objects
from pyrnn.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from pyrnn.custom_objects import *
from pyrnn.data import PyDataset, split_dataset, timeseries_dataset_from_array
from pyrnn.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from pyrnn.explaining import explain
from pyrnn.keras_objects import *
from pyrnn.naming import clear_session
from pyrnn.preprocessing.sequence import pad_sequences
from pyrnn.summary import plot_model
from pyrnn.utils import legacy as legacy
from pyrnn.utils.gradients import check_gradients
from pyrnn.utils.numerical import normalize, to_categorical
from pyrnn.utils.randomness import set_random_seed

Sequence = PyDataset  # its name in Keras 2

__all__ = [
    *custom_objects.__all__,
    *keras_objects.__all__,
    "PyDataset",
    "Sequence",
    "check_gradients",
    "clear_session",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
explain(__name__)
