"""How results of the compiled core and of its twin are compared, for the tests of the kernel."""

from __future__ import annotations

from typing import Any

from tolerance import assert_close

from pyrnn.reference.activations import ACTIVATIONS as REFERENCE

ACTIVATIONS = [name for name in REFERENCE if name != "glu"]
DTYPES = ["float32", "float64"]


def compare(actual: dict[str, Any], expected: dict[str, Any], terms: int) -> None:
    """The same results by name, within the rule."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(actual[name], value, terms, name)


def assert_same_bits(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    """The same results to the last bit."""
    for name, value in expected.items():
        assert value.tobytes() == actual[name].tobytes(), name
