//! Bits in the order of deflate: the lowest bit of a byte first.

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
