"""Hundreds of spoilt and odd inputs, machines and calls through the command line: each refused or served as it should.

    python tests/hostile/mutate.py --seconds 3600

runs random mutations of the same inputs for as long as one likes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cases_elf
import cases_faults
import cases_wheel
import cases_zip_members
import cases_zip_odd
import cases_zip_records
import pytest
from arena import Arena, Case, Server, Tools, judge
from rules import RULES, table

from fastwheel.wheel.limits import OPTIONS, Limits

ALL: tuple[Case, ...] = (
    *cases_zip_records.CASES,
    *cases_zip_members.CASES,
    *cases_zip_odd.CASES,
    *cases_wheel.CASES,
    *cases_elf.CASES,
    *cases_faults.CASES,
)


@pytest.fixture
def open_arena(tools: Tools, server: Server) -> Iterator[Arena]:
    """A sandbox that every user may walk to."""
    folder = Path(tempfile.mkdtemp(prefix="fastwheel-hostile-", dir="/tmp"))
    folder.chmod(0o755)
    arena = Arena(folder / "arena", tools, server)
    yield arena
    for top, folders, _ in os.walk(folder):
        for name in folders:
            if not Path(top, name).is_symlink():
                Path(top, name).chmod(0o755)
    arena.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_case(open_arena: Arena, case: Case) -> None:
    complaints = judge(open_arena, case)
    assert not complaints, "\n".join(complaints)


def test_each_rule_has_cases() -> None:
    assert len(ALL) >= 1000
    assert len({case.name for case in ALL}) == len(ALL)
    assert {case.rule for case in ALL} == set(RULES)


def test_the_documents_say_the_same(repository: Path) -> None:
    text = (repository / "docs" / "limits.md").read_text()
    assert table(ALL) in text, "python tests/hostile/rules.py prints the table anew"
    loose, tight = Limits(), Limits.untrusted()
    for name, option in OPTIONS.items():
        row = f"| `{option}` | `{name}` | {getattr(loose, name):,} | {getattr(tight, name):,} |"
        assert row in text, row
