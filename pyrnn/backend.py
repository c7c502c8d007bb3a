"""The one door to the compiled core and to its NumPy twin.

Every operation that costs time is looked up here as ``backend.rnn_forward(...)`` and the like. ``use_backend``
rebinds those names, so calls go straight to the implementation without a hop. No other module imports
``pyrnn._core`` or ``pyrnn.reference``; signatures and shapes stand in ``_core.pyi``.
"""

# ruff: noqa: F403, F405
from __future__ import annotations

import contextlib
import copyreg
import os
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.rules import OneOf, Whole
from pyrnn.typing import Name, Size
from pyrnn.validation import shown, unknown_name

# The list of the operations. `_core.pyi` describes each; the core and the reference have a function for each.
OPERATIONS = (
    "Stream32",
    "Stream64",
    "Workspace",
    "activation_backward",
    "activation_forward",
    "adam_step",
    "conv1d_backward",
    "conv1d_forward",
    "dense_backward",
    "dense_forward",
    "gather_rows",
    "layer_norm_backward",
    "layer_norm_forward",
    "pool1d_backward",
    "pool1d_forward",
    "rmsprop_step",
    "rnn_backward",
    "rnn_forward",
    "scatter_rows",
    "sgd_step",
    "squared_error",
)
BACKENDS = ("core", "reference")

__all__ = [
    *OPERATIONS,
    "BACKENDS",
    "available_isas",
    "compiler",
    "current_backend",
    "fma_peak",
    "get_num_threads",
    "isa",
    "read_bandwidth",
    "set_num_threads",
    "use_backend",
]

_NOT_BUILT = (
    "pyrnn's compiled core is missing: this looks like a source folder that was not installed; "
    "type `pip install .` in it (or `pip install -e .` to develop) and start Python again."
)

_active = ""


def _core() -> ModuleType:
    """The extension module, or one sentence that says how to get it."""
    try:
        from pyrnn import _core
    except ImportError as error:
        if error.name == "pyrnn._core" or "cannot import name '_core'" in str(error):
            raise ImportError(_NOT_BUILT) from None
        raise
    return _core


@checked
def use_backend(name: Name) -> None:
    """Switch every operation to ``"core"`` (compiled) or ``"reference"`` (plain NumPy).

    Models that are already built follow at their next call.

    Raises:
        ValueError: if ``name`` is neither.
        ImportError: if the compiled core was not built.
    """
    global _active
    if name == "core":
        module = _core()
    elif name == "reference":
        from pyrnn import reference as module
    else:
        raise ValueError(unknown_name("backend", name, BACKENDS))
    globals().update({operation: getattr(module, operation) for operation in OPERATIONS})
    with contextlib.suppress(ImportError):  # the reference runs without the core, but layers keep their workspace
        globals()["Workspace"] = _core().Workspace
    # A workspace holds packed weights and scratch memory: a pickle or copy of a layer needs neither.
    copyreg.pickle(Workspace, lambda workspace: (_new_workspace, ()))
    _active = name


def current_backend() -> str:
    """Name of the backend in use: ``"core"`` or ``"reference"``."""
    return _active


@checked
def set_num_threads(count: Size) -> None:
    """Let the core use ``count`` threads (1 to 256); results keep the same bits at any count.

    The threads are created by the next call that has work for them. If the system allows fewer (a limit on memory or
    on processes), those share the work, and :func:`get_num_threads` returns how many there are.

    Raises:
        TypeError: if ``count`` is no integer.
        ValueError: if it is out of range.
    """
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"count must be an integer, got {shown(count)}")
    if not 1 <= count <= 256:
        raise ValueError(f"count must be between 1 and 256, got {count}")
    _core().set_num_threads(int(count))


def get_num_threads() -> int:
    """Number of threads the core uses."""
    return int(_core().get_num_threads())


def isa() -> str:
    """Name of the instruction set the core was told or chose to use."""
    return str(_core().isa())


def available_isas() -> list[str]:
    """Names of the instruction sets this build holds and this machine runs, best first."""
    return list(_core().available_isas())


def compiler() -> str:
    """Name and version of the compiler that built the core."""
    return str(_core().compiler())


@checked
def fma_peak(dtype: Annotated[str, OneOf("float32", "float64")] = "float32") -> float:
    """Measured fused multiply-add peak of one thread, in GFLOP/s (takes about 20 ms)."""
    return float(_core().fma_peak(dtype))


@checked
def read_bandwidth(size: Annotated[int, Whole(1, 2**32)]) -> float:
    """Measured speed of one thread reading `size` bytes again and again, in bytes a second (takes about 50 ms).

    It is the bandwidth of the cache that holds so many bytes.
    """
    return float(_core().read_bandwidth(size))


def _new_workspace() -> Workspace:
    return Workspace()


use_backend(os.environ.get("PYRNN_BACKEND", "core"))
explain(__name__, attributes=False)

if TYPE_CHECKING:
    # The signatures of the operations; two functions about the machine have other arguments here.
    from pyrnn._core import *  # type: ignore[assignment]
