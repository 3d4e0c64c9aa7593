//! What lies where: the tables of a file as items, and which of them may be moved (elf-edit 3.5, "movable").
//!
//! With section headers an item is a loaded section. Without, the tables are found and measured from the dynamic section,
//! and every byte that is not certainly padding belongs to an item that stays.

use object::elf::{self, DynamicTag, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE, PT_PHDR, SectionType};

use crate::dynamic::DT_RELR;
use crate::edit::file::{ElfFile, Load};
use crate::error::Error;
use crate::header::FileHeader;
use crate::image::Image;
use crate::section::Section;
use crate::segment::Segment;

/// Types of sections that only the dynamic section refers to, so that all that refers to them can be changed.
pub const MOVABLE: [SectionType; 10] = [
    elf::SHT_STRTAB,
    elf::SHT_DYNSYM,
    elf::SHT_HASH,
    elf::SHT_GNU_HASH,
    elf::SHT_GNU_VERSYM,
    elf::SHT_GNU_VERNEED,
    elf::SHT_GNU_VERDEF,
    elf::SHT_REL,
    elf::SHT_RELA,
    elf::SHT_RELR,
];

/// Those of them that may be sent to another segment.
pub const EVICTABLE: [SectionType; 5] =
    [elf::SHT_GNU_VERSYM, elf::SHT_GNU_VERNEED, elf::SHT_GNU_VERDEF, elf::SHT_GNU_HASH, elf::SHT_HASH];

/// The dynamic tags that hold the address of a movable table, ascending.
pub const POINTERS: [DynamicTag; 11] = [
    elf::DT_HASH,
    elf::DT_STRTAB,
    elf::DT_SYMTAB,
    elf::DT_RELA,
    elf::DT_REL,
    elf::DT_JMPREL,
    DT_RELR,
    elf::DT_GNU_HASH,
    elf::DT_VERSYM,
    elf::DT_VERDEF,
    elf::DT_VERNEED,
];

const LARGEST_ALIGN: u64 = 0x10000;

/// A range of a file that holds one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The type of its section, or the type that it would have; 0 of what has none (headers, unknown bytes).
    pub kind: SectionType,
    /// Index of its section, or 0.
    pub section: usize,
    /// What breaks ties: the section index, or in a sectionless file the rank by address.
    pub order: usize,
    /// File offset.
    pub offset: u64,
    /// Where it is loaded.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// A power of two, at least 1.
    pub align: u64,
    /// Whether everything that refers to it is known.
    pub movable: bool,
}

impl Item {
    /// The file offset behind it.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// Something without a section that stays.
    fn fixed(offset: u64, address: u64, size: u64) -> Self {
        let kind = elf::SHT_NULL;
        Self { kind, section: 0, order: 0, offset, address, size, align: 1, movable: false }
    }
}

/// The address that `load` gives to file offset `offset`.
fn address_in(load: &Segment, offset: u64) -> u64 {
    load.p_vaddr.saturating_add(offset.saturating_sub(load.p_offset))
}

/// The values of the dynamic entries that are pointers, ascending.
fn pointers(file: &ElfFile<'_>) -> Vec<u64> {
    let entries = file.dynamic.entries.iter().filter(|(tag, _)| POINTERS.contains(tag));
    let mut values: Vec<u64> = entries.map(|(_, value)| *value).collect();
    values.sort_unstable();
    values
}

fn sectioned_item(file: &ElfFile<'_>, pointers: &[u64], index: usize, section: &Section) -> Item {
    let right = file.dynamic.space.offset_of(section.sh_addr) == Some(section.sh_offset);
    let first = pointers.partition_point(|value| *value < section.sh_addr);
    let pointed = section.sh_size == 0
        || pointers.get(first).is_some_and(|value| value.saturating_sub(section.sh_addr) < section.sh_size);
    let align = section.sh_addralign.max(1);
    let movable = MOVABLE.contains(&section.sh_type)
        && section.is_alloc()
        && section.sh_flags & (elf::SHF_WRITE.0 | elf::SHF_EXECINSTR.0) == 0
        && right
        && pointed
        && align <= LARGEST_ALIGN
        && align.is_power_of_two();
    Item {
        kind: section.sh_type,
        section: index,
        order: index,
        offset: section.sh_offset,
        address: section.sh_addr,
        size: section.sh_size,
        align,
        movable,
    }
}

/// The ELF header and the header tables, as far as they are in the PT_LOAD.
fn header_items(file: &ElfFile<'_>, load: &Segment) -> Vec<Item> {
    let header = &file.header;
    let tables = [
        (0, FileHeader::size(file.bytes.class)),
        (header.e_phoff, header.program_headers_end()),
        (header.e_shoff, file.sections_end()),
    ];
    let inside =
        tables.into_iter().filter(|(start, end)| end > start && *start < load.end() && *end > load.p_offset);
    inside
        .map(|(start, end)| Item::fixed(start, address_in(load, start), end.saturating_sub(start)))
        .collect()
}

