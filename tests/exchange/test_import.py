"""`pyrnn.interop.from_onnx`: files of pyrnn and PyTorch become models with equal outputs."""

import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn
from exchange import programs
from exchange.test_export import CASES, LAYERS, merging_models
from pyrnn import layers

pytestmark = pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is an optional package")
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is an optional package")
needs_onnxscript = pytest.mark.skipif(find_spec("onnxscript") is None, reason="onnxscript is an optional package")


def has_keras():
    """Whether Keras is installed; tests/keras is found under the same name but has no file."""
    spec = find_spec("keras")
    return spec is not None and spec.origin is not None


def imported(model, arrays, path):
    """Export a model, read it again and compare the outputs."""
    pyrnn.export.to_onnx(model, path)
    again = pyrnn.interop.from_onnx(path)
    arrays = arrays if isinstance(arrays, list) else [arrays]
    expected, actual = ([*each] if isinstance(each, list) else [each] for each in (
        other.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0) for other in (model, again)
    ))  # fmt: skip
    for y, z in zip(expected, actual, strict=True):
        programs.assert_near(z, y)
    return again


@settings(max_examples=20, **CASES)
@given(data=st.data())
def test_generated_models_come_back(tmp_path_factory, data):
    """What `to_onnx` wrote without masks is read as a model of the same layers."""
    case = data.draw(programs.models(True, may_mask=False))
    path = os.fspath(tmp_path_factory.mktemp("onnx") / "m.onnx")
    x = programs.inputs(case.features, *data.draw(st.tuples(st.integers(1, 4), st.integers(1, 9))), False, 0)
    imported(case.model, x, path)


