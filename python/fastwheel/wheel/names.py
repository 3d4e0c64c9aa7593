"""Which names an archive member may have, and which may stand beside each other in one archive."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST", "case_twins", "file_and_folder", "name_fault", "shown"]

#: The longest name in bytes: PATH_MAX of Linux, beyond which nothing could install the file.
LONGEST: Final = 4096

# Parts that are neither empty nor `.` nor `..`, without backslash and control characters (C0, DEL, C1).
_SAFE = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\\\x00-\x1f\x7f-\x9f]+(?:/|\Z))+")
_DRIVE = re.compile(r"[A-Za-z]:/")


def name_fault(name: str) -> str | None:
    r"""Return why `name` is refused as the name of a member, or None if it is safe.

    >>> name_fault("pkg/../../etc/passwd")
    "has a part '..'"
    """
    if _SAFE.fullmatch(name) and name[1:3] != ":/":
        return None
    if not name:
        return "is empty"
    if name.startswith("/") or _DRIVE.match(name):
        return "is absolute"
    if "\\" in name:
        return "has a backslash"
    if "\0" in name:
        return "has a NUL character"
    for part in name.removesuffix("/").split("/"):
        if part in ("", ".", ".."):
            return f"has a part '{part}'" if part else "has an empty part"
    return None if _SAFE.fullmatch(name) else "has a control character"


def file_and_folder(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names of which the first would be a file and, for the second, a folder too; or None.

    Sorted with the separator as the lowest character, whatever lies below a file directly follows it.
    """
    keys = sorted(name.rstrip("/").replace("/", "\0") + ("\0" if name.endswith("/") else "") for name in names)
    for before, after in pairwise(keys):
        if after.startswith(before) and not before.endswith("\0") and after[len(before) :].startswith("\0"):
            return before.replace("\0", "/"), after.replace("\0", "/")
    return None


def case_twins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that a file system blind to case, or to Unicode forms, would take for one."""
    folded = {_fold(name) for name in names}
    if len(folded) == len(names):
        return []
    seen: dict[str, str] = {}
    twins = []
    for name in names:
        first = seen.setdefault(_fold(name), name)
        if first != name:
            twins.append((first, name))
    return twins


def _fold(name: str) -> str:
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def shown(name: str) -> str:
    """Return a name out of an archive as it may be printed: control characters visible, not too long."""
    text = escape(name)
    return text if len(text) <= 200 else f"{text[:150]}…{text[-40:]}"
