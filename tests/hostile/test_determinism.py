"""The same bytes whatever the folder, locale, umask, clock, hash seed, user, number of threads, order or Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import packaging
import pytest
from arena import NAME, Arena, Call, Server, Tools, parts_of
from test_atomic import shimmed  # noqa: F401 - a fixture
from zipkit import Part, assemble

import fastwheel

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may walk to."""
    folder = Path(tempfile.mkdtemp(prefix="fastwheel-same-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def sandbox(folder: Path, tools: Tools, server: Server) -> Arena:
    """A wheel with two grafts, many names, and enough bytes for several threads."""
    arena = Arena(folder, tools, server)
    other = tools.compile("libfwother.so.2", "int other(void) { return 1; }", "-Wl,-soname,libfwother.so.2")
    (arena.system / "libfwother.so.2").write_bytes(other + bytes(3 << 20))
    needy = tools.compile(
        "needy.so", "int other(void); int x(void) { return other(); }", str(tools.folder / "libfwother.so.2")
    )
    names = [f"demo/{name}" for name in ("é", "日本", "Z", "a,b", 'q"', "_", "~")]
    more = [Part(name, name.encode() * 50) for name in names]
    arena.save(assemble(parts_of(tools, *more, Part("demo/needy.so", needy), Part("demo/second.so", needy + bytes(5)))))
    arena.out.mkdir()
    arena.out.chmod(0o777)
    return arena


def repaired(arena: Arena, *args: str, call: Call | None = None, environ: dict[str, str] | None = None) -> bytes:
    """Repair and return the one output."""
    for path in arena.out.iterdir():
        path.unlink()
    call = call or Call()
    call.environ = {**call.environ, **(environ or {})}
    done = arena.run(["repair", *args, "-w", str(arena.out), str(arena.folder / "in" / NAME)], call)
    assert done.status == 0, done.stderr
    (output,) = arena.out.iterdir()
    return output.name.encode() + output.read_bytes()


LATIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CHANGES: dict[str, Callable[[Arena], bytes]] = {
    "folder": lambda a: repaired(a, call=Call(options={"cwd": "/"})),
    "relative": lambda a: repaired(a, call=Call(options={"cwd": str(a.folder / "in")})),
    "temporary-folder": lambda a: repaired(a, environ={"TMPDIR": "/gone"}),
    "no-environment": lambda a: repaired(a, environ={"HOME": "", "TMPDIR": "", "LC_ALL": ""}),
    "locale": lambda a: repaired(a, environ={"LC_ALL": "C"}, call=Call(options={"exec": True})),
    "locale-latin": lambda a: repaired(a, environ=LATIN, call=Call(options={"exec": True})),
    "hash-seed-0": lambda a: repaired(a, environ={"PYTHONHASHSEED": "0"}, call=Call(options={"exec": True})),
    "hash-seed-1": lambda a: repaired(a, environ={"PYTHONHASHSEED": "1"}, call=Call(options={"exec": True})),
    "hash-seed-77": lambda a: repaired(a, environ={"PYTHONHASHSEED": "77"}, call=Call(options={"exec": True})),
    "umask-0": lambda a: repaired(a, call=Call(options={"umask": 0})),
    "umask-77": lambda a: repaired(a, call=Call(options={"umask": 0o077})),
    "zone": lambda a: repaired(a, environ={"TZ": "Asia/Kathmandu"}, call=Call(options={"exec": True})),
    "clock-back": lambda a: repaired(a, environ={"FW_SHIM_CLOCK": "-700000000"}),
    "clock-ahead": lambda a: repaired(a, environ={"FW_SHIM_CLOCK": "900000000"}),
    "jobs-1": lambda a: repaired(a, "--jobs", "1"),
    "jobs-2": lambda a: repaired(a, "--jobs", "2"),
    "jobs-7": lambda a: repaired(a, "--jobs", "7"),
    "plain-user": lambda a: repaired(a, call=Call(options={"user": NOBODY})),
    "read-only-home": lambda a: [(a.folder / "home").chmod(0o555), repaired(a, call=Call(options={"user": NOBODY}))][1],
    "cache-filled": lambda a: repaired(a, "--cache-dir", str(a.folder / "home" / "cache")),
    "cache-used": lambda a: [repaired(a, "--cache-dir", str(a.folder / "home" / "cache")) for _ in range(2)][1],
    "verbose": lambda a: repaired(a, "-v", "-v"),
    "untrusted": lambda a: repaired(a, "--untrusted"),
    "touched-input": lambda a: [os.utime(a.folder / "in" / NAME, (1, 1)), repaired(a)][1],
    "touched-library": lambda a: [os.utime(a.system / "libfwother.so.2", (1, 1)), repaired(a)][1],
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_same_bytes(open_folder: Path, tools: Tools, shimmed: Server, name: str) -> None:  # noqa: F811
    arena = sandbox(open_folder / "arena", tools, shimmed)
    plain = repaired(arena)
    assert CHANGES[name](arena) == plain


def test_second_repair_copies(open_folder: Path, tools: Tools, server: Server) -> None:
    arena = sandbox(open_folder / "arena", tools, server)
    repaired(arena)
    (first,) = arena.out.iterdir()
    again = arena.folder / "again"
    done = arena.run(["repair", "-w", str(again), str(first)], Call(environ={"LD_LIBRARY_PATH": ""}))
    assert done.status == 0, done.stderr
    assert [path.name for path in again.iterdir()] == [first.name]
    assert (again / first.name).read_bytes() == first.read_bytes()


def test_order_of_wheels_and_of_the_folder(open_folder: Path, tools: Tools, server: Server) -> None:
    """Several wheels in one call, in either order; and a library folder whose files were made in either order."""
    arena = sandbox(open_folder / "arena", tools, server)
    shutil.copy(arena.folder / "in" / NAME, arena.folder / "in" / NAME.replace("py3", "py2"))
    files = {path.name: path.read_bytes() for path in arena.system.iterdir()}
    results = []
    for backwards in (False, True):
        shutil.rmtree(arena.system)
        shutil.rmtree(arena.out)
        arena.system.mkdir()
        for name in sorted(files, reverse=backwards):
            (arena.system / name).write_bytes(files[name])
        both = sorted(map(str, (arena.folder / "in").iterdir()), reverse=backwards)
        done = arena.run(["repair", "-w", str(arena.out), *both], Call())
        assert done.status == 0, done.stderr
        results.append({path.name: path.read_bytes() for path in arena.out.iterdir()})
    assert len(results[0]) == 2
    assert results[0] == results[1]


def interpreters() -> list[str]:
    """Every CPython of this machine that fastwheel supports, one of each minor version, this one first."""
    found = {sys.version_info[:2]: sys.executable}
    places = [place / "bin" for place in sorted(Path.home().glob(".pyenv/versions/*"))]
    places += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for place in places:
        for path in place.glob("python3.*"):
            match = re.fullmatch(r"python3\.(\d+)", path.name)
            version = (3, int(match[1])) if match else (0, 0)
            # Some are no interpreters but programs that look for one.
            if version >= (3, 10) and version not in found and not subprocess.call([path, "-c", ""], stderr=-3):
                found[version] = str(path)
    return list(found.values())


@pytest.mark.parametrize("engine", ["rust", "python"])
@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).name)
def test_every_python(tmp_path: Path, tools: Tools, server: Server, python: str, engine: str) -> None:
    arena = sandbox(tmp_path / "arena", tools, server)
    # Stored, because the pure engine deflates with whatever zlib the interpreter has.
    level = ["-z", "0"] if engine == "python" else []
    plain = repaired(arena, *level, environ={"FASTWHEEL_ENGINE": engine}, call=Call(options={"exec": True}))
    needs = {Path(module.__file__ or "").parent for module in (fastwheel, click, packaging)}
    shelf = tmp_path / "shelf"  # these packages only, whatever else lies beside them
    shelf.mkdir()
    for need in needs:
        (shelf / need.name).symlink_to(need)
    for path in arena.out.iterdir():
        path.unlink()
    environ = {**arena.environ(), "PYTHONPATH": str(shelf), "FASTWHEEL_ENGINE": engine}
    line = [python, "-m", "fastwheel", "repair", *level, "-w", arena.out, arena.folder / "in" / NAME]
    done = subprocess.run(line, env=environ, capture_output=True, text=True, cwd=arena.folder)
    assert done.returncode == 0, done.stderr
    (output,) = arena.out.iterdir()
    assert output.name.encode() + output.read_bytes() == plain
