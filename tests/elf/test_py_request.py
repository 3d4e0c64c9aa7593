"""What is asked: contradictions, and the new dynamic table and version needs."""

from __future__ import annotations

import pytest
from elf_images import Shape, build

from fastwheel._elf import Edit, edit, read, symbols
from fastwheel._elf.editor import plan_edit
from fastwheel.errors import ElfError

BAD = [
    Edit(soname=""),
    Edit(soname="a\0b"),
    Edit(soname="\ud800"),
    Edit(soname="x" * 65536),
    Edit(runpath=""),
    Edit(runpath=":"),
    Edit(runpath="a", rpath="b"),
    Edit(runpath="a", remove_rpath=True),
    Edit(rpath="a", remove_rpath=True),
    Edit(replace_needed=(("", "a"),)),
    Edit(replace_needed=(("a", ""),)),
    Edit(replace_needed=(("a", "b"), ("a", "c"))),
    Edit(replace_needed=(("a", "b"),), remove_needed=("a",)),
    Edit(replace_needed=(("a", "b"),), remove_needed=("b",)),
    Edit(replace_needed=(("a", "b"),), add_needed=("a",)),
    Edit(add_needed=("a",), remove_needed=("a",)),
    Edit(add_needed=("",)),
    Edit(remove_needed=("",)),
]


@pytest.mark.parametrize("bad", BAD)
def test_bad_request(bad: Edit) -> None:
    # the request is judged before the file
    with pytest.raises(ElfError) as caught:
        edit(b"", bad)
    assert caught.value.code == "FW403"


def done(shape: Shape, wish: Edit) -> bytes:
    result = edit(build(shape), wish)
    assert edit(result, wish) == result
    return result


def test_nothing_asked() -> None:
    data = build(Shape())
    assert edit(data, Edit()) == data
    assert plan_edit(data, Edit()).rung is None


@pytest.mark.parametrize(
    "wish",
    [
        Edit(soname="libtiny.so.1"),
        Edit(runpath="/r"),
        Edit(add_needed=("libz.so.1",)),
        Edit(remove_needed=("libq.so",)),
        Edit(replace_needed=(("libq.so", "libr.so"),)),
        Edit(replace_needed=(("libz.so.1", "libz.so.1"),)),
    ],
)
def test_already_so(wish: Edit) -> None:
    data = build(Shape(runpath="/r"))
    assert edit(data, wish) == data


@pytest.mark.parametrize(
    ("before", "wish", "runpath", "rpath"),
    [
        ((None, None), Edit(runpath="/n"), "/n", None),
        ((None, None), Edit(rpath="/n"), None, "/n"),
        (("/a", None), Edit(runpath="/n"), "/n", None),
        (("/a", None), Edit(rpath="/a"), None, "/a"),
        ((None, "/b"), Edit(runpath="/n"), "/n", None),
        ((None, "/b"), Edit(runpath="/b"), "/b", None),
        (("/a", "/b"), Edit(runpath="/n"), "/n", None),
        (("/a", "/b"), Edit(rpath="/n"), None, "/n"),
        (("/a", "/b"), Edit(remove_rpath=True), None, None),
        ((None, None), Edit(remove_rpath=True), None, None),
        (("/a", "/b"), Edit(soname="other"), "/a", "/b"),
    ],
)
def test_search_path(before: tuple[str | None, str | None], wish: Edit, runpath: str | None, rpath: str | None) -> None:
    facts = read(done(Shape(runpath=before[0], rpath=before[1]), wish))
    assert (facts.runpath, facts.rpath) == (runpath, rpath)


