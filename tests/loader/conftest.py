"""Makes the helpers of this folder and `peer` of the folder `oracle` importable, and starts the servers of dlopen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "oracle")]

from truth import Truth, of_musl, of_python  # noqa: E402


@pytest.fixture(scope="session")
def python_truth() -> Iterator[Truth]:
    """What dlopen does in a process of this Python, and what the simulation says of the same."""
    with of_python() as truth:
        yield truth


@pytest.fixture(scope="session")
def musl_truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    """The same for a program of musl."""
    with of_musl(tmp_path_factory.mktemp("musl")) as truth:
        yield truth
