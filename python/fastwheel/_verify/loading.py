"""The loader simulation's findings, as `verify` reports them: joined by file, without what other checks say better."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel._verify.grafts import is_graft
from fastwheel._verify.model import Finding, Proof, finding
from fastwheel._verify.python import python_names
from fastwheel._verify.tags import forbidden, too_recent
from fastwheel.errors import escape
from fastwheel.loader import Kind, RootKind, interpreters_of, simulate
from fastwheel.policy.match import is_libpython
from fastwheel.policy.tables import policies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fastwheel._verify.model import Level
    from fastwheel._verify.targets import Target
    from fastwheel.loader import Finding as Found
    from fastwheel.loader import Outcome, Simulation
    from fastwheel.wheel.wheel import Wheel

__all__ = ["CODES", "ELSEWHERE", "Loads", "load_all"]

CODES: Final = {
    Kind.LIBRARY_MISSING: "FV301",
    Kind.LIBRARY_INVALID: "FV301",
    Kind.VERSION_MISSING: "FV302",
    Kind.VERSION_FILE_MISSING: "FV302",
    Kind.NEWER_LIBC: "FV302",
    Kind.SYMBOL_UNDEFINED: "FV303",
    Kind.SYMBOL_UNDEFINED_LAZY: "FV304",
    Kind.PYTHON_SYMBOL_MISSING: "FV606",
    Kind.NOT_LOADABLE: "FV305",
    Kind.BAD_SEGMENTS: "FV305",
    Kind.WRONG_MACHINE: "FV301",
    Kind.RELATIVE_RELOCATIONS: "FV305",
    Kind.STATIC_TLS: "FV306",
    Kind.SONAME_CLASH: "FV307",
    Kind.UNVERSIONED_LIBRARY: "FV308",
    Kind.VAGUE_SEARCH_PATH: "FV401",
    Kind.UNKNOWN: "FV309",
}
#: What `objects` and `python` look for themselves, in all files and with more to say.
ELSEWHERE: Final = frozenset((Kind.EXECUTABLE_STACK, Kind.TEXT_RELOCATIONS, Kind.PAGE_SIZE, Kind.LIMITED_API))
_HINTS: Final = {
    "FV301": "`fastwheel repair` grafts it; if another package brings it, say so with --provides",
    "FV302": "the wheel holds another build of the library than the one it was linked to: repair the wheel anew",
    "FV303": "link the library that defines it; if another package brings it, say so with --provides",
    "FV606": "build against the Python of the tags, or change the tags",
}
_MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Loads:
    """What came of loading every ELF file of a wheel."""

    findings: tuple[Finding, ...]
    proof: Proof


def load_all(wheel: Wheel, targets: Sequence[Target], provides: Sequence[str], jobs: int) -> Loads:
    """Load each ELF file of each target in the simulation, on the oldest system that the tags promise.

    Raises:
        FastwheelError: FW112 a member is damaged.
    """
    found: list[Finding] = []
    interpreters: dict[str, None] = {}
    baselines: dict[str, None] = {}
    loaded: set[str] = set()
    failed: set[str] = set()
    symbols: dict[str, int] = {}
    for target in targets:
        if not target.found.units:
            continue
        policy = target.strictest or policies(target.libc, target.arch)[-1]
        simulation = simulate(
            wheel,
            policy=policy,
            interpreters=_interpreters(wheel),
            provides=provides,
            survey=target.found,
            jobs=jobs,
        )
        interpreters.update(dict.fromkeys(simulation.interpreters))
        baselines[policy.name] = None
        found += _findings(wheel, target, simulation, targets[0].found.digests)
        symbols.update({unit.path: len(unit.facts.undefined) for unit in target.found.units})
        good = [outcome for outcome in simulation.outcomes if outcome.loads]
        loaded |= {key for outcome in good for key in (outcome.root, *outcome.group) if key in symbols}
        # A library that does not load by itself is fine if a module brings what it needs.
        failed |= {o.root for o in simulation.outcomes if not o.loads and o.kind is not RootKind.LIBRARY}
    proof = Proof(
        files=sum(1 for member in wheel.archive.members if not member.is_dir),
        objects=len({unit.member for target in targets for unit in target.found.units}),
        loaded=len(loaded - failed),
        symbols=sum(symbols[path] for path in loaded - failed),
        interpreters=tuple(interpreters) if any(u.python for t in targets for u in t.found.units) else (),
        baselines=tuple(baselines),
    )
    return Loads(tuple(found), proof)


def _interpreters(wheel: Wheel) -> tuple[str, ...]:
    """The interpreters of the tags; those of Python 2, of which nothing is known, by their tags."""
    old = (tag for tag in wheel.filename.python_tags if tag[2:].startswith("2"))
    return interpreters_of(wheel.filename.tags, wheel.metadata.requires_python) or tuple(old)


class _Shown:
    """Which outcomes show a finding, and which bring a file along, without going through all of them each time."""

    def __init__(self, simulation: Simulation) -> None:
        self.outcomes = simulation.outcomes
        self._with: dict[Found, list[int]] = {}
        self._bringing: dict[str, list[int]] = {}
        known: dict[int, list[int]] = {}  # most findings are shared: to tell the same is faster than to tell equal ones
        for number, outcome in enumerate(self.outcomes):
            for item in outcome.findings:
                numbers = known.get(id(item))
                if numbers is None:
                    numbers = known[id(item)] = self._with.setdefault(item, [])
                if not numbers or numbers[-1] != number:
                    numbers.append(number)
            if outcome.loads:
                for key in outcome.group:
                    self._bringing.setdefault(key, []).append(number)

    def outcomes_with(self, item: Found) -> list[Outcome]:
        """Return the outcomes that have a finding, in order."""
        return [self.outcomes[number] for number in self._with.get(item, ())]

    def roots_of(self, item: Found) -> tuple[str, ...]:
        """Return the files whose loading shows a finding, each once, in order."""
        return tuple(dict.fromkeys(outcome.root for outcome in self.outcomes_with(item)))

    def loads_with(self, key: str) -> list[Outcome]:
        """Return the outcomes without error that bring a file along, in order."""
        return [self.outcomes[number] for number in self._bringing.get(key, ())]


def _findings(wheel: Wheel, target: Target, simulation: Simulation, digests: Mapping[str, bytes]) -> Iterator[Finding]:
    members = {unit.path: unit.member for unit in target.found.units}
    grafts = frozenset(unit.path for unit in target.found.units if is_graft(unit))
    held = {unit.facts.soname or basename(unit.path): unit.path for unit in target.found.units}
    shown = _Shown(simulation)
    policy = target.strictest
    recent = too_recent(target, policy) if policy is not None else frozenset()
    symbols = forbidden(target, policy)
    groups: dict[tuple[object, ...], list[Found]] = defaultdict(list)
    absent = {(item.file, item.version) for item in simulation.findings if item.kind is Kind.VERSION_MISSING}
    for item in simulation.findings:
        follows = item.kind is Kind.SYMBOL_UNDEFINED and (item.file, item.version) in absent
        if item.kind in CODES and not follows and not _said(wheel, recent, symbols, item):
            groups[_group_key(item)].append(item)
    for group in groups.values():
        first = group[0]
        code = "FV606" if _is_python(first) else CODES[first.kind]
        member = members.get(first.file)
        level, remarks = _weigh(first, shown, grafts, held)
        roots = [root for root in shown.roots_of(first) if root != first.file]
        if first.kind is Kind.SONAME_CLASH:
            twins = [unit for unit in target.found.units if unit.facts.soname == first.needed]
            if any(map(is_graft, twins)):
                continue  # FV502
            if len({digests.get(unit.member) for unit in twins}) == 1:
                level = "note"
            roots = []
            member = min((unit.member for unit in twins), default=member)
        if roots:
            more = f" and {len(roots) - 3} more" if len(roots) > 3 else ""
            when = "not loaded either:" if first.kind is Kind.UNKNOWN and level == "error" else "met when loading"
            remarks.append(f"{when} {', '.join(map(escape, roots[:3]))}{more}")
        yield finding(
            code,
            _message(group, simulation.interpreters),
            member,
            level=level,
            details=[*_details(group), *remarks],
            hint=_HINTS.get(code),
        )
    for text in simulation.notes:
        yield finding("FV309", text)


def _group_key(item: Found) -> tuple[object, ...]:
    """Findings of one kind that one file has for one reason are told together."""
    if item.kind is Kind.UNKNOWN and item.needed is not None:
        return item.kind, item.level, item.needed
    if item.kind is Kind.SONAME_CLASH:
        return item.kind, item.needed
    if item.symbol is not None:
        return item.kind, item.level, item.file, item.version, _is_python(item)
    return item.kind, item.level, item.file, item.needed, item.version, item.message


def _is_python(item: Found) -> bool:
    """Whether a symbol that is missing is one of some Python's."""
    if item.kind is Kind.SYMBOL_UNDEFINED:
        return item.version is None and item.symbol in python_names()
    return item.kind is Kind.PYTHON_SYMBOL_MISSING


