"""Long test campaigns, started by hand: `nox -s fuzz`. docs/dev/testing.md says how long they take and what they found.

Arguments after `--` are passed to pytest: `nox -s accuracy -- -k tanh`.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.sessions = ["coverage"]
nox.needs_version = ">=2024.10"
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")
# The release with which tests/keras is known to agree.
TORCH = "torch==2.13.0"


def setting(name: str, default: int) -> int:
    """Return a number from the environment, so that a session can be shortened."""
    return int(os.environ.get(name, default))


def install_requirements(session: nox.Session, *extras: str) -> None:
    """Install the requirements of the package and its extras, for a session that uses a variant of the core."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    optional = project["optional-dependencies"]
    session.install(*project["dependencies"], *(line for extra in extras for line in optional[extra]))


def variant(session: nox.Session, kind: str, *command: str, **settings: str) -> None:
    """Build a variant of the core (.ci/variant) and run a command on it."""
    folder = str(Path(session.create_tmp()).resolve() / kind)
    session.run("bash", ".ci/variant", kind, folder, external=True)
    session.run("bash", ".ci/variant", kind, folder, *command, external=True, env=settings)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Run the fuzz targets for an hour under AddressSanitizer and UndefinedBehaviorSanitizer (PYRNN_FUZZ_MINUTES)."""
    install_requirements(session, "test", "dev")
    targets = sum(path.read_text(encoding="utf-8").count("\n@fuzz\n") for path in Path("tests/fuzz").glob("test_*.py"))
    seconds = 60 * setting("PYRNN_FUZZ_MINUTES", 60) / targets
    variant(session, "asan", *PYTEST, "tests/fuzz", *session.posargs, PYRNN_FUZZ_SECONDS=str(seconds))


@nox.session
def kills(session: nox.Session) -> None:
    """Kill a training run with SIGKILL two hundred times and resume it (PYRNN_KILLS)."""
    session.install(".[test]")
    session.run(*PYTEST, "-s", "-m", "slow", "tests/resume/test_kills.py", *session.posargs)


@nox.session
def ranks(session: nox.Session) -> None:
    """Kill a random process of a training on MPI fifty times, and resume it with another number of processes."""
    session.install(".[test,mpi]")
    session.run(*PYTEST, "-s", "-m", "slow", "tests/shards/test_mpi.py", *session.posargs)


@nox.session
def repeats(session: nox.Session) -> None:
    """Repeat every threading test a thousand times (PYRNN_REPEATS)."""
    session.install(".[test,dev]")
    count = f"--count={setting('PYRNN_REPEATS', 1000)}"
    session.run(*PYTEST, "-m", "threads", count, *session.posargs)


@nox.session
def accuracy(session: nox.Session) -> None:
    """Check the stated error of the activations on every float32."""
    session.install(".[test]")
    session.run(*PYTEST, "-m", "slow", "tests/kernel/test_operations.py", *session.posargs)


@nox.session
def memory(session: nox.Session) -> None:
    """Check that memory stays flat over 100,000 training steps, 1,000 models and 20,000 changing shapes."""
    session.install(".[test]")
    session.run(*PYTEST, "-m", "slow", "tests/processes/test_threads_and_forks.py", *session.posargs)


@nox.session
def tsan(session: nox.Session) -> None:
    """Run the threading tests under ThreadSanitizer."""
    install_requirements(session, "test", "dev")
    variant(session, "tsan", *PYTEST, "-m", "threads", *session.posargs)


@nox.session
def keras(session: nox.Session) -> None:
    """Run the comparison with real Keras."""
    session.install(".[test,keras,dev]", TORCH)
    session.run(*PYTEST, "tests/keras", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure coverage of Python and C++ and write pages to htmlcov/; pyproject.toml sets limits and exclusions."""
    session.install(TORCH)
    install_requirements(session, "test", "keras", "dev")
    folder = Path(session.create_tmp()).resolve()
    session.env["COVERAGE_FILE"] = str(folder / "lines")
    # Excluded: tests that kill the process while it writes its counts, and threads, which slow each other down when
    # counting.
    command = [*PYTEST, "--ignore=tests/resume/test_kills.py", "-m", "not slow and not threads", *session.posargs]
    variant(session, "coverage", *command, COVERAGE_PROCESS_START=str(Path("pyproject.toml").resolve()))
    session.run("bash", ".ci/lines", str(folder / "coverage"), "htmlcov", external=True)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def wheels(session: nox.Session) -> None:
    """Build a wheel for each Python and test it."""
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), ".")
    (wheel,) = dist.glob("*.whl")
    session.install(f"{wheel}[test]")
    session.run(*PYTEST, *session.posargs)
