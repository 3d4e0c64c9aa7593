"""`fastwheel.repair` on tiny wheels: what is grafted, how files are bound, what the output is made of."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastwheel
from fastwheel import engine

if TYPE_CHECKING:
    from toolbox import Toolbox

Contents = Callable[[Path], dict[str, bytes]]


def _repair(wheel: Path, toolbox: Toolbox, **options: object) -> fastwheel.Repaired:
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    return fastwheel.repair(wheel, toolbox.folder / "out", environ=environ, **options)  # type: ignore[arg-type]


def _hash8(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_grafts_the_whole_chain_and_binds_each_file_to_it(toolbox: Toolbox, contents: Contents) -> None:
    low = toolbox.library("libfwlow.so.2", "low")
    high = toolbox.library("libfwhigh.so.1", "high", needs=[low])
    wheel = toolbox.wheel({"pkg/__init__.py": b"", "pkg/sub/ext.so": toolbox.module("ext", "high", high)})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    files = contents(done.path)
    low_name, high_name = f"libfwlow-{_hash8(low)}.so.2", f"libfwhigh-{_hash8(high)}.so.1"
    assert {name for name in files if ".libs/" in name} == {f"pkg.libs/{low_name}", f"pkg.libs/{high_name}"}
    module = engine.read(files["pkg/sub/ext.so"])
    assert high_name in module.needed
    assert "libfwhigh.so.1" not in module.needed
    assert (module.runpath, module.rpath) == ("$ORIGIN/../../pkg.libs", None)
    grafted = engine.read(files[f"pkg.libs/{high_name}"])
    assert (grafted.soname, grafted.runpath) == (high_name, "$ORIGIN")
    assert low_name in grafted.needed
    leaf = engine.read(files[f"pkg.libs/{low_name}"])
    assert (leaf.soname, leaf.runpath, leaf.rpath) == (low_name, None, None)


def test_output_name_wheel_and_record_agree(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    assert done.path.name.startswith("pkg-1.0-cp311-cp311-manylinux")
    assert "-linux_x86_64" not in done.path.name
    files = contents(done.path)
    assert list(files)[-1] == "pkg-1.0.dist-info/RECORD"
    platforms = done.path.stem.rsplit("-", 1)[1].split(".")
    wanted = sorted(f"Tag: cp311-cp311-{platform}" for platform in platforms)
    lines = files["pkg-1.0.dist-info/WHEEL"].decode().splitlines()
    assert sorted(line for line in lines if line.startswith("Tag:")) == wanted
    assert lines.count("Root-Is-Purelib: false") == 1
    rows = dict(row.split(",", 1) for row in files["pkg-1.0.dist-info/RECORD"].decode().splitlines())
    assert set(rows) == set(files)
    subprocess.run([sys.executable, "-m", "zipfile", "-t", str(done.path)], check=True, capture_output=True)


def test_second_repair_is_a_byte_identical_copy(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    first = _repair(wheel, toolbox)
    assert first.path is not None
    second = fastwheel.repair(first.path, toolbox.folder / "again", environ={})
    assert second.path is not None
    assert second.path.name == first.path.name
    assert second.path.read_bytes() == first.path.read_bytes()
    assert not second.changed


def test_same_bytes_whatever_folder_mask_and_zone(toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    first = fastwheel.repair(wheel, toolbox.folder / "a", environ=environ).path
    monkeypatch.chdir(toolbox.system)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    mask = os.umask(0o077)
    try:
        second = fastwheel.repair(wheel, toolbox.folder / "b", environ=environ, jobs=1).path
    finally:
        os.umask(mask)
    assert first is not None
    assert second is not None
    assert first.read_bytes() == second.read_bytes()


def test_untouched_members_keep_bytes_time_and_mode(toolbox: Toolbox) -> None:
    import zipfile

    library = toolbox.library("libfwone.so.1", "one")
    files = {
        "pkg/data.bin": os.urandom(5000),
        "pkg/tool": b"#!/bin/sh\n",
        "pkg/ext.so": toolbox.module("ext", "one", library),
    }
    wheel = toolbox.wheel(files, modes={"pkg/tool": 0o755})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(done.path) as after:
        for name in ("pkg/data.bin", "pkg/tool"):
            old, new = before.getinfo(name), after.getinfo(name)
            assert (old.CRC, old.date_time, old.external_attr) == (new.CRC, new.date_time, new.external_attr)
        assert [e.filename for e in after.infolist()][:3] == ["pkg/data.bin", "pkg/tool", "pkg/ext.so"]
        graft = next(entry for entry in after.infolist() if ".libs/" in entry.filename)
        assert graft.external_attr >> 16 == 0o100755
        assert graft.date_time == (2024, 2, 29, 12, 30, 58)


def test_missing_library_says_who_needs_it_and_leaves_nothing(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwgone.so.7", "gone")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "gone", library)})
    library.unlink()
    before = wheel.read_bytes()
    with pytest.raises(fastwheel.FastwheelError) as caught:
        _repair(wheel, toolbox)
    assert caught.value.code == "FW500"
    assert caught.value.message == "libfwgone.so.7 not found (needed by pkg/ext.so)"
    assert any("looked in" in detail for detail in caught.value.details)
    assert "--exclude libfwgone.so.7" in (caught.value.hint or "")
    assert caught.value.exit_status == 1
    assert wheel.read_bytes() == before
    assert not (toolbox.folder / "out").exists()


def test_excluded_library_is_left_alone(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwgone.so.7", "gone")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "gone", library)})
    done = _repair(wheel, toolbox, exclude=["libfwgone.so.*", "libnever.so"])
    assert done.path is not None
    files = contents(done.path)
    assert not any(".libs/" in name for name in files)
    assert "libfwgone.so.7" in engine.read(files["pkg/ext.so"]).needed
    assert "--exclude libnever.so matched no library" in done.notes


def test_build_folders_are_dropped_and_entries_inside_the_tree_kept(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    path = f"-Wl,-rpath,$ORIGIN/sub:{toolbox.system}:$ORIGIN/../../..:/opt/build"
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library, flags=[path])})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    assert engine.read(contents(done.path)["pkg/ext.so"]).runpath == "$ORIGIN/sub:$ORIGIN/../pkg.libs"
    done = _repair(wheel, toolbox, keep_rpath=True)
    assert done.path is not None
    kept = f"$ORIGIN/sub:{toolbox.system}:$ORIGIN/../../..:/opt/build:$ORIGIN/../pkg.libs"
    assert engine.read(contents(done.path)["pkg/ext.so"]).runpath == kept


def test_files_of_platlib_are_bound_in_install_layout(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    member = "pkg-1.0.data/platlib/pkg/deep/ext.so"
    wheel = toolbox.wheel({member: toolbox.module("ext", "one", library)})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    assert engine.read(contents(done.path)[member]).runpath == "$ORIGIN/../../pkg.libs"


def test_libraries_of_one_name_at_two_places_are_both_grafted(toolbox: Toolbox, contents: Contents) -> None:
    one = toolbox.library("libfwtwin.so.1", "twin", folder=toolbox.folder / "one")
    two = toolbox.library("libfwtwin.so.1", "twin", folder=toolbox.folder / "two", flags=["-DX=2", "-Wl,-z,now"])
    modules = {
        f"pkg/{name}.so": toolbox.module(name, "twin", library, flags=[f"-Wl,-rpath,{library.parent}"])
        for name, library in (("a", one), ("b", two))
    }
    done = _repair(toolbox.wheel(modules), toolbox)
    assert done.path is not None
    files = contents(done.path)
    assert _hash8(one) != _hash8(two)
    assert f"libfwtwin-{_hash8(one)}.so.1" in engine.read(files["pkg/a.so"]).needed
    assert f"libfwtwin-{_hash8(two)}.so.1" in engine.read(files["pkg/b.so"]).needed


def test_library_of_the_wheel_is_used_and_not_grafted_again(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwown.so.1", "own")
    files = {"pkg/ext.so": toolbox.module("ext", "own", library), "pkg/lib/libfwown.so.1": library.read_bytes()}
    done = _repair(toolbox.wheel(files), toolbox)
    assert done.path is not None
    assert done.plan is not None
    assert done.plan.grafts == ()
    assert engine.read(contents(done.path)["pkg/ext.so"]).runpath == "$ORIGIN/lib"


def test_link_to_libpython_is_removed_from_a_module(toolbox: Toolbox, contents: Contents) -> None:
    for soname in ("libpython3.11.so.1.0", "libpython3.13t.so.1.0", "libpython3.so"):
        python = toolbox.library(soname, "PyThing")
        wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "PyThing", python)})
        done = _repair(wheel, toolbox)
        assert done.path is not None
        files = contents(done.path)
        assert soname not in engine.read(files["pkg/ext.so"]).needed
        assert not any(".libs/" in name for name in files)
        assert any("Removing" in note for note in done.notes)


def test_pure_wheel_is_refused_or_copied(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/__init__.py": b""}, tag="py3-none-any")
    with pytest.raises(fastwheel.FastwheelError) as caught:
        _repair(wheel, toolbox)
    assert caught.value.code == "FW600"
    done = _repair(wheel, toolbox, allow_pure=True)
    assert done.path is not None
    assert done.path.read_bytes() == wheel.read_bytes()


def test_nothing_to_graft_still_gets_its_tag(toolbox: Toolbox, contents: Contents) -> None:
    module = toolbox.module("ext", "getpid")
    done = _repair(toolbox.wheel({"pkg/ext.so": module}), toolbox)
    assert done.path is not None
    assert "manylinux_2_5_x86_64" in done.path.name
    assert contents(done.path)["pkg/ext.so"] == module


def test_output_into_the_folder_of_the_input(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)}, folder=toolbox.folder / "out")
    before = wheel.read_bytes()
    done = _repair(wheel, toolbox)
    assert done.path is not None
    assert done.path != wheel
    assert wheel.read_bytes() == before


def test_dry_run_writes_nothing(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    done = _repair(wheel, toolbox, dry_run=True)
    assert done.path is None
    assert done.plan is not None
    assert [graft.soname for graft in done.plan.grafts] == ["libfwone.so.1"]
    assert not (toolbox.folder / "out").exists()


def test_content_that_contradicts_record_is_refused(toolbox: Toolbox) -> None:
    import zipfile

    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/a.py": b"a = 1\n", "pkg/ext.so": toolbox.module("ext", "one", library)})
    forged = toolbox.folder / "forged" / wheel.name
    forged.parent.mkdir()
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(forged, "w") as after:
        for entry in before.infolist():
            after.writestr(entry, b"a = 2\n" if entry.filename == "pkg/a.py" else before.read(entry))
    with pytest.raises(fastwheel.FastwheelError) as caught:
        _repair(forged, toolbox)
    assert caught.value.code == "FW208"


def test_executable_of_scripts_moves_behind_a_shim(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    program = toolbox.folder / "program"
    source = b"extern int one(void), printf(const char *, ...);"
    source += b'int main(int c, char **v) { printf("%d %d\\n", one(), c); return 0; }'
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(program), "-x", "none", str(library)], input=source, check=True)
    member = "pkg-1.0.data/scripts/tool"
    wheel = toolbox.wheel({member: program.read_bytes(), "pkg/__init__.py": b""}, modes={member: 0o755})
    done = _repair(wheel, toolbox)
    assert done.path is not None
    files = contents(done.path)
    assert files[member].startswith(b"#!python\n")
    assert engine.read(files["pkg.scripts/tool"]).runpath == "$ORIGIN/../pkg.libs"
    library.unlink()
    target = toolbox.folder / "target"  # what `pip install --target` makes
    for name, content in files.items():
        place = target / ("bin/tool" if name == member else name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o755)
    ran = subprocess.run([sys.executable, target / "bin/tool", "x"], capture_output=True, check=True, text=True)
    assert ran.stdout == "42 2\n"


def test_strip_drops_symbols_of_grafts_and_of_the_wheel(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one", flags=["-g"])
    files = {
        "pkg/ext.so": toolbox.module("ext", "one", library, flags=["-g"]),
        "pkg/plain.so": toolbox.module("plain", "getpid", flags=["-g"]),
    }
    wheel = toolbox.wheel(files)
    done = _repair(wheel, toolbox, strip=True)
    assert done.path is not None
    after = contents(done.path)
    for name, content in after.items():
        if content.startswith(b"\x7fELF"):
            assert engine.read(content) is not None
            assert len(content) < len(files.get(name, library.read_bytes()))
    plain = _repair(wheel, toolbox)
    assert plain.path is not None
    assert contents(plain.path)["pkg/plain.so"] == files["pkg/plain.so"]
