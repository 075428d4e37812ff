//! `dualrun diff` on more rows than it reads at once: the same answer in any order, on any number of threads, within any
//! memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use dualrun_e2e::{
    sides::{self, Difference, KEY, Row},
    tables,
};
use dualrun_testkit::{Ran, dualrun, filters, temporary};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the planted sides, and empty folders for results and for rows that exceed the memory.
struct Large {
    folder: TempDir,
    legacy: Vec<Row>,
    new: Vec<Row>,
    differences: Vec<Difference>,
}

impl Large {
    fn planted() -> Self {
        let (legacy, new) = sides::planted();
        Self::of(legacy, new)
    }

    fn of(legacy: Vec<Row>, new: Vec<Row>) -> Self {
        let folder = temporary();
        sides::write(&folder.path().join("legacy.parquet"), &legacy, false);
        sides::write(&folder.path().join("new.parquet"), &new, false);
        for name in ["out", "spill"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let differences = sides::differences(&legacy, &new);
        Self { folder, legacy, new, differences }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, rows: &[Row]) {
        sides::write(&self.folder.path().join(name), rows, true);
    }

    #[track_caller]
    fn diff(&self, legacy: &str, new: &str, args: &[&str]) -> Ran {
        let (legacy, new, spill) = (self.at(legacy), self.at(new), self.at("spill"));
        let fixed = ["diff", &legacy, &new, "--key", KEY, "--customer", "customer", "--spill", &spill];
        let ran = dualrun(fixed.into_iter().chain(args.iter().copied()));
        assert_eq!(files(Path::new(&spill)), [""; 0], "rows are left in the spill folder");
        ran
    }

    /// The report without what differs from run to run.
    #[track_caller]
    fn report(&self, legacy: &str, new: &str, args: &[&str], code: i32) -> Value {
        let mut report = self.diff(legacy, new, &[args, &["--format", "json"]].concat()).exits(code).json();
        for field in ["run_id", "notes", "customers_path"] {
            report[field] = Value::Null;
        }
        report["differences"]["path"] = Value::Null;
        report
    }

    /// As [`Self::report`], with both files of results, whose content is checked.
    #[track_caller]
    fn checked(&self, legacy: &str, new: &str, args: &[&str]) -> Value {
        let differences = self.at("out/differences.parquet");
        let report = self.report(legacy, new, &[args, &["--differences", differences.as_str()]].concat(), 1);
        assert_eq!(sides::read_differences(Path::new(&differences)), self.differences);
        let rows = self.differences.len();
        assert_eq!(report["differences"], json!({"path": null, "rows": rows, "truncated": false}));

        let customers = tables::read(&self.folder.path().join("out/differences.customers.parquet"));
        let mut names = tables::texts(&customers, "customer");
        assert_eq!(names.len(), 2 * sides::CUSTOMERS, "one row a customer and measure");
        names.sort();
        names.dedup();
        let mut all: Vec<String> = (0..300).chain([900]).map(sides::name).collect();
        all.sort();
        assert_eq!(names, all);
        let mut left = files(&self.folder.path().join("out"));
        left.sort();
        assert_eq!(left, ["differences.customers.parquet", "differences.parquet"]);
        report
    }
}

/// The names in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_was_planted_is_found_and_stored() {
    let large = Large::planted();
    let report = large.checked("legacy.parquet", "new.parquet", &[]);
    assert_eq!(
        report["rows"],
        json!({
            "legacy": 300_005, "new": 300_012, "paired": 299_990, "equal": 299_789, "within_tolerance": 0,
            "explained": 0, "pending": 0, "unexplained": 201, "only_legacy": 10, "only_new": 12,
            "ambiguous_key": {"legacy": 5, "new": 10}, "null_keys": 10,
            "one_sided": {"explained": 0, "pending": 0, "unexplained": 22},
        })
    );
    assert_eq!(report["customers_total"], sides::CUSTOMERS);
    let mirror = large.report("new.parquet", "legacy.parquet", &[], 1);
    for (there, here) in [("only_legacy", "only_new"), ("unexplained", "unexplained"), ("equal", "equal")] {
        assert_eq!(mirror["rows"][there], report["rows"][here]);
    }
    assert_eq!(mirror["columns"][0]["gross_difference"], report["columns"][0]["gross_difference"]);
}

