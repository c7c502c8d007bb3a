"""Weights and models of other libraries: safetensors files and PyTorch."""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.interop.safetensors_weights import load_safetensors, read_safetensors

__all__ = ["load_safetensors", "read_safetensors"]
explain(__name__)
