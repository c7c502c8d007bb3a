"""The training loop compared with a hand-written one; data in every form; progress output."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers
from pyrnn.callbacks import LambdaCallback
from pyrnn.data import PyDataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 6, 3)).astype(np.float32)
Y = RNG.normal(size=(22, 1)).astype(np.float32)
WEIGHTS = RNG.uniform(size=22).astype(np.float32)


def model(loss: str = "mse", **options: Any) -> pyrnn.Sequential:
    pyrnn.utils.set_random_seed(3)
    made = pyrnn.Sequential([layers.SimpleRNN(4, input_shape=(6, 3)), layers.Dense(1)])
    made.compile("adam", loss, **options)
    return made


def batches(size: int = 5) -> Iterator[tuple[Any, Any]]:
    while True:
        for start in range(0, 20, size):
            yield X[start : start + size], Y[start : start + size]


class Numbered(PyDataset):
    """22 samples in batches of 5, which count the beginnings and ends of epochs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.told: list[str] = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return X[index * 5 : index * 5 + 5], Y[index * 5 : index * 5 + 5]

    def on_epoch_begin(self) -> None:
        self.told.append("begin")

    def on_epoch_end(self) -> None:
        self.told.append("end")


def equal(first: pyrnn.Sequential, other: pyrnn.Sequential) -> None:
    for a, b in zip(first.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_fit_is_a_loop_of_train_on_batch() -> None:
    by_hand, fitted = model(), model()
    history = fitted.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    for epoch in range(2):
        losses = [by_hand.train_on_batch(X[s : s + 8], Y[s : s + 8]) for s in (0, 8, 16)]
        # The last batch has 6 samples and weighs as much.
        assert_close(np.float32(history["loss"][epoch]), np.average(losses, weights=[8, 8, 6]), 22)
    equal(by_hand, fitted)


@pytest.mark.parametrize("form", ["float64", "integers", "strided", "read-only", "lists"])
def test_arrays_of_every_kind_simply_work(form: str) -> None:
    whole = np.round(X * 4)
    forms = {
        "float64": lambda: whole.astype(np.float64),
        "integers": lambda: whole.astype(np.int64),
        "strided": lambda: np.asfortranarray(np.repeat(whole, 2, axis=1))[:, ::2],
        "read-only": lambda: np.frombuffer(whole.tobytes(), np.float32).reshape(whole.shape),
        "lists": lambda: whole.tolist(),
    }[form]()
    plain, other = model(), model()
    plain.fit(whole, Y, shuffle=False, verbose=0)
    other.fit(forms, Y, shuffle=False, verbose=0)
    equal(plain, other)
    assert np.array_equal(plain.predict(whole, verbose=0), other.predict(forms, verbose=0))


def test_generator_and_dataset_equal_arrays() -> None:
    arrays, generator, dataset, old = model(), model(), model(), model()
    source = Numbered()
    arrays.fit(X[:20], Y[:20], batch_size=5, epochs=2, shuffle=False, verbose=0)
    generator.fit(batches(), steps_per_epoch=4, epochs=2, verbose=0)
    old.fit_generator(batches(), steps_per_epoch=4, epochs=2, verbose=0)
    dataset.fit(source, steps_per_epoch=5, epochs=2, shuffle=False, verbose=0)
    equal(arrays, generator)
    equal(arrays, old)
    whole = model()
    whole.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    equal(whole, dataset)
    assert source.told == ["begin", "end"] * 2
    assert arrays.evaluate(X[:20], Y[:20], verbose=0) == arrays.evaluate_generator(batches(20), steps=1)
    assert np.array_equal(arrays.predict(X, verbose=0), arrays.predict_generator(iter([X[:9], X[9:]]), steps=2))
    assert np.array_equal(arrays.predict(X, verbose=0), arrays.predict_on_batch(X))


def test_workers_prefetch_in_order() -> None:
    alone, helped = model(), model()
    alone.fit(Numbered(), epochs=2, shuffle=False, verbose=0)
    helped.fit(Numbered(workers=3, max_queue_size=2), epochs=2, shuffle=False, verbose=0)
    equal(alone, helped)

    class Broken(Numbered):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            if index == 3:
                raise RuntimeError("the disk is gone")
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="the disk is gone"):
        model().fit(Broken(workers=2), verbose=0)


