//! Reading from the caller's file descriptor by position: the shared file offset is never used or moved.
//!
//! All `unsafe` of fastwheel is in this file, two calls.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;

use memmap2::Mmap;

/// From this size on a file is mapped: reading facts touches a few pages of it, copying touches all.
const MAP_FROM: u64 = 1024 * 1024;

/// A `File` of our own on what `fd` is open on. It outlives whatever Python does with `fd` while the GIL is released.
pub fn duplicate(fd: RawFd) -> io::Result<File> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(EBADF));
    }
    // SAFETY: `fd` is not -1, the one value that BorrowedFd forbids. It is borrowed only while the GIL is held, for the one
    // dup() here, which checks whether it is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

const EBADF: i32 = 9;

/// Fills `buffer` from `offset` on; fewer bytes than asked only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(filled as u64);
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The content of a file, read or mapped.
pub enum Content {
    Read(Vec<u8>),
    Mapped(Mmap),
}

impl Content {
    /// The whole content of `file`: copied while small, mapped when large.
    pub fn of(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        if size >= MAP_FROM {
            // SAFETY: mapped private and read-only, only for the time of one call. Should another process cut the file
            // short meanwhile the kernel ends us with SIGBUS, as it would every program that has the library loaded: package
            // managers replace such files by rename. Wheels are never mapped.
            return unsafe { Mmap::map(file) }.map(Self::Mapped);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let filled = read_at(file, &mut bytes, 0)?;
        bytes.truncate(filled);
        Ok(Self::Read(bytes))
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}
