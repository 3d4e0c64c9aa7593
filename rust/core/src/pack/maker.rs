//! How a new member is made: its content, its hash, and a stream that was inflated again before anyone relies on it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use crc32fast::Hasher;
use fastwheel_deflate::{CHUNK, Change, Deflater, SpliceError, splice};
use libdeflater::{Crc, crc32};
use sha2::{Digest, Sha256};

use super::task::{Failure, Packed, Source, Task, Trouble, identity};
use crate::content::{Content, Names};
use crate::file::{memory_file, open_regular, read_at};
use crate::guard::Fault;
use crate::inflate::{DEFLATED, Inflater, STORED, Span, Stop};
use crate::memory::zeros;
use crate::spill::{Range as Place, Spill};

/// Larger members are inflated piece by piece: at once takes the compressed bytes and the content in memory.
const STREAMED_FROM: u64 = 16 * 1024 * 1024;
/// The same for streams that are read back, whose contents are in memory besides.
const READ_BACK_FROM: u64 = 4 * 1024 * 1024;
/// Members from this size on are spliced: of smaller ones too little is left alone.
const SPLICED_FROM: u64 = 128 * 1024;
/// Bytes of a spliced stream that are written at one time.
const SPILLED_AT_ONCE: usize = 256 * 1024;
/// A spliced stream may be longer than the old one by this and an eighth.
const SPLICED_MORE: u64 = 64 * 1024;
/// Bytes read at a time for hashing: they stay in the processor's cache.
const HASHED_AT_ONCE: u64 = 256 * 1024;

/// What all threads make members with.
pub struct Maker<'a> {
    pub archive: Option<&'a File>,
    pub spill: &'a Spill,
    pub level: i32,
}

/// What a thread keeps from one piece of work to the next.
#[derive(Default)]
pub struct Tools {
    inflater: Inflater,
    deflater: Option<Deflater>,
    chunk: Vec<u8>,
}

/// What reading a content through once tells.
pub struct Sums {
    sha256: [u8; 32],
    crc: u32,
    names: Option<Names>,
}

/// The finished stream of one chunk, which inflates to `size` bytes with `crc`.
pub struct Chunk {
    place: Place,
    size: u64,
    crc: u32,
}

/// Why a stream could not be spliced.
enum Snag {
    Splice(SpliceError),
    Trouble(Trouble),
    /// It gets longer than there is room for.
    Long,
}

impl From<SpliceError> for Snag {
    fn from(error: SpliceError) -> Self {
        Self::Splice(error)
    }
}

impl From<Fault> for Snag {
    fn from(fault: Fault) -> Self {
        Self::Trouble(fault.into())
    }
}

impl From<Trouble> for Snag {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Maker<'_> {
    /// The content of a task; `None` if its edit changes nothing.
    pub fn content(&self, tools: &mut Tools, task: &Task<'_>) -> Result<Option<Content>, Trouble> {
        let edit = task.edit.as_ref();
        Ok(match &task.source {
            Source::File(path) => {
                let file = open_regular(path).map_err(Fault::Io)?;
                Some(Content::of_file(file, edit)?)
            }
            Source::Member(span) => {
                let archive = self.archive.ok_or_else(|| Fault::Internal("no archive".into()))?;
                if span.size > STREAMED_FROM
                    && let Some(edit) = edit
                    && let Some(file) = memory_file()
                {
                    let mut at = 0;
                    tools.inflater.streamed(archive, span, |bytes| {
                        file.write_all_at(bytes, at)?;
                        at = at.saturating_add(bytes.len() as u64);
                        Ok(())
                    })?;
                    return Ok(Content::of_copy(file, edit)?);
                }
                let data = tools.inflater.whole(archive, span)?;
                Content::of_bytes(data, edit)?
            }
            Source::Bytes(bytes) => {
                let mut data = zeros(bytes.len())?;
                data.copy_from_slice(bytes);
                Content::of_bytes(data, edit)?
            }
        })
    }

    /// Where the old content of a member changes, if its stream is to be spliced.
    pub fn changes(&self, task: &Task<'_>, content: &Content) -> Option<Vec<Range<u64>>> {
        let deflated = matches!(task.source, Source::Member(Span { method: DEFLATED, .. }));
        if content.size() >= SPLICED_FROM && self.level > 0 && deflated { content.changes() } else { None }
    }

    /// The number of chunks that a content is deflated in.
    pub fn chunks(&self, content: &Content) -> usize {
        let chunks = if self.level > 0 { content.size().div_ceil(CHUNK as u64) } else { 0 };
        usize::try_from(chunks).unwrap_or(0)
    }

