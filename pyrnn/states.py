"""Rules for a training state that was read from a file, which may contain anything.

A rule is a function of (where, value). It raises a ValueError that says where in the state the value is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn.validation import shown

Rule = Callable[[str, Any], None]
LARGEST_COUNT = 2**31 - 1


def require(allowed: bool, where: str, requirement: str, value: Any) -> None:
    """Raise a ValueError that `where` must `requirement`, unless `allowed`."""
    if not allowed:
        raise ValueError(f"{where} must {requirement}, got {shown(value)}")


def anything(where: str, value: Any) -> None:
    """Accept any value: only custom code understands it."""


def count(most: int | None = None) -> Rule:
    """Return the rule for an integer from 0 to `most`, by default the largest count."""
    largest = LARGEST_COUNT if most is None else most

    def rule(where: str, value: Any) -> None:
        allowed = type(value) is int and 0 <= value <= largest
        require(allowed, where, f"be an integer from 0 to {largest}", value)

    return rule


def number(where: str, value: Any) -> None:
    """Accept a number, NaN and infinity included."""
    require(type(value) in (int, float) and _fits(value), where, "be a number", value)


def _fits(value: float) -> bool:
    try:
        math.isnan(value)
    except OverflowError:
        return False
    return True


def flag(where: str, value: Any) -> None:
    """Accept True and False."""
    require(isinstance(value, bool), where, "be true or false", value)


def text(where: str, value: Any) -> None:
    """Accept a string."""
    require(isinstance(value, str), where, "be a string", value)


def optional(rule: Rule) -> Rule:
    """Return the rule for None or what `rule` accepts."""
    return lambda where, value: None if value is None else rule(where, value)


def list_of(rule: Rule, length: int | None = None) -> Rule:
    """Return the rule for a list, of a fixed length if one is given, whose entries `rule` accepts."""

    def of_each(where: str, value: Any) -> None:
        allowed = isinstance(value, list) and length in (None, len(value))
        require(allowed, where, "be a list" if length is None else f"be a list of {length} entries", value)
        for position, each in enumerate(value):
            rule(f"{where}[{position}]", each)

    return of_each


def tuple_of(*rules: Rule) -> Rule:
    """Return the rule for a list with one entry for each of `rules`."""

    def rule(where: str, value: Any) -> None:
        list_of(anything, len(rules))(where, value)
        for position, (entry, entry_rule) in enumerate(zip(value, rules, strict=True)):
            entry_rule(f"{where}[{position}]", entry)

    return rule


def mapping_of(rule: Rule) -> Rule:
    """Return the rule for a dict with strings as keys, whose values `rule` accepts."""

    def of_each(where: str, value: Any) -> None:
        require(isinstance(value, dict) and all(isinstance(name, str) for name in value), where, "be a dict", value)
        for name, each in value.items():
            rule(f"{where}[{name!r}]", each)

    return of_each


def record(rules: Mapping[str, Rule], optional_names: Sequence[str] = ()) -> Rule:
    """Return the rule for a dict with these keys. Those of `optional_names` may be missing, as in older files."""

    def of_each(where: str, value: Any) -> None:
        mapping_of(anything)(where, value)
        missing = rules.keys() - value.keys() - set(optional_names)
        if missing or not value.keys() <= rules.keys():
            raise ValueError(f"{where} must have the keys {', '.join(sorted(rules))}, got {', '.join(sorted(value))}")
        for name, each in value.items():
            rules[name](f"{where}[{name!r}]", each)

    return of_each


def array(shape: tuple[int, ...] | None = None, kinds: str = "fiub", dtype: Any = None) -> Rule:
    """Return the rule for an array of numbers, of this shape, of a dtype of these kinds, or of exactly this dtype."""

    def rule(where: str, value: Any) -> None:
        requirement = " ".join(["be an array", *([] if dtype is None else [f"of {dtype}"]),
                          *([] if shape is None else [f"of shape {shape}"])])  # fmt: skip
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{where} must {requirement}, got {shown(value)}")
        if value.dtype.kind not in kinds or dtype not in (None, value.dtype) or shape not in (None, value.shape):
            raise ValueError(f"{where} must {requirement}, got {value.dtype} of shape {value.shape}")

    return rule
