"""What an object may search, as glibc's, musl's and Android's loaders see it: DT_RPATH, DT_RUNPATH and the rest.

It depends on who loaded the object only through inherited DT_RPATHs, so that few different plans occur in a wheel.
Equal paths and plans are one object each, and what a name resolves to can be remembered by plan.
"""

from __future__ import annotations

from posixpath import dirname, normpath
from typing import TYPE_CHECKING, Final

from fastwheel.deps.files import Abi, abi_of
from fastwheel.deps.folders import Folder, Via, expand, has_origin, split_path
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Libc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel.deps.objects import Object
    from fastwheel.deps.search import Found, Search

__all__ = ["MARK", "Answer", "Path", "Place", "Plan", "Plans", "origin_of"]

_DF_1_NODEFLIB: Final = 0x800
#: Stands for site-packages in an expanded entry; no string of an ELF file can hold it.
MARK: Final = "\0"


class Place(NamedTuple):
    """One folder of a DT_RPATH or DT_RUNPATH: of the wheel (relative to site-packages) or of the machine."""

    folder: str
    in_wheel: bool


class Answer(NamedTuple):
    """What a DT_NEEDED entry resolves to.

    Attributes:
        target: the key of an object, or None.
        via: why it was found there.
        place: the folder or its label, for messages.
        faults: what was passed over, and why.
    """

    target: str | None
    via: Via
    place: str = ""
    faults: tuple[str, ...] = ()


class Path:
    """A DT_RPATH or DT_RUNPATH, as far as its folders exist. Equal ones are one object.

    `late` are the folders whose `$ORIGIN` is taken from the real file instead of the link that led to it.
    """

    __slots__ = ("late", "places", "via")

    def __init__(self, via: Via, places: tuple[Place, ...], late: tuple[Place, ...]) -> None:
        self.via = via
        self.places = places
        self.late = late


class Plan:
    """The search of one object in one chain of loaders. Equal ones are one object.

    Attributes:
        paths: the DT_RUNPATH, or the DT_RPATHs: the object's own, then its loaders', the nearest first.
        passes_on: the DT_RPATHs that what it loads inherits.
        own: of a wheel's file: the machine's folders of its own path.
        machine: the machine's folders, in the loader's order.
        abi: what a candidate must fit.
        on_machine: what names resolve to in `machine`; shared by plans of equal folders.
        in_wheel: what names resolve to in the wheel by `paths`: the key or None, the folder, the faults.
        by_path: (`$ORIGIN`, name) ▶ what a DT_NEEDED that is a path resolves to.
        settled: by key, the (name, target) of objects of this plan whose needs resolve alike in every process.
    """

    __slots__ = ("abi", "by_path", "in_wheel", "machine", "on_machine", "own", "passes_on", "paths", "settled")

    def __init__(
        self,
        paths: tuple[Path, ...],
        passes_on: tuple[Path, ...],
        own: frozenset[str],
        machine: tuple[Folder, ...],
        abi: Abi,
        on_machine: dict[str, Found],
    ) -> None:
        self.paths = paths
        self.passes_on = passes_on
        self.own = own
        self.machine = machine
        self.abi = abi
        self.on_machine = on_machine
        self.in_wheel: dict[str, tuple[str | None, str, tuple[str, ...]]] = {}
        self.by_path: dict[tuple[str, str], Answer] = {}
        self.settled: dict[str, tuple[tuple[str, str], ...]] = {}


def origin_of(item: Object) -> str:
    """Return what `$ORIGIN` stands for: the folder where the file was found, links not followed."""
    return MARK + dirname(item.path) if item.origin == "wheel" else dirname(item.path)


