"""Every layer with inputs that do not fit: an error of one sentence, not one of NumPy or pybind11."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layers.test_contract import ALL, make

import pyrnn
from pyrnn.layers import Input

INPUTS = [(), (None,), (None, None), (3,), (5, 0), (4, None), (None, 4), (5, 4), (5, 3, 4)]
SHAPES = [(), (2,), (2, 4), (2, 5, 4), (2, 5, 3), (2, 1, 4), (2, 5, 3, 4), (2, 0, 4), (2, 5, 0), (0, 5, 4)]
FOREIGN = re.compile(
    "incompatible|constructor|overload|C-contiguous|broadcast together|could not broadcast|cannot reshape|NoneType|"
    "unsupported operand|has no attribute|not subscriptable|out of bounds|axes don't match|too many indices|"
    "zero-size|inhomogeneous|positional argument|unexpected keyword|index out of range"
)


def refusal(call: Callable[[], Any]) -> str:
    """Return what is wrong with the error of a call; an empty string if it succeeds."""
    try:
        call()
    except (TypeError, ValueError) as error:
        message = str(error)
        return message if FOREIGN.search(message) or "\n" in message else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize(
    ("name", "arguments", "shape"), [each for each in ALL if "function" not in each[1]], ids=lambda value: str(value)
)
def test_inputs_that_do_not_fit_a_layer(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    def model(sizes: tuple[Any, ...]) -> pyrnn.Sequential:
        return pyrnn.Sequential([Input(sizes), make(name, arguments, "float32")])

    def called(size: tuple[int, ...], training: bool) -> None:
        layer = make(name, arguments, "float32")
        layer.build(shape)
        layer(np.ones(size), training=training)

    wrong = set()
    for sizes in INPUTS:
        wrong.add(refusal(lambda sizes=sizes: make(name, arguments, "float32").compute_output_shape(sizes)))  # type: ignore[misc]
        wrong.add(refusal(lambda sizes=sizes: make(name, arguments, "float32").build(sizes)))  # type: ignore[misc]
        wrong.add(refusal(lambda sizes=sizes: model(sizes).stream(2)))  # type: ignore[misc]
        for size in SHAPES:
            wrong.add(refusal(lambda sizes=sizes, size=size: model(sizes).predict(np.ones(size), verbose=0)))  # type: ignore[misc]
            wrong.add(refusal(lambda sizes=sizes, size=size: model(sizes).stream(2).step(np.ones(size))))  # type: ignore[misc]
    for size in SHAPES:
        for training in (False, True):
            wrong.add(refusal(lambda size=size, training=training: called(size, training)))  # type: ignore[misc]
    assert wrong == {""}
