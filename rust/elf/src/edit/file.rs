//! Everything that the editor knows of its input, and the gate: which files it takes (elf-edit 3.1).
//!
//! [`ElfFile::open`] makes its checks in the order in which they stand there; the first fault wins.

use std::collections::BTreeSet;
use std::ops::Deref;

use object::elf::{self, DynamicTag, Machine, PT_INTERP, SectionType};

use crate::dynamic::{DT_MIPS_IVERSION, DT_USED, Dynamic};
use crate::edit::gate::{check_apart, check_counts, check_dynamic, check_segments};
use crate::edit::items::{Covered, covered_ranges};
use crate::edit::room::{Zeroed, zeroed_sections};
use crate::edit::walked::check_walked;
use crate::error::{Code, Error};
use crate::header::{FileHeader, identify};
use crate::image::{Class, Image};
use crate::section::{Section, read_sections};
use crate::segment::{Segment, physical_addresses, read_interpreter, read_segments};
use crate::strings::{Spent, StringTable};
use crate::symbol::{SymbolTable, gnu_hash, hash_counts, hash_width, symbol_size};
use crate::version::{Verdef, Verneed, read_definitions, read_needs, read_versym};

/// How the names of dynamic loaders begin.
const LOADER_NAMES: [&[u8]; 3] = [b"ld-linux", b"ld-musl", b"ld64.so"];

const STRING_TAGS: [(DynamicTag, &str); 10] = [
    (elf::DT_NEEDED, "DT_NEEDED"),
    (elf::DT_SONAME, "DT_SONAME"),
    (elf::DT_RPATH, "DT_RPATH"),
    (elf::DT_RUNPATH, "DT_RUNPATH"),
    (elf::DT_CONFIG, "DT_CONFIG"),
    (elf::DT_DEPAUDIT, "DT_DEPAUDIT"),
    (elf::DT_AUDIT, "DT_AUDIT"),
    (elf::DT_AUXILIARY, "DT_AUXILIARY"),
    (DT_USED, "DT_USED"),
    (elf::DT_FILTER, "DT_FILTER"),
];

/// A PT_LOAD and the index of its program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub index: usize,
    pub segment: Segment,
}

impl Deref for Load {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        &self.segment
    }
}

/// A file that has passed the gate.
#[derive(Debug)]
pub struct ElfFile<'a> {
    pub bytes: Image<'a>,
    pub header: FileHeader,
    pub segments: Vec<Segment>,
    /// `p_paddr` of each program header.
    pub paddrs: Vec<u64>,
    /// The PT_LOADs, ascending.
    pub loads: Vec<Load>,
    pub dynamic: Dynamic,
    pub strings: StringTable<'a>,
    /// Where the string table is in the file.
    pub string_offset: u64,
    /// DT_STRTAB.
    pub string_address: u64,
    pub needs: Vec<Verneed<'a>>,
    pub definitions: Vec<Verdef<'a>>,
    pub symbols: SymbolTable<'a>,
    /// The table at DT_VERSYM, one `Elfxx_Half` for each symbol.
    pub versym: Option<Image<'a>>,
    /// The section headers; empty in a sectionless file.
    pub sections: Vec<Section>,
    /// Index of the SHT_DYNAMIC, 0 in a sectionless file.
    pub dynamic_section: usize,
    /// Index of the dynamic string table, 0 in a sectionless file.
    pub string_section: usize,
    /// How many entries, DT_NULL included, the dynamic section has room for.
    pub capacity: u64,
    /// What of the file a header, section or segment claims.
    pub covered: Covered,
    /// The sections without bytes in the file.
    pub zeroed: Zeroed,
    /// (address, index) of each section that is loaded and not empty, by ascending address.
    loaded: Vec<(u64, usize)>,
}

/// Whether this is what a dynamic loader is called.
pub fn is_loader_name(name: &[u8]) -> bool {
    LOADER_NAMES.iter().any(|start| name.starts_with(start))
}

