"""`engine.read_file`: facts of files on disk, and what is no such file."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest

from fastwheel import engine
from fastwheel.errors import ElfError, FastwheelError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("chosen")


def test_same_as_read(system_libraries: list[Path]) -> None:
    for path in system_libraries[::20]:
        assert engine.read_file(path) == engine.read_file(str(path)) == engine.read(path.read_bytes())


def test_a_large_file_is_mapped(system_libraries: list[Path], tmp_path: Path) -> None:
    library = system_libraries[0].read_bytes()
    path = tmp_path / "large.so"
    path.write_bytes(library + bytes(3 << 20))
    assert engine.read_file(path) == engine.read(library)
    link = tmp_path / "link.so"
    link.symlink_to(path)
    assert engine.read_file(link) == engine.read(library)


def test_what_is_no_elf_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for content in (b"", b"\x7fEL", b"INPUT(libfoo.a)\n", b"a" * (2 << 20)):
        path.write_bytes(content)
        with pytest.raises(ElfError) as caught:
            engine.read_file(path)
        assert caught.value.code == "FW300"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, code in [(fifo, "FW701"), (tmp_path, "FW701"), ("/dev/null", "FW701")]:
        with pytest.raises(FastwheelError) as caught:
            engine.read_file(path)
        assert caught.value.code == code
    for missing in (tmp_path / "none", tmp_path / "a\nb", str(tmp_path) + "/a\0b", "", tmp_path / ("a" * 5000)):
        with pytest.raises(FastwheelError) as caught:
            engine.read_file(missing)
        assert caught.value.code == "FW700"
        assert caught.value.message.isprintable()


def test_no_file_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"text")
    gc.collect()  # files that other tests have left behind are not to be closed in between
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with pytest.raises(ElfError):
            engine.read_file(path)
    assert len(os.listdir("/proc/self/fd")) <= before
