"""The zip layer: members that overlap, contradict themselves, or are no regular files."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from arena import Case, Tools, parts_of
from zipcases import FULL, MIB, TEXT, Make, both, collector, whole, with_change, with_part
from zipkit import Part, assemble, deflate

__all__ = ["CASES"]

CASES: list[Case] = []
add = collector(CASES)


# --- overlap ---------------------------------------------------------------------------------------------------------
def nested(tools: Tools) -> bytes:
    """The second member lies inside of the first one's data."""
    inner = assemble([Part("demo/b", b"beta", method=0)])
    local = inner[: inner.index(b"PK\1\2")]
    before = whole(tools)
    inside = {"offset": before.index(b"PK\1\2") + 30 + len("demo/a")}
    parts = parts_of(tools)
    return assemble(
        [*parts, Part("demo/a", local + b"rest", method=0), Part("demo/b", b"beta", method=0, central=inside)]
    )


def quoting(tools: Tools) -> bytes:
    """Fifield's bomb: stored deflate blocks quote the next header, all members share one kernel of data."""
    kernel = deflate(bytes(200_000))
    last = assemble([Part("demo/z", bytes(200_000))])
    local = last[: last.index(b"PK\1\2")]
    block = b"\0" + struct.pack("<HH", len(local) - len(kernel), (len(local) - len(kernel)) ^ 0xFFFF)
    header = local[: len(local) - len(kernel)]
    content = header + bytes(200_000)
    outer = Part("demo/a", content, data=block + header + kernel)
    start = whole(tools).index(b"PK\1\2") + 30 + len("demo/a") + len(block)
    return assemble(
        [
            *parts_of(tools),
            outer,
            Part("demo/z", bytes(200_000), data=b"", central={"offset": start, "compressed": len(kernel)}),
        ]
    )


add("overlap/nested", "overlap", ("FW105", "FW106"), nested)
add("overlap/quoting-bomb", "overlap", ("FW105", "FW106"), quoting)
add("overlap/one-member-two-names", "overlap", "FW106", with_part(central={"offset": 0}))
add(
    "overlap/one-member-hundred-names",
    "overlap",
    "FW106",
    lambda t: whole(
        t, *(Part(f"demo/{i}", b"", data=b"", central={"offset": 0, "size": 9, "compressed": 9}) for i in range(100))
    ),
)
add(
    "overlap/data-run-into-next",
    "overlap",
    ("FW106",),
    with_part(method=0, content=b"1", **both(size=120, compressed=120)),
)
add(
    "overlap/data-run-into-directory",
    "overlap",
    ("FW104", "FW106"),
    lambda t: assemble([*parts_of(t)[:-1], replace(parts_of(t)[-1], method=0, **both(size=900, compressed=900))]),
)
add(
    "overlap/one-byte", "overlap", ("FW106",), with_part(method=0, content=b"12345", data=b"1234", **both(compressed=5))
)


# --- local and central headers disagree ------------------------------------------------------------------------------
for _name, _fields in {
    "signature": {"signature": b"PK\3\5"}, "no-signature": {"signature": bytes(4)}, "method": {"method": 0},
    "method-99": {"method": 99}, "crc": {"crc": 1}, "crc-zero": {"crc": 0}, "size": {"size": 1},
    "size-zero": {"size": 0},
    "size-plus-one": {"size": 301}, "size-full": {"size": FULL}, "compressed": {"compressed": 1},
    "compressed-zero": {"compressed": 0},
    "compressed-full": {"compressed": FULL}, "all-zero": {"crc": 0, "size": 0, "compressed": 0}, "flag-0": {"flags": 1},
    "flag-3": {"flags": 8}, "flag-4": {"flags": 16}, "flag-5": {"flags": 32}, "flag-6": {"flags": 64},
    "flag-7": {"flags": 128},
    "flag-11": {"flags": 0x800}, "flag-12": {"flags": 0x1000}, "flag-13": {"flags": 0x2000},
    "flag-15": {"flags": 0x8000},
    "name": {"name": b"demo/evil.txt"}, "name-case": {"name": b"demo/Data.txt"},
    "name-longer": {"name": b"demo/data.txt.exe"},
    "name-shorter": {"name": b"demo/data"}, "name-empty": {"name": b""}, "name-nul": {"name": b"demo/data\0txt"},
    "name-traversal": {"name": b"../../../a.sh"}, "name-folder": {"name": b"demo/data.tx/"},
}.items():  # fmt: skip
    add(f"disagree/local-{_name}", "headers-disagree", ("FW105", "FW106", "FW102"), with_part(local=_fields))
