"""Where the values of a program are: states, and buffers that share memory once nothing reads them any more."""

from __future__ import annotations

from pyrnn.export.program import Copy, LoopBegin, LoopEnd, Operation, Program, Value

# Buffers begin at multiples of this, so that vectors of two of them do not share a cache line.
ALIGNMENT = 16


def place(program: Program) -> None:
    """Set the offsets of all values and the sizes of the memory they need.

    States have memory of their own. Buffers of numbers and of masks are placed by first fit, in order of their size.
    An operation that works in place gets the memory of its input where nothing reads that later.

    Args:
        program: The program, complete; an output that is an input, a state or another output gets a copy.
    """
    _copy_outputs(program)
    shared = _share(program.operations)
    values = [value for each in program.operations for value in _touched(each)]
    for value in dict.fromkeys(values):
        if value.role == "state":
            value.offset = program.state_size
            program.state_size += value.size
    lives = _lives(program.operations, shared)
    for kind, alignment in (("number", ALIGNMENT), ("mask", 1)):
        used = _first_fit({value: life for value, life in lives.items() if value.kind == kind}, alignment)
        if kind == "number":
            program.work_size = used
        else:
            program.mask_size = used
    for value, root in shared.items():
        value.offset, value.role, value.name = root.offset, root.role, root.name


def _touched(operation: Operation) -> list[Value]:
    return [*operation.values(operation.reads), *operation.values(operation.writes), *operation.scratch]


def _copy_outputs(program: Program) -> None:
    """Give each output a value of its own that an operation writes."""
    for number, value in enumerate(program.outputs):
        name = f"y{number}" if len(program.outputs) > 1 else "y"
        if value.role == "buffer":
            value.role, value.name = "output", name
            continue
        output = Value(value.size, value.kind, "output", name)
        program.operations.append(Copy(value, output))
        program.steady_outputs = [output if each is value else each for each in program.steady_outputs]
        program.outputs[number] = output


def _share(operations: list[Operation]) -> dict[Value, Value]:
    """The values that are in the memory of another: which one."""
    last = {}
    for number, each in enumerate(operations):
        for value in each.values(each.reads):
            last[value] = number
    shared: dict[Value, Value] = {}
    for number, each in enumerate(operations):
        if not each.in_place:
            continue
        (x,), (y,) = each.values(("x",)), each.values(each.writes)
        root = shared.get(x, x)
        is_free = last[x] == number and root.role == "buffer" and x.size == y.size
        if is_free and sum(value is x for value in each.values(each.reads)) == 1:
            shared[y] = root
            if y.role == "output":
                root.role, root.name = "output", y.name
    return shared


def _lives(operations: list[Operation], shared: dict[Value, Value]) -> dict[Value, list[int]]:
    """The numbers of the first and the last operation that touches a buffer."""
    lives: dict[Value, list[int]] = {}
    for number, each in enumerate(operations):
        for value in _touched(each):
            root = shared.get(value, value)
            if root.role == "buffer":
                lives.setdefault(root, [number, number])[1] = number
    begins = {each.loop: number for number, each in enumerate(operations) if isinstance(each, LoopBegin)}
    for each in operations:
        if isinstance(each, LoopEnd) and each.y.role == "buffer":  # written from the first time round
            root = shared.get(each.y, each.y)
            lives[root][0] = min(lives[root][0], begins[each.loop])
    return lives


def _first_fit(lives: dict[Value, list[int]], alignment: int) -> int:
    placed: list[tuple[Value, list[int]]] = []
    used = 0
    for value, life in sorted(lives.items(), key=lambda each: -each[0].size):
        offset = 0
        for other, others in sorted(placed, key=lambda each: each[0].offset):
            if others[0] <= life[1] and life[0] <= others[1] and other.offset < offset + value.size:
                offset = max(offset, -(-(other.offset + other.size) // alignment) * alignment)
        value.offset = offset
        used = max(used, offset + value.size)
        placed.append((value, life))
    return used
