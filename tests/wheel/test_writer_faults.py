"""Whatever happens while a wheel is written: the whole new file, or the folder as it was."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.wheel import output
from fastwheel.wheel.archive import Archive
from fastwheel.wheel.writer import Copy, New, write_wheel

WHEN = (2020, 2, 29, 1, 2, 4)


def write(source, target, **options):
    with Archive.open(source) as archive:
        entries = [*(Copy(m) for m in archive.members), New("new.txt", b"new" * 300, 0o644, WHEN)]
        return write_wheel(target, archive, entries, level=6, **options)


@pytest.fixture
def source(kit):
    return kit.save(kit.assemble([kit.Part("a", os.urandom(9000)), kit.Part("b", b"b" * 99).streamed()]))


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def whole(source, tmp_path):
    """What a complete output is."""
    target = tmp_path / "whole.whl"
    write(source, target)
    return target.read_bytes()


# Names that are taken


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "hard link", "link to a folder", "read-only file"])
def test_the_name_is_replaced_and_nothing_written_through_it(source, out, whole, kind):
    other, target = out.parent / "other", out / "x.whl"
    other.write_bytes(b"precious")
    if kind == "link":
        target.symlink_to(other)
    elif kind == "dangling link":
        target.symlink_to(out.parent / "gone")
    elif kind == "hard link":
        target.hardlink_to(other)
    elif kind == "link to a folder":
        target.symlink_to(out.parent)
    else:
        target.write_bytes(b"old")
        target.chmod(0o400 if kind == "read-only file" else 0o644)
    write(source, target)
    assert target.read_bytes() == whole
    assert not target.is_symlink()
    assert target.stat().st_nlink == 1
    assert other.read_bytes() == b"precious"
    assert not (out.parent / "gone").exists()
    assert os.listdir(out) == ["x.whl"]


@pytest.mark.parametrize("kind", ["folder", "full folder", "fifo", "socket"])
@pytest.mark.parametrize("late", [False, True])
def test_other_things_under_the_name_are_refused(source, out, kind, late, monkeypatch):
    monkeypatch.chdir(out)  # a socket's path has to be short
    target = out / "x.whl"

    def occupy(_path=None):
        if kind == "fifo":
            os.mkfifo(target)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind("x.whl")
        else:
            target.mkdir()
            if kind == "full folder":
                (target / "y").touch()

    if not late:
        occupy()
    with pytest.raises(FastwheelError) as caught:
        write(source, target, prove=occupy if late else None)
    assert caught.value.code == "FW704"
    assert os.listdir(out) == ["x.whl"]
    assert not target.is_file()


def test_output_in_place_of_the_input(source, whole):
    write(source, source)
    assert source.read_bytes() == whole
    assert os.listdir(source.parent) == sorted(os.listdir(source.parent), key=lambda n: n != source.name)


# Faults of the machine


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "FW703"),
        (errno.EDQUOT, "FW703"),
        (errno.EFBIG, "FW703"),
        (errno.EIO, "FW702"),
        (errno.EROFS, "FW702"),
        (errno.EACCES, "FW702"),
        (errno.ESTALE, "FW702"),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_failing_call(source, out, monkeypatch, number, code, call):
    (out / "x.whl").write_bytes(b"old")
    real = getattr(os, call)

    def broken(*args, **kwargs):
        if call == "open" and not str(args[0]).endswith(".tmp"):
            return real(*args, **kwargs)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, broken)
    with pytest.raises(FastwheelError) as caught:
        write(source, out / "x.whl")
    monkeypatch.undo()
    assert caught.value.code == code
    assert os.strerror(number) in caught.value.message
    assert str(out / "x.whl") in caught.value.message
    assert os.listdir(out) == ["x.whl"]
    assert (out / "x.whl").read_bytes() == b"old"


@pytest.mark.parametrize("target", ["gone/x.whl", "file/x.whl", "x" * 300 + ".whl", "a\0b.whl"])
def test_a_bad_place(source, out, target):
    (out / "file").touch()
    with pytest.raises(FastwheelError) as caught:
        write(source, out / target)
    assert caught.value.code == "FW702"
    assert caught.value.message.isprintable()
    assert os.listdir(out) == ["file"]


def test_a_folder_that_nobody_can_write(source):
    with pytest.raises(FastwheelError) as caught:
        write(source, type(source)("/proc/x.whl"))
    assert caught.value.code == "FW702"


def test_a_name_as_long_as_names_can_be(source, out, whole):
    target = out / ("é" * 125 + "x.whl")
    assert len(os.fsencode(target.name)) == 255
    write(source, target)
    assert target.read_bytes() == whole


def test_no_proof_no_file(source, out):
    seen = []

    def prove(path):
        seen.append(path)
        with Archive.open(path) as archive:
            assert [m.name for m in archive.members] == ["a", "b", "new.txt"]
        assert path.parent == out
        assert path.suffix == ".tmp"
        raise FastwheelError("not good", code="FW900")

    with pytest.raises(FastwheelError, match="not good"):
        write(source, out / "x.whl", prove=prove)
    assert seen
    assert os.listdir(out) == []


def test_temporary_names_that_are_taken(source, out, whole, monkeypatch):
    names = iter([b"\xaa", b"\xaa", b"\xbb"])
    (out / ".x.whl.aa.tmp").write_bytes(b"another process writes here")
    monkeypatch.setattr(os, "urandom", lambda _n: next(names))
    write(source, out / "x.whl")
    assert next(names, None) is None
    assert sorted(os.listdir(out)) == [".x.whl.aa.tmp", "x.whl"]
    assert (out / ".x.whl.aa.tmp").read_bytes() == b"another process writes here"
    assert (out / "x.whl").read_bytes() == whole


def test_a_limit_on_file_sizes(source, out):
    """RLIMIT_FSIZE at many sizes: a real failing write."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from fastwheel.errors import FastwheelError\n"
        "from fastwheel.wheel.archive import Archive\n"
        "from fastwheel.wheel.writer import Copy, write_wheel\n"
        "archive = Archive.open(sys.argv[1])\n"
        "for size in (0, 1, 100, 4096, 8999, 9000, 9100, archive.size - 200):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        write_wheel(Path(sys.argv[2]), archive, [Copy(m) for m in archive.members], level=6)\n"
        "        print('written')\n"
        "    except FastwheelError as error:\n"
        "        print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, out / "x.whl"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["FW703"] * 8
    assert os.listdir(out) == []


