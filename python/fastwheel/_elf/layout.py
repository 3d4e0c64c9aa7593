"""Where bytes go: the ladder (elf-edit 3.4 and 3.5). Rungs are tried in order and the first that fits wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import DT_VERNEED, DT_VERSYM, last
from fastwheel._elf.evict import Move, evict, move_block, shift
from fastwheel._elf.header import EHDR_SIZE
from fastwheel._elf.items import Item, covered_ranges, is_zero, items_of_load
from fastwheel._elf.room import (
    SLOT_GAP,
    Room,
    address_room,
    file_end_room,
    find_slot,
    largest_page,
    preferred,
    round_up,
    slack_room,
    takes_memory_behind,
)
from fastwheel._elf.section import SHF_ALLOC, SHT_DYNAMIC
from fastwheel._elf.segment import PF_R, PF_W, load_at
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._elf.image import Image

__all__ = ["Layout", "NewLoad", "lay_out"]

IN_PLACE: Final = 0
GAP: Final = 1
SHIFT: Final = 2
SLACK: Final = 3
EXTEND: Final = 4
APPEND: Final = 5
INSERT: Final = 6
APPEND_EVICT: Final = 7


@dataclass(frozen=True, slots=True)
class NewLoad:
    """A PT_LOAD that is added.

    Attributes:
        slot: one of the SLOT_ constants.
        cost: index of the program header that is given up for it, or -1.
    """

    slot: str
    cost: int
    offset: int
    address: int
    flags: int
    align: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything goes. File offsets of new places are those of the output.

    Attributes:
        rung: 0 in place, 1 gap, 2 shift, 3 slack, 4 extend, 5 append, 6 insert, 7 append and evict.
        moves: the tables that move or grow, `.dynamic` among them, by ascending old offset.
        insert_at: where zero bytes are inserted into the file; `insert_size` of them, 0 for none.
        new_load: the PT_LOAD that is added, or None.
        block: the range [start, end) of the file that was sent away to let the program-header table grow.
    """

    rung: int
    moves: tuple[Move, ...]
    insert_at: int
    insert_size: int
    new_load: NewLoad | None
    block: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Need:
    """What still needs a place: `tail`, bytes behind the string table; `dynamic`, the size of a new `.dynamic`."""

    tail: int
    dynamic: int


def lay_out(image: Image, tail: int, dynamic: int) -> Layout:
    """Find a place for `tail` more bytes of strings, and for a new `.dynamic` of `dynamic` bytes (0: it stays).

    Raises:
        ElfError: FW400 no room; FW401 growth of a file that carries data behind its ELF part; FW402 sections that
            overlap.
    """
    load = _load_of(image, image.strings.address)
    # what is written in place must not lie over something else either
    written = {load, image.dynamic.load}
    for tag in (DT_VERSYM, DT_VERNEED):
        address = last(image.dynamic, tag)
        if address is not None:
            written.add(_load_of(image, address))
    items: tuple[Item, ...] = ()
    for index in sorted(written):
        found = items_of_load(image, index)
        if found is None:
            raise ElfError("FW402", f"PT_LOAD {index}: a table lies over another one or over a header")
        if index == load:
            items = found
    if tail == 0 and dynamic == 0:
        return Layout(IN_PLACE, (), 0, 0, None, None)
    stop = image.symbols.stop
    if 0 < stop < len(image.strings.content) + tail:
        raise ElfError("FW400", "the number of dynamic symbols is not known for certain, and would change")
    layout = _climb(image, load, items, tail, dynamic)
    if layout is None or _too_large(image, layout):
        raise ElfError("FW400", "no room for the new strings without moving code or data")
    if _grows(image, layout) and _overlay(image):
        raise ElfError("FW401", "the file carries data behind its ELF part, and would have to grow")
    return layout


def _load_of(image: Image, address: int) -> int:
    """Return the PT_LOAD of a table; versions that no symbol has may be nowhere, and then are not written to."""
    found = load_at(image.segments, address)
    return image.dynamic.load if found is None else found


