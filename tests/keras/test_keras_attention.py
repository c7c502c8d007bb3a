"""Attention layers compared with Keras's: numbers, gradients, masks, weights, configs."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.backend import get_keras_mask, set_keras_mask
from tolerance import assert_close

from pyrnn import layers

QUERY, VALUE, KEY = (2, 4, 3), (2, 5, 6), (2, 5, 3)
CALLS: list[dict[str, bool]] = [
    {name: True for name, flag in zip(("return_attention_scores", "use_causal_mask"), flags, strict=True) if flag}
    for flags in itertools.product([False, True], repeat=2)
]
SINGLE: list[tuple[str, dict[str, Any]]] = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]
HEADS: list[dict[str, Any]] = [
    {},
    {"value_dim": 3},
    {"use_bias": False},
    {"output_shape": 7},
    {"output_shape": (2, 3)},
    {"use_gate": True, "kernel_regularizer": "l2", "bias_constraint": "non_neg"},
    {"sliding_window": 2},
]


class Pair:
    """A layer here and in Keras, with the same weights and inputs."""

    def __init__(self, name: str, options: dict[str, Any], shapes: list[tuple[int, ...]], masked: Any = ()) -> None:
        rng = np.random.default_rng(0)
        self.name, self.options = name, options
        self.ours, self.theirs = getattr(layers, name)(**options), getattr(keras.layers, name)(**options)
        self.xs = [rng.normal(size=shape).astype("float32") for shape in shapes]
        pairs = zip(shapes, masked, strict=False)
        self.masks = [mask_of(rng, shape[:2]) if has_mask else None for shape, has_mask in pairs]
        self.tensors = [torch.tensor(x, requires_grad=True) for x in self.xs]
        self.call_ours({}, {}, False)
        self.call_theirs({}, {})
        assert [w.name for w in self.ours.weights] == [w.name for w in self.theirs.weights]
        paths = [[w.path.split("/", 1)[1] for w in layer.weights] for layer in (self.ours, self.theirs)]
        assert paths[0] == paths[1]
        values = [rng.normal(size=weight.shape) for weight in self.ours.weights]
        self.ours.set_weights(values)
        self.theirs.set_weights(values)

    def call_ours(self, call: dict[str, Any], arrays: dict[str, Any], training: bool) -> list[Any]:
        if self.name == "MultiHeadAttention":
            key = {"key": self.xs[2]} if len(self.xs) > 2 else {}
            names = dict(zip(("query_mask", "value_mask", "key_mask"), self.masks, strict=False))
            y = self.ours(*self.xs[:2], **key, **call, **arrays, **names, training=training)
        else:
            y = self.ours(self.xs, mask=self.masks or None, **call, training=training)
        return list(y) if isinstance(y, tuple) else [y]

    def call_theirs(self, call: dict[str, Any], arrays: dict[str, Any]) -> list[Any]:
        for tensor, mask in zip(self.tensors, self.masks, strict=False):
            if mask is not None:  # MultiHeadAttention takes masks away from its inputs
                set_keras_mask(tensor, torch.tensor(mask))
        if self.name == "MultiHeadAttention":
            key = {"key": self.tensors[2]} if len(self.tensors) > 2 else {}
            tensors = {name: torch.tensor(array) for name, array in arrays.items()}
            y = self.theirs(*self.tensors[:2], **key, **call, **tensors)
        else:
            y = self.theirs(self.tensors, **call)
        return list(y) if isinstance(y, tuple) else [y]

    def compare(self, call: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
        rng = np.random.default_rng(1)
        actual = self.call_ours(call, arrays or {}, True)
        expected = self.call_theirs(call, arrays or {})
        slopes = [rng.normal(size=y.shape).astype("float32") for y in actual]
        terms = 4096
        for number, (y, z) in enumerate(zip(actual, expected, strict=True)):
            assert_close(y, z.detach().numpy(), terms, f"output {number}")
        mask = self.ours.compute_mask(self.xs, self.masks or None)
        assert (mask is None) == (get_keras_mask(expected[0]) is None)
        assert mask is None or np.array_equal(mask, get_keras_mask(expected[0]).numpy())
        for tensor in (*self.tensors, *(weight.value for weight in self.theirs.weights)):
            tensor.grad = None
        sum((z * torch.tensor(slope)).sum() for z, slope in zip(expected, slopes, strict=True)).backward()
        gradients = list(self.ours.backward(*slopes))
        if len(gradients) > len(self.tensors):  # the values are the keys
            gradients = [gradients[0], gradients[1] + gradients[2]]
        for number, (gradient, tensor) in enumerate(zip(gradients, self.tensors, strict=True)):
            assert_close(gradient, tensor.grad.numpy(), terms, f"gradient {number}")
        for ours, theirs in zip(self.ours.weights, self.theirs.weights, strict=True):
            assert_close(ours.gradient, theirs.value.grad.numpy(), terms, ours.path)
        config, expected_config = self.ours.get_config(), self.theirs.get_config()
        assert config.keys() == expected_config.keys()
        for name in config.keys() - {"name", "dtype", "kernel_initializer"}:
            assert config[name] == expected_config[name], name

    def reads_nothing(self, call: dict[str, Any]) -> bool:
        """Whether a query may read no value and PyTorch's fused kernel runs, whose gradient is wrong there."""
        is_fused = self.name == "MultiHeadAttention" and not call.get("return_attention_scores")
        has_masks = any(mask is not None for mask in self.masks)
        is_masked = bool(self.masks) and self.masks[0] is not None
        return is_fused and (is_masked or ("sliding_window" in self.options and has_masks))


