//! Relocations, as far as DT_RELACOUNT and DT_RELCOUNT speak of them.
//!
//! Source: the processor supplements; `_dl_relocate_object` of the GNU C library.

use object::elf::{self, Machine};

use crate::edit::file::ElfFile;
use crate::edit::request::Entry;

/// Whether DT_RELACOUNT or DT_RELCOUNT may go: all that it counts is in its table and without a symbol.
///
/// Loaders trust the number without looking at the entries. Without it they look at the type and the symbol of each, and
/// so do the same only if these are what was promised.
pub fn is_hint(file: &ElfFile<'_>, entry: &Entry<'_>) -> bool {
    let (tag, size_tag, words) = match entry.tag {
        elf::DT_RELACOUNT => (elf::DT_RELA, elf::DT_RELASZ, 3),
        elf::DT_RELCOUNT => (elf::DT_REL, elf::DT_RELSZ, 2),
        _ => return false,
    };
    if entry.value == 0 {
        return true;
    }
    let Some(kind) = relative_type(file.header.e_machine) else { return false };
    let word = file.bytes.class.word_size();
    let width = word.saturating_mul(words);
    let size = file.dynamic.last(size_tag).unwrap_or(0);
    let table = file.dynamic.last(tag).and_then(|address| file.dynamic.space.from(&file.bytes, address));
    let Some(table) =
        table.filter(|table| entry.value <= size.min(table.size()).checked_div(width).unwrap_or(0))
    else {
        return false;
    };
    // `r_info` without a symbol is the type alone, in both classes.
    (0..entry.value).all(|index| table.word(index.saturating_mul(width).saturating_add(word)) == Some(kind))
}

/// The type of a relocation that adds the load address and nothing else.
fn relative_type(machine: Machine) -> Option<u64> {
    Some(match machine {
        elf::EM_386 | elf::EM_X86_64 => 8,
        elf::EM_S390 => 12,
        elf::EM_68K | elf::EM_PPC | elf::EM_PPC64 | elf::EM_SPARC | elf::EM_SPARC32PLUS | elf::EM_SPARCV9 => {
            22
        }
        elf::EM_ARM => 23,
        elf::EM_ALPHA => 27,
        elf::EM_SH => 165,
        elf::EM_AARCH64 => 1027,
        elf::EM_RISCV | elf::EM_LOONGARCH => 3,
        _ => return None,
    })
}
