"""Measure attention in the core against the peak, its NumPy twin and PyTorch, on one thread, interleaved in one run.

    python benchmarks/attention.py [--rounds 40]

The share of the peak counts the matrix products only: two in forward, four in backward. PyTorch's backward includes the
forward pass before it, so ours is added to compare.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import _core, backend, reference

# Batch, steps, heads, features of a head.
SHAPES = {
    "encoder and decoder": (64, 50, 1, 128),
    "4 heads": (64, 50, 4, 32),
    "short": (32, 10, 1, 32),
    "200 steps, 4 heads": (8, 200, 4, 64),
    "500 steps": (4, 500, 1, 256),
}
OPTIONS = {"scale": 0.1, "factors": None, "additive": None, "workspace": _core.Workspace()}
PLAIN = {"masks": [], "causal": False, "penalty": 1e9, "zero_unread": False}


def medians(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median time of each call in milliseconds, each right after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def torch_calls(arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
    """Return PyTorch's attention, and the same with its gradients; nothing where PyTorch is missing."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    *inputs, dy = (torch.tensor(x).transpose(1, 2) for x in arrays)
    for x in inputs:
        x.requires_grad_()
    attend = torch.nn.functional.scaled_dot_product_attention

    def forward() -> None:
        with torch.no_grad():
            attend(*inputs)

    return {"torch": forward, "torch, both": lambda: torch.autograd.grad(attend(*inputs), inputs, dy)}


def measure(sizes: tuple[int, ...], rounds: int) -> str:
    """Return a row of the table."""
    b, t, n, d = sizes
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((b, t, n, d)).astype("float32") for _ in range(4)]
    *inputs, dy = arrays
    _, weights = _core.attention_forward(*inputs, **OPTIONS, **PLAIN, need_weights=True)
    mask = rng.random((b, 1, 1, t)) < 0.7
    factors = (rng.random((b, n, t, t)) < 0.7).astype("float32")

    def forward(module: Any = _core, need_weights: bool = False, **changes: Any) -> Callable[[], Any]:
        options = OPTIONS | PLAIN | changes
        return lambda: module.attention_forward(*inputs, need_weights=need_weights, **options)

    def backward(module: Any = _core) -> Callable[[], Any]:
        return lambda: module.attention_backward(*inputs, weights, dy, None, need_d_scale=False, **OPTIONS)

    calls = {
        "forward": forward(), "training": forward(need_weights=True), "backward": backward(),
        "masked": forward(masks=[mask]), "causal": forward(causal=True), "dropout": forward(factors=factors),
        "numpy": forward(reference, True), "numpy, backward": backward(reference), **torch_calls(arrays),
    }  # fmt: skip
    peaks = [backend.fma_peak()]
    ms = medians(calls, rounds)
    peaks.append(backend.fma_peak())
    limit = 4 * b * n * t * t * d / max(peaks) / 1e6
    shares = [f"{100 * part * limit / ms[name]:.0f}%" for name, part in (("forward", 1), ("backward", 2))]
    options = [f"{ms[name] / ms['forward']:.2f}" for name in ("masked", "causal", "dropout")]
    numpy = [f"{ms['numpy'] / ms['training']:.1f}", f"{ms['numpy, backward'] / ms['backward']:.1f}"]
    torch = ["", ""]
    if "torch" in ms:
        torch = [f"{ms['torch'] / ms['forward']:.1f}", f"{ms['torch, both'] / (ms['training'] + ms['backward']):.1f}"]
    times = [f"{ms[name]:.3g} ms" for name in ("forward", "training", "backward")]
    return " | ".join([*times, *shares, *options, *numpy, *torch, f"{max(peaks):.0f}"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    backend.set_num_threads(1)
    print(f"{backend.compiler()}, {backend.isa()}. Options: time of forward with each over that without.")
    print(
        "| shape | forward | in training | backward | of the peak, forward | backward | mask | causal | dropout | "
        "NumPy / ours, forward | backward | PyTorch / ours, forward | both | peak, GFLOP/s |"
    )
    print("|---" * 14 + "|")
    for name, sizes in SHAPES.items():
        b, t, n, d = sizes
        print(f"| {name}: B={b} T={t} N={n} D={d} | {measure(sizes, rounds)} |", flush=True)


if __name__ == "__main__":
    main()
