"""A difference as text: what is gone with "-", what is new with "+", what changed with "~"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.report.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel.difference import ArchiveChange, Difference, ElfChange, FieldChange, MemberChange, Side, TextChange

__all__ = ["change_lines", "diff_text"]

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~", "renamed": "~"}
#: Of a list that is only shown whole with -v.
_SHOWN: Final = 6


def diff_text(found: Difference, *, verbose: bool = False) -> str:
    """Return what `fastwheel diff` prints.

    Args:
        found: the difference.
        verbose: with all rows of RECORD, symbols, hashes, and the members that differ around their contents.
    """
    lines = [
        f"--- {escape(found.before)}  {size_text(found.size_before)}",
        f"+++ {escape(found.after)}  {size_text(found.size_after)}{_growth(found)}",
    ]
    if found.equal:
        return "\n".join([*lines, "no difference"])
    if found.name:
        lines += ["", "file name"]
        lines += [line for change in found.name for line in _field(change, "  ", split=".")]
    if found.members:
        lines += ["", *_counted(found)]
        for member in found.members:
            lines += _member(member, verbose)
    elif found.kind == "wheel":
        lines += ["", "all members are equal in content and mode"]
    if found.archive:
        lines += ["", *_archive(found.archive, verbose)]
    return "\n".join(lines)


def _growth(found: Difference) -> str:
    more = found.size_after - found.size_before
    return f"  ({'+' if more > 0 else '-'}{size_text(abs(more))})" if more else ""


def _counted(found: Difference) -> list[str]:
    if found.kind == "file":
        return []
    counts = [(kind, sum(member.kind == kind for member in found.members)) for kind in _SIGNS]
    return ["members: " + ", ".join(f"{count} {kind}" for kind, count in counts if count)]


def _member(member: MemberChange, verbose: bool) -> Iterator[str]:
    before, after = member.before, member.after
    side = after or before
    if side is None:
        return
    sign = _SIGNS[member.kind]
    name = escape(member.name)
    if before is not None and after is not None:
        if member.kind == "renamed":
            name = f"{escape(before.name)} → {name}"
        size = size_text(before.size)
        if before.size != after.size:
            size = f"{size} → {size_text(after.size)}"
        elif not member.content:
            size = "same content"
        yield f"  {sign} {name}  {size}{_packed(before, after)}"
        if before.mode != after.mode:
            yield f"      mode      {_mode(before)} → {_mode(after)}"
        if verbose and member.content:
            yield f"      sha256    {before.sha256} → {after.sha256}"
    else:
        origin = f"  (was {escape(member.graft_of)})" if member.graft_of else ""
        size = "" if name.endswith("/") else f"  {size_text(side.size)}{_packed(side, None)}"
        yield f"  {sign} {name}{size}{origin}"
        if verbose and side.sha256:
            yield f"      mode      {_mode(side)}"
            yield f"      sha256    {side.sha256}"
        if side.elf is not None and verbose:
            yield from (f"      needed    {escape(needed)}" for needed in side.elf.needed)
            yield from (f"      runpath   {escape(path)}" for path in (side.elf.runpath, side.elf.rpath) if path)
    yield from change_lines(member, verbose=verbose)


def change_lines(member: MemberChange, *, verbose: bool = False) -> Iterator[str]:
    """Yield what differs inside a file: dynamic entries, headers, rows; indented and printable."""
    if member.elf is not None:
        yield from _elf(member.elf, verbose)
    if member.text is not None:
        yield from _text(member.text, member.name.endswith("/RECORD"), verbose)


def _packed(before: Side, after: Side | None) -> str:
    """The compressed sizes."""
    if before.compressed_size is None:
        return ""
    if after is None or after.compressed_size is None or after.compressed_size == before.compressed_size:
        return f" ({size_text(before.compressed_size)} packed)"
    return f" ({size_text(before.compressed_size)} → {size_text(after.compressed_size)} packed)"


def _mode(side: Side) -> str:
    return "none" if side.mode is None else f"{side.mode:04o}"


def _field(change: FieldChange, indent: str, split: str | None = None) -> Iterator[str]:
    """One line, or, of a set joined by `split`, one for each part that is gone or new."""
    name, before, after = change
    if split and before and after and (split in before or split in after):
        old, new = before.split(split), after.split(split)
        yield from (f"{indent}- {name} {escape(part)}" for part in old if part not in new)
        yield from (f"{indent}+ {name} {escape(part)}" for part in new if part not in old)
        if set(old) == set(new):
            yield f"{indent}~ {name} {escape(before)} → {escape(after)}"
        return
    yield f"{indent}{name:<9} {_value(before)} → {_value(after)}"


def _value(text: str | None) -> str:
    return "(none)" if text is None else escape(text) if text else "(empty)"


def _elf(change: ElfChange, verbose: bool) -> Iterator[str]:
    indent = "      "
    for field in change.fields:
        yield from _field(field, indent)
    yield from (f"{indent}needed    {escape(old)} → {escape(new)}" for old, new in change.renamed)
    yield from (f"{indent}needed  - {escape(name)}" for name in change.removed)
    yield from (f"{indent}needed  + {escape(name)}" for name in change.added)
    if change.reordered:
        yield f"{indent}needed    in another order"
    for sign, versions in (("-", change.versions_removed), ("+", change.versions_added)):
        yield from (f"{indent}version {sign} {escape(version)} of {escape(library)}" for library, version in versions)
    for sign, symbols in (("-", change.symbols_removed), ("+", change.symbols_added)):
        if symbols:
            yield f"{indent}symbols {sign} {_some(symbols, verbose)}"


def _some(names: Sequence[str], verbose: bool) -> str:
    shown = names if verbose else names[:_SHOWN]
    text = ", ".join(map(escape, shown))
    return text if len(shown) == len(names) else f"{text} and {len(names) - len(shown)} more"


def _text(change: TextChange, is_record: bool, verbose: bool) -> Iterator[str]:
    if is_record and not verbose:
        old, new = (
            {line.rpartition(",")[0].rpartition(",")[0] for line in side} for side in (change.removed, change.added)
        )
        counts = (("added", len(new - old)), ("removed", len(old - new)), ("changed", len(old & new)))
        said = ", ".join(f"{count} {what}" for what, count in counts if count)
        yield f"      rows: {said or 'in another order'}"
        return
    yield from (f"      - {escape(line)}" for line in change.removed)
    yield from (f"      + {escape(line)}" for line in change.added)
    if change.body:
        yield "      the text below the headers differs"


def _path(row: str) -> str:
    return row.rpartition(",")[0].rpartition(",")[0]


def _archive(change: ArchiveChange, verbose: bool) -> Iterator[str]:
    said = ["the order of members"] if change.reordered else []
    for what, changes in (
        ("compression methods", change.methods),
        ("time stamps", change.times),
        ("compressed sizes", change.compressed),
    ):
        if changes:
            said.append(f"{what} of {len(changes)} members")
    yield f"around the contents: {', '.join(said)}"
    if verbose:
        for changes in (change.methods, change.times, change.compressed):
            yield from (f"  {escape(name)}  {before} → {after}" for name, before, after in changes)
