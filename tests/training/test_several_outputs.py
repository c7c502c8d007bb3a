"""Training of models with several outputs: losses, weights, metrics, targets, masks and their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, losses, metrics
from pyrnn.data.arrays import Arrays
from pyrnn.data.batches import Batch
from pyrnn.loops import test_step as evaluate_step
from pyrnn.loops import train_step

RNG = np.random.default_rng(11)
X = RNG.normal(size=(8, 5)).astype("float32")
A = RNG.normal(size=(8, 1)).astype("float32")
B = np.eye(3, dtype="float32")[RNG.integers(0, 3, 8)]
BATCH: Any = Batch(X, Arrays([A, B]), None)  # type: ignore[arg-type]


def model(form: str = "list") -> Any:
    x = pyrnn.Input((5,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(3, "softmax", name="b")(x)
    outputs = {"list": [a, b], "dict": {"q": b, "p": a}, "nested": {"one": [a], "two": b}}[form]
    made = pyrnn.Model(x, outputs)
    made.set_weights([np.linspace(-1, 1, weight.size).reshape(weight.shape) for weight in made.weights])
    return made


def compiled(form: str = "list", **options: Any) -> Any:
    made = model(form)
    made.compile(pyrnn.optimizers.SGD(0.1), **options)
    return made


def logs(made: Any, batch: Any = BATCH) -> dict[str, float]:
    """The logs of a batch, without training."""
    made._compiled.reset()
    evaluate_step(made, made._compiled, batch)
    result: dict[str, float] = made._compiled.logs()
    return result


PAIR = ["mse", "categorical_crossentropy"]
NAMES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "two losses": ("list", {"loss": PAIR}, ["loss", "a_loss", "b_loss"]),
    "one loss for all": ("list", {"loss": "mse"}, ["loss", "a_loss", "b_loss"]),
    "by name": ("list", {"loss": {"b": "mae", "a": "mse"}}, ["loss", "a_loss", "b_loss"]),
    "an output without a loss": ("list", {"loss": ["mse", None], "metrics": [None, "mae"]}, ["loss", "b_mae"]),
    "by key": ("dict", {"loss": {"q": "mae", "p": "mse"}}, ["loss", "q_loss", "p_loss"]),
    "a key alone": ("dict", {"loss": {"q": "mae"}}, ["loss"]),
    "a list for keys": ("dict", {"loss": ["mse", "mae"]}, ["loss", "p_loss", "q_loss"]),
    "nested": ("nested", {"loss": {"one": ["mse"], "two": "mae"}, "metrics": {"one": ["mae"], "two": "accuracy"}},
               ["loss", "one/a_loss", "two_loss", "one_mae", "two_accuracy"]),
    "metrics": ("list", {"loss": PAIR, "metrics": [["mae", "mae"], "accuracy"],
                         "weighted_metrics": [None, ["ce", "accuracy"]]},
                ["loss", "a_loss", "b_loss", "a_mae", "a_mae_1", "b_accuracy", "b_ce", "b_weighted_accuracy"]),
    "metrics by name": ("list", {"loss": PAIR, "metrics": {"b": metrics.MeanSquaredError(name="error")}},
                        ["loss", "a_loss", "b_loss", "b_error"]),
    "a metric with the name of a loss": ("list", {"loss": PAIR, "metrics": [metrics.MeanSquaredError(name="loss"), []]},
                                         ["loss", "a_loss", "b_loss", "a_loss_1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names(case: str) -> None:
    form, options, names = NAMES[case]
    made = compiled(form, **options)
    assert made.metrics_names == names
    assert list(logs(made)) == sorted(names)
    assert made._compiled.results() == [logs(made)[name] for name in names]
    assert len(made.metrics) == len(names)
    again = model(form)
    again.compile_from_config(made.get_compile_config())
    assert again.metrics_names == names
    assert logs(again) == logs(made)


def test_the_loss_is_the_weighted_sum() -> None:
    single = logs(compiled(loss=PAIR))
    for weights in ([2.0, 0.5], {"b": 0.5, "a": 2.0}, (2, 0.5)):
        values = logs(compiled(loss=PAIR, loss_weights=weights))
        assert values["a_loss"] == single["a_loss"]
        assert values["loss"] == pytest.approx(2 * single["a_loss"] + 0.5 * single["b_loss"])
    for weights in (3.0, [3.0, None]):
        values = logs(compiled(loss="mse", loss_weights=weights))
        factor = 3.0 if weights == 3.0 else 1.0
        assert values["loss"] == pytest.approx(3 * values["a_loss"] + factor * values["b_loss"])


def test_a_step_follows_the_gradient_of_the_sum() -> None:
    made = compiled(loss=PAIR, loss_weights=[2.0, 0.5])
    before = [weight.numpy() for weight in made.weights]
    train_step(made, made._compiled, BATCH)
    for output, factor, places in (("a", 2.0, slice(0, 2)), ("b", 0.5, slice(2, 4))):
        alone = pyrnn.Sequential([pyrnn.Input((5,)), made.get_layer(output)])
        after = alone.get_weights()
        alone.set_weights(before[places])
        loss = PAIR[output == "b"]
        alone.compile(pyrnn.optimizers.SGD(0.1), loss, loss_weights=factor)
        alone.train_on_batch(X, A if output == "a" else B)
        for array, other in zip(alone.get_weights(), after, strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_loss_may_be_in_a_list_of_one() -> None:
    x = pyrnn.Input((3,))
    model = pyrnn.Model(x, layers.Dense(1, name="a")(x))
    for loss in (["mse"], [["mse"]], {"a": ["mse"]}):
        model.compile("sgd", loss)
        assert type(model.loss).__name__ == "MeanSquaredError"
    two = pyrnn.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    for pair in (["mse", ["mae"]], {"a": ["mse"], "b": "mae"}):
        two.compile("sgd", pair)
        assert [type(loss).__name__ for loss in two.loss] == ["MeanSquaredError", "MeanAbsoluteError"]


def test_outputs_without_a_loss_do_not_train() -> None:
    made = compiled(loss=["mse", None])
    before = made.get_layer("b").get_weights()
    train_step(made, made._compiled, Batch(X, Arrays([A, None]), None))  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.get_layer("b").get_weights()[0], before[0])
    assert list(made._compiled.logs()) == ["loss"]


def test_sample_weights_of_each_output_or_of_all() -> None:
    weights = RNG.uniform(0.5, 2, (2, 8)).astype("float32")
    options: dict[str, Any] = {"loss": "mse", "weighted_metrics": ["mse", "mse"]}
    for sample_weight, each in ((Arrays(weights), weights), (weights[0], weights[[0, 0]]), (Arrays([None, weights[1]]),
                                [None, weights[1]])):  # fmt: skip
        values = logs(compiled(**options), BATCH._replace(sample_weight=sample_weight))
        for name, y, y_pred, weight in zip("ab", (A, B), model().forward_pass(X)[0], each, strict=True):
            assert values[f"{name}_loss"] == pytest.approx(losses.MeanSquaredError()(y, y_pred, weight))
            mean = metrics.MeanSquaredError()
            mean.update_state(y, y_pred, weight)
            assert values[f"{name}_mse"] == pytest.approx(mean.result())


def test_each_output_has_its_mask() -> None:
    x = pyrnn.Input((4, 2))
    masked = layers.TimeDistributed(layers.Dense(1), name="masked")(layers.Masking()(x))
    plain = layers.TimeDistributed(layers.Dense(1), name="plain")(x)
    made = pyrnn.Model(x, [masked, plain])
    made.compile("sgd", "mse", metrics=["mse", "mse"])
    array = RNG.normal(size=(3, 4, 2)).astype("float32")
    array[:, 2:] = 0
    y = RNG.normal(size=(3, 4, 1)).astype("float32")
    values = logs(made, Batch(array, Arrays([y, y]), None))  # type: ignore[arg-type]
    squares = [(y - output) ** 2 for output in made.forward_pass(array)[0]]
    assert values["masked_mse"] == pytest.approx(squares[0][:, :2].mean(), rel=1e-5)
    assert values["plain_mse"] == pytest.approx(squares[1].mean(), rel=1e-5)
    assert values["masked_loss"] == pytest.approx(values["masked_mse"], rel=1e-5)


def test_outputs_of_one_layer_have_names_of_their_own() -> None:
    x = pyrnn.Input((4, 2))
    made = pyrnn.Model(x, layers.LSTM(2, return_state=True, name="lstm")(x))
    made.compile("sgd", "mse")
    assert made.metrics_names == ["loss", "lstm_loss", "lstm_1_loss", "lstm_2_loss"]


def test_running_states_resume() -> None:
    options: dict[str, Any] = {"loss": PAIR, "metrics": [["mae"], ["accuracy"]]}
    made, again = compiled(**options), compiled(**options)
    values = logs(made)
    state = made._compiled.get_state()
    again._compiled.check_state(state)
    again._compiled.set_state(state)
    assert again._compiled.logs() == values
    for wrong in ({**state, "heads": state["heads"][:1]}, {**state, "losses": []}, {"loss": state["loss"]}):
        with pytest.raises(ValueError, match="running metrics"):
            again._compiled.check_state(wrong)
    with pytest.raises(ValueError, match="metric 'a_loss' cannot resume"):
        again._compiled.check_state({**state, "losses": [{"total": "x"}, state["losses"][1]]})
    assert again._compiled.logs() == values


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "too many losses": ("list", {"loss": ["mse"] * 3}, r"loss must be a list with one entry for each of the 2 outputs"),
    "an unknown output": ("list", {"loss": {"a": "mse", "c": "mse"}}, r"'a', 'b'\).*the model has no output 'c'"),
    "a missing output": ("list", {"loss": {"a": "mse"}}, "pass None for 'b' if it has no loss"),
    "a layer for a key": ("dict", {"loss": {"a": "mse"}}, r"\('p', 'q'\).*the model has no output 'a'"),
    "one metric for two": ("list", {"loss": "mse", "metrics": ["mae"]}, r"metrics must be a list with one .*'mae'"),
    "metrics of no output": ("list", {"loss": "mse", "metrics": {"c": "mae"}}, "metrics must .* no output 'c'"),
    "one weight": ("list", {"loss": PAIR, "loss_weights": [1.0]}, "loss_weights must be a list with one entry"),
    "a number for two losses": ("list", {"loss": PAIR, "loss_weights": 2.0}, "loss_weights must have one entry"),
    "a weight that is no number": ("list", {"loss": PAIR, "loss_weights": ["a", 1]}, "loss_weights must be a number"),
    "another structure": ("nested", {"loss": {"one": ["mse", "mse"]}}, "have the structure of the outputs"),
    "a shared metric": ("list", {"loss": PAIR, "metrics": [metrics.AUC(name="m")] * 2}, "different object .* 'm'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_of_compile(case: str) -> None:
    form, options, message = WRONG[case]
    made = compiled(form, loss="mse")
    before = made._compiled
    with pytest.raises((TypeError, ValueError), match=message):
        made.compile("adam", **options)
    assert made._compiled is before


@pytest.mark.parametrize(
    ("y", "sample_weight", "message"),
    [
        (None, None, "y is missing"),
        (A, None, r"y must hold 2 arrays, one for each output \('a', 'b'\), got one of shape \(8, 1\)"),
        (Arrays([A]), None, "y must hold 2 arrays, .* got 1 arrays"),
        (Arrays([A, None]), None, "y must hold targets for output 'b'"),
        (Arrays([A, B[:, :2]]), None, r"output 'b': .*\(8, 2\)"),
        (Arrays([A, B]), Arrays([None, np.ones((8, 2), "float32")]), "output 'b': .*sample_weight"),
    ],
    ids=["missing", "one array", "too few", "none", "shape", "weight"],
)
def test_targets_that_do_not_fit(y: Any, sample_weight: Any, message: str) -> None:
    made = compiled(loss=PAIR)
    before = made.get_weights()
    with pytest.raises(ValueError, match=message):
        train_step(made, made._compiled, Batch(X, y, sample_weight))
    for array, other in zip(made.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, other)


def test_class_weights_are_for_one_output() -> None:
    made = compiled(loss=PAIR)
    for method in (made.fit, made.train_on_batch):
        with pytest.raises(ValueError, match=r"class_weight works only with models with one output, this one has 2"):
            method(X, [A, B], class_weight={0: 1.0})


def test_a_model_without_a_loss_does_not_train() -> None:
    with pytest.raises(ValueError, match="compile with a loss first"):
        compiled(loss=[None, None]).fit(X, [A, B])


def test_a_loss_that_is_not_finite_names_its_output() -> None:
    made = compiled(loss=PAIR)
    weights = made.get_weights()
    weights[2][:] = np.inf
    made.set_weights(weights)
    with pytest.warns(UserWarning, match="the loss of output 'b' is nan: weight .*b/kernel"), np.errstate(all="ignore"):
        logs(made)
    with pytest.warns(UserWarning, match=r"the loss of output 'a' is inf: y\['a'\] holds values that are not finite"):
        logs(compiled(loss=PAIR), Batch(X, Arrays([np.full_like(A, np.inf), B]), None))  # type: ignore[arg-type]


def test_callbacks_monitor_the_losses_and_metrics_of_an_output() -> None:
    made = compiled(loss=PAIR, metrics=[["mae"], ["accuracy"]])
    monitors = {"val_a_loss": False, "b_loss": False, "a_mae": False, "val_b_accuracy": True}
    watching = [pyrnn.callbacks.EarlyStopping(name, patience=9) for name in monitors]
    history = made.fit(X, [A, B], epochs=2, validation_data=(X, {"b": B, "a": A}), callbacks=watching, verbose=0)
    assert [callback.rises() for callback in watching] == list(monitors.values())
    assert set(monitors) < set(history.history)


def test_an_interrupted_training_resumes_to_the_same_bits(tmp_path: Any) -> None:
    class Interruption(pyrnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.model._run.epoch == 1 and batch == 1:
                raise KeyboardInterrupt

    def trained(folder: Any, *callbacks: Any) -> tuple[dict[str, list[float]], list[np.ndarray]]:
        pyrnn.utils.set_random_seed(5)
        made = compiled(loss=PAIR, loss_weights=[2.0, 1.0], metrics=[["mae"], ["accuracy"]])
        backup = pyrnn.callbacks.BackupAndRestore(folder, save_freq=2)
        history = made.fit(
            X, [A, B], batch_size=2, epochs=3, verbose=0, validation_data=(X, [A, B]), callbacks=[backup, *callbacks]
        )
        return history.history, made.get_weights()

    expected, weights = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", Interruption())
    resumed, again = trained(tmp_path / "killed")
    assert {name: values[-1] for name, values in resumed.items()} == {name: v[-1] for name, v in expected.items()}
    for array, other in zip(again, weights, strict=True):
        np.testing.assert_array_equal(array, other)
