"""An assembler of zip archives, byte by byte, so that every field of every record can be made wrong."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass, field, replace

__all__ = ["INFO", "METADATA", "NAME", "WHEEL", "Part", "assemble", "deflate", "record_of", "wheel_parts"]

NAME = "demo-1.0-cp312-cp312-linux_x86_64.whl"
INFO = "demo-1.0.dist-info"
METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nA demonstration.\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\nTag: cp312-cp312-linux_x86_64\n"


def deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(6, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


@dataclass(frozen=True)
class Part:
    """One member; `local` and `central` override single fields of its two headers."""

    name: str | bytes
    content: bytes = b""
    method: int = 8
    flags: int | None = None
    mode: int = 0o100644
    system: int = 3
    stamp: tuple[int, int] = (0x6000, 0x5A21)  # time, date: 12:00 on 2025-01-01
    data: bytes | None = None  # what lies in the archive, if not the compressed content
    descriptor: bytes | None = None
    extra_local: bytes = b""
    extra_central: bytes = b""
    comment: bytes = b""
    before: bytes = b""  # bytes before the local header that belong to nobody
    local: dict[str, object] = field(default_factory=dict)
    central: dict[str, object] = field(default_factory=dict)

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    def stored(self) -> bytes:
        if self.data is not None:
            return self.data
        return deflate(self.content) if self.method == 8 else self.content

    def streamed(self, *, signature: bool = True, wide: bool = False) -> Part:
        """The same member with a data descriptor, as a writer that cannot seek makes it."""
        data, pattern = self.stored(), "<LQQ" if wide else "<LLL"
        descriptor = struct.pack(pattern, zlib.crc32(self.content), len(data), len(self.content))
        zeros: dict[str, object] = {"crc": 0, "compressed": 0, "size": 0}
        return replace(
            self,
            flags=8 | (self.flags if self.flags is not None else 0 if self.raw_name.isascii() else 0x800),
            descriptor=(b"PK\x07\x08" if signature else b"") + descriptor,
            local={**zeros, **self.local},
        )


def assemble(
    parts: list[Part],
    *,
    order: list[int] | None = None,
    prefix: bytes = b"",
    shift: int = 0,
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
    end: dict[str, int] | None = None,
    zip64: bool = False,
    end64: dict[str, int] | None = None,
    locator: dict[str, int] | None = None,
) -> bytes:
    """Return an archive; `order` is that of the central directory, `shift` is added to every stored offset."""
    out = bytearray(prefix)
    records = []
    for part in parts:
        out += part.before
        raw, data = part.raw_name, part.stored()
        flags = part.flags if part.flags is not None else (0 if raw.isascii() else 0x800)
        base: dict[str, object] = {
            "signature": b"PK\x03\x04", "needed": 20, "flags": flags, "method": part.method, "time": part.stamp[0],
            "date": part.stamp[1], "crc": zlib.crc32(part.content), "compressed": len(data), "size": len(part.content),
            "name": raw,
        }  # fmt: skip
        low = {**base, **part.local}
        name = low.pop("name")
        offset = len(out) + shift
        out += (
            struct.pack("<4s5H3L2H", *low.values(), len(name), len(part.extra_local)) + name + part.extra_local + data
        )
        out += part.descriptor or b""
        high = {**base, "made": part.system << 8 | 20, "disk": 0, "internal": 0, "external": part.mode << 16}
        high |= {"signature": b"PK\x01\x02", "offset": offset, **part.central}
        raw = high["name"]
        records.append(
            struct.pack(
                "<4s6H3L5H2L",
                *(high[k] for k in ("signature", "made", "needed", "flags", "method", "time", "date", "crc")),
                high["compressed"], high["size"], len(raw), len(part.extra_central), len(part.comment),
                *(high[k] for k in ("disk", "internal", "external", "offset")),
            )
            + raw + part.extra_central + part.comment
        )  # fmt: skip
    out += before_directory
    start = len(out)
    directory = b"".join(records[i] for i in order or range(len(records)))
    out += directory + after_directory
    tail = {"disk": 0, "first": 0, "here": len(parts), "count": len(parts), "size": len(directory)}
    tail |= {"offset": start + shift, "comment": len(comment)}
    if zip64:
        wide = {"rest": 44, "made": 3 << 8 | 45, "needed": 45, **tail} | (end64 or {})
        where = {"disk": 0, "offset": len(out), "disks": 1} | (locator or {})
        order64 = ("rest", "made", "needed", "disk", "first", "here", "count", "size", "offset")
        out += struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *(wide[k] for k in order64))
        out += struct.pack("<4sLQL", b"PK\x06\x07", *where.values())
        tail |= {"here": 0xFFFF, "count": 0xFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
    tail |= end or {}
    out += struct.pack("<4s4H2LH", b"PK\x05\x06", *tail.values()) + comment + suffix
    return bytes(out)


def record_of(parts: list[Part], *extra: str) -> bytes:
    rows = []
    for part in parts:
        name = part.raw_name.decode()
        if not name.endswith("/"):
            digest = base64.urlsafe_b64encode(hashlib.sha256(part.content).digest()).rstrip(b"=").decode()
            quoted = '"' + name.replace('"', '""') + '"' if set(name) & set(',"') else name
            rows.append(f"{quoted},sha256={digest},{len(part.content)}")
    return "\n".join([*rows, *extra, f"{INFO}/RECORD,,", ""]).encode()


def wheel_parts(
    *parts: Part,
    metadata: bytes | None = METADATA,
    wheel: bytes | None = WHEEL,
    record: bytes | None = b"auto",
    info: str = INFO,
) -> list[Part]:
    """The members of a small sound wheel around `parts`; None leaves out a file."""
    body = list(parts or (Part("demo/__init__.py", b"x = 1\n" * 40), Part("demo/_core.so", b"\x7fELF" + bytes(300))))
    body += [Part(f"{info}/{n}", c) for n, c in (("METADATA", metadata), ("WHEEL", wheel)) if c is not None]
    if record is not None:
        body.append(Part(f"{info}/RECORD", record_of(body) if record == b"auto" else record))
    return body
