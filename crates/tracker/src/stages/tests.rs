use dualrun_core::Outcome;
use dualrun_state::records::RunRecord;

use crate::{
    evidence::{Evidence, assess},
    model::Transition,
    testing::{ENVIRONMENT, clean_nights, date, instant, pipeline, project},
};

use super::*;

/// What is asked for on `as_of`, for a pipeline that became `stage` on the night of 2025-04-03.
fn asked(stage: Stage, runs: &[RunRecord], as_of: &str) -> Option<Transition> {
    let project = project(vec![pipeline("p")], Vec::new());
    let promoted = StageEvent {
        pipeline: "p".parse().unwrap(),
        environment: ENVIRONMENT.into(),
        from: Stage::DualRun,
        to: stage,
        as_of: date("2025-04-03"),
        at: instant("2025-04-03T05:00:00Z"),
        actor: ACTOR.into(),
        reason: String::new(),
        evidence: Vec::new(),
    };
    let stages = [promoted];
    let evidence =
        Evidence { environment: ENVIRONMENT, as_of: date(as_of), runs, reviews: &[], stages: &stages };
    let assessment = assess(&project, &project.pipelines[0], &evidence);
    assert_eq!((assessment.stage, assessment.stage_since), (stage, Some(date("2025-04-03"))));
    assessment.next
}

#[test]
fn parity_comes_when_every_gate_passes_and_not_a_night_before() {
    let runs = clean_nights("2025-03-25", 10);
    let up = asked(Stage::DualRun, &runs, "2025-04-03").unwrap();
    assert_eq!((up.from, up.to, up.evidence.len()), (Stage::DualRun, Stage::Parity, 10));
    assert!(up.reason.starts_with("every gate passes: 10 of 10 clean nights"), "{}", up.reason);
    assert_eq!(asked(Stage::DualRun, &runs[1..], "2025-04-03"), None);
    let event = up.event(ENVIRONMENT, date("2025-04-03"), instant("2025-04-03T05:00:00Z"));
    assert_eq!((event.actor.as_str(), event.to), ("gate", Stage::Parity));
}

#[test]
fn a_broken_night_after_the_promotion_takes_it_back() {
    let mut runs = clean_nights("2025-03-20", 17);
    runs[1].outcome = Outcome::Differs;
    assert_eq!(
        asked(Stage::Parity, &runs, "2025-04-05"),
        None,
        "an old broken night was known at the promotion"
    );
    runs[15].outcome = Outcome::Differs;
    for stage in [Stage::Parity, Stage::Approved] {
        let down = asked(stage, &runs, "2025-04-05").unwrap();
        assert_eq!((down.from, down.to), (stage, Stage::DualRun));
        assert_eq!(down.reason, "the night of 2025-04-04 broke the streak: 2025-04-04 differs");
        assert_eq!(down.evidence, [runs[15].id]);
    }
    assert_eq!(asked(Stage::CutOver, &runs, "2025-04-05"), None);
}

#[test]
fn a_changed_calculation_takes_it_back() {
    let mut runs = clean_nights("2025-03-20", 17);
    for run in &mut runs[..16] {
        run.hashes.new = "older".into();
    }
    let down = asked(Stage::Parity, &runs, "2025-04-05").unwrap();
    assert_eq!(down.reason, "new calculation changed on 2025-04-05");
    let not_run = asked(Stage::Parity, &runs[..16], "2025-04-04").unwrap();
    assert_eq!(not_run.reason, "new calculation changed since the latest night");
}

#[test]
fn nights_without_an_answer_do_not_demote() {
    let mut runs = clean_nights("2025-03-20", 17);
    runs[16].outcome = Outcome::ReviewPending;
    assert_eq!(asked(Stage::Parity, &runs, "2025-04-12"), None);
}
