"""Methods of models that Keras 3 dropped and users still write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyrnn.arguments import checked
from pyrnn.callbacks import History
from pyrnn.trainer import Array, Trainer
from pyrnn.validation import positive_int


class OlderNames(Trainer):
    """A trainer that answers to Keras 2's names too."""

    @checked()
    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: Any = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: int | Iterable[int] = 1,
        class_weight: Mapping[int, float] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> History:
        """Keras 2's name for `fit` on a generator, read in the calling thread."""
        _refuse_workers(max_queue_size, workers, use_multiprocessing)
        return self.fit(
            generator, epochs=epochs, verbose=verbose, callbacks=callbacks, validation_data=validation_data,
            shuffle=shuffle, class_weight=class_weight, initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps, validation_freq=validation_freq,
        )  # fmt: skip

    @checked()
    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: Any = 0,
    ) -> Any:
        """Keras 2's name for `evaluate` on a generator."""
        _refuse_workers(max_queue_size, workers, use_multiprocessing)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    @checked()
    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: Any = 0,
    ) -> Array:
        """Keras 2's name for `predict` on a generator."""
        _refuse_workers(max_queue_size, workers, use_multiprocessing)
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)


def _refuse_workers(max_queue_size: int, workers: int, use_multiprocessing: bool) -> None:
    positive_int("max_queue_size", max_queue_size)
    if workers > 1 or use_multiprocessing:
        raise ValueError("generators are read in the calling thread here: leave workers and use_multiprocessing out")
