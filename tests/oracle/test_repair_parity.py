"""fastwheel's wheels against those that auditwheel makes of the same wheels, on the same machine, in the same run."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

Run = Callable[..., subprocess.CompletedProcess[str]]
Wheel = Callable[[str], Path]


@pytest.fixture(scope="session")
def peer_wheel(built_wheel: Wheel, command: Run, tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """A function: the name of a package ↦ its wheel after `auditwheel repair`."""
    kept: dict[str, Path] = {}

    def wheel(name: str) -> Path:
        if name not in kept:
            folder = tmp_path_factory.mktemp("peer")
            command("auditwheel", "repair", "-w", folder, built_wheel(name))
            (kept[name],) = folder.iterdir()
        return kept[name]

    return wheel


def files(wheel: Path) -> set[str]:
    """Return the members of a wheel that are files, but for the peer's list of what it grafted (its own invention)."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/") and "/sboms/" not in name}


def test_same_file_name(real_package: str, repaired_wheel: Wheel, peer_wheel: Wheel) -> None:
    ours, theirs = repaired_wheel(real_package), peer_wheel(real_package)
    tags = [{tag.platform for tag in parse_wheel_filename(wheel.name)[3]} for wheel in (ours, theirs)]
    assert tags[0] == tags[1]
    assert all(tag.startswith("manylinux") for tag in tags[0])
    assert ours.name == theirs.name


def test_same_grafts_under_the_same_names(real_package: str, repaired_wheel: Wheel, peer_wheel: Wheel) -> None:
    ours, theirs = files(repaired_wheel(real_package)), files(peer_wheel(real_package))
    assert ours == theirs
    assert any(".libs/" in name for name in ours)


def test_same_needs_of_every_file(
    real_package: str, repaired_wheel: Wheel, peer_wheel: Wheel, command: Run, tmp_path: Path
) -> None:
    """DT_NEEDED (in order: it decides who wins a symbol) and DT_SONAME of each ELF file, as readelf reads them."""

    def read(wheel: Path, folder: Path) -> dict[str, list[str]]:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        found = {}
        for path in sorted(folder.rglob("*.so*")):
            lines = command("readelf", "--dynamic", "--wide", path, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
            kept = [
                line.split(")", 1)[1].strip() for line in lines.splitlines() if "(NEEDED)" in line or "(SONAME)" in line
            ]
            found[str(path.relative_to(folder))] = kept
        return found

    ours = read(repaired_wheel(real_package), tmp_path / "ours")
    assert ours == read(peer_wheel(real_package), tmp_path / "theirs")
    assert any("-" in line for lines in ours.values() for line in lines)


def test_auditwheel_accepts_the_wheel(
    real_package: str, repaired_wheel: Wheel, peer_wheel: Wheel, command: Run
) -> None:
    ours, theirs = (
        json.loads(command("auditwheel", "show", "--json", wheel).stdout)
        for wheel in (repaired_wheel(real_package), peer_wheel(real_package))
    )
    assert ours["external_libs"] == {}
    assert ours == theirs
    assert ours["overall_tag"] in {tag.platform for tag in parse_wheel_filename(ours["wheel"])[3]}
