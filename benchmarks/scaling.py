"""Measure how a training step or prediction scales with threads, and simulate machines with more cores than this one.

    python benchmarks/scaling.py [--threads 2 4 8 16] [--rounds 20] [--groups book small mid]

*Strong scaling*: the same batch on more threads. *Weak scaling*: a batch that grows with the threads.

A simulated time is the critical path: the caller computes every task alone, split as for that many threads, and each is
timed. Then the tasks are scheduled as the pool would, and each call is charged what a call without work costs on two
threads of this machine, times the binary logarithm of the number of threads that share it. The code between the calls,
mostly Python, takes several times as long after a task that has filled the cache with data. On its core that would be
the caller's share, so that code is timed in a step with as many rows as one of the threads has, or the fewest whose
calls still share work. Members of a team are timed one after the other too, without the states of the others. So their
results are wrong, which spoils the weights of a model that trains: models that are simulated are not measured. The
simulation does not know shared caches, memory bandwidth, or clocks that fall as more cores work; but one core has to
hold in its cache what many would share. The last column says how well it predicts as many threads as this machine has.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from workloads import SHORT, WORKLOADS, Workload

import pyrnn
from pyrnn import _core, backend, layers
from pyrnn.models import Sequential

GROUPS = ["book", "small", "mid", "large"]
EXTRA = {  # batches of other sizes
    "mid": [Workload("lstm", 512, 50, 64, (128,), kind) for kind in ("train", "predict")],
}


def runner(work: Workload) -> Callable[[], object]:
    """Return a function that runs the workload once."""
    *lower, last = work.units
    cell = getattr(layers, SHORT[work.cell])
    stack = [cell(units, return_sequences=True) for units in lower] + [cell(last), layers.Dense(1)]
    model = Sequential([layers.Input((work.steps, work.features)), *stack])
    model.compile("adam", "mse")
    x, y = work.data()
    if work.kind == "train":
        return lambda: model.train_on_batch(x, y)
    return lambda: model.predict_on_batch(x)


def timed(run: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the median seconds of a run and the processor time of one, over about that many seconds."""
    run(), run()
    times: list[float] = []
    start, processor = time.perf_counter(), time.process_time()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), (time.process_time() - processor) / len(times)


def call_costs() -> float:
    """Return the seconds that a call without work takes on two threads."""
    pyrnn.set_num_threads(2)
    return _core.call_cost()


def rehearsed(run: Callable[[], object], threads: int, seconds: float) -> tuple[float, float, float, float]:
    """Rehearse a run for `threads` cores.

    Returns:
        Medians: the number of calls that share work, the sum of the binary logarithms of the numbers of threads that
        share them, the seconds of the busiest thread in all of them, and the seconds between them.
    """
    pyrnn.set_num_threads(threads)
    _core.rehearse(True)
    runs: list[tuple[float, float, float, float]] = []
    start = time.perf_counter()
    with warnings.catch_warnings():
        # A rehearsed team computes wrong numbers, so the loss may become NaN or infinite.
        warnings.filterwarnings("ignore", "the loss is")
        while len(runs) < 5 or time.perf_counter() - start < seconds:
            _core.rehearse(True)
            begin = time.perf_counter()
            run()
            took = time.perf_counter() - begin
            calls, rounds, alone, together = _core.rehearse(True)
            runs.append((calls, rounds, together, took - alone))
    _core.rehearse(False)
    calls, rounds, together, between = map(statistics.median, zip(*runs[2:], strict=True))
    return calls, rounds, together, between


def share_of(work: Workload, threads: int) -> Callable[[], object]:
    """Return a function that runs the workload with the rows of one of `threads` threads, or the fewest that share."""
    calls, rows = rehearsed(runner(work), threads, 0)[0], math.ceil(work.batch / threads)
    while rows < work.batch:
        share = runner(replace(work, batch=rows))
        if rehearsed(share, threads, 0)[0] >= calls:
            return share
        rows *= 2
    return runner(work)


def simulated(
    run: Callable[[], object], share: Callable[[], object], threads: int, cost: float, seconds: float
) -> float:
    """Return the seconds that a run would take on `threads` cores.

    Args:
        run: runs the workload once, with a model that is not measured.
        share: what `share_of` returned.
        threads: number of threads, one on each core.
        cost: seconds of a call on two threads.
        seconds: how long to measure each of the two.

    Returns:
        The seconds.
    """
    _, rounds, together, _ = rehearsed(run, threads, seconds)
    *_, between = rehearsed(share, threads, seconds)
    return between + together + rounds * cost


@dataclass
class Row:
    """Seconds of one workload by number of threads."""

    work: Workload
    measured: dict[int, list[float]]
    processor: dict[int, list[float]]
    weak: dict[int, list[float]]
    simulated: dict[int, list[float]]

    def line(self) -> str:
        """Return the row of the table: how many times as fast as one thread."""
        base = statistics.median(self.measured[1])
        cells = [self.work.name, f"{base * 1e3:.3g} ms"]
        for threads in list(self.measured)[1:]:
            cells += [
                f"{base / statistics.median(self.measured[threads]):.2f}x",
                f"{statistics.median(self.processor[threads]) / statistics.median(self.processor[1]):.2f}",
                f"{threads * base / statistics.median(self.weak[threads]):.2f}x",
            ]
        cells += [f"{base / statistics.median(times):.2f}x" for times in self.simulated.values()]
        most = max(self.measured)
        if most > 1:
            wrong = statistics.median(self.simulated[most]) / statistics.median(self.measured[most]) - 1
            cells.append(f"{wrong:+.0%}")
        return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 4, 8, 16], help="numbers of threads to simulate")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each measurement in a round")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS[:3], help="groups of workloads")
    args = parser.parse_args()

    cores = pyrnn.get_num_threads()
    counts = [1, *(n for n in (2, 4, 8, 16, 32, 64) if n < cores), *([cores] if cores > 1 else [])]
    simulate = sorted({*args.threads, *counts[-1:]} - {1})
    cost = call_costs()
    print(f"{backend.isa()}, {cores} cores, FMA peak {backend.fma_peak():.0f} GFLOP/s per core, "
          f"a call on two threads {cost * 1e6:.2f} us\n")  # fmt: skip
    rows, runs, rehearsals, shares = [], [], [], []
    for work in [each for group in args.groups for each in WORKLOADS[group] + EXTRA.get(group, [])]:
        rows.append(Row(work, *({n: [] for n in counts} for _ in range(3)), {n: [] for n in simulate}))
        runs.append({n: runner(replace(work, batch=n * work.batch)) for n in counts})
        rehearsals.append(runner(work))
        shares.append({n: share_of(work, n) for n in simulate})
    for _ in range(args.rounds):
        for row, run, rehearsal, share in zip(rows, runs, rehearsals, shares, strict=True):
            for n in counts:
                pyrnn.set_num_threads(n)
                seconds, processor = timed(run[1], args.seconds)
                row.measured[n].append(seconds)
                row.processor[n].append(processor)
                row.weak[n].append(timed(run[n], args.seconds)[0])
            for n in simulate:
                row.simulated[n].append(simulated(rehearsal, share[n], n, cost, args.seconds))
    pyrnn.set_num_threads(cores)
    headings = ["", "one thread"]
    headings += [f"{what} {n}" for n in counts[1:] for what in ("threads:", "processor time", "weak scaling")]
    headings += [f"simulated: {n}" for n in simulate] + [f"error at {counts[-1]}"] * (cores > 1)
    print("| " + " | ".join(headings) + " |\n|" + "---|" * len(headings))
    for row in rows:
        print(row.line())


if __name__ == "__main__":
    main()
