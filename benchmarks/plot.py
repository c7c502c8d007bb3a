"""Draw the picture of the README. `python benchmarks/plot.py results.json picture.png`

The results come from `compare.py --out`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from compare import limit


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    source, target = map(Path, sys.argv[1:3])
    report = json.loads(source.read_text())
    results, threads = report["results"], report["machine"]["threads"]
    names = list(dict.fromkeys(name for result in results for name in result["medians"] if name != "pyrnn"))
    figure, axes = plt.subplots(figsize=(10, 0.45 * len(results) + 1.6))
    labels = []
    for row, result in enumerate(results):
        ours = result["medians"]["pyrnn"]
        for name, seconds in result["medians"].items():
            if name != "pyrnn":
                axes.plot(seconds / ours, row, "o", color=f"C{names.index(name)}", markersize=7, alpha=0.85)
        time = f"{ours * 1e6:.3g} µs" if ours < 1e-4 else f"{ours * 1e3:.4g} ms"
        labels.append(f"{result['name']}\npyrnn {time}, {limit(result, threads)}")
    for index, name in enumerate(names):
        axes.plot([], [], "o", color=f"C{index}", label=name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(left=0.8)
    axes.set_yticks(range(len(results)), labels, fontsize=7)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.grid(axis="x", which="major", alpha=0.3)
    axes.set_xlabel(f"times as long as pyrnn, {threads} thread(s)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=4, fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main()
