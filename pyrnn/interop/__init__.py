"""Weights and models of other libraries: ONNX files, PyTorch, and safetensors files."""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.interop.onnx_model import from_onnx
from pyrnn.interop.safetensors_weights import load_safetensors, read_safetensors
from pyrnn.interop.torch_model import from_torch
from pyrnn.interop.torch_weights import load_torch_state_dict, to_torch_state_dict

__all__ = [
    "from_onnx",
    "from_torch",
    "load_safetensors",
    "load_torch_state_dict",
    "read_safetensors",
    "to_torch_state_dict",
]
explain(__name__)
