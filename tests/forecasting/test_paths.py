"""Sample paths: the core against its twin, a loop over a stream and exact distributions; the same bits always."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tolerance import assert_close

import pyrnn
from pyrnn import backend, layers
from pyrnn.forecasting import sample_paths
from pyrnn.forecasting.paths import HEADS
from pyrnn.reference.draws import DISTRIBUTIONS, Draws, drawn, philox

CELLS: dict[str, Any] = {
    "simple_rnn": lambda d: layers.SimpleRNN(7, return_sequences=True, dtype=d),
    "lstm": lambda d: layers.LSTM(19, return_sequences=True, dtype=d),
    "gru": lambda d: layers.GRU(5, return_sequences=True, dtype=d),
    "gru-before": lambda d: layers.GRU(16, return_sequences=True, reset_after=False, dtype=d),
}
RANDOM = np.random.default_rng(4)
X, FUTURE = RANDOM.normal(size=(3, 6, 3)), RANDOM.normal(size=(3, 4, 2))
OPTIONS: dict[str, Any] = {"horizon": 5, "paths": 14, "seed": 2**64 - 5, "column": 1}
UNITS: dict[str, Any] = {"origin": [0.0, 1.0, -2.0], "unit": [30.0, 4.0, 0.5]}


def stack(cell: str, outputs: int, dtype: str = "float32") -> pyrnn.Sequential:
    """Two recurrent layers, a normalization between them, and a dense layer."""
    pyrnn.utils.set_random_seed(1)
    return pyrnn.Sequential([
        pyrnn.Input((None, 3), dtype=dtype), CELLS[cell](dtype), layers.LayerNormalization(dtype=dtype),
        CELLS[cell](dtype), layers.Dense(outputs, dtype=dtype), layers.Activation("linear", dtype=dtype),
    ])  # fmt: skip


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Run on a backend."""
    before = backend.current_backend()
    backend.use_backend(name)
    try:
        yield
    finally:
        backend.use_backend(before)


def constant(outputs: list[float], dtype: str = "float64") -> pyrnn.Sequential:
    """A model with the same outputs whatever it reads."""
    model = pyrnn.Sequential([pyrnn.Input((None, 1), dtype=dtype), layers.Dense(len(outputs), dtype=dtype)])
    model.set_weights([np.zeros((1, len(outputs))), outputs])
    return model


def draw(outputs: list[float], head: str, count: int = 20_000, **options: Any) -> np.ndarray:
    """Independent draws of a constant model."""
    values = sample_paths(constant(outputs), np.zeros((1, 1, 1)), horizon=1, paths=count, head=head, seed=3, **options)
    return np.asarray(values.ravel())


