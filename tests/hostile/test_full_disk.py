"""Repairs on file systems that are really full: a tmpfs of each size, seen by the one process only.

bubblewrap makes the mount namespace, as in tests/e2e; where it may not, the tests fail.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from arena import NAME, Arena, Server, Tools, parts_of
from costly import library
from zipkit import Part, assemble

KIB = 1024
OUTPUT = "demo-1.0-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl"
#: Where the small file system is mounted.
DISK = "/mnt"
#: Runs a command and tells what is on the file system then, before that goes with its namespace.
INSIDE = """\
import json, os, shutil, subprocess, sys
disk, fill, keep, *line = sys.argv[1:]
if fill == "fill":
    with open(disk + "/ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
before = sorted(os.listdir(disk))
done = subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL)
found = [os.path.relpath(os.path.join(top, name), disk) for top, folders, names in os.walk(disk) for name in names]
free = os.statvfs(disk)
for name in found:
    if name.endswith(".whl"):
        shutil.copy(os.path.join(disk, name), keep)
print(json.dumps({
    "status": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode("utf-8", "replace"),
    "before": before, "left": sorted(found), "used": (free.f_blocks - free.f_bfree) * free.f_frsize,
}))
"""


@dataclass
class Result:
    """What came of a run: see `INSIDE`."""

    status: int
    stdout: str
    stderr: str
    before: list[str]
    left: list[str]
    used: int


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory, tools: Tools, server: Server) -> Arena:
    """A wheel that hardly deflates, which needs a library that hardly does."""
    arena = Arena(tmp_path_factory.mktemp("full") / "arena", tools, server)
    rng = Random(7)
    host = library(soname=b"libfwhost.so.1", defines=[(b"host", -1)], end=rng.randbytes(400 * KIB))
    (arena.system / "libfwhost.so.1").write_bytes(host)
    arena.save(assemble(parts_of(tools, Part("demo/noise.bin", rng.randbytes(500 * KIB)))))
    (arena.folder / "kept").mkdir()
    return arena


def run(arena: Arena, size: int, *options: str, fill: bool = False, **environ: str) -> Result:
    """Repair the wheel where `DISK` is a file system of so many bytes, full before if `fill`."""
    line = ["bwrap", "--die-with-parent", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--size", str(size)]
    line += ["--tmpfs", DISK, "--chdir", str(arena.folder / "cwd"), "--clearenv"]
    for name, value in {**arena.environ(), **environ}.items():
        line += ["--setenv", name, value]
    line += [sys.executable, "-c", INSIDE, DISK, "fill" if fill else "", str(arena.folder / "kept")]
    line += [sys.executable, "-m", "fastwheel", "repair", *options, str(arena.folder / "in" / NAME)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"bubblewrap could not run it: {done.stderr}"
    return Result(**json.loads(done.stdout))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def whole(arena: Arena) -> bytes:
    """Return the output, which must be sound, and remove it."""
    path = arena.folder / "kept" / OUTPUT
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    content = path.read_bytes()
    path.unlink()
    return content


#: From nothing but the root folder to more than the output and what is made for it take together.
SIZES = [4, 8, 16, 32, 64, 100, 150, 200, 300, 400, 450, 500, 550, 600, 700, 800, 850, 900, 950, 1000, 1100, 1300, 1600]
ENOUGH = 4096


def test_any_size(arena: Arena) -> None:
    path = arena.folder / "in" / NAME
    before = digest(path)
    largest = run(arena, ENOUGH * KIB, "-w", DISK)
    assert (largest.status, largest.left) == (0, [OUTPUT]), largest.stderr
    reference = whole(arena)
    assert len(reference) > 900 * KIB
    failed = 0
    for size in SIZES:
        found = run(arena, size * KIB, "-w", DISK)
        said = f"{size} KiB: status {found.status}, {found.left}, {found.stderr}"
        assert digest(path) == before, said
        assert "Traceback" not in found.stderr, said
        if found.status == 0:
            assert found.left == [OUTPUT], said
            assert whole(arena) == reference
            continue
        failed += 1
        assert found.status == 1, said
        assert (found.left, found.stdout, found.used) == ([], "", 0), said
        lines = found.stderr.splitlines()
        assert [line for line in lines if line.startswith("error: ")] == lines[:1], said
        assert DISK in lines[0], said
        assert "space" in found.stderr, said
        assert all(line.startswith(("  ", "hint: ")) for line in lines[1:]), said
    assert failed >= 18, "most sizes have to be too small for this to say something"


def test_a_disk_that_is_full_before(arena: Arena) -> None:
    """Not a byte is to be had; what filled the disk stays."""
    found = run(arena, 64 * KIB, "-w", DISK, fill=True)
    assert (found.status, found.before, found.left) == (1, ["ballast"], ["ballast"]), found.stderr
    assert found.stderr.count("error: ") == 1
    assert DISK in found.stderr


@pytest.mark.parametrize("size", [4, 64, 512])
def test_full_temporary_folder(arena: Arena, size: int) -> None:
    """What is made lies beside the output: the folder for temporary files does not matter."""
    arena.out.mkdir(exist_ok=True)
    found = run(arena, size * KIB, "-w", str(arena.out), fill=True, TMPDIR=DISK)
    assert (found.status, found.left) == (0, ["ballast"]), found.stderr
    (arena.out / OUTPUT).rename(arena.folder / "kept" / OUTPUT)
    whole(arena)


@pytest.mark.parametrize("size", [4, 16, 64, 128, 256, 400, 1024])
@pytest.mark.parametrize("fill", [False, True])
def test_full_cache(arena: Arena, size: int, fill: bool) -> None:
    """A cache without room is no reason to fail, nor to leave half an entry."""
    arena.out.mkdir(exist_ok=True)
    found = run(arena, size * KIB, "--cache-dir", f"{DISK}/cache", "-w", str(arena.out), fill=fill)
    assert found.status == 0, found.stderr
    assert "error: " not in found.stderr
    (arena.out / OUTPUT).rename(arena.folder / "kept" / OUTPUT)
    whole(arena)
    kept = [name for name in found.left if name != "ballast"]
    assert not [name for name in kept if "tmp" in name or name.endswith(".part")], kept
    if size == 1024 and not fill:
        assert found.used > 300 * KIB, "with room it is filled"
    else:
        assert found.used - (size * KIB if fill else 0) < 100 * KIB, found.left
