//! How many clean nights in a row.

use std::collections::BTreeMap;

use dualrun_core::{Period, PeriodUnit};
use dualrun_mapping::{plan::Pipeline, settings::GatePolicy};
use dualrun_state::records::{Hashes, RunRecord};
use jiff::civil::Date;

use crate::{
    model::{HashChange, NightAnswer, Streak},
    nights::{Night, answer},
};

/// What a streak must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Nights, or closed months of a monthly pipeline.
    pub unit: PeriodUnit,
    /// How many.
    pub required: u32,
    /// Whether a month end must be among the periods.
    pub month_end: bool,
    /// Nights in a row without an answer after which the streak is unknown.
    pub unknown_after: u32,
}

impl Rules {
    /// The rules for a pipeline.
    pub fn of(pipeline: &Pipeline, policy: &GatePolicy) -> Self {
        let unit = pipeline.result.period.unit;
        let required = match unit {
            PeriodUnit::Day => policy.clean_nights,
            PeriodUnit::Month => policy.closed_months,
        };
        Self { unit, required, month_end: policy.month_end, unknown_after: policy.unknown_after }
    }
}

/// The hashes of a pipeline's files as they are now.
pub fn present_hashes(pipeline: &Pipeline) -> Hashes {
    Hashes {
        mapping: pipeline.mapping_hash.clone(),
        legacy: pipeline.legacy.hash.clone(),
        new: pipeline.new.hash.clone(),
    }
}

/// The streak that ends on `as_of`, counted back over nights (oldest first, of one pipeline).
///
/// A night counts when it is clean and ran with the files as they are now (`present`; of the latest run where that
/// is not given). A broken night and a change of the files end the count; nights without an answer neither count
/// nor end it, but more than [`Rules::unknown_after`] of them in a row, met before the rules are fulfilled, make it
/// unknown. A monthly pipeline counts closed months by the latest run after their end; there, a month without an
/// answer between two that count makes it unknown.
pub fn streak(nights: &[Night<'_>], present: Option<&Hashes>, rules: &Rules, as_of: Date) -> Streak {
    let last_run = nights.iter().rev().find_map(|night| night.runs.last());
    let present = present.or(last_run.map(|run| &run.hashes));
    let count = match rules.unit {
        PeriodUnit::Day => Count::back(nights, present, rules),
        PeriodUnit::Month => {
            let strict = Rules { unknown_after: 0, ..*rules };
            let mut count = Count::back(&closed_months(nights, as_of), present, &strict);
            count.unknown = waiting(nights, rules).or(count.unknown);
            count
        }
    };
    Streak {
        nights: count.nights,
        required: rules.required,
        unit: rules.unit,
        since: count.since,
        broken_on: nights.iter().rev().find(|n| n.answer == NightAnswer::Broken).map(|n| n.date),
        changed: changed(nights, present),
        unknown: if last_run.is_none() { Some("it never ran".to_owned()) } else { count.unknown },
        month_end: count.month_end,
        last_night: nights.iter().rev().find(|night| !night.runs.is_empty()).map(|night| night.date),
        runs: count.runs.iter().rev().map(|run| run.id).collect(),
    }
}

#[derive(Default)]
struct Count<'a> {
    nights: u32,
    since: Option<Date>,
    month_end: bool,
    unknown: Option<String>,
    /// Newest first.
    runs: Vec<&'a RunRecord>,
}

