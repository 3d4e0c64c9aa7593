"""Loading one file as the dynamic loader does: which libraries come along, and from where.

Breadth-first over DT_NEEDED, with glibc's, musl's or Android's rules for what a name means. Sources:
`_dl_map_object_deps` and `_dl_map_object` of glibc's `elf/`, `load_library` of musl's `ldso/dynlink.c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from fastwheel.deps.files import abi_of
from fastwheel.deps.folders import expand, has_origin
from fastwheel.errors import escape
from fastwheel.loader.budget import CHARACTERS, Budget
from fastwheel.loader.model import Finding, Kind, Level
from fastwheel.loader.places import Places
from fastwheel.policy.arch import Libc, machine_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel.deps.files import Abi
    from fastwheel.loader.model import LoadedObject
    from fastwheel.loader.places import Place
    from fastwheel.policy.arch import Arch

__all__ = ["Fault", "Group", "Loader", "System", "Tree"]

_DF_1_NODEFLIB: Final = 0x800
_ET_DYN: Final = 3
_ET_EXEC: Final = 2
#: Places that a finding names.
_MOST_PLACES: Final = 100
#: The libraries that musl's loader takes for itself, whatever comes behind the dot.
_MUSL_OWN: Final = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.", "ld-musl-")


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that was found and can't be used.

    Attributes:
        reason: why.
        fatal: whether the loader gives up instead of looking further.
    """

    reason: str
    fatal: bool


class System(Protocol):
    """What the target provides besides the wheel: the policy's baseline, or a real machine.

    Attributes:
        libc: its C library.
        arch: its processor.
        label: its name for messages.
        process: what an interpreter's process has loaded before, in scope for all, without the interpreter itself.
        local: what it has loaded before out of scope: it serves names, not symbols.
    """

    libc: Libc
    arch: Arch
    label: str
    process: Sequence[LoadedObject]
    local: Sequence[LoadedObject]

    def library(self, name: str, *, defaults: bool) -> LoadedObject | Fault | None:
        """Return what the system's own search finds; without its default folders if `defaults` is false."""

    def at(self, folder: str, name: str) -> LoadedObject | Fault | None:
        """Return what lies in a folder of the machine (an absolute path)."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The installed files.

    Attributes:
        objects: install path ▶ ELF file.
        unusable: install path ▶ why it is no library: files of other machines, damaged ones.
        files: all install paths, ELF or not.
        provided: soname or file name ▶ object of another wheel, taken to be loaded before.
    """

    objects: Mapping[str, LoadedObject]
    unusable: Mapping[str, str]
    files: frozenset[str]
    provided: Mapping[str, LoadedObject]


@dataclass(frozen=True, slots=True)
class Group:
    """What loading one root brought along.

    Attributes:
        objects: breadth-first, the root first; what the process had before is not among them.
        edges: key ▶ (name needed, key of what answers it or None) of each object.
        names: the names by which loaded objects are known, the process's included.
        findings: what could not be found or used.
        missing: whether a library is missing, so that symbols can't be judged.
    """

    objects: tuple[LoadedObject, ...]
    edges: Mapping[str, tuple[tuple[str, str | None], ...]]
    names: Mapping[str, LoadedObject]
    findings: tuple[Finding, ...]
    missing: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    item: LoadedObject | None
    finding: Finding | None


class _Way:
    """The folders that the search paths of an object and of those that loaded it lead to; one for each such list.

    Attributes:
        folders: the folders, each once, in order.
        found: (asker, name) ▶ what a search there finds; None: nothing, or nothing that can be used.
    """

    __slots__ = ("folders", "found")

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self.found: dict[tuple[str, str], LoadedObject | None] = {}


