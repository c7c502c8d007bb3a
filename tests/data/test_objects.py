"""Numbers in object arrays and tables are converted; an error names anything else with its column."""

from __future__ import annotations

import decimal
import fractions
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, utils
from pyrnn.data import as_array

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(8, 3)).astype(np.float32)

NUMBERS: dict[str, tuple[Any, Any, str]] = {
    "floats": ([[1.5, 2.0], [3.0, 4.0]], [[1.5, 2.0], [3.0, 4.0]], "float64"),
    "mixed": ([[1, 2.5], [True, np.float32(4)]], [[1, 2.5], [1, 4]], "float64"),
    "whole": ([[1, 2], [np.int8(3), False]], [[1, 2], [3, 0]], "int64"),
    "flags": ([[True, False], [np.True_, np.False_]], [[1, 0], [1, 0]], "int64"),
    "decimals": ([[decimal.Decimal("0.5"), fractions.Fraction(1, 4)]], [[0.5, 0.25]], "float64"),
    "huge": ([[10**30, 1]], [[1e30, 1]], "float64"),
    "gaps": ([[1.0, float("nan")]], [[1.0, np.nan]], "float64"),
    "nothing": ([], [], "float64"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_objects_that_are_numbers(case: str) -> None:
    value, expected, dtype = NUMBERS[case]
    array = as_array("x", np.array(value, object))
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(expected, float))


def _trained(x: Any, y: Any) -> list[Any]:
    utils.set_random_seed(0)
    model = pyrnn.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(x, y, shuffle=False, verbose=0, validation_split=0.25).history
    return [history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0).tolist(), model.train_on_batch(x, y)]


def test_objects_train_as_the_numbers_they_are() -> None:
    flags = TABLE > 0
    expected = _trained(flags.astype("float32"), TABLE[:, 0])
    assert _trained(flags, TABLE[:, 0]) == expected
    assert _trained(flags.astype(object), TABLE[:, 0].astype(object)) == expected
    assert _trained(flags.astype(object).tolist(), TABLE[:, 0].tolist()) == expected


def test_tables_of_several_kinds() -> None:
    pandas = pytest.importorskip("pandas", reason="reads tables of an optional package")
    frame = pandas.DataFrame({"size": [1.5, 2.5, 3.5], "color": ["red", "blue", "red"]})
    dummies = pandas.get_dummies(frame)
    assert dummies.values.dtype == object  # floats and flags
    expected = np.array([[1.5, 0, 1], [2.5, 1, 0], [3.5, 0, 1]])
    for value in (dummies, dummies.values, dummies.astype(object)):
        array = as_array("x", value)
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, expected)
    gaps = pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": pandas.Series([1, 2.5], dtype=object)})
    np.testing.assert_array_equal(as_array("x", gaps), [[1, 1], [np.nan, 2.5]])
    codes = pandas.Series([3, 1, 3]).astype("category")
    np.testing.assert_array_equal(as_array("y", codes), [3, 1, 3])


def _frame(**columns: Any) -> Callable[[], Any]:
    def make() -> Any:
        pandas = pytest.importorskip("pandas", reason="reads tables of an optional package")
        return pandas.DataFrame({"value": [1.0, 2.0], **{k: c(pandas) for k, c in columns.items()}})

    return make