/// The name of a dynamic tag whose value is a string offset.
fn string_field(machine: Machine, tag: DynamicTag) -> Option<&'static str> {
    if machine == elf::EM_MIPS && tag == DT_MIPS_IVERSION {
        return Some("DT_MIPS_IVERSION");
    }
    STRING_TAGS.iter().find(|(string_tag, _)| *string_tag == tag).map(|(_, name)| *name)
}

/// Whether the value of a dynamic tag is a string offset.
pub fn is_string_tag(machine: Machine, tag: DynamicTag) -> bool {
    string_field(machine, tag).is_some()
}

impl<'a> ElfFile<'a> {
    /// Reads `data` and passes it through the gate.
    pub fn open(data: &'a [u8]) -> Result<Self, Error> {
        let bytes = identify(data)?;
        let header = FileHeader::read(&bytes)?;
        if ![elf::ET_DYN.0, elf::ET_EXEC.0].contains(&header.e_type) {
            let text = format_args!("e_type is {}: not a shared object or a program", header.e_type);
            return Err(Error::new(Code::NotEditable, text));
        }
        if header.e_phnum == 0 {
            return Err(Error::new(Code::Header, "e_phnum is 0"));
        }
        let segments = read_segments(&bytes, &header);
        let dynamic = Dynamic::read(&bytes, &segments)?.ok_or_else(|| {
            Error::new(Code::NotEditable, "no PT_DYNAMIC: a static program or not a linked file")
        })?;
        check_segments(&bytes, &header, &segments, &dynamic.space)?;
        read_interpreter(&bytes, &segments)?;
        check_dynamic(&bytes, &segments, &dynamic)?;
        let strings = dynamic.strings(&bytes)?;
        if strings.size() == 0 {
            return Err(Error::new(Code::Strings, "DT_STRSZ is 0"));
        }
        if strings.content().last() != Some(&0) {
            return Err(Error::new(Code::Strings, "DT_STRTAB does not end with a NUL"));
        }
        let mut spent = Spent::default();
        for (tag, value) in &dynamic.entries {
            if let Some(field) = string_field(header.e_machine, *tag) {
                strings.get(*value, field, &mut spent)?;
            }
        }
        let needs = read_needs(&bytes, &dynamic, &strings)?;
        let counts = needs.iter().map(|need| (need.count, need.aux.len()));
        check_counts("DT_VERNEEDNUM", dynamic.last(elf::DT_VERNEEDNUM), "vn_cnt", counts)?;
        check_apart(&needs)?;
        let definitions = read_definitions(&bytes, &dynamic, &strings)?;
        let counts = definitions.iter().map(|definition| (definition.count, definition.aux.len()));
        check_counts("DT_VERDEFNUM", dynamic.last(elf::DT_VERDEFNUM), "vd_cnt", counts)?;
        let symbols = SymbolTable::read(&bytes, header.e_machine, &dynamic, &strings)?;
        let highest = u64::from(symbols.name_offsets().max().unwrap_or(0));
        if highest >= strings.size() {
            let text = format_args!("st_name: string offset {highest} is not below DT_STRSZ");
            return Err(Error::new(Code::Strings, text));
        }
        let versym = read_versym(&bytes, &dynamic, symbols.count)?;
        if let Some(hash) = dynamic.last(elf::DT_GNU_HASH)
            && gnu_hash(&bytes, &dynamic, hash)?.buckets == 0
        {
            return Err(Error::new(Code::Symbols, "DT_GNU_HASH: nbuckets is 0"));
        }
        let sections = read_sections(&bytes, &header)?;
        if sections.is_empty() && header.e_shoff > 0 {
            let text = "e_shoff is not 0, though there are no section headers";
            return Err(Error::new(Code::SectionsInconsistent, text));
        }
        let string_address = dynamic.last(elf::DT_STRTAB).unwrap_or_default();
        let string_offset = dynamic.space.offset_of(string_address).unwrap_or_default();
        let mut file = Self {
            bytes,
            header,
            paddrs: physical_addresses(&bytes, &header),
            loads: dynamic.space.loads().map(|(index, segment)| Load { index, segment: *segment }).collect(),
            capacity: dynamic.capacity,
            covered: covered_ranges(&bytes, &header, &segments, &sections),
            zeroed: zeroed_sections(&sections),
            loaded: loaded_sections(&sections),
            segments,
            dynamic,
            strings,
            string_offset,
            string_address,
            needs,
            definitions,
            symbols,
            versym,
            sections,
            dynamic_section: 0,
            string_section: 0,
        };
        if !file.sections.is_empty() {
            file.find_sections()?;
            file.count_symbols()?;
            file.check_places()?;
            file.check_tables()?;
            file.check_symtabs()?;
        }
        file.check_shape()?;
        check_walked(&file)?;
        Ok(file)
    }

