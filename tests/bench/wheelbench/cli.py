"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wheelbench.jobs import FULL, JOBS, Job, Spec
from wheelbench.measure import Sample, median
from wheelbench.report import OURS, PEER, START, Report, ratios, tables, with_numbers
from wheelbench.runner import Result, run_job
from wheelbench.scale import KINDS, measure_growth
from wheelbench.store import REPOSITORY
from wheelbench.tools import TOOLS

__all__ = ["main", "too_slow"]

#: What of a recorded ratio has to be reached.
_ENOUGH = 0.6
_EPILOG = """The default run writes docs/benchmark.md, .json and .svg. What is downloaded, built and generated is kept
for the next run. With --check nothing is written: the ratios to auditwheel are compared with those in
docs/benchmark.json."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Measure fastwheel beside its peers and its floor.", epilog=_EPILOG
    )
    parser.add_argument("--short", action="store_true", help="only the small jobs and programs, in three rounds")
    parser.add_argument("--full", action="store_true", help="also the jobs that take long")
    parser.add_argument("--check", action="store_true", help="fail where a ratio to auditwheel fell below 60 %%")
    parser.add_argument("--jobs", metavar="KEY,KEY", help=f"only these jobs, of {', '.join([*JOBS, *FULL])}")
    parser.add_argument("--scale", metavar="KIND,KIND", help=f"only these large wheels, of {', '.join(KINDS)}, or none")
    parser.add_argument("--tools", metavar="NAME,NAME", help=f"only these programs, of {', '.join(TOOLS)}")
    parser.add_argument("--rounds", type=int, default=0, help="how often each program runs (default: 5)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=30,
        help="what one program may take at a job before it gets fewer rounds (default: 30)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write benchmark.md, .json and .svg here")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    asked = _parser().parse_args(arguments)
    known: Mapping[str, Spec] = {**JOBS, **FULL}
    keys = [*JOBS, *(FULL if asked.full else ())]
    tools, kinds = list(TOOLS), list(KINDS)
    if asked.short:
        keys, kinds = [key for key in keys if known[key].small], []
        tools = [OURS, PEER]
    chosen = asked.jobs is not None or asked.tools is not None or asked.scale is not None
    keys = asked.jobs.split(",") if asked.jobs else keys
    tools = asked.tools.split(",") if asked.tools else tools
    if asked.scale is not None:
        kinds = [] if asked.scale == "none" else asked.scale.split(",")
    elif asked.jobs is not None:
        kinds = []
    rounds = asked.rounds or (3 if asked.short else 5)

    began = time.monotonic()
    results = [run_job(known[key], tools, rounds, asked.seconds, _say, check=not asked.check) for key in keys]
    growths = [measure_growth(kind, min(rounds, 3), _say) for kind in kinds]
    report = Report(results, growths, time.monotonic() - began, _start(results))
    _say(f"{report.seconds:.0f} s in all")
    out = asked.out or (None if chosen or asked.short or asked.check else REPOSITORY / "docs")
    if out is not None:
        _write(report, out)
    failed = [f"{result.key}: {text}" for result in results for text in result.problems]
    judged = (OURS, PEER) if asked.check else (OURS,)
    rows = [(result.key, row) for result in results for row in result.rows]
    failed += [f"{key}: {row.fault}" for key, row in rows if row.tool in judged and row.fault]
    if asked.check:
        recorded = json.loads((REPOSITORY / "docs" / "benchmark.json").read_text())["ratios"]
        found = ratios(results)
        slow = too_slow(recorded, found, "cpu")
        if slow:  # once more: something else may have run beside it
            found |= ratios([run_job(known[key], tools, rounds, asked.seconds, _say, check=False) for key in slow])
            slow = too_slow(recorded, found, "cpu")
        failed += slow.values()
        # fastwheel waits until its output is on the disk, auditwheel does not: a slow disk is no fault.
        for text in too_slow(recorded, found, "wall").values():
            _say(f"note: {text}")
    for text in failed:
        _say(f"FAILED {text}")
    return 1 if failed else 0


def _start(results: Sequence[Result]) -> Sample:
    """What starting Python with click takes: the median of the whole run, as one moment may be a bad one."""
    rows = [row for result in results if (row := result.row(START)) is not None]
    if not rows:
        job: Callable[[], Job] = lambda: Job("start", "start")  # noqa: E731
        rows = [run_job(Spec("start", "", job), [START], 9, 10, lambda _: None).rows[0]]
    return median([sample for row in rows for sample in row.samples])


def too_slow(
    recorded: Mapping[str, Mapping[str, float]], found: Mapping[str, Mapping[str, float]], what: str
) -> dict[str, str]:
    """Say of each job whose ratio to auditwheel is below 60 % of the recorded one, by how much.

    A job that has none of the two is not judged; one that was recorded and has no ratio now has failed otherwise.

    Args:
        recorded: the ratios in docs/benchmark.json.
        found: those of this run.
        what: "cpu" or "wall" time.
    """
    return {
        key: f"{key}: auditwheel takes {found[key][what]} times our {what} time; {recorded[key][what]} was recorded"
        for key in recorded.keys() & found.keys()
        if found[key][what] < _ENOUGH * recorded[key][what]
    }


def _write(report: Report, folder: Path) -> None:
    """Write the page, the figures and the picture; beside other folders' pages the tables alone too."""
    from wheelbench.chart import draw

    folder.mkdir(parents=True, exist_ok=True)
    text = tables(report)
    template = REPOSITORY / "docs" / "benchmark.md"
    (folder / "benchmark.md").write_text(with_numbers(template.read_text(), text))
    (folder / "benchmark.json").write_text(json.dumps(report.to_dict(), indent=1) + "\n")
    draw(report.results, folder / "benchmark.svg")
    if folder.resolve() != template.parent:
        (folder / "table.md").write_text(f"{text}\n")
