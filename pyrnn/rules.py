"""Rules of arguments: each one checks a value and lists the bad values that it must reject.

A rule is written in the annotation of an argument, `Annotated[int, Whole(1)]`; `pyrnn.typing` names the common ones,
and `pyrnn.arguments.checked` runs them. Modules with rules of their own (a registry, the conversion of arrays)
subclass `Rule`.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.validation import LARGEST_SIZE, WrongType, shown, unsupported_value

LARGEST_COUNT = 2**63 - 1
MOST_AXES = 64  # of an array of NumPy
# One value of every kind: what no rule of that kind allows is bad for all of them.
SAMPLES: dict[str, Any] = {
    "object": object(),
    "list": [],
    "dict": {},
    "text": "no such\nthing",
    "empty": "",
    "none": None,
    "nan": math.nan,
    "infinite": math.inf,
    "negative": -1,
    "zero": 0,
    "fraction": 1.5,
    "huge": 2**63,
    "true": True,
    "array": np.ones((2, 2)),
    "function": lambda: None,  # without arguments
}
FINITE = "negative zero fraction huge"
NUMBERS = f"nan infinite {FINITE}"
ANYTHING = " ".join(SAMPLES)


class Rule:
    """What an argument may be.

    Attributes:
        checks: whether there is anything to check before the function runs.
        scalar: whether it is one number, which functions receive as Python's.
        allowed: the names of the `SAMPLES` that the rule allows.
    """

    checks = True
    scalar = False
    allowed = ""

    def check(self, argument: str, value: Any) -> None:
        """Check a value.

        Args:
            argument: the name of the argument, for the message.
            value: its value.

        Raises:
            TypeError, ValueError: if the rule does not allow the value.
        """
        raise NotImplementedError

    def allows(self, value: Any) -> bool:
        """Return whether `check` accepts a value."""
        try:
            self.check("", value)
        except (TypeError, ValueError):
            return False
        return True

    def bad_values(self) -> dict[str, Any]:
        """Return values that `check` must reject, by names for the messages of tests."""
        return {name: value for name, value in SAMPLES.items() if name not in self.allowed.split()}


class Unchecked(Rule):
    """What only the function can check, since it depends on the model, the data or other arguments.

    Args:
        allowed: names of the `SAMPLES` that a function may accept.
    """

    checks = False

    def __init__(self, *, allowed: str = "") -> None:
        self.allowed = allowed


class Omitted(Rule):
    """An argument of Keras that must be left out.

    Args:
        default: what it may be, in addition to None.
    """

    def __init__(self, default: Any = None) -> None:
        self.default = default
        self.allowed = "none"

    def check(self, argument: str, value: Any) -> None:
        if value is not None and value is not self.default:
            raise ValueError(unsupported_value(argument, value))


# Numbers.


def is_number(value: Any) -> bool:
    """Return whether a value is one real number, of Python or NumPy; True and False are not."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


class Number(Rule):
    """A finite number from `least` to `most`.

    Args:
        least: the smallest number.
        most: the largest number.
        open_ends: "(", ")" or both exclude these two themselves.
        requirement: what a message says after "must"; made from the range by default.

    Example:
        >>> from pyrnn.rules import Number
        >>> Number(0, 1, open_ends=")").check("beta_1", 1)
        Traceback (most recent call last):
        ValueError: beta_1 must lie in [0, 1), got 1
    """

    scalar = True

    def __init__(
        self, least: float = -math.inf, most: float = math.inf, *, open_ends: str = "", requirement: str = ""
    ) -> None:
        self.least, self.most, self.open_ends = least, most, open_ends
        left, right = ("(" if "(" in open_ends else "["), (")" if ")" in open_ends else "]")
        if requirement:
            self.requirement = requirement
        elif least == -math.inf:
            self.requirement = "be a finite number" if most == math.inf else f"be at most {most:g}"
        elif most == math.inf:
            self.requirement = "be positive" if (least, left) == (0, "(") else f"be a number of at least {least:g}"
        else:
            self.requirement = (
                f"lie in {left}{least:g}, {most:g}{right}" if open_ends else f"be a number from {least:g} to {most:g}"
            )

    def check(self, argument: str, value: Any) -> None:
        if not is_number(value):
            raise WrongType(f"{argument} must {self.requirement}, got {shown(value)}")
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        at_open_end = ("(" in self.open_ends and value == self.least) or (")" in self.open_ends and value == self.most)
        if not finite or not self.least <= value <= self.most or at_open_end:
            raise ValueError(f"{argument} must {self.requirement}, got {shown(value)}")

    def bad_values(self) -> dict[str, Any]:
        low, high = self.least, self.most
        closed = [end for end, mark in ((low, "("), (high, ")")) if mark not in self.open_ends]
        within = [name for name in FINITE.split() if low < SAMPLES[name] < high or SAMPLES[name] in closed]
        bad = {name: value for name, value in SAMPLES.items() if name not in within}
        if self.least > -math.inf:
            bad["below"] = self.least if "(" in self.open_ends else self.least - 1e-9
        if self.most < math.inf:
            bad["above"] = self.most if ")" in self.open_ends else self.most + 1e-9
        return bad


