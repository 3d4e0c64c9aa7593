"""GNU symbol versions: needs (`Elfxx_Verneed`), definitions (`Elfxx_Verdef`), the index of each symbol.

Source: U. Drepper, "ELF Symbol Versioning". The lists are followed as the loader follows them, by vn_next and
vna_next until 0; but only forward, so that no file can make a reader run in circles.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import DT_VERDEF, DT_VERNEED, DT_VERSYM, check_spent, last, string_at
from fastwheel._elf.header import u16, u32
from fastwheel._elf.segment import file_offset
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.dynamic import Dynamic, StringTable
    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = [
    "VERSYM_HIDDEN",
    "VER_FLG_BASE",
    "VER_FLG_WEAK",
    "Aux",
    "Definition",
    "Need",
    "read_definitions",
    "read_needs",
    "read_versym",
    "versym_offset",
]

VER_FLG_BASE: Final = 1
VER_FLG_WEAK: Final = 2
VERSYM_HIDDEN: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Aux:
    """One `Elfxx_Vernaux` or `Elfxx_Verdaux`.

    Attributes:
        position: file offset of the record.
        name: the string; `name_offset`, where it is in DT_STRTAB.
        flags: vna_flags (0 in a definition).
        index: vna_other (0 in a definition).

    """

    position: int
    name_offset: int
    name: bytes
    flags: int
    index: int


@dataclass(frozen=True, slots=True)
class Need:
    """One `Elfxx_Verneed`.

    Attributes:
        position: file offset of the record.
        file_offset: vn_file, an offset in DT_STRTAB; `file`, the string there.
        count: vn_cnt, which the loader does not read.
        aux: the vn_aux list.
        end: file offset behind the last byte of the record and its list.

    """

    position: int
    file_offset: int
    file: bytes
    count: int
    aux: tuple[Aux, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Definition:
    """One `Elfxx_Verdef`; the first of `aux` is its name, the others its parents.

    Attributes:
        position: file offset of the record.
        count: vd_cnt, which the loader does not read.
        end: file offset behind the last byte of the record and its list.

    """

    position: int
    flags: int
    index: int
    count: int
    aux: tuple[Aux, ...]
    end: int


def read_needs(
    data: bytes | memoryview,
    header: Header,
    segments: Sequence[Segment],
    dynamic: Dynamic,
    strings: StringTable,
) -> tuple[Need, ...]:
    """Read the list at DT_VERNEED; empty if there is none.

    Raises:
        ElfError: FW306 a record outside the PT_LOAD, going backward, of unknown vn_version, or lists that
            overlap; FW305 a bad string.

    """
    address = last(dynamic, DT_VERNEED)
    if address is None:
        return ()
    place = file_offset(segments, address)
    if place is None:
        raise ElfError("FW306", "DT_VERNEED is in the file part of no PT_LOAD")
    position, limit = place
    most = (limit - position) // 16
    needs: list[Need] = []
    total = 0
    spent = 0
    while True:
        if position > limit or limit - position < 16:
            raise ElfError("FW306", "vn_next: a record behind the end of its PT_LOAD")
        if u16(data, header, position) != 1:
            raise ElfError("FW306", f"vn_version is {u16(data, header, position)}")
        count = u16(data, header, position + 2)
        name_offset = u32(data, header, position + 4)
        step = u32(data, header, position + 8)
        skip = u32(data, header, position + 12)
        name = string_at(strings, name_offset, "vn_file")
        spent += len(name)
        check_spent(strings, spent)
        end = position + 16
        aux: list[Aux] = []
        at = position
        while step > 0:
            if step < 16:
                raise ElfError("FW306", "vn_aux or vna_next does not go forward")
            at += step
            if at > limit or limit - at < 16:
                raise ElfError("FW306", "vna_next: a record behind the end of its PT_LOAD")
            total += 1
            if total > most:
                raise ElfError("FW306", "DT_VERNEED: the vna_next lists overlap")
            aux_offset = u32(data, header, at + 8)
            aux_name = string_at(strings, aux_offset, "vna_name")
            spent += len(aux_name)
            check_spent(strings, spent)
            aux.append(Aux(at, aux_offset, aux_name, u16(data, header, at + 4), u16(data, header, at + 6)))
            end = max(end, at + 16)
            step = u32(data, header, at + 12)
        needs.append(Need(position, name_offset, name, count, tuple(aux), end))
        if skip == 0:
            return tuple(needs)
        if skip < 16:
            raise ElfError("FW306", "vn_next does not go forward")
        position += skip


def read_definitions(
    data: bytes | memoryview,
    header: Header,
    segments: Sequence[Segment],
    dynamic: Dynamic,
    strings: StringTable,
) -> tuple[Definition, ...]:
    """Read the list at DT_VERDEF; empty if there is none.

    Raises:
        ElfError: FW306 a record outside the PT_LOAD, going backward, of unknown vd_version, without a name,
            or lists that overlap; FW305 a bad string.

    """
    address = last(dynamic, DT_VERDEF)
    if address is None:
        return ()
    place = file_offset(segments, address)
    if place is None:
        raise ElfError("FW306", "DT_VERDEF is in the file part of no PT_LOAD")
    position, limit = place
    most = (limit - position) // 8
    definitions: list[Definition] = []
    total = 0
    spent = 0
    while True:
        if position > limit or limit - position < 20:
            raise ElfError("FW306", "vd_next: a record behind the end of its PT_LOAD")
        if u16(data, header, position) != 1:
            raise ElfError("FW306", f"vd_version is {u16(data, header, position)}")
        flags = u16(data, header, position + 2)
        index = u16(data, header, position + 4)
        count = u16(data, header, position + 6)
        step = u32(data, header, position + 12)
        skip = u32(data, header, position + 16)
        if count == 0:
            raise ElfError("FW306", "vd_cnt is 0: a version without a name")
        end = position + 20
        aux: list[Aux] = []
        at = position
        while True:
            if step < 8:
                raise ElfError("FW306", "vd_aux or vda_next does not go forward")
            at += step
            if at > limit or limit - at < 8:
                raise ElfError("FW306", "vda_next: a record behind the end of its PT_LOAD")
            total += 1
            if total > most:
                raise ElfError("FW306", "DT_VERDEF: the vda_next lists overlap")
            aux_offset = u32(data, header, at)
            aux_name = string_at(strings, aux_offset, "vda_name")
            spent += len(aux_name)
            check_spent(strings, spent)
            aux.append(Aux(at, aux_offset, aux_name, 0, 0))
            end = max(end, at + 8)
            step = u32(data, header, at + 4)
            if step == 0:
                break
        definitions.append(Definition(position, flags, index, count, tuple(aux), end))
        if skip == 0:
            return tuple(definitions)
        if skip < 20:
            raise ElfError("FW306", "vd_next does not go forward")
        position += skip


def versym_offset(
    data: bytes | memoryview, header: Header, segments: Sequence[Segment], dynamic: Dynamic, count: int
) -> int | None:
    """Return the file offset of the version indices of the `count` dynamic symbols, or None without DT_VERSYM.

    Raises:
        ElfError: FW306 if the table reaches behind its PT_LOAD.
    """
    address = last(dynamic, DT_VERSYM)
    if address is None or count == 0:
        return None
    place = file_offset(segments, address)
    if place is None:
        raise ElfError("FW306", "DT_VERSYM is in the file part of no PT_LOAD")
    offset, limit = place
    if 2 * count > limit - offset:
        raise ElfError("FW306", "DT_VERSYM: the table reaches behind its PT_LOAD")
    return offset


def read_versym(
    data: bytes | memoryview, header: Header, segments: Sequence[Segment], dynamic: Dynamic, count: int
) -> tuple[int, ...]:
    """Return the version index of each of the `count` dynamic symbols; empty without DT_VERSYM.

    Raises:
        ElfError: FW306 as in `versym_offset`.
    """
    offset = versym_offset(data, header, segments, dynamic, count)
    return () if offset is None else struct.unpack_from(f"{header.order}{count}H", data, offset)
