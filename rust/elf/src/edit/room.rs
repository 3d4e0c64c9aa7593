//! Where there is room: behind a segment, at the end of the file, in a new segment (elf-edit 3.5, "slack").

use object::elf::{self, Machine, PT_GNU_RELRO, PT_LOAD, PT_NULL, PT_PHDR};

use crate::edit::file::{ElfFile, Load};
use crate::section::{Section, section_name};

/// Zero bytes behind the last segment that an extension of the file may swallow.
const LAST_PADDING: u64 = 64;

/// How the slot for a new program header is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// This PT_NULL is used.
    Null(usize),
    /// The table grows.
    Gap,
    /// This PT_PHDR is given up.
    Phdr(usize),
}

impl Slot {
    /// Index of the program header that is given up for it.
    pub fn cost(self) -> Option<usize> {
        match self {
            Self::Null(index) | Self::Phdr(index) => Some(index),
            Self::Gap => None,
        }
    }
}

/// The size of the largest page that a kernel of the architecture uses, in bytes.
pub fn largest_page(machine: Machine) -> u64 {
    match machine {
        elf::EM_SPARC
        | elf::EM_MIPS
        | elf::EM_SPARC32PLUS
        | elf::EM_PPC
        | elf::EM_PPC64
        | elf::EM_IA_64
        | elf::EM_AARCH64
        | elf::EM_LOONGARCH
        | elf::EM_ALPHA => 0x10000,
        elf::EM_SPARCV9 => 0x10_0000,
        _ => 4096,
    }
}

/// Bytes behind a segment that can become part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Index of the PT_LOAD, or `None` for one that is to be added.
    pub load: Option<usize>,
    /// File offset of the first byte.
    pub offset: u64,
    /// Its address.
    pub address: u64,
    /// How many bytes.
    pub size: u64,
}

impl Room {
    /// What is left of it behind its first `used` bytes.
    pub fn behind(&self, used: u64) -> Self {
        Self {
            load: self.load,
            offset: self.offset.saturating_add(used),
            address: self.address.saturating_add(used),
            size: self.size.saturating_sub(used),
        }
    }
}

/// The least multiple of `align`, a power of two, that is not below `value`.
pub fn round_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.wrapping_sub(1);
    value.checked_add(mask).map(|value| value & !mask)
}

/// The loaded sections that are zero and have no bytes in the file.
#[derive(Clone, Debug)]
pub struct Zeroed {
    /// (address, end, the furthest end of this one and all before it, section), by ascending address.
    sections: Vec<(u64, u64, u64, usize)>,
}

/// The sections of `.bss` and the like, without those of threads.
pub fn zeroed_sections(sections: &[Section]) -> Zeroed {
    let zeroed = sections.iter().enumerate().filter(|(_, section)| {
        section.sh_type == elf::SHT_NOBITS
            && section.is_alloc()
            && section.sh_flags & elf::SHF_TLS.0 == 0
            && section.sh_size > 0
    });
    let mut sections: Vec<_> =
        zeroed.map(|(index, section)| (section.sh_addr, section.address_end(), 0, index)).collect();
    sections.sort_unstable();
    let mut last = 0;
    for (_, end, furthest, _) in &mut sections {
        last = last.max(*end);
        *furthest = last;
    }
    Zeroed { sections }
}

impl Zeroed {
    /// The section that is [start, end), if no other reaches into it.
    fn only(&self, start: u64, end: u64) -> Option<usize> {
        let first = self.sections.partition_point(|(address, ..)| *address < start);
        let behind = self.sections.partition_point(|(address, ..)| *address < end);
        let before = first.checked_sub(1).and_then(|last| self.sections.get(last));
        if before.is_some_and(|(_, _, furthest, _)| *furthest > start) {
            return None;
        }
        match self.sections.get(first..behind)? {
            [(address, stop, _, index)] if *address == start && *stop == end => Some(*index),
            _ => None,
        }
    }
}

/// The index of lld's section `.relro_padding` if it is the whole tail of the PT_LOAD not in the file.
pub fn relro_padding(file: &ElfFile<'_>, load: &Load) -> Option<usize> {
    let index = file.zeroed.only(load.file_part_end(), load.memory_end())?;
    let section = file.sections.get(index)?;
    let name = section_name(&file.bytes, &file.header, &file.sections, section);
    (name == b".relro_padding").then_some(index)
}

