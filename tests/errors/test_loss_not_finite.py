"""A loss that is not finite: one warning says where and why; finite losses cost no check of the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, optimizers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 4, 2)).astype(np.float32), np.ones((50, 1), np.float32)


def changed(array: Any, value: float, *places: Any) -> Any:
    array = array.copy()
    for place in places:
        array[place] = value
    return array


BROKEN = changed(X, np.nan, (41, 2, 1), 42)
WORDS = r"x holds values that are not finite, 9 of 400, the first is nan at \[41, 2, 1\]; fill such values"
STOP = r"; callbacks\.TerminateOnNaN\(\) stops training at such a loss$"


def model(loss: Any = "mse", optimizer: Any = "sgd", **options: Any) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(0)
    made = pyrnn.Sequential([layers.Input((4, 2)), layers.LSTM(3), layers.Dense(1, **options)])
    made.compile(optimizer, loss)
    return made


def parts(x: Any) -> Any:
    return iter([(X[:20], Y[:20]), (x[20:45], Y[20:45]), (x[45:], Y[45:])])


def logarithm(y_true: Any, y_pred: Any) -> Any:
    return np.log(-1 - y_pred[:, 0] ** 2), y_pred


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "x": (lambda: model().fit(BROKEN, Y, epochs=3, verbose=0), f"is nan in epoch 1, batch [12]: {WORDS}.*{STOP}"),
    "x in order": (
        lambda: model().fit(BROKEN, Y, batch_size=10, shuffle=False, verbose=0),
        f"the loss is nan in epoch 1, batch 5: {WORDS}",
    ),
    "x by steps": (
        lambda: model().fit(BROKEN, Y, batch_size=10, shuffle=False, steps_per_epoch=1, epochs=5, verbose=0),
        f"the loss is nan in epoch 5, batch 1: {WORDS}",
    ),
    "x of a generator": (
        lambda: model().fit(parts(BROKEN), verbose=0),
        r"in epoch 1, batch 2: x holds .*, 9 of 200, the first is nan at \[21, 2, 1\]",
    ),
    "infinite x": (
        lambda: model().fit(changed(X, -np.inf, (3, 0, 0)), Y, epochs=3, verbose=0),
        r"x holds .*, 1 of 400, the first is -inf at \[3, 0, 0\]",
    ),
    "x that float32 cannot hold": (
        lambda: model().fit(changed(X.astype(float), 1e300, (3, 0, 0)), Y, epochs=3, verbose=0),
        r"the first is inf at \[3, 0, 0\]",
    ),
    "y": (
        lambda: model().fit(X, changed(Y, np.inf, 7), verbose=0),
        r"the loss is inf in epoch 1.* y holds values that are not finite, 1 of 50, the first is inf at \[7, 0\]",
    ),
    "sample_weight": (
        lambda: model().fit(X, Y, sample_weight=changed(np.ones(50), np.nan, 7), verbose=0),
        r"sample_weight holds .* the first is nan at \[7\]",
    ),
    "steps too large": (
        lambda: model(optimizer=optimizers.SGD(1e30)).fit(X, Y, epochs=3, verbose=0),
        r"the numbers have grown too large \(x up to 3.*, weights up to .*e\+.*\); .* clipnorm=1.0 in the optimizer",
    ),
    "targets too large": (lambda: model().fit(X, Y * 1e30, verbose=0), r"too large \(.* y up to 1e\+30.* clipnorm"),
    "the loss": (
        lambda: model(logarithm).fit(X, Y, verbose=0),
        "'logarithm' is not finite for predictions from .*: look at its logarithms",
    ),
    "validation": (
        lambda: model().fit(X, Y, validation_data=(BROKEN, Y), epochs=3, verbose=0),
        r"the loss is nan in the validation of epoch 1: x of validation_data holds .* at \[41, 2, 1\]; .* samples out$",
    ),
    "evaluate": (lambda: model().evaluate(BROKEN, Y, verbose=0), f"loss is nan: {WORDS} or leave their samples out$"),
    "train_on_batch": (lambda: model().train_on_batch(BROKEN, Y), f"the loss is nan: {WORDS}.*{STOP}"),
    "test_on_batch": (lambda: model().test_on_batch(BROKEN, Y), f"the loss is nan: {WORDS}"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own
@pytest.mark.parametrize("case", CASES)
def test_one_warning_says_where_and_why(case: str) -> None:
    call, message = CASES[case]
    with pytest.warns(UserWarning, match=message) as caught:
        call()
    ours = [each for each in caught if each.category is UserWarning]
    assert len(ours) == 1 and ours[0].filename == __file__
    assert len(str(ours[0].message).splitlines()) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_that_are_not_finite() -> None:
    made = model()
    made.set_weights([np.full_like(weight, np.nan) for weight in made.get_weights()])
    with pytest.warns(UserWarning, match=r"weight '\S+/kernel' holds numbers that are not finite, because steps were"):
        made.fit(X, Y, verbose=0)


def test_each_fit_warns_once_and_batches_once_for_all() -> None:
    made = model()
    for _ in range(2):
        with pytest.warns(UserWarning, match="the loss is nan") as caught:
            made.fit(BROKEN, Y, epochs=2, verbose=0)
        assert len(caught) == 1
    made = model()
    with pytest.warns(UserWarning, match="the loss is nan"):
        made.train_on_batch(BROKEN, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.train_on_batch(BROKEN, Y)


def test_a_warning_that_is_an_error_leaves_the_weights() -> None:
    made = model()
    before = made.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="the loss is nan"):
            made.train_on_batch(BROKEN, Y)
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))


def test_nothing_looks_at_the_data_while_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*arguments: Any) -> None:
        raise AssertionError("a pass over the data")

    made = model()
    monkeypatch.setattr(np, "isfinite", looked)
    made.fit(X, Y, validation_data=(X, Y), verbose=0)
    made.evaluate(X, Y, verbose=0)
