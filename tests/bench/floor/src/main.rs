//! `floor JOB.json`: the least work for the output of a repair, with nothing decided here.
//!
//! What it does: reads the central directory; inflates each ELF member as far as a reader has to (and no further);
//! inflates, edits, hashes and deflates what is new, on as many threads as it is told (of a large member only the
//! deflate blocks around the changes); copies all else as the bytes they
//! are; carries over the rows of RECORD. What it leaves out, because the job says it: everything that decides. It
//! resolves no library, judges no policy, hashes no source for a graft's name, asks no package database, checks no member
//! against RECORD, trusts all its input, does not read its output back and does not sync it.
//!
//! With `"checks": true` in the job it also does what a careful repair owes its user: inflates all members and compares them
//! with the central directory and RECORD, hashes each library for the name of its graft, and inflates every stream that it
//! made.

mod job;
mod pack;
mod record;
mod zip;

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use fastwheel_deflate::Deflater;
use nix::fcntl::copy_file_range;

use crate::job::{Job, Member, Source, Wheel};
use crate::pack::{Library, Maker, Packed, checked, look};
use crate::zip::{Archive, Header};

type Key<'a> = (usize, &'a Source);

/// One thing for a thread to do.
enum Task<'a> {
    Look(usize, &'a str, u64),
    Check(usize, String),
    Member(Key<'a>),
    Name(usize),
    Hash(usize),
    Chunk(usize, usize),
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: floor JOB.json")?;
    let job: Job = serde_json::from_slice(&fs::read(path)?)?;
    let archives =
        job.wheels.iter().map(|wheel| Archive::open(&wheel.input)).collect::<io::Result<Vec<_>>>()?;
    let packed = work(&job, &archives)?;
    for (index, (wheel, archive)) in job.wheels.iter().zip(&archives).enumerate() {
        write(index, wheel, archive, &packed, job.maker())?;
    }
    Ok(())
}

/// What `source` makes is the same for all wheels, unless it comes out of one.
fn key(index: usize, source: &Source) -> Key<'_> {
    (if matches!(source, Source::Member { .. }) { index } else { usize::MAX }, source)
}

/// Looks into members and makes all that is new, the largest first.
fn work<'a>(job: &'a Job, archives: &[Archive]) -> io::Result<HashMap<Key<'a>, Packed>> {
    let (mut tasks, mut libraries, mut packed) = (Vec::new(), Vec::new(), HashMap::new());
    let records = archives.iter().map(Archive::record).collect::<io::Result<Vec<_>>>()?;
    let rows: Vec<_> = records.iter().map(|text| record::rows(text)).collect();
    for (index, (wheel, archive)) in job.wheels.iter().zip(archives).enumerate() {
        if job.checks {
            let files = archive.members.iter().filter(|(name, _)| !name.ends_with('/'));
            tasks.extend(files.map(|(name, member)| (member.size, Task::Check(index, name.clone()))));
        } else {
            let looks = wheel.look.iter();
            tasks.extend(looks.map(|(name, wanted)| (*wanted / 4, Task::Look(index, name, *wanted))));
        }
        for member in &wheel.members {
            let Member::New { source, .. } = member else { continue };
            let key = key(index, source);
            match source {
                Source::Text(content) => drop(packed.insert(key, job.maker().text(content.as_bytes())?)),
                Source::Member { from, .. } => tasks.push((archive.get(from)?.size, Task::Member(key))),
                Source::File { path, edit } => {
                    if !libraries.iter().any(|(other, _)| *other == key) {
                        libraries.push((key, Library::open(path, edit)?));
                    }
                }
            }
        }
    }
    for (index, (_, library)) in libraries.iter().enumerate() {
        tasks.push((library.size, Task::Hash(index)));
        if job.checks {
            tasks.push((library.size, Task::Name(index)));
        }
        let share = library.size / library.chunks() as u64;
        tasks.extend((0..library.chunks()).map(|chunk| (share, Task::Chunk(index, chunk))));
    }
    tasks.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let next = AtomicUsize::new(0);
    let run = || -> io::Result<Vec<(Key<'a>, Packed)>> {
        let (mut done, mut buffer) = (Vec::new(), Vec::new());
        let mut deflater = Deflater::new(job.level).map_err(io::Error::other)?;
        while let Some((_, task)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match task {
                Task::Look(index, name, wanted) => {
                    look(&archives[*index], archives[*index].get(name)?, *wanted)?;
                }
                Task::Check(index, name) => {
                    let digest = checked(&archives[*index], archives[*index].get(name)?)?;
                    if !rows[*index].get(name).is_some_and(|row| record::agrees(row, &digest)) {
                        return Err(io::Error::other(format!("RECORD disagrees with {name}")));
                    }
                }
                Task::Member(key) => {
                    let Source::Member { from, edit } = key.1 else { continue };
                    let archive = &archives[key.0];
                    done.push((*key, job.maker().member(archive, archive.get(from)?, edit)?));
                }
                Task::Name(index) => libraries[*index].1.name()?,
                Task::Hash(index) => libraries[*index].1.hash(&mut buffer)?,
                Task::Chunk(index, chunk) => {
                    libraries[*index].1.deflate(*chunk, &mut buffer, &mut deflater, job.checks)?
                }
            }
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..job.threads.min(tasks.len())).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            packed.extend(thread.join().map_err(|_| io::Error::other("a thread panicked"))??);
        }
        io::Result::Ok(())
    })?;
    for (key, library) in libraries {
        packed.insert(key, library.finish()?);
    }
    Ok(packed)
}

