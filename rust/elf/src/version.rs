//! GNU symbol versions: needs (`Elfxx_Verneed`), definitions (`Elfxx_Verdef`) and the index of each symbol (`Elfxx_Versym`).
//!
//! The lists are followed as the loader follows them, to a `vn_next` or `vna_next` of 0; but only forward, so that no file
//! can make a reader run in circles.

use object::elf;

use crate::dynamic::Dynamic;
use crate::error::{Code, Error};
use crate::image::Image;
use crate::strings::{Spent, StringTable};

pub(crate) const VERNEED_SIZE: u64 = 16;
pub(crate) const VERNAUX_SIZE: u64 = 16;
pub(crate) const VERDEF_SIZE: u64 = 20;
pub(crate) const VERDAUX_SIZE: u64 = 8;

/// One version that the file needs of a library (`Elfxx_Vernaux`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vernaux<'a> {
    /// Where the record is in the file.
    pub position: u64,
    /// `vna_name`, an offset into DT_STRTAB.
    pub name_offset: u64,
    /// The string there.
    pub name: &'a [u8],
    /// `vna_flags`.
    pub flags: u16,
    /// `vna_other`: what DT_VERSYM calls it.
    pub other: u16,
}

/// The versions needed of one library (`Elfxx_Verneed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verneed<'a> {
    /// Where the record is in the file.
    pub position: u64,
    /// `vn_file`, an offset into DT_STRTAB.
    pub file_offset: u64,
    /// The string there.
    pub file: &'a [u8],
    /// `vn_cnt`, which the loader does not read.
    pub count: u16,
    /// The list at `vn_aux`.
    pub aux: Vec<Vernaux<'a>>,
    /// The file offset behind the last byte of the record and its list.
    pub end: u64,
}

/// One name of a version that the file defines (`Elfxx_Verdaux`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdaux<'a> {
    /// `vda_name`, an offset into DT_STRTAB.
    pub name_offset: u64,
    /// The string there.
    pub name: &'a [u8],
}

/// One version that the file defines (`Elfxx_Verdef`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdef<'a> {
    /// Where the record is in the file.
    pub position: u64,
    /// `vd_flags`.
    pub flags: u16,
    /// `vd_ndx`: what DT_VERSYM calls it.
    pub index: u16,
    /// `vd_cnt`, which the loader does not read.
    pub count: u16,
    /// The list at `vd_aux`: its own name, then those of its parents.
    pub aux: Vec<Verdaux<'a>>,
    /// The file offset behind the last byte of the record and its list.
    pub end: u64,
}

impl<'a> Verdef<'a> {
    /// The first `vda_name`.
    pub fn name(&self) -> &'a [u8] {
        self.aux.first().map(|aux| aux.name).unwrap_or_default()
    }

    /// The others.
    pub fn parents(&self) -> impl Iterator<Item = &'a [u8]> {
        self.aux.iter().skip(1).map(|aux| aux.name)
    }
}

fn fault(text: impl std::fmt::Display) -> Error {
    Error::new(Code::Versions, text)
}

/// Adds a distance that is not 0 to an offset; it must pass over the record it starts from.
fn forward(at: u64, distance: u32, size: u64, field: &str) -> Result<u64, Error> {
    let distance = u64::from(distance);
    let next = at.checked_add(distance).filter(|_| distance >= size);
    next.ok_or_else(|| fault(format_args!("{field} does not go forward")))
}

