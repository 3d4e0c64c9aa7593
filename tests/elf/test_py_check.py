"""The post-conditions see damage: each is given an output that breaks it."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from elf_images import Shape, build

from fastwheel._elf import Edit
from fastwheel._elf.check import check
from fastwheel._elf.editor import plan_edit
from fastwheel._elf.patch import apply
from fastwheel.errors import ElfError

WISH = Edit(runpath="$ORIGIN/../pkg.libs", replace_needed=(("libz.so.1", "libz-0123abcd.so.1"),))
SHAPE = Shape(
    tables=("gnu_hash", "dynsym", "versym", "verneed", "verdef", "dynstr", "rodata"),
    padded=False,
    null=True,
    note=True,
    phdr=True,
    interp=True,
    symtab=True,
    definitions=("TINY_1",),
    extra=((0x6FFFFFFB, 1),),
)


def judged(output: bytes, shape: Shape = SHAPE, wish: Edit = WISH) -> None:
    data = build(shape)
    plan = plan_edit(data, wish)
    assert plan.layout is not None
    check(plan.image, plan.wanted, plan.entries, plan.layout, output, wish)


def made(shape: Shape = SHAPE, wish: Edit = WISH) -> bytes:
    data = build(shape)
    plan = plan_edit(data, wish)
    assert plan.patch is not None
    return apply(data, plan.patch)


def spoiled(output: bytes, offset: int, form: str, value: int) -> bytes:
    result = bytearray(output)
    struct.pack_into("<" + form, result, offset, value)
    return bytes(result)


def rule(output: bytes, shape: Shape = SHAPE) -> str:
    with pytest.raises(ElfError) as caught:
        judged(output, shape)
    assert caught.value.code == "FW900"
    return caught.value.message.split()[1].rstrip(":")


def test_good() -> None:
    judged(made())


@pytest.mark.parametrize("place", [0, (1 << 20) - 1, 1 << 20, (3 << 20) - 1])
def test_a_byte_far_down(place: int) -> None:
    """Large files are compared piece by piece."""
    wish = Edit(remove_rpath=True)  # data behind an ELF file may not move
    tail = b"\xaa" * (3 << 20)
    data = build(replace(SHAPE, runpath="/lib")) + tail
    plan = plan_edit(data, wish)
    assert plan.layout is not None
    assert plan.patch is not None
    output = apply(data, plan.patch)
    check(plan.image, plan.wanted, plan.entries, plan.layout, output, wish)
    wrong = spoiled(output, output.index(tail) + place, "B", 0)
    with pytest.raises(ElfError, match="V9: bytes in"):
        check(plan.image, plan.wanted, plan.entries, plan.layout, wrong, wish)


def entry(output: bytes, tag: int) -> int:
    image = plan_edit(output, Edit()).image
    for index, (found, _) in enumerate(image.dynamic.entries):
        if found == tag:
            return image.dynamic.offset + 16 * index
    raise LookupError


def at(output: bytes, tag: int) -> int:
    """Return the file offset of the table that a tag points to."""
    image = plan_edit(output, Edit()).image
    address = dict(image.dynamic.entries)[tag]
    for index in image.loads:
        load = image.segments[index]
        if load.address <= address < load.address + load.file_size:
            return load.offset + address - load.address
    raise LookupError


def phdr(output: bytes, kind: int, rank: int = 0) -> int:
    image = plan_edit(output, Edit()).image
    places = [64 + 56 * index for index, segment in enumerate(image.segments) if segment.type == kind]
    return places[rank]


def shdr(output: bytes, kind: int) -> int:
    image = plan_edit(output, Edit()).image
    for index, section in enumerate(image.sections):
        if section.type == kind:
            return image.header.shoff + 64 * index
    raise LookupError


def test_unreadable() -> None:
    assert rule(b"") == "V0"
    output = made()
    assert rule(spoiled(output, entry(output, 10) + 8, "Q", 5)) == "V0"


@pytest.mark.parametrize("offset", [8, 16 + 8, 48])
def test_header(offset: int) -> None:
    output = made()
    assert rule(spoiled(output, offset, "B", output[offset] ^ 1)) == "V1"


def test_request_and_dynamic_entries() -> None:
    output = made()
    assert rule(spoiled(output, entry(output, 29), "Q", 15)) == "V2"
    assert rule(spoiled(output, entry(output, 29) + 8, "Q", 0)) == "V2"
    assert rule(spoiled(output, entry(output, 1) + 8, "Q", 0)) == "V2"
    assert rule(spoiled(output, entry(output, 14) + 8, "Q", 0)) == "V2"
    assert rule(spoiled(output, entry(output, 0x6FFFFFFB) + 8, "Q", 2)) == "V2"
    assert rule(spoiled(output, entry(output, 0x6FFFFFFB), "Q", 30)) == "V2"


def test_versions() -> None:
    output = made()
    need = at(output, 0x6FFFFFFE)
    assert rule(spoiled(output, need + 16, "I", 1)) == "V3"
    assert rule(spoiled(output, need + 16 + 6, "H", 9)) == "V3"
    assert rule(spoiled(output, need + 16 + 8, "I", 1)) == "V3"
    definition = at(output, 0x6FFFFFFC)
    assert rule(spoiled(output, definition + 8, "I", 1)) == "V3"
    assert rule(spoiled(output, at(output, 0x6FFFFFF0) + 2, "H", 1)) == "V3"


def test_symbols() -> None:
    output = made()
    symbols = at(output, 6)
    assert rule(spoiled(output, symbols + 24, "I", 1)) == "V3"
    assert rule(spoiled(output, symbols + 24 + 8, "Q", 1)) == "V3"
    name = at(output, 5) + struct.unpack_from("<I", output, symbols + 24)[0]
    assert rule(spoiled(output, name, "B", ord("D"))) == "V3"


def test_hash() -> None:
    output = made()
    assert rule(spoiled(output, at(output, 0x6FFFFEF5) + 16, "I", 1)) in {"V2", "V9"}


def test_bytes_that_nobody_may_touch() -> None:
    output = made()
    for text in (b"constant data", b"variable", b"\xc3" * 16, b".shstrtab", bytes(range(20))):
        place = output.rindex(text)
        assert rule(spoiled(output, place, "B", 0x55)) in {"V5", "V9"}
    # the padding in front of what was appended, and behind it
    start = plan_edit(build(SHAPE), WISH).layout
    assert start is not None
    assert start.new_load is not None
    end = len(build(SHAPE))
    if start.new_load.offset > end:
        assert rule(spoiled(output, end, "B", 1)) == "V9"
    assert rule(output + b"x") in {"V0", "V9"}


def test_segments() -> None:
    output = made()
    assert rule(spoiled(output, phdr(output, 0x6474E551) + 4, "I", 7)) == "V5"
    assert rule(spoiled(output, phdr(output, 1, 1) + 4, "I", 7)) == "V4"
    assert rule(spoiled(output, phdr(output, 1, 1) + 48, "Q", 0x800)) == "V4"
    assert rule(spoiled(output, phdr(output, 1, 2) + 40, "Q", 0x5000)) in {"V0", "V4", "V6"}
    assert rule(spoiled(output, phdr(output, 1, 3) + 4, "I", 7)) == "V6"
    assert rule(spoiled(output, phdr(output, 6) + 32, "Q", 0x38)) == "V0"
    assert rule(spoiled(output, phdr(output, 4), "I", 0x1234)) == "V5"


def test_sections() -> None:
    output = made()
    assert rule(spoiled(output, shdr(output, 7) + 8, "Q", 3)) == "V7"
    assert rule(spoiled(output, shdr(output, 7) + 16, "Q", 0x100)) == "V0"
    assert rule(spoiled(output, shdr(output, 7) + 24, "Q", 0x100)) == "V0"
    assert rule(spoiled(output, shdr(output, 2) + 44, "I", 1)) == "V7"


def test_symtab() -> None:
    output = made()
    table = struct.unpack_from("<Q", output, shdr(output, 2) + 24)[0]
    assert rule(spoiled(output, table + 48 + 8, "Q", 1)) == "V9"


def test_dynamic_keeps_its_protection() -> None:
    shape = replace(SHAPE, spare=0)
    output = made(shape)
    assert rule(spoiled(output, phdr(output, 1, 3) + 4, "I", 4), shape) in {"V6", "V8"}


def test_not_asked_for() -> None:
    """An output of another request is no output of this one."""
    assert rule(made(wish=WISH._replace(runpath="$ORIGIN"))) == "V2"
    assert rule(made(wish=WISH._replace(soname="other.so"))) == "V2"
    assert rule(build(SHAPE)) == "V2"
