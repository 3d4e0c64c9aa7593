//! Tiny files made by hand, for the tests of every table.

use object::elf::{self, DynamicTag, ProgramType};

use crate::error::{Code, Error};
use crate::image::{ByteOrder, Class};
use crate::segment::Segment;

/// The code of the error that must be there.
pub fn code_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.unwrap_err().code
}

/// A PT_LOAD.
pub fn load(p_offset: u64, p_vaddr: u64, p_filesz: u64, p_memsz: u64) -> Segment {
    Segment { p_type: elf::PT_LOAD, p_flags: 4, p_offset, p_vaddr, p_filesz, p_memsz, p_align: 1 }
}

/// Bytes written by class and byte order.
#[derive(Clone, Debug)]
pub struct Words {
    pub class: Class,
    pub order: ByteOrder,
    pub data: Vec<u8>,
}

impl Words {
    pub fn new(class: Class, order: ByteOrder) -> Self {
        Self { class, order, data: Vec::new() }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.data.extend_from_slice(bytes);
        self
    }

    fn number(&mut self, value: u64, size: usize) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.bytes(&value.to_le_bytes()[..size]),
            ByteOrder::Big => self.bytes(&value.to_be_bytes()[8 - size..]),
        }
    }

    pub fn byte(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub fn half(&mut self, value: u16) -> &mut Self {
        self.number(value.into(), 2)
    }

    pub fn word(&mut self, value: u32) -> &mut Self {
        self.number(value.into(), 4)
    }

    pub fn xword(&mut self, value: u64) -> &mut Self {
        self.number(value, 8)
    }

    /// As wide as the class.
    pub fn addr(&mut self, value: u64) -> &mut Self {
        self.number(value, self.class.word_size() as usize)
    }
}

/// A shared object with one PT_LOAD over the whole file at address `BASE`, a PT_DYNAMIC at its end, and a third program
/// header: PT_INTERP or PT_NOTE, by what there is, else PT_GNU_STACK.
#[derive(Clone, Debug)]
pub struct Builder {
    pub class: Class,
    pub order: ByteOrder,
    pub interpreter: Vec<u8>,
    pub notes: Vec<u8>,
    pub strings: Vec<u8>,
    /// Tables, with the dynamic entry that points to each.
    pub tables: Vec<(DynamicTag, Vec<u8>)>,
    /// Further dynamic entries.
    pub entries: Vec<(DynamicTag, u64)>,
    /// Whether DT_NULL is there.
    pub terminated: bool,
    /// p_memsz - p_filesz.
    pub zeros_behind: u64,
}

const BASE: u64 = 0x40000;

impl Builder {
    pub fn new(class: Class, order: ByteOrder) -> Self {
        Self {
            class,
            order,
            interpreter: Vec::new(),
            notes: Vec::new(),
            strings: vec![0],
            tables: Vec::new(),
            entries: Vec::new(),
            terminated: true,
            zeros_behind: 0,
        }
    }

    /// Every class with every byte order, 64-bit little-endian first.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for class in [Class::Elf64, Class::Elf32] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                all.push(Self::new(class, order));
            }
        }
        all
    }

    pub fn words(&self) -> Words {
        Words::new(self.class, self.order)
    }

    /// Adds a string; its offset.
    pub fn string(&mut self, text: &str) -> u32 {
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    pub fn string_entry(&mut self, tag: DynamicTag, text: &str) {
        let offset = self.string(text);
        self.entries.push((tag, offset.into()));
    }

    pub fn table(&mut self, tag: DynamicTag, words: &Words) {
        self.tables.push((tag, words.data.clone()));
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (header_size, entry_size) = match self.class {
            Class::Elf32 => (52, 32),
            Class::Elf64 => (64, 56),
        };
        let mut body = self.words();
        let start = header_size + 3 * entry_size;
        let place = |body: &mut Words, content: &[u8]| {
            let at = start + body.data.len() as u64;
            body.bytes(content);
            let padded = body.data.len().next_multiple_of(8);
            body.data.resize(padded, 0);
            at
        };
        let interpreter = place(&mut body, &self.interpreter);
        let notes = place(&mut body, &self.notes);
        let mut entries = self.entries.clone();
        for (tag, content) in &self.tables {
            entries.push((*tag, BASE + place(&mut body, content)));
        }
        let strings = place(&mut body, &self.strings);
        entries.push((elf::DT_STRTAB, BASE + strings));
        entries.push((elf::DT_STRSZ, self.strings.len() as u64));
        if self.terminated {
            entries.push((elf::DT_NULL, 0));
        }
        let dynamic = start + body.data.len() as u64;
        for (tag, value) in entries {
            body.addr(tag.0.cast_unsigned()).addr(value);
        }
        let end = start + body.data.len() as u64;

        let mut file = self.words();
        let (class, order) = (self.class.bits() / 32, 1 + u8::from(self.order == ByteOrder::Big));
        file.bytes(b"\x7fELF").byte(class).byte(order).byte(1).bytes(&[0; 9]);
        file.half(3).half(62).word(1).addr(0).addr(header_size).addr(0).word(0x1234);
        file.half(header_size as u16).half(entry_size as u16).half(3).half(0).half(0).half(0);
        self.program_header(&mut file, elf::PT_LOAD, 0, end, end + self.zeros_behind);
        self.program_header(&mut file, elf::PT_DYNAMIC, dynamic, end - dynamic, end - dynamic);
        let (kind, offset, size) = if !self.interpreter.is_empty() {
            (elf::PT_INTERP, interpreter, self.interpreter.len() as u64)
        } else if !self.notes.is_empty() {
            (elf::PT_NOTE, notes, self.notes.len() as u64)
        } else {
            (elf::PT_GNU_STACK, 0, 0)
        };
        self.program_header(&mut file, kind, offset, size, size);
        file.bytes(&body.data);
        file.data
    }

    fn program_header(
        &self,
        file: &mut Words,
        kind: ProgramType,
        offset: u64,
        file_size: u64,
        memory_size: u64,
    ) {
        let address = BASE + offset;
        match self.class {
            Class::Elf32 => {
                file.word(kind.0).addr(offset).addr(address).addr(address).addr(file_size).addr(memory_size);
                file.word(4).addr(4);
            }
            Class::Elf64 => {
                file.word(kind.0).word(4).addr(offset).addr(address).addr(address).addr(file_size);
                file.addr(memory_size).addr(4);
            }
        }
    }
}
