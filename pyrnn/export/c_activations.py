"""Activations as C: functions that change n numbers in place, in loops that compilers vectorize.

exp, tanh and sigmoid are polynomials, with the constants of csrc/kernels/activations.hpp: at most 4 ULP. The others
take what they need from <math.h>.
"""

from __future__ import annotations

import math

from pyrnn.export.c_text import number

# (2^r - 1) / r for |r| <= 1/2: the constants of csrc/kernels/activations.hpp, the lowest first.
_POWER_TERMS = (6.9314718803e-1, 2.4022650761e-1, 5.5503571142e-2, 9.6180825573e-3, 1.3390863365e-3, 1.5453162945e-4)
# x log2(e) * times = n + r with |r| <= 1/2; the low bits of `s` hold n; q = (2^r - 1) / r.
_POWER = """\
        const float s = a * {log2} + 12582912.0f, m = s - 12582912.0f;
        const float r = ((a * {times} - m * 0.693359375f) - m * -2.1219444e-4f) * 1.44269502f;
"""
_POWER += f"        float q = {number(_POWER_TERMS[-1])};\n"
_POWER += "".join(f"        q = q * r + {number(each)};\n" for each in _POWER_TERMS[-2::-1])
# p = 2^n, where that is a normal number.
_SCALE = """\
        int k;
        float p;
        memcpy(&k, &s, sizeof k);
        k = (int)(((unsigned)k << 23) + 0x3f800000u);
        memcpy(&p, &k, sizeof p);
"""
_CLAMP = """\
        float a = {x};
        a = a < {low} ? {low} : a;
        a = a > {high} ? {high} : a;
"""


def _loop(body: str) -> str:
    return f"    int i;\n    for (i = 0; i < n; ++i) {{\n{body}    }}\n"


def _clamp(low: str, high: str, x: str = "y[i]") -> str:
    return _CLAMP.format(x=x, low=low, high=high)


_EXPONENTIAL = (
    _clamp("-104.0f", "89.0f")
    + _POWER.format(log2="1.44269502f", times="1.0f")
    + """\
        /* 2^n in two steps, since n may be out of the range of a normal number. */
        int k, half;
        float p, p2;
        memcpy(&k, &s, sizeof k);
        k -= 0x4b400000;
        half = (int)((unsigned)(k + 256) >> 1) - 128;
        k = (int)((unsigned)(k - half + 127) << 23);
        half = (int)((unsigned)(half + 127) << 23);
        memcpy(&p, &k, sizeof p);
        memcpy(&p2, &half, sizeof p2);
        y[i] = (q * r + 1.0f) * p * p2;
"""
)
_TANH = (
    _clamp("-10.0f", "10.0f")
    + _POWER.format(log2="2.88539004f", times="2.0f")
    + _SCALE
    + """\
        q = q * (r * p) + (p - 1.0f);
        y[i] = q / (q + 2.0f);
"""
)
_SIGMOID = (
    _clamp("-88.3f", "88.3f")
    + _POWER.format(log2="-1.44269502f", times="-1.0f")
    + _SCALE
    + "        y[i] = 1.0f / (q * (r * p) + (p + 1.0f));\n"
)
# log(1 + exp(x)) without overflow.
_SOFTPLUS = "(x > 0.0f ? x : 0.0f) + log1pf(expf(x > 0.0f ? -x : x))"
_LOGISTIC = "1.0f / (1.0f + expf(-x))"
# sigmoid and tanh of a vector x in a register (c_vectors.py), with few operations in a row: the polynomial above in
# r = x - n log(2), whose terms are summed by pairs, and p = 2^n.
_VECTOR = """\
    const {{type}} a = clamp_{{type}}(x, {low}, {high});
    const {{type}} s = a * {log2} + 12582912.0f, m = s - 12582912.0f;
    const {{type}} r = m * {log_high} + a + m * {log_low}, r2 = r * r;
    const {{type}} first = {c1} * r + {c0}, second = {c3} * r + {c2}, third = {c5} * r + {c4};
    const {{type}} q = (third * r2 + second) * r2 + first;
    {{type}}_bits k;
    {{type}} p, rp;
    memcpy(&k, &s, sizeof k);
    k = (k << 23) + 0x3f800000u;
    memcpy(&p, &k, sizeof p);
    rp = r * p;
"""


def _vector(low: float, high: float, factor: float, end: str) -> str:
    """The body of a function of exp(factor x): r is then (factor x - n log(2)) / factor."""
    terms = [each * factor ** (place + 1) for place, each in enumerate(_TERMS)]
    constants = {f"c{place}": number(each) for place, each in enumerate(terms)}
    parts = {"log_high": number(-0.693359375 / factor), "log_low": number(2.1219444e-4 / factor)}
    limits = {"low": number(low), "high": number(high), "log2": number(factor * math.log2(math.e))}
    return _VECTOR.format(**limits, **parts, **constants) + end


# (exp(r) - 1) / r.
_TERMS = [each * math.log2(math.e) ** (place + 1) for place, each in enumerate(_POWER_TERMS)]
VECTOR_BODIES = {
    "sigmoid": _vector(-88.3, 88.3, -1.0, "    return 1.0f / (q * rp + (p + 1.0f));\n"),
    "tanh": _vector(-10.0, 10.0, 2.0, "    return (q * rp + (p - 1.0f)) / (q * rp + (p + 1.0f));\n"),
}
_SELU = 1.0507009873554805, 1.6732632423543772

