"""What `fastwheel explain` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.portable import is_absolute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastwheel._explain.model import Cause, Culprit, Explanation

__all__ = ["explain_text"]

_TITLES: Final = {
    "symbols": "versions of system libraries",
    "libraries": "libraries that no policy promises",
    "forbidden-symbols": "forbidden symbols",
    "instruction-set": "instruction sets",
    "python": "the build of Python",
}
_MOST: Final = 8


def explain_text(explanation: Explanation, *, verbose: bool = False) -> str:
    """Return the tag, what bounds it, what stands in the way of a better one, and what to do; all with `verbose`."""
    most = 1 << 30 if verbose else _MOST
    parts = [_tags(explanation)]
    if explanation.bounds:
        parts.append("\n".join(["What bounds it, the most limiting first:", *_bounds(explanation, most)]))
    if explanation.goal is not None:
        parts.append("\n".join(_goal(explanation, most)))
    if explanation.hints:
        lines = ["What to do:"]
        for number, hint in enumerate(explanation.hints, 1):
            lines.append(f"  {number}. {hint.text}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _tags(explanation: Explanation) -> str:
    text = f"{escape(explanation.wheel)} holds to {explanation.tag}"
    if explanation.repaired_tag != explanation.tag:
        return f"{text}; `fastwheel repair` makes it {explanation.repaired_tag}."
    return f"{text}."


def _bounds(explanation: Explanation, most: int) -> Iterator[str]:
    for bound in explanation.bounds:
        repaired = " (`fastwheel repair` grafts them)" if bound.repaired else ""
        yield f"  {bound.tag}: {_TITLES[bound.kind]}{repaired}"
        yield from _few((f"    {line}" for line in bound.reasons), most, "    ")


def _goal(explanation: Explanation, most: int) -> Iterator[str]:
    if not explanation.culprits and not explanation.obstacles:
        yield f"Nothing stands in the way of {explanation.goal}."
        return
    yield f"For {explanation.goal} these would have to change, the one that blocks most first:"
    for culprit in explanation.culprits[:most]:
        yield f"  {_where(culprit)}"
        for cause in culprit.causes:
            version = f"{escape(cause.version)} of {escape(cause.library)}, in {cause.first} first"
            yield f"    {version}: {_symbols(cause, most)}"
    if len(explanation.culprits) > most:
        yield f"  and {len(explanation.culprits) - most} more files (-v shows all)"
    yield from _few((f"  {line}" for line in explanation.obstacles), most, "  ")


def _where(culprit: Culprit) -> str:
    text = escape(culprit.file)
    if culprit.grafted:
        text += ", to be grafted"
    if culprit.chain:
        text += f" (needed by {' ▸ '.join(escape(_short(name)) for name in culprit.chain)})"
    return f"{text}: {culprit.tag}"


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1] if is_absolute(name) else name


def _symbols(cause: Cause, most: int) -> str:
    if not cause.symbols:
        return "the version itself, no symbol"
    remarks = {name: f" (before: {version})" for name, version in cause.older} | dict.fromkeys(cause.new, " (new)")
    names = [escape(name) + remarks.get(name, "") for name in cause.symbols[:most]]
    more = f" and {len(cause.symbols) - most} more" if len(cause.symbols) > most else ""
    return ", ".join(names) + more


def _few(lines: Iterable[str], most: int, indent: str) -> Iterator[str]:
    all_lines = list(lines)
    yield from all_lines[:most]
    if len(all_lines) > most:
        yield f"{indent}and {len(all_lines) - most} more (-v shows all)"
