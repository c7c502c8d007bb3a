"""Search the settings of a `Forecaster` and train one for each of many series, in processes of joblib, Dask or Ray.

The bundled departures make daily series, one for each airport and part of the day; one of them has too few rows. First
a sweep compares settings, each by a forecaster of all series together. The best ones then train a forecaster for each
series. Its members, networks with different seeds, are trained side by side, and their quantiles are averaged; the
report compares the average with the members alone. Needs the extra `sweeps`.

    python examples/many_forecasters.py --engine dask --workers 2
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from engines import ENGINES, Failure, by_name, engine_arguments

import pyrnn
from pyrnn.forecasting import Forecaster

Series = tuple[str, np.ndarray]
Settings = Mapping[str, Any]
HELD_OUT = 28  # days
DAYS = 304  # until the end of October, before the holidays
PARTS = {"night": range(6), "morning": range(6, 12), "afternoon": range(12, 18), "evening": range(18, 24)}
SPACE = {"model": ["gru", "lstm"], "units": [16, 32]}


@dataclass(frozen=True)
class Result:
    """How good the forecasts of one series are, in units of the seasonal naive forecast's error, and the next week.

    Args:
        error: MASE of the average of the members.
        alone: MASE of each member.
        quantiles: The forecast of the next week, (1, 7, 5).
    """

    error: float
    alone: list[float]
    quantiles: np.ndarray


def departures() -> list[Series]:
    """Return departures per day by airport and part of the day; those at one airport's night are few rows."""
    flights = pyrnn.datasets.load_flights()
    days, hours = flights.time.astype("datetime64[D]"), flights.time.astype(int) % 24
    number = (days - days[0]).astype(int)
    many = []
    for column, airport in enumerate(flights.airports):
        for part, at in PARTS.items():
            chosen = np.isin(hours, at)
            values = np.bincount(number[chosen], flights.departures[chosen, column])[:DAYS]
            many.append((f"{airport} {part}", values))
    many[0] = (many[0][0], many[0][1][:40])
    return many


def score(settings: Settings, many: Sequence[Series]) -> float:
    """Return minus the MASE of one forecaster of all series on their last days."""
    table = {name: values for name, values in many if len(values) == max(len(values) for _, values in many)}
    forecaster = Forecaster(horizon=7, target=list(table), wide=True, **settings)
    forecaster.fit({name: values[:-HELD_OUT] for name, values in table.items()})
    return forecaster.score({name: values[-HELD_OUT:] for name, values in table.items()})


def train(series: Series, settings: Settings) -> Result:
    """Train a forecaster on all but the last days of a series, which score it."""
    _, values = series
    forecaster = Forecaster(horizon=7, **settings).fit(values[:-HELD_OUT])
    error, networks = -forecaster.score(values[-HELD_OUT:]), forecaster.networks_
    alone = []
    for network in networks:
        forecaster.networks_ = [network]
        alone.append(-forecaster.score(values[-HELD_OUT:]))
    forecaster.networks_ = networks
    return Result(error, alone, forecaster.predict(values).quantiles)


def main(
    engine: str = "here",
    workers: int = 2,
    many: list[Series] | None = None,
    space: Mapping[str, Sequence[Any]] = SPACE,
    members: int = 4,
    epochs: int | None = None,
) -> tuple[dict[str, Any], dict[str, Result | Failure]]:
    """Search, train, print a report, and return the best settings and the results by the names of the series."""
    many = departures() if many is None else many
    sweep = [
        dict(zip(space, values, strict=True)) | {"epochs": epochs} for values in itertools.product(*space.values())
    ]
    with ENGINES[engine](workers) as run:
        begin = time.perf_counter()
        scores = run(functools.partial(score, many=many), sweep)
        for settings, each in zip(sweep, scores, strict=True):
            print(settings, f"failed: {each.reason}" if isinstance(each, Failure) else f"MASE {-each:.3f}")
        best, _ = max(
            ((settings, each) for settings, each in zip(sweep, scores, strict=True) if not isinstance(each, Failure)),
            key=lambda pair: pair[1],
        )
        results = run(functools.partial(train, settings=best | {"members": members}), many)
        seconds = time.perf_counter() - begin
    named = by_name([name for name, _ in many], results)
    done = [result for result in results if isinstance(result, Result)]
    print(f"{len(done)} of {len(many)} series in {seconds:.1f} s with {best}")
    if done:
        error, alone = np.mean([each.error for each in done]), np.mean([each.alone for each in done])
        print(f"MASE {error:.3f} of {members} members together, {alone:.3f} of one of them on average")
    return best, named


if __name__ == "__main__":
    args = engine_arguments(__doc__).parse_args()
    main(args.engine, args.workers)
