"""Models that hypothesis draws, with every layer that C export takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pyrnn import Input, Model, Sequential, activations, layers

ELEMENTWISE = [name for name in activations.NAMES if name not in ("softmax", "log_softmax", "sparsemax", "glu")]
ROWS = ["softmax", "log_softmax", "sparsemax"]
UNITS = st.integers(1, 70).filter(lambda n: n < 24 or n in (32, 33, 64, 68))
SMALL = st.integers(1, 9)
CELLS = (layers.SimpleRNN, layers.LSTM, layers.GRU)


def _activation(draw: Any) -> str:
    # An exponential in a recurrence would overflow.
    bounded = ["tanh", "sigmoid", "hard_sigmoid", "softsign", "relu6", "hard_tanh", "softmax", "sparse_sigmoid"]
    return draw(st.sampled_from(["tanh", *bounded]))


def recurrent(draw: Any, sequences: bool, stream: bool) -> Any:
    """Draw a recurrent layer, bidirectional or of cells at times."""
    kind = draw(st.sampled_from(CELLS))
    options: dict[str, Any] = {"use_bias": draw(st.booleans()), "activation": _activation(draw)}
    if kind is not layers.SimpleRNN:
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid", "softmax"]))
    if kind is layers.GRU:
        options["reset_after"] = draw(st.booleans())
    units = draw(UNITS)
    shape = draw(st.sampled_from(["layer", "layer", "cells"] + ["both", "backwards"] * (not stream)))
    if shape == "cells":
        cells = [
            getattr(layers, f"{kind.__name__}Cell")(draw(SMALL), **options) for _ in range(draw(st.integers(1, 2)))
        ]
        return layers.RNN(cells, return_sequences=sequences)
    options["zero_output_for_mask"] = draw(st.booleans())
    if shape == "backwards":
        return kind(units, return_sequences=sequences, go_backwards=True, **options)
    layer = kind(units, return_sequences=sequences, **options)
    if shape == "both":
        return layers.Bidirectional(layer, merge_mode=draw(st.sampled_from(["concat", "sum", "mul", "ave"])))
    return layer


def per_step(draw: Any, masked: bool) -> Any:
    """Draw a layer that treats each step by itself."""
    choices: list[Any] = [
        lambda: layers.Dense(draw(UNITS), draw(st.sampled_from([None, "relu", "tanh", *ROWS])), draw(st.booleans())),
        lambda: layers.Activation(draw(st.sampled_from([*ELEMENTWISE, *ROWS]))),
        lambda: layers.ReLU(
            draw(st.sampled_from([None, 1.0, 6.0])),
            draw(st.sampled_from([0.0, 0.25])),
            draw(st.sampled_from([0.0, 0.5])),
        ),
        lambda: layers.LeakyReLU(draw(st.sampled_from([0.2, 0.3]))),
        lambda: layers.ELU(draw(st.sampled_from([1.0, 0.5]))),
        lambda: layers.PReLU("glorot_uniform", shared_axes=[1]),
        lambda: layers.BatchNormalization(center=draw(st.booleans()), scale=draw(st.booleans())),
        lambda: layers.LayerNormalization(center=draw(st.booleans()), scale=draw(st.booleans())),
        lambda: layers.Rescaling(0.5, draw(st.sampled_from([0.0, -0.25]))),
        lambda: layers.Normalization(mean=0.25, variance=2.0, invert=draw(st.booleans())),
        lambda: layers.Dropout(0.5),
        lambda: layers.TimeDistributed(layers.Dense(draw(SMALL), "tanh")),
        lambda: layers.TimeDistributed(layers.LayerNormalization()),
    ]
    if not masked:
        choices += [layers.Softmax, layers.RMSNormalization, layers.UnitNormalization]
        choices.append(lambda: layers.Conv1D(draw(UNITS), 1, activation=draw(st.sampled_from([None, "relu"]))))
        choices.append(
            lambda: layers.Conv1D(
                draw(UNITS), draw(st.integers(2, 4)), padding="causal", dilation_rate=draw(st.integers(1, 3))
            )
        )
    return draw(st.sampled_from(choices))()


def over_time(draw: Any, steps: int) -> Any:
    """Draw a layer of whole sequences that needs at most 4 steps; None if there are fewer."""
    if steps < 4:
        return None
    choices: list[Any] = [
        lambda: layers.Conv1D(
            draw(SMALL), draw(st.integers(1, 3)), strides=draw(st.integers(1, 2)),
            padding=draw(st.sampled_from(["valid", "same", "causal"])), activation="tanh", use_bias=draw(st.booleans()),
        ),
        lambda: layers.Conv1D(draw(SMALL), 2, dilation_rate=2, padding=draw(st.sampled_from(["valid", "same"]))),
        lambda: layers.MaxPooling1D(2, draw(st.integers(1, 2)), draw(st.sampled_from(["valid", "same"]))),
        lambda: layers.AveragePooling1D(3, draw(st.integers(1, 3)), draw(st.sampled_from(["valid", "same"]))),
        lambda: layers.ZeroPadding1D((1, 2)),
        lambda: layers.Cropping1D((1, 1)),
        lambda: layers.UpSampling1D(2),
        lambda: layers.Permute((2, 1)),
        lambda: layers.GroupNormalization(1),
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.LayerNormalization(axis=[1, 2]),
        lambda: layers.Softmax(axis=1),
        lambda: layers.TimeDistributed(layers.Reshape((-1, 1))),
    ]  # fmt: skip
    return draw(st.sampled_from(choices))()


def _randomized(model: Any, seed: int) -> Any:
    """The model with weights of a size that no activation saturates, and positive variances."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = generator.normal(0, 0.4 / np.sqrt(max(1, weight.shape[0])), weight.shape)
        if weight.name in ("gamma", "scale", "moving_variance"):
            values = 1 + np.abs(values)
        weight.assign(values.astype(np.float32))
    return model