@pytest.mark.parametrize(
    ("wish", "needed"),
    [
        (Edit(replace_needed=(("b", "x"),)), ("a", "x", "c")),
        (Edit(replace_needed=(("a", "b"),)), ("b", "c")),
        (Edit(replace_needed=(("c", "a"),)), ("a", "b")),
        (Edit(replace_needed=(("a", "x"), ("b", "x"), ("c", "x"))), ("x",)),
        (Edit(remove_needed=("a", "c")), ("b",)),
        (Edit(add_needed=("d", "a", "e", "d")), ("a", "b", "c", "d", "e")),
        (Edit(remove_needed=("a", "b", "c"), add_needed=("d", "e")), ("d", "e")),
        (Edit(replace_needed=(("a", "x"),), remove_needed=("b",), add_needed=("y",)), ("x", "c", "y")),
    ],
)
def test_needed(wish: Edit, needed: tuple[str, ...]) -> None:
    assert read(done(Shape(needed=("a", "b", "c"), versions=()), wish)).needed == needed


def test_replacements_happen_at_once() -> None:
    data = build(Shape(needed=("a", "b"), versions=()))
    assert read(edit(data, Edit(replace_needed=(("a", "b"), ("b", "c"))))).needed == ("b", "c")
    assert read(edit(data, Edit(replace_needed=(("a", "b"), ("b", "a"))))).needed == ("b", "a")


def test_given_duplicates_stay() -> None:
    assert read(done(Shape(needed=("a", "a"), versions=()), Edit(soname="s"))).needed == ("a", "a")


def test_added_behind_the_last() -> None:
    data = done(Shape(needed=("a",), versions=()), Edit(add_needed=("b",)))
    plan = plan_edit(data, Edit())
    assert [entry.tag for entry in plan.entries[:3]] == [1, 1, 14]


def test_soname_appended() -> None:
    assert read(done(Shape(soname=None), Edit(soname="libnew.so"))).soname == "libnew.so"


def test_version_needs_follow() -> None:
    facts = read(done(Shape(), Edit(replace_needed=(("libz.so.1", "libz-01234567.so.1"),))))
    assert [need.file for need in facts.version_needs] == ["libz-01234567.so.1", "libc.so.6"]


def test_version_need_in_use() -> None:
    with pytest.raises(ElfError) as caught:
        edit(build(Shape()), Edit(remove_needed=("libz.so.1",)))
    assert caught.value.code == "FW404"


@pytest.mark.parametrize(("bits", "order"), [(64, "<"), (64, ">"), (32, "<"), (32, ">")])
@pytest.mark.parametrize("sections", [True, False])
@pytest.mark.parametrize("gone", [("libz.so.1",), ("libc.so.6",), ("libz.so.1", "libc.so.6")])
def test_drop_versions(bits: int, order: str, sections: bool, gone: tuple[str, ...]) -> None:
    shape = Shape(bits=bits, order=order, sections=sections)
    data = build(shape)
    result = done(shape, Edit(remove_needed=gone, drop_versions=True))
    before, after = read(data), read(result)
    assert after.needed == tuple(name for name in before.needed if name not in gone)
    assert after.version_needs == tuple(need for need in before.version_needs if need.file not in gone)
    versions = [item.version for item in symbols(result)]
    assert versions[0] == (None if "libz.so.1" in gone else "ZLIB_1.2")


def test_drop_the_middle_record() -> None:
    shape = Shape(
        needed=("a", "b", "c"),
        versions=(("a", ("A_1", "A_2")), ("b", ("B_1",)), ("c", ("C_1",))),
    )
    facts = read(done(shape, Edit(remove_needed=("b",), drop_versions=True)))
    assert [(need.file, len(need.versions)) for need in facts.version_needs] == [("a", 2), ("c", 1)]
    facts = read(done(shape, Edit(remove_needed=("a", "b"), drop_versions=True)))
    assert [(need.file, len(need.versions)) for need in facts.version_needs] == [("c", 1)]


def test_mips_map_follows_its_entry() -> None:
    # DT_MIPS_RLD_MAP_REL counts from its own address, and moves when an entry before it goes
    shape = Shape(machine=8, rpath="/a", extra=((0x70000035, 0x1000),))
    data = build(shape)
    plan = plan_edit(data, Edit(remove_rpath=True))
    result = done(shape, Edit(remove_rpath=True))
    after = dict(plan_edit(result, Edit()).image.dynamic.entries)
    assert after[0x70000035] == 0x1010
    assert plan.rung == 0
