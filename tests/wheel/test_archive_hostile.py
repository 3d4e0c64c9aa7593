"""No bytes hurt: mutations of sound wheels end in success or a `FastwheelError`, and cost next to nothing."""

from __future__ import annotations

import random
import struct
import time
import zipfile

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.wheel.archive import Archive, Limits
from fastwheel.wheel.record import Record
from fastwheel.wheel.wheel import Wheel


def outcome(path):
    """Open the wheel and read all of it; return the code of the error, or None."""
    try:
        with Wheel.open(path) as wheel:
            for member in wheel.archive.members:
                wheel.archive.read(member)
            wheel.check_record({})
    except FastwheelError as error:
        problem = error
    else:
        return None
    assert "\n" not in problem.message
    assert len(problem.message) < 700
    return problem.code


def seeds(kit):
    big = b"text of some length\n" * 20
    parts = [
        kit.Part("demo/__init__.py", big),
        kit.Part("demo/data.bin", big, method=0),
        kit.Part("demo/é.py", b"").streamed(),
        kit.Part("demo/s.py", big).streamed(wide=True, signature=False),
        kit.Part("demo-1.0.data/platlib/x.so", b"\x7fELF", extra_local=b"UT\5\0\1abcd", mode=0o100755),
        kit.Part("folder/", method=0, mode=0o40755),
    ]
    return [
        kit.assemble(kit.wheel_parts(*parts)),
        kit.assemble(kit.wheel_parts(*parts), zip64=True, comment=b"hello"),
        kit.assemble(kit.wheel_parts()),
    ]


