//! What is to be deflated: bytes that are read piece by piece, with the few changes that an edit makes to them.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use fastwheel_elf::{Edit, Facts, MAGIC, Patch, plan_edit};

use crate::file::{Content as Whole, Draft, memory_file, read_at};
use crate::guard::Fault;
use crate::memory::zeros;
use crate::sparse::fetched;

/// From this size on an edited content is a private mapping of the old one, not a second copy of it.
const DRAFT_FROM: usize = 1024 * 1024;

/// Where the bytes come from.
enum Base {
    File(File),
    /// A file in memory.
    Copy(File),
    Memory(Vec<u8>),
}

/// The bytes of one new member.
pub struct Content {
    base: Base,
    base_size: u64,
    /// The changes that are still to be put on the base.
    patch: Option<Patch>,
    size: u64,
}

impl Content {
    /// The file `file` with `edit` done.
    pub fn of_file(file: File, edit: Option<&Edit>) -> Result<Self, Fault> {
        let base_size = file.metadata()?.len();
        let mut content = Self { base: Base::File(file), base_size, patch: None, size: base_size };
        let Some(edit) = edit else { return Ok(content) };
        let Base::File(file) = &content.base else { return Ok(content) };
        let whole = Whole::of(file)?;
        let patch =
            edited(&whole, edit, |patch| Draft::of(file, patch.base_size, patch.size).map_err(Fault::from))?;
        drop(whole);
        if let Some(patch) = patch {
            content.size = patch.size as u64;
            content.patch = Some(patch);
        }
        Ok(content)
    }

    /// The bytes `data` with `edit` done; `None` if there is nothing to do.
    pub fn of_bytes(data: Vec<u8>, edit: Option<&Edit>) -> Result<Option<Self>, Fault> {
        let size = data.len() as u64;
        let Some(edit) = edit else {
            return Ok(Some(Self { base: Base::Memory(data), base_size: size, patch: None, size }));
        };
        if data.len() >= DRAFT_FROM
            && let Some(file) = memory_file()
        {
            file.write_all_at(&data, 0)?;
            drop(data);
            return Self::of_copy(file, edit);
        }
        let plan = plan_edit(&data, edit)?;
        let Some(patch) = plan.patch().cloned() else { return Ok(None) };
        let mut output = zeros(plan.size())?;
        plan.write_to(&mut output)?;
        drop(output);
        let size_after = patch.size as u64;
        Ok(Some(Self { base: Base::Memory(data), base_size: size, patch: Some(patch), size: size_after }))
    }

    /// The file in memory `file` with `edit` done; `None` if there is nothing to do.
    pub fn of_copy(file: File, edit: &Edit) -> Result<Option<Self>, Fault> {
        let whole = Whole::of(&file)?;
        let base_size = whole.len() as u64;
        let patch =
            edited(&whole, edit, |patch| Draft::of(&file, patch.base_size, patch.size).map_err(Fault::from))?;
        drop(whole);
        Ok(patch.map(|patch| {
            let size = patch.size as u64;
            Self { base: Base::Copy(file), base_size, patch: Some(patch), size }
        }))
    }

