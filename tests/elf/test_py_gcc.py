"""The pure editor on what a compiler makes: edited libraries load, and call into what they were renamed to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastwheel._elf import Edit, edit, read, symbols
from fastwheel._elf.editor import plan_edit
from fastwheel.errors import ElfError

NEEDED_SOURCE = "int forty(void) { return 40; }\n"
SOURCE = """
#include <stdio.h>
extern int forty(void);
static __thread int two;
static int *cell;
__attribute__((constructor)) static void begin(void) { two = 2; }
int probe(void) { return forty() + two + (cell != 0) + printf("%s", ""); }
"""
CHILD = "import ctypes, sys; assert ctypes.CDLL(sys.argv[1], mode=2).probe() == 42"

VARIANTS = {
    "default": [],
    "noseparate-code": ["-Wl,-z,noseparate-code"],
    "norelro": ["-Wl,-z,norelro"],
    "sysv": ["-Wl,--hash-style=sysv"],
    "now": ["-Wl,-z,now", "-s"],
    "2m": ["-Wl,-z,max-page-size=0x200000"],
    "one-spare-tag": ["-Wl,--spare-dynamic-tags=1"],
    "rpath": ["-Wl,-rpath,/long/enough/to/be/written/over", "-Wl,--disable-new-dtags"],
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gcc")
    (folder / "forty.c").write_text(NEEDED_SOURCE)
    (folder / "probe.c").write_text(SOURCE)
    gcc(folder, "forty.c", "-o", "libforty.so.1", "-Wl,-soname,libforty.so.1")
    shutil.copy(folder / "libforty.so.1", folder / "libforty.so")
    return folder


def gcc(folder: Path, *arguments: str) -> None:
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("sections", [True, False])
@pytest.mark.parametrize("name", VARIANTS)
def test_loads(name: str, sections: bool, sources: Path, tmp_path: Path) -> None:
    gcc(sources, "probe.c", "-o", "libprobe.so", "-L.", "-lforty", "-Wl,-soname,libprobe.so", *VARIANTS[name])
    data = (sources / "libprobe.so").read_bytes()
    if not sections:
        # what `sstrip` leaves: no section headers, and nothing behind the last segment
        end = max(segment.offset + segment.file_size for segment in read(data).segments)
        data = data[:40] + bytes(8) + data[48:58] + bytes(6) + data[64:end]
    wish = Edit(
        runpath="$ORIGIN/libs",
        soname="libprobe-01234567.so",
        replace_needed=(("libforty.so.1", "libforty-89abcdef.so.1"),),
    )
    result = edit(data, wish)
    assert edit(result, wish) == result
    # values of symbols inside tables that moved are the only ones to differ, and a library exports none
    assert symbols(result) == symbols(data)
    (tmp_path / "libs").mkdir()
    renamed = edit((sources / "libforty.so.1").read_bytes(), Edit(soname="libforty-89abcdef.so.1"))
    (tmp_path / "libs" / "libforty-89abcdef.so.1").write_bytes(renamed)
    target = tmp_path / "libprobe-01234567.so"
    target.write_bytes(result)
    subprocess.run([sys.executable, "-c", CHILD, str(target)], check=True)
    if sections:
        assert len(result) - len(data) < 4096
        subprocess.run(["strip", "-s", str(target)], check=True)
        subprocess.run([sys.executable, "-c", CHILD, str(target)], check=True)


def test_no_spare_tag_is_refused_by_the_gate(sources: Path) -> None:
    gcc(sources, "probe.c", "-o", "libprobe.so", "-L.", "-lforty", "-Wl,--spare-dynamic-tags=0")
    data = (sources / "libprobe.so").read_bytes()
    assert read(data).needed[0] == "libforty.so.1"
    with pytest.raises(ElfError, match="no DT_NULL inside p_filesz"):
        edit(data, Edit(runpath="$ORIGIN"))


def test_growth_is_nothing(sources: Path) -> None:
    gcc(sources, "probe.c", "-o", "libprobe.so", "-L.", "-lforty")
    data = (sources / "libprobe.so").read_bytes()
    assert plan_edit(data, Edit(runpath="$ORIGIN/../probe.libs")).rung in {0, 2, 3}
    assert len(edit(data, Edit(runpath="$ORIGIN/../probe.libs"))) == len(data)


@pytest.mark.parametrize("note", ["--build-id=none", "--build-id"])
@pytest.mark.parametrize("count", range(90, 340, 35))
def test_many_libraries(count: int, note: str, sources: Path, tmp_path: Path) -> None:
    """Each new name is longer: the padding of the first page does for few, and somewhere it does not."""
    forty = (sources / "libforty.so.1").read_bytes()
    (tmp_path / "libs").mkdir()
    names = {f"libdep{number}.so.1": f"libdep{number}-{number:08x}.so.1" for number in range(count)}
    for old, new in names.items():
        (tmp_path / old).write_bytes(edit(forty, Edit(soname=old)))
        (tmp_path / "libs" / new).write_bytes(edit(forty, Edit(soname=new)))
    target = tmp_path / "libprobe.so"
    asked = [f"-Wl,--no-as-needed,{note}", *(str(tmp_path / old) for old in names)]
    gcc(sources, "probe.c", "-o", str(target), *asked)
    data = target.read_bytes()
    wish = Edit(runpath="$ORIGIN/libs", replace_needed=tuple(names.items()))
    result = edit(data, wish)
    assert edit(result, wish) == result
    assert len(result) - len(data) < 24_000
    target.write_bytes(result)
    for _ in range(2):
        subprocess.run([sys.executable, "-c", CHILD, str(target)], check=True)
        assert subprocess.run(["eu-elflint", "--gnu-ld", "-q", str(target)], check=False).returncode == 0
        subprocess.run(["strip", "-s", str(target)], check=True)
