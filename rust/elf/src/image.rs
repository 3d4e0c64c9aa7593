//! The bytes of one file, read by class and byte order (`EI_CLASS`, `EI_DATA`) and never past their end.

/// EI_CLASS: the width of addresses, offsets and most sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// ELFCLASS32.
    Elf32,
    /// ELFCLASS64.
    Elf64,
}

impl Class {
    /// 32 or 64.
    pub fn bits(self) -> u8 {
        match self {
            Self::Elf32 => 32,
            Self::Elf64 => 64,
        }
    }

    /// The bytes of one `Elfxx_Addr`, `Elfxx_Off` or `Elfxx_Xword`.
    pub fn word_size(self) -> u64 {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }
}

/// EI_DATA: the order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// ELFDATA2LSB.
    Little,
    /// ELFDATA2MSB.
    Big,
}

/// A file in memory. Every read is checked: `None` is "not inside of the file".
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The whole file.
    pub data: &'a [u8],
    /// EI_CLASS.
    pub class: Class,
    /// EI_DATA.
    pub order: ByteOrder,
}

impl<'a> Image<'a> {
    /// The `size` bytes at `offset`.
    pub fn bytes(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.data.get(start..end)
    }

    /// The same bytes as an image of their own, to read a table by offsets from its start.
    pub fn window(&self, offset: u64, size: u64) -> Option<Image<'a>> {
        let data = self.bytes(offset, size)?;
        Some(Image { data, ..*self })
    }

    /// The length of the file in bytes.
    pub fn size(&self) -> u64 {
        // A slice is never longer than `isize::MAX`, which a u64 always holds.
        self.data.len() as u64
    }

    /// How many entries of `size` bytes there is room for.
    pub fn room(&self, size: u64) -> u64 {
        self.size().checked_div(size).unwrap_or(0)
    }

    fn array<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let start = usize::try_from(offset).ok()?;
        self.data.get(start..)?.first_chunk().copied()
    }

    /// One `unsigned char`.
    pub fn u8(&self, offset: u64) -> Option<u8> {
        self.array::<1>(offset).map(|[byte]| byte)
    }

    /// One `Elfxx_Half`.
    pub fn u16(&self, offset: u64) -> Option<u16> {
        let bytes = self.array(offset)?;
        Some(match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        })
    }

    /// One `Elfxx_Word`.
    pub fn u32(&self, offset: u64) -> Option<u32> {
        let bytes = self.array(offset)?;
        Some(match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    /// One `Elf64_Xword`.
    pub fn u64(&self, offset: u64) -> Option<u64> {
        let bytes = self.array(offset)?;
        Some(match self.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }

    /// One `Elfxx_Addr`, `Elfxx_Off` or other number as wide as the class.
    pub fn word(&self, offset: u64) -> Option<u64> {
        match self.class {
            Class::Elf32 => self.u32(offset).map(u64::from),
            Class::Elf64 => self.u64(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

    fn image(class: Class, order: ByteOrder) -> Image<'static> {
        Image { data: BYTES, class, order }
    }

    #[test]
    fn numbers_follow_class_and_byte_order() {
        let little = image(Class::Elf64, ByteOrder::Little);
        let big = image(Class::Elf32, ByteOrder::Big);
        assert_eq!(little.u16(1), Some(0x0302));
        assert_eq!(big.u16(1), Some(0x0203));
        assert_eq!(little.word(0), Some(0x0807_0605_0403_0201));
        assert_eq!(big.word(4), Some(0x0506_0708));
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let image = image(Class::Elf64, ByteOrder::Little);
        assert_eq!(image.u8(8), None);
        assert_eq!(image.u32(5), None);
        assert_eq!(image.u64(u64::MAX), None);
        assert_eq!(image.bytes(1, u64::MAX), None);
        assert_eq!(image.bytes(8, 0), Some(&[][..]));
        assert_eq!(image.window(6, 2).and_then(|part| part.u16(0)), Some(0x0807));
    }
}
