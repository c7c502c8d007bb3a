"""The table of scores against numbers computed by hand and scikit-learn's metrics."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from pyrnn.forecasting import Scores, scores

NAN = float("nan")
RANDOM = np.random.default_rng(3)
TRUE, PREDICTED = RANDOM.normal(size=(2, 30, 7)) + 4
LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]
BOUNDS = np.sort(RANDOM.normal(size=(30, 7, 5)) + 4, axis=-1)


def row(*args: Any, **options: Any) -> dict[str, Any]:
    """The only row of a table."""
    (only,) = scores(*args, **options).rows
    return only


def test_scores_equal_numbers_computed_by_hand() -> None:
    # Errors 1, 2, 4 and 2 of 2, 0, 5 and -1.
    scored = row([[2.0, 0.0], [5.0, -1.0]], [[1.0, 2.0], [9.0, 1.0]], train=[1.0, 3.0, 6.0, 6.0], season=2)
    assert scored == pytest.approx(
        {
            "forecast": "forecast",
            "MAE": 9 / 4,
            "RMSE": 2.5,
            "MAPE": 100 * (1 / 2 + 4 / 5 + 2) / 3,
            "sMAPE": 200 * (1 / 3 + 1 + 4 / 14 + 1) / 4,
            "WAPE": 100 * 9 / 8,
            "MASE": 9 / 4 / 4,  # the scale is that of 6 - 1 and 6 - 3
        }
    )


def test_scores_equal_those_of_scikit_learn() -> None:
    from sklearn import metrics

    scored = row(TRUE, BOUNDS, quantiles=LEVELS)
    true, point = TRUE.ravel(), BOUNDS[..., 2].ravel()
    pinball = [metrics.mean_pinball_loss(true, BOUNDS[..., i].ravel(), alpha=level) for i, level in enumerate(LEVELS)]
    assert scored["MAE"] == pytest.approx(metrics.mean_absolute_error(true, point))
    assert scored["RMSE"] == pytest.approx(metrics.mean_squared_error(true, point) ** 0.5)
    assert scored["MAPE"] == pytest.approx(100 * metrics.mean_absolute_percentage_error(true, point))
    assert scored["pinball"] == pytest.approx(np.mean(pinball))


def test_coverage_counts_both_ends_of_an_interval() -> None:
    bounds = np.array([[[1.0, 2.0, 3.0]] * 5])
    scored = row([[1.0, 3.0, 2.0, 0.9, 3.1]], bounds, quantiles=[0.1, 0.5, 0.9])
    assert scored["coverage 80"] == pytest.approx(3 / 5)


def test_each_pair_of_quantiles_has_a_coverage_of_its_width() -> None:
    names = list(row(TRUE, BOUNDS, quantiles=LEVELS))
    assert names[-2:] == ["coverage 80", "coverage 95"]
    assert list(row(TRUE, BOUNDS[..., :3], quantiles=LEVELS[:3]))[-1] == "pinball"


def test_exact_quantiles_cover_what_they_say() -> None:
    drawn = np.random.default_rng(1).uniform(size=(4000, 1))
    bounds = np.broadcast_to(np.array(LEVELS), (4000, 1, 5))
    scored = row(drawn, bounds, quantiles=LEVELS)
    assert scored["coverage 80"] == pytest.approx(0.8, abs=0.03)
    assert scored["coverage 95"] == pytest.approx(0.95, abs=0.02)


def test_unknown_values_do_not_count() -> None:
    true, predicted = TRUE.copy(), PREDICTED.copy()
    true[3] = true[5, 2] = NAN
    predicted[3] = NAN
    present = ~np.isnan(true)
    assert row(true, predicted) == row(true[present][None], predicted[present][None])


def test_mase_is_the_mean_over_series_whatever_their_rows() -> None:
    train = {"a": [0.0, 1.0, 2.0], "b": [0.0, 10.0, NAN, 5.0, 15.0]}
    table = scores([[1.0]] * 3 + [[20.0]], [[3.0]] * 3 + [[10.0]], groups=["a", "a", "a", "b"], train=train)
    assert table.rows[0]["MASE"] == (2 / 1 + 10 / 10) / 2
    rows = scores(
        [[1.0]] * 3 + [[20.0]], [[3.0]] * 3 + [[10.0]], groups=["a", "a", "a", "b"], train=train, by="group"
    ).rows
    assert [(each["group"], each["MASE"]) for each in rows] == [("a", 2.0), ("b", 1.0)]


@pytest.mark.parametrize(
    "train", [[4.0, 4.0, 4.0], [1.0], [1.0, NAN, 3.0], []], ids=["constant", "short", "gap", "none"]
)
def test_mase_leaves_out_series_without_a_scale_and_names_them(train: list[float]) -> None:
    options: dict[str, Any] = {"groups": ["a", "b"], "train": {"a": train, "b": [0.0, 2.0]}}
    table = scores([[1.0], [2.0]], [[2.0], [3.0]], **options)
    assert table.rows[0]["MASE"] == 0.5 and table.unscaled == ["a"]
    assert np.isnan(row([[1.0]], [[2.0]], train=train)["MASE"])


def test_rows_by_step_and_by_group_are_the_scores_of_these_elements() -> None:
    groups = np.arange(30) % 3
    by_step = scores(TRUE, BOUNDS, quantiles=LEVELS, by="step").rows
    by_group = scores(TRUE, BOUNDS, quantiles=LEVELS, by="group", groups=groups).rows
    assert [each["step"] for each in by_step] == [1, 2, 3, 4, 5, 6, 7]
    for i, each in enumerate(by_step):
        expected = row(TRUE[:, i : i + 1], BOUNDS[:, i : i + 1], quantiles=LEVELS)
        assert {**expected, "step": i + 1} == each
    for i, each in enumerate(by_group):
        assert {**row(TRUE[groups == i], BOUNDS[groups == i], quantiles=LEVELS), "group": i} == each


def test_all_that_is_zero_has_no_percentages() -> None:
    scored = row([[0.0, 0.0]], [[0.0, 0.0]])
    assert scored["sMAPE"] == scored["MAE"] == 0
    assert np.isnan(scored["MAPE"]) and np.isnan(scored["WAPE"])


def test_the_table_is_text_markdown_and_a_frame() -> None:
    table = scores(TRUE, {"a [b] | c": BOUNDS, "point": PREDICTED}, quantiles=LEVELS)
    lines = str(table).splitlines()
    assert len(lines) == 4 and lines[0].split() == [*list(table.rows[0])[:7], "coverage", "80", "coverage", "95"]
    assert lines[2].startswith("a [b] | c ") and lines[3].endswith("-             -")
    assert table.markdown().splitlines()[0].startswith("| forecast | MAE |")
    assert table.markdown().splitlines()[2].startswith("| a [b] \\| c |")


def test_a_frame_has_the_rows_of_the_table() -> None:
    import pandas

    table = scores(TRUE, {"bounds": BOUNDS, "point": PREDICTED}, quantiles=LEVELS)
    pandas.testing.assert_frame_equal(table.frame(), pandas.DataFrame(table.rows))


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"Scores\.frame needs pandas"):
        Scores([{"forecast": "a", "MAE": 1.0}]).frame()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_true": [[[1.0]]]}, r"y_true must have shape \(N, horizon\), got \(1, 1, 1\)"),
        ({"y_true": [["a"]]}, "y_true must be an array of numbers"),
        ({"y_true": [[np.inf]]}, "y_true must hold finite numbers or NaN"),
        ({"forecasts": [[1.0, 2.0, 3.0]]}, r"forecasts must have shape \(N, horizon\) = \(1, 2\), got \(1, 3\)"),
        ({"forecasts": [[[1.0], [2.0]]]}, "did you forget quantiles"),
        ({"forecasts": [[NAN, 2.0]]}, "forecasts must be numbers wherever y_true is one, got NaN"),
        ({"forecasts": {}}, "forecasts must hold at least one forecast"),
        ({"quantiles": [0.1, 0.9]}, "quantiles must be numbers between 0 and 1 in increasing order, 0.5 among them"),
        ({"quantiles": [0.5, 0.1]}, "quantiles must be"),
        ({"quantiles": 0.5}, "quantiles must be"),
        ({"groups": ["a", "b"]}, "groups must have one label for each of the 1 rows"),
        ({"groups": ["a"], "train": {"b": [1.0]}}, "train must have the training rows of every group, 'a' is missing"),
        ({"train": [[1.0]]}, r"train must have shape \(time,\) for each group, got \(1, 1\)"),
        ({"by": "month"}, "by must be"),
        ({"season": 0}, "season must be"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    arguments = {"y_true": [[1.0, 2.0]], "forecasts": [[1.0, 2.0]], **options}
    with pytest.raises(ValueError, match=message):
        scores(arguments.pop("y_true"), arguments.pop("forecasts"), **arguments)
