//! The file that holds finished streams until the wheel is written: appended to by many threads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a piece lies: offset and length in bytes.
pub type Range = (u64, u64);

/// The file, from its present end on.
pub struct Spill {
    file: File,
    end: AtomicU64,
}

impl Spill {
    pub fn new(file: File) -> io::Result<Self> {
        let end = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, end })
    }

    /// Writes `bytes` behind all that is there.
    pub fn append(&self, bytes: &[u8]) -> io::Result<Range> {
        let range = self.reserve(bytes.len() as u64);
        self.write(bytes, range.0)?;
        Ok(range)
    }

    /// A place of `size` bytes, to be filled by [`Spill::write`].
    pub fn reserve(&self, size: u64) -> Range {
        (self.end.fetch_add(size, Ordering::Relaxed), size)
    }

    /// The file, to read back what was written.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
}
