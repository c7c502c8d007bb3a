"""Files of every kind are read as meant, and what was decided is said."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn.forecasting import panel, read_table

DAYS = np.arange("2023-12-20", "2024-02-20", dtype="datetime64[D]")
SALES = 1000 + np.arange(len(DAYS)) * 12.25


def dates_as(form: str) -> list[str]:
    return [day.strftime(form) for day in DAYS.tolist()]


def read(tmp_path: Path, text: str | bytes, encoding: str = "utf-8", **arguments: Any) -> Any:
    path = tmp_path / "sales.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_table(path, **arguments)


def file_of(dates: list[str], values: list[str], separator: str = ",", header: str = "day{}sales") -> str:
    rows = (f"{date}{separator}{value}" for date, value in zip(dates, values, strict=True))
    return "\n".join([header.format(separator), *rows]) + "\n"


def plain() -> list[str]:
    return [f"{value:.2f}" for value in SALES]


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


DATES = {
    "%Y-%m-%d": "year-month-day", "%Y/%m/%d": "year-month-day", "%Y.%m.%d": "year-month-day",
    "%Y%m%d": "yearmonthday", "%d.%m.%Y": "day.month.year", "%d/%m/%Y": "day/month/year",
    "%m/%d/%Y": "month/day/year", "%d-%m-%y": "day-month-year", "%m/%d/%y": "month/day/year",
    "%d %b %Y": "day month year", "%d-%b-%y": "day month year", "%B %d, %Y": "month day year",
    "%A, %d %B %Y": "day month year", "%Y-%b-%d": "year month day",
    "%Y-%m-%dT%H:%M:%S": "year-month-day", "%Y-%m-%d %H:%M": "year-month-day",
    "%d.%m.%Y %H:%M": "day.month.year", "%m/%d/%Y %I:%M %p": "month/day/year",
    "%Y-%m-%dT%H:%M:%S.000Z": "year-month-day", "%Y-%m-%d %H:%M:%S+01:00": "year-month-day",
}  # fmt: skip


@pytest.mark.parametrize("form", DATES)
def test_forms_of_dates(tmp_path: Path, form: str) -> None:
    """Among them `09/02/2024`, whose order other rows decide."""
    table = read(tmp_path, file_of([f'"{each}"' for each in dates_as(form)], plain()))
    assert (table["day"] == DAYS).all() and table["sales"].tolist() == SALES.tolist()
    assert f"'day' as {DATES[form]}" in table.described and table.notes == ()
    assert panel(table, "sales").frequency.text == "D"


PERIODS: dict[str, tuple[list[str], list[str]]] = {
    "months": (["2024-01", "2024-02", "2024-03"], ["2024-01-01", "2024-02-01", "2024-03-01"]),
    "months first": (["11/2023", "12/2023", "01/2024"], ["2023-11-01", "2023-12-01", "2024-01-01"]),
    "names of months": (["Nov 2023", "Dec 2023", "Jan 2024"], ["2023-11-01", "2023-12-01", "2024-01-01"]),
    "German months": (["Februar 2024", "März 2024", "Mai 2024"], ["2024-02-01", "2024-03-01", "2024-05-01"]),
    "French days": (["1er févr. 2024", "2 févr. 2024"], []),
    "Spanish days": (["31 dic 2023", "1 ene 2024"], ["2023-12-31", "2024-01-01"]),
    "quarters": (["2023Q4", "2024Q1"], ["2023-10-01", "2024-01-01"]),
    "quarters first": (["Q4 2023", "Q1 2024"], ["2023-10-01", "2024-01-01"]),
    "weeks": (["2023-W52", "2024-W01"], ["2023-12-25", "2024-01-01"]),
    "years": (["2023", "2024"], ["2023-01-01", "2024-01-01"]),
    "time zones of some": (["2024-01-01T00:00Z", "2024-01-02T00:00"], []),
    "superscripts": (["²⁰²³", "²⁰²⁴"], []),
    "seconds": (["1704067200", "1704153600"], ["2024-01-01", "2024-01-02"]),
    "milliseconds": (["1704067200000", "1704153600000"], ["2024-01-01", "2024-01-02"]),
    "midnight at the end": (["2024-01-01 24:00", "2024-01-02 24:00"], ["2024-01-02", "2024-01-03"]),
    "noon": (["1/13/2024 12:00 PM", "1/14/2024 12:00 AM"], ["2024-01-13T12", "2024-01-14"]),
    "offsets of hours": (["2024-03-31T01:30+01:00", "2024-03-31T03:00+02:00"], ["2024-03-31T02:30", "2024-03-31T03"]),
    "offsets of days": (["2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"], ["2024-03-31", "2024-04-01"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PERIODS)
def test_periods_and_times(tmp_path: Path, kind: str) -> None:
    cells, expected = PERIODS[kind]
    table = read(tmp_path, file_of(cells, ["1"] * len(cells), ";", "date{}sales"))
    if expected:
        assert table.date == "date" and (table["date"] == np.array(expected, "datetime64[us]")).all()
    else:
        assert table.date is None and table["date"].dtype == object


def test_the_order_of_day_and_month(tmp_path: Path) -> None:
    """Decided by a day above 12, by the regular order, or else by the separator, which a note says."""
    daily = file_of(["01/02/2024", "02/02/2024", "03/02/2024", "04/02/2024"], ["1"] * 4)
    table = read(tmp_path, daily)
    assert "day/month/year (the order with the most regular steps)" in table.described and table.notes == ()
    assert table["day"][-1] == np.datetime64("2024-02-04")
    unsure = file_of(["01/02/2024", "05/06/2024"], ["1", "2"])
    for order, first in ((None, "2024-01-02"), ("month", "2024-01-02"), ("day", "2024-02-01")):
        table = read(tmp_path, unsure, order=order)
        assert table["day"][0] == np.datetime64(first) and len(table.notes) == (order is None)
    assert "'01/02/2024' may also be day/month/year; pass order=" in read(tmp_path, unsure).notes[0]
    assert read(tmp_path, unsure.replace("/", "."))["day"][0] == np.datetime64("2024-02-01")
    with pytest.raises(ValueError, match="date must name a column of dates of one form, got 'day'"):
        read(tmp_path, file_of(["13/01/2024", "01/13/2024"], ["1", "2"]), date="day")
    assert read(tmp_path, file_of(["13/01/2024", "01/13/2024"], ["1", "2"])).date is None


ENCODED = {
    "utf-8": "UTF-8", "utf-8-sig": "UTF-8 with a mark", "cp1252": "Windows-1252", "utf-16": "UTF-16",
    "utf-16-le": "UTF-16-LE", "utf-16-be": "UTF-16-BE", "utf-32": "UTF-32",
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODED)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = read(tmp_path, file_of(dates_as("%Y-%m-%d"), plain(), ";", "Tag{}Umsätze"), encoding)
    assert list(table) == ["Tag", "Umsätze"] and ENCODED[encoding] in table.described


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_ends_of_lines(tmp_path: Path, separator: str, end: str) -> None:
    text = file_of(dates_as("%Y-%m-%d"), plain(), separator).replace("\n", end)
    assert read(tmp_path, text.encode())["sales"].tolist() == SALES.tolist()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas(tmp_path: Path, separator: str) -> None:
    table = read(tmp_path, file_of(dates_as("%d.%m.%Y"), [german(value) for value in SALES], separator))
    assert table["sales"].tolist() == SALES.tolist() and "decimal commas" in table.described


def test_a_file_in_quotes(tmp_path: Path) -> None:
    rows = [f'"{day}","shop, ""north""","{value:,.2f} €"' for day, value in zip(DAYS, SALES, strict=True)]
    table = read(tmp_path, "\n".join(['"day","shop","sales"', *rows]))
    assert table["sales"].tolist() == SALES.tolist() and table["shop"][0] == 'shop, "north"'


