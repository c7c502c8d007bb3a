"""Reads an ONNX file that anyone may have written into plain nodes and arrays; nothing of it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import shown

Array = NDArray[Any]

OPSETS = (9, 25)
MOST_AXES = 8
_MOST_OF_INPUT = 2**19  # numbers along the axes of an input whose sizes are fixed
# Where a tensor has its numbers if not in `raw_data`, and the dtypes that are read.
_FIELDS = {
    "float32": "float_data", "float64": "double_data", "int32": "int32_data", "int64": "int64_data",
    "bool": "int32_data", "float16": "int32_data", "int8": "int32_data", "uint8": "int32_data",
}  # fmt: skip


class Node(NamedTuple):
    """A node.

    Args:
        operator: Name of its operator.
        name: Its name, for messages.
        inputs: Names of what it reads, "" for those without a name.
        outputs: Names of what it makes.
        attributes: Its attributes: numbers, text, lists of them and arrays.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def input(self, number: int) -> str:
        """Return the name of an input, "" if it has none.

        Args:
            number: Its place, from 0.

        Returns:
            The name.
        """
        return self.inputs[number] if number < len(self.inputs) else ""

    def output(self, number: int) -> str:
        """Return the name of an output, "" if it has none.

        Args:
            number: Its place, from 0.

        Returns:
            The name.
        """
        return self.outputs[number] if number < len(self.outputs) else ""


class Port(NamedTuple):
    """An input of the graph.

    Args:
        name: Its name.
        shape: Its sizes: numbers, and None or text where any size is allowed.
        dtype: The dtype of its numbers.
    """

    name: str
    shape: tuple[Any, ...]
    dtype: str


class OnnxGraph(NamedTuple):
    """What a file holds.

    Args:
        inputs: The inputs that are not constants.
        outputs: Names of the outputs.
        nodes: The nodes, each after those that it reads.
        constants: Arrays by name.
        opset: The version of the operators.
    """

    inputs: Sequence[Port]
    outputs: Sequence[str]
    nodes: Sequence[Node]
    constants: Mapping[str, Array]
    opset: int


