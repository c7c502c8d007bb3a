"""Callbacks by Keras's names."""

# ruff: noqa: F403
from __future__ import annotations

from typing import TYPE_CHECKING

from pyrnn import registry
from pyrnn.callbacks.averages import *
from pyrnn.callbacks.backup import *
from pyrnn.callbacks.base import *
from pyrnn.callbacks.checkpoint import *
from pyrnn.callbacks.container import *
from pyrnn.callbacks.learning_rate import *
from pyrnn.callbacks.progress import *
from pyrnn.callbacks.reporting import *
from pyrnn.callbacks.stopping import *
from pyrnn.callbacks.tensorboard import *
from pyrnn.explaining import explain

if not TYPE_CHECKING:  # a type checker reads the names above
    __all__ = registry.exported(__name__)

explain(__name__)
