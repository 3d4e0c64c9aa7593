"""A tree of dependencies as text: one line for each DT_NEEDED entry, what a file needs below its first line."""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from fastwheel._tree import Edge, Tree

__all__ = ["tree_text"]

#: Deeper files are shown at the left edge, so that a chain of thousands does not give lines of thousands of columns.
_DEEPEST: Final = 30


class _Lines(NamedTuple):
    """The characters that lines are drawn with; `arrow` stands before what was found."""

    branch: str
    last: str
    down: str
    arrow: str


_BOX: Final = _Lines("├── ", "└── ", "│   ", "→")
_ASCII: Final = _Lines("|-- ", "`-- ", "|   ", "=>")


def tree_text(tree: Tree, *, verbose: bool = False, ascii_only: bool = False) -> str:
    """Return what `fastwheel tree` prints: each file's needs once, then "(above)".

    Args:
        tree: what is shown.
        verbose: with the symbol versions that are asked for, and the candidates that could not be used.
        ascii_only: no characters beyond ASCII in the drawing.
    """
    return _Text(tree, verbose, _ASCII if ascii_only else _BOX).text()


class _Text:
    """The state of one rendering."""

    def __init__(self, tree: Tree, verbose: bool, style: _Lines) -> None:
        self.tree = tree
        self.verbose = verbose
        self.style = style
        self.below = tree.edges_from()
        self.shown: set[int] = set()
        self.later: list[int] = []  # files below the deepest level
        self.lines: list[str] = []

    def text(self) -> str:
        tree = self.tree
        if tree.kind == "wheel":
            self.lines.append(f"{escape(tree.name)} ({tree.policy})")
        for index in tree.roots:
            self._root(index)
        for index, node in enumerate(tree.nodes):
            if node.is_file and index not in self.shown and index not in self.later:
                self._root(index)
        while self.later:
            index = self.later.pop(0)
            if index not in self.shown:
                self._root(index)
        return "\n".join(self.lines)

    def _root(self, index: int) -> None:
        """Show a file at the left edge, and all that it needs."""
        if index in self.shown:
            return
        self.shown.add(index)
        self.lines.append(escape(self.tree.nodes[index].name))
        # No recursion: (edges of one line, what it begins with, whether it is the last of its file, depth)
        stack = self._children(index, "", 1)
        while stack:
            edges, indent, last, depth = stack.pop()
            edge, style = edges[0], self.style
            more = edge.target not in self.shown and self.tree.nodes[edge.target].is_file
            deferred = more and depth >= _DEEPEST
            mark = "" if not self.below[edge.target] else " (below)" if deferred else "" if more else " (above)"
            self.lines.append(f"{indent}{style.last if last else style.branch}{self._line(edges)}{mark}")
            deeper = indent + ("    " if last else style.down)
            self._details(edge, deeper)
            if deferred:
                self.later.append(edge.target)
            elif more:
                self.shown.add(edge.target)
                stack += self._children(edge.target, deeper, depth + 1)

    def _children(self, index: int, indent: str, depth: int) -> list[tuple[list[Edge], str, bool, int]]:
        """The lines below a file, the last one first; what the system brings for one reason shares a line."""
        lines: list[list[Edge]] = []
        by_reason: dict[str, list[Edge]] = {}
        for edge in self.below[index]:
            kind = self.tree.nodes[edge.target].kind
            if kind == "provided" and not self.verbose:
                line = by_reason.setdefault(edge.why, [])
                line.append(edge)
                if len(line) > 1:
                    continue
                lines.append(line)
            else:
                lines.append([edge])
        lines.sort(key=lambda line: self.tree.nodes[line[0].target].kind == "provided")
        return [(line, indent, at == len(lines) - 1, depth) for at, line in enumerate(lines)][::-1]

    def _line(self, edges: list[Edge]) -> str:
        edge = edges[0]
        node = self.tree.nodes[edge.target]
        name = ", ".join(escape(one.needed) for one in edges)
        if node.kind == "missing":
            return f"{name}  NOT FOUND"
        if not node.is_file:
            return f"{name}  [{edge.why}]"
        why, place = edge.why, escape(node.name if node.path is None else node.path)
        owner = escape(self.tree.nodes[edge.source].name)
        for kind in ("RUNPATH", "RPATH"):
            why = why.replace(f"{kind} of {owner} (", f"its {kind} (", 1)
        return f"{name} {self.style.arrow} {place}  [{why.removesuffix(f' ({dirname(place)})')}]"

    def _details(self, edge: Edge, indent: str) -> None:
        """Where was looked for what is missing; with -v the versions, and what was passed over."""
        missing = self.tree.nodes[edge.target].kind == "missing"
        if self.verbose and edge.versions:
            self.lines.append(f"{indent}  versions: {', '.join(map(escape, edge.versions))}")
        if missing:
            self.lines.append(f"{indent}  looked in: {', '.join(edge.tried) or 'nowhere'}")
        elif self.verbose and edge.tried:
            self.lines += [f"{indent}  passed over: {text}" for text in edge.tried]
