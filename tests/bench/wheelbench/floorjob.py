"""Tells the floor program what to do: all that fastwheel decided, read off its plan and its output."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING

import fastwheel
from fastwheel.bind import edit_to_dict

if TYPE_CHECKING:
    from wheelbench.jobs import Job

__all__ = ["facts_end", "floor_job"]

_MAGIC = b"\x7fELF"


def floor_job(job: Job, out: Path, *, checks: bool = False) -> Path:
    """Write the description of a job for the floor program to a file beside the folder `out`, and return its path.

    A repair is done once for it, into a folder of its own, and its output is removed again. With `checks` the floor
    compares what comes in with RECORD and inflates again what it made.
    """
    environ = dict(os.environ)
    if job.libraries is not None:
        environ["AUDITWHEEL_LD_LIBRARY_PATH"] = str(job.libraries)
    wheels = []
    for wheel in job.wheels:
        told: dict[str, object] = {"input": str(wheel), "look": _look(wheel)}
        none: dict[str, object] = {"output": None, "members": [], "record": ""}
        told |= _repair(wheel, out, environ) if job.verb == "repair" else none
        wheels.append(told)
    path = out.with_name(f"{out.name}.json")
    path.write_text(json.dumps({"level": 6, "threads": os.cpu_count() or 1, "checks": checks, "wheels": wheels}))
    return path


def _look(wheel: Path) -> list[tuple[str, int]]:
    """The ELF members of a wheel, and how far each has to be read."""
    found = []
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                if file.read(4) == _MAGIC:
                    found.append((entry.filename, facts_end(_MAGIC + file.read())))
    return found


def facts_end(content: bytes) -> int:
    """Return where what a loader reads of an ELF file ends: PT_DYNAMIC and the strings it names. Little-endian only."""
    wide = content[4] == 2
    table, size, count = struct.unpack_from("<32xQ14xHH" if wide else "<28xI10xHH", content)
    loads, dynamic = [], None
    for index in range(count):
        if wide:
            kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, table + index * size)
        else:
            kind, offset, address, _, length = struct.unpack_from("<IIIII", content, table + index * size)
        if kind == 1:
            loads.append((address, offset, length))
        elif kind == 2:
            dynamic = (offset, length)
    end = table + count * size
    if dynamic is None:
        return end
    known = {}
    for tag, value in struct.iter_unpack("<QQ" if wide else "<II", content[dynamic[0] : sum(dynamic)]):
        known.setdefault(tag, value)
    strings = known.get(5, 0)
    for address, offset, length in loads:
        if address <= strings < address + length:
            end = max(end, strings - address + offset + known.get(10, 0))
    return max(end, sum(dynamic))


def _repair(wheel: Path, out: Path, environ: dict[str, str]) -> dict[str, object]:
    """What a repair of the wheel makes of each member."""
    scratch = out.with_name(f"{out.name}.plan")
    done = fastwheel.repair(wheel, scratch, environ=environ)
    assert done.path is not None
    assert done.plan is not None
    output = str(out / done.path.name)
    if not done.changed:
        done.path.unlink()
        return {"output": output, "members": [], "record": ""}
    grafts = {graft.member: graft for graft in done.plan.grafts}
    patches = {patch.moved_to or patch.member: patch for patch in done.plan.patches}
    members: list[object] = []
    record = ""
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(done.path) as after:
        old = {entry.filename: (entry.CRC, entry.compress_size, entry.file_size) for entry in before.infolist()}
        for entry in after.infolist():
            name = entry.filename
            if name.endswith(".dist-info/RECORD"):
                record = name
                continue
            if old.get(name) == (entry.CRC, entry.compress_size, entry.file_size):
                members.append(name)
                continue
            new: dict[str, object] = {"name": name, "mode": entry.external_attr >> 16 & 0o777}
            if name in grafts:
                new["file"] = {"path": grafts[name].source, "edit": edit_to_dict(grafts[name].edit)}
            elif name in patches:
                new["member"] = {"from": patches[name].member, "edit": edit_to_dict(patches[name].edit)}
            else:
                new["text"] = after.read(entry).decode()
            members.append(new)
    done.path.unlink()
    scratch.rmdir()
    assert basename(record) == "RECORD"
    return {"output": output, "members": members, "record": record}
