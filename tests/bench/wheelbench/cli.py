"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from wheelbench.jobs import FULL, JOBS
from wheelbench.runner import run_job
from wheelbench.tools import TOOLS

__all__ = ["main"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measure fastwheel beside its peers.")
    parser.add_argument("--jobs", metavar="KEY,KEY", help=f"only these jobs, of {', '.join([*JOBS, *FULL])}")
    parser.add_argument("--tools", metavar="NAME,NAME", help=f"only these programs, of {', '.join(TOOLS)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each program runs (default: 5)")
    parser.add_argument("--seconds", type=float, default=60, help="what a program may take at one job (default: 60)")
    parser.add_argument("--full", action="store_true", help="also the jobs that take long")
    asked = parser.parse_args(arguments)
    known = {**JOBS, **FULL}
    keys = asked.jobs.split(",") if asked.jobs else [*JOBS, *(FULL if asked.full else ())]
    tools = asked.tools.split(",") if asked.tools else list(TOOLS)
    start = time.monotonic()
    for key in keys:
        run_job(known[key], tools, asked.rounds, asked.seconds, _say)
    _say(f"{time.monotonic() - start:.0f} s")
    return 0
