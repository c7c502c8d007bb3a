"""Callbacks by Keras's names."""

from __future__ import annotations

from pyrnn.callbacks.base import Callback, History, LambdaCallback
from pyrnn.callbacks.checkpoint import ModelCheckpoint
from pyrnn.callbacks.container import CallbackList
from pyrnn.callbacks.progress import ProgbarLogger
from pyrnn.callbacks.stopping import EarlyStopping

__all__ = [
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "ModelCheckpoint",
    "ProgbarLogger",
]
