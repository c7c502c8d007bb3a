"""Weights in PyTorch's layout, without PyTorch: against its formulas, and back to the same bits.

`tests/pytorch` compares with PyTorch itself.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers
from pyrnn.interop import from_torch, load_torch_state_dict, to_torch_state_dict

B, T, F, H = 3, 6, 4, 5
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
CLASSES = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def torch_recurrent(kind: str, weights: dict[str, np.ndarray], end: str, x: np.ndarray) -> np.ndarray:
    """The outputs (B, T, H) by the formulas in PyTorch's documentation, in float64."""
    w_ih, w_hh = weights[f"weight_ih{end}"].astype(float), weights[f"weight_hh{end}"].astype(float)
    b_ih, b_hh = (weights.get(f"{bias}{end}", np.zeros(len(w_ih))).astype(float) for bias in ("bias_ih", "bias_hh"))
    h = c = np.zeros((len(x), w_hh.shape[1]))
    steps = []
    for step in range(x.shape[1]):
        a, u = x[:, step] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if kind == "rnn":
            h = np.tanh(a + u)
        elif kind == "lstm":
            i, f, g, o = np.split(a + u, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (a_r, a_z, a_n), (u_r, u_z, u_n) = np.split(a, 3, axis=1), np.split(u, 3, axis=1)
            n, z = np.tanh(a_n + sigmoid(a_r + u_r) * u_n), sigmoid(a_z + u_z)
            h = (1 - z) * n + z * h
        steps.append(h)
    return np.stack(steps, 1)


def state_dict(kind: str, prefix: str, count: int = 1, both: bool = False, bias: bool = True) -> dict[str, np.ndarray]:
    """Random weights under PyTorch's names."""
    rng, arrays = np.random.default_rng(0), {}
    for number in range(count):
        inputs = F if number == 0 else H * (1 + both)
        for reverse in ("", "_reverse")[: 1 + both]:
            end = f"_l{number}{reverse}"
            shapes = {"weight_ih": (inputs,), "weight_hh": (H,)} | ({"bias_ih": (), "bias_hh": ()} if bias else {})
            for key, shape in shapes.items():
                arrays[f"{prefix}{key}{end}"] = rng.normal(0, 0.4, (GATES[kind] * H, *shape)).astype("float32")
    return arrays


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_layers_against_the_formulas(kind: str, both: bool, bias: bool) -> None:
    arrays, x = state_dict(kind, "rnn.", 2, both, bias), np.random.default_rng(1).normal(size=(B, T, F))
    stack: list[Any] = [layers.Input((None, F))]
    for number in range(2):
        layer = CLASSES[kind](H, return_sequences=True, use_bias=bias, name=f"rnn.l{number}")
        stack.append(layers.Bidirectional(layer, name=f"rnn.l{number}") if both else layer)
    model = from_torch(arrays, stack)
    expected, below = x, {key.removeprefix("rnn."): each for key, each in arrays.items()}
    for number in range(2):
        forwards = torch_recurrent(kind, below, f"_l{number}", expected)
        if both:
            backwards = torch_recurrent(kind, below, f"_l{number}_reverse", expected[:, ::-1])[:, ::-1]
        expected = np.concatenate([forwards, backwards], 2) if both else forwards
    assert_close(model(x), expected, 100)
    back = to_torch_state_dict(model)
    assert list(back) == list(arrays)
    for key, array in arrays.items():
        if "bias" not in key or kind == "gru":
            assert back[key].tobytes() == array.tobytes()
        elif "bias_hh" in key:
            assert not back[key].any()
        else:
            assert back[key].tobytes() == (array + arrays[key.replace("bias_ih", "bias_hh")]).tobytes()


def full_model() -> pyrnn.Sequential:
    return pyrnn.Sequential(
        [
            layers.Input((T,)),
            layers.Embedding(9, F, name="embedding"),
            layers.Conv1D(6, 3, padding="causal", groups=2, bias_initializer="normal", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.GRU(H, return_sequences=True, bias_initializer="normal", name="gru.cell"),
            layers.LayerNormalization(name="layer_norm"),
            layers.TimeDistributed(layers.Dense(2, bias_initializer="normal"), name="dense"),
        ]
    )


def test_every_layer_comes_back_with_its_bits() -> None:
    first, second = full_model(), full_model()
    rng = np.random.default_rng(0)
    first.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in first.weights])
    arrays = to_torch_state_dict(first)
    assert {name: array.shape for name, array in arrays.items()} == {
        "embedding.weight": (9, F), "conv.weight": (6, 2, 3), "conv.bias": (6,),
        "norm.weight": (6,), "norm.bias": (6,), "norm.running_mean": (6,), "norm.running_var": (6,),
        "norm.num_batches_tracked": (), "gru.weight_ih": (15, 6), "gru.weight_hh": (15, H), "gru.bias_ih": (15,),
        "gru.bias_hh": (15,), "layer_norm.weight": (H,), "layer_norm.bias": (H,), "dense.weight": (2, H),
        "dense.bias": (2,),
    }  # fmt: skip
    assert all(array.flags.c_contiguous for array in arrays.values())
    load_torch_state_dict(second, arrays)
    assert [a.tobytes() for a in first.get_weights()] == [b.tobytes() for b in second.get_weights()]
    x = rng.integers(0, 9, (B, T))
    assert (first(x) == second(x)).all()


