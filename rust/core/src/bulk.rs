//! The same work on many buffers.

use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest, Sha256};

use crate::guard::Fault;
use crate::pool;

fn weight(buffer: &&[u8]) -> u64 {
    buffer.len() as u64
}

/// The SHA-256 of each buffer.
pub fn sha256(buffers: &[&[u8]], jobs: usize) -> Result<Vec<[u8; 32]>, Fault> {
    pool::map(buffers, jobs, weight, || (), |(), buffer| Ok(Sha256::digest(buffer).into()))
}

/// The raw deflate stream of each buffer, the same bytes whatever the number of threads.
pub fn deflate(buffers: &[&[u8]], level: CompressionLvl, jobs: usize) -> Result<Vec<Vec<u8>>, Fault> {
    pool::map(
        buffers,
        jobs,
        weight,
        || Compressor::new(level),
        |compressor, buffer| {
            let mut stream = Vec::new();
            let bound = compressor.deflate_compress_bound(buffer.len());
            stream.try_reserve_exact(bound).map_err(|_| Fault::Memory)?;
            stream.resize(bound, 0);
            let size = compressor
                .deflate_compress(buffer, &mut stream)
                .map_err(|_| Fault::Internal("a deflate stream longer than its bound".into()))?;
            stream.truncate(size);
            stream.shrink_to_fit();
            Ok(stream)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_a_known_text() {
        let sums = sha256(&[b"abc", b""], 0).unwrap();
        assert_eq!(sums[0][..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(sums[1][..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }

    #[test]
    fn streams_inflate_again() {
        let text = b"fastwheel ".repeat(50_000);
        for level in 0..=9 {
            let streams = deflate(&[&text, b""], CompressionLvl::new(level).unwrap(), 2).unwrap();
            let mut back = vec![0; text.len()];
            let mut inflater = libdeflater::Decompressor::new();
            assert_eq!(inflater.deflate_decompress(&streams[0], &mut back).unwrap(), text.len());
            assert_eq!(back, text);
            assert_eq!(inflater.deflate_decompress(&streams[1], &mut []).unwrap(), 0);
        }
    }
}
