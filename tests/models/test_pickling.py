"""Pickles and deep copies compute and continue training with the same bits, and share nothing with the original."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layers import test_contract
from resume.cases import BATCH, FEATURES, MODELS, TIME, Counting, X, Y, assert_same_bits, model

import pyrnn
from pyrnn import (
    backend,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    utils,
)
from pyrnn.models import Sequential
from pyrnn.optimizers import schedules
from pyrnn.parameters import ParameterVector, Weight

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest-protocol": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "deepcopy": copy.deepcopy,
}
way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def state_of(trained: Sequential) -> dict[str, Any]:
    optimizer = trained.optimizer
    assert optimizer is not None
    return {"weights": trained.get_weights(), "optimizer": [value for _, value in optimizer.named_variables()]}


def fit(trained: Sequential, epochs: int = 1, **options: Any) -> dict[str, Any]:
    """Train with the same random stream each time and return all state afterwards."""
    utils.set_random_seed(5)
    history = trained.fit(X, Y, batch_size=BATCH, epochs=epochs, verbose=0, **options)
    return {"history": history.history, **state_of(trained)}


@way
@pytest.mark.parametrize("name", MODELS)
def test_copies_continue_training(name: str, way: Callable[[Any], Any]) -> None:
    utils.set_random_seed(1)
    original = MODELS[name]()
    fit(original)
    twin = way(original)
    assert twin is not original and not any(a is b for a, b in zip(twin.weights, original.weights, strict=True))
    assert_same_bits(state_of(twin), state_of(original))
    before = state_of(original)
    before = copy.deepcopy(before)
    after = fit(twin, 2)
    assert_same_bits(state_of(original), before, "the original, after the copy trained")
    assert_same_bits(fit(original, 2), after)
    assert twin.predict(X, BATCH, verbose=0).tobytes() == original.predict(X, BATCH, verbose=0).tobytes()


@way
@pytest.mark.parametrize("stage", ["empty", "deferred", "built", "compiled", "stepped", "metrics by shape"])
def test_a_model_at_every_stage(stage: str, way: Callable[[Any], Any]) -> None:
    original = Sequential(name="m")
    if stage != "empty":
        original.add(layers.GRU(3, name="gru"))
        original.add(layers.Dense(1))
    if stage not in ("empty", "deferred"):
        original.build((None, TIME, FEATURES))
    if stage not in ("empty", "deferred", "built"):
        original.compile("adam", "mse", metrics=["accuracy", "mae"] if stage == "metrics by shape" else None)
    if stage == "stepped":
        original.train_on_batch(X, Y)
        original(X, training=True)  # without a backward pass
    twin = way(original)
    assert twin.name == "m" and twin.built == original.built and twin.compiled == original.compiled
    if stage == "empty":
        twin.add(layers.Dense(1))
        assert not original.layers
    else:
        utils.set_random_seed(2)
        expected = original(X)
        utils.set_random_seed(2)  # weights that are drawn now
        assert twin(X).tobytes() == expected.tobytes()
    if original.compiled:
        assert twin.train_on_batch(X, Y) == original.train_on_batch(X, Y)
        assert_same_bits(state_of(twin), state_of(original))


class Keep(callbacks.Callback):
    """Copies the model in the middle of training."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self.make, self.at_batch, self.twin, self.expected = make, 7, None, None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.at_batch -= 1
        if self.at_batch == 0:
            self.twin = self.make(self.model)
            self.expected = copy.deepcopy(state_of(self.model))


@way
def test_a_model_in_the_middle_of_training(way: Callable[[Any], Any], tmp_path: Path) -> None:
    original, keep = model(), Keep(way)
    others = [callbacks.CSVLogger(tmp_path / "log.csv"), callbacks.EarlyStopping("loss"), Counting()]
    fit(original, 3, callbacks=[*others, keep])
    assert keep.twin is not None
    assert_same_bits(state_of(keep.twin), keep.expected)
    fit(keep.twin)
    assert keep.twin.evaluate(X, Y, verbose=0)


