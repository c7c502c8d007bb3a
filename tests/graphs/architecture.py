"""What an architecture of the table is: a function of a library, Keras or pyrnn, that returns a model and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

ROWS, STEPS, FEATURES, WORDS = 6, 5, 3, 7
RNG = np.random.default_rng(17)
X = RNG.normal(size=(ROWS, STEPS, FEATURES)).astype("float32")
X[1, 3:] = X[4, 1:] = 0
SHORT = RNG.normal(size=(ROWS, 4, 2)).astype("float32")
STATIC = RNG.normal(size=(ROWS, 4)).astype("float32")
IDS = RNG.integers(1, WORDS, size=(ROWS, STEPS)).astype("float32")
IDS[0, 3:] = IDS[3, 2:] = 0
WEIGHT = RNG.uniform(0.5, 2, ROWS).astype("float32")


class Graph(NamedTuple):
    """A model with data.

    Args:
        model: the model.
        x: its inputs.
        y: its targets, or None for random ones in the shapes of the outputs.
        options: arguments of `compile`; by default a mean squared error of each output.
        fit: further arguments of `fit`.
    """

    model: Any
    x: Any
    y: Any = None
    options: Mapping[str, Any] = {"loss": "mse"}  # never changed
    fit: Mapping[str, Any] = {}  # never changed

    def targets(self) -> Any:
        """Return the targets."""
        return targets(self.model.outputs) if self.y is None else self.y

    def compile(self, library: Any) -> None:
        """Compile the model with plain gradient descent, so that weights show gradients.

        Args:
            library: Keras or pyrnn.
        """
        self.model.compile(library.optimizers.SGD(0.1), **self.options)


def targets(symbols: Sequence[Any]) -> Any:
    """Return random targets in the shapes of symbols: one array, or a list of them.

    Args:
        symbols: the outputs of a model.
    """
    random = np.random.default_rng(5)
    ys = [random.normal(size=(ROWS, *symbol.shape[1:])).astype("float32") for symbol in symbols]
    return ys[0] if len(ys) == 1 else ys


def mask_of(symbol: Any) -> dict[str, Any]:
    """Return the mask of a symbol as an argument of a recurrent layer that is called with initial states as well.

    Keras passes masks on to layers of one input only, and so drops them here; pyrnn passes them on to all.

    Args:
        symbol: the input of the layer.
    """
    mask = getattr(symbol, "_keras_mask", None)
    return {} if mask is None else {"mask": mask}


Architecture = Callable[[Any], Graph]
CASES: dict[str, Architecture] = {}


def architecture(make: Architecture) -> Architecture:
    """Enter a function in the table.

    Args:
        make: the function.
    """
    CASES[make.__name__] = make
    return make
