"""Verdict + options ▶ Plan: every change that a repair makes, in order, decided before anything is written.

Nothing here touches the disk. The rules are those of `docs/repair.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from posixpath import basename, dirname, join, normpath, relpath
from typing import TYPE_CHECKING

from fastwheel.elf.model import Edit
from fastwheel.errors import FastwheelError, escape
from fastwheel.policy.match import is_libpython
from fastwheel.verdict import bears

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastwheel.elf.model import Facts
    from fastwheel.policy.tables import Policy
    from fastwheel.verdict import Reference, Verdict

__all__ = ["Graft", "Patch", "Plan", "PlanOptions", "Shim", "graft_name", "make_plan", "sources_of"]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to repair.

    Attributes:
        plat: "auto", or the platform tag (or alias) to give the wheel.
        only_plat: do not add a better tag than `plat`, even where the wheel deserves it.
        update_tags: whether to change the file name and WHEEL at all.
        lib_sdir: what follows the project's name in the name of the folder of grafts.
        force_rpath: write DT_RPATH instead of DT_RUNPATH.
    """

    plat: str = "auto"
    only_plat: bool = False
    update_tags: bool = True
    lib_sdir: str = ".libs"
    force_rpath: bool = False


@dataclass(frozen=True, slots=True)
class Graft:
    """A library of this machine that goes into the wheel.

    Attributes:
        source: its real path.
        soname: the name under which it was first asked for.
        name: its file name and DT_SONAME in the wheel.
        member: its name in the archive.
        edit: what changes in it.
        sha256: of the source file, hex.
        needed_by: who asked for it first.
    """

    source: str
    soname: str
    name: str
    member: str
    edit: Edit
    sha256: str
    needed_by: str

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "source": self.source,
            "soname": self.soname,
            "name": self.name,
            "member": self.member,
            "sha256": self.sha256,
            "needed_by": self.needed_by,
            "edit": edit_to_dict(self.edit),
        }


@dataclass(frozen=True, slots=True)
class Patch:
    """An ELF file of the wheel that changes, by its archive name; `moved_to` is its new one, if it moves."""

    member: str
    edit: Edit
    moved_to: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"member": self.member, "moved_to": self.moved_to, "edit": edit_to_dict(self.edit)}


