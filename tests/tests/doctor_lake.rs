//! `dualrun doctor` and the tables that loads write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_e2e::{
    bucket::Bucket,
    disturbance::{Act, Rule, Way},
    lake,
};
use dualrun_testkit::{Project, Ran};
use serde_json::Value;

const TABLES: [&str; 3] = ["table lake:bronze/meters", "table lake:gold/energy", "table lake:silver/energy"];

/// The template with a lake.
fn project(lake: &str) -> Project {
    let legacy = "[source.legacy]\nkind = \"json_lines\"\nurl = \"data/dump\"\n";
    lake::project(legacy, "path = \"meters.jsonl\"", lake)
}

fn in_bucket(bucket: &Bucket, options: &str) -> Project {
    project(&format!("[source.lake]\nkind = \"parquet\"\nurl = \"{}\"\n{options}\n", bucket.url("lake")))
}

fn doctor(project: &Project, code: i32) -> (Ran, Value) {
    let ran = project.dualrun(&["doctor", "--format", "json"]).exits(code);
    let report = ran.json();
    (ran, report)
}

fn checks<'a>(report: &'a Value, table: &str) -> &'a [Value] {
    let examined = report["examined"].as_array().unwrap();
    let found =
        examined.iter().find(|e| e["name"] == table).unwrap_or_else(|| panic!("no {table} in {report:#}"));
    found["checks"].as_array().unwrap()
}

