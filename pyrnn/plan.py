"""`Plan`: what a training step needs to know of a model's layers."""

from __future__ import annotations

from typing import NamedTuple

from pyrnn.parameters import Weight


class Plan(NamedTuple):
    """What a training step needs to know of the layers; good for as long as `Structure.changes` stays."""

    changes: int
    weights: list[Weight]
    first: int  # the lowest layer with trainable weights
    penalised: list[Weight]
    penalised_trainable: list[Weight]
