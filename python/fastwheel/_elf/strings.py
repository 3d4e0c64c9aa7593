"""Where the new strings go: reuse, dead bytes, or a tail behind DT_STRTAB (elf-edit 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import DT_MIPS_IVERSION
from fastwheel._elf.header import EM_MIPS
from fastwheel._elf.image import is_string_tag, symbol_name_offsets
from fastwheel._elf.section import (
    SHF_ALLOC,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.image import Image
    from fastwheel._elf.request import Wanted

__all__ = ["Placed", "offset_of", "place_strings"]

#: DT_PREINIT_ARRAYSZ, DT_SYMTAB_SHNDX, DT_RELRSZ, DT_RELR, DT_RELRENT: the last tags of the gABI.
_LAST_GABI_TAG: Final = 37
#: GNU and Solaris tags whose meaning is known, as ranges: values, addresses, versions, and the two Solaris strings.
_KNOWN_RANGES: Final = (
    (0x6FFFFDF5, 0x6FFFFDFF),
    (0x6FFFFEF5, 0x6FFFFEFF),
    (0x6FFFFFF0, 0x6FFFFFF0),
    (0x6FFFFFF9, 0x6FFFFFFF),
    (0x7FFFFFFD, 0x7FFFFFFF),
)
#: Processor tags (DT_LOPROC up) whose meaning is known: none of them is a string but DT_MIPS_IVERSION.
_LOPROC: Final = 0x70000000
_KNOWN_PROCESSOR_TAGS: Final = 0x40


@dataclass(frozen=True, slots=True)
class Placed:
    """The string table as it is to be.

    Attributes:
        offsets: (string, offset in the new table), in the order in which they were placed.
        changes: (offset, bytes) to write inside the old table, ascending, none over another.
        tail: what is appended to it.
    """

    offsets: tuple[tuple[bytes, int], ...]
    changes: tuple[tuple[int, bytes], ...]
    tail: bytes


def offset_of(placed: Placed, text: bytes) -> int:
    """Return where `text` was put."""
    for other, offset in placed.offsets:
        if other == text:
            return offset
    raise LookupError


def known_tag(machine: int, tag: int) -> bool:
    """Whether it is certain that a dynamic tag is a string or is not."""
    if tag <= _LAST_GABI_TAG:
        return True
    for low, high in _KNOWN_RANGES:
        if low <= tag <= high:
            return True
    if tag == DT_MIPS_IVERSION:
        return machine == EM_MIPS
    return _LOPROC <= tag < _LOPROC + _KNOWN_PROCESSOR_TAGS


def _references_known(image: Image) -> bool:
    """Whether every reference into the string table can be enumerated, so that other bytes are dead."""
    for tag, _ in image.dynamic.entries:
        if not known_tag(image.header.machine, tag):
            return False
    for section in image.sections:
        if (
            section.flags & SHF_ALLOC
            and section.link == image.string_section
            and section.type not in {SHT_DYNSYM, SHT_DYNAMIC, SHT_GNU_VERDEF, SHT_GNU_VERNEED}
        ):
            return False
    return True


def _references(image: Image, wanted: Wanted) -> tuple[list[int], list[int]]:
    """Return the offsets (of strings in use after the edit, of strings that this edit drops)."""
    machine = image.header.machine
    live = set(symbol_name_offsets(image.data, image.header, image.symbols))
    live.add(0)
    dropped: list[int] = []
    stay = [False] * len(image.dynamic.entries)
    for entry in wanted.entries:
        if entry.text is None and entry.origin >= 0:
            stay[entry.origin] = True
    for index, (tag, value) in enumerate(image.dynamic.entries):
        if is_string_tag(machine, tag):
            if stay[index]:
                live.add(value)
            else:
                dropped.append(value)
    for index, need in enumerate(image.needs):
        if wanted.need_kept[index]:
            live.update(aux.name_offset for aux in need.aux)
        else:
            dropped.extend(aux.name_offset for aux in need.aux)
        if wanted.need_kept[index] and wanted.need_files[index] is None:
            live.add(need.file_offset)
        else:
            dropped.append(need.file_offset)
    for item in image.definitions:
        live.update(aux.name_offset for aux in item.aux)
    return sorted(live), sorted(set(dropped))


def _live_runs(content: bytes, references: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs [start, end) of bytes in use, ascending, none touching another; `references` are ascending."""
    runs: list[tuple[int, int]] = []
    start = end = 0
    for offset in references:
        if offset < end:
            continue
        if offset > end:
            if end > start:
                runs.append((start, end))
            start = offset
        end = content.index(b"\0", offset) + 1
    runs.append((start, end))
    return runs


