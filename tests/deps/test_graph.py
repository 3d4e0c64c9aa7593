"""The graph of a wheel: what the loader would do, and the three rules that are the repairer's own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fastwheel._elf.model import Facts
from fastwheel.deps import Edge, Graph, Search, Via, build_graph, closure, missing
from fastwheel.policy import Arch, Libc


def build(
    members: Mapping[str, Facts],
    ldpaths: str = "",
    libc: Libc = Libc.GLIBC,
    opaque: Callable[[str], bool] = lambda _: False,
    **options: object,
) -> Graph:
    return build_graph(members, Search(libc, Arch.X86_64, ldpaths=ldpaths, **options), opaque=opaque)


def edge(graph: Graph, key: str, needed: str) -> Edge:
    (found,) = (e for e in graph.edges[key] if e.needed == needed)
    return found


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize(
    ("member", "path", "target"),
    [
        ("pkg/a.so", "$ORIGIN/../x.libs", "x.libs/libb.so"),
        ("a.so", "$ORIGIN/x.libs", "x.libs/libb.so"),
        ("a.so", "${ORIGIN}", "libb.so"),
        ("a.so", "$ORIGIN/", "libb.so"),
        ("pkg/sub/a.so", "/abs:$ORIGIN/../../x.libs/.", "x.libs/libb.so"),
        ("pkg/a.so", "$ORIGIN/../../site-packages/x.libs", None),  # climbs out: nobody knows what lies there
        ("pkg/a.so", "$ORIGIN/../../x.libs", None),
        ("pkg/a.so", "/$ORIGIN/../x.libs", None),
        ("pkg/a.so", "$ORIGIN_/../x.libs", None),
        ("pkg/a.so", "$ORIGIN/../missing.libs", None),
        ("../../../bin/a", "$ORIGIN/../lib", "../../../lib/libb.so"),
        ("../../../bin/a", "$ORIGIN/../lib/python3.12/site-packages/x.libs", None),
    ],
)
def test_paths_in_install_layout(facts, member: str, kind: str, path: str, target: str | None) -> None:
    libraries = {name: facts() for name in (target or "x.libs/libb.so", "other/libb.so")}
    graph = build({member: facts("libb.so", **{kind: path}), **libraries})
    found = edge(graph, member, "libb.so")
    assert found.target == target
    if target:
        assert found.via.value == kind
        assert found.how == f"{kind.upper()} of {member} ({path})"
        assert found.tried == ()
    else:
        assert found.tried[0] == f"{kind.upper()} of {member} ({path})"
        assert "2 files of that name (" in found.tried[-1]


def test_the_wheels_own_copy_wins_over_the_environment(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "env" / "libb.so")
    members = {"pkg/a.so": facts("libb.so", runpath="$ORIGIN/libs"), "pkg/libs/libb.so": facts()}
    environ = {"LD_LIBRARY_PATH": f"{tmp_path}/env"}
    graph = build_graph(members, Search(Libc.GLIBC, Arch.X86_64, environ=environ), opaque=lambda _: False)
    assert edge(graph, "pkg/a.so", "libb.so").target == "pkg/libs/libb.so"
    del members["pkg/libs/libb.so"]
    graph = build_graph(members, Search(Libc.GLIBC, Arch.X86_64, environ=environ), opaque=lambda _: False)
    found = edge(graph, "pkg/a.so", "libb.so")
    assert (found.target, found.via) == (f"{tmp_path}/env/libb.so", Via.ENVIRONMENT)
    assert found.how == f"LD_LIBRARY_PATH ({tmp_path}/env)"


def test_lib_paths_come_before_the_environment_and_rpaths(tmp_path: Path, library, facts) -> None:
    for folder in ("first", "rpath", "env"):
        library(tmp_path / folder / "libb.so")
    search = Search(
        Libc.GLIBC,
        Arch.X86_64,
        environ={"LD_LIBRARY_PATH": f"{tmp_path}/env"},
        lib_paths=[f"{tmp_path}/nowhere", f"{tmp_path}/first"],
    )
    graph = build_graph({"a.so": facts("libb.so", rpath=f"{tmp_path}/rpath")}, search, opaque=lambda _: False)
    found = edge(graph, "a.so", "libb.so")
    assert (found.target, found.via) == (f"{tmp_path}/first/libb.so", Via.LIB_PATH)


def test_inheritance_inside_the_wheel(facts) -> None:
    def members(**path: str) -> dict[str, Facts]:
        return {
            "a.so": facts("libb.so", **path),
            "libs/libb.so": facts("libc1.so"),
            "libs/libc1.so": facts(),
            "more/libc1.so": facts(),
        }

    found = edge(build(members(rpath="$ORIGIN/libs")), "libs/libb.so", "libc1.so")
    assert (found.target, found.via, found.how) == ("libs/libc1.so", Via.RPATH, "RPATH of a.so ($ORIGIN/libs)")
    assert edge(build(members(runpath="$ORIGIN/libs")), "libs/libb.so", "libc1.so").missing
    found = edge(build(members(runpath="$ORIGIN/libs"), libc=Libc.MUSL), "libs/libb.so", "libc1.so")
    assert found.target == "libs/libc1.so"  # musl hands a RUNPATH down too
    assert edge(build(members(rpath="$ORIGIN/libs"), libc=Libc.ANDROID), "a.so", "libb.so").via is Via.IN_WHEEL
    assert edge(build(members(runpath="$ORIGIN/libs"), libc=Libc.ANDROID), "a.so", "libb.so").via is Via.RUNPATH


def test_a_library_loaded_before_serves(facts) -> None:
    """Breadth-first: the module's own libraries are loaded before theirs."""
    graph = build(
        {
            "a.so": facts("libb.so", "libc1.so", runpath="$ORIGIN/libs"),
            "libs/libb.so": facts("libc1.so"),
            "libs/libc1.so": facts(),
            "other/libc1.so": facts(),
        }
    )
    found = edge(graph, "libs/libb.so", "libc1.so")
    assert (found.target, found.via) == ("libs/libc1.so", Via.LOADED)


