"""Compare pyrnn with its rivals: `python benchmarks/compare.py [--threads N] [--groups book,small,...] [--rounds N]`.

`--only TEXT...` measures the workloads whose names contain one of these texts.

Each library runs in its own process, pinned to as many cores as it may use threads. All receive the same weights and
data, and their outputs are first checked against float64. Rounds are interleaved, so that noise affects every library;
figures are medians. Requires pyrnn and the rivals to compare: `pip install ".[bench]"` installs them all.
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
from graphs import GRAPHS, SIDES, Graph, truth
from rivals import KERAS_BACKENDS, NEEDS, RIVALS
from workloads import WORKLOADS, Workload

# Allows for float32 rounding over hundreds of steps, in any order of summation.
TOLERANCE = 2e-3
SLICE_SECONDS = 0.25


# The last group is models that are no stacks.
GROUPS: dict[str, list[Workload] | list[Graph]] = {**WORKLOADS, "graphs": GRAPHS}


def sides(group: str) -> dict[str, Any]:
    """Return the interface to each library that can run a group."""
    return SIDES if group == "graphs" else RIVALS


def serve(name: str, threads: int) -> None:
    """Run a worker: answer each {"work": [group, index]} or {"slice": seconds} from stdin with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep what the rivals print out of the answers
    side: Any = None
    run: Any = None
    work: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "work" in request:
                group, index = request["work"]
                work = GROUPS[group][index]
                side, (x, y) = sides(group)[name](work, threads), work.data()
                run = _pass_over(side, work, x, y)
                expected = truth(work) if group == "graphs" else work.truth()
                error = float(np.abs((side.predict(x) if work.kind == "train" else run()) - expected).max())
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
        except Exception as failure:  # a library that fails must not end the comparison
            answer = {"failure": f"{type(failure).__name__}: {failure}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def _pass_over(side: Any, work: Workload, x: Any, y: Any) -> Any:
    """Return the function to time: it trains on the batch, predicts it, or steps through it."""
    if work.kind == "train":
        return lambda: side.train(x, y)
    if work.kind == "predict":
        return lambda: side.predict(x)
    inputs = [np.ascontiguousarray(x[:, t]) for t in range(work.steps)]

    def step_through() -> Any:
        output = None
        for x_t in inputs:
            output = side.step(x_t)
        return output

    return step_through


def _times(run: Any, seconds: float) -> list[float]:
    run()  # bring its data back into the caches
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


class Worker:
    """The process of one library."""

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
        """Send one request and return the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failure": "the process ended"}


def compare(group: str, index: int, workers: list[Worker], rounds: int) -> dict[str, Any]:
    """Return the medians (seconds) of one workload and pyrnn's fraction of the machine's limits."""
    work = GROUPS[group][index]
    able, failures = [], {}
    for worker in workers:
        if not hasattr(sides(group).get(worker.name), work.kind):
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
    """Return pyrnn's fraction of the FMA peak or, with one row, of the bandwidth of reading weights."""
    if result["of_bandwidth"] is not None:
        return f"{result['of_bandwidth'] / threads:.0%} of the bandwidth"
    return f"{result['of_peak'] / threads:.0%} of the FMA peak"


def describe(result: dict[str, Any], threads: int) -> str:
    """Return one paragraph: pyrnn's time and fraction of the limit, then the rivals from the fastest on."""
    ours = result["medians"]["pyrnn"]
    rivals = sorted((seconds, name) for name, seconds in result["medians"].items() if name != "pyrnn")
    others = ", ".join(f"{name} {seconds * 1e3:.4g} ({seconds / ours:.1f}x)" for seconds, name in rivals)
    failed = "".join(f"\n    {name}: {why}" for name, why in result["failures"].items())
    return f"{result['name']}: pyrnn {ours * 1e3:.4g} ms, {limit(result, threads)}; {others}{failed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--groups", default=",".join(GROUPS), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--only", nargs="+", default=[""], metavar="TEXT", help="texts in the names of workloads")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the results as JSON, for plot.py")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--cores", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
        serve(options.serve, options.threads)
        return
    from pyrnn import __version__, backend

    selected = [name for name in RIVALS if name in options.rivals.split(",") or name == "pyrnn"]
    installed = [name for name in selected if all(importlib.util.find_spec(m) for m in NEEDS.get(name, []))]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = {
        "pyrnn": __version__, "commit": commit.stdout.strip(), "isa": backend.isa(), "compiler": backend.compiler(),
        "machine": platform.processor() or platform.machine(), "python": platform.python_version(),
        "threads": options.threads, "absent": sorted(set(selected) - set(installed)),
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    workers = [Worker(name, options.threads) for name in installed]
    results = []
    for group in options.groups.split(","):
        for index, work in enumerate(GROUPS[group]):
            if not any(text in work.name for text in options.only):
                continue
            results.append(compare(group, index, workers, options.rounds))
            print(describe(results[-1], options.threads), flush=True)
    if options.out:
        options.out.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
