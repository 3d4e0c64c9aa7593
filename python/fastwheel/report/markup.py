"""Elements of HTML whose texts cannot become markup: everything is escaped unless it was made here.

>>> str(element("p", {"class": "a"}, "1 < 2"))
'<p class="a">1 &lt; 2</p>'
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final, TypeVar

from fastwheel.errors import escape
from fastwheel.report.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["MOST_ROWS", "Markup", "element", "joined", "table", "words"]

#: Longer lists are cut, with a word on what is left out.
MOST_ROWS: Final = 300

_Item = TypeVar("_Item")
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


def table(heads: Sequence[tuple[str, str]], items: Sequence[_Item], row: Callable[[_Item], Markup]) -> Markup:
    """Return a table that holds `row` of each item; `heads` are pairs (class, text)."""
    rows = [row(item) for item in items[:MOST_ROWS]]
    line = [element("th", {"class": kind} if kind else None, text) for kind, text in heads]
    left = len(items) - len(rows)
    if left > 0:
        more = element("td", {"colspan": str(len(heads)), "class": "dim"}, f"and {left} more")
        rows.append(element("tr", None, more))
    whole = element("table", None, element("thead", None, element("tr", None, *line)), element("tbody", None, *rows))
    return element("div", {"class": "scroll"}, whole)


def _safe(content: str | Iterable[str]) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return words(content)
    return "".join(map(_safe, content))
