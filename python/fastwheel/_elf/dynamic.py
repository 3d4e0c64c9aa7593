"""The dynamic section (`Elfxx_Dyn`) and the string table that it names.

Source: System V gABI, chapter 5; GNU, Android and MIPS tags from the C library's `elf.h`. Found as the loader
finds it: at the address of PT_DYNAMIC.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.segment import PT_DYNAMIC, check_loads, load_at
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = [
    "DF_1_PIE",
    "DF_TEXTREL",
    "DT_AUDIT",
    "DT_AUXILIARY",
    "DT_CONFIG",
    "DT_DEPAUDIT",
    "DT_FILTER",
    "DT_FLAGS",
    "DT_FLAGS_1",
    "DT_GNU_CONFLICT",
    "DT_GNU_HASH",
    "DT_GNU_LIBLIST",
    "DT_GNU_PRELINKED",
    "DT_HASH",
    "DT_JMPREL",
    "DT_MIPS_IVERSION",
    "DT_MIPS_RLD_MAP_REL",
    "DT_NEEDED",
    "DT_NULL",
    "DT_PLTRELSZ",
    "DT_REL",
    "DT_RELA",
    "DT_RELACOUNT",
    "DT_RELASZ",
    "DT_RELCOUNT",
    "DT_RELR",
    "DT_RELRSZ",
    "DT_RELSZ",
    "DT_RPATH",
    "DT_RUNPATH",
    "DT_SONAME",
    "DT_STRSZ",
    "DT_STRTAB",
    "DT_SYMENT",
    "DT_SYMTAB",
    "DT_TEXTREL",
    "DT_USED",
    "DT_VERDEF",
    "DT_VERDEFNUM",
    "DT_VERNEED",
    "DT_VERNEEDNUM",
    "DT_VERSYM",
    "MOST_ENTRIES",
    "Dynamic",
    "StringTable",
    "check_spent",
    "last",
    "read_dynamic",
    "read_strings",
    "string_at",
    "string_end",
]

DT_NULL: Final = 0
DT_NEEDED: Final = 1
DT_PLTRELSZ: Final = 2
DT_HASH: Final = 4
DT_STRTAB: Final = 5
DT_SYMTAB: Final = 6
DT_RELA: Final = 7
DT_RELASZ: Final = 8
DT_STRSZ: Final = 10
DT_SYMENT: Final = 11
DT_SONAME: Final = 14
DT_RPATH: Final = 15
DT_REL: Final = 17
DT_RELSZ: Final = 18
DT_TEXTREL: Final = 22
DT_JMPREL: Final = 23
DT_RUNPATH: Final = 29
DT_FLAGS: Final = 30
DT_RELRSZ: Final = 35
DT_RELR: Final = 36
DT_GNU_PRELINKED: Final = 0x6FFFFDF5
DT_GNU_HASH: Final = 0x6FFFFEF5
DT_GNU_CONFLICT: Final = 0x6FFFFEF8
DT_GNU_LIBLIST: Final = 0x6FFFFEF9
DT_CONFIG: Final = 0x6FFFFEFA
DT_DEPAUDIT: Final = 0x6FFFFEFB
DT_AUDIT: Final = 0x6FFFFEFC
DT_VERSYM: Final = 0x6FFFFFF0
DT_RELACOUNT: Final = 0x6FFFFFF9
DT_RELCOUNT: Final = 0x6FFFFFFA
DT_FLAGS_1: Final = 0x6FFFFFFB
DT_VERDEF: Final = 0x6FFFFFFC
DT_VERDEFNUM: Final = 0x6FFFFFFD
DT_VERNEED: Final = 0x6FFFFFFE
DT_VERNEEDNUM: Final = 0x6FFFFFFF
DT_MIPS_IVERSION: Final = 0x70000004
DT_MIPS_RLD_MAP_REL: Final = 0x70000035
DT_AUXILIARY: Final = 0x7FFFFFFD
DT_USED: Final = 0x7FFFFFFE
DT_FILTER: Final = 0x7FFFFFFF

DF_TEXTREL: Final = 4
DF_1_PIE: Final = 0x08000000

#: Tags that mean one table each; a file with two of one tag is read differently by different tools.
_SINGLE: Final = (
    ("DT_HASH", DT_HASH),
    ("DT_STRTAB", DT_STRTAB),
    ("DT_SYMTAB", DT_SYMTAB),
    ("DT_STRSZ", DT_STRSZ),
    ("DT_SYMENT", DT_SYMENT),
    ("DT_GNU_HASH", DT_GNU_HASH),
    ("DT_VERSYM", DT_VERSYM),
    ("DT_VERDEF", DT_VERDEF),
    ("DT_VERDEFNUM", DT_VERDEFNUM),
    ("DT_VERNEED", DT_VERNEED),
    ("DT_VERNEEDNUM", DT_VERNEEDNUM),
)

#: A dynamic section has some forty entries; this many are a broken file.
MOST_ENTRIES: Final = 65536


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The dynamic section.

    Attributes:
        segment: index of the PT_DYNAMIC program header.
        load: index of the PT_LOAD that holds it.
        offset: file offset of the first entry.
        address: p_vaddr.
        entries: (d_tag, d_val) up to the first DT_NULL, which is not among them.
        capacity: how many entries p_filesz has room for.
        values: d_val of the last entry with each d_tag: the one that the loader keeps.

    """

    segment: int
    load: int
    offset: int
    address: int
    entries: tuple[tuple[int, int], ...]
    capacity: int
    values: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class StringTable:
    """The bytes [DT_STRTAB, DT_STRTAB + DT_STRSZ).

    Attributes:
        offset: where they are in the file.
        address: DT_STRTAB.
        content: the bytes.

    """

    offset: int
    address: int
    content: bytes


