//! Streams spliced here, read back by real inflaters.

use super::*;

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
