//! What the binary says of itself and of wrong arguments.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn dualrun(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualrun"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUALRUN_") {
            command.env_remove(&name);
        }
    }
    // clap wraps at the width of the terminal.
    command.env("COLUMNS", "100").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let output = dualrun(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn every_command_has_help() {
    for command in [
        "demo",
        "init",
        "validate",
        "plan",
        "doctor",
        "load",
        "run",
        "nightly",
        "diff",
        "explain",
        "review",
        "status",
        "readiness",
    ] {
        let output = dualrun(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = text(&output.stdout);
        for option in ["--format", "--quiet", "--project", "--env"] {
            assert!(help.contains(option), "{command} has no {option}:\n{help}");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = dualrun(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).trim(), format!("dualrun {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_wrong() {
    let wrong: [&[&str]; 8] = [
        &["nihgtly"],
        &["nightly", "--perido", "2025-03-01"],
        &["nightly", "--period", "2025-02-30"],
        &["run", "--period", "2025-03-01"],
        &["run", "-p", "a/b", "--period", "2025-03-01"],
        &["diff", "a.csv", "b.csv"],
        &["diff", "a.csv", "b.csv", "--key", "id", "--abs", "much"],
        &["status", "--format", "yaml"],
    ];
    let mut said = String::new();
    for args in wrong {
        let output = dualrun(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        said.push_str(&format!("$ dualrun {}\n{}\n", args.join(" "), text(&output.stderr)));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_result_file_of_wrong_usage_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        vec!["nightly", "--period", "yesterday"],
        vec!["run", "-p", "x"],
        vec!["diff", "a.csv", "b.csv"],
        vec!["load", "--period", "2025-03", "--full"],
    ] {
        let file = folder.path().join("result.json");
        // What an earlier night left must not be taken for tonight's.
        std::fs::write(&file, "{\"exit_code\": 0}").unwrap();
        let file = file.to_str().unwrap();
        let output = dualrun(&[args.as_slice(), &["--result-file", file]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let written = std::fs::read_to_string(file).unwrap();
        assert!(written.contains("\"failure\""), "{args:?}: {written}");
        assert!(!written.contains("\"exit_code\": 0"), "{args:?}: {written}");
    }
}