def read_graph(onnx: Any, content: bytes, path: str) -> OnnxGraph:
    """Read the content of a file.

    Args:
        onnx: The package `onnx`.
        content: The bytes of the file.
        path: Its path, for messages.

    Returns:
        The graph.

    Raises:
        ValueError: If the file is damaged, or has what is not read: numbers in other files, functions, subgraphs.
    """
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:  # protobuf has several classes of errors, which differ between its versions
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path!r} is damaged or not an ONNX file: {reason}") from None
    graph = proto.graph
    if not proto.HasField("graph") or not graph.output:
        raise ValueError(f"{path!r} is damaged or not an ONNX file: it holds no graph with an output")
    versions = [each.version for each in proto.opset_import if each.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not OPSETS[0] <= versions[0] <= OPSETS[1]:
        raise ValueError(f"{path!r} must have one opset from {OPSETS[0]} to {OPSETS[1]}, got {versions}")
    if len(proto.functions) or len(graph.sparse_initializer):
        what = "functions" if len(proto.functions) else "sparse constants"
        raise ValueError(f"{path!r} has {what}, which are not read")
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        _new(tensor.name, constants, path)
        constants[tensor.name] = array_of(onnx, tensor, f"the constant {tensor.name!r} of {path!r}")
    inputs = [_port(onnx, value, path) for value in graph.input if value.name not in constants]
    defined = {*constants, ""}
    for port in inputs:
        _new(port.name, defined, path)
        defined.add(port.name)
    nodes = []
    for number, node in enumerate(graph.node):
        nodes.append(_node(onnx, node, number, path))
        missing = [name for name in node.input if name not in defined]
        if missing:
            raise ValueError(
                f"{_where(nodes[-1], path)} reads {missing[0]!r}, which no node before it makes: the graph has a cycle "
                "or is not complete"
            )
        for name in node.output:
            if name:
                _new(name, defined, path)
                defined.add(name)
    outputs = [value.name for value in graph.output]
    for name in outputs:
        if name not in defined:
            raise ValueError(f"output {name!r} of {path!r} is made by no node")
    return OnnxGraph(inputs, outputs, nodes, constants, versions[0])


def _new(name: str | bytes, defined: Any, path: str) -> None:
    if isinstance(name, bytes):  # protobuf's way to say that it is not UTF-8
        raise ValueError(f"{path!r} is damaged: the name {name!r} is not text")
    if not name or name in defined:
        raise ValueError(f"names in {path!r} must be different and not empty, got {name!r} twice")


def _where(node: Node, path: str) -> str:
    return f"node {node.name!r} ({node.operator}) of {path!r}"


def array_of(onnx: Any, tensor: Any, where: str) -> Array:
    """Return the numbers of a tensor, whose sizes are checked before memory is taken.

    Args:
        onnx: The package `onnx`.
        tensor: A TensorProto.
        where: What it is, for messages.

    Returns:
        The array.

    Raises:
        ValueError: If the sizes do not agree with the numbers, or they are in another file.
    """
    if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
        raise ValueError(f"{where} has its numbers in another file, which is not read: save the model as one file")
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    if dtype not in _FIELDS:
        raise ValueError(f"{where} must have a dtype among {', '.join(_FIELDS)}, got {tensor.data_type}")
    shape = tuple(tensor.dims)
    if len(shape) > MOST_AXES or any(size < 0 for size in shape):
        raise ValueError(f"{where} must have at most {MOST_AXES} axes of sizes of at least 0, got shape {shown(shape)}")
    count = math.prod(shape)
    item = np.dtype(dtype).itemsize
    stored = len(tensor.raw_data) // item if tensor.HasField("raw_data") else len(getattr(tensor, _FIELDS[dtype]))
    if stored != count or (tensor.HasField("raw_data") and len(tensor.raw_data) % item):
        raise ValueError(f"{where} must hold {count} numbers for its shape {shown(shape)}, got {stored}")
    array: Array = onnx.numpy_helper.to_array(tensor)
    return array


def _port(onnx: Any, value: Any, path: str) -> Port:
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"input {value.name!r} of {path!r} must be an array, got {value.type.WhichOneof('value')}")
    kind = value.type.tensor_type
    sizes: list[Any] = []
    for dim in kind.shape.dim:
        size = dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None)
        if isinstance(size, int) and not 0 < size < 2**31:
            size = None
        sizes.append(size)
    if math.prod(size for size in sizes if isinstance(size, int)) > _MOST_OF_INPUT:
        raise ValueError(
            f"input {value.name!r} of {path!r} must have at most {_MOST_OF_INPUT} numbers, got shape {tuple(sizes)}: "
            "leave the axes of batch and time open"
        )
    if not 0 < len(sizes) <= MOST_AXES:
        raise ValueError(f"input {value.name!r} of {path!r} must have 1 to {MOST_AXES} axes, got {len(sizes)}")
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    if dtype not in ("float32", "int32", "int64"):
        raise ValueError(f"input {value.name!r} of {path!r} must have dtype float32, int32 or int64, got {dtype}")
    return Port(value.name, tuple(sizes), dtype)


def _node(onnx: Any, node: Any, number: int, path: str) -> Node:
    name = node.name or f"node {number}"
    if not isinstance(node.op_type, str) or not node.op_type.isidentifier():
        raise ValueError(f"the operator of node {name!r} of {path!r} must be a name, got {node.op_type!r}")
    if node.domain not in ("", "ai.onnx"):
        raise ValueError(
            f"node {name!r} ({node.op_type}) of {path!r} has the domain {node.domain!r}, which is not read"
        )
    attributes: dict[str, Any] = {}
    kinds = onnx.AttributeProto
    for attribute in node.attribute:
        where = f"attribute {attribute.name!r} of node {name!r} ({node.op_type}) of {path!r}"
        if attribute.type == kinds.TENSOR:
            attributes[attribute.name] = array_of(onnx, attribute.t, where)
        elif attribute.type in (kinds.FLOAT, kinds.INT, kinds.FLOATS, kinds.INTS):
            value = onnx.helper.get_attribute_value(attribute)
            attributes[attribute.name] = value if isinstance(value, int | float) else list(value)
        elif attribute.type == kinds.STRING:
            attributes[attribute.name] = _text(attribute.s, where)
        elif attribute.type == kinds.STRINGS:
            attributes[attribute.name] = [_text(each, where) for each in attribute.strings]
        else:
            raise ValueError(f"{where} is of a kind that is not read, such as a subgraph")
    return Node(node.op_type, name, tuple(node.input), tuple(node.output), attributes)


def _text(value: bytes, where: str) -> str:
    """The text of an attribute, which messages show as it is."""
    text = value.decode("utf-8", "replace")
    if not text.isprintable():
        raise ValueError(f"{where} must be printable text, got {text!r}")
    return text
