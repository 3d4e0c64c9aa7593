//! What is asked: an [`Edit`] turned into the new dynamic table and version-need list (elf-edit 3.2).

use std::collections::{HashMap, HashSet};

use object::elf::{self, DynamicTag};

use crate::edit::file::{ElfFile, is_loader_name};
use crate::error::{Code, Error};
use crate::facts::Name;
use crate::strings::Spent;

const LONGEST_STRING: usize = 65535;

/// What to change in the dynamic section of one ELF file. The default asks for nothing.
///
/// Replacements happen first, then removals, then additions; each also reaches the version-need records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The new DT_SONAME; `None` leaves it.
    pub soname: Option<Name>,
    /// The new DT_RUNPATH; every DT_RPATH goes. `None` leaves both.
    pub runpath: Option<Name>,
    /// The new DT_RPATH; every DT_RUNPATH goes. `None` leaves both. Not together with `runpath`.
    pub rpath: Option<Name>,
    /// Drop DT_RPATH and DT_RUNPATH. Not together with either.
    pub remove_rpath: bool,
    /// Pairs (old name, new name), applied at once: a chain a→b, b→c does not turn a into c.
    pub replace_needed: Vec<(Name, Name)>,
    /// Names to drop from DT_NEEDED.
    pub remove_needed: Vec<Name>,
    /// Names to append to DT_NEEDED, unless there already.
    pub add_needed: Vec<Name>,
    /// Allow `remove_needed` to unlink the version-need record of a removed library.
    pub drop_versions: bool,
}

/// An [`Edit`] free of contradictions.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub soname: Option<&'a [u8]>,
    /// (DT_RUNPATH or DT_RPATH, the path)
    pub search: Option<(DynamicTag, &'a [u8])>,
    pub remove_search: bool,
    pub replace: &'a [(Name, Name)],
    pub remove: &'a [Name],
    pub add: &'a [Name],
    pub drop_versions: bool,
}

/// One entry of the new dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub tag: DynamicTag,
    /// `d_val` as it is in the input; 0 if `text` is given.
    pub value: u64,
    /// The string to find a place for; `None` keeps the value.
    pub text: Option<&'a [u8]>,
    /// Index of the entry in the old table.
    pub origin: Option<usize>,
}

/// The result that is asked for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The dynamic table without its DT_NULL.
    pub entries: Vec<Entry<'a>>,
    /// For each version-need record of the input its new `vn_file`, or `None` to keep it.
    pub need_files: Vec<Option<&'a [u8]>>,
    /// For each version-need record of the input whether it stays.
    pub need_kept: Vec<bool>,
    /// False if the input is already as wanted.
    pub changed: bool,
}

impl Wanted<'_> {
    /// How many version-need records go.
    pub fn needs_dropped(&self) -> u64 {
        self.need_kept.iter().filter(|kept| !**kept).count() as u64
    }
}

fn bad_edit(text: impl std::fmt::Display) -> Error {
    Error::new(Code::BadEdit, text)
}

fn encoded<'a>(text: &'a [u8], field: &str) -> Result<&'a [u8], Error> {
    if text.is_empty() {
        return Err(bad_edit(format_args!("{field}: empty name")));
    }
    if text.contains(&0) {
        return Err(bad_edit(format_args!("{field} {}: a NUL in the name", show(text))));
    }
    if text.len() > LONGEST_STRING {
        return Err(bad_edit(format_args!("{field}: longer than {LONGEST_STRING} bytes")));
    }
    Ok(text)
}

fn encoded_path<'a>(text: &'a [u8], field: &str) -> Result<&'a [u8], Error> {
    let raw = encoded(text, field)?;
    if raw.iter().all(|byte| *byte == b':') {
        return Err(bad_edit(format_args!("{field} {}: no folder in the path", show(text))));
    }
    Ok(raw)
}

