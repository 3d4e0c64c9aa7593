//! Bits in the order of deflate: the lowest bit of a byte first.

use std::ops::Range;

/// Reads bits from a byte string. Behind its end zeros are read; [`Reader::overrun`] tells.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    data: &'a [u8],
    /// The next byte that is not wholly in `buffer`.
    next: usize,
    /// The bits read ahead, the next one lowest. Above the lowest `count` ones stand bits of the bytes from `next` on, or
    /// zeros.
    buffer: u64,
    count: u32,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, buffer: 0, count: 0 }
    }

    /// Where the next bit is, from the begin of the data.
    #[inline(always)]
    pub fn position(&self) -> u64 {
        (self.next as u64).wrapping_mul(8).wrapping_sub(u64::from(self.count))
    }

    /// Whether more bits were consumed than there are.
    #[inline(always)]
    pub fn overrun(&self) -> bool {
        self.next > self.data.len() && self.position() > (self.data.len() as u64).saturating_mul(8)
    }

    /// Makes at least 56 bits ready if eight more bytes are there; whether they were.
    #[inline(always)]
    pub fn refill_fast(&mut self) -> bool {
        let Some(word) = self.data.get(self.next..).and_then(|rest| rest.first_chunk::<8>()) else {
            return false;
        };
        self.buffer |= u64::from_le_bytes(*word).wrapping_shl(self.count);
        // Whole bytes that fit: 7 - count / 8.
        self.next = self.next.wrapping_add((63_u32.wrapping_sub(self.count) >> 3) as usize);
        self.count |= 56;
        true
    }

    /// Makes at least 56 bits ready, zeros behind the end of the data.
    #[inline(always)]
    pub fn refill(&mut self) {
        if self.refill_fast() {
            return;
        }
        while self.count < 56 {
            let byte = self.data.get(self.next).copied().unwrap_or(0);
            self.buffer |= u64::from(byte).wrapping_shl(self.count);
            self.next = self.next.wrapping_add(1);
            self.count = self.count.wrapping_add(8);
        }
    }

    /// The bits that are ready.
    #[inline(always)]
    pub fn ready(&self) -> u64 {
        self.buffer
    }

    /// Passes over `count` ready bits, fewer than 64.
    #[inline(always)]
    pub fn consume(&mut self, count: u32) {
        self.buffer = self.buffer.wrapping_shr(count);
        self.count = self.count.wrapping_sub(count);
    }

    /// The next `count` bits as a number, at most 32.
    pub fn take(&mut self, count: u32) -> u32 {
        self.refill();
        let value = self.buffer & 1_u64.wrapping_shl(count).wrapping_sub(1);
        self.consume(count);
        // At most 32 bits.
        u32::try_from(value).unwrap_or(u32::MAX)
    }

    /// Goes to the next whole byte, and takes `count` bytes behind it; `None` if they are not there.
    pub fn take_bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let start = usize::try_from(self.position().div_ceil(8)).ok()?;
        let end = start.checked_add(count)?;
        let bytes = self.data.get(start..end)?;
        (self.next, self.buffer, self.count) = (end, 0, 0);
        Some(bytes)
    }
}

/// Bytes handed on at a time.
const PIECE: usize = 64 * 1024;

/// Writes bits, and hands them on as bytes.
pub struct Writer<W> {
    sink: W,
    bytes: Vec<u8>,
    /// Bits of a byte that is not full.
    partial: u64,
    /// Their number, at most 7.
    count: u32,
    handed_on: u64,
}

impl<W> Writer<W> {
    pub fn new(sink: W) -> Self {
        Self { sink, bytes: Vec::with_capacity(PIECE), partial: 0, count: 0, handed_on: 0 }
    }

    /// Writes the lowest `count` bits of `value`, at most 32.
    pub fn bits(&mut self, value: u64, count: u32) {
        let value = value & 1_u64.wrapping_shl(count).wrapping_sub(1);
        self.partial |= value.wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
        while self.count >= 8 {
            let [byte, ..] = self.partial.to_le_bytes();
            self.bytes.push(byte);
            self.partial >>= 8;
            self.count = self.count.wrapping_sub(8);
        }
    }

    /// Fills the last byte with zeros.
    pub fn align(&mut self) {
        if self.count > 0 {
            self.bits(0, 8_u32.wrapping_sub(self.count));
        }
    }

    /// Whether the next bit begins a byte.
    pub fn is_aligned(&self) -> bool {
        self.count == 0
    }
}

impl<E, W: FnMut(&[u8]) -> Result<(), E>> Writer<W> {
    /// Writes whole bytes, wherever they come to lie.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), E> {
        for piece in bytes.chunks(PIECE) {
            self.piece(piece);
            self.hand_on(PIECE)?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) {
        if self.count == 0 {
            self.bytes.extend_from_slice(piece);
            return;
        }
        let (words, rest) = piece.as_chunks::<8>();
        let begin = self.bytes.len();
        self.bytes.resize(begin.saturating_add(words.len().saturating_mul(8)), 0);
        let (places, _) = self.bytes.get_mut(begin..).unwrap_or_default().as_chunks_mut::<8>();
        let (count, back) = (self.count, 64_u32.wrapping_sub(self.count));
        let mut partial = self.partial;
        for (place, word) in places.iter_mut().zip(words) {
            let word = u64::from_le_bytes(*word);
            *place = (partial | word.wrapping_shl(count)).to_le_bytes();
            partial = word.wrapping_shr(back);
        }
        self.partial = partial;
        for byte in rest {
            self.bits(u64::from(*byte), 8);
        }
    }

    /// Writes the bits `range` of `data`.
    pub fn copy(&mut self, data: &[u8], range: Range<u64>) -> Result<(), E> {
        let mut from = range.start;
        let head = from.next_multiple_of(8).min(range.end).saturating_sub(from);
        self.some(data, from, head);
        from = from.saturating_add(head);
        if from == range.end {
            return Ok(());
        }
        let tail = range.end % 8;
        let whole = usize_of(from / 8)..usize_of(range.end / 8);
        if let Some(bytes) = data.get(whole) {
            self.bytes(bytes)?;
            self.some(data, range.end.saturating_sub(tail), tail);
        }
        Ok(())
    }

    /// Writes `count` bits that lie in one byte of `data`.
    fn some(&mut self, data: &[u8], from: u64, count: u64) {
        if let (Some(byte), Ok(count)) = (data.get(usize_of(from / 8)), u32::try_from(count)) {
            let shift = u32::try_from(from % 8).unwrap_or(0);
            self.bits(u64::from(*byte).wrapping_shr(shift), count);
        }
    }

    /// Hands on what is there, if it is at least `least` bytes.
    fn hand_on(&mut self, least: usize) -> Result<(), E> {
        if self.bytes.len() >= least {
            (self.sink)(&self.bytes)?;
            self.handed_on = self.handed_on.saturating_add(self.bytes.len() as u64);
            self.bytes.clear();
        }
        Ok(())
    }

    /// Fills the last byte and hands it on; how many bytes there were in all.
    pub fn finish(mut self) -> Result<u64, E> {
        self.align();
        self.hand_on(1)?;
        Ok(self.handed_on)
    }
}

fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
