"""Networks without a function of the user, which run without a plan: the bits are those of the model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from forecasting.small import AHEAD, forecaster, waves
from pyrnn import ranks
from pyrnn.forecasting import network as networks
from pyrnn.forecasting.heads import QuantileHead
from pyrnn.forecasting.inputs import make_inputs
from pyrnn.forecasting.likelihoods import softplus
from pyrnn.forecasting.usual import USUAL, Usual, is_usual


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embedding", [0, 2])
def test_outputs_are_those_of_the_model(model: str, embedding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = forecaster(model=model, embedding=embedding, members=1).fit(waves())
    (network,) = fitted.networks_
    source = fitted._source(fitted.panel_)
    inputs = make_inputs(source.gather(np.arange(40, 60)), fitted.layout_)
    expected = network.predict_on_batch(inputs.arrays[: len(network.inputs)])
    monkeypatch.setattr(type(network), "predict_on_batch", None)
    assert (networks.read(network, inputs) == expected).all()
    monkeypatch.setattr(networks, "PREDICTED_AT_ONCE", 7)
    np.testing.assert_allclose(networks.read(network, inputs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("head", ["quantile", "student"])
def test_training_is_that_of_the_model(model: str, embedding: int, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"model": model, "embedding": embedding, "head": head, "epochs": 3}
    fitted = forecaster(**settings).fit(waves())
    assert all(network.name == USUAL for network in fitted.networks_)
    monkeypatch.setattr(networks, "is_usual", lambda network: False)
    slowly = forecaster(**settings).fit(waves())
    for network, other in zip(fitted.networks_, slowly.networks_, strict=True):
        for weights, expected in zip(network.get_weights(), other.get_weights(), strict=True):
            assert (weights == expected).all()
    assert (fitted.predict().quantiles == slowly.predict().quantiles).all()


def test_a_loss_that_is_not_finite_is_explained() -> None:
    (network,) = forecaster(members=1).fit(waves()).networks_
    shapes = [(4, *symbol.shape[1:]) for symbol in network.inputs]
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    arrays[0][0] = np.nan
    loss = QuantileHead([0.025, 0.1, 0.5, 0.9, 0.975]).loss()
    targets, weights = np.zeros((4, AHEAD, 1), np.float32), np.ones((4, AHEAD), np.float32)
    with pytest.warns(UserWarning, match="the loss is nan"), warnings.catch_warnings():
        warnings.simplefilter("always")
        Usual(network).train(arrays, targets, weights, loss)


def test_several_processes_and_functions_of_users_take_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the layers of the user have the names of ours."""
    from pyrnn import layers

    def model(past: Any, future: Any) -> Any:
        return layers.Dense(3, "tanh", name="decoder")(layers.Dense(4, name="encoder")(future))

    fitted = forecaster(model=model, members=1).fit(waves())
    assert not is_usual(fitted.networks_[0])
    assert np.isfinite(fitted.predict().quantiles).all()
    online = fitted.stream(1)
    np.testing.assert_allclose(online.quantiles, fitted.predict().quantiles[1], rtol=1e-5)
    (ours,) = forecaster(members=1).fit(waves()).networks_
    assert is_usual(ours)
    monkeypatch.setattr(ranks, "distribution", object())
    assert not is_usual(ours)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_is_the_logarithm_of_a_sum(dtype: Any) -> None:
    x = np.linspace(-90, 90, 1801).astype(dtype)
    result, expected = softplus(x), np.logaddexp(0, x.astype(np.longdouble))
    assert result.dtype == dtype
    assert_close((result / expected).astype(dtype), np.ones(len(x)), 1)  # relative, also where it is small
    extremes = np.array([-1e4, 1e4, np.inf, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(softplus(extremes), np.array([0, 1e4, np.inf, 0, np.nan], dtype))
