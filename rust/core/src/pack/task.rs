//! What is asked for, and what comes of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use fastwheel_elf::Edit;

use crate::content::Names;
use crate::guard::Fault;
use crate::inflate::{Damage, Span, Stop};
use crate::spill::Range;

/// Where the content of a new member comes from.
pub enum Source<'a> {
    /// A file of this machine.
    File(PathBuf),
    /// A member of the archive.
    Member(Span),
    /// Bytes of the caller.
    Bytes(&'a [u8]),
}

/// One new member.
pub struct Task<'a> {
    pub source: Source<'a>,
    pub edit: Option<Edit>,
}

impl Task<'_> {
    /// The number of bytes to work on.
    pub fn weight(&self) -> u64 {
        match &self.source {
            Source::File(path) => path.metadata().map_or(0, |info| info.len()),
            Source::Member(span) => span.size,
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The number of bytes that it keeps in memory: files are read piece by piece.
    pub fn held(&self) -> u64 {
        match &self.source {
            Source::File(_) => 0,
            Source::Member(span) => span.size.saturating_add(span.compressed_size),
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Device, inode, size, modification time (ns): whether a file is still the one that was read before.
pub type Identity = (u64, u64, u64, i64);

/// The identity of an open file.
pub fn identity(file: &File) -> io::Result<Identity> {
    let info = file.metadata()?;
    let nanoseconds = info.mtime().saturating_mul(1_000_000_000).saturating_add(info.mtime_nsec());
    Ok((info.dev(), info.ino(), info.len(), nanoseconds))
}

/// A new member, as it is to lie in the wheel. Its stream was inflated again and gave the content.
pub struct Packed {
    /// 0 stored, 8 deflated.
    pub method: u16,
    pub crc: u32,
    /// Of the content.
    pub size: u64,
    pub sha256: [u8; 32],
    /// Where its stream is in the spill, in order.
    pub ranges: Vec<Range>,
    /// Of the file, after it was read for the last time.
    pub identity: Option<Identity>,
    /// Of an ELF file.
    pub names: Option<Names>,
}

/// Why one task failed.
#[derive(Debug)]
pub enum Failure {
    /// The source is no ELF file that can be edited so.
    Elf(fastwheel_elf::Error),
    /// The member contradicts the central directory.
    Damage(Damage),
    /// The source cannot be read.
    Read(io::Error),
    /// It was changed meanwhile.
    Changed,
}

/// What came of the tasks: their results in order (`None`: the edit changes nothing of the member), or the first failure.
pub enum Outcome {
    Done(Vec<Option<Packed>>),
    Failed(usize, Failure),
}

/// Why a piece of work is not done.
pub enum Trouble {
    Failure(Failure),
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Elf(error) => Self::Failure(Failure::Elf(error)),
            Fault::Io(error) => Self::Failure(Failure::Read(error)),
            Fault::Changed => Self::Failure(Failure::Changed),
            other => Self::Fault(other),
        }
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Damage(damage) => Self::Failure(Failure::Damage(damage)),
            Stop::Fault(fault) => fault.into(),
        }
    }
}
