"""Wheels of at most 1 MiB that are made to keep tools busy: the worst of each kind, and seeded mixtures of kinds.

A kind takes a random generator and a share of the size, from 0 to 1, and returns members. `python costly.py FOLDER`
writes the worst of each kind there.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "wheel")]

from zipkit import Part, assemble

__all__ = ["ELF_FILES", "KINDS", "SMALL", "TEXTS", "library", "mixture", "wheel_of", "worst"]

#: Bytes of an input that issue and docs/limits.md speak of.
SMALL = 1 << 20
SUFFIX = ".cpython-312-x86_64-linux-gnu.so"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
TAG = "cp312-cp312-manylinux_2_17_x86_64"


class Strings:
    """A string table in which each string is kept once."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._known: dict[bytes, int] = {b"": 0}

    def add(self, text: bytes) -> int:
        """Return the offset of a string."""
        if text not in self._known:
            self._known[text] = len(self.data)
            self.data += text + b"\0"
        return self._known[text]


def library(
    *,
    needed: Iterable[bytes] = (),
    soname: bytes = b"",
    runpath: bytes = b"",
    rpath: bytes = b"",
    defines: Sequence[tuple[bytes, int]] = (),
    asks: Sequence[tuple[bytes, int]] = (),
    versions: Sequence[bytes] = (),
    needs: Sequence[tuple[bytes, Sequence[bytes]]] = (),
    kind: int = 3,
    tls: int = 0,
    interpreter: bytes = b"",
    flags: int = 0,
    aligned: int = 4096,
    end: bytes = b"",
) -> bytes:
    """A shared library for x86-64 without sections or code.

    Args:
        needed: DT_NEEDED.
        soname: DT_SONAME.
        runpath: DT_RUNPATH.
        rpath: DT_RPATH.
        defines: (name, number of the version in `versions` from 0 on, or -1 for none) of each symbol defined.
        asks: (name, number of the version, counted through `needs`, or -1) of each symbol needed; relocated.
        versions: DT_VERDEF.
        needs: DT_VERNEED: files with their versions.
        kind: e_type.
        tls: bytes of static thread-local memory.
        interpreter: PT_INTERP.
        flags: DT_FLAGS_1.
        aligned: p_align.
        end: what follows in the same segment.
    """
    strings = Strings()
    entries = [(1, strings.add(name)) for name in needed]
    entries += [(tag, strings.add(text)) for tag, text in ((14, soname), (29, runpath), (15, rpath)) if text]
    entries += [(0x6FFFFFFB, flags)] * bool(flags) + [(30, 0x10)] * bool(tls)
    symbols, versyms, relocations = [bytes(24)], [0], []
    for name, number in asks:
        relocations.append(struct.pack("<QQq", 0, len(symbols) << 32 | 6, 0))
        symbols.append(struct.pack("<LBBHQQ", strings.add(name), 16, 0, 0, 0, 0))
        versyms.append(1 if number < 0 else number + 2 + len(versions))
    for name, number in defines:
        symbols.append(struct.pack("<LBBHQQ", strings.add(name), 18, 0, 1, 64, 8))
        versyms.append(1 if number < 0 else number + 2)
    definitions = b""
    for index, name in enumerate([b"base", *versions] if versions else []):
        more = index < len(versions)
        definitions += struct.pack("<HHHHLLL", 1, int(not index), index + 1, 1, 0, 20, 28 * more)
        definitions += struct.pack("<LL", strings.add(name), 0)
    wants, number = [], 2 + len(versions)
    for index, (file, names) in enumerate(needs):
        more = index + 1 < len(needs)
        one = struct.pack("<HHLLL", 1, len(names), strings.add(file), 16, (16 + 16 * len(names)) * more)
        for position, name in enumerate(names):
            last = position + 1 == len(names)
            one += struct.pack("<LHHLL", 0, 0, number, strings.add(name), 0 if last else 16)
            number += 1
        wants.append(one)
    tables = {
        "hash": struct.pack("<LLL", 1, len(symbols), 0) + bytes(4 * len(symbols)),
        "symbols": b"".join(symbols),
        "versym": struct.pack(f"<{len(versyms)}H", *versyms) if versions or needs else b"",
        "verdef": definitions,
        "verneed": b"".join(wants),
        "rela": b"".join(relocations),
        "strings": bytes(strings.data),
        "interp": interpreter + b"\0" if interpreter else b"",
    }
    segments = 2 + bool(tls) + bool(interpreter)
    entries += [(4, 0), (5, 0), (6, 0), (10, len(strings.data)), (11, 24)]
    entries += [(0x6FFFFFF0, 0)] * bool(versions or needs)
    entries += [(0x6FFFFFFC, 0), (0x6FFFFFFD, len(versions) + 1)] * bool(versions)
    entries += [(0x6FFFFFFE, 0), (0x6FFFFFFF, len(needs))] * bool(needs)
    entries += [(7, 0), (8, len(tables["rela"])), (9, 24)] * bool(relocations)
    dynamic = 64 + 56 * segments
    at = dynamic + 16 * (len(entries) + 1)
    places: dict[str, int] = {}
    body = bytearray()
    for name, content in tables.items():
        places[name] = at + len(body)
        body += content + bytes(-len(content) % 8)
    of = {4: "hash", 5: "strings", 6: "symbols", 7: "rela", 0x6FFFFFF0: "versym", 0x6FFFFFFC: "verdef"}
    of[0x6FFFFFFE] = "verneed"
    entries = [(tag, places[of[tag]] if tag in of else value) for tag, value in entries]
    size = at + len(body) + len(end)
    out = bytearray(b"\x7fELF\2\1\1" + bytes(9))
    out += struct.pack("<HHLQQQLHHHHHH", kind, 62, 1, 0, 64, 0, 0, 64, 56, segments, 64, 0, 0)
    out += struct.pack("<LLQQQQQQ", 1, 6, 0, 0, 0, size, size, aligned)
    length = 16 * (len(entries) + 1)
    out += struct.pack("<LLQQQQQQ", 2, 6, dynamic, dynamic, dynamic, length, length, 8)
    if tls:
        out += struct.pack("<LLQQQQQQ", 7, 4, 0, 0, 0, 0, tls, 8)
    if interpreter:
        place, length = places["interp"], len(interpreter) + 1
        out += struct.pack("<LLQQQQQQ", 3, 4, place, place, place, length, length, 1)
    out += b"".join(struct.pack("<qQ", *entry) for entry in entries) + bytes(16)
    return bytes(out + body + end)


