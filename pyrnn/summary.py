"""`model.summary()` and `plot_model`: what a model looks like, in Keras's form."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.parameters import Weight
from pyrnn.typing import IS_MODEL, FilePath, Flag, Size, Text
from pyrnn.validation import not_built, shown

if TYPE_CHECKING:
    from pyrnn.model import Model

POSITIONS = (0.45, 0.80, 1.0)
LINE_LENGTH = 88
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


def print_summary(
    model: Model,
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any] | None,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Print a table of the layers with the totals below it.

    Args:
        model: The model.
        line_length: Width in characters; by default that of the terminal, at most 88.
        positions: Right edges of the columns as shares of the width; by default (0.45, 0.8, 1.0).
        print_fn: A function of the text; by default it is printed on the console.
        show_trainable: Whether to add a column that says which layers are trainable.
        layer_range: Names, or patterns of names, of the first and last layer to show; by default all.

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

    parts, length = list(positions or POSITIONS), LINE_LENGTH
    names, sides = ["Layer (type)", "Output Shape", "Param #"], ["left", "left", "right"]
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
    first, last = _bounds([layer.name for layer in model.layers], layer_range)
    for index in range(first, last):
        layer = model.layers[index]
        row = [
            f"{escape(layer.name)} ([color(33)]{escape(type(layer).__name__)}[/])",
            _shape(model._shapes[index]) if model._shapes else "?",
            _number(f"{layer.count_params():,}") if layer.built else f"{_number(0)} (unbuilt)",
        ]
        if show_trainable:
            mark = "[bold]-[/]"
            if layer.weights:
                mark = "[bold color(34)]Y[/]" if layer.trainable else "[bold color(9)]N[/]"
            row.append(mark)
        table.add_row(*row)

    def total(title: str, count: int, size: float) -> str:
        return f"[bold] {title}: [/]{_number(f'{count:,}')} ({_readable(size)})"

    def tally(weights: list[Weight]) -> tuple[int, int]:
        return sum(w.size for w in weights), sum(w.array.nbytes for w in weights)

    trainable, frozen = tally(model.trainable_weights), tally(model.non_trainable_weights)
    optimizer = model.optimizer
    slots = (0, 0)
    optimizer_built = optimizer is not None and optimizer.parameters is not None
    if optimizer is not None and optimizer_built:
        arrays = [np.asarray(value) for _, value in optimizer.variables()]
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
        expand_nested: Has no effect, since models do not nest.
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
    shapes = [model.input_shape, *model._shapes]
    texts = []
    for index, layer in enumerate(model.layers):
        lines = [f"{layer.name} ({type(layer).__name__})" if show_layer_names else type(layer).__name__]
        if show_layer_activations and hasattr(layer, "activation"):
            lines.append(f"activation: {layer.activation.__name__}")
        if show_shapes:
            lines.append(f"{shapes[index]} -> {shapes[index + 1]}")
        if show_dtype:
            lines.append(f"dtype: {layer.dtype}")
        if show_trainable and layer.weights:
            lines.append("trainable" if layer.trainable else "not trainable")
        texts.append("\n".join(lines))
    count, down = len(texts), rankdir == "TB"
    tall = 0.4 + 0.2 * max(text.count("\n") + 1 for text in texts)
    wide = 0.5 + 0.09 * max(len(line) for text in texts for line in text.splitlines())
    figure = Figure((wide, count * tall) if down else (count * wide, tall))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    places = [(0.5, 1 - (i + 0.5) / count) if down else ((i + 0.5) / count, 0.5) for i in range(count)]
    box = {"boxstyle": "square,pad=0.4", "facecolor": "white", "edgecolor": "black"}
    drawn = [
        axes.text(x, y, text, ha="center", va="center", bbox=box, size=8).get_bbox_patch()
        for (x, y), text in zip(places, texts, strict=True)
    ]
    for i in range(count - 1):
        arrow = {"arrowstyle": "->", "patchA": drawn[i], "patchB": drawn[i + 1]}
        axes.annotate("", xy=places[i + 1], xytext=places[i], zorder=0, arrowprops=arrow)
    figure.savefig(os.fspath(to_file), dpi=dpi or "figure")
