"""Owners of this machine's own libraries, as dpkg and auditwheel tell them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from auditwheel._vendor.whichprovides import whichprovides
from packageurl import PackageURL

from fastwheel.deps.packages import Package, owners


def _query(*arguments: str) -> str:
    # paths without an owner make the status 1
    run = subprocess.run(["dpkg-query", *arguments], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def libraries() -> list[str]:
    found = {path.resolve() for path in Path("/usr/lib").glob("*-linux-gnu/**/*.so*")}
    paths = sorted(str(path) for path in found if path.is_file())
    assert len(paths) >= 100
    return paths


def test_dpkg_says_the_same(libraries: list[str]) -> None:
    spellings = {spelled: path for path in libraries for spelled in (path, path.removeprefix("/usr"))}
    expected: dict[str, set[tuple[str, str]]] = {}
    versions: dict[str, str] = {}
    for line in _query("-W", "-f", "${binary:Package}\t${Version}\t${Package}\n").splitlines():
        label, version, name = line.split("\t")
        versions[label] = versions[name] = version
    for line in _query("-S", *spellings).splitlines():
        labels, _, path = line.rpartition(": ")
        if labels.startswith("diversion by "):
            continue
        for label in labels.split(", "):
            expected.setdefault(spellings[path], set()).add((label.partition(":")[0], versions[label]))
    found = owners(libraries)
    assert set(found) == set(expected)
    differing = [path for path in libraries if path in found and _pair(found[path]) not in expected[path]]
    assert differing == []


def _pair(package: Package) -> tuple[str, str]:
    return package.name, package.version


def test_auditwheel_says_the_same_where_it_finds_the_owner(libraries: list[str]) -> None:
    some = libraries[:: max(1, len(libraries) // 20)]
    theirs, ours = whichprovides(some), owners(some)
    assert len(theirs) >= 10
    for path, package in theirs.items():
        assert (ours[path].name, ours[path].version) == (package.package_name, package.package_version)
        assert PackageURL.from_string(ours[path].purl) == PackageURL.from_string(package.purl)
        # its purl also encodes the colon of an epoch, which the specification leaves alone
        assert ours[path].purl == package.purl.replace("%3A", ":") == PackageURL.from_string(package.purl).to_string()


def test_a_file_of_no_package(tmp_path: Path) -> None:
    path = tmp_path / "libc.so.6"
    path.touch()
    assert owners([str(path)]) == {}
