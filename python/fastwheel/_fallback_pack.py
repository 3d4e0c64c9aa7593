"""Reading files through and making new members without Rust: the twins of `study` and `pack` in `fastwheel._core`.

Use it through `fastwheel.engine`. Editing is pure Python and holds the GIL, so contents are made one after the other;
hashing and deflating release it and run in threads meanwhile, chunk by chunk.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from fastwheel._elf.editor import edit as edit_elf
from fastwheel._elf.facts import read as read_elf
from fastwheel._fallback import Damage, map_threads, threads, whole
from fastwheel.errors import ElfError, FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.portable import READ, pread, pwrite
from fastwheel.spans import Names, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from fastwheel._core import PackedTuple, StudiedTuple
    from fastwheel.spans import Identity, Question, Task

__all__ = ["pack", "study"]

#: Bytes of content in each chunk; each is primed with the window before it.
_CHUNK: Final = 1 << 20
_WINDOW: Final = 32 << 10
#: Bytes of contents that wait for their chunks at one time, unless a single one has more.
_HELD: Final = 16 << 20
#: The longest C string that is looked at, bytes.
_LONGEST: Final = 1024
#: No more strings than these are told of one pattern.
_MOST: Final = 4096
_STORED: Final = 0
_DEFLATED: Final = 8


def study(questions: Sequence[Question], jobs: int) -> list[StudiedTuple | OSError]:
    """Read files through; see `engine.study`."""

    def one(question: Question) -> StudiedTuple | OSError:
        try:
            return _study(question)
        except OSError as error:
            return error

    return map_threads(one, questions, jobs)


def _study(question: Question) -> StudiedTuple:
    hasher = hashlib.sha256()
    fd = _open_regular(question.path)
    try:
        offset = 0
        while data := pread(fd, _CHUNK, offset):
            hasher.update(data)
            offset += len(data)
        found: list[list[str]] = [[] for _ in question.patterns]
        if offset and question.patterns and question.ranges:
            with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as content:
                found = [list(_strings(content, pattern, question.ranges)) for pattern in question.patterns]
        return hasher.digest(), _identity(fd), found
    finally:
        os.close(fd)


def _open_regular(path: str) -> int:
    import stat

    try:
        fd = os.open(path, READ)
    except ValueError as error:  # a NUL in the name
        raise OSError(str(error)) from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError("not a regular file")


def _identity(fd: int) -> Identity:
    info = os.fstat(fd)
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _strings(content: mmap.mmap, part: bytes, ranges: Sequence[tuple[int, int]]) -> Iterator[str]:
    """The printable C strings that hold `part`, each once; `part` may begin with the NUL before a string."""
    seen: set[str] = set()
    for low, high in ranges:
        at = content.find(part, low, high)
        while at >= 0 and len(seen) < _MOST:
            start = content.rfind(b"\0", max(at - _LONGEST, low), at + 1) + 1
            end = content.find(b"\0", at + 1, min(at + _LONGEST, high))
            if end < 0:
                end = at + len(part)
            elif start > 0:
                text = content[start:end].decode("latin-1")
                if text not in seen and text.isascii() and text.isprintable():
                    seen.add(text)
                    yield text
            at = content.find(part, end, high)


class _Job(NamedTuple):
    """One content at work: what its threads will say."""

    size: int
    held: int
    sums: Future[tuple[bytes, int]]
    chunks: list[Future[tuple[int, int]]]
    content: Callable[[int, int], bytes]
    identity: Identity | None
    names: Names | None


class _Spill:
    """The file that streams are appended to, by all threads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = os.fstat(fd).st_size
        self._lock = threading.Lock()

    def append(self, data: bytes) -> tuple[int, int]:
        """Write behind all that is there; return offset and length."""
        with self._lock:
            start = self._end
            self._end += len(data)
        view, at = memoryview(data), start
        while view:
            done = pwrite(self._fd, view, at)
            view, at = view[done:], at + done
        return start, len(data)


class _NotReadError(Exception):
    """A source that cannot be read; the argument is the OSError, which must not be taken for one of the spill."""


