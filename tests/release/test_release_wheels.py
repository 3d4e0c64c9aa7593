"""The wheels of a release: what they promise, what is in them, and that they work where only they are installed."""

from __future__ import annotations

import email
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Wheels = dict[str, Path]
KINDS = ("binary", "pure")

#: Bytes. What the extension module weighs is what everybody downloads; a new dependency shows here.
LARGEST_EXTENSION = 2_500_000


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def info(wheel: Path) -> str:
    """Return the name of a wheel's `.dist-info` folder."""
    return "-".join(wheel.name.split("-")[:2]) + ".dist-info"


# ---- What they say


def test_names(wheels: Wheels) -> None:
    assert re.fullmatch(
        r"fastwheel-[\d.]+-cp310-abi3-manylinux2014_x86_64\.manylinux_2_17_x86_64\.whl", wheels["binary"].name
    )
    assert re.fullmatch(r"fastwheel-[\d.]+-py3-none-any\.whl", wheels["pure"].name)


def test_auditwheel_agrees_with_the_tag(wheels: Wheels, command: Run) -> None:
    said = command("auditwheel", "show", wheels["binary"]).stdout
    said = " ".join(said.split())
    assert 'consistent with the following platform tag: "manylinux_2_17_x86_64"' in said


def test_fastwheel_agrees_with_the_tag(wheels: Wheels, command: Run) -> None:
    said = json.loads(command("fastwheel", "show", "--json", wheels["binary"]).stdout)
    assert said["overall_tag"] == "manylinux_2_17_x86_64", said
    assert not said["external_libs"], said


def test_fastwheel_proves_that_it_loads(wheels: Wheels, command: Run) -> None:
    """Also with the oldest glibc that the tag names: no symbol that came later."""
    said = json.loads(command("fastwheel", "verify", "--strict", "--json", wheels["binary"], check=False).stdout)
    assert said["wheels"][0]["proved"], said["wheels"][0]["findings"]


def test_the_extension_needs_the_c_library_only(wheels: Wheels, command: Run, tmp_path: Path) -> None:
    module = tmp_path / "_core.so"
    module.write_bytes(contents(wheels["binary"])["fastwheel/_core.abi3.so"])
    facts = json.loads(command("fastwheel", "patch", "--print", "--json", module).stdout)
    own = {"libc.so.6", "libdl.so.2", "libpthread.so.0", "libm.so.6", "librt.so.1", "libutil.so.1"}
    assert set(facts["needed"]) <= own | {"ld-linux-x86-64.so.2"}
    assert not facts["rpath"]
    assert not facts["runpath"]
    assert module.stat().st_size < LARGEST_EXTENSION


@pytest.mark.parametrize("kind", KINDS)
def test_metadata(wheels: Wheels, kind: str, repository: Path) -> None:
    files = contents(wheels[kind])
    metadata = email.message_from_bytes(files[f"{info(wheels[kind])}/METADATA"])
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    licences = metadata.get_all("License-File")
    assert set(licences) == {"LICENSE", "THIRD-PARTY-LICENSES.txt"}
    for name in licences:
        assert files[f"{info(wheels[kind])}/licenses/{name}"] == (repository / name).read_bytes()
    assert {line.split(",")[0] for line in metadata.get_all("Project-URL")} >= {"Source", "Documentation", "Changelog"}
    assert not [line for line in metadata.get_all("Classifier") if line.startswith("License ::")]  # PEP 639
    links = re.findall(r"\]\(([^)\s]+)\)", metadata.get_payload())
    assert links
    assert all(link.startswith("https://") for link in links), links


