"""What ``pyrnn demo`` shows at its end: the table, the picture, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pyrnn.demo import Result, make_task
from pyrnn.demo_series import Series

PLOTTED_ROWS = 168


def print_table(results: Sequence[Result]) -> None:
    """Print the validation loss and training time of every forecast, from the best to the worst.

    Args:
        results: What `demo.run` returned.
    """
    from rich.console import Console  # is slow to import
    from rich.table import Table
    from rich.text import Text

    naive = min(result.loss for result in results if result.seconds is None)
    table = Table(title="Mean absolute percentage error of rows that no model was trained on", title_justify="left")
    table.add_column("forecast", no_wrap=True)
    for name in ("val_loss", "next to naive", "training"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = sorted(results, key=lambda result: result.loss)
    for result in ordered:
        style = "bold green" if result is ordered[0] else "dim" if result.seconds is None else ""
        difference = "" if result.seconds is None else f"{100 * (result.loss / naive - 1):+.0f} %"
        seconds = "" if result.seconds is None else f"{result.seconds:.1f} s"
        table.add_row(Text(result.name), f"{result.loss:.2f} %", difference, seconds, style=style)
    Console(highlight=False).print(table)


def plot(series: Series, results: Sequence[Result], window: int, path: Path) -> bool:
    """Write a PNG: the first PLOTTED_ROWS validation rows with the best forecast, and the losses of all.

    Args:
        series: What was forecast.
        results: What `demo.run` returned.
        window: The window of the run.
        path: The file.

    Returns:
        False if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.dates import ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError:
        return False
    rows = make_task(series, window).validation
    span = np.arange(rows[0], min(rows[0] + PLOTTED_ROWS, len(series.values)))
    shown = rows <= span[-1]
    figure = Figure(figsize=(13, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes, losses = figure.subplots(1, 2, width_ratios=(3, 1))
    places = span if series.dates is None else series.dates[span]
    ordered = sorted(results, key=lambda result: result.loss)
    best = ordered[0]
    naive = next(result for result in ordered if result.seconds is None)
    axes.plot(places, series.values[span], color="black", linewidth=2, label="truth")
    for result, color in ((naive, "tab:gray"), (best, "tab:blue")) if best is not naive else ((best, "tab:blue"),):
        # With gaps where nothing is forecast, such as at night.
        line = np.full(len(span), np.nan)
        line[rows[shown] - span[0]] = result.forecast[shown]
        axes.plot(
            places, line, color=color, linewidth=1.5, linestyle="--" if result is naive else "-", label=result.name
        )
    axes.set(title=f"{series.target}, forecast one row ahead", ylabel=series.target)
    if series.dates is None:
        axes.set_xlabel("row")
    else:
        formatter = ConciseDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]  # matplotlib's
        axes.xaxis.set_major_formatter(formatter)
    axes.legend(loc="upper left", ncols=3, fontsize=9)
    axes.margins(y=0.15)
    colors = ["tab:gray" if result.seconds is None else "tab:blue" for result in ordered]
    losses.barh([result.name for result in ordered], [result.loss for result in ordered], color=colors)
    for row, result in enumerate(ordered):
        losses.text(result.loss, row, f" {result.loss:.1f} %", va="center", fontsize=9)
    losses.invert_yaxis()
    losses.set_xlim(0, 1.3 * ordered[-1].loss)
    losses.set(title="mean absolute percentage error", xticks=[])
    losses.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return True


def next_steps(data: Path | None, target: str) -> str:
    """Return what to try next.

    Args:
        data: The file of the series, or None for the bundled flights.
        target: The column that was forecast.

    Returns:
        Lines with commands.

    Example:
        >>> print(next_steps(None, "departures").splitlines()[1].strip())
        pyrnn demo --data FILE.csv --target COLUMN
    """
    names = ("FILE.csv", "COLUMN") if data is None else (shlex.quote(str(data)), shlex.quote(target))
    what = f"{names[0]} --target {names[1]}"
    lines = ["Next:" if data is not None else "Next, on your own series:"]
    if data is None:
        lines += [f"  pyrnn demo --data {what}", "      this comparison"]
    return "\n".join(
        [
            *lines,
            f"  pyrnn forecast {what} --plot forecast.png",
            "      its next rows, with intervals",
            "  from pyrnn.forecasting import Forecaster",
            "      the same in Python; the guide begins with docs/guide/first_forecast.md",
        ]
    )
