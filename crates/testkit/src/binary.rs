//! Finds the binary and runs it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The `dualrun` binary: `DUALRUN_BIN`, or the one beside the test executables (`target/<profile>/dualrun`).
///
/// # Panics
/// There is none.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("DUALRUN_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "DUALRUN_BIN is {}, which is not a file", path.display());
        return path;
    }
    let path = profile_folder().join(format!("dualrun{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "there is no {}: build it in the profile of the tests (`cargo build --release -p dualrun-cli`), or name \
         another with DUALRUN_BIN",
        path.display()
    );
    path
}

/// `target/<profile>` of the running test.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("this test has no path: {error}"));
    let deps = test.parent().unwrap_or_else(|| panic!("{} has no folder", test.display()));
    deps.parent().unwrap_or_else(|| panic!("{} lies in no profile folder", test.display())).to_owned()
}

/// `target/tmp`: on the file system of the build, so that inputs can be linked rather than copied.
pub(crate) fn scratch() -> PathBuf {
    let profile = profile_folder();
    let scratch = profile.parent().unwrap_or(&profile).join("tmp");
    std::fs::create_dir_all(&scratch).unwrap_or_else(|error| panic!("{}: {error}", scratch.display()));
    scratch
}

/// A folder that is removed when dropped.
///
/// # Panics
/// It cannot be made.
pub fn temporary() -> TempDir {
    tempfile::Builder::new()
        .prefix("e2e-")
        .tempdir_in(scratch())
        .unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// The binary with arguments, in an environment without settings of dualrun.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUALRUN_") {
            command.env_remove(&name);
        }
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
///
/// # Panics
/// It cannot be started.
pub fn dualrun<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    dualrun_in(args, &scratch())
}

pub(crate) fn dualrun_in<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, folder: &Path) -> Ran {
    let output = command(args).current_dir(folder).output();
    Ran::from(output.unwrap_or_else(|error| panic!("{}: {error}", binary().display())))
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` where a signal ended the process.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Asserts the exit code and that nothing panicked.
    ///
    /// # Panics
    /// Another code, with all output.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "exit code {:?} instead of {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked at"), "the process panicked: {}", self.stderr);
        self
    }

    /// Asserts that standard output holds a text.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in stdout:\n{}", self.stdout);
        self
    }

    /// Asserts that standard error holds a text.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in stderr:\n{}", self.stderr);
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{}\n{}", self.stdout, self.stderr))
    }
}
