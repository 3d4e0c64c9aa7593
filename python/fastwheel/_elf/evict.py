"""How strings get longer: shift what follows, or send one small table away (elf-edit 3.5, rungs 1 to 3 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastwheel._elf.items import EVICTABLE, Item, is_block_item, whole_end, whole_segments
from fastwheel._elf.room import Room, round_up
from fastwheel._elf.section import SHF_ALLOC, SHT_DYNSYM, SHT_STRTAB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.image import Image

__all__ = ["Move", "evict", "move_block", "shift", "string_position"]


@dataclass(frozen=True, slots=True)
class Move:
    """A table that gets a new place or a new size.

    Attributes:
        item: the table as it is in the input.
        load: index of the PT_LOAD that holds it then, or -1 for the one that is added.
        offset: file offset of the new place.
        address: address of the new place.
        size: new size in bytes.
    """

    item: Item
    load: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to make room: `out` leaves for another place with `out_size` bytes.

    Attributes:
        moved: bytes that leave or slide; those of a string table that stays in its segment are not counted.
        order: the order of `out`, which breaks ties.
        between: the items [first, last) that slide by `delta`, up if behind the string table, else down with it.
    """

    moved: int
    order: int
    out: Item
    out_size: int
    between: tuple[int, int]
    delta: int


def string_position(image: Image, items: Sequence[Item]) -> int:
    """Return the index of the dynamic string table in the items of its PT_LOAD."""
    for index, item in enumerate(items):
        if (
            item.offset == image.strings.offset
            and item.size == len(image.strings.content)
            and item.section == image.string_section
            and item.kind == SHT_STRTAB
        ):
            return index
    raise LookupError


def _end(item: Item) -> int:
    return item.offset + item.size


def _countable(image: Image, moves: Sequence[Move]) -> bool:
    """Whether the number of dynamic symbols, if it hangs on where the next table is, stays the same."""
    if image.symbols.exact:
        return True
    for move in moves:
        item = move.item
        if move.address != item.address and (item.kind == SHT_DYNSYM or item.address == image.symbols.bound):
            return False
        if image.symbols.bound == 0 and move.load >= 0:
            load = image.segments[move.load]
            inside = load.offset <= image.symbols.offset < load.offset + load.file_size
            if inside and move.address + move.size > load.address + load.file_size:
                return False
    return True


def _by(item: Item, load: int, delta: int) -> Move:
    """Return the move of `item` by `delta` bytes, which may be negative."""
    return Move(item, load, item.offset + delta, item.address + delta, item.size)


def shift(image: Image, items: Sequence[Item], tail: int, room: Room) -> list[Move] | None:
    """Rungs 1 and 2: let the string table grow by `tail`, pushing what follows it in its segment into `room`.

    Returns:
        The moves, the string table's first; None if a table that must stay follows, or `room` is too small.
    """
    position = string_position(image, items)
    table = items[position]
    followers = items[position + 1 :]
    load = _own_load(image, table)
    segment = image.segments[load]
    segment_end = segment.offset + segment.file_size
    grown = Move(table, load, table.offset, table.address, table.size + tail)
    gap = (followers[0].offset if followers else segment_end) - _end(table)
    if gap >= tail:
        return [grown] if _countable(image, [grown]) else None
    align = 1
    for item in followers:
        if not item.movable:
            return None
        align = max(align, item.align)
    delta = round_up(tail - gap, align)
    # the padding at the end of the segment may take it all
    inside = bool(followers) and _end(followers[-1]) + delta <= segment_end
    moves = [grown, *(_by(item, load, delta) for item in followers)]
    if room.size < delta and not inside:
        return None
    return moves if _countable(image, moves) else None


def _own_load(image: Image, item: Item) -> int:
    for index in image.loads:
        load = image.segments[index]
        if load.offset <= item.offset and _end(item) <= load.offset + load.file_size:
            return index
    raise LookupError