#[test]
fn any_order_gives_the_same_answer() {
    let large = Large::planted();
    let sorted = large.report("legacy.parquet", "new.parquet", &[], 1);
    large.write("legacy-shuffled.parquet", &sides::shuffled(&large.legacy, 7919));
    large.write("new-shuffled.parquet", &sides::shuffled(&large.new, 104_729));
    for (legacy, new) in [
        ("legacy-shuffled.parquet", "new-shuffled.parquet"),
        ("legacy.parquet", "new-shuffled.parquet"),
        ("legacy-shuffled.parquet", "new.parquet"),
    ] {
        for memory in ["512MiB", "16MiB"] {
            let report = large.checked(legacy, new, &["--memory", memory]);
            assert_same(&report, &sorted);
        }
    }
    let notes = large.diff(
        "legacy-shuffled.parquet",
        "new-shuffled.parquet",
        &["--memory", "16MiB", "--format", "json"],
    );
    assert!(notes.exits(1).json()["notes"].to_string().contains("went through the spill folder"));
}

#[test]
fn any_number_of_threads_gives_the_same_answer() {
    let large = Large::planted();
    large.write("new-shuffled.parquet", &sides::shuffled(&large.new, 7919));
    let one = large.checked("legacy.parquet", "new.parquet", &["--threads", "1"]);
    for threads in ["1", "2", "7"] {
        for new in ["new.parquet", "new-shuffled.parquet"] {
            let report = large.checked("legacy.parquet", new, &["--threads", threads, "--memory", "16MiB"]);
            assert_same(&report, &one);
        }
    }
}

#[test]
fn several_files_are_one_relation() {
    let large = Large::planted();
    let whole = large.report("legacy.parquet", "new.parquet", &[], 1);
    let cut = |at: &[usize], rows: &[Row], folder: &str, names: &[&str]| {
        let mut from = 0;
        for (to, name) in at.iter().copied().chain([rows.len()]).zip(names) {
            large.write(&format!("{folder}/{name}.parquet"), &rows[from..to]);
            from = to;
        }
    };
    cut(&[100_003, 100_004, 250_000], &large.legacy, "legacy", &["0", "1", "2", "3"]);
    cut(&[1, 77_777], &large.new, "new", &["a", "b", "c"]);
    // By their names the files are not in the order of the keys.
    cut(&[1, 77_777], &large.new, "mixed", &["b", "c", "a"]);
    assert_same(&large.checked("legacy", "new", &[]), &whole);
    assert_same(&large.checked("legacy", "mixed", &[]), &whole);
    assert_same(&large.checked("legacy.parquet", "mixed", &["--memory", "16MiB"]), &whole);
}

#[test]
fn an_order_that_is_claimed_and_false_is_noticed() {
    let rows = sides::alike();
    let large = Large::of(rows.clone(), rows.clone());
    let swap = |a: usize, b: usize| {
        let mut swapped = rows.clone();
        swapped.swap(a, b);
        swapped
    };
    let mut groups: Vec<Row> = rows[..100_000].to_vec();
    groups.extend_from_slice(&rows[120_000..140_000]);
    groups.extend_from_slice(&rows[100_000..120_000]);
    groups.extend_from_slice(&rows[140_000..]);
    let orders = [
        ("neighbours", swap(150_000, 150_001)),
        ("within a row group", swap(150_010, 155_000)),
        ("across row groups", swap(30_000, 250_000)),
        ("the ends", swap(0, rows.len() - 1)),
        ("row groups", groups),
    ];
    for (name, order) in &orders {
        large.write("claimed.parquet", order);
        for (legacy, new) in [("legacy.parquet", "claimed.parquet"), ("claimed.parquet", "claimed.parquet")] {
            let report = large.report(legacy, new, &[], 0);
            assert_eq!(report["rows"]["equal"], rows.len(), "{name}: {}", report["rows"]);
        }
    }
    // One row differs, and no other is said to.
    let mut changed = swap(30_000, 250_000);
    changed[30_000].kwh = Some(-1.0);
    large.write("claimed.parquet", &changed);
    let differences = large.at("out/differences.parquet");
    let report = large.report("legacy.parquet", "claimed.parquet", &["--differences", &differences], 1);
    assert_eq!((&report["rows"]["unexplained"], &report["rows"]["paired"]), (&json!(1), &json!(rows.len())));
    assert_eq!(sides::read_differences(Path::new(&differences)), sides::differences(&rows, &changed));
}

