"""Where the benchmark keeps what it downloads, builds and generates, and how it gets it."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from wheelbench import unrepair as unrepair_module
from wheelbench.unrepair import unrepair

__all__ = ["REPOSITORY", "built", "cached", "download", "programs", "root", "taken_apart"]

REPOSITORY = Path(__file__).resolve().parents[3]


def root() -> Path:
    """Return the folder of the cache, which is made if need be."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastwheel-tests"
    folder = Path(os.environ.get("FASTWHEEL_TEST_CACHE") or default) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(name: str, key: tuple[str, ...], build: Callable[[Path], None]) -> Path:
    """Return the folder `name-<hash of key>` of the cache, made by `build(folder)`; it appears whole or not at all."""
    top = root()
    target = top / f"{name}-{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:16]}"
    if not target.is_dir():
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=top))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


@functools.cache
def _conftest() -> ModuleType:
    """The helpers that all tests share."""
    spec = importlib.util.spec_from_file_location("fastwheel_tests", REPOSITORY / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def built(name: str) -> Path:
    """Return the wheel of a package built from source on this machine, one of those that all tests share."""
    shared = _conftest()
    wheel = shared.built(shared.SOURCES[name])
    assert isinstance(wheel, Path)
    return wheel


def download(requirement: str, python: str | None = None) -> Path:
    """Return a wheel of PyPI for x86-64, of this Python or of another (`3.12`), downloaded at the first call."""
    python = python or f"{sys.version_info[0]}.{sys.version_info[1]}"

    def build(folder: Path) -> None:
        line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        line += ["--only-binary=:all:", f"--python-version={python}"]
        line += [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "2014")]
        done = subprocess.run([*line, "--dest", str(folder), requirement], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pip could not download {requirement}:\n{done.stdout}{done.stderr}")

    (wheel,) = cached(f"pypi-{requirement.partition('==')[0]}", (requirement, python), build).iterdir()
    return wheel


def taken_apart(wheels: tuple[Path, ...]) -> tuple[tuple[Path, ...], Path]:
    """Return repaired wheels without their grafts, and the folder of the grafts."""
    recipe = hashlib.sha256(Path(unrepair_module.__file__ or "").read_bytes()).hexdigest()

    def build(folder: Path) -> None:
        for wheel in wheels:
            unrepair(wheel, folder / "wheels", folder / "libraries")

    key = (recipe, *(f"{wheel.name} {wheel.stat().st_size}" for wheel in wheels))
    folder = cached(f"unrepaired-{wheels[0].name.partition('-')[0]}", key, build)
    return tuple(sorted((folder / "wheels").iterdir())), folder / "libraries"


@functools.cache
def programs() -> Path:
    """Return the folder of the programs `floor` and `measure`, built if need be.

    Raises:
        RuntimeError: cargo could not build them.
    """
    target = REPOSITORY / "target" / "bench"
    line = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", str(target)]
    path = f"{os.environ['PATH']}{os.pathsep}{Path.home() / '.cargo' / 'bin'}"
    folder = REPOSITORY / "tests" / "bench" / "floor"
    done = subprocess.run(line, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cargo could not build the floor program:\n{done.stderr}")
    return target / "release"
