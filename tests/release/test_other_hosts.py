"""The pure wheel on other systems: macOS can do everything, Windows imports it and is told what it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("other_host.py")


def run(system: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as on another system."""
    line = [sys.executable, PROGRAM, system, *arguments]
    return subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_every_module_can_be_imported(system: str) -> None:
    done = run(system, "--modules")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60


def test_macos_repairs(
    built_wheel: Callable[[str], Path], repaired_wheel: Callable[[str], Path], tmp_path: Path
) -> None:
    """The same contents as here."""
    done = run("darwin", "repair", "-w", tmp_path, built_wheel("example-pkg"))
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.iterdir()
    assert made.name == repaired_wheel("example-pkg").name
    with zipfile.ZipFile(made) as ours, zipfile.ZipFile(repaired_wheel("example-pkg")) as theirs:
        assert ours.namelist() == theirs.namelist()
        for name in ours.namelist():
            assert ours.read(name) == theirs.read(name), name


@pytest.mark.parametrize("verb", ["show", "verify", "explain", "tree"])
def test_macos_reads(verb: str, repaired_wheel: Callable[[str], Path]) -> None:
    done = run("darwin", verb, repaired_wheel("example-pkg"))
    assert done.returncode == 0, done.stderr
    assert "manylinux" in done.stdout


def test_windows_is_told(repaired_wheel: Callable[[str], Path]) -> None:
    done = run("win32", "show", repaired_wheel("example-pkg"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: "), done.stderr
    assert "WSL" in done.stderr
    assert run("win32", "--version").stdout.startswith("fastwheel ")
    assert "Examples:" in run("win32", "repair", "--help").stdout
