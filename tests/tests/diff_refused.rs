//! `dualrun diff` on what it cannot compare: said before a row is read, with the code of the contract.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::doc;
use dualrun_e2e::{
    documents,
    tables::{self, floats, integers, text},
};
use dualrun_testkit::{Ran, dualrun, filters, temporary};
use serde_json::Value;
use tempfile::TempDir;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = temporary();
        std::fs::write(folder.path().join("a.csv"), "id,customer,x\n1,acme,1\n").unwrap();
        let columns =
            [("id", integers(&[Some(1)])), ("customer", text(&[Some("acme")])), ("x", floats(&[Some(1.0)]))];
        tables::write(&folder.path().join("a.parquet"), &columns);
        Self { folder }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Compares two files with a result file, asserts the code, and that the failure stands in the result file.
    #[track_caller]
    fn refused(&self, legacy: &str, new: &str, args: &[&str], code: i32) -> (Ran, String) {
        let (legacy, new, result) = (self.at(legacy), self.at(new), self.at("result.json"));
        let fixed = ["diff", &legacy, &new, "--result-file", &result];
        let ran = dualrun(fixed.into_iter().chain(args.iter().copied())).exits(code);
        assert_eq!(ran.stdout, "", "nothing that looks like an answer");
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&result).unwrap()).unwrap();
        std::fs::remove_file(&result).unwrap();
        assert_eq!(report["schema"], "dualrun.run/1");
        assert_eq!(report["outcome"], "failed");
        let message = report["failure"]["message"].as_str().unwrap().to_owned();
        (ran, message)
    }
}

#[test]
fn wrong_columns_and_tolerances_are_usage() {
    let files = Files::new();
    tables::write(
        &files.folder.path().join("b.parquet"),
        &[("id", integers(&[Some(1)])), ("x", text(&[Some("many")]))],
    );
    let cases: [(&str, &str, &[&str]); 8] = [
        ("a.csv", "a.parquet", &["--key", "nope"]),
        ("a.csv", "a.parquet", &["--key", "id,id"]),
        ("a.parquet", "a.parquet", &["--key", "id", "--customer", "nope"]),
        ("a.parquet", "b.parquet", &["--key", "id", "--customer", "customer"]),
        ("a.parquet", "b.parquet", &["--key", "id"]),
        ("a.csv", "a.parquet", &["--key", "id", "--abs", "-1"]),
        ("a.csv", "a.parquet", &["--key", "id", "--rel", "-0.5"]),
        ("a.csv", "a.parquet", &["--key", "id", "--rel", "NaN"]),
    ];
    let mut said = String::new();
    for (legacy, new, args) in cases {
        let (ran, message) = files.refused(legacy, new, args, 2);
        assert!(!message.is_empty());
        said.push_str(&format!("$ dualrun diff {legacy} {new} {}\n{}\n", args.join(" "), ran.stderr));
    }
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!(said) });
}

#[test]
fn a_type_without_a_common_one_is_refused_before_a_row_is_read() {
    let files = Files::new();
    tables::write(
        &files.folder.path().join("b.parquet"),
        &[("id", text(&[Some("1")])), ("customer", text(&[Some("acme")])), ("x", floats(&[Some(1.0)]))],
    );
    let (_, message) = files.refused("a.parquet", "b.parquet", &["--key", "id"], 2);
    assert!(message.contains("\"id\""), "{message}");
}

#[test]
fn a_table_of_another_kind_is_refused_by_name() {
    let files = Files::new();
    let columns = [("id", integers(&[Some(1)]))];
    for (folder, log, name) in [
        ("delta", "_delta_log/00000000000000000000.json", "Delta"),
        ("ice", "metadata/v1.metadata.json", "Iceberg"),
    ] {
        tables::write(&files.folder.path().join(folder).join("part-0.parquet"), &columns);
        let log = files.folder.path().join(folder).join(log);
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        std::fs::write(log, "{}").unwrap();
        let (ran, message) = files.refused(folder, "a.parquet", &["--key", "id"], 2);
        assert!(message.contains(name), "{message}");
        ran.complains(name);
    }
}

