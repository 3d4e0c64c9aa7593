"""The one door to the ELF engines and to the work on many bytes.

There are two engines for one contract: Rust (`fastwheel._core`), and pure Python (`fastwheel._elf` and
`fastwheel._fallback`) for platforms without it. They give the same facts, bytes and error codes; only the bytes of
deflate streams differ. The environment variable `FASTWHEEL_ENGINE` (`rust` or `python`) chooses at the first use.

>>> from fastwheel import engine
>>> engine.sha256_many([b"abc"])[0].hex()[:8]
'ba7816bf'
"""

from __future__ import annotations

import os
import stat
from functools import cache
from itertools import starmap
from typing import TYPE_CHECKING, Final

from fastwheel._elf.model import Facts, Segment, Symbol, Version, VersionDefinition, VersionNeed
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.portable import READ
from fastwheel.spans import Buffer, Identity, Names, Packed, Question, Scanned, Span, Studied, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._core import FactsTuple, LinksTuple
    from fastwheel._elf.links import Links
    from fastwheel._elf.model import Edit

__all__ = [
    "Buffer",
    "Identity",
    "Names",
    "Packed",
    "Question",
    "Scanned",
    "Span",
    "Studied",
    "Task",
    "deflate_many",
    "edit",
    "fault_in",
    "links",
    "links_many",
    "name",
    "pack",
    "read",
    "read_file",
    "scan",
    "sha256_many",
    "study",
    "symbols",
]

#: The environment variable that chooses the engine.
VARIABLE: Final = "FASTWHEEL_ENGINE"


def name() -> str:
    """Return which engine is in use: "rust" or "python".

    Raises:
        FastwheelError: FW800, `FASTWHEEL_ENGINE` names neither, or the Rust engine where it is not installed.
    """
    return "rust" if _is_rust() else "python"


def read(data: Buffer) -> Facts:
    """Read what the loader would learn of an ELF file.

    Args:
        data: the whole file.

    Raises:
        ElfError: FW3xx, the bytes are not an ELF file, or contradict themselves.
    """
    if not _is_rust():
        from fastwheel._elf.facts import read as pure

        return pure(data)
    from fastwheel import _core

    return _facts(_core.read(data))


def symbols(data: Buffer) -> tuple[Symbol, ...]:
    """Read the dynamic symbols of an ELF file from index 1 on, with their versions; none without PT_DYNAMIC.

    Raises:
        ElfError: FW3xx, as `read`.
    """
    if not _is_rust():
        from fastwheel._elf.facts import symbols as pure

        return pure(data)
    from fastwheel import _core

    return tuple(starmap(Symbol, _core.symbols(data)))


def links(data: Buffer) -> Links:
    """Read what an ELF file asks for by symbol and what it offers; nothing without PT_DYNAMIC.

    Raises:
        ElfError: FW3xx, as `read`.
    """
    if not _is_rust():
        from fastwheel._elf.links import links as pure

        return pure(data)
    from fastwheel import _core

    return _links(_core.links(data))


def links_many(fd: int, spans: Sequence[Span], *, jobs: int = 0) -> list[Links | ElfError]:
    """Return the `links` of ELF members of a zip archive, or why they can't be read, in the order of `spans`.

    Args:
        fd: the archive, open for reading; its file offset is neither used nor moved.
        spans: the members; they are not checked against their CRC, which `scan` does.
        jobs: the number of threads, 0 for one per usable processor.

    Raises:
        FastwheelError: FW700, the archive cannot be read.
    """
    try:
        if not _is_rust():
            from fastwheel._fallback import links_many as pure

            return pure(fd, spans, jobs)
        from fastwheel import _core

        damaged = ElfError("FW112", "the member's data is damaged")
        return [
            _links(found) if isinstance(found, tuple) else found or damaged
            for found in _core.links_many(fd, spans, max(jobs, 0))
        ]
    except (OSError, MemoryError) as error:
        raise _cannot_read("the archive", error) from error


def edit(data: Buffer, edit: Edit) -> bytes:
    """Return the ELF file with `edit` done, all else meaning the same as before.

    Raises:
        ElfError: FW3xx it cannot be read; FW4xx it cannot be edited so; FW900 the result is not what was asked for.
    """
    if not _is_rust():
        from fastwheel._elf.editor import edit as pure

        return pure(data, edit)
    from fastwheel import _core

    return _core.edit(data, edit)


