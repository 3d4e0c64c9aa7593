//! Where the new strings go: reuse, dead bytes, or a tail behind DT_STRTAB (elf-edit 3.3).

use std::cmp::Reverse;

use memchr::{memchr, memmem};
use object::elf::{self, DynamicTag};

use crate::dynamic::DT_MIPS_IVERSION;
use crate::edit::file::{ElfFile, is_string_tag};
use crate::edit::request::Wanted;

/// DT_RELRENT: the last tag of the gABI.
const LAST_GABI_TAG: u64 = 37;
/// GNU and Solaris tags whose meaning is known, as ranges: values, addresses, versions, and the Solaris strings.
const KNOWN_RANGES: [(u64, u64); 5] = [
    (0x6fff_fdf5, 0x6fff_fdff),
    (0x6fff_fef5, 0x6fff_feff),
    (0x6fff_fff0, 0x6fff_fff0),
    (0x6fff_fff9, 0x6fff_ffff),
    (0x7fff_fffd, 0x7fff_ffff),
];
/// Processor tags (DT_LOPROC up) whose meaning is known: none of them is a string but DT_MIPS_IVERSION.
const KNOWN_PROCESSOR_TAGS: std::ops::Range<u64> = 0x7000_0000..0x7000_0040;

/// The string table as it is to be.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// (string, offset in the new table), in the order in which they were placed.
    pub offsets: Vec<(&'a [u8], u64)>,
    /// (offset, bytes) to write inside the old table, ascending, none over another.
    pub changes: Vec<(u64, Vec<u8>)>,
    /// What is appended to the table.
    pub tail: Vec<u8>,
}

impl Placed<'_> {
    /// Where `text` was put.
    pub fn offset_of(&self, text: &[u8]) -> Option<u64> {
        self.offsets.iter().find(|(other, _)| *other == text).map(|(_, offset)| *offset)
    }
}

/// Whether it is certain that a dynamic tag is a string or is not.
fn known_tag(machine: elf::Machine, tag: DynamicTag) -> bool {
    let number = tag.0.cast_unsigned();
    if number <= LAST_GABI_TAG || KNOWN_RANGES.iter().any(|(low, high)| (low..=high).contains(&&number)) {
        return true;
    }
    if tag == DT_MIPS_IVERSION {
        return machine == elf::EM_MIPS;
    }
    KNOWN_PROCESSOR_TAGS.contains(&number)
}

/// Whether every reference into the string table can be enumerated, so that other bytes are dead.
fn references_known(file: &ElfFile<'_>) -> bool {
    let known = file.dynamic.entries.iter().all(|(tag, _)| known_tag(file.header.e_machine, *tag));
    known
        && !file.sections.iter().any(|section| {
            section.is_alloc()
                && usize::try_from(section.sh_link) == Ok(file.string_section)
                && ![elf::SHT_DYNSYM, elf::SHT_DYNAMIC, elf::SHT_GNU_VERDEF, elf::SHT_GNU_VERNEED]
                    .contains(&section.sh_type)
        })
}

/// (offsets of strings in use after the edit, ascending offsets of strings that this edit drops)
fn references(file: &ElfFile<'_>, wanted: &Wanted<'_>) -> (Bits, Vec<u64>) {
    let mut live = Bits::new(file.strings.size());
    for name in file.symbols.name_offsets() {
        live.set(name.into());
    }
    live.set(0);
    let mut dropped = Vec::new();
    let mut stay = vec![false; file.dynamic.entries.len()];
    for entry in wanted.entries.iter().filter(|entry| entry.text.is_none()) {
        if let Some(slot) = entry.origin.and_then(|origin| stay.get_mut(origin)) {
            *slot = true;
        }
    }
    for ((tag, value), stays) in file.dynamic.entries.iter().zip(stay) {
        if is_string_tag(file.header.e_machine, *tag) {
            if stays {
                live.set(*value);
            } else {
                dropped.push(*value);
            }
        }
    }
    for ((need, kept), new_file) in file.needs.iter().zip(&wanted.need_kept).zip(&wanted.need_files) {
        for aux in &need.aux {
            if *kept {
                live.set(aux.name_offset);
            } else {
                dropped.push(aux.name_offset);
            }
        }
        if *kept && new_file.is_none() {
            live.set(need.file_offset);
        } else {
            dropped.push(need.file_offset);
        }
    }
    for aux in file.definitions.iter().flat_map(|definition| &definition.aux) {
        live.set(aux.name_offset);
    }
    dropped.sort_unstable();
    dropped.dedup();
    (live, dropped)
}

