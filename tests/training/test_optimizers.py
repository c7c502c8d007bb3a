"""Optimizers against the formulas of Keras's source, clipping, decay, and bad arguments."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from pyrnn import Sequential, constraints, initializers, layers, optimizers, registry, regularizers, utils
from pyrnn.constraints import NonNeg
from pyrnn.optimizers import schedules
from pyrnn.parameters import ParameterVector, Weight
from pyrnn.regularizers import OrthogonalRegularizer

STEPS, SHAPES = 5, ((3, 4), (4,))
Step = Callable[[int, np.ndarray, np.ndarray, dict[str, np.ndarray]], np.ndarray]


def sgd(momentum: float, nesterov: bool) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        m = s["m"] = momentum * s.get("m", 0) - 0.1 * g
        return w + (momentum * m - 0.1 * g if nesterov else m)

    return step


def rmsprop(momentum: float, centered: bool) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        v = s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
        a = s["a"] = 0.9 * s.get("a", 0) + 0.1 * g
        change = 0.1 * g / np.sqrt(v - a**2 * centered + 1e-3)
        change = s["m"] = momentum * s.get("m", 0) + change
        return w - change

    return step


def adam(amsgrad: bool, decay: float = 0.0) -> Step:
    def step(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
        w = w - w * decay * 0.1
        m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
        best = s["best"] = np.maximum(s.get("best", 0), v)
        alpha = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return w - alpha * m / (np.sqrt(best if amsgrad else v) + 1e-7)

    return step


def adamax(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    u = s["u"] = np.maximum(0.999 * s.get("u", 0), np.abs(g))
    return w - 0.1 / (1 - 0.9**t) * m / (u + 1e-7)


def nadam(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    u = 0.9 * (1 - 0.96 ** np.arange(1, t + 2) / 2)
    m_hat = u[t] * m / (1 - u.prod()) + (1 - u[t - 1]) * g / (1 - u[:t].prod())
    return w - 0.1 * m_hat / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)


def adagrad(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    a = s["a"] = s.get("a", 0.1) + g**2
    return w - 0.1 * g / np.sqrt(a + 1e-7)


def adadelta(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    a = s["a"] = 0.95 * s.get("a", 0) + 0.05 * g**2
    d = -np.sqrt(s.get("b", 0) + 1e-7) / np.sqrt(a + 1e-7) * g
    s["b"] = 0.95 * s.get("b", 0) + 0.05 * d**2
    return w + 0.1 * d


def ftrl(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    before = s.get("n", 0.1)
    n = s["n"] = before + g**2
    z = s["z"] = s.get("z", 0) + g - (np.sqrt(n) - np.sqrt(before)) / 0.1 * w
    return np.where(np.abs(z) < 0.2, 0, (np.sign(z) * 0.2 - z) / (np.sqrt(n) / 0.1 + 2 * 0.3))


def lion(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    m = s.get("m", 0)
    s["m"] = 0.99 * m + 0.01 * g
    return w - 0.1 * np.sign(0.9 * m + 0.1 * g)


def lamb(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    m = s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    parts = [slice(0, 12), slice(12, 16)]
    ratio = [np.full(len(w[part]), np.linalg.norm(w[part]) / np.linalg.norm(u[part])) for part in parts]
    return w - 0.1 * np.concatenate(ratio) * u


def schedule_free(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    rate = 0.1 * min(1, t / 3)
    z, x = s.get("z", w), s.get("x", w)
    v = s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    s["z"] = z = z - rate * g / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    s["x"] = x = (1 - 1 / t) * x + z / t
    return 0.1 * z + 0.9 * x


def adafactor(t: int, w: np.ndarray, g: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    share, changed = t**-0.8, []
    for i, part in enumerate((np.s_[:12], np.s_[12:])):
        weight, q = w[part].reshape(SHAPES[i]), g[part].reshape(SHAPES[i]) ** 2 + 1e-30
        v = s[f"v{i}"] = (1 - share) * s.get(f"v{i}", 0) + share * q
        if i == 0:  # the mean of outer products' factors is the factor of the means: both are linear in q
            v = v.mean(1)[:, None] * v.mean(0) / v.mean()
        u = g[part].reshape(SHAPES[i]) / np.sqrt(v)
        u = u / max(1, np.sqrt(np.mean(u**2)))
        changed.append(weight - max(1e-3, np.sqrt(np.mean(weight**2))) * min(0.1, t**-0.5) * u)
    return np.concatenate([part.ravel() for part in changed])


CASES: dict[str, tuple[Callable[[], Any], Step]] = {
    "sgd": (lambda: optimizers.SGD(0.1), sgd(0, False)),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), sgd(0.9, False)),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), sgd(0.9, True)),
    "rmsprop": (lambda: optimizers.RMSprop(0.1, epsilon=1e-3), rmsprop(0, False)),
    "centered": (lambda: optimizers.RMSprop(0.1, momentum=0.5, epsilon=1e-3, centered=True), rmsprop(0.5, True)),
    "adam": (lambda: optimizers.Adam(0.1), adam(False)),
    "amsgrad": (lambda: optimizers.Adam(0.1, amsgrad=True), adam(True)),
    "adam-decay": (lambda: optimizers.Adam(0.1, weight_decay=0.01), adam(False, 0.01)),
    "adamw": (lambda: optimizers.AdamW(0.1), adam(False, 0.004)),
    "adamax": (lambda: optimizers.Adamax(0.1), adamax),
    "nadam": (lambda: optimizers.Nadam(0.1), nadam),
    "adagrad": (lambda: optimizers.Adagrad(0.1), adagrad),
    "adadelta": (lambda: optimizers.Adadelta(0.1), adadelta),
    "adafactor": (lambda: optimizers.Adafactor(0.1), adafactor),
    "ftrl": (
        lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.2, l2_regularization_strength=0.3),
        ftrl,
    ),
    "lion": (lambda: optimizers.Lion(0.1), lion),
    "lamb": (lambda: optimizers.Lamb(0.1), lamb),
    "schedule-free": (lambda: optimizers.ScheduleFreeAdamW(0.1, warmup_steps=3), schedule_free),
}


def parameters() -> ParameterVector:
    vector = ParameterVector([Weight(shape, f"w{i}", "float64") for i, shape in enumerate(SHAPES)])
    vector.values[:] = np.random.default_rng(0).normal(size=len(vector))
    return vector


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    make, formula = CASES[name]
    optimizer, vector, rng = make(), parameters(), np.random.default_rng(1)
    optimizer.build(vector)
    expected, state = vector.values.copy(), {}
    # Keras keeps the learning rate as float32: so do the formulas' steps, to its rounding.
    terms = STEPS * (np.finfo(np.float32).eps / np.finfo(np.float64).eps) ** 2
    for t in range(1, STEPS + 1):
        vector.gradients[:] = rng.normal(size=len(vector))
        expected = formula(t, expected, vector.gradients.copy(), state)
        optimizer.step()
    assert_close(vector.values, expected, int(terms))
    assert optimizer.iterations == STEPS


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name: str) -> None:
    optimizer = CASES[name][0]()
    again = optimizers.get(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


def clipped(**option: float) -> np.ndarray:
    """Return the gradients 3, 3, ... and 4, 4, ... of two weights after clipping."""
    vector, optimizer = parameters(), optimizers.SGD(1.0, **option)
    optimizer.build(vector)
    before = vector.values.copy()
    for weight, value in zip(vector.weights, (3.0, 4.0), strict=True):
        weight.gradient[...] = value
    optimizer.step()
    return before - vector.values


def test_clipping() -> None:
    norms = np.sqrt(12) * 3, np.sqrt(4) * 4
    assert_close(clipped(clipvalue=2.0), np.full(16, 2.0), 1)
    assert_close(clipped(clipnorm=1.0), np.repeat([3 / norms[0], 4 / norms[1]], [12, 4]), 12)
    assert_close(clipped(global_clipnorm=1.0), np.repeat([3.0, 4.0], [12, 4]) / np.hypot(*norms), 16)
    assert_close(clipped(global_clipnorm=1e3), np.repeat([3.0, 4.0], [12, 4]), 16)


def test_learning_rate_can_change_and_constraints_hold() -> None:
    vector = ParameterVector([Weight((3,), "w", "float64", constraint=NonNeg())])
    optimizer = optimizers.SGD(0.5)
    optimizer.build(vector)
    vector.gradients[:] = [1.0, -1.0, -2.0]
    optimizer.step()
    assert (vector.values == [0.0, 0.5, 1.0]).all()
    optimizer.lr = 0.25
    assert optimizer.learning_rate == 0.25
    vector.gradients[:] = [-1.0, 0.0, 0.0]
    optimizer.step()
    assert (vector.values == [0.25, 0.5, 1.0]).all()


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3)], ids=str)
def test_muon_makes_singular_values_alike(shape: tuple[int, int]) -> None:
    vector = ParameterVector([Weight(shape, "w", "float64")])
    optimizer = optimizers.Muon(1.0, weight_decay=None, adam_weight_decay=None, rms_rate=None)
    optimizer.build(vector)
    gradient = np.random.default_rng(0).normal(size=shape)
    vector.gradients[:] = gradient.ravel()
    optimizer.step()
    u, _, v = np.linalg.svd(gradient, full_matrices=False)
    # In the singular vectors' frame the step is diagonal, and near to 1: the polynomial leaves 0.68 to 1.14.
    frame = u.T @ -vector.weights[0].array @ v.T
    assert_close(frame - np.diag(np.diag(frame)), np.zeros_like(frame), 1000)
    assert (np.abs(np.diag(frame) - 0.9) < 0.3).all()


@pytest.mark.parametrize("name", CASES)
def test_state_round_trip(name: str) -> None:
    """A second optimizer with the first one's variables continues alike."""
    pair = [(CASES[name][0](), parameters()) for _ in range(2)]
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(STEPS, len(pair[0][1])))
    for optimizer, vector in pair:
        optimizer.build(vector)
    (first, vector), (second, other) = pair
    for gradients in steps[:3]:
        vector.gradients[:] = gradients
        first.step()
    second.set_variables([value for _, value in first.named_variables()])
    other.values[:] = vector.values
    for gradients in steps[3:]:
        for optimizer, each in pair:
            each.gradients[:] = gradients
            optimizer.step()
    assert (vector.values == other.values).all()
    with pytest.raises(ValueError, match="variables, got 1"):
        second.set_variables([np.zeros(())])


