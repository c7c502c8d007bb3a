"""Keras 2's preprocessing of sequences and texts."""

from __future__ import annotations

from pyrnn.data import timeseries_dataset_from_array
from pyrnn.explaining import explain
from pyrnn.preprocessing import sequence, text

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]


explain(__name__)
