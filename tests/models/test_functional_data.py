"""Data of models with several inputs and outputs: every form and source gives the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import Input, Model, layers, utils
from pyrnn.data import Arrays, as_batches
from pyrnn.data.batches import make_batch
from pyrnn.data.signature import Ports, Signature

RNG = np.random.default_rng(3)
N = 10
SERIES = RNG.normal(size=(N, 4, 2)).astype(np.float32)
STATIC = RNG.normal(size=(N, 3)).astype(np.float32)
Y, Z = (RNG.normal(size=(N, 1)).astype(np.float32) for _ in range(2))
WEIGHT = np.linspace(0.5, 2, N, dtype=np.float32)


def model(inputs: str = "list", outputs: str = "one") -> Any:
    """A model of a series and static features, with inputs and outputs in these structures."""
    utils.set_random_seed(1)
    series, static = pyrnn.Input((4, 2), name="series"), pyrnn.Input((3,), name="static")
    joined = layers.Concatenate()([layers.SimpleRNN(2)(series), static])
    up, down = layers.Dense(1, name="up")(joined), layers.Dense(1, name="down")(joined)
    made = pyrnn.Model(
        {
            "list": [series, static],
            "tuple": (series, static),
            "dict": {"b_series": series, "a_static": static},
            "nested": [series, {"rest": static}],
            "dict of lists": {"all": [series, static]},
        }[inputs],
        {
            "one": up,
            "list": [up, down],
            "dict": {"p": up, "q": down},
            "nested": [up, {"q": down}],
            "in a dict": {"p": up},
        }[outputs],
    )
    made.compile("sgd", "mse")
    return made


def fitted(x: Any, y: Any = None, inputs: str = "list", **options: Any) -> list[Any]:
    made = model(inputs)
    made.fit(x, y, **{"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0, **options})
    weights: list[Any] = made.get_weights()
    return weights


def same(first: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


FORMS: dict[str, tuple[str, Any]] = {
    "list": ("list", [SERIES, STATIC]),
    "tuple": ("list", (SERIES, STATIC)),
    "names": ("list", {"static": STATIC, "series": SERIES}),
    "names and other keys": ("list", {"static": STATIC, "series": SERIES, "date": np.zeros(3)}),
    "nested lists of numbers": ("list", [SERIES.tolist(), STATIC.tolist()]),
    "float64": ("tuple", [SERIES.astype(float), STATIC.astype(float)]),
    "list for a tuple": ("tuple", [SERIES, STATIC]),
    "keys": ("dict", {"a_static": STATIC, "b_series": SERIES}),
    "keys and other keys": ("dict", {"a_static": STATIC, "aa": STATIC, "b_series": SERIES}),
    "names of a dict": ("dict", {"series": SERIES, "static": STATIC}),
    "structure": ("nested", [SERIES, {"rest": STATIC}]),
    "flat": ("nested", [SERIES, STATIC]),
    "dict of lists": ("dict of lists", {"all": [SERIES, STATIC]}),
}


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_inputs(form: str) -> None:
    inputs, x = FORMS[form]
    assert same(fitted(x, Y, inputs), fitted([SERIES, STATIC], Y))
    expected = model().predict([SERIES, STATIC], verbose=0)
    assert np.array_equal(model(inputs).predict(x, verbose=0), expected)
    assert np.array_equal(model(inputs).predict_on_batch(x), expected)
    assert np.array_equal(model(inputs)(x), expected)
    losses = [made.evaluate(data, Y, verbose=0) for made, data in ((model(inputs), x), (model(), [SERIES, STATIC]))]
    assert losses[0] == losses[1]
    assert model(inputs).train_on_batch(x, Y) == model(inputs).test_on_batch(x, Y) == losses[0]


def test_tables_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    static = pandas.DataFrame(STATIC, columns=["a", "b", "c"])
    assert same(fitted([SERIES, static], pandas.Series(Y[:, 0])), fitted([SERIES, STATIC], Y))


class Dataset(utils.PyDataset):
    """Batches of 4 samples, x as a dict."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        rows = slice(4 * index, 4 * index + 4)
        return {"series": SERIES[rows], "static": STATIC[rows]}, Y[rows], WEIGHT[rows]


