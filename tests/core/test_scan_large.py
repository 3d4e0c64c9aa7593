"""Members too large to be held in memory: the same facts from the parts that are kept, wherever the tables are."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

import pytest

from fastwheel import engine
from fastwheel._elf.facts import read
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("chosen")

_DEFLATED: Final = zipfile.ZIP_DEFLATED
_GAP: Final = 34 << 20
_PHDR: Final = struct.Struct("<IIQQQQQQ")
_LOAD, _DYNAMIC = 1, 2


@pytest.fixture(scope="module")
def library(system_libraries: list[Path]) -> bytes:
    """One of 64 bits, little-endian, with some tables."""
    for path in system_libraries:
        data = path.read_bytes()
        if data[4:6] == b"\2\1" and len(data) > 20_000 and read(data).version_needs:
            return data
    raise AssertionError("no library to test with")


def _headers(library: bytes) -> list[list[int]]:
    offset, count = struct.unpack_from("<Q", library, 32)[0], struct.unpack_from("<H", library, 56)[0]
    return [list(_PHDR.unpack_from(library, offset + at * _PHDR.size)) for at in range(count)]


def _filler(size: int) -> bytes:
    """Bytes that are not zero, and soon compressed."""
    return (os.urandom(997) * (size // 997 + 1))[:size]


def _file(library: bytes, headers: list[list[int]], *rest: bytes) -> bytes:
    """A file with these program headers, 4 KiB with its ELF header, and the rest."""
    start = bytearray(library[:64])
    struct.pack_into("<Q", start, 32, 64)
    start += b"".join(_PHDR.pack(*header) for header in headers)
    return b"".join([bytes(start).ljust(4096, b"\0"), *rest])


def behind(library: bytes, *, code: bool) -> bytes:
    """The library behind 34 MiB; `code`: nothing tells that its first segment has the tables."""
    headers = _headers(library)
    for header in headers:
        header[2] += 4096 + _GAP
    first = next(header for header in headers if header[0] == _LOAD)
    first[1] = first[1] | 1 if code else first[1] & ~1
    return _file(library, headers, _filler(_GAP), library)


def spread(library: bytes) -> bytes:
    """The library twice with 34 MiB between: the first copy has the tables, the second the dynamic section."""
    headers = _headers(library)
    dynamic = next(header for header in headers if header[0] == _DYNAMIC)
    second = 4096 + len(library) + _GAP
    for header in headers:
        header[2] += second if header[2] <= dynamic[2] < header[2] + max(header[5], 1) else 4096
    return _file(library, headers, library, _filler(_GAP), library)


def ahead(library: bytes) -> bytes:
    """The same with the dynamic section in the first copy."""
    headers = _headers(library)
    dynamic = next(header for header in headers if header[0] == _DYNAMIC)
    second = 4096 + len(library) + _GAP
    for header in headers:
        header[2] += 4096 if header[2] <= dynamic[2] < header[2] + max(header[5], 1) else second
    return _file(library, headers, library, _filler(_GAP), library)


_LAYOUTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "behind": lambda library: behind(library, code=False),
    "behind-code": lambda library: behind(library, code=True),
    "spread": spread,
    "ahead": ahead,
    "padded": lambda library: library + _filler(_GAP),
    "cut": lambda library: behind(library, code=True)[:-20_000],
    "magic": lambda _library: b"\x7fELF" + _filler(_GAP),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, write_zip: Callable, library: bytes) -> Any:
    """Each layout as a member, "ahead" as a stored one too."""
    members = {layout: (make(library), _DEFLATED) for layout, make in _LAYOUTS.items()}
    members["stored"] = (members["ahead"][0], zipfile.ZIP_STORED)
    return write_zip(tmp_path_factory.mktemp("large") / "made.whl", members)


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("layout", [*sorted(_LAYOUTS), "stored"])
def test_facts_of_a_large_member(archive: Any, layout: str, digest: bool) -> None:
    content = archive.contents[layout]
    (result,) = archive.scan(layout, digest=digest)
    assert result.fault is None
    assert result.sha256 == (hashlib.sha256(content).digest() if digest else None)
    if layout in {"cut", "magic"}:
        with pytest.raises(ElfError) as raised:
            read(content)
        assert result.error is not None
        assert (result.error.code, result.error.message) == (raised.value.code, raised.value.message)
    else:
        facts = read(content)
        assert result.facts == facts
        assert facts.needed
        assert facts.undefined


def test_damage_is_seen_where_all_is_checked(archive: Any) -> None:
    made, span = archive, archive.spans["spread"]
    assert made.scan_span(span._replace(crc=span.crc ^ 1)).fault == "crc"
    assert made.scan_span(span._replace(size=span.size + 1)).fault == "size"
    assert made.scan_span(span._replace(size=span.size - 1)).fault == "size"
    assert made.scan_span(span._replace(compressed_size=span.compressed_size - 1)).fault == "inflate"
    assert made.scan_span(span._replace(size=1 << 60)).fault == "size"


def test_what_lies_behind_all_tables_is_not_inflated(archive: Any, library: bytes) -> None:
    made, span = archive, archive.spans["padded"]
    half = span._replace(compressed_size=span.compressed_size // 2)
    assert made.scan_span(half, digest=False).facts == read(library + bytes(_GAP))
    assert made.scan_span(half, digest=True).fault == "inflate"
    # Before that place all damage is seen.
    few = span._replace(compressed_size=1000)
    assert made.scan_span(few, digest=False).fault == "inflate"


def test_many_notes_cost_little(make_zip: Callable) -> None:
    count = 65_000
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, count, 64, 0, 0
    )
    # In no order, all over the file.
    notes = b"".join(_PHDR.pack(4, 4, 4_000_000 + at * 40503 % count * 512, 0, 16, 16, 0, 4) for at in range(count))
    content = (header + notes).ljust(4_000_000 + count * 512 + 100, b"\1")
    made = make_zip({"large.so": (content, _DEFLATED)})
    start = time.process_time()
    (result,) = made.scan("large.so", digest=True)
    assert result.facts == read(content)
    # Asking anew at each note would take an hour.
    assert time.process_time() - start < 60


_PEAK = """
import os, resource, sys
from fastwheel import engine
span = engine.Span(*map(int, sys.argv[2:]))
fd = os.open(sys.argv[1], os.O_RDONLY)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for digest in (False, True):
    (result,) = engine.scan(fd, [span], digest=digest)
    assert result.facts is not None
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_stays_small(make_zip: Callable, library: bytes, chosen: str) -> None:
    made = make_zip({"large.so": (spread(library) + bytes(260 << 20), _DEFLATED)})
    span = made.spans["large.so"]
    assert span.size > 300_000_000
    environment = {**os.environ, engine.VARIABLE: chosen}
    command = [sys.executable, "-c", _PEAK, str(made.path), *map(str, span)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40
