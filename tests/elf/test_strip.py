"""`fastwheel._elf.strip`: what is loaded stays the same, what is not loaded goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastwheel import engine
from fastwheel._elf.strip import strip

SOURCE = b"int counter; static int hidden(int x) { return x + counter; } int shown(int x) { return hidden(x); }"
LOAD = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).shown(41 - 0) + 1)"


def _build(folder: Path, *flags: str) -> bytes:
    path = folder / "lib.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), *flags], input=SOURCE, check=True)
    return path.read_bytes()


def _sections(data: bytes, folder: Path) -> list[str]:
    path = folder / "shown.so"
    path.write_bytes(data)
    ran = subprocess.run(["readelf", "-SW", str(path)], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return [line.split("]")[1].split()[0] for line in ran.stdout.splitlines() if "] ." in line]


@pytest.mark.parametrize(
    "flags",
    [
        ("-g",),
        (),
        ("-g", "-gz"),
        ("-g3", "-Wl,--emit-relocs"),
        ("-g", "-fuse-ld=lld"),
        ("-g", "-fuse-ld=gold"),
        ("-g", "-fuse-ld=mold"),
        ("-g", "-Wl,-z,noseparate-code"),
    ],
)
def test_only_what_is_not_loaded_goes(tmp_path: Path, flags: tuple[str, ...]) -> None:
    data = _build(tmp_path, *flags)
    small = strip(data)
    assert len(small) < len(data)
    names = _sections(small, tmp_path)
    assert ".symtab" not in names
    assert ".strtab" not in names
    assert not any(name.startswith((".debug", ".zdebug")) for name in names)
    assert ".dynsym" in names
    assert engine.read(small) == engine.read(data)
    assert engine.symbols(small) == engine.symbols(data)
    end = max(segment.offset + segment.file_size for segment in engine.read(data).segments)
    header = 64
    assert small[header:end] == data[header:end]
    assert strip(small) == small
    path = tmp_path / "shown.so"
    ran = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "42\n"


def test_about_as_small_as_binutils(tmp_path: Path) -> None:
    data = _build(tmp_path, "-g")
    path = tmp_path / "theirs.so"
    path.write_bytes(data)
    subprocess.run(["strip", "-s", str(path)], check=True)
    assert len(strip(data)) <= path.stat().st_size + 256


def test_linted_as_before(tmp_path: Path) -> None:
    data = _build(tmp_path, "-g")
    for content in (data, strip(data)):
        path = tmp_path / "linted.so"
        path.write_bytes(content)
        ran = subprocess.run(["eu-elflint", "--gnu-ld", str(path)], capture_output=True, text=True, check=False)
        assert "No errors" in ran.stdout


def test_nothing_to_drop_is_the_same_bytes(tmp_path: Path) -> None:
    data = _build(tmp_path, "-s")
    assert strip(data) is data


def test_appended_archive_is_left_alone(tmp_path: Path) -> None:
    data = _build(tmp_path, "-g") + b"PK\x03\x04 something appended, not zeros" * 4
    assert strip(data) is data


def test_without_section_headers(tmp_path: Path) -> None:
    data = bytearray(_build(tmp_path, "-g"))
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    assert strip(bytes(data)) == bytes(data)


def test_edits_after_it_still_load(tmp_path: Path) -> None:
    from fastwheel._elf.model import Edit

    edited = engine.edit(
        strip(_build(tmp_path, "-g")), Edit(soname="a-much-longer-name-than-before.so.1", runpath="$ORIGIN")
    )
    path = tmp_path / "shown.so"
    path.write_bytes(edited)
    ran = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "42\n"
