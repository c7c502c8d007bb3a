"""Graphs of layers as configs in Keras 3's form, and back; the functional configs of Keras 2 are read as well.

A config lists the layers. Each has a description, a name, and its calls, "inbound_nodes", in which symbols are written
as the layer that makes them, the number of its call within the model, and the number of the output.

Source: keras/src/models/functional.py of Keras 3.15.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pyrnn import descriptions
from pyrnn.graph import Graph
from pyrnn.jsonable import from_plain
from pyrnn.layers.core.input import InputLayer
from pyrnn.layers.core.lambda_layer import Lambda
from pyrnn.layers.serialization import serialize
from pyrnn.structures import leaves, mapped
from pyrnn.symbols import Node, Symbol
from pyrnn.validation import shown

_SYMBOL = "__keras_tensor__"
# Makes the layer of an entry, which has a description under "class_name" and "config", and a name.
Make = Callable[[Mapping[str, Any]], Any]


def calls_of(graph: Graph) -> dict[int, list[Node]]:
    """Return the calls of each layer in a graph.

    Args:
        graph: the graph.

    Returns:
        Lists in the order of the calls, by the `id` of the layer.
    """
    inside = set(map(id, graph.nodes))
    return {id(layer): [node for node in layer.nodes if id(node) in inside] for layer in graph.layers}


def write(graph: Graph, inputs: Any, outputs: Any) -> dict[str, Any]:
    """Describe a graph.

    Args:
        graph: the graph.
        inputs: the structure of its inputs.
        outputs: the structure of its outputs.

    Returns:
        A dict of "layers", "input_layers" and "output_layers".

    Raises:
        TypeError, ValueError: if an object in it cannot be described.
    """
    calls = calls_of(graph)
    numbers = {id(node): number for nodes in calls.values() for number, node in enumerate(nodes)}
    names = {layer.name for layer in graph.layers}
    # A model may start at a symbol that a layer made; in a file an input layer takes its place.
    starts: dict[int, InputLayer] = {}
    for symbol in graph.inputs:
        if symbol.node.inputs:
            free = symbol.name
            while free in names:
                free += "_input"
            names.add(free)
            starts[id(symbol)] = InputLayer(batch_shape=symbol.shape, dtype=symbol.dtype, name=free)

    def place(symbol: Symbol) -> list[Any]:
        if id(symbol) in starts:
            return [starts[id(symbol)].name, 0, 0]
        return [symbol.node.layer.name, numbers[id(symbol.node)], symbol.index]

    def argument(value: Any) -> Any:
        if not isinstance(value, Symbol):
            return descriptions.plain(value, "an argument of a layer's call")
        config = {"shape": value.shape, "dtype": value.dtype, "keras_history": place(value)}
        return {"class_name": _SYMBOL, "config": config}

    def end(symbol: Symbol) -> list[Any]:
        name, number, output = place(symbol)
        return [name, number + _counts_from(symbol.node.layer), output]

    layers = [
        {
            **serialize(layer),
            "name": layer.name,
            "inbound_nodes": [
                {"args": mapped(argument, node.args), "kwargs": mapped(argument, node.kwargs)} | _chosen(node)
                for node in (calls[id(layer)] if layer not in starts.values() else ())
                if node.inputs
            ],
        }
        for layer in [*starts.values(), *graph.layers]
    ]
    return {"layers": layers, "input_layers": mapped(end, inputs), "output_layers": mapped(end, outputs)}


def _chosen(node: Node) -> dict[str, Any]:
    """Which of the arguments that Keras writes for every call were passed by the user; Keras skips this entry."""
    names = [name for name in ("mask", "training") if name in node.kwargs]
    return {"chosen": names} if names else {}


def _counts_from(layer: Any) -> int:
    """The number of a layer's first call in "input_layers" and "output_layers"; functional models count from 1."""
    return int(getattr(layer, "counts_from_one", False))


class _Place:
    """Where a symbol of a config is from."""

    __slots__ = ("call", "name", "output")

    def __init__(self, name: Any, call: Any, output: Any) -> None:
        if not isinstance(name, str) or not all(type(each) is int and each >= 0 for each in (call, output)):
            raise ValueError(
                "a symbol in a config must be the name of a layer, the number of its call and the number of the "
                f"output, got {shown([name, call, output])}"
            )
        self.name, self.call, self.output = name, call, output


