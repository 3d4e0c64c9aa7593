"""Every archive that spec "Reading" refuses, one case a rule; each is one change away from a sound archive."""

from __future__ import annotations

import struct
import zlib

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.wheel.archive import Archive, Limits
from fastwheel.wheel.limits import OPTIONS

CASES = {}


def case(code):
    def keep(function):
        CASES[function.__name__] = (code, function)
        return function

    return keep


def two(kit, first=None, second=None, **options):
    """An archive of two members, each with some of its fields changed."""
    parts = [kit.Part("a.txt", b"alpha" * 30, **(first or {})), kit.Part("b.txt", b"beta" * 30, **(second or {}))]
    return kit.assemble(parts, **options)


@case("FW100")
def empty_file(kit):
    return b""


@case("FW100")
def text_file(kit):
    return b"#!/bin/sh\necho hello\n" * 400


@case("FW100")
def gzip_file(kit):
    return b"\x1f\x8b" + bytes(100)


@case("FW101")
def cut_in_member(kit):
    return two(kit)[:50]


@case("FW101")
def cut_in_directory(kit):
    return two(kit)[:-60]


@case("FW101")
def cut_in_end_record(kit):
    return two(kit)[:-5]


@case("FW101")
def cut_in_comment(kit):
    return two(kit, comment=b"hello world")[:-4]


@case("FW102")
def byte_after_end_record(kit):
    return two(kit, suffix=b"\0")


@case("FW102")
def newline_after_comment(kit):
    return two(kit, comment=b"hello", suffix=b"\n")


@case("FW101")
def much_after_end_record(kit):
    return two(kit, suffix=bytes(70_000))


@case("FW103")
def bytes_before_unshifted(kit):
    return two(kit, prefix=b"#!/bin/sh\n", shift=-10)


@case("FW102")
def bytes_before_shifted(kit):
    return two(kit, prefix=b"#!/bin/sh\n")


@case("FW102")
def gap_between_members(kit):
    return two(kit, second={"before": b"hidden"})


@case("FW102")
def zero_gap_between_members(kit):
    return two(kit, second={"before": bytes(3)})


@case("FW102")
def gap_before_directory(kit):
    return two(kit, before_directory=b"hidden")


@case("FW102")
def unlisted_member(kit):
    hidden = kit.assemble([kit.Part("evil.py", b"evil")])
    return two(kit, second={"before": hidden[: hidden.index(b"PK\x01\x02")]})


@case("FW103")
def gap_after_directory(kit):
    return two(kit, after_directory=b"hidden")


@case("FW102")
def two_archives_joined(kit):
    one = two(kit)
    return kit.assemble([kit.Part("c.txt", b"c")], prefix=one)


@case("FW103")
def end_record_in_comment(kit):
    inner = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    return two(kit, comment=inner)


@case("FW103")
def end_signature_in_comment(kit):
    return two(kit, comment=b"see PK\5\6 there")


def hidden_table(kit, wide):
    """A stored member holds a second table and end record, whose comment is the rest of the file."""
    first = kit.Part("a.txt", b"alpha", method=0)
    inner = kit.assemble([first], zip64=wide)
    inner = inner[inner.index(b"PK\1\2") : -2]
    parts = [first, kit.Part("b.txt", inner + b"\0\0", method=0)]
    rest = len(kit.assemble(parts)) - kit.assemble(parts).index(inner) - len(inner) - 2
    return kit.assemble([first, kit.Part("b.txt", inner + struct.pack("<H", rest), method=0)])


@case("FW103")
def hidden_table_in_a_member(kit):
    return hidden_table(kit, False)


@case("FW103")
def hidden_zip64_table_in_a_member(kit):
    return hidden_table(kit, True)


@case("FW103")
def directory_offset_wrong(kit):
    return two(kit, end={"offset": 3})


@case("FW103")
def directory_offset_huge(kit):
    return two(kit, end={"offset": 0xFFFFFFFF})


@case("FW103")
def directory_size_wrong(kit):
    return two(kit, end={"size": 10})


@case("FW104")
def more_members_than_counted(kit):
    return two(kit, end={"here": 1, "count": 1})


@case("FW104")
def fewer_members_than_counted(kit):
    return two(kit, first={"comment": bytes(60)}, end={"here": 3, "count": 3})


@case("FW103")
def far_fewer_members_than_counted(kit):
    return two(kit, end={"here": 50, "count": 50})


@case("FW103")
def counts_differ(kit):
    return two(kit, end={"here": 1})