def _climb(image: Image, load: int, items: Sequence[Item], tail: int, dynamic: int) -> Layout | None:
    moves: list[Move] = []
    asked = _Need(tail, dynamic)
    rung = IN_PLACE
    # .dynamic first, into slack
    taken: Room | None = None
    if dynamic > 0:
        placed = _dynamic_into(image, dynamic, _slack_rooms(image, _dynamic_loads(image)))
        if placed is not None:
            moves.append(placed[0])
            taken = placed[1]
            dynamic = 0
            rung = SLACK
    # then the strings: gap, shift, slack
    if tail > 0:
        found = _strings_inside(image, load, items, tail, taken)
        if found is not None:
            rung = max(rung, found[0])
            moves.extend(found[1])
            tail = 0
    if tail == 0 and dynamic == 0:
        return _finish(rung, moves)
    need = _Need(tail, dynamic)
    for attempt in (_extend, _append, _insert, _append_evict):
        layout = attempt(image, load, items, need, taken, moves)
        if layout is not None:
            return layout
    if moves:
        # what the last rung wants to send away may have a place already: it starts afresh
        return _append_evict(image, load, items, asked, None, [])
    return None


def _finish(rung: int, moves: Sequence[Move]) -> Layout:
    return Layout(rung, _ordered(moves), 0, 0, None, None)


def _ordered(moves: Sequence[Move]) -> tuple[Move, ...]:
    return tuple(sorted(moves, key=lambda move: (move.item.offset, move.item.size, move.item.section)))


def dynamic_item(image: Image) -> Item:
    """Return the item that is the dynamic section."""
    size = image.segments[image.dynamic.segment].file_size
    index = image.dynamic_section
    return Item(
        SHT_DYNAMIC, index, index, image.dynamic.offset, image.dynamic.address, size, image.header.bits // 8, False
    )


def _dynamic_loads(image: Image) -> tuple[int, ...]:
    """Return the PT_LOADs that may hold `.dynamic`: as writable as its own, which comes first.

    A PT_LOAD that holds nothing else is not left: it would have no section.
    """
    own = image.dynamic.load
    if _alone(image, own, image.dynamic_section):
        return (own,)
    return preferred(image, bool(image.segments[own].flags & PF_W), own)


def _alone(image: Image, load: int, section: int) -> bool:
    """Whether `section` is the only one in a PT_LOAD; never in a sectionless file."""
    segment = image.segments[load]
    for index, other in enumerate(image.sections):
        if (
            index != section
            and other.size > 0
            and other.flags & SHF_ALLOC
            and segment.address <= other.address < segment.address + segment.memory_size
        ):
            return False
    return bool(image.sections)


def _slack_rooms(image: Image, loads: Sequence[int]) -> list[Room]:
    return [slack_room(image, index) for index in loads]


