"""Fuzz targets of the compiled core: each binding with drawn shapes, dtypes, strides, byte orders, names and absences.

A draw that is right gives what the NumPy twin gives; any other raises a TypeError or ValueError (IndexError
where `_core.pyi` says so) before anything is written. A draw starts from right arguments, of which up to two
are spoiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from kernel.checks import ACTIVATIONS
from tolerance import assert_close

from fuzz.profiles import fuzz
from pyrnn import _core, reference
from pyrnn.reference.draws import DISTRIBUTIONS
from pyrnn.reference.recurrent import CELLS

REFUSALS = (TypeError, ValueError, IndexError)
SIZES = st.sampled_from([1, 1, 2, 3, 5, 8, 9, 17, 33])
STEPS = st.sampled_from([1, 1, 2, 3, 5, 8, 9, 17, 33, 130])  # more than a recurrent layer's backward walks at once
DTYPES = st.sampled_from(["float32", "float64"])
NAMES = st.sampled_from(ACTIVATIONS)
BAD_ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "none": lambda a: None,
    "list": lambda a: a.tolist(),
    "object": lambda a: object(),
    "text": lambda a: "tanh",
    "other-float": lambda a: a.astype("float64" if a.dtype == "float32" else "float32"),
    "half": lambda a: np.zeros(a.shape, "float16"),
    "integers": lambda a: a.astype("int32"),
    "complex": lambda a: a.astype("complex64"),
    "objects": lambda a: a.astype(object),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "strided": lambda a: np.repeat(a[..., None], 2, axis=-1)[..., 0],
    "reversed": lambda a: a[::-1] if a.ndim else a,
    "fortran": lambda a: np.asfortranarray(a),
    "broadcast": lambda a: np.broadcast_to(a.dtype.type(1), a.shape),
    "misaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes() or b"\0" * 8, a.dtype)[: a.size].reshape(a.shape),
    "empty": lambda a: a[:0] if a.ndim else a,
    "no-last": lambda a: a[..., :0] if a.ndim else a,
    "longer": lambda a: np.concatenate([a, a]) if a.ndim else a[None],
    "wider": lambda a: np.concatenate([a, a], axis=-1) if a.ndim else a[None],
    "scalar": lambda a: a.reshape(-1)[:1].reshape(()) if a.size else a,
    "flat": lambda a: a.ravel(),
    "deeper": lambda a: a[None],
    "huge": lambda a: np.broadcast_to(a.dtype.type(1), (2**20, 2**20)),
    "huge-empty": lambda a: np.empty((2**40, 0), a.dtype),
}
BAD_SCALARS: tuple[Any, ...] = (
    None, -1, 0, 1, 2**31, 2**62, 2**63, -(2**63), 2**70, 1.5, float("nan"), "tahn", "tanh", "glu", "\0", b"x", [], {},
    object(), True, "same",
)  # fmt: skip


def array(draw: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    return rng.standard_normal(shape).astype(dtype)


def spoiled(draw: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with up to two of them replaced."""
    changed = dict(arguments)
    for name in draw(st.lists(st.sampled_from(sorted(arguments)), max_size=2, unique=True)):
        value = changed[name]
        if isinstance(value, np.ndarray) and draw(st.integers(0, 3)):
            changed[name] = BAD_ARRAYS[draw(st.sampled_from(sorted(BAD_ARRAYS)))](value)
        elif isinstance(value, list | tuple) and value and draw(st.integers(0, 3)):
            items = list(value)
            at = draw(st.integers(0, len(items) - 1))
            if isinstance(items[at], np.ndarray):
                items[at] = BAD_ARRAYS[draw(st.sampled_from(sorted(BAD_ARRAYS)))](items[at])
            changed[name] = items[: draw(st.integers(0, len(items)))] if draw(st.integers(0, 2)) == 0 else items
        else:
            changed[name] = draw(st.sampled_from(BAD_SCALARS))
    return changed


