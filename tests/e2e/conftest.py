"""Virtual environments with one wheel in them, and the clean root to run their Python in."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installed(command: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function: a wheel ↦ the folder of a fresh virtual environment in which pip has installed just it."""
    kept: dict[Path, Path] = {}

    def environment(wheel: Path) -> Path:
        if wheel not in kept:
            folder = tmp_path_factory.mktemp("environment") / "venv"
            command(sys.executable, "-m", "venv", "--without-pip", folder)
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
            command(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel)
            kept[wheel] = folder
        return kept[wheel]

    return environment


@pytest.fixture(scope="session")
def clean_root(command: Run, repository: Path) -> Run:
    """A function: run the Python of a virtual environment where only allowlisted libraries exist; see clean_root.py."""
    script = repository / "tests" / "e2e" / "clean_root.py"

    def run(environment: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return command(sys.executable, script, environment, *arguments, check=check)

    return run


@pytest.fixture(scope="session")
def allowlist(repository: Path) -> frozenset[str]:
    """The names of the libraries that a manylinux wheel may expect, as the clean root has them."""
    return frozenset(runpy.run_path(str(repository / "tests" / "e2e" / "clean_root.py"))["ALLOWLIST"])
