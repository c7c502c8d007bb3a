"""Train one model for each of many series, in processes of joblib, Dask or Ray.

`train` is a plain function of one series. It seeds by the name of the series, so that the result does not depend on
the process that ran it, nor on what ran there before. A series on which it raises is reported and skipped.

The bundled departures make 36 series, one for each airport and month; one of them has a gap. `--data` reads daily page
views of Wikipedia instead, a csv file with a row for each series. Needs the extra `sweeps`.

    python examples/many_series.py --engine dask --workers 2
"""

from __future__ import annotations

import csv
import functools
import gzip
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engines import ENGINES, Failure, by_name, engine_arguments

import pyrnn
from pyrnn import layers

Series = tuple[str, np.ndarray]


@dataclass(frozen=True)
class Result:
    """The mean absolute error of the model and of the naive forecast, and the weights of the model as bytes."""

    error: float
    naive: float
    weights: bytes


def windows(values: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (samples, length, 1) of a series and the value that follows each of them, (samples, 1)."""
    x = np.lib.stride_tricks.sliding_window_view(values[:-1], length)
    return np.ascontiguousarray(x[..., None]), values[length:, None]


def train(series: Series, season: int = 24, epochs: int = 5, units: int = 16) -> Result:
    """Train an LSTM on all but the last tenth of a series (time,), which repeats after `season` steps."""
    name, values = series
    pyrnn.utils.set_random_seed(zlib.crc32(name.encode()))  # hash() differs from process to process
    scaled = np.log1p(values.astype(np.float32))
    scaled = (scaled - scaled.mean()) / scaled.std()
    x, y = windows(scaled, season)
    held_out = len(x) // 10
    model = pyrnn.Sequential([layers.Input((season, 1)), layers.LSTM(units), layers.Dense(1)])
    model.compile(pyrnn.optimizers.Adam(0.01), "mse")
    model.fit(x[:-held_out], y[:-held_out], epochs=epochs, verbose=0)
    predicted = model.predict(x[-held_out:], verbose=0)
    return Result(
        error=float(np.abs(predicted - y[-held_out:]).mean()),
        naive=float(np.abs(x[-held_out:, 0] - y[-held_out:]).mean()),
        weights=b"".join(weight.tobytes() for weight in model.get_weights()),
    )


def departures() -> list[Series]:
    """Return hourly departures by airport and month; one of them has a gap, which a loss rejects."""
    flights = pyrnn.datasets.load_flights()
    months = flights.time.astype("datetime64[M]").astype(int) % 12
    many = [
        (f"{airport} {month + 1}", flights.departures[months == month, column].astype(np.float64))
        for column, airport in enumerate(flights.airports)
        for month in range(12)
    ]
    many[7][1][300:310] = np.nan
    return many


def page_views(path: Path, least: float = 10) -> list[Series]:
    """Return the series of a csv file whose mean is at least `least`: four columns of names, then one for each day."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = list(csv.reader(file))[1:]
    many = [(" ".join(row[:4]), np.array(row[4:], np.float64)) for row in rows]
    return [(name, values) for name, values in many if values.mean() >= least]


def main(
    engine: str = "here", workers: int = 2, many: list[Series] | None = None, epochs: int = 5, season: int = 24
) -> dict[str, Result | Failure]:
    """Train a model for each series, print a report, and return the results by the names of the series."""
    many = departures() if many is None else many
    with ENGINES[engine](workers) as run:
        begin = time.perf_counter()
        results = run(functools.partial(train, season=season, epochs=epochs), many)
        seconds = time.perf_counter() - begin
    named = by_name([name for name, _ in many], results)
    done = [result for result in results if isinstance(result, Result)]
    print(f"{len(done)} of {len(many)} series in {seconds:.1f} s")
    if done:
        error, naive = np.mean([(each.error, each.naive) for each in done], axis=0)
        print(f"mean absolute error {error:.3f}, the season before {naive:.3f}")
    return named


if __name__ == "__main__":
    parser = engine_arguments(__doc__)
    parser.add_argument("--data", type=Path, help="csv file of daily page views")
    parser.add_argument("--count", type=int, help="number of series, from the first on")
    args = parser.parse_args()
    chosen = departures() if args.data is None else page_views(args.data)
    main(args.engine, args.workers, chosen[: args.count], season=24 if args.data is None else 7)
