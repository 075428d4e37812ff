//! The suite that every store must pass. Each function wants an empty store of its own and panics where the store
//! does not keep to the contract of [`StateStore`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite, built only for tests")]

use std::collections::BTreeMap;

use dualrun_core::{ExitCode, Outcome, Stage, input::Side, review::ReviewStatus, run::RunReport};
use jiff::Timestamp;

use crate::{
    error::StateError,
    records::{
        CalculationRecord, CustomerCoverage, Hashes, NightRecord, ReviewRecord, RunFilter, RunRecord,
        StageEvent,
    },
    store::StateStore,
};

/// A run of `usage` whose id, key and night are made from small numbers.
pub fn sample_run(number: u8, key: &str, outcome: Outcome) -> RunRecord {
    let report = serde_json::json!({
        "schema": dualrun_core::run::SCHEMA, "run_id": "", "pipeline": "usage", "period": null, "as_of": null,
        "outcome": outcome,
        "rows": {
            "legacy": 0, "new": 0, "paired": 0, "equal": 0, "within_tolerance": 0, "explained": 0, "pending": 0,
            "unexplained": 0, "only_legacy": 0, "only_new": 0, "ambiguous_key": {"legacy": 0, "new": 0},
            "null_keys": 0, "one_sided": {"explained": 0, "pending": 0, "unexplained": 0}
        },
        "columns": [], "customers": [], "customers_path": null, "inputs": [], "bridge": [], "findings": [],
        "differences": {"path": null, "rows": 0, "truncated": false}, "notes": [format!("note of run {number}")],
    });
    let report: RunReport = serde_json::from_value(report).unwrap();
    RunRecord {
        id: format!("01980000-0000-7000-8000-0000000000{number:02x}").parse().unwrap(),
        key: key.to_owned(),
        pipeline: "usage".parse().unwrap(),
        period: "2025-03-01".parse().unwrap(),
        as_of: "2025-03-02".parse().unwrap(),
        environment: "production".to_owned(),
        outcome,
        recorded_at: instant(number),
        hashes: Hashes { mapping: "m".into(), legacy: "l".into(), new: "n".into() },
        checks_passed: true,
        customers: CustomerCoverage { total: 40, compared: 39 },
        evidence: "runs/pipeline=usage".to_owned(),
        report,
    }
}

/// A run that is recorded is found by id and by key, as it was.
pub async fn runs_are_found_as_recorded(store: &dyn StateStore) {
    let run = sample_run(1, "k1", Outcome::Agrees);
    assert_eq!(store.record_run(&run).await.unwrap(), run.id);
    assert_eq!(store.run(run.id).await.unwrap().as_ref(), Some(&run));
    assert_eq!(store.run_by_key("k1").await.unwrap(), Some(run));
    assert_eq!(store.run_by_key("K1").await.unwrap(), None);
    assert_eq!(store.run(sample_run(2, "", Outcome::Agrees).id).await.unwrap(), None);
}

/// A final run stays; an attempt makes room for the next one of its key.
pub async fn one_run_stands_for_a_key(store: &dyn StateStore) {
    for (number, key, outcome) in [(1, "k1", Outcome::Failed), (2, "k2", Outcome::NotComparable)] {
        store.record_run(&sample_run(number, key, outcome)).await.unwrap();
    }
    let second = sample_run(3, "k1", Outcome::Differs);
    assert_eq!(store.record_run(&second).await.unwrap(), second.id);
    assert_eq!(store.run(sample_run(1, "", Outcome::Failed).id).await.unwrap(), None);
    let third = sample_run(4, "k1", Outcome::Agrees);
    assert_eq!(store.record_run(&third).await.unwrap(), second.id, "a final run stays");
    assert_eq!(store.record_run(&second).await.unwrap(), second.id, "recording twice gives one run");
    assert_eq!(store.run_by_key("k1").await.unwrap(), Some(second));
    let again = sample_run(2, "k2", Outcome::Agrees);
    assert_eq!(store.record_run(&again).await.unwrap(), again.id, "an attempt may keep its id");
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap().len(), 2);
}

/// An attempt makes room for the next run of its pipeline, environment, night and period, whatever its key was.
pub async fn an_attempt_makes_room_for_the_same_command(store: &dyn StateStore) {
    let failed = sample_run(1, "failed", Outcome::Failed);
    let mut elsewhere = sample_run(2, "elsewhere", Outcome::Failed);
    elsewhere.environment = "elsewhere".to_owned();
    for run in [&failed, &elsewhere] {
        store.record_run(run).await.unwrap();
    }
    let done = sample_run(3, "done", Outcome::Agrees);
    store.record_run(&done).await.unwrap();
    assert_eq!(store.run(failed.id).await.unwrap(), None);
    assert_eq!(store.run(elsewhere.id).await.unwrap(), Some(elsewhere), "another environment is not touched");
    // A later attempt stands beside the final run: it says what happened since.
    let late = sample_run(4, "late", Outcome::Failed);
    store.record_run(&late).await.unwrap();
    assert_eq!(store.run(done.id).await.unwrap(), Some(done));
}

