//! The dynamic symbol table (`Elfxx_Sym`) and the hash tables that tell its length.

use object::elf;
use object::elf::{EM_ALPHA, EM_S390, Machine};

use crate::dynamic::{DT_RELR, Dynamic};
use crate::error::{Code, Error};
use crate::image::{ByteOrder, Class, Image};
use crate::strings::StringTable;

/// Entries that point to tables, of which one may begin behind the symbols.
pub(crate) const NEIGHBOURS: [elf::DynamicTag; 10] = [
    elf::DT_HASH,
    elf::DT_STRTAB,
    elf::DT_RELA,
    elf::DT_REL,
    elf::DT_JMPREL,
    DT_RELR,
    elf::DT_GNU_HASH,
    elf::DT_VERSYM,
    elf::DT_VERDEF,
    elf::DT_VERNEED,
];

/// One symbol, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sym {
    /// An offset into DT_STRTAB.
    pub st_name: u32,
    /// Binding and type.
    pub st_info: u8,
    /// Visibility.
    pub st_other: u8,
    /// The section, 0 (SHN_UNDEF) for an undefined symbol.
    pub st_shndx: u16,
    /// Its address.
    pub st_value: u64,
    /// Its size in bytes.
    pub st_size: u64,
}

impl Sym {
    fn read(entry: &Image<'_>) -> Option<Self> {
        let st_name = entry.u32(0)?;
        Some(match entry.class {
            Class::Elf32 => Self {
                st_name,
                st_value: entry.word(4)?,
                st_size: entry.word(8)?,
                st_info: entry.u8(12)?,
                st_other: entry.u8(13)?,
                st_shndx: entry.u16(14)?,
            },
            Class::Elf64 => Self {
                st_name,
                st_info: entry.u8(4)?,
                st_other: entry.u8(5)?,
                st_shndx: entry.u16(6)?,
                st_value: entry.word(8)?,
                st_size: entry.word(16)?,
            },
        })
    }

    /// STB_*.
    pub fn binding(&self) -> elf::SymbolBind {
        elf::SymbolBind(self.st_info >> 4)
    }

    /// STT_*.
    pub fn kind(&self) -> elf::SymbolType {
        elf::SymbolType(self.st_info & 15)
    }

    /// STV_*.
    pub fn visibility(&self) -> u8 {
        self.st_other & 3
    }

    /// SHN_UNDEF.
    pub fn is_undefined(&self) -> bool {
        self.st_shndx == elf::SHN_UNDEF.0
    }
}

/// The table at DT_SYMTAB.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    table: Option<Image<'a>>,
    /// Where entry 0 is in the file; 0 if there is no table.
    pub offset: u64,
    /// The number of entries, entry 0 included.
    pub count: u64,
    /// Whether a hash table gave the count; else it is an upper bound.
    pub exact: bool,
    /// If not exact: the address of the table behind that gave it, 0 if it was the end of the PT_LOAD.
    pub bound: u64,
    /// If not exact: the `st_name` not below DT_STRSZ that ended the count, 0 if none did.
    pub stop: u64,
}

/// The extent of a DT_GNU_HASH table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GnuHash {
    /// `nbuckets`.
    pub buckets: u32,
    /// How many symbols the table implies; `None` if it holds none (`symoffset` then says nothing).
    pub count: Option<u64>,
    /// Of the table in bytes.
    pub size: u64,
}

fn fault(text: impl std::fmt::Display) -> Error {
    Error::new(Code::Symbols, text)
}

/// sizeof(Elfxx_Sym).
pub fn symbol_size(class: Class) -> u64 {
    match class {
        Class::Elf32 => 16,
        Class::Elf64 => 24,
    }
}

