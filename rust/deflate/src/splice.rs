//! The stream of a changed content, made from the stream of the old one.
//!
//! A block has to be made anew if it produces a changed byte, or holds a match that copies one: it would go on producing the
//! old one. What follows from that is not transitive: a block made anew produces what the new content says, so blocks that
//! copy from its unchanged bytes stay right.

use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::WINDOW;
use crate::bits::Writer;
use crate::walk::{Block, Kind, Malformed, walk_with};

/// What [`splice`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The size of the new stream.
    pub size: u64,
    /// How many bytes of the content were deflated for it.
    pub encoded: u64,
}

/// Why [`splice`] could do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The old stream is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The new content is shorter than the old one, or a change lies outside of it.
    #[error("the change does not fit the content")]
    Change,
    /// The compressor refused to work: a fault of fastwheel.
    #[error("the compressor made no stream")]
    Compressor,
}

/// How a content differs from the one that a stream produces.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Where its bytes may differ, in any order. What is appended need not be listed.
    pub ranges: &'a [Range<u64>],
    /// Its size, not below the old one.
    pub size: u64,
}

/// Above this part of the content it is better to deflate it anew: faster, and without seams.
const MOST_ENCODED: u64 = 3;
/// A stream with more changes of this kind than any compressor makes: not worth the memory to list them.
const MOST_PIECES: usize = 1 << 18;
/// Bytes of content deflated at a time.
const STEP: usize = 64 * 1024;

/// Makes the stream of a content from `old`, the stream of another one: deflates the blocks that `change` concerns, at
/// zlib's `level` 0 to 9, and keeps the others bit for bit.
///
/// `read` fills a buffer with the new content from an offset on; only what is deflated and the 32 KiB before are read.
/// `write` gets the new stream in pieces. `None`, and nothing is written, if more than a third of the content would
/// have to be deflated.
pub fn splice<E: From<SpliceError>>(
    old: &[u8],
    change: Change<'_>,
    level: u32,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Option<Spliced>, E> {
    let Some(plan) = Plan::new(old, change)? else { return Ok(None) };
    let mut writer = Writer::new(write);
    let mut encoder = Encoder { stream: Compress::new(Compression::new(level.min(9)), false), used: false };
    let mut pieces = plan.pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Keep(bits) => writer.copy(old, bits.clone())?,
            Piece::Open(bits) => {
                writer.bits(0, 1);
                writer.copy(old, bits.start.saturating_add(1)..bits.end)?;
            }
            Piece::Stored(bits, last) => {
                writer.bits(u64::from(*last), 3);
                writer.align();
                // Its header and what fills the byte behind; its length and content are whole bytes.
                let start = bits.start.saturating_add(3).next_multiple_of(8);
                writer.copy(old, start..bits.end)?;
            }
            Piece::Encode(content) => {
                if !writer.is_aligned() {
                    // An empty stored block: what the compressor makes begins with a byte.
                    writer.bits(0, 3);
                    writer.align();
                    writer.bytes(&[0, 0, 0xff, 0xff])?;
                }
                encoder.run(content.clone(), pieces.peek().is_none(), &mut read, &mut writer)?;
            }
        }
    }
    Ok(Some(Spliced { size: writer.finish()?, encoded: plan.encoded }))
}

/// What to do with one part of the old stream.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Keep these bits: whole blocks, none of them stored.
    Keep(Range<u64>),
    /// Keep the bits of this block, which no longer is the last one.
    Open(Range<u64>),
    /// Keep this stored block, which may come to lie otherwise in its first byte; whether it is the last one.
    Stored(Range<u64>, bool),
    /// Deflate these bytes of the new content.
    Encode(Range<u64>),
}

#[derive(Default)]
struct Plan {
    pieces: Vec<Piece>,
    /// The bytes of content to deflate.
    encoded: u64,
}

impl Plan {
    fn new(old: &[u8], change: Change<'_>) -> Result<Option<Self>, SpliceError> {
        let mut plan = Self::default();
        let mut last = None;
        let mut too_many = false;
        walk_with(old, change.ranges, |block| {
            plan.add(&block);
            too_many |= plan.pieces.len() > MOST_PIECES;
            if too_many {
                plan.pieces.clear();
            }
            last = block.last.then_some(block);
        })?;
        let last = last.ok_or(SpliceError::Malformed(Malformed::Short))?;
        let size = last.out_end;
        if change.size < size || change.ranges.iter().any(|range| range.end > change.size) {
            return Err(SpliceError::Change);
        }
        if change.size > size {
            plan.append(&last, size..change.size);
        }
        let most = change.size / MOST_ENCODED;
        Ok((!too_many && plan.encoded <= most).then_some(plan))
    }