/// A new assessment takes the place of the old one without a new run.
pub async fn assessments_replace_outcome_and_report(store: &dyn StateStore) {
    let run = sample_run(1, "k1", Outcome::ReviewPending);
    store.record_run(&run).await.unwrap();
    let mut report = run.report.clone();
    report.outcome = Outcome::Agrees;
    for _ in 0..2 {
        store.record_assessment(run.id, Outcome::Agrees, &report, instant(9)).await.unwrap();
    }
    let found = store.run(run.id).await.unwrap().unwrap();
    assert_eq!((found.outcome, found.report), (Outcome::Agrees, report.clone()));
    let unknown = sample_run(7, "", Outcome::Agrees).id;
    let error = store.record_assessment(unknown, Outcome::Agrees, &report, instant(9)).await.unwrap_err();
    assert!(matches!(error, StateError::UnknownRun(id) if id == unknown), "{error:?}");
}

/// Filters choose, the newest night comes first, then pipeline and period; a limit keeps the newest.
pub async fn runs_are_listed_newest_first(store: &dyn StateStore) {
    let edits: [(&str, &str, &str, &str); 5] = [
        ("usage", "2025-03-01", "2025-03-02", "production"),
        ("usage", "2025-03-02", "2025-03-03", "production"),
        ("usage", "2025-03-01", "2025-03-03", "production"),
        ("bills", "2025-03", "2025-03-03", "production"),
        ("usage", "2025-03-01", "2025-03-04", "staging"),
    ];
    for (number, (pipeline, period, as_of, environment)) in (1..).zip(edits) {
        let mut run = sample_run(number, &format!("k{number}"), Outcome::Agrees);
        run.pipeline = pipeline.parse().unwrap();
        run.period = period.parse().unwrap();
        run.as_of = as_of.parse().unwrap();
        run.environment = environment.to_owned();
        store.record_run(&run).await.unwrap();
    }
    let listed = async |filter: RunFilter| -> Vec<String> {
        store.runs(&filter).await.unwrap().into_iter().map(|run| run.key).collect()
    };
    let production = RunFilter { environment: Some("production".into()), ..RunFilter::default() };
    assert_eq!(listed(RunFilter::default()).await, ["k5", "k4", "k3", "k2", "k1"]);
    assert_eq!(listed(production.clone()).await, ["k4", "k3", "k2", "k1"]);
    assert_eq!(listed(RunFilter { limit: Some(2), ..production.clone() }).await, ["k4", "k3"]);
    let usage = RunFilter { pipeline: "usage".parse().ok(), ..production };
    assert_eq!(listed(usage.clone()).await, ["k3", "k2", "k1"]);
    let period = RunFilter { period: "2025-03-01".parse().ok(), ..usage.clone() };
    assert_eq!(listed(period).await, ["k3", "k1"]);
    assert_eq!(listed(RunFilter { as_of: "2025-03-02".parse().ok(), ..usage }).await, ["k1"]);
}

/// Calculations are remembered, replaced and forgotten by their key.
pub async fn calculations_come_and_go(store: &dyn StateStore) {
    let mut record = CalculationRecord {
        key: "c1".into(),
        pipeline: "usage".parse().unwrap(),
        side: Side::New,
        path: "a.parquet".into(),
        rows: 12,
        hash: "00".into(),
    };
    store.record_calculation(&record).await.unwrap();
    record.path = "b.parquet".into();
    store.record_calculation(&record).await.unwrap();
    assert_eq!(store.calculation("c1").await.unwrap(), Some(record));
    store.forget_calculation("c1").await.unwrap();
    store.forget_calculation("c1").await.unwrap();
    assert_eq!(store.calculation("c1").await.unwrap(), None);
}

/// A night is recorded at its start and again at its end.
pub async fn nights_begin_and_end(store: &dyn StateStore) {
    let mut nights = Vec::new();
    for (number, as_of) in [(1, "2025-03-02"), (2, "2025-03-04"), (3, "2025-03-03")] {
        let night = NightRecord {
            key: format!("night {as_of}"),
            as_of: as_of.parse().unwrap(),
            environment: "production".into(),
            code: None,
            started_at: instant(number),
            finished_at: None,
            result: None,
        };
        store.record_night(&night).await.unwrap();
        nights.push(night);
    }
    assert_eq!(store.night("night 2025-03-02").await.unwrap(), Some(nights[0].clone()));
    let ended = NightRecord {
        code: Some(ExitCode::Nothing),
        finished_at: Some(instant(8)),
        result: Some("{}".into()),
        ..nights[0].clone()
    };
    store.record_night(&ended).await.unwrap();
    assert_eq!(store.night("night 2025-03-02").await.unwrap(), Some(ended.clone()));
    let listed = store.nights("production", 2).await.unwrap();
    assert_eq!(listed, [nights[1].clone(), nights[2].clone()]);
    assert_eq!(store.nights("production", 9).await.unwrap().last(), Some(&ended));
    assert_eq!(store.nights("staging", 9).await.unwrap(), []);
    assert_eq!(store.night("another").await.unwrap(), None);
}