/// How many bytes of addresses behind the file part of a PT_LOAD are free for it.
///
/// They end where the page of the next PT_LOAD begins. Bytes that the PT_LOAD zeroes (`.bss`) are not free, except for
/// `.relro_padding`.
pub fn address_room(file: &ElfFile<'_>, load: &Load) -> u64 {
    let end = load.file_part_end();
    if load.p_memsz != load.p_filesz {
        return match relro_padding(file, load) {
            None => 0,
            Some(_) => load.p_memsz.saturating_sub(load.p_filesz),
        };
    }
    let rank = file.loads.partition_point(|other| other.index <= load.index);
    let limit = match file.loads.get(rank) {
        None => file.top(),
        Some(following) => {
            let mut page = following.p_align.max(4096);
            // The hardware page of x86 is 4096, whatever the linker was told.
            if [elf::EM_386, elf::EM_X86_64].contains(&file.header.e_machine) && page > 0x10000 {
                page = 4096;
            }
            following.p_vaddr & !page.wrapping_sub(1)
        }
    };
    limit.saturating_sub(end)
}

/// The zero bytes directly behind a PT_LOAD that nothing claims; of size 0 if there are none.
pub fn slack_room(file: &ElfFile<'_>, load: &Load) -> Room {
    let end = load.end();
    let mut limit = file.bytes.size().min(end.saturating_add(address_room(file, load)));
    if let Some(next) = file.covered.next(end) {
        limit = limit.min(next);
    }
    let size = leading_zeros(file, end, limit);
    Room { load: Some(load.index), offset: end, address: load.file_part_end(), size }
}

fn leading_zeros(file: &ElfFile<'_>, start: u64, end: u64) -> u64 {
    let found = file.bytes.slice(start, end);
    found.iter().position(|byte| *byte != 0).unwrap_or(found.len()) as u64
}

/// The room behind the last PT_LOAD if the file can be made longer there, else `None`.
///
/// That is so if nothing but at most 64 zero bytes, which nothing claims, lies between it and the end of the file.
pub fn file_end_room(file: &ElfFile<'_>, load: &Load) -> Option<Room> {
    let (end, size) = (load.end(), file.bytes.size());
    if file.loads.last() != Some(load) || load.p_memsz != load.p_filesz {
        return None;
    }
    if size.saturating_sub(end) > LAST_PADDING || !file.bytes.is_zero(end, size) {
        return None;
    }
    if file.covered.end() > end {
        return None;
    }
    let room = address_room(file, load);
    Some(Room { load: Some(load.index), offset: end, address: load.file_part_end(), size: room })
}

/// How fit a PT_LOAD is for read-only tables: R, RW in RELRO, RX, RW, RWX; `None` if it cannot be read.
fn rank(load: &Load, relro: &[u64]) -> Option<u8> {
    let flag = |flag: elf::ProgramFlags| load.p_flags & flag.0 != 0;
    if !flag(elf::PF_R) {
        return None;
    }
    Some(match (flag(elf::PF_W), flag(elf::PF_X)) {
        (false, false) => 0,
        (true, false) => {
            let first = relro.partition_point(|address| *address < load.p_vaddr);
            if relro.get(first).is_some_and(|address| load.loads(*address)) { 1 } else { 3 }
        }
        (false, true) => 2,
        (true, true) => 4,
    })
}

/// The PT_LOADs in order of preference: `first` before the others; of those with or without PF_W, or of all.
pub fn preferred<'f>(file: &'f ElfFile<'_>, writable: Option<bool>, first: Option<usize>) -> Vec<&'f Load> {
    let relro = file.segments.iter().filter(|segment| segment.p_type == PT_GNU_RELRO);
    let mut relro: Vec<u64> = relro.map(|segment| segment.p_vaddr).collect();
    relro.sort_unstable();
    let mut found = Vec::new();
    for load in &file.loads {
        let Some(rank) = rank(load, &relro) else { continue };
        if writable.is_some_and(|writable| writable != is_writable(load)) {
            continue;
        }
        found.push((first != Some(load.index), rank, load.index, load));
    }
    found.sort_unstable_by_key(
        |(behind, rank, index, _)| if *behind { (1, *rank, *index) } else { (0, 0, 0) },
    );
    found.into_iter().map(|(.., load)| load).collect()
}

