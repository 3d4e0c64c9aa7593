//! Reading: the bytes of an ELF file in, [`Facts`] or [`Symbol`]s out.
//!
//! The order of the checks is the order of the calls in [`read`]; the first fault wins. Tolerant where the loader is (no
//! sections, no symbols, counts that it does not look at), strict about bounds. `python/fastwheel/_elf/facts.py` is the twin.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use object::elf;

use crate::dynamic::Dynamic;
use crate::error::Error;
use crate::header::{FileHeader, identify};
use crate::image::{ByteOrder, Class, Image};
use crate::note::read_notes;
use crate::segment::{Segment, read_interpreter, read_segments};
use crate::strings::{Spent, StringTable};
use crate::symbol::{Sym, SymbolTable};
use crate::version::{Verdef, Verneed, Versym, read_definitions, read_needs, read_versym};

/// How the names of the functions begin that tell a Python extension module.
const INIT: [&[u8]; 4] = [b"PyInit", b"PyModExport_", b"init", b"_cffi_pypyinit_"];

const DF_TEXTREL: u64 = 4;
const VER_FLG_BASE: u16 = 1;
const VER_FLG_WEAK: u16 = 2;

/// A string of the file: any bytes but NUL.
pub type Name = Vec<u8>;

/// One version that a file needs from a library (`Elfxx_Vernaux`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Such as `GLIBC_2.17`.
    pub name: Name,
    /// `vna_other`.
    pub index: u16,
    /// VER_FLG_WEAK: the loader does not insist on it.
    pub weak: bool,
}

/// The versions needed from one library (`Elfxx_Verneed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNeed {
    /// `vn_file`, normally a DT_NEEDED name.
    pub file: Name,
    /// The versions.
    pub versions: Vec<Version>,
}

/// One version that a library defines (`Elfxx_Verdef`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionDefinition {
    /// Such as `LIBXML2_2.4.30`; of the base entry: the library's own name.
    pub name: Name,
    /// `vd_ndx`.
    pub index: u16,
    /// VER_FLG_BASE: names the file, not a version.
    pub base: bool,
    /// VER_FLG_WEAK.
    pub weak: bool,
    /// The versions that it inherits from.
    pub parents: Vec<Name>,
}

/// What the loader would learn of one ELF file. Field by field `fastwheel._elf.model.Facts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// EI_CLASS.
    pub class: Class,
    /// EI_DATA.
    pub byte_order: ByteOrder,
    /// EI_OSABI.
    pub os_abi: u8,
    /// EI_ABIVERSION.
    pub abi_version: u8,
    /// `e_type`.
    pub e_type: u16,
    /// `e_machine`.
    pub e_machine: u16,
    /// `e_flags`.
    pub e_flags: u32,
    /// The program headers, in file order.
    pub segments: Vec<Segment>,
    /// Whether there is a PT_DYNAMIC; without it all that follows is empty or `None`.
    pub dynamic: bool,
    /// The string of PT_INTERP.
    pub interpreter: Option<Name>,
    /// DT_SONAME.
    pub soname: Option<Name>,
    /// DT_NEEDED, in file order, duplicates kept.
    pub needed: Vec<Name>,
    /// DT_RPATH.
    pub rpath: Option<Name>,
    /// DT_RUNPATH.
    pub runpath: Option<Name>,
    /// DT_FLAGS, 0 if absent.
    pub dt_flags: u64,
    /// DT_FLAGS_1, 0 if absent.
    pub dt_flags_1: u64,
    /// DT_TEXTREL or DF_TEXTREL.
    pub text_relocations: bool,
    /// `p_flags` of PT_GNU_STACK.
    pub stack_flags: Option<u32>,
    /// The list at DT_VERNEED.
    pub version_needs: Vec<VersionNeed>,
    /// The list at DT_VERDEF.
    pub version_definitions: Vec<VersionDefinition>,
    /// Names of undefined symbols of binding other than STB_WEAK or STB_LOCAL, in table order, without duplicates.
    pub undefined: Vec<Name>,
    /// The same for STB_WEAK.
    pub undefined_weak: Vec<Name>,
    /// Defined, non-local functions whose names tell a Python extension module.
    pub init_functions: Vec<Name>,
    /// The bytes of NT_GNU_BUILD_ID.
    pub build_id: Option<Vec<u8>>,
    /// GNU_PROPERTY_X86_ISA_1_NEEDED, 0 if absent.
    pub x86_isa_needed: u32,
}

