"""The zip layer: archives that are no sound archives, one change each, and odd ones that are."""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO

from arena import Arena, Call, Case, Tools, parts_of
from zipkit import Part, assemble, deflate

__all__ = ["CASES"]

CASES: list[Case] = []
MIB = 1 << 20
FULL = 0xFFFFFFFF
Make = Callable[[Tools], bytes]


def add(name: str, rule: str, want: str | Sequence[str], make: Make, *args: str, **options: object) -> None:
    """Keep a case that is one file; `args` are options of the command line."""

    def prepare(arena: Arena) -> Call:
        return Call(args=args, file=arena.save(make(arena.tools)))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"zip/{name}", rule, prepare, wanted, **options))  # type: ignore[arg-type]


def whole(tools: Tools, *more: Part, **options: object) -> bytes:
    """A sound wheel with `more` members and the `options` of `assemble`."""
    return assemble(parts_of(tools, *more), **options)  # type: ignore[arg-type]


def with_part(**fields: object) -> Make:
    """A wheel with one more member that has these fields."""
    settings = {"name": "demo/data.txt", "content": b"some text " * 30, **fields}
    return lambda tools: whole(tools, Part(**settings))  # type: ignore[arg-type]


def with_change(index: int, **fields: object) -> Make:
    """A wheel one of whose members (0 __init__, 1 the ELF file, 2 METADATA, 3 WHEEL, 4 RECORD) has these fields."""

    def make(tools: Tools) -> bytes:
        parts = parts_of(tools)
        parts[index] = replace(parts[index], **fields)  # type: ignore[arg-type]
        return assemble(parts)

    return make


def both(**fields: object) -> dict[str, object]:
    """The same fields for both headers."""
    return {"local": dict(fields), "central": dict(fields)}


def options(**settings: object) -> Make:
    return lambda tools: whole(tools, **settings)


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


TEXT = b"some text " * 30
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
