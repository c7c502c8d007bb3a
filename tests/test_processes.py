"""One model in many threads, models in many threads, forked and spawned processes, and memory that stays flat."""

from __future__ import annotations

import gc
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import backend, layers
from pyrnn.models import Sequential
from pyrnn.utils import set_random_seed

X = np.random.default_rng(0).normal(size=(40, 12, 5)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(40, 1)).astype(np.float32)


def make_model(units: int = 24) -> Sequential:
    set_random_seed(3)
    model = Sequential(
        [
            layers.Input((None, 5)),
            layers.LSTM(units, return_sequences=True),
            layers.Bidirectional(layers.GRU(7)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def trained(_: Any = None) -> list[bytes]:
    """The weights after a short training, as bytes."""
    model = make_model()
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0, shuffle=False)
    return [weight.tobytes() for weight in model.get_weights()]


def rss() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
def test_threads_that_predict_at_once(count: int) -> None:
    """Eight Python threads on one model, each call with the same bits."""
    backend.set_num_threads(1)
    model = make_model()
    expected = model.predict(X, verbose=0).tobytes()
    backend.set_num_threads(count)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: model(X).tobytes(), range(48)))
    assert set(found) == {expected}


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_models_that_train_at_once() -> None:
    """Each in its own thread, while a further one changes the number of threads. (Seeds are drawn before.)"""
    models = [make_model() for _ in range(4)]
    expected = trained()

    def train(model: Sequential) -> list[bytes]:
        for _ in range(2):
            for first in range(0, len(X), 16):
                model.train_on_batch(X[first : first + 16], Y[first : first + 16])
        return [weight.tobytes() for weight in model.get_weights()]

    with ThreadPoolExecutor(5) as pool:
        runs = [pool.submit(train, model) for model in models]
        changes = pool.submit(lambda: [backend.set_num_threads(1 + i % 3) for i in range(30)])
        assert all(run.result() == expected for run in runs)
        changes.result()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_train_after_their_parent(method: str) -> None:
    expected = trained()  # the parent has its threads now
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(trained, range(2)) == [expected, expected]
    assert trained() == expected


def grown(work: Any, times: int) -> int:
    """By how many bytes the process grows over `times` calls, after some to warm up."""
    for _ in range(max(10, times // 10)):
        work()
    gc.collect()
    before = rss()
    for _ in range(times):
        work()
    gc.collect()
    return rss() - before


ALLOWED = 4 << 20


def check_steps(times: int) -> None:
    model = make_model()
    assert grown(lambda: model.train_on_batch(X, Y), times) < ALLOWED


def check_models(times: int) -> None:
    def work() -> None:
        model = make_model(96)
        model.train_on_batch(X, Y)
        model.predict(X, verbose=0)

    assert grown(work, times) < ALLOWED


def check_shapes(times: int) -> None:
    model = make_model()
    shapes = iter(np.random.default_rng(2).integers(1, (41, 13), size=(2 * times + 20, 2)).tolist())

    def work() -> None:
        batch, steps = next(shapes)
        model.train_on_batch(np.ascontiguousarray(X[:batch, :steps]), Y[:batch])
        model.predict(X[:batch, :steps], verbose=0)

    assert grown(work, times) < ALLOWED


CHECKS = {
    "steps": (check_steps, 1500, 100_000),
    "models": (check_models, 60, 1000),
    "shapes": (check_shapes, 600, 20_000),
}


@pytest.mark.parametrize("what", CHECKS)
def test_memory_stays_flat(what: str) -> None:
    check, times, _ = CHECKS[what]
    check(times)


@pytest.mark.slow
@pytest.mark.parametrize("what", CHECKS)
def test_memory_stays_flat_for_long(what: str) -> None:
    check, _, times = CHECKS[what]
    check(times)
