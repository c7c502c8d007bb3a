"""Files of comma-separated values as rows of text: the encoding, the separator and the header are found by looking."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "spaces"}
LOOKED_AT = 200  # rows from which the separator is found
FOOTER = 3  # rows at the end that may be of another form, such as totals
# Marks at the beginning of a file that say its encoding; that of UTF-32 begins like that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
GZIP = b"\x1f\x8b"
_ANNOUNCED = re.compile(r"\"?sep=(?P<separator>[,;\t| ])\"?(?:\r\n|\r|\n)", re.IGNORECASE)  # the first line, of Excel
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(?:[.' ]\d{3})*,\d+\s*")


@dataclass
class TextTable:
    """Columns of text.

    Args:
        columns: Name to fields, all of one length.
        encoding: The encoding of the file.
        separator: What separates the fields, "" if there is one column.
        notes: Sentences about rows that were left out and names that were made up.
    """

    columns: dict[str, list[str]]
    encoding: str
    separator: str
    notes: list[str] = field(default_factory=list)


def read_text(path: Path) -> TextTable:
    """Read a file as columns of text.

    Args:
        path: The file, which may be compressed by gzip.

    Returns:
        The columns, what was found, and notes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is empty, no text, or a row has another number of fields than the header.
    """
    content = path.read_bytes()
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} must be a whole file of gzip: {error}") from error
    text, encoding = _decoded(path, content)
    announced = _ANNOUNCED.match(text)
    text = text[announced.end() :] if announced else text
    separator = announced["separator"] if announced else _separator(text)
    rows = [row for row in _rows(text, separator) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise ValueError(f"{path} must have a header and rows, got {len(rows)} row{'s' if len(rows) == 1 else ''}")
    notes: list[str] = []
    width = Counter(map(len, rows[:LOOKED_AT])).most_common(1)[0][0]
    if width < len(rows[0]) == max(map(len, rows[1:])):
        # Fields at the end may lack their separators where they are empty.
        width = len(rows[0])
        short = sum(len(row) < width for row in rows)
        notes.append(f"{short} row{'s' if short > 1 else ''} with fewer fields than the header: the last are empty")
        rows = [row + [""] * (width - len(row)) for row in rows]
    first = next(number for number, row in enumerate(rows) if len(row) == width)
    if first:
        notes.append(f"{first} row{'s' if first > 1 else ''} before the header left out")
        rows = rows[first:]
    header, body = rows[0], rows[1:]
    if all(_is_value(cell) for cell in header):
        notes.append("no header: columns are named by number")
        header, body = [f"column {number}" for number in range(1, width + 1)], rows
    while body and len(body[-1]) != width and len(rows) - len(body) <= FOOTER:
        notes.append(f"last row left out, which has {len(body[-1])} of {width} fields")
        body = body[:-1]
    for number, row in enumerate(body, 2 + first):
        if len(row) != width:
            raise ValueError(
                f"{path} must have {width} fields in each row, as in its header, got {len(row)} in record {number}"
            )
    names = _names(header)
    columns = {name: [row[place].strip() for row in body] for place, name in enumerate(names)}
    empty = [name for name, cells in columns.items() if not any(cells)]
    for name in empty:
        del columns[name]
    if empty:
        notes.append(f"columns without values left out: {', '.join(map(repr, empty))}")
    return TextTable(columns, encoding, separator, notes)


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """The text of a file, and its encoding."""
    if not content.strip():
        raise ValueError(f"{path} must have a header and rows, got an empty file")
    encoding = next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), "")
    if not encoding:
        sample = content[:1000]
        zeros, odd = sample.count(0), sample[1::2].count(0)
        # Every other byte of Latin letters in UTF-16 is 0.
        utf16 = "utf-16-le" if 2 * odd > zeros else "utf-16-be"
        encoding = utf16 if zeros > len(sample) // 4 else "utf-8"
    for name in (encoding, "cp1252", "latin-1") if encoding == "utf-8" else (encoding,):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, name
    raise ValueError(f"{path} must be text in UTF-8, UTF-16 or Latin-1, got other bytes")


def _rows(text: str, separator: str) -> list[list[str]]:
    """The fields of each row."""
    lines = io.StringIO(text, newline="")
    if not separator:
        return [row[:1] for row in csv.reader(lines, delimiter="\x1f")]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _separator(text: str) -> str:
    """The separator that gives most rows the same number of fields, more than one."""
    lines = text.splitlines()[: LOOKED_AT + 1]
    sample = "\n".join(lines)
    scores: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        widths = [len(row) for row in _rows(sample, separator) if any(row)]
        width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
        if separator == "," and width == 2 and _is_one_column(lines):
            continue
        # Spaces also separate dates from times and words.
        if width > 1 and (separator != " " or count == len(widths)):
            scores[separator] = (count / len(widths) - (0.5 if separator == " " else 0), width)
    return max(scores, key=lambda separator: scores[separator]) if scores else ""


def _is_one_column(lines: list[str]) -> bool:
    """Whether the commas of lines are those of decimals, below a name without a comma."""
    lines = [line for line in lines if line.strip()]
    return "," not in lines[0] and all(_DECIMAL_COMMA.fullmatch(line) for line in lines[1:])


def _is_value(cell: str) -> bool:
    """Whether a cell of the first row is a number or begins like a date, and so is no name."""
    stripped = cell.strip()
    return stripped[:1].isdigit() or (stripped[:1] in "+-." and stripped[1:2].isdigit())


def _names(header: list[str]) -> list[str]:
    """The names in a header, all different and none empty."""
    names: list[str] = []
    for number, cell in enumerate(header, 1):
        name = " ".join(cell.split()) or f"column {number}"
        names.append(name if name not in names else f"{name} ({number})")
    return names
