//! An S3 server that is busy, refuses, or breaks off: a command goes on to the same result, or ends with exit 3 and a
//! sentence, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration, time::Instant};

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use dualrun_e2e::{
    bucket::Bucket,
    disturbance::{Act, Rule, Way},
    lake, tables,
};
use dualrun_testkit::{Project, Ran, command};
use serde_json::Value;

/// So many rows make an object of several parts.
const ROWS: usize = 300_000;

const BUSY: Act = Act::Answer(503, "SlowDown");
const REFUSED: Act = Act::Answer(403, "AccessDenied");

fn always(method: &'static str, holds: &'static str, act: Act) -> Rule {
    Rule { method, holds, times: None, act }
}

fn times(times: u32, method: &'static str, holds: &'static str, act: Act) -> Rule {
    Rule { method, holds, times: Some(times), act }
}

/// Rows of one day that do not compress, as the legacy side.
fn meters(path: &std::path::Path, rows: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = || {
        let letter = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + ((*state >> 33) % 75) as u8)
        };
        (0..60).map(|_| letter(&mut state)).collect::<String>()
    };
    let text = |each: &mut dyn FnMut(usize) -> String| -> ArrayRef {
        Arc::new((0..rows).map(|n| Some(each(n))).collect::<StringArray>())
    };
    let at = TimestampMicrosecondArray::from(vec![1_740_900_000_000_000; rows]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", text(&mut |n| format!("m{n}"))),
        ("customer", text(&mut |n| if n % 2 == 0 { "acme-fr".to_owned() } else { "rivage-fr".to_owned() })),
        ("day", text(&mut |_| "2025-03-01".to_owned())),
        ("country", text(&mut |_| "FR".to_owned())),
        ("kwh", Arc::new((0..rows).map(|n| Some(n as f64 * 0.25)).collect::<Float64Array>())),
        ("note", text(&mut |_| noise())),
        ("updated", Arc::new(at)),
    ];
    tables::write(path, &columns);
}

/// A project whose lake and evidence stand behind a way that can be disturbed.
fn project(bucket: &Bucket, way: &Way, rows: usize) -> Project {
    let options = bucket.options(&way.host);
    let lake = format!("[source.lake]\nkind = \"parquet\"\nurl = \"{}\"\n{options}\n", bucket.url("lake"));
    let legacy = "[source.legacy]\nkind = \"parquet\"\nurl = \"data/legacy\"\n";
    let project = lake::project(legacy, "path = \"meters.parquet\"", &lake);
    project.append("dualrun.toml", &format!("\n[store]\nurl = \"{}\"\n{options}\n", bucket.url("evidence")));
    meters(&project.path().join("data/legacy/meters.parquet"), rows);
    project
}

fn run(project: &Project) -> Ran {
    project.dualrun(&[
        "run",
        "-p",
        "energy",
        "--period",
        "2025-03-01",
        "--as-of",
        "2025-03-02",
        "--format",
        "json",
    ])
}

/// Nothing of an upload in parts is left on the server.
#[track_caller]
fn none_is_open(bucket: &Bucket, way: &Way) {
    for begun in way.begun() {
        assert!(!bucket.holds(&begun.path, &begun.upload), "parts of {} are left", begun.path);
    }
}

/// The command ended with exit 3 and says this; no secret is said, and it did not take long.
#[track_caller]
fn gave_up(ran: &Ran, bucket: &Bucket, said: &[&str]) {
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    // However the lines are broken.
    let all = format!("{} {}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    for text in said {
        assert!(all.contains(text), "no {text:?} in {all}");
    }
    assert!(!all.contains(&bucket.secret), "{all}");
    assert!(!all.contains("uploadId") && !all.contains("<Error>"), "a sentence, not a request: {all}");
}

