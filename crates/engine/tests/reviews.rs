//! Decisions about changes, and how far they reach.

use dualrun_core::{ExitCode, Outcome, review::ReviewStatus};
use dualrun_engine::{EngineError, reviews::decide, run};
use dualrun_tracker::reviews::Decision;

use crate::common::{DAY, GOLD_FILE, Setup, World, change, entry, near, request};

#[tokio::test]
async fn an_owner_does_not_approve_its_own_change_and_a_reason_is_asked_for() {
    let world = World::with_meters(Setup::with_factor_change());
    world.run(DAY).await;
    let context = world.context();
    let id = "MC-1".parse().unwrap();
    for (reviewer, reason) in [("Product", "fine"), ("reviewer", " "), ("", "fine")] {
        let error = decide(&context, &id, Decision::Approve, reviewer, reason).await.unwrap_err();
        assert!(matches!(error, EngineError::Tracker(_)), "{error:?}");
        assert_eq!(error.exit_code(), ExitCode::Usage);
    }
    let error = decide(&context, &"MC-9".parse().unwrap(), Decision::Approve, "a", "b").await.unwrap_err();
    assert!(matches!(error, EngineError::UnknownChange(_)));
    assert!(world.state.reviews(None).await.unwrap().is_empty());
    assert_eq!(world.runs().await[0].outcome, Outcome::ReviewPending);
}

#[tokio::test]
async fn a_decision_keeps_what_it_was_made_on_and_stands_in_the_audit_log() {
    let world = World::with_meters(Setup::with_factor_change());
    world.run(DAY).await;
    let review = world.decide("MC-1", Decision::Approve).await.review;
    assert_eq!((review.status, review.reviewer.as_str()), (ReviewStatus::Approved, "reviewer"));
    assert_eq!(review.change_hash, world.context().project.changes[0].hash);
    assert!(near(review.seen["energy"]["co2e_kg"].parse().unwrap(), -4.0), "{:?}", review.seen);
    assert_eq!(world.state.verify_audit().await.unwrap(), 1);
    // A second thought.
    assert_eq!(world.decide("MC-1", Decision::Reject).await.reassessed[0].2, Outcome::Differs);
    assert_eq!(world.decide("MC-1", Decision::Approve).await.reassessed[0].2, Outcome::Agrees);
    assert_eq!(world.state.verify_audit().await.unwrap(), 3);
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn an_approval_ends_with_the_file_that_it_was_given_for() {
    let mut world = World::with_meters(Setup::with_factor_change());
    world.decide("MC-1", Decision::Approve).await;
    assert_eq!(world.run(DAY).await.code, ExitCode::Agree);
    world.setup = world.setup.clone().append("methodology/MC-1.toml", "\n# Another thought.\n");
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.repeated), (ExitCode::ReviewPending, false));
}

#[tokio::test]
async fn one_of_two_changes_may_be_approved() {
    let switch = "parameter = \"factor\"\nlegacy = 1\nnew = 2\n";
    let setup = Setup::with_factor_change()
        .parameter("factor", "integer")
        .edit(GOLD_FILE, "sum(s.kwh) as kwh", "sum(s.kwh) * $factor as kwh")
        .file("methodology/MC-2.toml", &change("MC-2", &["energy"], switch, ""));
    let world = World::with_meters(setup);
    world.run(DAY).await;
    world.decide("MC-1", Decision::Approve).await;
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::ReviewPending);
    let of = |name: &str| report.columns.iter().find(|c| c.name == name).unwrap().verdicts;
    assert_eq!((of("co2e_kg").explained, of("kwh").pending), (3, 3));
    let last = world.decide("MC-2", Decision::Approve).await;
    assert_eq!(last.reassessed[0].2, Outcome::Agrees);
}

/// `n` changes, each of which adds 1 kWh to every row.
fn many(n: usize) -> Setup {
    let names: Vec<String> = (1..=n).map(|i| format!("plus{i}")).collect();
    let sum = format!(
        "sum(s.kwh) + {} as kwh",
        names.iter().map(|p| format!("${p}")).collect::<Vec<_>>().join(" + ")
    );
    names.iter().fold(Setup::plain().edit(GOLD_FILE, "sum(s.kwh) as kwh", &sum), |setup, name| {
        let switch = format!("parameter = \"{name}\"\nlegacy = 0\nnew = 1\n");
        setup
            .parameter(name, "integer")
            .file(&format!("methodology/{name}.toml"), &change(name, &["energy"], &switch, ""))
    })
}

#[tokio::test]
async fn more_than_three_changes_are_split_where_it_is_asked_for() {
    let world = World::with_meters(many(4));
    let report = world.report().await;
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert!(report.bridge.is_empty());
    let world = World::with_meters(many(4));
    let mut asked = request(DAY);
    asked.split = true;
    let report = run(&world.context(), &asked, &dualrun_engine::Silent).await.unwrap().report.unwrap();
    for change in ["plus1", "plus2", "plus3", "plus4"] {
        assert!(near(entry(&report, change, "kwh").effect.to_f64(), 3.0), "{:?}", report.bridge);
    }
    let decided = world.decide("plus1", Decision::Approve).await;
    assert_eq!(decided.reassessed[0].2, Outcome::ReviewPending, "three others still wait");
    assert!(entry(&world.report().await, "plus1", "kwh").approved);
}

#[tokio::test]
async fn a_decision_that_asks_for_a_replay_that_is_not_stored_shows_in_the_next_night() {
    let world = World::with_meters(many(4));
    world.run(DAY).await;
    assert!(world.decide("plus1", Decision::Approve).await.reassessed.is_empty());
    let again = world.run(DAY).await;
    assert_eq!((again.code, again.repeated), (ExitCode::ReviewPending, true));
    assert!(again.notes[0].contains("run the period again"), "{:?}", again.notes);
    for change in ["plus2", "plus3", "plus4"] {
        world.decide(change, Decision::Approve).await;
    }
    // All of them together are the new result itself, which stands there.
    let answer = world.run(DAY).await;
    assert_eq!((answer.code, answer.repeated), (ExitCode::Agree, true));
    assert!(answer.notes.is_empty());
}
