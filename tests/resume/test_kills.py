"""Trainings that are killed at random moments and restarted write the same file as an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import pyrnn

# Of the slow test; `nox -s kills` of docs/dev/testing.md.
MANY = int(os.environ.get("PYRNN_KILLS", "200"))
SCRIPT = Path(__file__).with_name("child.py")


def run_child(folder: Path, kind: str, kill_after: float | None, environment: dict[str, str]) -> tuple[bool, float]:
    """Run the training, kill it after `kill_after` seconds, and return whether it had finished, and its seconds."""
    path = os.pathsep.join([str(Path(pyrnn.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, SCRIPT, folder, kind]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**environment, "PYTHONPATH": path})
    assert child.stdout is not None
    assert child.stdout.readline() == "begin\n"
    begun = time.perf_counter()
    try:
        child.wait(kill_after)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    code = child.wait()
    child.stdout.close()
    assert code in (0, -signal.SIGKILL), code
    return code == 0, time.perf_counter() - begun


def kill_and_resume(
    folder: Path, kind: str, kills: int, draw: random.Random, environment: dict[str, str]
) -> dict[str, Any]:
    """Kill at random moments until `count` kills have hit; compare every finished training, then start another."""
    whole = folder / "whole"
    whole.mkdir()
    done, seconds = run_child(whole, kind, None, environment)
    assert done
    wanted = (whole / "result.npz").read_bytes()
    hits = finished = halves = run = 0
    while hits < kills or not finished or run:
        broken = folder / f"broken{finished}"
        broken.mkdir(exist_ok=True)
        # Within half of the running time, so that most trainings are killed more than once, in all their parts; at most
        # a dozen times, for they must get to their end.
        limit = draw.uniform(0, seconds / 2) if hits < kills and run < 12 else None
        done, _ = run_child(broken, kind, limit, environment)
        if done:
            assert (broken / "result.npz").read_bytes() == wanted
            assert not (broken / "backup").exists()
            finished, run = finished + 1, 0
            continue
        hits, run = hits + 1, run + 1
        print(f"{hits} kills, {finished} trainings at their end", file=sys.stderr, flush=True)
        halves += any(path.name.startswith(".") for path in broken.rglob("*"))
    return {"kills": hits, "finished": finished, "killed while writing": halves, "seconds": round(seconds, 2)}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_kills(kind: str, tmp_path: Path, uncounted: dict[str, str]) -> None:
    result = kill_and_resume(tmp_path, kind, 4, random.Random(1), uncounted)
    assert result["kills"] == 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_many_kills(kind: str, tmp_path: Path, uncounted: dict[str, str]) -> None:
    result = kill_and_resume(tmp_path, kind, MANY, random.Random(2), uncounted)
    print(json.dumps(result))
    assert result["kills"] == MANY
