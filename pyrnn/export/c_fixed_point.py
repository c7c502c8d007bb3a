"""The functions of integer C: shifts, limits, tables, and rows of weights. `fixed_point` has the same in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export.fixed_point import CURVE_BITS, LARGEST, POWER, POWER_BITS, TANH, TANH_BITS, TANH_END, UNIT, WIDE
from pyrnn.export.integers import LOG2_E

Array = NDArray[Any]

# For all of the source. Bytes 0 and 2 of a word of weights go with two columns, bytes 1 and 3 with the next two.
PREAMBLE = """\
#if defined(__GNUC__)
#define ALIGNED_4 __attribute__((aligned(4)))
#define APART __attribute__((noinline))
#else
#define ALIGNED_4
#define APART
#endif
#if defined(__GNUC__) && defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__) && !defined(__ARM_BIG_ENDIAN)
#define HAS_SMLAD
#endif
"""
# Compilers turn this into one instruction.
_RIGHT = """\
static int{bits}_t right{bits}(int{bits}_t v, int by) {{
    return v < 0 ? ~(~v >> by) : v >> by;
}}
"""
_DOWN = """\
static int{bits}_t down{bits}(int{bits}_t v, int by) {{
    return right{bits}(v + ({one} << (by - 1)), by);
}}
"""
_LIMIT = """\
static int32_t limit{bits}(int{bits}_t v, int32_t largest) {{
    return v > largest ? largest : v < -largest ? -largest : (int32_t)v;
}}
"""
_WIDE = """\
static inline int64_t wide(const int32_t *k) {
    return (int64_t)k[1] * INT64_C(4294967296) + (int64_t)(uint32_t)k[0];
}
"""
_ROWS = """\
#if defined(HAS_SMLAD)
#define QUAD \\
    "ldmia %[w]!, {r4, r5, r6, r8}\\n\\t" \\
    "ldr %[v], [%[x]], #4\\n\\t" \\
    "sxtb16 %[t], r4\\n\\t" \\
    "smlad %[a], %[t], %[v], %[a]\\n\\t" \\
    "sxtb16 %[t], r5\\n\\t" \\
    "smlad %[b], %[t], %[v], %[b]\\n\\t" \\
    "sxtb16 %[t], r6\\n\\t" \\
    "smlad %[c], %[t], %[v], %[c]\\n\\t" \\
    "sxtb16 %[t], r8\\n\\t" \\
    "smlad %[d], %[t], %[v], %[d]\\n\\t" \\
    "ldr %[v], [%[x]], #4\\n\\t" \\
    "sxtb16 r4, r4, ror #8\\n\\t" \\
    "smlad %[a], r4, %[v], %[a]\\n\\t" \\
    "sxtb16 r5, r5, ror #8\\n\\t" \\
    "smlad %[b], r5, %[v], %[b]\\n\\t" \\
    "sxtb16 r6, r6, ror #8\\n\\t" \\
    "smlad %[c], r6, %[v], %[c]\\n\\t" \\
    "sxtb16 r8, r8, ror #8\\n\\t" \\
    "smlad %[d], r8, %[v], %[d]\\n\\t"
#define QUADS(body, count) \\
    __asm__("1:\\n\\t" body "subs %[n], %[n], #1\\n\\tbne 1b" \\
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [w] "+r"(w), [x] "+r"(x), [n] "=&r"(left), \\
              [t] "=&r"(t), [v] "=&r"(v) \\
            : "[n]"(count) \\
            : "r4", "r5", "r6", "r8", "cc", "memory")
#endif

#if defined(HAS_SMLAD)
__attribute__((always_inline))
#endif
static inline void rows4(const int8_t *w, const int16_t *x, int quads, int32_t *sums) {
    int32_t a = 0, b = 0, c = 0, d = 0;
#if defined(HAS_SMLAD)
    int32_t left, t, v;
    if (quads % 4) {
        QUADS(QUAD, quads);
    } else {
        QUADS(QUAD QUAD QUAD QUAD, quads / 4);
    }
#else
    int i;
    for (i = 0; i < quads; ++i, w += 16, x += 4) {
        a += w[0] * x[0] + w[2] * x[1] + w[1] * x[2] + w[3] * x[3];
        b += w[4] * x[0] + w[6] * x[1] + w[5] * x[2] + w[7] * x[3];
        c += w[8] * x[0] + w[10] * x[1] + w[9] * x[2] + w[11] * x[3];
        d += w[12] * x[0] + w[14] * x[1] + w[13] * x[2] + w[15] * x[3];
    }
#endif
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}
"""
_ROW = """\
static int32_t row1(const int8_t *w, const int16_t *x, int quads) {
    int32_t sum = 0;
    int i;
    for (i = 0; i < quads; ++i, w += 4, x += 4) {
        sum += w[0] * x[0] + w[2] * x[1] + w[1] * x[2] + w[3] * x[3];
    }
    return sum;
}
"""
_TANH = f"""\
static int32_t tanh_fixed(int32_t z) {{
    const int32_t size = z < 0 ? -z : z;
    int32_t y = {LARGEST};
    if (size < {TANH_END << WIDE}) {{
        const int32_t low = tanh_table[size >> {WIDE - TANH_BITS}];
        const int32_t step = tanh_table[(size >> {WIDE - TANH_BITS}) + 1] - low;
        const int32_t rest = size & {(1 << (WIDE - TANH_BITS)) - 1};
        y = low + ((step * rest + {1 << (WIDE - TANH_BITS - 1)}) >> {WIDE - TANH_BITS});
    }}
    return z < 0 ? -y : y;
}}
"""
_SIGMOID = f"""\
static int32_t sigmoid_fixed(int32_t z) {{
    const int32_t y = (tanh_fixed((z < 0 ? -z : z) >> 1) + {(1 << UNIT) + 1}) >> 1;
    return z < 0 ? {1 << UNIT} - y : y;
}}
"""
_HARD_SIGMOID = f"""\
static int32_t hard_sigmoid_fixed(int32_t z) {{
    return z <= {-(3 << WIDE)} ? 0 : z >= {3 << WIDE} ? {1 << UNIT} : (z + {3 << WIDE}) / 12;
}}
"""
_RELU = """\
static int32_t relu_fixed(int32_t z) {
    return z < 0 ? 0 : z;
}
"""
_CURVE = f"""\
static int32_t curve(const int16_t *table, int32_t z) {{
    const int32_t place = z + 32768, rest = place & {(1 << (16 - CURVE_BITS)) - 1};
    const int32_t low = table[place >> {16 - CURVE_BITS}];
    const int32_t step = table[(place >> {16 - CURVE_BITS}) + 1] - low;
    return low + right32(step * rest + {1 << (15 - CURVE_BITS)}, {16 - CURVE_BITS});
}}
"""
_SOFTMAX = f"""\
static int64_t power_below(int32_t below, int down, int up) {{
    const int64_t t = ((below * INT64_C({LOG2_E})) >> down) * (INT64_C(1) << up);
    const int64_t low = power_table[(t & 65535) >> {WIDE - POWER_BITS}];
    const int64_t step = low - power_table[((t & 65535) >> {WIDE - POWER_BITS}) + 1];
    const int64_t power = low - ((step * (t & {(1 << (WIDE - POWER_BITS)) - 1})) >> {WIDE - POWER_BITS});
    return (t >> {WIDE}) > 31 ? 0 : power >> (t >> {WIDE});
}}

