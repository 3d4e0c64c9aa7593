//! Layout and strings turned into bytes (elf-edit 3.6): every place that must change, and no other.

use std::collections::{BTreeMap, BTreeSet};

use object::elf::{self, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE, PT_NULL, PT_PHDR};

use crate::dynamic::DT_MIPS_RLD_MAP_REL;
use crate::edit::evict::Move;
use crate::edit::file::ElfFile;
use crate::edit::impossible;
use crate::edit::items::POINTERS;
use crate::edit::layout::Layout;
use crate::edit::patch::Patch;
use crate::edit::relocation::is_hint;
use crate::edit::request::{Entry, Wanted};
use crate::edit::room::{Slot, relro_padding};
use crate::edit::strings::Placed;
use crate::error::{Code, Error};
use crate::header::FileHeader;
use crate::image::{Class, Image, Pack};
use crate::section::Section;
use crate::segment::Segment;
use crate::symbol::symbol_size;
use crate::version::Versym;

/// (offset in the output, bytes)
type Write = (u64, Vec<u8>);

/// What a write needs to know.
struct Emit<'f, 'a> {
    file: &'f ElfFile<'a>,
    wanted: &'f Wanted<'a>,
    entries: &'f [Entry<'a>],
    placed: &'f Placed<'a>,
    layout: &'f Layout,
}

fn too_large() -> Error {
    Error::new(Code::NoRoom, "a number would not fit into its field")
}

/// Fits the new table into its place (elf-edit 3.4).
///
/// The entries, without DT_RELACOUNT or DT_RELCOUNT (a hint) if that makes them fit; and the size of a new `.dynamic` in
/// bytes, or 0 if it stays.
pub fn dynamic_room<'a>(file: &ElfFile<'_>, entries: &[Entry<'a>]) -> (Vec<Entry<'a>>, u64) {
    let mut entries = entries.to_vec();
    let count = entries.len() as u64;
    if count < file.capacity {
        return (entries, 0);
    }
    if count == file.capacity
        && let Some(index) = entries.iter().position(|entry| is_hint(file, entry))
    {
        entries.remove(index);
        return (entries, 0);
    }
    (entries, count.saturating_add(5).saturating_mul(file.entry_size()))
}

/// The changes that turn the input into the output.
pub fn make_patch<'a>(
    file: &ElfFile<'a>,
    wanted: &Wanted<'a>,
    entries: &[Entry<'a>],
    placed: &Placed<'a>,
    layout: &Layout,
) -> Result<Patch, Error> {
    let emit = Emit { file, wanted, entries, placed, layout };
    let base = file.bytes.size().saturating_add(layout.insert_size);
    let size = layout.moves.iter().map(Move::end).fold(base, u64::max);
    let writes = emit.writes()?;
    let fit = |number: u64| usize::try_from(number).map_err(|_| too_large());
    Ok(Patch {
        base_size: file.bytes.data.len(),
        insert_at: fit(layout.insert_at)?,
        insert_size: fit(layout.insert_size)?,
        size: fit(size)?,
        writes: writes
            .into_iter()
            .map(|(offset, content)| Ok((fit(offset)?, content)))
            .collect::<Result<_, Error>>()?,
    })
}

/// Whether the bytes of a table go elsewhere; those of the old `.dynamic` stay as they are.
fn leaves(step: &Move) -> bool {
    step.item.kind != elf::SHT_DYNAMIC && step.address != step.item.address
}

/// Where a byte of the input that no move touches is in the output.
fn plain(layout: &Layout, offset: u64) -> u64 {
    let behind = layout.insert_size > 0 && offset >= layout.insert_at;
    if behind { offset.saturating_add(layout.insert_size) } else { offset }
}

/// Where a byte of the input is in the output.
fn place_of(layout: &Layout, offset: u64) -> u64 {
    // Moves are by ascending offset, the empty ones of an offset first.
    let behind = layout.moves.partition_point(|step| step.item.offset <= offset);
    let mut before = layout.moves.iter().take(behind).rev();
    match before.find(|step| leaves(step)).filter(|step| offset < step.item.end()) {
        Some(step) => step.offset.saturating_add(offset.saturating_sub(step.item.offset)),
        None => plain(layout, offset),
    }
}

