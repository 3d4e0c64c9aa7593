"""Elements of HTML whose texts cannot become markup: everything is escaped unless it was made here.

>>> str(element("p", {"class": "a"}, "1 < 2"))
'<p class="a">1 &lt; 2</p>'
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.report.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Markup", "element", "joined", "words"]

_VOID: Final = frozenset({"meta", "br", "hr", "col"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def words(text: str) -> Markup:
    """Return a text as HTML: what a reader sees is exactly the text, with control characters made visible.

    Of a line that nobody would read to its end the beginning is left.
    """
    return Markup(html.escape("\n".join(escape(cut(line)) for line in text.split("\n"))))


def element(name: str, attributes: Mapping[str, str] | None = None, *content: str | Iterable[str]) -> Markup:
    """Return an element; strings in `content` that are not `Markup` are escaped."""
    inside = "".join(map(_safe, content))
    told = "".join(f' {key}="{words(value)}"' for key, value in (attributes or {}).items())
    return Markup(f"<{name}{told}>" if name in _VOID else f"<{name}{told}>{inside}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Return parts one after the other."""
    return Markup(_safe(between).join(map(_safe, parts)))


def _safe(content: str | Iterable[str]) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return words(content)
    return "".join(map(_safe, content))
