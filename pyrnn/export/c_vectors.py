"""Vectors in C: the types, and functions of values in registers.

With GCC and Clang a vector is one of the compiler's own (`vector_size`), of at most 64, 32 or 16 bytes; elsewhere it is
a plain number, and the same text is valid. Only clamps use intrinsics, on x86: GCC makes five instructions of a
comparison and a choice between vectors (docs/dev/experiments.md).
"""

from __future__ import annotations

from pyrnn.export.c_activations import VECTOR_BODIES

TYPES = """\
/* Vectors where the compiler has them, plain numbers elsewhere. */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
typedef float narrow __attribute__((vector_size(16)));
typedef unsigned narrow_bits __attribute__((vector_size(16)));
#if defined(__AVX__)
typedef float middle __attribute__((vector_size(32)));
typedef unsigned middle_bits __attribute__((vector_size(32)));
#else
typedef narrow middle;
typedef narrow_bits middle_bits;
#endif
#if defined(__AVX512F__)
typedef float wide __attribute__((vector_size(64)));
typedef unsigned wide_bits __attribute__((vector_size(64)));
#else
typedef middle wide;
typedef middle_bits wide_bits;
#endif
#else
#define INLINE static inline
typedef float narrow;
typedef float middle;
typedef float wide;
typedef unsigned narrow_bits;
typedef unsigned middle_bits;
typedef unsigned wide_bits;
#endif
/* Clang would unroll a loop over all rows, sum gate by gate, and keep the inputs in memory. */
#if defined(__clang__)
#define ROWS _Pragma("clang loop unroll_count(2)")
#else
#define ROWS
#endif
"""
# The type of vectors for blocks of this many numbers.
LANES = {16: "wide", 8: "middle", 4: "narrow"}

_LOAD = """\
INLINE {type} load_{type}(const float *x) {{
    {type} y;
    memcpy(&y, x, sizeof y);
    return y;
}}
"""
_CLAMP = """\
INLINE {type} clamp_{type}({type} x, float low, float high) {{
#if defined(__GNUC__)
    const {type} zero = {{0.0f}}, lowest = low - zero, highest = high - zero;
#if defined({macro})
    return ({type}){prefix}_max_ps(({register})lowest, {prefix}_min_ps(({register})highest, ({register})x));
#else
    {type}_bits is_out = ({type}_bits)(x < lowest);
    x = ({type})((is_out & ({type}_bits)lowest) | (~is_out & ({type}_bits)x));
    is_out = ({type}_bits)(x > highest);
    return ({type})((is_out & ({type}_bits)highest) | (~is_out & ({type}_bits)x));
#endif
#else
    x = x < low ? low : x;
    return x > high ? high : x;
#endif
}}
"""
# The macro that says that the compiler has instructions for a type, the prefix of their names, and their type.
_INSTRUCTIONS = {
    "wide": ("__AVX512F__", "_mm512", "__m512"),
    "middle": ("__AVX__", "_mm256", "__m256"),
    "narrow": ("__SSE__", "_mm", "__m128"),
}
# Included where there are such instructions; the header of all of them takes long to compile.
INCLUDE = """\
#if defined(__GNUC__) && defined(__AVX__)
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__SSE__)
#include <xmmintrin.h>
#endif
"""


def activation(name: str, lanes: str) -> str:
    """Return the definition of a function of one vector.

    Args:
        name: "sigmoid" or "tanh".
        lanes: The type of the vector, one of `LANES`.
    """
    return f"INLINE {lanes} {name}_{lanes}({lanes} x) {{\n{VECTOR_BODIES[name].format(type=lanes)}}}\n"


def basics(lanes: str) -> str:
    """Return the definitions that every function on vectors of a type needs."""
    macro, prefix, register = _INSTRUCTIONS[lanes]
    return (_LOAD + _CLAMP).format(type=lanes, macro=macro, prefix=prefix, register=register)
