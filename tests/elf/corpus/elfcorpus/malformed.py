"""Files spoilt in one place each, and what an editor has to make of them.

`REFUSED` means an `ElfError` of codes 3xx or 4xx; `ACCEPTED` means an edit that holds and still loads where the spoilt
file does: what is wrong there is no business of the editor, and real files have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .peek import DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRTAB, PT_DYNAMIC, PT_INTERP, PT_LOAD
from .surgery import Surgery

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ACCEPTED", "REFUSED", "Spoilt", "spoil", "spoil_program"]

REFUSED, ACCEPTED = "refused", "accepted"

DT_HASH, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_DEBUG = 4, 6, 10, 11, 21
DT_GNU_HASH, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM = 0x6FFFFEF5, 0x6FFFFFFE, 0x6FFFFFFF, 0x6FFFFFF0
DT_RELACOUNT, DT_RELCOUNT, DT_GNU_PRELINKED = 0x6FFFFFF9, 0x6FFFFFFA, 0x6FFFFDF5
PT_NULL, PT_PHDR, PT_GNU_STACK = 0, 6, 0x6474E551


@dataclass(frozen=True, slots=True)
class Spoilt:
    """One spoilt file: `name` says how, `expected` is REFUSED or ACCEPTED."""

    name: str
    data: bytes
    expected: str


def _cuts(data: bytes) -> dict[str, int]:
    """Return the lengths at which to cut a file: around every structure."""
    s = Surgery(data)
    table_end = s.ehdr("phoff") + s.ehdr("phnum") * s.phdr_size
    dynamic = s.phdr(s.find_phdr(PT_DYNAMIC), "offset")
    strings = s.table(DT_STRTAB)
    size = s.phdr(s.find_phdr(PT_DYNAMIC), "filesz")
    return {
        "empty": 0,
        "in-magic": 3,
        "behind-magic": 4,
        "in-ident": 15,
        "behind-ident": 16,
        "in-header": s.ehdr_size - 1,
        "behind-header": s.ehdr_size,
        "in-program-headers": table_end - 1,
        "behind-program-headers": table_end,
        "in-symbols": s.table(DT_SYMTAB) + 5,
        "in-strings": strings + s.dyn(DT_STRSZ) // 2,
        "before-last-string-byte": strings + s.dyn(DT_STRSZ) - 1,
        "in-versions": s.table(DT_VERNEED) + 4,
        "before-dynamic": dynamic,
        "in-dynamic": dynamic + size // 2 + 3,
        "before-end-of-dynamic": dynamic + size - 1,
        "behind-dynamic": dynamic + size,
        "before-sections": s.ehdr("shoff"),
        "in-sections": s.ehdr("shoff") + s.shdr_size * 3 + 7,
        "last-byte": len(data) - 1,
    }


def _header(s: Surgery) -> dict[str, tuple[Callable[[], object], str]]:
    last_load, huge = s.find_phdr(PT_LOAD, -1), (1 << s.bits) - 1

    def ident(at: int, value: int) -> None:
        s.data[at] = value

    return {
        "class-0": (lambda: ident(4, 0), REFUSED),
        "class-3": (lambda: ident(4, 3), REFUSED),
        "class-other": (lambda: ident(4, 3 - s.data[4]), REFUSED),
        "data-0": (lambda: ident(5, 0), REFUSED),
        "data-3": (lambda: ident(5, 3), REFUSED),
        "data-other": (lambda: ident(5, 3 - s.data[5]), REFUSED),
        "ident-version-0": (lambda: ident(6, 0), REFUSED),
        "ident-version-2": (lambda: ident(6, 2), REFUSED),
        "magic": (lambda: ident(0, 0x7E), REFUSED),
        "type-none": (lambda: s.ehdr("type", 0), REFUSED),
        "type-rel": (lambda: s.ehdr("type", 1), REFUSED),
        "type-core": (lambda: s.ehdr("type", 4), REFUSED),
        "phnum-0": (lambda: s.ehdr("phnum", 0), REFUSED),
        "phnum-ffff": (lambda: s.ehdr("phnum", 0xFFFF), REFUSED),
        "phnum-past-end": (lambda: s.ehdr("phnum", 0xFFFE), REFUSED),
        "phoff-past-end": (lambda: s.ehdr("phoff", len(s.data)), REFUSED),
        "phoff-huge": (lambda: s.ehdr("phoff", huge), REFUSED),
        "phentsize-small": (lambda: s.ehdr("phentsize", s.phdr_size - 1), REFUSED),
        "phentsize-large": (lambda: s.ehdr("phentsize", s.phdr_size + 8), REFUSED),
        "shoff-past-end": (lambda: s.ehdr("shoff", len(s.data) + 64), REFUSED),
        "shoff-at-end": (lambda: s.ehdr("shoff", len(s.data) - 1), REFUSED),
        "shoff-huge": (lambda: s.ehdr("shoff", huge - 7), REFUSED),
        "shoff-on-program-headers": (lambda: s.ehdr("shoff", s.ehdr("phoff")), REFUSED),
        "shentsize-wrong": (lambda: s.ehdr("shentsize", s.shdr_size - 8), REFUSED),
        "shnum-past-end": (lambda: s.ehdr("shnum", 0xFEFF), REFUSED),
        "shstrndx-past-end": (lambda: s.ehdr("shstrndx", s.ehdr("shnum")), REFUSED),
        "load-align-3": (lambda: s.phdr(last_load, "align", 3), REFUSED),
    }


def _segments(s: Surgery) -> dict[str, tuple[Callable[[], object], str]]:
    first, second, last = s.find_phdr(PT_LOAD), s.find_phdr(PT_LOAD, 1), s.find_phdr(PT_LOAD, -1)
    dynamic, stack, huge = s.find_phdr(PT_DYNAMIC), s.find_phdr(PT_GNU_STACK), (1 << s.bits) - 1

    def no_loads() -> None:
        for index, entry in enumerate(s.headers):
            if entry[0] == PT_LOAD:
                s.phdr(index, "type", PT_NULL)

    def second_dynamic() -> None:
        s.phdr(stack, "type", PT_DYNAMIC)

    def dynamic_outside() -> None:
        s.phdr(dynamic, "vaddr", s.phdr(last, "vaddr") + s.phdr(last, "memsz") + 0x10000)

    def fill_dynamic() -> None:
        start, size = s.phdr(dynamic, "offset"), s.phdr(dynamic, "filesz")
        for at in range(start, start + size, s.dyn_size):
            if s.get(at, s.word) == DT_NULL:
                s.put(at, s.word, DT_DEBUG)

    return {
        "loads-none": (no_loads, REFUSED),
        "loads-descending": (lambda: s.swap(first, second), REFUSED),
        "loads-overlapping": (lambda: s.phdr(second, "vaddr", s.phdr(first, "vaddr")), REFUSED),
        "load-filesz-above-memsz": (lambda: s.phdr(first, "filesz", s.phdr(first, "memsz") + 1), REFUSED),
        "load-filesz-huge": (lambda: s.phdr(last, "filesz", huge), REFUSED),
        "load-offset-huge": (lambda: s.phdr(last, "offset", huge & ~0xFFF), REFUSED),
        "load-offset-past-end": (lambda: s.phdr(last, "offset", s.phdr(last, "offset") + 0x100000), REFUSED),
        "load-address-wraps": (lambda: s.phdr(last, "memsz", huge), REFUSED),
        "load-not-congruent": (lambda: s.phdr(last, "offset", s.phdr(last, "offset") - 8), REFUSED),
        "load-align-0": (lambda: s.phdr(first, "align", 0), ACCEPTED),
        "dynamic-twice": (second_dynamic, REFUSED),
        "dynamic-none": (lambda: s.phdr(dynamic, "type", PT_NULL), REFUSED),
        "dynamic-empty": (lambda: s.phdr(dynamic, "filesz", 0), REFUSED),
        "dynamic-one-byte": (lambda: s.phdr(dynamic, "filesz", 1), REFUSED),
        "dynamic-huge": (lambda: s.phdr(dynamic, "filesz", huge), REFUSED),
        "dynamic-offset-huge": (lambda: s.phdr(dynamic, "offset", huge & ~7), REFUSED),
        "dynamic-outside": (dynamic_outside, REFUSED),
        "dynamic-unterminated": (fill_dynamic, REFUSED),
        "stack-header-missing": (lambda: s.phdr(stack, "type", PT_NULL), ACCEPTED),
    }


def _dynamic(s: Surgery) -> dict[str, tuple[Callable[[], object], str]]:
    last, huge = s.find_phdr(PT_LOAD, -1), (1 << s.bits) - 1
    in_bss = s.phdr(last, "vaddr") + s.phdr(last, "memsz") - 8
    past = s.phdr(last, "vaddr") + s.phdr(last, "memsz") + 0x100000
    size, strings = s.dyn(DT_STRSZ), s.table(DT_STRTAB)

    def retag(tag: int, new: int) -> Callable[[], object]:
        return lambda: s.put(s.find_dyn(tag), s.word, new)

    def fill_null(tag: int, value: int) -> Callable[[], object]:
        def change() -> None:
            at = s.find_dyn(DT_NULL)
            s.put(at, s.word, tag)
            s.put(at + s.word, s.word, value)

        return change

    def unterminated() -> None:
        s.data[strings + size - 1] = 0x41

    return {
        "strtab-unmapped": (lambda: s.dyn(DT_STRTAB, past), REFUSED),
        "strtab-in-bss": (lambda: s.dyn(DT_STRTAB, in_bss), REFUSED),
        "strtab-huge": (lambda: s.dyn(DT_STRTAB, huge), REFUSED),
        "strtab-missing": (retag(DT_STRTAB, DT_DEBUG), REFUSED),
        "strtab-twice": (fill_null(DT_STRTAB, 0), REFUSED),
        "strsz-0": (lambda: s.dyn(DT_STRSZ, 0), REFUSED),
        "strsz-1": (lambda: s.dyn(DT_STRSZ, 1), REFUSED),
        "strsz-huge": (lambda: s.dyn(DT_STRSZ, huge), REFUSED),
        "strsz-missing": (retag(DT_STRSZ, DT_DEBUG), REFUSED),
        "strings-unterminated": (unterminated, REFUSED),
        "needed-at-end": (lambda: s.dyn(DT_NEEDED, size), REFUSED),
        "needed-huge": (lambda: s.dyn(DT_NEEDED, huge), REFUSED),
        "needed-empty": (fill_null(DT_NEEDED, 0), ACCEPTED),
        "soname-huge": (lambda: s.dyn(DT_SONAME, huge), REFUSED),
        "rpath-huge": (fill_null(DT_RPATH, huge), REFUSED),
        "runpath-at-end": (fill_null(DT_RUNPATH, size), REFUSED),
        "runpath-empty": (fill_null(DT_RUNPATH, 0), ACCEPTED),
        "unknown-os-tag": (fill_null(0x60001234, 5), ACCEPTED),
        "prelinked": (fill_null(DT_GNU_PRELINKED, 5), REFUSED),
        "symtab-unmapped": (lambda: s.dyn(DT_SYMTAB, past), REFUSED),
        "syment-wrong": (lambda: s.dyn(DT_SYMENT, 7), REFUSED),
        "versym-unmapped": (lambda: s.dyn(DT_VERSYM, past), REFUSED),
    }


def _tables(s: Surgery) -> dict[str, tuple[Callable[[], object], str]]:
    last = s.find_phdr(PT_LOAD, -1)
    past = s.phdr(last, "vaddr") + s.phdr(last, "memsz") + 0x100000
    need = s.table(DT_VERNEED)
    count = s.dyn(DT_VERNEEDNUM)
    next_at, aux = need + 12, need + s.get(need + 8, 4)
    changes: dict[str, tuple[Callable[[], object], str]] = {
        "verneed-unmapped": (lambda: s.dyn(DT_VERNEED, past), REFUSED),
        "verneed-misaligned": (lambda: s.dyn(DT_VERNEED, s.dyn(DT_VERNEED) + 1), REFUSED),
        "verneed-version-2": (lambda: s.put(need, 2, 2), REFUSED),
        "verneed-next-to-itself": (lambda: s.put(next_at, 4, 1 << 32), REFUSED),
        "verneed-next-backwards": (lambda: s.put(next_at, 4, -16), REFUSED),
        "verneed-next-4": (lambda: s.put(next_at, 4, 4), REFUSED),
        "verneed-next-huge": (lambda: s.put(next_at, 4, 0x7FFFFFF0), REFUSED),
        "verneed-file-huge": (lambda: s.put(need + 4, 4, 0xFFFFFFFF), REFUSED),
        "verneed-count-ffff": (lambda: s.put(need + 2, 2, 0xFFFF), REFUSED),
        "verneed-aux-huge": (lambda: s.put(need + 8, 4, 0xFFFFFFF0), REFUSED),
        "verneed-aux-0": (lambda: s.put(need + 8, 4, 0), REFUSED),
        "verneed-num-more": (lambda: s.dyn(DT_VERNEEDNUM, count + 1), REFUSED),
        "verneed-num-huge": (lambda: s.dyn(DT_VERNEEDNUM, 1 << 30), REFUSED),
        "verneed-num-less": (lambda: s.dyn(DT_VERNEEDNUM, count - 1), REFUSED),
        "vernaux-name-huge": (lambda: s.put(aux + 8, 4, 0xFFFFFFFF), REFUSED),
        "vernaux-next-huge": (lambda: s.put(aux + 12, 4, 0x7FFFFFF0), REFUSED),
    }
    if s.has_dyn(DT_GNU_HASH):
        table = s.table(DT_GNU_HASH)
        changes |= {
            "gnu-hash-no-buckets": (lambda: s.put(table, 4, 0), REFUSED),
            "gnu-hash-many-buckets": (lambda: s.put(table, 4, 0x7FFFFFFF), REFUSED),
            "gnu-hash-symoffset": (lambda: s.put(table + 4, 4, 0x7FFFFFFF), REFUSED),
            "gnu-hash-bloom": (lambda: s.put(table + 8, 4, 0x7FFFFFFF), REFUSED),
            "gnu-hash-unmapped": (lambda: s.dyn(DT_GNU_HASH, past), REFUSED),
        }
    if s.has_dyn(DT_HASH):
        table_ = s.table(DT_HASH)
        changes |= {
            "hash-nchain-huge": (lambda: s.put(table_ + 4, 4, 0x7FFFFFFF), REFUSED),
            "hash-nbucket-huge": (lambda: s.put(table_, 4, 0x7FFFFFFF), REFUSED),
        }
    return changes


def _sections(s: Surgery) -> dict[str, tuple[Callable[[], object], str]]:
    huge = (1 << s.bits) - 1
    strings = s.find_shdr(".dynstr")

    def twin() -> None:
        start, size = s.ehdr("shoff"), s.shdr_size
        one, other = start + strings * size, start + s.find_shdr(".comment") * size
        s.data[other : other + size] = s.data[one : one + size]

    return {
        "section-offset-huge": (lambda: s.shdr(".text", "offset", huge), REFUSED),
        "section-size-huge": (lambda: s.shdr(".text", "size", huge), REFUSED),
        "dynstr-section-address": (lambda: s.shdr(".dynstr", "addr", s.dyn(DT_STRTAB) + 8), REFUSED),
        "dynstr-section-size": (lambda: s.shdr(".dynstr", "size", s.dyn(DT_STRSZ) - 8), REFUSED),
        "dynstr-section-type": (lambda: s.shdr(".dynstr", "type", 1), REFUSED),
        "dynstr-section-twice": (twin, REFUSED),
        "dynamic-section-link": (lambda: s.shdr(".dynamic", "link", 0), REFUSED),
        "dynamic-section-link-past-end": (lambda: s.shdr(".dynamic", "link", 0xFFFF), REFUSED),
        "dynamic-section-link-itself": (lambda: s.shdr(".dynamic", "link", s.find_shdr(".dynamic")), REFUSED),
        "dynamic-section-address": (lambda: s.shdr(".dynamic", "addr", 8), REFUSED),
        "dynsym-section-odd-size": (lambda: s.shdr(".dynsym", "size", s.shdr(".dynsym", "size") - 1), REFUSED),
        "dynsym-section-huge": (lambda: s.shdr(".dynsym", "size", huge & ~0xFF), REFUSED),
        "versions-section-moved": (lambda: s.shdr(".gnu.version_r", "addr", 8), REFUSED),
    }


def spoil(data: bytes) -> list[Spoilt]:
    """Return every spoilt form of a good library with SONAME, version needs, sections and a spare dynamic entry."""
    found = [Spoilt(f"cut-{name}", data[:length], REFUSED) for name, length in _cuts(data).items()]
    for group in (_header, _segments, _dynamic, _tables, _sections):
        for name, (_, expected) in group(Surgery(data)).items():
            surgery = Surgery(data)
            group(surgery)[name][0]()
            assert bytes(surgery.data) != data, name
            found.append(Spoilt(name, bytes(surgery.data), expected))
    return found


def spoil_program(data: bytes) -> list[Spoilt]:
    """Return spoilt forms of a position-independent program: PT_INTERP and PT_PHDR."""

    def unterminated(s: Surgery) -> None:
        index = s.find_phdr(PT_INTERP)
        s.data[s.phdr(index, "offset") + s.phdr(index, "filesz") - 1] = 0x41

    def interpreter_outside(s: Surgery) -> None:
        s.phdr(s.find_phdr(PT_INTERP), "offset", len(s.data))

    def table_not_covered(s: Surgery) -> None:
        s.phdr(s.find_phdr(PT_PHDR), "vaddr", 0x7F000000)

    found = []
    for change in (unterminated, interpreter_outside, table_not_covered):
        surgery = Surgery(data)
        change(surgery)
        found.append(Spoilt("program-" + change.__name__.replace("_", "-"), bytes(surgery.data), REFUSED))
    return found
