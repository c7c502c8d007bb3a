"""Draw the picture at the top of the README: `python benchmarks/plot_summary.py results.json picture.png`.

Each workload has a panel with a bar for each library on a linear axis. The results come from `compare.py --out`; those
of the README are in `benchmarks/summary.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TITLES = {
    "SimpleRNN 16 train B128 T100 F29": "SimpleRNN(16)\none training step",
    "SimpleRNN 16-32-64 train B128 T100 F29": "SimpleRNN 16-32-64\none training step",
    "LSTM 32 train B32 T50 F16": "LSTM(32)\none training step",
    "LSTM 64 step B1 T50 F16": "LSTM(64)\none step of a stream",
}
OURS, OTHERS = "#1f6feb", "#8c959f"


def bars(medians: dict[str, float]) -> list[tuple[str, float]]:
    """Return names and seconds: pyrnn, then each other library from the fastest on; of Keras's backends the fastest."""
    keras = {name: seconds for name, seconds in medians.items() if name.startswith("Keras/")}
    others = {name: seconds for name, seconds in medians.items() if name != "pyrnn" and name not in keras}
    if keras:
        best = min(keras, key=lambda name: keras[name])
        others[best.replace("Keras/", "Keras on ")] = keras[best]
    return [("pyrnn", medians["pyrnn"]), *sorted(others.items(), key=lambda item: item[1])]


def time_of(seconds: float) -> str:
    """Return a time with its unit."""
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def draw(axes: Any, name: str, medians: dict[str, float]) -> None:
    """Draw one workload."""
    rows = bars(medians)
    ours = medians["pyrnn"]
    axes.barh(range(len(rows)), [seconds for _, seconds in rows], color=[OURS] + [OTHERS] * (len(rows) - 1))
    for row, (library, seconds) in enumerate(rows):
        times = "" if library == "pyrnn" else f" ({seconds / ours:.{0 if seconds >= 10 * ours else 1}f}x)"
        axes.text(seconds, row, f" {time_of(seconds)}{times}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [library for library, _ in rows], fontsize=8)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.6 * max(seconds for _, seconds in rows))
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(TITLES.get(name, name), fontsize=9, loc="left")


def main() -> None:
    from matplotlib.figure import Figure

    source, target = map(Path, sys.argv[1:3])
    report = json.loads(source.read_text(encoding="utf-8"))
    results, threads = report["results"], report["machine"]["threads"]
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    for axes, result in zip(figure.subplots(2, -(-len(results) // 2)).flat, results, strict=True):
        draw(axes, result["name"], result["medians"])
    figure.supxlabel(f"time, shorter is better; {threads} thread{'s' if threads > 1 else ''}", fontsize=8)
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main()
