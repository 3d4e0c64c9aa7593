//! The walker against real inflaters, and streams made here read back by them.

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

#[test]
fn blocks_follow_each_other() {
    let mut random = Random(1);
    let mut kinds = [0; 3];
    for content in contents(&mut random, 50_000) {
        for stream in streams(&content) {
            let blocks = walk(&stream).unwrap();
            let (mut bit, mut out) = (0, 0);
            for (index, block) in blocks.iter().enumerate() {
                assert_eq!((block.bits.start, block.out_start), (bit, out));
                assert_eq!((block.last, block.stale), (index + 1 == blocks.len(), false));
                (bit, out) = (block.bits.end, block.out_end);
                kinds[block.kind as usize] += 1;
            }
            assert_eq!(out, content.len() as u64);
            assert_eq!(bit.div_ceil(8), stream.len() as u64);
        }
    }
    assert!(kinds[Kind::Stored as usize] > 100 && kinds[Kind::Fixed as usize] > 4, "{kinds:?}");
    assert!(kinds[Kind::Dynamic as usize] > 100, "{kinds:?}");
}

#[test]
fn a_block_lies_where_its_bits_inflate() {
    // Cut out at its bits and made the last one, each block that looks back at nothing is a stream of its part.
    let content = Random(2).bytes(5000).iter().map(|byte| byte & 15).collect::<Vec<_>>();
    let mut encoder = Compress::new(Compression::new(6), false);
    let mut stream = Vec::new();
    for part in content.chunks(700) {
        let mut step = Vec::with_capacity(4096);
        encoder.compress_vec(part, &mut step, FlushCompress::Full).unwrap();
        stream.extend(step);
    }
    stream.extend([3, 0]);
    for block in walk(&stream).unwrap() {
        let mut cut = Vec::new();
        let mut writer = crate::bits::Writer::new(|bytes: &[u8]| {
            cut.extend_from_slice(bytes);
            Ok::<_, ()>(())
        });
        if block.kind == Kind::Stored {
            continue;
        }
        writer.bits(1, 1);
        writer.copy(&stream, block.bits.start + 1..block.bits.end).unwrap();
        writer.finish().unwrap();
        reads_back(&cut, &content[block.out_start as usize..block.out_end as usize]);
    }
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

#[test]
fn damaged_streams_are_refused_as_zlib_does() {
    let mut random = Random(3);
    let (mut taken, mut refused) = (0, 0);
    for size in [0, 1, 20, 300, 3000] {
        let mut all: Vec<_> =
            contents(&mut random, size).iter().flat_map(|content| streams(content)).collect();
        all.push(zlib(b"", 6));
        for stream in all.into_iter().filter(|stream| !stream.is_empty()) {
            for _ in 0..12 {
                let mut stream = stream.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(stream.len().min(100));
                    let at = if random.below(2) == 0 { at } else { random.below(stream.len()) };
                    match random.below(5) {
                        0..3 => stream[at] ^= 1 << random.below(8),
                        3 => stream[at] = random.next() as u8,
                        _ => stream.truncate(at + 1),
                    }
                }
                if agree(&stream) { taken += 1 } else { refused += 1 }
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

#[test]
fn any_bytes_are_refused_or_read() {
    let mut random = Random(4);
    let mut taken = 0;
    for _ in 0..30_000 {
        let size = 1 + random.below(40);
        let mut stream = random.bytes(size);
        // Mostly the begin of a dynamic block, with few lengths.
        if random.below(4) > 0 {
            stream[0] = 0b101 | (random.next() as u8 & 0xf8);
        }
        taken += u32::from(agree(&stream));
    }
    assert!(taken > 0);
}

/// The bits of a text of `0` and `1`, spaces apart.
fn bits(text: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut writer = crate::bits::Writer::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok::<_, ()>(())
    });
    for bit in text.bytes().filter(|byte| *byte != b' ') {
        writer.bits(u64::from(bit == b'1'), 1);
    }
    writer.finish().unwrap();
    stream
}

#[test]
fn each_fault_has_its_name() {
    assert_eq!(walk(b""), Err(Malformed::Short));
    assert_eq!(walk(&bits("1 11")), Err(Malformed::Type));
    assert_eq!(walk(&[1, 1, 0, 1, 0, 0]), Err(Malformed::Stored));
    assert_eq!(walk(&[1, 2, 0, 0xfd, 0xff, 0]), Err(Malformed::Short));
    assert_eq!(walk(&[3, 0, 0]), Err(Malformed::Trailing));
    assert_eq!(walk(&[0, 0, 0, 0xff, 0xff]), Err(Malformed::Short));
    // Fixed codes: 286, no symbol; a distance of 1 at the begin; distance symbol 30.
    assert_eq!(walk(&bits("1 10 11000110 0000000")), Err(Malformed::Symbol));
    assert_eq!(walk(&bits("1 10 0000001 00000 0000000")), Err(Malformed::Distance));
    assert_eq!(walk(&bits("1 10 00110000 0000001 11110 0000000")), Err(Malformed::Symbol));
    assert_eq!(size_of(&walk(&bits("1 10 00110000 0000001 00000 0000000")).unwrap()), 4);
    // 287 literal codes; 31 distance codes.
    assert_eq!(walk(&bits("1 01 01111 00000 0000 000000000000 0000")), Err(Malformed::Code));
    assert_eq!(walk(&bits("1 01 00000 01111 0000 000000000000 0000")), Err(Malformed::Code));
    // A repetition of nothing: the codes 16 and 17 have one bit each.
    assert_eq!(walk(&bits("1 01 00000 00000 0000 100 100 000 000 0 00 0000")), Err(Malformed::Code));
    assert_eq!(walk(&bits("1 10")), Err(Malformed::Short));
}

#[test]
fn real_libraries_are_walked() {
    for path in ["/usr/lib/x86_64-linux-gnu/libz.so.1", "/bin/sh"] {
        let Ok(content) = std::fs::read(path) else { continue };
        for stream in
            [zlib(&content, 1), zlib(&content, 9), libdeflate(&content, 6), libdeflate(&content, 12)]
        {
            reads_back(&stream, &content);
        }
    }
}

#[test]
fn chunks_are_one_stream() {
    let mut random = Random(5);
    for size in [0, 1, 2, 5, 100, 60_000] {
        for content in contents(&mut random, size) {
            for level in [0, 1, 5, 6, 12] {
                for chunk in [1, 7, 4096, CHUNK] {
                    if content.len() / chunk > 5000 || content.is_empty() {
                        continue;
                    }
                    reads_back(&chunked(&content, level, chunk), &content);
                }
            }
        }
    }
    reads_back(&Deflater::new(6).unwrap().chunk(b"", true).unwrap(), b"");
    assert!(Deflater::new(13).is_err());
}

#[test]
fn an_open_stream_ends_on_a_byte() {
    let mut random = Random(6);
    let mut ends = [0; 8];
    for size in (0..300).step_by(3) {
        for content in contents(&mut random, size) {
            for mut stream in [zlib(&content, 6), libdeflate(&content, 6), fixed(&content)] {
                ends[(walk(&stream).unwrap().last().unwrap().bits.end % 8) as usize] += 1;
                leave_open(&mut stream).unwrap();
                assert!(stream.ends_with(&[0, 0, 0xff, 0xff]));
                assert_eq!(walk(&stream), Err(Malformed::Short));
                stream.extend(zlib(b"more", 6));
                reads_back(&stream, &[&content[..], b"more"].concat());
            }
        }
    }
    assert!(ends.iter().all(|count| *count > 10), "{ends:?}");
    assert_eq!(leave_open(&mut vec![7]), Err(Malformed::Type));
}

/// `splice` over slices.
fn spliced(
    old: &[u8],
    ranges: &[Range<u64>],
    content: &[u8],
) -> Result<Option<(Spliced, Vec<u8>)>, SpliceError> {
    let mut stream = Vec::new();
    let change = Change { ranges, size: content.len() as u64 };
    let read = |offset: u64, buffer: &mut [u8]| {
        let offset = offset as usize;
        buffer.copy_from_slice(&content[offset..offset + buffer.len()]);
        Ok::<_, SpliceError>(())
    };
    let done = splice(old, change, 6, read, |bytes| {
        stream.extend_from_slice(bytes);
        Ok(())
    })?;
    assert!(done.is_some() || stream.is_empty());
    Ok(done.map(|done| (done, stream)))
}

/// The bits of a block; of a stored one its content.
fn block_bits(stream: &[u8], block: &Block) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = crate::bits::Writer::new(|piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<_, ()>(())
    });
    let from = block.bits.start + 1;
    let from = if block.kind == Kind::Stored { (from + 2).next_multiple_of(8) } else { from };
    writer.copy(stream, from..block.bits.end).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Checks all that a splice promises; whether one was made.
fn check_splice(old: &[u8], ranges: &[Range<u64>], content: &[u8]) -> bool {
    let mut blocks = Vec::new();
    walk_with(old, ranges, |block| blocks.push(block)).unwrap();
    let old_size = size_of(&blocks);
    let expected: u64 =
        blocks.iter().filter(|block| block.stale).map(|block| block.out_end - block.out_start).sum::<u64>()
            + (content.len() as u64 - old_size);
    for block in blocks.iter().filter(|block| block.stale) {
        let near = |range: &Range<u64>| {
            !range.is_empty() && block.out_start < range.end + WINDOW && range.start < block.out_end
        };
        assert!(ranges.iter().any(near), "a block far from all changes is called stale");
    }
    let Some((done, stream)) = spliced(old, ranges, content).unwrap() else {
        assert!(expected > content.len() as u64 / 3);
        return false;
    };
    assert_eq!((done.size, done.encoded), (stream.len() as u64, expected));
    reads_back(&stream, content);
    let new = walk(&stream).unwrap();
    for block in blocks.iter().filter(|block| !block.stale && block.out_start < block.out_end) {
        let place = new.partition_point(|other| other.out_end <= block.out_start);
        let same = &new[place];
        assert_eq!((same.kind, same.out_start, same.out_end), (block.kind, block.out_start, block.out_end));
        assert!(block_bits(&stream, same) == block_bits(old, block), "a kept block has other bits");
    }
    true
}

#[test]
fn a_changed_content_is_spliced() {
    let mut random = Random(7);
    let mut made = 0;
    for content in contents(&mut random, 200_000) {
        let all = [zlib(&content, 1), zlib(&content, 6), zlib(&content, 9), libdeflate(&content, 6)];
        let more =
            [libdeflate(&content, 1), flushed(&content, 5000), stored(&content, 8000), zlib(&content, 0)];
        for old in all.into_iter().chain(more).chain([chunked(&content, 5, 60_000)]) {
            let size = content.len();
            for round in 0..7 {
                let mut new = content.clone();
                let mut ranges = Vec::new();
                for _ in 0..match round {
                    6 => 0,
                    round => 1 + round / 2,
                } {
                    let start = match round {
                        0 => 0,
                        1 => size - 1,
                        _ => random.below(size),
                    };
                    let end = (start + 1 + random.below(if round == 2 { 1 } else { 300 })).min(size);
                    ranges.push(start as u64..end as u64);
                    let noise = random.bytes(end - start);
                    new[start..end].copy_from_slice(&noise);
                }
                if round == 3 || round == 6 {
                    new.extend_from_slice(&random.bytes(4096));
                }
                made += u32::from(check_splice(&old, &ranges, &new));
            }
        }
    }
    assert!(made > 150, "{made} made");
}

#[test]
fn a_block_that_copies_from_a_changed_place_is_made_anew() {
    // The second block is one match of the first one's content.
    let before = Random(8).bytes(3000);
    let far = Random(9).bytes(40_000);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(9));
    for part in [&far, &before, &before, &far, &far] {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    let old = encoder.finish().unwrap();
    let content = [&far[..], &before, &before, &far, &far].concat();
    let mut stale = Vec::new();
    let mark = 41_500..41_501;
    walk_with(&old, std::slice::from_ref(&mark), |block| {
        if block.stale {
            stale.push(block.out_start);
        }
    })
    .unwrap();
    assert!(stale.contains(&43_000) && !stale.contains(&46_000), "{stale:?}");
    let mut new = content;
    new[41_500] ^= 0xff;
    assert!(check_splice(&old, &[mark], &new));
}

/// Stored blocks of noise, and one with some literals, a match of three bytes `distance` back from `at`, and literals.
fn with_match(at: usize, distance: u32, literals: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let noise = Random(12).bytes(at - literals);
    for part in noise.chunks(30_000) {
        stream.extend_from_slice(&[0]);
        stream.extend_from_slice(&(part.len() as u16).to_le_bytes());
        stream.extend_from_slice(&(!(part.len() as u16)).to_le_bytes());
        stream.extend_from_slice(part);
    }
    let mut writer = crate::bits::Writer::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok::<_, ()>(())
    });
    writer.bits(0b011, 3);
    for _ in 0..literals {
        writer.bits(0b0000_1100, 8);
    }
    // Length 3, then the highest distance symbol: from 24577 on, 13 more bits.
    writer.bits(0b100_0000, 7);
    writer.bits(0b10111, 5);
    writer.bits(u64::from(distance - 24577), 13);
    for _ in 0..40 {
        writer.bits(0b0000_1100, 8);
    }
    writer.bits(0, 7);
    writer.finish().unwrap();
    stream
}

