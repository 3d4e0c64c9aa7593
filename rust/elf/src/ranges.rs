//! Which bytes of a file [`read`](crate::read) looks at: for those that do not have all of it in memory.
//!
//! This follows the steps of reading, and where a step leads on only by what a table says, it asks for the table first. What
//! it asks for may be more than is looked at, never less. A large file has a few tables to read and hundreds of MiB of
//! code and data between them.

use std::ops::Range;

use object::elf::{self, PT_GNU_PROPERTY, PT_INTERP, PT_NOTE};

use crate::dynamic::Dynamic;
use crate::header::{FileHeader, identify};
use crate::image::Image;
use crate::segment::{AddressSpace, LONGEST_INTERPRETER, Segment, read_segments};
use crate::symbol::{NEIGHBOURS, gnu_hash, hash_counts, hash_word, symbol_size};
use crate::version::{VERDAUX_SIZE, VERDEF_SIZE, VERNAUX_SIZE, VERNEED_SIZE};

/// Bytes asked for where nothing tells the size of a table: more than any but the largest libraries have in one.
const USUAL: u64 = 256 * 1024;
/// The same where some other table begins behind.
const MOST_GUESSED: u64 = 16 * 1024 * 1024;
/// A first PT_LOAD without code holds little but tables; so much of it is worth to be kept.
const MOST_OF_FIRST_LOAD: u64 = 16 * 1024 * 1024;
/// The same if it holds code, which comes behind the tables.
const MOST_BEFORE_CODE: u64 = 4 * 1024 * 1024;
/// Of the other ones those up to this size are worth it.
const SMALL_LOAD: u64 = 2 * 1024 * 1024;
/// So many of them: a library has half a dozen.
const MOST_LIKELY: usize = 16;
/// The largest header of a file.
const HEADER: u64 = 64;

/// The ranges of the file that [`read`](crate::read) looks at, as far as can be told.
///
/// `data` is as long as the file; what is not known of it may be any bytes. `known` tells whether all bytes of a range are.
/// If they are for each range that is returned, then `read` looks at no byte outside of them. Else make them known and
/// ask again: six or seven times for files that were made to be difficult, mostly twice.
pub fn ranges(data: &[u8], known: impl FnMut(&Range<u64>) -> bool) -> Vec<Range<u64>> {
    let mut asked = Asked { size: data.len() as u64, known, ranges: Vec::new() };
    let _ = asked.file(data);
    asked.ranges
}

/// Where most of the tables lie that [`read`](crate::read) looks at, as far as the program headers tell: at the begin of the
/// first PT_LOAD, and in other small ones without code. patchelf makes such ones, and what it moves there may lie before
/// PT_DYNAMIC, which leads to it. Only the header and the program headers of `data` are looked at.
pub fn likely_ranges(data: &[u8]) -> Vec<Range<u64>> {
    let Some(segments) =
        identify(data).ok().and_then(|image| Some(read_segments(&image, &FileHeader::read(&image).ok()?)))
    else {
        return Vec::new();
    };
    let loads = segments.iter().filter(|segment| segment.p_type == elf::PT_LOAD);
    let likely = loads.enumerate().filter_map(|(number, load)| {
        let most = match (number, load.p_flags & elf::PF_X.0 == 0) {
            (0, true) => MOST_OF_FIRST_LOAD,
            (0, false) => MOST_BEFORE_CODE,
            (_, plain) => return (plain && load.p_filesz <= SMALL_LOAD).then_some(load.p_offset..load.end()),
        };
        Some(load.p_offset..load.end().min(load.p_offset.saturating_add(most)))
    });
    likely.take(MOST_LIKELY).collect()
}

struct Asked<F> {
    size: u64,
    known: F,
    ranges: Vec<Range<u64>>,
}

impl<F: FnMut(&Range<u64>) -> bool> Asked<F> {
    /// Asks for the bytes of [`start`, `end`) that are in the file; whether they are known.
    fn range(&mut self, start: u64, end: u64) -> bool {
        let range = start.min(self.size)..end.min(self.size);
        if range.is_empty() {
            return true;
        }
        let known = (self.known)(&range);
        self.ranges.push(range);
        known
    }

    /// The same, but `None` stops the caller where they are not.
    fn must(&mut self, start: u64, size: u64) -> Option<()> {
        self.range(start, start.saturating_add(size)).then_some(())
    }

