"""The core's other operations against their NumPy twins: dense, conv, pooling, normalization, activations, optimizers.

`test_every_isa` of test_recurrent.py runs this file on each ISA too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from kernel.checks import ACTIVATIONS, DTYPES, assert_same_bits, compare
from pyrnn import _core, reference
from pyrnn.reference.activations import sigmoid


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["linear", "tanh", "softmax", "gelu"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (8, 16, 16), (130, 29, 33), (130, 32, 1)], ids=str)
def test_dense(shape: tuple[int, int, int], activation: str, dtype: str) -> None:
    rows, f, h = shape
    rng = np.random.default_rng(rows)
    x, w, b, dy = (rng.standard_normal(s) for s in ((rows, f), (f, h), (h,), (rows, h)))

    def run(module: Any, kind: str) -> dict[str, Any]:
        arrays = [a.astype(kind) for a in (x, w, b, dy)]
        options = {"activation": activation, "workspace": module.Workspace(), "version": None}
        y, saved = module.dense_forward(*arrays[:3], training=True, **options)
        d = {"d_kernel": np.empty_like(arrays[1]), "d_bias": np.empty_like(arrays[2])}
        dx = module.dense_backward(arrays[0], arrays[1], saved, arrays[3], need_dx=True, **d, **options)
        return {"y": y, "dx": dx, **d}

    compare(run(_core, dtype), run(reference, "float64"), f * h * rows)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("stride,dilation", [(1, 1), (2, 1), (1, 2), (3, 1)])
@pytest.mark.parametrize("taps,channels,filters", [(5, 3, 5), (5, 29, 16), (1, 16, 1)])
def test_conv1d(taps: int, channels: int, filters: int, stride: int, dilation: int, padding: str, dtype: str) -> None:
    rng = np.random.default_rng(channels)
    x, w, b = (rng.standard_normal(s) for s in ((3, 20, channels), (taps, channels, filters), (filters,)))

    def run(module: Any, kind: str) -> dict[str, Any]:
        arrays = [a.astype(kind) for a in (x, w, b)]
        options = {"strides": stride, "padding": padding, "dilation_rate": dilation, "activation": "relu"}
        options |= {"workspace": module.Workspace(), "version": None}
        y, saved = module.conv1d_forward(*arrays, training=True, **options)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(kind)
        d = {"d_kernel": np.empty_like(arrays[1]), "d_bias": np.empty_like(arrays[2])}
        dx = module.conv1d_backward(*arrays[:2], saved, dy, need_dx=True, **d, **options)
        return {"y": y, "dx": dx, **d}

    compare(run(_core, dtype), run(reference, "float64"), taps * channels * filters * 20)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["max", "average"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size,stride", [(2, 2), (3, 1), (5, 5), (2, 3)])
def test_pool1d(size: int, stride: int, padding: str, mode: str, dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal((3, 11, 5))
    options = {"mode": mode, "pool_size": size, "strides": stride, "padding": padding}

    def run(module: Any, kind: str) -> dict[str, Any]:
        y = module.pool1d_forward(x.astype(kind), **options)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(kind)
        return {"y": y, "dx": module.pool1d_backward(x.astype(kind), dy, **options)}

    compare(run(_core, dtype), run(reference, "float64"), size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 255, 600])
@pytest.mark.parametrize("features", [1, 3, 8, 16, 33])
@pytest.mark.parametrize("scaled", [True, False])
def test_layer_norm(scaled: bool, features: int, rows: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, rows, features)) * 3 + 1
    weights = rng.standard_normal((2, features)) if scaled else (None, None)

    def run(module: Any, kind: str) -> dict[str, Any]:
        gamma, beta = (None if each is None else each.astype(kind) for each in weights)
        plain, nothing = module.layer_norm_forward(x.astype(kind), gamma, beta, epsilon=0.1, training=False)
        y, saved = module.layer_norm_forward(x.astype(kind), gamma, beta, epsilon=0.1, training=True)
        assert nothing == () and np.array_equal(plain, y)
        d = {name: np.full(features, np.nan, kind) if scaled else None for name in ("d_gamma", "d_beta")}
        dx = module.layer_norm_backward(dy.astype(kind), saved, gamma, need_dx=True, **d)
        again = module.layer_norm_backward(dy.astype(kind), saved, gamma, need_dx=False, **d)
        assert again is None
        return {"y": y, "dx": dx, **{name: value for name, value in d.items() if value is not None}}

    compare(run(_core, dtype), run(reference, "float64"), rows * features)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_layer_norm_has_the_same_bits_at_any_thread_count() -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3000, 24)).astype("float32")
    gamma, beta = x[:2].copy()
    results = []
    for threads in (1, 2, 3, 7):
        _core.set_num_threads(threads)
        y, saved = _core.layer_norm_forward(x, gamma, beta, epsilon=1e-3, training=True)
        d = {"d_gamma": np.empty(24, "float32"), "d_beta": np.empty(24, "float32")}
        results.append({"y": y, "dx": _core.layer_norm_backward(dy, saved, gamma, need_dx=True, **d), **d})
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 1), (5, 7, 3), (2, 50_001)])
def test_squared_error(shape: tuple[int, ...], dtype: str) -> None:
    """Against the reference in float64, and with the same bits at any number of threads."""
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, *shape))
    result = []
    for threads in (1, 2, 3, 7):
        _core.set_num_threads(threads)
        loss, gradient = _core.squared_error(y_true.astype(dtype), y_pred.astype(dtype))
        result.append({"loss": np.asarray(loss, dtype), "gradient": gradient})
    expected, slope = reference.squared_error(y_true, y_pred)
    compare(result[0], {"loss": np.asarray(expected), "gradient": np.asarray(slope)}, max(1, y_true.size))
    for other in result[1:]:
        assert_same_bits(result[0], other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ACTIVATIONS, "glu"])
def test_activation(name: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 34)) * 3
    y64 = reference.activation_forward(x, name)
    dy = rng.standard_normal(y64.shape)
    y = _core.activation_forward(x.astype(dtype), name)
    assert_close(y, y64, x.shape[-1], "y")
    dx = _core.activation_backward(x.astype(dtype), y, dy.astype(dtype), name)
    assert_close(dx, reference.activation_backward(x, y64, dy, name), x.shape[-1], "dx")


def ulp_errors(name: str, x: np.ndarray) -> np.ndarray:
    """Distance of the core's float32 result to the true value, in units of the last place of the true value."""
    truth = {"tanh": np.tanh, "exponential": np.exp, "sigmoid": sigmoid}[name](x.astype(np.float64))
    limits = np.finfo(np.float32)
    inside = np.abs(truth) <= float(limits.max)
    place = np.spacing(np.abs(truth[inside]).astype(np.float32)).astype(np.float64)
    return np.abs(_core.activation_forward(x, name)[inside] - truth[inside]) / place


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exponential"])
def test_accuracy_at_every_exponent(name: str) -> None:
    mantissas = np.linspace(0, 2**23 - 1, 4001).astype(np.uint32)
    with np.errstate(over="ignore", under="ignore"):
        worst = 0.0
        for exponent in range(255):
            bits = (np.uint32(exponent) << np.uint32(23)) | mantissas
            for sign in (0, 0x80000000):
                worst = max(worst, float(ulp_errors(name, (bits | np.uint32(sign)).view(np.float32)).max(initial=0.0)))
    assert worst <= 4, f"{name}: {worst} ULP"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exponential"])
