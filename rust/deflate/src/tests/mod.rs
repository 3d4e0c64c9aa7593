//! Contents, and streams of them by every compressor here, for the tests of both subjects.

mod splicing;
mod walking;

use std::io::Write;
use std::ops::Range;

use flate2::write::DeflateEncoder;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libdeflater::Decompressor;

use crate::{
    Block, CHUNK, Change, Deflater, Kind, Malformed, SpliceError, Spliced, WINDOW, leave_open, splice, walk,
    walk_with,
};

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// Contents of several kinds, of about `size` bytes.
fn contents(random: &mut Random, size: usize) -> Vec<Vec<u8>> {
    let words: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let length = 2 + random.below(9);
            random.bytes(length).iter().map(|byte| b'a' + byte % 26).collect()
        })
        .collect();
    let mut text = Vec::new();
    while text.len() < size {
        text.extend_from_slice(&words[random.below(300)]);
        text.push(b' ');
    }
    let noise = random.bytes(size);
    let mut runs = Vec::new();
    while runs.len() < size {
        runs.resize(runs.len() + 1 + random.below(2000), random.next() as u8);
    }
    // Records like those of machine code and tables: part repeated, part counted, part noise.
    let mut records = Vec::new();
    while records.len() < size {
        records.extend_from_slice(&(records.len() as u64 * 16).to_le_bytes());
        records.extend_from_slice(&words[random.below(20)]);
        records.push(random.next() as u8 & 7);
    }
    let mut mixed = Vec::new();
    for part in [&text, &noise, &runs, &records, &noise, &text] {
        mixed.extend_from_slice(&part[..size / 6]);
    }
    vec![text, noise, runs, records, mixed]
}

fn zlib(content: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Many blocks, with an empty stored one behind each.
fn flushed(content: &[u8], step: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    for part in content.chunks(step) {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

fn libdeflate(content: &[u8], level: i32) -> Vec<u8> {
    Deflater::new(level).unwrap().chunk(content, true).unwrap()
}

fn chunked(content: &[u8], level: i32, size: usize) -> Vec<u8> {
    let mut deflater = Deflater::new(level).unwrap();
    let mut parts = content.chunks(size).peekable();
    let mut stream = Vec::new();
    while let Some(part) = parts.next() {
        stream.extend(deflater.chunk(part, parts.peek().is_none()).unwrap());
    }
    stream
}

/// Stored blocks of at most `step` bytes.
fn stored(content: &[u8], step: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut parts = content.chunks(step).peekable();
    while let Some(part) = parts.next() {
        stream.push(u8::from(parts.peek().is_none()));
        stream.extend_from_slice(&(part.len() as u16).to_le_bytes());
        stream.extend_from_slice(&(!(part.len() as u16)).to_le_bytes());
        stream.extend_from_slice(part);
    }
    stream
}

/// One block with the codes of the RFC.
fn fixed(content: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut writer = crate::bits::Writer::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok::<_, ()>(())
    });
    writer.bits(0b011, 3);
    for byte in content {
        let (code, length) =
            if *byte < 144 { (0x30 + u32::from(*byte), 8) } else { (0x100 + u32::from(*byte), 9) };
        writer.bits(u64::from(code.reverse_bits() >> (32 - length)), length);
    }
    writer.bits(0, 7);
    writer.finish().unwrap();
    stream
}

/// The same content by every compressor here.
fn streams(content: &[u8]) -> Vec<Vec<u8>> {
    let mut streams: Vec<_> = (0..=9).map(|level| zlib(content, level)).collect();
    streams.extend((0..=12).map(|level| libdeflate(content, level)));
    streams.extend([flushed(content, 1000), flushed(content, 40_000), fixed(content)]);
    streams.extend([stored(content, 65535), stored(content, 999), chunked(content, 6, 50_000)]);
    streams
}

/// What zlib makes of a stream that fills the bytes exactly.
fn by_zlib(stream: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut inflater = Decompress::new(false);
    let mut content = Vec::with_capacity(most + 1);
    let status = inflater.decompress_vec(stream, &mut content, FlushDecompress::Finish);
    let whole = inflater.total_in() == stream.len() as u64;
    (matches!(status, Ok(Status::StreamEnd)) && whole).then_some(content)
}

fn by_libdeflate(stream: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut content = vec![0; size];
    let produced = Decompressor::new().deflate_decompress(stream, &mut content).ok()?;
    (produced == size).then_some(content)
}

#[track_caller]
fn reads_back(stream: &[u8], content: &[u8]) {
    assert!(by_zlib(stream, content.len()).as_deref() == Some(content), "zlib reads something else");
    assert!(
        by_libdeflate(stream, content.len()).as_deref() == Some(content),
        "libdeflate reads something else"
    );
    assert_eq!(size_of(&walk(stream).unwrap()), content.len() as u64);
}

fn size_of(blocks: &[Block]) -> u64 {
    blocks.last().unwrap().out_end
}

/// That walker and inflaters agree on any bytes: exactly with zlib, and nothing accepted that libdeflate refuses.
fn agree(stream: &[u8]) -> bool {
    let walked = walk(stream);
    // The walker bounds what zlib may produce; where it refuses, enough to see that zlib refuses too.
    let size = walked.as_deref().map_or(1 << 22, size_of);
    let inflated = by_zlib(stream, size as usize);
    match &walked {
        Ok(_) => {
            let content = inflated.unwrap_or_else(|| panic!("zlib refuses what the walker takes"));
            assert_eq!(content.len() as u64, size);
            assert!(by_libdeflate(stream, content.len()).as_ref() == Some(&content));
        }
        Err(error) => assert!(inflated.is_none(), "zlib takes what the walker refuses: {error}"),
    }
    walked.is_ok()
}
