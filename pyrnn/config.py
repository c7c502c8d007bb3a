"""Settings under Keras's names: the default dtype, and whether results are reproducible."""

from __future__ import annotations

from pyrnn.explaining import explain

_FLOATS = ("float32", "float64")
_floatx = "float32"
_DATA_FORMATS = ("channels_last", "channels_first")
_data_format = "channels_last"
_interactive = True


def floatx() -> str:
    """Return the dtype of layers that are created without one.

    Returns:
        "float32", unless `set_floatx` has changed it.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.floatx()
        'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Set the dtype of layers that are created without one from now on.

    Args:
        value: "float32" or "float64".

    Raises:
        ValueError: If `value` is neither; the kernel computes in these two.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.set_floatx("float64")
        >>> pyrnn.layers.Dense(1).dtype
        'float64'
        >>> pyrnn.config.set_floatx("float32")
    """
    global _floatx
    if value not in _FLOATS:
        raise ValueError(f"value must be 'float32' or 'float64', got {value!r}")
    _floatx = value


def enable_interactive_logging() -> None:
    """Let `fit`, `evaluate`, `predict` and callbacks print what they report, which they do unless it was disabled.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.enable_interactive_logging()
    """
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Let `fit`, `evaluate`, `predict` and callbacks pass what they report to the logger "pyrnn", line by line.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.disable_interactive_logging()
        >>> pyrnn.config.is_interactive_logging_enabled()
        False
        >>> pyrnn.config.enable_interactive_logging()
    """
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Return whether reports are printed.

    Returns:
        False if they go to the logger "pyrnn" of Python's `logging`, with the level INFO.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.is_interactive_logging_enabled()
        True
    """
    return _interactive


def epsilon() -> float:
    """Return the small number that losses and metrics add to denominators. It cannot be changed.

    Returns:
        1e-7, as in Keras.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.epsilon()
        1e-07
    """
    return 1e-7


def image_data_format() -> str:
    """Return which axis holds channels in layers that are created without `data_format`.

    Returns:
        "channels_last", unless `set_image_data_format` has changed it.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.image_data_format()
        'channels_last'
    """
    return _data_format


def set_image_data_format(data_format: str) -> None:
    """Set which axis holds channels in layers that are created without `data_format` from now on.

    Args:
        data_format: "channels_last" for x (batch, time, channels), or "channels_first" for (batch, channels, time).

    Raises:
        ValueError: If `data_format` is neither.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.set_image_data_format("channels_first")
        >>> pyrnn.layers.MaxPooling1D().data_format
        'channels_first'
        >>> pyrnn.config.set_image_data_format("channels_last")
    """
    global _data_format
    if data_format not in _DATA_FORMATS:
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first', got {data_format!r}")
    _data_format = data_format


def backend() -> str:
    """Return the name of what computes. `pyrnn.backend` chooses between the compiled core and NumPy.

    Returns:
        "pyrnn".

    Example:
        >>> import pyrnn
        >>> pyrnn.config.backend()
        'pyrnn'
    """
    return "pyrnn"


def enable_op_determinism() -> None:
    """Do nothing: results have the same bits in every run and at any number of threads.

    `pyrnn.utils.set_random_seed` makes random numbers repeat too.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.enable_op_determinism()
    """


def is_op_determinism_enabled() -> bool:
    """Return whether results have the same bits in every run, which they always do.

    Returns:
        True.

    Example:
        >>> import pyrnn
        >>> pyrnn.config.is_op_determinism_enabled()
        True
    """
    return True


explain(__name__)
