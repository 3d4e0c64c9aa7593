//! The blocks of a deflate stream, found without producing its content.

use std::ops::Range;

use crate::WINDOW;
use crate::bits::Reader;
use crate::huffman::{
    DISTANCE_SYMBOLS, DISTANCES, Distances, Entry, LENGTH_SYMBOLS, LITERAL_SYMBOLS, LITERALS, Lengths,
    Literals,
};

/// How the content of a block is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it is.
    Stored,
    /// By the codes that the RFC lists.
    Fixed,
    /// By codes of its own.
    Dynamic,
}

/// One block of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How it is coded.
    pub kind: Kind,
    /// The bits of the stream that it takes, its header included. A stored block begins with three bits and ends on a
    /// whole byte.
    pub bits: Range<u64>,
    /// The first byte of the content that it produces.
    pub out_start: u64,
    /// The end of what it produces.
    pub out_end: u64,
    /// Whether it calls itself the last one (BFINAL).
    pub last: bool,
    /// Whether a byte of the content that was asked for lies in it, or is the source of a match in it. Where this is not
    /// so, those bytes may change and the block still produces what it did. Always false for [`walk`].
    pub stale: bool,
}

/// Why bytes are no deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end before the last block does.
    #[error("the stream is cut short")]
    Short,
    /// Bytes behind the last block.
    #[error("bytes behind the end of the stream")]
    Trailing,
    /// The reserved block type.
    #[error("a block of the reserved type")]
    Type,
    /// The length of a stored block and its complement.
    #[error("the length of a stored block contradicts its complement")]
    Stored,
    /// Code lengths that make no code.
    #[error("code lengths that make no prefix code")]
    Code,
    /// A bit string that no symbol has, or a symbol that the RFC forbids.
    #[error("a code that stands for nothing")]
    Symbol,
    /// A match that begins before the content.
    #[error("a match that begins before the content")]
    Distance,
}

/// The blocks of `stream`, which must end where the bytes do.
///
/// Stricter than zlib nowhere; stricter than libdeflate, which takes more than 286 literal or 30 distance code lengths, the
/// unused bit string of a code with one symbol, and the symbols that no compressor may use.
pub fn walk(stream: &[u8]) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    walk_with(stream, &[], |block| blocks.push(block))?;
    Ok(blocks)
}

/// Hands each block of `stream` to `each`, in order, with [`Block::stale`] for the bytes of the content in `ranges`.
/// A stream of many tiny blocks needs no memory here; and what was handed out counts only if no error follows.
pub fn walk_with(stream: &[u8], ranges: &[Range<u64>], mut each: impl FnMut(Block)) -> Result<(), Malformed> {
    let mut walker = Walker::new(stream, ranges);
    loop {
        let block = walker.block()?;
        let last = block.last;
        each(block);
        if last {
            break;
        }
    }
    if walker.bits.position().div_ceil(8) < stream.len() as u64 {
        return Err(Malformed::Trailing);
    }
    Ok(())
}

/// The order in which a dynamic block gives the lengths of the codes of the code lengths.
const LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

struct Walker<'a> {
    bits: Reader<'a>,
    /// How much content was produced.
    out: u64,
    asked: Asked,
    lengths: Lengths,
    literals: Literals,
    distances: Distances,
    /// The codes that stand in the tables.
    tables: Option<Kind>,
}

impl<'a> Walker<'a> {
    fn new(stream: &'a [u8], ranges: &[Range<u64>]) -> Self {
        Self {
            bits: Reader::new(stream),
            out: 0,
            asked: Asked::new(ranges),
            lengths: Lengths::new(),
            literals: Literals::new(),
            distances: Distances::new(),
            tables: None,
        }
    }

    /// Walks over one block.
    fn block(&mut self) -> Result<Block, Malformed> {
        let (bit_start, out_start) = (self.bits.position(), self.out);
        let last = self.bits.take(1) == 1;
        let kind = match self.bits.take(2) {
            0 => Kind::Stored,
            1 => Kind::Fixed,
            2 => Kind::Dynamic,
            _ => return Err(Malformed::Type),
        };
        let mut stale = false;
        match kind {
            Kind::Stored => self.stored()?,
            Kind::Fixed => {
                if self.tables != Some(Kind::Fixed) {
                    self.fixed_tables()?;
                    self.tables = Some(Kind::Fixed);
                }
                stale = self.coded()?;
            }
            Kind::Dynamic => {
                self.tables = None;
                self.dynamic_tables()?;
                stale = self.coded()?;
            }
        }
        if self.bits.overrun() {
            return Err(Malformed::Short);
        }
        let stale = stale || self.asked.overlap(out_start, self.out);
        let bits = bit_start..self.bits.position();
        Ok(Block { kind, bits, out_start, out_end: self.out, last, stale })
    }

