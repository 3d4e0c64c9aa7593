//! What to do, as the bench writes it: decided by a run of fastwheel, so that nothing is left to find out.

use std::path::PathBuf;

use serde::Deserialize;

use crate::pack::Maker;

/// The whole of one run: wheels that share their grafts.
#[derive(Deserialize)]
pub struct Job {
    pub level: i32,
    pub threads: usize,
    /// Whether to check what comes in and what was made.
    pub checks: bool,
    pub wheels: Vec<Wheel>,
}

impl Job {
    pub fn maker(&self) -> Maker {
        Maker { level: self.level, checks: self.checks }
    }
}

#[derive(Deserialize)]
pub struct Wheel {
    pub input: PathBuf,
    /// The file to write; none if the wheel is only looked into.
    pub output: Option<PathBuf>,
    /// ELF members and how many bytes of each have to be known.
    pub look: Vec<(String, u64)>,
    /// The members of the output in order, but for RECORD; none if it is a copy of the input.
    pub members: Vec<Member>,
    pub record: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Member {
    /// A member of the input as it is.
    Copy(String),
    New {
        name: String,
        mode: u32,
        #[serde(flatten)]
        source: Source,
    },
}

#[derive(Deserialize, Clone, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A member of the input, edited.
    Member { from: String, edit: Edit },
    /// A file of this machine, edited.
    File { path: PathBuf, edit: Edit },
    /// A text.
    Text(String),
}

#[derive(Deserialize, Clone, PartialEq, Eq, Hash, Default)]
#[serde(default)]
pub struct Edit {
    soname: Option<String>,
    runpath: Option<String>,
    rpath: Option<String>,
    remove_rpath: bool,
    replace_needed: Vec<(String, String)>,
    remove_needed: Vec<String>,
    add_needed: Vec<String>,
}

impl Edit {
    /// The same for the editor.
    pub fn to_elf(&self) -> fastwheel_elf::Edit {
        let bytes = |text: &String| text.clone().into_bytes();
        fastwheel_elf::Edit {
            soname: self.soname.as_ref().map(bytes),
            runpath: self.runpath.as_ref().map(bytes),
            rpath: self.rpath.as_ref().map(bytes),
            remove_rpath: self.remove_rpath,
            replace_needed: self.replace_needed.iter().map(|(old, new)| (bytes(old), bytes(new))).collect(),
            remove_needed: self.remove_needed.iter().map(bytes).collect(),
            add_needed: self.add_needed.iter().map(bytes).collect(),
            drop_versions: false,
        }
    }
}