/// (section type, address, size) of the relocation tables; DT_JMPREL inside another is part of it.
fn relocation_extents(file: &ElfFile<'_>) -> Vec<(SectionType, u64, u64)> {
    let mut found: Vec<(SectionType, u64, u64)> = Vec::new();
    for (kind, tag, size_tag) in [
        (elf::SHT_RELA, elf::DT_RELA, elf::DT_RELASZ),
        (elf::SHT_REL, elf::DT_REL, elf::DT_RELSZ),
        (elf::SHT_RELR, DT_RELR, elf::DT_RELRSZ),
        (elf::SHT_RELA, elf::DT_JMPREL, elf::DT_PLTRELSZ),
    ] {
        let Some((address, size)) = file.dynamic.last(tag).zip(file.dynamic.last(size_tag)) else { continue };
        let inside = |(_, other, other_size): &(SectionType, u64, u64)| {
            address.checked_sub(*other).is_some_and(|distance| distance < *other_size)
        };
        if size > 0 && !found.iter().any(inside) {
            found.push((kind, address, size.min(file.bytes.size())));
        }
    }
    found
}

fn sectionless_items(file: &ElfFile<'_>, load: &Load) -> Result<Vec<Item>, Error> {
    let end = load.end();
    let natural = file.bytes.class.word_size();
    let mut found: Vec<Item> = Vec::new();
    let mut extents = file.table_extents()?;
    extents.extend(relocation_extents(file));
    for (kind, address, size) in extents {
        if file.dynamic.space.index_at(address) != Some(load.index) || size == 0 {
            continue;
        }
        let align = match kind {
            elf::SHT_STRTAB => 1,
            elf::SHT_GNU_VERSYM => 2,
            _ => natural,
        };
        let movable = file.symbols.exact || ![elf::SHT_DYNSYM, elf::SHT_GNU_VERSYM].contains(&kind);
        let offset = load.p_offset.saturating_add(address.saturating_sub(load.p_vaddr));
        let size = size.min(end.saturating_sub(offset));
        found.push(Item { kind, section: 0, order: 0, offset, address, size, align, movable });
    }
    for (index, segment) in file.segments.iter().enumerate() {
        if [PT_LOAD, PT_PHDR].contains(&segment.p_type) || segment.p_filesz == 0 {
            continue;
        }
        if segment.p_offset < load.p_offset || segment.p_offset >= end {
            continue;
        }
        // What a segment such as PT_GNU_RELRO spans is not one thing; only these are.
        let kind = match segment.p_type {
            _ if index == file.dynamic.segment => elf::SHT_DYNAMIC,
            PT_INTERP => elf::SHT_PROGBITS,
            PT_NOTE => elf::SHT_NOTE,
            _ => continue,
        };
        found.push(Item {
            kind,
            align: segment.p_align.clamp(1, 16),
            ..Item::fixed(
                segment.p_offset,
                segment.p_vaddr,
                segment.p_filesz.min(end.saturating_sub(segment.p_offset)),
            )
        });
    }
    found.sort_by_key(|item| (item.offset, item.size, item.kind.0));
    // A table whose length is only an upper bound ends where the next thing begins.
    let behind: Vec<u64> = found.iter().skip(1).map(|item| item.offset).collect();
    for (item, next) in found.iter_mut().zip(behind) {
        if !item.movable && MOVABLE.contains(&item.kind) {
            item.size = item.size.min(next.saturating_sub(item.offset));
        }
    }
    Ok(found)
}

/// The items of a PT_LOAD by ascending file offset, or `None` if one lies over another.
///
/// Between two items, and behind the last, all bytes are zero and mean nothing: other bytes have been made items, that
/// stay. Without section headers the padding is shorter than 16 bytes and than the alignment of what follows.
pub fn items_of_load(file: &ElfFile<'_>, load: &Load) -> Result<Option<Vec<Item>>, Error> {
    let (start, end) = (load.p_offset, load.end());
    let mut found = header_items(file, load);
    if file.sections.is_empty() {
        found.extend(sectionless_items(file, load)?);
    } else {
        let pointers = pointers(file);
        for (index, section) in file.sections.iter().enumerate() {
            let inside = section.in_file() && section.sh_offset < end && section.end() > start;
            let empty = MOVABLE.contains(&section.sh_type)
                && section.sh_size == 0
                && section.is_alloc()
                && start < section.sh_offset
                && section.sh_offset <= end
                && file.dynamic.space.index_at(section.sh_addr) == Some(load.index);
            if inside || empty {
                found.push(sectioned_item(file, &pointers, index, section));
            }
        }
    }
    found.sort_by_key(|item| (item.offset, item.size, item.section));
    let mut result = Vec::new();
    let mut at = start;
    for item in found {
        if item.offset < at {
            return Ok(None);
        }
        if item.offset > at && !is_padding(file, at, item.offset, item.align) {
            result.push(filler(load, at, item.offset));
        }
        result.push(item);
        at = item.end();
    }
    if at > end {
        return Ok(None);
    }
    if at < end && !is_padding(file, at, end, 16) {
        result.push(filler(load, at, end));
    }
    if file.sections.is_empty() {
        for (rank, item) in result.iter_mut().enumerate() {
            item.order = rank;
        }
    }
    Ok(Some(result))
}

