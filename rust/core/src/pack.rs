//! New members: edited, hashed and deflated, by all threads on one queue, each holding one chunk; see `engine.pack`.
//!
//! First a task is prepared: its content is opened or inflated, and the edit decided. A small content is then finished at
//! once; the hashing and the chunks of a large one go to the queue, so that one large library uses all threads as well as
//! many small ones do. What comes out depends on contents and level only, not on who did what when.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fastwheel_deflate::{CHUNK, Change, Deflater, SpliceError, splice};
use fastwheel_elf::Edit;
use libdeflater::Crc;
use sha2::{Digest, Sha256};

use crate::content::{Content, zeros};
use crate::file::{memory_file, open_regular, read_at};
use crate::guard::{Fault, caught};
use crate::inflate::{Damage, Inflater, Span, Stop};
use crate::pool::{crew, workers};
use crate::spill::{Range, Spill};

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

/// Device, inode, size, modification time (ns): whether a file is still the one that was read before.
pub type Identity = (u64, u64, u64, i64);

/// A new member, as it is to lie in the wheel.
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
    /// It got shorter meanwhile.
    Changed,
}

/// What came of the tasks: their results in order (`None`: the edit changes nothing of the member), or the first failure.
pub enum Outcome {
    Done(Vec<Option<Packed>>),
    Failed(usize, Failure),
}

/// Packs `tasks` into `spill`; see `engine.pack`.
pub fn pack(
    archive: Option<&File>,
    spill: &Spill,
    tasks: &[Task<'_>],
    level: i32,
    jobs: usize,
) -> Result<Outcome, Fault> {
    let weights: Vec<u64> = tasks.iter().map(weight).collect();
    let total = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
    let mut waiting: Vec<usize> = (0..tasks.len()).collect();
    // The heaviest is taken first, from the end; of equal ones the first.
    waiting.sort_by_key(|index| (weights.get(*index).copied(), std::cmp::Reverse(*index)));
    let held: Vec<u64> = tasks.iter().map(held).collect();
    let limit = held.iter().copied().fold(HELD_AT_ONCE, u64::max);
    let queue = Queue {
        state: Mutex::new(State {
            waiting,
            ready: VecDeque::new(),
            busy: 0,
            held: 0,
            failed: None,
            fault: None,
        }),
        wake: Condvar::new(),
        stop: AtomicBool::new(false),
    };
    let results: Vec<Mutex<Option<Packed>>> = tasks.iter().map(|_| Mutex::new(None)).collect();
    let room = Room { archive, spill, tasks, held: &held, limit, level, queue: &queue, results: &results };
    let chunks = usize::try_from(total).unwrap_or(usize::MAX).div_ceil(CHUNK);
    crew(workers(jobs, tasks.len().saturating_add(chunks), total), total, &queue.stop, || room.work())?;
    let state = queue.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(fault) = state.fault {
        return Err(fault);
    }
    if let Some((index, failure)) = state.failed {
        return Ok(Outcome::Failed(index, failure));
    }
    let inner = |slot: Mutex<Option<Packed>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome::Done(results.into_iter().map(inner).collect()))
}

/// Bytes of members that wait for their chunks at one time, unless a single one has more.
const HELD_AT_ONCE: u64 = 16 * 1024 * 1024;

/// The number of bytes to work on.
fn weight(task: &Task<'_>) -> u64 {
    match &task.source {
        Source::File(path) => path.metadata().map_or(0, |info| info.len()),
        Source::Member(span) => span.size,
        Source::Bytes(bytes) => bytes.len() as u64,
    }
}

/// The number of bytes that it keeps in memory: files are read piece by piece.
fn held(task: &Task<'_>) -> u64 {
    match &task.source {
        Source::File(_) => 0,
        Source::Member(span) => span.size.saturating_add(span.compressed_size),
        Source::Bytes(bytes) => bytes.len() as u64,
    }
}

/// One prepared task with more than one chunk.
struct Job {
    index: usize,
    content: Content,
    /// The stream of each chunk.
    ranges: Vec<Mutex<Option<Range>>>,
    /// The whole stream, if it was spliced.
    spliced: Mutex<Option<Vec<Range>>>,
    sums: Mutex<Option<Sums>>,
    /// Pieces of work that are not done.
    left: AtomicUsize,
    /// Not all of them will be, because an earlier task failed.
    forgotten: AtomicBool,
}

#[derive(Clone, Copy)]
struct Sums {
    sha256: [u8; 32],
    crc: u32,
}