def test_a_library_of_the_wheel_is_found_by_its_name(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "libb.so.1")
    members = {"pkg/a.so": facts("libb.so.1"), "pkg/deep/libb.so.1": facts()}
    found = edge(build(members, str(tmp_path)), "pkg/a.so", "libb.so.1")
    assert (found.target, found.via, found.how) == (
        "pkg/deep/libb.so.1",
        Via.IN_WHEEL,
        "in the wheel, out of the loader's reach",
    )
    by_soname = {"pkg/a.so": facts("libb.so.1"), "pkg/deep/libb.so": facts(soname="libb.so.1")}
    assert edge(build(by_soname, str(tmp_path)), "pkg/a.so", "libb.so.1").target == "pkg/deep/libb.so"
    # A file of that name goes before one of that soname; two files settle nothing.
    both = {**members, "pkg/libz.so": facts(soname="libb.so.1")}
    assert edge(build(both, str(tmp_path)), "pkg/a.so", "libb.so.1").target == "pkg/deep/libb.so.1"
    twice = {**members, "pkg/other/libb.so.1": facts()}
    assert edge(build(twice, str(tmp_path)), "pkg/a.so", "libb.so.1").target == f"{tmp_path}/libb.so.1"
    lost = edge(build(twice), "pkg/a.so", "libb.so.1")
    assert lost.missing
    assert lost.tried[-1] == "the wheel itself: 2 files of that name (pkg/deep/libb.so.1, pkg/other/libb.so.1)"
    foreign = {**members, "pkg/deep/libb.so.1": facts(machine=183)}
    assert edge(build(foreign, str(tmp_path)), "pkg/a.so", "libb.so.1").target == f"{tmp_path}/libb.so.1"


