use dualrun_core::{Outcome, Stage, run::Promise};
use dualrun_mapping::settings::PhaseSettings;

use super::*;
use crate::testing::{ENVIRONMENT, approval, change, clean_nights, date, pipeline, project, run};

fn example() -> Project {
    let mut building = pipeline("q");
    building.stage = Stage::Building;
    building.phase = Phase::Final;
    let mut project = project(vec![pipeline("p"), building], vec![change("MC-1"), change("MC-2")]);
    project.settings.phases =
        vec![PhaseSettings { number: Phase::Main, start: date("2025-01-01"), end: date("2025-03-31") }];
    project
}

#[test]
fn a_status_counts_and_names_what_blocks() {
    let project = example();
    let mut runs = clean_nights("2025-03-28", 7);
    runs.push(run("2025-04-04").finding("f1", 0.2).finding("f2", 0.8).bridge("MC-1", Promise::Kept).build());
    runs.push(run("2025-04-05").build());
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-04-04"),
        runs: &runs,
        reviews: &[approval("MC-1")],
        stages: &[],
    };
    let status = status(&project, &evidence);
    assert_eq!((status.totals.pipelines, status.totals.runs, status.totals.nights), (2, 8, 8));
    assert_eq!((status.totals.broken, status.totals.unanswered, status.totals.findings), (1, 1, 2));
    assert_eq!((status.totals.changes_approved, status.totals.changes_proposed), (1, 1));

    let p = &status.pipelines[0];
    assert_eq!(p.history.len(), 8);
    assert_eq!(p.last_outcome, Some(Outcome::Differs));
    assert_eq!(p.findings.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["f2", "f1"]);
    assert_eq!(p.findings[0].first_seen, date("2025-04-04"));

    let effect = &status.changes[0].effects[0];
    assert_eq!((effect.effect.as_str(), effect.seen.as_ref().unwrap().as_str()), ("-12.5", "-12"));

    let phase = &status.phases[0];
    assert_eq!((phase.timing, phase.elapsed, phase.share_migrated), (PhaseTiming::Late, Some(1.0), 0.0));
    assert_eq!((status.phases[1].timing, status.phases[1].start), (PhaseTiming::NotPlanned, None));

    assert_eq!(
        status.blockers,
        [
            "p: unit_scale in kg since 2025-04-04, 7 rows of 2 customers: new = 1000 × legacy, and 1 more findings",
            "MC-2 waits for review: nobody decided yet (moves p)",
            "phase 2 was planned to end on 2025-03-31: 1 of 1 pipelines are not migrated",
            "p: 0 of 10 clean nights: the night of 2025-04-04 was broken",
            "p: not approved: MC-2 (nobody decided yet)",
            "p: no gaps was not checked for 2025-04-04",
            "q: its stage is building",
        ]
    );
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
}

#[test]
fn history_is_cut_to_the_last_nights() {
    let project = example();
    let runs = clean_nights("2025-01-01", 70);
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-03-11"),
        runs: &runs,
        reviews: &[],
        stages: &[],
    };
    let status = status(&project, &evidence);
    assert_eq!(status.pipelines[0].history.len(), HISTORY);
    assert_eq!(status.pipelines[0].history[0].date, date("2025-01-11"));
    assert_eq!(status.phases[0].timing, PhaseTiming::Running);
    assert_eq!(status.phases[0].elapsed, Some(70.0 / 90.0));
}

#[test]
fn an_empty_project_has_a_status() {
    let project = project(Vec::new(), Vec::new());
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-03-11"),
        runs: &[],
        reviews: &[],
        stages: &[],
    };
    let status = status(&project, &evidence);
    assert_eq!((status.totals.share_migrated, status.phases.len(), status.blockers.len()), (0.0, 0, 0));
}
