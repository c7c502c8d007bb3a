"""Subclasses that do not say how they run: they can be made, copied and saved; calling or training them is an error."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, callbacks, layers, losses, optimizers, utils

X, Y = np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)


class Empty(Model):
    pass


class Holding(Model):
    def __init__(self, units: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(units)
        self.more = [layers.Dense(1)]

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)
        self.more[0].build((None, self.dense.units))


class OnlyLoss(Model):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        return pyrnn.ops.mean(y_pred)


class ByName(Model):
    def __init__(self) -> None:
        Model.__init__(self, name="by_name")


CLASSES: list[Callable[[], Any]] = [Model, Empty, Holding, OnlyLoss, ByName]


def fit(model: Any) -> Any:
    model.compile("sgd", "mse")
    return model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("make", CLASSES)
def test_they_can_be_made(make: Callable[[], Any]) -> None:
    utils.clear_session()
    model = make()
    names = {Empty: "empty", Holding: "holding", OnlyLoss: "only_loss", ByName: "by_name"}
    assert model.name == names.get(make, "model")
    assert not model.built and model.weights == [] and model.trainable and model.optimizer is None
    assert model.input_spec is None and model.losses == model.metrics == []
    assert len(model.layers) == (2 if make is Holding else 0)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert model.name in lines[0]
    expected = "Model" if make is Model else make.__name__
    assert repr(model) == f"<{expected} name={model.name}, built=False>"


@pytest.mark.parametrize(
    "act",
    [
        lambda model: model(X),
        lambda model: model(Input((3,))),
        lambda model: model.predict(X, verbose=0),
        lambda model: model.predict_on_batch(X),
        fit,
        lambda model: (model.compile("sgd", "mse"), model.train_on_batch(X, Y)),
        lambda model: (model.compile("sgd", "mse"), model.evaluate(X, Y, verbose=0)),
        lambda model: model.compute_output_shape((None, 3)),
        lambda model: pyrnn.Sequential([Input((3,)), model]),
        lambda model: model.call(X),
    ],
)
@pytest.mark.parametrize("make", CLASSES)
def test_they_cannot_run(make: Callable[[], Any], act: Callable[[Any], Any]) -> None:
    name = "Model" if make is Model else make.__name__
    with pytest.raises(NotImplementedError, match=rf"^{name} must define call\(x\), with layers and pyrnn.ops"):
        act(make())


def test_its_own_build_makes_the_weights(tmp_path: Path) -> None:
    model: Any = Holding(3, name="held", dtype="float64")
    model.build((None, 4))
    assert model.built and model.count_params() == 19 and model.dtype == "float64"
    model.build((None, 4))
    model.save_weights(tmp_path / "m.weights.h5")
    other: Any = Holding(3)
    other.build((None, 4))
    other.load_weights(tmp_path / "m.weights.h5")
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("way", ["m.keras", "pickle", "copy"])
def test_its_weights_come_back(way: str, tmp_path: Path) -> None:
    model: Any = Holding(5)
    model.build((None, 4))
    if way == "m.keras":
        model.save(tmp_path / way)
        again: Any = pyrnn.load_model(tmp_path / way, custom_objects={"Holding": Holding})
    else:
        again = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    assert again.built and len(again.get_weights()) == 4
    for mine, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("way", ["m.keras", "json", "pickle", "copy", "clone"])
@pytest.mark.parametrize("make", [Model, Empty, Holding])
def test_they_come_back(make: Any, way: str, tmp_path: Path) -> None:
    model = make(units=5, name="kept", trainable=False) if make is Holding else make(name="kept", trainable=False)
    objects = {"Empty": Empty, "Holding": Holding}
    if way == "m.keras":
        model.save(tmp_path / way)
        again: Any = pyrnn.load_model(tmp_path / way, custom_objects=objects)
    elif way == "json":
        again = pyrnn.models.model_from_json(model.to_json(), custom_objects=objects)
    elif way == "clone":
        again = pyrnn.models.clone_model(model)
    else:
        again = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    assert type(again) is type(model) and again.name == "kept" and not again.trainable
    assert make is not Holding or again.dense.units == 5


def test_the_config_of_a_bare_model_is_that_of_keras() -> None:
    description = json.loads(Model(name="bare").to_json())
    assert description["module"] == "keras" and description["class_name"] == "Model"
    assert Model.from_config(description["config"]).name == "bare"


SCRIPT = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from models import test_without_call as cases
model = pickle.loads(bytes.fromhex(sys.argv[2]))
assert type(model) is cases.Holding and model.dense.units == 6
model.another = cases.layers.Dense(2)
assert len(model.layers) == 3
again = cases.pyrnn.models.model_from_json(sys.argv[3], custom_objects={"Empty": cases.Empty})
assert type(again) is cases.Empty and again.name == "e"
"""


def test_another_process_reads_them(uncounted: dict[str, str]) -> None:
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", SCRIPT, tests, pickle.dumps(Holding(6)).hex(), Empty(name="e").to_json()]
    subprocess.run(command, check=True, env=uncounted, cwd="/")


class Around(Model):
    """Holds a model that is built when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = pyrnn.Sequential([Input((3,)), layers.Dense(2)])
        self.tail = layers.Dense(1)


class AroundWithCall(Around):
    def call(self, x: Any) -> Any:
        return self.tail(self.inner(x))


@pytest.mark.parametrize("make", [Around, AroundWithCall])
def test_what_is_built_in_them_keeps_its_weights(make: Any, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "m.keras")
    again: Any = pyrnn.load_model(tmp_path / "m.keras", custom_objects={make.__name__: make})
    assert not again.built
    for mine, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="must be built"):
        again.load_weights(tmp_path / "m.keras")


class Own(Model):
    """Its methods do everything, like a mock in the tests of keras-tuner."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses_of_epochs = losses
        self.optimizer = True

    def fit(self, **kwargs: Any) -> Any:  # type: ignore[override]
        hooks = callbacks.CallbackList(kwargs["callbacks"], add_history=True, model=self)
        for epoch, loss in enumerate(self.losses_of_epochs):
            hooks.on_epoch_end(epoch, {"loss": loss})
        return hooks.history


