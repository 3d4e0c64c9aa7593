"""The three formats of rpm's database as a stream of package headers.

* `rpmdb.sqlite` (rpm 4.16 and later; Fedora, RHEL 9): a table of headers, and one of file names.
* `Packages.db` ("ndb", SUSE): rpm's own; slots of 16 bytes that point to blobs.
* `Packages` (RHEL 8 and older): a hash of Berkeley DB, pages of which hold the headers in chains.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from fastwheel.deps.packages.asked import text_of
from fastwheel.portable import READ, pread

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator
    from typing import TypeAlias

    Reader: TypeAlias = Callable[[str, int, Collection[bytes]], Iterator[bytes]]

__all__ = ["headers"]

#: rpm itself refuses larger headers.
_HEADER_LIMIT: Final = 1 << 28
#: SQLite's virtual machine stops after this many instructions times calls: some seconds. A lookup takes thousands.
_STEPS: Final = 1_000_000
_STEP_CALLS: Final = 50
#: Packages that have a file of one name: `__init__.py` has thousands.
_ROWS: Final = 1 << 16


class _DamagedError(Exception):
    """The database is not what its format says; the message says how."""


def headers(folder: str, names: Collection[bytes], notes: list[str]) -> Iterator[bytes]:
    """Yield the headers of the packages in rpm's database, at least of those that own a file called one of `names`.

    Args:
        folder: of the database.
        names: last parts of paths.
        notes: gets a line if the database is damaged.
    """
    readers: tuple[tuple[str, Reader], ...] = (("rpmdb.sqlite", _sqlite), ("Packages.db", _ndb), ("Packages", _bdb))
    for name, read in readers:
        path = f"{folder}/{name}"
        try:
            fd = os.open(path, READ)
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.append(f"the package database {text_of(path)} cannot be read: {error.strerror}")
            continue
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _DamagedError("not a regular file")
            yield from read(path, fd, names)
        except (_DamagedError, OSError) as error:
            notes.append(f"the package database {text_of(path)} cannot be read: {text_of(str(error))}")
        else:
            return  # a machine that changed formats may still have the old file
        finally:
            os.close(fd)


def _sqlite(path: str, fd: int, names: Collection[bytes]) -> Iterator[bytes]:
    try:
        import sqlite3
    except ImportError as error:
        raise _DamagedError("this Python lacks sqlite3") from error
    from contextlib import closing
    from urllib.parse import quote

    if pread(fd, 16, 0) != b"SQLite format 3\0":
        raise _DamagedError("not an SQLite database")
    # "immutable" leaves the folder alone: no journal, no lock. What still is in a journal needs the ordinary way.
    try:
        pending = os.stat(f"{path}-wal").st_size > 0
    except OSError:
        pending = False
    fault: Exception | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1") if pending else ("mode=ro&immutable=1",):
        try:
            with closing(sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True, timeout=1)) as database:
                yield from _rows(database, names)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            fault = error
        else:
            return
    raise _DamagedError(str(fault))


def _rows(database: sqlite3.Connection, names: Collection[bytes]) -> Iterator[bytes]:
    """The headers of the packages that own a file of these names, by the table of names."""
    calls = 0

    def step() -> int:
        # a damaged database must not keep us for long
        nonlocal calls
        calls += 1
        return calls > _STEP_CALLS

    database.set_progress_handler(step, _STEPS)
    database.text_factory = bytes
    numbers: set[int] = set()
    query = f"SELECT hnum FROM Basenames WHERE key IN (CAST(? AS TEXT), ?) LIMIT {_ROWS}"
    for name in names:
        numbers.update(number for (number,) in database.execute(query, (name, name)) if isinstance(number, int))
    for number in sorted(numbers):
        for (blob,) in database.execute("SELECT blob FROM Packages WHERE hnum = ? LIMIT 1", (number,)):
            if isinstance(blob, bytes) and len(blob) <= _HEADER_LIMIT:
                yield blob


def _ndb(path: str, fd: int, names: Collection[bytes]) -> Iterator[bytes]:
    size = os.fstat(fd).st_size
    start = pread(fd, 32, 0)
    if len(start) < 32:
        raise _DamagedError("truncated")
    magic, version, _, pages = struct.unpack_from("<4sIII", start)
    if magic != b"RpmP" or version:
        raise _DamagedError("not a database of rpm")
    if pages * 4096 > size:
        raise _DamagedError("truncated")
    budget = 2 * size
    # the first two slots are the file's header
    for slot_magic, package, block, _count in struct.iter_unpack("<4sIII", pread(fd, pages * 4096 - 32, 32)):
        if slot_magic != b"Slot":
            raise _DamagedError("a slot without its magic number")
        if not package:
            continue
        head = pread(fd, 16, block * 16)
        if len(head) < 16 or head[:8] != b"BlbS" + struct.pack("<I", package):
            raise _DamagedError(f"package {package} is not where its slot says")
        (length,) = struct.unpack_from("<I", head, 12)
        budget -= length
        if length > min(size, _HEADER_LIMIT) or budget < 0:
            raise _DamagedError(f"package {package} is larger than the file")
        yield pread(fd, length, block * 16 + 16)


#: Types of pages and of items on them.
_BDB_META: Final = 8
_BDB_HASH: Final = (2, 13)
_BDB_OVERFLOW: Final = 7
_BDB_INLINE: Final = 1
_BDB_OFF_PAGE: Final = 3
_BDB_MAGIC: Final = b"\x61\x15\x06\x00"


def _bdb(path: str, fd: int, names: Collection[bytes]) -> Iterator[bytes]:
    meta = pread(fd, 512, 0)
    if len(meta) < 512:
        raise _DamagedError("truncated")
    order = "<" if meta[12:16] == _BDB_MAGIC else ">"
    if meta[12:16] not in (_BDB_MAGIC, _BDB_MAGIC[::-1]) or meta[25] != _BDB_META:
        raise _DamagedError("not a hash of Berkeley DB")
    if meta[24]:
        raise _DamagedError("encrypted")
    yield from _Bdb(fd, order, *struct.unpack_from(f"{order}I", meta, 20)).values()


class _Bdb:
    """The pages of a hash.

    A page starts with 26 bytes: at 16 the next page of a chain, at 20 the number of items (or the chain's users), at
    22 the number of bytes of an overflow page, at 25 the type. Offsets of the items follow.
    """

    def __init__(self, fd: int, order: str, page_size: int) -> None:
        self._fd = fd
        self._head = struct.Struct(f"{order}16xIHHBB")
        self._off_page = struct.Struct(f"{order}4xII")
        self._order = order
        self._page_size = page_size
        if not 512 <= page_size <= 65536 or page_size & (page_size - 1):
            raise _DamagedError(f"a page of {page_size} bytes")
        self._pages = os.fstat(fd).st_size // page_size
        self._budget = 2 * self._pages  # chains that share pages could keep us for long

    def _page(self, number: int) -> bytes:
        page = pread(self._fd, self._page_size, number * self._page_size)
        if len(page) < self._page_size:
            raise _DamagedError(f"page {number} is missing")
        return page

    def values(self) -> Iterator[bytes]:
        """Yield the second item of each pair on the hash pages."""
        for number in range(1, self._pages):
            page = self._page(number)
            _, count, _, _, kind = self._head.unpack_from(page)
            if kind not in _BDB_HASH:
                continue
            if 26 + 2 * count > self._page_size:
                raise _DamagedError(f"page {number} has {count} items")
            offsets = struct.unpack_from(f"{self._order}{count}H", page, 26)
            for key_at, at in zip(offsets[0::2], offsets[1::2], strict=False):
                # items fill the page from its end: a value ends where its key begins
                if at + 1 < key_at <= self._page_size and page[at] == _BDB_INLINE:
                    yield page[at + 1 : key_at]
                elif at + 12 <= self._page_size and page[at] == _BDB_OFF_PAGE:
                    yield self._chain(*self._off_page.unpack_from(page, at))

    def _chain(self, number: int, length: int) -> bytes:
        if length > min(_HEADER_LIMIT, self._pages * self._page_size):
            raise _DamagedError("a header larger than the file")
        parts = []
        left = length
        while left > 0:
            self._budget -= 1
            if self._budget < 0:
                raise _DamagedError("chains of pages that overlap")
            page = self._page(number)
            number, _, used, _, kind = self._head.unpack_from(page)
            if kind != _BDB_OVERFLOW or not used or 26 + used > self._page_size:
                raise _DamagedError("a chain of pages that breaks off")
            parts.append(page[26 : 26 + used])
            left -= used
        return b"".join(parts)[:length]
