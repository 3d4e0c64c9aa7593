"""Both engines, zip archives made by `zipfile` and then bent, and small ELF images made by hand."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastwheel
from fastwheel import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """Chooses the engine for this test as a user would, by the environment."""

    def apply(value: str | None) -> None:
        engine._is_rust.cache_clear()
        if value is None:
            monkeypatch.delenv(engine.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(engine.VARIABLE, value)

    yield apply
    engine._is_rust.cache_clear()


@pytest.fixture(params=["rust", "python"])
def chosen(request: pytest.FixtureRequest, choose: Callable[[str | None], None]) -> str:
    """Runs the test with each engine."""
    choose(request.param)
    assert engine.name() == request.param
    return str(request.param)


@pytest.fixture
def without_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without the Rust engine."""
    monkeypatch.delattr(fastwheel, "_core", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "fastwheel._core", None)


@dataclass
class Zip:
    """An archive and the spans of its members, by name."""

    path: Path
    spans: dict[str, engine.Span]
    contents: dict[str, bytes]

    def scan(self, *names: str, digest: bool = False, jobs: int = 0) -> list[engine.Scanned]:
        with self.path.open("rb") as file:
            return engine.scan(file.fileno(), [self.spans[name] for name in names], digest=digest, jobs=jobs)

    def scan_span(self, span: engine.Span, *, digest: bool = True) -> engine.Scanned:
        with self.path.open("rb") as file:
            (result,) = engine.scan(file.fileno(), [span], digest=digest)
        return result


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Zip]:
    """Writes members with `zipfile`; each is (content, compress type)."""
    return partial(_write_zip, tmp_path / "made.whl")


@pytest.fixture(scope="session")
def write_zip() -> Callable[..., Zip]:
    """The same with a path, for an archive that many tests share."""
    return _write_zip


def _write_zip(path: Path, members: dict[str, tuple[bytes, int]], *, descriptors: bool = False) -> Zip:
    with path.open("wb") as raw:
        # Where zipfile cannot seek it writes data descriptors.
        target = _Unseekable(raw) if descriptors else raw
        with zipfile.ZipFile(target, "w") as archive:  # type: ignore[arg-type]
            for name, (content, method) in members.items():
                archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    spans = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            names, extra = struct.unpack_from("<HH", os.pread(file.fileno(), 30, info.header_offset), 26)
            offset = info.header_offset + 30 + names + extra
            spans[info.filename] = engine.Span(offset, info.compress_size, info.file_size, info.CRC, info.compress_type)
    return Zip(path, spans, {name: content for name, (content, _) in members.items()})


class _Unseekable:
    def __init__(self, raw: object) -> None:
        self._raw = raw

    def write(self, data: bytes) -> int:
        return self._raw.write(data)  # type: ignore[attr-defined, no-any-return]

    def flush(self) -> None:
        self._raw.flush()  # type: ignore[attr-defined]


@pytest.fixture
def raw_zip(tmp_path: Path) -> Callable[..., tuple[Path, engine.Span]]:
    """Writes one raw deflate stream into a file, and the span of the content that it should hold."""

    def make(stream: bytes, content: bytes) -> tuple[Path, engine.Span]:
        path = tmp_path / "raw.bin"
        path.write_bytes(b"before" + stream)
        return path, engine.Span(6, len(stream), len(content), zlib.crc32(content), 8)

    return make


#: Tags of the dynamic section that a reader looks at.
TAGS = {
    "needed": 1,
    "hash": 4,
    "strtab": 5,
    "symtab": 6,
    "strsz": 10,
    "syment": 11,
    "soname": 14,
    "rpath": 15,
    "textrel": 22,
    "runpath": 29,
    "flags": 30,
    "gnu_hash": 0x6FFFFEF5,
    "versym": 0x6FFFFFF0,
    "flags_1": 0x6FFFFFFB,
    "verdef": 0x6FFFFFFC,
    "verneed": 0x6FFFFFFE,
}


@dataclass
class Image:
    """A shared object with one PT_LOAD over the whole file; `tables` are placed and pointed to by tag."""

    bits: int = 64
    order: str = "<"
    machine: int = 62
    strings: bytes = b"\0"
    tables: list[tuple[str, bytes]] = field(default_factory=list)
    entries: list[tuple[int, int]] = field(default_factory=list)
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    base: int = 0x10000

    def build(self) -> bytes:
        wide = self.bits == 64
        word = "Q" if wide else "I"
        head, entry = (64, 56) if wide else (52, 32)
        start = head + entry * (2 + len(self.segments))
        body = b""
        entries = list(self.entries)
        placed = []
        for kind, content in self.segments:
            placed.append((kind, start + len(body), len(content)))
            body += content + bytes(-len(content) % 8)
        for tag, content in [*self.tables, ("strtab", self.strings)]:
            entries.append((TAGS[tag], self.base + start + len(body)))
            body += content + bytes(-len(content) % 8)
        entries += [(TAGS["strsz"], len(self.strings)), (0, 0)]
        mask = (1 << self.bits) - 1
        dynamic = b"".join(struct.pack(self.order + 2 * word, tag & mask, value & mask) for tag, value in entries)
        at, end = start + len(body), start + len(body) + len(dynamic)
        ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if self.order == "<" else 2, 1]) + bytes(9)
        header = struct.pack(
            f"{self.order}HHI3{word}IHHHHHH", 3, self.machine, 1, 0, head, 0, 0, head, entry, 2 + len(placed), 0, 0, 0
        )
        table = b""
        for kind, offset, size in [(1, 0, end), (2, at, end - at), *placed]:
            address = self.base + offset
            if wide:
                table += struct.pack(self.order + "IIQQQQQQ", kind, 6, offset, address, address, size, size, 8)
            else:
                table += struct.pack(self.order + "IIIIIIII", kind, offset, address, address, size, size, 6, 8)
        return ident + header + table + body + dynamic


@pytest.fixture
def image() -> type[Image]:
    return Image


@pytest.fixture(scope="session")
def system_libraries() -> list[Path]:
    """Real libraries of this system, of every linker and machine that is installed, up to 1 MB each."""
    found = {}
    for top in ("/usr/lib", "/lib", "/usr/lib64"):
        for folder, _, names in sorted(os.walk(top)):
            for path in (Path(folder, name) for name in sorted(names) if ".so" in name):
                real = path.resolve()
                if real in found or not real.is_file() or not 1000 < real.stat().st_size < 1_000_000:
                    continue
                with real.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        found[real] = None
    libraries = list(found)
    assert len(libraries) >= 20, "a Linux system has more libraries than that"
    return libraries[:: max(1, len(libraries) // 300)]
