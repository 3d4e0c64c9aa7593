"""What a file asks for and offers: against readelf, on libraries of several processors; many members at once."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from fastwheel import engine
from fastwheel._elf.links import EMPTY, Links, links
from fastwheel.errors import ElfError, FastwheelError
from fastwheel.spans import Span

LIBRARIES = {
    "x86_64": "/lib/x86_64-linux-gnu/libz.so.1",
    "x86_64-c++": "/lib/x86_64-linux-gnu/libstdc++.so.6",
    "aarch64": "/usr/aarch64-linux-gnu/lib/libm.so.6",
    "arm": "/usr/arm-linux-gnueabihf/lib/libm.so.6",
    "i686": "/usr/i686-linux-gnu/lib/libm.so.6",
    "ppc64": "/usr/powerpc64-linux-gnu/lib/libm.so.6",
    "ppc64le": "/usr/powerpc64le-linux-gnu/lib/libm.so.6",
    "riscv64": "/usr/riscv64-linux-gnu/lib/libm.so.6",
    "s390x": "/usr/s390x-linux-gnu/lib/libm.so.6",
    "musl": "/lib/ld-musl-x86_64.so.1",
}
RELOCATION = re.compile(r"^[0-9a-f]+ +[0-9a-f]+ R_\S+ +[0-9a-f]+ +(?P<name>[^\s@]+)")


def readelf(option: str, path: str) -> list[str]:
    done = subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("path", LIBRARIES.values(), ids=LIBRARIES)
def test_symbols_are_those_of_readelf(path: str) -> None:
    found = engine.links(Path(path).read_bytes())
    undefined, defined = set(), set()
    for line in readelf("--dyn-syms", path):
        fields = re.sub(r"\[.*?\]", "", line).split()
        if len(fields) < 8 or not fields[0].rstrip(":").isdigit() or fields[4] == "LOCAL":
            continue
        name, _, version = fields[7].partition("@")
        if fields[6] == "UND":
            undefined.add((name, version.partition(" ")[0] or None, fields[4] == "WEAK"))
        elif fields[5] in ("DEFAULT", "PROTECTED") and (int(fields[1], 16) or fields[6] == "ABS" or fields[3] == "TLS"):
            defined.add((name, version.lstrip("@") or None, version != "" and not version.startswith("@")))
    assert {(one.name, one.version, one.weak) for one in found.undefined} == undefined
    # Versions have symbols of their own name, which readelf shows without the version.
    assert {one for one in offered(found) if one[0] != one[1]} == {
        one for one in defined if one[0] not in versions(found)
    }


def versions(found: Links) -> set[str]:
    return {group.name for group in found.versions}


def offered(found: Links) -> set[tuple[str, str | None, bool]]:
    names = {(name.decode(), None, False) for name in found.plain.split(b"\0") if name}
    for group in found.versions:
        names |= {(name.decode(), group.name, False) for name in group.default.split(b"\0") if name}
        names |= {(name.decode(), group.name, True) for name in group.hidden.split(b"\0") if name}
    return names


@pytest.mark.parametrize("path", LIBRARIES.values(), ids=LIBRARIES)
def test_uses_are_those_of_readelf(path: str) -> None:
    found = engine.links(Path(path).read_bytes())
    used: dict[str, int] = {}
    mark = 0
    for line in readelf("-r", path):
        if line.startswith("Relocation section"):
            mark = 2 if ".plt" in line else 1
        elif match := RELOCATION.match(line):
            used[match["name"]] = used.get(match["name"], 0) | mark
    assert {one.name: one.used for one in found.undefined} == {
        one.name: used.get(one.name, 0) for one in found.undefined
    }
    assert any(found.used for found in found.undefined) or "musl" in path or not found.undefined


def test_a_symbol_that_no_relocation_names(tmp_path: Path) -> None:
    code = '__asm__(".globl nowhere"); int f(void), e; extern int d;'
    code += "int *g(void) { return &d; } int h(void) { return f(); }"
    line = ["gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,lazy", "-x", "c", "-", "-o", tmp_path / "a.so"]
    subprocess.run(line, input=code, text=True, check=True)
    found = engine.links((tmp_path / "a.so").read_bytes())
    assert {one.name: one.used for one in found.undefined} == {"nowhere": 0, "d": 1, "f": 2}
    assert set(found.plain.split(b"\0")) >= {b"e", b"g", b"h"}


def test_nothing_of_a_file_that_is_not_dynamic(tmp_path: Path) -> None:
    subprocess.run(["gcc", "-c", "-x", "c", "/dev/null", "-o", tmp_path / "a.o"], check=True)
    assert engine.links((tmp_path / "a.o").read_bytes()) == EMPTY
    with pytest.raises(ElfError) as caught:
        engine.links(b"#!/bin/sh")
    assert caught.value.code == "FW300"


def test_members_of_an_archive(tmp_path: Path) -> None:
    library = Path(LIBRARIES["x86_64"]).read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("stored.so", library)
        archive.writestr("deflated.so", library, zipfile.ZIP_DEFLATED)
        archive.writestr("bad.so", library[:5000], zipfile.ZIP_DEFLATED)
        spans = []
        for info in archive.infolist():
            offset = info.header_offset + 30 + len(info.filename)
            spans.append(Span(offset, info.compress_size, info.file_size, info.CRC, info.compress_type))
    spans.append(spans[0]._replace(crc=1))
    with (tmp_path / "a.zip").open("rb") as file:
        stored, deflated, bad, damaged = engine.links_many(file.fileno(), spans)
    assert stored == deflated == links(library)
    assert isinstance(bad, ElfError)
    assert isinstance(damaged, ElfError)
    assert damaged.code == "FW112"
    with pytest.raises(FastwheelError) as caught:
        engine.links_many(9999, spans)
    assert caught.value.code == "FW700"
