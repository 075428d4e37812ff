use super::*;
use crate::testing::{approval, change, cid, date, instant, run};

fn judged(reviews: &[ReviewRecord], as_of: &str, broken: &[&str]) -> (ReviewStatus, String) {
    let broken = broken.iter().map(|id| cid(id)).collect();
    let state = state(&change("MC-1"), reviews, date(as_of), &broken);
    (state.status, state.reason_not.unwrap_or_default())
}

#[test]
fn an_approval_holds_for_the_file_as_it_is_until_it_expires() {
    let reviews = [approval("MC-2"), approval("MC-1")];
    assert_eq!(judged(&reviews, "2025-03-01", &[]), (ReviewStatus::Approved, String::new()));
    assert_eq!(judged(&reviews, "2026-01-31", &["MC-2"]).0, ReviewStatus::Approved);
    let (status, reason) = judged(&reviews, "2026-02-01", &[]);
    assert_eq!(
        (status, reason.as_str()),
        (ReviewStatus::Proposed, "the approval by rui expired on 2026-01-31")
    );
}

#[test]
fn everything_else_is_not_approved_and_says_why() {
    let with = |edit: fn(&mut ReviewRecord)| {
        let mut review = approval("MC-1");
        edit(&mut review);
        judged(&[review], "2025-03-01", &[])
    };
    assert_eq!(judged(&[], "2025-03-01", &[]), (ReviewStatus::Proposed, "nobody decided yet".into()));
    assert_eq!(with(|r| r.change_hash = "h0".into()).1, "its file changed since rui decided");
    assert_eq!(with(|r| r.reviewer = " Olga".into()).1, " Olga is its owner and cannot approve it");
    assert_eq!(
        with(|r| r.status = ReviewStatus::Rejected),
        (ReviewStatus::Rejected, "rui rejected it: as published".into())
    );
    let (status, reason) = judged(&[approval("MC-1")], "2025-03-01", &["MC-1"]);
    assert_eq!((status, reason.as_str()), (ReviewStatus::Proposed, "it does not do what its file promises"));
}

#[test]
fn the_latest_decision_counts_in_whatever_order_they_come() {
    let early = approval("MC-1");
    let mut late = approval("MC-1");
    late.status = ReviewStatus::Rejected;
    late.at = instant("2025-02-04T00:00:00Z");
    for reviews in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        assert_eq!(judged(&reviews, "2025-03-01", &[]).0, ReviewStatus::Rejected);
    }
    // A file that changed after the rejection is proposed anew.
    late.change_hash = "h0".into();
    assert_eq!(judged(&[early, late], "2025-03-01", &[]).0, ReviewStatus::Proposed);
}

#[test]
fn owners_and_silence_are_refused() {
    let now = instant("2025-03-01T23:30:00Z");
    let policy = GatePolicy::default();
    let decide = |decision, reviewer, reason| {
        decide(&change("MC-1"), decision, reviewer, reason, now, Seen::new(), &policy)
    };
    let refused = decide(Decision::Approve, "OLGA ", "fine").unwrap_err();
    assert_eq!(refused.to_string(), "OLGA proposed MC-1 and cannot review it");
    assert_eq!(decide(Decision::Reject, "rui", " \t"), Err(TrackerError::NoReason));
    assert_eq!(decide(Decision::Approve, "", "fine"), Err(TrackerError::NoReviewer));

    let approved = decide(Decision::Approve, "rui", " as published ").unwrap();
    assert_eq!((approved.status, approved.expires), (ReviewStatus::Approved, Some(date("2026-03-01"))));
    assert_eq!((approved.reason.as_str(), approved.change_hash.as_str()), ("as published", "h1"));
    assert_eq!(decide(Decision::Reject, "rui", "too large").unwrap().expires, None);
    assert!(state(&change("MC-1"), &[approved], date("2025-03-02"), &BTreeSet::new()).is_approved());
}

#[test]
fn an_approval_beyond_the_calendar_is_refused() {
    let policy = GatePolicy { approval_days: u32::MAX, ..GatePolicy::default() };
    let now = instant("2025-03-01T00:00:00Z");
    let result = decide(&change("MC-1"), Decision::Approve, "rui", "x", now, Seen::new(), &policy);
    assert_eq!(result, Err(TrackerError::TooLong(u32::MAX)));
}

#[test]
fn the_effects_of_the_newest_run_are_shown_to_the_reviewer() {
    let older = run("2025-03-01").bridge("MC-1", Promise::Kept).build();
    let mut newer = run("2025-03-02").bridge("MC-1", Promise::Kept).build();
    newer.report.bridge[0].effect = dualrun_core::run::figures::Figure("-7".into());
    let without = run("2025-03-03").build();
    let seen = seen(&cid("MC-1"), [&newer, &older, &without]);
    assert_eq!(seen["p"]["kg"], "-7");
    assert_eq!(seen.len(), 1);
}

#[test]
fn broken_promises_come_from_the_bridge() {
    let run = run("2025-03-01").bridge("MC-1", Promise::Broken).bridge("MC-2", Promise::NotYetKnown).build();
    assert_eq!(broken_promises(&run.report), BTreeSet::from([cid("MC-1")]));
}