def _options(image: Image, load: int, items: Sequence[Item], tail: int) -> list[_Option]:
    """Return every way to let the string table grow by sending one table away."""
    position = string_position(image, items)
    table = items[position]
    segment = image.segments[load]
    options = []
    following = items[position + 1].offset if position + 1 < len(items) else segment.offset + segment.file_size
    gap = following - _end(table)
    # behind the string table: what lies between slides up into the place of the one that leaves
    align, start, moved = 1, following, 0
    for index in range(position + 1, len(items)):
        item = items[index]
        if not item.movable:
            break
        if item.kind in EVICTABLE and item.size > 0:
            delta = 0 if gap >= tail else round_up(tail - gap, align)
            if start + delta <= _end(item):
                options.append(_Option(moved + item.size, item.order, item, item.size, (position + 1, index), delta))
        moved += item.size
        start = _end(item)
        align = max(align, item.align)
    # before it: what lies between slides down, and the string table with it
    align, lowest, moved = table.align, table.offset, 0
    for index in range(position - 1, -1, -1):
        item = items[index]
        if not item.movable:
            break
        if item.kind in EVICTABLE and item.size > 0:
            delta = 0 if gap >= tail else round_up(tail - gap, align)
            if lowest >= item.offset + delta and (table.movable or delta == 0):
                options.append(_Option(moved + item.size, item.order, item, item.size, (index + 1, position), delta))
        moved += item.size
        lowest = item.offset
        align = max(align, item.align)
    # or the string table leaves itself
    if table.movable:
        options.append(_Option(table.size, table.order, table, table.size + tail, (0, 0), 0))
    return options


def _inside(image: Image, load: int, items: Sequence[Item], tail: int, option: _Option) -> list[Move]:
    """Return what happens in the PT_LOAD of the string table."""
    position = string_position(image, items)
    table = items[position]
    if option.out == table:
        return []
    first, last = option.between
    delta = option.delta if first > position else -option.delta
    own = min(delta, 0)
    grown = Move(table, load, table.offset + own, table.address + own, table.size + tail)
    return [grown, *(_by(item, load, delta) for item in items[first:last])]


def _only_section(image: Image, load: int, item: Item) -> bool:
    """Whether a PT_LOAD would be left without a section if `item` went; by its bytes in a sectionless file."""
    segment = image.segments[load]
    if not image.sections:
        return item.size + 64 > segment.file_size
    for index, other in enumerate(image.sections):
        if (
            index != item.section
            and other.size > 0
            and other.flags & SHF_ALLOC
            and segment.address <= other.address < segment.address + segment.memory_size
        ):
            return False
    return True


def evict(
    image: Image, load: int, items: Sequence[Item], tail: int, rooms: Sequence[Room], *, smallest: bool
) -> list[Move] | None:
    """Let the string table of PT_LOAD `load` grow by `tail` by sending one table into one of `rooms`.

    The options are tried by bytes moved (if `smallest`, first by the size of what leaves), then by order; for each the
    rooms as they stand.

    Returns:
        The moves, or None if nothing fits.
    """
    options = _options(image, load, items, tail)
    if smallest:
        options.sort(key=lambda option: (option.out_size, option.moved, option.order))
    else:
        options.sort(key=lambda option: (option.moved, option.order))
    for option in options:
        only = _only_section(image, load, option.out)
        for room in rooms:
            if only and room.load != load:
                continue
            address = round_up(room.address, option.out.align)
            pad = address - room.address
            if room.size < pad + option.out_size:
                continue
            moves = _inside(image, load, items, tail, option)
            moves.append(Move(option.out, room.load, room.offset + pad, address, option.out_size))
            if _countable(image, moves):
                return moves
    return None


def move_block(
    image: Image, items: Sequence[Item], table_end: int, entry_size: int, room: Room
) -> tuple[list[Move], Room] | None:
    """Rung 7: send what lies directly behind the program-header table into `room`, all by one distance.

    A PT_NOTE, PT_INTERP or PT_GNU_PROPERTY that begins there goes whole.

    Returns:
        The moves by ascending offset, and what is left of the room; None if something that must stay is in the way.
    """
    limit = whole_end(image, table_end, table_end + entry_size)
    block: list[Item] = []
    align = 1
    for item in items:
        if item.offset < table_end:
            continue
        if item.offset >= limit:
            break
        if not is_block_item(image, item):
            return None
        block.append(item)
        align = max(align, item.align)
    if not block:
        return None
    start, end = block[0].offset, _end(block[-1])
    for segment in image.segments:
        if segment.offset < end and segment.offset + segment.file_size > start and segment.align <= 4096:
            align = max(align, min(segment.align, 16))
    if not whole_segments(image, start, end):
        return None
    # one distance for addresses and one for offsets, both multiples of the strictest alignment
    address = round_up(room.address, align) + block[0].address % align
    pad = address - room.address
    used = pad + (end - start)
    if room.size < used:
        return None
    moves = [
        Move(item, room.load, room.offset + pad + (item.offset - start), address + (item.offset - start), item.size)
        for item in block
    ]
    if not _countable(image, moves):
        return None
    return moves, Room(room.load, room.offset + used, room.address + used, room.size - used)
