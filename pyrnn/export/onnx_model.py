"""`to_onnx`: a model as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pyrnn.arguments import checked
from pyrnn.export.onnx_convolutions import after_past, past_steps
from pyrnn.export.onnx_graph import IR_VERSION, OPSET, CannotExport, Graph, NeedsSize, Shape, Value, element_type
from pyrnn.export.onnx_layers import LAYERS, differing, required_size
from pyrnn.export.onnx_merging import MERGING
from pyrnn.export.onnx_operations import operation
from pyrnn.export.onnx_recurrent import STATE_NAMES, Run, check, run
from pyrnn.files.atomic import replace_file
from pyrnn.functional import Functional
from pyrnn.layers import RNN, Bidirectional, Embedding, Layer, Masking, Recurrent
from pyrnn.sequential import Sequential
from pyrnn.typing import IS_MODEL, FilePath, Flag
from pyrnn.validation import not_built

_MOST_BYTES = 2**31 - 1  # of a protobuf message


@checked
def to_onnx(model: Annotated[Any, IS_MODEL], path: FilePath, stateful: Flag = False) -> None:
    """Write a model to an ONNX file, for onnxruntime, OpenVINO and others.

    The graph has opset 22, one RNN, LSTM or GRU node per layer or per pair of directions, and no loop. The batch size
    is free, and so is the number of time steps unless a layer depends on it, such as `Flatten`. Inputs and outputs are
    arrays (B, T, F) as in pyrnn and have the names of the model's.

    Args:
        model: A model of class `Sequential` or `Model(inputs, outputs)`, built, with dtype float32.
        path: The file to write. It is complete or unchanged.
        stateful: Whether the states of recurrent layers become inputs of the graph, such as "lstm_h" and "lstm_c"
            (B, units), and outputs, "lstm_h_out" and "lstm_c_out". Zeros start a sequence; passing the outputs on as
            the next inputs continues it. The steps that a causal Conv1D reads become states too, "conv1d_past".

    Raises:
        ImportError: If the package `onnx` is missing.
        TypeError: If `model` is not such a model.
        ValueError: If it cannot be exported; the message names the layer and the reason. No file is written.
        OSError: If the file cannot be written.

    Example:
        >>> import pyrnn
        >>> from pyrnn import layers
        >>> model = pyrnn.Sequential([layers.Input((None, 3)), layers.LSTM(8), layers.Dense(1)])
        >>> pyrnn.export.to_onnx(model, "forecast.onnx")  # doctest: +SKIP

    Source: the operators of ONNX, https://onnx.ai/onnx/operators/.
    """
    _check_model(model)
    if not model.built:
        raise ValueError(not_built("it can be exported"))
    if model.dtype != "float32":
        raise ValueError(f"model {model.name!r} must have dtype float32 to be exported to ONNX, got {model.dtype}")
    replace_file(os.fspath(path), _content(_package(), model, bool(stateful)))


def _package() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install 'pyrnn-core[onnx]'") from error
    return onnx


def _content(onnx: Any, model: Any, stateful: bool) -> bytes:
    """The content of the file, with the number of time steps free in as many inputs as the layers allow."""
    for rank in (2, 3):  # ids (B, T) too, or not the features (B, F) of a Dense
        try:
            return _Export(onnx, stateful, rank).file(model)
        except NeedsSize:
            continue
    return _Export(onnx, stateful, None).file(model)


def _check_model(model: Any) -> None:
    plain = Sequential.forward_pass, Functional.forward_pass
    if not isinstance(model, Sequential | Functional) or type(model).forward_pass not in plain:
        raise CannotExport(
            f"model {model.name!r} ({type(model).__name__}) cannot be exported to ONNX: it must be a Sequential or "
            "Model(inputs, outputs), whose call or forward_pass is not custom"
        )


class _Export:
    """One export.

    Args:
        onnx: The package.
        stateful: Whether states are inputs and outputs of the graph.
        rank: The least number of axes of inputs whose axis 1 is left free where the model declares its size, or None.
    """

    def __init__(self, onnx: Any, stateful: bool, rank: int | None) -> None:
        self.onnx, self.graph = onnx, Graph(onnx)
        self.stateful, self.rank = stateful, rank
        self.inputs: list[Any] = []
        # Of each state of a layer: its input and the name of its present value.
        self.states: dict[tuple[int, str], tuple[Value, str]] = {}

    def file(self, model: Any) -> bytes:
        """Return the content of the file."""
        helper = self.onnx.helper
        symbols = model.inputs
        values = [
            self._input(symbol.name, self._declared(symbol.shape), symbol.dtype, len(symbols)) for symbol in symbols
        ]
        results = self._model(model, values)
        self.graph.scope = "outputs"
        outputs = []
        for name, result in zip(model.output_names, results, strict=True):
            outputs.append(self._output(name, result))
        for value, present in self.states.values():
            outputs.append(self._output(f"{value.name}_out", value._replace(name=present)))
        nodes, constants = _reached(self.graph, outputs)
        graph = helper.make_graph(nodes, model.name, self.inputs, outputs, initializer=constants)
        opsets = [helper.make_opsetid("", OPSET)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pyrnn")
        if proto.ByteSize() > _MOST_BYTES:
            raise CannotExport(
                f"model {model.name!r} cannot be exported to ONNX: the file must not exceed {_MOST_BYTES} bytes, "
                f"got {proto.ByteSize()}"
            )
        content: bytes = proto.SerializeToString()
        self.onnx.checker.check_model(content, full_check=True)
        return content

    def _declared(self, shape: Shape) -> Shape:
        frees = self.rank is not None and len(shape) >= self.rank
        return (None, None, *shape[2:]) if frees else (None, *shape[1:])

    def _input(self, name: str, shape: Shape, dtype: str, count: int = 1) -> Value:
        value = Value(self.graph.unique(name), shape, None, dtype)
        prefix = "" if count == 1 else f"{name}_"
        sizes = ["batch", *(f"{prefix}{'time' if axis == 1 else f'axis_{axis}'}" for axis in range(1, len(shape)))]
        dims = [free if size is None else size for size, free in zip(shape, sizes, strict=True)]
        kind = element_type(self.onnx, dtype)
        self.inputs.append(self.onnx.helper.make_tensor_value_info(value.name, kind, dims))
        return value

    def _output(self, name: str, value: Value) -> Any:
        unique = self.graph.unique(name)
        self.graph.nodes.append(self.onnx.helper.make_node("Identity", [value.name], [unique], name=f"node_{unique}"))
        dims = ["batch" if axis == 0 else size for axis, size in enumerate(value.shape)]
        return self.onnx.helper.make_tensor_value_info(unique, element_type(self.onnx, value.dtype), dims)

    # Models and layers.

    def _model(self, model: Any, inputs: Sequence[Value]) -> list[Value]:
        graph = model.graph
        if graph is None:
            values = list(inputs)
            for layer in model.layers:
                values = self._call(layer, values, {})
            return values
        present: dict[int, Value] = {id(symbol): value for symbol, value in zip(graph.inputs, inputs, strict=True)}
        for node in graph.nodes:
            if all(id(symbol) in present for symbol in node.outputs):
                continue
            if node.training:
                raise _named(node.layer, CannotExport("it is called with training=True"))
            values = [present[id(symbol)] for symbol in node.inputs]
            for number, symbol in enumerate(node.masks):
                if symbol is not None:
                    values[number] = values[number]._replace(mask=self._as_mask(present[id(symbol)]))
            results = self._call(node.layer, values, node.options)
            present.update((id(symbol), value) for symbol, value in zip(node.outputs, results, strict=True))
        return [present[id(symbol)] for symbol in graph.outputs]

    def _as_mask(self, value: Value) -> str:
        return value.name if value.dtype == "bool" else self.graph.cast(value.name, "bool")

    def _call(self, layer: Any, values: list[Value], options: Mapping[str, Any]) -> list[Value]:
        if layer.is_model:
            _check_model(layer)
            return self._model(layer, values)
        scope, self.graph.scope = self.graph.scope, layer.name
        try:
            return self._layer(layer, values, options)
        except CannotExport as error:
            raise _named(layer, error) from error
        finally:
            self.graph.scope = scope

    def _layer(self, layer: Any, values: list[Value], options: Mapping[str, Any]) -> list[Value]:
        kind, x = type(layer), values[0]
        if layer.is_operation:
            return operation(self.graph, layer, values)
        if kind in MERGING:
            return MERGING[kind](self.graph, layer, values, options)
        if kind is Bidirectional:
            return self._bidirectional(layer, x, values[1:])
        if kind is RNN:
            return self._stack(layer, x, values[1:])
        if isinstance(layer, Recurrent) and kind.__module__.startswith("pyrnn."):
            check(layer)
            return self._recurrent(layer, x, values[1:])
        if kind not in LAYERS:
            is_custom = not kind.__module__.startswith("pyrnn.")
            raise CannotExport("custom layers are not supported" if is_custom else f"{kind.__name__} is not supported")
        if self.stateful and past_steps(layer):
            return [self._continued(layer, x)]
        name = LAYERS[kind](self.graph, layer, x)
        return [Value(name, tuple(layer.compute_output_shape(x.shape)), self._mask_after(layer, x))]

    def _mask_after(self, layer: Any, x: Value) -> str | None:
        if isinstance(layer, Masking):
            return differing(self.graph, x, layer.mask_value)
        if isinstance(layer, Embedding) and layer.mask_zero:
            return self.graph.cast(x.name, "bool")
        return x.mask if layer.supports_masking and layer.compute_mask(None, True) is not None else None

    # Recurrent layers.

    def _initial(self, layer: Any, passed: Sequence[Value]) -> list[str] | None:
        """The states that a layer starts from: those of the call, those of the graph's inputs, or None for zeros."""
        if passed:
            return [value.name for value in passed]
        if not self.stateful:
            if layer.stateful:
                raise CannotExport("it keeps its states from batch to batch: pass stateful=True")
            return None
        return [self._state(layer, STATE_NAMES[n], (None, layer.units)) for n in range(layer.state_count)]

    def _state(self, layer: Any, state: str, shape: Shape) -> str:
        if (id(layer), state) not in self.states:
            value = self._input(f"{layer.name}_{state}", shape, "float32")
            self.states[id(layer), state] = value, value.name
        return self.states[id(layer), state][1]

    def _keep(self, layer: Any, passed: Sequence[Value], finals: Sequence[str]) -> None:
        """The next call of the layer starts from these states."""
        if self.stateful and not passed:
            for state, final in zip(STATE_NAMES, finals, strict=False):
                self.states[id(layer), state] = self.states[id(layer), state][0], final

    def _continued(self, layer: Any, x: Value) -> Value:
        past = self._state(layer, "past", (None, past_steps(layer), required_size(x, 2)))
        y, last = after_past(self.graph, layer, x, past)
        self.states[id(layer), "past"] = self.states[id(layer), "past"][0], last
        return Value(y, tuple(layer.compute_output_shape(x.shape)), x.mask if layer.supports_masking else None)

    def _recurrent(self, layer: Any, x: Value, passed: Sequence[Value]) -> list[Value]:
        required_size(x, 2)
        initial, direction, flips = self._initial(layer, passed), "forward", False
        source = x
        if layer.go_backwards and x.mask is None:
            direction, flips = "reverse", True
        elif layer.go_backwards:  # outputs of masked steps repeat those before them in this direction
            source = Value(self.graph.reversed(x.name, 1), x.shape, self.graph.reversed(str(x.mask), 1))
        done = run(self.graph, [layer], source, None if initial is None else [initial], direction)
        self._keep(layer, passed, done.states[0])
        output, mask = done.last, None
        if layer.return_sequences:
            output, mask = done.sequences[0], x.mask
            if flips:
                output = self.graph.reversed(output, 1)
        return self._with_states(layer, x, [output], mask, done.states[0])

    def _with_states(
        self, layer: Any, x: Value, outputs: Sequence[str], mask: str | None, states: Sequence[str]
    ) -> list[Value]:
        shapes = layer.compute_output_shape(x.shape)
        shapes = list(shapes) if isinstance(shapes[0], tuple | list) else [shapes]
        names = [*outputs, *(states if layer.return_state else [])]
        masks = [mask] * len(outputs) + [None] * len(states)
        return [Value(name, tuple(shape), each) for name, shape, each in zip(names, shapes, masks, strict=False)]

    def _stack(self, layer: Any, x: Value, passed: Sequence[Value]) -> list[Value]:
        layer._set_options()
        states: list[str] = []
        remaining, current = list(passed), x
        for inner in layer._stack:
            if not isinstance(inner, Recurrent):
                raise CannotExport("a cell of it is custom, which ONNX's recurrent operators do not run")
            starts, remaining = remaining[: inner.state_count], remaining[inner.state_count :]
            mask = current.mask
            outputs = self._recurrent(inner, current, starts)
            states += [each.name for each in outputs[1:]]
            if mask is not None and inner.go_backwards:
                mask = self.graph.reversed(mask, 1)
            current = outputs[0]._replace(mask=mask)
        return self._with_states(layer, x, [current.name], x.mask if layer.return_sequences else None, states)

    def _bidirectional(self, layer: Any, x: Value, passed: Sequence[Value]) -> list[Value]:
        required_size(x, 2)
        pair = [layer.forward_layer, layer.backward_layer]
        for each in pair:
            if not isinstance(each, Recurrent):
                raise CannotExport("its layer is an RNN(cell): use SimpleRNN, LSTM or GRU")
            check(each)
        half = pair[0].state_count
        starts = [passed[:half], passed[half:]] if passed else [(), ()]
        initial = [self._initial(each, start) for each, start in zip(pair, starts, strict=True)]
        states: list[str]
        if _one_node(pair):
            begins = None if initial[0] is None else [each or [] for each in initial]
            done = run(self.graph, pair, x, begins, "bidirectional")
            sequences, both, last, states = done.sequences, done.both, done.last, [*done.states[0], *done.states[1]]
            lasts = [done.states[0][0], done.states[1][0]]
            if x.mask is not None:
                units = pair[0].units
                lasts = [self.graph.cut(last, 1, n * units, (n + 1) * units) for n in range(2)]
        else:
            runs = [self._direction(each, x, start) for each, start in zip(pair, initial, strict=True)]
            sequences, both, last = [each.sequences[0] for each in runs], None, None
            if pair[0].go_backwards:  # then both outputs begin with the last step
                sequences = [self.graph.reversed(each, 1) for each in sequences]
            states, lasts = [*runs[0].states[0], *runs[1].states[0]], [each.last for each in runs]
        for n, each in enumerate(pair):
            self._keep(each, starts[n], states[n * half : (n + 1) * half])
        if pair[0].return_sequences:
            return self._with_states(layer, x, self._merged(layer, sequences, both), x.mask, states)
        return self._with_states(layer, x, self._merged(layer, lasts, last), None, states)

    def _direction(self, layer: Any, x: Value, initial: list[str] | None) -> Run:
        """One direction as a node of its own, with the outputs in the order of the steps."""
        direction = "reverse" if layer.go_backwards else "forward"
        return run(self.graph, [layer], x, None if initial is None else [initial], direction)

    def _merged(self, layer: Any, parts: Sequence[str], both: str | None) -> list[str]:
        if layer.merge_mode is None:
            return list(parts)
        if layer.merge_mode == "concat":
            return [both if both is not None else self.graph.add("Concat", *parts, axis=-1)]
        merged = self.graph.add("Mul" if layer.merge_mode == "mul" else "Add", *parts)
        if layer.merge_mode == "ave":
            merged = self.graph.add("Div", merged, self.graph.constant(2.0))
        return [merged]


def _one_node(pair: Sequence[Any]) -> bool:
    """Whether one node computes both directions."""
    forward, backward = pair
    return (
        not forward.go_backwards
        and forward.cell == backward.cell
        and forward.zero_output_for_mask == backward.zero_output_for_mask
    )


def _named(layer: Layer, error: CannotExport) -> CannotExport:
    return type(error)(f"layer {layer.name!r} ({type(layer).__name__}) cannot be exported to ONNX: {error}")


def _reached(graph: Graph, outputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The nodes and constants that outputs depend on."""
    needed = {output.name for output in outputs}
    nodes = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    return nodes[::-1], [each for each in graph.constants if each.name in needed]


__all__ = ["to_onnx"]
