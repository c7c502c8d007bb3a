"""`pyrnn.export.to_onnx`: onnxruntime and OpenVINO compute what `predict` does."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pyrnn
from exchange import programs
from pyrnn import cli, layers, ops

RUNNERS = [
    pytest.param(
        getattr(programs, f"run_{name}"),
        marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is an optional package"),
        id=name,
    )
    for name in ("onnxruntime", "openvino")
]
needs_onnx = pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is an optional package")
pytestmark = needs_onnx
CASES = dict(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


def check(model, arrays, run, path, stateful=False):
    """Compare all outputs of a file with those of `predict`."""
    pyrnn.export.to_onnx(model, path, stateful=stateful)
    compare(model, arrays, run, path)


def compare(model, arrays, run, path):
    arrays = arrays if isinstance(arrays, list) else [arrays]
    expected = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
    expected = expected if isinstance(expected, list) else [expected]
    names = [symbol.name for symbol in model.inputs]
    actual = list(run(path, dict(zip(names, arrays, strict=True))).values())
    for y, z in zip(expected, actual, strict=True):
        programs.assert_near(z, y)


@pytest.mark.parametrize("run", RUNNERS)
@settings(max_examples=10, **CASES)
@given(data=st.data())
def test_generated_models(run, tmp_path_factory, data):
    """Batch and time of a model vary after the export; masks may be anywhere."""
    generated(run, tmp_path_factory.mktemp("onnx"), data)


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNNERS)
@settings(max_examples=300, **CASES)
@given(data=st.data())
def test_three_hundred_models(run, tmp_path_factory, data):
    """As `test_generated_models`, with 300 of them."""
    generated(run, tmp_path_factory.mktemp("onnx"), data)


def generated(run, folder, data):
    case = data.draw(programs.models(run is programs.run_onnxruntime))
    path = os.fspath(folder / "model.onnx")
    pyrnn.export.to_onnx(case.model, path)
    for seed in range(2):
        batch, time = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 12)))
        compare(case.model, programs.inputs(case.features, batch, time, case.masks, seed), run, path)


LAYERS = {
    **{f"activation {name}": lambda name=name: [layers.Activation(name)] for name in (
        *programs.ACTIVATIONS, "celu", "exponential", "hard_shrink", "log_sigmoid", "log_softmax", "soft_shrink",
        "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink",
    )},
    "glu": lambda: [layers.Activation("glu")],
    "ReLU": lambda: [layers.ReLU(1.5, 0.1, 0.2)],
    "plain ReLU": lambda: [layers.ReLU()],
    "LeakyReLU": lambda: [layers.LeakyReLU(0.3)],
    "ELU": lambda: [layers.ELU(0.7)],
    "PReLU": lambda: [layers.PReLU(shared_axes=[1])],
    "Softmax": lambda: [layers.Softmax(axis=1)],
    "activation layer": lambda: [layers.Dense(3, activation=layers.LeakyReLU(0.1))],
    "no bias": lambda: [layers.Dense(3, use_bias=False)],
    "EinsumDense": lambda: [layers.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d")],
    "Rescaling": lambda: [layers.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5)],
    "GroupNormalization": lambda: [layers.GroupNormalization(2)],
    "LayerNormalization": lambda: [layers.LayerNormalization(center=False)],
    "RMSNormalization": lambda: [layers.RMSNormalization()],
    "UnitNormalization": lambda: [layers.UnitNormalization()],
    "Normalization": lambda: [layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4])],
    "inverse Normalization": lambda: [layers.Normalization(mean=1.0, variance=2.0, invert=True)],
    "BatchNormalization": lambda: [layers.BatchNormalization()],
    "Flatten": lambda: [layers.Flatten(), layers.Dense(2)],
    "Reshape": lambda: [layers.Reshape((-1, 2)), layers.Dense(2)],
    "fixed Reshape": lambda: [layers.Reshape((4, 6))],
    "Permute": lambda: [layers.Permute((2, 1))],
    "RepeatVector": lambda: [layers.LSTM(3), layers.RepeatVector(4), layers.GRU(2, return_sequences=True)],
    "ZeroPadding1D": lambda: [layers.ZeroPadding1D((2, 1))],
    "Cropping1D": lambda: [layers.Cropping1D((1, 2))],
    "UpSampling1D": lambda: [layers.UpSampling1D(2)],
    "Conv1D groups": lambda: [layers.Conv1D(4, 3, groups=2, strides=2, activation="softmax")],
    "Conv1D same": lambda: [layers.Conv1D(4, 3, strides=2, padding="same")],
    "Conv1D even": lambda: [layers.Conv1D(4, 4, padding="same", use_bias=False)],
    "Conv1D first": lambda: [layers.Conv1D(4, 3, data_format="channels_first", activation="tanh")],
    "DepthwiseConv1D": lambda: [layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same")],
    "SeparableConv1D": lambda: [layers.SeparableConv1D(5, 3, depth_multiplier=2, strides=2, activation="relu")],
    "MaxPooling1D": lambda: [layers.MaxPooling1D(3, 2)],
    "MaxPooling1D same": lambda: [layers.MaxPooling1D(2, padding="same")],
    "AveragePooling1D": lambda: [layers.AveragePooling1D(3, 2, padding="same")],
    "GlobalAveragePooling1D": lambda: [layers.GlobalAveragePooling1D()],
    "masked GlobalAveragePooling1D": lambda: [layers.Masking(), layers.GlobalAveragePooling1D(keepdims=True)],
    "GlobalMaxPooling1D": lambda: [layers.GlobalMaxPooling1D()],
    "TimeDistributed": lambda: [layers.Reshape((-1, 2, 2)), layers.TimeDistributed(layers.Flatten())],
    "RNN of cells": lambda: [layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)],
    "backwards RNN": lambda: [layers.Masking(), layers.RNN(layers.GRUCell(3), go_backwards=True)],
    "zero output": lambda: [layers.Masking(), layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)],
    "masked backwards": lambda: [layers.Masking(), layers.GRU(3, return_sequences=True, go_backwards=True)],
    "two cells": lambda: [
        layers.Bidirectional(
            layers.LSTM(3, return_sequences=True),
            backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
        )
    ],
    "turned": lambda: [
        layers.Bidirectional(layers.LSTM(3, go_backwards=True, return_sequences=True),
                             backward_layer=layers.LSTM(3, return_sequences=True))
    ],
    "activations per direction": lambda: [
        layers.Bidirectional(
            layers.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid"),
            backward_layer=layers.LSTM(3, activation="tanh", recurrent_activation="sigmoid", go_backwards=True),
        )
    ],
    "nested": lambda: [pyrnn.Sequential([layers.GRU(3, return_sequences=True), layers.Dropout(0.5)]), layers.LSTM(2)],
}  # fmt: skip
# OpenVINO has three activations of cells.
NOT_IN_OPENVINO = {"activations per direction"}


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, run, tmp_path):
    if run is programs.run_openvino and name in NOT_IN_OPENVINO:
        pytest.skip("OpenVINO does not take this graph")
    model = programs.randomized(pyrnn.Sequential([layers.Input((6, 4)), *LAYERS[name]()]))
    check(model, programs.inputs(4, 3, 6, "ask" in name or name in ("zero output", "backwards RNN"), 1), run,
          os.fspath(tmp_path / "m.onnx"))  # fmt: skip


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("activation", ["linear", "leaky_relu", "elu", "softplus", "softsign", "sparse_sigmoid"])
def test_activations_of_cells(activation, run, tmp_path):
    """All that ONNX has; OpenVINO has fewer, and says so."""
    stack = [layers.LSTM(3, activation, "hard_sigmoid", return_sequences=True), layers.SimpleRNN(3, activation)]
    model = programs.randomized(pyrnn.Sequential([layers.Input((None, 4)), *stack]))
    path = os.fspath(tmp_path / "m.onnx")
    pyrnn.export.to_onnx(model, path)
    if run is programs.run_openvino:
        with pytest.raises(RuntimeError):
            run(path, {model.inputs[0].name: programs.inputs(4, 2, 5, False, 0)})
    else:
        compare(model, programs.inputs(4, 2, 5, False, 0), run, path)


def merging_models():
    """Graph models, by what is special about them."""
    a, b = layers.Input((None, 4), name="a"), layers.Input((None, 4), name="b")
    y, h, c = layers.LSTM(4, return_state=True, return_sequences=True)(a)
    yield "states", pyrnn.Model([a, b], [y, h, layers.LSTM(4)(b, initial_state=[h, c])])
    hf = layers.Bidirectional(layers.GRU(3, return_state=True))(a)
    again = layers.Bidirectional(layers.GRU(3, return_sequences=True))(b, initial_state=hf[1:])
    yield "states of both directions", pyrnn.Model([a, b], [*hf, again])
    masked = layers.Masking()(a)
    yield "masked states", pyrnn.Model([a, b], layers.GRU(4, return_state=True)(masked, initial_state=layers.GRU(4)(b)))
    shared = layers.GRU(3)
    merged = [kind()([shared(a), shared(b)]) for kind in (
        layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum,
        layers.Concatenate,
    )]  # fmt: skip
    yield "merges", pyrnn.Model([a, b], merged)
    yield "ranks", pyrnn.Model([a, b], layers.Multiply()([layers.GRU(4)(a), b]))
    joined = layers.Concatenate(axis=1)([masked, b])
    yield "joined in time", pyrnn.Model([a, b], [layers.GRU(4)(joined), layers.GRU(4, return_sequences=True)(joined)])
    yield "dot", pyrnn.Model([a, b], [layers.Dot(2)([a, b]), layers.Dot(1, True)([shared(a), shared(b)])])
    scored = layers.Attention(use_scale=True)([a, b], return_attention_scores=True, use_causal_mask=True)
    yield "attention", pyrnn.Model([a, b], scored)
    values = layers.Masking()(b)
    read = [layers.Attention(score_mode="concat")([masked, values]), layers.AdditiveAttention()([masked, values])]
    yield "masked attention", pyrnn.Model([a, b], read)
    heads = layers.MultiHeadAttention(2, 3, use_gate=True)
    yield "heads", pyrnn.Model([a, b], heads(masked, values, use_causal_mask=True, return_attention_scores=True))
    yield (
        "operations",
        pyrnn.Model(
            [a, b],
            ops.mean(ops.tanh(a * 2 + 1)[:, -3:, :2], axis=1) + ops.max(ops.square(b), axis=1, keepdims=True)[:, 0, :2],
        ),
    )


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("name", [name for name, _ in merging_models()])
def test_graphs(name, run, tmp_path):
    model = programs.randomized(dict(merging_models())[name])
    path = os.fspath(tmp_path / "m.onnx")
    pyrnn.export.to_onnx(model, path)
    for batch, time in ((3, 6), (2, 4)):
        compare(model, [programs.inputs(4, batch, time, True, seed) for seed in (1, 2)], run, path)


@pytest.mark.parametrize("run", RUNNERS)
def test_embedding(run, tmp_path):
    """Ids of zero are masked."""
    model = programs.randomized(
        pyrnn.Sequential([layers.Input((None,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3)])
    )
    ids = np.random.default_rng(0).integers(0, 3, (4, 8)).astype(np.float32)
    check(model, ids, run, os.fspath(tmp_path / "m.onnx"))


@pytest.mark.parametrize("run", RUNNERS)
def test_states_are_carried(run, tmp_path):
    """A thousand steps in segments of any length are the whole sequence."""
    stack = [
        layers.Conv1D(3, 3, dilation_rate=2, padding="causal"), layers.LSTM(4, return_sequences=True),
        layers.GRU(5, return_sequences=True), layers.SimpleRNN(3, return_sequences=True), layers.Dense(2),
    ]  # fmt: skip
    model = programs.randomized(pyrnn.Sequential([layers.Input((None, 2)), *stack]))
    model.set_weights([weight / 2 for weight in model.get_weights()])  # so that rounding errors do not grow
    path = os.fspath(tmp_path / "m.onnx")
    pyrnn.export.to_onnx(model, path, stateful=True)
    x = programs.inputs(2, 2, 1000, False, 0)
    names = [layer.name for layer in model.layers]
    shapes = {f"{names[0]}_past": (2, 4, 2), f"{names[1]}_h": (2, 4), f"{names[1]}_c": (2, 4), f"{names[2]}_h": (2, 5),
              f"{names[3]}_h": (2, 3)}  # fmt: skip
    feeds = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    outputs, start = [], 0
    for length in (1, 2, 300, 1, 96, 600):
        results = run(path, {model.inputs[0].name: x[:, start : start + length], **feeds})
        feeds = {name: results[f"{name}_out"] for name in shapes}
        outputs.append(results[model.output_names[0]])
        start += length
    programs.assert_near(np.concatenate(outputs, axis=1), model.predict(x, verbose=0))


@pytest.mark.parametrize("run", RUNNERS)
def test_stateful_model(run, tmp_path):
    """A model that keeps its states, with a layer called twice: the second call continues the first."""
    x, lstm = layers.Input(batch_shape=(2, None, 3)), layers.LSTM(4, stateful=True)
    model = programs.randomized(pyrnn.Model(x, [lstm(x), lstm(x)]))
    path = os.fspath(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"layer 'lstm\w*' \(LSTM\) cannot be exported to ONNX: it keeps its states"):
        pyrnn.export.to_onnx(model, path)
    pyrnn.export.to_onnx(model, path, stateful=True)
    states = {f"{lstm.name}_{state}": np.zeros((2, 4), np.float32) for state in "hc"}
    for seed in range(3):
        values = programs.inputs(3, 2, 5, False, seed)
        results = run(path, {x.name: values, **states})
        for actual, expected in zip(list(results.values())[:2], model.predict(values, verbose=0), strict=True):
            programs.assert_near(actual, expected)
        states = {name: results[f"{name}_out"] for name in states}


class Doubled(layers.Layer):
    def call(self, x):
        return x * 2


REJECTED = {
    "custom": (lambda: [Doubled()], r"layer '\w+' \(Doubled\).*custom layers are not supported"),
    "function": (lambda: [layers.Dense(2, activation=lambda x: x * 2)], r"Dense.*its activation is a function"),
    "cell function": (lambda: [layers.LSTM(2, activation=lambda x: x * 2)], r"LSTM.*its activation is a function"),
    "cell activation": (lambda: [layers.GRU(2, activation="gelu")], r"GRU.*do not have the activation 'gelu'"),
    "activation": (lambda: [layers.Dense(2, "sparsemax")], r"Dense.*no operators for the activation 'sparsemax'"),
    "unknown": (lambda: [layers.ConvLSTM1D(2, 2, input_shape=(5, 4, 3))], r"no recurrent operator for ConvLSTM1D"),
    "Lambda": (lambda: [layers.Lambda(lambda x: x)], r"Lambda is not supported"),
    "pooling": (lambda: [layers.AdaptiveMaxPooling1D(2)], r"AdaptiveMaxPooling1D is not supported"),
    "nested": (lambda: [pyrnn.Sequential([layers.Dense(2, "sparsemax")])], r"Dense.*'sparsemax'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_not_supported_is_named(name, tmp_path):
    """The error names the layer and the reason, and what was at the path is unchanged."""
    stack, message = REJECTED[name][0](), REJECTED[name][1]
    shape = [] if stack[0].declared_shape is not None else [layers.Input((5, 4))]
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=message):
        pyrnn.export.to_onnx(pyrnn.Sequential([*shape, *stack]), path)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_other_rejections(tmp_path):
    """Models that are not built, of float64, with layers run as in training, and operations that are not supported."""
    path = tmp_path / "m.onnx"
    with pytest.raises(ValueError, match="must be built before it can be exported"):
        pyrnn.export.to_onnx(pyrnn.Sequential([layers.Dense(2)]), path)
    with pytest.raises(ValueError, match="must have dtype float32"):
        pyrnn.export.to_onnx(pyrnn.Sequential([layers.Input((3,)), layers.Dense(2, dtype="float64")]), path)
    with pytest.raises(TypeError, match="must be a model"):
        pyrnn.export.to_onnx(layers.Dense(2), path)
    x = layers.Input((None, 4))
    with pytest.raises(ValueError, match=r"Dropout.*called with training=True"):
        pyrnn.export.to_onnx(pyrnn.Model(x, layers.Dropout(0.5)(x, training=True)), path)
    with pytest.raises(ValueError, match=r"ops\.sort is not supported"):
        pyrnn.export.to_onnx(pyrnn.Model(x, ops.sort(x)), path)
    for layer in (layers.Conv1D(2, 3), layers.Conv1D(2, 1, strides=2), layers.DepthwiseConv1D(3),
                  layers.SeparableConv1D(2, 1, strides=2)):  # fmt: skip
        with pytest.raises(ValueError, match=r"Conv1D.*with stateful=True a convolution must have padding='causal'"):
            pyrnn.export.to_onnx(pyrnn.Model(x, layer(x)), path, stateful=True)
    assert not path.exists()


def test_time_is_free_unless_a_layer_needs_it(tmp_path):
    """A declared number of steps is left free, but not before Flatten."""
    import onnx

    for stack, time in (([layers.LSTM(3)], "time"), ([layers.Flatten(), layers.Dense(2)], 6)):
        path = tmp_path / "m.onnx"
        pyrnn.export.to_onnx(pyrnn.Sequential([layers.Input((6, 4)), *stack]), path)
        proto = onnx.load(path)
        batch, steps, _ = proto.graph.input[0].type.tensor_type.shape.dim
        assert (batch.dim_param, steps.dim_param or steps.dim_value) == ("batch", time)
        assert (proto.opset_import[0].version, proto.ir_version) == (22, 10)


def test_time_is_free_next_to_an_input_without_time(tmp_path):
    """The features (B, F) of a second input have their size, and the sequence any number of steps."""
    import onnx

    x, features = layers.Input((6, 4), name="x"), layers.Input((5,), name="features")
    model = pyrnn.Model([x, features], layers.Concatenate()([layers.LSTM(3)(x), layers.Dense(2)(features)]))
    pyrnn.export.to_onnx(model, tmp_path / "m.onnx")
    sequence, static = (each.type.tensor_type.shape.dim for each in onnx.load(tmp_path / "m.onnx").graph.input)
    assert (sequence[1].dim_param, sequence[2].dim_value, static[1].dim_value) == ("x_time", 4, 5)


def test_one_node_per_layer(tmp_path):
    """Both directions are one node, and there is no loop."""
    import onnx

    path = Path(tmp_path) / "m.onnx"
    stack = [layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(2, go_backwards=True)]
    pyrnn.export.to_onnx(pyrnn.Sequential([layers.Input((None, 4)), *stack]), path)
    nodes = [node for node in onnx.load(path).graph.node if node.op_type in ("LSTM", "GRU", "RNN", "Loop", "Scan")]
    directions = [next(each.s for each in node.attribute if each.name == "direction") for node in nodes]
    assert [node.op_type for node in nodes] == ["LSTM", "GRU"] and directions == [b"bidirectional", b"reverse"]


def test_command(tmp_path, capsys):
    """`pyrnn export onnx`, with states."""
    import onnx

    model = pyrnn.Sequential([layers.Input((None, 3)), layers.GRU(2, name="gru")])
    model.save(tmp_path / "m.keras")
    path = os.fspath(tmp_path / "m.onnx")
    assert cli.main(["export", "onnx", os.fspath(tmp_path / "m.keras"), path, "--stateful"]) == 0
    assert capsys.readouterr().out.strip() == path
    assert [each.name for each in onnx.load(path).graph.output][1:] == ["gru_h_out"]
