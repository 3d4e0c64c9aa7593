"""From an audit to an explanation: which symbol of which file decides, and who pulled that file in.

>>> import fastwheel
>>> explanation = fastwheel.explain("pkg-1.0-cp312-cp312-linux_x86_64.whl")  # doctest: +SKIP
>>> explanation.repaired_tag, explanation.culprits[0].causes[0].symbols  # doctest: +SKIP
('manylinux_2_34_x86_64', ('pthread_create',))
"""

from __future__ import annotations

import mmap
import os
from collections import defaultdict
from posixpath import dirname
from typing import TYPE_CHECKING, Final

from fastwheel import engine
from fastwheel._audit import examine
from fastwheel._explain.hints import hints_for
from fastwheel._explain.model import Bound, Cause, Culprit, Explanation
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.loader.tables import table
from fastwheel.policy.arch import Libc
from fastwheel.policy.match import best, best_for, judged, needs_of, offending
from fastwheel.verdict import Options, bears

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fastwheel._elf.links import Links
    from fastwheel.policy.tables import Policy
    from fastwheel.verdict import Findings, Verdict
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

__all__ = ["explain", "explain_verdict"]

_MOST: Final = 12


def explain(
    path: str | os.PathLike[str],
    *,
    plat: str | None = None,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    policy_file: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    ldpaths: str | None = None,
    lib_paths: Sequence[str] = (),
    isa_check: bool = True,
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Explanation:
    """Say why the wheel at `path` has its tag, and what to change for `plat`. Nothing is written.

    Args:
        path: the wheel.
        plat: the platform tag to reach; None is the next better one than `fastwheel repair` would give.
        exclude: as for `fastwheel.audit`, like the arguments below.
        allow: see there.
        policy_file: see there.
        include: see there.
        ldpaths: see there.
        lib_paths: see there.
        isa_check: see there.
        environ: see there.
        limits: see there.
        jobs: see there.

    Raises:
        FastwheelError: as `fastwheel.audit`; FW602, no policy is known for `plat`; FW611, it is for another machine.
    """
    from fastwheel.wheel.wheel import Wheel

    options = Options(
        plat=plat or "auto",
        exclude=tuple(exclude),
        allow=tuple(allow),
        policy_file=None if policy_file is None else os.fspath(policy_file),
        include=tuple(include),
        ldpaths=ldpaths,
        lib_paths=tuple(lib_paths),
        isa_check=isa_check,
        environ=environ,
        jobs=jobs,
    )
    with Wheel.open(path, limits) as wheel:
        return explain_verdict(wheel, examine(wheel, options), plat)


def explain_verdict(wheel: Wheel, verdict: Verdict, plat: str | None) -> Explanation:
    """Explain an audit; `wheel` is still open, so that the symbols of its files can be read."""
    goal = _goal(verdict, plat)
    reader = _Reader(wheel, verdict)
    culprits: tuple[Culprit, ...] = ()
    obstacles: tuple[str, ...] = ()
    if goal is not None:
        culprits = reader.culprits(verdict.of(goal))
        obstacles = tuple(_obstacles(verdict, verdict.of(goal)))
    machine_files = [culprit.file for culprit in culprits if culprit.grafted]
    return Explanation(
        wheel=verdict.wheel,
        tag=verdict.overall.name,
        repaired_tag=verdict.repairable.name,
        bounds=_bounds(verdict, reader),
        goal=None if goal is None else goal.name,
        reachable=goal is not None and verdict.repairable.priority >= goal.priority and not culprits,
        culprits=culprits,
        obstacles=obstacles,
        hints=() if goal is None else hints_for(culprits, goal, machine_files),
        notes=verdict.notes,
    )


def _goal(verdict: Verdict, plat: str | None) -> Policy | None:
    if plat is None:
        better = [f.policy for f in verdict.findings if f.policy.priority > verdict.repairable.priority]
        return better[-1] if better else None
    for finding in verdict.findings:
        if bears(finding.policy, plat):
            return finding.policy
    raise FastwheelError(
        f"there is no policy for the platform {escape(plat)} and this wheel",
        code="FW602",
        hint="known are " + ", ".join(finding.policy.name for finding in verdict.findings),
    )


def _bounds(verdict: Verdict, reader: _Reader) -> tuple[Bound, ...]:
    """Each aspect that keeps the wheel from the best tag, the most limiting first."""
    top = verdict.findings[0].policy
    found: list[tuple[int, Bound]] = []

    def add(policy: Policy, bound: Bound) -> None:
        if policy.priority < top.priority:
            found.append((policy.priority, bound))

    symbols = verdict.symbols
    add(symbols, Bound("symbols", symbols.name, tuple(reader.newest(_above(verdict, symbols)))))
    libraries = verdict.references_policy
    missing = _above(verdict, libraries).references if libraries is not top else ()
    add(
        libraries,
        Bound(
            "libraries",
            libraries.name,
            tuple(
                f"{escape(r.soname)}, needed by {escape(r.needed_by)}"
                + ("" if r.path else ", not found on this machine")
                for r in missing
            ),
            repaired=all(reference.path is not None for reference in missing),
        ),
    )
    denied = verdict.blacklist
    add(denied, Bound("forbidden-symbols", denied.name, tuple(_forbidden(_above(verdict, denied)))))
    add(verdict.machine, Bound("instruction-set", verdict.machine.name, tuple(_isa(verdict))))
    if verdict.ucs2 or verdict.pyfpe:
        why = ["an extension needs a narrow-unicode (UCS2) Python"] if verdict.ucs2 else []
        why += ["an extension needs PyFPE_jbuf (PEP 513)"] if verdict.pyfpe else []
        add(verdict.linux, Bound("python", verdict.linux.name, tuple(why)))
    return tuple(bound for _, bound in sorted(found, key=lambda item: item[0]))


def _above(verdict: Verdict, policy: Policy) -> Findings:
    """The findings for the next better policy, which says why it is not that one; of the best one its own."""
    better = [finding for finding in verdict.findings if finding.policy.priority > policy.priority]
    return better[-1] if better else verdict.findings[0]


def _forbidden(finding: Findings) -> Iterator[str]:
    for library, symbols in finding.blacklisted:
        more = f" and {len(symbols) - _MOST} more" if len(symbols) > _MOST else ""
        yield f"{', '.join(map(escape, symbols[:_MOST]))}{more} of {escape(library)}"


def _isa(verdict: Verdict) -> Iterator[str]:
    return (text for text in verdict.notes if " needs the instruction set " in text)


def _obstacles(verdict: Verdict, finding: Findings) -> Iterator[str]:
    """What else than versions stands in the way of a policy and of a repair."""
    for reference in finding.references:
        if reference.path is None:
            yield f"{escape(reference.soname)} is not found (needed by {escape(reference.needed_by)})"
    for text in _forbidden(finding):
        yield f"forbidden: {text}"
    if verdict.machine.priority < finding.policy.priority:
        yield from _isa(verdict)
    if verdict.ucs2:
        yield "an extension needs a narrow-unicode (UCS2) Python"
    if verdict.pyfpe:
        yield "an extension needs PyFPE_jbuf (PEP 513)"


class _Known:
    """What a policy promises of symbols; read for each prefix of versions once."""

    def __init__(self, goal: Policy) -> None:
        self._goal = goal
        self._newest: dict[str, dict[str, str] | None] = {}

    def of(self, names: Sequence[str], version: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """The newest version of each symbol, of whatever library, that is promised; and the symbols that are not."""
        if not names:
            return (), ()
        prefix = version.partition("_")[0]
        if prefix not in self._newest:
            self._newest[prefix] = self._read(prefix)
        newest = self._newest[prefix]
        if newest is None:
            return (), ()
        found = {name: newest[name] for name in names if name in newest}
        return tuple(sorted(found.items())), tuple(name for name in names if name not in found)

    def _read(self, prefix: str) -> dict[str, str] | None:
        """Symbol ▶ its newest version; None if nothing is known of any library."""
        goal = self._goal
        if goal.libc is not Libc.GLIBC:
            return None
        promised = {f"{prefix}_{rest}" for rest in goal.versions.get(prefix, ())}
        tables = [found for library in sorted(goal.allowlist) if (found := table(library, goal.arch)) is not None]
        newest: dict[str, str] = {}
        for known in tables:
            for one in promised.intersection(known.versions):
                for name in known.versions[one]:
                    newest[name] = max(newest.get(name, one), one, key=_number)
        return newest if tables else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.partition("_")[2].split("."))


class _Reader:
    """Tells which files ask for versions that policies lack; reads the symbols of each file once."""

    def __init__(self, wheel: Wheel, verdict: Verdict) -> None:
        self._wheel = wheel
        self._verdict = verdict
        self._members = {unit.path: unit.member for unit in verdict.survey.units}
        self._symbols: dict[str, dict[str, tuple[str, ...]]] = {}
        self._policies = tuple(finding.policy for finding in verdict.findings)
        self._chains = _chains(verdict)
        self._culprits: dict[str, tuple[Culprit, ...]] = {}

    def culprits(self, finding: Findings) -> tuple[Culprit, ...]:
        """The files that need versions which a policy does not promise, the one that blocks most first."""
        name = finding.policy.name
        if name not in self._culprits:
            self._culprits[name] = self._find(finding)
        return self._culprits[name]

    def _find(self, finding: Findings) -> tuple[Culprit, ...]:
        found = []
        known = _Known(finding.policy)
        reach = {policy.name: policy.priority for policy in self._policies}
        firsts: dict[str, str] = {}
        weighed: dict[frozenset[tuple[str, frozenset[str]]], tuple[tuple[tuple[str, str], ...], Policy]] = {}
        for file in self._files(finding):
            facts = self._verdict.graph.objects[file].facts
            needs = judged(self._policies, needs_of(facts))
            key = frozenset(needs.items())
            if key not in weighed:
                weighed[key] = offending(finding.policy, needs), best(self._policies, needs)
            pairs, own = weighed[key]
            if not pairs:
                continue
            symbols = self._of(file)
            causes = []
            for library, version in pairs:
                names = symbols.get(f"{library}\0{version}", ())
                if version not in firsts:
                    firsts[version] = best_for(self._policies, version).name
                causes.append(Cause(library, version, names, firsts[version], *known.of(names, version)))
            causes.sort(key=lambda cause: (reach[cause.first], [-n for n in _number(cause.version)], cause.library))
            found.append((own.priority, -sum(len(cause.symbols) or 1 for cause in causes), file, own, tuple(causes)))
        found.sort(key=lambda item: item[:3])
        return tuple(
            Culprit(file, file not in self._members, self._chains.get(file, ()), own.name, causes)
            for _, _, file, own, causes in found
        )

    def newest(self, finding: Findings) -> Iterator[str]:
        """One line per version that the policy lacks, and who needs it."""
        by_version: dict[tuple[str, str], list[str]] = defaultdict(list)
        for culprit in self.culprits(finding):
            for cause in culprit.causes:
                names = ", ".join(map(escape, cause.symbols[:3])) + ("…" if len(cause.symbols) > 3 else "")
                by_version[cause.library, cause.version].append(escape(culprit.file) + (f" ({names})" if names else ""))
        for (library, version), files in by_version.items():
            more = f" and {len(files) - 3} more" if len(files) > 3 else ""
            yield f"{escape(version)} of {escape(library)}, needed by {', '.join(files[:3])}{more}"

    def _files(self, finding: Findings) -> Iterator[str]:
        yield from self._members
        for reference in finding.references:
            if reference.path is not None and reference.path in self._verdict.graph.objects:
                yield reference.path

    def _of(self, file: str) -> dict[str, tuple[str, ...]]:
        """The symbols of a file by `library NUL version`, sorted."""
        known = self._symbols.get(file)
        if known is None:
            names: dict[str, set[str]] = defaultdict(set)
            for undefined in self._links(file).undefined:
                if undefined.version is not None:
                    names[f"{undefined.file}\0{undefined.version}"].add(undefined.name)
            known = self._symbols[file] = {key: tuple(sorted(group)) for key, group in names.items()}
        return known

    def _links(self, file: str) -> Links:
        member = self._members.get(file)
        if member is not None:
            return engine.links(self._wheel.archive.read(member))
        try:
            with (
                open(file, "rb") as stream,
                mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
                memoryview(content) as view,
            ):
                return engine.links(view)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise FastwheelError(f"cannot read {escape(file)}: {reason}", code="FW700") from error
        except ElfError as error:
            raise ElfError(error.code, f"{escape(file)}: {error.message}", error.hint) from error


def _chains(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """Object ▶ the files that lead to it, from one of the wheel that is no graft; the shortest way."""
    graph = verdict.graph
    paths = [unit.path for unit in verdict.survey.units]
    needed = {edge.target for edges in graph.edges.values() for edge in edges}
    starts = [path for path in paths if path not in needed and not dirname(path).endswith(".libs")]
    starts += [path for path in paths if path not in starts and not dirname(path).endswith(".libs")]
    chains: dict[str, tuple[str, ...]] = {}
    for start in starts:
        if start in chains:
            continue
        chains[start] = ()
        queue = [start]
        for one in queue:  # grows while it is walked
            for edge in graph.edges.get(one, ()):
                if edge.target is not None and edge.target not in chains:
                    chains[edge.target] = (*chains[one], one)
                    queue.append(edge.target)
    return chains
