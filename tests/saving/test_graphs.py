"""Functional and nested models as configs, JSON and files: round trips, Keras 2's form, clones, and damaged configs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, Sequential, layers
from pyrnn.models import Functional, clone_model, model_from_json

X = np.random.default_rng(0).normal(size=(4, 10, 3)).astype("float32")


def shared() -> Any:
    """Layers that are called twice, in turns."""
    x, dense, gru = Input((10, 3)), layers.Dense(3, activation="tanh"), layers.GRU(3, return_sequences=True)
    return Model(x, layers.Dense(1)(layers.Flatten()(gru(dense(gru(dense(x)))))))


def nested() -> Any:
    """A functional model that is called twice, and a Sequential; the outputs are those of models."""
    x, first = Input((10, 3)), Input((10, 3))
    inner = Model(first, layers.BatchNormalization()(layers.Dense(3)(first)), name="inner")
    tail = Sequential([layers.SimpleRNN(4), layers.Dense(1)], name="tail")
    return Model(x, {"series": inner(inner(x)), "value": tail(inner(x))})


def encoder_decoder() -> Any:
    x = Input((10, 3))
    _, *states = layers.LSTM(4, return_state=True)(x)
    decoded = layers.LSTM(4, return_sequences=True, recurrent_dropout=0.1)(x, initial_state=states)
    return Model([x], layers.TimeDistributed(layers.Dense(1))(decoded))


def merged() -> Any:
    x = Input((10, 3))
    wide = layers.Masking()(x)
    left, right = layers.GRU(4)(wide), layers.Bidirectional(layers.LSTM(2))(wide)
    return Model(x, layers.Dense(1)(layers.Concatenate()([layers.Add()([left, right]), right])))


def deep() -> Any:
    """A Sequential in a Sequential in a functional model, and a model for each time step."""
    x = Input((10, 3))
    stack = Sequential([layers.Dense(4), Sequential([layers.GRU(3, return_sequences=True), layers.Dense(2)])])
    step = Sequential([Input((2,)), layers.Dense(2)])
    return Model(x, layers.TimeDistributed(step)(stack(x)))


def inside() -> Any:
    """A model that starts in the graph of another one."""
    hidden = layers.GRU(4, return_sequences=True, name="hidden")(Input((10, 3)))
    x = Input((10, 3))
    return Model(x, Model(hidden, layers.LSTM(3)(hidden))(layers.Dense(4)(x)))


MODELS: dict[str, Callable[[], Any]] = {
    make.__name__: make for make in (shared, nested, encoder_decoder, merged, deep, inside)
}


def outputs(model: Any) -> list[Any]:
    values, _ = model.forward_pass(X)
    return list(values) if len(model.outputs) > 1 else [values]


def assert_same_outputs(model: Any, other: Any) -> None:
    for ours, theirs in zip(outputs(model), outputs(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_configs_and_json(name: str) -> None:
    model = MODELS[name]()
    config = model.get_config()
    for other in (Functional.from_config(config), model_from_json(model.to_json())):
        other.set_weights(model.get_weights())
        assert_same_outputs(model, other)
        assert json.loads(json.dumps(other.get_config())) == json.loads(json.dumps(config))
        assert [layer.name for layer in other.layers][-1] == model.layers[-1].name


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_files(name: str, ending: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    model.save(tmp_path / f"model.{ending}")
    loaded = pyrnn.load_model(tmp_path / f"model.{ending}")
    assert_same_outputs(model, loaded)
    assert loaded.name == model.name


@pytest.mark.parametrize("ending", ["weights.h5", "h5"])
@pytest.mark.parametrize("name", MODELS)
def test_weights(name: str, ending: str, tmp_path: Path) -> None:
    model, other = MODELS[name](), MODELS[name]()
    model.save_weights(tmp_path / f"a.{ending}")
    other.load_weights(tmp_path / f"a.{ending}")
    assert_same_outputs(model, other)


@pytest.mark.parametrize("name", ["shared", "encoder_decoder", "merged", "deep", "inside"])
def test_training_continues_from_a_file_with_the_same_bits(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    y = np.zeros((4, *model.output_shape[1:]))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m.keras", include_rng=True)
    loaded = pyrnn.load_model(tmp_path / "m.keras")
    histories = []
    for each in (model, loaded):
        pyrnn.utils.set_random_seed(0)
        histories.append(each.fit(X, y, epochs=2, shuffle=False, verbose=0).history)
    assert histories[0] == histories[1]


def test_nested_models_keep_what_is_frozen(tmp_path: Path) -> None:
    model = nested()
    model.get_layer("inner").trainable = False
    model.save(tmp_path / "m.keras")
    loaded = pyrnn.load_model(tmp_path / "m.keras")
    assert not loaded.get_layer("inner").trainable and loaded.get_layer("tail").trainable
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def test_weights_by_name_and_with_a_mismatch(tmp_path: Path) -> None:
    def make(units: int) -> Any:
        x = Input((10, 3))
        return Model(x, layers.Dense(units, name="end")(layers.GRU(4, name="gru")(x)))

    model, other = make(1), make(2)
    model.save_weights(tmp_path / "a.h5")
    model.save_weights(tmp_path / "a.weights.h5")
    for options in ({"by_name": True, "filepath": tmp_path / "a.h5"}, {"filepath": tmp_path / "a.weights.h5"}):
        before = other.get_weights()
        with pytest.raises(ValueError, match="layer 'end' has shape"):
            other.load_weights(**options)
        for value, now in zip(before, other.get_weights(), strict=True):
            np.testing.assert_array_equal(value, now)
        with pytest.warns(UserWarning, match="the layer keeps its weights"):
            other.load_weights(**options, skip_mismatch=True)
        np.testing.assert_array_equal(other.get_layer("gru").get_weights()[0], model.get_layer("gru").get_weights()[0])


@pytest.mark.parametrize("name", MODELS)
def test_clones_share_nothing(name: str) -> None:
    model = MODELS[name]()
    clone = clone_model(model)
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))
    clone.set_weights(model.get_weights())
    assert_same_outputs(model, clone)


def test_a_clone_function_is_called_once_per_layer() -> None:
    model = shared()
    model.compile("sgd", "mae")
    met: list[str] = []

    def frozen(layer: Any) -> Any:
        met.append(layer.name)
        return type(layer).from_config({**layer.get_config(), "trainable": False})

    clone = clone_model(model, clone_function=frozen)
    assert sorted(met) == sorted(layer.name for layer in model.layers[1:])
    assert not clone.trainable_weights and len(clone.weights) == len(model.weights)
    assert type(clone.optimizer).__name__ == "SGD"
    sharing = clone_model(model, clone_function=lambda layer: layer)
    assert sharing.weights == model.weights
    with pytest.raises(TypeError, match="clone_function must return a layer, got 3 for layer"):
        clone_model(model, clone_function=lambda layer: 3)


def test_call_function_adds_layers() -> None:
    model = shared()

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        return layers.Dropout(0.5)(output) if isinstance(layer, layers.Dense) else output

    clone = clone_model(model, clone_function=lambda layer: layer, call_function=called)
    dropouts = [layer for layer in clone.layers if isinstance(layer, layers.Dropout)]
    calls = sum(len(layer.nodes) for layer in model.layers if isinstance(layer, layers.Dense))
    assert len(dropouts) == calls // 2 and clone.weights == model.weights
    assert_same_outputs(model, clone)  # without training
    with pytest.raises(TypeError, match="call_function must return 1 symbols in place of the outputs of layer"):
        clone_model(model, call_function=lambda layer, *args, **kwargs: 3)
    with pytest.raises(ValueError, match="call_function is for functional models"):
        clone_model(Sequential([layers.Dense(2)]), call_function=called)


def test_clone_from_other_inputs() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="b")
    model = Model({"a": a, "b": b}, {"sum": layers.Add()([a, b]), "out": layers.Dense(2)(a)})
    inputs = {"a": layers.Dense(3)(Input((5,))), "b": Input((3,))}
    clone = clone_model(model, input_tensors=inputs)
    assert clone.input == inputs and list(clone.output) == ["sum", "out"]
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))
    with pytest.raises(ValueError, match="input_tensors must have the structure of the model's inputs"):
        clone_model(model, input_tensors=[a, b])
    with pytest.raises(TypeError, match="input_tensors must hold symbols, got 3"):
        clone_model(model, input_tensors={"a": 3, "b": b})
    chain = Sequential([Input((3,)), layers.Dense(2)])
    assert clone_model(chain, input_tensors=Input((3,), batch_size=4)).input_shape == (4, 3)
    with pytest.raises(ValueError, match="input_tensors must be one symbol for a Sequential"):
        clone_model(chain, input_tensors=[a, b])


@pytest.mark.parametrize("recursive", [False, True])
def test_models_in_models_are_cloned_layer_by_layer(recursive: bool) -> None:
    x = Input((10, 3))
    inner = Sequential([layers.Dense(3), Sequential([layers.Dense(2, name="deep")], name="inner")], name="middle")
    model = Model(x, inner(x))
    met: list[str] = []

    def cloned(layer: Any) -> Any:
        met.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone = clone_model(model, clone_function=cloned, recursive=recursive)
    assert ("deep" in met) == recursive and ("middle" in met) != recursive
    clone.set_weights(model.get_weights())
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))
    assert_same_outputs(model, clone)


@pytest.mark.parametrize("name", MODELS)
def test_models_in_descriptions_of_objects(name: str) -> None:
    model = MODELS[name]()
    model.compile("sgd", "mae")
    described = pyrnn.saving.serialize_keras_object({"models": [model]})
    again = pyrnn.saving.deserialize_keras_object(json.loads(json.dumps(described)))["models"][0]
    assert again.compiled and again.name == model.name
    again.set_weights(model.get_weights())
    assert_same_outputs(model, again)


class Twice(layers.Layer):
    """A custom layer."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return 2 * x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return 2 * dy


