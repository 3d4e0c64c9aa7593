"""The work on many bytes without Rust: threads over `zlib` and `hashlib`, which release the GIL themselves.

Use it through `fastwheel.engine`; every function here gives what its namesake in `fastwheel._core` gives.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Final, TypeVar

from fastwheel._elf.facts import read
from fastwheel._sparse import Sparse
from fastwheel.errors import ElfError
from fastwheel.portable import pread, usable_processors
from fastwheel.spans import Buffer, Scanned, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastwheel._elf.links import Links
    from fastwheel._elf.model import Facts

__all__ = ["deflate_many", "links_many", "read_fd", "scan", "sha256_many"]

_MAGIC: Final = b"\x7fELF"
_STORED: Final = 0
#: Bytes read or produced at a time while streaming.
_CHUNK: Final = 256 * 1024
#: Bytes read to learn the first few of a member.
_FIRST_READ: Final = 512
#: From this size on a file is mapped, as in the Rust engine.
_MAP_FROM: Final = 1024 * 1024

#: Members that take more than this in memory, compressed and not, come by piece by piece, as in the Rust engine.
_MOST_WHOLE: Final = 4 * 1024 * 1024
#: A deflate stream produces at most 258 bytes for two bits.
_MOST_PER_BYTE: Final = 1032
#: A file made so that each of its tables leads back to an earlier place is inflated so often before all of it is kept.
_MOST_PASSES: Final = 4

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Damage(Exception):  # noqa: N818 - an answer, not an error
    """The content of a member contradicts the central directory; the argument is the `fault` of `Scanned`."""


def threads(jobs: int) -> int:
    """Return how many threads `jobs` asks for: 0 is one per usable processor."""
    return jobs or usable_processors()


def map_threads(work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> list[_Result]:
    """Return what `work` makes of each item, in their order."""
    workers = min(threads(jobs), len(items))
    if workers < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers, thread_name_prefix="fastwheel") as pool:
        return list(pool.map(work, items))


def sha256_many(buffers: Sequence[Buffer], jobs: int) -> list[bytes]:
    """Return the SHA-256 of each buffer."""
    return map_threads(lambda buffer: hashlib.sha256(buffer).digest(), buffers, jobs)


def deflate_many(buffers: Sequence[Buffer], level: int, jobs: int) -> list[bytes]:
    """Return a raw deflate stream of each buffer."""

    def deflate(buffer: Buffer) -> bytes:
        stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return stream.compress(buffer) + stream.flush()

    return map_threads(deflate, buffers, jobs)


def read_fd(fd: int) -> Facts:
    """Return the facts of the ELF file that `fd` is open on."""
    size = os.fstat(fd).st_size
    if size < _MAP_FROM:
        return read(_read_at(fd, size, 0))
    # Not closed by hand: an error on its way up still holds views of it.
    return read(memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ)))


def scan(fd: int, spans: Sequence[Span], digest: bool, jobs: int) -> list[Scanned]:
    """Look into members of the archive that `fd` is open on; see `engine.scan`."""

    def member(span: Span) -> Scanned:
        try:
            return _member(fd, span, digest)
        except Damage as damage:
            return Scanned(fault=str(damage))

    return map_threads(member, spans, jobs)


def links_many(fd: int, spans: Sequence[Span], jobs: int) -> list[Links | ElfError]:
    """Return the links of members of the archive that `fd` is open on; see `engine.links_many`."""
    from fastwheel._elf.links import links

    def member(span: Span) -> Links | ElfError:
        try:
            return links(whole(fd, span))
        except Damage:
            return ElfError("FW112", "the member's data is damaged")
        except ElfError as error:
            return error

    return map_threads(member, spans, jobs)


def _member(fd: int, span: Span, digest: bool) -> Scanned:
    large = span.size + span.compressed_size > _MOST_WHOLE
    if digest and not large:
        # All of it is needed: what its first bytes are need not be found out before.
        content: Buffer = whole(fd, span)
        sha256 = hashlib.sha256(content).digest()
        return _read(content, sha256) if content[:4] == _MAGIC else Scanned(sha256=sha256)
    if span.size < len(_MAGIC) or _magic(fd, span) != _MAGIC:
        return Scanned(sha256=_hash(fd, span) if digest else None)
    if not large:
        return _read(whole(fd, span), None)
    hashed = hashlib.sha256() if digest else None
    content = _sparse(fd, span, hashed)
    return _read(content, None if hashed is None else hashed.digest())


def _hash(fd: int, span: Span) -> bytes:
    hashed = hashlib.sha256()
    for piece in content_of(fd, span):
        hashed.update(piece)
    return hashed.digest()


def _read(content: Buffer, sha256: bytes | None) -> Scanned:
    try:
        return Scanned(facts=read(content), sha256=sha256)
    except ElfError as error:
        return Scanned(error=error, sha256=sha256)


def _is_believable(fd: int, span: Span) -> bool:
    """Whether so many bytes can be made of what the archive has."""
    most = span.compressed_size * (1 if span.method == _STORED else _MOST_PER_BYTE)
    return span.compressed_size <= os.fstat(fd).st_size and span.size <= most


def _sparse(fd: int, span: Span, hashed: hashlib._Hash | None) -> memoryview:
    """Return a content of which only what `read` looks at is there; hash all of it on the way."""
    if not _is_believable(fd, span):
        # A size that cannot be true must not decide how much memory is taken; that it is wrong turns out below.
        for _ in content_of(fd, span):
            pass
        raise Damage("size")
    sparse = Sparse(span.size)
    for piece in content_of(fd, span):
        if hashed is not None:
            hashed.update(piece)
        if sparse.take(piece) and hashed is None:
            return sparse.data
    for number in range(1, _MOST_PASSES + 1):
        if sparse.complete:
            break
        sparse.restart()
        if number == _MOST_PASSES:
            sparse.want_all()
        for piece in content_of(fd, span):
            if sparse.take(piece):
                break
    return sparse.data


def _magic(fd: int, span: Span) -> bytes:
    """Return the first four bytes of a member that declares at least as many."""
    if span.method == _STORED:
        magic = _read_at(fd, len(_MAGIC), span.offset) if span.compressed_size == span.size else b""
        if len(magic) < len(_MAGIC):
            raise Damage("size")
        return magic
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    magic = b""
    for chunk in _compressed(fd, span, _FIRST_READ):
        rest = chunk
        while rest:
            magic += _inflate(inflater, rest, len(_MAGIC) - len(magic))
            if len(magic) == len(_MAGIC):
                return magic
            if inflater.eof:
                raise Damage("size")
            rest = inflater.unconsumed_tail
    raise Damage("inflate")


def content_of(fd: int, span: Span) -> Iterator[bytes]:
    """Yield the content piece by piece, then check size and CRC-32."""
    crc = produced = 0
    if span.method == _STORED and span.compressed_size != span.size:
        raise Damage("size")
    pieces = _compressed(fd, span, _CHUNK) if span.method == _STORED else _inflated(fd, span)
    for piece in pieces:
        produced += len(piece)
        if produced > span.size:
            raise Damage("size")
        crc = zlib.crc32(piece, crc)
        yield piece
    if produced != span.size:
        raise Damage("size")
    if crc != span.crc:
        raise Damage("crc")


def whole(fd: int, span: Span) -> bytes:
    """Return the content; a list of its pieces and what is joined of them would take twice the memory."""
    content = BytesIO()
    for piece in content_of(fd, span):
        content.write(piece)
    return content.getvalue()


def _inflated(fd: int, span: Span) -> Iterator[bytes]:
    """Yield what the deflate stream holds, at most one byte more than declared: the proof of a lie about the size."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = span.size + 1
    taken = 0
    for chunk in _compressed(fd, span, _CHUNK):
        if inflater.eof:
            raise Damage("inflate")
        taken += len(chunk)
        rest = chunk
        while rest and not inflater.eof:
            piece = _inflate(inflater, rest, min(left, _CHUNK))
            left -= len(piece)
            yield piece
            rest = inflater.unconsumed_tail
            # A full piece may have left output behind that needs no more input.
            while not rest and not inflater.eof and len(piece) == _CHUNK:
                piece = _inflate(inflater, b"", min(left, _CHUNK))
                left -= len(piece)
                yield piece
                rest = inflater.unconsumed_tail
        if inflater.unused_data:
            raise Damage("inflate")
    if not inflater.eof or taken < span.compressed_size:
        raise Damage("inflate")


def _inflate(inflater: zlib._Decompress, data: bytes, most: int) -> bytes:
    try:
        return inflater.decompress(data, most)
    except zlib.error:
        raise Damage("inflate") from None


def _compressed(fd: int, span: Span, chunk: int) -> Iterator[bytes]:
    """Yield the compressed bytes, fewer than declared where the archive ends early."""
    offset, left = span.offset, span.compressed_size
    while left > 0:
        data = _read_at(fd, min(left, chunk), offset)
        if not data:
            return
        yield data
        offset += len(data)
        left -= len(data)


def _read_at(fd: int, size: int, offset: int) -> bytes:
    """Return `size` bytes from `offset` on; fewer only at the end of the file."""
    parts = []
    while size > 0:
        part = pread(fd, min(size, sys.maxsize), offset) if offset <= sys.maxsize else b""
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return b"".join(parts)
