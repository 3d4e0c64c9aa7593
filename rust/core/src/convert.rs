//! Rust values as Python's: tuples in the order of the fields of `elf/model.py`, from which `engine.py` makes its dataclasses.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use fastwheel_elf::{ByteOrder, Code, Edit, Error, Facts, Segment, Symbol};
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::content::Names;
use crate::guard::{Fault, elf_error};
use crate::inflate::{Damage, Span};
use crate::pack::{Failure, Outcome, Source};
use crate::scan::Scanned;
use crate::study::Studied;

/// The bytes of a Python object, kept alive. Those of `bytes` are not copied; the stable ABI of CPython 3.10 gives no way to
/// borrow those of other objects.
pub struct Buffer<'py>(Bound<'py, PyBytes>);

impl<'py> Buffer<'py> {
    /// The bytes of any object with the buffer protocol.
    pub fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(bytes.clone()));
        }
        let py = object.py();
        // `bytes(7)` would be seven zeros: a memoryview takes only buffers.
        let view = py.import("builtins")?.getattr("memoryview")?.call1((object,))?;
        Ok(Self(view.call_method0("tobytes")?.cast_into()?))
    }

    /// Those of each object that `objects` yields.
    pub fn many(objects: &Bound<'py, PyAny>) -> PyResult<Vec<Self>> {
        objects.try_iter()?.map(|object| Self::of(&object?)).collect()
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The Python object with these bytes.
    pub fn object(&self) -> Bound<'py, PyBytes> {
        self.0.clone()
    }
}

/// The bytes of a string as `text` makes it, for the field `field` of an `Edit`.
fn encoded(text: &Bound<'_, PyAny>, field: &str) -> Result<Vec<u8>, Fault> {
    match text.call_method1("encode", ("utf-8", "surrogateescape")) {
        Ok(bytes) => Ok(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().to_vec()),
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(text.py()) => {
            let escape = text.py().import("fastwheel.errors")?.getattr("escape")?;
            let shown: String = escape.call1((text,))?.extract()?;
            let message = format!("{field} {shown}: not a string that a file can hold");
            Err(Fault::Elf(Error::new(Code::BadEdit, message)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The `Edit` of an object with the attributes of `fastwheel._elf.model.Edit`.
pub fn edit_of(edit: &Bound<'_, PyAny>) -> Result<Edit, Fault> {
    let one = |field: &str| {
        let value = edit.getattr(field)?;
        if value.is_none() { Ok::<_, Fault>(None) } else { encoded(&value, field).map(Some) }
    };
    let many = |field: &str| {
        let mut names = Vec::new();
        for name in edit.getattr(field)?.try_iter()? {
            names.push(encoded(&name?, field)?);
        }
        Ok::<_, Fault>(names)
    };
    let (soname, runpath, rpath) = (one("soname")?, one("runpath")?, one("rpath")?);
    let mut replace_needed = Vec::new();
    for pair in edit.getattr("replace_needed")?.try_iter()? {
        let (old, new): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        replace_needed.push((encoded(&old, "replace_needed")?, encoded(&new, "replace_needed")?));
    }
    Ok(Edit {
        soname,
        runpath,
        rpath,
        remove_rpath: edit.getattr("remove_rpath")?.is_truthy()?,
        replace_needed,
        remove_needed: many("remove_needed")?,
        add_needed: many("add_needed")?,
        drop_versions: edit.getattr("drop_versions")?.is_truthy()?,
    })
}

/// A string of the file as Python sees file names: UTF-8, other bytes as lone surrogates.
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            PyString::from_encoded_object(&PyBytes::new(py, bytes), Some(c"utf-8"), Some(c"surrogateescape"))
        }
    }
}

/// The same of what may be absent.
pub fn optional<'py>(py: Python<'py>, bytes: Option<&[u8]>) -> PyResult<Option<Bound<'py, PyString>>> {
    bytes.map(|bytes| text(py, bytes)).transpose()
}

