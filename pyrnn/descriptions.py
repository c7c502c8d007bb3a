"""Objects and functions as descriptions in Keras 3's form, and back.

A description is a dict of "module", "class_name", "config" and "registered_name".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeGuard, TypeVar

from pyrnn.custom_objects import get_registered_name, registered_as, registered_in_any_package
from pyrnn.jsonable import from_plain, is_special, to_plain
from pyrnn.kinds import KINDS, functions
from pyrnn.overriding import is_builtin
from pyrnn.validation import WrongType, lookup, shown, unknown_name, warn

__all__ = [
    "describe",
    "describe_callable",
    "describe_function",
    "described_class",
    "described_function",
    "from_description",
    "is_custom",
    "is_function",
    "living_objects",
    "plain",
    "remember_arguments",
    "require_kind",
    "with_objects",
]

T = TypeVar("T")
# Where descriptions of Keras's classes and functions say that they are from.
_KERAS = ("builtins", "keras", "keras_core", "pyrnn", "tensorflow", "tf_keras")
_LAMBDA = "<lambda>"


def is_custom(description: Mapping[str, Any]) -> bool:
    """Return whether a description is of a custom class or function, which may have the name of one of Keras's."""
    module = str(description.get("module") or "").partition(".")[0]
    return bool(description.get("registered_name")) and module not in _KERAS


def described_class(kind: str, description: Mapping[str, Any], names: Mapping[str, type[T]]) -> type[T]:
    """Return the class that a description names: a registered one first, then one of pyrnn.

    Args:
        kind: What messages call the object, such as "layer".
        description: The description.
        names: The classes of pyrnn by name.

    Raises:
        TypeError: If the name is not a string, or is registered for something other than a class.
        ValueError: If there is no class of that name; the message says how to pass a custom one.
    """
    name = description.get("class_name")
    if name == "__lambda__":
        raise ValueError(f"{kind} was saved as Python code, which is never run: make it again")
    cls: Any = registered_as(description.get("registered_name"), name)
    if cls is None and isinstance(name, str) and name in names and not is_custom(description):
        cls = names[name]
        _require_own_name(kind, description, name)
    if cls is None and isinstance(name, str):
        if is_custom(description):
            raise ValueError(f"{kind} {shown(name)} is not part of pyrnn: pass {_custom_objects(name)}")
        raise ValueError(f"{unknown_name(kind, name, names)}; for a custom one pass {_custom_objects(name)}")
    if cls is None:
        return lookup(kind, name, names)
    if not isinstance(cls, type):
        raise WrongType(f"custom_objects must hold a class for {kind} {name!r}, got {shown(cls)}")
    return cls


def _require_own_name(kind: str, description: Mapping[str, Any], name: str) -> None:
    """Reject a class or function of pyrnn that is described as registered under another name.

    Raises:
        ValueError: If it is: the description is of something else, or damaged.
    """
    registered = description.get("registered_name")
    if registered and registered != name:
        raise ValueError(
            f"{kind} {shown(name)} of pyrnn is described as registered_name={shown(registered)}: register that object, "
            "or remove the entry"
        )


def _custom_objects(name: Any) -> str:
    """Return the argument that passes what a file calls by this name."""
    short = str(name).rpartition(">")[2]
    return f"custom_objects={{{short!r}: {short}}}" if short.isidentifier() and len(short) < 80 else "custom_objects"


def describe_function(function: Any, where: str = "") -> dict[str, Any]:
    """Describe a function by its name, which must be registered where the file is read.

    If a function of pyrnn has the same name as a custom one, the module is written too, so that they are not confused.

    Args:
        function: Any callable.
        where: What the error calls it, if a model cannot be loaded without it.

    Raises:
        ValueError: If `where` is given and the function has no name.
    """
    name = get_registered_name(function)
    builtin = str(getattr(function, "__module__", "")).partition(".")[0] == "pyrnn"
    if (living := _living.get()) is not None and not builtin:
        name = _add(living, name.replace(_LAMBDA, "lambda"), function)
    elif where and (name == _LAMBDA or not hasattr(function, "__name__")):
        raise ValueError(
            f"{where} must be a function with a name or an object with get_config to be saved, got {shown(function)}"
        )
    if builtin or not _is_one_of_ours(name):
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    return {"module": function.__module__, "class_name": "function", "config": name, "registered_name": name}


def _is_one_of_ours(name: str) -> bool:
    """Return whether a custom function of this name, described as in Keras, would be read as one of pyrnn."""
    return any(name in kind.functions or name in kind.names for kind in KINDS.values())


