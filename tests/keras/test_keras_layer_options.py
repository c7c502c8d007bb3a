"""Recurrent layers, cells and their options (and others beside them) in one table: numbers, configs, states."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from tolerance import assert_close

from pyrnn import activations, layers

SEQUENCE, ROWS, IDS = (3, 7, 5), (4, 6), (3, 7)
# Terms summed on the way to a weight's gradient, at most: samples, steps, features.
TERMS = 3 * 7 * 64

RECURRENT: dict[str, dict[str, Any]] = {
    "plain": {},
    "sequences": {"return_sequences": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "no-bias": {"use_bias": False},
    "zero-output": {"zero_output_for_mask": True, "return_sequences": True},
    "unroll": {"unroll": True},
    **{f"act-{name}": {"activation": name} for name in ("relu", "linear", "softsign", "elu", "gelu", "hard_sigmoid")},
}
GATES: dict[str, dict[str, Any]] = {
    f"gate-{name}": {"recurrent_activation": name} for name in ("hard_sigmoid", "tanh", "softplus", "relu")
}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "SimpleRNN": {},
    "LSTM": {**GATES, "no-forget-bias": {"unit_forget_bias": False}},
    "GRU": {
        **GATES,
        "reset-before": {"reset_after": False},
        "reset-before-no-bias": {"reset_after": False, "use_bias": False},
    },
}
Case = tuple[dict[str, Any], tuple[int, ...]]
CASES: dict[str, Case] = {
    f"{kind}:{name}": ({"units": 6, **options}, SEQUENCE)
    for kind, own in OWN.items()
    for name, options in {**RECURRENT, **own}.items()
}
CASES |= {
    f"Bidirectional:{inner}-{mode}-{sequences}": (
        {"layer": (inner, {"units": 4, "return_sequences": sequences}), "merge_mode": mode},
        SEQUENCE,
    )
    for inner in ("SimpleRNN", "LSTM", "GRU")
    for mode in ("concat", "sum", "mul", "ave")
    for sequences in (False, True)
}
# Keras's sparsemax does not sum to 1 on this backend, as its definition (Martins and Astudillo 2016) has it.
COMPARED = [name for name in activations.NAMES if name not in ("glu", "sparsemax")]
CASES |= {f"Activation:{name}": ({"activation": name}, SEQUENCE) for name in COMPARED}
CASES |= {
    "Dense:plain": ({"units": 3}, ROWS),
    "Dense:sequence": ({"units": 3, "activation": "tanh", "use_bias": False}, SEQUENCE),
    "Conv1D:same": ({"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, SEQUENCE),
    "Conv1D:causal": ({"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, SEQUENCE),
    "MaxPooling1D:plain": ({}, SEQUENCE),
    "MaxPooling1D:same": ({"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE),
    "AveragePooling1D:same": ({"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE),
    "GlobalMaxPooling1D:plain": ({}, SEQUENCE),
    "GlobalAveragePooling1D:keepdims": ({"keepdims": True}, SEQUENCE),
    "Flatten:plain": ({}, SEQUENCE),
    "Reshape:plain": ({"target_shape": (5, -1)}, SEQUENCE),
    "RepeatVector:plain": ({"n": 3}, ROWS),
    "Permute:plain": ({"dims": (2, 1)}, SEQUENCE),
    "ZeroPadding1D:plain": ({"padding": (2, 1)}, SEQUENCE),
    "Cropping1D:plain": ({"cropping": (2, 1)}, SEQUENCE),
    "UpSampling1D:plain": ({"size": 3}, SEQUENCE),
    "Rescaling:plain": ({"scale": 0.5, "offset": 0.1}, SEQUENCE),
    "Masking:plain": ({"mask_value": 0.5}, SEQUENCE),
    "Identity:plain": ({}, SEQUENCE),
    "LayerNormalization:plain": ({}, SEQUENCE),
    "LayerNormalization:bare": ({"center": False, "scale": False, "epsilon": 0.1}, ROWS),
    "BatchNormalization:rows": ({}, ROWS),
    "BatchNormalization:sequence": ({"momentum": 0.8, "epsilon": 0.01}, SEQUENCE),
    "BatchNormalization:axis": ({"axis": 1, "center": False, "scale": False}, SEQUENCE),
    "TimeDistributed:dense": ({"layer": ("Dense", {"units": 3, "activation": "tanh"})}, SEQUENCE),
    "Dropout:plain": ({"rate": 0.5}, SEQUENCE),
    "SpatialDropout1D:plain": ({"rate": 0.5}, SEQUENCE),
    "GaussianNoise:plain": ({"stddev": 0.5}, SEQUENCE),
    "GaussianDropout:plain": ({"rate": 0.5}, SEQUENCE),
    "AlphaDropout:plain": ({"rate": 0.5, "noise_shape": (3, 1, 5)}, SEQUENCE),
    "ActivityRegularization:plain": ({"l1": 0.1, "l2": 0.2}, SEQUENCE),
    "LeakyReLU:plain": ({}, SEQUENCE),
    "LeakyReLU:slope": ({"negative_slope": 0.1}, SEQUENCE),
    "PReLU:plain": ({"alpha_initializer": "random_normal"}, SEQUENCE),
    "PReLU:shared": ({"alpha_initializer": "random_normal", "shared_axes": [1]}, SEQUENCE),
    "ELU:plain": ({"alpha": 0.7}, SEQUENCE),
    "ReLU:plain": ({}, SEQUENCE),
    "ReLU:all": ({"max_value": 0.8, "negative_slope": 0.1, "threshold": 0.2}, SEQUENCE),
    "Softmax:plain": ({}, SEQUENCE),
    "Softmax:axes": ({"axis": (1, 2)}, SEQUENCE),
    "Embedding:plain": ({"input_dim": 9, "output_dim": 4}, IDS),
    "Embedding:mask": ({"input_dim": 9, "output_dim": 4, "mask_zero": True}, IDS),
    "Normalization:given": ({"mean": 0.5, "variance": 4.0}, SEQUENCE),
    "Normalization:features": ({"mean": [0.1, 0.2, 0.3, 0.4, 0.5], "variance": [1.0, 2.0, 3.0, 4.0, 5.0]}, SEQUENCE),
    "Normalization:invert": ({"mean": 0.5, "variance": 4.0, "invert": True}, ROWS),
    "Normalization:axes": ({"axis": (1, 2)}, SEQUENCE),
    "RNN:lstm": ({"cell": ("LSTMCell", {"units": 4}), "return_sequences": True}, SEQUENCE),
    "RNN:gru": ({"cell": ("GRUCell", {"units": 4, "reset_after": False}), "go_backwards": True}, SEQUENCE),
    "RNN:simple": ({"cell": ("SimpleRNNCell", {"units": 4, "activation": "relu"}), "unroll": True}, SEQUENCE),
    "RNN:zero": (
        {"cell": ("LSTMCell", {"units": 4}), "return_sequences": True, "zero_output_for_mask": True},
        SEQUENCE,
    ),
}
# What training makes random; its moments are held by tests/test_layers.py.
RANDOM = ("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout")
MASKED = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "RNN", "GlobalAveragePooling1D", "BatchNormalization", "Softmax")


def make(library: Any, case: str) -> Any:
    kind = case.split(":")[0]
    options = dict(CASES[case][0])
    for argument in ("layer", "cell"):
        if argument in options:
            inner, settings = options[argument]
            options[argument] = getattr(library, inner)(**settings)
    return getattr(library, kind)(**options)


def numbers(case: str) -> tuple[np.ndarray, np.ndarray]:
    """x, and a mask with a hole, a late start and a whole row."""
    rng = np.random.default_rng(3)
    shape = CASES[case][1]
    x = rng.normal(size=shape).astype("float32")
    if shape == IDS:
        x = rng.integers(0, 9, shape).astype("float32")
    mask = np.ones(shape[:2], bool)
    mask[0, 5:] = mask[1, 2] = mask[1, 0] = mask[2] = False
    if case.startswith("GlobalAveragePooling1D"):
        mask[2, 3] = True  # the mean of no step is NaN
    return x, mask


def pair(case: str) -> tuple[Any, Any]:
    """Both layers, built, with weights that differ from their starting values."""
    theirs, ours = make(keras.layers, case), make(layers, case)
    shape = CASES[case][1]
    theirs.build(shape)
    ours.build(shape)
    rng = np.random.default_rng(5)
    values = [
        np.abs(rng.normal(size=w.shape)) if "variance" in w.path else rng.normal(size=w.shape) * 0.5
        for w in theirs.weights
    ]
    values = [
        np.asarray(value, "int32" if "count" in w.path else "float32")
        for value, w in zip(values, theirs.weights, strict=True)
    ]
    theirs.set_weights(values)
    if hasattr(theirs, "finalize_state"):
        theirs.finalize_state()
    ours.set_weights(values)
    return theirs, ours


def gradients(theirs: Any, x: np.ndarray, r: np.ndarray, options: dict[str, Any]) -> tuple[Any, Any, list[Any]]:
    """Keras's output, dx and weight gradients of sum(y * r)."""
    tensor = torch.tensor(x, requires_grad=True)
    y = theirs(tensor, **options)
    (y * torch.tensor(r)).sum().backward()
    found = [None if w.value.grad is None else w.value.grad.detach().numpy().copy() for w in theirs.weights]
    return y.detach().numpy(), None if tensor.grad is None else tensor.grad.numpy(), found