def read_file(path: str | os.PathLike[str]) -> Facts:
    """Read what the loader would learn of an ELF file on disk, such as a library of the system.

    Raises:
        FastwheelError: FW700 it cannot be read; FW701 it is not a regular file.
        ElfError: FW3xx, as `read`.
    """
    text = os.fspath(path)
    try:
        fd = os.open(text, READ)
    except (OSError, ValueError) as error:
        raise _cannot_read(text, error) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FastwheelError(f"not a regular file: {escape(text)}", code="FW701")
        if not _is_rust():
            from fastwheel._fallback import read_fd

            return read_fd(fd)
        from fastwheel import _core

        return _facts(_core.read_fd(fd))
    except (OSError, MemoryError) as error:
        raise _cannot_read(text, error) from error
    finally:
        os.close(fd)


def scan(fd: int, spans: Sequence[Span], *, digest: bool = False, jobs: int = 0) -> list[Scanned]:
    """Look into members of a zip archive: which are ELF files, and what the loader would learn of them.

    A member whose content begins with the magic number of ELF is inflated whole and checked against `size` and
    `crc`. Of any other only the first four bytes are inflated, unless `digest` is asked for. Never is more produced
    than a member declares. `fd` is read by position; its file offset is neither used nor moved.

    Of an ELF file that takes more than 4 MiB with its compressed bytes only the tables that are read are kept. Without
    `digest` inflating it stops where they are all there: damage behind that place is not reported (up to 256 KiB behind
    it may be: the engines stop at the end of a piece), and `size` and `crc` are not compared.

    Args:
        fd: the archive, open for reading.
        spans: the members.
        digest: hash (and check) every member.
        jobs: the number of threads, 0 for one per usable processor.

    Returns:
        One for each of `spans`, in their order.

    Raises:
        FastwheelError: FW700, the archive cannot be read.
    """
    try:
        if not _is_rust():
            from fastwheel._fallback import scan as pure

            return pure(fd, spans, digest, jobs)
        from fastwheel import _core

        return [
            Scanned(None if facts is None else _facts(facts), error, fault, sha256)
            for facts, error, fault, sha256 in _core.scan(fd, spans, digest, max(jobs, 0))
        ]
    except (OSError, MemoryError) as error:
        raise _cannot_read("the archive", error) from error


def study(questions: Sequence[Question], *, jobs: int = 0) -> list[Studied]:
    """Read files of this machine through, piece by piece: what they hash to, and the strings in them.

    Args:
        questions: the files, and what to look for in each.
        jobs: the number of threads, 0 for one per usable processor.

    Raises:
        FastwheelError: FW700, a file cannot be read.
    """
    if not _is_rust():
        from fastwheel._fallback_pack import study as pure

        found = pure(questions, jobs)
    else:
        from fastwheel import _core

        asked = [(os.fsencode(path), ranges, patterns) for path, ranges, patterns in questions]
        found = _core.study(asked, max(jobs, 0))
    results = []
    for question, answer in zip(questions, found, strict=True):
        if isinstance(answer, OSError):
            raise _cannot_read(question.path, answer) from answer
        results.append(Studied(*answer))
    return results


def pack(
    spill: int, tasks: Sequence[Task], level: int, *, archive: int | None = None, jobs: int = 0
) -> list[Packed | None]:
    """Make new members: edit, hash and deflate their contents, and append their data to a file.

    Every stream is inflated again and compared with the content that was hashed, before it counts as made.

    Files are read piece by piece; of members and edited contents so many are in memory at one time as fill 16 MiB, or
    a single larger one. The data depend on the engine, the contents and `level` only, not on the number of threads. A
    content that gets no smaller is stored.

    Args:
        spill: a file, open for reading and writing, that nobody else writes to meanwhile.
        tasks: the members to make.
        level: of deflate, 0 (stored) to 9 (smallest).
        archive: open for reading; where sources that are a `Span` lie.
        jobs: the number of threads, 0 for one per usable processor.

    Returns:
        One for each of `tasks`, in their order; None where the source is a member or bytes and the edit changes
        nothing.

    Raises:
        FastwheelError: FW3xx, FW4xx a source that cannot be edited so; FW112 a damaged member; FW700 a file cannot be
            read; FW900. It is the first of `tasks` that fails.
        OSError: the spill cannot be written.
    """
    _check_level(level)
    if not _is_rust():
        from fastwheel._fallback_pack import pack as pure

        results, failure = pure(spill, archive, tasks, level, jobs)
    else:
        from fastwheel import _core

        asked = [
            ((os.fsencode(source),) if isinstance(source, str) else source, edit) for source, edit, _label in tasks
        ]
        results, failure = _core.pack(spill, archive, asked, level, max(jobs, 0))
    if failure is not None:
        index, why = failure
        raise _task_error(tasks[index].label, why) from (why if isinstance(why, BaseException) else None)
    return [
        None if fields is None else Packed(*fields[:-1], None if fields[-1] is None else Names(*fields[-1]))
        for fields in results
    ]


