"""A zip archive, opened once and read by offset; nothing is unpacked.

>>> with Archive.open("pkg-1.0-py3-none-any.whl") as archive:  # doctest: +SKIP
...     archive.read("pkg/__init__.py")
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastwheel.errors import FastwheelError
from fastwheel.portable import READ
from fastwheel.spans import Span
from fastwheel.wheel.directory import read_table
from fastwheel.wheel.limits import Limits
from fastwheel.wheel.names import case_twins, file_and_folder, shown
from fastwheel.wheel.remote import locate
from fastwheel.wheel.source import fail, read_exactly
from fastwheel.wheel.zipformat import DEFLATED, STORED, Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from fastwheel.wheel.remote import RemoteFile, Url

__all__ = ["Archive", "Limits", "Member"]

_CHUNK: Final = 1 << 20
#: What of a member shows whether it is an ELF file, compressed bytes.
_FIRST: Final = 512
#: A wheel of many odd names is not to drown the rest of the output.
_MOST_WARNINGS: Final = 10


class Archive:
    """The members of one zip archive and their contents.

    Attributes:
        path: as it was given.
        label: the file's printable name, with which errors begin.
        fd: the one file descriptor, read by offset only.
        size: of the file, bytes.
        limits: that it was held to.
        members: in the order of the central directory.
        names: name ▶ member, in the same order.
        warnings: what is odd but accepted.
    """

    def __init__(
        self, path: Path, label: str, fd: int, size: int, limits: Limits, remote: RemoteFile | None = None
    ) -> None:
        self.path = path
        self.label = label
        self.fd = fd
        self.size = size
        self.limits = limits
        self._remote = remote
        self._source = remote or fd
        table = read_table(self._source, size, label, limits)
        self.members: tuple[Member, ...] = table.members
        self.names: Mapping[str, Member] = {member.name: member for member in table.members}
        clash = file_and_folder(self.names)
        if clash is not None:
            message = f"'{shown(clash[0])}' is a file, but '{shown(clash[1])}' needs a folder of that name"
            fail("FW114", label, message)
        twins = case_twins([member.name for member in table.members])
        self.warnings: tuple[str, ...] = (
            *_first(table.warnings),
            *_first([f"'{shown(a)}' and '{shown(b)}' differ only by case" for a, b in twins]),
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str], limits: Limits | None = None) -> Archive:
        """Open and check the archive at `path`, or at an https address: everything but the contents of members.

        Raises:
            FastwheelError: FW700, FW701 the file cannot be opened; FW1xx it is not an acceptable zip archive.
        """
        path = locate(path)
        if not isinstance(path, Path):
            return cls._open_remote(path, limits or Limits())
        label = shown(path.name)
        fd = open_regular(path)
        try:
            return cls(path, label, fd, os.fstat(fd).st_size, limits or Limits())
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _open_remote(cls, url: Url, limits: Limits) -> Archive:
        from fastwheel.wheel.remote import RemoteFile

        remote = RemoteFile(url)
        try:
            return cls(Path(url.name), shown(url.name), remote.fd, remote.size, limits, remote)
        except BaseException:
            remote.close()
            raise

    def prepare(self, members: Iterable[Member], *, whole: bool = False) -> None:
        """Have at hand what `fastwheel.engine.scan` reads of `members` through `fd`: nothing to do for a local file.

        Args:
            members: that will be scanned.
            whole: whether all of their content is wanted, and not only that of ELF files.

        Raises:
            FastwheelError: FW700 a remote file cannot be read.
        """
        if self._remote is None:
            return
        wanted = [member for member in members if whole or self._begins(member, b"\x7fELF")]
        self._remote.fetch((member.data_offset, member.data_offset + member.compressed_size) for member in wanted)

    def _begins(self, member: Member, magic: bytes) -> bool:
        data = read_exactly(self._source, min(member.compressed_size, _FIRST), member.data_offset, self.label)
        if member.method == STORED:
            return data.startswith(magic)
        decoder, faults = _decoder(member.method)
        try:
            return bool(decoder.decompress(data, len(magic)) == magic)
        except faults:
            return True  # the scan says what is wrong with it

    @staticmethod
    def probe(path: Path) -> None:
        """Raise FW700 or FW701 if there is no regular file at `path` that can be read."""
        os.close(open_regular(path))

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if self._remote is not None:
            self._remote.close()
        elif self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Archive {self.label}: {len(self.members)} members>"

    def span(self, member: Member) -> Span:
        """Return where the member's data lie, for `fastwheel.engine.scan`."""
        return Span(member.data_offset, member.compressed_size, member.size, member.crc, member.method)

    def read(self, member: Member | str) -> bytes:
        """Return the content of a member, given itself or its name.

        Raises:
            FastwheelError: FW112 the content contradicts the central directory; FW700, FW101.
            KeyError: there is no member of this name.
        """
        return b"".join(self.stream(self.names[member] if isinstance(member, str) else member))

    def stream(self, member: Member) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB, never more than the declared size; checked when exhausted.

        Raises:
            FastwheelError: as `read`.
        """
        crc = size = 0
        pieces = self._stored(member) if member.method == STORED else self._inflated(member)
        for piece in pieces:
            size += len(piece)
            if size > member.size:
                self._damaged(member, f"it has more than the {member.size} bytes of the central directory")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != member.size:
            self._damaged(member, f"it has {size} bytes instead of the {member.size} of the central directory")
        if crc != member.crc:
            self._damaged(member, "its CRC does not match the central directory")

    def _stored(self, member: Member) -> Iterator[bytes]:
        at, stop = member.data_offset, member.data_offset + member.compressed_size
        while at < stop:
            piece = read_exactly(self._source, min(_CHUNK, stop - at), at, self.label)
            at += len(piece)
            yield piece

    def _inflated(self, member: Member) -> Iterator[bytes]:
        decoder, faults = _decoder(member.method)
        left = member.size + 1  # one byte more than declared shows a content that is too long
        source = self._stored(member)
        pending = b""
        while not decoder.eof:
            hungry = getattr(decoder, "needs_input", True)
            data = pending or (next(source, b"") if hungry else b"")
            try:
                piece = decoder.decompress(data, min(_CHUNK, left))
            except faults:
                self._damaged(member, "its compressed data is damaged")
            pending = getattr(decoder, "unconsumed_tail", b"")
            if piece:
                left -= len(piece)
                yield piece
                if left <= 0:
                    return
            elif not data and hungry:
                self._damaged(member, "its compressed data ends too early")
        if decoder.unused_data or next(source, b""):
            self._damaged(member, "bytes follow the end of its compressed data")

    def _damaged(self, member: Member, reason: str) -> NoReturn:
        hint = "the wheel was changed or cut after it was made: build or download it again"
        fail("FW112", self.label, f"'{shown(member.name)}' is damaged: {reason}", hint)


def _first(warnings: Sequence[str]) -> list[str]:
    """The first few of many warnings of one kind, and how many more there are."""
    more = len(warnings) - _MOST_WARNINGS
    return [*warnings[:_MOST_WARNINGS], *([f"and {more} more such names"] if more > 0 else [])]


def _decoder(method: int) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a fresh decompressor with `decompress(data, max_length)`, `eof`, `unused_data`; and what it raises."""
    if method == DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS), (zlib.error,)
    from importlib import import_module

    zstd = import_module("compression.zstd")  # Python 3.14; the central directory was refused without it
    return zstd.ZstdDecompressor(), (zstd.ZstdError, EOFError)


def open_regular(path: Path) -> int:
    """Open a regular file for reading; never waits for a FIFO, never opens a device.

    Raises:
        FastwheelError: FW700 it cannot be read; FW701 it is something else.
    """
    label = shown(str(path))
    try:
        # Looked at before it is opened, because opening some devices has effects; and after, because it may change.
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            fd = os.open(path, READ)
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode):
                return fd
            os.close(fd)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        hint = "check the path" if isinstance(error, FileNotFoundError) else None
        raise FastwheelError(f"cannot read {label}: {reason}", code="FW700", hint=hint) from error
    hint = "name a .whl file in it" if stat.S_ISDIR(mode) else None
    raise FastwheelError(f"cannot read {label}: it is {_kind(mode)}, not a file", code="FW701", hint=hint)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
