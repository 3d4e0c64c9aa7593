"""A difference as tables of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.report.diff import change_lines
from fastwheel.report.markup import Markup, element, joined, table
from fastwheel.report.text import size_text

if TYPE_CHECKING:
    from fastwheel.difference import Difference, MemberChange

__all__ = ["changes_section"]

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~", "renamed": "~"}
_MOST_LINES: Final = 40


def changes_section(found: Difference) -> Markup:
    """Return the sizes as bars, and a row for each member that differs."""
    parts = [_sizes(found)]
    for change in found.name:
        parts.append(
            element(
                "p",
                None,
                f"{change.name}: ",
                element("code", None, change.before or "none"),
                " → ",
                element("code", None, change.after or "none"),
            )
        )
    if not found.members:
        return joined((*parts, element("p", None, "All members are equal in content and mode.")))
    heads = [("", ""), ("", "file"), ("num", "before"), ("num", "after")]
    return joined((*parts, table(heads, found.members, _row)))


def _sizes(found: Difference) -> Markup:
    """Two bars for the sizes of the files."""
    largest = max(found.size_before, found.size_after, 1)
    rows = []
    for what, size, kind in (("before", found.size_before, "before"), ("after", found.size_after, "fill")):
        bar = Markup(
            '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="{kind}" width="{100 * size / largest:.1f}" height="8"/></svg>'
        )
        rows.append(
            element(
                "tr",
                None,
                element("td", {"class": "dim"}, what),
                element("td", {"class": "num"}, size_text(size)),
                element("td", {"class": "bar wide"}, bar),
            )
        )
    return element("table", {"class": "sizes"}, element("tbody", None, *rows))


def _row(member: MemberChange) -> Markup:
    lines = list(change_lines(member))
    shown = [element("li", None, element("code", None, line.strip())) for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(element("li", None, f"and {len(lines) - _MOST_LINES} more"))
    name: list[str] = [element("code", None, member.name)]
    if member.kind == "renamed" and member.before is not None:
        name.append(element("ul", None, element("li", None, "was ", element("code", None, member.before.name))))
    elif member.graft_of:
        name.append(element("ul", None, element("li", None, "was ", element("code", None, member.graft_of))))
    if shown:
        name.append(element("ul", None, *shown))
    return element(
        "tr",
        None,
        element("td", {"class": f"sign {member.kind}"}, _SIGNS[member.kind]),
        element("td", None, *name),
        element("td", {"class": "num"}, "" if member.before is None else size_text(member.before.size)),
        element("td", {"class": "num"}, "" if member.after is None else size_text(member.after.size)),
    )