def test_system_libraries_prefer_the_system(tmp_path: Path, library, facts) -> None:
    """The machine's libfoo was linked to the machine's libbar; the wheel's serves it only where there is no other."""
    library(tmp_path / "libfoo.so", "libbar.so")
    members = {"a.so": facts("libfoo.so"), "libs/libbar.so": facts()}
    foo = f"{tmp_path}/libfoo.so"
    assert edge(build(members, str(tmp_path)), foo, "libbar.so").target == "libs/libbar.so"
    library(tmp_path / "libbar.so")
    assert edge(build(members, str(tmp_path)), foo, "libbar.so").target == f"{tmp_path}/libbar.so"
    members["a.so"] = facts("libfoo.so", "libbar.so", rpath="$ORIGIN/libs")
    found = edge(build(members, str(tmp_path)), foo, "libbar.so")
    assert (found.target, found.via) == ("libs/libbar.so", Via.LOADED)


def test_one_soname_at_two_paths_stays_apart(tmp_path: Path, library, facts) -> None:
    for folder in "xy":
        library(tmp_path / folder / "libdup.so.1")
    members = {
        "a.so": facts("libdup.so.1", runpath=f"{tmp_path}/x"),
        "b.so": facts("libdup.so.1", rpath=f"{tmp_path}/y"),
    }
    graph = build(members)
    assert edge(graph, "a.so", "libdup.so.1").target == f"{tmp_path}/x/libdup.so.1"
    assert edge(graph, "b.so", "libdup.so.1").target == f"{tmp_path}/y/libdup.so.1"
    assert graph.notes == ()
    # Also within one process, where the loader would give both the first: said in a note.
    members = {
        "root.so": facts("liba.so", "libb.so", runpath="$ORIGIN"),
        "liba.so": members["a.so"],
        "libb.so": members["b.so"],
    }
    graph = build(members)
    assert edge(graph, "liba.so", "libdup.so.1").target == f"{tmp_path}/x/libdup.so.1"
    assert edge(graph, "libb.so", "libdup.so.1").target == f"{tmp_path}/y/libdup.so.1"
    (note,) = graph.notes
    assert note.startswith(f"libb.so finds libdup.so.1 at {tmp_path}/y/libdup.so.1 by its own path, ")
    assert note.endswith(f"though {tmp_path}/x/libdup.so.1 is loaded before: both are kept")


def test_a_library_that_only_some_roots_can_find(facts) -> None:
    """What one root could not resolve another may; what only one loader reaches is said to be out of reach."""
    libraries = {"libs/libb.so": facts("libc1.so"), "libs/libc1.so": facts()}
    good, bad = facts("libb.so", rpath="$ORIGIN/libs"), facts("libb.so", runpath="$ORIGIN/libs")
    for first, second in (("a.so", "b.so"), ("b.so", "a.so")):
        graph = build({first: good, second: bad, **libraries})
        assert edge(graph, "libs/libb.so", "libc1.so").via is Via.IN_WHEEL


def test_opaque_names_end_the_walk(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "libfoo.so", "libbar.so")
    graph = build({"a.so": facts("libfoo.so", "libfoo.so")}, str(tmp_path), opaque=lambda name: name == "libfoo.so")
    assert graph.edges == {"a.so": (Edge("libfoo.so", None, "provided by the system", (), Via.PROVIDED),)}
    assert missing(graph) == ()
    assert list(graph.objects) == ["a.so"]


def test_system_objects(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "real" / "libfoo.so.1.2")
    (tmp_path / "libfoo.so.1").symlink_to("real/libfoo.so.1.2")
    graph = build({"a.so": facts("libfoo.so.1")}, str(tmp_path))
    key = edge(graph, "a.so", "libfoo.so.1").target
    item = graph.objects[key]
    assert (key, item.origin, item.path) == (item.real, "system", f"{tmp_path}/libfoo.so.1")
    assert item.real == f"{tmp_path}/real/libfoo.so.1.2"
    assert item.facts.soname == "libfoo.so.1.2"
    assert closure(graph, "a.so") == (key,)
    assert graph.roots == ("a.so",)


