"""Verdict + options ▶ Plan: every change that a repair makes, in order, decided before anything is written.

Nothing here touches the disk. The rules are those of `docs/repair.md`.
"""

from __future__ import annotations

from posixpath import join, normpath
from typing import TYPE_CHECKING, Final

from fastwheel.bind import Binder, Graft, Patch, Shim
from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Libc
from fastwheel.policy.match import is_libpython
from fastwheel.verdict import bears

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastwheel.policy.tables import Policy
    from fastwheel.verdict import Reference, Verdict

__all__ = ["Plan", "PlanOptions", "choose_policy", "make_plan", "sources_of"]


class PlanOptions(NamedTuple):
    """How to repair.

    Attributes:
        plat: "auto", or the platform tag (or alias) to give the wheel.
        only_plat: do not add a better tag than `plat`, even where the wheel deserves it.
        update_tags: whether to change the file name and WHEEL at all.
        lib_sdir: what follows the project's name in the name of the folder of grafts.
        force_rpath: write DT_RPATH instead of DT_RUNPATH; not on Android, whose loader ignores it.
        keep_rpath: keep search path entries that lead out of the installed tree.
        strip: drop symbol tables and debugging sections from grafts and from the wheel's own ELF files.
    """

    plat: str = "auto"
    only_plat: bool = False
    update_tags: bool = True
    lib_sdir: str = ".libs"
    force_rpath: bool = False
    keep_rpath: bool = False
    strip: bool = False


class Plan(NamedTuple):
    """What a repair does.

    Attributes:
        policy: the platform policy that the grafts were chosen for.
        tags: the platform tags of the output, sorted.
        grafts: in the order of their member names.
        patches: in archive order.
        shims: in archive order.
        extras: other files of this machine to take along, each with its archive name.
        notes: what the user should know.
    """

    policy: Policy
    tags: tuple[str, ...]
    grafts: tuple[Graft, ...]
    patches: tuple[Patch, ...]
    shims: tuple[Shim, ...]
    extras: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "policy": self.policy.name,
            "tags": list(self.tags),
            "grafts": [graft.to_dict() for graft in self.grafts],
            "patches": [patch.to_dict() for patch in self.patches],
            "shims": [shim.member for shim in self.shims],
            "extras": [member for _, member in self.extras],
            "notes": list(self.notes),
        }


def choose_policy(verdict: Verdict, options: PlanOptions, path: str) -> tuple[Policy, tuple[str, ...]]:
    """Return the policy to graft for and the platform tags that the repaired wheel earns, the best first.

    Raises:
        FastwheelError: the wheel cannot be given that platform (exit status 2).
    """
    ranked = [findings.policy for findings in verdict.findings]
    reachable = verdict.repairable
    if len(ranked) == 1:
        message = f"there is no policy for {ranked[0].libc.value} on {ranked[0].arch.value}"
        raise FastwheelError(message, code="FW602", hint="--policy FILE can give one")
    if options.plat == "auto":
        wanted = reachable if reachable.priority else ranked[-2]
    else:
        found = [policy for policy in ranked if bears(policy, options.plat)]
        if not found:
            names = ", ".join(policy.name for policy in ranked)
            raise FastwheelError(
                f"{escape(options.plat)} is no platform for this wheel",
                code="FW602",
                hint=f"one of: {names}, auto",
            )
        wanted = found[0]
    asked = wanted.name
    if options.plat not in ("auto", wanted.base):
        suffix = f"_{wanted.arch.value}"
        asked = options.plat.removesuffix(suffix) + suffix
    _check_reachable(verdict, wanted, f'cannot repair "{escape(path)}" to "{escape(asked)}" ABI because')
    tags = (wanted.name, *wanted.aliases)
    if not options.only_plat and wanted.priority < reachable.priority:
        return reachable, (reachable.name, *reachable.aliases, *tags)
    return wanted, tags


def _check_reachable(verdict: Verdict, wanted: Policy, intro: str) -> None:
    """Refuse a platform that promises less than the wheel needs; the texts are those that scripts look for."""
    if wanted.priority > verdict.symbols.priority:
        details = tuple(f"{escape(library)}: {escape(version)}" for library, version in verdict.of(wanted).too_recent)
        raise FastwheelError(
            f"{intro} of the presence of too-recent versioned symbols."
            " You'll need to compile the wheel on an older toolchain",
            code="FW603",
            details=details,
            hint=f"as it is, the wheel reaches {verdict.repairable.name}",
        )
    if verdict.ucs2 and wanted.priority:
        raise FastwheelError(
            f"{intro} it was compiled against a UCS2 build of Python."
            " You'll need to compile the wheel against a wide-unicode build of Python",
            code="FW604",
        )
    if verdict.pyfpe and wanted.priority:
        raise FastwheelError(
            f"{intro} it uses PyFPE_jbuf, which few builds of Python have",
            code="FW605",
            hint="compile it against a Python that was configured without --with-fpectl (PEP 513)",
        )
    if wanted.priority > verdict.blacklist.priority:
        details = tuple(
            f"{escape(library)}: {', '.join(map(escape, symbols))}"
            for library, symbols in verdict.of(wanted).blacklisted
        )
        raise FastwheelError(f"{intro} it depends on black-listed symbols", code="FW606", details=details)
    if wanted.priority > verdict.machine.priority:
        raise FastwheelError(
            f"{intro} it depends on unsupported ISA extensions",
            code="FW607",
            hint="--disable-isa-ext-check accepts that",
        )