@case("FW103")
def several_disks(kit):
    return two(kit, end={"disk": 1})


@case("FW104")
def member_on_other_disk(kit):
    return two(kit, first={"central": {"disk": 2}})


@case("FW103")
def zip64_locator_wrong(kit):
    return two(kit, zip64=True, locator={"offset": 5})


@case("FW103")
def zip64_locator_disks(kit):
    return two(kit, zip64=True, locator={"disks": 2})


@case("FW103")
def zip64_end_disagrees(kit):
    return two(kit, zip64=True, end={"count": 7, "here": 7})


@case("FW103")
def zip64_end_disagrees_on_this_disk(kit):
    return two(kit, zip64=True, end={"here": 7})


@case("FW104")
def zip64_field_of_another_disk(kit):
    return two(kit, first={"central": {"disk": 0xFFFF}, "extra_central": struct.pack("<HHL", 1, 4, 1)})


@case("FW104")
def another_disk_beside_a_zip64_field(kit):
    return two(kit, first={"central": {"disk": 2}, "extra_central": struct.pack("<HH", 1, 0)})


@case("FW103")
def zip64_end_with_more_data(kit):
    return two(kit, zip64=True, end64={"rest": 60})


@case("FW103")
def zip64_end_counts_differ(kit):
    return two(kit, zip64=True, end64={"here": 1})


@case("FW103")
def zip64_end_missing(kit):
    return two(kit, end={"offset": 0xFFFFFFFF, "size": 0xFFFFFFFF, "count": 0xFFFF, "here": 0xFFFF})


@case("FW104")
def central_signature_wrong(kit):
    return two(kit, second={"central": {"signature": b"PK\1\3"}})


@case("FW104")
def central_extra_runs_over(kit):
    return two(kit, second={"extra_central": b"\xca\xfe\x09\0ab"})


@case("FW104")
def central_extra_trails(kit):
    return two(kit, second={"extra_central": b"ab"})


@case("FW104")
def zip64_extra_twice(kit):
    extra = struct.pack("<HHQ", 1, 8, 0)
    return two(kit, second={"extra_central": extra * 2})


@case("FW104")
def zip64_extra_too_short(kit):
    return two(kit, second={"extra_central": b"\1\0\4\0abcd", "central": {"size": 0xFFFFFFFF}})


@case("FW104")
def zip64_extra_contradicts(kit):
    extra = struct.pack("<HHQQ", 1, 16, 121, 120)
    return two(kit, second={"method": 0, "extra_central": extra})


@case("FW104")
def member_outside(kit):
    return two(kit, second={"central": {"offset": 0x7FFFFFFF}})


@case("FW104")
def size_beyond_file(kit):
    return two(kit, second={"method": 0, "central": {"size": 1 << 30, "compressed": 1 << 30}})


@case("FW104")
def stored_with_two_sizes(kit):
    return two(kit, second={"method": 0, "central": {"size": 119}, "local": {"size": 119}})


@case("FW105")
def local_signature_wrong(kit):
    return two(kit, second={"local": {"signature": b"PK\3\5"}})


@case("FW105")
def local_name_other(kit):
    return two(kit, second={"local": {"name": b"c.txt"}})


@case("FW105")
def local_name_longer(kit):
    return two(kit, second={"local": {"name": b"b.txt.exe"}})


@case("FW105")
def local_method_other(kit):
    return two(kit, second={"local": {"method": 0}})


@case("FW105")
def local_flags_other(kit):
    return two(kit, second={"local": {"flags": 0x800}})


@case("FW105")
def local_flags_encrypted(kit):
    return two(kit, second={"local": {"flags": 1}})


@case("FW105")
def local_crc_other(kit):
    return two(kit, second={"local": {"crc": 1}})


@case("FW105")
def local_size_other(kit):
    return two(kit, second={"local": {"size": 1}})


@case("FW105")
def local_compressed_size_other(kit):
    return two(kit, second={"local": {"compressed": 1}})


