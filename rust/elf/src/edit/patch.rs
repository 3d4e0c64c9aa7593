//! The result of an edit as a few changes to the input, so that a large file need not be rewritten (elf-edit 3.6).

use crate::edit::strings::merged;

/// How to make the output from the input: insert zeros, set the size, then write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Size of the input in bytes.
    pub base_size: usize,
    /// Where zeros are inserted into the input.
    pub insert_at: usize,
    /// How many of them, 0 for none.
    pub insert_size: usize,
    /// Size of the output; never less than that of the input and the insertion. What is new is zero.
    pub size: usize,
    /// (offset in the output, bytes), to be written in this order: a later one may overwrite an earlier.
    pub writes: Vec<(usize, Vec<u8>)>,
}

impl Patch {
    /// Makes the output in `output`, which is `size` zero bytes; `None` if anything is out of bounds.
    pub fn apply(&self, data: &[u8], output: &mut [u8]) -> Option<()> {
        let at = if self.insert_size > 0 { self.insert_at } else { data.len() };
        let (before, behind) = data.split_at_checked(at)?;
        output.get_mut(..at)?.copy_from_slice(before);
        let start = at.checked_add(self.insert_size)?;
        output.get_mut(start..)?.get_mut(..behind.len())?.copy_from_slice(behind);
        for (offset, content) in &self.writes {
            output.get_mut(*offset..)?.get_mut(..content.len())?.copy_from_slice(content);
        }
        Some(())
    }

    /// The ranges of the output that are written, ascending and apart.
    pub fn touched(&self) -> Vec<(u64, u64)> {
        let range = |(offset, content): &(usize, Vec<u8>)| {
            (*offset as u64, offset.saturating_add(content.len()) as u64)
        };
        merged(self.writes.iter().map(range).collect())
    }
}
