//! `dualrun diff` on files that it never saw: what it answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use bson::{Bson, doc};
use dualrun_e2e::{
    documents,
    tables::{self, floats, integers, text},
};
use dualrun_testkit::{Ran, dualrun, filters, temporary};
use serde_json::{Value, json};
use tempfile::TempDir;

fn diff(folder: &TempDir, args: &[&str]) -> Ran {
    // Names of files are arguments without a dash and with a dot, or folders that exist.
    let in_folder = |arg: &&str| -> String {
        let path = folder.path().join(arg);
        if !arg.starts_with('-') && (path.exists() || arg.contains('.') && arg.parse::<f64>().is_err()) {
            path.display().to_string()
        } else {
            (*arg).to_owned()
        }
    };
    dualrun(["diff".to_owned()].into_iter().chain(args.iter().map(in_folder)))
}

fn json(folder: &TempDir, args: &[&str], code: i32) -> Value {
    diff(folder, &[args, &["--format", "json"]].concat()).exits(code).json()
}

fn finding<'a>(report: &'a Value, column: &str) -> &'a Value {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["column"] == column).unwrap()
}

/// Ten rows of two customers; `scale` changes the energy of one of them.
fn energy(path: &Path, scale: f64) {
    let rows = 0..10i64;
    let ids: Vec<Option<i64>> = rows.clone().map(Some).collect();
    let customers: Vec<Option<&str>> =
        rows.clone().map(|i| Some(if i < 4 { "acme-fr" } else { "rivage-fr" })).collect();
    let kwh: Vec<Option<f64>> =
        rows.clone().map(|i| Some((1.25 + i as f64) * if i < 4 { scale } else { 1.0 })).collect();
    let region: Vec<Option<&str>> = rows.map(|i| (i != 7).then_some("FR")).collect();
    tables::write(
        path,
        &[
            ("id", integers(&ids)),
            ("customer", text(&customers)),
            ("kwh", floats(&kwh)),
            ("region", text(&region)),
        ],
    );
}

/// Digits, zones and columns that one side does not have are never made up for it.
#[test]
fn what_is_written_is_what_is_compared() {
    let folder = temporary();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("exact.jsonl", "{\"id\": 1, \"v\": 12345678901234567890.123}\n");
    put("exact.csv", "id,v\n1,12345678901234567890.124\n");
    let report = json(&folder, &["exact.jsonl", "exact.csv", "--key", "id"], 1);
    assert_eq!(report["columns"][0]["net_difference"], "0.001");
    assert_eq!(report["columns"][0]["legacy_total"], "12345678901234567890.123");
    let whole = |name: &str, column| {
        tables::write(&folder.path().join(name), &[("id", integers(&[Some(1)])), ("v", column)]);
    };
    whole("whole.parquet", integers(&[Some((1 << 53) + 1)]));
    whole("float.parquet", floats(&[Some((1u64 << 53) as f64)]));
    let report = json(&folder, &["whole.parquet", "float.parquet", "--key", "id"], 1);
    let column = &report["columns"][0];
    assert_eq!(
        [&column["legacy_total"], &column["new_total"], &column["net_difference"]],
        ["9007199254740993", "9007199254740992", "-1"]
    );
    put("zoned.jsonl", "{\"id\": 1, \"at\": {\"$date\": \"2025-07-01T00:00:00Z\"}}\n");
    put("local.csv", "id,at\n1,2025-07-01 00:00:00\n");
    let refused = diff(&folder, &["zoned.jsonl", "local.csv", "--key", "id"]).exits(2);
    assert!(refused.stderr.contains("at"), "{}", refused.stderr);
    put("parts/1.csv", "id,v\n1,2\n");
    put("parts/2.csv", "id\n2\n");
    put("parts.csv", "id,v\n1,2\n2,\n");
    let refused = diff(&folder, &["parts.csv", "parts", "--key", "id"]).exits(2);
    assert!(refused.stderr.contains("column \"v\" is in 1.csv but not in 2.csv"), "{}", refused.stderr);
}

