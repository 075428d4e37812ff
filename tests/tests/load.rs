//! `dualrun load` on a folder: what changed is copied, what it reaches is calculated again, and a run needs nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::Path};

use dualrun_e2e::{lake, tables};
use dualrun_testkit::{Project, Ran, command};
use serde_json::{Value, json};

const METERS: &str = "data/dump/meters.jsonl";

/// A meter reading as a document.
fn meter(id: &str, day: u32, kwh: f64, updated: &str) -> String {
    json!({
        "id": id, "customer": if id.starts_with('r') { "rivage-fr" } else { "acme-fr" },
        "day": format!("2025-03-{day:02}"), "country": "FR", "kwh": kwh, "updated": {"$date": updated},
    })
    .to_string()
}

fn first() -> Vec<String> {
    vec![
        meter("a1", 1, 120.5, "2025-03-02T01:00:00Z"),
        meter("a2", 1, 88.0, "2025-03-02T01:00:00Z"),
        meter("r1", 2, 310.25, "2025-03-03T01:00:00Z"),
        meter("a3", 3, 7.5, "2025-03-04T01:00:00Z"),
    ]
}

fn project() -> Project {
    let source = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";
    let project = lake::project(source, "path = \"meters.jsonl\"", lake::LOCAL);
    put(&project, &first());
    project
}

fn put(project: &Project, meters: &[String]) {
    project.write(METERS, meters.join("\n"));
}

#[track_caller]
fn load(project: &Project, args: &[&str], code: i32) -> Value {
    project.dualrun(&[&["load", "--format", "json"], args].concat()).exits(code).json()
}

/// The outcome of a run of a day.
#[track_caller]
fn run(project: &Project, day: u32, code: i32) -> Ran {
    let day = format!("2025-03-{day:02}");
    project.dualrun(&["run", "-p", "energy", "--period", &day, "--as-of", "2025-04-01"]).exits(code)
}

/// The Parquet files below a folder of the lake, and their texts in a column.
fn files(project: &Project, table: &str, column: &str) -> BTreeMap<String, Vec<String>> {
    let root = project.path().join("data/lake").join(table);
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.insert(name, tables::texts(&tables::read(&path), column));
            }
        }
    }
    found
}

fn folders(files: &BTreeMap<String, Vec<String>>) -> Vec<&str> {
    files.keys().map(|name| name.split('/').next().unwrap()).collect()
}

#[test]
fn what_changed_is_copied_and_only_what_it_reaches_is_written_anew() {
    let project = project();
    let report = load(&project, &[], 0);
    let meters = &report["inputs"][0];
    assert_eq!(meters["mode"], "full");
    assert_eq!(
        meters["rows"],
        json!({"read": 4, "added": 4, "changed": 0, "unchanged": 0, "moved": 0, "removed": 0, "total": 4})
    );
    assert_eq!(meters["partitions"], json!(["day=2025-03-01", "day=2025-03-02", "day=2025-03-03"]));
    assert_eq!(meters["watermark"]["to"], json!({"instant": "2025-03-04T01:00:00Z"}));
    let gold = report["models"].as_array().unwrap().iter().find(|m| m["model"] == "gold").unwrap();
    assert_eq!(gold["periods"], json!(["2025-03-01", "2025-03-02", "2025-03-03"]));
    (1..=3).for_each(|day| drop(run(&project, day, 0)));
    let before = files(&project, "bronze/meters", "id");
    assert_eq!(folders(&before), ["day=2025-03-01", "day=2025-03-02", "day=2025-03-03"]);
    let gold_before = files(&project, "gold/energy", "country");

    // Nothing new: nothing is written.
    let report = load(&project, &[], 99);
    assert_eq!(report["inputs"][0]["outcome"], "nothing_new");
    assert_eq!(report["inputs"][0]["mode"], "incremental");
    assert_eq!(report["models"][1]["unchanged"], 3);
    assert_eq!(files(&project, "bronze/meters", "id"), before);

    // One changes, one is new and was committed late: its time lies below the watermark, within the overlap.
    let mut changed = first();
    changed[2] = meter("r1", 2, 311.0, "2025-03-05T01:00:00Z");
    changed.push(meter("a4", 2, 1.0, "2025-03-04T00:59:30Z"));
    put(&project, &changed);
    run(&project, 2, 4).says("not comparable");
    let report = load(&project, &[], 0);
    let meters = &report["inputs"][0];
    assert_eq!(meters["partitions"], json!(["day=2025-03-02"]));
    let rows = &meters["rows"];
    assert_eq!([&rows["added"], &rows["changed"], &rows["total"]], [1, 1, 5]);
    let after = files(&project, "bronze/meters", "id");
    let same = |name: &&String| before.contains_key(*name);
    assert_eq!(after.keys().filter(same).count(), 2, "the other days are as they were");
    assert_eq!(report["models"][1]["periods"], json!(["2025-03-02"]));
    let gold_after = files(&project, "gold/energy", "country");
    assert_eq!(gold_after.keys().filter(|name| gold_before.contains_key(*name)).count(), 2);
    (1..=3).for_each(|day| drop(run(&project, day, 0)));
}

