//! The post-conditions (elf-edit 3.9), checked on the bytes of every output before anyone sees them.
//!
//! The output is read afresh; `V1` to `V10` are the names of the rules in docs/elf-edit.md. A violation is a fault of
//! fastwheel (FW900), never an output.

use std::collections::BTreeSet;

use object::elf::{self, DynamicTag};

use crate::dynamic::DT_MIPS_RLD_MAP_REL;
use crate::edit::compare::{check_bytes, check_sections, check_segments};
use crate::edit::file::{ElfFile, is_string_tag};
use crate::edit::items::POINTERS;
use crate::edit::layout::Layout;
use crate::edit::request::{Entry, Request, Wanted, want};
use crate::edit::room::is_writable;
use crate::edit::write::dropped_versions;
use crate::error::{Code, Error};
use crate::header::FileHeader;
use crate::image::Class;
use crate::strings::Spent;
use crate::symbol::{Sym, SymbolTable};
use crate::version::Versym;

/// The violation of one rule.
pub fn violation(rule: &str, text: impl std::fmt::Display) -> Error {
    let hint = Some("a fault of fastwheel; no file was changed");
    Error { hint, ..Error::new(Code::Internal, format_args!("post-condition {rule}: {text}")) }
}

/// `Err` with the violation of `rule` unless `holds`.
pub fn ensure(holds: bool, rule: &str, text: impl std::fmt::Display) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(violation(rule, text)) }
}

/// Checks that `output` is `old` with `request` done, and is the same in everything else.
///
/// `touched`: the ranges that were written, where all other bytes are known to be the input's.
pub fn check(
    old: &ElfFile<'_>,
    wanted: &Wanted<'_>,
    entries: &[Entry<'_>],
    layout: &Layout,
    output: &[u8],
    request: &Request<'_>,
    touched: Option<&[(u64, u64)]>,
) -> Result<(), Error> {
    let new = ElfFile::open(output).map_err(|error| {
        violation("V0", format_args!("the output cannot be read again: {}", error.message))
    })?;
    check_header(old, &new, layout)?;
    check_request(&new, request)?;
    check_dynamic(old, &new, wanted, entries, layout)?;
    check_versions(old, &new, wanted)?;
    check_symbols(old, &new, layout)?;
    check_tables(old, &new)?;
    check_bytes(old, &new, layout, touched)?;
    check_segments(old, &new, layout)?;
    check_sections(old, &new, wanted, layout)?;
    let writable = |file: &ElfFile<'_>| file.load(file.dynamic.load).is_some_and(is_writable);
    ensure(writable(old) == writable(&new), "V8", "PT_DYNAMIC is not as writable as before")?;
    let again = !chained(request) && want(&new, request)?.changed;
    ensure(!again, "V10", "a second run would change the file again")
}

/// Whether a new name is itself to be replaced: then a second run has something to do.
fn chained(request: &Request<'_>) -> bool {
    request.replace.iter().any(|(_, name)| request.replace.iter().any(|(old, new)| old == name && old != new))
}

/// V1: nothing in the ELF header but `e_phoff`, `e_shoff` and `e_phnum`.
fn check_header(old: &ElfFile<'_>, new: &ElfFile<'_>, layout: &Layout) -> Result<(), Error> {
    let size = FileHeader::size(old.bytes.class);
    let free = match old.bytes.class {
        Class::Elf32 => [28..36, 44..46],
        Class::Elf64 => [32..48, 56..58],
    };
    let [before, after] = [old, new].map(|file| file.bytes.slice(0, size));
    let same = before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .enumerate()
            .all(|(at, (left, right))| left == right || free.iter().any(|range| range.contains(&at)));
    ensure(same, "V1", "the ELF header differs")?;
    let moved = |offset: u64| [offset, offset.saturating_add(layout.insert_size)];
    ensure(moved(old.header.e_phoff).contains(&new.header.e_phoff), "V1", "e_phoff differs")?;
    ensure(moved(old.header.e_shoff).contains(&new.header.e_shoff), "V1", "e_shoff differs")
}

fn string_at<'a>(file: &ElfFile<'a>, offset: u64) -> Result<&'a [u8], Error> {
    file.strings.get(offset, "d_val", &mut Spent::default())
}

