"""The simulation itself: each root of a tree, loaded in a fresh process of each interpreter. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.loader.bind import Binder
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
) -> tuple[Outcome, ...]:
    """Load each root in a fresh process.

    Args:
        tree: the installed files.
        system: what the target provides.
        roots: what to load; the order is kept.
        exports: interpreter ▶ what it exports; None if nobody knows, then names that begin as Python's do are taken to
            be there.
        relr: whether the system's loader knows DT_RELR.

    Raises:
        FastwheelError: FW113, the files need each other in more ways than can be followed.
    """
    clashes = _clashes(tree)
    loader = Loader(tree, system)
    binder = Binder(system.libc, system.process)
    checked: dict[str, tuple[Finding, ...]] = {}
    found: list[Outcome] = []
    for root in roots:
        program = root.kind is RootKind.PROGRAM
        group = loader.load(root.item, program=program)
        findings: list[Finding] = [] if program else list(check_root(root.item, system.libc))
        for item in group.objects:
            if item.origin != "wheel":
                continue
            if item.key not in checked:
                checked[item.key] = (
                    *check(item, system.libc, system.arch, relr=relr),
                    *check_age(item, system.process),
                    *_vague(loader, item),
                    *clashes.get(item.key, ()),
                )
            findings += checked[item.key]
        findings += group.findings
        findings += _assumed(group)
        versions = binder.versions(group)
        findings += versions
        if not program:
            findings += check_tls(group, system.libc)
        loose = () if group.missing else binder.loose(group, versions, process=not program)
        found += _outcomes(root, group, findings, loose, exports)
    return _with_covered(found)


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


def _assumed(group: Group) -> Iterator[Finding]:
    """What no promise covers, and what nobody knows enough of."""
    by_key = {item.key: item for item in group.objects}
    for key, edges in group.edges.items():
        for needed, target in edges:
            item = by_key.get(target or "")
            if item is not None and item.symbols is None and by_key[key].origin == "wheel":
                if item.origin == "assumed":
                    message = f"{escape(key)} needs {escape(needed)}, which is not in the wheel; no tag promises it"
                    yield Finding(Kind.LIBRARY_MISSING, Level.WARNING, key, message, needed=needed)
                else:
                    message = (
                        f"{escape(key)} needs {escape(needed)}, and what that defines is not known: no symbol of it, or"
                        " of what is loaded with it, could be checked"
                    )
                    yield Finding(Kind.UNKNOWN, Level.NOTE, key, message, needed=needed)


def _outcomes(
    root: Root,
    group: Group,
    findings: Sequence[Finding],
    loose: Sequence[Loose],
    exports: Mapping[str, Symbols | None],
) -> Iterator[Outcome]:
    """Settle what is left to the interpreters, and join those that agree."""
    keys = tuple(item.key for item in group.objects)
    limited = tuple(_limited(root, loose))
    by_answer: dict[tuple[Finding, ...], list[str]] = {}
    if root.interpreters:
        missing = {
            name: [_without(one, exports.get(name), known=exports.get(name) is not None) for one in loose]
            for name in root.interpreters
        }
        # What no interpreter has is not the interpreter's fault.
        everywhere = [frozenset.intersection(*column) for column in zip(*missing.values(), strict=True)]
        for name, columns in missing.items():
            one: list[Finding] = []
            for reference, names, common in zip(loose, columns, everywhere, strict=True):
                one += _undefined(root, reference, common)
                one += _undefined(root, reference, names - common, interpreter=name)
            by_answer.setdefault(tuple(one), []).append(name)
    else:
        # Of a Python that is not known at all, such as Python 2, only the prefix of its names is.
        rest = [one.names if root.kind is RootKind.PROGRAM else _without(one, None, known=False) for one in loose]
        by_answer[tuple(f for one, names in zip(loose, rest, strict=True) for f in _undefined(root, one, names))] = []
    for answer, interpreters in by_answer.items():
        full = (*findings, *answer, *limited)
        unique = tuple(sorted(dict.fromkeys(full), key=lambda finding: _LEVELS.index(finding.level)))
        if len(unique) > _MOST_OF_ALL:
            message = f"{escape(root.item.key)}: and {len(unique) - _MOST_OF_ALL} more findings"
            unique = (*unique[:_MOST_OF_ALL], Finding(Kind.UNKNOWN, Level.NOTE, root.item.key, message))
        loads = not any(finding.level is Level.ERROR for finding in unique)
        yield Outcome(root.item.key, root.kind, tuple(interpreters), loads, unique, keys)


def _without(reference: Loose, interpreter: Symbols | None, *, known: bool) -> frozenset[str]:
    if interpreter is not None and known:
        return interpreter.left(reference.names, reference.version)
    return frozenset(name for name in reference.names if not is_python_name(name))


def is_python_name(name: str) -> bool:
    """Whether a symbol's name begins as those of Python's interpreters do."""
    return name.startswith(("Py", "_Py", "PyPy", "_PyPy"))


def _undefined(
    root: Root, reference: Loose, names: frozenset[str], *, interpreter: str | None = None
) -> Iterator[Finding]:
    item = reference.item
    where = escape(item.key)
    for number, name in enumerate(sorted(names)):
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
        if root.kind is RootKind.PROGRAM and name in item.lazy and not _binds_now(root.item):
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
        for name in sorted(name for name in reference.names - root.limited if is_python_name(name)):
            message = f"{escape(root.item.key)} uses {escape(name)}, which the limited API of its tag does not have"
            yield Finding(Kind.LIMITED_API, Level.WARNING, root.item.key, message, symbol=name)
