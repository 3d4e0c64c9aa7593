//! Who does what when: one queue for all tasks and their chunks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fastwheel_deflate::CHUNK;

use super::maker::{Chunk, Maker, Sums, Tools};
use super::task::{Failure, Outcome, Packed, Task, Trouble};
use crate::content::Content;
use crate::guard::{Fault, caught};
use crate::pool::{crew, workers};
use crate::spill::Range as Place;

/// Bytes of members that wait for their chunks at one time, unless a single one has more.
const HELD_AT_ONCE: u64 = 16 * 1024 * 1024;
/// How long a thread sleeps at most before it looks whether the call was ended.
const WAKE_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Has `maker` make all of `tasks`, on `jobs` threads.
pub fn run(tasks: &[Task<'_>], maker: &Maker<'_>, jobs: usize) -> Result<Outcome, Fault> {
    let weights: Vec<u64> = tasks.iter().map(Task::weight).collect();
    let total = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
    let mut waiting: Vec<usize> = (0..tasks.len()).collect();
    // The heaviest is taken first, from the end; of equal ones the first.
    waiting.sort_by_key(|index| (weights.get(*index).copied(), std::cmp::Reverse(*index)));
    let held: Vec<u64> = tasks.iter().map(Task::held).collect();
    let limit = held.iter().copied().fold(HELD_AT_ONCE, u64::max);
    let queue = Queue {
        tasks,
        maker,
        held,
        limit,
        state: Mutex::new(State { waiting, ..State::default() }),
        wake: Condvar::new(),
        stop: AtomicBool::new(false),
        results: tasks.iter().map(|_| Mutex::new(None)).collect(),
    };
    let chunks = usize::try_from(total).unwrap_or(usize::MAX).div_ceil(CHUNK);
    crew(workers(jobs, tasks.len().saturating_add(chunks), total), total, &queue.stop, || queue.work())?;
    let state = queue.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(fault) = state.fault {
        return Err(fault);
    }
    if let Some((index, failure)) = state.failed {
        return Ok(Outcome::Failed(index, failure));
    }
    let inner = |slot: Mutex<Option<Packed>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome::Done(queue.results.into_iter().map(inner).collect()))
}

/// One prepared task with more than one chunk.
struct Job {
    index: usize,
    content: Content,
    chunks: Vec<Mutex<Option<Chunk>>>,
    /// The whole stream, if it was spliced.
    spliced: Mutex<Option<Place>>,
    sums: Mutex<Option<Sums>>,
    /// Pieces of work that are not done.
    left: AtomicUsize,
    /// Not all of them will be, because an earlier task failed.
    forgotten: AtomicBool,
}

