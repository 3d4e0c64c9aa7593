"""Real packages, built here against Debian's libraries, repaired, and used where those libraries do not exist."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Wheel = Callable[[str], Path]

# After the program: the shared libraries that the process has mapped, on the last line.
MAPS = """
import json
with open("/proc/self/maps") as maps:
    paths = {line.split(None, 5)[5].strip() for line in maps if line.count("/") and ".so" in line}
print(json.dumps(sorted(paths)))
"""


@pytest.fixture(scope="session")
def program(repository: Path) -> Callable[[str], str]:
    """A function: the name of a package ↦ a program that makes real use of it."""
    return lambda name: (repository / "tests" / "e2e" / "programs" / f"{name}.py").read_text()


@pytest.fixture(scope="session")
def glibc() -> re.Pattern[str]:
    """Names of the files that come with the C library."""
    return re.compile(r"ld-linux.*|lib(c|m|dl|pthread|rt|util|resolv|anl|nsl|mvec|nss_\w+|thread_db)\.so\.\d+")


def test_the_program_itself_works(
    real_package: str, built_wheel: Wheel, installed: Callable[[Path], Path], command: Run, program: Any
) -> None:
    """On the build machine the wheel works as built: what fails below fails for want of libraries."""
    environment = installed(built_wheel(real_package))
    command(environment / "bin" / "python", "-I", "-c", program(real_package))


def test_as_built_the_loader_misses_a_library(
    real_package: str,
    built_wheel: Wheel,
    installed: Callable[[Path], Path],
    clean_root: Run,
    program: Any,
    sources: Any,
) -> None:
    done = clean_root(installed(built_wheel(real_package)), "-I", "-c", program(real_package), check=False)
    assert done.returncode == 1
    missing = re.search(r"ImportError: (\S+): cannot open shared object file", done.stderr)
    assert missing is not None, done.stderr
    assert missing[1] in sources[real_package].wants


def test_repaired_it_works_without_the_libraries(
    real_package: str,
    repaired_wheel: Wheel,
    installed: Callable[[Path], Path],
    clean_root: Run,
    program: Any,
    allowlist: frozenset[str],
    glibc: re.Pattern[str],
) -> None:
    environment = installed(repaired_wheel(real_package))
    done = clean_root(environment, "-I", "-c", program(real_package) + MAPS)
    *printed, mapped = done.stdout.splitlines()
    if real_package == "example-pkg":
        assert printed == ["130.0"]
    grafts = set()
    for path in map(Path, json.loads(mapped)):
        if path.is_relative_to(environment):
            grafts |= {path.name} if path.parent.name.endswith(".libs") else set()
        else:
            promised = path.name in allowlist or glibc.fullmatch(path.name) or path.parent.name == "gconv"
            python = path.name.startswith("libpython") or "lib-dynload" in path.parts
            assert promised or python, f"{path} is neither in the wheel nor on the allowlist"
    assert grafts, "no grafted library was loaded"


def test_the_loader_finds_every_graft_in_the_wheel(
    real_package: str,
    repaired_wheel: Wheel,
    installed: Callable[[Path], Path],
    command: Run,
    allowlist: frozenset[str],
    glibc: re.Pattern[str],
) -> None:
    """With all libraries of the build machine in reach, those of the wheel are taken, and only what is not promised."""
    environment = installed(repaired_wheel(real_package))
    (libs,) = environment.glob("lib/python*/site-packages/*.libs")
    members = [path for path in environment.glob("lib/python*/site-packages/**/*") if ".so" in path.name]
    assert {path.parent for path in members} > {libs}
    for member in members:
        listing = command("ldd", member).stdout
        assert "not found" not in listing, f"{member}:\n{listing}"
        for name, path in re.findall(r"^\s*(\S+) => (/\S+) \(0x", listing, re.MULTILINE):
            inside = Path(path).resolve().parent == libs.resolve()
            assert inside or name in allowlist or glibc.fullmatch(name), f"{member} takes {name} from {path}"
    for graft in libs.iterdir():
        assert re.search(r"-[0-9a-f]{8}(\.|$)", graft.name), f"no hash in {graft.name}"
        original = re.sub(r"-[0-9a-f]{8}(?=\.|$)", "", graft.name)
        assert not any(original == name or original.startswith(f"{name}.") for name in allowlist), graft.name


@pytest.mark.xdist_group("example-pkg")
def test_the_example_brings_openblas_and_what_it_needs(
    built_wheel: Wheel,
    repaired_wheel: Wheel,
    installed: Callable[[Path], Path],
    command: Run,
    allowlist: frozenset[str],
    glibc: re.Pattern[str],
) -> None:
    """The three of the walkthrough: OpenBLAS, gfortran, and quadmath where gfortran needs it (before GCC 14)."""

    def resolved(wheel: Path) -> tuple[Path, dict[str, Path]]:
        (extension,) = installed(wheel).glob("lib/python*/site-packages/example_pkg/ddot.*.so")
        listing = command("ldd", extension).stdout
        found = re.findall(r"^\s*(\S+) => (/\S+) \(0x", listing, re.MULTILINE)
        return extension, {name: Path(path).resolve() for name, path in found}

    _, before = resolved(built_wheel("example-pkg"))
    extension, after = resolved(repaired_wheel("example-pkg"))
    outside = {name: path for name, path in before.items() if name not in allowlist and not glibc.fullmatch(name)}
    assert (
        {"libopenblas.so.0", "libgfortran.so.5"}
        <= set(outside)
        <= {"libopenblas.so.0", "libgfortran.so.5", "libquadmath.so.0"}
    )

    libs = (extension.parent.parent / "example_pkg.libs").resolve()
    grafts = {}
    for path in outside.values():
        stem, _, rest = path.name.partition(".")
        grafts[f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.{rest}"] = path
    assert {path.name for path in libs.iterdir()} == set(grafts)
    assert {name: after[name] for name in grafts} == {name: libs / name for name in grafts}
    assert not set(outside) & set(after)
