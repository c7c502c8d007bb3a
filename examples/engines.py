"""Run a function on many items in processes of joblib, Dask or Ray, and report the items that fail.

What `many_series.py`, `many_forecasters.py` and `parallel_tuning.py` share. `with ENGINES["dask"](workers) as run`
starts the processes, and `run(function, items)` returns the results in the order of the items. A `Failure` takes the
place of a result where the function raised, or where its process died twice.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

# Of a task of Dask, whose scheduler takes about a millisecond of a core for each.
MOST_ITEMS = 10
Function = Callable[[Any], Any]
Run = Callable[[Function, Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Failure:
    """Why there is no result for an item."""

    reason: str


def attempt(function: Function, item: Any) -> Any:
    """Return the function's result for an item, or the error that it raised as a `Failure`.

    The error is reported as text, since not every exception of every library survives the way between processes.
    """
    try:
        return function(item)
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")


def attempt_each(function: Function, items: Sequence[Any]) -> list[Any]:
    """Return what `attempt` returns for each item."""
    return [attempt(function, item) for item in items]


@contextmanager
def here(workers: int = 1) -> Iterator[Run]:
    """Run one item after the other in this process."""
    yield attempt_each


@contextmanager
def on_joblib(workers: int) -> Iterator[Run]:
    """Run in processes of joblib. If one of them dies, joblib ends them all and raises."""
    import joblib

    with joblib.Parallel(n_jobs=workers) as parallel:
        yield lambda function, items: parallel(joblib.delayed(attempt)(function, item) for item in items)


@contextmanager
def on_dask(workers: int) -> Iterator[Run]:
    """Run on a cluster of Dask on this machine; `Client` with an address uses another one."""
    import dask
    from distributed import Client, LocalCluster

    def result(future: Any) -> Any:
        try:
            return future.result()
        except Exception as error:  # of Dask, since `attempt` returns those of the function
            return Failure(repr(error))

    def run(function: Function, items: Sequence[Any]) -> list[Any]:
        size = max(1, min(MOST_ITEMS, len(items) // (4 * workers)))
        groups = [items[first : first + size] for first in range(0, len(items), size)]
        futures = client.map(functools.partial(attempt_each, function), groups, pure=False)
        results: list[Any] = []
        for group, done in zip(groups, list(map(result, futures)), strict=True):
            if isinstance(done, Failure):
                # A process died, and Dask blames the tasks that wait in it too: each item has another try by itself.
                client.wait_for_workers(1, timeout=60)
                done = [result(client.submit(attempt, function, item, pure=False)) for item in group]
            results += done
        return results

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):  # `run` tries again, not the scheduler
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        yield run


@contextmanager
def on_ray(workers: int) -> Iterator[Run]:
    """Run in tasks of Ray, with one core for each; `ray.init` with an address uses a cluster."""
    import ray

    def result(reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayError as error:
            return Failure(repr(error))

    def run(function: Function, items: Sequence[Any]) -> list[Any]:
        shared = ray.put(function)  # once, with the data that it holds
        return [result(reference) for reference in [task.remote(shared, item) for item in items]]

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(attempt)
    try:
        yield run
    finally:
        ray.shutdown()


ENGINES: dict[str, Callable[[int], AbstractContextManager[Run]]] = {
    "here": here,
    "joblib": on_joblib,
    "dask": on_dask,
    "ray": on_ray,
}


def by_name(names: Sequence[str], results: Sequence[Any]) -> dict[str, Any]:
    """Return the results by the names of their items, and print which items failed and why."""
    named = dict(zip(names, results, strict=True))
    for name, result in named.items():
        if isinstance(result, Failure):
            print(f"skipped {name}: {result.reason}")
    return named


def engine_arguments(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a program that has the arguments --engine and --workers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, default="here", help="what runs the trainings")
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    return parser
