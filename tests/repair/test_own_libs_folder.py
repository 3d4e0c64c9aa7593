"""A wheel may hold a folder `.libs` of its own, with libraries that are called otherwise than their files."""

from __future__ import annotations

from pathlib import Path

from toolbox import Toolbox, contents_of, repair


def test_a_library_of_the_wheel_in_the_folder_of_grafts_keeps_its_soname(toolbox: Toolbox) -> None:
    own = toolbox.library("libown.so.1", "own", folder=toolbox.folder / "own")
    graft = toolbox.library("libgraft.so.1", "graft")
    toolbox.library("libown.so.1", "own", needs=[graft], folder=toolbox.folder / "own")
    module = toolbox.module("a", "graft", graft)
    wheel = toolbox.wheel({"pkg/a.so": module, "pkg.libs/libother.so": own.read_bytes()})
    done = repair(wheel, toolbox, strip=True)
    assert done.path is not None
    assert "pkg.libs/libother.so" in contents_of(Path(done.path))
