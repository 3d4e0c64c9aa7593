//! The bytes that are new: inflated where they come from, edited, hashed, deflated.
//!
//! A library of this machine is read, hashed and deflated in chunks, by all threads; a member of the wheel is one thread's
//! work, and of a large one only the deflate blocks around the changes are made anew.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use fastwheel_deflate::{CHUNK, Change, Deflater, SpliceError, splice};
use fastwheel_elf::{Patch, plan_edit};
use flate2::read::DeflateDecoder;
use libdeflater::{Crc, Decompressor, crc32};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::job::Edit;
use crate::zip::{Archive, Member};

/// Members up to this size are inflated in one piece, which is faster; larger ones through a window.
const WHOLE: u64 = 16 << 20;
const WINDOW: usize = 64 << 10;
/// Members from this size on are spliced.
const SPLICED_FROM: u64 = 128 << 10;
const DEFLATED: u16 = 8;
/// An empty last block: what makes a stream that goes on a complete one.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// A new member, ready to be written; `data` is its stream in parts.
pub struct Packed {
    pub method: u16,
    pub crc: u32,
    pub size: u64,
    pub sha256: [u8; 32],
    pub data: Vec<Vec<u8>>,
}

impl Packed {
    pub fn compressed(&self) -> u64 {
        self.data.iter().map(|part| part.len() as u64).sum()
    }
}

/// A library of this machine with its edit decided, and what is known of the result.
pub struct Library {
    file: File,
    base_size: u64,
    patch: Option<Patch>,
    pub size: u64,
    streams: Vec<Mutex<Vec<u8>>>,
    sums: Mutex<([u8; 32], u32)>,
}

impl Library {
    pub fn open(path: &Path, edit: &Edit) -> Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the libraries of this machine do not change while the benchmark runs.
        let data = unsafe { Mmap::map(&file)? };
        let patch = decide(&data, edit)?;
        let base_size = data.len() as u64;
        let size = patch.as_ref().map_or(base_size, |patch| patch.size as u64);
        let chunks = (size as usize).div_ceil(CHUNK).max(1);
        let streams = (0..chunks).map(|_| Mutex::default()).collect();
        Ok(Self { file, base_size, patch, size, streams, sums: Mutex::default() })
    }

    pub fn chunks(&self) -> usize {
        self.streams.len()
    }

    /// Reads the new content of a range of a chunk's size.
    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let start = (index * CHUNK) as u64;
        buffer.clear();
        buffer.resize(CHUNK.min((self.size - start) as usize), 0);
        let (at, zeros) = self.patch.as_ref().map_or((u64::MAX, 0), |patch| {
            if patch.insert_size > 0 {
                (patch.insert_at as u64, patch.insert_size as u64)
            } else {
                (u64::MAX, 0)
            }
        });
        let stop = start + buffer.len() as u64;
        // What lies before the inserted zeros, then what lies behind them.
        self.fill(buffer, start, start..stop.min(at.min(self.base_size)), 0)?;
        if zeros > 0 {
            self.fill(buffer, start, start.max(at + zeros)..stop.min(self.base_size + zeros), zeros)?;
        }
        for (offset, content) in self.patch.iter().flat_map(|patch| &patch.writes) {
            let (from, to) = ((*offset as u64).max(start), (*offset as u64 + content.len() as u64).min(stop));
            if from < to {
                let part = &content[from as usize - offset..to as usize - offset];
                buffer[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
            }
        }
        Ok(())
    }

    fn fill(&self, buffer: &mut [u8], start: u64, range: Range<u64>, shift: u64) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let part = &mut buffer[(range.start - start) as usize..(range.end - start) as usize];
        self.file.read_exact_at(part, range.start - shift)
    }

    /// What a graft's name is made of.
    pub fn name(&self) -> Result<()> {
        let (mut sha256, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
        let mut at = 0;
        while at < self.base_size {
            let size = buffer.len().min((self.base_size - at) as usize);
            self.file.read_exact_at(&mut buffer[..size], at)?;
            sha256.update(&buffer[..size]);
            at += size as u64;
        }
        std::hint::black_box(sha256.finalize());
        Ok(())
    }

    pub fn hash(&self, buffer: &mut Vec<u8>) -> Result<()> {
        let (mut sha256, mut crc) = (Sha256::new(), Crc::new());
        for index in 0..self.chunks() {
            self.read(index, buffer)?;
            sha256.update(&buffer);
            crc.update(buffer);
        }
        *lock(&self.sums)? = (sha256.finalize().into(), crc.sum());
        Ok(())
    }

    pub fn deflate(
        &self,
        index: usize,
        buffer: &mut Vec<u8>,
        deflater: &mut Deflater,
        check: bool,
    ) -> Result<()> {
        self.read(index, buffer)?;
        let last = index + 1 == self.chunks();
        let stream = deflater.chunk(buffer, last).map_err(Error::other)?;
        if check {
            read_back(&stream, last, buffer.len(), crc32(buffer))?;
        }
        *lock(&self.streams[index])? = stream;
        Ok(())
    }

    /// What came out, once everything is hashed and deflated.
    pub fn finish(self) -> Result<Packed> {
        let (sha256, crc) = *lock(&self.sums)?;
        let poisoned = |_| Error::other("a thread panicked");
        let data = self
            .streams
            .into_iter()
            .map(|slot| slot.into_inner().map_err(poisoned))
            .collect::<Result<_>>()?;
        Ok(Packed { method: DEFLATED, crc, size: self.size, sha256, data })
    }
}

