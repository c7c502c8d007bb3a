"""Every layer compared with Keras's, on the same weights: numbers, gradients, masks, shapes, configs (extra `keras`).

Gradients are those of sum(y * r), on Keras's side by PyTorch's autograd.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.backend.common import dtypes
from layer_cases import CASES, Case
from tolerance import assert_close

import pyrnn
from pyrnn import layers

# Keras has no such layer, or test_keras_layer_models.py and test_keras_models.py compare it.
ELSEWHERE = {"InputLayer", "Lambda", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
# test_keras_merging.py and test_keras_attention.py compare layers of several inputs.
ELSEWHERE |= {name for name, layer in layers.REGISTRY.items() if layer.merges}
# What a config need not hold: an inner layer's shape, and what an initializer has unless told so.
LEFT_OUT = {"build_config", "input_axes", "output_axes"}
ALL = [(name, case) for name, cases in CASES.items() for case in cases]
IDS = [f"{name}-{i}" for name, cases in CASES.items() for i in range(len(cases))]
# Keras's own words against an option that it has.
pytestmark = pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`, which is deprecated:UserWarning")
each_case = pytest.mark.parametrize(("name", "case"), ALL, ids=IDS)


def test_every_layer_has_cases() -> None:
    assert set(CASES) == set(layers.REGISTRY) - ELSEWHERE


def make(library: Any, name: str, case: Case, dtype: str = "float32") -> Any:
    """The layer of a case in one of the libraries."""

    def argument(key: str, value: Any) -> Any:
        if key != "cell" and not key.endswith("layer"):
            return value
        return getattr(library.layers, value[0])(**value[1], name="inner" if key == "layer" else "other", dtype=dtype)

    kwargs = {key: argument(key, value) for key, value in case.kwargs.items()}
    return getattr(library.layers, name)(**kwargs, name="layer", dtype=dtype)


def make_pair(name: str, case: Case, dtype: str) -> tuple[Any, Any]:
    """The layer here and in Keras, built, with the same weights."""
    ours, theirs = make(pyrnn, name, case, dtype), make(keras, name, case, dtype)
    ours.build(case.shape)
    theirs.build(case.shape)
    rng = np.random.default_rng(1)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    values = [
        rng.random(w.shape) + 0.5 if w.name.endswith(("variance", "stddev")) else rng.normal(size=w.shape) / 2
        for w in ours.weights
    ]
    ours.set_weights(values)
    theirs.set_weights(values)
    return ours, theirs


def make_mask(kind: str | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if kind is None:
        return None
    rng = np.random.default_rng(2)
    if kind == "ends":
        return np.broadcast_to(np.arange(shape[-1]) < rng.integers(1, shape[-1] + 1, (*shape[:-1], 1)), shape)
    mask = rng.random(shape) < 0.5
    mask[:, rng.integers(shape[1])] = True
    if kind == "row":
        mask[2] = mask[1, 0] = False
    return mask


def make_states(theirs: Any, case: Case, dtype: str) -> list[np.ndarray] | None:
    if not case.state:
        return None
    cells = [theirs.forward_layer, theirs.backward_layer] if hasattr(theirs, "forward_layer") else [theirs]
    rng = np.random.default_rng(3)
    sizes = [size for cell in cells for size in np.atleast_1d(cell.cell.state_size)]
    return [rng.normal(size=(case.shape[0], size)).astype(dtype) for size in sizes]


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def array(value: Any) -> np.ndarray:
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else keras.ops.convert_to_numpy(value))


def call_ours(layer: Any, x: np.ndarray, mask: Any, states: Any, training: bool) -> tuple[list[Any], list[Any]]:
    """Outputs and their masks, as a model passes them on."""
    extra = {} if states is None else {"initial_state": states}
    y = flat(layer(x, mask=mask, training=training, **extra))
    if mask is None and not layer.makes_mask:
        return y, [None] * len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = layer.compute_mask(x, mask)
    return y, result if isinstance(result, list) else [result, *[None] * (len(y) - 1)]


def call_theirs(layer: Any, x: Any, mask: Any, states: Any, training: bool) -> tuple[list[Any], list[Any]]:
    extra = {} if states is None else {"initial_state": states}
    if mask is not None:
        set_keras_mask(x, torch.tensor(mask))
        if states is not None:  # Keras gives a call with several tensors no mask by itself
            extra["mask"] = torch.tensor(mask)
    y = flat(layer(x, training=training, **extra))
    return y, [get_keras_mask(each) for each in y]


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """But for TensorFlow, Keras rounds the results of float64 operations to float32 unless its table is changed."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", request.param)
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx("float32")