@case("FW105")
def local_zip64_size_other(kit):
    full = {"size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF}
    return two(kit, second={"local": full, "extra_local": struct.pack("<HHQQ", 1, 16, 120, 99)})


@case("FW105")
def local_sizes_zero(kit):
    return two(kit, second={"local": {"crc": 0, "size": 0, "compressed": 0}})


@case("FW105")
def unicode_name_central(kit):
    extra = struct.pack("<HHBL", 0x7075, 5 + 8, 1, zlib.crc32(b"b.txt")) + b"evil.txt"
    return two(kit, second={"extra_central": extra})


@case("FW105")
def unicode_name_local(kit):
    extra = struct.pack("<HHBL", 0x7075, 5 + 8, 1, 0) + b"evil.txt"
    return two(kit, second={"extra_local": extra})


@case("FW104")
def local_extra_runs_over(kit):
    return two(kit, second={"extra_local": b"\xca\xfe\x09\0ab"})


def streamed(kit, **fields):
    part = kit.Part("b.txt", b"beta" * 30).streamed()
    descriptor = fields.pop("descriptor", part.descriptor)
    local = {**part.local, **fields.pop("local", {})}
    parts = [kit.Part("a.txt", b"alpha"), kit.Part("b.txt", b"beta" * 30, flags=8, local=local, descriptor=descriptor)]
    return kit.assemble([*parts, kit.Part("c.txt", b"gamma")])


@case("FW105")
def descriptor_missing(kit):
    return streamed(kit, descriptor=b"")


@case("FW105")
def descriptor_crc_wrong(kit):
    return streamed(kit, descriptor=b"PK\7\x08" + bytes(4) + struct.pack("<LL", 9, 120))


@case("FW105")
def descriptor_size_wrong(kit):
    good = kit.Part("b.txt", b"beta" * 30).streamed().descriptor
    return streamed(kit, descriptor=good[:-1] + b"\1")


@case("FW105")
def descriptor_signature_wrong(kit):
    good = kit.Part("b.txt", b"beta" * 30).streamed().descriptor
    return streamed(kit, descriptor=b"PK\7\7" + good[4:])


@case("FW105")
def descriptor_and_other_bytes(kit):
    good = kit.Part("b.txt", b"beta" * 30).streamed().descriptor
    return streamed(kit, descriptor=good + b"hidden!!")


@case("FW105")
def descriptor_and_other_local_crc(kit):
    return streamed(kit, local={"crc": 77})


@case("FW106")
def overlapping_members(kit):
    """The quine-like bomb: the second member lies inside of the first one's data."""
    inner = kit.assemble([kit.Part("b.txt", b"beta", method=0)])
    local = inner[: inner.index(b"PK\x01\x02")]
    inside = {"offset": 30 + len("a.txt")}
    parts = [kit.Part("a.txt", local + b"rest", method=0), kit.Part("b.txt", b"beta", method=0, central=inside)]
    return kit.assemble(parts)


@case("FW106")
def two_names_for_one_member(kit):
    parts = [kit.Part("a.txt", b"alpha"), kit.Part("b.txt", b"beta", central={"offset": 0})]
    return kit.assemble(parts)


@case("FW106")
def data_run_into_next(kit):
    grown = {"size": 160, "compressed": 160}
    return two(kit, first={"method": 0, "central": grown, "local": grown})


@case("FW107")
def member_twice(kit):
    return kit.assemble([kit.Part("a.txt", b"1"), kit.Part("a.txt", b"2")])


@case("FW107")
def folder_twice(kit):
    return kit.assemble([kit.Part("a/", method=0, mode=0o40755)] * 2)


@case("FW110")
def encrypted(kit):
    return two(kit, second={"flags": 1})


@case("FW110")
def strongly_encrypted(kit):
    return two(kit, second={"flags": 0x41})


@case("FW110")
def masked_headers(kit):
    return two(kit, second={"flags": 0x2000})


@case("FW110")
def aes(kit):
    return two(kit, second={"method": 99})


@case("FW111")
def bzip2(kit):
    return two(kit, second={"method": 12})


@case("FW111")
def lzma(kit):
    return two(kit, second={"method": 14})


@case("FW111")
def deflate64(kit):
    return two(kit, second={"method": 9})


@case("FW111")
def patch_data(kit):
    return two(kit, second={"flags": 0x20})


@case("FW111")
def newer_format(kit):
    return two(kit, second={"central": {"needed": 64}})


@case("FW112")
def more_than_deflate_can(kit):
    fields = {"size": 900_000_000}
    return two(kit, second={"local": fields, "central": fields})


@case("FW109")
def symbolic_link(kit):
    return two(kit, second={"mode": 0o120777})


@case("FW109")
def symbolic_link_from_elsewhere(kit):
    return two(kit, second={"mode": 0o120777, "system": 0})


@case("FW109")
def device(kit):
    return two(kit, second={"mode": 0o020644})


@case("FW109")
def fifo(kit):
    return two(kit, second={"mode": 0o010644})


@case("FW109")
def folder_that_is_a_file(kit):
    return two(kit, second={"mode": 0o040755})


@case("FW109")
def folder_with_content(kit):
    return kit.assemble([kit.Part("a/", b"content", mode=0o40755)])


@case("FW109")
def folder_that_is_a_link(kit):
    return kit.assemble([kit.Part("a/", mode=0o120777, method=0)])


@case("FW114")
def file_is_folder_too(kit):
    return kit.assemble([kit.Part("a/b.txt", b"1"), kit.Part("a-b", b"2"), kit.Part("a", b"3")])


@case("FW114")
def file_and_folder_entry(kit):
    return kit.assemble([kit.Part("a", b"3"), kit.Part("a/", method=0, mode=0o40755)])


@pytest.mark.parametrize("name", list(CASES))
def test_archive_is_refused(kit, name):
    code, make = CASES[name]
    path = kit.save(make(kit))
    with pytest.raises(FastwheelError) as caught:
        Archive.open(path)
    assert caught.value.code == code, caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith(kit.NAME)


@pytest.mark.parametrize(
    "name",
    [
        b"", b"/etc/passwd", b"../a", b"a/../../b", b"a/..", b"..", b".", b"./a", b"a/./b", b"a//b", b"a\\b", b"..\\a",
        b"a\0b", b"a\nb", b"a\x1b[2J", b"\x7f", b"C:/a", b"c:/windows/a", b"/", b"//a", "a\u0085b".encode(),
        b"\xff\xfe", b"caf\xe9.py", b"a/\xed\xa0\x80", b"x" * 4097, b"a/.//", b"a/../", b"\xc0\xaf",
        b"x/" * 2049, b"a/" + b"x" * 256, "é".encode() * 128,
    ],
)  # fmt: skip
@pytest.mark.parametrize("flags", [0, 0x800])
def test_name_is_refused(kit, name, flags):
    path = kit.save(kit.assemble([kit.Part("ok", b"1"), kit.Part(name, b"", flags=flags, method=0)]))
    with pytest.raises(FastwheelError) as caught:
        Archive.open(path)
    assert caught.value.code == "FW108"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_zstd_needs_a_library(kit):
    path = kit.save(two(kit, second={"method": 93}))
    try:
        import compression.zstd  # noqa: F401
    except ImportError:
        with pytest.raises(FastwheelError, match=r"zstd.*cannot read") as caught:
            Archive.open(path)
        assert caught.value.code == "FW111"
        assert "3.14" in (caught.value.hint or "")
    else:
        with Archive.open(path) as archive, pytest.raises(FastwheelError) as caught:
            archive.read("b.txt")
        assert caught.value.code == "FW112"


LIMITS = {
    "members": Limits(members=1),
    "total_size": Limits(total_size=269),
    "ratio": Limits(ratio=2, ratio_floor=10),
    "name_length": Limits(name_length=4),
    "depth": Limits(depth=0),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(kit, name):
    path = kit.save(two(kit))
    Archive.open(path).close()
    with pytest.raises(FastwheelError) as caught:
        Archive.open(path, LIMITS[name])
    assert caught.value.code == "FW113"
    assert f"'{name}' with {OPTIONS[name]}" in (caught.value.hint or "")


def test_depth_counts_parts(kit):
    path = kit.save(kit.assemble([kit.Part("a/b/c.txt", b"1"), kit.Part("d/e/", method=0, mode=0o40755)]))
    Archive.open(path, Limits(depth=3, name_length=9)).close()
    with pytest.raises(FastwheelError, match=r"a/b/c\.txt' lies deeper"):
        Archive.open(path, Limits(depth=2))


def test_the_whole_archive_has_a_ratio_too(kit):
    data = b"\0" * (1 << 20)
    parts = [kit.Part(f"{i}", data) for i in range(100)]
    path = kit.save(kit.assemble(parts))
    with pytest.raises(FastwheelError) as caught:
        Archive.open(path)
    assert caught.value.code == "FW113"
    Archive.open(path, Limits(ratio=2000)).close()


def test_default_limits_hold_large_honest_wheels():
    limits, tight = Limits(), Limits.untrusted()
    assert limits.members >= 100_000
    assert limits.total_size >= 20 << 30
    assert tight.members < limits.members
    assert tight.total_size < limits.total_size
    assert tight.ratio < limits.ratio
