"""Programs of the machine: found by name or named in the error, run with a time limit."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["SOURCES", "cache_root", "cached", "run", "tool", "version_of"]

#: The C, C++, Rust and Go sources that shapes are built from.
SOURCES = Path(__file__).parent / "sources"


@functools.cache
def cache_root() -> Path:
    """Return the folder that keeps built and downloaded files between runs."""
    own = os.environ.get("FASTWHEEL_TEST_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(own) if own else base / "fastwheel-tests"
    root.mkdir(parents=True, exist_ok=True)
    return root


@functools.cache
def tool(name: str, package: str = "") -> str:
    """Return the path of a program; a missing one is an error that names its Debian package."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed (Debian package {package or name})")
    return found


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    check: bool = True,
    merge: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in the C locale; `env` adds to the environment, `merge` sends stderr to stdout."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        text = (done.stderr or b"")[-3000:].decode(errors="replace") + done.stdout[-1000:].decode(errors="replace")
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{text}")
    return done


@functools.cache
def version_of(name: str) -> str:
    """Return what tells one version of a program from another: its path, size and time."""
    path = Path(tool(name)).resolve()
    status = path.stat()
    return f"{path}:{status.st_size}:{int(status.st_mtime)}"


def cached(name: str, key: Sequence[str], build: Callable[[Path], None]) -> Path:
    """Return the folder `name-<hash of key>` of the cache, made by `build(folder)` if it is not there yet.

    The folder appears whole or not at all: it is built under another name and then renamed.
    """
    digest = hashlib.sha256("\0".join((name, *key)).encode()).hexdigest()[:16]
    target = cache_root() / f"{name}-{digest}"
    if target.is_dir():
        return target
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_root()))
    try:
        build(work)
        work.chmod(0o755)
        try:
            work.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target