/// Health, finding and advice of a check.
#[track_caller]
fn check<'a>(report: &'a Value, table: &str, name: &str) -> [&'a str; 3] {
    let found = checks(report, table).iter().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no check {name} in {:#?}", checks(report, table)));
    ["health", "found", "advice"].map(|key| found[key].as_str().unwrap_or_default())
}

#[test]
fn what_a_load_needs_in_a_bucket_is_tried_and_nothing_is_left() {
    let Some(bucket) = Bucket::find("doctor") else { return };
    let project = in_bucket(&bucket, &bucket.options(&bucket.host));
    let (_, report) = doctor(&project, 0);
    for table in TABLES {
        for name in ["list", "create", "read", "conditional writes", "delete", "uploads in parts"] {
            assert_eq!(check(&report, table, name)[0], "ok", "{table}: {name}");
        }
        let [health, _, advice] = check(&report, table, "incomplete uploads");
        assert!(health == "unknown" && advice.contains("lifecycle rule that aborts"), "{advice}");
    }
    assert!(bucket.list("lake").is_empty(), "{:?}", bucket.list("lake"));
    project.dualrun(&["doctor"]).exits(0).says("two loads cannot overwrite each other");
    // Tables that are there already are left as they are.
    project.dualrun(&["load"]).exits(0);
    let before = bucket.list("lake");
    doctor(&project, 0);
    assert_eq!(bucket.list("lake"), before);
}

#[test]
fn a_folder_that_the_first_load_makes_is_not_missed() {
    let project = project(lake::LOCAL);
    let _ = std::fs::remove_dir_all(project.path().join("data/lake"));
    let (_, report) = doctor(&project, 0);
    let [health, found, advice] = check(&report, "source lake", "reachable");
    assert_eq!([health, found], ["warning", "there is no such folder yet"]);
    assert!(advice.contains("the first `dualrun load`"), "{advice}");
    assert!(!project.path().join("data/lake").exists());
    project.dualrun(&["load"]).exits(0);
    let (_, report) = doctor(&project, 0);
    assert_eq!(check(&report, "source lake", "reachable")[0], "ok");
    // What no load writes is missed.
    project.write("energy/mapping.toml", project.read("energy/mapping.toml").replace(lake::LOAD, ""));
    std::fs::remove_dir_all(project.path().join("data/lake")).unwrap();
    let (_, report) = doctor(&project, 3);
    assert_eq!(check(&report, "source lake", "reachable")[0], "error");
}

#[test]
fn a_bucket_that_does_not_exist_is_told() {
    let Some(bucket) = Bucket::find("doctor-none") else { return };
    let options = bucket.options(&bucket.host);
    let url = "s3://dualrun-there-is-none/lake";
    let project = project(&format!("[source.lake]\nkind = \"parquet\"\nurl = \"{url}\"\n{options}\n"));
    let (_, report) = doctor(&project, 3);
    for (place, name) in [("source lake", "reachable"), (TABLES[0], "list"), (TABLES[0], "create")] {
        let [health, _, advice] = check(&report, place, name);
        assert!(health == "error" && advice.starts_with("there is no such bucket"), "{name}: {advice}");
    }
    project.dualrun(&["load"]).exits(3).says("there is no such bucket");
}

#[test]
fn a_right_that_is_missing_is_an_error_that_says_which() {
    let Some(bucket) = Bucket::find("doctor-rights") else { return };
    let reading = ["s3:ListBucket", "s3:GetObject"];
    let project = in_bucket(&bucket, &bucket.restricted_options(&reading));
    let (_, report) = doctor(&project, 3);
    let table = TABLES[0];
    assert_eq!(check(&report, table, "list")[..2], ["ok", "yes"]);
    let [health, found, advice] = check(&report, table, "create");
    assert!(health == "error" && found.contains("403"), "{found}");
    let place = format!("below {} (s3:PutObject)", bucket.url("lake/bronze/meters"));
    assert!(
        advice.starts_with("let the credentials of the source write") && advice.ends_with(&place),
        "{advice}"
    );
    assert_eq!(check(&report, table, "read, delete")[0], "unknown");
    assert!(bucket.list("lake").is_empty());

    // It may write and not delete: what cannot be taken back is named.
    let without_delete = [&reading[..], &["s3:PutObject", "s3:AbortMultipartUpload"]].concat();
    let project = in_bucket(&bucket, &bucket.restricted_options(&without_delete));
    let (ran, report) = doctor(&project, 3);
    assert_eq!(check(&report, table, "create")[0], "ok");
    let [health, found, advice] = check(&report, table, "delete");
    let left = bucket.list("lake/bronze/meters");
    assert!(left.len() == 1 && left[0].starts_with("lake/bronze/meters/_dualrun/doctor-"), "{left:?}");
    assert!(health == "error" && advice.contains("(s3:DeleteObject)"), "{found}: {advice}");
    assert!(advice.ends_with(&format!("and delete {}/{}", bucket.folder, left[0])), "{advice}");
    assert!(!ran.stdout.contains(&bucket.secret) && !ran.stderr.contains(&bucket.secret));

    let blind = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let project = in_bucket(&bucket, &bucket.restricted_options(&blind));
    let (_, report) = doctor(&project, 3);
    let [health, found, advice] = check(&report, table, "list");
    assert!(health == "error" && advice.contains("(s3:ListBucket)"), "{found}: {advice}");
}

#[test]
fn a_store_that_overwrites_where_it_must_refuse_is_told() {
    let Some(bucket) = Bucket::find("doctor-condition") else { return };
    let way = Way::to(&bucket.host);
    let project = in_bucket(&bucket, &bucket.options(&way.host));
    way.disturb(&[Rule {
        method: "PUT",
        holds: "_dualrun/doctor-",
        times: None,
        act: Act::Answer(200, "OK"),
    }]);
    let (_, report) = doctor(&project, 3);
    let [health, found, advice] = check(&report, TABLES[0], "conditional writes");
    assert!(health == "warning" && found.contains("overwrites where it must refuse"), "{found}");
    assert!(advice.starts_with("never let two jobs load this table at the same time"), "{advice}");
    // It took what it did not keep.
    assert_eq!(check(&report, TABLES[0], "read")[0], "error");

    let unknown = Rule {
        method: "PUT",
        holds: "_dualrun/doctor-",
        times: None,
        act: Act::Answer(501, "NotImplemented"),
    };
    way.disturb(&[unknown]);
    let (_, report) = doctor(&project, 3);
    assert_eq!(check(&report, TABLES[0], "create")[0], "error");
}

#[test]
fn a_folder_is_tried_too_and_left_as_it_was() {
    let project = project(lake::LOCAL);
    let (_, report) = doctor(&project, 0);
    for name in ["list", "create", "read", "conditional writes", "delete", "free space"] {
        assert_ne!(check(&report, TABLES[0], name)[0], "error", "{name}");
    }
    assert!(!project.path().join("data/lake/bronze").exists(), "folders that were made for it went again");

    // A file stands in the way.
    let _ = std::fs::remove_dir_all(project.path().join("data/lake"));
    project.write("data/lake", "no folder");
    let (_, report) = doctor(&project, 3);
    let [health, _, advice] = check(&report, TABLES[0], "create");
    assert_eq!(health, "error");
    assert!(advice.starts_with("a file stands where a folder should be"), "{advice}");
    assert_eq!(project.read("data/lake"), "no folder");
}

#[cfg(unix)]
#[test]
fn a_folder_without_the_right_to_write_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let project = project(lake::LOCAL);
    let folder = project.path().join("data/lake/bronze");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.join("root"), "").is_ok() {
        eprintln!("SKIPPED: root may write everywhere");
        return;
    }
    let (_, report) = doctor(&project, 3);
    assert_eq!(check(&report, TABLES[0], "create")[0], "error");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}