#[test]
fn a_load_goes_on_through_a_server_that_is_busy_or_breaks_off_for_a_while() {
    let Some(bucket) = Bucket::find("busy") else { return };
    let way = Way::to(&bucket.host);
    let mut whole: Option<Value> = None;
    for (n, rule) in [
        times(0, "PUT", "", BUSY),
        times(3, "PUT", "partNumber", BUSY),
        times(1, "PUT", "partNumber=2", Act::CutRequest),
        times(1, "PUT", "partNumber=1", Act::LoseAnswer),
        times(2, "POST", "uploads", BUSY),
        times(2, "POST", "uploadId", BUSY),
        times(1, "PUT", "_dualrun/commits", BUSY),
        times(1, "PUT", "_dualrun/commits", Act::LoseAnswer),
        times(2, "GET", "", BUSY),
    ]
    .into_iter()
    .enumerate()
    {
        let project = project(&bucket, &way, ROWS);
        project.replace("dualrun.toml", "/lake\"", &format!("/lake-{n}\""));
        way.disturb(std::slice::from_ref(&rule));
        let ran = project.dualrun(&["load", "--format", "json"]).exits(0);
        assert_eq!(way.disturbed() as u32, rule.times.unwrap(), "{rule:?}");
        let loaded = &ran.json()["inputs"][0];
        assert_eq!(loaded["rows"]["added"], ROWS);
        none_is_open(&bucket, &way);
        way.disturb(&[]);
        let mut report = run(&project).exits(0).json();
        let facts =
            serde_json::json!([report["inputs"].take(), report["rows"].take(), report["columns"].take()]);
        assert_eq!(whole.get_or_insert_with(|| facts.clone()), &facts, "{rule:?}");
    }
    assert!(way.begun().len() >= 9, "the objects were large enough for parts");
}

#[test]
fn a_load_that_cannot_go_on_ends_with_a_sentence_and_leaves_nothing() {
    let Some(bucket) = Bucket::find("broken") else { return };
    let way = Way::to(&bucket.host);
    let project = project(&bucket, &way, ROWS);
    let host = format!("http://{}", way.host);
    for (rule, said) in [
        (always("PUT", "partNumber", BUSY), ["answered 503", "(SlowDown)", "tried"]),
        (always("PUT", "partNumber=2", Act::CutRequest), ["the connection to", "was cut", "is the store up"]),
        (
            always("PUT", "partNumber=1", REFUSED),
            ["refused it with 403", "(AccessDenied)", "need the rights"],
        ),
        (always("POST", "uploads", REFUSED), ["refused it with 403", "(AccessDenied)", "need the rights"]),
        (always("POST", "uploadId", BUSY), ["answered 503", "(SlowDown)", "the table is as it was"]),
        (
            always("PUT", "_dualrun/commits", REFUSED),
            ["refused it with 403", "commits/00000001.json", "rights"],
        ),
        (always("GET", "list-type", BUSY), ["answered 503", "(SlowDown)", "bronze/meters"]),
        (always("GET", "list-type", REFUSED), ["refused it with 403", "(AccessDenied)", "bronze/meters"]),
    ] {
        way.disturb(std::slice::from_ref(&rule));
        let started = Instant::now();
        let ran = project.dualrun(&["load"]);
        assert!(started.elapsed() < Duration::from_secs(30), "{rule:?}: a person waits for it");
        gave_up(&ran, &bucket, &[&said[..], &[host.as_str(), "lake:bronze/meters"]].concat());
        if rule.act == REFUSED {
            let lines = way.seen();
            let same = lines.iter().filter(|seen| seen.disturbed).map(|seen| &seen.line);
            let different: std::collections::BTreeSet<_> = same.clone().collect();
            assert_eq!(same.count(), different.len(), "a refusal is not asked for again: {lines:?}");
        }
        none_is_open(&bucket, &way);
        assert!(bucket.list("lake").is_empty(), "{rule:?} left {:?}", bucket.list("lake"));
    }
    // The same command goes on where the server does.
    way.disturb(&[]);
    project.dualrun(&["load"]).exits(0);
    run(&project).exits(0);
}

#[test]
fn a_load_that_is_told_to_end_takes_its_parts_back() {
    let Some(bucket) = Bucket::find("ended") else { return };
    let way = Way::to(&bucket.host);
    let project = project(&bucket, &way, ROWS);
    way.disturb(&[times(1, "PUT", "partNumber=1", Act::Hold)]);
    let mut child = command(["load", "--project", &project.at("")]).spawn().unwrap();
    way.wait();
    let begun = way.begun();
    assert!(begun.iter().all(|begun| bucket.holds(&begun.path, &begun.upload)) && !begun.is_empty());
    let killed =
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    none_is_open(&bucket, &way);
    way.release();
    way.disturb(&[]);
    assert!(bucket.list("lake").is_empty());
    project.dualrun(&["load"]).exits(0);
}