/// The list at DT_VERNEED.
pub fn read_needs<'a>(
    image: &Image<'a>,
    dynamic: &Dynamic,
    strings: &StringTable<'a>,
) -> Result<Vec<Verneed<'a>>, Error> {
    let mut needs = Vec::new();
    let Some(address) = dynamic.last(elf::DT_VERNEED) else { return Ok(needs) };
    let table = dynamic.space.from(image, address);
    let table = table.ok_or_else(|| fault("DT_VERNEED is in the file part of no PT_LOAD"))?;
    let start = dynamic.space.offset_of(address).unwrap_or_default();
    let mut records_left = table.room(VERNAUX_SIZE);
    let mut spent = Spent::default();
    let mut position = 0;
    loop {
        let record = table.window(position, VERNEED_SIZE);
        let record = record.and_then(|r| Some((r.u16(0)?, r.u16(2)?, r.u32(4)?, r.u32(8)?, r.u32(12)?)));
        let Some((vn_version, vn_cnt, vn_file, vn_aux, vn_next)) = record else {
            return Err(fault("vn_next: a record behind the end of its PT_LOAD"));
        };
        if vn_version != elf::VER_NEED_CURRENT {
            return Err(fault(format_args!("vn_version is {vn_version}")));
        }
        let file = strings.get(vn_file.into(), "vn_file", &mut spent)?;
        let mut aux = Vec::new();
        let mut end = position.saturating_add(VERNEED_SIZE);
        let (mut at, mut step) = (position, vn_aux);
        while step != 0 {
            at = forward(at, step, VERNAUX_SIZE, "vn_aux or vna_next")?;
            let record = table.window(at, VERNAUX_SIZE);
            let record = record.and_then(|r| Some((r.u16(4)?, r.u16(6)?, r.u32(8)?, r.u32(12)?)));
            let Some((flags, other, vna_name, vna_next)) = record else {
                return Err(fault("vna_next: a record behind the end of its PT_LOAD"));
            };
            records_left =
                records_left.checked_sub(1).ok_or_else(|| fault("DT_VERNEED: the vna_next lists overlap"))?;
            let name = strings.get(vna_name.into(), "vna_name", &mut spent)?;
            let position = start.saturating_add(at);
            aux.push(Vernaux { position, name_offset: vna_name.into(), name, flags, other });
            end = end.max(at.saturating_add(VERNAUX_SIZE));
            step = vna_next;
        }
        needs.push(Verneed {
            position: start.saturating_add(position),
            file_offset: vn_file.into(),
            file,
            count: vn_cnt,
            aux,
            end: start.saturating_add(end),
        });
        if vn_next == 0 {
            return Ok(needs);
        }
        position = forward(position, vn_next, VERNEED_SIZE, "vn_next")?;
    }
}

/// The list at DT_VERDEF.
pub fn read_definitions<'a>(
    image: &Image<'a>,
    dynamic: &Dynamic,
    strings: &StringTable<'a>,
) -> Result<Vec<Verdef<'a>>, Error> {
    let mut definitions = Vec::new();
    let Some(address) = dynamic.last(elf::DT_VERDEF) else { return Ok(definitions) };
    let table = dynamic.space.from(image, address);
    let table = table.ok_or_else(|| fault("DT_VERDEF is in the file part of no PT_LOAD"))?;
    let start = dynamic.space.offset_of(address).unwrap_or_default();
    let mut records_left = table.room(VERDAUX_SIZE);
    let mut spent = Spent::default();
    let mut position = 0;
    loop {
        let record = table.window(position, VERDEF_SIZE);
        let Some(record) = record.and_then(|record| VerdefRecord::read(&record)) else {
            return Err(fault("vd_next: a record behind the end of its PT_LOAD"));
        };
        if record.vd_version != elf::VER_DEF_CURRENT {
            return Err(fault(format_args!("vd_version is {}", record.vd_version)));
        }
        if record.vd_cnt == 0 {
            return Err(fault("vd_cnt is 0: a version without a name"));
        }
        let mut list = Vec::new();
        let mut end = position.saturating_add(VERDEF_SIZE);
        let (mut at, mut step) = (position, record.vd_aux);
        loop {
            at = forward(at, step, VERDAUX_SIZE, "vd_aux or vda_next")?;
            let aux = table.window(at, VERDAUX_SIZE);
            let Some((vda_name, vda_next)) = aux.and_then(|aux| aux.u32(0).zip(aux.u32(4))) else {
                return Err(fault("vda_next: a record behind the end of its PT_LOAD"));
            };
            records_left =
                records_left.checked_sub(1).ok_or_else(|| fault("DT_VERDEF: the vda_next lists overlap"))?;
            let name = strings.get(vda_name.into(), "vda_name", &mut spent)?;
            list.push(Verdaux { name_offset: vda_name.into(), name });
            end = end.max(at.saturating_add(VERDAUX_SIZE));
            if vda_next == 0 {
                break;
            }
            step = vda_next;
        }
        definitions.push(Verdef {
            position: start.saturating_add(position),
            flags: record.vd_flags,
            index: record.vd_ndx,
            count: record.vd_cnt,
            aux: list,
            end: start.saturating_add(end),
        });
        if record.vd_next == 0 {
            return Ok(definitions);
        }
        position = forward(position, record.vd_next, VERDEF_SIZE, "vd_next")?;
    }
}

/// `Elfxx_Verdef` without `vd_hash`.
struct VerdefRecord {
    vd_version: u16,
    vd_flags: u16,
    vd_ndx: u16,
    vd_cnt: u16,
    vd_aux: u32,
    vd_next: u32,
}

