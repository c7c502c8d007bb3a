"""Rules of arguments that are functions, or that a registry looks up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyrnn.rules import Rule
from pyrnn.validation import WrongType, shown


def takes(function: Any, arguments: int, named: Iterable[str] = ()) -> bool:
    """Return whether a function can be called with these arguments, as far as its signature says.

    Args:
        function: a callable; a builtin without a signature takes anything.
        arguments: how many arguments are passed by position.
        named: names of those passed by name.

    Returns:
        True or False.

    Example:
        >>> from pyrnn.function_rules import takes
        >>> takes(lambda x, scale: x, 1, ["scale"])
        True
    """
    try:
        inspect.signature(function).bind(*[None] * arguments, **dict.fromkeys(named))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        pass
    return True


class FunctionOf(Rule):
    """A function that can be called in a certain way.

    Args:
        *arguments: names of the arguments that are passed by position, for the message.
        named: names of those passed by name.
    """

    def __init__(self, *arguments: str, named: Sequence[str] = ()) -> None:
        self.arguments, self.named = arguments, named

    def check(self, argument: str, value: Any) -> None:
        if not callable(value) or not takes(value, len(self.arguments), self.named):
            signature = ", ".join([*self.arguments, *(f"{name}=..." for name in self.named)])
            raise WrongType(f"{argument} must be a function of ({signature}), got {shown(value)}")


class Function(Rule):
    """A function that can be called with some number of arguments.

    Args:
        least: the smallest number.
        most: the largest number.
    """

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most
        self.allowed = "" if least else "function"

    def check(self, argument: str, value: Any) -> None:
        if not callable(value):
            raise WrongType(f"{argument} must be a function, got {shown(value)}")
        if not any(takes(value, count) for count in range(self.least, self.most + 1)):
            counts = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            plural = "s" if self.most > 1 else ""
            raise WrongType(f"{argument} must be a function of {counts} argument{plural}, got {shown(value)}")


class Registered(Rule):
    """What the look-up of a registry accepts.

    Args:
        get: the look-up, which raises a TypeError or ValueError.
        *arguments: names of the arguments of a custom function that are passed by position.
        named: names of those passed by name.
        allowed: names of the `SAMPLES` that the look-up accepts.
    """

    def __init__(
        self, get: Callable[[Any], Any], *arguments: str, named: Sequence[str] = (), allowed: str = "none"
    ) -> None:
        self.get, self.allowed = get, allowed
        self.signature = FunctionOf(*arguments, named=named) if arguments else None

    def check(self, argument: str, value: Any) -> None:
        try:
            resolved = self.get(value)
        except (TypeError, ValueError) as error:
            message = " ".join(str(error).split())
            kind = WrongType if isinstance(error, TypeError) else ValueError
            raise kind(message if argument in message else f"{argument}: {message}") from None
        if self.signature is not None and resolved is value and inspect.isfunction(value):
            self.signature.check(argument, value)
