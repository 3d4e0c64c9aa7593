"""Where there is room: behind a segment, at the end of the file, in a new segment (elf-edit 3.5, "slack")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.header import EM_386, EM_ALPHA, EM_MIPS, EM_X86_64, ET_DYN
from fastwheel._elf.items import covered_ranges, is_zero
from fastwheel._elf.section import SHF_ALLOC, SHF_TLS, SHT_NOBITS, section_name
from fastwheel._elf.segment import (
    PF_R,
    PF_W,
    PF_X,
    PT_GNU_RELRO,
    PT_INTERP,
    PT_LOAD,
    PT_NULL,
    PT_PHDR,
)

if TYPE_CHECKING:
    from fastwheel._elf.image import Image
    from fastwheel._elf.section import Section

__all__ = [
    "SLOT_GAP",
    "SLOT_NULL",
    "SLOT_PHDR",
    "Room",
    "address_room",
    "file_end_room",
    "find_slot",
    "largest_page",
    "preferred",
    "relro_padding",
    "round_up",
    "slack_room",
    "table_gap",
    "takes_memory_behind",
]

#: Zero bytes behind the last segment that an extension of the file may swallow.
_LAST_PADDING: Final = 64

#: How the slot for a new program header is got.
SLOT_NULL: Final = "PT_NULL"
SLOT_GAP: Final = "gap"
SLOT_PHDR: Final = "PT_PHDR"

#: The largest page of the kernels of an architecture; 4096 for all others.
_LARGEST_PAGES: Final = (
    (2, 0x10000),  # EM_SPARC
    (EM_MIPS, 0x10000),
    (18, 0x10000),  # EM_SPARC32PLUS
    (20, 0x10000),  # EM_PPC
    (21, 0x10000),  # EM_PPC64
    (43, 0x100000),  # EM_SPARCV9
    (50, 0x10000),  # EM_IA_64
    (183, 0x10000),  # EM_AARCH64
    (258, 0x10000),  # EM_LOONGARCH
    (EM_ALPHA, 0x10000),
)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes behind a segment that can become part of it.

    Attributes:
        load: index of the PT_LOAD, or -1 for one that is to be added.
        offset: file offset of the first byte.
        address: its address.
        size: how many bytes.
    """

    load: int
    offset: int
    address: int
    size: int


def round_up(value: int, align: int) -> int:
    """Return the least multiple of `align`, a power of two, that is not below `value`."""
    return (value + align - 1) & ~(align - 1)


def largest_page(machine: int) -> int:
    """Return the size of the largest page that a kernel of the architecture uses, in bytes."""
    for other, size in _LARGEST_PAGES:
        if other == machine:
            return size
    return 4096


def relro_padding(image: Image, load_index: int) -> int | None:
    """Return the section index of lld's `.relro_padding` if it is the whole tail of the PT_LOAD not in the file."""
    load = image.segments[load_index]
    start = load.address + load.file_size
    end = load.address + load.memory_size
    found = None
    for index, section in enumerate(image.sections):
        if section.type != SHT_NOBITS or not section.flags & SHF_ALLOC or section.flags & SHF_TLS:
            continue
        if section.size == 0 or section.address >= end or section.address + section.size <= start:
            continue
        if found is not None or section.address != start or section.address + section.size != end:
            return None
        if section_name(image.data, image.header, image.sections, section) != b".relro_padding":
            return None
        found = index
    return found


def address_room(image: Image, load_index: int) -> int:
    """Return how many bytes of addresses behind the file part of a PT_LOAD are free for it.

    They end where the page of the next PT_LOAD begins. Bytes that the PT_LOAD zeroes (`.bss`) are not free, except for
    `.relro_padding`.
    """
    load = image.segments[load_index]
    end = load.address + load.file_size
    if load.memory_size != load.file_size:
        if relro_padding(image, load_index) is None:
            return 0
        return load.memory_size - load.file_size
    limit = (1 << image.header.bits) - 1
    position = image.loads.index(load_index)
    if position + 1 < len(image.loads):
        following = image.segments[image.loads[position + 1]]
        page = max(following.align, 4096)
        # the hardware page of x86 is 4096, whatever the linker was told
        if image.header.machine in {EM_386, EM_X86_64} and page > 0x10000:
            page = 4096
        limit = following.address & ~(page - 1)
    return max(limit - end, 0)


def slack_room(image: Image, load_index: int) -> Room:
    """Return the zero bytes directly behind a PT_LOAD that nothing claims; of size 0 if there are none."""
    load = image.segments[load_index]
    end = load.offset + load.file_size
    room = address_room(image, load_index)
    limit = min(len(image.data), end + room)
    for start, stop in covered_ranges(image):
        if stop > end and start < limit:
            limit = max(start, end)
    size = limit - end
    if not is_zero(image.data, end, limit):
        size = _leading_zeros(image.data, end, limit)
    return Room(load_index, end, load.address + load.file_size, size)


