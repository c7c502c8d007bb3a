"""`Linked`: a chain of layers whose training step is one call of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from pyrnn import backend
from pyrnn.overriding import is_builtin
from pyrnn.parameters import ParameterVector, Weight

Array = NDArray[Any]


def can_link(layers: Sequence[Any], trainable: Sequence[Weight]) -> bool:
    """Return whether the core may run layers in one call, if nothing in their settings forbids it.

    Args:
        layers: a chain of layers.
        trainable: the weights that training changes, whose arrays stay where the parameter vector has them.

    Returns:
        True for built-in layers with `link_into` that train all of their weights.
    """
    moving = {id(weight) for layer in layers for weight in layer.weights} - set(map(id, trainable))
    return bool(layers) and not moving and all(is_builtin(type(each)) and each.link_settings for each in layers)


class Linked:
    """A chain of layers whose training step is one call of the core, which keeps the arrays of their weights.

    Args:
        layers: the chain.
        vector: the parameter vector with all of their weights.
    """

    def __init__(self, layers: Sequence[Any], vector: ParameterVector) -> None:
        self._settings = [(layer, layer.link_settings, layer.link_settings(layer)) for layer in layers]
        self._vector, self._moves = vector, vector.moves
        self._kind_name = "Chain32" if vector.dtype == "float32" else "Chain64"
        self._kind = getattr(backend, self._kind_name)
        chain = self._kind()
        self._chain = chain if all(layer.link_into(chain) for layer in layers) else None

    def is_current(self, vector: ParameterVector) -> bool:
        """Return whether the layers still compute the same, with weights in the same place.

        Args:
            vector: the parameter vector of the layers.

        Returns:
            False if the chain must be linked again.
        """
        if vector is not self._vector or vector.moves != self._moves:
            return False
        if getattr(backend, self._kind_name) is not self._kind:  # another backend
            return False
        for layer, settings_of, settings in self._settings:  # noqa: SIM110  # faster than a generator
            if settings_of(layer) != settings:
                return False
        return True

    def squared_error(self, x: Array, y: Any) -> tuple[float, Array] | None:
        """Run forward, the mean squared error and backward, which writes the gradients of the weights.

        Args:
            x: the input (B, ...), of the dtype of the layers.
            y: the targets.

        Returns:
            The loss and the output. None, without having computed anything, if settings of a layer ask for Python, an
            array is of another kind, or another thread uses the chain.
        """
        return None if self._chain is None else self._chain.squared_error(x, y)
