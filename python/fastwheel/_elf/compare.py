"""The post-conditions on bytes, segments and sections (elf-edit 3.9, V4 to V7 and V9); the second half of `check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel._elf.header import EHDR_SIZE
from fastwheel._elf.items import MOVABLE, is_zero
from fastwheel._elf.room import SLOT_GAP
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_NOBITS,
    SHT_NULL,
    SHT_STRTAB,
    SHT_SYMTAB,
    section_name,
)
from fastwheel._elf.segment import (
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_NULL,
    PT_PHDR,
)
from fastwheel._elf.symbol import SymbolTable, iter_symbols, symbol_size
from fastwheel._elf.version import versym_offset
from fastwheel._elf.walked import merged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel._elf.image import Image
    from fastwheel._elf.layout import Layout
    from fastwheel._elf.model import Segment
    from fastwheel._elf.request import Wanted
    from fastwheel._elf.section import Section

__all__ = ["check_bytes", "check_sections", "check_segments"]

Fault = tuple[str, str]
#: Bytes that are compared at a time.
_AT_ONCE: Final = 1 << 20


def _gaps(ranges: Sequence[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return what of [start, end) is in none of `ranges`, which are ascending and apart."""
    result = []
    at = start
    for low, high in ranges:
        if low > at and at < end:
            result.append((at, min(low, end)))
        at = max(at, high)
    if at < end:
        result.append((at, end))
    return result


def _declared(old: Image, layout: Layout) -> list[tuple[int, int]]:
    """Return the ranges of the input that other rules look after: headers, moved tables, tables with new values."""
    header = old.header
    table = header.phoff + header.phnum * header.phentsize
    if layout.new_load is not None and layout.new_load.slot == SLOT_GAP:
        table += header.phentsize
    ranges = [
        (0, EHDR_SIZE[header.bits]),
        (header.phoff, table),
        (header.shoff, header.shoff + len(old.sections) * header.shentsize),
        (old.dynamic.offset, old.dynamic.offset + old.segments[old.dynamic.segment].file_size),
        (old.strings.offset, old.strings.offset + len(old.strings.content)),
    ]
    ranges.extend(
        (move.item.offset, move.item.offset + move.item.size) for move in layout.moves if move.item.kind != SHT_DYNAMIC
    )
    for need in old.needs:
        ranges.append((need.position, need.end))
    ranges.extend(
        (section.offset, section.offset + section.size)
        for section in old.sections
        if section.type in {SHT_SYMTAB, SHT_DYNSYM}
    )
    versym = versym_offset(old.data, header, old.segments, old.dynamic, old.symbols.count)
    if versym is not None:
        ranges.append((versym, versym + 2 * old.symbols.count))
    if not old.sections:
        ranges.append((old.symbols.offset, old.symbols.offset + old.symbols.count * symbol_size(header)))
        for move in layout.moves:
            ranges.append((move.item.offset, move.item.offset + move.item.size))
    return ranges


def _same(old: bytes, low: int, high: int, new: bytes, start: int) -> bool:
    """Whether old[low:high] stands in `new` at `start`; without copies of all of it."""
    moved = start - low
    return all(
        old[at : min(at + _AT_ONCE, high)] == new[at + moved : min(at + _AT_ONCE, high) + moved]
        for at in range(low, high, _AT_ONCE)
    )