class Whole(Rule):
    """An integer from `least` to `most`.

    Args:
        least: the smallest integer.
        most: the largest integer.

    Example:
        >>> from pyrnn.rules import Whole
        >>> Whole(1).bad_values()["below"]
        0
    """

    scalar = True

    def __init__(self, least: int = 0, most: int = LARGEST_SIZE) -> None:
        self.least, self.most = least, most

    def check(self, argument: str, value: Any) -> None:
        kind = "a positive integer" if self.least == 1 else f"an integer of at least {self.least}"
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            count = operator.index(value)
        except TypeError:
            raise WrongType(f"{argument} must be {kind}, got {shown(value)}") from None
        if count < self.least:
            kind = kind if self.least == 1 else f"at least {self.least}"
            raise ValueError(f"{argument} must be {kind}, got {value}")
        if count > self.most:
            raise ValueError(f"{argument} must be at most {self.most}, got {value}")

    def bad_values(self) -> dict[str, Any]:
        within = [name for name in ("negative", "zero", "huge") if self.least <= SAMPLES[name] <= self.most]
        bad = {name: value for name, value in SAMPLES.items() if name not in within}
        return {**bad, "below": self.least - 1, "above": self.most + 1}


class Flag(Rule):
    """True or False, also as 1 or 0."""

    scalar = True
    allowed = "true zero"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, bool | np.bool_ | int) or value not in (0, 1):
            raise WrongType(f"{argument} must be True or False, got {shown(value)}")


class Boolean(Rule):
    """True or False, where 1 is likely to be meant for another argument."""

    scalar = True
    allowed = "true"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, bool | np.bool_):
            raise WrongType(f"{argument} must be True or False, got {shown(value)}")


# Texts and choices.


class Text(Rule):
    """A string.

    Args:
        empty: whether it may be empty.
    """

    def __init__(self, *, empty: bool = True) -> None:
        self.empty = empty
        self.allowed = "text empty" if empty else "text"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, str):
            raise WrongType(f"{argument} must be a string, got {shown(value)}")
        if not value and not self.empty:
            raise ValueError(f"{argument} must be a string that is not empty, got ''")


class Path(Rule):
    """The name of a file or folder."""

    allowed = "text"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
            raise WrongType(f"{argument} must be a path, got {shown(value)}")
        if not os.fspath(value) or "\0" in os.fspath(value):
            kind = "folder" if argument.endswith("dir") else "file"
            raise ValueError(f"{argument} must name a {kind}, got {shown(value)}")


class PathOrFile(Path):
    """The name of a file or folder, or an open binary file.

    Args:
        method: what the file must have, "read" or "write".
    """

    def __init__(self, method: str) -> None:
        self.method = method

    def check(self, argument: str, value: Any) -> None:
        if not callable(getattr(value, self.method, None)) or isinstance(value, os.PathLike):
            super().check(argument, value)


class OneOf(Rule):
    """One of some values.

    Args:
        *choices: the values.
    """

    def __init__(self, *choices: Any) -> None:
        self.choices = choices

    def check(self, argument: str, value: Any) -> None:
        try:
            if any(value is choice or (type(value) is type(choice) and value == choice) for choice in self.choices):
                return
        except ValueError:  # of arrays
            pass
        *others, last = map(repr, self.choices)
        choices = f"{', '.join(others)} or {last}" if others else last
        choices = f"one of {choices}" if len(others) > 1 else choices
        wrong_kind = not isinstance(value, str) and all(isinstance(choice, str) for choice in self.choices)
        raise (WrongType if wrong_kind else ValueError)(f"{argument} must be {choices}, got {shown(value)}")

    def bad_values(self) -> dict[str, Any]:
        choices = list(map(repr, self.choices))
        return {name: value for name, value in SAMPLES.items() if repr(value) not in choices}


