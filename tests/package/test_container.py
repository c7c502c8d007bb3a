"""`examples/container`: a model runs with NumPy and pyrnn alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyrnn
from pyrnn import layers

FOLDER = Path(__file__).parents[2] / "examples/container"
# None of the packages that pyrnn may import can be, as in the container.
SCRIPT = """
import json, pathlib, sys
sys.modules |= dict.fromkeys(["h5py", "rich", "autograd", "matplotlib", "sklearn", "pandas", "safetensors"])
sys.path.insert(0, sys.argv[1])
import handler
folder = pathlib.Path(sys.argv[2])
answers = [handler.handler(event, None, folder) for event in json.loads(sys.stdin.read())]
print(json.dumps(answers))
"""


def test_a_packed_model_runs_without_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import handler

    model = pyrnn.Sequential([layers.Input((None, 2)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(3)])
    handler.pack(model, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    events = [{"series": x.tolist()}, {"series": [[1.0]]}, {}, {"series": "x"}]
    command = [sys.executable, "-c", SCRIPT, str(FOLDER), str(tmp_path)]
    run = subprocess.run(command, input=json.dumps(events), capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr
    right, *wrong = json.loads(run.stdout)
    np.testing.assert_allclose(right["forecast"], model(x), rtol=1e-5)
    assert all(list(each) == ["error"] for each in wrong)


def test_the_dockerfile_copies_what_pack_writes() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert 'CMD ["handler.handler"]' in text and "--no-deps" in text
    for word in ("handler.py", "model.json", "weights.npz"):
        assert f"examples/container/{word}" in text
