"""Sequential: building, shapes, weights, masks, gradients, configs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers


def small(**options: object) -> pyrnn.Sequential:
    return pyrnn.Sequential(
        [pyrnn.Input((5, 4)), layers.SimpleRNN(3, dtype="float64", **options), layers.Dense(2, dtype="float64")]
    )


def test_shapes_and_weights() -> None:
    model = small()
    assert model.built and model.input_shape == (None, 5, 4) and model.output_shape == (None, 2)
    assert [layer.__class__.__name__ for layer in model.layers] == ["SimpleRNN", "Dense"]
    assert model.count_params() == 24 + 8
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    assert all((weight == 1).all() for weight in model.get_weights())
    with pytest.raises(ValueError, match="has 5 weights, got a list of 1"):
        model.set_weights([np.zeros(3)])


def test_wrong_rank() -> None:
    model = pyrnn.Sequential([layers.SimpleRNN(3, input_shape=(100, 29))])
    with pytest.raises(ValueError, match=r"SimpleRNN expects x of shape \(batch, time, features\) = \(None, 100, 29\)"):
        model(np.zeros((128, 29)))


def test_deferred_build_and_conversion() -> None:
    model = pyrnn.Sequential([layers.SimpleRNN(3), layers.Dense(2)])
    assert not model.built
    x = np.arange(40).reshape(2, 4, 5)
    y = model(x.transpose(0, 2, 1))
    assert model.built and y.shape == (2, 2) and y.dtype == np.float32


def test_gradients_reach_the_first_trainable_layer() -> None:
    model = small(kernel_regularizer="l2")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 2))
    vector = model.parameters()
    assert model.parameters() is vector
    model.forward_pass(x, training=True)
    model.backward_pass(dy)
    model.add_regularization_gradients()
    gradient = vector.gradients.copy()
    for index in range(0, len(vector), 5):
        losses = []
        for step in (1e-5, -1e-5):
            vector.values[index] += step
            vector.touch()
            losses.append(float((model(x) * dy).sum()) + model.regularization_loss())
            vector.values[index] -= step
        vector.touch()
        assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5, abs=1e-7)
    model.layers[0].trainable = False
    assert len(model.parameters()) == 8


def test_mask_flows_from_masking() -> None:
    model = pyrnn.Sequential([layers.Masking(), layers.SimpleRNN(3, return_sequences=True), layers.SimpleRNN(2)])
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    x[:, 4:] = 0
    np.testing.assert_allclose(model(x), model(x[:, :4]), rtol=1e-5)


def test_stateful_needs_a_batch_size_and_resets() -> None:
    with pytest.raises(ValueError, match="stateful"):
        pyrnn.Sequential([pyrnn.Input((5, 4)), layers.SimpleRNN(3, stateful=True)])
    model = pyrnn.Sequential([layers.SimpleRNN(3, stateful=True, batch_input_shape=(2, 5, 4))])
    x = np.ones((2, 5, 4))
    first = model(x)
    assert not np.array_equal(model(x), first)
    model.reset_states()
    np.testing.assert_array_equal(model(x), first)


def test_config_round_trip_and_refusals() -> None:
    model = small()
    again = pyrnn.Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    with pytest.raises(ValueError, match="return_state"):
        pyrnn.Sequential([layers.SimpleRNN(3, return_state=True)])
    with pytest.raises(TypeError, match=r"write Dense\("):
        model.add(layers.Dense)
    model.pop()
    assert model.output_shape == (None, 3)


def test_layers_are_found_by_name_and_index() -> None:
    model = small()
    first, last = model.layers
    assert model.get_layer(last.name) is model.get_layer(index=-1) is last and model.get_layer(index=0) is first
    for weights, message in (
        ({}, "takes either name or index"),
        ({"index": 2}, "index must be from -2 to 1, got 2"),
        ({"name": first.name + "x"}, f"did you mean '{first.name}'"),
    ):
        with pytest.raises(ValueError, match=message):
            model.get_layer(**weights)
    assert repr(model) == f"<Sequential name={model.name}, built=True>"


def test_a_stack_grows_and_shrinks() -> None:
    model = pyrnn.Sequential([layers.Dense(2, name="a")])
    for call, message in (
        (lambda: model.add(layers.Dense(2, name="a")), "must have different names, got 'a' twice"),
        (lambda: model.add(pyrnn.Input((3,))), "an Input can only be the first layer"),
        (lambda: model.add(layers.Dense(2, dtype="float64")), "has dtype float64, the layers before it float32"),
        (lambda: model.build(), "does not know its input shape"),
        (lambda: model.input_shape, "is not built yet"),
        (lambda: model.count_params(), "has no weights yet"),
        (lambda: pyrnn.Sequential([])(np.ones((2, 3))), "has no layers yet: add some first"),
        (lambda: pyrnn.Sequential([]).build((None, 3)), "has no layers yet: add some first"),
    ):
        with pytest.raises((ValueError, AttributeError), match=message):
            call()
    assert model(np.ones((4, 3))).shape == (4, 2)
    removed = model.pop()
    assert removed is not None and removed.name == "a" and not model.built and not model.layers
    model.add(layers.Dense(5))
    assert model(np.ones((4, 7))).shape == (4, 5)  # the shape that the first data had was of that data alone
    model.pop()
    assert model.pop() is None


def test_a_frozen_model_is_not_trained() -> None:
    model = small()
    assert len(model.trainable_weights) == 5
    model.trainable = False
    assert not model.trainable and not model.trainable_weights and len(model.weights) == 5
    assert not any(layer.trainable for layer in model.layers)
    again = pyrnn.Sequential(model.layers, trainable=False)
    assert not again.trainable_weights
    model.trainable = True
    assert len(model.trainable_weights) == 5


def test_activity_counts_in_loss_and_gradient() -> None:
    """A penalty of 0.5 * sum(y ** 2) a sample adds y to the gradient of the output."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    model = pyrnn.Sequential([layers.Dense(2, activity_regularizer=pyrnn.regularizers.L2(0.5), input_shape=(4,))])
    y, _ = model.forward_pass(x, training=True)
    model.backward_pass(np.zeros_like(y))
    kernel, bias = model.trainable_weights
    np.testing.assert_allclose(bias.gradient, y.sum(0) / 3, rtol=1e-5)
    np.testing.assert_allclose(kernel.gradient, x.T @ y / 3, rtol=1e-5)
    model.compile("sgd", "mse")
    expected = ((y - 1) ** 2).mean() + 0.5 * (y**2).sum() / 3
    assert model.evaluate(x, np.ones((3, 2)), verbose=0) == pytest.approx(expected, rel=1e-5)


