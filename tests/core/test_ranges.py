"""What `ranges` asks for is all that `read` looks at: with anything else in the other places it gives the same."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from fastwheel._elf.facts import read
from fastwheel._elf.ranges import likely_ranges, ranges
from fastwheel._elf.segment import PF_X, PT_LOAD
from fastwheel._sparse import Sparse
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


def test_the_likely_ranges(system_libraries: list[Path]) -> None:
    found = 0
    for path in system_libraries[:40]:
        data = path.read_bytes()
        first, *others = [segment for segment in read(data).segments if segment.type == PT_LOAD]
        expected = [(first.offset, first.offset + first.file_size)]
        expected += [(load.offset, load.offset + load.file_size) for load in others if not load.flags & PF_X]
        small = [(start, end) for start, end in expected if end - start <= 2 << 20]
        with memoryview(data) as view:
            likely = likely_ranges(view)
        assert [(start, end) for start, end in likely if end - start <= 2 << 20] == small
        found += len(small) > 1
    assert found
    assert likely_ranges(memoryview(b"\x7fELF")) == []


def test_what_patchelf_moves_is_read_in_one_pass(
    tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """It puts the hash table before PT_DYNAMIC, which leads to it, and both behind all else."""
    source, library = tmp_path / "lib.c", tmp_path / "lib.so"
    source.write_text("char large[9 << 20] = {1};\nint one(void) { return large[0]; }\n")
    command("gcc", "-shared", "-fPIC", "-Wl,-soname,lib.so", "-o", library, source)
    command("patchelf", "--set-rpath", "$ORIGIN/" + "x" * 500, "--set-soname", "y" * 500, library)
    whole = library.read_bytes()
    with memoryview(whole) as view:
        small = [start for start, end in likely_ranges(view)[1:] if start > 9 << 20]
    assert small, "patchelf made no segment at the end"
    sparse = Sparse(len(whole))
    for start in range(0, len(whole), 65536):
        if sparse.take(whole[start : start + 65536]):
            break
    assert sparse.complete
    assert read(sparse.data) == read(whole)