class Loader:
    """Batches of 4 samples at every pass, in lists as a DataLoader collates them."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        for index in range(3):
            rows = slice(4 * index, 4 * index + 4)
            yield [[SERIES[rows], STATIC[rows]], Y[rows], WEIGHT[rows]]


def generator() -> Iterator[Any]:
    while True:
        yield from Loader()


SOURCES: dict[str, Callable[[], dict[str, Any]]] = {
    "dataset": lambda: {"x": Dataset()},
    "dataset with workers": lambda: {"x": Dataset(workers=2)},
    "loader": lambda: {"x": Loader()},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 3},
    "steps_per_epoch": lambda: {"x": [SERIES, STATIC], "y": Y, "sample_weight": WEIGHT, "steps_per_epoch": 3},
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(source: str) -> None:
    expected = fitted([SERIES, STATIC], Y, sample_weight=WEIGHT)
    assert same(fitted(**SOURCES[source]()), expected)


def test_torch_loader() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(SERIES), torch.tensor(STATIC), torch.tensor(Y))
    collate = torch.utils.data.default_collate
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=4,
        collate_fn=lambda rows: ([*collate([row[:2] for row in rows])], collate([r[2] for r in rows])),
    )
    assert same(fitted(loader), fitted([SERIES, STATIC], Y))


def test_predict_reads_batches_of_inputs_alone() -> None:
    expected = model().predict([SERIES, STATIC], verbose=0)
    batches = [slice(0, 4), slice(4, N)]
    for form in (
        lambda rows: {"series": SERIES[rows], "static": STATIC[rows]},
        lambda rows: ([SERIES[rows], STATIC[rows]],),
        lambda rows: ((SERIES[rows], STATIC[rows]), Y[rows]),
    ):
        assert np.allclose(model().predict(iter([form(rows) for rows in batches]), verbose=0), expected, atol=1e-6)


def test_shuffling_keeps_rows_together() -> None:
    utils.set_random_seed(5)
    signature = model().signature()
    numbers = np.arange(N, dtype=np.float32)[:, None]
    x = [np.tile(numbers[:, :, None], (1, 4, 2)), np.tile(numbers, (1, 3))]
    batches = as_batches(x, numbers, numbers[:, 0], dtype="float32", batch_size=4, shuffle=True, signature=signature)
    orders = []
    for _ in range(2):
        order: list[float] = []
        for batch in batches.epoch():
            assert type(batch.x) is Arrays
            rows = batch.y[:, 0].tolist()
            assert batch.samples == len(rows)
            assert [array[:, 0].ravel()[:: array[:, 0].size // len(rows)].tolist() for array in batch.x] == [rows] * 2
            assert batch.sample_weight.tolist() == rows
            order += rows
        batches.epoch_ended()
        assert sorted(order) == numbers[:, 0].tolist()
        orders.append(order)
    assert orders[0] != orders[1]


def test_validation_split() -> None:
    history = []
    for x in ([SERIES, STATIC], {"series": SERIES, "static": STATIC}):
        made = model()
        split = made.fit(x, Y, validation_split=0.3, batch_size=4, shuffle=False, verbose=0, sample_weight=WEIGHT)
        history.append(split.history)
    made = model()
    held = ([SERIES[7:], STATIC[7:]], Y[7:], WEIGHT[7:])
    both = made.fit([SERIES[:7], STATIC[:7]], Y[:7], sample_weight=WEIGHT[:7], validation_data=held, batch_size=4,
                    shuffle=False, verbose=0)  # fmt: skip
    assert history[0] == history[1] == both.history


def test_validation_batches_of_a_generator_are_stored() -> None:
    buffers = [np.empty_like(SERIES[:5]), np.empty_like(STATIC[:5])]

    def reused() -> Iterator[Any]:
        for start in (0, 5):
            buffers[0][:], buffers[1][:] = SERIES[start : start + 5], STATIC[start : start + 5]
            yield buffers, Y[start : start + 5]

    histories = [
        model().fit([SERIES, STATIC], Y, validation_data=data, epochs=2, validation_batch_size=5, verbose=0).history
        for data in (reused(), ({"series": SERIES, "static": STATIC}, Y))
    ]
    assert histories[0] == histories[1]


@pytest.mark.parametrize("outputs", ["one", "list", "dict", "nested", "in a dict"])
def test_predictions_have_the_structure_of_the_outputs(outputs: str) -> None:
    made = model(outputs=outputs)
    expected = model(outputs="list").predict([SERIES, STATIC], verbose=0)
    up, down = expected
    assert up.shape == down.shape == (N, 1)
    wanted = {
        "one": up, "list": [up, down], "dict": {"p": up, "q": down}, "nested": [up, {"q": down}],
        "in a dict": {"p": up},
    }[outputs]  # fmt: skip
    for result in (
        made.predict([SERIES, STATIC], batch_size=3, verbose=0),
        made.predict_on_batch([SERIES, STATIC]),
        made([SERIES, STATIC]),
    ):
        np.testing.assert_equal(_rounded(result), _rounded(wanted))


def _rounded(structure: Any) -> Any:
    return pyrnn.structures.mapped(lambda array: np.round(array, 4) + 0.0, structure)


def test_outputs_share_no_memory() -> None:
    x = pyrnn.Input((3,))
    flat = layers.Flatten()(x)
    made = pyrnn.Model(x, [flat, flat, layers.Dropout(0.5)(flat)])
    data = STATIC.copy()
    for results in (made.predict(data, verbose=0), made(data), made.predict_on_batch(data)):
        arrays = [data, *results]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_symbols_by_name() -> None:
    inner = model(outputs="dict")
    static, series = pyrnn.Input((3,)), pyrnn.Input((4, 2))
    outer = pyrnn.Model([static, series], inner({"static": static, "series": series})["q"])
    expected = inner([SERIES, STATIC])["q"]
    assert np.array_equal(outer([STATIC, SERIES]), expected)


class Stop(pyrnn.callbacks.Callback):
    """Interrupts the training in the middle of the second epoch."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations == 4:
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:.* ended after .* the epoch ends there")
@pytest.mark.parametrize("source", ["arrays", "steps_per_epoch", "dataset", "loader", "generator"])
def test_an_interrupted_training_resumes_to_the_same_bits(source: str, tmp_path: Path) -> None:
    def run(*callbacks: Any) -> Any:
        data = {"x": {"static": STATIC, "series": SERIES}, "y": [Y, Z], "sample_weight": WEIGHT, "batch_size": 4}
        if source == "steps_per_epoch":
            data["steps_per_epoch"] = 2
        elif source != "arrays":
            data = SOURCES[source]()
        made = model(outputs="one" if "batch_size" not in data else "list")
        made.fit(**data, epochs=3, verbose=0, callbacks=list(callbacks))
        return made.get_weights()

    expected = run()
    folder = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        run(pyrnn.callbacks.BackupAndRestore(folder, save_freq=1), Stop())
    assert same(run(pyrnn.callbacks.BackupAndRestore(folder, save_freq=1)), expected)