/// One entry of the dynamic symbol table, with its version. Field by field `fastwheel._elf.model.Symbol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// From DT_STRTAB.
    pub name: &'a [u8],
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
    /// STT_*.
    pub kind: u8,
    /// STB_*.
    pub binding: u8,
    /// STV_*.
    pub visibility: u8,
    /// `st_shndx`.
    pub section: u16,
    /// Of an undefined symbol the version needed, of a defined one the version defined.
    pub version: Option<&'a [u8]>,
    /// Of an undefined symbol the `vn_file` that the version is asked of.
    pub version_file: Option<&'a [u8]>,
    /// VERSYM_HIDDEN.
    pub hidden: bool,
}

/// Reads what the loader would learn of an ELF file; of one without PT_DYNAMIC (static program, object file) what its
/// headers say.
pub fn read(data: &[u8]) -> Result<Facts, Error> {
    let image = identify(data)?;
    let header = FileHeader::read(&image)?;
    let segments = read_segments(&image, &header);
    let dynamic = Dynamic::read(&image, &segments)?;
    let interpreter = read_interpreter(&image, &segments)?;
    let notes = read_notes(&image, header.e_machine, &segments)?;
    let stack = segments.iter().rev().find(|segment| segment.p_type == elf::PT_GNU_STACK);
    let mut facts = Facts {
        class: image.class,
        byte_order: image.order,
        os_abi: header.os_abi,
        abi_version: header.abi_version,
        e_type: header.e_type,
        e_machine: header.e_machine.0,
        e_flags: header.e_flags,
        dynamic: dynamic.is_some(),
        interpreter: interpreter.map(<[u8]>::to_vec),
        stack_flags: stack.map(|segment| segment.p_flags),
        build_id: notes.build_id.map(<[u8]>::to_vec),
        x86_isa_needed: notes.x86_isa_needed,
        segments,
        soname: None,
        needed: Vec::new(),
        rpath: None,
        runpath: None,
        dt_flags: 0,
        dt_flags_1: 0,
        text_relocations: false,
        version_needs: Vec::new(),
        version_definitions: Vec::new(),
        undefined: Vec::new(),
        undefined_weak: Vec::new(),
        init_functions: Vec::new(),
    };
    if let Some(dynamic) = dynamic {
        facts.read_dynamic(&image, header.e_machine, &dynamic)?;
    }
    Ok(facts)
}

impl Facts {
    /// Fills in what PT_DYNAMIC leads to.
    fn read_dynamic(
        &mut self,
        image: &Image<'_>,
        machine: elf::Machine,
        dynamic: &Dynamic,
    ) -> Result<(), Error> {
        let strings = dynamic.strings(image)?;
        let mut spent = Spent::default();
        for (tag, value) in &dynamic.entries {
            let mut text = |field| Ok(strings.get(*value, field, &mut spent)?.to_vec());
            match *tag {
                elf::DT_NEEDED => self.needed.push(text("DT_NEEDED")?),
                elf::DT_SONAME => self.soname = Some(text("DT_SONAME")?),
                elf::DT_RPATH => self.rpath = Some(text("DT_RPATH")?),
                elf::DT_RUNPATH => self.runpath = Some(text("DT_RUNPATH")?),
                _ => {}
            }
        }
        self.dt_flags = dynamic.last(elf::DT_FLAGS).unwrap_or(0);
        self.dt_flags_1 = dynamic.last(elf::DT_FLAGS_1).unwrap_or(0);
        self.text_relocations = dynamic.last(elf::DT_TEXTREL).is_some() || self.dt_flags & DF_TEXTREL != 0;
        let needs = read_needs(image, dynamic, &strings)?;
        self.version_needs = needs.iter().map(VersionNeed::of).collect();
        let definitions = read_definitions(image, dynamic, &strings)?;
        self.version_definitions = definitions.iter().map(VersionDefinition::of).collect();
        let table = SymbolTable::read(image, machine, dynamic, &strings)?.ended();
        self.read_names(&table, &strings)
    }

    /// Fills in the three lists of symbol names. Empty names are left out.
    fn read_names(&mut self, table: &SymbolTable<'_>, strings: &StringTable<'_>) -> Result<(), Error> {
        let (mut undefined, mut weak, mut init) =
            (Offsets::default(), Offsets::default(), Offsets::default());
        for symbol in table.iter() {
            let name = strings.from(symbol.st_name.into(), "st_name")?;
            match symbol.binding() {
                binding if symbol.is_undefined() => match binding {
                    elf::STB_WEAK => weak.add(&symbol),
                    elf::STB_LOCAL => {}
                    _ => undefined.add(&symbol),
                },
                elf::STB_LOCAL => {}
                _ if symbol.kind() == elf::STT_FUNC && INIT.iter().any(|start| name.starts_with(start)) => {
                    init.add(&symbol);
                }
                _ => {}
            }
        }
        self.undefined = undefined.names(strings)?;
        self.undefined_weak = weak.names(strings)?;
        self.init_functions = init.names(strings)?;
        Ok(())
    }
}

