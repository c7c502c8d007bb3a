"""Products with matrices as C: how weights are packed into panels, and the functions that go over them.

A panel has the weights of 64, 32, 16, 8 or 4 outputs: the bias, then a row for each input. Its sums stay in vector
registers: with GCC and Clang they are vectors of 32 bytes (16 without AVX), elsewhere plain numbers. GCC would keep
plain numbers of some widths in memory, at up to four times the time of a step (docs/dev/experiments.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WIDTHS = (64, 32, 16, 8, 4)
# With fewer outputs a matrix is stored by rows, each for a dot product.
FEWEST_IN_PANELS = 4

_HEAD = "static void {name}(const float *RESTRICT w, const float *RESTRICT x, int rows, float *RESTRICT y{count}) {{\n"
_SUMS = """\
    enum {{ LANES = (int)(sizeof({type}) / sizeof(float)), COUNT = {width} / LANES }};
    {type} sums[COUNT], part;
    int i, j;
{start}    for (i = 0; i < rows; ++i) {{
        const float value = x[i];
        for (j = 0; j < COUNT; ++j) {{
            memcpy(&part, w + j * LANES, sizeof part);
            sums[j] += value * part;
        }}
        w += {width};
    }}
"""
_FROM_BIAS = "    memcpy(sums, w, sizeof sums);\n    w += {width};\n"
_FROM_ZERO = "    memset(sums, 0, sizeof sums);\n"
_STORE = "    memcpy(y, sums, sizeof sums);\n"
_ADD = """\
    for (j = 0; j < COUNT; ++j) {{
        memcpy(&part, y + j * LANES, sizeof part);
        sums[j] += part;
    }}
    memcpy(y, sums, sizeof sums);
"""
# Of the last panel, n outputs exist.
_STORE_SOME = "    memcpy(y, sums, (size_t)n * sizeof(float));\n"
_ADD_SOME = """\
    {{
        float numbers[{width}];
        memcpy(numbers, sums, sizeof numbers);
        for (j = 0; j < n; ++j) {{
            y[j] += numbers[j];
        }}
    }}
"""
# How a product starts, and how it ends: a whole panel, and the last one.
_PARTS = {"set": (_FROM_BIAS, _STORE, _STORE_SOME), "add": (_FROM_ZERO, _ADD, _ADD_SOME)}
DOT = """\
static float dot(const float *w, const float *x, int n) {
    enum { LANES = (int)(sizeof(wide) / sizeof(float)), COUNT = 16 / LANES };
    wide sums[COUNT];
    float last[16];
    int i = 0, j;
    memset(sums, 0, sizeof sums);
    for (; i + 16 <= n; i += 16) {
        for (j = 0; j < COUNT; ++j) {
            sums[j] += load_wide(w + i + j * LANES) * load_wide(x + i + j * LANES);
        }
    }
    memcpy(last, sums, sizeof last);
    for (j = 0; j < n % 16; ++j) {
        last[j] += w[i + j] * x[i + j];
    }
    for (j = 0; j < 4; ++j) {
        last[j] = (last[j] + last[j + 8]) + (last[j + 4] + last[j + 12]);
    }
    return (last[0] + last[2]) + (last[1] + last[3]);
}
"""


def function(name: str) -> str:
    """Return the definition of a C function.

    Args:
        name: "set" or "add" and the width of a panel, as in "set64"; "set_some" or "add_some" for the last panel of a
            matrix, with the number of its outputs as a further argument; or "dot".
    """
    if name == "dot":
        return DOT
    kind, width = name[:3], WIDTHS[-1] if name.endswith("_some") else int(name[3:])
    start, store, store_some = _PARTS[kind]
    end = store_some if name.endswith("_some") else store
    count = ", int n" if name.endswith("_some") else ""
    lanes = "narrow" if width == WIDTHS[-1] else "middle"
    text = (_HEAD + _SUMS + end + "}}\n").replace("{start}", start)
    return text.format(name=name, count=count, width=width, type=lanes)


def panels_of(outputs: int) -> list[int]:
    """Return the widths of the panels of a matrix; the last one may have fewer outputs than its width.

    Args:
        outputs: N, at least 1.
    """
    widths = []
    while outputs > 0:
        width = next((each for each in WIDTHS if each <= outputs), WIDTHS[-1])
        widths.append(width)
        outputs -= width
    return widths


def packed(kernel: Array, bias: Array | None) -> Array:
    """Return a kernel (F, N) panel by panel, the rows of each one after the other, after those of the bias.

    Args:
        kernel: (F, N).
        bias: (N,), or None to leave it out.

    Returns:
        A vector; the outputs that the last panel lacks are 0.
    """
    rows = kernel if bias is None else np.concatenate([bias[None], kernel])
    widths = panels_of(kernel.shape[1])
    padded = np.zeros((len(rows), sum(widths)), np.float32)
    padded[:, : rows.shape[1]] = rows
    ends = np.cumsum(widths)[:-1].tolist()
    return np.concatenate([part.reshape(-1) for part in np.split(padded, ends, axis=1)])
