"""The small formats: file name, WHEEL, METADATA, RECORD, install layout, time stamps."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import parse_wheel_filename

from fastwheel.errors import FastwheelError
from fastwheel.wheel.filename import _PLAIN, WheelFileName
from fastwheel.wheel.layout import InstallLayout, InstallPath
from fastwheel.wheel.metadata import Metadata, WheelInfo
from fastwheel.wheel.names import case_twins, file_and_folder, first_fault, name_fault, shown
from fastwheel.wheel.record import Record, Row, format_record, row
from fastwheel.wheel.zipformat import from_dos, to_dos

# File name

GOOD = [
    "demo-1.0-py3-none-any.whl",
    "Demo.Pkg_x-1.0.post1-py2.py3-none-any.whl",
    "demo-1.0-1-cp312-cp312-linux_x86_64.whl",
    "demo-1.0-2build.x-cp312-abi3-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
    "demo-1!2.0rc1+local.1_x-cp312-cp312-musllinux_1_2_aarch64.whl",
    "demo-1.0-cp315-abi3.abi3t-linux_x86_64.whl",
    "demo-1.0-cp312-cp312-linux_x86_64-x8664v3.whl",
    "demo-1.0-7-cp312-cp312-linux_x86_64-cu12.8_a.whl",
    "demo-1.0-cp313-cp313-android_24_arm64_v8a.whl",
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_keeps_every_byte(name):
    assert WheelFileName.parse(name).name == name


@given(st.from_regex(_PLAIN, fullmatch=True))
def test_what_packaging_is_not_asked_it_would_accept(stem):
    if "__" not in stem.partition("-")[0]:
        parse_wheel_filename(f"{stem}.whl")


def test_parts_of_a_name():
    parsed = WheelFileName.parse(GOOD[7])
    assert (parsed.project, parsed.version, parsed.build) == ("demo", "1.0", "7")
    assert (parsed.python_tags, parsed.abi_tags, parsed.platform_tags) == (("cp312",), ("cp312",), ("linux_x86_64",))
    assert parsed.variant == "cu12.8_a"
    assert WheelFileName.parse(GOOD[1]).prefix == "Demo.Pkg_x"
    assert WheelFileName.parse(GOOD[1]).tags == ("py2-none-any", "py3-none-any")


def test_new_platforms_are_sorted():
    name = WheelFileName.parse("demo-1.0-5-cp312-cp312-linux_x86_64-v3.whl")
    tags = ["musllinux_1_1_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64", "manylinux1_x86_64"]
    expected = "demo-1.0-5-cp312-cp312-manylinux1_x86_64.manylinux_2_5_x86_64.musllinux_1_1_x86_64-v3.whl"
    assert name.with_platforms(tags).name == expected


@pytest.mark.parametrize(
    "name",
    [
        "", ".whl", "demo.whl", "demo-1.0.whl", "demo-1.0-py3-none.whl", "demo-1.0-py3-none-any.zip",
        "demo-1.0.tar.gz", "demo-1.0-py3-none-any.WHL", "de mo-1.0-py3-none-any.whl", "demo-banana-py3-none-any.whl",
        "demo-1.0-x1-py3-none-any-a-b.whl", "demo-1.0-1-py3-none-any-v-w.whl", "demo-1.0-py3--any.whl",
        "demo-1.0-py3-none-any-.whl.whl", "-1.0-py3-none-any.whl", "demo--py3-none-any.whl",
        "demo-1.0-py3-none-any-.whl", "de__mo-1.0-py3-none-any.whl",
        "demo-1.0-py3..py2-none-any.whl", "demo-1.0-py3-none-any.-x.whl", "demo-1.0-py3-no ne-any.whl",
        "demo-1.0-py3-none-any\n.whl", "d\udcffmo-1.0-py3-none-any.whl", "demo-1.0-" + "9" * 5000 + "-py3-none-any.whl",
        "demo-" + "9" * 5000 + "-py3-none-any.whl", "../demo-1.0-py3-none-any.whl",
        "demo-1.0-b-py3-none-any.whl", "demo-1.0-b-cp312-cp312-linux_x86_64.whl",
    ],
)  # fmt: skip
def test_a_bad_name(name):
    with pytest.raises(FastwheelError) as caught:
        WheelFileName.parse(name)
    assert caught.value.code == "FW200"
    assert caught.value.message.isprintable()


# WHEEL


def wheel(*lines):
    return "\n".join(lines).encode()


BASE = (
    "Wheel-Version: 1.0",
    "Generator: hand (1)",
    "Root-Is-Purelib: false",
    "Build: 3",
    "X-Odd: yes: no",
    "Tag: a-b-c",
)


def test_wheel_is_read():
    info = WheelInfo.parse(wheel(*BASE, "tag: py2.py3-none-x.y", "", "Tag: in-the-body", ""))
    assert info.tags == ("a-b-c", "py2-none-x", "py2-none-y", "py3-none-x", "py3-none-y")
    assert info.wheel_version == (1, 0)
    assert info.build == "3"
    assert not info.root_is_purelib
    assert info.headers[4] == ("X-Odd", "yes: no")


@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_wheel_with_either_line_end_and_folding(break_):
    info = WheelInfo.parse(break_.join(["Wheel-Version:1.0", "Generator: a", "\tb", "  c", "Tag: a-b-c"]).encode())
    assert info.headers == (("Wheel-Version", "1.0"), ("Generator", "a b c"), ("Tag", "a-b-c"))


@pytest.mark.parametrize(
    ("value", "purelib"), [("true", True), ("True", True), ("false", False), ("False", False), ("x", False)]
)
def test_purelib(value, purelib):
    assert (
        WheelInfo.parse(wheel("Wheel-Version: 1.0", f"Root-Is-Purelib: {value}", "Tag: a-b-c")).root_is_purelib
        is purelib
    )
    assert not WheelInfo.parse(wheel("Wheel-Version: 1.0", "Tag: a-b-c")).root_is_purelib


def test_new_tags_keep_all_else():
    lines = ["Wheel-Version: 1.0", "Tag: a-b-c", "ROOT-IS-PURELIB: true", "X: 1", "Tag: d-e-f", "Root-Is-Purelib: true"]
    info = WheelInfo.parse(wheel(*lines)).with_tags(["n-n-1", "n-n-2"])
    assert info.to_bytes() == wheel(
        "Wheel-Version: 1.0", "Tag: n-n-1", "Tag: n-n-2", "Root-Is-Purelib: false", "X: 1", "", ""
    )
    short = WheelInfo.parse(wheel("Wheel-Version: 1.0", "Tag: a-b-c", "Build: 1")).with_tags(["x-y-z"])
    expected = wheel("Wheel-Version: 1.0", "Root-Is-Purelib: false", "Tag: x-y-z", "Build: 1", "", "")
    assert short.to_bytes() == expected
    assert WheelInfo.parse(expected).with_tags(["x-y-z"]).to_bytes() == expected


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z][A-Za-z-]{0,12}", fullmatch=True), st.from_regex(r"[!-~]{1,20}", fullmatch=True)
        )
    )
)
def test_wheel_as_the_standard_library_reads_it(headers):
    lines = [f"{name}: {value}" for name, value in headers if name.lower() not in ("tag", "wheel-version", "from")]
    content = wheel("Wheel-Version: 1.0", *lines, "Tag: a-b-c", "")
    peer: Message = email.message_from_bytes(content)
    info = WheelInfo.parse(content)
    assert list(info.headers) == peer.items()
    assert WheelInfo.parse(info.to_bytes()) == info


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "FW204"),
        (b"\n" + wheel(*BASE), "FW204"),
        (wheel(*BASE[1:]), "FW204"),
        (wheel(BASE[0], *BASE), "FW204"),
        (wheel("Wheel-Version: one", *BASE[1:]), "FW204"),
        (wheel("Wheel-Version: 1", *BASE[1:]), "FW204"),
        (wheel("Wheel-Version: 2.0", *BASE[1:]), "FW205"),
        (wheel("Wheel-Version: 999999999999.0", *BASE[1:]), "FW204"),
        (wheel(*BASE[:-1]), "FW204"),
        (wheel(*BASE, "Tag: a-b"), "FW204"),
        (wheel(*BASE, "Tag: "), "FW204"),
        (wheel(*BASE, "Tag: a-b-c-d"), "FW204"),
        (wheel(*BASE, "Tag: a-b-c\x1b[2J"), "FW204"),
        (wheel(*BASE, "Tag: a-b-c\rX: y"), "FW204"),
        (wheel(*BASE, "no header"), "FW204"),
        (wheel(*BASE, "X: \xff").decode().encode("latin-1"), "FW204"),
        (b"\x7fELF" + bytes(100), "FW204"),
        (wheel(*BASE, "Tag: " + "-".join([".".join("a" * 5000)] * 3)), "FW204"),
    ],
)
def test_bad_wheel(content, code):
    with pytest.raises(FastwheelError) as caught:
        WheelInfo.parse(content)
    assert caught.value.code == code
    assert caught.value.message.isprintable()


def test_minor_version_is_accepted():
    assert WheelInfo.parse(wheel("Wheel-Version: 1.9", *BASE[1:])).wheel_version == (1, 9)


# METADATA


def test_metadata():
    text = "Metadata-Version: 2.1\nNAME: Größe\nVersion: 1.0\nLicense: a\n   b\nunfolded text\nName: other\n\nName: x\n"
    assert Metadata.parse(text.encode()) == Metadata("Größe", "1.0", "2.1", license="a b")
    assert Metadata.parse(b"Name: a\r\nVersion: 1\r\n\r\nbody") == Metadata("a", "1")
    licensed = b"Metadata-Version: 2.4\nName: a\nVersion: 1\nLicense-File: LICENSE\nlicense-file: b/COPYING\n"
    assert Metadata.parse(licensed) == Metadata("a", "1", "2.4", ("LICENSE", "b/COPYING"))


@pytest.mark.parametrize(
    "content",
    [b"", b"Name: a\n", b"Version: 1\n", b"Name: a\nName: b\nVersion: 1\n", b"Name:\nVersion: 1\n",
     b"Name: a\n\nVersion: 1", b"Name: a\nVersion: 1\n\n\xff", b"\xff\xfeN\0", bytes(500)],
)  # fmt: skip
def test_bad_metadata(content):
    with pytest.raises(FastwheelError) as caught:
        Metadata.parse(content)
    assert caught.value.code == "FW203"


# RECORD

SHA = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()


def test_record_is_read():
    text = f'a/b.py,{SHA},0\r\n"a,b ""c"".py",{SHA},0\r\n\r\na/b.py,{SHA},0\r\nd/RECORD,,\r\n'
    record = Record.parse(text.encode())
    assert list(record.rows) == ["a/b.py", 'a,b "c".py', "d/RECORD"]
    assert record.rows["a/b.py"] == Row("a/b.py", SHA, "0")
    assert record.rows["a/b.py"].digest == ("sha256", hashlib.sha256(b"").digest())
    assert record.repeated == ("a/b.py",)


@pytest.mark.parametrize("name", ["sha384", "sha512"])
def test_better_hashes(name):
    digest = hashlib.new(name, b"x").digest()
    text = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert Row("a", f"{name}={text}", "").digest == (name, digest)


@pytest.mark.parametrize(
    "text", ["", "sha256=", "sha256", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk", SHA[:-1],
             "sha256=é", SHA.replace("sha256", "SHA256"), "crc32=AAAAAA", SHA + "AAAA"],
)  # fmt: skip
def test_hashes_that_do_not_count(text):
    assert Row("a", text, "").digest is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"a,b\n", "FW206"),
        (b"a,b,c,d\n", "FW206"),
        (b"justtext\n", "FW206"),
        (b"\xff,,\n", "FW206"),
        (b'"a,,\n', "FW206"),
        (b'"a"b,,\n', "FW206"),
        (b"a\rb,,\n", "FW206"),
        (b"a,,1\na,,2\n", "FW206"),
        (b"a" * 200_000 + b",,\n", "FW206"),
        (b"../a,,\n", "FW207"),
        (b"/etc/passwd,,\n", "FW207"),
        (b"a/../../b,,\n", "FW207"),
        (b"a\\b,,\n", "FW207"),
        (b",,\n", "FW207"),
        (b'"a\nb",,\n', "FW207"),
        (b"C:/a,,\n", "FW207"),
        (b"./a,,\n", "FW207"),
    ],
)
def test_bad_record(text, code):
    with pytest.raises(FastwheelError) as caught:
        Record.parse(text)
    assert caught.value.code == code
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters="/\\"), min_size=1).filter(
    lambda name: name_fault(name) is None
)


@given(st.dictionaries(NAMES, st.integers(0, 1 << 70)))
def test_record_round_trip(sizes):
    rows = [row(name, hashlib.sha256(name.encode()).digest(), size) for name, size in sizes.items()]
    content = format_record(rows, "x.dist-info/RECORD")
    assert b"\r" not in content
    assert list(Record.parse(content).rows.values()) == [*rows, ("x.dist-info/RECORD", "", "")]
    assert [tuple(fields) for fields in csv.reader(io.StringIO(content.decode(), newline=""))][:-1] == rows


# Install layout


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a/b.so", ("platlib", "a/b.so")),
        ("p-1.data/platlib/a/b.so", ("platlib", "a/b.so")),
        ("p-1.data/purelib/c.py", ("platlib", "c.py")),
        ("p-1.data/scripts/run", ("scripts", "run")),
        ("p-1.data/data/share/x", ("data", "share/x")),
        ("p-1.data/headers/x.h", ("headers", "x.h")),
        ("q-2.data/platlib/x.so", ("platlib", "x.so")),
        ("my.data/notes.txt", ("platlib", "my.data/notes.txt")),
        ("a/p-1.data/platlib/x.so", ("platlib", "a/p-1.data/platlib/x.so")),
        ("p-1.dist-info/RECORD", ("platlib", "p-1.dist-info/RECORD")),
        ("p.libs/libx-01234567.so", ("platlib", "p.libs/libx-01234567.so")),
    ],
)
def test_install_path(name, place):
    layout = InstallLayout("p-1.data", [name, "p-1.data/", "p-1.data/platlib/", "other/"])
    assert layout.install_path(name) == InstallPath(*place)
    assert layout.site == ({place[1]: name} if place[0] == "platlib" else {})
    assert len(layout.warnings) == (name == "my.data/notes.txt")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["a.so", "p-1.data/platlib/a.so"], "FW209"),
        (["p-1.data/purelib/a.so", "p-1.data/platlib/a.so"], "FW209"),
        (["p-1.data/scripts/a", "q-1.data/scripts/a"], "FW209"),
        (["a", "p-1.data/platlib/a/b.so"], "FW209"),
        (["a/b", "p-1.data/platlib/a"], "FW209"),
        (["p-1.data/scripts/a", "q-1.data/scripts/a/b"], "FW209"),
        (["p-1.data/lib/a.so"], "FW210"),
        (["p-1.data/a.so"], "FW210"),
        (["p-1.data/platlib"], "FW210"),
    ],
)
def test_bad_layout(names, code):
    with pytest.raises(FastwheelError) as caught:
        InstallLayout("p-1.data", names)
    assert caught.value.code == code


def test_schemes_do_not_clash_with_each_other():
    InstallLayout("p-1.data", ["a", "p-1.data/scripts/a", "p-1.data/data/a/b", "p-1.data/headers/a"])


# Names


@given(st.lists(st.text("ab/.\\\n\0C:x", max_size=6), max_size=6))
def test_many_names_at_once_as_one_by_one(names):
    found = first_fault(names)
    faults = [(name, name_fault(name)) for name in names if name_fault(name) is not None]
    assert found == (faults[0] if faults else None)


SOUND = st.lists(
    st.from_regex(r"[ab.-]{1,3}(/[ab.-]{1,2}){0,3}/?", fullmatch=True).filter(lambda n: not name_fault(n)), unique=True
)


@given(SOUND)
def test_file_and_folder_by_definition(names):
    files = {name for name in names if not name.endswith("/")}
    clashes = {(f, n) for f in files for n in names if n.startswith(f + "/")}
    found = file_and_folder(names)
    assert (found is None) == (not clashes)
    assert found is None or found in clashes


def test_case_twins():
    assert case_twins(["a/B", "A/b", "c"]) == [("a/B", "A/b")]
    assert case_twins(["straße", "STRASSE", "x"]) == [("straße", "STRASSE")]
    assert case_twins([]) == []


def test_shown_names_are_short_and_printable():
    assert shown("a\x1b[31m\u202e\udcff") == "a\\x1b[31m\\u202e\\udcff"
    assert len(shown("x" * 100_000)) < 250


# Time


@given(st.integers(0, 0xFFFFFFFF))
def test_every_stamp_is_a_time(stamp):
    import datetime

    when = from_dos(stamp)
    datetime.datetime(*when, tzinfo=datetime.timezone.utc)
    assert from_dos(to_dos(when)) == when
