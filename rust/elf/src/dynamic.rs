//! The dynamic section (`Elfxx_Dyn`), found as the loader finds it: at the address of PT_DYNAMIC.

use object::elf;
use object::elf::{DynamicTag, PT_DYNAMIC};

use crate::error::{Code, Error};
use crate::image::Image;
use crate::segment::{AddressSpace, Segment};
use crate::strings::StringTable;

/// DT_RELR, which tells one more table behind DT_SYMTAB.
pub const DT_RELR: DynamicTag = DynamicTag(36);

/// MIPS: a string.
pub const DT_MIPS_IVERSION: DynamicTag = DynamicTag(0x7000_0004);

/// MIPS: how far from this entry the address is at which the debugger finds its data.
pub const DT_MIPS_RLD_MAP_REL: DynamicTag = DynamicTag(0x7000_0035);

/// Solaris: a string.
pub const DT_USED: DynamicTag = DynamicTag(0x7fff_fffe);

/// A dynamic section has some forty entries; this many are a broken file.
pub(crate) const MOST_ENTRIES: u64 = 65536;

/// Tags that mean one table each; a file with two of one tag is read differently by different tools.
const SINGLE: [(&str, DynamicTag); 11] = [
    ("DT_HASH", elf::DT_HASH),
    ("DT_STRTAB", elf::DT_STRTAB),
    ("DT_SYMTAB", elf::DT_SYMTAB),
    ("DT_STRSZ", elf::DT_STRSZ),
    ("DT_SYMENT", elf::DT_SYMENT),
    ("DT_GNU_HASH", elf::DT_GNU_HASH),
    ("DT_VERSYM", elf::DT_VERSYM),
    ("DT_VERDEF", elf::DT_VERDEF),
    ("DT_VERDEFNUM", elf::DT_VERDEFNUM),
    ("DT_VERNEED", elf::DT_VERNEED),
    ("DT_VERNEEDNUM", elf::DT_VERNEEDNUM),
];

/// The dynamic section of one file and the address space that its pointers point into.
#[derive(Clone, Debug)]
pub struct Dynamic {
    /// The index of the PT_DYNAMIC program header.
    pub segment: usize,
    /// The index of the PT_LOAD that holds it.
    pub load: usize,
    /// Where the first entry is in the file.
    pub offset: u64,
    /// `p_vaddr`.
    pub address: u64,
    /// How many entries `p_filesz` has room for.
    pub capacity: u64,
    /// What the PT_LOADs map.
    pub space: AddressSpace,
    /// (`d_tag`, `d_un`) up to the first DT_NULL, which is not among them.
    pub entries: Vec<(DynamicTag, u64)>,
}

impl Dynamic {
    /// Reads the dynamic section; `None` without PT_DYNAMIC.
    ///
    /// The loader walks from `p_vaddr` to the first DT_NULL and does not look at `p_filesz`; so does this, to the end of
    /// what the PT_LOAD maps (whose part that is not in the file is zero, and so ends the table).
    pub fn read(image: &Image<'_>, segments: &[Segment]) -> Result<Option<Self>, Error> {
        let mut found = segments.iter().enumerate().filter(|(_, segment)| segment.p_type == PT_DYNAMIC);
        let Some((index, segment)) = found.next() else { return Ok(None) };
        let fault = |text: &str| Error::new(Code::Segment, text);
        if found.next().is_some() {
            return Err(fault("two PT_DYNAMIC"));
        }
        let space = AddressSpace::new(image, segments)?;
        let outside = || fault("PT_DYNAMIC: p_vaddr is in the file part of no PT_LOAD");
        let load = space.load_at(segment.p_vaddr).ok_or_else(outside)?;
        let load_index = space.index_at(segment.p_vaddr).ok_or_else(outside)?;
        let table = space.from(image, segment.p_vaddr).ok_or_else(outside)?;
        if space.offset_of(segment.p_vaddr) != Some(segment.p_offset) {
            return Err(fault("PT_DYNAMIC: p_offset and p_vaddr disagree"));
        }
        if segment.p_filesz > table.size() {
            return Err(fault("PT_DYNAMIC: p_filesz reaches behind its PT_LOAD"));
        }
        let zero_behind = load.p_memsz > load.p_filesz;
        let entries = entries(&table, zero_behind)?;
        for (name, single) in SINGLE {
            if entries.iter().filter(|(tag, _)| *tag == single).count() > 1 {
                return Err(Error::new(Code::Dynamic, format_args!("two {name}")));
            }
        }
        let entry_size = image.class.word_size().saturating_mul(2);
        Ok(Some(Self {
            segment: index,
            load: load_index,
            offset: segment.p_offset,
            address: segment.p_vaddr,
            capacity: segment.p_filesz.checked_div(entry_size).unwrap_or(0),
            space,
            entries,
        }))
    }