def flat(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    return [each for part in value for each in flat(part)] if isinstance(value, list | tuple) else []


def bits(arguments: dict[str, Any]) -> list[bytes]:
    return [each.tobytes() for value in arguments.values() for each in flat(value) if each.size < 2**20]


def is_same(first: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(first[name] is other[name] for name in first)


def call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return the result, or None if the arguments were rejected; then none of them may have changed."""
    before = bits(arguments)
    try:
        return function(**arguments)
    except REFUSALS as error:
        assert str(error)
        assert bits(arguments) == before
        return None
    except MemoryError:
        return None


def agree(actual: Any, expected: Any, terms: int) -> None:
    ours, theirs = flat(actual), flat(expected)
    assert len(ours) == len(theirs)
    for first, other in zip(ours, theirs, strict=True):
        assert_close(first, other, terms)


def as_double(arguments: dict[str, Any]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.astype("float64") if value.dtype.kind == "f" else value
        return [one(each) for each in value] if isinstance(value, list | tuple) else value

    return {name: one(value) for name, value in arguments.items()} | (
        {"workspace": reference.Workspace()} if "workspace" in arguments else {}
    )


# Kinks of activations, where the next rounding decides between two derivatives, are left to kernel/test_operations.py.
SMOOTH = st.sampled_from(["linear", "tanh", "sigmoid", "silu", "softplus", "softmax"])
BOUNDED = st.sampled_from(["tanh", "sigmoid"])
# A GRU weighs its state and its candidate with z and 1 - z. Where z may be negative that is no mean of both: the state
# grows and rounding with it, so that an ulp of x moved an output by 100 of its own in 33 steps.
# kernel/test_recurrent.py has all of them.
GATES = dict.fromkeys(("gru", "gru_reset_before"), st.just("sigmoid"))


@fuzz
def test_rnn(draw: Any) -> None:
    cell, dtype = draw(st.sampled_from(sorted(CELLS))), draw(DTYPES)
    b, t, f, h = draw(SIZES), draw(STEPS), draw(SIZES), draw(SIZES)
    gates, states = CELLS[cell].gates, CELLS[cell].states
    bias_shape = (2, gates * h) if cell == "gru" else (gates * h,)

    def maybe(make: Callable[[], Any]) -> Any:
        return make() if draw(st.booleans()) else None

    common: dict[str, Any] = {
        "cell": cell, "x": array(draw, (b, t, f), dtype), "kernel": array(draw, (f, gates * h), dtype),
        "recurrent_kernel": array(draw, (h, gates * h), dtype) / 2, "activation": draw(BOUNDED),
        "recurrent_activation": draw(GATES.get(cell, BOUNDED)) if gates > 1 else None,
        "initial_state": maybe(lambda: [array(draw, (b, h), dtype) for _ in range(states)]),
        "mask": maybe(lambda: np.random.default_rng(0).random((b, t)) < 0.7),
        "input_scale": maybe(lambda: array(draw, (b, f) if draw(st.booleans()) else (gates, b, f), dtype)),
        "state_scale": maybe(lambda: array(draw, (b, h) if draw(st.booleans()) else (gates, b, h), dtype)),
        "go_backwards": draw(st.booleans()), "return_sequences": draw(st.booleans()),
        "zero_output_for_mask": draw(st.booleans()), "checkpoint_steps": maybe(lambda: draw(SIZES)),
        "workspace": _core.Workspace(), "version": maybe(lambda: 3),
    }  # fmt: skip
    for name in ("kernel", "recurrent_kernel"):
        common[name] = (common[name] / np.sqrt(h)).astype(dtype)
    common["bias"] = maybe(lambda: array(draw, bias_shape, dtype))
    right = {**common, "training": True}
    arguments = spoiled(draw, right)
    result = call(_core.rnn_forward, arguments)
    if not is_same(right, arguments):
        return
    twin = reference.rnn_forward(**as_double(right))
    agree(result[:2], twin[:2], f * h * t)
    backward: dict[str, Any] = {
        **common, "saved": list(result[2]), "d_output": array(draw, result[0].shape, dtype),
        "d_final_state": maybe(lambda: [array(draw, (b, h), dtype) for _ in range(states)]),
        "d_kernel": np.zeros((f, gates * h), dtype), "d_recurrent_kernel": np.zeros((h, gates * h), dtype),
        "d_bias": maybe(lambda: np.zeros(bias_shape, dtype)), "need_dx": draw(st.booleans()),
    }  # fmt: skip
    arguments = spoiled(draw, backward)
    result = call(_core.rnn_backward, arguments)
    if is_same(backward, arguments):
        double = as_double({**backward, "saved": ()}) | {"saved": twin[2]}
        expected = reference.rnn_backward(**double)
        names = ("d_kernel", "d_recurrent_kernel", "d_bias")
        agree([result, [backward[n] for n in names]], [expected, [double[n] for n in names]], b * t * f * h)


def affine(draw: Any, name: str, right: dict[str, Any], units: int, terms: int) -> None:
    arguments = spoiled(draw, right)
    result = call(getattr(_core, f"{name}_forward"), arguments)
    if not is_same(right, arguments):
        return
    twin = getattr(reference, f"{name}_forward")(**as_double(right))
    agree(result[0], twin[0], terms)
    kernel, dtype = right["kernel"], right["x"].dtype
    backward = {key: value for key, value in right.items() if key not in ("bias", "training")} | {
        "saved": list(result[1]), "dy": array(draw, result[0].shape, str(dtype)), "d_kernel": np.zeros_like(kernel),
        "d_bias": draw(st.sampled_from([None, np.zeros(units, dtype)])), "need_dx": draw(st.booleans()),
    }  # fmt: skip
    arguments = spoiled(draw, backward)
    result = call(getattr(_core, f"{name}_backward"), arguments)
    if is_same(backward, arguments):
        double = as_double({**backward, "saved": ()}) | {"saved": twin[1]}
        expected = getattr(reference, f"{name}_backward")(**double)
        agree([[result], backward["d_kernel"]], [[expected], double["d_kernel"]], terms * backward["dy"].size)


@fuzz
def test_dense(draw: Any) -> None:
    dtype, f, h = draw(DTYPES), draw(SIZES), draw(SIZES)
    leading = tuple(draw(st.lists(SIZES, max_size=2)))
    right = {
        "x": array(draw, (*leading, f), dtype), "kernel": array(draw, (f, h), dtype),
        "bias": array(draw, (h,), dtype) if draw(st.booleans()) else None, "activation": draw(SMOOTH), "training": True,
        "workspace": _core.Workspace(), "version": None,
    }  # fmt: skip
    affine(draw, "dense", right, h, f)


@fuzz
def test_conv1d(draw: Any) -> None:
    dtype, b, t, c, o, k = draw(DTYPES), draw(SIZES), draw(SIZES), draw(SIZES), draw(SIZES), draw(st.integers(1, 4))
    stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), (7, 1), (1, 2), (1, 5)]))
    padding = draw(st.sampled_from(["valid", "same", "causal"] if t > (k - 1) * dilation else ["same", "causal"]))
    right = {
        "x": array(draw, (b, t, c), dtype), "kernel": array(draw, (k, c, o), dtype),
        "bias": array(draw, (o,), dtype) if draw(st.booleans()) else None, "strides": stride, "dilation_rate": dilation,
        "padding": padding, "activation": draw(SMOOTH), "training": True, "workspace": _core.Workspace(),
        "version": None,
    }  # fmt: skip
    affine(draw, "conv1d", right, o, k * c)


@fuzz
def test_pool1d(draw: Any) -> None:
    dtype, shape = draw(DTYPES), (draw(SIZES), draw(SIZES), draw(SIZES))
    size = draw(st.integers(1, 6))
    right = {
        "x": array(draw, shape, dtype), "mode": draw(st.sampled_from(["max", "average"])), "pool_size": size,
        "strides": draw(st.integers(1, 6)), "padding": "valid" if size <= shape[1] and draw(st.booleans()) else "same",
    }  # fmt: skip
    arguments = spoiled(draw, right)
    y = call(_core.pool1d_forward, arguments)
    if is_same(right, arguments):
        agree(y, reference.pool1d_forward(**right), size)
        backward = {**right, "dy": array(draw, y.shape, dtype)}
        arguments = spoiled(draw, backward)
        dx = call(_core.pool1d_backward, arguments)
        if is_same(backward, arguments):
            agree(dx, reference.pool1d_backward(**as_double(backward)), size)


@fuzz
def test_layer_norm(draw: Any) -> None:
    dtype, n = draw(DTYPES), draw(SIZES)
    leading = tuple(draw(st.lists(st.sampled_from([0, 1, 3, 300]), max_size=2)))
    gamma, beta = (draw(st.sampled_from([None, array(draw, (n,), dtype)])) for _ in range(2))
    right = {"x": array(draw, (*leading, n), dtype), "gamma": gamma, "beta": beta, "epsilon": 1e-3, "training": True}
    arguments = spoiled(draw, right)
    result = call(_core.layer_norm_forward, arguments)
    if not is_same(right, arguments):
        return
    expected = reference.layer_norm_forward(**as_double(right))
    agree(result[0], expected[0], 8 * n)
    backward = {
        "dy": array(draw, result[0].shape, dtype), "saved": tuple(result[1]), "gamma": gamma,
        "d_gamma": draw(st.sampled_from([None, np.zeros(n, dtype)])), "need_dx": draw(st.booleans()),
        "d_beta": draw(st.sampled_from([None, np.zeros(n, dtype)])),
    }  # fmt: skip
    arguments = spoiled(draw, backward)
    dx = call(_core.layer_norm_backward, arguments)
    if is_same(backward, arguments) and dx is not None:
        assert dx.shape == result[0].shape and np.isfinite(dx).all()


@fuzz
def test_attention(draw: Any) -> None:
    dtype, d, e = draw(DTYPES), draw(SIZES), draw(SIZES)
    b, n = (draw(st.sampled_from([0, 1, 2])), draw(st.sampled_from([1, 2, 3])))
    q, v = (draw(st.sampled_from([0, 1, 2, 5, 17, 70])) for _ in range(2))
    shapes = {"query": (b, q, n, d), "key": (b, v, n, d), "value": (b, v, n, e)}
    arrays = {name: array(draw, shape, dtype) for name, shape in shapes.items()}
    shared = {
        "workspace": _core.Workspace(), "additive": draw(st.sampled_from([None, array(draw, (d,), dtype)])),
        "scale": 0.5, "factors": draw(st.sampled_from([None, np.abs(array(draw, (b, n, q, v), dtype))])),
    }  # fmt: skip
    axes = draw(st.lists(st.sampled_from([(1, n, q, v), (b, 1, 1, v), (b, 1, q, 1), (1, 1, q, v)]), max_size=3))
    right = {
        **arrays, **shared, "masks": [array(draw, shape, dtype) < 0.5 for shape in axes], "causal": draw(st.booleans()),
        "penalty": 1e9, "zero_unread": True, "need_weights": True,
    }  # fmt: skip
    arguments = spoiled(draw, right)
    result = call(_core.attention_forward, arguments)
    if not is_same(right, arguments):
        return
    with np.errstate(invalid="ignore"):
        expected = reference.attention_forward(**as_double(right))
    agree(result, expected, 64 * max(1, v) * d)
    backward = {
        **arrays, **shared, "weights": result[1], "dy": array(draw, (b, q, n, e), dtype),
        "d_weights": draw(st.sampled_from([None, array(draw, (b, n, q, v), dtype)])),
        "need_d_scale": draw(st.booleans()),
    }  # fmt: skip
    arguments = spoiled(draw, backward)
    gradients = call(_core.attention_backward, arguments)
    if is_same(backward, arguments):
        agree(gradients[:4], reference.attention_backward(**as_double(backward))[:4], 64 * max(1, q, v) * max(d, e))


@fuzz
def test_activations(draw: Any) -> None:
    dtype, name = draw(DTYPES), draw(st.one_of(NAMES, st.just("glu")))
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 4, 9, 34]), max_size=3)))
    right = {"x": array(draw, shape, dtype), "activation": name}
    arguments = spoiled(draw, right)
    y = call(_core.activation_forward, arguments)
    if is_same(right, arguments) and y is not None:
        if y.ndim and y.size:
            agree(y, reference.activation_forward(**as_double(right)), 64)
        backward = {**right, "y": y, "dy": array(draw, y.shape, dtype)}
        arguments = spoiled(draw, backward)
        dx = call(_core.activation_backward, arguments)
        if is_same(backward, arguments):
            assert dx.shape == shape and np.isfinite(dx).all()


RATES = st.sampled_from([0.0, 1e-3, 0.5, 1.0, -1.0, float("nan"), float("inf"), 1e300])


@fuzz
def test_optimizer_steps(draw: Any) -> None:
    dtype, n = draw(DTYPES), draw(st.sampled_from([0, 1, 7, 33, 32768, 32769]))
    vectors = ["weights", "gradients"]
    kind = draw(st.sampled_from(["sgd", "rmsprop", "adam"]))
    right: dict[str, Any] = {"learning_rate": 0.01}
    if kind == "sgd":
        vectors.append("momentum")
        right |= {"momentum_rate": 0.9, "nesterov": draw(st.booleans())}
    elif kind == "rmsprop":
        vectors += ["velocity", "momentum", "average_gradient"]
        right |= {"rho": 0.9, "momentum_rate": 0.5, "epsilon": 1e-3}
    else:
        vectors += ["momentum", "velocity", "velocity_hat"]
        right |= {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-3, "step": draw(st.integers(1, 9))}
    right |= {name: np.abs(array(draw, (n,), dtype)) for name in vectors}
    for name in ("momentum", "average_gradient", "velocity_hat"):
        if name in vectors and (kind != "adam" or name != "momentum") and draw(st.booleans()):
            right[name] = None
    if kind == "rmsprop":  # a centred variance must not be negative
        right["velocity"] = right["velocity"] + 99
    double = as_double(right)
    arguments = spoiled(draw, right)
    if draw(st.integers(0, 4)) == 0:
        arguments["learning_rate"] = draw(RATES)
    call(getattr(_core, f"{kind}_step"), arguments)
    if is_same(right, arguments):
        getattr(reference, f"{kind}_step")(**double)
        agree([right[name] for name in vectors], [double[name] for name in vectors], 16)


@fuzz
def test_squared_error(draw: Any) -> None:
    dtype, shape = draw(DTYPES), tuple(draw(st.lists(st.sampled_from([0, 1, 3, 33, 260]), max_size=3)))
    right = {"y_true": array(draw, shape, dtype), "y_pred": array(draw, shape, dtype)}
    arguments = spoiled(draw, right)
    result = call(_core.squared_error, arguments)
    if is_same(right, arguments):
        loss, gradient = reference.squared_error(*as_double(right).values())
        agree(np.asarray(result[0], dtype), np.asarray(loss), max(1, right["y_true"].size))
        agree(result[1], np.asarray(gradient), 1)


@fuzz
def test_gather_rows(draw: Any) -> None:
    dtype, rows = draw(DTYPES), draw(st.sampled_from([0, 1, 5, 40]))
    tail = tuple(draw(st.lists(st.sampled_from([0, 1, 3, 33]), max_size=2)))
    indices = draw(st.lists(st.one_of(st.integers(-2, 41), st.sampled_from([2**62, -(2**63)])), max_size=20))
    right = {"source": array(draw, (rows, *tail), dtype), "indices": np.array(indices, np.int64)}
    arguments = spoiled(draw, right)
    result = call(_core.gather_rows, arguments)
    if is_same(right, arguments):
        assert (result is not None) == all(0 <= index < rows for index in indices)
        if result is not None:
            assert np.array_equal(result, right["source"][right["indices"]])


@fuzz
def test_scatter_rows(draw: Any) -> None:
    dtype, rows = draw(DTYPES), draw(st.sampled_from([0, 1, 5, 40]))
    tail = tuple(draw(st.lists(st.sampled_from([0, 1, 3, 33]), max_size=2)))
    indices = draw(st.lists(st.one_of(st.integers(-1, 40), st.sampled_from([2**62, -(2**63)])), max_size=20))
    right = {
        "target": np.ones((rows, *tail), dtype), "indices": np.array(indices, np.int64),
        "source": array(draw, (len(indices), *tail), dtype),
    }  # fmt: skip
    arguments = spoiled(draw, right)
    call(_core.scatter_rows, arguments)
    if is_same(right, arguments):
        if all(0 <= index < rows for index in indices):
            expected = np.zeros((rows, *tail))
            np.add.at(expected, right["indices"], right["source"].astype("float64"))
            agree(right["target"], expected, 20)
        else:
            assert (right["target"] == 1).all()


@fuzz
def test_streams(draw: Any) -> None:
    dtype = draw(DTYPES)
    kind = "Stream32" if dtype == "float32" else "Stream64"
    batch, width = draw(st.sampled_from([1, 1, 2, 5, 64, 65])), draw(SIZES)
    made = call(getattr(_core, kind), spoiled(draw, {"batch": batch, "features": width}))
    if made is not None and draw(st.integers(0, 4)) == 0:  # any sizes: nothing is run on it but what checks
        call(made.add_activation, {"activation": "tanh"})
        call(made.reset, {"rows": [2**40]})
        return
    ours, twin, features, count = getattr(_core, kind)(batch, width), getattr(reference, kind)(batch, width), width, 0
    for _ in range(draw(st.integers(0, 3))):
        layer = draw(st.sampled_from(["recurrent", "dense", "activation", "layer_norm"]))
        if layer == "recurrent":
            cell, h = draw(st.sampled_from(sorted(CELLS))), draw(SIZES)
            gates = CELLS[cell].gates
            right: dict[str, Any] = {
                "cell": cell, "kernel": array(draw, (width, gates * h), dtype),
                "recurrent_kernel": array(draw, (h, gates * h), dtype), "bias": None, "activation": "tanh",
                "recurrent_activation": "sigmoid" if gates > 1 else None,
            }  # fmt: skip
        elif layer == "dense":
            h = draw(SIZES)
            right = {
                "kernel": array(draw, (width, h), dtype),
                "bias": array(draw, (h,), dtype),
                "activation": draw(SMOOTH),
            }
        elif layer == "activation":
            h, right = width, {"activation": draw(SMOOTH)}
        else:
            h, right = width, {"gamma": array(draw, (width,), dtype), "beta": None, "epsilon": 1e-3}
        arguments = spoiled(draw, right)
        add = f"add_{layer}"
        if is_same(right, arguments):
            getattr(ours, add)(**right)
            getattr(twin, add)(**right)
            width, count = h, count + 1
        else:
            trial = getattr(_core, kind)(batch, width)
            call(getattr(trial, add), arguments)
            if width == features:
                call(trial.step, {"x": array(draw, (batch, features), dtype)})
    for _ in range(draw(st.integers(1, 3))):
        x = array(draw, (batch, features), dtype)
        arguments = spoiled(draw, {"x": x})
        y = call(ours.step, arguments)
        if arguments["x"] is x and count:
            agree(y, twin.step(x), 64 * features * 33)
        elif y is not None:  # converted: integers, other floats, other orders
            twin.step(np.array(np.asarray(arguments["x"]), dtype))
    sample_paths(draw, ours, twin, (batch, features, width) if count else None, dtype)
    states = call(ours.states, {})
    arguments = spoiled(draw, {"states": states})
    call(ours.set_states, arguments)
    call(ours.reset, spoiled(draw, {"rows": draw(st.lists(st.integers(-1, 70), max_size=4))}))


@fuzz
def test_chains(draw: Any) -> None:
    dtype, has_steps = draw(DTYPES), draw(st.booleans())
    kind = "Chain32" if dtype == "float32" else "Chain64"
    batch, steps, features = draw(SIZES), draw(st.sampled_from([1, 2, 9])), draw(SIZES)
    shape: tuple[int, ...] = (batch, steps, features) if has_steps else (batch, features)
    ours, twin, terms = getattr(_core, kind)(), getattr(reference, kind)(), 1
    x, gradients = array(draw, shape, dtype), []
    for _ in range(draw(st.integers(0, 3))):
        h, width = draw(SIZES), shape[-1]
        if len(shape) == 3 and draw(st.booleans()):
            cell, sequences = draw(st.sampled_from(sorted(CELLS))), draw(st.booleans())
            gates = CELLS[cell].gates
            add, weights = "add_recurrent", {"kernel": (width, gates * h), "recurrent_kernel": (h, gates * h)}
            bias: tuple[int, ...] = (2, gates * h) if cell == "gru" else (gates * h,)
            options: dict[str, Any] = {
                "cell": cell, "activation": "tanh", "recurrent_activation": "sigmoid" if gates > 1 else None,
                "go_backwards": draw(st.booleans()), "return_sequences": sequences,
            }  # fmt: skip
            after: tuple[int, ...] = (batch, steps, h) if sequences else (batch, h)
        else:
            add, weights, bias, options = "add_dense", {"kernel": (width, h)}, (h,), {"activation": draw(SMOOTH)}
            after = (*shape[:-1], h)
        right = {name: array(draw, size, dtype) for name, size in weights.items()}
        right["bias"] = array(draw, bias, dtype) if draw(st.booleans()) else None
        d_ours, d_twin = (
            {f"d_{name}": None if value is None else np.zeros_like(value) for name, value in right.items()}
            for _ in range(2)
        )
        options["workspace"] = _core.Workspace()
        arguments = spoiled(draw, right | options | d_ours)
        if is_same(right | options | d_ours, arguments):
            getattr(ours, add)(**arguments)
            getattr(twin, add)(**right, **options, **d_twin)
            gradients += [(d_ours[name], value) for name, value in d_twin.items() if value is not None]
            shape, terms = after, terms * max(2, width + h)
        else:
            trial = getattr(_core, kind)()
            call(getattr(trial, add), arguments)
            call(trial.squared_error, {"x": x, "y": array(draw, after, dtype)})
    right = {"x": x, "y": array(draw, shape, dtype)}
    arguments = spoiled(draw, right)
    result = call(ours.squared_error, arguments)
    if is_same(right, arguments) and gradients:
        error, y = twin.squared_error(**right)
        assert result is not None
        if dtype == "float64":  # float32's tolerance would have to grow with each layer
            agree(result[0], error, 64 * terms)
            agree(result[1], y, 64 * terms)
            for gradient, expected in gradients:
                agree(gradient, expected, 64 * terms * batch * steps)


def sample_paths(draw: Any, ours: Any, twin: Any, sizes: tuple[int, int, int] | None, dtype: str) -> None:
    """Draw paths from both streams, which have these sizes of batch, features and outputs, or no layers."""
    batch, features, width = sizes or (1, 1, 1)
    name = draw(st.sampled_from(sorted(DISTRIBUTIONS)))
    steps = draw(st.integers(1, 3))
    right: dict[str, Any] = {
        "inputs": array(draw, (batch, steps, features), dtype),
        "origin": array(draw, (batch,), dtype), "unit": np.ones(batch, dtype),
        "offset": draw(st.sampled_from([None, array(draw, (batch, steps, DISTRIBUTIONS[name]), dtype)])),
        "base": array(draw, (batch, steps), dtype), "width": np.ones((batch, steps), dtype), "distribution": name,
        "paths": draw(st.sampled_from([1, 2, 13])), "column": draw(st.integers(0, features - 1)),
        "seed": draw(st.integers(-(2**63), 2**63 - 1)),
    }  # fmt: skip
    arguments = spoiled(draw, right)
    values = call(ours.sample, arguments)
    if sizes is None or DISTRIBUTIONS[name] != width:
        assert values is None or arguments["distribution"] != name
    elif is_same(right, arguments):
        assert values is not None and values.shape == (batch, right["paths"], right["inputs"].shape[1])
        if name == "point":  # a rounding error may move another one by a whole draw
            agree(values, twin.sample(**right), 64 * features * 33 * 3)


@fuzz
def test_threads_and_measures(draw: Any) -> None:
    before = _core.get_num_threads()
    value = draw(st.one_of(st.sampled_from(BAD_SCALARS), st.integers(-3, 9)))
    call(_core.set_num_threads, {"count": value})
    assert 1 <= _core.get_num_threads() <= 256
    _core.set_num_threads(before)
    if not isinstance(value, int | float) or not 0 < value < 2**40:
        call(_core.read_bandwidth, {"bytes": value})
    assert (call(_core.usable_cores, {"root": value}) or 1) >= 1
    registers = ("leaf_1_ecx", "leaf_7_ebx", "extended_1_ecx", "saved")
    assert (call(_core.x86_level, dict.fromkeys(registers, value)) or 1) in range(1, 5)
    call(_core.fma_peak, {"dtype": draw(st.sampled_from([None, 3, "float16", "\0", b"float32", "Float32"]))})