    fn file(&mut self, data: &[u8]) -> Option<()> {
        self.must(0, HEADER)?;
        let image = identify(data).ok()?;
        let header = FileHeader::read(&image).ok()?;
        let end = header.program_headers_end();
        self.must(header.e_phoff, end.saturating_sub(header.e_phoff))?;
        let segments = read_segments(&image, &header);
        for segment in &segments {
            match segment.p_type {
                PT_INTERP if segment.p_filesz > LONGEST_INTERPRETER => {}
                PT_INTERP | PT_NOTE | PT_GNU_PROPERTY => {
                    self.range(segment.p_offset, segment.end());
                }
                _ => {}
            }
        }
        self.dynamic_table(&image, &segments)?;
        let dynamic = Dynamic::read(&image, &segments).ok()??;
        self.strings(&dynamic);
        self.needs(&image, &dynamic);
        self.definitions(&image, &dynamic);
        self.symbols(&image, header.e_machine, &dynamic)
    }

    /// PT_DYNAMIC as far as it is read: to DT_NULL.
    fn dynamic_table(&mut self, image: &Image<'_>, segments: &[Segment]) -> Option<()> {
        let segment = segments.iter().find(|segment| segment.p_type == elf::PT_DYNAMIC)?;
        let space = AddressSpace::new(image, segments).ok()?;
        let (start, end) = extent(&space, segment.p_vaddr)?;
        let size = segment.p_filesz.min(end.saturating_sub(start)).min(USUAL);
        self.must(start, size)?;
        let entry = image.class.word_size().saturating_mul(2);
        let ended = image.window(start, size).is_some_and(|table| {
            let tag = |index: u64| table.word(index.saturating_mul(entry));
            (0..table.room(entry)).any(|index| tag(index) == Some(0))
        });
        if !ended {
            let most = crate::dynamic::MOST_ENTRIES.saturating_mul(entry);
            self.must(start, end.saturating_sub(start).min(most))?;
        }
        Some(())
    }

    fn strings(&mut self, dynamic: &Dynamic) -> Option<()> {
        let (start, end) = extent(&dynamic.space, dynamic.last(elf::DT_STRTAB)?)?;
        let size = dynamic.last(elf::DT_STRSZ)?;
        // A table that reaches behind its PT_LOAD is refused by its numbers.
        if size <= end.saturating_sub(start) { self.must(start, size) } else { None }
    }

