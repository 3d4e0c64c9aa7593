"""`engine.study`: files hashed, and the strings in them, against a few lines of Python that read the whole file."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from fastwheel import engine
from fastwheel.engine import Question
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("chosen")

MIB = 1 << 20
PATTERNS = (b"\0/", b"\0${", b".so")


def expected(content: bytes, pattern: bytes, ranges: tuple[tuple[int, int], ...]) -> list[str]:
    """What `Studied.strings` promises, said plainly."""
    found: list[str] = []
    for low, high in ranges:
        at = content.find(pattern, low, high)
        while at >= 0 and len(found) < 4096:
            start = content.rfind(b"\0", max(at - 1024, low), at + 1)
            end = content.find(b"\0", at + 1, min(at + 1024, high))
            text = content[start + 1 : end]
            if start >= 0 and end >= 0 and all(32 <= byte < 127 for byte in text) and text.decode() not in found:
                found.append(text.decode())
            at = content.find(pattern, end if end >= 0 else at + len(pattern), high)
    return found


def dense(size: int, seed: int) -> bytes:
    """Bytes full of beginnings, ends and middles of what is looked for."""
    chance = random.Random(seed)
    parts = [b"\0", b"\0/", b"/usr/lib", b".so", b"\0${", b"}", b"a" * 500, b"\xff", b"x.so.1", bytes(3), b" ", b"q"]
    made = bytearray()
    while len(made) < size:
        made += b"".join(chance.choices(parts, k=1000))
        made += b"%d" % chance.randrange(10**6)
    return bytes(made[:size])


@pytest.mark.parametrize("seed", range(6))
def test_strings_in_any_ranges(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = dense([0, 1, 5000, MIB + 700, 3 * MIB, 200_000][seed], seed)
    if seed == 4:
        content = content[:MIB] + bytes(MIB) + content[MIB:]
    path = tmp_path / "file"
    path.write_bytes(content)
    size = len(content)
    places = sorted(chance.randrange(size + 2) for _ in range(6))
    for ranges in (((0, size),), ((0, 1 << 62),), tuple(zip(places[::2], places[1::2], strict=True)), ((5, 5),), ()):
        (answer,) = engine.study([Question(str(path), ranges, PATTERNS)])
        assert answer.sha256 == hashlib.sha256(content).digest()
        info = path.stat()
        assert answer.identity == (info.st_dev, info.st_ino, size, info.st_mtime_ns)
        assert answer.strings == [expected(content, pattern, ranges) for pattern in PATTERNS]


def test_both_engines_say_the_same_of_real_libraries(system_libraries: list[Path]) -> None:
    libraries = system_libraries[::20]
    answers = engine.study([Question(str(path), ((0, path.stat().st_size),), PATTERNS) for path in libraries], jobs=2)
    for path, answer in zip(libraries, answers, strict=True):
        content = path.read_bytes()
        assert answer.sha256 == hashlib.sha256(content).digest()
        assert answer.strings == [expected(content, pattern, ((0, len(content)),)) for pattern in PATTERNS]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    good = Question(str(tmp_path / "file"))
    for bad in ("gone", ".", "a\0b"):
        with pytest.raises(FastwheelError, match="cannot read") as caught:
            engine.study([good, Question(str(tmp_path / bad)), good])
        assert caught.value.code == "FW700"
    assert [answer.sha256 for answer in engine.study([good, good])] == [hashlib.sha256(b"abc").digest()] * 2
    assert engine.study([]) == []
