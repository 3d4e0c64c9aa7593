"""The same answers as musl's loader, where its rules differ from glibc's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fastwheel.deps import Search, trace
from fastwheel.policy import Arch, Libc

LOADER = Path("/lib/ld-musl-x86_64.so.1")
LINE = re.compile(r"\s+(?P<name>\S+) => (?P<path>.*?)(?: \(0x[0-9a-f]+\))?")


def of_musl(path: Path, environ: dict[str, str], cwd: Path) -> dict[str, str]:
    done = subprocess.run([LOADER, "--list", path], capture_output=True, text=True, env=environ, cwd=cwd, check=False)
    return {m["name"]: m["path"] for line in done.stdout.splitlines() if (m := LINE.fullmatch(line))}


def of_ours(path: Path, environ: dict[str, str], cwd: Path) -> dict[str, str]:
    graph = trace(path, Search(Libc.MUSL, Arch.X86_64, environ=environ, cwd=cwd))
    edges = [e for found in graph.edges.values() for e in found if e.target]
    return {e.needed: graph.objects[e.target].path for e in reversed(edges)}


@pytest.mark.parametrize(
    ("a", "b", "environ", "expected"),
    [
        ({"runpath": "$ORIGIN/x"}, {}, {}, "x"),  # handed down
        ({"rpath": "$ORIGIN/x"}, {}, {}, "x"),
        ({"rpath": "$ORIGIN/x"}, {"runpath": "/nowhere"}, {}, "x"),  # a RUNPATH shuts nothing out
        ({"rpath": "$ORIGIN/x"}, {"runpath": "$ORIGIN/../y"}, {}, "y"),  # the nearest first
        ({"rpath": "$ORIGIN/x"}, {"rpath": "$ORIGIN/../y"}, {"LD_LIBRARY_PATH": "{0}/env"}, "env"),
        ({"runpath": "$ORIGIN/x"}, {"rpath": "::{0}/y"}, {}, "y"),
        ({"runpath": "$ORIGIN/x"}, {"rpath": "$LIB:{0}/y"}, {}, "x"),  # an unknown token voids the whole path
        ({"runpath": "$ORIGIN/x"}, {"rpath": "y"}, {}, "y"),  # relative to the current folder
        ({"runpath": "$ORIGIN/x"}, {}, {"LD_LIBRARY_PATH": "/nowhere\n{0}/env"}, "env"),
        ({"runpath": "$ORIGIN/x"}, {}, {"LD_LIBRARY_PATH": "/nowhere;{0}/env"}, "x"),
        ({"runpath": "$ORIGIN/x"}, {}, {"LD_LIBRARY_PATH": ":"}, "x"),
    ],
)
def test_search_order(tmp_path: Path, library, a: dict, b: dict, environ: dict, expected: str) -> None:
    def filled(values: dict[str, str]) -> dict[str, str]:
        return {k: v.replace("{0}", str(tmp_path)) for k, v in values.items()}

    for folder in ("x", "y", "env", "."):
        library(tmp_path / folder / "libd.so")
    library(tmp_path / "x" / "libb.so", "libd.so", **filled(b))
    path = library(tmp_path / "liba.so", "libb.so", **filled(a))
    theirs, ours = of_musl(path, filled(environ), tmp_path), of_ours(path, filled(environ), tmp_path)
    assert {k: str((tmp_path / v).resolve()) for k, v in ours.items()} == {
        k: str((tmp_path / v).resolve()) for k, v in theirs.items()
    }
    assert (tmp_path / ours["libd.so"]).parent.name == expected


def test_a_soname_is_no_name(tmp_path: Path, library) -> None:
    """musl knows a loaded library by the name it was asked for, not by its DT_SONAME."""
    library(tmp_path / "x" / "libfile.so", soname="libson.so.1")
    library(tmp_path / "x" / "libb.so", "libson.so.1")
    path = library(tmp_path / "liba.so", "libfile.so", "libb.so", runpath="$ORIGIN/x")
    assert set(of_musl(path, {}, tmp_path)) == set(of_ours(path, {}, tmp_path)) == {"libfile.so", "libb.so"}
