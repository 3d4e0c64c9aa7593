//! How strings get longer: shift what follows, or send one small table away (elf-edit 3.5, rungs 1 to 3 and 7).

use std::ops::Range;

use object::elf;

use crate::edit::file::{ElfFile, Load};
use crate::edit::items::{EVICTABLE, Item, is_block_item, whole_end, whole_segments};
use crate::edit::room::{Room, round_up};

/// A table that gets a new place or a new size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The table as it is in the input.
    pub item: Item,
    /// Index of the PT_LOAD that holds it then, or `None` for the one that is added.
    pub load: Option<usize>,
    /// File offset of the new place.
    pub offset: u64,
    /// Address of the new place.
    pub address: u64,
    /// New size in bytes.
    pub size: u64,
}

impl Move {
    /// The file offset behind the new place.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// The address behind the new place.
    pub fn address_end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    fn up(item: &Item, load: &Load, delta: u64) -> Self {
        let offset = item.offset.saturating_add(delta);
        let address = item.address.saturating_add(delta);
        Self { item: *item, load: Some(load.index), offset, address, size: item.size }
    }

    fn down(item: &Item, load: &Load, delta: u64) -> Self {
        let offset = item.offset.saturating_sub(delta);
        let address = item.address.saturating_sub(delta);
        Self { item: *item, load: Some(load.index), offset, address, size: item.size }
    }

    fn grown(self, tail: u64) -> Self {
        Self { size: self.size.saturating_add(tail), ..self }
    }
}

/// What stays in the PT_LOAD of the string table when one table leaves it. Indices of items.
#[derive(Clone, Debug)]
enum Inside {
    /// These, behind the string table, slide up.
    Up(Range<usize>),
    /// These, before the string table, slide down, and it with them.
    Down(Range<usize>),
    /// The string table itself leaves.
    Nothing,
}

/// One way to make room: `out` leaves for another place with `out_size` bytes.
#[derive(Clone, Debug)]
struct Way {
    /// Bytes that leave or slide; those of a string table that stays in its segment are not counted.
    moved: u64,
    out: Item,
    out_size: u64,
    inside: Inside,
    /// How far the others slide.
    delta: u64,
}

/// The index of the dynamic string table in the items of its PT_LOAD.
fn string_position(file: &ElfFile<'_>, items: &[Item]) -> Option<usize> {
    items.iter().position(|item| {
        item.offset == file.string_offset
            && item.size == file.strings.size()
            && item.section == file.string_section
            && item.kind == elf::SHT_STRTAB
    })
}

/// Whether the number of dynamic symbols, if it hangs on where the next table is, stays the same.
fn countable(file: &ElfFile<'_>, moves: &[Move]) -> bool {
    if file.symbols.exact {
        return true;
    }
    let bound = file.symbols.bound;
    moves.iter().all(|step| {
        let item = &step.item;
        if step.address != item.address && (item.kind == elf::SHT_DYNSYM || item.address == bound) {
            return false;
        }
        let Some(load) = step.load.and_then(|index| file.load(index)).filter(|_| bound == 0) else {
            return true;
        };
        let inside = load.p_offset <= file.symbols.offset && file.symbols.offset < load.end();
        !inside || step.address_end() <= load.file_part_end()
    })
}

/// Rungs 1 and 2: let the string table grow by `tail`, pushing what follows it in its segment into `room`.
///
/// The moves, the string table's first; `None` if a table that must stay follows, or `room` is too small.
pub fn shift(file: &ElfFile<'_>, load: &Load, items: &[Item], tail: u64, room: u64) -> Option<Vec<Move>> {
    let position = string_position(file, items)?;
    let table = items.get(position)?;
    let followers = items.get(position.checked_add(1)?..)?;
    let grown = Move::up(table, load, 0).grown(tail);
    let gap = followers.first().map_or(load.end(), |item| item.offset).saturating_sub(table.end());
    if gap >= tail {
        return countable(file, &[grown]).then(|| vec![grown]);
    }
    if followers.iter().any(|item| !item.movable) {
        return None;
    }
    let align = followers.iter().map(|item| item.align).fold(1, u64::max);
    let delta = round_up(tail.saturating_sub(gap), align)?;
    // The padding at the end of the segment may take it all.
    let inside = followers.last().is_some_and(|last| last.end().saturating_add(delta) <= load.end());
    if room < delta && !inside {
        return None;
    }
    let mut moves = vec![grown];
    moves.extend(followers.iter().map(|item| Move::up(item, load, delta)));
    countable(file, &moves).then_some(moves)
}

