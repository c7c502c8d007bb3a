"""The pool of threads: whom a call wakes, and what idle threads cost."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import pytest

from pyrnn import _core, backend, layers

ROWS = np.random.default_rng(0).integers(0, 9, (100, 33000)).astype(np.float32)  # each of which is one task


def run(tasks: int) -> None:
    """Call an operation that is split into `tasks` tasks."""
    _core.gather_rows(ROWS, np.arange(tasks))


def switches(thread: int) -> int:
    """How often a thread has gone to sleep."""
    lines = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def sleeps(thread: int) -> bool:
    return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def until_asleep(pool: list[int]) -> None:
    """Wait until the threads sleep."""
    deadline = time.monotonic() + 10
    while not all(map(sleeps, pool)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(count: int) -> list[int]:
    """Start a pool of `count` threads; return the ids of its workers."""
    backend.set_num_threads(1)
    run(2)
    others = set(os.listdir("/proc/self/task"))
    backend.set_num_threads(count)
    run(2)
    return sorted(int(thread) for thread in set(os.listdir("/proc/self/task")) - others)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_a_call_wakes_only_as_many_workers_as_it_has_tasks(tasks: int) -> None:
    """They all used to wake, and each delayed the end of the call."""
    pool = workers(8)
    assert len(pool) == 7
    run(8)
    until_asleep(pool)
    before = [switches(worker) for worker in pool]
    for _ in range(20):
        run(tasks)
        time.sleep(0.002)
    woken = [switches(worker) > count for worker, count in zip(pool, before, strict=True)]
    assert woken == [True] * (tasks - 1) + [False] * (8 - tasks)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_a_short_operation_wakes_no_worker() -> None:
    """It would end before they come."""
    pool = workers(4)
    until_asleep(pool)
    before = [switches(worker) for worker in pool]
    y = np.ones(1 << 16, np.float32)
    for _ in range(20):
        _core.squared_error(y, y)
        time.sleep(0.002)
    assert [switches(worker) for worker in pool] == before


@pytest.mark.usefixtures("any_thread_count")
def test_idle_threads_take_no_processor_time() -> None:
    pool = workers(16)
    for _ in range(10):
        run(16)
    until_asleep(pool)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.03


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("count", [2, 3, 8, 64])
def test_calls_of_any_number_of_tasks(count: int) -> None:
    """Each task runs once, whichever threads come, and whether they have fallen asleep or not."""
    rng = np.random.default_rng(0)
    backend.set_num_threads(count)
    for tasks in rng.integers(1, 100, 60).tolist():
        order = rng.permutation(tasks)
        assert (_core.gather_rows(ROWS, order) == ROWS[order]).all()
        time.sleep(float(rng.choice([0, 0, 0.0005])))


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_rehearsed_calls(threads: int) -> None:
    """They compute the same, and their time on many threads lies between that of one thread and an even share."""
    order = np.arange(40)[::-1].copy()
    backend.set_num_threads(threads)
    _core.rehearse(True)
    assert (_core.gather_rows(ROWS, order) == ROWS[order]).all()
    run(1)  # too small to be shared
    run(2)
    calls, rounds, alone, together = _core.rehearse(False)
    assert calls == 2
    assert 0 < rounds <= calls * math.log2(threads)
    assert alone / threads <= together < alone
    run(2)
    assert _core.rehearse(False) == (0, 0.0, 0.0, 0.0)


def test_the_cost_of_a_call() -> None:
    assert 0 < _core.call_cost() < 0.01


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize(("batch", "shared"), [(1, False), (8, False), (256, True)])
def test_a_layer_with_little_work_stays_with_the_caller(batch: int, shared: bool) -> None:
    layer = layers.SimpleRNN(16)
    x = np.ones((batch, 20, 8), np.float32)
    layer(x)
    backend.set_num_threads(8)
    _core.rehearse(True)
    layer.forward(x, training=True)
    layer.backward(np.ones((batch, 16), np.float32))
    calls, *_ = _core.rehearse(False)
    assert (calls > 0) == shared
