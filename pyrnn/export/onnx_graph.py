"""`Graph`: the nodes and constants of an ONNX graph while it is made, and `Value`, an array in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.validation import shown

Array = NDArray[Any]
Shape = tuple[Any, ...]

OPSET = 22
IR_VERSION = 10  # of onnx 1.17, which introduced this opset


class CannotExport(ValueError):
    """A model or layer cannot be exported; the message is the reason."""


class NeedsSize(CannotExport):
    """A layer needs to know a size, so that the axis of time cannot be free."""


class Value(NamedTuple):
    """An array of the graph.

    Args:
        name: Its name there.
        shape: Its shape, batch axis first; None where any size is allowed.
        mask: Name of its mask, booleans (B, T), or None.
        dtype: "float32", "int32", "int64", "bool", ...
    """

    name: str
    shape: Shape
    mask: str | None = None
    dtype: str = "float32"


class Graph:
    """Collects nodes and constants.

    Args:
        onnx: The package `onnx`.
    """

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.scope = ""  # the layer whose nodes are being added
        self._names: set[str] = set()
        self._shared: dict[Any, str] = {}  # small constants, and weights of layers, by value

    def unique(self, wanted: str) -> str:
        """Return `wanted`, with a number after it if the graph has that name."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def add(self, operator: str, *inputs: str, count: int = 1, **attributes: Any) -> Any:
        """Add a node.

        Args:
            operator: Name of the operator.
            *inputs: Names of its inputs, "" for those left out.
            count: Number of outputs.
            **attributes: Attributes of the node.

        Returns:
            The name of its output, or a list of names if there are several.
        """
        base = f"{self.scope}/{operator}"
        outputs = [self.unique(base) for _ in range(count)]
        self.nodes.append(
            self.onnx.helper.make_node(operator, inputs, outputs, name=f"node_{len(self.nodes)}_{base}", **attributes)
        )
        return outputs[0] if count == 1 else outputs

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant array.

        Args:
            values: Numbers.
            dtype: Dtype of the array.

        Returns:
            Its name; equal constants are stored once.
        """
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            self._shared[key] = self.unique(f"{self.scope}/constant")
            self.constants.append(self.onnx.numpy_helper.from_array(array, self._shared[key]))
        return self._shared[key]

    def integers(self, values: int | Sequence[int]) -> str:
        """Add a constant of 64-bit integers, as axes and shapes have it."""
        return self.constant(values, np.int64)

    # Short forms.

    def transpose(self, name: str, order: Sequence[int]) -> str:
        """Permute the axes."""
        return str(self.add("Transpose", name, perm=list(order)))

    def reshape(self, name: str, sizes: Sequence[int]) -> str:
        """Change the shape; 0 keeps a size, -1 is computed."""
        return str(self.add("Reshape", name, self.integers(list(sizes))))

    def squeeze(self, name: str, axis: int) -> str:
        """Drop an axis of size 1."""
        return str(self.add("Squeeze", name, self.integers([axis])))

    def unsqueeze(self, name: str, *axes: int) -> str:
        """Insert axes of size 1."""
        return str(self.add("Unsqueeze", name, self.integers(list(axes))))

    def cut(self, name: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """Slice along an axis."""
        parts = (self.integers([each]) for each in (start, end, axis, step))
        return str(self.add("Slice", name, *parts))

    def reversed(self, name: str, axis: int) -> str:
        """Reverse along an axis."""
        return self.cut(name, axis, -1, -(2**62), -1)

    def sizes_of(self, name: str, start: int, end: int) -> str:
        """The sizes of the axes from `start` to before `end`, as integers of the graph."""
        return str(self.add("Shape", name, start=start, end=end))

    def cast(self, name: str, dtype: str) -> str:
        """Convert to another dtype."""
        return str(self.add("Cast", name, to=element_type(self.onnx, dtype)))

    def where(self, condition: str, yes: str, no: str) -> str:
        """Choose number by number."""
        return str(self.add("Where", condition, yes, no))


def element_type(onnx: Any, dtype: str) -> int:
    """Return ONNX's number of a dtype.

    Args:
        onnx: The package `onnx`.
        dtype: The name of NumPy's dtype.

    Returns:
        The number of the element type.

    Raises:
        CannotExport: If ONNX does not have it.
    """
    try:
        return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    except (KeyError, TypeError, ValueError) as error:
        raise CannotExport(f"ONNX has no element type for the dtype {shown(dtype)}") from error
