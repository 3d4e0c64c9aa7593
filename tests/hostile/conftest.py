"""A server that runs cases and the ELF files they are made of, once for all tests of a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "wheel"), str(HERE.parent / "repair")]

from arena import Arena, Server, Tools  # noqa: E402 - found on the path above


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """What the cases are made of."""
    return Tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The process that runs the cases."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def arena(tmp_path: Path, tools: Tools, server: Server) -> Iterator[Arena]:
    """A sandbox."""
    arena = Arena(tmp_path / "arena", tools, server)
    yield arena
    arena.close()