impl<'a> Count<'a> {
    fn back(nights: &[Night<'a>], present: Option<&Hashes>, rules: &Rules) -> Self {
        let mut count = Self::default();
        let mut gap = 0;
        for night in nights.iter().rev() {
            if !ran_with(night, present) || night.answer == NightAnswer::Broken {
                break;
            }
            if !night.answer.is_answer() {
                gap += 1;
                continue;
            }
            count.close_gap(gap, rules);
            gap = 0;
            count.add(night);
        }
        if count.nights == 0 {
            count.close_gap(gap, rules);
        }
        count
    }

    /// A gap behind the nights that fulfil the rules tells nothing about them.
    fn close_gap(&mut self, gap: u32, rules: &Rules) {
        let fulfilled = self.nights >= rules.required && (self.month_end || !rules.month_end);
        if gap > rules.unknown_after && !fulfilled && self.unknown.is_none() {
            self.unknown = Some(silence(gap, rules.unit));
        }
    }

    fn add(&mut self, night: &Night<'a>) {
        self.nights += 1;
        self.since = Some(night.date);
        self.month_end |= night.runs.iter().any(|run| covers_month_end(run.period));
        self.runs.extend(night.runs.iter().rev());
    }
}

/// Of each month that is over, from the first to the last with a run after its end, that run as a night of its own.
fn closed_months<'a>(nights: &[Night<'a>], as_of: Date) -> Vec<Night<'a>> {
    let mut latest: BTreeMap<Period, &'a RunRecord> = BTreeMap::new();
    for run in nights.iter().flat_map(|night| &night.runs) {
        // The nights come oldest first, so a later run takes the place of an earlier one.
        if run.period.end().is_ok_and(|end| end <= run.as_of && end <= as_of) {
            latest.insert(run.period, run);
        }
    }
    let (Some(first), Some(last)) = (latest.keys().next().copied(), latest.keys().next_back().copied())
    else {
        return Vec::new();
    };
    std::iter::successors(Some(first), |month| month.next().ok())
        .take_while(|month| *month <= last)
        .map(|month| match latest.get(&month) {
            Some(run) => Night { date: run.as_of, answer: answer(run), runs: vec![run] },
            None => Night { date: month.start(), answer: NightAnswer::Missing, runs: Vec::new() },
        })
        .collect()
}

/// Whether the last nights gave no answer for too long.
fn waiting(nights: &[Night<'_>], rules: &Rules) -> Option<String> {
    let gap = nights.iter().rev().take_while(|night| !night.answer.is_answer()).count();
    let gap = u32::try_from(gap).unwrap_or(u32::MAX);
    (gap > rules.unknown_after).then(|| silence(gap, PeriodUnit::Day))
}

fn silence(gap: u32, unit: PeriodUnit) -> String {
    match (unit, gap) {
        (PeriodUnit::Day, _) => format!("{gap} nights in a row gave no answer"),
        (PeriodUnit::Month, 1) => "a closed month gave no answer".to_owned(),
        (PeriodUnit::Month, _) => format!("{gap} closed months in a row gave no answer"),
    }
}

fn ran_with(night: &Night<'_>, present: Option<&Hashes>) -> bool {
    night.runs.iter().all(|run| present.is_none_or(|present| present == &run.hashes))
}

/// The latest change of the files: between the first night that ran with the present ones and the night before.
fn changed(nights: &[Night<'_>], present: Option<&Hashes>) -> Option<HashChange> {
    let present = present?;
    let ran: Vec<_> = nights.iter().filter(|night| !night.runs.is_empty()).collect();
    let before = ran.iter().rposition(|night| !ran_with(night, Some(present)))?;
    let mut what = Vec::new();
    for old in ran.get(before)?.runs.iter().map(|run| &run.hashes) {
        let parts = [
            (old.mapping != present.mapping, "mapping"),
            (old.legacy != present.legacy, "legacy calculation"),
            (old.new != present.new, "new calculation"),
        ];
        for (_, name) in parts.into_iter().filter(|(differs, _)| *differs) {
            if !what.iter().any(|known| known == name) {
                what.push(name.to_owned());
            }
        }
    }
    Some(HashChange { on: ran.get(before + 1).map(|night| night.date), what })
}

fn covers_month_end(period: Period) -> bool {
    match period.unit() {
        PeriodUnit::Day => period.start() == period.start().last_of_month(),
        PeriodUnit::Month => true,
    }
}

#[cfg(test)]
mod tests;