def is_function(description: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is the description of a function."""
    return isinstance(description, Mapping) and description.get("class_name") == "function"


def described_function(kind: str, description: Mapping[str, Any], names: Mapping[str, Any] | None = None) -> Any:
    """Return the function that a description names: a registered one first, then one of `names`, then any of pyrnn.

    Args:
        kind: What messages call the function, such as "metric".
        description: The description.
        names: Functions of pyrnn by name, for this kind alone.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If there is no function of that name; the message says how to pass a custom one.
    """
    name = description.get("config")
    if name == _LAMBDA:
        raise ValueError(f"{kind} was a lambda, of which files hold nothing: make it again")
    function = registered_as(name)
    if not isinstance(name, str):
        raise WrongType(f"{kind} as a description must have the name of a function as its config, got {shown(name)}")
    if function is None and not is_custom(description):
        function = {**functions(), **(names or {})}.get(name)
        if function is not None and description.get("registered_name") != "function":
            _require_own_name(kind, description, name)
    if function is None:
        function = registered_in_any_package(name)  # as Keras 3.6 wrote registered functions
    if function is None:
        raise ValueError(
            f"{kind} is the function {shown(name)}, of which files hold the name: pass {_custom_objects(name)}"
        )
    return function


# While a model is cloned: the custom classes and functions of its config by name, which need no registration then.
_living: ContextVar[dict[str, Any] | None] = ContextVar("living", default=None)


@contextmanager
def living_objects() -> Iterator[dict[str, Any]]:
    """Describe any object within a `with` block. Yields the dict for the scope in which the descriptions are read."""
    objects: dict[str, Any] = {}
    token = _living.set(objects)
    try:
        yield objects
    finally:
        _living.reset(token)


def _add(objects: dict[str, Any], name: str, value: Any) -> str:
    """Add an object under a name that no other object has; return the name."""
    free, count = name, 1
    while free in objects and objects[free] is not value:
        count += 1
        free = f"{name} {count}"
    objects[free] = value
    return free


def _inherits(cls: type, method: str) -> bool:
    """Return whether a custom class inherits a method from pyrnn."""
    return not is_builtin(cls) and is_builtin(next(each for each in cls.__mro__ if method in vars(each)))


def remember_arguments(made: T, args: Sequence[Any], kwargs: Mapping[str, Any]) -> T:
    """Store in an object of a custom class without `get_config` the arguments of its constructor; return the object."""
    if _inherits(type(made), "get_config"):
        vars(made)["_made_with"] = args, kwargs
    return made


def _config_of(made: Any) -> dict[str, Any]:
    """Return what `get_config` returns, and for a custom class that inherits it the arguments that it lacks.

    Raises:
        TypeError: If it is not a dict, or an argument has no name.
    """
    cls = type(made)
    config = made.get_config()
    if not isinstance(config, dict):
        raise WrongType(f"{cls.__name__}.get_config() must return a dict, got {shown(config)}")
    if "_made_with" not in vars(made):
        return config
    args, kwargs = made._made_with
    arguments = inspect.signature(cls.__init__).bind(made, *args, **kwargs)
    custom = {name for each in _custom_constructors(cls) for name in inspect.signature(each).parameters}
    added: dict[str, Any] = {}
    for name, value in list(arguments.arguments.items())[1:]:
        kind = arguments.signature.parameters[name].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            if not _takes_positional(cls):
                raise WrongType(f"{cls.__name__} must define get_config to be saved: its argument {name!r} has no name")
        else:
            named = value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
            added |= {key: each for key, each in named.items() if key in custom and key not in config}
    return config | added


def _custom_constructors(cls: type) -> list[Any]:
    return [vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each) and not is_builtin(each)]


def _takes_positional(cls: type) -> bool:
    """Return whether the class of pyrnn from which a custom class derives names positional arguments in its config."""
    ours: Any = next(each for each in cls.__mro__ if is_builtin(each))
    kinds = [each.kind for each in inspect.signature(ours.__init__).parameters.values()]
    return kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) > 1


def from_description(cls: Any, config: Any, arguments: Iterable[str] | None = None) -> Any:
    """Create the object that a config describes.

    Arguments that a class of pyrnn does not have, from another version of Keras, are left out. If their values mean
    anything, a warning says so.

    Args:
        cls: The class.
        config: The arguments of its constructor by name.
        arguments: The names that the constructor accepts, by default those in its signature.

    Raises:
        TypeError, ValueError: If `config` is not a dict, or the constructor rejects it.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"the config of {cls.__name__} must be a dict, got {shown(config)}")
    config = from_plain(config)
    if not is_builtin(cls):
        return _custom_object(cls, config)
    if arguments is None:
        parameters = inspect.signature(cls).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return cls.from_config(config)
        arguments = [each.name for each in parameters]
    unknown = {name: value for name, value in config.items() if name not in arguments}
    for name, value in unknown.items():
        if not (value is None or value is False or (isinstance(value, list | dict) and not value)):
            warn(f"{cls.__name__} has no argument {name!r}: {name}={shown(value)} in the file is ignored")
    return cls.from_config({name: value for name, value in config.items() if name not in unknown})


# What base classes add to a config, and what may be set after the object has been created.
_ATTRIBUTES = ("name", "trainable")


