//! Where bytes go: the ladder (elf-edit 3.4 and 3.5). Rungs are tried in order and the first that fits wins.

use std::collections::{BTreeSet, HashSet};

use object::elf::{self, PF_R, PF_W};

use crate::edit::evict::{Move, evict, move_block, shift};
use crate::edit::file::{ElfFile, Load};
use crate::edit::impossible;
use crate::edit::items::{Item, items_of_load};
use crate::edit::room::{
    Room, Slot, address_room, file_end_room, find_slot, is_writable, largest_page, preferred, round_up,
    slack_room, takes_memory_behind,
};
use crate::error::{Code, Error};

/// The rungs of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Nothing gets longer.
    InPlace,
    /// The string table grows into the padding behind it.
    Gap,
    /// What follows the string table makes room.
    Shift,
    /// One table goes into the padding behind a segment.
    Slack,
    /// The last PT_LOAD gets longer at the end of the file.
    Extend,
    /// A new PT_LOAD.
    Append,
    /// A page is inserted into the file.
    Insert,
    /// A new PT_LOAD, for which the program-header table pushes something away.
    AppendEvict,
}

/// A PT_LOAD that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLoad {
    pub slot: Slot,
    pub offset: u64,
    pub address: u64,
    pub flags: u32,
    pub align: u64,
}

/// Where everything goes. File offsets of new places are those of the output.
#[derive(Clone, Debug)]
pub struct Layout {
    pub rung: Rung,
    /// The tables that move or grow, `.dynamic` among them, by ascending old offset.
    pub moves: Vec<Move>,
    /// Where zero bytes are inserted into the file.
    pub insert_at: u64,
    /// How many of them, 0 for none.
    pub insert_size: u64,
    /// The PT_LOAD that is added.
    pub new_load: Option<NewLoad>,
    /// The range [start, end) of the file that was sent away to let the program-header table grow.
    pub block: Option<(u64, u64)>,
}

impl Layout {
    fn new(rung: Rung, moves: &[Move], found: &[Move]) -> Self {
        let mut moves = [moves, found].concat();
        moves.sort_by_key(|step| (step.item.offset, step.item.size, step.item.section));
        Self { rung, moves, insert_at: 0, insert_size: 0, new_load: None, block: None }
    }

    /// The move of `.dynamic`.
    pub fn dynamic_move(&self) -> Option<&Move> {
        self.moves.iter().rfind(|step| step.item.kind == elf::SHT_DYNAMIC)
    }
}

/// What still needs a place: `tail`, bytes behind the string table; `dynamic`, the size of a new `.dynamic`.
#[derive(Clone, Copy, Debug)]
struct Need {
    tail: u64,
    dynamic: u64,
}

/// What the rungs from 4 on start from.
struct State<'f, 'a> {
    file: &'f ElfFile<'a>,
    /// The PT_LOAD of the string table.
    load: &'f Load,
    /// The items of it.
    items: &'f [Item],
    need: Need,
    /// What is left of the room into which `.dynamic` went.
    taken: Option<Room>,
    /// What has a place already.
    moves: Vec<Move>,
}

/// Finds a place for `tail` more bytes of strings, and for a new `.dynamic` of `dynamic` bytes (0: it stays).
pub fn lay_out(file: &ElfFile<'_>, tail: u64, dynamic: u64) -> Result<Layout, Error> {
    let load = file.load_at(file.string_address).ok_or_else(|| impossible("DT_STRTAB"))?;
    // What is written in place must not lie over something else either.
    let own = file.dynamic.load;
    let versions = [elf::DT_VERSYM, elf::DT_VERNEED].into_iter().filter_map(|tag| file.dynamic.last(tag));
    let mut written: BTreeSet<usize> = [load.index, own].into();
    // Versions that no symbol has may be nowhere, and then are not written to.
    written.extend(versions.map(|address| file.load_at(address).map_or(own, |load| load.index)));
    let mut items = Vec::new();
    for index in written {
        let Some(other) = file.load(index) else { continue };
        let found = items_of_load(file, other)?.ok_or_else(|| {
            let text = format_args!("PT_LOAD {index}: a table lies over another one or over a header");
            Error::new(Code::SectionsInconsistent, text)
        })?;
        if index == load.index {
            items = found;
        }
    }
    if tail == 0 && dynamic == 0 {
        return Ok(Layout::new(Rung::InPlace, &[], &[]));
    }
    let stop = file.symbols.stop;
    if 0 < stop && stop < file.strings.size().saturating_add(tail) {
        let text = "the number of dynamic symbols is not known for certain, and would change";
        return Err(Error::new(Code::NoRoom, text));
    }
    let layout = climb(file, load, &items, Need { tail, dynamic })?;
    let layout = layout
        .filter(|layout| !too_large(file, layout))
        .ok_or_else(|| Error::new(Code::NoRoom, "no room for the new strings without moving code or data"))?;
    if grows(file, &layout) && overlay(file) {
        let text = "the file carries data behind its ELF part, and would have to grow";
        return Err(Error::new(Code::NotEditable, text));
    }
    Ok(layout)
}

