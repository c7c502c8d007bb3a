"""Objects and functions in Keras 3's form: {"module", "class_name", "config", "registered_name"}, and back."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeGuard, TypeVar

from pyrnn.custom_objects import get_registered_name, registered_as
from pyrnn.jsonable import from_plain, is_special, to_plain
from pyrnn.kinds import KINDS, functions
from pyrnn.overriding import is_builtin
from pyrnn.validation import lookup, shown, unknown_name, warn

T = TypeVar("T")
# Modules that descriptions of Keras's own classes and functions name.
_KERAS = ("builtins", "keras", "keras_core", "pyrnn", "tensorflow", "tf_keras")
_LAMBDA = "<lambda>"


def is_custom(description: Mapping[str, Any]) -> bool:
    """Whether a description is of a user's class or function, which may have the name of one of Keras's."""
    module = str(description.get("module") or "").partition(".")[0]
    return bool(description.get("registered_name")) and module not in _KERAS


def described_class(kind: str, description: Mapping[str, Any], names: Mapping[str, type[T]]) -> type[T]:
    """The class that a description names: a registered one first, then ours.

    Raises:
        TypeError: if the name is no string, or registered for something that is no class.
        ValueError: if there is none of that name; the message says how to pass a custom one.
    """
    name = description.get("class_name")
    if name == "__lambda__":
        raise ValueError(f"{kind} was saved as Python code, which is never run: make it again")
    cls: Any = registered_as(description.get("registered_name"), name)
    if cls is None and isinstance(name, str) and name in names and not is_custom(description):
        cls = names[name]
    if cls is None and isinstance(name, str):
        if is_custom(description):
            raise ValueError(f"{kind} {shown(name)} is not part of pyrnn: pass {_custom_objects(name)}")
        raise ValueError(f"{unknown_name(kind, name, names)}; for a custom one pass {_custom_objects(name)}")
    if cls is None:
        return lookup(kind, name, names)
    if not isinstance(cls, type):
        raise TypeError(f"custom_objects must hold a class for {kind} {name!r}, got {shown(cls)}")
    return cls


def _custom_objects(name: Any) -> str:
    """How to pass what a file calls so."""
    short = str(name).rpartition(">")[2]
    return f"custom_objects={{{short!r}: {short}}}" if short.isidentifier() and len(short) < 80 else "custom_objects"


def describe_function(function: Any, where: str = "") -> dict[str, Any]:
    """Keras 3's description of a function: its name, by which it must be registered where the file is read.

    Of a custom function with the name of one of ours the module is written too, so that it is never taken for ours.

    Args:
        function: any callable.
        where: what it is, if a model cannot be loaded without it.

    Raises:
        ValueError: if it has no name, where that is required.
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
    """Whether a custom function of this name, described as Keras does it, would be read as one of ours."""
    return any(name in kind.functions or name in kind.names for kind in KINDS.values())


def is_function(description: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a description is one of a function."""
    return isinstance(description, Mapping) and description.get("class_name") == "function"


def described_function(kind: str, description: Mapping[str, Any], names: Mapping[str, Any] | None = None) -> Any:
    """The function that a description names: a registered one first, then one of `names`, then any of ours.

    Raises:
        ValueError: if there is none of that name; the message says how to pass a custom one.
    """
    name = description.get("config")
    if name == _LAMBDA:
        raise ValueError(f"{kind} was a lambda, of which files hold nothing: make it again")
    function = registered_as(name)
    if function is None and isinstance(name, str) and not is_custom(description):
        function = {**functions(), **(names or {})}.get(name)
    if function is None:
        raise ValueError(
            f"{kind} is the function {shown(name)}, of which files hold the name: pass {_custom_objects(name)}"
        )
    return function


# While a model is cloned: the classes and functions that its config names, which need no registration then.
_living: ContextVar[dict[str, Any] | None] = ContextVar("living", default=None)


@contextmanager
def living_objects() -> Iterator[dict[str, Any]]:
    """Within it what is described may be of any kind; yields a dict for `custom_object_scope` to make it again with."""
    objects: dict[str, Any] = {}
    token = _living.set(objects)
    try:
        yield objects
    finally:
        _living.reset(token)


def _add(objects: dict[str, Any], name: str, value: Any) -> str:
    """Add an object by a name that is no other one's; returns the name."""
    free, count = name, 1
    while free in objects and objects[free] is not value:
        count += 1
        free = f"{name} {count}"
    objects[free] = value
    return free


def _inherits(cls: type, method: str) -> bool:
    """Whether a user's class has a method that is not the user's."""
    return not is_builtin(cls) and is_builtin(next(each for each in cls.__mro__ if method in vars(each)))


def remember_arguments(made: T, args: Sequence[Any], kwargs: Mapping[str, Any]) -> T:
    """Let an object of a user's class without `get_config` remember what it is made with; returns it."""
    if _inherits(type(made), "get_config"):
        vars(made)["_made_with"] = args, kwargs
    return made


def _config_of(made: Any) -> dict[str, Any]:
    """What `get_config` says, and for a user's class that inherits it the arguments that it does not know of.

    Raises:
        TypeError: if it is no dict, or an argument has no name.
    """
    cls = type(made)
    config = made.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"{cls.__name__}.get_config() must return a dict, got {shown(config)}")
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
                raise TypeError(f"{cls.__name__} must define get_config to be saved: its argument {name!r} has no name")
        else:
            named = value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
            added |= {key: each for key, each in named.items() if key in custom and key not in config}
    return config | added


