//! The gate's checks of what the loader follows without a look at bounds (elf-edit 3.1).
//!
//! A number that leads out of its table makes the loader read or write whatever lies there: by luck something harmless,
//! until an edit puts other bytes into that place. Source: `do_lookup_x`, `_dl_relocate_object` of the GNU C library.

use object::elf::{self, DynamicTag};

use crate::dynamic::DT_RELR;
use crate::edit::file::ElfFile;
use crate::edit::strings::merged;
use crate::error::{Code, Error};
use crate::image::{Class, Image};
use crate::symbol::{gnu_hash, hash_counts, hash_width};
use crate::version::Versym;

const DT_RELRSZ: DynamicTag = DynamicTag(35);
const DT_PREINIT_ARRAY: DynamicTag = DynamicTag(32);
const DT_PREINIT_ARRAYSZ: DynamicTag = DynamicTag(33);

/// A half-open range of addresses.
type Range = (u64, u64);

/// One table of relocations or function pointers.
struct Walked<'a> {
    name: &'static str,
    address: u64,
    /// Exactly as many bytes as the loader walks.
    table: Image<'a>,
    /// Of one entry, in bytes.
    width: u64,
}

/// Checks every such table.
pub fn check_walked(file: &ElfFile<'_>) -> Result<(), Error> {
    check_chains(file)?;
    check_indexes(file)?;
    let tables = tables(file)?;
    let mut own = own_ranges(file)?;
    let relocations: Vec<_> = tables.iter().filter(|table| !table.name.ends_with("ARRAY")).collect();
    own.extend(
        relocations.iter().map(|table| (table.address, table.address.saturating_add(table.table.size()))),
    );
    let own = merged(own);
    for table in relocations {
        check_relocations(file, table, &own)?;
    }
    Ok(())
}

/// Checks that hash chains stay among the symbols.
fn check_chains(file: &ElfFile<'_>) -> Result<(), Error> {
    let fault = |text: &str| Err(Error::new(Code::Symbols, text));
    if let Some(address) = file.dynamic.last(elf::DT_HASH)
        && let Some(table) = file.dynamic.space.from(&file.bytes, address)
    {
        let machine = file.header.e_machine;
        let (buckets, chains) = hash_counts(&file.bytes, machine, &file.dynamic, address)?;
        let width = hash_width(&file.bytes, machine, &file.dynamic, address);
        let value = |index: u64| {
            let at = index.saturating_mul(width);
            if width == 8 { table.u64(at) } else { table.u32(at).map(u64::from) }
        };
        let words = buckets.saturating_add(chains).saturating_add(2);
        if (2..words).any(|index| value(index).is_none_or(|symbol| symbol >= chains)) {
            return fault("DT_HASH: a bucket or chain leads to no symbol");
        }
    }
    if let Some(address) = file.dynamic.last(elf::DT_GNU_HASH)
        && let Some(table) = file.dynamic.space.from(&file.bytes, address)
    {
        let found = gnu_hash(&file.bytes, &file.dynamic, address)?;
        let (first, words) = (table.u32(4).unwrap_or(0), table.u32(8).unwrap_or(0));
        if words == 0 {
            return fault("DT_GNU_HASH: maskwords is 0");
        }
        let start = u64::from(words).saturating_mul(file.bytes.class.word_size()).saturating_add(16);
        let mut buckets = (0..u64::from(found.buckets))
            .filter_map(|index| table.u32(index.saturating_mul(4).saturating_add(start)));
        if buckets.any(|bucket| 0 < bucket && bucket < first) {
            return fault("DT_GNU_HASH: a bucket is below symoffset");
        }
        if file.symbols.exact && found.count.is_some_and(|count| count > file.symbols.count) {
            return fault("DT_GNU_HASH: a chain leads to no symbol");
        }
    }
    Ok(())
}

/// Checks that each symbol's version is one that the file needs or defines.
fn check_indexes(file: &ElfFile<'_>) -> Result<(), Error> {
    let needed = file.needs.iter().flat_map(|need| need.aux.iter().map(|aux| Versym(aux.other).index()));
    let defined = file.definitions.iter().map(|definition| Versym(definition.index).index());
    let (Some(highest), Some(versym)) = (needed.chain(defined).max(), file.versym) else { return Ok(()) };
    if !file.symbols.exact {
        return Ok(());
    }
    let mut indexes = (0..file.symbols.count).filter_map(|index| versym.u16(index.saturating_mul(2)));
    match indexes.find(|index| Versym(*index).index() > highest.max(1)) {
        Some(index) => {
            let index = Versym(index).index();
            let text = format_args!("DT_VERSYM: index {index} is of no version, the highest is {highest}");
            Err(Error::new(Code::Versions, text))
        }
        None => Ok(()),
    }
}