impl<'a> SymbolTable<'a> {
    /// Finds the table and how many symbols it has, which no dynamic entry says.
    ///
    /// The count is, in this order: `nchain` of DT_HASH; the end of the last chain of DT_GNU_HASH, if it holds a symbol;
    /// else as many entries as fit between DT_SYMTAB and the nearest table behind it that another entry points to, or the
    /// end of the PT_LOAD, and as DT_VERSYM has room for, but only up to the first whose `st_name` is not below DT_STRSZ.
    pub fn read(
        image: &Image<'a>,
        machine: Machine,
        dynamic: &Dynamic,
        strings: &StringTable<'a>,
    ) -> Result<Self, Error> {
        let Some(address) = dynamic.last(elf::DT_SYMTAB) else {
            return Ok(Self { table: None, offset: 0, count: 0, exact: true, bound: 0, stop: 0 });
        };
        let size = symbol_size(image.class);
        if let Some(entry) = dynamic.last(elf::DT_SYMENT).filter(|entry| *entry != size) {
            return Err(fault(format_args!("DT_SYMENT is {entry}, not {size}")));
        }
        let table = dynamic.space.from(image, address);
        let table = table.ok_or_else(|| fault("DT_SYMTAB is in the file part of no PT_LOAD"))?;
        let offset = dynamic.space.offset_of(address).unwrap_or_default();
        let exactly = |count| Self { table: Some(table), offset, count, exact: true, bound: 0, stop: 0 };
        let mut most = table.room(size);
        if let Some(hash) = dynamic.last(elf::DT_HASH) {
            let (_, count) = hash_counts(image, machine, dynamic, hash)?;
            if count > most {
                return Err(fault("DT_HASH: nchain symbols reach behind the PT_LOAD of DT_SYMTAB"));
            }
            return Ok(exactly(count));
        }
        if let Some(hash) = dynamic.last(elf::DT_GNU_HASH)
            && let Some(count) = gnu_hash(image, dynamic, hash)?.count
        {
            if count > most {
                return Err(fault("DT_GNU_HASH: its symbols reach behind the PT_LOAD of DT_SYMTAB"));
            }
            return Ok(exactly(count));
        }
        let mut bound = 0;
        for (tag, value) in &dynamic.entries {
            if NEIGHBOURS.contains(tag)
                && let Some(distance) = value.checked_sub(address).filter(|distance| *distance > 0)
                && let Some(room) = distance.checked_div(size).filter(|room| *room < most)
            {
                (most, bound) = (room, *value);
            }
        }
        // Each symbol has a version index.
        if let Some(versions) = dynamic.last(elf::DT_VERSYM)
            && let Some(room) = dynamic.space.from(image, versions).map(|rest| rest.room(2))
            && room < most
        {
            (most, bound) = (room, versions);
        }
        let name_of = |index: u64| table.u32(index.saturating_mul(size)).map_or(u64::MAX, u64::from);
        let count = (0..most).take_while(|index| name_of(*index) < strings.size()).count() as u64;
        let stop = if count < most { name_of(count) } else { 0 };
        Ok(Self { count, exact: false, bound, stop, ..exactly(0) })
    }

    /// A table of `count` entries elsewhere in the file, such as `.symtab`.
    pub fn at(image: &Image<'a>, offset: u64, count: u64) -> Self {
        let table = image.window(offset, count.saturating_mul(symbol_size(image.class)));
        Self { table, offset, count, exact: true, bound: 0, stop: 0 }
    }

    /// The same without what is behind its first empty entry, if the count is an upper bound.
    ///
    /// There is none inside a table, but often padding behind it. Only for those that read: an editor must not forget a
    /// symbol.
    pub fn ended(self) -> Self {
        let empty =
            |index: &u64| self.entry(*index).is_some_and(|entry| entry.data.iter().all(|byte| *byte == 0));
        if self.exact {
            return self;
        }
        Self { count: (1..self.count).find(empty).unwrap_or(self.count), ..self }
    }

    /// The same table with exactly `count` entries.
    pub fn of(self, count: u64) -> Self {
        Self { count, exact: true, bound: 0, stop: 0, ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.table.map_or(&[][..], |table| table.slice(0, self.size()))
    }

    /// The bytes of the entry `index`.
    pub fn entry(&self, index: u64) -> Option<Image<'a>> {
        let table = self.table.filter(|_| index < self.count)?;
        let size = symbol_size(table.class);
        table.window(index.checked_mul(size)?, size)
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.table.map_or(0, |table| self.count.saturating_mul(symbol_size(table.class)))
    }

