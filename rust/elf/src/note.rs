//! Notes (`Elfxx_Nhdr`): the build id, and the x86 instruction set that a file asks for.
//!
//! A malformed note ends the list of its segment, as it does for the loader: notes are advice.

use object::elf;
use object::elf::{EM_386, EM_X86_64, Machine, PT_GNU_PROPERTY, PT_NOTE};

use crate::error::{Code, Error};
use crate::image::Image;
use crate::segment::Segment;

/// GNU_PROPERTY_X86_ISA_1_NEEDED.
const X86_ISA_1_NEEDED: u32 = elf::GNU_PROPERTY_X86_ISA_1_NEEDED.0;

const LONGEST_BUILD_ID: usize = 256;

/// What the notes of a file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes<'a> {
    /// The first NT_GNU_BUILD_ID of 1 to 256 bytes.
    pub build_id: Option<&'a [u8]>,
    /// Every GNU_PROPERTY_X86_ISA_1_NEEDED of an x86 file, or-ed.
    pub x86_isa_needed: u32,
}

/// Reads every PT_NOTE and PT_GNU_PROPERTY.
pub fn read_notes<'a>(image: &Image<'a>, machine: Machine, segments: &[Segment]) -> Result<Notes<'a>, Error> {
    let mut notes = Notes::default();
    let mut total = 0_u64;
    for (index, segment) in segments.iter().enumerate() {
        if segment.p_type != PT_NOTE && segment.p_type != PT_GNU_PROPERTY {
            continue;
        }
        let content = segment.content(image).ok_or_else(|| {
            let text = format_args!("program header {index} (note): p_offset + p_filesz is behind the file");
            Error::new(Code::Segment, text)
        })?;
        total = total.saturating_add(content.size());
        if total > image.size().saturating_mul(2) {
            return Err(Error::new(Code::Segment, "PT_NOTE: the segments overlap"));
        }
        let align = if segment.p_align == 8 { 8 } else { 4 };
        let mut at = 0;
        while let Some(note) = Note::read(&content, at, align) {
            at = note.next;
            if note.name != b"GNU\0" {
                continue;
            }
            if note.kind == elf::NT_GNU_BUILD_ID
                && notes.build_id.is_none()
                && (1..=LONGEST_BUILD_ID).contains(&note.content.data.len())
            {
                notes.build_id = Some(note.content.data);
            }
            if note.kind == elf::NT_GNU_PROPERTY_TYPE_0 && (machine == EM_386 || machine == EM_X86_64) {
                notes.x86_isa_needed |= isa_needed(&note.content);
            }
        }
    }
    Ok(notes)
}

/// One note.
struct Note<'a> {
    kind: elf::NoteType,
    /// With its NUL.
    name: &'a [u8],
    content: Image<'a>,
    /// Where the next one begins.
    next: u64,
}

impl<'a> Note<'a> {
    fn read(segment: &Image<'a>, at: u64, align: u64) -> Option<Self> {
        let (name_size, size) = (segment.u32(at)?, segment.u32(at.checked_add(4)?)?);
        let kind = segment.u32(at.checked_add(8)?)?;
        let name = at.checked_add(12)?;
        let header = u64::from(name_size).checked_add(12)?.checked_next_multiple_of(align)?;
        let content = at.checked_add(header)?;
        Some(Self {
            kind: elf::NoteType(kind),
            name: segment.bytes(name, name_size.into())?,
            content: segment.window(content, size.into())?,
            next: content.checked_add(u64::from(size).checked_next_multiple_of(align)?)?,
        })
    }
}

/// The properties are (`pr_type`, `pr_datasz`, data), padded to the class's word.
fn isa_needed(properties: &Image<'_>) -> u32 {
    let mut found = 0;
    let mut at = 0_u64;
    while let Some((kind, size)) = properties.u32(at).zip(properties.u32(at.saturating_add(4))) {
        let data = at.saturating_add(8);
        let Some(value) = properties.window(data, size.into()) else { break };
        if kind == X86_ISA_1_NEEDED && size == 4 {
            found |= value.u32(0).unwrap_or(0);
        }
        let padded = u64::from(size).checked_next_multiple_of(properties.class.word_size());
        at = data.saturating_add(padded.unwrap_or(u64::MAX));
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::tests::Builder;

    #[test]
    fn build_id_and_isa() {
        for mut builder in Builder::all() {
            let mut notes = builder.words();
            // Another owner's note of the same type, then the build id, then the property.
            notes.word(3).word(1).word(3).bytes(b"Go\0\0").bytes(&[9, 0, 0, 0]);
            notes.word(4).word(3).word(3).bytes(b"GNU\0").bytes(&[0xab, 0xcd, 0xef, 0]);
            notes.word(4).word(16).word(5).bytes(b"GNU\0").word(0xc000_8002).word(4).word(6).word(0);
            builder.notes = notes.data;
            let facts = crate::read(&builder.bytes()).unwrap();
            assert_eq!(facts.build_id, Some(vec![0xab, 0xcd, 0xef]));
            assert_eq!(facts.x86_isa_needed, 6);
        }
    }

    #[test]
    fn a_malformed_note_ends_the_list() {
        let mut builder = Builder::all().remove(0);
        let mut notes = builder.words();
        notes.word(4).word(u32::MAX).word(3).bytes(b"GNU\0").bytes(&[0xab, 0xcd, 0xef, 0]);
        builder.notes = notes.data;
        assert_eq!(crate::read(&builder.bytes()).unwrap().build_id, None);
    }
}
