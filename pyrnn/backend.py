"""Chooses between the compiled core and the NumPy reference. No other module imports either.

Operations are called as `backend.rnn_forward(...)`. `use_backend` rebinds these names, so that a call goes straight to
the implementation. `_core.pyi` describes signatures and shapes.
"""

# ruff: noqa: F403, F405
from __future__ import annotations

import contextlib
import copyreg
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

from pyrnn.arguments import checked
from pyrnn.explaining import explain
from pyrnn.rules import OneOf, Whole
from pyrnn.typing import Name, Size
from pyrnn.validation import WrongType, shown, unknown_name

# The list of the operations. `_core.pyi` describes each; the core and the reference have a function for each.
OPERATIONS = (
    "Chain32",
    "Chain64",
    "Stream32",
    "Stream64",
    "Workspace",
    "activation_backward",
    "activation_forward",
    "adam_step",
    "attention_backward",
    "attention_forward",
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

_STALE = (
    "pyrnn's compiled core is older than its sources and lacks {}: type `pip install .` in the source folder (or "
    "`pip install -e .` to develop) and start Python again."
)

_active = ""
_threads_are_set = False  # by `set_num_threads`


def _core() -> ModuleType:
    """Import the extension, or raise an ImportError that says how to build it."""
    try:
        from pyrnn import _core
    except ImportError as error:
        if error.name == "pyrnn._core" or "cannot import name '_core'" in str(error):
            raise ImportError(_NOT_BUILT) from None
        raise
    return _core


@checked
def use_backend(name: Name) -> None:
    """Compute every operation with the compiled core or in plain NumPy from now on.

    Models that are already built follow at their next call.

    Args:
        name: "core" (compiled) or "reference" (NumPy, slow).

    Raises:
        TypeError: If `name` is not a string.
        ValueError: If `name` is neither.
        ImportError: If the compiled core has not been built, or not since its sources got another operation.

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.use_backend("reference")
        >>> pyrnn.backend.current_backend()
        'reference'
        >>> pyrnn.backend.use_backend("core")
    """
    global _active
    if name == "core":
        module = _core()
        lacking = [operation for operation in OPERATIONS if not hasattr(module, operation)]
        if lacking:
            raise ImportError(_STALE.format(", ".join(lacking)))
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


def rnn_with_functions(*activations: Any) -> tuple[Any, ...]:
    """Return `rnn_forward` and `rnn_backward` for activations that are functions, which run in NumPy, step by step.

    Args:
        *activations: a name, or an object with `forward(z)` and `backward(dy, y, z)`; None stays.

    Returns:
        The two operations, and the activations in the form in which they take them.

    Example:
        >>> import pyrnn
        >>> forward, backward, *activations = pyrnn.backend.rnn_with_functions("tanh", None)
        >>> activations
        ['tanh', None]
    """
    from pyrnn.reference import activations as formulas
    from pyrnn.reference import recurrent

    taken = [
        each if each is None or isinstance(each, str) else formulas.Activation(each.forward, each.backward, True)
        for each in activations
    ]
    return recurrent.rnn_forward, recurrent.rnn_backward, *taken


def current_backend() -> str:
    """Return what computes the operations.

    Returns:
        "core" or "reference".

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.current_backend()
        'core'
    """
    return _active


@checked
def set_num_threads(count: Size) -> None:
    """Let the core use `count` threads. Results have the same bits at any count.

    The next call that has work for them creates the threads. If the system allows fewer, because of a limit on memory
    or processes, those share the work, and `get_num_threads` returns their number.

    Args:
        count: 1 to 256.

    Raises:
        TypeError: If `count` is not an integer.
        ValueError: If it is out of range.

    Example:
        >>> import pyrnn
        >>> before = pyrnn.get_num_threads()
        >>> pyrnn.set_num_threads(1)
        >>> pyrnn.get_num_threads()
        1
        >>> pyrnn.set_num_threads(before)
    """
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise WrongType(f"count must be an integer, got {shown(count)}")
    if not 1 <= count <= 256:
        raise ValueError(f"count must be between 1 and 256, got {count}")
    global _threads_are_set
    _threads_are_set = True
    _core().set_num_threads(int(count))


def _use_one_thread() -> None:
    """Use one thread in a child process, which most likely is one of several, unless another number was asked for."""
    variables = ("PYRNN_NUM_THREADS", "OMP_NUM_THREADS")
    if not _threads_are_set and not any(os.environ.get(name) for name in variables):
        with contextlib.suppress(ImportError):  # the reference runs without the core
            _core().set_num_threads(1)


def _is_child() -> bool:
    """Return whether `multiprocessing` or `concurrent.futures` started this process."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # The second is set while a child that is not forked imports the script of its parent.
    return process.parent_process() is not None or hasattr(process.current_process(), "_inheriting")


def get_num_threads() -> int:
    """Return how many threads the core uses, the calling one included.

    Returns:
        What `set_num_threads` set; by default PYRNN_NUM_THREADS, OMP_NUM_THREADS or the number of cores that this
        process may use, whichever exists first. In a child process 1 takes the place of the number of cores.

    Example:
        >>> import pyrnn
        >>> pyrnn.get_num_threads() >= 1
        True
    """
    return int(_core().get_num_threads())


def isa() -> str:
    """Return the instruction set that the core uses. The environment variable PYRNN_ISA chooses another one.

    Returns:
        One of `available_isas()`.

    Raises:
        ImportError: If the compiled core has not been built.

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.isa() in pyrnn.backend.available_isas()
        True
    """
    return str(_core().isa())


def available_isas() -> list[str]:
    """Return the instruction sets that this build contains and this machine can run.

    Returns:
        Names such as "v4" (AVX-512), "v3" (AVX2), "v2" (SSE4.2) or "neon", the best first.

    Example:
        >>> import pyrnn
        >>> len(pyrnn.backend.available_isas()) >= 1
        True
    """
    return list(_core().available_isas())


def compiler() -> str:
    """Return the compiler that built the kernels.

    Returns:
        Its name and version.

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.compiler().split()[0] in ("GCC", "Clang")
        True
    """
    return str(_core().compiler())


@checked
def fma_peak(dtype: Annotated[str, OneOf("float32", "float64")] = "float32") -> float:
    """Measure how fast one thread multiplies and adds, which takes about 20 ms.

    Args:
        dtype: "float32" or "float64".

    Returns:
        GFLOP/s, a multiply-add counted as two operations.

    Raises:
        ValueError: If `dtype` is neither.

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.fma_peak() > 0
        True
    """
    return float(_core().fma_peak(dtype))


@checked
def read_bandwidth(size: Annotated[int, Whole(1, 2**32)]) -> float:
    """Measure how fast one thread reads the same memory again and again, which takes about 50 ms.

    It is the bandwidth of the smallest cache that holds `size` bytes.

    Args:
        size: Bytes to read, 1 to 2**32.

    Returns:
        Bytes per second.

    Raises:
        TypeError: If `size` is not an integer.
        ValueError: If it is out of range.

    Example:
        >>> import pyrnn
        >>> pyrnn.backend.read_bandwidth(2**15) > 0
        True
    """
    return float(_core().read_bandwidth(size))


def _new_workspace() -> Workspace:
    return Workspace()


use_backend(os.environ.get("PYRNN_BACKEND", "core"))
if _is_child():
    _use_one_thread()
os.register_at_fork(after_in_child=_use_one_thread)
explain(__name__, attributes=False)

if TYPE_CHECKING:
    # The signatures of the operations; two functions about the machine have other arguments here.
    from pyrnn._core import *  # type: ignore[assignment]  # of those two functions
