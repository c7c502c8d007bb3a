"""``pyrnn demo``: a textbook's models on a real series, with the textbook's calls, compared with naive forecasts.

The task: from the last ``window`` rows, forecast the target in the next row. Everything a model sees was known before
that row: past values, past weather, the calendar of the coming row. The loss is the mean absolute percentage error,
which an actual value of 0 would make infinite, so only rows with a target other than 0 are forecast; for the flights
only the hours from 6 to 21, when the airports are open. Time splits the rows: the first 80 % train, the rest validate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import seeds
from pyrnn.datasets import load_flights
from pyrnn.forecasting import panel, read_table
from pyrnn.forecasting.choices import choose_seasons
from pyrnn.layers import GRU, LSTM, Conv1D, Dense, Flatten, MaxPooling1D, SimpleRNN
from pyrnn.models import Sequential

Floats = NDArray[np.float32]
TRAIN_SHARE = 0.8
HARMONICS = 4
OPEN_HOURS = (6, 21)
WEEK = 168
PLOTTED_ROWS = 168
# Two Conv1D(16, 5) and MaxPooling1D(5) need ((window - 4) // 5 - 4) // 5 >= 1.
SHORTEST_WINDOW = 49
LONGEST_DEFAULT_WINDOW, LARGEST_DEFAULT_BATCH, BATCHES = 100, 128, 20


@dataclass(frozen=True)
class Series:
    """What to forecast and from what, one row per step."""

    target: str
    values: NDArray[np.float64]  # (T,)
    columns: NDArray[np.float64]  # (T, C), known once the row is over
    calendar: NDArray[np.float64]  # (T, D), known in advance
    usable: NDArray[np.bool_]  # (T,), rows worth forecasting
    season: int  # rows after which the pattern repeats
    naive: tuple[str, str]
    note: str


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
    """One line of the table."""

    name: str
    loss: float
    seconds: float | None
    forecast: NDArray[np.float64]


def waves(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine and cosine of the first HARMONICS multiples of a phase (T,) in turns: (T, 2 * HARMONICS)."""
    angle = 2.0 * np.pi * phase[:, None] * np.arange(1, HARMONICS + 1)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def clock(moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Cycle of the day and the day of the week: (T, 2 * HARMONICS + 7)."""
    hours = moments.astype("datetime64[s]").astype(np.int64) / 3600.0
    # 1970-01-01 was a Thursday; Monday is column 0.
    weekday = (hours // 24 + 3).astype(np.int64) % 7
    return np.concatenate([waves(hours % 24 / 24), np.eye(7)[weekday]], axis=1)


def flight_series() -> Series:
    """The departures of the three airports together."""
    flights = load_flights()
    hour = flights.time.astype(np.int64) % 24
    total = flights.total.astype(np.float64)
    return Series(
        target="departures",
        values=total,
        columns=np.concatenate([total[:, None], flights.departures, flights.weather], axis=1),
        calendar=clock(flights.time),
        usable=(hour >= OPEN_HOURS[0]) & (hour <= OPEN_HOURS[1]) & (total > 0),
        season=WEEK,
        naive=("last value", "same hour a week before"),
        note=f"departures per hour from EWR, JFK and LGA together in 2013; the forecast covers the hours from "
        f"{OPEN_HOURS[0]} to {OPEN_HOURS[1]} o'clock with at least one departure",
    )


def csv_series(path: Path, target: str, season: int | None) -> Series:
    """A user's series: numeric columns are features, the first column of dates gives the calendar.

    Args:
        path: The file.
        target: The column to forecast.
        season: Rows after which the pattern repeats; None to choose it from the dates and values.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has no such column, the column is not numeric, or no season can be chosen.
    """
    table = read_table(path)
    print(table.described, *(f"note: {note}" for note in table.notes), sep="\n")
    if target not in table:
        raise ValueError(f"{path} has no column {target!r}; its columns: {', '.join(table)}")
    numbers = {name: column for name, column in table.items() if column.dtype.kind == "f" and name != table.date}
    if target not in numbers:
        raise ValueError(f"column {target!r} of {path} is not numeric")
    if season is None:
        made = panel(table, target, date=table.date, missing="previous")
        season = choose_seasons(made, np.where(made.observed, made.target[:, 0], np.nan), None)[0]
        print(f"season of {season} row{'s' if season > 1 else ''}, chosen from the data.")
    missing = ~np.isfinite(numbers[target])
    values = _fill(numbers.pop(target))
    calendar = waves(np.arange(len(values)) / season) if table.date is None else clock(table[table.date])
    columns = [_fill(column) for column in numbers.values() if np.isfinite(column).any()]
    return Series(
        target=target,
        values=values,
        columns=np.stack([values, *columns], axis=1),
        calendar=calendar,
        usable=~missing & (values != 0),
        season=season,
        naive=("last value", f"value {season} rows before"),
        note=f"{target} of {path.name}, {len(values)} rows; forecasts are for those neither 0 nor missing",
    )


def default_window(series: Series) -> int:
    """The window of a series: 100 rows, fewer if an eighth of the series is less."""
    return int(np.clip(len(series.values) // 8, SHORTEST_WINDOW, LONGEST_DEFAULT_WINDOW))


def default_batch_size(train: int, validation: int) -> int:
    """The windows of a batch: 128, fewer so that there are 20 batches of training and one of validation."""
    size = LARGEST_DEFAULT_BATCH
    while size > 1 and (BATCHES * size > train or size > validation):
        size //= 2
    return size


def _fill(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column with gaps filled by the value before them; a gap at the start takes the first value."""
    finite = np.flatnonzero(np.isfinite(column))
    before = np.searchsorted(finite, np.arange(len(column)), side="right") - 1
    filled: NDArray[np.float64] = column[finite[np.maximum(before, 0)]]
    return filled


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


def run(series: Series, *, window: int, epochs: int, batch_size: int | None, seed: int, verbose: int) -> list[Result]:
    """Train every model and measure it after its last epoch on every validation row; naive forecasts come last.

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
    n_features = task.inputs.shape[1]
    n_train_samples, n_val_samples = len(task.train), len(task.validation)
    print(f"{series.note}.")
    print(f"{n_train_samples} windows of {window} rows x {n_features} features; {n_val_samples} later ones validate.")
    truth = series.values[task.validation]
    results = []
    for name, make in MODELS.items():
        print(f"\n{name}", flush=True)
        seeds.set_random_seed(seed)
        model = make(window, n_features)
        model.compile(optimizer="adam", loss="mean_absolute_percentage_error")
        train_gen = generator(task, task.train, batch_size, np.random.default_rng(seed))
        val_gen = generator(task, task.validation, batch_size)
        start = time.perf_counter()
        model.fit_generator(
            train_gen,
            epochs=epochs,
            steps_per_epoch=n_train_samples // batch_size,
            validation_data=val_gen,
            validation_steps=n_val_samples // batch_size,
            verbose=verbose,
        )
        seconds = time.perf_counter() - start
        scaled = model.predict(task.batch(task.validation)[0], batch_size=batch_size, verbose=0)
        forecast = scaled[:, 0].astype(np.float64) * task.scale
        results.append(Result(name, percentage_error(truth, forecast), seconds, forecast))
    for name, lag in zip(series.naive, (1, series.season), strict=True):
        forecast = series.values[task.validation - lag]
        results.append(Result(f"naive: {name}", percentage_error(truth, forecast), None, forecast))
    return results


def table(results: list[Result]) -> str:
    """The validation loss and training time of every forecast, as text."""
    width = max(len(result.name) for result in results)
    lines = [f"{'forecast':<{width}}  val_loss (MAPE)  training", f"{'-' * width}  ---------------  --------"]
    for result in results:
        seconds = "" if result.seconds is None else f"{result.seconds:6.1f} s"
        lines.append(f"{result.name:<{width}}  {result.loss:13.2f} %  {seconds:>8}".rstrip())
    return "\n".join(lines)


def plot(series: Series, results: list[Result], window: int, path: Path) -> bool:
    """Write a PNG of the first PLOTTED_ROWS validation rows; return False if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    rows = make_task(series, window).validation
    span = np.arange(rows[0], min(rows[0] + PLOTTED_ROWS, len(series.values)))
    shown = rows <= span[-1]
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(span, series.values[span], color="black", linewidth=2, label="truth")
    for result in results:
        if result.seconds is not None:
            # With gaps where nothing is forecast, such as at night.
            line = np.full(len(span), np.nan)
            line[rows[shown] - span[0]] = result.forecast[shown]
            axes.plot(span, line, linewidth=1.2, label=f"{result.name}: {result.loss:.1f} %")
    axes.set(title=f"Forecast of {series.target}, one row ahead", xlabel="row", ylabel=series.target)
    axes.legend()
    figure.savefig(path, dpi=120)
    return True
