"""Campaigns that a person starts: `nox -s fuzz`. How long each takes and what it last found: docs/dev/testing.md.

What stands after `--` goes to pytest: `nox -s accuracy -- -k tanh`.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.sessions = ["coverage"]
nox.needs_version = ">=2024.10"
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")
# The release that tests/keras is known to agree with.
TORCH = "torch==2.13.0"


def setting(name: str, default: int) -> int:
    """How long a session runs, from the environment: for a short trial."""
    return int(os.environ.get(name, default))


def install_requirements(session: nox.Session, *extras: str) -> None:
    """What the package and its extras ask for, where the core is that of a variant."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    optional = project["optional-dependencies"]
    session.install(*project["dependencies"], *(line for extra in extras for line in optional[extra]))


def variant(session: nox.Session, kind: str, *command: str, **settings: str) -> None:
    """Run a command on a variant of the core (.ci/variant), built first."""
    folder = str(Path(session.create_tmp()).resolve() / kind)
    session.run("bash", ".ci/variant", kind, folder, external=True)
    session.run("bash", ".ci/variant", kind, folder, *command, external=True, env=settings)


@nox.session
def fuzz(session: nox.Session) -> None:
    """An hour of the fuzz targets under AddressSanitizer and UndefinedBehaviorSanitizer (PYRNN_FUZZ_MINUTES)."""
    install_requirements(session, "test", "dev")
    targets = sum(path.read_text(encoding="utf-8").count("\n@fuzz\n") for path in Path("tests/fuzz").glob("test_*.py"))
    seconds = 60 * setting("PYRNN_FUZZ_MINUTES", 60) / targets
    variant(session, "asan", *PYTEST, "tests/fuzz", *session.posargs, PYRNN_FUZZ_SECONDS=str(seconds))


@nox.session
def kills(session: nox.Session) -> None:
    """Two hundred SIGKILLs of a training that is begun again (PYRNN_KILLS)."""
    session.install(".[test]")
    session.run(*PYTEST, "-s", "-m", "slow", "tests/resume/test_kills.py", *session.posargs)


@nox.session
def repeats(session: nox.Session) -> None:
    """A thousand repeats of every test of threads (PYRNN_REPEATS)."""
    session.install(".[test,dev]")
    count = f"--count={setting('PYRNN_REPEATS', 1000)}"
    session.run(*PYTEST, "-m", "threads", count, *session.posargs)


@nox.session
def accuracy(session: nox.Session) -> None:
    """Every float32 through the activations that state their error."""
    session.install(".[test]")
    session.run(*PYTEST, "-m", "slow", "tests/kernel/test_operations.py", *session.posargs)


@nox.session
def memory(session: nox.Session) -> None:
    """Memory over 100,000 training steps, 1,000 models and 20,000 changing shapes."""
    session.install(".[test]")
    session.run(*PYTEST, "-m", "slow", "tests/processes/test_threads_and_forks.py", *session.posargs)


@nox.session
def tsan(session: nox.Session) -> None:
    """The tests of threads under ThreadSanitizer."""
    install_requirements(session, "test", "dev")
    variant(session, "tsan", *PYTEST, "-m", "threads", *session.posargs)


@nox.session
def keras(session: nox.Session) -> None:
    """The comparison with real Keras."""
    session.install(".[test,keras,dev]", TORCH)
    session.run(*PYTEST, "tests/keras", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines of Python and C++ that tests reach, as pages in htmlcov/; limits and exclusions: pyproject.toml."""
    session.install(TORCH)
    install_requirements(session, "test", "keras", "dev")
    folder = Path(session.create_tmp()).resolve()
    session.env["COVERAGE_FILE"] = str(folder / "lines")
    # Left out is what kills itself while it writes its counts, and threads, which hinder each other at counting.
    command = [*PYTEST, "--ignore=tests/resume/test_kills.py", "-m", "not slow and not threads", *session.posargs]
    variant(session, "coverage", *command, COVERAGE_PROCESS_START=str(Path("pyproject.toml").resolve()))
    session.run("bash", ".ci/lines", str(folder / "coverage"), "htmlcov", external=True)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def wheels(session: nox.Session) -> None:
    """A wheel for each Python, and the tests on it."""
    dist = Path(session.create_tmp()).resolve() / "dist"
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), ".")
    (wheel,) = dist.glob("*.whl")
    session.install(f"{wheel}[test]")
    session.run(*PYTEST, *session.posargs)
