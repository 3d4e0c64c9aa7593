"""Who needs whom, as a value to show: the ELF files of a wheel (or one ELF file), and where each library comes from.

>>> import fastwheel
>>> tree = fastwheel.tree("pkg-1.0-cp312-cp312-linux_x86_64.whl")  # doctest: +SKIP
>>> [(edge.needed, edge.why) for edge in tree.missing]  # doctest: +SKIP
[('libfoo.so.3', 'not found')]
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING, Literal, TypeAlias

from fastwheel.deps.folders import Via
from fastwheel.errors import FastwheelError, escape
from fastwheel.policy.arch import Libc, is_loader
from fastwheel.policy.match import allowed, is_libpython
from fastwheel.verdict import bears
from fastwheel.wheel.remote import locate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel.deps.objects import Edge as Found
    from fastwheel.deps.objects import Graph, Object
    from fastwheel.policy.tables import Policy
    from fastwheel.survey import Unit
    from fastwheel.verdict import Options, Verdict
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

__all__ = ["Edge", "Kind", "Node", "Tree", "tree", "tree_of"]

#: "module" (a CPython extension), "program" and "library" are files that were asked about; "system" is a file of this
#: machine; "provided", "python", "excluded" and "missing" stand for a name without a file that counts.
Kind: TypeAlias = Literal["module", "program", "library", "system", "provided", "python", "excluded", "missing"]


@dataclass(frozen=True, slots=True)
class Node:
    """One file, or one name that no file stands for.

    Attributes:
        name: where a wheel's file is installed, relative to site-packages; the real path of a file of this machine; the
            name asked for where there is no file.
        kind: see `Kind`.
        path: of a file of this machine: the path that it was found by; else None.
        soname: DT_SONAME, or None.
        member: of a wheel's file: its name in the archive; else None.
        size: of a wheel's file: in bytes; else None.
    """

    name: str
    kind: Kind
    path: str | None = None
    soname: str | None = None
    member: str | None = None
    size: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and what it needs itself counts."""
        return self.kind in ("module", "program", "library", "system")


@dataclass(frozen=True, slots=True)
class Edge:
    """One DT_NEEDED entry of a file.

    Attributes:
        source: who asks: an index of `Tree.nodes`.
        target: what was found: an index of `Tree.nodes`.
        needed: the name asked for.
        via: why that was found, for programs: a value of `fastwheel.deps.folders.Via`, or "policy", "loader", "python",
            "exclude", "allow" for what the target system or nobody has to bring.
        why: the same for people.
        versions: the symbol versions that are asked of it.
        tried: the candidates that could not be used, with the reasons; of a missing library also the places that were
            searched.
    """

    source: int
    target: int
    needed: str
    via: str
    why: str
    versions: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "from": self.source,
            "to": self.target,
            "needed": self.needed,
            "via": self.via,
            "why": self.why,
            "versions": list(self.versions),
            "tried": list(self.tried),
        }


