"""Custom layers written once, for real Keras and for pyrnn: each function takes the library and returns a class."""

from __future__ import annotations

from typing import Any


def merge(k: Any) -> Any:
    class Merge(k.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[0][-1],), name="scale", initializer="ones")
            self.shift = self.add_weight(shape=(input_shape[1][-1],), name="shift", initializer="zeros")

        def call(self, inputs: Any) -> Any:
            a, b = inputs
            return k.ops.tanh(a * self.scale) + b + self.shift

    return Merge


def by_key(k: Any) -> Any:
    class ByKey(k.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = k.layers.Dense(3)

        def build(self, input_shape: Any) -> None:
            self.dense.build(input_shape["a"])

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs["a"]) * self.dense(inputs["b"])

    return ByKey


def by_name(k: Any) -> Any:
    class ByName(k.layers.Layer):
        def build(self, query_shape: Any, value_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(query_shape[-1], value_shape[-1]), name="kernel")

        def call(self, query: Any, value: Any, factor: float = 1.0) -> Any:
            scores = k.ops.matmul(k.ops.matmul(query, self.kernel), k.ops.transpose(value, (0, 2, 1)))
            return k.ops.matmul(k.ops.softmax(scores * factor, axis=-1), value)

    return ByName


def several_outputs(k: Any) -> Any:
    class SeveralOutputs(k.layers.Layer):
        def call(self, x: Any) -> Any:
            return {"mean": k.ops.mean(x, axis=1), "rest": (k.ops.max(x, axis=1), [x * 2.0])}

    return SeveralOutputs


def masked_mean(k: Any) -> Any:
    class MaskedMean(k.layers.Layer):
        def call(self, inputs: Any, mask: Any = None) -> Any:
            total = 0.0
            for x, each in zip(inputs, mask, strict=True):
                steps = k.ops.expand_dims(k.ops.cast(each, "float32"), -1)
                total = total + k.ops.sum(x * steps, axis=1) / (k.ops.sum(steps, axis=1) + 1.0)
            return total

        def compute_mask(self, inputs: Any, mask: Any = None) -> None:
            return None

    return MaskedMean


def masks_by_name(k: Any) -> Any:
    class MasksByName(k.layers.Layer):
        def call(self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None) -> Any:
            if query_mask is not None:
                query = query * k.ops.expand_dims(k.ops.cast(query_mask, "float32"), -1)
            if value_mask is not None:
                value = value * k.ops.expand_dims(k.ops.cast(value_mask, "float32"), -1)
            return k.ops.concatenate([query, value], axis=-1)

        def compute_mask(self, query: Any, mask: Any = None) -> Any:
            return mask

    return MasksByName


def block(k: Any) -> Any:
    """A custom layer that holds layers, a model, and another custom layer that it calls twice."""
    merge_class = merge(k)

    class Block(k.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.positions = k.layers.Embedding(4, 3)
            self.lstm = k.layers.LSTM(3, return_sequences=True, return_state=True)
            self.net = k.Sequential([k.layers.Dense(3, activation="tanh"), k.layers.Dense(3)])
            self.merge = merge_class()

        def build(self, input_shape: Any) -> None:
            self.positions.build((4,))
            self.lstm.build(input_shape)
            self.net.build(input_shape)
            self.merge.build([input_shape, input_shape])

        def call(self, x: Any) -> Any:
            placed = x + self.positions(k.ops.arange(0, 4))
            start = k.ops.zeros_like(x[:, 0])
            y, h, _ = self.lstm(placed, initial_state=[start + 0.5, start])
            merged = self.merge([self.net(y), x])
            return self.merge([merged, k.ops.expand_dims(h, 1)])

    return Block


def minimal_cell(k: Any) -> Any:
    """Keras's own example of a custom cell."""

    class MinimalCell(k.layers.Layer):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")

        def call(self, inputs: Any, states: Any) -> Any:
            output = k.ops.tanh(k.ops.matmul(inputs, self.kernel) + k.ops.matmul(states[0], self.recurrent_kernel))
            return output, [output]

        def get_config(self) -> Any:
            return {**super().get_config(), "units": self.units}

    return MinimalCell


def two_state_cell(k: Any) -> Any:
    """Two states of different sizes, an output of a third size, a learned start, and layers inside."""

    class TwoStateCell(k.layers.Layer):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.state_size = [units, 2]
            self.output_size = units + 1
            self.dense = k.layers.Dense(units, activation="tanh")
            self.gate = k.layers.Dense(2, activation="sigmoid")

        def build(self, input_shape: Any) -> None:
            self.dense.build((input_shape[0], input_shape[-1] + self.units))
            self.gate.build((input_shape[0], self.units))
            self.start = self.add_weight(shape=(self.units,), name="start", initializer="ones")

        def get_initial_state(self, batch_size: Any = None) -> Any:
            return [k.ops.ones((batch_size, 1)) * self.start, k.ops.zeros((batch_size, 2))]

        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            h, c = states
            h = self.dense(k.ops.concatenate([inputs, h], axis=-1))
            c = c * self.gate(h) + h[:, :2]
            return k.ops.concatenate([h, c[:, :1]], axis=-1), [h, c]

        def get_config(self) -> Any:
            return {**super().get_config(), "units": self.units}

    return TwoStateCell


def own_dense(k: Any) -> Any:
    """A Dense whose call uses that of the base class twice, and its kernel."""

    class OwnDense(k.layers.Dense):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)

        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2 + super().call(-inputs) * k.ops.mean(self.kernel)

    return OwnDense


def own_lstm(k: Any) -> Any:
    """An LSTM whose call doubles the output."""

    class OwnLSTM(k.layers.LSTM):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)

        def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
            return 2 * super().call(sequences, mask=mask, training=training)

    return OwnLSTM


def wrapper(k: Any) -> Any:
    """Adds the input to the output of the layer, also in its configuration."""

    class Residual(k.layers.Wrapper):
        def __init__(self, layer: Any = None, **kwargs: Any) -> None:
            super().__init__(layer or k.layers.Dense(3), **kwargs)

        def call(self, inputs: Any) -> Any:
            return inputs + k.ops.cast(self.layer(inputs), self.compute_dtype)

    return Residual
