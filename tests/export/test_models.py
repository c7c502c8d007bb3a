"""Exported models against predict: drawn by hypothesis, all compiled at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tolerance import assert_close

from export.compiled import COMPILERS, Exported, library, needs_compiler
from export.generated import chains, graphs, joined_masks
from pyrnn.export import to_c

pytestmark = needs_compiler

KINDS = {
    "streams": (chains, True),
    "sequences": (chains, False),
    "graph streams": (graphs, True),
    "graph sequences": (graphs, False),
}


def drawn(kind: str, count: int) -> list[tuple[Any, Any]]:
    """Return `count` models, always the same, with a sample each."""
    strategy, stream = KINDS[kind]
    examples: list[tuple[Any, Any]] = []

    @seed(20)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def collect(data: Any) -> None:
        examples.append(data.draw(strategy(stream)))

    collect()
    return examples


def predicted(model: Any, x: Any) -> list[Any]:
    """Return the outputs of the model for one sample."""
    y = model.predict(x[None], verbose=0)
    return [each[0] for each in (y if isinstance(y, list) else [y])]


def terms_of(model: Any) -> int:
    """Return a bound of the terms that are summed on the way to an output: the longest sum of each layer, by step."""
    return sum(max(weight.shape, default=1) for weight in model.weights) * 9


def check(folder: Path, kind: str, examples: list[tuple[Any, Any]], compiler: str, *flags: str) -> None:
    """Compile the models, run them and compare."""
    stream = KINDS[kind][1]
    for number, (model, _) in enumerate(examples):
        to_c(model, folder, name=f"m{number}", stream=stream)
    shared = library(folder, compiler, *flags)
    for number, (model, x) in enumerate(examples):
        exported = Exported(folder, f"m{number}", shared)
        expected = predicted(model, x)
        what = f"{[(type(layer).__name__, layer.get_config()) for layer in model.layers]}"
        if stream:
            exported.init()
            exported.run(x, sizes=[each.size for each in expected], steps=len(x))
            exported.reset()
            results = exported.run(x, sizes=[each.size for each in expected], steps=len(x))
        else:
            results = exported.run(x, sizes=[each.size for each in expected])
        for result, each in zip(results, expected, strict=True):
            assert_close(result.reshape(each.shape), each, terms_of(model), what)


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_models(kind: str, tmp_path: Path) -> None:
    check(tmp_path, kind, drawn(kind, 12), COMPILERS[0])


@pytest.mark.parametrize("kind", ["graph streams", "graph sequences"])
def test_joined_masks(kind: str, tmp_path: Path) -> None:
    check(tmp_path, kind, [joined_masks()], COMPILERS[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_many_models(kind: str, compiler: str, tmp_path: Path) -> None:
    check(tmp_path, kind, drawn(kind, 150), compiler)


def test_steps_equal_a_run(tmp_path: Path) -> None:
    """A stream step by step equals all steps at once, also with steps of another state in between."""
    examples = drawn("streams", 6)
    for number, (model, _) in enumerate(examples):
        to_c(model, tmp_path, name=f"m{number}")
    shared = library(tmp_path)
    for number, (_, x) in enumerate(examples):
        size = 4096
        first, second = (Exported(tmp_path, f"m{number}", shared) for _ in range(2))
        first.init()
        second.init()
        zeros = np.zeros_like(x[0])
        for row in x:
            (last,) = first.step(np.ascontiguousarray(row), sizes=[size])
            second.step(zeros, sizes=[size])
        first.reset()
        (again,) = first.run(x, sizes=[size], steps=len(x))
        written = ~np.isnan(again)
        count = int((~np.isnan(last)).sum())
        assert (again[written][-count:] == last[:count]).all()