#[test]
fn a_run_reads_through_a_server_that_is_disturbed_or_says_why_not() {
    let Some(bucket) = Bucket::find("run") else { return };
    let way = Way::to(&bucket.host);
    let project = project(&bucket, &way, 20_000);
    way.disturb(&[]);
    project.dualrun(&["load"]).exits(0);
    let host = format!("http://{}", way.host);
    for (rule, said) in [
        (always("GET", "lake", BUSY), ["answered 503", "(SlowDown)", "input meters of the new side"]),
        (
            always("GET", "lake", REFUSED),
            ["refused it with 403", "may not read", "input meters of the new side"],
        ),
        (
            always("GET", ".parquet", Act::CutAnswer),
            ["the connection to", "was cut", ".parquet: cannot be read"],
        ),
        (always("PUT", "evidence", BUSY), ["answered 503", "(SlowDown)", "evidence runs/pipeline=energy"]),
        (
            always("PUT", "evidence", REFUSED),
            ["refused it with 403", "`store` need the rights", "evidence runs/"],
        ),
        (always("PUT", "manifest.json", Act::CutRequest), ["the connection to", "was cut", "manifest.json"]),
    ] {
        way.disturb(std::slice::from_ref(&rule));
        gave_up(&run(&project), &bucket, &[&said[..], &[host.as_str()]].concat());
        let there = bucket.list("evidence");
        assert!(!there.iter().any(|name| name.ends_with("manifest.json")), "{rule:?} left {there:?}");
        none_is_open(&bucket, &way);
    }
    way.disturb(&[
        times(2, "GET", "lake", BUSY),
        times(1, "GET", ".parquet", Act::CutAnswer),
        times(2, "PUT", "evidence", BUSY),
        times(1, "PUT", "manifest.json", Act::CutRequest),
    ]);
    let report = run(&project).exits(0).json();
    assert_eq!(way.disturbed(), 6);
    assert_eq!(report["inputs"][0]["comparable"], true);
    let there = bucket.list("evidence");
    assert_eq!(there.iter().filter(|name| name.ends_with("manifest.json")).count(), 1, "{there:?}");
}

#[test]
fn a_diff_reads_through_a_server_that_is_disturbed_or_says_why_not() {
    let Some(bucket) = Bucket::find("diff") else { return };
    let way = Way::to(&bucket.host);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.parquet");
    meters(&file, 50_000);
    bucket.put("a.parquet", std::fs::read(&file).unwrap());
    let diff = || {
        let url = bucket.url("a.parquet");
        let mut command =
            command(["diff", &file.display().to_string(), &url, "--key", "id", "--format", "json"]);
        command.envs(bucket.environment(&way.host));
        Ran::from(command.output().unwrap())
    };
    let report = |ran: Ran| {
        let mut report = ran.exits(0).json();
        report.as_object_mut().unwrap().remove("run_id");
        report
    };
    let whole = report(diff());
    assert_eq!(whole["rows"]["equal"], 50_000);
    for rules in [
        vec![times(3, "GET", "a.parquet", BUSY), times(1, "HEAD", "a.parquet", BUSY)],
        vec![times(2, "GET", "a.parquet", Act::CutAnswer)],
        vec![times(2, "GET", "a.parquet", Act::LoseAnswer)],
    ] {
        way.disturb(&rules);
        assert_eq!(report(diff()), whole, "{rules:?}");
        assert!(way.disturbed() >= 2, "{rules:?}");
    }
    let host = format!("http://{}", way.host);
    for (act, said) in [
        (BUSY, ["answered 503", "(SlowDown)", "a retry may help"]),
        (REFUSED, ["refused it with 403", "(AccessDenied)", "the credentials may not read there"]),
        (Act::CutAnswer, ["the connection to", "was cut", "a retry may help"]),
    ] {
        way.disturb(&[always("GET", "a.parquet", act)]);
        gave_up(&diff(), &bucket, &[&said[..], &[host.as_str(), "a.parquet"]].concat());
    }
}