def _mark(runs: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return `runs` with [start, end) added."""
    result: list[tuple[int, int]] = []
    for run in runs:
        if run[1] < start or run[0] > end:
            result.append(run)
        else:
            start = min(start, run[0])
            end = max(end, run[1])
    result.append((start, end))
    result.sort()
    return result


def _first_dead(runs: Sequence[tuple[int, int]], size: int, need: int) -> int | None:
    """Return the start of the lowest run of dead bytes that is at least `need` long, or None."""
    at = 0
    for start, end in runs:
        if start - at >= need:
            return at
        at = end
    return at if size - at >= need else None


def place_strings(image: Image, wanted: Wanted) -> Placed:
    """Find a place for every new string: longest first, then by bytes ascending.

    Each is (a) found in the table as it then stands, as a whole string or as the end of one; else (b) written over the
    lowest run of dead bytes that holds it, if dead bytes can be told; else (c) found in or appended to the tail. The
    strings that the edit drops are then wiped where no other string in use covers them.
    """
    texts = sorted(
        {entry.text for entry in wanted.entries if entry.text is not None}
        | {name for name, kept in zip(wanted.need_files, wanted.need_kept, strict=True) if name is not None and kept},
        key=lambda text: (-len(text), text),
    )
    known = _references_known(image)
    content = bytearray(image.strings.content)
    size = len(content)
    runs: list[tuple[int, int]] = []
    dropped: list[int] = []
    if known:
        live, dropped = _references(image, wanted)
        runs = _live_runs(image.strings.content, live)
    tail = bytearray()
    offsets: list[tuple[bytes, int]] = []
    written: list[tuple[int, int]] = []
    for text in texts:
        ended = text + b"\0"
        at = content.find(ended)
        if at < 0 and known:
            dead = _first_dead(runs, size, len(ended))
            if dead is not None:
                content[dead : dead + len(ended)] = ended
                written.append((dead, dead + len(ended)))
                at = dead
        if at >= 0:
            if known:
                runs = _mark(runs, at, at + len(ended))
            offsets.append((text, at))
            continue
        at = tail.find(ended)
        if at < 0:
            at = len(tail)
            tail += ended
        offsets.append((text, size + at))
    wiped: list[tuple[int, int]] = []
    if known:
        for offset in dropped:
            wiped.extend(_dead_parts(runs, offset, image.strings.content.index(b"\0", offset) + 1))
    for start, end in wiped:
        content[start:end] = bytes(end - start)
    changes: list[tuple[int, bytes]] = []
    ranges: list[tuple[int, int]] = []
    for start, end in written + wiped:
        ranges = _mark(ranges, start, end)
    for start, end in ranges:
        if content[start:end] != image.strings.content[start:end]:
            changes.append((start, bytes(content[start:end])))
    return Placed(tuple(offsets), tuple(changes), bytes(tail))


def _dead_parts(runs: Sequence[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return what of [start, end) is in no run."""
    parts = []
    at = start
    for run_start, run_end in runs:
        if run_end <= at:
            continue
        if run_start >= end:
            break
        if run_start > at:
            parts.append((at, run_start))
        at = max(at, run_end)
    if at < end:
        parts.append((at, end))
    return parts
