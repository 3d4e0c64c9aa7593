"""Program headers (`Elfxx_Phdr`), and where an address lies in the file.

Source: System V gABI, chapter 5. The loader knows a file by these and nothing else; so does this package.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from fastwheel._elf.model import Segment
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.header import Header

__all__ = [
    "LONGEST_INTERPRETER",
    "PF_R",
    "PF_W",
    "PF_X",
    "PT_DYNAMIC",
    "PT_GNU_EH_FRAME",
    "PT_GNU_PROPERTY",
    "PT_GNU_RELRO",
    "PT_GNU_STACK",
    "PT_INTERP",
    "PT_LOAD",
    "PT_NOTE",
    "PT_NULL",
    "PT_PHDR",
    "PT_TLS",
    "check_loads",
    "file_offset",
    "load_at",
    "loads",
    "pack_segment",
    "physical_address",
    "read_interpreter",
    "read_segments",
]

PT_NULL: Final = 0
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_INTERP: Final = 3
PT_NOTE: Final = 4
PT_PHDR: Final = 6
PT_TLS: Final = 7
PT_GNU_EH_FRAME: Final = 0x6474E550
PT_GNU_STACK: Final = 0x6474E551
PT_GNU_RELRO: Final = 0x6474E552
PT_GNU_PROPERTY: Final = 0x6474E553

PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4

LONGEST_INTERPRETER: Final = 4096


def read_segments(data: bytes | memoryview, header: Header) -> tuple[Segment, ...]:
    """Read the program-header table, which `read_header` has found to be inside the file."""
    segments = []
    for index in range(header.phnum):
        offset = header.phoff + index * header.phentsize
        if header.bits == 64:
            kind, flags, p_offset, vaddr, _, filesz, memsz, align = struct.unpack_from(
                header.order + "IIQQQQQQ", data, offset
            )
        else:
            kind, p_offset, vaddr, _, filesz, memsz, flags, align = struct.unpack_from(
                header.order + "IIIIIIII", data, offset
            )
        segments.append(Segment(kind, flags, p_offset, vaddr, filesz, memsz, align))
    return tuple(segments)


def physical_address(data: bytes | memoryview, header: Header, index: int) -> int:
    """Return p_paddr of program header `index`: no loader reads it, the editor keeps it in step."""
    offset = header.phoff + index * header.phentsize
    form, at = ("Q", 24) if header.bits == 64 else ("I", 12)
    return int(struct.unpack_from(header.order + form, data, offset + at)[0])


def pack_segment(header: Header, segment: Segment, paddr: int) -> bytes:
    """Return the bytes of one program header."""
    if header.bits == 64:
        return struct.pack(
            header.order + "IIQQQQQQ",
            segment.type,
            segment.flags,
            segment.offset,
            segment.address,
            paddr,
            segment.file_size,
            segment.memory_size,
            segment.align,
        )
    return struct.pack(
        header.order + "IIIIIIII",
        segment.type,
        segment.offset,
        segment.address,
        paddr,
        segment.file_size,
        segment.memory_size,
        segment.flags,
        segment.align,
    )


def check_loads(size: int, header: Header, segments: Sequence[Segment]) -> None:
    """Check what every use of an address leans on: each PT_LOAD in the file, ascending, none over another.

    Raises:
        ElfError: FW303, the first fault in table order.

    """
    top = (1 << header.bits) - 1
    end = 0
    seen = False
    for index, segment in enumerate(segments):
        if segment.type != PT_LOAD:
            continue
        if segment.offset > size or segment.file_size > size - segment.offset:
            raise ElfError("FW303", f"PT_LOAD {index}: p_offset + p_filesz is behind the end of the file")
        if segment.file_size > segment.memory_size:
            raise ElfError("FW303", f"PT_LOAD {index}: p_filesz is greater than p_memsz")
        if segment.memory_size > top - segment.address:
            raise ElfError("FW303", f"PT_LOAD {index}: p_vaddr + p_memsz overflows")
        if seen and segment.address < end:
            raise ElfError("FW303", f"PT_LOAD {index}: p_vaddr is below the end of the PT_LOAD before it")
        end = segment.address + segment.memory_size
        seen = True


def loads(segments: Sequence[Segment]) -> tuple[int, ...]:
    """Return the indices of the PT_LOADs in table order (ascending once `check_loads` has passed)."""
    return tuple(index for index, segment in enumerate(segments) if segment.type == PT_LOAD)


def load_at(segments: Sequence[Segment], address: int) -> int | None:
    """Return the index of the PT_LOAD whose file part holds `address`, or None."""
    for index, segment in enumerate(segments):
        if segment.type == PT_LOAD and address >= segment.address and address - segment.address < segment.file_size:
            return index
    return None


def file_offset(segments: Sequence[Segment], address: int) -> tuple[int, int] | None:
    """Return (file offset of `address`, end of the file part of its PT_LOAD), or None if it is not mapped."""
    index = load_at(segments, address)
    if index is None:
        return None
    segment = segments[index]
    return segment.offset + (address - segment.address), segment.offset + segment.file_size


def read_interpreter(data: bytes | memoryview, segments: Sequence[Segment]) -> bytes | None:
    """Return the string of the first PT_INTERP (the one that the kernel takes), or None.

    Raises:
        ElfError: FW303 if it is outside the file, longer than 4096 bytes, or not ended by a NUL.

    """
    for segment in segments:
        if segment.type != PT_INTERP:
            continue
        if segment.offset > len(data) or segment.file_size > len(data) - segment.offset:
            raise ElfError("FW303", "PT_INTERP: p_offset + p_filesz is behind the end of the file")
        if segment.file_size > LONGEST_INTERPRETER:
            raise ElfError("FW303", "PT_INTERP is longer than 4096 bytes")
        text = bytes(data[segment.offset : segment.offset + segment.file_size])
        end = text.find(b"\0")
        if end < 0:
            raise ElfError("FW303", "PT_INTERP is not ended by a NUL")
        return text[:end]
    return None