    /// Where it differs from what it was made of, and what is new at its end, if that is all there is to it.
    pub fn changes(&self) -> Option<Vec<Range<u64>>> {
        let patch = self.patch.as_ref().filter(|patch| patch.insert_size == 0)?;
        Some(patch.touched().into_iter().map(|(start, end)| start..end).collect())
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file that it was made of, if it was made of one.
    pub fn source(&self) -> Option<&File> {
        match &self.base {
            Base::File(file) => Some(file),
            Base::Copy(_) | Base::Memory(_) => None,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on, which are there.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        let Some(patch) = &self.patch else { return self.read_base(buffer, offset) };
        let wanted = offset..offset.saturating_add(buffer.len() as u64);
        let (insert_at, inserted) = match patch.insert_size {
            0 => (self.base_size, 0),
            size => (patch.insert_at as u64, size as u64),
        };
        buffer.fill(0);
        let moved = insert_at.saturating_add(inserted)..self.base_size.saturating_add(inserted);
        for (range, shift) in [(0..insert_at, 0), (moved, inserted)] {
            let part = common(&wanted, &range);
            if let Some(room) = inside(buffer, &wanted, &part) {
                self.read_base(room, part.start.saturating_sub(shift))?;
            }
        }
        for (at, bytes) in &patch.writes {
            let range = *at as u64..at.saturating_add(bytes.len()) as u64;
            let part = common(&wanted, &range);
            if let Some(room) = inside(buffer, &wanted, &part) {
                let from = usize::try_from(part.start.saturating_sub(range.start)).unwrap_or(usize::MAX);
                let piece = bytes.get(from..).and_then(|rest| rest.get(..room.len())).unwrap_or_default();
                if piece.len() == room.len() {
                    room.copy_from_slice(piece);
                }
            }
        }
        Ok(())
    }

    /// The names in it, if it is an ELF file: read from the same bytes as all else.
    pub fn names(&self) -> Result<Option<Names>, Fault> {
        let mut magic = MAGIC;
        if self.size < MAGIC.len() as u64 {
            return Ok(None);
        }
        self.read(&mut magic, 0)?;
        if magic != MAGIC {
            return Ok(None);
        }
        Names::of(&fetched(self.size, |buffer, offset| self.read(buffer, offset))?)
    }

    fn read_base(&self, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        match &self.base {
            Base::File(file) | Base::Copy(file) => {
                if read_at(file, buffer, offset)? < buffer.len() {
                    return Err(Fault::Changed);
                }
            }
            Base::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(|_| Fault::Memory)?;
                let from = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(from.ok_or_else(|| Fault::Internal("read past the end".into()))?);
            }
        }
        Ok(())
    }
}

/// The names by which an ELF file and its libraries are found.
pub struct Names {
    pub soname: Option<Vec<u8>>,
    pub needed: Vec<Vec<u8>>,
    pub rpath: Option<Vec<u8>>,
    pub runpath: Option<Vec<u8>>,
}

impl Names {
    /// Those of the file `content`; `None` if it is no ELF file.
    pub fn of(content: &[u8]) -> Result<Option<Self>, Fault> {
        if !content.starts_with(&MAGIC) {
            return Ok(None);
        }
        let Facts { soname, needed, rpath, runpath, .. } = fastwheel_elf::read(content)?;
        Ok(Some(Self { soname, needed, rpath, runpath }))
    }
}

/// The patch of `edit`, checked on a draft; `None` if there is nothing to do.
fn edited(
    data: &[u8],
    edit: &Edit,
    draft: impl Fn(&Patch) -> Result<Draft, Fault>,
) -> Result<Option<Patch>, Fault> {
    let plan = plan_edit(data, edit)?;
    let Some(patch) = plan.patch() else { return Ok(None) };
    if patch.insert_size > 0 || patch.base_size != data.len() {
        // What moves cannot be mapped: it need not lie on pages.
        let mut output = zeros(plan.size())?;
        plan.write_to(&mut output)?;
        return Ok(Some(patch.clone()));
    }
    let mut output = draft(patch)?;
    for (at, bytes) in &patch.writes {
        let room = output.get_mut(*at..).and_then(|rest| rest.get_mut(..bytes.len()));
        room.ok_or_else(|| Fault::Internal("a write behind the end".into()))?.copy_from_slice(bytes);
    }
    plan.check_patched(&output)?;
    Ok(Some(patch.clone()))
}

fn common(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// The bytes of `buffer`, which holds `whole`, that are those of `part`; `None` if there are none.
fn inside<'a>(buffer: &'a mut [u8], whole: &Range<u64>, part: &Range<u64>) -> Option<&'a mut [u8]> {
    let start = usize::try_from(part.start.checked_sub(whole.start)?).ok()?;
    let size = usize::try_from(part.end.checked_sub(part.start)?).ok()?;
    buffer.get_mut(start..)?.get_mut(..size).filter(|room| !room.is_empty())
}
