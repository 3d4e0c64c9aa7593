"""The programs that are measured: how each is called for a job."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelbench.floorjob import floor_job
from wheelbench.jobs import Job
from wheelbench.store import programs

__all__ = ["TOOLS", "Tool", "clean_environment"]

#: The programs of the environment that the benchmark runs in.
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Tool:
    """One program.

    Attributes:
        name: as in the table.
        line: the command for a job and a fresh output folder; None if it cannot do it.
        environ: what its environment has besides.
        primed: whether it runs once before it is measured.
    """

    name: str
    line: Callable[[Job, Path], list[str] | None]
    environ: Mapping[str, str]
    primed: bool = False


def clean_environment(job: Job, more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would change a result, and where the job's libraries are."""
    ours = ("LD_LIBRARY_PATH", "AUDITWHEEL_", "FASTWHEEL_", "SOURCE_DATE_EPOCH", "PYTHON")
    found = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    found["PATH"] = f"{SCRIPTS}{os.pathsep}{found.get('PATH', os.defpath)}"
    if job.libraries is not None:
        # LD_LIBRARY_PATH itself would also change which libraries Python and patchelf load.
        found["AUDITWHEEL_LD_LIBRARY_PATH"] = str(job.libraries)
    return found | dict(more)


def _wheel_tool(name: str) -> Callable[[Job, Path], list[str] | None]:
    """fastwheel and auditwheel have the same command line."""

    def line(job: Job, out: Path) -> list[str] | None:
        program = str(SCRIPTS / name)
        wheels = [str(wheel) for wheel in job.wheels]
        if job.verb == "start":
            return [program, "--version"]
        if job.verb == "show":
            return [program, "show", *wheels]
        return [program, "repair", "-w", str(out), *wheels]

    return line


def _cached(job: Job, out: Path) -> list[str] | None:
    if job.key != "e":
        return None
    wheels = [str(wheel) for wheel in job.wheels]
    return [str(SCRIPTS / "fastwheel"), "repair", "--cache-dir", str(out.parent / "cache"), "-w", str(out), *wheels]


def _repairwheel(job: Job, out: Path) -> list[str] | None:
    if job.verb != "repair":
        return None
    options = [] if job.libraries is None else ["-l", str(job.libraries)]
    # One call for each wheel: given several, it stops after the first.
    wheels = [str(wheel) for wheel in job.wheels]
    return [str(SCRIPTS / "repairwheel"), "-o", str(out), *options, *wheels]


def _click(job: Job, out: Path) -> list[str] | None:
    return [sys.executable, "-c", "import click"] if job.verb != "repair" else None


def _floor(job: Job, out: Path) -> list[str] | None:
    if job.verb == "start":
        return None
    return [str(programs() / "floor"), str(floor_job(job, out))]


def _checked_floor(job: Job, out: Path) -> list[str] | None:
    if job.verb != "repair":
        return None
    return [str(programs() / "floor"), str(floor_job(job, out, checks=True))]


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("fastwheel", _wheel_tool("fastwheel"), {"FASTWHEEL_ENGINE": "rust"}),
        Tool("fastwheel (Python)", _wheel_tool("fastwheel"), {"FASTWHEEL_ENGINE": "python"}),
        Tool("fastwheel (cached)", _cached, {"FASTWHEEL_ENGINE": "rust"}, primed=True),
        Tool("auditwheel", _wheel_tool("auditwheel"), {}),
        Tool("repairwheel", _repairwheel, {}),
        Tool("floor", _floor, {}),
        Tool("floor with checks", _checked_floor, {}),
        Tool("import click", _click, {}),
    )
}