fn is_padding(file: &ElfFile<'_>, start: u64, end: u64, align: u64) -> bool {
    if file.sections.is_empty() && end.saturating_sub(start) >= align.min(16) {
        return false;
    }
    file.bytes.is_zero(start, end)
}

fn filler(load: &Segment, start: u64, end: u64) -> Item {
    Item::fixed(start, address_in(load, start), end.saturating_sub(start))
}

/// Every range of the file that a header, section or segment claims.
#[derive(Clone, Debug)]
pub struct Covered {
    /// (start, the furthest end of this range and all before it), by ascending start.
    ranges: Vec<(u64, u64)>,
}

/// What of the file a header, section or segment claims.
pub fn covered_ranges(
    bytes: &Image<'_>,
    header: &FileHeader,
    segments: &[Segment],
    sections: &[Section],
) -> Covered {
    let sections_size = (sections.len() as u64).saturating_mul(header.e_shentsize.into());
    let mut ranges = vec![(0, FileHeader::size(bytes.class)), (header.e_phoff, header.program_headers_end())];
    if sections_size > 0 {
        ranges.push((header.e_shoff, header.e_shoff.saturating_add(sections_size)));
    }
    let segments = segments.iter().filter(|segment| segment.p_type != PT_PHDR && segment.p_filesz > 0);
    ranges.extend(segments.map(|segment| (segment.p_offset, segment.end())));
    let sections = sections.iter().filter(|section| section.in_file());
    ranges.extend(sections.map(|section| (section.sh_offset, section.end())));
    ranges.sort_unstable();
    let mut furthest = 0;
    for (_, end) in &mut ranges {
        furthest = furthest.max(*end);
        *end = furthest;
    }
    Covered { ranges }
}

impl Covered {
    /// The end of the last range.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, end)| *end)
    }

    /// Where the first claimed byte at or behind `point` is.
    pub fn next(&self, point: u64) -> Option<u64> {
        let first = self.ranges.partition_point(|(_, end)| *end <= point);
        self.ranges.get(first).map(|(start, _)| point.max(*start))
    }

    /// Whether a range begins before `point` and ends behind it.
    pub fn straddles(&self, point: u64) -> bool {
        let before = self.ranges.partition_point(|(start, _)| *start < point);
        let last = before.checked_sub(1).and_then(|last| self.ranges.get(last));
        last.is_some_and(|(_, end)| *end > point)
    }
}

/// Whether `item` may be sent away to make room for the program-header table: a note, the interpreter, or a table that
/// only the dynamic section refers to. The string table, which grows, goes by other ways.
pub fn is_block_item(file: &ElfFile<'_>, item: &Item) -> bool {
    if item.align > LARGEST_ALIGN || !item.align.is_power_of_two() {
        return false;
    }
    // A section that is not where its PT_LOAD says could be taken for another by its addresses.
    if file.dynamic.space.offset_of(item.address) != Some(item.offset) {
        return false;
    }
    match item.kind {
        elf::SHT_NOTE => true,
        elf::SHT_PROGBITS => file.segments.iter().any(|segment| {
            segment.p_type == PT_INTERP && segment.p_offset == item.offset && segment.p_filesz == item.size
        }),
        kind => item.movable && kind != elf::SHT_STRTAB,
    }
}

/// `end`, or where the last of a row of PT_NOTE, PT_INTERP, PT_GNU_PROPERTY that begins before it ends.
pub fn whole_end(file: &ElfFile<'_>, start: u64, end: u64) -> u64 {
    let kinds = [PT_NOTE, PT_INTERP, PT_GNU_PROPERTY];
    let segments = file.segments.iter().filter(|segment| kinds.contains(&segment.p_type));
    let mut ranges: Vec<(u64, u64)> = segments.map(|segment| (segment.p_offset, segment.end())).collect();
    ranges.sort_unstable();
    ranges
        .into_iter()
        .fold(end, |end, (low, high)| if start <= low && low < end { end.max(high) } else { end })
}

/// Whether each PT_NOTE, PT_INTERP and PT_GNU_PROPERTY is inside [start, end) of the file or apart from it.
///
/// None of those inside is longer in memory: there would be no room for it.
pub fn whole_segments(file: &ElfFile<'_>, start: u64, end: u64) -> bool {
    let kinds = [PT_NOTE, PT_INTERP, PT_GNU_PROPERTY];
    file.segments.iter().filter(|segment| kinds.contains(&segment.p_type)).all(|segment| {
        let (low, high) = (segment.p_offset, segment.end());
        let whole = start <= low && high <= end && segment.p_memsz == segment.p_filesz;
        low >= end || high <= start || whole
    })
}