/// Marks every byte of the strings that begin at `references`.
fn live_bytes(content: &[u8], references: &Bits) -> Bits {
    let mut live = Bits::new(references.size);
    let mut end = 0;
    let mut next = references.next(0, true);
    while let Some(start) = next {
        end = string_end(content, start).max(end);
        live.set_range(start, end);
        next = references.next(end, true);
    }
    live
}

/// The offset behind the NUL of the string at `offset`.
fn string_end(content: &[u8], offset: u64) -> u64 {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let length = content.get(start..).and_then(|rest| memchr(0, rest));
    offset.saturating_add(length.unwrap_or_default() as u64).saturating_add(1)
}

/// Finds a place for every new string: longest first, then by bytes ascending.
///
/// Each is (a) found in the table as it then stands, as a whole string or as the end of one; else (b) written over the
/// lowest run of dead bytes that holds it, if dead bytes can be told; else (c) found in or appended to the tail. The
/// strings that the edit drops are then wiped where no other string in use covers them.
pub fn place_strings<'a>(file: &ElfFile<'_>, wanted: &Wanted<'a>) -> Placed<'a> {
    let kept = wanted.need_files.iter().zip(&wanted.need_kept).filter(|(_, kept)| **kept);
    let mut texts: Vec<&'a [u8]> = wanted.entries.iter().filter_map(|entry| entry.text).collect();
    texts.extend(kept.filter_map(|(name, _)| *name));
    texts.sort_unstable_by_key(|text| (Reverse(text.len()), *text));
    texts.dedup();
    let original = file.strings.content();
    let mut content = original.to_vec();
    let (mut live, dropped) = if references_known(file) {
        let (references, dropped) = references(file, wanted);
        (Some(live_bytes(original, &references)), dropped)
    } else {
        (None, Vec::new())
    };
    let mut placed = Placed { offsets: Vec::new(), changes: Vec::new(), tail: Vec::new() };
    let mut touched: Vec<(u64, u64)> = Vec::new();
    for text in texts {
        let ended = [text, &[0]].concat();
        let size = ended.len() as u64;
        let mut at = memmem::find(&content, &ended).map(|at| at as u64);
        if at.is_none() {
            at = live.as_ref().and_then(|live| live.first_clear(size));
            if let Some(at) = at {
                write_at(&mut content, at, &ended);
                touched.push((at, at.saturating_add(size)));
            }
        }
        if let Some(at) = at {
            if let Some(live) = &mut live {
                live.set_range(at, at.saturating_add(size));
            }
            placed.offsets.push((text, at));
            continue;
        }
        let at = memmem::find(&placed.tail, &ended).unwrap_or_else(|| {
            let at = placed.tail.len();
            placed.tail.extend_from_slice(&ended);
            at
        });
        placed.offsets.push((text, file.strings.size().saturating_add(at as u64)));
    }
    if let Some(live) = &live {
        let mut wiped = Vec::new();
        for offset in dropped {
            live.clear_parts(offset, string_end(original, offset), &mut wiped);
        }
        for (start, end) in &wiped {
            if let Some(dead) = range_mut(&mut content, *start, *end) {
                dead.fill(0);
            }
        }
        touched.extend(wiped);
    }
    for (start, end) in merged(touched) {
        let [before, after] = [original, &content].map(|table| range(table, start, end).unwrap_or_default());
        if before != after {
            placed.changes.push((start, after.to_vec()));
        }
    }
    placed
}