def test_arrays_are_copies() -> None:
    model = full_model()
    for array in to_torch_state_dict(model).values():
        array[...] = 7
    assert not any((weight == 7).any() for weight in model.get_weights())


def test_names_may_be_passed() -> None:
    model = pyrnn.Sequential([layers.Input((None, F)), layers.LSTM(H, return_sequences=True), layers.LSTM(H)])
    arrays = to_torch_state_dict(model, ["encoder.l0", "encoder.l1"])
    assert {name.rsplit("_", 1)[1] for name in arrays} == {"l0", "l1"} and len(arrays) == 8
    other = pyrnn.Sequential([layers.Input((None, F)), layers.LSTM(H, return_sequences=True), layers.LSTM(H)])
    load_torch_state_dict(other, arrays, ["encoder.l0", "encoder.l1"])
    assert (model(np.ones((1, T, F))) == other(np.ones((1, T, F)))).all()
    alone = pyrnn.Sequential([layers.Dense(2, input_shape=(F,))])
    assert set(to_torch_state_dict(alone, [""])) == {"weight", "bias"}


def test_small_floats_and_a_counter_are_read() -> None:
    model = pyrnn.Sequential([layers.Dense(2, input_shape=(F,), name="fc"), layers.BatchNormalization(name="norm")])
    arrays = {**to_torch_state_dict(model), "norm.num_batches_tracked": np.array(12)}
    load_torch_state_dict(model, {name: array.astype("float16") for name, array in arrays.items() if array.ndim})
    load_torch_state_dict(model, arrays)


WITHOUT_COUNTERPART = [
    (layers.GRU(H, reset_after=False, name="a"), "reset_after must be True, got False"),
    (layers.LSTM(H, activation="relu", name="a"), "activation must be 'tanh', got 'relu'"),
    (layers.GRU(H, recurrent_activation="hard_sigmoid", name="a"), "recurrent_activation must be 'sigmoid'"),
    (layers.SimpleRNN(H, activation="sigmoid", name="a"), "activation must be 'tanh' or 'relu', got 'sigmoid'"),
    (layers.LSTM(H, go_backwards=True, name="a"), "go_backwards must be False"),
    (layers.Bidirectional(layers.LSTM(H), merge_mode="sum", name="a"), "merge_mode must be 'concat', got 'sum'"),
    (layers.Bidirectional(layers.LSTM(H), name="a.cell"), "a cell has one direction"),
    (layers.ConvLSTM1D(2, 1, name="a"), "it must be SimpleRNN, LSTM or GRU|only recurrent layers"),
    (layers.PReLU(name="a"), "only recurrent layers, Dense, Conv1D, Embedding and normalizations have one"),
    (layers.RMSNormalization(name="a"), "only recurrent layers"),
    (layers.LayerNormalization(axis=[1, 2], name="a"), "its weights must have one axis, got several"),
    (layers.LayerNormalization(scale=False, name="a"), "scale must be True where center is"),
    (layers.BatchNormalization(renorm=True, name="a"), "renorm must be False"),
]


@pytest.mark.parametrize("layer, message", WITHOUT_COUNTERPART, ids=lambda each: str(each)[:30])
def test_layers_without_a_counterpart_are_named(layer: Any, message: str) -> None:
    shape = (T, F, 2) if isinstance(layer, layers.ConvLSTM1D) else (T, F)
    model = pyrnn.Sequential([layers.Input(shape), layer])
    with pytest.raises(ValueError, match=rf"layer 'a.*' \({type(layer).__name__}\) has no counterpart.*({message})"):
        to_torch_state_dict(model)


