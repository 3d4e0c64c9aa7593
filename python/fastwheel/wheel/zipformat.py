"""The records of a zip archive, as APPNOTE.TXT lays them out, and one member of an archive as plain data.

Shared by the reader (`directory`, `archive`) and the writer.
"""

from __future__ import annotations

import struct
from typing import Final

from fastwheel.named import NamedTuple

__all__ = [
    "CENTRAL",
    "CENTRAL_SIGNATURE",
    "DEFLATED",
    "DESCRIPTOR_SIGNATURE",
    "END",
    "END64",
    "END64_SIGNATURE",
    "END_SIGNATURE",
    "EXTRA_UNICODE_NAME",
    "EXTRA_ZIP64",
    "FLAG_DESCRIPTOR",
    "FLAG_UTF8",
    "LOCAL",
    "LOCAL_SIGNATURE",
    "LOCATOR",
    "LOCATOR_SIGNATURE",
    "MAX16",
    "MAX32",
    "STORED",
    "ZSTD",
    "DateTime",
    "Member",
    "from_dos",
    "split_extra",
    "to_dos",
]

#: signature, version needed, flags, method, time, date, CRC, compressed size, size, name length, extra length
LOCAL: Final = struct.Struct("<4s5H3L2H")
#: signature, version made by, version needed, flags, method, time, date, CRC, compressed size, size, name length,
#: extra length, comment length, disk, internal attributes, external attributes, offset of the local header
CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
#: signature, disk, directory's disk, entries on this disk, entries, directory size, directory offset, comment length
END: Final = struct.Struct("<4s4H2LH")
#: signature, size of the rest, version made by, version needed, disk, directory's disk, entries on this disk, entries,
#: directory size, directory offset
END64: Final = struct.Struct("<4sQ2H2L4Q")
#: signature, disk of the zip64 end record, its offset, number of disks
LOCATOR: Final = struct.Struct("<4sLQL")

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
END_SIGNATURE: Final = b"PK\x05\x06"
END64_SIGNATURE: Final = b"PK\x06\x06"
LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
DESCRIPTOR_SIGNATURE: Final = b"PK\x07\x08"

STORED: Final = 0
DEFLATED: Final = 8
ZSTD: Final = 93

FLAG_DESCRIPTOR: Final = 0x0008
FLAG_UTF8: Final = 0x0800

EXTRA_ZIP64: Final = 0x0001
EXTRA_UNICODE_NAME: Final = 0x7075

MAX16: Final = 0xFFFF
MAX32: Final = 0xFFFFFFFF

DateTime = tuple[int, int, int, int, int, int]


class Member(NamedTuple):
    """One file or folder of an archive, as its central directory entry tells; sizes and offsets in bytes.

    Attributes:
        name: a relative path with `/`; a folder's ends in `/`.
        method: 0 stored, 8 deflate, 93 zstd.
        flags: the general purpose bits.
        crc: CRC-32 of the content.
        compressed_size: the length of the data in the archive.
        size: the length of the content.
        external_attr: host-dependent attributes; the upper 16 bits are the Unix mode, if any.
        create_system: the host that wrote the member (3 is Unix).
        dos_time: modification time, MS-DOS date in the upper 16 bits and time in the lower ones.
        header_offset: where the local header begins.
        data_offset: where the data begin.
        end: where the next record begins, past a data descriptor.
        plain: whether the local header is already the one that the writer would write.
    """

    name: str
    method: int
    flags: int
    crc: int
    compressed_size: int
    size: int
    external_attr: int
    create_system: int
    dos_time: int
    header_offset: int
    data_offset: int
    end: int
    plain: bool

    @property
    def is_dir(self) -> bool:
        """Whether this is a folder entry."""
        return self.name.endswith("/")

    @property
    def mode(self) -> int | None:
        """The Unix mode bits (type and permissions), or None where the archive tells none."""
        return self.external_attr >> 16 or None

    @property
    def date_time(self) -> DateTime:
        """Modification time (year, month, day, hour, minute, second), moved to the nearest one that exists."""
        return from_dos(self.dos_time)


def from_dos(stamp: int) -> DateTime:
    """Return the time that an MS-DOS stamp means; what no calendar has is moved to the nearest that one has.

    >>> from_dos(0)
    (1980, 1, 1, 0, 0, 0)
    """
    date, time = stamp >> 16, stamp & MAX16
    year = 1980 + (date >> 9)
    month = min(max((date >> 5) & 15, 1), 12)
    day = max(date & 31, 1)
    if day > 28:
        day = min(day, _days(year, month))
    return year, month, day, min(time >> 11, 23), min((time >> 5) & 63, 59), min((time & 31) * 2, 58)


def _days(year: int, month: int) -> int:
    """How many days a month has, 1980 to 2107; `calendar` takes more time to import than most wheels to read."""
    if month == 2:
        return 29 if year % 4 == 0 and year != 2100 else 28
    return 30 if month in (4, 6, 9, 11) else 31


def to_dos(when: DateTime) -> int:
    """Return the MS-DOS stamp of a time in 1980 to 2107; an odd second becomes the even one before.

    >>> from_dos(to_dos((2024, 2, 29, 23, 59, 59)))
    (2024, 2, 29, 23, 59, 58)
    """
    year, month, day, hour, minute, second = when
    date = (min(max(year, 1980), 2107) - 1980) << 9 | month << 5 | day
    return date << 16 | hour << 11 | minute << 5 | second // 2


def split_extra(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields of a header by their id.

    Zero bytes too few to be a field are padding (tools that align data write them).

    Raises:
        ValueError: a field runs past the end, or one that decides sizes or the name comes twice.
    """
    fields: dict[int, bytes] = {}
    position = 0
    while len(extra) - position >= 4:
        key, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + length > len(extra):
            raise ValueError("an extra field runs past its end")
        if key in fields and key in (EXTRA_ZIP64, EXTRA_UNICODE_NAME):
            raise ValueError("an extra field that may come once comes twice")
        fields[key] = extra[position : position + length]
        position += length
    if extra[position:].strip(b"\0"):
        raise ValueError("bytes that are no extra field follow the extra fields")
    return fields
