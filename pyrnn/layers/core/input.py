"""Where a model says what comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pyrnn import config, rules
from pyrnn.arguments import checked
from pyrnn.jsonable import dtype_name
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.settings import standard_shape
from pyrnn.rules import Unchecked
from pyrnn.symbols import Node, Symbol
from pyrnn.typing import DtypeLike, Flag, Name, ShapeLike, Size
from pyrnn.validation import shown, warn

__all__ = ["Input", "InputLayer"]

SymbolLike = Annotated[Symbol | None, rules.InstanceOf(Symbol, "a symbol that Input or a layer returned")]


class InputLayer(Layer):
    """Declare the input shape of a model. Functional models list it in `model.layers`, a `Sequential` does not.

    Args:
        shape: shape of one sample, without the batch axis; None where any size is allowed.
        batch_size: fixed number of rows of a batch, at least 1, or None.
        dtype: dtype of the data, such as "float32".
        sparse: must be None or False: sparse tensors are not supported.
        ragged: must be None or False: ragged tensors are not supported.
        batch_shape: shape with the batch axis, in place of `shape` and `batch_size`.
        input_tensor: a symbol that becomes the input, with its shape and dtype, or None.
        optional: whether x may be None for this input of a model with several. Only custom layers, whose `call` then
            gets None, may read it.
        name: name of the layer, or None for a generated one.
        **kwargs: `input_shape` and `batch_input_shape`, the names of Keras 2.

    Raises:
        TypeError, ValueError: if no shape is passed, or it does not hold sizes.

    Example:
        >>> from pyrnn import layers
        >>> layers.InputLayer(shape=(10, 3)).batch_shape
        (None, 10, 3)
    """

    supports_masking = True
    # Keras's attributes of kinds of tensors.
    sparse = ragged = False

    @checked
    def __init__(
        self,
        shape: Annotated[Sequence[int | None], Unchecked(allowed="list")] | None = None,
        batch_size: Size | None = None,
        dtype: DtypeLike = None,
        sparse: Annotated[bool, rules.Omitted(False)] | None = None,
        ragged: Annotated[bool, rules.Omitted(False)] | None = None,
        batch_shape: ShapeLike | None = None,
        input_tensor: SymbolLike = None,
        optional: Flag | None = False,
        name: Name | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            warn("input_shape of InputLayer is deprecated: pass shape=")
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", None) if batch_shape is None else batch_shape
        super().__init__(name=name, **kwargs)
        if input_tensor is not None:
            _require_alike(input_tensor, shape=shape, batch_size=batch_size, batch_shape=batch_shape, dtype=dtype)
            shape, batch_size, batch_shape, dtype = None, None, input_tensor.shape, input_tensor.dtype
        if (shape is None) == (batch_shape is None):
            received = "neither" if shape is None else f"{shown(shape)} and {shown(batch_shape)}"
            raise ValueError(f"Input takes either shape or batch_shape, got {received}")
        if batch_shape is not None:
            if batch_size is not None:
                sizes = f"{batch_size} and {shown(batch_shape)}"
                raise ValueError(f"Input takes either batch_size or batch_shape, got {sizes}")
            self.batch_shape: Shape = standard_shape("batch_shape", batch_shape)
        else:
            self.batch_shape = (batch_size, *standard_shape("shape", shape))
        if 0 in self.batch_shape[-1:]:
            raise ValueError(f"the last axis in the shape of Input must have a positive size, got {self.batch_shape}")
        self.optional = bool(optional)
        self.input_dtype = dtype_name(dtype, config.floatx())
        self.built = True
        self.build_shape = self.batch_shape
        symbol = Symbol(self.batch_shape, self.input_dtype, self.name) if input_tensor is None else input_tensor
        self.nodes.append(Node(self, (), {}, (), (symbol,)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or copy, with a symbol."""
        vars(self).update(state)
        self.nodes.append(Node(self, (), {}, (), (Symbol(self.batch_shape, self.input_dtype, self.name),)))

    def call(self, *_: Any, **__: Any) -> None:
        """Compute nothing, as in Keras."""

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        return x

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.input_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InputLayer:
        return cls(**config)


def _require_alike(symbol: Symbol, **stated: Any) -> None:
    """Compare what was passed next to `input_tensor` with the symbol."""
    batch_size = symbol.shape[0] if symbol.shape else None
    actual: dict[str, Any] = {
        "shape": symbol.shape[1:], "batch_shape": symbol.shape, "batch_size": batch_size, "dtype": symbol.dtype
    }  # fmt: skip
    for name, value in stated.items():
        value = tuple(value) if name.endswith("shape") and value is not None else value
        if value is not None and value != actual[name]:
            raise ValueError(f"{name} must be that of input_tensor, {actual[name]}, or left out, got {shown(value)}")


def Input(
    shape: Annotated[Sequence[int | None], rules.Unchecked(allowed="list")] | None = None,
    batch_size: Size | None = None,
    dtype: DtypeLike = None,
    sparse: Annotated[bool, rules.Omitted(False)] | None = None,
    ragged: Annotated[bool, rules.Omitted(False)] | None = None,
    batch_shape: ShapeLike | None = None,
    name: Name | None = None,
    tensor: SymbolLike = None,
    optional: Flag | None = False,
) -> Symbol:
    """Declare the input of a model: the first entry of a `Sequential`, or a symbol to call layers on.

    Args:
        shape: shape of one sample, without the batch axis; None where any size is allowed.
        batch_size: fixed number of rows of a batch, at least 1, or None.
        dtype: dtype of the data, such as "float32".
        sparse: must be None or False: sparse tensors are not supported.
        ragged: must be None or False: ragged tensors are not supported.
        batch_shape: shape with the batch axis, in place of `shape` and `batch_size`.
        name: name of the layer, or None for a generated one.
        tensor: a symbol that becomes the input, with its shape and dtype, or None.
        optional: whether x may be None for this input of a model with several. Only custom layers, whose `call` then
            gets None, may read it.

    Returns:
        A symbol of shape (batch_size, *shape), or `tensor`.

    Raises:
        TypeError, ValueError: if no shape is passed, or it does not hold sizes.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.Input((10, 3)), pyrnn.layers.LSTM(4)])
        >>> model.output_shape
        (None, 4)
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, input_tensor=tensor, optional=optional, name=name
    )
    return layer.nodes[0].outputs[0]
