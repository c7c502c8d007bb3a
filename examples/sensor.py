"""A model on a device without Python: a GRU learns a vibration, is exported to C, and watches a sensor there.

Run `python examples/sensor.py`: it trains, writes forecaster.c next to a copy of sensor.c, compiles the two with `cc`,
and feeds the program readings among which three are broken.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pyrnn
from pyrnn import layers
from pyrnn.export import to_c

BROKEN = (150, 220, 260)


def vibration(count: int, seed: int) -> NDArray[np.float32]:
    """Return readings of a machine: two waves and noise."""
    t = np.arange(count)
    noise = np.random.default_rng(seed).normal(0, 0.02, count)
    return (np.sin(2 * np.pi * t / 24) + 0.3 * np.sin(2 * np.pi * t / 7) + noise).astype(np.float32)


def main(folder: str = "sensor", epochs: int = 20, compiler: str = "cc") -> list[int]:
    """Train, export, compile and run; returns the numbers of the readings that raised an alarm."""
    pyrnn.utils.set_random_seed(0)
    readings = vibration(1500, 1)
    x = np.lib.stride_tricks.sliding_window_view(readings, 65)[::4, :, None]
    model = pyrnn.Sequential(
        [layers.Input((None, 1)), layers.GRU(16, return_sequences=True), layers.Dense(1)], name="forecaster"
    )
    model.compile("adam", "mse")
    model.optimizer.learning_rate = 0.01
    model.fit(x[:, :-1], x[:, 1:], epochs=epochs, verbose=0)

    paths = to_c(model, folder)
    shutil.copy(Path(__file__).with_name("sensor.c"), folder)
    program = Path(folder) / "sensor"
    files = [str(Path(folder) / "sensor.c"), paths[0]]
    subprocess.run([compiler, "-std=c99", "-O2", "-Wall", *files, "-o", str(program)], check=True)

    live = vibration(300, 2)
    live[list(BROKEN)] += 2
    text = "\n".join(map(str, live))
    result = subprocess.run([program.resolve()], input=text, capture_output=True, text=True, check=True)
    print(result.stderr, end="")
    return [number for number, line in enumerate(result.stdout.splitlines()) if line.endswith("alarm")]


if __name__ == "__main__":
    print("alarms at", main())
