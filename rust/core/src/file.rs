//! Reading from the caller's file descriptor by position: the shared file offset is never used or moved.
//!
//! All `unsafe` of fastwheel is in this file: borrowing a descriptor, mapping files, asking for a file in memory.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;

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

/// The regular file at `path`; never waits for a FIFO.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

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

/// A private copy of a file, longer by zeros where asked: only the pages that are written take memory.
pub struct Draft {
    start: NonNull<u8>,
    size: usize,
}

impl Draft {
    /// The first `length` bytes of `file`, which it has, and zeros up to `size`, which is not less and not 0.
    pub fn of(file: &File, length: usize, size: usize) -> io::Result<Self> {
        if size == 0 || length > size || file.metadata()?.len() < length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses touches no other memory.
        let place = unsafe {
            libc::mmap(ptr::null_mut(), size, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(place.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on dropping it unmaps it.
        let mut draft = Self { start, size };
        if length > 0 {
            // SAFETY: replaces pages of the mapping above, which nobody else knows of; `length` is not more than its size.
            // The file may be cut short by others: see `Content::of`.
            let placed = unsafe {
                libc::mmap(place, length, access, libc::MAP_PRIVATE | libc::MAP_FIXED, file.as_raw_fd(), 0)
            };
            if placed == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        // The rest of the file's last page holds zeros, unless somebody who has it mapped wrote there.
        let page = length.next_multiple_of(MOST_PAGE).min(size);
        draft.get_mut(length..page).unwrap_or_default().fill(0);
        Ok(draft)
    }
}

/// No page of memory is larger: 64 KiB on some ARM and POWER machines.
const MOST_PAGE: usize = 64 * 1024;

impl Deref for Draft {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `size` mapped bytes begin there, as long as `self` lives.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl DerefMut for Draft {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; private, so that nobody else writes there.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// A file in memory without a name; `None` where the system has none to give.
#[cfg(target_os = "linux")]
pub fn memory_file() -> Option<File> {
    use std::os::fd::{FromRawFd, OwnedFd};

    // By its number: the manylinux_2_17 wheel must not need the function, which glibc has from 2.27 on.
    // SAFETY: the name is a C string, the descriptor that comes back is new and nobody else's.
    unsafe {
        let fd = libc::syscall(libc::SYS_memfd_create, c"fastwheel".as_ptr(), libc::MFD_CLOEXEC);
        let fd = std::os::fd::RawFd::try_from(fd).ok()?;
        (fd >= 0).then(|| File::from(OwnedFd::from_raw_fd(fd)))
    }
}

#[cfg(not(target_os = "linux"))]
pub fn memory_file() -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_the_file_and_zeros_and_changes_nothing() {
        let file = memory_file().unwrap();
        let content: Vec<u8> = (0..10_000_u32).map(|at| u8::try_from(at % 251).unwrap() + 1).collect();
        file.write_all_at(&content, 0).unwrap();
        for (length, size) in [(10_000, 10_000), (10_000, 300_000), (9_999, 10_001), (1, 1), (0, 5)] {
            let mut draft = Draft::of(&file, length, size).unwrap();
            assert_eq!(draft.len(), size);
            assert_eq!(draft[..length], content[..length]);
            assert!(draft[length..].iter().all(|byte| *byte == 0));
            draft.fill(7);
        }
        let mut again = vec![0; 10_000];
        assert_eq!(read_at(&file, &mut again, 0).unwrap(), 10_000);
        assert_eq!(again, content);
        assert!(Draft::of(&file, 10_001, 20_000).is_err());
        assert!(Draft::of(&file, 5, 4).is_err());
        assert!(Draft::of(&file, 0, 0).is_err());
    }
}
