"""`train_step`, `compute_loss` and the other methods of a step that a subclass of a model overrides; `add_loss`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses, metrics, ops
from pyrnn.utils import unpack_x_y_sample_weight

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5, 3)).astype("float32")
Y = RNG.normal(size=(8, 1)).astype("float32")
OPTIONS: dict[str, Any] = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}


def made(
    kind: type[pyrnn.Sequential] = pyrnn.Sequential, *others: Any, loss: Any = "mse", **options: Any
) -> pyrnn.Sequential:
    """A compiled model of this class, with the same weights each time; other layers come first."""
    pyrnn.utils.set_random_seed(1)
    stack = [pyrnn.Input((5, 3)), *others, layers.GRU(4, kernel_regularizer="l2"), layers.Dense(1)]
    model = kind(stack)
    model.compile(pyrnn.optimizers.SGD(0.1), loss, **options)
    return model


def same(first: Any, second: Any, rtol: float = 1e-5) -> None:
    """Compare what training made of two models."""
    for weight, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=rtol, atol=1e-6)


class Base(pyrnn.Sequential):
    """Overrides all methods, and changes nothing."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)

    def test_step(self, data: Any) -> Any:
        return super().test_step(data)

    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().compute_metrics(x, y, y_pred, sample_weight)


class Penalised(layers.Layer):
    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


