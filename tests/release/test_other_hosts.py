"""The pure wheel on macOS and Windows does what it does on Linux, to the byte.

What those systems lack is taken away from Python here (`other_host.py`); mypy, which knows what exists where, finds
what no command of this file comes by.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("other_host.py")
SYSTEMS = ["darwin", "win32"]

Done = subprocess.CompletedProcess[str]


def run(system: str, *arguments: str | Path) -> Done:
    """Run the command line as on another system, or as on this one; the same engine in all cases."""
    line = [sys.executable, *([PROGRAM, system] if system != "linux" else ["-m", "fastwheel"]), *arguments]
    environ = {**os.environ, "FASTWHEEL_ENGINE": "python"}
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300, env=environ)
    done.stderr = re.sub(r"[\d.]+ s$", "… s", done.stderr, flags=re.MULTILINE)
    return done


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_can_be_imported(system: str) -> None:
    done = run(system, "--modules")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_is_called_that_is_not_there(system: str, tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "mypy",
        "--platform",
        system,
        "--cache-dir",
        str(tmp_path),
        "--python-version",
        "3.10",
    ]
    done = subprocess.run(line, capture_output=True, text=True, cwd=TOP)
    assert done.returncode == 0, done.stdout


def test_flags_of_files_come_from_one_module() -> None:
    """It adds what Windows wants; the null device, which has no lines, is nobody's concern."""
    for path in (TOP / "python/fastwheel").rglob("*.py"):
        for line in path.read_text().splitlines() if path.name != "portable.py" else ():
            assert "os.O_" not in line or "os.devnull" in line, f"{path}: {line}"


class Work(NamedTuple):
    """What the commands work on.

    Attributes:
        wheel: as it was built.
        repaired: the same after a repair.
        libraries: a folder with copies of what it needs; no package of this machine owns them.
        folder: with this all, where commands may write.
    """

    wheel: Path
    repaired: Path
    libraries: Path
    folder: Path


