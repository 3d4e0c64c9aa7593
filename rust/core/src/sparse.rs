//! A content of which only the parts that reading needs are kept.

use std::ops::Range;

use memmap2::MmapMut;

use crate::guard::Fault;
use crate::memory::sparse_zeros;

/// Kept of every file before anything is known of it: the headers lie there.
const HEADERS: u64 = 64 * 1024;
/// How often in one pass it is asked anew what is missing. A file with thousands of notes must not make this slow.
const MOST_QUESTIONS: u32 = 8;
/// So often as soon as one range is complete, which may lead to others; then only when all are.
const EARLY_QUESTIONS: u32 = 4;

/// An ELF file that comes by piece by piece, from its begin, several times if need be.
///
/// The mapping is as large as the file, but only the pages written to take memory.
pub struct Sparse {
    bytes: MmapMut,
    /// What is to be kept of the pieces to come.
    wanted: Ranges,
    /// What is there.
    known: Ranges,
    /// How many bytes that is, about.
    kept: u64,
    /// Where the next piece begins.
    at: u64,
    /// From here on it is worth to ask what else is missing.
    ask_at: u64,
    questions: u32,
    complete: bool,
}

impl Sparse {
    /// For a file of `size` bytes.
    pub fn new(size: u64) -> Result<Self, Fault> {
        let mut sparse = Self {
            bytes: sparse_zeros(usize::try_from(size).map_err(|_| Fault::Memory)?)?,
            wanted: Ranges::default(),
            known: Ranges::default(),
            kept: 0,
            at: 0,
            ask_at: 0,
            questions: 0,
            complete: false,
        };
        sparse.wanted.add(0..HEADERS.min(sparse.size()));
        sparse.ask_at = sparse.wanted.end();
        Ok(sparse)
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The next pass begins.
    pub fn restart(&mut self) {
        (self.at, self.questions) = (0, 0);
        self.ask(0);
    }

    /// From the next pass on everything is kept.
    pub fn want_all(&mut self) {
        self.wanted.add(0..self.size());
    }

    /// Takes the next piece; whether `read` needs nothing more.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        let range = self.at..self.at.saturating_add(piece.len() as u64);
        self.at = range.end;
        self.keep(piece, &range);
        while !self.complete && self.at >= self.ask_at {
            self.ask(range.start);
            self.keep(piece, &range);
        }
        self.complete
    }

    /// Keeps what is wanted of the piece that takes `range`.
    fn keep(&mut self, piece: &[u8], range: &Range<u64>) {
        for part in self.wanted.within(range) {
            let inside =
                usize_range(part.start.saturating_sub(range.start), part.end.saturating_sub(range.start));
            let place = self.bytes.get_mut(usize_range(part.start, part.end));
            if let (Some(place), Some(from)) = (place, piece.get(inside)) {
                place.copy_from_slice(from);
                if !self.known.holds(&part) {
                    self.kept = self.kept.saturating_add(from.len() as u64);
                    self.known.add(part);
                }
            }
        }
    }

    /// Whether all that `read` needs is there.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many bytes of memory it takes, about.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// The file, for `read` if it is complete.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Finds out what is missing; `from` on it still comes by in this pass.
    fn ask(&mut self, from: u64) {
        self.questions = self.questions.saturating_add(1);
        if self.questions > MOST_QUESTIONS {
            self.ask_at = u64::MAX;
            return;
        }
        let known = &self.known;
        let mut asked = fastwheel_elf::ranges(&self.bytes, |range| known.holds(range));
        asked.retain(|range| !known.holds(range));
        self.complete = asked.is_empty();
        // Where the first of them, or the last one, will be complete in this pass.
        let coming = asked
            .iter()
            .filter(|range| range.end > from && (range.start >= from || known.holds(&(range.start..from))));
        let ends = coming.map(|range| range.end);
        let next = if self.questions > EARLY_QUESTIONS { ends.max() } else { ends.min() };
        self.ask_at = next.unwrap_or(u64::MAX);
        if self.questions == 1 {
            asked.extend(fastwheel_elf::likely_ranges(&self.bytes));
        }
        let size = self.size();
        self.wanted.add_all(asked.into_iter().map(|range| range.start..range.end.min(size)));
    }
}

/// The parts of an ELF file of `size` bytes that `read` needs, and zeros elsewhere; `fetch` reads bytes from an offset on.
pub fn fetched(
    size: u64,
    mut fetch: impl FnMut(&mut [u8], u64) -> Result<(), Fault>,
) -> Result<MmapMut, Fault> {
    let mut bytes = sparse_zeros(usize::try_from(size).map_err(|_| Fault::Memory)?)?;
    let mut known = Ranges::default();
    let mut wanted: Vec<Range<u64>> = std::iter::once(0..HEADERS.min(size)).collect();
    for _ in 0..MOST_QUESTIONS {
        for range in wanted {
            let range = range.start..range.end.min(size);
            let place = bytes.get_mut(usize_range(range.start, range.end)).unwrap_or_default();
            fetch(place, range.start)?;
            known.add(range);
        }
        wanted = fastwheel_elf::ranges(&bytes, |range| known.holds(range));
        wanted.retain(|range| !known.holds(range));
        if wanted.is_empty() {
            return Ok(bytes);
        }
    }
    fetch(&mut bytes, 0)?;
    Ok(bytes)
}

