"""The gate's checks of what the loader follows without a look at bounds (elf-edit 3.1), and where its tables are.

A number that leads out of its table makes the loader read or write whatever lies there: by luck something harmless,
until an edit puts other bytes into that place. Source: `do_lookup_x`, `_dl_relocate_object` of the GNU C library.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
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
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    last,
)
from fastwheel._elf.header import EM_MIPS
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_HASH,
    SHT_STRTAB,
)
from fastwheel._elf.segment import file_offset
from fastwheel._elf.symbol import gnu_hash, hash_counts, hash_width, symbol_size
from fastwheel._elf.version import read_versym
from fastwheel.errors import ElfError
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._elf.image import Image

__all__ = ["check_walked", "merged", "table_extents"]

DT_PLTREL: Final = 20
DT_INIT_ARRAY: Final = 25
DT_FINI_ARRAY: Final = 26
DT_INIT_ARRAYSZ: Final = 27
DT_FINI_ARRAYSZ: Final = 28
DT_PREINIT_ARRAY: Final = 32
DT_PREINIT_ARRAYSZ: Final = 33

Range = tuple[int, int]


class _Walked(NamedTuple):
    """One table of relocations or function pointers; `width` is the size of an entry, all in bytes."""

    name: str
    address: int
    offset: int
    size: int
    width: int


def table_extents(image: Image) -> tuple[tuple[int, int, int], ...]:
    """Return (section type, address, size in bytes) of each table that the dynamic section names, but relocations."""
    header, dynamic = image.header, image.dynamic
    found = [(SHT_STRTAB, image.strings.address, len(image.strings.content))]
    address = last(dynamic, DT_SYMTAB)
    if address is not None:
        found.append((SHT_DYNSYM, address, image.symbols.count * symbol_size(header)))
    address = last(dynamic, DT_HASH)
    if address is not None:
        buckets, chains = hash_counts(image.data, header, image.segments, address)
        found.append(
            (SHT_HASH, address, (2 + buckets + chains) * hash_width(image.data, header, image.segments, address))
        )
    address = last(dynamic, DT_GNU_HASH)
    if address is not None:
        found.append((SHT_GNU_HASH, address, gnu_hash(image.data, header, image.segments, address).size))
    address = last(dynamic, DT_VERSYM)
    if address is not None:
        found.append((SHT_GNU_VERSYM, address, 2 * image.symbols.count))
    address = last(dynamic, DT_VERNEED)
    if address is not None:
        found.append((SHT_GNU_VERNEED, address, max(item.end for item in image.needs) - image.needs[0].position))
    address = last(dynamic, DT_VERDEF)
    if address is not None:
        end = max(item.end for item in image.definitions)
        found.append((SHT_GNU_VERDEF, address, end - image.definitions[0].position))
    return tuple(found)


def merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of ranges, ascending, none touching another."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def check_walked(image: Image) -> None:
    """Check every table that the loader follows.

    Raises:
        ElfError: FW304, FW306, FW307 a number that leads out of its table; FW401 a relocation that writes where it must
            not; FW402 a table that is not where its sections are.
    """
    _check_chains(image)
    _check_indexes(image)
    tables = _tables(image)
    own = _own_ranges(image)
    relocations = [table for table in tables if not table.name.endswith("ARRAY")]
    own = merged(own + [(table.address, table.address + table.size) for table in relocations])
    for table in relocations:
        _check_relocations(image, table, own)


def _check_chains(image: Image) -> None:
    """Check that hash chains stay among the symbols."""
    data, header, segments = image.data, image.header, image.segments
    address = last(image.dynamic, DT_HASH)
    place = None if address is None else file_offset(segments, address)
    if address is not None and place is not None:
        buckets, chains = hash_counts(data, header, segments, address)
        width = hash_width(data, header, segments, address)
        form = f"{header.order}{buckets + chains}{'Q' if width == 8 else 'I'}"
        if any(symbol >= chains for symbol in struct.unpack_from(form, data, place[0] + 2 * width)):
            raise ElfError("FW307", "DT_HASH: a bucket or chain leads to no symbol")
    address = last(image.dynamic, DT_GNU_HASH)
    place = None if address is None else file_offset(segments, address)
    if address is not None and place is not None:
        found = gnu_hash(data, header, segments, address)
        _, first, words = struct.unpack_from(header.order + "III", data, place[0])
        if words == 0:
            raise ElfError("FW307", "DT_GNU_HASH: maskwords is 0")
        start = place[0] + 16 + words * (header.bits // 8)
        if any(0 < bucket < first for bucket in struct.unpack_from(f"{header.order}{found.buckets}I", data, start)):
            raise ElfError("FW307", "DT_GNU_HASH: a bucket is below symoffset")
        if image.symbols.exact and found.count is not None and found.count > image.symbols.count:
            raise ElfError("FW307", "DT_GNU_HASH: a chain leads to no symbol")


def _check_indexes(image: Image) -> None:
    """Check that each symbol's version is one that the file needs or defines."""
    known = [aux.index & 0x7FFF for need in image.needs for aux in need.aux]
    known += [definition.index & 0x7FFF for definition in image.definitions]
    if not known or not image.symbols.exact:
        return
    highest = max(known)
    for entry in read_versym(image.data, image.header, image.segments, image.dynamic, image.symbols.count):
        if entry & 0x7FFF > max(highest, 1):
            index = entry & 0x7FFF
            raise ElfError("FW306", f"DT_VERSYM: index {index} is of no version, the highest is {highest}")