def _custom_object(cls: Any, config: dict[str, Any]) -> Any:
    """Create an object of a custom class.

    If the class inherits `from_config`, objects replace their descriptions in the config, and only what the
    constructor accepts is passed: a class need not accept what its base class adds to the config.
    """
    if config.get("autocast") is True:  # of Keras's Layer, which pyrnn has no name for
        del config["autocast"]
    if not hasattr(cls, "from_config"):
        return cls(**config)
    if not _inherits(cls, "from_config"):
        return cls.from_config(config)
    parameters = inspect.signature(cls.__init__).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if _inherits(cls, "get_config") and not takes_all:
        left = {name: value for name, value in config.items() if name not in parameters}
        config = {name: value for name, value in config.items() if name in parameters}
    else:
        left = {}
    made = cls.from_config({name: with_objects(value) for name, value in config.items()})
    for name in _ATTRIBUTES:
        if name in left and hasattr(made, name):
            setattr(made, name, left[name])
    return made


def with_objects(value: Any, kind: str = "object") -> Any:
    """Replace the descriptions in a value of a config by the objects and functions that they describe.

    Args:
        value: The value.
        kind: What messages call it.

    Raises:
        TypeError, ValueError: If a class or function is unknown, or does not accept its config.
    """
    if isinstance(value, list | tuple):
        return type(value)([with_objects(each, kind) for each in value])
    if not isinstance(value, Mapping):
        return value
    if is_special(value):
        return from_plain(value)
    if not isinstance(value.get("class_name"), str) or "config" not in value:
        return {name: with_objects(each, kind) for name, each in value.items()}
    if value["class_name"] == "DTypePolicy":
        return value["config"]["name"]
    if is_function(value):
        return described_function(kind, value)
    if not isinstance(value["config"], Mapping):
        raise WrongType(f"config of {shown(value['class_name'])} must be a dict, got {shown(value['config'])}")
    if "models" in KINDS and value["class_name"] in KINDS["models"].names and not is_custom(value):
        return KINDS["models"].deserialize(value)
    module = str(value.get("module") or "").removeprefix("keras.")
    if module in KINDS and not is_custom(value):
        return KINDS[module].deserialize(value)
    cls: Any = described_class(kind, value, {})
    if getattr(cls, "is_model", False):
        return KINDS["models"].deserialize(value)
    return from_description(cls, value["config"])


def require_kind(kind: str, value: Any) -> None:
    """Reject an object of pyrnn that is of another kind, such as a layer as an initializer.

    Raises:
        TypeError: If `value` belongs to pyrnn and is not a function.
    """
    if is_builtin(type(value)):
        raise TypeError(f"{shown(value)} is no {kind}: pass a name, an object or a function that is one")


def describe_callable(value: Any, where: str = "") -> dict[str, Any]:
    """Describe a function, or an object that is called like one; `where` as in `describe_function`."""
    return describe(value) if hasattr(type(value), "get_config") else describe_function(value, where)


def _described(value: Any, where: str) -> Any:
    """Describe a function or object within a config; return it unchanged while a model is cloned."""
    try:
        if not isinstance(value, type) and hasattr(value, "get_config"):
            return value.describe() if getattr(value, "is_model", False) else describe(value)
        if not isinstance(value, type) and callable(value):
            return describe_function(value, where)
        raise WrongType(
            f"{where} cannot be written to a file: it must hold numbers, strings, arrays, functions with a name or "
            f"objects with get_config, got {shown(value)}"
        )
    except TypeError:
        if _living.get() is None:
            raise
        return value


def plain(value: Any, where: str) -> Any:
    """Convert a value of a config to what Keras writes to JSON.

    Args:
        value: The value.
        where: What the error calls it.

    Raises:
        TypeError, ValueError: If it cannot be written.
    """
    return to_plain(value, where, _described)


def _module_of(cls: type) -> str:
    """Return what Keras calls the module of a class of pyrnn."""
    _, *parts = cls.__module__.split(".")
    name = ".".join(parts[:2] if parts[:2] == ["optimizers", "schedules"] else parts[:1])
    return "keras" if name == "models" else f"keras.{name}"


def describe(obj: Any, module: str | None = None) -> dict[str, Any]:
    """Describe an object.

    Args:
        obj: An object with `get_config`.
        module: What Keras calls the module of a class of pyrnn; derived from the class by default.

    Raises:
        TypeError, ValueError: If the config contains a value that cannot be written.
    """
    cls = type(obj)
    ours = is_builtin(cls)
    name = None if ours else get_registered_name(cls)
    if name is not None and (living := _living.get()) is not None:
        name = _add(living, name, cls)
    return {
        "module": (module or _module_of(cls)) if ours else cls.__module__,
        "class_name": cls.__name__,
        "config": plain(_config_of(obj), f"{cls.__name__}.get_config()"),
        "registered_name": name,
    }
