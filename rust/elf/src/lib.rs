//! Reads ELF files as a loader does: through the program headers and PT_DYNAMIC, never through sections; and edits their
//! dynamic section, with nothing else changed.
//!
//! Bytes in, facts or bytes out: no I/O, no `unsafe`, no panic on any input, time and memory linear in the size of the file.
//! One module per table of the specification (System V gABI; GNU symbol versioning; Linux gABI extensions).
//!
//! ```
//! let error = fastwheel_elf::read(b"#!/bin/sh").unwrap_err();
//! assert_eq!(error.code.as_str(), "FW300");
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod dynamic;
mod edit;
mod error;
mod facts;
pub mod header;
pub mod image;
mod links;
pub mod note;
mod ranges;
pub mod section;
pub mod segment;
pub mod strings;
pub mod symbol;
#[cfg(test)]
mod tests;
pub mod version;

pub use edit::{Edit, Patch, Plan, Rung, edit, plan_edit};
pub use error::{Code, Error};
pub use facts::{Facts, Name, Symbol, Version, VersionDefinition, VersionNeed, read, symbols};
pub use header::MAGIC;
pub use image::{ByteOrder, Class};
pub use links::{Links, Undefined, VersionGroup, links};
pub use ranges::{likely_ranges, ranges};
pub use segment::Segment;
