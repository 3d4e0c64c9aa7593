"""What was repaired, un-repaired and repaired again is what it was."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from wheelbench.compare import differences, meaning
from wheelbench.unrepair import unrepair

import fastwheel
from fastwheel import elf
from fastwheel.wheel.wheel import Wheel

Small = tuple[Path, Path]
MODULE = "small/small.cpython-311-x86_64-linux-gnu.so"


def repaired(wheel: Path, libraries: Path, out: Path) -> Path:
    done = fastwheel.repair(wheel, out, lib_paths=[str(libraries)], environ={})
    assert done.path is not None
    return done.path


def test_there_and_back(small: Small, tmp_path: Path) -> None:
    wheel, libraries = small
    first = repaired(wheel, libraries, tmp_path / "first")
    undone = unrepair(first, tmp_path / "undone", tmp_path / "libraries")

    assert undone.wheel.name == wheel.name
    assert sorted(path.name for path in undone.libraries.iterdir()) == ["libone.so.1", "libzero.so.1"]
    facts = elf.read(undone.libraries / "libone.so.1")
    assert (facts.soname, facts.runpath, facts.rpath) == ("libone.so.1", None, None)
    assert facts.needed[0] == "libzero.so.1"
    with zipfile.ZipFile(undone.wheel) as archive:
        names = archive.namelist()
        module = elf.read(archive.read(MODULE))
        info = archive.read("small-1.0.dist-info/WHEEL").decode()
    assert not [name for name in names if ".libs/" in name or "/sboms/" in name]
    assert (module.needed[0], module.runpath, module.rpath) == ("libone.so.1", None, None)
    assert "Tag: cp311-cp311-linux_x86_64\n" in info
    assert "manylinux" not in info

    again = repaired(undone.wheel, undone.libraries, tmp_path / "again")
    assert again.name == first.name
    assert differences([again], [first]) == []


def test_what_is_repaired_again_loads(small: Small, tmp_path: Path) -> None:
    first = repaired(*small, tmp_path / "first")
    undone = unrepair(first, tmp_path / "undone", tmp_path / "libraries")
    again = repaired(undone.wheel, undone.libraries, tmp_path / "again")
    for wheel, loads in ((undone.wheel, False), (again, True)):
        folder = tmp_path / f"installed-{loads}"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        program = f"import ctypes; print(ctypes.CDLL({str(folder / MODULE)!r}).two(40))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.stdout == "42\n") is loads, done.stderr


def test_record_holds(small: Small, tmp_path: Path) -> None:
    undone = unrepair(repaired(*small, tmp_path / "first"), tmp_path / "undone", tmp_path / "libraries")
    with Wheel.open(undone.wheel) as wheel:
        files = [member for member in wheel.archive.members if not member.is_dir]
        digests = {member.name: sha256(wheel.archive.read(member)).digest() for member in files}
        assert wheel.check_record(digests) == ()
    assert 'small/a, "quoted" name.txt' in digests


def test_a_wheel_without_grafts(small: Small, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no grafted libraries"):
        unrepair(small[0], tmp_path / "out", tmp_path / "libraries")


def test_two_grafts_of_one_name_keep_their_hashes(small: Small, tmp_path: Path) -> None:
    first = repaired(*small, tmp_path / "first")
    doubled = tmp_path / first.name
    with zipfile.ZipFile(first) as before, zipfile.ZipFile(doubled, "w") as after:
        for entry in before.infolist():
            after.writestr(entry, before.read(entry))
        one = next(name for name in before.namelist() if "libone-" in name)
        after.writestr("small.libs/libone-00000000.so.1", after.read(one))
    names = unrepair(doubled, tmp_path / "undone", tmp_path / "libraries").names
    assert names["small.libs/libone-00000000.so.1"] == "libone-00000000.so.1"
    assert names[one] == Path(one).name
    assert "libzero.so.1" in names.values()


def test_another_library_of_the_same_name_is_refused(small: Small, tmp_path: Path) -> None:
    first = repaired(*small, tmp_path / "first")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "libone.so.1").write_bytes(b"another")
    with pytest.raises(ValueError, match="another content"):
        unrepair(first, tmp_path / "undone", tmp_path / "libraries")


def test_a_missing_graft_is_noticed(small: Small, tmp_path: Path) -> None:
    first = repaired(*small, tmp_path / "first")
    broken = tmp_path / first.name
    with zipfile.ZipFile(first) as before, zipfile.ZipFile(broken, "w") as after:
        for entry in before.infolist():
            if "libzero" not in entry.filename:
                after.writestr(entry, before.read(entry))
    with pytest.raises(ValueError, match="libzero"):
        meaning(broken)