#[test]
fn a_row_that_moves_to_another_day_leaves_its_old_one() {
    let project = project();
    load(&project, &[], 0);
    let mut changed = first();
    changed[0] = meter("a1", 3, 120.5, "2025-03-06T01:00:00Z");
    put(&project, &changed);
    let report = load(&project, &[], 0);
    assert_eq!(report["inputs"][0]["partitions"], json!(["day=2025-03-01", "day=2025-03-03"]));
    assert_eq!(report["inputs"][0]["rows"]["moved"], 1);
    assert_eq!(report["inputs"][0]["rows"]["total"], 4);
    (1..=3).for_each(|day| drop(run(&project, day, 0)));
    let days = files(&project, "bronze/meters", "id");
    assert_eq!(days.values().flatten().filter(|id| *id == "a1").count(), 1);
}

#[test]
fn what_is_gone_at_the_source_is_said_not_to_be_looked_for_and_goes_with_full() {
    let project = project();
    load(&project, &[], 0);
    put(&project, &first()[1..]);
    let ran = project.dualrun(&["load"]).exits(99);
    ran.says("rows that are gone at the source were not looked for: `--full` does");
    run(&project, 1, 4);
    let report = load(&project, &["--full"], 0);
    assert_eq!(report["inputs"][0]["rows"]["removed"], 1);
    assert_eq!(report["inputs"][0]["deletions_looked_for"], true);
    assert_eq!(report["inputs"][0]["partitions"], json!(["day=2025-03-01"]));
    run(&project, 1, 0);
    // A source without any row is more likely the wrong one.
    put(&project, &[]);
    let ran = project.dualrun(&["load", "--full"]).exits(2);
    ran.says("the legacy place of lake:bronze/meters is empty, and its copy has 3 rows of it");
    run(&project, 2, 4);
}

#[test]
fn one_day_can_be_loaded_whole_and_the_watermark_stays() {
    let project = project();
    load(&project, &[], 0);
    let mut changed = first();
    changed.remove(1);
    changed[1] = meter("r1", 2, 1.0, "2025-03-09T01:00:00Z");
    put(&project, &changed);
    let report = load(&project, &["--period", "2025-03-01"], 0);
    let meters = &report["inputs"][0];
    assert_eq!([&meters["mode"], &meters["partitions"]], [&json!("period"), &json!(["day=2025-03-01"])]);
    assert_eq!(meters["rows"]["removed"], 1);
    assert_eq!(meters["watermark"]["to"], json!({"instant": "2025-03-04T01:00:00Z"}));
    assert_eq!(report["models"][1]["periods"], json!(["2025-03-01"]));
    run(&project, 1, 0);
    // What else changed comes with the next load.
    assert_eq!(load(&project, &[], 0)["inputs"][0]["partitions"], json!(["day=2025-03-02"]));
}

#[test]
fn a_changed_model_or_factor_is_calculated_again_and_a_load_that_died_is_made_good() {
    let project = project();
    load(&project, &[], 0);
    project.replace("energy/new/20_gold.sql", "sum(s.kwh) as kwh", "sum(s.kwh) + 0 as kwh");
    let report = load(&project, &[], 0);
    assert_eq!(report["inputs"][0]["outcome"], "nothing_new");
    assert_eq!(report["models"][1]["periods"].as_array().unwrap().len(), 3);
    project.write("factors/grid.csv", "country,edition,g_per_kwh\nFR,2023,60.0\n");
    lake::age(&project, "factors/grid.csv");
    assert_eq!(load(&project, &[], 0)["models"][1]["periods"].as_array().unwrap().len(), 3);
    // The copy is there, and what is calculated from it was lost.
    std::fs::remove_dir_all(project.path().join("data/lake/gold")).unwrap();
    let report = load(&project, &[], 0);
    assert_eq!(report["models"][1]["periods"].as_array().unwrap().len(), 3);
    assert_eq!(load(&project, &[], 99)["models"][1]["outcome"], "nothing_new");
}