@way
def test_history_and_callbacks_after_training(way: Callable[[Any], Any], tmp_path: Path) -> None:
    original = model()
    used = [
        callbacks.CSVLogger(tmp_path / "log.csv"), callbacks.EarlyStopping("loss", patience=1), Counting(),
        callbacks.ReduceLROnPlateau("loss", patience=1), callbacks.ModelCheckpoint(tmp_path / "m.keras", "loss"),
        callbacks.TerminateOnNaN(), callbacks.BackupAndRestore(tmp_path / "backup"),
    ]  # fmt: skip
    history = original.fit(X, Y, epochs=2, verbose=0, callbacks=used)
    twin, twins = way((history, used))
    assert_same_bits(twin.history, history.history)
    assert twin.epoch == history.epoch and twin.model.predict(X, verbose=0).shape == Y.shape
    assert all(a.get_state() == b.get_state() for a, b in zip(twins[1:4:2], used[1:4:2], strict=True))
    twin.model.fit(X, Y, epochs=2, verbose=0, callbacks=twins)
    assert (tmp_path / "log.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("kind", [callbacks.CSVLogger, callbacks.TensorBoard], ids=lambda cls: cls.__name__)
def test_open_files_are_not_copied(kind: type[callbacks.Callback], tmp_path: Path) -> None:
    with open(tmp_path / "file", "w", encoding="utf-8") as file:
        callback = kind(str(tmp_path / "log"))
        for name, value in callback.transient.items():
            setattr(callback, name, {"train": file} if isinstance(value, dict) else file)
        twin = pickle.loads(pickle.dumps(callback))
    assert {name: getattr(twin, name) for name in callback.transient} == callback.transient


@way
@pytest.mark.parametrize(("name", "arguments", "shape"), test_contract.ALL)
def test_every_layer(
    name: str, arguments: dict[str, Any], shape: test_contract.Shapes, way: Callable[[Any], Any]
) -> None:
    layer = test_contract.make(name, arguments, "float32")
    unbuilt = way(layer)
    assert (unbuilt.name, unbuilt.built) == (layer.name, layer.built)
    layer.build(test_contract.unknown_batch(shape))
    rng = np.random.default_rng(0)
    xs = [rng.uniform(0, 3, size).astype(np.float32) for size in test_contract.shapes_in(shape)]
    if name == "Embedding":
        xs = [np.floor(x) for x in xs]
    layer.forward(*xs, training=True)  # what it saves for backward is not copied
    twin = way(layer)
    assert twin._tape == []
    utils.set_random_seed(0)
    y = layer.forward(*xs)
    assert_same_bits(twin.forward(*xs), y)
    assert_same_bits(twin.get_weights(), layer.get_weights())
    assert str(twin.get_config()) == str(layer.get_config())
    y, z = layer.forward(*xs, training=True), twin.forward(*xs, training=True)
    assert_same_bits(z, y)
    gradients = [each.backward(np.ones_like(y)) for each in (twin, layer)]
    assert_same_bits(*(list(each) if isinstance(each, tuple) else each for each in gradients))
    assert_same_bits([w.gradient for w in twin.trainable_weights], [w.gradient for w in layer.trainable_weights])


BASES = (optimizers.Optimizer, schedules.LearningRateSchedule)
WITH_ARGUMENTS = (losses.MASE, metrics.MASE)


def discovered() -> list[Any]:
    """An object of every class of the modules whose arguments have defaults, and every function that they name."""
    objects: list[Any] = []
    for module in (losses, metrics, optimizers, initializers, regularizers, constraints, schedules, callbacks):
        for name, value in sorted(vars(module).items()):
            ours = inspect.isclass(value) and value.__module__.startswith(module.__name__)
            if (
                ours
                and hasattr(value, "get_config")
                and not name.startswith("_")
                and value not in (*BASES, *WITH_ARGUMENTS)
            ):
                arguments = list(inspect.signature(value.__init__).parameters.values())[1:]
                if not any(each.default is each.empty and each.kind < each.VAR_POSITIONAL for each in arguments):
                    objects.append(value())
    return [
        *objects, constraints.MaxNorm(2), regularizers.L1L2(0.1, 0.2), schedules.ExponentialDecay(0.1, 3, 0.7),
        schedules.PiecewiseConstantDecay([4], [0.1, 0.05]), initializers.Constant(np.arange(3)), metrics.MeanIoU(2),
        losses.Quantile([0.1, 0.9]), *(kind(scale=2.0) for kind in WITH_ARGUMENTS),
        *losses.FUNCTIONS.values(), *metrics.OF_LOSSES.values(),
        metrics.MeanMetricWrapper(test_contract.cube), losses.FunctionLoss(test_contract.cube),
        callbacks.LearningRateScheduler(test_contract.cube), callbacks.LambdaCallback(on_train_end=test_contract.first),
    ]  # fmt: skip


@way
@pytest.mark.parametrize("value", discovered(), ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_every_other_object(value: Any, way: Callable[[Any], Any]) -> None:
    twin = way(value)
    if inspect.isfunction(value):
        assert twin is value
        return
    assert type(twin) is type(value) and twin is not value
    if hasattr(value, "get_config"):
        assert str(twin.get_config()) == str(value.get_config())
    left, right = vars(twin), vars(value)
    assert left.keys() == right.keys()


@way
def test_optimizers_alone_keep_slots_and_exclusions(way: Callable[[Any], Any]) -> None:
    weights = [Weight((2, 3), "kernel"), Weight((3,), "bias")]
    vector = ParameterVector(weights)
    original = optimizers.AdamW(0.1, weight_decay=0.5)
    original.exclude_from_weight_decay(var_list=[weights[1]])
    original.build(vector)
    vector.gradients[...] = 1
    original.step()
    twin = way(original)
    assert_same_bits([value for _, value in twin.named_variables()], [value for _, value in original.named_variables()])
    twin_vector = twin.parameters
    twin_vector.reclaim()
    assert twin_vector.values.tobytes() == vector.values.tobytes()
    for parameters, optimizer in ((vector, original), (twin_vector, twin)):
        parameters.gradients[...] = 2
        optimizer.step()
    assert twin_vector.values.tobytes() == vector.values.tobytes()
    assert all(a.array.tobytes() == b.array.tobytes() for a, b in zip(twin_vector.weights, weights, strict=True))


@way
def test_models_copied_together_share_their_layers(way: Callable[[Any], Any]) -> None:
    base = layers.GRU(3)
    pair = [Sequential([layers.Input((TIME, FEATURES)), base, layers.Dense(1)]) for _ in range(2)]
    for each in pair:
        each.compile("adam", "mse")
        each.train_on_batch(X, Y)
    a, b = way(pair)
    assert a.layers[0] is b.layers[0]
    for i in range(4):
        assert (a, b)[i % 2].train_on_batch(X, Y) == pair[i % 2].train_on_batch(X, Y)


def test_between_backends() -> None:
    """A model made or pickled on one backend runs on the other."""
    original = Sequential([layers.Input((TIME, FEATURES)), layers.LSTM(3), layers.Dense(1)])
    expected = original.predict(X, verbose=0)
    data = pickle.dumps(original)
    try:
        pyrnn.backend.use_backend("reference")
        twin = pickle.loads(data)
        np.testing.assert_allclose(twin.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
        data = pickle.dumps(twin)
        made = Sequential.from_config(original.get_config())
        made.set_weights(original.get_weights())
    finally:
        backend.use_backend("core")
    for each in (pickle.loads(data), made):
        assert each.predict(X, verbose=0).tobytes() == expected.tobytes()


CHILD = """
import pickle, sys
model, x, y = pickle.load(sys.stdin.buffer)
loss = model.train_on_batch(x, y)
sys.stdout.buffer.write(pickle.dumps((loss, model, model.predict(x, verbose=0))))
"""


def test_another_process_continues_training() -> None:
    original = model([layers.LSTM(4, input_shape=(TIME, FEATURES)), layers.Dense(1, activation="sigmoid")])
    fit(original)
    data = pickle.dumps((original, X, Y))
    path = str(Path(__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {path!r})\n{CHILD}"
    run = subprocess.run([sys.executable, "-c", code], input=data, stdout=subprocess.PIPE, check=True, cwd="/")
    loss, twin, predicted = pickle.loads(run.stdout)
    assert loss == original.train_on_batch(X, Y)
    assert_same_bits(state_of(twin), state_of(original))
    assert predicted.tobytes() == original.predict(X, verbose=0).tobytes()