# Activations as expressions of x.
EXPRESSIONS = {
    "relu": "x < 0.0f ? 0.0f : x",
    "leaky_relu": "x < 0.0f ? 0.2f * x : x",
    "relu6": "x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x",
    "elu": "x < 0.0f ? expm1f(x) : x",
    "celu": "x < 0.0f ? expm1f(x) : x",
    "selu": f"{number(_SELU[0])} * (x < 0.0f ? {number(_SELU[1])} * expm1f(x) : x)",
    "softplus": _SOFTPLUS,
    "softsign": "x / (1.0f + fabsf(x))",
    "hard_sigmoid": "(x < -3.0f ? 0.0f : x > 3.0f ? 6.0f : x + 3.0f) / 6.0f",
    "hard_tanh": "x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x",
    "sparse_sigmoid": "x < -1.0f ? 0.0f : x > 1.0f ? 1.0f : (x + 1.0f) / 2.0f",
    "squareplus": "(x + sqrtf(x * x + 4.0f)) / 2.0f",
    "soft_shrink": "x > 0.5f ? x - 0.5f : x < -0.5f ? x + 0.5f : x != x ? x : 0.0f",
    "sparse_plus": "x <= -1.0f ? 0.0f : x < 1.0f ? (x + 1.0f) * (x + 1.0f) / 4.0f : x",
    "silu": f"x * ({_LOGISTIC})",
    "gelu": f"x * (1.0f + erff(x * {number(math.sqrt(0.5))})) / 2.0f",
    "tanh_shrink": "x - tanhf(x)",
    "hard_silu": "x * ((x < -3.0f ? 0.0f : x > 3.0f ? 6.0f : x + 3.0f) / 6.0f)",
    "hard_shrink": "x > 0.5f || x < -0.5f ? x : x != x ? x : 0.0f",
    "mish": f"x * tanhf({_SOFTPLUS})",
    "log_sigmoid": "(x < 0.0f ? x : 0.0f) - log1pf(expf(x < 0.0f ? x : -x))",
    # Layers with the arguments a, b and c.
    "relu_layer": "(x > a ? x : 0.0f) + b * (x < a ? x - a : 0.0f)",
    "capped_relu_layer": "(x > a ? (x < c ? x : c) : 0.0f) + b * (x < a ? x - a : 0.0f)",
    "leaky_relu_layer": "x < 0.0f ? a * x : x",
    "elu_layer": "x < 0.0f ? a * expm1f(x) : x",
}
_BODIES = {"exponential": _EXPONENTIAL, "tanh": _TANH, "sigmoid": _SIGMOID}
NAMES = (*_BODIES, *EXPRESSIONS)

# How the function of a row begins: with its largest number.
_TOP = """\
static void apply_{name}(const float *x, float *y, int n) {{
    float top = x[0], sum = 0.0f;
    int i;
    for (i = 1; i < n; ++i) {{
        top = x[i] > top || x[i] != x[i] ? x[i] : top;
    }}
"""
_SOFTMAX = (
    _TOP.format(name="softmax")
    + """\
    for (i = 0; i < n; ++i) {
        y[i] = x[i] - top;
    }
    apply_exponential(y, n);
    for (i = 0; i < n; ++i) {
        sum += y[i];
    }
    for (i = 0; i < n; ++i) {
        y[i] /= sum;
    }
}
"""
)
_LOG_SOFTMAX = (
    _TOP.format(name="log_softmax")
    + """\
    for (i = 0; i < n; ++i) {
        sum += expf(x[i] - top);
    }
    sum = logf(sum);
    for (i = 0; i < n; ++i) {
        y[i] = x[i] - top - sum;
    }
}
"""
)
# The threshold t with sum max(x - t, 0) = 1, by Newton's steps from below: each leaves out numbers below it.
_SPARSEMAX = (
    _TOP.format(name="sparsemax")
    + """\
    float threshold = -1.0f;
    int count, before = -1;
    for (;;) {
        sum = 0.0f;
        count = 0;
        for (i = 0; i < n; ++i) {
            if (x[i] - top > threshold) {
                sum += x[i] - top;
                ++count;
            }
        }
        if (count == before || count == 0) {
            break;
        }
        threshold = (sum - 1.0f) / (float)count;
        before = count;
    }
    for (i = 0; i < n; ++i) {
        sum = x[i] - top - threshold;
        y[i] = sum < 0.0f ? 0.0f : sum;
    }
}
"""
)
_GLU = """\
static void apply_glu(const float *x, float *y, int n) {
    int i;
    n /= 2;
    for (i = 0; i < n; ++i) {
        y[i] = x[n + i];
    }
    apply_sigmoid(y, n);
    for (i = 0; i < n; ++i) {
        y[i] *= x[i];
    }
}
"""
# Functions of a row, and what each calls.
ROWS = {
    "softmax": (_SOFTMAX, ("exponential",)),
    "log_softmax": (_LOG_SOFTMAX, ()),
    "sparsemax": (_SPARSEMAX, ()),
    "glu": (_GLU, ("sigmoid",)),
}


def arguments_of(name: str) -> int:
    """Return how many numbers a function of this module has next to y and n."""
    return {"relu_layer": 2, "capped_relu_layer": 3, "leaky_relu_layer": 1, "elu_layer": 1}.get(name, 0)


def function(name: str) -> str:
    """Return the definition of the C function that applies an activation to n numbers in place.

    Args:
        name: One of `NAMES`.
    """
    extra = "".join(f", float {each}" for each in "abc"[: arguments_of(name)])
    body = _BODIES.get(name) or f"        const float x = y[i];\n        y[i] = {EXPRESSIONS[name]};\n"
    return f"static void apply_{name}(float *y, int n{extra}) {{\n{_loop(body)}}}\n"


def needs_math(name: str) -> bool:
    """Return whether a function of this module calls <math.h>."""
    text = ROWS[name][0] if name in ROWS else EXPRESSIONS.get(name, "")
    return any(f"{each}f(" in text for each in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf", "fabs"))
