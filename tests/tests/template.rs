//! From an empty folder to an approved change, on the project that `dualrun init` makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualrun_e2e::state;
use dualrun_testkit::{Project, Ran, dualrun, filters, temporary};

const RUN: [&str; 7] = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-02"];
const CHANGE: &str = "methodology/MC-1.toml";

fn decide(project: &Project, what: &str, reviewer: &str) -> Ran {
    project.dualrun(&[
        "review",
        what,
        "MC-1",
        "--reviewer",
        reviewer,
        "--reason",
        "the edition that we publish",
    ])
}

#[test]
fn init_validate_run_explain() {
    let folder = temporary();
    let path = folder.path().join("new project");
    let name = path.display().to_string();
    let ran = dualrun(["init", &name]).exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("init", ran.stdout) });
    // What it says to try next works as it stands, also where a path has a space.
    let next: Vec<&str> = ran.stdout.lines().filter_map(|line| line.strip_prefix("  dualrun ")).collect();
    assert_eq!(next.len(), 3, "{}", ran.stdout);
    assert!(next.iter().all(|line| line.ends_with(&format!("--project '{name}'"))), "{next:?}");
    dualrun(["validate", "--project", &name]).exits(0).says("1 pipeline");
    let on = |args: &[&str]| dualrun(args.iter().copied().chain(["--project", name.as_str()]));
    let ran = on(&RUN).exits(5);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("first run", ran.stdout) });
    let ran = on(&["explain", "energy"]).exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("explain", ran.stdout) });

    // By the id of the run too.
    let report = on(&["explain", "energy", "--format", "json"]).exits(0).json();
    let by_id = on(&["explain", report["run_id"].as_str().unwrap()]).exits(0);
    assert_eq!(by_id.stdout, ran.stdout);
}

#[test]
fn init_leaves_a_folder_with_something_in_it_alone() {
    let folder = temporary();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    dualrun(["init", &folder.path().display().to_string()]).exits(2).complains("is not empty");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_approval_explains_without_calculating_again() {
    let project = Project::template();
    project.dualrun(&RUN).exits(5);
    let first = state::runs(project.path());
    let results = |name: &str| {
        let mut stamps = state::stamps(&state::evidence(project.path()));
        stamps.retain(|path, _| {
            path.extension().is_some_and(|e| e == "parquet") && path.to_string_lossy().contains(name)
        });
        stamps
    };
    let (legacy, new, replays) = (results("/legacy"), results("/new"), results("/replay"));
    assert_eq!((legacy.len(), new.len()), (1, 1));

    let approved = decide(&project, "approve", "anna").exits(0);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("approve", approved.stdout) });
    project.dualrun(&RUN).exits(0).complains("this run was recorded before; nothing was calculated");
    assert_eq!((results("/legacy"), results("/new"), results("/replay")), (legacy, new, replays));
    let second = state::runs(project.path());
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].id, first[0].id, "a new assessment of the same run");
    assert_eq!((first[0].outcome.as_str(), second[0].outcome.as_str()), ("review_pending", "agrees"));
    assert_eq!(second[0].report["rows"]["explained"], 2);

    // A night of the same day takes the run as it stands.
    let night = ["nightly", "--period", "2025-03-01", "--as-of", "2025-03-02", "--format", "json"];
    let night = project.dualrun(&night).exits(0).json();
    assert_eq!(night["runs"][0]["run_id"], first[0].id.as_str());
}

#[test]
fn the_owner_of_a_change_cannot_decide_about_it() {
    let project = Project::template();
    for what in ["approve", "reject"] {
        decide(&project, what, "sustainability").exits(2).complains("sustainability proposed MC-1");
        decide(&project, what, " Sustainability ").exits(2);
    }
    project.dualrun(&["review", "list"]).exits(0).says("1 change waits for a decision");
    project.dualrun(&RUN).exits(5);
    // Nor is anybody nobody, nor a reason no reason.
    decide(&project, "approve", "  ").exits(2);
    project.dualrun(&["review", "approve", "MC-1", "--reviewer", "anna", "--reason", " "]).exits(2);
    project
        .dualrun(&["review", "approve", "MC-9", "--reviewer", "anna", "--reason", "x"])
        .exits(2)
        .complains("MC-9");
}

#[test]
fn an_approval_is_bound_to_the_file() {
    let project = Project::template();
    decide(&project, "approve", "anna").exits(0);
    project.dualrun(&RUN).exits(0);
    let approved = project.read(CHANGE);

    project.replace(CHANGE, "min = -0.25", "min = -0.95");
    project.dualrun(&["review", "show", "MC-1"]).exits(0).says("its file changed since anna decided");
    project.dualrun(&RUN).exits(5);

    // The file as it was decided about is approved as it was.
    project.write(CHANGE, approved);
    project.dualrun(&RUN).exits(0);
}

#[test]
fn a_rejection_takes_an_approval_back() {
    let project = Project::template();
    decide(&project, "approve", "anna").exits(0);
    project.dualrun(&RUN).exits(0);
    decide(&project, "reject", "ben").exits(0);
    project.dualrun(&RUN).exits(1);
    let list = project.dualrun(&["review", "list", "--format", "json"]).exits(0).json();
    assert!(list.to_string().contains("rejected"), "{list}");
    let shown = project.dualrun(&["review", "show", "MC-1"]).exits(0);
    for part in ["rejected by ben", "the edition that we publish"] {
        assert!(shown.stdout.contains(part), "no {part}: {}", shown.stdout);
    }
}

#[test]
fn one_side_alone_is_calculated_and_not_recorded() {
    let project = Project::template();
    for (side, total) in [("legacy", "30.0875"), ("new", "23.914")] {
        let ran = project.dualrun(&[RUN.as_slice(), &["--side", side]].concat()).exits(0);
        assert!(ran.stdout.contains(total), "{side}: {}", ran.stdout);
    }
    assert_eq!(state::runs(project.path()).len(), 0);
}
