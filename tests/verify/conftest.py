"""Makes `verify_kit` of this folder and `toolbox` of the folder `repair` importable; one good wheel for all tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "repair"))
sys.path.insert(0, str(Path(__file__).parent))

from verify_kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A kit whose wheel is good as long as nothing of it is changed."""
    return Kit(tmp_path)