def _dynamic_into(image: Image, size: int, rooms: Sequence[Room]) -> tuple[Move, Room] | None:
    """Put `.dynamic` at the start of the first of `rooms` that holds it; return what is left of that room too."""
    for room in rooms:
        address = round_up(room.address, image.header.bits // 8)
        pad = address - room.address
        if room.size < pad + size:
            continue
        move = Move(dynamic_item(image), room.load, room.offset + pad, address, size)
        used = pad + size
        return move, Room(room.load, room.offset + used, room.address + used, room.size - used)
    return None


def _left(room: Room, taken: Room | None) -> Room:
    """Return `room`, or what is left of it if `.dynamic` is already at its start."""
    if taken is not None and taken.load == room.load:
        return Room(taken.load, taken.offset, taken.address, max(room.address + room.size - taken.address, 0))
    return room


def _strings_inside(
    image: Image, load: int, items: Sequence[Item], tail: int, taken: Room | None
) -> tuple[int, list[Move]] | None:
    """Rungs 1, 2 and 3."""
    if taken is None or taken.load != load:
        room = slack_room(image, load)
        moves = shift(image, items, tail, room)
        if moves is None:
            longer = file_end_room(image, load)
            if longer is not None:
                moves = shift(image, items, tail, longer)
        if moves is not None:
            return GAP if len(moves) == 1 and _fits_gap(image, items, tail) else SHIFT, moves
    elif _fits_gap(image, items, tail):
        moves = shift(image, items, tail, Room(load, 0, 0, 0))
        if moves is not None:
            return GAP, moves
    rooms = [_left(room, taken) for room in _slack_rooms(image, preferred(image, None, None))]
    moves = evict(image, load, items, tail, rooms, smallest=False)
    return None if moves is None else (SLACK, moves)


def _fits_gap(image: Image, items: Sequence[Item], tail: int) -> bool:
    moves = shift(image, items, tail, Room(-1, 0, 0, 0))
    return moves is not None and len(moves) == 1


def _fill(
    image: Image, load: int, items: Sequence[Item], need: _Need, rooms: Sequence[Room], *, smallest: bool
) -> list[Move] | None:
    """Put what is needed into one of `rooms`, in their order: `.dynamic` first, then the strings by eviction."""
    if need.dynamic == 0:
        return evict(image, load, items, need.tail, rooms, smallest=smallest)
    for room in rooms:
        placed = _dynamic_into(image, need.dynamic, (room,))
        if placed is None:
            continue
        if need.tail == 0:
            return [placed[0]]
        moves = evict(image, load, items, need.tail, (placed[1],), smallest=smallest)
        if moves is not None:
            return [placed[0], *moves]
    return None


def _loads_for(image: Image, need: _Need) -> tuple[int, ...]:
    return _dynamic_loads(image) if need.dynamic > 0 else preferred(image, None, None)


def _extend(
    image: Image, load: int, items: Sequence[Item], need: _Need, taken: Room | None, moves: Sequence[Move]
) -> Layout | None:
    """Rung 4: make the last PT_LOAD longer, at the end of the file."""
    last = image.loads[-1]
    if last not in _loads_for(image, need):
        return None
    room = file_end_room(image, last)
    if room is None:
        return None
    found = _fill(image, load, items, need, (_behind(_left(room, taken), moves),), smallest=True)
    return None if found is None else _finish(EXTEND, [*moves, *found])


def _behind(room: Room, moves: Sequence[Move]) -> Room:
    """Return what is left of `room` behind what has its place there already."""
    used = 0
    for move in moves:
        if move.load == room.load:
            used = max(used, move.address + move.size - room.address)
    return Room(room.load, room.offset + used, room.address + used, max(room.size - used, 0))


def _new_room(image: Image, align: int, moves: Sequence[Move]) -> Room | None:
    """Return the room of a PT_LOAD behind all others and behind the end of the file.

    None if addresses run out, or what lies there may be the program's already.
    """
    if takes_memory_behind(image):
        return None
    top = (1 << image.header.bits) - 1
    end = 0
    for index in image.loads:
        end = max(end, image.segments[index].address + image.segments[index].memory_size)
    size = len(image.data)
    for move in moves:
        end = max(end, move.address + move.size)
        size = max(size, move.offset + move.size)
    offset = round_up(size, 16)
    address = round_up(end, align) + offset % align
    if address > top:
        return None
    return Room(-1, offset, address, top - address)


def _new_align(image: Image) -> int:
    align = largest_page(image.header.machine)
    for index in image.loads:
        if image.segments[index].align <= 0x10000:
            align = max(align, image.segments[index].align)
    return align


def _new_flags(image: Image, need: _Need) -> int:
    writable = need.dynamic > 0 and image.segments[image.dynamic.load].flags & PF_W != 0
    return PF_R | PF_W if writable else PF_R


def _dynamic_may_leave(image: Image, need: _Need) -> bool:
    return need.dynamic == 0 or not _alone(image, image.dynamic.load, image.dynamic_section)


def _append(
    image: Image, load: int, items: Sequence[Item], need: _Need, _taken: Room | None, moves: Sequence[Move]
) -> Layout | None:
    """Rung 5: a new PT_LOAD, if the program-header table has a slot for it."""
    slot = find_slot(image)
    align = _new_align(image)
    room = _new_room(image, align, moves)
    if slot is None or room is None or not _dynamic_may_leave(image, need):
        return None
    found = _fill(image, load, items, need, (room,), smallest=True)
    if found is None:
        return None
    new_load = NewLoad(slot[0], slot[1], room.offset, room.address, _new_flags(image, need), align)
    return Layout(APPEND, _ordered([*moves, *found]), 0, 0, new_load, None)


def _insert(
    image: Image, load: int, items: Sequence[Item], need: _Need, taken: Room | None, moves: Sequence[Move]
) -> Layout | None:
    """Rung 6: insert a page of zeros into the file behind a PT_LOAD that has addresses to grow into."""
    page = 4096
    for index in image.loads:
        page = max(page, image.segments[index].align)
    if page > 0x10000:
        return None
    if need.dynamic == 0 and (taken is None or taken.load != load):
        room = _insert_room(image, load, page, moves)
        found = None if room is None else shift(image, items, need.tail, room)
        if room is not None and found is not None:
            return _inserted(image, room, page, [*moves, *found])
    rooms = []
    for index in _loads_for(image, need):
        room = _insert_room(image, index, page, moves)
        if room is not None:
            rooms.append(_left(room, taken))
    found = _fill(image, load, items, need, rooms, smallest=False)
    if found is None:
        return None
    # exactly one of what was placed left its PT_LOAD for a room; the insertion is behind that one
    for room in rooms:
        for move in found:
            if move.load == room.load and move.address >= room.address:
                return _inserted(image, room, page, [*moves, *found])
    return None


def _insert_room(image: Image, load_index: int, page: int, moves: Sequence[Move]) -> Room | None:
    """Return the room that `page` bytes inserted behind a PT_LOAD would make, or None if something is in the way."""
    load = image.segments[load_index]
    point = load.offset + load.file_size
    room = address_room(image, load_index)
    if room == 0 or point >= len(image.data):
        return None
    for start, end in covered_ranges(image):
        if start < point < end:
            return None
    # what was placed already would be torn apart or pushed away
    for move in moves:
        if move.offset + move.size > point and move.load == load_index and move.item.offset < point:
            return None
    return Room(load_index, point, load.address + load.file_size, min(page, room))


def _inserted(image: Image, room: Room, page: int, moves: Sequence[Move]) -> Layout:
    """Return the layout with `page` bytes inserted where the file part of the room's PT_LOAD ends."""
    load = image.segments[room.load]
    point = load.offset + load.file_size
    placed = []
    for move in moves:
        offset = move.offset
        # offsets inside another PT_LOAD that lies behind the insertion move with it
        if move.load != room.load and offset >= point:
            offset += page
        placed.append(Move(move.item, move.load, offset, move.address, move.size))
    return Layout(INSERT, _ordered(placed), point, page, None, None)


def _append_evict(
    image: Image, load: int, items: Sequence[Item], need: _Need, _taken: Room | None, moves: Sequence[Move]
) -> Layout | None:
    """Rung 7: a new PT_LOAD; the notes behind the program-header table go there to make a slot for it."""
    header = image.header
    align = _new_align(image)
    room = _new_room(image, align, moves)
    if room is None or header.phnum + 1 >= 0xFFFF or not _dynamic_may_leave(image, need):
        return None
    table_end = header.phoff + header.phnum * header.phentsize
    first = _load_of_table(image)
    if first is None:
        return None
    first_items = items if first == load else items_of_load(image, first)
    if first_items is None:
        return None
    block = move_block(image, first_items, table_end, header.phentsize, room)
    if block is None:
        return None
    block_moves, left = block
    sent = {move.item.offset for move in block_moves}
    if any(move.item.offset in sent for move in moves):
        return None
    remaining = [
        Item(item.kind, item.section, item.order, item.offset, item.address, item.size, item.align, False)
        if item.offset in sent
        else item
        for item in items
    ]
    found = _fill(image, load, remaining, need, (left,), smallest=True)
    if found is None:
        return None
    new_load = NewLoad(SLOT_GAP, -1, room.offset, room.address, _new_flags(image, need), align)
    last = block_moves[-1].item
    span = (block_moves[0].item.offset, last.offset + last.size)
    return Layout(APPEND_EVICT, _ordered([*moves, *block_moves, *found]), 0, 0, new_load, span)


def _load_of_table(image: Image) -> int | None:
    header = image.header
    end = header.phoff + header.phnum * header.phentsize
    for index in image.loads:
        load = image.segments[index]
        if load.offset <= header.phoff and end <= load.offset + load.file_size:
            return index
    return None


def _grows(image: Image, layout: Layout) -> bool:
    if layout.insert_size > 0 or layout.new_load is not None:
        return True
    return any(move.offset + move.size > len(image.data) for move in layout.moves)


def _too_large(image: Image, layout: Layout) -> bool:
    """Whether an offset in the output would not fit into the fields of the class."""
    size = len(image.data) + layout.insert_size
    for move in layout.moves:
        size = max(size, move.offset + move.size)
    return size > (1 << image.header.bits) - 1


def _overlay(image: Image) -> bool:
    """Whether more than 16 bytes that are not all zero lie behind everything that a header claims."""
    end = EHDR_SIZE[image.header.bits]
    for _, stop in covered_ranges(image):
        end = max(end, stop)
    size = len(image.data)
    return size - end > 16 and not is_zero(image.data, end, size)