for _name, _fields in {
    "method": {"method": 0}, "crc": {"crc": 1}, "size": {"size": 1}, "compressed": {"compressed": 1},
    "name": {"name": b"demo/evil.txt"},
    "flags": {"flags": 0x800},
}.items():  # fmt: skip
    add(f"disagree/central-{_name}", "headers-disagree", ("FW102", "FW104", "FW105"), with_part(central=_fields))
for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    add(f"disagree/{_name}-crc", "headers-disagree", "FW105", with_change(_index, local={"crc": 1}))
for _name, _fields in {
    "time": {"time": 0}, "date": {"date": 0}, "version": {"needed": 10}, "effort": {"flags": 6},
}.items():  # fmt: skip
    add(f"disagree/harmless-{_name}", "harmless-differences", "ok", with_part(local=_fields))


# --- duplicates ------------------------------------------------------------------------------------------------------
def twice(index: int, **fields: object) -> Make:
    def make(tools: Tools) -> bytes:
        parts = parts_of(tools)
        return assemble([*parts, replace(parts[index], **fields)])  # type: ignore[arg-type]

    return make


for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    add(f"twice/{_name}", "listed-twice", "FW107", twice(_index))
    add(f"twice/{_name}-other-content", "listed-twice", "FW107", twice(_index, content=b"other"))
add("twice/thrice", "listed-twice", "FW107", lambda t: whole(t, *[Part("demo/a", b"1")] * 3))
add("twice/folder", "listed-twice", "FW107", lambda t: whole(t, *[Part("demo/f/", method=0, mode=0o40755)] * 2))
add(
    "twice/file-and-folder",
    "file-and-folder",
    "FW114",
    lambda t: whole(t, Part("demo/a", b"1"), Part("demo/a/b", b"1")),
)
add(
    "twice/file-and-folder-entry",
    "file-and-folder",
    "FW114",
    lambda t: whole(t, Part("demo/a", b"1"), Part("demo/a/", method=0, mode=0o40755)),
)
add(
    "twice/case",
    "case-twins",
    "ok",
    lambda t: whole(t, Part("demo/A.txt", b"1"), Part("demo/a.txt", b"2")),
    says="differ only by case",
)
add(
    "twice/case-of-folder",
    "case-twins",
    "ok",
    lambda t: whole(t, Part("Demo/__init__.py", b"1")),
    says="differ only by case",
)
add(
    "twice/composed",
    "case-twins",
    "ok",
    lambda t: whole(t, Part("demo/é", b"1"), Part("demo/e\u0301", b"2")),
    says="warning",
)
add(
    "twice/sharp-s", "case-twins", "ok", lambda t: whole(t, Part("demo/ß", b"1"), Part("demo/ss", b"2")), says="warning"
)
add(
    "twice/ten-thousand-twins",
    "case-twins",
    "ok",
    lambda t: whole(t, *(Part(f"demo/{'aA'[i % 2]}{i // 2}", b"") for i in range(4000))),
    imports=False,
    cpu=4.0,
)


# --- content against the directory -----------------------------------------------------------------------------------
DAMAGE = {"repair": "FW112"}
for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    _quiet = ("ok",) if _name == "module" else None  # show does not read plain files
    add(f"damaged/{_name}-crc", "damaged", "FW112", with_change(_index, **both(crc=1)), show=_quiet)
    add(
        f"damaged/{_name}-stream",
        "damaged",
        "FW112",
        with_change(_index, data=b"\xff" * 3000),
        show=("any",) if _quiet else None,
    )
    add(
        f"damaged/{_name}-size-plus-one",
        "damaged",
        "FW112",
        lambda t, i=_index: with_change(i, **both(size=len(parts_of(t)[i].content) + 1))(t),
        show=("any",) if _quiet else None,
    )
    add(
        f"damaged/{_name}-size-minus-one",
        "damaged",
        "FW112",
        lambda t, i=_index: with_change(i, **both(size=len(parts_of(t)[i].content) - 1))(t),
        show=("any",) if _quiet else None,
    )
