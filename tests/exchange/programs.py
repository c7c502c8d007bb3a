"""Runs ONNX files in onnxruntime and OpenVINO, and makes models to export."""

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st

import pyrnn
from pyrnn import layers

HAS_OPENVINO = find_spec("openvino") is not None
# Of the largest output, as docs/guide/onnx.md says.
TOLERANCE = 1e-6


def run_onnxruntime(path, feeds):
    """Return the outputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, feeds), strict=True))


def run_openvino(path, feeds):
    """Return the outputs by name. The ports of OpenVINO have further names, of the nodes before the outputs."""
    import onnx
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled({name: np.asarray(values) for name, values in feeds.items()})
    names = [output.name for output in onnx.load(path).graph.output]
    return {name: results[port] for name, port in zip(names, compiled.outputs, strict=True)}


def assert_near(actual, expected):
    """Check that the error is at most 1e-6 of the largest output, or of 1 if all are smaller."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= TOLERANCE * max(np.abs(expected).max(initial=0), 1.0)


def randomized(model, seed=0):
    """Set all weights to random numbers, so that none is 0 or 1; variances stay positive."""
    rng = np.random.default_rng(seed)

    def numbers(weight):
        if "variance" in weight.name:
            return rng.uniform(0.5, 1.5, weight.shape)
        rows = weight.shape[-2] if len(weight.shape) > 1 and weight.name != "bias" else 4
        return rng.normal(float("gamma" in weight.name), 0.7 / np.sqrt(rows), weight.shape)

    model.set_weights([numbers(weight) for weight in model.weights])
    return model


ACTIVATIONS = (
    "linear", "relu", "tanh", "sigmoid", "leaky_relu", "relu6", "elu", "selu", "softplus", "softsign", "hard_sigmoid",
    "hard_tanh", "softmax", "silu", "gelu", "hard_silu", "mish",
)  # fmt: skip


@st.composite
def recurrent(draw, return_sequences, is_full, direction=True, kinds=("SimpleRNN", "LSTM", "GRU", "GRU1")):
    """A recurrent layer with drawn options; OpenVINO has three activations of cells."""
    kind = draw(st.sampled_from(kinds))
    options = {
        "units": draw(st.integers(1, 17)),
        "use_bias": draw(st.booleans()),
        "return_sequences": return_sequences,
        "activation": draw(st.sampled_from(("tanh", "sigmoid"))),
        "go_backwards": direction and draw(st.booleans()),
    }
    if kind != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(("sigmoid", "hard_sigmoid" if is_full else "tanh")))
    if kind == "GRU1":
        kind, options["reset_after"] = "GRU", False
    return getattr(layers, kind)(**options)


@st.composite
def stacks(draw, is_full, may_mask):
    """Layers that read x (B, T, F), and whether a mask is made.

    OpenVINO computes both directions of an RNN node with lengths wrongly.
    """
    masks = may_mask and draw(st.booleans())
    kinds = ("SimpleRNN", "LSTM", "GRU", "GRU1") if is_full or not masks else ("LSTM", "GRU", "GRU1")
    stack = [layers.Masking()] if masks else []
    count = draw(st.integers(1, 3))
    for number in range(count):
        sequences = number < count - 1 or draw(st.booleans())
        if draw(st.integers(0, 3)) == 0:
            merge = draw(st.sampled_from(("concat", "sum", "mul", "ave")))
            stack.append(layers.Bidirectional(draw(recurrent(sequences, is_full, False, kinds)), merge_mode=merge))
        else:
            stack.append(draw(recurrent(sequences, is_full)))
        if sequences and not masks and draw(st.integers(0, 3)) == 0:
            stack.append(draw(between()))
    activation = draw(st.sampled_from(ACTIVATIONS))
    stack.append(layers.Dense(draw(st.integers(2, 5)), activation=activation))
    return stack, masks


@st.composite
def between(draw):
    """A layer between sequences."""
    channels = draw(st.integers(1, 5))
    size, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    return draw(
        st.sampled_from(
            (
                layers.Conv1D(channels, size, padding="causal", dilation_rate=dilation, activation="relu"),
                layers.Conv1D(channels, size, padding="same", dilation_rate=dilation),
                layers.LayerNormalization(epsilon=0.1),  # a small one would amplify rounding errors
                layers.BatchNormalization(),
                layers.TimeDistributed(layers.Dense(channels, "tanh")),
                layers.SpatialDropout1D(0.5),
                layers.MaxPooling1D(2, 1, padding="same"),
                layers.UpSampling1D(2),
                layers.Rescaling(0.5, 1.0),
            )
        )
    )


@st.composite
def models(draw, is_full, may_mask=True):
    """A model of x (B, T, F), with whether it has a mask and the number of features; `is_full`: for onnxruntime."""
    features = draw(st.integers(1, 6))
    stack, masks = draw(stacks(is_full, may_mask))
    model = pyrnn.Sequential([layers.Input((None, features)), *stack])
    return SimpleNamespace(model=randomized(model, draw(st.integers(0, 99))), masks=masks, features=features)


def inputs(features, batch, time, masks, seed):
    """Numbers (B, T, F), with masked steps anywhere if there is a mask."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, time, features)).astype(np.float32)
    if masks:
        x[rng.random((batch, time)) < 0.4] = 0
    return x
