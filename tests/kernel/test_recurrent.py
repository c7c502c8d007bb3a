"""The recurrent core against its NumPy twin in float64: options, dtypes, shapes around the tile, ISAs, threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel.checks import ACTIVATIONS, DTYPES, assert_same_bits, compare
from pyrnn import _core, reference
from pyrnn.reference.recurrent import CELLS

# (B, T, F, H): ones, below, at and above the tiles of every ISA, and a wide one.
SHAPES = [(1, 1, 1, 1), (3, 2, 5, 7), (8, 4, 4, 16), (9, 3, 2, 17), (16, 5, 29, 16), (17, 4, 3, 33), (70, 2, 6, 65)]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "last": {"return_sequences": False},
    "backwards": {"go_backwards": True},
    "initial": {"initial_state": True},
    "mask": {"mask": True},
    "mask-last": {"mask": True, "return_sequences": False, "initial_state": True},
    "mask-zero": {"mask": True, "zero_output_for_mask": True},
    "mask-zero-last": {"mask": True, "zero_output_for_mask": True, "return_sequences": False},
    "scales": {"input_scale": True, "state_scale": True, "initial_state": True},
    "all": {"mask": True, "input_scale": True, "state_scale": True, "initial_state": True, "go_backwards": True},
    "gate-scales": {"input_scale": 3, "state_scale": 3, "initial_state": True},
    "gate-scales-all": {"mask": True, "input_scale": 3, "state_scale": 3, "go_backwards": True},
    "no-bias": {"bias": False},
}


def make_rnn(cell: str, shape: tuple[int, ...], option: dict[str, Any], *activations: str) -> dict[str, Any]:
    """A problem in float64; activations: of the output and of the gates, the layers' defaults where none are given."""
    b, t, f, h = shape
    kind = CELLS[cell]
    width = kind.gates * h
    rng = np.random.default_rng([b, t, f, h])
    mask = rng.random((b, t)) < 0.6
    mask[0] = False  # a row that is masked throughout
    size = 0.25 if "exponential" in activations else 1.0  # exp(exp(x)) overflows soon

    def scale(name: str, n: int) -> np.ndarray | None:
        """Dropout factors: (B, n), or (gates, B, n) where the option says 3."""
        wanted = option.get(name)
        return (rng.random((kind.gates, b, n) if wanted == 3 else (b, n)) < 0.7) / 0.7 if wanted else None

    return {
        "cell": cell,
        "x": rng.standard_normal((b, t, f)) * size,
        "kernel": rng.standard_normal((f, width)) / np.sqrt(f + h),
        "recurrent_kernel": rng.standard_normal((h, width)) / (f + h),
        "bias": rng.standard_normal((2, width) if kind.bias_rows == 2 else width) * size
        if option.get("bias", True)
        else None,
        "initial_state": list(rng.standard_normal((kind.states, b, h))) if option.get("initial_state") else None,
        "mask": mask if option.get("mask") else None,
        "input_scale": scale("input_scale", f),
        "state_scale": scale("state_scale", h),
        "go_backwards": option.get("go_backwards", False),
        "return_sequences": option.get("return_sequences", True),
        "zero_output_for_mask": option.get("zero_output_for_mask", False),
        "checkpoint_steps": None,
        "activation": activations[0] if activations else "tanh",
        "recurrent_activation": None if kind.gates == 1 else activations[1] if len(activations) > 1 else "sigmoid",
        "d_output": rng.standard_normal((b, t, h)),
        "d_final": list(rng.standard_normal((kind.states, b, h))),
    }


def cast(value: Any, dtype: str) -> Any:
    if isinstance(value, list):
        return [cast(each, dtype) for each in value]
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


