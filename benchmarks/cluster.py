"""Estimate the time of a training step on several processes over a network: on paper, by simulation, and against MPI.

    python benchmarks/cluster.py [--shards 8] [--ranks 1 2 4 8] [--check]

The parts of a step are measured in one process on one thread, at the rows of one shard: forward and backward, what
every process repeats (loss, metrics, optimizer), and the sum of two gradients. A network has a time for each message
and a bandwidth. With S shards on R processes, N bytes of gradients and O bytes of outputs of the whole batch,

    step = repeated + S/R (forward + backward) + (S/R - 1) add(N) + exchange(O) + exchange(N) + the sums of R vectors

On paper, exchange(O) is R - 1 messages with O (R - 1)/R bytes. exchange(N) is one message of N bytes on two processes;
on more, R - 1 messages with N (R - 1)/R bytes, twice. The simulation also draws the time of each shard from the
measured ones, so that processes wait for the slowest, and sends the gradients of each layer as soon as the last shard
has run backward through it. `--check` measures a step on two processes of this machine with MPI (`mpirun` must be on
the path), and the time and bandwidth of its messages, and says how far the estimates are off.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from workloads import SHORT, Workload

import pyrnn
from pyrnn import layers
from pyrnn.distributed.passes import ShardedPasses
from pyrnn.models import Sequential

MODELS = {
    "stack": Workload("simple_rnn", 128, 100, 29, (16, 32, 64), "train"),
    "H=128": Workload("lstm", 128, 100, 29, (128,), "train"),
    "H=1024": Workload("lstm", 128, 50, 29, (1024,), "train"),
}


@dataclass(frozen=True)
class Network:
    """Seconds that a message takes on its way, and bytes per second of one process."""

    latency: float
    bandwidth: float

    def exchange(self, messages: int, size: float) -> float:
        """Return the seconds for messages of `size` bytes in total."""
        return messages * self.latency + size / self.bandwidth


# TCP over Ethernet, of whose bits headers take 6 %.
NETWORKS = {
    "10 Gbit/s": Network(40e-6, 0.94 * 10e9 / 8),
    "100 Gbit/s": Network(15e-6, 0.94 * 100e9 / 8),
}


@dataclass(frozen=True)
class Parts:
    """Seconds of the parts of a step, and bytes.

    Args:
        shards: number of shards.
        plain: a step without shards.
        forward: samples of a shard forward.
        backward: samples of a shard backward.
        repeated: what every process does.
        add: one addition of two vectors of gradients.
        gradients: bytes of the gradients of each layer, the uppermost first.
        outputs: bytes of the outputs of a batch.
    """

    shards: int
    plain: float
    forward: list[float]
    backward: list[float]
    repeated: float
    add: float
    gradients: list[int]
    outputs: int


def made(work: Workload) -> Sequential:
    """Return the model of a workload, compiled."""
    *lower, last = work.units
    cell = getattr(layers, SHORT[work.cell])
    stack = [cell(units, return_sequences=True) for units in lower] + [cell(last), layers.Dense(1)]
    model = Sequential([layers.Input((work.steps, work.features)), *stack])
    model.compile("adam", "mse")
    return model


def steps_of(work: Workload, seconds: float) -> list[float]:
    """Return the seconds of training steps, at least five, for about that long in total."""
    model, (x, y) = made(work), work.data()
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        begin = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - begin)
    return times


def measured(work: Workload, shards: int, seconds: float) -> Parts:
    """Measure the parts of a step in this process."""
    pyrnn.set_num_threads(1)
    plain = statistics.median(steps_of(work, seconds))
    passes: dict[str, list[float]] = {"forward_pass": [], "backward_pass": []}

    def timed(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = run(*args, **kwargs)
            passes[name].append(time.perf_counter() - begin)
            return result

        return replacement

    before = {name: getattr(ShardedPasses, name) for name in passes}
    for name, run in before.items():
        setattr(ShardedPasses, name, timed(name, run))
    try:
        with pyrnn.distributed.DataParallel(shards).scope():
            times = steps_of(work, seconds)
    finally:
        for name, run in before.items():
            setattr(ShardedPasses, name, run)
    model = made(work)
    gradients = [sum(4 * weight.size for weight in layer.trainable_weights) for layer in reversed(model.layers)]
    a, b = np.ones((2, sum(gradients) // 4), np.float32)
    adds = []
    for _ in range(50):
        begin = time.perf_counter()
        np.add(a, b, out=a)
        adds.append(time.perf_counter() - begin)
    add = statistics.median(adds)
    count = len(times)
    forward = [each / shards for each in passes["forward_pass"][-count:]]
    backward = [(each - (shards - 1) * add) / shards for each in passes["backward_pass"][-count:]]
    repeated = statistics.median(times) - shards * (statistics.median(forward) + statistics.median(backward))
    repeated -= (shards - 1) * add
    return Parts(shards, plain, forward, backward, repeated, add, gradients, 4 * work.batch)


def on_paper(parts: Parts, network: Network, ranks: int) -> float:
    """Return the seconds of a step by the formula."""
    owned = parts.shards // ranks
    compute = owned * (statistics.median(parts.forward) + statistics.median(parts.backward)) + (owned - 1) * parts.add
    if ranks == 1:
        return parts.repeated + compute
    size, share = sum(parts.gradients), (ranks - 1) / ranks
    outputs = network.exchange(ranks - 1, parts.outputs * share)
    if ranks == 2:
        return parts.repeated + compute + outputs + network.exchange(1, size) + parts.add
    sums = (ranks - 1) * parts.add / ranks
    return parts.repeated + compute + outputs + 2 * network.exchange(ranks - 1, size * share) + sums


def simulated(parts: Parts, network: Network, ranks: int, steps: int = 400, seed: int = 0) -> float:
    """Return the median seconds of simulated steps, in which processes wait and layers overlap."""
    rng = np.random.default_rng(seed)
    owned, size = parts.shards // ranks, sum(parts.gradients)
    forward, backward = np.array(parts.forward), np.array(parts.backward)
    times = []
    for _ in range(steps):
        ready = rng.choice(forward, (ranks, owned)).sum(axis=1).max()  # the outputs of all are needed
        if ranks > 1:
            ready += network.exchange(ranks - 1, parts.outputs * (ranks - 1) / ranks)
        of_shards = rng.choice(backward, (ranks, owned))
        begin = ready + of_shards[:, :-1].sum(axis=1) + (owned - 1) * parts.add  # of the last shard
        if ranks == 1:
            times.append(parts.repeated + float((begin + of_shards[:, -1]).max()))
            continue
        rounds, share = (1, 1.0) if ranks == 2 else (2, (ranks - 1) / ranks)
        messages = 1 if ranks == 2 else ranks - 1
        wire, done = 0.0, begin
        for block in parts.gradients:
            done = done + of_shards[:, -1] * block / size
            wire = max(wire, float(done.max()))  # the slowest process has this layer
            wire += rounds * network.exchange(messages, block * share) + parts.add * block / size
        times.append(parts.repeated + wire)
    return statistics.median(times)


def job(name: str, shards: int, seconds: float) -> None:
    """Run as a process of MPI: print the seconds of a step and those of messages."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    pyrnn.set_num_threads(1)
    pyrnn.distributed.initialize(shards=shards)
    begin = time.perf_counter()
    steps_of(MODELS[name], 0.0)
    several = max(int(seconds * 5 / (time.perf_counter() - begin)), 5)
    model, (x, y) = made(MODELS[name]), MODELS[name].data()
    times = []
    for _ in range(several):  # the same number in both processes
        begin = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - begin)
    sizes = {}
    for size in (8, 1 << 22):
        out, back = np.ones(size, np.uint8), np.empty(size, np.uint8)
        each = []
        for _ in range(100):
            begin = time.perf_counter()
            world.Sendrecv(out, 1 - world.rank, recvbuf=back, source=1 - world.rank)
            each.append(time.perf_counter() - begin)
        sizes[size] = statistics.median(each)
    if world.rank == 0:
        print(json.dumps([statistics.median(times[2:]), sizes[8], sizes[1 << 22]]))


