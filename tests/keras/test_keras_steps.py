"""Custom steps, custom losses and added losses of models, next to Keras: logs, weights and `losses`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

import pyrnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5, 3)).astype("float32")
Y = RNG.normal(size=(12, 1)).astype("float32")


def classes(k: ModuleType) -> dict[str, Any]:
    """Layers and models as users write them for Keras."""
    ops = k.ops

    class Activity(k.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, x: Any) -> Any:
            self.add_loss(0.3 * ops.sum(ops.square(x)))
            return x

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    class Projection(k.layers.Layer):  # type: ignore[misc,name-defined]
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 2), name="w")

        def call(self, x: Any) -> Any:
            y = ops.matmul(x, self.w)
            self.add_loss([ops.mean(y**2), 0.1 * ops.sum(ops.abs(self.w))])
            return y

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], 2)

    class Cubed(k.Sequential):  # type: ignore[misc,name-defined]
        factor = 0.0

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return ops.mean(ops.abs(y_pred - y) ** 3) + self.factor * sum(self.losses)

    class Quarter(Cubed):
        factor = 0.25

    class WithSuper(k.Sequential):  # type: ignore[misc,name-defined]
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            loss = super().compute_loss(x, y, y_pred, sample_weight)
            return loss + k.losses.MeanAbsoluteError()(y, y_pred) + ops.mean(k.losses.mean_squared_error(y, y_pred))

    class Doubled(k.Sequential):  # type: ignore[misc,name-defined]
        def train_step(self, data: Any) -> Any:
            x, y, weight = k.utils.unpack_x_y_sample_weight(data)
            return {**super().train_step((x * 2, y, weight)), "extra": 7.0}

        def test_step(self, data: Any) -> Any:
            x, y, weight = k.utils.unpack_x_y_sample_weight(data)
            return super().test_step((x * 2, y, weight))

        def predict_step(self, data: Any) -> Any:
            return super().predict_step(data) * 3

    class Measured(k.Sequential):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.two = k.metrics.Mean(name="two")
            self.error = k.metrics.MeanAbsoluteError(name="error")

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            self.error.update_state(y, y_pred)
            self.two.update_state(2.0)
            return super().compute_metrics(x, y, y_pred, sample_weight)

    class Tracked(k.Sequential):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.tracker = k.metrics.Mean(name="loss")

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            loss = ops.mean((y_pred - y) ** 2) + ops.sum(self.losses)
            self.tracker.update_state(loss)
            return loss

        def reset_metrics(self) -> None:
            self.tracker.reset_state()

        @property
        def metrics(self) -> Any:
            return [self.tracker]

    return {name: value for name, value in locals().items() if isinstance(value, type)}


# The class of the model, the layer before the recurrent one, and the loss.
CASES = {
    "plain": ("Sequential", "", "mse"),
    "added": ("Sequential", "Activity", "mse"),
    "weights in added losses": ("Sequential", "Projection", "mse"),
    "no loss": ("Sequential", "Projection", None),
    "own loss": ("Cubed", "Activity", "mse"),
    "part of the losses": ("Quarter", "Activity", "mse"),
    "loss of compile and more": ("WithSuper", "Activity", "mse"),
    "step": ("Doubled", "", "mse"),
    "metrics": ("Measured", "", "mse"),
    "tracked": ("Tracked", "Activity", "mse"),
}


def made(k: ModuleType, case: str) -> Any:
    kind, first, loss = CASES[case]
    named = classes(k)
    stack = [k.Input((5, 3)), k.layers.Dense(3), *([named[first]()] if first else []),
             k.layers.GRU(4, kernel_regularizer="l2", activity_regularizer="l2"), k.layers.Dense(1)]  # fmt: skip
    model = named.get(kind, k.Sequential)(stack)
    model.compile(k.optimizers.SGD(0.05), loss, metrics=["mae"])
    return model


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("case", CASES)
def test_steps_and_losses(case: str) -> None:
    theirs, ours = made(keras, case), made(pyrnn, case)
    weights = [0.3 * RNG.normal(size=weight.shape) for weight in theirs.weights]
    for model in (theirs, ours):
        model.set_weights(weights)
    options: dict[str, Any] = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    expected, actual = (model.fit(X, Y, validation_data=(X, Y), **options).history for model in (theirs, ours))
    assert sorted(actual) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=2e-5)
    for their, our in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.evaluate(X, Y, verbose=0), theirs.evaluate(X, Y, verbose=0), rtol=2e-5)
    np.testing.assert_allclose(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-4, atol=1e-6)
    tensors = keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(Y)
    np.testing.assert_allclose(ours.train_on_batch(X, Y), theirs.train_on_batch(*tensors), rtol=2e-5)
    theirs(X), ours(X)
    np.testing.assert_allclose(ours.losses, [float(loss) for loss in theirs.losses], rtol=1e-4)
    np.testing.assert_allclose(ours.layers[1].losses, [float(loss) for loss in theirs.layers[1].losses], rtol=1e-4)
