"""Epochs whose steps do not divide the data: the next one continues, a pass ends with its epoch, nothing is lost."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, utils
from pyrnn.data import as_batches

ROWS, SIZE = 10, 4
X = np.arange(ROWS, dtype=np.float32)[:, None] / ROWS
Y = 1 - X
PARTS = [slice(0, 4), slice(4, 8), slice(8, 10)]


class Dataset(utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[PARTS[index]], Y[PARTS[index]]


class Endless(Dataset):
    num_batches = None

    def __getitem__(self, index: int) -> Any:
        return super().__getitem__(index % 3)


class Loader:
    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        return iter(Dataset())


class Plain:
    """A loader without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter(Dataset())


FORMS: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": SIZE},
    "dataset": lambda: {"x": Dataset()},
    "dataset read by threads": lambda: {"x": Dataset(workers=3, max_queue_size=2)},
    "loader": lambda: {"x": Loader()},
    "loader without a length": lambda: {"x": Plain()},
}


def model() -> pyrnn.Sequential:
    utils.set_random_seed(0)
    made = pyrnn.Sequential([layers.Input((1,)), layers.Dense(2, activation="tanh"), layers.Dense(1)])
    made.compile("adam", "mse")
    return made


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("form", [*FORMS, "dataset without an end"])
def test_epochs_continue_until_a_pass_ends(form: str, steps: int) -> None:
    endless = form == "dataset without an end"
    data = {"x": Endless()} if endless else FORMS[form]()
    made, by_hand, seen = model(), model(), []
    count = pyrnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    made.fit(**data, steps_per_epoch=steps, epochs=3, shuffle=False, callbacks=[count], verbose=0)
    sizes = [steps] * 3 if endless or steps == 1 else {2: [2, 1, 2]}.get(steps, [3, 3, 3])
    assert seen == [number for size in sizes for number in range(size)]
    for part in itertools.islice(itertools.cycle(PARTS), sum(sizes)):
        by_hand.train_on_batch(X[part], Y[part])
    for first, other in zip(made.get_weights(), by_hand.get_weights(), strict=True):
        assert np.array_equal(first, other)