fn strings<'a>(file: &ElfFile<'a>, tag: DynamicTag) -> Result<Vec<&'a [u8]>, Error> {
    let entries = file.dynamic.entries.iter().filter(|(other, _)| *other == tag);
    entries.map(|(_, value)| string_at(file, *value)).collect()
}

/// V2, first half: everything that was asked holds.
fn check_request(new: &ElfFile<'_>, request: &Request<'_>) -> Result<(), Error> {
    let (sonames, needed) = (strings(new, elf::DT_SONAME)?, strings(new, elf::DT_NEEDED)?);
    let right = request.soname.is_none_or(|soname| sonames.last() == Some(&soname));
    ensure(right, "V2", "DT_SONAME is not as asked")?;
    let mut search: Vec<(DynamicTag, &[u8])> = Vec::new();
    for tag in [elf::DT_RUNPATH, elf::DT_RPATH] {
        search.extend(strings(new, tag)?.into_iter().map(|text| (tag, text)));
    }
    let right = request.search.is_none_or(|wanted| search == [wanted]);
    ensure(right, "V2", "DT_RUNPATH or DT_RPATH is not as asked")?;
    let right = !request.remove_search || search.is_empty();
    ensure(right, "V2", "DT_RUNPATH or DT_RPATH is still there")?;
    for (name, _) in request.replace {
        let made = request.replace.iter().any(|(_, other)| other == name);
        ensure(made || !needed.contains(&&name[..]), "V2", "a DT_NEEDED has its old name")?;
    }
    for name in request.remove {
        ensure(!needed.contains(&&name[..]), "V2", "a DT_NEEDED is still there")?;
    }
    for name in request.add {
        ensure(needed.contains(&&name[..]), "V2", "a DT_NEEDED is missing")?;
    }
    Ok(())
}

