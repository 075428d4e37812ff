use std::{collections::BTreeSet, fs};

use jiff::civil::date;

use super::*;

#[test]
fn every_bug_has_one_place_and_changes_it() {
    let scenario = scenario().unwrap();
    assert!(!scenario.bugs.is_empty());
    for bug in &scenario.bugs {
        let right =
            project::text(&bug.file).unwrap_or_else(|| panic!("{}: no file {}", bug.id, bug.file.display()));
        assert_eq!(right.matches(&bug.find).count(), 1, "{} of {}: {:?}", bug.id, bug.pipeline, bug.find);
        assert_ne!(bug.find, bug.replace, "{} of {}", bug.id, bug.pipeline);
        assert!(bug.from.is_none_or(|from| bug.fixed.is_none_or(|fixed| from < fixed)), "{}", bug.id);
    }
}

#[test]
fn all_bugs_of_a_file_fit_together() {
    let bugs = scenario().unwrap().bugs;
    for bug in &bugs {
        with_bugs(&bug.file, bugs.iter().filter(|other| other.file == bug.file)).unwrap();
    }
}

#[test]
fn approvals_are_of_declared_changes_by_someone_else_than_the_owner_and_once() {
    let (scenario, project) = (scenario().unwrap(), project::load_project().unwrap());
    let mut seen = BTreeSet::new();
    for approval in &scenario.approvals {
        let change = project.change(&approval.change);
        let change = change.unwrap_or_else(|| panic!("{} is not declared", approval.change));
        assert_ne!(change.owner, approval.reviewer);
        assert!(seen.insert(&approval.change), "{} is approved twice", approval.change);
        assert!((FIRST_NIGHT..=LAST_NIGHT).contains(&approval.night));
    }
}

#[test]
fn the_new_calculations_are_those_of_the_night() {
    let dir = tempfile::tempdir().unwrap();
    project::write_project(dir.path()).unwrap();
    let gold = dir.path().join("device-use/new/20_gold.sql");
    let right = fs::read_to_string(&gold).unwrap();

    assert!(apply_bugs(dir.path(), FIRST_NIGHT).unwrap());
    let first = fs::read_to_string(&gold).unwrap();
    assert!(first.contains("not imported_before_2021") && first.contains("country.code = country.iso2"));
    assert!(!apply_bugs(dir.path(), FIRST_NIGHT).unwrap(), "the same night writes nothing");

    assert!(apply_bugs(dir.path(), date(2025, 3, 10)).unwrap());
    assert_eq!(fs::read_to_string(&gold).unwrap(), right);
}

#[test]
fn a_bug_lives_from_its_first_night_to_the_night_of_its_fix() {
    let mut bug = scenario().unwrap().bugs.remove(0);
    (bug.from, bug.fixed) = (Some(date(2025, 2, 20)), Some(date(2025, 3, 1)));
    assert!(!bug.is_present(date(2025, 2, 19)));
    assert!(bug.is_present(date(2025, 2, 20)) && bug.is_present(date(2025, 2, 28)));
    assert!(!bug.is_present(date(2025, 3, 1)));
    (bug.from, bug.fixed) = (None, None);
    assert!(bug.is_present(FIRST_NIGHT) && bug.is_present(LAST_NIGHT));
}