#: So many missing libraries are named.
_MOST_DETAILS: Final = 50


def sources_of(verdict: Verdict, policy: Policy) -> tuple[Reference, ...]:
    """Return the libraries to graft for `policy`, each real path once.

    Raises:
        FastwheelError: one of them was not found on this machine (FW500).
    """
    missing = []
    found: dict[str, Reference] = {}
    for reference in verdict.of(policy).references:
        if is_libpython(reference.soname):
            continue
        if reference.path is None:
            missing.append(reference)
        else:
            found.setdefault(reference.path, reference)
    if missing:
        raise _not_found(missing, verdict.notes)
    return tuple(found.values())


def _not_found(missing: list[Reference], notes: tuple[str, ...]) -> FastwheelError:
    first, *others = missing
    details = [f"looked in: {escape(', '.join(first.tried) or 'nowhere')}"]
    for other in others[:_MOST_DETAILS]:
        details.append(f"also not found: {escape(other.soname)} (needed by {escape(other.needed_by)})")
    if len(others) > _MOST_DETAILS:
        details.append(f"and {len(others) - _MOST_DETAILS} more")
    details += [f"note: {note}" for note in notes]  # such as parts of the search path that were skipped
    return FastwheelError(
        f"{escape(first.soname)} not found (needed by {escape(first.needed_by)})",
        code="FW500",
        details=tuple(details),
        hint=f"add its folder with --ldpaths or LD_LIBRARY_PATH, or leave it out with --exclude {escape(first.soname)}",
    )


def make_plan(
    verdict: Verdict,
    options: PlanOptions,
    *,
    path: str,
    project: str,
    old_tags: tuple[str, ...],
    digests: Mapping[str, str],
) -> Plan:
    """Decide every change of a repair.

    Args:
        verdict: of `fastwheel.audit`.
        options: how to repair.
        path: the wheel's path, for messages.
        project: the project's name as the file name spells it.
        old_tags: the platform tags of the file name.
        digests: SHA-256, hex, of every file that `sources_of` names.

    Raises:
        FastwheelError: the wheel cannot be given that platform, or a library is missing.
    """
    policy, earned = choose_policy(verdict, options, path)
    folder = normpath(project + options.lib_sdir)
    top = folder.partition("/")[0]
    if top in ("", ".", "..") or top.endswith((".dist-info", ".data")):
        raise FastwheelError(f"the folder for grafts, {escape(folder)}, is outside of the package", code="FW800")
    binder = Binder(
        verdict.graph,
        sources_of(verdict, policy),
        verdict.includes,
        digests,
        folder=folder,
        scripts=f"{project}.scripts",
        force_rpath=options.force_rpath and policy.libc is not Libc.ANDROID,
        keep_rpath=options.keep_rpath,
        # Android's linker has no global scope: modules are linked to libpython there (PEP 738).
        keep_libpython=policy.libc is Libc.ANDROID,
    )
    grafts = binder.grafts()
    patches, shims = binder.patches(verdict.survey.units, touch_all=options.strip)
    notes = list(binder.notes)
    tags = _tags(verdict, old_tags, earned, notes) if options.update_tags else old_tags
    extras = tuple(
        (item.source, join(item.folder or folder, item.name)) for item in verdict.includes if item.facts is None
    )
    return Plan(policy, tags, grafts, patches, shims, extras, tuple(notes))


def _tags(verdict: Verdict, old_tags: Iterable[str], earned: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    """The old platform tags that still hold and the earned ones, sorted as file names have them."""
    promises = {
        name: finding.policy.priority
        for finding in verdict.findings
        for name in (finding.policy.name, *finding.policy.aliases)
    }
    reached = verdict.repairable.priority
    tags = set(earned)
    for tag in old_tags:
        if tag == "any" or tag.startswith("linux_") or tag in tags:
            continue
        if promises.get(tag, 0) > reached:
            notes.append(f"the platform tag {escape(tag)} is dropped: the wheel does not hold to it")
            continue
        tags.add(tag)
    return tuple(sorted(tags))
