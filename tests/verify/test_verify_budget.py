"""What a wheel made to keep `verify` busy gets: an answer that says what was not looked at, never a proof."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "hostile"), str(HERE.parent / "wheel")]

from costly import library, wheel_of  # noqa: E402 - found on the path above
from zipkit import Part  # noqa: E402

import fastwheel  # noqa: E402
from fastwheel.loader.budget import Budget, SpentError  # noqa: E402


def ring(count: int) -> list[Part]:
    return [
        Part(f"demo/l{i}.so", library(needed=[b"l%d.so" % ((i + 1) % count)], runpath=b"$ORIGIN") + b"%d" % i)
        for i in range(count)
    ]


def programs(count: int) -> list[Part]:
    """Programs that need the first library of a ring."""
    start = library(needed=[b"l0.so"], runpath=b"$ORIGIN", interpreter=b"/lib64/ld-linux-x86-64.so.2", kind=2)
    return [Part(f"demo/program{i}", start + b"%d" % i) for i in range(count)]


def made(folder: Path, parts: list[Part]) -> Path:
    name, content = wheel_of(parts)
    path = folder / name
    path.write_bytes(content)
    return path


def test_what_was_not_loaded_is_an_error(tmp_path: Path) -> None:
    verified = fastwheel.verify(made(tmp_path, [*ring(1000), *programs(400)]))
    assert not verified.proved
    (found,) = [item for item in verified.findings if item.code == "FV309"]
    assert found.level == "error"
    assert "more were not loaded" in found.message
    assert found.member is not None
    assert found.member.startswith("demo/program")
    assert any(line.startswith("not loaded either: ") for line in found.details)


def test_what_others_bring_along_need_not_be_loaded_alone(tmp_path: Path) -> None:
    """A thousand libraries in a circle, or behind each other, each of which loads all the others."""
    for links in (ring(1200), [*programs(1), *ring(1200)]):
        verified = fastwheel.verify(made(tmp_path, links))
        assert not [item for item in verified.findings if item.code.startswith("FV3") and item.level == "error"]


def test_a_smaller_circle_is_followed(tmp_path: Path) -> None:
    verified = fastwheel.verify(made(tmp_path, ring(100)))
    assert not [item for item in verified.findings if item.code == "FV309"]
    assert verified.proof.loaded == 100


def test_work_grows_with_the_wheel() -> None:
    assert Budget(10).left == Budget(1 << 19).left
    assert Budget(1 << 30).left > 100 * Budget(1 << 20).left
    budget = Budget(0)
    with pytest.raises(SpentError):
        budget.spend(budget.left + 1)
