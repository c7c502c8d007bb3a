"""`.ci/release`: what a tag must agree with."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyrnn

ROOT = Path(__file__).parents[2]
CHANGES = "# Changelog\n\n## {entry}\n\n- Wheels.\n\n## 0.9.0 (2026-01-01)\n\n- Older.\n"


def release(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / ".ci" / "release"), tag]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project whose files name version 1.0.0."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    (tmp_path / "pyrnn").mkdir()
    (tmp_path / "pyrnn" / "__init__.py").write_text('"""Networks."""\n\n__version__ = "1.0.0"\n')
    (tmp_path / "conda").mkdir()
    (tmp_path / "conda" / "recipe.yaml").write_text('context:\n  version: "1.0.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.0.0\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES.format(entry="1.0.0 (2026-12-01)"))
    return tmp_path


def test_the_newest_entry_is_printed(checkout: Path) -> None:
    assert release(checkout, "v1.0.0").stdout == "- Wheels.\n"


@pytest.mark.parametrize(
    "name, text",
    [
        ("pyrnn/__init__.py", '__version__ = "1.0.1"\n'),
        ("pyrnn/__init__.py", ""),
        ("conda/recipe.yaml", 'context:\n  version: "1.0.1"\n'),
        ("CITATION.cff", "version: 0.9.0\n"),
        ("CHANGELOG.md", CHANGES.format(entry="1.0.1 (2026-12-01)")),
        ("CHANGELOG.md", CHANGES.format(entry="1.0.0 (unreleased)")),
        ("CHANGELOG.md", "# Changelog\n"),
    ],
)
def test_disagreement_ends_the_release(checkout: Path, name: str, text: str) -> None:
    (checkout / name).write_text(text)
    run = release(checkout, "v1.0.0")
    assert run.returncode == 1 and name in run.stderr and not run.stdout


def test_this_checkout_agrees() -> None:
    """All files name the same version; the changelog's newest entry may be unreleased."""
    run = release(ROOT, f"v{pyrnn.__version__}")
    assert run.returncode == 0 or run.stderr == "CHANGELOG.md: replace (unreleased) by the date\n"


def test_the_recipe_names_the_requirements_of_the_package() -> None:
    """The conda recipe's requirements at build and run time are those of pyproject.toml."""
    project = (ROOT / "pyproject.toml").read_text()
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    for key, section in (("requires", "host"), ("dependencies", "run")):
        listed = re.search(rf"^{key} = \[(.+)\]$", project, re.MULTILINE)
        needed = re.search(rf"^  {section}:\n((?:    - .+\n)+)", recipe, re.MULTILINE)
        assert listed is not None and needed is not None
        packages = {line.removeprefix("    - ").replace(" ", "") for line in needed[1].splitlines()}
        assert set(re.findall(r'"(.+?)"', listed[1])) == packages - {"python", "pip"}
