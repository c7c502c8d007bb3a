"""Fuzz targets of `pyrnn.interop.from_onnx`: good files with bytes, sizes and names changed.

It returns a model or raises a TypeError, ValueError or OSError of one sentence, and no file makes it take much more
memory than the file is large.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import pyrnn
from fuzz.profiles import fuzz
from fuzz.test_readers import MOST_MEMORY, mutated, peak, refused
from pyrnn import layers

pytestmark = pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is an optional package")

TEXTS = st.text(max_size=6)
SIZES = st.sampled_from([-1, 0, 1, 2, 3, 2**20, 2**31, 2**40, 2**62])


@functools.cache
def good(kind: int) -> bytes:
    """Return a file of a model: recurrent layers with states, or convolutions."""
    x = layers.Input((None, 3))
    if kind == 0:
        y = layers.Dense(2)(layers.Bidirectional(layers.GRU(3))(layers.LSTM(4, return_sequences=True)(x)))
    else:
        y = layers.Conv1D(4, 3, padding="causal", activation="relu")(x)
        y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.BatchNormalization()(y)))
        y = layers.Softmax()(layers.Reshape((2, 2))(y))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        pyrnn.export.to_onnx(pyrnn.Model(x, y), path, stateful=kind == 0)
        return path.read_bytes()


def read(content: bytes) -> None:
    """Call the reader on a file."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "m.onnx"
        path.write_bytes(content)
        assert peak(lambda: refused(lambda: pyrnn.interop.from_onnx(path))) < MOST_MEMORY


@fuzz
def test_bytes_of_onnx_files(draw: Any) -> None:
    read(mutated(draw, good(draw(st.integers(0, 1)))))


@fuzz
def test_graphs_of_onnx_files(draw: Any) -> None:
    """Sizes, numbers, names and operators are exchanged, which also makes cycles."""
    import onnx

    proto = onnx.load_model_from_string(good(draw(st.integers(0, 1))))
    graph = proto.graph
    for _ in range(draw(st.integers(1, 3))):
        node, other = (graph.node[draw(st.integers(0, len(graph.node) - 1))] for _ in range(2))
        tensor = graph.initializer[draw(st.integers(0, len(graph.initializer) - 1))]
        kind = draw(st.integers(0, 11))
        if kind == 0 and tensor.dims:
            tensor.dims[draw(st.integers(0, len(tensor.dims) - 1))] = draw(SIZES)
        elif kind == 1 and node.input:
            node.input[draw(st.integers(0, len(node.input) - 1))] = other.output[0]
        elif kind == 2:
            node.op_type = other.op_type
        elif kind == 3:
            tensor.data_type = draw(st.integers(-1, 30))
        elif kind == 4 and tensor.data_type == onnx.TensorProto.INT64:
            count = len(tensor.raw_data) // 8
            tensor.raw_data = b"".join(draw(SIZES).to_bytes(8, "little", signed=True) for _ in range(count))
        elif kind == 5 and node.attribute:
            attribute = node.attribute[draw(st.integers(0, len(node.attribute) - 1))]
            attribute.i = draw(SIZES)
            for place in range(len(attribute.ints)):
                attribute.ints[place] = draw(SIZES)
            del attribute.floats[: draw(st.integers(0, 2))]
        elif kind == 6 and node.attribute:
            del node.attribute[draw(st.integers(0, len(node.attribute) - 1))]
        elif kind == 7 and node.input:
            node.input[draw(st.integers(0, len(node.input) - 1))] = tensor.name
        elif kind == 8:
            dims = graph.input[draw(st.integers(0, len(graph.input) - 1))].type.tensor_type.shape.dim
            dims[draw(st.integers(0, len(dims) - 1))].dim_value = draw(SIZES)
        elif kind == 9:
            node.op_type = draw(TEXTS)
        elif kind == 10 and node.attribute:
            attribute = node.attribute[draw(st.integers(0, len(node.attribute) - 1))]
            attribute.name = draw(TEXTS) if draw(st.booleans()) else attribute.name
            attribute.type, attribute.s = onnx.AttributeProto.STRING, draw(TEXTS).encode()
        else:
            del node.input[draw(st.integers(0, len(node.input))) :]
    read(proto.SerializeToString())
