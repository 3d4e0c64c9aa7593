"""What lies where: the tables of a file as items, and which of them may be moved (elf-edit 3.5, "movable").

With section headers an item is a loaded section. Without, the tables are found and measured from the dynamic section,
and every byte that is not certainly padding belongs to an item that stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_JMPREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELR,
    DT_RELRSZ,
    DT_RELSZ,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    last,
)
from fastwheel._elf.header import EHDR_SIZE
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_HASH,
    SHT_NOTE,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_RELR,
    SHT_STRTAB,
)
from fastwheel._elf.segment import PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE, PT_PHDR, file_offset, load_at
from fastwheel._elf.walked import table_extents

if TYPE_CHECKING:
    from fastwheel._elf.image import Image
    from fastwheel._elf.section import Section

__all__ = [
    "EVICTABLE",
    "MOVABLE",
    "POINTERS",
    "Item",
    "covered_ranges",
    "is_block_item",
    "is_zero",
    "items_of_load",
    "whole_end",
    "whole_segments",
]

#: Types of sections that only the dynamic section refers to, so that all that refers to them can be changed.
MOVABLE: Final = frozenset(
    {
        SHT_STRTAB,
        SHT_DYNSYM,
        SHT_HASH,
        SHT_GNU_HASH,
        SHT_GNU_VERSYM,
        SHT_GNU_VERNEED,
        SHT_GNU_VERDEF,
        SHT_REL,
        SHT_RELA,
        SHT_RELR,
    }
)

#: Those of them that may be sent to another segment.
EVICTABLE: Final = frozenset({SHT_GNU_VERSYM, SHT_GNU_VERNEED, SHT_GNU_VERDEF, SHT_GNU_HASH, SHT_HASH})

#: The dynamic tags that hold the address of a movable table.
POINTERS: Final = frozenset(
    {
        DT_HASH,
        DT_STRTAB,
        DT_SYMTAB,
        DT_RELA,
        DT_REL,
        DT_JMPREL,
        DT_RELR,
        DT_GNU_HASH,
        DT_VERSYM,
        DT_VERDEF,
        DT_VERNEED,
    }
)

_LARGEST_ALIGN: Final = 0x10000


@dataclass(frozen=True, slots=True)
class Item:
    """A range of a file that holds one thing.

    Attributes:
        kind: the type of its section, or the type that it would have; 0 of what has none (headers, unknown bytes).
        section: index of its section, or 0.
        order: what breaks ties: the section index, or in a sectionless file the rank by address.
        offset: file offset.
        address: where it is loaded.
        size: bytes.
        align: a power of two, at least 1.
        movable: whether everything that refers to it is known.
    """

    kind: int
    section: int
    order: int
    offset: int
    address: int
    size: int
    align: int
    movable: bool


def is_zero(data: bytes, start: int, end: int) -> bool:
    """Whether all bytes of [start, end) are 0; an empty range is."""
    return not any(data[start:end]) if end - start < 64 else data.count(0, start, end) == end - start


def _sectioned_item(image: Image, index: int, section: Section) -> Item:
    load_index = load_at(image.segments, section.address)
    right = False
    if load_index is not None:
        load = image.segments[load_index]
        right = section.offset == load.offset + (section.address - load.address)
    pointed = section.size == 0
    for tag, value in image.dynamic.entries:
        if tag in POINTERS and section.address <= value < section.address + section.size:
            pointed = True
    align = max(section.align, 1)
    movable = (
        section.type in MOVABLE
        and section.flags & SHF_ALLOC != 0
        and section.flags & (SHF_WRITE | SHF_EXECINSTR) == 0
        and right
        and pointed
        and align <= _LARGEST_ALIGN
        and align & (align - 1) == 0
    )
    return Item(section.type, index, index, section.offset, section.address, section.size, align, movable)


def _header_items(image: Image, load_index: int) -> list[Item]:
    """Return the ELF header and the header tables, as far as they are in the PT_LOAD."""
    header = image.header
    load = image.segments[load_index]
    found = []
    for offset, size in (
        (0, EHDR_SIZE[header.bits]),
        (header.phoff, header.phnum * header.phentsize),
        (header.shoff, len(image.sections) * header.shentsize),
    ):
        if size > 0 and offset < load.offset + load.file_size and offset + size > load.offset:
            address = load.address + offset - load.offset if offset >= load.offset else load.address
            found.append(Item(0, 0, 0, offset, address, size, 1, False))
    return found


def _relocation_extents(image: Image) -> list[tuple[int, int, int]]:
    """Return (section type, address, size) of the relocation tables; DT_JMPREL inside another is part of it."""
    found: list[tuple[int, int, int]] = []
    for kind, tag, size_tag in (
        (SHT_RELA, DT_RELA, DT_RELASZ),
        (SHT_REL, DT_REL, DT_RELSZ),
        (SHT_RELR, DT_RELR, DT_RELRSZ),
        (SHT_RELA, DT_JMPREL, DT_PLTRELSZ),
    ):
        address = last(image.dynamic, tag)
        size = last(image.dynamic, size_tag)
        if address is None or size is None or size == 0:
            continue
        inside = False
        for _, other, other_size in found:
            if other <= address and address - other < other_size:
                inside = True
        if not inside:
            found.append((kind, address, min(size, len(image.data))))
    return found


def _sectionless_items(image: Image, load_index: int) -> list[Item]:
    load = image.segments[load_index]
    end = load.offset + load.file_size
    natural = image.header.bits // 8
    found: list[Item] = []
    for kind, address, size in (*table_extents(image), *_relocation_extents(image)):
        if load_at(image.segments, address) != load_index or size == 0:
            continue
        align = {SHT_STRTAB: 1, SHT_GNU_VERSYM: 2}.get(kind, natural)
        known = image.symbols.exact or kind not in {SHT_DYNSYM, SHT_GNU_VERSYM}
        offset = load.offset + (address - load.address)
        found.append(Item(kind, 0, 0, offset, address, min(size, end - offset), align, known))
    for segment in image.segments:
        if segment.type in {PT_LOAD, PT_PHDR} or segment.file_size == 0:
            continue
        if segment.offset < load.offset or segment.offset >= end:
            continue
        # what a segment such as PT_GNU_RELRO spans is not one thing; only these are
        kind = {PT_INTERP: SHT_PROGBITS, PT_NOTE: SHT_NOTE}.get(segment.type, 0)
        if image.segments[image.dynamic.segment] == segment:
            kind = SHT_DYNAMIC
        if kind != 0:
            size = min(segment.file_size, end - segment.offset)
            found.append(Item(kind, 0, 0, segment.offset, segment.address, size, min(max(segment.align, 1), 16), False))
    found.sort(key=lambda item: (item.offset, item.size, item.kind))
    # a table whose length is only an upper bound ends where the next thing begins
    clipped: list[Item] = []
    for rank, item in enumerate(found):
        size = item.size
        if not item.movable and rank + 1 < len(found) and item.kind in MOVABLE:
            size = min(size, found[rank + 1].offset - item.offset)
        clipped.append(replace(item, size=size))
    return clipped


def items_of_load(image: Image, load_index: int) -> tuple[Item, ...] | None:
    """Return the items of a PT_LOAD by ascending file offset, or None if one lies over another.

    Between two items, and behind the last, all bytes are zero and mean nothing: other bytes have been made items, that
    stay. Without section headers the padding is shorter than 16 bytes and than the alignment of what follows.
    """
    load = image.segments[load_index]
    start = load.offset
    end = load.offset + load.file_size
    found = _header_items(image, load_index)
    if image.sections:
        for index, section in enumerate(image.sections):
            if (section.in_file and section.offset < end and section.offset + section.size > start) or (
                section.type in MOVABLE
                and section.size == 0
                and section.flags & SHF_ALLOC
                and start < section.offset <= end
                and load_at(image.segments, section.address) == load_index
            ):
                found.append(_sectioned_item(image, index, section))
    else:
        found.extend(_sectionless_items(image, load_index))
    found.sort(key=lambda item: (item.offset, item.size, item.section))
    result: list[Item] = []
    at = start
    for item in found:
        if item.offset < at:
            return None
        if item.offset > at and not _is_padding(image, at, item.offset, item.align):
            result.append(_filler(image, load_index, at, item.offset))
        result.append(item)
        at = item.offset + item.size
    if at > end:
        return None
    if at < end and not _is_padding(image, at, end, 16):
        result.append(_filler(image, load_index, at, end))
    if image.sections:
        return tuple(result)
    return tuple(replace(item, order=rank) for rank, item in enumerate(result))


def _is_padding(image: Image, start: int, end: int, align: int) -> bool:
    if not image.sections and end - start >= min(align, 16):
        return False
    return is_zero(image.data, start, end)


def _filler(image: Image, load_index: int, start: int, end: int) -> Item:
    load = image.segments[load_index]
    return Item(0, 0, 0, start, load.address + (start - load.offset), end - start, 1, False)


def covered_ranges(image: Image) -> tuple[tuple[int, int], ...]:
    """Return every range [start, end) of the file that a header, section or segment claims, by ascending start."""
    header = image.header
    ranges = [
        (0, EHDR_SIZE[header.bits]),
        (header.phoff, header.phoff + header.phnum * header.phentsize),
        (header.shoff, header.shoff + len(image.sections) * header.shentsize),
    ]
    ranges.extend(
        (segment.offset, segment.offset + segment.file_size) for segment in image.segments if segment.type != PT_PHDR
    )
    ranges.extend((section.offset, section.offset + section.size) for section in image.sections if section.in_file)
    return tuple(sorted(pair for pair in ranges if pair[1] > pair[0]))


def is_block_item(image: Image, item: Item) -> bool:
    """Whether `item` may be sent away to make room for the program-header table.

    That is a note, the interpreter, or a table that only the dynamic section refers to. The string table, which grows,
    goes by other ways.
    """
    if item.align > _LARGEST_ALIGN or item.align & (item.align - 1) != 0:
        return False
    # a section that is not where its PT_LOAD says could be taken for another by its addresses
    place = file_offset(image.segments, item.address)
    if place is None or place[0] != item.offset:
        return False
    if item.kind == SHT_NOTE:
        return True
    if item.kind == SHT_PROGBITS:
        for segment in image.segments:
            if segment.type == PT_INTERP and segment.offset == item.offset and segment.file_size == item.size:
                return True
        return False
    return item.movable and item.kind != SHT_STRTAB


def whole_end(image: Image, start: int, end: int) -> int:
    """Return `end`, or where the last of a row of PT_NOTE, PT_INTERP, PT_GNU_PROPERTY that begins before it ends."""
    for low, high in sorted(
        (segment.offset, segment.offset + segment.file_size)
        for segment in image.segments
        if segment.type in {PT_NOTE, PT_INTERP, PT_GNU_PROPERTY}
    ):
        if start <= low < end:
            end = max(end, high)
    return end


def whole_segments(image: Image, start: int, end: int) -> bool:
    """Whether each PT_NOTE, PT_INTERP and PT_GNU_PROPERTY is inside [start, end) of the file or apart from it.

    None of those inside is longer in memory: there would be no room for it.
    """
    for segment in image.segments:
        if segment.type not in {PT_NOTE, PT_INTERP, PT_GNU_PROPERTY}:
            continue
        low, high = segment.offset, segment.offset + segment.file_size
        whole = start <= low and high <= end and segment.memory_size == segment.file_size
        if low < end and high > start and not whole:
            return False
    return True
