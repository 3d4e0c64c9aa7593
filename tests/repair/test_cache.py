"""The folder of finished grafts: what is in it is used, what is damaged is not, and trouble with it stops no repair."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from toolbox import Toolbox

import fastwheel
from fastwheel import engine
from fastwheel._elf.model import Edit
from fastwheel.cache import Cache, Cached, entry_key


@pytest.fixture
def wheel(toolbox: Toolbox) -> Path:
    deep = toolbox.library("libdeep.so.1", "deep")
    wide = toolbox.library("libwide.so.2", "call", needs=[deep])
    return toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "call", wide)})


@pytest.fixture
def run(wheel: Path, toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Repairs the wheel with a cache, checks the output, and returns the names of the libraries that were edited."""
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    expected = fastwheel.repair(wheel, tmp_path / "plain", environ=environ).path
    assert expected is not None
    made: list[str] = []
    pack = engine.pack

    def noting(spill: int, tasks: Sequence[engine.Task], *rest: object, **named: object) -> object:
        made.extend(Path(task.label).name for task in tasks if task.label.startswith(str(toolbox.system)))
        return pack(spill, tasks, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "pack", noting)

    def repaired(folder: Path = tmp_path / "cache", *, notes: int = 0, **options: object) -> list[str]:
        made.clear()
        done = fastwheel.repair(wheel, tmp_path / "out", environ=environ, cache_dir=folder, **options)  # type: ignore[arg-type]
        assert done.path is not None
        if not options:
            assert done.path.read_bytes() == expected.read_bytes()
        said = [note for note in done.notes if "cache" in note]
        assert len(said) == notes, done.notes
        return sorted(made)

    return repaired


BOTH = ["libdeep.so.1", "libwide.so.2"]


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_second_run_makes_nothing(run: Callable[..., list[str]], tmp_path: Path) -> None:
    assert run() == BOTH
    before = {path: path.read_bytes() for path in entries(tmp_path / "cache")}
    assert len(before) == 2
    assert run() == []
    assert {path: path.read_bytes() for path in entries(tmp_path / "cache")} == before