fn climb(file: &ElfFile<'_>, load: &Load, items: &[Item], mut need: Need) -> Result<Option<Layout>, Error> {
    let mut moves = Vec::new();
    let asked = need;
    let mut rung = Rung::InPlace;
    // .dynamic first, into slack
    let mut taken = None;
    if need.dynamic > 0
        && let Some((placed, left)) =
            dynamic_into(file, need.dynamic, &slack_rooms(file, &dynamic_loads(file)))
    {
        moves.push(placed);
        taken = Some(left);
        need.dynamic = 0;
        rung = Rung::Slack;
    }
    // then the strings: gap, shift, slack
    if need.tail > 0
        && let Some((higher, found)) = strings_inside(file, load, items, need.tail, taken)
    {
        rung = rung.max(higher);
        moves.extend(found);
        need.tail = 0;
    }
    if need.tail == 0 && need.dynamic == 0 {
        return Ok(Some(Layout::new(rung, &moves, &[])));
    }
    let state = State { file, load, items, need, taken, moves };
    if let Some(layout) = state.extend().or_else(|| state.append()).or_else(|| state.insert()) {
        return Ok(Some(layout));
    }
    let layout = state.append_evict()?;
    if layout.is_some() || state.moves.is_empty() {
        return Ok(layout);
    }
    // What the last rung wants to send away may have a place already: it starts afresh.
    State { need: asked, taken: None, moves: Vec::new(), ..state }.append_evict()
}

/// The item that is the dynamic section.
fn dynamic_item(file: &ElfFile<'_>) -> Item {
    let segment = file.segments.get(file.dynamic.segment);
    Item {
        kind: elf::SHT_DYNAMIC,
        section: file.dynamic_section,
        order: file.dynamic_section,
        offset: file.dynamic.offset,
        address: file.dynamic.address,
        size: segment.map_or(0, |segment| segment.p_filesz),
        align: file.bytes.class.word_size(),
        movable: false,
    }
}

/// The PT_LOADs that may hold `.dynamic`: as writable as its own, which comes first.
///
/// A PT_LOAD that holds nothing else is not left: it would have no section.
fn dynamic_loads<'f>(file: &'f ElfFile<'_>) -> Vec<&'f Load> {
    let Some(own) = file.load(file.dynamic.load) else { return Vec::new() };
    if alone(file, own) {
        return vec![own];
    }
    preferred(file, Some(is_writable(own)), Some(own.index))
}

/// Whether `.dynamic` is the only section in a PT_LOAD; never in a sectionless file.
fn alone(file: &ElfFile<'_>, load: &Load) -> bool {
    !file.sections.is_empty() && !file.has_section_but(load, Some(file.dynamic_section))
}

fn slack_rooms(file: &ElfFile<'_>, loads: &[&Load]) -> Vec<Room> {
    loads.iter().map(|load| slack_room(file, load)).collect()
}

/// Puts `.dynamic` at the start of the first of `rooms` that holds it; what is left of that room too.
fn dynamic_into(file: &ElfFile<'_>, size: u64, rooms: &[Room]) -> Option<(Move, Room)> {
    rooms.iter().find_map(|room| {
        let address = round_up(room.address, file.bytes.class.word_size())?;
        let pad = address.checked_sub(room.address)?;
        let used = pad.checked_add(size).filter(|used| *used <= room.size)?;
        let offset = room.offset.saturating_add(pad);
        let placed = Move { item: dynamic_item(file), load: room.load, offset, address, size };
        Some((placed, room.behind(used)))
    })
}

/// `room`, or what is left of it if `.dynamic` is already at its start.
fn left(room: Room, taken: Option<Room>) -> Room {
    match taken {
        Some(taken) if taken.load == room.load => {
            let end = room.address.saturating_add(room.size);
            Room { size: end.saturating_sub(taken.address), ..taken }
        }
        _ => room,
    }
}

