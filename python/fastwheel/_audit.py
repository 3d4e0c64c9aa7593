"""Facts, graph and policies ▶ Verdict: which platform tags hold for a wheel, and what stands in the way.

>>> import fastwheel
>>> verdict = fastwheel.audit("pkg-1.0-cp312-cp312-linux_x86_64.whl")  # doctest: +SKIP
>>> verdict.overall.name, [r.soname for r in verdict.references]  # doctest: +SKIP
('linux_x86_64', ['libfoo.so.3'])
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.host import host_libc, host_musl
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Arch, Libc, arch_from_tags, is_loader, isa_level, libc_from_tags
from fastwheel.policy.custom import load_policies, with_custom
from fastwheel.policy.match import allowed, blacklisted, fitting, is_libpython, judged, merge_needs, needs_of, offending
from fastwheel.policy.tables import android_policy, policies
from fastwheel.survey import survey
from fastwheel.verdict import Findings, Options, Reference, Verdict, bears

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastwheel.deps.include import Include
    from fastwheel.deps.objects import Edge, Graph
    from fastwheel.deps.search import Search
    from fastwheel.policy.tables import Policy
    from fastwheel.survey import Contents, Survey
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

__all__ = ["audit", "examine", "judge"]

#: Files named in a message.
_MOST_NAMED: Final = 10


def audit(
    path: str | os.PathLike[str],
    *,
    plat: str = "auto",
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
) -> Verdict:
    """Say which platform tags hold for the wheel at `path`, and what it leans on. Nothing is written.

    Args:
        path: the wheel.
        plat: see `Options`, like the arguments below.
        exclude: see `Options`.
        allow: see `Options`.
        policy_file: see `Options`.
        include: see `Options`.
        ldpaths: see `Options`.
        lib_paths: see `Options`.
        isa_check: see `Options`.
        environ: see `Options`.
        limits: bounds on what an archive may claim; None is `Limits()`.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: the file is not an acceptable wheel, or holds no ELF file for a known platform (FW600).
    """
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

    options = Options(
        plat=plat,
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
    with Wheel.open(path, limits or Limits()) as wheel:
        return examine(wheel, options)


def examine(
    wheel: Wheel,
    options: Options,
    *,
    digest: bool = False,
    searches: dict[tuple[Libc, Arch], Search] | None = None,
    contents: Contents | None = None,
) -> Verdict:
    """Audit an open wheel; with `digest` every member is hashed too (`Verdict.survey.digests`).

    `searches` keeps what is known of this machine's libraries for audits with the same options; `contents` are the
    wheel's, if they were read before.

    Raises:
        FastwheelError: as `audit`.
    """
    arch, libc = _aimed_at(wheel, options.plat)
    found = survey(wheel, digest=digest, arch=arch, libc=libc, jobs=options.jobs, contents=contents)
    notes = [*wheel.warnings, *found.notes]
    purelib = [unit.member for unit in found.units if "purelib" in unit.member.split("/")[:-1]]
    if purelib:
        raise FastwheelError(
            f"the wheel holds shared libraries in its purelib folder: {', '.join(map(escape, purelib))}",
            code="FW610",
            hint="a wheel with compiled code has to install into platlib: build it as a platform wheel",
        )
    if not found.units or found.arch is None:
        raise _not_a_platform_wheel(wheel, found)
    if found.libc is None:
        libc = host_libc()
        notes.append(f"the C library could not be told from the wheel: taking this machine's, {libc.value}")
    else:
        libc = found.libc
    candidates = _candidates(wheel, found.arch, libc, options.plat, notes)
    if options.policy_file is not None:
        candidates = with_custom(candidates, load_policies(options.policy_file, libc, found.arch))
    key = (candidates[0].libc, candidates[0].arch)
    audit = _Audit(wheel.path.name, found, candidates, options, notes, (searches or {}).get(key))
    if searches is not None:
        searches[key] = audit.search
    return audit.verdict()


def judge(name: str, found: Survey, candidates: tuple[Policy, ...], options: Options, search: Search) -> Verdict:
    """Audit ELF files that were surveyed before against `candidates` (the last one `linux_<arch>`).

    Libraries outside of the wheel are looked for in `search` only, whatever `options` say of it.
    """
    return _Audit(name, found, candidates, options, list(found.notes), search).verdict()


def _aimed_at(wheel: Wheel, plat: str) -> tuple[Arch | None, Libc | None]:
    """The machine and C library that `--plat` names, which must not be others than the file name's.

    Raises:
        FastwheelError: FW611, they are; the texts are those that scripts look for.
    """
    if plat == "auto":
        return None, None
    tags = wheel.filename.platform_tags
    intro = f"can't repair wheel {escape(wheel.path.name)} with"
    arch, named_arch = arch_from_tags((plat,)), arch_from_tags(tags)
    if arch is not None and named_arch is not None and arch is not named_arch:
        raise FastwheelError(f"{intro} {named_arch} architecture to a wheel targeting {arch}", code="FW611")
    libc, named_libc = libc_from_tags((plat,)), libc_from_tags(tags)
    if libc is not None and named_libc is not None and libc is not named_libc:
        message = f"{intro} {named_libc.name} libc to a wheel targeting {libc.name}"
        raise FastwheelError(message, code="FW611")
    return arch, libc


def _candidates(wheel: Wheel, arch: Arch, libc: Libc, plat: str, notes: list[str]) -> tuple[Policy, ...]:
    """The policies to weigh, the most widely compatible first, `linux_<arch>` last.

    An ELF file says which glibc it needs, but neither which musl nor which Android: there the wanted platform, the file
    name or this machine decides.
    """
    known = policies(libc, arch)
    if libc is Libc.GLIBC or len(known) == 1:
        return known
    linux = known[-1]
    if libc is Libc.ANDROID:
        named = [tag for tag in (plat, *wheel.filename.platform_tags) if libc_from_tags((tag,)) is libc]
        return (android_policy(named[0]), linux) if named else known
    wanted = [policy for policy in known if bears(policy, plat)]
    if not wanted:
        version = host_musl()
        wanted = [
            policy for policy in known if version is not None and policy.base == "musllinux_{}_{}".format(*version)
        ]
    if not wanted and known[-2].name not in wheel.filename.platform_tags:
        notes.append(f"the version of musl cannot be told from the wheel: taking the newest known, {known[-2].base}")
    return (wanted[0] if wanted else known[-2], linux)


def _not_a_platform_wheel(wheel: Wheel, found: Survey) -> FastwheelError:
    """The beginnings of the texts are those that scripts look for."""
    if wheel.filename.platform_tags == ("any",):
        return FastwheelError(
            "This does not look like a platform wheel, no ELF executable or shared library found in"
            f" {escape(wheel.path.name)}",
            code="FW600",
            hint="a pure Python wheel needs no repair; --allow-pure-python-wheel makes that a success",
        )
    others = ", ".join(f"{escape(name)} ({reason})" for name, reason in found.ignored[:_MOST_NAMED])
    if len(found.ignored) > _MOST_NAMED:
        others += f" and {len(found.ignored) - _MOST_NAMED} more"
    return FastwheelError(
        "Invalid binary wheel: no ELF executable or shared library for its platform found in"
        f" {escape(wheel.path.name)}" + (others and f", only {others}"),
        code="FW609",
        hint="give the wheel the tag of the machine that its libraries were built for",
    )


class _Weighed(NamedTuple):
    """What policies with one allowlist have in common.

    Attributes:
        references: as in `Findings`.
        grafts: the graph keys of those that were found.
        judged: of the versions needed of each library once the grafts are in, those that a policy judges.
        needs: all of them, as in `Findings`.
    """

    references: tuple[Reference, ...]
    grafts: tuple[str, ...]
    judged: Mapping[str, frozenset[str]]
    needs: tuple[tuple[str, tuple[str, ...]], ...]


class _Audit:
    """The working state of one audit; `verdict` is the only thing asked of it."""

    def __init__(
        self,
        name: str,
        found: Survey,
        candidates: tuple[Policy, ...],
        options: Options,
        notes: list[str],
        search: Search | None,
    ) -> None:
        self.name = name
        self.found = found
        self.policies = candidates
        self.options = options
        self.notes = notes
        self.excludes_used: set[str] = set()
        self._excluded: dict[tuple[str, str | None], bool] = {}
        # A library that every policy allows is part of any target system: its own needs are not the wheel's.
        real = [policy for policy in candidates if policy.priority > 0]
        self.everywhere = frozenset.intersection(*(policy.allowlist for policy in real)) if real else frozenset()
        self.includes: tuple[Include, ...] = ()
        self.search = search or self._host_search()
        self.graph = self._build_graph()
        self.notes += self.graph.notes

    def _host_search(self) -> Search:
        from fastwheel.deps.search import Search

        return Search.for_host(
            self.policies[0].libc,
            self.policies[0].arch,
            environ=os.environ if self.options.environ is None else self.options.environ,
            ldpaths=self.options.ldpaths,
            lib_paths=self.options.lib_paths,
        )

    def _build_graph(self) -> Graph:
        from fastwheel.deps.files import SystemFile, abi_of
        from fastwheel.deps.graph import build_graph

        search = self.search
        members = {unit.path: unit.facts for unit in self.found.units}
        if self.options.include:
            from fastwheel.deps.include import find_includes

            self.includes = find_includes(self.options.include, search, abi_of(self.found.units[0].facts))
        extra = [SystemFile(item.source, item.source, item.facts) for item in self.includes if item.facts is not None]
        return build_graph(members, search, opaque=self._opaque, extra=extra)

    def _opaque(self, soname: str) -> bool:
        return soname in self.everywhere or is_loader(soname) or is_libpython(soname) or self._is_excluded(soname, None)

    def _is_excluded(self, soname: str, real: str | None) -> bool:
        """Whether `exclude` or `allow` leave a library out; remembers which patterns of `exclude` matched."""
        known = self._excluded.get((soname, real))
        if known is None:
            from fnmatch import fnmatchcase

            used = [
                pattern
                for pattern in self.options.exclude
                if fnmatchcase(soname, pattern) or (real is not None and fnmatchcase(real, pattern))
            ]
            self.excludes_used.update(used)
            provided = any(fnmatchcase(soname, pattern) for pattern in self.options.allow)
            known = self._excluded[soname, real] = bool(used) or provided
        return known

    # -- references ------------------------------------------------------------------------------------------

    def _references(self, roots: Iterable[str], policy: Policy) -> tuple[dict[str, Edge], dict[str, str]]:
        """The external libraries reached from `roots` under `policy`: edges and askers by target key or soname.

        Libraries that the policy allows or that are excluded end the walk; those of the wheel are walked through.
        """
        edges: dict[str, Edge] = {}
        askers: dict[str, str] = {}
        queue = list(roots)
        seen = set(queue)
        for key in queue:  # grows while it is walked
            for edge in self.graph.edges.get(key, ()):
                if self._is_allowed(edge, policy):
                    continue
                if edge.target is None:
                    if edge.needed not in edges:
                        edges[edge.needed] = edge
                        askers[edge.needed] = key
                    continue
                if edge.target in seen:
                    continue
                seen.add(edge.target)
                queue.append(edge.target)  # what is included is in `seen` from the start
                if self.graph.objects[edge.target].origin == "system":
                    edges[edge.target] = edge
                    askers[edge.target] = key
        return edges, askers

    def _is_allowed(self, edge: Edge, policy: Policy) -> bool:
        needed = edge.needed
        if allowed(policy, needed):
            return True
        real = None
        if edge.target is not None:
            target = self.graph.objects[edge.target]
            if target.origin == "wheel":
                return False
            real = target.real
        return self._is_excluded(needed, real)

    # -- the verdict -----------------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        """Weigh everything that was found."""
        included = [item.source for item in self.includes if item.facts is not None]
        units = [unit.path for unit in self.found.units] + included
        own_needs = merge_needs(needs_of(self.graph.objects[key].facts) for key in units)
        findings: list[Findings] = []
        by_allowlist: dict[frozenset[str], _Weighed] = {}
        for policy in self.policies:
            if policy.priority == 0:
                findings.append(Findings(policy, (), (), _frozen(own_needs), ()))
                continue
            if policy.allowlist not in by_allowlist:
                references, grafts = self._external(units, policy)
                needs = merge_needs((own_needs, *(needs_of(self.graph.objects[key].facts) for key in grafts)))
                weighed = _Weighed(references, tuple(grafts), judged(self.policies, needs), _frozen(needs))
                by_allowlist[policy.allowlist] = weighed
            findings.append(self._against(policy, units, by_allowlist[policy.allowlist]))
        top, linux = findings[0].policy, findings[-1].policy
        symbols = self._symbols_policy(by_allowlist)
        without = [f.policy for f in findings if not f.references]
        clean = [f.policy for f in findings if not f.blacklisted]
        graft = self._graft_policy(findings)
        grafted = {key for weighed in by_allowlist.values() for key in weighed.grafts}
        machine = self._machine_policy((*units, *sorted(grafted)), top, linux) if self.options.isa_check else top
        ucs2 = self.found.ucs2
        pyfpe = any(unit.python and unit.uses_pyfpe for unit in self.found.units)
        python = linux if ucs2 or pyfpe else top
        overall = min((symbols, without[0], clean[0], machine, python), key=lambda policy: policy.priority)
        unused = tuple(p for p in self.options.exclude if p not in self.excludes_used)
        self.notes += [f"--exclude {escape(pattern)} matched no library" for pattern in unused]
        stack = tuple(u.path for u in self.found.units if u.asks_for_executable_stack)
        self.notes += [f"{escape(path)} asks for an executable stack: glibc 2.41 refuses to load it" for path in stack]
        return Verdict(
            wheel=self.name,
            findings=tuple(findings),
            overall=overall,
            symbols=symbols,
            references_policy=without[0],
            blacklist=clean[0],
            machine=machine,
            graft=graft,
            ucs2=ucs2,
            pyfpe=pyfpe,
            executable_stack=stack,
            includes=self.includes,
            excluded=tuple(sorted({soname for (soname, _), out in self._excluded.items() if out})),
            unneeded_excludes=unused,
            survey=self.found,
            graph=self.graph,
            search=self.search,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _external(self, units: Sequence[str], policy: Policy) -> tuple[tuple[Reference, ...], list[str]]:
        """The references under `policy`, and the graph keys of those that were found."""
        edges, askers = self._references(units, policy)
        references = [
            Reference(
                edge.needed,
                None if edge.target is None else self.graph.objects[edge.target].real,
                askers[name],
                edge.tried if edge.target is None else (),
            )
            for name, edge in edges.items()
        ]
        references.sort(key=lambda reference: (reference.soname, reference.path or ""))
        return tuple(references), [edge.target for edge in edges.values() if edge.target is not None]

    def _against(self, policy: Policy, units: Sequence[str], weighed: _Weighed) -> Findings:
        objects = self.graph.objects
        forbidden: dict[str, set[str]] = {}
        if policy.blacklist:
            for key in (*units, *weighed.grafts):
                facts = objects[key].facts
                for library, symbols in blacklisted(policy, facts.needed, facts.undefined).items():
                    forbidden.setdefault(library, set()).update(symbols)
        too_recent = offending(policy, weighed.judged)
        return Findings(policy, weighed.references, _frozen(forbidden), weighed.needs, too_recent)

    def _symbols_policy(self, by_allowlist: Mapping[frozenset[str], _Weighed]) -> Policy:
        """The best policy P whose symbols, those of the grafts that P asks for included, some policy ≤ P promises."""
        reached = self.policies[-1]
        fits = {allowlist: fitting(self.policies, weighed.judged) for allowlist, weighed in by_allowlist.items()}
        for index, policy in enumerate(self.policies[:-1]):
            below = zip(self.policies[index:], fits[policy.allowlist][index:], strict=True)
            candidate = next((other for other, fit in below if fit), reached)
            reached = max(reached, candidate, key=lambda policy: policy.priority)
        return reached

    def _graft_policy(self, findings: Sequence[Findings]) -> Policy:
        """The best policy that needs no more grafts than the one aimed at (any, for "auto")."""
        real = findings[:-1]
        aimed = [f for f in real if bears(f.policy, self.options.plat)]
        count = min((len(f.references) for f in aimed or real), default=0)
        return next(f.policy for f in findings if len(f.references) <= count)

    def _machine_policy(self, keys: Iterable[str], top: Policy, linux: Policy) -> Policy:
        """The best policy by instruction sets: a library that a policy allows need not be grafted under it."""
        result = top
        for key in keys:
            item = self.graph.objects[key]
            level = isa_level(item.facts)
            if level <= 1:
                continue
            self.notes.append(f"{escape(key)} needs the instruction set {top.arch.value}_v{level}")
            soname = item.facts.soname if item.origin == "system" else None
            usable = next((p for p in self.policies if soname is not None and soname in p.allowlist), linux)
            result = min(result, usable, key=lambda policy: policy.priority)
        return result


def _frozen(mapping: Mapping[str, Iterable[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, tuple(sorted(values))) for name, values in sorted(mapping.items()))
