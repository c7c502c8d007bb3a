"""`RNN` of custom cells: outputs, states, training and files are those of Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import custom_classes
import keras
import numpy as np
import pytest
from tolerance import assert_close
from twins import check_twins

import pyrnn

RNG = np.random.default_rng(4)
X = RNG.normal(size=(6, 5, 3)).astype("float32")
X[0, 3:] = X[1, :2] = X[2] = 0
TERMS = 600
CELLS = {"minimal": custom_classes.minimal_cell, "two states": custom_classes.two_state_cell}
Make = Callable[[Any, Any], Any]


def chain(*options: dict[str, Any], masked: bool = False) -> Make:
    def make(k: Any, cls: Any) -> Any:
        model = k.Sequential([k.Input((5, 3))])
        if masked:
            model.add(k.layers.Masking())
        for each in options:
            model.add(k.layers.RNN(cls(4), **each))
        model.add(k.layers.Dense(1))
        return model

    return make


def stack(k: Any, cls: Any) -> Any:
    cells = [k.layers.LSTMCell(3), cls(4), k.layers.GRUCell(2)]
    return k.Sequential([k.Input((5, 3)), k.layers.Masking(), k.layers.RNN(cells), k.layers.Dense(1)])


def stacked_cells(k: Any, cls: Any) -> Any:
    cell = k.layers.StackedRNNCells([cls(4), cls(3)])
    return k.Sequential([k.Input((5, 3)), k.layers.RNN(cell, return_sequences=True), k.layers.Dense(1)])


def both_directions(k: Any, cls: Any) -> Any:
    layer = k.layers.RNN(cls(4), return_sequences=True)
    backward = k.layers.RNN(cls(4), return_sequences=True, go_backwards=True)
    both = k.layers.Bidirectional(layer, backward_layer=backward)
    return k.Sequential([k.Input((5, 3)), k.layers.Masking(), both, k.layers.LSTM(2), k.layers.Dense(1)])


def states(k: Any, cls: Any) -> Any:
    x = k.Input((5, 3))
    y, *last = k.layers.RNN(cls(4), return_state=True)(x)
    again = k.layers.RNN(cls(4), return_sequences=True)(k.layers.Dense(3)(x), initial_state=last)
    return k.Model(x, k.layers.Dense(1)(k.layers.Concatenate()([k.layers.GRU(2)(again), y])))


MODELS: dict[str, Make] = {
    "plain": chain({}),
    "sequences": chain({"return_sequences": True}, {}),
    "backwards": chain({"go_backwards": True, "return_sequences": True}, {"unroll": True}),
    "masked": chain({"return_sequences": True}, {}, masked=True),
    "masked zeros": chain({"return_sequences": True, "zero_output_for_mask": True}, masked=True),
    "masked backwards": chain({"go_backwards": True}, masked=True),
    "a stack": stack,
    "StackedRNNCells": stacked_cells,
    "both directions": both_directions,
    "states": states,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_training_and_files_are_those_of_keras(cell: str, model: str, tmp_path: Path) -> None:
    classes = {k: CELLS[cell](k) for k in (keras, pyrnn)}
    with keras.saving.custom_object_scope({classes[keras].__name__: classes[keras]}):  # Bidirectional needs it
        theirs = MODELS[model](keras, classes[keras])
    ours = MODELS[model](pyrnn, classes[pyrnn])
    scopes = {k: {cls.__name__: cls} for k, cls in classes.items()}
    check_twins(theirs, ours, X, scopes, tmp_path, TERMS)


@pytest.mark.parametrize("cell", CELLS)
def test_a_stateful_layer_continues_as_in_keras(cell: str) -> None:
    models = []
    for k in (keras, pyrnn):
        layer = k.layers.RNN(CELLS[cell](k)(4), stateful=True, return_sequences=True)
        models.append(k.Sequential([k.Input(batch_shape=(6, 5, 3)), layer]))
    theirs, ours = models
    ours.set_weights([weight.numpy() for weight in theirs.layers[0].cell.weights])
    for _ in range(2):
        for _ in range(2):
            expected = theirs.predict(X, verbose=0, batch_size=6)
            assert_close(ours.predict(X, verbose=0, batch_size=6), expected, terms=TERMS)
        theirs.layers[0].reset_state()
        ours.layers[0].reset_state()
