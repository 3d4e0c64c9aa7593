"""`engine.scan`: the members of an archive, against `zipfile`, and against archives that lie."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from fastwheel import engine
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("chosen")

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
Members = "dict[str, tuple[bytes, int]]"


@pytest.fixture(scope="module")
def library(system_libraries: list[Path]) -> bytes:
    return next(path for path in system_libraries if path.stat().st_size > 20_000).read_bytes()


@pytest.fixture(scope="module")
def members(library: bytes) -> Members:
    text = b"print('hello')\n" * 5000
    return {
        "a/stored.so": (library, STORED),
        "a/deflated.so": (library, DEFLATED),
        "a/text.py": (text, DEFLATED),
        "a/stored.txt": (text, STORED),
        "a/empty.py": (b"", DEFLATED),
        "a/empty.txt": (b"", STORED),
        "a/short": (b"\x7fEL", DEFLATED),
        "a/magic-only": (b"\x7fELF", DEFLATED),
        "a/large.bin": (os.urandom(200_000) * 5, DEFLATED),
        "a/truncated.so": (library[:5000], STORED),
    }


@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("jobs", [0, 1, 3])
@pytest.mark.parametrize("digest", [False, True])
def test_what_zipfile_reads(make_zip: Callable, members: Members, descriptors: bool, jobs: int, digest: bool) -> None:
    made = make_zip(members, descriptors=descriptors)
    facts = engine.read(members["a/stored.so"][0])
    results = dict(zip(members, made.scan(*members, digest=digest, jobs=jobs), strict=True))
    for name, result in results.items():
        content = made.contents[name]
        assert result.fault is None
        assert result.sha256 == (hashlib.sha256(content).digest() if digest else None)
        assert (result.facts is not None) == (name in {"a/stored.so", "a/deflated.so"})
    assert results["a/stored.so"].facts == results["a/deflated.so"].facts == facts
    assert results["a/truncated.so"].error is not None
    assert results["a/truncated.so"].error.code == "FW303"
    assert results["a/magic-only"].error is not None
    assert results["a/magic-only"].error.code == "FW301"


def test_members_too_large_to_hold(make_zip: Callable) -> None:
    content = os.urandom(1 << 16) * 300
    made = make_zip({"stored": (content, STORED), "deflated": (content, DEFLATED)})
    results = made.scan("stored", "deflated", digest=True)
    assert [result.sha256 for result in results] == [hashlib.sha256(content).digest()] * 2


def test_the_file_offset_is_not_moved(make_zip: Callable, members: Members) -> None:
    made = make_zip(members)
    with made.path.open("rb") as file:
        file.seek(17)
        engine.scan(file.fileno(), list(made.spans.values()), digest=True)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 17


def test_results_keep_the_order_of_the_spans(make_zip: Callable) -> None:
    contents = {f"{number}": (b"%d" % number * (1 + number * 977 % 5000), DEFLATED) for number in range(400)}
    made = make_zip(contents)
    results = made.scan(*contents, digest=True, jobs=4)
    assert [result.sha256 for result in results] == [hashlib.sha256(c).digest() for c, _ in contents.values()]
    assert made.scan() == []


@pytest.mark.parametrize("name", ["a/deflated.so", "a/stored.so", "a/text.py", "a/stored.txt", "a/large.bin"])
def test_a_changed_byte_is_found(make_zip: Callable, members: Members, name: str) -> None:
    made = make_zip(members)
    data = bytearray(made.path.read_bytes())
    span = made.spans[name]
    data[span.offset + span.compressed_size * 2 // 3] ^= 0x10
    made.path.write_bytes(data)
    (result,) = made.scan(name, digest=True)
    assert result.fault in {"crc", "inflate", "size"}
    assert result == engine.Scanned(fault=result.fault)
    if name.startswith("a/stored"):
        assert result.fault == "crc"
    # Without a digest only ELF files are read to their end.
    (result,) = made.scan(name)
    assert (result.fault is not None) == name.endswith(".so")


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("content", [b"\x7fELF" + bytes(5000), b"text" * 5000])
def test_lies_of_the_central_directory(make_zip: Callable, content: bytes, method: int) -> None:
    made = make_zip({"m": (content, method)})
    span = made.spans["m"]

    def fault(**lie: int) -> str | None:
        result: engine.Scanned = made.scan_span(span._replace(**lie))
        return result.fault

    assert fault() is None
    assert fault(crc=span.crc ^ 1) == "crc"
    assert fault(size=span.size - 1) == "size"
    assert fault(size=span.size + 1) == "size"
    assert fault(size=2**63 - 1) == "size"
    assert fault(size=2**64 - 1) == "size"
    assert fault(size=3) == "size"
    assert fault(compressed_size=span.compressed_size - 1) == ("inflate" if method else "size")
    assert fault(compressed_size=span.compressed_size + 1) == ("inflate" if method else "size")
    assert fault(compressed_size=0) == ("inflate" if method else "size")
    assert fault(offset=2**40) == ("inflate" if method else "size")
    if method:
        assert fault(compressed_size=2**62) == "inflate"
        assert fault(method=STORED) == "size"
    else:
        assert fault(compressed_size=2**62, size=2**62) == "size"


def test_bytes_behind_the_stream(raw_zip: Callable) -> None:
    content = b"\x7fELF" + bytes(5000)
    stream = zlib.compress(content)[2:-4]
    trailer = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    for tail in (b"\0", trailer, trailer * 2, bytes(70000)):
        path, span = raw_zip(stream + tail, content)
        with path.open("rb") as file:
            assert engine.scan(file.fileno(), [span], digest=True)[0].fault == "inflate"


def test_a_bomb_is_never_inflated_beyond_what_it_declares(raw_zip: Callable) -> None:
    content = b"\x7fELF" + bytes(1 << 28)
    stream = zlib.compress(content, 9)[2:-4]
    small = content[:1000]
    path, span = raw_zip(stream, small)
    with path.open("rb") as file:
        results = engine.scan(file.fileno(), [span] * 50, digest=True)
    assert {result.fault for result in results} == {"size"}


def test_only_the_first_bytes_of_other_members_are_inflated(raw_zip: Callable) -> None:
    content = b"text" + os.urandom(200_000)
    stream = bytearray(zlib.compress(content)[2:-4])
    stream[1000:] = bytes(len(stream) - 1000)
    path, span = raw_zip(bytes(stream), content)
    with path.open("rb") as file:
        assert engine.scan(file.fileno(), [span])[0] == engine.Scanned()
        assert engine.scan(file.fileno(), [span], digest=True)[0].fault in {"inflate", "crc", "size"}


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"", "inflate"),
        (b"\xff\xff\xff\xff", "inflate"),
        (b"\x03\x00", "size"),
        (zlib.compress(b"abc")[2:-4], "size"),
        (b"\x00\x00\x00\xff\xff" * 20000, "inflate"),
        (b"\x00\x00\x00\xff\xff" * 20000 + zlib.compress(b"text")[2:-4], None),
    ],
)
def test_streams_that_give_no_first_bytes(raw_zip: Callable, stream: bytes, fault: str | None) -> None:
    path, span = raw_zip(stream, b"text")
    with path.open("rb") as file:
        assert engine.scan(file.fileno(), [span])[0] == engine.Scanned(fault=fault)


def test_an_archive_that_cannot_be_read(tmp_path: Path) -> None:
    span = engine.Span(0, 10, 10, 0, 0)
    for fd in (-1, 1 << 20):
        with pytest.raises(FastwheelError) as caught:
            engine.scan(fd, [span])
        assert caught.value.code == "FW700"
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FastwheelError) as caught:
            engine.scan(folder, [span])
        assert caught.value.code == "FW700"
    finally:
        os.close(folder)


def test_a_child_of_fork_can_scan_too(make_zip: Callable, members: Members) -> None:
    made = make_zip(members)

    def found() -> list[tuple[object, ...]]:
        return [(result.facts, result.sha256, result.fault) for result in made.scan(*members, digest=True, jobs=2)]

    before = found()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if found() == before else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
