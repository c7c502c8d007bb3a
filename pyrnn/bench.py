"""``pyrnn bench``: training steps of the compiled core and of the NumPy reference, timed in one run.

A step is `Sequential.train_on_batch`: forward, mean squared error, backward and Adam. Two models, one per backend,
start from the same weights, and their losses and gradients must agree before anything is timed. Then they take turns,
so that a slow moment of the machine affects both, and the medians are compared.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import pyrnn
from pyrnn import backend, layers

TARGETS = 1


@dataclass(frozen=True)
class Case:
    """A stack of SimpleRNN layers under Dense(1).

    Args:
        batch: Rows of a batch (B).
        steps: Time steps (T).
        features: Features of the input (F).
        units: Units of each recurrent layer (H).
        label: What the table calls it, before the shape.
    """

    batch: int
    steps: int
    features: int
    units: tuple[int, ...]
    label: str = ""

    @property
    def name(self) -> str:
        """Label and shape."""
        shape = f"B={self.batch} T={self.steps} F={self.features} H={'-'.join(map(str, self.units))}"
        return f"{self.label} {shape}".strip()

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products in one step; the input needs no gradient."""
        total, width = 0, self.features
        for depth, units in enumerate(self.units):
            products = 2 * self.batch * self.steps * units
            total += products * width * (2 if depth == 0 else 3) + products * units * 3
            width = units
        return total + 3 * 2 * self.batch * width * TARGETS

    def model(self, dtype: str) -> pyrnn.Sequential:
        """Return the compiled model, with the same random weights at each call."""
        pyrnn.utils.set_random_seed(0)
        *lower, top = self.units
        model = pyrnn.Sequential([layers.Input((self.steps, self.features), dtype=dtype)])
        for units in lower:
            model.add(layers.SimpleRNN(units, return_sequences=True, dtype=dtype))
        model.add(layers.SimpleRNN(top, dtype=dtype))
        model.add(layers.Dense(TARGETS, dtype=dtype))
        model.compile("adam", "mse")
        return model


BOOK = (
    Case(128, 100, 29, (16,), "book: SimpleRNN(16)"),
    Case(128, 100, 29, (16, 32, 64), "book: stack"),
)
GRID = (
    Case(1, 100, 29, (16,)),
    Case(32, 50, 8, (32,)),
    Case(32, 100, 64, (64,)),
    Case(64, 100, 128, (128,)),
    Case(128, 50, 64, (256,)),
)


def check(case: Case, dtype: str, losses: dict[str, float], models: dict[str, pyrnn.Sequential]) -> None:
    """Compare the losses and gradients of the first step.

    Raises:
        ArithmeticError: If they differ by more than rounding.
    """
    # Longest sum: a weight's gradient over all rows and steps.
    tolerance = float(np.finfo(dtype).eps) * (16.0 + 4.0 * (case.batch * case.steps) ** 0.5)
    weights = zip(models["core"].trainable_weights, models["reference"].trainable_weights, strict=True)
    pairs = [("loss", np.array(losses["core"]), np.array(losses["reference"]))]
    pairs += [(f"gradient of {core.path}", core.gradient, reference.gradient) for core, reference in weights]
    for what, core, reference in pairs:
        error = float(np.max(np.abs(core - reference)) / max(float(np.max(np.abs(reference))), 1e-30))
        if not error <= tolerance:
            raise ArithmeticError(
                f"{case.name}: {what} of core and reference differ by {error:.1e} of its largest value"
            )


def measure(case: Case, dtype: str, seconds: float) -> dict[str, float]:
    """Return the median seconds of a step by backend, after comparing their first steps.

    Args:
        case: The model and its input.
        dtype: "float32" or "float64".
        seconds: How long to measure; at least five steps of each.

    Raises:
        ArithmeticError: If the backends disagree.
    """
    rng = np.random.default_rng(1)
    x = rng.standard_normal((case.batch, case.steps, case.features)).astype(dtype)
    y = rng.standard_normal((case.batch, TARGETS)).astype(dtype)
    models = {name: case.model(dtype) for name in backend.BACKENDS}

    def step(name: str) -> tuple[float, float]:
        """Train on one backend and return the loss and the seconds."""
        backend.use_backend(name)
        start = time.perf_counter()
        loss = models[name].train_on_batch(x, y)
        return float(loss), time.perf_counter() - start

    check(case, dtype, {name: step(name)[0] for name in models}, models)
    times: dict[str, list[float]] = {name: [] for name in models}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["core"]) < 5:
        for name in models:
            times[name].append(step(name)[1])
    return {name: statistics.median(values) for name, values in times.items()}


def run(*, dtype: str, threads: int, seconds: float, grid: bool, echo: Callable[[str], None] = print) -> None:
    """Print one line for each case.

    Args:
        dtype: "float32" or "float64".
        threads: Threads of the core.
        seconds: Time for each case.
        grid: Whether to measure other shapes after the book's models.
        echo: Receives each line.

    Raises:
        ImportError: If the compiled core was not built.
        ArithmeticError: If core and reference disagree.
    """
    before, before_threads = backend.current_backend(), backend.get_num_threads()
    try:
        backend.set_num_threads(threads)
        peak = backend.fma_peak(dtype)
        echo(f"pyrnn {pyrnn.__version__}, {backend.compiler()}, isa {backend.isa()}, {threads} thread(s), {dtype}")
        echo(
            f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, "
            f"BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'its own choice (set OPENBLAS_NUM_THREADS=1)')}"
        )
        echo(f"FMA peak measured now: {peak:.1f} GFLOP/s a thread; a step is forward, backward and Adam; medians\n")
        cases = BOOK + (GRID if grid else ())
        width = max(len(case.name) for case in cases)
        echo(f"{'model':<{width}}  reference ms   core ms  times  GFLOP/s  of peak")
        for case in cases:
            median = measure(case, dtype, seconds)
            rate = case.flops / median["core"] / 1e9
            echo(
                f"{case.name:<{width}}  {median['reference'] * 1e3:12.3f}  {median['core'] * 1e3:8.3f}"
                f"  {median['reference'] / median['core']:5.1f}  {rate:7.1f}  {rate / (peak * threads):6.0%}"
            )
    finally:
        backend.set_num_threads(before_threads)
        backend.use_backend(before)