def run_rnn(module: Any, problem: dict[str, Any], dtype: str, need_dx: bool = True) -> dict[str, Any]:
    """Run forward and backward; return every result by name."""
    p = {name: cast(value, dtype) for name, value in problem.items()}
    cell, bias, d_output, d_final = (p.pop(name) for name in ("cell", "bias", "d_output", "d_final"))
    arrays = [p.pop(name) for name in ("x", "kernel", "recurrent_kernel")]
    if not p["return_sequences"]:
        d_output = np.ascontiguousarray(d_output[:, -1])
    options = {**p, "workspace": module.Workspace(), "version": 1}
    output, states, saved = module.rnn_forward(cell, *arrays, bias, training=True, **options)
    inference, *_ = module.rnn_forward(cell, *arrays, bias, training=False, **options)
    assert np.array_equal(output, inference, equal_nan=True)
    gradients = {
        "d_kernel": np.full_like(arrays[1], np.nan),
        "d_recurrent_kernel": np.full_like(arrays[2], np.nan),
        "d_bias": None if bias is None else np.full_like(bias, np.nan),
    }
    dx, d_initial = module.rnn_backward(
        cell, *arrays, bias, saved, d_output, d_final_state=d_final, need_dx=need_dx, **gradients, **options
    )
    assert (d_initial is None) == (problem["initial_state"] is None)
    if d_initial is not None:
        gradients["d_initial"] = np.stack(d_initial)
    result = {"output": output, "state": np.stack(states), "dx": dx, **gradients}
    return {name: value for name, value in result.items() if value is not None}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "B{}T{}F{}H{}".format(*s))
