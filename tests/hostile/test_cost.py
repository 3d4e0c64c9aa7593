"""Small inputs that are made to be costly: less than a second of CPU each, and never a flood of words."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from arena import Arena, Call, Server, Tools, inspect, parts_of
from zipkit import Part, assemble

MIB = 1 << 20
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
RECORD = b"demo-1.0.dist-info/RECORD,,\n"


def elf(needed: list[bytes], runpath: bytes = b"", symbols: int = 1, text: bytes = b"") -> bytes:
    """A shared library of program headers, a dynamic section and symbols whose names lie anywhere in `text`."""
    strings = bytearray(b"\0")
    entries = []
    for tag, value in [*((1, name) for name in needed), *([(29, runpath)] if runpath else [])]:
        entries.append((tag, len(strings)))
        strings += value + b"\0"
    start = len(strings)
    strings += text + b"\0"
    at = 176
    sizes = [16 * (len(entries) + 6), 12 + 4 * symbols + 4 * (symbols % 2 == 0), 24 * symbols]
    dynamic, hashes, table = at, at + sizes[0], at + sizes[0] + (sizes[1] + 7) // 8 * 8
    place = table + sizes[2]
    size = place + len(strings)
    entries += [(4, hashes), (5, place), (6, table), (10, len(strings)), (11, 24), (0, 0)]
    out = bytearray(size)
    header = (3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    out[:64] = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHLQQQLHHHHHH", *header)
    out[64:120] = struct.pack("<LLQQQQQQ", 1, 6, 0, 0, 0, size, size, 4096)
    out[120:176] = struct.pack("<LLQQQQQQ", 2, 6, dynamic, dynamic, dynamic, sizes[0], sizes[0], 8)
    out[dynamic : dynamic + sizes[0]] = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    out[hashes : hashes + 12] = struct.pack("<LLL", 1, symbols, 0)
    names = (start + i % max(len(text), 1) for i in range(symbols - 1))
    out[table : table + sizes[2]] = bytes(24) + b"".join(struct.pack("<LBBHQQ", name, 18, 0, 0, 0, 0) for name in names)
    out[place:] = strings
    return bytes(out)


def wheel(tools: Tools, *more: Part, **changes: object) -> bytes:
    return assemble(parts_of(tools, *more, **changes))


def files(count: int, name: str, content: Callable[[int], bytes] = lambda i: b"") -> list[Part]:
    return [Part(name.format(i), content(i)) for i in range(count)]


#: Spellings of one folder that is there.
FOLDERS = [b"/usr/lib" + b"/." * (i % 40) + b"/" * (i // 40 + 1) for i in range(8000)]
CASES: dict[str, tuple[Callable[[Tools], bytes], str]] = {
    "a-million-symbols": (lambda t: wheel(t, Part("demo/x.so", elf([], symbols=1_000_000, text=b"a" * 64))), "ok"),
    "names-in-one-another": (lambda t: wheel(t, Part("demo/x.so", elf([], symbols=9000, text=b"a" * MIB))), "FW305"),
    "needs-50000": (lambda t: wheel(t, Part("demo/x.so", elf([b"l%d.so" % i for i in range(50_000)]))), "FW113"),
    "needs-3000": (lambda t: wheel(t, Part("demo/x.so", elf([b"l%d.so" % i for i in range(3000)]))), "FW500"),
    "needs-one-50000-times": (lambda t: wheel(t, Part("demo/x.so", elf([b"lib.so"] * 50_000))), "FW500"),
    "circle": (
        lambda t: wheel(
            t,
            *files(85, "demo/l{}.so", lambda i: elf([b"l%d.so" % j for j in range(85)], b"$ORIGIN", text=b"%d" % i))
        ),
        "ok",
    ),
    "folders": (
        lambda t: wheel(t, Part("demo/x.so", elf([b"l%d.so" % i for i in range(2000)], b":".join(FOLDERS)))), "FW113"
    ),
    "fewer-folders": (
        lambda t: wheel(t, Part("demo/x.so", elf([b"l%d.so" % i for i in range(480)], b":".join(FOLDERS)))), "FW500"
    ),
    "elf-files": (lambda t: wheel(t, *files(1500, "demo/l{}.so", lambda i: elf([b"libm.so.6"], text=b"%d" % i))), "ok"),
    "record-rows": (lambda t: wheel(t, record=b"demo/__init__.py,,\n" * 40_000 + RECORD), "ok"),
    "no-rows": (lambda t: wheel(t, *files(5000, "demo/f{}"), record=RECORD), "ok"),
    "headers": (lambda t: wheel(t, METADATA=METADATA + b"X: y\n" * 2_000_000), "ok"),
    "folded-header": (lambda t: wheel(t, METADATA=METADATA + b" \n" * 4_000_000), "ok"),
    "carriage-returns": (lambda t: wheel(t, METADATA=METADATA + b"\r" * 10_000_000), "ok"),
    "one-long-header": (
        lambda t: wheel(t, WHEEL=b"Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\nX: " + b"-" * 250_000), "ok"
    ),
    "tags": (lambda t: wheel(t, WHEEL=b"Wheel-Version: 1.0\nTag: py3-none-" + b".".join([b"a"] * 9000) + b"\n"), "ok"),
    "deep": (lambda t: wheel(t, *files(150, "demo/" + "d/" * 1500 + "{}")), "ok"),
    "data": (lambda t: wheel(t, *files(5000, "demo-1.0.data/platlib/x{}")), "ok"),
    "twins": (lambda t: wheel(t, *files(2000, "demo/a{}"), *files(2000, "demo/A{}")), "ok"),
    "empty-blocks": (
        lambda t: wheel(t, Part("demo/x", b"", data=b"\0\0\0\xff\xff" * 180_000 + b"\1\0\0\xff\xff")), "ok"
    ),
    "signatures": (lambda t: assemble(parts_of(t), comment=b"PK\5\6" * 16_000), "FW103"),
    "zeros": (lambda t: wheel(t, Part("demo/x", bytes(60 * MIB)), record=RECORD), "ok"),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["show", "repair"])
@pytest.mark.parametrize("name", CASES)
def test_cost(tmp_path: Path, tools: Tools, server: Server, name: str, verb: str) -> None:
    make, want = CASES[name]
    arena = Arena(tmp_path / "arena", tools, server)
    path = arena.save(make(tools))
    assert path.stat().st_size < 2 * MIB
    into = ["-w", str(arena.out)] if verb == "repair" else []
    outcome = arena.run([verb, *into, str(path)], Call())
    if want == "FW500" and verb == "show":
        want = "ok"
    assert inspect(outcome, (want,)) == [], outcome.stderr[:2000]
    assert len(outcome.stderr) < 20_000
    arena.close()
