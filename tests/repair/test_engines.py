"""The whole tool under both engines: the same contents, names and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolbox import Toolbox

# What stands for a platform without a binary wheel: the extension module cannot be imported at all.
BARRED = "import sys; sys.modules['fastwheel._core'] = None; from fastwheel.cli import main; main()"


def _run(args: list[object], *, engine: str, library_path: Path) -> subprocess.CompletedProcess[str]:
    code = "from fastwheel.cli import main; main()" if engine == "rust" else BARRED
    env = {**os.environ, "LD_LIBRARY_PATH": str(library_path)}
    env.pop("FASTWHEEL_ENGINE", None)
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)


def test_same_wheel_from_both(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    low = toolbox.library("libfwlow.so.2", "low")
    high = toolbox.library("libfwhigh.so.1", "high", needs=[low])
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "high", high), "pkg/data.txt": b"text" * 1000})
    outputs = []
    for engine in ("rust", "python"):
        out = toolbox.folder / engine
        ran = _run(["repair", "-w", out, wheel], engine=engine, library_path=toolbox.system)
        assert ran.returncode == 0, ran.stderr
        (path,) = out.iterdir()
        outputs.append((path.name, contents(path)))
    assert outputs[0] == outputs[1]


def test_same_errors_from_both(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwgone.so.1", "gone")
    missing = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "gone", library)})
    spoilt = toolbox.wheel({"bad/ext.so": toolbox.module("ext", "getpid")[:700]}, project="bad")
    library.unlink()
    for wheel in (missing, spoilt):
        runs = [_run(["show", wheel], engine=engine, library_path=toolbox.system) for engine in ("rust", "python")]
        assert (runs[0].returncode, runs[0].stdout) == (runs[1].returncode, runs[1].stdout)
        assert runs[0].stderr == runs[1].stderr


def test_engine_is_said(toolbox: Toolbox) -> None:
    assert "rust engine" in _run(["-V"], engine="rust", library_path=toolbox.system).stdout
    assert "python engine" in _run(["-V"], engine="python", library_path=toolbox.system).stdout
