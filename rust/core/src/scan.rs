//! All members of an archive at once: which are ELF files, what the loader would learn of them, what they hash to.

use std::fs::File;

use fastwheel_elf::{Facts, MAGIC};
use sha2::{Digest, Sha256};

use crate::guard::Fault;
use crate::inflate::{Damage, Inflater, Span, Stop};
use crate::pool;

/// What was found of one member.
#[derive(Default)]
pub struct Scanned {
    /// Of an ELF file that can be read.
    pub facts: Option<Facts>,
    /// Of an ELF file that cannot.
    pub error: Option<fastwheel_elf::Error>,
    /// How the content contradicts the central directory; there is nothing else then.
    pub damage: Option<Damage>,
    /// Of the content, where asked.
    pub sha256: Option<[u8; 32]>,
}

/// A member that is no ELF file is hashed piece by piece from this size on, not held in memory.
const STREAM_FROM: u64 = 16 * 1024 * 1024;

/// Scans the members `spans` of the archive `file`; see `engine.scan`.
pub fn scan(file: &File, spans: &[Span], digest: bool, jobs: usize) -> Result<Vec<Scanned>, Fault> {
    let weight = |span: &Span| span.size.saturating_add(span.compressed_size);
    pool::map(spans, jobs, weight, Inflater::default, |inflater, span| {
        match member(inflater, file, span, digest) {
            Ok(scanned) => Ok(scanned),
            Err(Stop::Damage(damage)) => Ok(Scanned { damage: Some(damage), ..Scanned::default() }),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    })
}

fn member(inflater: &mut Inflater, file: &File, span: &Span, digest: bool) -> Result<Scanned, Stop> {
    let mut scanned = Scanned::default();
    let elf = span.size >= MAGIC.len() as u64 && inflater.magic(file, span)? == MAGIC;
    if elf {
        let content = inflater.whole(file, span)?;
        scanned.sha256 = digest.then(|| Sha256::digest(&content).into());
        match fastwheel_elf::read(&content) {
            Ok(facts) => scanned.facts = Some(facts),
            Err(error) => scanned.error = Some(error),
        }
    } else if digest {
        let mut hash = Sha256::new();
        if span.size >= STREAM_FROM {
            inflater.streamed(file, span, |bytes| {
                hash.update(bytes);
                Ok(())
            })?;
        } else {
            hash.update(inflater.whole(file, span)?);
        }
        scanned.sha256 = Some(hash.finalize().into());
    }
    Ok(scanned)
}
