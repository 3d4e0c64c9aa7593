"""fastwheel's editor on real and built files, held to the figures that a prototype of its algorithm reached."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from elfcorpus.judge import Verdict
    from elfcorpus.subject import Subject

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

#: New lines of eu-elflint that are no fault of the file: (the subject's name, what the line contains).
LINT_QUIRKS: tuple[tuple[str, str], ...] = (
    # .data and .bss are empty there and lie behind the segment that a page was inserted for: they hold no byte.
    ("tiny-lld14", "alloc flag set but section not in any loaded segment"),
)


def _lines(verdicts: Iterable[Verdict], what: Callable[[Verdict], object]) -> list[str]:
    """Return a line for each verdict of which `what` is not empty."""
    return [f"{verdict.subject}: {found}" for verdict in verdicts if (found := what(verdict))]


def test_the_corpus_is_large(subjects: list[Subject]) -> None:
    groups = [subject.group for subject in subjects]
    assert groups.count("debian") >= 300
    assert groups.count("pypi") >= 80
    assert groups.count("shape") >= 330
    assert groups.count("program") >= 10


def test_every_file_is_edited_unless_it_must_not_be(verdicts: list[Verdict], subjects: list[Subject]) -> None:
    refused = {subject.name for subject in subjects if subject.refused}
    assert _lines(verdicts, lambda v: v.crashed and v.refused) == []
    assert _lines(verdicts, lambda v: v.subject not in refused and v.refused) == []
    assert [v.subject for v in verdicts if v.subject in refused and not v.refused] == []


def test_every_result_is_what_was_asked_for(verdicts: list[Verdict]) -> None:
    assert _lines(verdicts, lambda v: not v.holds) == []


def test_every_file_loads_that_did_before(verdicts: list[Verdict]) -> None:
    assert _lines(verdicts, lambda v: v.load) == []
    assert sum(v.loaded for v in verdicts) >= 650


def test_no_new_lint(verdicts: list[Verdict]) -> None:
    def news(verdict: Verdict) -> list[str]:
        known = [text for name, text in LINT_QUIRKS if name == verdict.subject]
        return [line for line in verdict.lint if not any(text in line for text in known)]

    assert _lines(verdicts, news) == []


def test_no_new_readelf_warning(verdicts: list[Verdict]) -> None:
    assert _lines(verdicts, lambda v: v.warnings) == []


@pytest.mark.parametrize("name", ["strip", "eu-strip", "llvm-strip", "patchelf"])
def test_survives(verdicts: list[Verdict], name: str) -> None:
    assert _lines(verdicts, lambda v: v.survives.get(name)) == []


def test_a_second_run_changes_nothing(verdicts: list[Verdict]) -> None:
    assert _lines(verdicts, lambda v: not v.again and "changes") == []


def test_growth(verdicts: list[Verdict]) -> None:
    growth = [v.growth for v in verdicts if v.group == "debian" and not v.refused]
    assert statistics.fmean(growth) <= 70
    assert growth.count(0) / len(growth) >= 0.9


def test_engines_agree(subjects: list[Subject], engines: list[str]) -> None:
    """Where the Rust engine is built: the same bytes, or the same code."""
    import tempfile
    from pathlib import Path

    from elfcorpus.editors import editor
    from elfcorpus.operation import RUNPATH, Request, Site, repair_request

    editors = [editor(name) for name in engines]
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            data = subject.path.read_bytes()
            try:
                request = repair_request(subject, data, Site(Path(folder)))
            except ValueError:
                request = Request(RUNPATH, (), None)
            outcomes = [one.edit(data, request) for one in editors]
            if len({(outcome.data, outcome.error.partition(" ")[0]) for outcome in outcomes}) != 1:
                different.append(f"{subject.name}: {[outcome.error for outcome in outcomes]}")
    assert different == []
