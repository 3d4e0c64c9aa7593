"""The platform tags: said alike everywhere, known, and neither more nor less than what the wheel holds to.

Sources: PEP 425, 427, 513, 600, 656, 738; the platforms that Warehouse accepts.
"""

from __future__ import annotations

from posixpath import basename
from typing import TYPE_CHECKING

from fastwheel._verify.model import Finding, finding
from fastwheel._verify.targets import is_foreign
from fastwheel.errors import escape
from fastwheel.policy.arch import isa_level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._verify.targets import Target
    from fastwheel.policy.tables import Policy
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.wheel import Wheel

__all__ = ["forbidden", "label_findings", "promise_findings", "too_recent"]


def label_findings(wheel: Wheel, tags: Sequence[str], targets: Sequence[Target]) -> Iterator[Finding]:
    """What file name and WHEEL say of each other, of the contents, and to installers; `tags` are those to verify."""
    name, info = wheel.filename, wheel.info
    member = f"{wheel.dist_info}/WHEEL"
    if set(info.tags) != set(name.tags):
        details = [f"only in WHEEL: {escape(tag)}" for tag in sorted(set(info.tags) - set(name.tags))]
        details += [f"only in the file name: {escape(tag)}" for tag in sorted(set(name.tags) - set(info.tags))]
        yield finding(
            "FV201",
            "the tags in WHEEL are not those of the file name",
            member,
            details=details,
            hint="`fastwheel repair` writes both; a file that was renamed needs `python -m wheel tags`",
        )
    if (info.build or "") != name.build:
        yield finding(
            "FV202",
            f"the build tag in WHEEL is {escape(info.build or 'missing')}, that of the file name"
            f" {escape(name.build or 'missing')}",
            member,
        )
    yield from _purelib(wheel, targets, member)
    for tag in tags:
        known = any(tag == claimed for target in targets for claimed, _ in target.claims)
        if known or tag == "any":
            continue
        if tag.startswith("linux_"):
            if all(other.startswith("linux_") for other in tags):
                yield finding(
                    "FV207",
                    f"{escape(tag)} says nothing of the systems that the wheel runs on, and PyPI refuses it",
                    hint="`fastwheel repair` gives it a manylinux or musllinux tag",
                )
        elif is_foreign(tag):
            yield finding("FV204", f"{escape(tag)} is not verified: it is no platform of ELF files", level="note")
        else:
            yield finding(
                "FV204",
                f"no policy is known for the platform tag {escape(tag)}, so it is not verified",
                hint="is it spelled as PEP 600, 656 and 738 have it? --policy FILE reads more policies",
            )


def _purelib(wheel: Wheel, targets: Sequence[Target], member: str) -> Iterator[Finding]:
    units = [unit for target in targets for unit in target.found.units]
    stated = wheel.info.values("Root-Is-Purelib")
    pure_name = wheel.filename.platform_tags == ("any",)
    if len(stated) != 1:
        yield finding("FV203", f"WHEEL has {len(stated)} lines Root-Is-Purelib, it needs one", member, level="warning")
    if units and wheel.info.root_is_purelib:
        yield finding(
            "FV203",
            f"WHEEL has Root-Is-Purelib: true, but the wheel holds compiled code, such as {escape(units[0].member)}",
            member,
            level="error" if not pure_name and any(unit.python for unit in units) else "warning",
            hint="on systems with lib64 it lands apart from the rest of platlib: build it as a platform wheel",
        )
    if pure_name and units:
        modules = [unit.member for unit in units if unit.python]
        yield finding(
            "FV208",
            f"the platform tag is any, but {escape((modules or [units[0].member])[0])} is compiled code",
            (modules or [units[0].member])[0],
            level="error" if modules else "warning",
            hint="build it as a platform wheel: it is installed on machines that cannot run it",
        )
    purelib = [unit.member for unit in units if "purelib" in unit.member.split("/")[:-1]]
    for path in purelib:
        yield finding("FV208", f"{escape(path)} is compiled code in the purelib folder", path)
    if not pure_name:
        for target in targets:
            if not target.found.units and target.tags:
                others = [f"{escape(path)}: {reason}" for path, reason in target.found.ignored]
                yield finding(
                    "FV209",
                    f"the wheel is tagged {', '.join(map(escape, target.tags))}, but holds no ELF file for it",
                    level="error" if others else "warning",
                    details=others,
                    hint="`fastwheel repair` refuses it; is it a wheel for another machine, or a pure one?",
                )


