"""How an ELF file hangs together with others: what it asks for by symbol and what it offers, in a compact form.

The loader looks up a symbol only if a relocation names it, so relocations are read too. Source: System V gABI,
chapters 4 and 5; the GNU symbol-versioning specification; glibc's `elf/dl-lookup.c`.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DT_JMPREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELR,
    DT_RELSZ,
    check_spent,
    last,
    read_dynamic,
    read_strings,
    string_at,
)
from fastwheel._elf.header import read_header
from fastwheel._elf.segment import file_offset, read_segments
from fastwheel._elf.symbol import SHN_UNDEF, STB_LOCAL, STB_WEAK, ended, iter_symbols, read_symbol_table
from fastwheel._elf.version import VERSYM_HIDDEN, read_definitions, read_needs, read_versym
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.dynamic import Dynamic
    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = ["EMPTY", "Links", "Undefined", "VersionGroup", "links"]

_DT_PLTREL: Final = 20
#: Relocations in Android's packed form, which is not read: every symbol counts as used.
_ANDROID: Final = (0x6000000F, 0x60000011)
_SHN_ABS: Final = 0xFFF1
_STT_SECTION: Final = 3
_STT_FILE: Final = 4
_STT_TLS: Final = 6
_STV_DEFAULT_AND_PROTECTED: Final = (0, 3)


class Undefined(NamedTuple):
    """One undefined dynamic symbol.

    Attributes:
        name: its name.
        version: the version asked for, or None.
        file: the vn_file that the version is asked of, or None.
        weak: STB_WEAK: it may stay undefined.
        used: 1: a relocation outside of DT_JMPREL names it, 2: one of DT_JMPREL does (a call through the PLT), 3: both,
            0: none, so that the loader never looks for it.
    """

    name: str
    version: str | None
    file: str | None
    weak: bool
    used: int


class VersionGroup(NamedTuple):
    """The names that a file defines with one version, each list joined by NULs.

    Attributes:
        name: the version.
        first: whether its index is 2: glibc gives its names to references without a version, hidden or not.
        default: names of default versions (`@@`).
        hidden: names of others (`@`).
    """

    name: str
    first: bool
    default: bytes
    hidden: bytes


@dataclass(frozen=True, slots=True)
class Links:
    """What a file asks for and offers.

    Attributes:
        undefined: its undefined symbols of binding other than STB_LOCAL, in table order, each combination once.
        plain: the names that it defines without a version, joined by NULs.
        versions: the names that it defines with one, by version, in order of index.
        relr: whether it has DT_RELR.
    """

    undefined: tuple[Undefined, ...]
    plain: bytes
    versions: tuple[VersionGroup, ...]
    relr: bool


EMPTY: Final = Links((), b"", (), relr=False)


def links(data: bytes | bytearray | memoryview) -> Links:
    """Read what an ELF file asks for and offers; nothing without PT_DYNAMIC.

    Raises:
        ElfError: FW300 to FW307, as `facts.symbols`.

    """
    with memoryview(data) as whole, whole.cast("B") as view:
        return _links(view)


def _links(data: memoryview) -> Links:
    header = read_header(data)
    segments = read_segments(data, header)
    dynamic = read_dynamic(data, header, segments)
    if dynamic is None:
        return EMPTY
    strings = read_strings(data, segments, dynamic)
    needs = read_needs(data, header, segments, dynamic, strings)
    definitions = read_definitions(data, header, segments, dynamic, strings)
    table = ended(data, header, read_symbol_table(data, header, segments, dynamic, strings))
    versym = read_versym(data, header, segments, dynamic, table.count)
    # the first record of an index wins
    needed: dict[int, tuple[str, str]] = {}
    for need in needs:
        for aux in need.aux:
            needed.setdefault(aux.index & ~VERSYM_HIDDEN, (_text(aux.name), _text(need.file)))
    defined: dict[int, bytes] = {}
    for item in definitions:
        defined.setdefault(item.index & ~VERSYM_HIDDEN, item.aux[0].name)
    data_used, call_used = _used(data, header, segments, dynamic)
    undefined: dict[Undefined, None] = {}
    plain: list[bytes] = []
    groups: dict[int, tuple[list[bytes], list[bytes]]] = {}
    spent = 0
    for number, (name, info, other, section, value, _) in enumerate(iter_symbols(data, header, table), start=1):
        binding = info >> 4
        if binding == STB_LOCAL:
            continue
        kind = info & 15
        if section != SHN_UNDEF and (
            other & 3 not in _STV_DEFAULT_AND_PROTECTED
            or kind in (_STT_SECTION, _STT_FILE)
            or (value == 0 and section != _SHN_ABS and kind != _STT_TLS)
        ):
            continue
        raw = string_at(strings, name, "st_name")
        spent += len(raw)
        check_spent(strings, spent)
        if not raw:
            continue
        index = versym[number] if versym else 1
        version = index & ~VERSYM_HIDDEN
        if section == SHN_UNDEF:
            used = 3 if data_used is None else (number in data_used) + 2 * (number in call_used)
            asked, file = needed.get(version, (None, None)) if version > 1 else (None, None)
            undefined.setdefault(Undefined(_text(raw), asked, file, binding == STB_WEAK, used))
        elif version > 1 and version in defined:
            groups.setdefault(version, ([], []))[1 if index & VERSYM_HIDDEN else 0].append(raw)
        elif not index & VERSYM_HIDDEN:
            plain.append(raw)
    versions = tuple(
        VersionGroup(_text(defined[index]), index == 2, b"\0".join(default), b"\0".join(hidden))
        for index, (default, hidden) in sorted(groups.items())
    )
    return Links(tuple(undefined), b"\0".join(plain), versions, last(dynamic, DT_RELR) is not None)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _used(
    data: memoryview, header: Header, segments: Sequence[Segment], dynamic: Dynamic
) -> tuple[set[int] | None, set[int]]:
    """The indices of the symbols that relocations name: those outside of DT_JMPREL, and those in it.

    None stands for all: where a table is not in the file part of one PT_LOAD, or in a form that is not read.
    """
    other: set[int] = set()
    calls: set[int] = set()
    if any(last(dynamic, tag) is not None for tag in _ANDROID):
        return None, calls
    long = (header.bits // 8) * 3
    short = (header.bits // 8) * 2
    tables = (
        (DT_RELA, DT_RELASZ, long, other),
        (DT_REL, DT_RELSZ, short, other),
        (DT_JMPREL, DT_PLTRELSZ, long if last(dynamic, _DT_PLTREL) == DT_RELA else short, calls),
    )
    spans: list[tuple[int, int, int, set[int]]] = []
    for tag, size_tag, entry, found in tables:
        address, size = last(dynamic, tag), last(dynamic, size_tag)
        if address is None or not size:
            continue
        place = file_offset(segments, address)
        if place is None or size > place[1] - place[0]:
            return None, calls
        spans.append((place[0], size // entry, entry, found))
    # Some linkers count DT_JMPREL as the end of DT_RELA too.
    jump = next(((start, count) for start, count, _, found in spans if found is calls), None)
    for start, count, entry, found in spans:
        if found is other and jump is not None and start < jump[0] < start + count * entry:
            count = (jump[0] - start) // entry  # noqa: PLW2901
        found.update(_indices(data, header, start, count, entry))
    other.discard(0)
    calls.discard(0)
    return other, calls


def _indices(data: memoryview, header: Header, start: int, count: int, entry: int) -> set[int]:
    """The symbol indices in r_info of `count` relocations of `entry` bytes from `start` on."""
    size = header.bits // 8
    window = data[start : start + count * entry]
    little = header.order == "<"
    if little == (sys.byteorder == "little"):
        infos = set(window.cast("Q" if size == 8 else "I")[1 :: entry // size].tolist())
    else:
        form = f"{header.order}{size}x{'Q' if size == 8 else 'I'}{entry - 2 * size}x"
        infos = {info for (info,) in struct.iter_unpack(form, window)}
    return {info >> (32 if size == 8 else 8) for info in infos}