def _said(wheel: Wheel, recent: frozenset[tuple[str, str]], symbols: frozenset[str], item: Found) -> bool:
    """Whether another check says the same, and better; `recent` and `symbols` are what FV205 is about."""
    if item.needed is not None and item.kind is Kind.LIBRARY_MISSING:
        return is_libpython(item.needed)
    if item.kind in (Kind.VERSION_MISSING, Kind.SYMBOL_UNDEFINED, Kind.SYMBOL_UNDEFINED_LAZY):
        return (item.needed, item.version) in recent or item.symbol in symbols
    if item.kind is Kind.RELATIVE_RELOCATIONS:
        return any(version == "GLIBC_ABI_DT_RELR" for _, version in recent)
    # Symbols outside of the stable ABI are FV602 and FV603.
    return _is_python(item) and "abi3" in wheel.filename.abi_tags


def _weigh(item: Found, shown: _Shown, grafts: frozenset[str], held: Mapping[str, str]) -> tuple[Level, list[str]]:
    """How bad a finding is, and why if it is less bad than it looks.

    A library that is loaded alone, as ctypes does, may lack what the module that really loads it has loaded before.
    Nobody loads grafts so: whoever needs them brings his DT_RPATH, which theirs add to.
    """
    level: Level = item.level.value
    if level != "error":
        return level, []
    with_it = shown.outcomes_with(item)
    alone = all(o.kind is RootKind.LIBRARY for o in with_it)
    # Errors keep their outcomes from loading: what loads has not this one.
    others = [o.root for o in shown.loads_with(item.file)]
    if alone and others and item.kind in (Kind.SYMBOL_UNDEFINED, Kind.LIBRARY_MISSING):
        only_grafts = all(outcome.root in grafts for outcome in with_it)
        remark = f"only by itself, as ctypes loads it; {escape(others[0])} brings what it needs"
        return "note" if only_grafts else "warning", [remark]
    if alone and item.kind is Kind.LIBRARY_MISSING and item.needed is not None and item.needed in held:
        # Plugins, say, that a module opens which has loaded the library before: the name is enough then.
        path = held[item.needed]
        modules = (o.root for o in shown.loads_with(path) if o.kind is RootKind.EXTENSION)
        module = next(modules, None)
        if module is not None:
            return "warning", [f"it loads only once {escape(path)} is loaded, as {escape(module)} does"]
    return level, []