class _Call(NamedTuple):
    """The arguments of a call; symbols are `_Place`s."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def places(self) -> list[_Place]:
        return [leaf for leaf in leaves([list(self.args), dict(self.kwargs)]) if isinstance(leaf, _Place)]


def read(config: Mapping[str, Any], make: Make) -> tuple[Any, Any]:
    """Make the layers of a config and call them on symbols.

    Layers that the outputs do not need are left out; Keras lists those that compute masks, which pyrnn passes on by
    itself.

    Args:
        config: what `write` or Keras returned.
        make: makes the layer of an entry.

    Returns:
        The inputs and the outputs, in their structures.

    Raises:
        TypeError, ValueError: if the config is damaged, or a layer does not accept what it is called with.
    """
    for key in ("layers", "input_layers", "output_layers"):
        if not isinstance(config.get(key), list | tuple | Mapping if key != "layers" else list | tuple):
            raise ValueError(f"config of a functional model must hold {key!r}, got {shown(config.get(key))}")
    return _Reader(config, make).ends()


class _Reader:
    """Reads one config.

    Args:
        config: the config.
        make: makes the layer of an entry.
    """

    def __init__(self, config: Mapping[str, Any], make: Make) -> None:
        self._config, self._make = config, make
        self._entries: dict[str, Mapping[str, Any]] = {}
        for entry in config["layers"]:
            name = _name(entry)
            if name in self._entries:
                raise ValueError(f"layers of a config must have different names, got {name!r} twice")
            self._entries[name] = entry
        nodes = [node for entry in self._entries.values() for node in entry["inbound_nodes"]]
        # In Keras 2 nested models count their calls from 1, and calls are lists.
        self._is_keras_2 = any(isinstance(node, list | tuple) for node in nodes)
        self._layers: dict[str, Any] = {}
        self._calls: dict[str, list[_Call]] = {}
        self._outputs: dict[tuple[str, int], Sequence[Symbol]] = {}

    def ends(self) -> tuple[Any, Any]:
        """Return the inputs and the outputs."""
        inputs, outputs = (self._places(self._config[key]) for key in ("input_layers", "output_layers"))
        for place in [*leaves(inputs), *leaves(outputs)]:
            self._compute(place)
        return mapped(self._symbol, inputs), mapped(self._symbol, outputs)

    def _places(self, value: Any) -> Any:
        """The structure of places in "input_layers" or "output_layers"."""
        if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str):
            name, call, output = value
            if not self._is_keras_2 and isinstance(call, int):
                call -= _counts_from(self._layer(name))
            return self._place(name, call, output)
        if isinstance(value, Mapping):
            return {key: self._places(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return (tuple if isinstance(value, tuple) else list)(map(self._places, value))
        raise ValueError(f"inputs and outputs in a config must be [layer, call, output], got {shown(value)}")

    def _place(self, name: Any, call: Any, output: Any) -> _Place:
        if self._is_keras_2 and isinstance(call, int) and self._layer(name).is_model:
            call -= 1
        return _Place(name, call, output)

    def _layer(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self._entries:
            raise ValueError(f"a config must hold each layer that is read, it lacks {shown(name)}")
        if name not in self._layers:
            layer = self._layers[name] = self._make(self._entries[name])
            nodes = self._entries[name]["inbound_nodes"]
            if isinstance(layer, InputLayer):
                self._outputs[name, 0] = layer.nodes[0].outputs
                nodes = ()
            self._calls[name] = [self._call(name, node) for node in nodes]
        return self._layers[name]

    def _compute(self, end: _Place) -> None:
        """Call the layers that a symbol needs, each after those that it reads."""
        pending: list[tuple[_Place, Iterator[_Place]]] = [(end, iter(self._needed(end)))]
        active = {(end.name, end.call)}
        while pending:
            place, needed = pending[-1]
            following = next((each for each in needed if (each.name, each.call) not in self._outputs), None)
            if following is None:
                pending.pop()
                active.discard((place.name, place.call))
                self._run(place)
            elif (following.name, following.call) in active:
                raise ValueError(f"the graph in a config must not have cycles: {following.name!r} depends on itself")
            else:
                active.add((following.name, following.call))
                pending.append((following, iter(self._needed(following))))

    def _needed(self, place: _Place) -> list[_Place]:
        """What must be computed before: the inputs of the call, and the call of the same layer before it."""
        layer = self._layer(place.name)
        count = 1 if isinstance(layer, InputLayer) else len(self._calls[place.name])
        if place.call >= count:
            raise ValueError(f"layer {place.name!r} is called {count} times in the config, call {place.call} is read")
        if isinstance(layer, InputLayer):
            return []
        before = [_Place(place.name, place.call - 1, 0)] if place.call else []
        return [*before, *self._calls[place.name][place.call].places()]

    def _run(self, place: _Place) -> None:
        key = place.name, place.call
        if key in self._outputs:
            return
        layer, call = self._layers[place.name], self._calls[place.name][place.call]
        args, kwargs = mapped(self._symbol, list(call.args)), mapped(self._symbol, dict(call.kwargs))
        if not call.places():
            raise ValueError(f"layer {place.name!r} is called in the config without symbols")
        layer(*args, **kwargs)
        self._outputs[key] = layer.nodes[-1].outputs

    def _symbol(self, leaf: Any) -> Any:
        if not isinstance(leaf, _Place):
            return leaf
        outputs = self._outputs[leaf.name, leaf.call]
        if leaf.output >= len(outputs):
            raise ValueError(f"layer {leaf.name!r} has {len(outputs)} outputs, output {leaf.output} is read")
        return outputs[leaf.output]

    def _call(self, name: str, node: Any) -> _Call:
        """The arguments of a call of a layer."""
        layer = self._layers[name]
        is_custom = layer.is_traced or isinstance(layer, Lambda)
        takes_states = not (layer.is_model or layer.merges or is_custom)
        args: Any
        kwargs: Any
        if isinstance(node, Mapping) and {"args", "kwargs"} <= node.keys():
            args, kwargs = self._argument(node["args"]), self._argument(node["kwargs"])
        else:
            args, kwargs = self._keras_2_call(node)
            if takes_states and isinstance(args[0], list):
                args, kwargs = [args[0][0]], {"initial_state": args[0][1:], **kwargs}
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise ValueError(
                f"a call of layer {name!r} must have a list of args and a dict of kwargs, got {shown(node)}"
            )
        if takes_states and len(args) == 2:
            args, kwargs = args[:1], {"initial_state": args[1], **kwargs}
        chosen = node.get("chosen", ()) if isinstance(node, Mapping) else ()
        kwargs = {
            key: value
            for key, value in kwargs.items()
            if value is not None and (key in chosen or not self._is_default(key, value, is_custom))
        }
        return _Call(args, kwargs)

    def _is_default(self, argument: str, value: Any, is_custom: bool) -> bool:
        """Whether Keras wrote an argument of a call by itself: masks that are passed on from layer to layer."""
        if argument == "mask" and not is_custom:
            places = [leaf for leaf in leaves(value) if isinstance(leaf, _Place)]
            return not any(self._entries.get(place.name, {}).get("class_name") == "InputLayer" for place in places)
        return argument == "training" and value is False

    def _argument(self, value: Any) -> Any:
        """An argument of Keras 3: symbols as places, other values as they are."""
        if isinstance(value, list | tuple):
            return [self._argument(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        if value.get("class_name") == _SYMBOL:
            history = value["config"].get("keras_history") if isinstance(value.get("config"), Mapping) else None
            if not isinstance(history, list | tuple) or len(history) != 3:
                raise ValueError(f"a symbol in a config must have a keras_history of three, got {shown(history)}")
            return _Place(*history)
        if "class_name" in value:
            return descriptions.with_objects(from_plain(value))
        return {key: self._argument(each) for key, each in value.items()}

    def _keras_2_call(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        """A call of Keras 2: [[layer, call, output, kwargs], ...], or a dict of such lists."""
        kwargs: dict[str, Any] = {}

        def structure(value: Any) -> Any:
            if isinstance(value, list | tuple) and value and isinstance(value[0], str):
                if len(value) not in (3, 4) or not isinstance(value[-1], int | Mapping):
                    raise ValueError(f"an input of a layer must be [layer, call, output, kwargs], got {shown(value)}")
                if len(value) == 4:
                    kwargs.update({key: self._keras_2_argument(each) for key, each in value[3].items()})
                return self._place(*value[:3])
            if isinstance(value, Mapping):
                return {key: structure(each) for key, each in value.items()}
            if isinstance(value, list | tuple) and value:
                return [structure(each) for each in value]
            raise ValueError(f"a call of a layer in a config must list its inputs, got {shown(value)}")

        inputs = structure(node)
        return [inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs], kwargs

    def _keras_2_argument(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            if len(value) == 3 and isinstance(value[0], str) and value[0] in self._entries:
                return self._place(*value)
            return [self._keras_2_argument(each) for each in value]
        return value


def _name(entry: Any) -> str:
    """The name of a layer in a config."""
    if isinstance(entry, Mapping):
        config = entry.get("config")
        name = entry.get("name", config.get("name") if isinstance(config, Mapping) else None)
        if isinstance(name, str) and isinstance(entry.get("inbound_nodes"), list | tuple):
            return name
    raise ValueError(
        f"a layer in the config of a functional model must have a name and inbound_nodes, got {shown(entry)}"
    )