def test_shuffling_depends_on_the_seed_alone() -> None:
    first, two = model(), model()
    for each in (first, two):
        pyrnn.utils.set_random_seed(7)
        each.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    equal(first, two)
    in_order = model()
    in_order.fit(X, Y, batch_size=4, epochs=3, verbose=0, shuffle=False)
    assert not np.array_equal(in_order.get_weights()[0], first.get_weights()[0])


def test_validation_split_takes_the_last_samples_before_shuffling() -> None:
    split, explicit = model(metrics=["mae"]), model(metrics=["mae"])
    first = split.fit(X, Y, validation_split=0.25, epochs=2, shuffle=False, verbose=0).history
    two = explicit.fit(X[:16], Y[:16], validation_data=(X[16:], Y[16:]), epochs=2, shuffle=False, verbose=0).history
    assert first == two and list(first) == ["loss", "mae", "val_loss", "val_mae"]
    assert_close(np.float32(first["val_mae"][-1]), np.abs(split.predict(X[16:], verbose=0) - Y[16:]).mean(), 6)


def test_validation_frequency_and_epochs() -> None:
    seen: list[int] = []
    note = LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    options: dict[str, Any] = {"validation_data": (X, Y, WEIGHTS), "callbacks": [note], "verbose": 0}
    history = model().fit(X, Y, initial_epoch=2, epochs=6, validation_freq=2, **options)
    assert seen == history.epoch == [2, 3, 4, 5]
    assert len(history.history["loss"]) == 4 and len(history.history["val_loss"]) == 2
    chosen = model().fit(X, Y, epochs=4, validation_freq=[1, 4], **options)
    assert len(chosen.history["val_loss"]) == 2


def test_sample_and_class_weights() -> None:
    labels = (Y > 0).astype(int)
    by_class, by_sample = model(), model()
    by_class.fit(X, labels, class_weight={0: 0.5, 1: 2.0}, shuffle=False, verbose=0)
    by_sample.fit(X, labels, sample_weight=np.where(labels[:, 0], 2.0, 0.5), shuffle=False, verbose=0)
    equal(by_class, by_sample)
    nothing = model()
    before = nothing.get_weights()
    nothing.train_on_batch(X, Y, sample_weight=np.zeros(22))
    assert all(np.array_equal(a, b) for a, b in zip(before, nothing.get_weights(), strict=True))


def test_steps_per_epoch_over_arrays_walk_on() -> None:
    pieces, whole = model(), model()
    pieces.fit(X[:20], Y[:20], batch_size=5, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0)
    whole.fit(X[:20], Y[:20], batch_size=5, epochs=1, shuffle=False, verbose=0)
    equal(pieces, whole)


