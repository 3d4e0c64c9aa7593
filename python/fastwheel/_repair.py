"""Plan ▶ output wheel, atomically: written once beside its final place, proved, then renamed.

>>> import fastwheel
>>> done = fastwheel.repair("pkg-1.0-cp312-cp312-linux_x86_64.whl", "wheelhouse")  # doctest: +SKIP
>>> done.path.name, [graft.name for graft in done.plan.grafts]  # doctest: +SKIP
('pkg-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl', ['libfoo-01234567.so.3.0.1'])
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel._audit import examine
from fastwheel.clash import check_clashes
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.plan import Plan, PlanOptions, choose_policy, make_plan, sources_of
from fastwheel.proof import prove
from fastwheel.verdict import Options, Verdict
from fastwheel.wheel.layout import SITE
from fastwheel.wheel.record import format_record, row
from fastwheel.wheel.stamp import new_member_time
from fastwheel.wheel.wheel import Wheel
from fastwheel.wheel.writer import Copy, New, copy_wheel, write_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel._elf.model import Edit
    from fastwheel.wheel.archive import Member
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.metadata import WheelInfo
    from fastwheel.wheel.writer import Entry
    from fastwheel.wheel.zipformat import DateTime

__all__ = ["Repaired", "repair"]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        wheel: the input.
        path: the output; None after a dry run.
        plan: what was done; None for a pure Python wheel.
        verdict: what was found in the input; None for a pure Python wheel.
        changed: whether the output's bytes differ from the input's.
        size_before: of the input, bytes.
        size_after: of the output, bytes; of the input after a dry run.
        notes: what the user should know.
    """

    wheel: Path
    path: Path | None
    plan: Plan | None
    verdict: Verdict | None
    changed: bool
    size_before: int
    size_after: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "wheel": str(self.wheel),
            "path": None if self.path is None else str(self.path),
            "plan": None if self.plan is None else self.plan.to_dict(),
            "changed": self.changed,
            "size_before": self.size_before,
            "size_after": self.size_after,
            "notes": list(self.notes),
        }


def repair(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str] = "wheelhouse",
    *,
    plat: str = "auto",
    only_plat: bool = False,
    update_tags: bool = True,
    lib_sdir: str = ".libs",
    level: int = 6,
    force_rpath: bool = False,
    keep_rpath: bool = False,
    strip: bool = False,
    dry_run: bool = False,
    isa_check: bool = True,
    allow_pure: bool = False,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    policy_file: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    ldpaths: str | None = None,
    lib_paths: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Repaired:
    """Repair the wheel at `path` into the folder `out_dir`, which is made if need be.

    The output appears under its name only once it is whole and proved; on any error nothing is left behind, and the
    input is never changed. A wheel that needs nothing is copied byte for byte.

    Args:
        path: the wheel.
        out_dir: where the output goes.
        plat: "auto", or the platform tag to reach.
        only_plat: do not add a better tag than `plat`.
        update_tags: whether to change the file name and WHEEL.
        lib_sdir: the folder of grafts is the project's name with this behind it.
        level: of deflate, 0 to 9.
        force_rpath: write DT_RPATH instead of DT_RUNPATH.
        keep_rpath: keep search path entries that lead out of the installed tree.
        strip: drop symbol tables and debugging sections from grafts and from the wheel's own ELF files.
        dry_run: decide everything, write nothing.
        isa_check: whether instruction sets beyond the baseline count.
        allow_pure: copy a wheel without compiled code instead of refusing it.
        exclude: glob patterns of sonames or real paths that are never grafted.
        allow: glob patterns of sonames that the target provides.
        policy_file: a file with more policies (docs/policies.md).
        include: files to take along although no DT_NEEDED names them (docs/repair.md).
        ldpaths: folders that replace ld.so.conf and LD_LIBRARY_PATH.
        lib_paths: folders that are searched before all others.
        environ: the environment to read SOURCE_DATE_EPOCH, LD_LIBRARY_PATH and its kin from; None is this process's.
        limits: bounds on what an archive may claim.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: the wheel cannot be repaired; `code` says why (`docs/errors.md`).
    """
    source, folder = Path(path), Path(out_dir)
    environment = os.environ if environ is None else environ
    options = Options(
        plat=plat,
        exclude=tuple(exclude),
        allow=tuple(allow),
        policy_file=None if policy_file is None else os.fspath(policy_file),
        include=tuple(include),
        ldpaths=ldpaths,
        lib_paths=tuple(lib_paths),
        isa_check=isa_check,
        environ=environment,
        jobs=jobs,
    )
    planning = PlanOptions(plat, only_plat, update_tags, lib_sdir, force_rpath, keep_rpath, strip)
    with Wheel.open(source, limits) as wheel:
        job = _Job(wheel, source, folder, options, planning, level, dry_run, environment)
        try:
            return job.run()
        except FastwheelError as error:
            if error.code == "FW600" and allow_pure:
                return job.copy_pure(error.message)
            raise


