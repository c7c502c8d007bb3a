"""Measure what options cost: a training step of a layer with each, relative to the plain layer, interleaved in one run.

    python benchmarks/options.py [--threads 1] [--rounds 40]

Bidirectional reads the sequence twice, so it is compared with a stack of two plain layers of the same shape. With half
the units in each direction its output is as wide as the plain layer's, so it is compared with that one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import SHORT, Workload

import pyrnn
from pyrnn import layers

SHAPES = {"B32 T50 F16 H32": (32, 50, 16, 32), "B64 T50 F64 H128": (64, 50, 64, 128)}
CELLS = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}
KINDS = {layer: kind for kind, layer in SHORT.items()}

Stack = list[layers.Layer]


def options(cell: Any, units: int) -> dict[str, Callable[[], Stack]]:
    """Return layer factories by name; the "plain" entries and "two plain layers" are the baselines of the others."""
    cells = {layers.SimpleRNN: layers.SimpleRNNCell, layers.LSTM: layers.LSTMCell, layers.GRU: layers.GRUCell}
    return {
        "plain": lambda: [cell(units)],
        "plain sequences": lambda: [cell(units, return_sequences=True), layers.GlobalAveragePooling1D()],
        "two plain layers": lambda: [cell(units, return_sequences=True), cell(units)],
        "mask": lambda: [layers.Masking(), cell(units)],
        "mask, zero_output": lambda: [layers.Masking(), cell(units, zero_output_for_mask=True)],
        "dropout": lambda: [cell(units, dropout=0.2)],
        "recurrent_dropout": lambda: [cell(units, recurrent_dropout=0.2)],
        "both dropouts": lambda: [cell(units, dropout=0.2, recurrent_dropout=0.2)],
        "go_backwards": lambda: [cell(units, go_backwards=True)],
        "kernel_regularizer": lambda: [cell(units, kernel_regularizer="l2")],
        "RNN(cell)": lambda: [layers.RNN(cells[cell](units))],
        "LayerNormalization": lambda: [
            cell(units, return_sequences=True), layers.LayerNormalization(), layers.GlobalAveragePooling1D()
        ],
        "BatchNormalization": lambda: [
            cell(units, return_sequences=True), layers.BatchNormalization(), layers.GlobalAveragePooling1D()
        ],
        "Bidirectional": lambda: [layers.Bidirectional(cell(units))],
        "Bidirectional, output as wide": lambda: [layers.Bidirectional(cell(units // 2))],
        "RNN of two cells": lambda: [layers.RNN([cells[cell](units), cells[cell](units)])],
    }  # fmt: skip


PLAIN = "plain"
# Baselines of the options that are not compared with the plain layer.
BASELINES = {
    "LayerNormalization": "plain sequences",
    "BatchNormalization": "plain sequences",
    "Bidirectional": "two plain layers",
    "RNN of two cells": "two plain layers",
}


def measure(cell: Any, shape: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of `train_on_batch` per option, with one step of each option per round."""
    batch, time_steps, features, units = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, time_steps, features)).astype("float32")
    x[::2, time_steps * 3 // 4 :] = 0
    y = rng.normal(size=(batch, 1)).astype("float32")
    models = {}
    for name, make in options(cell, units).items():
        models[name] = pyrnn.Sequential([pyrnn.Input((time_steps, features)), *make(), layers.Dense(1)])
        models[name].compile("adam", "mse")
        for _ in range(3):
            models[name].train_on_batch(x, y)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) * 1e3 for name, values in times.items()}


def main() -> None:
    """Print a table of ratios for each shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    pyrnn.set_num_threads(arguments.threads)
    peaks = [pyrnn.backend.fma_peak()]
    print(f"isa {pyrnn.backend.isa()}, {arguments.threads} thread(s), train_on_batch, times the plain layer\n")
    for title, shape in SHAPES.items():
        results = {name: measure(cell, shape, arguments.rounds) for name, cell in CELLS.items()}
        print(f"| {title} | {' | '.join(CELLS)} |\n|---|{'---|' * len(CELLS)}")
        peaks.append(pyrnn.backend.fma_peak())
        print(f"| plain, ms | {' | '.join(f'{times[PLAIN]:.3f}' for times in results.values())} |")
        peak = statistics.median(peaks) * 1e6  # operations a millisecond
        work = [Workload(KINDS[cell], *shape[:3], (shape[3],), "train").flops for cell in results]
        shares = [flops / peak / times[PLAIN] for flops, times in zip(work, results.values(), strict=True)]
        print(f"| its share of the FMA peak of one thread | {' | '.join(f'{share:.0%}' for share in shares)} |")
        for option in options(layers.SimpleRNN, 1):
            if option.startswith(("plain", "two")):
                continue
            ratios = [times[option] / times[BASELINES.get(option, PLAIN)] for times in results.values()]
            print(f"| {option} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
        print()
    print(f"FMA peak of one thread, before and after each table: {', '.join(f'{peak:.0f}' for peak in peaks)} GFLOP/s")


if __name__ == "__main__":
    main()