/// The address of what is at `address` in the input, if it is the start of or inside a table that moves.
fn new_address(layout: &Layout, address: u64) -> u64 {
    let inside = |step: &&Move| {
        let item = &step.item;
        let distance = address.checked_sub(item.address);
        item.kind != elf::SHT_DYNAMIC && distance.is_some_and(|distance| distance < item.size)
    };
    if let Some(step) = layout.moves.iter().find(inside) {
        return step.address.saturating_add(address.saturating_sub(step.item.address));
    }
    let at = |step: &&Move| step.item.size == 0 && step.item.address == address;
    layout.moves.iter().find(at).map_or(address, |step| step.address)
}

impl Emit<'_, '_> {
    fn writes(&self) -> Result<Vec<Write>, Error> {
        let (file, layout) = (self.file, self.layout);
        let mut writes: Vec<Write> = Vec::new();
        // First all old places are cleared, then all new ones are written: they may overlap.
        for step in layout.moves.iter().filter(|step| leaves(step)) {
            let size = file.bytes.slice(step.item.offset, step.item.end()).len();
            writes.push((plain(layout, step.item.offset), vec![0; size]));
        }
        for step in layout.moves.iter().filter(|step| leaves(step)) {
            let content = file.bytes.slice(step.item.offset, step.item.end());
            writes.push((step.offset, content.to_vec()));
        }
        let strings = place_of(layout, file.string_offset);
        for (offset, content) in &self.placed.changes {
            writes.push((strings.saturating_add(*offset), content.clone()));
        }
        if !self.placed.tail.is_empty() {
            writes.push((strings.saturating_add(file.strings.size()), self.placed.tail.clone()));
        }
        self.need_writes(&mut writes)?;
        self.versym_writes(&mut writes);
        self.symbol_writes(&mut writes)?;
        writes.push(self.dynamic_write()?);
        self.section_writes(&mut writes)?;
        self.header_writes(&mut writes)?;
        Ok(writes)
    }

    fn pack(&self) -> Pack {
        Pack::new(self.file.bytes.class, self.file.bytes.order)
    }

    fn offset_of(&self, text: &[u8]) -> Result<u64, Error> {
        self.placed.offset_of(text).ok_or_else(|| impossible("a string without a place"))
    }

    /// The changes to the version-need records: new `vn_file`, and records unlinked.
    fn need_writes(&self, writes: &mut Vec<Write>) -> Result<(), Error> {
        let needs = self.file.needs.iter().zip(&self.wanted.need_kept).zip(&self.wanted.need_files);
        let kept: Vec<_> =
            needs.filter(|((_, kept), _)| **kept).map(|((need, _), name)| (need, name)).collect();
        // The first record that stays takes the place of the first.
        let start = self.file.needs.first().map_or(0, |need| need.position);
        let places: Vec<u64> = kept
            .iter()
            .enumerate()
            .map(|(rank, (need, _))| if rank == 0 { start } else { need.position })
            .collect();
        let next = places.iter().skip(1).copied().map(Some).chain([None]);
        for (((need, name), place), next) in kept.into_iter().zip(&places).zip(next) {
            let file_at = match name {
                None => need.file_offset,
                Some(name) => self.offset_of(name)?,
            };
            let distance = |to: u64| u32::try_from(to.saturating_sub(*place)).map_err(|_| too_large());
            let record = self
                .pack()
                .half(1)
                .half(need.count)
                .u32(u32::try_from(file_at).map_err(|_| too_large())?)
                .u32(need.aux.first().map_or(Ok(0), |aux| distance(aux.position))?)
                .u32(next.map_or(Ok(0), distance)?)
                .bytes();
            let record = record.ok_or_else(too_large)?;
            if record != self.file.bytes.slice(*place, place.saturating_add(16)) {
                writes.push((place_of(self.layout, *place), record));
            }
        }
        Ok(())
    }

    /// The changes to the version index of symbols whose version-need record goes: they become unversioned.
    fn versym_writes(&self, writes: &mut Vec<Write>) {
        let dropped = dropped_versions(self.file, self.wanted);
        let place = self.file.dynamic.last(elf::DT_VERSYM);
        let place = place.and_then(|address| self.file.dynamic.space.offset_of(address));
        let Some((place, table)) = place.zip(self.file.versym).filter(|_| !dropped.is_empty()) else {
            return;
        };
        for number in 0..self.file.symbols.count {
            let inside = number.saturating_mul(2);
            if table.u16(inside).is_some_and(|value| dropped.contains(&Versym(value).index())) {
                let one = self.pack().half(1).bytes().unwrap_or_default();
                writes.push((place_of(self.layout, place.saturating_add(inside)), one));
            }
        }
    }