enum Work {
    Prepare(usize),
    Hash(Arc<Job>),
    /// Make the stream from that of the old content.
    Splice(Arc<Job>, Vec<Range<u64>>),
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

#[derive(Default)]
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

struct Queue<'a> {
    tasks: &'a [Task<'a>],
    maker: &'a Maker<'a>,
    held: Vec<u64>,
    limit: u64,
    state: Mutex<State>,
    wake: Condvar,
    stop: AtomicBool,
    results: Vec<Mutex<Option<Packed>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue<'_> {
    /// What one thread does, until there is nothing left.
    fn work(&self) {
        let mut tools = Tools::default();
        while let Some(work) = self.next() {
            let index = work.index();
            let preparing = matches!(work, Work::Prepare(_));
            let done = caught(|| Ok(self.done(&mut tools, work)));
            let mut state = locked(&self.state);
            state.busy = state.busy.saturating_sub(1);
            match done {
                Ok(Ok(())) => {}
                Ok(Err(Trouble::Failure(failure))) => {
                    if preparing {
                        state.held = state.held.saturating_sub(self.held_by(index));
                    }
                    if state.failed.as_ref().is_none_or(|(first, _)| index < *first) {
                        state.failed = Some((index, failure));
                    }
                }
                Ok(Err(Trouble::Fault(fault))) | Err(fault) => {
                    state.fault = Some(fault);
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
            drop(state);
            self.wake.notify_all();
        }
    }

    /// The next piece of work; waits for one as long as others may make some.
    fn next(&self) -> Option<Work> {
        let mut state = locked(&self.state);
        loop {
            if self.stop.load(Ordering::Relaxed) {
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
                let held = self.held_by(index);
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
                self.wake.notify_all();
                return None;
            }
            let waited = self.wake.wait_timeout(state, WAKE_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drops a piece of work that is not needed any more.
    fn forget(&self, state: &mut State, work: &Work) {
        let (Work::Hash(job) | Work::Splice(job, _) | Work::Chunk(job, _)) = work else { return };
        job.forgotten.store(true, Ordering::Release);
        if job.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            state.held = state.held.saturating_sub(self.held_by(job.index));
        }
    }

    fn done(&self, tools: &mut Tools, work: Work) -> Result<(), Trouble> {
        match work {
            Work::Prepare(index) => self.prepare(tools, index),
            Work::Hash(job) => {
                *locked(&job.sums) = Some(self.maker.sums(tools, &job.content, &self.stop)?);
                self.finish(tools, &job)
            }
            Work::Splice(job, changes) => {
                let spliced = match self.tasks.get(job.index) {
                    Some(task) => self.maker.splice(task, &job.content, &changes)?,
                    None => None,
                };
                if spliced.is_none() {
                    let chunks = job.chunks.len();
                    job.left.fetch_add(chunks, Ordering::AcqRel);
                    let mut state = locked(&self.state);
                    state.ready.extend((0..chunks).map(|number| Work::Chunk(Arc::clone(&job), number)));
                }
                *locked(&job.spliced) = spliced;
                self.finish(tools, &job)
            }
            Work::Chunk(job, number) => {
                let last = number.saturating_add(1) == job.chunks.len();
                let chunk = self.maker.chunk(tools, &job.content, number, last)?;
                if let Some(slot) = job.chunks.get(number) {
                    *locked(slot) = Some(chunk);
                }
                self.finish(tools, &job)
            }
        }
    }

    fn prepare(&self, tools: &mut Tools, index: usize) -> Result<(), Trouble> {
        let Some(task) = self.tasks.get(index) else { return Ok(()) };
        let Some(content) = self.maker.content(tools, task)? else {
            self.release(index);
            return Ok(());
        };
        let changes = self.maker.changes(task, &content);
        if content.size() <= CHUNK as u64 && changes.is_none() {
            let packed = self.maker.small(tools, &content)?;
            self.put(index, packed);
            return Ok(());
        }
        let chunks = self.maker.chunks(&content);
        let job = Arc::new(Job {
            index,
            content,
            chunks: (0..chunks).map(|_| Mutex::new(None)).collect(),
            spliced: Mutex::new(None),
            sums: Mutex::new(None),
            forgotten: AtomicBool::new(false),
            left: AtomicUsize::new(if changes.is_some() { 2 } else { chunks.saturating_add(1) }),
        });
        let mut state = locked(&self.state);
        state.ready.push_back(Work::Hash(Arc::clone(&job)));
        if let Some(changes) = changes {
            state.ready.push_back(Work::Splice(job, changes));
            return Ok(());
        }
        state.ready.extend((0..chunks).map(|number| Work::Chunk(Arc::clone(&job), number)));
        Ok(())
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
        let packed = if let Some(place) = spliced {
            self.maker.of_splice(tools, &job.content, sums, place)?
        } else {
            let taken = job.chunks.iter().map(|slot| locked(slot).take());
            let chunks: Option<Vec<Chunk>> = taken.collect();
            let chunks = chunks.ok_or_else(|| Fault::Internal("a chunk is missing".into()))?;
            self.maker.of_chunks(tools, &job.content, sums, &chunks, &self.stop)?
        };
        self.put(job.index, packed);
        Ok(())
    }

    fn put(&self, index: usize, packed: Packed) {
        if let Some(slot) = self.results.get(index) {
            *locked(slot) = Some(packed);
        }
        self.release(index);
    }

    fn held_by(&self, index: usize) -> u64 {
        self.held.get(index).copied().unwrap_or(0)
    }

    /// Gives back what a task held in memory.
    fn release(&self, index: usize) {
        let mut state = locked(&self.state);
        state.held = state.held.saturating_sub(self.held_by(index));
    }
}
