"""A tree of dependencies in the language of graphviz, with everything that the tree knows.

Grammar: https://graphviz.org/doc/info/lang.html; in labels a backslash and an ampersand have meanings of their own
(https://graphviz.org/docs/attr-types/escString/).
"""

from __future__ import annotations

from posixpath import basename, dirname
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape

if TYPE_CHECKING:
    from fastwheel._tree import Node, Tree

__all__ = ["tree_dot"]

#: (fill, line, style) by kind.
_LOOKS: Final = {
    "module": ("#eaf3ff", "#4a86c7", "filled,rounded"),
    "program": ("#f3effd", "#8a72c2", "filled,rounded"),
    "library": ("#e8f5ef", "#4c9a78", "filled,rounded"),
    "system": ("#fdf4e3", "#c1923b", "filled,rounded"),
    "provided": ("#f5f6f7", "#a3abb4", "filled,rounded"),
    "python": ("#f5f6f7", "#a3abb4", "filled,rounded"),
    "excluded": ("#f5f6f7", "#a3abb4", "filled,rounded,dashed"),
    "missing": ("#fdecec", "#c9514f", "filled,rounded,dashed"),
}


def tree_dot(tree: Tree) -> str:
    """Return a digraph; the nodes are called `n<index>`, edges bear the reason as a tooltip."""
    lines = [
        "digraph dependencies {",
        f"  label={_quoted(tree.name)}; labelloc=t; rankdir=LR; fontname=monospace;",
        "  node [shape=box, fontname=monospace, fontsize=10];",
        '  edge [color="#9aa4ae", fontname=monospace, fontsize=8];',
    ]
    for index, node in enumerate(tree.nodes):
        fill, line, style = _LOOKS[node.kind]
        lines.append(
            f"  n{index} [label={_label(node)}, tooltip={_quoted(f'{node.name} ({node.kind})')},"
            f' fillcolor="{fill}", color="{line}", style="{style}"];'
        )
    for edge in tree.edges:
        kind = tree.nodes[edge.target].kind
        look = ', style=dashed, color="#c9514f"' if kind == "missing" or edge.via == "in-wheel" else ""
        tip = _quoted(f"{edge.needed}: {edge.why}")
        lines.append(f"  n{edge.source} -> n{edge.target} [tooltip={tip}, edgetooltip={tip}{look}];")
    return "\n".join([*lines, "}", ""])


def _label(node: Node) -> str:
    """The file's name, and below it the folder or what it is instead of a file."""
    path = node.name if node.path is None else node.path
    below = dirname(path) if node.is_file else "not found" if node.kind == "missing" else node.kind
    name = _escaped(basename(path) or path)
    return f'"{name}\\n{_escaped(below)}"' if below else f'"{name}"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    # The backslashes that `escape` makes are characters to be shown, and not graphviz's.
    return escape(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