class Loader:
    """Loads files of one tree on one system, each in a fresh process.

    Args:
        tree: the files.
        system: what they are loaded on.
        budget: how much work may be spent on it; None: as much as it takes.
    """

    def __init__(self, tree: Tree, system: System, budget: Budget | None = None) -> None:
        self._tree = tree
        self._system = system
        self._budget = budget or Budget.endless()
        self._places = Places(system.libc, system.arch, tree.files, self._budget)
        self._names = frozenset(path.rpartition("/")[2] for path in tree.files)
        # Who loaded an object differs from root to root; the folders that are searched for it hardly do.
        self._nowhere = _Way(())
        self._ways: dict[tuple[str, ...], _Way] = {(): self._nowhere}
        self._extended: dict[tuple[str, int], _Way] = {}
        self._unfound: dict[tuple[str, tuple[str, ...], str], _Answer] = {}
        self._start: dict[bool, dict[str, LoadedObject]] = {}

    def load(self, root: LoadedObject, *, program: bool = False) -> Group:
        """Load `root`, by its path, into an interpreter's process, or start it if it is a `program`.

        Raises:
            SpentError: the budget is used up.
        """
        names = dict(self._names_before(program=program))
        by_soname = self._system.libc is not Libc.MUSL
        if by_soname and root.soname:
            names.setdefault(root.soname, root)
        loader: dict[str, LoadedObject | None] = {root.key: None}
        inherited = {root.key: self._behind(root, self._nowhere)}
        before = set() if program else {item.key for item in self._system.process}
        queue = [root]
        edges: dict[str, tuple[tuple[str, str | None], ...]] = {}
        findings: list[Finding] = []
        missing = False
        for item in queue:  # grows while it is walked
            found: list[tuple[str, str | None]] = []
            passed_on = inherited[item.key]
            way = self._way(item, passed_on)
            self._budget.spend(len(item.needed) + 4)
            for name in item.needed:
                target = names.get(name) if "/" not in name else None
                if target is None and not by_soname and self._is_musl_itself(name):
                    target = self._musl()
                if target is None:
                    target = way.found.get((item.key, name))
                if target is None:
                    answer = self._answer(item, way, name, loader)
                    if answer.finding is not None:
                        findings.append(answer.finding)
                        missing = missing or answer.finding.level is Level.ERROR
                    target = answer.item
                if target is None:
                    found.append((name, None))
                    continue
                found.append((name, target.key))
                names.setdefault(name, target)
                if target.key in loader or target.key in before:
                    continue
                if by_soname and target.soname:
                    names.setdefault(target.soname, target)
                loader[target.key] = item
                inherited[target.key] = self._behind(target, passed_on)
                queue.append(target)
            edges[item.key] = tuple(found)
        return Group(tuple(queue), edges, names, tuple(dict.fromkeys(findings)), missing)

    def vague_places(self, item: LoadedObject) -> tuple[Place, ...]:
        """Return the entries of an object's search path that mean something else on other machines."""
        return tuple(place for place in self._places.of(item)[1] if place.vague)

    def _names_before(self, *, program: bool) -> Mapping[str, LoadedObject]:
        known = self._start.get(program)
        if known is None:
            known = self._start[program] = {}
            if not program:
                for item in (*self._system.process, *self._system.local):
                    known.setdefault(item.soname or item.key.rpartition("/")[2], item)
                for name, item in self._tree.provided.items():
                    known.setdefault(name, item)
        return known

    @staticmethod
    def _is_musl_itself(name: str) -> bool:
        return name.startswith(_MUSL_OWN)

    def _musl(self) -> LoadedObject | None:
        """The C library of the process, which is musl's loader."""
        names = ((item, item.soname or item.key.rpartition("/")[2]) for item in self._system.process)
        return next((item for item, name in names if self._is_musl_itself(name)), None)

    def _behind(self, item: LoadedObject, way: _Way) -> _Way:
        """The folders that an object hands on to what it loads: those of its DT_RPATH, then those handed to it."""
        return self._with(item, way) if self._places.of(item)[0] == "rpath" else way

    def _way(self, item: LoadedObject, passed_on: _Way) -> _Way:
        """The folders that are searched for what `item` needs; `passed_on` are those that it hands on."""
        if self._places.of(item)[0] == "runpath" or self._system.libc is Libc.ANDROID:
            return self._with(item, self._nowhere)
        # The program is the last of those that loaded it, whatever loaded the root.
        main = next(iter(self._system.process), None)
        if main is None or self._places.of(main)[0] != "rpath":
            return passed_on
        return self._joined(passed_on.folders, self._with(main, self._nowhere).folders)

    def _with(self, item: LoadedObject, way: _Way) -> _Way:
        key = (item.key, id(way))
        known = self._extended.get(key)
        if known is None:
            own = tuple(place.folder for place in self._places.of(item)[1] if place.folder is not None)
            known = self._extended[key] = self._joined(own, way.folders)
        return known

    def _joined(self, first: tuple[str, ...], then: tuple[str, ...]) -> _Way:
        self._budget.spend(len(first) + len(then))
        folders = tuple(dict.fromkeys((*first, *then)))
        known = self._ways.get(folders)
        if known is None:
            known = self._ways[folders] = _Way(folders)
        return known

    def _chain(self, item: LoadedObject, loader: Mapping[str, LoadedObject | None]) -> tuple[LoadedObject, ...]:
        """The objects whose search paths count for what `item` needs, in order: itself, then those that loaded it."""
        kind, _ = self._places.of(item)
        if kind == "runpath" or self._system.libc is Libc.ANDROID:
            return (item,)
        chain = []
        one: LoadedObject | None = item
        while one is not None:
            self._budget.spend(1)
            if self._places.of(one)[0] == "rpath":
                chain.append(one)
            one = loader.get(one.key)
        main = next(iter(self._system.process), None)
        if main is not None and main not in chain and self._places.of(main)[0] == "rpath":
            chain.append(main)
        return tuple(chain)

    def _answer(self, item: LoadedObject, way: _Way, name: str, loader: Mapping[str, LoadedObject | None]) -> _Answer:
        """Search for a name; only where that fails, who loaded `item` is needed, for the words."""
        by_path = "/" in name or not name
        if (item.key, name) not in way.found and not by_path:
            found = self._find(item, way, name)
            way.found[item.key, name] = found
            if found is not None:
                return _Answer(found, None)
        chain = () if by_path else self._chain(item, loader)
        key = (item.key, tuple(one.key for one in chain), name)
        known = self._unfound.get(key)
        if known is None:
            known = self._unfound[key] = self._search(item, chain, name)
        return known

    def _find(self, item: LoadedObject, way: _Way, name: str) -> LoadedObject | None:
        """What the loader finds by a plain name; None if it goes without, or gives up."""
        self._budget.spend(len(way.folders) + 4)
        wanted = None if item.facts is None else abi_of(item.facts)
        for folder in way.folders:
            found = self._in_folder(folder, name, wanted)
            if isinstance(found, Fault):
                if found.fatal:
                    return None
            elif found is not None:
                return found
        found = self._system.library(name, defaults=not _nodeflib(item))
        return None if isinstance(found, Fault) else found

    def _search(self, item: LoadedObject, chain: tuple[LoadedObject, ...], name: str) -> _Answer:
        searched: list[str] = []
        passed: Fault | None = None
        wanted = None if item.facts is None else abi_of(item.facts)
        if "/" in name or not name:
            found = self._by_path(item, name, wanted, searched)
        else:
            found = None
            for place in (place for one in chain for place in self._places.of(one)[1]):
                self._budget.spend(1)
                found = None if place.folder is None else self._in_folder(place.folder, name, wanted)
                if len(searched) < _MOST_PLACES:
                    searched.append(place.label if not isinstance(found, Fault) else f"{place.label}: {found.reason}")
                if isinstance(found, Fault) and not found.fatal:
                    passed = found
                    found = None
                if found is not None:
                    break
            if found is None:
                found = self._system.library(name, defaults=not _nodeflib(item))
                searched.append(self._system.label)
        if found is None and item.facts is None:
            return _Answer(None, None)  # what a library of the baseline needs is the baseline's own business
        if found is None or isinstance(found, Fault):
            return _Answer(None, _finding(item, name, found, passed, tuple(dict.fromkeys(searched))))
        return _Answer(found, None)

    def _in_folder(self, folder: str, name: str, wanted: Abi | None) -> LoadedObject | Fault | None:
        if folder.startswith("/"):
            return self._system.at(folder, name)
        if name not in self._names:
            return None
        return self._in_tree(f"{folder}/{name}" if folder else name, wanted)

    def _in_tree(self, path: str, wanted: Abi | None) -> LoadedObject | Fault | None:
        item = self._tree.objects.get(path)
        strict = self._system.libc is not Libc.GLIBC
        if item is None:
            reason = self._tree.unusable.get(path)
            if reason is not None:
                return Fault(f"{escape(path)}: {reason}", fatal=strict)
            return Fault(f"{escape(path)} is no ELF file", fatal=True) if path in self._tree.files else None
        fault = None if wanted is None or item.facts is None else _misfit(item, wanted)
        return item if fault is None else Fault(fault.reason, fatal=fault.fatal or strict)

    def _by_path(
        self, item: LoadedObject, name: str, wanted: Abi | None, searched: list[str]
    ) -> LoadedObject | Fault | None:
        """What a DT_NEEDED with a slash in it means."""
        origin = item.folder if item.key.startswith("/") else f"\0{item.folder}"
        for meaning in expand(name, origin, self._system.libc, self._system.arch) if name else ():
            folder, _, base = meaning.rpartition("/")
            if meaning.startswith("\0"):
                inside = self._places.in_tree(folder[1:])
                found = None if inside is None else self._in_tree(f"{inside}/{base}" if inside else base, wanted)
            elif meaning.startswith("/") and (not has_origin(name) or item.key.startswith("/")):
                found = self._system.at(folder or "/", base)
            else:
                found = None
            self._budget.spend(1 + len(meaning) // CHARACTERS)
            if len(searched) < _MOST_PLACES:
                searched.append(meaning.replace("\0", "$ORIGIN of the file: "))
            if found is not None:
                return found
        return None


def _nodeflib(item: LoadedObject) -> bool:
    return item.facts is not None and bool(item.facts.dt_flags_1 & _DF_1_NODEFLIB)


def _finding(
    item: LoadedObject, name: str, fault: Fault | None, passed: Fault | None, searched: tuple[str, ...]
) -> Finding:
    """Say that a library was not found; `fault` made the loader give up, `passed` was passed over."""
    where = escape(item.key)
    kind = Kind.LIBRARY_MISSING
    message = f"{where} needs {escape(name) or 'a library without name'}, which is neither found nor promised"
    if fault is not None:
        kind = Kind.LIBRARY_INVALID
        message = f"{where} needs {escape(name)}, and what the loader finds is no use: {fault.reason}"
    elif passed is not None:
        kind = Kind.WRONG_MACHINE
        message = f"{where} needs {escape(name)}, and finds nothing that fits: {passed.reason}"
    return Finding(kind, Level.ERROR, item.key, message, needed=name, searched=searched)


def _misfit(item: LoadedObject, wanted: Abi) -> Fault | None:
    """Why glibc's loader does not take a file of the tree as a library, and whether it looks further then."""
    facts = item.facts
    if facts is None:
        return None
    have = abi_of(facts)
    where = escape(item.key)
    if (have.bits, have.machine) != (wanted.bits, wanted.machine):
        return Fault(f"{where} is for another processor: {machine_name(facts)}", fatal=False)
    if have.byte_order != wanted.byte_order:
        return Fault(f"{where} is {have.byte_order}-endian", fatal=True)
    if have.osabi != wanted.osabi:
        return Fault(f"{where} is for another system: ELF OS ABI {facts.osabi}", fatal=True)
    if have.float_abi and wanted.float_abi and have.float_abi != wanted.float_abi:
        return Fault(f"{where} has another floating-point calling convention", fatal=False)
    if facts.type not in (_ET_DYN, _ET_EXEC):
        return Fault(f"{where} is not a shared library", fatal=True)
    return None
