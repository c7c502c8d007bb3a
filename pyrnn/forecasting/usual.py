"""Direct networks with "gru", "lstm" or "rnn" as model, run without the plan that runs a `Model` of any layers.

The results have the same bits. With windows and batches as small as those of a forecaster, a plan, its checks and its
metrics take as long as the kernels.

Letters as in `inputs`; E entries of a series' vector, U units, O outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import ranks
from pyrnn.losses import Loss
from pyrnn.models import Model

Array = NDArray[Any]
# Names of parts.
USUAL = "usual"  # the network
SERIES, ENCODER, DECODER, CORRECTIONS, LINEAR = "series", "encoder", "decoder", "corrections", "linear"


def is_usual(network: Model) -> bool:
    """Return whether `Usual` can run a network: it is no function of the user, and runs on one process."""
    return network.name == USUAL and ranks.distribution is None


class Usual:
    """The layers of a network.

    Args:
        network: A network for which `is_usual` holds.
    """

    def __init__(self, network: Model) -> None:
        layers: dict[str, Any] = {each.name: each for each in network.layers}
        self._network, self._vectors = network, layers.get(SERIES)
        self._encoder, self._decoder = layers[ENCODER], layers[DECODER]
        self._corrections, self._linear = layers[CORRECTIONS], layers[LINEAR]

    def outputs(self, arrays: list[Array], training: bool = False) -> Array:
        """Return the raw outputs (B, H, O).

        Args:
            arrays: The inputs of the network.
            training: Whether `backward` follows.
        """
        before, ahead, recent, *numbers = arrays
        if self._vectors is not None:
            vectors = self._vectors.forward(numbers[0], training=training)  # (B, 1, E)
            before, ahead = (np.concatenate([x, np.repeat(vectors, x.shape[1], axis=1)], -1) for x in (before, ahead))
        _, *state = self._encoder.forward(before, training=training)
        decoded = self._decoder.forward(ahead, training=training, initial_state=state)
        raw = self._corrections.forward(np.concatenate([decoded, ahead], axis=-1), training=training)
        return np.asarray(raw + self._linear.forward(recent, training=training).reshape(raw.shape))

    def backward(self, gradient: Array) -> None:
        """Write the gradients of all weights.

        Args:
            gradient: That of the loss by the outputs, (B, H, O).
        """
        count = len(gradient)
        self._linear.backward(gradient.reshape(count, -1), need_dx=False)
        of_concatenated = self._corrections.backward(gradient)
        units, has_vectors = self._decoder.units, self._vectors is not None
        of_decoded = np.ascontiguousarray(of_concatenated[..., :units])
        of_ahead, *of_state = self._decoder.backward(of_decoded, need_dx=has_vectors)
        of_before = self._encoder.backward(None, *of_state, need_dx=has_vectors)
        if self._vectors is not None:
            size = self._vectors.output_dim
            of_ahead = of_concatenated[..., units:] + of_ahead
            parts = [each[..., each.shape[-1] - size :].sum(axis=1) for each in (of_ahead, of_before)]
            self._vectors.backward((parts[0] + parts[1])[:, None], need_dx=False)

    def train(self, arrays: list[Array], targets: Array, weights: Array, loss: Loss) -> None:
        """Do what `train_on_batch` does.

        Args:
            arrays: The inputs of the network.
            targets: What the loss reads.
            weights: (B, H).
            loss: The loss that the network is compiled with.
        """
        value, gradient = loss.value_and_gradient(targets, self.outputs(arrays, training=True), weights)
        self.backward(gradient)
        if not math.isfinite(value):
            self._network.train_on_batch(arrays, targets, sample_weight=weights)  # which says why
            return
        optimizer: Any = self._network.optimizer
        optimizer.build(self._network.passes().parameters())
        optimizer.step()
