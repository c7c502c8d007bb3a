"""C as text: numbers, arrays, names and comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

WIDTH = 120
INDENT = "    "
# Words that a name of a function may not be, in C99 and C++17.
KEYWORDS = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false
    float for friend goto if inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public register reinterpret_cast restrict return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using
    virtual void volatile wchar_t while xor xor_eq""".split()  # noqa: SIM905  # a list of 90 strings is not shorter
)


def number(value: float) -> str:
    """Return a float32 as a C constant that reads back as the same number.

    Args:
        value: A finite number.
    """
    text = repr(np.float32(value).item()) if value == 0 else f"{np.float32(value):.9g}"
    for digits in (6, 7, 8):
        short = f"{np.float32(value):.{digits}g}"
        if np.float32(short) == np.float32(value):
            text = short
            break
    return text + ("f" if "." in text or "e" in text else ".0f")


def array(declaration: str, values: Iterable[str]) -> str:
    """Return the definition of an array.

    Args:
        declaration: What comes before the equals sign.
        values: Its elements as text.
    """
    body = textwrap.fill(", ".join(values), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return f"{declaration} = {{\n{body}\n}};\n"


def floats(declaration: str, values: Any) -> str:
    """Return the definition of an array of float32 numbers."""
    return array(declaration, [number(each) for each in np.asarray(values, np.float32).reshape(-1).tolist()])


def comment(lines: Iterable[str]) -> str:
    """Return lines as one comment; what would end it is left out."""
    text = "\n".join(f" * {line.replace('*/', '')}".rstrip() for line in lines)
    return f"/*{text[2:]}\n */\n"


def is_name(text: str) -> bool:
    """Return whether a text can name a function in C and C++."""
    return text.isidentifier() and text.isascii() and not text.startswith("_") and text not in KEYWORDS


def as_name(text: str) -> str:
    """Return the text with what a name cannot hold replaced by "_"."""
    name = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in text).strip("_")
    return name if is_name(name) else f"model_{name}"
