"""Evaluation with averages of the weights."""

from __future__ import annotations

from typing import Any

from pyrnn import signals
from pyrnn.arguments import checked
from pyrnn.callbacks.base import Callback, Logs
from pyrnn.states import Rule, flag
from pyrnn.typing import Flag

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Replaces the weights by the optimizer's moving averages while the model is evaluated or predicts.

    With `swap_on_epoch` also from the end of an epoch to the beginning of the next, so that callbacks later in the
    list, such as a `ModelCheckpoint`, see the averages.

    Args:
        swap_on_epoch: Whether to swap at the end of each epoch too.

    Raises:
        ValueError: At the first swap, if the optimizer has no averages.

    Example:
        >>> from pyrnn.callbacks import SwapEMAWeights
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> model.compile(pyrnn.optimizers.Adam(use_ema=True), "mse")
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> history = model.fit(x, y, validation_data=(x, y), callbacks=[SwapEMAWeights()], verbose=0)

    Source: B. Polyak, A. Juditsky: Acceleration of stochastic approximation by averaging, 1992.
    """

    remembers = ("_swapped",)

    @checked
    def __init__(self, swap_on_epoch: Flag = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def state_rules(self) -> dict[str, Rule]:
        return {"_swapped": flag}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._put(averages=False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.swap_on_epoch:
            return
        self._put(averages=True)
        if epoch == self.params["epochs"] - 1 or self.model.stop_training:
            # `fit` ends by copying the averages into the weights, and the swap has put the weights in their place.
            for weight, average in self._pairs():
                average[...] = weight.array
            self._swapped = False

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._put(averages=True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._put(averages=False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._put(averages=True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._put(averages=False)

    def _put(self, *, averages: bool) -> None:
        if averages == self._swapped:
            return
        with signals.deferred():
            for weight, average in self._pairs():
                value = weight.numpy()
                weight.overwrite(average)
                average[...] = value
            self._swapped = averages

    def _pairs(self) -> list[tuple[Any, Any]]:
        """(weight, its average), live."""
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False) or not hasattr(optimizer, "ema_weights"):
            name = type(optimizer).__name__
            raise ValueError(f"SwapEMAWeights needs an optimizer with averages, got {name}: write {name}(use_ema=True)")
        optimizer.build(self.model.parameters())
        return list(zip(self.model.trainable_weights, optimizer.ema_weights(), strict=True))