class _Job:
    """One repair, step by step."""

    def __init__(
        self,
        wheel: Wheel,
        source: Path,
        folder: Path,
        options: Options,
        planning: PlanOptions,
        level: int,
        dry_run: bool,
        environ: Mapping[str, str],
    ) -> None:
        self.wheel = wheel
        self.source = source
        self.folder = folder
        self.options = options
        self.planning = planning
        self.level = level
        self.dry_run = dry_run
        self.environ = environ
        self.size = os.fstat(wheel.archive.fd).st_size
        self.late_notes: list[str] = []  # what turns up while the output is made

    def run(self) -> Repaired:
        """Audit, plan, write, prove."""
        verdict = examine(self.wheel, self.options, digest=True)
        record_notes = self._check_record(verdict)
        plan = self._plan(verdict)
        check_clashes(self.wheel, verdict.survey.units, plan)
        notes = (*verdict.notes, *record_notes, *plan.notes, *self._hidden_needs(verdict, plan))
        filename = self.wheel.filename
        info = self.wheel.info
        if self.planning.update_tags:
            filename = filename.with_platforms(plan.tags)
            if sorted(info.tags) != sorted(filename.tags) or info.values("Root-Is-Purelib") not in (
                ("false",),
                ("False",),
            ):
                info = info.with_tags(filename.tags)
        target = self.folder / filename.name
        rewritten = bool(plan.grafts or plan.patches or plan.extras or record_notes or info != self.wheel.info)
        if self.dry_run:
            return Repaired(self.source, None, plan, verdict, rewritten, self.size, self.size, notes)
        _make_folder(self.folder)
        if rewritten:
            self._write(target, filename, verdict, plan, info)
        else:
            copy_wheel(self.wheel.archive, target)
        size = target.stat().st_size
        return Repaired(self.source, target, plan, verdict, rewritten, self.size, size, (*notes, *self.late_notes))

    def copy_pure(self, reason: str) -> Repaired:
        """Copy the wheel as it is."""
        target = None
        if not self.dry_run:
            _make_folder(self.folder)
            target = self.folder / self.source.name
            copy_wheel(self.wheel.archive, target)
        notes = (*self.wheel.warnings, reason)
        return Repaired(self.source, target, None, None, False, self.size, self.size, notes)

    def _check_record(self, verdict: Verdict) -> tuple[str, ...]:
        """Refuse content that contradicts its hash in RECORD; what RECORD merely lacks is mended by writing it anew."""
        notes = []
        for problem in self.wheel.check_record(verdict.survey.digests):
            if problem.damning:
                raise FastwheelError(
                    f"{self.wheel.archive.label}: {problem.message}",
                    code="FW208",
                    hint="the wheel was changed after it was made: build or download it again",
                )
            notes.append(f"RECORD is rewritten: {problem.message}")
        return tuple(notes)

    def _plan(self, verdict: Verdict) -> Plan:
        path = str(self.source)
        policy, _ = choose_policy(verdict, self.planning, path)
        found = [reference.path for reference in sources_of(verdict, policy) if reference.path is not None]
        found += [item.source for item in verdict.includes if item.facts is not None]
        sources = list(dict.fromkeys(found))
        digests = dict(zip(sources, _hash_files(sources), strict=True))
        return make_plan(
            verdict,
            self.planning,
            path=path,
            project=self.wheel.filename.project,
            old_tags=self.wheel.filename.platform_tags,
            digests=digests,
        )

    def _hidden_needs(self, verdict: Verdict, plan: Plan) -> tuple[str, ...]:
        """What the grafts may want at run time besides, and which of them are choices of this machine."""
        from fastwheel.deps.alternatives import choice_of
        from fastwheel.deps.hidden import hidden_needs

        folders = {os.path.dirname(item.source) for item in verdict.includes}
        present = {graft.soname for graft in plan.grafts} | {graft.name for graft in plan.grafts}
        present |= {name.rpartition("/")[2] for name in self.wheel.archive.names}
        choices = (choice_of(verdict.graph.objects[graft.source].path) for graft in plan.grafts)
        notes = [choice for choice in choices if choice is not None]
        for graft in plan.grafts:
            needs = hidden_needs(
                _read(graft.source),
                verdict.graph.objects[graft.source].facts,
                os.path.dirname(graft.source),
                lambda name: name not in present and verdict.is_external(name, plan.policy),
            )
            notes += [need.message(graft.soname) for need in needs if os.path.realpath(need.text) not in folders]
        return tuple(notes)

    def _write(self, target: Path, filename: WheelFileName, verdict: Verdict, plan: Plan, info: WheelInfo) -> None:
        """Write the output beside its final place, prove it, and give it its name."""
        stamp = new_member_time(self.wheel, self.environ)
        entries, digests = self._entries(filename, verdict, plan, info, stamp)
        elf_paths = {graft.member for graft in plan.grafts}
        for unit in verdict.survey.units:
            if unit.scheme == SITE:
                elf_paths.add(unit.path)
        elf_paths.update(patch.moved_to for patch in plan.patches if patch.moved_to is not None)
        excluded = frozenset(verdict.excluded)

        def check(path: Path) -> None:
            prove(
                path,
                filename,
                self.wheel,
                digests,
                elf_paths=frozenset(elf_paths),
                policy=plan.policy,
                excluded=excluded,
            )

        write_wheel(target, self.wheel.archive, entries, level=self.level, prove=check)

    def _entries(
        self, filename: WheelFileName, verdict: Verdict, plan: Plan, info: WheelInfo, stamp: DateTime
    ) -> tuple[list[Entry], dict[str, bytes]]:
        """The members of the output in their order, and SHA-256 of those that are kept.

        Kept and edited members stay where they were, grafts follow, then .dist-info, RECORD last.
        """
        wheel = self.wheel
        patches = {patch.member: patch for patch in plan.patches}
        shims = {shim.member: shim for shim in plan.shims}
        body: list[Entry] = []
        moved: list[Entry] = []
        tail: list[Entry] = []
        for member in wheel.archive.members:
            if member.name == wheel.record_name or wheel.is_signature(member.name):
                continue
            place = tail if member.name.startswith(f"{wheel.dist_info}/") else body
            patch = patches.get(member.name)
            if member.name in shims:
                text = shims[member.name].text.encode()
                place.append(New(member.name, text, _mode(member) | 0o555, stamp))
            if patch is not None:
                before = wheel.archive.read(member)
                content = self._edited(before, patch.edit, member.name)
                entry = New(patch.moved_to or member.name, content, _mode(member), member.date_time)
                if patch.moved_to is not None:
                    moved.append(entry)
                else:
                    place.append(Copy(member) if content == before else entry)
            elif member.name not in shims:
                place.append(Copy(member))
        contents = [self._edited(_read(graft.source), graft.edit, graft.source) for graft in plan.grafts]
        grafts: list[Entry] = [
            New(graft.member, content, 0o755, stamp)
            for graft, content in zip(plan.grafts, contents, strict=True)
            if graft.member not in wheel.archive.names  # the same graft of an earlier repair
        ]
        for source, name in plan.extras:
            self._check_free(name)
            grafts.append(New(name, _read(source), 0o644 | (Path(source).stat().st_mode & 0o111), stamp))
        if plan.grafts:
            tail.append(New(*self._sbom(filename, verdict, plan, contents), 0o644, stamp))
        info_name = f"{wheel.dist_info}/WHEEL"
        if info != wheel.info:
            tail = [
                New(info_name, info.to_bytes(), _mode(entry.member), stamp)
                if isinstance(entry, Copy) and entry.member.name == info_name
                else entry
                for entry in tail
            ]
        entries = [*body, *moved, *grafts, *tail]
        kept = verdict.survey.digests
        record = wheel.archive.names[wheel.record_name]
        entries.append(New(wheel.record_name, _record(entries, kept, wheel.record_name), _mode(record), stamp))
        return entries, dict(kept)

    def _check_free(self, name: str) -> None:
        if name in self.wheel.archive.names:
            raise FastwheelError(f"the wheel already holds {escape(name)}, which --include asks for", code="FW504")

    def _sbom(
        self, filename: WheelFileName, verdict: Verdict, plan: Plan, contents: Sequence[bytes]
    ) -> tuple[str, bytes]:
        """The name and the text of the bill of materials."""
        from fastwheel.deps.packages import owners
        from fastwheel.sbom import GraftedLibrary, make_sbom, sbom_member

        members = {graft.source: graft.member for graft in plan.grafts}
        libraries = []
        for graft, digest in zip(plan.grafts, engine.sha256_many(contents), strict=True):
            targets = (edge.target for edge in verdict.graph.edges.get(graft.source, ()))
            needs = tuple(members[target] for target in targets if target in members)
            libraries.append(
                GraftedLibrary(graft.name, graft.soname, graft.source, graft.member, graft.sha256, digest.hex(), needs)
            )
        packages = owners([graft.source for graft in plan.grafts], notes=self.late_notes)
        document = make_sbom(filename.project, filename.version, filename.name, libraries, packages, self.environ)
        return sbom_member(self.wheel.dist_info, self.wheel.archive.names), document

    def _edited(self, content: bytes, edit: Edit, name: str) -> bytes:
        from fastwheel._elf.strip import strip

        try:
            # Stripped first: strip tools of all kinds trust section headers, the editor does not.
            return engine.edit(strip(content) if self.planning.strip else content, edit)
        except ElfError as error:
            raise FastwheelError(f"{escape(name)}: {error.message}", code=error.code, hint=error.hint) from error