def test_the_real_folder_is_a_last_resort(tmp_path: Path, library, facts) -> None:
    """A link leads to a library whose $ORIGIN path holds only beside the real file; auditwheel finds these."""
    library(tmp_path / "real" / "libbar.so")
    library(tmp_path / "real" / "libfoo.so", "libbar.so", runpath="$ORIGIN")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "libfoo.so").symlink_to("../real/libfoo.so")
    graph = build({"a.so": facts("libfoo.so")}, f"{tmp_path}/links")
    found = edge(graph, f"{tmp_path}/real/libfoo.so", "libbar.so")
    assert (found.target, found.via) == (f"{tmp_path}/real/libbar.so", Via.REAL_FOLDER)


def test_a_missing_library_says_where_was_looked(tmp_path: Path, facts) -> None:
    (tmp_path / "sys").mkdir()
    members = {
        "a.so": facts("libs/libb.so", "libb.so", rpath="$ORIGIN/libs:/abs"),
        "libs/libb.so": facts("libnone.so.3", rpath="$ORIGIN/more"),
        "libs/more/x.so": facts(),
    }
    graph = build(members, str(tmp_path / "sys"))
    assert [(k, e.needed) for k, e in missing(graph)] == [("a.so", "libs/libb.so"), ("libs/libb.so", "libnone.so.3")]
    assert missing(graph)[1][1].tried == (
        "RPATH of libs/libb.so ($ORIGIN/more)",
        "RPATH of a.so ($ORIGIN/libs:/abs)",
        f"--ldpaths ({tmp_path}/sys)",
    )


def test_the_interpreters_folder(tmp_path: Path, library, facts) -> None:
    library(tmp_path / "odd" / "libb.so")
    program = facts("libb.so", interpreter="/odd/ld-linux-x86-64.so.2")
    search = Search(Libc.GLIBC, Arch.X86_64, root=tmp_path)
    graph = build_graph({"../../../bin/a": program}, search, opaque=lambda _: False)
    found = edge(graph, "../../../bin/a", "libb.so")
    assert (found.target, found.via) == (f"{tmp_path}/odd/libb.so", Via.INTERPRETER)


def test_cycles_and_self_references(facts) -> None:
    graph = build(
        {
            "liba.so": facts("libb.so", "liba.so", rpath="$ORIGIN"),
            "libb.so": facts("liba.so", rpath="$ORIGIN"),
        }
    )
    assert missing(graph) == ()
    assert closure(graph, "liba.so") == ("libb.so",)
    assert graph.roots == ("liba.so",)


def random_wheel(facts, seed: int) -> dict[str, Facts]:
    rng = random.Random(seed)
    names = [f"{rng.choice(['', 'p/', 'q/', 'x.libs/'])}lib{i}.so" for i in range(40)]
    wanted = [*(os.path.basename(n) for n in names), "libm.so.6", "libnone.so"]
    paths = ["$ORIGIN", "$ORIGIN/../p", "$ORIGIN/q:$ORIGIN/x.libs", "/usr/lib/x86_64-linux-gnu", "$ORIGIN/../x.libs"]
    return {
        name: facts(
            *rng.sample(wanted, rng.randrange(5)),
            soname=rng.choice([None, os.path.basename(name), rng.choice(wanted)]),
            **{rng.choice(["rpath", "runpath"]): rng.choice([None, *paths])},
        )
        for name in names
    }


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("libc", Libc)
def test_any_order_of_the_members_gives_the_same_graph(facts, seed: int, libc: Libc) -> None:
    members = random_wheel(facts, seed)
    graph = build(members, "/usr/lib/x86_64-linux-gnu", libc)
    backwards = build(dict(reversed(members.items())), "/usr/lib/x86_64-linux-gnu", libc)
    assert list(graph.edges.items()) == list(backwards.edges.items())
    assert (graph.notes, graph.roots) == (backwards.notes, backwards.roots)
    assert set(members) <= set(graph.edges) == set(graph.objects)
    for key, item in graph.objects.items():
        assert [e.needed for e in graph.edges[key]] == list(dict.fromkeys(item.facts.needed))


