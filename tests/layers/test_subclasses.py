"""What a subclass may override: each hook of Keras is called, or rejected when the class is created."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, constraints, initializers, layers, losses, metrics, optimizers, overriding, regularizers
from pyrnn.layers import Dense
from pyrnn.utils import PyDataset

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
Y = X[:, :1]

NEVER_CALLED: dict[type, Any] = {
    pyrnn.Sequential: overriding.MODEL,
    optimizers.Optimizer: overriding.OPTIMIZER,
    optimizers.Adam: overriding.OPTIMIZER,
    losses.Loss: overriding.LOSS,
    losses.MeanSquaredError: overriding.LOSS,
}


@pytest.mark.parametrize(
    ("base", "name"),
    [(base, name) for base, names in NEVER_CALLED.items() for name in names],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_hooks_that_are_never_called_are_rejected(base: type, name: str) -> None:
    for bases, body in (((base,), {name: lambda *_: None}), ((type("Mixin", (), {name: lambda *_: None}), base), {})):
        with pytest.raises(TypeError, match=rf"^Mine defines {name}, which pyrnn never calls: \w"):
            type("Mine", bases, body)


def fitted(*layers: Any, model: type[pyrnn.Sequential] = pyrnn.Sequential, **options: Any) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(0)
    made = model([pyrnn.Input((3,)), *(layers or [Dense(1)])])
    made.compile(options.pop("optimizer", "sgd"), options.pop("loss", "mse"), metrics=options.pop("metrics", None))
    made.fit(X, Y, verbose=0, batch_size=3, epochs=2, **options)
    return made


class Doubling(pyrnn.Sequential):
    """A model that doubles its input and, where it is said so, its output."""

    def forward_pass(self, x: Any, *, training: bool = False) -> Any:
        return super().forward_pass(2 * np.asarray(x), training=training)

    backward_pass = pyrnn.Sequential.backward_pass


def test_passes_of_models_are_hooks() -> None:
    model = fitted(model=Doubling)
    weights = fitted(Dense(1)).get_weights()
    assert not np.array_equal(model.get_weights()[0], weights[0])
    (layer,) = model.layers
    for output in (model.predict(X, verbose=0), model(X), model.predict_on_batch(X)):
        np.testing.assert_allclose(output, layer(2 * X))
    with pytest.raises(TypeError, match=r"overrides forward_pass but not backward_pass, so Sequential\.backward_pass"):
        type("Half", (pyrnn.Sequential,), {"forward_pass": lambda self, x, **_: (x, None)})
    with pytest.raises(TypeError, match="overrides regularization_loss but not add_regularization_gradients"):
        type("Half", (pyrnn.Sequential,), {"regularization_loss": lambda self: 1.0})


@pytest.mark.parametrize("name", ["reset_state", "reset_states"])
def test_either_name_of_reset_states_is_the_hook(name: str) -> None:
    calls: list[str] = []
    model = type("Noting", (pyrnn.Sequential,), {name: lambda self: calls.append(name)})([Dense(1)])
    model.reset_state()
    model.reset_states()
    assert calls == [name] * 2


def absolute(self: Any, y_true: Any, y_pred: Any) -> Any:
    return np.mean(np.abs(y_pred - y_true), axis=-1)


@pytest.mark.parametrize("base", [losses.Loss, losses.MeanSquaredError, losses.Huber])
def test_call_of_a_loss_is_the_hook(base: type[losses.Loss]) -> None:
    loss = type("Mine", (base,), {"call": absolute})()
    assert loss(Y, X[:, 1:2]) == pytest.approx(losses.MeanAbsoluteError()(Y, X[:, 1:2]))
    for first, other in zip(fitted(loss=loss).get_weights(), fitted(loss="mae").get_weights(), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-5)


def test_elements_of_a_loss_are_the_hook() -> None:
    class Mine(losses.MeanSquaredError):
        def elements(self, y_true: Any, y_pred: Any) -> Any:
            return losses.MeanAbsoluteError().elements(y_true, y_pred)

    for first, other in zip(fitted(loss=Mine()).get_weights(), fitted(loss="mae").get_weights(), strict=True):
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("name", ["reset_state", "reset_states"])
def test_either_name_of_reset_state_is_the_hook(name: str) -> None:
    def reset(self: Any) -> None:
        self.batches = 0

    class Batches(metrics.Metric):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.batches += 1

        def result(self) -> float:
            return float(self.batches)

    metric = type("Counting", (Batches,), {name: reset})(name="batches")
    assert fitted(metrics=[metric]).history.history["batches"] == [2.0, 2.0]


def test_a_penalty_needs_its_gradient() -> None:
    def penalty(self: Any, w: Any) -> float:
        return float(np.sum(w))

    with pytest.raises(TypeError, match="Mine defines __call__ but not gradient, which training needs as well"):
        type("Mine", (regularizers.Regularizer,), {"__call__": penalty})
    with pytest.raises(TypeError, match=r"overrides __call__ but not gradient, so L2\.gradient would give"):
        type("Mine", (regularizers.L2,), {"__call__": penalty})
    kind = type("Mine", (regularizers.L2,), {"__call__": penalty, "gradient": lambda self, w: np.ones_like(w)})
    plain, bent = (fitted(Dense(1, kernel_regularizer=each)).get_weights()[0] for each in (None, kind()))
    assert (bent < plain).all()


def test_hooks_of_the_small_classes_are_called() -> None:
    calls: set[str] = set()

    class Init(initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            calls.add("initializer")
            return np.zeros(shape, dtype)

    class Wide(constraints.MaxNorm):
        def __call__(self, w: Any) -> Any:
            calls.add("constraint")
            return w

    class Rate(optimizers.schedules.ExponentialDecay):
        def __call__(self, step: Any) -> Any:
            calls.add("schedule")
            return 0.0

    class Keep(optimizers.SGD):
        def update(self, values: Any, gradients: Any, learning_rate: float) -> None:
            calls.add("optimizer")
            assert learning_rate == 0

    class Right(metrics.MeanAbsoluteError):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            calls.add("metric")

        def result(self) -> float:
            return 7.0

    class Stop(callbacks.EarlyStopping):
        def get_monitor_value(self, logs: Any) -> float:
            calls.add("early stopping")
            return 1.0

    model = fitted(
        Dense(1, kernel_initializer=Init(), kernel_constraint=Wide()),
        optimizer=Keep(Rate(0.1, 1, 0.5)),
        metrics=[Right(name="right")],
        callbacks=[Stop(monitor="loss")],
    )
    assert model.history.history["right"] == [7.0, 7.0]
    assert not model.get_weights()[0].any()
    assert calls == {"initializer", "constraint", "schedule", "optimizer", "metric", "early stopping"}


HOOKS = sorted(name for name in dir(callbacks.Callback) if name.startswith("on_"))


@pytest.mark.parametrize("hook", [*HOOKS, "set_model", "set_params"])
def test_every_hook_of_a_callback_is_called(hook: str) -> None:
    calls = []

    def note(self: Any, *arguments: Any) -> None:
        calls.append(arguments)

    note_it = type("Noting", (callbacks.Callback,), {hook: note})()
    model = fitted(callbacks=[note_it], validation_data=(X, Y))
    model.predict(X, verbose=0, callbacks=[note_it])
    assert calls


def test_every_hook_of_a_dataset_is_called() -> None:
    calls: list[str] = []

    class Rows(PyDataset):
        def __init__(self) -> None:
            """Without `super().__init__()`, which Keras only warns about."""

        @property
        def num_batches(self) -> int:
            calls.append("num_batches")
            return 2

        def __getitem__(self, index: int) -> Any:
            calls.append("__getitem__")
            return X, Y

        def on_epoch_begin(self) -> None:
            calls.append("on_epoch_begin")

        def on_epoch_end(self) -> None:
            calls.append("on_epoch_end")

    pyrnn.utils.set_random_seed(0)
    model = fitted()
    model.fit(Rows(), verbose=0)
    assert set(calls) == {"num_batches", "__getitem__", "on_epoch_begin", "on_epoch_end"}
    calls.clear()
    model.evaluate(Rows(), verbose=0)
    assert calls.count("__getitem__") == 2


def of_shape(*shape: int) -> Any:
    return lambda *_, **__: np.ones(shape, "float32")


def made(base: type, **methods: Any) -> Any:
    return type("Mine", (base,), methods)()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kernel_initializer": made(initializers.Initializer, __call__=of_shape(1, 1))},
            r"initializer of weight 'kernel' must return an array of its shape \(3, 1\), got \(1, 1\)",
        ),
        (
            {"kernel_initializer": made(initializers.Initializer, __call__=lambda *_, **__: 0.5)},
            r"must return an array of its shape \(3, 1\), got \(\)",
        ),
        (
            {"kernel_constraint": made(constraints.Constraint, __call__=of_shape(1))},
            r"constraint of weight '.*kernel' must return an array of its shape \(3, 1\), got \(1,\)",
        ),
        (
            {"bias_regularizer": made(regularizers.Regularizer, __call__=lambda *_: 1.0, gradient=of_shape())},
            r"the gradient of the regularizer of weight '.*bias' must return an array of its shape \(1,\), got \(\)",
        ),
        (
            {"kernel_regularizer": made(regularizers.Regularizer, __call__=of_shape(3), gradient=of_shape(3, 1))},
            r"the regularizer of '.*kernel' must return one number, got an array of shape \(3,\)",
        ),
        (
            {"activity_regularizer": made(regularizers.Regularizer, __call__=lambda *_: 1.0, gradient=of_shape(1, 1))},
            r"activity_regularizer of layer 'mine' must have the shape of its output, \(3, 1\), got \(1, 1\)",
        ),
        (
            {"activity_regularizer": made(regularizers.Regularizer, __call__=of_shape(3), gradient=of_shape(3, 1))},
            r"the regularizer of 'mine' must return one number",
        ),
    ],
)
def test_what_a_hook_returns_is_never_broadcast(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(Dense(1, name="mine", **options))


class Grown(pyrnn.Sequential):
    """A model that adds its layers when it learns the input shape."""

    def build(self, input_shape: Any = None) -> None:
        if not self.layers:
            self.add(layers.GRU(3))
            self.add(layers.Dense(input_shape[-1]))
        super().build(input_shape)


def test_a_model_may_override_build() -> None:
    x = np.ones((4, 5, 2), "float32")
    assert Grown()(x).shape == (4, 2)
    model = Grown()
    model.compile("sgd", "mse")
    model.fit(x, x[:, 0], verbose=0)
    assert [layer.name.split("_")[0] for layer in model.layers] == ["gru", "dense"] and model.built
    model.add(layers.Dense(1))
    assert model.predict(x, verbose=0).shape == (4, 1)
    for stack in ([layers.Input((5, 2)), layers.GRU(3)], [layers.GRU(3, input_shape=(5, 2))]):
        with pytest.raises(TypeError, match=r"Grown defines build\(\), which is called where no layer"):
            Grown(stack)


@pytest.mark.parametrize("argument", ["initializer", "regularizer", "constraint"])
@pytest.mark.parametrize("value", [lambda: None, "no such thing", 3.5], ids=["function", "name", "number"])
def test_add_weight_checks_what_it_is_given(argument: str, value: Any) -> None:
    layer = layers.Layer()
    with pytest.raises((TypeError, ValueError), match=argument):
        layer.add_weight((3,), name="scale", **{argument: value})
    assert not layer.weights