@st.composite
def chains(draw: Any, stream: bool) -> tuple[Any, Any]:
    """Draw a chain and one sample of its input: (T, F), or ids (T,)."""
    seed, steps = draw(st.integers(0, 2**32 - 1)), draw(st.integers(5, 9))
    generator = np.random.default_rng(seed)
    start = draw(st.sampled_from(["numbers", "numbers", "masked", "ids", "masked ids"]))
    masked = start.startswith("masked")
    if start.endswith("ids"):
        first = [layers.Embedding(11, draw(SMALL), mask_zero=masked)]
        x, shape = generator.integers(0, 11, steps).astype(np.intc), (steps,)
    else:
        features = draw(st.integers(1, 18))
        x, shape = generator.standard_normal((steps, features)).astype(np.float32), (steps, features)
        first = []
        if masked:
            value = draw(st.sampled_from([0.0, -1.0]))
            first = [layers.Masking(value)]
            x[generator.random(steps) < 0.4] = value
    model = Sequential([Input(shape=shape, dtype="int32" if start.endswith("ids") else None), *first])
    is_sequence = True
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["recurrent", "recurrent", "per step", "over time"]))
        if kind == "recurrent" and is_sequence:
            is_sequence = draw(st.booleans())
            model.add(recurrent(draw, is_sequence, stream))
            masked = masked and is_sequence
        elif kind == "over time" and not stream and not masked and is_sequence:
            layer = over_time(draw, model.output_shape[1])
            if layer is not None:
                model.add(layer)
        elif is_sequence:
            model.add(per_step(draw, masked))
        else:
            model.add(layers.Dense(draw(UNITS), draw(st.sampled_from([None, "tanh", "softmax"]))))
    if not stream and is_sequence:
        end = draw(st.sampled_from([None, layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.Flatten]))
        if end is layers.GlobalAveragePooling1D or (end is not None and not masked):
            model.add(end())
    elif not is_sequence and draw(st.booleans()):
        model.add(layers.RepeatVector(3))
        model.add(layers.GRU(draw(SMALL), return_sequences=draw(st.booleans())))
    if draw(st.booleans()):
        model.add(layers.Dense(draw(st.integers(1, 5))))
    if not model.weights:
        model.add(layers.Dense(2))
    return _randomized(model, seed), x


def joined_masks(steps: int = 7) -> tuple[Any, Any]:
    """Return a model whose GRU counts the steps that one of two masks counts, and one sample of its input (T, 3)."""
    x = Input(shape=(steps, 3))
    y = layers.Add()([layers.Masking(0.0)(x), layers.Masking(1.0)(x)])
    sample = np.random.default_rng(5).standard_normal((steps, 3)).astype(np.float32)
    sample[1], sample[4] = 0.0, 1.0
    return _randomized(Model(x, layers.GRU(4)(y)), 5), sample


@st.composite
def graphs(draw: Any, stream: bool) -> tuple[Any, Any]:
    """Draw a model of two branches that a layer merges, and one sample of its input (T, F)."""
    seed, steps, features = draw(st.integers(0, 2**32 - 1)), draw(st.integers(5, 9)), draw(st.integers(1, 9))
    generator = np.random.default_rng(seed)
    x = Input(shape=(steps, features))
    masked = draw(st.booleans())
    first = layers.Masking()(x) if masked else x
    width, sequences = draw(SMALL), draw(st.booleans())
    shared = draw(st.booleans())
    branches = []
    layer = draw(st.sampled_from(CELLS))(width, return_sequences=sequences)
    for _ in range(draw(st.integers(2, 3))):
        y = first if shared else per_step(draw, masked)(first)
        branches.append((layer if shared else draw(st.sampled_from(CELLS))(width, return_sequences=sequences))(y))
    merges = [layers.Add, layers.Average, layers.Multiply, layers.Concatenate]
    merges += [] if masked and sequences else [layers.Maximum, layers.Minimum]
    merges += [layers.Subtract] if len(branches) == 2 else []
    y = draw(st.sampled_from(merges))()(branches)
    outputs = [layers.Dense(draw(SMALL))(y)]
    if draw(st.booleans()):
        outputs.append(branches[0])
    sample = generator.standard_normal((steps, features)).astype(np.float32)
    if masked:
        sample[generator.random(steps) < 0.4] = 0
    return _randomized(Model(x, outputs if len(outputs) > 1 else outputs[0]), seed), sample
