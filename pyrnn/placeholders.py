"""Stand-ins for names of Keras and TensorFlow that pyrnn does not have, for scripts that import them.

A placeholder may be imported, passed around and written in an annotation, and nothing is an instance of it. Calling it,
deriving from it or taking an attribute of it raises the sentence that says why the name is absent.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any


class Placeholder:
    """A name that pyrnn does not have.

    Args:
        name: The name with its module, as `repr` shows it.
        sentence: Why it is absent and what to use instead.

    Example:
        >>> from pyrnn.placeholders import Placeholder
        >>> Conv2D = Placeholder("keras.layers.Conv2D", "keras.layers has no Conv2D: it works on images; use Conv1D")
        >>> isinstance(3, Conv2D)
        False
        >>> Conv2D(8, 3)
        Traceback (most recent call last):
        AttributeError: keras.layers has no Conv2D: it works on images; use Conv1D
    """

    def __init__(self, name: str, sentence: str) -> None:
        self._name, self._sentence = name, sentence

    def _raise(self, *args: Any, **kwargs: Any) -> Any:
        raise AttributeError(self._sentence)

    __call__ = __mro_entries__ = __enter__ = __iter__ = __getitem__ = __len__ = __bool__ = _raise
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __array__ = _raise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # `tf.data.Dataset` may be an annotation, so what looks like a module has placeholders for attributes.
        if self._name.rpartition(".")[2].islower():
            return Placeholder(f"{self._name}.{name}", self._sentence)
        return self._raise()

    def __exit__(self, *args: Any) -> None:
        """End a `with` block, which `__enter__` has never begun."""

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __subclasscheck__(self, subclass: type) -> bool:
        return False

    def __or__(self, other: Any) -> Any:
        return Any  # X | None in an annotation

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"<{self._sentence}>"


class AbsentModule(ModuleType):
    """A module that pyrnn does not have: each of its names is a placeholder.

    Args:
        name: The module's name.
        sentence: Why it is absent and what to use instead.
    """

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(name, sentence)
        self.__path__: list[str] = []
        self._sentence = sentence

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(f"{self.__name__}.{name}", self._sentence)