    /// The changes to `st_value` of the symbols that lie in a section that moves.
    fn symbol_writes(&self, writes: &mut Vec<Write>) -> Result<(), Error> {
        let (file, layout) = (self.file, self.layout);
        let moves =
            layout.moves.iter().filter(|step| step.address != step.item.address && step.item.section > 0);
        let moved: BTreeMap<usize, &Move> = moves.map(|step| (step.item.section, step)).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let size = symbol_size(file.bytes.class);
        let (at_index, at_value) = match file.bytes.class {
            Class::Elf32 => (14, 4),
            Class::Elf64 => (6, 8),
        };
        for section in &file.sections {
            if ![elf::SHT_SYMTAB, elf::SHT_DYNSYM].contains(&section.sh_type)
                || section.sh_size.checked_rem(size) != Some(0)
            {
                continue;
            }
            let table = Image { data: file.bytes.slice(section.sh_offset, section.end()), ..file.bytes };
            for number in 0..table.room(size) {
                let entry = number.saturating_mul(size);
                let index = table.u16(entry.saturating_add(at_index)).unwrap_or_default();
                let Some(step) = moved.get(&usize::from(index)) else { continue };
                let at = entry.saturating_add(at_value);
                let value = table.word(at).unwrap_or_default();
                let Some(inside) = value.checked_sub(step.item.address) else { continue };
                if inside < step.item.size {
                    let value = self.pack().word(step.address.saturating_add(inside)).bytes();
                    let place = place_of(layout, section.sh_offset.saturating_add(at));
                    writes.push((place, value.ok_or_else(too_large)?));
                }
            }
        }
        Ok(())
    }

    /// The new dynamic table, with a DT_NULL in each slot that it had and does not need any more.
    fn dynamic_write(&self) -> Result<Write, Error> {
        let (file, layout) = (self.file, self.layout);
        let size = file.entry_size();
        let (mut offset, mut address) = (plain(layout, file.dynamic.offset), file.dynamic.address);
        let mut slots = (self.entries.len().max(file.dynamic.entries.len()) as u64).saturating_add(1);
        if let Some(step) = layout.dynamic_move() {
            (offset, address) = (step.offset, step.address);
            slots = step.size.checked_div(size).unwrap_or(0);
        }
        let mut table = self.pack();
        let mut at = address;
        for entry in self.entries {
            let mut value = match entry.text {
                None => entry.value,
                Some(text) => self.offset_of(text)?,
            };
            if POINTERS.contains(&entry.tag) {
                value = new_address(layout, value);
            } else if entry.tag == elf::DT_STRSZ {
                value = value.saturating_add(self.placed.tail.len() as u64);
            } else if entry.tag == elf::DT_VERNEEDNUM {
                value = value.saturating_sub(self.wanted.needs_dropped());
            } else if entry.tag == DT_MIPS_RLD_MAP_REL && file.header.e_machine == elf::EM_MIPS {
                // It counts from the address of the entry itself.
                let origin = entry.origin.ok_or_else(|| impossible("a new DT_MIPS_RLD_MAP_REL"))?;
                let old = file.dynamic.address.wrapping_add((origin as u64).saturating_mul(size));
                value = value.wrapping_add(old).wrapping_sub(at) & file.top();
            }
            table = table.word(entry.tag.0.cast_unsigned()).word(value);
            at = at.saturating_add(size);
        }
        for _ in self.entries.len() as u64..slots {
            table = table.word(0).word(0);
        }
        Ok((offset, table.bytes().ok_or_else(too_large)?))
    }

    fn section_writes(&self, writes: &mut Vec<Write>) -> Result<(), Error> {
        let (file, header) = (self.file, &self.file.header);
        let table = plain(self.layout, header.e_shoff);
        let new = new_sections(file, self.wanted, self.layout);
        for ((index, new), old) in (0_u64..).zip(new).zip(&file.sections) {
            if new != *old {
                let at = table.saturating_add(index.saturating_mul(header.e_shentsize.into()));
                writes.push((at, new.pack(&file.bytes).ok_or_else(too_large)?));
            }
        }
        Ok(())
    }

