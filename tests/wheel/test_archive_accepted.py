"""Everything that spec "Reading" accepts, and how contents are read."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.wheel.archive import Archive, Limits

TEXT = b"hello world\n" * 50


def opened(kit, parts, **options):
    return Archive.open(kit.save(kit.assemble(parts, **options)))


def accepted(kit):
    part = kit.Part
    full = {"size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF}
    size = len(kit.deflate(TEXT))
    offsets = {"offset": 0xFFFFFFFF}
    return {
        "plain": part("a.txt", TEXT),
        "stored": part("a.txt", TEXT, method=0),
        "empty": part("a.txt", b""),
        "empty stored": part("a.txt", b"", method=0),
        "descriptor": part("a.txt", TEXT).streamed(),
        "descriptor without signature": part("a.txt", TEXT).streamed(signature=False),
        "wide descriptor": part("a.txt", TEXT).streamed(wide=True),
        "wide descriptor without signature": part("a.txt", TEXT).streamed(signature=False, wide=True),
        "stored with descriptor": part("a.txt", TEXT, method=0).streamed(),
        "descriptor, sizes also in the header": part(
            "a.txt",
            TEXT,
            flags=8,
            descriptor=b"PK\x07\x08" + struct.pack("<LLL", zlib.crc32(TEXT), size, len(TEXT)),
        ),
        "comment": part("a.txt", TEXT, comment=b"a comment"),
        "effort bits": part("a.txt", TEXT, flags=6, local={"flags": 0}),
        "timestamps extra": part("a.txt", TEXT, extra_local=b"UT\5\0\1abcd", extra_central=b"UT\5\0\1abcd"),
        "alignment padding": part("a.txt", TEXT, method=0, extra_local=bytes(3)),
        "alignment field": part("a.txt", TEXT, method=0, extra_local=b"\x35\xd9\x0a\0" + bytes(10)),
        "unicode name field": part(
            "a.txt", TEXT, extra_central=struct.pack("<HHBL", 0x7075, 10, 1, zlib.crc32(b"a.txt")) + b"a.txt"
        ),
        "zip64 local sizes": part("a.txt", TEXT, local=full, extra_local=struct.pack("<HHQQ", 1, 16, len(TEXT), size)),
        "zip64 local sizes unneeded": part("a.txt", TEXT, extra_local=struct.pack("<HHQQ", 1, 16, len(TEXT), size)),
        "zip64 local empty": part("a.txt", TEXT, extra_local=b"\1\0\0\0"),
        "zip64 central sizes": part(
            "a.txt", TEXT, central=full, extra_central=struct.pack("<HHQQ", 1, 16, len(TEXT), size)
        ),
        "zip64 central size only": part(
            "a.txt", TEXT, central={"size": 0xFFFFFFFF}, extra_central=struct.pack("<HHQ", 1, 8, len(TEXT))
        ),
        "zip64 central offset": part("a.txt", TEXT, central=offsets, extra_central=struct.pack("<HHQ", 1, 8, 0)),
        "zip64 central all": part(
            "a.txt", TEXT, central=full | offsets, extra_central=struct.pack("<HHQQQ", 1, 24, len(TEXT), size, 0)
        ),
        "zip64 central all and disk": part(
            "a.txt",
            TEXT,
            central=full | offsets | {"disk": 0xFFFF},
            extra_central=struct.pack("<HHQQQL", 1, 28, len(TEXT), size, 0, 0),
        ),
        "zip64 descriptor": part("a.txt", TEXT, local=full, extra_local=struct.pack("<HHQQ", 1, 16, 0, 0)).streamed(
            wide=True
        ),
        "no mode": part("a.txt", TEXT, mode=0),
        "no permissions": part("a.txt", TEXT, mode=0o100000),
        "setuid": part("a.txt", TEXT, mode=0o104755),
        "only permissions": part("a.txt", TEXT, mode=0o644),
        "made on Windows": part("a.txt", TEXT, mode=0, system=0),
        "zero date": part("a.txt", TEXT, stamp=(0, 0)),
        "impossible date": part("a.txt", TEXT, stamp=(0xFFFF, 0xFFFF)),
        "version 1.0": part("a.txt", TEXT, local={"needed": 10}),
    }


@pytest.mark.parametrize("index", range(33))
def test_member_is_accepted(kit, index):
    cases = accepted(kit)
    assert len(cases) == 33
    label, part = list(cases.items())[index]
    after = kit.Part("b/c.txt", b"next", method=0)
    for parts in ([part, after], [after, part]):
        if parts[1] is part and label.startswith(("zip64 central offset", "zip64 central all")):
            continue  # the offset 0 is written out in these
        with opened(kit, parts) as archive:
            assert [m.name for m in archive.members] == [p.name for p in parts]
            assert archive.read("a.txt") == part.content
            assert archive.read("b/c.txt") == b"next"
            assert archive.warnings == ()
            year, month, day, hour, minute, second = archive.names["a.txt"].date_time
            assert 1980 <= year <= 2107
            assert 1 <= month <= 12
            assert 1 <= day <= 31
            assert hour < 24
            assert minute < 60
            assert second < 60


@pytest.mark.parametrize(
    "options",
    [{}, {"comment": b"made by hand"}, {"comment": b"x" * 65535}, {"zip64": True}, {"zip64": True, "comment": b"c"}],
)
def test_end_records(kit, options):
    with opened(kit, [kit.Part("a", b"1"), kit.Part("b", b"2")], **options) as archive:
        assert [archive.read(m) for m in archive.members] == [b"1", b"2"]


@pytest.mark.parametrize("wide", [{}, {"count": 2, "here": 2}, {"offset": 64}])
def test_zip64_end_record_beside_a_full_end_record(kit, wide):
    data = [kit.Part("a", b"1", method=0), kit.Part("b", b"2", method=0)]
    with opened(kit, data, zip64=True, end=wide) as archive:
        assert len(archive.members) == 2


def test_no_members(kit):
    with opened(kit, []) as archive:
        assert archive.members == ()


def test_members_keep_the_directory_order(kit):
    parts = [kit.Part(n, n.encode()) for n in "abc"]
    with opened(kit, parts, order=[2, 0, 1]) as archive:
        assert [m.name for m in archive.members] == ["c", "a", "b"]
        assert [archive.read(m) for m in archive.members] == [b"c", b"a", b"b"]


def test_folders_with_and_without_entries(kit):
    parts = [
        kit.Part("a/", method=0, mode=0o40755),
        kit.Part("a/b/", method=8, mode=0o40755),
        kit.Part("c/", method=0, mode=0, system=0),
        kit.Part("d/", method=8, mode=0o40755).streamed(),
        kit.Part("a/b/x", b"1"),
        kit.Part("e/f/g", b"2"),
    ]
    with opened(kit, parts) as archive:
        assert [m.is_dir for m in archive.members] == [True] * 4 + [False] * 2
        assert archive.read("a/b/") == b""


@pytest.mark.parametrize("flags", [None, 0])
def test_names_beyond_ascii(kit, flags):
    names = ["größe/été.py", "日本/語.so", "a b/c,d.py", 'q"uote', "e\u0301", "-rf", "~", "a:b", "..a/..."]
    names += ["x" * 255, "/".join(["y" * 255] * 15)]
    with opened(kit, [kit.Part(n, b"1", flags=flags) for n in names]) as archive:
        assert [m.name for m in archive.members] == names
        assert len(archive.warnings) == (0 if flags is None else 3)


def test_names_that_differ_by_case(kit):
    with opened(kit, [kit.Part("A/x", b"1"), kit.Part("a/X", b"2"), kit.Part("e\u0301"), kit.Part("é")]) as archive:
        assert len(archive.warnings) == 2


def test_nested_archives_are_only_data(kit):
    inner = kit.assemble([kit.Part("x", b"1")], comment=b"inner")
    with opened(kit, [kit.Part("a.zip", inner, method=0), kit.Part("b.zip", inner * 3, method=0)]) as archive:
        assert archive.read("b.zip") == inner * 3


def test_content_that_looks_like_an_end_record(kit):
    content = b"PK\5\6" * 5000
    with opened(kit, [kit.Part("a", content, method=0)]) as archive:
        assert archive.read("a") == content


def test_what_the_standard_library_writes(tmp_path):
    for seekable in (True, False):
        path = tmp_path / "s.zip"
        with path.open("wb") as stream:
            target = stream if seekable else _Pipe(stream)
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
                out.writestr("a/ü.txt", TEXT)
                out.writestr(zipfile.ZipInfo("old.txt", (1980, 1, 1, 0, 0, 0)), TEXT)
                with out.open("big.txt", "w", force_zip64=True) as member:
                    member.write(TEXT)
                out.mkdir("folder") if hasattr(out, "mkdir") else out.writestr("folder/", b"")
        with Archive.open(path) as archive, zipfile.ZipFile(path) as peer:
            assert [m.name for m in archive.members] == peer.namelist()
            assert [archive.read(m) for m in archive.members] == [peer.read(n) for n in peer.namelist()]
            assert [m.date_time for m in archive.members] == [i.date_time for i in peer.infolist()]


class _Pipe:
    """A stream that cannot seek."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, data):
        return self.stream.write(data)

    def flush(self):
        self.stream.flush()


