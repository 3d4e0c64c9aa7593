"""Runs the jobs: all programs of a job in turn, round by round, so that a disturbance meets each of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wheelbench.compare import differences, import_faults
from wheelbench.jobs import Job, Spec
from wheelbench.measure import FailedError, Sample, median, run
from wheelbench.store import root
from wheelbench.tools import TOOLS, Tool, clean_environment

__all__ = ["Result", "Row", "run_job", "share"]

#: What may be larger than auditwheel's output, and by how much.
_LARGER = 1.01


@dataclass
class Row:
    """What one program did with one job.

    Attributes:
        tool: the program.
        samples: one for each round.
        size: of all outputs, bytes; 0 if there is none.
        fault: why there is no figure, or empty.
    """

    tool: str
    samples: list[Sample] = field(default_factory=list)
    size: int = 0
    fault: str = ""

    @property
    def median(self) -> Sample:
        """The median of the samples."""
        return median(self.samples)

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        found: dict[str, object] = {"tool": self.tool, "size": self.size}
        if self.fault:
            return found | {"fault": self.fault}
        return found | {"median": self.median.to_dict(), "samples": [sample.to_dict() for sample in self.samples]}


@dataclass
class Result:
    """One job done by all programs.

    Attributes:
        key: of the job.
        title: of the job.
        input_size: of all its wheels, bytes.
        rows: one for each program, in the order of `TOOLS`.
        problems: in what the outputs differ that should be equal; empty is good.
    """

    key: str
    title: str
    input_size: int
    rows: list[Row]
    problems: list[str] = field(default_factory=list)

    def row(self, tool: str) -> Row | None:
        """Return the row of a program, if it has figures."""
        return next((row for row in self.rows if row.tool == tool and row.samples), None)

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        rows = [row.to_dict() for row in self.rows]
        problems = self.problems
        return {"job": self.key, "title": self.title, "input_size": self.input_size, "rows": rows, "problems": problems}


def run_job(
    spec: Spec, tools: Sequence[str], rounds: int, seconds: float, say: Callable[[str], None], *, check: bool = True
) -> Result:
    """Measure a job.

    Args:
        spec: the job.
        tools: names of the programs.
        rounds: how often each program runs.
        seconds: what one program may take in all; a slower one has fewer rounds (`share`).
        say: called with what is going on.
        check: whether to compare the outputs.
    """
    job = spec.prepare()
    say(f"{spec.key}: {spec.title}")
    wanted = [TOOLS[name] for name in tools if name in spec.peers or name not in ("auditwheel", "repairwheel")]
    result = Result(spec.key, spec.title, sum(wheel.stat().st_size for wheel in job.wheels), [])
    work = Path(tempfile.mkdtemp(prefix=".run-", dir=root()))
    try:
        runs = [found for tool in wanted if (found := _Run.of(tool, job, work)) is not None]
        for number in range(rounds):
            for one in runs:
                one.again(number, rounds, seconds)
        result.rows = [one.row for one in runs]
        for one in runs:
            one.row.size = sum(path.stat().st_size for path in one.outputs())
        if check and job.verb == "repair":
            result.problems = _problems(job, {one.row.tool: one.outputs() for one in runs if one.row.samples})
    finally:
        shutil.rmtree(work)
    for row in result.rows:
        say(_line(row))
    for problem in result.problems:
        say(f"   NOT EQUAL: {problem}")
    return result


@dataclass
class _Run:
    """One program at one job."""

    line: list[str]
    environ: dict[str, str]
    out: Path
    row: Row
    primed: bool

    @classmethod
    def of(cls, tool: Tool, job: Job, work: Path) -> _Run | None:
        out = work / tool.name.replace(" ", "-").strip("()")
        out.mkdir()
        line = tool.line(job, out)
        return (
            None if line is None else cls(line, clean_environment(job, tool.environ), out, Row(tool.name), tool.primed)
        )

    def again(self, number: int, rounds: int, seconds: float) -> None:
        """Do the job once more, into an empty folder, unless the program has had its share of time."""
        samples = self.row.samples
        if self.row.fault or (samples and number >= share(samples[0].wall, rounds, seconds)):
            return
        try:
            if not samples:
                self._warm_up()
            self._empty()
            samples.append(run(self.line, self.environ, self.out))
        except FailedError as error:
            samples.clear()
            self.row.fault = str(error)

    def _warm_up(self) -> None:
        """The first run of a program reads it from disk; that is not what is measured."""
        for path in self.line:
            if path.endswith(".whl"):
                with Path(path).open("rb") as file:
                    while file.read(1 << 20):
                        pass
        if self.primed or not {"repair", "-o"} & set(self.line):
            run(self.line, self.environ, self.out)

    def _empty(self) -> None:
        shutil.rmtree(self.out)
        self.out.mkdir()

    def outputs(self) -> list[Path]:
        return sorted(self.out.glob("*.whl"))


def share(wall: float, rounds: int, seconds: float) -> int:
    """How often a program runs that took so long at first: at least twice, unless it takes very long."""
    return 1 if wall > 3 * seconds else min(rounds, max(2, int(seconds / wall)))


def _problems(job: Job, outputs: dict[str, list[Path]]) -> list[str]:
    """What is wrong with the outputs: they should mean the same, be no larger, and can be imported."""
    found = []
    ours = outputs.get("fastwheel")
    if ours is None:
        return []  # it failed, which is said elsewhere, or was not asked
    for tool in ("fastwheel (Python)", "fastwheel (cached)", "floor", "floor with checks", "auditwheel"):
        if tool in outputs:
            found += [f"fastwheel and {tool}: {text}" for text in differences(ours, outputs[tool])]
    sizes = {tool: sum(path.stat().st_size for path in paths) for tool, paths in outputs.items()}
    for tool in ("fastwheel", "fastwheel (Python)"):
        if tool in sizes and sizes[tool] > _LARGER * sizes.get("auditwheel", sizes[tool]):
            found.append(f"{tool} wrote {sizes[tool]} bytes, auditwheel {sizes['auditwheel']}")
    if job.modules:
        for tool, paths in outputs.items():
            fault = import_faults(paths[0], job.modules)
            if fault:
                found.append(f"the wheel of {tool} cannot be imported: {fault.strip().splitlines()[-1]}")
    return found


def _line(row: Row) -> str:
    if row.fault:
        return f"   {row.tool:20} failed: {row.fault.strip().splitlines()[-1]}"
    middle = row.median
    return (
        f"   {row.tool:20} {middle.wall:8.3f} s  {middle.cpu:8.3f} CPU s  {middle.memory / 2**20:7.0f} MiB"
        f"  {row.size / 1e6:9.2f} MB  ({len(row.samples)} runs)"
    )
