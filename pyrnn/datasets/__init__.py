"""Real data that comes with the package; nothing is downloaded."""

from __future__ import annotations

from pyrnn.datasets.flights import Flights, load_flights
from pyrnn.explaining import explain

__all__ = ["Flights", "load_flights"]


explain(__name__)
