"""The simulation itself: each root of a tree, loaded in a fresh process of each interpreter. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.loader.bind import Binder
from fastwheel.loader.budget import SYMBOLS, Budget, SpentError
from fastwheel.loader.checks import check, check_age, check_root, check_tls
from fastwheel.loader.load import Loader
from fastwheel.loader.model import Finding, Kind, Level, LoadedObject, Outcome, RootKind, Symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fastwheel.loader.bind import Loose
    from fastwheel.loader.load import Group, System, Tree

__all__ = ["Root", "run"]

_DF_BIND_NOW: Final = 8
_DF_1_NOW: Final = 1
#: Findings of one kind that one object may have; the last of them counts the others.
_MOST: Final = 200
#: Findings of one outcome.
_MOST_OF_ALL: Final = 1000
_LEVELS: Final = list(Level)


@dataclass(frozen=True, slots=True)
class Root:
    """One file to load.

    Attributes:
        item: the file.
        kind: how to load it.
        interpreters: by which interpreters, keys of `run`'s `exports`; of a program none.
        limited: the names of the limited API that it is built for, or None if it is not an abi3 module.
    """

    item: LoadedObject
    kind: RootKind
    interpreters: tuple[str, ...] = ()
    limited: frozenset[str] | None = None


def run(
    tree: Tree,
    system: System,
    roots: Iterable[Root],
    exports: Mapping[str, Symbols | None],
    *,
    relr: bool = True,
    budget: Budget | None = None,
) -> tuple[Outcome, ...]:
    """Load each root in a fresh process, as many as the budget allows; of the others an error says that they were not.

    Libraries come last: those that a module or a program brought along need not be loaded alone.

    Args:
        tree: the installed files.
        system: what the target provides.
        roots: what to load; the order is kept.
        exports: interpreter ▶ what it exports; None if nobody knows, then names that begin as Python's do are taken to
            be there.
        relr: whether the system's loader knows DT_RELR.
        budget: how much work may be spent; None: as much as it takes.
    """
    simulator = _Simulator(tree, system, exports, budget or Budget.endless(), relr=relr)
    asked = tuple(roots)
    found: dict[str, tuple[Outcome, ...]] = {}
    try:
        for root in sorted(asked, key=lambda root: root.kind is RootKind.LIBRARY):
            found[root.item.key] = tuple(simulator.load(root))
    except SpentError:
        pass  # an outcome of its own says so
    loaded = [outcome for root in asked for outcome in found.get(root.item.key, ())]
    return _with_covered((*loaded, *_unchecked([root for root in asked if root.item.key not in found], loaded)))


class _Simulator:
    """What the loading of several roots shares."""

    def __init__(
        self, tree: Tree, system: System, exports: Mapping[str, Symbols | None], budget: Budget, *, relr: bool
    ) -> None:
        self._system = system
        self._exports = exports
        self._budget = budget
        self._relr = relr
        self._clashes = _clashes(tree)
        self._loader = Loader(tree, system, budget)
        self._binder = Binder(system.libc, system.process, budget)
        self._checked: dict[str, tuple[Finding, ...]] = {}
        self._assumed: dict[tuple[str, str], Finding] = {}
        self._settled: dict[tuple[object, ...], dict[str, tuple[Finding, ...]]] = {}

    def load(self, root: Root) -> Iterator[Outcome]:
        """Load one root in a fresh process of each of its interpreters.

        Raises:
            SpentError: the budget is used up.
        """
        system = self._system
        program = root.kind is RootKind.PROGRAM
        group = self._loader.load(root.item, program=program)
        findings: list[Finding] = [] if program else list(check_root(root.item, system.libc))
        for item in group.objects:
            if item.origin == "wheel":
                findings += self._check(item)
        findings += group.findings
        findings += self._what_is_assumed(group)
        versions = self._binder.versions(group)
        findings += versions
        if not program:
            findings += check_tls(group, system.libc)
        loose = () if group.missing else self._binder.loose(group, versions, process=not program)
        self._budget.spend(2 * len(group.objects) + 4 * len(findings))
        return self._outcomes(root, group, findings, loose)

    def _check(self, item: LoadedObject) -> tuple[Finding, ...]:
        known = self._checked.get(item.key)
        if known is None:
            known = self._checked[item.key] = (
                *check(item, self._system.libc, self._system.arch, relr=self._relr),
                *check_age(item, self._system.process),
                *_vague(self._loader, item),
                *self._clashes.get(item.key, ()),
            )
        return known

    def _what_is_assumed(self, group: Group) -> Iterator[Finding]:
        """What no promise covers, and what nobody knows enough of."""
        unknown = {item.key: item for item in group.objects if item.symbols is None}
        if not unknown:
            return
        for item in group.objects:
            if item.origin != "wheel":
                continue
            self._budget.spend(1 + len(group.edges[item.key]) // 2)
            for needed, target in group.edges[item.key]:
                if target in unknown:
                    yield self._assume(item.key, needed, unknown[target])

    def _assume(self, key: str, needed: str, target: LoadedObject) -> Finding:
        known = self._assumed.get((key, needed))
        if known is None:
            known = self._assumed[key, needed] = _assumption(key, needed, target)
        return known

    def _outcomes(
        self, root: Root, group: Group, findings: Sequence[Finding], loose: Sequence[Loose]
    ) -> Iterator[Outcome]:
        """Settle what is left to the interpreters, and join those that agree."""
        keys = tuple(item.key for item in group.objects)
        limited = tuple(_limited(root, loose))
        settled = [self._settle(root, one) for one in loose]
        by_answer: dict[tuple[int, ...], tuple[list[Finding], list[str]]] = {}
        for name in root.interpreters or ("",):
            one = [finding for answers in settled for finding in answers[name]]
            self._budget.spend(1 + len(loose) + 4 * len(one))
            # What is settled is kept: equal findings are the same.
            by_answer.setdefault(tuple(map(id, one)), (one, []))[1].append(name)
        for answer, names in by_answer.values():
            full = (*findings, *answer, *limited)
            unique = tuple(sorted(dict.fromkeys(full), key=lambda finding: _LEVELS.index(finding.level)))
            if len(unique) > _MOST_OF_ALL:
                message = f"{escape(root.item.key)}: and {len(unique) - _MOST_OF_ALL} more findings"
                unique = (*unique[:_MOST_OF_ALL], Finding(Kind.UNKNOWN, Level.NOTE, root.item.key, message))
            loads = not any(finding.level is Level.ERROR for finding in unique)
            interpreters = tuple(names) if root.interpreters else ()
            yield Outcome(root.item.key, root.kind, interpreters, loads, unique, keys)

    def _settle(self, root: Root, loose: Loose) -> dict[str, tuple[Finding, ...]]:
        """What of the references of one object each interpreter lacks; the same for all roots of a kind."""
        program = root.kind is RootKind.PROGRAM
        lazy = program and not _binds_now(root.item)
        key = (loose.item.key, loose.version, loose.names, program, lazy, root.interpreters)
        known = self._settled.get(key)
        if known is not None:
            return known
        self._budget.spend(len(loose.names) // SYMBOLS * (len(root.interpreters) + 1))
        if not root.interpreters:
            # Of a Python that is not known at all, such as Python 2, only the prefix of its names is.
            rest = loose.names if program else _without(loose, None, known=False)
            found = {"": tuple(_undefined(loose, rest, lazy=lazy))}
        else:
            missing = {}
            for name in root.interpreters:
                exported = self._exports.get(name)
                missing[name] = _without(loose, exported, known=exported is not None)
            # What no interpreter has is not the interpreter's fault.
            everywhere = frozenset.intersection(*missing.values())
            common = tuple(_undefined(loose, everywhere, lazy=lazy))
            found = {
                name: (*common, *_undefined(loose, names - everywhere, interpreter=name))
                for name, names in missing.items()
            }
        self._settled[key] = found
        return found


def _unchecked(roots: Sequence[Root], loaded: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of the files that the budget did not suffice for."""
    if not roots:
        return ()
    known = {key for outcome in loaded if outcome.loads for key in outcome.group}
    keys = [root.item.key for root in roots]
    keys = [key for key in keys if key not in known] or keys
    first = keys[0]
    more = f" and {len(keys) - 1} more were" if len(keys) > 1 else " was"
    message = (
        f"{escape(first)}{more} not loaded, so nobody knows whether they load: what the wheel's files ask of each other"
        " takes more work than is spent on a wheel of its size"
    )
    told = Finding(Kind.UNKNOWN, Level.ERROR, first, message)
    return tuple(
        Outcome(root.item.key, root.kind, root.interpreters, loads=False, findings=(told,), group=(root.item.key,))
        for root in roots
    )


