//! What each night says about a pipeline.

use std::collections::BTreeMap;

use dualrun_core::{Outcome, Period};
use dualrun_state::records::RunRecord;
use jiff::{ToSpan, civil::Date};

use crate::model::{NightAnswer, NightMark};

/// One night of one pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Night<'a> {
    /// The date as of which it ran.
    pub date: Date,
    /// What it says.
    pub answer: NightAnswer,
    /// The latest run of each period looked at, by period; empty where the night is missing.
    pub runs: Vec<&'a RunRecord>,
}

impl<'a> Night<'a> {
    /// A night with these runs.
    pub fn of(date: Date, runs: Vec<&'a RunRecord>) -> Self {
        let answer = runs.iter().map(|run| answer(run)).max_by_key(|a| harm(*a));
        Self { date, answer: answer.unwrap_or(NightAnswer::Missing), runs }
    }

    /// The worst outcome of its runs; none where it is missing.
    pub fn outcome(&self) -> Option<Outcome> {
        self.runs.iter().map(|run| run.outcome).max()
    }

    /// Why the night says what it says.
    pub fn reason(&self) -> String {
        let telling: Vec<_> = self.runs.iter().filter(|run| answer(run) == self.answer).collect();
        match (self.answer, telling.as_slice()) {
            (NightAnswer::Missing, _) | (_, []) => "no run".to_owned(),
            (NightAnswer::Clean, [run]) => format!("{} agrees", run.period),
            (NightAnswer::Clean, runs) => format!("all {} periods agree", runs.len()),
            (_, [run]) => said(run),
            (_, [run, rest @ ..]) => format!("{}, and {} more like it", said(run), rest.len()),
        }
    }

    /// For a strip chart.
    pub fn mark(&self) -> NightMark {
        NightMark { date: self.date, answer: self.answer, reason: self.reason() }
    }
}

/// The nights of one pipeline from its first run to `as_of`, oldest first. Pipelines are due every night. The night
/// of `as_of` itself may still be to come, so it is not missing.
pub fn nights<'a>(runs: impl IntoIterator<Item = &'a RunRecord>, as_of: Date) -> Vec<Night<'a>> {
    let mut by_night: BTreeMap<Date, BTreeMap<Period, &'a RunRecord>> = BTreeMap::new();
    for run in runs.into_iter().filter(|run| run.as_of <= as_of) {
        let slot = by_night.entry(run.as_of).or_default().entry(run.period).or_insert(run);
        if (run.recorded_at, run.id) > (slot.recorded_at, slot.id) {
            *slot = run;
        }
    }
    let Some(first) = by_night.keys().next().copied() else { return Vec::new() };
    let night = |date: Date| match by_night.remove(&date) {
        Some(runs) => Some(Night::of(date, runs.into_values().collect())),
        None if date < as_of => Some(Night::of(date, Vec::new())),
        None => None,
    };
    first.series(1.day()).take_while(|date| *date <= as_of).filter_map(night).collect()
}

/// What one run says. A run that failed says nothing, whatever its checks.
pub(crate) fn answer(run: &RunRecord) -> NightAnswer {
    match run.outcome {
        Outcome::Failed => NightAnswer::Neutral,
        Outcome::Differs => NightAnswer::Broken,
        _ if !run.checks_passed => NightAnswer::Broken,
        Outcome::ReviewPending | Outcome::NotComparable => NightAnswer::Neutral,
        Outcome::Agrees => NightAnswer::Clean,
    }
}

/// One broken period breaks a night, one without an answer leaves it without.
fn harm(answer: NightAnswer) -> u8 {
    match answer {
        NightAnswer::Clean => 0,
        NightAnswer::Missing => 1,
        NightAnswer::Neutral => 2,
        NightAnswer::Broken => 3,
    }
}

fn said(run: &RunRecord) -> String {
    let period = run.period;
    match run.outcome {
        Outcome::Failed => format!("{period} failed"),
        Outcome::Differs => format!("{period} differs"),
        _ if !run.checks_passed => format!("a data check of {period} failed"),
        Outcome::ReviewPending => format!("{period} waits for review"),
        Outcome::NotComparable => format!("the inputs of {period} are not comparable"),
        Outcome::Agrees => format!("{period} agrees"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{date, run};

    #[test]
    fn the_worst_period_decides_a_night() {
        let runs = [
            run("2025-03-02").period("2025-03-01").build(),
            run("2025-03-02").period("2025-02-28").outcome(Outcome::ReviewPending).build(),
            run("2025-03-03").period("2025-03-01").outcome(Outcome::ReviewPending).build(),
            run("2025-03-03").period("2025-03-02").outcome(Outcome::Differs).build(),
            run("2025-03-04").checks(false).build(),
            run("2025-03-05").outcome(Outcome::Failed).checks(false).build(),
            run("2025-03-06").outcome(Outcome::NotComparable).build(),
            run("2025-03-08").build(),
        ];
        let found = nights(&runs, date("2025-03-08"));
        let answers: Vec<_> = found.iter().map(|n| n.answer).collect();
        use NightAnswer::*;
        assert_eq!(answers, [Neutral, Broken, Broken, Neutral, Neutral, Missing, Clean]);
        assert_eq!(found[1].reason(), "2025-03-02 differs");
        assert_eq!(found[2].reason(), "a data check of 2025-03-04 failed");
        assert_eq!(found[5].mark().reason, "no run");
        assert_eq!(found[1].outcome(), Some(Outcome::Differs));
    }

    #[test]
    fn a_second_run_of_a_night_takes_the_place_of_the_first() {
        let runs = [
            run("2025-03-02").outcome(Outcome::Differs).recorded("2025-03-02T01:00:00Z").build(),
            run("2025-03-02").recorded("2025-03-02T09:00:00Z").build(),
        ];
        for order in [[0, 1], [1, 0]] {
            let found = nights(order.map(|i| &runs[i]), date("2025-03-02"));
            assert_eq!(found.iter().map(|n| n.answer).collect::<Vec<_>>(), [NightAnswer::Clean]);
        }
    }

    #[test]
    fn the_night_of_today_may_still_come_and_later_nights_are_not_known() {
        let runs = [run("2025-03-02").build(), run("2025-03-09").build()];
        let answers = |as_of: &str| nights(&runs, date(as_of)).iter().map(|n| n.answer).collect::<Vec<_>>();
        assert_eq!(answers("2025-03-03"), [NightAnswer::Clean]);
        assert_eq!(answers("2025-03-04"), [NightAnswer::Clean, NightAnswer::Missing]);
        assert_eq!(answers("2025-03-01"), []);
    }
}
