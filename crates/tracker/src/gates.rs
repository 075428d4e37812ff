//! The gate to parity: conditions over evidence. What is not known never passes.

use dualrun_core::{
    Criticality, Outcome, RunId,
    review::ReviewStatus,
    run::{ColumnReport, CustomerVerdict, Promise, RunReport, figures::Figure},
};
use dualrun_mapping::{
    plan::{Change, Pipeline},
    settings::GatePolicy,
};
use dualrun_state::records::RunRecord;

use crate::{
    model::{Gate, GateAnswer, GateName, ReviewState, Streak},
    nights::Night,
    streak::Rules,
};

mod sentence;

use sentence::{list, streak_sentence};

/// What the gate of one pipeline looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// What the project asks for.
    pub policy: &'a GatePolicy,
    /// Its nights, oldest first.
    pub nights: &'a [Night<'a>],
    /// Its streak.
    pub streak: &'a Streak,
    /// The changes that are declared for it, with their reviews.
    pub changes: &'a [(&'a Change, ReviewState)],
}

/// The answers, in the order of [`GateName`].
pub fn gates(situation: &Situation<'_>) -> Vec<Gate> {
    vec![
        clean_nights(situation),
        coverage(situation),
        changes(situation),
        differences(situation),
        checks(situation),
    ]
}

/// Enough clean nights in a row, a month end among them.
fn clean_nights(situation: &Situation<'_>) -> Gate {
    let streak = situation.streak;
    let rules = Rules::of(situation.pipeline, situation.policy);
    let fulfilled = streak.nights >= rules.required && (streak.month_end || !rules.month_end);
    let answer = match (&streak.unknown, fulfilled) {
        (Some(_), _) => GateAnswer::Unknown,
        (None, true) => GateAnswer::Pass,
        (None, false) => GateAnswer::Fail,
    };
    gate(GateName::Streak, answer, streak_sentence(streak, &rules), streak.runs.clone())
}

/// Every customer was compared in the runs of the streak.
fn coverage(situation: &Situation<'_>) -> Gate {
    let name = GateName::Coverage;
    let counted = situation.counted();
    let evidence = ids(&counted);
    if counted.is_empty() {
        return gate(name, GateAnswer::Unknown, "no clean night yet", evidence);
    }
    if situation.pipeline.result.customer.is_none() {
        return gate(name, GateAnswer::Pass, "the result names no customer", evidence);
    }
    let short: Vec<_> =
        counted.iter().copied().filter(|run| run.customers.compared < run.customers.total).collect();
    if let Some(run) = short.last() {
        let reason = format!(
            "{} of {} customers were compared for {}",
            run.customers.compared, run.customers.total, run.period
        );
        return gate(name, GateAnswer::Fail, reason, ids(&short));
    }
    match counted.iter().map(|run| run.customers.total).max() {
        None | Some(0) => gate(name, GateAnswer::Unknown, "the runs of the streak saw no customer", evidence),
        Some(most) => {
            let reason =
                format!("every customer was compared in {} runs, at most {most} in one", counted.len());
            gate(name, GateAnswer::Pass, reason, evidence)
        }
    }
}

/// Every change in force is approved and does what it promises.
fn changes(situation: &Situation<'_>) -> Gate {
    let name = GateName::Changes;
    let last = situation.last_runs();
    let evidence = ids(last);
    if last.is_empty() {
        return gate(name, GateAnswer::Unknown, "it never ran", evidence);
    }
    let in_force: Vec<_> = situation
        .changes
        .iter()
        .filter(|(change, _)| last.iter().any(|run| change.in_force(run.period.start())))
        .collect();
    let not_approved: Vec<String> = in_force
        .iter()
        .filter(|(_, review)| review.status != ReviewStatus::Approved)
        .map(|(change, review)| match &review.reason_not {
            Some(reason) => format!("{} ({reason})", change.id),
            None => change.id.to_string(),
        })
        .collect();
    if !not_approved.is_empty() {
        let reason = format!("not approved: {}", list(&not_approved));
        return gate(name, GateAnswer::Fail, reason, evidence);
    }
    let promises = situation.promises();
    let ids_of = |state: PromiseState| -> Vec<String> {
        let hit = in_force.iter().filter(|(change, _)| promises(change) == state);
        hit.map(|(change, _)| change.id.to_string()).collect()
    };
    let broken = ids_of(PromiseState::Broken);
    if !broken.is_empty() {
        let reason = format!("does not do what it promises: {}", list(&broken));
        return gate(name, GateAnswer::Fail, reason, evidence);
    }
    let unseen = ids_of(PromiseState::NotSeen);
    if !unseen.is_empty() {
        let reason = format!("approved, but no run shows yet what it does: {}", list(&unseen));
        return gate(name, GateAnswer::Unknown, reason, evidence);
    }
    let reason = match in_force.len() {
        0 => "no methodology change is in force".to_owned(),
        1 => "the one change in force is approved and keeps its promise".to_owned(),
        n => format!("all {n} changes in force are approved and keep their promises"),
    };
    gate(name, GateAnswer::Pass, reason, evidence)
}