@pytest.fixture(scope="module")
def work(built_wheel: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("hosts")
    libraries = folder / "libraries"
    libraries.mkdir()
    wheel = Path(shutil.copy(built_wheel("psycopg2"), folder))
    seen = json.loads(run("linux", "tree", "--json", wheel).stdout)
    for node in seen["nodes"]:
        if node.get("path"):
            shutil.copyfile(node["path"], libraries / Path(node["path"]).name)
    done = run("linux", "repair", "-w", folder / "there", "--ldpaths", libraries, wheel)
    assert done.returncode == 0, done.stderr
    (repaired,) = (folder / "there").iterdir()
    return Work(wheel, repaired, libraries, folder)


COMMANDS = {
    "show": "show --ldpaths {libraries} {wheel}",
    "show of the machine": "show {wheel}",
    "show --json": "show --json --ldpaths {libraries} {repaired}",
    "tree": "tree --ldpaths {libraries} {wheel}",
    "tree of a file": "tree {libraries}/libpq.so.5",
    "tree as a picture": "tree --format svg {repaired}",
    "verify": "verify {repaired}",
    "explain": "explain --ldpaths {libraries} {wheel}",
    "diff": "diff {wheel} {repaired}",
    "diff of files": "diff {libraries}/libpq.so.5 {libraries}/libssl.so.3",
    "report": "report -o - --before {wheel} --ldpaths {libraries} {repaired}",
    "lddtree": "lddtree --ldpaths {libraries} {libraries}/libpq.so.5",
    "patch --print": "patch --print {libraries}/libpq.so.5",
    "dry run": "repair --dry-run --ldpaths {libraries} {wheel}",
    "no wheel": "show {libraries}",
    "no file": "show {folder}/none.whl",
    "not reached": "repair -w {folder}/nowhere --plat manylinux_2_5_x86_64 --ldpaths {libraries} {wheel}",
    "settings": "--show-settings repair",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_is_said(name: str, work: Work) -> None:
    arguments = [part.format(**work._asdict()) for part in COMMANDS[name].split()]
    here = run("linux", *arguments)
    assert here.stdout or here.stderr
    for system in SYSTEMS:
        there = run(system, *arguments)
        assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr), system
    assert not (work.folder / "nowhere").exists()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_same_is_written(system: str, work: Work, tmp_path: Path) -> None:
    """The wheel; then again from the cache; then in place of itself; then an ELF file in its place."""
    options = ["--ldpaths", work.libraries, "--cache-dir", tmp_path / "cache"]
    for folder in ("first", "again"):
        done = run(system, "repair", "-w", tmp_path / folder, *options, work.wheel)
        assert done.returncode == 0, done.stderr
        (made,) = (tmp_path / folder).iterdir()
        assert made.name == work.repaired.name
        assert made.read_bytes() == work.repaired.read_bytes()
    done = run(system, "repair", "-w", tmp_path / "again", made)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in (tmp_path / "again").iterdir()] == [work.repaired.read_bytes()]
    libraries = [Path(shutil.copy(work.libraries / "libpq.so.5", tmp_path / name)) for name in ("here.so", "there.so")]
    for where, library in zip(("linux", system), libraries, strict=True):
        done = run(where, "patch", "--set-runpath", "$ORIGIN/below", library)
        assert done.returncode == 0, done.stderr
    assert libraries[0].read_bytes() == libraries[1].read_bytes()
    done = run(system, "report", "-o", tmp_path / "page.html", made)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_failure_leaves_nothing(system: str, work: Work, tmp_path: Path) -> None:
    """A library that no longer is what was looked at: found late, when files are open."""
    program = tmp_path / "fail.py"
    program.write_text(
        "import sys\n"
        "from fastwheel import repair, FastwheelError\n"
        "from fastwheel.wheel import writer\n"
        "from fastwheel import job\n"
        "def prove(*_, **__): raise FastwheelError('no good', code='FW900')\n"
        "job.prove = prove\n"
        f"try: repair({str(work.wheel)!r}, {str(tmp_path / 'out')!r}, ldpaths={str(work.libraries)!r})\n"
        "except FastwheelError as error: print(error.code)\n"
    )
    line = [sys.executable, PROGRAM, system, "--script", program]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300)
    assert done.stdout == "FW900\n", done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_name_of_another_spelling_is_no_hit(system: str, work: Work, tmp_path: Path) -> None:
    """Their file systems would open it (a link stands for that here); a Linux loader would not find it."""
    folder = tmp_path / "spelled"
    shutil.copytree(work.libraries, folder)
    program = tmp_path / "look.py"
    program.write_text(
        "import os\n"
        "real, folder = os.stat, " + repr(str(folder)) + "\n"
        "def stat(path, **options):\n"
        "    return real(path.replace('LIBPQ', 'libpq') if isinstance(path, str) else path, **options)\n"
        "os.stat = stat\n"
        "from fastwheel.deps.search import Search\n"
        "from fastwheel.policy.arch import Arch, Libc\n"
        "files = Search(Libc.GLIBC, Arch.X86_64).files\n"
        "print(files.look(folder + '/libpq.so.5') is not None, files.look(folder + '/LIBPQ.so.5'))\n"
    )
    line = [sys.executable, PROGRAM, system, "--script", program]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300)
    assert done.stdout == "True None\n", done.stderr


WINDOWS = """
import ntpath, os, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
from fastwheel import portable
from fastwheel.deps.files import Root
from fastwheel.deps.search import Search
from fastwheel.policy.arch import Arch, Libc

assert portable.HOLDS_OPEN and portable.IGNORES_CASE
assert portable.is_absolute("C:/libs/libx.so") and portable.is_absolute("/lib") and not portable.is_absolute("pkg/x.so")
assert portable.slashed("C:\\\\libs\\\\libx.so") == "C:/libs/libx.so"
# Whatever a wheel says, no other machine is asked.
root = Root("/")
for path in ("//evil/share/lib", "\\\\\\\\evil\\\\share", "/\\\\evil/share"):
    assert root.host(path) in ("/evil/share/lib", "/evil/share"), root.host(path)
    assert Search(Libc.GLIBC, Arch.X86_64).absolute(path).startswith("/evil")

# One descriptor, many threads: each reads and writes where it says, and the position stays.
with tempfile.TemporaryFile() as file:
    fd = file.fileno()
    file.write(b"".join(index.to_bytes(4, "little") for index in range(4096)))
    file.flush()
    before = os.lseek(fd, 0, os.SEEK_CUR)
    def one(index):
        assert portable.pread(fd, 4, 4 * index) == index.to_bytes(4, "little"), index
        assert portable.pwrite(fd, memoryview(index.to_bytes(4, "big")), 4 * (8192 + index)) == 4
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, list(range(4096)) * 4))
    assert os.lseek(fd, 0, os.SEEK_CUR) == before
    assert portable.pread(fd, 1 << 20, 4 * 8192) == b"".join(index.to_bytes(4, "big") for index in range(4096))
    assert portable.pread(fd, 4, 1 << 20) == b""
print("done")
"""


def test_what_stands_in_on_windows(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WINDOWS)
    line = [sys.executable, PROGRAM, "win32", "--script", program]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr
