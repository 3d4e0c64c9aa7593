"""The same answers as this machine's loader gives: for its own libraries, and for every kind of path."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from fastwheel.deps import Search, Via, trace
from fastwheel.policy import Arch, Libc

#: "name => path (address)", or just "path (address)" where both are the same
LINE = re.compile(r"\s+(?P<name>\S+)(?: => (?P<path>.*?))?(?: \(0x[0-9a-f]+\))?")
LOADER = Path("/lib64/ld-linux-x86-64.so.2")


def of_the_loader(
    path: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> dict[str, str | None]:
    done = subprocess.run(
        [LOADER, path],
        capture_output=True,
        text=True,
        env={**(environ or {}), "LD_TRACE_LOADED_OBJECTS": "1"},
        cwd=cwd,
        check=False,
    )
    found: dict[str, str | None] = {}
    for line in done.stdout.splitlines():
        match = LINE.fullmatch(line)
        if match and not match["name"].startswith(("linux-vdso", str(LOADER))):
            path_found = match["path"] or match["name"]
            found[match["name"]] = None if path_found == "not found" else path_found
    return found


def of_ours(path: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> dict[str, str | None]:
    graph = trace(path, Search(Libc.GLIBC, Arch.X86_64, native=Arch.X86_64, environ=environ, cwd=cwd))
    found: dict[str, str | None] = {}
    for edges in graph.edges.values():
        for edge in edges:
            found.setdefault(edge.needed, graph.objects[edge.target].path if edge.target else None)
    return found


def check(path: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> dict[str, str | None]:
    """Assert that both agree, compared by what was opened, and return it."""
    theirs, ours = of_the_loader(path, environ, cwd), of_ours(path, environ, cwd)
    ours = {k: v for k, v in ours.items() if not k.startswith("ld-linux")}
    assert {k: v and norm(v, cwd) for k, v in ours.items()} == {k: v and norm(v, cwd) for k, v in theirs.items()}
    return {k: v and norm(v, cwd) for k, v in ours.items()}


def norm(path: str, cwd: Path | None) -> str:
    return os.path.normpath(os.path.join(cwd or "/", path))


def test_this_machines_libraries() -> None:
    """At least 200 files, every DT_NEEDED of their closures: the path as found, not just the same file."""
    folder = Path("/usr/lib/x86_64-linux-gnu")
    names = sorted({*folder.glob("*.so*"), *folder.glob("*/*.so"), *Path("/usr/lib/python3").glob("**/*.so")})
    files = sorted({p.resolve() for p in names if p.is_file()})
    files = [p for p in files if p.read_bytes()[:4] == b"\x7fELF" and p.name != "libc.so.6"]
    random.Random(20).shuffle(files)
    compared = needed = 0
    for path in files:
        theirs = of_the_loader(path)
        if not theirs:
            continue  # needs nothing, or is no file that the loader runs
        ours = {k: v for k, v in of_ours(path).items() if not k.startswith("ld-linux")}
        assert ours == theirs, path
        compared += 1
        needed += len(theirs)
        if compared == 220:
            break
    assert compared >= 200
    assert needed > 800


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_own_path(tmp_path: Path, library, kind: str) -> None:
    library(tmp_path / "b" / "libb.so")
    a = library(tmp_path / "a" / "liba.so", "libb.so", **{kind: "$ORIGIN/../b"})
    assert check(a) == {"libb.so": str(tmp_path / "b" / "libb.so")}


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_inheritance(tmp_path: Path, library, kind: str) -> None:
    """RPATH reaches the libraries of libraries, RUNPATH does not."""
    library(tmp_path / "x" / "libc1.so")
    library(tmp_path / "x" / "libb.so", "libc1.so")
    a = library(tmp_path / "liba.so", "libb.so", **{kind: "${ORIGIN}/x"})
    found = check(a)
    assert (found["libc1.so"] is not None) == (kind == "rpath")


def test_a_runpath_shuts_out_every_rpath(tmp_path: Path, library) -> None:
    library(tmp_path / "x" / "libc1.so")
    library(tmp_path / "x" / "libb.so", "libc1.so", runpath="/nowhere")
    a = library(tmp_path / "liba.so", "libb.so", rpath="$ORIGIN/x")
    assert check(a)["libc1.so"] is None


def test_an_rpath_reaches_past_a_runpath_in_between(tmp_path: Path, library) -> None:
    library(tmp_path / "y" / "libd.so")
    library(tmp_path / "x" / "libc1.so", "libd.so")
    library(tmp_path / "x" / "libb.so", "libc1.so", runpath="$ORIGIN")
    a = library(tmp_path / "liba.so", "libb.so", rpath="$ORIGIN/x:$ORIGIN/y")
    assert check(a)["libd.so"] == str(tmp_path / "y" / "libd.so")


def test_the_nearest_rpath_comes_first(tmp_path: Path, library) -> None:
    for folder in "xy":
        library(tmp_path / folder / "libc1.so")
    library(tmp_path / "x" / "libb.so", "libc1.so", rpath="$ORIGIN/../y")
    a = library(tmp_path / "liba.so", "libb.so", rpath="$ORIGIN/x")
    assert check(a)["libc1.so"] == str(tmp_path / "y" / "libc1.so")


@pytest.mark.parametrize(("kind", "winner"), [("rpath", "x"), ("runpath", "env")])
def test_the_environment_lies_between(tmp_path: Path, library, kind: str, winner: str) -> None:
    for folder in ("x", "env"):
        library(tmp_path / folder / "libb.so")
    a = library(tmp_path / "liba.so", "libb.so", **{kind: "$ORIGIN/x"})
    environ = {"LD_LIBRARY_PATH": str(tmp_path / "env")}
    assert check(a, environ)["libb.so"] == str(tmp_path / winner / "libb.so")


@pytest.mark.parametrize("value", ["{0}/x:{0}/y", "{0}/y;{0}/x", "/nowhere::{0}/y", "x", ":", "x/:y//", ""])
def test_forms_of_ld_library_path(tmp_path: Path, library, value: str) -> None:
    for folder in ("x", "y", "."):
        library(tmp_path / folder / "libb.so")
    a = library(tmp_path / "z" / "liba.so", "libb.so")
    check(a, {"LD_LIBRARY_PATH": value.format(tmp_path)}, cwd=tmp_path)


@pytest.mark.parametrize("value", ["x", "", ":", "$ORIGIN/../x:", "$ORIGINAL/x", "${ORIGIN", "$ORIGIN/../x/."])
@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_forms_of_paths(tmp_path: Path, library, kind: str, value: str) -> None:
    for folder in ("x", "."):
        library(tmp_path / folder / "libb.so")
    a = library(tmp_path / "z" / "liba.so", "libb.so", **{kind: value})
    check(a, cwd=tmp_path)


def test_a_library_loaded_before_serves_by_its_name_and_its_soname(tmp_path: Path, library) -> None:
    library(tmp_path / "x" / "libfile.so", soname="libson.so.1")
    library(tmp_path / "x" / "libb.so", "libfile.so", "libson.so.1")
    a = library(tmp_path / "liba.so", "libfile.so", "libb.so", runpath="$ORIGIN/x")
    path = str(tmp_path / "x" / "libfile.so")
    theirs = of_the_loader(a)  # the loader lists a file once, under the first name
    ours = of_ours(a)
    assert theirs["libfile.so"] == ours["libfile.so"] == ours["libson.so.1"] == path
    assert None not in theirs.values()


@pytest.mark.parametrize("order", [("libfile.so", "libson.so.1"), ("libson.so.1", "libfile.so")])
def test_a_soname_serves_the_next_name(tmp_path: Path, library, order: tuple[str, str]) -> None:
    library(tmp_path / "x" / "libfile.so", soname="libson.so.1")
    library(tmp_path / "x" / "libson.so.1")
    a = library(tmp_path / "liba.so", *order, runpath="$ORIGIN/x")
    opened = {str(tmp_path / "x" / name) for name in order[: 1 if order[0] == "libfile.so" else 2]}
    assert set(of_the_loader(a).values()) == set(of_ours(a).values()) == opened


def test_breadth_first_and_the_first_wins(tmp_path: Path, library) -> None:
    """libd comes from where liba's own needs found it, though libb would find another."""
    library(tmp_path / "x" / "libd.so")
    library(tmp_path / "y" / "libd.so")
    library(tmp_path / "x" / "libb.so", "libd.so", runpath="$ORIGIN/../y")
    a = library(tmp_path / "liba.so", "libb.so", "libd.so", runpath="$ORIGIN/x")
    assert check(a)["libd.so"] == str(tmp_path / "x" / "libd.so")
    graph = trace(a, Search(Libc.GLIBC, Arch.X86_64, native=Arch.X86_64))
    assert [e.via for e in graph.edges[str(tmp_path / "x" / "libb.so")]] == [Via.LOADED]


