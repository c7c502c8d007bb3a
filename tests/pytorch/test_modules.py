"""Modules of PyTorch as models: outputs, gradients, round trips, and what cannot be imported."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tolerance import assert_close
from torch import nn

import pyrnn
from pyrnn import layers
from pyrnn.interop import from_torch, load_torch_state_dict, read_safetensors, to_torch_state_dict
from pyrnn.interop.torch_weights import _arrays, _flat

B, T, F, H = 3, 7, 4, 5
SWAP = layers.Permute
KINDS = {"tanh": lambda *a, **k: nn.RNN(*a, **k), "relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
         "lstm": nn.LSTM, "gru": nn.GRU}  # fmt: skip
OPTIONS = list(itertools.product(KINDS, (1, 2, 3), (False, True), (False, True), (False, True)))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def data(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def outputs(module: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        y = module(torch.from_numpy(x))
    return (y[0] if isinstance(y, tuple) else y).numpy()


def gradients(model: Any, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The gradient by x, and those of the weights under PyTorch's names."""
    model.forward(x, training=True)
    dx = model.backward(dy)
    result: dict[str, np.ndarray] = {}
    for layer in _flat(model):
        if layer.weights:
            result |= _arrays(layer, layer.name, lambda weight: weight.gradient)
    return dx, result


def check_gradients(model: Any, module: Any, x: np.ndarray, swapped: bool = False) -> None:
    tensor = torch.from_numpy(x.swapaxes(0, 1).copy() if swapped else x).requires_grad_()
    y = module(tensor)
    y = y[0] if isinstance(y, tuple) else y
    dy = data(*y.shape, dtype=str(x.dtype))
    y.backward(torch.from_numpy(dy))
    dx, by_name = gradients(model, x, dy.swapaxes(0, 1).copy() if swapped else dy)
    expected_dx = tensor.grad.numpy()
    assert_close(dx, expected_dx.swapaxes(0, 1) if swapped else expected_dx, 400, "dx")
    for name, parameter in module.named_parameters():
        is_second_bias = "bias_hh" in name and not isinstance(module, nn.GRU)
        key = name.replace("bias_hh", "bias_ih") if is_second_bias else name
        assert_close(by_name[key], parameter.grad.numpy(), 400, name)


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize("kind, count, both, batch_first, bias", OPTIONS)
def test_recurrent_modules(kind: str, count: int, both: bool, batch_first: bool, bias: bool) -> None:
    module = KINDS[kind](F, H, num_layers=count, bidirectional=both, batch_first=batch_first, bias=bias)
    model, x = from_torch(module), data(B, T, F)
    expected = outputs(module, x if batch_first else x.swapaxes(0, 1).copy())
    assert_close(model(x), expected if batch_first else expected.swapaxes(0, 1), 100)
    check_gradients(model, module, x, swapped=not batch_first)
    back = to_torch_state_dict(model)
    module.load_state_dict(tensors(back))
    assert list(back) == list(module.state_dict())
    again = to_torch_state_dict(from_torch(module))
    assert {name: array.tobytes() for name, array in again.items()} == {n: a.tobytes() for n, a in back.items()}


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_float64_is_kept(kind: str) -> None:
    module, x = KINDS[kind](F, H, batch_first=True).double(), data(B, T, F, dtype="float64")
    model = from_torch(module)
    assert model.dtype == "float64"
    assert_close(model(x), outputs(module, x), 100)
    check_gradients(model, module, x)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("bias", [False, True])
def test_cells_run_over_a_sequence(cell: Any, bias: bool) -> None:
    module, x = cell(F, H, bias=bias), data(B, T, F)
    state, steps = None, []
    with torch.no_grad():
        for step in range(T):
            state = module(torch.from_numpy(x[:, step].copy()), state)
            steps.append((state[0] if isinstance(state, tuple) else state).numpy())
    model = from_torch(module)
    assert_close(model(x), np.stack(steps, 1), 100)
    module.load_state_dict(tensors(to_torch_state_dict(model)))


def test_dropout_between_layers_is_a_layer() -> None:
    module = nn.GRU(F, H, num_layers=3, dropout=0.25, batch_first=True).eval()
    model, x = from_torch(module), data(B, T, F)
    assert [(type(each).__name__, getattr(each, "rate", None)) for each in model.layers] == [
        ("GRU", None), ("Dropout", 0.25), ("GRU", None), ("Dropout", 0.25), ("GRU", None),
    ]  # fmt: skip
    assert_close(model(x), outputs(module, x), 100)