#[test]
fn parquet_against_parquet_gives_the_whole_json() {
    let folder = temporary();
    energy(&folder.path().join("legacy.parquet"), 1.0);
    energy(&folder.path().join("new.parquet"), 1000.0);
    let report =
        json(&folder, &["legacy.parquet", "new.parquet", "--key", "id", "--customer", "customer"], 1);
    insta::with_settings!({filters => filters()}, { insta::assert_json_snapshot!("parquet against parquet", report) });

    let ran =
        diff(&folder, &["legacy.parquet", "new.parquet", "--key", "id", "--customer", "customer"]).exits(1);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("parquet against parquet, text", ran.stdout) });

    // The other way round is the mirror.
    let mirror =
        json(&folder, &["new.parquet", "legacy.parquet", "--key", "id", "--customer", "customer"], 1);
    assert_eq!(mirror["columns"][1]["legacy_total"], report["columns"][1]["new_total"]);
    assert_eq!(mirror["columns"][1]["gross_difference"], report["columns"][1]["gross_difference"]);
    assert_eq!(mirror["rows"]["unexplained"], report["rows"]["unexplained"]);
}

#[test]
fn the_same_file_agrees_with_itself() {
    let folder = temporary();
    energy(&folder.path().join("a.parquet"), 1.0);
    let report = json(&folder, &["a.parquet", "a.parquet", "--key", "id"], 0);
    assert_eq!(report["outcome"], "agrees");
    assert_eq!(report["rows"]["equal"], 10);
    assert_eq!(report["customers"], json!([]), "none without --customer");
}

#[test]
fn csv_takes_the_types_of_parquet() {
    let folder = temporary();
    tables::write(
        &folder.path().join("new.parquet"),
        &[
            ("id", text(&[Some("001"), Some("002"), Some("003")])),
            ("n", integers(&[Some(1), Some(2), None])),
            ("kwh", floats(&[Some(1.5), Some(0.1), None])),
            ("note", text(&[Some(""), Some("a,b"), None])),
        ],
    );
    std::fs::write(
        folder.path().join("legacy.csv"),
        "id,n,kwh,note\n001,1,1.50,\"\"\n002,2,1e-1,\"a,b\"\n003,,,\n",
    )
    .unwrap();
    let report = json(&folder, &["legacy.csv", "new.parquet", "--key", "id"], 0);
    assert_eq!(report["rows"]["equal"], 3, "{report}");

    // A text that is no number of the other side's type is said, not guessed.
    std::fs::write(folder.path().join("bad.csv"), "id,n,kwh,note\n001,one,1.5,\n").unwrap();
    diff(&folder, &["bad.csv", "new.parquet", "--key", "id"]).exits(2).complains("column \"n\"");
}

