"""NaN and infinity in x, weights, states and gradients: they reach what the formulas say, and nothing else.

Vectors are padded, masked rows have no gradient, and 0 times infinity is NaN: no such product may enter a sum. Here the
core gives NaN and infinity in the very places where its NumPy twin does. test_recurrent.py runs this on each ISA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from kernel.checks import ACTIVATIONS, DTYPES, assert_same_bits
from kernel.test_recurrent import LARGE, cast, make_rnn, run_rnn
from pyrnn import _core, backend, layers, reference
from pyrnn.reference.recurrent import CELLS

UNITS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33]  # around the vectors of every ISA
VALUES = [np.inf, -np.inf, np.nan]
# The initial states are always there: without them the core has no product for the twin's 0 times infinity.
OPTIONS: list[dict[str, Any]] = [
    {},
    {"mask": True},
    {"return_sequences": False, "go_backwards": True},
    {"input_scale": 3, "state_scale": 3},
    {"mask": True, "zero_output_for_mask": True, "input_scale": True, "state_scale": True},
]


def put(name: str, index: tuple[int, ...]) -> Callable[[dict[str, Any], float], None]:
    def change(problem: dict[str, Any], value: float) -> None:
        problem[name][index] = value

    return change


def put_in(name: str, state: int, index: tuple[int, ...]) -> Callable[[dict[str, Any], float], None]:
    def change(problem: dict[str, Any], value: float) -> None:
        problem[name][state][index] = value

    return change


def put_where_masked(name: str) -> Callable[[dict[str, Any], float], None]:
    def change(problem: dict[str, Any], value: float) -> None:
        if problem["mask"] is not None:
            problem["mask"][-1, 1] = False
            problem[name][-1, 1] = value

    return change


CHANGES: dict[str, Callable[[dict[str, Any], float], None]] = {
    "x of the first step": put("x", (-1, 0, 0)),
    "x of the last step": put("x", (-1, -1, -1)),
    "x at a masked step": put_where_masked("x"),
    "kernel": put("kernel", (0, -1)),
    "recurrent kernel": put("recurrent_kernel", (-1, 0)),
    "bias": put("bias", (..., -1)),
    "h": put_in("initial_state", 0, (-1, -1)),
    "the last state": put_in("initial_state", -1, (-1, 0)),
    "dy": put("d_output", (-1, -2, -1)),
    "dy at a masked step": put_where_masked("d_output"),
    "dh": put_in("d_final", 0, (-1, 0)),
    "the last state's gradient": put_in("d_final", -1, (-1, -1)),
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def assert_same_kinds(ours: dict[str, Any], theirs: dict[str, Any], what: str) -> None:
    """Finite numbers, NaN and both infinities in the same places."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(ours[name]), kind(expected), err_msg=f"{name}, {what}")


