"""`fastwheel patch`: the patchelf of this tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def patch(*args: object) -> subprocess.CompletedProcess[str]:
    """Run `fastwheel patch`."""
    command = [sys.executable, "-m", "fastwheel", "patch", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def dynamic(path: Path) -> dict[str, list[str]]:
    """What readelf says of the dynamic section, by tag."""
    text = subprocess.run(["readelf", "-dW", str(path)], capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "[" in line and "(" in line:
            tag = line.split("(")[1].split(")")[0]
            found.setdefault(tag, []).append(line.split("[")[1].split("]")[0])
    return found


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A small library that needs libz and libm."""
    path = tmp_path / "libthing.so.1"
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-x",
        "c",
        "-",
        "-o",
        str(path),
        "-Wl,--no-as-needed",
        "-Wl,-soname,libthing.so.1",
    ]
    subprocess.run([*command, "-lz", "-lm"], input=b"int thing(void) { return 7; }", check=True)
    path.chmod(0o750)
    return path


def test_every_operation(library: Path) -> None:
    ran = patch(
        library, "--set-soname", "libother.so.2", "--set-runpath", "$ORIGIN/../lib", "--add-needed", "libnew.so.1",
        "--add-needed", "libnewer.so.1", "--remove-needed", "libm.so.6", "--replace-needed", "libz.so.1", "libz-1.so",
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    entries = dynamic(library)
    assert entries["SONAME"] == ["libother.so.2"]
    assert entries["RUNPATH"] == ["$ORIGIN/../lib"]
    assert entries["NEEDED"] == ["libz-1.so", "libc.so.6", "libnew.so.1", "libnewer.so.1"]
    assert library.stat().st_mode & 0o777 == 0o750
    assert list(library.parent.iterdir()) == [library]


def test_rpath_and_runpath_replace_each_other(library: Path) -> None:
    assert patch(library, "--set-rpath", "/a").returncode == 0
    assert "RUNPATH" not in dynamic(library)
    assert patch(library, "--set-runpath", "/b").returncode == 0
    assert "RPATH" not in dynamic(library)
    assert patch(library, "--remove-rpath").returncode == 0
    assert not {"RPATH", "RUNPATH"} & set(dynamic(library))


def test_output_leaves_the_input_alone(library: Path, tmp_path: Path) -> None:
    before = library.read_bytes()
    target = tmp_path / "out.so"
    assert patch(library, "-o", target, "--set-soname", "x.so").returncode == 0
    assert library.read_bytes() == before
    assert dynamic(target)["SONAME"] == ["x.so"]


def test_nothing_to_change_touches_nothing(library: Path) -> None:
    os.utime(library, (1, 1))
    assert patch(library, "--set-soname", "libthing.so.1").returncode == 0
    assert library.stat().st_mtime == 1


def test_link_is_followed_and_hard_link_broken(library: Path, tmp_path: Path) -> None:
    link, hard = tmp_path / "link.so", tmp_path / "hard.so"
    link.symlink_to(library.name)
    hard.hardlink_to(library)
    before = hard.read_bytes()
    assert patch(link, "--set-soname", "new.so").returncode == 0
    assert link.is_symlink()
    assert dynamic(library)["SONAME"] == ["new.so"]
    assert hard.read_bytes() == before


def test_print(library: Path) -> None:
    assert "NEEDED     libz.so.1" in patch(library, "--print").stdout
    document = json.loads(patch(library, "--print", "--json").stdout)
    assert document["soname"] == "libthing.so.1"
    assert document["needed"] == ["libz.so.1", "libm.so.6", "libc.so.6"]


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--set-rpath", "/a", "--set-runpath", "/b"),
        ("--remove-rpath", "--set-runpath", "/b"),
        ("--json",),
        ("--print", "--set-soname", "x"),
    ],
)
def test_contradictions_are_usage_errors(library: Path, args: tuple[str, ...]) -> None:
    before = library.read_bytes()
    ran = patch(library, *args)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert library.read_bytes() == before


def test_what_is_no_elf_file_is_refused_untouched(tmp_path: Path) -> None:
    text = tmp_path / "libtext.so"
    text.write_text("INPUT(libreal.so)\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (text, fifo, tmp_path, tmp_path / "absent"):
        ran = patch(path, "--set-soname", "x")
        assert ran.returncode == 1
        assert ran.stderr.startswith("error: ")
        assert "Traceback" not in ran.stderr
    assert text.read_text() == "INPUT(libreal.so)\n"
    assert sorted(tmp_path.iterdir()) == [fifo, text]
