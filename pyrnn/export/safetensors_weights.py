"""Writing the weights of a model as a safetensors file."""

from __future__ import annotations

from typing import Annotated, Any

from pyrnn.arguments import checked
from pyrnn.files import safetensors_file
from pyrnn.interop import to_torch_state_dict
from pyrnn.rules import OneOf
from pyrnn.typing import IS_MODEL, FilePath
from pyrnn.validation import not_built

__all__ = ["to_safetensors"]


@checked
def to_safetensors(
    model: Annotated[Any, IS_MODEL], path: FilePath, layout: Annotated[str, OneOf("pyrnn", "torch")] = "pyrnn"
) -> None:
    """Write the weights of a model as a safetensors file, which libraries in many languages read.

    The names are paths such as "lstm/lstm_cell/kernel". Automatic names of layers count within the model, so that they
    do not depend on the models made before. The file is written under a temporary name, flushed and renamed.

    Args:
        model: A built model.
        path: The file, whose name ends in ".safetensors".
        layout: "pyrnn" for the weights as they are, which `pyrnn.interop.load_safetensors` reads; "torch" for the
            `state_dict` that `pyrnn.interop.to_torch_state_dict` returns.

    Raises:
        ImportError: If the package `safetensors` is missing.
        OSError: If the file cannot be written; what was there is unchanged then.
        ValueError: If the model is not built, or PyTorch has no counterpart of a layer.

    Example:
        >>> import tempfile
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyrnn.export.to_safetensors(model, f"{folder}/model.safetensors")
        ...     arrays = pyrnn.interop.read_safetensors(f"{folder}/model.safetensors")
        >>> sorted(arrays)
        ['dense/bias', 'dense/kernel']
    """
    text = safetensors_file.require_path("path", path)
    if not model.built:
        raise ValueError(not_built("its weights can be written"))
    if layout == "torch":
        arrays = to_torch_state_dict(model)
    else:
        arrays = {name: weight.array for name, weight in safetensors_file.weight_names(model).items()}
    safetensors_file.write_arrays(text, arrays)
