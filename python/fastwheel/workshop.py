"""What the wheels of one call share: each library of this machine is read, hashed, edited and deflated once.

Finished members wait in unnamed files of the output folder until they are copied into the wheels that hold them.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from fastwheel import engine
from fastwheel.deps.hidden import strings_of
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.portable import pread
from fastwheel.wheel.output import open_spill, write_error
from fastwheel.wheel.writer import Packed, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from fastwheel._elf.model import Edit, Facts
    from fastwheel.cache import Cache
    from fastwheel.deps.packages import Package
    from fastwheel.deps.search import Search
    from fastwheel.engine import Span, Studied, Task
    from fastwheel.policy.arch import Arch, Libc

__all__ = ["Finished", "Order", "Workshop"]

#: Stripped contents that are in memory at one time, bytes, unless a single one has more.
_STRIPPED: Final = 32 << 20
#: Smaller members of the wheel are made sooner than looked up, bytes.
_WORTH_AN_ENTRY: Final = 64 << 10
_CHUNK: Final = 1 << 20


class Finished(NamedTuple):
    """A new member that only has to be copied: its data were inflated again when they were made.

    Attributes:
        packed: its data.
        sha256: of its content.
        names: those in its content, if it is an ELF file.
    """

    packed: Packed
    sha256: bytes
    names: engine.Names | None


class Order(NamedTuple):
    """A member to be made.

    Attributes:
        source: the path of a file, a member of the archive, or bytes.
        edit: what changes in it; None takes it as it is.
        label: what errors call it.
        read: returns the whole content, for stripping it; None never strips it.
        shared: whether other wheels may want the same: a graft.
    """

    source: str | Span | bytes
    edit: Edit | None
    label: str
    read: Callable[[], bytes] | None = None
    shared: bool = False


class Workshop:
    """Makes members and remembers what may be wanted again. Threads may share one.

    Args:
        folder: where the unnamed files are; it has to exist when the first member is made.
        level: of deflate, 0 to 9.
        jobs: threads; 0 is one per processor.
        strip: drop symbol tables and debugging sections.
        cache: finished members on disk.

    Attributes:
        searches: what is known of this machine's libraries, for audits to share.
    """

    def __init__(
        self, folder: Path, *, level: int, jobs: int = 0, strip: bool = False, cache: Cache | None = None
    ) -> None:
        self.searches: dict[tuple[Libc, Arch], Search] = {}
        self._folder = folder
        self._level = level
        self._jobs = jobs
        self._strip = strip
        self._cache = cache
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._spills: list[int] = []
        self._studied: dict[str, Studied] = {}
        self._finished: dict[tuple[bytes, Edit], Finished] = {}
        self._owners: dict[str, Package | None] = {}
        self._owner_notes: list[str] = []
        self._noted = 0

    def close(self) -> None:
        """Give up the unnamed files; further calls do nothing."""
        if self._cache is not None:
            self._cache.trim()
        while self._spills:
            os.close(self._spills.pop())

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cache_notes(self) -> tuple[str, ...]:
        """What went wrong with the cache since the last time this was asked."""
        if self._cache is None:
            return ()
        with self._lock:
            notes, self._noted = self._cache.notes[self._noted :], len(self._cache.notes)
            return tuple(notes)

    def study(self, facts: Mapping[str, Facts]) -> dict[str, Studied]:
        """Return hash and strings of libraries, given their facts by path.

        Raises:
            FastwheelError: FW700, one cannot be read.
        """
        with self._lock:
            new = [path for path in facts if path not in self._studied]
            questions = [strings_of(path, _size(path), facts[path]) for path in new]
            answers = engine.study(questions, jobs=self._jobs) if new else []
            self._studied.update(zip(new, answers, strict=True))
            return {path: self._studied[path] for path in facts}

    def owners(self, paths: Sequence[str], notes: list[str]) -> dict[str, Package]:
        """Return the packages that own files of this machine; `notes` gets what could not be read."""
        from fastwheel.deps.packages import owners

        with self._asking:
            new = [path for path in paths if path not in self._owners]
            if new:
                found = owners(new, notes=self._owner_notes)
                self._owners.update((path, found.get(path)) for path in new)
            notes += self._owner_notes
            known = ((path, self._owners[path]) for path in paths)
            return {path: package for path, package in known if package is not None}

    def make(self, orders: Sequence[Order], archive: int) -> list[Finished | None]:
        """Make members; None where the edit changes nothing of a member.

        Args:
            orders: what to make.
            archive: where members that are a source lie.

        Raises:
            FastwheelError: as `engine.pack`; FW702, FW703 the output folder cannot be written.
        """
        with self._lock:
            found: list[Finished | None] = [self._known(order) for order in orders]
            todo = [index for index, known in enumerate(found) if known is None]
            if not todo:
                return found
            spill = self._spill()
            try:
                entries = {index: self._entry(orders[index], archive) for index in todo} if self._cache else {}
                for index, entry in entries.items():
                    found[index] = self._from_cache(orders[index], entry, spill)
                for indices, tasks in self._batches(orders, [index for index in todo if found[index] is None]):
                    made = engine.pack(spill, tasks, self._level, archive=archive, jobs=self._jobs)
                    for index, packed in zip(indices, made, strict=True):
                        if packed is not None:
                            found[index] = finished = _finished(packed, spill)
                            self._keep(orders[index], finished, packed.identity)
                            self._to_cache(entries.get(index), finished)
            except OSError as error:
                raise write_error(self._folder / "new wheels", error) from error
            return found

    def _spill(self) -> int:
        spill = open_spill(self._folder)
        self._spills.append(spill)
        return spill

    # -- what may be wanted again ------------------------------------------------------------------------------

    def _key(self, order: Order) -> tuple[bytes, Edit] | None:
        """What stands for a graft: what it was made of, and how."""
        if not order.shared or order.edit is None or not isinstance(order.source, str):
            return None
        return self._studied[order.source].sha256, order.edit

    def _known(self, order: Order) -> Finished | None:
        key = self._key(order)
        return None if key is None else self._finished.get(key)

    def _keep(self, order: Order, finished: Finished, identity: engine.Identity | None) -> None:
        """Remember a finished graft, if it was made of the file that was hashed."""
        key = self._key(order)
        if key is None or not isinstance(order.source, str):
            return
        if (identity or _identity(order.source)) != self._studied[order.source].identity:
            raise FastwheelError(
                f"{escape(order.label)} was changed while it was read",
                code="FW700",
                hint="try again once it is complete",
            )
        self._finished[key] = finished

    def _entry(self, order: Order, archive: int) -> str | None:
        """The name of the cache's entry for a member, which hangs on all that decides its data; None if it has none."""
        from fastwheel.cache import entry_key

        source: bytes
        if order.edit is None or isinstance(order.source, bytes):
            return None
        if isinstance(order.source, str):
            if not order.shared:
                return None
            source = self._studied[order.source].sha256
        elif order.source.size < _WORTH_AN_ENTRY:
            return None
        else:
            # Of a member the stream counts: most of it stays as it is.
            source = _stream_hash(archive, order.source)
        return entry_key(source, order.edit, self._level, strip=self._strip)

    def _from_cache(self, order: Order, entry: str | None, spill: int) -> Finished | None:
        """A member that is on disk, put into the spill."""
        if self._cache is None or entry is None:
            return None
        at = os.fstat(spill).st_size
        cached = self._cache.get(entry, spill, at)
        if cached is None:
            return None
        pieces = (Piece(spill, at, cached.data_size),) if cached.data_size else ()
        finished = Finished(Packed(cached.method, cached.crc, cached.size, b"", pieces), cached.sha256, cached.names)
        key = self._key(order)
        if key is not None:
            self._finished[key] = finished
        return finished

    def _to_cache(self, entry: str | None, finished: Finished) -> None:
        if self._cache is None or entry is None:
            return
        from fastwheel.cache import Cached

        packed = finished.packed
        about = Cached(packed.method, packed.crc, packed.size, finished.sha256, packed.compressed_size, finished.names)
        self._cache.put(entry, about, _data(packed))

    # -- tasks -------------------------------------------------------------------------------------------------

    def _batches(self, orders: Sequence[Order], todo: Sequence[int]) -> Iterator[tuple[list[int], list[Task]]]:
        """Tasks for the engine; stripped contents are made for a few at a time."""
        from fastwheel.engine import Task

        indices: list[int] = []
        tasks: list[Task] = []
        held = 0
        for index in todo:
            order = orders[index]
            task: Task | None = Task(order.source, order.edit, order.label)
            if self._strip and order.read is not None:
                task = _stripped(order, order.read())
            if task is None:
                continue
            indices.append(index)
            tasks.append(task)
            held += len(task.source) if isinstance(task.source, bytes) else 0
            if held > _STRIPPED:
                yield indices, tasks
                indices, tasks, held = [], [], 0
        if tasks:
            yield indices, tasks


