"""The truth test on libraries that no wheel maker has touched: a sample of this machine's own, copied elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from truth import Truth, agrees

from fastwheel import engine
from fastwheel.policy import arch_of

#: All of them take a minute: 1,537 on the machine where this was written, and the one below is the only surprise.
ONE_OF = 1 if os.environ.get("FASTWHEEL_TRUTH") == "full" else 8
#: Why prediction and truth differ, by a part of the name.
DISAGREEMENTS = {"libasan": "its constructor ends the process: it wants to be loaded first"}


def test_prediction_is_truth_for_the_systems_libraries(tmp_path: Path, python_truth: Truth) -> None:
    folder = Path("/usr/lib") / python_truth.host.arch.triple
    found = sorted({path.resolve() for pattern in ("*.so*", "*/*.so") for path in folder.glob(pattern)})
    tried = failed = 0
    wrong = []
    for number, path in enumerate(found):
        content = path.read_bytes() if path.is_file() and number % ONE_OF == 0 else b""
        if not content.startswith(b"\x7fELF") or arch_of(engine.read(content)) is not python_truth.host.arch:
            continue
        site = tmp_path / str(number)
        site.mkdir()
        shutil.copyfile(path, site / path.name)
        outcome, error = python_truth.both(site, path.name)
        shutil.rmtree(site)
        tried += 1
        failed += error is not None
        if not agrees(outcome, error) and not any(part in path.name for part in DISAGREEMENTS):
            wrong.append((str(path), error, [finding.message for finding in outcome.findings]))
    assert not wrong
    assert tried >= 60
    print(f"{tried} libraries, {failed} of which do not load")
