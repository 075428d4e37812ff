//! Which methodology changes are approved.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{
    ChangeId,
    review::ReviewStatus,
    run::{Promise, RunReport},
};
use dualrun_mapping::{plan::Change, settings::GatePolicy};
use dualrun_state::records::{ReviewRecord, RunRecord};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::{error::TrackerError, model::ReviewState};

/// What a reviewer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The effect is as it should be.
    Approve,
    /// It is not: what the change moves is unexplained.
    Reject,
}

/// The effects that a decision is made on: pipeline → column → Σφ as text.
pub type Seen = BTreeMap<String, BTreeMap<String, String>>;

/// Where a change stands on a day. It is approved only where the latest decision approves the file as it is, by
/// somebody who is not its owner, has not expired, and the promise of the change is not among the broken ones.
pub fn state(
    change: &Change,
    reviews: &[ReviewRecord],
    as_of: Date,
    broken: &BTreeSet<ChangeId>,
) -> ReviewState {
    // The last of several at the same instant wins, as `max_by_key` gives the last of equals.
    let last = reviews.iter().filter(|review| review.change == change.id).max_by_key(|review| review.at);
    let (status, reason_not) = match last {
        None => (ReviewStatus::Proposed, Some("nobody decided yet".to_owned())),
        Some(review) => judge(change, review, as_of, broken.contains(&change.id)),
    };
    ReviewState { status, reason_not, last: last.cloned() }
}

/// [`state`] of each change.
pub fn states(
    changes: &[Change],
    reviews: &[ReviewRecord],
    as_of: Date,
    broken: &BTreeSet<ChangeId>,
) -> BTreeMap<ChangeId, ReviewState> {
    changes.iter().map(|change| (change.id.clone(), state(change, reviews, as_of, broken))).collect()
}

/// The changes whose promise a run found broken: they count as not approved in that run.
pub fn broken_promises(report: &RunReport) -> BTreeSet<ChangeId> {
    report
        .bridge
        .iter()
        .filter(|entry| entry.promise == Promise::Broken)
        .filter_map(|entry| entry.change.parse().ok())
        .collect()
}

/// The effects of a change to show to its reviewer: of each pipeline the newest run whose bridge names it, the
/// latest period first.
pub fn seen<'a>(change: &ChangeId, runs: impl IntoIterator<Item = &'a RunRecord>) -> Seen {
    let mut newest: BTreeMap<String, &RunRecord> = BTreeMap::new();
    let age = |run: &RunRecord| (run.as_of, run.period, run.recorded_at);
    for run in runs.into_iter().filter(|run| names(run, change)) {
        let slot = newest.entry(run.pipeline.to_string()).or_insert(run);
        if age(run) > age(slot) {
            *slot = run;
        }
    }
    let effects = |run: &RunRecord| {
        let of_change = run.report.bridge.iter().filter(|entry| entry.change == change.as_str());
        of_change.map(|entry| (entry.column.clone(), entry.effect.to_string())).collect()
    };
    newest.into_iter().map(|(pipeline, run)| (pipeline, effects(run))).collect()
}

/// A decision, ready to be recorded.
///
/// # Errors
/// The owner of the change as its reviewer; a reviewer or a reason that is empty.
pub fn decide(
    change: &Change,
    decision: Decision,
    reviewer: &str,
    reason: &str,
    now: Timestamp,
    seen: Seen,
    policy: &GatePolicy,
) -> Result<ReviewRecord, TrackerError> {
    let (reviewer, reason) = (reviewer.trim(), reason.trim());
    if reviewer.is_empty() {
        return Err(TrackerError::NoReviewer);
    }
    if reason.is_empty() {
        return Err(TrackerError::NoReason);
    }
    if same_person(reviewer, &change.owner) {
        return Err(TrackerError::OwnerReviews { change: change.id.clone(), reviewer: reviewer.to_owned() });
    }
    let (status, expires) = match decision {
        Decision::Approve => (ReviewStatus::Approved, Some(expiry(now, policy.approval_days)?)),
        Decision::Reject => (ReviewStatus::Rejected, None),
    };
    Ok(ReviewRecord {
        change: change.id.clone(),
        status,
        change_hash: change.hash.clone(),
        reviewer: reviewer.to_owned(),
        reason: reason.to_owned(),
        at: now,
        seen,
        expires,
    })
}

fn judge(
    change: &Change,
    review: &ReviewRecord,
    as_of: Date,
    broken: bool,
) -> (ReviewStatus, Option<String>) {
    let who = &review.reviewer;
    let reopened = |reason: String| (ReviewStatus::Proposed, Some(reason));
    if review.change_hash != change.hash {
        return reopened(format!("its file changed since {who} decided"));
    }
    match review.status {
        ReviewStatus::Proposed => reopened("it was opened again".to_owned()),
        ReviewStatus::Rejected => {
            (ReviewStatus::Rejected, Some(format!("{who} rejected it: {}", review.reason)))
        }
        ReviewStatus::Approved => {
            if same_person(who, &change.owner) {
                reopened(format!("{who} is its owner and cannot approve it"))
            } else if let Some(day) = review.expires.filter(|day| as_of > *day) {
                reopened(format!("the approval by {who} expired on {day}"))
            } else if broken {
                reopened("it does not do what its file promises".to_owned())
            } else {
                (ReviewStatus::Approved, None)
            }
        }
    }
}

fn names(run: &RunRecord, change: &ChangeId) -> bool {
    run.report.bridge.iter().any(|entry| entry.change == change.as_str())
}

fn same_person(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// The last day of an approval.
fn expiry(now: Timestamp, days: u32) -> Result<Date, TrackerError> {
    let too_long = |_| TrackerError::TooLong(days);
    let span = 0.days().try_days(i64::from(days)).map_err(too_long)?;
    now.to_zoned(TimeZone::UTC).date().checked_add(span).map_err(too_long)
}

#[cfg(test)]
mod tests;