def test_a_model_whose_methods_do_everything() -> None:
    model = Own([3.0, 2.0])
    assert model.optimizer is True  # type: ignore[comparison-overlap]
    assert model.fit(callbacks=[]).history == {"loss": [3.0, 2.0]}
    with pytest.raises(ValueError, match="the model must be compiled before fit"):
        Model.fit(model, X, Y)
    with pytest.raises(TypeError, match="optimizer must be a name or an object"):
        pyrnn.Sequential([layers.Dense(1)]).optimizer = True  # type: ignore[assignment]


def of_graph(cls: Any, *args: Any, **kwargs: Any) -> Any:
    x = Input((3,))
    return cls(x, layers.Dense(1)(x), *args, **kwargs)


def passing(base: type = Model) -> Any:
    """A class that passes on whatever its constructor gets."""

    class Passing(base):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    return Passing


def test_a_base_class_of_both_kinds() -> None:
    base = passing()
    graph = of_graph(passing(base))
    bare = passing(base)()
    graph_again = of_graph(passing(base))
    for model in (graph, graph_again):
        assert model.predict(X, verbose=0).shape == (4, 1) and fit(model).history["loss"]
    with pytest.raises(NotImplementedError, match="must define call"):
        bare(X)
    with pytest.raises(TypeError, match=r"^Passing\(\) must get inputs and outputs, as other models of its class did"):
        base()
    assert graph.predict(X, verbose=0).shape == (4, 1)


def test_one_class_for_both_kinds() -> None:
    bare_first = passing()
    bare_first()
    with pytest.raises(TypeError, match="Passing, which has models without inputs and outputs, takes name"):
        of_graph(bare_first)
    graph_first = passing()
    of_graph(graph_first)
    with pytest.raises(TypeError, match="derive a class for models without them"):
        graph_first()


def test_a_subclass_adds_call() -> None:
    Holding()  # which gives the class its base

    class Running(Holding):
        def call(self, x: Any) -> Any:
            return self.more[0](self.dense(x))

    class Early(passing()):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.dense = layers.Dense(1)

    class Late(Early):
        def call(self, x: Any) -> Any:
            return self.dense(x)

    class Twice(Late):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.tail = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.tail(super().call(x))

    for make in (Running, Late, Twice):
        assert fit(make()).history["loss"]
        assert make().predict(X, verbose=0).shape == (4, 1)


def test_errors() -> None:
    with pytest.raises(TypeError, match="Functional got an unknown argument 'dtype'"):
        of_graph(Model, dtype="float64")
    with pytest.raises(TypeError, match=r"Functional\(\) must get inputs and outputs"):
        Model(Input((3,)))
    with pytest.raises(TypeError, match=r"Functional\(\) must get inputs and outputs"):
        pyrnn.models.Functional()
    with pytest.raises(TypeError, match="takes name, trainable and dtype, got units"):
        Empty(units=3)
    with pytest.raises(TypeError, match="name must be a string"):
        Model(name=3)
    with pytest.raises(TypeError, match="trainable must be"):
        Empty(trainable="no")


def test_layers_without_call() -> None:
    class Nothing(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

    layer = Nothing()
    layer.build((None, 3))
    for act in (lambda: layer(X), lambda: layer(Input((3,))), lambda: pyrnn.Sequential([Input((3,)), Nothing()])):
        with pytest.raises(NotImplementedError, match=r"^Nothing must define call\(x\)"):
            act()


@pytest.mark.parametrize(
    ("base", "arguments", "use", "missing"),
    [
        (losses.Loss, {}, lambda it: it(Y, Y), r"call\(y_true, y_pred\)"),
        (pyrnn.metrics.Metric, {}, lambda it: it.update_state(Y, Y), "update_state"),
        (optimizers.Optimizer, {"learning_rate": 0.1}, lambda it: fit_with(optimizer=it), "update"),
        (optimizers.schedules.LearningRateSchedule, {}, lambda it: it(3), "__call__"),
        (pyrnn.regularizers.Regularizer, {}, lambda it: it(X), "__call__"),
        (pyrnn.regularizers.Regularizer, {}, lambda it: it.gradient(X), "gradient"),
        (pyrnn.initializers.Initializer, {}, lambda it: it((2, 3)), "__call__"),
    ],
)
def test_other_classes(base: Any, arguments: dict[str, Any], use: Callable[[Any], Any], missing: str) -> None:
    made = type("Mine", (base,), {})(**arguments)
    with pytest.raises(NotImplementedError, match=rf"^Mine must (define|have a method) {missing}"):
        use(made)


def fit_with(optimizer: Any) -> None:
    model = pyrnn.Sequential([layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(X, Y, verbose=0)


def test_names_are_those_of_the_class() -> None:
    utils.clear_session()

    class MyChain(pyrnn.Sequential):
        pass

    class MyGraph(Model):
        pass

    assert MyChain().name == "my_chain" and of_graph(MyGraph).name == "my_graph"
    assert repr(MyChain()) == "<MyChain name=my_chain_1, built=False>"
    assert type("MyLoss", (losses.Loss,), {})().name == "my_loss"
    assert type("MySquares", (losses.MeanSquaredError,), {})().name == "mean_squared_error"
    assert type("MyRule", (optimizers.Optimizer,), {})(0.1).name == "my_rule"
    assert type("MyAdam", (optimizers.Adam,), {})().name == "adam"
