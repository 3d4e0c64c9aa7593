//! How an ELF file hangs together with others: what it asks for by symbol and what it offers, in a compact form.
//!
//! The loader looks up a symbol only if a relocation names it, so relocations are read too. The twin is
//! `python/fastwheel/_elf/links.py`.

use std::collections::{BTreeMap, HashSet};

use object::elf;

use crate::dynamic::{DT_RELR, Dynamic};
use crate::error::Error;
use crate::facts::{Name, Versions};
use crate::header::{FileHeader, identify};
use crate::image::{Class, Image};
use crate::segment::read_segments;
use crate::strings::Spent;
use crate::symbol::{Sym, SymbolTable};
use crate::version::{Versym, read_versym};

/// Relocations in Android's packed form, which is not read: every symbol counts as used.
const ANDROID: [elf::DynamicTag; 2] = [elf::DynamicTag(0x6000_000f), elf::DynamicTag(0x6000_0011)];
const SHN_ABS: u16 = 0xfff1;
const STV_DEFAULT: u8 = 0;
const STV_PROTECTED: u8 = 3;

/// One undefined dynamic symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undefined {
    /// Its name.
    pub name: Name,
    /// The version asked for.
    pub version: Option<Name>,
    /// The `vn_file` that the version is asked of.
    pub file: Option<Name>,
    /// STB_WEAK: it may stay undefined.
    pub weak: bool,
    /// 1: a relocation outside of DT_JMPREL names it, 2: one of DT_JMPREL does, 3: both, 0: none.
    pub used: u8,
}

/// The names that a file defines with one version, each list joined by NULs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionGroup {
    /// The version.
    pub name: Name,
    /// Whether its index is 2.
    pub first: bool,
    /// Names of default versions (`@@`).
    pub default: Vec<u8>,
    /// Names of others (`@`).
    pub hidden: Vec<u8>,
}

/// What a file asks for and offers. Field by field `fastwheel._elf.links.Links`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Its undefined symbols of binding other than STB_LOCAL, in table order, each combination once.
    pub undefined: Vec<Undefined>,
    /// The names that it defines without a version, joined by NULs.
    pub plain: Vec<u8>,
    /// The names that it defines with one, by version, in order of index.
    pub versions: Vec<VersionGroup>,
    /// Whether it has DT_RELR.
    pub relr: bool,
}

/// Reads what an ELF file asks for and offers; nothing without PT_DYNAMIC.
pub fn links(data: &[u8]) -> Result<Links, Error> {
    let image = identify(data)?;
    let header = FileHeader::read(&image)?;
    let segments = read_segments(&image, &header);
    let Some(dynamic) = Dynamic::read(&image, &segments)? else { return Ok(Links::default()) };
    let strings = dynamic.strings(&image)?;
    let versions = Versions::read(&image, &dynamic, &strings)?;
    let table = SymbolTable::read(&image, header.e_machine, &dynamic, &strings)?.ended();
    let versym = read_versym(&image, &dynamic, table.count)?;
    let (needed, defined) = (versions.needed(), versions.defined());
    let uses = Uses::read(&image, &dynamic, table.count);
    let mut seen = HashSet::new();
    let mut groups: BTreeMap<u16, [Names; 2]> = BTreeMap::new();
    let mut plain = Names::default();
    let mut spent = Spent::default();
    let mut undefined = Vec::new();
    for (index, symbol) in (1_u64..).zip(table.iter()) {
        if symbol.binding() == elf::STB_LOCAL || !(symbol.is_undefined() || is_offered(&symbol)) {
            continue;
        }
        let name = strings.get(symbol.st_name.into(), "st_name", &mut spent)?;
        if name.is_empty() {
            continue;
        }
        let entry = versym.and_then(|table| table.u16(index.saturating_mul(2)));
        let versym = entry.map_or(Versym::GLOBAL, Versym);
        let version = versym.index();
        if symbol.is_undefined() {
            let asked = needed.get(&version).copied().filter(|_| version > 1);
            let (version, file) = asked.unzip();
            let weak = symbol.binding() == elf::STB_WEAK;
            let used = uses.of(index);
            if seen.insert((name, asked, weak, used)) {
                let (version, file) = (version.map(<[u8]>::to_vec), file.map(<[u8]>::to_vec));
                undefined.push(Undefined { name: name.to_vec(), version, file, weak, used });
            }
        } else if version > 1 && defined.contains_key(&version) {
            let [default, hidden] = groups.entry(version).or_default();
            if versym.hidden() { hidden.add(name) } else { default.add(name) }
        } else if !versym.hidden() {
            plain.add(name);
        }
    }
    let group = |(index, [default, hidden]): (u16, [Names; 2])| VersionGroup {
        name: defined.get(&index).copied().unwrap_or_default().to_vec(),
        first: index == 2,
        default: default.0,
        hidden: hidden.0,
    };
    Ok(Links {
        undefined,
        plain: plain.0,
        versions: groups.into_iter().map(group).collect(),
        relr: dynamic.last(DT_RELR).is_some(),
    })
}

