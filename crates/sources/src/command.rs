//! Results of external jobs: a program is given its inputs as Parquet files, runs under a time limit, and writes one
//! file, which is read back.
//!
//! The job gets everything through its environment, which holds nothing else than [`PASSED`] and what its mapping
//! lists: secrets of dualrun do not reach it. What it prints is kept up to a bound, and its end is shown where it
//! fails. A job that is cancelled or takes too long dies with all processes that it started.

mod error;
mod inputs;
mod output;
mod process;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dualrun_core::{parameter::ParameterValue, shape::Shape};

use crate::{FileSelection, Format, InputTable, Request, SourceError, open_location, read};

pub use error::{CommandError, LastOutput};
pub use inputs::StagedInputs;
pub use process::find_program;

/// The variables of dualrun's own environment that every job is given.
pub const PASSED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// A job and what it is given.
pub struct Job<'a> {
    /// The program and its arguments.
    pub line: &'a [String],
    /// The folder that it runs in, absolute.
    pub folder: &'a Path,
    /// Variables that it is given; see [`variables`].
    pub variables: BTreeMap<String, OsString>,
    /// Names of further variables of dualrun's own environment that it is given.
    pub pass: &'a [String],
    /// It is stopped after this time.
    pub timeout: Duration,
    /// The format of its result.
    pub format: Format,
    /// Where it writes its result, relative to its folder; a temporary file below `scratch` where not given.
    pub result: Option<&'a str>,
    /// How the fields of the result are read.
    pub shape: &'a Shape,
    /// A folder for temporary files; it exists.
    pub scratch: &'a Path,
    /// Takes secrets out of what the job printed.
    pub mask: fn(&str) -> String,
}

/// Runs a job and reads its result.
///
/// # Errors
/// [`SourceError::Command`] where the job cannot be started, fails, takes too long or writes nothing;
/// [`SourceError::Config`] for a variable that is not set; any error of [`read`] for a result that cannot be read.
pub async fn run(job: Job<'_>) -> Result<InputTable, SourceError> {
    let temporary = temporary_folder(job.scratch)?;
    let (file, _turn) = match job.result {
        None => (temporary.path().join(format!("result.{}", job.format.extensions()[0])), None),
        Some(path) => {
            let file = job.folder.join(path);
            // Replays of one job write to the same place: one after the other.
            let turn = turn(&file).lock_owned().await;
            clear(&file)?;
            (file, Some(turn))
        }
    };
    let mut environment = passed(job.pass)?;
    environment.extend(job.variables.iter().map(|(name, value)| (name.clone(), value.clone())));
    environment.insert("DUALRUN_RESULT".to_owned(), file.clone().into_os_string());
    let secrets: Vec<String> =
        job.pass.iter().filter_map(|name| environment.get(name)?.to_str().map(str::to_owned)).collect();
    let mask = |text: &str| (job.mask)(&output::without(text, &secrets));
    process::run(job.line, job.folder, &environment, job.timeout, &mask).await?;
    if !file.exists() {
        let program = job.line.first().cloned().unwrap_or_default();
        let place = job.result.unwrap_or("the file that DUALRUN_RESULT names").to_owned();
        return Err(CommandError::NoResult { program, place }.into());
    }
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str())) else {
        return Err(SourceError::Config(format!("{}: is no file name", file.display())));
    };
    let location = open_location(&folder.display().to_string(), folder, &BTreeMap::new())?;
    let request = Request {
        format: job.format,
        location: &location,
        files: FileSelection::Exact(vec![name.to_owned()]),
        shape: job.shape,
        required: true,
    };
    read(&request).await
}

/// The variables of a calculation: `DUALRUN_<NAME>` for each parameter that has a value (instants as RFC 3339 in UTC),
/// `DUALRUN_INPUT_<NAME>` for each input.
pub fn variables<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a ParameterValue)>,
    inputs: &BTreeMap<String, PathBuf>,
) -> BTreeMap<String, OsString> {
    let mut variables: BTreeMap<String, OsString> = parameters
        .into_iter()
        .map(|(name, value)| (format!("DUALRUN_{}", variable(name)), value.to_string().into()))
        .collect();
    variables.extend(
        inputs
            .iter()
            .map(|(name, file)| (format!("DUALRUN_INPUT_{}", variable(name)), file.as_os_str().into())),
    );
    variables
}

fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn passed(listed: &[String]) -> Result<BTreeMap<String, OsString>, SourceError> {
    let mut environment: BTreeMap<String, OsString> = PASSED
        .iter()
        .filter_map(|name| std::env::var_os(name).map(|value| ((*name).to_owned(), value)))
        .collect();
    for name in listed {
        let value = std::env::var_os(name)
            .ok_or_else(|| SourceError::Config(format!("the variable {name} that `env` lists is not set")))?;
        environment.insert(name.clone(), value);
    }
    Ok(environment)
}

/// A result of an earlier run must not be taken for that of this one.
fn clear(file: &Path) -> Result<(), SourceError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SourceError::Config(format!("{}: cannot be written anew: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

/// One lock a result file.
fn turn(file: &Path) -> Arc<tokio::sync::Mutex<()>> {
    static TURNS: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(turns.entry(file.to_owned()).or_default())
}

fn temporary_folder(scratch: &Path) -> Result<tempfile::TempDir, SourceError> {
    let failed = |e: std::io::Error| SourceError::Config(format!("{}: {e}", scratch.display()));
    // The job runs in another folder.
    let scratch = std::path::absolute(scratch).map_err(failed)?;
    tempfile::Builder::new().prefix("command-").tempdir_in(scratch).map_err(failed)
}

#[cfg(test)]
mod tests;
