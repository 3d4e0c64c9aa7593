//! Decoding tables for the codes of RFC 1951, section 3.2.2: one look-up for a code of usual length, two for a long one.

use crate::walk::Malformed;

/// The longest code.
const LONGEST: usize = 15;
const LONGEST_CODE: u32 = 15;
/// Symbols that a code length can be given to in a dynamic block.
pub const LITERALS: usize = 286;
/// The same for distances.
pub const DISTANCES: usize = 30;

/// One line of a table. From the lowest bit: 8 bits, how many bits the code has together with its extra bits; 4 bits, how
/// many of them are the code; 4 flags; 16 bits, the value to which the extra bits are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

const LITERAL: u32 = 1 << 15;
const SPECIAL: u32 = 1 << 14;
const DEEPER: u32 = 1 << 13;
const END: u32 = 1 << 12;

impl Entry {
    /// No code is like this.
    const INVALID: Self = Self(SPECIAL);

    const fn new(flags: u32, value: u32, extra: u32) -> Self {
        Self(flags | (value << 16) | extra)
    }

    /// With a code of `length` bits.
    fn coded(self, length: u32) -> Self {
        Self(self.0.wrapping_add(length).wrapping_add(length << 8))
    }

    #[inline(always)]
    pub fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    /// Whether this is neither a literal nor a length or distance.
    #[inline(always)]
    pub fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    #[inline(always)]
    pub fn is_end(self) -> bool {
        self.0 & END != 0
    }

    #[inline(always)]
    pub fn is_deeper(self) -> bool {
        self.0 & DEEPER != 0
    }

    /// Code and extra bits together.
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0 & 0xff
    }

    /// The value for these bits, which begin with the code.
    #[inline(always)]
    pub fn value(self, bits: u64) -> u64 {
        let all = bits & 1_u64.wrapping_shl(self.bits()).wrapping_sub(1);
        u64::from(self.0 >> 16).wrapping_add(all.wrapping_shr((self.0 >> 8) & 0xf))
    }
}

/// A table whose first look-up takes `BITS` bits, `SIZE` lines in all: a power of two that no set of code lengths exceeds.
pub struct Table<const BITS: u32, const SIZE: usize> {
    lines: Box<[Entry; SIZE]>,
}

/// Literals and lengths; zlib's `enough` says 2342 lines for 11 bits.
pub type Literals = Table<11, 4096>;
/// Distances: at most 402 lines for 8 bits.
pub type Distances = Table<8, 512>;
/// The code of the code lengths: never longer than 7 bits.
pub type Lengths = Table<7, 128>;

impl<const BITS: u32, const SIZE: usize> Table<BITS, SIZE> {
    pub fn new() -> Self {
        Self { lines: Box::new([Entry::INVALID; SIZE]) }
    }

    #[inline(always)]
    fn line(&self, index: u64) -> Entry {
        let index = usize::try_from(index & (SIZE as u64).wrapping_sub(1)).unwrap_or(0);
        self.lines.get(index).copied().unwrap_or(Entry::INVALID)
    }

    /// The line for the next bits: a symbol if its code is short.
    #[inline(always)]
    pub fn first(&self, bits: u64) -> Entry {
        self.line(bits & 1_u64.wrapping_shl(BITS).wrapping_sub(1))
    }

    /// The line behind a special one of [`Table::first`], for the bits behind those that it takes; the line itself if it
    /// leads nowhere.
    #[inline(always)]
    pub fn second(&self, first: Entry, bits: u64) -> Entry {
        if first.is_deeper() {
            let within = bits & 1_u64.wrapping_shl((first.0 >> 8) & 0xf).wrapping_sub(1);
            self.line(u64::from(first.0 >> 16).wrapping_add(within))
        } else {
            first
        }
    }

