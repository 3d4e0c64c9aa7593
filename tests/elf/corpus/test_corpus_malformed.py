"""Spoilt files: a refusal with a code or a sound result, at once, on every input."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from elfcorpus.subject import Subject

#: 64-bit, 32-bit, big-endian, DT_HASH.
BASES = ("bfd-default", "i686-default", "s390x-default", "bfd-sysv")

#: What a refusal may take. The bar is 50 ms for 20 KB; the machine may be busy with other tests.
SECONDS = 0.05


def _seconds(engine: str, data: bytes) -> float:
    """Return the shortest of three times for one edit."""
    from elfcorpus.editors import editor

    times = []
    for _ in range(3):
        start = time.perf_counter()
        editor(engine).edit(data, _request())
        times.append(time.perf_counter() - start)
    return min(times)


def _request() -> object:
    from elfcorpus.operation import RUNPATH, Request

    return Request(RUNPATH, (("libdep.so.1", "libdep-0123abcd.so.1"),), "libother-0123abcd.so.1")


@pytest.mark.parametrize("base", BASES)
def test_spoilt_libraries(engines: list[str], shapes: dict[str, Subject], base: str) -> None:
    from elfcorpus.editors import editor
    from elfcorpus.malformed import spoil

    data = shapes[base].path.read_bytes()
    wrong = []
    codes: dict[str, set[str]] = {}
    spoilt = spoil(data)
    assert len(spoilt) > 110
    for engine in engines:
        assert editor(engine).edit(data, _request()).data is not None  # unspoilt it is editable
        for case in spoilt:
            outcome = editor(engine).edit(case.data, _request())
            codes.setdefault(case.name, set()).add(outcome.error[:5])
            refused = outcome.error[:3] in {"FW3", "FW4"} and outcome.clean
            if refused != (case.expected == "refused") or (outcome.data is None) != refused:
                wrong.append(f"{engine} {case.name}: {outcome.error or 'accepted'}, not {case.expected}")
            elif "\n" in outcome.error or len(outcome.error) > 300:
                wrong.append(f"{engine} {case.name}: not a line: {outcome.error}")
            elif (seconds := _seconds(engine, case.data)) > SECONDS:
                wrong.append(f"{engine} {case.name}: {seconds:.3f} s")
    wrong += [f"{name}: {sorted(found)}" for name, found in codes.items() if len(found) > 1]
    assert wrong == []


def test_spoilt_programs(engines: list[str], shapes: dict[str, Subject]) -> None:
    from elfcorpus.editors import editor
    from elfcorpus.malformed import spoil_program

    wrong = []
    for engine in engines:
        for case in spoil_program(shapes["program-bfd-pie"].path.read_bytes()):
            outcome = editor(engine).edit(case.data, _request())
            if outcome.data is not None or not outcome.clean:
                wrong.append(f"{engine} {case.name}: {outcome.error or 'accepted'}")
    assert wrong == []


def test_accepted_files_still_load(engines: list[str], shapes: dict[str, Subject], tmp_path: object) -> None:
    """What is spoilt but accepted loads after the edit if it did before."""
    from pathlib import Path

    from elfcorpus.editors import editor
    from elfcorpus.loader import Server
    from elfcorpus.malformed import ACCEPTED, spoil
    from elfcorpus.operation import Site, repair_request

    assert isinstance(tmp_path, Path)
    site = Site(tmp_path)
    subject = shapes["bfd-default"]
    data = subject.path.read_bytes()
    request = repair_request(subject, data, site)
    server = Server(library_path=subject.library_path, probe=True)
    loaded = 0
    try:
        for engine in engines:
            for case in (case for case in spoil(data) if case.expected == ACCEPTED):
                path = site.file(case.name)
                path.write_bytes(case.data)
                before = server.load(path)
                outcome = editor(engine).edit(case.data, request)
                assert outcome.data is not None
                path.write_bytes(outcome.data)
                if before.startswith("ok"):
                    loaded += 1
                    assert server.load(path) == before, case.name
    finally:
        server.close()
    assert loaded >= 3


@pytest.mark.parametrize(
    ("wish", "good"),
    [
        ({"runpath": "a\0b"}, False),
        ({"soname": "a\0b"}, False),
        ({"replace_needed": (("libdep.so.1", "x\0"),)}, False),
        ({"add_needed": ("\0",)}, False),
        ({"runpath": "x" * 70_000}, False),
        ({"runpath": "a", "rpath": "b"}, False),
        ({"runpath": "a", "remove_rpath": True}, False),
        ({"remove_needed": ("libdep.so.1",)}, False),  # which has version records
        ({"runpath": ":"}, False),
        ({"runpath": ""}, False),
        ({"runpath": "\udc80 bytes"}, True),
        ({"remove_needed": ("libdep.so.1",), "drop_versions": True}, True),
        ({"remove_needed": ("not-there.so",)}, True),
        ({}, True),
    ],
)
def test_wishes(shapes: dict[str, Subject], wish: dict[str, object], good: bool) -> None:
    from fastwheel._elf import edit
    from fastwheel._elf.model import Edit
    from fastwheel.errors import ElfError

    data = shapes["bfd-default"].path.read_bytes()
    wanted = Edit(**wish)  # type: ignore[arg-type]
    if good:
        assert edit(data, wanted)[:4] == b"\x7fELF"
    else:
        with pytest.raises(ElfError) as caught:
            edit(data, wanted)
        assert caught.value.code.startswith("FW4")


def test_mutants(engines: list[str], full: bool) -> None:
    """Whatever the loader accepts and the editor outputs, the loader accepts."""
    from elfcorpus.fuzz import BASES as FUZZED
    from elfcorpus.fuzz import fuzz_many

    total = 100_000 if full else 3_000
    for engine in engines:
        tally = fuzz_many(engine, total)
        assert tally.mutants >= total
        assert tally.loadable > total / 8
        assert len(tally.codes) >= 8
        assert tally.crashed == []
        assert tally.broken == []
        assert tally.unstable == []
        assert tally.different == []
        assert len(FUZZED) >= 20