def test_changed_members_are_kept_by_their_streams(
    toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another stream of the same content is another entry: most of it would stay in the output."""
    deep = toolbox.library("libdeep.so.1", "deep")
    ballast = tmp_path / "ballast.h"
    numbers = ",".join(str(n * n * 2654435761 >> 13 & 63) for n in range(400_000))
    ballast.write_text(f"__attribute__((used)) static const unsigned char noise[] = {{{numbers}}};")
    large = toolbox.module("large", "deep", deep, flags=["-include", str(ballast)])
    wheel = toolbox.wheel({"pkg/large.so": large, "pkg/small.so": toolbox.module("small", "deep", deep)})
    packed: list[str] = []
    pack = engine.pack

    def noting(spill: int, tasks: Sequence[engine.Task], *rest: object, **named: object) -> object:
        packed.extend(Path(task.label).name for task in tasks)
        return pack(spill, tasks, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "pack", noting)

    def repaired(**options: object) -> tuple[bytes, list[str]]:
        packed.clear()
        environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
        done = fastwheel.repair(wheel, tmp_path / "out", environ=environ, **options)  # type: ignore[arg-type]
        assert done.path is not None
        return done.path.read_bytes(), sorted(packed)

    cache = tmp_path / "cache"
    plain, names = repaired()
    assert repaired(cache_dir=cache) == (plain, names)
    assert names == ["large.so", "libdeep.so.1", "small.so"]
    assert repaired(cache_dir=cache) == (plain, ["small.so"])
    with zipfile.ZipFile(wheel) as archive:
        contents = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for info, content in contents.items():
            archive.writestr(info, content, compresslevel=1)
    other, _ = repaired()
    assert other != plain
    assert repaired(cache_dir=cache) == (other, ["large.so", "small.so"])
    assert repaired(cache_dir=cache) == (other, ["small.so"])


def test_other_options_are_other_entries(run: Callable[..., list[str]], tmp_path: Path) -> None:
    run()
    for options in ({"level": 9}, {"force_rpath": True}, {"strip": True}):
        # without a need the library's search path is as it was
        assert "libwide.so.2" in run(**options)
        assert run(**options) == []
    assert run() == []
    edit = Edit(soname="a")
    keys = {
        entry_key(bytes(32), edit, 6, strip=False),
        entry_key(bytes(31) + b"a", edit, 6, strip=False),
        entry_key(bytes(32), Edit(soname="b"), 6, strip=False),
        entry_key(bytes(32), Edit(soname="\udcff"), 6, strip=False),
        entry_key(bytes(32), edit, 5, strip=False),
        entry_key(bytes(32), edit, 6, strip=True),
    }
    assert len(keys) == 6


def test_damaged_entries_are_made_again(run: Callable[..., list[str]], tmp_path: Path) -> None:
    run()
    good = {path: path.read_bytes() for path in entries(tmp_path / "cache")}
    first = next(iter(good))
    size = len(good[first])
    damages: list[bytes] = [b"", b"fastwheel", good[first][:-1], good[first] + b"x", bytes(size), good[first][:200]]
    for at in {0, 18, 19, 21, 25, 33, 65, 72, 80, 100, size // 2, size - 33, size - 32, size - 1}:
        damages.append(good[first][:at] + bytes([good[first][at] ^ 1]) + good[first][at + 1 :])
    damages.append(list(good.values())[1])  # a good entry under another's name
    for damage in damages[:-1]:
        first.write_bytes(damage)
        assert len(run()) == 1, damage[:40]
        assert {path: path.read_bytes() for path in entries(tmp_path / "cache")} == good
    first.unlink()
    first.symlink_to(list(good)[1])  # links lead anywhere
    assert len(run(notes=1)) == 1
    assert run() == []


def test_an_entry_that_is_no_file(run: Callable[..., list[str]], tmp_path: Path) -> None:
    run()
    first, second = entries(tmp_path / "cache")
    first.unlink()
    first.mkdir()
    (first / "x").write_bytes(b"")
    second.unlink()
    os.mkfifo(second)
    assert run(notes=1) == BOTH


def test_a_folder_that_cannot_be_used_is_a_warning(run: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert run(tmp_path / "file" / "cache", notes=2) == BOTH
    assert run(tmp_path / "file", notes=2) == BOTH


def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    cache = Cache(Path("/dev/full"), 1 << 30)
    cache.put("ab" * 32, Cached(0, 0, 3, bytes(32), 3), [b"abc"])
    assert len(cache.notes) == 1
    assert "cannot write it" in cache.notes[0]


def put(cache: Cache, number: int, size: int) -> str:
    key = f"{number:064x}"[::-1]
    cache.put(key, Cached(0, 0, size, bytes(32), size), [bytes([number]) * size])
    return key


def got(cache: Cache, key: str, tmp_path: Path) -> bytes | None:
    target = tmp_path / "target"
    with target.open("w+b") as file:
        file.write(b"before")
        file.flush()
        cached = cache.get(key, file.fileno(), 6)
    content = target.read_bytes()
    assert content.startswith(b"before")
    return None if cached is None else content[6:]


def test_the_folder_stays_small_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100_000)
    keys = [put(cache, number, 10_000) for number in range(9)]
    for age, key in enumerate(keys):
        path = next(path for path in entries(tmp_path / "cache") if path.name.startswith(key[2:]))
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    cache.trim()
    assert len(entries(tmp_path / "cache")) == 9
    assert got(cache, keys[0], tmp_path) == bytes([0]) * 10_000  # used: now the newest
    stray = tmp_path / "cache" / "README"
    stray.write_bytes(bytes(500_000))
    keys += [put(cache, number, 10_000) for number in range(9, 12)]
    draft = entries(tmp_path / "cache")[0].with_name("old.tmp")
    draft.write_bytes(b"")
    os.utime(draft, (1, 1))
    young = draft.with_name("young.tmp")
    young.write_bytes(b"")
    cache.trim()
    left = {key for key in keys if got(cache, key, tmp_path) is not None}
    assert left == {keys[0], *keys[6:]}
    assert stray.exists()
    assert young.exists()
    assert not draft.exists()


def test_many_processes_share_a_folder(wheel: Path, toolbox: Toolbox, tmp_path: Path) -> None:
    """Eight at once, one cache, one output folder, some of which find entries damaged by a ninth."""
    environ = {**os.environ, "LD_LIBRARY_PATH": str(toolbox.system), "FASTWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    expected = fastwheel.repair(wheel, tmp_path / "plain", environ=environ).path
    assert expected is not None
    command = [sys.executable, "-m", "fastwheel", "repair", "-q", "-w", str(tmp_path / "out"), str(wheel)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) for _ in range(8)
    ]
    while any(process.poll() is None for process in processes):
        for path in entries(tmp_path / "cache"):
            if path.suffix == ".graft" and path.stat().st_ino % 3 == 0:
                path.write_bytes(b"damaged")
        time.sleep(0.01)
    for process in processes:
        out, errors = process.communicate()
        assert (process.returncode, out) == (0, b"")
        assert b"cache" not in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == [expected.name]
    assert (tmp_path / "out" / expected.name).read_bytes() == expected.read_bytes()
    assert {path.suffix for path in entries(tmp_path / "cache")} == {".graft"}


def test_nothing_is_kept_unless_asked(wheel: Path, toolbox: Toolbox, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "FASTWHEEL_"))},
        "LD_LIBRARY_PATH": str(toolbox.system),
        "HOME": str(home),
        "TMPDIR": str(home),
    }
    command = [sys.executable, "-m", "fastwheel", "repair", "-w", str(tmp_path / "out"), str(wheel)]
    subprocess.run(command, check=True, env=environ, capture_output=True)
    environ["FASTWHEEL_CACHE_DIR"] = str(tmp_path / "cache")
    subprocess.run([*command, "--no-cache"], check=True, env=environ, capture_output=True)
    assert not any(home.iterdir())
    assert not (tmp_path / "cache").exists()
    subprocess.run([*command, "--cache-size", "1"], check=True, env=environ, capture_output=True)
    assert entries(tmp_path / "cache") == []
    subprocess.run([*command, "--cache-dir", str(home / "other")], check=True, env=environ, capture_output=True)
    assert len(entries(home / "other")) == 2
    assert entries(tmp_path / "cache") == []
