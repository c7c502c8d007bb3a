"""The activations of ONNX's recurrent operators, by their names here."""

from __future__ import annotations

from typing import NamedTuple


class OfCell(NamedTuple):
    """An activation of ONNX's RNN, LSTM and GRU.

    Args:
        name: Its name there.
        alpha: Its first number, None if it has none.
        beta: Its second number, None if it has none.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None


OF_CELLS: dict[str, OfCell] = {
    "linear": OfCell("Affine", 1.0, 0.0),
    "relu": OfCell("Relu"),
    "tanh": OfCell("Tanh"),
    "sigmoid": OfCell("Sigmoid"),
    "leaky_relu": OfCell("LeakyRelu", 0.2),
    "elu": OfCell("Elu", 1.0),
    "softplus": OfCell("Softplus"),
    "softsign": OfCell("Softsign"),
    "hard_sigmoid": OfCell("HardSigmoid", 1 / 6, 0.5),
    "sparse_sigmoid": OfCell("HardSigmoid", 0.5, 0.5),
}