def promise_findings(wheel: Wheel, targets: Sequence[Target]) -> Iterator[Finding]:
    """Whether the wheel holds to each promise of its tags, libraries apart: these the simulation looks for."""
    for target in targets:
        if target.verdict is None:
            continue
        by_policy: dict[str, list[str]] = {}
        for tag, policy in target.claims:
            by_policy.setdefault(policy.name, []).append(tag)
        worst = False
        for name, tags in by_policy.items():
            policy = next(policy for _, policy in target.claims if policy.name == name)
            obstacles = tuple(_obstacles(target.verdict, policy))
            if obstacles:
                worst = True
                file, said = escape(basename(wheel.path.name)), " and ".join(map(escape, tags))
                verb = "promises" if len(tags) == 1 else "promise"
                yield finding(
                    "FV205",
                    f"{said} {verb} too much: the wheel holds to {_reached(target.verdict).name}",
                    details=obstacles,
                    hint=f"`fastwheel explain --plat {escape(tags[0])} {file}` says what to change",
                )
        if not worst:
            yield from _better(target)
    for target in targets:
        if target.verdict is not None:
            yield from _isa(target)


def _reached(verdict: Verdict) -> Policy:
    """The best policy by symbols and the build of Python."""
    python = verdict.linux if verdict.ucs2 or verdict.pyfpe else verdict.findings[0].policy
    found = (verdict.symbols, verdict.blacklist, python)
    return min(found, key=lambda policy: policy.priority)


def _obstacles(verdict: Verdict, policy: Policy) -> Iterator[str]:
    """What keeps the wheel from one policy; libraries and instruction sets have findings of their own."""
    findings = verdict.of(policy)
    askers: dict[tuple[str, str], list[str]] = {}
    for unit in verdict.survey.units if findings.too_recent else ():
        for need in unit.facts.version_needs:
            for name in dict.fromkeys(one.name for one in need.versions):
                askers.setdefault((need.file, name), []).append(unit.member)
    for library, version in findings.too_recent:
        files = askers[library, version]
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        yield f"{escape(version)} of {escape(library)} is too recent (needed by {escape(files[0])}{more})"
    for library, symbols in findings.blacklisted:
        yield f"forbidden symbols of {escape(library)}: {', '.join(map(escape, symbols[:10]))}"
    if verdict.ucs2:
        yield "an extension needs a narrow-unicode (UCS2) Python"
    if verdict.pyfpe:
        yield "an extension needs PyFPE_jbuf, which few builds of Python have (PEP 513)"


def too_recent(target: Target, policy: Policy) -> frozenset[tuple[str, str]]:
    """The (library, version) pairs that FV205 has already complained about."""
    return frozenset() if target.verdict is None else frozenset(target.verdict.of(policy).too_recent)


def forbidden(target: Target, policy: Policy | None) -> frozenset[str]:
    """The symbols that FV205 has complained about as forbidden."""
    if target.verdict is None or policy is None:
        return frozenset()
    return frozenset(symbol for _, symbols in target.verdict.of(policy).blacklisted for symbol in symbols)


def _better(target: Target) -> Iterator[Finding]:
    verdict = target.verdict
    if verdict is None or not target.claims or not _names_version(target):
        return
    best = max((policy for _, policy in target.claims), key=lambda policy: policy.priority)
    if verdict.overall.priority > best.priority:
        names = " and ".join((verdict.overall.name, *verdict.overall.aliases))
        yield finding(
            "FV206",
            f"the wheel also holds to {names}: more systems would install it",
            hint="`fastwheel repair` adds the tag",
        )


def _names_version(target: Target) -> bool:
    """Only glibc's version can be told from ELF files."""
    return target.libc.value == "glibc"


def _isa(target: Target) -> Iterator[Finding]:
    claimed = bool(target.claims)
    for unit in target.found.units:
        level = isa_level(unit.facts)
        if level > 1:
            named = any(f"x86_64_v{n}" in tag for tag in target.tags for n in range(level, 5))
            if not named:
                yield finding(
                    "FV405",
                    f"{escape(unit.member)} insists on x86-64-v{level}: older processors refuse to load it",
                    unit.member,
                    level="error" if claimed else "warning",
                    hint="compile for the baseline (-march=x86-64), or choose the code at run time",
                )
