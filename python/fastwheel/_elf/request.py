"""What is asked: an `Edit` turned into the new dynamic table and version-need list (elf-edit 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_VERNEED,
    DT_VERNEEDNUM,
    last,
    string_at,
)
from fastwheel._elf.image import LOADER_NAMES
from fastwheel.errors import ElfError, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.image import Image
    from fastwheel._elf.model import Edit

__all__ = ["Entry", "Request", "Wanted", "check_request", "want"]

_LONGEST_STRING: Final = 65535


@dataclass(frozen=True, slots=True)
class Request:
    """An `Edit` in bytes, free of contradictions.

    Attributes:
        search: (DT_RUNPATH or DT_RPATH, the path), or None.
    """

    soname: bytes | None
    search: tuple[int, bytes] | None
    remove_search: bool
    replace: tuple[tuple[bytes, bytes], ...]
    remove: tuple[bytes, ...]
    add: tuple[bytes, ...]
    drop_versions: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the new dynamic table.

    Attributes:
        value: d_val as it is in the input; 0 if `text` is given.
        text: the string to find a place for, or None to keep the value.
        origin: index of the entry in the old table, or -1.
    """

    tag: int
    value: int
    text: bytes | None
    origin: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The result that is asked for.

    Attributes:
        entries: the dynamic table without its DT_NULL.
        need_files: for each version-need record of the input its new vn_file, or None to keep it.
        need_kept: for each version-need record of the input whether it stays.
        changed: False if the input is already as wanted.
    """

    entries: tuple[Entry, ...]
    need_files: tuple[bytes | None, ...]
    need_kept: tuple[bool, ...]
    changed: bool


def _encode(text: str, field: str) -> bytes:
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ElfError("FW403", f"{field} {escape(text)}: not a string that a file can hold") from None
    if not raw:
        raise ElfError("FW403", f"{field}: empty name")
    if b"\0" in raw:
        raise ElfError("FW403", f"{field} {escape(text)}: a NUL in the name")
    if len(raw) > _LONGEST_STRING:
        raise ElfError("FW403", f"{field}: longer than {_LONGEST_STRING} bytes")
    return raw


def _encode_path(text: str, field: str) -> bytes:
    raw = _encode(text, field)
    if not raw.strip(b":"):
        raise ElfError("FW403", f"{field} {escape(text)}: no folder in the path")
    return raw


def check_request(edit: Edit) -> Request:
    """Return `edit` in bytes.

    Raises:
        ElfError: FW403 an empty or impossible string, or wishes that contradict each other.
    """
    soname = None if edit.soname is None else _encode(edit.soname, "soname")
    if soname is not None and soname.startswith(LOADER_NAMES):
        raise ElfError("FW403", f"soname {_show(soname)}: the name of a dynamic loader")
    runpath = None if edit.runpath is None else _encode_path(edit.runpath, "runpath")
    rpath = None if edit.rpath is None else _encode_path(edit.rpath, "rpath")
    if runpath is not None and rpath is not None:
        raise ElfError("FW403", "runpath and rpath together")
    if edit.remove_rpath and (runpath is not None or rpath is not None):
        raise ElfError("FW403", "remove_rpath together with runpath or rpath")
    replace = tuple((_encode(a, "replace_needed"), _encode(b, "replace_needed")) for a, b in edit.replace_needed)
    remove = tuple(_encode(name, "remove_needed") for name in edit.remove_needed)
    add = tuple(_encode(name, "add_needed") for name in edit.add_needed)
    for index, (old, new) in enumerate(replace):
        for other_old, other_new in replace[:index]:
            if other_old == old and other_new != new:
                raise ElfError("FW403", f"replace_needed {_show(old)}: two new names")
        if old in remove or new in remove:
            raise ElfError("FW403", f"replace_needed {_show(old)}: also in remove_needed")
        if old in add and old != new:
            raise ElfError("FW403", f"replace_needed {_show(old)}: also in add_needed")
    for name in add:
        if name in remove:
            raise ElfError("FW403", f"add_needed {_show(name)}: also in remove_needed")
    search = None
    if runpath is not None:
        search = (DT_RUNPATH, runpath)
    elif rpath is not None:
        search = (DT_RPATH, rpath)
    return Request(soname, search, edit.remove_rpath, replace, remove, add, edit.drop_versions)


def _show(raw: bytes) -> str:
    return escape(raw.decode("utf-8", "surrogateescape"))


def _renamed(request: Request, name: bytes) -> bytes:
    for old, new in request.replace:
        if old == name:
            return new
    return name


def want(image: Image, request: Request) -> Wanted:
    """Return the dynamic table and version-need list that `request` asks for.

    Raises:
        ElfError: FW404 a library is to be removed of which versions are needed, without `drop_versions`.
    """
    entries = [Entry(tag, value, None, index) for index, (tag, value) in enumerate(image.dynamic.entries)]
    entries = _want_search(image, request, entries)
    removed = False
    for entry in entries:
        if entry.tag == DT_NEEDED and _renamed(request, _string(image, entry)) in request.remove:
            removed = True
    entries = _want_needed(image, request, entries)
    if request.soname is not None:
        entries = _want_soname(image, request.soname, entries)
    # a record of a library that is found in another way, such as DT_FILTER, keeps that name
    needed = {string_at(image.strings, value, "d_val") for tag, value in image.dynamic.entries if tag == DT_NEEDED}
    files: list[bytes | None] = []
    kept: list[bool] = []
    for need in image.needs:
        name = _renamed(request, need.file) if need.file in needed else need.file
        files.append(None if name == need.file else name)
        keep = True
        if name in request.remove:
            if request.drop_versions:
                keep = False
            elif removed:
                raise ElfError(
                    "FW404",
                    f"remove_needed {_show(name)}: versions of it are needed",
                    "drop_versions makes these symbols unversioned",
                )
        kept.append(keep)
    if kept and not any(kept):
        if not image.symbols.exact and image.symbols.bound == last(image.dynamic, DT_VERNEED):
            raise ElfError("FW400", "the number of dynamic symbols is not known for certain, and would change")
        entries = [entry for entry in entries if entry.tag not in {DT_VERNEED, DT_VERNEEDNUM}]
    changed = not all(kept) or any(name is not None for name in files)
    if len(entries) != len(image.dynamic.entries):
        changed = True
    for index, entry in enumerate(entries):
        if entry.origin != index or entry.text is not None or entry.tag != image.dynamic.entries[index][0]:
            changed = True
    return Wanted(tuple(entries), tuple(files), tuple(kept), changed)


def _string(image: Image, entry: Entry) -> bytes:
    if entry.text is not None:
        return entry.text
    return string_at(image.strings, entry.value, "d_val")


def _set(image: Image, entry: Entry, tag: int, text: bytes) -> Entry:
    """Return `entry` with `tag` and `text`; its value stays if the string is the same already."""
    if _string(image, entry) == text:
        return Entry(tag, entry.value, None, entry.origin)
    return Entry(tag, 0, text, entry.origin)


def _want_search(image: Image, request: Request, entries: Sequence[Entry]) -> list[Entry]:
    """DT_RUNPATH and DT_RPATH: the last RUNPATH, else the first RPATH, keeps its slot; the others go."""
    if request.search is None and not request.remove_search:
        return list(entries)
    slot = -1
    for index, entry in enumerate(entries):
        if entry.tag == DT_RUNPATH:
            slot = index
    if slot < 0:
        for index, entry in enumerate(entries):
            if entry.tag == DT_RPATH and slot < 0:
                slot = index
    result = []
    for index, entry in enumerate(entries):
        if entry.tag not in {DT_RUNPATH, DT_RPATH}:
            result.append(entry)
        elif index == slot and request.search is not None:
            result.append(_set(image, entry, request.search[0], request.search[1]))
    if slot < 0 and request.search is not None:
        result.append(Entry(request.search[0], 0, request.search[1], -1))
    return result


def _want_needed(image: Image, request: Request, entries: Sequence[Entry]) -> list[Entry]:
    """DT_NEEDED: renamed in place, merged if that made two equal, removed, then added behind the last."""
    result: list[Entry] = []
    # each name that stands so far, and whether a renaming made one of those
    seen: dict[bytes, bool] = {}
    position = -1
    for entry in entries:
        if entry.tag != DT_NEEDED:
            result.append(entry)
            continue
        old = _string(image, entry)
        name = _renamed(request, old)
        if name in request.remove:
            continue
        made = name != old
        if name in seen and (seen[name] or made):
            continue
        seen.setdefault(name, made)
        position = len(result)
        result.append(_set(image, entry, DT_NEEDED, name))
    names = set(seen)
    for name in request.add:
        if name in names:
            continue
        names.add(name)
        position = len(result) if position < 0 else position + 1
        result.insert(position, Entry(DT_NEEDED, 0, name, -1))
    return result


def _want_soname(image: Image, soname: bytes, entries: Sequence[Entry]) -> list[Entry]:
    """DT_SONAME: the last one, which counts, in place; appended if there is none."""
    result = list(entries)
    slot = -1
    for index, entry in enumerate(result):
        if entry.tag == DT_SONAME:
            slot = index
    if slot < 0:
        result.append(Entry(DT_SONAME, 0, soname, -1))
    else:
        result[slot] = _set(image, result[slot], DT_SONAME, soname)
    return result
