"""Methods of models that Keras 2 had, Keras 3 dropped and users still write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Protocol

from numpy.typing import NDArray

from pyrnn.arguments import checked, translators
from pyrnn.callbacks import History
from pyrnn.callbacks.container import CallbacksLike
from pyrnn.data.class_weight import ClassWeights
from pyrnn.rules import LARGEST_COUNT, Either, ListOf, Unchecked, Whole
from pyrnn.typing import ArrayLike, Count, Flag, Index, Inputs, Natural, Size, Verbosity
from pyrnn.validation import positive_int, warn

Array = NDArray[Any]
# The probability from which `predict_classes` counts a sample as class 1.
_EVEN = 0.5


class _Trainable(Protocol):
    """The methods that the generator methods call."""

    @property
    def fit(self) -> Callable[..., History]: ...

    @property
    def evaluate(self) -> Callable[..., Any]: ...

    @property
    def predict(self) -> Callable[..., Array]: ...


class Keras2Methods:
    """A mixin for models: `fit`, `evaluate` and `predict` under the names that Keras 2 had for generators."""

    @checked
    def fit_generator(
        self: _Trainable,
        generator: Annotated[Any, Unchecked()],
        steps_per_epoch: Count | None = None,
        epochs: Count = 1,
        verbose: Verbosity = 1,
        callbacks: CallbacksLike = None,
        validation_data: ArrayLike | None = None,
        validation_steps: Count | None = None,
        validation_freq: Annotated[int | Iterable[int], Either(ListOf(Whole(1)), Whole(1, LARGEST_COUNT))] = 1,
        class_weight: ClassWeights | None = None,
        max_queue_size: Size = 10,
        workers: Natural = 1,
        use_multiprocessing: Flag = False,
        shuffle: Flag = True,
        initial_epoch: Index = 0,
    ) -> History:
        """Train on the batches of a generator; `fit` does the same.

        Args:
            generator: yields (x, y) or (x, y, sample_weight), or is a PyDataset. It is read in the calling thread.
            steps_per_epoch: batches of an epoch; None for all of a generator that ends.
            epochs: number of the last epoch.
            verbose: 0, 1, 2 or "auto", as in `fit`.
            callbacks: a list of callbacks.
            validation_data: (x, y), (x, y, sample_weight) or another generator.
            validation_steps: batches of each validation.
            validation_freq: validate every `validation_freq` epochs, or after the epochs in a list.
            class_weight: {class number: weight}.
            max_queue_size: at least 1; there is no queue.
            workers: 0 or 1: the calling thread.
            use_multiprocessing: False.
            shuffle: draw the batches of a PyDataset in another order in each epoch.
            initial_epoch: number of epochs that are already done.

        Returns:
            The History, as from `fit`.

        Raises:
            TypeError, ValueError: as `fit` does, or if workers are asked for.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_shape=(2,))])
            >>> model.compile("sgd", "mse")
            >>> batches = ((np.ones((4, 2)), np.zeros((4, 1))) for _ in range(3))
            >>> history = model.fit_generator(batches, steps_per_epoch=3, verbose=0)
            >>> history.epoch
            [0]
        """
        _reject_workers(max_queue_size, workers, use_multiprocessing)
        return self.fit(
            generator, epochs=epochs, verbose=verbose, callbacks=callbacks, validation_data=validation_data,
            shuffle=shuffle, class_weight=class_weight, initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps, validation_freq=validation_freq,
        )  # fmt: skip

    @checked
    def evaluate_generator(
        self: _Trainable,
        generator: Annotated[Any, Unchecked()],
        steps: Count | None = None,
        callbacks: CallbacksLike = None,
        max_queue_size: Size = 10,
        workers: Natural = 1,
        use_multiprocessing: Flag = False,
        verbose: Verbosity = 0,
    ) -> Any:
        """Compute loss and metrics over the batches of a generator; `evaluate` does the same.

        Args:
            generator: yields (x, y) or (x, y, sample_weight), or is a PyDataset. It is read in the calling thread.
            steps: number of batches; None for all of a generator that ends.
            callbacks: a list of callbacks.
            max_queue_size: at least 1; there is no queue.
            workers: 0 or 1: the calling thread.
            use_multiprocessing: False.
            verbose: 0, 1, 2 or "auto", as in `evaluate`.

        Returns:
            The loss, or a list of the loss and the metrics.

        Raises:
            TypeError, ValueError: as `evaluate` does, or if workers are asked for.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.Dense(1, kernel_initializer="zeros", input_shape=(2,))])
            >>> model.compile("sgd", "mse")
            >>> model.evaluate_generator((np.ones((4, 2)), np.ones((4, 1))) for _ in range(3))
            1.0
        """
        _reject_workers(max_queue_size, workers, use_multiprocessing)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    @checked
    def predict_generator(
        self: _Trainable,
        generator: Annotated[Any, Unchecked()],
        steps: Count | None = None,
        callbacks: CallbacksLike = None,
        max_queue_size: Size = 10,
        workers: Natural = 1,
        use_multiprocessing: Flag = False,
        verbose: Verbosity = 0,
    ) -> Array:
        """Compute the outputs for the batches of a generator; `predict` does the same.

        Args:
            generator: yields x, or tuples that begin with it, or is a PyDataset. It is read in the calling thread.
            steps: number of batches; None for all of a generator that ends.
            callbacks: a list of callbacks.
            max_queue_size: at least 1; there is no queue.
            workers: 0 or 1: the calling thread.
            use_multiprocessing: False.
            verbose: 0, 1, 2 or "auto", as in `predict`.

        Returns:
            The outputs of all batches, one row per sample.

        Raises:
            TypeError, ValueError: as `predict` does, or if workers are asked for.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_shape=(2,))])
            >>> model.predict_generator(np.ones((4, 2)) for _ in range(3)).shape
            (12, 1)
        """
        _reject_workers(max_queue_size, workers, use_multiprocessing)
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_classes(self: _Trainable, x: Inputs, batch_size: Count = 32, verbose: Verbosity = 0) -> Array:
        """Compute the most likely class of each sample.

        Args:
            x: inputs, shape (batch, ...), in any form that `predict` takes.
            batch_size: rows of a batch.
            verbose: 0, 1, 2 or "auto", as in `predict`.

        Returns:
            For several outputs per sample the index of the largest; for one, whether it is above 0.5, as 0 or 1.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> model = Sequential([layers.Softmax(input_shape=(2,))])
            >>> model.predict_classes(np.array([[1.0, 3.0], [2.0, 0.0]])).tolist()
            [1, 0]
        """
        probabilities = self.predict(x, batch_size=batch_size, verbose=verbose)
        many = probabilities.shape[-1] > 1
        classes: Array = probabilities.argmax(axis=-1) if many else (probabilities > _EVEN).astype("int32")
        return classes

    def predict_proba(self: _Trainable, x: Inputs, batch_size: Count = 32, verbose: Verbosity = 0) -> Array:
        """Compute the outputs; `predict` does the same.

        Args:
            x: inputs, shape (batch, ...), in any form that `predict` takes.
            batch_size: rows of a batch.
            verbose: 0, 1, 2 or "auto", as in `predict`.

        Returns:
            The outputs, one row per sample.

        Example:
            >>> import numpy as np
            >>> from pyrnn import Sequential, layers
            >>> Sequential([layers.Softmax(input_shape=(2,))]).predict_proba(np.zeros((1, 2))).tolist()
            [[0.5, 0.5]]
        """
        return self.predict(x, batch_size=batch_size, verbose=verbose)


def _reject_workers(max_queue_size: int, workers: int, use_multiprocessing: bool) -> None:
    positive_int("max_queue_size", max_queue_size)
    if (workers > 1 or use_multiprocessing) and translators:  # a script for Keras 2, whose results they do not change
        warn(f"generators are read in the calling thread, without workers={workers}")
    elif workers > 1 or use_multiprocessing:
        raise ValueError(
            f"generators are read in the calling thread: leave out workers={workers} and "
            f"use_multiprocessing={use_multiprocessing}"
        )
