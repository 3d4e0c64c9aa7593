"""The same spoilt wheels through `verify` and `explain`: an answer or a FastwheelError, soon; nothing is written."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import cases_elf
import cases_wheel
import cases_zip_members
import cases_zip_odd
import cases_zip_records
import pytest
from arena import Arena, Case, Server, Tools

import fastwheel

ZIPS = (*cases_zip_records.CASES, *cases_zip_members.CASES, *cases_zip_odd.CASES)
WHEELS = [case for case in (*ZIPS, *cases_wheel.CASES, *cases_elf.CASES) if "show" in case.verbs]
CHUNK = 100
MOST_CPU = 10.0


@pytest.mark.parametrize("start", range(0, len(WHEELS), CHUNK))
def test_an_answer_or_an_error(start: int, tools: Tools, server: Server, tmp_path: Path) -> None:
    complaints: list[str] = []
    for number, case in enumerate(WHEELS[start : start + CHUNK]):
        folder = tmp_path / str(number)
        arena = Arena(folder, tools, server)
        try:
            complaints += look(arena, case)
        finally:
            arena.close()
            shutil.rmtree(folder, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


def look(arena: Arena, case: Case) -> list[str]:
    file = case.make(arena).file
    if file is None or file.suffix != ".whl":
        return []
    complaints = []
    for verb in (fastwheel.verify, fastwheel.explain):
        before = arena.state()
        begun = time.process_time()
        try:
            json.dumps(verb(file).to_dict())  # type: ignore[operator]
        except fastwheel.FastwheelError as error:
            if error.code == "FW900":
                complaints.append(f"{case.name}: {verb.__name__} is at fault: {error.message}")
        except Exception as error:
            complaints.append(f"{case.name}: {verb.__name__} ended with {type(error).__name__}: {error}")
        if time.process_time() - begun > MOST_CPU:
            complaints.append(f"{case.name}: {verb.__name__} took {time.process_time() - begun:.0f} s")
        if arena.state() != before:
            complaints.append(f"{case.name}: {verb.__name__} wrote something")
    return complaints
