"""Where new strings go: reuse, dead bytes, tail; and what is wiped."""

from __future__ import annotations

import pytest
from elf_images import Shape, build

from fastwheel._elf import Edit, edit, read, symbols
from fastwheel._elf.editor import plan_edit
from fastwheel._elf.image import open_image
from fastwheel._elf.request import check_request, want
from fastwheel._elf.strings import Placed, known_tag, offset_of, place_strings


def placed(shape: Shape, wish: Edit) -> Placed:
    image = open_image(build(shape))
    return place_strings(image, want(image, check_request(wish)))


def test_whole_string_is_reused() -> None:
    found = placed(Shape(), Edit(soname="puts"))
    assert found.tail == b""
    assert [text for text, _ in found.offsets] == [b"puts"]


def test_end_of_a_string_is_reused() -> None:
    found = placed(Shape(), Edit(runpath="z.so.1"))
    assert found.tail == b""


def test_longest_first_and_ends_shared_in_the_tail() -> None:
    found = placed(Shape(soname=None), Edit(soname="long.so.9", add_needed=("very-long.so.9", "other.so")))
    assert found.tail == b"very-long.so.9\0other.so\0"
    assert offset_of(found, b"long.so.9") == offset_of(found, b"very-long.so.9") + 5


def test_bytes_break_ties() -> None:
    found = placed(Shape(), Edit(add_needed=("bbbb", "aaaa")))
    assert found.tail == b"aaaa\0bbbb\0"


def test_dead_bytes_are_used() -> None:
    found = placed(Shape(dead=bytes(30)), Edit(runpath="/some/where"))
    assert found.tail == b""
    assert [content for _, content in found.changes] == [b"/some/where\0"]


def test_old_string_is_overwritten_if_dead() -> None:
    shape = Shape(runpath="/a/rather/long/path")
    result = edit(build(shape), Edit(runpath="/short"))
    assert read(result).runpath == "/short"
    assert b"rather" not in result
    assert len(result) == len(build(shape))


@pytest.mark.parametrize("extra", [(0x6ABCDEF0, 7), (0x60000010, 1), (0x6000000D, 1), (0x70000099, 1)])
def test_unknown_tags_make_every_byte_live(extra: tuple[int, int]) -> None:
    shape = Shape(dead=bytes(30), runpath="/a/rather/long/path", extra=(extra,))
    found = placed(shape, Edit(runpath="/short"))
    assert found.changes == ()
    assert found.tail == b"/short\0"


def test_known_tags() -> None:
    assert known_tag(62, 1)
    assert known_tag(62, 0x6FFFFEF5)
    assert known_tag(62, 0x7FFFFFFD)
    assert not known_tag(62, 0x70000004)
    assert known_tag(8, 0x70000004)
    assert not known_tag(62, 1 << 40)


def test_wiped_but_not_where_shared() -> None:
    # the symbol is the end of the path: only what is before it may go
    shape = Shape(runpath="/x/deflate")
    data = build(shape)
    assert read(data).undefined[0] == "deflate"
    result = edit(data, Edit(remove_rpath=True))
    assert read(result).undefined[0] == "deflate"
    assert b"/x/deflate" not in result
    assert b"deflate\0" in result


def test_soname_shared_with_the_base_version() -> None:
    shape = Shape(definitions=("TINY_1",))
    result = edit(build(shape), Edit(soname="libtiny-01234567.so.1"))
    assert read(result).soname == "libtiny-01234567.so.1"
    assert read(result).version_definitions[0].name == "libtiny.so.1"


def test_needed_shared_with_version_need() -> None:
    # a file name that is only in DT_NEEDED changes there; a record of another library keeps its own
    shape = Shape(needed=("libz.so.1",), versions=(("libother.so", ("V_1",)),))
    result = edit(build(shape), Edit(replace_needed=(("libz.so.1", "libother.so"),)))
    assert read(result).needed == ("libother.so",)
    assert [need.file for need in read(result).version_needs] == ["libother.so"]


def test_symbols_are_the_same() -> None:
    data = build(Shape(definitions=("TINY_1",), dead=b"gone\0"))
    result = edit(data, Edit(soname="gone", runpath="$ORIGIN", add_needed=("libq.so.4",)))
    assert symbols(result) == symbols(data)


def test_second_string_does_not_reuse_what_the_first_overwrote() -> None:
    # "path" is the end of a dead string; the longer new string is written over it first
    shape = Shape(dead=b"dead/path\0")
    wish = Edit(soname="newname9", add_needed=("path",))
    result = edit(build(shape), wish)
    facts = read(result)
    assert facts.soname == "newname9"
    assert facts.needed[-1] == "path"
    assert plan_edit(result, wish).rung is None
