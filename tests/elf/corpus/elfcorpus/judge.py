"""The judge: what an editor's output is worth, measured by the programs that will meet it.

Every check is a function of files; `judge` puts them together. A fault that the original has too is not counted.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import loader
from .downloads import patchelf
from .loader import load
from .operation import RUNPATH, Request, Site, repair_request
from .peek import peek
from .subject import MACHINES
from .tools import cache_root, run, tool, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .editors import Editor
    from .subject import Subject

__all__ = [
    "STRIPPERS",
    "Baseline",
    "Verdict",
    "baseline",
    "judge",
    "lint",
    "new_lines",
    "patch_again",
    "strip",
    "warnings",
]

#: Names of strip programs: GNU strip of the file's machine, elfutils, LLVM.
STRIPPERS = ("strip", "eu-strip", "llvm-strip")

#: A longer RPATH than any file of the corpus has; it ends where the renamed libraries are.
_LONGER = "/opt/" + "a-longer-folder/" * 12 + ":" + RUNPATH
#: What a strip program may take, seconds: llvm-strip does not come to an end with 66,000 sections.
_PATIENCE = 20

#: `readelf -a` of a larger file prints relocations for seconds: it is asked for the tables only.
_READELF_ALL = 4 << 20


def _plain(line: str) -> str:
    """Return a line without its numbers: an address that has moved is not news."""
    return re.sub(r"\b0x[0-9a-f]+\b|\b[0-9]+\b", "#", line.strip())


def lint(path: Path) -> list[str]:
    """Return the errors that eu-elflint finds."""
    done = run([tool("eu-elflint", "elfutils"), "--gnu-ld", path], check=False, merge=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    return [_plain(line.replace(str(path), "FILE")) for line in lines if line.strip() not in {"", "No errors"}]


def warnings(path: Path) -> list[str]:
    """Return the warnings and errors of GNU readelf."""
    options = ["-aW"] if path.stat().st_size <= _READELF_ALL else ["-hlSdVnW"]
    done = run([tool("readelf", "binutils"), *options, path], check=False, merge=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    return [_plain(line.replace(str(path), "FILE")) for line in lines if re.search(r"Warning:|Error:|<corrupt", line)]


def new_lines(before: list[str], after: list[str]) -> list[str]:
    """Return the lines that `after` has more often than `before`."""
    return sorted((Counter(after) - Counter(before)).elements())


def strip(name: str, subject: Subject, source: Path, target: Path) -> str:
    """Strip `source` into `target`; "" if that went well, else the program's complaint."""
    shutil.copy(source, target)
    target.chmod(0o755)
    if name == "strip":
        command = [tool(f"{MACHINES[subject.machine].prefix}strip"), "-s", target]
    elif name == "eu-strip":
        command = [tool("eu-strip", "elfutils"), target]
    else:
        command = [tool("llvm-strip", "llvm"), target]
    try:
        done = run(command, check=False, merge=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode:
        return (
            f"exit {done.returncode} "
            + done.stdout.decode(errors="replace").replace(str(target), "FILE").strip()[-200:]
        )
    return ""


def patch_again(source: Path, target: Path) -> str:
    """Let patchelf give `source` a longer RPATH; "" if it can."""
    shutil.copy(source, target)
    target.chmod(0o755)
    done = run([patchelf(), "--set-rpath", _LONGER, target], check=False, merge=True, timeout=120)
    return f"exit {done.returncode} {done.stdout.decode(errors='replace').strip()[-200:]}" if done.returncode else ""


@dataclass
class Baseline:
    """What is wrong with an original file already; `survives` maps a strip program or `patchelf` to a load's answer."""

    load: str
    lint: list[str]
    warnings: list[str]
    survives: dict[str, str]


@dataclass
class Verdict:
    """What became of one file under one editor.

    Attributes:
        subject: its name; `group`, `machine` as there.
        refused: the editor's error, or "".
        crashed: whether that was no refusal but a defect.
        holds: whether the file has what was asked for, and nothing else changed in its names.
        growth: bytes.
        seconds: of the edit.
        load: "" if it loads, or the original does not; else the loader's answer.
        lint, warnings: lines that the original did not have.
        survives: what a load says after each strip program and after patchelf, "" if all is well or the original
            fares no better.
        again: whether a second run changes nothing.
    """

    subject: str
    group: str
    machine: str
    size: int
    refused: str = ""
    crashed: bool = False
    holds: bool = True
    growth: int = 0
    seconds: float = 0.0
    load: str = ""
    loaded: bool = False
    lint: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    survives: dict[str, str] = field(default_factory=dict)
    again: bool = True

    @property
    def faults(self) -> list[str]:
        """Return every fault in words; empty for a good edit, and for a clean refusal."""
        found = []
        if self.crashed:
            found.append(f"crashed: {self.refused}")
        if not self.holds:
            found.append("is not what was asked for")
        if self.load:
            found.append(f"does not load: {self.load}")
        found += [f"lint: {line}" for line in self.lint]
        found += [f"readelf: {line}" for line in self.warnings]
        found += [f"after {name}: {text}" for name, text in self.survives.items() if text]
        if not self.again:
            found.append("a second run changes it again")
        return found


def _after(subject: Subject, source: Path, scratch: Path, names: Iterable[str]) -> dict[str, str]:
    """Return how a file fares after each strip program and after patchelf."""
    found = {}
    for name in names:
        failure = patch_again(source, scratch) if name == "patchelf" else strip(name, subject, source, scratch)
        found[name] = failure or load(subject, scratch)
        scratch.unlink(missing_ok=True)
    return found


def baseline(subject: Subject) -> Baseline:
    """Return how the original fares; kept in the cache by its path, size and time."""
    status = subject.path.stat()
    tools = [version_of(name) for name in ("eu-elflint", "readelf", "eu-strip", "llvm-strip")]
    code = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (Path(__file__), Path(loader.__file__))]
    key = json.dumps([str(subject.path), status.st_size, status.st_mtime_ns, repr(subject), tools, code])
    store = cache_root() / "baselines" / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".json")
    if store.is_file():
        return Baseline(**json.loads(store.read_text()))
    # Stripped copies are loaded from the original's folder name only where $ORIGIN does not matter; the folders that
    # it needs are in LD_LIBRARY_PATH.
    folder = cache_root() / "baselines"
    folder.mkdir(exist_ok=True)
    found = Baseline(load(subject, subject.path), lint(subject.path), warnings(subject.path), {})
    with tempfile.TemporaryDirectory() as made:
        found.survives = _after(subject, subject.path, Path(made, subject.path.name), (*STRIPPERS, "patchelf"))
    part = store.with_suffix(f".{threading.get_ident()}")
    part.write_text(json.dumps(asdict(found)))
    part.rename(store)
    return found