def test_what_info_zip_writes(tmp_path):
    (tmp_path / "in" / "größe").mkdir(parents=True)
    (tmp_path / "in" / "größe" / "x.txt").write_bytes(TEXT)
    (tmp_path / "in" / "run.sh").write_bytes(b"#!/bin/sh\n")
    subprocess.run(["zip", "-q", "-r", "../out.zip", "."], cwd=tmp_path / "in", check=True)
    with Archive.open(tmp_path / "out.zip") as archive:
        assert archive.read("größe/x.txt") == TEXT
    subprocess.run("zip -q -r - . | cat > ../pipe.zip", shell=True, cwd=tmp_path / "in", check=True)
    with Archive.open(tmp_path / "pipe.zip") as archive:
        assert archive.read("größe/x.txt") == TEXT


# Contents


def damaged(kit):
    part, good = kit.Part, kit.deflate(TEXT)
    crc = {"crc": 5}
    small, large = {"size": 40}, {"size": len(TEXT) + 1}
    return {
        "crc": part("a", TEXT, local=crc, central=crc),
        "crc stored": part("a", TEXT, method=0, local=crc, central=crc),
        "longer": part("a", TEXT, local=small, central=small),
        "shorter": part("a", TEXT, local=large, central=large),
        "garbage": part("a", TEXT, data=b"\xff" * 60),
        "cut": part("a", TEXT, data=good[:-3]),
        "no end": part("a", TEXT, data=b"\x00\x00\x00\xff\xff" * 3 + b"\x00"),
        "bytes after the stream": part("a", TEXT, data=good + b"hidden"),
        "no data": part("a", b"", data=b""),
        "bytes in an empty member": part("a", b"", data=good),
    }