def _stripped(order: Order, before: bytes) -> Task | None:
    """The task for a content without what no loader reads; None if nothing of a member changes."""
    from fastwheel._elf.strip import strip
    from fastwheel.engine import Task

    try:
        # Stripped first: strip tools of all kinds trust section headers, the editor does not.
        content = strip(before)
        if order.edit is not None:
            content = engine.edit(content, order.edit)
    except ElfError as error:
        raise FastwheelError(f"{escape(order.label)}: {error.message}", code=error.code, hint=error.hint) from error
    if content == before and not isinstance(order.source, str):
        return None
    return Task(content, None, order.label)


def _finished(packed: engine.Packed, spill: int) -> Finished:
    pieces = tuple(Piece(spill, offset, size) for offset, size in packed.ranges)
    return Finished(Packed(packed.method, packed.crc, packed.size, b"", pieces), packed.sha256, packed.names)


def _stream_hash(archive: int, span: Span) -> bytes:
    """SHA-256 of a member's data and of what the archive says of them."""
    from hashlib import sha256

    hasher = sha256(repr((span.method, span.size, span.crc, span.compressed_size)).encode())
    at, stop = span.offset, span.offset + span.compressed_size
    while at < stop:
        data = pread(archive, min(_CHUNK, stop - at), at)
        if not data:
            break  # cut off meanwhile: reading it will tell
        hasher.update(data)
        at += len(data)
    return hasher.digest()


def _data(packed: Packed) -> Iterator[bytes]:
    """The data of a finished member, piece by piece."""
    for fd, offset, size in packed.pieces:
        at, stop = offset, offset + size
        while at < stop:
            data = pread(fd, min(_CHUNK, stop - at), at)
            if not data:
                raise OSError("the file of finished members is shorter than what was written")
            yield data
            at += len(data)


def _identity(path: str) -> engine.Identity:
    info = os.stat(path)
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _size(path: str) -> int:
    with suppress(OSError, ValueError):
        return os.stat(path).st_size
    return 0  # what is wrong is told when it is read
