//! Program headers (`Elfxx_Phdr`) and what they map where: the only way from an address to the file.

use object::elf::{PT_INTERP, PT_LOAD, ProgramType};

use crate::error::{Code, Error};
use crate::header::FileHeader;
use crate::image::{Class, Image, Pack};

/// The kernel takes no longer path.
pub(crate) const LONGEST_INTERPRETER: u64 = 4096;

/// One program header, as stored; `p_paddr` means nothing to a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// PT_*.
    pub p_type: ProgramType,
    /// PF_X 1, PF_W 2, PF_R 4.
    pub p_flags: u32,
    /// Where its bytes begin in the file.
    pub p_offset: u64,
    /// Where they belong in memory.
    pub p_vaddr: u64,
    /// How many there are in the file.
    pub p_filesz: u64,
    /// How many in memory, the rest being zero.
    pub p_memsz: u64,
    /// What `p_vaddr` and `p_offset` agree modulo of.
    pub p_align: u64,
}

impl Segment {
    fn read(entry: &Image<'_>) -> Option<Self> {
        let p_type = ProgramType(entry.u32(0)?);
        Some(match entry.class {
            Class::Elf32 => Self {
                p_type,
                p_offset: entry.word(4)?,
                p_vaddr: entry.word(8)?,
                p_filesz: entry.word(16)?,
                p_memsz: entry.word(20)?,
                p_flags: entry.u32(24)?,
                p_align: entry.word(28)?,
            },
            Class::Elf64 => Self {
                p_type,
                p_flags: entry.u32(4)?,
                p_offset: entry.word(8)?,
                p_vaddr: entry.word(16)?,
                p_filesz: entry.word(32)?,
                p_memsz: entry.word(40)?,
                p_align: entry.word(48)?,
            },
        })
    }

    /// The bytes of one program header, or `None` if a number is too large for its field.
    pub fn pack(&self, image: &Image<'_>, p_paddr: u64) -> Option<Vec<u8>> {
        let pack = Pack::new(image.class, image.order).u32(self.p_type.0);
        match image.class {
            Class::Elf32 => pack
                .word(self.p_offset)
                .word(self.p_vaddr)
                .word(p_paddr)
                .word(self.p_filesz)
                .word(self.p_memsz)
                .u32(self.p_flags)
                .word(self.p_align),
            Class::Elf64 => pack
                .u32(self.p_flags)
                .word(self.p_offset)
                .word(self.p_vaddr)
                .word(p_paddr)
                .word(self.p_filesz)
                .word(self.p_memsz)
                .word(self.p_align),
        }
        .bytes()
    }

    /// The file offset behind its last byte there.
    pub fn end(&self) -> u64 {
        self.p_offset.saturating_add(self.p_filesz)
    }

    /// The address behind its last byte that is in the file.
    pub fn file_part_end(&self) -> u64 {
        self.p_vaddr.saturating_add(self.p_filesz)
    }

    /// The address behind its last byte.
    pub fn memory_end(&self) -> u64 {
        self.p_vaddr.saturating_add(self.p_memsz)
    }

    /// Whether it loads `address`, be it from the file or as zero.
    pub fn loads(&self, address: u64) -> bool {
        self.p_vaddr <= address && address < self.memory_end()
    }

    /// The bytes of the segment in the file, if they are all there.
    pub fn content<'a>(&self, image: &Image<'a>) -> Option<Image<'a>> {
        image.window(self.p_offset, self.p_filesz)
    }
}

/// Reads the program header table.
pub fn read_segments(image: &Image<'_>, header: &FileHeader) -> Vec<Segment> {
    // `FileHeader::read` has found the table to be inside of the file.
    let Some(table) = header.program_headers(image) else { return Vec::new() };
    let size = u64::from(header.e_phentsize);
    (0..u64::from(header.e_phnum))
        .map_while(|index| Segment::read(&table.window(index.checked_mul(size)?, size)?))
        .collect()
}

/// `p_paddr` of each program header: no loader reads it, the editor keeps it in step.
pub fn physical_addresses(image: &Image<'_>, header: &FileHeader) -> Vec<u64> {
    let Some(table) = header.program_headers(image) else { return Vec::new() };
    let size = u64::from(header.e_phentsize);
    let inside = match image.class {
        Class::Elf32 => 12,
        Class::Elf64 => 24,
    };
    (0..u64::from(header.e_phnum))
        .map_while(|index| table.word(index.checked_mul(size)?.checked_add(inside)?))
        .collect()
}

/// The string of the first PT_INTERP, the one that the kernel takes.
pub fn read_interpreter<'a>(image: &Image<'a>, segments: &[Segment]) -> Result<Option<&'a [u8]>, Error> {
    let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_INTERP) else { return Ok(None) };
    let fault = |text: &str| Error::new(Code::Segment, text);
    let content = segment
        .content(image)
        .ok_or_else(|| fault("PT_INTERP: p_offset + p_filesz is behind the end of the file"))?;
    if content.size() > LONGEST_INTERPRETER {
        return Err(fault("PT_INTERP is longer than 4096 bytes"));
    }
    let end = memchr::memchr(0, content.data).ok_or_else(|| fault("PT_INTERP is not ended by a NUL"))?;
    Ok(content.data.get(..end))
}