/// V2, second half: the entries are the expected ones in order, with the same values.
fn check_dynamic(
    old: &ElfFile<'_>,
    new: &ElfFile<'_>,
    wanted: &Wanted<'_>,
    entries: &[Entry<'_>],
    layout: &Layout,
) -> Result<(), Error> {
    let found = &new.dynamic.entries;
    ensure(entries.len() == found.len(), "V2", "the number of dynamic entries differs")?;
    let table = layout.moves.iter().map(|step| (step.item, step.size)).rfind(|(item, _)| {
        item.kind == elf::SHT_STRTAB && item.address == old.string_address && item.size > 0
    });
    let strings = table.map_or(old.strings.size(), |(_, size)| size);
    let kept = wanted.need_kept.iter().filter(|kept| **kept).count() as u64;
    for (entry, (tag, value)) in entries.iter().zip(found) {
        ensure(entry.tag == *tag, "V2", "the order of dynamic entries differs")?;
        let number = tag.0;
        if is_string_tag(old.header.e_machine, *tag) {
            let text = entry.text.map_or_else(|| string_at(old, entry.value), Ok)?;
            let same = string_at(new, *value)? == text;
            ensure(same, "V2", format_args!("the string of dynamic tag {number:#x} differs"))?;
        } else if *tag == elf::DT_STRSZ {
            ensure(*value == strings, "V2", "DT_STRSZ differs")?;
        } else if *tag == elf::DT_VERNEEDNUM {
            ensure(*value == kept, "V2", "DT_VERNEEDNUM differs")?;
        } else if !POINTERS.contains(tag) && *tag != DT_MIPS_RLD_MAP_REL {
            let text = format_args!("the value of dynamic tag {number:#x} differs");
            ensure(*value == entry.value, "V2", text)?;
        }
    }
    Ok(())
}

/// V3: the version records are the same but for what was asked.
fn check_versions(old: &ElfFile<'_>, new: &ElfFile<'_>, wanted: &Wanted<'_>) -> Result<(), Error> {
    let needs = old.needs.iter().zip(&wanted.need_files).zip(&wanted.need_kept);
    let expected: Vec<_> =
        needs.filter(|(_, kept)| **kept).map(|((need, name), _)| (name.unwrap_or(need.file), need)).collect();
    ensure(expected.len() == new.needs.len(), "V3", "the number of version-need records differs")?;
    for ((file, before), after) in expected.into_iter().zip(&new.needs) {
        let same = file == after.file && before.count == after.count && before.aux.len() == after.aux.len();
        ensure(same, "V3", "a version-need record differs")?;
        for (left, right) in before.aux.iter().zip(&after.aux) {
            // vna_hash, vna_flags, vna_other, vna_name; the editor rewrites no name of a version
            let record = |file: &ElfFile<'_>, at: u64| file.bytes.bytes(at, 12).map(<[u8]>::to_vec);
            let same = left.name == right.name && record(old, left.position) == record(new, right.position);
            ensure(same, "V3", "a needed version differs")?;
        }
    }
    let same = old.definitions.len() == new.definitions.len();
    ensure(same, "V3", "the number of version definitions differs")?;
    for (first, second) in old.definitions.iter().zip(&new.definitions) {
        let names = first.aux.iter().map(|aux| aux.name).eq(second.aux.iter().map(|aux| aux.name));
        let same = old.bytes.bytes(first.position, 20) == new.bytes.bytes(second.position, 20);
        ensure(names && same, "V3", "a version definition differs")?;
    }
    let dropped = dropped_versions(old, wanted);
    let differs = "the version index of a symbol differs";
    let (before, after) = (old.versym, new.versym);
    ensure(before.is_some() == after.is_some(), "V3", differs)?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    ensure(old.symbols.count == new.symbols.count, "V3", differs)?;
    if dropped.is_empty() {
        return ensure(before.data == after.data, "V3", differs);
    }
    for number in 0..old.symbols.count {
        let at = number.saturating_mul(2);
        let gone = before.u16(at).is_some_and(|index| dropped.contains(&Versym(index).index()));
        let expected = if gone { Some(1) } else { before.u16(at) };
        ensure(after.u16(at) == expected, "V3", differs)?;
    }
    Ok(())
}

/// Whether two symbols are the same, but for the value of those inside tables that moved.
pub fn same_symbol(before: &Sym, after: &Sym, moved: &BTreeSet<usize>) -> bool {
    let free = moved.contains(&usize::from(before.st_shndx));
    before == after || (free && Sym { st_value: before.st_value, ..*after } == *before)
}

/// The sections that move.
pub fn moved_sections(layout: &Layout) -> BTreeSet<usize> {
    layout.moves.iter().map(|step| step.item.section).filter(|section| *section > 0).collect()
}

/// V3: the dynamic symbols are the same, but for the value of those inside tables that moved.
fn check_symbols(old: &ElfFile<'_>, new: &ElfFile<'_>, layout: &Layout) -> Result<(), Error> {
    let same = old.symbols.count == new.symbols.count;
    ensure(same, "V3", "the number of dynamic symbols differs")?;
    let moved = moved_sections(layout);
    ensure(same_tables(&old.symbols, &new.symbols, &moved), "V3", "a dynamic symbol differs")?;
    let first = |table: &SymbolTable<'_>| table.entry(0).map(|entry| entry.data.to_vec());
    ensure(first(&old.symbols) == first(&new.symbols), "V3", "the first dynamic symbol differs")?;
    // The names: no byte that changed in the old part of the string table belongs to one.
    let changed = changed_strings(old.strings.content(), new.strings.content());
    if changed.is_empty() {
        return Ok(());
    }
    let hit = old.symbols.name_offsets().any(|name| {
        let name = u64::from(name);
        let before = changed.partition_point(|(start, _)| *start <= name);
        let last = before.checked_sub(1).and_then(|last| changed.get(last));
        last.is_some_and(|(_, end)| name < *end)
    });
    ensure(!hit, "V3", "the name of a dynamic symbol differs")
}

/// Whether two symbol tables of one length are the same, but for the values of symbols inside tables that moved.
pub fn same_tables(old: &SymbolTable<'_>, new: &SymbolTable<'_>, moved: &BTreeSet<usize>) -> bool {
    old.bytes() == new.bytes()
        || old.iter().zip(new.iter()).all(|(before, after)| same_symbol(&before, &after, moved))
}

/// For each byte of `before` that changed: [where the string that it is in begins, behind it); ascending and apart.
///
/// A name that begins in such a range holds the byte.
fn changed_strings(before: &[u8], after: &[u8]) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let after = after.get(..before.len()).unwrap_or(after);
    let mut seen = 0_usize;
    let mut lowest = 0_u64;
    for (block, (left, right)) in before.chunks(4096).zip(after.chunks(4096)).enumerate() {
        if left == right {
            continue;
        }
        let start = block.saturating_mul(4096);
        for (index, _) in left.iter().zip(right).enumerate().filter(|(_, (left, right))| left != right) {
            let at = start.saturating_add(index);
            // The last NUL before the byte, not looked for twice in the same place.
            if let Some(nul) = before.get(seen..at).and_then(|passed| memchr::memrchr(0, passed)) {
                lowest = seen.saturating_add(nul).saturating_add(1) as u64;
            }
            seen = at;
            let end = (at as u64).saturating_add(1);
            match found.last_mut() {
                Some((first, last)) if lowest <= *last => {
                    *first = lowest.min(*first);
                    *last = end;
                }
                _ => found.push((lowest, end)),
            }
        }
    }
    found
}