#[test]
fn a_stray_file_in_a_folder_is_named() {
    let files = Files::new();
    let part = files.folder.path().join("parts/part-0.parquet");
    tables::write(&part, &[("id", integers(&[Some(1)]))]);
    std::fs::write(files.folder.path().join("parts/export.csv"), "id\n1\n").unwrap();
    let (_, message) = files.refused("parts", "a.parquet", &["--key", "id"], 2);
    assert!(message.contains("export.csv") || message.contains("csv"), "{message}");
}

#[test]
fn files_that_are_not_there_or_not_known_are_said() {
    let files = Files::new();
    // A dump that was not written yet may be there later.
    let (ran, message) = files.refused("no-such.parquet", "a.parquet", &["--key", "id"], 3);
    assert!(message.contains("no-such.parquet"), "{message}");
    ran.complains("was the dump or export written?");
    std::fs::write(files.folder.path().join("a.xlsx"), "PK").unwrap();
    let (_, message) = files.refused("a.xlsx", "a.parquet", &["--key", "id"], 2);
    assert!(message.contains("a.xlsx"), "{message}");
    std::fs::create_dir(files.folder.path().join("nothing")).unwrap();
    // An object store has no empty folders: nothing there yet.
    let (_, message) = files.refused("nothing", "a.parquet", &["--key", "id"], 3);
    assert!(message.contains("nothing"), "{message}");
}

#[test]
fn a_corrupt_dump_is_named_with_its_offset() {
    let files = Files::new();
    let whole =
        documents::bytes(&[doc! {"id": 1i64, "x": 1.5}, doc! {"id": 2i64, "x": 2.5}, doc! {"id": 3i64}]);
    let first = documents::bytes(&[doc! {"id": 1i64, "x": 1.5}]).len();
    std::fs::write(files.folder.path().join("whole.bson"), &whole).unwrap();

    // Cut off within the third document.
    std::fs::write(files.folder.path().join("cut.bson"), &whole[..whole.len() - 3]).unwrap();
    let (_, message) = files.refused("cut.bson", "whole.bson", &["--key", "id"], 2);
    assert!(message.contains("cut.bson") && message.contains(&(2 * first).to_string()), "{message}");

    // A length that cannot be, in the second document.
    let mut broken = whole.clone();
    broken[first..first + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    std::fs::write(files.folder.path().join("broken.bson"), &broken).unwrap();
    let (ran, message) = files.refused("broken.bson", "whole.bson", &["--key", "id"], 2);
    assert!(message.contains("broken.bson") && message.contains(&first.to_string()), "{message}");
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("broken dump", ran.stderr) });
}

#[test]
fn corrupt_parquet_json_and_csv_are_named() {
    let files = Files::new();
    let whole = std::fs::read(files.at("a.parquet")).unwrap();
    std::fs::write(files.folder.path().join("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(files.folder.path().join("none.parquet"), "").unwrap();
    std::fs::write(files.folder.path().join("text.parquet"), "id,x\n1,2\n").unwrap();
    std::fs::write(files.folder.path().join("bad.jsonl"), "{\"id\": 1}\n{\"id\": \n").unwrap();
    std::fs::write(files.folder.path().join("ragged.csv"), "id,x\n1,2\n1,2,3\n").unwrap();
    std::fs::write(files.folder.path().join("twice.csv"), "id,x,x\n1,2,3\n").unwrap();
    for name in ["cut.parquet", "none.parquet", "text.parquet", "bad.jsonl", "ragged.csv", "twice.csv"] {
        let (_, message) = files.refused(name, "a.parquet", &["--key", "id"], 2);
        assert!(message.contains(name), "{name}: {message}");
    }
}
