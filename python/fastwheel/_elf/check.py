"""The post-conditions (elf-edit 3.9), checked on the bytes of every output before anyone sees them.

The output is read afresh; `V1` to `V10` are the names of the rules in docs/elf-edit.md. A violation is a
fault of fastwheel (FW900), never an output.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from fastwheel._elf.compare import check_bytes, check_sections, check_segments
from fastwheel._elf.dynamic import (
    DT_MIPS_RLD_MAP_REL,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_VERNEEDNUM,
    last,
    string_at,
)
from fastwheel._elf.header import EHDR_SIZE
from fastwheel._elf.image import is_string_tag, open_image, symbol_name_offsets
from fastwheel._elf.items import POINTERS
from fastwheel._elf.request import check_request, want
from fastwheel._elf.section import SHT_DYNSYM, SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_STRTAB
from fastwheel._elf.segment import PF_W, file_offset
from fastwheel._elf.symbol import iter_symbols, symbol_size
from fastwheel._elf.version import read_versym
from fastwheel._elf.walked import table_extents
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.image import Image
    from fastwheel._elf.layout import Layout
    from fastwheel._elf.model import Edit
    from fastwheel._elf.request import Entry, Request, Wanted

__all__ = ["check"]


def _fail(rule: str, text: str) -> NoReturn:
    raise ElfError("FW900", f"post-condition {rule}: {text}", "a fault of fastwheel; no file was changed")


def check(old: Image, wanted: Wanted, entries: Sequence[Entry], layout: Layout, output: bytes, edit: Edit) -> None:
    """Check that `output` is `old` with `edit` done, and is the same in everything else.

    Raises:
        ElfError: FW900, the first rule that does not hold.
    """
    try:
        new = open_image(output)
    except ElfError as error:
        _fail("V0", f"the output cannot be read again: {error.message}")
    request = check_request(edit)
    _check_header(old, new, layout)
    _check_request(new, request)
    _check_dynamic(old, new, wanted, entries, layout)
    _check_versions(old, new, wanted)
    _check_symbols(old, new, layout)
    _check_tables(old, new)
    fault = (
        check_bytes(old, new, layout) or check_segments(old, new, layout) or check_sections(old, new, wanted, layout)
    )
    if fault is not None:
        _fail(fault[0], fault[1])
    writable = old.segments[old.dynamic.load].flags & PF_W
    if new.segments[new.dynamic.load].flags & PF_W != writable:
        _fail("V8", "PT_DYNAMIC is not as writable as before")
    if not _chained(request) and want(new, request).changed:
        _fail("V10", "a second run would change the file again")


def _chained(request: Request) -> bool:
    """Whether a new name is itself to be replaced: then a second run has something to do."""
    for _, name in request.replace:
        for old, new in request.replace:
            if old == name and old != new:
                return True
    return False


def _check_header(old: Image, new: Image, layout: Layout) -> None:
    """V1: nothing in the ELF header but e_phoff, e_shoff and e_phnum."""
    size = EHDR_SIZE[old.header.bits]
    wide = old.header.bits == 64
    before, after = bytearray(old.data[:size]), bytearray(new.data[:size])
    for start, end in ((32, 48), (56, 58)) if wide else ((28, 36), (44, 46)):
        before[start:end] = bytes(end - start)
        after[start:end] = bytes(end - start)
    if before != after:
        _fail("V1", "the ELF header differs")
    moved = layout.insert_size
    if new.header.phoff not in {old.header.phoff, old.header.phoff + moved}:
        _fail("V1", "e_phoff differs")
    if new.header.shoff not in {old.header.shoff, old.header.shoff + moved}:
        _fail("V1", "e_shoff differs")


def _strings(image: Image, tag: int) -> list[bytes]:
    return [string_at(image.strings, value, "d_val") for other, value in image.dynamic.entries if other == tag]


def _check_request(new: Image, request: Request) -> None:
    """V2, first half: everything that was asked holds."""
    sonames, needed = _strings(new, DT_SONAME), _strings(new, DT_NEEDED)
    if request.soname is not None and (not sonames or sonames[-1] != request.soname):
        _fail("V2", "DT_SONAME is not as asked")
    search = [(DT_RUNPATH, text) for text in _strings(new, DT_RUNPATH)]
    search.extend((DT_RPATH, text) for text in _strings(new, DT_RPATH))
    if request.search is not None and search != [request.search]:
        _fail("V2", "DT_RUNPATH or DT_RPATH is not as asked")
    if request.remove_search and search:
        _fail("V2", "DT_RUNPATH or DT_RPATH is still there")
    made = [name for _, name in request.replace]
    for name, _ in request.replace:
        if name not in made and name in needed:
            _fail("V2", "a DT_NEEDED has its old name")
    for name in request.remove:
        if name in needed:
            _fail("V2", "a DT_NEEDED is still there")
    for name in request.add:
        if name not in needed:
            _fail("V2", "a DT_NEEDED is missing")


def _check_dynamic(old: Image, new: Image, wanted: Wanted, entries: Sequence[Entry], layout: Layout) -> None:
    """V2, second half: the entries are the expected ones in order, with the same values."""
    if len(entries) != len(new.dynamic.entries):
        _fail("V2", "the number of dynamic entries differs")
    strings = len(old.strings.content)
    for move in layout.moves:
        if move.item.kind == SHT_STRTAB and move.item.address == old.strings.address and move.item.size > 0:
            strings = move.size
    for entry, (tag, value) in zip(entries, new.dynamic.entries, strict=True):
        if entry.tag != tag:
            _fail("V2", "the order of dynamic entries differs")
        if is_string_tag(old.header.machine, tag):
            text = string_at(old.strings, entry.value, "d_val") if entry.text is None else entry.text
            if string_at(new.strings, value, "d_val") != text:
                _fail("V2", f"the string of dynamic tag {tag:#x} differs")
        elif tag == DT_STRSZ:
            if value != strings:
                _fail("V2", "DT_STRSZ differs")
        elif tag == DT_VERNEEDNUM:
            if value != wanted.need_kept.count(True):
                _fail("V2", "DT_VERNEEDNUM differs")
        elif tag not in POINTERS and tag != DT_MIPS_RLD_MAP_REL and value != entry.value:
            _fail("V2", f"the value of dynamic tag {tag:#x} differs")


def _check_versions(old: Image, new: Image, wanted: Wanted) -> None:
    """V3: the version records are the same but for what was asked."""
    expected = [
        (old.needs[index] if name is None else replace(old.needs[index], file=name))
        for index, name in enumerate(wanted.need_files)
        if wanted.need_kept[index]
    ]
    if len(expected) != len(new.needs):
        _fail("V3", "the number of version-need records differs")
    for before, after in zip(expected, new.needs, strict=True):
        if before.file != after.file or before.count != after.count or len(before.aux) != len(after.aux):
            _fail("V3", "a version-need record differs")
        for left, right in zip(before.aux, after.aux, strict=True):
            before_bytes = old.data[left.position : left.position + 12]
            after_bytes = new.data[right.position : right.position + 12]
            # vna_hash, vna_flags, vna_other, vna_name; the editor rewrites no name of a version
            if left.name != right.name or before_bytes != after_bytes:
                _fail("V3", "a needed version differs")
    if len(old.definitions) != len(new.definitions):
        _fail("V3", "the number of version definitions differs")
    for first, second in zip(old.definitions, new.definitions, strict=True):
        same = old.data[first.position : first.position + 20] == new.data[second.position : second.position + 20] and [
            aux.name for aux in first.aux
        ] == [aux.name for aux in second.aux]
        if not same:
            _fail("V3", "a version definition differs")
    dropped: set[int] = set()
    for index, need in enumerate(old.needs):
        if not wanted.need_kept[index]:
            dropped.update(aux.index & 0x7FFF for aux in need.aux)
    indices = read_versym(old.data, old.header, old.segments, old.dynamic, old.symbols.count)
    if dropped:
        indices = tuple(1 if index & 0x7FFF in dropped else index for index in indices)
    if indices != read_versym(new.data, new.header, new.segments, new.dynamic, new.symbols.count):
        _fail("V3", "the version index of a symbol differs")


def _check_symbols(old: Image, new: Image, layout: Layout) -> None:
    """V3: the dynamic symbols are the same, but for the value of those inside tables that moved."""
    if old.symbols.count != new.symbols.count:
        _fail("V3", "the number of dynamic symbols differs")
    moved = {move.item.section for move in layout.moves if move.item.section > 0}
    left = iter_symbols(old.data, old.header, old.symbols)
    right = iter_symbols(new.data, new.header, new.symbols)
    if not _same_symbols(old, new):
        for before, after in zip(left, right, strict=True):
            if before != after and (before[:4] != after[:4] or before[5] != after[5] or before[3] not in moved):
                _fail("V3", "a dynamic symbol differs")
    size = symbol_size(old.header) if old.symbols.count > 0 else 0
    at, now = old.symbols.offset, new.symbols.offset
    if old.data[at : at + size] != new.data[now : now + size]:
        _fail("V3", "the first dynamic symbol differs")
    # the names: no byte that changed in the old part of the string table belongs to one
    before_text, after_text = old.strings.content, new.strings.content
    changed = _differences(before_text, after_text[: len(before_text)])
    if not changed:
        return
    names = sorted(set(symbol_name_offsets(old.data, old.header, old.symbols)))
    for start, end in changed:
        lowest = before_text.rfind(b"\0", 0, start) + 1
        rank = bisect_left(names, lowest)
        if rank < len(names) and names[rank] < end:
            _fail("V3", "the name of a dynamic symbol differs")


def _same_symbols(old: Image, new: Image) -> bool:
    size = old.symbols.count * (24 if old.header.bits == 64 else 16)
    return (
        old.data[old.symbols.offset : old.symbols.offset + size]
        == new.data[new.symbols.offset : new.symbols.offset + size]
    )


def _differences(left: bytes, right: bytes) -> list[tuple[int, int]]:
    """Return ranges that hold every byte in which two strings of one length differ, each of at most 256 bytes."""
    found: list[tuple[int, int]] = []
    if left == right:
        return []
    for start in range(0, len(left), 65536):
        if left[start : start + 65536] == right[start : start + 65536]:
            continue
        for inner in range(start, min(start + 65536, len(left)), 256):
            low, high = inner, min(inner + 256, len(left))
            if left[low:high] == right[low:high]:
                continue
            while left[low] == right[low]:
                low += 1
            while left[high - 1] == right[high - 1]:
                high -= 1
            found.extend((at, at + 1) for at in range(low, high) if left[at] != right[at])
    return found


def _check_tables(old: Image, new: Image) -> None:
    """V2, V3: what a pointer named before and names now has the same content."""
    before, after = table_extents(old), table_extents(new)
    expected = [item for item in before if item[0] != SHT_GNU_VERNEED]
    found = [item for item in after if item[0] != SHT_GNU_VERNEED]
    if [item[0] for item in expected] != [item[0] for item in found]:
        _fail("V2", "a table is missing")
    for (kind, address, size), (_, new_address, new_size) in zip(expected, found, strict=True):
        # these are compared by what they mean
        if kind in {SHT_STRTAB, SHT_DYNSYM, SHT_GNU_VERSYM}:
            continue
        start, end = file_offset(old.segments, address), file_offset(new.segments, new_address)
        if start is None or end is None or size != new_size:
            _fail("V2", f"the size of the table of type {kind:#x} differs")
        if old.data[start[0] : start[0] + size] != new.data[end[0] : end[0] + size]:
            _fail("V2", f"the content of the table of type {kind:#x} differs")
    for tag in sorted(POINTERS):
        value, now = last(old.dynamic, tag), last(new.dynamic, tag)
        if (value is None) != (now is None) and not (now is None and not new.needs):
            _fail("V2", f"the dynamic tag {tag:#x} appeared or went")