ASTYPE = r'convert it first, such as by \.astype\("float32"\)'
NOT_NUMBERS: dict[str, tuple[Callable[[], Any], str]] = {
    "column of texts": (_frame(city=lambda p: ["Rome", "Oslo"]), f"column 'city' holds 'Rome': {ASTYPE}"),
    "column of numbers as texts": (_frame(price=lambda p: ["1", "2"]), f"column 'price' holds '1': {ASTYPE}"),
    "column of dates": (
        _frame(day=lambda p: p.to_datetime(["2020-01-01", "2020-01-02"])),
        r"column 'day' holds dates \(datetime64\[.*\]\): leave it out or convert it to numbers",
    ),
    "dates with a time zone": (
        _frame(day=lambda p: p.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("UTC")),
        r"column 'day' holds dates \(datetime64\[.*UTC\]\)",
    ),
    "column of times": (_frame(wait=lambda p: p.to_timedelta([1, 2], "h")), "column 'wait' holds times"),
    "column of categories": (_frame(kind=lambda p: p.Categorical(["b", "a"])), "column 'kind' holds 'b'"),
    "column with gaps": (_frame(kind=lambda p: p.array([1, None], object)), "column 'kind' holds None"),
    "only dates": (
        lambda: _frame(day=lambda p: p.to_datetime(["2020-01-01", "2020-01-02"]))().drop(columns="value"),
        "column 'day' holds dates",
    ),
    "series": (lambda: _frame(city=lambda p: ["Rome", "Oslo"])()["city"], "the Series 'city' holds 'Rome'"),
    "series of dates": (
        lambda: _frame(day=lambda p: p.to_datetime(["2020-01-01", "2020-01-02"]))()["day"].rename(None),
        "the Series holds dates",
    ),
    "array": (lambda: np.array([[1, 2], [3, "a"]], object), f"column 1 holds 'a': {ASTYPE}"),
    "missing": (lambda: [[1.0, 2.0], [None, 3.0]], "column 0 holds None"),
    "list": (lambda: np.array([1, "b"], object), "it holds 'b'"),
    "arrays": (lambda: np.array([np.ones(2), np.ones(3)], object), r"it holds array\(\[1., 1.\]\): stack arrays"),
    "texts": (lambda: np.array(["1", "2"]), f"got dtype <U1: {ASTYPE}"),
    "dates": (lambda: np.zeros(2, "M8[D]"), r"got dtype datetime64\[D\]$"),
    "complex": (lambda: np.array([1j, 2], object), "it holds 1j"),
    "nothing": (lambda: None, "got None$"),
}


@pytest.mark.parametrize("name", ["x", "y", "sample_weight"])
@pytest.mark.parametrize("case", NOT_NUMBERS)
def test_what_is_no_number_is_named(case: str, name: str) -> None:
    make, message = NOT_NUMBERS[case]
    with pytest.raises(TypeError, match=f"{name} must hold numbers, (but )?{message}") as caught:
        as_array(name, make())
    assert len(str(caught.value).splitlines()) == 1
    if case == "nothing":
        return
    model = pyrnn.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    data: dict[str, Any] = {"x": np.ones((2, 2)), "y": np.ones((2, 1)), name: make()}
    with pytest.raises(TypeError, match=f"{name} must hold numbers"):
        model.fit(**data, verbose=0)


class Pairs(utils.PyDataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return TABLE[4 * index : 4 * index + 4], np.zeros((4, 3))


class Lists:
    """Batches [x, y] of equal shapes, as a DataLoader makes them."""

    def __iter__(self) -> Iterator[Any]:
        for x, y in Pairs():
            yield [x, y]


def _moments(data: Any) -> list[Any]:
    layer = layers.Normalization()
    layer.adapt(data)
    return [weight.tolist() for weight in layer.get_weights()]


def test_normalization_adapts_to_data_of_every_form() -> None:
    expected = _moments(TABLE)
    np.testing.assert_allclose(expected[0], TABLE.mean(axis=0), rtol=1e-6)
    for data in (Pairs(), Lists(), iter([TABLE[:5], TABLE[5:]]), TABLE.astype(object)):
        for first, other in zip(_moments(data), expected, strict=True):
            np.testing.assert_allclose(first, other, rtol=1e-5)
    pandas = pytest.importorskip("pandas", reason="reads tables of an optional package")
    frame = pandas.DataFrame(TABLE, columns=["a", "b", "c"], index=list("hgfedcba"))
    assert _moments(frame) == expected
    assert _moments(frame["b"]) == _moments(TABLE[:, 1:2])
    assert _moments(frame.assign(b=frame["b"].astype(object))) == expected
    torch = pytest.importorskip("torch", reason="reads tensors of an optional package")
    assert _moments(torch.from_numpy(TABLE)) == expected
    with pytest.raises(TypeError, match="data must hold numbers, but column 'b' holds 'x'"):
        _moments(frame.assign(b="x"))


def test_normalization_scales_a_column_of_a_table() -> None:
    pandas = pytest.importorskip("pandas", reason="reads tables of an optional package")
    series = pandas.Series(TABLE[:, 0])
    layer = layers.Normalization()
    layer.adapt(series)
    model = pyrnn.Sequential([layers.Input((1,)), layer])
    scaled = model.predict(series, verbose=0)
    assert scaled.shape == (8, 1) and abs(scaled.mean()) < 1e-6 and abs(scaled.std() - 1) < 1e-6
