"""Owners by rpm's databases: those that rpm 4.16 and Berkeley DB 5.3 wrote, and headers made here.

`rpmdb/` holds one set of four small packages in each format (`rpm -i --justdb` with `_db_backend` sqlite and ndb; the
headers of the former through `db5.3_load` in both byte orders).
"""

from __future__ import annotations

import lzma
import sqlite3
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fastwheel.deps.packages import Package, owners

DATABASES = Path(__file__).parent / "rpmdb"
FORMATS = {
    "rpmdb.sqlite": "rpmdb.sqlite",
    "Packages.db": "Packages.db",
    "Packages": "Packages",
    "Packages.big-endian": "Packages",
}
Value = str | int | list[str] | list[int] | bytes
Install = Callable[[str, bytes], Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Put a file into the folder of rpm's database; return the root."""
    for folder in ("var/lib/rpm", "etc", "usr/lib64"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("usr/lib64")
    (tmp_path / "etc/os-release").write_text('ID="almalinux"\nID_LIKE="rhel centos fedora"\n')

    def put(name: str, content: bytes) -> Path:
        (tmp_path / "var/lib/rpm" / name).write_bytes(content)
        return tmp_path

    return put


def stored(name: str) -> bytes:
    return lzma.decompress((DATABASES / f"{name}.xz").read_bytes())


EXPECTED = {
    "/usr/lib64/libopenblas.so.0": ("openblas", "0.3.3-5.el8", "x86_64", None),
    "/usr/lib64/libstdc++.so.6.0.25": ("libstdc++", "8.5.0-22.el8_10", "x86_64", None),
    "/usr/lib64/libz.so.1.2.11": ("zlib", "1.2.11-25.el8", "x86_64", 2),
    "/usr/lib64/libbig.so.1.5": ("big-files", "1.5-1", "noarch", None),
}


@pytest.mark.parametrize("name", FORMATS)
def test_real_databases(install: Install, name: str) -> None:
    root = install(FORMATS[name], stored(name))
    notes: list[str] = []
    found = owners([*EXPECTED, "/usr/lib64/libnot.so.1"], root=root, notes=notes)
    assert notes == []
    assert found == {
        path: Package("rpm", package, version, arch, "almalinux", package, epoch)
        for path, (package, version, arch, epoch) in EXPECTED.items()
    }
    assert found["/usr/lib64/libstdc++.so.6.0.25"].purl == "pkg:rpm/almalinux/libstdc%2B%2B@8.5.0-22.el8_10"
    assert [path.name for path in (root / "var/lib/rpm").iterdir()] == [FORMATS[name]], "left something behind"


def test_a_database_that_moved(install: Install) -> None:
    root = install("rpmdb.sqlite", stored("rpmdb.sqlite"))
    (root / "usr/lib/sysimage").mkdir(parents=True)
    (root / "var/lib/rpm").rename(root / "usr/lib/sysimage/rpm")
    (root / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
    assert set(owners(list(EXPECTED), root=root)) == set(EXPECTED)


def test_the_newest_format_wins_and_a_damaged_one_is_passed_over(install: Install) -> None:
    install("Packages", stored("Packages"))
    root = install("rpmdb.sqlite", b"SQLite format 3\0" + bytes(4096))
    notes: list[str] = []
    assert set(owners(list(EXPECTED), root=root, notes=notes)) == set(EXPECTED)
    assert len(notes) == 1
    assert "rpmdb.sqlite cannot be read" in notes[0]


def header(tags: Mapping[int, tuple[int, Value]]) -> bytes:
    """A header: the two counts, an entry for each tag, the data."""
    entries, data = b"", b""
    for tag, (kind, value) in tags.items():
        count = 1
        if kind == 4:
            numbers = value if isinstance(value, list) else [value]
            data += bytes(-len(data) % 4)
            raw, count = b"".join(struct.pack(">I", number) for number in numbers), len(numbers)
        elif kind == 1:
            assert isinstance(value, bytes)
            raw, count = value, len(value)
        else:
            strings = value if isinstance(value, list) else [value]
            raw, count = b"".join(str(text).encode() + b"\0" for text in strings), len(strings)
        entries += struct.pack(">IIII", tag, kind, len(data), count)
        data += raw
    return struct.pack(">II", len(tags), len(data)) + entries + data


def tags(**changes: tuple[int, Value] | None) -> dict[int, tuple[int, Value]]:
    numbers = {
        "name": 1000, "version": 1001, "release": 1002, "arch": 1022, "states": 1029, "source": 1044,
        "indexes": 1116, "names": 1117, "folders": 1118,
    }  # fmt: skip
    whole: dict[str, tuple[int, Value] | None] = {
        "name": (6, "foo"),
        "version": (6, "1.0"),
        "release": (6, "2"),
        "arch": (6, "x86_64"),
        "source": (6, "foo-src-1.0-2.src.rpm"),
        "indexes": (4, [0, 1]),
        "names": (8, ["foo.txt", "libfoo.so.1"]),
        "folders": (8, ["/usr/share/", "/usr/lib64/"]),
        **changes,
    }
    return {numbers[key]: value for key, value in whole.items() if value is not None}


def sqlite(path: Path, blobs: list[bytes], names: list[str]) -> bytes:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        database.execute("CREATE TABLE Basenames (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
        for number, blob in enumerate(blobs, 1):
            database.execute("INSERT INTO Packages VALUES (?, ?)", (number, blob))
            for name in names:
                database.execute("INSERT INTO Basenames VALUES (?, ?, 0)", (name, number))
    database.close()
    return path.read_bytes()


def own(install: Install, tmp_path: Path, *blobs: bytes) -> tuple[Package | None, list[str]]:
    root = install("rpmdb.sqlite", sqlite(tmp_path / "made", list(blobs), ["libfoo.so.1"]))
    notes: list[str] = []
    return owners(["/usr/lib64/libfoo.so.1"], root=root, notes=notes).get("/usr/lib64/libfoo.so.1"), notes


FOO = Package("rpm", "foo", "1.0-2", "x86_64", "almalinux", "foo-src")


@pytest.mark.parametrize("folder", ["/usr/lib64/", "/lib64/"])
def test_either_spelling_of_a_merged_usr(install: Install, tmp_path: Path, folder: str) -> None:
    assert own(install, tmp_path, header(tags(folders=(8, ["/usr/share/", folder])))) == (FOO, [])


@pytest.mark.parametrize(
    ("state", "owned"),
    [(0, True), (1, False), (2, False), (3, True), (4, False)],
    ids=["normal", "replaced", "not installed", "on a shared file system", "of another processor"],
)
def test_states_of_files(install: Install, tmp_path: Path, state: int, owned: bool) -> None:
    assert own(install, tmp_path, header(tags(states=(1, bytes([0, state]))))) == (FOO if owned else None, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"indexes": (4, [0, 7])},
        {"indexes": (4, [0])},
        {"indexes": (6, "x")},
        {"indexes": None},
        {"names": None},
        {"names": (4, [1, 2])},
        {"folders": None},
        {"folders": (8, ["/usr/share/", "/opt/"])},
    ],
)
def test_contradictory_lists_of_files(
    install: Install, tmp_path: Path, changes: dict[str, tuple[int, Value] | None]
) -> None:
    assert own(install, tmp_path, header(tags(**changes))) == (None, [])


@pytest.mark.parametrize("missing", ["name", "version", "release"])
def test_a_package_without_a_name(install: Install, tmp_path: Path, missing: str) -> None:
    found, notes = own(install, tmp_path, header(tags(**{missing: None})))
    assert found is None
    assert notes == ["rpm's database does not name the package of /usr/lib64/libfoo.so.1"]


def test_what_may_be_missing(install: Install, tmp_path: Path) -> None:
    found, notes = own(install, tmp_path, header(tags(arch=None, source=None)))
    assert (found, notes) == (Package("rpm", "foo", "1.0-2", None, "almalinux"), [])


def test_a_damaged_header_does_not_hide_the_next(install: Install, tmp_path: Path) -> None:
    whole = header(tags())
    found, notes = own(install, tmp_path, whole[:-1], b"", b"\xff" * 64, whole)
    assert found == FOO
    assert len(notes) == 2
    assert all("is damaged" in note for note in notes)


def test_an_endless_view_is_left(install: Install, tmp_path: Path) -> None:
    """A database can hold a query that never ends in place of the table."""
    with sqlite3.connect(tmp_path / "made") as database:
        database.execute(
            "CREATE VIEW Basenames AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum + 1 FROM n)"
            " SELECT hnum, 'x' || hnum AS key FROM n"
        )
    database.close()
    root = install("rpmdb.sqlite", (tmp_path / "made").read_bytes())
    notes: list[str] = []
    assert owners(["/usr/lib64/libfoo.so.1"], root=root, notes=notes) == {}
    assert len(notes) == 1
    assert "interrupted" in notes[0]


def test_what_is_still_in_the_journal_counts(install: Install, tmp_path: Path) -> None:
    root = install("x", b"")
    path = root / "var/lib/rpm/rpmdb.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        writer.execute("CREATE TABLE Basenames (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
        writer.execute("INSERT INTO Packages VALUES (1, ?)", (header(tags()),))
        writer.execute("INSERT INTO Basenames VALUES ('libfoo.so.1', 1, 1)")
        assert owners(["/usr/lib64/libfoo.so.1"], root=root) == {"/usr/lib64/libfoo.so.1": FOO}
    finally:
        writer.close()
