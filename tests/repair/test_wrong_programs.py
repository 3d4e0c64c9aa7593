"""Programs in wheels: those that embed Python go on working, and what was executable stays so."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from toolbox import Toolbox, installed, repair

EMBEDDING = """
extern int one(void);
void Py_Initialize(void); int PyRun_SimpleString(const char *); void Py_Finalize(void);
int main(void) { Py_Initialize(); PyRun_SimpleString("print('embedded')"); Py_Finalize(); return one() - 42; }
"""


@pytest.mark.parametrize("with_graft", [False, True])
def test_executable_that_embeds_python_keeps_working(toolbox: Toolbox, *, with_graft: bool) -> None:
    """uWSGI's case: without its link to libpython it dies of undefined symbols."""
    folder = Path(sysconfig.get_config_var("LIBDIR"))
    python = next(folder.glob(f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"))
    library = toolbox.library("libfwone.so.1", "one")
    source = EMBEDDING if with_graft else EMBEDDING.replace("extern int one(void);", "static int one(void){return 42;}")
    libraries = [str(python), *([str(library)] if with_graft else [])]
    program = toolbox.compile(toolbox.folder / "server", source, *libraries, f"-Wl,-rpath,{folder}", kind=())
    wheel = toolbox.wheel(
        {"pkg-1.0.data/scripts/server": program.read_bytes()},
        tag="py3-none-linux_x86_64",
        modes={"pkg-1.0.data/scripts/server": 0o755},
    )
    done = repair(wheel, toolbox)
    assert done.path is not None
    assert any("embeds Python" in note for note in done.notes)
    library.unlink()
    site = installed(done.path, toolbox.folder)
    script = site / "../scripts/server"
    command = [str(script)]
    if with_graft:
        assert script.read_text().startswith("#!python\n")
        command = [sys.executable, str(script)]
    environ = {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(site), "PYTHONHOME": sys.base_prefix}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "embedded\n"), ran.stderr


def test_executable_bits_survive(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    program = toolbox.compile(
        toolbox.folder / "tool", "int one(void); int main(void) { return one() - 42; }", str(library), kind=()
    )
    files = {
        "pkg/bin/tool": program.read_bytes(),
        "pkg/bin/run.sh": b"#!/bin/sh\n",
        "pkg-1.0.data/scripts/cmd": program.read_bytes(),
        "pkg/ext.so": toolbox.module("ext", "one", library),
    }
    modes = {"pkg/bin/tool": 0o755, "pkg/bin/run.sh": 0o775, "pkg-1.0.data/scripts/cmd": 0o700}
    done = repair(toolbox.wheel(files, modes=modes), toolbox)
    assert done.path is not None
    with zipfile.ZipFile(done.path) as archive:
        found = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert found["pkg/bin/tool"] == 0o755
    assert found["pkg/bin/run.sh"] == 0o775
    assert found["pkg/ext.so"] == 0o644
    assert found["pkg.scripts/cmd"] == 0o700
    assert found["pkg-1.0.data/scripts/cmd"] & 0o111 == 0o111
    assert all(mode == 0o755 for name, mode in found.items() if name.startswith("pkg.libs/"))
    site = installed(done.path, toolbox.folder)
    library.unlink()
    assert subprocess.run([site / "pkg/bin/tool"]).returncode == 0
    assert ctypes.CDLL(str(next((site / "pkg.libs").iterdir()))).one() == 42