    fn stored(&mut self) -> Result<(), Malformed> {
        let header =
            self.bits.take_bytes(4).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(Malformed::Short)?;
        let [low, high, not_low, not_high] = *header;
        if low != !not_low || high != !not_high {
            return Err(Malformed::Stored);
        }
        let length = u16::from_le_bytes([low, high]);
        self.bits.take_bytes(length.into()).ok_or(Malformed::Short)?;
        self.out = self.out.wrapping_add(length.into());
        Ok(())
    }

    fn fixed_tables(&mut self) -> Result<(), Malformed> {
        let mut lengths = [8; LITERALS + 2];
        for (symbol, length) in lengths.iter_mut().enumerate() {
            *length = match symbol {
                0..144 => 8,
                144..256 => 9,
                256..280 => 7,
                _ => 8,
            };
        }
        self.literals.build(&lengths, &LITERAL_SYMBOLS, false)?;
        self.distances.build(&[5; DISTANCES + 2], &DISTANCE_SYMBOLS, false)
    }

    /// The codes at the begin of a dynamic block.
    fn dynamic_tables(&mut self) -> Result<(), Malformed> {
        let literals = (self.bits.take(5) as usize).wrapping_add(257);
        let distances = (self.bits.take(5) as usize).wrapping_add(1);
        let given = (self.bits.take(4) as usize).wrapping_add(4);
        if literals > LITERALS || distances > DISTANCES {
            return Err(Malformed::Code);
        }
        let mut lengths = [0_u8; 19];
        for place in LENGTH_ORDER.iter().take(given) {
            let length = self.bits.take(3);
            if let Some(slot) = lengths.get_mut(*place) {
                *slot = u8::try_from(length).unwrap_or(0);
            }
        }
        self.lengths.build(&lengths, &LENGTH_SYMBOLS, false)?;

        let mut lengths = [0_u8; LITERALS + DISTANCES];
        let all = literals.wrapping_add(distances);
        let mut rest = lengths.get_mut(..all).unwrap_or_default();
        let mut previous = None;
        while !rest.is_empty() {
            self.bits.refill();
            let entry = self.lengths.first(self.bits.ready());
            let symbol = entry.value(self.bits.ready());
            self.bits.consume(entry.bits());
            let (length, count) = match symbol {
                16 => (previous.ok_or(Malformed::Code)?, self.bits.take(2).wrapping_add(3)),
                17 => (0, self.bits.take(3).wrapping_add(3)),
                18 => (0, self.bits.take(7).wrapping_add(11)),
                length => (u8::try_from(length).unwrap_or(0), 1),
            };
            let (now, later) = rest.split_at_mut_checked(count as usize).ok_or(Malformed::Code)?;
            now.fill(length);
            rest = later;
            previous = Some(length);
        }
        if self.bits.overrun() {
            return Err(Malformed::Short);
        }
        let (literals, distances) =
            lengths.get(..all).unwrap_or_default().split_at_checked(literals).unwrap_or_default();
        // A block that cannot end is refused here by zlib too.
        if literals.get(256).copied().unwrap_or(0) == 0 {
            return Err(Malformed::Code);
        }
        self.literals.build(literals, &LITERAL_SYMBOLS, true)?;
        self.distances.build(distances, &DISTANCE_SYMBOLS, true)
    }

    /// The symbols of a block, the tables made; whether a match in it takes bytes that were asked for.
    fn coded(&mut self) -> Result<bool, Malformed> {
        let mut stale = false;
        loop {
            let calm = if self.out < WINDOW {
                0
            } else if stale {
                u64::MAX
            } else {
                self.asked.calm_until(self.out)
            };
            // It may go a little beyond: then a byte that was asked for lies in this block, which is stale for that.
            if self.out < calm && self.fast(calm)? {
                return Ok(stale);
            }
            // One symbol with all that is to be known of it.
            self.bits.refill();
            let literal = self.literal();
            if literal.is_literal() {
                self.bits.consume(literal.bits());
                self.out = self.out.wrapping_add(1);
            } else if literal.is_special() {
                self.bits.consume(literal.bits());
                return if literal.is_end() { Ok(stale) } else { Err(Malformed::Symbol) };
            } else {
                let length = literal.value(self.bits.ready());
                self.bits.consume(literal.bits());
                let entry = self.distance();
                if entry.is_special() {
                    return Err(Malformed::Symbol);
                }
                let distance = entry.value(self.bits.ready());
                self.bits.consume(entry.bits());
                let source = self.out.checked_sub(distance).ok_or(Malformed::Distance)?;
                // The end of a match longer than its distance repeats its begin.
                stale = stale || self.asked.overlap(source, source.wrapping_add(length.min(distance)));
                self.out = self.out.wrapping_add(length);
            }
            if self.bits.overrun() {
                return Err(Malformed::Short);
            }
        }
    }

