"""What is called on data meets a table of bad data: losses, metrics, layers, models, streams and the objects they use.

What holds no numbers is a TypeError, what is ragged a ValueError, in one sentence with the argument's name. Numbers of
a wrong shape are refused likewise or fit after all, by Keras's rules of broadcasting; nothing else may come of them.
After a refusal weights, states and the running values of metrics have the same bits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn import losses, metrics

NO_NUMBERS: dict[str, Any] = {
    "object": object(),
    "none": None,
    "dict": {},
    "text": "no such\nthing",
    "empty": "",
    "bytes": b"12",
    "function": lambda: None,
    "complex": np.ones((4, 3), np.complex64),
    "texts": np.array([["1", "2", "3"]] * 4),
    "objects": np.full((4, 3), None),
    "dates": np.zeros((4, 3), "M8[D]"),
}
RAGGED = [[1.0, 2.0], [3.0]]
NUMBERS: dict[str, Any] = {
    "number": 1.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "huge": 2**63,
    "true": True,
    "list": [],
    "no-axis": np.float32(2),
    "one-axis": np.ones(4),
    "no-row": np.ones((0, 3)),
    "no-column": np.ones((4, 0)),
    "fewer-rows": np.ones((3, 3)),
    "more-columns": np.ones((4, 5)),
    "three-axes": np.ones((4, 3, 2)),
    "three-axes-of-one": np.ones((4, 3, 1)),
    "halves": np.full((4, 3), 0.5, np.float16),
    "whole": np.ones((4, 3), np.int8),
    "flags": np.ones((4, 3), bool),
    "all-nan": np.full((4, 3), np.nan),
    "huge-whole": np.full((4, 3), 2**64 - 1, np.uint64),
}


def complaint(call: Callable[[], Any], name: str, value: Any, label: str, others: tuple[str, ...] = ()) -> str | None:
    """What is wrong with what `call` did with a bad value of the argument `name`; None if nothing is."""
    try:
        call()
    except (TypeError, ValueError) as error:
        words = str(error)
        if label in NO_NUMBERS and not isinstance(error, TypeError):
            return f"{name}={label}: {type(error).__name__}, not TypeError: {words}"
        if len(words.splitlines()) != 1 or not any(each in words for each in (name, *others)):
            return f"{name}={label}: {type(error).__name__}: {words}"
    except Exception as error:
        return f"{name}={label}: {type(error).__name__}: {error}"
    else:
        if label not in NUMBERS:
            return f"{name}={label} was taken"
    return None


BAD = {**NO_NUMBERS, "ragged": RAGGED, **NUMBERS}
PAIR = ("y_true", "y_pred")
TRIPLE = (*PAIR, "sample_weight")  # where two do not fit, either may be named
TRUE, PRED = np.eye(4, 3), np.full((4, 3), 1 / 3, np.float32)
CLASSES = np.array([0, 2, 1, 0])


def data_for(name: str) -> dict[str, Any]:
    """A right pair for a loss or metric of this name."""
    lowered = name.lower().replace("_", "")
    if lowered == "gaussiannll":
        return {"y_true": TRUE, "y_pred": np.ones((4, 6), np.float32)}
    is_sparse = "sparse" in lowered or lowered in ("circle", "categoricalgeneralizedcrossentropy")
    return {"y_true": CLASSES if is_sparse else TRUE, "y_pred": PRED}


FUNCTIONS = losses.FUNCTIONS | {
    name: function
    for name, function in vars(metrics).items()
    if inspect.isfunction(function) and {"y_true", "y_pred"} <= inspect.signature(function).parameters.keys()
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_losses_and_metrics(name: str, recwarn: pytest.WarningsRecorder) -> None:
    function, right = FUNCTIONS[name], data_for(name)
    function(**right)
    found = [
        complaint(lambda given={**right, argument: value}: function(**given), argument, value, label, PAIR)  # type: ignore[misc]
        for argument in PAIR
        for label, value in BAD.items()
    ]
    assert not any(found), "\n".join(filter(None, found))


@pytest.mark.parametrize("kind", losses.CLASSES, ids=lambda kind: kind.__name__)
def test_losses(kind: type[losses.Loss], recwarn: pytest.WarningsRecorder) -> None:
    loss, right = kind(), {**data_for(kind.__name__), "sample_weight": np.ones(4)}
    assert np.isfinite(loss(**right))
    found = [
        complaint(lambda given={**right, argument: value}: loss(**given), argument, value, label, TRIPLE)  # type: ignore[misc]
        for argument in right
        for label, value in BAD.items()
        if (argument, label) != ("sample_weight", "none")
    ]
    assert not any(found), "\n".join(filter(None, found))


NEEDED = {"IoU": (3, [0]), "MeanIoU": (3,), "OneHotIoU": (3, [0]), "OneHotMeanIoU": (3,)} | dict.fromkeys(
    ("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)
)
METRICS: dict[str, Callable[[], metrics.Metric]] = {
    kind.__name__: (lambda kind=kind: kind(*NEEDED.get(kind.__name__, ())))  # type: ignore[misc]
    for kind in metrics.CLASSES
} | {
    "AUC-multi-label": lambda: metrics.AUC(multi_label=True),
    "AUC-label-weights": lambda: metrics.AUC(label_weights=[1.0, 2.0, 3.0]),
    "Precision-top-k": lambda: metrics.Precision(top_k=2, class_id=1),
    "a function of one's own": lambda: metrics.MeanMetricWrapper(losses.FUNCTIONS["mean_squared_error"]),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_keep_their_state(name: str, recwarn: pytest.WarningsRecorder) -> None:
    metric = METRICS[name]()
    right: dict[str, Any] = {**data_for(name), "sample_weight": np.ones(4)}
    if isinstance(metric, metrics.Mean):
        right = {"values": PRED[:, 0], "sample_weight": np.ones(4)}
    elif "IoU" in name and "OneHot" not in name:
        right |= {"y_true": CLASSES % 2, "y_pred": CLASSES % 2}
    found = []

    def state() -> str:
        return repr(metric.get_state())

    for first in (False, True):  # also before the first batch
        if first:
            metric.update_state(**right)
        for argument in right:
            for label, value in BAD.items():
                if (argument, label) == ("sample_weight", "none"):
                    continue
                before, kept = state(), metric.get_state()
                given = {**right, argument: value}
                what = complaint(lambda given=given: metric.update_state(**given), argument, value, label, TRIPLE)  # type: ignore[misc]
                found.append(what)
                refused = True
                try:
                    metric.set_state(kept)
                    metric.update_state(**given)
                    refused = False
                except (TypeError, ValueError):
                    pass
                except Exception as error:
                    found.append(f"{argument}={label}: {type(error).__name__}: {error}")
                if refused and state() != before:
                    found.append(f"{argument}={label} changed the metric")
                metric.set_state(kept)
    assert not any(found), "\n".join(filter(None, found))
    metric.result()
