"""Spoilt wheels and ELF files through tree, diff and report: served, or refused in one clear error."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from toolbox import Toolbox, repair

import fastwheel
from fastwheel import FastwheelError
from fastwheel.report.diff import diff_text
from fastwheel.report.dot import tree_dot
from fastwheel.report.html import html_page
from fastwheel.report.mermaid import tree_mermaid
from fastwheel.report.svg import tree_svg
from fastwheel.report.tree import tree_text


def spoilt(data: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, mostly in the first pages, where the tables of an ELF file lie."""
    new = bytearray(data)
    for _ in range(dice.choice([1, 2, 8, 40])):
        place = dice.randrange(min(len(new), dice.choice([64, 2048, len(new)])))
        new[place] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
    return bytes(new)


def served(do: Callable[[], object]) -> None:
    """Nothing but a `FastwheelError` that is no fault of fastwheel comes out."""
    fault = None
    try:
        do()
    except FastwheelError as error:
        fault = error
    assert fault is None or fault.code != "FW900", fault


@pytest.mark.parametrize("seed", range(8))
def test_spoilt(seed: int, diamond: Path, toolbox: Toolbox, tmp_path: Path) -> None:
    done = repair(diamond, toolbox)
    assert done.path is not None
    dice = random.Random(seed)
    with zipfile.ZipFile(done.path) as archive:
        members = [(entry, archive.read(entry)) for entry in archive.infolist()]
    other = tmp_path / "spoilt" / done.path.name
    other.parent.mkdir()
    for _ in range(12):
        with zipfile.ZipFile(other, "w") as archive:
            for entry, content in members:
                of_elf = content.startswith(b"\x7fELF") or entry.filename.endswith((".json", "RECORD", "METADATA"))
                archive.writestr(entry.filename, spoilt(content, dice) if of_elf and dice.random() < 0.5 else content)
        whole = dice.random() < 0.3
        if whole:
            other.write_bytes(spoilt(other.read_bytes(), dice))

        def drawn(path: Path = other) -> None:
            tree = fastwheel.tree(path, environ={}, ldpaths="", jobs=1)
            for render in (tree_text, tree_dot, tree_mermaid):
                render(tree).encode()
            ET.fromstring(tree_svg(tree))

        served(drawn)
        served(lambda: diff_text(fastwheel.diff(done.path, other, jobs=1), verbose=True).encode())
        served(lambda: html_page(fastwheel.overview(other, before=done.path, environ={}, jobs=1)).encode())
        (library,) = (content for entry, content in members if "libbase" in entry.filename)
        single = tmp_path / "single.so"
        single.write_bytes(spoilt(library, dice))
        served(lambda path=single: drawn(path))
        served(lambda path=single: diff_text(fastwheel.diff(toolbox.system / "libbase.so.1", path)).encode())
