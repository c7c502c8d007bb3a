"""Columns of text as numbers: decimal points and commas, thousands, currencies and percent signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# In lower case.
MISSING = {
    "", "-", "--", "\u2013", "\u2014", "?", ".", "#n/a", "#na", "#value!", "#div/0!", "n/a", "na", "n.a.", "nan", "nat",
    "none", "null", "nil", "missing", "k.a.", "#ref!", "#num!", "#name?", "inf", "-inf", "+inf", "infinity",
    "-infinity",
}  # fmt: skip
_POINT = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?)(?:[eE][+-]?\d+)?"  # of India: 12,34,567
)
_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?)(?:[eE][+-]?\d+)?")
_SIGNS = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})
_THOUSANDS = re.compile(r"(?<=\d)[ '](?=\d{3}(?!\d))")
_UNITS = re.compile(r"^(?:[€$£¥]|EUR|USD|GBP|CHF)\s*|\s*(?:[€$£¥%]|EUR|USD|GBP|CHF)$")


@dataclass
class Numbers:
    """What a column is as numbers.

    Args:
        point: The values with a decimal point, None if they are none.
        comma: The values with a decimal comma, None if they are none.
    """

    point: NDArray[np.float64] | None
    comma: NDArray[np.float64] | None

    @property
    def decided(self) -> str:
        """The decimal mark: "." or ",", "" if both give the same numbers, "?" if they differ."""
        if self.point is None or self.comma is None:
            return "." if self.comma is None else ","
        return "" if np.array_equal(self.point, self.comma, equal_nan=True) else "?"


def is_missing(cell: str) -> bool:
    """Return whether a cell says that its value is missing."""
    return cell.lower() in MISSING


def as_numbers(cells: list[str]) -> Numbers | None:
    """Return a column as numbers.

    Args:
        cells: The fields.

    Returns:
        The numbers with a decimal point and with a decimal comma, or None if it holds anything else or nothing.
    """
    different = list(dict.fromkeys(cells))
    plain = [None if is_missing(cell) else _plain(cell) for cell in different]
    present = [cell for cell in plain if cell is not None]
    if not present:
        return None
    values: list[NDArray[np.float64] | None] = []
    for pattern, thousands, decimal in ((_POINT, ",", "."), (_COMMA, ".", ",")):
        if not all(pattern.fullmatch(cell) for cell in present):
            values.append(None)
            continue
        read = {
            cell: float("nan") if text is None else float(text.replace(thousands, "").replace(decimal, "."))
            for cell, text in zip(different, plain, strict=True)
        }
        values.append(np.array([read[cell] for cell in cells]))
    return None if values[0] is None and values[1] is None else Numbers(*values)


def _plain(cell: str) -> str:
    """A number without currency, percent sign and spaces between thousands, its sign in front."""
    text = _UNITS.sub("", cell.translate(_SIGNS).strip()).strip()
    text = _THOUSANDS.sub("", text)
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    elif text.endswith("-"):
        text = f"-{text[:-1].rstrip()}"
    return text
