"""Both editors do the same to every file: the same bytes, or the same error in the same words.

FASTWHEEL_FUZZ=N sets the number of cases of the three tests that make their own (21,000 else).
"""

from __future__ import annotations

import os
import random
import sys
import sysconfig
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from engine_cases import build_random, facts_of, mutant, outcomes, random_edit

from fastwheel import engine
from fastwheel._elf.editor import plan_edit
from fastwheel._elf.model import Edit, Facts
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Callable

_FUZZ = int(os.environ.get("FASTWHEEL_FUZZ", "21000"))
_PARTS = 7
_SMALL = 20_000
_REAL_FILES = 300


@cache
def _libraries() -> list[Path]:
    """Return the shared objects of this system and of the Python packages installed here."""
    folders = {Path("/usr/lib"), Path("/usr/lib64"), Path(sysconfig.get_path("platlib")), Path(sys.base_prefix, "lib")}
    found = {
        path.resolve()
        for folder in folders
        for pattern in ("*.so", "*.so.*")
        for path in folder.rglob(pattern)
        if path.is_file()
    }
    return sorted(found)


@cache
def _small() -> list[tuple[bytes, Facts]]:
    """Return small shared objects, with their facts."""
    files = [path.read_bytes() for path in _libraries() if path.stat().st_size <= _SMALL]
    read = [(data, facts_of(data)) for data in files]
    return [(data, facts) for data, facts in read if facts is not None][:400]


def _random_image(chance: random.Random) -> tuple[bytes, Edit]:
    data = build_random(chance)
    return data, random_edit(chance, facts_of(data))


def _mutated_image(chance: random.Random) -> tuple[bytes, Edit]:
    data = build_random(chance)
    facts = facts_of(data)
    assert facts is not None
    return mutant(chance, data, facts), random_edit(chance, facts)


def _mutated_file(chance: random.Random) -> tuple[bytes, Edit]:
    data, facts = chance.choice(_small())
    return mutant(chance, data, facts), random_edit(chance, facts)


def _assert_same(data: bytes, edit: Edit, case: object) -> str:
    """Compare the engines; return the error code, "edited" or "same"."""
    rust, python = outcomes(data, edit)
    if rust != python:
        shown = [outcome if isinstance(outcome, tuple) else f"{len(outcome)} bytes" for outcome in (rust, python)]
        pytest.fail(f"{case}: the Rust engine gives {shown[0]}, the Python engine {shown[1]}, for {edit!r:.500}")
    if isinstance(rust, tuple):
        return rust[0]
    return "same" if rust == data else "edited"


@pytest.mark.parametrize("part", range(_PARTS))
@pytest.mark.parametrize("make", [_random_image, _mutated_image, _mutated_file])
def test_numbered_cases(make: Callable[[random.Random], tuple[bytes, Edit]], part: int) -> None:
    tally: Counter[str] = Counter()
    for number in range(part, _FUZZ // 3, _PARTS):
        data, edit = make(random.Random(f"{make.__name__}{number}"))
        tally[_assert_same(data, edit, f"{make.__name__}{number}")] += 1
    if tally.total() >= 500:
        # the cases are worth something: many are edited, and the gate and the request are each refused sometimes
        assert tally["edited"] > tally.total() / 5
        assert {"FW401", "FW403"} <= set(tally)


def test_the_cases_climb_every_rung() -> None:
    rungs: Counter[int | None] = Counter()
    for number in range(800):
        data, edit = _random_image(random.Random(f"{_random_image.__name__}{number}"))
        with suppress(ElfError):
            rungs[plan_edit(data, edit).rung] += 1
    assert set(rungs) == {None, *range(8)}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_images_under_hypothesis(chance: random.Random) -> None:
    data, edit = _random_image(chance)
    _assert_same(data, edit, "image")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.data())
def test_any_bytes_of_an_image_under_hypothesis(chance: random.Random, draw: st.DataObject) -> None:
    data, edit = _random_image(chance)
    changes = draw.draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=6))
    changed = bytearray(data)
    for at, value in changes:
        changed[at] = value
    _assert_same(bytes(changed), edit, "image")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_bytes_that_are_no_file(data: bytes, magic: bool) -> None:
    _assert_same(b"\x7fELF" + data if magic else data, Edit(soname="x"), "bytes")


def _repair(facts: Facts) -> Edit:
    """Return what a repair asks of a library that is grafted."""
    replaced = tuple((name, name.replace(".so", "-0a1b2c3d.so", 1)) for name in facts.needed if "libc." not in name)
    return Edit(
        soname=(facts.soname or "lib.so").replace(".so", "-0a1b2c3d.so", 1),
        runpath="$ORIGIN/../package.libs",
        replace_needed=tuple(dict.fromkeys(replaced)),
    )


def test_real_files_as_a_repair_edits_them() -> None:
    files = [path for path in _libraries() if path.stat().st_size <= 3_000_000]
    step = max(1, len(files) // _REAL_FILES)
    chance = random.Random("real")
    tally: Counter[str] = Counter()
    for path in files[::step]:
        data = path.read_bytes()
        facts = facts_of(data)
        edits = [] if facts is None else [_repair(facts), random_edit(chance, facts)]
        for edit in edits:
            tally[_assert_same(data, edit, path)] += 1
    assert tally["edited"] > 100
    assert not tally["FW900"]


def test_the_engine_edits_every_buffer(chosen: str) -> None:
    data, _ = _random_image(random.Random("buffer"))
    edit = Edit(soname="libnew.so")
    edited = engine.edit(data, edit)
    assert engine.read(edited).soname == "libnew.so"
    assert type(edited) is bytes
    for buffer in (bytearray(data), memoryview(data)):
        assert engine.edit(buffer, edit) == edited
    assert engine.edit(edited, edit) == edited
    assert engine.edit(data, Edit()) == data


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(soname=""), "soname: empty name"),
        (Edit(add_needed=("a", "")), "add_needed: empty name"),
        (Edit(soname="a\0b"), "soname a\\x00b: a NUL in the name"),
        (Edit(rpath=":::"), "rpath :::: no folder in the path"),
        (Edit(runpath="\ud800"), "runpath \\ud800: not a string that a file can hold"),
        (Edit(runpath="x" * 65536), "runpath: longer than 65535 bytes"),
        (Edit(runpath="a", rpath="b"), "runpath and rpath together"),
        (Edit(rpath="b", remove_rpath=True), "remove_rpath together with runpath or rpath"),
        (Edit(replace_needed=(("a", "b"), ("a", "c"))), "replace_needed a: two new names"),
        (
            Edit(replace_needed=(("é\n\udcff", "b"),), remove_needed=("b",)),
            "replace_needed é\\n\\udcff: also in remove",
        ),
        (Edit(add_needed=("a",), remove_needed=("a",)), "add_needed a: also in remove_needed"),
        (Edit(soname="ld-linux-x86-64.so.2"), "soname ld-linux-x86-64.so.2: the name of a dynamic loader"),
    ],
)
def test_requests_that_make_no_sense(chosen: str, edit: Edit, message: str) -> None:
    data, _ = _random_image(random.Random("request"))
    with pytest.raises(ElfError) as caught:
        engine.edit(data, edit)
    assert caught.value.code == "FW403"
    assert caught.value.message.startswith(message)
