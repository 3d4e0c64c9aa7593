"""What may lie under a library's name and is not that library: passed over with the reason, never followed blindly."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastwheel.deps import Search, Via, build_graph, missing, trace
from fastwheel.errors import FastwheelError
from fastwheel.policy import Arch, Libc


def patched(offset: int, value: int) -> Callable[[Path, Path], None]:
    def make(path: Path, good: Path) -> None:
        data = bytearray(good.read_bytes())
        data[offset] = value
        path.write_bytes(data)

    return make


def truncated(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:100])


def unreadable(path: Path, good: Path) -> None:
    shutil.copyfile(good, path)
    path.chmod(0)


def loop(path: Path, good: Path) -> None:
    path.symlink_to("other.so")
    path.with_name("other.so").symlink_to(path.name)


FAULTS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "loop of links": (loop, "a loop of symbolic links"),
    "dangling link": (lambda p, g: p.symlink_to("nowhere"), "a dangling symbolic link"),
    "folder": (lambda p, g: p.mkdir(), "a folder"),
    "link to a folder": (lambda p, g: p.symlink_to("."), "a folder"),
    "fifo": (lambda p, g: os.mkfifo(p), "not a regular file"),
    "device": (lambda p, g: p.symlink_to("/dev/zero"), "not a regular file"),
    "empty": (lambda p, g: p.write_bytes(b""), "an empty file"),
    "text": (lambda p, g: p.write_text("hello"), "not an ELF file"),
    "linker script": (
        lambda p, g: p.write_text("/* GNU ld script */\nINPUT(libfoo.so.1)\n"),
        "a linker script, not an ELF file",
    ),
    "truncated": (truncated, "a damaged ELF file"),
    "magic only": (lambda p, g: p.write_bytes(b"\x7fELF"), "a damaged ELF file"),
    "other machine": (patched(18, 183), "for another processor: aarch64"),
    "other OS ABI": (patched(7, 9), "for another system: ELF OS ABI 9"),
    "program": (lambda p, g: shutil.copyfile(build_program(g), p), "not a shared library"),
}


def build_program(good: Path) -> Path:
    path = good.with_name("program")
    subprocess.run(
        ["gcc", "-no-pie", "-nostdlib", "-x", "c", "-", "-o", path], input=b"void _start(void) {}", check=True
    )
    return path


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("rooted", [False, True])
def test_faulty_candidates_are_passed_over(tmp_path: Path, library, facts, fault: str, rooted: bool) -> None:
    good = library(tmp_path / "good" / "libfoo.so")
    (tmp_path / "bad").mkdir()
    make, reason = FAULTS[fault]
    make(tmp_path / "bad" / "libfoo.so", good)
    root = tmp_path if rooted else Path("/")
    top = "" if rooted else str(tmp_path)

    def graph(ldpaths: str):
        members = {"a.so": facts("libfoo.so")}
        return build_graph(members, Search(Libc.GLIBC, Arch.X86_64, root=root, ldpaths=ldpaths), opaque=lambda _: False)

    previous = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(20)
    try:
        found, lost = graph(f"{top}/bad:{top}/good"), graph(f"{top}/bad")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    (edge,) = found.edges["a.so"]
    assert edge.target == str(good)
    if rooted and fault == "device":
        reason = "a dangling symbolic link"  # /dev is not below the root
    assert len(edge.tried) == 1
    assert edge.tried[0].startswith(f"{tmp_path}/bad/libfoo.so: {reason}")
    ((key, edge),) = missing(lost)
    assert (key, edge.target, edge.via) == ("a.so", None, Via.MISSING)
    assert edge.tried[0] == f"--ldpaths ({top}/bad)"
    assert edge.tried[1].startswith(f"{tmp_path}/bad/libfoo.so: {reason}")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_an_unreadable_candidate_is_passed_over(open_folder: Path, library, facts) -> None:
    good = library(open_folder / "good" / "libfoo.so")
    unreadable(library(open_folder / "bad" / "libfoo.so"), good)
    (library(open_folder / "shut" / "libfoo.so")).parent.chmod(0)
    search = Search(Libc.GLIBC, Arch.X86_64, ldpaths=":".join(f"{open_folder}/{x}" for x in ("shut", "bad", "good")))
    members = {"a.so": facts("libfoo.so")}
    build_graph(members, Search(Libc.GLIBC, Arch.X86_64, ldpaths=str(good.parent)), opaque=lambda _: False)  # imports
    if root := os.geteuid() == 0:  # who may read everything
        os.seteuid(65534)
    try:
        graph = build_graph(members, search, opaque=lambda _: False)
    finally:
        if root:
            os.seteuid(0)
        (open_folder / "shut").chmod(0o755)
    (edge,) = graph.edges["a.so"]
    assert edge.target == str(good)
    assert edge.tried == tuple(f"{open_folder}/{x}/libfoo.so: not readable" for x in ("shut", "bad"))


def test_libraries_of_another_libc_are_passed_over(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "a" / "libfoo.so", "libc.so.6")
    library(tmp_path / "b" / "libfoo.so", "libc.musl-x86_64.so.1")
    members = {"a.so": facts("libfoo.so")}
    for libc, folder in ((Libc.GLIBC, "a"), (Libc.MUSL, "b")):
        for order in ("a:{0}/b", "b:{0}/a"):
            search = Search(libc, Arch.X86_64, ldpaths=f"{tmp_path}/{order.format(tmp_path)}")
            graph = build_graph(members, search, opaque=lambda name: name.startswith("libc."))
            assert graph.edges["a.so"][0].target == f"{tmp_path}/{folder}/libfoo.so"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a" * 300, "lib\nfoo.so", "lib\udcfffoo.so", "../good/libfoo.so", "/etc/passwd", "\x1b[2J"]
)
def test_odd_names(tmp_path: Path, library, facts, name: str) -> None:
    library(tmp_path / "good" / "libfoo.so")
    members = {"pkg/a.so": facts(name, runpath=f"{tmp_path}/good:$ORIGIN")}
    search = Search(Libc.GLIBC, Arch.X86_64, ldpaths=f"{tmp_path}/good")
    graph = build_graph(members, search, opaque=lambda _: False)
    ((_, edge),) = missing(graph)
    assert edge.needed == name
    for text in (edge.how, *edge.tried):
        assert text.isprintable()


def test_an_absolute_needed_is_followed_inside_the_search_path(tmp_path: Path, library, facts) -> None:
    """The linker records a library without DT_SONAME by the path it was given; a wheel may not name just any file."""
    path = str(library(tmp_path / "libfoo.so"))
    outside = str(library(tmp_path / "elsewhere" / "libbar.so"))
    members = {"a.so": facts(path, f"{tmp_path}/none.so", "sub/relative.so", outside)}
    search = Search(Libc.GLIBC, Arch.X86_64, lib_paths=[str(tmp_path)])
    found, none, relative, other = build_graph(members, search, opaque=lambda _: False).edges["a.so"]
    assert found.target == path
    assert other.missing
    assert other.tried[-1] == f"{outside}: a path of a wheel's file counts only inside the search path"
    assert none.missing
    assert none.tried[-1] == f"{tmp_path}/none.so: no such file"
    assert relative.missing
    assert relative.tried[-1] == "it is a path that begins nowhere in particular"


def test_trace_of_what_cannot_be_read(tmp_path: Path) -> None:
    search = Search(Libc.GLIBC, Arch.X86_64)
    (tmp_path / "text").write_text("text")
    for name, reason in (("nothing", "no such file"), ("text", "not an ELF file"), (".", "a folder")):
        with pytest.raises(FastwheelError, match=reason) as error:
            trace(tmp_path / name, search)
        assert error.value.code == "FW501"


def test_one_file_is_read_once(tmp_path: Path, library, facts) -> None:
    from fastwheel import engine

    good = library(tmp_path / "x" / "libfoo.so")
    os.link(good, tmp_path / "x" / "libbar.so")
    (tmp_path / "x" / "libbaz.so").symlink_to("libfoo.so")
    read: list[str] = []

    def counting(path: str):
        read.append(path)
        return engine.read_file(path)

    search = Search(Libc.GLIBC, Arch.X86_64, ldpaths=f"{tmp_path}/x", read=counting)
    members = {f"a{i}.so": facts("libfoo.so", "libbar.so", "libbaz.so") for i in range(5)}
    graph = build_graph(members, search, opaque=lambda _: False)
    assert read == [str(good)]
    assert {e.target for e in graph.edges["a0.so"]} == {str(good)}