def check_rnn(
    cell: str, h: int, option: dict[str, Any], change: str, value: float, dtype: str, *activation: str
) -> None:
    problem = make_rnn(cell, (3, 4, 2, h), {**option, "initial_state": True}, *activation)
    CHANGES[change](problem, value)
    what = f"{h} units, {option}, {value}"
    assert_same_kinds(run_rnn(_core, problem, dtype), run_rnn(reference, problem, dtype), what)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn(cell: str, change: str, dtype: str) -> None:
    for i, h in enumerate(UNITS):  # each number of units with three pairs of an option and a value
        for j in range(3):
            check_rnn(cell, h, OPTIONS[(i + j) % len(OPTIONS)], change, VALUES[j], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_of_any_units(cell: str, change: str, dtype: str) -> None:
    for h in range(1, 34):
        for option in OPTIONS:
            for value in VALUES:
                check_rnn(cell, h, option, change, value, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_activations(cell: str, activation: str, dtype: str) -> None:
    for i, change in enumerate(CHANGES):
        check_rnn(cell, (7, 19)[i % 2], OPTIONS[i % 2], change, VALUES[i % 3], dtype, activation)


@pytest.mark.parametrize(
    "change", ["x of the first step", "x of the last step", "h", "dy", "the last state's gradient"]
)
@pytest.mark.parametrize("shape", ["large", (1, 70, 2, 19), (2, 70, 2, 7), (18, 3, 5, 65)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_of_other_paths(cell: str, shape: Any, change: str) -> None:
    """Weights that are streamed, x W computed in advance, blocks of rows."""
    problem = make_rnn(cell, LARGE[cell] if shape == "large" else shape, {"initial_state": True})
    CHANGES[change](problem, np.inf)
    assert_same_kinds(run_rnn(_core, problem, "float32"), run_rnn(reference, problem, "float32"), str(shape))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints(cell: str, change: str) -> None:
    problem = make_rnn(cell, (3, 150, 2, 7), {"mask": True, "initial_state": True})
    CHANGES[change](problem, np.inf)
    expected = run_rnn(_core, problem, "float32")
    problem["checkpoint_steps"] = 1
    result = run_rnn(_core, problem, "float32")
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)  # NaN equals NaN, whatever its sign


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("shape", ["large", (18, 9, 5, 19), (1, 70, 2, 7)], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_values_of_x_at_masked_steps_do_not_matter(cell: str, shape: Any, value: float) -> None:
    """To the last bit; nor does dy where masked steps give zeros."""
    for option in ({}, {"zero_output_for_mask": True, "go_backwards": True}, {"input_scale": 3}, {"input_scale": True}):
        problem = make_rnn(cell, LARGE[cell] if shape == "large" else shape, {**option, "mask": True})
        problem["mask"][-1, :2] = [False, True]
        expected = run_rnn(_core, problem, "float32")
        problem["x"][~problem["mask"]] = value
        if option.get("zero_output_for_mask"):
            problem["d_output"][~problem["mask"][:, ::-1]] = value  # in the order of the walk
        assert_same_bits(expected, run_rnn(_core, problem, "float32"))
        assert_same_kinds(expected, run_rnn(reference, problem, "float32"), str(option))


def run_affine(module: Any, name: str, arrays: dict[str, np.ndarray], options: dict[str, Any]) -> dict[str, Any]:
    """Forward and backward of `dense` or `conv1d`."""
    a, workspace = dict(arrays), module.Workspace()
    dy, bias = a.pop("dy"), a.pop("bias")
    y, saved = getattr(module, f"{name}_forward")(
        **a, bias=bias, training=True, workspace=workspace, version=None, **options
    )
    gradients = {"d_kernel": np.zeros_like(a["kernel"]), "d_bias": np.zeros_like(bias)}
    dx = getattr(module, f"{name}_backward")(
        **a, saved=saved, dy=dy, need_dx=True, workspace=workspace, version=None, **gradients, **options
    )
    return {"y": y, "dx": dx, **gradients}


AFFINE: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("dense", {}),
    "conv": ("conv1d", {"strides": 1, "padding": "valid", "dilation_rate": 1}),
    "conv same": ("conv1d", {"strides": 1, "padding": "same", "dilation_rate": 1}),
    "conv causal": ("conv1d", {"strides": 1, "padding": "causal", "dilation_rate": 2}),
    "conv strides": ("conv1d", {"strides": 2, "padding": "valid", "dilation_rate": 1}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", AFFINE)
def test_affine(kind: str, dtype: str) -> None:
    name, options = AFFINE[kind]
    taps = () if name == "dense" else (3,)
    for i, units in enumerate(UNITS):
        features = UNITS[-1 - i]
        rng = np.random.default_rng(units)
        shape = (7, features) if name == "dense" else (2, 7, features)
        out = {"conv": 5, "conv strides": 3}.get(kind, 7)
        for j, where in enumerate(("x", "kernel", "bias", "dy")):
            activation = ("linear", "tanh", "relu", "softmax")[(i + j) % 4]
            sizes = {"x": shape, "kernel": (*taps, features, units), "bias": units}
            arrays = {key: rng.normal(size=size) / 4 for key, size in sizes.items()}  # tanh must not round to 1
            arrays["dy"] = rng.normal(size=(*shape[:-2], out, units))
            arrays[where].flat[-1] = VALUES[(i + j) % 3]
            typed = {key: value.astype(dtype) for key, value in arrays.items()}
            ours, theirs = (
                run_affine(module, name, typed, {"activation": activation, **options}) for module in (_core, reference)
            )
            assert_same_kinds(ours, theirs, f"{units} units, {where}, {activation}")


def run_layer_normalization(
    module: Any, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, dy: np.ndarray
) -> dict[str, Any]:
    y, saved = module.layer_norm_forward(x, gamma, beta, epsilon=1e-3, training=True)
    gradients = {"d_gamma": np.zeros_like(gamma), "d_beta": np.zeros_like(beta)}
    return {"y": y, "dx": module.layer_norm_backward(dy, saved, gamma, need_dx=True, **gradients), **gradients}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", ["x", "gamma", "beta", "dy"])
def test_layer_normalization(where: str, dtype: str) -> None:
    for i, n in enumerate(UNITS):
        rng = np.random.default_rng(n)
        arrays = {
            name: rng.normal(size=n if name in ("gamma", "beta") else (3, n)) for name in ("x", "gamma", "beta", "dy")
        }
        arrays[where].flat[-1] = VALUES[i % 3]
        typed = [value.astype(dtype) for value in arrays.values()]
        ours, theirs = (run_layer_normalization(module, *typed) for module in (_core, reference))
        assert_same_kinds(ours, theirs, f"{n} features")


def run_activation(module: Any, activation: str, x: np.ndarray, dy: np.ndarray) -> dict[str, Any]:
    y = module.activation_forward(x, activation)
    return {"y": y, "dx": module.activation_backward(x, y, dy, activation)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str, dtype: str) -> None:
    for n in UNITS:
        for where, value in ((where, value) for where in ("x", "dy") for value in VALUES):
            arrays = {name: np.random.default_rng(n).normal(size=(3, n)).astype(dtype) for name in ("x", "dy")}
            arrays[where][1, -1] = value
            ours, theirs = (run_activation(module, activation, **arrays) for module in (_core, reference))
            assert_same_kinds(ours, theirs, f"{n} columns, {value} in {where}")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("cell", CELLS)
def test_streams(cell: str, value: float) -> None:
    """A reset removes it from its row; other rows are never affected."""
    for h in UNITS:
        problem = {key: cast(array, "float32") for key, array in make_rnn(cell, (3, 5, 4, h), {}).items()}
        recurrent = [
            problem[key] for key in ("kernel", "recurrent_kernel", "bias", "activation", "recurrent_activation")
        ]
        dense = np.random.default_rng(h).normal(size=(h, 5)).astype(np.float32)

        def made(module: Any, recurrent: list[Any] = recurrent, dense: np.ndarray = dense) -> Any:
            stream = module.Stream32(3, 4)
            stream.add_recurrent(cell, *recurrent)
            stream.add_dense(dense, None, "softmax")
            return stream

        ours, theirs, clean, x = made(_core), made(reference), made(_core), problem["x"]
        for step in range(5):
            bad = x[:, step].copy()
            bad[1, 3] = value if step == 1 else bad[1, 3]
            if step == 3:
                for stream in (ours, theirs):
                    stream.reset([1])
            y, expected = ours.step(bad), clean.step(x[:, step])
            result, twin = ({"y": y, "h": ours.states()[0]}, {"y": theirs.step(bad), "h": theirs.states()[0]})
            assert_same_kinds(result, twin, f"{h} units, step {step}")
            assert y[[0, 2]].tobytes() == expected[[0, 2]].tobytes()
        assert np.isfinite(y).all()


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_bidirectional(kind: Any) -> None:
    """Each direction of the layer, against itself on the reference."""
    for h in (5, 8, 15):
        pyrnn.utils.set_random_seed(h)
        layer = layers.Bidirectional(kind(h, return_sequences=True))
        x, dy = (np.random.default_rng(h).normal(size=(3, 6, n)).astype(np.float32) for n in (4, 2 * h))
        x[1, 2, 3] = np.inf
        results = []
        for name in ("core", "reference"):
            backend.use_backend(name)
            try:
                y = layer(x, training=True)
                dx = layer.backward(dy.copy())
                gradients = {weight.path: weight.gradient.copy() for weight in layer.trainable_weights}
                results.append({"y": y, "dx": dx, **gradients})
            finally:
                backend.use_backend("core")
        assert_same_kinds(results[0], results[1], f"{h} units")
