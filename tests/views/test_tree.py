"""`fastwheel.tree`: who needs whom, where it was found, and why; and the same as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toolbox import Toolbox, extension, repair

import fastwheel
from fastwheel import FastwheelError, Tree
from fastwheel.report.tree import tree_text


def edges(tree: Tree) -> set[tuple[str, str, str, str]]:
    """(who, needed, kind of what was found, via) of all edges."""
    nodes = tree.nodes
    return {(nodes[e.source].name, e.needed, nodes[e.target].kind, e.via) for e in tree.edges}


def test_a_wheel_and_the_libraries_of_the_machine(diamond: Path, toolbox: Toolbox, environ: dict[str, str]) -> None:
    tree = fastwheel.tree(diamond, environ=environ)
    system = str(toolbox.system)
    policy = tree.policy
    assert policy is not None
    assert policy.startswith("manylinux_")
    own = {edge for edge in edges(tree) if edge[1].startswith(("libleft", "libright", "libbase"))}
    assert own == {
        ("pkg/a.so", "libleft.so.1", "system", "environment"),
        ("pkg/a.so", "libright.so.1", "system", "environment"),
        ("pkg/b.so", "libright.so.1", "system", "environment"),
        (f"{system}/libleft.so.1", "libbase.so.1", "system", "environment"),
        (f"{system}/libright.so.1", "libbase.so.1", "system", "loaded"),
    }
    assert ("pkg/a.so", "libc.so.6", "provided", "policy") in edges(tree)
    why = next(edge.why for edge in tree.edges if edge.needed == "libleft.so.1")
    assert why == f"LD_LIBRARY_PATH ({system})"
    assert [tree.nodes[index].name for index in tree.roots] == ["pkg/a.so", "pkg/b.so", "pkg/c/ext.so", "pkg/d/ext.so"]
    assert all(node.kind == "module" and node.size for node in tree.nodes[:4])


def test_the_repaired_wheel_finds_them_inside(diamond: Path, toolbox: Toolbox) -> None:
    done = repair(diamond, toolbox)
    assert done.path is not None
    tree = fastwheel.tree(done.path, ldpaths="")
    assert not tree.missing
    assert {node.kind for node in tree.nodes} == {"module", "library", "provided"}
    inside = [edge for edge in tree.edges if tree.nodes[edge.target].kind == "library"]
    assert {edge.via for edge in inside} == {"runpath"}
    assert any(edge.why == "RUNPATH of pkg/a.so ($ORIGIN/../pkg.libs)" for edge in inside)
    assert all(tree.nodes[edge.target].name.startswith("pkg.libs/") for edge in inside)


def test_what_is_missing_says_where_was_looked(diamond: Path) -> None:
    tree = fastwheel.tree(diamond, ldpaths="/nonexistent", environ={})
    assert {edge.needed for edge in tree.missing} == {"libleft.so.1", "libright.so.1"}
    text = tree_text(tree)
    assert "libleft.so.1  NOT FOUND" in text
    assert "looked in: " in text


def test_excluded_and_allowed(diamond: Path, environ: dict[str, str]) -> None:
    tree = fastwheel.tree(diamond, exclude=["libleft*"], allow=["libright.so.?"], environ=environ)
    found = edges(tree)
    assert ("pkg/a.so", "libleft.so.1", "excluded", "exclude") in found
    assert ("pkg/a.so", "libright.so.1", "provided", "allow") in found
    assert not any(needed == "libbase.so.1" for _, needed, _, _ in found)  # nobody walks through what is left out
    why = {edge.needed: edge.why for edge in tree.edges}
    assert why["libleft.so.1"] == "excluded (--exclude libleft*)"
    assert why["libright.so.1"] == "provided by the target (--allow libright.so.?)"


def test_exclude_by_real_path(diamond: Path, toolbox: Toolbox, environ: dict[str, str]) -> None:
    tree = fastwheel.tree(diamond, exclude=[f"{toolbox.system}/*"], environ=environ)
    assert {node.kind for node in tree.nodes} == {"module", "excluded", "provided"}


def test_a_copy_in_the_wheel_counts_although_the_target_has_one(toolbox: Toolbox) -> None:
    """libz is on every allowlist; where the wheel brings its own beside the module, that is what loads."""
    own = toolbox.library("libz.so.1", "crc", folder=toolbox.folder / "own")
    files = {
        "pkg/a.so": toolbox.module("a", "crc", own, flags=["-Wl,-rpath,$ORIGIN"]),
        "pkg/libz.so.1": own.read_bytes(),
    }
    tree = fastwheel.tree(toolbox.wheel(files), environ={})
    assert ("pkg/a.so", "libz.so.1", "library", "runpath") in edges(tree)
    assert not any(edge.needed == "libz.so.1" and edge.via == "policy" for edge in tree.edges)


def test_out_of_the_loaders_reach(toolbox: Toolbox) -> None:
    own = toolbox.library("libown.so.1", "own", folder=toolbox.folder / "own")
    files = {"pkg/a.so": toolbox.module("a", "own", own), "pkg/deep/libown.so.1": own.read_bytes()}
    tree = fastwheel.tree(toolbox.wheel(files), environ={})
    assert ("pkg/a.so", "libown.so.1", "library", "in-wheel") in edges(tree)


def test_libpython_is_the_interpreters(toolbox: Toolbox) -> None:
    stub = toolbox.library("libpython3.11.so.1.0", "stub", folder=toolbox.folder / "own")
    tree = fastwheel.tree(toolbox.wheel({"pkg/a.so": toolbox.module("a", "stub", stub)}), environ={})
    assert ("pkg/a.so", "libpython3.11.so.1.0", "python", "python") in edges(tree)


def test_included_files_are_roots(diamond: Path, toolbox: Toolbox, environ: dict[str, str]) -> None:
    plugin = toolbox.library("libplugin.so", "plugin")
    tree = fastwheel.tree(diamond, include=[str(plugin)], environ=environ)
    assert str(plugin) in {tree.nodes[index].name for index in tree.roots}


def test_platform_decides_what_is_walked(diamond: Path, environ: dict[str, str]) -> None:
    tree = fastwheel.tree(diamond, plat="linux_x86_64", environ=environ)
    assert {node.kind for node in tree.nodes} == {"module", "provided"}
    with pytest.raises(FastwheelError) as fault:
        fastwheel.tree(diamond, plat="windows_95", environ=environ)
    assert fault.value.code in ("FW602", "FW611")


def test_a_single_file_is_walked_to_the_end(toolbox: Toolbox, environ: dict[str, str]) -> None:
    base = toolbox.library("libbase.so.1", "base")
    top = toolbox.library("libtop.so.1", "top", needs=[base])
    tree = fastwheel.tree(top, environ=environ)
    assert (tree.kind, tree.policy, tree.name) == ("file", None, "libtop.so.1")
    assert (str(top), "libbase.so.1", "system", "environment") in edges(tree)
    libc = next(edge for edge in tree.edges if edge.needed == "libc.so.6")
    assert tree.nodes[libc.target].kind == "system"
    assert libc.versions  # something of libc is versioned
    allowed = fastwheel.tree(top, environ=environ, plat="manylinux_2_17_x86_64")
    assert (str(top), "libc.so.6", "provided", "policy") in edges(allowed)


def test_a_single_file_agrees_with_the_loader(toolbox: Toolbox, command) -> None:
    """Every path that `ldd` prints for a program of this machine is in its tree, and the other way round."""
    import sys

    program = Path(sys.executable).resolve()
    shown = command("ldd", program).stdout
    loaded = {Path(line.split(" => ")[1].split()[0]).resolve() for line in shown.splitlines() if " => /" in line}
    tree = fastwheel.tree(program)
    found = {Path(node.name) for node in tree.nodes[1:]}
    loader = {path for path in found if path.name.startswith("ld-")}
    assert found - loader == loaded - loader


def test_what_is_neither(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no ELF file")
    with pytest.raises(FastwheelError) as fault:
        fastwheel.tree(text)
    assert fault.value.code == "FW300"
    with pytest.raises(FastwheelError) as fault:
        fastwheel.tree(text, include=["x"])
    assert fault.value.code == "FW800"


def test_text_shows_repeats_once(diamond: Path, environ: dict[str, str]) -> None:
    lines = tree_text(fastwheel.tree(diamond, environ=environ)).splitlines()
    bases = [line for line in lines if "libbase.so.1 →" in line]
    assert len(bases) == 2
    assert sum(line.endswith(" (above)") for line in lines if "libright.so.1 →" in line) == 1
    assert lines[0].startswith(diamond.name)


def test_text_in_ascii(diamond: Path, environ: dict[str, str]) -> None:
    assert tree_text(fastwheel.tree(diamond, environ=environ), ascii_only=True).isascii()


def test_a_chain_of_a_thousand_stays_readable(toolbox: Toolbox) -> None:
    """Depth is shown up to a bound; what is deeper starts anew at the left edge, and nothing is lost."""
    from fastwheel._tree import Edge, Node

    nodes = tuple(Node(f"lib{number}.so", "library") for number in range(1000))
    links = tuple(Edge(number, number + 1, f"lib{number + 1}.so", "runpath", "x") for number in range(999))
    text = tree_text(Tree("long.whl", "wheel", "manylinux_2_17_x86_64", nodes, links, (0,)))
    assert max(map(len, text.splitlines())) < 400
    assert all(f"lib{number}.so" in text for number in range(1000))


def test_a_cycle_ends(toolbox: Toolbox) -> None:
    first = toolbox.library("libone.so.1", "one")
    second = toolbox.library("libtwo.so.1", "two", needs=[first])
    toolbox.library("libone.so.1", "one", needs=[second])
    module = toolbox.module("a", "one", first)
    tree = fastwheel.tree(toolbox.wheel({"pkg/a.so": module}), environ={"LD_LIBRARY_PATH": str(toolbox.system)})
    assert tree_text(tree).count("libone.so.1 →") == 2


def test_names_are_printable_in_every_format(toolbox: Toolbox) -> None:
    from fastwheel.report.dot import tree_dot
    from fastwheel.report.mermaid import tree_mermaid
    from fastwheel.report.svg import tree_svg

    flags = ["-Wl,-soname,libevil.so"]
    evil = toolbox.library("libevil.so", "evil", flags=flags, folder=toolbox.folder / "own")
    module = toolbox.module("a", "evil", evil).replace(b"libevil.so\0", b'l"<\x1b[3\n]&x\0')
    tree = fastwheel.tree(toolbox.wheel({"pkg/a.so": module}), environ={}, ldpaths="")
    assert tree.missing[0].needed == 'l"<\x1b[3\n]&x'
    for render in (tree_text, tree_dot, tree_mermaid, tree_svg):
        assert "\x1b" not in render(tree)
    assert json.loads(json.dumps(tree.to_dict()))["nodes"]


def test_the_same_wheel_gives_the_same_tree(diamond: Path, environ: dict[str, str]) -> None:
    assert fastwheel.tree(diamond, environ=environ) == fastwheel.tree(diamond, environ=environ, jobs=1)


def test_a_module_that_needs_nothing_is_shown(toolbox: Toolbox) -> None:
    bare = extension(toolbox, "-nostdlib", name="bare.so")
    text = tree_text(fastwheel.tree(toolbox.wheel({"pkg/ext.so": bare})))
    assert text.splitlines()[1:] == ["pkg/ext.so"]
