"""Settings under Keras's names: the dtype of layers that are given none, and whether results repeat."""

from __future__ import annotations

from pyrnn.explaining import explain

_FLOATS = ("float32", "float64")
_floatx = "float32"


def floatx() -> str:
    """The dtype of layers that are given none: "float32" unless `set_floatx` changed it."""
    return _floatx


def set_floatx(value: str) -> None:
    """Make `value`, "float32" or "float64", the dtype of layers that are made from now on without one.

    Raises:
        ValueError: for anything else; the kernel knows these two.
    """
    global _floatx
    if value not in _FLOATS:
        raise ValueError(f"value must be 'float32' or 'float64', got {value!r}")
    _floatx = value


def epsilon() -> float:
    """The small number of losses and metrics, 1e-7 as in Keras; it cannot be changed."""
    return 1e-7


def image_data_format() -> str:
    """Where channels stand: "channels_last"."""
    return "channels_last"


def backend() -> str:
    """What computes: "pyrnn", the compiled core or its NumPy twin (`pyrnn.backend`)."""
    return "pyrnn"


def enable_op_determinism() -> None:
    """TensorFlow's switch. Nothing is left to do: results have the same bits in every run and at any number of threads.

    With `utils.set_random_seed` first, what is drawn repeats too.
    """


def is_op_determinism_enabled() -> bool:
    """True: see `enable_op_determinism`."""
    return True


explain(__name__)