def _worse(before: str, after: str) -> str:
    """Return `after` if it is a failure that `before` was not, or a different success."""
    if not before.startswith("ok") or after == before:
        return ""
    return after


def judge(subject: Subject, editor: Editor, site: Site, data: bytes | None = None) -> Verdict:
    """Edit one file as a repair would, and try the result."""
    data = subject.path.read_bytes() if data is None else data
    verdict = Verdict(subject.name, subject.group, subject.machine, len(data))
    try:
        request = repair_request(subject, data, site)
    except ValueError:  # a file that nothing can be read of, here in order to be refused
        request = Request(RUNPATH, (), None)
    outcome = editor.edit(data, request)
    verdict.seconds = outcome.seconds
    if outcome.data is None:
        verdict.refused, verdict.crashed = outcome.error, not outcome.clean
        return verdict
    before = baseline(subject)
    label = f"{subject.name}-{editor.name}".replace("/", "_")
    name = subject.path.name if subject.kind == "program" else ""
    path = site.file(label, name)
    path.write_bytes(outcome.data)
    path.chmod(0o755)
    verdict.growth = len(outcome.data) - len(data)
    try:
        verdict.holds = request.holds(peek(data), peek(outcome.data))
    except ValueError:
        verdict.holds = False
    answer = load(subject, path)
    verdict.loaded = before.load.startswith("ok")
    verdict.load = _worse(before.load, answer)
    verdict.lint = new_lines(before.lint, lint(path))
    verdict.warnings = new_lines(before.warnings, warnings(path))
    names = [name for name, result in before.survives.items() if result.startswith("ok")]
    for later, result in _after(subject, path, site.file(label + ".scratch", name), names).items():
        verdict.survives[later] = _worse(before.survives[later], result)
    second = editor.edit(outcome.data, request)
    verdict.again = second.data == outcome.data
    path.unlink()
    return verdict