VARIANTS = [(case, False) for case in CASES] + [
    (case, True) for case in CASES if case.split(":")[0] in MASKED and CASES[case][1] == SEQUENCE and "axis" not in case
]
VARIANTS = [v for v in VARIANTS if not (v[1] and v[0].startswith("Softmax"))]


@pytest.mark.parametrize(("case", "masked"), VARIANTS, ids=[f"{c}{'+mask' if m else ''}" for c, m in VARIANTS])
def test_numbers(case: str, masked: bool) -> None:
    theirs, ours = pair(case)
    x, mask = numbers(case)
    options: dict[str, Any] = {"mask": mask} if masked else {}
    theirs_options = {"mask": torch.tensor(mask)} if masked else {}
    kind = case.split(":")[0]
    expected = theirs(x, **theirs_options).detach().cpu().numpy()
    actual = ours(x, **options)
    assert_close(actual, expected, TERMS, "output")
    assert tuple(theirs.compute_output_shape(CASES[case][1])) == ours.compute_output_shape(CASES[case][1])
    if kind in RANDOM:
        return
    r = np.random.default_rng(7).normal(size=expected.shape).astype("float32")
    training = {"training": True} if kind == "BatchNormalization" else {}
    y, dx, by_weight = (
        gradients(theirs, x, r, {**theirs_options, **training}) if kind != "Embedding" else (*_embedding(theirs, x, r),)
    )
    mine = ours.forward(x, training=True, mask=options.get("mask"))
    assert_close(mine, y, TERMS, "output in training")
    own_dx = ours.backward(r)
    if dx is not None:
        assert_close(own_dx, dx, TERMS, "dx")
    for weight, value in zip(ours.weights, by_weight, strict=True):
        if value is not None and weight.trainable:
            assert_close(weight.gradient, value, TERMS, weight.path)
    for weight, other in zip(ours.weights, theirs.weights, strict=True):
        assert_close(np.float32(weight.numpy()), np.float32(keras.ops.convert_to_numpy(other)), TERMS, "weight after")


