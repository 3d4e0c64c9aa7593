"""What a release consists of, built by `.ci/release` as the workflow does; kept between runs while sources stay."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]

#: What of the source distribution decides what a wheel holds.
COMPILED = (
    "python/",
    "rust/",
    "Cargo",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "THIRD-PARTY",
    ".ci/release",
    "PKG-INFO",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all that needs a build in one process: the builds are one after the other anyway."""
    for item in items:
        if TOP / "tests/release" in item.path.parents and {"sdist", "wheels"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("release"))


def _release(*arguments: str | Path, top: Path = TOP) -> str:
    line = [sys.executable, str(top / ".ci/release"), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, f"{line} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def release() -> Callable[..., str]:
    """A function that runs `.ci/release` of a checkout and returns what it prints."""
    return _release


@pytest.fixture(scope="session")
def cache() -> Path:
    """The folder for what is kept between runs, that of the top `conftest.py`."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastwheel-tests"
    folder = Path(os.environ.get("FASTWHEEL_TEST_CACHE") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the checkout as it is now."""
    folder = tmp_path_factory.mktemp("sdist")
    _release("--out", folder, "--work", folder / "work", "sdist")
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def kept(sdist: Path, cache: Path) -> Callable[[str, Callable[[Path], None]], Path]:
    """A function: a name and what fills a folder ↦ that folder, filled once for the sources and tools of now."""
    key = hashlib.sha256()
    with tarfile.open(sdist) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            name = member.name.partition("/")[2]
            if member.isfile() and name.startswith(COMPILED):
                content = archive.extractfile(member)
                assert content is not None
                key.update(name.encode() + b"\0" + hashlib.sha256(content.read()).digest())
    key.update(subprocess.run(["rustc", "-vV"], check=True, capture_output=True).stdout)
    key.update(sys.version.encode())

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        path = cache / f"{name}-{key.hexdigest()[:16]}"
        with locked(cache / f"{name}.lock"):
            if not path.is_dir():
                scratch = path.with_suffix(".new")
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                fill(scratch)
                for stale in cache.glob(f"{name}-{'[0-9a-f]' * 16}*"):
                    if stale != scratch:
                        shutil.rmtree(stale)
                scratch.rename(path)
        return path

    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Several pytest processes, one build: the others wait for it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def wheels(kept: Callable[[str, Callable[[Path], None]], Path], cache: Path) -> dict[str, Path]:
    """The wheels that `.ci/release` makes by default: `binary` (manylinux, x86_64) and `pure`."""
    folder = kept(
        "release", lambda out: _release("--out", out, "--work", cache / "release.work", "manylinux-x86_64", "pure")
    )
    (binary,) = folder.glob("*-cp310-abi3-*.whl")
    (pure,) = folder.glob("*-py3-none-any.whl")
    return {"binary": binary, "pure": pure}


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function: a wheel ↦ the `bin` folder of a new virtual environment with it and what it requires."""

    def make(wheel: Path) -> Path:
        folder = tmp_path_factory.mktemp("venv")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        line = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin/python"]
        subprocess.run([*line, "install", "--quiet", wheel], check=True)
        return folder / "bin"

    return make


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a program without anything of the tests' own Python in its environment."""

    def go(*line: str | Path, check: bool = True, **settings: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FASTWHEEL_", "PYTHON"))}
        done = subprocess.run([str(part) for part in line], capture_output=True, text=True, env=env | settings)
        assert not check or done.returncode == 0, f"{line} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    return go