def softplus(value: float) -> float:
    return float(np.log1p(np.exp(value)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_core_and_the_reference_draw_the_same_paths(cell: str, head: str, dtype: str) -> None:
    model = stack(cell, HEADS[head], dtype)
    ours = sample_paths(model, X, FUTURE, head=head, **OPTIONS, **UNITS)
    with using("reference"):
        theirs = sample_paths(model, X, FUTURE, head=head, **OPTIONS, **UNITS)
    assert ours.dtype == theirs.dtype == dtype and ours.shape == (3, 14, 5)
    assert_close(ours, theirs.astype("float64"), 19 * 3 * 5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_paths_are_those_of_a_loop_over_a_stream(cell: str, dtype: str) -> None:
    model = stack(cell, 2, dtype)
    values = sample_paths(model, X, FUTURE, head="gaussian", **OPTIONS, **UNITS)
    for path in (0, 13):
        stream = model.stream(3)
        for t in range(5):
            stream.step(X[:, t])
        row = X[:, 5].copy()
        for step in range(5):
            outputs = stream.step(row)
            for b in range(3):
                draws = Draws(OPTIONS["seed"], b, path, step)
                expected = drawn("gaussian", outputs[b], UNITS["origin"][b], UNITS["unit"][b], draws)
                assert_close(values[b, path, step], expected, 19 * 3 * 5)
                row[b, 1] = (expected - UNITS["origin"][b]) / UNITS["unit"][b]
            if step < 4:
                row[:, [0, 2]] = FUTURE[:, step]


@pytest.mark.parametrize("cell", CELLS)
def test_points_are_those_of_predict_on_growing_windows(cell: str) -> None:
    model = stack(cell, 1, "float64")
    values = sample_paths(model, X, FUTURE, head="point", **OPTIONS)
    rows = X
    for step in range(5):
        point = model.predict(rows, verbose=0)[:, -1]
        assert_close(values[:, :, step], np.repeat(point, 14, axis=1), 19 * 3 * 10)
        if step < 4:
            row = np.insert(FUTURE[:, step], 1, point[:, 0], axis=1)
            rows = np.concatenate([rows, row[:, None]], axis=1)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("head", HEADS)
def test_bits_do_not_depend_on_threads(head: str, dtype: str) -> None:
    model, results = stack("lstm", HEADS[head], dtype), []
    for threads in (1, 2, 3, 8):
        pyrnn.set_num_threads(threads)
        results.append(sample_paths(model, X, FUTURE, head=head, **{**OPTIONS, "paths": 203}).tobytes())
    assert len(set(results)) == 1


def test_bits_do_not_depend_on_the_number_of_paths_and_series() -> None:
    model = stack("gru", 3)
    options = {**OPTIONS, "head": "student"}
    many = sample_paths(model, X, FUTURE, **{**options, "paths": 40})
    assert np.array_equal(many[:, :14], sample_paths(model, X, FUTURE, **options))
    assert np.array_equal(many[:1, :14], sample_paths(model, X[:1], FUTURE[:1], **options))


def test_seeds_repeat_paths_and_differ_from_each_other() -> None:
    model, options = stack("lstm", 2), {**OPTIONS, "head": "gaussian"}

    def values(seed: int | None) -> bytes:
        return bytes(sample_paths(model, X, FUTURE, **{**options, "seed": seed}).tobytes())

    assert values(3) == values(3)
    assert len({values(seed) for seed in (0, 1, 2**32, 2**63, 2**64 - 1)}) == 5
    pyrnn.utils.set_random_seed(7)
    first, second = values(None), values(None)
    pyrnn.utils.set_random_seed(7)
    assert first != second and values(None) == first


def test_sampling_leaves_the_states_of_a_stream() -> None:
    model = stack("lstm", 2)
    stream, other = model.stream(3), model.stream(3)
    for each in (stream, other):
        each.step(X[:, 0])
    inputs = np.ascontiguousarray(X[:, :4], "float32")
    ones = np.ones(3, "float32")
    before = stream.state
    stream.core.sample(inputs, 0 * ones, ones, None, 0 * inputs[..., 0], 1 + 0 * inputs[..., 0], "gaussian", 50, 0, 1)
    assert all(np.array_equal(*pair) for pair in zip(before, stream.state, strict=True))
    assert np.array_equal(stream.step(X[:, 1]), other.step(X[:, 1]))


def test_a_gaussian_model_of_an_autoregression_has_its_exact_distribution() -> None:
    """y[t + 1] = 0.8 y[t] + noise, whose paths are normal with known means and variances."""
    phi, deviation, last, unit, origin = 0.8, 0.5, 2.0, 10.0, 100.0
    model = pyrnn.Sequential([
        pyrnn.Input((None, 1), dtype="float64"),
        layers.SimpleRNN(1, activation="linear", return_sequences=True, dtype="float64"),
        layers.Dense(2, dtype="float64"),
    ])  # fmt: skip
    model.set_weights([[[phi]], [[0.0]], [0.0], [[1.0, 0.0]], [0.0, 2 * np.log(deviation)]])
    x = np.array([[[0.3], [last]]])
    values = sample_paths(model, x, horizon=6, paths=20_000, unit=unit, origin=origin, seed=11)[0]
    for h in range(1, 7):
        mean = origin + unit * last * phi**h
        spread = unit * deviation * np.sqrt((1 - phi ** (2 * h)) / (1 - phi**2))
        assert stats.kstest(values[:, h - 1], stats.norm(mean, spread).cdf).pvalue > 0.001
    correlation = np.corrcoef(values[:, 0], values[:, 1])[0, 1]
    assert correlation == pytest.approx(phi / np.sqrt(1 + phi**2), abs=0.02)


@pytest.mark.parametrize("freedom", [-9.0, 0.0, 3.0, 60.0])
def test_student_draws_have_their_distribution(freedom: float) -> None:
    values = draw([0.5, -1.0, freedom], "student", origin=3.0, unit=2.0)
    spread = 2 * (softplus(-1.0) + 1e-3)
    exact = stats.t(softplus(freedom) + 2, loc=4.0, scale=spread)
    assert stats.kstest(values, exact.cdf).pvalue > 0.001


@pytest.mark.parametrize("unit", [0.2, 3.0, 40.0, 5000.0])
@pytest.mark.parametrize("dispersion", [-12.0, -3.0, 0.0, 2.0])
def test_counts_have_their_distribution(dispersion: float, unit: float) -> None:
    values = draw([0.4, dispersion], "negative_binomial", unit=unit, origin=1.0)
    mean, r = unit * np.exp(0.4), 1 / (softplus(dispersion) + 1e-3)
    exact = stats.nbinom(r, r / (r + mean))
    assert (values >= 0).all() and (values == np.floor(values)).all()
    edges = np.unique(exact.ppf(np.linspace(0, 1, 21)[1:-1]))  # between 5 % of all or more
    expected = np.diff(np.concatenate([[0.0], exact.cdf(edges), [1.0]])) * values.size
    observed = np.histogram(values, np.concatenate([[-0.5], edges + 0.5, [np.inf]]))[0]
    assert stats.chisquare(observed, expected).pvalue > 0.001


def test_counts_of_any_size_have_their_mean() -> None:
    for unit in (1e9, 1e13, 1e18):
        values = draw([0.0, -40.0], "negative_binomial", 4000, unit=unit)
        assert values.mean() / unit == pytest.approx(1, abs=0.01)
        assert values.std() / unit == pytest.approx(np.sqrt(1e-3), rel=0.1)


def test_ratios_of_counts_are_clipped() -> None:
    assert draw([900.0, -40.0], "negative_binomial", 500).mean() == pytest.approx(np.exp(8), rel=0.02)
    assert draw([-900.0, -40.0], "negative_binomial", 500, unit=1e4).mean() == pytest.approx(1e4 * np.exp(-8), rel=0.1)


def test_the_generator_gives_the_published_words() -> None:
    """Known answers of Random123's Philox 4x32-10."""
    ones = 2**32 - 1
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    assert philox([0] * 4, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([ones] * 4, 2**64 - 1) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert philox(pi, 0x299F31D0A4093822) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_draws_are_uniform_and_independent_along_every_number_of_the_counter() -> None:
    numbers = [[Draws(9, *place).uniform() for place in places] for places in (
        [(i, 0, 0) for i in range(2000)], [(0, i, 0) for i in range(2000)], [(0, 0, i) for i in range(2000)]
    )]  # fmt: skip
    for values in numbers:
        assert stats.kstest(values, "uniform").pvalue > 0.001
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.08


def test_outputs_that_are_not_finite_give_nan_for_their_series_alone() -> None:
    x = X.copy()
    x[1, 2] = np.nan
    for head, outputs in HEADS.items():
        values = sample_paths(stack("lstm", outputs), x, FUTURE, head=head, **OPTIONS)
        assert np.isnan(values[1]).all() and np.isfinite(values[[0, 2]]).all()


def test_heads_are_the_distributions_of_the_core() -> None:
    assert HEADS == DISTRIBUTIONS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": X[0]}, r"x must have shape \(batch, time, features\)"),
        ({"x": X[:, :0]}, "x must have shape"),
        ({"x": X[..., :2], "future": FUTURE[..., :1]}, "x must have shape"),
        ({"future": None}, r"future must hold covariates of shape .* = \(3, 4, 2\), got None"),
        ({"future": FUTURE[:, :3]}, r"future must have shape .* = \(3, 4, 2\), without the target, got \(3, 3, 2\)"),
        ({"head": "gamma"}, "head must be"),
        ({"head": "student"}, r"model must have 3 output\(s\) for head='student', got 2: end it with Dense\(3\)"),
        ({"column": 3}, "column must be one of the 3 columns of x"),
        ({"column": -1}, "column must be"),
        ({"unit": 0.0}, "unit must be positive"),
        ({"unit": [1.0, 2.0]}, r"unit must be a number or have shape \(batch,\) = \(3,\), got \(2,\)"),
        ({"origin": np.nan}, "origin must hold finite numbers"),
        ({"origin": ["a", "b", "c"]}, "origin must hold numbers"),
        ({"paths": 0}, "paths must be"),
        ({"horizon": 0}, "horizon must be"),
        ({"seed": 2**64}, r"seed must be at most 2\*\*64 - 1"),
        ({"model": pyrnn.Sequential([layers.LSTM(3), layers.Dense(2)])}, "model"),
        (
            {"model": pyrnn.Sequential([pyrnn.Input((6, 3)), layers.Conv1D(2, 3, padding="causal")])},
            "model must consist",
        ),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    arguments = {"model": stack("lstm", 2), "x": X, "future": FUTURE, "head": "gaussian", **OPTIONS, **options}
    with pytest.raises((ValueError, TypeError), match=message):
        sample_paths(arguments.pop("model"), arguments.pop("x"), arguments.pop("future"), **arguments)


@pytest.mark.parametrize("implementation", ["core", "reference"])
def test_a_stream_rejects_what_does_not_fit(implementation: str) -> None:
    with using(implementation):
        core = stack("lstm", 2).stream(3).core
    inputs, ones, each = np.zeros((3, 4, 3), "float32"), np.ones(3, "float32"), np.ones((3, 4), "float32")
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, steps, features\) = \(3, 4, 3\)"):
        core.sample(inputs[:, :, :2].copy(), ones, ones, None, each, each, "gaussian", 2, 0, 1)
    with pytest.raises(ValueError, match=r"distribution student needs 3 output\(s\) of the last layer, got 2"):
        core.sample(inputs, ones, ones, None, each, each, "student", 2, 0, 1)


def test_offsets_bases_and_widths_are_those_of_each_step() -> None:
    """A model of zeros draws what the offsets say, around the base of each step and in units of its width."""
    core = constant([0.0, 0.0]).stream(2).core
    random = np.random.default_rng(2)
    inputs, offset = np.zeros((2, 4, 1)), random.normal(size=(2, 4, 2))
    base, width = random.normal(size=(2, 4)), random.uniform(1, 3, (2, 4))
    values = core.sample(inputs, np.zeros(2), np.ones(2), offset, base, width, "gaussian_spread", 3, 0, 5)
    for b, path, step in np.ndindex(2, 3, 4):
        spread = softplus(offset[b, step, 1]) + 1e-3
        z = offset[b, step, 0] + spread * Draws(5, b, path, step).normal()
        assert values[b, path, step] == pytest.approx(base[b, step] + width[b, step] * z)
    with pytest.raises(ValueError, match="base and width must be finite and width positive"):
        core.sample(inputs, np.zeros(2), np.ones(2), None, base, 0 * width, "gaussian", 3, 0, 5)