def check_bytes(old: Image, new: Image, layout: Layout) -> Fault | None:
    """V4, V9: every byte that no rule looks after is the same; what is new is zero, or a table that moved."""
    inserted, point = layout.insert_size, layout.insert_at
    size = len(old.data)
    if inserted == 0:
        point = size
    fresh = merged([(move.offset, move.offset + move.size) for move in layout.moves])
    own = merged(_declared(old, layout))
    allowed = list(own)
    for start, end in fresh:
        # a new place, as far as it is in the input: it was zero there, or a table left it
        for low, high in (
            (start, min(end, point)),
            (max(start, point + inserted) - inserted, min(end - inserted, size)),
        ):
            if high <= low:
                continue
            for first, second in _gaps(own, low, high):
                if not is_zero(old.data, first, second):
                    return "V4", f"bytes at {first:#x} that mean something are overwritten"
            allowed.append((low, high))
    for start, end in _gaps(merged(allowed), 0, size):
        for low, high, delta in ((start, min(end, point), 0), (max(start, point), end, inserted)):
            if not _same(old.data, low, high, new.data, low + delta):
                return "V9", f"bytes in [{low:#x}, {high:#x}) differ"
    for start, end in ((point, point + inserted), (size + inserted, len(new.data))):
        for low, high in _gaps(fresh, start, end):
            if not is_zero(new.data, low, high):
                return "V9", f"padding at {low:#x} is not zero"
    # the program-header table may have grown into what was sent away for it
    table = (new.header.phoff, new.header.phoff + new.header.phnum * new.header.phentsize)
    filled = merged([*fresh, table])
    for move in layout.moves:
        at = move.item.offset
        left = at + (inserted if at >= point else 0)
        for low, high in _gaps(filled, left, left + move.item.size):
            if move.item.kind == SHT_DYNAMIC:
                if new.data[low:high] != old.data[low - left + at : high - left + at]:
                    return "V9", "the old dynamic section differs"
            elif not is_zero(new.data, low, high):
                return "V9", f"the place at {low:#x} that a table left is not zero"
        fault = _check_move(old, new, layout, move.item.kind, move.item.offset, move.item.size, move.offset)
        if fault is not None:
            return fault
    slots = max(len(old.dynamic.entries), len(new.dynamic.entries)) + 1
    width = old.header.bits // 4
    moved = new.dynamic.offset != old.dynamic.offset + (inserted if old.dynamic.offset >= point else 0)
    start = new.dynamic.offset
    end = start + (new.segments[new.dynamic.segment].file_size if moved else slots * width)
    if not is_zero(new.data, start + len(new.dynamic.entries) * width, end):
        return "V9", "what follows the last dynamic entry is not zero"
    if moved:
        return None
    rest = old.segments[old.dynamic.segment].file_size - slots * width
    if rest > 0:
        before, after = old.dynamic.offset + slots * width, new.dynamic.offset + slots * width
        if old.data[before : before + rest] != new.data[after : after + rest]:
            return "V9", "bytes behind the dynamic table differ"
    return None


def _check_move(old: Image, new: Image, layout: Layout, kind: int, offset: int, size: int, place: int) -> Fault | None:
    """V7: a table that moved may move, and its content, unless another rule compares it, is the same."""
    if kind in {SHT_STRTAB, SHT_DYNAMIC, SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_DYNSYM}:
        return None
    if kind not in MOVABLE and layout.block is None:
        return "V7", f"a table of type {kind:#x} moved"
    if old.data[offset : offset + size] != new.data[place : place + size]:
        return "V7", f"the content of a moved table of type {kind:#x} differs"
    return None


def _mapped(layout: Layout, offset: int) -> set[int]:
    """Return where a file offset may be in the output: what is at the very point of insertion may be on either side."""
    if layout.insert_size == 0 or offset < layout.insert_at:
        return {offset}
    if offset == layout.insert_at:
        return {offset, offset + layout.insert_size}
    return {offset + layout.insert_size}


def check_segments(old: Image, new: Image, layout: Layout) -> Fault | None:
    """V4, V5, V6: the segments are the old ones, only longer, and sane."""
    added = layout.new_load
    before = [segment for index, segment in enumerate(old.segments) if added is None or index != added.cost]
    after = list(new.segments)
    if added is not None:
        found = [
            index for index, segment in enumerate(after) if segment.type == PT_LOAD and segment.address == added.address
        ]
        if len(found) != 1 or after[found[0]].flags != added.flags or after[found[0]].align != added.align:
            return "V6", "the new PT_LOAD is not there"
        if found[0] == 0 or after[found[0] - 1].type != PT_LOAD:
            return "V6", "the new PT_LOAD is not behind the last one"
        del after[found[0]]
    if len(before) != len(after):
        return "V5", "the number of program headers differs"
    for left, right in zip(before, after, strict=True):
        fault = _check_segment(old, new, layout, left, right)
        if fault is not None:
            return fault
    return _check_order(old, new)


