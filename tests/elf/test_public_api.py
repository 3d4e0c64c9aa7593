"""`fastwheel.elf`: the public door to both engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fastwheel
from fastwheel import elf


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libthing.so.1"
    command = ["gcc", "-shared", "-fPIC", "-g", "-x", "c", "-", "-o", str(path), "-Wl,-soname,libthing.so.1"]
    subprocess.run(command, input=b"int thing(void) { return 7; }", check=True)
    return path


def test_reads_a_path_and_bytes_alike(library: Path) -> None:
    facts = elf.read(library)
    assert facts.soname == "libthing.so.1"
    assert (
        elf.read(str(library)) == elf.read(library.read_bytes()) == elf.read(memoryview(library.read_bytes())) == facts
    )


def test_edits_bytes(library: Path) -> None:
    data = library.read_bytes()
    edited = elf.edit(data, elf.Edit(soname="libother.so.2", runpath="$ORIGIN"))
    facts = elf.read(edited)
    assert (facts.soname, facts.runpath) == ("libother.so.2", "$ORIGIN")
    assert elf.edit(edited, elf.Edit(soname="libother.so.2", runpath="$ORIGIN")) == edited
    assert elf.edit(data, elf.Edit()) == data


def test_symbols_and_strip(library: Path) -> None:
    data = library.read_bytes()
    assert "thing" in [symbol.name for symbol in elf.symbols(data)]
    assert len(elf.strip(data)) < len(data)


def test_faults_are_of_one_kind(tmp_path: Path) -> None:
    with pytest.raises(fastwheel.FastwheelError) as caught:
        elf.read(tmp_path / "absent.so")
    assert caught.value.code == "FW700"
    with pytest.raises(fastwheel.FastwheelError) as caught:
        elf.read(b"no ELF file")
    assert caught.value.code == "FW300"
    with pytest.raises(fastwheel.FastwheelError) as caught:
        elf.edit(b"no ELF file", elf.Edit(soname="x"))
    assert caught.value.code == "FW300"


def test_functions_survive_imports_of_modules() -> None:
    code = "import fastwheel, fastwheel._audit, fastwheel._repair; fastwheel.audit.__call__, fastwheel.repair.__call__"
    subprocess.run([sys.executable, "-c", code], check=True)
