"""The zip layer: end records, offsets, counts and zip64, true and not."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

from arena import Case, Tools, parts_of
from zipcases import FULL, TEXT, Make, collector, options, whole, with_part
from zipkit import Part, assemble, deflate

__all__ = ["CASES"]

CASES: list[Case] = []
add = collector(CASES)


# --- not a zip -------------------------------------------------------------------------------------------------------
def _tar(_: Tools) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x"), None)
    return out.getvalue()


for _name, _content in {
    "empty": b"", "one-byte": b"P", "two-bytes": b"PK", "signature-only": b"PK\3\4", "end-signature-only": b"PK\5\6",
    "text": b"#!/bin/sh\necho hello\n" * 50, "zeros": bytes(70_000), "ones": b"\xff" * 5000,
    "html": b"<html>404</html>\n",
    "rar": b"Rar!\x1a\7\0" + bytes(300), "7z": b"7z\xbc\xaf\x27\x1c" + bytes(300), "elf": b"\x7fELF" + bytes(500),
    "gzip": b"\x1f\x8b\x08" + bytes(200), "utf-16": "PK\3\4 text".encode("utf-16"), "pk-noise": b"PK" * 5000,
    "local-headers-only": b"PK\3\4" * 4000, "central-headers-only": b"PK\1\2" * 4000,
    "pointer-file": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "end-records-only": (b"PK\5\6" + bytes(18)) * 300,
}.items():  # fmt: skip
    add(f"not-a-zip/{_name}", "not-a-zip", ("FW100", "FW101", "FW102", "FW103"), lambda _, c=_content: c)
add("not-a-zip/tar.gz", "not-a-zip", "FW100", _tar)
add("not-a-zip/sound-but-empty", "no-single-dist-info", "FW201", lambda _: assemble([]))


# --- truncated -------------------------------------------------------------------------------------------------------
def boundaries(data: bytes) -> list[int]:
    """The offsets in a sound archive at which a structure or one of its fields begins or ends."""
    end = data.rindex(b"PK\5\6")
    count, _, directory = struct.unpack_from("<HLL", data, end + 10)
    found = {end, end + 4, end + 10, end + 12, end + 16, end + 20, len(data) - 1, directory}
    at = directory
    for _ in range(count):
        name, extra, comment = struct.unpack_from("<3H", data, at + 28)
        local = struct.unpack_from("<L", data, at + 42)[0]
        compressed = struct.unpack_from("<L", data, at + 20)[0]
        found |= {at, at + 4, at + 20, at + 46, at + 46 + name // 2, at + 46 + name}
        found |= {local, local + 4, local + 14, local + 30, local + 30 + name, local + 30 + name + compressed // 2}
        at += 46 + name + extra + comment
    return sorted(found - {0, len(data)})


def cut(index: int, **settings: object) -> Make:
    def make(tools: Tools) -> bytes:
        data = whole(tools, **settings)
        places = boundaries(data)
        return data[: places[index % len(places)]]

    return make


for _index in range(68):
    add(f"truncated/boundary-{_index}", "truncated", ("FW100", "FW101", "FW102", "FW103"), cut(_index))
for _share in range(1, 20):
    add(
        f"truncated/{_share * 5}-percent",
        "truncated",
        ("FW100", "FW101", "FW103"),
        lambda t, s=_share: whole(t)[: len(whole(t)) * s // 20],
    )
for _bytes in (1, 2, 5, 21):
    add(
        f"truncated/last-{_bytes}-of-comment",
        "truncated",
        "FW101",
        lambda t, n=_bytes: whole(t, comment=b"a comment of some length")[:-n],
    )
    add(f"truncated/last-{_bytes}-of-end", "truncated", ("FW100", "FW101"), lambda t, n=_bytes: whole(t)[:-n])
for _bytes in (22, 30, 42, 43, 60, 98, 99):
    add(
        f"truncated/last-{_bytes}-of-zip64-end",
        "truncated",
        ("FW101", "FW103"),
        lambda t, n=_bytes: whole(t, zip64=True)[:-n],
    )
add("truncated/first-byte-gone", "truncated", ("FW103",), lambda t: whole(t)[1:])
add("truncated/first-kilobyte-gone", "truncated", ("FW103",), lambda t: whole(t)[1024:])
add("truncated/hole-in-the-middle", "truncated", ("FW103",), lambda t: whole(t)[:500] + whole(t)[600:])
add("truncated/page-doubled", "wrong-offsets", ("FW103",), lambda t: whole(t)[:512] + whole(t))
add("truncated/text-mode", "truncated", ("FW1",), lambda t: whole(t).replace(b"\n", b"\r\n"))
add(
    "truncated/text-mode-back",
    "truncated",
    ("FW1",),
    lambda t: whole(t, Part("demo/x", b"\r\n" * 9, method=0)).replace(b"\r\n", b"\n"),
)
add(
    "truncated/zeros-from-the-middle-on",
    "truncated",
    ("FW100", "FW101"),
    lambda t: whole(t)[:1000] + bytes(len(whole(t)) - 1000),
)


# --- several end records ---------------------------------------------------------------------------------------------
EMPTY_END = b"PK\5\6" + bytes(18)


def end_of(data: bytes) -> bytes:
    return data[data.rindex(b"PK\5\6") :]


def directory_of(data: bytes) -> bytes:
    return data[data.index(b"PK\1\2") :]


def hidden_table(tools: Tools, wide: bool = False, method: int = 0) -> bytes:
    """A member holds a table and an end record whose comment is the rest of the file."""
    inner = assemble(parts_of(tools), zip64=wide)
    inner = directory_of(inner)[:-2]
    record = b"demo-1.0.dist-info/RECORD,,\n"  # the same in both wheels
    plain = assemble(parts_of(tools, Part("demo/x.bin", inner + b"\0\0", method=method), record=record))
    rest = len(plain) - plain.index(inner) - len(inner) - 2 if method == 0 else 0
    content = inner + struct.pack("<H", rest & 0xFFFF)
    return assemble(parts_of(tools, Part("demo/x.bin", content, method=method), record=record))


add("several-ends/in-comment", "several-end-records", "FW103", options(comment=EMPTY_END))
add("several-ends/in-comment-and-more", "several-end-records", "FW103", options(comment=b"hi" + EMPTY_END + b"ho"))
add("several-ends/signature-in-comment", "several-end-records", "FW103", options(comment=b"see PK\5\6 there"))
add("several-ends/copied", "several-end-records", ("FW102", "FW103"), lambda t: whole(t) + end_of(whole(t)))
add(
    "several-ends/copied-directory",
    "several-end-records",
    ("FW102", "FW103"),
    lambda t: whole(t) + directory_of(whole(t)),
)
add("several-ends/empty-after", "several-end-records", ("FW102", "FW103"), lambda t: whole(t) + EMPTY_END)
add("several-ends/empty-before", "several-end-records", "FW103", lambda t: whole(t, after_directory=EMPTY_END))
add("several-ends/two-archives", "several-end-records", ("FW102", "FW103"), lambda t: whole(t) + whole(t))
add("several-ends/two-archives-shifted", "bytes-before", ("FW102", "FW103"), lambda t: whole(t, prefix=whole(t)))
add(
    "several-ends/other-archive-behind",
    "several-end-records",
    ("FW102", "FW103"),
    lambda t: whole(t) + assemble([Part("evil.py", b"evil")]),
)
add(
    "several-ends/other-archive-in-comment",
    "several-end-records",
    "FW103",
    lambda t: whole(t, comment=assemble([Part("evil.py", b"evil")])),
)
add("several-ends/hidden-table", "several-end-records", "FW103", hidden_table)
add("several-ends/hidden-zip64-table", "several-end-records", "FW103", lambda t: hidden_table(t, wide=True))
add(
    "several-ends/zip64-and-narrow-differ",
    "several-end-records",
    "FW103",
    options(zip64=True, end={"count": 1, "here": 1}),
)
add("several-ends/many", "several-end-records", ("FW102", "FW103"), lambda t: whole(t) + EMPTY_END * 300)
add("several-ends/table-deflated-in-a-member", "nested-archive", "ok", lambda t: hidden_table(t, method=8))
add(
    "several-ends/whole-archive-stored-in-a-member",
    "nested-archive",
    "ok",
    lambda t: whole(t, Part("demo/inner.zip", assemble([Part("x", b"1")]), method=0)),
)
add(
    "several-ends/end-in-an-elf-file",
    "nested-archive",
    "ok",
    lambda t: whole(t, Part("demo/x.txt", b"text PK\5\6" + bytes(40), method=0)),
)


# --- bytes that belong to nobody -------------------------------------------------------------------------------------
for _name, _prefix in {
    "one": b"\0", "shebang": b"#!/usr/bin/env python3\n", "elf": b"\x7fELF" + bytes(60), "newline": b"\n",
    "bom": b"\xef\xbb\xbf", "page": bytes(4096), "much": b"x" * 70_000, "spanning-marker": b"PK\7\x08", "pk00": b"PK00",
    "end-record": EMPTY_END, "exe": b"MZ" + bytes(510),
}.items():  # fmt: skip
    add(f"prefix/{_name}", "bytes-before", ("FW102", "FW103"), options(prefix=_prefix))
    add(f"prefix/{_name}-unshifted", "bytes-before", ("FW102", "FW103"), options(prefix=_prefix, shift=-len(_prefix)))
for _name, _suffix in {
    "zero": b"\0", "newline": b"\n", "crlf": b"\r\n", "padding": bytes(512), "text": b"-----BEGIN SIGNATURE-----\n",
    "page": bytes(4096), "much": b"x" * 70_000, "end-signature": b"PK\5\6", "half-end": b"PK\5\6" + bytes(10),
    "ff": b"\xff",
}.items():  # fmt: skip
    add(f"suffix/{_name}", "bytes-after", ("FW100", "FW101", "FW102", "FW103"), options(suffix=_suffix))
    add(
        f"suffix/{_name}-after-comment",
        "bytes-after",
        ("FW100", "FW101", "FW102", "FW103"),
        options(suffix=_suffix, comment=b"comment"),
    )
for _name, _gap in {
    "one": b"\0",
    "text": b"hidden",
    "page": bytes(4096),
    "local-header": b"PK\3\4" + bytes(26),
}.items():
    add(f"gap/between-members-{_name}", "bytes-between", "FW102", with_part(before=_gap))
    add(f"gap/before-directory-{_name}", "bytes-between", "FW102", options(before_directory=_gap))
    add(f"gap/after-directory-{_name}", "bytes-between", ("FW102", "FW103"), options(after_directory=_gap))


def unlisted(tools: Tools) -> bytes:
    """A member that the central directory does not list, though it is there."""
    hidden = assemble([Part("demo/evil.py", b"evil")])
    return whole(tools, Part("demo/x", b"x", before=hidden[: hidden.index(b"PK\1\2")]))


def signing_block(tools: Tools) -> bytes:
    """As in an APK: a block between the members and the central directory."""
    return whole(tools, before_directory=struct.pack("<Q", 24) + bytes(8) + b"APK Sig Block 42")


add("gap/unlisted-member", "bytes-between", "FW102", unlisted)
add("gap/signing-block", "bytes-between", "FW102", signing_block)


# --- wrong offsets, counts and sizes ---------------------------------------------------------------------------------
def end_field(name: str, change: Callable[[int], int], **settings: object) -> Make:
    """A wheel in whose end record a field is changed."""

    def make(tools: Tools) -> bytes:
        data = bytearray(whole(tools, **settings))
        at = data.rindex(b"PK\5\6")
        place, size = {
            "disk": (4, 2), "first": (6, 2), "here": (8, 2), "count": (10, 2), "size": (12, 4), "offset": (16, 4),
            "comment": (20, 2),
        }[name]  # fmt: skip
        old = int.from_bytes(data[at + place : at + place + size], "little")
        data[at + place : at + place + size] = (change(old) & (1 << 8 * size) - 1).to_bytes(size, "little")
        return bytes(data)

    return make


CHANGES: dict[str, Callable[[int], int]] = {
    "plus-one": lambda old: old + 1, "minus-one": lambda old: old - 1, "zero": lambda old: 0, "full": lambda old: -1,
    "half": lambda old: 1 << 15, "sign": lambda old: 1 << 31, "plus-46": lambda old: old + 46,
    "minus-46": lambda old: old - 46, "one": lambda old: 1, "doubled": lambda old: old * 2,
}  # fmt: skip
for _field in ("disk", "first", "here", "count", "size", "offset"):
    for _name, _change in CHANGES.items():
        if _field in ("disk", "first") and _name in ("zero", "sign", "doubled"):
            continue
        add(
            f"end-record/{_field}-{_name}",
            "wrong-offsets",
            ("FW101", "FW102", "FW103", "FW104"),
            end_field(_field, _change),
        )
for _name in ("plus-one", "full", "half"):
    add(f"end-record/comment-length-{_name}", "wrong-offsets", ("FW101", "FW102"), end_field("comment", CHANGES[_name]))
add("end-record/comment-length-zero", "bytes-after", "FW102", end_field("comment", CHANGES["zero"], comment=b"text"))
for _name, _offset in {
    "zero": 0,
    "one": 1,
    "directory": 60_000,
    "end": 0x7FFFFFFF,
    "full": FULL,
    "full-less-one": FULL - 1,
}.items():
    add(
        f"member-offset/{_name}",
        "wrong-offsets",
        ("FW102", "FW104", "FW105", "FW106"),
        with_part(central={"offset": _offset}),
    )


def swapped(tools: Tools) -> bytes:
    """Two members whose offsets are exchanged."""
    parts = [*parts_of(tools), Part("demo/a", b"same"), Part("demo/b", b"same")]
    data = assemble(parts)
    a, b = (data.index(b"PK\3\4", data.index(Part(name).raw_name) - 30) for name in ("demo/a", "demo/b"))
    parts[-2] = replace(parts[-2], central={"offset": b})
    parts[-1] = replace(parts[-1], central={"offset": a})
    return assemble(parts)


add("member-offset/swapped", "headers-disagree", "FW105", swapped)
for _shift in (-1, 1, -100, 100, 1 << 16):
    add(
        f"member-offset/all-shifted-by-{_shift}",
        "wrong-offsets",
        ("FW102", "FW103"),
        lambda t, s=_shift: whole(t, prefix=bytes(200), shift=s),
    )


# --- zip64 -----------------------------------------------------------------------------------------------------------
add("zip64/end-record", "zip64", "ok", options(zip64=True))
for _field, _name, _value in [
    ("rest", "zero", 0), ("rest", "one-more", 45), ("rest", "much", 60), ("rest", "full", (1 << 64) - 1),
    ("disk", "one", 1), ("first", "one", 1), ("disk", "full", FULL), ("here", "one", 1), ("here", "zero", 0),
    ("count", "zero", 0), ("count", "huge", 1 << 63), ("count", "full", (1 << 64) - 1), ("count", "more", 6),
    ("size", "zero", 0), ("size", "one", 1), ("size", "huge", 1 << 62), ("size", "full", (1 << 64) - 1),
    ("offset", "zero", 0), ("offset", "one", 1), ("offset", "huge", 1 << 63), ("offset", "full", (1 << 64) - 1),
    ("offset", "beyond", 1 << 40), ("count", "members-limit", 500_001),
]:  # fmt: skip
    add(
        f"zip64/end-{_field}-{_name}",
        "wrong-offsets",
        ("FW101", "FW103", "FW104", "FW113"),
        options(zip64=True, end64={_field: _value}),
    )
for _field, _name, _value in [
    ("offset", "zero", 0), ("offset", "one", 1), ("offset", "huge", 1 << 63), ("offset", "full", (1 << 64) - 1),
    ("disk", "one", 1), ("disk", "full", FULL), ("disks", "two", 2), ("disks", "full", FULL),
    ("offset", "beyond", 1 << 33),
]:  # fmt: skip
    add(
        f"zip64/locator-{_field}-{_name}",
        "wrong-offsets",
        ("FW101", "FW103"),
        options(zip64=True, locator={_field: _value}),
    )
for _field, _value in {"count": 9, "here": 9, "size": 77, "offset": 77}.items():
    add(f"zip64/narrow-{_field}-disagrees", "wrong-offsets", "FW103", options(zip64=True, end={_field: _value}))
for _fields in (("count", "here"), ("size",), ("offset",), ("count", "here", "size", "offset")):
    add(
        f"zip64/narrow-{_fields[0]}{len(_fields)}-full-without-zip64",
        "wrong-offsets",
        ("FW101", "FW103"),
        options(end={name: 0xFFFF if name in ("count", "here") else FULL for name in _fields}),
    )


def zip64_bytes(change: Callable[[bytearray, int], None]) -> Make:
    """A zip64 wheel whose records are changed by a function of the data and the offset of the locator."""

    def make(tools: Tools) -> bytes:
        data = bytearray(whole(tools, zip64=True))
        change(data, data.rindex(b"PK\6\7"))
        return bytes(data)

    return make


def _put(offset: int, content: bytes) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, at: int) -> None:
        data[at + offset : at + offset + len(content)] = content

    return change


add("zip64/locator-signature", "wrong-offsets", ("FW101", "FW103"), zip64_bytes(_put(0, b"PK\6\x08")))
add("zip64/end-signature", "wrong-offsets", ("FW101", "FW103"), zip64_bytes(_put(-56, b"PK\6\x05")))
add(
    "zip64/locator-to-itself",
    "wrong-offsets",
    ("FW101", "FW103"),
    zip64_bytes(lambda d, at: d.__setitem__(slice(at + 8, at + 16), at.to_bytes(8, "little"))),
)
add(
    "zip64/locator-to-narrow-end",
    "wrong-offsets",
    ("FW101", "FW103"),
    zip64_bytes(lambda d, at: d.__setitem__(slice(at + 8, at + 16), (at + 20).to_bytes(8, "little"))),
)
add(
    "zip64/end-record-missing",
    "wrong-offsets",
    ("FW102", "FW103"),
    zip64_bytes(lambda d, at: d.__delitem__(slice(at - 56, at))),
)
add(
    "zip64/locator-missing",
    "wrong-offsets",
    ("FW101", "FW103"),
    zip64_bytes(lambda d, at: d.__delitem__(slice(at, at + 20))),
)
add(
    "zip64/end-record-twice",
    "wrong-offsets",
    ("FW102", "FW103"),
    zip64_bytes(lambda d, at: d.__setitem__(slice(at, at), d[at - 56 : at])),
)
add(
    "zip64/gap-before-locator",
    "wrong-offsets",
    ("FW102", "FW103"),
    zip64_bytes(lambda d, at: d.__setitem__(slice(at, at), b"gap!")),
)
add("zip64/needless-but-true", "zip64", "ok", lambda t: assemble(parts_of(t), zip64=True, end=narrow_end(t)))


def narrow_end(tools: Tools) -> dict[str, int]:
    """The fields of the plain end record of the same wheel."""
    data = whole(tools)
    count, size, offset = struct.unpack_from("<HLL", data, data.rindex(b"PK\5\6") + 10)
    return {"count": count, "here": count, "size": size, "offset": offset}


def z64(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


SHORT = len(deflate(TEXT))
SIZES = {"size": FULL, "compressed": FULL}
for _name, _local, _central, _central_extra, _want in [
    ("both", SIZES, SIZES, z64(300, SHORT), "ok"),
    ("central-only", {}, SIZES, z64(300, SHORT), "ok"),
    ("size-only", {}, {"size": FULL}, z64(300), "ok"),
    ("compressed-only", {}, {"compressed": FULL}, z64(SHORT), "ok"),
    ("needless", {}, {}, z64(300, SHORT), "ok"),
    ("needless-empty", {}, {}, z64(), "ok"),
    ("size-lies", {}, {"size": FULL}, z64(301), ("FW105",)),
    ("size-huge", {}, {"size": FULL}, z64(1 << 63), ("FW1",)),
    ("size-full", {}, {"size": FULL}, z64((1 << 64) - 1), ("FW1",)),
    ("compressed-lies", {}, {"compressed": FULL}, z64(SHORT + 1), ("FW105", "FW106")),
    ("compressed-huge", {}, {"compressed": FULL}, z64(1 << 63), ("FW104", "FW106")),
    ("compressed-full", {}, {"compressed": FULL}, z64((1 << 64) - 1), ("FW104", "FW106")),
    ("sum-wraps-around", {}, SIZES, z64(300, (1 << 64) - 16), ("FW104", "FW106")),
    ("offset-lies", {}, {"offset": FULL}, z64(1), ("FW102", "FW105", "FW106")),
    ("offset-huge", {}, {"offset": FULL}, z64(1 << 62), ("FW104",)),
    ("offset-full", {}, {"offset": FULL}, z64((1 << 64) - 1), ("FW104",)),
    ("missing", {}, {"size": FULL}, b"", ("FW1",)),
    ("missing-compressed", {}, {"compressed": FULL}, b"", ("FW104", "FW106")),
    ("missing-offset", {}, {"offset": FULL}, b"", ("FW104",)),
    ("too-short", {}, SIZES, z64(300), ("FW104",)),
    ("too-short-by-one", {}, {"size": FULL}, b"\1\0\7\0" + bytes(7), ("FW104",)),
    ("too-long", {}, {"size": FULL}, b"\1\0\x40\0" + bytes(64), ("FW104",)),
    ("contradicts-size", {}, {}, z64(301, SHORT), ("FW104",)),
    ("contradicts-compressed", {}, {}, z64(300, SHORT + 1), ("FW104",)),
    ("twice", {}, SIZES, z64(300, SHORT) * 2, ("FW104",)),
    ("other-disk", {}, {"disk": 0xFFFF}, b"\1\0\4\0\1\0\0\0", ("FW104",)),
    ("runs-over", {}, SIZES, b"\1\0\x10\0" + bytes(8), ("FW104",)),
]:  # fmt: skip
    _extra_local = z64(300, SHORT) if _local else b""
    add(
        f"zip64/member-{_name}",
        "zip64" if _want == "ok" else "wrong-sizes",
        _want,
        with_part(local=_local, central=_central, extra_central=_central_extra, extra_local=_extra_local),
    )
for _name, _extra, _want in [
    ("size-lies", z64(301, SHORT), ("FW105",)), ("compressed-lies", z64(300, SHORT - 1), ("FW105",)),
    ("too-short", z64(300), ("FW104",)), ("missing", b"", ("FW105",)), ("twice", z64(300, SHORT) * 2, ("FW104",)),
]:  # fmt: skip
    add(f"zip64/local-{_name}", "headers-disagree", _want, with_part(local=SIZES, extra_local=_extra))
