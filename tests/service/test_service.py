"""`examples/serving.py`: each client has its own state, limits hold, and bad requests change nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

# What FastAPI's test client says of the packages that it may be built on.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using .httpx. with"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered in cast"),  # of NumPy, before the reading is rejected
]


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    import serving

    return serving


@pytest.fixture
def model() -> pyrnn.Sequential:
    return pyrnn.Sequential([layers.Input((None, 2)), layers.LSTM(4), layers.Dense(1)])


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(serving: Any, model: Any, clock: Clock) -> Any:
    from fastapi.testclient import TestClient

    return TestClient(serving.create_app(model, limit=2, idle=10.0, clock=clock))


def post(client: Any, name: str, readings: Any) -> Any:
    return client.post(f"/clients/{name}", json={"readings": np.asarray(readings).tolist()})


def test_each_client_has_its_own_state(client: Any, model: Any) -> None:
    series = np.random.default_rng(0).normal(size=(2, 9, 2)).astype("float32")
    outputs: dict[str, list[Any]] = {"a": [], "b": []}
    for start in range(0, 9, 3):
        for name, values in zip(outputs, series, strict=True):
            outputs[name] += post(client, name, values[start : start + 3]).json()["outputs"]
    for values, received in zip(series, outputs.values(), strict=True):
        expected = [model(values[None, : step + 1])[0] for step in range(9)]
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_a_silent_client_is_dropped_and_starts_anew(client: Any, clock: Clock) -> None:
    first = post(client, "a", [[1, 2]]).json()
    assert post(client, "a", [[1, 2]]).json() != first
    clock.now = 10.0
    assert client.get("/health").json() == {"clients": 1, "limit": 2}
    post(client, "b", [[1, 2]])
    clock.now = 10.1
    assert post(client, "a", [[1, 2]]).json() == first


def test_a_client_that_speaks_is_kept(client: Any, clock: Clock) -> None:
    outputs = []
    for clock.now in (0.0, 8.0, 16.0, 24.0):
        outputs.append(post(client, "a", [[1, 2]]).json()["outputs"][0][0])
    assert len(set(outputs)) == 4


def test_the_limit_holds_until_a_client_goes(client: Any, clock: Clock) -> None:
    assert [post(client, name, [[0, 0]]).status_code for name in "abc"] == [200, 200, 503]
    full = post(client, "c", [[0, 0]])
    assert (
        full.headers["Retry-After"] == "10" and full.json()["detail"] == "2 clients are connected, which is the limit"
    )
    assert post(client, "a", [[0, 0]]).status_code == 200
    assert client.delete("/clients/b").status_code == 204 and client.delete("/clients/b").status_code == 404
    assert post(client, "c", [[0, 0]]).status_code == 200
    clock.now = 11.0
    assert post(client, "d", [[0, 0]]).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"readings": []},
        {"readings": [[1.0]]},
        {"readings": [[1.0, 2.0], [1.0, 2.0, 3.0]]},
        {"readings": [["x", 1.0]]},
        {"readings": [[0.0, 0.0]] * 1001},
        {"readings": [[1.0, 2.0], [1e39, 0.0]]},
        {"readings": [[1.0, 2.0], ["NaN", 0.0]]},
    ],
    ids=lambda body: str(body)[:50],
)
def test_bad_requests_leave_the_state(client: Any, body: Any) -> None:
    readings = [[0.5, -1.0]]
    first = post(client, "a", readings).json()
    again = post(client, "b", readings).json()
    assert first == again
    assert client.post("/clients/a", json=body).status_code == 422
    assert post(client, "a", readings).json() == post(client, "b", readings).json()


def test_names_of_clients(client: Any) -> None:
    assert [post(client, name, [[0, 0]]).status_code for name in ("pump-7", "x" * 65, "a%20b")] == [200, 422, 422]


def test_requests_from_several_threads(serving: Any, model: Any) -> None:
    clients = serving.Clients(model, limit=8)
    readings = np.random.default_rng(0).normal(size=(8, 50, 2)).tolist()

    def run(number: int) -> list[Any]:
        return [clients.step(str(number), [reading])[0] for reading in readings[number]]

    with ThreadPoolExecutor(8) as pool:
        received = list(pool.map(run, range(8)))
    alone = [serving.Clients(model).step("a", each) for each in readings]
    assert received == alone