def test_licences_of_what_is_compiled_in(repository: Path) -> None:
    """Those of the crates that Cargo.lock names now."""
    done = subprocess.run([sys.executable, repository / ".ci/notices", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_index_takes_them(wheels: Wheels, sdist: Path, command: Run) -> None:
    said = command("twine", "check", "--strict", sdist, *wheels.values()).stdout
    assert said.count("PASSED") == 3


def test_the_pure_wheel_is_the_binary_one_less_what_is_compiled(wheels: Wheels) -> None:
    binary, pure = contents(wheels["binary"]), contents(wheels["pure"])
    folder = info(wheels["pure"])
    changed = {f"{folder}/WHEEL", f"{folder}/RECORD"}
    assert {name: pure[name] for name in pure.keys() - changed} == {
        name: content
        for name, content in binary.items()
        if name not in changed and not name.startswith(("fastwheel/_core.", f"{folder}/sboms/"))
    }
    assert b"Root-Is-Purelib: true\nTag: py3-none-any\n" in pure[f"{folder}/WHEEL"]
    assert not [name for name in pure if name.endswith((".so", ".pyi"))]
    assert "fastwheel/py.typed" in pure


@pytest.mark.parametrize("kind", KINDS)
def test_record_holds(wheels: Wheels, kind: str) -> None:
    """By the reference implementation of installing."""
    from installer.sources import WheelFile

    with WheelFile.open(wheels[kind]) as source:
        source.validate_record(validate_contents=True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_tells_where_it_was_built(wheels: Wheels, kind: str, repository: Path) -> None:
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    folders = (Path.home(), repository, cargo, Path(sys.prefix), Path(tempfile.gettempdir()), Path("/home"))
    for name, content in contents(wheels[kind]).items():
        if name.endswith(".so") or ".dist-info/" in name:
            found = [str(folder) for folder in folders if f"{folder}/".encode() in content]
            found += re.findall(rb"file:///(?!fastwheel/)[^\"]*|registry/src", content)
            assert not found, f"{name}: {found}"


# ---- That they work


def test_pip_prefers_the_binary_wheel(wheels: Wheels, tmp_path: Path, run: Run) -> None:
    line = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    line += ["--find-links", wheels["binary"].parent]

    def got(name: str, *options: str) -> str:
        run(*line, "--dest", tmp_path / name, *options, "fastwheel")
        (path,) = (tmp_path / name).iterdir()
        return path.name

    assert got("here") == wheels["binary"].name
    for platform in ("win_amd64", "macosx_11_0_arm64", "musllinux_1_2_x86_64", "manylinux_2_36_loongarch64"):
        options = ("--platform", platform, "--python-version", "3.12", "--only-binary", ":all:")
        assert got(platform, *options) == wheels["pure"].name


@pytest.fixture(scope="module")
def repaired_by(
    wheels: Wheels,
    venv: Callable[[Path], Path],
    built_wheel: Callable[[str], Path],
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[str, Path]]:
    """A function: a kind ↦ what that wheel, alone in an environment, calls itself, and its repair of the example."""
    done: dict[str, tuple[str, Path]] = {}

    def repair(kind: str) -> tuple[str, Path]:
        if kind not in done:
            programs, out = venv(wheels[kind]), tmp_path_factory.mktemp(kind)
            run(programs / "fastwheel", "repair", "-w", out, built_wheel("example-pkg"))
            (wheel,) = out.iterdir()
            done[kind] = run(programs / "fastwheel", "--version").stdout, wheel
        return done[kind]

    return repair


@pytest.mark.parametrize(("kind", "engine"), [("binary", "rust"), ("pure", "python")])
def test_it_repairs_in_a_fresh_environment(
    kind: str, engine: str, repaired_by: Callable[[str], tuple[str, Path]], repaired_wheel: Callable[[str], Path]
) -> None:
    said, wheel = repaired_by(kind)
    assert f"({engine} engine)" in said
    assert wheel.name == repaired_wheel("example-pkg").name
    assert contents(wheel) == contents(repaired_wheel("example-pkg"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_imports_nothing_that_it_does_not_require(
    kind: str, wheels: Wheels, venv: Callable[[Path], Path], run: Run
) -> None:
    """Every module, with nothing but the requirements of the wheel there."""
    program = (
        "import importlib, pkgutil, fastwheel\n"
        "names = [m.name for m in pkgutil.walk_packages(fastwheel.__path__, 'fastwheel.')]\n"
        "[importlib.import_module(name) for name in names if not name.endswith('__main__')]\n"
        "print(len(names))\n"
    )
    assert int(run(venv(wheels[kind]) / "python", "-W", "error", "-c", program).stdout) > 50


# ---- Again, and from the source distribution


def test_two_builds_are_identical(
    wheels: Wheels,
    sdist: Path,
    release: Callable[..., str],
    kept: Callable[[str, Callable[[Path], None]], Path],
    tmp_path: Path,
) -> None:
    """From another folder, with nothing kept of an earlier build: the same bytes."""

    def again(out: Path) -> None:
        top = tmp_path / "sou rce"
        top.mkdir()
        subprocess.run(["tar", "-xzf", sdist, "-C", top, "--strip-components", "1"], check=True)
        release("--out", out, "--work", tmp_path / "a b", "sdist", "manylinux-x86_64", "pure", top=top)
        for path in out.glob("*.tar.gz"):
            assert digest(path) == digest(sdist), "the source distribution made of itself differs"

    folder = kept("release-again", again)
    for wheel in wheels.values():
        assert digest(folder / wheel.name) == digest(wheel), wheel.name


def digest(path: Path) -> str:
    """What stands for a file: pytest would look for hours for where two contents of megabytes differ."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def as_built(sdist: Path, kept: Callable[[str, Callable[[Path], None]], Path], cache: Path, run: Run) -> Path:
    """The wheel that pip makes of the source distribution, with this machine's compiler and tag."""

    def build(out: Path) -> None:
        # All files of the archive are of one time: cargo would take another version of them for what it has built.
        for stale in (cache / "sdist.target").glob("*/.fingerprint/fastwheel-*"):
            shutil.rmtree(stale)
        line = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        run(*line, "--no-cache-dir", "--wheel-dir", out, sdist, CARGO_TARGET_DIR=str(cache / "sdist.target"))

    (wheel,) = kept("release-sdist", build).iterdir()
    return wheel


def test_the_source_distribution_builds(as_built: Path, wheels: Wheels) -> None:
    assert re.search(r"-cp310-abi3-linux_\w+\.whl$", as_built.name)
    assert contents(as_built).keys() == contents(wheels["binary"]).keys()


def test_fastwheel_repairs_its_own_wheel(
    as_built: Path, venv: Callable[[Path], Path], command: Run, run: Run, tmp_path: Path
) -> None:
    command("fastwheel", "repair", "-w", tmp_path / "out", as_built)
    (repaired,) = (tmp_path / "out").iterdir()
    assert "manylinux" in repaired.name
    assert "rust" in run(venv(repaired) / "fastwheel", "--version").stdout


def test_the_source_distribution_has_the_tests(sdist: Path, repository: Path) -> None:
    listing = ["git", "-c", "safe.directory=*", "-C", repository, "ls-files"]
    tracked = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
    held = subprocess.run(["tar", "-tzf", sdist], check=True, capture_output=True, text=True).stdout.split()
    names = {name.partition("/")[2] for name in held}
    assert {name for name in tracked if (repository / name).is_file()} - names == set()
    assert not [name for name in names if "__pycache__" in name or "/target/" in name or name.endswith(".so")]