def test_the_graph_does_not_depend_on_hashes() -> None:
    code = """
import sys; sys.path.insert(0, sys.argv[1])
from conftest import _BASE
from test_graph import random_wheel, build
graph = build(random_wheel(lambda *n, **c: _BASE._replace(needed=n, **c), 3), "/usr/lib/x86_64-linux-gnu")
print(graph.edges, graph.notes, graph.roots, list(graph.objects))
"""
    here = str(Path(__file__).parent)
    outputs = {
        subprocess.check_output([sys.executable, "-c", code, here], env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for seed in range(3)
    }
    assert len(outputs) == 1


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_many_modules_of_many_libraries(facts, kind: str) -> None:
    """Twice as many modules must not take four times as long."""

    def wheel(modules: int, folders: int = 20) -> dict[str, Facts]:
        rng = random.Random(1)
        libraries = [f"lib{i}.so" for i in range(300)]
        members = {
            f"x.libs/{name}": facts(*libraries[i + 1 : i + 6], soname=name, **{kind: "$ORIGIN"})
            for i, name in enumerate(libraries)
        }
        for i in range(modules):
            path = {kind: "$ORIGIN/../x.libs"}
            members[f"pkg{i % folders}/m{i}.so"] = facts(*rng.sample(libraries, 5), **path)
        return members

    small, large = wheel(250), wheel(500)
    assert missing(build(large)) == ()
    ratio = min(seconds(lambda: build(large)) / seconds(lambda: build(small)) for _ in range(2))
    assert ratio < 3
    assert seconds(lambda: build(large)) < 5


@pytest.mark.parametrize("end", [(), ("libgone.so",)])
def test_many_modules_of_one_long_chain(facts, monkeypatch: pytest.MonkeyPatch, end: tuple[str, ...]) -> None:
    """What all of them load is not walked through for each of them, unless that is soon done."""

    def wheel(count: int) -> dict[str, Facts]:
        chain = {f"d/lib{i}.so": facts(f"lib{i + 1}.so", runpath="$ORIGIN") for i in range(count)}
        chain[f"d/lib{count}.so"] = facts(*end)
        modules = {f"d/m{i}.so": facts("lib0.so", "libnone.so", runpath="$ORIGIN") for i in range(count)}
        return {**chain, **modules}

    assert seconds(lambda: build(wheel(2000))) < 6  # four million visits otherwise
    members = wheel(60)
    all_of_it = build(members)
    monkeypatch.setattr("fastwheel.deps.resolve._MOST_STEPS", 200)
    assert build(members) == all_of_it


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize("spread", [False, True])
def test_a_long_chain(facts, kind: str, spread: bool) -> None:
    count = 1200
    members = {}
    for i in range(count):
        folder = f"d{i}/" if spread else "d/"
        path = f"$ORIGIN/../d{i + 1}" if spread else "$ORIGIN"
        members[f"{folder}lib{i}.so"] = facts(f"lib{i + 1}.so", **{kind: path})
    members.update({f"d{count}/lib{count}.so" if spread else f"d/lib{count}.so": facts()})
    graph = build(members)
    assert missing(graph) == ()
    assert len(closure(graph, "d0/lib0.so" if spread else "d/lib0.so")) == count
    assert seconds(lambda: build(members)) < 6


def test_hostile_paths_cost_little(facts) -> None:
    path = ":".join(f"d{i}" for i in range(200_000))
    members = {f"lib{i}.so": facts(*(f"libnone{j}.so" for j in range(500)), runpath=path) for i in range(20)}
    assert seconds(lambda: build(members)) < 6
