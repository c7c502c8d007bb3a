"""Models and weights in the formats of other programs."""

from __future__ import annotations

from pyrnn.explaining import explain
from pyrnn.export.onnx_model import to_onnx
from pyrnn.export.report import Report, report
from pyrnn.export.safetensors_weights import to_safetensors
from pyrnn.export.to_c import to_c

__all__ = ["Report", "report", "to_c", "to_onnx", "to_safetensors"]
explain(__name__)
