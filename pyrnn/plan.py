"""`Plan`: how the layers of a model run, forward and backward, and which weights a training step changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.layers.base import Layer
from pyrnn.layers.holder import all_layers
from pyrnn.overriding import is_builtin
from pyrnn.parameters import ParameterVector, Weight, shaped

Array = NDArray[Any]


class Plan:
    """A chain of layers, compiled to what a training step needs.

    Every model has one plan. `forward` follows the list of layers, which it shares with the model. The other methods
    use what `compile` derived from the layers: the flat vector of trainable weights, the first layer that trains, the
    weights with a regularizer. Layers and weights, also those deep inside other layers, hold a weak reference to the
    plan and set `stale` when `trainable`, a regularizer or the list of weights changes; `Model.plan` compiles it again.

    Args:
        layers: the model's list of layers, in the order in which they run.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.stale = True
        self.trainable: list[Weight] = []
        self._dtype = "float32"
        self._vector: ParameterVector | None = None
        self._first = 0  # index of the first layer with trainable weights: backward stops there
        self._penalised: list[Weight] = []
        self._penalised_trainable: list[Weight] = []
        self._activities: dict[Layer, Array] = {}  # outputs of the last forward pass that are penalised
        self._has_saved = False  # whether the last pass saved something and its backward has not ended
        # The layers that may hold what forward saved even then: those below `_first`, and custom ones with all in them.
        self._unread: list[Layer] = []

    def compile(self, weights: Sequence[Weight], trainable: list[Weight], dtype: str) -> None:
        """Derive what a training step needs from the layers as they are now.

        Args:
            weights: all weights of the model.
            trainable: those that training changes.
            dtype: of a vector without weights.
        """
        self.stale = False
        layers = list(all_layers(self.layers))
        for each in (*layers, *weights):
            each.watch(self)
        if self._vector is not None and list(map(id, self.trainable)) != list(map(id, trainable)):
            self._vector = None
        self.trainable, self._dtype = trainable, dtype
        self._first = next((i for i, layer in enumerate(self.layers) if layer.trainable_weights), len(self.layers))
        custom = [layer for layer in layers if not is_builtin(type(layer))]
        self._unread = list(all_layers([*self.layers[: self._first], *custom]))
        self._penalised = [weight for weight in weights if weight.regularizer is not None]
        self._penalised_trainable = [weight for weight in trainable if weight.regularizer is not None]

    def parameters(self) -> ParameterVector:
        """Return all trainable weights as one flat vector, the same one as long as it holds the same weights."""
        if self._vector is None:
            self._vector = ParameterVector(self.trainable, self._dtype)
        self._vector.reclaim()
        return self._vector

    def forward(self, x: Array, training: bool) -> tuple[Array, Array | None]:
        """Run the layers on x (B, ...).

        Returns:
            The output of the last layer and its mask, None where there is none.
        """
        mask: Array | None = None
        self._activities.clear()
        if training:
            if self._has_saved:
                self.discard_saved()
            self._has_saved = True
        for layer in self.layers:
            y = layer.forward(x, training=training, mask=mask)
            if layer.activity_regularizer is not None:
                self._activities[layer] = y
            if mask is not None or layer.makes_mask:
                mask = layer.compute_mask(x, mask)
            x = y
        return x, mask

    def backward_pass(self, dy: Array) -> None:
        """Write the gradients of all trainable weights, after `forward` with `training`.

        Args:
            dy: the gradient of the loss by the output, in the shape of the output.
        """
        first = self._first
        for index in range(len(self.layers) - 1, first - 1, -1):
            layer = self.layers[index]
            if layer.activity_regularizer is not None:
                dy = dy + self._activity_gradient(layer, dy)
            gradient = layer.backward(dy, need_dx=index > first)
            if index > first:
                assert gradient is not None
                dy = gradient
        for layer in self._unread:
            layer._tape.clear()
        self._has_saved = False

    def discard_saved(self) -> None:
        """Discard what passes without a backward saved; a pass in training starts with this."""
        for layer in self.layers:
            layer._discard_saved()
        self._has_saved = False

    def _activity_gradient(self, layer: Layer, dy: Array) -> Array:
        """Return the gradient of a layer's activity regularizer by its output, divided by the batch size."""
        activity = self._activities[layer]
        assert layer.activity_regularizer is not None
        gradient = np.asarray(layer.activity_regularizer.gradient(activity) / len(activity), dy.dtype)
        if gradient.shape != dy.shape:
            raise ValueError(
                f"the gradient of the activity_regularizer of layer {layer.name!r} must have the shape of its "
                f"output, {dy.shape}, got {gradient.shape}"
            )
        return gradient

    def regularization_loss(self) -> float:
        """Return the sum of all weight regularizers and, over the last forward pass, of the activity regularizers.

        An activity's penalty is divided by the batch size, as in Keras.
        """
        penalty = 0.0
        for weight in self._penalised:
            penalty += _penalty(weight.path, weight.regularizer(weight.array))
        for layer, y in self._activities.items():
            assert layer.activity_regularizer is not None
            penalty += _penalty(layer.name, layer.activity_regularizer(y)) / len(y)
        return penalty

    def add_regularization_gradients(self) -> None:
        """Add the gradients of the weight regularizers to the gradients of the weights."""
        for weight in self._penalised_trainable:
            weight.gradient += shaped(
                "the gradient of the regularizer", weight, weight.regularizer.gradient(weight.array)
            )


def _penalty(owner: str, value: Any) -> float:
    """Return the value of a regularizer, which must be one number."""
    if type(value) is float:
        return value
    if np.size(value) != 1:
        raise ValueError(
            f"the regularizer of {owner!r} must return one number, got an array of shape {np.shape(value)}"
        )
    return float(value)
