//! Deflate streams (RFC 1951) by their blocks, so that a change costs what it changes.
//!
//! Bytes in, bytes out: no I/O but through the caller's closures, no threads, no `unsafe`, no panic on any input, time and
//! memory linear in the size of the input. Everything may be called from several threads at once.
//!
//! - [`walk`] lists the blocks of a stream without producing its content, at about the speed of the fastest inflaters. It
//!   is the strict reader here: what it accepts zlib and libdeflate accept too.
//! - [`Deflater::chunk`] deflates one part of a large content; the results, one behind the other, are one stream. A content
//!   is cut every [`CHUNK`] bytes, whatever the number of threads, so the stream is always the same. [`leave_open`] does
//!   the same to a stream made elsewhere.
//! - [`splice`] makes the stream of a content that differs from another one in a few places: the blocks that are not
//!   concerned are kept bit for bit.
//!
//! ```
//! use fastwheel_deflate::{CHUNK, Deflater, walk};
//!
//! let content = b"fastwheel ".repeat(300_000);
//! let mut deflater = Deflater::new(6)?;
//! let mut stream = Vec::new();
//! let mut chunks = content.chunks(CHUNK).peekable();
//! while let Some(chunk) = chunks.next() {
//!     stream.extend(deflater.chunk(chunk, chunks.peek().is_none())?);
//! }
//! assert_eq!(walk(&stream)?.last().unwrap().out_end, content.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod bits;
mod chunk;
mod huffman;
mod join;
mod splice;
#[cfg(test)]
mod tests;
mod walk;

pub use chunk::{CHUNK, Deflater, Error};
pub use join::leave_open;
pub use splice::{Change, SpliceError, Spliced, splice};
pub use walk::{Block, Kind, Malformed, walk, walk_with};

/// How far back a match may reach.
pub const WINDOW: u64 = 32 * 1024;
