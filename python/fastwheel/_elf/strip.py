"""Dropping what no loader reads: `.symtab`, its strings and debugging sections (what `strip -s` does).

Nothing below the end of the last segment is touched, so the file that is loaded stays the same byte for byte. Not a
twin: no table of the loader is edited here, and both engines share this one.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fastwheel._elf.header import EHDR_SIZE, ET_DYN, ET_EXEC, read_header
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHT_NOBITS,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    Section,
    pack_section,
    read_sections,
    section_name,
)
from fastwheel._elf.segment import read_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.header import Header

__all__ = ["strip"]

_SHT_SYMTAB_SHNDX: Final = 18
_SHN_LORESERVE: Final = 0xFF00
#: Sections of debugging information: DWARF, plain and compressed, LTO's copies, stabs, and gdb's index.
_DEBUG: Final = (b".debug", b".zdebug", b".gnu.debuglto_", b".stab", b".gdb_index", b".line")
_SHDR_SIZE: Final = {32: 40, 64: 64}


def strip(data: bytes) -> bytes:
    """Return the file without `.symtab` and debugging sections; the same bytes where nothing is to be dropped.

    Files whose layout leaves a doubt are returned as they are: relocatable files, section tables of more than 65279
    entries, bytes behind all sections (an appended archive), sections to be kept that lie between others in odd ways.

    Raises:
        ElfError: FW3xx, the file cannot be read.
    """
    header = read_header(data)
    if header.type not in (ET_EXEC, ET_DYN) or header.shstrndx >= _SHN_LORESERVE:
        return data
    sections = read_sections(data, header)
    loaded = _end_of_segments(data, header)
    dropped = _dropped(data, header, sections)
    if not dropped or not _is_tame(data, header, sections, loaded):
        return data
    return _rebuild(data, header, sections, dropped, loaded)


def _end_of_segments(data: bytes, header: Header) -> int:
    """The offset behind everything that a program header, or the ELF header itself, puts into the file."""
    end = max(EHDR_SIZE[header.bits], header.phoff + header.phnum * header.phentsize)
    return max([end, *(segment.offset + segment.file_size for segment in read_segments(data, header))])


def _dropped(data: bytes, header: Header, sections: Sequence[Section]) -> frozenset[int]:
    """The indices of the sections to drop."""
    found: set[int] = set()
    for index, section in enumerate(sections):
        if section.flags & SHF_ALLOC or section.type == SHT_NULL or index == header.shstrndx:
            continue
        if section.type in (SHT_SYMTAB, _SHT_SYMTAB_SHNDX) or section_name(
            data, header, tuple(sections), section
        ).startswith(_DEBUG):
            found.add(index)
    for index in sorted(found):
        section = sections[index]
        if section.type == SHT_SYMTAB and 0 < section.link < len(sections):
            strings = sections[section.link]
            users = {i for i, other in enumerate(sections) if other.link == section.link}
            own = strings.type == SHT_STRTAB and not strings.flags & SHF_ALLOC and section.link != header.shstrndx
            if own and users <= found:
                found.add(section.link)
    for index, section in enumerate(sections):
        # Relocations of dropped sections, which a linker leaves with --emit-relocs.
        relocations = section.type in (SHT_REL, SHT_RELA) and not section.flags & SHF_ALLOC
        if relocations and (section.link in found or section.info in found):
            found.add(index)
    return frozenset(found)


def _is_tame(data: bytes, header: Header, sections: Sequence[Section], loaded: int) -> bool:
    """Whether everything behind the segments is a section, the section table or padding."""
    ends = [loaded, header.shoff + len(sections) * _SHDR_SIZE[header.bits]]
    for section in sections[1:]:
        if section.in_file:
            if section.flags & SHF_ALLOC and section.offset + section.size > loaded:
                return False
            ends.append(section.offset + section.size)
    behind = data[max(ends) :]
    return len(behind) <= 16 and not behind.strip(b"\0") and header.shoff >= loaded


def _rebuild(data: bytes, header: Header, sections: Sequence[Section], dropped: frozenset[int], loaded: int) -> bytes:
    """Write the loaded part, what is kept behind it, and a new section table."""
    # Symbols name sections by index: where a kept section of the loaded image follows a dropped one, the indices of all
    # must stay, and an empty entry takes the place.
    last_loaded = max((i for i, section in enumerate(sections) if section.flags & SHF_ALLOC), default=0)
    keep_slot = {index for index in dropped if index < last_loaded}
    moved: dict[int, int] = {}
    for index in range(len(sections)):
        if index not in dropped or index in keep_slot:
            moved[index] = len(moved)
    out = bytearray(data[:loaded])
    placed: dict[int, Section] = {}
    behind = [i for i in moved if i not in dropped and sections[i].in_file and sections[i].offset >= loaded]
    for index in sorted(behind, key=lambda i: (sections[i].offset, i)):
        section = sections[index]
        align = max(section.align, 1)
        out += bytes(-len(out) % align) if align & (align - 1) == 0 and align <= 4096 else b""
        placed[index] = replace(section, offset=len(out))
        out += data[section.offset : section.offset + section.size]
    out += bytes(-len(out) % 8)
    table = len(out)
    for index in moved:
        section = placed.get(index, sections[index])
        if index in dropped:
            section = Section(0, SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0)
        elif section.type == SHT_NOBITS and section.offset > len(out):
            section = replace(section, offset=loaded)
        link = moved.get(section.link, 0)
        info = moved.get(section.info, 0) if section.type in (SHT_REL, SHT_RELA) else section.info
        out += pack_section(header, replace(section, link=link, info=info))
    _patch_header(out, header, table, len(moved), moved[header.shstrndx])
    return bytes(out) if len(out) < len(data) else data


def _patch_header(out: bytearray, header: Header, shoff: int, shnum: int, shstrndx: int) -> None:
    """Set e_shoff, e_shnum and e_shstrndx."""
    if header.bits == 64:
        struct.pack_into(header.order + "Q", out, 40, shoff)
        struct.pack_into(header.order + "HH", out, 60, shnum, shstrndx)
    else:
        struct.pack_into(header.order + "I", out, 32, shoff)
        struct.pack_into(header.order + "HH", out, 48, shnum, shstrndx)
