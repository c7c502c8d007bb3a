"""`model.summary()` and `plot_model`: what a model looks like, in Keras's form."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import numpy as np

from pyrnn import ranks
from pyrnn.arguments import checked
from pyrnn.graph import Graph
from pyrnn.graph_config import calls_of
from pyrnn.parameters import Weight
from pyrnn.structures import leaves
from pyrnn.symbols import Symbol, flat_shapes
from pyrnn.typing import IS_MODEL, FilePath, Flag, Size, Text
from pyrnn.validation import not_built, shown

if TYPE_CHECKING:
    from pyrnn.model import Model

POSITIONS = (0.45, 0.80, 1.0)
LINE_LENGTH = 88
# With a column of connections, for graphs that are no chains.
GRAPH_POSITIONS = (0.3, 0.56, 0.74, 1.0)
GRAPH_LINE_LENGTH = 108
TRAINABLE_WIDTH = 12


def _readable(size: float) -> str:
    """A number of bytes as Keras writes it: '128.00 B'."""
    units = ("B", "KB", "MB", "GB", "TB", "PB")
    for unit in units[:-1]:
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} {units[-1]}"


def _number(value: object) -> str:
    return f"[color({45 if value is None else 34})]{value}[/]"


def _shape(shape: Any) -> str:
    if shape and isinstance(shape[0], tuple):
        return f"[{', '.join(_shape(each) for each in shape)}]"
    return f"({', '.join(_number(size) for size in shape)})"


def _steps(model: Any) -> list[Any]:
    """The layers of a model, with the operations between them."""
    return list(getattr(model, "operations", model.layers))


def _class_name(layer: Any) -> str:
    return str(layer.class_name) if layer.is_operation else type(layer).__name__


def _bounds(names: list[str], layer_range: Sequence[str] | None) -> tuple[int, int]:
    """First and one past the last index of the layers that `layer_range` names."""
    if layer_range is None:
        return 0, len(names)
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"layer_range must hold two names of layers, got {shown(layer_range)}")
    matches = [[i for i, name in enumerate(names) if re.match(pattern, name)] for pattern in layer_range]
    if not all(matches):
        raise ValueError(f"layer_range must name layers of {', '.join(names)}, got {shown(layer_range)}")
    first, last = min(matches[0]), max(matches[1])
    return min(first, last), max(first, last) + 1


def _graph(model: Model) -> Graph | None:
    """The graph of a model whose calls are no chain."""
    graph = model.graph
    return None if graph is None or graph.is_chain() else graph


def _output_shapes(model: Model) -> list[Any]:
    """The shape of the output of each layer, a tuple of shapes if there are several; None if it is not known."""
    if model.graph is None:
        by_layer = [None if each is None else flat_shapes(each) for each in model._shapes]
        single = [each[0] if each is not None and len(each) == 1 else each for each in by_layer]
        return single or [None] * len(_steps(model))
    calls = calls_of(model.graph)
    # An input layer in place of a layer that the model starts from has no call in the graph.
    outputs = [calls.get(id(layer), layer.nodes)[-1].outputs for layer in _steps(model)]
    return [each[0].shape if len(each) == 1 else tuple(symbol.shape for symbol in each) for each in outputs]


def _starts(model: Model) -> dict[int, Any]:
    """The input layers in place of the layers whose outputs a model starts from, by the `id` of these outputs."""
    outputs = [] if model.graph is None else [symbol for symbol in model.graph.inputs if symbol.node.inputs]
    return dict(zip(map(id, outputs), getattr(model, "_starts", ()), strict=True))


class _Row(NamedTuple):
    """A layer in the table.

    Args:
        layer: the layer.
        shape: that of its output, or None.
        prefix: what comes before its name.
        connections: what its calls read, one text per symbol.
    """

    layer: Any
    shape: Any
    prefix: str
    connections: list[str]


def _rows(model: Model, expand_nested: bool, level: int = 0) -> list[list[_Row]]:
    """The rows of each layer of a model: its own, and those of the layers in it."""
    graph = model.graph if not level else None
    calls = {} if graph is None else calls_of(graph)
    numbers = {id(node): number for nodes in calls.values() for number, node in enumerate(nodes)}
    starts, groups = _starts(model), []
    for layer, shape in zip(_steps(model), _output_shapes(model), strict=True):
        arguments = [[node.args, node.kwargs] for node in calls.get(id(layer), ())]
        read = [leaf for leaf in leaves(arguments) if isinstance(leaf, Symbol)]
        places = [f"[{_number(numbers.get(id(symbol.node), 0))}][{_number(symbol.index)}]" for symbol in read]
        sources = [starts.get(id(symbol), symbol.node.layer).name for symbol in read]
        connections = [f"{source}{place}" for source, place in zip(sources, places, strict=True)]
        rows = [_Row(layer, shape, "   " * level + "└ " if level else "", connections)]
        if expand_nested and layer.is_model:
            rows += [row for group in _rows(cast("Model", layer), True, level + 1) for row in group]
        groups.append(rows)
    return groups


def print_summary(
    model: Model,
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any] | None,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
    expand_nested: bool = False,
) -> None:
    """Print a table of the layers with the totals below it.

    Args:
        model: The model.
        line_length: Width in characters; by default that of the terminal, at most 88.
        positions: Right edges of the columns as shares of the width; by default (0.45, 0.8, 1.0).
        print_fn: A function of the text; by default it is printed on the console.
        show_trainable: Whether to add a column that says which layers are trainable.
        layer_range: Names, or patterns of names, of the first and last layer to show; by default all.
        expand_nested: Whether to show the layers of nested models below them.

    Raises:
        ValueError: If a column would be narrower than 4 characters, or `layer_range` matches no layer.

    Example:
        >>> from pyrnn.summary import print_summary
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))], name="small")
        >>> lines = []
        >>> print_summary(model, 60, None, lines.append, False, None)
        >>> lines[0].splitlines()[0], "Total params: 8" in lines[0]
        ('Model: "small"', True)
    """
    import shutil  # is slow to import, like rich

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    if print_fn is None and not ranks.is_first():
        return
    has_connections = _graph(model) is not None
    parts, length = list(positions or POSITIONS), LINE_LENGTH
    names, sides = ["Layer (type)", "Output Shape", "Param #"], ["left", "left", "right"]
    if has_connections:
        parts, length = list(positions or GRAPH_POSITIONS), GRAPH_LINE_LENGTH
        names, sides = [*names, "Connected to"], [*sides, "left"]
    if show_trainable:
        parts, length = [*(part * 0.9 for part in parts), 1.0], length + TRAINABLE_WIDTH
        names, sides = [*names, "Trainable"], [*sides, "center"]
    length = line_length or min(length, shutil.get_terminal_size().columns - 4)
    edges = [0, *(int(part * length) for part in parts)]
    widths = [after - before for before, after in itertools.pairwise(edges)]
    if min(widths) < 4:
        raise ValueError(f"line_length must leave at least 4 characters per column, got {length}")
    columns = [
        Column(name, justify=side, width=width)  # type: ignore[arg-type]  # sides are names that rich knows
        for name, side, width in zip(names, sides, widths, strict=False)
    ]
    table = Table(*columns, width=length, show_lines=True)
    first, last = _bounds([layer.name for layer in _steps(model)], layer_range)
    for row in (row for rows in _rows(model, expand_nested)[first:last] for row in rows):
        layer = row.layer
        cells = [
            f"{escape(row.prefix + layer.name)} ([color(33)]{escape(_class_name(layer))}[/])",
            "?" if row.shape is None else _shape(row.shape),
            _number(f"{layer.count_params():,}") if layer.built else f"{_number(0)} (unbuilt)",
        ]
        if has_connections:
            cells.append(", ".join(row.connections) or "-")
        if show_trainable:
            mark = "[bold]-[/]"
            if layer.weights:
                mark = "[bold color(34)]Y[/]" if layer.trainable else "[bold color(9)]N[/]"
            cells.append(mark)
        table.add_row(*cells)

    def total(title: str, count: int, size: float) -> str:
        return f"[bold] {title}: [/]{_number(f'{count:,}')} ({_readable(size)})"

    def tally(weights: list[Weight]) -> tuple[int, int]:
        return sum(w.size for w in weights), sum(w.array.nbytes for w in weights)

    trainable, frozen = tally(model.trainable_weights), tally(model.non_trainable_weights)
    optimizer = model.optimizer
    slots = (0, 0)
    # Without `call` a model may have anything as its optimizer.
    optimizer_built = getattr(optimizer, "parameters", None) is not None
    if optimizer is not None and optimizer_built:
        arrays = [np.asarray(value) for _, value in optimizer.named_variables()]
        # In Keras the step counter and the learning rate take 4 bytes each.
        slots = (sum(a.size for a in arrays), sum(4 if a.ndim == 0 else a.nbytes for a in arrays))
    if print_fn is not None:
        console = Console(highlight=False, force_terminal=False, color_system=None)
        console.begin_capture()
    else:
        console = Console(highlight=False)
    console.print(f'[bold]Model: "{escape(model.name)}"[/]')
    console.print(table)
    console.print(total("Total params", *(a + b + c for a, b, c in zip(trainable, frozen, slots, strict=True))))
    console.print(total("Trainable params", *trainable))
    console.print(total("Non-trainable params", *frozen))
    if optimizer_built:
        console.print(total("Optimizer params", *slots))
    if print_fn is not None:
        print_fn(console.end_capture())


@checked
def plot_model(
    model: Annotated[Model, IS_MODEL],
    to_file: FilePath = "model.png",
    show_shapes: Flag = False,
    show_dtype: Flag = False,
    show_layer_names: Flag = False,
    rankdir: Text = "TB",
    expand_nested: Flag = False,
    dpi: Size = 200,
    show_layer_activations: Flag = False,
    show_trainable: Flag = False,
) -> None:
    """Draw the layers of a model as boxes into a picture (extra `plot`).

    Args:
        model: The model; it must be built.
        to_file: The file; its suffix chooses the format (png, svg, pdf).
        show_shapes: Whether to show shapes of inputs and outputs.
        show_dtype: Whether to show dtypes.
        show_layer_names: Whether to show names of layers.
        rankdir: "TB" draws from top to bottom, "LR" from left to right.
        expand_nested: Whether the box of a nested model lists its layers.
        dpi: Resolution, in dots per inch; None for matplotlib's own.
        show_layer_activations: Whether to show activations.
        show_trainable: Whether to show which layers are trainable.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the model is not built, or for another rankdir.

    Example:
        >>> import os, tempfile
        >>> from pyrnn.utils import plot_model
        >>> model = pyrnn.Sequential([pyrnn.layers.Dense(2, input_shape=(3,))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plot_model(model, f"{folder}/model.png", show_shapes=True)
        ...     os.listdir(folder)
        ['model.png']
    """
    if rankdir not in ("TB", "LR"):
        raise ValueError(f"rankdir must be 'TB' or 'LR', got {shown(rankdir)}")
    if not model.built:
        raise ValueError(not_built("it can be drawn"))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot_model needs matplotlib: pip install 'pyrnn-core[plot]'") from None
    graph, shapes = _graph(model), _output_shapes(model)
    texts = []
    for index, (first, *inner) in enumerate(_rows(model, expand_nested)):
        layer = first.layer
        lines = [f"{layer.name} ({_class_name(layer)})" if show_layer_names else _class_name(layer)]
        if show_layer_activations and hasattr(layer, "activation"):
            lines.append(f"activation: {layer.activation.__name__}")
        if show_shapes:
            before = model.input_shape if not index else shapes[index - 1]
            lines.append(f"{before} -> {shapes[index]}" if graph is None else f"-> {shapes[index]}")
        if show_dtype:
            lines.append(f"dtype: {layer.dtype}")
        if show_trainable and layer.weights:
            lines.append("trainable" if layer.trainable else "not trainable")
        lines += [f"{row.prefix}{row.layer.name} ({_class_name(row.layer)})" for row in inner]
        texts.append("\n".join(lines))
    levels, arrows = _levels(model)
    rows = [levels.count(level) for level in range(max(levels) + 1)]
    count, down = len(rows), rankdir == "TB"
    tall = 0.4 + 0.2 * max(text.count("\n") + 1 for text in texts)
    wide = 0.5 + 0.09 * max(len(line) for text in texts for line in text.splitlines())
    figure = Figure((max(rows) * wide, count * tall) if down else (count * wide, max(rows) * tall))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    places = []
    for index, level in enumerate(levels):
        along, across = (level + 0.5) / count, (levels[:index].count(level) + 0.5) / rows[level]
        places.append((across, 1 - along) if down else (along, 1 - across))
    box = {"boxstyle": "square,pad=0.4", "facecolor": "white", "edgecolor": "black"}
    drawn = [
        axes.text(x, y, text, ha="center", va="center", bbox=box, size=8).get_bbox_patch()
        for (x, y), text in zip(places, texts, strict=True)
    ]
    for start, end in arrows:
        arrow = {"arrowstyle": "->", "patchA": drawn[start], "patchB": drawn[end]}
        axes.annotate("", xy=places[end], xytext=places[start], zorder=0, arrowprops=arrow)
    figure.savefig(os.fspath(to_file), dpi=dpi or "figure")


def _levels(model: Model) -> tuple[list[int], list[tuple[int, int]]]:
    """The level on which each layer is drawn, and the pairs of layers between which there is an arrow."""
    graph = model.graph
    if graph is None:
        count = len(_steps(model))
        return list(range(count)), [(index, index + 1) for index in range(count - 1)]
    indices = {id(layer): index for index, layer in enumerate(_steps(model))}
    starts, levels, arrows = _starts(model), [0] * len(indices), []
    for node in graph.nodes:
        end = indices[id(node.layer)]
        for symbol in node.inputs:
            start = indices.get(id(starts.get(id(symbol), symbol.node.layer)), end)
            if start != end:
                arrows.append((start, end))
                if start < end:  # else a shared layer reads one that comes after its first call
                    levels[end] = max(levels[end], levels[start] + 1)
    return levels, list(dict.fromkeys(arrows))
