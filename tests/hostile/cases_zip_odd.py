"""The zip layer: bombs, limits, extra fields, descriptors, and what is odd but sound."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from arena import Case, Tools, parts_of
from zipcases import FULL, MIB, TEXT, Make, both, collector, options, whole, with_part
from zipkit import Part, assemble, deflate

__all__ = ["CASES"]

CASES: list[Case] = []
add = collector(CASES)


# --- bombs and limits ------------------------------------------------------------------------------------------------
def bomb(size: int, count: int = 1) -> Make:
    def make(tools: Tools) -> bytes:
        data = bytes(size)
        stream, check = deflate(data), zlib.crc32(data)
        fields = both(crc=check, size=len(data))
        record = b"demo-1.0.dist-info/RECORD,,\n"
        parts = [Part(f"demo/{i}.bin", b"", data=stream, **fields) for i in range(count)]  # type: ignore[arg-type]
        return assemble(parts_of(tools, *parts, record=record))

    return make


add("bomb/65-MiB", "bombs", "FW113", bomb(65 * MIB))
add("bomb/many-of-30-MiB", "bombs", "FW113", bomb(30 * MIB, 20))
add("bomb/many-of-1-MiB", "bombs", "FW113", bomb(MIB, 200))
add("bomb/below-the-floor", "ratio-floor", "ok", bomb(40 * MIB), imports=False, again=False, cpu=5)
add("bomb/untrusted-below-the-floor", "bombs", "FW113", bomb(40 * MIB), "--untrusted")
add("bomb/raised", "ratio-floor", "ok", bomb(70 * MIB), "--max-ratio", "2000", imports=False, again=False, cpu=5)
add("bomb/impossible-ratio", "bombs", "FW112", with_part(**both(size=1 << 30)))
add("bomb/impossible-ratio-4-GiB", "bombs", "FW112", with_part(**both(size=FULL - 1)))
add(
    "bomb/claimed-total",
    "limits",
    "FW113",
    lambda t: whole(
        t,
        *(
            Part(f"demo/{i}", b"", data=b"", method=0, central={"size": 1 << 30, "compressed": 1 << 30})
            for i in range(3)
        ),
    ),
    "--max-total-size",
    "100M",
    show=("FW1",),
)
CASES[-1] = replace(CASES[-1], want=("FW104", "FW113"))
add("limit/total-size", "limits", "FW113", whole, "--max-total-size", "1K")
add("limit/members", "limits", "FW113", whole, "--max-members", "4")
add("limit/members-enough", "limits", "ok", whole, "--max-members", "5")
add("limit/ratio-untrusted-fine", "limits", "ok", whole, "--untrusted")
add(
    "limit/name-length",
    "limits",
    "FW113",
    lambda t: whole(t, Part("demo/" + "x" * 200, b"")),
    "--max-name-length",
    "150",
)
add("limit/depth", "limits", "FW113", lambda t: whole(t, Part("demo/" + "x/" * 20 + "y", b"")), "--max-depth", "20")
add("limit/depth-untrusted", "limits", "FW113", lambda t: whole(t, Part("demo/" + "x/" * 70 + "y", b"")), "--untrusted")
add(
    "limit/name-untrusted",
    "limits",
    "FW113",
    lambda t: whole(t, Part("demo/" + ("x" * 100 + "/") * 6 + "y", b"")),
    "--untrusted",
)
add("limit/elf-size", "limits", "FW113", whole, "--max-elf-size", "1K")


def many(tools: Tools, count: int, *, wide: bool = False, narrow: int | None = None) -> bytes:
    """A wheel of so many members, most of them empty and all alike, so that it is made in a moment."""
    sound = assemble(parts_of(tools))
    at = sound.rindex(b"PK\5\6")
    number, size, offset = struct.unpack_from("<HLL", sound, at + 10)
    body, table = [sound[:offset]], [sound[offset : offset + size]]
    place = offset
    for i in range(count - number):
        name = b"demo/f%05d" % i
        body.append(struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0x5A21, 0, 0, 0, len(name), 0) + name)
        table.append(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\1\2",
                788,
                20,
                0,
                0,
                0,
                0x5A21,
                0,
                0,
                0,
                len(name),
                0,
                0,
                0,
                0,
                0o100644 << 16,
                place,
            )
            + name
        )
        place += 30 + len(name)
    directory = b"".join(table)
    out = b"".join(body) + directory
    shown = count if narrow is None else narrow
    if wide:
        out += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 813, 45, 0, 0, count, count, len(directory), place)
        out += struct.pack("<4sLQL", b"PK\6\7", 0, place + len(directory), 1)
        shown = 0xFFFF
    return out + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, shown, shown, len(directory), place, 0)


MANY = {"imports": False, "again": False, "cpu": 15.0}
add("many/66000", "zip64", "ok", lambda t: many(t, 66_000, wide=True), **MANY)
add("many/65535", "many-members", "ok", lambda t: many(t, 65_535), **MANY, verbs=("show",))
add("many/65536-wrapped", "wrong-offsets", ("FW103", "FW104"), lambda t: many(t, 65_536, narrow=0), cpu=4)
add("many/20000", "many-members", "ok", lambda t: many(t, 20_000), "--untrusted", **MANY)


# --- extra fields, comments, descriptors -----------------------------------------------------------------------------
def field_(key: int, content: bytes) -> bytes:
    return struct.pack("<HH", key, len(content)) + content


def unicode_name(name: bytes, raw: bytes = b"demo/data.txt") -> bytes:
    return field_(0x7075, b"\1" + struct.pack("<L", zlib.crc32(raw)) + name)


for _name, _extra, _want in [
    ("timestamp", field_(0x5455, b"\3" + bytes(8)), "ok"), ("ntfs", field_(0x000A, bytes(32)), "ok"),
    ("uid", field_(0x7875, b"\1\4" + bytes(4) + b"\4" + bytes(4)), "ok"),
    ("unknown", field_(0xCAFE, b"data"), "ok"), ("empty", field_(0xCAFE, b""), "ok"),
    ("several", field_(0xCAFE, b"1") + field_(0x5455, b"\0"), "ok"),
    ("same-twice", field_(0xCAFE, b"1") * 2, "ok"), ("padding-1", b"\0", "ok"), ("padding-3", bytes(3), "ok"),
    ("padding-4", bytes(4), "ok"),
    ("padding-9", bytes(9), "ok"), ("unicode-name", unicode_name(b"demo/data.txt"), "ok"),
    ("unicode-comment", field_(0x6375, b"\1" + bytes(4) + b"hi"), "ok"),
    ("largest", field_(0xCAFE, bytes(65_531)), "ok"), ("android-alignment", field_(0xD935, b"\4\0" + bytes(6)), "ok"),
    ("runs-over", b"\xfe\xca\x09\0ab", ("FW104",)), ("runs-far-over", b"\xfe\xca\xff\xffab", ("FW104",)),
    ("trailing", b"ab", ("FW104",)),
    ("trailing-after", field_(0xCAFE, b"1") + b"xyz", ("FW104",)),
    ("unicode-other-name", unicode_name(b"demo/evil.txt"), ("FW105",)),
    ("unicode-traversal", unicode_name(b"../../evil"), ("FW105",)), ("unicode-empty", unicode_name(b""), ("FW105",)),
    ("unicode-short", field_(0x7075, b"\1"), ("FW105",)),
    ("unicode-twice", unicode_name(b"demo/data.txt") * 2, ("FW104",)),
    ("unicode-version-2", field_(0x7075, b"\2" + bytes(4) + b"demo/data.txt"), ("FW105",)),
]:  # fmt: skip
    _rule = "extra-fields" if _want == "ok" else "extra-fields-malformed"
    add(f"extra/central-{_name}", _rule, _want, with_part(extra_central=_extra))
    add(f"extra/local-{_name}", _rule, _want, with_part(extra_local=_extra))
for _name, _comment in {
    "short": b"comment",
    "longest": b"c" * 65_535,
    "binary": bytes(range(256)),
    "local-signature": b"PK\3\4 PK\1\2",
    "utf-8": "é".encode(),
}.items():
    add(f"comment/archive-{_name}", "comments", "ok", options(comment=_comment))
    add(f"comment/member-{_name}", "comments", "ok", with_part(comment=_comment))
add("comment/member-end-signature", "comments", ("ok",), with_part(comment=b"PK\5\6 in a comment"))


def streamed(index: int, signature: bool, wide: bool, **fields: object) -> Make:
    def make(tools: Tools) -> bytes:
        parts = parts_of(tools, Part("demo/data.txt", TEXT))
        parts[index] = replace(parts[index].streamed(signature=signature, wide=wide), **fields)  # type: ignore[arg-type]
        return assemble(parts)

    return make


for _signature in (True, False):
    for _wide in (True, False):
        _kind = f"{'signed' if _signature else 'bare'}-{'wide' if _wide else 'narrow'}"
        for _index, _name in enumerate(("module", "elf", "data")):
            add(f"descriptor/{_kind}-{_name}", "data-descriptors", "ok", streamed(_index, _signature, _wide))
        add(
            f"descriptor/{_kind}-all",
            "data-descriptors",
            "ok",
            lambda t, s=_signature, w=_wide: assemble([part.streamed(signature=s, wide=w) for part in parts_of(t)]),
        )
add("descriptor/stored", "data-descriptors", "ok", lambda t: whole(t, Part("demo/data.txt", TEXT, method=0).streamed()))
add("descriptor/empty-file", "data-descriptors", "ok", lambda t: whole(t, Part("demo/data.txt", b"").streamed()))
add(
    "descriptor/sizes-in-header-too",
    "data-descriptors",
    "ok",
    lambda t: whole(t, replace(Part("demo/data.txt", TEXT).streamed(), local={})),
)
GOOD = Part("demo/data.txt", TEXT).streamed().descriptor or b""
for _name, _descriptor in {
    "missing": b"", "cut": GOOD[:-1], "crc-wrong": GOOD[:4] + bytes(4) + GOOD[8:],
    "compressed-wrong": GOOD[:8] + bytes(4) + GOOD[12:],
    "size-wrong": GOOD[:12] + bytes(4), "signature-wrong": b"PK\7\7" + GOOD[4:], "and-more": GOOD + b"hidden!!",
    "twice": GOOD * 2, "zeros": bytes(16),
    "signature-only": GOOD[:4], "swapped": GOOD[:8] + GOOD[12:16] + GOOD[8:12],
}.items():  # fmt: skip
    add(f"descriptor/{_name}", "headers-disagree", ("FW102", "FW105"), streamed(2, True, False, descriptor=_descriptor))
add("descriptor/without-flag", "bytes-between", ("FW102",), with_part(descriptor=GOOD))
add(
    "descriptor/local-crc-other",
    "headers-disagree",
    "FW105",
    streamed(2, True, False, local={"crc": 7, "size": 0, "compressed": 0}),
)
add("descriptor/flag-in-local-only", "headers-disagree", "FW105", with_part(local={"flags": 8}))
add("descriptor/flag-in-central-only", "headers-disagree", "FW105", with_part(central={"flags": 8}))


# --- other odd but sound things --------------------------------------------------------------------------------------
add("plain", "sound", "ok", whole)
add("stored", "stored-members", "ok", lambda t: assemble([replace(part, method=0) for part in parts_of(t)]))
for _level in (0, 1, 9):
    _coder = _level

    def _levelled(tools: Tools, level: int = _level) -> bytes:
        def squeeze(data: bytes) -> bytes:
            coder = zlib.compressobj(level, zlib.DEFLATED, -15)
            return coder.compress(data) + coder.flush()

        return assemble([replace(part, data=squeeze(part.content)) for part in parts_of(tools)])

    add(f"level-{_level}", "any-level", "ok", _levelled)
for _strategy in (zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE):

    def _by_strategy(tools: Tools, strategy: int = _strategy) -> bytes:
        def squeeze(data: bytes) -> bytes:
            coder = zlib.compressobj(6, zlib.DEFLATED, -15, 8, strategy)
            return (
                coder.compress(data[:100]) + coder.flush(zlib.Z_FULL_FLUSH) + coder.compress(data[100:]) + coder.flush()
            )

        return assemble([replace(part, data=squeeze(part.content)) for part in parts_of(tools)])

    add(f"strategy-{_strategy}", "any-level", "ok", _by_strategy)
for _name, _order in {
    "reversed": [4, 3, 2, 1, 0],
    "record-first": [4, 0, 1, 2, 3],
    "shuffled": [2, 0, 4, 1, 3],
}.items():
    add(f"order/directory-{_name}", "order", "ok", options(order=_order))
    add(f"order/members-{_name}", "order", "ok", lambda t, o=_order: assemble([parts_of(t)[i] for i in o]))
add(
    "folders/all",
    "folder-entries",
    "ok",
    lambda t: assemble(
        [Part("demo/", method=0, mode=0o40755), Part("demo-1.0.dist-info/", method=0, mode=0o40755), *parts_of(t)]
    ),
)
add(
    "folders/after-their-files",
    "folder-entries",
    "ok",
    lambda t: assemble([*parts_of(t), Part("demo/", method=0, mode=0o40755)]),
)
add("folders/empty-one", "folder-entries", "ok", lambda t: whole(t, Part("demo/nothing/", method=0, mode=0o40755)))
add("empty/file-stored", "sound", "ok", with_part(content=b"", method=0))
add("empty/file-deflated", "sound", "ok", with_part(content=b""))
add("large/20-MiB-stored", "sound", "ok", with_part(content=bytes(20 * MIB), method=0), imports=False, cpu=5)
add("flags/effort", "sound", "ok", with_part(flags=6))
add("flags/utf-8-on-ascii", "sound", "ok", with_part(flags=0x800))
