//! Wrong arguments: what clap could not read still has an answer in the result file.

use std::{ffi::OsString, path::PathBuf};

use dualrun_core::{ExitCode, Outcome, load::LoadReport, night::NightReport, run::Failure};

use crate::{
    commands::{today, yesterday},
    output::result_file,
};

/// Writes the result file that the arguments ask for, where they ask for one and their command has one: a scheduler
/// that reads it must not find what an earlier night left there.
pub(crate) fn record(args: &[OsString], error: &clap::Error) {
    let Some(path) = asked_for(args) else { return };
    let message = error.to_string();
    let failure = Failure {
        stage: "plan".to_owned(),
        message: message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        hint: Some("see `dualrun --help`".to_owned()),
        retryable: false,
    };
    let named = |command: &str| args.iter().skip(1).any(|arg| arg == command);
    // The usage error itself is reported on standard error; a file that cannot be written adds nothing to it.
    let _ = if named("nightly") {
        let mut report = NightReport::empty(yesterday(), today(), "default", ExitCode::Usage);
        report.failure = Some(failure);
        result_file(Some(&path), &report)
    } else if named("load") {
        let mut report = LoadReport::empty("default", ExitCode::Usage);
        report.failure = Some(failure);
        result_file(Some(&path), &report)
    } else if named("run") || named("diff") {
        let mut report = dualrun_engine::assess::blank_report(Outcome::Failed);
        report.failure = Some(failure);
        result_file(Some(&path), &report)
    } else {
        Ok(())
    };
}

/// The value of `--result-file`.
fn asked_for(args: &[OsString]) -> Option<PathBuf> {
    const NAME: &str = "--result-file";
    args.iter().enumerate().find_map(|(index, arg)| {
        if arg == NAME {
            return args.get(index + 1).map(PathBuf::from);
        }
        let value = arg.to_str()?.strip_prefix(NAME)?.strip_prefix('=')?;
        Some(PathBuf::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn both_spellings_of_the_option_are_found() {
        assert_eq!(asked_for(&args("dualrun diff --result-file r.json a")), Some("r.json".into()));
        assert_eq!(asked_for(&args("dualrun nightly --result-file=r.json")), Some("r.json".into()));
        assert_eq!(asked_for(&args("dualrun nightly --result-files x")), None);
        assert_eq!(asked_for(&args("dualrun nightly --result-file")), None);
    }
}
