"""Windows hold the rows they claim, and splits by time leak nothing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pyrnn
from pyrnn.forecasting import panel, windows

HOURS = np.datetime64("2024-01-01T00", "us") + np.arange(60) * np.timedelta64(1, "h")


def two_series() -> dict[str, Any]:
    """Series of 60 and 25 rows; the second begins 20 hours later."""
    rows = np.concatenate([np.arange(60), np.arange(20, 45)])
    return {
        "when": HOURS[rows],
        "room": np.repeat(["a", "b"], [60, 25]),
        "heat": rows + np.repeat([0.0, 1000.0], [60, 25]),
        "people": rows * 10.0,
        "open": rows % 2,
        "size": np.repeat([3.0, 4.0], [60, 25]),
    }


def covered(**sizes: Any) -> Any:
    return windows(
        two_series(), "heat", past="people", future="open", static="size", group="room", date="when", **sizes
    )


@pytest.mark.parametrize("step", [1, 2, 7])
@pytest.mark.parametrize("lookback, horizon", [(1, 1), (5, 3), (20, 5), (24, 12)])
def test_windows_are_rows_of_their_series(lookback: int, horizon: int, step: int) -> None:
    made = covered(lookback=lookback, horizon=horizon, step=step)
    table = two_series()
    expected = 0
    for series in made.panel:
        expected += max(0, (len(series.target) - lookback - horizon) // step + 1)
    assert len(made) == expected
    rows = ((made.dates[:, 0] - HOURS[0]) / np.timedelta64(1, "h")).astype(int)
    for number, row in enumerate(rows):
        offset = 1000.0 * made.group[number]
        before, after = np.arange(row - lookback, row), np.arange(row, row + horizon)
        assert (made.past[number] == np.stack([before + offset, before * 10.0], axis=1)).all()
        assert (made.y[number, :, 0] == after + offset).all()
        assert (made.future[number, :, 0] == np.concatenate([before, after]) % 2).all()
        assert (made.dates[number] == HOURS[after]).all() and made.static[number] == 3 + made.group[number]
    assert made.past.dtype == made.future.dtype == made.static.dtype == made.y.dtype == np.float32
    assert table["heat"][59] in made.y and (len(made.panel[1].target) < lookback + horizon or 1044 in made.y)


def test_one_series_is_not_copied() -> None:
    made = windows(np.arange(1000.0), lookback=100, horizon=10, step=3)
    for array in (made.past, made.y, made.take(slice(5, 50)).past):
        base: NDArray[Any] = array
        assert np.shares_memory(base, made.past)


@pytest.mark.parametrize(
    "cuts", [(0.5,), (0.3, 0.7), ("2024-01-02T06",), (HOURS[30], HOURS[45].astype(object))], ids=str
)
@pytest.mark.parametrize("horizon", [1, 4])
def test_splits_share_no_targets(cuts: Any, horizon: int) -> None:
    made = covered(lookback=6, horizon=horizon)
    parts = made.split(*cuts)
    assert len(parts) == len(cuts) + 1
    for earlier, later in itertools.pairwise(parts):
        assert earlier.dates.max() < later.dates.min()
    # Only windows with targets on both sides are left out.
    lost = len(made) - sum(map(len, parts))
    assert lost <= 2 * len(cuts) * (horizon - 1)


def test_splits_of_rows_without_dates() -> None:
    made = windows(np.arange(50.0), lookback=5, horizon=2)
    before, after = made.split(30)
    assert before.y.max() == 29 and after.y.min() == 30


@pytest.mark.parametrize(
    "cuts, message",
    [
        ((), "at least one date or share, got none"),
        ((1.5,), r"shares in \(0, 1\), got 1.5"),
        ((0.8, 0.4), "cuts must ascend"),
        (("2030-01-01",), "none has all targets from 2030-01-01"),
        (("soon",), "date must be a date or a text"),
        ((30,), "date must be a date or a text"),
    ],
)
def test_bad_cuts(cuts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        covered(lookback=6, horizon=2).split(*cuts)


def test_windows_that_end_with_an_interpolated_row_are_left_out() -> None:
    values = np.arange(20.0)
    values[[7, 8]] = np.nan
    filled = windows(values, lookback=3, horizon=2, missing="interpolate")
    assert (filled.y[:, 0, 0] == filled.past[:, -1, 0] + 1).all()
    assert sorted(set(range(2, 18)) - set(filled.past[:, -1, 0].astype(int).tolist())) == [5, 6, 7, 8]
    assert filled.observed.all()
    longer = windows(values, lookback=3, horizon=4, missing="interpolate")
    assert len(longer) == 10 and (~longer.observed).sum(axis=1).tolist() == [0, 2, 2] + [0] * 7
    assert len(windows(values, lookback=3, horizon=2, missing="previous")) == 16
    cut = filled.panel.until(8)
    assert cut.target[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 6] and not cut.observed[7]


def test_a_model_trains_on_windows() -> None:
    pyrnn.utils.set_random_seed(0)
    wave = np.sin(np.arange(400) / 5)
    train, validation = windows(wave, lookback=20, horizon=3).split(0.8)
    model = pyrnn.Sequential([pyrnn.layers.LSTM(8, input_shape=(20, 1)), pyrnn.layers.Dense(3)])
    model.add(pyrnn.layers.Reshape((3, 1)))
    model.compile(pyrnn.optimizers.Adam(0.02), "mse")
    model.fit(train.inputs(), train.y, epochs=10, verbose=0, validation_data=(validation.inputs(), validation.y))
    assert model.evaluate(validation.inputs(), validation.y, verbose=0) < 0.1


def test_a_model_with_named_inputs_trains_on_windows() -> None:
    layers, made = pyrnn.layers, covered(lookback=6, horizon=2)
    past, future = layers.Input((6, 2), name="past"), layers.Input((8, 1), name="future")
    static, group = layers.Input((1,), name="static"), layers.Input((), dtype="int64", name="group")
    parts = [layers.LSTM(4)(past), layers.Flatten()(future), static, layers.Embedding(2, 2)(group)]
    output = layers.Reshape((2, 1))(layers.Dense(2)(layers.Concatenate()(parts)))
    model = pyrnn.Model({"past": past, "future": future, "static": static, "group": group}, output)
    model.compile("adam", "mae")
    history = model.fit(made.inputs(), made.y, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_panel_is_used_as_it_is() -> None:
    made = panel(np.arange(30.0))
    assert windows(made, lookback=4, horizon=2).panel is made and panel(made) is made
