"""The floor writes real wheels: pip installs them, RECORD holds, and they are what fastwheel makes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheelbench.compare import differences
from wheelbench.floorjob import facts_end, floor_job
from wheelbench.jobs import Job
from wheelbench.measure import FailedError, run
from wheelbench.store import programs

import fastwheel

# They share one build of the program.
pytestmark = pytest.mark.xdist_group("bench-floor")
Small = tuple[Path, Path]


def floor(job: Job, out: Path, *, checks: bool = False) -> list[Path]:
    out.mkdir(exist_ok=True)
    subprocess.run([programs() / "floor", floor_job(job, out, checks=checks)], check=True)
    return sorted(out.glob("*.whl"))


def test_it_is_the_wheel_that_fastwheel_makes(small: Small, tmp_path: Path) -> None:
    wheel, libraries = small
    (made,) = floor(Job("t", "repair", (wheel,), libraries), tmp_path / "floor")
    done = fastwheel.repair(wheel, tmp_path / "ours", lib_paths=[str(libraries)], environ={})
    assert done.path is not None
    assert made.name == done.path.name
    assert differences([done.path], [made]) == []
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(done.path) as other:
        assert one.testzip() is None
        assert one.namelist() == other.namelist()
        same = [name for name in one.namelist() if not name.endswith("/RECORD")]
        assert [name for name in same if one.read(name) != other.read(name)] == []
        (record,) = (name for name in one.namelist() if name.endswith("/RECORD"))
        assert sorted(one.read(record).splitlines()) == sorted(other.read(record).splitlines())


def test_with_checks_it_makes_the_same(small: Small, tmp_path: Path) -> None:
    job = Job("t", "repair", (small[0],), small[1])
    (plain,), (checked,) = floor(job, tmp_path / "plain"), floor(job, tmp_path / "checked", checks=True)
    assert plain.read_bytes() == checked.read_bytes()


@pytest.mark.parametrize("what", ["content", "hash"])
def test_the_checks_are_made(what: str, small: Small, tmp_path: Path) -> None:
    """A wheel that is damaged once the job is described."""
    wheel = tmp_path / small[0].name
    wheel.write_bytes(small[0].read_bytes())
    (tmp_path / "out").mkdir()
    described = floor_job(Job("t", "repair", (wheel,), small[1]), tmp_path / "out", checks=True)
    with zipfile.ZipFile(wheel) as archive:
        contents = {entry: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for entry, content in contents.items():
            damaged = content + b"#" if what == "hash" and entry.filename.endswith(".py") else content
            archive.writestr(entry, damaged)
    if what == "content":
        with zipfile.ZipFile(wheel) as archive:
            middle = max((entry.compress_size // 2, entry.header_offset) for entry in archive.infolist())
        data = bytearray(wheel.read_bytes())
        data[sum(middle)] ^= 1
        wheel.write_bytes(data)
    ran = subprocess.run([programs() / "floor", described], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert ("RECORD disagrees" in ran.stderr) == (what == "hash")


def test_pip_installs_it(small: Small, tmp_path: Path) -> None:
    wheel, libraries = small
    (made,) = floor(Job("t", "repair", (wheel,), libraries), tmp_path / "floor")
    plain = made.rename(tmp_path / "small-1.0-py3-none-any.whl")  # whatever Python runs this
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*line, str(tmp_path / "installed"), str(plain)], check=True)
    module = tmp_path / "installed" / "small" / "small.cpython-311-x86_64-linux-gnu.so"
    program = f"import ctypes; print(ctypes.CDLL({str(module)!r}).two(40))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "42\n"


def test_several_wheels_and_one_that_needs_nothing(small: Small, tmp_path: Path) -> None:
    wheel, libraries = small
    other = tmp_path / wheel.name.replace("cp311-cp311", "cp312-cp312")
    other.write_bytes(wheel.read_bytes().replace(b"cp311-cp311-linux", b"cp312-cp312-linux"))
    done = fastwheel.repair(wheel, tmp_path / "ours", lib_paths=[str(libraries)], environ={})
    assert done.path is not None
    (copy,) = floor(Job("t", "repair", (done.path,), libraries), tmp_path / "copy")
    assert copy.read_bytes() == done.path.read_bytes()


def test_show_writes_nothing(small: Small, tmp_path: Path) -> None:
    assert floor(Job("t", "show", (small[0],)), tmp_path / "floor") == []


def test_how_far_a_reader_has_to_read(tmp_path: Path, small: Small) -> None:
    """A file cut off there still tells its needs; one byte less does not hold them all."""
    content = (small[1] / "libone.so.1").read_bytes()
    end = facts_end(content)
    assert end < len(content)
    facts = fastwheel.elf.read(content)
    assert all(name.encode() + b"\0" in content[:end] for name in (*facts.needed, facts.soname or ""))
    (dynamic,) = (segment for segment in facts.segments if segment.type == 2)
    assert end >= dynamic.offset + dynamic.file_size


def test_the_stopwatch(tmp_path: Path) -> None:
    busy = (
        "import time\nx = bytearray(50 << 20)\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    )
    found = run([sys.executable, "-c", busy], {}, tmp_path)
    assert 0.3 <= found.cpu < 5
    assert found.wall >= 0.3
    assert 50 << 20 < found.memory < 200 << 20
    assert run(["/bin/true"], {}, tmp_path).memory < 8 << 20
    with pytest.raises(FailedError, match="no such thing"):
        run(["/bin/sh", "-c", "echo no such thing; exit 3"], {}, tmp_path)