    /// A list of records at `address`, each of which may be anywhere behind the one before: `follow` is given the table
    /// and passes each record to `record`, which says whether it may be read.
    fn list(
        &mut self,
        image: &Image<'_>,
        dynamic: &Dynamic,
        tag: elf::DynamicTag,
        follow: impl Fn(&Image<'_>, &mut dyn FnMut(u64, u64) -> Option<()>) -> Option<()>,
    ) -> Option<()> {
        let address = dynamic.last(tag)?;
        let (start, end) = extent(&dynamic.space, address)?;
        let table = image.window(start, end.saturating_sub(start))?;
        let usual = start.saturating_add(guess(dynamic, address).min(USUAL)).min(end);
        self.range(start, usual);
        let mut behind = false;
        let mut record = |at: u64, size: u64| {
            let at = start.saturating_add(at);
            let last = at.saturating_add(size).min(end);
            behind |= last > usual;
            (self.known)(&(at.min(last)..last)).then_some(())
        };
        let done = follow(&table, &mut record);
        if behind {
            self.range(start, end);
        }
        done
    }

    /// The list at DT_VERNEED.
    fn needs(&mut self, image: &Image<'_>, dynamic: &Dynamic) -> Option<()> {
        self.list(image, dynamic, elf::DT_VERNEED, |table, record| {
            let mut left = table.room(VERNAUX_SIZE);
            let mut position = 0_u64;
            loop {
                record(position, VERNEED_SIZE)?;
                let need = table.window(position, VERNEED_SIZE)?;
                let (mut at, mut step) = (position, need.u32(8)?);
                while step != 0 {
                    at = at.checked_add(step.into())?;
                    left = left.checked_sub(1)?;
                    record(at, VERNAUX_SIZE)?;
                    step = table.window(at, VERNAUX_SIZE)?.u32(12)?;
                }
                position = position.checked_add(next(need.u32(12)?, VERNEED_SIZE)?)?;
            }
        })
    }

    /// The list at DT_VERDEF.
    fn definitions(&mut self, image: &Image<'_>, dynamic: &Dynamic) -> Option<()> {
        self.list(image, dynamic, elf::DT_VERDEF, |table, record| {
            let mut left = table.room(VERDAUX_SIZE);
            let mut position = 0_u64;
            loop {
                record(position, VERDEF_SIZE)?;
                let definition = table.window(position, VERDEF_SIZE)?;
                let (mut at, mut step) = (position, definition.u32(12)?);
                loop {
                    at = at.checked_add(step.into())?;
                    left = left.checked_sub(1)?;
                    record(at, VERDAUX_SIZE)?;
                    step = table.window(at, VERDAUX_SIZE)?.u32(4)?;
                    if step == 0 {
                        break;
                    }
                }
                position = position.checked_add(next(definition.u32(16)?, VERDEF_SIZE)?)?;
            }
        })
    }

    /// The symbols, and what tells how many there are.
    fn symbols(&mut self, image: &Image<'_>, machine: elf::Machine, dynamic: &Dynamic) -> Option<()> {
        let address = dynamic.last(elf::DT_SYMTAB)?;
        let (start, end) = extent(&dynamic.space, address)?;
        let size = symbol_size(image.class);
        // Asked for before its size is known: a file that is read once from begin to end has it then.
        self.range(start, start.saturating_add(guess(dynamic, address)).min(end));
        if let Some(hash) = dynamic.last(elf::DT_HASH) {
            let (at, _) = extent(&dynamic.space, hash)?;
            self.must(at, hash_word(image.class, machine).saturating_mul(2))?;
            let (_, count) = hash_counts(image, machine, dynamic, hash).ok()?;
            return self.must(start, count.saturating_mul(size).min(end.saturating_sub(start)));
        }
        if let Some(hash) = dynamic.last(elf::DT_GNU_HASH) {
            self.gnu_hash(image, dynamic, hash)?;
            if let Some(count) = gnu_hash(image, dynamic, hash).ok()?.count {
                return self.must(start, count.saturating_mul(size).min(end.saturating_sub(start)));
            }
        }
        // Then they end at the nearest other table, or earlier.
        self.must(
            start,
            distance(dynamic, address, &NEIGHBOURS).unwrap_or(u64::MAX).min(end.saturating_sub(start)),
        )
    }

    /// The header of DT_GNU_HASH, its buckets, and the last chain.
    fn gnu_hash(&mut self, image: &Image<'_>, dynamic: &Dynamic, address: u64) -> Option<()> {
        let (start, end) = extent(&dynamic.space, address)?;
        self.range(start, start.saturating_add(guess(dynamic, address)).min(end));
        self.must(start, 16)?;
        let table = image.window(start, end.saturating_sub(start))?;
        let bloom = u64::from(table.u32(8)?).saturating_mul(image.class.word_size());
        let buckets = bloom.saturating_add(16);
        let chains = u64::from(table.u32(0)?).saturating_mul(4).saturating_add(buckets);
        if chains > table.size() {
            return None;
        }
        self.must(start.saturating_add(buckets), chains.saturating_sub(buckets))?;
        let highest = (buckets..chains).step_by(4).filter_map(|at| table.u32(at)).max().unwrap_or(0);
        if highest == 0 {
            return Some(());
        }
        let first = u64::from(highest.checked_sub(table.u32(4)?)?);
        let chain = first.saturating_mul(4).saturating_add(chains).min(table.size());
        let usual = USUAL.min(table.size().saturating_sub(chain));
        self.must(start.saturating_add(chain), usual)?;
        let ended = (chain..chain.saturating_add(usual)).step_by(4).filter_map(|at| table.u32(at));
        if ended.into_iter().any(|hash| hash & 1 != 0) {
            return Some(());
        }
        self.must(start.saturating_add(chain), end.saturating_sub(start))
    }
}

/// The part of the file from `address` to the end of what its PT_LOAD takes from the file.
fn extent(space: &AddressSpace, address: u64) -> Option<(u64, u64)> {
    Some((space.offset_of(address)?, space.load_at(address)?.end()))
}

/// How many bytes the table at `address` may have, by what other tables there are.
fn guess(dynamic: &Dynamic, address: u64) -> u64 {
    let behind = [distance(dynamic, address, &NEIGHBOURS), distance(dynamic, address, &[elf::DT_SYMTAB])];
    behind.into_iter().flatten().min().unwrap_or(USUAL).min(MOST_GUESSED)
}

/// How far it is from `address` to the nearest table behind it that an entry with one of `tags` points to.
fn distance(dynamic: &Dynamic, address: u64, tags: &[elf::DynamicTag]) -> Option<u64> {
    let tables = dynamic.entries.iter().filter(|(tag, _)| tags.contains(tag));
    tables.filter_map(|(_, other)| other.checked_sub(address).filter(|distance| *distance > 0)).min()
}

/// A distance to the next record; `None` if there is none, or it does not pass over this one.
fn next(distance: u32, size: u64) -> Option<u64> {
    Some(u64::from(distance)).filter(|distance| *distance >= size)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tests::Builder;

    /// xorshift64*
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
        }
    }

    /// A file of which only what was asked for is known, other bytes being noise.
    struct Partly {
        data: Vec<u8>,
        known: Vec<bool>,
    }

    impl Partly {
        fn new(size: usize, random: &mut Random) -> Self {
            let noise = match random.next() % 3 {
                0 => vec![0; size],
                1 => vec![0xff; size],
                _ => (0..size).map(|_| random.next() as u8).collect(),
            };
            Self { data: noise, known: vec![false; size] }
        }

        /// Asks until all is known; how often.
        fn complete(&mut self, whole: &[u8]) -> u32 {
            for round in 1..100 {
                let known = |range: &Range<u64>| {
                    self.known[range.start as usize..range.end as usize].iter().all(|known| *known)
                };
                let asked = ranges(&self.data, known);
                let mut done = true;
                for range in asked {
                    let range = range.start as usize..range.end as usize;
                    done &= self.known[range.clone()].iter().all(|known| *known);
                    self.data[range.clone()].copy_from_slice(&whole[range.clone()]);
                    self.known[range].fill(true);
                }
                if done {
                    return round;
                }
            }
            panic!("asked a hundred times");
        }
    }

    /// Whether the file can be read; the same, sparse or whole.
    fn same(whole: &[u8], random: &mut Random) -> bool {
        let expected = crate::read(whole);
        let mut partly = Partly::new(whole.len(), random);
        assert!(partly.complete(whole) <= 9);
        assert_eq!(crate::read(&partly.data), expected);
        expected.is_ok()
    }

    fn real_files() -> Vec<Vec<u8>> {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let mut files: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|seed| seed.unwrap().path()).collect();
        let library = |name: &str| Path::new("/usr/lib/x86_64-linux-gnu").join(name);
        files.extend(["libz.so.1", "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1"].map(library));
        files.sort();
        files.iter().filter_map(|path| std::fs::read(path).ok()).collect()
    }

    #[test]
    fn nothing_else_is_read() {
        let mut random = Random(1);
        let mut files = real_files();
        assert!(files.len() > 30);
        files.extend(Builder::all().iter().map(Builder::bytes));
        let read = files.iter().filter(|file| same(file, &mut random)).count();
        assert!(read > files.len() / 2, "{read} of {}", files.len());
    }

    #[test]
    fn nor_in_damaged_files() {
        let mut random = Random(2);
        let files: Vec<_> = real_files().into_iter().filter(|file| file.len() < 40_000).collect();
        let (mut read, mut refused) = (0, 0);
        for file in files {
            // Where a change means something: what is asked for.
            let mut partly = Partly::new(file.len(), &mut random);
            partly.complete(&file);
            let places: Vec<usize> = (0..file.len()).filter(|at| partly.known[*at]).collect();
            for _ in 0..60 {
                let mut file = file.clone();
                for _ in 0..=random.next() % 4 {
                    let at = places[random.next() as usize % places.len()];
                    file[at] = match random.next() % 4 {
                        0 => 0,
                        1 => 0xff,
                        2 => file[at] ^ (1 << (random.next() % 8)),
                        _ => random.next() as u8,
                    };
                }
                if same(&file, &mut random) { read += 1 } else { refused += 1 }
            }
        }
        assert!(read > 200 && refused > 200, "{read} read, {refused} refused");
    }

    #[test]
    fn little_is_asked_of_a_library() {
        for (size, file) in
            real_files().iter().map(|file| (file.len(), file)).filter(|(size, _)| *size > 200_000)
        {
            let mut partly = Partly::new(size, &mut Random(3));
            partly.complete(file);
            let known = partly.known.iter().filter(|known| **known).count();
            assert!(known < size / 2, "{known} of {size}");
        }
    }
}