# Signals


def test_an_interrupt_at_every_line(source, out, whole, monkeypatch):
    """SIGINT at each line that the writer runs, one after the other: no leftover, and never half a file."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    files = {output.__file__, output.__file__.replace("output", "writer"), threading.__file__, signal.__file__}
    target = out / "x.whl"
    point, outcomes = 0, set()
    while True:
        point += 1
        target.write_bytes(b"old")
        count = 0

        def trace(frame, event, _argument, point=point):
            nonlocal count
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                count += 1
                if count == point:
                    signal.raise_signal(signal.SIGINT)
            return trace

        with Archive.open(source) as archive:
            entries = [*(Copy(m) for m in archive.members), New("new.txt", b"new" * 300, 0o644, WHEN)]
            sys.settrace(trace)
            try:
                write_wheel(target, archive, entries, level=6)
            except KeyboardInterrupt:
                finished = False
            else:
                finished = True
            finally:
                sys.settrace(None)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, point
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, point
        assert os.listdir(out) == ["x.whl"], point
        assert target.read_bytes() in (b"old", whole), point
        outcomes.add((finished, target.read_bytes() == whole))
        if finished:
            break
    assert point > 150
    assert outcomes == {(False, False), (False, True), (True, True)}


CHILD = """
import os, sys, threading
from pathlib import Path
from fastwheel.wheel.archive import Archive
from fastwheel.wheel.writer import Copy, New, write_wheel
archive = Archive.open(sys.argv[1])
content = os.urandom(1000) * 300
entries = [*(Copy(m) for m in archive.members), New("new", content, 0o644, (2020, 1, 1, 0, 0, 0))]
print("go", flush=True)
while True:
    write_wheel(Path(sys.argv[2]), archive, entries, level=6, prove=lambda p: Archive.open(p).close())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_signals_at_random_moments(source, out, number):
    target = out / "x.whl"
    chance = random.Random(number)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, source, target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"go\n"
            time.sleep(chance.random() * 0.05)
            child.send_signal(number)
            try:
                assert child.wait(20) == -number
            finally:
                child.kill()  # leaving the block would wait for a child that goes on
        left = os.listdir(out)
        if number == signal.SIGKILL:
            left = [name for name in left if not name.endswith(".tmp")]
        assert left in ([], ["x.whl"])
        if left:
            with Archive.open(target) as archive:
                assert archive.read("new")


def test_ignored_signals_stay_ignored(source, out, whole):
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        write(source, out / "x.whl", prove=lambda _p: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, old)
    assert (out / "x.whl").read_bytes() == whole


def test_handlers_of_the_caller_stay(source, out, whole):
    seen = []
    old = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    try:
        write(source, out / "x.whl", prove=lambda _p: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, old)
    assert seen == [signal.SIGTERM]
    assert (out / "x.whl").read_bytes() == whole


def test_in_a_thread(source, out, whole):
    thread = threading.Thread(target=write, args=(source, out / "x.whl"))
    thread.start()
    thread.join()
    assert (out / "x.whl").read_bytes() == whole


def test_many_writers_of_one_name(source, out, whole):
    threads = [threading.Thread(target=write, args=(source, out / "x.whl")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(out) == ["x.whl"]
    assert (out / "x.whl").read_bytes() == whole