def wheel_of(parts: Sequence[Part], *, tag: str = TAG, **texts: bytes) -> tuple[str, bytes]:
    """The file name and bytes of a wheel of these members; `texts` replace METADATA, WHEEL or RECORD."""
    lines = "".join(f"Tag: {one}\n" for one in (tag,)).encode()
    info = "demo-1.0.dist-info"
    contents = {
        "METADATA": METADATA,
        "WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\n" + lines,
        "RECORD": f"{info}/RECORD,,\n".encode(),
        **texts,
    }
    every = [*parts, *(Part(f"{info}/{name}", text) for name, text in contents.items())]
    return f"demo-1.0-{tag}.whl", assemble(every)


def names(count: int, start: str = "l") -> list[bytes]:
    """The names of libraries."""
    return [f"{start}{i}.so".encode() for i in range(count)]


def graph(count: int, needs: Callable[[int], Iterable[int]], **more: object) -> list[Part]:
    """`count` libraries in one folder, of which each needs others by number."""
    made = []
    for i in range(count):
        content = library(needed=[b"l%d.so" % j for j in needs(i)], **{"runpath": b"$ORIGIN", **more})  # type: ignore[arg-type]
        made.append(Part(f"demo/l{i}.so", content + b"%d" % i))
    return made


def ring(rng: Random, share: float) -> list[Part]:
    """Libraries that need each other in a circle."""
    count = int(1500 * share) + 1
    step = rng.choice([1, 7, count - 1])
    return graph(count, lambda i: [(i + step) % count])


