"""Which bytes of a file `read` looks at: for those that do not have all of it in memory.

This follows the steps of reading, and where a step leads on only by what a table says, it asks for the table first.
What it asks for may be more than is looked at, never less. The twin of `rust/elf/src/ranges.rs`.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DT_GNU_HASH,
    DT_HASH,
    DT_NULL,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    MOST_ENTRIES,
    last,
    read_dynamic,
)
from fastwheel._elf.header import read_header, u32, word
from fastwheel._elf.segment import (
    LONGEST_INTERPRETER,
    PF_X,
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    check_loads,
    file_offset,
    read_segments,
)
from fastwheel._elf.symbol import NEIGHBOURS, gnu_hash, hash_counts, hash_word, symbol_size
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastwheel._elf.dynamic import Dynamic
    from fastwheel._elf.header import Header
    from fastwheel._elf.model import Segment

__all__ = ["likely_ranges", "ranges"]

#: Bytes asked for where nothing tells the size of a table: more than any but the largest libraries have in one.
_USUAL: Final = 256 * 1024
#: The same where some other table begins behind.
_MOST_GUESSED: Final = 16 * 1024 * 1024
#: A first PT_LOAD without code holds little but tables; so much of it is worth to be kept.
_MOST_OF_FIRST_LOAD: Final = 16 * 1024 * 1024
#: The same if it holds code, which comes behind the tables.
_MOST_BEFORE_CODE: Final = 4 * 1024 * 1024
#: Of the other ones those up to this size are worth it.
_SMALL_LOAD: Final = 2 * 1024 * 1024
#: So many of them: a library has half a dozen.
_MOST_LIKELY: Final = 16
#: The largest header of a file.
_HEADER: Final = 64
#: Of version lists: the size of a record, where in it its list is told and where the next record; the size of an entry
#: of the list, and where in it the next one is told.
_NEED: Final = (16, 8, 12, 16, 12)
_DEFINITION: Final = (20, 12, 16, 8, 4)


def ranges(data: memoryview, known: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """Return the ranges of a file that `read` looks at, as far as can be told.

    Args:
        data: as long as the file; what is not known of it may be any bytes.
        known: tells whether all bytes from a first to before a second offset are.

    Returns:
        Offsets of first bytes, and behind last bytes. If all are known, `read` looks at no byte outside of them. Else
        make them known and ask again.

    """
    asked = _Asked(data, known)
    # What cannot be read is not read by others either.
    with suppress(_UnknownError, ElfError):
        asked.file()
    return asked.ranges


def likely_ranges(data: memoryview) -> list[tuple[int, int]]:
    """Return where most of the tables lie that `read` looks at, as far as the program headers tell.

    They are at the begin of the first PT_LOAD, and in other small ones without code. patchelf makes such ones, and what
    it moves there may lie before PT_DYNAMIC, which leads to it. Only the header and the program headers are looked at.
    """
    try:
        segments = read_segments(data, read_header(data))
    except ElfError:
        return []
    likely = []
    for number, load in enumerate(segment for segment in segments if segment.type == PT_LOAD):
        start, end, plain = load.offset, load.offset + load.file_size, not load.flags & PF_X
        if number == 0:
            likely.append((start, min(end, start + (_MOST_OF_FIRST_LOAD if plain else _MOST_BEFORE_CODE))))
        elif plain and load.file_size <= _SMALL_LOAD:
            likely.append((start, end))
        if len(likely) == _MOST_LIKELY:
            break
    return likely


class _UnknownError(Exception):
    """What is needed to go on is not known."""


class _Asked:
    def __init__(self, data: memoryview, known: Callable[[int, int], bool]) -> None:
        self.data = data
        self.known = known
        self.ranges: list[tuple[int, int]] = []

    def may(self, start: int, end: int) -> None:
        """Ask for the bytes of [`start`, `end`) that are in the file."""
        start, end = min(start, len(self.data)), min(end, len(self.data))
        if start < end:
            self.ranges.append((start, end))

    def must(self, start: int, size: int) -> None:
        """Ask for bytes without which nothing more can be told."""
        self.may(start, start + size)
        self.check(start, start + size)

    def check(self, start: int, end: int) -> None:
        if not self.known(min(start, len(self.data)), min(end, len(self.data))):
            raise _UnknownError

    def file(self) -> None:
        self.must(0, _HEADER)
        header = read_header(self.data)
        self.must(header.phoff, header.phnum * header.phentsize)
        segments = read_segments(self.data, header)
        for segment in segments:
            if segment.type in {PT_NOTE, PT_GNU_PROPERTY} or (
                segment.type == PT_INTERP and segment.file_size <= LONGEST_INTERPRETER
            ):
                self.may(segment.offset, segment.offset + segment.file_size)
        self.dynamic_table(header, segments)
        dynamic = read_dynamic(self.data, header, segments)
        if dynamic is None:
            return
        for step in (self.strings, self.needs, self.definitions, self.symbols):
            try:
                step(header, segments, dynamic)
            except _UnknownError:
                continue

    def dynamic_table(self, header: Header, segments: Sequence[Segment]) -> None:
        """PT_DYNAMIC as far as it is read: to DT_NULL."""
        segment = next((segment for segment in segments if segment.type == PT_DYNAMIC), None)
        if segment is None:
            return
        check_loads(len(self.data), header, segments)
        start, end = _extent(segments, segment.address)
        size = min(segment.file_size, end - start, _USUAL)
        self.must(start, size)
        entry = header.bits // 4
        offsets = range(start, start + size - entry + 1, entry)
        if not any(word(self.data, header, offset) == DT_NULL for offset in offsets):
            self.must(start, min(end - start, MOST_ENTRIES * entry))

    def strings(self, header: Header, segments: Sequence[Segment], dynamic: Dynamic) -> None:
        start, end = _extent(segments, last(dynamic, DT_STRTAB))
        size = last(dynamic, DT_STRSZ)
        # A table that reaches behind its PT_LOAD is refused by its numbers.
        if size is not None and size <= end - start:
            self.must(start, size)

    def needs(self, header: Header, segments: Sequence[Segment], dynamic: Dynamic) -> None:
        self.records(header, segments, dynamic, last(dynamic, DT_VERNEED), _NEED)

    def definitions(self, header: Header, segments: Sequence[Segment], dynamic: Dynamic) -> None:
        self.records(header, segments, dynamic, last(dynamic, DT_VERDEF), _DEFINITION)

    def records(
        self,
        header: Header,
        segments: Sequence[Segment],
        dynamic: Dynamic,
        address: int | None,
        sizes: tuple[int, int, int, int, int],
    ) -> None:
        """A list of lists, of which each record may be anywhere behind the one before."""
        start, end = _extent(segments, address)
        usual = min(start + min(_guess(dynamic, address or 0), _USUAL), end)
        self.may(start, usual)
        record_size, list_at, next_at, entry_size, next_entry_at = sizes
        left = (end - start) // entry_size
        behind = False

        def look(position: int, size: int) -> None:
            nonlocal behind
            behind |= min(position + size, end) > usual
            if position + size > end:
                raise _UnknownError
            self.check(position, position + size)

        try:
            position = start
            while True:
                look(position, record_size)
                at, step = position, u32(self.data, header, position + list_at)
                while step > 0 and left > 0:
                    at += step
                    left -= 1
                    look(at, entry_size)
                    step = u32(self.data, header, at + next_entry_at)
                step = u32(self.data, header, position + next_at)
                if step < record_size:
                    return
                position += step
        finally:
            if behind:
                self.may(start, end)

    def symbols(self, header: Header, segments: Sequence[Segment], dynamic: Dynamic) -> None:
        """The symbols, and what tells how many there are."""
        address = last(dynamic, DT_SYMTAB)
        start, end = _extent(segments, address)
        size = symbol_size(header)
        # Asked for before its size is known: a file that is read once from begin to end has it then.
        self.may(start, min(start + _guess(dynamic, address or 0), end))
        hashed = last(dynamic, DT_HASH)
        if hashed is not None:
            self.must(_extent(segments, hashed)[0], 2 * hash_word(header))
            count = hash_counts(self.data, header, segments, hashed)[1]
            self.must(start, min(count * size, end - start))
            return
        hashed = last(dynamic, DT_GNU_HASH)
        if hashed is not None:
            self.gnu_hash(header, segments, dynamic, hashed)
            found = gnu_hash(self.data, header, segments, hashed).count
            if found is not None:
                self.must(start, min(found * size, end - start))
                return
        # Then they end at the nearest other table, or earlier.
        self.must(start, min(_distance(dynamic, address or 0, NEIGHBOURS) or end, end - start))

    def gnu_hash(self, header: Header, segments: Sequence[Segment], dynamic: Dynamic, address: int) -> None:
        """The header of DT_GNU_HASH, its buckets, and the last chain."""
        start, end = _extent(segments, address)
        self.may(start, min(start + _guess(dynamic, address), end))
        self.must(start, 16)
        if end - start < 16:
            return
        count, first = u32(self.data, header, start), u32(self.data, header, start + 4)
        buckets = start + 16 + u32(self.data, header, start + 8) * (header.bits // 8)
        chains = buckets + count * 4
        if chains > end:
            return
        self.must(buckets, chains - buckets)
        numbers = _words(self.data[buckets:chains], header)
        highest = max(numbers, default=0)
        if highest == 0 or highest < first:
            return
        chain = min(chains + 4 * (highest - first), end)
        usual = min(_USUAL, end - chain)
        self.must(chain, usual)
        if not any(number & 1 for number in _words(self.data[chain : chain + usual // 4 * 4], header)):
            self.must(chain, end - chain)


def _words(data: memoryview, header: Header) -> Sequence[int]:
    return struct.unpack(f"{header.order}{len(data) // 4}I", data)


def _extent(segments: Sequence[Segment], address: int | None) -> tuple[int, int]:
    """The part of the file from `address` to the end of what its PT_LOAD takes from the file."""
    place = None if address is None else file_offset(segments, address)
    if place is None:
        raise _UnknownError
    return place


def _guess(dynamic: Dynamic, address: int) -> int:
    """How many bytes the table at `address` may have, by what other tables there are."""
    return min(_distance(dynamic, address, (*NEIGHBOURS, DT_SYMTAB)) or _USUAL, _MOST_GUESSED)


def _distance(dynamic: Dynamic, address: int, tags: Sequence[int] | frozenset[int]) -> int | None:
    """How far it is from `address` to the nearest table behind it that an entry with one of `tags` points to."""
    return min((value - address for tag, value in dynamic.entries if tag in tags and value > address), default=None)
