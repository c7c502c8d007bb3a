"""The core's attention against its twin in NumPy and against differences.

`test_every_isa` of test_recurrent.py runs this file on each ISA too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernel.checks import DTYPES, assert_same_bits, compare
from pyrnn import _core, reference

# Batch, heads, queries, values, depth, width: below, at and above a vector and a block of queries.
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (2, 3, 5, 7, 3, 2),
    (1, 2, 16, 16, 16, 16),
    (2, 1, 17, 33, 31, 8),
    (1, 2, 64, 50, 32, 32),
    (1, 1, 130, 66, 20, 272),
]
MASKS = ["none", "values", "queries", "both", "all", "causal", "causal and values"]
INPUTS = ("query", "key", "value")
NAMES = ("y", "weights", "d_query", "d_key", "d_value", "d_additive", "d_scale")


def make_masks(kind: str, sizes: tuple[int, ...], rng: np.random.Generator) -> tuple[list[np.ndarray], bool]:
    """Masks by name, and whether attention is causal."""
    b, n, q, v = sizes[:4]
    shapes = {
        "values": [(b, 1, 1, v)],
        "queries": [(b, 1, q, 1)],
        "both": [(b, 1, q, 1), (b, 1, 1, v)],
        "all": [(b, n, q, v), (1, 1, q, v), (1, n, 1, 1), (1, 1, 1, 1)],
        "causal and values": [(b, 1, 1, v)],
    }
    return [rng.random(shape) < 0.7 for shape in shapes.get(kind, [])], kind.startswith("causal")


def problem(sizes: tuple[int, ...], dropout: bool, additive: bool = False) -> dict[str, np.ndarray]:
    """Arrays of these sizes."""
    b, n, q, v, d, e = sizes
    rng = np.random.default_rng(q)
    shapes = {"query": (b, q, n, d), "key": (b, v, n, d), "value": (b, v, n, e), "dy": (b, q, n, e)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays["additive"] = rng.standard_normal(d) if additive else None
    arrays["factors"] = (rng.random((b, n, q, v)) < 0.7) / 0.7 if dropout else None
    arrays["d_weights"] = rng.standard_normal((b, n, q, v)) if dropout else None
    return arrays


def run(module: Any, kind: str, arrays: dict[str, Any], need_d_scale: bool = True, **options: Any) -> dict[str, Any]:
    """Results of forward and backward by name."""
    typed = {name: None if x is None else x.astype(kind) for name, x in arrays.items()}
    inputs, shared = [typed[each] for each in INPUTS], {each: typed[each] for each in ("additive", "factors")}
    shared["workspace"] = _core.Workspace()
    options = {"scale": 0.3, "masks": [], "causal": False, "penalty": 1e9, "zero_unread": False} | options
    y, nothing = module.attention_forward(*inputs, **shared, need_weights=False, **options)
    assert nothing is None
    same, weights = module.attention_forward(*inputs, **shared, need_weights=True, **options)
    assert y.tobytes() == same.tobytes()
    gradients = module.attention_backward(
        *inputs, weights, typed["dy"], typed["d_weights"], scale=options["scale"], need_d_scale=need_d_scale, **shared
    )
    results = dict(zip(NAMES, (y, weights, *gradients), strict=True))
    return {name: np.asarray(x, kind) for name, x in results.items() if x is not None}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("additive", [False, True], ids=["products", "additive"])
@pytest.mark.parametrize("dropout", [False, True], ids=["plain", "dropout"])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_against_numpy(sizes: tuple[int, ...], masks: str, dropout: bool, additive: bool, dtype: str) -> None:
    rng = np.random.default_rng(0)
    arrays, (made, causal) = problem(sizes, dropout, additive), make_masks(masks, sizes, rng)
    options = {"masks": made, "causal": causal, "zero_unread": True}
    for need_d_scale in (True, False):
        ours = run(_core, dtype, arrays, need_d_scale, **options)
        compare(ours, run(reference, "float64", arrays, need_d_scale, **options), sizes[2] * sizes[3] * sizes[4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("penalty", [1e9, 2e38])
@pytest.mark.parametrize("zero_unread", [False, True])
def test_queries_that_read_nothing(zero_unread: bool, penalty: float, dtype: str) -> None:
    """Their weights follow from scores that the penalty has rounded, or are 0."""
    sizes = (2, 2, 6, 9, 4, 5)
    arrays, mask = problem(sizes, False), np.ones((2, 1, 6, 9), bool)
    mask[0, :, 1:3] = False
    options = {"masks": [mask], "zero_unread": zero_unread, "penalty": penalty}
    ours = run(_core, dtype, arrays, **options)
    compare(ours, run(reference, dtype, arrays, **options), 6 * 9 * 4)
    if zero_unread:
        assert not ours["weights"][0, :, 1:3].any() and not ours["d_query"][0, 1:3].any()
    elif dtype == "float32" or penalty > 1e9:
        np.testing.assert_allclose(ours["weights"][0, :, 1:3], 1 / 9, rtol=1e-6)


@pytest.mark.parametrize("additive", [False, True], ids=["products", "additive"])
@pytest.mark.parametrize("name", ["query", "key", "value", "additive", "scale"])
@pytest.mark.parametrize("masks", MASKS)
def test_gradients_by_differences(masks: str, name: str, additive: bool) -> None:
    """In a random direction, through the output and the weights."""
    sizes = (2, 2, 5, 7, 3, 4)
    rng = np.random.default_rng(1)
    arrays, (made, causal) = problem(sizes, True, additive or name == "additive"), make_masks(masks, sizes, rng)
    options = {"masks": made, "causal": causal, "zero_unread": True}
    gradient = run(_core, "float64", arrays, **options)[f"d_{name}"]
    direction = rng.standard_normal(gradient.shape)

    def loss(step: float) -> float:
        changed = {**arrays, name: arrays[name] + step * direction} if name in arrays else arrays
        scale = 0.3 + step * float(direction) if name == "scale" else 0.3
        results = run(_core, "float64", changed, scale=scale, **options)
        return float(np.vdot(results["y"], arrays["dy"]) + np.vdot(results["weights"], arrays["d_weights"]))

    difference = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert np.vdot(gradient, direction) == pytest.approx(difference, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sizes", [(0, 2, 3, 4, 5, 6), (2, 2, 0, 4, 5, 6), (2, 2, 3, 0, 5, 6), (0, 1, 0, 0, 1, 1)], ids=str
)
def test_nothing_to_read(sizes: tuple[int, ...], dtype: str) -> None:
    """No rows, queries or values: a query without values gets zeros."""
    with np.errstate(invalid="ignore"):
        arrays = problem(sizes, True)
        ours, theirs = run(_core, dtype, arrays), run(reference, "float64", arrays)
    compare(ours, theirs, 1)
    assert not ours["y"].any() and not ours["d_query"].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", INPUTS)
def test_numbers_that_are_not_finite(name: str, bad: float, dtype: str) -> None:
    """They reach what they reach in NumPy, masked or not, and no other head or row of the batch."""
    sizes = (2, 2, 19, 21, 5, 3)
    arrays = problem(sizes, False)
    arrays[name][1, 18, 1, 2] = bad  # a query, or a masked value
    mask = np.ones((2, 1, 1, 21), bool)
    mask[1, ..., 17:] = False
    with np.errstate(invalid="ignore"):
        ours, theirs = (run(module, dtype, arrays, masks=[mask]) for module in (_core, reference))
    for each in ours:
        np.testing.assert_array_equal(np.isfinite(ours[each]), np.isfinite(theirs[each]), each)
    assert not np.isfinite(ours["y"]).all()
    assert np.isfinite(ours["y"][0]).all() and np.isfinite(ours["d_key"][:, :, 0]).all()


def test_masks_with_other_bytes_than_1() -> None:
    """An array of bool made from bytes may hold any."""
    sizes = (2, 1, 5, 40, 3, 3)
    arrays, mask = problem(sizes, False), np.arange(40, dtype="uint8").reshape(1, 1, 1, 40) % 4
    ours = run(_core, "float64", arrays, masks=[mask.view(bool)])
    compare(ours, run(_core, "float64", arrays, masks=[mask != 0]), 1)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("additive", [False, True], ids=["products", "additive"])
def test_same_bits_at_any_thread_count(additive: bool) -> None:
    sizes = (3, 2, 130, 70, 20, 9)
    arrays = problem(sizes, True, additive)
    masks, _ = make_masks("values", sizes, np.random.default_rng(0))
    results = []
    for threads in (1, 2, 3, 7):
        _core.set_num_threads(threads)
        results.append(run(_core, "float32", arrays, masks=masks, causal=True))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": np.zeros((2, 4, 3, 5))}, r"key must have shape \(B, V, N, D\) = \(2, 4, 2, 5\), got \(2, 4, 3, 5\)"),
        ({"value": np.zeros((2, 3, 2, 6))}, r"value must have shape \(B, V, N, E\) = \(2, 4, 2, 6\)"),
        ({"value": np.zeros((2, 4, 2, 6), "float32")}, "value must be float64 like x, got float32"),
        ({"query": np.zeros((2, 3, 10))}, r"query must have shape \(B, Q, N, D\), got \(2, 3, 10\)"),
        ({"additive": np.zeros(4)}, r"additive must have shape \(D,\) = \(5,\), got \(4,\)"),
        ({"query": np.zeros((0, 2**40, 1, 1)), "key": np.zeros((0, 2**30, 1, 1))}, "too long for results of shape"),
        ({"factors": np.zeros((2, 2, 3, 5))}, r"factors must have shape \(B, N, Q, V\) = \(2, 2, 3, 4\)"),
        ({"masks": [np.ones((2, 2, 3, 5), bool)]}, r"each mask must have shape \(B, N, Q, V\) = \(2, 2, 3, 4\), or 1"),
        ({"masks": [np.ones((2, 4), bool)]}, "each mask must have shape"),
        ({"masks": [np.ones((1, 1, 1, 4))]}, "each mask must be bool"),
        ({"masks": [np.ones((1, 1, 1, 1), bool)] * 9}, "at most 8 masks, got 9"),
        ({"masks": None}, "masks must be a sequence"),
    ],
)  # fmt: skip
def test_errors(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {name: np.zeros((2, 4, 2, 5)) for name in INPUTS}
    arguments |= {"query": np.zeros((2, 3, 2, 5)), "value": np.zeros((2, 4, 2, 6)), "additive": None, "scale": 1.0}
    arguments |= {"masks": [], "causal": False, "penalty": 1e9, "zero_unread": False}
    arguments |= {"factors": None, "need_weights": True, "workspace": _core.Workspace()}
    with pytest.raises((TypeError, ValueError), match=message):
        _core.attention_forward(**arguments | changes)
