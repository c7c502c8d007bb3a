"""`Program`: a model for one sample as a flat list of typed operations over values of fixed sizes.

`lowering` makes it from a model; `c_float` and `c_int8` write its operations as C. It knows no layer and no C. Letters:
T steps, F features, H units, G gates, N outputs. Matrices are as in layers: kernels (F, G * H), gates in Keras's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Activations of a row at once, not number by number.
ROW_ACTIVATIONS = ("softmax", "log_softmax", "sparsemax", "glu")


@dataclass(eq=False)
class Value:
    """An array of one sample, without its batch axis.

    Args:
        size: How many numbers it holds.
        kind: "number"; "ids" for integers, which only inputs are; "mask" for a flag per step.
        role: "buffer"; "input" or "output" of the program; "state" for what is kept from step to step.
        name: Name of an input or output.
        offset: Where it is in the memory of its kind and role, counted in numbers; `memory` sets it.
    """

    size: int
    kind: str = "number"
    role: str = "buffer"
    name: str = ""
    offset: int = -1


@dataclass(eq=False)
class Operation:
    """One operation. `reads`, `writes` and `scratch` name the fields with the values that it reads, writes and needs.

    Scratch values hold nothing before or after the operation; the writer of C adds them.
    """

    reads: ClassVar[tuple[str, ...]] = ("x",)
    writes: ClassVar[tuple[str, ...]] = ("y",)
    # Whether y may be in the memory of x, number by number.
    in_place: ClassVar[bool] = False
    scratch: list[Value] = field(default_factory=list, init=False)
    # The layer that it belongs to, as in messages.
    layer: str = field(default="", init=False)

    def values(self, names: Sequence[str]) -> list[Value]:
        """Return the values in these fields, without those that are None."""
        listed: list[Value] = []
        for name in names:
            value = getattr(self, name)
            listed += value if isinstance(value, list) else [] if value is None else [value]
        return listed


@dataclass(eq=False)
class Matrix(Operation):
    """y[r] = x[r] kernel + bias for each of `rows` rows; kernel (F, N), bias (N,) or None."""

    x: Value
    y: Value
    rows: int
    kernel: Array
    bias: Array | None


@dataclass(eq=False)
class Convolution(Operation):
    """y (T', N) = bias + sum over k of x[t * stride + k * dilation] kernel[k], all inside of x (T, C), by groups.

    kernel (K, C / groups, N).
    """

    x: Value
    y: Value
    steps: int
    kernel: Array
    bias: Array | None
    stride: int
    dilation: int
    groups: int


@dataclass(eq=False)
class Recurrence(Operation):
    """A recurrent cell over `steps` steps of x (T, F).

    Args:
        y: All outputs (T, H), or None if only the states are read.
        mask: (T,); a step that does not count leaves the states as they are. None if all count.
        states: h (H,), and for an LSTM c (H,). Values with the role "state" continue from the last step.
        initial: What the states start from, one value each; None for zeros, or if they continue.
        cell: "simple_rnn", "lstm" or "gru".
        bias: (G * H,) or None; of a GRU with `reset_after` (2, 3 * H).
        reverse: Whether the last step comes first; y is in the order of the steps as they run.
        last_only: Whether y is the output of the last step alone, (H,).
        zero_output: Whether y is 0 where a step does not count, in place of the output before.
        reset_after: Whether the reset gate of a GRU multiplies the recurrent product.
    """

    reads: ClassVar[tuple[str, ...]] = ("x", "mask", "initial")
    writes: ClassVar[tuple[str, ...]] = ("y", "states")
    x: Value
    y: Value | None
    mask: Value | None
    states: list[Value]
    initial: list[Value] | None
    cell: str
    steps: int
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    activation: str
    recurrent_activation: str
    reverse: bool = False
    last_only: bool = False
    zero_output: bool = False
    reset_after: bool = False

    @property
    def units(self) -> int:
        """H."""
        return len(self.recurrent_kernel)

    @property
    def features(self) -> int:
        """F."""
        return len(self.kernel)

    @property
    def keeps(self) -> bool:
        """Whether the states continue from the last step of a stream."""
        return self.states[0].role == "state"


@dataclass(eq=False)
class Activation(Operation):
    """y = f(x), number by number; `arguments` are the further arguments of f."""

    in_place: ClassVar[bool] = True
    x: Value
    y: Value
    name: str
    arguments: tuple[float, ...] = ()


@dataclass(eq=False)
class RowActivation(Operation):
    """y[r] = f(x[r]) for each row of `width` numbers: one of `ROW_ACTIVATIONS`; "glu" halves the row."""

    x: Value
    y: Value
    name: str
    width: int


@dataclass(eq=False)
class Affine(Operation):
    """y = (x - centre) * factor + offset; each is a vector that repeats along x, or None."""

    in_place: ClassVar[bool] = True
    x: Value
    y: Value
    centre: Array | None
    factor: Array | None
    offset: Array | None


@dataclass(eq=False)
class Slope(Operation):
    """y = x where x > 0, else slopes * x; the slopes repeat along x."""

    in_place: ClassVar[bool] = True
    x: Value
    y: Value
    slopes: Array


@dataclass(eq=False)
class Normalize(Operation):
    """Each row of `width` numbers divided by its length.

    Args:
        kind: "variance": (x - mean) / sqrt(variance + epsilon); "rms": x / sqrt(mean of x^2 + epsilon); "centred rms":
            x / sqrt(variance + epsilon); "norm": x / max(sqrt(sum of x^2), epsilon).
    """

    in_place: ClassVar[bool] = True
    x: Value
    y: Value
    width: int
    kind: str
    epsilon: float


@dataclass(eq=False)
class Combine(Operation):
    """y = x op other, number by number: "add", "subtract", "multiply", "maximum" or "minimum"."""

    reads: ClassVar[tuple[str, ...]] = ("x", "other")
    in_place: ClassVar[bool] = True
    x: Value
    other: Value
    y: Value
    kind: str


@dataclass(eq=False)
class Move(Operation):
    """Copy numbers from place to place: y[to + sum i_k to_strides_k] = x[start + sum i_k strides_k], i_k < shape_k."""

    x: Value
    y: Value
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    to_strides: tuple[int, ...]
    start: int = 0
    to: int = 0


@dataclass(eq=False)
class Fill(Operation):
    """y = number, all of it."""

    reads: ClassVar[tuple[str, ...]] = ()
    y: Value
    number: float


@dataclass(eq=False)
class Select(Operation):
    """y[t] = x[t] where the mask (T,) counts step t, else other[t], or `number` if other is None; rows of `width`."""

    reads: ClassVar[tuple[str, ...]] = ("x", "mask", "other")
    in_place: ClassVar[bool] = True
    x: Value
    mask: Value
    other: Value | None
    y: Value
    width: int
    number: float = 0.0


@dataclass(eq=False)
class MakeMask(Operation):
    """y[t] = 1 if any of the `width` numbers (or ids) of x[t] differs from `number`, else 0."""

    x: Value
    y: Value
    width: int
    number: float


@dataclass(eq=False)
class JoinMasks(Operation):
    """y[t] = 1 if one of the masks counts step t, else 0."""

    reads: ClassVar[tuple[str, ...]] = ("masks",)
    masks: list[Value]
    y: Value


@dataclass(eq=False)
class Pool(Operation):
    """Largest value or mean of windows over the steps of x (T, C); a window ends at the ends of x."""

    x: Value
    y: Value
    steps: int
    channels: int
    kind: str
    size: int
    stride: int
    before: int


@dataclass(eq=False)
class PoolAll(Operation):
    """Largest value or mean over all steps of x (T, C), or the mean over those that the mask counts."""

    reads: ClassVar[tuple[str, ...]] = ("x", "mask")
    x: Value
    mask: Value | None
    y: Value
    channels: int
    kind: str


@dataclass(eq=False)
class Lookup(Operation):
    """y[i] = table[x[i]] for ids x; an id that is out of range counts as 0."""

    x: Value
    y: Value
    table: Array


@dataclass(eq=False)
class Window(Operation):
    """y = the last inputs that `past` holds, then x; `past` moves on by x."""

    reads: ClassVar[tuple[str, ...]] = ("x", "past")
    writes: ClassVar[tuple[str, ...]] = ("y", "past")
    x: Value
    past: Value
    y: Value


@dataclass(eq=False)
class LoopBegin(Operation):
    """Run what follows, up to the `LoopEnd` of the same `loop`, `count` times with the next part of x as `part`."""

    writes: ClassVar[tuple[str, ...]] = ("part",)
    x: Value
    part: Value
    count: int
    loop: int


@dataclass(eq=False)
class LoopEnd(Operation):
    """Store `part` as the next part of y; x of the `LoopBegin` is read up to here."""

    reads: ClassVar[tuple[str, ...]] = ("part", "x")
    part: Value
    x: Value
    y: Value
    count: int
    loop: int


@dataclass(eq=False)
class Copy(Operation):
    """y = x."""

    x: Value
    y: Value


@dataclass
class Program:
    """A model for one sample, as a list of operations.

    Args:
        stream: Whether it runs one time step at a time.
        inputs: What it reads, in the order of the model's inputs.
        outputs: What it writes.
        operations: In the order in which they run.
        steady_inputs: Those of the inputs that have no time axis in a stream.
        steady_outputs: Those of the outputs that have no time axis in a stream: they are those of the sequence so far.
    """

    stream: bool
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    steady_inputs: list[Value] = field(default_factory=list)
    steady_outputs: list[Value] = field(default_factory=list)
    # Sizes of the memory, in numbers or flags; `memory.place` sets them.
    state_size: int = 0
    work_size: int = 0
    mask_size: int = 0

    def multiply_adds(self) -> int:
        """Return the multiplications by weights of matrices in one call: a time step of a stream, or a sequence."""
        return sum(count * _multiply_adds(each) for each, count in self._counted())

    def activations(self) -> int:
        """Return how many numbers go through an activation function in one call."""
        return sum(count * _activations(each) for each, count in self._counted())

    def _counted(self) -> list[tuple[Operation, int]]:
        """Each operation with how often it runs."""
        counts, count = [], 1
        for each in self.operations:
            if isinstance(each, LoopEnd):
                count //= each.count
            counts.append((each, count))
            if isinstance(each, LoopBegin):
                count *= each.count
        return counts


def _multiply_adds(operation: Operation) -> int:
    if isinstance(operation, Matrix):
        return operation.rows * int(operation.kernel.size)
    if isinstance(operation, Convolution):
        return int(operation.y.size // operation.kernel.shape[2] * int(operation.kernel.size))
    if isinstance(operation, Recurrence):
        return operation.steps * (int(operation.kernel.size) + int(operation.recurrent_kernel.size))
    return 0


def _activations(operation: Operation) -> int:
    if isinstance(operation, Activation | RowActivation):
        return operation.x.size
    if isinstance(operation, Recurrence):
        # All gates, and the new cell state of an LSTM once more.
        return operation.steps * (int(operation.kernel.shape[1]) + (operation.units if operation.cell == "lstm" else 0))
    return 0


def vector_of(array: Any, shape: tuple[int, ...]) -> Array:
    """Return the shortest vector that, repeated, has the numbers of an array broadcast to a shape.

    Args:
        array: Array that broadcasts with the shape.
        shape: The shape of one sample.

    Returns:
        Vector of at least one number.
    """
    wide = np.broadcast_to(array, shape)
    while wide.ndim and (len(wide) == 1 or (wide == wide[:1]).all()):
        wide = wide[0]
    return np.ascontiguousarray(wide).reshape(-1)