#[test]
fn statistics_that_lie_mislead_nobody() {
    let large = Large::planted();
    let honest = large.report("legacy.parquet", "new.parquet", &[], 1);
    // Least and greatest customer of each row group stand as text in the footer.
    let mut bytes = std::fs::read(large.at("new.parquet")).unwrap();
    let footer =
        bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let text = b"customer-1";
    let places: Vec<usize> =
        (footer..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(places.len() > 4, "{} statistics", places.len());
    for at in places {
        bytes[at + text.len() - 1] = b'9';
    }
    std::fs::write(large.at("lying.parquet"), bytes).unwrap();
    assert_same(&large.checked("legacy.parquet", "lying.parquet", &[]), &honest);
    assert_same(&large.checked("legacy.parquet", "lying.parquet", &["--threads", "7"]), &honest);
}

#[test]
fn a_cap_on_stored_differences_is_said() {
    let large = Large::planted();
    let whole = large.report("legacy.parquet", "new.parquet", &[], 1);
    let all = &large.differences;
    large.write("new-shuffled.parquet", &sides::shuffled(&large.new, 7919));
    let differences = large.at("out/differences.parquet");
    let capped = ["--differences", &differences, "--max-differences", "10"];
    for new in ["new.parquet", "new-shuffled.parquet"] {
        let report = large.report("legacy.parquet", new, &capped, 1);
        assert_eq!(report["differences"], json!({"path": null, "rows": 10, "truncated": true}));
        for counts in ["rows", "columns", "customers"] {
            assert_eq!(report[counts], whole[counts], "{counts} stay complete");
        }
        let stored = sides::read_differences(Path::new(&differences));
        assert_eq!(stored.len(), 10);
        assert!(stored.iter().all(|found| all.contains(found)), "{stored:?}");
    }
    let text = large.diff("legacy.parquet", "new.parquet", &capped).exits(1).stdout;
    assert!(text.contains("truncated: 10 rows of differences stored"), "{text}");
    assert!(text.contains("in all 223 rows differ, and 15"), "{text}");
    // A cap that is not reached caps nothing.
    let count = all.len().to_string();
    let report = large.checked("legacy.parquet", "new.parquet", &["--max-differences", &count]);
    assert_eq!(report["differences"]["truncated"], false);
}

#[test]
fn a_cap_holds_where_every_row_differs() {
    let rows = sides::alike();
    let large = Large::of(rows.clone(), rows.iter().map(|row| Row { kg: None, ..*row }).collect());
    let differences = large.at("out/differences.parquet");
    for (threads, cap) in [("1", 100_000), ("2", 100_000), ("2", 65_537), ("2", 0), ("2", sides::ROWS)] {
        let text = cap.to_string();
        let args = ["--threads", threads, "--differences", &differences, "--max-differences", &text];
        let report = large.report("legacy.parquet", "new.parquet", &args, 1);
        let truncated = cap < sides::ROWS;
        assert_eq!(report["differences"], json!({"path": null, "rows": cap, "truncated": truncated}));
        assert_eq!(report["rows"]["unexplained"], sides::ROWS);
        // The first by the key, as the sides are sorted.
        assert_eq!(sides::read_differences(Path::new(&differences)), large.differences[..cap]);
    }
}

#[test]
fn the_text_shows_the_largest_of_each_customer() {
    let large = Large::planted();
    let ran = large.diff("legacy.parquet", "new.parquet", &[]).exits(1);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("large, text", ran.stdout) });
}

/// The differences of one customer would say of its habits what is meant of all.
#[test]
fn signatures_of_many_differences_are_looked_for_in_all_parts_of_the_key() {
    let rows = sides::alike();
    let larger = |value: Option<f64>| value.map(|v| 1.25 * v);
    let large = Large::of(rows.clone(), rows.iter().map(|row| Row { kg: larger(row.kg), ..*row }).collect());
    let ran = large.diff("legacy.parquet", "new.parquet", &["--threads", "2", "--format", "json"]).exits(1);
    let report = ran.json();
    // One cell of each row.
    let cells = &report["rows"]["unexplained"];
    let found = &report["findings"][0];
    assert_eq!((&found["column"], &found["signature"]), (&json!("kg"), &json!("constant_ratio")));
    let rows = found["rows"].as_u64().unwrap();
    assert!((2_000..=4_000).contains(&rows), "{found}");
    // The first rows alone would be of four customers next to each other.
    assert_eq!(found["customers"], sides::CUSTOMERS - 1);
    assert_eq!(found["sample"], json!({"cells": rows, "of": cells}));
    let note = format!("signatures were looked for in {rows} of {cells} unexplained cells");
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.iter().any(|said| said.as_str().unwrap().starts_with(&note)), "{notes:?}");
}

/// Without printing all of two reports where they differ.
#[track_caller]
fn assert_same(report: &Value, expected: &Value) {
    let (report, expected) = (report.as_object().unwrap(), expected.as_object().unwrap());
    assert!(report.keys().eq(expected.keys()));
    for (field, value) in expected {
        assert!(report[field] == *value, "{field}: {}\ninstead of\n{value}", report[field]);
    }
}