def build() -> pyrnn.Sequential:
    return pyrnn.Sequential([layers.Input((None, F)), layers.LSTM(H, name="lstm"), layers.Dense(1, name="fc")])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"fc.bias": None}, r"the state_dict lacks 'fc.bias' for layer 'fc', it has \['fc.weight'\]"),
        ({"fc.bias": np.zeros(2)}, r"'fc.bias' of the state_dict must have shape \(1,\) for layer 'fc', got \(2,\)"),
        ({"fc.bias": np.zeros(1, int)}, "'fc.bias' of the state_dict must hold floating-point numbers, got dtype int"),
        ({"fc.bias": "x"}, "'fc.bias' of the state_dict must hold floating-point numbers"),
        ({"other": np.zeros(1)}, "the state_dict holds 'other', which no layer of model"),
        ({"lstm.weight_ih_l1": np.zeros(1)}, "the state_dict holds 'lstm.weight_ih_l1'"),
    ],
)
def test_arrays_that_do_not_fit_change_nothing(change: dict[str, Any], message: str) -> None:
    model = build()
    before = [weight.tobytes() for weight in model.get_weights()]
    arrays = {**to_torch_state_dict(build()), **change}
    with pytest.raises(ValueError, match=message):
        load_torch_state_dict(model, {name: array for name, array in arrays.items() if array is not None})
    assert [weight.tobytes() for weight in model.get_weights()] == before


def test_wrong_arguments() -> None:
    arrays = to_torch_state_dict(build())
    with pytest.raises(ValueError, match=r"names must have an entry for each of the 2 layers with weights.*got 1"):
        to_torch_state_dict(build(), ["lstm"])
    with pytest.raises(ValueError, match=r"names must differ for each layer, got 'a\.bias' twice"):
        to_torch_state_dict(pyrnn.Sequential([layers.Input((2,)), layers.Dense(2), layers.Dense(2)]), ["a", "a"])
    with pytest.raises(ValueError, match="must be built before its weights have a counterpart"):
        to_torch_state_dict(pyrnn.Sequential([layers.Dense(1)]))
    with pytest.raises(TypeError, match="module must be a module of PyTorch or a state_dict of arrays, got 3"):
        from_torch(3)
    for chain in (None, ["lstm"]):
        with pytest.raises(ValueError, match="chain must be a list of layers of pyrnn where module is a state_dict"):
            from_torch(arrays, chain)
    with pytest.raises(ValueError, match="chain must begin with an Input where no input_shape is passed"):
        from_torch(arrays, [layers.LSTM(H, name="lstm"), layers.Dense(1, name="fc")])
    model = from_torch(arrays, [layers.LSTM(H, name="lstm"), layers.Dense(1, name="fc")], input_shape=(None, F))
    assert model.input_shape == (None, None, F)


def module(kind: str, folder: str, **attributes: Any) -> Any:
    """A stand-in for a module of PyTorch: its class, attributes and weights."""

    def children(self: Any) -> list[Any]:
        return list(attributes.get("children", {}).items())

    def weights(self: Any) -> dict[str, np.ndarray]:
        below = {f"{n}.{k}": v for n, each in children(self) for k, v in each.state_dict().items()}
        return {**attributes.get("state", {}), **below}

    methods = {"forward": None, "state_dict": weights, "named_children": children, "parameters": lambda self: []}
    cls = type(kind, (), {**methods, "__module__": f"torch.nn.modules.{folder}"})
    made = cls()
    vars(made).update(attributes)
    return made


def test_modules_are_recognized_without_pytorch() -> None:
    recurrent = module(
        "LSTM", "rnn", hidden_size=H, input_size=F, num_layers=2, bidirectional=False, batch_first=True, bias=True,
        dropout=0.1, proj_size=0, state=state_dict("lstm", "", 2),
    )  # fmt: skip
    linear = module("Linear", "linear", in_features=H, out_features=1, bias=np.zeros(1, "float32"),
                    state={"weight": np.ones((1, H), "float32"), "bias": np.zeros(1, "float32")})  # fmt: skip
    model = from_torch(module("Sequential", "container", children={"0": recurrent, "1": linear}))
    assert [type(layer).__name__ for layer in model.layers] == ["LSTM", "Dropout", "LSTM", "Dense"]
    assert list(to_torch_state_dict(model)) == [*state_dict("lstm", "0.", 2), "1.weight", "1.bias"]


def test_pytorch_is_not_imported() -> None:
    code = "import sys, pyrnn.interop; print('torch' in sys.modules, 'safetensors' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert run.stdout.split() == ["False", "False"]