    /// The value of the last entry with `tag`, the one that the loader keeps.
    pub fn last(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|(entry, _)| *entry == tag).map(|(_, value)| *value)
    }

    /// The string table: DT_STRTAB and DT_STRSZ, inside of the file part of one PT_LOAD.
    pub fn strings<'a>(&self, image: &Image<'a>) -> Result<StringTable<'a>, Error> {
        let missing = |text: &str| Error::new(Code::Dynamic, text);
        let address = self.last(elf::DT_STRTAB).ok_or_else(|| missing("no DT_STRTAB"))?;
        let size = self.last(elf::DT_STRSZ).ok_or_else(|| missing("no DT_STRSZ"))?;
        let fault = |text: &str| Error::new(Code::Strings, text);
        let rest = self.space.from(image, address);
        let rest = rest.ok_or_else(|| fault("DT_STRTAB is in the file part of no PT_LOAD"))?;
        let content = rest.bytes(0, size);
        let content =
            content.ok_or_else(|| fault("DT_STRSZ: the string table reaches behind its PT_LOAD"))?;
        Ok(StringTable::new(content))
    }
}

fn entries(table: &Image<'_>, zero_behind: bool) -> Result<Vec<(DynamicTag, u64)>, Error> {
    let word = table.class.word_size();
    let mut entries = Vec::new();
    for index in 0..MOST_ENTRIES {
        let at = index.saturating_mul(word).saturating_mul(2);
        let Some((tag, value)) = table.word(at).zip(table.word(at.saturating_add(word))) else {
            if zero_behind {
                return Ok(entries);
            }
            break;
        };
        // All tags in use are below 2^31, where sign and width make no difference.
        let tag = DynamicTag(tag.cast_signed());
        if tag == elf::DT_NULL {
            return Ok(entries);
        }
        entries.push((tag, value));
    }
    Err(Error::new(Code::Dynamic, "PT_DYNAMIC: no DT_NULL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Builder, code_of};

    #[test]
    fn the_last_entry_of_a_tag_counts() {
        for mut builder in Builder::all() {
            builder.string_entry(elf::DT_RUNPATH, "first");
            builder.string_entry(elf::DT_RUNPATH, "second");
            builder.string_entry(elf::DT_NEEDED, "liba.so");
            builder.string_entry(elf::DT_NEEDED, "libb.so");
            let facts = crate::read(&builder.bytes()).unwrap();
            assert_eq!(facts.runpath, Some(b"second".to_vec()));
            assert_eq!(facts.needed, [b"liba.so", b"libb.so"]);
        }
    }

    #[test]
    fn the_table_must_end() {
        for mut builder in Builder::all() {
            builder.terminated = false;
            assert_eq!(code_of(crate::read(&builder.bytes())), Code::Dynamic);
            // Behind the file part of the segment there are zeros: DT_NULL.
            builder.zeros_behind = 1;
            assert!(crate::read(&builder.bytes()).is_ok());
        }
    }

    #[test]
    fn tables_are_named_once_and_strings_are_inside() {
        for (tag, value, code) in
            [(elf::DT_STRTAB, 0, Code::Dynamic), (elf::DT_NEEDED, 0xffff, Code::Strings)]
        {
            let mut builder = Builder::all().remove(0);
            builder.entries.push((tag, value));
            assert_eq!(code_of(crate::read(&builder.bytes())), code, "{tag:?}");
        }
    }
}
