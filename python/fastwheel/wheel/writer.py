"""Writes a wheel: members that stay are copied as the bytes they are, new ones are deflated, in the order of the plan.

Same entries, same bytes: nothing depends on the clock, the machine or the number of threads. Every record is the
plainest that can say what it has to (no data descriptors, no comments, zip64 only where 32 bits do not do): PyPI and uv
refuse sloppy ones.
"""

from __future__ import annotations

import errno
import os
import zlib
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.portable import copy_file_range
from fastwheel.wheel import zipformat as z
from fastwheel.wheel.names import name_fault, shown
from fastwheel.wheel.output import write_atomically
from fastwheel.wheel.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from fastwheel.wheel.archive import Archive

__all__ = ["Copy", "Entry", "New", "Packed", "Piece", "Written", "copy_wheel", "pack", "write_wheel"]

_CHUNK: Final = 1 << 20
#: Ranges up to this length are read into the buffer; longer ones are copied by the kernel.
_SMALL: Final = 1 << 17
#: Contents deflated at one time, bytes: bounds the memory that waits for being written.
_BATCH: Final = 64 << 20
#: What `copy_file_range` says where it does not work: across file systems, old kernels, special file systems.
_NO_RANGES: Final = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.EIO)

_REGULAR: Final = 0o100000
_UNIX: Final = 3
_VERSION: Final = 20
_VERSION64: Final = 45


class Piece(NamedTuple):
    """Bytes that lie in another file: its descriptor, where they begin, and how many they are."""

    fd: int
    offset: int
    size: int


class Packed(NamedTuple):
    """A content as it lies in an archive, to be written many times.

    Attributes:
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the content.
        size: of the content in bytes.
        data: its bytes in the archive: a raw deflate stream if `method` is 8.
        pieces: where more of them lie.
    """

    method: int
    crc: int
    size: int
    data: bytes
    pieces: tuple[Piece, ...] = ()

    @property
    def compressed_size(self) -> int:
        """The number of bytes in the archive."""
        return len(self.data) + sum(piece.size for piece in self.pieces)


class Copy(NamedTuple):
    """A member of the input that is kept: its data, CRC, permissions and time."""

    member: z.Member


class New(NamedTuple):
    """A new member.

    Attributes:
        name: its name in the archive.
        content: its bytes, or what `pack` made of them.
        mode: Unix permissions, such as 0o755; a regular file.
        date_time: modification time, as of `new_member_time`.
        compressed: whether to deflate it; it is stored all the same if that makes it no smaller.
    """

    name: str
    content: bytes | Packed
    mode: int
    date_time: z.DateTime
    compressed: bool = True


Entry = Copy | New


class Written(NamedTuple):
    """The file that was written: its path and its size in bytes."""

    path: Path
    size: int


class _Thresholds(NamedTuple):
    """The least values that need zip64; lower ones than the format's are for tests."""

    size: int = z.MAX32
    members: int = z.MAX16


def pack(contents: Sequence[bytes], level: int) -> list[Packed]:
    """Deflate contents, in parallel; one that does not get smaller is stored. `level` is 0 to 9."""
    from fastwheel.engine import deflate_many

    worth = [index for index, content in enumerate(contents) if level and content]
    deflated = deflate_many([contents[index] for index in worth], level) if worth else []
    found: list[bytes | None] = [None] * len(contents)
    for index, data in zip(worth, deflated, strict=True):
        found[index] = data
    return [_choose(content, data) for content, data in zip(contents, found, strict=True)]


def _choose(content: bytes, deflated: bytes | None) -> Packed:
    crc = zlib.crc32(content)
    if deflated is None or len(deflated) >= len(content):
        return Packed(z.STORED, crc, len(content), content)
    return Packed(z.DEFLATED, crc, len(content), deflated)


def write_wheel(
    target: Path,
    archive: Archive,
    entries: Sequence[Entry],
    *,
    level: int,
    prove: Callable[[Path], object] | None = None,
    _thresholds: _Thresholds | None = None,
) -> Written:
    """Write a wheel of `entries`, in their order, atomically.

    Args:
        target: its final name, in a folder that exists.
        archive: the input, of which the members to copy are.
        entries: what the wheel is to hold, RECORD last.
        level: of deflate, 0 (store) to 9.
        prove: called with the path of the complete, still hidden file; raises if it is not good.

    Raises:
        FastwheelError: FW7xx (see `write_atomically`); FW900 a name is unsafe or comes twice; what `prove` raises.
    """
    _check_names(entries)

    def fill(fd: int) -> Written:
        writer = _Writer(fd, archive, _thresholds or _Thresholds())
        for entry, packed in _packed(archive, entries, level):
            writer.add(entry, packed)
        return Written(target, writer.finish())

    return write_atomically(target, fill, prove, archive.close)


