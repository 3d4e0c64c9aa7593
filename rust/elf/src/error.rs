//! Why a file cannot be read, or not be edited.

use std::fmt;

/// The stable code of an error; `errors.py` lists them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The file does not begin with `\x7fELF`.
    NotElf,
    /// The file ends before a header does.
    Truncated,
    /// A field of the ELF header that no loader takes.
    Header,
    /// A program header contradicts the file or another one.
    Segment,
    /// PT_DYNAMIC or an entry of it.
    Dynamic,
    /// DT_STRTAB, or an offset into it.
    Strings,
    /// DT_VERNEED, DT_VERDEF or DT_VERSYM.
    Versions,
    /// DT_SYMTAB, DT_HASH or DT_GNU_HASH.
    Symbols,
    /// The section header table, where it is asked for.
    Sections,
    /// No place for what is to be added.
    NoRoom,
    /// A kind of file that is not edited.
    NotEditable,
    /// Sections that contradict the dynamic section or each other.
    SectionsInconsistent,
    /// Wishes that contradict each other, or a string that no file can hold.
    BadEdit,
    /// A library is to be removed of which versions are needed.
    VersionNeedInUse,
    /// A post-condition does not hold: fastwheel is wrong.
    Internal,
}

impl Code {
    /// The code as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotElf => "FW300",
            Self::Truncated => "FW301",
            Self::Header => "FW302",
            Self::Segment => "FW303",
            Self::Dynamic => "FW304",
            Self::Strings => "FW305",
            Self::Versions => "FW306",
            Self::Symbols => "FW307",
            Self::Sections => "FW308",
            Self::NoRoom => "FW400",
            Self::NotEditable => "FW401",
            Self::SectionsInconsistent => "FW402",
            Self::BadEdit => "FW403",
            Self::VersionNeedInUse => "FW404",
            Self::Internal => "FW900",
        }
    }
}

/// One error: what is wrong, by the specification's name for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Error {
    /// What kind of error.
    pub code: Code,
    /// One line without a final stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

impl Error {
    /// An error without a hint.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: None }
    }
}