@dataclass(frozen=True, slots=True)
class Tree:
    """The files and the edges between them.

    Attributes:
        name: of the wheel or file, without folders.
        kind: "wheel" or "file".
        policy: the platform whose allowlist ends the walk; None: everything was walked.
        nodes: the wheel's files first, sorted, then the rest as they were met.
        edges: in the order of `nodes`, then that of the file.
        roots: indices of the nodes that the walks began at.
        notes: what the user should know.
    """

    name: str
    kind: Literal["wheel", "file"]
    policy: str | None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    roots: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Edge, ...]:
        """The edges to what was looked for and not found."""
        return tuple(edge for edge in self.edges if self.nodes[edge.target].kind == "missing")

    def edges_from(self) -> tuple[tuple[Edge, ...], ...]:
        """Return for each node what it needs, in the file's order."""
        found: list[list[Edge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            found[edge.source].append(edge)
        return tuple(map(tuple, found))

    def to_dict(self) -> dict[str, object]:
        """Return the document of `fastwheel tree --format json` (docs/json.md)."""
        return {
            "version": 1,
            "name": self.name,
            "kind": self.kind,
            "policy": self.policy,
            "nodes": [
                {
                    "id": index,
                    "name": node.name,
                    "kind": node.kind,
                    "path": node.path,
                    "soname": node.soname,
                    "member": node.member,
                    "size": node.size,
                }
                for index, node in enumerate(self.nodes)
            ],
            "edges": [edge.to_dict() for edge in self.edges],
            "roots": list(self.roots),
            "notes": list(self.notes),
        }


def tree(
    path: str | os.PathLike[str],
    *,
    plat: str = "auto",
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    policy_file: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    ldpaths: str | None = None,
    lib_paths: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Tree:
    """Say what each ELF file of a wheel, or one ELF file of this machine, needs and where that was found.

    Of a wheel, libraries that the platform allows are not walked through: they are the target system's. Of a single
    file everything is walked, unless `plat` names a platform.

    Args:
        path: a wheel (the name ends in `.whl`, or it is an https address), or an ELF file.
        plat: the platform tag whose allowlist counts; "auto" is the one that `fastwheel.repair` would choose.
        exclude: glob patterns of sonames or real paths that are not walked.
        allow: glob patterns of sonames that the target provides.
        policy_file: a file with more policies (docs/policies.md).
        include: files to take along (docs/repair.md); of a wheel only.
        ldpaths: folders that replace ld.so.conf and LD_LIBRARY_PATH; "" searches nothing.
        lib_paths: folders that are searched before all others.
        environ: the environment to read LD_LIBRARY_PATH and its kin from; None is this process's.
        limits: bounds on what an archive may claim.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: the wheel or file cannot be read; FW600 a wheel without compiled code; FW602 `plat` is unknown.
    """
    from fastwheel.verdict import Options

    options = Options(
        plat=plat,
        exclude=tuple(exclude),
        allow=tuple(allow),
        policy_file=None if policy_file is None else os.fspath(policy_file),
        include=tuple(include),
        ldpaths=ldpaths,
        lib_paths=tuple(lib_paths),
        environ=environ,
        jobs=jobs,
    )
    if isinstance(locate(path), Path) and not os.fspath(path).endswith(".whl"):
        return _of_file(os.fspath(path), options)
    from fastwheel._audit import examine
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

    with Wheel.open(path, limits or Limits()) as wheel:
        return tree_of(wheel, examine(wheel, options), options)


def tree_of(wheel: Wheel, verdict: Verdict, options: Options) -> Tree:
    """Return the tree of an open wheel that was audited with `options`.

    Raises:
        FastwheelError: FW602, `options.plat` is no platform for this wheel.
    """
    policy = _chosen(verdict, options.plat)
    units = {unit.path: unit for unit in verdict.survey.units}
    maker = _Maker(_own_graph(verdict), policy, policy.libc, options)
    for key, item in maker.graph.objects.items():
        if item.origin == "wheel":
            maker.add_file(key, _wheel_node(wheel, units[key]))
    maker.walk()
    return Tree(
        wheel.path.name,
        "wheel",
        policy.name,
        tuple(maker.nodes),
        tuple(maker.edges),
        tuple(maker.index[key] for key in maker.graph.roots if key in maker.index),
        verdict.notes,
    )


def _chosen(verdict: Verdict, plat: str) -> Policy:
    """The policy that a repair would graft for, or the one that `plat` names."""
    ranked = [finding.policy for finding in verdict.findings]
    if plat == "auto":
        reachable = verdict.repairable
        return reachable if reachable.priority or len(ranked) == 1 else ranked[-2]
    return _named(ranked, plat, "for this wheel")


def _named(ranked: Sequence[Policy], plat: str, of_what: str) -> Policy:
    for policy in ranked:
        if bears(policy, plat):
            return policy
    names = ", ".join(policy.name for policy in ranked)
    raise FastwheelError(f"{escape(plat)} is no platform {of_what}", code="FW602", hint=f"one of: {names}, auto")


def _own_graph(verdict: Verdict) -> Graph:
    """The graph of the audit, unless the wheel itself holds a library that every target provides.

    The audit takes such a name for the target's; where the wheel brings a copy of its own, that copy may be what loads.
    """
    graph = verdict.graph
    held = {basename(unit.path) for unit in verdict.survey.units}
    held |= {unit.facts.soname for unit in verdict.survey.units if unit.facts.soname}
    passed = {edge.needed for edges in graph.edges.values() for edge in edges if edge.via is Via.PROVIDED}
    if not passed & held:
        return graph
    from fastwheel.deps.files import SystemFile
    from fastwheel.deps.graph import build_graph

    outside = passed - held
    extra = [SystemFile(item.source, item.source, item.facts) for item in verdict.includes if item.facts is not None]
    members = {unit.path: unit.facts for unit in verdict.survey.units}
    lists = [finding.policy.allowlist for finding in verdict.findings if finding.policy.priority]
    everywhere = frozenset.intersection(*lists) if lists else frozenset()

    def opaque(name: str) -> bool:
        given = name in everywhere or is_loader(name) or is_libpython(name) or name in verdict.excluded
        return name in outside or (given and name not in held)

    return build_graph(members, verdict.search, opaque=opaque, extra=extra)


def _wheel_node(wheel: Wheel, unit: Unit) -> Node:
    facts = unit.facts
    kind: Kind = "module" if unit.python else "program" if facts.interpreter or facts.type == 2 else "library"
    return Node(unit.path, kind, None, facts.soname, unit.member, wheel.archive.names[unit.member].size)


def _of_file(path: str, options: Options) -> Tree:
    """The tree of one ELF file of this machine."""
    from fastwheel.deps.graph import trace
    from fastwheel.deps.search import Search
    from fastwheel.engine import read_file
    from fastwheel.errors import ElfError
    from fastwheel.policy.arch import arch_of, libc_of

    if options.include:
        raise FastwheelError("--include is for wheels", code="FW800", hint="give it with a .whl file")
    try:
        facts = read_file(path)
    except ElfError as error:
        raise FastwheelError(f"{escape(path)}: {error.message}", code=error.code, hint=error.hint) from error
    libc, arch = libc_of(facts, basename(path)) or Libc.GLIBC, arch_of(facts)
    policy = None
    if options.plat != "auto":
        from fastwheel.policy.custom import load_policies, with_custom
        from fastwheel.policy.tables import policies

        if arch is None:
            raise FastwheelError(f"{escape(path)} is for a machine without policies", code="FW602")
        ranked = policies(libc, arch)
        if options.policy_file is not None:
            ranked = with_custom(ranked, load_policies(options.policy_file, libc, arch))
        policy = _named(ranked, options.plat, "for this file")
    environ = os.environ if options.environ is None else options.environ
    search = Search.for_host(libc, arch, environ=environ, ldpaths=options.ldpaths, lib_paths=options.lib_paths)
    graph = trace(path, search, opaque=lambda name: _left_out(name, None, options) is not None)
    maker = _Maker(graph, policy, libc, options)
    (root,) = maker.graph.roots[:1]
    kind: Kind = "program" if facts.interpreter or facts.type == 2 else "library"
    maker.add_file(root, replace(_system_node(maker.graph.objects[root]), kind=kind))
    maker.walk()
    return Tree(
        basename(path),
        "file",
        None if policy is None else policy.name,
        tuple(maker.nodes),
        tuple(maker.edges),
        (0,),
        maker.graph.notes,
    )


def _system_node(item: Object) -> Node:
    return Node(item.real, "system", item.path, item.facts.soname)


def _left_out(name: str, real: str | None, options: Options) -> tuple[str, str] | None:
    """Which of `exclude` and `allow` leaves a library out, and the pattern."""
    from fnmatch import fnmatchcase

    for pattern in options.exclude:
        if fnmatchcase(name, pattern) or (real is not None and fnmatchcase(real, pattern)):
            return "exclude", pattern
    for pattern in options.allow:
        if fnmatchcase(name, pattern):
            return "allow", pattern
    return None


class _Maker:
    """Turns a graph into nodes and edges, ending the walk where the policy or the options do."""

    def __init__(self, graph: Graph, policy: Policy | None, libc: Libc, options: Options) -> None:
        self.graph = graph
        self.libc = libc
        self.policy = policy
        self.options = options
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.index: dict[str, int] = {}
        self._names: dict[tuple[Kind, str], int] = {}
        self._queue: list[str] = []

    def add_file(self, key: str, node: Node) -> int:
        """Add a file whose needs are to be walked."""
        known = self.index.get(key)
        if known is None:
            known = self.index[key] = self._add(node)
            self._queue.append(key)
        return known

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def walk(self) -> None:
        """Follow the edges of all files added, and of what they lead to."""
        for key in self.graph.roots:
            if self.graph.objects[key].origin == "system" and key not in self.index:
                self.add_file(key, _system_node(self.graph.objects[key]))  # --include
        for key in self._queue:  # grows while it is walked
            facts = self.graph.objects[key].facts
            versions = {need.file: tuple(version.name for version in need.versions) for need in facts.version_needs}
            for edge in self.graph.edges.get(key, ()):
                target, via, why = self._target(edge)
                asked = versions.get(edge.needed, ())
                self.edges.append(Edge(self.index[key], target, edge.needed, via, why, asked, edge.tried))
        # Indices follow the walk, which is not quite the order of the nodes.
        self.edges.sort(key=lambda edge: edge.source)

    def _target(self, edge: Found) -> tuple[int, str, str]:
        """The node that an edge leads to, and why."""
        item = None if edge.target is None else self.graph.objects[edge.target]
        if item is not None and item.origin == "wheel":
            return self.index[item.key], edge.via.value, _why(edge, self.libc)
        outside = self._outside(edge, None if item is None else item.real)
        if outside is not None:
            kind, via, why = outside
            return self._name(kind, edge.needed, item), via, why
        if item is None:
            return self._name("missing", edge.needed, None), Via.MISSING.value, "not found"
        return self.add_file(item.key, _system_node(item)), edge.via.value, _why(edge, self.libc)

    def _outside(self, edge: Found, real: str | None) -> tuple[Kind, str, str] | None:
        """Whether somebody else has to bring the library: the target system, the interpreter, nobody."""
        name = edge.needed
        left_out = _left_out(name, real, self.options)
        if left_out is not None:
            what, pattern = left_out
            kind: Kind = "excluded" if what == "exclude" else "provided"
            verb = "excluded" if what == "exclude" else "provided by the target"
            return kind, what, f"{verb} (--{what} {escape(pattern)})"
        if self.policy is None:
            return None
        if is_libpython(name):
            return "python", "python", "the Python interpreter brings it"
        if is_loader(name):
            return "provided", "loader", "the dynamic loader itself"
        if allowed(self.policy, name):
            return "provided", "policy", f"allowed by {self.policy.name}"
        return None

    def _name(self, kind: Kind, name: str, item: Object | None) -> int:
        key = (kind, name)
        if key not in self._names:
            node = Node(name, kind) if item is None else Node(name, kind, item.path, item.facts.soname)
            self._names[key] = self._add(node)
        return self._names[key]


#: What the folder of an edge belongs to, by how the library was found.
_WORDS: dict[Via, str] = {
    Via.DEFAULT: "default folder",
    Via.CROSS: "folder for cross-compilers",
    Via.INTERPRETER: "folder of the interpreter",
}


def _why(edge: Found, libc: Libc) -> str:
    """`Edge.how` with the kind of folder said, where it is a bare path."""
    if edge.via is Via.LOADED:
        return "already loaded"
    words = {**_WORDS, Via.CONFIG: "ld-musl path file" if libc is Libc.MUSL else "ld.so.conf"}
    word = words.get(edge.via)
    return f"{word} ({edge.how})" if word is not None and edge.how.startswith("/") else edge.how
