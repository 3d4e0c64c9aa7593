"""Run the judge or the fuzzer by hand.

    PYTHONPATH=tests/elf/corpus python -m elfcorpus report [--full] [--docs docs/elf-report.md] [EDITOR ...]
    PYTHONPATH=tests/elf/corpus python -m elfcorpus fuzz [--mutants N] [--keep FOLDER] [EDITOR ...]

EDITOR: fastwheel-rust, fastwheel-python, patchelf, LIEF; without one all that are there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import corpus, fuzz, report
from .editors import fastwheel_engines
from .tools import cache_root

_HEAD = """\
# The ELF editor against its peers

What a wheel repair does to a file (a new DT_RUNPATH, every DT_NEEDED that is not the C library's renamed, a new
SONAME), done by fastwheel, by patchelf 0.19.3 (in one call) and by LIEF 1.0.0 on the corpus of `tests/elf/corpus`, then
tried with the programs that meet such files later. A fault that the original has too is not counted: a file that did
not load, or did not survive `strip`, before the edit is left out of that row. Foreign machines run under qemu-user.

Files and limits are those of a bounded test run; `--full` takes every library of the machine and of the wheels. Times
are those of a busy machine. The two engines of fastwheel give the same bytes. This page is generated; the command is

    PYTHONPATH=tests/elf/corpus python -m elfcorpus report --docs docs/elf-report.md

"""


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="elfcorpus", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("report", "fuzz"))
    parser.add_argument("--full", action="store_true", help="all files and not a sample")
    parser.add_argument("--docs", type=Path, help="write the tables to this page too")
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that went wrong")
    parser.add_argument("editors", nargs="*")
    options = parser.parse_intermixed_args()
    names = options.editors or [*(f"fastwheel-{engine}" for engine in fastwheel_engines()), "patchelf", "LIEF"]
    if options.command == "fuzz":
        worst = 0
        for name in names:
            tally = fuzz.fuzz_many(name, options.mutants)
            print(
                f"{name}: {tally.mutants} mutants, {tally.refused} refused, {tally.loadable} of {tally.accepted} edited"
                f" ones loaded before, {len(tally.broken)} do not load after, {len(tally.crashed)} failures,"
                f" {len(tally.unstable)} not idempotent, longest {tally.slowest[0]:.3f} s ({tally.slowest[1]})"
            )
            for title, found in {
                "broken": tally.broken,
                "failed": tally.crashed,
                "changes": tally.unstable,
                "twin": tally.different,
            }.items():
                print("".join(f"  {title} {line}\n" for line in found), end="")
            if options.keep:
                fuzz.keep(tally, options.keep / name)
            worst = max(worst, len(tally.broken) + len(tally.crashed) + len(tally.different))
        return int(worst > 0)
    subjects = corpus.everything(full=options.full)
    results = {}
    for name in names:
        results[name] = report.judge_all(subjects, name)
        report.write(results, cache_root() / "report")
        print(report.markdown({name: results[name]}), flush=True)
    if options.docs:
        options.docs.write_text(_HEAD + report.markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
