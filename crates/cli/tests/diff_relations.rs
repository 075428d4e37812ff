//! `dualrun diff` on relations that are empty, or whose address holds a secret.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

/// Exit code, and everything that was said.
fn diff(folder: &Path, legacy: &str, new: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualrun"));
    let output = command.current_dir(folder).args(["diff", legacy, new, "--key", "id"]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_header_alone_compares_with_any_rows() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("empty.csv", "id,kwh,day\n");
    put("filled.csv", "id,kwh,day\n1,2.5,2025-03-01\n");
    put("nulls.csv", "id,kwh,day\n1,,\n");
    put("filled.jsonl", "{\"id\":1,\"kwh\":2.5,\"day\":\"2025-03-01\"}");
    put("nothing.csv", "");
    for (legacy, new, code) in [
        ("empty.csv", "empty.csv", 0),
        ("empty.csv", "filled.csv", 1),
        ("filled.csv", "empty.csv", 1),
        ("empty.csv", "filled.jsonl", 1),
        ("nulls.csv", "filled.csv", 1),
        ("nulls.csv", "nulls.csv", 0),
        ("nothing.csv", "filled.csv", 2),
    ] {
        let (found, said) = diff(folder.path(), legacy, new);
        assert_eq!(found, Some(code), "{legacy} {new}: {said}");
    }
    let (_, said) = diff(folder.path(), "nothing.csv", "filled.csv");
    assert!(said.contains("is empty, it has no columns"), "{said}");
}

#[test]
fn errors_do_not_repeat_credentials() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new.csv"), "id,v\n1,1\n").unwrap();
    for (relation, expected) in [
        ("ftp://u:hush@host/db#t", 2),
        ("s3://KEY:hush@b/x", 2),
        ("s3://KEY:hu/sh@b/x.csv", 2),
        ("postgres://u:hush@127.0.0.1:1/db#t", 3),
        ("mongodb://u:hush@127.0.0.1:1/db?serverSelectionTimeoutMS=500#t", 3),
    ] {
        let (code, said) = diff(folder.path(), relation, "new.csv");
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains("://***@") && !said.contains("hush") && !said.contains("hu/sh"), "{said}");
    }
}

#[test]
fn whole_numbers_that_floats_would_round_differ() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    for (n, other) in [(9_007_199_254_740_993_u64, "1.5"), (u64::MAX, "1.5"), (u64::MAX, "7")] {
        for (side, value) in [("legacy", n), ("new", n - 1)] {
            put(&format!("{side}.jsonl"), format!("{{\"id\":1,\"v\":{value}}}\n{{\"id\":2,\"v\":{other}}}"));
            put(&format!("{side}.csv"), format!("id,v\n1,{value}\n2,1e2\n"));
        }
        for format in ["jsonl", "csv"] {
            let (code, said) = diff(folder.path(), &format!("legacy.{format}"), &format!("new.{format}"));
            assert_eq!(code, Some(1), "{n} {other} {format}: {said}");
        }
        let (code, said) = diff(folder.path(), "new.jsonl", "new.jsonl");
        assert_eq!(code, Some(0), "{said}");
    }
}

/// Grain, tolerance and customer come from the mapping; columns that it does not declare are not compared.
#[test]
fn a_mapping_says_what_is_compared_and_how() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualrun"));
        let output = command.current_dir(folder.path()).args(args).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run(&["init", "p"]).0, Some(0));
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.csv", "customer_id,day,country,kwh,co2e_kg,loaded\nacme,2025-03-01,FR,1,0.0580000001,mon\n");
    put("b.csv", "customer_id,day,country,kwh,co2e_kg,loaded\nacme,2025-03-01,FR,1,0.058,tue\n");
    put("c.csv", "customer_id,day,country,kwh,co2e_kg,loaded\nacme,2025-03-01,FR,1,0.09,tue\n");
    let mapping = ["--mapping", "p/energy/mapping.toml"];
    let (code, said) = run(&[&["diff", "a.csv", "b.csv"], &mapping[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("within tolerance") && !said.contains("loaded"), "{said}");
    let (code, said) = run(&[&["diff", "a.csv", "c.csv"], &mapping[..]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("acme") && said.contains("kgCO2e"), "{said}");
    let (code, said) = run(&["diff", "a.csv", "b.csv", "--mapping", "p/dualrun.toml"]);
    assert_eq!(code, Some(2), "{said}");
}
