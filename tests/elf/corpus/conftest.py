"""The corpus as fixtures. FASTWHEEL_CORPUS=full takes every file and 100,000 mutants; the default is a sample."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from elfcorpus.judge import Verdict
    from elfcorpus.subject import Subject


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs the corpus in one process: its fixtures are dear, and a second process would make them again."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("elf-corpus"))


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether everything is to be tried."""
    return os.environ.get("FASTWHEEL_CORPUS") == "full"


@pytest.fixture(scope="session")
def shapes() -> dict[str, Subject]:
    """Every built shape by name."""
    from elfcorpus import corpus

    return {subject.name: subject for subject in corpus.shapes()}


@pytest.fixture(scope="session")
def subjects(shapes: dict[str, Subject], full: bool) -> list[Subject]:
    """The corpus."""
    from elfcorpus import corpus

    return [*shapes.values(), *corpus.debian(full=full), *corpus.pypi(full=full)]


@pytest.fixture(scope="session")
def engines() -> list[str]:
    """The names of the engines that are there."""
    from elfcorpus.editors import fastwheel_engines

    return [f"fastwheel-{engine}" for engine in fastwheel_engines()]


@pytest.fixture(scope="session")
def engine_name(engines: list[str]) -> str:
    """The engine that is judged: Rust where it is built. Where both are, they give the same bytes."""
    return engines[-1]


@pytest.fixture(scope="session")
def verdicts(subjects: list[Subject], engine_name: str, tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """What became of every file; also written to `report/` in the cache."""
    from elfcorpus import report
    from elfcorpus.tools import cache_root

    found = report.judge_all(subjects, engine_name, folder=tmp_path_factory.mktemp("sites"))
    report.write({engine_name: found}, cache_root() / "report")
    return found
