//! Where a pipeline moves on its evidence.

use dualrun_core::{PipelineId, RunId, Stage};
use dualrun_state::records::StageEvent;
use jiff::{Timestamp, civil::Date};

use crate::{
    model::{Gate, GateAnswer, NightAnswer, Streak, Transition},
    nights::Night,
};

/// Who moves a pipeline on its evidence.
pub const ACTOR: &str = "gate";

/// The change of stage that the evidence asks for.
///
/// Up from `dual_run` to `parity` when every gate passes. Down from `parity` or `approved` to `dual_run` when a night
/// after `since` (the night of the latest change of stage) was broken, or mapping or calculations changed after it.
/// `planned` and `building` are left by their mapping; nothing is moved automatically from `cut_over` on.
pub fn next(
    pipeline: &PipelineId,
    stage: Stage,
    since: Option<Date>,
    gates: &[Gate],
    streak: &Streak,
    nights: &[Night<'_>],
) -> Option<Transition> {
    let (to, reason, evidence) = match stage {
        Stage::DualRun => {
            let passes = !gates.is_empty() && gates.iter().all(|gate| gate.answer == GateAnswer::Pass);
            let reasons: Vec<_> = gates.iter().map(|gate| gate.reason.as_str()).collect();
            passes.then(|| {
                (Stage::Parity, format!("every gate passes: {}", reasons.join("; ")), streak.runs.clone())
            })?
        }
        Stage::Parity | Stage::Approved => {
            let (reason, evidence) = broke(since, streak, nights)?;
            (Stage::DualRun, reason, evidence)
        }
        Stage::Planned | Stage::Building | Stage::CutOver | Stage::Retired => return None,
    };
    Some(Transition { pipeline: pipeline.clone(), from: stage, to, reason, evidence })
}

impl Transition {
    /// The record of this change of stage, made by the gate.
    pub fn event(&self, environment: &str, as_of: Date, at: Timestamp) -> StageEvent {
        StageEvent {
            pipeline: self.pipeline.clone(),
            environment: environment.to_owned(),
            from: self.from,
            to: self.to,
            as_of,
            at,
            actor: ACTOR.to_owned(),
            reason: self.reason.clone(),
            evidence: self.evidence.clone(),
        }
    }
}

/// What broke the evidence that a stage stands on.
fn broke(since: Option<Date>, streak: &Streak, nights: &[Night<'_>]) -> Option<(String, Vec<RunId>)> {
    // A mapping may start a pipeline at parity; then its latest answer decides.
    let after = |day: Date| match since {
        Some(since) => day > since,
        None => nights.iter().rev().find(|night| night.answer.is_answer()).is_some_and(|n| n.date == day),
    };
    if let Some(day) = streak.broken_on.filter(|day| after(*day)) {
        let night = nights.iter().find(|night| night.date == day && night.answer == NightAnswer::Broken);
        let why = night.map_or_else(|| "it was broken".to_owned(), Night::reason);
        return Some((
            format!("the night of {day} broke the streak: {why}"),
            night.map(ids).unwrap_or_default(),
        ));
    }
    let change = streak.changed.as_ref()?;
    let what = change.what.join(" and ");
    let last = nights.iter().rev().find(|night| !night.runs.is_empty());
    match change.on {
        None => Some((format!("{what} changed since the latest night"), last.map(ids).unwrap_or_default())),
        Some(on) if since.is_some_and(|since| on > since) => {
            let first = nights.iter().find(|night| night.date == on);
            Some((format!("{what} changed on {on}"), first.map(ids).unwrap_or_default()))
        }
        Some(_) => None,
    }
}

fn ids(night: &Night<'_>) -> Vec<RunId> {
    night.runs.iter().map(|run| run.id).collect()
}

#[cfg(test)]
mod tests;