NUMBERS: dict[str, tuple[list[str], list[float]]] = {
    "thousands": (["1,234", "12,345.5", "7"], [1234, 12345.5, 7]),
    "thousands by comma alone": (["1,234,567", "2"], [1234567, 2]),
    "German": (["1.234,5", "7"], [1234.5, 7]),
    "decimal comma": (["0,5", "12,25"], [0.5, 12.25]),
    "three decimals": (["0.123", "1.234"], [0.123, 1.234]),
    "three decimals after a comma": (["0,123", "1,234"], [0.123, 1.234]),
    "Swiss": (["1'234.50", "1\u2019234\u2019567"], [1234.5, 1234567]),
    "French": (["1\u202f234,5", "12\u00a0345"], [1234.5, 12345]),
    "percent": (["12%", "3.5 %"], [12, 3.5]),
    "currency": (["$1,200.50", "$3"], [1200.5, 3]),
    "currency by name": (["EUR 1,200.50", "3 USD"], [1200.5, 3]),
    "negative": (["-1.5", "\u22122", "(3)", "+4", "5.5-"], [-1.5, -2, -3, 4, -5.5]),
    "Indian": (["12,34,567", "1,00,000.5", "7"], [1234567, 100000.5, 7]),
    "not finite": (["1", "inf", "-Infinity", "#REF!"], [1] + [np.nan] * 3),
    "exponents": (["1e3", "2.5E-2"], [1000, 0.025]),
    "missing": (["1", "", "NA", "n/a", "-", "NULL", "nan"], [1] + [np.nan] * 6),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers(tmp_path: Path, kind: str) -> None:
    cells, expected = NUMBERS[kind]
    days = [str(day) for day in DAYS[: len(cells)]]
    table = read(tmp_path, file_of(days, cells, ";"))
    np.testing.assert_array_equal(table["sales"], expected)
    assert not table.notes


def test_an_unsure_decimal_mark_is_said(tmp_path: Path) -> None:
    """Other columns decide it; the separator decides with a note."""
    days = ["2024-01-01", "2024-01-02"]
    table = read(tmp_path, file_of(days, ["1,234", "2,345"], ";"))
    assert table["sales"].tolist() == [1.234, 2.345]
    sentence = (
        "the decimal mark is not sure: 'sales' is read with decimal commas, such as 1.234; pass decimal= (--decimal)"
    )
    assert table.notes == (sentence,)
    table = read(tmp_path, file_of(days, ["1,234;1,000.5", "2,345;3"], ";", "day{}sales;cost"))
    assert table["sales"].tolist() == [1234, 2345] and table.notes == ()
    assert read(tmp_path, file_of(days, ["1.234", "2.345"]))["sales"].tolist() == [1.234, 2.345]


def test_rows_and_columns_that_are_no_data_are_left_out(tmp_path: Path) -> None:
    text = file_of(dates_as("%Y-%m-%d"), plain(), ";")
    wrapped = "Sales report\nAll shops;;;\n\n" + text.replace("\n", ";\n") + "\nTotal;99;\n"
    table = read(tmp_path, wrapped)
    assert table["sales"].tolist() == SALES.tolist() and list(table) == ["day", "sales"]
    assert any("before the header left out" in note for note in table.notes)
    assert "last row left out, whose 'day' is 'Total'" in table.notes
    blank = read(tmp_path, file_of(["2024-01-01", "", "2024-01-02"], ["1", "2", "3"]))
    assert blank["sales"].tolist() == [1, 3] and blank.notes == ("1 row without 'day' left out",)
    unnamed = read(tmp_path, file_of(["2024-01-01", "2024-01-02"], ["1", "2"], ",", "2023-12-31{}0"))
    assert list(unnamed) == ["column 1", "column 2"] and unnamed.date == "column 1" and len(unnamed["column 2"]) == 3
    twice = read(tmp_path, file_of(["2024-01-01", "2024-01-02"], ["1,2", "3,4"], ",", "day{}sales,sales"))
    assert list(twice) == ["day", "sales", "sales (3)"]


def test_times_in_a_column_of_their_own(tmp_path: Path) -> None:
    hours = [f"2024-01-0{1 + hour // 24},{hour % 24}:00,{hour}" for hour in range(48)]
    table = read(tmp_path, "\n".join(["date,time,heat", *hours]))
    assert list(table) == ["date", "heat"] and panel(table, "heat").frequency.text == "h"
    table = read(tmp_path, "\n".join(["date,hour,heat", *(row.replace(":00", "") for row in hours)]))
    assert table.notes == ("times of day taken from 'hour'",) and panel(table, "heat").frequency.text == "h"


def test_a_compressed_file_and_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv.gz"
    path.write_bytes(gzip.compress(file_of(dates_as("%Y-%m-%d"), plain()).encode()))
    frame = read_table(path, date="day").frame()
    assert list(frame.columns) == ["day", "sales"] and frame["day"].dtype.kind == "M" and len(frame) == len(DAYS)


BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "empty": (b" \n", {}, "must have a header and rows, got an empty file"),
    "header only": (b"day,sales\n", {}, "must have a header and rows, got 1 row"),
    "binary": (bytes(range(256)) * 8, {}, "must be text in UTF-8, UTF-16 or Latin-1"),
    "cut gzip": (gzip.compress(b"day,sales\n" * 99)[:20], {}, "must be a whole file of gzip"),
    "long row": (b"day,sales\n2024-01-01,1\n2024-01-02,2,3\n2024-01-03,2\n" + b"2024-01-04,2\n" * 5, {}, "record 3"),
    "no such column": (b"day,sales\n2024-01-01,1\n", {"date": "dai"}, "got 'dai' did you mean 'day'"),
    "no dates": (b"day,sales\n2024-01-01,1\n", {"date": "sales"}, "got 'sales' of sales.csv with '1'"),
    "impossible date": (b"day,sales\n2024-02-30,1\n", {"date": "day"}, "with '2024-02-30'"),
    "order": (b"day,sales\n2024-02-20,1\n", {"order": "year"}, "order must be"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_files(tmp_path: Path, kind: str) -> None:
    content, arguments, message = BAD[kind]
    with pytest.raises(ValueError) as error:
        read(tmp_path, content, **arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")


def test_one_column_of_decimal_commas(tmp_path: Path) -> None:
    """Not two columns, whose header has one name."""
    table = read(tmp_path, "Umsatz\n" + "\n".join(german(value) for value in SALES))
    assert list(table) == ["Umsatz"] and table["Umsatz"].tolist() == SALES.tolist()
    assert "one column, decimal commas" in table.described and table.notes == ()
    assert list(read(tmp_path, "a,b\n1,5\n2,5\n")) == ["a", "b"]


@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_the_separator_that_a_spreadsheet_announces(tmp_path: Path, line: str) -> None:
    table = read(tmp_path, line + file_of(dates_as("%Y-%m-%d"), [german(value) for value in SALES], ";"))
    assert list(table) == ["day", "sales"] and table["sales"].tolist() == SALES.tolist() and table.notes == ()


def test_months_with_the_day_first(tmp_path: Path) -> None:
    """The first of each month is 01/02/2015 where the day comes first, and has the steps 1 and 354 if it does not."""
    months = [(year, month) for year in range(2015, 2019) for month in range(1, 13)]
    for form, order in (("01/{:02d}/{}", "day/month/year"), ("{:02d}/01/{}", "month/day/year")):
        table = read(tmp_path, file_of([form.format(month, year) for year, month in months], ["1"] * len(months)))
        assert f"'day' as {order} (the order with the most regular steps)" in table.described
        assert panel(table, "sales").frequency.text == "MS" and panel(table, "sales").lengths.tolist() == [48]


@pytest.mark.parametrize("names", ["year,month,day", "Jahr,Monat,Tag", "YEAR,MM,DD", "year,month"])
def test_dates_in_several_columns(tmp_path: Path, names: str) -> None:
    monthly = names.count(",") == 1
    days = DAYS.astype("datetime64[M]")[[0, 20, 50]] if monthly else DAYS
    rows = [",".join(map(str, day.item().timetuple()[: 3 - monthly])) + ",7" for day in days]
    table = read(tmp_path, "\n".join([f"{names},sales", *rows]))
    assert table.date == names.replace(",", "-") and list(table) == [table.date, "sales"]
    assert (table[table.date] == days).all() and table.notes[0].startswith("dates taken from ")
    with_dates = read(tmp_path, "\n".join([f"{names},sales,when", *(f"{row},2024-01-01" for row in rows)]))
    assert with_dates.date in ("when", names.split(",")[0]) and len(with_dates) == 5 - monthly


def test_days_of_a_spreadsheet(tmp_path: Path) -> None:
    serials = [str(int((day - np.datetime64("1899-12-30")).astype(int))) for day in DAYS]
    table = read(tmp_path, file_of(serials, plain(), ",", "Date{}sales"))
    assert (table["Date"] == DAYS).all() and "'Date' as days since 1899-12-30" in table.described
    assert read(tmp_path, file_of(serials, plain(), ",", "users{}sales")).date is None


@pytest.mark.parametrize("form", ["KW {w:02d}/{y}", "W{w}-{y}", "week {w} {y}", "{y}-KW{w:02d}", "{y}/W{w}"])
def test_weeks(tmp_path: Path, form: str) -> None:
    mondays = np.arange("2023-11-06", "2024-02-05", 7, dtype="datetime64[D]")
    weeks = [day.item().isocalendar() for day in mondays]
    table = read(tmp_path, file_of([form.format(y=year, w=week) for year, week, _ in weeks], ["1"] * len(weeks)))
    assert (table["day"] == mondays).all()


def test_a_few_wrong_dates_are_an_error(tmp_path: Path) -> None:
    """They do not turn a column of dates into text, whose rows are then forecast as if they had none."""
    for wrong in ("0000-00-00", "2024-02-30", "soon"):
        cells = [*dates_as("%Y-%m-%d")[:20], wrong, *dates_as("%Y-%m-%d")[21:]]
        sentence = f"must have a date in each row of 'day', but {wrong!r} is none: correct or remove this row"
        with pytest.raises(ValueError, match=sentence):
            read(tmp_path, file_of(cells, plain()))
    mixed = [f"{day.day:02d}/{day.month:02d}/{day.year}" for day in DAYS.tolist()[:40]]
    mixed += [f"{day.month:02d}/{day.day:02d}/{day.year}" for day in DAYS.tolist()[40:]]
    with pytest.raises(ValueError, match="must have dates of one form in 'day', got '20/12/2023' and '01/29/2024'"):
        read(tmp_path, file_of(mixed, plain()))
    names = ["2024-01-01", *(f"shop {number}" for number in range(30))]
    assert read(tmp_path, file_of(names, ["1"] * 31)).date is None


def test_the_decimal_mark_can_be_passed(tmp_path: Path) -> None:
    text = file_of(["2024-01-01", "2024-01-02"], ["114.000", "98.500"], ";")
    assert "pass decimal= (--decimal)" in read(tmp_path, text).notes[0]
    for mark, expected in ((",", [114000, 98500]), (".", [114, 98.5])):
        table = read(tmp_path, text, decimal=mark)
        assert table["sales"].tolist() == expected and table.notes == ()
    with pytest.raises(ValueError, match="decimal must be"):
        read(tmp_path, text, decimal=";")


def test_rows_without_their_last_fields(tmp_path: Path) -> None:
    promoted = np.arange(len(DAYS)) % 7 == 0
    rows = [f"{day},{value}{',promo' if here else ''}" for day, value, here in zip(DAYS, SALES, promoted, strict=True)]
    table = read(tmp_path, "\n".join(["day,sales,note", *rows]))
    assert table["sales"].tolist() == SALES.tolist() and table["note"][:2].tolist() == ["promo", None]
    assert table.notes == ("53 rows with fewer fields than the header: the last are empty",)


def test_times_with_halves_of_the_day_in_a_column(tmp_path: Path) -> None:
    hours = np.arange("2024-01-01", "2024-01-03", dtype="datetime64[h]")
    rows = [each.strftime("%Y-%m-%d,%I:%M %p,1") for each in hours.tolist()]
    table = read(tmp_path, "\n".join(["date,time,heat", *rows]))
    assert (table["date"] == hours).all() and list(table) == ["date", "heat"]


@pytest.mark.parametrize("unit", ["days", "seconds"])
def test_moments_as_numbers_with_fractions(tmp_path: Path, unit: str) -> None:
    hours = np.arange("2024-01-01", "2024-01-03", dtype="datetime64[h]")
    if unit == "days":
        cells = [f"{(each - np.datetime64('1899-12-30', 'h')).astype(int) / 24:.6f}" for each in hours]
    else:
        cells = [f"{each.astype('datetime64[s]').astype(int)}.0" for each in hours]
    table = read(tmp_path, file_of(cells, ["1"] * len(cells), ",", "Timestamp{}sales"))
    assert (table["Timestamp"] == hours).all() and unit in table.described
