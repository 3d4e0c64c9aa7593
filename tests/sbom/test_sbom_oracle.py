"""The bill of materials beside auditwheel's of the same libraries."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from auditwheel.sboms import create_sbom_for_wheel
from packageurl import PackageURL

from fastwheel.deps.packages import owners
from fastwheel.sbom import GraftedLibrary, make_sbom

WHEEL = "example_pkg-1.0-cp312-cp312-manylinux_2_36_x86_64.whl"
#: Libraries that each Debian with a compiler has; auditwheel loses those that dpkg lists below /lib.
SONAMES = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libgmp.so.10", "libbz2.so.1.0", "liblzma.so.5")


@pytest.fixture(scope="module")
def libraries() -> list[Path]:
    (folder,) = {path.parent for path in Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6")}
    return [(folder / name).resolve(strict=True) for name in SONAMES]


def test_components(libraries: list[Path], tmp_path: Path) -> None:
    built = tmp_path / "libbuilt.so.1.2"
    built.write_bytes(b"\x7fELF")
    files = [*libraries, built]
    theirs = create_sbom_for_wheel(WHEEL, files)
    assert theirs is not None
    found = owners([str(path) for path in files])
    grafts = [
        GraftedLibrary(path.name, soname, str(path), f"example_pkg.libs/{path.name}", digest, digest)
        for path, soname in zip(files, [*SONAMES, "libbuilt.so.1"], strict=True)
        for digest in [sha256(path.read_bytes()).hexdigest()]
    ]
    ours = json.loads(make_sbom("example_pkg", "1.0", WHEEL, grafts, found, {}))

    def told(component: dict[str, str]) -> tuple[str, str, PackageURL]:
        return component["name"], component["version"], PackageURL.from_string(component["purl"])

    wheel, *peers = theirs["components"]
    assert told(ours["metadata"]["component"]) == told(wheel)
    by_package = {told(component) for component in ours["components"] if "purl" in component}
    assert len(peers) >= 2
    assert {told(component) for component in peers} <= by_package
    # and what it misses
    assert len(ours["components"]) == len(files)
    assert len(by_package) == len(libraries)
    (alone,) = (component for component in ours["components"] if "purl" not in component)
    assert (alone["name"], alone["version"]) == ("libbuilt", "1.2")
    assert theirs["specVersion"] == ours["specVersion"]
    assert set(theirs) <= set(ours)
