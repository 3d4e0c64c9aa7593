"""What the corpus' mutants have found once, on images made by hand, with both engines."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from elf_images import Shape, build

from fastwheel import engine
from fastwheel._elf import Edit, edit, read
from fastwheel.errors import ElfError

WISH = Edit(runpath="$ORIGIN/../pkg.libs", replace_needed=(("libz.so.1", "libz-0123abcd.so.1"),))
DT_RELA, DT_NEEDED, DT_FILTER, DT_VERNEED, DT_RELACOUNT = 7, 1, 0x7FFFFFFF, 0x6FFFFFFE, 0x6FFFFFF9
PT_LOAD, PT_DYNAMIC, PT_PHDR = 1, 2, 6


@pytest.fixture(params=["python", "default"])
def editor(request: pytest.FixtureRequest) -> Callable[[bytes, Edit], bytes]:
    return edit if request.param == "python" else engine.edit


def change(data: bytes, *places: tuple[int, str, int]) -> bytes:
    result = bytearray(data)
    for offset, form, value in places:
        struct.pack_into("<" + form, result, offset, value)
    return bytes(result)


def header(data: bytes, kind: int, rank: int = 0) -> int:
    """Return where the program header number `rank` of a kind is."""
    found = [64 + 56 * index for index, segment in enumerate(read(data).segments) if segment.type == kind]
    return found[rank]


def entries(data: bytes) -> list[tuple[int, int, int]]:
    """Return (offset, d_tag, d_val) of the dynamic section."""
    segment = next(segment for segment in read(data).segments if segment.type == PT_DYNAMIC)
    places = range(segment.offset, segment.offset + segment.file_size, 16)
    return [(place, *struct.unpack_from("<QQ", data, place)) for place in places]


def value(data: bytes, tag: int) -> int:
    return next(found for _, other, found in entries(data) if other == tag)


def refusal(editor: Callable[[bytes, Edit], bytes], data: bytes) -> str:
    with pytest.raises(ElfError) as caught:
        editor(data, WISH)
    return f"{caught.value.code} {caught.value.message}"


def test_a_count_of_relocations_is_a_hint_only_if_it_is_right(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(spare=0, relacount=True))
    assert value(data, DT_RELACOUNT) == 1
    assert DT_RELACOUNT not in [tag for _, tag, _ in entries(editor(data, WISH))]
    info = value(data, DT_RELA) + 8
    for other in (1 << 32 | 8, 6, 0):  # of a symbol; of other types
        spoiled = change(data, (info, "Q", other))
        assert DT_RELACOUNT in [tag for _, tag, _ in entries(editor(spoiled, WISH))]


def test_a_loaded_section_is_in_a_segment(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape())
    assert editor(data, WISH)
    code = header(data, PT_LOAD, 1)
    assert refusal(editor, change(data, (code, "I", 0x12345))).startswith("FW402 section")
    text = next(
        at
        for at in range(struct.unpack_from("<Q", data, 40)[0], len(data) - 63, 64)
        if struct.unpack_from("<Q", data, at + 8)[0] == 6
    )
    assert struct.unpack_from("<I", data, text + 4)[0] == 1
    offset = struct.unpack_from("<Q", data, text + 24)[0]
    assert refusal(editor, change(data, (text + 24, "Q", offset + 4))).startswith("FW402 section")


def test_version_records_lie_apart(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape())
    start = value(data, DT_VERNEED)
    # the only name of the first record is in the middle of the second
    spoiled = change(data, (start + 8, "I", 36), (start + 48, "I", 0))
    assert refusal(editor, spoiled) == "FW306 DT_VERNEED: a record lies over another"


def test_the_program_headers_are_where_they_say(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(phdr=True))
    assert editor(data, WISH)
    at = header(data, PT_PHDR)
    for inside, number in ((8, 72), (16, 0x7F000000), (16, 72), (32, 56)):
        assert refusal(editor, change(data, (at + inside, "Q", number))).startswith("FW303 PT_PHDR")


def test_versions_are_renamed_with_their_library_only(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape())
    at = next(place for place, tag, _ in entries(data) if tag == DT_NEEDED)
    assert read(data).needed[0] == "libz.so.1"
    spoiled = change(data, (at, "Q", DT_FILTER))
    output = editor(spoiled, WISH)
    assert [need.file for need in read(output).version_needs] == ["libz.so.1", "libc.so.6"]
    assert editor(output, WISH) == output
    assert [need.file for need in read(editor(data, WISH)).version_needs] == ["libz-0123abcd.so.1", "libc.so.6"]


HASHED = ("hash", "gnu_hash", "dynsym", "dynstr", "versym", "verdef", "verneed", "rela")
DT_HASH, DT_GNU_HASH, DT_VERSYM, DT_PLTRELSZ, DT_JMPREL, DT_RELRSZ, DT_RELR = 4, 0x6FFFFEF5, 0x6FFFFFF0, 2, 23, 35, 36


def test_hash_chains_lead_to_symbols(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(tables=HASHED))
    assert editor(data, WISH)
    at = value(data, DT_HASH)  # nbucket, nchain, one bucket, the chains
    count = struct.unpack_from("<I", data, at + 4)[0]
    for word in (8, 12, 12 + 4 * (count - 1)):
        for number in (count, 199, 0xFFFFFFFF):
            spoiled = change(data, (at + word, "I", number))
            assert refusal(editor, spoiled) == "FW307 DT_HASH: a bucket or chain leads to no symbol"
    assert editor(change(data, (at + 12, "I", count - 1)), WISH)
    data = build(Shape(tables=HASHED, sections=False))
    at = value(data, DT_GNU_HASH)  # nbuckets, symoffset, maskwords, shift, one word of the filter, the buckets
    spoiled = change(data, (at, "I", 2), (at + 4, "I", 2), (at + 24, "I", 1), (at + 28, "I", 3), (at + 32, "I", 1))
    assert refusal(editor, spoiled) == "FW307 DT_GNU_HASH: a bucket is below symoffset"
    assert refusal(editor, change(data, (at + 8, "I", 0), (at + 16, "I", 0))).startswith("FW307 DT_GNU_HASH")


def test_versions_of_symbols_exist(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape())
    at = value(data, DT_VERSYM)
    highest = max(version.index for need in read(data).version_needs for version in need.versions)
    assert editor(change(data, (at + 2, "H", highest | 0x8000)), WISH)
    for number in (highest + 1, 0x500, 0xFFFF):
        assert refusal(editor, change(data, (at + 2, "H", number))).startswith("FW306 DT_VERSYM: index")


def test_relocation_tables_are_in_the_file(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(extra=((DT_JMPREL, 0), (DT_PLTRELSZ, 24), (20, 7)), sections=False))
    place = {tag: place for place, tag, _ in entries(data)}
    start = value(data, DT_RELA)
    data = change(data, (place[DT_JMPREL] + 8, "Q", start))
    assert editor(data, WISH)
    for size, part in ((328, "not a multiple"), (24 * 1000, "not in the file part"), (24 * 2**40, "not in the file")):
        assert part in refusal(editor, change(data, (place[DT_PLTRELSZ] + 8, "Q", size)))
    assert refusal(editor, change(data, (place[DT_JMPREL] + 8, "Q", 0x900000))).startswith("FW304 DT_JMPREL")


def test_relocation_tables_are_sections(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape())
    at = next(place for place, tag, _ in entries(data) if tag == DT_RELA)
    start = value(data, DT_RELA)
    assert refusal(editor, change(data, (at + 8, "Q", start - 8))).startswith("FW402 DT_RELA: no sections")
    section = next(
        at
        for at in range(struct.unpack_from("<Q", data, 40)[0], len(data) - 63, 64)
        if struct.unpack_from("<Q", data, at + 16)[0] == start
    )
    assert refusal(editor, change(data, (section + 32, "Q", 20))).startswith("FW402 DT_RELA: no sections")


def test_relocations_leave_the_loaders_tables_alone(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(extra=((DT_RELR, 0), (DT_RELRSZ, 0)), sections=False))
    at, place = value(data, DT_RELA), {tag: place for place, tag, _ in entries(data)}
    dynamic = next(segment for segment in read(data).segments if segment.type == PT_DYNAMIC)
    end = dynamic.address + dynamic.memory_size
    for target in (end, 0x10):
        assert editor(change(data, (at, "Q", target)), WISH)
    for target in (dynamic.address, dynamic.address + 0x18, end - 1, value(data, DT_VERSYM)):
        assert refusal(editor, change(data, (at, "Q", target))) == (
            "FW401 DT_RELA: a relocation writes to a table of the loader"
        )
    for target in (0x900000, 2**64 - 1):
        assert refusal(editor, change(data, (at, "Q", target))) == "FW401 DT_RELA: a relocation writes to no PT_LOAD"
        assert editor(change(data, (at, "Q", target), (at + 8, "Q", 0)), WISH)  # one that does nothing
    assert editor(change(data, (at + 8, "Q", 4 << 32 | 6)), WISH)
    assert "does not exist" in refusal(editor, change(data, (at + 8, "Q", 5 << 32 | 6)))
    # DT_RELR over the relocation itself: an address, then 63 words behind it of which the bitmap chooses
    relr = change(data, (place[DT_RELR] + 8, "Q", at), (place[DT_RELRSZ] + 8, "Q", 16), (place[DT_RELA], "Q", 21))
    assert editor(change(relr, (at, "Q", end), (at + 8, "Q", 1)), WISH)
    first = value(data, DT_GNU_HASH)
    for target, bitmap in ((0x10, 0b11), (0x10, 0b101), (first - 24, 0b111)):
        assert editor(change(relr, (at, "Q", target), (at + 8, "Q", bitmap)), WISH), (target, bitmap)
    for target, bitmap in ((first - 24, 0b1001), (first - 16, 0b101), (first, 1)):
        spoiled = change(relr, (at, "Q", target), (at + 8, "Q", bitmap))
        assert refusal(editor, spoiled) == "FW401 DT_RELR: a relocation writes to a table of the loader"


def test_the_dynamic_section_lies_over_no_table(editor: Callable[[bytes, Edit], bytes]) -> None:
    data = build(Shape(sections=False))
    at = next(place for place, tag, _ in entries(data) if tag == DT_VERSYM)
    dynamic = next(segment for segment in read(data).segments if segment.type == PT_DYNAMIC)
    assert editor(data, WISH)
    behind = dynamic.address + dynamic.memory_size - 16
    assert refusal(editor, change(data, (at + 8, "Q", behind))).startswith("FW304 PT_DYNAMIC lies over the table")


def test_no_segment_is_added_where_a_section_says_that_memory_is(editor: Callable[[bytes, Edit], bytes]) -> None:
    """A program with more .bss than its segment gives uses the memory behind it."""
    data = build(Shape(null=True, bss=0x8000, spare=0, align=0x1000))
    before = editor(data, WISH)
    assert len([s for s in read(before).segments if s.type == PT_LOAD]) == 4
    at = header(data, PT_LOAD, 2)
    size = struct.unpack_from("<Q", data, at + 40)[0]
    assert refusal(editor, change(data, (at + 40, "Q", size - 0x7000))).startswith("FW400")


@pytest.mark.parametrize("sections", [True, False])
def test_the_number_of_symbols_hangs_on_the_version_indexes(
    editor: Callable[[bytes, Edit], bytes], sections: bool
) -> None:
    """As zig links programs: nothing exported, so that no hash table tells how many symbols there are."""
    tables = ("dynsym", "versym", "verneed", "gnu_hash", "dynstr", "rela")
    data = build(Shape(defined=(), tables=tables, sections=sections, null=True))
    count = len(engine.symbols(data))
    moved = editor(data, Edit(runpath="$ORIGIN/" + "x" * 5000, soname="y" * 300, add_needed=("z" * 70,)))
    assert len(engine.symbols(moved)) >= count
    assert editor(moved, Edit(runpath="$ORIGIN/" + "x" * 5000)) == moved
    assert [need.file for need in read(editor(data, WISH)).version_needs] == ["libz-0123abcd.so.1", "libc.so.6"]


def test_hash_words_of_s390(editor: Callable[[bytes, Edit], bytes]) -> None:
    """8 bytes as GNU ld writes them, 4 as LLD does."""
    shape = Shape(machine=22, order=">", tables=HASHED, sections=False)
    data = build(shape)
    places = [offset for offset in range(0, 0x1000, 4) if data[offset : offset + 16] == struct.pack(">QQ", 1, 5)]
    assert len(places) == 1
    narrow = bytearray(data)
    words = struct.unpack_from(">8Q", data, places[0])
    struct.pack_into(">8I32x", narrow, places[0], *words)
    for content in (data, bytes(narrow)):
        assert [symbol.name for symbol in engine.symbols(content)] == ["deflate", "puts", "tiny_one", "tiny_two"]
        output = editor(content, WISH)
        assert read(output).runpath == "$ORIGIN/../pkg.libs"
        assert editor(output, WISH) == output
