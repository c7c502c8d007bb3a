"""`pyrnn.utils.legacy`: classes of tools in Keras 2's form, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyrnn import regularizers, saving
from pyrnn.utils.legacy import deserialize_keras_object, serialize_keras_object


class Range:
    """A class of a tool, which knows nothing of pyrnn."""

    def __init__(self, low: int, penalty: Any = None, scale: Any = None, options: Any = None) -> None:
        self.low, self.penalty, self.scale, self.options = low, penalty, scale, options

    def get_config(self) -> dict[str, Any]:
        return {"low": self.low, "penalty": self.penalty, "scale": self.scale, "options": self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Range:
        return cls(**config)


def double(x: float) -> float:
    return 2 * x


OPTIONS = {"class_name": "a key", "config": "another"}


def test_objects_in_objects_and_functions() -> None:
    """A dict of the same keys is no description."""
    text = json.dumps(serialize_keras_object(Range(3, regularizers.L2(0.5), double, OPTIONS)))
    again = deserialize_keras_object(json.loads(text), {"Range": Range, "double": double}, {"L2": regularizers.L2})
    assert (again.low, again.penalty.l2, again.scale, again.options) == (3, 0.5, double, OPTIONS)


def test_registered_names_come_first() -> None:
    with saving.custom_object_scope({"Range": Range}):
        assert isinstance(deserialize_keras_object({"class_name": "Range", "config": {"low": 1}}), Range)


@pytest.mark.parametrize("value", [None, double])
def test_what_is_returned_as_it_is(value: Any) -> None:
    assert deserialize_keras_object(value) is value
    assert serialize_keras_object(value) == (None if value is None else "double")


def test_names_of_classes_and_functions() -> None:
    names = {"L2": regularizers.L2, "double": double}
    assert isinstance(deserialize_keras_object("L2", names), regularizers.L2)
    assert deserialize_keras_object("double", names) is double


def test_a_function_that_makes_an_object() -> None:
    assert deserialize_keras_object({"class_name": "double", "config": {"x": 4}}, {"double": double}) == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: serialize_keras_object(3), "instance must have get_config or a name, got 3"),
        (
            lambda: deserialize_keras_object("Range"),
            r"object 'Range' is unknown: pass custom_objects=\{'Range'",
        ),
        (
            lambda: deserialize_keras_object({"class_name": 3, "config": {}}),
            "object 3 is unknown: pass custom",
        ),
        (lambda: deserialize_keras_object({"config": {}}, printable_module_name="tuner"), "tuner must be a name or a "),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