def _custom_constructors(cls: type) -> list[Any]:
    return [vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each) and not is_builtin(each)]


def _takes_positional(cls: type) -> bool:
    """Whether our class from which a user's class derives takes arguments by position; its config names them."""
    ours: Any = next(each for each in cls.__mro__ if is_builtin(each))
    kinds = [each.kind for each in inspect.signature(ours.__init__).parameters.values()]
    return kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) > 1


def from_description(cls: Any, config: Any, known: Iterable[str] | None = None) -> Any:
    """The object of a description, which may come from a version of Keras that has arguments we have not.

    These are left out, with a warning where they say anything. `known` are the arguments of `cls`, from its signature
    unless given.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"the config of {cls.__name__} must be a dict, got {shown(config)}")
    config = from_plain(config)
    if not is_builtin(cls):
        return _custom_object(cls, config)
    if known is None:
        parameters = inspect.signature(cls).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return cls.from_config(config)
        known = [each.name for each in parameters]
    unknown = {name: value for name, value in config.items() if name not in known}
    for name, value in unknown.items():
        if not (value is None or value is False or (isinstance(value, list | dict) and not value)):
            warn(f"{cls.__name__} has no argument {name!r}: {name}={shown(value)} in the file is ignored")
    return cls.from_config({name: value for name, value in config.items() if name not in unknown})


# What the base classes put into a config, and may be set after an object is made.
_ATTRIBUTES = ("name", "trainable")


def _custom_object(cls: Any, config: dict[str, Any]) -> Any:
    """An object of a user's class.

    A `from_config` that is not the user's gets objects in place of their descriptions, and only what the constructor
    takes: a class need not take what the base class adds to its config.
    """
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
    """A value of a config with the objects and functions that are described in it; `kind` says what it is.

    Raises:
        ValueError: if a class or function is not known.
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
    module = str(value.get("module") or "").removeprefix("keras.")
    if module in KINDS and not is_custom(value):
        return KINDS[module].deserialize(value)
    return from_description(described_class(kind, value, {}), value["config"])


def require_kind(kind: str, value: Any) -> None:
    """Reject an object of ours where it cannot serve, such as a layer as an initializer.

    Raises:
        TypeError: if `value` belongs to pyrnn and is no function.
    """
    if is_builtin(type(value)):
        raise TypeError(f"{shown(value)} is no {kind}: pass a name, an object or a function that is one")


def describe_callable(value: Any, where: str = "") -> dict[str, Any]:
    """The description of a function, or of an object that is called like one; `where` as for `describe_function`."""
    return describe(value) if hasattr(type(value), "get_config") else describe_function(value, where)


def _described(value: Any, where: str) -> Any:
    """The description of a function or object within a config."""
    try:
        if not isinstance(value, type) and hasattr(value, "get_config"):
            return describe(value)
        if not isinstance(value, type) and callable(value):
            return describe_function(value, where)
        raise TypeError(
            f"{where} cannot be written to a file: it must hold numbers, strings, arrays, functions with a name or "
            f"objects with get_config, got {shown(value)}"
        )
    except TypeError:
        if _living.get() is None:
            raise
        return value


def plain(value: Any, where: str) -> Any:
    """A value of a config as Keras writes it into JSON.

    Raises:
        TypeError, ValueError: if it cannot be written; `where` names it.
    """
    return to_plain(value, where, _described)


def _module_of(cls: type) -> str:
    """What Keras calls the module of one of our classes."""
    _, *parts = cls.__module__.split(".")
    name = ".".join(parts[:2] if parts[:2] == ["optimizers", "schedules"] else parts[:1])
    return "keras" if name == "models" else f"keras.{name}"


def describe(obj: Any, module: str | None = None) -> dict[str, Any]:
    """Keras 3's description of an object; `module` is Keras's for our own classes, by default that of their module.

    Raises:
        TypeError, ValueError: if its config holds what cannot be written.
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
