"""The operations of a program as C in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.export import c_activations, c_cells, c_panels, c_text, c_vectors
from pyrnn.export.c_lines import Lines, moved, term
from pyrnn.export.c_text import floats, number
from pyrnn.export.program import (
    Activation,
    Affine,
    Combine,
    Convolution,
    Lookup,
    Matrix,
    Move,
    Normalize,
    Pool,
    PoolAll,
    Program,
    Recurrence,
    RowActivation,
    Select,
    Slope,
    Value,
)

Array = NDArray[Any]
# Weights of more bytes do not stay in the L1 cache next to the rest of a step: 32 KiB on most processors.
L1_BYTES = 28 * 1024
_COMBINED = {
    "add": "{x} + {other}",
    "subtract": "{x} - {other}",
    "multiply": "{x} * {other}",
    "maximum": "{x} > {other} || {x} != {x} ? {x} : {other}",
    "minimum": "{x} < {other} || {x} != {x} ? {x} : {other}",
}


class Writer(Lines):
    """Writes the operations of a program in float32.

    Args:
        program: The program, without scratch values and places.

    Attributes:
        weight_count: Number of stored weights.
        needs_math: Whether a function calls <math.h>.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.weight_count = 0
        self.needs_math = False

    @staticmethod
    def add_scratch(program: Program) -> None:
        """Give operations the scratch values that their C needs."""
        for each in program.operations:
            if isinstance(each, Recurrence) and _has_blocks(each):
                each.scratch.append(Value(each.units))
                if _has_turns(each) and each.steps == 1:
                    each.scratch.append(Value(1, role="state"))
            elif isinstance(each, Recurrence):
                gates = each.kernel.shape[1]
                each.scratch.append(Value(gates))
                if each.cell == "gru":
                    each.scratch.append(Value(gates if each.reset_after else each.units))

    def constant(self, number: float, value: Value) -> str:
        return c_text.number(number)

    def weights(self, array: Array) -> str:
        """Return the name of a constant array of weights; equal ones are stored once."""
        array = np.ascontiguousarray(array, np.float32).reshape(-1)
        key = array.tobytes()
        if key not in self._names:
            self._names[key] = name = f"w{len(self._names)}"
            self.constants.append(floats(f"static const float {name}[{array.size}] ALIGNED", array))
            self.weight_count += array.size
        return self._names[key]

    def use(self, name: str) -> str:
        """Define a function at its first use; returns its name."""
        if name not in self.functions:
            if name in c_activations.ROWS:
                text, called = c_activations.ROWS[name]
                for each in called:
                    self.use(each)
                self.functions[name] = text
            elif name in c_activations.NAMES:
                self.functions[name] = c_activations.function(name)
            else:
                self.vectors("wide" if name == "dot" else None)
                self.functions[name] = c_panels.function(name)
            self.needs_math |= c_activations.needs_math(name)
        return name

    def vectors(self, lanes: str | None) -> None:
        """Define the types of vectors, and what functions on those of one type need."""
        self.functions.setdefault("types", c_vectors.INCLUDE + c_vectors.TYPES)
        if lanes is not None:
            self.functions.setdefault(f"{lanes} vectors", c_vectors.basics(lanes))

    def block(self, cell: str, width: int, is_some: bool) -> str:
        """Define the function of a block of units at its first use; returns its name."""
        name = f"{cell}{width}" + ("_some" if is_some else "")
        if name not in self.functions:
            lanes = c_vectors.LANES[width]
            self.vectors(lanes)
            for each in ("sigmoid", "tanh"):
                self.functions.setdefault(f"{each} {lanes}", c_vectors.activation(each, lanes))
            self.functions[name] = c_cells.function(name)
        return name

    def activate(self, name: str, y: str, count: int, arguments: tuple[float, ...] = ()) -> None:
        """Apply an activation in place."""
        if name == "linear":
            return
        if name in c_activations.ROWS:
            row = f"row{self._depth}"
            self.line("{")
            self.line(f"float {row}[{count}];")
            self.line(f"memcpy({row}, {y}, sizeof {row});")
            self.line(f"apply_{self.use(name)}({row}, {y}, {count});")
            self.line("}")
            return
        self.line(f"apply_{self.use(name)}({', '.join([y, str(count), *map(number, arguments)])});")

    def product(self, kind: str, kernel: Array, bias: Array | None, x: str, y: str) -> None:
        """y = bias + x kernel ("set"), or y += x kernel ("add"), by panels."""
        rows, outputs = kernel.shape
        if kind == "set" and bias is None:
            bias = np.zeros(outputs, np.float32)
        name = self.weights(c_panels.packed(kernel, bias))
        panel_rows, place, done, widths = rows + (kind == "set"), 0, 0, c_panels.panels_of(outputs)
        while widths:
            width = widths[0]
            count = sum(each == width for each in widths) if outputs - done >= width else 1
            if outputs - done < width:
                self.use(f"{kind}_some")
                self.line(f"{kind}_some({moved(name, place)}, {x}, {rows}, {moved(y, done)}, {outputs - done});")
            elif count > 2:
                self.loop("p", count)
                step = f"p * {width * panel_rows}"
                self.line(
                    f"{self.use(f'{kind}{width}')}({moved(name, place)} + {step}, {x}, {rows}, "
                    f"{moved(y, done)} + p * {width});"
                )
                self.line("}")
            else:
                count = 1
                self.line(f"{self.use(f'{kind}{width}')}({moved(name, place)}, {x}, {rows}, {moved(y, done)});")
            place += count * width * panel_rows
            done += count * width
            del widths[:count]

    # Operations.

    def _matrix(self, each: Matrix) -> None:
        x, y = self.at(each.x), self.at(each.y)
        inputs, outputs = each.kernel.shape
        if each.rows > 1:
            self.loop("r", each.rows)
            x, y = f"{x} + r * {inputs}", f"{y} + r * {outputs}"
        if outputs < c_panels.FEWEST_IN_PANELS:
            name = self.weights(each.kernel.T)
            bias = None if each.bias is None else each.bias.astype(np.float32)
            self.use("dot")
            for output in range(outputs):
                offset = "" if bias is None or not bias[output] else f" + {number(bias[output])}"
                self.line(f"*({moved(y, output)}) = dot({moved(name, output * inputs)}, {x}, {inputs}){offset};")
        else:
            self.product("set", each.kernel, each.bias, x, y)
        if each.rows > 1:
            self.line("}")

    def _convolution(self, each: Convolution) -> None:
        size, inputs, outputs = each.kernel.shape
        channels = inputs * each.groups
        steps = each.y.size // outputs
        x, y = self.at(each.x), self.at(each.y)
        self.loop("t", steps)
        x, y = f"{x} + t * {each.stride * channels}", f"{y} + t * {outputs}"
        if each.groups == 1 and (each.dilation == 1 or size == 1):  # a window is one vector
            self.product("set", each.kernel.reshape(size * inputs, outputs), each.bias, x, y)
        else:
            part = outputs // each.groups
            for group in range(each.groups):
                columns = slice(group * part, (group + 1) * part)
                for tap in range(size):
                    kernel = np.ascontiguousarray(each.kernel[tap, :, columns])
                    bias = None if tap or each.bias is None else each.bias[columns]
                    place = moved(x, tap * each.dilation * channels + group * inputs)
                    self.product("add" if tap else "set", kernel, bias, place, moved(y, group * part))
        self.line("}")

    def _recurrence(self, each: Recurrence) -> None:
        units = each.units
        h = self.at(each.states[0])
        if not each.keeps:
            for place, state in enumerate(each.states):
                if each.initial is None:
                    self.zero(self.at(state), units)
                else:
                    self.copy(self.at(state), self.at(each.initial[place]), units)
        t, x = "0", self.at(each.x)
        self.line("{" if each.steps == 1 else f"for (int t = 0; t < {each.steps}; ++t) {{")
        if each.steps > 1:
            t = f"({each.steps - 1} - t)" if each.reverse else "t"
            x = f"{x} + {t} * {each.features}"
        if each.mask is not None:
            self.line(f"if ({self.at(each.mask)}[{t}]) {{")
        if _has_blocks(each):
            self._blocks(each, x, h)
        else:
            getattr(self, f"_{each.cell}")(each, x, h)
        if each.mask is not None:
            self.line("}")
        if each.y is not None:
            y = self.at(each.y) + ("" if each.last_only or each.steps == 1 else f" + t * {units}")
            if each.zero_output and each.mask is not None:
                self.line(f"if (!{self.at(each.mask)}[{t}]) {{")
                self.zero(y, units)
                self.line("}")
                self.line(f"if ({self.at(each.mask)}[{t}]) {{")
                self.copy(y, h, units)
                self.line("}")
            else:
                self.copy(y, h, units)
        self.line("}")

    def _blocks(self, each: Recurrence, x: str, h: str) -> None:
        """A step of an LSTM or GRU, block by block; all read h, so that several blocks write to scratch memory."""
        units, groups = each.units, c_cells.groups_of(each.units)
        gates = each.kernel.shape[1] // units
        bias = c_cells.joined_bias(each.cell, each.bias, units)
        kernels = [array.reshape(-1, gates, units) for array in (each.kernel, each.recurrent_kernel)]
        weights = self.weights(c_cells.packed(bias, *kernels))
        y = h if len(groups) == 1 and groups[0].blocks == 1 else self.at(each.scratch[0])
        turn = self._turn(each)
        for backwards in (True, False) if turn else (False,):
            if turn:
                self.line(f"if ({turn}) {{" if backwards else "} else {")
            place = done = 0
            for group in groups:
                function = self.block(each.cell, group.width, group.is_partial)
                size = group.width * (len(bias) + gates * (each.features + units))
                w, cell, to = moved(weights, place), self.at(each.states[-1]), y
                cell, to = moved(cell, done), moved(to, done)
                if group.blocks > 1:
                    self.loop("b", group.blocks)
                    index = f"({group.blocks - 1} - b)" if backwards else "b"
                    w, cell, to = (
                        f"{pointer} + {index} * {step}"
                        for pointer, step in ((w, size), (cell, group.width), (to, group.width))
                    )
                some = f", {units - done}" if group.is_partial else ""
                way = f"{int(backwards)}, " if each.cell == "lstm" else ""
                self.line(f"{function}({w}, {x}, {each.features}, {h}, {units}, {way}{cell}, {to}{some});")
                if group.blocks > 1:
                    self.line("}")
                place += group.blocks * size
                done += group.blocks * group.width
        if turn:
            self.line("}")
        self.copy(h, y, units)

    def _turn(self, each: Recurrence) -> str:
        """The C of whether a step goes through the blocks backwards; empty where none does."""
        if not _has_turns(each):
            return ""
        if each.steps > 1:
            return "t % 2"
        flag = self.at(each.scratch[1])
        self.line(f"const int turn = *{flag} > 0.0f;")
        self.line(f"*{flag} = turn ? 0.0f : 1.0f;")
        return "turn"

    def _simple_rnn(self, each: Recurrence, x: str, h: str) -> None:
        z = self.at(each.scratch[0])
        self.product("set", each.kernel, each.bias, x, z)
        self.product("add", each.recurrent_kernel, None, h, z)
        self.activate(each.activation, z, each.units)
        self.copy(h, z, each.units)

    def _lstm(self, each: Recurrence, x: str, h: str) -> None:
        units, z, c = each.units, self.at(each.scratch[0]), self.at(each.states[1])

        def ordered(array: Array | None) -> Array | None:
            """Gates i, f, c, o as i, f, o, c, so that those with one activation are together."""
            if array is None:
                return None
            i, f, candidate, o = np.split(array, 4, axis=-1)
            return np.concatenate([i, f, o, candidate], axis=-1)

        kernel, recurrent_kernel = ordered(each.kernel), ordered(each.recurrent_kernel)
        assert kernel is not None
        assert recurrent_kernel is not None
        self.product("set", kernel, ordered(each.bias), x, z)
        self.product("add", recurrent_kernel, None, h, z)
        f, o, candidate = (moved(z, place * units) for place in (1, 2, 3))
        if each.recurrent_activation in c_activations.ROWS:
            for gate in (z, f, o):
                self.activate(each.recurrent_activation, gate, units)
        else:
            self.activate(each.recurrent_activation, z, 3 * units)
        self.activate(each.activation, candidate, units)
        self.each_number(units, f"{c}[i] = ({f})[i] * {c}[i] + ({z})[i] * ({candidate})[i];")
        self.copy(h, c, units)
        self.activate(each.activation, h, units)
        self.each_number(units, f"{h}[i] *= ({o})[i];")

    def _gru(self, each: Recurrence, x: str, h: str) -> None:
        units, z, second = each.units, self.at(each.scratch[0]), self.at(each.scratch[1])
        r, candidate = moved(z, units), moved(z, 2 * units)
        bias = each.bias
        if each.reset_after:
            biases = (None, None) if bias is None else (bias[0], bias[1])
            self.product("set", each.kernel, biases[0], x, z)
            self.product("set", each.recurrent_kernel, biases[1], h, second)
            self.each_number(2 * units, f"({z})[i] += ({second})[i];")
        else:
            gates = np.ascontiguousarray(each.recurrent_kernel[:, : 2 * units])
            self.product("set", each.kernel, bias, x, z)
            self.product("add", gates, None, h, z)
        if each.recurrent_activation in c_activations.ROWS:
            for gate in (z, r):
                self.activate(each.recurrent_activation, gate, units)
        else:
            self.activate(each.recurrent_activation, z, 2 * units)
        if each.reset_after:
            self.each_number(units, f"({candidate})[i] += ({r})[i] * ({moved(second, 2 * units)})[i];")
        else:
            self.each_number(units, f"({second})[i] = ({r})[i] * {h}[i];")
            self.product("add", np.ascontiguousarray(each.recurrent_kernel[:, 2 * units :]), None, second, candidate)
        self.activate(each.activation, candidate, units)
        self.each_number(units, f"{h}[i] = ({z})[i] * {h}[i] + (1.0f - ({z})[i]) * ({candidate})[i];")

    def _activation(self, each: Activation) -> None:
        self.copy(self.at(each.y), self.at(each.x), each.x.size)
        self.activate(each.name, self.at(each.y), each.x.size, each.arguments)

    def _rowactivation(self, each: RowActivation) -> None:
        rows = each.x.size // each.width
        x, y, width = self.at(each.x), self.at(each.y), each.y.size // rows
        self.use(each.name)
        if rows == 1:
            self.line(f"apply_{each.name}({x}, {y}, {each.width});")
            return
        self.loop("r", rows)
        self.line(f"apply_{each.name}({x} + r * {each.width}, {y} + r * {width}, {each.width});")
        self.line("}")

    def _turns(self, vector: Array, period: int) -> str:
        """The C of element i of a vector that repeats: a constant, or an element of an array."""
        if len(vector) == 1:
            return number(vector[0])
        return f"{self.weights(np.resize(vector, period))}[i]"

    def _affine(self, each: Affine) -> None:
        vectors = [each.centre, each.factor, each.offset]
        period = max((len(vector) for vector in vectors if vector is not None), default=1)
        period = each.x.size if period == 1 else period
        value = f"({self.at(each.x)})[{{}}i]"
        for vector, text in zip(vectors, ("({} - {})", "{} * {}", "{} + {}"), strict=True):
            if vector is not None:
                value = text.format(value.replace("{}", "{{}}"), self._turns(vector, period)).replace("{{}}", "{}")
        self._by_periods(each.x.size, period, f"({self.at(each.y)})[{{}}i] = {value};")

    def _by_periods(self, size: int, period: int, text: str) -> None:
        """Run a statement for each number; {} in it becomes the start of the period."""
        if size == period:
            self.each_number(size, text.replace("{}", ""))
            return
        self.loop("r", size // period)
        self.each_number(period, text.replace("{}", f"r * {period} + "))
        self.line("}")

    def _slope(self, each: Slope) -> None:
        period = each.x.size if len(each.slopes) == 1 else len(each.slopes)
        x = f"({self.at(each.x)})[{{}}i]"
        slope = self._turns(each.slopes, period)
        self._by_periods(each.x.size, period, f"({self.at(each.y)})[{{}}i] = {x} > 0.0f ? {x} : {slope} * {x};")

    def _normalize(self, each: Normalize) -> None:
        width, rows = each.width, each.x.size // each.width
        self.needs_math = True
        self.loop("r", rows)
        self.line(f"const float *const row = {self.at(each.x)} + r * {width};")
        self.line(f"float *const to = {self.at(each.y)} + r * {width};")
        self.line("float mean = 0.0f, square = 0.0f;")
        if each.kind in ("variance", "centred rms"):
            self.each_number(width, "mean += row[i];")
            self.line(f"mean /= {width}.0f;")
        self.each_number(width, "square += (row[i] - mean) * (row[i] - mean);")
        if each.kind == "norm":
            smallest = number(each.epsilon)
            self.line("square = sqrtf(square);")
            self.line(f"square = 1.0f / (square > {smallest} ? square : {smallest});")
        else:
            self.line(f"square = 1.0f / sqrtf(square / {width}.0f + {number(each.epsilon)});")
        centred = "(row[i] - mean)" if each.kind == "variance" else "row[i]"
        self.each_number(width, f"to[i] = {centred} * square;")
        self.line("}")

    def _combine(self, each: Combine) -> None:
        x, other = f"({self.at(each.x)})[i]", f"({self.at(each.other)})[i]"
        text = _COMBINED[each.kind].format(x=x, other=other)
        self.each_number(each.y.size, f"({self.at(each.y)})[i] = {text};")

    def _move(self, each: Move) -> None:
        axes = [axis for axis in zip(each.shape, each.strides, each.to_strides, strict=True) if axis[0] > 1]
        x, y = moved(self.at(each.x), each.start), moved(self.at(each.y), each.to)
        run = 1
        while axes and axes[-1][1] == axes[-1][2] == run:  # whole rows at once
            run *= axes.pop()[0]
        for place, (count, stride, to_stride) in enumerate(axes):
            self.loop(f"i{place}", count)
            x += term(f"i{place}", stride)
            y += term(f"i{place}", to_stride)
        if run > 1:
            self.copy(y, x, run)
        else:
            self.line(f"*({y}) = *({x});")
        for _ in axes:
            self.line("}")

    def _select(self, each: Select) -> None:
        self.loop("r", each.mask.size)
        place = f"r * {each.width} + i"
        other = number(each.number) if each.other is None else f"({self.at(each.other)})[{place}]"
        chosen = f"({self.at(each.mask)})[r] ? ({self.at(each.x)})[{place}] : {other}"
        self.each_number(each.width, f"({self.at(each.y)})[{place}] = {chosen};")
        self.line("}")

    def _pool(self, each: Pool) -> None:
        channels = each.channels
        self.pool_window(each)
        y = f"({self.at(each.y)} + t * {channels})[i]"
        self.each_number(channels, f"{y} = ({self.at(each.x)})[first * {channels} + i];")
        self.line("for (int k = first + 1; k < end; ++k) {")
        self._pooled(each.kind, channels, f"({self.at(each.x)})[k * {channels} + i]", y)
        self.line("}")
        if each.kind == "average":
            self.each_number(channels, f"{y} /= (float)(end - first);")
        self.line("}")

    def _pooled(self, kind: str, channels: int, x: str, y: str) -> None:
        """Take one more step into a pool."""
        if kind == "average":
            self.each_number(channels, f"{y} += {x};")
        else:
            self.each_number(channels, f"{y} = {x} > {y} || {x} != {x} ? {x} : {y};")

    def _poolall(self, each: PoolAll) -> None:
        channels, y = each.channels, f"({self.at(each.y)})[i]"
        steps = each.x.size // channels
        x = f"({self.at(each.x)})[t * {channels} + i]"
        if each.kind == "max":
            self.copy(self.at(each.y), self.at(each.x), channels)
            self.loop("t", steps)
            self._pooled("max", channels, x, y)
            self.line("}")
            return
        self.line("{")
        self.line("float count = 0.0f;")
        self.each_number(channels, f"{y} = 0.0f;")
        self.loop("t", steps)
        if each.mask is not None:
            self.line(f"if (!({self.at(each.mask)})[t]) {{")
            self.line("continue;")
            self.line("}")
        self.line("count += 1.0f;")
        self._pooled("average", channels, x, y)
        self.line("}")
        self.each_number(channels, f"{y} /= count;")
        self.line("}")

    def _lookup(self, each: Lookup) -> None:
        count, width = each.table.shape
        name = self.weights(each.table)
        self.loop("r", each.x.size)
        self.line(
            f"const int id = {self.at(each.x)}[r] < 0 || {self.at(each.x)}[r] >= {count} ? 0 : {self.at(each.x)}[r];"
        )
        self.copy(f"{self.at(each.y)} + r * {width}", f"{name} + id * {width}", width)
        self.line("}")


def _has_blocks(each: Recurrence) -> bool:
    """Whether a recurrent layer is computed by blocks of units: those with the activations that vectors have."""
    is_usual = each.activation == "tanh" and each.recurrent_activation == "sigmoid"
    return is_usual and (each.cell == "lstm" or (each.cell == "gru" and each.reset_after))


def _has_turns(each: Recurrence) -> bool:
    """Whether every other step goes through the blocks backwards: that of several blocks with many weights."""
    size = each.kernel.nbytes + each.recurrent_kernel.nbytes
    return size > L1_BYTES and (each.steps > 1 or each.keeps)
