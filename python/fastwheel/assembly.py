"""Plan ▶ the members of the output in their order, with everything that has to be made made."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel.beside import Beside
from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.wheel.record import format_record, row
from fastwheel.wheel.stamp import new_member_time
from fastwheel.wheel.writer import Copy, New, Packed, Piece
from fastwheel.wheel.zipformat import ZSTD
from fastwheel.workshop import Finished, Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel.deps.packages import Package
    from fastwheel.plan import Plan
    from fastwheel.survey import Survey
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.archive import Member
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.metadata import WheelInfo
    from fastwheel.wheel.wheel import Wheel
    from fastwheel.wheel.writer import Entry
    from fastwheel.wheel.zipformat import DateTime
    from fastwheel.workshop import Workshop

__all__ = ["Assembly", "assemble"]


class Assembly(NamedTuple):
    """What the output is to hold.

    Attributes:
        entries: in their order, RECORD last.
        finished: by name, the members that were made of files and ELF members.
        notes: what turned up meanwhile.
    """

    entries: tuple[Entry, ...]
    finished: Mapping[str, Finished]
    notes: tuple[str, ...]


def assemble(
    wheel: Wheel,
    verdict: Verdict,
    plan: Plan,
    filename: WheelFileName,
    info: WheelInfo,
    workshop: Workshop,
    environ: Mapping[str, str],
) -> Assembly:
    """Make the members of the output.

    Kept and edited members stay where they were, grafts follow, then .dist-info, RECORD last.

    Args:
        wheel: the input, open.
        verdict: of the input, with the digests of all members.
        plan: what changes.
        filename: of the output.
        info: WHEEL of the output.
        workshop: makes what is new.
        environ: where SOURCE_DATE_EPOCH is looked up.

    Raises:
        FastwheelError: a file cannot be read or edited (FW3xx, FW4xx, FW700), FW504, FW702, FW703, FW800.
    """
    stamp = new_member_time(wheel, environ)
    orders = _orders(wheel, plan)
    notes: list[str] = []
    # The engine leaves this interpreter free for it.
    packages = Beside(partial(workshop.owners, [graft.source for graft in plan.grafts], notes)) if plan.grafts else None
    made = dict(zip(orders, workshop.make(list(orders.values()), wheel.archive.fd), strict=True))
    patches = {patch.member: patch for patch in plan.patches}
    shims = {shim.member: shim for shim in plan.shims}
    finished: dict[str, Finished] = {}

    def new(name: str, done: Finished | None, mode: int, time: DateTime) -> New:
        assert done is not None
        finished[name] = done
        return New(name, done.packed, mode, time)

    body: list[Entry] = []
    moved: list[Entry] = []
    tail: list[Entry] = []
    dist_info = f"{wheel.dist_info}/"
    for member in wheel.archive.members:
        place = body
        if member.name.startswith(dist_info):
            place = tail
            if member.name == wheel.record_name or wheel.is_signature(member.name):
                continue
        patch = patches.get(member.name)
        if member.name in shims:
            text = shims[member.name].text.encode()
            place.append(New(member.name, text, _mode(member) | 0o555, stamp))
        if patch is not None and patch.moved_to is not None:
            done = made[member.name]
            if done is None and member.method == ZSTD:  # few installers read it yet
                content = wheel.archive.read(member)
                moved.append(New(patch.moved_to, content, _mode(member), member.date_time))
                continue
            done = done or _as_it_is(wheel, member, verdict.survey)
            moved.append(new(patch.moved_to, done, _mode(member), member.date_time))
        elif patch is not None and made[member.name] is not None:
            place.append(new(member.name, made[member.name], _mode(member), member.date_time))
        elif member.name not in shims:
            place.append(Copy(member))
    grafts: list[Entry] = []
    finals: dict[str, bytes] = {}
    for graft in plan.grafts:
        if graft.member in wheel.archive.names:
            finals[graft.member] = verdict.survey.digests[graft.member]
        else:
            grafts.append(new(graft.member, made[graft.source], 0o755, stamp))
            finals[graft.member] = finished[graft.member].sha256
    for source, name in plan.extras:
        grafts.append(new(name, made[f"{source}\n{name}"], 0o644 | _executable(source), stamp))
    if packages is not None:
        needs = _needs(verdict, plan)
        tail.append(New(*_sbom(wheel, plan, filename, needs, finals, packages.result(), environ), 0o644, stamp))
    info_name = f"{wheel.dist_info}/WHEEL"
    if info != wheel.info:
        tail = [
            New(info_name, info.to_bytes(), _mode(entry.member), stamp)
            if isinstance(entry, Copy) and entry.member.name == info_name
            else entry
            for entry in tail
        ]
    entries = [*body, *moved, *grafts, *tail]
    text = _record(entries, verdict.survey.digests, finished, wheel.record_name)
    entries.append(New(wheel.record_name, text, _mode(wheel.archive.names[wheel.record_name]), stamp))
    return Assembly(tuple(entries), finished, tuple(notes))


def _orders(wheel: Wheel, plan: Plan) -> dict[str, Order]:
    """What has to be made: by member name, by real path for grafts, by both for other files."""
    archive = wheel.archive
    orders: dict[str, Order] = {}
    for patch in plan.patches:
        member = archive.names[patch.member]
        source = archive.read(member) if member.method == ZSTD else archive.span(member)
        orders[member.name] = Order(source, patch.edit, member.name, partial(archive.read, member))
    for graft in plan.grafts:
        if graft.member not in archive.names:  # else the same graft of an earlier repair
            orders[graft.source] = Order(
                graft.source, graft.edit, graft.source, partial(_read, graft.source), shared=True
            )
    for path, name in plan.extras:
        if name in archive.names:
            message = f"the wheel already holds {escape(name)}, which --include asks for"
            raise FastwheelError(message, code="FW504")
        orders[f"{path}\n{name}"] = Order(path, None, path)
    return orders


def _as_it_is(wheel: Wheel, member: Member, survey: Survey) -> Finished:
    """A member under another name, its data copied."""
    names = next((engine.Names.of(unit.facts) for unit in survey.units if unit.member == member.name), None)
    piece = Piece(wheel.archive.fd, member.data_offset, member.compressed_size)
    return Finished(Packed(member.method, member.crc, member.size, b"", (piece,)), survey.digests[member.name], names)


def _sbom(
    wheel: Wheel,
    plan: Plan,
    filename: WheelFileName,
    needs: Mapping[str, tuple[str, ...]],
    finals: Mapping[str, bytes],
    packages: Mapping[str, Package],
    environ: Mapping[str, str],
) -> tuple[str, bytes]:
    """The name and the text of the bill of materials."""
    from fastwheel.sbom import GraftedLibrary, make_sbom, sbom_member

    libraries = [
        GraftedLibrary(
            graft.name,
            graft.soname,
            graft.source,
            graft.member,
            graft.sha256,
            finals[graft.member].hex(),
            needs[graft.source],
        )
        for graft in plan.grafts
    ]
    document = make_sbom(filename.project, filename.version, filename.name, libraries, packages, environ)
    return sbom_member(wheel.dist_info, wheel.archive.names), document


def _needs(verdict: Verdict, plan: Plan) -> dict[str, tuple[str, ...]]:
    """The members that each graft needs, by its source."""
    members = {graft.source: graft.member for graft in plan.grafts}
    edges = verdict.graph.edges
    return {
        source: tuple(members[edge.target] for edge in edges.get(source, ()) if edge.target in members)
        for source in members
    }


def _record(
    entries: Sequence[Entry], kept: Mapping[str, bytes], finished: Mapping[str, Finished], record_name: str
) -> bytes:
    """RECORD: a row for every file."""
    texts = {
        entry.name: entry.content for entry in entries if isinstance(entry, New) and isinstance(entry.content, bytes)
    }
    fresh = dict(zip(texts, engine.sha256_many(list(texts.values())), strict=True))
    rows = []
    for entry in entries:
        if isinstance(entry, Copy):
            if not entry.member.is_dir:
                rows.append(row(entry.member.name, kept[entry.member.name], entry.member.size))
        elif isinstance(entry.content, bytes):
            rows.append(row(entry.name, fresh[entry.name], len(entry.content)))
        else:
            rows.append(row(entry.name, finished[entry.name].sha256, entry.content.size))
    return format_record(rows, record_name)


def _mode(member: Member) -> int:
    return 0o644 if member.mode is None else member.mode & 0o777


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error


def _executable(path: str) -> int:
    """The permissions to execute a file."""
    try:
        return os.stat(path).st_mode & 0o111
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error
