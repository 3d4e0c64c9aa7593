"""`fastwheel.diff`: what is gone, new and changed between two wheels or two ELF files; nothing where nothing is."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox import Toolbox, extension, repair

import fastwheel
from fastwheel import Difference, FastwheelError, elf
from fastwheel.elfdiff import same_libraries
from fastwheel.report.diff import diff_text


def kinds(found: Difference) -> dict[str, str]:
    """Member ▶ kind of change."""
    return {change.name: change.kind for change in found.members}


def repacked(wheel: Path, target: Path, change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> Path:
    """A copy of a wheel with its members written anew, `change`d."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            change(entry)
            new.writestr(entry, content, compress_type=entry.compress_type)
    return target


def rewritten(wheel: Path, target: Path, contents: dict[str, bytes | None]) -> Path:
    """A copy of a wheel with other contents, some without (None), some more; RECORD is left as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = contents.get(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry, content)
        for name in contents.keys() - set(old.namelist()):
            new.writestr(name, contents[name] or b"")
    return target


def test_a_wheel_equals_itself_and_its_copy(diamond: Path, tmp_path: Path) -> None:
    for contents in (False, True):
        assert fastwheel.diff(diamond, diamond, contents=contents).equal
        copy = Path(shutil.copy(diamond, tmp_path / "system"))
        found = fastwheel.diff(diamond, copy, contents=contents)
        assert found.equal
        assert "no difference" in diff_text(found)


def test_what_a_repair_changes(diamond: Path, toolbox: Toolbox) -> None:
    done = repair(diamond, toolbox)
    assert done.path is not None
    assert done.plan is not None
    found = fastwheel.diff(diamond, done.path)
    assert not found.equal
    assert [(change.name, change.before) for change in found.name] == [("platform", "linux_x86_64")]
    grafts = {graft.member: graft.soname for graft in done.plan.grafts}
    added = {change.name: change for change in found.members if change.kind == "added"}
    assert {name for name in added if name.startswith("pkg.libs/")} == set(grafts)
    assert {name: added[name].graft_of for name in grafts} == grafts
    changed = {change.name: change for change in found.members if change.kind == "changed"}
    assert set(changed) == {"pkg/a.so", "pkg/b.so", "pkg-1.0.dist-info/WHEEL", "pkg-1.0.dist-info/RECORD"}
    a = changed["pkg/a.so"].elf
    assert a is not None
    names = {graft.soname: graft.name for graft in done.plan.grafts}
    assert dict(a.renamed) == {name: names[name] for name in ("libleft.so.1", "libright.so.1")}
    assert (a.removed, a.added) == ((), ())
    assert ("runpath", None, "$ORIGIN/../pkg.libs") in a.fields
    text = changed["pkg-1.0.dist-info/WHEEL"].text
    assert text is not None
    assert text.removed == ("Tag: cp311-cp311-linux_x86_64",)
    assert all(line.startswith("Tag: cp311-cp311-manylinux") for line in text.added)
    record = changed["pkg-1.0.dist-info/RECORD"].text
    assert record is not None
    assert {row.split(",")[0] for row in record.added} - {row.split(",")[0] for row in record.removed} == set(added)


def test_sizes_hashes_and_modes_are_those_of_the_archives(diamond: Path, toolbox: Toolbox) -> None:
    done = repair(diamond, toolbox)
    assert done.path is not None
    found = fastwheel.diff(diamond, done.path)
    with zipfile.ZipFile(diamond) as old, zipfile.ZipFile(done.path) as new:
        for change in found.members:
            for archive, side in ((old, change.before), (new, change.after)):
                if side is None:
                    continue
                entry = archive.getinfo(side.name)
                assert (side.size, side.compressed_size) == (entry.file_size, entry.compress_size)
                assert side.mode == entry.external_attr >> 16 & 0o7777
                assert side.sha256 == hashlib.sha256(archive.read(entry)).hexdigest()
        same = set(old.namelist()) & set(new.namelist()) - kinds(found).keys()
        assert all(old.read(name) == new.read(name) for name in same)


def test_backwards_is_the_mirror_image(diamond: Path, toolbox: Toolbox) -> None:
    done = repair(diamond, toolbox)
    assert done.path is not None
    there, back = fastwheel.diff(diamond, done.path), fastwheel.diff(done.path, diamond)
    mirror = {"added": "removed", "removed": "added", "changed": "changed", "renamed": "renamed"}
    assert kinds(back) == {name: mirror[kind] for name, kind in kinds(there).items()}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda entry: setattr(entry, "date_time", (1999, 1, 2, 3, 4, 6)), "times"),
        (lambda entry: setattr(entry, "compress_type", zipfile.ZIP_STORED), "methods"),
    ],
)
def test_archives_that_differ_around_their_contents(
    diamond: Path, tmp_path: Path, change: Callable[[zipfile.ZipInfo], None], field: str
) -> None:
    other = repacked(diamond, tmp_path / "other" / diamond.name, change)
    found = fastwheel.diff(diamond, other)
    assert found.same_content
    assert not found.equal
    assert getattr(found.archive, field)
    assert "all members are equal" in diff_text(found)


def test_another_order(diamond: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / diamond.name
    other.parent.mkdir()
    with zipfile.ZipFile(diamond) as old, zipfile.ZipFile(other, "w") as new:
        for entry in reversed(old.infolist()):
            new.writestr(entry, old.read(entry))
    found = fastwheel.diff(diamond, other)
    assert found.same_content
    assert found.archive.reordered


def test_a_mode_alone(diamond: Path, tmp_path: Path) -> None:
    def change(entry: zipfile.ZipInfo) -> None:
        if entry.filename == "pkg/a.so":
            entry.external_attr = 0o100755 << 16

    found = fastwheel.diff(diamond, repacked(diamond, tmp_path / "other" / diamond.name, change))
    (only,) = found.members
    assert (only.name, only.kind, only.content) == ("pkg/a.so", "changed", False)
    assert "0644 → 0755" in diff_text(found)


def test_one_byte_of_a_data_file(diamond: Path, tmp_path: Path) -> None:
    first = rewritten(diamond, tmp_path / "1" / diamond.name, {"pkg/data.bin": b"\x7fELF but not really, 1"})
    second = rewritten(diamond, tmp_path / "2" / diamond.name, {"pkg/data.bin": b"\x7fELF but not really, 2"})
    found = fastwheel.diff(first, second)
    assert kinds(found) == {"pkg/data.bin": "changed"}
    assert len(found.notes) == 2  # it begins like an ELF file, and is none


def test_equal_crc_and_size_are_told_apart_only_when_asked(diamond: Path, tmp_path: Path) -> None:
    """Two contents of one CRC: forged by appending the four bytes that bring it to a wanted value."""
    import zlib

    def forged(start: bytes, wanted: int) -> bytes:
        # CRC-32 run backwards from the wanted value over four unknown bytes.
        table = [zlib.crc32(bytes([i]), 0xFFFFFFFF) ^ 0xFF000000 ^ 0xFFFFFFFF for i in range(256)]
        table = []
        for i in range(256):
            value = i
            for _ in range(8):
                value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
            table.append(value)
        reverse = {value >> 24: i for i, value in enumerate(table)}
        state = wanted ^ 0xFFFFFFFF
        picks = []
        for _ in range(4):
            index = reverse[state >> 24]
            picks.append(index)
            state = (state ^ table[index]) << 8 & 0xFFFFFFFF
        state = zlib.crc32(start) ^ 0xFFFFFFFF
        tail = bytearray()
        for index in reversed(picks):
            tail.append((state ^ index) & 0xFF)
            state = table[index] ^ state >> 8
        return start + bytes(tail)

    one, two = (forged(text, 0x12345678) for text in (b"one text, ", b"another!! "))
    assert zlib.crc32(one) == zlib.crc32(two) == 0x12345678
    first = rewritten(diamond, tmp_path / "1" / diamond.name, {"pkg/data.bin": one})
    second = rewritten(diamond, tmp_path / "2" / diamond.name, {"pkg/data.bin": two})
    assert fastwheel.diff(first, second).same_content
    assert kinds(fastwheel.diff(first, second, contents=True)) == {"pkg/data.bin": "changed"}


def test_moved_and_renamed_files(diamond: Path, tmp_path: Path) -> None:
    content = b"the same words"
    first = rewritten(diamond, tmp_path / "1" / diamond.name, {"pkg/old.txt": content})
    second = rewritten(diamond, tmp_path / "2" / diamond.name, {"pkg/new.txt": content})
    (only,) = fastwheel.diff(first, second).members
    assert only.before is not None
    assert (only.kind, only.before.name, only.name, only.content) == ("renamed", "pkg/old.txt", "pkg/new.txt", False)


def test_grafts_of_two_builds_are_matched_by_soname(toolbox: Toolbox) -> None:
    """The same wheel, repaired against two builds of a library: another hash in the name, one library."""
    wheels = []
    module = toolbox.module("a", "fun", toolbox.library("libfun.so.3", "fun"))
    wheel = toolbox.wheel({"pkg/a.so": module})
    for number in (1, 2):
        library = toolbox.library("libfun.so.3", "fun", flags=[f"-Wl,--defsym=build{number}=0"])
        assert library.exists()
        done = fastwheel.repair(
            wheel, toolbox.folder / f"out{number}", environ={"LD_LIBRARY_PATH": str(toolbox.system)}
        )
        wheels.append(done.path)
    found = fastwheel.diff(*wheels)
    graft = next(change for change in found.members if change.name.startswith("pkg.libs/"))
    assert (graft.kind, graft.content) == ("renamed", True)
    a = next(change for change in found.members if change.name == "pkg/a.so")
    assert a.elf is not None
    assert len(a.elf.renamed) == 1


def test_another_version_of_the_project(diamond: Path, tmp_path: Path) -> None:
    """The files of `.dist-info` are matched although the folder's name differs."""
    other = tmp_path / diamond.name.replace("1.0", "1.1")
    with zipfile.ZipFile(diamond) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("METADATA"):
                content = content.replace(b"Version: 1.0", b"Version: 1.1")
            entry.filename = entry.filename.replace("pkg-1.0.dist-info", "pkg-1.1.dist-info")
            new.writestr(entry, content)
    found = fastwheel.diff(diamond, other)
    assert [tuple(change) for change in found.name] == [("version", "1.0", "1.1")]
    (only,) = found.members
    assert only.text is not None
    assert (only.text.removed, only.text.added) == (("Version: 1.0",), ("Version: 1.1",))


