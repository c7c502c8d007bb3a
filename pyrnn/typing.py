"""Types of arguments that carry their rule: `units: Units` says it to readers, mypy and `pyrnn.arguments.checked`.

A type that one module alone needs is defined there; so are those of registries (`activations.ActivationLike`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, BinaryIO

from pyrnn import rules
from pyrnn.explaining import ModelNames

# Whole numbers.
Size = Annotated[int, rules.Whole(1)]  # of an axis of an array
Units = Size
Natural = Annotated[int, rules.Whole(0)]
Count = Annotated[int, rules.Whole(1, rules.LARGEST_COUNT)]  # of steps or epochs
Index = Annotated[int, rules.Whole(0, rules.LARGEST_COUNT)]
Seed = Annotated[int, rules.Whole(0, 2**128)]

# Numbers.
Finite = Annotated[float, rules.Number()]
NonNegative = Annotated[float, rules.Number(0)]
Positive = Annotated[float, rules.Number(0, open_ends="(")]
Rate = Annotated[float, rules.Number(0, 1)]
Decay = Annotated[float, rules.Number(0, 1, open_ends=")")]

# Flags, texts and choices.
Flag = Annotated[bool, rules.Flag()]
Boolean = Annotated[bool, rules.Boolean()]
Text = Annotated[str, rules.Text()]
Name = Annotated[str, rules.Text(empty=False)]
FilePath = Annotated[str | os.PathLike[str], rules.Path()]
FileToRead = Annotated[str | os.PathLike[str] | BinaryIO, rules.PathOrFile("read")]
FileToWrite = Annotated[str | os.PathLike[str] | BinaryIO, rules.PathOrFile("write")]
Verbose = Annotated[int, rules.OneOf(0, 1, 2, True, False)]
Verbosity = Annotated[int | str, rules.OneOf(0, 1, 2, "auto", True, False)]

# What only the function can check.
Anything = Annotated[Any, rules.Unchecked(allowed=rules.ANYTHING)]
ArrayLike = Annotated[Any, rules.Unchecked()]  # an array, a tensor, a list of numbers, a table
Inputs = Annotated[Any, rules.Unchecked(allowed=f"list none {rules.NUMBERS} true array")]
ShapeLike = Annotated[Sequence[int | None], rules.Unchecked()]
SizeLike = Annotated[int | Sequence[int], rules.Unchecked()]  # a size along time, also as a list of one

# Arrays, lists and objects.
Omitted = Annotated[None, rules.Omitted()]
Axis = Annotated[int, rules.Whole(-rules.MOST_AXES, rules.MOST_AXES)]
Axes = Annotated[int | Sequence[int] | None, rules.Axes()]
CustomObjects = Annotated[Mapping[str, Any], rules.Dict()]
DtypeLike = Annotated[Any, rules.Dtype()]
Numbers = Annotated[Any, rules.Numbers()]
Vector = Annotated[Sequence[float], rules.Vector()]
IS_MODEL = rules.InstanceOf(ModelNames, "a model")
