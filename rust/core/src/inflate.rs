//! The content of one zip member, taken out of the archive without ever producing more than it declares.

use std::fs::File;
use std::ops::ControlFlow;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{Crc, Decompressor};

use crate::file::read_at;
use crate::guard::Fault;
use crate::memory::zeros;

/// What the central directory says of one member.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where its compressed bytes begin.
    pub offset: u64,
    /// Their number.
    pub compressed_size: u64,
    /// The number of bytes that they inflate to.
    pub size: u64,
    /// The CRC-32 of those.
    pub crc: u32,
    /// The compression method: 0 stored, 8 deflated.
    pub method: u16,
}

impl Span {
    /// Whether so many bytes can be made of what the archive has. What cannot be must not decide how much memory is taken.
    pub fn is_believable(&self, archive: &File) -> Result<bool, Fault> {
        let most = if self.method == STORED { 1 } else { MOST_PER_BYTE };
        Ok(self.compressed_size <= archive.metadata()?.len()
            && self.size <= self.compressed_size.saturating_mul(most))
    }
}

/// How the content of a member contradicts the central directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// No deflate stream that fills the compressed bytes exactly.
    Inflate,
    /// Another number of bytes than declared.
    Size,
    /// Another CRC-32 than declared.
    Crc,
}

/// Why there is no content.
#[derive(Debug)]
pub enum Stop {
    /// The member is damaged; other members may be well.
    Damage(Damage),
    /// Nothing more can be done.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

/// The compression methods of a member.
pub const STORED: u16 = 0;
pub const DEFLATED: u16 = 8;
/// Bytes read or produced at a time while streaming.
const CHUNK: usize = 64 * 1024;
/// Bytes read to learn the first few of a member: a block header and its code tables are seldom longer.
const FIRST_READ: usize = 512;
/// The size of a buffer that is worth to be kept.
const MOST_KEPT: usize = 8 * 1024 * 1024;
/// A deflate stream produces at most 258 bytes for two bits.
const MOST_PER_BYTE: u64 = 1032;
/// The gzip frame (RFC 1952) without optional fields.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Its header, and behind the deflate stream CRC-32 and size.
const GZIP_FRAME: usize = 18;
/// An empty last block: what makes a stream that goes on a complete one.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The state of one thread, used for member after member.
pub struct Inflater {
    fast: Decompressor,
    stream: Decompress,
    /// Compressed bytes in their frame, and the content of [`Inflater::view`]: kept, because pages that the kernel has
    /// cleared before cost a fifth of the time.
    framed: Vec<u8>,
    content: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            fast: Decompressor::new(),
            stream: Decompress::new(false),
            framed: Vec::new(),
            content: Vec::new(),
        }
    }
}