def test_models_as_json() -> None:
    model = small()
    again = pyrnn.models.model_from_json(model.to_json())
    assert again.get_config() == model.get_config() and again.built
    with pytest.raises(ValueError, match="json_string must hold a Sequential or a functional model"):
        pyrnn.models.model_from_json('{"class_name": "Functional"}')


def test_files_are_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    small().save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists and overwrite is False"):
        small().save(path, overwrite=False)
    assert path.read_bytes() == before


def test_summary() -> None:
    lines: list[str] = []
    small().summary(print_fn=lines.append, line_length=80)
    assert "Layer (type)" in lines[0] and " Total params: 32 (256.00 B)" in lines[0]


def test_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    model = pyrnn.Sequential([layers.Input((5, 3)), layers.LSTM(4), layers.Dense(1)])
    first, last = model.layers[0].name, model.layers[-1].name
    model.layers[-1].trainable = False
    model.summary(show_trainable=True, line_length=90)
    printed = capsys.readouterr().out
    assert "Trainable" in printed and first in printed and last in printed
    model.summary(layer_range=[last, last], line_length=80)
    printed = capsys.readouterr().out
    assert last in printed and f"{first} (" not in printed
    with pytest.raises(ValueError, match="layer_range must name layers of"):
        model.summary(layer_range=["none", last])
    with pytest.raises(ValueError, match="line_length must leave at least 4 characters per column, got 8"):
        model.summary(line_length=8)


def test_layers_of_a_sequential_have_symbols() -> None:
    """As for the parts of a model that a script makes from `model.layers[i].output`."""
    model = pyrnn.Sequential([layers.LSTM(4, return_sequences=True, name="a"), layers.GRU(2, name="b")])
    with pytest.raises(AttributeError, match="LSTM has no output: it was not called on symbols"):
        _ = model.layers[0].output
    model.build((None, 5, 3))
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    part = pyrnn.Model(model.layers[0].input, model.layers[0].output)
    np.testing.assert_array_equal(part(x), model.layers[0](x))
    model.add(layers.Dense(3, name="c"))
    assert model.layers[2].output is model.output and model.output_shape == (None, 3)
    dense = model.pop()
    assert dense.nodes == [] and model.output is model.layers[1].output
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        again = pyrnn.Model(other.inputs, other.get_layer("a").output)
        np.testing.assert_array_equal(again(x), part(x))


def test_building_as_another_model_was_built() -> None:
    first = pyrnn.Sequential([layers.LSTM(2), layers.Dense(1)])
    first.build((None, 5, 3))
    second = pyrnn.Sequential([layers.LSTM(2), layers.Dense(1)])
    second.build_from_config(second.get_build_config())
    assert second.get_build_config() is None and not second.built
    second.build_from_config(first.get_build_config())
    assert second.input_shape == (None, 5, 3)
    second.build_from_config({"input_shape": (None, 5, 4)})
    assert second.input_shape == (None, 5, 3)


def test_a_model_says_how_it_is_built_from_a_file(tmp_path: Path) -> None:
    class Model(pyrnn.Sequential):
        def forward_pass(self, x: Any, *, training: bool = False) -> Any:
            return super().forward_pass(x, training=training)

        def backward_pass(self, dy: Any) -> Any:
            return super().backward_pass(dy)

        def build_from_config(self, config: dict[str, Any]) -> None:
            built.append(config)
            super().build_from_config(config)

    built: list[Any] = []
    model = Model([layers.Dense(1)])
    model.build((None, 3))
    model.save(tmp_path / "m.keras")
    again = pyrnn.load_model(tmp_path / "m.keras", {"Model": Model})
    assert again.count_params() == 4 and len(built) == 1


@pytest.mark.parametrize("kind", ["functional", "Sequential"])
def test_a_model_may_be_the_first_layer_at_other_lengths(kind: str) -> None:
    x = pyrnn.Input((None, 3))
    gru = layers.GRU(3, return_sequences=True)
    first = pyrnn.Model(x, gru(x)) if kind == "functional" else pyrnn.Sequential([gru])
    model = pyrnn.Sequential([pyrnn.Input((5, 3)), first, layers.LSTM(2)])
    series = np.ones((2, 5, 3), np.float32)
    assert [model.predict(series[:, :steps], verbose=0).shape for steps in (5, 4)] == [(2, 2)] * 2
    with pytest.raises(ValueError, match=r"\(2, 5, 4\)"):
        model.predict(np.ones((2, 5, 4)), verbose=0)
