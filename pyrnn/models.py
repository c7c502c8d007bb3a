"""Models as Keras names the module: `Sequential`, and what loads, saves and clones models."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

from pyrnn import registry, sharing
from pyrnn.arguments import checked
from pyrnn.cloning import Cloner
from pyrnn.explaining import explain
from pyrnn.files import model_file
from pyrnn.function_rules import Function
from pyrnn.functional import Functional
from pyrnn.kinds import KINDS, Kind
from pyrnn.layers.base import Layer
from pyrnn.layers.serialization import MODELS
from pyrnn.model import Model
from pyrnn.model_bases import prepare as prepare  # what runs subclasses of Model
from pyrnn.rules import Unchecked
from pyrnn.sequential import Sequential
from pyrnn.typing import IS_MODEL, CustomObjects, FileToRead, FileToWrite, Flag, Text
from pyrnn.validation import WrongType, parsed, shown

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


@checked
def load_model(
    filepath: FileToRead,
    custom_objects: CustomObjects | None = None,
    compile: Flag = True,
    safe_mode: Flag = True,
) -> Model:
    """Read a model from a file that `save` or Keras wrote.

    Args:
        filepath: a `.keras` file, also an open binary one, the folder of a model saved with `zipped=False`, or `.h5` or
            `.hdf5` in Keras 2's format.
        custom_objects: custom classes and functions by name, where they are not registered.
        compile: whether to compile the model as the file describes it, with the state of its optimizer.
        safe_mode: has no effect, since code in a file never runs.

    Returns:
        The model, with its weights.

    Raises:
        OSError: if the file cannot be read.
        TypeError, ValueError: if it is damaged, or describes what pyrnn does not have.

    Example:
        >>> import tempfile, pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     pyrnn.load_model(f"{folder}/model.keras").output_shape
        (None, 2)
    """
    return model_file.read_model(filepath, model_from_description, custom_objects, compile)


@checked
def save_model(
    model: Annotated[Model, IS_MODEL],
    filepath: FileToWrite,
    overwrite: Flag = True,
    include_optimizer: Flag = True,
    include_rng: Flag = False,
    save_format: Text | None = None,
    zipped: Flag | None = None,
) -> None:
    """Write architecture, weights and training state of a model to a file: `model.save(filepath, ...)`.

    Args:
        model: a model, built or not.
        filepath: ends in `.keras`, or in `.h5` or `.hdf5` for Keras 2's format, whose folder is made; or an open binary
            file, which gets a `.keras` file.
        overwrite: False raises an error if the file exists.
        include_optimizer: also write what `compile` was passed and the optimizer's variables.
        include_rng: also write every random stream and the states of stateful layers.
        save_format: "keras" or "h5", as older scripts write; the ending of `filepath` must be of that format.
        zipped: False writes a folder with the files of a `.keras` file; `filepath` has no ending then.

    Raises:
        TypeError, ValueError: if an object in the model cannot be written, or the ending is another one.
        OSError: if the file exists and `overwrite` is False, or it cannot be written.

    Example:
        >>> import tempfile, pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyrnn.models.save_model(model, f"{folder}/model.h5")
        ...     pyrnn.load_model(f"{folder}/model.h5").count_params()
        8
    """
    model.save(filepath, overwrite, include_optimizer, include_rng, save_format, zipped)


@checked
def model_from_json(json_string: Text, custom_objects: CustomObjects | None = None) -> Model:
    """Make a new model, with fresh weights, from JSON.

    Args:
        json_string: what `model.to_json()` of pyrnn or of Keras (2 or 3) returned.
        custom_objects: custom classes and functions by name, where they are not registered.

    Returns:
        The model, compiled if the described one was.

    Raises:
        TypeError, ValueError: if the text is not JSON of a model, or describes what pyrnn does not have.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> pyrnn.models.model_from_json(model.to_json()).output_shape
        (None, 2)
    """
    description = parsed("json_string", json_string)
    try:
        with registry.custom_object_scope(custom_objects):
            return model_from_description("json_string", description)
    except (LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"json_string does not describe a model: {type(error).__name__}: {reason}") from None


def model_from_description(source: str, description: Any, compile: bool = True) -> Model:
    """Make a new model, with fresh weights, from a description.

    Args:
        source: what an error calls the place where the description is from.
        description: what `model.describe()` returned.
        compile: whether to compile the model as described.

    Returns:
        The model.

    Raises:
        TypeError, ValueError: if it describes no model, or what pyrnn does not have.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> pyrnn.models.model_from_description("model", model.describe()).output_shape
        (None, 2)
    """
    config = description.get("config") if isinstance(description, dict) else None
    name = description.get("class_name") if isinstance(description, dict) else description
    is_model = isinstance(name, str) and name in MODELS
    if not isinstance(config, dict | list) or not (is_model or registry.is_custom(description)):
        raise ValueError(f"{source} must hold a Sequential or a functional model, got {shown(name)}")
    cls: Any = registry.described_class("model", description, MODELS)
    with sharing.reading():
        model: Any = getattr(cls, "revive", cls.from_config)(config)
    if not isinstance(model, Model):
        raise WrongType(f"{cls.__name__} must derive from pyrnn.Model, its from_config returned {shown(model)}")
    if description.get("build_config"):
        model.build_from_config(description["build_config"])
    if compile and description.get("compile_config"):
        try:
            model.compile_from_config(description["compile_config"])
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{error} (compile=False loads the model without optimizer, loss and metrics)") from None
    return model


@checked
def clone_model(
    model: Annotated[Model, IS_MODEL],
    input_tensors: Annotated[Any, Unchecked(allowed="none list dict")] = None,
    clone_function: Annotated[Callable[[Layer], Layer], Function(1, 1)] | None = None,
    call_function: Annotated[Callable[..., Any], Function(1, 9)] | None = None,
    recursive: Flag = False,
) -> Model:
    """Make a model of the same architecture with fresh weights, and compile it if `model` is compiled.

    Custom layers, losses and other objects need not be registered, and functions may be lambdas.

    Args:
        model: the model, built or not.
        input_tensors: symbols in the structure of the model's inputs that the new model starts from, or None for inputs
            like those of `model`.
        clone_function: is called once with each layer, input layers excepted, and returns the layer to use in its
            place. By default a layer is made again from its config.
        call_function: calls the layers of a functional model, `call_function(layer, *args, **kwargs)`, and returns the
            symbols that take the place of the layer's outputs. It may call further layers.
        recursive: whether the functions are called with the layers of models within the model, instead of with these
            models.

    Returns:
        The new model. Nothing of it is shared with `model`, except functions and what `clone_function` reuses.

    Raises:
        TypeError: if an object of a custom class cannot be made again from its `get_config()`, or a function does not
            return a layer or symbols.
        ValueError: if `input_tensors` has another structure than the inputs, or `call_function` is passed for a
            `Sequential`.

    Example:
        >>> import pyrnn
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> pyrnn.models.clone_model(model).count_params()
        8
    """
    with registry.living_objects() as objects:
        description = model.describe()
    with registry.custom_object_scope(objects):
        if clone_function is None and call_function is None and input_tensors is None:  # any model, a custom one too
            return model_from_description("model", description)
        clone: Model = Cloner(clone_function, call_function, bool(recursive)).clone(model, input_tensors)
        if "compile_config" in description:
            clone.compile_from_config(description["compile_config"])
        return clone


KINDS["models"] = Kind(functools.partial(model_from_description, "config"), names=frozenset(MODELS))
explain(__name__)
