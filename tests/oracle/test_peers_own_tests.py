"""auditwheel's own tests that run it as a program, with fastwheel in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from peer import sdist


def test_tests_that_run_a_program_named_auditwheel(tmp_path: Path) -> None:
    """Those of its tests that need neither Docker nor its insides; a count keeps them from being none."""
    tree = tmp_path / "tree"
    shutil.copytree(sdist() / "tests", tree / "tests")
    program = tmp_path / "bin" / "auditwheel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastwheel "$@"\n')
    program.chmod(0o755)
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tree)]
    line += ["--confcutdir", str(tree)]
    environ = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    environ.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [*line, "tests/integration/test_nonplatform_wheel.py"], cwd=tree, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "34 passed" in done.stdout


@pytest.mark.parametrize(
    ("excludes", "external"),
    [
        ((), {"libffi.so.5"}),
        (("libffi.so.5", "libpython2.7.so.1.0"), set()),
        (("libffi.so.noexist", "libnoexist.so.*"), {"libffi.so.5"}),
        (("libffi.so.[4,5]",), set()),
        (("libffi.so.[6,7]",), {"libffi.so.5"}),
        (("libffi.so.*",), set()),
        (("*",), set()),
    ],
)
def test_patterns_of_exclude(excludes: tuple[str, ...], external: set[str]) -> None:
    """Its cases of `--exclude`, which `show` knows here too."""
    import fastwheel

    wheel = sdist() / "tests" / "bundled-wheels" / "cffi-1.5.0-cp27-none-linux_x86_64.whl"
    verdict = fastwheel.audit(wheel, exclude=excludes, environ={})
    names = {reference.soname for reference in verdict.findings[0].references}
    assert {name for name in names if not name.startswith("libpython")} == external


@pytest.mark.parametrize("variable", ["LD_LIBRARY_PATH", "AUDITWHEEL_LD_LIBRARY_PATH", ""])
def test_pattern_of_exclude_that_is_a_path(variable: str) -> None:
    """A pattern may mean the real path, which is known only where the library is found."""
    import fastwheel

    folder = sdist() / "tests" / "integration"
    wheel = sdist() / "tests" / "bundled-wheels" / "cffi-1.5.0-cp27-none-linux_x86_64.whl"
    environ = {variable: str(folder)} if variable else {}
    verdict = fastwheel.audit(wheel, exclude=[f"{folder}/*"], environ=environ)
    names = {reference.soname for reference in verdict.findings[0].references}
    assert ("libffi.so.5" in names) == (not variable)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (315532799, (1980, 1, 1, 0, 0, 0)),
        (315532801, (1980, 1, 1, 0, 0, 0)),
        (315532802, (1980, 1, 1, 0, 0, 2)),
        (650203201, (1990, 8, 9, 12, 0, 0)),
    ],
)
def test_source_date_epoch(tmp_path: Path, given: int, written: tuple[int, ...]) -> None:
    """Its cases of SOURCE_DATE_EPOCH; here the time is that of new members only."""
    import zipfile

    import fastwheel

    wheel = sdist() / "tests" / "bundled-wheels" / "musllinux_1_2" / "testsimple-0.0.1-cp312-cp312-linux_x86_64.whl"
    done = fastwheel.repair(wheel, tmp_path, environ={"SOURCE_DATE_EPOCH": str(given)})
    assert done.path is not None
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(done.path) as after:
        old = {entry.filename: entry.CRC for entry in before.infolist()}
        new = [entry for entry in after.infolist() if old.get(entry.filename) != entry.CRC]
        assert new
        assert {entry.date_time for entry in new} == {written}
