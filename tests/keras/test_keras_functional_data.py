"""Forms of x, y and sample_weight of models with several inputs and outputs: the histories are Keras's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import pyrnn

RNG = np.random.default_rng(4)
N = 12
A, B = (RNG.normal(size=(N, size)).astype(np.float32) for size in (3, 2))
Y, Z = (RNG.normal(size=(N, 1)).astype(np.float32) for _ in range(2))
WEIGHT = np.linspace(0.5, 2, N, dtype=np.float32)


def model(library: Any, inputs: str, outputs: str, loss: Any = "mse") -> Any:
    layers = library.layers
    a, b = library.Input((3,), name="a"), library.Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    up, down = (layers.Dense(1, name=name, kernel_initializer="ones")(joined) for name in ("up", "down"))
    made = library.Model(
        {"list": [a, b], "dict": {"k": a, "l": b}, "nested": [a, {"l": b}], "one": a}[inputs],
        {"list": [up, down], "dict": {"p": up, "q": down}, "nested": [up, {"q": down}], "one": up}[outputs],
    )
    made.compile("sgd", loss)
    return made


CASES: dict[str, tuple[str, str, Any, Any, Any]] = {
    "lists": ("list", "list", [A, B], [Y, Z], None),
    "tuples": ("list", "list", (A, B), (Y, Z), None),
    "names": ("list", "list", {"b": B, "a": A}, {"down": Z, "up": Y}, None),
    "other keys": ("list", "list", {"b": B, "a": A, "z": Z}, [Y, Z], None),
    "keys": ("dict", "dict", {"l": B, "k": A}, {"q": Z, "p": Y}, None),
    "lists for dicts": ("dict", "dict", [A, B], [Y, Z], None),
    "nested": ("nested", "nested", [A, {"l": B}], [Y, {"q": Z}], None),
    "flat for nested": ("nested", "nested", [A, B], [Y, Z], None),
    "names of nested outputs": ("list", "nested", [A, B], {"up": Y, "down": Z}, None),
    "one output in a list": ("list", "one", [A, B], [Y], None),
    "weights": ("list", "list", [A, B], [Y, Z], [WEIGHT, WEIGHT[::-1].copy()]),
    "one array of weights": ("list", "list", [A, B], [Y, Z], WEIGHT),
    "one column of weights": ("list", "list", [A, B], [Y, Z], WEIGHT[:, None]),
    "weights of one output": ("list", "list", [A, B], [Y, Z], [WEIGHT, None]),
    "weights by key": ("dict", "dict", [A, B], {"p": Y, "q": Z}, {"p": WEIGHT, "q": WEIGHT}),
}


@pytest.mark.parametrize("case", CASES)
def test_histories(case: str) -> None:
    inputs, outputs, x, y, weight = CASES[case]
    histories, predictions = [], []
    for library in (pyrnn, keras):
        made = model(library, inputs, outputs)
        fit = made.fit(
            x, y, sample_weight=weight, epochs=3, batch_size=5, shuffle=False, validation_split=0.25, verbose=0
        )
        histories.append(fit.history)
        predictions.append(made.predict(x, batch_size=5, verbose=0))
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, err_msg=name)
    ours, theirs = (keras.tree.flatten_with_path(each) for each in predictions)
    assert [path for path, _ in ours] == [path for path, _ in theirs]
    for (path, array), (_, other) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-4, atol=1e-5, err_msg=str(path))


@pytest.mark.parametrize("y", [[Y], Y, [Y, Z], [Y, None]], ids=["one in a list", "one", "both", "None"])
def test_outputs_without_a_loss(y: Any) -> None:
    losses = [
        model(library, "list", "list", ["mse", None]).evaluate([A, B], y, verbose=0) for library in (pyrnn, keras)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


MISTAKES: dict[str, tuple[str, Any, Any]] = {
    "missing key": ("list", {"a": A}, [Y, Z]),
    "too few": ("list", [A], [Y, Z]),
    "too many": ("list", [A, B, B], [Y, Z]),
    "one array": ("list", A, [Y, Z]),
    "rows": ("list", [A, B[:4]], [Y, Z]),
    "None": ("list", [A, None], [Y, Z]),
    "one target": ("list", [A, B], Y),
    "three targets": ("list", [A, B], [Y, Z, Z]),
    "a missing target": ("list", [A, B], {"up": Y}),
    "an unknown target": ("list", [A, B], {"up": Y, "down": Z, "left": Z}),
    "swapped": ("dict", {"k": B, "l": A}, [Y, Z]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_both_reject(mistake: str) -> None:
    inputs, x, y = MISTAKES[mistake]
    for library in (pyrnn, keras):
        with pytest.raises((TypeError, ValueError, KeyError)):
            model(library, inputs, "list").evaluate(x, y, verbose=0)
