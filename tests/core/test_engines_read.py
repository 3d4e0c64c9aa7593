"""Both engines read the same facts, symbols and links, and refuse with the same words, whatever the bytes."""

from __future__ import annotations

import random
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastwheel import _core, engine
from fastwheel._elf import facts as pure
from fastwheel._elf.links import links as pure_links
from fastwheel._elf.model import Facts, Symbol
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

fuzzing = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outcome(read: Callable[[bytes], Any], data: bytes) -> object:
    """What `read` gives for `data`, or says against it."""
    try:
        return read(data)
    except ElfError as error:
        return (error.code, error.message, error.hint)


def rust_read(data: bytes) -> object:
    return engine._facts(_core.read(data))


def rust_symbols(data: bytes) -> object:
    return tuple(Symbol(*fields) for fields in _core.symbols(data))


def rust_links(data: bytes) -> object:
    return engine._links(_core.links(data))


def assert_same(data: bytes) -> object:
    facts = outcome(rust_read, data)
    assert facts == outcome(pure.read, data)
    assert outcome(rust_symbols, data) == outcome(pure.symbols, data)
    assert outcome(rust_links, data) == outcome(pure_links, data)
    return facts


def test_libraries_of_the_system(system_libraries: list[Path]) -> None:
    readable = 0
    for path in system_libraries:
        facts = assert_same(path.read_bytes())
        readable += isinstance(facts, Facts)
    assert readable > len(system_libraries) * 0.9


def test_every_truncation(system_libraries: list[Path]) -> None:
    data = min(system_libraries, key=lambda path: path.stat().st_size).read_bytes()
    for length in [*range(200), *range(200, len(data), 97)]:
        assert_same(data[:length])


#: What numbers in a hostile file look like.
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 16, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF]


def hot_spots(data: bytes) -> list[tuple[int, int]]:
    """Where the tables are: header, program headers, PT_DYNAMIC, notes, and the fronts of PT_LOADs."""
    facts = pure.read(data)
    spots = [(0, 64), (64, 56 * len(facts.segments))]
    for segment in facts.segments:
        if segment.type in {2, 3, 4} and segment.file_size:
            spots.append((segment.offset, segment.file_size))
        if segment.type == 1 and segment.file_size:
            spots.append((segment.offset, min(segment.file_size, 6000)))
    return spots