impl Inflater {
    /// The first four bytes of a member that declares at least as many, inflating nothing beyond them.
    pub fn magic(&mut self, file: &File, span: &Span) -> Result<[u8; 4], Stop> {
        let mut magic = [0; 4];
        if span.method == STORED {
            if span.compressed_size != span.size || read_at(file, &mut magic, span.offset)? < magic.len() {
                return Err(Damage::Size.into());
            }
            return Ok(magic);
        }
        let mut input = Input::new(file, span, FIRST_READ)?;
        self.stream.reset(false);
        let mut filled = 0_usize;
        while let Some(rest) = magic.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let step = step(&mut self.stream, &mut input, rest)?;
            filled = filled.saturating_add(step.produced);
            if step.ended && filled < magic.len() {
                return Err(Damage::Size.into());
            }
        }
        Ok(magic)
    }

    /// The whole content, its size and CRC-32 checked.
    pub fn whole(&mut self, file: &File, span: &Span) -> Result<Vec<u8>, Stop> {
        let mut content = Vec::new();
        self.whole_into(file, span, &mut content)?;
        Ok(content)
    }

    /// The same, in a buffer that the next call uses again. [`Inflater::release`] gives it back if it is large.
    pub fn view(&mut self, file: &File, span: &Span) -> Result<&[u8], Stop> {
        let mut content = std::mem::take(&mut self.content);
        self.whole_into(file, span, &mut content)?;
        self.content = content;
        let size = usize::try_from(span.size).unwrap_or(usize::MAX);
        Ok(self.content.get(..size).unwrap_or_default())
    }

    /// Keeps no large buffers from one member to the next: others may need the memory meanwhile.
    pub fn release(&mut self) {
        for buffer in [&mut self.framed, &mut self.content] {
            if buffer.capacity() > MOST_KEPT {
                *buffer = Vec::new();
            }
        }
    }

    /// Fills the begin of `content`, which is made larger if need be.
    fn whole_into(&mut self, file: &File, span: &Span, content: &mut Vec<u8>) -> Result<(), Stop> {
        if span.method == DEFLATED && span.is_believable(file)? && self.whole_at_once(file, span, content)? {
            return Ok(());
        }
        content.clear();
        self.streamed(file, span, |bytes| {
            content.try_reserve(bytes.len()).map_err(|_| Fault::Memory)?;
            content.extend_from_slice(bytes);
            Ok(())
        })
    }

    /// The fast way; false if anything is wrong, which streaming then finds out.
    ///
    /// libdeflater does not tell how many bytes a stream took. Inside of a gzip frame it has to: there the trailer, with
    /// CRC-32 and size, must stand right behind the last block.
    fn whole_at_once(&mut self, file: &File, span: &Span, content: &mut Vec<u8>) -> Result<bool, Stop> {
        let length = usize::try_from(span.compressed_size).map_err(|_| Fault::Memory)?;
        let framed_length = length.checked_add(GZIP_FRAME).ok_or(Fault::Memory)?;
        let framed = at_least(&mut self.framed, framed_length)?;
        let (header, rest) = framed.split_at_mut(GZIP_HEADER.len());
        let (body, trailer) = rest.split_at_mut(length);
        if read_at(file, body, span.offset)? < length {
            return Ok(false);
        }
        header.copy_from_slice(&GZIP_HEADER);
        let size = span.size.to_le_bytes();
        for (to, from) in trailer.iter_mut().zip(span.crc.to_le_bytes().iter().chain(&size)) {
            *to = *from;
        }
        // A copy of the trailer among the compressed bytes could end the frame early: one in 2^64 by chance.
        if memchr::memmem::find(body, trailer).is_some() {
            return Ok(false);
        }
        let content = at_least(content, usize::try_from(span.size).map_err(|_| Fault::Memory)?)?;
        Ok(self.fast.gzip_decompress(framed, content).is_ok_and(|size| size == content.len()))
    }

    /// Whether a stream just made inflates to `size` bytes with `crc`, and ends where it should; one that is not
    /// `complete` goes on from a whole byte.
    pub fn gives(&mut self, stream: &[u8], complete: bool, size: usize, crc: u32) -> Result<bool, Fault> {
        let end: &[u8] = if complete { &[] } else { &LAST_BLOCK };
        let length = u32::try_from(size).map_err(|_| Fault::Memory)?;
        self.framed.clear();
        self.framed.try_reserve(stream.len().saturating_add(GZIP_FRAME)).map_err(|_| Fault::Memory)?;
        for part in [&GZIP_HEADER, stream, end, &crc.to_le_bytes(), &length.to_le_bytes()] {
            self.framed.extend_from_slice(part);
        }
        let content = at_least(&mut self.content, size)?;
        Ok(self.fast.gzip_decompress(&self.framed, content).is_ok_and(|made| made == size))
    }

    /// Hands the content piece by piece to `sink`, then checks size and CRC-32.
    pub fn streamed(
        &mut self,
        file: &File,
        span: &Span,
        mut sink: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Stop> {
        let sink = |bytes: &[u8]| sink(bytes).map(ControlFlow::Continue);
        self.streamed_while(file, span, sink).map(drop)
    }

    /// The same until `sink` breaks: then nothing is checked.
    pub fn streamed_while(
        &mut self,
        file: &File,
        span: &Span,
        mut sink: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<ControlFlow<()>, Stop> {
        let mut input = Input::new(file, span, CHUNK)?;
        let mut crc = Crc::new();
        let mut produced = 0_u64;
        if span.method == STORED {
            if span.compressed_size != span.size {
                return Err(Damage::Size.into());
            }
            while input.fill()? {
                let bytes = input.take_all();
                produced = produced.saturating_add(bytes.len() as u64);
                crc.update(bytes);
                if sink(bytes)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        } else {
            self.stream.reset(false);
            let mut chunk = zeros(CHUNK)?;
            loop {
                // One byte more than declared may appear, and is then the proof of a lie about the size.
                let room = span.size.saturating_sub(produced).saturating_add(1).min(CHUNK as u64);
                let output = chunk.get_mut(..usize::try_from(room).unwrap_or(CHUNK)).unwrap_or_default();
                let step = step(&mut self.stream, &mut input, output)?;
                produced = produced.saturating_add(step.produced as u64);
                if produced > span.size {
                    return Err(Damage::Size.into());
                }
                let bytes = chunk.get(..step.produced).unwrap_or_default();
                crc.update(bytes);
                if sink(bytes)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if step.ended {
                    break;
                }
            }
            if input.fill()? || input.short {
                return Err(Damage::Inflate.into());
            }
        }
        if produced != span.size {
            return Err(Damage::Size.into());
        }
        if crc.sum() != span.crc {
            return Err(Damage::Crc.into());
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What one call of the inflater did.
struct Step {
    produced: usize,
    ended: bool,
}

/// Inflates until there is output or the stream ends.
fn step(stream: &mut Decompress, input: &mut Input<'_>, output: &mut [u8]) -> Result<Step, Stop> {
    loop {
        let more = input.fill()?;
        let (read, written) = (stream.total_in(), stream.total_out());
        let status =
            stream.decompress(input.pending(), output, FlushDecompress::None).map_err(|_| Damage::Inflate)?;
        let consumed = usize::try_from(stream.total_in().saturating_sub(read)).unwrap_or(0);
        let produced = usize::try_from(stream.total_out().saturating_sub(written)).unwrap_or(0);
        input.consume(consumed);
        let ended = matches!(status, Status::StreamEnd);
        if ended || produced > 0 {
            return Ok(Step { produced, ended });
        }
        if !more || consumed == 0 {
            return Err(Damage::Inflate.into());
        }
    }
}

/// The compressed bytes of one member, read a chunk at a time.
struct Input<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
    chunk: Vec<u8>,
    used: usize,
    held: usize,
    /// The archive ends before the member does.
    short: bool,
}

impl<'a> Input<'a> {
    fn new(file: &'a File, span: &Span, chunk: usize) -> Result<Self, Fault> {
        let chunk = usize::try_from(span.compressed_size).unwrap_or(chunk).min(chunk);
        Ok(Self {
            file,
            offset: span.offset,
            left: span.compressed_size,
            chunk: zeros(chunk)?,
            used: 0,
            held: 0,
            short: false,
        })
    }

    /// Makes bytes pending, if there are any left; whether there are.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.used < self.held {
            return Ok(true);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.chunk.len());
        let room = self.chunk.get_mut(..wanted).unwrap_or_default();
        let count = read_at(self.file, room, self.offset)?;
        self.offset = self.offset.saturating_add(count as u64);
        self.left = self.left.saturating_sub(count as u64);
        if count < wanted {
            (self.short, self.left) = (true, 0);
        }
        self.used = 0;
        self.held = count;
        Ok(count > 0)
    }

    fn pending(&self) -> &[u8] {
        self.chunk.get(self.used..self.held).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.held);
    }

    fn take_all(&mut self) -> &[u8] {
        let from = self.used;
        self.used = self.held;
        self.chunk.get(from..self.held).unwrap_or_default()
    }
}

/// The first `size` bytes of a buffer, which is replaced by a larger one if need be.
fn at_least(buffer: &mut Vec<u8>, size: usize) -> Result<&mut [u8], Fault> {
    if buffer.len() < size {
        // What is there is not needed: never hold both.
        *buffer = Vec::new();
        *buffer = zeros(size)?;
    }
    Ok(buffer.get_mut(..size).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use libdeflater::crc32;

    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    /// A file with `before` bytes, then `content`.
    fn file_of(content: &[u8]) -> File {
        let path =
            std::env::temp_dir().join(format!("fastwheel-{:?}-{:p}", std::thread::current().id(), content));
        let mut file =
            File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"head").unwrap();
        file.write_all(content).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn span(compressed: &[u8], content: &[u8]) -> Span {
        Span {
            offset: 4,
            compressed_size: compressed.len() as u64,
            size: content.len() as u64,
            crc: crc32(content),
            method: DEFLATED,
        }
    }

    fn damage<T>(result: Result<T, Stop>) -> Damage {
        match result {
            Err(Stop::Damage(damage)) => damage,
            Err(Stop::Fault(fault)) => panic!("{fault:?}"),
            Ok(_) => panic!("no damage seen"),
        }
    }

    fn stream(file: &File, span: &Span) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::new();
        Inflater::default().streamed(file, span, |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn both_ways_give_the_content() {
        for content in [&b""[..], b"abc", &b"abcdefgh".repeat(100_000)] {
            let compressed = deflated(content);
            let (file, span) = (file_of(&compressed), span(&compressed, content));
            let mut at_once = Vec::new();
            assert!(Inflater::default().whole_at_once(&file, &span, &mut at_once).unwrap());
            assert_eq!(at_once, content);
            assert_eq!(stream(&file, &span).unwrap(), content);
            if let Some(magic) = content.first_chunk::<4>() {
                assert_eq!(&Inflater::default().magic(&file, &span).unwrap(), magic);
            }
            let (file, stored) =
                (file_of(content), Span { compressed_size: span.size, method: STORED, ..span });
            assert_eq!(Inflater::default().whole(&file, &stored).unwrap(), content);
        }
    }

    #[test]
    fn a_stream_just_made_gives_its_content_or_not() {
        let content = b"abcdefgh".repeat(100);
        let (whole, crc) = (deflated(&content), crc32(&content));
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&content).unwrap();
        encoder.flush().unwrap();
        let open = encoder.get_ref().clone();
        let mut inflater = Inflater::default();
        let mut gives =
            |stream: &[u8], complete, size, crc| inflater.gives(stream, complete, size, crc).unwrap();
        assert!(gives(&whole, true, 800, crc) && gives(&open, false, 800, crc) && gives(&[], false, 0, 0));
        assert!(
            !gives(&open, true, 800, crc) && !gives(&whole, true, 799, crc) && !gives(&whole, true, 801, crc)
        );
        assert!(!gives(&whole, true, 800, crc ^ 1) && !gives(&whole[1..], true, 800, crc));
        for more in [[&whole[..], b"x"].concat(), [&open[..], b"x"].concat()] {
            assert!(!gives(&more, true, 800, crc) && !gives(&more, false, 800, crc));
        }
    }

    #[test]
    fn a_view_is_of_its_member_alone() {
        let mut inflater = Inflater::default();
        for content in [&b"abcdefgh".repeat(1000)[..], b"xyz", b"", &b"0123".repeat(5000)] {
            let compressed = deflated(content);
            let (file, span) = (file_of(&compressed), span(&compressed, content));
            assert_eq!(inflater.view(&file, &span).unwrap(), content);
            let wrong = Span { crc: span.crc ^ 1, ..span };
            assert_eq!(damage(inflater.view(&file, &wrong).map(<[u8]>::to_vec)), Damage::Crc);
            assert_eq!(inflater.view(&file, &span).unwrap(), content);
        }
    }

    #[test]
    fn streaming_ends_where_the_sink_says() {
        let content = b"abcdefgh".repeat(100_000);
        let mut compressed = deflated(&content);
        let (right, middle) = (span(&compressed, &content), compressed.len() / 2);
        compressed.truncate(middle);
        let file = file_of(&compressed);
        let mut seen = 0;
        let ended = Inflater::default().streamed_while(&file, &right, |bytes| {
            seen += bytes.len();
            Ok(if seen > 100_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        assert!(ended.unwrap().is_break());
        assert_eq!(stream(&file, &right).map_err(|stop| damage::<()>(Err(stop))), Err(Damage::Inflate));
    }

    #[test]
    fn lies_are_told_apart() {
        let content = b"abcdefgh".repeat(1000);
        let compressed = deflated(&content);
        let (file, right) = (file_of(&compressed), span(&compressed, &content));
        let mut inflater = Inflater::default();
        let mut of = |span: Span| damage(inflater.whole(&file, &span));
        assert_eq!(of(Span { crc: 1, ..right }), Damage::Crc);
        assert_eq!(of(Span { size: 7999, ..right }), Damage::Size);
        assert_eq!(of(Span { size: 8001, ..right }), Damage::Size);
        assert_eq!(of(Span { size: u64::MAX, ..right }), Damage::Size);
        assert_eq!(of(Span { size: 0, ..right }), Damage::Size);
        assert_eq!(of(Span { compressed_size: right.compressed_size - 1, ..right }), Damage::Inflate);
        assert_eq!(of(Span { compressed_size: right.compressed_size + 1, ..right }), Damage::Inflate);
        assert_eq!(of(Span { compressed_size: 0, ..right }), Damage::Inflate);
        assert_eq!(of(Span { offset: 1 << 40, ..right }), Damage::Inflate);
        assert_eq!(of(Span { method: STORED, ..right }), Damage::Size);
        assert_eq!(damage(Inflater::default().magic(&file, &Span { offset: 0, ..right })), Damage::Inflate);
    }

    #[test]
    fn bytes_behind_the_stream_are_found_even_if_they_look_like_its_trailer() {
        let content = b"abcdefgh".repeat(1000);
        let mut compressed = deflated(&content);
        compressed.extend_from_slice(&crc32(&content).to_le_bytes());
        compressed.extend_from_slice(&8000_u32.to_le_bytes());
        let (file, span) = (file_of(&compressed), span(&compressed, &content));
        assert_eq!(damage(Inflater::default().whole(&file, &span)), Damage::Inflate);
    }
}
