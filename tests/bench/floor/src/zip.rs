//! As much of zip as wheels use: the central directory of an input, the records of an output. Inputs are trusted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: usize = 22;
const CENTRAL_SIZE: usize = 46;
const LOCAL_SIZE: usize = 30;

/// A member as the central directory tells it; `record` is its entry there.
pub struct Member {
    pub offset: u64,
    pub next: u64,
    pub method: u16,
    pub compressed: u64,
    pub size: u64,
    pub crc: u32,
    record: Range<usize>,
}

pub struct Archive {
    pub file: File,
    pub members: HashMap<String, Member>,
    directory: Vec<u8>,
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([data[at], data[at + 1]])
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

impl Archive {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let tail = size.min(0xFFFF + END_SIZE as u64);
        let mut end = vec![0; tail as usize];
        file.read_exact_at(&mut end, size - tail)?;
        let at =
            end.windows(4).rposition(|four| four == END).ok_or_else(|| bad("no end of central directory"))?;
        let (count, start) = (u16_at(&end, at + 10), u32_at(&end, at + 16));
        if start == u32::MAX || count == u16::MAX {
            return Err(bad("zip64 is left to real tools"));
        }
        let mut directory = vec![0; u32_at(&end, at + 12) as usize];
        file.read_exact_at(&mut directory, start.into())?;

        let mut members = HashMap::with_capacity(count.into());
        let mut order = Vec::with_capacity(count.into());
        let mut at = 0;
        while at + CENTRAL_SIZE <= directory.len() {
            let name_end = at + CENTRAL_SIZE + usize::from(u16_at(&directory, at + 28));
            let stop = name_end
                + usize::from(u16_at(&directory, at + 30))
                + usize::from(u16_at(&directory, at + 32));
            let name = String::from_utf8_lossy(&directory[at + CENTRAL_SIZE..name_end]).into_owned();
            let offset = u64::from(u32_at(&directory, at + 42));
            order.push((offset, name.clone()));
            let member = Member {
                offset,
                next: 0,
                method: u16_at(&directory, at + 10),
                compressed: u32_at(&directory, at + 20).into(),
                size: u32_at(&directory, at + 24).into(),
                crc: u32_at(&directory, at + 16),
                record: at..stop,
            };
            members.insert(name, member);
            at = stop;
        }
        order.sort_unstable();
        let ends = order.iter().skip(1).map(|(offset, _)| *offset).chain([u64::from(start)]);
        for ((_, name), end) in order.iter().zip(ends) {
            if let Some(member) = members.get_mut(name) {
                member.next = end;
            }
        }
        Ok(Self { file, members, directory })
    }

    pub fn get(&self, name: &str) -> Result<&Member> {
        self.members.get(name).ok_or_else(|| bad(&format!("no member {name}")))
    }

    /// Where the data of a member begins.
    pub fn data_start(&self, member: &Member) -> Result<u64> {
        let mut local = [0; LOCAL_SIZE];
        self.file.read_exact_at(&mut local, member.offset)?;
        let names = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        Ok(member.offset + LOCAL_SIZE as u64 + names)
    }

    /// The data of a member as it lies in the archive.
    pub fn raw(&self, member: &Member) -> Result<Vec<u8>> {
        let mut data = vec![0; member.compressed as usize];
        self.file.read_exact_at(&mut data, self.data_start(member)?)?;
        Ok(data)
    }

    /// The text of RECORD.
    pub fn record(&self) -> Result<String> {
        let name = self.members.keys().find(|name| name.ends_with(".dist-info/RECORD"));
        let member = self.get(name.ok_or_else(|| bad("no RECORD"))?)?;
        String::from_utf8(crate::pack::content(self, member)?).map_err(Error::other)
    }

    /// The entry of a member in the central directory, for a copy that begins at `offset`.
    pub fn central(&self, member: &Member, offset: u64) -> Vec<u8> {
        let mut record = self.directory[member.record.clone()].to_vec();
        record[42..46].copy_from_slice(&(offset as u32).to_le_bytes());
        record
    }

    /// Date and time of a member, as zip keeps them.
    pub fn stamp(&self, member: &Member) -> [u8; 4] {
        let record = &self.directory[member.record.clone()];
        [record[12], record[13], record[14], record[15]]
    }
}

/// What describes a new member.
pub struct Header<'a> {
    pub name: &'a str,
    pub mode: u32,
    pub stamp: [u8; 4],
    pub method: u16,
    pub crc: u32,
    pub compressed: u64,
    pub size: u64,
}

impl Header<'_> {
    fn common(&self) -> Vec<u8> {
        let mut out = vec![20, 0, 0, if self.name.is_ascii() { 0 } else { 8 }];
        out.extend(self.method.to_le_bytes());
        out.extend(self.stamp);
        out.extend(self.crc.to_le_bytes());
        out.extend((self.compressed as u32).to_le_bytes());
        out.extend((self.size as u32).to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend([0, 0]);
        out
    }

    pub fn local(&self) -> Vec<u8> {
        [LOCAL, self.common().as_slice(), self.name.as_bytes()].concat()
    }

    pub fn central(&self, offset: u64) -> Vec<u8> {
        let mut out = [CENTRAL, [20, 3].as_slice(), self.common().as_slice(), &[0; 6]].concat();
        out.extend(((0o100_000 | self.mode) << 16).to_le_bytes());
        out.extend((offset as u32).to_le_bytes());
        out.extend(self.name.as_bytes());
        out
    }
}

/// The record that ends an archive of `count` members, its directory `size` bytes at `start`.
pub fn end(count: usize, size: usize, start: u64) -> Result<Vec<u8>> {
    let (Ok(count), Ok(size), Ok(start)) = (u16::try_from(count), u32::try_from(size), u32::try_from(start))
    else {
        return Err(bad("zip64 is left to real tools"));
    };
    let mut out = [END, [0; 4].as_slice()].concat();
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    Ok(out)
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
