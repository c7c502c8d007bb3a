"""The state of metrics: variables in every operator, custom `reset_state`, and metrics that hold metrics."""

from __future__ import annotations

import copy
import operator
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn import Sequential, callbacks, layers, metrics
from pyrnn.metrics.variables import Variable

BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge, divmod,
]  # fmt: skip
IN_PLACE = [
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow,
]  # fmt: skip
WHOLE = [operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor]
WHOLE_IN_PLACE = [operator.ilshift, operator.irshift, operator.iand, operator.ior, operator.ixor]
X = np.arange(8.0).reshape(8, 1)
Y = X + 1


class Holder(metrics.Metric):
    """A metric with one variable."""

    def __init__(self, shape: tuple[int, ...] = (), dtype: Any = None) -> None:
        super().__init__()
        self.s = self.add_variable(shape, "ones", dtype=dtype, name="s")


def variable_of(shape: tuple[int, ...] | str) -> tuple[Any, Any, np.ndarray]:
    """A metric, its variable that holds numbers from 1 to 2, and a copy of these."""
    metric: Any = metrics.AUC(num_thresholds=3) if shape == "field" else Holder() if shape == "()" else None
    if shape == "sum":
        metric = metrics.Mean()
    elif metric is None:
        metric = Holder(shape)  # type: ignore[arg-type]  # not one of the names
    variable = metric.variables[0]
    variable.assign(np.random.default_rng(1).uniform(1, 2, variable.shape))
    return metric, variable, variable.numpy()


SHAPES = [(), (3,), (2, 3), "field", "sum"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)
def test_operators(operation: Any, shape: Any) -> None:
    _, variable, values = variable_of(shape)
    for left, right, expected in (
        (variable, 1.5, operation(values, 1.5)), (1.5, variable, operation(1.5, values)),
        (variable, variable, operation(values, values)),
        (np.ones(3), variable, operation(np.ones(3), values)), (variable, np.ones(3), operation(values, np.ones(3))),
    ):  # fmt: skip
        result = operation(left, right)
        assert not isinstance(result, Variable) and np.array_equal(result, expected)
    assert np.array_equal(variable, values)
    for unary in (operator.neg, operator.pos, operator.abs):
        assert np.array_equal(unary(variable), unary(values))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("operation", IN_PLACE, ids=lambda f: f.__name__)
def test_operators_in_place(operation: Any, shape: Any) -> None:
    metric, variable, values = variable_of(shape)
    assert operation(variable, 1.5) is variable
    assert np.array_equal(variable, operation(values.copy(), 1.5))
    assert np.array_equal(metric.variables[0], variable)  # the metric's state, not a copy of it
    before = variable.numpy()
    with pytest.raises(ValueError, match="shape"):
        operation(variable, np.ones((5, 4, 3)))
    assert np.array_equal(variable, before)
    metric.reset_state()
    assert np.array_equal(metric.variables[0], np.full(values.shape, float(isinstance(metric, Holder))))


@pytest.mark.parametrize("operation", [*WHOLE, *WHOLE_IN_PLACE], ids=lambda f: f.__name__)
def test_operators_of_whole_numbers(operation: Any) -> None:
    metric = Holder((3,), "int")
    metric.s = np.array([1, 2, 3])
    assert np.array_equal(operation(metric.s, 2), operation(np.array([1, 2, 3]), 2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_indices_and_attributes(shape: Any) -> None:
    metric, variable, values = variable_of(shape)
    variable[...] += 1
    variable[...] = 2 * variable[...]
    values = 2 * (values + 1)
    if values.ndim:
        variable[0] = 7
        variable[-1] -= 1
        values[0] = 7
        values[-1] -= 1
        assert len(variable) == len(values) and np.array_equal(list(variable), list(values))
        np.add.at(variable, 1, 2.0)
        values[1] += 2.0
    np.add(variable, 1, out=variable, where=np.ones(values.shape, bool))
    values = values + 1
    assert np.array_equal(variable, values) and np.array_equal(metric.variables[0], values)
    assert np.sum(variable) == values.sum() and np.array_equal(np.maximum(variable, 3), np.maximum(values, 3))
    target = np.zeros(values.shape)
    assert np.add(variable, 1, out=target) is target and np.array_equal(target, values + 1)
    assert (variable.shape, variable.ndim, variable.size, variable.dtype) == (
        values.shape, values.ndim, values.size, "float64")  # fmt: skip
    variable.assign_sub(1)
    assert np.array_equal(variable, values - 1) and variable in {variable}


def test_conversions() -> None:
    number = Holder().s
    number += 1.25
    assert (float(number), int(number), bool(number), round(number, 1), round(number)) == (2.25, 2, True, 2.2, 2)
    assert f"{number:.1f}" == "2.2" and "name=s, shape=(), dtype=float64, value=2.25" in repr(number)
    whole = Holder((4,), "int").s
    whole[...] = [3, 1, 0, 2]
    assert np.modf(number, out=(number, np.zeros(()))) and float(number) == 0.25
    assert (np.ones((4, 4)) @ whole).tolist() == [6] * 4


def test_an_attribute_stays_the_variable() -> None:
    metric = Holder((3,))
    variable = metric.s
    metric.s = metric.s + np.arange(3)
    metric.s += 1
    metric.s[0] = 9
    assert metric.s is variable and variable.numpy().tolist() == [9, 3, 4]
    metric.s = 5
    assert metric.s is variable and variable.numpy().tolist() == [5, 5, 5]
    metric.reset_state()
    assert variable.numpy().tolist() == [1, 1, 1]
    metric.s = metric.add_variable((2,), "zeros")
    assert metric.s.shape == (2,)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones(2), ValueError, r"variable 's' has shape \(3,\), got an array of shape \(2,\)"),
        (np.ones((1, 3)), ValueError, r"got an array of shape \(1, 3\)"),
        (2.5, ValueError, "variable 's' of dtype int64 cannot hold 2.5"),
        ([1.0, np.nan, 2.0], ValueError, "of dtype int64 cannot hold nan"),
        (None, TypeError, "value must hold numbers"),
        ("no", TypeError, "value must hold numbers"),
    ],
)
def test_what_a_variable_cannot_hold(value: Any, error: type[Exception], message: str) -> None:
    metric = Holder((3,), "int")
    for write in (metric.s.assign, lambda value: setattr(metric, "s", value)):
        with pytest.raises(error, match=message):
            write(value)
    assert metric.s.numpy().tolist() == [1, 1, 1]
    if error is ValueError and np.ndim(value) < 2 and np.shape(value) != (2,):
        with pytest.raises(error, match=message):
            metric.s[...] = value


