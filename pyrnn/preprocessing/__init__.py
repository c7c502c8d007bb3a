"""Keras 2's `preprocessing`: sequences and text made into arrays."""

from __future__ import annotations

from pyrnn.preprocessing import sequence, text

__all__ = ["sequence", "text"]