def _embedding(theirs: Any, x: np.ndarray, r: np.ndarray) -> tuple[Any, None, list[Any]]:
    y = theirs(torch.tensor(x))
    (y * torch.tensor(r)).sum().backward()
    return y.detach().numpy(), None, [w.value.grad.numpy() for w in theirs.weights]


@pytest.mark.parametrize("case", CASES)
def test_configs_both_ways(case: str) -> None:
    theirs, ours = pair(case)
    mine, other = ours.get_config(), theirs.get_config()
    assert mine.keys() == other.keys() | mine.keys() and not other.keys() - mine.keys()
    by_keras = keras.layers.deserialize(layers.serialize(ours))
    by_us = layers.deserialize(keras.layers.serialize(theirs))
    shape = CASES[case][1]
    for layer in (by_keras, by_us):
        if not layer.built:
            layer.build(shape)
        layer.set_weights([np.asarray(w) for w in ours.get_weights()])
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    x = numbers(case)[0]
    expected = by_keras(x).detach().cpu().numpy()
    assert_close(by_us(x), expected, TERMS, "output")
    assert_close(ours(x), expected, TERMS, "output")


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_states(kind: str) -> None:
    theirs, ours = pair(f"{kind}:plain")
    theirs.return_state = ours.return_state = True
    x, mask = numbers(f"{kind}:plain")
    starts = [np.random.default_rng(i).normal(size=(3, 6)).astype("float32") for i in range(ours.state_count)]
    expected = theirs(x, initial_state=[torch.tensor(s) for s in starts], mask=torch.tensor(mask))
    for mine, other in zip(ours(x, initial_state=starts, mask=mask), expected, strict=True):
        assert_close(mine, other.detach().numpy(), TERMS, "output or state")