def test_a_metric_without_its_constructor() -> None:
    class Hasty(metrics.Metric):
        def __init__(self) -> None:
            self.s = self.add_variable((), "zeros")

    with pytest.raises(RuntimeError, match=r"Hasty must call super\(\).__init__\(\) before add_variable\(\)"):
        Hasty()


# Metrics with a reset_state of their own.


class Largest(metrics.Metric):
    """The form of Keras's guides: state made after `super().__init__()`, reset by the metric itself."""

    def __init__(self, name: str = "largest") -> None:
        super().__init__(name=name)
        self.largest = self.add_variable((), "zeros", name="largest")
        self.batches = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest = np.maximum(self.largest, np.abs(y_true - y_pred).max())
        self.batches += 1

    def result(self) -> Any:
        return self.largest * self.batches

    def reset_state(self) -> None:
        self.largest.assign(0)
        self.batches = 0


@pytest.mark.parametrize(
    "base",
    [metrics.Mean, metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.AUC, metrics.Precision, metrics.WAPE,
     metrics.R2Score, metrics.F1Score, metrics.CosineSimilarity],
)  # fmt: skip
def test_a_subclass_that_resets_its_own_state(base: Any) -> None:
    class Counting(base):  # type: ignore[misc]  # a base that is a parameter
        def __init__(self) -> None:
            super().__init__()
            self.calls = self.add_variable((), "zeros", name="calls")

        def reset_state(self) -> None:
            super().reset_state()
            self.calls.assign(0)

    metric = Counting()
    metric.calls += 3
    metric.reset_state()
    assert float(metric.calls) == 0
    other = base()
    arguments = ([1.0, 2.0],) if base is metrics.Mean else (np.eye(2), np.eye(2) * 0.75)
    assert np.array_equal(metric(*arguments), other(*arguments))


# Metrics that hold metrics.


class Nested(metrics.Metric):
    """Sums by itself, by a metric, and by metrics in lists, dicts and tuples in them."""

    def __init__(self, name: str = "nested", depth: int = 1) -> None:
        super().__init__(name=name)
        self.own = self.add_variable((), "zeros", name="own")
        self.one = metrics.Sum(name="one")
        self.parts = {"list": [metrics.Sum(name="two")], "tuple": (metrics.Sum(name="three"), "no metric")}
        self.again = self.one
        self.inner = Nested(depth=depth - 1) if depth else None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.own += y_true.sum()
        for metric in (self.one, self.parts["list"][0], self.parts["tuple"][0]):
            metric.update_state(y_true)  # type: ignore[union-attr]  # not the string
        if self.inner is not None:
            self.inner.update_state(y_true, y_pred)

    def result(self) -> float:
        inner = 0 if self.inner is None else self.inner.result()
        parts = (self.one, self.parts["list"][0], self.parts["tuple"][0])
        return float(self.own) + sum(each.result() for each in parts) + inner  # type: ignore[union-attr]