@pytest.mark.parametrize("index", range(10))
def test_damaged_content(kit, index):
    cases = damaged(kit)
    assert len(cases) == 10
    part = list(cases.values())[index]
    with opened(kit, [part]) as archive, pytest.raises(FastwheelError) as caught:
        archive.read("a")
    assert caught.value.code == "FW112"


def test_a_bomb_is_cut_at_its_declared_size(kit):
    """200 MiB of zeros that claim to be 1000 bytes."""
    path = kit.save(kit.assemble([kit.Part("a", bytes(1000), data=kit.deflate(bytes(200 << 20)))]))
    program = (
        "import resource, sys\n"
        "from fastwheel.errors import FastwheelError\n"
        "from fastwheel.wheel.archive import Archive\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    Archive.open(sys.argv[1]).read('a')\n"
        "except FastwheelError as error:\n    print(error.code)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    code, grown = done.stdout.split()
    assert code == "FW112"
    assert int(grown) < 8 << 10


def test_large_content_comes_in_pieces(kit):
    data = os.urandom(1000) * 3000
    with opened(kit, [kit.Part("a", data), kit.Part("b", data, method=0)]) as archive:
        for member in archive.members:
            pieces = list(archive.stream(member))
            assert b"".join(pieces) == data
            assert max(map(len, pieces)) <= 1 << 20
        with pytest.raises(KeyError):
            archive.read("c")


def test_span(kit):
    with opened(kit, [kit.Part("a", TEXT)]) as archive:
        member = archive.members[0]
        assert archive.span(member) == (member.data_offset, member.compressed_size, len(TEXT), member.crc, 8)


def test_zstd_where_the_library_is_there(kit, monkeypatch):
    """The stand-in has the interface of `compression.zstd` and reads zlib streams."""

    class Decompressor:
        def __init__(self):
            self._inner = zlib.decompressobj()
            self._held = b""
            self.needs_input = True

        def decompress(self, data, max_length=-1):
            out = self._inner.decompress(self._held + data, max_length)
            self._held = self._inner.unconsumed_tail
            self.needs_input = not self._held
            return out

        @property
        def eof(self):
            return self._inner.eof

        @property
        def unused_data(self):
            return self._inner.unused_data

    module = type(sys)("compression.zstd")
    module.ZstdDecompressor, module.ZstdError = Decompressor, zlib.error
    monkeypatch.setitem(sys.modules, "compression", type(sys)("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    data = bytes(range(256)) * 20_000
    with opened(kit, [kit.Part("a", data, method=93, data=zlib.compress(data))]) as archive:
        assert archive.read("a") == data
    with opened(kit, [kit.Part("a", data, method=93, data=zlib.compress(data)[:-9])]) as archive:
        with pytest.raises(FastwheelError) as caught:
            archive.read("a")
        assert caught.value.code == "FW112"


# Files


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "socket", "device", "unreadable", "loop", "nul"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    path = Path("x.whl")
    code = "FW701"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
        code = "FW700"
    elif kind == "nul":
        path, code = Path("a\0b.whl"), "FW700"
    elif kind == "unreadable":
        path = Path("/proc/self/mem") if os.geteuid() == 0 else path
        if os.geteuid():
            path.write_bytes(b"x")
            path.chmod(0)
        code = "FW100" if os.geteuid() == 0 else "FW700"
    else:
        code = "FW700"
    with pytest.raises(FastwheelError) as caught:
        Archive.open(path)
    assert caught.value.code == code


def test_a_file_that_shrinks_while_open(kit):
    path = kit.save(kit.assemble([kit.Part("a", os.urandom(5000), method=0)]))
    with Archive.open(path) as archive:
        os.truncate(path, 100)
        with pytest.raises(FastwheelError) as caught:
            archive.read("a")
        assert caught.value.code == "FW101"


def test_no_descriptor_is_left_open(kit):
    good, bad = kit.assemble([kit.Part("a", b"1")]), b"nothing"
    before = len(os.listdir("/proc/self/fd"))
    for data in (good, bad):
        path = kit.save(data)
        try:
            archive = Archive.open(path, Limits())
        except FastwheelError:
            continue
        archive.close()
        archive.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_warnings_are_counted(kit):
    with opened(kit, [kit.Part(f"{'aA'[i % 2]}/{i // 2}", b"") for i in range(60)]) as archive:
        assert len(archive.warnings) == 11
        assert archive.warnings[-1] == "and 20 more such names"