@dataclass(frozen=True, slots=True)
class Shim:
    """A script that takes the place of an executable in `.data/scripts` and runs the moved one."""

    member: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair does.

    Attributes:
        policy: the platform policy that the grafts were chosen for.
        tags: the platform tags of the output, sorted.
        grafts: in the order of their member names.
        patches: in archive order.
        shims: in archive order.
        notes: what the user should know.
    """

    policy: Policy
    tags: tuple[str, ...]
    grafts: tuple[Graft, ...]
    patches: tuple[Patch, ...]
    shims: tuple[Shim, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "policy": self.policy.name,
            "tags": list(self.tags),
            "grafts": [graft.to_dict() for graft in self.grafts],
            "patches": [patch.to_dict() for patch in self.patches],
            "shims": [shim.member for shim in self.shims],
            "notes": list(self.notes),
        }


def edit_to_dict(edit: Edit) -> dict[str, object]:
    """Return an `Edit` as plain data, without what it does not ask for."""
    asked: dict[str, object] = {}
    for name in ("soname", "runpath", "rpath", "remove_rpath", "remove_needed", "add_needed"):
        value = getattr(edit, name)
        if value is not None and value is not False and value != ():
            asked[name] = value
    if edit.replace_needed:
        asked["replace_needed"] = [list(pair) for pair in edit.replace_needed]
    return asked


def graft_name(file_name: str, sha256: str) -> str:
    """Return the name of a grafted copy of `file_name`: the first 8 digits of its hash go before its first dot.

    >>> graft_name("libfoo.so.3.0.1", "0123456789abcdef")
    'libfoo-01234567.so.3.0.1'
    >>> graft_name("libfoo-01234567.so.3", "0123456789abcdef")
    'libfoo-01234567.so.3'
    >>> graft_name("plugin", "0123456789abcdef")
    'plugin-01234567'
    """
    stem, dot, rest = file_name.partition(".")
    short = sha256[:8]
    if stem.endswith(f"-{short}"):
        return file_name
    return f"{stem}-{short}{dot}{rest}"


def choose_policy(verdict: Verdict, options: PlanOptions, path: str) -> tuple[Policy, tuple[str, ...]]:
    """Return the policy to graft for and the platform tags that the repaired wheel earns, the best first.

    Raises:
        FastwheelError: the wheel cannot be given that platform (exit status 2).
    """
    ranked = [findings.policy for findings in verdict.findings]
    reachable = verdict.repairable
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
    _check_reachable(verdict, wanted, path)
    tags = (wanted.name, *wanted.aliases)
    if not options.only_plat and wanted.priority < reachable.priority:
        return reachable, (reachable.name, *reachable.aliases, *tags)
    return wanted, tags


def _check_reachable(verdict: Verdict, wanted: Policy, path: str) -> None:
    """Refuse a platform that promises less than the wheel needs; the texts are those that scripts look for."""
    intro = f'cannot repair "{escape(path)}" to "{wanted.name}" ABI because'
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
        raise _not_found(missing)
    return tuple(found.values())


def _not_found(missing: list[Reference]) -> FastwheelError:
    first, *others = missing
    details = [f"looked in: {escape(', '.join(first.tried) or 'nowhere')}"]
    for other in others:
        details.append(f"also not found: {escape(other.soname)} (needed by {escape(other.needed_by)})")
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
    binder = _Binder(verdict, policy, options, project, digests)
    grafts = binder.grafts()
    patches, shims = binder.patches()
    notes = list(binder.notes)
    tags = _tags(verdict, old_tags, earned, notes) if options.update_tags else old_tags
    return Plan(policy, tags, grafts, patches, shims, tuple(notes))


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


class _Binder:
    """Binds every ELF file of the repaired wheel to the files that its DT_NEEDED entries mean."""

    def __init__(
        self, verdict: Verdict, policy: Policy, options: PlanOptions, project: str, digests: Mapping[str, str]
    ) -> None:
        self.verdict = verdict
        self.policy = policy
        self.options = options
        self.graph = verdict.graph
        self.folder = normpath(project + options.lib_sdir)
        if self.folder.startswith(("/", "../")) or self.folder in (".", ".."):
            raise FastwheelError(f"the folder for grafts, {escape(self.folder)}, is outside of the wheel", code="FW800")
        self.scripts = f"{project}.scripts"
        self.sources = sources_of(verdict, policy)
        self.notes: list[str] = []
        self.names = self._name_grafts(digests)
        self.digests = digests

    def _name_grafts(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Real path ▶ name in the wheel. Files of one name and content share one graft."""
        return {
            reference.path: graft_name(basename(reference.path), digests[reference.path])
            for reference in self.sources
            if reference.path is not None
        }

    def grafts(self) -> tuple[Graft, ...]:
        """The grafts, by member name; a file under two real paths is taken once."""
        chosen: dict[str, Graft] = {}
        for reference in self.sources:
            source = reference.path
            if source is None or self.names[source] in chosen:
                continue
            name = self.names[source]
            member = join(self.folder, name)
            edit = self._edit(source, member, replace_soname=name)
            chosen[name] = Graft(
                source, reference.soname, name, member, edit, self.digests[source], reference.needed_by
            )
        return tuple(sorted(chosen.values(), key=lambda graft: graft.member))

    def patches(self) -> tuple[tuple[Patch, ...], tuple[Shim, ...]]:
        """The changes to the wheel's own ELF files, and the scripts that stand in for moved executables."""
        patches: list[Patch] = []
        shims: list[Shim] = []
        for unit in self.verdict.survey.units:
            edit = self._edit(unit.path, unit.path)
            if unit.scheme == "scripts" and (edit.replace_needed or edit.remove_needed):
                # Where scripts land relative to site-packages is the installer's choice, so the executable moves
                # to a place that has a fixed distance from the grafts.
                moved = join(self.scripts, basename(unit.member))
                edit = self._edit(unit.path, moved)
                patches.append(Patch(unit.member, edit, moved))
                shims.append(Shim(unit.member, shim_text(moved)))
            elif edit != Edit():
                if unit.scheme != "platlib" and edit.replace_needed:
                    raise FastwheelError(
                        f"{escape(unit.member)} needs a grafted library, but installs outside of site-packages",
                        code="FW608",
                        hint="ship it inside the package: its distance from the grafts is not known otherwise",
                    )
                patches.append(Patch(unit.member, edit))
        return tuple(patches), tuple(shims)

    def _edit(self, key: str, location: str, *, replace_soname: str | None = None) -> Edit:
        """What to change in the object `key`, which will lie at `location` in the installed tree."""
        facts = self.graph.objects[key].facts
        here = dirname(location)
        replaced: dict[str, str] = {}
        folders: list[str] = []
        for edge in self.graph.edges.get(key, ()):
            if edge.target is None:
                continue
            target = self.graph.objects[edge.target]
            if target.origin == "wheel":
                name, folder = basename(target.key), dirname(target.key)
            elif edge.target in self.names:
                name, folder = self.names[edge.target], self.folder
            else:
                continue
            if name != edge.needed:
                replaced[edge.needed] = name
            if folder not in folders:
                folders.append(folder)
        edit = Edit(
            soname=replace_soname if replace_soname != facts.soname else None,
            replace_needed=tuple(replaced.items()),
            remove_needed=self._libpython(key, facts),
        )
        return self._with_path(edit, facts, here, folders, grafted=replace_soname is not None)

    def _with_path(self, edit: Edit, facts: Facts, here: str, folders: list[str], *, grafted: bool) -> Edit:
        """Add the RUNPATH: the old entries that stay inside the installed tree, then the folders still uncovered."""
        old = facts.runpath if facts.runpath is not None else facts.rpath
        kept: list[str] = []
        if old is not None and not grafted:
            for entry in old.split(":"):
                if inside(entry, here) is not None and entry not in kept:
                    kept.append(entry)
        covered = {inside(entry, here) for entry in kept}
        for folder in folders:
            if folder not in covered:
                covered.add(folder)
                kept.append(_origin(folder, here))
        wanted = ":".join(kept)
        if not folders and wanted == (old or ""):
            return edit
        if not wanted:
            return edit if old is None else replace(edit, remove_rpath=True)
        if self.options.force_rpath:
            same = facts.rpath == wanted and facts.runpath is None
            return edit if same else replace(edit, rpath=wanted)
        if wanted == old and facts.runpath is None and not edit.replace_needed:
            # An old DT_RPATH that already says it all, as auditwheel writes it, stays what it is.
            return edit
        same = facts.runpath == wanted and facts.rpath is None
        return edit if same else replace(edit, runpath=wanted)

    def _libpython(self, key: str, facts: Facts) -> tuple[str, ...]:
        """The DT_NEEDED entries to drop: the interpreter brings libpython; an executable has to bring it itself."""
        names = tuple(dict.fromkeys(name for name in facts.needed if is_libpython(name)))
        if not names:
            return ()
        if facts.interpreter is not None:
            self.notes.append(
                f"{escape(key)} embeds Python: its link to {escape(', '.join(names))} is kept, and the target has to"
                " provide that library"
            )
            return ()
        self.notes.append(
            f"Removing {escape(', '.join(names))} dependency from {escape(key)}."
            " Linking with libpython is forbidden for manylinux/musllinux wheels"
        )
        return names


