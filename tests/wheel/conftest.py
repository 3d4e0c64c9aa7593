"""The assembler of `zipkit` as a fixture."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from zipkit import INFO, METADATA, NAME, WHEEL, Part, assemble, deflate, record_of, wheel_parts


@pytest.fixture
def kit(tmp_path: Path) -> SimpleNamespace:
    def save(data: bytes, name: str = NAME) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return SimpleNamespace(
        Part=Part, assemble=assemble, wheel_parts=wheel_parts, record_of=record_of, deflate=deflate, save=save,
        NAME=NAME, INFO=INFO, WHEEL=WHEEL, METADATA=METADATA,
    )  # fmt: skip
