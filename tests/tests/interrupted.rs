//! `kill -9` in the middle of a night, and the same command again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use dualrun_e2e::state;
use dualrun_testkit::{NIGHT, Project, command};
use serde_json::Value;

const KILLS: u32 = 10;

/// A night with something of everything: a bug, a change that waits for a review, a late file, and the rest clean.
fn project() -> Project {
    let project = Project::approved();
    project.replace("web-page-views/new/20_gold.sql", "    end as co2e_kg", "    end * 1000 as co2e_kg");
    project.append("methodology/MC-33.toml", "\n# edited after its approval\n");
    project.remove("data/lake/bronze/cloudUsage.aws/day=2025-03-10/part-3.parquet");
    project
}

/// Everything that a finished night says, without ids and paths.
fn verdicts(project: &Project, night: &Value) -> Vec<Value> {
    let mut night = night.clone();
    // The night may have been recorded just before the process was killed.
    night["repeated"] = Value::Null;
    for run in night["runs"].as_array_mut().unwrap() {
        run["run_id"] = Value::Null;
        // Where a result was taken from is said in a note, and is all that may differ.
        run["notes"]
            .as_array_mut()
            .unwrap()
            .retain(|n| !n.as_str().unwrap().contains("taken from earlier evidence"));
    }
    let mut all: Vec<Value> = state::runs(project.path()).iter().map(state::verdicts).collect();
    all.push(night);
    all
}

/// Compares report by report and field by field: a difference is named rather than printed in full.
fn same(found: &[Value], expected: &[Value], context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}");
    for (one, other) in found.iter().zip(expected) {
        let (one, other) = (one.as_object().unwrap(), other.as_object().unwrap());
        let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(one), names(other), "{context}");
        for (name, value) in one {
            assert_eq!(
                value,
                &other[name],
                "{context}: {name} of {}",
                one.get("pipeline").unwrap_or(&Value::Null)
            );
        }
    }
}

fn assert_whole(project: &Project, context: &str) {
    let runs = state::runs(project.path());
    let mut names: Vec<_> = runs.iter().map(|run| (run.pipeline.clone(), run.period.clone())).collect();
    assert_eq!(names.len(), 9, "{context}: {names:?}");
    names.dedup();
    assert_eq!(names.len(), 9, "{context}: one run per pipeline and period");
    let bare = state::check_evidence(project.path());
    for run in &runs {
        let folder = state::evidence(project.path()).join(&run.evidence);
        assert!(!bare.contains(&folder), "{context}: {} has no manifest", run.evidence);
        let report: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
        assert_eq!(report["run_id"], run.id.as_str(), "{context}: the evidence is of this run");
    }
}

/// Kills the night after a while; says whether it was still running.
fn kill_after(project: &Project, moment: Duration) -> bool {
    let path = project.path().display().to_string();
    let mut night =
        command(NIGHT.iter().copied().chain(["--quiet", "--project", path.as_str()])).spawn().unwrap();
    sleep(moment);
    let running = night.try_wait().unwrap().is_none();
    // On Unix this is SIGKILL.
    let _ = night.kill();
    night.wait().unwrap();
    running
}

/// Moments over the whole night, one in each tenth, at random within it.
fn moments(night: Duration, seed: u64) -> Vec<Duration> {
    let mut state = seed;
    (0..KILLS)
        .map(|tenth| {
            // Knuth's MMIX generator; its upper bits are good enough to pick a moment.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let within = (state >> 40) as f64 / (1u64 << 24) as f64;
            night.mul_f64((f64::from(tenth) + within) / f64::from(KILLS))
        })
        .collect()
}

#[test]
fn a_night_that_was_killed_ends_as_if_nothing_had_happened() {
    let undisturbed = project();
    let started = Instant::now();
    let (ran, night) = undisturbed.night(&[]);
    let lasted = started.elapsed();
    ran.exits(1);
    let outcomes: Vec<&str> =
        night["runs"].as_array().unwrap().iter().filter_map(|run| run["outcome"].as_str()).collect();
    for outcome in ["agrees", "differs", "not_comparable", "review_pending"] {
        assert!(outcomes.contains(&outcome), "no {outcome} in {outcomes:?}");
    }
    assert_whole(&undisturbed, "undisturbed");
    let expected = verdicts(&undisturbed, &night);

    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let moments = moments(lasted, seed);
    let mut killed = 0;

    // Each in a project of its own.
    for moment in &moments {
        let context = format!("killed after {moment:?} of {lasted:?}, seed {seed}");
        let project = project();
        killed += u32::from(kill_after(&project, *moment));
        let (ran, night) = project.night(&[]);
        assert_eq!(ran.code, Some(1), "{context}: {}", ran.stderr);
        assert_whole(&project, &context);
        same(&verdicts(&project, &night), &expected, &context);
    }
    assert!(killed >= KILLS / 2, "only {killed} of {KILLS} nights were still running when they were killed");

    // And one project killed again and again.
    let project = project();
    for moment in &moments {
        kill_after(&project, *moment);
    }
    let context = format!("killed {KILLS} times, seed {seed}");
    let (ran, night) = project.night(&[]);
    assert_eq!(ran.code, Some(1), "{context}: {}", ran.stderr);
    assert_whole(&project, &context);
    same(&verdicts(&project, &night), &expected, &context);
}
