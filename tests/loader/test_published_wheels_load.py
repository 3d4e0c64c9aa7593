"""The truth test: for each ELF file of published wheels, the prediction is what dlopen(RTLD_NOW) does, both ways.

The files lie in an unpacked copy, each is loaded in a process of its own, by ctypes, and this machine's libraries
stand for the baseline. Nothing else is installed, so that wheels which need others (Qt, torch) fail, as they are
predicted to. `FASTWHEEL_TRUTH=full` takes larger wheels too.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from peer import download
from truth import Truth, agrees

from fastwheel.loader.load import Tree
from fastwheel.loader.objects import install_paths, wheel_objects
from fastwheel.survey import survey
from fastwheel.wheel.wheel import Wheel

LINES = [line.split() for line in Path(__file__).with_name("wheels.txt").read_text().splitlines()[1:]]
FULL = os.environ.get("FASTWHEEL_TRUTH") == "full"
WHEELS = [pytest.param(*line[1:], id=line[3]) for line in LINES if FULL or line[0] == "default"]
#: Install path ▶ why prediction and truth differ. None is known.
DISAGREEMENTS: dict[str, str] = {}


@pytest.mark.parametrize(("files", "needs", "requirement", "platform", "digest"), WHEELS)
def test_prediction_is_truth(
    files: str, needs: str, requirement: str, platform: str, digest: str, tmp_path: Path, python_truth: Truth
) -> None:
    site = tmp_path / "site"
    with Wheel.open(download(requirement, platform, "3.11", "-", digest)) as wheel:
        found = survey(wheel)
        objects, unusable = wheel_objects(wheel, found, python_truth.host.libc)
        outcomes = python_truth.predicted(
            Tree(objects, unusable, frozenset(install_paths(wheel)), {}), objects.values()
        )
        for unit in found.units:
            path = site / unit.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.archive.read(wheel.archive.names[unit.member]))
    assert len(outcomes) == len(found.units) == int(files)
    failed = 0
    wrong = []
    for key, outcome in outcomes.items():
        error = python_truth.real(site / key)
        failed += error is not None
        if key not in DISAGREEMENTS and not agrees(outcome, error):
            wrong.append((key, error, [finding.message for finding in outcome.findings]))
    assert not wrong
    assert failed or needs == "-"


def test_there_are_enough_of_both_kinds() -> None:
    default = [line for line in LINES if line[0] == "default"]
    assert sum(int(line[1]) for line in default) >= 600
    assert sum(int(line[1]) for line in default if line[2] != "-") >= 80
