//! The editor: [`edit`] changes the dynamic section of a shared object or program, and nothing else (docs/elf-edit.md).
//!
//! The order of what can go wrong: the request (FW403), reading (FW300 to FW308), the gate (FW401, FW402), the new table
//! (FW404), the layout (FW400, FW401, FW402), the post-conditions (FW900). `python/fastwheel/_elf/` is the twin, module for
//! module: `editor.py` is this one, `image.py` is `file.rs` and `gate.rs`.

mod check;
mod compare;
mod evict;
mod file;
mod gate;
mod items;
mod layout;
mod patch;
mod relocation;
mod request;
mod room;
mod strings;
#[cfg(test)]
mod tests;
mod walked;
mod write;

use crate::edit::check::check;
use crate::edit::file::ElfFile;
use crate::edit::layout::{Layout, lay_out};
use crate::edit::request::{Entry, Request, Wanted, check_request, want};
use crate::edit::strings::place_strings;
use crate::edit::write::{dynamic_room, make_patch};
use crate::error::{Code, Error};

pub use crate::edit::layout::Rung;
pub use crate::edit::patch::Patch;
pub use crate::edit::request::Edit;

/// An edit that is decided and not yet made.
#[derive(Debug)]
pub struct Plan<'a> {
    file: ElfFile<'a>,
    request: Request<'a>,
    wanted: Wanted<'a>,
    /// The new dynamic table without its DT_NULL.
    entries: Vec<Entry<'a>>,
    /// `None` if nothing is to be done.
    made: Option<(Layout, Patch)>,
}

impl Plan<'_> {
    /// The changes to the bytes, `None` if nothing is to be done.
    pub fn patch(&self) -> Option<&Patch> {
        self.made.as_ref().map(|(_, patch)| patch)
    }

    /// The rung of the ladder that was taken, `None` if nothing is to be done.
    pub fn rung(&self) -> Option<Rung> {
        self.made.as_ref().map(|(layout, _)| layout.rung)
    }

    /// The size of the output in bytes.
    pub fn size(&self) -> usize {
        self.patch().map_or(self.file.bytes.data.len(), |patch| patch.size)
    }

    /// Makes the output in `output`, which is [`Plan::size`] zero bytes; reads it again and compares it with the input.
    pub fn write_to(&self, output: &mut [u8]) -> Result<(), Error> {
        let Some((layout, patch)) = &self.made else {
            let data = self.file.bytes.data;
            output.get_mut(..data.len()).ok_or_else(|| impossible("output size"))?.copy_from_slice(data);
            return Ok(());
        };
        patch.apply(self.file.bytes.data, output).ok_or_else(|| impossible("output size"))?;
        check(&self.file, &self.wanted, &self.entries, layout, output, &self.request, None)
    }

    /// Reads `output` again, on which the caller has put [`Plan::patch`], and compares it with the input.
    ///
    /// For an `output` whose other bytes are those of the input by construction, such as a private mapping of the same
    /// file: of what the patch leaves alone only tables are looked at, so that a large file is not read as a whole.
    pub fn check_patched(&self, output: &[u8]) -> Result<(), Error> {
        let Some((layout, patch)) = &self.made else { return Ok(()) };
        if output.len() != patch.size {
            return Err(impossible("output size"));
        }
        let touched = Some(&patch.touched()[..]);
        check(&self.file, &self.wanted, &self.entries, layout, output, &self.request, touched)
    }
}

/// Decides how to do `edit` to the file `data`.
pub fn plan_edit<'a>(data: &'a [u8], edit: &'a Edit) -> Result<Plan<'a>, Error> {
    let request = check_request(edit)?;
    let file = ElfFile::open(data)?;
    let wanted = want(&file, &request)?;
    if !wanted.changed {
        let entries = wanted.entries.clone();
        return Ok(Plan { file, request, wanted, entries, made: None });
    }
    let placed = place_strings(&file, &wanted);
    let (entries, dynamic) = dynamic_room(&file, &wanted.entries);
    let layout = lay_out(&file, placed.tail.len() as u64, dynamic)?;
    let patch = make_patch(&file, &wanted, &entries, &placed, &layout)?;
    Ok(Plan { file, request, wanted, entries, made: Some((layout, patch)) })
}

/// The file `data` with `edit` done; the same bytes if there is nothing to do.
///
/// The output is read again and compared with the input before it is returned.
pub fn edit(data: &[u8], edit: &Edit) -> Result<Vec<u8>, Error> {
    let plan = plan_edit(data, edit)?;
    let mut output = vec![0; plan.size()];
    plan.write_to(&mut output)?;
    Ok(output)
}

/// The error for a state that the code around it has ruled out.
fn impossible(what: &str) -> Error {
    Error::new(Code::Internal, format_args!("cannot happen: {what}"))
}
