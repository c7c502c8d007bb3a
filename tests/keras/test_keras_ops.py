"""Operations give what keras.ops gives: values and dtypes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from ops.cases import CASES, Case

from pyrnn.ops.dispatch import OPERATIONS


def arrays(result: Any) -> list[Any]:
    entries = result if isinstance(result, list | tuple) else [result]
    return [keras.ops.convert_to_numpy(each) for each in entries]


# On PyTorch, Keras's sparsemax subtracts the threshold of another row: its rows do not add up to 1.
@pytest.mark.parametrize("case", [case for case in CASES if case.name != "sparsemax"])
def test_values_are_those_of_keras(case: Case) -> None:
    theirs = getattr(keras.ops, case.name, None) or getattr(keras.activations, case.name)
    args = [keras.ops.convert_to_tensor(each) if isinstance(each, np.ndarray) else each for each in case.args]
    expected, result = arrays(theirs(*args, **case.kwargs)), arrays(OPERATIONS[case.name](*case.args, **case.kwargs))
    assert len(result) == len(expected)
    for ours, other in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, other, rtol=2e-5, atol=2e-6)
        assert ours.shape == other.shape
        if case.name not in ("shape", "ndim", "size"):
            assert ours.dtype == other.dtype or (case.name == "top_k" and other.dtype == np.int64)  # as on TensorFlow