class Plans:
    """Makes the plans of one `build_graph`."""

    def __init__(self, search: Search, wheel_folders: Iterable[str]) -> None:
        self._search = search
        self._libc = search.libc
        self._folders = frozenset(wheel_folders)
        self._abis: dict[str, Abi] = {}
        self._own: dict[str, Path | None] = {}
        self._paths: dict[tuple[object, ...], Path] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._asked: dict[tuple[object, ...], Plan] = {}
        self._machines: dict[tuple[object, ...], dict[str, Found]] = {}

    def plan(self, item: Object, inherited: tuple[Path, ...], interpreter: tuple[Folder, ...]) -> Plan:
        """Return the search of an object.

        Args:
            item: the object.
            inherited: `Plan.passes_on` of its loader.
            interpreter: the folders beside the program's interpreter.
        """
        asked = (item.key, inherited, interpreter)
        plan = self._asked.get(asked)
        if plan is None:
            plan = self._asked[asked] = self._make(item, inherited, interpreter)
        return plan

    def _make(self, item: Object, inherited: tuple[Path, ...], interpreter: tuple[Folder, ...]) -> Plan:
        own = self.own(item)
        abi = self._abi(item)
        passes_on = inherited
        paths: tuple[Path, ...]
        if self._libc is Libc.ANDROID or (self._libc is Libc.GLIBC and item.facts.runpath is not None):
            # Even if none of its folders exists, a RUNPATH switches every RPATH off.
            paths = () if own is None else (own,)
            before = False
        else:
            paths = inherited if own is None else (own, *(path for path in inherited if path is not own))
            passes_on = paths
            before = self._libc is Libc.GLIBC
        nodeflib = bool(item.facts.dt_flags_1 & _DF_1_NODEFLIB)
        key = (paths, before, passes_on, abi, nodeflib, interpreter, own if item.origin == "wheel" else None)
        plan = self._plans.get(key)
        if plan is None:
            machine = self._machine(paths, before, nodeflib, interpreter)
            places = own.places if own is not None and item.origin == "wheel" else ()
            mine = frozenset(place.folder for place in places if not place.in_wheel)
            shared = self._machines.setdefault((machine, abi), {})
            plan = self._plans[key] = Plan(paths, passes_on, mine, machine, abi, shared)
        return plan

    def own(self, item: Object) -> Path | None:
        """Return the object's own path: DT_RUNPATH, else DT_RPATH; None if there is none with an existing folder."""
        if item.key not in self._own:
            via, text = Via.RUNPATH, item.facts.runpath
            if text is None and self._libc is not Libc.ANDROID:
                via, text = Via.RPATH, item.facts.rpath
            self._own[item.key] = self._parse(item, via, text) if text else None
        return self._own[item.key]

    def _abi(self, item: Object) -> Abi:
        abi = self._abis.get(item.key)
        if abi is None:
            abi = self._abis[item.key] = abi_of(item.facts)
        return abi

    def _machine(
        self, paths: tuple[Path, ...], before: bool, nodeflib: bool, interpreter: tuple[Folder, ...]
    ) -> tuple[Folder, ...]:
        search = self._search
        mine = [Folder(p.folder, path.via, p.folder) for path in paths for p in path.places if not p.in_wheel]
        late = [Folder(p.folder, Via.REAL_FOLDER, p.folder) for path in paths for p in path.late]
        around = (*mine, *search.environment) if before else (*search.environment, *mine)
        system = [f for f in search.system if not nodeflib or f.path not in search.defaults]
        unique: dict[str, Folder] = {}
        for folder in (*search.first, *around, *system, *interpreter, *late):
            unique.setdefault(folder.path, folder)
        return tuple(unique.values())

    def _parse(self, item: Object, via: Via, text: str) -> Path | None:
        entries = split_path(text, self._libc)
        if self._libc is Libc.MUSL and any("$" in e.replace("$ORIGIN", "").replace("${ORIGIN}", "") for e in entries):
            return None  # musl ignores a whole path for one token that it does not know
        places = self._places(entries, origin_of(item))
        late: tuple[Place, ...] = ()
        if item.origin == "system" and has_origin(text) and dirname(item.real) != dirname(item.path):
            late = self._places(entries, dirname(item.real))
        if not places and not late:
            return None
        return self._paths.setdefault((via, places, late), Path(via, places, late))

    def _places(self, entries: Iterable[str], origin: str) -> tuple[Place, ...]:
        """Return the folders that entries mean for a file in `origin`, without those that don't exist."""
        found: dict[Place, None] = {}
        for entry in entries:
            for meaning in expand(entry, origin, self._libc, self._search.arch):
                if meaning.startswith(MARK):
                    folder = normpath(f"./{meaning[1:]}")
                    folder = "" if folder == "." else folder
                    if folder in self._folders:
                        found.setdefault(Place(folder, in_wheel=True))
                elif MARK not in meaning:
                    # What starts with $ORIGIN is a path of this machine already, not one below the root folder.
                    beside = meaning is not entry and meaning.startswith(origin)
                    folder = (meaning.rstrip("/") or "/") if beside else self._search.absolute(meaning)
                    if self._search.files.is_folder(folder):
                        found.setdefault(Place(folder, in_wheel=False))
        return tuple(found)
