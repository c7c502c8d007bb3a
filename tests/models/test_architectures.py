"""Every architecture of tests/graphs: gradients, training, copies, clones, files, resumed trainings, reports."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs.cases import CASES, Graph
from resume.cases import Interrupt

import pyrnn
from pyrnn import callbacks, utils
from pyrnn.structures import leaves

every = pytest.mark.parametrize("name", CASES)
STEP = 1e-6
# Lambda layers of lambdas, which have no place in a file.
UNSAVED = ("lambdas", "attention_of_dense_layers")


def make(name: str) -> Graph:
    utils.clear_session(free_memory=False)
    utils.set_random_seed(1)
    return CASES[name](pyrnn)


def outputs(model: Any, x: Any) -> list[Any]:
    return leaves(model.predict(x, batch_size=2, verbose=0))


def assert_same_bits(model: Any, other: Any, x: Any) -> None:
    """Of outputs from the first batch on: stateful layers keep theirs."""
    for each in (model, other):
        each.reset_states()
    for first, second in zip(outputs(model, x), outputs(other, x), strict=True):
        np.testing.assert_array_equal(first, second)


@every
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    pyrnn.config.set_floatx("float64")
    try:
        model, x, *_ = make(name)
    finally:
        pyrnn.config.set_floatx("float32")
    random = np.random.default_rng(1)
    x = model.read(pyrnn.structures.mapped(lambda each: np.asarray(each[:2]), x))
    parameters = model.parameters()
    directions = [random.normal(size=y.shape) for y in leaves(list(as_list(model.forward_pass(x)[0])))]
    model.reset_states()

    def total() -> float:
        model.reset_states()
        ys = as_list(model.forward_pass(x, training=True)[0])
        return float(sum((y * dy).sum() for y, dy in zip(ys, directions, strict=True))) + model.regularization_loss()

    for _ in range(2):  # a second pass finds the gradients of the first one
        total()
        model.backward_pass(directions if len(directions) > 1 else directions[0])
        model.add_regularization_gradients()
    gradients = parameters.gradients.copy()
    for index in random.choice(len(parameters), min(12, len(parameters)), replace=False):
        values = []
        for step in (STEP, -STEP):
            parameters.values[index] += step
            parameters.touch()
            values.append(total())
            parameters.values[index] -= step
        parameters.touch()
        np.testing.assert_allclose(gradients[index], (values[0] - values[1]) / (2 * STEP), rtol=2e-5, atol=2e-6)


def as_list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def fitted(graph: Graph, epochs: int = 1, **options: Any) -> Any:
    utils.set_random_seed(2)
    arguments = {"batch_size": 2, "epochs": epochs, "verbose": 0, **graph.fit, **options}
    return graph.model.fit(graph.x, graph.targets(), **arguments).history


@every
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_train_with_the_same_bits(name: str, duplicate: Callable[[Any], Any]) -> None:
    graph = make(name)
    graph.compile(pyrnn)
    fitted(graph)
    if name in UNSAVED and duplicate is not copy.deepcopy:
        pytest.skip("lambdas have no place in a pickle")
    other = graph._replace(model=duplicate(graph.model))
    assert fitted(graph, 2) == fitted(other, 2)
    assert_same_bits(graph.model, other.model, graph.x)


@every
def test_clones_and_json(name: str) -> None:
    graph = make(name)
    clones = [pyrnn.models.clone_model(graph.model)]
    if name not in UNSAVED:
        clones.append(pyrnn.models.model_from_json(graph.model.to_json()))
    for clone in clones:
        assert not set(map(id, clone.weights)) & set(map(id, graph.model.weights))
        clone.set_weights(graph.model.get_weights())
        assert_same_bits(graph.model, clone, graph.x)


@every
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_files(name: str, ending: str, tmp_path: Path) -> None:
    graph = make(name)
    graph.compile(pyrnn)
    fitted(graph)
    path = tmp_path / f"model.{ending}"
    if name in UNSAVED:
        with pytest.raises(ValueError, match="must be a function with a name"):
            graph.model.save(path)
        assert not path.exists()
        return
    graph.model.save(path)
    other = graph._replace(model=pyrnn.load_model(path))
    assert_same_bits(graph.model, other.model, graph.x)
    assert fitted(graph) == fitted(other)


@every
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_weights_files(name: str, ending: str, tmp_path: Path) -> None:
    first, second = make(name), make(name)
    second.model.set_weights([weight * 0 for weight in second.model.get_weights()])
    first.model.save_weights(tmp_path / f"model{ending}")
    second.model.load_weights(tmp_path / f"model{ending}")
    assert_same_bits(first.model, second.model, first.x)


@every
def test_interrupted_trainings_resume_to_the_same_bits(name: str, tmp_path: Path) -> None:
    whole, first, second = make(name), make(name), make(name)
    for graph in (whole, first, second):
        graph.compile(pyrnn)
    expected = fitted(whole, 3)
    backup = lambda: callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)  # noqa: E731
    with pytest.raises(InterruptedError):
        fitted(first, 3, callbacks=[backup(), Interrupt(5)])
    second.model.set_weights([weight * 0 for weight in second.model.get_weights()])
    assert fitted(second, 3, callbacks=[backup()]) == expected
    assert_same_bits(whole.model, second.model, whole.x)


@every
def test_reports(name: str, tmp_path: Path) -> None:
    model = make(name).model
    texts: list[str] = []
    model.summary(print_fn=texts.append, expand_nested=True, show_trainable=True)
    for layer in model.layers:
        assert layer.name[:8] in texts[0]
    path = tmp_path / "model.svg"
    utils.plot_model(model, path, show_shapes=True, show_layer_names=True, expand_nested=True)
    assert path.stat().st_size > 1000
