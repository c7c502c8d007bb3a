"""Callbacks by Keras's names."""

from __future__ import annotations

from pyrnn.callbacks.averages import SwapEMAWeights
from pyrnn.callbacks.backup import BackupAndRestore
from pyrnn.callbacks.base import Callback, CallbackList, History, LambdaCallback
from pyrnn.callbacks.checkpoint import ModelCheckpoint
from pyrnn.callbacks.progress import ProgbarLogger
from pyrnn.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from pyrnn.callbacks.records import CSVLogger, RemoteMonitor, TensorBoard
from pyrnn.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
