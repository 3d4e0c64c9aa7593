"""What the writer writes: strict records, kept bytes, the same output for the same input."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installer.sources import WheelFile

from fastwheel.errors import FastwheelError
from fastwheel.wheel import writer as writer_module
from fastwheel.wheel.archive import Archive, Limits
from fastwheel.wheel.record import format_record, row
from fastwheel.wheel.wheel import Wheel
from fastwheel.wheel.writer import Copy, New, Packed, _Thresholds, copy_wheel, pack, write_wheel

WHEN = (2020, 2, 29, 1, 2, 4)
ANYTHING = Limits(ratio=10_000, members=1 << 20)


def rewrite(path, target, extra=(), **options):
    """Copy all members of the archive at `path`, then add `extra`."""
    with Archive.open(path, ANYTHING) as archive:
        entries = [*(Copy(member) for member in archive.members), *extra]
        return write_wheel(target, archive, entries, level=6, **options)


def strict(path):
    """Assert what PyPI, uv and the spec ask of an archive beyond what the reader already does."""
    data = path.read_bytes()
    with Archive.open(path, ANYTHING) as archive:
        for member in archive.members:
            assert member.flags in (0, 0x800)
            assert (member.flags == 0x800) == (not member.name.isascii())
            assert member.create_system == 3
            assert member.end == member.data_offset + member.compressed_size
            head = struct.unpack_from("<4s5H3L2H", data, member.header_offset)
            wide = max(member.size, member.compressed_size) >= 0xFFFFFFFF
            assert head[1] == (45 if wide else 20)
            assert head[10] == (20 if wide else 0)
    with zipfile.ZipFile(path) as peer:
        assert peer.testzip() is None
        assert not peer.comment
        assert all(not info.comment for info in peer.infolist())
        return [(info.filename, peer.read(info)) for info in peer.infolist()]


def odd_parts(kit):
    """Members of every odd kind that the reader accepts."""
    text = b"some text\n" * 30
    full = {"size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF}
    return [
        kit.Part("plain.txt", text),
        kit.Part("streamed.txt", text).streamed(),
        kit.Part("streamed-wide.txt", text).streamed(wide=True, signature=False),
        kit.Part("extra.txt", text, extra_local=b"UT\5\0\1abcd", extra_central=b"UT\5\0\1abcd"),
        kit.Part("zip64.txt", text, local=full, extra_local=struct.pack("<HHQQ", 1, 16, 300, len(kit.deflate(text)))),
        kit.Part("commented.txt", text, comment=b"a comment"),
        kit.Part("old.txt", text, stamp=(0, 0)),
        kit.Part("dos.txt", text, mode=0, system=0),
        kit.Part("größe.txt", text),
        kit.Part("unmarked-é.txt", text, flags=0),
        kit.Part("stored.txt", text, method=0),
        kit.Part("empty.txt", b""),
        kit.Part("folder/", method=8, mode=0o40755),
        kit.Part("folder2/", method=0, mode=0, system=0),
        kit.Part("run", text, mode=0o100755),
        kit.Part("effort.txt", text, flags=6),
        kit.Part("large.bin", os.urandom(300_000)),
        kit.Part("large2.bin", os.urandom(300_000), extra_local=b"UT\5\0\1abcd"),
        kit.Part("plain2.txt", text),
    ]


def test_odd_members_become_plain(kit, tmp_path):
    parts = odd_parts(kit)
    source = kit.save(kit.assemble(parts, comment=b"by hand"))
    target = tmp_path / "out.whl"
    written = rewrite(source, target)
    assert written.size == target.stat().st_size
    assert strict(target) == [(p.name, p.content) for p in parts]
    with Archive.open(source) as before, Archive.open(target) as after:
        for old, new in zip(before.members, after.members, strict=True):
            assert new.plain
            assert (new.crc, new.size, new.date_time) == (old.crc, old.size, old.date_time)
            if not old.is_dir:
                assert os.pread(after.fd, new.compressed_size, new.data_offset) == os.pread(
                    before.fd, old.compressed_size, old.data_offset
                )
            if old.create_system == 3:
                assert new.external_attr == old.external_attr
            else:
                assert new.mode == (0o040755 if new.is_dir else 0o100644)
    again = tmp_path / "again.whl"
    rewrite(target, again)
    assert again.read_bytes() == target.read_bytes()
    subprocess.run(["unzip", "-tqq", target], check=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})


def test_new_members(kit, tmp_path):
    source = kit.save(kit.assemble([kit.Part("a.txt", b"a" * 100)]))
    noise = os.urandom(1000)
    extra = [
        New("b.txt", b"b" * 1000, 0o644, WHEN),
        New("noise.bin", noise, 0o755, WHEN),
        New("kept.txt", b"c" * 1000, 0o4755, WHEN, compressed=False),
        New("é.txt", b"", 0o600, (1970, 1, 1, 0, 0, 1)),
        New("packed.txt", pack([b"d" * 5000], 9)[0], 0o644, WHEN),
    ]
    target = tmp_path / "out.whl"
    rewrite(source, target, extra)
    contents = strict(target)
    assert contents[1:] == [
        ("b.txt", b"b" * 1000),
        ("noise.bin", noise),
        ("kept.txt", b"c" * 1000),
        ("é.txt", b""),
        ("packed.txt", b"d" * 5000),
    ]
    with Archive.open(target) as archive:
        facts = {m.name: (m.method, m.mode, m.date_time) for m in archive.members}
    assert facts["b.txt"] == (8, 0o100644, WHEN)
    assert facts["noise.bin"] == (0, 0o100755, WHEN)
    assert facts["kept.txt"] == (0, 0o104755, WHEN)
    assert facts["é.txt"] == (0, 0o100600, (1980, 1, 1, 0, 0, 0))
    assert facts["packed.txt"][0] == 8


@pytest.mark.parametrize("level", range(10))
def test_levels(level):
    data = b"".join(b"line %d of some text\n" % i for i in range(5000))
    packed = pack([data, b""], level)
    assert packed[1] == Packed(0, 0, 0, b"")
    assert packed[0].size == len(data)
    assert packed[0].crc == zlib.crc32(data)
    assert packed[0].method == (8 if level else 0)
    assert (zlib.decompress(packed[0].data, -15) if level else packed[0].data) == data
    if level:
        coder = zlib.compressobj(level, zlib.DEFLATED, -15)
        assert len(packed[0].data) <= 1.01 * len(coder.compress(data) + coder.flush())


def test_order_and_omission(kit, tmp_path):
    source = kit.save(kit.assemble([kit.Part(n, n.encode() * 50) for n in "abcdef"]))
    target = tmp_path / "out.whl"
    with Archive.open(source) as archive:
        a, b, _c, d, e, f = (Copy(m) for m in archive.members)
        write_wheel(target, archive, [e, New("x", b"x", 0o644, WHEN), a, b, d, f], level=6)
    assert [name for name, _ in strict(target)] == ["e", "x", "a", "b", "d", "f"]
    assert [content for _, content in strict(target)] == [
        n * 50 if n != b"x" else n for n in (b"e", b"x", b"a", b"b", b"d", b"f")
    ]


@pytest.mark.parametrize("size", [1, 60, 200, 100_000])
@pytest.mark.parametrize("count", [1, 3, 65535])
def test_zip64_where_the_thresholds_say(kit, tmp_path, size, count):
    """All places of zip64 without gigabytes: what counts as too large is made small."""
    parts = odd_parts(kit)
    source = kit.save(kit.assemble(parts))
    extra = [New("new.txt", b"n" * 4000, 0o644, WHEN)]
    target = tmp_path / "out.whl"
    rewrite(source, target, extra, _thresholds=_Thresholds(size, count))
    with zipfile.ZipFile(target) as peer:
        assert peer.testzip() is None
        assert [(i.filename, peer.read(i)) for i in peer.infolist()][:-1] == [(p.name, p.content) for p in parts]
    with Archive.open(target) as archive:
        assert [archive.read(m) for m in archive.members] == [p.content for p in parts] + [b"n" * 4000]
    subprocess.run(["unzip", "-tqq", target], check=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
    data = target.read_bytes()
    assert (b"PK\x06\x06" in data) == (count < 65535 or size < 400_000)


def test_zip64_for_many_members(kit, tmp_path):
    source = kit.save(kit.assemble([kit.Part("a", b"")]))
    for count in (65533, 65534):
        target = tmp_path / "out.whl"
        rewrite(source, target, [New(f"n{i}", b"", 0o644, WHEN) for i in range(count)])
        assert (b"PK\x06\x06" in target.read_bytes()[-200:]) == (count == 65534)
        with zipfile.ZipFile(target) as peer, Archive.open(target) as archive:
            assert len(peer.infolist()) == len(archive.members) == count + 1


def test_zip64_for_a_large_file(kit, tmp_path, monkeypatch):
    """A stored member beyond 4 GiB, almost all of it a hole, and a member behind it."""
    size = (4 << 30) + 5
    crc = 0x12345678  # never checked: the content is not read
    source = tmp_path / kit.NAME
    name = b"hole.bin"
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    full = 0xFFFFFFFF
    with source.open("wb") as out:
        out.write(struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, crc, full, full, 8, 20) + name + extra)
        out.seek(size, os.SEEK_CUR)
        behind = out.tell()
        out.write(struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, zlib.crc32(b"x"), 1, 1, 1, 0) + b"bx")
        start = out.tell()
        central = "<4s6H3L5H2L"
        out.write(
            struct.pack(central, b"PK\1\2", 813, 45, 0, 0, 0, 33, crc, full, full, 8, 20, 0, 0, 0, 0, 0) + name + extra
        )
        offset = struct.pack("<HHQ", 1, 8, behind)
        out.write(
            struct.pack(central, b"PK\1\2", 813, 45, 0, 0, 0, 33, zlib.crc32(b"x"), 1, 1, 1, 12, 0, 0, 0, 0, full)
        )
        out.write(b"b" + offset)
        end = out.tell()
        out.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 813, 45, 0, 0, 2, 2, end - start, start))
        out.write(
            struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
            + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, end - start, full, 0)
        )
    with Archive.open(source) as archive:
        assert [(m.name, m.size) for m in archive.members] == [("hole.bin", size), ("b", 1)]
        assert archive.read("b") == b"x"

    copy = writer_module._copy_range

    def leave_a_hole(label, target, fd, start, stop):
        os.lseek(target, stop - start - 4096, os.SEEK_CUR)
        copy(label, target, fd, stop - 4096, stop)

    monkeypatch.setattr(writer_module, "_copy_range", leave_a_hole)
    target = tmp_path / "out.whl"
    with Archive.open(source) as archive:
        write_wheel(target, archive, [Copy(m) for m in archive.members], level=6)
    with Archive.open(target) as after, zipfile.ZipFile(target) as peer:
        assert [(m.name, m.size, m.crc) for m in after.members] == [("hole.bin", size, crc), ("b", 1, zlib.crc32(b"x"))]
        assert after.members[1].header_offset > full
        assert [(i.filename, i.file_size) for i in peer.infolist()] == [("hole.bin", size), ("b", 1)]
        assert peer.read("b") == b"x"
    source.unlink()
    target.unlink()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, None])
def test_where_the_kernel_copies_no_ranges(kit, tmp_path, monkeypatch, number):
    source = kit.save(kit.assemble(odd_parts(kit)))
    first, second = tmp_path / "1.whl", tmp_path / "2.whl"
    rewrite(source, first)
    if number is None:
        monkeypatch.setattr(writer_module, "copy_file_range", None)
    else:
        calls = []

        def refuse(src, dst, count, offset_src=None):
            calls.append(count)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(writer_module, "copy_file_range", refuse)
    rewrite(source, second)
    assert number is None or calls
    assert first.read_bytes() == second.read_bytes()


def test_ranges_that_come_in_pieces(kit, tmp_path, monkeypatch):
    source = kit.save(kit.assemble(odd_parts(kit)))
    first, second = tmp_path / "1.whl", tmp_path / "2.whl"
    rewrite(source, first)
    real = os.copy_file_range
    counts = iter([1, 1000, 0])

    def short(src, dst, count, offset_src=None):
        piece = min(count, next(counts, 5000))
        return real(src, dst, piece, offset_src) if piece else 0

    monkeypatch.setattr(writer_module, "copy_file_range", short)
    rewrite(source, second)
    assert first.read_bytes() == second.read_bytes()


def test_runs_of_members_are_one_range(kit, tmp_path, monkeypatch):
    source = kit.save(kit.assemble([kit.Part(f"{i}", os.urandom(2000)) for i in range(500)]))
    calls = []
    real = os.copy_file_range

    def count(src, dst, count, offset_src=None):
        calls.append(count)
        return real(src, dst, count, offset_src)

    monkeypatch.setattr(writer_module, "copy_file_range", count)
    rewrite(source, tmp_path / "out.whl")
    assert len(calls) == 1


def test_batches_do_not_show(kit, tmp_path, monkeypatch):
    source = kit.save(kit.assemble([kit.Part("a", b"a" * 999)]))
    extra = [New(f"n{i}", os.urandom(50) * i, 0o644, WHEN) for i in range(60)]
    one, two = tmp_path / "1.whl", tmp_path / "2.whl"
    rewrite(source, one, extra)
    monkeypatch.setattr(writer_module, "_BATCH", 1000)
    rewrite(source, two, extra)
    assert one.read_bytes() == two.read_bytes()


def test_zstd_members_are_deflated(kit, tmp_path, monkeypatch):
    data = b"text " * 1000
    source = kit.save(kit.assemble([kit.Part("a", data), kit.Part("b", b"b")]))
    with Archive.open(source) as archive:
        monkeypatch.setattr(archive, "read", lambda member: data)
        entries = [Copy(archive.members[0]._replace(method=93)), Copy(archive.members[1])]
        write_wheel(tmp_path / "out.whl", archive, entries, level=6)
    assert strict(tmp_path / "out.whl") == [("a", data), ("b", b"b")]


def test_a_plan_with_a_name_twice_is_a_fault(kit, tmp_path):
    source = kit.save(kit.assemble([kit.Part("a", b"a")]))
    for name in ("a", "../b"):
        with pytest.raises(FastwheelError) as caught:
            rewrite(source, tmp_path / "out.whl", [New(name, b"", 0o644, WHEN)])
        assert caught.value.code == "FW900"
    assert os.listdir(tmp_path) == [kit.NAME]


def test_exact_copy(kit, tmp_path):
    source = kit.save(kit.assemble(odd_parts(kit), comment=b"kept"))
    target = tmp_path / "copy.whl"
    with Archive.open(source) as archive:
        assert copy_wheel(archive, target).size == source.stat().st_size
    assert target.read_bytes() == source.read_bytes()


CONTENT = st.binary(max_size=200) | st.binary(max_size=20).map(lambda b: b * 200)
NAMES = st.from_regex(r"[a-zé,\" ][a-z0-9é_]{0,6}(/[a-zß]{1,4}){0,2}\.py", fullmatch=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.dictionaries(
        NAMES, st.tuples(CONTENT, st.booleans(), st.sampled_from([0, 8]), st.sampled_from([0o644, 0o755]))
    ),
    new=st.dictionaries(NAMES, st.tuples(CONTENT, st.booleans())),
    level=st.integers(0, 9),
    order=st.randoms(use_true_random=False),
)
def test_any_wheel_opens_everywhere(kit, tmp_path, kept, new, level, order):
    """What is written is read alike by fastwheel, zipfile, unzip and the installer of PyPA."""
    import hashlib

    parts = []
    for name, (content, streamed, method, mode) in kept.items():
        part = kit.Part(name, content, method=method, mode=mode | 0o100000)
        parts.append(part.streamed() if streamed else part)
    source = kit.save(kit.assemble(kit.wheel_parts(*parts, kit.Part("demo/__init__.py", b""))))
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    target = out / kit.NAME
    with Wheel.open(source, ANYTHING) as wheel:
        body = [m for m in wheel.archive.members if not m.name.startswith(kit.INFO)]
        tail = [m for m in wheel.archive.members if m.name.startswith(kit.INFO) and m.name != wheel.record_name]
        order.shuffle(body)
        added = [New(n, c, 0o644, WHEN, z) for n, (c, z) in new.items() if n not in kept]
        contents = {m.name: wheel.archive.read(m) for m in (*body, *tail)} | {e.name: e.content for e in added}
        rows = [row(n, hashlib.sha256(c).digest(), len(c)) for n, c in contents.items()]
        record = New(wheel.record_name, format_record(rows, wheel.record_name), 0o644, WHEN)
        entries = [*map(Copy, body), *added, *map(Copy, tail), record]
        write_wheel(target, wheel.archive, entries, level=level)
    with Wheel.open(target, ANYTHING) as wheel:
        found = {m.name: wheel.archive.read(m) for m in wheel.archive.members}
        assert wheel.check_record({n: hashlib.sha256(c).digest() for n, c in found.items()}) == ()
        assert wheel.warnings == ()
    assert found.pop(record.name) == record.content
    assert found == contents
    assert dict(strict(target)) == {**contents, record.name: record.content}
    with WheelFile.open(target) as peer:
        peer.validate_record()
        assert {fields[0]: stream.read() for fields, stream, _ in peer.get_contents()} == {
            **contents,
            record.name: record.content,
        }
    done = subprocess.run(
        ["unzip", "-tqq", target],
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_output_does_not_depend_on_the_process(kit, tmp_path):
    source = kit.save(kit.assemble(odd_parts(kit)))
    old = os.umask(0o077)
    try:
        rewrite(source, tmp_path / "1.whl", [New("n", b"n" * 99, 0o644, WHEN)])
        os.umask(0)
        rewrite(source, tmp_path / "2.whl", [New("n", b"n" * 99, 0o644, WHEN)])
    finally:
        os.umask(old)
    assert (tmp_path / "1.whl").read_bytes() == (tmp_path / "2.whl").read_bytes()
    assert (tmp_path / "1.whl").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "2.whl").stat().st_mode & 0o777 == 0o666


def test_relative_target(kit, tmp_path, monkeypatch):
    source = kit.save(kit.assemble([kit.Part("a", b"1")]))
    monkeypatch.chdir(tmp_path)
    rewrite(source, Path("out.whl"))
    assert strict(tmp_path / "out.whl") == [("a", b"1")]