    /// `st_name` of every entry, entry 0 included.
    pub fn name_offsets(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (order, step) = match self.table {
            Some(table) => (table.order, symbol_size(table.class)),
            None => (ByteOrder::Little, symbol_size(Class::Elf64)),
        };
        let entries = self.bytes().chunks_exact(usize::try_from(step).unwrap_or(usize::MAX));
        entries.filter_map(<[u8]>::first_chunk).map(move |name| match order {
            ByteOrder::Little => u32::from_le_bytes(*name),
            ByteOrder::Big => u32::from_be_bytes(*name),
        })
    }

    /// Every symbol from index 1 on.
    pub fn iter(&self) -> impl Iterator<Item = Sym> + use<'a> {
        let table = *self;
        (1..self.count).map_while(move |index| Sym::read(&table.entry(index)?))
    }
}

/// The size of a DT_HASH word in bytes by the processor supplements: 4, but 8 in 64-bit files of two machines.
pub fn hash_word(class: Class, machine: Machine) -> u64 {
    let wide = class == Class::Elf64 && (machine == EM_S390 || machine == EM_ALPHA);
    if wide { 8 } else { 4 }
}

/// The size of a word of the DT_HASH table at `address`, in bytes: [`hash_word`], or 4 if the table cannot be read so.
///
/// LLD writes words of 4 bytes everywhere. Loaders of these machines look at DT_GNU_HASH.
pub fn hash_width(image: &Image<'_>, machine: Machine, dynamic: &Dynamic, address: u64) -> u64 {
    let fits = |table: Image<'_>| {
        let (buckets, chains) = table.u64(0).zip(table.u64(8))?;
        Some(buckets.checked_add(chains)?.checked_add(2)? <= table.room(8))
    };
    let size = hash_word(image.class, machine);
    if size == 8 && dynamic.space.from(image, address).and_then(fits) != Some(true) { 4 } else { size }
}

/// (`nbucket`, `nchain`) of the DT_HASH table at `address`; `nchain` is by definition the number of symbols.
pub fn hash_counts(
    image: &Image<'_>,
    machine: Machine,
    dynamic: &Dynamic,
    address: u64,
) -> Result<(u64, u64), Error> {
    let size = hash_width(image, machine, dynamic, address);
    let wide = size == 8;
    let outside = || fault("DT_HASH is in the file part of no PT_LOAD");
    let table = dynamic.space.from(image, address).ok_or_else(outside)?;
    let word = |offset| if wide { table.u64(offset) } else { table.u32(offset).map(u64::from) };
    let (nbucket, nchain) = word(0).zip(word(size)).ok_or_else(outside)?;
    let words = nbucket.checked_add(nchain).and_then(|sum| sum.checked_add(2));
    if words.is_none_or(|words| words > table.room(size)) {
        return Err(fault("DT_HASH: nbucket and nchain reach behind its PT_LOAD"));
    }
    Ok((nbucket, nchain))
}