for _name, _data in {
    "empty": b"", "cut": deflate(TEXT)[:-4], "trailing": deflate(TEXT) + b"\0", "trailing-stream": deflate(TEXT) * 2,
    "zlib-header": zlib.compress(TEXT), "gzip-header": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + deflate(TEXT),
    "reserved-block": b"\7" + bytes(20),
    "stored-length-wrong": b"\1\5\0\5\0hello", "distance-too-far": bytes.fromhex("4b04e200"), "text": TEXT,
    "zeros": bytes(50),
    "ones": b"\xff" * 50, "not-final": b"\0\5\0\xfa\xffhello",
}.items():  # fmt: skip
    add(f"damaged/stream-{_name}", "damaged", ("FW112", "FW104"), with_part(data=_data, content=TEXT), show=("any",))
for _name, _change in {
    "cut": lambda data: deflate(data)[:-9], "trailing": lambda data: deflate(data) + b"\0",
    "trailing-stream": lambda data: deflate(data) * 2,
    "other": lambda data: deflate(data[:-1] + b"\x01"), "short": lambda data: deflate(data[:-1]),
    "long": lambda data: deflate(data + b"\0"),
    "flipped": lambda data: deflate(data)[:2000] + b"\xff\xff" + deflate(data)[2002:], "zlib": zlib.compress,
}.items():  # fmt: skip
    add(
        f"damaged/elf-stream-{_name}",
        "damaged",
        ("FW112", "FW104"),
        lambda t, c=_change: with_change(1, data=c(t.core))(t),
    )
for _name, _content, _data in [
    ("stored-short", b"12345", b"1234"), ("stored-long", b"12345", b"123456"), ("stored-other", b"12345", b"12346"),
]:  # fmt: skip
    add(
        f"damaged/{_name}",
        "damaged",
        ("FW104", "FW112"),
        with_part(method=0, content=_content, data=_data),
        show=("any",),
    )
add(
    "damaged/size-lie-200-MiB",
    "bombs",
    "FW112",
    with_part(content=b"x" * 100, data=deflate(bytes(200 * MIB))),
    show=("any",),
    cpu=2,
)
add(
    "damaged/elf-size-lie-200-MiB",
    "bombs",
    "FW112",
    with_part(name="demo/x.so", content=b"\x7fELF" + bytes(96), data=deflate(b"\x7fELF" + bytes(200 * MIB))),
    cpu=2,
)
add(
    "damaged/no-content-but-size",
    "damaged",
    ("FW112",),
    with_part(content=b"", data=b"\3\0", **both(size=5)),
    show=("any",),
)


# --- encryption and methods ------------------------------------------------------------------------------------------
for _name, _fields in {
    "traditional": {"flags": 1}, "strong": {"flags": 0x41}, "strong-only": {"flags": 0x40}, "masked": {"flags": 0x2000},
    "aes": {"flags": 1, "method": 99, "extra_central": struct.pack("<HHHHBH", 0x9901, 7, 2, 0x4541, 3, 8)},
    "aes-without-flag": {"method": 99}, "with-descriptor": {"flags": 9},
}.items():  # fmt: skip
    add(f"encrypted/{_name}", "encrypted", "FW110", with_part(**_fields))
for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    add(f"encrypted/{_name}", "encrypted", "FW110", with_change(_index, flags=1))
for _method in (1, 2, 6, 7, 9, 10, 12, 14, 16, 18, 19, 20, 94, 95, 96, 97, 98, 0xFFFF):
    add(f"method/{_method}", "methods", "FW111", with_part(method=_method))
for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    add(f"method/lzma-{_name}", "methods", "FW111", with_change(_index, method=14))
add("method/patch", "methods", "FW111", with_part(flags=0x20))
for _version in (64, 90, 255):
    add(f"method/version-{_version}", "methods", "FW111", with_part(central={"needed": _version}))
