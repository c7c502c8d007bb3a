"""Batches out of arrays, tables, generators, loaders and PyDatasets."""

from __future__ import annotations

from pyrnn.data.arrays import Arrays, as_array, is_array
from pyrnn.data.batches import ArrayBatches, Batch, Batches, RepeatedBatches
from pyrnn.data.pydataset import PyDataset
from pyrnn.data.sources import IteratorBatches, LoaderBatches, PyDatasetBatches, as_batches
from pyrnn.data.splitting import split_dataset
from pyrnn.data.timeseries import TimeseriesDataset, timeseries_dataset_from_array

__all__ = [
    "ArrayBatches",
    "Arrays",
    "Batch",
    "Batches",
    "IteratorBatches",
    "LoaderBatches",
    "PyDataset",
    "PyDatasetBatches",
    "RepeatedBatches",
    "TimeseriesDataset",
    "as_array",
    "as_batches",
    "is_array",
    "split_dataset",
    "timeseries_dataset_from_array",
]