def test_elf_files(toolbox: Toolbox) -> None:
    base = toolbox.library("libbase.so.1", "base")
    other = toolbox.library("libother.so.1", "other")
    first = toolbox.library("libtop.so.1", "top", needs=[base])
    second = toolbox.folder / "second.so"
    edit = elf.Edit(soname="libtop.so.2", runpath="$ORIGIN", remove_needed=("libbase.so.1",), add_needed=(other.name,))
    second.write_bytes(elf.edit(first.read_bytes(), edit))
    found = fastwheel.diff(first, second)
    (only,) = found.members
    assert only.elf is not None
    assert (only.elf.removed, only.elf.added) == (("libbase.so.1",), ("libother.so.1",))
    assert {field.name: field.after for field in only.elf.fields} == {"soname": "libtop.so.2", "runpath": "$ORIGIN"}
    assert fastwheel.diff(first, Path(shutil.copy(first, toolbox.folder / "copy.so"))).equal


def test_versions_and_symbols(toolbox: Toolbox) -> None:
    old = toolbox.folder / "old.so"
    new = toolbox.folder / "new.so"
    old.write_bytes(extension(toolbox, before="int puts(const char *);", body='puts("");'))
    new.write_bytes(extension(toolbox, before="void *memcpy(void *, void *, unsigned long);", body="memcpy(0, 0, 9);"))
    (only,) = fastwheel.diff(old, new).members
    assert only.elf is not None
    assert "puts" in only.elf.symbols_removed
    shown = diff_text(fastwheel.diff(old, new), verbose=True)
    assert "symbols - puts" in shown