# The first operator in the graph of an exported layer that `from_onnx` does not read.
NOT_READ = {
    "masked GlobalAveragePooling1D": "Equal", "backwards RNN": "Equal", "zero output": "Equal",
    "masked backwards": "Equal", "TimeDistributed": "Reshape", "GroupNormalization": "Reshape",
    "activation hard_shrink": "Shrink", "activation soft_shrink": "Shrink", "activation sparse_plus": "Less",
    "ReLU": "Greater", "UpSampling1D": "Tile",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_come_back(name, tmp_path):
    model = programs.randomized(pyrnn.Sequential([layers.Input((6, 4)), *LAYERS[name]()]))
    path = os.fspath(tmp_path / "m.onnx")
    if name in NOT_READ:
        pyrnn.export.to_onnx(model, path)
        with pytest.raises(ValueError, match=rf"node '[^']*' \({NOT_READ[name]}\) of .* cannot be imported: "):
            pyrnn.interop.from_onnx(path)
    else:
        imported(model, programs.inputs(4, 3, 6, False, 1), path)


@pytest.mark.parametrize("name", ["states", "states of both directions", "merges"])
def test_graphs_come_back(name, tmp_path):
    model = programs.randomized(dict(merging_models())[name])
    imported(model, [programs.inputs(4, 3, 6, False, seed) for seed in (1, 2)], os.fspath(tmp_path / "m.onnx"))


def test_chains_stay_layers(tmp_path):
    """Nothing but the layers is left of a chain, so that the model streams and trains."""
    stack = [layers.LSTM(4, return_sequences=True), layers.GRU(3), layers.Dense(2)]
    model = programs.randomized(pyrnn.Sequential([layers.Input((None, 3)), *stack]))
    x = programs.inputs(3, 2, 5, False, 0)
    again = imported(model, x, os.fspath(tmp_path / "m.onnx"))
    assert [type(each) for each in again.operations[1:]] == [layers.LSTM, layers.GRU, layers.Dense]
    stream = again.stream(2)
    programs.assert_near([stream.step(x[:, step]) for step in range(5)][-1], model.predict(x, verbose=0))
    again.compile("sgd", "mse")
    losses = again.fit(x, np.ones((2, 2)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_states_come_back(tmp_path):
    """Inputs and outputs that are states."""
    model = programs.randomized(pyrnn.Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(2)]))
    path = os.fspath(tmp_path / "m.onnx")
    pyrnn.export.to_onnx(model, path, stateful=True)
    again = pyrnn.interop.from_onnx(path)
    x, zeros = programs.inputs(3, 2, 6, False, 0), np.zeros((2, 4), np.float32)
    _, h, c = again.predict([x[:, :4], zeros, zeros], verbose=0)
    programs.assert_near(again.predict([x[:, 4:], h, c], verbose=0)[0], model.predict(x, verbose=0))


class TorchCase:
    """Modules of PyTorch, made on demand."""

    @staticmethod
    def modules():
        from torch import nn

        class Last(nn.Module):
            """The usual forecaster: the last output of a recurrent layer, and a linear layer."""

            def __init__(self, kind, **options):
                super().__init__()
                self.rnn = kind(3, 5, **options)
                width = 5 * (2 if options.get("bidirectional") else 1)
                self.is_first = options.get("batch_first", False)
                self.head = nn.Linear(width, 2)

            def forward(self, x):
                y, _ = self.rnn(x)
                return self.head(y[:, -1] if self.is_first else y[-1])

        class All(nn.Module):
            """Everything that a recurrent layer returns."""

            def __init__(self, kind, **options):
                super().__init__()
                self.rnn = kind(3, 5, **options)

            def forward(self, x):
                y, states = self.rnn(x)
                return (y, *states) if isinstance(states, tuple) else (y, states)

        class Swapped(nn.Module):
            """Convolutions have the channels first."""

            def __init__(self, *parts):
                super().__init__()
                self.parts = nn.Sequential(*parts)

            def forward(self, x):
                return self.parts(x.transpose(1, 2))

        cases = {}
        for kind in (nn.RNN, nn.GRU, nn.LSTM):
            for options in ({}, {"batch_first": True}, {"bidirectional": True, "batch_first": True},
                            {"num_layers": 2, "batch_first": True}, {"bias": False}):  # fmt: skip
                text = " ".join(options)
                cases[f"last {kind.__name__} {text}"] = lambda kind=kind, options=options: Last(kind, **options)
                cases[f"all {kind.__name__} {text}"] = lambda kind=kind, options=options: All(kind, **options)
        cases["relu RNN"] = lambda: Last(nn.RNN, nonlinearity="relu", batch_first=True)
        cases["deep"] = lambda: All(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True)
        cases["linear"] = lambda: nn.Sequential(
            nn.Linear(3, 8),
            nn.ReLU(),
            nn.LayerNorm(8),
            nn.Linear(8, 4),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(4, 3, bias=False),
            nn.SiLU(),
            nn.Hardsigmoid(),
            nn.ELU(),
            nn.Softmax(dim=-1),
        )
        cases["convolutions"] = lambda: Swapped(
            nn.Conv1d(3, 6, 3, padding=1),
            nn.BatchNorm1d(6),
            nn.LeakyReLU(0.1),
            nn.Conv1d(6, 4, 3, dilation=2, groups=2),
            nn.MaxPool1d(2),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
            nn.Tanh(),
        )
        return cases


NAMES = list(TorchCase.modules()) if find_spec("torch") else []
# The newer exporter writes each step of an RNN as nodes of its own.
UNROLLED = [name for name in NAMES if "RNN" in name]
FEW = ("all LSTM bidirectional batch_first", "last GRU num_layers batch_first", "last RNN batch_first", "linear")


@needs_torch
@pytest.mark.parametrize("name", NAMES)
def test_files_of_pytorch(name, tmp_path):
    """Arrays have the batch axis first in pyrnn."""
    read_from_pytorch(name, False, tmp_path)


@needs_torch
@needs_onnxscript
@pytest.mark.parametrize("name", FEW)
def test_files_of_the_newer_exporter(name, tmp_path):
    read_from_pytorch(name, True, tmp_path)


@pytest.mark.slow
@needs_torch
@needs_onnxscript
@pytest.mark.parametrize("name", [name for name in NAMES if name not in FEW])
def test_all_files_of_the_newer_exporter(name, tmp_path):
    read_from_pytorch(name, True, tmp_path)


def read_from_pytorch(name, dynamo, tmp_path):
    """Export a module and compare its outputs with those of the model that is read."""
    import torch

    torch.manual_seed(0)
    module = TorchCase.modules()[name]().eval()
    x = torch.randn(4, 7, 3)
    path = os.fspath(tmp_path / "m.onnx")
    is_first = name in ("linear", "convolutions", "relu RNN", "deep") or "batch_first" in name
    axes = {"x": {0: "batch", 1: "time"}} if name != "convolutions" else {"x": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"dynamic_axes": axes} if not dynamo else {}
        torch.onnx.export(module, (x,), path, input_names=["x"], dynamo=dynamo, external_data=False, **options)
    if dynamo and name in UNROLLED:
        with pytest.raises(ValueError, match="cannot be imported"):
            pyrnn.interop.from_onnx(path)
        return
    model = pyrnn.interop.from_onnx(path)
    values = x if dynamo or name == "convolutions" else torch.randn(6, 5, 3)
    with torch.no_grad():
        expected = module(values)
    expected = [each.numpy() for each in (expected if isinstance(expected, tuple) else [expected])]
    array = values.numpy()
    actual = model.predict(np.ascontiguousarray(array if is_first else array.swapaxes(0, 1)), verbose=0)
    actual = actual if isinstance(actual, list) else [actual]
    for number, (y, z) in enumerate(zip(expected, actual, strict=True)):
        has_batch_second = y.ndim == 3 and (number > 0 or not is_first)
        programs.assert_near(z, y.swapaxes(0, 1) if has_batch_second else y)


def changed(tmp_path, change):
    """A file of which `change` made another one."""
    import onnx

    path = tmp_path / "m.onnx"
    pyrnn.export.to_onnx(pyrnn.Sequential([layers.Input((None, 3)), layers.GRU(4), layers.Dense(2)]), path)
    proto = onnx.load(path)
    change(proto, onnx)
    path.write_bytes(proto.SerializeToString())
    return path


def _external(proto, onnx):
    proto.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def _huge(proto, onnx):
    proto.graph.initializer[0].dims[0] = 2**40


def _negative(proto, onnx):
    proto.graph.initializer[0].dims[0] = -1


def _cycle(proto, onnx):
    proto.graph.node[0].input[0] = proto.graph.node[-1].output[0]


def _twice(proto, onnx):
    proto.graph.node[1].output[0] = proto.graph.node[0].output[0]


def _unknown(proto, onnx):
    proto.graph.node[0].op_type = "NonZero"


def _domain(proto, onnx):
    proto.graph.node[0].domain = "com.example"


def _old(proto, onnx):
    proto.opset_import[0].version = 3


def _wrong(proto, onnx):
    node = next(node for node in proto.graph.node if node.op_type == "GRU")
    next(each for each in node.attribute if each.name == "hidden_size").i = 5


def _subgraph(proto, onnx):
    attribute = proto.graph.node[0].attribute.add()
    attribute.name, attribute.type = "body", onnx.AttributeProto.GRAPH


def _same_axes(proto, onnx):
    node = proto.graph.node.add()
    node.op_type, node.name = "Unsqueeze", "wide"
    node.input.extend([proto.graph.input[0].name, "axes"])
    node.output.append("wide")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 0]), "axes"))


