"""A model of Keras and the same one of pyrnn: outputs, files both ways and training must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from tolerance import assert_close

import pyrnn


def check_twins(
    theirs: Any, ours: Any, x: Any, custom_objects: dict[Any, dict[str, Any]], folder: Path, terms: int, epochs: int = 2
) -> None:
    """`custom_objects`: for either package what its `load_model` needs; `terms`: for the bound on rounding."""
    expected = theirs.predict(x, verbose=0)  # which builds PReLU
    ours.set_weights(theirs.get_weights())
    assert ours.output_shape == theirs.output_shape
    assert_close(ours.predict(x, verbose=0), expected, terms=terms)
    theirs.save(folder / "k.keras")
    read = pyrnn.load_model(folder / "k.keras", custom_objects=custom_objects[pyrnn])
    assert_close(read.predict(x, verbose=0), expected, terms=terms)
    ours.save(folder / "p.keras")
    again = keras.models.load_model(folder / "p.keras", custom_objects=custom_objects[keras])
    assert_close(again.predict(x, verbose=0), expected, terms=terms)
    targets = np.random.default_rng(7).normal(size=expected.shape).astype("float32")
    histories = []
    for model in (theirs, ours):
        model.compile("sgd", "mse")
        fitted = model.fit(x, targets, epochs=epochs, batch_size=3, shuffle=False, verbose=0)
        histories.append(np.float32(fitted.history["loss"]))
    assert_close(histories[1], histories[0], terms=terms)
    for got, want in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(got, want, terms=terms)