def test_origin_is_where_the_link_lies(tmp_path: Path, library) -> None:
    library(tmp_path / "links" / "libc1.so")
    library(tmp_path / "real" / "libc1.so")
    library(tmp_path / "real" / "libb.so", "libc1.so", runpath="$ORIGIN")
    (tmp_path / "links" / "libb.so").symlink_to("../real/libb.so")
    a = library(tmp_path / "liba.so", "libb.so", runpath="$ORIGIN/links")
    assert check(a)["libc1.so"] == str(tmp_path / "links" / "libc1.so")


def test_nodeflib(tmp_path: Path, library) -> None:
    a = library(tmp_path / "liba.so", "libm.so.6", flags=("-Wl,-z,nodefaultlib",))
    assert check(a)["libm.so.6"] is None


def test_platform_and_lib_tokens(tmp_path: Path, library) -> None:
    library(tmp_path / "lib" / "x86_64-linux-gnu" / "libb.so")
    a = library(tmp_path / "liba.so", "libb.so", runpath="$ORIGIN/$LIB")
    assert check(a)["libb.so"] == str(tmp_path / "lib" / "x86_64-linux-gnu" / "libb.so")


@pytest.mark.parametrize("name", ["sub/libb.so", "./libb.so", "$ORIGIN/sub/libb.so"])
def test_needed_paths_of_system_files(tmp_path: Path, library, name: str) -> None:
    """The loader follows a relative path from the current folder; we follow absolute ones and $ORIGIN only."""
    library(tmp_path / "sub" / "libb.so")
    a = library(tmp_path / "liba.so", name)
    ours = of_ours(a)[name]
    if name.startswith("$"):
        assert ours == f"{tmp_path}/sub/libb.so"
        assert list(of_the_loader(a).values()) == [ours]
    else:
        assert ours is None


def test_wrong_class_is_passed_over(tmp_path: Path, library) -> None:
    path = library(tmp_path / "x" / "libb.so")
    data = bytearray(path.read_bytes())
    data[18] = 183  # e_machine: AArch64
    path.write_bytes(data)
    library(tmp_path / "y" / "libb.so")
    a = library(tmp_path / "liba.so", "libb.so", runpath="$ORIGIN/x:$ORIGIN/y")
    assert check(a)["libb.so"] == str(tmp_path / "y" / "libb.so")
    graph = trace(a, Search(Libc.GLIBC, Arch.X86_64, native=Arch.X86_64))
    assert graph.edges[str(a)][0].tried == (f"{path}: for another processor: aarch64",)