def all_of_all(rng: Random, share: float) -> list[Part]:
    """Libraries of which each needs all."""
    count = int(87 * share) + 1
    order = rng.sample(range(count), count)
    return graph(count, lambda i: order)


def random_graph(rng: Random, share: float) -> list[Part]:
    """Libraries that need some others, in no order."""
    count, fan = rng.choice([(1400, 2), (950, 8), (190, 40)])
    count = int(count * share) + 2
    return graph(count, lambda i: [rng.randrange(count) for _ in range(fan)])


def modules_of_a_chain(rng: Random, share: float) -> list[Part]:
    """Modules that all need the begin of one long chain."""
    count = int(1600 * share) + 1
    long = graph(count, lambda i: [i + 1], runpath=b"$ORIGIN")
    kind = rng.choice(["runpath", "rpath"])
    needed = [b"l0.so", *([b"libgone.so"] if rng.random() < 0.5 else [])]
    made = [library(needed=needed, soname=b"m%d" % i, **{kind: b"$ORIGIN"}) for i in range(count)]  # type: ignore[arg-type]
    return [*long, *(Part(f"demo/m{i}{SUFFIX}", content) for i, content in enumerate(made))]


def layers(rng: Random, share: float) -> list[Part]:
    """Layers of libraries, each needing the whole next layer."""
    wide, count = rng.choice([(5, 1200), (20, 380), (40, 200)])
    deep = max(int(count * share) // wide, 1)
    return graph(wide * deep, lambda i: range((i // wide + 1) * wide, min((i // wide + 2) * wide, wide * deep)))


def chain(rng: Random, share: float) -> list[Part]:
    """A long chain, of which each library has an own DT_RPATH, which those behind it inherit."""
    count, entries = int(900 * share) + 1, rng.choice([1, 20, 60])
    made = []
    for i in range(count):
        path = b":".join(b"$ORIGIN/../n%d_%d" % (i, j) for j in range(entries)) + b":$ORIGIN"
        made.append(Part(f"demo/l{i}.so", library(needed=[b"l%d.so" % (i + 1)], rpath=path)))
    return made


def ring_of_rpaths(rng: Random, share: float) -> list[Part]:
    """The same in a circle, with what nobody has."""
    count = int(500 * share) + 1
    made = []
    for i in range(count):
        needed = [b"l%d.so" % ((i + 1) % count), b"libgone%d.so" % i]
        made.append(Part(f"demo/l{i}.so", library(needed=needed, rpath=b"$ORIGIN:$ORIGIN/../a%d" % i)))
    return made


def missing(rng: Random, share: float) -> list[Part]:
    """Libraries that need many that are nowhere."""
    count, fan = int(79 * share) + 1, int(99 * share) + 1
    return graph(count, lambda i: range(100_000, 100_000 + fan))


def many_missing(rng: Random, share: float) -> list[Part]:
    """One library that needs thousands, all nowhere, with a long search path in a wheel of many folders."""
    folders = [b"$ORIGIN/f%d" % i for i in range(1000)]
    made = [Part(f"demo/f{i}/x.txt") for i in range(int(1000 * share))]
    return [*made, Part("demo/x.so", library(needed=names(int(550 * share) + 1), runpath=b":".join(folders)))]


def many_missing_twice(rng: Random, share: float) -> list[Part]:
    """Several of them."""
    folders = [b"$ORIGIN/f%d" % i for i in range(1000)]
    made = [Part(f"demo/f{i}/x.txt") for i in range(int(1000 * share))]
    for i in range(int(4 * share) + 1):
        path = b":".join(folders[i:] + folders[:i])
        made.append(Part(f"demo/l{i}.so", library(needed=names(int(180 * share) + 1, "g"), runpath=path)))
    return made


def machine_folders(rng: Random, share: float) -> list[Part]:
    """Libraries that need thousands, with long search paths of folders of the machine."""
    wanted = names(int(280 * share) + 1, "g")
    return [Part(f"demo/l{i}.so", library(needed=wanted, runpath=b":".join(THERE[i:] + THERE[:i]))) for i in range(2)]


def search_paths(rng: Random, share: float) -> list[Part]:
    """Many libraries with long search paths of many spellings."""
    made = []
    for i in range(int(8 * share) + 1):
        path = b":".join(b"$ORIGIN/" + b"../demo/" * (j % 50) + b"./" * (j // 50) for j in range(1000))
        made.append(Part(f"demo/l{i}.so", library(needed=names(60), runpath=path)))
    return made


def tokens(rng: Random, share: float) -> list[Part]:
    """Search paths and names full of tokens."""
    entry = b"${ORIGIN}/$LIB/$PLATFORM" * 40
    path = b":".join(entry + b"%d" % i for i in range(int(120 * share) + 1))
    needed = [b"$ORIGIN/$LIB/%d/$PLATFORM.so" % i for i in range(int(1900 * share) + 1)]
    return [Part(f"demo/l{i}.so", library(needed=needed, runpath=path + b"%d" % i)) for i in range(4)]


def symbols(rng: Random, share: float) -> list[Part]:
    """Libraries that define many symbols, and ask each other for as many."""
    count, each = rng.choice([(10, 4000), (60, 600), (85, 400)])
    each = int(each * share) + 1
    made = []
    for i in range(count):
        defines = [(b"s%d_%d" % (i, j), -1) for j in range(each)]
        asks = [(b"s%d_%d" % ((i + 1 + j) % count, j), -1) for j in range(each)]
        content = library(needed=names(count), runpath=b"$ORIGIN", defines=defines, asks=asks)
        made.append(Part(f"demo/l{i}.so", content))
    return made


def undefined(rng: Random, share: float) -> list[Part]:
    """Libraries that ask for the same symbols, which nothing defines, and load each other."""
    count, each = rng.choice([(1, 80_000), (30, 4000), (85, 800)])
    each = int(each * share) + 1
    asks = [(b"no_such_%d" % j, -1) for j in range(each)]
    content = library(needed=names(count), runpath=b"$ORIGIN", asks=asks)
    return [Part(f"demo/l{i}.so", content + b"%d" % i) for i in range(count)]


def python_symbols(rng: Random, share: float) -> list[Part]:
    """Extension modules that ask for symbols which look like Python's."""
    count, each = rng.choice([(1, 60_000), (40, 2000), (600, 20)])
    count, each = int(count * share) + 1, int(each * share) + 1
    asks = [(b"PyNoSuch_%d" % j, -1) for j in range(each)]
    suffix = rng.choice([".abi3.so", ".so", SUFFIX])
    return [Part(f"demo/m{i}{suffix}", library(asks=asks, defines=[(b"PyInit_m%d" % i, -1)])) for i in range(count)]


def modules(rng: Random, share: float) -> list[Part]:
    """Very many extension modules."""
    count = int(1600 * share) + 1
    return [
        Part(
            f"demo/m{i}{SUFFIX}",
            library(needed=[b"libc.so.6"], asks=[(b"PyModule_Create2", -1)], defines=[(b"PyInit_m%d" % i, -1)]),
        )
        for i in range(count)
    ]


def version_needs(rng: Random, share: float) -> list[Part]:
    """Versions asked of a library that defines as many others."""
    count, each = rng.choice([(1, 10_000), (20, 1500), (85, 300)])
    each = int(each * share) + 1
    made = []
    for i in range(count):
        wanted = [b"V%d" % j for j in range(each)]
        asks = [(b"s%d" % j, j) for j in range(each)]
        needs = [(b"l%d.so" % ((i + 1) % count), wanted)]
        defined = [b"W%d" % j for j in range(each)]
        content = library(needed=names(count), runpath=b"$ORIGIN", needs=needs, asks=asks, versions=defined)
        made.append(Part(f"demo/l{i}.so", content))
    return made


def version_files(rng: Random, share: float) -> list[Part]:
    """Versions asked of very many libraries that nothing loads."""
    count, each = int(40 * share) + 1, int(900 * share) + 1
    needs = [(b"libno%d.so" % j, [b"V1"]) for j in range(each)]
    asks = [(b"s%d" % j, j) for j in range(each)]
    return [
        Part(f"demo/l{i}.so", library(needed=names(count), runpath=b"$ORIGIN", needs=needs, asks=asks) + b"%d" % i)
        for i in range(count)
    ]


def glibc_versions(rng: Random, share: float) -> list[Part]:
    """New and unknown versions of the C library, asked for by many."""
    count, each = rng.choice([(1, 9000), (300, 60)])
    each = int(each * share) + 1
    wanted = [b"GLIBC_2.%d" % (j + 1) for j in range(each)]
    asks = [(b"s%d" % j, j) for j in range(each)]
    content = library(needed=[b"libc.so.6"], needs=[(b"libc.so.6", wanted)], asks=asks)
    return [Part(f"demo/l{i}.so", content + b"%d" % i) for i in range(count)]


def long_names(rng: Random, share: float) -> list[Part]:
    """Long names full of what has to be escaped."""
    size, count = rng.choice([(3000, 300), (60_000, 15), (200, 3000)])
    text = rng.choice([b"\x01", b"\xff", b"a", b"\xe2\x80\xae", b"\\"]) * size
    needed = [text[: size - 8] + b"%d" % i for i in range(int(count * share) + 1)]
    return [
        Part(f"demo/l{i}.so", library(needed=needed, soname=text, runpath=text, asks=[(text, -1)]) + b"%d" % i)
        for i in range(3)
    ]


def clashes(rng: Random, share: float) -> list[Part]:
    """Libraries of one soname or one file name, in many folders."""
    count = int(1200 * share) + 1
    return [
        Part(
            f"demo/f{i}/libx.so",
            library(soname=b"libx.so", needed=[b"libx.so", b"libm.so.6"], runpath=b"$ORIGIN/../f0"),
        )
        for i in range(count)
    ]


def faults(rng: Random, share: float) -> list[Part]:
    """Libraries with everything wrong that one can have."""
    count = int(700 * share) + 1
    made = []
    for i in range(count):
        content = library(
            needed=[b"libgone.so", b"libpython3.12.so.1.0", b"/abs/x.so"],
            runpath=b":/usr/lib:relative:$ORIGIN/../../..:$LIB/x",
            asks=[(b"PyNone", -1), (b"gone", -1)],
            needs=[(b"libc.so.6", [b"GLIBC_2.99"]), (b"libgone.so", [b"V"])],
            tls=100_000,
            flags=0x40,
            aligned=8,
        )
        made.append(Part(f"demo/m{i}{SUFFIX}", content))
    return made


def programs(rng: Random, share: float) -> list[Part]:
    """Many programs that need one another's libraries."""
    count = int(168 * share) + 2
    made = graph(count // 2, lambda i: [(i + 1) % max(count // 2, 1)])
    for i in range(count // 2):
        content = library(
            needed=names(count // 2), rpath=b"$ORIGIN", interpreter=b"/lib64/ld-linux-x86-64.so.2", kind=2
        )
        made.append(Part(f"demo/p{i}", content))
    return made


def grafts(rng: Random, share: float) -> list[Part]:
    """Many files that look like grafts, needed or not."""
    count = int(1200 * share) + 1
    found = [b"lib%s-%08x.so.%d" % (rng.choice([b"x", b"ssl", b"crypto", b"icuuc"]), i, i % 9) for i in range(count)]
    made = [
        Part(f"demo.libs/{name.decode()}", library(soname=name, needed=found[i : i + 3]))
        for i, name in enumerate(found)
    ]
    return [*made, Part(f"demo/m{SUFFIX}", library(needed=found, runpath=b"$ORIGIN/../demo.libs"))]


def places(rng: Random, share: float) -> list[Part]:
    """Grafts full of paths."""
    form = rng.choice([b"/usr/share/p%07d", b"/usr/lib/p%07d/x", b"/usr/a", b"/usr/%d" + b"/a" * 200, b"/etc/ssl/%d"])
    size = int(40_000_000 * share)
    one = b"\0".join(form % i if b"%" in form else form for i in range(min(size // (len(form) + 4), 60_000))) + b"\0"
    text = one * max(min(size // len(one), 40), 1)
    asks = [(b"dlopen", -1)]
    return [Part("demo.libs/libx-12345678.so", library(asks=asks, needed=[b"libdl.so.2"], end=b"\0" + text))]


def deep_folders(rng: Random, share: float) -> list[Part]:
    """Libraries far down, whose search paths lead up and down again."""
    deep = int(150 * share) + 1
    folder = "demo/" + "d/" * deep
    path = b":".join(b"$ORIGIN/" + b"../" * deep + b"d/" * (i % deep) for i in range(300))
    return [Part(f"{folder}{i}.so", library(needed=names(80), runpath=path) + b"%d" % i) for i in range(30)]


def files(rng: Random, share: float) -> list[Part]:
    """Very many small files."""
    form = rng.choice(
        ["demo/f{}", "demo/{}/x", "demo-1.0.data/platlib/{}", "demo-1.0.data/scripts/{}", "demo-1.0.dist-info/{}"]
    )
    return [Part(form.format(i)) for i in range(int(6500 * share))]


def other_machines(rng: Random, share: float) -> list[Part]:
    """ELF files for other processors, and damaged ones."""
    content = bytearray(library(needed=[b"l1.so"]))
    content[18] = rng.choice([40, 183, 250, 3])
    return [Part(f"demo/l{i}.so", bytes(content) + b"%d" % i) for i in range(int(1500 * share))]


def bills(rng: Random, share: float) -> list[Part]:
    """Bills of materials: long ones, many, and deep ones."""
    which = rng.randrange(4)
    if which == 0:
        item = {"name": "x", "version": "1", "purl": "pkg:deb/debian/x@1", "type": "library", "bom-ref": "a"}
        text = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [item] * int(200_000 * share)})
        return [Part("demo-1.0.dist-info/sboms/auditwheel.cdx.json", text.encode())]
    if which == 1:
        text = "[" * int(5_000_000 * share)
        return [Part("demo-1.0.dist-info/sboms/auditwheel.cdx.json", text.encode())]
    if which == 2:
        return [Part(f"demo-1.0.dist-info/sboms/{i}.cdx.json", b"{}") for i in range(int(4000 * share))]
    text = '{"a":' * int(300 * share) + "1" + "}" * int(300 * share)
    return [Part(f"demo-1.0.dist-info/sboms/{i}.json", text.encode()) for i in range(int(900 * share))]


def info_files(rng: Random, share: float) -> list[Part]:
    """Odd and long files in .dist-info."""
    count = int(400_000 * share)
    return [
        Part("demo-1.0.dist-info/entry_points.txt", b"[console_scripts]\n" + b"a = b:c\n" * count),
        Part("demo-1.0.dist-info/top_level.txt", b"demo\n" * count),
        Part("demo-1.0.dist-info/direct_url.json", b"{" * count),
        Part("demo-1.0.dist-info/licenses/LICENSE", b"GPL\n" * count),
    ]


def licenses(rng: Random, share: float) -> list[Part]:
    """Grafts whose names are many words, and licenses that say none of them."""
    count, size = int(900 * share) + 1, int(4_000_000 * share)
    names_ = ["lib" + "-".join(f"w{i}q{j}" for j in range(12)) for i in range(count)]
    made = [Part(f"demo.libs/{name}-12345678.so", library(soname=name.encode())) for name in names_]
    text = " ".join(f"word{i % 90_000}" for i in range(size // 10)).encode()
    return [*made, Part("demo-1.0.dist-info/licenses/LICENSE", text)]


def twins(rng: Random, share: float) -> list[Part]:
    """Names that differ in case only."""
    return [Part(f"demo/{letter}{i}") for letter in "aA" for i in range(int(3000 * share))]


KINDS: dict[str, Callable[[Random, float], list[Part]]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        ring, all_of_all, random_graph, modules_of_a_chain, layers, chain, ring_of_rpaths, missing, many_missing,
        many_missing_twice,
        machine_folders, search_paths, tokens, symbols, undefined, python_symbols, modules, version_needs,
        version_files, glibc_versions, long_names, clashes, faults, programs, grafts, places, deep_folders, files,
        other_machines, bills, info_files, licenses, twins,
    )
}  # fmt: skip


#: Spellings of folders that are there.
THERE = [b"/usr/lib" + b"/." * (i % 40) + b"/" * (i // 40 + 1) for i in range(1000)]
#: Single ELF files of at most 1 MiB.
ELF_FILES: dict[str, Callable[[], bytes]] = {
    "needs": lambda: library(needed=names(40_000)),
    "needs-4000": lambda: library(needed=names(4000), runpath=b":".join(THERE)),
    "needs-in-folders": lambda: library(needed=names(20_000), runpath=b":".join(THERE)),
    "needs-4000-by-path": lambda: library(needed=[b"/usr/lib/./$LIB/%d.so" % i for i in range(4000)]),
    "needs-by-path": lambda: library(needed=[b"/usr/lib/./$LIB/%d.so" % i for i in range(20_000)]),
    "tokens": lambda: library(
        needed=[b"$ORIGIN/$LIB/%d" % i for i in range(20_000)], rpath=b":".join([b"$ORIGIN/$LIB/$PLATFORM"] * 9000)
    ),
    "asks": lambda: library(asks=[(b"s%d" % i, -1) for i in range(14_000)]),
    "defines": lambda: library(defines=[(b"s%d" % i, -1) for i in range(22_000)]),
    "versions": lambda: library(
        needed=[b"libc.so.6"],
        needs=[(b"libc.so.6", [b"GLIBC_2.%d" % i for i in range(9000)])],
        asks=[(b"s%d" % i, i) for i in range(9000)],
    ),
    "long-name": lambda: library(needed=[b"\xe2\x80\xae" * 300_000], soname=b"a"),
    "long-path": lambda: library(needed=[b"libgone.so"], runpath=b"$ORIGIN/" + b"../" * 300_000),
}  # fmt: skip


def _lines(form: bytes, count: int) -> bytes:
    return b"".join(form % i for i in range(count))


MODULE = [Part(f"demo/m{SUFFIX}", library(needed=[b"libc.so.6"], defines=[(b"PyInit_m", -1)]))]
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n"
#: What is in the texts and names, not in the members.
TEXTS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "headers": lambda: wheel_of(MODULE, METADATA=METADATA + _lines(b"X-%d: y\n", 400_000)),
    "license-files": lambda: wheel_of(MODULE, METADATA=METADATA + _lines(b"License-File: a%d\n", 200_000)),
    "license-files-2.4": lambda: wheel_of(
        MODULE, METADATA=METADATA.replace(b"2.1", b"2.4") + _lines(b"License-File: a%d\n", 200_000)
    ),
    "requires-python": lambda: wheel_of(
        MODULE, tag="py3-none-manylinux_2_17_x86_64",
        METADATA=METADATA + b"Requires-Python: " + b",".join(b"!=3.%d.*" % i for i in range(100_000)) + b"\n",
    ),
    "requires-python-digits": lambda: wheel_of(
        MODULE, tag="py3-none-manylinux_2_17_x86_64",
        METADATA=METADATA + b"Requires-Python: >=3." + b"9" * 1_000_000 + b"\n",
    ),
    "body": lambda: wheel_of(MODULE, METADATA=METADATA + b"\n" + b"# title\n" * 1_500_000),
    "tag-lines": lambda: wheel_of(MODULE, WHEEL=WHEEL + _lines(b"Tag: py3-none-t%d\n", 9000)),
    "tag-products": lambda: wheel_of(
        MODULE, WHEEL=WHEEL + b"Tag: " + b"-".join(b".".join(b"a%d" % i for i in range(21)) for _ in range(3)) + b"\n"
    ),
    "wheel-lines": lambda: wheel_of(MODULE, WHEEL=WHEEL + _lines(b"X-%d: y\n", 20_000)),
    "file-name-tags": lambda: wheel_of(
        MODULE, tag="-".join([".".join(f"cp3{i}" for i in range(14)), ".".join("abcdefghijklmnopqrstu"),
                              ".".join(f"manylinux_2_{i}_x86_64" for i in range(5, 11))])
    ),
    "platform-tags": lambda: wheel_of(
        modules(Random(0), 0.2), tag="cp312-cp312-" + ".".join(
            ["manylinux_2_17_x86_64", "musllinux_1_1_x86_64", "manylinux_2_17_aarch64", "musllinux_1_2_aarch64",
             "manylinux_2_17_i686", "manylinux_2_17_s390x", "manylinux_2_17_ppc64le", "android_21_x86_64"])
    ),
    "foreign-tags": lambda: wheel_of(MODULE, tag="cp312-cp312-" + ".".join(f"x{i}" for i in range(50))),
    "python-tags": lambda: wheel_of(
        modules(Random(0), 0.3), tag=".".join(f"cp3{i}" for i in range(6, 15)) + "-abi3-manylinux_2_17_x86_64"
    ),
    "record-rows": lambda: wheel_of(MODULE, RECORD=_lines(b"demo/%d,,0\n", 120_000)),
    "record-wrong": lambda: wheel_of(
        files(Random(0), 0.7), RECORD=_lines(b"demo/f%d,,77\n", 5000) + b"demo-1.0.dist-info/RECORD,,\n"
    ),
    "record-long": lambda: wheel_of(MODULE, RECORD=b"a" * 12_000_000),
    "record-quotes": lambda: wheel_of(MODULE, RECORD=b'"' * 12_000_000),
}  # fmt: skip


def worst(name: str) -> tuple[str, bytes]:
    """The file name and bytes of the worst wheel of a kind that stays within `SMALL`; `kind/seed` varies it."""
    if name in TEXTS:
        return TEXTS[name]()
    kind, _, seed = name.partition("/")
    return _fitting(lambda share: KINDS[kind](Random(int(seed or 0)), share))


def mixture(seed: int) -> tuple[str, bytes]:
    """A wheel of several kinds, chosen by `seed`."""
    rng = Random(seed)
    kinds = rng.sample(sorted(KINDS), rng.choice([2, 3, 4]))
    shares = [rng.random() for _ in kinds]

    def members(share: float) -> list[Part]:
        # Each in its own folder, but for grafts and .dist-info, so that all are found; names clash across kinds.
        found: dict[bytes, Part] = {}
        for kind, part in zip(kinds, shares, strict=True):
            for one in KINDS[kind](Random(seed), share * part):
                found.setdefault(one.raw_name, one)
        return list(found.values())

    return _fitting(members)


def _fitting(members: Callable[[float], list[Part]]) -> tuple[str, bytes]:
    share = 1.0
    while True:
        name, content = wheel_of(members(share))
        if len(content) <= SMALL:
            return name, content
        share *= min(0.95, SMALL / len(content) * 0.98)


if __name__ == "__main__":
    for one in [*KINDS, *TEXTS]:
        name, content = worst(one)
        folder = Path(sys.argv[1], one)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        print(one, len(content))
