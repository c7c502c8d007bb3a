"""pyrnn beside its rivals: `python benchmarks/compare.py [--threads N] [--groups book,small,...] [--rounds N]`.

Each side runs in a process of its own, pinned to as many cores as it may use threads. All get the same weights and
data; outputs are checked against float64 first. Rounds are interleaved, so that noise meets every side; figures are
medians.
Needs pyrnn installed and, of the rivals, whatever is to be compared: `pip install ".[bench]"` takes them all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rivals import KERAS_BACKENDS, NEEDS, RIVALS
from workloads import WORKLOADS, Workload

# float32 after hundreds of steps, whatever the order of sums.
TOLERANCE = 2e-3
SLICE_SECONDS = 0.25


def serve(name: str, threads: int) -> None:
    """The worker: reads {"work": [group, index]} or {"slice": seconds} from stdin, answers a line of JSON each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the rivals print is no answer
    side: Any = None
    run: Any = None
    work: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "work" in request:
                group, index = request["work"]
                work = WORKLOADS[group][index]
                side, (x, y) = RIVALS[name](work, threads), work.data()
                run = _pass_over(side, work, x, y)
                error = float(np.abs((side.predict(x) if work.kind == "train" else run()) - work.truth()).max())
                if not error < TOLERANCE:
                    raise ArithmeticError(f"output off by {error:.2g}")
                for _ in range(3):
                    run()
                answer: dict[str, Any] = {"error": error}
            else:
                answer = {"times": [seconds / work.calls for seconds in _times(run, request["slice"])]}
                if name == "pyrnn":
                    from pyrnn import backend

                    answer["peak"] = backend.fma_peak("float32")
                    answer["bandwidth"] = backend.read_bandwidth(work.weight_bytes)
        except Exception as failure:  # one side that fails must not end the comparison
            answer = {"failure": f"{type(failure).__name__}: {failure}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def _pass_over(side: Any, work: Workload, x: Any, y: Any) -> Any:
    """What is timed: a function that trains on the batch, predicts it, or steps through it."""
    if work.kind == "train":
        return lambda: side.train(x, y)
    if work.kind == "predict":
        return lambda: side.predict(x)
    times = [np.ascontiguousarray(x[:, t]) for t in range(work.steps)]

    def walk() -> Any:
        found = None
        for each in times:
            found = side.step(each)
        return found

    return walk


def _times(run: Any, seconds: float) -> list[float]:
    run()  # finds in the caches what the side before has left there
    found, end = [], time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return found


class Worker:
    """A side's process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
        env = {
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
            "KERAS_BACKEND": KERAS_BACKENDS.get(name, "jax"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = [sys.executable, __file__, "--serve", name, "--threads", str(threads), "--cores", cores]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failure": "the process ended"}


def compare(group: str, index: int, workers: list[Worker], rounds: int) -> dict[str, Any]:
    """Medians (seconds) and the peak of one workload."""
    work = WORKLOADS[group][index]
    able, failures = [], {}
    for worker in workers:
        if not hasattr(RIVALS[worker.name], work.kind):
            continue
        answer = worker.ask(work=[group, index])
        if "failure" in answer:
            failures[worker.name] = answer["failure"]
        else:
            able.append(worker)
    times: dict[str, list[float]] = {worker.name: [] for worker in able}
    peaks, bandwidths = [], []
    for _ in range(rounds):
        for worker in able:
            answer = worker.ask(slice=SLICE_SECONDS)
            times[worker.name] += answer["times"]
            peaks += [answer["peak"]] if "peak" in answer else []
            bandwidths += [answer["bandwidth"]] if "bandwidth" in answer else []
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours, one_row = medians["pyrnn"] * work.calls, work.batch == 1
    return {
        "group": group, "name": work.name, "medians": medians, "failures": failures,
        "of_peak": work.flops / ours / 1e9 / statistics.median(peaks),
        "of_bandwidth": work.weight_bytes * work.steps / ours / statistics.median(bandwidths) if one_row else None,
    }  # fmt: skip


def limit(result: dict[str, Any], threads: int) -> str:
    """Our share of what the machine can do: its multiply-adds, or with one row the reading of weights from cache."""
    if result["of_bandwidth"] is not None:
        return f"{result['of_bandwidth'] / threads:.0%} of the bandwidth"
    return f"{result['of_peak'] / threads:.0%} of the FMA peak"


def describe(result: dict[str, Any], threads: int) -> str:
    """One paragraph: our time and share of the limit, the best rival, all the others."""
    ours = result["medians"]["pyrnn"]
    rivals = sorted((seconds, name) for name, seconds in result["medians"].items() if name != "pyrnn")
    others = ", ".join(f"{name} {seconds * 1e3:.4g} ({seconds / ours:.1f}x)" for seconds, name in rivals)
    failed = "".join(f"\n    {name}: {why}" for name, why in result["failures"].items())
    return f"{result['name']}: pyrnn {ours * 1e3:.4g} ms, {limit(result, threads)}; {others}{failed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--groups", default=",".join(WORKLOADS), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the results as JSON, for plot.py")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--cores", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        os.sched_setaffinity(0, {int(core) for core in given.cores.split(",")})
        serve(given.serve, given.threads)
        return
    from pyrnn import __version__, backend

    wanted = [name for name in RIVALS if name in given.rivals.split(",") or name == "pyrnn"]
    there = [name for name in wanted if all(importlib.util.find_spec(m) for m in NEEDS.get(name, []))]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = {
        "pyrnn": __version__, "commit": commit.stdout.strip(), "isa": backend.isa(), "compiler": backend.compiler(),
        "machine": platform.processor() or platform.machine(), "python": platform.python_version(),
        "threads": given.threads, "absent": sorted(set(wanted) - set(there)),
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    workers = [Worker(name, given.threads) for name in there]
    results = []
    for group in given.groups.split(","):
        for index in range(len(WORKLOADS[group])):
            results.append(compare(group, index, workers, given.rounds))
            print(describe(results[-1], given.threads), flush=True)
    if given.out:
        given.out.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