/// Whether a defined symbol is one that a look-up by the loader may find.
fn is_offered(symbol: &Sym) -> bool {
    let kind = symbol.kind();
    matches!(symbol.visibility(), STV_DEFAULT | STV_PROTECTED)
        && kind != elf::STT_SECTION
        && kind != elf::STT_FILE
        && (symbol.st_value != 0 || symbol.st_shndx == SHN_ABS || kind == elf::STT_TLS)
}

/// Names joined by NULs.
#[derive(Default)]
struct Names(Name);

impl Names {
    fn add(&mut self, name: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(0);
        }
        self.0.extend_from_slice(name);
    }
}

/// By which relocations each symbol is named; `None` stands for all: where a table is not in the file part of one PT_LOAD,
/// or in a form that is not read.
struct Uses(Option<Vec<u8>>);

impl Uses {
    fn read(image: &Image<'_>, dynamic: &Dynamic, symbols: u64) -> Self {
        Self(Self::table(image, dynamic, symbols))
    }

    fn of(&self, index: u64) -> u8 {
        let Some(uses) = &self.0 else { return 3 };
        usize::try_from(index).ok().and_then(|index| uses.get(index)).copied().unwrap_or(0)
    }

    fn table(image: &Image<'_>, dynamic: &Dynamic, symbols: u64) -> Option<Vec<u8>> {
        if ANDROID.iter().any(|tag| dynamic.last(*tag).is_some()) {
            return None;
        }
        let word = image.class.word_size();
        let (short, long) = (word.checked_mul(2)?, word.checked_mul(3)?);
        let with_addends = dynamic.last(elf::DT_PLTREL) == Some(elf::DT_RELA.0.unsigned_abs());
        let tables = [
            (elf::DT_RELA, elf::DT_RELASZ, long, 1),
            (elf::DT_REL, elf::DT_RELSZ, short, 1),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ, if with_addends { long } else { short }, 2),
        ];
        let mut spans = Vec::new();
        for (tag, size_tag, entry, mark) in tables {
            let (Some(address), Some(size)) = (dynamic.last(tag), dynamic.last(size_tag)) else { continue };
            if size == 0 {
                continue;
            }
            let window = dynamic.space.from(image, address)?.window(0, size)?;
            spans.push((dynamic.space.offset_of(address)?, window, entry, mark));
        }
        let jump = spans.iter().find(|span| span.3 == 2).map(|span| span.0);
        let mut uses = vec![0; usize::try_from(symbols).ok()?];
        for (start, window, entry, mark) in spans {
            // Some linkers count DT_JMPREL as the end of DT_RELA too.
            let size = match jump {
                Some(jump) if mark == 1 && start < jump => window.size().min(jump.checked_sub(start)?),
                _ => window.size(),
            };
            let window = window.window(0, size)?;
            for number in 0..window.room(entry) {
                let info = window.word(number.checked_mul(entry)?.checked_add(word)?)?;
                let index = if image.class == Class::Elf64 { info >> 32 } else { info >> 8 };
                if let Some(use_) = usize::try_from(index).ok().and_then(|index| uses.get_mut(index)) {
                    *use_ |= mark;
                }
            }
        }
        Some(uses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Builder;

    #[test]
    fn nothing_without_a_dynamic_section() {
        for builder in Builder::all() {
            let bytes = builder.bytes();
            assert_eq!(links(&bytes).unwrap(), Links::default());
        }
    }
}