/// Reviews and changes of stage are kept in order, and each adds a line to the audit log.
pub async fn decisions_are_kept_and_audited(store: &dyn StateStore) {
    let reviews = [review("MC-1", ReviewStatus::Rejected, 1), review("MC-2", ReviewStatus::Approved, 2)];
    for review in &reviews {
        store.record_review(review).await.unwrap();
    }
    let again = review("MC-1", ReviewStatus::Approved, 3);
    store.record_review(&again).await.unwrap();
    let first = "MC-1".parse().unwrap();
    assert_eq!(store.reviews(Some(&first)).await.unwrap(), [reviews[0].clone(), again.clone()]);
    assert_eq!(store.reviews(None).await.unwrap(), [reviews[0].clone(), reviews[1].clone(), again]);

    let usage = "usage".parse().unwrap();
    assert_eq!(store.stage("production", &usage).await.unwrap(), None);
    let up = event("usage", Stage::DualRun, Stage::Parity, 4);
    let down = event("usage", Stage::Parity, Stage::DualRun, 5);
    for event in [&up, &down, &event("bills", Stage::DualRun, Stage::Parity, 6)] {
        store.record_stage(event).await.unwrap();
    }
    assert_eq!(store.stage("production", &usage).await.unwrap(), Some(Stage::DualRun));
    assert_eq!(store.stage("staging", &usage).await.unwrap(), None);
    assert_eq!(store.stage_events("production", Some(&usage)).await.unwrap(), [up, down]);
    assert_eq!(store.stage_events("production", None).await.unwrap().len(), 3);
    assert_eq!(store.stage_events("staging", None).await.unwrap(), []);

    let log = store.audit().await.unwrap();
    let actions: Vec<_> = log.iter().map(|line| line.action.as_str()).collect();
    let expected =
        ["review.rejected", "review.approved", "review.approved", "stage.promoted", "stage.demoted"];
    assert_eq!(actions[..5], expected);
    assert_eq!((log[0].actor.as_str(), log[0].subject.as_str()), ("rui", "MC-1"));
    assert_eq!(log.iter().map(|line| line.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(store.verify_audit().await.unwrap(), 6);
}

/// A lock has one holder at a time, also within one process, and is free when it is dropped.
pub async fn a_lock_has_one_holder(store: &dyn StateStore) {
    let held = store.try_lock("night/2025-03-02").await.unwrap();
    assert!(held.is_some());
    assert!(store.try_lock("night/2025-03-02").await.unwrap().is_none());
    assert!(store.try_lock("night/2025-03-03").await.unwrap().is_some());
    drop(held);
    assert!(store.try_lock("night/2025-03-02").await.unwrap().is_some());
}

/// An empty store has nothing, and its audit log holds.
pub async fn an_empty_store_answers(store: &dyn StateStore) {
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap(), []);
    assert_eq!(store.reviews(None).await.unwrap(), []);
    assert_eq!(store.audit().await.unwrap(), []);
    assert_eq!(store.verify_audit().await.unwrap(), 0);
}

fn instant(second: u8) -> Timestamp {
    Timestamp::new(1_740_873_600 + i64::from(second), 123_456_789).unwrap()
}

fn review(change: &str, status: ReviewStatus, second: u8) -> ReviewRecord {
    ReviewRecord {
        change: change.parse().unwrap(),
        status,
        change_hash: "ff".into(),
        reviewer: "rui".into(),
        reason: "as published, \"page 12\"".into(),
        at: instant(second),
        seen: BTreeMap::from([("usage".into(), BTreeMap::from([("kg".into(), "-12.5".into())]))]),
        expires: "2026-03-01".parse().ok().filter(|_| status == ReviewStatus::Approved),
    }
}

fn event(pipeline: &str, from: Stage, to: Stage, second: u8) -> StageEvent {
    StageEvent {
        pipeline: pipeline.parse().unwrap(),
        environment: "production".into(),
        from,
        to,
        as_of: "2025-03-02".parse().unwrap(),
        at: instant(second),
        actor: "gate".into(),
        reason: "every gate passes".into(),
        evidence: vec![sample_run(second, "", Outcome::Agrees).id],
    }
}