def test_a_wheel_and_an_elf_file(diamond: Path, toolbox: Toolbox) -> None:
    with pytest.raises(FastwheelError) as fault:
        fastwheel.diff(diamond, toolbox.library("libx.so", "x"))
    assert fault.value.code == "FW800"


def test_damaged_contents_are_an_error_when_they_are_read(diamond: Path, tmp_path: Path) -> None:
    data = bytearray(diamond.read_bytes())
    with zipfile.ZipFile(diamond) as archive:
        entry = archive.getinfo("pkg/a.so")
    at = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2
    data[at] ^= 0xFF
    broken = tmp_path / "broken" / diamond.name
    broken.parent.mkdir()
    broken.write_bytes(data)
    assert fastwheel.diff(diamond, broken).equal  # nothing had to be read
    with pytest.raises(FastwheelError) as fault:
        fastwheel.diff(diamond, broken, contents=True)
    assert fault.value.code == "FW112"


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        (["libfoo.so.3"], ["libfoo-01234567.so.3.0.1"], {"libfoo.so.3": "libfoo-01234567.so.3.0.1"}),
        (["libfoo.so.3"], ["libfoo-01234567.so.4"], {"libfoo.so.3": "libfoo-01234567.so.4"}),
        (["libfoo.so.3", "libfoo.so.4"], ["libfoo-01234567.so.4"], {"libfoo.so.4": "libfoo-01234567.so.4"}),
        (
            ["libgfortran-040039e1.so.5.0.0"],
            ["libgfortran-040039e1-0352e75f.so.5.0.0"],
            {"libgfortran-040039e1.so.5.0.0": "libgfortran-040039e1-0352e75f.so.5.0.0"},
        ),
        (["libfoo.so.1"], ["libfoobar.so.1"], {}),
        (
            ["liblber-2.5.so.0"],
            ["liblber-2-64f183c1.5.so.0.1.8"],
            {"liblber-2.5.so.0": "liblber-2-64f183c1.5.so.0.1.8"},
        ),
        ([], [], {}),
        (["a.so.1", "a.so.2"], ["a.so.3"], {}),
    ],
)
def test_which_names_are_one_library(old: list[str], new: list[str], pairs: dict[str, str]) -> None:
    assert dict(same_libraries(old, new)) == pairs


