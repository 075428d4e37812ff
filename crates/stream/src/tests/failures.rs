//! What cannot be spilled leaves nothing behind.

use std::path::Path;

use dualrun_core::ExitCode;

use super::support::{Case, Progress, Row, limits, outputs, sides, table};
use crate::{Limits, Request, StreamError, compare_sides};

/// Spills unsorted rows to a folder, with results going to another.
fn spill_to(folder: &Path, results: &Path) -> StreamError {
    let case = Case::new(&["customer", "site"], Some("customer"));
    let rows: Vec<Row> = (0..20_000)
        .map(|i| (Some(format!("customer {}", i * 7919 % 500)), Some(i), Some(i as f64), None))
        .collect();
    let (common, options, outputs) = (case.common(), case.options(), outputs(results));
    let limits = Limits { spill: folder.to_owned(), ..limits(2, 1) };
    let request = Request {
        common: &common,
        options: &options,
        outputs: Some(&outputs),
        sample: 10,
        limits: &limits,
        watch: &Progress::default(),
        confirm: &|| Ok(()),
    };
    let (legacy, new) = sides(&table(&rows), &table(&rows), 1000);
    compare_sides(&legacy, &new, &request).unwrap_err()
}

fn check(error: &StreamError, folder: &Path, results: &Path) {
    assert!(matches!(error, StreamError::Spill { path, .. } if path == folder), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot spill to {}", folder.display()));
    assert!(error.hint().is_some());
    assert_eq!(error.exit_code(), ExitCode::Infrastructure);
    assert_eq!(std::fs::read_dir(results).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_not_there() {
    let results = tempfile::tempdir().unwrap();
    let folder = results.path().join("missing");
    check(&spill_to(&folder, results.path()), &folder, results.path());
}

#[test]
fn a_folder_that_is_a_file() {
    let results = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    check(&spill_to(file.path(), results.path()), file.path(), results.path());
}

/// Only where the tests may mount: as root.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up() {
    let (results, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mount = |program: &str, options: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(options).arg(folder.path()).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=256k", "none"]) {
        return;
    }
    let error = spill_to(folder.path(), results.path());
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(mount("umount", &[]));
    check(&error, folder.path(), results.path());
    assert_eq!(left, 0);
}
