"""A tree of dependencies as a Mermaid flowchart, which GitHub and GitLab draw in Markdown.

As in the picture (`fastwheel.report.picture`), libraries that every target brings are left out, and files that are
alike share a node: Mermaid refuses large charts. https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel.report.picture import picture_of

if TYPE_CHECKING:
    from fastwheel._tree import Tree

__all__ = ["tree_mermaid"]

_CLASSES: Final = {
    "module": "fill:#eaf3ff,stroke:#4a86c7,color:#1f2429",
    "program": "fill:#f3effd,stroke:#8a72c2,color:#1f2429",
    "library": "fill:#e8f5ef,stroke:#4c9a78,color:#1f2429",
    "system": "fill:#fdf4e3,stroke:#c1923b,color:#1f2429",
    "excluded": "fill:#f5f6f7,stroke:#a3abb4,color:#1f2429,stroke-dasharray:4 3",
    "missing": "fill:#fdecec,stroke:#c9514f,color:#1f2429,stroke-dasharray:4 3",
}
#: All else is written as the number of the character: quotes, brackets, `#`, `$$`, `fa:` and backticks have meanings.
_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._/+,=~-]")


def tree_mermaid(tree: Tree) -> str:
    """Return a flowchart; the nodes are called `n<number>`."""
    picture = picture_of(tree)
    lines = ["flowchart LR"]
    for index, box in enumerate(picture.boxes):
        title = _escaped(box.title)
        label = f"{title}<br/><small>{_escaped(box.subtitle)}</small>" if box.subtitle else title
        lines.append(f'  n{index}["{label}"]:::{box.kind}')
    for arrow in picture.arrows:
        line = "-->" if arrow.state == "found" else "-.->"
        lines.append(f"  n{arrow.source} {line} n{arrow.target}")
    used = {box.kind for box in picture.boxes}
    lines += [f"  classDef {kind} {style}" for kind, style in _CLASSES.items() if kind in used]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return _PLAIN.sub(lambda match: f"#{ord(match[0])};", text)
