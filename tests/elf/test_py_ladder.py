"""Every rung of the ladder, by an image that leaves no other; and every reason to refuse."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from elf_images import Shape, build

from fastwheel._elf import Edit, edit, read, symbols
from fastwheel._elf.editor import plan_edit
from fastwheel._elf.patch import apply
from fastwheel.errors import ElfError

WISH = Edit(
    runpath="$ORIGIN/../pkg.libs",
    soname="libtiny-89abcdef.so.1",
    replace_needed=(("libz.so.1", "libz-0123abcd.so.1"),),
)
CLASSES = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]
BLOCKED = ("gnu_hash", "dynsym", "versym", "verneed", "dynstr", "rodata")
COMPACT = Shape(tables=BLOCKED, padded=False)

RUNGS = {
    "gap": (Shape(gap=128), 1),
    "shift": (Shape(), 2),
    "shift nothing": (Shape(tables=("gnu_hash", "dynsym", "versym", "verneed", "dynstr")), 2),
    "shift sectionless": (Shape(sections=False), 2),
    "shift at the end of the file": (Shape(sections=False, tables=BLOCKED[:-1]), 2),
    "slack, string table leaves": (Shape(tables=("rodata", "dynstr", "rodata", "gnu_hash", "dynsym")), 3),
    "slack, a table before it leaves": (Shape(tables=BLOCKED), 3),
    "slack, a table behind it leaves": (Shape(tables=("gnu_hash", "dynsym", "dynstr", "verneed", "rodata")), 3),
    "extend": (replace(COMPACT, sections=False), 4),
    "append, PT_NULL": (replace(COMPACT, null=True), 5),
    "append, gap": (replace(COMPACT, phdr_gap=64), 5),
    "append, PT_PHDR": (replace(COMPACT, phdr=True), 5),
    "insert": (replace(COMPACT, phdr=True, interp=True), 6),
    "append and evict": (replace(COMPACT, phdr=True, interp=True, note=True, align=0x200000), 7),
    "append and evict, symbols": (replace(COMPACT, tables=("dynsym", *BLOCKED[2:]), align=0x200000), 7),
}


@pytest.mark.parametrize(("bits", "order"), CLASSES)
@pytest.mark.parametrize("name", RUNGS)
def test_rung(name: str, bits: int, order: str) -> None:
    shape, rung = RUNGS[name]
    data = build(replace(shape, bits=bits, order=order))
    plan = plan_edit(data, WISH)
    assert plan.rung == rung
    assert plan.patch is not None
    result = edit(data, WISH)
    assert apply(data, plan.patch) == result
    assert edit(result, WISH) == result
    before, after = read(data), read(result)
    assert after.runpath == WISH.runpath
    assert after.soname == WISH.soname
    assert after.needed == ("libz-0123abcd.so.1", "libc.so.6")
    assert after.undefined == before.undefined
    assert after.build_id == before.build_id
    assert after.interpreter == before.interpreter
    assert [item.name for item in symbols(result)] == [item.name for item in symbols(data)]
    if rung < 4:
        assert len(result) - len(data) <= (48 if "end of the file" in name else 0) + 80 * ("nothing" in name)


@pytest.mark.parametrize(
    ("tables", "kinds"),
    [
        # the version needs leave, the string table slides down into their place
        (BLOCKED, [0x6FFFFFFE, 3]),
        # the version needs leave, the version indices slide up
        (("gnu_hash", "dynsym", "dynstr", "versym", "verneed", "rodata"), [3, 0x6FFFFFFF, 0x6FFFFFFE]),
        # nothing can make room but the string table itself
        (("gnu_hash", "dynsym", "rodata", "dynstr", "rodata"), [3]),
    ],
)
@pytest.mark.parametrize("padded", [True, False])
def test_who_leaves(tables: tuple[str, ...], kinds: list[int], padded: bool) -> None:
    layout = plan_edit(build(Shape(tables=tables, padded=padded, null=not padded)), WISH).layout
    assert layout is not None
    assert [move.item.kind for move in layout.moves] == kinds
    assert layout.rung == (3 if padded else 5)


def test_in_place() -> None:
    data = build(Shape(runpath="/long/enough/for/it"))
    assert plan_edit(data, Edit(runpath="/short")).rung == 0


@pytest.mark.parametrize(("bits", "order"), CLASSES)
def test_refused(bits: int, order: str) -> None:
    shape = replace(COMPACT, tables=("rodata", *BLOCKED), align=0x200000, bss=4, bits=bits, order=order)
    with pytest.raises(ElfError) as caught:
        edit(build(shape), WISH)
    assert caught.value.code == "FW400"


def test_growth_of_a_file_with_an_overlay() -> None:
    shape = replace(COMPACT, phdr=True, overlay=b"PK\5\6 the archive of a self-extractor")
    with pytest.raises(ElfError) as caught:
        edit(build(shape), WISH)
    assert caught.value.code == "FW401"
    # without growth it is nobody's business
    result = edit(build(replace(shape, padded=True)), WISH)
    assert result.endswith(shape.overlay)


@pytest.mark.parametrize(("bits", "order"), CLASSES)
@pytest.mark.parametrize(
    ("shape", "rung"),
    [
        (Shape(spare=0, sections=False), 4),
        (replace(COMPACT, spare=0, null=True), 5),
        (Shape(spare=0), 6),
        (replace(COMPACT, spare=0, phdr=True, interp=True, note=True, align=0x200000, bss=8), 7),
        (replace(COMPACT, spare=0, relro_padding=2000), 6),
    ],
)
def test_dynamic_moves(shape: Shape, rung: int, bits: int, order: str) -> None:
    data = build(replace(shape, bits=bits, order=order))
    plan = plan_edit(data, WISH)
    assert plan.rung == rung
    assert plan.layout is not None
    assert any(move.item.kind == 6 for move in plan.layout.moves)
    result = edit(data, WISH)
    assert edit(result, WISH) == result
    # spare slots came with it: the next edit stays in place
    more = plan_edit(result, Edit(add_needed=("libc.so.6", "puts"))).layout
    assert more is not None
    assert all(move.item.kind != 6 for move in more.moves)


def test_a_hint_is_dropped_before_the_table_moves() -> None:
    data = build(Shape(spare=0, relacount=True))
    plan = plan_edit(data, WISH)
    assert plan.rung == 2
    assert 0x6FFFFFF9 not in [entry.tag for entry in plan.entries]
    # one that counts more than there is means something to loaders
    assert 0x6FFFFFF9 in [
        entry.tag for entry in plan_edit(build(Shape(spare=0, extra=((0x6FFFFFF9, 2),))), WISH).entries
    ]
    # two are missing: the hint would not be enough, and stays
    plan = plan_edit(data, WISH._replace(add_needed=("libq.so",)))
    assert 0x6FFFFFF9 in [entry.tag for entry in plan.entries]


def test_symbols_of_moved_sections_follow() -> None:
    shape = replace(COMPACT, spare=0, phdr=True, symtab=True)
    data = build(shape)
    result = edit(data, WISH)
    plan = plan_edit(data, WISH)
    assert plan.layout is not None
    image = plan_edit(result, Edit()).image
    table = next(section for section in image.sections if section.type == 2)
    values = [struct.unpack_from("<Q", result, table.offset + 24 * index + 8)[0] for index in (1, 2)]
    assert values == [image.strings.address, image.dynamic.address]


@pytest.mark.parametrize("machine", [183, 21, 8, 258])
def test_pages_of_64k(machine: int) -> None:
    data = build(replace(COMPACT, machine=machine, phdr=True))
    result = edit(data, WISH)
    load = [segment for segment in read(result).segments if segment.type == 1][-1]
    assert load.align == 0x10000
    assert (load.address - load.offset) % 0x10000 == 0


def test_segments_keep_their_addresses() -> None:
    for shape, _ in RUNGS.values():
        data = build(shape)
        before = [(item.address, item.flags) for item in read(data).segments if item.type == 1]
        after = [(item.address, item.flags) for item in read(edit(data, WISH)).segments if item.type == 1]
        assert after[: len(before)] == before


def test_the_only_section_of_a_segment_stays() -> None:
    """An edit of an edited file must not leave the segment that the first one added without a section."""
    data = build(replace(COMPACT, null=True))
    once = edit(data, WISH)
    twice = edit(once, Edit(add_needed=("libanother-long-name.so.5",)))
    assert [segment.type for segment in read(twice).segments] == [segment.type for segment in read(once).segments]
    assert read(twice).needed[-1] == "libanother-long-name.so.5"


def test_an_uncertain_number_of_symbols_is_not_changed() -> None:
    """Without a hash table the symbols end where the next table begins: that one must not go away."""
    shape = Shape(tables=("dynsym", "dynstr", "rodata"), versions=())
    data = build(shape)
    headers = struct.unpack_from("<Q", data, 40)[0]
    table = next(at for at in range(headers, len(data), 64) if struct.unpack_from("<I", data, at + 4)[0] == 11)
    spoiled = bytearray(data)
    struct.pack_into("<Q", spoiled, table + 56, 23)  # sh_entsize
    for other in (bytes(spoiled), build(replace(shape, sections=False))):
        with pytest.raises(ElfError) as caught:
            edit(other, WISH)
        assert caught.value.code == "FW400"
    # a section that says so is believed; and readers stop at the zeros that the strings left
    assert plan_edit(data, WISH).rung == 3
    assert symbols(edit(data, WISH)) == symbols(data)
    data = build(Shape(tables=("dynsym", "dynstr"), versions=()))
    assert plan_edit(data, WISH).rung == 2
    assert len(symbols(edit(data, WISH))) == len(symbols(data))


def test_notes_that_make_room_go_whole() -> None:
    """A PT_NOTE that begins in the way of one more program header ends behind it."""
    data = bytearray(build(RUNGS["append and evict"][0]))
    at = 64 + 56 * next(index for index, segment in enumerate(read(data).segments) if segment.type == 4)
    size = struct.unpack_from("<Q", data, at + 32)[0] + 0x18
    struct.pack_into("<QQ", data, at + 32, size, size)
    plan = plan_edit(bytes(data), WISH)
    assert plan.rung == 7
    assert plan.layout is not None
    assert [move.item.kind for move in plan.layout.moves if move.load < 0][:3] == [1, 7, 0x6FFFFFF6]
    before, after = (
        next(item for item in read(file).segments if item.type == 4) for file in (data, edit(bytes(data), WISH))
    )
    assert (after.file_size, after.offset > before.offset) == (before.file_size, True)