def _no_output(proto, onnx):
    proto.graph.output[0].name = "nowhere"


def _clipped(proto, onnx):
    node = next(node for node in proto.graph.node if node.op_type == "GRU")
    node.attribute.append(onnx.helper.make_attribute("clip", 1.0))


BAD = {
    _external: "numbers in another file",
    _huge: "must hold .* numbers for its shape",
    _negative: "sizes of at least 0",
    _cycle: "the graph has a cycle or is not complete",
    _twice: "must be different",
    _unknown: r"\(NonZero\) of .* the operator NonZero is not among",
    _domain: "domain 'com.example'",
    _old: "one opset from",
    _wrong: "hidden_size must be 4",
    _subgraph: "is of a kind that is not read",
    _same_axes: "its axes must be different",
    _no_output: "is made by no node",
    _clipped: "clip",
}


@pytest.mark.parametrize("change", BAD, ids=lambda change: change.__name__[1:])
def test_what_is_not_read_is_named(change, tmp_path):
    with pytest.raises(ValueError, match=BAD[change]):
        pyrnn.interop.from_onnx(changed(tmp_path, change))


def small(tmp_path, nodes, constants, shape=("batch", 3)):
    """A file of nodes that compute y of x."""
    import onnx
    from onnx import helper, numpy_helper

    def made(operator, reads, writes, options):
        tensors = {
            key: numpy_helper.from_array(value) for key, value in options.items() if isinstance(value, np.ndarray)
        }
        return helper.make_node(operator, reads, writes, **{**options, **tensors})

    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([made(*node) for node in nodes], "small", ports[:1], ports[1:], tensors)
    path = os.fspath(tmp_path / "small.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


INTEGERS = {
    "array": ([("Cast", ["x"], ["i"], {"to": 7}), ("Cast", ["i"], ["y"], {"to": 1})], {}),
    "filled": (
        [
            ("Shape", ["x"], ["s"], {}),
            ("ConstantOfShape", ["s"], ["f"], {"value": np.array([-1.7], np.float32)}),
            ("Cast", ["f"], ["i"], {"to": 6}),
            ("Cast", ["i"], ["g"], {"to": 1}),
            ("Add", ["x", "g"], ["y"], {}),
        ],
        {},
    ),
    "quotient": (
        [
            ("Div", ["a", "b"], ["q"], {}),
            ("Cast", ["q"], ["g"], {"to": 1}),
            ("Add", ["x", "g"], ["y"], {}),
        ],
        {"a": np.array([-7, 7, -6]), "b": np.array([2, -2, 3])},
    ),
    "allowzero": (
        [("Reshape", ["x", "n"], ["y"], {"allowzero": 1})],
        {"n": np.array([-1, 3])},
    ),
}


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is an optional package")
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_rounded_towards_zero(name, tmp_path):
    nodes, constants = INTEGERS[name]
    path = small(tmp_path, nodes, constants)
    x = np.array([[-1.5, 0.7, 2.9], [-0.2, 3.0, -4.9]], np.float32)
    expected = programs.run_onnxruntime(path, {"x": x})["y"]
    programs.assert_near(pyrnn.interop.from_onnx(path).predict(x, verbose=0), expected)


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is an optional package")
@pytest.mark.parametrize("batch", [4, "batch"])
def test_reshape_drops_axes_of_size_1(batch, tmp_path):
    """As PyTorch's newer exporter flattens what a pool over all steps makes."""
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]}),
        ("ReduceMean", ["t"], ["m"], {"axes": [2], "keepdims": 1}),
    ]
    nodes += [("Reshape", ["m", "n"], ["r"], {}), ("Unsqueeze", ["r", "one"], ["y"], {})]
    constants = {"n": np.array([4 if batch == 4 else -1, 3]), "one": np.array([1])}
    path = small(tmp_path, nodes, constants, (batch, 5, 3))
    x = programs.inputs(3, 4, 5, False, 0)
    expected = programs.run_onnxruntime(path, {"x": x})["y"]
    programs.assert_near(pyrnn.interop.from_onnx(path).predict(x, verbose=0), expected)


