"""Layout and strings turned into bytes (elf-edit 3.6): every place that must change, and no other."""

from __future__ import annotations

import struct
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from fastwheel._elf.dynamic import (
    DT_MIPS_RLD_MAP_REL,
    DT_NULL,
    DT_RELACOUNT,
    DT_RELCOUNT,
    DT_STRSZ,
    DT_VERNEEDNUM,
)
from fastwheel._elf.header import EHDR_SIZE, EM_MIPS
from fastwheel._elf.items import POINTERS
from fastwheel._elf.model import Segment
from fastwheel._elf.patch import Patch
from fastwheel._elf.relocation import is_hint
from fastwheel._elf.room import SLOT_GAP, relro_padding
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_VERNEED,
    SHT_NOBITS,
    SHT_NULL,
    SHT_SYMTAB,
    pack_section,
)
from fastwheel._elf.segment import (
    PT_GNU_PROPERTY,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_NULL,
    PT_PHDR,
    pack_segment,
)
from fastwheel._elf.strings import offset_of
from fastwheel._elf.symbol import symbol_size
from fastwheel._elf.version import versym_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.evict import Move
    from fastwheel._elf.image import Image
    from fastwheel._elf.layout import Layout
    from fastwheel._elf.request import Entry, Wanted
    from fastwheel._elf.section import Section
    from fastwheel._elf.strings import Placed

__all__ = ["dynamic_room", "make_patch"]