fn lock<T>(slot: &Mutex<T>) -> Result<std::sync::MutexGuard<'_, T>> {
    slot.lock().map_err(|_| Error::other("a thread panicked"))
}

fn decide(data: &[u8], edit: &Edit) -> Result<Option<Patch>> {
    let edit = edit.to_elf();
    let plan = plan_edit(data, &edit).map_err(|error| Error::other(error.to_string()))?;
    Ok(plan.patch().cloned())
}

/// How new bytes are made.
#[derive(Clone, Copy)]
pub struct Maker {
    pub level: i32,
    /// Whether each stream is inflated again.
    pub checks: bool,
}

impl Maker {
    /// Makes the bytes of a member of the input, edited.
    pub fn member(self, archive: &Archive, from: &Member, edit: &Edit) -> Result<Packed> {
        let mut content = content(archive, from)?;
        let patch = decide(&content, edit)?;
        let Some(patch) = patch else { return self.text(&content) };
        if patch.insert_size > 0 || from.size < SPLICED_FROM || from.method != DEFLATED {
            let mut output = vec![0; patch.size];
            patch.apply(&content, &mut output).ok_or_else(|| Error::other("the patch does not fit"))?;
            return self.text(&output);
        }
        content.resize(patch.size, 0);
        let mut ranges = Vec::with_capacity(patch.writes.len());
        for (offset, bytes) in &patch.writes {
            content[*offset..*offset + bytes.len()].copy_from_slice(bytes);
            ranges.push(*offset as u64..(*offset + bytes.len()) as u64);
        }
        let old = archive.raw(from)?;
        let change = Change { ranges: &ranges, size: content.len() as u64 };
        let mut stream = Vec::with_capacity(old.len() + old.len() / 64);
        let read = |offset: u64, buffer: &mut [u8]| {
            buffer.copy_from_slice(&content[offset as usize..offset as usize + buffer.len()]);
            Ok::<(), SpliceError>(())
        };
        let write = |bytes: &[u8]| {
            stream.extend_from_slice(bytes);
            Ok(())
        };
        match splice(&old, change, self.level.unsigned_abs(), read, write).map_err(Error::other)? {
            None => self.text(&content),
            Some(_) => self.packed(&content, vec![stream]),
        }
    }

    /// Makes the bytes of a new content.
    pub fn text(self, content: &[u8]) -> Result<Packed> {
        let mut deflater = Deflater::new(self.level).map_err(Error::other)?;
        let mut data = Vec::new();
        let mut chunks = content.chunks(CHUNK).peekable();
        while let Some(chunk) = chunks.next() {
            data.push(deflater.chunk(chunk, chunks.peek().is_none()).map_err(Error::other)?);
        }
        self.packed(content, data)
    }