@pytest.mark.parametrize("name", CASES)
def test_state_of_a_weight_survives_freezing_of_others(name: str) -> None:
    optimizer, vector = CASES[name][0](), parameters()
    optimizer.build(vector)
    vector.gradients[:] = np.random.default_rng(1).normal(size=len(vector))
    optimizer.step()
    bias = vector.weights[1]
    before = [array.copy() for weight, _, array in optimizer.state() if weight is bias]
    optimizer.build(ParameterVector([bias]))
    after = [array for weight, _, array in optimizer.state() if weight is bias]
    assert all((a == b).all() for a, b in zip(before, after, strict=True)) and optimizer.iterations == 1
    optimizer.step()


def test_averages_take_the_weights_place() -> None:
    vector, optimizer = parameters(), optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    assert not optimizer.built
    optimizer.finalize_variable_values()
    optimizer.build(vector)
    assert optimizer.built
    seen = []
    for _ in range(3):
        vector.gradients[:] = 1.0
        optimizer.step()
        seen.append(vector.values.copy())
    version = vector.weights[0].version
    optimizer.finalize_variable_values(vector.weights)
    assert_close(vector.values, seen[0] / 4 + seen[1] / 4 + seen[2] / 2, STEPS)
    assert vector.weights[0].version > version
    with pytest.raises(ValueError, match="2 weights, got 1"):
        optimizer.finalize_variable_values(vector.weights[:1])


