"""`sha256_many` and `deflate_many`."""

from __future__ import annotations

import hashlib
import os
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastwheel import engine
from fastwheel.errors import FastwheelError

pytestmark = pytest.mark.usefixtures("chosen")

both_engines = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
BUFFERS = [b"", b"a", b"abc" * 100_000, os.urandom(100_000), bytes(1 << 20)]


def inflate(stream: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    content = inflater.decompress(stream)
    assert inflater.eof
    assert inflater.unused_data == b""
    return content


@pytest.mark.parametrize("jobs", [0, 1, 5])
def test_sha256(jobs: int) -> None:
    assert engine.sha256_many(BUFFERS, jobs=jobs) == [hashlib.sha256(buffer).digest() for buffer in BUFFERS]
    assert engine.sha256_many([], jobs=jobs) == []


def test_any_buffer_and_any_sequence() -> None:
    content = b"0123456789" * 1000
    kinds = (content, bytearray(content), memoryview(content), memoryview(content * 2)[::2])
    first, *others, strided = engine.sha256_many([*kinds[:3], bytes(kinds[3])])
    assert first == hashlib.sha256(content).digest()
    assert others == [first, first]
    assert strided == hashlib.sha256((content * 2)[::2]).digest()
    streams = engine.deflate_many([bytearray(content), memoryview(content)], 6)
    assert [inflate(stream) for stream in streams] == [content, content]


def test_what_is_no_buffer() -> None:
    for wrong in (7, "text", None):
        with pytest.raises(TypeError):
            engine.sha256_many([wrong])  # type: ignore[list-item]


@pytest.mark.parametrize("level", range(10))
def test_deflate_round_trip(level: int) -> None:
    streams = engine.deflate_many(BUFFERS, level)
    assert [inflate(stream) for stream in streams] == BUFFERS
    for jobs in (1, 5):
        assert engine.deflate_many(BUFFERS, level, jobs=jobs) == streams


@pytest.mark.parametrize("level", [-1, 10, 12, 100])
def test_levels_that_there_are_not(level: int) -> None:
    with pytest.raises(FastwheelError) as caught:
        engine.deflate_many([b""], level)
    assert caught.value.code == "FW800"


def test_streams_are_not_larger_than_those_of_zlib(system_libraries: list) -> None:
    contents = [path.read_bytes() for path in system_libraries[::10]]
    ours = sum(map(len, engine.deflate_many(contents, 6)))
    theirs = sum(len(zlib.compress(content, 6)) - 6 for content in contents)
    assert ours <= theirs * 1.01


@both_engines
@given(st.lists(st.binary(max_size=2000)), st.integers(0, 9))
def test_any_bytes(buffers: list[bytes], level: int) -> None:
    assert [inflate(stream) for stream in engine.deflate_many(buffers, level)] == buffers
    assert engine.sha256_many(buffers) == [hashlib.sha256(buffer).digest() for buffer in buffers]
