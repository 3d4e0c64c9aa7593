"""Tiny wheels around tiny libraries: compiled in a moment, each with the one trait that a test is about."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toolbox import Toolbox, contents_of


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    """A fresh toolbox; `toolbox.system` is where its libraries are "installed"."""
    return Toolbox(tmp_path)


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Return a function from a wheel to its members' contents."""
    return contents_of
