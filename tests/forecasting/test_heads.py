"""Heads: exact gradients, quantiles that do not cross, and the distributions that they claim to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special as reference
from scipy import stats

from pyrnn.forecasting import heads, special
from pyrnn.reference.draws import Draws, drawn

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NAMES = ["mae", "mse", "quantile", "gaussian", "student", "negative_binomial"]


def example(name: str, seed: int = 0) -> tuple[heads.Head, Any, Any, Any, Any]:
    """A head, raw outputs (6, 4, O), targets (6, 4), bases and scales."""
    generator = np.random.default_rng(seed)
    head = heads.make(name, LEVELS)
    raw = generator.normal(size=(6, 4, head.outputs))
    base, scale = generator.uniform(3, 30, (6, 4)), generator.uniform(2, 9, (6, 1))
    values = (
        generator.poisson(base * 1.2).astype(float) if head.counts else base + scale * generator.normal(size=(6, 4))
    )
    return head, raw, values, base, scale


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_loss(name: str) -> None:
    head, raw, values, base, scale = example(name)
    targets, loss = head.targets(values, base, scale), head.loss()
    value, gradient = loss.value_and_gradient(targets, raw)
    assert value == pytest.approx(loss.value(targets, raw))
    step = 1e-6
    for place in np.ndindex(*raw.shape):
        moved = [raw.copy(), raw.copy()]
        moved[0][place] -= step
        moved[1][place] += step
        low, high = (loss.value(targets, each) for each in moved)
        assert gradient[place] == pytest.approx((high - low) / (2 * step), rel=1e-4, abs=1e-8), place


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_zero_leave_steps_out(name: str) -> None:
    head, raw, values, base, scale = example(name)
    weights = np.ones((6, 4))
    weights[2, 1] = 0
    targets = head.targets(values, base, scale)
    changed = targets.copy()
    changed[2, 1] += 3
    assert head.loss().value(targets, raw, weights) == head.loss().value(changed, raw, weights)


@pytest.mark.parametrize("name", NAMES)
def test_quantiles_do_not_cross(name: str) -> None:
    head, raw, _, base, scale = example(name, seed=3)
    quantiles = head.quantiles(20 * raw if name == "quantile" else raw, base, scale)
    assert quantiles.shape == (6, 4, 5)
    assert (np.diff(quantiles, axis=-1) >= 0).all()


@pytest.mark.parametrize("name", ["gaussian", "student", "negative_binomial"])
def test_draws_have_the_quantiles_and_the_mean(name: str) -> None:
    """What the core draws for a head (`reference.draws` is its twin)."""
    head, raw, _, base, scale = example(name)
    raw, base, scale = raw[:1, :2], base[:1, :2], scale[:1]
    location, unit = head.location_and_unit(base, scale)
    draws = np.array([
        [drawn(head.distribution, raw[0, step], location[0, step], unit[0, step], Draws(7, 0, path, step))
         for step in range(2)] for path in range(10_000)
    ])  # fmt: skip
    below = (draws[..., None] <= head.quantiles(raw, base, scale)).mean(axis=0)
    if head.counts:  # the smallest count that reaches the level
        assert (below >= np.array(LEVELS) - 0.02).all()
    else:
        assert np.abs(below - LEVELS).max() < 0.02
    tolerance = 0.05 * (draws.std(axis=0) + np.abs(draws.mean(axis=0)) / 10)
    assert (np.abs(draws.mean(axis=0) - head.mean(raw, base, scale)[0]) < tolerance).all()


@pytest.mark.parametrize("name", ["mae", "quantile"])
def test_heads_without_a_distribution_say_so(name: str) -> None:
    assert heads.make(name, LEVELS).distribution == ""


@pytest.mark.parametrize("name", ["gaussian", "student", "negative_binomial"])
def test_likelihoods_are_those_of_scipy(name: str) -> None:
    head, raw, values, base, scale = example(name)
    targets = head.targets(values, base, scale)
    z, spread = targets[..., 0], np.logaddexp(0, raw[..., 1]) + 1e-3
    if name == "gaussian":
        expected = stats.norm.logpdf(z, raw[..., 0], spread)
    elif name == "student":
        expected = stats.t.logpdf(z, np.logaddexp(0, raw[..., 2]) + 2, raw[..., 0], spread)
    else:
        mean, shape = base * np.exp(raw[..., 0]), 1 / spread
        expected = stats.nbinom.logpmf(z, shape, shape / (shape + mean))
    assert np.abs(head.loss().values(targets, raw) + expected).max() < 1e-9


def test_special_functions_are_those_of_scipy() -> None:
    x = np.geomspace(1e-3, 1e5, 200)
    assert np.abs(special.log_gamma(x) - reference.gammaln(x)).max() < 1e-9
    assert np.abs(special.digamma(x) / reference.digamma(x) - 1).max() < 1e-10
    freedom = np.linspace(2, 60, 30)
    mean, shape = np.geomspace(0.01, 3000, 40), np.geomspace(900, 0.2, 40)
    for level in LEVELS:
        assert np.abs(special.student_quantile(level, freedom) - stats.t.ppf(level, freedom)).max() < 1e-6
        expected = stats.nbinom.ppf(level, shape, shape / (shape + mean))
        assert (special.count_quantile(level, mean, shape) == expected).all()


def test_unknown_heads_name_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"head must be one of .*'gaussian'.*got 'gausian'; did you mean"):
        heads.make("gausian", LEVELS)