def _leading_zeros(data: bytes, start: int, end: int) -> int:
    found = data[start:end]
    return len(found) - len(found.lstrip(b"\0"))


def file_end_room(image: Image, load_index: int) -> Room | None:
    """Return the room behind the last PT_LOAD if the file can be made longer there, else None.

    That is so if nothing but at most 64 zero bytes, which nothing claims, lies between it and the end of the file.
    """
    load = image.segments[load_index]
    end = load.offset + load.file_size
    if load_index != image.loads[-1] or load.memory_size != load.file_size:
        return None
    if len(image.data) - end > _LAST_PADDING or not is_zero(image.data, end, len(image.data)):
        return None
    for _, stop in covered_ranges(image):
        if stop > end:
            return None
    return Room(load_index, end, load.address + load.file_size, address_room(image, load_index))


def _rank(image: Image, load_index: int) -> int:
    """Return how fit a PT_LOAD is for read-only tables: R, RW in RELRO, RX, RW, RWX; 9 if it cannot be read."""
    load = image.segments[load_index]
    flags = load.flags & (PF_R | PF_W | PF_X)
    if not flags & PF_R:
        return 9
    if flags == PF_R:
        return 0
    if flags == PF_R | PF_W:
        for segment in image.segments:
            if segment.type == PT_GNU_RELRO and load.address <= segment.address < load.address + load.memory_size:
                return 1
        return 3
    return 2 if flags == PF_R | PF_X else 4


def preferred(image: Image, writable: bool | None, first: int | None) -> tuple[int, ...]:
    """Return the PT_LOADs in order of preference.

    Args:
        image: the file.
        writable: only those with (True) or without (False) PF_W; None for all.
        first: a PT_LOAD that comes before the others, if it is among them.
    """
    found = []
    for index in image.loads:
        rank = _rank(image, index)
        if rank == 9:
            continue
        if writable is not None and bool(image.segments[index].flags & PF_W) != writable:
            continue
        found.append((-1 if index == first else rank, index))
    found.sort()
    return tuple(index for _, index in found)


def table_gap(image: Image) -> int:
    """Return how many zero bytes behind the program-header table nothing claims (0 in a sectionless file).

    If a PT_LOAD maps the table, they are inside its file part too.
    """
    header = image.header
    end = header.phoff + header.phnum * header.phentsize
    if not image.sections:
        return 0
    limit = len(image.data)
    for index in image.loads:
        load = image.segments[index]
        if load.offset <= header.phoff < load.offset + load.file_size:
            limit = min(limit, load.offset + load.file_size)
    for section in image.sections:
        if section.in_file and section.offset + section.size > end:
            limit = min(limit, max(section.offset, end))
    if header.shoff >= header.phoff:
        limit = min(limit, max(header.shoff, end))
    for segment in image.segments:
        if (
            segment.type not in {PT_LOAD, PT_PHDR}
            and segment.file_size > 0
            and segment.offset + segment.file_size > end
        ):
            limit = min(limit, max(segment.offset, end))
    if limit <= end:
        return 0
    return _leading_zeros(image.data, end, min(limit, end + 4096))


def _overhangs(image: Image, section: Section) -> bool:
    """Whether a section without bytes in the file begins in a PT_LOAD and ends behind it."""
    if section.type != SHT_NOBITS or not section.flags & SHF_ALLOC or section.flags & SHF_TLS:
        return False
    for index in image.loads:
        load = image.segments[index]
        end = load.address + load.memory_size
        if load.address <= section.address < end < section.address + section.size:
            return True
    return False


def takes_memory_behind(image: Image) -> bool:
    """Whether the program may believe that the memory behind a PT_LOAD is its own: a section says so."""
    return any(_overhangs(image, section) for section in image.sections)


def find_slot(image: Image) -> tuple[str, int] | None:
    """Return how one more PT_LOAD fits into the program-header table, and the index of the entry it costs (or -1)."""
    for index, segment in enumerate(image.segments):
        if segment.type == PT_NULL:
            return SLOT_NULL, index
    if table_gap(image) >= image.header.phentsize and image.header.phnum + 1 < 0xFFFF:
        return SLOT_GAP, -1
    if image.header.type == ET_DYN and all(segment.type != PT_INTERP for segment in image.segments):
        for index, segment in enumerate(image.segments):
            if segment.type == PT_PHDR:
                return SLOT_PHDR, index
    return None