def make_input(name: str, case: Case, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    if case.ids is not None:
        return rng.integers(0, case.ids, case.shape).astype("int32")
    x = (case.scale * rng.normal(size=case.shape)).astype(dtype)
    if case.grid is not None:
        x = np.round(x / case.grid) * case.grid
    if name == "Masking":
        x[0, 2] = x[1, 3:] = case.kwargs.get("mask_value", 0.0)
    return x


@each_case
def test_numbers(name: str, case: Case, dtype: str) -> None:
    ours, theirs = make_pair(name, case, dtype)
    x = make_input(name, case, dtype)
    is_sequence = len(case.shape) == 3 or "Conv" in name or name == "Bidirectional"
    mask = make_mask(case.mask, case.shape[:2] if is_sequence else case.shape)
    states = make_states(theirs, case, dtype)
    terms = 4 * max(x.size, sum(w.size for w in ours.weights))
    tensor = torch.tensor(x, requires_grad=case.ids is None)
    tensors = None if states is None else [torch.tensor(state, requires_grad=True) for state in states]
    for training in (False, True):
        actual, masks = call_ours(ours, x, mask, states, training)
        expected, expected_masks = call_theirs(theirs, tensor, mask, tensors, training)
        assert len(actual) == len(expected)
        for y, z in zip(actual, expected, strict=True):
            assert y.dtype == dtype and y.flags.c_contiguous
            assert_close(y, array(z), terms, f"output, training={training}")
        for y, z in zip(masks, expected_masks, strict=True):
            assert (y is None) == (z is None)
            assert y is None or np.array_equal(y, array(z))
    for weight, value in zip(ours.weights, theirs.weights, strict=True):
        assert_close(weight.numpy().astype(dtype), array(value), terms, weight.path)

    rng = np.random.default_rng(7)
    r = [rng.normal(size=y.shape).astype(dtype) for y in actual]
    if "stateful" in case.kwargs:  # Keras writes the new state over the one its gradient needs
        return
    if dtype == "float64" and "hard_sigmoid" in case.kwargs.values():  # PyTorch has its slope 1 / 6 in float32
        return
    loss = sum((y * torch.tensor(each)).sum() for y, each in zip(expected, r, strict=True))
    if loss.requires_grad:
        loss.backward()
    gradients = ours.backward(*r)
    dx, *d_states = gradients if isinstance(gradients, tuple) else (gradients,)
    for gradient, state in zip(d_states, tensors or [], strict=True):
        assert_close(gradient, array(state.grad), terms, "gradient by an initial state")
    if case.ids is None:
        assert dx.dtype == dtype and dx.flags.c_contiguous
        assert_close(dx, array(tensor.grad), terms, "dx")
    assert len(ours.trainable_weights) == len(theirs.trainable_weights)
    for weight, value in zip(ours.trainable_weights, theirs.trainable_weights, strict=True):
        assert_close(weight.gradient, array(value.value.grad), terms, f"gradient of {weight.path}")


def plain(value: Any) -> Any:
    """A config as it comes back from a file."""

    def stripped(result: dict[str, Any]) -> dict[str, Any]:
        return {key: each for key, each in result.items() if key not in LEFT_OUT}

    # Keras keeps the factors of regularizers in float32.
    return json.loads(json.dumps(value), object_hook=stripped, parse_float=lambda digits: float(np.float32(digits)))


@each_case
def test_configs_both_ways(name: str, case: Case) -> None:
    for built in (False, True):
        ours, theirs = make(pyrnn, name, case), make(keras, name, case)
        if built:
            ours.build(case.shape)
            theirs.build(case.shape)
        mine, config = layers.serialize(ours), keras.layers.serialize(theirs)
        for part in ("module", "class_name", "registered_name"):
            assert mine[part] == config[part]
        assert plain(ours.get_config()) == plain(theirs.get_config())
        by_us = layers.deserialize(plain(config))
        by_keras = keras.layers.deserialize(plain(mine))
        for read in (by_us, by_keras):
            if not read.built:
                read.build(case.shape)
        ours.build(case.shape)
        assert plain(by_us.get_config()) == plain(ours.get_config()) == plain(by_keras.get_config())
        assert [w.shape for w in by_us.weights] == [tuple(w.shape) for w in by_keras.weights]
        by_us.set_weights(ours.get_weights())
        by_keras.set_weights(ours.get_weights())
        x = make_input(name, case, "float32")
        for y, z in zip(flat(by_us(x)), flat(by_keras(x)), strict=True):
            assert_close(y, array(z), 4 * max(x.size, sum(w.size for w in ours.weights)), "output")


def shapes(value: Any) -> list[tuple[Any, ...]]:
    """One shape or several as tuples."""
    several = isinstance(value, (list, tuple)) and any(isinstance(each, (list, tuple)) for each in value)
    return [tuple(each) for each in value] if several else [tuple(value)]


@each_case
def test_output_shapes(name: str, case: Case) -> None:
    ours, theirs = make_pair(name, case, "float32")
    open_time = (case.shape[0], None, *case.shape[2:])
    if case.kwargs.get("data_format") == "channels_first":
        open_time = (*case.shape[:2], None)
    if case.kwargs.get("activation") == "glu":  # Keras does not see that it halves the last axis
        return
    if name == "EinsumDense":  # Keras gives None for sizes that it knows, and those of "..." in the wrong order
        x = make_input(name, case, "float32")
        assert ours.compute_output_shape(case.shape) == np.shape(array(theirs(torch.tensor(x))))
        return
    asked = [case.shape, (None, *case.shape[1:])] if "stateful" not in case.kwargs else [case.shape]
    if layers.REGISTRY[name].axes is not None and len(case.shape) == 3:
        asked.append(open_time)
    for shape in asked:
        assert shapes(ours.compute_output_shape(shape)) == shapes(theirs.compute_output_shape(shape))


ACTIVITIES = {"ActivityRegularization": {"l1": 0.1, "l2": 0.3}, "Dense": {"units": 3, "activity_regularizer": "l2"}}


@pytest.mark.parametrize("name", ACTIVITIES)
def test_activity_penalties(name: str, dtype: str) -> None:
    ours, theirs = make_pair(name, Case(ACTIVITIES[name], (3, 6, 4)), dtype)
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(dtype)
    y = ours(x)
    theirs(torch.tensor(x))
    penalty = np.dtype(dtype).type(ours.activity_regularizer(y) / len(y))
    assert_close(penalty, array(sum(theirs.losses)), x.size, "penalty")