def _tables(image: Image) -> list[_Walked]:
    """Return the tables of relocations and of functions to call, all in the file."""
    word = image.header.bits // 8
    addends = last(image.dynamic, DT_PLTREL) == DT_RELA
    found = []
    for name, tag, size_tag, width in (
        ("DT_RELA", DT_RELA, DT_RELASZ, 3 * word),
        ("DT_REL", DT_REL, DT_RELSZ, 2 * word),
        ("DT_JMPREL", DT_JMPREL, DT_PLTRELSZ, 3 * word if addends else 2 * word),
        ("DT_RELR", DT_RELR, DT_RELRSZ, word),
        ("DT_INIT_ARRAY", DT_INIT_ARRAY, DT_INIT_ARRAYSZ, word),
        ("DT_FINI_ARRAY", DT_FINI_ARRAY, DT_FINI_ARRAYSZ, word),
        ("DT_PREINIT_ARRAY", DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, word),
    ):
        address, size = last(image.dynamic, tag), last(image.dynamic, size_tag)
        if address is None or not size:
            continue
        if size % width != 0:
            raise ElfError("FW304", f"{name}: its size is not a multiple of the entry size")
        place = file_offset(image.segments, address)
        if place is None or size > place[1] - place[0]:
            raise ElfError("FW304", f"{name}: the table is not in the file part of one PT_LOAD")
        walked = _Walked(name, address, place[0], size, width)
        if not name.endswith("ARRAY") and image.sections and not _in_sections(image, walked):
            raise ElfError("FW402", f"{name}: no sections for the table at address {address:#x}")
        found.append(walked)
    return found


def _in_sections(image: Image, walked: _Walked) -> bool:
    """Whether a table begins where a section does, and ends in it or in one that follows without a gap."""
    at = walked.address
    while at < walked.address + walked.size:
        for section in image.sections:
            if section.flags & SHF_ALLOC and section.in_file and section.address == at:
                at += section.size
                break
        else:
            return False
    return True


def _own_ranges(image: Image) -> list[Range]:
    """Return where the dynamic section and the tables are that it names, but relocations."""
    start = image.dynamic.address
    end = start + image.segments[image.dynamic.segment].file_size
    ranges = [(start, end)]
    for _, address, size in table_extents(image):
        if address < end and address + size > start:
            raise ElfError("FW304", f"PT_DYNAMIC lies over the table at address {address:#x}")
        ranges.append((address, address + size))
    return ranges


def _check_relocations(image: Image, table: _Walked, own: Sequence[Range]) -> None:
    """Check that relocations are of symbols that exist, and write to the file's memory but to none of its tables."""
    header = image.header
    word = header.bits // 8
    form = f"{header.order}{table.size // word}{'Q' if word == 8 else 'I'}"
    words = struct.unpack_from(form, image.data, table.offset)
    if table.width == word:
        targets: Sequence[int] = list(_relr_targets(words, word))
        infos: Sequence[int] = ()
    else:
        step = table.width // word
        targets, infos = words[::step], words[1::step]
    # MIPS has an r_info of its own in 64-bit files
    count = max(image.symbols.count, 1) if image.symbols.exact and header.machine != EM_MIPS else 1 << 64
    places = _Places(image, own)
    if max(infos, default=0) >> (32 if word == 8 else 8) < count and places.all_right(targets):
        return
    # something is wrong: with which entry, the first?
    for index, target in enumerate(targets):
        info = infos[index] if infos else 1
        if infos and info >> (32 if word == 8 else 8) >= count:
            raise ElfError("FW401", f"{table.name}: a relocation is of a symbol that does not exist")
        fault = places.fault(target) if info else None
        if fault is not None:
            raise ElfError("FW401", f"{table.name}: a relocation {fault}")


class _Places:
    """The judge of the places that relocations write to."""

    def __init__(self, image: Image, own: Sequence[Range]) -> None:
        self.own = own
        loads = [image.segments[index] for index in image.loads]
        self.loads = [(load.address, load.address + load.memory_size) for load in loads]

    def all_right(self, targets: Sequence[int]) -> bool:
        """Whether `fault` would say None of each."""
        ordered = sorted(targets)
        for low, high in self.own:
            first = bisect_left(ordered, low)
            if first < len(ordered) and ordered[first] < high:
                return False
        inside = 0
        for low, high in self.loads:
            inside += bisect_left(ordered, high) - bisect_left(ordered, low)
        return inside == len(ordered)

    def fault(self, target: int) -> str | None:
        """Return what is wrong with one place."""
        if not any(low <= target < high for low, high in self.loads):
            return "writes to no PT_LOAD"
        if any(low <= target < high for low, high in self.own):
            return "writes to a table of the loader"
        return None


def _relr_targets(words: Sequence[int], size: int) -> Iterator[int]:
    """Yield the places: an even word is an address, an odd one a bitmap of the words behind it."""
    at = 0
    for entry in words:
        if entry & 1 == 0:
            yield entry
            at = entry + size
            continue
        bitmap, place = entry >> 1, at
        while bitmap:
            if bitmap & 1:
                yield place
            bitmap >>= 1
            place += size
        at += (8 * size - 1) * size
