//! Text of mapping, methodology and settings files to a checked plan.
//!
//! This is the first step of every command: the caller hands in the text of all files of a project, and gets
//! either a [`plan::Project`] in which every reference is resolved, or every mistake of every file at once, each
//! with its place and a hint. The files are parsed into a tree that knows its byte offsets, the tree is walked
//! against the JSON Schema of the types that read it, and what stands is then checked for its meaning.
//!
//! This crate touches neither file system nor network, and runs no SQL: it reads just enough of a model to know
//! its tables and parameters. Whether a query yields the declared columns is checked where it is planned.

mod calculation;
mod change;
pub mod diagnostic;
mod document;
mod hash;
mod load;
mod mapping;
pub mod plan;
mod raw;
mod replay;
mod schema;
pub mod server;
pub mod settings;
mod settings_file;
mod sql;
mod text;
mod tree;
mod walk;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use diagnostic::{Diagnostic, Severity};
pub use load::load;
pub use mapping::read_comparison;
pub use schema::schemas;

/// Parameters that every calculation is given without a declaration: their names and types.
///
/// `period_start` and `period_end` are the half-open instants of the period in its time zone,
/// `period_first_day` and `period_last_day` its first and last calendar day, `customer` an optional restriction
/// to one customer.
pub const BUILT_IN_PARAMETERS: &[(&str, dualrun_core::parameter::ParameterType)] = {
    use dualrun_core::parameter::ParameterType::{Date, Text, Timestamp};
    &[
        ("period_start", Timestamp),
        ("period_end", Timestamp),
        ("period_first_day", Date),
        ("period_last_day", Date),
        ("customer", Text),
    ]
};

/// The environment that needs no `[env.…]` table.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// The texts of a project: all `.toml`, `.sql` and `.json` files below the folder of `dualrun.toml`, and its
/// [`attachments`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFiles {
    /// Text by path relative to the folder of `dualrun.toml`.
    pub files: BTreeMap<PathBuf, String>,
}

impl ProjectFiles {
    /// The text of a file.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

/// The files and folders that the commands of a project name, relative to it. They are part of the calculations: the
/// caller adds their text, of a folder that of every file in it, to the files before it calls [`load`]. What does not
/// exist is left out.
pub fn attachments(files: &ProjectFiles) -> Vec<PathBuf> {
    calculation::attachments(files)
}

/// What came out of reading a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The checked project; present if and only if no diagnostic is an error.
    pub project: Option<plan::Project>,
    /// Errors and warnings in the order of file and place.
    pub diagnostics: Vec<Diagnostic>,
}