def mask_of(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    mask = rng.random(shape) < 0.6
    mask[:, 0] = True
    return mask


@pytest.mark.parametrize("masked", list(itertools.product([False, True], repeat=2)), ids=str)
@pytest.mark.parametrize("shapes", [[QUERY, KEY], [QUERY, VALUE, KEY]], ids=["two inputs", "three inputs"])
@pytest.mark.parametrize(("name", "options"), SINGLE, ids=str)
def test_one_head(name: str, options: dict[str, Any], shapes: list[tuple[int, ...]], masked: tuple[bool, ...]) -> None:
    pair = Pair(name, options, shapes, masked)
    for call in CALLS:
        pair.compare(call)


@pytest.mark.parametrize("shapes", [[QUERY, VALUE], [QUERY, VALUE, (2, 5, 2)]], ids=["two inputs", "three inputs"])
@pytest.mark.parametrize("options", HEADS, ids=str)
def test_several_heads(options: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    for masked in itertools.product([False, True], repeat=len(shapes)):
        pair = Pair("MultiHeadAttention", {"num_heads": 2, "key_dim": 4, **options}, shapes, masked)
        for call in CALLS:
            if not pair.reads_nothing(call):
                pair.compare(call)


@pytest.mark.parametrize("shape", [(2, 4, 5), (4, 5), (2, 2, 4, 5)], ids=str)
def test_attention_masks(shape: tuple[int, ...]) -> None:
    pair = Pair("MultiHeadAttention", {"num_heads": 2, "key_dim": 4}, [QUERY, VALUE])
    mask = np.random.default_rng(2).random(shape) < 0.6
    mask[..., 0] = True
    for call in CALLS if len(shape) < 4 else CALLS[::2]:
        pair.compare(call, {"attention_mask": mask})


@pytest.mark.parametrize("axes", [None, 1, 2, (1, 2), (2,), -2])
def test_axes(axes: Any) -> None:
    pair = Pair("MultiHeadAttention", {"num_heads": 2, "key_dim": 4, "attention_axes": axes}, [(2, 4, 5, 3)] * 2)
    for call in CALLS[::2]:
        pair.compare(call)


def test_dropout_keeps_the_mean() -> None:
    """The random numbers differ; a query that may read nothing has weights of 0 with dropout."""
    for library in (layers, keras.layers):
        layer = library.MultiHeadAttention(2, 3, dropout=0.3, seed=1)
        x = np.ones((1, 3, 4), "float32")
        y = layer(x, x, attention_mask=np.zeros((3, 3), bool), training=True)
        assert not np.asarray(y if library is layers else y.detach()).any()