def mutant(data: bytes, spots: list[tuple[int, int]], rng: random.Random) -> bytes:
    image = bytearray(data)
    order = "<" if data[5] == 1 else ">"
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        offset, length = rng.choice(spots)
        form = rng.choice("BHIIQQ")
        size = struct.calcsize(form)
        at = min(offset + rng.randrange(length) // size * size, len(image) - size)
        value = rng.choice([*NUMBERS, len(data), len(data) - 1, rng.randrange(len(data)), rng.getrandbits(64)])
        struct.pack_into(order + form, image, at, value & ((1 << 8 * size) - 1))
    if rng.random() < 0.1:
        del image[rng.randrange(len(image)) :]
    return bytes(image)


def test_mutants_of_libraries(system_libraries: list[Path]) -> None:
    rng = random.Random(20250711)
    small = sorted(system_libraries, key=lambda path: path.stat().st_size)[:60]
    originals = [(data, hot_spots(data)) for data in (path.read_bytes() for path in small) if readable(data)]
    assert len(originals) >= 10
    kinds = set()
    for _ in range(1500):
        facts = assert_same(mutant(*rng.choice(originals), rng))
        kinds.add("read" if isinstance(facts, Facts) else facts[0])
    # The mutants reach every kind of fault.
    assert kinds >= {"read", "FW300", "FW301", "FW302", "FW303", "FW304", "FW305", "FW306", "FW307"}


def readable(data: bytes) -> bool:
    return isinstance(outcome(pure.read, data), Facts)


words = st.sampled_from([*NUMBERS, *range(24, 80, 4)]) | st.integers(0, 2**32 - 1)
tables = st.lists(st.tuples(st.sampled_from("BHIIII"), words), max_size=40)
table_tags = st.sampled_from(["hash", "symtab", "gnu_hash", "versym", "verdef", "verneed"])
entries = st.tuples(
    st.sampled_from([1, 11, 14, 15, 22, 24, 29, 30, 36, 0x6FFFFFFB]),
    st.integers(0, 40) | st.sampled_from([16, 24, 0x10000, 0x100C0, 2**32 - 1, 2**64 - 1]),
)


@fuzzing
@given(
    st.sampled_from([32, 64]),
    st.sampled_from("<>"),
    st.sampled_from([3, 22, 62, 183, 0x9026]),
    st.lists(st.sampled_from([b"libc.so.6", b"GLIBC_2.17", b"PyInit_x", b"init", b"a" * 300, b"\xff\xfe", b""])),
    st.lists(st.tuples(table_tags, tables), max_size=6),
    st.lists(entries, max_size=6),
    st.lists(st.tuples(st.sampled_from([3, 4, 0x6474E553, 0x6474E551]), tables), max_size=2),
)
def test_images_made_by_hand(
    image: Callable[..., Any],
    bits: int,
    order: str,
    machine: int,
    names: list[bytes],
    made: list[tuple[str, list[tuple[str, int]]]],
    extra: list[tuple[int, int]],
    segments: list[tuple[int, list[tuple[str, int]]]],
) -> None:
    def packed(table: list[tuple[str, int]]) -> bytes:
        return b"".join(
            struct.pack(order + form, value & ((1 << 8 * struct.calcsize(form)) - 1)) for form, value in table
        )

    assert_same(
        image(
            bits=bits,
            order=order,
            machine=machine,
            strings=b"\0" + b"\0".join(names) + b"\0",
            tables=[(tag, packed(table)) for tag, table in made],
            entries=extra,
            segments=[(kind, packed(table)) for kind, table in segments],
        ).build()
    )


@fuzzing
@given(st.binary(max_size=300))
def test_bytes_behind_a_magic_number(tail: bytes) -> None:
    assert_same(b"\x7fELF" + tail)
    assert_same(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01\x00\x00\x00" + tail)


def test_names_that_are_no_utf_8(image: Callable[..., Any]) -> None:
    strings = b"\0lib\xff\xc3\xa9.so\0\xed\xa0\x80\0"
    facts = assert_same(image(strings=strings, entries=[(1, 1), (14, 11)]).build())
    assert facts.needed == ("lib\udcff\xe9.so",)  # type: ignore[attr-defined]
    assert facts.soname == "\udced\udca0\udc80"  # type: ignore[attr-defined]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_symbols_and_their_versions(image: Callable[..., Any], bits: int, order: str) -> None:
    strings = b"\0printf\0libc.so.6\0GLIBC_2.17\0own\0X_1\0PyInit_x\0"
    at = {name: strings.index(b"\0" + name + b"\0") + 1 for name in strings.strip(b"\0").split(b"\0")}

    def symbol(name: bytes, info: int, section: int) -> bytes:
        if bits == 64:
            return struct.pack(order + "IBBHQQ", at.get(name, 0), info, 0, section, 0x40, 8)
        return struct.pack(order + "IIIBBH", at.get(name, 0), 0x40, 8, info, 0, section)

    symbols = symbol(b"", 0, 0) + symbol(b"printf", 0x12, 0) + symbol(b"own", 0x12, 5) + symbol(b"PyInit_x", 0x12, 5)
    need = struct.pack(order + "HHIII", 1, 1, at[b"libc.so.6"], 16, 0)
    need += struct.pack(order + "IHHII", 0, 0, 3, at[b"GLIBC_2.17"], 0)
    definition = struct.pack(order + "HHHHIII", 1, 0, 2, 1, 0, 20, 0) + struct.pack(order + "II", at[b"X_1"], 0)
    data = image(
        bits=bits,
        order=order,
        strings=strings,
        tables=[
            ("symtab", symbols),
            ("hash", struct.pack(order + "7I", 1, 4, 0, 0, 0, 0, 0)),
            ("versym", struct.pack(order + "4H", 0, 3, 0x8002, 1)),
            ("verneed", need),
            ("verdef", definition),
        ],
    ).build()
    facts = assert_same(data)
    assert facts.undefined == ("printf",)  # type: ignore[attr-defined]
    assert facts.init_functions == ("PyInit_x",)  # type: ignore[attr-defined]
    assert rust_symbols(data) == (
        Symbol("printf", 0x40, 8, 2, 1, 0, 0, "GLIBC_2.17", "libc.so.6", False),
        Symbol("own", 0x40, 8, 2, 1, 0, 5, "X_1", None, True),
        Symbol("PyInit_x", 0x40, 8, 2, 1, 0, 5, None, None, False),
    )


def hostile(image: Callable[..., Any]) -> dict[str, bytes]:
    """Files of some 20 KB that ask for far more work than their size is worth."""
    needs = b"".join(struct.pack("<HHIII", 1, 0xFFFF, 1, 16, 16) for _ in range(1200))
    symbols = b"".join(struct.pack("<IBBHQQ", 1 + number, 0x12, 0, 0, 0, 0) for number in range(400))
    long_name = b"\0" + b"a" * 10_000 + b"\0"
    return {
        "verneed lists over each other": image(strings=long_name, tables=[("verneed", needs)]).build(),
        "symbols of one long string": image(strings=long_name, tables=[("symtab", symbols)]).build(),
        "needed of one long string": image(strings=long_name, entries=[(1, 1)] * 600).build(),
        "nchain": image(tables=[("symtab", symbols), ("hash", struct.pack("<II", 1, 0xFFFFFFF0))]).build(),
        "buckets": image(tables=[("symtab", symbols), ("gnu_hash", struct.pack("<4I", 2**32 - 1, 1, 1, 0))]).build(),
        "bloom": image(tables=[("symtab", symbols), ("gnu_hash", struct.pack("<4I", 1, 1, 2**32 - 1, 0))]).build(),
        "notes": image(segments=[(4, bytes(12) * 1500)] * 8).build(),
    }


def test_hostile_files_cost_no_more_than_others(image: Callable[..., Any]) -> None:
    for name, data in hostile(image).items():
        assert_same(data)
        best = min(elapsed(rust_read, data) for _ in range(5))
        assert best < 0.05, name


def elapsed(read: Callable[[bytes], object], data: bytes) -> float:
    start = time.perf_counter()
    outcome(read, data)
    return time.perf_counter() - start