def _check_segment(old: Image, new: Image, layout: Layout, left: Segment, right: Segment) -> Fault | None:
    if left.type != right.type:
        return "V5", "the order of program headers differs"
    kind = left.type
    same = (
        right.offset in _mapped(layout, left.offset)
        and right._replace(offset=left.offset, file_size=left.file_size, memory_size=left.memory_size) == left
    )
    if kind == PT_LOAD:
        if not same:
            return "V4", "a PT_LOAD differs in more than its size"
        if right.file_size < left.file_size or right.memory_size < left.memory_size:
            return "V4", "a PT_LOAD is smaller"
        zeroed = left.memory_size != left.file_size
        if zeroed and right.file_size != left.file_size and right.memory_size != left.memory_size:
            return "V4", "a PT_LOAD with zeroed memory has grown"
        return None
    if kind == PT_DYNAMIC:
        moved = any(move.item.kind == SHT_DYNAMIC for move in layout.moves)
        if not moved and not (same and right.file_size == left.file_size and right.memory_size == left.memory_size):
            return "V5", "PT_DYNAMIC differs"
        return None
    if kind == PT_PHDR:
        return None
    if kind == PT_NULL:
        return None if right == left else ("V5", "a PT_NULL differs")
    if same and right.file_size == left.file_size and right.memory_size == left.memory_size:
        return None
    if layout.block is None or kind not in {PT_INTERP, PT_NOTE, PT_GNU_PROPERTY}:
        return "V5", f"the program header of type {kind:#x} differs"
    if (right.file_size, right.memory_size, right.align) != (left.file_size, left.memory_size, left.align):
        return "V5", f"the size of the program header of type {kind:#x} differs"
    content = old.data[left.offset : left.offset + left.file_size]
    if content != new.data[right.offset : right.offset + right.file_size]:
        return "V5", f"the content of the program header of type {kind:#x} differs"
    return None


def _check_order(old: Image, new: Image) -> Fault | None:
    """V6: what the gate does not check already: pages apart, and PT_PHDR where it says."""
    page = min((max(new.segments[index].align, 4096) for index in new.loads), default=4096)
    apart_before = _pages_apart(old, page)
    if apart_before and not _pages_apart(new, page):
        return "V6", "two PT_LOADs share a page"
    for segment in new.segments:
        if segment.type != PT_PHDR:
            continue
        was = next(other for other in old.segments if other.type == PT_PHDR)
        exact = was.offset == old.header.phoff and was.file_size == old.header.phnum * old.header.phentsize
        if exact and (
            segment.offset != new.header.phoff or segment.file_size != new.header.phnum * new.header.phentsize
        ):
            return "V6", "PT_PHDR is not the program-header table"
        if _covered(old, was) and not _covered(new, segment):
            return "V6", "PT_PHDR is in no PT_LOAD"
    return None


def _pages_apart(image: Image, page: int) -> bool:
    end = 0
    for index in image.loads:
        load = image.segments[index]
        if load.address & ~(page - 1) < end:
            return False
        end = load.address + load.memory_size
    return True


def _covered(image: Image, segment: Segment) -> bool:
    for index in image.loads:
        load = image.segments[index]
        if (
            load.address <= segment.address
            and segment.address + segment.memory_size <= load.address + load.file_size
            and segment.offset - load.offset == segment.address - load.address
        ):
            return True
    return False


def _nature(section: Section, info: int) -> tuple[int, ...]:
    """Return what no edit changes of a section header."""
    return section.name, section.type, section.flags, section.link, info, section.align, section.entsize


