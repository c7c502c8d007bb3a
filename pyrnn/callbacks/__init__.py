"""Callbacks by Keras's names."""

from __future__ import annotations

from pyrnn.callbacks.averages import SwapEMAWeights
from pyrnn.callbacks.backup import BackupAndRestore
from pyrnn.callbacks.base import Callback, History, LambdaCallback
from pyrnn.callbacks.checkpoint import ModelCheckpoint
from pyrnn.callbacks.container import CallbackList
from pyrnn.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from pyrnn.callbacks.progress import ProgbarLogger
from pyrnn.callbacks.reporting import CSVLogger, RemoteMonitor
from pyrnn.callbacks.stopping import EarlyStopping, TerminateOnNaN
from pyrnn.callbacks.tensorboard import TensorBoard
from pyrnn.explaining import explain

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


explain(__name__)