def _message(group: Sequence[Found], interpreters: Sequence[str]) -> str:
    first = group[0]
    if first.kind is Kind.UNKNOWN and first.needed is not None:
        who = escape(first.file) + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        return f"what {escape(first.needed)} defines is not known, so what {who} asks of it was not checked"
    where, count = escape(first.file), len(group)
    if _is_python(first):
        what = f"{count} symbols" if count > 1 else f"the symbol {escape(first.symbol or '')}"
        who = first.version or (interpreters[0] if len(interpreters) == 1 else "no Python of the tags")
        return f"{where} needs {what}, which {who} {'has' if who.startswith('no ') else 'does not have'}"
    if count == 1 or first.symbol is None:
        return first.message
    of = f" in version {escape(first.version)} of {escape(first.needed or '')}" if first.version else ""
    verb = "calls" if first.kind is Kind.SYMBOL_UNDEFINED_LAZY else "needs"
    return f"{where} {verb} {count} symbols{of} that nothing that is loaded defines"


def _details(group: Sequence[Found]) -> Iterator[str]:
    first = group[0]
    if len(group) > 1 and first.symbol is not None:
        names = [escape(item.symbol) for item in group if item.symbol is not None]
        yield from _few(names)
    if first.searched:
        yield "looked in: " + ", ".join(map(escape, first.searched[:_MOST]))


def _few(names: Iterable[str]) -> Iterator[str]:
    all_names = list(names)
    more = f" and {len(all_names) - _MOST} more" if len(all_names) > _MOST else ""
    yield ", ".join(all_names[:_MOST]) + more
