"""Graph models to compare: an encoder-decoder with attention, and a forecaster of a series with static features.

The models of pyrnn and Keras are made by the same function. Weights are drawn once, in Keras's order and layout, and
every library receives them.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from workloads import EPSILON, LEARNING_RATE

Array = NDArray[Any]
BATCH, STEPS = 64, 50


class Trained:
    """What the models have in common: the loop of `compare` asks for it."""

    kind: ClassVar[str] = "train"
    batch: ClassVar[int] = BATCH
    calls: ClassVar[int] = 1
    steps: ClassVar[int] = STEPS

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the weights, in Keras's order."""
        raise NotImplementedError

    @property
    def weight_bytes(self) -> int:
        """Bytes of float32 weights."""
        return sum(4 * math.prod(shape) for shape in self.shapes())


@dataclass(frozen=True)
class EncoderDecoder(Trained):
    """Two LSTMs of 128 units; the decoder starts from the encoder's states and attends to its outputs."""

    name: ClassVar[str] = f"encoder-decoder with attention LSTM 128 train B{BATCH} T{STEPS} F64"
    units: int = 128
    features: int = 64
    outputs: int = 8

    @property
    def flops(self) -> float:
        """Multiplications and additions of the matrix products, forward and backward, except for the gradient of x."""
        rows = 2.0 * BATCH * STEPS
        lstm = 4 * self.units * (2 * (self.features + self.units) + self.units)
        attention = 6 * STEPS * self.units
        dense = 3 * 2 * self.units * self.outputs
        return rows * (2 * lstm + attention + dense)

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the weights: encoder, decoder, dense."""
        lstm = [(self.features, 4 * self.units), (self.units, 4 * self.units), (4 * self.units,)]
        return [*lstm, *lstm, (2 * self.units, self.outputs), (self.outputs,)]

    def data(self) -> tuple[list[Array], Array]:
        """Return x, two sequences (B, T, F), and y (B, T, outputs)."""
        rng = np.random.default_rng(1)
        x = [rng.normal(size=(BATCH, STEPS, self.features)).astype(np.float32) for _ in range(2)]
        return x, rng.normal(size=(BATCH, STEPS, self.outputs)).astype(np.float32)

    def keras_model(self, k: Any, **options: Any) -> Any:
        """Return the model of pyrnn or Keras."""
        source, target = k.Input((STEPS, self.features), **options), k.Input((STEPS, self.features), **options)
        encoder = k.layers.LSTM(self.units, return_sequences=True, return_state=True, **options)
        encoded, h, c = encoder(source)
        decoded = k.layers.LSTM(self.units, return_sequences=True, **options)(target, initial_state=[h, c])
        context = k.layers.Attention(**options)([decoded, encoded])
        joined = k.layers.Concatenate(**options)([decoded, context])
        return k.Model([source, target], k.layers.Dense(self.outputs, **options)(joined))

    def torch_module(self, torch: Any, weights: list[Array]) -> Any:
        """Return the module of PyTorch; its forward takes the two sequences."""
        units, features = self.units, self.features

        class Module(torch.nn.Module):  # type: ignore[misc]  # a module passed as an argument
            def __init__(self) -> None:
                super().__init__()
                self.encoder = torch_lstm(torch, features, units, weights[:3])
                self.decoder = torch_lstm(torch, features, units, weights[3:6])
                self.dense = torch_linear(torch, weights[6:8])

            def forward(self, source: Any, target: Any) -> Any:
                encoded, states = self.encoder(source)
                decoded, _ = self.decoder(target, states)
                context = torch.nn.functional.scaled_dot_product_attention(decoded, encoded, encoded, scale=1.0)
                return self.dense(torch.cat([decoded, context], dim=-1))

        return Module()


@dataclass(frozen=True)
class TwoInputs(Trained):
    """A series and static features: LSTM 64 and Dense 16, joined."""

    name: ClassVar[str] = f"two inputs LSTM 64 + Dense 16 train B{BATCH} T{STEPS} F16+8"
    units: int = 64
    features: int = 16
    static: int = 8
    dense: int = 16

    @property
    def flops(self) -> float:
        """Multiplications and additions of the matrix products, forward and backward, except for the gradient of x."""
        return 2.0 * BATCH * STEPS * 4 * self.units * (2 * (self.features + self.units) + self.units)

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the weights: those of the static features first, as in Keras."""
        lstm = [(self.features, 4 * self.units), (self.units, 4 * self.units), (4 * self.units,)]
        return [*lstm, (self.static, self.dense), (self.dense,), (self.units + self.dense, 1), (1,)]

    def data(self) -> tuple[list[Array], Array]:
        """Return x, a series (B, T, F) and features (B, 8), and y (B, 1)."""
        rng = np.random.default_rng(1)
        x = [rng.normal(size=(BATCH, STEPS, self.features)), rng.normal(size=(BATCH, self.static))]
        return [each.astype(np.float32) for each in x], rng.normal(size=(BATCH, 1)).astype(np.float32)

    def keras_model(self, k: Any, **options: Any) -> Any:
        """Return the model of pyrnn or Keras."""
        series, static = k.Input((STEPS, self.features), **options), k.Input((self.static,), **options)
        h = k.layers.LSTM(self.units, **options)(series)
        s = k.layers.Dense(self.dense, activation="relu", **options)(static)
        joined = k.layers.Concatenate(**options)([h, s])
        return k.Model([series, static], k.layers.Dense(1, **options)(joined))

    def torch_module(self, torch: Any, weights: list[Array]) -> Any:
        """Return the module of PyTorch; its forward takes the series and the static features."""
        units, features = self.units, self.features

        class Module(torch.nn.Module):  # type: ignore[misc]  # a module passed as an argument
            def __init__(self) -> None:
                super().__init__()
                self.lstm = torch_lstm(torch, features, units, weights[:3])
                self.static = torch_linear(torch, weights[3:5])
                self.dense = torch_linear(torch, weights[5:7])

            def forward(self, series: Any, static: Any) -> Any:
                h, _ = self.lstm(series)
                return self.dense(torch.cat([h[:, -1], torch.relu(self.static(static))], dim=-1))

        return Module()


