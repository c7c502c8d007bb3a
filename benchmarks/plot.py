"""The picture of the README: `python benchmarks/plot.py results.json picture.png` (results of `compare.py --out`)."""

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
    found = json.loads(source.read_text())
    results = found["results"]
    names = list(dict.fromkeys(name for result in results for name in result["medians"] if name != "pyrnn"))
    figure, axes = plt.subplots(figsize=(10, 0.55 * len(results) + 1.6))
    for row, result in enumerate(results):
        ours = result["medians"]["pyrnn"]
        for name, seconds in result["medians"].items():
            if name != "pyrnn":
                axes.plot(seconds / ours, row, "o", color=f"C{names.index(name)}", markersize=7, alpha=0.85)
        share = limit(result, found["machine"]["threads"])
        axes.text(0.98, row, f"{ours * 1e3:.3g} ms, {share} ", ha="right", va="center", fontsize=8)
    for index, name in enumerate(names):
        axes.plot([], [], "o", color=f"C{index}", label=name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(left=0.25)
    axes.set_yticks(range(len(results)), [result["name"] for result in results], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"times slower than pyrnn, {found['machine']['threads']} thread(s); left: pyrnn's own time")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=4, fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main()
