"""Custom classes and functions in files and clones: what is stored, missing names, and equal names."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import initializers, layers, losses, optimizers, saving, utils
from pyrnn.jsonable import from_plain
from pyrnn.models import clone_model, model_from_json
from pyrnn.optimizers import schedules

X, Y = np.random.default_rng(0).random((4, 3)).astype(np.float32), np.ones((4, 2), np.float32)


class Scale(layers.Layer):
    """Neither get_config nor **kwargs: its arguments and its name are remembered."""

    def __init__(self, factors: Any, table: Any = None, inner: Any = None, shift: Any = None) -> None:
        super().__init__()
        self.factors, self.table, self.inner, self.shift = factors, table, inner, shift

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        y = x * np.float32(self.factors)
        if self.table is not None:
            y = y + np.float32(self.table[1])
        if self.inner is not None:
            y = y * self.inner((x.shape[-1],))
        return y if self.shift is None else self.shift(y)

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        raise NotImplementedError


class Wide(layers.Dense):
    """Adds an argument to a layer whose get_config does not know of it."""

    def __init__(self, *args: Any, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gain = gain

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return super().forward(x, training=training) * np.float32(self.gain)

    backward = layers.Dense.backward


class Wrapped(layers.Layer):
    """A layer as Keras's guides write it."""

    def __init__(self, sublayer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sublayer = sublayer

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return self.sublayer.forward(x, training=training)

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return self.sublayer.backward(dy, need_dx=need_dx)

    def build(self, input_shape: Any) -> None:
        self.sublayer.build(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.sublayer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sublayer": saving.serialize_keras_object(self.sublayer)}

    @classmethod
    def from_config(cls, config: Any) -> Wrapped:
        return cls(saving.deserialize_keras_object(config.pop("sublayer")), **config)


def halved(x: Any) -> Any:
    return x / 2


def sequential(*stack: Any) -> pyrnn.Sequential:
    model = pyrnn.Sequential([layers.Input((3,)), *stack])
    model.compile("sgd", "mse")
    return model


def reloaded(model: pyrnn.Sequential, path: Path, **custom: Any) -> pyrnn.Sequential:
    model.save(path)
    return pyrnn.load_model(path, custom_objects=custom)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_layer_without_get_config_comes_back(ending: str, tmp_path: Path) -> None:
    table = {0: np.zeros(3), 1: np.arange(3), (1, 2): "pair"}
    layer = Scale(np.arange(3.0), table, inner=initializers.Constant(np.float32([1, 2, 3])), shift=halved)
    layer.name, layer.trainable = "mine", False
    model = sequential(layer, layers.Dense(2))
    again = reloaded(model, tmp_path / f"m.{ending}", Scale=Scale, halved=halved)
    assert again.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
    scale = again.layers[0]
    assert scale.name == "mine" and not scale.trainable and scale.shift is halved
    assert list(scale.table) == [0, 1, (1, 2)] and scale.table[1].dtype == table[1].dtype  # type: ignore[union-attr]


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_arguments_that_a_builtin_get_config_does_not_know(ending: str, tmp_path: Path) -> None:
    model = sequential(Wide(2, gain=3.0, name="wide"))
    again = reloaded(model, tmp_path / f"m.{ending}", Wide=Wide)
    assert again.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
    assert again.layers[0].gain == 3 and again.layers[0].name == "wide"


def test_a_layer_as_the_guides_of_keras_write_it(tmp_path: Path) -> None:
    model = sequential(Wrapped(layers.Dense(2, kernel_initializer=initializers.Constant(np.ones((3, 2))))))
    again = reloaded(model, tmp_path / "m.keras", Wrapped=Wrapped)
    assert again.layers[0].sublayer.kernel_initializer.value.shape == (3, 2)


class Unwritable(layers.Layer):
    """A layer whose config no file can hold, but a clone may share."""

    def __init__(self, thing: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.thing = thing

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return dy

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thing": self.thing}


class Listed(layers.Layer):
    """A layer with arguments that have no names."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return x

    def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
        return dy


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Listed(1, 2), r"Listed must define get_config to be saved: its argument 'sizes' has no name"),
        (Unwritable(object()), r"Unwritable.get_config\(\)\['thing'\] cannot be written to a file: .* got "),
        (Unwritable([1, {"a": 1j}]), r"Unwritable.get_config\(\)\['thing'\]\[1\]\['a'\] cannot be written"),
        (Unwritable(np.array(["a"])), "an array must hold numbers, got dtype <U1"),
        (Unwritable(b"\xff"), "bytes must be UTF-8 text"),
        (Unwritable(layers.Dense), "cannot be written to a file"),
        (Scale(1, shift=lambda x: x), r"\['shift'\] must be a function with a name .*to be saved"),
        (
            layers.Dense(2, kernel_initializer=lambda shape, dtype=None: np.ones(shape)),
            "initializer must be a function",
        ),
        (layers.Dense(2, kernel_constraint=lambda w: w), "constraint must be a function with a name"),
    ],
)
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_what_cannot_be_written_leaves_the_file_as_it_was(
    layer: Any, message: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"m.{ending}"
    sequential(layers.Dense(2)).save(path)
    content = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match=message):
        sequential(layer).save(path)
    assert path.read_bytes() == content and len(list(tmp_path.iterdir())) == 1


# Names.


class Dense(layers.Dense):
    """A layer with the name of one of pyrnn's that computes something else."""

    def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
        return super().forward(x, training=training) + 1

    backward = layers.Dense.backward


class Adam(optimizers.Adam):
    pass


class ExponentialDecay(schedules.ExponentialDecay):
    pass


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    return ((y_pred - y_true) ** 2).mean(-1) * 3, 6 * (y_pred - y_true) / y_pred.shape[-1]


def hinge(y_true: Any, y_pred: Any) -> Any:
    return np.abs(y_true - y_pred).max(-1)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    ("made", "kind", "name"),
    [
        (lambda: sequential(Dense(2)), "layer", "Dense"),
        (lambda: compiled(optimizer=Adam()), "optimizer", "Adam"),
        (lambda: compiled(optimizer=optimizers.SGD(ExponentialDecay(0.1, 2, 0.5))), "learning rate schedule",
         "ExponentialDecay"),
        (lambda: compiled(loss=mean_squared_error), "loss is the function", "mean_squared_error"),
        (lambda: compiled(metrics=[hinge]), "metric is the function", "hinge"),
        (lambda: compiled(optimizer=optimizers.SGD(slow)), "learning_rate is the function", "slow"),
        (lambda: sequential(layers.Dense(2, kernel_initializer=Ones())), "initializer", "Ones"),
    ],
)  # fmt: skip
def test_a_custom_object_is_named_and_never_taken_for_one_of_ours(
    made: Any, kind: str, name: str, ending: str, tmp_path: Path
) -> None:
    model, path = made(), tmp_path / f"m.{ending}"
    model.save(path)
    with pytest.raises(
        ValueError, match=rf"m\.{ending}.*{kind} '{name}'.*custom_objects={{'{name}': {name}}}"
    ) as caught:
        pyrnn.load_model(path)
    message = str(caught.value)
    in_compile = kind not in ("layer", "initializer")
    assert ("compile=False loads the model without optimizer, loss and metrics" in message) == in_compile
    if in_compile:
        assert not pyrnn.load_model(path, compile=False).compiled
    again = pyrnn.load_model(path, custom_objects={name: globals()[name]})
    assert again.train_on_batch(X, Y) == model.train_on_batch(X, Y)
    again.save(path)  # names are known to the objects now, not to the process


def slow() -> float:
    return 0.125


class Ones(initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return np.full(shape, 2.0, dtype)


def compiled(**options: Any) -> pyrnn.Sequential:
    model = sequential(layers.Dense(2))
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return model


def test_unknown_layers_of_keras_and_custom_ones_have_different_errors(tmp_path: Path) -> None:
    description = json.loads(sequential(layers.Dense(2)).to_json())
    description["config"]["layers"][1]["class_name"] = "Densse"
    with pytest.raises(
        ValueError, match=r"unknown layer 'Densse'; did you mean 'Dense'.* for a custom one pass custom_"
    ):
        model_from_json(json.dumps(description))


def test_registered_objects_need_no_custom_objects(tmp_path: Path) -> None:
    with saving.custom_object_scope({}):
        saving.register_keras_serializable("Test", "Widest")(Wide)
        model = sequential(Wide(2, gain=3.0))
        assert json.loads(model.to_json())["config"]["layers"][1]["registered_name"] == "Test>Widest"
        assert reloaded(model, tmp_path / "m.keras").layers[0].gain == 3
    # The name alone serves as well, as it does in Keras.
    assert pyrnn.load_model(tmp_path / "m.keras", custom_objects={"Wide": Wide}).layers[0].gain == 3


def test_registered_functions_go_by_their_names() -> None:
    with saving.custom_object_scope({"halved": halved, "Ones": Ones}):
        assert initializers.get("halved") is halved and pyrnn.constraints.get("halved") is halved
        assert isinstance(initializers.get("Ones"), Ones)
        with pytest.raises(
            TypeError, match="regularizer must be registered as a class, 'halved' is the function halved"
        ):
            pyrnn.regularizers.get("halved")
        with pytest.raises(TypeError, match="custom_objects must hold a class for layer 'halved'"):
            layers.deserialize({"class_name": "halved", "config": {}})
        with pytest.raises(TypeError, match=r"Ones must be a layer of pyrnn.layers or derived from one"):
            layers.deserialize({"class_name": "Ones", "config": {}})


@pytest.mark.parametrize("kind", ["initializer", "constraint", "regularizer", "loss", "metric", "optimizer", "layer"])
def test_code_in_a_description_never_runs(kind: str) -> None:
    module = getattr(pyrnn, {"loss": "losses"}.get(kind, f"{kind}s"))
    with pytest.raises(ValueError, match=f"{kind} was saved as Python code, which is never run"):
        module.deserialize({"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}})


def test_lambdas_of_compile_are_saved_but_not_loaded(tmp_path: Path) -> None:
    model = compiled(loss=lambda y, p: ((p - y) ** 2, 2 * (p - y)), metrics=[lambda y, p: p[:, 0]])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"loss was a lambda, of which files hold nothing.*compile=False"):
        pyrnn.load_model(tmp_path / "m.keras", custom_objects={"<lambda>": halved})
    assert not pyrnn.load_model(tmp_path / "m.keras", compile=False).compiled


# Values of configs.


@pytest.mark.parametrize(
    "value",
    [
        {"value": [1.0, "a"], "dtype": "float32"}, {"value": [[1], [1, 2]], "dtype": "float32"},
        {"value": [1], "dtype": "U999999999"}, {"value": [1], "dtype": "object"}, {"value": [1], "dtype": None},
        {"value": [2**70], "dtype": "int64"}, {"dtype": "float32"}, {"value": {}, "dtype": "float32"},
        {"value": [1], "dtype": "V99999999"}, {"value": [1], "dtype": "M8[s]"}, {"value": "x" * 99, "dtype": "float32"},
    ],
)  # fmt: skip
def test_arrays_that_are_none_are_rejected(value: Any) -> None:
    description = {"class_name": "Constant", "config": {"value": {"class_name": "__numpy__", "config": value}}}
    with pytest.raises(ValueError, match="an array of a config must hold numbers of a dtype"):
        initializers.deserialize(description)


@pytest.mark.parametrize(
    "value",
    [
        np.float32([[1.5, np.nan], [np.inf, -0.0]]), np.array([2**63, 1], np.uint64), np.array([True, False]),
        np.zeros((2, 0)), np.float16([0.1]), b"bytes", slice(1, None, 2), ..., {1: "a", "b": (1, 2.5)}, [1, None, "x"],
        {"class_name": "no object"}, -1.5, "text", True, None,
    ],
    ids=str,
)  # fmt: skip
def test_values_come_back(value: Any) -> None:
    again = from_plain(json.loads(json.dumps(saving.serialize_keras_object(value))))
    if isinstance(value, np.ndarray):
        assert (again.dtype, again.shape, again.tobytes()) == (value.dtype, value.shape, value.tobytes())
    else:
        assert again == (value if not isinstance(value, dict) or 1 not in value else {1: "a", "b": [1, 2.5]})


@pytest.mark.parametrize("items", [None, [1], [[1, 2, 3]], [[[], {}], 2], {"a": 1}])
def test_pairs_that_are_none_are_rejected(items: Any) -> None:
    with pytest.raises(ValueError, match="must be a list of pairs"):
        saving.deserialize_keras_object({"class_name": "__dict__", "config": {"items": items}})


def test_objects_and_functions_come_back_from_descriptions() -> None:
    described = saving.serialize_keras_object(
        {"l": [layers.Dense(2), losses.Huber(0.5)], "f": halved, "g": pyrnn.activations.get("relu")}
    )
    again = saving.deserialize_keras_object(json.loads(json.dumps(described)), {"halved": halved})
    assert again["l"][0].units == 2 and again["l"][1].delta == 0.5 and again["f"] is halved and callable(again["g"])
    assert saving.deserialize_keras_object(again["l"][0]) is again["l"][0]
    with pytest.raises(ValueError, match=r"object is the function 'halved'.*pass custom_objects={'halved': halved}"):
        saving.deserialize_keras_object(described["f"])
    assert utils.deserialize_keras_object is saving.deserialize_keras_object


def test_pretrained_embeddings(tmp_path: Path) -> None:
    table = np.random.default_rng(3).standard_normal((50, 8)).astype(np.float32)
    model = pyrnn.Sequential(
        [layers.Embedding(50, 8, embeddings_initializer=initializers.Constant(table), trainable=False, input_length=4),
         layers.LSTM(3), layers.Dense(1)]
    )  # fmt: skip
    model.compile("adam", "mse")
    x, y = np.random.default_rng(4).integers(0, 50, (8, 4)), np.ones((8, 1))
    checkpoint = pyrnn.callbacks.ModelCheckpoint(tmp_path / "m.keras", "loss")
    backup = pyrnn.callbacks.BackupAndRestore(tmp_path / "b")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[checkpoint, backup])
    again = pyrnn.load_model(tmp_path / "m.keras")
    assert again.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    for fresh in (again, clone_model(again), model_from_json(again.to_json())):
        assert fresh.layers[0].embeddings_initializer((50, 8)).tobytes() == table.tobytes()


def test_an_array_of_another_shape_is_rejected_when_the_layer_is_built() -> None:
    with pytest.raises(ValueError, match=r"value of Constant must fit the weight's shape \(3, 2\), got shape \(4, 2\)"):
        sequential(layers.Dense(2, kernel_initializer=initializers.Constant(np.ones((4, 2)))))
    with pytest.raises(ValueError, match=r"an array as initializer must have the weight's shape \(3, 2\), got \(2,\)"):
        sequential(layers.Dense(2, kernel_initializer=np.ones(2)))


@pytest.mark.parametrize("kind", ["kernel_initializer", "kernel_constraint"])
def test_objects_of_another_kind_are_rejected(kind: str) -> None:
    for value in (layers.Dense(2), pyrnn.regularizers.L2(), optimizers.SGD(), schedules.CosineDecay(0.1, 2)):
        with pytest.raises(TypeError, match=kind):
            layers.Dense(2, **{kind: value})


def test_a_large_config_is_read_and_a_bomb_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrnn.files import archive

    monkeypatch.setitem(archive.LARGEST, archive.CONFIG, 1 << 12)
    monkeypatch.setattr(archive, "SMALL", 1 << 10)
    table = np.random.default_rng(0).random((3, 200))
    model, path = sequential(layers.Dense(200, kernel_initializer=initializers.Constant(table))), tmp_path / "m.keras"
    assert reloaded(model, path).count_params() == model.count_params()
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    parts["config.json"] += b" " * 100_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match=r"m\.keras.*config.json claims \d+ bytes, more than"):
        pyrnn.load_model(path)


# Clones.


def test_a_clone_has_custom_parts_without_their_names() -> None:
    double, triple = (lambda x: x * 2), (lambda x: x * 3)
    layer = Scale(np.arange(3.0), inner=Ones(), shift=lambda y: y + 1)
    stack = [
        layer,
        layers.Lambda(double),
        layers.Lambda(triple),
        Dense(2, kernel_initializer=lambda s, dtype: np.ones(s)),
    ]
    model = sequential(*stack)
    metrics = [lambda y, p: p[:, 0], hinge]
    model.compile(optimizers.SGD(lambda: 0.25), lambda y, p: ((p - y) ** 2, 2 * (p - y)), metrics=metrics)
    clone = clone_model(model)
    assert clone.layers[1].function is double and clone.layers[2].function is triple
    assert type(clone.layers[3]) is Dense and clone.layers[0].inner is not layer.inner
    clone.set_weights(model.get_weights())
    assert clone.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
    assert clone.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert clone.optimizer is not model.optimizer and clone.optimizer.learning_rate == 0.25
    with pytest.raises(ValueError, match=r"not part of pyrnn|is the function"):  # the process has learned no names
        model_from_json(sequential(Dense(2)).to_json())


def test_a_clone_shares_what_no_config_can_hold(tmp_path: Path) -> None:
    thing = object()
    model = sequential(Unwritable(thing), layers.Dense(2))
    assert clone_model(model).layers[0].thing is thing
    with pytest.raises(TypeError, match=r"Unwritable.get_config\(\)\['thing'\] cannot be written"):
        model.save(tmp_path / "m.keras")


def test_a_clone_is_compiled_and_shares_no_numbers() -> None:
    model = compiled(optimizer=optimizers.Adam(0.1), metrics=["mae"], loss_weights=np.float32(0.5))
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    clone = clone_model(model)
    assert clone.name == model.name and not clone.layers[0].trainable and clone.optimizer.iterations == 0
    assert clone.get_compile_config() == model.get_compile_config()
    clone.layers[0].trainable = True
    clone.fit(X, Y, epochs=3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert not clone_model(pyrnn.Sequential([layers.Dense(2)])).built


def test_clone_function_chooses_the_layers() -> None:
    model = sequential(layers.Dense(4), layers.Dropout(0.5), layers.Dense(2))
    replaced = clone_model(
        model, clone_function=lambda layer: layers.Dropout(0.1, name=layer.name) if isinstance(layer, layers.Dropout)
        else type(layer).from_config(layer.get_config()),
    )  # fmt: skip
    assert [layer.name for layer in replaced.layers] == [layer.name for layer in model.layers]
    assert replaced.layers[1].rate == 0.1 and replaced.built and replaced.compiled
    with pytest.raises(TypeError, match="clone_function must be a function"):
        clone_model(model, clone_function=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="clone_function must return a layer"):
        clone_model(model, clone_function=lambda layer: layer.name)  # type: ignore[arg-type, return-value]


class Residual(pyrnn.Sequential):
    """A model that computes something other than its layers do."""

    def forward_pass(self, x: Any, *, training: bool = False) -> Any:
        y, mask = super().forward_pass(x, training=training)
        return y + 1, mask

    def backward_pass(self, dy: Any) -> None:
        super().backward_pass(dy)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_custom_model_comes_back_as_one(ending: str, tmp_path: Path) -> None:
    model = Residual([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    path = tmp_path / f"m.{ending}"
    again = reloaded(model, path, Residual=Residual)
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    for each in (again, clone, model_from_json(model.to_json(), {"Residual": Residual})):
        assert type(each) is Residual and each.compiled
    assert again.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
    assert clone.predict(X, verbose=0).tobytes() == model.predict(X, verbose=0).tobytes()
    with pytest.raises(ValueError, match=r"model 'Residual' is not part of pyrnn: pass custom_objects={'Residual'"):
        pyrnn.load_model(path)
    with pytest.raises(TypeError, match=r"must derive from pyrnn.Model"):
        pyrnn.load_model(path, custom_objects={"Residual": Described})


class Described:
    @classmethod
    def from_config(cls, config: Any) -> Described:
        return cls()


def test_descriptions_that_disagree_with_themselves() -> None:
    read = pyrnn.saving.deserialize_keras_object
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}}
    function = {"module": "builtins", "class_name": "function", "config": "relu"}
    for name in (None, "", "Dense"):
        assert isinstance(read({**dense, "registered_name": name}), layers.Dense)
    assert read({**function, "registered_name": "function"}) is read({**function, "registered_name": "relu"})
    with pytest.raises(ValueError, match="layer 'Dense' of pyrnn is described as registered_name='my>Dense'"):
        read({**dense, "registered_name": "my>Dense"})
    with pytest.raises(ValueError, match="object 'relu' of pyrnn is described as registered_name='eval'"):
        read({**function, "registered_name": "eval"})
    with pytest.raises(TypeError, match=r"config of 'Dense' must be a dict, got \[1, 2\]"):
        read({**dense, "config": [1, 2]})
    with pytest.raises(TypeError, match=r"must have the name of a function as its config, got \['relu'\]"):
        read({**function, "config": ["relu"]})


def test_a_registered_function_without_its_package() -> None:
    @pyrnn.saving.register_keras_serializable("somewhere")
    def doubled(x: Any) -> Any:
        return 2 * x

    described = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    for name in ("doubled", "somewhere>doubled"):
        assert pyrnn.saving.deserialize_keras_object({**described, "config": name}) is doubled

    @pyrnn.saving.register_keras_serializable("elsewhere", "doubled")
    def other(x: Any) -> Any:
        return x

    with pytest.raises(ValueError, match="the function 'doubled'"):
        pyrnn.saving.deserialize_keras_object({**described, "config": "doubled"})