ACTIVATIONS = [
    nn.CELU(), nn.ELU(0.7), nn.GELU(), nn.Hardshrink(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(),
    nn.LeakyReLU(0.3), nn.LogSigmoid(), nn.LogSoftmax(-1), nn.Mish(), nn.ReLU(), nn.ReLU6(), nn.SELU(), nn.SiLU(),
    nn.Sigmoid(), nn.Softmax(-1), nn.Softmax(1), nn.Softplus(), nn.Softshrink(), nn.Softsign(), nn.Tanh(),
    nn.Tanhshrink(), nn.Identity(), nn.Dropout(0.4),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations(activation: Any) -> None:
    module, x = nn.Sequential(nn.Linear(F, H), activation).eval(), 3 * data(20, F)
    model = from_torch(module)
    assert_close(model(x), outputs(module, x), 100)
    if not isinstance(activation, nn.Dropout):
        check_gradients(model, module, x)


SEQUENTIALS: dict[str, tuple[Callable[[], Any], tuple[int, ...], tuple[int, ...] | None]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(F, 3, bias=False), nn.Tanh(), nn.Linear(3, 2)), (B, F), None),
    "nested": (lambda: nn.Sequential(nn.Sequential(nn.Linear(F, 3), nn.ReLU()), nn.Linear(3, 2)), (B, F), None),
    "conv": (lambda: nn.Sequential(nn.Conv1d(F, 6, 3), nn.ReLU(), nn.Conv1d(6, 2, 2)), (B, F, T), None),
    "conv options": (
        lambda: nn.Sequential(
            nn.Conv1d(F, 6, 3, stride=2, padding=2, groups=2, bias=False),
            nn.Conv1d(6, 6, 2, dilation=2, padding=1),
            nn.Conv1d(6, 6, 4, padding="same"),
            nn.Conv1d(6, 6, 3, padding=1),
        ),
        (B, F, 11),
        None,
    ),
    "conv, norm, flat": (
        lambda: nn.Sequential(
            nn.Conv1d(F, 6, 3), nn.BatchNorm1d(6), nn.ELU(), nn.Flatten(), nn.Linear(30, 2), nn.Softmax(1)
        ),
        (B, F, T),
        (F, T),
    ),
    "norms": (
        lambda: nn.Sequential(nn.LayerNorm(F), nn.Linear(F, 6), nn.BatchNorm1d(6, affine=False), nn.LayerNorm(6)),
        (9, F),
        None,
    ),
    "norms without weights": (
        lambda: nn.Sequential(nn.LayerNorm(F, elementwise_affine=False), nn.Linear(F, 3), nn.LayerNorm(3, bias=False)),
        (B, F),
        None,
    ),
    "over time": (lambda: nn.Sequential(nn.Linear(F, 3), nn.LayerNorm(3, eps=1e-3)), (B, T, F), (T, F)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", SEQUENTIALS)
def test_sequentials(name: str) -> None:
    make, shape, input_shape = SEQUENTIALS[name]
    module, x = make(), data(*shape)
    for _ in range(3):
        module(torch.from_numpy(2 * x + 1))  # so that the moments move
    module.eval()
    model = from_torch(module, input_shape=input_shape)
    assert_close(model(x), outputs(module, x), 200)
    if "norm" not in name:  # in training the moments are those of the batch
        check_gradients(model, module, x)
    back = to_torch_state_dict(model)
    expected = {key: value for key, value in module.state_dict().items() if "num_batches" not in key}
    assert {key: back[key].tobytes() for key in expected} == {k: v.numpy().tobytes() for k, v in expected.items()}
    module.load_state_dict(tensors(back))


def test_batch_norm_trains_with_the_moments_of_the_batch() -> None:
    module, x = nn.Sequential(nn.Linear(F, 6), nn.BatchNorm1d(6, momentum=0.3)), data(16, F)
    model = from_torch(module)
    check_gradients(model, module, x)
    assert model.layers[1].momentum == 0.7 and model.layers[1].epsilon == 1e-5
    moved = to_torch_state_dict(model)
    assert_close(moved["1.running_mean"], module[1].running_mean.numpy(), 100)
    # PyTorch divides by the batch size less 1 here.
    assert_close(1 - moved["1.running_var"], 1 - (0.7 + (module[1].running_var.numpy() - 0.7) * 15 / 16), 100)


def test_embeddings() -> None:
    module, ids = nn.Sequential(nn.Embedding(11, F), nn.Linear(F, 2)), np.arange(10).reshape(2, 5)
    model = from_torch(module)
    assert_close(model(ids), outputs(module, ids), 100)
    module.load_state_dict(tensors(to_torch_state_dict(model)))


class Net(nn.Module):
    """What users write."""

    def __init__(self, bidirectional: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv1d(F, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.rnn = nn.LSTM(6, H, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.act = nn.ReLU()
        self.head = nn.Sequential(nn.Linear(H * (1 + bidirectional), 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x: Any) -> Any:
        x = self.act(self.norm(self.conv(x.transpose(1, 2))))
        y, (h, _) = self.rnn(x.transpose(1, 2))
        return self.head(self.act(torch.cat([h[-2], h[-1]], 1) if self.rnn.bidirectional else y[:, -1]))


CHAIN: list[Any] = [SWAP((2, 1)), "conv", "norm", "act", SWAP((2, 1)), "rnn", "[:, -1]", "act", "head"]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_described_chain(bidirectional: bool) -> None:
    module, x = Net(bidirectional), data(B, T, F)
    module(torch.from_numpy(x))
    module.eval()
    chain = ["h_n" if each == "[:, -1]" and bidirectional else each for each in CHAIN]
    model = from_torch(module, chain)
    assert not any(isinstance(each, layers.Permute) for each in model.layers)  # the two cancel
    assert_close(model(x), outputs(module, x), 200)
    assert to_torch_state_dict(model).keys() == module.state_dict().keys()
    module.load_state_dict(tensors(to_torch_state_dict(model)))
    if not bidirectional:
        stream = from_torch(module.rnn).stream()
        assert stream.step(np.ones(6, np.float32)).shape == (1, H)


class Small(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.rnn, self.fc = nn.GRU(F, H, batch_first=batch_first), nn.Linear(H, 2)

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x)[0])


def test_a_chain_may_hold_layers_with_the_names_of_modules() -> None:
    module, x = Small(), data(B, T, F)
    model = from_torch(module, [layers.Input((T, F)), "rnn", layers.Dense(2, name="fc")], name="small")
    assert model.name == "small" and model.input_shape == (None, T, F)
    assert_close(model(x), outputs(module, x), 200)


def test_axes_of_a_module_that_reads_time_first_are_not_swapped() -> None:
    with pytest.raises(ValueError, match="module 'rnn' has batch_first=False: PyTorch would swap batch and channels"):
        from_torch(Small(False), ["rnn", SWAP((2, 1)), "fc"])


def test_frozen_modules_stay_frozen() -> None:
    module = nn.Sequential(nn.Linear(F, 3), nn.Linear(3, 2))
    module[0].requires_grad_(False)
    assert [each.trainable for each in from_torch(module).layers] == [False, True]
    module[0].bias.requires_grad_(True)
    with pytest.raises(ValueError, match=r"module '0' \(Linear\) cannot be imported: some of its weights train"):
        from_torch(module)


def test_training_goes_the_same_way() -> None:
    module, x, y = nn.GRU(F, 1, batch_first=True), data(32, T, F), data(32, T, 1)
    model = from_torch(module)
    model.compile(pyrnn.optimizers.Adam(0.01, epsilon=1e-7), "mse")
    history = model.fit(x, y, batch_size=32, epochs=20, shuffle=False, verbose=0).history["loss"]
    optimizer, losses = torch.optim.Adam(module.parameters(), 0.01, eps=1e-7), []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(torch.from_numpy(x))[0], torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    np.testing.assert_allclose(history, losses, rtol=1e-5)


def test_half_precision_becomes_float32(tmp_path: Any) -> None:
    from safetensors.torch import save_file

    module, x = nn.GRU(F, H, batch_first=True).bfloat16(), data(B, T, F)
    model = from_torch(module)
    assert_close(model(x), outputs(module.float(), x), 100)
    save_file(module.half().state_dict(), tmp_path / "gru.safetensors")
    other = pyrnn.Sequential([layers.Input((None, F)), layers.GRU(H, return_sequences=True, name="l0")])
    load_torch_state_dict(other, read_safetensors(tmp_path / "gru.safetensors"))
    assert_close(other(x), outputs(module.float(), x), 100)


class Doubled(nn.Linear):
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


class Subclass(nn.GRU):
    """A class that computes what its base computes."""


def test_a_subclass_without_its_own_forward() -> None:
    module, x = Subclass(F, H, batch_first=True), data(B, T, F)
    assert_close(from_torch(module)(x), outputs(module, x), 100)


def hooked() -> Any:
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda *_: None)
    return module


def frozen_norm() -> Any:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).requires_grad_(False))


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: nn.LSTM(F, H, proj_size=2), r"module \(LSTM\) cannot be imported: proj_size must be 0, got 2: pyrnn has"),
    (lambda: nn.Conv2d(2, 2, 3), "Conv2d.*only recurrent modules, Linear"),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.PReLU()), r"module '1' \(PReLU\).*only recurrent"),
    (lambda: nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), "padding_mode must be 'zeros', got 'circular'"),
    (lambda: nn.Conv1d(2, 2, 3, stride=2, dilation=3), "stride or dilation must be 1, got 2 and 3"),
    (lambda: nn.Embedding(5, 2, padding_idx=0), "padding_idx must be None, got 0: set it to None"),
    (lambda: nn.Embedding(5, 2, max_norm=1.0), "max_norm must be None"),
    (lambda: nn.Embedding(5, 2, scale_grad_by_freq=True), "scale_grad_by_freq must be False"),
    (lambda: nn.BatchNorm1d(2, track_running_stats=False), "track_running_stats must be True, got False"),
    (lambda: nn.BatchNorm1d(2, momentum=None), "momentum must be a number, got None"),
    (frozen_norm, r"module '1' \(BatchNorm1d\).*its weights do not train"),
    (lambda: nn.LayerNorm((3, 2)), r"normalized_shape must have one axis, the features, got \(3, 2\)"),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)), "start_dim must be 1, got 0"),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softmax(0)), "dim must be -1, got 0"),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.GELU("tanh")), "approximate must be 'none', got 'tanh'"),
    (lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "it comes first and does not say what it reads: pass"),
    (lambda: Doubled(2, 2), r"Doubled.*defines another forward than Linear"),
    (hooked, "it has forward hooks"),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "it has parametrizations"),
    (Net, r"module \(Net\) cannot be imported: its class is custom: pass chain="),
    (lambda: nn.Sequential(nn.GRU(2, 2), nn.Flatten()), "Flatten.*would mix the samples of a batch"),
    (lambda: nn.Sequential(nn.GRU(2, 2), nn.GRU(2, 2, batch_first=True)), "must have the same batch_first"),
    (lambda: nn.Sequential(nn.Conv1d(2, 2, 1), nn.GRU(2, 2)), r"must have batch_first=True, or a Permute"),
]  # fmt: skip


