//! What can go wrong here, and how Python sees it. A panic is a fault like any other: FW900, never a traceback.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{import_exception, types::PyType};

import_exception!(fastwheel.errors, ElfError);
import_exception!(fastwheel.errors, FastwheelError);

/// A failure of the work behind one function of the module.
#[derive(Debug)]
pub enum Fault {
    /// The bytes are no ELF file that can be read: `fastwheel.errors.ElfError`.
    Elf(fastwheel_elf::Error),
    /// A file cannot be read: `OSError`, which `engine.py` gives a code and the name of the file.
    Io(io::Error),
    /// A file got shorter while it was read: `OSError`, as above.
    Changed,
    /// No memory for a buffer: `MemoryError`.
    Memory,
    /// A fault of fastwheel itself: `FastwheelError` FW900.
    Internal(String),
    /// What Python raised while its values were read or made.
    Python(PyErr),
}

impl From<fastwheel_elf::Error> for Fault {
    fn from(error: fastwheel_elf::Error) -> Self {
        Self::Elf(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Elf(error) => elf_error(&error),
            Fault::Io(error) => os_error(&error),
            Fault::Changed => PyOSError::new_err("it was changed while it was read"),
            Fault::Memory => PyMemoryError::new_err(()),
            Fault::Internal(what) => {
                Python::attach(|py| internal_error(py, &what).unwrap_or_else(|error| error))
            }
            Fault::Python(error) => error,
        }
    }
}

/// What a signal handler of Python raises, if a signal has come; called from the thread that called us.
pub fn interrupted() -> Result<(), Fault> {
    // Without an interpreter, as in the tests of this crate, there are no handlers.
    Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(())).map_err(Fault::Python)
}

/// The `OSError` of one error of the system, with its number: that tells a full disk from a forbidden one.
fn os_error(error: &io::Error) -> PyErr {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let reason = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
            PyOSError::new_err((number, reason.to_owned()))
        }
        None => PyOSError::new_err(text),
    }
}

/// The `ElfError` of one error of the ELF crate.
pub fn elf_error(error: &fastwheel_elf::Error) -> PyErr {
    ElfError::new_err((error.code.as_str(), error.message.clone(), error.hint))
}

fn internal_error(py: Python<'_>, what: &str) -> PyResult<PyErr> {
    let named = PyDict::new(py);
    named.set_item("code", "FW900")?;
    named.set_item("hint", "please report this, with the file that it happened on")?;
    let class: Bound<'_, PyType> = py.get_type::<FastwheelError>();
    let error = class.call((format!("internal error in the Rust engine: {what}"),), Some(&named))?;
    Ok(PyErr::from_value(error))
}

thread_local! {
    /// Where this thread panicked last, for the message.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of a panic instead of printing it to the user's terminal. For this library only: a Rust extension
/// module has a hook of its own.
pub fn quiet_panics() {
    set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        PLACE.with_borrow_mut(|slot| *slot = place);
    }));
}

/// Runs `work`; a panic in it becomes `Fault::Internal`.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // The state that a panic may leave half-done is dropped with the call, nobody sees it afterwards.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let place = PLACE.take().unwrap_or_else(|| "unknown place".into());
        Err(Fault::Internal(format!("{} ({place})", text_of(panic.as_ref()))))
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "panic"
    }
}
