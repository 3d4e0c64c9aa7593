"""Finished members on disk, for all calls of a CI job: what was edited and deflated once is not made again.

Off unless the user names a folder (`--cache-dir`, FASTWHEEL_CACHE_DIR). An entry is named by all that decides its
bytes, is checked as a whole whenever it is used, and appears under its name complete or not at all, so that any number
of processes may share a folder. Nothing that goes wrong here is an error of the repair.

Whoever can write to the folder decides what is grafted, as whoever can write to the libraries themselves does.
"""

from __future__ import annotations

import json
import os
import struct
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from fastwheel.errors import escape
from fastwheel.named import NamedTuple
from fastwheel.portable import CREATE, NO_LINK, READ, pread, pwrite
from fastwheel.spans import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fastwheel._elf.model import Edit

__all__ = ["DEFAULT_SIZE", "Cache", "Cached", "entry_key"]

#: How large the folder may get, bytes.
DEFAULT_SIZE: Final = 2 << 30
#: Part of every key and the beginning of every entry: other versions of this file leave them alone.
_MAGIC: Final = b"fastwheel grafts 2\n"
#: Of an entry: method, CRC-32, size of the content, SHA-256 of the content, size of the data, size of the names. The
#: names follow, as JSON, then the data, and SHA-256 of all that.
_HEAD: Final = struct.Struct("<HIQ32sQI")
#: Names take no more, bytes.
_MOST_NAMES: Final = 64 << 20
_CHUNK: Final = 1 << 20
_SUFFIX: Final = ".graft"
_DRAFT: Final = ".tmp"
#: A draft that was not written to for so long has no writer any more, seconds.
_STALE: Final = 3600
#: When the folder is too large so much of its size stays.
_KEEP: Final = 0.8


class Cached(NamedTuple):
    """What an entry says of its data.

    Attributes:
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the content.
        size: of the content in bytes.
        sha256: of the content.
        data_size: of the data in bytes.
        names: those in the content, if it is an ELF file.
    """

    method: int
    crc: int
    size: int
    sha256: bytes
    data_size: int
    names: Names | None = None


def entry_key(source: bytes, edit: Edit, level: int, *, strip: bool) -> str:
    """Return the name of the entry for a library: it stands for everything that decides the bytes.

    Args:
        source: SHA-256 of the library.
        edit: what changes in it.
        level: of deflate.
        strip: whether it is stripped first.
    """
    from fastwheel import __version__, engine

    parts = [_MAGIC.decode(), __version__, engine.name(), source.hex(), level, strip, edit]
    return sha256(json.dumps(parts).encode()).hexdigest()


class Cache:
    """A folder of finished grafts.

    Args:
        folder: where they are; made when the first one is put there.
        size: how large all of them together may get, bytes.

    Attributes:
        notes: what went wrong, a line for the user each; at most a few.
    """

    def __init__(self, folder: Path, size: int = DEFAULT_SIZE) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._limit = size
        self._grown = False

    def get(self, key: str, target: int, at: int) -> Cached | None:
        """Copy the data of an entry to the descriptor `target`, position `at`.

        Returns:
            What the entry says of them, or None where there is no entry or it is damaged: then what was written is of
            no use.

        Raises:
            OSError: `target` cannot be written.
        """
        path = self._path(key)
        try:
            fd = os.open(path, READ | NO_LINK)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note("read", error)
            return None
        try:
            cached = _copy(fd, target, at)
            if cached is not None:
                with suppress(OSError):
                    os.utime(path)  # what was used last is dropped last
        finally:
            os.close(fd)
        return cached

    def put(self, key: str, cached: Cached, data: Iterable[bytes]) -> None:
        """Keep the data of a finished graft; a failure is only noted."""
        path = self._path(key)
        draft = path.with_name(f"{key}.{os.urandom(6).hex()}{_DRAFT}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(draft, CREATE, 0o666)
            try:
                hasher = sha256()
                for piece in _framed(cached, data):
                    hasher.update(piece)
                    _write(fd, piece)
                _write(fd, hasher.digest())
            finally:
                os.close(fd)
            draft.replace(path)
        except OSError as error:
            self._note("write", error)
        finally:
            with suppress(OSError):
                draft.unlink()
        self._grown = True

    def trim(self) -> None:
        """Drop the entries used longest ago if all together are too large; to be called once all is done."""
        if not self._grown:
            return
        self._grown = False
        entries: list[tuple[float, str, int]] = []
        now = time.time()
        with suppress(OSError):
            for path, info in self._files():
                if path.endswith(_SUFFIX):
                    entries.append((info.st_mtime, path, info.st_size))
                elif now - info.st_mtime > _STALE:
                    with suppress(OSError):
                        os.unlink(path)
        size = sum(entry[2] for entry in entries)
        if size <= self._limit:
            return
        for _, path, length in sorted(entries):
            if size <= self._limit * _KEEP:
                break
            with suppress(OSError):
                os.unlink(path)
            size -= length

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """The files that belong to the cache."""
        for folder in os.scandir(self.folder):
            if len(folder.name) != 2 or not folder.is_dir(follow_symlinks=False):
                continue
            for file in os.scandir(folder.path):
                if file.name.endswith((_SUFFIX, _DRAFT)) and file.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # others trim as well
                        yield file.path, file.stat(follow_symlinks=False)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / (key[2:] + _SUFFIX)

    def _note(self, verb: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        line = f"the cache {escape(str(self.folder))} cannot be used: cannot {verb} it: {escape(reason)}"
        if line not in self.notes and len(self.notes) < 5:
            self.notes.append(line)


def _framed(cached: Cached, data: Iterable[bytes]) -> Iterator[bytes]:
    names = json.dumps(cached.names).encode()
    yield _MAGIC + _HEAD.pack(*cached[:-1], len(names)) + names
    yield from data


def _copy(fd: int, target: int, at: int) -> Cached | None:
    """Copy the data of an entry and check it; None if it is not as it was written."""
    try:
        size = os.fstat(fd).st_size
        head = pread(fd, len(_MAGIC) + _HEAD.size, 0)
        if len(head) != len(_MAGIC) + _HEAD.size or not head.startswith(_MAGIC):
            return None
        *fields, names_size = _HEAD.unpack_from(head, len(_MAGIC))
        if names_size > _MOST_NAMES:
            return None
        head += pread(fd, names_size, len(head))
    except OSError:
        return None
    intro = len(_MAGIC) + _HEAD.size + names_size
    cached = Cached(*fields)
    if len(head) != intro or cached.data_size != size - intro - 32 or cached.method not in (0, 8):
        return None
    hasher = sha256(head)
    place, end = intro, size - 32
    while place < end:
        try:
            piece = pread(fd, min(_CHUNK, end - place), place)
        except OSError:
            return None
        if not piece:
            return None
        hasher.update(piece)
        _write(target, piece, at + place - intro)
        place += len(piece)
    try:
        if pread(fd, 32, end) != hasher.digest():
            return None
    except OSError:
        return None
    return cached._replace(names=_names(json.loads(head[len(_MAGIC) + _HEAD.size :])))


def _names(value: list[Any] | None) -> Names | None:
    if value is None:
        return None
    soname, needed, rpath, runpath = value
    return Names(soname, tuple(needed), rpath, runpath)


def _write(fd: int, data: bytes, at: int | None = None) -> None:
    """Write all of `data`: at a position, or behind what was written before."""
    view = memoryview(data)
    while view:
        if at is None:
            view = view[os.write(fd, view) :]
        else:
            done = pwrite(fd, view, at)
            view, at = view[done:], at + done