/// Nothing unexplained is left beyond what the policy allows.
fn differences(situation: &Situation<'_>) -> Gate {
    let name = GateName::Differences;
    let last = situation.last_runs();
    let strict = situation.pipeline.criticality >= Criticality::High;
    let over: Vec<(&RunRecord, String)> = last
        .iter()
        .filter_map(|run| {
            let found =
                if strict { any_unexplained(&run.report) } else { beyond(&run.report, situation.policy) };
            found.map(|what| (*run, what))
        })
        .collect();
    if let Some((run, what)) = over.last() {
        let runs: Vec<_> = over.iter().map(|(run, _)| *run).collect();
        return gate(name, GateAnswer::Fail, format!("{}: {what}", run.period), ids(&runs));
    }
    let unanswered = last.iter().find(|run| matches!(run.outcome, Outcome::Failed | Outcome::NotComparable));
    match (last, unanswered) {
        ([], _) => gate(name, GateAnswer::Unknown, "it never ran", Vec::new()),
        (_, Some(run)) => {
            let reason = match run.outcome {
                Outcome::Failed => format!("the run of {} failed", run.period),
                _ => format!("some customers of {} could not be compared", run.period),
            };
            gate(name, GateAnswer::Unknown, reason, vec![run.id])
        }
        _ if strict => {
            let reason =
                format!("nothing is unexplained, as criticality {} asks", situation.pipeline.criticality);
            gate(name, GateAnswer::Pass, reason, ids(last))
        }
        _ => {
            let share = percent(situation.policy.unexplained_share);
            let reason = format!("no customer has more than {share} unexplained");
            gate(name, GateAnswer::Pass, reason, ids(last))
        }
    }
}

/// The data checks of the mapping pass.
fn checks(situation: &Situation<'_>) -> Gate {
    let name = GateName::Checks;
    let last = situation.last_runs();
    let answered: Vec<_> = last.iter().copied().filter(|run| run.outcome != Outcome::Failed).collect();
    if last.is_empty() {
        return gate(name, GateAnswer::Unknown, "it never ran", Vec::new());
    }
    if let Some(run) = answered.iter().rev().find(|run| !run.checks_passed) {
        let failed = run.report.checks.iter().find(|check| !check.passed);
        let which = failed.map_or_else(String::new, |c| format!(": {} ({} side)", c.name, c.side));
        let reason = format!("a data check of {} failed{which}", run.period);
        return gate(name, GateAnswer::Fail, reason, vec![run.id]);
    }
    if let Some(run) = last.iter().find(|run| run.outcome == Outcome::Failed) {
        return gate(name, GateAnswer::Unknown, format!("the run of {} failed", run.period), vec![run.id]);
    }
    let declared = &situation.pipeline.checks;
    let ran = |run: &RunRecord, check: &dualrun_mapping::plan::Check| {
        run.report.checks.iter().any(|c| c.name == check.name && c.side == check.side.as_str())
    };
    for run in &answered {
        if let Some(check) = declared.iter().find(|check| !ran(run, check)) {
            let reason = format!("{} was not checked for {}", check.name, run.period);
            return gate(name, GateAnswer::Unknown, reason, vec![run.id]);
        }
    }
    let reason = match declared.len() {
        0 => "the mapping declares no data check".to_owned(),
        1 => "the one data check passes".to_owned(),
        n => format!("all {n} data checks pass"),
    };
    gate(name, GateAnswer::Pass, reason, ids(&answered))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PromiseState {
    Kept,
    Broken,
    NotSeen,
}

impl<'a> Situation<'a> {
    /// The runs of the latest night that has any.
    fn last_runs(&self) -> &'a [&'a RunRecord] {
        self.nights.iter().rev().find(|night| !night.runs.is_empty()).map_or(&[], |night| &night.runs)
    }

    /// The runs that the streak counts.
    fn counted(&self) -> Vec<&'a RunRecord> {
        let runs = self.nights.iter().flat_map(|night| &night.runs).copied();
        runs.filter(|run| self.streak.runs.contains(&run.id)).collect()
    }

    /// What is known of a change's promise: broken where the latest night says so, kept where some run of the streak
    /// or of the latest night saw it act.
    fn promises(&self) -> impl Fn(&Change) -> PromiseState {
        let last = self.last_runs();
        let counted = self.counted();
        move |change: &Change| {
            let of = |run: &&RunRecord| -> Vec<Promise> {
                let entries = run.report.bridge.iter().filter(|e| e.change == change.id.as_str());
                entries.map(|entry| entry.promise).collect()
            };
            if last.iter().flat_map(of).any(|promise| promise == Promise::Broken) {
                return PromiseState::Broken;
            }
            let acted = |promise: Promise| matches!(promise, Promise::Kept | Promise::None);
            if counted.iter().chain(last).flat_map(of).any(acted) {
                PromiseState::Kept
            } else {
                PromiseState::NotSeen
            }
        }
    }
}