def last(dynamic: Dynamic, tag: int) -> int | None:
    """Return the value of the last entry with `tag`, the one that the loader keeps, or None."""
    return dynamic.values.get(tag)


def read_dynamic(data: bytes | memoryview, header: Header, segments: Sequence[Segment]) -> Dynamic | None:
    """Read the dynamic section, or return None if there is no PT_DYNAMIC.

    The loader walks from p_vaddr to the first DT_NULL and does not look at p_filesz; so does this, up to the
    end of what the PT_LOAD maps (whose part that is not in the file is zero, and so ends the table).

    Raises:
        ElfError: FW303 a bad PT_LOAD, two PT_DYNAMIC, or one that is outside every PT_LOAD or contradicts it;
            FW304 no end of the table, or two entries of a kind that there is one of.

    """
    found = None
    for index, segment in enumerate(segments):
        if segment.type == PT_DYNAMIC:
            if found is not None:
                raise ElfError("FW303", "two PT_DYNAMIC")
            found = index
    if found is None:
        return None
    check_loads(len(data), header, segments)
    segment = segments[found]
    load = load_at(segments, segment.address)
    if load is None:
        raise ElfError("FW303", "PT_DYNAMIC: p_vaddr is in the file part of no PT_LOAD")
    base = segments[load]
    offset = base.offset + (segment.address - base.address)
    if offset != segment.offset:
        raise ElfError("FW303", "PT_DYNAMIC: p_offset and p_vaddr disagree")
    room = base.offset + base.file_size - offset
    if segment.file_size > room:
        raise ElfError("FW303", "PT_DYNAMIC: p_filesz reaches behind its PT_LOAD")
    size = header.bits // 4
    entries: list[tuple[int, int]] = []
    ended = base.memory_size > base.file_size
    most = min(room // size, MOST_ENTRIES)
    window = data[offset : offset + most * size]
    for tag, value in struct.iter_unpack(header.order + ("QQ" if header.bits == 64 else "II"), window):
        if tag == DT_NULL:
            ended = True
            break
        entries.append((tag, value))
    if len(entries) == MOST_ENTRIES or not ended:
        raise ElfError("FW304", "PT_DYNAMIC: no DT_NULL")
    for name, tag in _SINGLE:
        count = 0
        for entry_tag, _ in entries:
            if entry_tag == tag:
                count += 1
        if count > 1:
            raise ElfError("FW304", f"two {name}")
    return Dynamic(found, load, offset, segment.address, tuple(entries), segment.file_size // size, dict(entries))


def read_strings(data: bytes | memoryview, segments: Sequence[Segment], dynamic: Dynamic) -> StringTable:
    """Read the dynamic string table.

    Raises:
        ElfError: FW304 if DT_STRTAB or DT_STRSZ is missing; FW305 if the table is not in the file part of one
            PT_LOAD.

    """
    address = last(dynamic, DT_STRTAB)
    if address is None:
        raise ElfError("FW304", "no DT_STRTAB")
    size = last(dynamic, DT_STRSZ)
    if size is None:
        raise ElfError("FW304", "no DT_STRSZ")
    index = load_at(segments, address)
    if index is None:
        raise ElfError("FW305", "DT_STRTAB is in the file part of no PT_LOAD")
    base = segments[index]
    offset = base.offset + (address - base.address)
    if size > base.offset + base.file_size - offset:
        raise ElfError("FW305", "DT_STRSZ: the string table reaches behind its PT_LOAD")
    return StringTable(offset, address, bytes(data[offset : offset + size]))


def string_end(strings: StringTable, offset: int, field: str) -> int:
    """Return the index of the NUL that ends the string at `offset`; `field` names the reference in errors.

    Raises:
        ElfError: FW305 if `offset` is outside the table, or no NUL follows.

    """
    if offset >= len(strings.content):
        raise ElfError("FW305", f"{field}: string offset {offset} is not below DT_STRSZ")
    end = strings.content.find(b"\0", offset)
    if end < 0:
        raise ElfError("FW305", f"{field}: the string at offset {offset} is not ended by a NUL")
    return end


def string_at(strings: StringTable, offset: int, field: str) -> bytes:
    """Return the string at `offset` without its NUL; errors as in `string_end`."""
    return strings.content[offset : string_end(strings, offset, field)]


def check_spent(strings: StringTable, spent: int) -> None:
    """Check that the strings read in one walk, `spent` bytes in all, are not far more than the table holds.

    Strings may share their ends, but a file in which thousands of references name one long string was made to
    make readers run out of memory.

    Raises:
        ElfError: FW305.

    """
    if spent > 4 * len(strings.content) + 65536:
        raise ElfError("FW305", "the strings in use are far longer together than DT_STRSZ")
