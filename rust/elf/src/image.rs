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

    /// The bytes of [`start`, `end`) as far as they are in the file.
    pub fn slice(&self, start: u64, end: u64) -> &'a [u8] {
        let length = self.data.len();
        let [start, end] = [start, end].map(|at| usize::try_from(at).map_or(length, |at| at.min(length)));
        self.data.get(start..end).unwrap_or_default()
    }

    /// Whether all bytes of [`start`, `end`) are 0; an empty range is.
    pub fn is_zero(&self, start: u64, end: u64) -> bool {
        // Without an exit inside of a block the compiler compares many bytes at once.
        let blocks = self.slice(start, end).chunks(4096);
        blocks.map(|block| block.iter().fold(0, |all, byte| all | byte)).all(|all| all == 0)
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

/// The bytes of one header or table, put together by class and byte order.
#[derive(Clone, Debug)]
pub struct Pack {
    class: Class,
    order: ByteOrder,
    bytes: Vec<u8>,
    fits: bool,
}

impl Pack {
    /// Nothing yet.
    pub fn new(class: Class, order: ByteOrder) -> Self {
        Self { class, order, bytes: Vec::new(), fits: true }
    }

    /// One `Elfxx_Half`.
    #[must_use]
    pub fn half(mut self, value: u16) -> Self {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
        self
    }

    /// One `Elfxx_Word`.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
        self
    }

    /// One number as wide as the class.
    #[must_use]
    pub fn word(mut self, value: u64) -> Self {
        match self.class {
            Class::Elf32 => {
                let narrow = u32::try_from(value);
                self.fits &= narrow.is_ok();
                self.u32(narrow.unwrap_or_default())
            }
            Class::Elf64 => {
                self.bytes.extend(match self.order {
                    ByteOrder::Little => value.to_le_bytes(),
                    ByteOrder::Big => value.to_be_bytes(),
                });
                self
            }
        }
    }

    /// The bytes, or `None` if a number was too large for its field.
    pub fn bytes(self) -> Option<Vec<u8>> {
        self.fits.then_some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_again() {
        for class in [Class::Elf32, Class::Elf64] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let bytes = Pack::new(class, order).half(0x1234).u32(0x1020_3040).word(77).bytes().unwrap();
                let image = Image { data: &bytes, class, order };
                assert_eq!(
                    (image.u16(0), image.u32(2), image.word(6)),
                    (Some(0x1234), Some(0x1020_3040), Some(77))
                );
                let wide = Pack::new(class, order).word(1 << 32).bytes();
                assert_eq!(wide.is_some(), class == Class::Elf64);
            }
        }
    }

    #[test]
    fn slices_end_with_the_file() {
        let image = image(Class::Elf64, ByteOrder::Little);
        assert_eq!(image.slice(6, 100), [7, 8]);
        assert_eq!(image.slice(9, u64::MAX), [0_u8; 0]);
        assert!(image.is_zero(3, 3) && !image.is_zero(7, 8));
    }

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