class Halving(optimizers.schedules.LearningRateSchedule):
    def __call__(self, step: int) -> float:
        return 0.5**step

    def get_config(self) -> dict[str, Any]:
        return {}


def test_custom_schedules() -> None:
    optimizer = optimizers.SGD(Halving())
    vector = parameters()
    optimizer.build(vector)
    start = vector.values.copy()
    for _ in range(3):
        vector.gradients[:] = 1.0
        optimizer.step()
    assert_close(vector.values, start - 1.75, STEPS)
    assert optimizer.learning_rate == optimizer.lr == 0.125
    assert [name for name, _ in optimizer.named_variables()] == ["iteration"]
    described = optimizers.serialize(optimizer)
    again = optimizers.deserialize(described, {"Halving": Halving})
    assert isinstance(again._learning_rate, Halving)
    with pytest.raises(ValueError, match="learning rate schedule 'Halving' is not part of pyrnn"):
        optimizers.get(described)
    with pytest.raises(TypeError, match="since Halving sets it"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = lambda: 0.25
    assert optimizer.lr == 0.25
    with pytest.raises(ValueError, match="learning_rate was a lambda"):
        optimizers.deserialize(optimizers.serialize(optimizer))
    with pytest.raises(NotImplementedError, match="__call__"):
        optimizers.schedules.LearningRateSchedule()(1)


SCHEDULES: dict[str, tuple[optimizers.schedules.LearningRateSchedule, dict[int, float]]] = {
    "piecewise": (optimizers.schedules.PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1]), {2: 1, 3: 0.5, 5: 0.5, 6: 0.1}),
    "polynomial": (optimizers.schedules.PolynomialDecay(1.0, 10, 0.2, power=2), {0: 1, 5: 0.4, 10: 0.2, 25: 0.2}),
    "cycle": (optimizers.schedules.PolynomialDecay(1.0, 10, 0.2, cycle=True), {5: 0.6, 10: 0.2, 15: 0.4}),
    "restarts": (
        optimizers.schedules.CosineDecayRestarts(1.0, 10, t_mul=1.0, m_mul=0.5, alpha=0.1),
        {0: 1, 5: 0.55, 10: 0.55, 15: 0.325, 20: 0.325},
    ),
    "longer restarts": (
        optimizers.schedules.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5),
        {0: 1, 5: 0.5, 11: 0.25 * (1 + np.cos(0.05 * np.pi)), 20: 0.25, 31: 0.125 * (1 + np.cos(np.pi / 40))},
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_by_hand(name: str) -> None:
    schedule, values = SCHEDULES[name]
    again = optimizers.schedules.deserialize(optimizers.schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    for step, expected in values.items():
        assert float(schedule(step)) == float(again(step)) == pytest.approx(expected, rel=1e-5)


def test_infinite_gradients_spoil_all_under_a_global_norm() -> None:
    vector, optimizer = parameters(), optimizers.SGD(0.1, global_clipnorm=1.0)
    optimizer.build(vector)
    vector.gradients[:] = 1e200
    optimizer.step()
    assert np.isnan(vector.values).all()


@registry.register_keras_serializable("optimizers")
def at_most_one(w: np.ndarray) -> np.ndarray:
    return np.minimum(w, 1)


def test_constraints_by_hand_and_by_config() -> None:
    w = np.array([[3.0, 0.3], [-4.0, 0.4]])  # columns of norm 5 and 0.5
    for constraint, expected in (
        (constraints.MaxNorm(2.0), w * [0.4, 1]),
        (constraints.MinMaxNorm(1.0, 2.0, rate=0.5), w * [0.7, 1.5]),
        (constraints.UnitNorm(axis=[0, 1]), w / np.sqrt(25.25)),
        (constraints.NonNeg(), np.maximum(w, 0)),
        (constraints.Constraint(), w),
    ):
        np.testing.assert_allclose(constraint(w), expected, rtol=1e-6)
        again = constraints.deserialize(constraints.serialize(constraint))
        assert type(again) is type(constraint) and again.get_config() == constraint.get_config()
    described = constraints.serialize(at_most_one)
    assert constraints.get(described) is constraints.get(at_most_one) is at_most_one


def test_penalties_by_hand_and_by_config() -> None:
    w = np.array([[1.0, -2.0]])
    for penalty, value, gradient in (
        (regularizers.L1(0.5), 1.5, [[0.5, -0.5]]),
        (regularizers.L1(None), 0.03, [[0.01, -0.01]]),
        (regularizers.L2(0.5), 2.5, [[1.0, -2.0]]),
        (regularizers.L1L2(0.5, 0.25), 2.75, [[1.0, -1.5]]),
    ):
        assert penalty(w) == pytest.approx(value)
        np.testing.assert_allclose(penalty.gradient(w), gradient)
        again = regularizers.deserialize(regularizers.serialize(penalty))
        assert type(again) is type(penalty) and again.get_config() == penalty.get_config()
    square = regularizers.OrthogonalRegularizer(0.5, "columns")
    assert regularizers.deserialize(regularizers.serialize(square)).get_config() == {"factor": 0.5, "mode": "columns"}


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_regularizer_by_finite_differences(mode: str) -> None:
    penalty, w = OrthogonalRegularizer(0.5, mode), np.random.default_rng(0).normal(size=(4, 5))
    h, expected = 1e-6, np.zeros((4, 5))
    for index in np.ndindex(w.shape):
        up, down = w.copy(), w.copy()
        up[index] += h
        down[index] -= h
        expected[index] = (penalty(up) - penalty(down)) / (2 * h)
    # Differences lose eps / h to rounding and h**2 to curvature.
    assert_close(penalty.gradient(w), expected, int(1 / h**2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), ValueError, "decay_steps must be positive"),
        (lambda: schedules.CosineDecayRestarts(0.1, -1), ValueError, "first_decay_steps must be positive"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), ValueError, "one element more"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), ValueError, "grow strictly"),
        (lambda: OrthogonalRegularizer(mode="row"), ValueError, "mode must be"),
        (lambda: OrthogonalRegularizer(-1.0), ValueError, "factor must be a number of at least 0"),
        (lambda: OrthogonalRegularizer()(np.ones(3)), ValueError, "needs a matrix"),
        (lambda: initializers.GlorotUniform(seed="a"), TypeError, "seed must be an integer"),
        (lambda: initializers.HeNormal(input_axes=[0]), ValueError, "given together"),
        (lambda: optimizers.get("adma"), ValueError, "did you mean .*'adam'"),
        (lambda: optimizers.Adam(learning_rate="fast"), TypeError, "learning_rate must be a number"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of clipnorm"),
        (lambda: optimizers.SGD(clipnorm=-1.0), ValueError, "clipnorm must be positive"),
        (lambda: optimizers.SGD(momentum=2.0), ValueError, "momentum"),
        (
            lambda: optimizers.Adam(use_ema=True, ema_momentum=1.5),
            ValueError,
            "ema_momentum must be a number from 0 to 1",
        ),
        (lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=-1), ValueError, "ema_overwrite_frequency"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=1), ValueError, "must be at least 2, got 1"),
        (lambda: optimizers.Adam(gradient_accumulation_steps=2.5), TypeError, "must be an integer"),
        (lambda: optimizers.Adam(loss_scale_factor=0.0), ValueError, "loss_scale_factor must be positive"),
        (lambda: optimizers.Adam(beta1=0.9), TypeError, "did you mean 'beta_1'"),
        (lambda: optimizers.SGD(lr=0.1), TypeError, "use learning_rate"),
        (lambda: optimizers.SGD(0.1, decay=1e-3), TypeError, "decay.*schedule"),
        (lambda: optimizers.Ftrl(learning_rate_power=1.0), ValueError, "learning_rate_power must be at most 0"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), ValueError, "l1_regularization_strength"),
        (lambda: optimizers.Lion(beta_1=0.0), ValueError, "beta_1 must lie in"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1.0), ValueError, "initial_accumulator_value"),
        (lambda: optimizers.SGD().exclude_from_weight_decay(var_names="bias"), TypeError, "list of strings"),
        (lambda: optimizers.SGD().exclude_from_weight_decay(var_list=["w"]), TypeError, "weights of a model"),
        (lambda: optimizers.SGD().step(), ValueError, "call build"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("value", [0.01, 0.1, 1e-3, 3e-4, 0.7, 1 / 3])
def test_the_learning_rate_compares_as_float32(value: float) -> None:
    rates = [optimizers.SGD(value).learning_rate, optimizers.SGD(lambda: value).learning_rate]
    for rate in (*rates, optimizers.SGD(0.5).learning_rate.assign(value)):
        assert rate == value and value == rate and rate == np.float32(value) and rate == rates[0]
        assert rate <= value <= rate and rate >= value >= rate
        assert not (rate != value or rate < value or rate > value)
        assert rate != value + 1e-6 and rate < value * 1.001 and rate > value * 0.999 and rate < np.inf
        assert rate < 1e300 and rate > -1e300 and rate < 10**400 and rate != float("nan") and rate != "0.01"
        assert rate > 0 and rate < 1 and rate != 1 and rate not in (None, True)
        assert hash(rate) == hash(float(rate)) == hash(rates[0])
        with pytest.raises(TypeError, match="not supported"):
            rate < "0.01"  # noqa: B015


def test_the_learning_rate_is_assigned_as_a_variable_of_keras() -> None:
    optimizer = optimizers.SGD(0.5)
    before = optimizer.learning_rate
    assert isinstance(before, float) and before == 0.5 and json.dumps(before) == "0.5"
    assert before.assign(0.25) == optimizer.learning_rate == optimizer.lr == 0.25
    assert before == 0.5 and before.assign_add(0.25) == 0.5 and optimizer.lr.assign_sub(0.125) == 0.375
    assert optimizer.learning_rate.numpy().dtype == np.float32
    for value, error in ((-1, ValueError), ("fast", TypeError), (True, TypeError), (float("nan"), ValueError)):
        with pytest.raises(error, match="learning_rate must be"):
            optimizer.learning_rate.assign(value)
    assert optimizer.get_config()["learning_rate"] == optimizer.learning_rate == 0.375
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert type(pickle.loads(pickle.dumps(again.learning_rate))) is float
        assert again.learning_rate.assign(0.5) == again.learning_rate == 0.5
        assert optimizer.learning_rate == 0.375
    scheduled = optimizers.SGD(optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    assert scheduled.learning_rate == 0.5
    with pytest.raises(TypeError, match=r"learning_rate cannot be set to 0\.1, since ExponentialDecay sets it"):
        scheduled.learning_rate.assign(0.1)
    drawn = optimizers.SGD(lambda: 0.5)
    drawn.learning_rate.assign(0.1)
    assert drawn.learning_rate == float(np.float32(0.1))


@pytest.mark.filterwarnings("ignore:grads holds None")
@pytest.mark.parametrize("name", CASES)
def test_gradients_that_the_caller_computed(name: str) -> None:
    """`apply` and `apply_gradients` do what `step` does; weights without a gradient stay, with their slots."""
    stepped, applied, partial = (CASES[name][0]() for _ in range(3))
    vectors = [parameters() for _ in range(3)]
    stepped.build(vectors[0])
    applied.build(vectors[1].weights)
    partial.build(vectors[2])
    rng = np.random.default_rng(1)
    for number in range(3):
        vectors[0].gradients[:] = rng.normal(size=len(vectors[0]))
        gradients = [weight.gradient.copy() for weight in vectors[0].weights]
        stepped.step()
        if number:
            applied.apply(gradients)
        else:
            applied.apply_gradients(zip(gradients, vectors[1].weights, strict=True))
        before = [array.copy() for weight, _, array in partial.state() if weight is vectors[2].weights[1]]
        bias = vectors[2].weights[1].numpy()
        partial.apply([gradients[0], None], vectors[2].weights)
        after = [array for weight, _, array in partial.state() if weight is vectors[2].weights[1]]
        assert all(map(np.array_equal, before, after)) and np.array_equal(vectors[2].weights[1].numpy(), bias)
    assert int(applied.iterations) == 3
    for weight, other in zip(vectors[0].weights, vectors[1].weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), other.numpy())


def test_gradients_that_do_not_fit_are_rejected_before_a_step() -> None:
    optimizer, vector = optimizers.Adam(0.1), parameters()
    with pytest.raises(ValueError, match="the optimizer has no weights yet: pass trainable_variables"):
        optimizer.apply([np.zeros(3)])
    optimizer.build(vector.weights)
    gradients = [np.ones(weight.shape) for weight in vector.weights]
    before = vector.values.copy()
    for grads, weights, error, message in (
        (gradients[:1], None, ValueError, "grads must hold a gradient for each of the 2 weights, got 1"),
        ([None, None], None, ValueError, "grads must hold a gradient, got None for each weight"),
        ([gradients[0].T, gradients[1]], None, ValueError, r"has shape \(3, 4\), got an array of shape \(4, 3\)"),
        (gradients, [1, 2], TypeError, "trainable_variables must hold weights of a model, got 1"),
        (gradients, parameters().weights, ValueError, "is none of those that the optimizer was built for"),
    ):
        with pytest.raises(error, match=message):
            optimizer.apply(grads, weights)
    assert np.array_equal(vector.values, before) and int(optimizer.iterations) == 0
    with pytest.raises(TypeError, match="parameters must hold weights of a model, got 1"):
        optimizers.Adam().build([1])  # type: ignore[list-item]


def test_variables_are_objects_with_the_methods_of_keras() -> None:
    optimizer, vector = optimizers.Adam(0.1, name="mine"), parameters()
    optimizer.build(vector)
    optimizer.apply([np.ones(weight.shape) for weight in vector.weights])
    iteration, rate, momentum, *_ = variables = optimizer.variables
    assert len(variables) == 2 + 4 and [each.name for each in variables[:2]] == ["iteration", "learning_rate"]
    assert [each.shape for each in variables] == [(), (), (3, 4), (3, 4), (4,), (4,)]
    assert (iteration.dtype, rate.dtype, momentum.dtype) == ("int64", "float32", vector.dtype)
    assert (iteration.path, iteration.ndim, momentum.ndim) == ("mine/iteration", 0, 2)
    assert momentum.path.startswith("mine/") and repr(momentum).startswith("<Slot path=mine/")
    np.testing.assert_allclose(momentum, 0.1, rtol=1e-6)
    np.testing.assert_allclose((2 * momentum)[0], 0.2, rtol=1e-6)
    assert momentum.value.shape == (3, 4) and momentum[0, 0] == momentum.numpy()[0, 0]
    momentum += 1.0
    variables[1].assign(0.5)
    np.testing.assert_allclose(optimizer.variables[2], 1.1, rtol=1e-6)
    assert optimizer.learning_rate == 0.5
    momentum.assign(np.zeros((3, 4)))
    assert not optimizer.variables[2].numpy().any()
    with pytest.raises(ValueError, match=r"has shape \(3, 4\), got an array of shape \(3,\)"):
        momentum.assign(np.zeros(3))
    twin = optimizers.Adam(0.1)
    twin.build(parameters())
    twin.set_weights(optimizer.get_weights())
    assert all(map(np.array_equal, twin.get_weights(), optimizer.get_weights()))


def test_missing_gradients_are_reported() -> None:
    weights = [Weight((2,), name, initializer=initializers.Ones()) for name in ("there", "missing")]
    with pytest.warns(UserWarning, match="grads holds None for missing: these weights stay as they are"):
        optimizers.SGD(0.5).apply_gradients([(np.ones(2), weights[0]), (None, weights[1])])
    assert [weight.numpy().tolist() for weight in weights] == [[0.5, 0.5], [1, 1]]


def test_a_model_without_an_optimizer_is_only_evaluated() -> None:
    assert optimizers.get(None) is None
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile(None, "mse", metrics=["mae"])
    x, y = np.ones((3, 2)), np.ones((3, 1))
    again = Sequential.from_config(model.get_config())
    again.compile_from_config(model.get_compile_config())
    for made in (model, again):
        assert made.optimizer is None and len(made.evaluate(x, y, verbose=0)) == 2
        for train in (lambda made=made: made.fit(x, y, verbose=0), lambda made=made: made.train_on_batch(x, y)):
            with pytest.raises(ValueError, match="must be compiled with an optimizer before"):
                train()


def test_names_are_numbered_within_a_session() -> None:
    utils.clear_session()
    assert [make().name for make in (optimizers.Adam, optimizers.Adam, optimizers.SGD)] == ["adam", "adam_1", "sgd"]
    assert optimizers.Adam(name="mine").name == "mine"
    assert optimizers.get("adam").name == "adam_2"


@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon", "Lion"])
def test_update_step_changes_one_weight_and_its_state(name: str) -> None:
    made, other = (getattr(optimizers, name)(learning_rate=0.5) for _ in range(2))
    model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(2)])
    made.build(model.trainable_variables)
    before = model.get_weights()
    weight = model.layers[1].kernel
    for _ in range(2):
        made.update_step(np.full((2, 2), 0.25), weight, 0.125)
    for number, (first, after) in enumerate(zip(before, model.get_weights(), strict=True)):
        assert np.array_equal(first, after) == (number != 2)
    assert made.iterations == 0
    slots = [slot for slot in made.variables[2:] if "dense" in slot.path]
    assert all(not np.any(slot) for slot in slots if weight.path.replace("/", "_") not in slot.path)
    with pytest.raises(ValueError, match="is none of those that the optimizer was built for"):
        other.update_step(np.zeros((2, 2)), weight, 0.1)
    with pytest.raises(TypeError, match="variable must hold weights of a model"):
        made.update_step(np.zeros((2, 2)), np.zeros((2, 2)), 0.1)
    with pytest.raises(ValueError, match="has shape"):
        made.update_step(np.zeros(3), weight, 0.1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_count_their_own_steps(copied: Callable[[Any], Any]) -> None:
    """The core counts in an array, which copies must not share."""
    first = optimizers.Adam()
    second = copied(first)
    for optimizer, count in ((first, 3), (second, 1)):
        model = Sequential([layers.Dense(1, input_shape=(2,))])
        model.compile(optimizer, "mse")
        for _ in range(count):
            model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))
    assert (first.iterations, second.iterations) == (3, 1)
    third = copied(first)
    third.iterations = 7
    assert (first.iterations, third.iterations) == (3, 7)
    before = dict(vars(first))
    first.iterations = 0
    vars(first).update(before)
    assert first.iterations == 3
