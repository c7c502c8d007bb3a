"""Validation and evaluation: the batches they use; without data they report no number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, utils

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3, 2)).astype(np.float32)
Y = RNG.normal(size=(12, 1)).astype(np.float32)


def model() -> pyrnn.Sequential:
    utils.set_random_seed(1)
    made = pyrnn.Sequential([layers.SimpleRNN(2, input_shape=(3, 2)), layers.Dense(1)])
    made.compile("adam", "mse")
    return made


class Loader:
    """An iterable of batches of 4."""

    def __iter__(self) -> Iterator[Any]:
        for start in (0, 4, 8):
            yield X[start : start + 4], Y[start : start + 4]


def test_validation_of_a_few_steps_looks_at_the_same_batches_each_time() -> None:
    made = model()
    made.optimizer.learning_rate = 0.0
    for data in ((X, Y), Loader()):
        history = made.fit(X, Y, validation_data=data, validation_steps=2, batch_size=4, epochs=2, verbose=0).history
        assert history["val_loss"][0] == history["val_loss"][1]


@pytest.mark.parametrize("copied", [True, False])
def test_a_validation_generator_that_ends_is_drawn_once_and_used_in_each_epoch(copied: bool) -> None:
    drawn = []

    def ending() -> Iterator[Any]:
        x, y = np.zeros_like(X[:4]), np.zeros_like(Y[:4])
        for start in (0, 4, 8):
            drawn.append(start)
            x[...], y[...] = X[start : start + 4], Y[start : start + 4]
            yield (x.copy(), y.copy()) if copied else (x, y)  # many generators fill the same arrays

    options: dict[str, Any] = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    expected = model().fit(X, Y, validation_data=(X, Y), **options).history
    history = model().fit(X, Y, validation_data=ending(), **options).history
    assert history == expected and drawn == [0, 4, 8]
    # Stopped in the middle of the first pass, it resumes from there.
    made, passes = model(), []

    class Stop(pyrnn.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            passes.append(batch)
            self.model.stop_evaluating = len(passes) == 1

    history = made.fit(X, Y, validation_data=ending(), callbacks=[Stop()], **options).history
    assert history["val_loss"][1:] == expected["val_loss"][1:] and passes == [0, 0, 1, 2, 0, 1, 2]
    assert drawn == [0, 4, 8] * 2


def test_validation_steps_of_a_generator_draw_on() -> None:
    starts = itertools.cycle([0, 4, 8])
    batches = ((X[s : s + 4], Y[s : s + 4]) for s in starts)
    made = model()
    made.optimizer.learning_rate = 0.0
    options: dict[str, Any] = {"epochs": 3, "verbose": 0}
    losses = made.fit(X, Y, validation_data=batches, validation_steps=1, **options).history["val_loss"]
    assert losses == [made.evaluate(X[s : s + 4], Y[s : s + 4], verbose=0) for s in (0, 4, 8)]
    with pytest.raises(ValueError, match=r"validation_data ended after 1 of the 2 .* leave validation_steps out"):
        made.fit(X, Y, validation_data=iter([(X, Y)] * 3), validation_steps=2, **options)


def test_a_validation_generator_without_an_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrnn.data.sources.SUSPICIOUS_LENGTH", 3)
    with pytest.warns(UserWarning, match="3 batches, which are all stored: .* pass validation_steps"):
        model().fit(X, Y, validation_data=iter([(X, Y)] * 4), verbose=0)


class Once:
    """An iterable whose second pass is empty."""

    def __init__(self) -> None:
        self.batches = iter([(X, Y)])

    def __iter__(self) -> Iterator[Any]:
        return self.batches


class Empty(utils.PyDataset):
    def __len__(self) -> int:
        return 0


EMPTY: dict[str, Any] = {
    "generator": lambda: (batch for batch in ()),
    "iterator": lambda: iter([]),
    "iterable": lambda: type("Nothing", (), {"__iter__": lambda self: iter(())})(),
    "loader": lambda: type("Nothing", (), {"__len__": lambda self: 0, "__iter__": lambda self: iter(())})(),
    "dataset": Empty,
    "arrays": lambda: X[:0],
    "steps": lambda: iter([]),
}


@pytest.mark.parametrize("form", EMPTY)
def test_nothing_that_saw_no_data_reports_a_number(form: str) -> None:
    made, message = model(), "at least one (batch|sample|window)|after 0 of"
    steps = {"steps": 2} if form == "steps" else {}
    with pytest.raises(ValueError, match=message):
        made.evaluate(EMPTY[form](), Y[:0] if form == "arrays" else None, verbose=0, **steps)
    with pytest.raises(ValueError, match=message):
        made.predict(EMPTY[form](), verbose=0, **steps)
    with pytest.raises(ValueError, match=message):
        made.fit(EMPTY[form](), Y[:0] if form == "arrays" else None, verbose=0,
                 **{f"{name}_per_epoch": value for name, value in steps.items()})  # fmt: skip
    validation = (X[:0], Y[:0]) if form == "arrays" else EMPTY[form]()
    saved: list[int] = []
    save = pyrnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(epoch))
    with pytest.raises(ValueError, match=f"validation_data.*({message})"):
        made.fit(X, Y, validation_data=validation, callbacks=[save], verbose=0,
                 **{f"validation_{name}": value for name, value in steps.items()})  # fmt: skip
    assert not saved


def test_validation_data_that_ended_after_the_first_epoch() -> None:
    with pytest.raises(ValueError, match="validation_data must yield at least one batch"):
        model().fit(X, Y, validation_data=Once(), epochs=2, verbose=0)
    ended = iter([(X, Y)])
    made = model()
    made.evaluate(ended, verbose=0)
    with pytest.raises(ValueError, match="x must yield at least one batch"):
        made.evaluate(ended, verbose=0)