/// Checks `edit` for impossible strings and for wishes that contradict each other.
pub fn check_request(edit: &Edit) -> Result<Request<'_>, Error> {
    let one = |text: &'_ Name, field| encoded(text, field).map(drop);
    let soname = edit.soname.as_ref().map(|text| encoded(text, "soname")).transpose()?;
    if let Some(name) = soname.filter(|name| is_loader_name(name)) {
        return Err(bad_edit(format_args!("soname {}: the name of a dynamic loader", show(name))));
    }
    let runpath = edit.runpath.as_ref().map(|text| encoded_path(text, "runpath")).transpose()?;
    let rpath = edit.rpath.as_ref().map(|text| encoded_path(text, "rpath")).transpose()?;
    if runpath.is_some() && rpath.is_some() {
        return Err(bad_edit("runpath and rpath together"));
    }
    if edit.remove_rpath && (runpath.is_some() || rpath.is_some()) {
        return Err(bad_edit("remove_rpath together with runpath or rpath"));
    }
    for (old, new) in &edit.replace_needed {
        one(old, "replace_needed")?;
        one(new, "replace_needed")?;
    }
    edit.remove_needed.iter().try_for_each(|name| one(name, "remove_needed"))?;
    edit.add_needed.iter().try_for_each(|name| one(name, "add_needed"))?;
    for (index, (old, new)) in edit.replace_needed.iter().enumerate() {
        let mut before = edit.replace_needed.iter().take(index);
        if before.any(|(other_old, other_new)| other_old == old && other_new != new) {
            return Err(bad_edit(format_args!("replace_needed {}: two new names", show(old))));
        }
        if edit.remove_needed.contains(old) || edit.remove_needed.contains(new) {
            return Err(bad_edit(format_args!("replace_needed {}: also in remove_needed", show(old))));
        }
        if edit.add_needed.contains(old) && old != new {
            return Err(bad_edit(format_args!("replace_needed {}: also in add_needed", show(old))));
        }
    }
    if let Some(name) = edit.add_needed.iter().find(|name| edit.remove_needed.contains(name)) {
        return Err(bad_edit(format_args!("add_needed {}: also in remove_needed", show(name))));
    }
    Ok(Request {
        soname,
        search: runpath.map(|path| (elf::DT_RUNPATH, path)).or(rpath.map(|path| (elf::DT_RPATH, path))),
        remove_search: edit.remove_rpath,
        replace: &edit.replace_needed,
        remove: &edit.remove_needed,
        add: &edit.add_needed,
        drop_versions: edit.drop_versions,
    })
}

/// A name for a message: what is no letter, digit or ASCII is made visible as Python writes it.
fn show(raw: &[u8]) -> String {
    let mut text = String::new();
    for chunk in raw.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                ' '..='~' => text.push(letter),
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                _ if letter.is_alphanumeric() => text.push(letter),
                _ => match u32::from(letter) {
                    code @ ..=0xff => text.push_str(&format!("\\x{code:02x}")),
                    code @ ..=0xffff => text.push_str(&format!("\\u{code:04x}")),
                    code => text.push_str(&format!("\\U{code:08x}")),
                },
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    text
}

fn renamed<'a>(request: &Request<'a>, name: &'a [u8]) -> &'a [u8] {
    request.replace.iter().find(|(old, _)| old == name).map_or(name, |(_, new)| new)
}

fn removed(request: &Request<'_>, name: &[u8]) -> bool {
    request.remove.iter().any(|other| other == name)
}

/// The dynamic table and version-need list that `request` asks for.
pub fn want<'a>(file: &ElfFile<'a>, request: &Request<'a>) -> Result<Wanted<'a>, Error> {
    let old = &file.dynamic.entries;
    let entries = old.iter().enumerate();
    let mut entries: Vec<Entry<'a>> = entries
        .map(|(index, (tag, value))| Entry { tag: *tag, value: *value, text: None, origin: Some(index) })
        .collect();
    entries = want_search(file, request, entries)?;
    let mut any_removed = false;
    for entry in &entries {
        any_removed |=
            entry.tag == elf::DT_NEEDED && removed(request, renamed(request, string(file, entry)?));
    }
    entries = want_needed(file, request, entries)?;
    if let Some(soname) = request.soname {
        want_soname(file, soname, &mut entries)?;
    }
    // A record of a library that is found in another way, such as DT_FILTER, keeps that name.
    let mut needed: HashSet<&[u8]> = HashSet::new();
    for (_, value) in old.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED) {
        needed.insert(file.strings.get(*value, "d_val", &mut Spent::default())?);
    }
    let (mut need_files, mut need_kept) = (Vec::new(), Vec::new());
    for need in &file.needs {
        let name = if needed.contains(need.file) { renamed(request, need.file) } else { need.file };
        need_files.push((name != need.file).then_some(name));
        let mut keep = true;
        if removed(request, name) {
            if request.drop_versions {
                keep = false;
            } else if any_removed {
                let text = format_args!("remove_needed {}: versions of it are needed", show(name));
                let hint = Some("drop_versions makes these symbols unversioned");
                return Err(Error { hint, ..Error::new(Code::VersionNeedInUse, text) });
            }
        }
        need_kept.push(keep);
    }
    if !need_kept.is_empty() && need_kept.iter().all(|kept| !kept) {
        if !file.symbols.exact && file.dynamic.last(elf::DT_VERNEED) == Some(file.symbols.bound) {
            let text = "the number of dynamic symbols is not known for certain, and would change";
            return Err(Error::new(Code::NoRoom, text));
        }
        entries.retain(|entry| ![elf::DT_VERNEED, elf::DT_VERNEEDNUM].contains(&entry.tag));
    }
    let mut changed = need_kept.iter().any(|kept| !kept) || need_files.iter().any(Option::is_some);
    changed |= entries.len() != old.len();
    for (index, (entry, (tag, _))) in entries.iter().zip(old).enumerate() {
        changed |= entry.origin != Some(index) || entry.text.is_some() || entry.tag != *tag;
    }
    Ok(Wanted { entries, need_files, need_kept, changed })
}

