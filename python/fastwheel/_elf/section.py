"""Section headers (`Elfxx_Shdr`): kept in step for other tools, never believed.

Source: System V gABI, chapter 4. Only the editor reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from fastwheel._elf.header import Header

__all__ = [
    "SHF_ALLOC",
    "SHF_COMPRESSED",
    "SHF_EXECINSTR",
    "SHF_TLS",
    "SHF_WRITE",
    "SHT_DYNAMIC",
    "SHT_DYNSYM",
    "SHT_GNU_HASH",
    "SHT_GNU_VERDEF",
    "SHT_GNU_VERNEED",
    "SHT_GNU_VERSYM",
    "SHT_HASH",
    "SHT_NOBITS",
    "SHT_NOTE",
    "SHT_NULL",
    "SHT_PROGBITS",
    "SHT_REL",
    "SHT_RELA",
    "SHT_RELR",
    "SHT_STRTAB",
    "SHT_SYMTAB",
    "Section",
    "pack_section",
    "read_sections",
    "section_name",
]

SHT_NULL: Final = 0
SHT_PROGBITS: Final = 1
SHT_SYMTAB: Final = 2
SHT_STRTAB: Final = 3
SHT_RELA: Final = 4
SHT_HASH: Final = 5
SHT_DYNAMIC: Final = 6
SHT_NOTE: Final = 7
SHT_NOBITS: Final = 8
SHT_REL: Final = 9
SHT_DYNSYM: Final = 11
SHT_RELR: Final = 19
SHT_GNU_HASH: Final = 0x6FFFFFF6
SHT_GNU_VERDEF: Final = 0x6FFFFFFD
SHT_GNU_VERNEED: Final = 0x6FFFFFFE
SHT_GNU_VERSYM: Final = 0x6FFFFFFF

SHF_WRITE: Final = 1
SHF_ALLOC: Final = 2
SHF_EXECINSTR: Final = 4
SHF_TLS: Final = 0x400
SHF_COMPRESSED: Final = 0x800

_SHN_XINDEX: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Section:
    """One section header; the names are the gABI's without their `sh_`, `address` is sh_addr."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int

    @property
    def in_file(self) -> bool:
        """Whether the section has bytes in the file."""
        # asked some ten times of each of what may be 100,000 sections
        return self.size > 0 and self.type != SHT_NOBITS and self.type != SHT_NULL  # noqa: PLR1714


def read_sections(data: bytes | memoryview, header: Header) -> tuple[Section, ...]:
    """Read the section-header table; empty if the file has none.

    Raises:
        ElfError: FW308 if the table or a section is not inside the file.
    """
    if header.shoff == 0:
        return ()
    size = 64 if header.bits == 64 else 40
    if header.shentsize != size:
        raise ElfError("FW308", f"e_shentsize is {header.shentsize}, not {size}")
    if header.shoff > len(data) or len(data) - header.shoff < size:
        raise ElfError("FW308", "e_shoff is behind the end of the file")
    form = header.order + ("IIQQQQIIQQ" if header.bits == 64 else "IIIIIIIIII")
    count = header.shnum
    strings = header.shstrndx
    first = Section(*struct.unpack_from(form, data, header.shoff))
    if count == 0:
        count = first.size
    if count == 0:
        return ()
    if count > (len(data) - header.shoff) // size:
        raise ElfError("FW308", "e_shnum: the section-header table ends behind the file")
    if strings == _SHN_XINDEX:
        strings = first.link
    if strings >= count:
        raise ElfError("FW308", "e_shstrndx is not below e_shnum")
    sections = []
    for number, fields in enumerate(struct.iter_unpack(form, data[header.shoff : header.shoff + count * size])):
        section = Section(*fields)
        outside = section.offset > len(data) or section.size > len(data) - section.offset
        if section.in_file and outside:
            raise ElfError("FW308", f"section {number}: sh_offset + sh_size is behind the end of the file")
        if section.size > ((1 << header.bits) - 1) - section.address:
            raise ElfError("FW308", f"section {number}: sh_addr + sh_size overflows")
        sections.append(section)
    return tuple(sections)


def section_name(data: bytes | memoryview, header: Header, sections: tuple[Section, ...], section: Section) -> bytes:
    """Return the name of `section`, at most 64 bytes of it; empty if it has none that can be read."""
    index = header.shstrndx
    if index == _SHN_XINDEX:
        index = sections[0].link
    table = sections[index]
    if table.type != SHT_STRTAB or section.name >= table.size:
        return b""
    start = table.offset + section.name
    text = bytes(data[start : min(start + 64, table.offset + table.size)])
    end = text.find(b"\0")
    return text if end < 0 else text[:end]


def pack_section(header: Header, section: Section) -> bytes:
    """Return the bytes of one section header."""
    return struct.pack(
        header.order + ("IIQQQQIIQQ" if header.bits == 64 else "IIIIIIIIII"),
        section.name,
        section.type,
        section.flags,
        section.address,
        section.offset,
        section.size,
        section.link,
        section.info,
        section.align,
        section.entsize,
    )
