"""The folders that an object of the wheel searches, told from its DT_RPATH or DT_RUNPATH, in the installed tree.

Site-packages is the root of all paths here, and nothing is known of what lies above it. Sources: ld.so(8) and glibc's
`elf/dl-load.c`; musl's `ldso/dynlink.c`; Android's linker, which knows DT_RUNPATH only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel.deps.folders import expand, has_origin, split_path
from fastwheel.errors import escape
from fastwheel.loader.budget import CHARACTERS, Budget
from fastwheel.policy.arch import Libc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel.loader.model import LoadedObject
    from fastwheel.policy.arch import Arch

__all__ = ["Place", "Places", "in_tree"]

#: Stands for the root of the tree in an expanded entry; no string of an ELF file can hold it.
_MARK: Final = "\0"


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of a search path.

    Attributes:
        folder: the folder: of the tree (relative to site-packages, "" is itself), or of the machine (absolute); None
            if it is neither: a folder that does not exist, lies outside, or depends on the working folder.
        label: for messages: the entry and where it stands.
        vague: why the entry means something else elsewhere, or "".
    """

    folder: str | None
    label: str
    vague: str = ""


class Places:
    """Tells the places of objects; remembers them.

    Args:
        libc: whose loader is followed.
        arch: the processor, for `$LIB` and `$PLATFORM`.
        files: all files of the tree: only folders that hold one exist.
        budget: what reading search paths is charged to; None: it may take as long as it takes.

    Attributes:
        folders: the folders of the tree, "" for the top.
    """

    def __init__(self, libc: Libc, arch: Arch | None, files: Iterable[str], budget: Budget | None = None) -> None:
        self._budget = budget or Budget.endless()
        self._libc = libc
        self._arch = arch
        self.folders = {""}
        for path in files:
            folder = path.rpartition("/")[0]
            if folder.startswith("../scripts"):
                folder = f"../data/bin{folder.removeprefix('../scripts')}"
            while folder not in self.folders:
                self.folders.add(folder)
                folder = folder.rpartition("/")[0]
        self._known: dict[str, tuple[str, tuple[Place, ...]]] = {}

    def of(self, item: LoadedObject) -> tuple[str, tuple[Place, ...]]:
        """Return ("rpath" or "runpath", its places), or ("", ()) for an object without search path.

        A DT_RPATH beside a DT_RUNPATH does not count; musl treats the two alike (as "rpath"), and Android ignores
        DT_RPATH.
        """
        known = self._known.get(item.key)
        if known is None:
            known = self._known[item.key] = self._read(item)
        return known

    def _read(self, item: LoadedObject) -> tuple[str, tuple[Place, ...]]:
        facts = item.facts
        if facts is None or (facts.runpath is None and facts.rpath is None):
            return "", ()
        self._budget.spend(sum(map(len, filter(None, (facts.runpath, facts.rpath, item.key)))) // CHARACTERS)
        name = "DT_RPATH" if facts.runpath is None else "DT_RUNPATH"
        text = facts.rpath if facts.runpath is None else facts.runpath
        if self._libc is Libc.ANDROID and name == "DT_RPATH":
            return "", ()
        if self._libc is Libc.MUSL and "$" in re.sub(r"\$ORIGIN|\$\{ORIGIN\}", "", text or ""):
            label = f"{name} of {escape(item.key)}: {escape(text or '')}"
            return "rpath", (Place(None, label, "musl knows $ORIGIN only, and ignores a path with any other token"),)
        kind = "runpath" if name == "DT_RUNPATH" and self._libc is not Libc.MUSL else "rpath"
        found = []
        whose = f"{name} of {escape(item.key)}"
        for entry in split_path(text or "", self._libc):
            label = f"{whose}: {escape(entry or '.')}"
            found += [Place(folder, label, vague) for folder, vague in self._meanings(item, entry)]
        return kind, tuple(found)

    def in_tree(self, path: str) -> str | None:
        """Return the folder of the tree that a path means, or None if it does not exist or is outside."""
        self._budget.spend(1 + len(path) // CHARACTERS)
        return in_tree(path, self.folders)

    def _meanings(self, item: LoadedObject, entry: str) -> list[tuple[str | None, str]]:
        machine = item.key.startswith("/")
        if not machine and entry.startswith("$ORIGIN/") and entry.count("$") == 1:  # nearly always
            return [(self.in_tree(item.folder + entry[len("$ORIGIN") :]), "")]
        origin = item.folder if machine else _MARK + item.folder
        if self._libc is Libc.ANDROID:
            # Android's linker expands $LIB, which is lib or lib64 there, and no $PLATFORM.
            lib = "lib64" if self._arch is not None and self._arch.bits == 64 else "lib"
            entry = entry.replace("${LIB}", lib).replace("$LIB", lib)
        meanings = expand(entry, origin, self._libc, self._arch)
        vague = "$LIB or $PLATFORM is not the same everywhere" if len(meanings) > 1 else ""
        if "$" in entry and not has_origin(entry):
            vague = vague or "it holds a token that has no meaning everywhere"
        found: list[tuple[str | None, str]] = []
        for meaning in meanings:
            if meaning.startswith(_MARK):
                found.append((self.in_tree(meaning[1:]), vague))
            elif meaning.startswith("/"):
                found.append((meaning.rstrip("/") or "/", vague))
            else:
                found.append((None, vague or "it depends on the folder in which the program is started"))
        return found


def in_tree(path: str, folders: set[str]) -> str | None:
    """Return the folder of the tree that a path means, or None if it does not exist or is outside.

    Files of other install schemes lie below `../<scheme>`, a root of its own: what is above it is unknown.

    >>> in_tree("pkg/sub/../../pkg.libs", {"", "pkg", "pkg/sub", "pkg.libs"})
    'pkg.libs'
    >>> in_tree("../scripts/../lib", {"", "../data", "../data/bin", "../data/lib"})
    '../data/lib'
    """
    if path.split("/")[:2] == ["..", "scripts"]:
        path = f"../data/bin{path.removeprefix('../scripts')}"  # the same folder: the environment's bin
    parts = path.split("/")
    root = "/".join(parts[:2]) if parts[0] == ".." else ""
    above: list[str] = []
    here = root
    for part in parts[2:] if root else parts:
        if part in ("", "."):
            continue
        if part == "..":
            if not above:
                return None
            here = above.pop()
        else:
            above.append(here)
            here = f"{here}/{part}" if here else part
            if here not in folders:
                return None
    return here
