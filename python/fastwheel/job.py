"""One repair, step by step: audit, plan, make, write, prove."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fastwheel._audit import examine
from fastwheel.assembly import assemble
from fastwheel.clash import check_clashes
from fastwheel.errors import FastwheelError, escape
from fastwheel.plan import choose_policy, make_plan, sources_of
from fastwheel.portable import real_path
from fastwheel.proof import prove
from fastwheel.repaired import Repaired
from fastwheel.wheel.layout import SITE
from fastwheel.wheel.writer import copy_wheel, write_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fastwheel.plan import Plan, PlanOptions
    from fastwheel.verdict import Options, Verdict
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.metadata import WheelInfo
    from fastwheel.wheel.wheel import Wheel
    from fastwheel.workshop import Workshop

__all__ = ["Job"]

#: So many rows of RECORD are named.
_MOST_NOTES: Final = 20


class Job:
    """The repair of one open wheel.

    Args:
        wheel: the input.
        source: its path.
        folder: where the output goes.
        options: how to look at the wheel.
        planning: how to repair it.
        level: of deflate, 0 to 9.
        dry_run: decide everything, write nothing.
        environ: where SOURCE_DATE_EPOCH is looked up.
        workshop: makes what is new.
        verify: "basic", or "full" for the loader simulation on top.
    """

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
        workshop: Workshop,
        verify: str = "basic",
    ) -> None:
        self.wheel = wheel
        self.source = source
        self.folder = folder
        self.options = options
        self.planning = planning
        self.level = level
        self.dry_run = dry_run
        self.environ = environ
        self.workshop = workshop
        self.verify = verify
        self.size = os.fstat(wheel.archive.fd).st_size

    def run(self) -> Repaired:
        """Audit, plan, write, prove.

        Raises:
            FastwheelError: as `fastwheel.repair`.
        """
        verdict = examine(self.wheel, self.options, digest=True, searches=self.workshop.searches)
        record_notes = self._check_record(verdict)
        plan = self._plan(verdict)
        check_clashes(self.wheel, verdict.survey.units, plan)
        notes = (*verdict.notes, *record_notes, *plan.notes, *self._hidden_needs(verdict, plan))
        filename = self.wheel.filename
        info = self.wheel.info
        if self.planning.update_tags:
            filename = filename.with_platforms(plan.tags)
            if sorted(info.values("Tag")) != sorted(filename.tags) or info.values("Root-Is-Purelib") not in (
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
            notes = (*notes, *self._write(target, filename, verdict, plan, info))
        else:
            notes = (*notes, *self._known_faults(verdict))
            copy_wheel(self.wheel.archive, target)
        size = target.stat().st_size
        return Repaired(self.source, target, plan, verdict, rewritten, self.size, size, notes)

    def _known_faults(self, verdict: Verdict) -> tuple[str, ...]:
        if self.verify != "full":
            return ()
        from fastwheel._verify.repaired import known_faults

        return known_faults(self.wheel, verdict, self.options)

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
        more = len(notes) - _MOST_NOTES
        return (*notes[:_MOST_NOTES], *([f"RECORD is rewritten: and {more} more such rows"] if more > 0 else []))

    def _plan(self, verdict: Verdict) -> Plan:
        path = str(self.source)
        policy, _ = choose_policy(verdict, self.planning, path)
        found = [reference.path for reference in sources_of(verdict, policy) if reference.path is not None]
        found += [item.source for item in verdict.includes if item.facts is not None]
        objects = verdict.graph.objects
        studied = self.workshop.study({source: objects[source].facts for source in found})
        return make_plan(
            verdict,
            self.planning,
            path=path,
            project=self.wheel.filename.project,
            old_tags=self.wheel.filename.platform_tags,
            digests={source: answer.sha256.hex() for source, answer in studied.items()},
        )

    def _hidden_needs(self, verdict: Verdict, plan: Plan) -> tuple[str, ...]:
        """What the grafts may want at run time besides, and which of them are choices of this machine."""
        from fastwheel.deps.alternatives import choice_of
        from fastwheel.deps.hidden import hidden_needs

        objects = verdict.graph.objects
        folders = {os.path.dirname(item.source) for item in verdict.includes}
        present = {graft.soname for graft in plan.grafts} | {graft.name for graft in plan.grafts}
        present |= {name.rpartition("/")[2] for name in self.wheel.archive.names}
        choices = (choice_of(objects[graft.source].path) for graft in plan.grafts)
        notes = [choice for choice in choices if choice is not None]
        studied = self.workshop.study({graft.source: objects[graft.source].facts for graft in plan.grafts})
        for graft in plan.grafts:
            needs = hidden_needs(
                studied[graft.source].strings,
                objects[graft.source].facts,
                os.path.dirname(graft.source),
                lambda name: name not in present and verdict.is_external(name, plan.policy),
            )
            notes += [need.message(graft.soname) for need in needs if real_path(need.text) not in folders]
        return tuple(notes)

    def _write(
        self, target: Path, filename: WheelFileName, verdict: Verdict, plan: Plan, info: WheelInfo
    ) -> tuple[str, ...]:
        """Write the output beside its final place, prove it, and give it its name; return what turned up."""
        made = assemble(self.wheel, verdict, plan, filename, info, self.workshop, self.environ)
        elf_paths = {graft.member for graft in plan.grafts}
        elf_paths.update(unit.path for unit in verdict.survey.units if unit.scheme == SITE)
        elf_paths.update(patch.moved_to for patch in plan.patches if patch.moved_to is not None)

        found: list[str] = []

        def check(path: Path) -> None:
            prove(
                path,
                filename,
                self.wheel,
                verdict.survey.digests,
                made.finished,
                elf_paths=frozenset(elf_paths),
                policy=plan.policy,
                excluded=frozenset(verdict.excluded),
                jobs=self.options.jobs,
            )
            if self.verify == "full":
                from fastwheel._verify.repaired import check_repaired

                found.extend(check_repaired(path, filename, self.wheel, verdict, plan, self.options))

        write_wheel(target, self.wheel.archive, made.entries, level=self.level, prove=check)
        return (*made.notes, *found, *self.workshop.cache_notes())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FastwheelError(
            f"cannot make the output folder {escape(str(folder))}: {error.strerror}", code="FW702"
        ) from error