@pytest.mark.parametrize("cell", CELLS)
def test_rnn(cell: str, shape: tuple[int, ...], option: str, dtype: str) -> None:
    problem = make_rnn(cell, shape, OPTIONS[option])
    b, t, f, h = shape
    compare(run_rnn(_core, problem, dtype), run_rnn(reference, problem, "float64"), (f + h) * t * b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_activations(cell: str, activation: str, dtype: str) -> None:
    problem = make_rnn(cell, (9, 2, 5, 19), {"mask": True}, activation)
    compare(run_rnn(_core, problem, dtype), run_rnn(reference, problem, "float64"), 24 * 2 * 9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", [name for name, kind in CELLS.items() if kind.gates > 1])
def test_rnn_recurrent_activations(cell: str, activation: str, dtype: str) -> None:
    problem = make_rnn(cell, (9, 2, 5, 19), {"state_scale": 3}, "tanh", activation)
    compare(run_rnn(_core, problem, dtype), run_rnn(reference, problem, "float64"), 24 * 2 * 9)


@pytest.mark.parametrize("option", ["plain", "all", "mask-last", "gate-scales"])
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_gradients_by_finite_differences(cell: str, option: str) -> None:
    problem = make_rnn(cell, (3, 4, 2, 3), OPTIONS[option])
    gradients = run_rnn(reference, problem, "float64")

    def objective() -> float:
        result = run_rnn(reference, problem, "float64")
        d = problem["d_output"] if problem["return_sequences"] else problem["d_output"][:, -1]
        return float((result["output"] * d).sum() + (result["state"] * np.stack(problem["d_final"])).sum())

    names = {"x": "dx", "kernel": "d_kernel", "recurrent_kernel": "d_recurrent_kernel", "bias": "d_bias"}
    checked = [(problem[name], gradients[gradient]) for name, gradient in names.items() if problem[name] is not None]
    checked += zip(problem["initial_state"] or [], gradients.get("d_initial", []), strict=True)
    for array, gradient in checked:
        for index in np.ndindex(array.shape):
            value, step = array[index], 1e-6
            array[index] = value + step
            above = objective()
            array[index] = value - step
            slope = (above - objective()) / (2 * step)
            array[index] = value
            assert abs(slope - gradient[index]) < 1e-7 * max(1, abs(slope)), index


LARGE = {
    "simple_rnn": (20, 3, 10, 520),
    "lstm": (20, 3, 70, 260),
    "gru": (20, 3, 70, 300),
    "gru_reset_before": (20, 3, 70, 300),
}


# Enough rows for one thread to process dA in several windows.
TALL = {cell: (340, 2, *shape[2:]) for cell, shape in LARGE.items()}


@pytest.mark.parametrize("option", ["plain", "last", "all", "gate-scales-all", "initial"])
@pytest.mark.parametrize("cell", CELLS)
def test_large_layers(cell: str, option: str) -> None:
    problem = make_rnn(cell, LARGE[cell], OPTIONS[option])
    b, t, f, h = LARGE[cell]
    compare(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float64"), (f + h) * t * b)


@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize("cell", CELLS)
def test_large_layers_of_few_rows(cell: str, batch: int) -> None:
    _, t, f, h = LARGE[cell]
    problem = make_rnn(cell, (batch, t, f, h), OPTIONS["plain"])
    compare(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float64"), (f + h) * t * batch)


@pytest.mark.parametrize("option", ["plain", "backwards", "all", "gate-scales-all"])
@pytest.mark.parametrize("batch", [1, 2, 18])
@pytest.mark.parametrize("cell", CELLS)
def test_few_rows_over_many_steps(cell: str, batch: int, option: str) -> None:
    """For few rows, x W is computed some steps in advance."""
    problem = make_rnn(cell, (batch, 70, 5, 19), OPTIONS[option])
    compare(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float64"), 24 * 70 * batch)


@pytest.mark.parametrize("option", ["plain", "backwards"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_row_has_the_bits_it_has_among_many(cell: str, option: str) -> None:
    problem = make_rnn(cell, (21, 70, 5, 19), OPTIONS[option])
    among = run_rnn(_core, problem, "float32")["output"]
    alone = {**problem, "d_final": [each[:1] for each in problem["d_final"]]}
    alone.update({name: problem[name][:1] for name in ("x", "d_output")})
    assert_same_bits({"output": among[:1].copy()}, run_rnn(_core, alone, "float32"))


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("option", ["plain", "mask"])
@pytest.mark.parametrize("cell", CELLS)
def test_rows_of_a_large_layer_have_the_bits_they_have_in_other_batches(cell: str, option: str) -> None:
    """One block has all rows. On AVX2 the sums of several tiles wait for the cell's update, up to a number of rows."""
    _core.set_num_threads(1)
    _, t, f, h = LARGE[cell]
    problem = make_rnn(cell, (61, t, f, h), {**OPTIONS[option], "initial_state": True})
    among = run_rnn(_core, problem, "float32")["output"]
    first = 0
    for rows in (1, 2, 7, 16, 35):
        taken = slice(first, first + rows)
        part = {**problem, "d_final": [each[taken] for each in problem["d_final"]]}
        part["initial_state"] = [each[taken] for each in problem["initial_state"]]
        part["mask"] = None if problem["mask"] is None else problem["mask"][taken]
        part.update({name: problem[name][taken] for name in ("x", "d_output")})
        assert_same_bits({"output": among[taken].copy()}, run_rnn(_core, part, "float32"))
        first += rows


# Groups of half a block of rows, of one and of several, with one segment or several, and layers in which a thread has
# all its rows in one block.
SPLIT_SHAPES = [
    (128, 20, 29, 16), (600, 20, 3, 9), (40, 300, 2, 24), (70, 9, 33, 130), (300, 130, 2, 40), "large", "tall",
]  # fmt: skip


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("option", ["mask", "gate-scales"])
@pytest.mark.parametrize("shape", SPLIT_SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_at_any_thread_count(cell: str, shape: Any, option: str) -> None:
    problem = make_rnn(cell, {"large": LARGE[cell], "tall": TALL[cell]}.get(shape, shape), OPTIONS[option])
    results = []
    for count in (1, 2, 3, 8, 16, 64):
        _core.set_num_threads(count)
        results.append(run_rnn(_core, problem, "float32"))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("cell", CELLS)
def test_tall_layers(cell: str) -> None:
    _core.set_num_threads(1)
    b, t, f, h = TALL[cell]
    problem = make_rnn(cell, TALL[cell], OPTIONS["plain"])
    compare(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float64"), (f + h) * t * b)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_python_threads_at_once() -> None:
    """Of simultaneous calls one gets the workers and the others run alone; sharing a workspace is safe."""
    _core.set_num_threads(2)
    problem = make_rnn("lstm", (40, 10, 8, 16), {})
    call = {name: cast(value, "float32") for name, value in problem.items() if name not in ("d_output", "d_final")}
    shared = _core.Workspace()
    expected = run_rnn(_core, problem, "float32")

    def work(_: int) -> dict[str, Any]:
        output, *_states = _core.rnn_forward(**call, training=False, workspace=shared, version=1)
        assert np.array_equal(output, expected["output"])
        return run_rnn(_core, problem, "float32")

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(work, range(40)):
            assert_same_bits(expected, result)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_that_vanish_are_0_and_never_subnormal(cell: str) -> None:
    problem = make_rnn(cell, (40, 30, 3, 16), {"return_sequences": False})
    problem["recurrent_kernel"] *= 1e-2
    problem["d_final"] = [np.zeros_like(each) for each in problem["d_final"]]
    result = run_rnn(_core, problem, "float32")
    smallest = np.finfo(np.float32).smallest_normal
    for name, value in result.items():
        assert ((value == 0) | (np.abs(value) >= smallest)).all(), name
    if cell == "simple_rnn":
        assert (result["dx"][:, 0] == 0).all() and (result["dx"][:, -1] != 0).any()
    subnormal = np.full(3, 1e-40, np.float32)
    assert (subnormal * np.float32(0.5) != 0).all(), "the caller's own mode must be left alone"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_and_infinity_reach_what_numpy_says(cell: str, activation: str, dtype: str) -> None:
    """A NaN, with tanh an infinity too, and a NaN in backward. Formulas stop it (relu's derivative) or make one of
    inf - inf earlier (GRU). Other rows keep their bits."""
    problem = make_rnn(cell, (18, 6, 5, 19), {}, activation)
    clean = run_rnn(_core, problem, dtype)

    def check(names: list[str], rows: list[int]) -> None:
        result = run_rnn(_core, problem, dtype)
        with np.errstate(all="ignore"):
            expected = run_rnn(reference, problem, dtype)
        for name in names:
            np.testing.assert_array_equal(np.isnan(result[name]), np.isnan(expected[name]), err_msg=name)
            np.testing.assert_array_equal(np.isinf(result[name]), np.isinf(expected[name]), err_msg=name)
        assert np.isnan(result["output"][3, 2:]).all() and not np.isnan(result["output"][3, :2]).any()
        others = [row for row in range(18) if row not in rows]
        for name in ("output", "dx"):
            assert result[name][others].tobytes() == clean[name][others].tobytes()

    problem["x"][3, 2, 1] = np.nan
    check(list(clean) if activation == "tanh" else ["output", "state"], [3])
    if activation == "tanh":
        problem["x"][7, 0, 4], problem["x"][17, 5, 0] = np.inf, -np.inf
        check(["output", "state"], [3, 7, 17])


@pytest.fixture(scope="module")
def other_isas(uncounted: dict[str, str]) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Run the kernel's tests in one process per other ISA, as many at a time as there are cores.

    They reach the same lines as the tests of this process.
    """
    names = ("test_recurrent.py", "test_operations.py", "test_attention.py", "test_not_finite.py")
    files = [str(Path(__file__).with_name(name)) for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]

    def run(isa: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env={**uncounted, "PYRNN_ISA": isa}, capture_output=True, text=True, cwd="/")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {isa: pool.submit(run, isa) for isa in _core.available_isas() if isa != _core.isa()}


@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_isa(isa: str, request: pytest.FixtureRequest) -> None:
    """Repeat all tests in a process that is forced to this ISA, and check that this ISA runs."""
    if os.environ.get("PYRNN_ISA"):
        assert _core.isa() == os.environ["PYRNN_ISA"]
        return
    if isa == _core.isa():
        return
    result = request.getfixturevalue("other_isas")[isa].result()
    assert result.returncode == 0, result.stdout[-3000:]


BAD: list[tuple[str, Any, type[Exception]]] = [
    ("x", np.zeros((2, 3)), ValueError),
    ("x", np.zeros((0, 3, 4)), ValueError),
    ("x", np.zeros((2, 0, 4)), ValueError),
    ("x", [[[1.0]]], TypeError),
    ("x", np.zeros((2, 3, 4), np.int32), TypeError),
    ("x", np.zeros((2, 4, 3)).transpose(0, 2, 1), ValueError),
    ("kernel", np.zeros((5, 6)), ValueError),
    ("recurrent_kernel", np.zeros((6, 5)), ValueError),
    ("recurrent_kernel", np.zeros((6, 6), np.float32), TypeError),
    ("bias", np.zeros(5), ValueError),
    ("mask", np.ones((2, 4), bool), ValueError),
    ("mask", np.ones((2, 3)), TypeError),
    ("activation", "tanhh", ValueError),
]


@pytest.mark.parametrize("name,value,error", BAD, ids=lambda v: str(v)[:20])
def test_bad_input_is_refused(name: str, value: Any, error: type[Exception]) -> None:
    problem = make_rnn("simple_rnn", (2, 3, 4, 6), {})
    for unused in ("d_output", "d_final"):
        del problem[unused]
    problem[name] = value
    with pytest.raises(error, match=name if name != "activation" else "activation must be"):
        _core.rnn_forward(**problem, training=False, workspace=_core.Workspace(), version=None)