def inside(entry: str, here: str) -> str | None:
    """Return the folder of the installed tree that a search path entry of a file in `here` means, or None.

    >>> inside("$ORIGIN/../pkg.libs", "pkg/sub"), inside("/usr/lib", "pkg"), inside("$ORIGIN/../..", "pkg")
    ('pkg/pkg.libs', None, None)
    """
    for token in ("${ORIGIN}", "$ORIGIN"):
        rest = entry.removeprefix(token)
        if rest != entry and (not rest or rest.startswith("/")) and "$" not in rest:
            folder = normpath(join(here, "." + rest))
            folder = "" if folder == "." else folder
            return None if folder == ".." or folder.startswith("../") else folder
    return None


def _origin(folder: str, here: str) -> str:
    """The entry by which a file in `here` reaches `folder`."""
    distance = relpath("/" + folder, "/" + here)
    return "$ORIGIN" if distance == "." else f"$ORIGIN/{distance}"


def shim_text(moved: str) -> str:
    """Return the script that runs the executable `moved` (a path below site-packages) in its own place.

    It looks beside itself and along `sys.path`, so that it also works below `pip install --user`, `--target` and
    `--prefix`.
    """
    return f"""#!python
import os
import sys

PROGRAM = {moved!r}


def find():
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in [os.path.dirname(here), *sys.path[1:]]:
        path = os.path.join(folder, PROGRAM)
        if os.path.isfile(path):
            return path
    sys.exit("cannot find " + PROGRAM + " on sys.path")


if __name__ == "__main__":
    program = find()
    os.execv(program, sys.argv)
"""