def copy_wheel(archive: Archive, target: Path, *, prove: Callable[[Path], object] | None = None) -> Written:
    """Write an exact copy of the input, atomically.

    Raises:
        FastwheelError: FW7xx, as `write_wheel`.
    """

    def fill(fd: int) -> Written:
        _copy_range(archive.label, fd, archive.fd, 0, archive.size)
        return Written(target, archive.size)

    return write_atomically(target, fill, prove, archive.close)


def _check_names(entries: Iterable[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.member.name if isinstance(entry, Copy) else entry.name
        if name in seen or name_fault(name) is not None:
            raise FastwheelError(f"the plan writes '{shown(name)}' twice or under a bad name", code="FW900")
        seen.add(name)


def _packed(archive: Archive, entries: Sequence[Entry], level: int) -> Iterator[tuple[Entry, Packed | None]]:
    """Yield each entry with its new data, if it has new data: so many deflated at a time as fill a batch."""
    batch: list[Entry] = []
    weight = 0
    for entry in entries:
        batch.append(entry)
        weight += _new_bytes(entry)
        if weight >= _BATCH:
            yield from _pack_batch(archive, batch, level)
            batch, weight = [], 0
    yield from _pack_batch(archive, batch, level)


def _new_bytes(entry: Entry) -> int:
    if isinstance(entry, Copy):
        return entry.member.size if entry.member.method == z.ZSTD else 0
    return len(entry.content) if isinstance(entry.content, bytes) else 0


def _pack_batch(archive: Archive, batch: Sequence[Entry], level: int) -> Iterator[tuple[Entry, Packed | None]]:
    done: dict[int, Packed] = {}
    contents: dict[int, bytes] = {}
    for index, entry in enumerate(batch):
        if isinstance(entry, Copy):
            if entry.member.method == z.ZSTD:  # few installers read it yet
                contents[index] = archive.read(entry.member)
        elif isinstance(entry.content, Packed):
            done[index] = entry.content
        elif entry.compressed:
            contents[index] = entry.content
        else:
            done[index] = _choose(entry.content, None)
    done.update(zip(contents, pack(list(contents.values()), level), strict=True))
    for index, entry in enumerate(batch):
        yield entry, done.pop(index, None)


class _Writer:
    """Writes the records of one archive to a descriptor, front to back."""

    def __init__(self, fd: int, archive: Archive, thresholds: _Thresholds) -> None:
        self._fd = fd
        self._archive = archive
        self._thresholds = thresholds
        self._position = 0  # in the output, of what is added next
        self._buffer = bytearray()  # bytes that are to be written
        self._range = Piece(archive.fd, 0, 0)  # bytes of another file that are to follow them
        self._directory: list[bytes] = []

    def add(self, entry: Entry, packed: Packed | None) -> None:
        """Write one member: a kept one, or one with the data `packed`."""
        if isinstance(entry, New):
            assert packed is not None
            attributes = (_REGULAR | entry.mode & 0o7777) << 16
            self._new(entry.name, packed, attributes, z.to_dos(entry.date_time))
            return
        member = entry.member
        stamp = z.to_dos(member.date_time)
        attributes = _attributes(member)
        if packed is not None or member.is_dir:
            self._new(member.name, packed or Packed(z.STORED, 0, 0, b""), attributes, stamp)
            return
        start, stop = member.data_offset, member.data_offset + member.compressed_size
        plain = member.plain and max(member.size, member.compressed_size) < self._thresholds.size
        facts = (member.method, stamp, member.crc, member.compressed_size, member.size)
        offset = self._position
        if plain:
            start = member.header_offset
        else:
            self._bytes(self._local(member.name, facts))
        self._copy(Piece(self._archive.fd, start, stop - start))
        self._directory.append(self._central(member.name, facts, attributes, offset))

    def _new(self, name: str, packed: Packed, attributes: int, stamp: int) -> None:
        facts = (packed.method, stamp, packed.crc, packed.compressed_size, packed.size)
        offset = self._position
        self._bytes(self._local(name, facts))
        self._bytes(packed.data)
        for piece in packed.pieces:
            self._copy(piece)
        self._directory.append(self._central(name, facts, attributes, offset))

    def _local(self, name: str, facts: tuple[int, int, int, int, int]) -> bytes:
        method, stamp, crc, compressed, size = facts
        raw, extra, version = name.encode(), b"", _VERSION
        if max(compressed, size) >= self._thresholds.size:
            # A local header has to give both sizes as soon as one needs it.
            extra = b"\1\0\x10\0" + size.to_bytes(8, "little") + compressed.to_bytes(8, "little")
            compressed = size = z.MAX32
            version = _VERSION64
        flags = 0 if name.isascii() else z.FLAG_UTF8
        return (
            z.LOCAL.pack(
                z.LOCAL_SIGNATURE, version, flags, method, stamp & z.MAX16, stamp >> 16, crc, compressed, size,
                len(raw), len(extra),
            )
            + raw
            + extra
        )  # fmt: skip

    def _central(self, name: str, facts: tuple[int, int, int, int, int], attributes: int, offset: int) -> bytes:
        method, stamp, crc, compressed, size = facts
        raw, version = name.encode(), _VERSION
        wide = [value for value in (size, compressed, offset) if value >= self._thresholds.size]
        extra = b""
        if wide:
            extra = b"\1\0" + (8 * len(wide)).to_bytes(2, "little")
            extra += b"".join(value.to_bytes(8, "little") for value in wide)
            version = _VERSION64
            compressed, size, offset = (
                z.MAX32 if value >= self._thresholds.size else value for value in (compressed, size, offset)
            )
        flags = 0 if name.isascii() else z.FLAG_UTF8
        return (
            z.CENTRAL.pack(
                z.CENTRAL_SIGNATURE, _UNIX << 8 | version, version, flags, method, stamp & z.MAX16, stamp >> 16, crc,
                compressed, size, len(raw), len(extra), 0, 0, 0, attributes, offset,
            )
            + raw
            + extra
        )  # fmt: skip

    def finish(self) -> int:
        """Write the central directory and the end records; return the size of the file."""
        offset, count = self._position, len(self._directory)
        for record in self._directory:
            self._bytes(record)
        size = self._position - offset
        narrow = (min(count, z.MAX16), min(size, z.MAX32), min(offset, z.MAX32))
        if count >= self._thresholds.members or max(size, offset) >= self._thresholds.size:
            end64 = self._position
            self._bytes(
                z.END64.pack(
                    z.END64_SIGNATURE, z.END64.size - 12, _UNIX << 8 | _VERSION64, _VERSION64, 0, 0, count, count,
                    size, offset,
                )
            )  # fmt: skip
            self._bytes(z.LOCATOR.pack(z.LOCATOR_SIGNATURE, 0, end64, 1))
            narrow = (
                z.MAX16 if count >= self._thresholds.members else count,
                z.MAX32 if size >= self._thresholds.size else size,
                z.MAX32 if offset >= self._thresholds.size else offset,
            )
        self._bytes(z.END.pack(z.END_SIGNATURE, 0, 0, narrow[0], narrow[0], narrow[1], narrow[2], 0))
        self._flush()
        return self._position

    def _bytes(self, data: bytes) -> None:
        self._join_range()
        self._position += len(data)
        if len(data) > _SMALL:
            self._flush()
            _write_all(self._fd, data)
            return
        self._buffer += data
        if len(self._buffer) > _CHUNK:
            self._flush()

    def _copy(self, piece: Piece) -> None:
        """Have bytes of another file follow; neighbours are joined, so that a run of members is one range."""
        self._position += piece.size
        fd, start, size = self._range
        if fd == piece.fd and start + size == piece.offset:
            self._range = Piece(fd, start, size + piece.size)
            return
        self._join_range()
        self._range = piece

    def _join_range(self) -> None:
        """Put the pending range behind the buffer, or write both if it is long."""
        fd, start, size = self._range
        if not size:
            return
        self._range = Piece(fd, 0, 0)
        if size <= _SMALL:
            self._buffer += read_exactly(fd, size, start, self._archive.label)
            if len(self._buffer) > _CHUNK:
                self._flush()
            return
        self._flush()
        _copy_range(self._archive.label, self._fd, fd, start, start + size)

    def _flush(self) -> None:
        self._join_range()
        if self._buffer:
            _write_all(self._fd, self._buffer)
            self._buffer = bytearray()


def _attributes(member: z.Member) -> int:
    """The external attributes, as a Unix host writes them."""
    attributes = member.external_attr
    if member.create_system != _UNIX and not attributes >> 16:
        attributes |= (0o040755 if member.is_dir else 0o100644) << 16
    return attributes


def _write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:_WRITE_MAX]) :]


#: The most that Linux writes in one call is a little less than 2 GiB.
_WRITE_MAX: Final = 1 << 30


def _copy_range(label: str, target: int, fd: int, start: int, stop: int) -> None:
    """Append the bytes [start, stop) of `fd` to `target`: by the kernel where it can, else through memory."""
    ranges = copy_file_range
    while start < stop:
        if ranges is not None:
            try:
                done = ranges(fd, target, min(stop - start, _WRITE_MAX), offset_src=start)
            except OSError as error:
                if error.errno not in _NO_RANGES:
                    raise
                done = 0
            start += done
            ranges = ranges if done > 0 else None
        else:
            data = read_exactly(fd, min(_CHUNK, stop - start), start, label)
            _write_all(target, data)
            start += len(data)