/// Distinct `st_name`s in table order.
#[derive(Default)]
struct Offsets {
    order: Vec<u32>,
    seen: HashSet<u32>,
}

impl Offsets {
    fn add(&mut self, symbol: &Sym) {
        if self.seen.insert(symbol.st_name) {
            self.order.push(symbol.st_name);
        }
    }

    /// The names there, each once: two offsets may hold the same.
    fn names(&self, strings: &StringTable<'_>) -> Result<Vec<Name>, Error> {
        let mut spent = Spent::default();
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for offset in &self.order {
            let name = strings.get((*offset).into(), "st_name", &mut spent)?;
            if !name.is_empty() && seen.insert(name) {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }
}

impl VersionNeed {
    fn of(need: &Verneed<'_>) -> Self {
        let version = |aux: &crate::version::Vernaux<'_>| Version {
            name: aux.name.to_vec(),
            index: aux.other,
            weak: aux.flags & VER_FLG_WEAK != 0,
        };
        Self { file: need.file.to_vec(), versions: need.aux.iter().map(version).collect() }
    }
}

impl VersionDefinition {
    fn of(definition: &Verdef<'_>) -> Self {
        Self {
            name: definition.name().to_vec(),
            index: definition.index,
            base: definition.flags & VER_FLG_BASE != 0,
            weak: definition.flags & VER_FLG_WEAK != 0,
            parents: definition.parents().map(<[u8]>::to_vec).collect(),
        }
    }
}

/// Reads the dynamic symbols from index 1 on, with their versions; none without PT_DYNAMIC.
pub fn symbols(data: &[u8]) -> Result<Vec<Symbol<'_>>, Error> {
    let image = identify(data)?;
    let header = FileHeader::read(&image)?;
    let segments = read_segments(&image, &header);
    let Some(dynamic) = Dynamic::read(&image, &segments)? else { return Ok(Vec::new()) };
    let strings = dynamic.strings(&image)?;
    let versions = Versions::read(&image, &dynamic, &strings)?;
    let table = SymbolTable::read(&image, header.e_machine, &dynamic, &strings)?.ended();
    let versym = read_versym(&image, &dynamic, table.count)?;
    let (needed, defined) = (versions.needed(), versions.defined());
    let mut names: HashMap<u32, &[u8]> = HashMap::new();
    let mut spent = Spent::default();
    let mut symbols = Vec::new();
    for (index, symbol) in (1_u64..).zip(table.iter()) {
        let name = match names.entry(symbol.st_name) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => *free.insert(strings.get(symbol.st_name.into(), "st_name", &mut spent)?),
        };
        let entry = versym.and_then(|table| table.u16(index.saturating_mul(2)));
        let versym = entry.map_or(Versym::GLOBAL, Versym);
        let (version, version_file) = match versym.index() {
            0 | 1 => (None, None),
            index if symbol.is_undefined() => needed.get(&index).copied().unzip(),
            index => (defined.get(&index).copied(), None),
        };
        symbols.push(Symbol {
            name,
            value: symbol.st_value,
            size: symbol.st_size,
            kind: symbol.kind().0,
            binding: symbol.binding().0,
            visibility: symbol.visibility(),
            section: symbol.st_shndx,
            version,
            version_file,
            hidden: versym.hidden(),
        });
    }
    Ok(symbols)
}

/// The versions of a file, by the index that DT_VERSYM uses; the first record of an index counts.
pub(crate) struct Versions<'a> {
    needs: Vec<Verneed<'a>>,
    definitions: Vec<Verdef<'a>>,
}

impl<'a> Versions<'a> {
    /// Reads both lists.
    pub(crate) fn read(
        image: &Image<'a>,
        dynamic: &Dynamic,
        strings: &StringTable<'a>,
    ) -> Result<Self, Error> {
        let needs = read_needs(image, dynamic, strings)?;
        let definitions = read_definitions(image, dynamic, strings)?;
        Ok(Self { needs, definitions })
    }

    /// (version, `vn_file`)
    pub(crate) fn needed(&self) -> HashMap<u16, (&'a [u8], &'a [u8])> {
        let mut found = HashMap::new();
        for need in &self.needs {
            for aux in &need.aux {
                found.entry(Versym(aux.other).index()).or_insert((aux.name, need.file));
            }
        }
        found
    }

    pub(crate) fn defined(&self) -> HashMap<u16, &'a [u8]> {
        let mut found = HashMap::new();
        for definition in &self.definitions {
            found.entry(Versym(definition.index).index()).or_insert(definition.name());
        }
        found
    }
}