/// V2, V3: what a pointer named before and names now has the same content.
fn check_tables(old: &ElfFile<'_>, new: &ElfFile<'_>) -> Result<(), Error> {
    let extents = |file: &ElfFile<'_>| {
        let mut found = file.table_extents()?;
        found.retain(|(kind, ..)| *kind != elf::SHT_GNU_VERNEED);
        Ok::<_, Error>(found)
    };
    let (expected, found) = (extents(old)?, extents(new)?);
    let same = expected.iter().map(|(kind, ..)| kind).eq(found.iter().map(|(kind, ..)| kind));
    ensure(same, "V2", "a table is missing")?;
    for ((kind, address, size), (_, new_address, new_size)) in expected.into_iter().zip(found) {
        // These are compared by what they mean.
        if [elf::SHT_STRTAB, elf::SHT_DYNSYM, elf::SHT_GNU_VERSYM].contains(&kind) {
            continue;
        }
        let start = old.dynamic.space.offset_of(address);
        let place = start.zip(new.dynamic.space.offset_of(new_address)).filter(|_| size == new_size);
        let number = kind.0;
        let text = format_args!("the size of the table of type {number:#x} differs");
        let (start, end) = place.ok_or_else(|| violation("V2", text))?;
        let before = old.bytes.slice(start, start.saturating_add(size));
        let after = new.bytes.slice(end, end.saturating_add(size));
        ensure(before == after, "V2", format_args!("the content of the table of type {number:#x} differs"))?;
    }
    for tag in POINTERS {
        let (value, now) = (old.dynamic.last(tag), new.dynamic.last(tag));
        let right = value.is_none() == now.is_none() || (now.is_none() && new.needs.is_empty());
        ensure(right, "V2", format_args!("the dynamic tag {:#x} appeared or went", tag.0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_a_changed_byte() {
        let before = b"\0libc.so.6\0puts\0dead\0";
        assert_eq!(changed_strings(before, before), []);
        assert_eq!(changed_strings(before, b"\0libc.so.7\0puts\0dead\0tail\0"), [(1, 10)]);
        assert_eq!(changed_strings(before, b"\0libc.so.6\0puts\0\0\0\0\0\0"), [(16, 20)]);
        assert_eq!(changed_strings(before, b"\0Xibc.so.6\0puts\0dexd\0"), [(1, 2), (16, 19)]);
    }
}