fn range(table: &[u8], start: u64, end: u64) -> Option<&[u8]> {
    table.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn range_mut(table: &mut [u8], start: u64, end: u64) -> Option<&mut [u8]> {
    table.get_mut(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn write_at(table: &mut [u8], offset: u64, bytes: &[u8]) {
    if let Some(place) = range_mut(table, offset, offset.saturating_add(bytes.len() as u64)) {
        place.copy_from_slice(bytes);
    }
}

/// The union of ranges, ascending, none touching another.
pub fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.retain(|(start, end)| end > start);
    ranges.sort_unstable();
    let mut result: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges {
        match result.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => result.push((start, end)),
        }
    }
    result
}

/// One bit for each byte of the string table.
#[derive(Clone, Debug)]
struct Bits {
    words: Vec<u64>,
    size: u64,
}

impl Bits {
    fn new(size: u64) -> Self {
        Self { words: vec![0; usize::try_from(size.div_ceil(64)).unwrap_or_default()], size }
    }

    fn set(&mut self, at: u64) {
        let word = usize::try_from(at / 64).ok().and_then(|word| self.words.get_mut(word));
        if let Some(word) = word.filter(|_| at < self.size) {
            *word |= 1 << (at % 64);
        }
    }

    fn set_range(&mut self, start: u64, end: u64) {
        let mut at = start;
        while at < end {
            // As much of one word as the range covers.
            let stop = (at | 63).saturating_add(1).min(end);
            let bits = u64::MAX << (at % 64);
            let bits = if stop.is_multiple_of(64) { bits } else { bits & !(u64::MAX << (stop % 64)) };
            if let Some(word) = usize::try_from(at / 64).ok().and_then(|word| self.words.get_mut(word)) {
                *word |= bits;
            }
            at = stop;
        }
    }

    /// The first bit from `at` on that is `wanted`.
    fn next(&self, at: u64, wanted: bool) -> Option<u64> {
        let first = usize::try_from(at / 64).ok()?;
        let mut mask = u64::MAX << (at % 64);
        for (index, word) in self.words.iter().enumerate().skip(first) {
            let found = if wanted { *word } else { !word } & mask;
            if found != 0 {
                let at = (index as u64).saturating_mul(64).saturating_add(found.trailing_zeros().into());
                return Some(at).filter(|at| *at < self.size);
            }
            mask = u64::MAX;
        }
        None
    }

    /// Each run [start, end) of clear bits from `at` on.
    fn clear_runs(&self, at: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut at = at;
        std::iter::from_fn(move || {
            let start = self.next(at, false)?;
            at = self.next(start, true).unwrap_or(self.size);
            Some((start, at))
        })
    }

    /// The start of the lowest run of clear bits that is at least `size` long.
    fn first_clear(&self, size: u64) -> Option<u64> {
        let mut runs = self.clear_runs(0);
        runs.find(|(start, end)| end.saturating_sub(*start) >= size).map(|(start, _)| start)
    }

    /// Adds what of [`start`, `end`) is clear.
    fn clear_parts(&self, start: u64, end: u64, parts: &mut Vec<(u64, u64)>) {
        let runs = self.clear_runs(start).take_while(|(low, _)| *low < end);
        parts.extend(runs.map(|(low, high)| (low, high.min(end))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_dead_bytes() {
        let mut bits = Bits::new(200);
        bits.set(0);
        bits.set_range(60, 130);
        bits.set_range(131, 132);
        assert_eq!(bits.clear_runs(0).collect::<Vec<_>>(), [(1, 60), (130, 131), (132, 200)]);
        assert_eq!(
            (bits.first_clear(59), bits.first_clear(60), bits.first_clear(69)),
            (Some(1), Some(132), None)
        );
        let mut parts = Vec::new();
        bits.clear_parts(50, 135, &mut parts);
        assert_eq!(parts, [(50, 60), (130, 131), (132, 135)]);
        assert!(Bits::new(0).clear_runs(0).next().is_none());
    }

    #[test]
    fn a_string_in_use_covers_its_ends() {
        let content = b"\0libc.so.6\0dead\0";
        let mut references = Bits::new(16);
        for offset in [0, 1, 4] {
            references.set(offset);
        }
        let live = live_bytes(content, &references);
        assert_eq!(live.clear_runs(0).collect::<Vec<_>>(), [(11, 16)]);
    }

    #[test]
    fn tags_of_unknown_meaning() {
        for (tag, known) in [(1, true), (38, false), (0x6fff_fef5, true), (0x6fff_fffa, true), (-1, false)] {
            assert_eq!(known_tag(elf::EM_X86_64, DynamicTag(tag)), known, "{tag}");
        }
        assert!(!known_tag(elf::EM_X86_64, DT_MIPS_IVERSION));
        assert!(known_tag(elf::EM_MIPS, DT_MIPS_IVERSION));
    }
}
