"""Measure many small trainings on one and two workers of Dask and Ray: how much faster, and how flat the memory.

    python benchmarks/sweeps.py [--engine dask] [--data views.csv.gz] [--count 300] [--epochs 10] [--rounds 2]

Each training is that of `examples/many_series.py`, an LSTM(16) for one series. The series are the departures by airport
and month, one after the other again and again, or those of a csv file of daily page views. A round trains all of them
on each number of workers, after `--warm` trainings on each worker. Memory is what a worker holds after a training: the
largest of the last third less the smallest of the first third, for the worker that grows most. The same tasks without a
training show what the engine itself keeps of each.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])

from engines import ENGINES
from many_series import departures, page_views, train

from pyrnn import backend

MEGABYTE = 1 << 20


def measured(series: Any, **options: Any) -> tuple[int, float, int]:
    """Train if there are options; return the process, the bytes that it holds, and its number of threads."""
    if options:
        train(series, **options)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return os.getpid(), pages * os.sysconf("SC_PAGE_SIZE"), backend.get_num_threads()


def grown(results: list[tuple[int, float, int]]) -> float:
    """Return by how many megabytes the worker that grows most does."""
    by_process: dict[int, list[float]] = defaultdict(list)
    for process, held, _ in results:
        by_process[process].append(held)
    third = min(len(held) for held in by_process.values()) // 3
    return max(max(held[-third:]) - min(held[:third]) for held in by_process.values()) / MEGABYTE


def main() -> None:
    """Print a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["joblib", "dask", "ray"])
    parser.add_argument("--data", type=Path, help="csv file of daily page views")
    parser.add_argument("--count", type=int, default=300, help="trainings in a round")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of each training")
    parser.add_argument("--rounds", type=int, default=2, help="interleaved rounds")
    parser.add_argument("--warm", type=int, default=20, help="trainings before the clock starts, for each worker")
    args = parser.parse_args()
    many = departures() if args.data is None else page_views(args.data)
    series = list(itertools.islice(itertools.cycle(each for each in many if each[1].sum() > 0), args.count))
    work = functools.partial(measured, epochs=args.epochs, season=24 if args.data is None else 7)
    print(f"{backend.isa()}, {args.count} trainings of {args.epochs} epochs")
    for engine in args.engine:
        seconds: dict[int, list[float]] = {1: [], 2: []}
        memory: dict[int, list[float]] = {1: [], 2: []}
        threads: set[int] = set()
        with ENGINES[engine](1) as run:
            run(measured, series[: args.warm])
            without = grown(run(measured, series))
        for _ in range(args.rounds):
            for workers in seconds:
                with ENGINES[engine](workers) as run:
                    run(work, series[: args.warm * workers])
                    begin = time.perf_counter()
                    results = run(work, series)
                    seconds[workers].append(time.perf_counter() - begin)
                memory[workers].append(grown(results))
                threads |= {each[2] for each in results}
        single, double = (statistics.median(seconds[workers]) for workers in seconds)
        ratios = [a / b for a, b in zip(seconds[1], seconds[2], strict=True)]
        print(
            f"{engine}: {single:.2f} s on one worker, {double:.2f} s on two, {statistics.median(ratios):.2f}x as fast "
            f"({', '.join(f'{ratio:.2f}' for ratio in ratios)}); {sorted(threads)} threads; "
            f"memory of a worker +{max(memory[1]):.1f} and +{max(memory[2]):.1f} MB, "
            f"without training {without:+.1f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
