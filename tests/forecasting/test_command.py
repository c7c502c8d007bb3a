"""`pyrnn forecast`: any file to a table, a CSV file and a picture, and errors in one sentence."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pyrnn import cli, demo, demo_series

START = np.datetime64("2024-01-01", "D")
QUICK = ["--epochs", "1", "--lookback", "14"]


def german_sales(path: Path, rows: int = 140, later: int = 10) -> Path:
    """Daily sales with decimal commas, a gap, a promotion known for ten more days, and columns of no use."""
    lines = ["Datum;Umsatz;Aktion;Notiz;Land"]
    for row in range(rows + later):
        day = (START + row).item().strftime("%d.%m.%Y")
        sales = f"{100 + 20 * (row % 7 == 5) + 30 * (row % 10 == 3):.2f}".replace(".", ",") if row < rows else ""
        if row != 50:
            lines.append(f"{day};{sales};{int(row % 10 == 3)};{'a' if row % 2 else 'b'};DE")
    path.write_text("\n".join(lines), encoding="utf-16")
    return path


def shops(path: Path) -> Path:
    lines = ["day,shop,price,sales"]
    lines += [
        f"{START + day},{shop},{day % 3},{day % 7}" for shop in ("north", "south", "east", "west") for day in range(90)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def forecast(*arguments: object) -> int:
    return cli.main(["forecast", *map(str, arguments)])


def test_a_file_of_sales(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output, picture = german_sales(tmp_path / "sales.csv"), tmp_path / "next.csv", tmp_path / "next.png"
    arguments = ["--target", "Umsatz", "--future", "Aktion", "--output", output, "--plot", picture, *QUICK]
    assert forecast(file, *arguments) == 0
    out = capsys.readouterr().out
    for text in (
        "sales.csv: 149 rows, UTF-16, separated by ';', decimal commas, 'Datum' as day.month.year",
        "columns: target 'Umsatz'; date 'Datum'; future 'Aktion'; not used: 'Notiz' (categories, not named), "
        "'Land' (always the same)",
        "1 series from 2024-01-01 on, a step of 'D'",
        "note: the series lacks 1 date: 2024-02-20; filled",
        "season of 7 rows",
    ):
        assert text in out
    with output.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    # As many rows as have a promotion but no sales.
    assert [row["Datum"] for row in rows] == [str(START + 140 + step) for step in range(10)]
    quantiles = np.array(
        [[float(row[name]) for name in ("q0.025", "q0.1", "Umsatz", "q0.9", "q0.975")] for row in rows]
    )
    assert (np.diff(quantiles, axis=1) >= 0).all() and all(row["Datum"] in out for row in rows)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_group_is_the_column_that_separates_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        forecast(shops(tmp_path / "shops.csv"), "--target", "sales", "--horizon", "7", "--past", "price", *QUICK) == 0
    )
    out = capsys.readouterr().out
    assert "group 'shop', since dates repeat; past 'price'" in out and "4 series from 2024-01-01" in out
    assert "north" in out and "east" in out and "west" not in out
    assert "... 28 rows in all: 4 series, 7 steps; --output writes them to a file" in out


def test_a_group_of_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prices separate the dates too, but each is there once."""
    lines = ["day,price,shop,sales"]
    lines += [f"{START + day},{7 * day + shop},{shop},{day % 7}" for day in range(60) for shop in (1, 2, 3)]
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert forecast(path, "--target", "sales", "--horizon", "3", *QUICK) == 0
    assert "group 'shop', since dates repeat; not used: 'price'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["nowhere.csv", "--target", "Umsatz"], "nowhere.csv"),
        (["FILE", "--target", "Umsaz"], "--target: there is no column 'Umsaz', but 'Datum', 'Umsatz'"),
        (["FILE", "--target", "Umsatz", "--group", "Shop"], "--group: there is no column 'Shop'"),
        (
            ["FILE", "--target", "Notiz"],
            "target must name columns of numbers, got 'Notiz', which holds text such as 'b': only numbers and "
            "empty fields can be forecast",
        ),
        (
            ["FILE", "--target", "Umsatz", "--date", "Notiz"],
            "date must name a column of dates of one form, got 'Notiz'",
        ),
        (["FILE", "--target", "Umsatz", "--missing", "raise"], "the series lacks 1 date: 2024-02-20"),
        (["FILE", "--target", "Umsatz", "--output", "nowhere/out.csv"], "--output: there is no folder 'nowhere'"),
        (["FILE", "--target", "Umsatz", "--plot", "nowhere/out.png"], "--plot: there is no folder 'nowhere'"),
        (["FILE", "--target", "Umsatz", "--future", "Aktion", "--horizon", "20"], "future"),
        (["FILE", "--target", "Umsatz", "--horizon", "200"], "pass a shorter horizon"),
    ],
)
def test_errors_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    file = german_sales(tmp_path / "sales.csv")
    assert forecast(*(file if argument == "FILE" else argument for argument in arguments), *QUICK) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and error.startswith("pyrnn forecast: ")


def test_the_demo_chooses_what_three_years_of_daily_sales_need(tmp_path: Path) -> None:
    """1,096 rows with a week's pattern; the defaults for hourly data would be too large."""
    lines = ["date,sales", *(f"{START + day},{100 + 20 * (day % 7 == 5) + day % 3}" for day in range(1096))]
    path = tmp_path / "daily.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    series = demo_series.csv_series(path, "sales", None)
    assert series.season == 7
    task = demo.make_task(series, demo.default_window(series))
    size = demo.default_batch_size(len(task.train), len(task.validation))
    assert (task.window, size) == (100, 32) and len(task.train) >= demo.BATCHES * size
    flights = demo_series.flight_series()
    hourly = demo.make_task(flights, demo.default_window(flights))
    assert (hourly.window, demo.default_batch_size(len(hourly.train), len(hourly.validation))) == (100, 128)
