"""Damaged databases cost their answers, never a crash, a hang or a wrong type."""

from __future__ import annotations

import lzma
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastwheel.deps.packages import Package, owners

REAL = Path(__file__).parent / "rpmdb"
PATHS = ["/usr/lib64/libopenblas.so.0", "/usr/lib64/libz.so.1.2.11", "/usr/lib64/libnot.so.1"]

_words = st.sampled_from(
    [
        b"\n", b"\n\n", b"\r\n", b"\0", b"\xff", b"/usr/lib64/libz.so.1.2.11", b"libz.so.1.2.11", b"/usr/lib64/", b"//",
        b"Package: zlib\n", b"Version: 1\n", b"Status: install ok installed\n", b"Source:", b"Architecture: amd64\n",
        b"P:zlib\n", b"V:1\n", b"F:usr/lib64\n", b"R:libz.so.1.2.11\n", b"F:", b"R:", b"zlib", b":", b"0" * 32, b"  ",
        b"/usr/lib64/other\n",
    ]
)  # fmt: skip
texts = st.lists(_words | st.binary(max_size=8), max_size=40).map(b"".join)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        top = Path(folder)
        for place in ("var/lib/dpkg/info", "var/lib/dpkg/status.d", "lib/apk/db", "var/lib/rpm", "etc"):
            (top / place).mkdir(parents=True)
        yield top


def check(root: Path) -> dict[str, Package]:
    notes: list[str] = []
    found = owners(PATHS, root=root, notes=notes)
    for path, package in found.items():
        assert path in PATHS
        assert package.name
        assert package.version
        assert package.purl.isascii()
        assert package.purl.isprintable()
    assert all(note.isprintable() for note in notes), notes
    return found


@given(info=texts, status=texts, diversions=texts, sums=texts, apk=texts, release=texts)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_texts(
    root: Path, info: bytes, status: bytes, diversions: bytes, sums: bytes, apk: bytes, release: bytes
) -> None:
    (root / "var/lib/dpkg/info/zlib:amd64.list").write_bytes(info)
    (root / "var/lib/dpkg/info/zlib.list").write_bytes(info)
    (root / "var/lib/dpkg/status").write_bytes(status)
    (root / "var/lib/dpkg/diversions").write_bytes(diversions)
    (root / "var/lib/dpkg/status.d/zlib").write_bytes(status)
    (root / "var/lib/dpkg/status.d/zlib.md5sums").write_bytes(sums)
    (root / "lib/apk/db/installed").write_bytes(apk)
    (root / "etc/os-release").write_bytes(release)
    check(root)


@pytest.fixture(scope="module")
def rpm_root() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        (Path(folder) / "var/lib/rpm").mkdir(parents=True)
        yield Path(folder)


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages.db", "Packages", "Packages.big-endian"])
@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_rpm_databases(rpm_root: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(lzma.decompress((REAL / f"{name}.xz").read_bytes()))
    kind = data.draw(st.sampled_from(["patch", "cut", "noise"]))
    if kind == "noise":
        start = content[: data.draw(st.sampled_from([0, 16, 32, 512]))]
        content = start + data.draw(st.binary(max_size=300))
    elif kind == "cut":
        del content[data.draw(st.integers(0, len(content))) :]
    else:
        for _ in range(data.draw(st.integers(1, 12))):
            # the tables at the start matter most
            end = data.draw(st.sampled_from([64, 600, 4096, 8192, len(content)]))
            at = data.draw(st.integers(0, end - 1))
            patch = data.draw(st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0"]) | st.binary(max_size=8))
            content[at : at + len(patch)] = patch
    target = rpm_root / "var/lib/rpm" / name.partition(".big")[0]
    target.write_bytes(content)
    try:
        check(rpm_root)
    finally:
        target.unlink()


def test_chains_of_pages_that_overlap(rpm_root: Path) -> None:
    """Berkeley DB: chains that lead back to their start and claim all of the file are not followed for long."""
    content = bytearray(lzma.decompress((REAL / "Packages.xz").read_bytes()))
    for start in range(0, len(content), 4096):
        kind = content[start + 25]
        if kind == 7:
            content[start + 16 : start + 20] = (start // 4096).to_bytes(4, "little")
        elif kind in (2, 13):
            count = int.from_bytes(content[start + 20 : start + 22], "little")
            for slot in range(start + 26, start + 26 + 2 * count, 2):
                at = start + int.from_bytes(content[slot : slot + 2], "little")
                if content[at] == 3:
                    content[at + 8 : at + 12] = len(content).to_bytes(4, "little")
    target = rpm_root / "var/lib/rpm/Packages"
    target.write_bytes(content)
    notes: list[str] = []
    try:
        assert owners(PATHS[2:], root=rpm_root, notes=notes) == {}
    finally:
        target.unlink()
    assert "chains of pages that overlap" in notes[-1]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("var/lib/dpkg/info/zlib.list", b"/opt/libz.so.1.2.11\n"),
        ("var/lib/dpkg/info/zlib.list", b"/libz.so.1.2.11"),
        ("var/lib/dpkg/status", b"Package: zlib\n"),
        ("lib/apk/db/installed", b"R:libz.so.1.2.11\n"),
        ("lib/apk/db/installed", b"F:opt\nR:libz.so.1.2.11\n\n"),
    ],
)
def test_time_grows_with_size_only(tmp_path: Path, place: str, line: bytes) -> None:
    """One line a hundred thousand times over: a search that starts again for each would take minutes."""
    for folder in ("var/lib/dpkg/info", "lib/apk/db"):
        (tmp_path / folder).mkdir(parents=True)
    # no paragraph of the status is for this processor, so each is looked at
    (tmp_path / "var/lib/dpkg/info/zlib:amd64.list").write_bytes(b"/usr/lib64/libz.so.1.2.11\n")
    (tmp_path / place).write_bytes(line * 100_000)
    begin = time.monotonic()
    check(tmp_path)
    assert time.monotonic() - begin < 20
