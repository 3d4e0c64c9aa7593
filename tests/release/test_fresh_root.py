"""The tutorial, where nothing but Debian and the built wheel is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_tutorial_in_a_fresh_root(wheels: dict[str, Path], repository: Path, cache: Path) -> None:
    """The root folders are kept, so that only a machine's first run makes them."""
    line = [sys.executable, repository / ".ci/fresh-root", wheels["binary"]]
    if os.geteuid():  # as .ci/setup does
        line = ["sudo", "-nE", *line]
    environment = {**os.environ, "FASTWHEEL_FRESH_ROOT": str(cache / "fresh-root")}
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    lines = done.stdout.splitlines()
    assert lines[-2] == "130.0"
    assert any("cannot open shared object file" in text for text in lines)
    assert "(rust engine)" in done.stdout