enum Work {
    Prepare(usize),
    Hash(Arc<Job>),
    /// Make the stream from that of the old content.
    Splice(Arc<Job>, Vec<std::ops::Range<u64>>),
    Chunk(Arc<Job>, usize),
}

impl Work {
    fn index(&self) -> usize {
        match self {
            Self::Prepare(index) => *index,
            Self::Hash(job) | Self::Splice(job, _) | Self::Chunk(job, _) => job.index,
        }
    }
}

struct State {
    /// Tasks not yet prepared.
    waiting: Vec<usize>,
    ready: VecDeque<Work>,
    /// Threads at work.
    busy: usize,
    held: u64,
    /// The failure of the first task (by index) that failed.
    failed: Option<(usize, Failure)>,
    fault: Option<Fault>,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    stop: AtomicBool,
}

/// Everything that a thread needs.
struct Room<'a> {
    archive: Option<&'a File>,
    spill: &'a Spill,
    tasks: &'a [Task<'a>],
    held: &'a [u64],
    limit: u64,
    level: i32,
    queue: &'a Queue,
    results: &'a [Mutex<Option<Packed>>],
}

/// What a thread keeps from one piece of work to the next.
struct Tools {
    inflater: Inflater,
    deflater: Option<Deflater>,
    chunk: Vec<u8>,
}

/// Why a stream could not be spliced.
enum Snag {
    Splice(SpliceError),
    Trouble(Trouble),
}

impl From<SpliceError> for Snag {
    fn from(error: SpliceError) -> Self {
        Self::Splice(error)
    }
}

impl From<Fault> for Snag {
    fn from(fault: Fault) -> Self {
        Self::Trouble(fault.into())
    }
}

impl From<Trouble> for Snag {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Why a piece of work is not done.
enum Trouble {
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A failed write to the spill is no fault of the source.
fn unwritten(error: io::Error) -> Trouble {
    Trouble::Fault(Fault::Io(error))
}

impl Room<'_> {
    /// What one thread does, until there is nothing left.
    fn work(&self) {
        let mut tools = Tools { inflater: Inflater::default(), deflater: None, chunk: Vec::new() };
        while let Some(work) = self.next() {
            let index = work.index();
            let preparing = matches!(work, Work::Prepare(_));
            let done = caught(|| Ok(self.done(&mut tools, work)));
            let mut state = locked(&self.queue.state);
            state.busy = state.busy.saturating_sub(1);
            match done {
                Ok(Ok(())) => {}
                Ok(Err(Trouble::Failure(failure))) => {
                    if preparing {
                        let held = self.held.get(index).copied().unwrap_or(0);
                        state.held = state.held.saturating_sub(held);
                    }
                    if state.failed.as_ref().is_none_or(|(first, _)| index < *first) {
                        state.failed = Some((index, failure));
                    }
                }
                Ok(Err(Trouble::Fault(fault))) | Err(fault) => {
                    state.fault = Some(fault);
                    self.queue.stop.store(true, Ordering::Relaxed);
                }
            }
            drop(state);
            self.queue.wake.notify_all();
        }
    }