add("method/zstd-empty", "methods", ("FW111", "FW112"), with_part(method=93))


# --- names -----------------------------------------------------------------------------------------------------------
BAD_NAMES = {
    "empty": b"", "absolute": b"/etc/passwd", "absolute-double": b"//etc/passwd", "slash": b"/", "parent": b"..",
    "parent-slash": b"../",
    "parent-file": b"../evil.py", "parent-deep": b"demo/../../evil.py", "parent-inside": b"demo/../demo/x.py",
    "parent-end": b"demo/..",
    "parent-end-slash": b"demo/../", "dot": b".", "dot-file": b"./x.py", "dot-inside": b"demo/./x.py",
    "dot-end": b"demo/.",
    "empty-part": b"demo//x.py", "empty-parts-end": b"demo//", "backslash": b"demo\\x.py",
    "backslash-parent": b"..\\evil.py",
    "backslash-drive": b"C:\\evil.py", "drive": b"C:/evil.py", "drive-lower": b"c:/evil.py", "unc": b"\\\\host\\share",
    "nul": b"demo/x\0.py", "nul-end": b"demo/x.py\0", "nul-only": b"\0", "newline": b"demo/x\n.py",
    "carriage-return": b"demo/x\r.py",
    "tab": b"demo/x\t.py", "escape": b"demo/\x1b[2Jx.py", "bell": b"demo/\x07", "delete": b"demo/\x7f",
    "c1": "demo/\x85".encode(),
    "csi": "demo/\x9b2J".encode(), "latin-1": b"demo/caf\xe9.py", "cp437": b"demo/\x81.py",
    "shift-jis": b"demo/\x83\x65.py",
    "overlong": b"demo/\xc0\xaf", "surrogate": b"demo/\xed\xa0\x80", "cut-utf-8": b"demo/\xe2\x82",
    "utf-16": "demo/x".encode("utf-16-le"),
    "beyond-unicode": b"demo/\xf4\x90\x80\x80", "too-long": b"demo/" + b"x/" * 2100 + b"x",
    "part-too-long": b"demo/" + b"x" * 256,
    "longest": b"x" * 65535, "ff": b"\xff\xfe",
}  # fmt: skip
for _name, _raw in BAD_NAMES.items():
    add(f"name/{_name}", "names", "FW108", with_part(name=_raw, content=b"", method=0))
    add(f"name/{_name}-marked-utf-8", "names", "FW108", with_part(name=_raw, content=b"", method=0, flags=0x800))
for _name, _text in {
    "accents": "demo/größe é.txt", "cjk": "demo/日本/語.txt", "emoji": "demo/🐍.py", "space": "demo/a b.txt",
    "comma": "demo/a,b.txt",
    "quote": 'demo/a"b.txt', "quotes-and-commas": 'demo/",",".txt', "apostrophe": "demo/it's", "dash": "-rf",
    "tilde": "~", "dollar": "demo/$(x)",
    "star": "demo/*", "colon": "demo/a:b", "dots": "demo/...", "dots-before": "demo/..a", "dots-after": "demo/a..",
    "hidden": "demo/.hidden",
    "at": "@file", "percent": "demo/%2e%2e%2f", "combining": "demo/e\u0301.txt", "rtl": "demo/\u05d0\u05d1.txt",
    "hash": "#.py", "semicolon": "demo/;",
    "longest-part": "demo/" + "x" * 255, "longest-part-utf-8": "demo/" + "é" * 127, "deep": "demo/" + "d/" * 300 + "x",
    "nbsp": "demo/a\u00a0b",
    "con": "demo/con", "trailing-dot": "demo/x.", "trailing-space": "demo/x ", "leading-space": " demo2/x",
    "equals": "=cmd|' /C calc'!A0",
}.items():  # fmt: skip
    add(f"name/good-{_name}", "odd-names", "ok", lambda t, n=_text: whole(t, Part(n, b"text")))