def pack(
    spill: int, archive: int | None, tasks: Sequence[Task], level: int, jobs: int
) -> tuple[Sequence[PackedTuple | None], tuple[int, ElfError | OSError | str] | None]:
    """Make new members; see `engine.pack`."""
    out = _Spill(spill)
    results: list[PackedTuple | None] = [None] * len(tasks)
    waiting: deque[tuple[int, _Job]] = deque()
    held = 0
    with ThreadPoolExecutor(threads(jobs), thread_name_prefix="fastwheel") as pool:
        index = 0
        try:
            for index, task in enumerate(tasks):
                job = _start(pool, out, archive, task, level)
                if job is None:
                    continue
                waiting.append((index, job))
                held += job.held
                while len(waiting) > 1 and held > _HELD:
                    done, first = waiting.popleft()
                    held -= first.held
                    results[done] = _finish(out, first, level)
            while waiting:
                index, job = waiting.popleft()
                results[index] = _finish(out, job, level)
        except (ElfError, _NotReadError, Damage) as error:
            pool.shutdown(cancel_futures=True)
            why = error.args[0] if isinstance(error, (_NotReadError, Damage)) else error
            return (), (index, why)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results, None


def _start(pool: ThreadPoolExecutor, out: _Spill, archive: int | None, task: Task, level: int) -> _Job | None:
    """Make a content and hand its hashing and its chunks to threads; None if the edit changes nothing."""
    identity = None
    if isinstance(task.source, str):
        try:
            fd = _open_regular(task.source)
        except OSError as error:
            raise _NotReadError(error) from error
        try:
            identity = _identity(fd)
            with open(fd, "rb", closefd=False) as file:
                before = file.read()
        except OSError as error:
            raise _NotReadError(error) from error
        finally:
            os.close(fd)
    elif isinstance(task.source, Span):
        assert archive is not None
        before = whole(archive, task.source)
    else:
        before = task.source
    content = before if task.edit is None else edit_elf(before, task.edit)
    if identity is None and task.edit is not None and content == before:
        return None
    del before

    def sums() -> tuple[bytes, int]:
        hasher, crc = hashlib.sha256(), 0
        for at in range(0, len(content), _CHUNK):
            piece = memoryview(content)[at : at + _CHUNK]
            hasher.update(piece)
            crc = zlib.crc32(piece, crc)
        return hasher.digest(), crc

    def chunk(at: int) -> tuple[int, int]:
        last = at + _CHUNK >= len(content)
        before = content[max(at - _WINDOW, 0) : at]
        if before:
            stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
        else:
            stream = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        piece = memoryview(content)[at : at + _CHUNK]
        data = stream.compress(piece) + stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        again = zlib.decompressobj(-zlib.MAX_WBITS, zdict=before)
        if again.decompress(data) != piece or again.eof != last or again.unused_data:
            raise FastwheelError("a new stream does not inflate to its content", code="FW900")
        return out.append(data)

    starts = range(0, len(content), _CHUNK) if level else range(0)
    size = len(content)
    return _Job(
        size,
        size,
        pool.submit(sums),
        [pool.submit(chunk, at) for at in starts],
        lambda start, end: content[start:end],
        identity,
        Names.of(read_elf(content)) if content.startswith(b"\x7fELF") else None,
    )


def _finish(out: _Spill, job: _Job, level: int) -> PackedTuple:
    """Wait for a content's threads and say what they made."""
    sha256, crc = job.sums.result()
    ranges = [chunk.result() for chunk in job.chunks]
    method = _DEFLATED
    if not level or sum(length for _, length in ranges) >= job.size:
        method = _STORED
        pieces = (job.content(at, at + _CHUNK) for at in range(0, job.size, _CHUNK))
        ranges = [out.append(piece) for piece in pieces]
    return method, crc, job.size, sha256, tuple(_merged(ranges)), job.identity, job.names


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbours in the spill as one range."""
    result: list[tuple[int, int]] = []
    for start, length in ranges:
        if result and sum(result[-1]) == start:
            result[-1] = (result[-1][0], result[-1][1] + length)
        else:
            result.append((start, length))
    return result
