"""Models with several outputs compared with Keras: histories, results, names and weights after training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tolerance import assert_close

import pyrnn

RNG = np.random.default_rng(17)
ROWS, STEPS = 11, 4
X = RNG.normal(size=(ROWS, STEPS, 2)).astype("float32")
X[3:6, 1:] = 0
LEVEL = RNG.normal(size=(ROWS, 1)).astype("float32")
KIND = np.eye(3, dtype="float32")[RNG.integers(0, 3, ROWS)]
SERIES = RNG.normal(size=(ROWS, STEPS, 1)).astype("float32")
# Of rows, and for the series, whose mask Keras does not broadcast to rows on PyTorch, of steps.
WEIGHTS: Any = [RNG.uniform(0.5, 2, shape).astype("float32") for shape in (ROWS, ROWS, (ROWS, STEPS))]
TERMS = 4096


def outputs(library: Any, form: str) -> tuple[Any, Any]:
    """The input and the outputs `level` (N, 1), `kind` (N, 3) and `series` (N, T, 1), which has a mask."""
    layers = library.layers
    x = library.Input((STEPS, 2))
    sequence = layers.GRU(4, return_sequences=True, name="gru")(layers.Masking()(x))
    series = layers.TimeDistributed(layers.Dense(1), name="series")(sequence)
    last = layers.LSTM(3, name="lstm")(sequence)
    level, kind = layers.Dense(1, name="level")(last), layers.Dense(3, activation="softmax", name="kind")(last)
    forms: dict[str, Any] = {
        "list": [level, kind, series],
        "dict": {"price": level, "class": kind, "path": series},
        "names": {"series": series, "level": level, "kind": kind},
        "two": [level, kind],
    }
    return x, forms[form]


def models(form: str, options: dict[str, Any]) -> tuple[Any, Any]:
    made = []
    for library in (keras, pyrnn):
        model = library.Model(*outputs(library, form))
        model.compile(library.optimizers.Adam(0.01), **options)
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    return made[0], made[1]


def of_all(library: Any) -> Any:
    """A loss of all outputs at once."""

    def together(y_true: Any, y_pred: Any) -> Any:
        keys = ("price", "class", "path")
        errors = [library.ops.mean(library.ops.square(y_pred[key] - y_true[key])) for key in keys]
        return errors[0] * errors[1] + errors[2]

    return together


LIST: Any = [LEVEL, KIND, SERIES]
DICT: Any = {"price": LEVEL, "class": KIND, "path": SERIES}
NAMES: Any = {"level": LEVEL, "kind": KIND, "series": SERIES}
LOSSES = ["mse", "categorical_crossentropy", "mae"]
# Name -> (form of the outputs, arguments of compile, y, sample weights).
CASES: dict[str, tuple[str, dict[str, Any], Any, Any]] = {
    "losses": ("list", {"loss": LOSSES}, LIST, None),
    "one loss": ("list", {"loss": "mse"}, LIST, None),
    "one loss and one weight": ("list", {"loss": "mse", "loss_weights": 0.5}, LIST, None),
    "weights": ("list", {"loss": LOSSES, "loss_weights": [1.0, 0.2, 3.0]}, LIST, None),
    "weights by name": (
        "list",
        {
            "loss": {"kind": "categorical_crossentropy", "level": "mse", "series": "mae"},
            "loss_weights": {"level": 0.3, "kind": 2.0, "series": 1.0},
            "metrics": {"kind": ["accuracy", "mse"], "series": "mae"},
        },
        NAMES,
        None,
    ),
    "metrics": (
        "list",
        {
            "loss": LOSSES,
            "metrics": ["mae", ["accuracy", "mae", "mae"], "mse"],
            # Not of the series: on PyTorch Keras's masked loss scales the sample weights in place before metrics do.
            "weighted_metrics": [["mse"], ["mae"], None],
        },
        LIST,
        WEIGHTS,
    ),
    "one sample weight for all": (
        "two",
        {"loss": LOSSES[:2], "weighted_metrics": ["mae"] * 2},
        LIST[:2],
        WEIGHTS[0],
    ),
    "an output without a loss": ("list", {"loss": ["mse", None, "mae"], "metrics": ["mae", "mae", "mae"]}, LIST, None),
    "one trained output": ("two", {"loss": ["mse", None]}, [LEVEL, KIND], None),
    "dict": (
        "dict",
        {"loss": {"price": "mse", "class": "categorical_crossentropy", "path": "mae"}, "metrics": {"path": ["mae"]}},
        DICT,
        None,
    ),
    "dict, some losses": (
        "dict",
        {"loss": {"path": "mse", "class": "mae"}, "loss_weights": {"path": 1.0, "class": 2.0}},
        DICT,
        None,
    ),
    "dict, a list of losses": ("dict", {"loss": ["mse", "mae", "mse"]}, DICT, None),
    "dict with the names of the layers": (
        "names",
        {"loss": {"level": "mse", "series": "mse", "kind": "mae"}, "weighted_metrics": {"kind": ["accuracy"]}},
        NAMES,
        dict(zip(("level", "kind", "series"), WEIGHTS, strict=True)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_histories_and_results(case: str) -> None:
    form, options, y, sample_weight = CASES[case]
    theirs, ours = models(form, options)
    fit: dict[str, Any] = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, "sample_weight": sample_weight}
    held = (X[:5], {key: each[:5] for key, each in y.items()} if isinstance(y, dict) else [each[:5] for each in y])
    expected = theirs.fit(X, y, validation_data=held, **fit).history
    history = ours.fit(X, y, validation_data=held, **fit).history
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert_close(np.asarray(history[name], np.float32), np.asarray(values), terms=TERMS, what=name)
    for weight, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(weight, other, terms=TERMS)
    compared = theirs.evaluate(X, y, sample_weight=sample_weight, batch_size=4, verbose=0)
    results = ours.evaluate(X, y, sample_weight=sample_weight, batch_size=4, verbose=0)
    assert_close(np.asarray(results, np.float32), np.asarray(compared), terms=TERMS)
    logs = theirs.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)
    assert list(ours.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)) == list(logs)


ERRORS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "an unknown output": ("list", {"loss": {"level": "mse", "kind": "mse", "other": "mse"}}, LIST),
    "a missing output": ("list", {"loss": {"level": "mse", "kind": "mse"}}, LIST),
    "a layer in place of a key": ("dict", {"loss": {"level": "mse"}}, DICT),
    "too many losses": ("list", {"loss": ["mse"] * 4}, LIST),
    "too few metrics": ("list", {"loss": "mse", "metrics": ["mae"]}, LIST),
    "metrics of another output": ("list", {"loss": "mse", "metrics": {"other": "mae"}}, LIST),
    "too few weights": ("list", {"loss": LOSSES, "loss_weights": [1.0]}, LIST),
    "a number as weight": ("list", {"loss": LOSSES, "loss_weights": 2.0}, LIST),
    "no loss": ("list", {"loss": [None, None, None]}, LIST),
    "too few targets": ("list", {"loss": LOSSES}, [LEVEL, KIND]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_both_reject(case: str) -> None:
    form, options, y = ERRORS[case]
    for library in (keras, pyrnn):
        model = library.Model(*outputs(library, form))
        with pytest.raises((KeyError, TypeError, ValueError)):
            model.compile("sgd", **options)
            model.fit(X, y, verbose=0)
    for library in (keras, pyrnn):
        model = library.Model(*outputs(library, "list"))
        model.compile("sgd", LOSSES)
        with pytest.raises(ValueError, match="class_weight"):
            model.fit(X, LIST, class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize("case", ["metrics", "weights by name", "dict", "dict, some losses", "one trained output"])
def test_each_library_compiles_from_the_config_of_the_other(case: str) -> None:
    form, options, y, _ = CASES[case]
    theirs, ours = models(form, options)
    expected = theirs.evaluate(X, y, verbose=0, return_dict=True)
    keras_model, pyrnn_model = models(form, {"loss": "mse"})
    keras_model.set_weights(theirs.get_weights())
    pyrnn_model.set_weights(theirs.get_weights())
    keras_model.compile_from_config(ours.get_compile_config())
    pyrnn_model.compile_from_config(theirs.get_compile_config())
    for model in (keras_model, pyrnn_model):
        logs = model.evaluate(X, y, verbose=0, return_dict=True)
        assert list(logs) == list(expected)
        for name, value in expected.items():
            assert_close(np.float32(logs[name]), value, terms=TERMS, what=name)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_all_outputs_and_one_of_each(weighted: bool) -> None:
    made = []
    for library in (keras, pyrnn):
        model = library.Model(*outputs(library, "dict"))
        loss = [of_all(library), {"price": "mse", "path": "mae"}]
        factors = [2.0, {"price": 0.5, "path": 3.0}] if weighted else None
        model.compile(library.optimizers.Adam(0.01), loss, loss_weights=factors)
        made.append(model)
    theirs, ours = made
    ours.set_weights(theirs.get_weights())
    fit: dict[str, Any] = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    expected = theirs.fit(X, DICT, **fit).history
    history = ours.fit(X, DICT, **fit).history
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert_close(np.asarray(history[name], np.float32), np.asarray(values), terms=TERMS, what=name)
    for weight, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(weight, other, terms=TERMS)