    /// The sums of a content, read in order.
    pub fn sums(&self, tools: &mut Tools, content: &Content, stop: &AtomicBool) -> Result<Sums, Trouble> {
        let names = content.names()?;
        let (mut sha256, mut crc) = (Sha256::new(), Crc::new());
        each_piece(&mut tools.chunk, content, HASHED_AT_ONCE, stop, |bytes, _| {
            sha256.update(bytes);
            crc.update(bytes);
            Ok(())
        })?;
        Ok(Sums { sha256: sha256.finalize().into(), crc: crc.sum(), names })
    }

    /// The stream of one chunk.
    pub fn chunk(
        &self,
        tools: &mut Tools,
        content: &Content,
        number: usize,
        last: bool,
    ) -> Result<Chunk, Trouble> {
        let offset = (number as u64).saturating_mul(CHUNK as u64);
        let size = content.size().saturating_sub(offset).min(CHUNK as u64);
        let bytes = filled(&mut tools.chunk, content, offset, size)?;
        let stream = deflater(&mut tools.deflater, self.level)?.chunk(bytes, last).map_err(internal)?;
        let crc = crc32(bytes);
        if !tools.inflater.gives(&stream, last, bytes.len(), crc)? {
            return Err(not_read_back());
        }
        Ok(Chunk { place: self.spill.append(&stream).map_err(unwritten)?, size, crc })
    }

    /// All of a content of one chunk.
    pub fn small(&self, tools: &mut Tools, content: &Content) -> Result<Packed, Trouble> {
        let bytes = filled(&mut tools.chunk, content, 0, content.size())?;
        let sums = Sums { sha256: Sha256::digest(bytes).into(), crc: crc32(bytes), names: Names::of(bytes)? };
        let mut stream = Vec::new();
        if self.level > 0 && !bytes.is_empty() {
            stream = deflater(&mut tools.deflater, self.level)?.chunk(bytes, true).map_err(internal)?;
            if !tools.inflater.gives(&stream, true, bytes.len(), sums.crc)? {
                return Err(not_read_back());
            }
        }
        let deflated = !stream.is_empty() && stream.len() < bytes.len();
        let (method, data) = if deflated { (DEFLATED, &stream[..]) } else { (STORED, bytes) };
        let places =
            if data.is_empty() { Vec::new() } else { vec![self.spill.append(data).map_err(unwritten)?] };
        packed(content, method, sums, places)
    }

    /// The member of these chunks, in order; it is stored if that takes no more.
    pub fn of_chunks(
        &self,
        tools: &mut Tools,
        content: &Content,
        sums: Sums,
        chunks: &[Chunk],
        stop: &AtomicBool,
    ) -> Result<Packed, Trouble> {
        let (mut crc, mut size) = (Hasher::new(), 0_u64);
        for chunk in chunks {
            crc.combine(&Hasher::new_with_initial_len(chunk.crc, chunk.size));
            size = size.saturating_add(chunk.place.1);
        }
        if self.level > 0 && size < content.size() {
            // What was hashed and what was deflated were read one after the other.
            if crc.finalize() != sums.crc {
                return Err(changed(content));
            }
            return packed(content, DEFLATED, sums, merged(chunks.iter().map(|chunk| chunk.place)));
        }
        let place = self.spill.reserve(content.size());
        let mut again = Crc::new();
        each_piece(&mut tools.chunk, content, CHUNK as u64, stop, |bytes, offset| {
            again.update(bytes);
            self.spill.write(bytes, place.0.saturating_add(offset)).map_err(unwritten)
        })?;
        if again.sum() != sums.crc && !stop.load(Ordering::Relaxed) {
            return Err(changed(content));
        }
        packed(content, STORED, sums, vec![place])
    }

    /// The stream of a changed member, most of it that of the old one; `None` if too much changes.
    pub fn splice(
        &self,
        task: &Task<'_>,
        content: &Content,
        changes: &[Range<u64>],
    ) -> Result<Option<Place>, Trouble> {
        let (Source::Member(span), Some(archive)) = (&task.source, self.archive) else { return Ok(None) };
        let mut old = zeros(usize::try_from(span.compressed_size).map_err(|_| Fault::Memory)?)?;
        if read_at(archive, &mut old, span.offset).map_err(Fault::Io)? < old.len() {
            return Err(Fault::Changed.into());
        }
        let room = span.compressed_size.saturating_add(span.compressed_size / 8).saturating_add(SPLICED_MORE);
        let (start, _) = self.spill.reserve(room);
        let (mut held, mut written) = (Vec::new(), 0_u64);
        let mut flush = |held: &mut Vec<u8>| {
            let behind = written.saturating_add(held.len() as u64);
            if behind > room {
                return Err(Snag::Long);
            }
            self.spill.write(held, start.saturating_add(written)).map_err(unwritten)?;
            written = behind;
            held.clear();
            Ok(())
        };
        let change = Change { ranges: changes, size: content.size() };
        let read = |offset: u64, buffer: &mut [u8]| Ok(content.read(buffer, offset)?);
        let write = |bytes: &[u8]| {
            if held.len() >= SPILLED_AT_ONCE {
                flush(&mut held)?;
            }
            held.extend_from_slice(bytes);
            Ok(())
        };
        let spliced = splice(&old, change, self.level.unsigned_abs(), read, write);
        let spliced = match spliced {
            Ok(Some(_)) => flush(&mut held),
            Ok(None) => return Ok(None),
            Err(snag) => Err(snag),
        };
        match spliced {
            Ok(()) => Ok(Some((start, written))),
            Err(Snag::Trouble(trouble)) => Err(trouble),
            // Inflaters took the stream; what the walker has against it is no reason to refuse the wheel.
            Err(Snag::Long | Snag::Splice(SpliceError::Malformed(_))) => Ok(None),
            Err(Snag::Splice(error)) => Err(Fault::Internal(error.to_string()).into()),
        }
    }