def mutate(data, chance):
    """One to four changes of the kinds that find bugs: bits, numbers, cuts, moves, repeats, signatures."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        if not out:
            break
        at = chance.randrange(len(out))
        if chance.random() < 0.5:  # most of the structure lies at the end
            at = max(0, len(out) - 1 - chance.randrange(250))
        kind = chance.randrange(8)
        span = chance.choice([1, 2, 4, 8, 30])
        if kind == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            out[at] = chance.choice([0, 1, 0x2F, 0x5C, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            value = chance.choice([0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, len(out), at])
            out[at : at + 4] = struct.pack("<L", value & 0xFFFFFFFF)
        elif kind == 3:
            del out[at : at + span]
        elif kind == 4:
            out[at:at] = chance.randbytes(span)
        elif kind == 5:
            out[at:at] = out[at : at + span * 10]
        elif kind == 6:
            out[at : at + 4] = chance.choice([b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08"])
        else:
            del out[at:]
    return bytes(out)


@pytest.mark.parametrize("seed", range(8))
def test_mutations(kit, seed):
    chance = random.Random(seed)
    sound = seeds(kit)
    assert [outcome(kit.save(data)) for data in sound] == [None] * 3
    codes = {}
    start = time.process_time()
    for _ in range(250):
        code = outcome(kit.save(mutate(chance.choice(sound), chance)))
        codes[code] = codes.get(code, 0) + 1
    assert time.process_time() - start < 60
    assert len(codes) > 8, "the mutations no longer reach the checks"


@pytest.mark.parametrize("index", range(3))
def test_every_cut_is_refused(kit, index):
    data = seeds(kit)[index]
    for length in range(0, len(data), 7):
        assert outcome(kit.save(data[:length])) is not None


@pytest.mark.parametrize("index", range(3))
def test_every_flipped_byte_of_the_records_is_noticed_or_harmless(kit, index):
    """Whatever byte changes, fastwheel never sees other files or contents than the standard library does."""
    data = seeds(kit)[index]
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        path = kit.save(bytes(changed))
        if outcome(path) is None:
            with Wheel.open(path) as wheel, zipfile.ZipFile(path) as peer:
                ours = {m.name: wheel.archive.read(m) for m in wheel.archive.members}
                assert ours == {name: peer.read(name) for name in peer.namelist()}


def bombs(kit):
    size = 62 << 20
    zeros, sizes = kit.deflate(bytes(size)), {"size": size}
    return kit.assemble([kit.Part(f"{i}", b"", data=zeros, local=sizes, central=sizes) for i in range(15)])


def costly(kit):
    """Archives of at most 1 MiB that are meant to be slow or large."""
    many = [kit.Part(f"{i:x}", b"", method=0) for i in range(9_000)]
    deep = [kit.Part(f"{i}/" + "a/" * 2000 + "b", b"", method=0) for i in range(120)]
    record = "".join(f"demo/{i}/,,\n" for i in range(60_000)).encode()
    quotes = b'"' + b'""' * 400_000 + b'",,\n'
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    return {
        "many members": lambda: kit.assemble(many),
        "many members, twice": lambda: kit.assemble([*many, kit.Part("0", b"")]),
        "deep names": lambda: kit.assemble(deep),
        "files and folders": lambda: kit.assemble([*deep, kit.Part("119/" + "a/" * 1999 + "a", b"")]),
        "end signatures": lambda: b"PK\3\4" + b"PK\5\6" * 250_000,
        "end records": lambda: b"PK\3\4" + end * 40_000,
        "plausible end records": lambda: kit.assemble(
            [
                kit.Part(
                    "a",
                    b"".join(
                        struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0, 0, 65_000 - i * 22) for i in range(2_900)
                    ),
                    method=0,
                )
            ]
        ),
        "one central entry": lambda: (
            b"PK\1\2" * 250_000 + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 1_000_000, 0, 0)
        ),
        "extra fields": lambda: kit.assemble(
            [kit.Part(f"{i}", b"", method=0, extra_central=b"\2\0\0\0" * 16_000) for i in range(15)]
        ),
        "huge RECORD": lambda: kit.assemble(kit.wheel_parts(record=record)),
        "quoted RECORD": lambda: kit.assemble(kit.wheel_parts(record=quotes)),
        "zeros in METADATA": lambda: kit.assemble(
            kit.wheel_parts(metadata=b"Name: demo\nVersion: 1.0\n" + bytes(15 << 20))
        ),
        "headers in METADATA": lambda: kit.assemble(
            kit.wheel_parts(metadata=b"Name: demo\nVersion: 1.0\n" + b"A: b\n c\n" * 1_800_000)
        ),
        "tags in WHEEL": lambda: kit.assemble(kit.wheel_parts(wheel=kit.WHEEL + b"Tag: a-b-c\n" * 20_000)),
        "dots in WHEEL": lambda: kit.assemble(kit.wheel_parts(wheel=kit.WHEEL + b"Tag: " + b"a." * 9000 + b"a-b-c\n")),
        "lines in WHEEL": lambda: kit.assemble(kit.wheel_parts(wheel=kit.WHEEL + b"\n" * 250_000)),
        "bombs": lambda: bombs(kit),
    }


@pytest.mark.parametrize("index", range(17))
def test_a_small_file_costs_less_than_a_second(kit, index):
    cases = costly(kit)
    assert len(cases) == 17
    name, make = list(cases.items())[index]
    data = make()
    assert len(data) <= 1 << 20, len(data)
    path = kit.save(data)
    start = time.process_time()
    code = outcome(path)
    spent = time.process_time() - start
    print(f"{name}: {code}, {spent:.3f} s")
    assert spent < 1.0, (name, code)


def test_many_members(tmp_path):
    """66,000 members: not a limit, and the time is printed (pytest -s), not judged."""
    path = tmp_path / "many-1.0-py3-none-any.whl"
    info = "many-1.0.dist-info"
    names = [f"many/folder{i % 300}/module_{i}.py" for i in range(66_000)]
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            out.writestr(name, b"x")
        out.writestr(f"{info}/METADATA", "Name: many\nVersion: 1.0\n")
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        digest = "sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaxIE"
        rows = "".join(f"{name},{digest},1\n" for name in names)
        out.writestr(f"{info}/RECORD", f"{rows}{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    start = time.process_time()
    Archive.open(path, Limits()).close()
    middle = time.process_time()
    with Wheel.open(path) as wheel:
        end = time.process_time()
        assert len(wheel.archive.members) == 66_003
        assert [p.kind for p in wheel.check_record({})] == ["no-hash", "no-hash"]
    print(f"66,003 members: archive {middle - start:.3f} s, wheel {end - middle:.3f} s")


def test_record_in_pieces_of_random_bytes():
    chance = random.Random(5)
    for _ in range(500):
        content = bytes(chance.choice(b'a,"\n\r/.\\=0\xc3\xa9 ') for _ in range(chance.randrange(40)))
        code = None
        try:
            Record.parse(content)
        except FastwheelError as error:
            code = error.code
        assert code in (None, "FW206", "FW207")
