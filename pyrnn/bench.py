"""``pyrnn bench``: the compiled core against the NumPy reference, on training steps of the book's models and a grid.

A step is the forward pass with what backward needs, the mean squared error's gradient, the whole backward pass and
Adam over all weights. Both sides start from the same weights and data; their losses and gradients must agree before
anything is timed. Then they take turns, and medians count, so a slow moment of the machine hits both.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyrnn
from pyrnn import backend

Array = NDArray[Any]
BACKENDS = ("reference", "core")
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Case:
    """A stack of SimpleRNN layers under Dense(1)."""

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
        """Multiplications and additions of the matrix products in one step; the input itself needs no gradient."""
        total, wide = 0, self.features
        for depth, units in enumerate(self.units):
            products = 2 * self.batch * self.steps * units
            total += products * wide * (2 if depth == 0 else 3) + products * units * 3
            wide = units
        return total + 3 * 2 * self.batch * wide


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


@dataclass
class Stack:
    """Weights, optimizer state and scratch of one side, driven through the backend's operations alone."""

    case: Case
    dtype: str
    name: str
    shapes: list[tuple[int, ...]] = field(init=False)
    weights: Array = field(init=False)
    gradients: Array = field(init=False)
    step_count: int = 0

    def __post_init__(self) -> None:
        """Same random weights on either side."""
        self.shapes, wide = [], self.case.features
        for units in self.case.units:
            self.shapes += [(wide, units), (units, units), (units,)]
            wide = units
        self.shapes += [(wide, 1), (1,)]
        rng = np.random.default_rng(0)
        parts = [rng.standard_normal(shape) / np.sqrt(2 * shape[0]) for shape in self.shapes]
        self.weights = np.concatenate([part.ravel() for part in parts]).astype(self.dtype)
        self.gradients = np.zeros_like(self.weights)
        self.momentum, self.velocity = np.zeros_like(self.weights), np.zeros_like(self.weights)
        backend.use_backend(self.name)
        self.workspaces = [backend.Workspace() for _ in range(len(self.case.units) + 1)]
        self.w, self.dw = self._views(self.weights), self._views(self.gradients)

    def _views(self, flat: Array) -> list[Array]:
        """The weights' own shapes inside a flat vector."""
        views, start = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            views.append(flat[start : start + size].reshape(shape))
            start += size
        return views

    def train_step(self, x: Array, y: Array) -> float:
        """One step on x (B, T, F), y (B, 1): the loss before it. The caller has switched the backend."""
        layers = len(self.case.units)
        version = self.step_count
        sequences, saved = [x], []
        for i in range(layers):
            kernel, recurrent_kernel, bias = self.w[3 * i : 3 * i + 3]
            output, _, kept = backend.rnn_forward(
                "simple_rnn",
                sequences[-1],
                kernel,
                recurrent_kernel,
                bias,
                training=True,
                **self._options(i, version),
            )
            sequences.append(output)
            saved.append(kept)
        dense: dict[str, Any] = {"activation": "linear", "workspace": self.workspaces[-1], "version": version}
        prediction, dense_saved = backend.dense_forward(sequences[-1], self.w[-2], self.w[-1], training=True, **dense)
        error = prediction - y
        d_output = backend.dense_backward(
            sequences[-1],
            self.w[-2],
            dense_saved,
            error * self.weights.dtype.type(2.0 / error.size),
            d_kernel=self.dw[-2],
            d_bias=self.dw[-1],
            need_dx=True,
            **dense,
        )
        for i in reversed(range(layers)):
            d_output, _ = backend.rnn_backward(
                "simple_rnn",
                sequences[i],
                self.w[3 * i],
                self.w[3 * i + 1],
                self.w[3 * i + 2],
                saved[i],
                d_output,
                d_final_state=None,
                d_kernel=self.dw[3 * i],
                d_recurrent_kernel=self.dw[3 * i + 1],
                d_bias=self.dw[3 * i + 2],
                need_dx=i > 0,
                **self._options(i, version),
            )
        self.step_count += 1
        backend.adam_step(
            self.weights,
            self.gradients,
            self.momentum,
            self.velocity,
            None,
            learning_rate=LEARNING_RATE,
            beta_1=0.9,
            beta_2=0.999,
            epsilon=1e-7,
            step=self.step_count,
        )
        return float(np.mean(np.square(error)))

    def _options(self, layer: int, version: int) -> dict[str, Any]:
        """What forward and backward of a layer share."""
        return {
            "activation": "tanh",
            "recurrent_activation": None,
            "initial_state": None,
            "mask": None,
            "input_scale": None,
            "state_scale": None,
            "go_backwards": False,
            "return_sequences": layer + 1 < len(self.case.units),
            "zero_output_for_mask": False,
            "checkpoint_steps": None,
            "workspace": self.workspaces[layer],
            "version": version,
        }


def check(stacks: dict[str, Stack], x: Array, y: Array) -> None:
    """One step on both sides from the same weights.

    Raises:
        ArithmeticError: if losses or gradients differ by more than rounding.
    """
    losses = {}
    for name, stack in stacks.items():
        backend.use_backend(name)
        losses[name] = stack.train_step(x, y)
    core, reference = stacks["core"], stacks["reference"]
    # Longest sum: a weight's gradient over all rows and steps.
    terms = core.case.batch * core.case.steps
    tolerance = float(np.finfo(core.weights.dtype).eps) * (16.0 + 4.0 * terms**0.5)
    pairs = [("loss", np.array(losses["core"]), np.array(losses["reference"]))]
    pairs += [(f"gradient {i}", a, b) for i, (a, b) in enumerate(zip(core.dw, reference.dw, strict=True))]
    for what, a, b in pairs:
        error = float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-30))
        if not error <= tolerance:
            raise ArithmeticError(
                f"{core.case.name}: {what} of core and reference differ by {error:.1e} of its largest value"
            )


def measure(case: Case, dtype: str, seconds: float) -> dict[str, float]:
    """Median seconds of a step on either side, after both were checked against each other."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((case.batch, case.steps, case.features)).astype(dtype)
    y = rng.standard_normal((case.batch, 1)).astype(dtype)
    stacks = {name: Stack(case, dtype, name) for name in BACKENDS}
    check(stacks, x, y)
    times: dict[str, list[float]] = {name: [] for name in BACKENDS}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["core"]) < 5:
        for name, stack in stacks.items():
            backend.use_backend(name)
            start = time.perf_counter()
            stack.train_step(x, y)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def run(*, dtype: str, threads: int, seconds: float, grid: bool, echo: Callable[[str], None] = print) -> None:
    """Print one line for each case.

    Raises:
        ImportError: if the compiled core was not built.
        ArithmeticError: if core and reference disagree.
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