def checked(name: str, shards: int, seconds: float) -> tuple[float, Network]:
    """Return the seconds of a step on two processes of this machine, and what connects them."""
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        raise SystemExit("--check needs mpirun: pip install '.[mpi]' and put its folder on the path")
    command = [mpirun, "--allow-run-as-root", "--bind-to", "core", "-n", "2", sys.executable, "-W", "ignore", __file__]
    output = subprocess.run([*command, "--job", name, "--shards", str(shards), "--seconds", str(seconds)],
                            stdout=subprocess.PIPE, check=True, text=True).stdout  # fmt: skip
    step, short, long = json.loads(output.splitlines()[-1])
    return step, Network(short, (1 << 22) / (long - short))


def table(parts: Parts, networks: Sequence[str], ranks: Sequence[int]) -> None:
    """Print the seconds and the efficiency for each network and number of processes."""
    for name in networks:
        network = NETWORKS[name]
        cells = []
        for count in ranks:
            paper, seconds = on_paper(parts, network, count), simulated(parts, network, count)
            cells.append(f"{paper * 1e3:.3g} / {seconds * 1e3:.3g} ms, {parts.plain / seconds:.2f}x")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8, help="a multiple of the numbers of processes")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of processes")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--check", action="store_true", help="compare with two processes of MPI")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job(args.job, args.shards, args.seconds)
        return
    if any(args.shards % count for count in args.ranks):
        raise SystemExit(f"--shards must be a multiple of each of --ranks, got {args.shards} and {args.ranks}")
    for name in args.models:
        parts = measured(MODELS[name], args.shards, args.seconds)
        forward, backward = statistics.median(parts.forward), statistics.median(parts.backward)
        print(f"\n{name}: {MODELS[name].name}; a step without shards {parts.plain * 1e3:.3g} ms; of a shard forward "
              f"{forward * 1e3:.3g}, backward {backward * 1e3:.3g} ms; repeated {parts.repeated * 1e3:.3g} ms, add "
              f"{parts.add * 1e6:.0f} us; gradients {sum(parts.gradients) / 1e6:.2f} MB\n")  # fmt: skip
        if args.check:
            step, network = checked(name, args.shards, args.seconds)
            print(f"two processes here: {step * 1e3:.3g} ms, {parts.plain / step:.2f}x; messages "
                  f"{network.latency * 1e6:.1f} us, {network.bandwidth / 1e9:.1f} GB/s; on paper "
                  f"{on_paper(parts, network, 2) / step - 1:+.0%}, simulated "
                  f"{simulated(parts, network, 2) / step - 1:+.0%}\n")  # fmt: skip
        print("| on paper / simulated, times a plain step | " + " | ".join(f"{n} processes" for n in args.ranks))
        print("|---" * (1 + len(args.ranks)) + "|")
        table(parts, list(NETWORKS), args.ranks)
        spare = parts.plain - on_paper(parts, Network(NETWORKS["10 Gbit/s"].latency, math.inf), 2)
        pays = f"from {sum(parts.gradients) * 8 / spare / 1e9:.2g} Gbit/s on" if spare > 0 else "at no bandwidth"
        print(f"\ntwo processes are faster than a plain step {pays}, with messages of 40 us")


if __name__ == "__main__":
    main()
