"""Every architecture of tests/graphs compared with Keras: outputs, gradients, histories, files both ways, reports."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from graphs.cases import CASES, Graph
from tolerance import assert_close

import pyrnn
from pyrnn.structures import leaves, mapped

TERMS = 4096
LAMBDAS = {"lambdas", "attention_of_dense_layers"}
# What Keras 3.15.1 cannot load even from a file that it wrote.
SHARED_BETWEEN_LEVELS = {"three_levels", "shared_between_levels", "recurrent_shared_between_levels"}
OPERATIONS = {
    "attention_by_operations", "gate", "operations", "operation_at_the_end", "model_on_two_inputs",
    "both_directions_by_hand",
}  # fmt: skip
# Of which Keras's graph has operations that compute the masks.
MASKS = {
    "masked_words", "masked_concatenation", "masked_merges", "two_masks", "joined_in_time", "masked_pooling",
    "words_to_words", "conditioned", "cells", "transformer_of_words", "masked_heads", "masked_causal", "masked_series",
}  # fmt: skip

every = pytest.mark.parametrize("name", CASES)


@functools.cache
def made(name: str) -> tuple[Graph, Graph]:
    graphs = []
    for library in (keras, pyrnn):
        library.utils.clear_session(free_memory=False)
        graphs.append(CASES[name](library))
    return graphs[0], graphs[1]


def pair(name: str) -> tuple[Graph, Graph]:
    """Keras's model and ours, with the same weights."""
    theirs, ours = made(name)
    ours.model.set_weights(theirs.model.get_weights())
    return theirs, ours


def predict(model: Any, x: Any) -> Any:
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    return model.predict(x, batch_size=2, verbose=0)


def padded_nowhere(x: Any) -> Any:
    """The inputs without masked steps."""
    return mapped(lambda each: np.where(each == 0, np.float32(1), each), x)


def assert_same(ours: Any, theirs: Any, what: str = "output") -> None:
    for mine, value in zip(leaves(ours), leaves(theirs), strict=True):
        assert_close(np.float32(mine), np.float32(value), TERMS, what)


def test_there_are_enough() -> None:
    assert len(CASES) >= 48
    assert set(CASES) >= LAMBDAS | SHARED_BETWEEN_LEVELS | OPERATIONS | MASKS


@every
def test_outputs_and_their_structure(name: str) -> None:
    theirs, ours = pair(name)
    shapes = [[tuple(weight.shape) for weight in each.model.weights] for each in (ours, theirs)]
    assert shapes[0] == shapes[1]
    expected, actual = predict(theirs.model, theirs.x), predict(ours.model, ours.x)
    paths = [[path for path, _ in keras.tree.flatten_with_path(each)] for each in (actual, expected)]
    assert paths[0] == paths[1] and type(actual) is type(expected)
    assert_same(actual, expected)


@every
def test_gradients(name: str) -> None:
    """By all trainable weights, of a random combination of the outputs, and of the penalties."""
    if name == "stateful_encoder":
        pytest.skip("on PyTorch Keras changes states in place, which its gradients need")
    theirs, ours = pair(name)
    x = mapped(lambda each: each[:2], theirs.x)
    outputs = leaves(theirs.model(mapped(keras.ops.convert_to_tensor, x), training=True))
    random = np.random.default_rng(3)
    directions = [random.normal(size=tuple(y.shape)).astype("float32") for y in outputs]
    total = sum((y * torch.tensor(dy)).sum() for y, dy in zip(outputs, directions, strict=True))
    total += sum(theirs.model.losses)
    theirs.model.zero_grad()
    total.backward()
    ours.model.forward_pass(ours.model.read(x), training=True)
    ours.model.parameters()
    ours.model.backward_pass(directions[0] if len(directions) == 1 else directions)
    ours.model.add_regularization_gradients()
    for weight, other in zip(ours.model.trainable_weights, theirs.model.trainable_weights, strict=True):
        expected = other.value.grad
        expected = np.zeros(weight.shape, "float32") if expected is None else expected.numpy()
        assert_close(weight.gradient, expected, TERMS, weight.path)


def assert_same_files(name: str, ending: str, folder: Path) -> None:
    theirs, ours = pair(name)
    theirs.model.save(folder / f"theirs.{ending}")
    ours.model.save(folder / f"ours.{ending}")
    by_us = pyrnn.load_model(folder / f"theirs.{ending}")
    assert_same(predict(by_us, ours.x), predict(theirs.model, theirs.x))
    by_keras = keras.models.load_model(folder / f"ours.{ending}")
    x = padded_nowhere(ours.x)  # Keras drops masks where there are initial states
    assert_same(predict(by_keras, x), predict(ours.model, x))


@pytest.mark.parametrize("name", [name for name in CASES if name not in LAMBDAS | SHARED_BETWEEN_LEVELS])
def test_files_both_ways(name: str, tmp_path: Path) -> None:
    assert_same_files(name, "keras", tmp_path)


@pytest.mark.parametrize("name", [name for name in CASES if name not in LAMBDAS | OPERATIONS | SHARED_BETWEEN_LEVELS])
def test_files_of_keras_2_both_ways(name: str, tmp_path: Path) -> None:
    assert_same_files(name, "h5", tmp_path)


