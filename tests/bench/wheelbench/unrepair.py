"""Undoes a repair: takes the grafted libraries out of a wheel again, under the names that they came in with.

What a published wheel was repaired from is not published. Its grafts are, and so is how they were bound; taking both
back gives a wheel as a build leaves it, and a folder of libraries to repair it from.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, dirname, join, normpath

from fastwheel import elf
from wheelbench.record import record_row

__all__ = ["Unrepaired", "unrepair"]

#: What repair tools put before the first dot of a graft's file name.
_HASH = re.compile(r"^(?P<stem>[^.]*)-[0-9a-f]{8}(?P<rest>\..*)?$")
_MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Unrepaired:
    """A wheel without its grafts.

    Attributes:
        wheel: its path; the platform tag is `linux_<arch>`.
        libraries: the folder of what was taken out.
        names: of each graft the archive name, and the file name that it has now.
    """

    wheel: Path
    libraries: Path
    names: Mapping[str, str]


def unrepair(wheel: Path, out: Path, libraries: Path) -> Unrepaired:
    """Write the wheel to the folder `out` and its grafts to the folder `libraries`; both are made if need be.

    A graft is an ELF file in a folder `*.libs` at the top of the wheel. It gets back the file name that it had before
    a hash was put into it, as its DT_SONAME too: the soname it once had is lost, and a loader asks by the former. Two
    grafts that had one name keep the hash.

    Raises:
        ValueError: the wheel has no grafts, or `libraries` holds another file of the same name.
    """
    with zipfile.ZipFile(wheel) as archive:
        contents = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
        entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    grafts = [name for name, content in contents.items() if _is_graft(name, content)]
    if not grafts:
        raise ValueError(f"{wheel.name} has no grafted libraries")
    names = _old_names(grafts)
    renamed = tuple((basename(name), old) for name, old in names.items() if basename(name) != old)

    libraries.mkdir(parents=True, exist_ok=True)
    for name, old in names.items():
        edit = elf.Edit(soname=old, replace_needed=_present(renamed, contents[name]), remove_rpath=True)
        _keep(libraries / old, elf.edit(contents.pop(name), edit))
    folders = {dirname(name) for name in grafts}
    for name, content in contents.items():
        if content.startswith(_MAGIC):
            contents[name] = _unbound(name, content, folders, renamed)

    head, _, platforms = wheel.stem.rpartition("-")
    platform = "linux_" + _arch(platforms)
    (info,) = (name for name in contents if name.count("/") == 1 and name.endswith(".dist-info/WHEEL"))
    contents[info] = _retagged(contents[info].decode(), platform)
    record = join(dirname(info), "RECORD")
    boms = join(dirname(info), "sboms", "")
    for name in [name for name in contents if name.startswith(boms) and "wheel" in basename(name)]:
        del contents[name]  # what a repair wrote about its grafts
    contents[record] = _record(contents, record)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{head}-{platform}.whl"
    _write(target, contents, entries)
    return Unrepaired(target, libraries, names)


def _is_graft(name: str, content: bytes) -> bool:
    return re.match(r"[^/]+\.libs/[^/]+$", name) is not None and content.startswith(_MAGIC)


def _old_names(grafts: Iterable[str]) -> dict[str, str]:
    """Archive name ↦ the file name without its hash, or with it where two would have the same."""
    found: dict[str, list[str]] = {}
    for name in grafts:
        match = _HASH.match(basename(name))
        found.setdefault(match["stem"] + (match["rest"] or "") if match else basename(name), []).append(name)
    return {name: old if len(same) == 1 else basename(name) for old, same in found.items() for name in same}


def _present(renamed: tuple[tuple[str, str], ...], content: bytes) -> tuple[tuple[str, str], ...]:
    """Those of the pairs that the file needs: the editor refuses others."""
    needed = set(elf.read(content).needed)
    return tuple(pair for pair in renamed if pair[0] in needed)


def _unbound(name: str, content: bytes, folders: set[str], renamed: tuple[tuple[str, str], ...]) -> bytes:
    """An ELF file of the wheel that needs the libraries by their old names, and looks for none where grafts were."""
    facts = elf.read(content)
    if not facts.dynamic:
        return content
    pairs = _present(renamed, content)
    path = facts.runpath if facts.runpath is not None else facts.rpath
    entries = [] if path is None else path.split(":")
    kept = [entry for entry in entries if _leads_to(entry, dirname(name)) not in folders]
    if kept == entries:
        return elf.edit(content, elf.Edit(replace_needed=pairs)) if pairs else content
    if not kept:
        return elf.edit(content, elf.Edit(replace_needed=pairs, remove_rpath=True))
    if facts.runpath is not None:
        return elf.edit(content, elf.Edit(replace_needed=pairs, runpath=":".join(kept)))
    return elf.edit(content, elf.Edit(replace_needed=pairs, rpath=":".join(kept)))


def _leads_to(entry: str, folder: str) -> str | None:
    """The folder of the wheel that a search path entry names, if it is one below `$ORIGIN`."""
    for origin in ("$ORIGIN", "${ORIGIN}"):
        if entry == origin or entry.startswith(f"{origin}/"):
            return normpath(join(folder, entry[len(origin) :].lstrip("/")))
    return None


def _keep(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() != content:
        raise ValueError(f"{path} exists, with another content")
    path.write_bytes(content)


def _arch(platforms: str) -> str:
    """The architecture that the platform tags of a file name end with."""
    first = platforms.partition(".")[0]
    match = re.match(r"(?:linux|(?:many|musl)linux(?:\d+|_\d+_\d+))_(?P<arch>\w+)$", first)
    if match is None:
        raise ValueError(f"{platforms} is no tag of a repaired wheel")
    return match["arch"]


def _retagged(text: str, platform: str) -> bytes:
    lines = [line for line in text.splitlines() if line]
    tags = dict.fromkeys(line.rpartition("-")[0] for line in lines if line.startswith("Tag:"))
    kept = [line for line in lines if not line.startswith("Tag:")]
    return "\n".join([*kept, *(f"{tag}-{platform}" for tag in tags), ""]).encode()


def _record(contents: Mapping[str, bytes], record: str) -> bytes:
    rows = [record_row(name, content) for name, content in contents.items() if name != record]
    return "".join([*rows, f"{record},,\n"]).encode()


def _write(target: Path, contents: Mapping[str, bytes], entries: Mapping[str, zipfile.ZipInfo]) -> None:
    """Write the members in their old order with their old times and modes, as a build backend compresses them."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, entries[name].date_time)
            entry.external_attr = entries[name].external_attr
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)
