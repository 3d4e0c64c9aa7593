"""Reading with the pure engine: tiny images of every class and byte order, and each kind of fault."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from elf_images import Shape, build

from fastwheel._elf import Version, VersionDefinition, VersionNeed, read, symbols
from fastwheel.errors import CODES, ElfError

CLASSES = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]


def code(data: bytes) -> str:
    with pytest.raises(ElfError) as caught:
        read(data)
    assert caught.value.code in CODES
    return caught.value.code


@pytest.mark.parametrize(("bits", "order"), CLASSES)
@pytest.mark.parametrize("sections", [True, False])
def test_facts(bits: int, order: str, sections: bool) -> None:
    facts = read(build(Shape(bits=bits, order=order, sections=sections, runpath="$ORIGIN", note=True, interp=True)))
    assert (facts.bits, facts.byte_order) == (bits, "little" if order == "<" else "big")
    assert (facts.type, facts.machine, facts.dynamic) == (3, 62, True)
    assert facts.needed == ("libz.so.1", "libc.so.6")
    assert (facts.soname, facts.runpath, facts.rpath) == ("libtiny.so.1", "$ORIGIN", None)
    assert facts.interpreter == "/lib64/ld-tiny.so.2"
    assert facts.build_id == bytes(range(20)).hex()
    assert facts.stack_flags == 6
    assert facts.undefined == ("deflate", "puts")
    assert facts.version_needs == (
        VersionNeed("libz.so.1", (Version("ZLIB_1.2", 2, weak=False),)),
        VersionNeed("libc.so.6", (Version("GLIBC_2.2.5", 3, weak=False), Version("GLIBC_2.17", 4, weak=False))),
    )


@pytest.mark.parametrize(("bits", "order"), CLASSES)
def test_symbols(bits: int, order: str) -> None:
    found = symbols(build(Shape(bits=bits, order=order, definitions=("TINY_1",))))
    assert [(item.name, item.section, item.version, item.version_file) for item in found] == [
        ("deflate", 0, "ZLIB_1.2", "libz.so.1"),
        ("puts", 0, None, None),
        ("tiny_one", 1, "TINY_1", None),
        ("tiny_two", 1, "TINY_1", None),
    ]
    assert {item.type for item in found} == {2}
    assert {item.binding for item in found} == {1}


def test_definitions() -> None:
    facts = read(build(Shape(definitions=("TINY_1", "TINY_2"))))
    assert facts.version_definitions == (
        VersionDefinition("libtiny.so.1", 1, base=True, weak=False, parents=()),
        VersionDefinition("TINY_1", 2, base=False, weak=False, parents=()),
        VersionDefinition("TINY_2", 3, base=False, weak=False, parents=()),
    )


@pytest.mark.parametrize("name", ["hash", "gnu_hash"])
def test_symbol_count_from_either_hash(name: str) -> None:
    shape = Shape(tables=(name, "dynsym", "dynstr", "versym", "verneed"))
    assert len(symbols(build(shape))) == 4


def test_symbol_count_without_hash_ends_at_the_nearest_table() -> None:
    assert len(symbols(build(Shape(tables=("dynsym", "dynstr", "versym", "verneed"))))) == 4


def test_symbol_count_with_an_empty_gnu_hash() -> None:
    # GNU ld writes symoffset 1 then, whatever the number of undefined symbols
    facts = read(build(Shape(defined=())))
    assert facts.undefined == ("deflate", "puts")


def test_init_functions() -> None:
    facts = read(build(Shape(defined=("PyInit_x", "initx", "other", "_cffi_pypyinit_y"))))
    assert facts.init_functions == ("PyInit_x", "initx", "_cffi_pypyinit_y")


def test_last_search_path_counts() -> None:
    data = build(Shape(rpath="/a", runpath="/b"))
    assert (read(data).rpath, read(data).runpath) == ("/a", "/b")


def test_names_survive_as_bytes() -> None:
    data = build(Shape()).replace(b"libz.so.1", b"lib\xff.so.1")
    assert read(data).needed[0].encode("utf-8", "surrogateescape") == b"lib\xff.so.1"


def test_buffers() -> None:
    data = build(Shape())
    assert read(bytearray(data)) == read(memoryview(data)) == read(data)


def test_no_dynamic_section() -> None:
    data = bytearray(build(Shape()))
    place = data.index(struct.pack("<II", 2, 6), 64)
    data[place : place + 4] = struct.pack("<I", 0x12345678)
    facts = read(bytes(data))
    assert not facts.dynamic
    assert facts.needed == facts.undefined == ()
    assert symbols(bytes(data)) == ()


def test_object_file() -> None:
    data = bytearray(build(Shape()))
    struct.pack_into("<H", data, 16, 1)
    struct.pack_into("<HH", data, 54, 0, 0)
    assert not read(bytes(data)).dynamic


def test_unterminated_table_is_read_as_the_loader_reads_it() -> None:
    # p_filesz ends before DT_NULL; what follows in the segment goes on
    data = bytearray(build(Shape(spare=0)))
    place = data.index(struct.pack("<II", 2, 6), 64)
    size = struct.unpack_from("<Q", data, place + 32)[0]
    struct.pack_into("<QQ", data, place + 32, size - 16, size - 16)
    assert read(bytes(data)).needed == ("libz.so.1", "libc.so.6")


@pytest.mark.parametrize(
    ("offset", "value", "expected"),
    [
        (0, b"\x7eELF", "FW300"),
        (4, b"\x03", "FW302"),
        (5, b"\x00", "FW302"),
        (6, b"\x02", "FW302"),
        (20, b"\x02", "FW302"),
        (32, b"\xff" * 8, "FW301"),
        (54, b"\x39\x00", "FW302"),
        (56, b"\xff\xff", "FW302"),
        (56, b"\xfe\xff", "FW301"),
    ],
)
def test_bad_header(offset: int, value: bytes, expected: str) -> None:
    data = bytearray(build(Shape()))
    data[offset : offset + len(value)] = value
    assert code(bytes(data)) == expected


def change_phdr(data: bytes, kind: int, field: int, value: int) -> bytes:
    """Set field `field` (in 8-byte steps from p_offset) of the first program header of `kind`."""
    result = bytearray(data)
    for index in range(struct.unpack_from("<H", data, 56)[0]):
        place = 64 + 56 * index
        if struct.unpack_from("<I", data, place)[0] == kind:
            struct.pack_into("<Q", result, place + 8 + 8 * field, value)
            return bytes(result)
    raise LookupError


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (1, 0, 1 << 63),
        (1, 1, (1 << 64) - 16),
        (1, 3, 1 << 40),
        (1, 4, 1),
        (2, 0, 0x40),
        (2, 1, 0x900000),
        (2, 3, 1 << 30),
    ],
)
def test_bad_segment(kind: int, field: int, value: int) -> None:
    assert code(change_phdr(build(Shape()), kind, field, value)) == "FW303"


def change_dynamic(data: bytes, tag: int, value: int | None, new_tag: int | None = None) -> bytes:
    """Set the value, or the tag, of the first entry with `tag`."""
    result = bytearray(data)
    start = read_offset(data)
    while True:
        found, old = struct.unpack_from("<QQ", data, start)
        if found == tag:
            struct.pack_into("<QQ", result, start, tag if new_tag is None else new_tag, old if value is None else value)
            return bytes(result)
        start += 16


def read_offset(data: bytes) -> int:
    for segment in read(data).segments:
        if segment.type == 2:
            return segment.offset
    raise LookupError


@pytest.mark.parametrize(
    ("tag", "value", "new_tag", "expected"),
    [
        (5, None, 0x6FFFFFF1, "FW304"),  # no DT_STRTAB
        (10, None, 0x6FFFFFF1, "FW304"),  # no DT_STRSZ
        (14, None, 5, "FW304"),  # two DT_STRTAB
        (5, 0x900000, None, "FW305"),
        (10, 1 << 40, None, "FW305"),
        (10, 0, None, "FW305"),
        (1, 1 << 32, None, "FW305"),
        (14, 1 << 40, None, "FW305"),
        (0x6FFFFFFE, 0x900000, None, "FW306"),
        (0x6FFFFFFE, 0, None, "FW306"),
        (6, 0x900000, None, "FW307"),
        (11, 25, None, "FW307"),
        (0x6FFFFEF5, 0x900000, None, "FW307"),
        (0x6FFFFEF5, 0, None, "FW307"),
    ],
)
def test_bad_dynamic(tag: int, value: int | None, new_tag: int | None, expected: str) -> None:
    assert code(change_dynamic(build(Shape()), tag, value, new_tag)) == expected


def test_versym_out_of_bounds() -> None:
    data = change_dynamic(build(Shape()), 0x6FFFFFF0, 0x900000)
    assert read(data).dynamic
    with pytest.raises(ElfError, match="DT_VERSYM"):
        symbols(data)


def test_huge_hash() -> None:
    data = bytearray(build(Shape(tables=("hash", "dynsym", "dynstr"), versions=())))
    place = data.index(struct.pack("<II", 1, 5), 64 + 5 * 56)
    struct.pack_into("<I", data, place + 4, 0xFFFFFFFF)
    assert code(bytes(data)) == "FW307"


def verneed_place(data: bytes) -> int:
    # the first segment is mapped where it is in the file
    place = data.index(struct.pack("<Q", 0x6FFFFFFE), read_offset(data))
    return int(struct.unpack_from("<Q", data, place + 8)[0])


@pytest.mark.parametrize(
    ("at", "value"), [(0, 2), (8, 8), (8, 1 << 31), (12, 4), (12, 1 << 31), (28, 8), (28, 0xFFFFFFFF)]
)
def test_bad_version_need(at: int, value: int) -> None:
    data = bytearray(build(Shape()))
    struct.pack_into("<H" if at == 0 else "<I", data, verneed_place(data) + at, value)
    assert code(bytes(data)) == "FW306"


def test_overlapping_lists_are_cut_short() -> None:
    """Records that all share one long list would take quadratic time and space."""
    count = 400
    table = b"".join(struct.pack("<HHIII", 1, 1, 0, 16, 16) for _ in range(count))
    data = bytearray(build(Shape(overlay=b"")))
    start = verneed_place(data)
    # the list must stay inside its PT_LOAD: use the page padding behind it
    room = 0x1000 - start % 0x1000
    data[start : start + room] = table[:room]
    assert code(bytes(data)) == "FW306"


def test_interpreter_without_nul() -> None:
    data = build(Shape(interp=True)).replace(b"ld-tiny.so.2\0", b"ld-tiny.so.22")
    assert code(data) == "FW303"


def test_truncated_anywhere() -> None:
    shape = Shape(interp=True, note=True, definitions=("TINY_1",))
    data, loaded = build(shape), len(build(replace(shape, sections=False)))
    for size in range(0, len(data), 7):
        if size < loaded:
            with pytest.raises(ElfError, match=r"."):
                read(data[:size])
        else:
            # only sections are missing, which reading does not need
            assert read(data[:size]) == read(data)


def test_isa_needed() -> None:
    shape = Shape(note=True)
    data = bytearray(build(shape))
    place = data.index(struct.pack("<III", 4, 20, 3) + b"GNU\0")
    data[place : place + 32] = struct.pack("<III", 4, 16, 5) + b"GNU\0" + struct.pack("<IIII", 0xC0008002, 4, 6, 0)
    assert read(bytes(data)).x86_isa_needed == 6
    struct.pack_into("<H", data, 18, 183)
    assert read(bytes(data)).x86_isa_needed == 0