/// Walks the DT_GNU_HASH table at `address`.
///
/// The symbols of a bucket are neighbours; the last one has bit 0 of its hash set. So the table ends with the chain of the
/// bucket that begins highest.
pub fn gnu_hash(image: &Image<'_>, dynamic: &Dynamic, address: u64) -> Result<GnuHash, Error> {
    let outside = || fault("DT_GNU_HASH is in the file part of no PT_LOAD");
    let table = dynamic.space.from(image, address).filter(|table| table.size() >= 16).ok_or_else(outside)?;
    let header = table.u32(0).zip(table.u32(4)).zip(table.u32(8));
    let ((nbuckets, symoffset), maskwords) = header.ok_or_else(outside)?;
    let bloom = u64::from(maskwords).saturating_mul(image.class.word_size());
    let buckets = bloom.saturating_add(16);
    let chains = u64::from(nbuckets).saturating_mul(4).saturating_add(buckets);
    if chains > table.size() {
        return Err(fault("DT_GNU_HASH: nbuckets and maskwords reach behind its PT_LOAD"));
    }
    let starts = (0..u64::from(nbuckets))
        .filter_map(|index| table.u32(index.saturating_mul(4).saturating_add(buckets)));
    let highest = starts.max().unwrap_or(0);
    let empty = GnuHash { buckets: nbuckets, count: None, size: chains };
    if highest == 0 {
        return Ok(empty);
    }
    let first =
        highest.checked_sub(symoffset).ok_or_else(|| fault("DT_GNU_HASH: a bucket is below symoffset"))?;
    for (index, symbol) in (u64::from(first)..).zip(u64::from(highest)..) {
        let at = index.saturating_mul(4).saturating_add(chains);
        let hash = table.u32(at);
        let hash = hash.ok_or_else(|| fault("DT_GNU_HASH: a chain reaches behind its PT_LOAD"))?;
        if hash & 1 != 0 {
            let count = Some(symbol.saturating_add(1));
            return Ok(GnuHash { count, size: at.saturating_add(4), ..empty });
        }
    }
    Ok(empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Builder, code_of};

    /// Entry 0, undefined `printf`, undefined weak `gmon`, defined function `PyInit_x`.
    fn symbols(builder: &mut Builder) {
        let [printf, gmon, init] = ["printf", "gmon", "PyInit_x"].map(|text| builder.string(text));
        let mut table = builder.words();
        for (name, info, section) in [(0, 0, 0), (printf, 0x12, 0), (gmon, 0x20, 0), (init, 0x12, 7)] {
            match table.class {
                Class::Elf32 => table.word(name).word(0x100).word(4).byte(info).byte(0).half(section),
                Class::Elf64 => table.word(name).byte(info).byte(0).half(section).xword(0x100).xword(4),
            };
        }
        builder.table(elf::DT_SYMTAB, &table);
    }

    fn sysv(builder: &mut Builder, nchain: u32) {
        let mut table = builder.words();
        table.word(1).word(nchain).word(1);
        for _ in 0..4 {
            table.word(0);
        }
        builder.table(elf::DT_HASH, &table);
    }

    fn gnu(builder: &mut Builder, symoffset: u32, bucket: u32, chain: &[u32]) {
        let mut table = builder.words();
        table.word(1).word(symoffset).word(1).word(6).addr(0).word(bucket);
        for hash in chain {
            table.word(*hash);
        }
        builder.table(elf::DT_GNU_HASH, &table);
    }

    fn assert_names(builder: &Builder) {
        let facts = crate::read(&builder.bytes()).unwrap();
        assert_eq!(facts.undefined, [b"printf"]);
        assert_eq!(facts.undefined_weak, [b"gmon"]);
        assert_eq!(facts.init_functions, [b"PyInit_x"]);
        let data = builder.bytes();
        let symbols = crate::symbols(&data).unwrap();
        let of: Vec<_> = symbols.iter().map(|s| (s.name, s.binding, s.kind, s.section)).collect();
        assert_eq!(of, [(&b"printf"[..], 1, 2, 0), (b"gmon", 2, 0, 0), (b"PyInit_x", 1, 2, 7)]);
        assert_eq!((symbols[2].value, symbols[2].size), (0x100, 4));
    }

    #[test]
    fn the_count_is_nchain_or_the_end_of_the_last_chain_or_what_fits() {
        for mut builder in Builder::all() {
            symbols(&mut builder);
            let mut with = builder.clone();
            sysv(&mut with, 4);
            assert_names(&with);
            let mut with = builder.clone();
            gnu(&mut with, 3, 3, &[0x1235]);
            assert_names(&with);
            // An empty table says nothing: up to the table behind.
            gnu(&mut builder, 9, 0, &[]);
            assert_names(&builder);
        }
    }

    #[test]
    fn hash_tables_that_reach_outside() {
        let mut builder = Builder::new(Class::Elf64, ByteOrder::Big);
        symbols(&mut builder);
        let mut bad = Vec::new();
        for nchain in [1 << 20, u32::MAX] {
            bad.push(builder.clone());
            sysv(bad.last_mut().unwrap(), nchain);
        }
        for (symoffset, bucket) in [(4, 3), (3, u32::MAX), (0, 1000)] {
            bad.push(builder.clone());
            gnu(bad.last_mut().unwrap(), symoffset, bucket, &[2, 2, 2]);
        }
        builder.entries.push((elf::DT_SYMENT, 16));
        bad.push(builder);
        for builder in bad {
            assert_eq!(code_of(crate::read(&builder.bytes())), Code::Symbols);
        }
    }
}
