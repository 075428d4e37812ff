//! Temporary copies of the reference project and of the template.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::UNIX_EPOCH,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Ran, binary, dualrun, dualrun_in, scratch, temporary};

/// A day in the middle of the inputs of the reference project: its night looks at nine pipelines.
pub const PERIOD: &str = "2025-03-10";

/// The night of [`PERIOD`].
pub const AS_OF: &str = "2025-03-11";

/// The arguments of that night.
pub const NIGHT: [&str; 5] = ["nightly", "--period", PERIOD, "--as-of", AS_OF];

/// A project in a temporary folder, removed when dropped.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// The reference project with its inputs: no bug in it, no change approved.
    ///
    /// # Panics
    /// It cannot be laid out.
    pub fn reference() -> Self {
        Self::copy_of(&layouts().join("reference"))
    }

    /// The reference project with all its methodology changes approved: its nights agree.
    ///
    /// # Panics
    /// It cannot be laid out.
    pub fn approved() -> Self {
        Self::copy_of(&layouts().join("approved"))
    }

    /// What `dualrun init` makes.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn template() -> Self {
        let project = Self { folder: temporary() };
        dualrun([Path::new("init"), project.path()]).exits(0);
        project
    }

    fn copy_of(layout: &Path) -> Self {
        let project = Self { folder: temporary() };
        copy(layout, project.path(), false);
        project
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it as text, for arguments.
    pub fn at(&self, path: &str) -> String {
        self.path().join(path).display().to_string()
    }

    /// Runs the binary on it.
    ///
    /// # Panics
    /// The binary cannot be started.
    #[track_caller]
    pub fn dualrun(&self, args: &[&str]) -> Ran {
        let project = self.path().display().to_string();
        let all = args.iter().copied().chain(["--project", project.as_str()]);
        dualrun_in(all, self.path())
    }

    /// Runs the night of [`PERIOD`] with further arguments, and gives its result file with what was printed.
    ///
    /// # Panics
    /// There is no result file, or its code is not the code of the process.
    #[track_caller]
    pub fn night(&self, args: &[&str]) -> (Ran, Value) {
        let file = self.path().join("result.json");
        let _ = fs::remove_file(&file);
        let file_name = file.display().to_string();
        let all: Vec<&str> = NIGHT
            .iter()
            .copied()
            .chain(["--result-file", file_name.as_str()])
            .chain(args.iter().copied())
            .collect();
        let ran = self.dualrun(&all);
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("no result file: {error}\n{}\n{}", ran.stdout, ran.stderr));
        let result: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("result file: {error}"));
        assert_eq!(result["exit_code"].as_i64(), ran.code.map(i64::from), "the code in the result file");
        (ran, result)
    }

    /// The text of a file.
    ///
    /// # Panics
    /// It cannot be read.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes a file. Never in place: inputs are links that several projects share.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let full = self.path().join(path);
        let _ = fs::remove_file(&full);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        fs::write(&full, content).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Replaces a text in a file everywhere.
    ///
    /// # Panics
    /// The text does not occur.
    #[track_caller]
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, text.replace(from, to));
    }

    /// Adds lines at the end of a file.
    ///
    /// # Panics
    /// The file cannot be read or written.
    #[track_caller]
    pub fn append(&self, path: &str, text: &str) {
        self.write(path, self.read(path) + text);
    }

    /// Removes a file.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Approves a change.
    ///
    /// # Panics
    /// The approval is refused.
    #[track_caller]
    pub fn approve(&self, change: &str) -> Ran {
        self.dualrun(&["review", "approve", change, "--reviewer", "x.reviewer", "--reason", "as published"])
            .exits(0)
    }
}

/// The two laid out projects of this binary, made once and shared by all test processes.
fn layouts() -> &'static Path {
    static LAYOUTS: OnceLock<PathBuf> = OnceLock::new();
    LAYOUTS.get_or_init(|| {
        let binary = binary();
        let stamp = fs::metadata(&binary)
            .and_then(|meta| Ok((meta.len(), meta.modified()?)))
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let age = stamp.1.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("layout-{}-{age}", stamp.0);
        let made = scratch().join(&name);
        if !made.is_dir() {
            forget_older(&name);
            let building = temporary();
            make(building.path());
            // Another process may have been faster; its layouts are as good.
            if fs::rename(building.path(), &made).is_err() {
                assert!(made.is_dir(), "{} cannot be made", made.display());
            }
        }
        made
    })
}

fn make(folder: &Path) {
    let reference = folder.join("reference");
    let path = reference.display().to_string();
    dualrun(["demo", "--inputs-only", "--quiet", "--out", &path]).exits(0);
    let approved = Project { folder: temporary() };
    copy(&reference, approved.path(), false);
    for entry in fs::read_dir(reference.join("methodology")).into_iter().flatten().flatten() {
        let file = entry.path();
        if let Some(change) = file.file_stem().and_then(|stem| stem.to_str()) {
            approved.approve(change);
        }
    }
    copy(approved.path(), &folder.join("approved"), false);
}

/// Layouts of binaries that are no more.
fn forget_older(name: &str) {
    for entry in fs::read_dir(scratch()).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with("layout-") && other != name {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Copies a folder. Inputs are hard links: nothing writes into them.
fn copy(from: &Path, to: &Path, linked: bool) {
    let failed = |path: &Path, error: std::io::Error| -> ! { panic!("{}: {error}", path.display()) };
    fs::create_dir_all(to).unwrap_or_else(|error| failed(to, error));
    for entry in fs::read_dir(from).unwrap_or_else(|error| failed(from, error)).flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target, linked || entry.file_name() == "data");
        } else if linked {
            fs::hard_link(&source, &target).unwrap_or_else(|error| failed(&target, error));
        } else {
            fs::copy(&source, &target).unwrap_or_else(|error| failed(&target, error));
        }
    }
}