    fn add(&mut self, block: &Block) {
        let content = block.out_start..block.out_end;
        match self.pieces.last_mut() {
            // Nothing is lost with an empty block.
            Some(Piece::Encode(before)) if block.stale || content.is_empty() => {
                before.end = content.end;
                self.encoded = self.encoded.saturating_add(content.end.saturating_sub(content.start));
            }
            _ if block.stale => {
                self.encoded = self.encoded.saturating_add(content.end.saturating_sub(content.start));
                self.pieces.push(Piece::Encode(content));
            }
            _ if block.kind == Kind::Stored => {
                self.pieces.push(Piece::Stored(block.bits.clone(), block.last));
            }
            Some(Piece::Keep(before)) => before.end = block.bits.end,
            _ => self.pieces.push(Piece::Keep(block.bits.clone())),
        }
    }

    /// Lets the appended content follow the last block.
    fn append(&mut self, last: &Block, content: Range<u64>) {
        self.encoded = self.encoded.saturating_add(content.end.saturating_sub(content.start));
        match self.pieces.last_mut() {
            Some(Piece::Encode(before)) => {
                before.end = content.end;
                return;
            }
            Some(Piece::Stored(_, is_last)) => *is_last = false,
            Some(Piece::Keep(kept)) => {
                kept.end = last.bits.start;
                self.pieces.push(Piece::Open(last.bits.clone()));
            }
            Some(Piece::Open(_)) | None => {}
        }
        self.pieces.push(Piece::Encode(content));
    }
}

/// The compressor of the parts made anew.
struct Encoder {
    stream: Compress,
    used: bool,
}

impl Encoder {
    /// Deflates `content` behind what comes before it; ends on a whole byte, or ends the stream if `last`.
    fn run<E: From<SpliceError>, W: FnMut(&[u8]) -> Result<(), E>>(
        &mut self,
        content: Range<u64>,
        last: bool,
        read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
        writer: &mut Writer<W>,
    ) -> Result<(), E> {
        if self.used {
            self.stream.reset();
        }
        self.used = true;
        let mut input = vec![0; STEP];
        let mut output = vec![0; STEP];
        let mut at = content.start;
        let before = first_bytes(&mut input, WINDOW.min(at));
        if !before.is_empty() {
            read(at.saturating_sub(before.len() as u64), before)?;
            self.stream.set_dictionary(before).map_err(|_| SpliceError::Compressor)?;
        }
        loop {
            let left = content.end.saturating_sub(at);
            let bytes = first_bytes(&mut input, left);
            read(at, bytes)?;
            at = at.saturating_add(bytes.len() as u64);
            let flush = match (at == content.end, last) {
                (false, _) => FlushCompress::None,
                (true, false) => FlushCompress::Sync,
                (true, true) => FlushCompress::Finish,
            };
            let mut pending: &[u8] = bytes;
            loop {
                let (read_before, written_before) = (self.stream.total_in(), self.stream.total_out());
                let status =
                    self.stream.compress(pending, &mut output, flush).map_err(|_| SpliceError::Compressor)?;
                let consumed = self.stream.total_in().saturating_sub(read_before);
                let produced = self.stream.total_out().saturating_sub(written_before);
                pending =
                    usize::try_from(consumed).ok().and_then(|count| pending.get(count..)).unwrap_or_default();
                let made = first_bytes(&mut output, produced);
                writer.bytes(made)?;
                let full = made.len() == STEP;
                match status {
                    Status::StreamEnd => return Ok(()),
                    // A full buffer says that there may be more.
                    _ if full || !pending.is_empty() && (consumed > 0 || produced > 0) => {}
                    _ if pending.is_empty() && !matches!(flush, FlushCompress::Finish) => break,
                    _ => return Err(SpliceError::Compressor.into()),
                }
            }
            if at == content.end {
                return Ok(());
            }
        }
    }
}

/// The begin of a buffer, `count` bytes or all.
fn first_bytes(buffer: &mut [u8], count: u64) -> &mut [u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(buffer.len());
    buffer.get_mut(..count).unwrap_or_default()
}
