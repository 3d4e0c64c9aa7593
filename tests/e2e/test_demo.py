"""cpp/demo, the first command of the README, from the build to the number 130.0."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def demo(repository: Path, tmp_path: Path, command: Run) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that plays the demo without its set-up (the tests have had it); `folders` come first on PATH."""

    def run(*folders: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        path = [*map(str, folders), str(Path(sys.executable).parent), os.environ["PATH"]]
        settings = {"FASTWHEEL_READY": "yes", "FASTWHEEL_DEMO": str(tmp_path / "demo"), "PATH": os.pathsep.join(path)}
        return command(repository / "cpp" / "demo", env={**os.environ, **settings}, check=check)

    return run


def test_the_demo_ends_with_the_number(demo: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    lines = demo().stdout.splitlines()
    assert lines[-1] == "130.0"
    assert any("libopenblas.so.0: cannot open shared object file" in line for line in lines)
    (wheel,) = (tmp_path / "demo" / "wheelhouse").iterdir()
    assert "manylinux" in wheel.name
    for stem in ("openblas", "gfortran"):
        assert any(line.startswith(f"example_pkg.libs/lib{stem}") for line in lines)


def test_the_demo_notices_a_repair_that_does_nothing(
    demo: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = folder / "fastwheel"
    fake.write_text('#!/bin/sh\n[ "$1" = show ] || { mkdir -p "$3" && cp "$4" "$3"; }\n')
    fake.chmod(0o755)
    done = demo(folder, check=False)
    assert done.returncode != 0
    assert "130.0" not in done.stdout
