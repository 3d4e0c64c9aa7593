"""What both engines take and give when they work on many members or files at once: plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from fastwheel._elf.model import Edit, Facts
    from fastwheel.errors import ElfError

__all__ = ["Buffer", "Identity", "Names", "Packed", "Question", "Scanned", "Span", "Studied", "Task"]

Buffer: TypeAlias = bytes | bytearray | memoryview
#: Device, inode, size, modification time (ns): whether a file is still the one that was read before.
Identity: TypeAlias = tuple[int, int, int, int]


class Span(NamedTuple):
    """Where a member's data lie in a zip archive, and what its central directory says of them.

    Attributes:
        offset: of the first compressed byte in the file.
        compressed_size: in bytes.
        size: of the content in bytes.
        crc: CRC-32 of the content.
        method: 0 stored, 8 deflated.
    """

    offset: int
    compressed_size: int
    size: int
    crc: int
    method: int


class Scanned(NamedTuple):
    """What `scan` found of one member.

    Attributes:
        facts: of an ELF file that can be read, else None.
        error: of an ELF file that cannot, else None.
        fault: how the content contradicts the central directory: "inflate" (no deflate stream that fills the compressed
            bytes exactly), "size" or "crc"; else None. There is nothing else then.
        sha256: of the content, 32 bytes, where asked for.
    """

    facts: Facts | None = None
    error: ElfError | None = None
    fault: str | None = None
    sha256: bytes | None = None


class Question(NamedTuple):
    """What `study` is asked about one file.

    Attributes:
        path: of the file.
        ranges: where strings are looked for, as offsets [start, end) in the file.
        patterns: bytes that a string must hold; they may begin with the NUL before it.
    """

    path: str
    ranges: tuple[tuple[int, int], ...] = ()
    patterns: tuple[bytes, ...] = ()


class Studied(NamedTuple):
    """What `study` found out about one file.

    Attributes:
        sha256: of the file, 32 bytes.
        identity: of the file that was read.
        strings: for each pattern, the printable ASCII strings that hold it, each once: no longer than 1 KiB, between
            two NULs in the same range, at most 4096.
    """

    sha256: bytes
    identity: Identity
    strings: list[list[str]]


class Task(NamedTuple):
    """One new member for `pack`.

    Attributes:
        source: its content: the path of a file, a member of the archive, or bytes.
        edit: what changes in it; None takes it as it is.
        label: what errors call it.
    """

    source: str | Span | bytes
    edit: Edit | None
    label: str


class Names(NamedTuple):
    """The names by which an ELF file and its libraries are found: strings of its dynamic section, as in `Facts`."""

    soname: str | None
    needed: tuple[str, ...]
    rpath: str | None
    runpath: str | None

    @classmethod
    def of(cls, facts: Facts) -> Names:
        """Return those of a file, given what was read of it."""
        return cls(facts.soname, facts.needed, facts.rpath, facts.runpath)


class Packed(NamedTuple):
    """A new member as it is to lie in an archive. Its data were inflated again and gave the content.

    Attributes:
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the content.
        size: of the content in bytes.
        sha256: of the content, 32 bytes.
        ranges: (offset, length) of the pieces in the spill that make its data, in order.
        identity: of the file that it was made of, after it was read for the last time; else None.
        names: those in the content, if it is an ELF file.
    """

    method: int
    crc: int
    size: int
    sha256: bytes
    ranges: tuple[tuple[int, int], ...]
    identity: Identity | None = None
    names: Names | None = None
