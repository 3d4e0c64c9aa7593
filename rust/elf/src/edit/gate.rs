//! The gate's checks of single tables (elf-edit 3.1); [`ElfFile::open`](super::file::ElfFile::open) puts them in order.

use object::elf::{PT_LOAD, PT_NULL, PT_PHDR};

use crate::dynamic::Dynamic;
use crate::error::{Code, Error};
use crate::header::FileHeader;
use crate::image::{Class, Image};
use crate::segment::{AddressSpace, Segment};
use crate::version::Verneed;

/// Checks that every segment is in the file, and that the PT_LOADs are as the linker lays them out.
pub fn check_segments(
    bytes: &Image<'_>,
    header: &FileHeader,
    segments: &[Segment],
    space: &AddressSpace,
) -> Result<(), Error> {
    let top = match bytes.class {
        Class::Elf32 => u64::from(u32::MAX),
        Class::Elf64 => u64::MAX,
    };
    for (index, segment) in segments.iter().enumerate() {
        let fault = |text: &str| Error::new(Code::Segment, format_args!("program header {index}: {text}"));
        if segment.p_type == PT_NULL {
            continue;
        }
        if segment.content(bytes).is_none() {
            return Err(fault("p_offset + p_filesz is behind the end of the file"));
        }
        if segment.p_vaddr.checked_add(segment.p_memsz).is_none_or(|end| end > top) {
            return Err(fault("p_vaddr + p_memsz overflows"));
        }
    }
    if segments.iter().filter(|segment| segment.p_type == PT_PHDR).count() > 1 {
        return Err(Error::new(Code::Segment, "two PT_PHDR"));
    }
    if segments.iter().any(|segment| segment.p_type == PT_PHDR && !is_table(bytes, header, segment, space)) {
        let text = "PT_PHDR is not where the program-header table is loaded";
        return Err(Error::new(Code::Segment, text));
    }
    let mut end = 0;
    for (index, segment) in segments.iter().enumerate() {
        let fault = |text: &str| Error::new(Code::Segment, format_args!("PT_LOAD {index}: {text}"));
        if segment.p_type != PT_LOAD {
            continue;
        }
        if segment.p_align > 0 && !segment.p_align.is_power_of_two() {
            return Err(fault("p_align is not a power of two"));
        }
        let distance = segment.p_vaddr.wrapping_sub(segment.p_offset);
        if segment.p_align > 1 && distance & segment.p_align.wrapping_sub(1) != 0 {
            return Err(fault("p_vaddr and p_offset are not congruent modulo p_align"));
        }
        if segment.p_filesz > 0 && segment.p_offset < end {
            return Err(fault("p_offset is below the end of the PT_LOAD before it"));
        }
        if segment.p_filesz > 0 {
            end = segment.end();
        }
    }
    Ok(())
}

/// Whether a PT_PHDR spans the program-header table, and a PT_LOAD puts it where it says.
fn is_table(bytes: &Image<'_>, header: &FileHeader, segment: &Segment, space: &AddressSpace) -> bool {
    let size = header.program_headers_end().saturating_sub(header.e_phoff);
    segment.p_offset == header.e_phoff
        && segment.p_filesz >= size
        && space.offset_of(segment.p_vaddr) == Some(segment.p_offset)
        && space.from(bytes, segment.p_vaddr).is_some_and(|rest| size <= rest.size())
}

/// Checks that no version-need record lies over another: each is written without a look at the others.
pub fn check_apart(needs: &[Verneed<'_>]) -> Result<(), Error> {
    let records = needs.iter().map(|need| need.position);
    let mut places: Vec<u64> =
        records.chain(needs.iter().flat_map(|need| need.aux.iter().map(|aux| aux.position))).collect();
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| match pair {
        [first, second] => second.saturating_sub(*first) >= 16,
        _ => true,
    });
    if apart { Ok(()) } else { Err(Error::new(Code::Versions, "DT_VERNEED: a record lies over another")) }
}

/// Checks that PT_DYNAMIC holds whole entries and its end.
pub fn check_dynamic(bytes: &Image<'_>, segments: &[Segment], dynamic: &Dynamic) -> Result<(), Error> {
    let size = segments.get(dynamic.segment).map_or(0, |segment| segment.p_filesz);
    let entry_size = bytes.class.word_size().saturating_mul(2);
    if size.checked_rem(entry_size) != Some(0) {
        let text = "PT_DYNAMIC: p_filesz is not a multiple of the entry size";
        return Err(Error::new(Code::Dynamic, text));
    }
    if dynamic.entries.len() as u64 >= dynamic.capacity {
        return Err(Error::new(Code::Dynamic, "PT_DYNAMIC: no DT_NULL inside p_filesz"));
    }
    Ok(())
}

/// Checks the number of records, and of what hangs on each, against the numbers in the file.
pub fn check_counts(
    field: &str,
    number: Option<u64>,
    inner: &str,
    counts: impl ExactSizeIterator<Item = (u16, usize)>,
) -> Result<(), Error> {
    let (number, length) = (number.unwrap_or(0), counts.len());
    if number != length as u64 {
        let text = format_args!("{field} is {number}, the list has {length} records");
        return Err(Error::new(Code::Versions, text));
    }
    for (count, length) in counts {
        if usize::from(count) != length {
            let text = format_args!("{inner} is {count}, the list has {length} records");
            return Err(Error::new(Code::Versions, text));
        }
    }
    Ok(())
}