def _with_covered(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Mark the libraries that another root brings along under every interpreter that it is for."""
    users: dict[str, dict[str, bool]] = {}  # library ▶ root ▶ whether all its outcomes are good
    for outcome in outcomes:
        for key in outcome.group[1:]:
            roots = users.setdefault(key, {})
            roots[outcome.root] = roots.get(outcome.root, True) and outcome.loads
    return tuple(
        replace(outcome, covered=True)
        if outcome.kind is RootKind.LIBRARY and any(users.get(outcome.root, {}).values())
        else outcome
        for outcome in outcomes
    )


def _vague(loader: Loader, item: LoadedObject) -> Iterator[Finding]:
    for place in loader.vague_places(item):
        message = f"{place.label}: {place.vague}"
        yield Finding(Kind.VAGUE_SEARCH_PATH, Level.WARNING, item.key, message)


def _clashes(tree: Tree) -> dict[str, tuple[Finding, ...]]:
    """The files of the wheel that share a soname which something needs: the first one loaded serves all."""
    wanted = {name for item in tree.objects.values() for name in item.needed}
    by_soname: dict[str, list[str]] = {}
    for key, item in tree.objects.items():
        if item.soname in wanted and item.soname is not None and item.origin == "wheel":
            by_soname.setdefault(item.soname, []).append(key)
    found: dict[str, tuple[Finding, ...]] = {}
    for soname, keys in by_soname.items():
        others = ", ".join(escape(key) for key in keys[:4])
        message = f"{len(keys)} files have the soname {escape(soname)} ({others}): the one loaded first serves all"
        for key in keys if len(keys) > 1 else ():
            found[key] = (Finding(Kind.SONAME_CLASH, Level.WARNING, key, message, needed=soname),)
    return found


def _assumption(key: str, needed: str, target: LoadedObject) -> Finding:
    if target.origin == "assumed":
        message = f"{escape(key)} needs {escape(needed)}, which is not in the wheel; no tag promises it"
        return Finding(Kind.LIBRARY_MISSING, Level.WARNING, key, message, needed=needed)
    message = (
        f"{escape(key)} needs {escape(needed)}, and what that defines is not known: no symbol of it, or"
        " of what is loaded with it, could be checked"
    )
    return Finding(Kind.UNKNOWN, Level.NOTE, key, message, needed=needed)


def _without(reference: Loose, interpreter: Symbols | None, *, known: bool) -> frozenset[str]:
    if interpreter is not None and known:
        return interpreter.left(reference.names, reference.version)
    return frozenset(name for name in reference.names if not is_python_name(name))


def is_python_name(name: str) -> bool:
    """Whether a symbol's name begins as those of Python's interpreters do."""
    return name.startswith(("Py", "_Py", "PyPy", "_PyPy"))


def _undefined(
    reference: Loose, names: frozenset[str], *, interpreter: str | None = None, lazy: bool = False
) -> Iterator[Finding]:
    """The findings on symbols that are defined nowhere; `lazy`: by a program that binds calls when they are made."""
    item = reference.item
    where = escape(item.key)
    for number, name in enumerate(nsmallest(_MOST + 1, names)):
        if number == _MOST - 1 and len(names) > _MOST:
            message = f"{where} needs {len(names) - number} more symbols that nothing defines"
            yield Finding(Kind.SYMBOL_UNDEFINED, Level.ERROR, item.key, message)
            return
        if interpreter is not None:
            message = f"{where} needs the symbol {escape(name)}, which {interpreter} does not have"
            yield Finding(Kind.PYTHON_SYMBOL_MISSING, Level.ERROR, item.key, message, symbol=name, version=interpreter)
            continue
        file = reference.item.version_files.get(reference.version or "")
        of = f" in version {escape(reference.version)} of {escape(file or '')}" if reference.version else ""
        if lazy and name in item.lazy:
            message = f"{where} calls {escape(name)}{of}, which nothing that is loaded defines"
            kind, level = Kind.SYMBOL_UNDEFINED_LAZY, Level.WARNING
        else:
            message = f"{where} needs the symbol {escape(name)}{of}, which nothing that is loaded defines"
            kind, level = Kind.SYMBOL_UNDEFINED, Level.ERROR
        yield Finding(kind, level, item.key, message, needed=file, symbol=name, version=reference.version)


def _binds_now(item: LoadedObject) -> bool:
    facts = item.facts
    return facts is not None and bool(facts.dt_flags & _DF_BIND_NOW or facts.dt_flags_1 & _DF_1_NOW)


def _limited(root: Root, loose: Sequence[Loose]) -> Iterator[Finding]:
    if root.limited is None:
        return
    for reference in loose:
        if reference.item.key != root.item.key:
            continue
        for name in nsmallest(_MOST_OF_ALL + 1, filter(is_python_name, reference.names - root.limited)):
            message = f"{escape(root.item.key)} uses {escape(name)}, which the limited API of its tag does not have"
            yield Finding(Kind.LIMITED_API, Level.WARNING, root.item.key, message, symbol=name)
