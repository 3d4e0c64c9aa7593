//! Any bytes as a deflate stream: the walker takes what zlib takes; and what is spliced inflates to the new content.
//!
//! The first byte says how the others are meant: a stream, or a content to compress. The next four place the change.

#![no_main]

use fastwheel_deflate::{Change, SpliceError, leave_open, splice, walk};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;

/// Larger contents teach nothing new.
const MOST: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[how, at, at_high, length, growth], rest)) = data.split_first_chunk::<5>() else { return };
    let stream = if how < 128 {
        rest.to_vec()
    } else {
        let mut stream = Vec::with_capacity(rest.len() + rest.len() / 100 + 1000);
        let mut compressor = Compress::new(Compression::new(u32::from(how) % 10), false);
        compressor.compress_vec(rest, &mut stream, FlushCompress::Finish).unwrap();
        stream
    };
    let walked = walk(&stream).map(|blocks| blocks.last().unwrap().out_end);
    let size = *walked.as_ref().unwrap_or(&MOST);
    if size > MOST {
        return;
    }
    let inflated = inflate(&stream, size);
    assert_eq!(inflated.is_some(), walked.is_ok(), "{walked:?}");
    let Some(mut content) = inflated else { return };
    assert_eq!(content.len() as u64, size);

    let mut open = stream.clone();
    leave_open(&mut open).unwrap();
    open.extend([3, 0]);
    assert!(inflate(&open, size).as_deref() == Some(&content[..]));

    let start = usize::from(u16::from_le_bytes([at, at_high])) * content.len() / 65536;
    let end = (start + usize::from(length)).min(content.len());
    for byte in &mut content[start..end] {
        *byte = !*byte;
    }
    content.extend((0..growth).map(|byte| byte ^ how));
    let change = Change { ranges: &[start as u64..end as u64], size: content.len() as u64 };
    let mut spliced = Vec::new();
    let read = |offset: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&content[offset as usize..][..buffer.len()]);
        Ok::<_, SpliceError>(())
    };
    let write = |bytes: &[u8]| {
        spliced.extend_from_slice(bytes);
        Ok(())
    };
    if splice(&stream, change, u32::from(how) % 10, read, write).unwrap().is_some() {
        assert!(inflate(&spliced, content.len() as u64).as_deref() == Some(&content[..]));
        assert!(walk(&spliced).is_ok());
    }
});

/// What zlib makes of a stream that fills the bytes exactly.
fn inflate(stream: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut inflater = Decompress::new(false);
    let mut content = Vec::with_capacity(size as usize + 1);
    let status = inflater.decompress_vec(stream, &mut content, FlushDecompress::Finish);
    let whole = inflater.total_in() == stream.len() as u64;
    (matches!(status, Ok(Status::StreamEnd)) && whole).then_some(content)
}