/// What the PT_LOADs map: the way from an address to the bytes there.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    /// In ascending order of `p_vaddr`, none overlapping another.
    loads: Vec<Segment>,
    /// The program header of each.
    indices: Vec<usize>,
}

impl AddressSpace {
    /// Checks what every use of an address leans on: each PT_LOAD inside of the file, ascending, none over another.
    pub fn new(image: &Image<'_>, segments: &[Segment]) -> Result<Self, Error> {
        let last = match image.class {
            Class::Elf32 => u64::from(u32::MAX),
            Class::Elf64 => u64::MAX,
        };
        let (mut loads, mut indices) = (Vec::new(), Vec::new());
        let mut free_from = 0;
        for (index, segment) in segments.iter().enumerate() {
            if segment.p_type != PT_LOAD {
                continue;
            }
            let fault = |text: &str| Error::new(Code::Segment, format_args!("PT_LOAD {index}: {text}"));
            if segment.content(image).is_none() {
                return Err(fault("p_offset + p_filesz is behind the end of the file"));
            }
            if segment.p_filesz > segment.p_memsz {
                return Err(fault("p_filesz is greater than p_memsz"));
            }
            let end = segment.p_vaddr.checked_add(segment.p_memsz).filter(|end| *end <= last);
            let end = end.ok_or_else(|| fault("p_vaddr + p_memsz overflows"))?;
            if segment.p_vaddr < free_from {
                return Err(fault("p_vaddr is below the end of the PT_LOAD before it"));
            }
            free_from = end;
            loads.push(*segment);
            indices.push(index);
        }
        Ok(Self { loads, indices })
    }

    /// The PT_LOAD whose file part holds `address`.
    pub fn load_at(&self, address: u64) -> Option<&Segment> {
        self.loads.get(self.rank_at(address)?)
    }

    /// The index of its program header.
    pub fn index_at(&self, address: u64) -> Option<usize> {
        self.indices.get(self.rank_at(address)?).copied()
    }

    /// Every PT_LOAD with the index of its program header, ascending.
    pub fn loads(&self) -> impl DoubleEndedIterator<Item = (usize, &Segment)> {
        self.indices.iter().copied().zip(&self.loads)
    }

    fn rank_at(&self, address: u64) -> Option<usize> {
        let above = self.loads.partition_point(|load| load.p_vaddr <= address);
        let rank = above.checked_sub(1)?;
        let load = self.loads.get(rank)?;
        (address.checked_sub(load.p_vaddr)? < load.p_filesz).then_some(rank)
    }

    /// The file offset of the byte that is loaded to `address`.
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let load = self.load_at(address)?;
        load.p_offset.checked_add(address.checked_sub(load.p_vaddr)?)
    }

    /// What is loaded from `address` on, to the end of the file part of its PT_LOAD.
    pub fn from<'a>(&self, image: &Image<'a>, address: u64) -> Option<Image<'a>> {
        let load = self.load_at(address)?;
        let inside = address.checked_sub(load.p_vaddr)?;
        image.window(load.p_offset.checked_add(inside)?, load.p_filesz.checked_sub(inside)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ByteOrder;
    use crate::tests::{Builder, code_of, load};

    fn space(loads: &[Segment]) -> Result<AddressSpace, Error> {
        let image = Image { data: &[0; 100], class: Class::Elf64, order: ByteOrder::Little };
        AddressSpace::new(&image, loads)
    }

    #[test]
    fn an_address_is_found_in_the_file_part_only() {
        let space = space(&[load(0, 0x1000, 40, 40), load(40, 0x2028, 60, 80)]).unwrap();
        assert_eq!(space.offset_of(0xfff), None);
        assert_eq!(space.offset_of(0x1000), Some(0));
        assert_eq!(space.offset_of(0x1027), Some(39));
        assert_eq!(space.offset_of(0x1028), None);
        assert_eq!(space.offset_of(0x2028), Some(40));
        assert_eq!(space.offset_of(0x2028 + 59), Some(99));
        assert_eq!(space.offset_of(0x2028 + 60), None);
        assert_eq!(space.offset_of(u64::MAX), None);
    }

    #[test]
    fn segments_that_no_loader_takes() {
        let bad = [
            vec![load(0, 0, 101, 101)],
            vec![load(u64::MAX, 0, 1, 1)],
            vec![load(0, 0, 10, 9)],
            vec![load(0, u64::MAX, 10, 10)],
            vec![load(0, 0x1000, 10, 10), load(10, 0x1009, 10, 10)],
            vec![load(0, 0x1000, 10, 10), load(10, 0, 10, 10)],
        ];
        for loads in bad {
            assert_eq!(code_of(space(&loads)), Code::Segment, "{loads:?}");
        }
    }

    #[test]
    fn interpreter_is_a_string() {
        let mut builder = Builder::new(Class::Elf64, ByteOrder::Little);
        builder.interpreter = b"/lib/ld.so\0".to_vec();
        assert_eq!(crate::read(&builder.bytes()).unwrap().interpreter, Some(b"/lib/ld.so".to_vec()));
        builder.interpreter = b"/lib/ld.so".to_vec();
        assert_eq!(code_of(crate::read(&builder.bytes())), Code::Segment);
    }
}
