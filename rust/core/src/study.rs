//! Files of this machine read through once: what they hash to, and the strings in them; see `engine.study`.

use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::file::{open_regular, read_at};
use crate::guard::Fault;
use crate::memory::zeros;
use crate::pack::{Identity, identity};
use crate::pool;
use crate::strings::strings;

/// One file, and what is looked for in it.
pub struct Question {
    pub path: PathBuf,
    /// Where strings are looked for: [start, end).
    pub ranges: Vec<(u64, u64)>,
    pub patterns: Vec<Vec<u8>>,
}

/// What was found out about it.
pub struct Studied {
    pub sha256: [u8; 32],
    pub identity: Identity,
    /// For each pattern.
    pub strings: Vec<Vec<String>>,
}

/// Reads the files; an error of one is its own.
pub fn study(questions: &[Question], jobs: usize) -> Result<Vec<io::Result<Studied>>, Fault> {
    let size = |question: &Question| question.path.metadata().map_or(0, |info| info.len());
    let sizes: Vec<u64> = questions.iter().map(size).collect();
    let items: Vec<(u64, &Question)> = sizes.into_iter().zip(questions).collect();
    pool::map_sized(
        &items,
        jobs,
        |(size, _)| pool::Load { work: *size, memory: PIECE as u64 },
        || (),
        |(), (_, question)| match one(question) {
            Err(Fault::Io(error)) => Ok(Err(error)),
            other => other.map(Ok),
        },
    )
}

/// Bytes read at a time: they stay in the processor's cache.
const PIECE: usize = 256 * 1024;

fn one(question: &Question) -> Result<Studied, Fault> {
    let file = open_regular(&question.path)?;
    let mut sha256 = Sha256::new();
    let mut piece = zeros(PIECE)?;
    let mut offset = 0_u64;
    loop {
        let count = read_at(&file, &mut piece, offset)?;
        sha256.update(piece.get(..count).unwrap_or_default());
        offset = offset.saturating_add(count as u64);
        if count < piece.len() {
            break;
        }
    }
    drop(piece);
    let found = question.patterns.iter().map(|pattern| strings(&file, &question.ranges, pattern));
    let strings = found.collect::<Result<_, Fault>>()?;
    Ok(Studied { sha256: sha256.finalize().into(), identity: identity(&file)?, strings })
}
