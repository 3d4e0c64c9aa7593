"""Notes (`Elfxx_Nhdr`): the build id, and the x86 instruction-set level that a file asks for.

Source: System V gABI, chapter 5; Linux gABI extensions, "Program property". A malformed note ends its
segment's list, as it does for the loader: notes are advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.header import EM_386, EM_X86_64, u32
from fastwheel._elf.segment import PT_GNU_PROPERTY, PT_NOTE
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = ["Notes", "read_notes"]

_NT_GNU_BUILD_ID: Final = 3
_NT_GNU_PROPERTY_TYPE_0: Final = 5
_X86_ISA_1_NEEDED: Final = 0xC0008002
_LONGEST_BUILD_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Notes:
    """What the notes say.

    Attributes:
        build_id: the first NT_GNU_BUILD_ID of 1 to 256 bytes, or None.
        x86_isa_needed: every GNU_PROPERTY_X86_ISA_1_NEEDED of an x86 file, or-ed; 0 without one.

    """

    build_id: bytes | None
    x86_isa_needed: int


def read_notes(data: bytes | memoryview, header: Header, segments: Sequence[Segment]) -> Notes:
    """Read every PT_NOTE and PT_GNU_PROPERTY.

    Raises:
        ElfError: FW303 if one is outside the file, or they are together more than twice as long as the file.

    """
    build_id = None
    isa = 0
    total = 0
    for index, segment in enumerate(segments):
        if segment.type not in {PT_NOTE, PT_GNU_PROPERTY}:
            continue
        if segment.offset > len(data) or segment.file_size > len(data) - segment.offset:
            raise ElfError("FW303", f"program header {index} (note): p_offset + p_filesz is behind the file")
        total += segment.file_size
        if total > 2 * len(data):
            raise ElfError("FW303", "PT_NOTE: the segments overlap")
        pad = 7 if segment.align == 8 else 3
        position = segment.offset
        end = segment.offset + segment.file_size
        while end - position >= 12:
            name_size = u32(data, header, position)
            size = u32(data, header, position + 4)
            kind = u32(data, header, position + 8)
            name = position + 12
            content = position + ((12 + name_size + pad) & ~pad)
            if content > end or size > end - content:
                break
            if name_size == 4 and bytes(data[name : name + 4]) == b"GNU\0":
                if kind == _NT_GNU_BUILD_ID and build_id is None and 0 < size <= _LONGEST_BUILD_ID:
                    build_id = bytes(data[content : content + size])
                if kind == _NT_GNU_PROPERTY_TYPE_0 and header.machine in {EM_386, EM_X86_64}:
                    isa |= _isa_needed(data, header, content, content + size)
            position = content + ((size + pad) & ~pad)
    return Notes(build_id, isa)


def _isa_needed(data: bytes | memoryview, header: Header, position: int, end: int) -> int:
    pad = header.bits // 8 - 1
    found = 0
    while end - position >= 8:
        kind = u32(data, header, position)
        size = u32(data, header, position + 4)
        position += 8
        if size > end - position:
            break
        if kind == _X86_ISA_1_NEEDED and size == 4:
            found |= u32(data, header, position)
        position += (size + pad) & ~pad
    return found
