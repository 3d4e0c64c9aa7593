"""What makes an archive a wheel, one case a rule, and RECORD against contents."""

from __future__ import annotations

import base64
import hashlib
import zipfile

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.wheel.stamp import new_member_time
from fastwheel.wheel.wheel import Wheel


def save(kit, *parts, name=None, **options):
    return kit.save(kit.assemble(kit.wheel_parts(*parts, **options)), name or kit.NAME)


def digests(wheel):
    archive = wheel.archive
    return {m.name: hashlib.sha256(archive.read(m)).digest() for m in archive.members if not m.is_dir}


def test_a_sound_wheel(kit):
    with Wheel.open(save(kit)) as wheel:
        assert wheel.warnings == ()
        assert wheel.dist_info == kit.INFO
        assert wheel.record_name == f"{kit.INFO}/RECORD"
        assert wheel.data_folder == "demo-1.0.data"
        assert (wheel.metadata.name, wheel.metadata.version) == ("demo", "1.0")
        assert wheel.info.tags == wheel.filename.tags
        assert wheel.check_record({}) == ()
        assert wheel.check_record(digests(wheel)) == ()
        assert set(wheel.layout.site) == set(wheel.archive.names)


@pytest.mark.parametrize(
    ("name", "folder", "metadata"),
    [
        ("Demo.Pkg-1.0-py3-none-any.whl", "demo_pkg-1.0.dist-info", b"Name: demo-pkg\nVersion: 1.0\n"),
        ("demo_pkg-1.0-py3-none-any.whl", "Demo.Pkg-1.0.0.dist-info", b"Name: DEMO_pkg\nVersion: 1.0.0\n"),
        ("demo-1.0+l.1-py3-none-any.whl", "demo-1.0+l_1.dist-info", b"Name: demo\nVersion: 1.0+L-1\n"),
        ("demo-1.0-3-py3-none-any.whl", "demo-1.0.dist-info", b"Name: demo\nVersion: 1.0\n"),
        ("demo-1.0-py3-none-any-v3.whl", "demo-1.0.dist-info", b"Name: demo\nVersion: 1.0\n"),
    ],
)
def test_names_are_compared_normalised(kit, name, folder, metadata):
    data = kit.assemble(
        [
            kit.Part("demo.py", b"x = 1\n"),
            kit.Part(f"{folder}/METADATA", metadata),
            kit.Part(f"{folder}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            kit.Part(f"{folder}/RECORD", f"{folder}/RECORD,,\n".encode()),
        ]
    )
    with Wheel.open(kit.save(data, name)) as wheel:
        assert wheel.filename.name == name
        assert wheel.dist_info == folder


CASES = {
    "no dist-info": ("FW201", lambda k: k.assemble([k.Part("demo.py", b"x")])),
    "empty archive": ("FW201", lambda k: k.assemble([])),
    "dist-info not at the top": (
        "FW201",
        lambda k: k.assemble([k.Part(f"x/{p.name}", p.content) for p in k.wheel_parts()]),
    ),
    "two dist-infos": ("FW201", lambda k: k.assemble([*k.wheel_parts(), k.Part("other-1.0.dist-info/METADATA", b"")])),
    "two dist-infos, one an empty folder": (
        "FW201",
        lambda k: k.assemble([*k.wheel_parts(), k.Part("o-1.dist-info/", method=0, mode=0o40755)]),
    ),
    "other project": ("FW202", lambda k: k.assemble(k.wheel_parts(info="other-1.0.dist-info"))),
    "other version": ("FW202", lambda k: k.assemble(k.wheel_parts(info="demo-1.1.dist-info"))),
    "dist-info without version": ("FW202", lambda k: k.assemble(k.wheel_parts(info="demo.dist-info"))),
    "bad version": ("FW202", lambda k: k.assemble(k.wheel_parts(info="demo-x.dist-info"))),
    "METADATA of another": ("FW202", lambda k: k.assemble(k.wheel_parts(metadata=b"Name: evil\nVersion: 1.0\n"))),
    "METADATA of another version": ("FW202", lambda k: k.assemble(k.wheel_parts(metadata=b"Name: demo\nVersion: 2\n"))),
    "METADATA missing": ("FW203", lambda k: k.assemble(k.wheel_parts(metadata=None))),
    "METADATA a folder": (
        "FW203",
        lambda k: k.assemble([*k.wheel_parts(metadata=None), k.Part(f"{k.INFO}/METADATA/", method=0, mode=0o40755)]),
    ),
    "METADATA binary": ("FW203", lambda k: k.assemble(k.wheel_parts(metadata=b"\xff" * 50))),
    "METADATA damaged": (
        "FW112",
        lambda k: k.assemble(
            [*k.wheel_parts(metadata=None), k.Part(f"{k.INFO}/METADATA", k.METADATA, data=b"\xff" * 40)]
        ),
    ),
    "WHEEL missing": ("FW204", lambda k: k.assemble(k.wheel_parts(wheel=None))),
    "WHEEL without Tag": ("FW204", lambda k: k.assemble(k.wheel_parts(wheel=b"Wheel-Version: 1.0\n"))),
    "WHEEL newer": ("FW205", lambda k: k.assemble(k.wheel_parts(wheel=k.WHEEL.replace(b"1.0", b"2.0", 1)))),
    "WHEEL huge": (
        "FW204",
        lambda k: k.assemble(k.wheel_parts(wheel=k.WHEEL + b"X: y\n" * 400_000)),
    ),
    "RECORD missing": ("FW206", lambda k: k.assemble(k.wheel_parts(record=None))),
    "RECORD no CSV": ("FW206", lambda k: k.assemble(k.wheel_parts(record=b"demo/__init__.py\n"))),
    "RECORD huge": ("FW206", lambda k: k.assemble(k.wheel_parts(record=b"a,,\n" * 800_000))),
    "RECORD lists what is not there": (
        "FW207",
        lambda k: k.assemble(k.wheel_parts(record=b"demo/gone.py,,\n")),
    ),
    "RECORD lists what is elsewhere": (
        "FW207",
        lambda k: k.assemble(k.wheel_parts(record=b"../../etc/passwd,,\n")),
    ),
    "RECORD lists an absent folder": ("FW207", lambda k: k.assemble(k.wheel_parts(record=b"gone/,,\n"))),
    "two files for one place": (
        "FW209",
        lambda k: k.assemble(k.wheel_parts(k.Part("a.py", b"1"), k.Part("demo-1.0.data/purelib/a.py", b"2"))),
    ),
    "unknown scheme": ("FW210", lambda k: k.assemble(k.wheel_parts(k.Part("demo-1.0.data/lib/a.py", b"2")))),
}


@pytest.mark.parametrize("name", CASES)
def test_wheel_is_refused(kit, name):
    code, make = CASES[name]
    with pytest.raises(FastwheelError) as caught:
        Wheel.open(kit.save(make(kit)))
    assert caught.value.code == code, caught.value.message
    assert caught.value.message.startswith(kit.NAME)
    assert "\n" not in caught.value.message


def test_bad_file_name(kit):
    path = kit.save(kit.assemble(kit.wheel_parts()), "demo.whl")
    with pytest.raises(FastwheelError) as caught:
        Wheel.open(path)
    assert caught.value.code == "FW200"
    with Wheel.open(path, filename=kit.NAME) as wheel:
        assert wheel.filename.name == kit.NAME


@pytest.mark.parametrize("name", ["gone.zip", "gone-1.0-py3-none-any.whl"])
def test_a_missing_file_is_said_to_be_missing(tmp_path, name):
    with pytest.raises(FastwheelError) as caught:
        Wheel.open(tmp_path / name)
    assert caught.value.code == "FW700"


@pytest.mark.parametrize("name", ["demo.zip", "demo-1.0.tar.gz", "demo-1.0-py312_0.conda"])
def test_another_kind_of_package_is_told_by_its_name(kit, name):
    with pytest.raises(FastwheelError) as caught:
        Wheel.open(kit.save(b"\x1f\x8b\x08", name))
    assert caught.value.code == "FW200"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wheel": b"Wheel-Version: 1.4\nTag: cp312-cp312-linux_x86_64\n"}, "newer than 1.0"),
        ({"wheel": b"Wheel-Version: 1.0\nTag: py3-none-any\n"}, "tags in WHEEL"),
        ({"wheel": b"Wheel-Version: 1.0\nBuild: 4\nTag: cp312-cp312-linux_x86_64\n"}, "build tag"),
        (
            {"wheel": b"\xef\xbb\xbfWheel-Version: 1.0\nTag: cp312-cp312-linux_x86_64\n"},
            "WHEEL begins with a byte order",
        ),
        ({"metadata": b"\xef\xbb\xbfName: demo\nVersion: 1.0\n"}, "METADATA begins with a byte order mark"),
    ],
)
def test_warnings(kit, options, words):
    with Wheel.open(save(kit, **options)) as wheel:
        assert len(wheel.warnings) == 1
        assert words in wheel.warnings[0]


