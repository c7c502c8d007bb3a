"""Tables as lines of text and as DataFrames."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def text_table(columns: Mapping[str, bool], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table as text.

    Args:
        columns: The name of each column, and whether its cells are aligned to the left.
        rows: The cells of each row.

    Returns:
        The names, a rule and the rows, without spaces at the end.
    """
    from rich import box  # is slow to import
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, left in columns.items():
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=True)
    for cells in rows:
        table.add_row(*map(Text, cells))
    stream = io.StringIO()
    Console(file=stream, width=max(80, 16 * len(columns) + 40)).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines() if line.strip()]


def to_frame(table: Any, method: str, instead: str) -> Any:
    """Return a table as a DataFrame of pandas.

    Args:
        table: Columns by name, or rows as dicts.
        method: What the message calls the method that needs pandas.
        instead: What needs NumPy alone.

    Returns:
        The DataFrame.

    Raises:
        ImportError: If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{method} needs pandas: pip install 'pyrnn-core[forecast]', or use {instead}, which needs NumPy alone"
        ) from error
    return pandas.DataFrame(table)