Graph = EncoderDecoder | TwoInputs
GRAPHS: list[Graph] = [EncoderDecoder(), TwoInputs()]


def drawn_weights(work: Graph) -> list[Array]:
    """Return float64 weights of the size that initializers give them."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) * (1 / np.sqrt(sum(shape)) if len(shape) > 1 else 0.1) for shape in work.shapes()]


def truth(work: Graph) -> Array:
    """Return the float64 output of pyrnn's NumPy reference."""
    import pyrnn

    pyrnn.backend.use_backend("reference")
    try:
        model = work.keras_model(pyrnn, dtype="float64")
        model.set_weights(drawn_weights(work))
        return np.asarray(model.predict_on_batch([x.astype(np.float64) for x in work.data()[0]]))
    finally:
        pyrnn.backend.use_backend("core")


def torch_lstm(torch: Any, features: int, units: int, weights: list[Array]) -> Any:
    """Return an LSTM of PyTorch with Keras's weights."""
    layer = torch.nn.LSTM(features, units, batch_first=True)
    kernel, recurrent, bias = weights
    for parameter, value in zip(layer.parameters(), [kernel.T, recurrent.T, bias, np.zeros_like(bias)], strict=True):
        parameter.data = torch.tensor(np.ascontiguousarray(value), dtype=torch.float32)
    return layer


def torch_linear(torch: Any, weights: list[Array]) -> Any:
    """Return a Linear of PyTorch with Keras's weights."""
    layer = torch.nn.Linear(*weights[0].shape)
    layer.weight.data = torch.tensor(weights[0].T.copy(), dtype=torch.float32)
    layer.bias.data = torch.tensor(weights[1], dtype=torch.float32)
    return layer


class PyrnnGraph:
    """This library."""

    def __init__(self, work: Graph, threads: int) -> None:
        import pyrnn

        pyrnn.backend.set_num_threads(threads)
        self._start(work, pyrnn)

    def _start(self, work: Graph, k: Any) -> None:
        self.model = work.keras_model(k)
        self.model.compile(k.optimizers.Adam(LEARNING_RATE), "mse")
        self.model.set_weights(drawn_weights(work))

    def train(self, x: list[Array], y: Array) -> float:
        return float(np.asarray(self.model.train_on_batch(x, y)))

    def predict(self, x: list[Array]) -> Array:
        return np.asarray(self.model.predict_on_batch(x))


class KerasGraph(PyrnnGraph):
    """Keras 3 on the backend that KERAS_BACKEND names."""

    def __init__(self, work: Graph, threads: int) -> None:
        if os.environ["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        elif os.environ["KERAS_BACKEND"] == "torch":
            import torch

            torch.set_num_threads(threads)
        import keras

        self._start(work, keras)


class TorchGraph:
    """PyTorch's own LSTM and attention, eager."""

    def __init__(self, work: Graph, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.module = work.torch_module(torch, drawn_weights(work))
        self.adam = torch.optim.Adam(self.module.parameters(), lr=LEARNING_RATE, eps=EPSILON)

    def train(self, x: list[Array], y: Array) -> float:
        torch = self.torch
        self.adam.zero_grad(set_to_none=True)
        y_pred = self.module(*map(torch.from_numpy, x))
        loss = torch.nn.functional.mse_loss(y_pred, torch.from_numpy(y))
        loss.backward()
        self.adam.step()
        return float(loss)

    def predict(self, x: list[Array]) -> Array:
        with self.torch.inference_mode():
            return np.asarray(self.module(*map(self.torch.from_numpy, x)))


SIDES: dict[str, Any] = {
    "pyrnn": PyrnnGraph,
    "PyTorch": TorchGraph,
    "Keras/TensorFlow": KerasGraph,
    "Keras/JAX": KerasGraph,
    "Keras/PyTorch": KerasGraph,
}
