"""What `ranges` asks for is all that `read` looks at: with anything else in the other places it gives the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pytest

from fastwheel._elf.facts import read
from fastwheel._elf.ranges import first_load, ranges
from fastwheel._elf.segment import PF_X, PT_LOAD
from fastwheel.errors import ElfError

#: Files of every shape, made for the fuzzer.
_SEEDS: Final = Path(__file__).parent.parent.parent / "rust" / "fuzz" / "seeds"


def _outcome(data: bytes | bytearray) -> object:
    try:
        return read(data)
    except ElfError as error:
        return error.code, error.message


def _partly(whole: bytes, chance: random.Random) -> tuple[bytearray, bytearray]:
    """The file with noise where nobody asked, and which bytes were asked for."""
    fill = chance.choice((b"\0", b"\xff", b""))
    data = bytearray(fill * len(whole) or chance.randbytes(len(whole)))
    known = bytearray(len(whole))
    for _ in range(9):
        with memoryview(data) as view:
            asked = ranges(view, lambda start, end: 0 not in known[start:end])
        done = all(0 not in known[start:end] for start, end in asked)
        for start, end in asked:
            data[start:end] = whole[start:end]
            known[start:end] = b"\1" * (end - start)
        if done:
            return data, known
    raise AssertionError("asked nine times")


def _seeds() -> list[Path]:
    return sorted(_SEEDS.iterdir())


def test_nothing_else_is_read_of_libraries(system_libraries: list[Path]) -> None:
    chance = random.Random(1)
    for path in system_libraries[:40]:
        whole = path.read_bytes()
        if len(whole) < 3_000_000:
            data, known = _partly(whole, chance)
            assert _outcome(data) == _outcome(whole), path
            if len(whole) > 300_000:
                assert sum(known) < len(whole) * 2 // 3


@pytest.mark.parametrize("seed", _seeds(), ids=lambda seed: seed.name)
def test_nor_of_damaged_files(seed: Path) -> None:
    chance = random.Random(seed.name)
    whole = seed.read_bytes()
    data, known = _partly(whole, chance)
    assert _outcome(data) == _outcome(whole)
    places = [at for at, asked in enumerate(known) if asked]
    for _ in range(300):
        mutant = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            mutant[chance.choice(places)] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        data, _ = _partly(bytes(mutant), chance)
        assert _outcome(data) == _outcome(mutant)


def test_the_first_load(system_libraries: list[Path]) -> None:
    found = 0
    for path in system_libraries[:40]:
        data = path.read_bytes()
        loads = [segment for segment in read(data).segments if segment.type == PT_LOAD]
        expected = None
        if loads and not loads[0].flags & PF_X:
            expected = (loads[0].offset, loads[0].offset + loads[0].file_size)
            found += 1
        with memoryview(data) as view:
            assert first_load(view) == expected
    assert found
    assert first_load(memoryview(b"\x7fELF")) is None