#[test]
fn matches_reach_as_far_as_they_may_and_no_farther() {
    for literals in [0, 1, 2, 3, 4, 9] {
        for (at, distance) in [(32_767, 32_767), (32_768, 32_768), (32_900, 32_768), (50_000, 25_000)] {
            let stream = with_match(at, distance, literals);
            assert!(agree(&stream));
            let source = at as u64 - u64::from(distance);
            for (from, length, stale) in
                [(0, 1, true), (2, 1, true), (1, 1, true), (3, 1, false), (3, 500, false), (0, 500, true)]
            {
                let range = source + from..source + from + length;
                let mut last = None;
                walk_with(&stream, std::slice::from_ref(&range), |block| last = Some(block)).unwrap();
                assert_eq!(last.unwrap().stale, stale, "{literals} {at} {distance} {from}");
            }
            if source > 1 {
                let range = source - 1..source;
                walk_with(&stream, &[range], |block| assert!(!block.last || !block.stale)).unwrap();
            }
        }
        for (at, distance) in [(32_766, 32_767), (32_767, 32_768), (24_600, 24_601)] {
            let stream = with_match(at, distance, literals);
            assert_eq!(walk(&stream), Err(Malformed::Distance));
            assert!(!agree(&stream));
        }
    }
}

#[test]
fn a_splice_knows_its_limits() {
    let content = contents(&mut Random(10), 200_000).remove(0);
    let old = zlib(&content, 6);
    // Nothing changed: nothing changes.
    let (done, same) = spliced(&old, &[], &content).unwrap().unwrap();
    assert!(done.encoded == 0 && same == old);
    let end = content.len() as u64;
    let (all, behind) = ([Range { start: 0, end }], [Range { start: end, end: end + 1 }]);
    assert!(spliced(&old, &all, &content).unwrap().is_none());
    let short = &content[..content.len() - 1];
    assert_eq!(spliced(&old, &[], short), Err(SpliceError::Change));
    assert_eq!(spliced(&old, &behind, &content), Err(SpliceError::Change));
    assert!(matches!(spliced(&old[1..], &[], &content), Err(SpliceError::Malformed(_))));
    // An empty content that grows is all new.
    assert!(spliced(&zlib(b"", 6), &[], b"content").unwrap().is_none());
    assert!(spliced(&zlib(b"", 6), &[], b"").unwrap().is_some());
}

#[test]
fn what_the_caller_says_ends_a_splice() {
    #[derive(Debug, PartialEq)]
    struct Stop;
    impl From<SpliceError> for Stop {
        fn from(_: SpliceError) -> Self {
            panic!("another error");
        }
    }
    let content = contents(&mut Random(11), 400_000).remove(3);
    let old = zlib(&content, 6);
    let range = 200_000..200_001;
    let change = Change { ranges: std::slice::from_ref(&range), size: content.len() as u64 };
    assert_eq!(splice(&old, change, 6, |_, _| Err(Stop), |_| Ok(())), Err(Stop));
    assert_eq!(splice(&old, change, 6, |_, _| Ok(()), |_| Err(Stop)), Err(Stop));
}