@pytest.mark.parametrize("make, message", REFUSED)
def test_what_cannot_be_imported_is_named(make: Callable[[], Any], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = make()
    with pytest.raises(ValueError, match=message) as caught:
        from_torch(module)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "chain, message",
    [
        (["rn"], "chain names 'rn', which the module does not have; it has"),
        (["rnn", "[-1]"], r"with batch_first=True its last step is '\[:, -1\]', got '\[-1\]'"),
        (["[:, -1]", "rnn"], r"chain has '\[:, -1\]' in place 0: write it after the name of a recurrent module"),
        (["head", "h_n"], r"'head.2' \(Linear\) cannot be imported: it has no 'h_n'"),
        (["rnn", "rnn"], "the chain has it twice"),
        (["rnn"], "the state_dict holds 'conv.weight', which no layer of model"),
        ([], "chain must hold at least one"),
        ([layers.Dropout(0.5)], "comes first: pass input_shape"),
        ([3], "chain must hold names of modules and layers of pyrnn, got 3"),
    ],
)
def test_chains_that_do_not_fit(chain: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_torch(Net(), chain)


def test_the_last_step_of_a_bidirectional_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"it is bidirectional, and in .* its backward direction has read one step"):
        from_torch(Net(True), CHAIN)


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
def test_models_of_pyrnn_run_in_pytorch(name: str) -> None:
    """Of a trained model with other names."""
    classes = {"tanh": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    model = pyrnn.Sequential(
        [
            layers.Input((T, F)),
            layers.Bidirectional(classes[name](H, return_sequences=True, bias_initializer="normal")),
            classes[name](H, bias_initializer="normal"),
            layers.Dense(2),
        ]
    )
    first = KINDS[name](F, H, bidirectional=True, batch_first=True)
    second, head = KINDS[name](2 * H, H, batch_first=True), nn.Linear(H, 2)
    module = nn.ModuleDict({"first": first, "second": second, "head": head})
    module.load_state_dict(tensors(to_torch_state_dict(model, ["first", "second", "head"])))
    x = data(B, T, F)
    with torch.no_grad():
        expected = head(second(first(torch.from_numpy(x))[0])[0][:, -1]).numpy()
    assert_close(model(x), expected, 200)