def dynamic_room(image: Image, entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], int]:
    """Fit the new table into its place (elf-edit 3.4).

    Returns:
        The entries, without DT_RELACOUNT or DT_RELCOUNT (a hint) if that makes them fit; and the size of a
        new `.dynamic` in bytes, or 0 if it stays.
    """
    if len(entries) + 1 <= image.capacity:
        return tuple(entries), 0
    if len(entries) == image.capacity:
        for index, entry in enumerate(entries):
            if entry.tag in {DT_RELACOUNT, DT_RELCOUNT} and is_hint(image, entry.tag, entry.value):
                return (*entries[:index], *entries[index + 1 :]), 0
    return tuple(entries), (len(entries) + 5) * (image.header.bits // 4)


def make_patch(image: Image, wanted: Wanted, entries: Sequence[Entry], placed: Placed, layout: Layout) -> Patch:
    """Return the changes that turn the input into the output."""
    size = len(image.data) + layout.insert_size
    for move in layout.moves:
        size = max(size, move.offset + move.size)
    writes: list[tuple[int, bytes]] = []
    # first all old places are cleared, then all new ones are written: they may overlap
    for move in layout.moves:
        if _leaves(image, move):
            writes.append((_plain(layout, move.item.offset), bytes(move.item.size)))
    for move in layout.moves:
        item = move.item
        if _leaves(image, move):
            writes.append((move.offset, image.data[item.offset : item.offset + item.size]))
    strings = place_of(image, layout, image.strings.offset)
    writes.extend((strings + offset, content) for offset, content in placed.changes)
    if placed.tail:
        writes.append((strings + len(image.strings.content), placed.tail))
    writes.extend(_need_writes(image, wanted, placed, layout))
    writes.extend(_versym_writes(image, wanted, layout))
    writes.extend(_symbol_writes(image, layout))
    writes.append(_dynamic_write(image, wanted, entries, placed, layout))
    writes.extend(_section_writes(image, wanted, layout))
    writes.extend(_header_writes(image, layout))
    return Patch(len(image.data), layout.insert_at, layout.insert_size, size, tuple(writes))


def _leaves(image: Image, move: Move) -> bool:
    """Whether the bytes of `move` go elsewhere; those of the old `.dynamic` stay as they are."""
    return move.item.kind != SHT_DYNAMIC and move.address != move.item.address


def _plain(layout: Layout, offset: int) -> int:
    """Return where a byte of the input that no move touches is in the output."""
    if layout.insert_size > 0 and offset >= layout.insert_at:
        return offset + layout.insert_size
    return offset


def place_of(image: Image, layout: Layout, offset: int) -> int:
    """Return where a byte of the input is in the output."""
    for move in layout.moves:
        if _leaves(image, move) and move.item.offset <= offset < move.item.offset + move.item.size:
            return move.offset + (offset - move.item.offset)
    return _plain(layout, offset)


def _need_writes(image: Image, wanted: Wanted, placed: Placed, layout: Layout) -> list[tuple[int, bytes]]:
    """Return the changes to the version-need records: new vn_file, and records unlinked."""
    order = image.header.order
    writes = []
    kept = [index for index, keep in enumerate(wanted.need_kept) if keep]
    if not kept:
        return []
    start = image.needs[0].position
    # the place of each record that stays: the first takes that of the first
    places = [image.needs[index].position for index in kept]
    places[0] = start
    for rank, index in enumerate(kept):
        need = image.needs[index]
        name = wanted.need_files[index]
        file_at = need.file_offset if name is None else offset_of(placed, name)
        following = places[rank + 1] - places[rank] if rank + 1 < len(kept) else 0
        aux = need.aux[0].position - places[rank] if need.aux else 0
        record = struct.pack(order + "HHIII", 1, need.count, file_at, aux, following)
        if record != image.data[places[rank] : places[rank] + 16]:
            writes.append((place_of(image, layout, places[rank]), record))
    return writes


def _versym_writes(image: Image, wanted: Wanted, layout: Layout) -> list[tuple[int, bytes]]:
    """Return the changes to the version index of symbols whose version-need record goes: they become unversioned."""
    dropped: set[int] = set()
    for index, need in enumerate(image.needs):
        if not wanted.need_kept[index]:
            dropped.update(aux.index & 0x7FFF for aux in need.aux)
    if not dropped:
        return []
    start = versym_offset(image.data, image.header, image.segments, image.dynamic, image.symbols.count)
    if start is None:
        return []
    writes = []
    for number in range(image.symbols.count):
        offset = start + 2 * number
        value = struct.unpack_from(image.header.order + "H", image.data, offset)[0]
        if value & 0x7FFF in dropped:
            writes.append((place_of(image, layout, offset), struct.pack(image.header.order + "H", 1)))
    return writes


def _symbol_writes(image: Image, layout: Layout) -> list[tuple[int, bytes]]:
    """Return the changes to st_value of the symbols that lie in a section that moves."""
    header = image.header
    moved = {
        move.item.section: move for move in layout.moves if move.address != move.item.address and move.item.section > 0
    }
    if not moved:
        return []
    size = symbol_size(header)
    at_index, at_value, form = (6, 8, "Q") if header.bits == 64 else (14, 4, "I")
    writes = []
    for section in image.sections:
        if section.type not in {SHT_SYMTAB, SHT_DYNSYM} or section.size % size != 0:
            continue
        table = image.data[section.offset : section.offset + section.size]
        for number, index in enumerate(_halves(table, header.order, size, at_index)):
            if index not in moved:
                continue
            move = moved[index]
            at = number * size + at_value
            value = struct.unpack_from(header.order + form, table, at)[0]
            start = move.item.address
            if start <= value < start + move.item.size:
                writes.append(
                    (
                        place_of(image, layout, section.offset + at),
                        struct.pack(header.order + form, value + move.address - start),
                    )
                )
    return writes


def _halves(table: bytes, order: str, size: int, offset: int) -> array[int]:
    """Return the 16-bit integer at `offset` of each record of `size` bytes."""
    halves = array("H")
    halves.frombytes(table)
    if order == (">" if array("H", [1]).tobytes()[0] == 1 else "<"):
        halves.byteswap()
    return halves[offset // 2 :: size // 2]


def new_address(layout: Layout, address: int) -> int:
    """Return the address of what is at `address` in the input, if it is the start of or inside a table that moves."""
    for move in layout.moves:
        item = move.item
        if item.kind != SHT_DYNAMIC and item.address <= address < item.address + item.size:
            return address + move.address - item.address
    for move in layout.moves:
        if move.item.size == 0 and move.item.address == address:
            return move.address
    return address


def _dynamic_write(
    image: Image, wanted: Wanted, entries: Sequence[Entry], placed: Placed, layout: Layout
) -> tuple[int, bytes]:
    """Return the new dynamic table, with a DT_NULL in each slot that it had and does not need any more."""
    header = image.header
    size = header.bits // 4
    form = header.order + ("QQ" if header.bits == 64 else "II")
    offset, address = _plain(layout, image.dynamic.offset), image.dynamic.address
    slots = max(len(entries), len(image.dynamic.entries)) + 1
    for move in layout.moves:
        if move.item.kind == SHT_DYNAMIC:
            offset, address = move.offset, move.address
            slots = move.size // size
    table = bytearray()
    for index, entry in enumerate(entries):
        value = entry.value if entry.text is None else offset_of(placed, entry.text)
        if entry.tag in POINTERS:
            value = new_address(layout, value)
        elif entry.tag == DT_STRSZ:
            value += len(placed.tail)
        elif entry.tag == DT_VERNEEDNUM:
            value -= wanted.need_kept.count(False)
        elif entry.tag == DT_MIPS_RLD_MAP_REL and header.machine == EM_MIPS:
            # it counts from the address of the entry itself
            old = image.dynamic.address + entry.origin * size
            value = (value + old - (address + index * size)) & ((1 << header.bits) - 1)
        table += struct.pack(form, entry.tag, value)
    for _ in range(slots - len(entries)):
        table += struct.pack(form, DT_NULL, 0)
    return offset, bytes(table)


def segment_ends(image: Image, layout: Layout) -> dict[int, int]:
    """Return the new file offset of the end of the file part of each PT_LOAD that grows."""
    ends: dict[int, int] = {}
    for move in layout.moves:
        if move.load < 0:
            continue
        load = image.segments[move.load]
        end = move.address + move.size
        if end > load.address + max(load.file_size, ends.get(move.load, 0)):
            ends[move.load] = end - load.address
    return ends


def new_segments(image: Image, layout: Layout) -> tuple[list[Segment], list[int]]:
    """Return the new program headers and the p_paddr of each."""
    sizes = segment_ends(image, layout)
    segments: list[Segment] = []
    paddrs: list[int] = []
    behind = 0
    for index, segment in enumerate(image.segments):
        result = segment._replace(offset=_segment_offset(image, layout, segment))
        paddr = image.paddrs[index]
        if index in sizes:
            result = result._replace(file_size=sizes[index], memory_size=max(segment.memory_size, sizes[index]))
        for move in layout.moves:
            if index == image.dynamic.segment and move.item.kind == SHT_DYNAMIC:
                result = result._replace(
                    offset=move.offset, address=move.address, file_size=move.size, memory_size=move.size
                )
                paddr += move.address - segment.address
        if segment.type in {PT_NOTE, PT_INTERP, PT_GNU_PROPERTY} and _in_block(layout, segment):
            moved = _block_move(layout)
            result = result._replace(
                offset=segment.offset + moved.offset - moved.item.offset,
                address=segment.address + moved.address - moved.item.address,
            )
            paddr += moved.address - moved.item.address
        new = layout.new_load
        if new is not None and segment.type == PT_PHDR and new.slot == SLOT_GAP:
            more = image.header.phentsize
            result = result._replace(file_size=segment.file_size + more, memory_size=segment.memory_size + more)
        if new is not None and index == new.cost:
            continue
        segments.append(result)
        paddrs.append(paddr & ((1 << image.header.bits) - 1))
        if segment.type == PT_LOAD:
            behind = len(segments)
    if layout.new_load is not None:
        new = layout.new_load
        end = max(move.address + move.size for move in layout.moves if move.load < 0)
        size = end - new.address
        segments.insert(behind, Segment(PT_LOAD, new.flags, new.offset, new.address, size, size, new.align))
        paddrs.insert(behind, new.address)
    return segments, paddrs


def _segment_offset(image: Image, layout: Layout, segment: Segment) -> int:
    """Return the new p_offset; one without bytes stays with the PT_LOAD whose end it marks."""
    if layout.insert_size == 0 or segment.offset < layout.insert_at or segment.type == PT_NULL:
        return segment.offset
    if segment.offset == layout.insert_at and segment.file_size == 0:
        for index in image.loads:
            load = image.segments[index]
            if (
                load.offset + load.file_size == layout.insert_at
                and segment.address == load.address + load.file_size
                and segment.type != PT_LOAD
            ):
                return segment.offset
    return segment.offset + layout.insert_size


def _in_block(layout: Layout, segment: Segment) -> bool:
    if layout.block is None or segment.file_size == 0:
        return False
    return layout.block[0] <= segment.offset and segment.offset + segment.file_size <= layout.block[1]


def _block_move(layout: Layout) -> Move:
    for move in layout.moves:
        if layout.block is not None and move.item.offset == layout.block[0] and move.item.size > 0:
            return move
    raise LookupError


def new_sections(image: Image, wanted: Wanted, layout: Layout) -> list[Section]:
    """Return the section headers as they are to be: new addresses, offsets, sizes; sh_info of `.gnu.version_r`."""
    moves = {move.item.section: move for move in layout.moves if move.item.section > 0}
    sections = []
    for index, section in enumerate(image.sections):
        result = section
        offset = _section_offset(image, layout, section) if section.type != SHT_NULL else section.offset
        if offset != section.offset:
            result = replace(section, offset=offset)
        if index in moves:
            move = moves[index]
            result = replace(result, offset=move.offset, address=move.address, size=move.size)
        if section.type == SHT_GNU_VERNEED and section.flags & SHF_ALLOC and section.info == len(image.needs):
            result = replace(result, info=section.info - wanted.need_kept.count(False))
        sections.append(result)
    sizes = segment_ends(image, layout)
    for index in image.loads:
        padding = relro_padding(image, index) if index in sizes else None
        if padding is not None:
            taken = sizes[index] - image.segments[index].file_size
            section = sections[padding]
            sections[padding] = replace(
                section, address=section.address + taken, offset=section.offset + taken, size=section.size - taken
            )
    return sections


def _section_offset(image: Image, layout: Layout, section: Section) -> int:
    """Return the new sh_offset; one without bytes stays with the PT_LOAD at whose end it is, or behind the file."""
    if layout.insert_size == 0 or section.offset < layout.insert_at or section.offset > len(image.data):
        return section.offset
    if section.offset == layout.insert_at and section.flags & SHF_ALLOC and not section.in_file:
        for index in image.loads:
            load = image.segments[index]
            if load.offset + load.file_size == layout.insert_at and (
                section.address == load.address + load.file_size
                or (section.type == SHT_NOBITS and load.address <= section.address < load.address + load.memory_size)
            ):
                return section.offset
    return section.offset + layout.insert_size


def _section_writes(image: Image, wanted: Wanted, layout: Layout) -> list[tuple[int, bytes]]:
    if not image.sections:
        return []
    header = image.header
    table = _plain(layout, header.shoff)
    return [
        (table + index * header.shentsize, pack_section(header, section))
        for index, section in enumerate(new_sections(image, wanted, layout))
        if section != image.sections[index]
    ]


def _header_writes(image: Image, layout: Layout) -> list[tuple[int, bytes]]:
    """Return the program-header table and the ELF header, if they change."""
    header = image.header
    segments, paddrs = new_segments(image, layout)
    table = b"".join(pack_segment(header, segment, paddr) for segment, paddr in zip(segments, paddrs, strict=True))
    writes = []
    start = _plain(layout, header.phoff)
    if table != image.data[header.phoff : header.phoff + header.phnum * header.phentsize]:
        writes.append((start, table))
    ehdr = bytearray(image.data[: EHDR_SIZE[header.bits]])
    shoff = _plain(layout, header.shoff) if header.shoff > 0 else 0
    if header.bits == 64:
        struct.pack_into(header.order + "QQ", ehdr, 32, start, shoff)
        struct.pack_into(header.order + "H", ehdr, 56, len(segments))
    else:
        struct.pack_into(header.order + "II", ehdr, 28, start, shoff)
        struct.pack_into(header.order + "H", ehdr, 44, len(segments))
    if ehdr != image.data[: len(ehdr)]:
        writes.append((0, bytes(ehdr)))
    return writes
