"""Batches out of arrays, generators and PyDatasets."""

from __future__ import annotations

from pyrnn.data.batches import ArrayBatches, Batch, Batches, IteratorBatches, PyDatasetBatches, as_batches
from pyrnn.data.pydataset import PyDataset
from pyrnn.data.windows import WindowDataset, timeseries_dataset_from_array

__all__ = [
    "ArrayBatches",
    "Batch",
    "Batches",
    "IteratorBatches",
    "PyDataset",
    "PyDatasetBatches",
    "WindowDataset",
    "as_batches",
    "timeseries_dataset_from_array",
]
