//! The extension module `fastwheel._core`: what `engine.py` has done by threads without the GIL.
//!
//! Thin on purpose. Each function takes what it needs out of Python's values, releases the GIL, works, and makes Python's
//! values again; every one is [`guarded`](guard::caught), so that a panic is an error like any other.

#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod bulk;
mod content;
mod convert;
mod file;
mod guard;
mod inflate;
mod links;
mod memory;
mod pack;
mod pool;
mod scan;
mod sparse;
mod spill;
mod strings;
mod study;

use pyo3::prelude::*;

/// The Rust engine of fastwheel. Use it through `fastwheel.engine`.
#[pymodule(gil_used = false)]
mod _core {
    use libdeflater::CompressionLvl;
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use pyo3::types::{PyBytes, PyList, PyTuple};

    use crate::convert::{
        Buffer, SpanTuple, edit_of, facts_tuple, outcome_tuple, path_of, scanned_tuple, source_of,
        studied_value, symbol_tuple,
    };
    use crate::guard::{Fault, caught, quiet_panics};
    use crate::inflate::Span;
    use crate::links::{linked_value, links_many as link_members, links_tuple};
    use crate::pack::{Task, pack as pack_tasks};
    use crate::scan::scan as scan_members;
    use crate::spill::Spill;
    use crate::study::{Question, study as study_files};
    use crate::{bulk, file};