/// PF_W.
pub fn is_writable(load: &Load) -> bool {
    load.p_flags & elf::PF_W.0 != 0
}

/// How many zero bytes behind the program-header table nothing claims (0 in a sectionless file).
///
/// If a PT_LOAD maps the table, they are inside its file part too.
fn table_gap(file: &ElfFile<'_>) -> u64 {
    let header = &file.header;
    let end = header.program_headers_end();
    if file.sections.is_empty() {
        return 0;
    }
    let mut limit = file.bytes.size();
    let mapping = |load: &&Load| load.p_offset <= header.e_phoff && header.e_phoff < load.end();
    for load in file.loads.iter().filter(mapping) {
        limit = limit.min(load.end());
    }
    for section in file.sections.iter().filter(|section| section.in_file() && section.end() > end) {
        limit = limit.min(section.sh_offset.max(end));
    }
    if header.e_shoff >= header.e_phoff {
        limit = limit.min(header.e_shoff.max(end));
    }
    let claiming = file.segments.iter().filter(|segment| {
        ![PT_LOAD, PT_PHDR].contains(&segment.p_type) && segment.p_filesz > 0 && segment.end() > end
    });
    for segment in claiming {
        limit = limit.min(segment.p_offset.max(end));
    }
    leading_zeros(file, end, limit.min(end.saturating_add(4096)))
}

/// Whether a section without bytes in the file begins in a PT_LOAD and ends behind it.
fn overhangs(file: &ElfFile<'_>, section: &Section) -> bool {
    let end = section.sh_addr.saturating_add(section.sh_size);
    section.sh_type == elf::SHT_NOBITS
        && section.is_alloc()
        && section.sh_flags & elf::SHF_TLS.0 == 0
        && file.loads.iter().any(|load| {
            load.p_vaddr <= section.sh_addr && section.sh_addr < load.memory_end() && load.memory_end() < end
        })
}

/// Whether the program may believe that the memory behind a PT_LOAD is its own: a section says so.
pub fn takes_memory_behind(file: &ElfFile<'_>) -> bool {
    file.sections.iter().any(|section| overhangs(file, section))
}

/// How one more PT_LOAD fits into the program-header table.
pub fn find_slot(file: &ElfFile<'_>) -> Option<Slot> {
    let header = &file.header;
    let find = |kind| file.segments.iter().position(|segment| segment.p_type == kind);
    if let Some(index) = find(PT_NULL) {
        return Some(Slot::Null(index));
    }
    if table_gap(file) >= header.e_phentsize.into() && !header.program_headers_full() {
        return Some(Slot::Gap);
    }
    if header.e_type == elf::ET_DYN.0 && !file.has_interpreter() {
        return find(PT_PHDR).map(Slot::Phdr);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up() {
        assert_eq!((round_up(0, 16), round_up(1, 16), round_up(16, 16)), (Some(0), Some(16), Some(16)));
        assert_eq!(round_up(u64::MAX, 2), None);
    }

    #[test]
    fn a_zeroed_section_alone_in_its_range() {
        let of = |ranges: &[(u64, u64)]| {
            let mut sections: Vec<_> = ranges.iter().enumerate().map(|(i, (a, b))| (*a, *b, 0, i)).collect();
            sections.sort_unstable();
            let mut last = 0;
            for section in &mut sections {
                last = last.max(section.1);
                section.2 = last;
            }
            Zeroed { sections }.only(10, 20)
        };
        assert_eq!(of(&[(30, 40), (10, 20), (0, 10)]), Some(1));
        for other in [(0, 11), (19, 30), (10, 20), (0, 100), (12, 13)] {
            assert_eq!(of(&[(10, 20), other]), None, "{other:?}");
        }
        assert_eq!(of(&[(10, 19)]), None);
        assert_eq!(of(&[]), None);
    }
}
