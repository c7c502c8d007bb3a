"""Models are freed with their last reference: programs that train thousands of them do not wait for the collector."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import callbacks, layers

X = np.random.default_rng(0).normal(size=(12, 5, 2)).astype(np.float32)
Y = X[:, -1, :1]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Nothing but the last reference frees an object here."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def made() -> Any:
    model = pyrnn.Sequential([layers.Input((5, 2)), layers.LSTM(3, dropout=0.1), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def fitted(**options: Any) -> Any:
    model = made()
    model.fit(X, Y, epochs=2, verbose=0, **options)
    return model


def with_callbacks() -> Any:
    stopping = callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    return fitted(validation_split=0.25, callbacks=[stopping, callbacks.ReduceLROnPlateau()])


def used() -> Any:
    model = fitted()
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model.stream().step(X[:1, 0])
    model.optimizer.learning_rate.assign(0.1)
    return model


def scheduled() -> Any:
    model = made()
    model.compile(pyrnn.optimizers.Adam(pyrnn.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "mse")
    model.fit(X, Y, verbose=0)
    return model


def interrupted() -> Any:
    model = made()

    def fail(epoch: int, logs: Any) -> None:
        raise RuntimeError("as a pruner does")

    with pytest.raises(RuntimeError):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_end=fail)])
    return model


WAYS: dict[str, Callable[[], Any]] = {
    "compiled": made,
    "fitted": fitted,
    "callbacks": with_callbacks,
    "used": used,
    "schedule": scheduled,
    "interrupted": interrupted,
    "unpickled": lambda: pickle.loads(pickle.dumps(fitted())),
    "copied": lambda: copy.deepcopy(fitted()),
    "cloned": lambda: pyrnn.models.clone_model(fitted()),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_last_reference_frees_a_model(way: str) -> None:
    model = WAYS[way]()
    held = [weakref.ref(each) for each in (model, model.optimizer, *model.layers) if each is not None]
    del model
    assert [reference() for reference in held] == [None] * len(held)


def test_a_history_has_its_model_and_a_model_its_history() -> None:
    """Whichever of the two the caller keeps, the other one is found from it."""
    history = fitted().history
    assert history.model.history is history and history.epoch == [0, 1]
    model = fitted()
    again = model.history
    assert again.model is model and again.epoch == [0, 1] and set(again.history) == {"loss", "mae"}
    assert model.history is again
    again.history["mine"] = [1]
    del again
    assert model.history.history["mine"] == [1] and model.history.params["epochs"] == 2


def test_fields_of_a_custom_history_stay() -> None:
    class Longer(callbacks.History):
        def on_train_end(self, logs: Any = None) -> None:
            self.ended = dict(logs or {})

    model = fitted(callbacks=[Longer()])
    assert type(model.history) is Longer and model.history.ended.keys() == {"loss", "mae"}


@pytest.mark.parametrize("way", [lambda pair: pickle.loads(pickle.dumps(pair)), copy.deepcopy])
@pytest.mark.parametrize("history_first", [False, True])
def test_copies_of_both_belong_together(way: Callable[[Any], Any], history_first: bool) -> None:
    model = fitted()
    pair = [model.history, model] if history_first else [model, model.history]
    twins = way(pair)
    model, history = reversed(twins) if history_first else twins
    assert history.model is model and model.history is history
    assert history.history == pair[1 - history_first].history


def test_functions_of_users_are_freed() -> None:
    """A class made in a function holds what it closes over, such as data."""

    class Data:
        """Stands for a large array."""

    def train() -> weakref.ref[Data]:
        data = Data()

        class Doubled(layers.Layer):
            def call(self, x: Any) -> Any:
                return x * (2 if data else 1)

        model = pyrnn.Sequential([layers.Input((5, 2)), Doubled(), layers.LSTM(2), layers.Dense(1)])
        model.compile("sgd", lambda y, y_pred: pyrnn.ops.mean((y - y_pred) ** (2 if data else 1)))
        model.fit(X, Y, verbose=0)
        return weakref.ref(data)

    data = train()
    gc.collect()  # a class is a cycle
    assert data() is None


@pytest.mark.parametrize("free_memory", [True, False])
def test_clear_session_frees_models_with_a_graph(free_memory: bool) -> None:
    x, layer = layers.Input((5, 2)), layers.LSTM(3)
    model = pyrnn.Model(x, layer(x))
    reference = weakref.ref(layer)
    del model, layer, x
    pyrnn.utils.clear_session(free_memory=free_memory)
    assert (reference() is None) == free_memory
