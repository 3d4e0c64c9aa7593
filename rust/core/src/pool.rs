//! Many independent items on a few threads, results in the order of the items.
//!
//! Threads live for one call only: a pool that outlived it would hang in a child of `os.fork()`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::guard::{Fault, caught, interrupted};

/// Below this many bytes in all, starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 256 * 1024;

/// What an item costs, in bytes.
#[derive(Clone, Copy)]
pub struct Load {
    /// To be worked on: items with more of them come first.
    pub work: u64,
    /// Kept in memory meanwhile.
    pub memory: u64,
}

/// Applies `work` to each item, the heaviest first, on `jobs` threads (0: one per usable processor).
///
/// `weight` is the number of bytes that an item keeps in memory while it is worked on; the sum of those in work at one
/// time stays under 24 MiB, or is that of the one item that is larger. `start` makes what each thread keeps from one item
/// to the next. The first fault ends the call; which of several is returned depends on timing, that there is one does not.
pub fn map<T: Sync, S, R: Send>(
    items: &[T],
    jobs: usize,
    weight: impl Fn(&T) -> u64 + Sync,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, Fault> + Sync,
) -> Result<Vec<R>, Fault> {
    let load = |item: &T| {
        let weight = weight(item);
        Load { work: weight, memory: weight }
    };
    map_sized(items, jobs, load, start, work)
}

/// [`map`] for items that keep less in memory than they work on.
pub fn map_sized<T: Sync, S, R: Send>(
    items: &[T],
    jobs: usize,
    load: impl Fn(&T) -> Load + Sync,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, Fault> + Sync,
) -> Result<Vec<R>, Fault> {
    let mut order: Vec<(usize, &T)> = items.iter().enumerate().collect();
    order.sort_by_key(|(_, item)| std::cmp::Reverse(load(item).work));
    let total = items.iter().fold(0_u64, |sum, item| sum.saturating_add(load(item).work));
    let largest = items.iter().fold(0, |most: u64, item| most.max(load(item).memory));
    let budget = Budget::new(largest);
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);

    // What one thread does: take the next item until there is none.
    let run = || {
        let mut state = start();
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some((index, item)) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let _held = budget.hold(load(item).memory);
            match caught(|| work(&mut state, item)) {
                Ok(result) => done.push((*index, result)),
                Err(fault) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(fault);
                }
            }
        }
        Ok(done)
    };

    let parts = crew(workers(jobs, items.len(), total), total, &stop, run)?;
    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    for part in parts {
        results.append(&mut part?);
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Runs `run` on so many threads and returns what they return.
///
/// This thread only waits then, and looks whether a signal wants to end the call: if so it sets `stop`, which `run` has to
/// look at between two pieces of work. Work on few bytes (`total`) by one thread is done in this one.
pub fn crew<R: Send>(
    workers: usize,
    total: u64,
    stop: &AtomicBool,
    run: impl Fn() -> R + Sync,
) -> Result<Vec<R>, Fault> {
    if workers < 2 && total <= LONG {
        return Ok(vec![run()]);
    }
    let mut parts = Vec::with_capacity(workers);
    let mut ended = Ok(());
    thread::scope(|scope| {
        let (done, finished) = mpsc::channel::<()>();
        let mut started = Vec::with_capacity(workers);
        for _ in 0..workers.max(1) {
            let (run, done) = (&run, done.clone());
            let work = move || {
                let result = run();
                drop(done);
                result
            };
            // Where the system refuses a thread the others do its work.
            match thread::Builder::new().spawn_scoped(scope, work) {
                Ok(thread) => started.push(thread),
                Err(_) => break,
            }
        }
        drop(done);
        if started.is_empty() {
            parts.push(run());
        }
        // Nothing is ever sent: the channel closes when the last thread is done.
        while finished.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            if ended.is_ok() {
                ended = interrupted();
                stop.fetch_or(ended.is_err(), Ordering::Relaxed);
            }
        }
        for thread in started {
            match thread.join() {
                Ok(part) => parts.push(part),
                Err(_) => ended = Err(Fault::Internal("a thread panicked".into())),
            }
        }
    });
    ended.map(|()| parts)
}

/// How many threads are worth it, at least 1.
pub fn workers(jobs: usize, items: usize, total: u64) -> usize {
    let jobs = if jobs == 0 { thread::available_parallelism().map_or(1, usize::from) } else { jobs };
    let useful = usize::try_from(total / WORTH_A_THREAD).unwrap_or(usize::MAX).saturating_add(1);
    jobs.min(items).min(MOST_THREADS).min(useful).max(1)
}

/// How long a signal may wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Work on more bytes takes longer than a signal should wait.
const LONG: u64 = 16 * 1024 * 1024;

/// No machine gains from more; it bounds what `--jobs 1000000` can ask for.
const MOST_THREADS: usize = 256;

/// The bytes that all threads together may hold.
struct Budget {
    limit: u64,
    held: Mutex<u64>,
    freed: Condvar,
}

impl Budget {
    fn new(largest: u64) -> Self {
        let limit = largest.max(24 * 1024 * 1024);
        Self { limit, held: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until `bytes` fit; a single item always does.
    fn hold(&self, bytes: u64) -> Held<'_> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while *held > 0 && held.saturating_add(bytes) > self.limit {
            held = self.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held = held.saturating_add(bytes);
        Held { budget: self, bytes }
    }
}

struct Held<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(self.bytes);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(jobs: usize, items: &[u64]) -> Vec<u64> {
        map(items, jobs, |_| 1 << 20, || 2, |factor, item| Ok(item * *factor)).unwrap()
    }

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..1000).collect();
        let expected: Vec<u64> = items.iter().map(|item| item * 2).collect();
        for jobs in [0, 1, 2, 7, 5000] {
            assert_eq!(double(jobs, &items), expected);
        }
        assert!(double(0, &[]).is_empty());
    }

    #[test]
    fn a_fault_and_a_panic_end_the_call() {
        let items: Vec<u64> = (0..100).collect();
        let fault = map(
            &items,
            4,
            |_| 1 << 20,
            || (),
            |(), item| {
                if *item == 50 { Err(Fault::Internal("fifty".into())) } else { Ok(()) }
            },
        );
        assert!(matches!(fault, Err(Fault::Internal(text)) if text == "fifty"));
        let panic = map(
            &items,
            4,
            |_| 1 << 20,
            || (),
            |(), item| -> Result<(), Fault> {
                assert!(*item != 50, "fifty");
                Ok(())
            },
        );
        assert!(matches!(panic, Err(Fault::Internal(text)) if text.contains("fifty")));
    }

    #[test]
    fn items_heavier_than_the_budget_run_one_at_a_time() {
        let at_once = AtomicUsize::new(0);
        let items = [1_u64 << 40; 8];
        let most = map(
            &items,
            4,
            |item| *item,
            || (),
            |(), _| {
                let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                thread::sleep(std::time::Duration::from_millis(2));
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(now)
            },
        );
        assert_eq!(most.unwrap(), vec![1; 8]);
    }
}
