//! The walker against real inflaters; chunks that make one stream.

use super::*;

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
