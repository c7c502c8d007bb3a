"""Small helpers under Keras's names."""

from __future__ import annotations

from pyrnn.data import PyDataset, split_dataset, timeseries_dataset_from_array
from pyrnn.preprocessing.sequence import pad_sequences
from pyrnn.utils.numerical import normalize, to_categorical
from pyrnn.utils.randomness import set_random_seed

Sequence = PyDataset  # its name in Keras 2

__all__ = [
    "PyDataset",
    "Sequence",
    "normalize",
    "pad_sequences",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
]
