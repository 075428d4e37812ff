//! Columns of a copy whose type changes: `--full` writes everything anew, and any other load says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{DateTime, doc};
use dualrun_e2e::{lake, servers::Mongo};
use dualrun_testkit::Project;
use serde_json::{Value, json};

const METERS: &str = "data/dump/meters.jsonl";

/// A meter of a day with a field that no shape declares.
fn meter(id: &str, day: u32, note: &Value) -> String {
    json!({
        "id": id, "customer": "acme-fr", "day": format!("2025-03-{day:02}"), "country": "FR", "kwh": 1.5,
        "updated": {"$date": format!("2025-03-{:02}T01:00:00Z", day + 1)}, "note": note,
    })
    .to_string()
}

fn put(project: &Project, notes: &[Value]) {
    let meters: Vec<String> =
        (1..).zip(notes).map(|(day, note)| meter(&format!("m{day}"), day, note)).collect();
    project.write(METERS, meters.join("\n"));
}

fn project(notes: &[Value]) -> Project {
    let source = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";
    let project = lake::project(source, "path = \"meters.jsonl\"", lake::LOCAL);
    put(&project, notes);
    project
}

#[track_caller]
fn load(project: &Project, args: &[&str], code: i32) -> Value {
    project.dualrun(&[&["load", "--format", "json"], args].concat()).exits(code).json()
}

#[track_caller]
fn run(project: &Project, day: u32) {
    let day = format!("2025-03-{day:02}");
    project.dualrun(&["run", "-p", "energy", "--period", &day, "--as-of", "2025-04-01"]).exits(0);
}

#[track_caller]
fn is_refused(project: &Project) {
    let report = load(project, &[], 2);
    let failure = &report["inputs"][0]["failure"];
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("column \"note\" is ") && message.contains("in what came from"), "{message}");
    let hint = failure["hint"].as_str().unwrap();
    assert!(hint.starts_with("`dualrun load --full` writes the table anew"), "{hint}");
    assert_eq!(failure["stage"], "load");
}

#[test]
fn another_type_is_refused_until_everything_is_loaded() {
    let project = project(&[json!(1), json!(2)]);
    load(&project, &[], 0);
    // In a day that is there, and in one that is new: each file of the table has the same columns.
    for notes in [&[json!(1), json!("two")][..], &[json!(1), json!(2), json!("three")]] {
        put(&project, notes);
        is_refused(&project);
        run(&project, 1);
    }
    let report = load(&project, &["--full"], 0);
    let meters = &report["inputs"][0];
    assert_eq!(meters["partitions"], json!(["day=2025-03-01", "day=2025-03-02", "day=2025-03-03"]));
    let rows = &meters["rows"];
    assert_eq!([&rows["added"], &rows["unchanged"], &rows["total"]], [1, 2, 3], "1 is the text \"1\" now");
    (1..=3).for_each(|day| run(&project, day));
    load(&project, &[], 99);
}

#[test]
fn a_type_that_is_declared_later_is_written_with_all_rows() {
    let project = project(&[json!([1, 2]), json!([3])]);
    load(&project, &[], 0);
    let mapping = "energy/mapping.toml";
    project.replace(mapping, "updated = \"timestamp\"", "updated = \"timestamp\"\nnote = \"text\"");
    is_refused(&project);
    assert_eq!(load(&project, &["--full"], 0)["inputs"][0]["partitions"].as_array().unwrap().len(), 2);
    load(&project, &["--full"], 99);
    // What cannot be read as a number is none, and the day that is loaded whole has the new type too.
    project.replace(mapping, "note = \"text\"", "note = \"integer\"");
    let report = load(&project, &["--full"], 0);
    assert_eq!(report["inputs"][0]["rows"]["total"], 2, "{report}");
    (1..=2).for_each(|day| run(&project, day));
    load(&project, &[], 99);
}

#[test]
fn a_field_of_documents_that_becomes_text_is_loaded_in_full() {
    let Some(mongo) = Mongo::open("load_types") else { return };
    let meter = |id: &str, note: bson::Bson| {
        let at = |text: &str| DateTime::parse_rfc3339_str(text).unwrap();
        doc! {
            "id": id, "customer": "acme-fr", "day": at("2025-03-01T00:00:00Z"), "country": "FR", "kwh": 1.5,
            "updated": at("2025-03-02T01:00:00Z"), "weird.name": note.clone(), "note": note,
        }
    };
    mongo.insert("meters", &[meter("m1", 7.into()), meter("m2", 8.into())]);
    let legacy = format!("[source.legacy]\nkind = \"mongodb\"\nurl = \"{}\"\n", mongo.url(None));
    let project = lake::project(&legacy, "collection = \"meters\"", lake::LOCAL);
    load(&project, &[], 0);
    mongo.insert("meters", &[meter("m3", "seven".into())]);
    is_refused(&project);
    let report = load(&project, &["--full"], 0);
    let rows = &report["inputs"][0]["rows"];
    assert_eq!([&rows["added"], &rows["total"]], [1, 3], "{report}");
    run(&project, 1);
    load(&project, &[], 99);
}
