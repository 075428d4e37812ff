//! The demo: what a newcomer sees first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_e2e::state;
use dualrun_testkit::{dualrun, temporary};
use serde_json::{Value, json};

/// Plays some nights into a folder and gives what was said as JSON.
fn play(folder: &std::path::Path, seed: &str) -> Value {
    let out = folder.display().to_string();
    dualrun(["demo", "--nights", "2", "--seed", seed, "--out", &out, "--format", "json", "--quiet"])
        .exits(0)
        .json()
}

/// What the nights found, without what differs from one play to the next: run ids.
fn found(demo: &Value) -> Value {
    let mut nights = demo["nights"].clone();
    for night in nights.as_array_mut().unwrap() {
        for run in night["runs"].as_array_mut().unwrap() {
            run["run_id"] = Value::Null;
        }
    }
    nights
}

#[test]
fn six_nights_name_their_findings_and_leave_two_pages() {
    let folder = temporary();
    let out = folder.path().join("demo");
    let ran = dualrun(["demo", "--nights", "6", "--out", &out.display().to_string()]).exits(0);
    // The screen names the nights, every pipeline with what is wrong with it, both pages and what to try next.
    for part in [
        "6 nights of a migration, 60 runs",
        "status.html",
        "readiness.html",
        "explain ",
        "review list",
        "nightly ",
    ] {
        assert!(ran.stdout.contains(part), "no {part:?}:\n{}", ran.stdout);
    }
    for pipeline in [
        "aws-compute",
        "cloud-cost",
        "device-embodied",
        "device-use",
        "electricity-invoices",
        "gcp-memory",
        "saas-spend",
        "server-power",
        "telecom-lines",
        "web-page-views",
    ] {
        assert!(ran.stdout.contains(&format!("  {pipeline}")), "no {pipeline}:\n{}", ran.stdout);
    }
    for finding in [
        "365 and 360 days",
        "new = 2 × legacy",
        "new = 1000 × legacy",
        "new = 0.931322575 × legacy (GiB and GB)",
    ] {
        assert!(ran.stdout.contains(finding), "no {finding}:\n{}", ran.stdout);
    }
    ran.complains("6 nights: both calculations").complains("2025-02-21  exit 1");

    for page in ["status.html", "readiness.html"] {
        let html = std::fs::read_to_string(out.join(page)).unwrap();
        assert!(html.to_lowercase().starts_with("<!doctype html>"), "{page}");
        for foreign in ["<script src", "<link rel=\"stylesheet\"", "src=\"http", "@import"] {
            assert!(!html.contains(foreign), "{page} is not self-contained: {foreign}");
        }
        assert!(html.contains("powerReadings") || html.contains("server-power"), "{page} names no pipeline");
    }
    let readiness = std::fs::read_to_string(out.join("readiness.md")).unwrap();
    assert!(readiness.contains("mongodb:core.tagRules"), "what nobody decided about is in the report");

    // What the last screen says to try next works.
    let project = out.display().to_string();
    let on = |args: &[&str]| dualrun(args.iter().copied().chain(["--project", project.as_str()]));
    on(&["explain", "device-embodied"]).exits(0).says("365 and 360 days");
    on(&["review", "list"]).exits(0).says("MC-33");
    on(&["status"]).exits(0).says("web-page-views");
    assert_eq!(state::runs(&out).len(), 60);
    assert_eq!(state::check_evidence(&out).len(), 0);
}

#[test]
fn the_same_seed_gives_the_same_outcomes_and_another_seed_others() {
    let folder = temporary();
    let (one, two, other) = (folder.path().join("1"), folder.path().join("2"), folder.path().join("3"));
    let first = play(&one, "7");
    assert_eq!(first["schema"], "dualrun.demo/1");
    assert_eq!(first["nights"].as_array().unwrap().len(), 2);
    assert_eq!(first["runs"], json!(20));
    assert_eq!(found(&first), found(&play(&two, "7")));
    assert_ne!(found(&first), found(&play(&other, "8")));
}

#[test]
fn a_folder_of_an_earlier_demo_is_replaced_and_a_foreign_one_refused() {
    let folder = temporary();
    let out = folder.path().join("demo");
    let name = out.display().to_string();
    let lay_out = |name: &str| dualrun(["demo", "--inputs-only", "--quiet", "--out", name]);
    lay_out(&name).exits(0);
    std::fs::write(out.join("left-over.txt"), "of the first demo").unwrap();
    lay_out(&name).exits(0);
    assert!(!out.join("left-over.txt").exists());

    let foreign = folder.path().join("mine");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "mine").unwrap();
    lay_out(&foreign.display().to_string()).exits(2).complains("is not empty");
    assert_eq!(std::fs::read_to_string(foreign.join("thesis.txt")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn no_nights_are_refused() {
    let folder = temporary();
    let out = folder.path().join("demo");
    let ran = dualrun(["demo", "--nights", "0", "--out", &out.display().to_string()]).exits(2);
    assert!(ran.stderr.contains("night"), "{}", ran.stderr);
    assert!(!out.exists(), "nothing is laid out for nothing");
}
