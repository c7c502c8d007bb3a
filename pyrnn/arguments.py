"""`@checked` checks a function's arguments by the rules in their annotations.

It decorates every public constructor and function with arguments. A default is trusted. What depends on two arguments
is checked where it is used. The function receives NumPy's numbers as Python's: their dtype would change that of arrays,
and JSON cannot hold them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, TypeVar

import numpy as np

from pyrnn import rules
from pyrnn.validation import WrongType, unexpected_arguments

F = TypeVar("F", bound=Callable[..., Any])
_NO_DEFAULT = object()
# How an argument is checked, its default, and whether it is one number.
_Check = tuple[Callable[[str, Any], None], Any, bool]
_NUMPY = (np.generic, np.ndarray)
# Functions of (function, args, kwargs) that return the arguments of a call in today's names, or None if none is older.
# The shim for scripts of older versions adds one; otherwise a call with such a name raises an error.
translators: list[Callable[[Callable[..., Any], Any, Mapping[str, Any]], tuple[Any, dict[str, Any]] | None]] = []


class _OnlyForTypes:
    """What evaluating an annotation takes for a name that is imported for type checkers only."""

    def __class_getitem__(cls, item: Any) -> type[_OnlyForTypes]:
        return cls


class _Names(dict[str, Any]):
    """The names that an annotation may use: those of its module."""

    def __missing__(self, name: str) -> Any:
        builtins = self["__builtins__"]
        return (builtins if isinstance(builtins, dict) else vars(builtins)).get(name, _OnlyForTypes)


@functools.cache
def _code(annotation: str) -> CodeType:
    return compile(annotation, "<annotation>", "eval")


def _rule(annotation: str, names: _Names) -> rules.Rule | None:
    """The rule in the text of an annotation: `Annotated[..., rule]` or its name, also `| None`."""
    text = annotation.removesuffix(" | None")
    kind = names[text] if text.isidentifier() else eval(_code(text), {}, names)
    rule = next((each for each in getattr(kind, "__metadata__", ()) if isinstance(each, rules.Rule)), None)
    return rule if rule is None or text == annotation else rules.Optional(rule)


def rules_of(function: Callable[..., Any]) -> dict[str, rules.Rule | None]:
    """Return the rules of a function's arguments.

    Args:
        function: a function of a module that starts with `from __future__ import annotations`, which makes them text.

    Returns:
        The rule of each argument by name; None where the annotation has none.
    """
    function = inspect.unwrap(function)
    code, names = function.__code__, _Names(function.__globals__)
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    annotations = function.__annotations__
    return {
        name: _rule(annotations[name], names) if name in annotations else None
        for name in arguments
        if name not in ("self", "cls")
    }


def checked(function: F) -> F:
    """Check the arguments of a function before each call, by the rules in their annotations.

    The annotations are read at the first call.

    Args:
        function: a function whose module starts with `from __future__ import annotations`.

    Returns:
        A function with the same signature, which raises a TypeError or ValueError for a bad argument.

    Example:
        >>> from pyrnn import initializers
        >>> initializers.RandomNormal(stddev=-1)
        Traceback (most recent call last):
        ValueError: stddev must be a number of at least 0, got -1
    """
    code = function.__code__
    places = code.co_varnames[: code.co_argcount]
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    closed = not code.co_flags & inspect.CO_VARKEYWORDS
    by_name: dict[str, _Check] | None = None
    by_place: list[tuple[int, str, Callable[[str, Any], None], Any, bool]] = []

    def compiled() -> dict[str, _Check]:
        nonlocal by_name, by_place
        positional = function.__defaults__ or ()
        defaults = dict(zip(places[len(places) - len(positional) :], positional, strict=True))
        defaults |= function.__kwdefaults__ or {}
        table: dict[str, _Check] = {
            name: (rule.check, defaults.get(name, _NO_DEFAULT), rule.scalar)
            for name, rule in rules_of(function).items()
            if rule is not None and rule.checks
        }
        by_place = [(place, name, *table[name]) for place, name in enumerate(places) if name in table]
        by_name = table
        return table

    @functools.wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        table = by_name if by_name is not None else compiled()
        count = len(args)
        for place, name, check, default, scalar in by_place:
            if place >= count:
                break
            value = args[place]
            if value is not default:
                check(name, value)
                if scalar and isinstance(value, _NUMPY) and not value.ndim:
                    args = (*args[:place], as_number(value), *args[place + 1 :])
        for name, value in kwargs.items():
            if name in table:
                check, default, scalar = table[name]
                if value is not default:
                    check(name, value)
                    if scalar and isinstance(value, _NUMPY) and not value.ndim:
                        kwargs[name] = as_number(value)
            elif name not in names and (closed or translators):
                for translate in translators:
                    if (renamed := translate(checking, args, kwargs)) is not None:
                        return checking(*renamed[0], **renamed[1])
                if closed:
                    _reject_unknown(function, names, args, kwargs)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            # Python rejects the call itself; what it names may be a base class.
            raise WrongType(str(error).replace(function.__qualname__, _called(function, args))) from None

    return checking  # type: ignore[return-value]  # of the same signature


def _called(function: Callable[..., Any], args: Sequence[Any]) -> str:
    """What a user has called: the class, not the base class whose constructor runs, or the method."""
    return type(args[0]).__name__ if function.__name__ == "__init__" and args else function.__name__


def _reject_unknown(function: Callable[..., Any], names: tuple[str, ...], args: Any, kwargs: Mapping[str, Any]) -> None:
    """Raise a TypeError that names the arguments which the function does not have, and those that may be meant."""
    owner = _called(function, args) + ("" if function.__name__ == "__init__" else "()")
    unknown = {name: value for name, value in kwargs.items() if name not in names}
    valid = [name for name in names if name not in ("self", "cls")]
    raise WrongType(unexpected_arguments(owner, unknown, valid))


def as_number(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's."""
    number = value.item()
    return float(number) if isinstance(number, np.floating) else number  # of more than 64 bits


def arguments_of(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the named arguments of a constructor, from its `locals()` before it sets other variables.

    Public constructors repeat Keras's signatures. With this they need not repeat them again to pass the arguments on.

    Args:
        variables: what `locals()` returns.

    Returns:
        The arguments by name, without `self` and `**kwargs`.
    """
    arguments = dict(variables)
    for name in ("self", "kwargs", "__class__"):
        arguments.pop(name, None)
    return arguments
