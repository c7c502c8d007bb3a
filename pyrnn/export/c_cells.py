"""LSTM and GRU as C functions that update a block of units in registers: products, activations and states at once.

A block has 16, 8 or 4 units. Its weights are one panel: a row for the bias, then one for each feature and for each unit
of the previous state, with the weights of all gates side by side. Nothing goes through memory between the products and
the new states, and the processor computes the activations of a block while it loads the weights of the next one.

Weights that do not fit into the L1 cache are read forwards in one step and backwards in the next, so that a step
begins with those that the last one has left in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.export.c_vectors import LANES

Array = NDArray[Any]

_HEAD = """\
static void {name}(const float *w, const float *x, int features, const float *h, int units, {states}float *y{count}) {{
    enum {{ LANES = (int)(sizeof({type}) / sizeof(float)), COUNT = {width} / LANES }};
    {type} {sums}, {old}[COUNT];
    int k, j;
    for (j = 0; j < COUNT; ++j) {{
{start}    }}
    w += {row};
"""
# The rows of one of two vectors. With `turn` the second one comes first, and each begins with its last number.
_PRODUCT = """\
    ROWS
    for (k = 0; k < (turn ? {second_rows} : {rows}); ++k) {{
        const float value = turn ? {second}[{second_rows} - 1 - k] : {first}[k];
        const float *const row = w + (turn ? {last} - k : {before}k) * {row};
        for (j = 0; j < COUNT; ++j) {{
{body}        }}
    }}
"""
_ORDER = (
    {"first": "x", "rows": "features", "second": "h", "second_rows": "units", "last": "features + units - 1",
     "before": ""},
    {"first": "h", "rows": "units", "second": "x", "second_rows": "features", "last": "features - 1",
     "before": "features + "},
)  # fmt: skip
# A GRU has three sums only, fewer than a multiply-add takes cycles: two rows at a time, with sums of their own.
_PAIRS = """\
    ROWS
    for (k = 0; k + 1 < {rows}; k += 2, w += 2 * {row}) {{
        const float value = {from_}[k], next = {from_}[k + 1];
        for (j = 0; j < COUNT; ++j) {{
{body}{second}        }}
    }}
    if ({rows} % 2 == 1) {{
        const float value = {from_}[{rows} - 1];
        for (j = 0; j < COUNT; ++j) {{
{body}        }}
        w += {row};
    }}
"""
_LOAD_OLD = "    memcpy({old}, {state}, {size});\n"
_LSTM_UPDATE = """\
    for (j = 0; j < COUNT; ++j) {{
        cell[j] = sigmoid_{type}(f[j]) * cell[j] + sigmoid_{type}(i[j]) * tanh_{type}(g[j]);
        o[j] = sigmoid_{type}(o[j]) * tanh_{type}(cell[j]);
    }}
    memcpy(c, cell, {size});
    memcpy(y, o, {size});
}}
"""
_GRU_UPDATE = """\
    for (j = 0; j < COUNT; ++j) {{
        const {type} reset = sigmoid_{type}(r[j] + r2[j]), update = sigmoid_{type}(z[j] + z2[j]);
        const {type} candidate = tanh_{type}(reset * (b[j] + b2[j]) + (a[j] + a2[j]));
        old[j] = (1.0f - update) * candidate + update * old[j];
    }}
    memcpy(y, old, {size});
}}
"""


class Group(NamedTuple):
    """Blocks of one width.

    Args:
        width: Units of a block.
        blocks: Number of blocks.
        is_partial: Whether it is a last block that has fewer units than its width.
    """

    width: int
    blocks: int
    is_partial: bool = False


def groups_of(units: int) -> list[Group]:
    """Return the blocks of a layer.

    Args:
        units: H, at least 1.
    """
    groups = []
    for width in LANES:
        if units >= width:
            groups.append(Group(width, units // width))
            units %= width
    return [*groups, Group(min(LANES), 1, True)] if units else groups


def joined_bias(cell: str, bias: Array | None, units: int) -> Array:
    """Return what the sums of a step start from, (4, H): of a GRU z, r and the two products of the candidate.

    Args:
        cell: "lstm" or "gru".
        bias: (4 * H,) of an LSTM, (2, 3 * H) of a GRU, or None.
        units: H.
    """
    if bias is None:
        return np.zeros((4, units), np.float32)
    rows = bias.reshape(-1, units)
    return rows if cell == "lstm" else np.stack([rows[0] + rows[3], rows[1] + rows[4], rows[2], rows[5]])


def _sum(name: str, place: int, width: int, lanes: str, value: str = "value", row: str = "", weights: str = "w") -> str:
    offset = f"{row}{place * width} + " if place or row else ""
    return f"            {name}[j] += {value} * load_{lanes}({weights} + {offset}j * LANES);\n"


def function(name: str) -> str:
    """Return the definition of the C function of a block.

    Args:
        name: "lstm" or "gru" and the width of a block, as in "lstm16"; with "_some" for a last block that has fewer
            units, with their number as a further argument.
    """
    cell = "lstm" if name.startswith("lstm") else "gru"
    is_some = name.endswith("_some")
    width = int(name.removeprefix(cell).removesuffix("_some"))
    lanes = LANES[width]
    size = "(size_t)n * sizeof(float)" if is_some else f"{width} * sizeof(float)"
    common = {"name": name, "type": lanes, "width": width, "size": size, "count": ", int n" if is_some else ""}
    clear = "    memset({old}, 0, sizeof {old});\n" if is_some else ""
    load_old = clear + _LOAD_OLD
    sums = "ifgo" if cell == "lstm" else "zrab"
    start = "".join(
        f"        {each}[j] = load_{lanes}(w + {place * width} + j * LANES);\n" for place, each in enumerate(sums)
    )
    if cell == "lstm":
        text = _HEAD.format(
            **common,
            states="int turn, float *c, ",
            sums=", ".join(f"{each}[COUNT]" for each in sums),
            old="cell",
            start=start,
            row=4 * width,
        )
        body = "".join(_sum(each, place, width, lanes, weights="row") for place, each in enumerate(sums))
        for places in _ORDER:
            text += _PRODUCT.format(**places, row=4 * width, body=body)
        return text + load_old.format(old="cell", state="c", size=size) + _LSTM_UPDATE.format(**common)
    row = 3 * width
    text = _HEAD.format(
        **common,
        states="const float *before, ",
        sums=", ".join(f"{each}[COUNT], {each}2[COUNT]" for each in sums),
        old="old",
        start=start,
        row=4 * width,
    )
    text += "".join(f"    memset({each}2, 0, sizeof {each}2);\n" for each in sums)
    for rows, place, names in (("features", "x", "zra"), ("units", "h", "zrb")):
        body = "".join(_sum(each, number, width, lanes) for number, each in enumerate(names))
        second = "".join(
            _sum(f"{each}2", number, width, lanes, "next", f"{row} + ") for number, each in enumerate(names)
        )
        text += _PAIRS.format(rows=rows, row=row, from_=place, body=body, second=second)
    return text + load_old.format(old="old", state="before", size=size) + _GRU_UPDATE.format(**common)


def packed(bias: Array, kernel: Array, recurrent_kernel: Array) -> Array:
    """Return the weights of all blocks, one after the other.

    Args:
        bias: (gates of the bias, H).
        kernel: (F, G, H).
        recurrent_kernel: (H, G, H).

    Returns:
        A vector; the units that the last block lacks are 0.
    """
    parts, first = [], 0
    for group in groups_of(bias.shape[-1]):
        for _ in range(group.blocks):
            for array in (bias[None], kernel, recurrent_kernel):
                part = array[..., first : first + group.width]
                padded = np.zeros((*part.shape[:-1], group.width), np.float32)
                padded[..., : part.shape[-1]] = part
                parts.append(padded.reshape(-1))
            first += group.width
    return np.concatenate(parts)
