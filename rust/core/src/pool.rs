//! Many independent items on a few threads, results in the order of the items.
//!
//! Threads live for one call only: a pool that outlived it would hang in a child of `os.fork()`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::guard::{Fault, caught};

/// Below this many bytes in all, starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 256 * 1024;

/// Applies `work` to each item, the heaviest first, on `jobs` threads (0: one per usable processor).
///
/// `weight` is the number of bytes that an item keeps in memory while it is worked on; the sum of those in work at one
/// time stays under `64 MiB + the largest`. `start` makes what each thread keeps from one item to the next.
/// The first fault ends the call; which of several is returned depends on timing, that there is one does not.
pub fn map<T: Sync, S, R: Send>(
    items: &[T],
    jobs: usize,
    weight: impl Fn(&T) -> u64 + Sync,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, Fault> + Sync,
) -> Result<Vec<R>, Fault> {
    let mut order: Vec<(usize, &T)> = items.iter().enumerate().collect();
    order.sort_by_key(|(_, item)| std::cmp::Reverse(weight(item)));
    let total = items.iter().fold(0_u64, |sum, item| sum.saturating_add(weight(item)));
    let largest = order.first().map_or(0, |(_, item)| weight(item));
    let budget = Budget::new(largest);
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);

    // What one thread does: take the next item until there is none.
    let run = || {
        let mut state = start();
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some((index, item)) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let _held = budget.hold(weight(item));
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

    let mut parts = Vec::new();
    thread::scope(|scope| {
        let helpers = helpers(jobs, items.len(), total);
        // Where the system refuses a thread the others do its work.
        let started: Vec<_> =
            (0..helpers).map_while(|_| thread::Builder::new().spawn_scoped(scope, run).ok()).collect();
        parts.push(run());
        for thread in started {
            parts.push(thread.join().unwrap_or_else(|_| Err(Fault::Internal("a thread panicked".into()))));
        }
    });

    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    for part in parts {
        results.append(&mut part?);
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// How many threads to start beside the calling one.
fn helpers(jobs: usize, items: usize, total: u64) -> usize {
    let jobs = if jobs == 0 { thread::available_parallelism().map_or(1, usize::from) } else { jobs };
    let useful = usize::try_from(total / WORTH_A_THREAD).unwrap_or(usize::MAX);
    jobs.min(items).min(MOST_THREADS).saturating_sub(1).min(useful)
}

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
        let limit = largest.saturating_add(64 * 1024 * 1024);
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