def test_several_data_trees_are_accepted(kit):
    parts = [
        kit.Part("demo-1.0.data/platlib/demo/a.so", b"1"),
        kit.Part("demo-1.0.data/scripts/run", b"2", mode=0o100755),
        kit.Part("other-2.data/data/share/x", b"3"),
        kit.Part("odd.data/x", b"4"),
    ]
    with Wheel.open(save(kit, *parts)) as wheel:
        assert wheel.layout.site["demo/a.so"] == "demo-1.0.data/platlib/demo/a.so"
        assert len(wheel.warnings) == 1


# RECORD against contents


def b64(algorithm, content):
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ("a.py,{sha256},5", []),
        ("a.py,{sha384},5", []),
        ("a.py,{sha512},", []),
        ("a.py,{sha256},", []),
        ("", ["missing"]),
        ("a.py,,", ["no-hash"]),
        ("a.py,,5", ["no-hash"]),
        ("a.py,{md5},5", ["weak-hash"]),
        ("a.py,{sha1},5", ["weak-hash"]),
        ("a.py,nonsense,5", ["weak-hash"]),
        ("a.py,{sha256},6", ["size"]),
        ("a.py,{sha256},five", ["size"]),
        ("a.py,{other256},5", ["hash"]),
        ("a.py,{other512},5", ["hash"]),
        ("a.py,{other256},6", ["size", "hash"]),
        ("a.py,{sha256},5\na.py,{sha256},5", ["repeated"]),
        ("a.py,{sha256},5\npkg/,,", ["folder"]),
    ],
)
def test_record_against_the_archive(kit, row, kinds):
    content = b"x = 1"
    hashes = {name: b64(name, content) for name in ("sha256", "sha384", "sha512", "md5", "sha1")}
    hashes |= {"other256": b64("sha256", b"y"), "other512": b64("sha512", b"y")}
    body = [kit.Part("a.py", content), kit.Part("pkg/b.py", b"")]
    rest = kit.wheel_parts(*body, record=None)[1:]
    record = kit.record_of(rest, *row.format(**hashes).split("\n"))
    with Wheel.open(save(kit, *body, record=record)) as wheel:
        problems = wheel.check_record(digests(wheel))
        assert [p.kind for p in problems] == kinds
        assert any(p.damning for p in problems) == ("hash" in kinds)
        # Without contents at hand only they are not checked.
        assert [p.kind for p in wheel.check_record({})] == [k for k in kinds if k != "hash"]


