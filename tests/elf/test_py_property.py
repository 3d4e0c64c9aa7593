"""Properties of the pure engine over shapes and requests: proved outputs, idempotence, nothing but ElfError."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

from elf_images import Shape, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastwheel._elf import Edit, edit, read, symbols
from fastwheel.errors import ElfError

BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.sampled_from(["libz.so.1", "libc.so.6", "libq.so", "z.so.1", "libtiny.so.1", "puts", "a", "lib-long" * 9])
PATHS = st.sampled_from(["$ORIGIN", "$ORIGIN/../pkg.libs", "/a:/b", "/x/deflate", "p" * 300])
TABLES = st.permutations(["dynsym", "dynstr", "versym", "verdef", "verneed", "rela", "rodata"])


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    hashes = draw(st.sampled_from([["gnu_hash"], ["hash"], ["hash", "gnu_hash"]]))
    return Shape(
        bits=draw(st.sampled_from([64, 32])),
        order=draw(st.sampled_from(["<", ">"])),
        machine=draw(st.sampled_from([62, 183, 22, 8])),
        needed=tuple(draw(st.lists(NAMES, max_size=4))),
        soname=draw(st.none() | NAMES),
        runpath=draw(st.none() | PATHS),
        rpath=draw(st.none() | PATHS),
        definitions=tuple(draw(st.sampled_from([(), ("V_1",), ("V_1", "V_2")]))),
        tables=(*hashes, *draw(TABLES)),
        gap=draw(st.sampled_from([0, 0, 3, 200])),
        spare=draw(st.sampled_from([0, 1, 4])),
        padded=draw(st.booleans()),
        align=draw(st.sampled_from([0x1000, 0x10000, 0x200000])),
        sections=draw(st.booleans()),
        interp=draw(st.booleans()),
        phdr=draw(st.booleans()),
        null=draw(st.booleans()),
        phdr_gap=draw(st.sampled_from([0, 0, 70])),
        note=draw(st.booleans()),
        bss=draw(st.sampled_from([0, 0, 100, 100000])),
        relacount=draw(st.booleans()),
        dead=draw(st.sampled_from([b"", bytes(40), b"gone/and/forgotten\0"])),
        symtab=draw(st.booleans()),
    )


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    search = draw(st.sampled_from(["runpath", "rpath", "remove_rpath", ""]))
    path = draw(PATHS)
    return Edit(
        soname=draw(st.none() | NAMES),
        runpath=path if search == "runpath" else None,
        rpath=path if search == "rpath" else None,
        remove_rpath=search == "remove_rpath",
        replace_needed=tuple(draw(st.lists(st.tuples(NAMES, NAMES.map(lambda name: "new-" + name)), max_size=3))),
        remove_needed=tuple(draw(st.lists(NAMES, max_size=2))),
        add_needed=tuple(draw(st.lists(NAMES, max_size=2))),
        drop_versions=draw(st.booleans()),
    )


def fault(action: Callable[[], object]) -> str | None:
    """Return the code and message of the ElfError that `action` raises, or None."""
    try:
        action()
    except ElfError as error:
        return f"{error.code} {error.message}"
    return None


@BOUNDED
@given(shapes(), edits())
def test_edit(shape: Shape, wish: Edit) -> None:
    data = build(shape)
    before = read(data)
    refused = fault(lambda: edit(data, wish))
    if refused is not None:
        # never a failed post-condition, never a fault of a file that is sound
        assert refused.startswith(("FW400", "FW403", "FW404"))
        return
    result = edit(data, wish)
    assert edit(result, wish) == result
    after = read(result)
    assert after.undefined == before.undefined
    assert after.version_definitions == before.version_definitions
    assert [item.name for item in symbols(result)] == [item.name for item in symbols(data)]
    if wish.soname is not None:
        assert after.soname == wish.soname
    if wish.runpath is not None:
        assert (after.runpath, after.rpath) == (wish.runpath, None)
    if wish.rpath is not None:
        assert (after.runpath, after.rpath) == (None, wish.rpath)
    if wish.remove_rpath:
        assert (after.runpath, after.rpath) == (None, None)
    assert not set(wish.remove_needed) & set(after.needed)
    assert set(wish.add_needed) <= set(after.needed)
    loads = [(item.address, item.flags) for item in before.segments if item.type == 1]
    assert [(item.address, item.flags) for item in after.segments if item.type == 1][: len(loads)] == loads


@BOUNDED
@given(shapes(), st.data())
def test_damaged(shape: Shape, draw: st.DataObject) -> None:
    """Whatever is in the file: an ElfError of the reader or editor, or an output that is proved."""
    data = bytearray(build(shape))
    # most of the file is padding: damage what has meaning
    places = [index for index, byte in enumerate(data) if byte]
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.sampled_from(places))
        value = draw.draw(st.sampled_from([0, 1, 0x7F, 0xFF, 0xFFFF, 0x80000000, 0xFFFFFFFF]))
        size = 1 if value < 256 else 2 if value < 65536 else 4
        raw = struct.pack("<I", value)[:size]
        data[place : place + size] = raw[: len(data) - place]
    found = bytes(data)
    wish = Edit(runpath="$ORIGIN/x", soname="s.so", replace_needed=(("libz.so.1", "q.so"),))
    for action in (lambda: read(found), lambda: symbols(found), lambda: edit(found, wish)):
        refused = fault(action)
        assert refused is None or refused.startswith(("FW3", "FW4"))


@BOUNDED
@given(st.binary(max_size=400))
def test_anything(tail: bytes) -> None:
    for head in (b"", b"\x7fELF\x02\x01\x01\0", b"\x7fELF\x01\x02\x01\0"):
        data = head + tail
        refused = fault(functools.partial(read, data))
        assert refused is None or refused.startswith("FW3")