/// Writes one wheel, if it is to be written.
fn write(
    index: usize,
    wheel: &Wheel,
    archive: &Archive,
    packed: &HashMap<Key<'_>, Packed>,
    maker: Maker,
) -> Result<(), Box<dyn Error>> {
    let Some(path) = &wheel.output else { return Ok(()) };
    if wheel.members.is_empty() {
        let whole = archive.file.metadata()?.len();
        return Ok(copy_range(&archive.file, (0, whole), &File::create(path)?)?);
    }
    let old = archive.record()?;
    let rows = record::rows(&old);
    let stamp = archive.stamp(archive.get(&wheel.record)?);
    let mut record = String::with_capacity(old.len() * 2);
    let mut output = Output { file: File::create(path)?, at: 0, central: Vec::new(), count: 0, run: None };
    for member in &wheel.members {
        match member {
            Member::Copy(name) => {
                output.copy(archive, archive.get(name)?)?;
                if let Some(row) = rows.get(name) {
                    record.push_str(row);
                    record.push('\n');
                }
            }
            Member::New { name, mode, source } => {
                let new = packed.get(&key(index, source)).ok_or("not made")?;
                output.add(archive, name, *mode, stamp, new)?;
                record::add(&mut record, name, &new.sha256, new.size);
            }
        }
    }
    record.push_str(&record::quoted(&wheel.record));
    record.push_str(",,\n");
    output.add(archive, &wheel.record, 0o644, stamp, &maker.text(record.as_bytes())?)?;
    output.finish(archive)?;
    Ok(())
}

struct Output {
    file: File,
    at: u64,
    central: Vec<u8>,
    count: usize,
    /// A range of the input that is copied before anything else is written.
    run: Option<(u64, u64)>,
}

impl Output {
    fn copy(&mut self, archive: &Archive, member: &zip::Member) -> io::Result<()> {
        match &mut self.run {
            Some((_, end)) if *end == member.offset => *end = member.next,
            _ => {
                self.flush(archive)?;
                self.run = Some((member.offset, member.next));
            }
        }
        self.central.extend(archive.central(member, self.at));
        self.at += member.next - member.offset;
        self.count += 1;
        Ok(())
    }

    fn add(
        &mut self,
        archive: &Archive,
        name: &str,
        mode: u32,
        stamp: [u8; 4],
        new: &Packed,
    ) -> io::Result<()> {
        self.flush(archive)?;
        let compressed = new.compressed();
        let header =
            Header { name, mode, stamp, method: new.method, crc: new.crc, compressed, size: new.size };
        let local = header.local();
        self.file.write_all(&local)?;
        for part in &new.data {
            self.file.write_all(part)?;
        }
        self.central.extend(header.central(self.at));
        self.at += local.len() as u64 + compressed;
        self.count += 1;
        Ok(())
    }

    fn flush(&mut self, archive: &Archive) -> io::Result<()> {
        self.run.take().map_or(Ok(()), |range| copy_range(&archive.file, range, &self.file))
    }

    fn finish(mut self, archive: &Archive) -> io::Result<()> {
        self.flush(archive)?;
        let end = zip::end(self.count, self.central.len(), self.at)?;
        self.file.write_all(&self.central)?;
        self.file.write_all(&end)
    }
}

fn copy_range(from: &File, (start, end): (u64, u64), to: &File) -> io::Result<()> {
    let mut at = start as i64;
    while at < end as i64 {
        let left = (end as i64 - at) as usize;
        if copy_file_range(from, Some(&mut at), to, None, left)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
