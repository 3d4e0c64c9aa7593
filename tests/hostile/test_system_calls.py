"""What a run asks of the kernel: no program is started, nothing written elsewhere, no name of the wheel opened."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from arena import NAME, Arena, Server, Tools, parts_of
from zipkit import Part, assemble

from fastwheel import engine
from fastwheel._elf.model import Edit

MARK = "fwmark"
LINE = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)$")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
WRITES = {
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat", "symlink",
    "symlinkat", "truncate", "chmod", "fchmodat", "chown", "fchownat", "lchown", "utimensat", "mknod", "mknodat",
    "setxattr", "lsetxattr", "removexattr",
}  # fmt: skip


@pytest.fixture
def spiteful(tmp_path: Path, tools: Tools, server: Server) -> Arena:
    """A wheel whose names, search paths and needs all bear a mark, some of them leading to files that are there."""
    arena = Arena(tmp_path / "arena", tools, server)
    trap = arena.folder / "home" / f"{MARK}-trap"
    trap.mkdir()
    (trap / "libx.so").write_bytes(tools.host)
    core = engine.edit(tools.core, Edit(runpath=f"$ORIGIN/{MARK}", soname=f"{MARK}.so"))
    names = [f"{MARK}/a.py", f"demo/{MARK}.so.conf", f"demo/{MARK}.pth", f"demo-1.0.data/scripts/{MARK}.sh"]
    info = f"demo-1.0.dist-info/{MARK}.txt"
    parts = parts_of(tools, *(Part(name, b"#!/bin/sh\n") for name in (*names, info)), core=core)
    arena.save(assemble(parts))
    return arena


def traced(arena: Arena, *args: str) -> list[tuple[str, str]]:
    """Run the command line under strace; return the calls that bear names: (call, rest of its line)."""
    log = arena.folder / "log" / "strace"
    line = ["strace", "-f", "-qq", "-s", "4096", "-o", str(log), "-e", "trace=%file,%process", sys.executable]
    done = subprocess.run(
        [*line, "-m", "fastwheel", *args], env=arena.environ(), capture_output=True, cwd=arena.folder / "cwd"
    )
    assert done.returncode == 0, done.stderr
    found = []
    for text in log.read_text(errors="replace").splitlines():
        match = LINE.match(text)
        if match and "resumed>" not in text:
            found.append((match[1], match[2]))
    assert len(found) > 100
    return found


COMMANDS = {
    "show": ["show"],
    "show-json": ["show", "--json"],
    "repair": ["repair"],
    "repair-untrusted": ["repair", "--untrusted", "-v"],
    "verify": ["verify"],
    "tree": ["tree"],
    "explain": ["explain"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_calls(spiteful: Arena, name: str) -> None:
    line = list(COMMANDS[name])
    wheel = str(spiteful.folder / "in" / NAME)
    if line[0] == "repair":
        line += ["-w", str(spiteful.out)]
    elif name == "verify":  # of a wheel that it finds nothing wrong with
        traced(spiteful, "repair", "-w", str(spiteful.folder / "home" / "made"), wheel)
        (made,) = (spiteful.folder / "home" / "made").iterdir()
        wheel = str(made)
    calls = traced(spiteful, *line, wheel)
    allowed = (str(spiteful.out), str(spiteful.folder / "tmp"))
    starts = [rest for call, rest in calls if call in ("execve", "execveat")]
    assert len(starts) == 1, starts
    assert not [rest for call, rest in calls if call in ("fork", "vfork")]
    assert not [rest for call, rest in calls if call in ("clone", "clone3") and "CLONE_THREAD" not in rest]
    written, opened = [], []
    for call, rest in calls:
        paths = TEXT.findall(rest)
        opening = call in ("open", "openat", "openat2", "creat")
        if call in WRITES or (opening and re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", rest)) or call == "creat":
            written += [path for path in paths if path != "/dev/null"]
        if opening and paths:
            opened.append(paths[0])
    assert [path for path in written if not path.startswith(allowed)] == []
    assert bool(written) == (line[0] == "repair"), written
    # Opened: the wheel, the library, and what Python and the system have; nothing that only the wheel names.
    assert [path for path in opened if MARK in path] == []
    assert str(spiteful.system / "libfwhost.so.1") in opened or name == "verify"


def test_needs_by_path_are_not_opened(tmp_path: Path, tools: Tools, server: Server) -> None:
    """A DT_NEEDED with a slash, and an absolute one outside of the search path, lead nowhere."""
    arena = Arena(tmp_path / "arena", tools, server)
    trap = arena.folder / "home" / MARK
    trap.mkdir()
    for count, needed in enumerate((str(trap / "libx.so"), f"../home/{MARK}/libx.so")):
        (trap / "libx.so").write_bytes(tools.host)
        core = engine.edit(tools.core, Edit(replace_needed=(("libfwhost.so.1", needed),)))
        arena.save(assemble(parts_of(tools, core=core)))
        opened = [
            rest for call, rest in traced(arena, "show", str(arena.folder / "in" / NAME)) if call.startswith("open")
        ]
        assert [rest for rest in opened if MARK in rest] == [], count