    /// The next piece of work; waits for one as long as others may make some.
    fn next(&self) -> Option<Work> {
        let mut state = locked(&self.queue.state);
        loop {
            if self.queue.stop.load(Ordering::Relaxed) {
                return None;
            }
            // What is in hand is finished before anything new is begun. Behind a failure only earlier tasks matter,
            // so that it is always the same one that is told.
            let last = state.failed.as_ref().map_or(usize::MAX, |(index, _)| *index);
            if let Some(work) = state.ready.pop_front() {
                if work.index() < last {
                    state.busy = state.busy.saturating_add(1);
                    return Some(work);
                }
                self.forget(&mut state, &work);
                continue;
            }
            if let Some(index) = state.waiting.last().copied() {
                let held = self.held.get(index).copied().unwrap_or(0);
                if index >= last {
                    state.waiting.pop();
                    continue;
                }
                if state.held == 0 || state.held.saturating_add(held) <= self.limit {
                    state.waiting.pop();
                    state.held = state.held.saturating_add(held);
                    state.busy = state.busy.saturating_add(1);
                    return Some(Work::Prepare(index));
                }
            }
            if state.busy == 0 {
                drop(state);
                self.queue.wake.notify_all();
                return None;
            }
            let waited = self.queue.wake.wait_timeout(state, WAKE_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drops a piece of work that is not needed any more.
    fn forget(&self, state: &mut State, work: &Work) {
        let (Work::Hash(job) | Work::Splice(job, _) | Work::Chunk(job, _)) = work else { return };
        job.forgotten.store(true, Ordering::Release);
        if job.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let held = self.held.get(job.index).copied().unwrap_or(0);
            state.held = state.held.saturating_sub(held);
        }
    }

    fn done(&self, tools: &mut Tools, work: Work) -> Result<(), Trouble> {
        match work {
            Work::Prepare(index) => self.prepare(tools, index),
            Work::Hash(job) => {
                let sums = self.sums(&job.content, &mut tools.chunk)?;
                *locked(&job.sums) = Some(sums);
                self.finish(tools, &job)
            }
            Work::Splice(job, changes) => {
                let spliced = self.splice(&job, &changes)?;
                if spliced.is_none() {
                    let chunks = job.ranges.len();
                    job.left.fetch_add(chunks, Ordering::AcqRel);
                    let mut state = locked(&self.queue.state);
                    state.ready.extend((0..chunks).map(|number| Work::Chunk(Arc::clone(&job), number)));
                }
                *locked(&job.spliced) = spliced;
                self.finish(tools, &job)
            }
            Work::Chunk(job, number) => {
                let offset = (number as u64).saturating_mul(CHUNK as u64);
                let size = job.content.size().saturating_sub(offset).min(CHUNK as u64);
                let bytes = filled(&mut tools.chunk, &job.content, offset, size)?;
                let last = number.saturating_add(1) == job.ranges.len();
                let stream =
                    deflater(&mut tools.deflater, self.level)?.chunk(bytes, last).map_err(internal)?;
                let range = self.spill.append(&stream).map_err(unwritten)?;
                if let Some(slot) = job.ranges.get(number) {
                    *locked(slot) = Some(range);
                }
                self.finish(tools, &job)
            }
        }
    }

    fn prepare(&self, tools: &mut Tools, index: usize) -> Result<(), Trouble> {
        let content = match self.tasks.get(index) {
            Some(task) => self.content(tools, task)?,
            None => None,
        };
        let Some(content) = content else {
            self.release(index);
            return Ok(());
        };
        let size = content.size();
        let changes = if size >= SPLICED_FROM && self.level > 0 && self.is_deflated(index) {
            content.changes()
        } else {
            None
        };
        if size <= CHUNK as u64 && changes.is_none() {
            let packed = self.small(tools, &content)?;
            self.put(index, packed);
            return Ok(());
        }
        let deflated = self.level > 0;
        let chunks = if deflated { usize::try_from(size.div_ceil(CHUNK as u64)).unwrap_or(0) } else { 0 };
        let job = Arc::new(Job {
            index,
            content,
            ranges: (0..chunks).map(|_| Mutex::new(None)).collect(),
            spliced: Mutex::new(None),
            sums: Mutex::new(None),
            forgotten: AtomicBool::new(false),
            left: AtomicUsize::new(if changes.is_some() { 2 } else { chunks.saturating_add(1) }),
        });
        let mut state = locked(&self.queue.state);
        state.ready.push_back(Work::Hash(Arc::clone(&job)));
        if let Some(changes) = changes {
            state.ready.push_back(Work::Splice(job, changes));
            return Ok(());
        }
        state.ready.extend((0..chunks).map(|number| Work::Chunk(Arc::clone(&job), number)));
        Ok(())
    }

    /// The content of a task; `None` if its edit changes nothing.
    fn content(&self, tools: &mut Tools, task: &Task<'_>) -> Result<Option<Content>, Trouble> {
        let edit = task.edit.as_ref();
        Ok(match &task.source {
            Source::File(path) => {
                let file = open_regular(path).map_err(Fault::Io)?;
                Some(Content::of_file(file, edit)?)
            }
            Source::Member(span) => {
                let archive = self.archive.ok_or_else(|| Fault::Internal("no archive".into()))?;
                if span.size > STREAMED_FROM
                    && let Some(edit) = edit
                    && let Some(file) = memory_file()
                {
                    let mut at = 0;
                    tools.inflater.streamed(archive, span, |bytes| {
                        file.write_all_at(bytes, at)?;
                        at = at.saturating_add(bytes.len() as u64);
                        Ok(())
                    })?;
                    return Ok(Content::of_copy(file, edit)?);
                }
                let data = tools.inflater.whole(archive, span)?;
                Content::of_bytes(data, edit)?
            }
            Source::Bytes(bytes) => {
                let mut data = zeros(bytes.len())?;
                data.copy_from_slice(bytes);
                Content::of_bytes(data, edit)?
            }
        })
    }

    fn is_deflated(&self, index: usize) -> bool {
        matches!(
            self.tasks.get(index),
            Some(Task { source: Source::Member(Span { method: DEFLATED, .. }), .. })
        )
    }

    /// The stream of a changed member, most of it that of the old one; `None` if too much changes.
    fn splice(&self, job: &Job, changes: &[std::ops::Range<u64>]) -> Result<Option<Vec<Range>>, Trouble> {
        let (Some(Task { source: Source::Member(span), .. }), Some(archive)) =
            (self.tasks.get(job.index), self.archive)
        else {
            return Ok(None);
        };
        let mut old = zeros(usize::try_from(span.compressed_size).map_err(|_| Fault::Memory)?)?;
        if read_at(archive, &mut old, span.offset).map_err(Fault::Io)? < old.len() {
            return Err(Fault::Changed.into());
        }
        let mut ranges = Vec::new();
        let mut held = Vec::new();
        let change = Change { ranges: changes, size: job.content.size() };
        let level = self.level.unsigned_abs();
        let read = |offset: u64, buffer: &mut [u8]| Ok(job.content.read(buffer, offset)?);
        let write = |bytes: &[u8]| {
            if held.len() >= SPILLED_AT_ONCE {
                ranges.push(self.spill.append(&held).map_err(unwritten)?);
                held.clear();
            }
            held.extend_from_slice(bytes);
            Ok(())
        };
        let spliced = splice(&old, change, level, read, write);
        match spliced {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(Snag::Trouble(trouble)) => return Err(trouble),
            // Inflaters took the stream; what the walker has against it is no reason to refuse the wheel.
            Err(Snag::Splice(SpliceError::Malformed(_))) => return Ok(None),
            Err(Snag::Splice(error)) => return Err(Fault::Internal(error.to_string()).into()),
        }
        if !held.is_empty() {
            ranges.push(self.spill.append(&held).map_err(unwritten)?);
        }
        Ok(Some(merged(ranges)))
    }

    /// All of a content of one chunk.
    fn small(&self, tools: &mut Tools, content: &Content) -> Result<Packed, Trouble> {
        let Tools { chunk, deflater: kept, .. } = tools;
        let bytes = filled(chunk, content, 0, content.size())?;
        let mut crc = Crc::new();
        crc.update(bytes);
        let sums = Sums { sha256: Sha256::digest(bytes).into(), crc: crc.sum() };
        let stream = if self.level > 0 && !bytes.is_empty() {
            Some(deflater(kept, self.level)?.chunk(bytes, true).map_err(internal)?)
        } else {
            None
        };
        let (method, data) = match &stream {
            Some(stream) if stream.len() < bytes.len() => (DEFLATED, &stream[..]),
            _ => (STORED, bytes),
        };
        let ranges =
            if data.is_empty() { Vec::new() } else { vec![self.spill.append(data).map_err(unwritten)?] };
        packed(content, method, sums, ranges)
    }

    /// The sums of a content, read in order.
    fn sums(&self, content: &Content, chunk: &mut Vec<u8>) -> Result<Sums, Trouble> {
        let (mut sha256, mut crc) = (Sha256::new(), Crc::new());
        let mut offset = 0;
        while offset < content.size() && !self.queue.stop.load(Ordering::Relaxed) {
            let size = content.size().saturating_sub(offset).min(HASHED_AT_ONCE);
            let bytes = filled(chunk, content, offset, size)?;
            sha256.update(bytes);
            crc.update(bytes);
            offset = offset.saturating_add(size);
        }
        Ok(Sums { sha256: sha256.finalize().into(), crc: crc.sum() })
    }

    /// Counts one piece of work of `job` as done; after the last one makes the result.
    fn finish(&self, tools: &mut Tools, job: &Job) -> Result<(), Trouble> {
        if job.left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Ok(());
        }
        if job.forgotten.load(Ordering::Acquire) {
            self.release(job.index);
            return Ok(());
        }
        let sums = locked(&job.sums).take().ok_or_else(|| Fault::Internal("no sums".into()))?;
        let spliced = locked(&job.spliced).take();
        let ranges = if let Some(ranges) = spliced {
            ranges
        } else {
            let taken = job.ranges.iter().map(|slot| locked(slot).take());
            taken.collect::<Option<_>>().ok_or_else(|| Fault::Internal("a chunk is missing".into()))?
        };
        let size = ranges.iter().fold(0, |sum: u64, (_, length)| sum.saturating_add(*length));
        let packed = if self.level > 0 && size < job.content.size() {
            packed(&job.content, DEFLATED, sums, merged(ranges))?
        } else {
            packed(&job.content, STORED, sums, vec![self.store(tools, &job.content)?])?
        };
        self.put(job.index, packed);
        Ok(())
    }

    /// Writes a content as it is.
    fn store(&self, tools: &mut Tools, content: &Content) -> Result<Range, Trouble> {
        let range = self.spill.reserve(content.size());
        let mut offset = 0;
        while offset < content.size() && !self.queue.stop.load(Ordering::Relaxed) {
            let size = content.size().saturating_sub(offset).min(CHUNK as u64);
            let bytes = filled(&mut tools.chunk, content, offset, size)?;
            self.spill.write(bytes, range.0.saturating_add(offset)).map_err(unwritten)?;
            offset = offset.saturating_add(size);
        }
        Ok(range)
    }

    fn put(&self, index: usize, packed: Packed) {
        if let Some(slot) = self.results.get(index) {
            *locked(slot) = Some(packed);
        }
        self.release(index);
    }

    /// Gives back what a task held in memory.
    fn release(&self, index: usize) {
        let mut state = locked(&self.queue.state);
        state.held = state.held.saturating_sub(self.held.get(index).copied().unwrap_or(0));
    }
}

/// Larger members are inflated piece by piece: at once takes the compressed bytes and the content in memory.
const STREAMED_FROM: u64 = 16 * 1024 * 1024;
/// Members from this size on are spliced: of smaller ones too little is left alone.
const SPLICED_FROM: u64 = 128 * 1024;
/// Bytes of a spliced stream that are written at one time.
const SPILLED_AT_ONCE: usize = 256 * 1024;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Bytes read at a time for hashing: they stay in the processor's cache.
const HASHED_AT_ONCE: u64 = 256 * 1024;
/// How long a thread sleeps at most before it looks whether the call was ended.
const WAKE_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

fn packed(content: &Content, method: u16, sums: Sums, ranges: Vec<Range>) -> Result<Packed, Trouble> {
    let identity = content.source().map(identity).transpose().map_err(Fault::Io)?;
    let Sums { sha256, crc } = sums;
    Ok(Packed { method, crc, size: content.size(), sha256, ranges, identity })
}

/// The identity of an open file.
pub fn identity(file: &File) -> io::Result<Identity> {
    let info = file.metadata()?;
    let nanoseconds = info.mtime().saturating_mul(1_000_000_000).saturating_add(info.mtime_nsec());
    Ok((info.dev(), info.ino(), info.len(), nanoseconds))
}

/// Neighbours in the spill as one range.
fn merged(ranges: Vec<Range>) -> Vec<Range> {
    let mut result: Vec<Range> = Vec::new();
    for (offset, length) in ranges {
        match result.last_mut() {
            Some((start, size)) if start.checked_add(*size) == Some(offset) => {
                *size = size.saturating_add(length);
            }
            _ => result.push((offset, length)),
        }
    }
    result
}

/// `size` bytes of a content from `offset` on, in `chunk`.
fn filled<'c>(
    chunk: &'c mut Vec<u8>,
    content: &Content,
    offset: u64,
    size: u64,
) -> Result<&'c [u8], Trouble> {
    let size = usize::try_from(size).map_err(|_| Fault::Memory)?;
    if chunk.len() < size {
        *chunk = zeros(size.max(usize::try_from(HASHED_AT_ONCE).unwrap_or(size)))?;
    }
    let bytes = chunk.get_mut(..size).unwrap_or_default();
    content.read(bytes, offset)?;
    Ok(bytes)
}

fn deflater(slot: &mut Option<Deflater>, level: i32) -> Result<&mut Deflater, Trouble> {
    match slot {
        Some(deflater) => Ok(deflater),
        None => Ok(slot.insert(Deflater::new(level).map_err(internal)?)),
    }
}

fn internal(error: fastwheel_deflate::Error) -> Trouble {
    Trouble::Fault(match error {
        fastwheel_deflate::Error::Memory => Fault::Memory,
        other => Fault::Internal(other.to_string()),
    })
}
