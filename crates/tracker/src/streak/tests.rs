use dualrun_core::Outcome;
use proptest::prelude::*;

use super::*;
use crate::{
    nights::nights,
    testing::{clean_nights, date, run},
};

const RULES: Rules = Rules { unit: PeriodUnit::Day, required: 10, month_end: true, unknown_after: 3 };
const MONTHS: Rules = Rules { unit: PeriodUnit::Month, required: 2, month_end: true, unknown_after: 3 };

fn counted(runs: &[RunRecord], as_of: &str, rules: &Rules) -> Streak {
    streak(&nights(runs, date(as_of)), None, rules, date(as_of))
}

#[test]
fn clean_nights_count_back_to_the_broken_one() {
    let mut runs = clean_nights("2025-03-20", 15);
    runs[4].outcome = Outcome::Differs;
    let streak = counted(&runs, "2025-04-03", &RULES);
    assert_eq!((streak.nights, streak.since), (10, Some(date("2025-03-25"))));
    assert_eq!(streak.broken_on, Some(date("2025-03-24")));
    assert!(streak.month_end && streak.unknown.is_none() && streak.changed.is_none());
    assert_eq!(streak.runs, runs[5..].iter().map(|r| r.id).collect::<Vec<_>>());
    assert_eq!(streak.last_night, Some(date("2025-04-03")));
}

#[test]
fn a_changed_calculation_starts_anew() {
    let mut runs = clean_nights("2025-03-01", 9);
    for run in &mut runs[..6] {
        run.hashes.new = "older".into();
    }
    let streak = counted(&runs, "2025-03-09", &RULES);
    assert_eq!((streak.nights, streak.month_end), (3, false));
    let change = streak.changed.unwrap();
    assert_eq!((change.on, change.what), (Some(date("2025-03-07")), vec!["new calculation".to_owned()]));
}

#[test]
fn files_that_did_not_run_yet_have_no_streak() {
    let runs = clean_nights("2025-03-01", 9);
    let present = Hashes { mapping: "m2".into(), legacy: "l".into(), new: "n2".into() };
    let streak = streak(&nights(&runs, date("2025-03-09")), Some(&present), &RULES, date("2025-03-09"));
    assert_eq!((streak.nights, streak.since), (0, None));
    let change = streak.changed.unwrap();
    assert_eq!((change.on, change.what), (None, vec!["mapping".to_owned(), "new calculation".to_owned()]));
}

#[test]
fn three_nights_without_an_answer_are_bridged_and_four_are_not() {
    for (silent, unknown) in [(3, false), (4, true)] {
        let mut runs = clean_nights("2025-03-01", 12);
        for run in &mut runs[5..5 + silent] {
            run.outcome = Outcome::ReviewPending;
        }
        let streak = counted(&runs, "2025-03-12", &RULES);
        assert_eq!(streak.nights as usize, 12 - silent);
        assert_eq!(streak.unknown.is_some(), unknown, "{silent} nights");
    }
}

#[test]
fn missing_nights_make_it_unknown_too() {
    let runs = clean_nights("2025-03-20", 12);
    assert_eq!(counted(&runs, "2025-04-04", &RULES).unknown, None);
    let late = counted(&runs, "2025-04-05", &RULES);
    assert_eq!(late.unknown.as_deref(), Some("4 nights in a row gave no answer"));
    assert_eq!(counted(&[], "2025-04-05", &RULES).unknown.as_deref(), Some("it never ran"));
}

#[test]
fn a_gap_behind_a_fulfilled_streak_tells_nothing_about_it() {
    let mut runs = clean_nights("2025-03-01", 1);
    runs.extend(clean_nights("2025-03-25", 11));
    let streak = counted(&runs, "2025-04-04", &RULES);
    assert_eq!((streak.nights, streak.unknown), (12, None));
}

fn months(outcomes: &[(&str, &str, Outcome)]) -> Vec<RunRecord> {
    outcomes.iter().map(|(night, month, o)| run(night).period(month).outcome(*o).build()).collect()
}

