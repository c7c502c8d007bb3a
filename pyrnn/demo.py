"""``pyrnn demo``: a textbook's models on a real series, with the textbook's calls, compared with naive forecasts.

The task: from the last ``window`` rows, forecast the target in the next row. Everything a model sees was known before
that row: past values, past weather, the calendar of the coming row. The loss is the mean absolute percentage error,
which an actual value of 0 would make infinite, so only rows with a target other than 0 are forecast; for the flights
only the hours from 6 to 21, when the airports are open. Time splits the rows: the first 80 % train, the rest validate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import seeds
from pyrnn.callbacks import LambdaCallback
from pyrnn.demo_series import Series
from pyrnn.layers import GRU, LSTM, Conv1D, Dense, Flatten, MaxPooling1D, SimpleRNN
from pyrnn.models import Sequential

if TYPE_CHECKING:
    from rich.progress import Progress

Floats = NDArray[np.float32]
TRAIN_SHARE = 0.8
# Two Conv1D(16, 5) and MaxPooling1D(5) need ((window - 4) // 5 - 4) // 5 >= 1.
SHORTEST_WINDOW = 49
LONGEST_DEFAULT_WINDOW, LARGEST_DEFAULT_BATCH, BATCHES = 100, 128, 20


@dataclass(frozen=True)
class Task:
    """Windows of a series: ``inputs[end - window:end]`` forecasts ``values[end]``."""

    inputs: Floats  # (T, F), scaled
    values: Floats  # (T,), in units of ``scale``
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    window: int
    scale: float

    def batch(self, ends: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """x (B, window, F) and y (B, 1)."""
        steps = ends[:, None] + np.arange(-self.window, 0)
        return self.inputs[steps], self.values[ends, None]


@dataclass(frozen=True)
class Result:
    """One line of the table; naive forecasts have no seconds of training."""

    name: str
    loss: float
    seconds: float | None
    forecast: NDArray[np.float64]


def default_window(series: Series) -> int:
    """The window of a series: 100 rows, fewer if an eighth of the series is less."""
    return int(np.clip(len(series.values) // 8, SHORTEST_WINDOW, LONGEST_DEFAULT_WINDOW))


def default_batch_size(train: int, validation: int) -> int:
    """The windows of a batch: 128, fewer so that there are 20 batches of training and one of validation."""
    size = LARGEST_DEFAULT_BATCH
    while size > 1 and (BATCHES * size > train or size > validation):
        size //= 2
    return size


def make_task(series: Series, window: int) -> Task:
    """Features, scaled by the training rows alone, and the rows to forecast.

    Row t of the inputs holds what is known before row t + 1: all columns of row t, the calendar of row t + 1, and the
    target a seventh of a season, one season and two seasons before row t + 1.

    Raises:
        ValueError: If the window is too short for the convolutional model, or the series for the window.
    """
    if window < SHORTEST_WINDOW:
        raise ValueError(f"window must be at least {SHORTEST_WINDOW} (the convolutional model needs it), got {window}")
    count, season = len(series.values), series.season
    following = np.minimum(np.arange(count) + 1, count - 1)
    lags = [series.values[np.maximum(following - lag, 0)] for lag in (max(1, season // 7), season, 2 * season)]
    features = np.concatenate([series.columns, np.stack(lags, axis=1)], axis=1)
    first = 2 * season + window
    ends = np.flatnonzero(series.usable & (np.arange(count) >= first))
    split = int(len(ends) * TRAIN_SHARE)
    train, validation = ends[:split], ends[split:]
    if not len(train) or not len(validation):
        raise ValueError(
            f"the series is too short: {count} rows, but a window of {window} and two seasons of {season} rows "
            f"leave {len(ends)} rows to forecast"
        )
    past = features[: train[-1]]
    spread = past.std(axis=0)
    scaled = (features - past.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scale = float(np.abs(series.values[train]).mean())
    return Task(
        inputs=np.concatenate([scaled, series.calendar[following]], axis=1).astype(np.float32),
        values=(series.values / scale).astype(np.float32),
        train=train,
        validation=validation,
        window=window,
        scale=scale,
    )


def generator(
    task: Task, ends: NDArray[np.int64], batch_size: int, rng: np.random.Generator | None = None
) -> Iterator[tuple[Floats, Floats]]:
    """Yield (x, y) indefinitely, in whole batches; shuffled again in each round if ``rng`` is passed."""
    while True:
        order = ends if rng is None else rng.permutation(ends)
        for start in range(0, len(order) - batch_size + 1, batch_size):
            yield task.batch(order[start : start + batch_size])


def convolutional(max_len: int, n_features: int) -> Sequential:
    """The textbook's convolutional model."""
    model = Sequential()
    model.add(Conv1D(16, 5, activation="relu", input_shape=(max_len, n_features)))
    model.add(MaxPooling1D(5))
    model.add(Conv1D(16, 5, activation="relu"))
    model.add(MaxPooling1D(5))
    model.add(Flatten())
    model.add(Dense(1))
    return model


