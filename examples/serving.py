"""Serve forecasts one reading at a time with FastAPI. The service keeps the state of each client between requests.

    python examples/serving.py model.keras --port 8000
    curl -X POST localhost:8000/clients/pump-7 -H "Content-Type: application/json" -d '{"readings": [[0.1, 0.2]]}'

All clients share one stream and its weights; a client takes the memory of its states, half a kilobyte for an LSTM of 64
units. The states of clients that are silent for too long are dropped, and their next reading starts a new sequence.
Needs the extra `serving`.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path
from pydantic import BaseModel, Field

import pyrnn

MOST_READINGS = 1000  # of one request


class Full(RuntimeError):
    """The service already keeps as many clients as it may."""


class Clients:
    """The states of the clients of one model.

    Args:
        model: A model that can be streamed.
        limit: The most clients at a time, at least 1.
        idle: Seconds after which a silent client is dropped.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, model: Any, limit: int = 10_000, idle: float = 600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit, self.idle, self.clock = limit, idle, clock
        self._stream = model.stream(on_nan="raise")
        self._fresh = self._stream.state
        self._states: OrderedDict[str, tuple[float, Any]] = OrderedDict()  # the longest silent one first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def step(self, client: str, readings: list[list[float]]) -> list[list[float]]:
        """Return the output after each reading, and keep the state for the next call.

        Args:
            client: Name of the client.
            readings: Its next readings (steps, features), oldest first.

        Returns:
            The outputs (steps, units).

        Raises:
            Full: If it is new and there are `limit` clients.
            ValueError: If a reading does not fit the model or is not finite; the state is as before.
        """
        with self._lock:
            now = self.clock()
            self._drop_idle(now)
            _, state = self._states.get(client, (now, self._fresh))
            if client not in self._states and len(self._states) >= self.limit:
                raise Full(f"{self.limit} clients are connected, which is the limit")
            self._stream.state = state
            outputs = [self._stream.step(reading)[0].tolist() for reading in readings]
            self._states[client] = now, self._stream.state
            self._states.move_to_end(client)
            return outputs

    def forget(self, client: str) -> bool:
        """Drop the state of a client.

        Args:
            client: Its name.

        Returns:
            Whether there was one.
        """
        with self._lock:
            return self._states.pop(client, None) is not None

    def _drop_idle(self, now: float) -> None:
        while self._states and now - next(iter(self._states.values()))[0] > self.idle:
            self._states.popitem(last=False)


class Readings(BaseModel):
    """The body of a request."""

    readings: Annotated[list[list[float]], Field(min_length=1, max_length=MOST_READINGS)]


Client = Annotated[str, Path(pattern=r"^[\w-]{1,64}$")]


def create_app(model: Any, **options: Any) -> FastAPI:
    """Return the service.

    Args:
        model: A model that can be streamed.
        **options: `limit`, `idle` and `clock` of `Clients`.
    """
    app, clients = FastAPI(title=f"pyrnn: {model.name}"), Clients(model, **options)

    @app.get("/health")
    def health() -> dict[str, int]:
        return {"clients": len(clients), "limit": clients.limit}

    @app.post("/clients/{client}")
    def step(client: Client, body: Readings) -> dict[str, list[list[float]]]:
        try:
            return {"outputs": clients.step(client, body.readings)}
        except Full as error:
            raise HTTPException(503, str(error), {"Retry-After": str(round(clients.idle))}) from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    @app.delete("/clients/{client}", status_code=204)
    def forget(client: Client) -> None:
        if not clients.forget(client):
            raise HTTPException(404, f"there is no client {client!r}")

    return app


def main() -> None:
    """Run the service."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Serve a model one reading at a time.")
    parser.add_argument("model", help="file of the model")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at")
    parser.add_argument("--limit", type=int, default=10_000, help="the most clients at a time")
    parser.add_argument("--idle", type=float, default=600.0, help="seconds after which a silent client is dropped")
    arguments = parser.parse_args()
    app = create_app(pyrnn.load_model(arguments.model), limit=arguments.limit, idle=arguments.idle)
    uvicorn.run(app, host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