fn string<'a>(file: &ElfFile<'a>, entry: &Entry<'a>) -> Result<&'a [u8], Error> {
    match entry.text {
        Some(text) => Ok(text),
        None => file.strings.get(entry.value, "d_val", &mut Spent::default()),
    }
}

/// `entry` with `tag` and `text`; its value stays if the string is the same already.
fn set<'a>(
    file: &ElfFile<'a>,
    entry: &Entry<'a>,
    tag: DynamicTag,
    text: &'a [u8],
) -> Result<Entry<'a>, Error> {
    if string(file, entry)? == text {
        return Ok(Entry { tag, text: None, ..*entry });
    }
    Ok(Entry { tag, value: 0, text: Some(text), origin: entry.origin })
}

fn new_entry(tag: DynamicTag, text: &[u8]) -> Entry<'_> {
    Entry { tag, value: 0, text: Some(text), origin: None }
}

/// DT_RUNPATH and DT_RPATH: the last RUNPATH, else the first RPATH, keeps its slot; the others go.
fn want_search<'a>(
    file: &ElfFile<'a>,
    request: &Request<'a>,
    entries: Vec<Entry<'a>>,
) -> Result<Vec<Entry<'a>>, Error> {
    if request.search.is_none() && !request.remove_search {
        return Ok(entries);
    }
    let last_runpath = entries.iter().rposition(|entry| entry.tag == elf::DT_RUNPATH);
    let first_rpath = || entries.iter().position(|entry| entry.tag == elf::DT_RPATH);
    let slot = last_runpath.or_else(first_rpath);
    let mut result = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if ![elf::DT_RUNPATH, elf::DT_RPATH].contains(&entry.tag) {
            result.push(*entry);
        } else if let Some((tag, path)) = request.search.filter(|_| slot == Some(index)) {
            result.push(set(file, entry, tag, path)?);
        }
    }
    if let Some((tag, path)) = request.search.filter(|_| slot.is_none()) {
        result.push(new_entry(tag, path));
    }
    Ok(result)
}

/// DT_NEEDED: renamed in place, merged if that made two equal, removed, then added behind the last.
fn want_needed<'a>(
    file: &ElfFile<'a>,
    request: &Request<'a>,
    entries: Vec<Entry<'a>>,
) -> Result<Vec<Entry<'a>>, Error> {
    let mut result: Vec<Entry<'a>> = Vec::new();
    // Each name that stands so far, and whether a renaming made one of those.
    let mut seen: HashMap<&[u8], bool> = HashMap::new();
    let mut position = None;
    for entry in entries {
        if entry.tag != elf::DT_NEEDED {
            result.push(entry);
            continue;
        }
        let old = string(file, &entry)?;
        let name = renamed(request, old);
        if removed(request, name) {
            continue;
        }
        let made = name != old;
        if seen.get(name).is_some_and(|other_made| *other_made || made) {
            continue;
        }
        seen.entry(name).or_insert(made);
        position = Some(result.len());
        result.push(set(file, &entry, elf::DT_NEEDED, name)?);
    }
    let mut names: HashSet<&[u8]> = seen.into_keys().collect();
    for name in request.add {
        if !names.insert(name) {
            continue;
        }
        let at = position.map_or(result.len(), |at| at.saturating_add(1));
        position = Some(at);
        result.insert(at, new_entry(elf::DT_NEEDED, name));
    }
    Ok(result)
}

/// DT_SONAME: the last one, which counts, in place; appended if there is none.
fn want_soname<'a>(file: &ElfFile<'a>, soname: &'a [u8], entries: &mut Vec<Entry<'a>>) -> Result<(), Error> {
    match entries.iter_mut().rev().find(|entry| entry.tag == elf::DT_SONAME) {
        Some(entry) => *entry = set(file, entry, elf::DT_SONAME, soname)?,
        None => entries.push(new_entry(elf::DT_SONAME, soname)),
    }
    Ok(())
}
