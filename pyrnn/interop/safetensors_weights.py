"""Reading safetensors files: as arrays by name, or into a model."""

from __future__ import annotations

from typing import Annotated, Any

from numpy.typing import NDArray

from pyrnn.arguments import checked
from pyrnn.files import safetensors_file
from pyrnn.parameters import assign_all
from pyrnn.typing import IS_MODEL, FilePath
from pyrnn.validation import not_built

__all__ = ["load_safetensors", "read_safetensors"]


@checked
def read_safetensors(path: FilePath) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file, for example a `state_dict` of PyTorch.

    No code in the file runs. The header is checked before memory is taken: offsets must not overlap or leave gaps, and
    sizes must agree with the shapes and with the length of the file.

    Args:
        path: The file, whose name ends in ".safetensors".

    Returns:
        A dict of arrays by name, in alphabetical order; bfloat16 becomes float32.

    Raises:
        ImportError: If the package `safetensors` is missing.
        OSError: If there is no such file.
        ValueError: If the file is damaged, or has a dtype that NumPy lacks.

    Example:
        >>> import tempfile
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), name="dense")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyrnn.export.to_safetensors(model, f"{folder}/model.safetensors")
        ...     arrays = pyrnn.interop.read_safetensors(f"{folder}/model.safetensors")
        >>> {name: array.shape for name, array in arrays.items()}
        {'dense/bias': (1,), 'dense/kernel': (2, 1)}
    """
    return safetensors_file.read_arrays(safetensors_file.require_path("path", path))


@checked
def load_safetensors(model: Annotated[Any, IS_MODEL], path: FilePath) -> None:
    """Load the weights of a model from a safetensors file that `pyrnn.export.to_safetensors` wrote.

    Weights are found by their names. Nothing changes unless all of them are in the file, with the right shapes.

    Args:
        model: A built model.
        path: The file, whose name ends in ".safetensors".

    Raises:
        ImportError: If the package `safetensors` is missing.
        OSError: If there is no such file.
        ValueError: If the model is not built, or the file is damaged or holds other weights.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import pyrnn
        >>> def build():
        ...     return pyrnn.Sequential([pyrnn.layers.GRU(4, input_shape=(None, 2)), pyrnn.layers.Dense(1)])
        >>> model, other = build(), build()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyrnn.export.to_safetensors(model, f"{folder}/model.safetensors")
        ...     pyrnn.interop.load_safetensors(other, f"{folder}/model.safetensors")
        >>> x = np.ones((1, 5, 2))
        >>> bool((model(x) == other(x)).all())
        True
    """
    text = safetensors_file.require_path("path", path)
    if not model.built:
        raise ValueError(not_built("weights can be loaded"))
    assign_all(safetensors_file.matched_weights(model, text))
