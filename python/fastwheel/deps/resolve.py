"""The loader's walk: from roots to edges. `graph.build_graph` tells the rules; this is how they are followed.

No recursion: chains of any length are fine. Most of a walk is look-ups in what other roots have asked before.
"""

from __future__ import annotations

from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING, Final

from fastwheel.deps.files import Abi, SystemFile, mismatch
from fastwheel.deps.folders import Via, expand, has_origin
from fastwheel.deps.objects import Edge, Graph, Object
from fastwheel.deps.plans import MARK, Answer, Path, Plan, Plans, origin_of
from fastwheel.errors import escape
from fastwheel.policy.arch import Libc
from fastwheel.portable import is_absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.deps.search import Found, Search

__all__ = ["Resolver"]

_ET_DYN: Final = 3
_MAX_NOTES: Final = 50
_MAX_SHOWN: Final = 200
#: DT_NEEDED entries that are followed again and again, from one root after the other; then each file is walked once.
_MOST_STEPS: Final = 150_000
_OWN_KINDS: Final = (Via.RPATH, Via.RUNPATH)


class Resolver:
    """The state of one `build_graph`."""

    def __init__(self, search: Search, opaque: Callable[[str], bool], members: Mapping[str, Facts]) -> None:
        self._search = search
        self._opaque = opaque
        self._by_soname_too = search.libc is not Libc.MUSL  # whether DT_SONAME names what is loaded
        self._objects = {path: Object(path, "wheel", path, path, members[path]) for path in sorted(members)}
        self._files = frozenset(map(basename, self._objects))
        self._plans = Plans(search, {dirname(path) for path in members})
        self._by_name: dict[str, list[str]] = {}
        self._by_soname: dict[str, list[str]] = {}
        for path, item in self._objects.items():
            if item.facts.type == _ET_DYN:
                self._by_name.setdefault(basename(path), []).append(path)
                if item.facts.soname:
                    self._by_soname.setdefault(item.facts.soname, []).append(path)
        self._is_opaque: dict[str, bool] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._edges: dict[str, dict[str, Edge]] = {key: {} for key in self._objects}
        self._notes: dict[str, None] = {}
        self._path_texts: dict[str, str] = {}
        self._walked: set[str] = set()
        self._steps = _MOST_STEPS

    # -- roots and the result ------------------------------------------------------------------------------------------

    def add_system(self, file: SystemFile) -> str:
        """Add a file of the machine as an object and return its key."""
        if file.real not in self._objects:
            self._objects[file.real] = Object(file.real, "system", file.path, file.real, file.facts)
            self._edges[file.real] = {}
        return file.real

    def wheel_roots(self) -> list[str]:
        """Return the wheel's files whose name nothing in the wheel needs, sorted; the others come after them."""
        wanted = {basename(name) for item in self._objects.values() for name in item.facts.needed}
        first = [
            key
            for key, item in self._objects.items()
            if basename(key) not in wanted and item.facts.soname not in wanted
        ]
        return list(dict.fromkeys((*first, *self._objects)))

    def graph(self, roots: Sequence[str]) -> Graph:
        """Load each root that no earlier one has reached, and return all that was found."""
        reached: set[str] = set()
        began: list[str] = []
        for root in roots:
            if root not in reached:
                began.append(root)
                reached.update(self._load(root))
        notes = list(self._notes)
        if len(notes) > _MAX_NOTES:
            notes[_MAX_NOTES:] = [f"and {len(notes) - _MAX_NOTES} more of this kind"]
        return Graph(
            self._objects,
            {key: tuple(edges.values()) for key, edges in self._edges.items()},
            (*self._search.notes, *notes),
            tuple(began),
        )

    # -- loading -------------------------------------------------------------------------------------------------------

    def _load(self, root: str) -> Iterable[str]:
        """Load one root breadth-first and record the edges; return the keys that were loaded."""
        interpreter = self._search.beside_interpreter(self._objects[root].facts.interpreter)
        loaded: dict[str, str] = {}
        loader: dict[str, str | None] = {root: None}
        inherited: dict[str, tuple[Path, ...]] = {root: ()}
        soname = self._objects[root].facts.soname
        if self._by_soname_too and soname:
            loaded[soname] = root
        queue = [root]
        for key in queue:  # grows while it is walked
            if self._steps < 0 and key in self._walked:
                continue
            item = self._objects[key]
            self._walked.add(key)
            self._steps -= 1 + len(self._names(item))
            plan = self._plans.plan(item, inherited[key], interpreter)
            for name, target in plan.settled.get(key) or self._answers(item, plan, loaded, loader):
                if name not in loaded:
                    self._loads(loaded, name, target)
                if target not in loader:
                    loader[target] = key
                    inherited[target] = plan.passes_on
                    queue.append(target)
        return loader

    def _loads(self, loaded: dict[str, str], name: str, target: str) -> None:
        """Note by what names an object can be had without a search from now on."""
        loaded[name] = target
        soname = self._objects[target].facts.soname
        if self._by_soname_too and soname:
            loaded.setdefault(soname, target)

    def _answers(
        self, item: Object, plan: Plan, loaded: dict[str, str], loader: Mapping[str, str | None]
    ) -> Sequence[tuple[str, str]]:
        """Resolve and record every need of an object; return the (name, target) of those that were found."""
        found: list[tuple[str, str]] = []
        settled = item.origin == "wheel"
        edges = self._edges[item.key]
        for name in self._names(item):
            if self._opaque_name(name):
                if name not in edges:
                    edges[name] = Edge(name, None, "provided by the system", (), Via.PROVIDED)
                continue
            answer = self._resolve(item, plan, name, loaded)
            self._record(item, plan, name, answer, loader)
            if answer.target is None:
                settled = False
                continue
            if name not in loaded:
                self._loads(loaded, name, answer.target)
            found.append((name, answer.target))
            alike = answer.via is Via.PATH or plan.in_wheel.get(name, (None,))[0] == answer.target
            settled = settled and alike
        if settled:
            plan.settled[item.key] = tuple(found)
        return found

    def _names(self, item: Object) -> tuple[str, ...]:
        names = self._needs.get(item.key)
        if names is None:
            names = self._needs[item.key] = tuple(dict.fromkeys(item.facts.needed))
        return names

    def _opaque_name(self, name: str) -> bool:
        known = self._is_opaque.get(name)
        if known is None:
            known = self._is_opaque[name] = self._opaque(name)
        return known

    # -- one name ------------------------------------------------------------------------------------------------------

    def _resolve(self, item: Object, plan: Plan, name: str, loaded: Mapping[str, str]) -> Answer:
        ours = item.origin == "wheel"
        if not ours and name in loaded:
            return Answer(loaded[name], Via.LOADED)
        if "/" in name or not name:
            return self._by_path(origin_of(item), plan, name)
        target, place, faults = self._in_wheel(plan, name)
        if target is not None:
            return Answer(target, plan.paths[0].via, place, faults)
        if ours and plan.own:
            found = self._on_machine(plan, name)
            folder = found.folder
            if found.file and folder and folder.via in _OWN_KINDS and folder.path in plan.own:
                target = self.add_system(found.file)
                self._note_clash(item.key, name, target, loaded)
                return Answer(target, folder.via, folder.path, (*faults, *found.faults))
        if name in loaded:
            return Answer(loaded[name], Via.LOADED, "", faults)
        alone, others = self._by_its_name(item.key, plan.abi, name)
        if ours and alone is not None:
            return Answer(alone, Via.IN_WHEEL, "", faults)
        found = self._on_machine(plan, name)
        faults = (*faults, *found.faults)
        if found.file and found.folder:
            folder = found.folder
            place = folder.path if folder.via in (*_OWN_KINDS, Via.REAL_FOLDER) else folder.label
            return Answer(self.add_system(found.file), folder.via, place, faults)
        if alone is not None:
            return Answer(alone, Via.IN_WHEEL, "", faults)
        if others:
            several = ", ".join(escape(other) for other in others[:4])
            faults = (*faults, f"the wheel itself: {len(others)} files of that name ({several})")
        return Answer(None, Via.MISSING, "", faults)

    def _in_wheel(self, plan: Plan, name: str) -> tuple[str | None, str, tuple[str, ...]]:
        """Follow the paths of a plan inside the wheel; return the key found, the folder and the faults."""
        known = plan.in_wheel.get(name)
        if known is not None:
            return known
        faults: list[str] = []
        target, folder = None, ""
        held = name in self._files  # else no folder needs to be looked into, and there may be thousands
        for place in (p for path in plan.paths for p in path.places if p.in_wheel) if held else ():
            candidate = join(place.folder, name)
            item = self._objects.get(candidate)
            if item is None:
                continue
            reason = mismatch(plan.abi, item.facts)
            if reason is None:
                target, folder = candidate, place.folder
                break
            faults.append(f"{escape(candidate)}: {reason}")
        plan.in_wheel[name] = (target, folder, tuple(faults))
        return plan.in_wheel[name]

    def _on_machine(self, plan: Plan, name: str) -> Found:
        known = plan.on_machine.get(name)
        if known is None:
            known = plan.on_machine[name] = self._search.find(name, plan.machine, plan.abi)
        return known

    def _by_its_name(self, key: str, abi: Abi, name: str) -> tuple[str | None, tuple[str, ...]]:
        """Return the wheel's one file of that name, or of that DT_SONAME; and all, if there are several."""
        for index in (self._by_name, self._by_soname):
            found = [k for k in index.get(name, ()) if k != key and mismatch(abi, self._objects[k].facts) is None]
            if found:
                return (found[0], ()) if len(found) == 1 else (None, tuple(found))
        return None, ()

    def _by_path(self, origin: str, plan: Plan, name: str) -> Answer:
        """Resolve a DT_NEEDED that is a path, as of libraries without DT_SONAME: inside the wheel or of the machine."""
        known = plan.by_path.get((origin, name))
        if known is None:
            known = plan.by_path[origin, name] = self._at_path(origin, plan, name)
        return known

    def _at_path(self, origin: str, plan: Plan, name: str) -> Answer:
        reasons: list[str] = []
        ours = origin.startswith(MARK)
        for meaning in expand(name, origin, self._search.libc, self._search.arch) if name else ():
            if ours and meaning.startswith(MARK):
                candidate = normpath(f"./{meaning[1:]}")
                member = self._objects.get(candidate)
                reason = "not in the wheel" if member is None else mismatch(plan.abi, member.facts)
                if reason is None:
                    return Answer(candidate, Via.PATH)
                reasons.append(f"{escape(candidate)}: {reason}")
                continue
            if ours and not is_absolute(meaning):
                continue  # relative to where the program is started
            path = meaning if has_origin(name) else self._search.root.host(meaning)
            if ours and not self._search.covers(path):
                reasons.append(f"{escape(path)}: a path of a wheel's file counts only inside the search path")
                continue
            found = self._search.files.probe(path, plan.abi) if is_absolute(meaning) else None
            if isinstance(found, SystemFile):
                return Answer(self.add_system(found), Via.PATH)
            reasons.append(f"{escape(path)}: {escape(found or 'no such file')}")
        if not name:
            reasons.append("the name is empty")
        elif ours and not reasons:
            reasons.append("it is a path that begins nowhere in particular")
        return Answer(None, Via.MISSING, "", tuple(reasons))

    # -- recording -----------------------------------------------------------------------------------------------------

    def _record(self, item: Object, plan: Plan, name: str, answer: Answer, loader: Mapping[str, str | None]) -> None:
        """Keep the edge unless an earlier root gave one as good.

        A library may be within reach under one root and not under another; the worse case is kept where the target
        is the same, so that a repair mends it.
        """
        edges = self._edges[item.key]
        known = edges.get(name)
        if known is not None:
            if answer.target is None or (known.target == answer.target and answer.via is not Via.IN_WHEEL):
                return
            if known.target is not None and known.target != answer.target:
                self._notes.setdefault(
                    f"{escape(item.key)} needs {escape(name)}, which is {escape(known.target)} or "
                    f"{escape(answer.target)}, depending on what loads it: the first is taken"
                )
                return
            if known.via in (Via.RUNPATH, Via.IN_WHEEL):
                return
        tried = self._places_tried(item, plan, loader) if answer.target is None else ()
        how = self._how(item, plan, answer, loader)
        edges[name] = Edge(name, answer.target, how, tried + answer.faults, answer.via)

    def _how(self, item: Object, plan: Plan, answer: Answer, loader: Mapping[str, str | None]) -> str:
        via = answer.via
        if via in (*_OWN_KINDS, Via.REAL_FOLDER):
            path = next(p for p in plan.paths if any(x.folder == answer.place for x in (*p.places, *p.late)))
            text = self._path_text(self._owner(item.key, path, loader))
            return f"{text}, beside the real file" if via is Via.REAL_FOLDER else text
        return {
            Via.LOADED: "loaded before under that name",
            Via.IN_WHEEL: "in the wheel, out of the loader's reach",
            Via.PATH: "DT_NEEDED is a path",
            Via.MISSING: "not found",
        }.get(via, answer.place)

    def _owner(self, key: str, path: Path, loader: Mapping[str, str | None]) -> Object:
        """Return the nearest of an object and its loaders that has this path."""
        one: str | None = key
        while one is not None:
            if self._plans.own(self._objects[one]) is path:
                return self._objects[one]
            one = loader[one]
        return self._objects[key]

    def _path_text(self, item: Object) -> str:
        text = self._path_texts.get(item.key)
        if text is None:
            text = self._path_texts[item.key] = self._told(item)
        return text

    @staticmethod
    def _told(item: Object) -> str:
        facts = item.facts
        kind, text = ("RPATH", facts.rpath) if facts.runpath is None else ("RUNPATH", facts.runpath)
        text = text or ""
        shown = escape(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")
        return f"{kind} of {escape(item.key)} ({shown})"

    def _places_tried(self, item: Object, plan: Plan, loader: Mapping[str, str | None]) -> tuple[str, ...]:
        """Return what a search that found nothing went through."""
        mine = self._plans.own(item)
        own = [self._path_text(item)] if item.facts.runpath or item.facts.rpath else []
        inherited = [self._path_text(self._owner(item.key, path, loader)) for path in plan.paths if path is not mine]
        rest = [f.label for f in plan.machine if f.via not in (*_OWN_KINDS, Via.REAL_FOLDER)]
        return (*own, *inherited, *rest)

    def _note_clash(self, key: str, name: str, target: str, loaded: Mapping[str, str]) -> None:
        other = loaded.get(name)
        if other is not None and other != target:
            self._notes.setdefault(
                f"{escape(key)} finds {escape(name)} at {escape(target)} by its own path, "
                f"though {escape(other)} is loaded before: both are kept"
            )