    /// The member of a spliced stream.
    pub fn of_splice(
        &self,
        tools: &mut Tools,
        content: &Content,
        sums: Sums,
        place: Place,
    ) -> Result<Packed, Trouble> {
        let (offset, compressed_size) = place;
        let span = Span { offset, compressed_size, size: content.size(), crc: sums.crc, method: DEFLATED };
        let inflater = &mut tools.inflater;
        let again = if span.size > READ_BACK_FROM {
            inflater.streamed(self.spill.file(), &span, |_| Ok(()))
        } else {
            inflater.view(self.spill.file(), &span).map(drop)
        };
        match again {
            Ok(()) => packed(content, DEFLATED, sums, vec![place]),
            Err(Stop::Damage(_)) => Err(not_read_back()),
            Err(Stop::Fault(fault)) => Err(Trouble::Fault(fault)),
        }
    }
}

fn packed(content: &Content, method: u16, sums: Sums, ranges: Vec<Place>) -> Result<Packed, Trouble> {
    let identity = content.source().map(identity).transpose().map_err(Fault::Io)?;
    let Sums { sha256, crc, names } = sums;
    Ok(Packed { method, crc, size: content.size(), sha256, ranges, identity, names })
}

/// Neighbours in the spill as one place.
fn merged(places: impl Iterator<Item = Place>) -> Vec<Place> {
    let mut result: Vec<Place> = Vec::new();
    for (offset, length) in places {
        match result.last_mut() {
            Some((start, size)) if start.checked_add(*size) == Some(offset) => {
                *size = size.saturating_add(length);
            }
            _ => result.push((offset, length)),
        }
    }
    result
}

/// Hands a content to `each` in order, with the offset of each piece.
fn each_piece(
    chunk: &mut Vec<u8>,
    content: &Content,
    step: u64,
    stop: &AtomicBool,
    mut each: impl FnMut(&[u8], u64) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut offset = 0;
    while offset < content.size() && !stop.load(Ordering::Relaxed) {
        let size = content.size().saturating_sub(offset).min(step);
        each(filled(chunk, content, offset, size)?, offset)?;
        offset = offset.saturating_add(size);
    }
    Ok(())
}

/// `size` bytes of a content from `offset` on, in `chunk`.
fn filled<'c>(
    chunk: &'c mut Vec<u8>,
    content: &Content,
    offset: u64,
    size: u64,
) -> Result<&'c [u8], Trouble> {
    let size = usize::try_from(size).map_err(|_| Fault::Memory)?;
    if chunk.len() < size {
        *chunk = zeros(size.max(usize::try_from(HASHED_AT_ONCE).unwrap_or(size)))?;
    }
    let bytes = chunk.get_mut(..size).unwrap_or_default();
    content.read(bytes, offset)?;
    Ok(bytes)
}

fn deflater(slot: &mut Option<Deflater>, level: i32) -> Result<&mut Deflater, Trouble> {
    match slot {
        Some(deflater) => Ok(deflater),
        None => Ok(slot.insert(Deflater::new(level).map_err(internal)?)),
    }
}

fn internal(error: fastwheel_deflate::Error) -> Trouble {
    Trouble::Fault(match error {
        fastwheel_deflate::Error::Memory => Fault::Memory,
        other => Fault::Internal(other.to_string()),
    })
}

fn not_read_back() -> Trouble {
    Fault::Internal("a new stream does not inflate to its content".into()).into()
}

/// The error for a content that was not the same when it was read again.
fn changed(content: &Content) -> Trouble {
    if content.source().is_some() { Trouble::Failure(Failure::Changed) } else { not_read_back() }
}

/// A failed write to the spill is no fault of the source.
fn unwritten(error: io::Error) -> Trouble {
    Trouble::Fault(Fault::Io(error))
}