#[test]
fn every_row_keeps_when_it_was_processed_and_says_when_it_came() {
    let project = project();
    let report = load(&project, &[], 0);
    let root = project.path().join("data/lake/bronze/meters");
    let commit: Value =
        serde_json::from_str(&project.read("data/lake/bronze/meters/_dualrun/commits/00000001.json"))
            .unwrap();
    assert_eq!(commit["schema"], "dualrun.table/1");
    assert_eq!(commit["load"]["watermark"], report["inputs"][0]["watermark"]);
    assert_eq!(commit["load"]["from"], "legacy:meters.jsonl");
    let file = commit["partitions"]["day=2025-03-02"]["files"][0]["path"].as_str().unwrap();
    let rows = tables::read(&root.join(file));
    assert_eq!(tables::texts(&rows, "dualrun_batch"), [commit["batch"].as_str().unwrap()]);
    assert!(tables::texts(&rows, "updated")[0].starts_with("2025-03-03T01:00:00"));
    assert!(tables::texts(&rows, "dualrun_loaded_at")[0].starts_with(&commit["at"].as_str().unwrap()[..19]));
}

#[test]
fn what_no_commit_names_is_not_read() {
    let project = project();
    load(&project, &[], 0);
    let name = "0199f5a4-6d3c-7000-8000-000000000000-0.parquet";
    let day = project.path().join("data/lake/bronze/meters/day=2025-03-02");
    let own = std::fs::read_dir(&day).unwrap().flatten().next().unwrap().path();
    std::fs::copy(&own, day.join(name)).unwrap();
    run(&project, 2, 0);
    let lake = project.at("data/lake/bronze/meters");
    let ran = command(["diff", &lake, &lake, "--key", "id", "--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!([&report["rows"]["paired"], &report["rows"]["ambiguous_key"]["new"]], [4, 0]);
    // The next load that writes sweeps it.
    let mut changed = first();
    changed[0] = meter("a1", 1, 1.0, "2025-03-06T01:00:00Z");
    put(&project, &changed);
    load(&project, &[], 0);
    assert!(!day.join(name).exists());
}

/// Takes away the files of a day of the copy.
fn lose(project: &Project, table: &str, day: u32) {
    let folder = project.path().join(format!("data/lake/{table}/day=2025-03-{day:02}"));
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        std::fs::remove_file(file.path()).unwrap();
    }
}

#[test]
fn a_file_that_is_gone_is_told_and_a_load_of_all_or_of_its_day_repairs_the_copy() {
    let project = project();
    load(&project, &[], 0);
    lose(&project, "bronze/meters", 2);
    let ran = run(&project, 2, 3);
    ran.complains("bronze/meters/day=2025-03-02/")
        .complains(".parquet: is gone")
        .complains("dualrun load --full");
    let report = load(&project, &["--full"], 0);
    let meters = &report["inputs"][0];
    assert_eq!(meters["partitions"], json!(["day=2025-03-02"]));
    assert_eq!([&meters["rows"]["added"], &meters["rows"]["total"]], [1, 4]);
    assert_eq!(meters["notes"], json!(["1 file of the table was lost: its partition is written anew"]));
    run(&project, 2, 0);

    lose(&project, "bronze/meters", 1);
    run(&project, 1, 3);
    // What changed says nothing of the rows that are lost.
    let mut changed = first();
    changed[0] = meter("a1", 1, 1.0, "2025-03-06T01:00:00Z");
    put(&project, &changed);
    let ran = project.dualrun(&["load"]).exits(3);
    ran.says("is gone, and the table").says("dualrun load --full").says("bronze/meters");
    let report = load(&project, &["--period", "2025-03-01"], 0);
    assert_eq!(report["inputs"][0]["rows"]["added"], 2);
    run(&project, 1, 0);

    // What was calculated is calculated again.
    lose(&project, "gold/energy", 3);
    assert_eq!(load(&project, &[], 0)["models"][1]["periods"], json!(["2025-03-03"]));
}

#[test]
fn a_commit_that_is_damaged_is_named_and_can_be_deleted() {
    let project = project();
    load(&project, &[], 0);
    let mut changed = first();
    changed[0] = meter("a1", 1, 1.0, "2025-03-06T01:00:00Z");
    put(&project, &changed);
    load(&project, &[], 0);
    let commit = "data/lake/bronze/meters/_dualrun/commits/00000002.json";
    project.write(commit, "{\"schema\": ");
    let (told, hint) =
        (format!("{}: is no commit", project.at(commit)), "delete it, then `dualrun load --full`");
    run(&project, 1, 2).complains(&told).complains(hint);
    project.dualrun(&["load"]).exits(2).says(hint);
    project.remove(commit);
    assert_eq!(load(&project, &["--full"], 0)["inputs"][0]["rows"]["total"], 4);
    run(&project, 1, 0);
}

#[test]
fn a_file_where_a_folder_should_be_is_told() {
    let project = project();
    let _ = std::fs::remove_dir_all(project.path().join("data/lake"));
    project.write("data/lake", "no folder");
    project.dualrun(&["load"]).exits(3).says("a file stands where a folder should be");
    run(&project, 2, 3)
        .complains("a file stands where a folder should be")
        .complains("a retry does not help");
    project.dualrun(&["doctor"]).exits(3).says("a file stands there");
}

#[test]
fn files_of_others_are_counted() {
    for (count, said) in
        [(1, "1 file that stood there before is"), (2, "2 files that stood there before are")]
    {
        let project = project();
        (0..count).for_each(|n| project.write(&format!("data/lake/bronze/meters/{n}.parquet"), "old"));
        project.dualrun(&["load"]).exits(0).says(&format!("{said} no longer read as part of the table"));
    }
}

#[test]
fn a_key_that_is_not_unique_is_refused_and_the_copy_stays() {
    let project = project();
    load(&project, &[], 0);
    let mut changed = first();
    changed.push(meter("a3", 3, 8.0, "2025-03-06T01:00:00Z"));
    changed.push(meter("a3", 3, 9.0, "2025-03-06T01:00:00Z"));
    put(&project, &changed);
    let ran = project.dualrun(&["load"]).exits(2);
    ran.says("2 rows have a key that another row of the source has too").says("`key` of the input must name");
    project.write(METERS, "{");
    project.dualrun(&["load"]).exits(2).says("failed at load: input meters of the legacy side");
    put(&project, &first());
    let ids: Vec<String> = files(&project, "bronze/meters", "id").into_values().flatten().collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn without_a_watermark_everything_is_read_and_only_what_differs_is_written() {
    let project = project();
    project.replace("energy/mapping.toml", lake::LOAD, "load = {}");
    load(&project, &[], 0);
    let mut changed = first();
    changed.remove(3);
    put(&project, &changed);
    let report = load(&project, &[], 0);
    assert_eq!(report["inputs"][0]["rows"]["removed"], 1);
    assert_eq!(report["inputs"][0]["partitions"], json!(["day=2025-03-03"]));
    load(&project, &[], 99);
}

#[test]
fn two_pipelines_that_load_one_table_otherwise_are_told() {
    let project = project();
    copy(&project.path().join("energy"), &project.path().join("power"));
    project.replace("power/mapping.toml", "id = \"energy\"", "id = \"power\"");
    project.replace("power/mapping.toml", "{model}/energy", "{model}/power");
    let report = load(&project, &[], 0);
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1, "one table is loaded once");
    assert_eq!(report["inputs"][0]["pipelines"], json!(["energy", "power"]));
    project.replace("power/mapping.toml", "overlap = \"1m\"", "overlap = \"2m\"");
    let ran = project.dualrun(&["load"]).exits(2);
    ran.complains("the pipelines energy and power load lake:bronze/meters in different ways");
    project.dualrun(&["load", "-p", "energy"]).exits(99);
    project.dualrun(&["load", "-p", "nothing"]).exits(2).complains("no pipeline nothing");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn dumps_that_lie_by_day_fill_the_folder_of_their_day() {
    let project = project();
    project.replace("dualrun.toml", "url = \"data/dump\"", "url = \"data/dump/{day}\"");
    for (day, meters) in [(1, &first()[..2]), (2, &first()[2..3]), (3, &first()[3..])] {
        project.write(&format!("data/dump/2025-03-0{day}/meters.jsonl"), meters.join("\n"));
    }
    let report = load(&project, &["--period", "2025-03-02"], 0);
    let meters = &report["inputs"][0];
    assert_eq!([&meters["mode"], &meters["partitions"]], [&json!("period"), &json!(["day=2025-03-02"])]);
    assert_eq!(meters["rows"]["total"], 1);
    run(&project, 2, 0);
    load(&project, &["--period", "2025-03-02"], 99);
    project.write("data/dump/2025-03-02/meters.jsonl", meter("r1", 2, 5.0, "2025-03-03T01:00:00Z"));
    assert_eq!(load(&project, &["--period", "2025-03-02"], 0)["inputs"][0]["rows"]["changed"], 1);
    run(&project, 2, 0);
    let march = load(&project, &["--period", "2025-03"], 0);
    assert_eq!(march["inputs"][0]["partitions"], json!(["day=2025-03-01", "day=2025-03-03"]));
    (1..=3).for_each(|day| drop(run(&project, day, 0)));
    // A dump that is missing is no day without a row.
    project.remove("data/dump/2025-03-02/meters.jsonl");
    project
        .dualrun(&["load", "--period", "2025-03-02"])
        .exits(2)
        .says("is empty, and its copy has 1 rows of it");
    project
        .dualrun(&["load", "--period", "2025-03"])
        .exits(99)
        .says("the source has no 2025-03-02/meters.jsonl and 28");
    // Without a period it is yesterday, of which there is no dump.
    project.dualrun(&["load"]).exits(99).says("the source has no ");
    project.replace("energy/mapping.toml", "bronze/meters/day={day}/", "monthly/meters/month={month}/");
    project.dualrun(&["load", "--period", "2025-03-01"]).exits(2).says("it has no partition for each");
}

#[test]
fn a_table_by_month_or_without_partitions_is_loaded_too() {
    let project = project();
    project.replace("energy/mapping.toml", "bronze/meters/day={day}/", "monthly/meters/month={month}/");
    let report = load(&project, &[], 0);
    assert_eq!(report["inputs"][0]["partitions"], json!(["month=2025-03"]));
    // Only its month is read anew, and nothing differs.
    load(&project, &["--period", "2025-03-02"], 99);
    (1..=3).for_each(|day| drop(run(&project, day, 0)));
    project.replace("energy/mapping.toml", "monthly/meters/month={month}/", "whole/meters/");
    assert_eq!(load(&project, &[], 0)["inputs"][0]["partitions"], json!([""]));
    project.dualrun(&["load", "--period", "2025-03-02"]).exits(2).says("it has no partition for each");
    run(&project, 2, 0);
    let mut changed = first();
    changed[2] = meter("r1", 2, 1.0, "2025-03-09T01:00:00Z");
    put(&project, &changed);
    assert_eq!(load(&project, &[], 0)["inputs"][0]["rows"]["changed"], 1);
    run(&project, 2, 0);
}

#[test]
fn a_load_reads_well() {
    let project = project();
    let said = project.dualrun(&["load"]).exits(0).stdout;
    let mut settings = insta::Settings::clone_current();
    dualrun_testkit::filters().iter().for_each(|(from, to)| settings.add_filter(from, *to));
    settings.bind(|| insta::assert_snapshot!("first_load", said));
}

#[test]
fn where_nothing_is_declared_nothing_is_loaded() {
    let project = Project::template();
    project.dualrun(&["load"]).exits(99).says("nothing to load");
}

#[test]
fn a_run_before_the_first_load_says_so() {
    let project = project();
    let new = ["run", "-p", "energy", "--period", "2025-03-02", "--as-of", "2025-04-01", "--side", "new"];
    for ran in [run(&project, 2, 2), project.dualrun(&new).exits(2)] {
        ran.complains("nothing was loaded into lake:bronze/meters yet").complains("`dualrun load` fills it");
    }
    // A period without rows asks for no load.
    run(&project, 9, 99);
}