RULE = r"x must hold 2 arrays, one for each input of the model \('series', 'static'\), got "
MISTAKES: dict[str, tuple[Any, str]] = {
    "one array": (SERIES, RULE + r"an array of shape \(10, 4, 2\)$"),
    "one in a list": ([SERIES], RULE + "1$"),
    "too many": ([SERIES, STATIC, STATIC], RULE + "3$"),
    "a missing key": ({"series": SERIES}, RULE + "a dict of 'series'; 'static' is missing$"),
    "other keys": ({"a": SERIES, "b": STATIC}, RULE + "a dict of 'a', 'b'$"),
    "no key": ({}, RULE + "a dict of nothing$"),
    "None": ([SERIES, None], r"x\['static'\] must be an array, got None: the input is not optional$"),
    "a dict in a list": ([SERIES, {"rest": STATIC}], r"x\['static'\] must be one array, got a dict of 'rest'$"),
    "rows": ([SERIES, STATIC[:4]], r"x\['static'\] must have one row for each of the 10 samples of x\['series'\], got"),
    "no axis": ([3.0, STATIC], r"x\['series'\] must have one row per sample"),
    "no rows": ([SERIES[:0], STATIC[:0]], "x must hold at least one sample"),
    "texts": ([SERIES, np.full((N, 3), "a")], r"x\['static'\] must hold numbers, got dtype <U1"),
    "shape": ([SERIES, STATIC[:, :2]], r"expects input 'static' of shape \(None, 3\), got \(\d+, 2\)"),
    "swapped": ([STATIC, SERIES], r"expects input 'series' of shape \(None, 4, 2\), got \(\d+, 3\)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_inputs_change_nothing(mistake: str) -> None:
    x, message = MISTAKES[mistake]
    made = model()
    before = made.get_weights()
    for call in (
        lambda: made.fit(x, Y, verbose=0),
        lambda: made.fit(x, Y, validation_split=0.5, verbose=0),
        lambda: made.evaluate(x, Y, verbose=0),
        lambda: made.train_on_batch(x, Y),
        lambda: made.fit([SERIES, STATIC], Y, validation_data=(x, Y), verbose=0),
        lambda: made.predict(x, verbose=0),
        lambda: made.predict(iter([(x,)]), verbose=0),
    ):
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1
    assert same(made.get_weights(), before)
    assert made.optimizer.iterations == 0


def test_wrong_targets() -> None:
    for y, message in (
        (Y[:4], r"y must have one row for each of the 10 samples of x, got shape \(4, 1\)"),
        ({"down": Y}, "y must be one array, since the model has one output, got a dict of 'down'"),
        ([Y, Z], "y must have one row for each of the 10 samples"),
        (np.full((N, 1), np.nan), "y holds NaN"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            model().fit([SERIES, STATIC], y, verbose=0)
    with pytest.raises(ValueError, match="sample_weight must have one row for each of the 10 samples"):
        model().fit([SERIES, STATIC], Y, sample_weight=WEIGHT[:3], verbose=0)
    with pytest.raises(TypeError, match=r"sample_weight must be one array, .* got a dict of 'down'"):
        model().fit([SERIES, STATIC], Y, sample_weight={"down": WEIGHT}, verbose=0)


def test_the_order_of_an_unsorted_dict_is_ambiguous() -> None:
    series, static = pyrnn.Input((4, 2)), pyrnn.Input((3,))
    joined = layers.Concatenate()([layers.Flatten()(series), static])
    made = pyrnn.Model({"z": series, "a": static}, layers.Dense(1)(joined))
    with pytest.raises(ValueError, match="x must be a dict of 'z', 'a', like the inputs of the model, got a list: the"):
        made.predict([SERIES, STATIC], verbose=0)
    x = {"a": STATIC, "z": SERIES}
    assert made.predict(x, verbose=0).shape == (N, 1)
    made.compile("sgd", "mse")
    assert "val_loss" in made.fit(x, Y, validation_split=0.5, verbose=0).history


# Targets and weights, without a model.

TWO = Ports("output", ["up", "down"], (2, 2))
ONE_TRAINED = TWO.trained_at([1])
NESTED = Ports("output", [{"b": "up", "a": "down"}, "side"], (2, 2, 2))


def batch_of(y: Any, weight: Any = None, outputs: Ports = TWO) -> Any:
    signature = Signature(Ports("input", ["series", "static"], (3, 2)), outputs)
    return make_batch(([SERIES, STATIC], y, weight), "float32", signature)


@pytest.mark.parametrize(
    "y", [[Y, Z], (Y, Z), {"down": Z, "up": Y}, [Y.tolist(), Z]], ids=["list", "tuple", "dict", "lists"]
)
def test_targets(y: Any) -> None:
    batch = batch_of(y)
    assert type(batch.y) is Arrays
    assert [np.array_equal(*pair) for pair in zip(batch.y, (Y, Z), strict=True)] == [True, True]
    assert batch.sample_weight is None


def test_targets_of_a_nested_structure() -> None:
    for y in ([{"a": Z, "b": Y}, WEIGHT], [Z, Y, WEIGHT], {"down": Z, "up": Y, "side": WEIGHT}):
        batch = batch_of(y, outputs=NESTED)
        assert [array[0].item() for array in batch.y] == [Z[0].item(), Y[0].item(), WEIGHT[0].item()]


def test_outputs_without_a_loss_need_no_targets() -> None:
    for y in (Z, [Z], (Z,), {"down": Z}, [None, Z]):
        first, second = batch_of(y, outputs=ONE_TRAINED).y
        assert first is None
        assert np.array_equal(second, Z)


def test_integer_targets_stay_integers() -> None:
    classes = np.arange(N)
    first, second = batch_of([classes, Y]).y
    assert first.dtype == classes.dtype
    assert second.dtype == np.float32


def test_weights() -> None:
    for weight in (WEIGHT, WEIGHT.astype(float), [WEIGHT, WEIGHT], {"up": WEIGHT, "down": WEIGHT}):
        assert all(np.array_equal(each, WEIGHT) for each in batch_of([Y, Z], weight).sample_weight)
    for weight in ([WEIGHT, None], {"up": WEIGHT}):
        first, second = batch_of([Y, Z], weight).sample_weight
        assert np.array_equal(first, WEIGHT)
        assert second is None
    first, second = batch_of(Z, WEIGHT, ONE_TRAINED).sample_weight
    assert first is None
    assert np.array_equal(second, WEIGHT)
    assert all(each.dtype == np.float32 for each in batch_of([Y, Z], [np.ones(N, int)] * 2).sample_weight)


TARGETS: dict[str, tuple[Any, Any, str]] = {
    "one": (Y, None, r"y must hold 2 arrays, one for each output of the model \('up', 'down'\), got an array of shape"),
    "three": ([Y, Y, Y], None, "y must hold 2 arrays, .*, got 3$"),
    "unknown key": ({"up": Y, "left": Z}, None, "y must hold 2 arrays, .*, got the unknown key 'left'$"),
    "other keys": ({"left": Z}, None, "y must hold 2 arrays, .*, got a dict of 'left'$"),
    "rows": (
        [Y, Z[:3]],
        None,
        r"y\['down'\] must have one row for each of the 10 samples of y\['up'\], got shape \(3, 1",
    ),
    "rows of x": ([Y[:3], Z[:3]], None, r"y\['up'\] must have one row for each of the 10 samples of x, got shape"),
    "NaN": ([Y, Z * np.nan], None, r"y\['down'\] holds NaN"),
    "weights": ([Y, Z], [WEIGHT], r"sample_weight must hold 2 arrays, .*, got 1$"),
    "rows of weights": ([Y, Z], WEIGHT[:3], r"sample_weight\['up'\] must have one row for each of the 10 samples of x"),
    "key of weights": ([Y, Z], {"left": WEIGHT}, r"sample_weight must hold 2 arrays, .*, got a dict of 'left'$"),
}


@pytest.mark.parametrize("mistake", TARGETS)
def test_wrong_targets_of_several_outputs(mistake: str) -> None:
    y, weight, message = TARGETS[mistake]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        batch_of(y, weight)
    assert len(str(caught.value).splitlines()) == 1


def test_descriptions_of_the_data_have_all_shapes() -> None:
    signature = Signature(Ports("input", ["series", "static"], (3, 2)), ONE_TRAINED)
    batches = as_batches([SERIES, STATIC], Z, dtype="float32", signature=signature)
    description = batches.describe()
    assert description["samples"] == N
    assert description["shapes"] == {"x": [[4, 2], [3]], "y": [None, [1]], "sample_weight": None}


def test_inputs_in_another_structure_warn() -> None:
    first, second = Input((2,), name="i1"), Input((2,), name="i2")
    x = np.ones((3, 2), np.float32)
    named = Model({"i1": first, "i2": second}, layers.Add()([first, second]))
    with pytest.warns(UserWarning, match=r"The structure of `inputs` doesn't match .* 'i1', 'i2', got a list"):
        named.predict([x, x], verbose=0)
    with pytest.warns(UserWarning, match="got a dict of 'i1', 'i2', 'i3'"):
        named({"i1": x, "i2": x, "i3": x})
    with pytest.warns(UserWarning, match="got a dict of 'i1', 'other'"):
        Model({"i1": first}, layers.Dense(1)(first))({"i1": x, "other": x})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model([first, second], layers.Add()([first, second])).predict((x, x), verbose=0)
        named({"i1": Input((2,)), "i2": Input((2,))})
        Model({"i1": first}, layers.Dense(1)(first))({"i1": Input((2,)), "other": Input((2,))})


def test_arrays_in_lists_of_one() -> None:
    first, second = Input((2,)), Input((3,))
    model = Model([first, second], layers.Concatenate()([first, second]))
    x, z = np.ones((3, 2), np.float32), np.ones((3, 3), np.float32)
    assert np.array_equal(model(([x], z)), model([x, z]))


def test_a_model_that_starts_inside_another_lists_an_input_layer() -> None:
    x = Input((2,))
    hidden = layers.Dense(3, name="one")(x)
    inner = Model(hidden, layers.Dense(4, name="two")(hidden))
    assert [type(layer).__name__ for layer in inner.layers] == ["InputLayer", "Dense"]
    assert inner.layers[0].batch_shape == (None, 3)
    assert inner.predict(np.ones((2, 3)), verbose=0).shape == (2, 4)
