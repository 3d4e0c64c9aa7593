"""The table of what each editor made of the corpus: JSON for programs, Markdown for `docs/elf-report.md`."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .editors import editor
from .judge import STRIPPERS, Verdict, judge
from .loader import close_servers
from .operation import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .subject import Subject

__all__ = ["judge_all", "markdown", "summary", "write"]

GROUPS = {
    "shape": "Built shapes",
    "debian": "Debian's libraries",
    "program": "Debian's programs",
    "pypi": "Libraries of PyPI wheels",
}


def judge_all(subjects: Sequence[Subject], name: str, *, folder: Path | None = None) -> list[Verdict]:
    """Judge every subject under one editor, as many at a time as there are processors."""
    judged = editor(name)
    with tempfile.TemporaryDirectory(dir=folder) as made, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        site = Site(Path(made))
        try:
            return list(pool.map(lambda subject: judge(subject, judged, site), subjects))
        finally:
            close_servers()


def _count(verdicts: Sequence[Verdict], test: Callable[[Verdict], object]) -> int:
    return sum(bool(test(verdict)) for verdict in verdicts)


def summary(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Return the figures of one editor and one group of files."""
    edited = [verdict for verdict in verdicts if not verdict.refused]
    growth = [verdict.growth for verdict in edited] or [0]
    seconds = [verdict.seconds for verdict in edited] or [0.0]
    loadable = [verdict for verdict in edited if verdict.loaded]
    return {
        "files": len(verdicts),
        "refused": _count(verdicts, lambda v: v.refused and not v.crashed),
        "crashed": _count(verdicts, lambda v: v.crashed),
        "growth_total": sum(growth),
        "growth_mean": round(statistics.fmean(growth), 1),
        "growth_max": max(growth),
        "zero_growth": _count(edited, lambda v: v.growth == 0),
        "edited": len(edited),
        "wrong": _count(edited, lambda v: not v.holds),
        "loadable": len(loadable),
        "loads": _count(loadable, lambda v: not v.load),
        "new_lint": _count(edited, lambda v: v.lint),
        "new_warnings": _count(edited, lambda v: v.warnings),
        **{
            f"after_{name}": [_count(edited, lambda v, n=name: v.survives.get(n) == ""),
                              _count(edited, lambda v, n=name: n in v.survives)]
            for name in (*STRIPPERS, "patchelf")
        },
        "idempotent": _count(edited, lambda v: v.again),
        "median_ms": round(statistics.median(seconds) * 1000, 1),
        "max_s": round(max(seconds), 2),
    }  # fmt: skip


def _bytes(number: float) -> str:
    for unit in ("B", "KB", "MB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def markdown(results: Mapping[str, Sequence[Verdict]]) -> str:
    """Return one table per group of files, an editor a column."""
    names = list(results)
    lines: list[str] = []
    for group, title in GROUPS.items():
        columns = [summary([v for v in results[name] if v.group == group]) for name in names]
        if not columns or not columns[0]["files"]:
            continue
        rows: dict[str, Callable[[dict[str, object]], str]] = {
            "files": lambda c: f"{c['files']}",
            "edited (refused, failed)": lambda c: f"{c['edited']} ({c['refused']}, {c['crashed']})",
            "result is what was asked for": lambda c: f"{c['edited'] - c['wrong']}/{c['edited']}",  # type: ignore[operator]
            "growth in all (mean, largest)": lambda c: (
                f"{_bytes(c['growth_total'])} ({_bytes(c['growth_mean'])}, {_bytes(c['growth_max'])})"  # type: ignore[arg-type]
            ),
            "files that did not grow": lambda c: f"{c['zero_growth']}",
            "load, of those that did before": lambda c: f"{c['loads']}/{c['loadable']}",
            "files with new eu-elflint errors": lambda c: f"{c['new_lint']}",
            "files with new readelf warnings": lambda c: f"{c['new_warnings']}",
            **{
                f"load after {text}": lambda c, key=key: "{}/{}".format(*c[key])  # type: ignore[misc]
                for key, text in {
                    "after_strip": "`strip -s`",
                    "after_eu-strip": "`eu-strip`",
                    "after_llvm-strip": "`llvm-strip`",
                    "after_patchelf": "`patchelf --set-rpath`",
                }.items()
            },
            "second run changes nothing": lambda c: f"{c['idempotent']}/{c['edited']}",
            "median, longest time": lambda c: f"{c['median_ms']} ms, {c['max_s']} s",
        }
        lines += ["", f"## {title}", "", "| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
        lines += [
            f"| {label} | " + " | ".join(show(column) for column in columns) + " |" for label, show in rows.items()
        ]
    return "\n".join(lines).strip() + "\n"


def write(results: Mapping[str, Sequence[Verdict]], folder: Path) -> None:
    """Write `elf-report.json`, every verdict, and `elf-report.md`, the tables and every fault of fastwheel."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = {name: [asdict(verdict) for verdict in verdicts] for name, verdicts in results.items()}
    (folder / "elf-report.json").write_text(json.dumps(everything, indent=1))
    faults = [
        f"- {name}, `{verdict.subject}`: {fault}"
        for name, verdicts in results.items()
        if name.startswith("fastwheel")
        for verdict in verdicts
        for fault in verdict.faults
    ]
    text = markdown(results) + ("\n## Faults\n\n" + "\n".join(faults) + "\n" if faults else "")
    (folder / "elf-report.md").write_text(text)
