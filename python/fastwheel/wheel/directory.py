"""The table of members of a zip archive: found, cross-checked and laid end to end, without leniency.

Two readers of one wheel must not see two sets of files. So the end record must be the only one and end the file, the
central directory must lie directly before it, each local header must say what its central entry says, and members must
fill the file from its first byte to the central directory: no byte belongs to nobody. (PyPI and uv ask for the same.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from fastwheel.named import NamedTuple
from fastwheel.wheel import zipformat as z
from fastwheel.wheel.names import LONGEST, LONGEST_PART, first_fault, shown
from fastwheel.wheel.source import fail, limit, read_exactly

if TYPE_CHECKING:
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.source import Source

__all__ = ["Table", "read_table"]

#: Bits of the general purpose flags that mean encryption: of the data, strong, of the directory.
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_PATCH_DATA: Final = 0x0020
#: Bits that need no further look: the compressor's effort, a data descriptor, UTF-8.
_HARMLESS: Final = 0x0006 | z.FLAG_DESCRIPTOR | z.FLAG_UTF8
#: How a local header of the writer begins: the signature, and version 2.0 of the format.
_PLAIN_START: Final = z.LOCAL_SIGNATURE + b"\x14\0"
#: What the two headers must agree on: all but the bits that tell the compressor's effort.
_COMPARED_FLAGS: Final = 0xFFFF & ~0x0006
#: Deflate can't expand more than 1032 times.
_DEFLATE_LIMIT: Final = 1032
#: The newest "version needed" that readers know, times ten (APPNOTE 6.3).
_NEWEST_VERSION: Final = 63
_PAGE: Final = 4096
#: What of each member of a remote archive is fetched at once, bytes: its local header, and the first of its data.
_HEAD: Final = 1536
#: So many contents that look like an end record and end with the file are no accident.
_MOST_TRICKS: Final = 100


class Table(NamedTuple):
    """The members in the order of the central directory, and what is odd but accepted."""

    members: tuple[z.Member, ...]
    warnings: tuple[str, ...]


class _End(NamedTuple):
    offset: int  # of the central directory, bytes
    size: int  # of the central directory, bytes
    members: int  # the number of its entries


class _Entry(NamedTuple):
    """The fields of a member that the central directory gives; the first ones of `Member`."""

    name: str
    method: int
    flags: int
    crc: int
    compressed_size: int
    size: int
    external_attr: int
    create_system: int
    dos_time: int
    offset: int


def read_table(fd: int | Source, size: int, where: str, limits: Limits) -> Table:
    """Read and check the members of the archive on `fd`, which is `size` bytes long.

    Raises:
        FastwheelError: FW1xx, as `fastwheel.errors.CODES` lists them.
    """
    end = _read_end(fd, size, where)
    if end.members > limits.members:
        limit(where, f"{end.members} members are more than the allowed {limits.members}", "members")
    if end.size > 1024 * limits.members:
        limit(where, f"a table of members of {end.size} bytes is larger than allowed", "members")
    warnings: list[str] = []
    data = read_exactly(fd, end.size, end.offset, where)
    table = _read_entries(data, end, where, warnings)
    _check_limits(table[0], size, where, limits)
    if not isinstance(fd, int):
        fd.fetch((entry.offset, entry.offset + _HEAD) for entry in table[0])
    return Table(tuple(_lay_out(fd, data, table, end, where)), tuple(warnings))


def _read_end(fd: int | Source, size: int, where: str) -> _End:
    tail_length = min(size, z.END.size + z.MAX16)
    tail = read_exactly(fd, tail_length, size - tail_length, where)
    # An end record's comment ends with the file. Of several that do, the last is what readers see first; the others
    # are the content of a member, unless a table of members lies before them too: then it is a trick.
    found = []
    at = tail.find(z.END_SIGNATURE)
    while at >= 0:
        if at + 22 <= len(tail) and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            found.append(at)
        at = tail.find(z.END_SIGNATURE, at + 1)
    if not found:
        _no_end(fd, size, tail, where)
    at = found.pop()
    tricks = any(_ends_a_table(fd, tail, other, size - tail_length, where) for other in found[-_MOST_TRICKS:])
    if tricks or len(found) > _MOST_TRICKS or z.END_SIGNATURE in tail[at + 4 :]:
        fail("FW103", where, "the archive has several end records")
    _, disk, directory_disk, on_disk, count, directory_size, offset, _ = z.END.unpack_from(tail, at)
    record = size - tail_length + at
    end64 = _read_end64(fd, record, where)
    if end64 is not None:
        narrow, wide = (count, directory_size, offset), (end64.members, end64.size, end64.offset)
        for low, high, full in zip(narrow, wide, (z.MAX16, z.MAX32, z.MAX32), strict=True):
            if low not in (full, high):
                fail("FW103", where, "the end record and the zip64 end record disagree")
        if on_disk not in (end64.members, z.MAX16):
            fail("FW103", where, "the end record and the zip64 end record disagree")
        count, directory_size, offset = wide
        record -= z.LOCATOR.size + z.END64.size
        disks = {disk, directory_disk} - {0, z.MAX16}
    else:
        disks = {disk, directory_disk} - {0}
        if on_disk != count:
            fail("FW103", where, "the end record gives two numbers of members")
    if disks:
        fail("FW103", where, "the archive is split over several files")
    if offset + directory_size != record:
        hint = "something was put before or after the archive" if offset + directory_size < record else None
        fail("FW103", where, "the central directory is not where the end record says", hint)
    if count * z.CENTRAL.size > directory_size or (count == 0 and directory_size):
        fail("FW103", where, f"the central directory cannot hold the {count} members of the end record")
    return _End(offset, directory_size, count)


def _ends_a_table(fd: int | Source, tail: bytes, at: int, start: int, where: str) -> bool:
    """Whether an end record at `at` in the tail, which begins at `start`, has a table of members before it."""
    _, _, _, _, count, directory_size, _, _ = z.END.unpack_from(tail, at)
    if directory_size == z.MAX32 or count == z.MAX16:
        locator = start + at - z.LOCATOR.size
        return locator >= 0 and read_exactly(fd, 4, locator, where) == z.LOCATOR_SIGNATURE
    table = start + at - directory_size
    if not directory_size:
        return not count
    return table >= 0 and read_exactly(fd, 4, table, where) == z.CENTRAL_SIGNATURE


def _no_end(fd: int | Source, size: int, tail: bytes, where: str) -> NoReturn:
    """Say what is wrong with a file that does not end with an end record."""
    if size == 0:
        fail("FW100", where, "the file is empty")
    zip_like = read_exactly(fd, min(size, 4), 0, where) in (z.LOCAL_SIGNATURE, z.END_SIGNATURE)
    last = tail.rfind(z.END_SIGNATURE)
    if last >= 0 and last + 22 <= len(tail):
        stop = last + 22 + int.from_bytes(tail[last + 20 : last + 22], "little")
        if stop < len(tail):
            fail("FW102", where, f"{len(tail) - stop} bytes follow the end record of the archive")
        fail("FW101", where, "the archive is truncated in its end record", "is the file complete?")
    if zip_like:
        fail("FW101", where, "the archive is truncated: it has no end record", "is the file complete?")
    fail("FW100", where, "not a zip archive", "a wheel is a zip archive named *.whl")


def _read_end64(fd: int | Source, record: int, where: str) -> _End | None:
    """Read the zip64 end record whose locator lies directly before the end record at `record`, if one does."""
    at = record - z.LOCATOR.size
    if at < 0:
        return None
    signature, disk, offset, disks = z.LOCATOR.unpack(read_exactly(fd, z.LOCATOR.size, at, where))
    if signature != z.LOCATOR_SIGNATURE:
        return None
    if disk or disks > 1:
        fail("FW103", where, "the archive is split over several files")
    if offset != at - z.END64.size:
        fail("FW103", where, "the zip64 end record is not where its locator says")
    values = z.END64.unpack(read_exactly(fd, z.END64.size, offset, where))
    signature, rest, _, _, disk, directory_disk, on_disk, count, directory_size, directory = values
    if signature != z.END64_SIGNATURE or rest != z.END64.size - 12:
        fail("FW103", where, "the zip64 end record is damaged")
    if disk or directory_disk or on_disk != count:
        fail("FW103", where, "the archive is split over several files")
    return _End(directory, directory_size, count)


def _read_entries(data: bytes, end: _End, where: str, warnings: list[str]) -> tuple[list[_Entry], list[int]]:
    """Parse the central directory; return its entries, and where each begins in `data`."""
    entries: list[_Entry] = []
    positions: list[int] = []
    at = 0
    unpack, fixed, total, full, make = z.CENTRAL.unpack_from, z.CENTRAL.size, len(data), z.MAX32, _Entry._make
    for _ in range(end.members):
        if at + fixed > total:
            fail("FW104", where, "the central directory ends in the middle of an entry")
        (
            signature, made_by, version, flags, method, time, date, crc, compressed, size,
            name_length, extra_length, comment_length, disk, _, external_attr, offset,
        ) = unpack(data, at)  # fmt: skip
        name_end = at + fixed + name_length
        stop = name_end + extra_length + comment_length
        if signature != z.CENTRAL_SIGNATURE or stop > total:
            fail("FW104", where, f"entry {len(entries) + 1} of the central directory is damaged")
        raw_name = data[at + fixed : name_end]
        try:
            name = raw_name.decode()
        except UnicodeDecodeError:
            fail("FW108", where, f"the name '{shown(raw_name.decode('latin-1'))}' of a member is not UTF-8")
        if name_length > LONGEST_PART:
            _check_long_name(raw_name, where)
        if not flags & z.FLAG_UTF8 and not raw_name.isascii():
            warnings.append(f"the name '{shown(name)}' is UTF-8 but not marked as such")
        if extra_length:
            fields = _extra(data[name_end : name_end + extra_length], name, where)
            _check_unicode_name(fields, name, where)
            if z.EXTRA_ZIP64 in fields:
                wide = _zip64(fields[z.EXTRA_ZIP64], (size, compressed, offset), disk, name, where)
                size, compressed, offset = wide
                disk = 0 if disk == z.MAX16 else disk
        if version & 0xFF > _NEWEST_VERSION:
            fail("FW111", where, f"'{shown(name)}' needs version {(version & 0xFF) / 10} of the zip format")
        if disk:
            fail("FW104", where, f"'{shown(name)}' claims to be in another file of a split archive")
        entry = make(
            (name, method, flags, crc, compressed, size, external_attr, made_by >> 8, date << 16 | time, offset)
        )
        # The common case at a glance; all else is looked at in full.
        usual = method == z.DEFLATED and size <= _DEFLATE_LIMIT * compressed and size != full
        usual = usual and not flags & ~_HARMLESS and external_attr >> 28 in (0, 8) and raw_name[-1:] != b"/"
        if not usual or offset + compressed > end.offset:
            _check_entry(entry, end, where)
        entries.append(entry)
        positions.append(at)
        at = stop
    if at != total:
        fail("FW104", where, "the central directory holds more than the members that the end record counts")
    _check_names([entry.name for entry in entries], where)
    return entries, positions


def _check_names(names: list[str], where: str) -> None:
    fault = first_fault(names)
    if fault is not None:
        fail("FW108", where, f"the name '{shown(fault[0])}' of a member {fault[1]}")
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        fail("FW107", where, f"'{shown(twice)}' is in the archive twice")


def _check_long_name(raw: bytes, where: str) -> None:
    """Refuse what no file system can hold, and what may not be that long."""
    text = f"the name '{shown(raw.decode())}' of a member"
    if len(raw) > LONGEST:
        fail("FW108", where, f"{text} is longer than a path can be")
    if max(map(len, raw.split(b"/"))) > LONGEST_PART:
        fail("FW108", where, f"{text} has a part of more than {LONGEST_PART} bytes, which no file system can hold")


def _extra(extra: bytes, name: str, where: str) -> dict[int, bytes]:
    try:
        return z.split_extra(extra)
    except ValueError as error:
        fail("FW104", where, f"'{shown(name)}': {error}")


def _check_unicode_name(fields: dict[int, bytes], name: str, where: str) -> None:
    """Refuse an Info-ZIP Unicode Path field that gives the member another name."""
    field = fields.get(z.EXTRA_UNICODE_NAME)
    if field is not None and (field[:1] != b"\x01" or field[5:] != name.encode()):
        fail("FW105", where, f"the member '{shown(name)}' has a second, different name in an extra field")


def _zip64(field: bytes, narrow: tuple[int, int, int], disk: int, name: str, where: str) -> tuple[int, int, int]:
    """Return (size, compressed size, offset) with the 32-bit values that are full replaced by those of the field.

    The field holds either just the replaced values, or all of them from the first on (some writers do), and then the
    others must be equal to the narrow ones.
    """
    wanted = [value == z.MAX32 for value in narrow]
    extra_disk = 4 if disk == z.MAX16 else 0
    if len(field) == 8 * sum(wanted) + extra_disk:
        values = iter([int.from_bytes(field[i : i + 8], "little") for i in range(0, 8 * sum(wanted), 8)])
        size, compressed_size, offset = (next(values) if w else v for w, v in zip(wanted, narrow, strict=True))
        rest = field[8 * sum(wanted) :]
    elif len(field) in (8, 16, 24, 28) and not any(wanted[len(field) // 8 :]):
        values_all = [int.from_bytes(field[i : i + 8], "little") for i in range(0, min(len(field), 24), 8)]
        if any(not w and v != n for w, v, n in zip(wanted, values_all, narrow, strict=False)):
            fail("FW104", where, f"'{shown(name)}' has two different sizes or offsets")
        size, compressed_size, offset = (*values_all, *narrow[len(values_all) :])
        rest = field[24:]
    else:
        fail("FW104", where, f"'{shown(name)}' has a zip64 field of a wrong length")
    if any(rest) or (extra_disk and not rest):
        fail("FW104", where, f"'{shown(name)}' claims to be in another file of a split archive")
    return size, compressed_size, offset


def _check_entry(entry: _Entry, end: _End, where: str) -> None:
    """Refuse an entry that no sound wheel has, whatever its local header says."""
    name, method, size, compressed = entry.name, entry.method, entry.size, entry.compressed_size
    if entry.flags & _ENCRYPTED or method == 99:
        fail("FW110", where, f"'{shown(name)}' is encrypted")
    if entry.flags & _PATCH_DATA:
        fail("FW111", where, f"'{shown(name)}' is stored as a patch")
    if method not in (z.STORED, z.DEFLATED):
        if method != z.ZSTD:
            fail("FW111", where, f"'{shown(name)}' is compressed by method {method}, wheels use stored and deflate")
        _check_zstd(name, where)
    if entry.offset + z.LOCAL.size + compressed > end.offset:
        fail("FW104", where, f"'{shown(name)}' lies outside of the archive")
    kind = entry.external_attr >> 16 & 0o170000
    folder = name.endswith("/")
    if kind and kind != (0o040000 if folder else 0o100000) and not (folder and kind == 0o100000):
        word = {0o120000: "a symbolic link", 0o040000: "a folder"}.get(kind, "a special file")
        fail("FW109", where, f"'{shown(name)}' is {word}, wheels hold regular files", "put a copy of the file there")
    if folder and (size or entry.crc):
        fail("FW109", where, f"the folder '{shown(name)}' has content")
    if method == z.STORED and size != compressed:
        fail("FW104", where, f"'{shown(name)}' is stored but has two different sizes")
    if method == z.DEFLATED and size > _DEFLATE_LIMIT * compressed:
        fail("FW112", where, f"'{shown(name)}' cannot inflate from {compressed} to {size} bytes")


def _check_zstd(name: str, where: str) -> None:
    try:
        from importlib import import_module

        import_module("compression.zstd")
    except ImportError:
        hint = "run fastwheel on Python 3.14 or newer, whose standard library reads it"
        fail("FW111", where, f"'{shown(name)}' is compressed by zstd, which this Python cannot read", hint)


def _check_limits(entries: list[_Entry], size: int, where: str, limits: Limits) -> None:
    longest = max((len(entry.name) for entry in entries), default=0)
    if longest > limits.depth or 4 * longest > limits.name_length:  # 4 bytes a character at most
        for entry in entries:
            _check_name_limits(entry.name, where, limits)
    total = sum(entry.size for entry in entries)
    if total > limits.total_size:
        limit(where, f"the contents have {total} bytes, {limits.total_size} are allowed", "total_size")
    floor, ratio = limits.ratio_floor, limits.ratio
    if total > floor and total > ratio * size:
        limit(where, f"the archive would inflate {total // size} times, {ratio} are allowed", "ratio")
    if total > floor:
        for entry in entries:
            if entry.size > floor and entry.size > ratio * entry.compressed_size:
                times = entry.size // max(entry.compressed_size, 1)
                limit(where, f"'{shown(entry.name)}' would inflate {times} times, {ratio} are allowed", "ratio")


def _check_name_limits(name: str, where: str, limits: Limits) -> None:
    if name.rstrip("/").count("/") >= limits.depth:
        limit(where, f"'{shown(name)}' lies deeper than the allowed {limits.depth} levels", "depth")
    if len(name.encode()) > limits.name_length:
        limit(where, f"the name '{shown(name)}' is longer than the allowed {limits.name_length} bytes", "name_length")


def _lay_out(
    fd: int | Source, data: bytes, table: tuple[list[_Entry], list[int]], end: _End, where: str
) -> list[z.Member]:
    """Check the local headers in the order of the file, and that nothing lies between members."""
    entries, positions = table
    offsets = [entry.offset for entry in entries]
    order = sorted(range(len(entries)), key=offsets.__getitem__)
    limits = [*(offsets[index] for index in order), end.offset][1:]
    members: list[z.Member] = []
    make, utf8 = z.Member._make, z.FLAG_UTF8
    expected = 0  # where the next record has to begin
    buffer, start, stop = b"", 0, 0  # the bytes [start, stop) of the file
    stamps: dict[int, bool] = {}
    for index, limit_ in zip(order, limits, strict=True):
        entry, at, position = entries[index], offsets[index], positions[index]
        flags, stamp = entry.flags, entry.dos_time
        if at != expected:
            if at < expected:
                fail("FW106", where, f"'{shown(entry.name)}' overlaps another member")
            fail("FW102", where, f"{at - expected} bytes before '{shown(entry.name)}' belong to no member")
        name_length = data[position + 28] | data[position + 29] << 8
        fixed = at + 30 + name_length
        if fixed > stop:
            # Small members lie close together: one read brings several headers.
            buffer = read_exactly(fd, max(fixed - at, min(_PAGE, end.offset - at)), at, where)
            start, stop = at, at + len(buffer)
        head = buffer[at - start : fixed - start]
        # All that both headers tell, name length included, in one comparison. With the one version that the writer
        # writes and no extra fields, this header is as good as one of its own.
        bare = (
            head[6:28] == data[position + 8 : position + 30]
            and head[:6] == _PLAIN_START
            and head[28:30] == b"\0\0"
            and head[30:] == data[position + 46 : position + 46 + name_length]
            and flags in (0, utf8)
        )
        data_offset = fixed if bare else fixed + _check_local(fd, entry, head, where)
        expected = data_offset + entry.compressed_size
        if expected > limit_:
            fail("FW106", where, f"'{shown(entry.name)}' overlaps what follows it")
        plain = False
        if bare:
            if stamp not in stamps:
                stamps[stamp] = z.to_dos(z.from_dos(stamp)) == stamp
            plain = stamps[stamp] and (flags == 0) == entry.name.isascii() and entry.method != z.ZSTD
        elif flags & z.FLAG_DESCRIPTOR:
            expected += _check_descriptor(fd, entry, expected, limit_ - expected, where)
        members.append(make((*entry, data_offset, expected, plain)))
    if expected != end.offset:
        fail("FW102", where, f"{end.offset - expected} bytes before the central directory belong to no member")
    if any(index != rank for rank, index in enumerate(order)):
        members = [member for _, member in sorted(zip(order, members, strict=True))]
    return members


def _check_local(fd: int | Source, entry: _Entry, head: bytes, where: str) -> int:
    """Compare a local header with its central entry, field by field; return the length of its extra fields."""

    def differs(what: str) -> NoReturn:
        fail("FW105", where, f"the two headers of '{shown(entry.name)}' disagree on its {what}")

    raw_name = entry.name.encode()
    signature, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = z.LOCAL.unpack_from(head)
    if signature != z.LOCAL_SIGNATURE:
        fail("FW105", where, f"no member begins where the central directory puts '{shown(entry.name)}'")
    if name_length != len(raw_name) or head[z.LOCAL.size :] != raw_name:
        differs("name")
    if method != entry.method:
        differs("compression method")
    if (flags ^ entry.flags) & _COMPARED_FLAGS:
        differs("flags")
    fields: dict[int, bytes] = {}
    if extra_length:
        extra = read_exactly(fd, extra_length, entry.offset + len(head), where)
        fields = _extra(extra, entry.name, where)
        _check_unicode_name(fields, entry.name, where)
    if z.EXTRA_ZIP64 in fields:
        size, compressed, _ = _zip64(fields[z.EXTRA_ZIP64], (size, compressed, 0), 0, entry.name, where)
    streamed = bool(flags & z.FLAG_DESCRIPTOR)
    for what, local, central in (
        ("CRC", crc, entry.crc),
        ("compressed size", compressed, entry.compressed_size),
        ("size", size, entry.size),
    ):
        if local != central and not (streamed and local == 0):
            differs(what)
    return int(extra_length)


def _check_descriptor(fd: int | Source, entry: _Entry, at: int, room: int, where: str) -> int:
    """Check the data descriptor that fills the `room` bytes after the data at `at`; return its length.

    Its signature is optional and its sizes have 4 or 8 bytes: four lengths, so the room tells which it is.
    """
    right = False
    if room in (12, 16, 20, 24):
        data = read_exactly(fd, room, at, where)
        signature = z.DESCRIPTOR_SIGNATURE if room in (16, 24) else b""
        wide = 8 if room in (20, 24) else 4
        want = signature + entry.crc.to_bytes(4, "little")
        if max(entry.compressed_size, entry.size) >> (8 * wide) == 0:
            want += entry.compressed_size.to_bytes(wide, "little") + entry.size.to_bytes(wide, "little")
            right = data == want
    if not right:
        fail("FW105", where, f"the data descriptor of '{shown(entry.name)}' is missing, damaged or disagrees")
    return room
