"""Everything that the editor knows of its input, and the gate: which files it takes (elf-edit 3.1).

`open_image` makes its checks in the order in which they stand there; the first fault wins.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DF_1_PIE,
    DT_AUDIT,
    DT_AUXILIARY,
    DT_CONFIG,
    DT_DEPAUDIT,
    DT_FILTER,
    DT_FLAGS_1,
    DT_GNU_CONFLICT,
    DT_GNU_HASH,
    DT_GNU_LIBLIST,
    DT_GNU_PRELINKED,
    DT_MIPS_IVERSION,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_SYMTAB,
    DT_USED,
    DT_VERDEFNUM,
    DT_VERNEEDNUM,
    DT_VERSYM,
    check_spent,
    last,
    read_dynamic,
    read_strings,
    string_end,
)
from fastwheel._elf.header import EHDR_SIZE, EM_MIPS, ET_DYN, ET_EXEC, read_header
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHF_COMPRESSED,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_VERSYM,
    SHT_STRTAB,
    SHT_SYMTAB,
    read_sections,
)
from fastwheel._elf.segment import (
    PT_INTERP,
    PT_LOAD,
    PT_NULL,
    PT_PHDR,
    file_offset,
    load_at,
    loads,
    physical_address,
    read_interpreter,
    read_segments,
)
from fastwheel._elf.symbol import SymbolTable, gnu_hash, read_symbol_table, symbol_size
from fastwheel._elf.version import read_definitions, read_needs, versym_offset
from fastwheel._elf.walked import check_walked, table_extents
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.dynamic import Dynamic, StringTable
    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment
    from fastwheel._elf.section import Section
    from fastwheel._elf.version import Definition, Need

__all__ = [
    "LOADER_NAMES",
    "Image",
    "is_string_tag",
    "open_image",
    "string_field",
    "symbol_name_offsets",
]

#: How the names of dynamic loaders begin.
LOADER_NAMES: Final = (b"ld-linux", b"ld-musl", b"ld64.so")

_STRING_TAGS: Final = (
    (DT_NEEDED, "DT_NEEDED"),
    (DT_SONAME, "DT_SONAME"),
    (DT_RPATH, "DT_RPATH"),
    (DT_RUNPATH, "DT_RUNPATH"),
    (DT_CONFIG, "DT_CONFIG"),
    (DT_DEPAUDIT, "DT_DEPAUDIT"),
    (DT_AUDIT, "DT_AUDIT"),
    (DT_AUXILIARY, "DT_AUXILIARY"),
    (DT_USED, "DT_USED"),
    (DT_FILTER, "DT_FILTER"),
)


@dataclass(frozen=True, slots=True)
class Image:
    """A file that has passed the gate.

    Attributes:
        data: its bytes.
        paddrs: p_paddr of each program header.
        loads: indices of the PT_LOADs, ascending.
        sections: the section headers; empty in a sectionless file.
        dynamic_section: index of the SHT_DYNAMIC, 0 in a sectionless file.
        string_section: index of the dynamic string table, 0 in a sectionless file.
        capacity: how many entries, DT_NULL included, the dynamic section has room for.
    """

    data: bytes
    header: Header
    segments: tuple[Segment, ...]
    paddrs: tuple[int, ...]
    loads: tuple[int, ...]
    dynamic: Dynamic
    strings: StringTable
    needs: tuple[Need, ...]
    definitions: tuple[Definition, ...]
    symbols: SymbolTable
    sections: tuple[Section, ...]
    dynamic_section: int
    string_section: int
    capacity: int


def string_field(machine: int, tag: int) -> str | None:
    """Return the name of a dynamic tag whose value is a string offset, or None."""
    for string_tag, name in _STRING_TAGS:
        if tag == string_tag:
            return name
    if machine == EM_MIPS and tag == DT_MIPS_IVERSION:
        return "DT_MIPS_IVERSION"
    return None


def is_string_tag(machine: int, tag: int) -> bool:
    """Whether the value of a dynamic tag is a string offset."""
    return string_field(machine, tag) is not None


def symbol_name_offsets(data: bytes, header: Header, table: SymbolTable) -> array[int]:
    """Return st_name of every dynamic symbol, entry 0 included."""
    size = symbol_size(header)
    words = array("I")
    words.frombytes(data[table.offset : table.offset + table.count * size])
    if (header.order == ">") != (_HOST_ORDER == "big"):
        words.byteswap()
    return words[:: size // 4]


_HOST_ORDER: Final = "little" if array("H", [1]).tobytes()[0] == 1 else "big"


def open_image(data: bytes) -> Image:
    """Read `data` and pass it through the gate.

    Raises:
        ElfError: FW300 to FW308 a malformed file; FW401 a kind of file that is not edited; FW402 sections that
            contradict the dynamic section.
    """
    header = read_header(data)
    if header.type not in {ET_DYN, ET_EXEC}:
        raise ElfError("FW401", f"e_type is {header.type}: not a shared object or a program")
    if header.phnum == 0:
        raise ElfError("FW302", "e_phnum is 0")
    segments = read_segments(data, header)
    dynamic = read_dynamic(data, header, segments)
    if dynamic is None:
        raise ElfError("FW401", "no PT_DYNAMIC: a static program or not a linked file")
    _check_segments(len(data), header, segments)
    read_interpreter(data, segments)
    _check_dynamic(header, segments, dynamic)
    strings = read_strings(data, segments, dynamic)
    if not strings.content:
        raise ElfError("FW305", "DT_STRSZ is 0")
    if strings.content[-1] != 0:
        raise ElfError("FW305", "DT_STRTAB does not end with a NUL")
    spent = 0
    for tag, value in dynamic.entries:
        field = string_field(header.machine, tag)
        if field is not None:
            spent += string_end(strings, value, field) - value
            check_spent(strings, spent)
    needs = read_needs(data, header, segments, dynamic, strings)
    _check_counts(
        "DT_VERNEEDNUM", last(dynamic, DT_VERNEEDNUM), "vn_cnt", [(item.count, len(item.aux)) for item in needs]
    )
    _check_apart(needs)
    definitions = read_definitions(data, header, segments, dynamic, strings)
    _check_counts(
        "DT_VERDEFNUM", last(dynamic, DT_VERDEFNUM), "vd_cnt", [(item.count, len(item.aux)) for item in definitions]
    )
    symbols = read_symbol_table(data, header, segments, dynamic, strings)
    highest = max(symbol_name_offsets(data, header, symbols), default=0)
    if highest >= len(strings.content):
        raise ElfError("FW305", f"st_name: string offset {highest} is not below DT_STRSZ")
    versym_offset(data, header, segments, dynamic, symbols.count)
    hashed = last(dynamic, DT_GNU_HASH)
    if hashed is not None and gnu_hash(data, header, segments, hashed).buckets == 0:
        raise ElfError("FW307", "DT_GNU_HASH: nbuckets is 0")
    sections = read_sections(data, header)
    if not sections and header.shoff > 0:
        raise ElfError("FW402", "e_shoff is not 0, though there are no section headers")
    dynamic_section = string_section = 0
    capacity = dynamic.capacity
    if sections:
        dynamic_section, string_section = _find_sections(sections, dynamic, strings)
        symbols = _counted(header, dynamic, sections, symbols)
        capacity = min(capacity, sections[dynamic_section].size // (header.bits // 4))
        if len(dynamic.entries) >= capacity:
            raise ElfError("FW402", "the section .dynamic is shorter than the dynamic section")
    image = Image(
        data=data,
        header=header,
        segments=segments,
        paddrs=tuple(physical_address(data, header, index) for index in range(header.phnum)),
        loads=loads(segments),
        dynamic=dynamic,
        strings=strings,
        needs=needs,
        definitions=definitions,
        symbols=symbols,
        sections=sections,
        dynamic_section=dynamic_section,
        string_section=string_section,
        capacity=capacity,
    )
    if sections:
        _check_places(image)
        _check_tables(image)
        _check_symtabs(image)
    _check_shape(image)
    check_walked(image)
    return image


def _check_segments(size: int, header: Header, segments: Sequence[Segment]) -> None:
    """Check that every segment is in the file, and that the PT_LOADs are as the linker lays them out."""
    top = (1 << header.bits) - 1
    for index, segment in enumerate(segments):
        if segment.type == PT_NULL:
            continue
        if segment.offset > size or segment.file_size > size - segment.offset:
            raise ElfError("FW303", f"program header {index}: p_offset + p_filesz is behind the end of the file")
        if segment.memory_size > top - segment.address:
            raise ElfError("FW303", f"program header {index}: p_vaddr + p_memsz overflows")
    if sum(segment.type == PT_PHDR for segment in segments) > 1:
        raise ElfError("FW303", "two PT_PHDR")
    for segment in segments:
        if segment.type == PT_PHDR and not _is_table(header, segments, segment):
            raise ElfError("FW303", "PT_PHDR is not where the program-header table is loaded")
    end = 0
    for index, segment in enumerate(segments):
        if segment.type != PT_LOAD:
            continue
        if segment.align & (segment.align - 1) != 0 and segment.align > 0:
            raise ElfError("FW303", f"PT_LOAD {index}: p_align is not a power of two")
        if segment.align > 1 and (segment.address - segment.offset) % segment.align != 0:
            raise ElfError("FW303", f"PT_LOAD {index}: p_vaddr and p_offset are not congruent modulo p_align")
        if segment.file_size > 0 and segment.offset < end:
            raise ElfError("FW303", f"PT_LOAD {index}: p_offset is below the end of the PT_LOAD before it")
        if segment.file_size > 0:
            end = segment.offset + segment.file_size


def _is_table(header: Header, segments: Sequence[Segment], segment: Segment) -> bool:
    """Whether a PT_PHDR spans the program-header table, and a PT_LOAD puts it where it says."""
    size = header.phnum * header.phentsize
    place = file_offset(segments, segment.address)
    return (
        segment.offset == header.phoff
        and segment.file_size >= size
        and place is not None
        and place[0] == segment.offset
        and size <= place[1] - place[0]
    )


def _check_dynamic(header: Header, segments: Sequence[Segment], dynamic: Dynamic) -> None:
    if segments[dynamic.segment].file_size % (header.bits // 4) != 0:
        raise ElfError("FW304", "PT_DYNAMIC: p_filesz is not a multiple of the entry size")
    if len(dynamic.entries) >= dynamic.capacity:
        raise ElfError("FW304", "PT_DYNAMIC: no DT_NULL inside p_filesz")


def _check_counts(field: str, number: int | None, inner: str, counts: list[tuple[int, int]]) -> None:
    if (number or 0) != len(counts):
        raise ElfError("FW306", f"{field} is {number or 0}, the list has {len(counts)} records")
    for count, length in counts:
        if count != length:
            raise ElfError("FW306", f"{inner} is {count}, the list has {length} records")


def _check_apart(needs: Sequence[Need]) -> None:
    """Check that no version-need record lies over another: each is written without a look at the others."""
    places = sorted([need.position for need in needs] + [aux.position for need in needs for aux in need.aux])
    for first, second in pairwise(places):
        if second - first < 16:
            raise ElfError("FW306", "DT_VERNEED: a record lies over another")


def _find_sections(sections: Sequence[Section], dynamic: Dynamic, strings: StringTable) -> tuple[int, int]:
    dynamic_section = string_section = 0
    for index, section in enumerate(sections):
        if section.type == SHT_DYNAMIC and section.address == dynamic.address and section.offset == dynamic.offset:
            if dynamic_section:
                raise ElfError("FW402", "two sections .dynamic")
            dynamic_section = index
        if (
            section.type == SHT_STRTAB
            and section.flags & SHF_ALLOC
            and section.address == strings.address
            and section.size == len(strings.content)
            and section.offset == strings.offset
        ):
            if string_section:
                raise ElfError("FW402", "two sections .dynstr")
            string_section = index
    if not dynamic_section:
        raise ElfError("FW402", "no section .dynamic at PT_DYNAMIC")
    if not string_section:
        raise ElfError("FW402", "no section .dynstr at DT_STRTAB with the size DT_STRSZ")
    if sections[dynamic_section].link != string_section:
        raise ElfError("FW402", "sh_link of .dynamic is not .dynstr")
    return dynamic_section, string_section


def _counted(header: Header, dynamic: Dynamic, sections: Sequence[Section], symbols: SymbolTable) -> SymbolTable:
    """Return the symbol table with the count of its section, if that is consistent and a hash table gives none."""
    if symbols.exact:
        return symbols
    size = symbol_size(header)
    address, versions = last(dynamic, DT_SYMTAB), last(dynamic, DT_VERSYM)
    # one version index for each symbol
    sizes = {other.size for other in sections if other.type == SHT_GNU_VERSYM and other.address == versions}
    for section in sections:
        count = section.size // size
        if (
            section.type == SHT_DYNSYM
            and section.flags & SHF_ALLOC
            and section.address == address
            and section.offset == symbols.offset
            and section.entsize == size
            and section.size % size == 0
            and 0 < count <= symbols.count
            and (versions is None or 2 * count in sizes)
        ):
            return SymbolTable(symbols.offset, count, exact=True)
    return symbols


def _check_places(image: Image) -> None:
    """Check that each loaded section with bytes in the file is where its PT_LOAD says."""
    segments = [image.segments[index] for index in image.loads]
    starts = [load.address for load in segments]
    for index, section in enumerate(image.sections):
        if not section.flags & SHF_ALLOC or not section.in_file:
            continue
        rank = bisect_right(starts, section.address) - 1
        load = segments[max(rank, 0)]
        inside = section.address - load.address
        if rank < 0 or section.offset != load.offset + inside or section.size > load.file_size - inside:
            raise ElfError("FW402", f"section {index} is loaded and not where a PT_LOAD says")


def _check_tables(image: Image) -> None:
    """Check that each table is a section of its type, at its address, at least as long, and where its PT_LOAD says."""
    for kind, address, size in table_extents(image):
        found = False
        for section in image.sections:
            if section.type != kind or section.address != address or not section.flags & SHF_ALLOC:
                continue
            index = load_at(image.segments, address)
            if index is None:
                continue
            load = image.segments[index]
            if (
                section.offset == load.offset + (address - load.address)
                and section.size <= load.offset + load.file_size - section.offset
                and size <= section.size
            ):
                found = True
        if not found:
            raise ElfError("FW402", f"no section of type {kind:#x} for the table at address {address:#x}")


def _check_symtabs(image: Image) -> None:
    """Check that a symbol table that is not loaded, and whose values may have to change, is apart from what is."""
    header = image.header
    taken = [
        (0, EHDR_SIZE[header.bits]),
        (header.phoff, header.phoff + header.phnum * header.phentsize),
        (header.shoff, header.shoff + len(image.sections) * header.shentsize),
    ]
    for index in image.loads:
        load = image.segments[index]
        taken.append((load.offset, load.offset + load.file_size))
    for index, section in enumerate(image.sections):
        if section.type != SHT_SYMTAB or not section.in_file:
            continue
        for start, end in taken:
            if section.offset < end and section.offset + section.size > start:
                raise ElfError("FW402", f"section {index}: a symbol table lies over a header or a loaded segment")


def _check_shape(image: Image) -> None:
    """Refuse what must not be edited, though it is well formed."""
    for tag, _ in image.dynamic.entries:
        if tag in {DT_GNU_PRELINKED, DT_GNU_CONFLICT, DT_GNU_LIBLIST}:
            raise ElfError("FW401", "the file is prelinked")
    for index, section in enumerate(image.sections):
        if section.flags & SHF_ALLOC and section.flags & SHF_COMPRESSED:
            raise ElfError("FW401", f"section {index} is loaded and compressed")
    # each is walked whole: many over the same bytes would take for ever
    tables = sum(section.size for section in image.sections if section.type in {SHT_SYMTAB, SHT_DYNSYM})
    if tables > len(image.data):
        raise ElfError("FW402", "the symbol tables are longer together than the file")
    soname = last(image.dynamic, DT_SONAME)
    if soname is not None and image.strings.content.startswith(LOADER_NAMES, soname):
        raise ElfError("FW401", "DT_SONAME: the file is the loader itself")
    flags = last(image.dynamic, DT_FLAGS_1) or 0
    if (
        flags & DF_1_PIE
        and last(image.dynamic, DT_NEEDED) is None
        and all(segment.type != PT_INTERP for segment in image.segments)
    ):
        raise ElfError("FW401", "the file is a static position-independent program")