    fn packed(self, content: &[u8], data: Vec<Vec<u8>>) -> Result<Packed> {
        let crc = crc32(content);
        if self.checks {
            match data.as_slice() {
                [one] => read_back(one, true, content.len(), crc)?,
                parts => read_back(&parts.concat(), true, content.len(), crc)?,
            }
        }
        let stored = data.iter().map(Vec::len).sum::<usize>() >= content.len();
        Ok(Packed {
            method: if stored { 0 } else { DEFLATED },
            crc,
            size: content.len() as u64,
            sha256: Sha256::digest(content).into(),
            data: if stored { vec![content.to_vec()] } else { data },
        })
    }
}

/// Inflates a stream that goes on, if it is not complete, and compares it with what it was made of.
fn read_back(stream: &[u8], complete: bool, size: usize, crc: u32) -> Result<()> {
    let end: &[u8] = if complete { &[] } else { &LAST_BLOCK };
    let (mut made, mut sum) = (0, Crc::new());
    let mut each = |bytes: &[u8]| {
        made += bytes.len();
        sum.update(bytes);
    };
    if size as u64 <= WHOLE {
        let mut out = vec![0; size];
        let count = Decompressor::new().deflate_decompress(&[stream, end].concat(), &mut out);
        each(&out[..count.map_err(Error::other)?]);
    } else {
        let mut inflater = DeflateDecoder::new_with_buf(stream.chain(end), vec![0; WINDOW]);
        let mut window = vec![0; WINDOW];
        loop {
            match inflater.read(&mut window)? {
                0 => break,
                count => each(&window[..count]),
            }
        }
    }
    if (made, sum.sum()) == (size, crc) {
        return Ok(());
    }
    Err(Error::other("a new stream does not inflate to its content"))
}

/// The content of a member.
pub fn content(archive: &Archive, member: &Member) -> Result<Vec<u8>> {
    let raw = archive.raw(member)?;
    if member.method != DEFLATED {
        return Ok(raw);
    }
    let mut out = vec![0; member.size as usize];
    Decompressor::new().deflate_decompress(&raw, &mut out).map_err(Error::other)?;
    Ok(out)
}

/// Inflates a member, compares it with the central directory, and hashes it.
pub fn checked(archive: &Archive, member: &Member) -> Result<[u8; 32]> {
    let (mut sha256, mut crc, mut size) = (Sha256::new(), Crc::new(), 0);
    let mut each = |bytes: &[u8]| {
        sha256.update(bytes);
        crc.update(bytes);
        size += bytes.len() as u64;
    };
    if member.method != DEFLATED || member.size <= WHOLE {
        each(&content(archive, member)?);
    } else {
        let mut inflater = inflater(archive, member)?;
        let mut window = vec![0; WINDOW];
        loop {
            match inflater.read(&mut window)? {
                0 => break,
                count => each(&window[..count]),
            }
        }
    }
    if (size, crc.sum()) != (member.size, member.crc) {
        return Err(Error::other("a member is not what the central directory says"));
    }
    Ok(sha256.finalize().into())
}

/// Inflates the first `wanted` bytes of a member, and throws them away.
pub fn look(archive: &Archive, member: &Member, wanted: u64) -> Result<u64> {
    if member.method != DEFLATED {
        return Ok(wanted);
    }
    if member.size <= WHOLE && wanted * 2 >= member.size {
        return Ok(content(archive, member)?.len() as u64);
    }
    let mut inflater = inflater(archive, member)?;
    let mut window = vec![0; WINDOW];
    let mut done = 0;
    while done < wanted {
        match inflater.read(&mut window)? {
            0 => break,
            count => done += count as u64,
        }
    }
    Ok(done)
}

fn inflater<'a>(archive: &'a Archive, member: &Member) -> Result<DeflateDecoder<Part<'a>>> {
    let reader = Part { file: &archive.file, at: archive.data_start(member)?, left: member.compressed };
    Ok(DeflateDecoder::new_with_buf(reader, vec![0; WINDOW]))
}

/// A range of a file, read in order.
struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = buffer.len().min(self.left as usize);
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
