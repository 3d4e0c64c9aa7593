"""Whole repairs of spoilt wheels: a clear error or a good wheel, never anything else, and nothing left behind."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastwheel
from fastwheel.errors import CODES
from fastwheel.wheel.wheel import Wheel

if TYPE_CHECKING:
    from toolbox import Toolbox

CASES = 150


def _judge(wheel: Path, toolbox: Toolbox, out: Path) -> str:
    """Repair `wheel` and return the error's code or "ok"; everything else is a failure of the test."""
    before = wheel.read_bytes()
    try:
        done = fastwheel.repair(wheel, out, environ={"LD_LIBRARY_PATH": str(toolbox.system)}, jobs=1)
    except fastwheel.FastwheelError as error:
        assert error.code in CODES  # noqa: PT017 - either outcome is allowed
        assert error.code != "FW900", error.message  # noqa: PT017
        assert "\n" not in error.message  # noqa: PT017
        verdict = error.code
    else:
        assert done.path is not None
        with Wheel.open(done.path) as output:
            assert output.check_record({}) == ()
        done.path.unlink()
        verdict = "ok"
    assert wheel.read_bytes() == before
    assert not out.exists() or list(out.iterdir()) == []
    return verdict


def test_spoilt_elf_members(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    module = toolbox.module("ext", "one", library)
    chance = random.Random(20260101)
    seen: dict[str, int] = {}
    for _ in range(CASES):
        spoilt = bytearray(module)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(4, min(len(spoilt), 4096))
            spoilt[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        if chance.random() < 0.2:
            del spoilt[chance.randrange(64, len(spoilt)) :]
        wheel = toolbox.wheel({"pkg/ext.so": bytes(spoilt)})
        verdict = _judge(wheel, toolbox, toolbox.folder / "out")
        seen[verdict] = seen.get(verdict, 0) + 1
    assert seen["ok"] > 0
    assert sum(count for code, count in seen.items() if code.startswith("FW3")) > 0


def test_spoilt_grafts(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    content = library.read_bytes()
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    chance = random.Random(7)
    seen: set[str] = set()
    for _ in range(CASES):
        spoilt = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(4, min(len(spoilt), 4096))] = chance.randrange(256)
        library.write_bytes(spoilt)
        seen.add(_judge(wheel, toolbox, toolbox.folder / "out"))
    assert "ok" in seen
    assert "FW500" in seen


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_cut_wheels(toolbox: Toolbox, cut: float) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "getpid")})
    content = wheel.read_bytes()
    wheel.write_bytes(content[: int(len(content) * cut)])
    assert _judge(wheel, toolbox, toolbox.folder / "out").startswith("FW1")


def test_spoilt_wheels(toolbox: Toolbox) -> None:
    content = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "getpid")}).read_bytes()
    chance = random.Random(11)
    target = toolbox.folder / "pkg-1.0-cp311-cp311-linux_x86_64.whl"
    seen: set[str] = set()
    for _ in range(CASES):
        spoilt = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        target.write_bytes(spoilt)
        seen.add(_judge(target, toolbox, toolbox.folder / "out"))
    assert len(seen) > 3