#[test]
fn two_csv_files_are_inferred_over_all_their_rows() {
    let folder = temporary();
    std::fs::write(folder.path().join("a.csv"), "id,x\n1,1\n2,2\n3,3.5\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "id,x\n1,1.0\n2,2\n3,3.5\n").unwrap();
    let report = json(&folder, &["a.csv", "b.csv", "--key", "id"], 0);
    assert_eq!(report["columns"][0]["kind"], "measure");
    assert_eq!(report["columns"][0]["legacy_total"], "6.5");
    // Keys are text: 01 is not 1.
    std::fs::write(folder.path().join("c.csv"), "id,x\n01,1\n2,2\n3,3.5\n").unwrap();
    let report = json(&folder, &["a.csv", "c.csv", "--key", "id"], 1);
    assert_eq!((&report["rows"]["only_legacy"], &report["rows"]["only_new"]), (&json!(1), &json!(1)));
}

#[test]
fn json_lines_against_a_dump() {
    let folder = temporary();
    let id = |n: u8| bson::oid::ObjectId::from_bytes([n; 12]);
    documents::write(
        &folder.path().join("usage.bson"),
        &[
            doc! {"_id": id(1), "hours": 24i32, "cost": Bson::Decimal128("1.10".parse().unwrap()), "region": "fr"},
            doc! {"_id": id(2), "hours": 12i64, "cost": Bson::Decimal128("2.25".parse().unwrap()), "region": Bson::Null},
        ],
    );
    let lines = format!(
        "{{\"_id\": {{\"$oid\": \"{}\"}}, \"hours\": 24, \"cost\": {{\"$numberDecimal\": \"1.1000\"}}, \"region\": \"fr\"}}\n\
         {{\"_id\": {{\"$oid\": \"{}\"}}, \"hours\": 13, \"cost\": {{\"$numberDecimal\": \"2.25\"}}, \"region\": null}}\n",
        id(1),
        id(2)
    );
    std::fs::write(folder.path().join("usage.jsonl"), lines).unwrap();
    let report = json(&folder, &["usage.jsonl", "usage.bson", "--key", "_id"], 1);
    assert_eq!(
        (&report["rows"]["equal"], &report["rows"]["unexplained"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    let of = |name: &str| {
        report["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone()
    };
    assert_eq!(of("hours")["net_difference"], "-1");
    assert_eq!(of("cost")["equal"], 2, "1.10 is 1.1000");
    assert_eq!(of("cost")["legacy_total"], "3.35");
    assert_eq!(of("region")["equal"], 2, "null is null");
}

#[test]
fn a_folder_of_parquet_files_is_one_relation() {
    let folder = temporary();
    energy(&folder.path().join("whole.parquet"), 1.0);
    let rows = tables::read(&folder.path().join("whole.parquet")).remove(0);
    for part in 0..3usize {
        let length = if part == 2 { 4 } else { 3 };
        let slice = rows.slice(part * 3, length);
        let columns: Vec<_> = slice
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(slice.columns().iter().cloned())
            .collect();
        let columns: Vec<_> = columns.iter().map(|(name, values)| (name.as_str(), values.clone())).collect();
        tables::write(&folder.path().join(format!("parts/part-{part}.parquet")), &columns);
    }
    // What jobs leave beside their files is passed over.
    std::fs::write(folder.path().join("parts/_SUCCESS"), "").unwrap();
    let report = json(&folder, &["parts", "whole.parquet", "--key", "id"], 0);
    assert_eq!(report["rows"]["equal"], 10);
}

#[test]
fn empty_files_agree() {
    let folder = temporary();
    let columns = [("id", integers(&[])), ("kwh", floats(&[]))];
    for name in ["a.parquet", "b.parquet"] {
        tables::write(&folder.path().join(name), &columns);
    }
    std::fs::write(folder.path().join("c.csv"), "id,kwh\n").unwrap();
    for (legacy, new) in [("a.parquet", "b.parquet"), ("a.parquet", "c.csv"), ("c.csv", "c.csv")] {
        let report = json(&folder, &[legacy, new, "--key", "id"], 0);
        assert_eq!((&report["outcome"], &report["rows"]["paired"]), (&json!("agrees"), &json!(0)));
    }
}

#[test]
fn duplicate_keys_are_kept_counted_and_not_compared() {
    let folder = temporary();
    std::fs::write(folder.path().join("a.csv"), "id,x\n1,1\n1,2\n2,5\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "id,x\n1,1\n2,5\n").unwrap();
    let report = json(&folder, &["a.csv", "b.csv", "--key", "id"], 1);
    assert_eq!(report["rows"]["ambiguous_key"], json!({"legacy": 2, "new": 1}));
    assert_eq!((&report["rows"]["paired"], &report["rows"]["equal"]), (&json!(1), &json!(1)));
    assert_eq!(report["columns"][0]["equal"], 1, "cells of an ambiguous key are not compared");
    assert_eq!(report["columns"][0]["gross_difference"], "2", "|Σn − Σl| of the ambiguous key");
    // Two parts of a key are not one text.
    std::fs::write(folder.path().join("c.csv"), "a,b,x\nab,c,1\na,bc,2\n").unwrap();
    let report = json(&folder, &["c.csv", "c.csv", "--key", "a,b"], 0);
    assert_eq!(report["rows"]["equal"], 2);
}

#[test]
fn null_keys_pair_with_null_keys_and_are_counted() {
    let folder = temporary();
    for name in ["a.parquet", "b.parquet"] {
        let columns = [("id", text(&[None, Some("x")])), ("kwh", floats(&[Some(1.0), Some(2.0)]))];
        tables::write(&folder.path().join(name), &columns);
    }
    let report = json(&folder, &["a.parquet", "b.parquet", "--key", "id"], 0);
    assert_eq!((&report["rows"]["paired"], &report["rows"]["null_keys"]), (&json!(2), &json!(2)));
}

#[test]
fn a_column_on_one_side_only_is_listed_and_a_difference() {
    let folder = temporary();
    std::fs::write(folder.path().join("a.csv"), "id,x,old\n1,1,7\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "id,x,fresh\n1,1,8\n").unwrap();
    let report = json(&folder, &["a.csv", "b.csv", "--key", "id"], 1);
    let kinds: Vec<(&str, &str)> = report["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["kind"].as_str().unwrap()))
        .collect();
    assert!(kinds.contains(&("old", "legacy_only")), "{kinds:?}");
    assert!(kinds.contains(&("fresh", "new_only")), "{kinds:?}");
    assert_eq!(report["rows"]["equal"], 1, "what both have is compared all the same");
}

#[test]
fn tolerances_pass_the_boundary_and_no_more() {
    let folder = temporary();
    std::fs::write(folder.path().join("a.csv"), "id,x\n1,100\n2,0\n").unwrap();
    std::fs::write(folder.path().join("b.csv"), "id,x\n1,101\n2,0.25\n").unwrap();
    let cells = |args: &[&str], code: i32| {
        let report = json(&folder, &[&["a.csv", "b.csv", "--key", "id"], args].concat(), code);
        let x = &report["columns"][0];
        (x["within_tolerance"].as_u64().unwrap(), x["unexplained"].as_u64().unwrap())
    };
    assert_eq!(cells(&[], 1), (0, 2));
    assert_eq!(cells(&["--abs", "0.25"], 1), (1, 1));
    assert_eq!(cells(&["--abs", "0.25", "--rel", "0.01"], 0), (2, 0));
    assert_eq!(cells(&["--abs", "1"], 0), (2, 0));
}

#[test]
fn whole_numbers_beyond_floats_are_compared_exactly() {
    let folder = temporary();
    let big = 9_007_199_254_740_993i64;
    tables::write(
        &folder.path().join("a.parquet"),
        &[("id", integers(&[Some(1)])), ("n", integers(&[Some(big)]))],
    );
    tables::write(
        &folder.path().join("b.parquet"),
        &[("id", integers(&[Some(1)])), ("n", integers(&[Some(big - 1)]))],
    );
    let report = json(&folder, &["a.parquet", "b.parquet", "--key", "id"], 1);
    assert_eq!(report["columns"][0]["net_difference"], "-1");
    assert_eq!(report["columns"][0]["legacy_total"], "9007199254740993");
}

#[test]
fn the_differences_are_a_parquet_file() {
    let folder = temporary();
    energy(&folder.path().join("legacy.parquet"), 1.0);
    energy(&folder.path().join("new.parquet"), 1000.0);
    let report = json(
        &folder,
        &[
            "legacy.parquet",
            "new.parquet",
            "--key",
            "id",
            "--customer",
            "customer",
            "--differences",
            "cells.parquet",
        ],
        1,
    );
    let path = folder.path().join("cells.parquet");
    assert_eq!(report["differences"]["path"], path.display().to_string());
    assert_eq!(report["differences"]["rows"], 4);
    let cells = tables::read(&path);
    assert_eq!(cells.iter().map(|batch| batch.num_rows()).sum::<usize>(), 4);
    assert_eq!(tables::texts(&cells, "id"), ["0", "1", "2", "3"]);
    let customers = tables::read(&folder.path().join("cells.customers.parquet"));
    let mut names = tables::texts(&customers, "customer");
    names.dedup();
    assert_eq!(names, ["acme-fr", "rivage-fr"], "the worst first");
    assert_eq!(report["customers_path"], folder.path().join("cells.customers.parquet").display().to_string());
    assert_eq!(finding(&report, "kwh")["signature"], "unit_scale");
}