@pytest.mark.parametrize(
    "node, constants, message",
    [
        (("Div", ["a", "b"], ["q"], {}), {"a": np.array([1, 2, 3]), "b": np.array([1, 0, 2])}, "integers by 0"),
        (("Reshape", ["x", "n"], ["q"], {"allowzero": 1}), {"n": np.array([0, 3])}, "without numbers"),
    ],
    ids=["quotient", "allowzero"],
)
def test_sizes_that_are_not_read(node, constants, message, tmp_path):
    nodes = [node, ("Cast", ["q"], ["g"], {"to": 1}), ("Add", ["x", "g"], ["y"], {})]
    path = small(tmp_path, nodes, constants)
    with pytest.raises(ValueError, match=message):
        pyrnn.interop.from_onnx(path)


TEXT = "Sel\nu\x0b"


@pytest.mark.parametrize(
    "node",
    [
        (TEXT, ["x"], ["y"], {}),
        ("Selu", ["x"], ["y"], {"mode": TEXT}),
        ("Selu", ["x"], ["y"], {"mode": ["a", TEXT]}),
        ("Selu", [TEXT], ["y"], {}),
    ],
    ids=["operator", "attribute", "attributes", "input"],
)
def test_text_that_is_not_printable(node, tmp_path):
    """It is rejected, or shown escaped: an error is one line."""
    path = small(tmp_path, [node], {})
    try:
        pyrnn.interop.from_onnx(path)
    except ValueError as error:
        assert str(error).isprintable()
        assert repr(TEXT)[1:-1] in str(error)
    else:
        pytest.fail("the file was read")


