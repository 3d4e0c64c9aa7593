//! The dynamic string table: the bytes from DT_STRTAB on, DT_STRSZ of them.

use crate::error::{Code, Error};

/// The table. Strings in it may share their ends.
#[derive(Clone, Copy, Debug)]
pub struct StringTable<'a> {
    content: &'a [u8],
}

impl<'a> StringTable<'a> {
    /// The table with this content.
    pub fn new(content: &'a [u8]) -> Self {
        Self { content }
    }

    /// Its bytes.
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// DT_STRSZ.
    pub fn size(&self) -> u64 {
        self.content.len() as u64
    }

    /// All bytes from `offset` on; `field` names the reference in errors.
    pub fn from(&self, offset: u64, field: &str) -> Result<&'a [u8], Error> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.content.get(offset..));
        rest.filter(|rest| !rest.is_empty()).ok_or_else(|| {
            Error::new(Code::Strings, format_args!("{field}: string offset {offset} is not below DT_STRSZ"))
        })
    }

    /// The string at `offset`, without its NUL; `spent` is charged with its length.
    pub fn get(&self, offset: u64, field: &str, spent: &mut Spent) -> Result<&'a [u8], Error> {
        let rest = self.from(offset, field)?;
        let string = memchr::memchr(0, rest).and_then(|end| rest.get(..end)).ok_or_else(|| {
            let text = format_args!("{field}: the string at offset {offset} is not ended by a NUL");
            Error::new(Code::Strings, text)
        })?;
        spent.0 = spent.0.saturating_add(string.len() as u64);
        if spent.0 > self.size().saturating_mul(4).saturating_add(65536) {
            let text = "the strings in use are far longer together than DT_STRSZ";
            return Err(Error::new(Code::Strings, text));
        }
        Ok(string)
    }
}

/// The length of all strings that one walk has read. Bounded: a file in which thousands of references name one long string
/// was made to make readers run out of memory.
#[derive(Debug, Default)]
pub struct Spent(u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_by_a_nul_inside_of_the_table() {
        let table = StringTable::new(b"\0libc.so.6\0tail");
        let get = |offset| table.get(offset, "DT_NEEDED", &mut Spent::default());
        assert_eq!(get(0).unwrap(), b"");
        assert_eq!(get(1).unwrap(), b"libc.so.6");
        assert_eq!(get(4).unwrap(), b"c.so.6");
        for offset in [11, 15, u64::MAX] {
            assert_eq!(get(offset).unwrap_err().code, Code::Strings);
        }
    }

    #[test]
    fn one_long_string_cannot_be_read_for_ever() {
        let mut content = vec![b'a'; 65536];
        content.push(0);
        let table = StringTable::new(&content);
        let mut spent = Spent::default();
        let reads = (0..1000).take_while(|_| table.get(0, "vna_name", &mut spent).is_ok()).count();
        assert_eq!(reads, 5);
    }
}