    /// The program-header table and the ELF header, if they change.
    fn header_writes(&self, writes: &mut Vec<Write>) -> Result<(), Error> {
        let (file, layout, header) = (self.file, self.layout, &self.file.header);
        let segments = new_segments(file, layout)?;
        let mut table = Vec::new();
        for (segment, paddr) in &segments {
            table.extend(segment.pack(&file.bytes, *paddr).ok_or_else(too_large)?);
        }
        let start = plain(layout, header.e_phoff);
        if table != file.bytes.slice(header.e_phoff, header.program_headers_end()) {
            writes.push((start, table));
        }
        let shoff = if header.e_shoff > 0 { plain(layout, header.e_shoff) } else { 0 };
        let old = file.bytes.slice(0, FileHeader::size(file.bytes.class));
        let mut new = old.to_vec();
        let offsets = self.pack().word(start).word(shoff).bytes().ok_or_else(too_large)?;
        let count = u16::try_from(segments.len()).map_err(|_| too_large())?;
        let count = self.pack().half(count).bytes().unwrap_or_default();
        let (at_offsets, at_count) = match file.bytes.class {
            Class::Elf32 => (28, 44),
            Class::Elf64 => (32, 56),
        };
        for (at, bytes) in [(at_offsets, offsets), (at_count, count)] {
            if let Some(place) = new.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
                place.copy_from_slice(&bytes);
            }
        }
        if new != old {
            writes.push((0, new));
        }
        Ok(())
    }
}

/// The numbers of the versions whose records go.
pub fn dropped_versions(file: &ElfFile<'_>, wanted: &Wanted<'_>) -> BTreeSet<u16> {
    let needs = file.needs.iter().zip(&wanted.need_kept).filter(|(_, kept)| !**kept);
    needs.flat_map(|(need, _)| &need.aux).map(|aux| Versym(aux.other).index()).collect()
}

/// The new size of the file part of each PT_LOAD that grows.
fn segment_sizes(file: &ElfFile<'_>, layout: &Layout) -> BTreeMap<usize, u64> {
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    for step in &layout.moves {
        let Some(load) = step.load.and_then(|index| file.load(index)) else { continue };
        let size = step.address_end().saturating_sub(load.p_vaddr);
        let known = sizes.get(&load.index).copied().unwrap_or(0).max(load.p_filesz);
        if size > known {
            sizes.insert(load.index, size);
        }
    }
    sizes
}

/// The new program headers, each with its `p_paddr`.
fn new_segments(file: &ElfFile<'_>, layout: &Layout) -> Result<Vec<(Segment, u64)>, Error> {
    let sizes = segment_sizes(file, layout);
    let mut segments: Vec<(Segment, u64)> = Vec::new();
    let mut behind = 0;
    for ((index, segment), paddr) in file.segments.iter().enumerate().zip(&file.paddrs) {
        let mut paddr = *paddr;
        let mut new = Segment { p_offset: segment_offset(file, layout, segment), ..*segment };
        if let Some(size) = sizes.get(&index) {
            new.p_filesz = *size;
            new.p_memsz = segment.p_memsz.max(*size);
        }
        if let Some(step) = layout.dynamic_move().filter(|_| index == file.dynamic.segment) {
            new.p_offset = step.offset;
            new.p_vaddr = step.address;
            new.p_filesz = step.size;
            new.p_memsz = step.size;
            paddr = paddr.wrapping_add(step.address.wrapping_sub(segment.p_vaddr));
        }
        if [PT_NOTE, PT_INTERP, PT_GNU_PROPERTY].contains(&segment.p_type) && in_block(layout, segment) {
            let step = block_move(layout)?;
            let distance = step.address.wrapping_sub(step.item.address);
            new.p_offset = segment.p_offset.wrapping_add(step.offset.wrapping_sub(step.item.offset));
            new.p_vaddr = segment.p_vaddr.wrapping_add(distance);
            paddr = paddr.wrapping_add(distance);
        }
        if segment.p_type == PT_PHDR && layout.new_load.is_some_and(|new| new.slot == Slot::Gap) {
            let more = u64::from(file.header.e_phentsize);
            new.p_filesz = segment.p_filesz.saturating_add(more);
            new.p_memsz = segment.p_memsz.saturating_add(more);
        }
        if layout.new_load.is_some_and(|new| new.slot.cost() == Some(index)) {
            continue;
        }
        segments.push((new, paddr & file.top()));
        if segment.p_type == PT_LOAD {
            behind = segments.len();
        }
    }
    if let Some(new) = layout.new_load {
        let ends = layout.moves.iter().filter(|step| step.load.is_none()).map(Move::address_end);
        let size = ends.max().unwrap_or(0).saturating_sub(new.address);
        let segment = Segment {
            p_type: PT_LOAD,
            p_flags: new.flags,
            p_offset: new.offset,
            p_vaddr: new.address,
            p_filesz: size,
            p_memsz: size,
            p_align: new.align,
        };
        segments.insert(behind, (segment, new.address));
    }
    Ok(segments)
}

