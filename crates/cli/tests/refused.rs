//! What must not count as agreement, and what must not be printed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

/// Exit code, and everything that was said.
fn dualrun(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualrun"));
    let output =
        command.current_dir(folder).env("LAKE_PASSWORD", "hunter2topsecret").args(args).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The template project in `p`, after an edit of one of its files.
fn project(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(dualrun(folder.path(), &["init", "p"]).0, Some(0));
    let path = folder.path().join("p").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    folder
}

fn night(folder: &Path, period: &str, as_of: &str) -> (Option<i32>, String) {
    dualrun(folder, &["nightly", "--period", period, "--as-of", as_of, "--project", "p"])
}

#[test]
fn a_period_without_rows_is_nothing_to_do_and_no_clean_night() {
    let folder = project("dualrun.toml", "My migration", "Mine");
    let (code, said) = night(folder.path(), "2025-03-25", "2025-03-26");
    assert_eq!(code, Some(99), "{said}");
    assert!(said.contains("no rows in this period on either side"), "{said}");
    let (_, status) = dualrun(folder.path(), &["status", "--project", "p"]);
    assert!(status.contains("never ran"), "{status}");
}

#[test]
fn a_period_column_that_names_no_period_is_a_mistake() {
    let folder = project("energy/mapping.toml", "column = \"day\", unit", "column = \"country\", unit");
    let (code, said) = night(folder.path(), "2025-03-01", "2025-03-02");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no day and no month") || said.contains("no day"), "{said}");
}

#[test]
fn nights_before_the_period_and_nights_ahead_are_refused() {
    let folder = project("dualrun.toml", "My migration", "Mine");
    let (code, said) = night(folder.path(), "2025-03-01", "2025-02-01");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not over as of 2025-02-01"), "{said}");
    let (code, said) = night(folder.path(), "2025-03-01", "9000-01-01");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("lies ahead"), "{said}");
}

#[test]
fn an_environment_that_nobody_declared_is_refused() {
    let folder = project("dualrun.toml", "My migration", "Mine");
    let (code, said) = dualrun(folder.path(), &["status", "--project", "p", "--env", "prodd"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no environment `prodd`"), "{said}");
}

#[test]
fn what_comes_from_the_environment_is_never_printed_or_recorded() {
    let folder = project("dualrun.toml", "url = \"data/lake\"", "url = \"data/${LAKE_PASSWORD}\"");
    // A file where the folder should be: reading it fails, with its path in the error.
    std::fs::write(folder.path().join("p/data/hunter2topsecret"), "").unwrap();
    let run = ["run", "-p", "energy", "--period", "2025-03-01", "--project", "p", "--result-file", "r.json"];
    for args in [&["plan", "--project", "p"][..], &["validate", "--project", "p"], &run] {
        let (_, said) = dualrun(folder.path(), args);
        assert!(!said.contains("hunter2"), "{args:?}: {said}");
    }
    let (_, plan) = dualrun(folder.path(), &["plan", "--project", "p"]);
    assert!(plan.contains("***"), "{plan}");
    assert!(!std::fs::read_to_string(folder.path().join("r.json")).unwrap().contains("hunter2"));
    for name in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(folder.path().join("p/.dualrun").join(name)).unwrap_or_default();
        assert!(!bytes.windows(7).any(|part| part == b"hunter2"), "{name}");
    }
}