/// Ranges of a file: sorted, apart from each other.
#[derive(Default)]
struct Ranges(Vec<Range<u64>>);

impl Ranges {
    fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|other| other.end < range.start);
        let to = self.0.partition_point(|other| other.start <= range.end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(range.start, |first| first.start.min(range.start));
        let end = touched.last().map_or(range.end, |last| last.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Adds many, in any order.
    fn add_all(&mut self, ranges: impl Iterator<Item = Range<u64>>) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(ranges);
        all.sort_unstable_by_key(|range| range.start);
        // Each is added behind the others now, where that takes no time.
        all.into_iter().for_each(|range| self.add(range));
    }

    /// Whether the whole of `range` is in one.
    fn holds(&self, range: &Range<u64>) -> bool {
        let at = self.0.partition_point(|other| other.end < range.end);
        range.is_empty() || self.0.get(at).is_some_and(|other| other.start <= range.start)
    }

    /// Their parts in `range`.
    fn within(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let from = self.0.partition_point(|other| other.end <= range.start);
        let parts = self.0.get(from..).unwrap_or_default().iter();
        let parts = parts.take_while(|other| other.start < range.end);
        parts.map(|other| other.start.max(range.start)..other.end.min(range.end)).collect()
    }

    /// The end of the last one.
    fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }
}

fn usize_range(start: u64, end: u64) -> Range<usize> {
    let [start, end] = [start, end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Ranges::default();
        for range in [10..20, 30..40, 5..5, 50..60, 20..25] {
            ranges.add(range);
        }
        assert_eq!(ranges.0, [10..25, 30..40, 50..60]);
        assert!(ranges.holds(&(10..25)) && ranges.holds(&(31..32)) && ranges.holds(&(7..7)));
        assert!(!ranges.holds(&(9..11)) && !ranges.holds(&(24..31)) && !ranges.holds(&(60..61)));
        assert_eq!(ranges.within(&(24..35)), [24..25, 30..35]);
        assert!(ranges.within(&(25..30)).is_empty() && ranges.within(&(60..99)).is_empty());
        ranges.add_all([70..80, 1..2, 78..90].into_iter());
        assert_eq!(ranges.0, [1..2, 10..25, 30..40, 50..60, 70..90]);
        ranges.0.truncate(4);
        ranges.0.remove(0);
        ranges.add(15..55);
        assert_eq!((ranges.0.len(), &ranges.0[0], ranges.end()), (1, &(10..60), 60));
    }

    /// How many passes over `content` it takes, in pieces of `step` bytes, until it is complete.
    fn passes(content: &[u8], step: usize) -> (u32, Sparse) {
        let mut sparse = Sparse::new(content.len() as u64).unwrap();
        for pass in 1..9 {
            if content.chunks(step).any(|piece| sparse.take(piece)) || sparse.is_complete() {
                return (pass, sparse);
            }
            sparse.restart();
        }
        panic!("never complete");
    }

    #[test]
    fn a_library_is_read_from_a_part_of_it() {
        for name in ["libz.so.1", "libstdc++.so.6", "libcrypto.so.3"] {
            let content = std::fs::read(format!("/usr/lib/x86_64-linux-gnu/{name}")).unwrap();
            for step in [1000, 65536, content.len()] {
                let (passes, sparse) = passes(&content, step);
                assert_eq!(passes, 1, "{name}");
                assert_eq!(fastwheel_elf::read(sparse.bytes()), fastwheel_elf::read(&content));
            }
        }
    }

    #[test]
    fn what_is_needed_is_fetched() {
        for name in ["libz.so.1", "libstdc++.so.6", "libcrypto.so.3"] {
            let content = std::fs::read(format!("/usr/lib/x86_64-linux-gnu/{name}")).unwrap();
            let mut taken = 0;
            let bytes = fetched(content.len() as u64, |buffer, offset| {
                let at = usize::try_from(offset).unwrap();
                buffer.copy_from_slice(&content[at..at + buffer.len()]);
                taken += buffer.len();
                Ok(())
            });
            assert_eq!(fastwheel_elf::read(&bytes.unwrap()), fastwheel_elf::read(&content), "{name}");
            assert!(taken < content.len(), "{name}: {taken} of {}", content.len());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_complete_too() {
        let library = std::fs::read("/usr/lib/x86_64-linux-gnu/libz.so.1").unwrap();
        for content in [&b"\x7fELF"[..], &library[..100], &library[..20_000]] {
            let (passes, sparse) = passes(content, 4096);
            assert_eq!(passes, 1);
            assert_eq!(fastwheel_elf::read(sparse.bytes()), fastwheel_elf::read(content));
        }
    }
}
