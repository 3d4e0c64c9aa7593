//! Section headers (`Elfxx_Shdr`): kept in step for other tools by the editor, never believed by the reader.

use object::elf::{self, SHN_XINDEX, SectionType};

use crate::error::{Code, Error};
use crate::header::FileHeader;
use crate::image::{Class, Image, Pack};

/// One section header, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// An offset into the section that `e_shstrndx` names.
    pub sh_name: u32,
    /// SHT_*.
    pub sh_type: SectionType,
    /// SHF_*.
    pub sh_flags: u64,
    /// Where it is in memory, 0 if nowhere.
    pub sh_addr: u64,
    /// Where it is in the file.
    pub sh_offset: u64,
    /// Its size in bytes; SHT_NOBITS has none of them in the file.
    pub sh_size: u64,
    /// The index of a section that belongs to it.
    pub sh_link: u32,
    /// By type.
    pub sh_info: u32,
    /// What its address is a multiple of.
    pub sh_addralign: u64,
    /// The size of one entry of a table.
    pub sh_entsize: u64,
}

/// sizeof(Elfxx_Shdr).
fn section_header_size(class: Class) -> u16 {
    match class {
        Class::Elf32 => 40,
        Class::Elf64 => 64,
    }
}

/// Reads the section header table; empty if the file has none. Each section is inside of the file.
pub fn read_sections(image: &Image<'_>, header: &FileHeader) -> Result<Vec<Section>, Error> {
    if header.e_shoff == 0 {
        return Ok(Vec::new());
    }
    let size = section_header_size(image.class);
    if header.e_shentsize != size {
        let text = format_args!("e_shentsize is {}, not {size}", header.e_shentsize);
        return Err(Error::new(Code::Sections, text));
    }
    let size = u64::from(size);
    let fault = |text: &str| Error::new(Code::Sections, text);
    let outside = || fault("e_shnum: the section-header table ends behind the file");
    let read = |index: u64| {
        let offset = index.checked_mul(size).and_then(|inside| header.e_shoff.checked_add(inside))?;
        Section::read(&image.window(offset, size)?)
    };
    let first = read(0).ok_or_else(|| fault("e_shoff is behind the end of the file"))?;
    // From SHN_LORESERVE on the numbers are in the first header.
    let count = match header.e_shnum {
        0 => first.sh_size,
        count => count.into(),
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    let table = count.checked_mul(size).and_then(|table| image.bytes(header.e_shoff, table));
    table.ok_or_else(outside)?;
    if u64::from(names_index(header, &first)) >= count {
        return Err(fault("e_shstrndx is not below e_shnum"));
    }
    let last = match image.class {
        Class::Elf32 => u64::from(u32::MAX),
        Class::Elf64 => u64::MAX,
    };
    let mut sections = Vec::new();
    for index in 0..count {
        let section = read(index).ok_or_else(outside)?;
        let fault = |text: &str| Error::new(Code::Sections, format_args!("section {index}: {text}"));
        if section.in_file() && image.bytes(section.sh_offset, section.sh_size).is_none() {
            return Err(fault("sh_offset + sh_size is behind the end of the file"));
        }
        if section.sh_addr.checked_add(section.sh_size).is_none_or(|end| end > last) {
            return Err(fault("sh_addr + sh_size overflows"));
        }
        sections.push(section);
    }
    Ok(sections)
}

/// The index of the section that holds the names of sections.
fn names_index(header: &FileHeader, first: &Section) -> u32 {
    if header.e_shstrndx == SHN_XINDEX.0 { first.sh_link } else { header.e_shstrndx.into() }
}

/// The name of a section, at most 64 bytes of it; empty if it has none that can be read.
pub fn section_name<'a>(
    image: &Image<'a>,
    header: &FileHeader,
    sections: &[Section],
    section: &Section,
) -> &'a [u8] {
    let index = sections.first().and_then(|first| usize::try_from(names_index(header, first)).ok());
    let Some(table) = index.and_then(|index| sections.get(index)) else { return &[] };
    let name = u64::from(section.sh_name);
    if table.sh_type != elf::SHT_STRTAB || name >= table.sh_size {
        return &[];
    }
    let start = table.sh_offset.saturating_add(name);
    let text = image.slice(start, start.saturating_add(64).min(table.end()));
    memchr::memchr(0, text).and_then(|end| text.get(..end)).unwrap_or(text)
}