@pytest.mark.parametrize("form", FORMS)
def test_an_epoch_of_fewer_batches_warns(form: str) -> None:
    with pytest.warns(UserWarning, match="ended after 1 of the 2 batches of an epoch: the epoch ends there"):
        model().fit(**FORMS[form](), steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model().fit(**FORMS[form](), steps_per_epoch=3, epochs=3, shuffle=False, verbose=0)


def test_a_generator_that_ends_within_an_epoch_ends_the_training() -> None:
    seen: list[int] = []
    count = pyrnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    source = (Dataset()[index % 3] for index in range(5))
    with pytest.warns(UserWarning, match="the generator ended after 1 of the 2 batches of an epoch: nothing follows"):
        history = model().fit(source, steps_per_epoch=2, epochs=9, callbacks=[count], verbose=0)
    assert seen == history.epoch == [0, 1, 2]
    with pytest.raises(ValueError, match="ended after 0 of the 2 batches"):
        model().fit(source, steps_per_epoch=2, verbose=0)


def test_a_generator_that_ends_ends_the_training_after_its_epoch() -> None:
    with pytest.warns(UserWarning, match="the generator ended in epoch 1 of 3: training stops there"):
        history = model().fit(iter(Dataset()), epochs=3, verbose=0)
    assert history.epoch == [0]


@pytest.mark.parametrize("steps", [None, 2])
def test_batches_read_by_processes_are_the_same(steps: int | None) -> None:
    made = []
    for options in ({}, {"workers": 2, "use_multiprocessing": True, "max_queue_size": 2}):
        made.append(model())
        made[-1].fit(
            Endless(**options) if steps else Dataset(**options), steps_per_epoch=steps, shuffle=False, verbose=0
        )
    assert all(map(np.array_equal, made[0].get_weights(), made[1].get_weights()))


def test_a_generator_with_fewer_batches_than_steps_is_evaluated_with_a_warning() -> None:
    made = model()
    with pytest.warns(UserWarning, match="the generator ended after 3 of the 5 batches"):
        got = made.evaluate(iter(Dataset()), steps=5, verbose=0)
    assert got == pytest.approx(made.evaluate(X, Y, verbose=0))


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
@pytest.mark.parametrize("steps", [1, 2, 4, 5])
@pytest.mark.parametrize("form", ["arrays", "dataset", "dataset read by threads"])
def test_each_pass_has_every_sample_in_another_order(form: str, steps: int) -> None:
    utils.set_random_seed(3)
    data = FORMS[form]()
    batches = as_batches(**data, dtype="float32", steps=steps, shuffle=True, repeat=True)
    seen: list[bytes] = []
    while len(seen) < 60:
        for batch in batches.epoch():
            seen += [row.tobytes() for row in batch.x]
        batches.epoch_ended()
    passes = [seen[start : start + ROWS] for start in range(0, 60, ROWS)]
    assert all(len(set(each)) == ROWS for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_steps_give_the_batch_size_of_arrays() -> None:
    """As in Keras: the steps make one pass over the rows."""
    for steps, sizes in ((3, [4, 4, 2]), (5, [2] * 5), (10, [1] * 10), (1, [10])):
        batches = as_batches(X, Y, dtype="float32", steps=steps, repeat=True)
        for _ in range(2):
            assert [len(batch.x) for batch in batches.epoch()] == sizes
            batches.epoch_ended()
    batches = as_batches(X, Y, dtype="float32", steps=6, repeat=True)  # more than the five batches of two rows
    with pytest.warns(UserWarning, match="ended after 5 of the 6 batches"):
        assert [float(batch.x[0, 0]) * ROWS for batch in batches.epoch()] == pytest.approx([0, 2, 4, 6, 8])
    assert model().evaluate(X, Y, steps=6, verbose=0) == pytest.approx(model().evaluate(X, Y, verbose=0))
    assert model().predict(X, steps=6, verbose=0).shape == (ROWS, 1)


@pytest.mark.parametrize("form", FORMS)
def test_evaluation_uses_no_batch_twice(form: str) -> None:
    whole, some = model().evaluate(X, Y, verbose=0), model().evaluate(X[:8], Y[:8], verbose=0)
    made = model()
    assert made.evaluate(**FORMS[form](), steps=2, verbose=0) == pytest.approx(some)
    data = FORMS[form]()
    predicted = {name: value for name, value in data.items() if name != "y"}
    assert made.predict(**predicted, steps=2, verbose=0).shape == (8, 1)
    options: dict[str, Any] = {"epochs": 2, "batch_size": SIZE, "verbose": 0}
    validation = (data["x"], data["y"]) if "y" in data else data["x"]
    made.optimizer.learning_rate = 0.0
    history = made.fit(X, Y, validation_data=validation, validation_steps=2, **options).history
    assert history["val_loss"] == pytest.approx([some, some])
    if form == "loader without a length":  # which is known when it has ended
        assert made.evaluate(**FORMS[form](), steps=5, verbose=0) == pytest.approx(whole)
        assert made.predict(Plain(), steps=5, verbose=0).shape == (ROWS, 1)
        return
    message = "5 steps are more than the 3 batches of the data: each batch is used once"
    with pytest.warns(UserWarning, match=message):
        assert made.evaluate(**FORMS[form](), steps=5, verbose=0) == pytest.approx(whole)
    with pytest.warns(UserWarning, match=message):
        assert made.predict(**predicted, steps=5, verbose=0).shape == (ROWS, 1)
    with pytest.warns(UserWarning, match=message) as caught:
        history = made.fit(X, Y, validation_data=validation, validation_steps=5, **options).history
    assert history["val_loss"] == pytest.approx([whole, whole]) and len(caught) == 1


def test_validation_steps_without_a_batch_size_see_all_validation_data() -> None:
    made = model()
    made.optimizer.learning_rate = 0.0
    history = made.fit(X, Y, validation_data=(np.tile(X, (20, 1)), np.tile(Y, (20, 1))), validation_steps=3, verbose=0)
    assert history.history["val_loss"] == pytest.approx([made.evaluate(X, Y, verbose=0)])


def test_a_dataset_that_empties_itself() -> None:
    class Shrinking(Dataset):
        count = 3

        def __len__(self) -> int:
            return self.count

        def on_epoch_end(self) -> None:
            self.count = 0

    with pytest.raises(ValueError, match="the PyDataset must have at least one batch, got 0"):
        model().fit(Shrinking(), steps_per_epoch=3, epochs=2, verbose=0)