/// The new `p_offset`; a segment without bytes stays with the PT_LOAD whose end it marks.
fn segment_offset(file: &ElfFile<'_>, layout: &Layout, segment: &Segment) -> u64 {
    let point = layout.insert_at;
    if layout.insert_size == 0 || segment.p_offset < point || segment.p_type == PT_NULL {
        return segment.p_offset;
    }
    if segment.p_offset == point
        && segment.p_filesz == 0
        && segment.p_type != PT_LOAD
        && file.loads.iter().any(|load| load.end() == point && segment.p_vaddr == load.file_part_end())
    {
        return segment.p_offset;
    }
    segment.p_offset.saturating_add(layout.insert_size)
}

fn in_block(layout: &Layout, segment: &Segment) -> bool {
    let inside = |(start, end)| start <= segment.p_offset && segment.end() <= end;
    segment.p_filesz > 0 && layout.block.is_some_and(inside)
}

fn block_move(layout: &Layout) -> Result<&Move, Error> {
    let start = layout.block.map(|(start, _)| start);
    let mut moves = layout.moves.iter();
    let found = moves.find(|step| Some(step.item.offset) == start && step.item.size > 0);
    found.ok_or_else(|| impossible("a block without a move"))
}

/// The section headers as they are to be: new addresses, offsets, sizes; `sh_info` of `.gnu.version_r`.
fn new_sections(file: &ElfFile<'_>, wanted: &Wanted<'_>, layout: &Layout) -> Vec<Section> {
    let moves = layout.moves.iter().filter(|step| step.item.section > 0);
    let moves: BTreeMap<usize, &Move> = moves.map(|step| (step.item.section, step)).collect();
    let mut sections = Vec::with_capacity(file.sections.len());
    for (index, section) in file.sections.iter().enumerate() {
        let mut new = *section;
        if section.sh_type != elf::SHT_NULL {
            new.sh_offset = section_offset(file, layout, section);
        }
        if let Some(step) = moves.get(&index) {
            (new.sh_offset, new.sh_addr, new.sh_size) = (step.offset, step.address, step.size);
        }
        new.sh_info = new_info(file, wanted, section);
        sections.push(new);
    }
    for (index, size) in segment_sizes(file, layout) {
        let Some(load) = file.load(index) else { continue };
        let taken = size.saturating_sub(load.p_filesz);
        let padding = relro_padding(file, load).and_then(|padding| sections.get_mut(padding));
        if let Some(section) = padding {
            section.sh_addr = section.sh_addr.saturating_add(taken);
            section.sh_offset = section.sh_offset.saturating_add(taken);
            section.sh_size = section.sh_size.saturating_sub(taken);
        }
    }
    sections
}

/// The new `sh_info`: of `.gnu.version_r` the number of its records.
pub fn new_info(file: &ElfFile<'_>, wanted: &Wanted<'_>, section: &Section) -> u32 {
    let needs = section.sh_type == elf::SHT_GNU_VERNEED
        && section.is_alloc()
        && usize::try_from(section.sh_info) == Ok(file.needs.len());
    let dropped = u32::try_from(wanted.needs_dropped()).unwrap_or(u32::MAX);
    if needs { section.sh_info.saturating_sub(dropped) } else { section.sh_info }
}

/// The new `sh_offset`; a section without bytes stays with the PT_LOAD at whose end it is, or behind the file.
fn section_offset(file: &ElfFile<'_>, layout: &Layout, section: &Section) -> u64 {
    let (point, offset) = (layout.insert_at, section.sh_offset);
    if layout.insert_size == 0 || offset < point || offset > file.bytes.size() {
        return offset;
    }
    if offset == point && section.is_alloc() && !section.in_file() {
        let ending = file.loads.iter().filter(|load| load.end() == point);
        let marks = ending.into_iter().any(|load| {
            section.sh_addr == load.file_part_end()
                || (section.sh_type == elf::SHT_NOBITS && load.loads(section.sh_addr))
        });
        if marks {
            return offset;
        }
    }
    offset.saturating_add(layout.insert_size)
}