def test_a_step_leaves_no_array_behind() -> None:
    """Arrays between layers are freed after a step, so that the next step can reuse their memory."""
    model = pyrnn.Sequential(
        [
            layers.Input((12, 3)), layers.Conv1D(4, 3, activation="relu"), layers.LSTM(5, return_sequences=True),
            layers.LayerNormalization(), layers.BatchNormalization(), layers.Activation("tanh"), layers.PReLU(),
            layers.MaxPooling1D(2), layers.Dense(6), layers.Dropout(0.5), layers.DepthwiseConv1D(2), layers.Softmax(),
            layers.Bidirectional(layers.GRU(4)), layers.UnitNormalization(), layers.Dense(1),
        ]
    )  # fmt: skip
    model.compile("adam", "mse")
    handed_on: list[weakref.ref[Any]] = []

    def watched(forward: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            handed_on.append(weakref.ref(y))
            return y

        return run

    for layer in model.layers:
        layer.forward = watched(layer.forward)
    model.train_on_batch(np.ones((2, 12, 3), np.float32), np.ones((2, 1), np.float32))
    assert len(handed_on) == len(model.layers)
    assert [layer.name for layer, y in zip(model.layers, handed_on, strict=True) if y() is not None] == []


def test_results_as_list_dict_or_number() -> None:
    plain, rich = model(), model(metrics=["mae", "rmse"])
    assert isinstance(plain.train_on_batch(X, Y), float)
    assert len(rich.test_on_batch(X, Y)) == 3
    assert list(rich.evaluate(X, Y, return_dict=True, verbose=0)) == ["loss", "mae", "rmse"]


def test_a_weighted_loss_scales_loss_and_step() -> None:
    first, half = (pyrnn.Sequential([layers.Dense(1, input_shape=(3,), kernel_initializer="ones")]) for _ in range(2))
    first.compile(pyrnn.optimizers.SGD(0.1), "mse")
    half.compile(pyrnn.optimizers.SGD(0.1), "mse", loss_weights=0.5)
    before = first.get_weights()
    assert half.train_on_batch(X[:, 0], Y) == pytest.approx(first.train_on_batch(X[:, 0], Y) / 2)
    for start, a, b in zip(before, first.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_allclose(b - start, (a - start) / 2, rtol=1e-4)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "all held back": ({"x": X, "y": Y, "validation_split": 0.99}, "must leave both parts at least one sample"),
    "more than all": ({"x": X, "y": Y, "validation_split": 1.0}, r"validation_split must .*1\b"),
    "split of a generator": ({"x": batches(), "validation_split": 0.5, "steps_per_epoch": 1}, "needs arrays"),
    "other steps": ({"x": X, "y": np.ones((22, 2, 1))}, "y must|shape"),
    "verbose": ({"x": X, "y": Y, "verbose": 3}, "verbose must be one of .*, got 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_on(case: str) -> None:
    arguments, message = REFUSED[case]
    made = model()
    before = made.get_weights()
    with pytest.raises(ValueError, match=message):
        made.fit(**{"verbose": 0, **arguments})
    for a, b in zip(before, made.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_what_a_model_holds_before_it_is_compiled() -> None:
    made = pyrnn.Sequential([layers.Dense(1, input_shape=(3,))])
    assert not made.compiled and made.optimizer is None and made.loss is None and made.get_compile_config() is None
    assert made.metrics == [] and made.metrics_names == []
    made.compile_from_config({"loss": "mse"})  # without an optimizer there is nothing to compile
    assert not made.compiled
    made.compile_from_config({"optimizer": "sgd", "loss": "mse", "metrics": ["mae"]})
    assert made.compiled and made.loss is not None and made.metrics_names == ["loss", "mae"]
    with pytest.raises(ValueError, match="x must yield at least one batch, got none"):
        made.predict(iter([]), verbose=0)
    with pytest.raises(ValueError, match="leave out workers=2 and use_multiprocessing=False"):
        made.fit_generator(batches(), steps_per_epoch=1, workers=2)


def test_interrupted_training_leaves_a_usable_model() -> None:
    def stop(batch: int, logs: Any) -> None:
        raise KeyboardInterrupt

    interrupted = model()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X, Y, callbacks=[LambdaCallback(on_train_batch_end=stop)], verbose=0)
    once = model()
    pyrnn.utils.set_random_seed(3)
    assert np.isfinite(interrupted.fit(X, Y, verbose=0).history["loss"]).all()
    assert np.isfinite(once.predict(X, verbose=0)).all()


def test_progress_is_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    model(metrics=["mae"]).fit(X, Y, batch_size=11, epochs=2, validation_split=0.5, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2" and len(lines) == 4
    for line in lines[1::2]:
        for part in ("1/1 ━", "/step", " - loss: ", " - mae: ", " - val_loss: ", " - val_mae: "):
            assert part in line
        assert "\r" not in line and "\x1b" not in line
    model().fit(X, Y, epochs=1, verbose=2)
    assert capsys.readouterr().out.splitlines()[1].startswith("1/1 - ")
    model().fit(X, Y, verbose=0)
    assert capsys.readouterr().out == ""
