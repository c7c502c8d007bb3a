"""Training on the processes of a real MPI, which the extra `mpi` installs; the gate runs these tests."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import pyrnn
from pyrnn.distributed import DataParallel
from shards import job
from shards.models import MODELS, OPTIMIZERS, digest, trained

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
pytest.importorskip("mpi4py", reason="the extra mpi is not installed")
pytestmark = pytest.mark.skipif(MPIRUN is None, reason="there is no mpirun")
TESTS = Path(__file__).parent.parent
# Of Open MPI: more processes than cores, and as root, as in a container.
ENVIRONMENT = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(Path(pyrnn.__file__).parents[1])]),
}  # fmt: skip


def mpirun(ranks: int, *arguments: Any, threads: int = 1) -> subprocess.CompletedProcess[str]:
    """Run a function of `job` in several processes until it ends."""
    process = started(ranks, *arguments, threads=threads)
    printed, problems = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, printed, problems)


def started(ranks: int, *arguments: Any, threads: int = 1) -> subprocess.Popen[str]:
    """Start a function of `job` in several processes."""
    command = [str(MPIRUN), "-n", str(ranks), "--bind-to", "none", sys.executable, job.__file__, arguments[0]]
    command += map(json.dumps, arguments[1:])
    environment = {**os.environ, **ENVIRONMENT, "PYRNN_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )


def result(*arguments: Any, **options: Any) -> Any:
    """What the first process printed."""
    done = mpirun(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected_bits() -> dict[str, int]:
    with DataParallel(8).scope():
        results = {name: digest(*trained(name)) for name in MODELS}
        return results | {name: digest(*trained("lstm", name, epochs=1)) for name in OPTIMIZERS}


@pytest.mark.parametrize(("ranks", "threads"), [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (8, 1)])
def test_bits_at_any_number_of_processes(ranks: int, threads: int, expected_bits: dict[str, int]) -> None:
    assert result(ranks, "bits", threads=threads) == expected_bits


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_kind_of_data(ranks: int) -> None:
    with DataParallel(8).scope():
        expected = job.sources()
    assert result(ranks, "read") == expected


def test_the_first_process_prints_and_writes(tmp_path: Path) -> None:
    done = mpirun(2, "files", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Epoch 1/2") == 1
    assert done.stdout.count("finished saving model") == 2
    assert done.stdout.count("Total params") == 1
    assert sorted(os.listdir(tmp_path)) == ["backup", "best.keras", "log.csv", "model.keras"]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("killed", "batch", "resumed"), [(1, 2, 3), (1, 6, 1), (2, 9, 2)])
def test_resuming_with_another_number_of_processes(tmp_path: Path, killed: int, batch: int, resumed: int) -> None:
    with DataParallel(8).scope():
        expected = digest(*trained("recurrent_dropout", epochs=3))
    folder = str(tmp_path / "backup")
    assert mpirun(killed + 1, "resume", folder, killed, batch).returncode != 0
    assert result(resumed, "resume", folder, 0, 0) == expected


KILLS, EPOCHS = 50, 300


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    """A random process dies at a random moment; the next job has another number of processes and resumes."""
    with DataParallel(8).scope():
        expected = digest(*trained("recurrent_dropout", epochs=EPOCHS))
    chance, kills, ranks, ended, resumed = random.Random(1), 0, 1, 0, 0
    while kills < KILLS or not ended:
        ranks = chance.choice([number for number in (1, 2, 3, 4) if number != ranks])
        for file in tmp_path.glob("pid-*"):
            file.unlink()
        resumed += (tmp_path / "backup").exists()
        process = started(ranks, "killed", str(tmp_path), EPOCHS)
        if kills < KILLS:
            deadline = time.monotonic() + 60
            pids: list[str] = []
            while len(pids) < ranks or not all(pids):
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()
                pids = [file.read_text() for file in tmp_path.glob("pid-*")]
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1.5))
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(chance.choice(pids)), signal.SIGKILL)
        printed, problems = process.communicate(timeout=300)
        if process.returncode:
            assert kills < KILLS, problems
            assert "signal 9" in problems, problems
            kills += 1
        else:
            assert json.loads(printed.splitlines()[-1]) == expected
            ended += 1
    assert resumed > KILLS // 2
    print(f"{kills} kills, {resumed} jobs resumed, {ended} trainings ended")


SAME = "all processes must have the same"
FAULTS = {
    "error": ["Process 1 of 3 failed", "the disk is full"],
    "exit": ["process 1 of 3 has ended"],
    "kill": ["rank 1", "signal 9"],
    "hang": ["process 1 of 3 has not sent the outputs of its shards for 3 s"],
    "shards": [f"{SAME} shards, but process 1 has another than process 0: 4 and 8"],
    "data": [f"{SAME} first batch, but process 1"],
    "rows": [f"{SAME} data, but process 1"],
    "weights": [f"{SAME} weights, but process 1"],
    "layers": [f"{SAME} layers, but process 1"],
    "optimizer": [f"{SAME} loss, metrics and optimizer, but process 1"],
    "epochs": [f"{SAME} epochs and steps, but process 1 has another than process 0: [2, 5] and [1, 5]"],
    "stop": ["processes must do the same, but process"],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_ends_the_job_and_is_named(kind: str) -> None:
    begun = time.monotonic()
    done = mpirun(3, "fault", kind)
    assert done.returncode != 0
    assert time.monotonic() - begun < 60
    for text in FAULTS[kind]:
        assert text in " ".join((done.stderr + done.stdout).split()), done.stderr


def test_fewer_shards_than_processes() -> None:
    script = "import pyrnn; pyrnn.distributed.initialize(shards=1)"
    environment = {**os.environ, **ENVIRONMENT}
    command = [str(MPIRUN), "-n", "2", sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, cwd="/")
    assert done.returncode != 0
    assert "shards must be at least the number of processes, 2, got 1" in done.stderr


def test_a_process_without_mpi_has_all_shards() -> None:
    assert pyrnn.distributed.initialize(4).size == 1
    pyrnn.distributed.set_distribution(None)
