"""Loading and running files for real: a fork server around dlopen() per machine, and programs under qemu-user."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .subject import MACHINES, Subject
from .tools import SOURCES, cached, run, tool, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Server", "close_servers", "libpython", "load", "program_output", "server_program"]


def libpython() -> Path:
    """Return a shared libpython 3.11: extension modules find its symbols in the process."""
    own = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "-")
    if sys.version_info[:2] == (3, 11) and own.name.startswith("libpython3.11.so") and own.is_file():
        return own
    debian = Path("/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0")
    if not debian.is_file():
        raise FileNotFoundError(f"{debian} (Debian package libpython3.11)")
    return debian


def server_program(machine: str) -> Path:
    """Return the fork server, built for a machine."""
    compiler = "musl-gcc" if machine == "x86_64-musl" else f"{MACHINES[machine].prefix}gcc"
    source = SOURCES / "loader.c"

    def build(folder: Path) -> None:
        run([tool(compiler), "-O1", source, "-o", folder / "loader", *([] if "musl" in compiler else ["-ldl"])])

    return cached(f"loader-{machine}", [source.read_text(), version_of(compiler)], build) / "loader"


def _environment(library_path: Sequence[Path]) -> dict[str, str]:
    """Return an environment in which no library is preloaded or traced; those of Debian do not look at a display."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "DISPLAY", "PYTHON"))}
    env["LC_ALL"] = "C"
    if library_path:
        env["LD_LIBRARY_PATH"] = ":".join(map(str, library_path))
    return env


class Server:
    """A running fork server; `load` may be called from several threads."""

    def __init__(
        self,
        machine: str = "x86_64",
        library_path: Sequence[Path] = (),
        *,
        preload: Path | None = None,
        probe: bool = False,
        unload: bool = True,
        seconds: int = 20,
        memory: int = 0,
    ) -> None:
        emulator = list(MACHINES[machine].emulator)
        if library_path and emulator:
            emulator += ["-E", "LD_LIBRARY_PATH=" + ":".join(map(str, library_path))]
            library_path = ()
        options = ["-t", str(seconds), "-m", str(memory)]
        if preload:
            options += ["-p", str(preload)]
        if probe:
            options += ["-c", "-u"] if unload else ["-c"]
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [*emulator, str(server_program(machine)), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(library_path),
        )

    def load(self, path: Path) -> str:
        """Load one file; the answer is one of those that loader.c lists."""
        with self._lock:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(os.fsencode(path) + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().decode(errors="replace").strip()
        if not answer:
            raise RuntimeError(f"the loader's server died at {path}")
        return answer.replace(str(path), "FILE")

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


_servers: dict[tuple[object, ...], Server] = {}
_servers_lock = threading.Lock()


def _server(subject: Subject) -> Server:
    """Return the server for a subject, one per thread and kind."""
    key = (threading.get_ident(), subject.machine, subject.library_path, subject.probe)
    with _servers_lock:
        if key not in _servers:
            real = subject.group in {"debian", "pypi"}
            _servers[key] = Server(
                subject.machine,
                subject.library_path,
                preload=libpython() if real else None,
                probe=subject.probe,
            )
        return _servers[key]


def close_servers() -> None:
    """End every server that `load` has started."""
    with _servers_lock:
        while _servers:
            _servers.popitem()[1].close()


def load(subject: Subject, path: Path) -> str:
    """Load or run `path` as `subject` would be; an answer that begins with `ok` is a success."""
    if subject.kind == "static":
        return "ok -"
    if subject.kind == "program":
        return program_output(subject, path)
    return _server(subject).load(path)


def program_output(subject: Subject, path: Path) -> str:
    """Run a program and return its exit status and what it printed."""
    command = [*MACHINES[subject.machine].emulator]
    env = _environment(() if command else subject.library_path)
    if command and subject.library_path:
        command += ["-E", "LD_LIBRARY_PATH=" + ":".join(map(str, subject.library_path))]
    return _run([*command, str(path), *subject.arguments], env)


def _run(command: list[str], env: Mapping[str, str]) -> str:
    for attempt in range(20):
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env=dict(env), check=False
            )
            break
        except subprocess.TimeoutExpired:
            return "timeout"
        except OSError as error:
            # Another thread has just forked, and its child still holds the file open that was written here.
            if error.errno != errno.ETXTBSY or attempt == 19:
                return f"error {error.strerror}"
            time.sleep(0.05)
    # A program may print its own path, and folders beside it.
    text = re.sub(r"/\S+", "FILE", (done.stderr if done.returncode else done.stdout).decode(errors="replace"))
    return f"exit {done.returncode} {text}" if done.returncode else f"ok {text}"