/// Rungs 1, 2 and 3.
fn strings_inside(
    file: &ElfFile<'_>,
    load: &Load,
    items: &[Item],
    tail: u64,
    taken: Option<Room>,
) -> Option<(Rung, Vec<Move>)> {
    let fits_gap = || shift(file, load, items, tail, 0).filter(|moves| moves.len() == 1);
    if taken.is_none_or(|taken| taken.load != Some(load.index)) {
        let room = slack_room(file, load);
        let moves = shift(file, load, items, tail, room.size).or_else(|| {
            let longer = file_end_room(file, load)?;
            shift(file, load, items, tail, longer.size)
        });
        if let Some(moves) = moves {
            let gap = moves.len() == 1 && fits_gap().is_some();
            return Some((if gap { Rung::Gap } else { Rung::Shift }, moves));
        }
    } else if let Some(moves) = fits_gap() {
        return Some((Rung::Gap, moves));
    }
    let rooms = slack_rooms(file, &preferred(file, None, None));
    let rooms: Vec<Room> = rooms.into_iter().map(|room| left(room, taken)).collect();
    evict(file, load, items, tail, &rooms, false).map(|moves| (Rung::Slack, moves))
}

impl<'f> State<'f, '_> {
    /// Puts what is needed into one of `rooms`, in their order: `.dynamic` first, then the strings by eviction.
    fn fill(&self, items: &[Item], rooms: &[Room], smallest: bool) -> Option<Vec<Move>> {
        let Need { tail, dynamic } = self.need;
        if dynamic == 0 {
            return evict(self.file, self.load, items, tail, rooms, smallest);
        }
        rooms.iter().find_map(|room| {
            let (placed, left) = dynamic_into(self.file, dynamic, &[*room])?;
            let mut moves = vec![placed];
            if tail > 0 {
                moves.extend(evict(self.file, self.load, items, tail, &[left], smallest)?);
            }
            Some(moves)
        })
    }

    fn loads(&self) -> Vec<&'f Load> {
        if self.need.dynamic > 0 { dynamic_loads(self.file) } else { preferred(self.file, None, None) }
    }

    /// Rung 4: make the last PT_LOAD longer, at the end of the file.
    fn extend(&self) -> Option<Layout> {
        let last = self.file.loads.last()?;
        if !self.loads().contains(&last) {
            return None;
        }
        let room = left(file_end_room(self.file, last)?, self.taken);
        // Behind what has its place there already.
        let placed = self.moves.iter().filter(|step| step.load == room.load).map(Move::address_end);
        let used = placed.max().unwrap_or(0).saturating_sub(room.address);
        let found = self.fill(self.items, &[room.behind(used)], true)?;
        Some(Layout::new(Rung::Extend, &self.moves, &found))
    }

    /// The room of a PT_LOAD behind all others and behind the end of the file, or `None` if addresses run out, or what
    /// lies there may be the program's already.
    fn new_room(&self, align: u64) -> Option<Room> {
        if takes_memory_behind(self.file) {
            return None;
        }
        let top = self.file.top();
        let placed = self.moves.iter().map(Move::address_end);
        let end = self.file.loads.iter().map(|load| load.memory_end()).chain(placed).max().unwrap_or(0);
        let size = self.moves.iter().map(Move::end).fold(self.file.bytes.size(), u64::max);
        let offset = round_up(size, 16)?;
        let address = round_up(end, align)?.checked_add(offset.checked_rem(align)?)?;
        let size = top.checked_sub(address)?;
        Some(Room { load: None, offset, address, size })
    }

    fn new_align(&self) -> u64 {
        let aligns = self.file.loads.iter().map(|load| load.p_align).filter(|align| *align <= 0x10000);
        aligns.fold(largest_page(self.file.header.e_machine), u64::max)
    }

    fn new_load(&self, slot: Slot, room: &Room, align: u64) -> NewLoad {
        let own = self.file.load(self.file.dynamic.load);
        let writable = self.need.dynamic > 0 && own.is_some_and(is_writable);
        let flags = if writable { PF_R.0 | PF_W.0 } else { PF_R.0 };
        NewLoad { slot, offset: room.offset, address: room.address, flags, align }
    }

    fn dynamic_may_leave(&self) -> bool {
        let own = self.file.load(self.file.dynamic.load);
        self.need.dynamic == 0 || own.is_some_and(|own| !alone(self.file, own))
    }

    /// Rung 5: a new PT_LOAD, if the program-header table has a slot for it.
    fn append(&self) -> Option<Layout> {
        let slot = find_slot(self.file)?;
        let align = self.new_align();
        let room = self.new_room(align)?;
        if !self.dynamic_may_leave() {
            return None;
        }
        let found = self.fill(self.items, &[room], true)?;
        let new_load = Some(self.new_load(slot, &room, align));
        Some(Layout { new_load, ..Layout::new(Rung::Append, &self.moves, &found) })
    }

    /// Rung 6: insert a page of zeros into the file behind a PT_LOAD that has addresses to grow into.
    fn insert(&self) -> Option<Layout> {
        let page = self.file.loads.iter().map(|load| load.p_align).fold(4096, u64::max);
        if page > 0x10000 {
            return None;
        }
        let own = Some(self.load.index);
        if self.need.dynamic == 0
            && self.taken.is_none_or(|taken| taken.load != own)
            && let Some(room) = self.insert_room(self.load, page)
            && let Some(found) = shift(self.file, self.load, self.items, self.need.tail, room.size)
        {
            return self.inserted(&room, page, &found);
        }
        let rooms = self.loads().into_iter().filter_map(|load| self.insert_room(load, page));
        let rooms: Vec<Room> = rooms.map(|room| left(room, self.taken)).collect();
        let found = self.fill(self.items, &rooms, false)?;
        // Exactly one of what was placed left its PT_LOAD for a room; the insertion is behind that one.
        let room = rooms
            .iter()
            .find(|room| found.iter().any(|step| step.load == room.load && step.address >= room.address))?;
        self.inserted(room, page, &found)
    }

    /// The room that `page` bytes inserted behind a PT_LOAD would make, or `None` if something is in the way.
    fn insert_room(&self, load: &Load, page: u64) -> Option<Room> {
        let point = load.end();
        let room = address_room(self.file, load);
        if room == 0 || point >= self.file.bytes.size() || self.file.covered.straddles(point) {
            return None;
        }
        // What was placed already would be torn apart or pushed away.
        let torn =
            |step: &Move| step.end() > point && step.load == Some(load.index) && step.item.offset < point;
        if self.moves.iter().any(torn) {
            return None;
        }
        let address = load.file_part_end();
        Some(Room { load: Some(load.index), offset: point, address, size: page.min(room) })
    }

    /// The layout with `page` bytes inserted where the file part of the room's PT_LOAD ends.
    fn inserted(&self, room: &Room, page: u64, found: &[Move]) -> Option<Layout> {
        let point = self.file.load(room.load?)?.end();
        let mut layout = Layout::new(Rung::Insert, &self.moves, found);
        for step in &mut layout.moves {
            // Offsets inside another PT_LOAD that lies behind the insertion move with it.
            if step.load != room.load && step.offset >= point {
                step.offset = step.offset.saturating_add(page);
            }
        }
        Some(Layout { insert_at: point, insert_size: page, ..layout })
    }

    /// Rung 7: a new PT_LOAD; the notes behind the program-header table go there to make a slot for it.
    fn append_evict(&self) -> Result<Option<Layout>, Error> {
        let header = &self.file.header;
        let align = self.new_align();
        let Some(room) = self.new_room(align) else { return Ok(None) };
        if header.program_headers_full() || !self.dynamic_may_leave() {
            return Ok(None);
        }
        let end = header.program_headers_end();
        let holds = |load: &&Load| load.p_offset <= header.e_phoff && end <= load.end();
        let Some(first) = self.file.loads.iter().find(holds) else { return Ok(None) };
        let other;
        let first_items = if first == self.load {
            self.items
        } else {
            let Some(items) = items_of_load(self.file, first)? else { return Ok(None) };
            other = items;
            &other
        };
        let block = move_block(self.file, first_items, end, header.e_phentsize.into(), &room);
        let Some((block_moves, left)) = block else { return Ok(None) };
        let sent: HashSet<u64> = block_moves.iter().map(|step| step.item.offset).collect();
        if self.moves.iter().any(|step| sent.contains(&step.item.offset)) {
            return Ok(None);
        }
        let mut remaining = self.items.to_vec();
        for item in &mut remaining {
            item.movable &= !sent.contains(&item.offset);
        }
        let Some(found) = self.fill(&remaining, &[left], true) else { return Ok(None) };
        let span = block_moves.first().zip(block_moves.last());
        let block = span.map(|(first, last)| (first.item.offset, last.item.end()));
        let moves = [&self.moves[..], &block_moves].concat();
        let new_load = Some(self.new_load(Slot::Gap, &room, align));
        Ok(Some(Layout { new_load, block, ..Layout::new(Rung::AppendEvict, &moves, &found) }))
    }
}

fn output_size(file: &ElfFile<'_>, layout: &Layout) -> u64 {
    let base = file.bytes.size().saturating_add(layout.insert_size);
    layout.moves.iter().map(Move::end).fold(base, u64::max)
}

fn grows(file: &ElfFile<'_>, layout: &Layout) -> bool {
    layout.new_load.is_some() || output_size(file, layout) > file.bytes.size()
}

/// Whether an offset in the output would not fit into the fields of the class.
fn too_large(file: &ElfFile<'_>, layout: &Layout) -> bool {
    output_size(file, layout) > file.top()
}

/// Whether more than 16 bytes that are not all zero lie behind everything that a header claims.
fn overlay(file: &ElfFile<'_>) -> bool {
    let (end, size) = (file.covered.end(), file.bytes.size());
    size.saturating_sub(end) > 16 && !file.bytes.is_zero(end, size)
}