/// The tables of relocations and of functions to call, all in the file.
fn tables<'a>(file: &ElfFile<'a>) -> Result<Vec<Walked<'a>>, Error> {
    let word = file.bytes.class.word_size();
    let (rel, rela) = (word.saturating_mul(2), word.saturating_mul(3));
    let addends = file.dynamic.last(elf::DT_PLTREL) == Some(elf::DT_RELA.0.unsigned_abs());
    let known = [
        ("DT_RELA", elf::DT_RELA, elf::DT_RELASZ, rela),
        ("DT_REL", elf::DT_REL, elf::DT_RELSZ, rel),
        ("DT_JMPREL", elf::DT_JMPREL, elf::DT_PLTRELSZ, if addends { rela } else { rel }),
        ("DT_RELR", DT_RELR, DT_RELRSZ, word),
        ("DT_INIT_ARRAY", elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, word),
        ("DT_FINI_ARRAY", elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, word),
        ("DT_PREINIT_ARRAY", DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, word),
    ];
    let mut found = Vec::new();
    for (name, tag, size_tag, width) in known {
        let size = file.dynamic.last(size_tag).filter(|size| *size > 0);
        let (Some(address), Some(size)) = (file.dynamic.last(tag), size) else { continue };
        if size.checked_rem(width) != Some(0) {
            let text = format_args!("{name}: its size is not a multiple of the entry size");
            return Err(Error::new(Code::Dynamic, text));
        }
        let table = file.dynamic.space.from(&file.bytes, address).and_then(|rest| rest.window(0, size));
        let table = table.ok_or_else(|| {
            Error::new(
                Code::Dynamic,
                format_args!("{name}: the table is not in the file part of one PT_LOAD"),
            )
        })?;
        let walked = Walked { name, address, table, width };
        if !walked.name.ends_with("ARRAY") && !file.sections.is_empty() && !in_sections(file, &walked) {
            let text = format_args!("{name}: no sections for the table at address {address:#x}");
            return Err(Error::new(Code::SectionsInconsistent, text));
        }
        found.push(walked);
    }
    Ok(found)
}

/// Whether a table begins where a section does, and ends in it or in one that follows without a gap.
fn in_sections(file: &ElfFile<'_>, walked: &Walked<'_>) -> bool {
    let mut at = walked.address;
    while at < walked.address.saturating_add(walked.table.size()) {
        let mut sections = file.sections.iter().filter(|section| section.is_alloc() && section.in_file());
        let Some(section) = sections.find(|section| section.sh_addr == at) else { return false };
        at = at.saturating_add(section.sh_size);
    }
    true
}

/// Where the dynamic section and the tables are that it names, but relocations.
fn own_ranges(file: &ElfFile<'_>) -> Result<Vec<Range>, Error> {
    let size = file.segments.get(file.dynamic.segment).map_or(0, |segment| segment.p_filesz);
    let dynamic = (file.dynamic.address, file.dynamic.address.saturating_add(size));
    let mut ranges = vec![dynamic];
    for (_, address, size) in file.table_extents()? {
        let end = address.saturating_add(size);
        if address < dynamic.1 && end > dynamic.0 {
            let text = format_args!("PT_DYNAMIC lies over the table at address {address:#x}");
            return Err(Error::new(Code::Dynamic, text));
        }
        ranges.push((address, end));
    }
    Ok(ranges)
}

/// Checks that relocations are of symbols that exist, and write to memory of the file but not to the loader's tables.
fn check_relocations(file: &ElfFile<'_>, table: &Walked<'_>, own: &[Range]) -> Result<(), Error> {
    let word = file.bytes.class.word_size();
    let fault =
        |text: &str| Err(Error::new(Code::NotEditable, format_args!("{}: a relocation {text}", table.name)));
    let mut places = Places { file, own, load: (0, 0) };
    if table.width == word {
        for target in relr_targets(&table.table) {
            if let Some(text) = places.fault(target, false) {
                return fault(text);
            }
        }
        return Ok(());
    }
    // MIPS has an r_info of its own in 64-bit files.
    let symbols = (file.symbols.exact && file.header.e_machine != elf::EM_MIPS).then_some(file.symbols.count);
    let shift = if file.bytes.class == Class::Elf64 { 32 } else { 8 };
    let mut at = 0_u64;
    while let Some((target, info)) = table.table.word(at).zip(table.table.word(at.saturating_add(word))) {
        if symbols.is_some_and(|count| (info >> shift) >= count.max(1)) {
            return fault("is of a symbol that does not exist");
        }
        if let Some(text) = places.fault(target, info == 0) {
            return fault(text);
        }
        at = at.saturating_add(table.width);
    }
    Ok(())
}

/// The judge of the places that relocations write to.
struct Places<'a, 'f> {
    file: &'a ElfFile<'f>,
    /// Ascending, none touching another.
    own: &'a [Range],
    /// The PT_LOAD of the place before: most have the same.
    load: Range,
}

impl Places<'_, '_> {
    /// What is wrong with one place; `nothing` for a relocation that does nothing.
    fn fault(&mut self, target: u64, nothing: bool) -> Option<&'static str> {
        if !(self.load.0 <= target && target < self.load.1) {
            let mut loads = self.file.dynamic.space.loads();
            let found = loads.find(|(_, load)| load.p_vaddr <= target && target < load.memory_end());
            match found {
                Some((_, load)) => self.load = (load.p_vaddr, load.memory_end()),
                None if nothing => return None,
                None => return Some("writes to no PT_LOAD"),
            }
        }
        let first = self.own.partition_point(|(_, high)| *high <= target);
        let over = self.own.get(first).is_some_and(|(low, _)| *low <= target);
        (over && !nothing).then_some("writes to a table of the loader")
    }
}

/// The places that a table of DT_RELR relocates: an even word is an address, an odd one a bitmap of the words behind it.
fn relr_targets<'a>(table: &Image<'a>) -> impl Iterator<Item = u64> + use<'a> {
    let (table, word) = (*table, table.class.word_size());
    let bits = word.saturating_mul(8).saturating_sub(1);
    let mut next = 0_u64;
    (0..table.room(word)).filter_map(move |index| table.word(index.saturating_mul(word))).flat_map(
        move |entry| {
            let (start, map) = if entry & 1 == 0 { (entry, 1) } else { (next, entry >> 1) };
            let step = if entry & 1 == 0 { 1 } else { bits };
            next = start.saturating_add(step.saturating_mul(word));
            (0..step)
                .filter(move |bit| (map >> bit) & 1 != 0)
                .map(move |bit| start.saturating_add(bit.saturating_mul(word)))
        },
    )
}