@pytest.mark.parametrize("others", [[], ["penalised"], ["masking"]], ids=str)
def test_methods_that_call_super_change_nothing(others: list[str]) -> None:
    x, y, weight = X.copy(), Y, np.linspace(0.5, 1.5, 8)
    x[:, 3:] = 0
    inner = [Penalised() if name == "penalised" else layers.Masking() for name in others]
    options = {"weighted_metrics": ["mae"], "metrics": ["mse"]}
    plain, other = made(pyrnn.Sequential, *inner, **options), made(Base, *copy.deepcopy(inner), **options)
    data = {"validation_data": (x, y), "sample_weight": weight}
    expected, actual = (model.fit(x, y, **OPTIONS, **data).history for model in (plain, other))
    assert list(actual) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-5)
    same(other, plain)
    np.testing.assert_allclose(other.evaluate(x, y, verbose=0), plain.evaluate(x, y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(other.predict(x, verbose=0, batch_size=3), plain.predict(x, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(other.train_on_batch(x, y), plain.train_on_batch(x, y), rtol=1e-5)
    np.testing.assert_allclose(other.test_on_batch(x, y), plain.test_on_batch(x, y), rtol=1e-5)
    assert np.array_equal(other.predict_on_batch(x), other(x))


class Several(pyrnn.models.Functional):
    """Overrides methods, and checks the structures of what they receive."""

    def train_step(self, data: Any) -> Any:
        x, y, weight = unpack_x_y_sample_weight(data)
        assert set(x) == {"a", "b"} and set(y) == {"p", "q"} and weight is None
        return super().train_step(data)

    def predict_step(self, data: Any) -> Any:
        assert set(data) == {"a", "b"}
        return super().predict_step(data)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        assert set(y_pred) == {"p", "q"}
        return super().compute_loss(x, y, y_pred, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        assert set(y_pred) == {"p", "q"}
        return super().compute_metrics(x, y, y_pred, sample_weight)


def test_methods_of_a_model_with_several_inputs_and_outputs() -> None:
    results = []
    for kind in (pyrnn.models.Functional, Several):
        pyrnn.utils.set_random_seed(1)
        a, b = pyrnn.Input((3,), name="a"), pyrnn.Input((2,), name="b")
        joined = layers.Concatenate()([a, b])
        outputs = {"p": layers.Dense(1, name="p")(joined), "q": layers.Dense(2, name="q")(joined)}
        model = kind({"a": a, "b": b}, outputs)
        model.compile(pyrnn.optimizers.SGD(0.1), {"p": "mse", "q": "mae"}, loss_weights={"p": 2.0, "q": 0.5})
        x = {"a": X[:, 0], "b": X[:, 1, :2]}
        history = model.fit(x, {"p": Y, "q": X[:, 2, :2]}, **OPTIONS).history
        results.append((history, model.get_weights(), model.predict(x, verbose=0)))
    for name, values in results[0][0].items():
        np.testing.assert_allclose(results[1][0][name], values, rtol=1e-5)
    for weight, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(results[0][2]["q"], results[1][2]["q"], rtol=1e-5)


def test_a_train_step_changes_data_and_logs() -> None:
    class Doubled(pyrnn.Sequential):
        def train_step(self, data: Any) -> Any:
            x, y = data
            return {**super().train_step((2 * x, y)), "extra": np.float32(7)}

    seen: list[Any] = []
    callback = pyrnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
    model, plain = made(Doubled), made()
    history = model.fit(X, Y, **OPTIONS, callbacks=[callback]).history
    expected = plain.fit(2 * X, Y, **OPTIONS).history
    assert set(history) == {"loss", "extra"} and history["extra"] == [7.0, 7.0]
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
    assert [logs["extra"] for logs in seen] == [7.0] * 4
    assert model.train_on_batch(X, Y) == [pytest.approx(plain.train_on_batch(2 * X, Y)), 7.0]
    same(model, plain)


def test_a_train_step_may_train_other_models() -> None:
    class Pair(pyrnn.Sequential):
        def train_step(self, data: Any) -> Any:
            x, y = data
            return {"first": self.layers[0].train_on_batch(x, y), "second": 1.0}

    inner = made()
    model = Pair([inner])
    model.compile("sgd")
    history = model.fit(X, Y, **OPTIONS).history
    np.testing.assert_allclose(made().fit(X, Y, **{**OPTIONS, "epochs": 1}).history["loss"][0], 0, atol=10)
    assert set(history) == {"first", "second"} and history["first"][1] < history["first"][0]
    expected = made()
    for _ in range(2):
        for rows in (slice(4), slice(4, 8)):
            expected.train_on_batch(X[rows], Y[rows])
    same(inner, expected)


def test_class_weights_reach_a_train_step_as_sample_weights() -> None:
    class Noting(pyrnn.Sequential):
        def train_step(self, data: Any) -> Any:
            self.weights_seen = unpack_x_y_sample_weight(data)[2]
            return super().train_step(data)

    labels = (Y > 0).astype("float32")
    model, plain = made(Noting, loss="binary_crossentropy"), made(loss="binary_crossentropy")
    for each in (model, plain):
        each.fit(X, labels, class_weight={0: 1.0, 1: 3.0}, **OPTIONS)
    same(model, plain)
    assert set(model.weights_seen.ravel().tolist()) <= {1.0, 3.0}  # type: ignore[attr-defined]


def loss_of(body: Any) -> type[pyrnn.Sequential]:
    """A model whose `compute_loss` is this function of (model, y, y_pred)."""

    class Mine(pyrnn.Sequential):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            return body(self, y, y_pred)

    return Mine


LOSSES: dict[str, tuple[Any, Any]] = {
    # A body, and the loss of `compile` that says the same; the penalties count where the body adds self.losses.
    "ops": (lambda self, y, p: ops.mean(ops.abs(p - y) ** 3) + sum(self.losses), lambda y, p: np.abs(p - y) ** 3),
    "loss": (lambda self, y, p: losses.MeanAbsoluteError()(y, p) + ops.sum(self.losses), "mae"),
    "function": (lambda self, y, p: ops.mean(losses.mean_squared_error(y, p)) + sum(self.losses), "mse"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_compute_loss_is_differentiated(case: str) -> None:
    body, loss = LOSSES[case]
    model, plain = made(loss_of(body), Penalised(), loss=None), made(pyrnn.Sequential, Penalised(), loss=loss)
    expected, actual = (each.fit(X, Y, **OPTIONS, validation_data=(X, Y)).history for each in (plain, model))
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-5)
    same(model, plain)


def test_penalties_count_as_much_as_compute_loss_says() -> None:
    half = loss_of(lambda self, y, p: losses.MeanSquaredError()(y, p) + 0.5 * sum(self.losses))
    none = loss_of(lambda self, y, p: losses.MeanSquaredError()(y, p))

    class Halved(layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(0.05 * ops.mean(ops.square(x)))
            return x

    def trained(kind: type[pyrnn.Sequential], first: Any, factor: float) -> Any:
        pyrnn.utils.set_random_seed(1)
        kernel = pyrnn.regularizers.L2(factor) if factor else None
        # The trainable layer comes before the layer that adds the loss.
        model = kind([pyrnn.Input((5, 3)), layers.Dense(3, activity_regularizer=kernel), first,
                      layers.GRU(4, kernel_regularizer=kernel), layers.Dense(1)])  # fmt: skip
        model.compile(pyrnn.optimizers.SGD(0.1), "mse")
        model.fit(X, Y, **OPTIONS)
        return model

    same(trained(half, Penalised(), 0.02), trained(pyrnn.Sequential, Halved(), 0.01))
    same(trained(none, Penalised(), 0.02), trained(pyrnn.Sequential, layers.Identity(), 0.0))
    uneven = loss_of(lambda self, y, p: losses.MeanSquaredError()(y, p) + self.losses[0])
    model = made(uneven, Penalised())
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"must add all of self\.losses with the same factor, got 1, 0"):
        model.train_on_batch(X, Y)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("value", [None, np.zeros(3), "a"], ids=["None", "array", "text"])
def test_compute_loss_returns_a_number(value: Any) -> None:
    model = made(loss_of(lambda self, y, p: value))
    with pytest.raises(ValueError, match=r"compute_loss of Mine must return one number, got"):
        model.train_on_batch(X, Y)
    with pytest.raises(ValueError, match=r"compute_loss of Mine must return one number, got"):
        model.evaluate(X, Y, verbose=0)


def test_a_train_step_returns_a_dict() -> None:
    model = made(type("Wrong", (pyrnn.Sequential,), {"train_step": lambda self, data: 1.0}))
    with pytest.raises(TypeError, match=r"train_step of Wrong must return a dict of logs, got 1\.0"):
        model.fit(X, Y, **OPTIONS)


def test_gradients_of_other_libraries_are_rejected_in_one_sentence() -> None:
    def train_step(self: Any, data: Any) -> Any:
        with self.tf.GradientTape() as tape:
            return {"loss": tape}

    with pytest.raises(TypeError, match=r"train_step of Taped uses GradientTape.*define compute_loss") as caught:
        type("Taped", (pyrnn.Sequential,), {"train_step": train_step})
    assert len(str(caught.value).splitlines()) == 1


class Tracking(pyrnn.Sequential):
    """Has metrics of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.largest = metrics.Mean(name="largest")

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        self.largest.update_state(10.0 * loss)
        return loss


def test_metrics_in_attributes_are_in_the_logs() -> None:
    model, plain = made(Tracking, metrics=["mae"]), made(metrics=["mae"])
    assert model.metrics_names == ["loss", "mae", "largest"]
    assert [metric.name for metric in model.metrics] == ["loss", "mae", "largest"]
    history = model.fit(X, Y, **OPTIONS, validation_data=(X, Y)).history
    expected = plain.fit(X, Y, **OPTIONS, validation_data=(X, Y)).history
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for name in ("", "val_"):
        np.testing.assert_allclose(history[f"{name}largest"], 10 * np.array(history[f"{name}loss"]), rtol=1e-5)
    loss, mae, largest = model.evaluate(X, Y, verbose=0)
    assert largest == pytest.approx(10 * loss) and mae == pytest.approx(expected["val_mae"][-1])
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"loss": loss, "mae": mae, "largest": largest}
    state = model._compiled.get_state()  # type: ignore[union-attr]
    model.reset_metrics()
    assert model.largest.result() == 0  # type: ignore[attr-defined]
    model._compiled.check_state(state)  # type: ignore[union-attr]
    model._compiled.set_state(state)  # type: ignore[union-attr]
    assert model.largest.result() == pytest.approx(largest)  # type: ignore[attr-defined]


def test_a_class_may_list_its_metrics_itself() -> None:
    class Listing(Tracking):
        @property
        def metrics(self) -> Any:
            return [self.largest]

    model = made(Listing)
    history = model.fit(X, Y, **OPTIONS).history
    assert set(history) == {"largest"} and model.evaluate(X, Y, verbose=0) == model.largest.result()  # type: ignore[attr-defined]


def test_losses_of_layers_are_listed_and_forgotten() -> None:
    model = made(pyrnn.Sequential, Penalised(name="penalised"))
    (penalty,) = model.losses  # the weights
    assert model.get_layer("penalised").losses == []
    for _ in range(2):
        model(X)
        added = 0.1 * np.mean(X**2)
        np.testing.assert_allclose(model.losses, [added, penalty], rtol=1e-5)
    np.testing.assert_allclose(model.get_layer("penalised").losses, [added], rtol=1e-5)
    np.testing.assert_allclose(model.layers[1].losses, [penalty], rtol=1e-5)
    expected = np.mean((model.predict(X, verbose=0) - Y) ** 2) + added + penalty
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    layer = Penalised()
    for _ in range(2):
        layer(X)
        assert layer.losses == [pytest.approx(added)]


def test_a_layer_in_numpy_adds_its_loss_and_the_gradient() -> None:
    class InNumPy(layers.Layer):
        def forward(self, x: Any, *, training: bool = False, mask: Any = None) -> Any:
            self.add_loss(0.1 * np.mean(x**2))
            if training:
                self.x = x
            return x

        def backward(self, dy: Any, *, need_dx: bool = True) -> Any:
            return dy + 0.2 * self.x / self.x.size if need_dx else None

    results = []
    for kind in (Penalised, InNumPy):
        model = made(pyrnn.Sequential, layers.Dense(3), kind(), layers.Dense(3))
        results.append((model.fit(X, Y, **OPTIONS).history["loss"], model))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    same(results[0][1], results[1][1])


def test_added_losses_of_shared_nested_and_unused_layers() -> None:
    """The losses of both calls count, of layers in nested models too, and of layers that no trained output needs."""
    pyrnn.utils.set_random_seed(1)
    x = pyrnn.Input((3,))
    shared, dense = Penalised(), layers.Dense(3, kernel_initializer="ones")
    inner = pyrnn.Sequential([pyrnn.Input((3,)), dense, shared])
    side = shared(layers.Dense(2, name="side")(x))
    model = pyrnn.Model(x, [layers.Dense(1)(inner(x)), side])
    model.compile(pyrnn.optimizers.SGD(0.1), ["mse", None])
    before = model.get_layer("side").get_weights()[0]
    model(X[:, 0])
    assert len(model.losses) == 2
    starts = model.get_weights()
    for index, start in enumerate(starts):
        around = []
        for step in (1e-2, -2e-2):
            start.flat[0] += step
            model.set_weights(starts)
            around.append(model.test_on_batch(X[:, 0], Y))
        start.flat[0] += 1e-2
        model.set_weights(starts)
        model.train_on_batch(X[:, 0], Y)
        slope = (start.flat[0] - model.get_weights()[index].flat[0]) / 0.1
        assert slope == pytest.approx((around[0] - around[1]) / 2e-2, rel=1e-2, abs=1e-3)
    assert not np.array_equal(model.get_layer("side").get_weights()[0], before)


def test_without_a_loss_something_must_be_added() -> None:
    model = made(pyrnn.Sequential, Penalised(), loss=None)
    assert model.train_on_batch(X) == pytest.approx(sum(made(pyrnn.Sequential, Penalised()).losses), abs=1)
    assert len(model.fit(X, epochs=2, verbose=0).history["loss"]) == 2
    with pytest.raises(ValueError, match=r"must be compiled before fit: call compile with a loss first"):
        made(loss=None).fit(X, Y, verbose=0)

    class Silent(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.square(x)

    silent = pyrnn.Sequential([pyrnn.Input((5, 3)), Silent(), layers.Dense(1)])
    silent.compile("sgd")
    before = silent.get_weights()
    for run in (silent.train_on_batch, silent.test_on_batch):
        with pytest.raises(ValueError, match=r"no loss to compute: pass loss to compile\(\), or call add_loss\(\)"):
            run(X)
    assert all(map(np.array_equal, before, silent.get_weights()))


def test_add_loss_takes_numbers() -> None:
    layer = layers.Dense(1)
    layer.add_loss([1.0, np.ones(3)])
    assert layer.losses == [1.0, 3.0]
    with pytest.raises(TypeError, match="loss must hold numbers"):
        layer.add_loss("a")
    with pytest.raises(ValueError, match=r"add_loss\(\) of layer .* must be called within its call\(\), got a symbol"):
        layer.add_loss(pyrnn.Input((3,)))


def test_batches_are_packed_as_in_keras() -> None:
    pack, unpack = pyrnn.utils.pack_x_y_sample_weight, pyrnn.utils.unpack_x_y_sample_weight
    assert pack(1) == 1 and pack([1]) == ([1],) and pack(1, 2) == (1, 2) and pack(1, 2, 3) == (1, 2, 3)
    assert unpack(1) == (1, None, None) and unpack([1, 2]) == (1, 2, None) and unpack((1, 2, 3)) == (1, 2, 3)
    with pytest.raises(ValueError, match=r"data must be x, \(x,\), \(x, y\) or"):
        unpack((1, 2, 3, 4))


def test_results_inside_a_functional_model_are_added_to_its_loss() -> None:
    """As Keras 2 does: with the gradient of a layer that does the same, in pickles, and not in the files."""

    def made_with(add: Any) -> Any:
        pyrnn.utils.set_random_seed(1)
        x = pyrnn.Input((3,))
        hidden = layers.Dense(4, name="hidden")(x)
        model = pyrnn.Model(x, layers.Dense(1, name="last")(add(hidden)))
        return model, hidden

    expected, _ = made_with(Penalised())
    model, hidden = made_with(lambda x: x)
    names = [layer.name for layer in model.layers]
    model.add_loss([0.1 * ops.mean(ops.square(hidden))])
    assert [layer.name for layer in model.layers][: len(names)] == names
    for each in (expected, model):
        each.compile(pyrnn.optimizers.SGD(0.1), "mse")
    twin = copy.deepcopy(model)
    histories = [each.fit(X[:, 0], Y, **OPTIONS).history["loss"] for each in (expected, model, twin)]
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-5)
    np.testing.assert_allclose(histories[2], histories[1], rtol=1e-6)
    same(model, expected)
    again = pyrnn.models.clone_model(model)
    assert [layer.name for layer in again.layers] == names
    with pytest.raises(ValueError, match="the graph is disconnected"):
        model.add_loss(ops.mean(pyrnn.Input((2,))))
    assert model.evaluate(X[:, 0], Y, verbose=0) == pytest.approx(twin.evaluate(X[:, 0], Y, verbose=0))