/// For pipelines where nothing may be left: cells, rows and keys beyond tolerance.
fn any_unexplained(report: &RunReport) -> Option<String> {
    let column = report.columns.iter().max_by_key(|column| column.verdicts.unexplained);
    if let Some(column) = column.filter(|column| column.verdicts.unexplained > 0) {
        return Some(format!("{} cells of {} are unexplained", column.verdicts.unexplained, column.name));
    }
    let rows = &report.rows;
    if rows.one_sided.unexplained > 0 {
        return Some(format!("{} rows on one side only are unexplained", rows.one_sided.unexplained));
    }
    let ambiguous = rows.ambiguous_key.legacy + rows.ambiguous_key.new;
    if ambiguous > 0 {
        return Some(format!("{ambiguous} rows share their key with another"));
    }
    (rows.verdicts.unexplained > 0).then(|| format!("{} rows are unexplained", rows.verdicts.unexplained))
}

/// For the others: a customer whose unexplained gross difference is more than the allowed share of its total.
fn beyond(report: &RunReport, policy: &GatePolicy) -> Option<String> {
    let worst_listed = report.customers.last().map(|customer| customer.verdict);
    for customer in &report.customers {
        let name = customer.customer.as_deref().unwrap_or("without a name");
        if let Some(found) = share_beyond(&customer.columns, policy) {
            return Some(format!("customer {name}: {found}"));
        }
    }
    if report.customers.is_empty() {
        return share_beyond(&report.columns, policy);
    }
    let more = report.customers_total.saturating_sub(report.customers.len() as u64);
    if more > 0 && worst_listed >= Some(CustomerVerdict::Unexplained) {
        return Some(format!("{more} more customers may have unexplained differences"));
    }
    None
}

fn share_beyond(columns: &[ColumnReport], policy: &GatePolicy) -> Option<String> {
    columns.iter().find_map(|column| {
        let unexplained = column.gross_unexplained.as_ref().map_or(0.0, Figure::to_f64).abs();
        let total = column.legacy_total.as_ref().map_or(0.0, Figure::to_f64).abs();
        // Written so that NaN is beyond.
        let within = unexplained == 0.0 || unexplained <= policy.unexplained_share * total;
        (!within).then(|| match total {
            0.0 => format!("{} is unexplained where legacy is 0", column.name),
            _ => format!("{} of {} is unexplained", percent(unexplained / total), column.name),
        })
    })
}

fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn gate(name: GateName, answer: GateAnswer, reason: impl Into<String>, evidence: Vec<RunId>) -> Gate {
    Gate { name, answer, reason: reason.into(), evidence }
}

fn ids(runs: &[&RunRecord]) -> Vec<RunId> {
    runs.iter().map(|run| run.id).collect()
}

#[cfg(test)]
mod tests;