    /// The PT_LOAD that is program header `index`.
    pub fn load(&self, index: usize) -> Option<&Load> {
        let rank = self.loads.binary_search_by_key(&index, |load| load.index).ok()?;
        self.loads.get(rank)
    }

    /// The PT_LOAD whose file part holds `address`.
    pub fn load_at(&self, address: u64) -> Option<&Load> {
        self.load(self.dynamic.space.index_at(address)?)
    }

    /// The size of an entry of the dynamic section.
    pub fn entry_size(&self) -> u64 {
        self.bytes.class.word_size().saturating_mul(2)
    }

    /// The highest address.
    pub fn top(&self) -> u64 {
        match self.bytes.class {
            Class::Elf32 => u32::MAX.into(),
            Class::Elf64 => u64::MAX,
        }
    }

    /// Where the section-header table ends in the file; where it begins, if there is none.
    pub fn sections_end(&self) -> u64 {
        let size = (self.sections.len() as u64).saturating_mul(self.header.e_shentsize.into());
        self.header.e_shoff.saturating_add(size)
    }

    /// Whether a section that is loaded and not empty begins in `load`, be it not `section`.
    pub fn has_section_but(&self, load: &Segment, section: Option<usize>) -> bool {
        let first = self.loaded.partition_point(|(address, _)| *address < load.p_vaddr);
        let mut inside =
            self.loaded.iter().skip(first).take_while(|(address, _)| *address < load.memory_end());
        inside.any(|(_, index)| Some(*index) != section)
    }

    /// Finds the sections of the string table and of the dynamic section.
    fn find_sections(&mut self) -> Result<(), Error> {
        let fault = |text: &str| Error::new(Code::SectionsInconsistent, text);
        let (mut dynamic_section, mut string_section) = (0, 0);
        for (index, section) in self.sections.iter().enumerate() {
            if section.sh_type == elf::SHT_DYNAMIC
                && section.sh_addr == self.dynamic.address
                && section.sh_offset == self.dynamic.offset
            {
                if dynamic_section != 0 {
                    return Err(fault("two sections .dynamic"));
                }
                dynamic_section = index;
            }
            if section.sh_type == elf::SHT_STRTAB
                && section.is_alloc()
                && section.sh_addr == self.string_address
                && section.sh_size == self.strings.size()
                && section.sh_offset == self.string_offset
            {
                if string_section != 0 {
                    return Err(fault("two sections .dynstr"));
                }
                string_section = index;
            }
        }
        let found = self.sections.get(dynamic_section).filter(|_| dynamic_section != 0);
        let found = found.ok_or_else(|| fault("no section .dynamic at PT_DYNAMIC"))?;
        if string_section == 0 {
            return Err(fault("no section .dynstr at DT_STRTAB with the size DT_STRSZ"));
        }
        if usize::try_from(found.sh_link) != Ok(string_section) {
            return Err(fault("sh_link of .dynamic is not .dynstr"));
        }
        let room = found.sh_size.checked_div(self.entry_size()).unwrap_or(0);
        self.capacity = self.capacity.min(room);
        if self.dynamic.entries.len() as u64 >= self.capacity {
            return Err(fault("the section .dynamic is shorter than the dynamic section"));
        }
        (self.dynamic_section, self.string_section) = (dynamic_section, string_section);
        Ok(())
    }

