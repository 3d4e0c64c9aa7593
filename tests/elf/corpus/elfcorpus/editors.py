"""The editors under test, behind one face: fastwheel's two engines, patchelf, LIEF."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .downloads import patchelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastwheel._elf.model import Edit

    from .operation import Request

__all__ = ["Editor", "Fastwheel", "Lief", "Outcome", "Patchelf", "editor", "fastwheel_engines", "wish_editor"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an editor made of a file.

    Attributes:
        data: the new file, or None.
        error: why there is none: a code of fastwheel's table, or the last line of a program's error.
        clean: whether an error was a refusal, and not a crash or a broken post-condition.
        seconds: of the edit alone, for fastwheel; of the program's run, for the others.
    """

    data: bytes | None
    error: str = ""
    clean: bool = True
    seconds: float = 0.0


class Editor(Protocol):
    """Something that edits ELF files."""

    name: str

    def edit(self, data: bytes, request: Request) -> Outcome:
        """Edit a file; never raises."""


class Fastwheel:
    """fastwheel, by one of its engines."""

    def __init__(self, engine: str) -> None:
        self.name = f"fastwheel-{engine}"
        self._engine = engine

    def function(self) -> Callable[[bytes, Edit], bytes]:
        """Return the engine's own function."""
        if self._engine == "python":
            from fastwheel._elf import edit
        else:
            from fastwheel.engine import edit
        return edit

    def edit(self, data: bytes, request: Request) -> Outcome:
        from fastwheel._elf.model import Edit
        from fastwheel.errors import ElfError

        wanted = Edit(soname=request.soname, runpath=request.runpath, replace_needed=request.renames)
        start = time.perf_counter()
        try:
            out = self.function()(data, wanted)
        except ElfError as error:
            clean = error.exit_status != 70
            return Outcome(None, f"{error.code} {error.message}", clean, time.perf_counter() - start)
        except Exception as error:  # whatever it is, it is a defect of the engine
            return Outcome(None, f"{type(error).__name__}: {error}", clean=False)
        return Outcome(bytes(out), seconds=time.perf_counter() - start)


class _Program(ABC):
    """An editor that is run as a program on a copy of the file."""

    name = ""

    @abstractmethod
    def command(self, source: Path, target: Path, request: Request) -> list[str]:
        """Return the command line that makes `target` of `source`."""

    def edit(self, data: bytes, request: Request) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.write_bytes(data)
            command = self.command(source, target, request)
            start = time.perf_counter()
            try:
                done = subprocess.run(command, capture_output=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                return Outcome(None, "timeout", clean=False)
            seconds = time.perf_counter() - start
            if done.returncode or not target.is_file():
                lines = done.stderr.decode(errors="replace").strip().splitlines()
                return Outcome(None, lines[-1] if lines else "?", done.returncode > 0, seconds)
            if done.stdout.startswith(b"seconds "):
                seconds = float(done.stdout.split()[1])
            return Outcome(target.read_bytes(), seconds=seconds)


class Patchelf(_Program):
    """patchelf 0.19.3, all of the edit in one call."""

    name = "patchelf"

    def command(self, source: Path, target: Path, request: Request) -> list[str]:
        options = ["--set-rpath", request.runpath]
        if request.soname:
            options += ["--set-soname", request.soname]
        for old, new in request.renames:
            options += ["--replace-needed", old, new]
        return [str(patchelf()), *options, "--output", str(target), str(source)]


class Lief(_Program):
    """LIEF, in a process of its own: it may crash. Its start is not part of the time."""

    name = "LIEF"

    def command(self, source: Path, target: Path, request: Request) -> list[str]:
        script = (
            "import sys, time, lief; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
            "from elfcorpus.shapes_patched import lief_edit;"
            "a = sys.argv[2:]; t = time.perf_counter();"
            "lief_edit(Path(a[0]), Path(a[1]), a[2], dict(zip(a[4::2], a[5::2])), a[3] or None);"
            "print('seconds', time.perf_counter() - t)"
        )
        names = [name for pair in request.renames for name in pair]
        here = str(Path(__file__).parent.parent)
        files = [str(source), str(target)]
        return [sys.executable, "-c", script, here, *files, request.runpath, request.soname or "", *names]


def fastwheel_engines() -> list[str]:
    """Return the engines that are there."""
    import fastwheel._elf

    found = ["python"] if callable(getattr(fastwheel._elf, "edit", None)) else []
    if importlib.util.find_spec("fastwheel._core"):
        from fastwheel import _core, engine

        found += ["rust"] if engine.name() == "rust" and hasattr(_core, "edit") else []
    return found


def editor(name: str) -> Editor:
    """Return an editor by name: patchelf, LIEF, fastwheel-python, fastwheel-rust."""
    others: dict[str, type[Patchelf | Lief]] = {"patchelf": Patchelf, "LIEF": Lief}
    return others[name]() if name in others else Fastwheel(name.removeprefix("fastwheel-"))


def wish_editor(name: str, data: bytes, wish: dict[str, object]) -> bytes | str:
    """Edit with one of fastwheel's engines, `wish` the fields of an `Edit`; return the file, or the error's text."""
    from fastwheel._elf.model import Edit
    from fastwheel.errors import ElfError

    engine = Fastwheel(name.removeprefix("fastwheel-"))
    try:
        return bytes(engine.function()(data, Edit(**wish)))  # type: ignore[arg-type]
    except ElfError as error:
        return f"{error.code} {error.message}"
