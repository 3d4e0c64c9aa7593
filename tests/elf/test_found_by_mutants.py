"""What the corpus' mutants have found once, on images made by hand, with both engines."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

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
    # whose entries are not where the file is loaded
    at = next(place for place, tag, _ in entries(data) if tag == DT_RELA)
    assert DT_RELACOUNT in [
        tag for _, tag, _ in entries(editor(change(data, (at + 8, "Q", 0x900000)), replace(WISH, replace_needed=())))
    ]


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
