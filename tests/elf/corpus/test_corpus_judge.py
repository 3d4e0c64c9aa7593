"""The judge itself: each check passes a good file and fails a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from elfcorpus.editors import Outcome
    from elfcorpus.operation import Request
    from elfcorpus.subject import Subject

DT_SONAME, DT_STRTAB, DT_VERNEED = 14, 5, 0x6FFFFFFE


class Planted:
    """An editor that does the job with patchelf and then spoils the result."""

    name = "planted"

    def __init__(self, spoil: object = None, *, patchelf: bool = True) -> None:
        self.spoil, self.patchelf, self.calls = spoil, patchelf, 0

    def edit(self, data: bytes, request: Request) -> Outcome:
        from elfcorpus.editors import Outcome, Patchelf

        outcome = Patchelf().edit(data, request) if self.patchelf else Outcome(data)
        self.calls += 1
        if self.spoil and outcome.data is not None:
            return Outcome(self.spoil(outcome.data))  # type: ignore[operator]
        return outcome


@pytest.fixture
def library(shapes: dict[str, Subject]) -> Subject:
    return shapes["bfd-default"]


@pytest.fixture
def site(tmp_path: Path) -> object:
    from elfcorpus.operation import Site

    return Site(tmp_path)


def spoilt(data: bytes, change: str) -> bytes:
    """Return `data` changed in one way that the judge must see."""
    from elfcorpus.surgery import Surgery

    s = Surgery(data)
    if change == "version":  # a version that the library does not have
        at = s.table(DT_VERNEED)
        s.data[at + s.get(at + 8, 4)] ^= 0xFF
    elif change == "entry":
        s.shdr(".text", "addr", 0)
    elif change == "link":
        s.shdr(".dynsym", "link", 0xFFF0)
    return bytes(s.data)


def test_patchelf_does_the_job_on_a_plain_library(library: Subject, site: object) -> None:
    from elfcorpus.editors import editor
    from elfcorpus.judge import judge

    verdict = judge(library, editor("patchelf"), site)  # type: ignore[arg-type]
    assert verdict.loaded
    assert (verdict.load, verdict.refused, verdict.holds) == ("", "", True)
    assert verdict.growth > 4000
    assert set(verdict.survives) == {"strip", "eu-strip", "llvm-strip", "patchelf"}
    assert any("writable" in line for line in verdict.lint)  # and the lint is seen


def test_an_edit_that_does_nothing_is_not_what_was_asked_for(library: Subject, site: object) -> None:
    from elfcorpus.judge import judge

    verdict = judge(library, Planted(patchelf=False), site)  # type: ignore[arg-type]
    assert not verdict.holds
    assert "is not what was asked for" in verdict.faults


def test_a_broken_version_record_does_not_load(library: Subject, site: object) -> None:
    from elfcorpus.judge import judge

    verdict = judge(library, Planted(lambda data: spoilt(data, "version")), site)  # type: ignore[arg-type]
    assert verdict.load
    assert any(fault.startswith("does not load") for fault in verdict.faults)


def test_lint_and_warnings_see_a_broken_section_table(library: Subject, tmp_path: Path) -> None:
    from elfcorpus.judge import lint, new_lines, warnings

    good, bad = library.path.read_bytes(), tmp_path / "bad.so"
    bad.write_bytes(spoilt(good, "link"))
    assert new_lines(lint(library.path), lint(bad))
    assert new_lines(warnings(library.path), warnings(bad))
    bad.write_bytes(good)
    assert new_lines(lint(library.path), lint(bad)) == []
    assert new_lines(warnings(library.path), warnings(bad)) == []


def test_numbers_alone_make_no_new_line() -> None:
    from elfcorpus.judge import _plain, new_lines

    assert _plain("section [12] at 0x3f0") == _plain("section [ 9] at 0x4f8").replace("[ #", "[#")
    assert new_lines(["a", "b"], ["b", "a"]) == []
    assert new_lines(["a"], ["a", "a", "c"]) == ["a", "c"]


def test_an_editor_that_adds_at_every_run_is_not_idempotent(library: Subject, site: object) -> None:
    from elfcorpus.judge import judge

    verdict = judge(library, Planted(lambda data: data + bytes(8)), site)  # type: ignore[arg-type]
    assert not verdict.again


def test_a_crash_is_not_a_refusal(library: Subject, site: object) -> None:
    from elfcorpus.editors import Outcome
    from elfcorpus.judge import judge

    class Crashing:
        name = "crashing"

        def edit(self, data: bytes, request: Request) -> Outcome:
            return Outcome(None, "IndexError: list index out of range", clean=False)

    verdict = judge(library, Crashing(), site)  # type: ignore[arg-type]
    assert verdict.crashed
    assert verdict.faults


def test_known_failures_of_the_peers_are_seen(shapes: dict[str, Subject], site: object) -> None:
    """patchelf moves the program headers of a code-first library; GNU strip then destroys it."""
    from elfcorpus.editors import editor
    from elfcorpus.judge import judge

    assert judge(shapes["code-first"], editor("patchelf"), site).survives["strip"]  # type: ignore[arg-type]
    assert judge(shapes["bfd-default"], editor("LIEF"), site).survives["strip"]  # type: ignore[arg-type]


def test_a_renamed_library_that_is_not_there_is_noticed(library: Subject, tmp_path: Path) -> None:
    import shutil

    from elfcorpus.editors import editor
    from elfcorpus.judge import judge
    from elfcorpus.operation import Site

    class Bare(Site):
        def graft(self, name: str, target: Path) -> None:
            pass

    verdict = judge(library, editor("patchelf"), Bare(tmp_path))
    assert "cannot open shared object file" in verdict.load
    shutil.rmtree(tmp_path / "package")


def test_the_server_tells_every_kind_of_end(tmp_path: Path) -> None:
    from elfcorpus.loader import Server
    from elfcorpus.tools import run, tool

    bodies = {
        "ok 42": "int probe(void) { return 42; }",
        "ok -": "int other(void) { return 1; }",
        "signal 11": "__attribute__((constructor)) static void f(void) { *(volatile int *)8 = 1; }",
        "exit 3": "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { _exit(3); }",
        "timeout": '__attribute__((constructor)) static void f(void) { for (;;) __asm__ volatile("pause"); }',
        "signal 6": "#include <stdlib.h>\n__attribute__((destructor)) static void f(void) { abort(); }",
    }
    server = Server(probe=True, seconds=1)
    try:
        for answer, body in bodies.items():
            source, target = tmp_path / "x.c", tmp_path / f"{answer.replace(' ', '-')}.so"
            source.write_text(body)
            run([tool("gcc"), "-shared", "-fPIC", "-O1", source, "-o", target])
            assert server.load(target) == answer
        assert "invalid ELF header" in server.load(source)
        assert "cannot open" in server.load(tmp_path / "missing.so")
    finally:
        server.close()


def test_a_program_is_run_and_its_output_compared(shapes: dict[str, Subject], tmp_path: Path) -> None:
    from elfcorpus.loader import load

    subject = shapes["program-bfd-pie"]
    assert load(subject, subject.path) == "ok probe 42\n"
    broken = tmp_path / "broken"
    broken.write_bytes(spoilt(subject.path.read_bytes(), "version"))
    broken.chmod(0o755)
    assert load(subject, broken).startswith("exit")


def test_the_mutants_are_the_same_each_time_and_differ_from_the_base(shapes: dict[str, Subject]) -> None:
    from elfcorpus.fuzz import BASES, mutant

    data = shapes[BASES[0]].path.read_bytes()
    made = [mutant(data, f"x:{number}") for number in range(200)]
    assert made == [mutant(data, f"x:{number}") for number in range(200)]
    assert sum(changed != data for changed in made) >= 170
    assert len(set(made)) >= 170


def test_the_fuzzer_finds_what_patchelf_breaks() -> None:
    from elfcorpus.fuzz import bases, fuzz

    chosen = [subject for subject in bases() if subject.name == "lld14-default"]
    tally = fuzz("patchelf", chosen, range(80))
    assert tally.mutants == 80
    assert tally.accepted + tally.refused == 80
    assert tally.broken