@pytest.mark.parametrize(
    ("name", "ending"), [*((name, "keras") for name in SHARED_BETWEEN_LEVELS), *((name, "h5") for name in OPERATIONS)]
)
def test_keras_does_not_load_its_own_file(name: str, ending: str, tmp_path: Path) -> None:
    theirs, ours = pair(name)
    theirs.model.save(tmp_path / f"theirs.{ending}")
    with pytest.raises(ValueError, match=r"."):
        keras.models.load_model(tmp_path / f"theirs.{ending}")
    ours.model.save(tmp_path / f"ours.{ending}")
    assert_same(predict(pyrnn.load_model(tmp_path / f"ours.{ending}"), ours.x), predict(theirs.model, theirs.x))


@every
def test_weights_both_ways(name: str, tmp_path: Path) -> None:
    theirs, ours = pair(name)
    before = theirs.model.get_weights()
    theirs.model.save_weights(tmp_path / "theirs.weights.h5")
    ours.model.save_weights(tmp_path / "ours.weights.h5")
    zeros = [0 * weight for weight in before]
    ours.model.set_weights(zeros)
    ours.model.load_weights(tmp_path / "theirs.weights.h5")
    assert_same(ours.model.get_weights(), before)
    theirs.model.set_weights(zeros)
    theirs.model.load_weights(tmp_path / "ours.weights.h5")
    assert_same(theirs.model.get_weights(), before)


def graph_of(config: Any) -> Any:
    """What a config says of the graph, without `None` and False in calls and the descriptions of single layers."""
    entries = [
        (
            entry["name"], entry["class_name"], entry["module"], entry["registered_name"],
            [
                (node["args"], {key: each for key, each in node["kwargs"].items() if each and key != "mask"})
                for node in entry["inbound_nodes"]
            ],
            graph_of(entry["config"]) if entry["class_name"] == "Functional" else None,
        )
        for entry in config["layers"]
    ]  # fmt: skip
    return [entries, config["input_layers"], config["output_layers"], config["name"], config["trainable"]]


def renamed(graph: Any) -> str:
    """JSON in which models have numbers in place of automatic names: in Keras a Sequential uses up two."""
    text = re.sub(r"keras_tensor_\d+CLONE", "hidden", json.dumps(graph))
    names = list(dict.fromkeys(re.findall(r'"functional(?:_\d+)?"', text)))
    return functools.reduce(lambda text, name: text.replace(name, f"<{names.index(name)}>"), names, text)


@pytest.mark.parametrize("name", [name for name in CASES if name not in MASKS | LAMBDAS])
def test_configs(name: str) -> None:
    theirs, ours = (graph_of(json.loads(json.dumps(each.model.get_config()))) for each in pair(name))
    assert renamed(ours) == renamed(theirs)


@pytest.mark.parametrize("name", [name for name in CASES if name not in MASKS | LAMBDAS | SHARED_BETWEEN_LEVELS])
def test_summaries(name: str) -> None:
    if name in ("translator_decoder", "attention_scores"):
        pytest.skip("Keras shows the number of the call over all models, and a wrong shape of the scores")
    theirs, _ = pair(name)
    ours = pyrnn.models.model_from_json(theirs.model.to_json())
    texts: list[str] = []
    keep: Callable[..., None] = lambda text, **_: texts.append(text)  # noqa: E731
    for options in ({}, {"expand_nested": True, "show_trainable": True, "line_length": 100}):
        theirs.model.summary(print_fn=keep, **options)
        ours.summary(print_fn=keep, **options)
        assert texts[-2] == texts[-1]


@every
def test_histories_and_results(name: str) -> None:
    if name == "stateful_encoder":
        pytest.skip("on PyTorch Keras changes states in place, which its gradients need")
    theirs, ours = pair(name)
    theirs.compile(keras)
    ours.compile(pyrnn)
    options: dict[str, Any] = {"batch_size": 2, "epochs": 2, "shuffle": False, "verbose": 0}
    histories = [each.model.fit(each.x, each.targets(), **options, **each.fit).history for each in (ours, theirs)]
    # Of two outputs of the same name Keras logs the last one, pyrnn both.
    of_outputs = len(set(map(id, (symbol.node.layer for symbol in ours.model.outputs)))) == len(ours.model.outputs)
    assert list(histories[0]) == list(histories[1]) or not of_outputs
    for key in histories[1] if of_outputs else ["loss"]:
        assert_close(np.float32(histories[0][key]), np.float32(histories[1][key]), TERMS, key)
    assert_same(ours.model.get_weights(), theirs.model.get_weights(), "weights")
    results = [
        each.model.evaluate(each.x, each.targets(), batch_size=2, return_dict=True, verbose=0)
        for each in (ours, theirs)
    ]
    assert set(results[0]) >= set(results[1])
    for key in results[1] if of_outputs else ["loss"]:
        assert_close(np.float32(results[0][key]), np.float32(results[1][key]), TERMS, key)


def test_optimizers_continue(tmp_path: Path) -> None:
    theirs = CASES["nested_twice"](keras)
    theirs.model.compile("adam", "mse")
    x, y = theirs.x, theirs.targets()
    theirs.model.fit(x, y, verbose=0)
    theirs.model.save(tmp_path / "m.keras")
    ours = pyrnn.load_model(tmp_path / "m.keras")

    def losses(model: Any) -> Any:
        return np.float32([float(np.asarray(model.train_on_batch(x, y))) for _ in range(3)])

    assert_close(losses(ours), losses(theirs.model), TERMS, "loss")
    ours.save(tmp_path / "back.keras")
    assert_close(losses(keras.models.load_model(tmp_path / "back.keras")), losses(ours), TERMS, "loss")