# Rules made of others.


class Optional(Rule):
    """None, or what another rule allows; written `X | None` in an annotation.

    Args:
        rule: the other rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule, self.checks, self.scalar = rule, rule.checks, rule.scalar

    def check(self, argument: str, value: Any) -> None:
        if value is not None:
            self.rule.check(argument, value)

    def bad_values(self) -> dict[str, Any]:
        return {name: value for name, value in self.rule.bad_values().items() if value is not None}


class Either(Rule):
    """What any of several rules allows.

    Args:
        *rules: the rules; the last one words the message.
    """

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self.scalar = any(rule.scalar for rule in rules)

    def check(self, argument: str, value: Any) -> None:
        if not any(rule.allows(value) for rule in self.rules[:-1]):
            self.rules[-1].check(argument, value)

    def bad_values(self) -> dict[str, Any]:
        common: set[str] = set.intersection(*(set(rule.bad_values()) & SAMPLES.keys() for rule in self.rules))
        return {name: SAMPLES[name] for name in SAMPLES if name in common}


class ListOf(Rule):
    """A list or tuple.

    Args:
        rule: the rule of each entry.
    """

    allowed = "list"

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise WrongType(f"{argument} must be a list or tuple, got {shown(value)}")
        for entry in value:
            self.rule.check(argument, entry)

    def bad_values(self) -> dict[str, Any]:
        entries = self.rule.bad_values().items()
        return {**super().bad_values(), **{f"[{name}]": [value] for name, value in entries}}


class Dict(Rule):
    """A dict."""

    allowed = "dict"

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise WrongType(f"{argument} must be a dict, got {shown(value)}")


# Arrays and lists of numbers.


class Numbers(Rule):
    """A number, or an array or nested list of numbers."""

    allowed = f"list {FINITE} array"

    def check(self, argument: str, value: Any) -> None:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            array = np.asarray(None)
        if array.dtype.kind not in "iuf" or isinstance(value, str | bytes):
            raise WrongType(f"{argument} must hold numbers, got {shown(value)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{argument} must hold finite numbers, got {shown(value)}")


class Vector(Numbers):
    """A list of numbers, or an array of one axis."""

    allowed = "list"

    def check(self, argument: str, value: Any) -> None:
        super().check(argument, value)
        if np.ndim(value) != 1:
            raise WrongType(f"{argument} must be a list of numbers, got {shown(value)}")


class Axes(Rule):
    """None, the number of an axis, or a list of them."""

    allowed = "list none negative zero"

    def check(self, argument: str, value: Any) -> None:
        axes: Any = () if value is None else value if isinstance(value, list | tuple) else (value,)
        for axis in axes:
            if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
                raise WrongType(f"{argument} must be an integer or a list of integers, got {shown(value)}")
            if abs(int(axis)) > MOST_AXES:
                raise ValueError(f"{argument} must be an axis from {-MOST_AXES} to {MOST_AXES}, got {shown(value)}")


class Dtype(Rule):
    """None, or what NumPy or Keras calls a kind of number."""

    allowed = "dict none"

    def check(self, argument: str, value: Any) -> None:
        if value is None or isinstance(value, Mapping):  # Keras's description of a policy
            return
        try:
            kind = "" if isinstance(value, np.generic) else np.dtype(value).kind
        except (TypeError, ValueError, SyntaxError):
            kind = ""
        if kind not in tuple("iufb"):
            raise WrongType(f"{argument} must be a dtype of numbers such as 'float32', got {shown(value)}")


# Objects.


class Configurable(Rule):
    """An object that can describe itself."""

    def check(self, argument: str, value: Any) -> None:
        if isinstance(value, type) or not hasattr(value, "get_config"):
            raise WrongType(f"{argument} must be an object with get_config, got {shown(value)}")


class InstanceOf(Rule):
    """An object of a class.

    Args:
        kind: the class.
        description: what messages call it.
    """

    def __init__(self, kind: type, description: str) -> None:
        self.kind, self.description = kind, description

    def check(self, argument: str, value: Any) -> None:
        if not isinstance(value, self.kind):
            raise WrongType(f"{argument} must be {self.description}, got {shown(value)}")