impl VerdefRecord {
    fn read(record: &Image<'_>) -> Option<Self> {
        Some(Self {
            vd_version: record.u16(0)?,
            vd_flags: record.u16(2)?,
            vd_ndx: record.u16(4)?,
            vd_cnt: record.u16(6)?,
            vd_aux: record.u32(12)?,
            vd_next: record.u32(16)?,
        })
    }
}

/// The entry of one symbol in the table at DT_VERSYM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versym(pub u16);

impl Versym {
    /// What a symbol has without DT_VERSYM: VER_NDX_GLOBAL.
    pub const GLOBAL: Self = Self(1);

    /// VERSYM_VERSION: the number of a version; 0 and 1 are none.
    pub fn index(self) -> u16 {
        self.0 & 0x7fff
    }

    /// VERSYM_HIDDEN.
    pub fn hidden(self) -> bool {
        self.0 & 0x8000 != 0
    }
}

/// The table at DT_VERSYM for `count` symbols; `None` where there is none.
pub fn read_versym<'a>(image: &Image<'a>, dynamic: &Dynamic, count: u64) -> Result<Option<Image<'a>>, Error> {
    let Some(address) = dynamic.last(elf::DT_VERSYM).filter(|_| count > 0) else { return Ok(None) };
    let table = dynamic.space.from(image, address);
    let table = table.ok_or_else(|| fault("DT_VERSYM is in the file part of no PT_LOAD"))?;
    let table = table.window(0, count.saturating_mul(2));
    Ok(Some(table.ok_or_else(|| fault("DT_VERSYM: the table reaches behind its PT_LOAD"))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Builder, code_of};

    /// Two needs; the first with two versions.
    fn needs(builder: &mut Builder) {
        let [libc, libm, old, new] =
            ["libc.so.6", "libm.so.6", "GLIBC_2.2.5", "GLIBC_2.34"].map(|text| builder.string(text));
        let mut table = builder.words();
        table.half(1).half(2).word(libc).word(16).word(48);
        table.word(0).half(0).half(3).word(old).word(16);
        table.word(0).half(2).half(2).word(new).word(0);
        table.half(1).half(1).word(libm).word(16).word(0);
        table.word(0).half(0).half(4).word(old).word(0);
        builder.table(elf::DT_VERNEED, &table);
    }

    #[test]
    fn needs_are_read_in_order() {
        for mut builder in Builder::all() {
            needs(&mut builder);
            let facts = crate::read(&builder.bytes()).unwrap();
            let [libc, libm] = &facts.version_needs[..] else { panic!("{facts:?}") };
            assert_eq!(libc.file, b"libc.so.6");
            let versions: Vec<_> = libc.versions.iter().map(|v| (&v.name[..], v.index, v.weak)).collect();
            assert_eq!(versions, [(&b"GLIBC_2.2.5"[..], 3, false), (b"GLIBC_2.34", 2, true)]);
            assert_eq!((libm.versions.len(), libm.versions[0].index), (1, 4));
        }
    }

    #[test]
    fn no_list_goes_backward_or_outside() {
        let mut builder = Builder::all().remove(0);
        needs(&mut builder);
        // vn_version, vn_next too near, vn_next far outside, vna_next onto itself.
        for (offset, value) in [(0, 2), (12, 4), (15, 1), (28, 1)] {
            let mut bad = builder.clone();
            bad.tables.last_mut().unwrap().1[offset] = value;
            assert_eq!(code_of(crate::read(&bad.bytes())), Code::Versions, "{offset}");
        }
    }

    #[test]
    fn definitions_have_names_and_parents() {
        for mut builder in Builder::all() {
            let [file, old, new] = ["libx.so.1", "X_1", "X_2"].map(|text| builder.string(text));
            let mut table = builder.words();
            table.half(1).half(1).half(1).half(1).word(0).word(20).word(28).word(file).word(0);
            table.half(1).half(2).half(2).half(2).word(0).word(20).word(0);
            table.word(new).word(8).word(old).word(0);
            builder.table(elf::DT_VERDEF, &table);
            let facts = crate::read(&builder.bytes()).unwrap();
            let [base, second] = &facts.version_definitions[..] else { panic!("{facts:?}") };
            assert!(base.base && !base.weak && base.name == b"libx.so.1" && base.parents.is_empty());
            assert!(!second.base && second.weak && second.name == b"X_2" && second.index == 2);
            assert_eq!(second.parents, [b"X_1"]);
        }
    }
}