    /// Takes the number of symbols from their section, if that is consistent and a hash table gives none.
    fn count_symbols(&mut self) -> Result<(), Error> {
        if self.symbols.exact {
            return Ok(());
        }
        let size = symbol_size(self.bytes.class);
        let (address, versions) = (self.dynamic.last(elf::DT_SYMTAB), self.dynamic.last(elf::DT_VERSYM));
        // One version index for each symbol.
        let others = self
            .sections
            .iter()
            .filter(|other| other.sh_type == elf::SHT_GNU_VERSYM && versions == Some(other.sh_addr));
        let sizes: BTreeSet<u64> = others.map(|other| other.sh_size).collect();
        let found = self.sections.iter().find_map(|section| {
            let count = section.sh_size.checked_div(size)?;
            let right = section.sh_type == elf::SHT_DYNSYM
                && section.is_alloc()
                && Some(section.sh_addr) == address
                && section.sh_offset == self.symbols.offset
                && section.sh_entsize == size
                && section.sh_size.is_multiple_of(size)
                && 0 < count
                && count <= self.symbols.count
                && (versions.is_none() || sizes.contains(&count.saturating_mul(2)));
            right.then_some(count)
        });
        if let Some(count) = found {
            self.symbols = self.symbols.of(count);
            self.versym = read_versym(&self.bytes, &self.dynamic, count)?;
        }
        Ok(())
    }

    /// (section type, address, size in bytes) of each table that the dynamic section names, but relocations.
    pub fn table_extents(&self) -> Result<Vec<(SectionType, u64, u64)>, Error> {
        let last = |tag| self.dynamic.last(tag);
        let mut found = vec![(elf::SHT_STRTAB, self.string_address, self.strings.size())];
        if let Some(address) = last(elf::DT_SYMTAB) {
            let size = self.symbols.count.saturating_mul(symbol_size(self.bytes.class));
            found.push((elf::SHT_DYNSYM, address, size));
        }
        if let Some(address) = last(elf::DT_HASH) {
            let machine = self.header.e_machine;
            let (buckets, chains) = hash_counts(&self.bytes, machine, &self.dynamic, address)?;
            let words = buckets.saturating_add(chains).saturating_add(2);
            let size = words.saturating_mul(hash_width(&self.bytes, machine, &self.dynamic, address));
            found.push((elf::SHT_HASH, address, size));
        }
        if let Some(address) = last(elf::DT_GNU_HASH) {
            let table = gnu_hash(&self.bytes, &self.dynamic, address)?;
            found.push((elf::SHT_GNU_HASH, address, table.size));
        }
        if let Some(address) = last(elf::DT_VERSYM) {
            found.push((elf::SHT_GNU_VERSYM, address, self.symbols.count.saturating_mul(2)));
        }
        if let Some(address) = last(elf::DT_VERNEED) {
            let start = self.needs.first().map_or(0, |need| need.position);
            let end = self.needs.iter().map(|need| need.end).max().unwrap_or(0);
            found.push((elf::SHT_GNU_VERNEED, address, end.saturating_sub(start)));
        }
        if let Some(address) = last(elf::DT_VERDEF) {
            let start = self.definitions.first().map_or(0, |definition| definition.position);
            let end = self.definitions.iter().map(|definition| definition.end).max().unwrap_or(0);
            found.push((elf::SHT_GNU_VERDEF, address, end.saturating_sub(start)));
        }
        Ok(found)
    }

    /// Checks that each loaded section with bytes in the file is where its PT_LOAD says.
    fn check_places(&self) -> Result<(), Error> {
        for (index, section) in self.sections.iter().enumerate() {
            if !section.is_alloc() || !section.in_file() {
                continue;
            }
            let space = &self.dynamic.space;
            let room = space.from(&self.bytes, section.sh_addr).map(|rest| rest.size());
            let right = space.offset_of(section.sh_addr) == Some(section.sh_offset)
                && room.is_some_and(|room| section.sh_size <= room);
            if !right {
                let text = format_args!("section {index} is loaded and not where a PT_LOAD says");
                return Err(Error::new(Code::SectionsInconsistent, text));
            }
        }
        Ok(())
    }

