"""Small wheels whose dependencies are known to the last edge, and the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "repair"))

from toolbox import Toolbox, extension


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    """A fresh toolbox; `toolbox.system` is where its libraries are "installed"."""
    return Toolbox(tmp_path)


@pytest.fixture
def diamond(toolbox: Toolbox) -> Path:
    """A wheel: a.so and b.so need libleft and libright of the machine, both need libbase; two more need nothing."""
    base = toolbox.library("libbase.so.1", "base")
    left = toolbox.library("libleft.so.1", "left", needs=[base])
    right = toolbox.library("libright.so.1", "right", needs=[base])
    files = {
        "pkg/a.so": toolbox.module("a", "left", left, flags=["-Wl,--no-as-needed", str(right)]),
        "pkg/b.so": toolbox.module("b", "right", right),
        "pkg/c/ext.so": extension(toolbox),
        "pkg/d/ext.so": extension(toolbox),
    }
    return toolbox.wheel(files)


@pytest.fixture
def environ(toolbox: Toolbox) -> dict[str, str]:
    """The environment in which the toolbox's libraries are found."""
    return {"LD_LIBRARY_PATH": str(toolbox.system)}