def status(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastwheel", "diff", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_exit_statuses(diamond: Path, toolbox: Toolbox, tmp_path: Path) -> None:
    done = repair(diamond, toolbox)
    assert status(diamond, diamond).returncode == 0
    assert status(diamond, done.path).returncode == 1
    assert status(diamond, tmp_path / "none.whl").returncode == 2
    assert status(diamond, __file__).returncode == 2
    assert status(diamond).returncode == 2
    ran = status("--json", diamond, __file__)
    assert ran.returncode == 2
    assert '"code": "FW100"' in ran.stdout
    stored = repacked(
        diamond,
        tmp_path / "stored" / diamond.name,
        lambda entry: setattr(entry, "compress_type", zipfile.ZIP_STORED),
    )
    assert status(diamond, stored).returncode == 1
    assert status("--content-only", diamond, stored).returncode == 0


def test_memory_is_not_the_wheels_size(tmp_path: Path) -> None:
    """200 MB of equal members are not read, and changed ones not held."""
    paths = []
    for side in (b"a", b"b"):
        path = tmp_path / side.decode() / "big-1.0-py3-none-any.whl"
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("same.bin", bytes(100 << 20))
            archive.writestr("other.bin", side * (100 << 20))
        paths.append(path)
    program = (
        "import re, sys, fastwheel\n"
        "found = fastwheel.diff(*sys.argv[1:], jobs=1)\n"
        "assert [change.name for change in found.members] == ['other.bin']\n"
        # not ru_maxrss, which begins at that of the process that started this one
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    ran = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 100_000  # KiB


def test_a_library_whose_file_has_another_name(toolbox: Toolbox) -> None:
    """As libopenblas.so.0, which on Debian is libopenblasp-r0.3.21.so: the bill of materials tells."""
    real = toolbox.library("libthing-r0.3.21.so", "thing", flags=["-Wl,-soname,libother.so.0"])
    (toolbox.system / "libother.so.0").symlink_to(real.name)
    wheel = toolbox.wheel({"pkg/a.so": toolbox.module("a", "thing", real)})
    done = repair(wheel, toolbox)
    assert done.path is not None
    found = fastwheel.diff(wheel, done.path)
    a = next(change.elf for change in found.members if change.name == "pkg/a.so")
    assert a is not None
    assert [old for old, _ in a.renamed] == ["libother.so.0"]
    assert (a.removed, a.added) == ((), ())


def test_time_grows_with_the_number_of_members_and_no_faster(tmp_path: Path) -> None:
    """Thousands of moved files, and thousands of libraries with other hashes."""
    import time

    paths = []
    for folder in ("a", "b"):
        path = tmp_path / folder / "many-1.0-py3-none-any.whl"
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(8000):
                archive.writestr(f"{folder}/{number}.txt", str(number))
        paths.append(path)
    start = time.process_time()
    found = fastwheel.diff(*paths)
    assert {change.kind for change in found.members} == {"renamed"}
    names = [f"lib{number}-{{:08x}}.so.1" for number in range(20_000)]
    pairs = same_libraries([name.format(1) for name in names], [name.format(2) for name in reversed(names)])
    assert len(pairs) == len(names)
    assert time.process_time() - start < 20  # seconds; two, and minutes if each were looked up in a list
