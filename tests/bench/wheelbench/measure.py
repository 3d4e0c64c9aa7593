"""Whole processes, measured from outside."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wheelbench.store import programs

__all__ = ["FailedError", "Sample", "median", "run"]


@dataclass(frozen=True)
class Sample:
    """What one run of a program took, with all processes that it started and waited for.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds of processor time, user and system.
        memory: the largest resident set of any one process, bytes.
    """

    wall: float
    cpu: float
    memory: float

    def to_dict(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return asdict(self)


class FailedError(Exception):
    """A program did not do its work; the text is what it said."""


def run(line: Sequence[str | Path], environ: Mapping[str, str], folder: Path) -> Sample:
    """Run a program in `folder` and measure it.

    Raises:
        FailedError: it ended with another status than 0.
    """
    os.sync()  # what the program before has written must not slow this one down
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as said:
        command = [str(programs() / "measure"), report.name, *map(str, line)]
        subprocess.run(
            command, env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=True
        )
        found = json.loads(Path(report.name).read_text())
        if found["status"] != 0:
            said.seek(0)
            raise FailedError(f"{' '.join(map(str, line))}\n{said.read().decode(errors='replace')[-2000:]}")
    return Sample(found["wall"], found["user"] + found["system"], found["memory"])


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    names = ("wall", "cpu", "memory")
    return Sample(*(statistics.median(getattr(sample, name) for sample in samples) for name in names))