def test_custom_layers(tmp_path: Path) -> None:
    x = Input((10, 3))
    model = Model(x, Twice()(Sequential([Input((10, 3)), Twice(), layers.Dense(1)])(x)))
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Twice': Twice\}"):
        pyrnn.load_model(tmp_path / "m.keras")
    assert_same_outputs(model, pyrnn.load_model(tmp_path / "m.keras", custom_objects={"Twice": Twice}))
    made = Functional.from_config(model.get_config(), {"Twice": Twice})
    made.set_weights(model.get_weights())
    assert_same_outputs(model, made)
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same_outputs(model, clone)


def layer_of_keras_2(kind: str, name: str, inbound: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


# As tf.keras 2.12 describes it: calls as lists, nested models numbered from 1, initial states as further inputs.
KERAS_2: dict[str, Any] = {
    "class_name": "Functional",
    "config": {
        "name": "model",
        "trainable": True,
        "layers": [
            layer_of_keras_2("InputLayer", "x", [], batch_input_shape=[None, 10, 3], dtype="float32"),
            layer_of_keras_2(
                "Functional", "inner", [[["x", 0, 0, {}]], [["inner", 1, 0, {}]]],
                layers=[
                    layer_of_keras_2("InputLayer", "first", [], batch_input_shape=[None, 10, 3], dtype="float32"),
                    layer_of_keras_2("Dense", "dense", [[["first", 0, 0, {}]]], units=3),
                ],
                input_layers=[["first", 0, 0]], output_layers=[["dense", 0, 0]],
            ),
            layer_of_keras_2("LSTM", "encoder", [[["x", 0, 0, {"mask": None}]]], units=4, return_state=True),
            layer_of_keras_2(
                "LSTM", "decoder", [[["inner", 2, 0, {}], ["encoder", 0, 1, {}], ["encoder", 0, 2, {}]]], units=4
            ),
            layer_of_keras_2("Concatenate", "join", [[["decoder", 0, 0, {}], ["encoder", 0, 0, {}]]], axis=-1),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["join", 0, 0], ["inner", 2, 0]],
    },
    "keras_version": "2.12.0",
    "backend": "tensorflow",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["Functional", "Model"])
def test_a_model_of_keras_2(kind: str) -> None:
    model = model_from_json(json.dumps({**KERAS_2, "class_name": kind}))
    joined, series = outputs(model)
    inner = model.get_layer("inner")
    encoded, *states = model.get_layer("encoder")(X)
    np.testing.assert_array_equal(series, inner(inner(X)))
    decoded = model.get_layer("decoder")(series, initial_state=states)
    np.testing.assert_allclose(joined, np.concatenate([decoded, encoded], axis=-1), rtol=1e-6)


def changed(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets one place of a config."""

    def change(config: dict[str, Any]) -> None:
        *steps, last = path
        target: Any = config
        for step in steps:
            target = target[step]
        target[last] = value

    return change


NODE = ("layers", 1, "inbound_nodes", 0, "args", 0, "config", "keras_history")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("layers", value=3), "must hold 'layers', got 3"),
        (changed("layers", value=[3]), "must have a name and inbound_nodes, got 3"),
        (changed("layers", 1, "inbound_nodes", value=None), "must have a name and inbound_nodes"),
        (changed("layers", 1, "name", value="x"), "must have different names, got 'x' twice"),
        (changed("input_layers", value=None), "must hold 'input_layers', got None"),
        (changed("output_layers", value=["missing", 0, 0]), "lacks 'missing'"),
        (changed("output_layers", value=["end", 7, 0]), "'end' is called 1 times in the config, call 7 is read"),
        (changed("output_layers", value=["end", 0, 2]), "'end' has 1 outputs, output 2 is read"),
        (changed("output_layers", value=["end", -1, 0]), "must be the name of a layer"),
        (changed("output_layers", value=["end", 0.5, 0]), "must be the name of a layer"),
        (changed("output_layers", value=[3]), r"must be \[layer, call, output\], got 3"),
        (changed("output_layers", value=[]), "outputs must hold at least one symbol"),
        (changed(*NODE, value=["missing", 0, 0]), "lacks 'missing'"),
        (changed(*NODE, value=["end", 0, 0]), "must not have cycles"),
        (changed(*NODE, value=["first", 0, 0]), "must not have cycles"),
        (changed(*NODE, value=["first", 1, 0]), "call 1 is read"),
        (changed(*NODE, value=["x", 2**70, 0]), "is read"),
        (changed(*NODE, value=[0, 0, 0]), "must be the name of a layer"),
        (changed(*NODE, value=["x", 0]), "keras_history of three"),
        (changed("layers", 1, "inbound_nodes", 0, "args", 0, "config", value=3), "keras_history of three"),
        (changed("layers", 1, "inbound_nodes", 0, value=3), "must list its inputs, got 3"),
        (changed("layers", 1, "inbound_nodes", 0, "args", value=[]), "without symbols"),
        (changed("layers", 1, "inbound_nodes", 0, "args", value=3), "a list of args and a dict of kwargs"),
        (changed("layers", 1, "inbound_nodes", 0, "kwargs", value={"speed": 3}), "speed"),
        (changed("layers", 1, "class_name", value="Unknown"), "Unknown"),
    ],
)
def test_damaged_configs(change: Callable[[dict[str, Any]], None], message: str) -> None:
    x = Input((10, 3), name="x")
    model = Model(x, layers.Dense(1, name="end")(layers.GRU(4, name="first")(x)))
    description = json.loads(model.to_json())
    assert model_from_json(json.dumps(description)).count_params() == model.count_params()
    broken = copy.deepcopy(description)
    change(broken["config"])
    with pytest.raises((TypeError, ValueError), match=message):
        model_from_json(json.dumps(broken))


def test_a_chain_of_thousands_of_layers_and_nested_models_cost_what_they_hold() -> None:
    """No recursion along the graph, and no cost that doubles with each level of models."""
    x = symbol = Input((2,))
    for _ in range(3000):
        symbol = layers.Activation("relu")(symbol)
    model = Model(x, symbol)
    assert len(model_from_json(model.to_json()).layers) == 3001
    inner = Model(x, layers.Dense(2)(x))
    for _ in range(40):
        x = Input((2,))
        inner = Model(x, inner(inner(x)))
    assert model_from_json(inner.to_json()).count_params() == 6


class Nested(Model):
    """Layers in lists, tuples and dicts within each other, and in a list that holds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: Any = [[layers.Dense(3), layers.Dense(3)], (layers.Dense(3), {"last": layers.Dense(3)})]
        self.blocks.append(self.blocks)

    def call(self, x: Any) -> Any:
        (first, second), (third, rest) = self.blocks[:2]
        return rest["last"](third(second(first(x))))


class InLayer(layers.Layer):
    """The same in a layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = {"a": [layers.Dense(3, name="a")], "b": ([layers.Dense(3, name="b")],)}

    def call(self, x: Any) -> Any:
        return self.blocks["b"][0][0](self.blocks["a"][0](x))


@pytest.mark.parametrize("kind", ["model", "layer"])
def test_layers_in_containers_within_containers(kind: str, tmp_path: Path) -> None:
    x = np.ones((2, 4), "float32")
    objects = {"Nested": Nested, "InLayer": InLayer}
    model: Any = Nested() if kind == "model" else Sequential([Input((4,)), InLayer()])
    expected = model(x)
    assert len(model.trainable_weights) == (8 if kind == "model" else 4)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(pyrnn.load_model(tmp_path / "m.keras", objects)(x), expected)
    model.save_weights(tmp_path / "m.weights.h5")
    model.compile("sgd", "mse")
    model.fit(x, x[:, :3], verbose=0)
    changed = [np.abs(weight).sum() for weight in model.get_weights()]
    model.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(model(x), expected)
    assert all(before != np.abs(after).sum() for before, after in zip(changed, model.get_weights(), strict=True))


class Twins(layers.Layer):
    """Two layers of the same name in a custom layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = layers.Dense(3, name="dense"), layers.Dense(3, name="dense")

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_layers_of_the_same_name_in_a_layer(ending: str, tmp_path: Path) -> None:
    x = np.ones((2, 4), "float32")
    model = Sequential([Input((4,)), Twins()])
    model.save(tmp_path / f"m{ending}")
    loaded = pyrnn.load_model(tmp_path / f"m{ending}", {"Twins": Twins})
    np.testing.assert_array_equal(loaded(x), model(x))
