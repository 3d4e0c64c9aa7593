"""The dynamic symbol table (`Elfxx_Sym`) and its hash tables.

Source: System V gABI, chapters 4 and 5; for DT_GNU_HASH the GNU C library. No dynamic entry says how many
symbols there are; `read_symbol_table` states the rule.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_JMPREL,
    DT_REL,
    DT_RELA,
    DT_RELR,
    DT_STRTAB,
    DT_SYMENT,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    last,
)
from fastwheel._elf.header import EM_ALPHA, EM_S390, u32, word
from fastwheel._elf.segment import file_offset
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._elf.dynamic import Dynamic, StringTable
    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = [
    "NEIGHBOURS",
    "SHN_UNDEF",
    "STB_GLOBAL",
    "STB_LOCAL",
    "STB_WEAK",
    "STT_FUNC",
    "GnuHash",
    "SymbolTable",
    "ended",
    "gnu_hash",
    "hash_counts",
    "hash_width",
    "hash_word",
    "iter_symbols",
    "read_symbol_table",
    "symbol_size",
]

SHN_UNDEF: Final = 0
STB_LOCAL: Final = 0
STB_GLOBAL: Final = 1
STB_WEAK: Final = 2
STT_FUNC: Final = 2

#: Addresses behind DT_SYMTAB at which something else begins.
NEIGHBOURS: Final = (
    DT_HASH,
    DT_STRTAB,
    DT_RELA,
    DT_REL,
    DT_JMPREL,
    DT_RELR,
    DT_GNU_HASH,
    DT_VERSYM,
    DT_VERDEF,
    DT_VERNEED,
)


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """Where the dynamic symbols are.

    Attributes:
        offset: file offset of entry 0; 0 if there is no table.
        count: number of entries, entry 0 included; 0 if there is no table.

        exact: whether a hash table gave the count; else it is an upper bound.
        bound: if not exact, the address of the table behind that gave it; 0 if it was the end of the PT_LOAD.
        stop: if not exact, the st_name not below DT_STRSZ that ended the count; 0 if none did.
    """

    offset: int
    count: int
    exact: bool
    bound: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class GnuHash:
    """The extent of a DT_GNU_HASH table.

    Attributes:
        buckets: nbuckets.
        count: how many symbols the table implies, or None if it holds none (symoffset is then not to be
            trusted).
        size: of the table in bytes.

    """

    buckets: int
    count: int | None
    size: int


def symbol_size(header: Header) -> int:
    """Return sizeof(Elfxx_Sym)."""
    return 24 if header.bits == 64 else 16


def hash_word(header: Header) -> int:
    """Return the size of a DT_HASH word in bytes by the processor supplements: 4, but 8 for 64-bit s390 and Alpha."""
    return 8 if header.bits == 64 and header.machine in {EM_S390, EM_ALPHA} else 4


def hash_width(data: bytes | memoryview, header: Header, segments: Sequence[Segment], address: int) -> int:
    """Return the size of a word of the DT_HASH table at `address`: `hash_word`, or 4 if it cannot be read so.

    LLD writes words of 4 bytes everywhere. Loaders of these machines look at DT_GNU_HASH.
    """
    size = hash_word(header)
    if size == 8:
        place = file_offset(segments, address)
        room = 0 if place is None else place[1] - place[0]
        if place is None or room < 16:
            return 4
        if 2 + word(data, header, place[0]) + word(data, header, place[0] + 8) > room // 8:
            return 4
    return size


def hash_counts(data: bytes | memoryview, header: Header, segments: Sequence[Segment], address: int) -> tuple[int, int]:
    """Return (nbucket, nchain) of the DT_HASH table at `address`.

    Raises:
        ElfError: FW307 if the table is not inside the file part of one PT_LOAD.

    """
    place = file_offset(segments, address)
    size = hash_width(data, header, segments, address)
    if place is None or place[1] - place[0] < 2 * size:
        raise ElfError("FW307", "DT_HASH is in the file part of no PT_LOAD")
    if size == 8:
        buckets, chains = word(data, header, place[0]), word(data, header, place[0] + 8)
    else:
        buckets, chains = u32(data, header, place[0]), u32(data, header, place[0] + 4)
    most = (place[1] - place[0]) // size
    if buckets > most or chains > most or 2 + buckets + chains > most:
        raise ElfError("FW307", "DT_HASH: nbucket and nchain reach behind its PT_LOAD")
    return buckets, chains


def gnu_hash(data: bytes | memoryview, header: Header, segments: Sequence[Segment], address: int) -> GnuHash:
    """Walk the DT_GNU_HASH table at `address`.

    Raises:
        ElfError: FW307 if it reaches behind its PT_LOAD, a bucket is below symoffset, or the last chain has
            no end.

    """
    place = file_offset(segments, address)
    if place is None or place[1] - place[0] < 16:
        raise ElfError("FW307", "DT_GNU_HASH is in the file part of no PT_LOAD")
    offset, limit = place
    buckets, first, bloom, _ = struct.unpack_from(header.order + "IIII", data, offset)
    chains = offset + 16 + bloom * (header.bits // 8) + buckets * 4
    if chains > limit:
        raise ElfError("FW307", "DT_GNU_HASH: nbuckets and maskwords reach behind its PT_LOAD")
    highest = 0
    if buckets > 0:
        highest = max(struct.unpack_from(f"{header.order}{buckets}I", data, chains - 4 * buckets))
    if highest == 0:
        return GnuHash(buckets, None, chains - offset)
    if highest < first:
        raise ElfError("FW307", "DT_GNU_HASH: a bucket is below symoffset")
    while True:
        at = chains + (highest - first) * 4
        if at > limit or limit - at < 4:
            raise ElfError("FW307", "DT_GNU_HASH: a chain reaches behind its PT_LOAD")
        highest += 1
        if u32(data, header, at) & 1:
            return GnuHash(buckets, highest, at + 4 - offset)


def read_symbol_table(
    data: bytes | memoryview,
    header: Header,
    segments: Sequence[Segment],
    dynamic: Dynamic,
    strings: StringTable,
) -> SymbolTable:
    """Find the dynamic symbol table and how many symbols it has.

    The count is, in this order: nchain of DT_HASH; the end of the last chain of DT_GNU_HASH, if it holds a
    symbol; else as many entries as fit between DT_SYMTAB and the nearest table behind it that another entry
    points to, or the end of the PT_LOAD, and as DT_VERSYM has room for, but only up to the first whose st_name is
    not below DT_STRSZ.

    Raises:
        ElfError: FW307 if a table is out of bounds, or DT_SYMENT is wrong.

    """
    address = last(dynamic, DT_SYMTAB)
    if address is None:
        return SymbolTable(0, 0, exact=True)
    size = symbol_size(header)
    entry = last(dynamic, DT_SYMENT)
    if entry is not None and entry != size:
        raise ElfError("FW307", f"DT_SYMENT is {entry}, not {size}")
    place = file_offset(segments, address)
    if place is None:
        raise ElfError("FW307", "DT_SYMTAB is in the file part of no PT_LOAD")
    offset, limit = place
    most = (limit - offset) // size
    sysv = last(dynamic, DT_HASH)
    if sysv is not None:
        chains = hash_counts(data, header, segments, sysv)[1]
        if chains > most:
            raise ElfError("FW307", "DT_HASH: nchain symbols reach behind the PT_LOAD of DT_SYMTAB")
        return SymbolTable(offset, chains, exact=True)
    gnu = last(dynamic, DT_GNU_HASH)
    if gnu is not None:
        count = gnu_hash(data, header, segments, gnu).count
        if count is not None:
            if count > most:
                raise ElfError("FW307", "DT_GNU_HASH: its symbols reach behind the PT_LOAD of DT_SYMTAB")
            return SymbolTable(offset, count, exact=True)
    bound = 0
    for tag, value in dynamic.entries:
        if tag in NEIGHBOURS and value > address and (value - address) // size < most:
            most = (value - address) // size
            bound = value
    # each symbol has a version index
    versions = last(dynamic, DT_VERSYM)
    place = None if versions is None else file_offset(segments, versions)
    if versions is not None and place is not None and (place[1] - place[0]) // 2 < most:
        most = (place[1] - place[0]) // 2
        bound = versions
    count = 0
    while count < most and u32(data, header, offset + count * size) < len(strings.content):
        count += 1
    stop = u32(data, header, offset + count * size) if count < most else 0
    return SymbolTable(offset, count, exact=False, bound=bound, stop=stop)


def ended(data: bytes | memoryview, header: Header, table: SymbolTable) -> SymbolTable:
    """Return `table` without what is behind its first empty entry, if its count is an upper bound.

    There is none inside a table, but often padding behind it. Only for those that read: an editor must not forget a
    symbol.
    """
    if table.exact:
        return table
    size = symbol_size(header)
    for index in range(1, table.count):
        start = table.offset + index * size
        if not any(data[start : start + size]):
            return SymbolTable(table.offset, index, exact=False, bound=table.bound, stop=table.stop)
    return table


def iter_symbols(
    data: bytes | memoryview, header: Header, table: SymbolTable
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (st_name, st_info, st_other, st_shndx, st_value, st_size) of every symbol from index 1 on."""
    size = symbol_size(header)
    window = data[table.offset + size : table.offset + max(table.count, 1) * size]
    if header.bits == 64:
        yield from struct.iter_unpack(header.order + "IBBHQQ", window)
        return
    for name, value, length, info, other, section in struct.iter_unpack(header.order + "IIIBBH", window):
        yield name, info, other, section, value, length