    /// Checks that each table is a section of its type, at its address, at least as long, and where its PT_LOAD says.
    fn check_tables(&self) -> Result<(), Error> {
        for (kind, address, size) in self.table_extents()? {
            let place = self.dynamic.space.from(&self.bytes, address).map(|rest| rest.size());
            let offset = self.dynamic.space.offset_of(address);
            let found = self.sections.iter().any(|section| {
                section.sh_type == kind
                    && section.sh_addr == address
                    && section.is_alloc()
                    && offset == Some(section.sh_offset)
                    && place.is_some_and(|room| section.sh_size <= room)
                    && size <= section.sh_size
            });
            if !found {
                let text =
                    format_args!("no section of type {:#x} for the table at address {address:#x}", kind.0);
                return Err(Error::new(Code::SectionsInconsistent, text));
            }
        }
        Ok(())
    }

    /// Checks that a symbol table that is not loaded, and whose values may have to change, is apart from what is.
    fn check_symtabs(&self) -> Result<(), Error> {
        let mut taken = vec![
            (0, FileHeader::size(self.bytes.class)),
            (self.header.e_phoff, self.header.program_headers_end()),
            (self.header.e_shoff, self.sections_end()),
        ];
        taken.extend(self.loads.iter().map(|load| (load.p_offset, load.end())));
        for (index, section) in self.sections.iter().enumerate() {
            if section.sh_type == elf::SHT_SYMTAB
                && section.in_file()
                && taken.iter().any(|(start, end)| section.sh_offset < *end && section.end() > *start)
            {
                let text =
                    format_args!("section {index}: a symbol table lies over a header or a loaded segment");
                return Err(Error::new(Code::SectionsInconsistent, text));
            }
        }
        Ok(())
    }

    /// Refuses what must not be edited, though it is well formed.
    fn check_shape(&self) -> Result<(), Error> {
        let refuse = |text: &str| Err(Error::new(Code::NotEditable, text));
        let prelink = [elf::DT_GNU_PRELINKED, elf::DT_GNU_CONFLICT, elf::DT_GNU_LIBLIST];
        if self.dynamic.entries.iter().any(|(tag, _)| prelink.contains(tag)) {
            return refuse("the file is prelinked");
        }
        for (index, section) in self.sections.iter().enumerate() {
            if section.is_alloc() && section.sh_flags & elf::SHF_COMPRESSED.0 != 0 {
                return refuse(&format!("section {index} is loaded and compressed"));
            }
        }
        // Each is walked whole: many over the same bytes would take for ever.
        let kinds = [elf::SHT_SYMTAB, elf::SHT_DYNSYM];
        let tables = self.sections.iter().filter(|section| kinds.contains(&section.sh_type));
        let size = tables.fold(0, |size: u64, section| size.saturating_add(section.sh_size));
        if size > self.bytes.size() {
            let text = "the symbol tables are longer together than the file";
            return Err(Error::new(Code::SectionsInconsistent, text));
        }
        if let Some(soname) = self.dynamic.last(elf::DT_SONAME)
            && is_loader_name(self.strings.from(soname, "DT_SONAME")?)
        {
            return refuse("DT_SONAME: the file is the loader itself");
        }
        let pie = self.dynamic.last(elf::DT_FLAGS_1).unwrap_or(0) & elf::DF_1_PIE.0 != 0;
        if pie && self.dynamic.last(elf::DT_NEEDED).is_none() && !self.has_interpreter() {
            return refuse("the file is a static position-independent program");
        }
        Ok(())
    }

    /// Whether there is a PT_INTERP.
    pub fn has_interpreter(&self) -> bool {
        self.segments.iter().any(|segment| segment.p_type == PT_INTERP)
    }
}

fn loaded_sections(sections: &[Section]) -> Vec<(u64, usize)> {
    let all = sections.iter().enumerate();
    let loaded = all.filter(|(_, section)| section.is_alloc() && section.sh_size > 0);
    let mut found: Vec<(u64, usize)> = loaded.map(|(index, section)| (section.sh_addr, index)).collect();
    found.sort_unstable();
    found
}