#[test]
fn a_monthly_pipeline_counts_closed_months_by_their_latest_run() {
    use Outcome::{Agrees, Differs};
    let runs = months(&[
        ("2025-03-01", "2025-02", Differs),
        ("2025-03-02", "2025-02", Agrees),
        ("2025-03-31", "2025-03", Differs),
        ("2025-04-01", "2025-03", Agrees),
        ("2025-04-02", "2025-04", Agrees),
    ]);
    let streak = counted(&runs, "2025-04-02", &MONTHS);
    assert_eq!((streak.nights, streak.required, streak.month_end), (2, 2, true));
    assert_eq!(streak.runs, [runs[1].id, runs[3].id]);
    assert_eq!(streak.broken_on, Some(date("2025-03-31")));
    assert_eq!(counted(&runs[..3], "2025-03-31", &MONTHS).nights, 1, "March is not closed");
    assert_eq!(streak.unknown, None);
}

#[test]
fn a_month_without_an_answer_between_others_is_unknown() {
    use Outcome::Agrees;
    let runs = months(&[("2025-05-01", "2025-02", Agrees), ("2025-05-02", "2025-04", Agrees)]);
    let streak = counted(&runs, "2025-05-02", &MONTHS);
    assert_eq!((streak.nights, streak.unknown.as_deref()), (2, Some("a closed month gave no answer")));
    let silent = counted(&runs, "2025-05-07", &MONTHS);
    assert_eq!(silent.unknown.as_deref(), Some("4 nights in a row gave no answer"));
}

/// Nights from 2025-01-01 on; `None` is a night without a run.
fn sequence(outcomes: &[Option<Outcome>]) -> (Vec<RunRecord>, Date) {
    let first = date("2025-01-01");
    let days: Vec<Date> = first.series(jiff::ToSpan::days(1)).take(outcomes.len().max(1)).collect();
    let runs = days
        .iter()
        .zip(outcomes)
        .filter_map(|(day, outcome)| outcome.map(|o| run(&day.to_string()).outcome(o).build()))
        .collect();
    (runs, *days.last().unwrap())
}

fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        4 => Just(Some(Outcome::Agrees)),
        1 => Just(Some(Outcome::Differs)),
        1 => Just(Some(Outcome::ReviewPending)),
        1 => Just(Some(Outcome::NotComparable)),
        1 => Just(Some(Outcome::Failed)),
        1 => Just(None),
    ]
}

fn of(outcomes: &[Option<Outcome>]) -> Streak {
    let (runs, as_of) = sequence(outcomes);
    streak(&nights(&runs, as_of), None, &RULES, as_of)
}

proptest! {
    #[test]
    fn breaking_a_night_never_lengthens_the_streak(
        outcomes in prop::collection::vec(outcome(), 1..60),
        at in any::<prop::sample::Index>(),
    ) {
        let mut broken = outcomes.clone();
        let at = at.index(broken.len());
        broken[at] = Some(Outcome::Differs);
        prop_assert!(of(&broken).nights <= of(&outcomes).nights);
    }

    #[test]
    fn a_night_without_an_answer_neither_counts_nor_breaks(
        outcomes in prop::collection::vec(outcome(), 1..60),
        at in any::<prop::sample::Index>(),
        silent in prop::sample::select(vec![Outcome::ReviewPending, Outcome::NotComparable, Outcome::Failed]),
    ) {
        let mut more = outcomes.clone();
        more.insert(at.index(outcomes.len() + 1), Some(silent));
        prop_assert_eq!(of(&more).nights, of(&outcomes).nights);
        prop_assert_eq!(of(&more).broken_on.is_some(), of(&outcomes).broken_on.is_some());
    }

    #[test]
    fn the_runs_are_those_of_the_counted_nights(outcomes in prop::collection::vec(outcome(), 1..60)) {
        let streak = of(&outcomes);
        prop_assert_eq!(streak.runs.len(), streak.nights as usize);
        prop_assert_eq!(streak.since.is_some(), streak.nights > 0);
        prop_assert!(streak.broken_on.is_none_or(|b| streak.since.is_none_or(|s| b < s)));
    }
}
