"""What of a tree goes into a picture: boxes and arrows, without what would hide the rest.

Libraries that every target brings are not drawn but listed, and files that nothing needs and that need the same are one
box: scipy's hundred modules would be a wall otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import basename, commonpath, dirname
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.policy.arch import is_loader

if TYPE_CHECKING:
    from fastwheel._tree import Edge, Kind, Node, Tree

__all__ = ["Arrow", "Box", "Picture", "picture_of"]

#: From this number on, files with the same needs share a box.
_GROUP: Final = 3
#: The C library's parts, which in the tree of a single file are files like others.
_C_LIBRARY: Final = ("libc", "libm", "libpthread", "libdl", "librt", "libutil", "libresolv", "libmvec")


@dataclass(frozen=True, slots=True)
class Box:
    """One file, several that are alike, or a name without a file. All texts are printable.

    Attributes:
        title: the file's name, or how many there are.
        subtitle: where it lies, or what is wrong.
        kind: of the nodes.
        names: of all nodes in it.
        given: what the target brings for it.
        size: of all files of the wheel in it, bytes, if they are the wheel's.
    """

    title: str
    subtitle: str
    kind: Kind
    names: tuple[str, ...]
    given: tuple[str, ...]
    size: int | None


@dataclass(frozen=True, slots=True)
class Arrow:
    """A need: from one box to another, by their indices.

    Attributes:
        source: who needs.
        target: what is needed.
        text: the same in words.
        state: "found"; "unreached", in the wheel but out of the loader's reach; "missing"; "excluded".
    """

    source: int
    target: int
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, and what is only listed: `given` the target's libraries, sorted."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    given: tuple[str, ...]


def picture_of(tree: Tree) -> Picture:
    """Return the boxes and arrows of a tree."""
    below = tree.edges_from()
    folded = {index for index, node in enumerate(tree.nodes) if _is_given(node, tree.kind)}
    folded -= set(tree.roots)
    given = [tuple(sorted({escape(edge.needed) for edge in edges if edge.target in folded})) for edges in below]
    groups = _groups(tree, below, folded)
    boxes: list[Box] = []
    box_of: dict[int, int] = {}
    for group in groups:
        for index in group:
            box_of[index] = len(boxes)
        boxes.append(_box(tree, group, tuple(sorted({name for index in group for name in given[index]}))))
    arrows: dict[tuple[int, int], Arrow] = {}
    for group in groups:
        for edge in below[group[0]]:
            if edge.target in folded:
                continue
            source, target = box_of[edge.source], box_of[edge.target]
            text = f"{boxes[source].title} needs {escape(edge.needed)}: {edge.why}"
            arrows.setdefault((source, target), Arrow(source, target, text, _state(tree, edge)))
    everything = sorted({name for names in given for name in names})
    return Picture(tuple(boxes), tuple(arrows.values()), tuple(everything))


def _is_given(node: Node, kind: str) -> bool:
    """Whether a node is only listed."""
    if node.kind in ("provided", "python"):
        return True
    if kind == "wheel" or node.kind != "system":
        return False
    name = node.soname or basename(node.name)
    return is_loader(name) or name.partition(".so")[0] in _C_LIBRARY


def _groups(tree: Tree, below: tuple[tuple[Edge, ...], ...], folded: set[int]) -> list[list[int]]:
    """The nodes of each box: alone, or with others that nothing needs and that need the same."""
    needed = {edge.target for edge in tree.edges if edge.source not in folded}
    alike: dict[object, list[int]] = {}
    for index, node in enumerate(tree.nodes):
        if index in folded:
            continue
        free = index not in needed and node.kind in ("module", "program", "library")
        targets = frozenset((e.target, _state(tree, e)) for e in below[index] if e.target not in folded)
        alike.setdefault((node.kind, targets) if free else index, []).append(index)
    groups: list[list[int]] = []
    for group in alike.values():
        groups += [group] if len(group) >= _GROUP else [[index] for index in group]
    return sorted(groups)


def _box(tree: Tree, group: list[int], given: tuple[str, ...]) -> Box:
    nodes = [tree.nodes[index] for index in group]
    first = nodes[0]
    names = tuple(escape(node.name) for node in nodes)
    sizes = [node.size for node in nodes if node.size is not None]
    size = sum(sizes) if sizes else None
    if len(nodes) > 1:
        plural = {"module": "extension modules", "program": "programs"}.get(first.kind, "libraries")
        folders = {dirname(node.name) for node in nodes}
        place = folders.pop() if len(folders) == 1 else commonpath([dirname(n.name) or "." for n in nodes])
        return Box(f"{len(nodes)} {plural}", f"{escape(place)}/…" if place else "…", first.kind, names, given, size)
    subtitles = {"missing": "not found", "excluded": "left out"}
    path = first.name if first.path is None else first.path
    subtitle = subtitles.get(first.kind) or escape(dirname(path))
    return Box(escape(basename(path) or path) or "(no name)", subtitle, first.kind, names, given, size)


def _state(tree: Tree, edge: Edge) -> str:
    kind = tree.nodes[edge.target].kind
    if kind in ("missing", "excluded"):
        return kind
    return "unreached" if edge.via == "in-wheel" else "found"