    /// (path, ranges, patterns)
    type QuestionTuple<'py> = (Bound<'py, PyBytes>, Vec<(u64, u64)>, Vec<Bound<'py, PyBytes>>);
    /// (path, span or content, edit)
    type TaskTuple<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        quiet_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// The facts of an ELF file, as the fields of `Facts` in order.
    #[pyfunction]
    fn read<'py>(py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let done = caught(|| {
            let data = Buffer::of(data)?;
            let bytes = data.as_bytes();
            let facts = py.detach(|| fastwheel_elf::read(bytes))?;
            Ok(facts_tuple(py, &facts)?)
        });
        Ok(done?)
    }

    /// The dynamic symbols of an ELF file, each as the fields of `Symbol` in order.
    #[pyfunction]
    fn symbols<'py>(py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let done = caught(|| {
            let data = Buffer::of(data)?;
            let bytes = data.as_bytes();
            let symbols = py.detach(|| fastwheel_elf::symbols(bytes))?;
            let tuples: Vec<_> =
                symbols.iter().map(|symbol| symbol_tuple(py, symbol)).collect::<PyResult<_>>()?;
            Ok(PyList::new(py, tuples)?)
        });
        Ok(done?)
    }

    /// What an ELF file asks for by symbol and what it offers, as the fields of `Links` in order.
    #[pyfunction]
    fn links<'py>(py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let done = caught(|| {
            let data = Buffer::of(data)?;
            let bytes = data.as_bytes();
            let links = py.detach(|| fastwheel_elf::links(bytes))?;
            Ok(links_tuple(py, &links)?)
        });
        Ok(done?)
    }

    /// The same of ELF members of the zip archive that `fd` is open on; see `engine.links_many`.
    #[pyfunction]
    fn links_many(
        py: Python<'_>,
        fd: i32,
        spans: Vec<SpanTuple>,
        jobs: usize,
    ) -> PyResult<Bound<'_, PyList>> {
        let done = caught(|| {
            let file = file::duplicate(fd)?;
            let spans: Vec<Span> = spans.into_iter().map(Span::from).collect();
            let results = py.detach(|| link_members(&file, &spans, jobs))?;
            let values: Vec<_> =
                results.iter().map(|linked| linked_value(py, linked)).collect::<PyResult<_>>()?;
            Ok(PyList::new(py, values)?)
        });
        Ok(done?)
    }

    /// The ELF file with `edit` done: an object with the attributes of `Edit`. The same object if nothing is to be done.
    #[pyfunction]
    fn edit<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        edit: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let done = caught(|| {
            let edit = edit_of(edit)?;
            let data = Buffer::of(data)?;
            let bytes = data.as_bytes();
            let plan = py.detach(|| fastwheel_elf::plan_edit(bytes, &edit))?;
            if plan.patch().is_none() {
                return Ok(data.object());
            }
            Ok(PyBytes::new_with(py, plan.size(), |output| {
                let written = caught(|| Ok::<_, Fault>(py.detach(|| plan.write_to(output))?));
                Ok(written?)
            })?)
        });
        Ok(done?)
    }

    /// The facts of the ELF file that `fd` is open on; the file is mapped if it is large.
    #[pyfunction]
    fn read_fd(py: Python<'_>, fd: i32) -> PyResult<Bound<'_, PyTuple>> {
        let done = caught(|| {
            let file = file::duplicate(fd)?;
            let facts =
                py.detach(|| Ok::<_, crate::guard::Fault>(fastwheel_elf::read(&file::Content::of(&file)?)?))?;
            Ok(facts_tuple(py, &facts)?)
        });
        Ok(done?)
    }

    /// Scan members of the zip archive that `fd` is open on; see `engine.scan`.
    #[pyfunction]
    fn scan(
        py: Python<'_>,
        fd: i32,
        spans: Vec<SpanTuple>,
        digest: bool,
        jobs: usize,
    ) -> PyResult<Bound<'_, PyList>> {
        let done = caught(|| {
            let file = file::duplicate(fd)?;
            let spans: Vec<Span> = spans.into_iter().map(Span::from).collect();
            let results = py.detach(|| scan_members(&file, &spans, digest, jobs))?;
            let tuples: Vec<_> =
                results.iter().map(|result| scanned_tuple(py, result)).collect::<PyResult<_>>()?;
            Ok(PyList::new(py, tuples)?)
        });
        Ok(done?)
    }

    /// The SHA-256 of each buffer.
    #[pyfunction]
    fn sha256_many<'py>(
        py: Python<'py>,
        buffers: &Bound<'py, PyAny>,
        jobs: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let done = caught(|| {
            let buffers = Buffer::many(buffers)?;
            let bytes: Vec<&[u8]> = buffers.iter().map(Buffer::as_bytes).collect();
            let sums = py.detach(|| bulk::sha256(&bytes, jobs))?;
            Ok(sums.iter().map(|sum| PyBytes::new(py, sum)).collect())
        });
        Ok(done?)
    }

    /// The raw deflate stream of each buffer, at a level of 0 to 9.
    #[pyfunction]
    fn deflate_many<'py>(
        py: Python<'py>,
        buffers: &Bound<'py, PyAny>,
        level: i32,
        jobs: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let level = CompressionLvl::new(level)
            .ok()
            .filter(|_| level <= 9)
            .ok_or_else(|| PyValueError::new_err("level is not one of 0 to 9"))?;
        let done = caught(|| {
            let buffers = Buffer::many(buffers)?;
            let bytes: Vec<&[u8]> = buffers.iter().map(Buffer::as_bytes).collect();
            let streams = py.detach(|| bulk::deflate(&bytes, level, jobs))?;
            Ok(streams.iter().map(|stream| PyBytes::new(py, stream)).collect())
        });
        Ok(done?)
    }

    /// Read files of this machine through once; see `engine.study`.
    #[pyfunction]
    fn study<'py>(py: Python<'py>, files: &Bound<'py, PyAny>, jobs: usize) -> PyResult<Bound<'py, PyList>> {
        let done = caught(|| {
            let files: Vec<QuestionTuple<'py>> = files.extract()?;
            let questions: Vec<Question> = files
                .into_iter()
                .map(|(path, ranges, patterns)| Question {
                    path: path_of(&path),
                    ranges,
                    patterns: patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect(),
                })
                .collect();
            let results = py.detach(|| study_files(&questions, jobs))?;
            let values: Vec<_> =
                results.into_iter().map(|result| studied_value(py, result)).collect::<PyResult<_>>()?;
            Ok(PyList::new(py, values)?)
        });
        Ok(done?)
    }

    /// Make new members and append their streams to the file that `spill` is open on; see `engine.pack`.
    #[pyfunction]
    fn pack<'py>(
        py: Python<'py>,
        spill: i32,
        archive: Option<i32>,
        tasks: &Bound<'py, PyAny>,
        level: i32,
        jobs: usize,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let done = caught(|| {
            let spill = Spill::new(file::duplicate(spill)?)?;
            let archive = archive.map(file::duplicate).transpose()?;
            let tasks: Vec<TaskTuple<'py>> = tasks.extract()?;
            let mut wanted = Vec::with_capacity(tasks.len());
            for (source, edit) in &tasks {
                let edit = edit.as_ref().map(edit_of).transpose()?;
                wanted.push(Task { source: source_of(source)?, edit });
            }
            let outcome = py.detach(|| pack_tasks(archive.as_ref(), &spill, &wanted, level, jobs))?;
            Ok(outcome_tuple(py, outcome)?)
        });
        Ok(done?)
    }

    /// Panic, so that a test can see what users would see.
    #[pyfunction]
    fn provoke_panic(py: Python<'_>, message: &str) -> PyResult<()> {
        #[allow(clippy::panic)]
        let done = caught(|| py.detach(|| panic!("{message}")));
        Ok(done?)
    }
}
