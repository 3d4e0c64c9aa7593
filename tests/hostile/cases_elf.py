"""The ELF layer: files of the wheel, and libraries of the machine, that no linker has made."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from arena import Arena, Call, Case, Tools, parts_of
from zipkit import Part, assemble

__all__ = ["CASES"]

CASES: list[Case] = []
Change = Callable[[bytearray], object]
BAD = ("FW3", "FW4", "FW609")


def member(
    name: str, want: str | Sequence[str], change: Callable[[Tools], bytes], rule: str = "elf", **options: object
) -> None:
    """Keep a case whose one ELF file has the content that `change` makes."""

    def prepare(arena: Arena) -> Call:
        return Call(file=arena.save(assemble(parts_of(arena.tools, core=change(arena.tools)))))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"elf/{name}", rule, prepare, wanted, **options))  # type: ignore[arg-type]


def library(name: str, want: str | Sequence[str], change: Callable[[Tools], bytes], **options: object) -> None:
    """Keep a case where the library on the search path has the content that `change` makes."""

    def prepare(arena: Arena) -> Call:
        (arena.system / "libfwhost.so.1").write_bytes(change(arena.tools))
        return Call(file=arena.save(assemble(parts_of(arena.tools))))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"library/{name}", "search-path", prepare, wanted, **{"verbs": ("repair",), **options}))  # type: ignore[arg-type]


def alone(
    name: str, want: str | Sequence[str], verb: str, args: Sequence[str], change: Callable[[Tools], bytes]
) -> None:
    """Keep a case of `patch` or `lddtree`, whose file has the content that `change` makes."""

    def prepare(arena: Arena) -> Call:
        return Call(args=args, file=arena.save(change(arena.tools), "lib.so"))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"{verb}/{name}", "elf", prepare, wanted, verbs=(verb,)))


def changed(change: Change, of: str = "core") -> Callable[[Tools], bytes]:
    def make(tools: Tools) -> bytes:
        data = bytearray(getattr(tools, of))
        change(data)
        return bytes(data)

    return make


def put(offset: int, pattern: str, *values: int) -> Change:
    return lambda data: struct.pack_into(f"<{pattern}", data, offset, *values)


def segments(data: bytearray) -> list[tuple[int, int]]:
    """(type, offset of the entry) of each program header."""
    table, number = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    return [(struct.unpack_from("<L", data, table + 56 * i)[0], table + 56 * i) for i in range(number)]


def segment(kind: int, field: int, pattern: str, value: int | Callable[[int], int], index: int = 0) -> Change:
    """Change a field of a program header of this type."""

    def change(data: bytearray) -> None:
        at = [at for found, at in segments(data) if found == kind][index] + field
        old = struct.unpack_from(f"<{pattern}", data, at)[0]
        new = value(old) if callable(value) else value
        struct.pack_into(f"<{pattern}", data, at, new & ((1 << 8 * struct.calcsize(pattern)) - 1))

    return change


def dynamic(tag: int, value: int | Callable[[int], int] | None, new_tag: int | None = None) -> Change:
    """Change the first dynamic entry of this tag: its value, or its tag."""

    def change(data: bytearray) -> None:
        entry = next(at for found, at in segments(data) if found == 2)
        at = struct.unpack_from("<Q", data, entry + 8)[0]
        while struct.unpack_from("<q", data, at)[0] != tag:
            at += 16
        if new_tag is not None:
            struct.pack_into("<q", data, at, new_tag)
        if value is not None:
            old = struct.unpack_from("<Q", data, at + 8)[0]
            struct.pack_into("<Q", data, at + 8, (value(old) if callable(value) else value) & ((1 << 64) - 1))

    return change


LOAD, DYNAMIC, INTERP, NOTE, TLS, PHDR = 1, 2, 3, 4, 7, 6
NULL, NEEDED, HASH, STRTAB, SYMTAB, RELA, STRSZ, SYMENT, SONAME, RPATH, SYMBOLIC = 0, 1, 4, 5, 6, 7, 10, 11, 14, 15, 16
GNU_HASH, VERNEED, VERNEEDNUM, VERSYM, RELACOUNT = 0x6FFFFEF5, 0x6FFFFFFE, 0x6FFFFFFF, 0x6FFFFFF0, 0x6FFFFFF9
HUGE = (1 << 64) - 1

CHANGES: dict[str, tuple[Change, Sequence[str]]] = {
    "class-0": (put(4, "B", 0), BAD), "class-3": (put(4, "B", 3), BAD), "class-32": (put(4, "B", 1), BAD),
    "data-0": (put(5, "B", 0), BAD),
    "data-3": (put(5, "B", 3), BAD), "big-endian": (put(5, "B", 2), BAD), "ident-version-0": (put(6, "B", 0), BAD),
    "ident-version-9": (put(6, "B", 9), BAD),
    "osabi-255": (put(7, "B", 255), ("any",)), "type-none": (put(16, "H", 0), ("any",)),
    "type-rel": (put(16, "H", 1), ("any",)), "type-core": (put(16, "H", 4), ("any",)),
    "type-exec": (put(16, "H", 2), ("any",)), "type-processor": (put(16, "H", 0xFFFF), ("any",)),
    "machine-0": (put(18, "H", 0), ("FW609", "FW3")), "machine-arm": (put(18, "H", 40), ("FW609", "FW3")),
    "machine-unknown": (put(18, "H", 0xFFFF), ("FW609", "FW3")), "version-0": (put(20, "L", 0), ("any",)),
    "phoff-0": (put(32, "Q", 0), BAD), "phoff-1": (put(32, "Q", 1), ("any",)),
    "phoff-end": (lambda d: put(32, "Q", len(d))(d), BAD),
    "phoff-huge": (put(32, "Q", HUGE), BAD), "phoff-2-63": (put(32, "Q", 1 << 63), BAD),
    "phoff-wraps": (put(32, "Q", HUGE - 63), BAD), "shoff-1": (put(40, "Q", 1), ("any",)),
    "shoff-end": (lambda d: put(40, "Q", len(d))(d), ("any",)),
    "shoff-huge": (put(40, "Q", HUGE), ("any",)), "shoff-0": (put(40, "Q", 0), ("any",)),
    "ehsize-0": (put(52, "H", 0), ("any",)), "phentsize-0": (put(54, "H", 0), BAD),
    "phentsize-1": (put(54, "H", 1), BAD), "phentsize-64k": (put(54, "H", 0xFFFF), BAD),
    "phnum-0": (put(56, "H", 0), ("any",)), "phnum-1": (put(56, "H", 1), ("any",)),
    "phnum-ffff": (put(56, "H", 0xFFFF), BAD), "phnum-fffe": (put(56, "H", 0xFFFE), BAD),
    "phnum-less": (put(56, "H", 3), ("any",)), "phnum-200": (put(56, "H", 200), BAD),
    "shentsize-0": (put(58, "H", 0), ("any",)), "shentsize-1": (put(58, "H", 1), ("any",)),
    "shnum-0": (put(60, "H", 0), ("any",)), "shnum-ffff": (put(60, "H", 0xFFFF), ("any",)),
    "shnum-huge-in-section-0": (
        lambda d: (put(60, "H", 0)(d), put(struct.unpack_from("<Q", d, 40)[0] + 32, "Q", HUGE)(d)), ("any",)
    ),
    "shstrndx-beyond": (put(62, "H", 999), ("any",)), "shstrndx-ffff": (put(62, "H", 0xFFFF), ("any",)),
    "sections-noise": (lambda d: d.__setitem__(slice(-600, None), b"\xff" * 600), ("any",)),
    "sections-zeros": (lambda d: d.__setitem__(slice(-600, None), bytes(600)), ("any",)),
    "load-offset-huge": (segment(LOAD, 8, "Q", HUGE), BAD), "load-offset-beyond": (segment(LOAD, 8, "Q", 1 << 40), BAD),
    "load-filesz-huge": (segment(LOAD, 32, "Q", HUGE), BAD),
    "load-filesz-beyond": (segment(LOAD, 32, "Q", 1 << 40), BAD), "load-filesz-0": (segment(LOAD, 32, "Q", 0), BAD),
    "load-filesz-above-memsz": (segment(LOAD, 40, "Q", 1), BAD), "load-memsz-huge": (segment(LOAD, 40, "Q", HUGE), BAD),
    "load-vaddr-huge": (segment(LOAD, 16, "Q", HUGE - 4095), BAD),
    "load-vaddr-2-63": (segment(LOAD, 16, "Q", 1 << 63), BAD), "load-overlap": (segment(LOAD, 16, "Q", 0, 1), BAD),
    "load-descending": (segment(LOAD, 16, "Q", 0x900000), BAD), "load-align-3": (segment(LOAD, 48, "Q", 3), ("any",)),
    "load-align-huge": (segment(LOAD, 48, "Q", 1 << 63), ("any",)),
    "load-align-0": (segment(LOAD, 48, "Q", 0), ("any",)), "load-becomes-null": (segment(LOAD, 0, "L", 0), BAD),
    "no-load": (lambda d: [segment(LOAD, 0, "L", 0)(d) for _ in range(4)], BAD),
    "dynamic-twice": (segment(LOAD, 0, "L", DYNAMIC), BAD), "dynamic-missing": (segment(DYNAMIC, 0, "L", 0), ("any",)),
    "dynamic-empty": (segment(DYNAMIC, 32, "Q", 0), ("any",)),
    "dynamic-odd-size": (segment(DYNAMIC, 32, "Q", 17), ("any",)),
    "dynamic-outside": (segment(DYNAMIC, 8, "Q", 1 << 40), BAD),
    "dynamic-vaddr-outside": (segment(DYNAMIC, 16, "Q", 1 << 40), ("any",)),
    "dynamic-huge": (segment(DYNAMIC, 32, "Q", HUGE), BAD),
    "dynamic-at-0": (lambda d: (segment(DYNAMIC, 8, "Q", 0)(d), segment(DYNAMIC, 16, "Q", 0)(d)), BAD),
    "no-null": (segment(DYNAMIC, 32, "Q", 64), ("any",)),
    "null-first": (
        lambda d: put(struct.unpack_from("<Q", d, next(a for k, a in segments(d) if k == 2) + 8)[0], "Q", 0)(d),
        ("any",),
    ),
    "strtab-0": (dynamic(STRTAB, 0), ("any",)), "strtab-unmapped": (dynamic(STRTAB, 1 << 40), BAD),
    "strtab-huge": (dynamic(STRTAB, HUGE), BAD), "strtab-shifted": (dynamic(STRTAB, lambda v: v + 1), ("any",)),
    "strtab-missing": (dynamic(STRTAB, None, 0x6000000D), BAD),
    "strtab-twice": (dynamic(SYMENT, None, STRTAB), ("any",)), "strsz-0": (dynamic(STRSZ, 0), BAD),
    "strsz-1": (dynamic(STRSZ, 1), BAD), "strsz-huge": (dynamic(STRSZ, HUGE), BAD),
    "strsz-beyond": (dynamic(STRSZ, 1 << 30), BAD), "strsz-less-one": (dynamic(STRSZ, lambda v: v - 1), BAD),
    "strsz-missing": (dynamic(STRSZ, None, 0x6000000D), BAD), "needed-beyond": (dynamic(NEEDED, 1 << 40), BAD),
    "needed-huge": (dynamic(NEEDED, HUGE), BAD), "needed-0": (dynamic(NEEDED, 0), ("any",)),
    "needed-shifted": (dynamic(NEEDED, lambda v: v + 1), ("any",)),
    "symtab-0": (dynamic(SYMTAB, 0), ("any",)), "symtab-huge": (dynamic(SYMTAB, HUGE), BAD),
    "symtab-unmapped": (dynamic(SYMTAB, 1 << 40), BAD), "syment-0": (dynamic(SYMENT, 0), ("any",)),
    "syment-1": (dynamic(SYMENT, 1), ("any",)), "hash-0": (dynamic(GNU_HASH, 0), ("any",)),
    "hash-huge": (dynamic(GNU_HASH, HUGE), BAD),
    "hash-in-strings": (lambda d: dynamic(GNU_HASH, struct.unpack_from("<Q", d, 0x40 + 16)[0] + 8)(d), ("any",)),
    "versym-huge": (dynamic(VERSYM, HUGE), ("any",)), "verneed-huge": (dynamic(VERNEED, HUGE), BAD),
    "verneed-0": (dynamic(VERNEED, 0), ("any",)),
    "verneednum-0": (dynamic(VERNEEDNUM, 0), ("any",)), "verneednum-huge": (dynamic(VERNEEDNUM, HUGE), ("any",)),
    "verneednum-more": (dynamic(VERNEEDNUM, lambda v: v + 1), ("any",)), "rela-huge": (dynamic(RELA, HUGE), ("any",)),
    "relacount-huge": (dynamic(RELACOUNT, HUGE), ("any",)),
    "tag-negative": (dynamic(SYMENT, None, -1), ("any",)), "tag-unknown": (dynamic(SYMENT, None, 0x6FFFF999), ("any",)),
    "tag-prelink": (dynamic(SYMENT, None, 0x6FFFFEF7), ("any",)),
}  # fmt: skip
for _number, (_name, (_change, _want)) in enumerate(CHANGES.items()):
    member(_name, _want, changed(_change))
    # The rules for what a graft may be, and what may be edited, are those of the ELF editor's own tests.
    library(
        _name,
        ("any",),
        changed(_change, "core" if _name.startswith(("verne", "versym", "needed")) else "host"),
        imports=False,
    )
    alone(_name, ("any",), "patch", ["--set-runpath", "$ORIGIN/a/longer/path/than/before"], changed(_change))
    if _number % 3 == 0:  # it reads as show does
        alone(_name, ("any",), "lddtree", [], changed(_change))

for _size in (
    4,
    5,
    15,
    16,
    17,
    20,
    40,
    52,
    63,
    64,
    65,
    100,
    119,
    120,
    200,
    300,
    500,
    700,
    1000,
    1500,
    2500,
    4000,
    4096,
    4097,
    6000,
    8000,
    8192,
    9000,
    10_000,
    12_000,
    12_287,
    12_288,
    12_400,
    12_700,
    13_000,
):
    member(f"cut-at-{_size}", ("any",), lambda t, n=_size: t.core[:n] if n < len(t.core) else t.core[: n % len(t.core)])
    library(f"cut-at-{_size}", ("any",), lambda t, n=_size: t.host[: n % len(t.host)], imports=False)
for _size in (4, 16, 63, 64, 500):
    member(f"only-{_size}-bytes", BAD, lambda t, n=_size: t.core[:n])
    alone(f"only-{_size}-bytes", BAD, "lddtree", [], lambda t, n=_size: t.core[:n])
    alone(f"only-{_size}-bytes", BAD, "patch", ["--print"], lambda t, n=_size: t.core[:n])
for _name, _content in {
    "magic-and-zeros": b"\x7fELF" + bytes(5000), "magic-and-ones": b"\x7fELF" + b"\xff" * 5000,
    "magic-and-text": b"\x7fELF is a file format\n" * 9, "header-of-zeros": b"\x7fELF\2\1\1" + bytes(57),
    "magic-often": b"\x7fELF" * 2000,
    "32-bit-header": b"\x7fELF\1\1\1" + bytes(9)
    + struct.pack("<HHLLLLLHHHHHH", 3, 3, 1, 0, 52, 0, 0, 52, 32, 1, 40, 0, 0),
    "big-endian-header": b"\x7fELF\2\2\1" + bytes(9)
    + struct.pack(">HHLQQQLHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0),
}.items():  # fmt: skip
    member(_name, BAD, lambda t, c=_content: c)
    library(_name, ("any",), lambda t, c=_content: c, imports=False)
    alone(_name, BAD, "lddtree", [], lambda t, c=_content: c)
for _name, _content in {
    "empty": b"",
    "text": b"#!/bin/sh\n",
    "archive": b"!<arch>\n" + bytes(60),
    "mach-o": b"\xcf\xfa\xed\xfe" + bytes(60),
    "dll": b"MZ" + bytes(600),
    "nearly": b"\x7fELG" + bytes(60),
    "script": b"GROUP ( libfoo.so )\n",
    "class": b"\xca\xfe\xba\xbe" + bytes(90),
}.items():
    member(f"not-elf-{_name}", "FW609", lambda t, c=_content: c)
    library(f"not-elf-{_name}", "FW500", lambda t, c=_content: c)
    alone(f"not-elf-{_name}", ("FW3",), "lddtree", [], lambda t, c=_content: c)
    alone(f"not-elf-{_name}", ("FW3",), "patch", ["--set-soname", "x"], lambda t, c=_content: c)


# --- what lies beside a sound ELF file -------------------------------------------------------------------------------
def beside(
    name: str,
    want: str | Sequence[str],
    content: Callable[[Tools], bytes],
    file: str = "demo/other.bin",
    **options: object,
) -> None:
    def prepare(arena: Arena) -> Call:
        return Call(file=arena.save(assemble(parts_of(arena.tools, Part(file, content(arena.tools))))))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"elf/beside-{name}", "elf-ignored", prepare, wanted, **options))  # type: ignore[arg-type]


def relocatable(tools: Tools, *flags: str) -> bytes:
    return tools.compile(
        "object.o", "int other(void); int x(void) { return other(); }", "-r", "-nostdlib", "-c", *flags
    )


beside("object-file", "ok", relocatable, "demo/x.o")
beside("object-file-with-debug", "ok", lambda t: relocatable(t, "-g"), "demo/x.o")
beside(
    "static-library",
    "ok",
    lambda t: b"!<arch>\n" + b"x.o/            0           0     0     644     4         `\n\x7fELF",
    "demo/x.a",
)
beside("machine-arm", "ok", changed(put(18, "H", 40)), says="ignoring")
beside("machine-bpf", "ok", changed(put(18, "H", 247)), says="ignoring")
beside("machine-unknown", "ok", changed(put(18, "H", 0xFFFF)), says="ignoring")
beside("dll", "ok", lambda t: b"MZ" + bytes(500), "demo/x.dll")
beside("class-file", "ok", lambda t: b"\xca\xfe\xba\xbe" + bytes(90))
beside("damaged", ("FW3",), lambda t: t.core[:500])
beside("core-dump", ("any",), changed(put(16, "H", 4)))
beside("copy-of-itself", "ok", lambda t: t.core)
beside("compressed", "ok", lambda t: b"\x1f\x8b" + t.core)