def test_accuracy_of_every_float32(name: str) -> None:
    worst = 0.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for start in range(0, 2**32, 2**22):
            x = np.arange(start, start + 2**22, dtype=np.uint64).astype(np.uint32).view(np.float32)
            x = np.ascontiguousarray(x[np.isfinite(x)])
            if x.size:
                worst = max(worst, float(ulp_errors(name, x).max(initial=0.0)))
    print(f"{name}: {worst:.3f} ULP on {_core.isa()}")
    assert worst <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf], dtype)
    for name, limits in {"tanh": (1, -1), "sigmoid": (1, 0), "exponential": (np.inf, 0), "relu": (np.inf, 0)}.items():
        y = _core.activation_forward(x, name)
        assert np.isnan(y[0]), name
        assert tuple(y[1:]) == limits, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_optimizer_steps(dtype: str) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(101)

    def run(module: Any, kind: str, name: str, slots: list[bool], options: dict[str, Any]) -> dict[str, Any]:
        w, random = start.astype(kind), np.random.default_rng(1)
        state = [np.zeros_like(w) if used else None for used in slots]
        for step in range(1, 6):
            extra = {"step": step} if name == "adam" else {}
            getattr(module, f"{name}_step")(w, random.standard_normal(101).astype(kind), *state, **options, **extra)
        return {"weights": w}

    cases: list[tuple[str, list[bool], dict[str, Any]]] = [
        ("sgd", [False], {"learning_rate": 0.1, "momentum_rate": 0.0, "nesterov": False}),
        ("sgd", [True], {"learning_rate": 0.1, "momentum_rate": 0.9, "nesterov": False}),
        ("sgd", [True], {"learning_rate": 0.1, "momentum_rate": 0.9, "nesterov": True}),
        ("rmsprop", [True, False, False], {"learning_rate": 0.01, "rho": 0.9, "momentum_rate": 0.0, "epsilon": 1e-7}),
        ("rmsprop", [True, True, True], {"learning_rate": 0.01, "rho": 0.9, "momentum_rate": 0.5, "epsilon": 1e-3}),
        ("adam", [True, True, False], {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
        ("adam", [True, True, True], {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
    ]
    for name, slots, options in cases:
        compare(run(_core, dtype, name, slots, options), run(reference, "float64", name, slots, options), 5 * 8)


# Weights beyond 1 MB, whose gradients are split by units.
@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_gather_rows() -> None:
    source = np.arange(200 * 3 * 400, dtype=np.float32).reshape(200, 3, 400)
    rows = np.random.default_rng(0).integers(0, 200, 150)
    for count in (1, 3):
        _core.set_num_threads(count)
        assert np.array_equal(_core.gather_rows(source, rows), source[rows])
    with pytest.raises(IndexError, match="200"):
        _core.gather_rows(source, np.array([0, 200]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tail", [(), (1,), (33,), (2, 3)])
def test_scatter_rows(tail: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    rows, source = rng.integers(0, 7, 50), rng.standard_normal((50, *tail))

    def run(module: Any, kind: str) -> dict[str, Any]:
        target = np.full((7, *tail), np.nan, kind)
        module.scatter_rows(target, rows, source.astype(kind))
        return {"target": target}

    compare(run(_core, dtype), run(reference, "float64"), 50)


def test_read_only_gradients_are_refused() -> None:
    x, w = np.zeros((2, 3)), np.zeros((3, 4))
    ws = _core.Workspace()
    _, saved = _core.dense_forward(x, w, None, activation="linear", training=True, workspace=ws, version=None)
    d_kernel = np.zeros((3, 4))
    d_kernel.flags.writeable = False
    with pytest.raises(ValueError, match="d_kernel must be writable"):
        _core.dense_backward(
            x, w, saved, np.zeros((2, 4)), activation="linear", d_kernel=d_kernel, d_bias=None, need_dx=False,
            workspace=ws, version=None,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (64, 50, 128), (0, 3), (5,), ()])
def test_arrays_of_a_workspace(dtype: str, shape: tuple[int, ...]) -> None:
    workspace = _core.Workspace()
    first, second = workspace.array(shape, dtype), workspace.array(shape, dtype)
    assert first.shape == shape and first.dtype == dtype and first.flags.c_contiguous and first.flags.writeable
    first[...], second[...] = 1, 2
    assert (first == 1).all() and (second == 2).all()
    del workspace
    first[...] = 3
    assert (first == 3).all()


def test_an_array_of_a_workspace_is_used_again_only_when_no_one_holds_it() -> None:
    workspace = _core.Workspace()
    array = workspace.array((64, 1024), "float32")
    address, view = array.ctypes.data, array[3:]
    del array
    other = workspace.array((64, 1024), "float32")
    assert other.ctypes.data != address
    del view
    assert workspace.array((64, 1024), "float32").ctypes.data == address


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, -1), "float32", "sizes of at least 0"),
        ((1 << 40, 1 << 40), "float64", "fit into memory"),
        ((1,) * 65, "float32", "at most 64 axes"),
        ((2,), "int32", "'float32' or 'float64', got 'int32'"),
    ],
)
def test_arrays_that_a_workspace_rejects(shape: tuple[int, ...], dtype: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Workspace().array(shape, dtype)
