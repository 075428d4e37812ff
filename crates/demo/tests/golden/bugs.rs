//! The bugs of the demo's scenario against the golden cases: what the pages call a trap is one.

use std::path::{Path, PathBuf};

use dualrun_demo::scenario::{Bug, scenario};

use crate::{
    case::{self, Case},
    project, verify,
};

/// The failures of a case with the bug in the new calculation.
#[expect(clippy::unwrap_used, reason = "a test that cannot copy its files has failed")]
async fn with_bug(folder: &Path, bug: &Bug) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    for file in project::below(folder).unwrap() {
        let to = copy.path().join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(folder.join(&file), to).unwrap();
    }
    let right = std::fs::read_to_string(project::root().join(&bug.file)).unwrap();
    assert_eq!(right.matches(&bug.find).count(), 1, "{} of {}", bug.id, bug.pipeline);
    let file = copy.path().join(bug.file.strip_prefix(bug.pipeline.as_str()).unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, right.replace(&bug.find, &bug.replace)).unwrap();
    verify::folder(copy.path()).await
}

#[expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]
fn folders_of(bug: &Bug) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(case::root()).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| Case::read(folder).unwrap().pipeline == bug.pipeline);
    folders.sort();
    folders
}

#[tokio::test]
async fn every_bug_of_the_scenario_breaks_a_case() {
    for bug in scenario().unwrap().bugs {
        let mut broken = 0;
        for folder in folders_of(&bug) {
            broken += usize::from(!with_bug(&folder, &bug).await.is_empty());
        }
        assert!(broken > 0, "{} of {}: {}", bug.id, bug.pipeline, bug.title);
    }
}

#[tokio::test]
async fn a_bug_shows_as_a_difference_under_the_old_method() {
    let bugs = scenario().unwrap().bugs;
    let bug = bugs.iter().find(|b| b.pipeline.as_str() == "device-use" && b.id == "BUG-14").unwrap();
    let failures = with_bug(&case::root().join("device-use-traps"), bug).await;
    let told = "2025-03-01: under the old method new differs from legacy\n  customer_id=harbour-group";
    assert!(
        failures.iter().any(|f| f.starts_with(told) && f.contains("co2e_kg.verdict=unexplained")),
        "{failures:?}"
    );
}

#[tokio::test]
async fn a_check_that_does_not_hold_is_told() {
    let mut bug = scenario().unwrap().bugs.into_iter().find(|b| b.pipeline.as_str() == "gcp-memory").unwrap();
    bug.find = "sum(memory.gb_h) as gb_h".into();
    bug.replace = "-sum(memory.gb_h) as gb_h".into();
    let failures = with_bug(&case::root().join("gcp-memory-d5"), &bug).await;
    let told = "2025-03-01: new rows against the check: memory use is never negative";
    assert!(failures.iter().any(|f| f == told), "{failures:?}");
}

#[tokio::test]
async fn a_day_in_utc_takes_the_energy_of_both_days() {
    let bugs = scenario().unwrap().bugs;
    let bug = bugs.iter().find(|b| b.pipeline.as_str() == "server-power" && b.id == "BUG-01").unwrap();
    let failures = with_bug(&case::root().join("server-power-d2-day-1"), bug).await;
    assert!(failures.iter().any(|f| f.contains("wanted 0.310250\n  found  0.647750")), "{failures:?}");
}
