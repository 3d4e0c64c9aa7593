//! The bytes that are new: inflated where they come from, edited, hashed, deflated.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::os::unix::fs::FileExt;

use fastwheel_elf::plan_edit;
use flate2::read::DeflateDecoder;
use libdeflater::{CompressionLvl, Compressor, Decompressor, crc32};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::job::{Edit, Source};
use crate::zip::{Archive, Member};

/// Members up to this size are inflated in one piece, which is faster; larger ones through a window.
const WHOLE: u64 = 16 << 20;
const WINDOW: usize = 64 << 10;
const DEFLATED: u16 = 8;

/// A new member, ready to be written.
pub struct Packed {
    pub method: u16,
    pub crc: u32,
    pub size: u64,
    pub sha256: [u8; 32],
    pub data: Vec<u8>,
}

/// Makes the bytes of one new member.
pub fn pack(source: &Source, archive: &Archive, level: i32) -> Result<Packed> {
    match source {
        Source::Text(text) => deflate(text.as_bytes(), level),
        Source::Member { from, edit } => edited(&content(archive, archive.get(from)?)?, edit, level),
        Source::File { path, edit } => {
            let file = File::open(path)?;
            // SAFETY: the libraries of this machine do not change while the benchmark runs.
            let data = unsafe { Mmap::map(&file)? };
            edited(&data, edit, level)
        }
    }
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

fn edited(data: &[u8], edit: &Edit, level: i32) -> Result<Packed> {
    let edit = edit.to_elf();
    let plan = plan_edit(data, &edit).map_err(|error| Error::other(error.to_string()))?;
    match plan.patch() {
        None => deflate(data, level),
        Some(patch) => {
            let mut output = vec![0; patch.size];
            patch.apply(data, &mut output).ok_or_else(|| Error::other("the patch does not fit"))?;
            deflate(&output, level)
        }
    }
}

fn deflate(content: &[u8], level: i32) -> Result<Packed> {
    let level = CompressionLvl::new(level).map_err(|_| Error::other("no such level"))?;
    let mut compressor = Compressor::new(level);
    let mut data = vec![0; compressor.deflate_compress_bound(content.len())];
    let size = compressor.deflate_compress(content, &mut data).map_err(Error::other)?;
    data.truncate(size);
    let stored = size >= content.len();
    Ok(Packed {
        method: if stored { 0 } else { DEFLATED },
        crc: crc32(content),
        size: content.len() as u64,
        sha256: Sha256::digest(content).into(),
        data: if stored { content.to_vec() } else { data },
    })
}

/// Inflates the first `wanted` bytes of a member, and throws them away.
pub fn look(archive: &Archive, member: &Member, wanted: u64) -> Result<u64> {
    if member.method != DEFLATED {
        return Ok(wanted);
    }
    if member.size <= WHOLE && wanted * 2 >= member.size {
        return Ok(content(archive, member)?.len() as u64);
    }
    let reader = Part { file: &archive.file, at: archive.data_start(member)?, left: member.compressed };
    let mut inflater = DeflateDecoder::new_with_buf(reader, vec![0; WINDOW]);
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