    /// The entry of the next literal or length, its first look-up consumed if there are two.
    #[inline(always)]
    fn literal(&mut self) -> Entry {
        let first = self.literals.first(self.bits.ready());
        if first.is_deeper() {
            self.bits.consume(first.bits());
            return self.literals.second(first, self.bits.ready());
        }
        first
    }

    #[inline(always)]
    fn distance(&mut self) -> Entry {
        let first = self.distances.first(self.bits.ready());
        if first.is_deeper() {
            self.bits.consume(first.bits());
            return self.distances.second(first, self.bits.ready());
        }
        first
    }

    /// Walks on until `limit` bytes are produced, the block ends, or the end of the stream is near; whether the block
    /// ended. Looks at no distance: each reaches only bytes that are there and that nobody asked for.
    fn fast(&mut self, limit: u64) -> Result<bool, Malformed> {
        // Copies that the compiler keeps in registers.
        let (mut bits, mut out) = (self.bits, self.out);
        let (literals, distances) = (&self.literals, &self.distances);
        let mut ended = false;
        while out < limit && bits.refill_fast() {
            let mut entry = literals.first(bits.ready());
            if entry.is_literal() {
                bits.consume(entry.bits());
                out = out.wrapping_add(1);
                entry = literals.first(bits.ready());
                if entry.is_literal() {
                    bits.consume(entry.bits());
                    out = out.wrapping_add(1);
                    entry = literals.first(bits.ready());
                    if entry.is_literal() {
                        bits.consume(entry.bits());
                        out = out.wrapping_add(1);
                        continue;
                    }
                }
                if !bits.refill_fast() {
                    break;
                }
            }
            if entry.is_special() {
                if entry.is_deeper() {
                    bits.consume(entry.bits());
                    entry = literals.second(entry, bits.ready());
                }
                if entry.is_literal() {
                    bits.consume(entry.bits());
                    out = out.wrapping_add(1);
                    continue;
                }
                if entry.is_special() {
                    bits.consume(entry.bits());
                    ended = entry.is_end();
                    if ended {
                        break;
                    }
                    return Err(Malformed::Symbol);
                }
            }
            out = out.wrapping_add(entry.value(bits.ready()));
            bits.consume(entry.bits());
            entry = distances.first(bits.ready());
            if entry.is_special() {
                if entry.is_deeper() {
                    bits.consume(entry.bits());
                    entry = distances.second(entry, bits.ready());
                }
                if entry.is_special() {
                    return Err(Malformed::Symbol);
                }
            }
            bits.consume(entry.bits());
        }
        (self.bits, self.out) = (bits, out);
        Ok(ended)
    }
}

/// The byte ranges of the content that the caller asks for.
struct Asked {
    /// Sorted, none empty, none touching the next.
    ranges: Vec<Range<u64>>,
    /// The first one that matches may still reach.
    next: usize,
}

impl Asked {
    fn new(ranges: &[Range<u64>]) -> Self {
        let mut sorted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self { ranges: joined, next: 0 }
    }

    /// Up to where no match can reach a range, seen from `out`, which only grows; not above `out` if one can.
    fn calm_until(&mut self, out: u64) -> u64 {
        while let Some(range) = self.ranges.get(self.next) {
            if range.end.saturating_add(WINDOW) > out {
                return range.start;
            }
            self.next = self.next.wrapping_add(1);
        }
        u64::MAX
    }

    /// Whether a range has a byte in `start..end`.
    fn overlap(&self, start: u64, end: u64) -> bool {
        let behind = self.ranges.partition_point(|range| range.end <= start);
        self.ranges.get(behind).is_some_and(|range| range.start < end && start < end)
    }
}