def model_with(metric: metrics.Metric) -> Sequential:
    model = Sequential([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=[metric])
    return model


def test_held_metrics_start_again_in_each_epoch() -> None:
    history = model_with(Nested()).fit(X, Y, epochs=3, batch_size=3, validation_data=(X[:2], Y[:2]), verbose=0).history
    assert history["nested"] == [8 * Y.sum()] * 3 and history["val_nested"] == [8 * Y[:2].sum()] * 3


def test_held_metrics_list_their_variables() -> None:
    metric = Nested()
    names = ["own", "total", "total", "total"]
    assert [each.name for each in metric.variables] == names * 2
    metric.update_state(Y, Y)
    for variable in metric.variables:
        assert float(variable) == Y.sum()
        variable.assign(1)
    assert metric.result() == 8


def test_state_of_held_metrics_is_saved() -> None:
    metric, other = Nested(), Nested()
    metric.update_state(Y, Y)
    other.set_state(copy.deepcopy(metric.get_state()))
    assert other.result() == metric.result() == 8 * Y.sum()
    again = pickle.loads(pickle.dumps(metric))
    again.update_state(Y, Y)
    assert again.result() == 16 * Y.sum() and metric.result() == 8 * Y.sum()


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (metrics.TruePositives, ["true_positives"]),
        (metrics.FalsePositives, ["false_positives"]),
        (metrics.TrueNegatives, ["true_negatives"]),
        (metrics.FalseNegatives, ["false_negatives"]),
        (metrics.Precision, ["true_positives", "false_positives"]),
        (metrics.Recall, ["true_positives", "false_negatives"]),
        (metrics.AUC, ["true_positives", "false_positives", "true_negatives", "false_negatives"]),
    ],
)
def test_variables_of_counts(cls: Any, names: list[str]) -> None:
    assert [variable.name for variable in cls().variables] == names


def test_thresholds_of_auc() -> None:
    metric = metrics.AUC(num_thresholds=None, thresholds=[0.5])
    np.testing.assert_allclose(metric.thresholds, [0, 0.5, 1], atol=1e-6)
    assert metric.thresholds[0] < 0 and metric.thresholds[-1] > 1
    again = metrics.AUC.from_config(metric.get_config())
    assert again.get_config() == metric.get_config() and again.thresholds == metric.thresholds


def test_variable_that_starts_from_an_array() -> None:
    metric = metrics.Metric()
    variable = metric.add_variable((2,), np.array([3, 4]), dtype="int", name="start")
    variable.assign(0)
    metric.reset_state()
    assert variable.numpy().tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"or an array of shape \(3,\), got"):
        metric.add_variable((3,), np.array([3, 4]))


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (metrics.SensitivityAtSpecificity, "specificity"),
        (metrics.SpecificityAtSensitivity, "sensitivity"),
        (metrics.PrecisionAtRecall, "recall"),
        (metrics.RecallAtPrecision, "precision"),
    ],
)
def test_constraints_are_attributes(cls: Any, name: str) -> None:
    metric = cls(0.25, num_thresholds=7, class_id=1)
    assert (getattr(metric, name), metric.num_thresholds, metric.class_id) == (0.25, 7, 1)


class Stop(callbacks.Callback):
    """Ends the process's training after some batches, as a kill would."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [Nested, metrics.AUC, metrics.BinaryIoU, metrics.R2Score, metrics.MeanSquaredError])
def test_training_resumes_with_the_state_of_metrics(kind: Any, tmp_path: Path) -> None:
    def fit(*more: Any, backup: Path) -> Any:
        model = Sequential([layers.Input((1,)), layers.Dense(1, activation="sigmoid", kernel_initializer="ones")])
        model.compile("sgd", "mse", metrics=[kind()], weighted_metrics=["mae"])
        keeping = callbacks.BackupAndRestore(backup, save_freq=1)
        return model.fit(
            X / 8, X > 3, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[keeping, *more]
        ).history

    expected = fit(backup=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(Stop(), backup=tmp_path / "stopped")
    resumed = fit(backup=tmp_path / "stopped")
    assert [list(values) for values in resumed.values()] == [list(values) for values in expected.values()]


def test_stateless_methods_leave_the_metric_alone() -> None:
    metric = metrics.MeanSquaredError()
    metric.update_state(X, Y + 3)
    before = metric.result()
    state = metric.stateless_reset_state()
    assert [float(each) for each in state] == [0.0, 0.0]
    state = metric.stateless_update_state(state, X[:4], X[:4] + 2)
    state = metric.stateless_update_state(state, X[4:], X[4:], sample_weight=np.ones(4))
    assert metric.stateless_result(state) == 2.0
    assert metric.result() == before
    with pytest.raises(ValueError, match="metric_variables must have 2 entries, got 1"):
        metric.stateless_result(state[:1])


def test_weights_in_attributes_are_state() -> None:
    def weight(value: float) -> Any:
        made = layers.Layer().add_weight(shape=(), initializer="zeros")
        made.assign(value)
        return made

    metric = Holder()
    count = len(metric.variables)
    metric.more = {"a": [weight(2.0), weight(3.0)], "b": weight(4.0)}
    assert len(metric.variables) == count + 3
    state = metric.get_state()
    metric.reset_state()
    assert float(metric.more["b"]) == 0
    metric.set_state(state)
    assert [float(each) for each in (*metric.more["a"], metric.more["b"])] == [2, 3, 4]
