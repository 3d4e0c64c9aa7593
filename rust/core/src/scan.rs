//! All members of an archive at once: which are ELF files, what the loader would learn of them, what they hash to.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastwheel_elf::{Facts, MAGIC};
use sha2::{Digest, Sha256};

use crate::guard::Fault;
use crate::inflate::{Damage, Inflater, Span, Stop};
use crate::pool;
use crate::sparse::Sparse;

/// What was found of one member. Boxed, because a wheel may have 100,000 members and few of them are ELF files.
#[derive(Default)]
pub struct Scanned {
    /// Of an ELF file that can be read.
    pub facts: Option<Box<Facts>>,
    /// Of an ELF file that cannot.
    pub error: Option<Box<fastwheel_elf::Error>>,
    /// How the content contradicts the central directory; there is nothing else then.
    pub damage: Option<Damage>,
    /// Of the content, where asked.
    pub sha256: Option<[u8; 32]>,
}

/// Members that take more than this in memory, compressed and not, come by piece by piece. libdeflate, which needs all at
/// once, takes a little less time; but threads would have to wait for each other's memory.
const MOST_WHOLE: u64 = 4 * 1024 * 1024;
/// What a member that comes by piece by piece may keep before it has to wait for others that keep as much.
const STREAMED: u64 = 16 * 1024 * 1024;
/// What it mostly keeps: the tables of a large library. Two of them at least are worked on at one time.
const USUALLY: u64 = 8 * 1024 * 1024;
/// A file made so that each of its tables leads back to an earlier place is inflated so often; in the last pass all of it
/// is kept.
const MOST_PASSES: u32 = 5;

/// Scans the members `spans` of the archive `file`; see `engine.scan`.
pub fn scan(file: &File, spans: &[Span], digest: bool, jobs: usize) -> Result<Vec<Scanned>, Fault> {
    let load = |span: &Span| {
        let work = span.size.saturating_add(span.compressed_size);
        pool::Load { work, memory: if is_large(span) { USUALLY } else { work } }
    };
    let wide = Mutex::new(());
    pool::map_sized(spans, jobs, load, Inflater::default, |inflater, span| {
        let scanned = member(inflater, file, span, digest, &wide);
        inflater.release();
        match scanned {
            Ok(scanned) => Ok(scanned),
            Err(Stop::Damage(damage)) => Ok(Scanned { damage: Some(damage), ..Scanned::default() }),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    })
}

fn is_large(span: &Span) -> bool {
    span.size.saturating_add(span.compressed_size) > MOST_WHOLE
}

fn member(
    inflater: &mut Inflater,
    file: &File,
    span: &Span,
    digest: bool,
    wide: &Mutex<()>,
) -> Result<Scanned, Stop> {
    if digest && !is_large(span) {
        // All of it is needed: what its first bytes are need not be found out before.
        let content = inflater.view(file, span)?;
        let scanned = if content.starts_with(&MAGIC) { Scanned::of(content) } else { Scanned::default() };
        return Ok(Scanned { sha256: Some(Sha256::digest(content).into()), ..scanned });
    }
    let elf = span.size >= MAGIC.len() as u64 && inflater.magic(file, span)? == MAGIC;
    match (elf, digest) {
        (false, false) => Ok(Scanned::default()),
        (false, true) => hashed(inflater, file, span),
        (true, _) if is_large(span) => large(inflater, file, span, digest, wide),
        (true, _) => Ok(Scanned::of(inflater.view(file, span)?)),
    }
}

/// A large member that is no ELF file.
fn hashed(inflater: &mut Inflater, file: &File, span: &Span) -> Result<Scanned, Stop> {
    let mut hash = Sha256::new();
    inflater.streamed(file, span, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(Scanned { sha256: Some(hash.finalize().into()), ..Scanned::default() })
}

/// An ELF file that comes by piece by piece. Who keeps more than [`STREAMED`] of it waits for `wide`: files whose tables
/// claim to be everywhere must not fill the memory all at once.
fn large(
    inflater: &mut Inflater,
    file: &File,
    span: &Span,
    digest: bool,
    wide: &Mutex<()>,
) -> Result<Scanned, Stop> {
    if !span.is_believable(file)? {
        // A size that cannot be true must not decide how much memory is taken; that it is wrong turns out here.
        inflater.streamed(file, span, |_| Ok(()))?;
        return Err(Damage::Size.into());
    }
    let mut sparse = Sparse::new(span.size)?;
    let mut alone = None;
    let mut hash = digest.then(Sha256::new);
    for pass in 1..=MOST_PASSES {
        let _ended = inflater.streamed_while(file, span, |bytes| {
            if let Some(hash) = hash.as_mut().filter(|_| pass == 1) {
                hash.update(bytes);
            }
            let complete = sparse.take(bytes);
            if alone.is_none() && sparse.kept() > STREAMED {
                alone = Some(only_one(wide));
            }
            let enough = complete && (pass > 1 || !digest);
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if sparse.is_complete() {
            break;
        }
        sparse.restart();
        if pass == MOST_PASSES - 1 {
            sparse.want_all();
        }
    }
    let scanned = Scanned::of(sparse.bytes());
    Ok(Scanned { sha256: hash.map(|hash| hash.finalize().into()), ..scanned })
}

fn only_one(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scanned {
    /// What reading an ELF file gives.
    fn of(content: &[u8]) -> Self {
        match fastwheel_elf::read(content) {
            Ok(facts) => Self { facts: Some(Box::new(facts)), ..Self::default() },
            Err(error) => Self { error: Some(Box::new(error)), ..Self::default() },
        }
    }
}
