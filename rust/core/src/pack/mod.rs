//! New members: edited, hashed, deflated and inflated again, by all threads on one queue, each holding one chunk; see
//! `engine.pack`.
//!
//! First a task is prepared: its content is opened or inflated, and the edit decided. A small content is then finished at
//! once; the hashing and the chunks of a large one go to the queue, so that one large library uses all threads as well as
//! many small ones do. What comes out depends on contents and level only, not on who did what when.

mod maker;
mod queue;
mod task;

pub use task::{Failure, Identity, Outcome, Source, Task, identity};

use std::fs::File;

use crate::guard::Fault;
use crate::spill::Spill;

/// Packs `tasks` into `spill`; see `engine.pack`.
pub fn pack(
    archive: Option<&File>,
    spill: &Spill,
    tasks: &[Task<'_>],
    level: i32,
    jobs: usize,
) -> Result<Outcome, Fault> {
    queue::run(tasks, &maker::Maker { archive, spill, level }, jobs)
}