@pytest.mark.parametrize("text", [b"Selu", b"x", b"y", b"batch", b"first"], ids=bytes.decode)
def test_text_that_is_not_utf_8(text, tmp_path):
    """protobuf gives it as bytes."""
    path = Path(small(tmp_path, [("Selu", ["x"], ["first"], {}), ("Selu", ["first"], ["y"], {})], {}))
    content = path.read_bytes()
    assert text in content
    for place in (content.index(text), content.rindex(text)):
        path.write_bytes(content[:place] + b"\xff" * len(text) + content[place + len(text) :])
        if text == b"batch":  # any size
            assert pyrnn.interop.from_onnx(path).predict(np.zeros((2, 3), "f"), verbose=0).shape == (2, 3)
            continue
        with pytest.raises(ValueError, match=r"b'(\\xff)+'|not an ONNX file") as error:
            pyrnn.interop.from_onnx(path)
        assert str(error.value).isprintable()


def test_other_files(tmp_path):
    """Files that hold no graph, and a missing file."""
    path = tmp_path / "m.onnx"
    with pytest.raises(FileNotFoundError):
        pyrnn.interop.from_onnx(path)
    for content in (b"", b"\xff" * 100, b"hello"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or not an ONNX file"):
            pyrnn.interop.from_onnx(path)


@pytest.mark.slow
@needs_onnxscript
@pytest.mark.skipif(not has_keras(), reason="keras is an optional package")
@pytest.mark.parametrize("name", ["LSTM", "GRU", "Conv1D"])
def test_files_of_keras(name, tmp_path, monkeypatch):
    """Keras writes each step of a recurrent layer as nodes of its own."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import keras

    from_keras = keras.layers
    stack = {
        "LSTM": lambda: [from_keras.LSTM(4), from_keras.Dense(2)],
        "GRU": lambda: [from_keras.GRU(4, return_sequences=True), from_keras.Dense(2)],
        "Conv1D": lambda: [
            from_keras.Conv1D(4, 3, padding="causal", activation="relu"), from_keras.BatchNormalization(),
            from_keras.GlobalAveragePooling1D(), from_keras.Dense(2, "softmax"),
        ],
    }[name]()  # fmt: skip
    model = keras.Sequential([keras.Input((5, 3)), *stack])
    x = programs.inputs(3, 1, 5, False, 0)
    path = os.fspath(tmp_path / "m.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(model.predict(x, verbose=0))
        model.export(path, format="onnx", verbose=False)
    programs.assert_near(pyrnn.interop.from_onnx(path).predict(x, verbose=0), expected)
