"""What `call` of a custom layer is called with: where the arrays are among its arguments.

`call` may take any number of arrays, by position or name, in lists, tuples and dicts. The other arguments are options.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from pyrnn.layers.settings import standard_shape
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import Symbol
from pyrnn.validation import WrongType, shown

Shape = tuple[Any, ...]
_NOT_SHAPED = ("mask", "args", "kwargs")


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where an array was among the arguments.

    Args:
        number: its number among the inputs of the layer.
    """

    number: int


def _hashable(structure: Any) -> Any:
    if isinstance(structure, Place):
        return structure
    if isinstance(structure, list | tuple):
        return (type(structure), *map(_hashable, structure))
    if isinstance(structure, Mapping):
        return (dict, *((key, _hashable(each)) for key, each in structure.items()))
    try:
        hash(structure)
    except TypeError:
        return id(structure)
    return type(structure), structure


class Arguments:
    """The arguments of a call, with places instead of arrays.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
    """

    __slots__ = ("args", "key", "kwargs")

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.args, self.kwargs = tuple(args), dict(kwargs)
        # What calls that run the same graph have in common.
        self.key = _hashable((self.args, self.kwargs))

    def filled(self, values: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with values at the places.

        Args:
            values: a value for each input.

        Returns:
            Positional and keyword arguments.
        """
        return [at_places(each, values) for each in self.args], {
            name: at_places(each, values) for name, each in self.kwargs.items()
        }

    def without(self, missing: Collection[int]) -> Arguments:
        """Return the arguments with None in place of some arrays; the others are numbered anew.

        Args:
            missing: the numbers of these arrays.
        """
        count = 1 + max(leaf.number for leaf in leaves([*self.args, self.kwargs]) if isinstance(leaf, Place))
        numbers = itertools.count()
        values = [None if number in missing else Place(next(numbers)) for number in range(count)]
        return Arguments(*self.filled(values))

    def arrays(self, signature: inspect.Signature) -> dict[str, Any]:
        """Return the arguments that are arrays.

        Args:
            signature: that of the method, for the names of positional arguments.

        Returns:
            The structure of places of each of them, by name, in the order of the signature.
        """
        try:
            bound = signature.bind(*self.args, **self.kwargs).arguments
        except TypeError as error:
            raise WrongType(f"call({', '.join(signature.parameters)}) of a custom layer: {error}") from None
        return {name: value for name, value in bound.items() if any(isinstance(leaf, Place) for leaf in leaves(value))}


ONE = Arguments((Place(0),), {})


def at_places(structure: Any, values: Sequence[Any]) -> Any:
    """Return a structure with values at its places.

    Args:
        structure: nested lists, tuples and dicts with `Place`s.
        values: a value for each place, by its number.

    Returns:
        The same structure of values.
    """
    if isinstance(structure, Place):
        return values[structure.number]
    if isinstance(structure, list | tuple):
        entries = [at_places(each, values) for each in structure]
        return type(structure)(*entries) if hasattr(structure, "_fields") else type(structure)(entries)
    if isinstance(structure, Mapping):
        return {key: at_places(each, values) for key, each in structure.items()}
    return structure


# Weak, since a function may hold all that it closes over.
_signatures: weakref.WeakKeyDictionary[Callable[..., Any], inspect.Signature] = weakref.WeakKeyDictionary()


def signature_of(call: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method without `self`.

    Args:
        call: the function in the class.
    """
    result = _signatures.get(call)
    if result is None:
        signature = inspect.signature(call)
        result = _signatures[call] = signature.replace(parameters=list(signature.parameters.values())[1:])
    return result


def is_array(value: Any) -> bool:
    """Return whether a value is an array or a symbol, or can be converted by NumPy."""
    if isinstance(value, np.ndarray | Symbol):
        return True
    return hasattr(type(value), "__array__") and not isinstance(value, np.generic)


def read(layer: Any, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Take the arguments of a call apart.

    Args:
        layer: the layer, for messages.
        call: its method.
        args: positional arguments, without `training`.
        kwargs: keyword arguments, likewise.

    Returns:
        The `Arguments`, or None if one array is passed by position and nothing else; and the arrays.

    Raises:
        TypeError: if the signature does not match, or arrays and other values are in one structure.
    """
    try:
        signature_of(call).bind(*args, **kwargs)
    except TypeError as error:
        names = ", ".join(signature_of(call).parameters)
        raise TypeError(f"call({names}) of layer {layer.name!r} ({type(layer).__name__}): {error}") from None
    arrays: list[Any] = []

    def placed(leaf: Any) -> Any:
        if leaf is None:
            return None
        arrays.append(leaf)
        return Place(len(arrays) - 1)

    def taken_apart(name: str | int, value: Any) -> Any:
        if is_array(value):
            return placed(value)
        flat = leaves(value) if isinstance(value, list | tuple | Mapping) else []
        if any(map(is_array, flat)):
            wrong = [leaf for leaf in flat if leaf is not None and not is_array(leaf)]
            if wrong:
                raise TypeError(
                    f"argument {name} of layer {layer.name!r} ({type(layer).__name__}) must hold arrays or other "
                    f"values, got both: {shown(wrong[0])} is not an array"
                )
            return mapped(placed, value)
        if flat and isinstance(name, int) and all(isinstance(leaf, int | float) for leaf in flat):
            return placed(value)  # an array as lists of numbers
        return value

    positional = [taken_apart(number, each) for number, each in enumerate(args)]
    options = [each for each in positional if isinstance(each, bool | str | int | float)]
    if options and arrays:
        raise WrongType(
            f"layer {layer.name!r} ({type(layer).__name__}) takes arrays by position and other values by name, "
            f"got {shown(options[0])} by position"
        )
    arguments = Arguments(positional, {name: taken_apart(name, each) for name, each in kwargs.items()})
    if not arrays:
        raise TypeError(f"layer {layer.name!r} ({type(layer).__name__}) must be called on arrays, got {shown(args)}")
    return (None if arguments.key == ONE.key else arguments), arrays


def read_shapes(
    layer: Any, call: Callable[..., Any], shapes: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Any, list[Shape]]:
    """Take the shapes apart that `build` or `compute_output_shape` is called with.

    Args:
        layer: the layer, for messages.
        call: its method.
        shapes: a shape for each argument of `call`, or a list, tuple or dict of them.
        named: the same by name, with "_shape" after each.

    Returns:
        The `Arguments` of the call that these shapes belong to, None if it has one array only, and the shapes.

    Raises:
        TypeError, ValueError: if a shape holds anything but sizes.
    """
    flat: list[Shape] = []

    def placed(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Mapping):
            places = {key: placed(value[key]) for key in sorted(value)}  # in the order of `structures.leaves`
            return {key: places[key] for key in value}
        if isinstance(value, list | tuple) and any(isinstance(each, list | tuple | Mapping) for each in value):
            return [placed(each) for each in value] if isinstance(value, list) else tuple(map(placed, value))
        flat.append(standard_shape("input_shape", value))
        return Place(len(flat) - 1)

    positional = [placed(each) for each in shapes]
    by_name = {name.removesuffix("_shape"): placed(each) for name, each in named.items()}
    first = next(iter(signature_of(call).parameters), None)
    if not positional and first in by_name:
        positional = [by_name.pop(first)]
    arguments = Arguments(positional, by_name)
    if not flat:
        raise TypeError(f"layer {layer.name!r} ({type(layer).__name__}) must get the shape of its input, got {shapes}")
    return (None if arguments.key == ONE.key else arguments), flat


def shapes_for(
    layer: Any, method: Callable[..., Any], arguments: Arguments, shapes: Sequence[Shape]
) -> tuple[list[Any], dict[str, Any]]:
    """Return what `build` or `compute_output_shape` is called with for a call of certain shapes.

    A method with one argument gets the shape of the first argument of `call`, others those whose names with "_shape"
    they have, as in Keras.

    Args:
        layer: the layer.
        method: the method in its class.
        arguments: the arguments of `call`.
        shapes: a shape for each input.

    Returns:
        Positional and keyword arguments.

    Raises:
        TypeError: if an argument of the method is not that of an array.
    """
    signature = signature_of(type(layer).call)
    arrays = {name: at_places(places, shapes) for name, places in arguments.arrays(signature).items()}
    arrays = {name: each for name, each in arrays.items() if name not in _NOT_SHAPED} or arrays
    parameters = list(signature_of(method).parameters.values())
    if len(parameters) == 1 or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return [next(iter(arrays.values()))], {}
    named = {}
    for parameter in parameters:
        name = parameter.name.removesuffix("_shape")
        if name == parameter.name or name not in signature.parameters:
            raise WrongType(
                f"{method.__name__} of layer {layer.name!r} ({type(layer).__name__}) has more than one argument: each "
                f"must be an argument of call with '_shape' after it, got {parameter.name!r}"
            )
        if name in arrays:
            named[parameter.name] = arrays[name]
    return [], named
