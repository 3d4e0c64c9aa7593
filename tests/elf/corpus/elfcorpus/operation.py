"""What a wheel repair asks of the editor, and the folders in which the result is then loaded."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .peek import Peek, peek
from .subject import MACHINES
from .tools import run, tool

if TYPE_CHECKING:
    from .subject import Subject

__all__ = ["Request", "Site", "repair_request"]

#: What no repair renames: the C library's own parts, and the loader.
_SYSTEM = re.compile(
    r"ld(64)?[-.].*|linux-vdso.*|linux-gate.*"
    r"|lib(c|m|mvec|pthread|dl|rt|resolv|util|nsl|anl|BrokenLocale|thread_db|nss_\w+)(\.so.*|\.musl.*)"
)

#: Beside the edited file's folder, as in a repaired wheel.
RUNPATH = "$ORIGIN/../package.libs"


@dataclass(frozen=True, slots=True)
class Request:
    """One edit: `runpath` replaces RPATH and RUNPATH, `renames` are DT_NEEDED entries, None leaves the SONAME."""

    runpath: str
    renames: tuple[tuple[str, str], ...]
    soname: str | None

    def holds(self, before: Peek, after: Peek) -> bool:
        """Tell whether `after` is `before` with this edit."""
        new = dict(self.renames)
        wanted = list(dict.fromkeys(new.get(name, name) for name in before.needed))
        return (
            list(dict.fromkeys(after.needed)) == wanted
            and after.runpath == self.runpath
            and after.rpath is None
            and after.soname == (self.soname or before.soname)
        )


@functools.cache
def _loader_cache() -> dict[str, Path]:
    """Return what ldconfig knows of this machine's libraries."""
    found: dict[str, Path] = {}
    for line in run([tool("/sbin/ldconfig"), "-p"]).stdout.decode().splitlines():
        match = re.match(r"\s+(\S+) \(libc6,x86-64[^)]*\) => (\S+)", line)
        if match:
            found.setdefault(match[1], Path(match[2]))
    return found


def _find(name: str, subject: Subject, facts: Peek) -> Path | None:
    """Return where the loader would find a library that the original needs."""
    if "/" in name:
        return None
    folders = list(subject.library_path)
    for entry in (facts.runpath or facts.rpath or "").split(":"):
        if entry:
            origin = str(subject.path.parent)
            folders.append(Path(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)))
    system = MACHINES[subject.machine].system
    if system:
        folders.append(Path(system))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    return _loader_cache().get(name) if subject.machine == "x86_64" else None


def _unique(name: str, text: str) -> str:
    stem, dot, rest = name.partition(".")
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{dot}{rest}"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder laid out like a repaired wheel: `package/` for edited files, `package.libs/` for renamed libraries."""

    root: Path

    def file(self, label: str, name: str = "") -> Path:
        """Return a path in `package/`, or in a folder of its own beside it for a program that knows its `name`."""
        folder = self.root / (label if name else "package")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (name or label)

    def graft(self, name: str, target: Path) -> None:
        """Let the loader find `target` as `name`: it matches versions by the name that it loaded a file for."""
        folder = self.root / "package.libs"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(target.resolve(), folder / name)


def repair_request(subject: Subject, data: bytes, site: Site) -> Request:
    """Return the edit that a repair would make, and put the renamed libraries where it will look for them.

    A library that is not to be found keeps its name: then the original does not load either.
    """
    facts = peek(data)
    renames = []
    for name in dict.fromkeys(facts.needed):
        if _SYSTEM.fullmatch(name):
            continue
        path = _find(name, subject, facts)
        if path is not None or subject.kind == "static":
            new = _unique(name, str(path))
            renames.append((name, new))
            if path is not None:
                site.graft(new, path)
    soname = _unique(facts.soname, subject.name) if facts.soname and subject.kind != "program" else None
    return Request(RUNPATH, tuple(renames), soname)