def _record(entries: Sequence[Entry], kept: Mapping[str, bytes], record_name: str) -> bytes:
    """RECORD: a row for every file."""
    contents = {
        entry.name: entry.content for entry in entries if isinstance(entry, New) and isinstance(entry.content, bytes)
    }
    fresh = dict(zip(contents, engine.sha256_many(list(contents.values())), strict=True))
    rows = []
    for entry in entries:
        if isinstance(entry, New):
            rows.append(row(entry.name, fresh[entry.name], len(contents[entry.name])))
        elif not entry.member.is_dir:
            rows.append(row(entry.member.name, kept[entry.member.name], entry.member.size))
    return format_record(rows, record_name)


def _mode(member: Member) -> int:
    return 0o644 if member.mode is None else member.mode & 0o777


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FastwheelError(
            f"cannot make the output folder {escape(str(folder))}: {error.strerror}", code="FW702"
        ) from error


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error


def _hash_files(paths: Sequence[str]) -> list[str]:
    """SHA-256, hex, of files, a few at a time: hashing releases the GIL."""
    from concurrent.futures import ThreadPoolExecutor

    def digest(path: str) -> str:
        hasher = sha256()
        try:
            with Path(path).open("rb") as file:
                while data := file.read(1 << 20):
                    hasher.update(data)
        except OSError as error:
            raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error
        return hasher.hexdigest()

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(digest, paths))
