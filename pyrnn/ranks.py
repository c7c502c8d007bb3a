"""Which of several processes this one is, where they train together; `pyrnn.distributed` sets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Distribution(Protocol):
    """What the rest of pyrnn needs of a distribution of training over processes."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on."""

    def runner(self, model: Any, batch: Any = None) -> Any:
        """Return what runs the passes of a model, with the methods `forward_pass` and `passes` of a model.

        Args:
            model: the model.
            batch: a batch of training, which is compared between the processes at first; None for one without a check.
        """

    def rows(self, count: int) -> slice:
        """Return the rows that this process has of a batch.

        Args:
            count: the number of rows of the batch.
        """

    def of_first(self, function: Callable[[], T]) -> T:
        """Call a function in the first process and return its result, or raise its error, in all of them.

        Args:
            function: makes something that can be pickled.
        """


# The distribution under way; None where each process trains by itself.
distribution: Distribution | None = None


def is_first() -> bool:
    """Return whether this process prints and writes files."""
    return distribution is None or distribution.rank == 0


def of_first(function: Callable[[], T]) -> T:
    """Call a function in the first process alone, such as one that reads a file.

    Args:
        function: makes something that can be pickled.

    Returns:
        What it returned there.
    """
    return function() if distribution is None else distribution.of_first(function)