add("name/good-line-separator", "odd-names", "ok", lambda t: whole(t, Part("demo/\u2028x", b"1")), imports=False)
add("name/good-utf-8-unmarked", "odd-names", "ok", with_part(name="demo/é".encode(), flags=0), says="not marked")
for _name, _text in {
    "bidi": "demo/\u202egnp.so",
    "zero-width": "demo/a\u200bb",
    "line-separator": "demo/\u2028x",
    "bom": "demo/\ufeffx",
}.items():
    # The reference installer splits RECORD at U+2028, which csv does not.
    add(
        f"name/invisible-{_name}",
        "odd-names",
        "ok",
        lambda t, n=_text: whole(t, Part(n, b"text"), Part(n.upper(), b"text")),
        imports=False,
    )


# --- kinds of members ------------------------------------------------------------------------------------------------
for _name, _mode in {
    "link": 0o120777, "character-device": 0o020644, "block-device": 0o060644, "fifo": 0o010644, "socket": 0o140644,
    "whiteout": 0o160000,
    "folder": 0o040755, "unknown-kind": 0o150644, "all-bits": 0o170000,
}.items():  # fmt: skip
    for _system in (3, 0, 19):
        add(
            f"kind/{_name}-system-{_system}",
            "non-regular",
            "FW109",
            with_part(mode=_mode, system=_system, content=b"/etc/passwd"),
        )
add("kind/folder-with-content", "non-regular", "FW109", with_part(name="demo/f/", mode=0o40755))
add(
    "kind/folder-that-is-a-link",
    "non-regular",
    "FW109",
    with_part(name="demo/f/", mode=0o120777, content=b"", method=0),
)
add(
    "kind/folder-that-is-a-fifo",
    "non-regular",
    "FW109",
    with_part(name="demo/f/", mode=0o010777, content=b"", method=0),
)
for _index, _name in enumerate(("module", "elf", "metadata", "wheel", "record")):
    add(f"kind/{_name}-is-a-link", "non-regular", "FW109", with_change(_index, mode=0o120777))
for _name, _fields in {
    "folder": {"name": "demo/f/", "mode": 0o40755, "content": b"", "method": 0},
    "folder-deflated": {"name": "demo/f/", "mode": 0o40755, "content": b""},
    "folder-without-kind": {"name": "demo/f/", "mode": 0, "content": b"", "method": 0},
    "folder-as-file": {"name": "demo/f/", "mode": 0o100755, "content": b"", "method": 0},
    "no-permissions": {"mode": 0o100000}, "no-attributes": {"mode": 0}, "all-permissions": {"mode": 0o107777},
    "setuid": {"mode": 0o104755},
    "sticky": {"mode": 0o101777}, "write-only": {"mode": 0o100222}, "permissions-without-kind": {"mode": 0o644},
    "dos": {"system": 0, "mode": 0},
    "ntfs": {"system": 10}, "macos": {"system": 19}, "vms": {"system": 2}, "unknown-system": {"system": 255},
    "attributes": {"central": {"external": 0x81A40020}},
    "internal-attributes": {"central": {"internal": 0xFFFF}}, "made-by-6.3": {"central": {"made": 3 << 8 | 63}},
    "made-by-255": {"central": {"made": 0xFFFF}},
    "needs-1.0": both(needed=10), "needs-4.5": both(needed=45), "needs-6.3": both(needed=63),
}.items():  # fmt: skip
    add(f"kind/good-{_name}", "permissions", "ok", with_part(**_fields))
for _mode in (0, 0o100000, 0o100644, 0o104777, 0o100200):
    add(f"kind/good-elf-mode-{_mode:o}", "permissions", "ok", with_change(1, mode=_mode))
for _name, _stamp in {
    "zero": (0, 0), "before-1980": (0, 0x0021), "last": (0xBF7D, 0xFF9F), "no-month": (0, 0x5A01),
    "month-15": (0, 0x5BE1), "day-0": (0, 0x5A20),
    "30-february": (0, 0x5A5E), "hour-31": (0xFFFF, 0x5A21), "all-ones": (0xFFFF, 0xFFFF),
}.items():  # fmt: skip
    add(f"date/{_name}", "dates", "ok", with_part(stamp=_stamp))
    add(f"date/record-{_name}", "dates", "ok", with_change(4, stamp=_stamp))