    /// Makes the table for the code lengths of the symbols, the first of which have these entries. Codes that leave bits unused
    /// are refused; `sparse` lets through no code at all, and a single one of one bit: as zlib does.
    pub fn build(&mut self, lengths: &[u8], symbols: &[Entry], sparse: bool) -> Result<(), Malformed> {
        let mut counts = [0_u32; LONGEST + 1];
        for length in lengths {
            let count = counts.get_mut(usize::from(*length)).ok_or(Malformed::Code)?;
            *count = count.wrapping_add(1);
        }
        check(&counts, sparse)?;
        let sorted = sorted(lengths, symbols, &counts);
        let mut sorted = sorted.iter();
        let mut code = 0_u32;
        self.put(0, Entry::INVALID);
        for length in 1..=BITS {
            code = code.wrapping_shl(1);
            // What has no code yet may follow on either value of one bit more.
            let half = 1_usize.wrapping_shl(length.wrapping_sub(1));
            self.lines.copy_within(..half, half);
            for symbol in sorted.by_ref().take(of(&counts, length) as usize) {
                self.put(reversed(code, length), symbol.coded(length));
                code = code.wrapping_add(1);
            }
        }
        let mut free = 1_u32.wrapping_shl(BITS);
        let (mut prefix, mut start, mut more) = (u32::MAX, 0, 0);
        for length in BITS.wrapping_add(1)..=LONGEST_CODE {
            code = code.wrapping_shl(1);
            let mut left = of(&counts, length);
            while left > 0
                && let Some(symbol) = sorted.next()
            {
                let bits = reversed(code, length);
                code = code.wrapping_add(1);
                let first = bits & 1_u32.wrapping_shl(BITS).wrapping_sub(1);
                if prefix != first {
                    (prefix, start, more) = (first, free, Self::second_bits(&counts, length, left));
                    free = free.wrapping_add(1_u32.wrapping_shl(more));
                    self.put(first, Entry(SPECIAL | DEEPER | (start << 16) | (more << 8) | BITS));
                }
                left = left.wrapping_sub(1);
                let length = length.wrapping_sub(BITS);
                for within in
                    (bits.wrapping_shr(BITS)..1_u32.wrapping_shl(more)).step_by(1_usize.wrapping_shl(length))
                {
                    self.put(start.wrapping_add(within), symbol.coded(length));
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, index: u32, entry: Entry) {
        if let Some(line) = self.lines.get_mut(index as usize) {
            *line = entry;
        }
    }

    /// How many bits a second look-up takes for the codes that begin like the first of `left` with `length` bits.
    fn second_bits(counts: &[u32; LONGEST + 1], length: u32, left: u32) -> u32 {
        let mut more = length.wrapping_sub(BITS);
        let mut used = left;
        while used < 1_u32.wrapping_shl(more) && BITS.wrapping_add(more) < LONGEST_CODE {
            more = more.wrapping_add(1);
            used = used.wrapping_shl(1).wrapping_add(of(counts, BITS.wrapping_add(more)));
        }
        more
    }
}

/// How many symbols have codes of `length` bits.
fn of(counts: &[u32; LONGEST + 1], length: u32) -> u32 {
    counts.get(length as usize).copied().unwrap_or(0)
}

/// Refuses codes that take more than the space of their bits, or less; see [`Table::build`].
fn check(counts: &[u32; LONGEST + 1], sparse: bool) -> Result<(), Malformed> {
    let coded = counts.iter().enumerate().skip(1);
    let (mut used, mut codes) = (0_u32, 0_u32);
    for (length, count) in coded {
        used = used.wrapping_add(count.wrapping_mul(1_u32 << LONGEST_CODE >> length));
        codes = codes.wrapping_add(*count);
    }
    let full = 1_u32 << LONGEST_CODE;
    let lone = codes == 0 || (codes == 1 && of(counts, 1) == 1);
    if used == full || (used < full && sparse && lone) { Ok(()) } else { Err(Malformed::Code) }
}

/// The entries of the symbols that have codes, shorter codes first, else in the order of the symbols.
fn sorted(lengths: &[u8], symbols: &[Entry], counts: &[u32; LONGEST + 1]) -> [Entry; LITERALS + 2] {
    let mut places = [0_u32; LONGEST + 1];
    let mut sum = 0_u32;
    for (place, count) in places.iter_mut().zip(counts).skip(1) {
        *place = sum;
        sum = sum.wrapping_add(*count);
    }
    let mut sorted = [Entry::INVALID; LITERALS + 2];
    for (length, symbol) in lengths.iter().zip(symbols) {
        if *length > 0
            && let Some(place) = places.get_mut(usize::from(*length))
        {
            if let Some(slot) = sorted.get_mut(*place as usize) {
                *slot = *symbol;
            }
            *place = place.wrapping_add(1);
        }
    }
    sorted
}

/// The code as it stands in the stream: its highest bit first.
fn reversed(code: u32, length: u32) -> u32 {
    code.reverse_bits().wrapping_shr(32_u32.wrapping_sub(length))
}

/// What the symbols 0 to 287 of the literal and length code stand for; the last two are no symbols.
pub const LITERAL_SYMBOLS: [Entry; LITERALS + 2] = literal_symbols();
/// What the distance symbols 0 to 31 stand for; the last two are no symbols.
pub const DISTANCE_SYMBOLS: [Entry; DISTANCES + 2] = distance_symbols();
/// The symbols of the code of the code lengths.
pub const LENGTH_SYMBOLS: [Entry; 19] = length_symbols();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn literal_symbols() -> [Entry; LITERALS + 2] {
    let mut symbols = [Entry::INVALID; LITERALS + 2];
    let mut symbol = 0;
    while symbol < 256 {
        symbols[symbol as usize] = Entry::new(LITERAL, symbol, 0);
        symbol += 1;
    }
    symbols[256] = Entry::new(SPECIAL | END, 0, 0);
    let mut length = 3;
    while symbol < 284 {
        symbol += 1;
        let extra = if symbol < 265 { 0 } else { (symbol - 261) / 4 };
        symbols[symbol as usize] = Entry::new(0, length, extra);
        length += 1 << extra;
    }
    symbols[285] = Entry::new(0, 258, 0);
    symbols
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn distance_symbols() -> [Entry; DISTANCES + 2] {
    let mut symbols = [Entry::INVALID; DISTANCES + 2];
    let (mut symbol, mut distance) = (0_u32, 1);
    while (symbol as usize) < DISTANCES {
        let extra = if symbol < 4 { 0 } else { symbol / 2 - 1 };
        symbols[symbol as usize] = Entry::new(0, distance, extra);
        distance += 1 << extra;
        symbol += 1;
    }
    symbols
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn length_symbols() -> [Entry; 19] {
    let mut symbols = [Entry::INVALID; 19];
    let mut symbol = 0;
    while symbol < 19 {
        symbols[symbol as usize] = Entry::new(0, symbol, 0);
        symbol += 1;
    }
    symbols
}
