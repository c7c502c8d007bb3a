"""Calls of every operation: what is passed, and whether it has a gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(2, 3)).astype(np.float32)
Y = RANDOM.normal(size=(2, 3)).astype(np.float32)
CUBE = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
POSITIVE = RANDOM.uniform(0.2, 0.9, (2, 3)).astype(np.float32)
SQUARE = RANDOM.normal(size=(3, 3)).astype(np.float32)
WHOLE = np.array([[1, 4, 2], [0, 3, 5]], np.int32)
SHARES = (POSITIVE / POSITIVE.sum(-1, keepdims=True)).astype(np.float32)


class Case(NamedTuple):
    """One call.

    Args:
        name: name of the operation.
        args: its arguments; float arrays are differentiated.
        kwargs: its keyword arguments.
        has_gradient: whether the results are compared with finite differences.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = {}  # noqa: RUF012  # never changed
    has_gradient: bool = True


_SMOOTH = (
    "exp expm1 exp2 sin cos tan sinh cosh arctan arcsinh deg2rad rad2deg sinc square negative abs relu relu6 tanh "
    "sigmoid selu softplus softsign hard_sigmoid hard_tanh sparse_sigmoid squareplus sparse_plus silu swish hard_silu "
    "hard_swish tanh_shrink mish log_sigmoid absolute erf leaky_relu elu celu gelu hard_shrink soft_shrink softmax "
    "log_softmax sparsemax"
)
_POSITIVE = "log log1p log2 log10 sqrt rsqrt reciprocal cbrt arcsin arccos arctanh"
_STEPS = "sign floor ceil trunc round isnan isfinite isinf logical_not"
_BINARY = "add subtract multiply maximum minimum divide true_divide arctan2 logaddexp"
_COMPARED = "equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor isclose"
_REDUCED = "sum prod mean var std max min amax amin logsumexp norm"

