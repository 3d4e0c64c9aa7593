//! The ELF header (`Elfxx_Ehdr`): what kind of file this is and where its two header tables are.

use object::elf;

use crate::error::{Code, Error};
use crate::image::{ByteOrder, Class, Image};

/// The first four bytes of every ELF file.
pub const MAGIC: [u8; 4] = elf::ELFMAG;

/// PN_XNUM: an `e_phnum` that stands for more program headers than it can count. No loader takes it.
const PN_XNUM: u16 = 0xffff;

/// The fields of the header that mean something to a reader, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// EI_OSABI.
    pub os_abi: u8,
    /// EI_ABIVERSION.
    pub abi_version: u8,
    /// ET_*.
    pub e_type: u16,
    /// EM_*.
    pub e_machine: elf::Machine,
    /// Where the program headers begin.
    pub e_phoff: u64,
    /// Where the section headers begin, 0 for none.
    pub e_shoff: u64,
    /// Processor-specific flags.
    pub e_flags: u32,
    /// The bytes of one program header.
    pub e_phentsize: u16,
    /// Their number.
    pub e_phnum: u16,
    /// The bytes of one section header.
    pub e_shentsize: u16,
    /// Their number; 0 beside an `e_shoff`: see the first header's `sh_size`.
    pub e_shnum: u16,
    /// The index of the section that holds the names of sections.
    pub e_shstrndx: u16,
}

/// Reads `e_ident`: what the rest of the file is to be read as.
pub fn identify(data: &[u8]) -> Result<Image<'_>, Error> {
    if !data.starts_with(&MAGIC) {
        return Err(Error::new(Code::NotElf, "not an ELF file: no magic number"));
    }
    let Some([_, _, _, _, class, order, version, ..]) = data.first_chunk::<16>() else {
        return Err(Error::new(Code::Truncated, format_args!("e_ident: the file has {} bytes", data.len())));
    };
    let class = match elf::FileClass(*class) {
        elf::ELFCLASS32 => Class::Elf32,
        elf::ELFCLASS64 => Class::Elf64,
        other => return Err(Error::new(Code::Header, format_args!("EI_CLASS is {}", other.0))),
    };
    let order = match elf::DataEncoding(*order) {
        elf::ELFDATA2LSB => ByteOrder::Little,
        elf::ELFDATA2MSB => ByteOrder::Big,
        other => return Err(Error::new(Code::Header, format_args!("EI_DATA is {}", other.0))),
    };
    if *version != elf::EV_CURRENT.0 {
        return Err(Error::new(Code::Header, format_args!("EI_VERSION is {version}")));
    }
    Ok(Image { data, class, order })
}

impl FileHeader {
    /// Reads the header and checks that the program header table lies in the file.
    pub fn read(image: &Image<'_>) -> Result<Self, Error> {
        let size = Self::size(image.class);
        let header = Self::fields(image).ok_or_else(|| {
            let text = format_args!("ELF header: the file has {} bytes of {size}", image.size());
            Error::new(Code::Truncated, text)
        })?;
        let e_version = image.u32(20).unwrap_or_default();
        if e_version != u32::from(elf::EV_CURRENT.0) {
            return Err(Error::new(Code::Header, format_args!("e_version is {e_version}")));
        }
        if header.e_phnum == PN_XNUM {
            return Err(Error::new(Code::Header, "e_phnum is 0xffff"));
        }
        if header.e_phnum > 0 {
            let wanted = Self::program_header_size(image.class);
            if header.e_phentsize != wanted {
                let text = format_args!("e_phentsize is {}, not {wanted}", header.e_phentsize);
                return Err(Error::new(Code::Header, text));
            }
            if header.program_headers(image).is_none() {
                let text = "e_phoff, e_phnum: the program-header table ends behind the file";
                return Err(Error::new(Code::Truncated, text));
            }
        }
        Ok(header)
    }

    /// sizeof(Elfxx_Ehdr).
    pub fn size(class: Class) -> u64 {
        match class {
            Class::Elf32 => 52,
            Class::Elf64 => 64,
        }
    }

    /// sizeof(Elfxx_Phdr).
    fn program_header_size(class: Class) -> u16 {
        match class {
            Class::Elf32 => 32,
            Class::Elf64 => 56,
        }
    }

    /// The program header table.
    pub fn program_headers<'a>(&self, image: &Image<'a>) -> Option<Image<'a>> {
        let size = u64::from(self.e_phnum).checked_mul(u64::from(self.e_phentsize))?;
        image.window(self.e_phoff, size)
    }

    /// Whether one more program header could not be counted in `e_phnum`.
    pub fn program_headers_full(&self) -> bool {
        self.e_phnum >= PN_XNUM.saturating_sub(1)
    }

    /// The file offset behind the program header table.
    pub fn program_headers_end(&self) -> u64 {
        let size = u64::from(self.e_phnum).saturating_mul(u64::from(self.e_phentsize));
        self.e_phoff.saturating_add(size)
    }

    fn fields(image: &Image<'_>) -> Option<Self> {
        let header = image.window(0, Self::size(image.class))?;
        // From e_phoff on the offsets differ by class; e_entry and e_ehsize are passed over.
        let (phoff, shoff, flags) = match image.class {
            Class::Elf32 => (28, 32, 36_u64),
            Class::Elf64 => (32, 40, 48),
        };
        let half = |behind: u64| header.u16(flags.saturating_add(behind));
        Some(Self {
            os_abi: header.u8(7)?,
            abi_version: header.u8(8)?,
            e_type: header.u16(16)?,
            e_machine: elf::Machine(header.u16(18)?),
            e_phoff: header.word(phoff)?,
            e_shoff: header.word(shoff)?,
            e_flags: header.u32(flags)?,
            e_phentsize: half(6)?,
            e_phnum: half(8)?,
            e_shentsize: half(10)?,
            e_shnum: half(12)?,
            e_shstrndx: half(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Builder, code_of};

    #[test]
    fn both_classes_and_byte_orders() {
        for builder in Builder::all() {
            let data = builder.bytes();
            let image = identify(&data).unwrap();
            let header = FileHeader::read(&image).unwrap();
            assert_eq!((image.class, image.order), (builder.class, builder.order));
            assert_eq!((header.e_type, header.e_machine.0, header.e_flags), (3, 62, 0x1234));
            assert_eq!(header.e_phoff, FileHeader::size(image.class));
            assert_eq!(header.e_phnum, 3);
        }
    }

    #[test]
    fn every_truncation_is_told() {
        let data = Builder::all().remove(0).bytes();
        for length in 0..64 {
            let code = match length {
                0..4 => Code::NotElf,
                _ => Code::Truncated,
            };
            assert_eq!(code_of(crate::read(&data[..length])), code, "{length}");
        }
    }

    #[test]
    fn fields_that_no_loader_takes() {
        let good = Builder::new(Class::Elf64, ByteOrder::Little).bytes();
        for (offset, value) in [(4, 3), (5, 0), (6, 2), (20, 2), (54, 57)] {
            let mut data = good.clone();
            data[offset] = value;
            assert_eq!(code_of(crate::read(&data)), Code::Header, "{offset}");
        }
        let mut data = good;
        data[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(code_of(crate::read(&data)), Code::Truncated);
    }
}