def _task_error(label: str, why: ElfError | OSError | str) -> FastwheelError:
    if isinstance(why, OSError):
        return _cannot_read(label, why)
    if isinstance(why, ElfError):
        return FastwheelError(f"{escape(label)}: {why.message}", code=why.code, hint=why.hint)
    return fault_in(label, why)


def fault_in(label: str, fault: str) -> FastwheelError:
    """Return the error for a member whose content contradicts the central directory, as `Scanned.fault` says."""
    reason = {
        "crc": "its CRC does not match the central directory",
        "size": "its size does not match the central directory",
        "inflate": "its compressed data is damaged",
    }[fault]
    return FastwheelError(
        f"{escape(label)} is damaged: {reason}",
        code="FW112",
        hint="the wheel was changed or cut after it was made: build or download it again",
    )


def sha256_many(buffers: Sequence[Buffer], *, jobs: int = 0) -> list[bytes]:
    """Return the SHA-256 (32 bytes) of each buffer, computed by `jobs` threads (0: one per usable processor)."""
    if not _is_rust():
        from fastwheel._fallback import sha256_many as pure

        return pure(buffers, jobs)
    from fastwheel import _core

    return _core.sha256_many(buffers, max(jobs, 0))


def deflate_many(buffers: Sequence[Buffer], level: int, *, jobs: int = 0) -> list[bytes]:
    """Return a raw deflate stream (RFC 1951) of each buffer, made by `jobs` threads (0: one per usable processor).

    The bytes depend on the engine and `level` only, not on the number of threads.

    Args:
        buffers: what to compress.
        level: 0 (stored) to 9 (smallest), about as large as zlib's at that level or smaller.
        jobs: the number of threads.

    Raises:
        FastwheelError: FW800, `level` is none of these.
    """
    _check_level(level)
    if not _is_rust():
        from fastwheel._fallback import deflate_many as pure

        return pure(buffers, level, jobs)
    from fastwheel import _core

    return _core.deflate_many(buffers, level, max(jobs, 0))


def _check_level(level: int) -> None:
    if level not in range(10):
        raise FastwheelError(f"no compression level {level}", code="FW800", hint="choose one of 0 to 9")


@cache
def _is_rust() -> bool:
    """Decide once which engine to use."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "python":
        return False
    if wanted not in {"", "rust"}:
        raise FastwheelError(
            f"{VARIABLE} is {escape(wanted)}, which is no engine", code="FW800", hint="choose rust or python"
        )
    try:
        from fastwheel import _core  # noqa: F401
    except ImportError as error:
        if wanted == "rust":
            raise FastwheelError(
                f"the Rust engine is not available here: {escape(str(error))}",
                code="FW800",
                hint=f"leave {VARIABLE} unset to use the Python engine",
            ) from error
        return False
    return True


def _facts(fields: FactsTuple) -> Facts:
    """Make `Facts` of its fields in order, as `_core` returns them."""
    return Facts(
        *fields[:7],
        tuple(starmap(Segment, fields[7])),
        fields[8],
        fields[9],
        fields[10],
        fields[11],
        fields[12],
        fields[13],
        fields[14],
        fields[15],
        fields[16],
        fields[17],
        tuple(VersionNeed(file, tuple(starmap(Version, versions))) for file, versions in fields[18]),
        tuple(starmap(VersionDefinition, fields[19])),
        *fields[20:],
    )


def _links(fields: LinksTuple) -> Links:
    """Make `Links` of its fields in order, as `_core` returns them."""
    from fastwheel._elf.links import Links, Undefined, VersionGroup

    undefined, plain, versions, relr = fields
    return Links(tuple(starmap(Undefined, undefined)), plain, tuple(starmap(VersionGroup, versions)), relr)


def _cannot_read(what: str, error: Exception) -> FastwheelError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "not enough memory"
    return FastwheelError(f"cannot read {escape(what)}: {escape(reason)}", code="FW700")