def check_sections(old: Image, new: Image, wanted: Wanted, layout: Layout) -> Fault | None:
    """V7: the sections are the same, in their segments, none over another."""
    if len(old.sections) != len(new.sections):
        return "V7", "the number of sections differs"
    if not old.sections:
        return None
    moves = {move.item.section: move for move in layout.moves if move.item.section > 0}
    for index, (left, right) in enumerate(zip(old.sections, new.sections, strict=True)):
        info = left.info
        if left.type == SHT_GNU_VERNEED and left.flags & SHF_ALLOC and left.info == len(old.needs):
            info -= wanted.need_kept.count(False)
        if _nature(left, info) != _nature(right, right.info):
            return "V7", f"section {index} differs in more than its place"
        if index in moves:
            move = moves[index]
            if (right.offset, right.address, right.size) != (move.offset, move.address, move.size):
                return "V7", f"section {index} is not where it was put"
        elif (right.address, right.size) != (left.address, left.size):
            padding = section_name(old.data, old.header, old.sections, left) == b".relro_padding"
            if left.type != SHT_NOBITS or not padding or right.address + right.size != left.address + left.size:
                return "V7", f"section {index} moved"
        elif left.type == SHT_NULL:
            if right != left:
                return "V7", f"section {index} of type SHT_NULL differs"
        elif right.offset not in _mapped(layout, left.offset) and left.offset <= len(old.data):
            return "V7", f"sh_offset of section {index} differs"
        loaded = left.flags & SHF_ALLOC and left.in_file and _in_load(old, left.offset, left.address, left.size)
        if loaded and not _in_load(new, right.offset, right.address, right.size):
            return "V7", f"section {index} is outside its PT_LOAD"
    return _check_overlap(new, moves) or _check_emptied(old, new) or _check_symtabs(old, new, layout)


def _in_load(image: Image, offset: int, address: int, size: int) -> bool:
    for index in image.loads:
        load = image.segments[index]
        if (
            load.address <= address
            and address + size <= load.address + load.file_size
            and offset - load.offset == address - load.address
        ):
            return True
    return False


def _check_overlap(new: Image, moves: Mapping[int, object]) -> Fault | None:
    header = new.header
    taken = [
        (0, EHDR_SIZE[header.bits]),
        (header.phoff, header.phoff + header.phnum * header.phentsize),
        (header.shoff, header.shoff + len(new.sections) * header.shentsize),
    ]
    for index in sorted(moves):
        section = new.sections[index]
        start, end = section.offset, section.offset + section.size
        for low, high in taken:
            if start < high and end > low:
                return "V7", f"section {index} lies over a header"
        for other, rival in enumerate(new.sections):
            if other != index and rival.in_file and start < rival.offset + rival.size and end > rival.offset:
                return "V7", f"section {index} lies over section {other}"
    return None


def _check_emptied(old: Image, new: Image) -> Fault | None:
    full = [_has_section(old, old.segments[index]) for index in old.loads]
    # a new PT_LOAD comes last
    full.extend(True for _ in new.loads[len(full) :])
    for index, was in zip(new.loads, full, strict=True):
        if was and not _has_section(new, new.segments[index]):
            return "V7", "a PT_LOAD has no section any more"
    return None


def _has_section(image: Image, load: Segment) -> bool:
    for section in image.sections:
        if (
            section.flags & SHF_ALLOC
            and section.size > 0
            and load.address <= section.address < load.address + load.memory_size
        ):
            return True
    return False


def _check_symtabs(old: Image, new: Image, layout: Layout) -> Fault | None:
    """V3, V9: the symbols of `.symtab` are the same, but for the value of those inside tables that moved."""
    moved = {move.item.section for move in layout.moves if move.item.section > 0}
    size = symbol_size(old.header)
    for left, right in zip(old.sections, new.sections, strict=True):
        if left.type != SHT_SYMTAB:
            continue
        before = old.data[left.offset : left.offset + left.size]
        after = new.data[right.offset : right.offset + right.size]
        if before == after:
            continue
        if left.size % size != 0:
            return "V9", "a symbol table differs"
        count = left.size // size
        for one, two in zip(
            iter_symbols(old.data, old.header, SymbolTable(left.offset, count, exact=True)),
            iter_symbols(new.data, new.header, SymbolTable(right.offset, count, exact=True)),
            strict=True,
        ):
            if one != two and (one[:4] != two[:4] or one[5] != two[5] or one[3] not in moved):
                return "V9", "a symbol differs"
    return None