impl Section {
    /// Whether it has bytes in the file.
    pub fn in_file(&self) -> bool {
        self.sh_type != elf::SHT_NOBITS && self.sh_type != elf::SHT_NULL && self.sh_size > 0
    }

    /// SHF_ALLOC: the loader gives it a place in memory.
    pub fn is_alloc(&self) -> bool {
        self.sh_flags & elf::SHF_ALLOC.0 != 0
    }

    /// The file offset behind it.
    pub fn end(&self) -> u64 {
        self.sh_offset.saturating_add(self.sh_size)
    }

    /// The address behind it.
    pub fn address_end(&self) -> u64 {
        self.sh_addr.saturating_add(self.sh_size)
    }

    /// The bytes of one section header, or `None` if a number is too large for its field.
    pub fn pack(&self, image: &Image<'_>) -> Option<Vec<u8>> {
        let pack = Pack::new(image.class, image.order).u32(self.sh_name).u32(self.sh_type.0);
        let pack = pack.word(self.sh_flags).word(self.sh_addr).word(self.sh_offset).word(self.sh_size);
        let pack = pack.u32(self.sh_link).u32(self.sh_info);
        pack.word(self.sh_addralign).word(self.sh_entsize).bytes()
    }

    fn read(entry: &Image<'_>) -> Option<Self> {
        let word = entry.class.word_size();
        // Five words as wide as the class with two Elfxx_Words between them, behind two Elfxx_Words.
        let field = |wide: u64, narrow: u64| wide.checked_mul(word)?.checked_add(narrow.checked_mul(4)?);
        Some(Self {
            sh_name: entry.u32(0)?,
            sh_type: SectionType(entry.u32(4)?),
            sh_flags: entry.word(field(0, 2)?)?,
            sh_addr: entry.word(field(1, 2)?)?,
            sh_offset: entry.word(field(2, 2)?)?,
            sh_size: entry.word(field(3, 2)?)?,
            sh_link: entry.u32(field(4, 2)?)?,
            sh_info: entry.u32(field(4, 3)?)?,
            sh_addralign: entry.word(field(4, 4)?)?,
            sh_entsize: entry.word(field(5, 4)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::identify;
    use crate::image::ByteOrder;
    use crate::tests::Words;

    fn file(e_shnum: u16) -> (Vec<u8>, FileHeader) {
        let mut words = Words::new(Class::Elf64, ByteOrder::Little);
        words.bytes(b"\x7fELF\x02\x01\x01").bytes(&[0; 9]);
        for (name, size) in [(0, 2), (7, 0x30)] {
            words
                .word(name)
                .word(3)
                .xword(2)
                .xword(0x1000)
                .xword(16)
                .xword(size)
                .word(4)
                .word(5)
                .xword(8)
                .xword(9);
        }
        let header = FileHeader {
            os_abi: 0,
            abi_version: 0,
            e_type: 3,
            e_machine: object::elf::Machine(62),
            e_phoff: 0,
            e_shoff: 16,
            e_flags: 0,
            e_phentsize: 0,
            e_phnum: 0,
            e_shentsize: 64,
            e_shnum,
            e_shstrndx: 0,
        };
        (words.data, header)
    }

    #[test]
    fn fields_and_both_ways_to_count() {
        for e_shnum in [2, 0] {
            let (data, header) = file(e_shnum);
            let sections = read_sections(&identify(&data).unwrap(), &header).unwrap();
            assert_eq!(sections.len(), 2);
            let section = sections[1];
            assert_eq!((section.sh_name, section.sh_type.0, section.sh_flags), (7, 3, 2));
            assert_eq!((section.sh_addr, section.sh_offset, section.sh_size), (0x1000, 16, 0x30));
            assert_eq!((section.sh_link, section.sh_info), (4, 5));
            assert_eq!((section.sh_addralign, section.sh_entsize), (8, 9));
        }
    }

    #[test]
    fn a_table_outside_of_the_file() {
        let (data, header) = file(3);
        let image = identify(&data).unwrap();
        assert_eq!(read_sections(&image, &header).unwrap_err().code, Code::Sections);
        let header = FileHeader { e_shnum: 2, e_shentsize: 40, ..header };
        assert_eq!(read_sections(&image, &header).unwrap_err().code, Code::Sections);
    }
}