CASES = [
    *(Case(name, (X,)) for name in _SMOOTH.split() if name not in ("mish", "log_sigmoid")),
    *(Case(name, (X,)) for name in ("mish", "log_sigmoid")),
    *(Case(name, (POSITIVE,)) for name in _POSITIVE.split()),
    Case("arccosh", (POSITIVE + 1.5,)),
    *(Case(name, (X,), has_gradient=False) for name in _STEPS.split()),
    *(Case(name, (X, Y)) for name in _BINARY.split()),
    *(Case(name, (X, Y[0])) for name in ("add", "subtract", "multiply", "divide", "maximum")),
    *(Case(name, (X, Y), has_gradient=False) for name in _COMPARED.split()),
    *(Case(name, (X, 2.0)) for name in ("add", "multiply", "divide", "maximum", "subtract")),
    *(Case(name, (WHOLE, WHOLE + 1), has_gradient=False) for name in ("add", "divide", "floor_divide", "mod")),
    Case("power", (POSITIVE, Y)), Case("power", (X, 2)), Case("mod", (X, POSITIVE), has_gradient=False),
    Case("floor_divide", (X, POSITIVE), has_gradient=False), Case("divide_no_nan", (X, POSITIVE)),
    Case("divide_no_nan", (X, np.zeros_like(X)), has_gradient=False),
    *(Case(name, (CUBE,), {"axis": axis, "keepdims": keepdims})
      for name in _REDUCED.split() for axis, keepdims in ((-1, False), (1, True))),
    *(Case(name, (X,)) for name in _REDUCED.split()),
    *(Case(name, (CUBE,), {"axis": (0, 2)}) for name in ("sum", "mean", "max")),
    *(Case(name, (WHOLE,), has_gradient=False) for name in ("sum", "mean", "max", "prod", "all", "any")),
    *(Case(name, (X,), {"axis": 1}, False) for name in ("argmax", "argmin", "argsort", "all", "any")),
    Case("norm", (X,), {"ord": 1, "axis": 1}), Case("norm", (X,), {"ord": np.inf, "axis": 1}),
    Case("norm", (X,), {"ord": 3, "axis": 1}), Case("norm", (X,), {"ord": "fro", "axis": (0, 1)}),
    Case("norm", (X,), {"ord": -np.inf, "axis": 1}), Case("normalize", (X,)), Case("normalize", (X,), {"axis": 0}),
    Case("cumsum", (X,), {"axis": 1}), Case("cumprod", (X,), {"axis": 1}), Case("cumsum", (X,)), Case("cumprod", (X,)),
    Case("sort", (X,)), Case("sort", (CUBE,), {"axis": 1}), Case("sort", (X[0],)), Case("top_k", (X, 2)),
    Case("diff", (X,)), Case("diff", (CUBE,), {"n": 2, "axis": 1}), Case("moments", (X, 0)),
    Case("clip", (X, -0.5, 0.5)), Case("where", (X > 0, X, Y)), Case("where", (X > 0, X, 0.0)),
    Case("reshape", (X, (3, -1))), Case("transpose", (CUBE,)), Case("transpose", (CUBE, (0, 2, 1))),
    Case("swapaxes", (CUBE, 0, 2)), Case("moveaxis", (CUBE, 0, -1)), Case("expand_dims", (X, 1)),
    Case("expand_dims", (X, (0, -1))), Case("squeeze", (X[:, :1], 1)), Case("ravel", (X,)),
    Case("broadcast_to", (X, (4, 2, 3))), Case("concatenate", ([X, Y],), {"axis": 1}), Case("stack", ([X, Y],)),
    Case("concatenate", ([WHOLE, WHOLE],), has_gradient=False), Case("stack", ([X, WHOLE],)),
    Case("stack", ([X, Y],), {"axis": -1}), Case("hstack", ([X, Y],)), Case("vstack", ([X, Y],)),
    Case("vstack", ([X[0], Y[0]],)), Case("split", (CUBE, 3), {"axis": 1}), Case("split", (CUBE, [1, 3], 2)),
    Case("unstack", (X,)), Case("unstack", (CUBE,), {"axis": 1}), Case("repeat", (X, 2)),
    Case("repeat", (X, 2), {"axis": 1}), Case("tile", (X, (2, 1))), Case("roll", (X, 1)),
    Case("roll", (X, 1), {"axis": 1}), Case("flip", (X,)), Case("flip", (X,), {"axis": 1}),
    Case("pad", (X, ((1, 0), (0, 2)))), Case("pad", (X, ((1, 1), (1, 1))), {"mode": "reflect"}),
    Case("pad", (X, ((1, 1), (1, 1))), {"mode": "symmetric"}),
    Case("pad", (X, ((1, 0), (0, 2))), {"constant_values": 3}),
    Case("take", (X, [2, 0], 1)), Case("take", (X, WHOLE)), Case("take", (CUBE, WHOLE % 3, 1)),
    Case("take_along_axis", (X, WHOLE % 3, 1)), Case("take_along_axis", (X, WHOLE)),
    Case("get_item", (CUBE, (slice(None), -1))), Case("slice", (X, (0, 1), (2, 2))),
    Case("slice_update", (X, (0, 1), Y[:, :2])), Case("cast", (X, "int32"), has_gradient=False),
    Case("cast", (WHOLE, "float32"), has_gradient=False), Case("convert_to_tensor", ([1.5, 2],), has_gradient=False),
    Case("convert_to_numpy", (WHOLE,), has_gradient=False),
    Case("array", ([1, 2],), has_gradient=False), Case("stop_gradient", (X,), has_gradient=False),
    Case("zeros_like", (X,), has_gradient=False), Case("ones_like", (WHOLE,), has_gradient=False),
    Case("full_like", (X, 2), has_gradient=False), Case("zeros", ((2, 3),), has_gradient=False),
    Case("ones", ((2, 3),), has_gradient=False), Case("full", ((2, 3), 7.0), has_gradient=False),
    Case("eye", (3,), has_gradient=False), Case("eye", (3,), {"k": 1}, False),
    Case("eye", (3, 4), has_gradient=False),
    Case("arange", (4,), has_gradient=False),
    Case("arange", (0.0, 1.0, 0.25), has_gradient=False), Case("linspace", (0.0, 1.0), {"num": 5}, False),
    Case("linspace", (0.0, 1.0), {"num": 5, "endpoint": False}, False),
    Case("tril", (SQUARE,)), Case("triu", (SQUARE, 1)), Case("diagonal", (SQUARE,)),
    Case("shape", (X,), has_gradient=False), Case("ndim", (X,), has_gradient=False),
    Case("size", (X,), has_gradient=False), Case("matmul", (X, SQUARE)), Case("matmul", (CUBE, CUBE.swapaxes(1, 2))),
    Case("dot", (X, SQUARE)), Case("tensordot", (CUBE, CUBE), {"axes": [[1, 2], [1, 2]]}), Case("outer", (X[0], Y[0])),
    Case("inner", (X, Y)), Case("einsum", ("bij,kj->bik", CUBE, RANDOM.normal(size=(5, 4)).astype(np.float32))),
    Case("norm", (X, 1, 1)), Case("norm", (X, 0, 1)), Case("norm", (X, -np.inf, 0)), Case("norm", (X, 1)),
    Case("norm", (X, -np.inf)), Case("norm", (CUBE, "nuc", (1, 2))), Case("norm", (X, 2)), Case("norm", (X, -2)),
    Case("norm", (CUBE, np.inf, (0, 2)), {"keepdims": True}), Case("norm", (X, "fro", (0, 1))),
    Case("normalize", (X,), {"axis": None}), Case("normalize", (X,), {"axis": 0, "order": 3}),
    Case("max", (X,), {"axis": 1, "initial": 0.5}), Case("min", (X,), {"initial": 0.5}), Case("sort", (X, None)),
    Case("argsort", (X, None), has_gradient=False),
    Case("softmax", (CUBE, None)), Case("take_along_axis", (CUBE[:1], WHOLE[:, :1, None] % 3, 1)),
    Case("softmax", (CUBE,), {"axis": 1}), Case("log_softmax", (CUBE,), {"axis": 0}), Case("softmax", (CUBE, (1, 2))),
    Case("glu", (CUBE,)), Case("glu", (CUBE[:, :2],), {"axis": 1}), Case("leaky_relu", (X, 0.1)),
    Case("elu", (X, 0.5)), Case("celu", (X, 0.5)), Case("gelu", (X,), {"approximate": False}),
    Case("hard_shrink", (X, 0.3)), Case("soft_shrink", (X, 0.3)), Case("threshold", (X, 0.2, 0.5)),
    Case("one_hot", (WHOLE, 6), has_gradient=False), Case("one_hot", (WHOLE, 6), {"axis": 0}, False),
    Case("categorical_crossentropy", (SHARES, SHARES[::-1].copy())),
    Case("categorical_crossentropy", (SHARES, X), {"from_logits": True}),
    Case("sparse_categorical_crossentropy", (WHOLE[:, 2] % 3, SHARES)),
    Case("sparse_categorical_crossentropy", (WHOLE[:, 2] % 3, X), {"from_logits": True}),
    Case("binary_crossentropy", (SHARES, POSITIVE)), Case("binary_crossentropy", (SHARES, X), {"from_logits": True}),
]  # fmt: skip
IDS = [f"{number}-{case.name}" for number, case in enumerate(CASES)]