static void softmax_fixed(const int16_t *x, int16_t *y, int n, int down, int up) {{
    int64_t total = 0;
    int32_t top = x[0];
    int i;
    for (i = 1; i < n; ++i) {{
        top = x[i] > top ? x[i] : top;
    }}
    for (i = 0; i < n; ++i) {{
        total += power_below(top - x[i], down, up);
    }}
    for (i = 0; i < n; ++i) {{
        const int64_t power = power_below(top - x[i], down, up);
        y[i] = (int16_t)limit64((power * {1 << UNIT} + total / 2) / total, {LARGEST});
    }}
}}
"""
_FLOOR = """\
static int64_t floor_of(int64_t a, int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
}
"""
_MEAN = """\
static int64_t mean_fixed(int64_t total, int64_t count, int up) {
    count = count ? count : 1;
    return floor_of(2 * (total * (INT64_C(1) << up)) + count, 2 * count);
}
"""
_NORMALIZE = f"""\
static void normalize(const int16_t *x, int16_t *y, int n, int centred, int64_t extra, int64_t least, int64_t factor) {{
    const int32_t times = centred ? n : 1;
    int64_t square = extra, root = 0, bit = INT64_C(1) << 30;
    int32_t sum = 0;
    int i, up = 0;
    for (i = 0; i < n && centred; ++i) {{
        sum += x[i];
    }}
    for (i = 0; i < n; ++i) {{
        const int64_t apart = times * x[i] - sum;
        square += apart * apart;
    }}
    square = square < least ? least : square;
    for (i = 0; i < 30 && square < INT64_C(1) << 58; ++i) {{
        square *= 4;
        ++up;
    }}
    for (; bit; bit >>= 1) {{
        root += (root + bit) * (root + bit) <= square ? bit : 0;
    }}
    for (i = 0; i < n; ++i) {{
        const int64_t apart = times * x[i] - sum;
        y[i] = (int16_t)limit64(floor_of(2 * (apart * (INT64_C(1) << up)) * factor + root, 2 * root), {LARGEST});
    }}
}}
"""

# Functions by name: the text, the functions that it calls, and its tables.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...], tuple[tuple[str, Array], ...]]] = {
    "right32": (_RIGHT.format(bits=32), (), ()),
    "right64": (_RIGHT.format(bits=64), (), ()),
    "down32": (_DOWN.format(bits=32, one="1"), ("right32",), ()),
    "down64": (_DOWN.format(bits=64, one="INT64_C(1)"), ("right64",), ()),
    "limit32": (_LIMIT.format(bits=32), (), ()),
    "limit64": (_LIMIT.format(bits=64), (), ()),
    "wide": (_WIDE, (), ()),
    "rows4": (_ROWS, (), ()),
    "row1": (_ROW, (), ()),
    "tanh_fixed": (_TANH, (), (("tanh_table", TANH),)),
    "sigmoid_fixed": (_SIGMOID, ("tanh_fixed",), ()),
    "hard_sigmoid_fixed": (_HARD_SIGMOID, (), ()),
    "relu_fixed": (_RELU, (), ()),
    "curve": (_CURVE, ("right32",), ()),
    "floor_of": (_FLOOR, (), ()),
    "mean_fixed": (_MEAN, ("floor_of",), ()),
    "normalize": (_NORMALIZE, ("floor_of", "limit64"), ()),
    "softmax_fixed": (_SOFTMAX, ("limit64",), (("power_table", POWER),)),
}


def literal(value: int, dtype: np.dtype[Any]) -> str:
    """Return an integer as a C constant of a type."""
    if dtype.itemsize < 8:
        return str(value)
    return f"INT64_C({value})"
