"""Defects of the bindings that fuzzing and review have discovered."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from fuzz.test_bindings import BAD_ARRAYS, REFUSALS
from pyrnn import _core


class Anew:
    """A sequence that creates its arrays at each access."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.shapes = shapes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full(self.shapes[index], 0.5, np.float32)


def test_arrays_of_a_sequence_are_held() -> None:
    stream = _core.Stream32(3, 4)
    stream.add_recurrent("lstm", np.ones((4, 20), np.float32), np.ones((5, 20), np.float32), None, "tanh", "sigmoid")
    for _ in range(50):
        stream.set_states(Anew((3, 5), (3, 5)))
        assert all((state == 0.5).all() for state in stream.states())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_bandwidth_of_a_few_bytes(size: int) -> None:
    assert _core.read_bandwidth(size) > 0  # a division by 0 ended the process


@pytest.mark.parametrize("size", [0, -1, 2**33, 2**62])
def test_bandwidth_of_too_many_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="bytes must lie in"):
        _core.read_bandwidth(size)


def test_byte_orders_and_addresses() -> None:
    x = np.arange(4, dtype=np.float32).reshape(1, 4)
    for kind, other in itertools.product(["swapped", "misaligned", "fortran", "strided"], [x, x[0]]):
        stream = _core.Stream32(1, 4)
        stream.add_activation("linear")
        assert np.array_equal(stream.step(BAD_ARRAYS[kind](other))[0], x[0]), kind
    for kind in ("swapped", "misaligned"):
        with pytest.raises(REFUSALS):
            _core.activation_forward(BAD_ARRAYS[kind](x), "tanh")


@pytest.mark.parametrize("kind", [_core.Stream32, _core.Stream64])
def test_lists_are_steps_too(kind: Any) -> None:
    stream = kind(1, 2)
    stream.add_activation("linear")
    assert stream.step([[1, 2]]).tolist() == stream.step([1.0, 2.0]).tolist() == [[1.0, 2.0]]  # Stream64 rejected them


def test_a_wrong_kind_is_no_runtime_error() -> None:
    x, w = np.ones((2, 3, 4), np.float32), np.ones((4, 8), np.float32)
    stream = _core.Stream32(1, 4)
    with pytest.raises(TypeError, match="rows must be an integer"):
        stream.reset(["a"])
    with pytest.raises(TypeError, match="recurrent_activation must be a name"):
        stream.add_recurrent("lstm", w, np.ones((2, 8), np.float32), None, "tanh", 3)  # type: ignore[arg-type]
    options: dict[str, Any] = {"activation": "tanh", "training": False, "workspace": _core.Workspace()}
    with pytest.raises(TypeError, match="version must be an integer"):
        _core.dense_forward(x, w, None, version="new", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="version must fit into 64 bits"):
        _core.dense_forward(x, w, None, version=2**70, **options)


STREAM_CALLS: dict[str, tuple[Any, ...]] = {
    "step": (np.ones((1, 2), np.float32),), "states": (), "set_states": ([],), "reset": ([0],),
    "add_activation": ("tanh",), "add_dense": (np.ones((2, 2), np.float32), None, "tanh"),
    "add_layer_norm": (None, None, 1e-3),
    "add_recurrent": ("simple_rnn", W := np.ones((2, 2), np.float32), W, None, "tanh", None),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAM_CALLS)
@pytest.mark.parametrize("kind", [_core.Stream32, _core.Stream64])
def test_a_stream_that_no_constructor_has_seen(kind: Any, name: str) -> None:
    """`__new__` without `__init__`, or with one that failed, used to read uninitialized memory."""
    stream = kind.__new__(kind)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Stream.*__init__\(\) must be called"):
            getattr(stream, name)(*STREAM_CALLS[name])
        with pytest.raises(ValueError, match="batch must be at least 1"):
            stream.__init__(0, 1)
    stream.__init__(1, 2)
    stream.add_activation("linear")
    stream.__init__(5, 7)  # a second time it does nothing
    assert stream.step([[1, 2]]).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("kind", [_core.Chain32, _core.Chain64])
def test_a_chain_that_no_constructor_has_seen(kind: Any) -> None:
    dtype = np.float32 if kind is _core.Chain32 else np.float64
    kernel, chain = np.eye(2, dtype=dtype), kind.__new__(kind)
    for name, arguments in (
        ("add_dense", (kernel, None, "linear", kernel.copy(), None, _core.Workspace())),
        ("squared_error", (kernel, kernel)),
    ):
        with pytest.raises(TypeError, match=r"Chain.*__init__\(\) must be called"):
            getattr(chain, name)(*arguments)
    chain.__init__()
    chain.add_dense(kernel, None, "linear", kernel.copy(), None, _core.Workspace())
    chain.__init__()  # a second time it does nothing
    assert chain.squared_error(kernel, kernel)[0] == 0.0


def test_a_workspace_that_no_constructor_has_seen() -> None:
    workspace, x = _core.Workspace.__new__(_core.Workspace), np.ones((2, 2), np.float32)
    options: dict[str, Any] = {"activation": "tanh", "training": False, "version": None}
    with pytest.raises(TypeError, match=r"Workspace.*__init__\(\) must be called"):
        _core.dense_forward(x, x, None, workspace=workspace, **options)
    workspace.__init__()  # type: ignore[misc]
    assert _core.dense_forward(x, x, None, workspace=workspace, **options)[0].shape == (2, 2)


def test_no_class_of_the_core_lacks_the_check() -> None:
    """Add new ones to the tests above."""
    assert {name for name in vars(_core) if isinstance(getattr(_core, name), type)} == {
        "Chain32",
        "Chain64",
        "Stream32",
        "Stream64",
        "Workspace",
    }


def test_sizes_do_not_overflow() -> None:
    with pytest.raises(ValueError, match="batch must be at most"):
        _core.Stream32(2**62, 4)
    with pytest.raises(ValueError, match="batch must be at most"):
        _core.Stream64(2**31 - 1, 2**31 - 1)
    x, w = np.ones((1, 3, 1), np.float32), np.ones((2, 1, 1), np.float32)
    options: dict[str, Any] = {
        "activation": "linear",
        "training": False,
        "workspace": _core.Workspace(),
        "version": None,
    }
    for strides, dilation, word in ((2**62, 1, "strides"), (1, 2**62, "dilation_rate"), (1, 2**30, "dilation_rate")):
        for padding in ("same", "causal"):
            with pytest.raises(ValueError, match=word):
                _core.conv1d_forward(x, w, None, strides=strides, padding=padding, dilation_rate=dilation, **options)
    with pytest.raises(ValueError, match="strides"):
        _core.pool1d_forward(x, mode="max", pool_size=1, strides=2**63 - 1, padding="same")
