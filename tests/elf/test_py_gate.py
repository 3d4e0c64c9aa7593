"""Which files the editor takes: the gate, check by check."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from elf_images import Shape, build

from fastwheel._elf import Edit, edit, read
from fastwheel.errors import ElfError

WISH = Edit(runpath="$ORIGIN")


def refused(data: bytes) -> str:
    with pytest.raises(ElfError) as caught:
        edit(data, WISH)
    return caught.value.code


def put(shape: Shape, form: str, offset: int, *values: int) -> bytes:
    data = bytearray(build(shape))
    struct.pack_into("<" + form, data, offset, *values)
    return bytes(data)


def phdr(data: bytes, kind: int, rank: int = 0) -> int:
    """Return where the program header number `rank` of a kind is."""
    for index, segment in enumerate(read(data).segments):
        if segment.type == kind:
            if rank == 0:
                return 64 + 56 * index
            rank -= 1
    raise LookupError


def section(data: bytes, kind: int) -> int:
    """Return where the header of the first section of a type is."""
    shoff, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    for index in range(count):
        if struct.unpack_from("<I", data, shoff + 64 * index + 4)[0] == kind:
            return int(shoff) + 64 * index
    raise LookupError


def dynamic(data: bytes, tag: int) -> int:
    """Return where the entry with a tag is."""
    start = next(segment.offset for segment in read(data).segments if segment.type == 2)
    while struct.unpack_from("<Q", data, start)[0] != tag:
        start += 16
    return start


def change(data: bytes, offset: int, form: str, value: int) -> bytes:
    result = bytearray(data)
    struct.pack_into("<" + form, result, offset, value)
    return bytes(result)


@pytest.mark.parametrize(("kind", "expected"), [(1, "FW401"), (4, "FW401"), (0, "FW401")])
def test_type(kind: int, expected: str) -> None:
    assert refused(put(Shape(), "H", 16, kind)) == expected


def test_no_program_headers() -> None:
    assert refused(put(Shape(), "HH", 54, 56, 0)) == "FW302"


def test_no_dynamic_section() -> None:
    data = build(Shape())
    assert refused(change(data, phdr(data, 2), "I", 0x12345)) == "FW401"


CHANGES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("p_align", "FW303", lambda data: change(data, phdr(data, 1) + 48, "Q", 3)),
    ("not congruent", "FW303", lambda data: change(data, phdr(data, 1, 1) + 8, "Q", 0x1004)),
    ("not in file order", "FW303", lambda data: change(data, phdr(data, 1, 1) + 8, "Q", 0)),
    ("overlapping", "FW303", lambda data: change(data, phdr(data, 1, 1) + 16, "Q", 0)),
    ("two PT_DYNAMIC", "FW303", lambda data: change(data, phdr(data, 0x6474E551), "I", 2)),
    ("segment behind the file", "FW303", lambda data: change(data, phdr(data, 0x6474E551) + 8, "Q", 1 << 40)),
    (
        "segment at the end of memory",
        "FW303",
        lambda data: change(data, phdr(data, 2) + 40, "Q", 2**64 - 1),
    ),
    ("odd size", "FW304", lambda data: change(data, phdr(data, 2) + 32, "Q", 17 * 16 + 3)),
    ("DT_NULL behind p_filesz", "FW304", lambda data: change(data, phdr(data, 2) + 32, "Q", 32)),
    ("DT_STRSZ cuts a string", "FW305", lambda data: change(data, dynamic(data, 10) + 8, "Q", 40)),
    ("DT_VERNEEDNUM", "FW306", lambda data: change(data, dynamic(data, 0x6FFFFFFF) + 8, "Q", 3)),
    ("DT_VERDEFNUM", "FW306", lambda data: change(data, dynamic(data, 0x6FFFFFFD) + 8, "Q", 9)),
    ("vn_cnt", "FW306", lambda data: change(data, value(data, 0x6FFFFFFE) + 2, "H", 2)),
    ("vd_cnt", "FW306", lambda data: change(data, value(data, 0x6FFFFFFC) + 6, "H", 2)),
    ("st_name", "FW305", lambda data: change(data, value(data, 6) + 24, "I", 1 << 20)),
    ("nbuckets", "FW307", lambda data: change(data, value(data, 0x6FFFFEF5), "I", 0)),
    ("e_shoff", "FW308", lambda data: change(data, 40, "Q", 1 << 40)),
    ("e_shentsize", "FW308", lambda data: change(data, 58, "H", 63)),
    ("e_shnum", "FW308", lambda data: change(data, 60, "H", 5000)),
    ("e_shstrndx", "FW308", lambda data: change(data, 62, "H", 500)),
    ("sh_offset", "FW308", lambda data: change(data, section(data, 11) + 24, "Q", 1 << 40)),
    ("sh_addr", "FW308", lambda data: change(data, section(data, 11) + 16, "Q", 2**64 - 8)),
    (".dynamic elsewhere", "FW402", lambda data: change(data, section(data, 6) + 16, "Q", 0x9000)),
    (".dynstr elsewhere", "FW402", lambda data: change(data, section(data, 3) + 16, "Q", 0x9000)),
    (".dynstr of another size", "FW402", lambda data: change(data, section(data, 3) + 32, "Q", 20)),
    ("sh_link of .dynamic", "FW402", lambda data: change(data, section(data, 6) + 40, "I", 1)),
    (".dynamic too short", "FW402", lambda data: change(data, section(data, 6) + 32, "Q", 64)),
    (".dynsym too short", "FW402", lambda data: change(data, section(data, 11) + 32, "Q", 24)),
    (".gnu.version_r of another type", "FW402", lambda data: change(data, section(data, 0x6FFFFFFE) + 4, "I", 1)),
    ("overlapping sections", "FW402", lambda data: change(data, section(data, 0x6FFFFFFF) + 32, "Q", 400)),
    ("compressed and loaded", "FW401", lambda data: change(data, section(data, 4) + 8, "Q", 0x802)),
    ("prelinked", "FW401", lambda data: change(data, dynamic(data, 9), "Q", 0x6FFFFDF5)),
]


def value(data: bytes, tag: int) -> int:
    return int(struct.unpack_from("<Q", data, dynamic(data, tag) + 8)[0])


@pytest.mark.parametrize(("name", "expected", "spoil"), CHANGES, ids=[name for name, _, _ in CHANGES])
def test_spoiled(name: str, expected: str, spoil: Callable[[bytes], bytes]) -> None:
    data = build(Shape(definitions=("TINY_1",)))
    assert edit(data, WISH) != data
    assert refused(spoil(data)) == expected


def test_a_symbol_table_over_loaded_bytes() -> None:
    data = build(Shape(symtab=True))
    assert read(edit(data, WISH)).runpath == "$ORIGIN"
    for offset in (0, 70, 0x200):
        assert refused(change(data, section(data, 2) + 24, "Q", offset)) == "FW402"


def test_no_last_nul() -> None:
    data = build(Shape(sections=False))
    end = value(data, 5) + value(data, 10)
    assert refused(data[: end - 1] + b"x" + data[end:]) in {"FW305"}


@pytest.mark.parametrize("name", ["ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1", "ld64.so.2"])
def test_loader(name: str) -> None:
    assert refused(build(Shape(soname=name))) == "FW401"


def test_static_pie() -> None:
    shape = Shape(needed=(), versions=(), extra=((0x6FFFFFFB, 0x08000000),))
    assert refused(build(shape)) == "FW401"
    # with an interpreter it is an ordinary program
    shape.interp = True
    assert read(edit(build(shape), WISH)).runpath == "$ORIGIN"


def test_programs_are_taken() -> None:
    assert read(edit(build(Shape(type=2, interp=True)), WISH)).runpath == "$ORIGIN"


def test_more_sections_than_the_header_can_count() -> None:
    data = bytearray(build(Shape()))
    shoff, count, strings = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 60)
    struct.pack_into("<HH", data, 60, 0, 0xFFFF)
    struct.pack_into("<Q", data, shoff + 32, count)
    struct.pack_into("<I", data, shoff + 40, strings)
    assert read(edit(bytes(data), WISH)).runpath == "$ORIGIN"


@pytest.mark.parametrize("flags", [3, 6, 7])
def test_a_string_table_that_may_not_move(flags: int) -> None:
    """It grows where it is, or not at all."""
    data = build(Shape())
    spoilt = change(data, section(data, 3) + 8, "Q", flags)
    assert read(edit(spoilt, WISH)).runpath == "$ORIGIN"
    data = build(Shape(tables=("gnu_hash", "dynsym", "dynstr", "rodata"), versions=()))
    assert read(edit(data, WISH)).runpath == "$ORIGIN"
    assert refused(change(data, section(data, 3) + 8, "Q", flags)) == "FW400"
