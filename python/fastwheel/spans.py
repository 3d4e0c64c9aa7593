"""What both engines take and give when they look into many members at once: plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from fastwheel._elf.model import Facts
    from fastwheel.errors import ElfError

__all__ = ["Buffer", "Scanned", "Span"]

Buffer: TypeAlias = bytes | bytearray | memoryview


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
