"""Cases for both editors: tiny images of every shape, mutated files, random edits; all decided by a number."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastwheel import _core
from fastwheel._elf.editor import edit as pure_edit
from fastwheel._elf.facts import read
from fastwheel._elf.model import Edit
from fastwheel.errors import FastwheelError

sys.path.insert(0, str(Path(__file__).parent.parent / "elf"))

from elf_images import Shape, build

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from fastwheel._elf.model import Facts

Outcome = bytes | tuple[str, str]

#: (name, ELF class in bits, byte order, e_machine)
MACHINES: Final = (
    ("x86_64", 64, "<", 62),
    ("i386", 32, "<", 3),
    ("aarch64", 64, "<", 183),
    ("arm", 32, "<", 40),
    ("ppc64", 64, ">", 21),
    ("ppc", 32, ">", 20),
    ("s390x", 64, ">", 22),
    ("mips", 32, ">", 8),
    ("mips64el", 64, "<", 8),
    ("riscv64", 64, "<", 243),
    ("loongarch64", 64, "<", 258),
    ("sparc64", 64, ">", 43),
)

_TABLES: Final = ("gnu_hash", "hash", "dynsym", "dynstr", "versym", "verdef", "verneed", "rela", "rodata")
_LENGTHS: Final = (1, 3, 8, 15, 16, 31, 40, 64, 100, 250, 900, 3000, 4096, 9000)
_VALUES: Final = (
    *(0, 1, 2, 3, 7, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000),
    *(0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)


def outcome_of(edit: object, data: bytes, request: Edit) -> Outcome:
    """Return the bytes or (code, message); whatever else is raised is a fault of the engine."""
    try:
        return edit(data, request)
    except FastwheelError as error:
        return error.code, error.message


def outcomes(data: bytes, request: Edit) -> tuple[Outcome, Outcome]:
    """Return what the Rust engine and the Python engine make of it."""
    return outcome_of(_core.edit, data, request), outcome_of(pure_edit, data, request)


def random_shape(chance: random.Random) -> Shape:
    """Return a shape; every field is sometimes not its default."""

    def rarely(part: float = 0.2) -> bool:
        return chance.random() < part

    _, bits, order, machine = chance.choice(MACHINES) if rarely(0.5) else MACHINES[0]
    tables = [name for name in _TABLES if name not in {"hash", "rodata"} or rarely(0.4)]
    if rarely(0.1):
        tables.remove("gnu_hash")
    if rarely(0.6):
        chance.shuffle(tables)
    needed = tuple(f"lib{letter}.so.{chance.randrange(3)}" for letter in chance.sample("abcdef", chance.randrange(4)))
    versions = tuple(
        (name, tuple(f"{name[3].upper()}_{number}" for number in range(chance.randrange(3)))) for name in needed
    )
    return Shape(
        bits=bits,
        order=order,
        machine=machine,
        type=2 if rarely(0.1) else 3,
        needed=(*needed, needed[0]) if needed and rarely(0.1) else needed,
        soname=None if rarely() else f"lib{'x' * chance.randrange(30)}.so",
        runpath="$ORIGIN" + "/x" * chance.randrange(20) if rarely(0.4) else None,
        rpath="/usr/lib/old" if rarely(0.2) else None,
        undefined=tuple(f"function_{n}" for n in range(chance.randrange(9))),
        defined=tuple(f"made_{n}" for n in range(chance.randrange(9))),
        versions=() if rarely(0.2) else versions,
        definitions=("V_1", "V_2")[: chance.randrange(3)] if rarely(0.3) else (),
        tables=tuple(tables),
        gap=chance.choice((1, 20, 200)) if rarely(0.3) else 0,
        spare=chance.randrange(6),
        padded=rarely(0.4),
        align=chance.choice((0x1000, 0x1000, 0x10000, 0x200000, 16)),
        sections=not rarely(0.3),
        interp=rarely(),
        phdr=rarely(0.3),
        null=rarely(),
        phdr_gap=chance.choice((8, 56, 120)) if rarely(0.3) else 0,
        note=rarely(0.4),
        bss=chance.choice((1, 5000)) if rarely(0.4) else 0,
        relro_padding=chance.choice((24, 500, 3000)) if rarely(0.3) else 0,
        relacount=rarely(0.3),
        overlay=bytes(chance.choices((0, 80), k=chance.choice((1, 40)))) if rarely(0.2) else b"",
        extra=((0x70000035, 0x40),) if rarely(0.1) else ((0x6000000F, 1),) if rarely(0.1) else (),
        dead=b"libdead.so.1\0unused\0" * chance.choice((1, 10)) if rarely(0.3) else b"",
        symtab=rarely(0.4),
    )


def _name(chance: random.Random, known: Sequence[str]) -> str:
    way = chance.randrange(6)
    if way == 0 and known:
        return chance.choice(known)
    if way == 1 and known:
        text = chance.choice(known)
        return text[chance.randrange(len(text)) :] if text else "x"
    if way == 2 and known:
        return chance.choice(("lib", "x", "libold-")) + chance.choice(known)
    length = chance.choice(_LENGTHS[:6] if chance.random() < 0.6 else _LENGTHS)
    return chance.choice(("lib", "é", "q", "\udcff")) + chance.choice("abc") * length


def random_edit(chance: random.Random, facts: Facts | None) -> Edit:
    """Return what to ask of a file with these facts; sometimes what cannot be."""
    needed = list(facts.needed) if facts else []
    files = [need.file for need in facts.version_needs] if facts else []
    known = [*needed, *files, *(facts.undefined[:3] if facts else ()), "libc.so.6", "libz.so.1"]
    edit = Edit()
    if chance.random() < 0.4:
        edit = edit._replace(soname=_name(chance, known))
    way = chance.randrange(6)
    if way == 0:
        edit = edit._replace(runpath="$ORIGIN/../" + _name(chance, known))
    elif way == 1:
        edit = edit._replace(rpath=_name(chance, known))
    elif way == 2:
        edit = edit._replace(remove_rpath=True)
    if chance.random() < 0.5:
        chosen = list(dict.fromkeys(chance.choice(needed or known) for _ in range(chance.randrange(1, 4))))
        edit = edit._replace(replace_needed=tuple((old, _name(chance, known)) for old in chosen))
    if chance.random() < 0.2:
        edit = edit._replace(remove_needed=(chance.choice(needed or known),))
    if chance.random() < 0.3:
        edit = edit._replace(add_needed=tuple(_name(chance, known) for _ in range(chance.randrange(1, 4))))
    if chance.random() < 0.05:
        edit = edit._replace(soname=chance.choice(("", "a\0b", "\ud800", "x" * 70000, "a\nb\0")))
    return edit._replace(drop_versions=chance.random() < 0.5)


def facts_of(data: bytes) -> Facts | None:
    """Return the facts, None if it cannot be read."""
    try:
        return read(data)
    except FastwheelError:
        return None


def _regions(data: bytes, facts: Facts) -> list[tuple[int, int]]:
    """Return the ranges that hold the structures which an editor reads, the more important ones twice."""
    wide = facts.bits == 64
    ehdr = 64 if wide else 52
    order = "little" if facts.byte_order == "little" else "big"
    word = 8 if wide else 4
    shoff = int.from_bytes(data[40:48] if wide else data[32:36], order)
    found = [(0, ehdr), (ehdr, ehdr + (56 if wide else 32) * len(facts.segments))] * 2
    for segment in facts.segments:
        if segment.type == 2:
            start = segment.offset
            found += [(start, min(len(data), start + segment.file_size))] * 3
            for at in range(start, start + segment.file_size - 2 * word + 1, 2 * word):
                tag, value = (int.from_bytes(data[at + n : at + n + word], order) for n in (0, word))
                if tag in {4, 5, 6, 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE} and value + 8 < len(data):
                    found.append((value, min(len(data), value + 160)))
    if 0 < shoff < len(data):
        found += [(shoff, len(data))] * 2
    return [(low, min(high, len(data))) for low, high in found if low + 8 <= min(high, len(data))]


def mutant(chance: random.Random, data: bytes, facts: Facts) -> bytes:
    """Return `data` with one to four changes, mostly in headers and tables; sometimes cut off."""
    out = bytearray(data)
    order = "little" if facts.byte_order == "little" else "big"
    regions = _regions(data, facts)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        low, high = chance.choice(regions) if chance.random() < 0.9 else (0, len(data))
        at = chance.randrange(low, high)
        size = chance.choice((1, 2, 4, 8))
        start = low + (at - low) // size * size
        end = min(len(out), start + size)
        width = end - start
        way = chance.randrange(7)
        if way == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif way == 2:
            value = chance.choice((*_VALUES, len(data), len(data) - 1)) & ((1 << 8 * width) - 1)
            out[start:end] = value.to_bytes(width, order)
        elif way == 3:
            value = int.from_bytes(out[start:end], order)
            value += chance.choice((-4096, -24, -16, -8, -4, -1, 1, 4, 8, 16, 24, 4096))
            out[start:end] = (value & ((1 << 8 * width) - 1)).to_bytes(width, order)
        elif way == 4:
            source = chance.randrange(low, high)
            length = min(chance.choice((4, 8, 16, 24, 56, 64)), high - source, high - at)
            out[at : at + length] = out[source : source + length]
        elif way == 5:
            length = min(chance.choice((2, 4, 8, 16)), high - at)
            out[at : at + length] = bytes(length)
        elif chance.random() < 0.3:
            return bytes(out[: chance.randrange(len(out))])
    return bytes(out)


def build_random(chance: random.Random) -> bytes:
    """Return a random image."""
    return build(random_shape(chance))