def test_byte_order_mark_of_record(kit):
    rows = kit.wheel_parts()
    rows[-1] = kit.Part(rows[-1].name, b"\xef\xbb\xbf" + rows[-1].content)
    with Wheel.open(kit.save(kit.assemble(rows))) as wheel:
        assert [(p.kind, p.damning) for p in wheel.check_record({})] == [("mark", False)]


def test_signatures_of_record_need_no_row(kit):
    extra = [kit.Part(f"{kit.INFO}/RECORD.jws", b"{}"), kit.Part(f"{kit.INFO}/RECORD.p7s", b"")]
    data = kit.assemble([*kit.wheel_parts(), *extra])
    with Wheel.open(kit.save(data)) as wheel:
        assert wheel.check_record(digests(wheel)) == ()
        assert [wheel.is_signature(p.name) for p in extra] == [True, True]


def test_names_that_record_has_to_quote(kit):
    names = ['a,b "c".py', "größe.py", " x ", "'", "日本/語"]
    with Wheel.open(save(kit, *[kit.Part(n, b"1") for n in names])) as wheel:
        assert wheel.check_record(digests(wheel)) == ()


# The time of new members


@pytest.mark.parametrize(
    ("text", "when"),
    [
        (None, (2025, 1, 1, 12, 0, 0)),
        ("", (2025, 1, 1, 12, 0, 0)),
        ("1700000001", (2023, 11, 14, 22, 13, 20)),
        (" 1700000000\n", (2023, 11, 14, 22, 13, 20)),
        ("0", (1980, 1, 1, 0, 0, 0)),
        ("-5", (1980, 1, 1, 0, 0, 0)),
        ("315532800", (1980, 1, 1, 0, 0, 0)),
        ("99999999999999999999", (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_time_of_new_members(kit, text, when, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    with Wheel.open(save(kit)) as wheel:
        environ = {} if text is None else {"SOURCE_DATE_EPOCH": text}
        assert new_member_time(wheel, environ) == when


@pytest.mark.parametrize("text", ["now", "1.5", "1e9", "0x10", "--1", "1 2", "9" * 5000, "١٢"])
def test_time_that_is_no_number(kit, text):
    with Wheel.open(save(kit)) as wheel, pytest.raises(FastwheelError) as caught:
        new_member_time(wheel, {"SOURCE_DATE_EPOCH": text})
    assert caught.value.code == "FW800"


def test_zipfile_agrees_that_the_kit_makes_sound_wheels(kit):
    with zipfile.ZipFile(save(kit)) as peer:
        assert peer.testzip() is None
