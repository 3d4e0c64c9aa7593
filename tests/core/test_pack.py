"""`engine.pack`: new members made in parallel are what their contents say, and the same whatever the threads."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from fastwheel import engine
from fastwheel._elf.model import Edit
from fastwheel.engine import Packed, Span, Task
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("chosen")

MIB = 1 << 20
#: A file grows by that, without a slot for a new segment it moves.
LONG = Edit(soname="lib" + "x" * 9000 + ".so.1")


def words(size: int, seed: int = 1) -> bytes:
    """Text that deflates like a program does."""
    chance = random.Random(seed)
    lexicon = [chance.randbytes(chance.randrange(2, 12)) for _ in range(3000)]
    text = b"".join(chance.choices(lexicon, k=size // 6 + 1))
    return (text * (size // len(text) + 1))[:size]


def run(
    tasks: Sequence[Task], tmp_path: Path, *, level: int = 6, jobs: int = 0, archive: int | None = None
) -> tuple[list[Packed | None], list[bytes]]:
    """The results, and the data of each."""
    path = tmp_path / "spill"
    path.write_bytes(b"already there")
    with path.open("r+b") as spill:
        made = engine.pack(spill.fileno(), tasks, level, archive=archive, jobs=jobs)
        whole = path.read_bytes()
    assert whole.startswith(b"already there")
    data = []
    for packed in made:
        ranges = () if packed is None else packed.ranges
        assert all(offset >= 13 and length > 0 and offset + length <= len(whole) for offset, length in ranges)
        data.append(b"".join(whole[offset : offset + length] for offset, length in ranges))
    return made, data


def content_of(packed: Packed, data: bytes) -> bytes:
    """Inflate and check what a reader of the archive would."""
    content = data
    if packed.method == 8:
        inflater = zlib.decompressobj(-15)
        content = inflater.decompress(data)
        assert inflater.eof
        assert inflater.unused_data == b""
    assert (packed.size, packed.crc) == (len(content), zlib.crc32(content))
    assert packed.sha256 == hashlib.sha256(content).digest()
    return content


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_contents_of_all_sizes(tmp_path: Path, level: int) -> None:
    sizes = [0, 1, 5, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 12345]
    contents = [words(size) for size in sizes] + [os.urandom(size) for size in (1, 5000, MIB, 3 * MIB)]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"file{number}")
        paths[-1].write_bytes(content)
    tasks = [Task(str(path), None, path.name) for path in paths] + [
        Task(content, None, "bytes") for content in contents
    ]
    made, data = run(tasks, tmp_path, level=level)
    for content, path, of_file, of_bytes, first, second in zip(
        contents, paths, made, made[len(contents) :], data, data[len(contents) :], strict=False
    ):
        assert of_file is not None
        assert of_bytes is not None
        assert content_of(of_file, first) == content
        assert first == second
        info = path.stat()
        assert of_file.identity == (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
        assert of_bytes.identity is None
        assert len(first) <= min(len(content), len(zlib.compress(content, level)) * 1.05)
        assert (of_file.method == 8) == (len(first) < len(content))


def test_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    tasks = [Task(words(size, seed), None, "x") for seed, size in enumerate([100, 4 * MIB, 3, 2 * MIB + 1, 50_000] * 2)]
    expected = run(tasks, tmp_path, jobs=1)[1]
    for jobs in (0, 3, 16):
        assert run(tasks, tmp_path, jobs=jobs)[1] == expected
    assert [run([task], tmp_path)[1][0] for task in tasks] == expected


def test_libraries_get_no_larger_than_zlib_makes_them(tmp_path: Path, system_libraries: list[Path]) -> None:
    content = b"".join(path.read_bytes() for path in system_libraries[::4])[: 6 * MIB]
    assert len(content) > 3 * MIB
    assert len(run([Task(content, None, "x")], tmp_path)[1][0]) <= 1.01 * len(zlib.compress(content, 6))


@pytest.mark.parametrize("edit", [Edit(soname="libnew.so.3"), Edit(runpath="$ORIGIN/../x.libs"), LONG, Edit()])
def test_edits_are_those_of_the_editor(
    tmp_path: Path, system_libraries: list[Path], edit: Edit, make_zip: Callable
) -> None:
    libraries = sorted(system_libraries, key=lambda path: path.stat().st_size)
    chosen = [*libraries[:3], *libraries[-2:], *libraries[:: len(libraries) // 12]]
    chosen = [path for path in chosen if "ld-" not in path.name]
    # larger than what is edited in one buffer
    large = tmp_path / "large.so"
    large.write_bytes(libraries[-1].read_bytes() + words(3 * MIB))
    chosen.append(large)
    expected = {}
    for path in chosen:
        try:
            expected[path] = engine.edit(path.read_bytes(), edit)
        except FastwheelError as error:
            refused = error.code, f"lib\\nname: {error.message}"
        else:
            continue
        with pytest.raises(FastwheelError) as caught:
            run([Task(str(path), edit, "lib\nname")], tmp_path)
        assert (caught.value.code, caught.value.message) == refused
    made = make_zip({path.name: (path.read_bytes(), 8) for path in expected})
    tasks = [Task(str(path), edit, path.name) for path in expected]
    tasks += [Task(made.spans[path.name], edit, path.name) for path in expected]
    tasks += [Task(path.read_bytes(), edit, path.name) for path in expected]
    with made.path.open("rb") as archive:
        packed, data = run(tasks, tmp_path, archive=archive.fileno())
    for index, (path, content) in enumerate(expected.items()):
        of_file = packed[index]
        assert of_file is not None
        assert content_of(of_file, data[index]) == content
        for other in (index + len(expected), index + 2 * len(expected)):
            result = packed[other]
            if content == path.read_bytes():
                assert result is None
            else:
                assert result is not None
                assert content_of(result, data[other]) == content
    assert edit == Edit() or any(content != path.read_bytes() for path, content in expected.items())


def test_what_cannot_be_done_is_told_of_the_first(tmp_path: Path, make_zip: Callable) -> None:
    text = words(3 * MIB)
    made = make_zip({"good": (text, 8)})
    span = made.spans["good"]
    fine = [Task(text, None, "fine")] * 3
    bad = Task(b"#!/bin/sh\n", Edit(soname="a.so"), "script")
    gone = Task(str(tmp_path / "gone\n"), None, str(tmp_path / "gone\n"))
    folder = Task(str(tmp_path), None, str(tmp_path))
    lie = Task(span._replace(crc=1), None, "lie")
    nul = Task("a\0b", None, "a\0b")
    with made.path.open("rb") as archive:
        for tasks, code, text_of in (
            ([*fine, bad, gone], "FW300", "script: "),
            ([gone, *fine, bad], "FW700", "gone\\n: No such file"),
            ([folder], "FW700", "cannot read "),
            ([*fine, lie, *fine, bad], "FW112", "lie is damaged: its CRC"),
            ([Task(span._replace(compressed_size=span.compressed_size - 1), None, "cut")], "FW112", "cut is damaged"),
            ([nul], "FW700", "cannot read a\\x00b"),
        ):
            for jobs in (1, 4):
                with pytest.raises(FastwheelError) as caught:
                    run(tasks, tmp_path, jobs=jobs, archive=archive.fileno())
                assert caught.value.code == code
                assert text_of in caught.value.message
    assert run([], tmp_path) == ([], [])
    with pytest.raises(FastwheelError, match="no compression level 10"):
        run([], tmp_path, level=10)


def test_a_spill_that_cannot_be_written_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "spill").write_bytes(b"")
    with (tmp_path / "spill").open("rb") as spill, pytest.raises(OSError, match="Bad file descriptor"):
        engine.pack(spill.fileno(), [Task(words(5 * MIB), None, "x")], 6)


def test_a_span_outside_of_any_archive(tmp_path: Path, make_zip: Callable) -> None:
    made = make_zip({"a": (b"abc" * 1000, 8)})
    with made.path.open("rb") as archive, pytest.raises(FastwheelError) as caught:
        run([Task(Span(1 << 60, 5, 5, 0, 8), None, "far")], tmp_path, archive=archive.fileno())
    assert caught.value.code == "FW112"


_LONG_WORK = """
import sys
from fastwheel import engine
print("ready", flush=True)
with open(sys.argv[1], "w+b") as spill:
    engine.pack(spill.fileno(), [engine.Task(sys.argv[2], None, "x")] * 40, 9, jobs=int(sys.argv[3]))
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_is_answered_at_once(tmp_path: Path, jobs: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(words(24 * MIB))
    command = [sys.executable, "-c", _LONG_WORK, str(tmp_path / "spill"), str(source), str(jobs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.7)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        watchdog = threading.Timer(20, process.kill)
        watchdog.start()
        begun = time.monotonic()
        _, errors = process.communicate()
        watchdog.cancel()
        assert b"KeyboardInterrupt" in errors
        assert time.monotonic() - begun < 10


def test_memory_stays_small_on_large_files(tmp_path: Path, system_libraries: list[Path], chosen: str) -> None:
    limit = 4.5 if chosen == "python" else 0.5  # the pure editor holds input and output
    source = tmp_path / "large.so"
    with source.open("wb") as file:
        file.write(max(system_libraries, key=lambda path: path.stat().st_size).read_bytes())
        block = words(8 * MIB)
        for _ in range(10):
            file.write(block)
    size = source.stat().st_size
    script = (
        "import re, sys\nfrom fastwheel import engine\nfrom fastwheel._elf.model import Edit\n"
        # not ru_maxrss, which begins with that of the parent
        "def peak(): return int(re.search('VmHWM:\\\\s+([0-9]+)', open('/proc/self/status').read())[1])\n"
        "engine.name()\nbefore = peak()\n"
        "with open(sys.argv[1], 'w+b') as spill:\n"
        "    (made,) = engine.pack(spill.fileno(), [engine.Task(sys.argv[2], Edit(soname='a.so'), 'x')], 1)\n"
        "print(made.size, peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "spill"), str(source)],
        capture_output=True,
        check=True,
        env={**os.environ, engine.VARIABLE: chosen},
    )
    made, grown = map(int, done.stdout.split())
    assert made >= size
    assert grown * 1024 < limit * size


def test_a_large_member_keeps_most_of_its_stream(tmp_path: Path, system_libraries: list[Path], chosen: str) -> None:
    """A stream that was made badly shows: what is kept of it stays bad."""
    library = max((path for path in system_libraries if "ld-" not in path.name), key=lambda path: path.stat().st_size)
    content = library.read_bytes() + b"".join(path.read_bytes() for path in system_libraries[::10])[: 2 * MIB]
    edit = Edit(soname="liba.so")
    wanted = engine.edit(content, edit)
    fast = zlib.compressobj(1, zlib.DEFLATED, -15)
    stream = fast.compress(content) + fast.flush()
    archive = tmp_path / "archive"
    archive.write_bytes(b"head" + stream)
    task = Task(Span(4, len(stream), len(content), zlib.crc32(content), 8), edit, "x")
    with archive.open("rb") as file:
        (made,), (data,) = run([task], tmp_path, archive=file.fileno())
        again = [run([task], tmp_path, archive=file.fileno(), jobs=jobs)[1][0] for jobs in (1, 3)]
    assert made is not None
    assert content_of(made, data) == wanted
    assert again == [data, data]
    fresh = len(zlib.compress(wanted, 6))
    assert len(stream) > 1.05 * fresh
    if chosen == "rust":
        assert abs(len(data) - len(stream)) < 0.02 * len(stream)
    else:
        assert len(data) < 1.02 * fresh
