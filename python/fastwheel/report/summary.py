"""Tables in Markdown for the summary page of a CI job: what was repaired, what was found.

All that comes out of a wheel is written as numbers of its characters, so that nothing of it is Markdown or HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.repaired import Repaired
from fastwheel.report.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastwheel._verify.model import Verified

__all__ = ["repair_summary", "verify_summary"]

_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ,+/.()-]")
#: Of longer lists only the beginning is shown: GitHub takes a mebibyte for a step.
_MOST: Final = 50
_Failure = tuple[str, FastwheelError]


def repair_summary(results: Sequence[Repaired | _Failure]) -> str:
    """Return a table with one row for each wheel, and below it the grafts of each."""
    rows: list[tuple[str, ...]] = []
    details: list[str] = []
    for result in results:
        if not isinstance(result, Repaired):
            name, error = result
            rows.append((_code(name), f"❌ {_text(error.message)} ({error.code})", "", ""))
            continue
        name = result.wheel.name if result.path is None else result.path.name
        grafts = () if result.plan is None else result.plan.grafts
        tags = "no compiled code" if result.plan is None else ", ".join(result.plan.tags)
        size = size_text(result.size_before)
        if result.path is not None and result.size_after != result.size_before:
            size += f" → {size_text(result.size_after)}"
        rows.append((_code(name), _text(tags), str(len(grafts)), size))
        if grafts:
            lines = [f"- {_code(graft.source)} as {_code(graft.name)}" for graft in grafts[:_MOST]]
            details.append(_folded(f"Grafts of {name}", [*lines, *_more(len(grafts))]))
        if result.notes:
            lines = [f"- {_text(note)}" for note in result.notes[:_MOST]]
            details.append(_folded(f"Notes on {name}", [*lines, *_more(len(result.notes))]))
    return _page("fastwheel repair", ("wheel", "platform", "grafts", "size"), rows, details)


def verify_summary(results: Sequence[Verified | _Failure]) -> str:
    """Return a table with one row for each wheel, and below it the findings of each."""
    rows: list[tuple[str, ...]] = []
    details: list[str] = []
    for result in results:
        if isinstance(result, tuple):
            name, error = result
            rows.append((_code(name), f"❌ {_text(error.message)} ({error.code})", "", "", ""))
            continue
        counts = [str(len(result.at(level))) for level in ("error", "warning", "note")]
        rows.append((_code(result.wheel), "✅ proved" if result.proved else "❌ not proved", *counts))
        if result.findings:
            lines = [f"- {item.level} {item.code}: {_text(item.message)}" for item in result.findings[:_MOST]]
            details.append(_folded(f"Findings of {result.wheel}", [*lines, *_more(len(result.findings))]))
    return _page("fastwheel verify", ("wheel", "verdict", "errors", "warnings", "notes"), rows, details)


def _page(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], details: Sequence[str]) -> str:
    table = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join([f"### {title}", "", *table, "", *details]) + "\n"


def _folded(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"<details><summary>{_text(title)}</summary>", "", *lines, "", "</details>", ""])


def _more(number: int) -> list[str]:
    return [f"- and {number - _MOST} more"] if number > _MOST else []


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    """A text that no Markdown reader takes for anything else: no markup, link, mention or emoji."""
    return _PLAIN.sub(lambda match: f"&#{ord(match[0])};", escape(text))