fn texts<'py>(py: Python<'py>, names: &[Vec<u8>]) -> PyResult<Bound<'py, PyTuple>> {
    let names: Vec<_> = names.iter().map(|name| text(py, name)).collect::<PyResult<_>>()?;
    PyTuple::new(py, names)
}

/// A tuple of what `each` makes of `items`.
pub fn tuple<'py, T>(
    py: Python<'py>,
    items: &[T],
    each: impl Fn(&T) -> PyResult<Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let items: Vec<_> = items.iter().map(each).collect::<PyResult<_>>()?;
    PyTuple::new(py, items)
}

fn segment_tuple<'py>(py: Python<'py>, segment: &Segment) -> PyResult<Bound<'py, PyTuple>> {
    (
        segment.p_type.0,
        segment.p_flags,
        segment.p_offset,
        segment.p_vaddr,
        segment.p_filesz,
        segment.p_memsz,
        segment.p_align,
    )
        .into_pyobject(py)
}

/// The fields of `Facts`; those of the dataclasses inside of it as tuples too.
pub fn facts_tuple<'py>(py: Python<'py>, facts: &Facts) -> PyResult<Bound<'py, PyTuple>> {
    let byte_order = match facts.byte_order {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    };
    let headers = (
        facts.class.bits(),
        byte_order,
        facts.os_abi,
        facts.abi_version,
        facts.e_type,
        facts.e_machine,
        facts.e_flags,
        tuple(py, &facts.segments, |segment| segment_tuple(py, segment))?,
        facts.dynamic,
        optional(py, facts.interpreter.as_deref())?,
    );
    let entries = (
        optional(py, facts.soname.as_deref())?,
        texts(py, &facts.needed)?,
        optional(py, facts.rpath.as_deref())?,
        optional(py, facts.runpath.as_deref())?,
        facts.dt_flags,
        facts.dt_flags_1,
        facts.text_relocations,
        facts.stack_flags,
    );
    let version_needs = tuple(py, &facts.version_needs, |need| {
        let versions = tuple(py, &need.versions, |version| {
            (text(py, &version.name)?, version.index, version.weak).into_pyobject(py)
        })?;
        (text(py, &need.file)?, versions).into_pyobject(py)
    })?;
    let version_definitions = tuple(py, &facts.version_definitions, |version| {
        let name = text(py, &version.name)?;
        (name, version.index, version.base, version.weak, texts(py, &version.parents)?).into_pyobject(py)
    })?;
    let tables = (
        version_needs,
        version_definitions,
        texts(py, &facts.undefined)?,
        texts(py, &facts.undefined_weak)?,
        texts(py, &facts.init_functions)?,
        facts.build_id.as_deref().map(hex),
        facts.x86_isa_needed,
    );
    // PyO3 makes tuples of up to twelve values.
    let parts = [headers.into_pyobject(py)?, entries.into_pyobject(py)?, tables.into_pyobject(py)?];
    let mut fields = Vec::with_capacity(25);
    for part in &parts {
        fields.extend(part.iter());
    }
    PyTuple::new(py, fields)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields of `Symbol`.
pub fn symbol_tuple<'py>(py: Python<'py>, symbol: &Symbol<'_>) -> PyResult<Bound<'py, PyTuple>> {
    (
        text(py, symbol.name)?,
        symbol.value,
        symbol.size,
        symbol.kind,
        symbol.binding,
        symbol.visibility,
        symbol.section,
        optional(py, symbol.version)?,
        optional(py, symbol.version_file)?,
        symbol.hidden,
    )
        .into_pyobject(py)
}

