"""Which names an archive member may have, and which may stand beside each other in one archive."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST", "LONGEST_PART", "case_twins", "file_and_folder", "first_fault", "name_fault", "shown"]

#: The longest name in bytes: PATH_MAX of Linux, beyond which nothing could install the file.
LONGEST: Final = 4096
#: The longest part of a name in bytes: NAME_MAX of Linux's file systems.
LONGEST_PART: Final = 255

# Parts that are neither empty nor `.` nor `..`, without backslash and control characters (C0, DEL, C1).
_SAFE = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\\\x00-\x1f\x7f-\x9f]+(?:/|\Z))+")
_TRACES: Final = (
    "\\", "\n/", "//", "\n\n", "/./", "\n./", "/.\n", "\n.\n", "/../", "\n../", "/..\n", "\n..\n",
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
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


def first_fault(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the first of `names` that is refused, and why, or None: `name_fault` for many names at once."""
    # Most wheels have no bad name: a few searches in the text of all names tell that much faster than one check each.
    text = "\n" + "\n".join(names) + "\n"
    sound = text.count("\n") == len(names) + 1 and not any(trace in text for trace in _TRACES)
    if sound and not _CONTROL.search(text) and ":/" not in text:
        return None
    for name in names:
        reason = name_fault(name)
        if reason is not None:
            return name, reason
    return None


def file_and_folder(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names of which the first would be a file and, for the second, a folder too; or None.

    The names are sound as of `name_fault`. Sorted with the separator as the lowest character, whatever lies below a
    file directly follows it.
    """
    keys = sorted("\n".join(names).replace("/", "\0").split("\n"))
    for before, after in pairwise(keys):
        if after.startswith(before) and after.startswith(before + "\0"):
            return before.replace("\0", "/"), after.replace("\0", "/")
    return None


def case_twins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that a file system blind to case, or to Unicode forms, would take for one."""
    text = "\n".join(names)
    folded = text.lower().split("\n") if text.isascii() else [_fold(name) for name in names]
    if len(set(folded)) == len(names) or not names:
        return []
    seen: dict[str, str] = {}
    twins = []
    for name, key in zip(names, folded, strict=True):
        first = seen.setdefault(key, name)
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