def recurrent(max_len: int, n_features: int) -> Sequential:
    """The textbook's single recurrent layer."""
    model = Sequential()
    model.add(SimpleRNN(16, input_shape=(max_len, n_features)))
    model.add(Dense(1))
    return model


def recurrent_stack(max_len: int, n_features: int) -> Sequential:
    """The textbook's stack of recurrent layers."""
    model = Sequential()
    model.add(SimpleRNN(16, return_sequences=True, input_shape=(max_len, n_features)))
    model.add(SimpleRNN(32, return_sequences=True))
    model.add(SimpleRNN(64))
    model.add(Dense(1))
    return model


def gated(layer: type[LSTM] | type[GRU]) -> Callable[[int, int], Sequential]:
    """One layer of a gated cell, as the textbook finally recommends."""

    def make(max_len: int, n_features: int) -> Sequential:
        model = Sequential()
        model.add(layer(32, input_shape=(max_len, n_features)))
        model.add(Dense(1))
        return model

    return make


MODELS = {
    "Conv1D(16, 5) x 2": convolutional,
    "SimpleRNN(16)": recurrent,
    "SimpleRNN 16-32-64": recurrent_stack,
    "LSTM(32)": gated(LSTM),
    "GRU(32)": gated(GRU),
}


def percentage_error(truth: NDArray[Any], forecast: NDArray[Any]) -> float:
    """Mean absolute percentage error; no true value is 0 here."""
    return float(100.0 * np.mean(np.abs((forecast - truth) / truth)))


def progress() -> Progress:
    """Return the bars that show the training of each model."""
    from rich.progress import BarColumn, Progress, TextColumn  # is slow to import

    columns = ("{task.description:<20}", "epoch {task.completed:.0f} of {task.total:.0f}{task.fields[loss]}")
    first, last = (TextColumn(text, markup=False) for text in columns)
    return Progress(first, BarColumn(), last)


def run(series: Series, *, window: int, epochs: int, batch_size: int | None, seed: int, verbose: int) -> list[Result]:
    """Train every model and measure it after its last epoch on every validation row; naive forecasts come last.

    Args:
        series: What to forecast, and from what.
        window: The rows that a forecast is made from.
        epochs: The passes over the training rows.
        batch_size: The windows of a batch; None to choose it by their number.
        seed: The seed of weights and shuffling.
        verbose: The progress: 0 for none, 1 for a bar for each model, 2 for a line for each epoch.

    Raises:
        ValueError: If the series is too short for the window and the batch.
    """
    task = make_task(series, window)
    if batch_size is None:
        batch_size = default_batch_size(len(task.train), len(task.validation))
    if batch_size > min(len(task.train), len(task.validation)):
        raise ValueError(
            f"batch_size must be at most {min(len(task.train), len(task.validation))}, the rows to train or validate "
            f"on, got {batch_size}"
        )
    n_train_samples, n_val_samples = len(task.train), len(task.validation)
    print(f"{series.note}.")
    print(
        f"{n_train_samples} windows of {window} rows x {task.inputs.shape[1]} features; {n_val_samples} later ones "
        "validate.\n",
        flush=True,
    )
    truth = series.values[task.validation]
    results = []
    with progress() if verbose == 1 else nullcontext() as bars:
        for name, make in MODELS.items():
            seeds.set_random_seed(seed)
            model = make(window, task.inputs.shape[1])
            model.compile(optimizer="adam", loss="mean_absolute_percentage_error")
            start = time.perf_counter()
            model.fit_generator(
                generator(task, task.train, batch_size, np.random.default_rng(seed)),
                epochs=epochs,
                steps_per_epoch=n_train_samples // batch_size,
                validation_data=generator(task, task.validation, batch_size),
                validation_steps=n_val_samples // batch_size,
                verbose=2 if verbose == 2 else 0,
                callbacks=[] if bars is None else [_advance(bars, name, epochs)],
            )
            seconds = time.perf_counter() - start
            scaled = model.predict(task.batch(task.validation)[0], batch_size=batch_size, verbose=0)
            forecast = scaled[:, 0].astype(np.float64) * task.scale
            results.append(Result(name, percentage_error(truth, forecast), seconds, forecast))
    for name, lag in zip(series.naive, (1, series.season), strict=True):
        forecast = series.values[task.validation - lag]
        results.append(Result(f"naive: {name}", percentage_error(truth, forecast), None, forecast))
    return results


def _advance(bars: Progress, name: str, epochs: int) -> LambdaCallback:
    """Return the callback that moves the bar of a model."""
    bar = bars.add_task(name, total=epochs, loss="")

    def moved(epoch: int, logs: dict[str, float]) -> None:
        bars.update(bar, completed=epoch + 1, loss=f", val_loss {logs['val_loss']:.1f} %")

    return LambdaCallback(on_epoch_end=moved)
