//! What the ELF members of an archive ask for by symbol and what they offer, many at once; and as Python's values.

use std::fs::File;

use fastwheel_elf::{Error, Links};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::convert::{optional, text, tuple};
use crate::guard::{Fault, elf_error};
use crate::inflate::{Inflater, Span, Stop};
use crate::pool;

/// What came of one member.
pub enum Linked {
    /// It was read.
    Done(Links),
    /// It cannot be read.
    Elf(Error),
    /// Its content contradicts the central directory.
    Damage,
}

/// Reads the members `spans` of the archive `file`; see `engine.links_many`.
pub fn links_many(file: &File, spans: &[Span], jobs: usize) -> Result<Vec<Linked>, Fault> {
    let weight = |span: &Span| span.size.saturating_add(span.compressed_size);
    pool::map(spans, jobs, weight, Inflater::default, |inflater, span| match inflater.whole(file, span) {
        Ok(content) => Ok(match fastwheel_elf::links(&content) {
            Ok(links) => Linked::Done(links),
            Err(error) => Linked::Elf(error),
        }),
        Err(Stop::Damage(_)) => Ok(Linked::Damage),
        Err(Stop::Fault(fault)) => Err(fault),
    })
}

/// The fields of `Links`; those of the tuples inside of it as tuples too.
pub fn links_tuple<'py>(py: Python<'py>, links: &Links) -> PyResult<Bound<'py, PyTuple>> {
    let undefined = tuple(py, &links.undefined, |one| {
        let (version, file) = (optional(py, one.version.as_deref())?, optional(py, one.file.as_deref())?);
        (text(py, &one.name)?, version, file, one.weak, one.used).into_pyobject(py)
    })?;
    let versions = tuple(py, &links.versions, |group| {
        let (default, hidden) = (PyBytes::new(py, &group.default), PyBytes::new(py, &group.hidden));
        (text(py, &group.name)?, group.first, default, hidden).into_pyobject(py)
    })?;
    (undefined, PyBytes::new(py, &links.plain), versions, links.relr).into_pyobject(py)
}

/// The same of a member, an `ElfError`, or None for damaged data.
pub fn linked_value<'py>(py: Python<'py>, linked: &Linked) -> PyResult<Bound<'py, PyAny>> {
    Ok(match linked {
        Linked::Done(links) => links_tuple(py, links)?.into_any(),
        Linked::Elf(error) => elf_error(error).into_value(py).into_bound(py).into_any(),
        Linked::Damage => py.None().into_bound(py),
    })
}