/// Every way to let the string table grow by sending one table away.
fn ways(file: &ElfFile<'_>, load: &Load, items: &[Item], tail: u64) -> Option<Vec<Way>> {
    let position = string_position(file, items)?;
    let table = items.get(position)?;
    let next = position.checked_add(1)?;
    let following = items.get(next).map_or(load.end(), |item| item.offset);
    let gap = following.saturating_sub(table.end());
    let delta_of = |align| if gap >= tail { Some(0) } else { round_up(tail.saturating_sub(gap), align) };
    let evictable = |item: &Item| EVICTABLE.contains(&item.kind) && item.size > 0;
    let mut ways = Vec::new();
    // Behind the string table: what lies between slides up into the place of the one that leaves.
    let (mut align, mut between, mut start) = (1, 0_u64, following);
    for (index, item) in items.iter().enumerate().skip(next) {
        if !item.movable {
            break;
        }
        if let Some(delta) = delta_of(align).filter(|_| evictable(item))
            && start.saturating_add(delta) <= item.end()
        {
            let moved = item.size.saturating_add(between);
            ways.push(Way { moved, out: *item, out_size: item.size, inside: Inside::Up(next..index), delta });
        }
        between = between.saturating_add(item.size);
        start = item.end();
        align = align.max(item.align);
    }
    // Before it: what lies between slides down, and the string table with it.
    let (mut align, mut between, mut lowest) = (table.align, 0_u64, table.offset);
    for (index, item) in items.iter().enumerate().take(position).rev() {
        if !item.movable {
            break;
        }
        if let Some(delta) = delta_of(align).filter(|_| evictable(item))
            && lowest >= item.offset.saturating_add(delta)
            && (table.movable || delta == 0)
        {
            let moved = item.size.saturating_add(between);
            let inside = Inside::Down(index.saturating_add(1)..position);
            ways.push(Way { moved, out: *item, out_size: item.size, inside, delta });
        }
        between = between.saturating_add(item.size);
        lowest = item.offset;
        align = align.max(item.align);
    }
    // Or the string table leaves itself.
    if table.movable {
        ways.push(Way {
            moved: table.size,
            out: *table,
            out_size: table.size.saturating_add(tail),
            inside: Inside::Nothing,
            delta: 0,
        });
    }
    Some(ways)
}

impl Way {
    /// What happens inside of the PT_LOAD.
    fn moves(&self, file: &ElfFile<'_>, load: &Load, items: &[Item], tail: u64) -> Option<Vec<Move>> {
        let table = items.get(string_position(file, items)?)?;
        Some(match &self.inside {
            Inside::Up(range) => {
                let mut moves = vec![Move::up(table, load, 0).grown(tail)];
                moves.extend(items.get(range.clone())?.iter().map(|item| Move::up(item, load, self.delta)));
                moves
            }
            Inside::Down(range) => {
                let mut moves = vec![Move::down(table, load, self.delta).grown(tail)];
                let between = items.get(range.clone())?.iter().rev();
                moves.extend(between.map(|item| Move::down(item, load, self.delta)));
                moves
            }
            Inside::Nothing => Vec::new(),
        })
    }
}

/// Whether a PT_LOAD would be left without a section if `item` went; by its bytes in a sectionless file.
fn only_section(file: &ElfFile<'_>, load: &Load, item: &Item) -> bool {
    if file.sections.is_empty() {
        return item.size.saturating_add(64) > load.p_filesz;
    }
    !file.has_section_but(load, Some(item.section))
}

/// Lets the string table of PT_LOAD `load` grow by `tail` by sending one table into one of `rooms`.
///
/// The ways are tried by bytes moved (if `smallest`, first by the size of what leaves), then by order; for each the rooms
/// as they stand. `None` if nothing fits.
pub fn evict(
    file: &ElfFile<'_>,
    load: &Load,
    items: &[Item],
    tail: u64,
    rooms: &[Room],
    smallest: bool,
) -> Option<Vec<Move>> {
    let mut ways = ways(file, load, items, tail)?;
    ways.sort_by_key(|way| (if smallest { way.out_size } else { 0 }, way.moved, way.out.order));
    for way in &ways {
        let only = only_section(file, load, &way.out);
        for room in rooms {
            if only && room.load != Some(load.index) {
                continue;
            }
            let Some(address) = round_up(room.address, way.out.align) else { continue };
            let pad = address.saturating_sub(room.address);
            if pad.checked_add(way.out_size).is_none_or(|used| room.size < used) {
                continue;
            }
            let mut moves = way.moves(file, load, items, tail)?;
            let offset = room.offset.saturating_add(pad);
            moves.push(Move { item: way.out, load: room.load, offset, address, size: way.out_size });
            if countable(file, &moves) {
                return Some(moves);
            }
        }
    }
    None
}

/// Rung 7: send what lies directly behind the program-header table into `room`, all by one distance.
///
/// A PT_NOTE, PT_INTERP or PT_GNU_PROPERTY that begins there goes whole.
///
/// The moves by ascending offset, and what is left of the room; `None` if something that must stay is in the way.
pub fn move_block(
    file: &ElfFile<'_>,
    items: &[Item],
    table_end: u64,
    entry_size: u64,
    room: &Room,
) -> Option<(Vec<Move>, Room)> {
    let limit = whole_end(file, table_end, table_end.saturating_add(entry_size));
    let behind = items.iter().filter(|item| item.offset >= table_end);
    let block: Vec<&Item> = behind.take_while(|item| item.offset < limit).collect();
    if !block.iter().all(|item| is_block_item(file, item)) {
        return None;
    }
    let first = block.first()?;
    let (start, end) = (first.offset, block.last()?.end());
    let mut align = block.iter().map(|item| item.align).fold(1, u64::max);
    for segment in &file.segments {
        if segment.p_offset < end && segment.end() > start && segment.p_align <= 4096 {
            align = align.max(segment.p_align.min(16));
        }
    }
    if !whole_segments(file, start, end) {
        return None;
    }
    // One distance for addresses and one for offsets, both multiples of the strictest alignment.
    let address = round_up(room.address, align)?.checked_add(first.address.checked_rem(align)?)?;
    let pad = address.checked_sub(room.address)?;
    let used = pad.checked_add(end.checked_sub(start)?)?;
    if room.size < used {
        return None;
    }
    let moves: Vec<Move> = block
        .iter()
        .map(|item| {
            let inside = item.offset.saturating_sub(start);
            Move {
                item: **item,
                load: room.load,
                offset: room.offset.saturating_add(pad).saturating_add(inside),
                address: address.saturating_add(inside),
                size: item.size,
            }
        })
        .collect();
    countable(file, &moves).then(|| (moves, room.behind(used)))
}
