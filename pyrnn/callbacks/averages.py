"""The optimizer's averages in the weights' place while the model is validated."""

from __future__ import annotations

from pyrnn.callbacks.base import Callback, Logs


class SwapEMAWeights(Callback):
    """Validates (and predicts) with the averages that an optimizer with `use_ema=True` keeps.

    With `swap_on_epoch` they stay until the next epoch begins, so that later callbacks save them.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = bool(swap_on_epoch)
        self._averages_in_model = False

    def _swap(self, inside: bool) -> None:
        """Exchange weights and averages, unless that is done."""
        if inside == self._averages_in_model:
            return
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights needs an optimizer with use_ema=True")
        parameters = optimizer.parameters
        if parameters is None:
            return
        kept = parameters.values.copy()
        parameters.values[...] = optimizer.slots["average"]
        optimizer.slots["average"][...] = kept
        parameters.touch()
        self._averages_in_model = inside

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)
            if epoch == self.params["epochs"] - 1:  # the end of fit puts the averages in once more
                optimizer = self.model.optimizer
                optimizer.slots["average"][...] = optimizer.parameters.values

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        if not self.swap_on_epoch:
            self._swap(False)