/// The fields of `Scanned`; the error as an `ElfError`.
pub fn scanned_tuple<'py>(py: Python<'py>, scanned: &Scanned) -> PyResult<Bound<'py, PyTuple>> {
    let facts = scanned.facts.as_ref().map(|facts| facts_tuple(py, facts)).transpose()?;
    let error = scanned.error.as_ref().map(|error| elf_error(error).into_value(py));
    let fault = scanned.damage.map(word_of);
    let sha256 = scanned.sha256.map(|sum| PyBytes::new(py, &sum));
    (facts, error, fault, sha256).into_pyobject(py)
}

/// The fields of `Names`.
fn names_tuple<'py>(py: Python<'py>, names: &Names) -> PyResult<Bound<'py, PyTuple>> {
    let soname = optional(py, names.soname.as_deref())?;
    let (rpath, runpath) = (optional(py, names.rpath.as_deref())?, optional(py, names.runpath.as_deref())?);
    (soname, texts(py, &names.needed)?, rpath, runpath).into_pyobject(py)
}

fn word_of(damage: Damage) -> &'static str {
    match damage {
        Damage::Inflate => "inflate",
        Damage::Size => "size",
        Damage::Crc => "crc",
    }
}

/// The path that `os.fsencode` spelled.
pub fn path_of(bytes: &Bound<'_, PyBytes>) -> PathBuf {
    OsStr::from_bytes(bytes.as_bytes()).into()
}

/// The source of a new member: a tuple of bytes with a path, a span, or bytes.
pub fn source_of<'a>(source: &'a Bound<'_, PyAny>) -> PyResult<Source<'a>> {
    if let Ok(bytes) = source.cast::<PyBytes>() {
        return Ok(Source::Bytes(bytes.as_bytes()));
    }
    if let Ok((path,)) = source.extract::<(Bound<'_, PyBytes>,)>() {
        return Ok(Source::File(path_of(&path)));
    }
    Ok(Source::Member(source.extract::<SpanTuple>()?.into()))
}

/// The fields of `Span`.
pub type SpanTuple = (u64, u64, u64, u32, u16);

impl From<SpanTuple> for Span {
    fn from((offset, compressed_size, size, crc, method): SpanTuple) -> Self {
        Self { offset, compressed_size, size, crc, method }
    }
}

/// The fields of `Studied`, or an `OSError`.
pub fn studied_value(py: Python<'_>, result: io::Result<Studied>) -> PyResult<Bound<'_, PyAny>> {
    match result {
        Ok(studied) => {
            let sha256 = PyBytes::new(py, &studied.sha256);
            Ok((sha256, studied.identity, studied.strings).into_pyobject(py)?.into_any())
        }
        Err(error) => Ok(PyErr::from(error).into_value(py).into_bound(py).into_any()),
    }
}

/// (the fields of `Packed` for each task, None) or ([], (index, why it failed)).
pub fn outcome_tuple(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyTuple>> {
    match outcome {
        Outcome::Done(results) => {
            let mut values = Vec::with_capacity(results.len());
            for packed in results {
                let value = packed.map(|packed| {
                    let sha256 = PyBytes::new(py, &packed.sha256);
                    let ranges = PyTuple::new(py, packed.ranges)?;
                    let names = packed.names.as_ref().map(|names| names_tuple(py, names)).transpose()?;
                    (packed.method, packed.crc, packed.size, sha256, ranges, packed.identity, names)
                        .into_pyobject(py)
                });
                values.push(value.transpose()?);
            }
            (values, py.None()).into_pyobject(py)
        }
        Outcome::Failed(index, failure) => {
            let why = match failure {
                Failure::Elf(error) => elf_error(&error).into_value(py).into_bound(py).into_any(),
                Failure::Damage(damage) => PyString::new(py, word_of(damage)).into_any(),
                Failure::Read(error) => PyErr::from(error).into_value(py).into_bound(py).into_any(),
                Failure::Changed => PyErr::from(Fault::Changed).into_value(py).into_bound(py).into_any(),
            };
            let none: [Option<()>; 0] = [];
            (PyTuple::new(py, none)?, (index, why)).into_pyobject(py)
        }
    }
}
